//! The filters of its own that a program has, by the names that tables declare.

use super::{Kkt, PullFilter, PushFilter};
use crate::wire::{OwnFilter, TableSpec};
use std::collections::BTreeMap;
use std::fmt;

/// Makes the filter of one table with the number that the table's declaration gives (0 without one), or
/// says in one line why it does not go with the table.
pub type MakeFilter<F> = fn(table: &TableSpec, argument: f64) -> Result<Box<F>, String>;

/// Makes the filter of one table's pushes.
pub type MakePushFilter = MakeFilter<dyn PushFilter>;

/// Makes the filter of one table's answers to pulls.
pub type MakePullFilter = MakeFilter<dyn PullFilter>;

/// The filters of pushes that a worker program has, which tables declare as `own:NAME`. Built in is [`Kkt`].
pub type PushFilters = FilterRegistry<dyn PushFilter>;

/// The filters of answers to pulls that a server program has, which tables declare as `own_pull:NAME`.
pub type PullFilters = FilterRegistry<dyn PullFilter>;

/// The filters of one kind that a program has, by name.
pub struct FilterRegistry<F: ?Sized> {
    makers: BTreeMap<String, MakeFilter<F>>,
}

impl<F: ?Sized> FilterRegistry<F> {
    /// Adds a filter that tables may declare.
    ///
    /// # Errors
    /// When the name is taken.
    pub fn register(&mut self, name: &str, make: MakeFilter<F>) -> Result<(), String> {
        if self.makers.contains_key(name) {
            return Err(format!("there is a filter '{name}' already"));
        }
        self.makers.insert(name.to_owned(), make);
        Ok(())
    }

    fn make_declared(
        &self,
        table: &TableSpec,
        declared: Option<&OwnFilter>,
        (kind, program): (&str, &str),
    ) -> Result<Option<Box<F>>, String> {
        let Some(own) = declared else { return Ok(None) };
        let name = own.name();
        let Some(make) = self.makers.get(name) else {
            let known: Vec<&str> = self.makers.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(format!("no filter '{name}' is registered in the {program} program; registered: {known}"));
        };
        make(table, own.argument).map(Some).map_err(|reason| format!("filter {}: {reason}", own.spelled(kind)))
    }
}

impl Default for PushFilters {
    fn default() -> PushFilters {
        FilterRegistry { makers: BTreeMap::from([("kkt".to_owned(), Kkt::make as MakePushFilter)]) }
    }
}

impl Default for PullFilters {
    fn default() -> PullFilters {
        FilterRegistry { makers: BTreeMap::new() }
    }
}

impl PushFilters {
    /// The filter that a table declares, if it does.
    ///
    /// # Errors
    /// One line when there is none of that name, or it does not go with the table.
    pub fn make(&self, table: &TableSpec) -> Result<Option<Box<dyn PushFilter>>, String> {
        self.make_declared(table, table.filters.own.as_ref(), ("own", "worker"))
    }
}

impl PullFilters {
    /// The filter that a table declares, if it does.
    ///
    /// # Errors
    /// One line when there is none of that name, or it does not go with the table.
    pub fn make(&self, table: &TableSpec) -> Result<Option<Box<dyn PullFilter>>, String> {
        self.make_declared(table, table.filters.own_pull.as_ref(), ("own_pull", "server"))
    }
}

impl<F: ?Sized> Clone for FilterRegistry<F> {
    fn clone(&self) -> FilterRegistry<F> {
        FilterRegistry { makers: self.makers.clone() }
    }
}

impl<F: ?Sized> fmt::Debug for FilterRegistry<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.makers.keys()).finish()
    }
}
