//! Filters of the user's own on the pushing side, and the registry that a worker program has of them.
//!
//! A filter sees each push of its table, with what was held back of its keys before added, and may change
//! numbers and hold keys back. It sees the answers to the worker's pulls, so that it can judge a
//! gradient by the weight that it is for. What it holds back is kept by the worker, added to the key's next
//! push and sent at the latest when the worker finishes the table: a filter loses nothing that it does not
//! change itself. Its signatures are slices and numbers, so that they can be said in C.

use super::kkt::Kkt;
use crate::wire::{Filters, TableSpec};
use std::collections::BTreeMap;
use std::fmt;

/// Decides what of a table's pushes is sent now. One worker has one for each table that declares it; it
/// works in the order of pushes and pulls of that worker, so it repeats itself as they do.
///
/// ```
/// use parashard::client::{PushFilter, PushFilters};
/// use std::collections::BTreeSet;
///
/// /// Holds back every key that was not held back the last time.
/// #[derive(Default)]
/// struct EverySecond(BTreeSet<u64>);
///
/// impl EverySecond {
///     fn hold(&mut self, keys: &[u64], held: &mut [bool]) {
///         for (key, held) in keys.iter().zip(held) {
///             *held = !self.0.remove(key) && self.0.insert(*key);
///         }
///     }
/// }
///
/// impl PushFilter for EverySecond {
///     fn push_f32(&mut self, keys: &[u64], _values: &mut [f32], held: &mut [bool]) {
///         self.hold(keys, held);
///     }
///     fn push_f64(&mut self, keys: &[u64], _values: &mut [f64], held: &mut [bool]) {
///         self.hold(keys, held);
///     }
/// }
///
/// let mut filters = PushFilters::default();
/// filters.register("every_second", |_table, _number| Ok(Box::new(EverySecond::default())))?; // own:every_second
/// let (mut filter, mut held) = (EverySecond::default(), [false]);
/// filter.push_f32(&[7], &mut [1.0], &mut held);
/// assert!(held[0]);
/// filter.push_f32(&[7], &mut [2.0], &mut held);
/// assert!(!held[0]);
/// # Ok::<(), String>(())
/// ```
pub trait PushFilter: Send {
    /// A push: ascending keys, and for each as many numbers as the table's width, with what was held back
    /// of it before. Numbers may be changed; a key whose mark in `held` is set is not sent but kept. A
    /// number that becomes NaN, infinite or too large for the table makes the push fail.
    fn push_f32(&mut self, keys: &[u64], values: &mut [f32], held: &mut [bool]);

    /// As [`push_f32`](Self::push_f32), for tables of doubles.
    fn push_f64(&mut self, keys: &[u64], values: &mut [f64], held: &mut [bool]);

    /// The answer to a pull, when the program takes it.
    fn pulled_f32(&mut self, _keys: &[u64], _values: &[f32]) {}

    /// As [`pulled_f32`](Self::pulled_f32), for tables of doubles.
    fn pulled_f64(&mut self, _keys: &[u64], _values: &[f64]) {}
}

/// Makes the filter of one table with the number that the table's declaration gives (0 without one), or
/// says in one line why it does not go with the table.
pub type MakePushFilter = fn(table: &TableSpec, argument: f64) -> Result<Box<dyn PushFilter>, String>;

/// The filters that a worker program has, by name. Built in is [`kkt`](Kkt).
#[derive(Clone)]
pub struct PushFilters {
    makers: BTreeMap<String, MakePushFilter>,
}

impl Default for PushFilters {
    fn default() -> PushFilters {
        PushFilters { makers: BTreeMap::from([("kkt".to_owned(), Kkt::make as MakePushFilter)]) }
    }
}

impl PushFilters {
    /// Adds a filter that tables declare as `own:NAME`.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn register(&mut self, name: &str, make: MakePushFilter) -> Result<(), String> {
        if self.makers.contains_key(name) {
            return Err(format!("there is a filter '{name}' already"));
        }
        self.makers.insert(name.to_owned(), make);
        Ok(())
    }

    /// The filter that a table declares, if it does.
    ///
    /// # Errors
    /// One line when there is none of that name, or it does not go with the table.
    pub fn make(&self, table: &TableSpec) -> Result<Option<Box<dyn PushFilter>>, String> {
        let Filters { own: Some(own), .. } = &table.filters else { return Ok(None) };
        let Some(make) = self.makers.get(own.name()) else {
            let known: Vec<&str> = self.makers.keys().map(String::as_str).collect();
            let (name, known) = (own.name(), known.join(", "));
            return Err(format!("no filter '{name}' is registered in the worker program; registered: {known}"));
        };
        make(table, own.argument).map(Some).map_err(|reason| format!("filter {own}: {reason}"))
    }
}

impl fmt::Debug for PushFilters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.makers.keys()).finish()
    }
}
