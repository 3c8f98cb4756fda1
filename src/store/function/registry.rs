//! Functions by name.

use super::call::CallFunction;
use super::norms::NormsFunction;
use crate::limit;
use crate::store::{StoreError, UpdateStep};
use crate::wire::CallBody;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// The functions that a server program has, by name; cloning shares them. The built-in ones are there
/// from the start:
///
/// * `norms`: number of keys, of non-zeros, sum of sizes and of squares; see [`Norms`](super::Norms).
#[derive(Clone)]
pub struct Functions {
    calls: BTreeMap<String, Arc<dyn CallFunction>>,
    updates: BTreeMap<String, Arc<dyn UpdateStep>>,
}

impl Default for Functions {
    fn default() -> Functions {
        let mut calls: BTreeMap<String, Arc<dyn CallFunction>> = BTreeMap::new();
        calls.insert("norms".to_owned(), Arc::new(NormsFunction));
        Functions { calls, updates: BTreeMap::new() }
    }
}

impl Functions {
    /// Adds a function that workers call by this name.
    ///
    /// # Errors
    /// When the name is taken or cannot be one, or there are too many functions.
    pub fn register_call(&mut self, name: &str, function: Box<dyn CallFunction>) -> Result<(), StoreError> {
        check_new(name, self.calls.contains_key(name), self.calls.len())?;
        self.calls.insert(name.to_owned(), Arc::from(function));
        Ok(())
    }

    /// The function that a call names.
    ///
    /// # Errors
    /// One line that names the ones that there are.
    pub fn call(&self, name: &str) -> Result<&Arc<dyn CallFunction>, String> {
        self.calls.get(name).ok_or_else(|| missing("function", name, &self.calls))
    }
}

impl Functions {
    /// Adds an update function that tables declare by this name.
    ///
    /// # Errors
    /// When the name is taken or cannot be one, or there are too many functions.
    pub fn register_update(&mut self, name: &str, function: Box<dyn UpdateStep>) -> Result<(), StoreError> {
        check_new(name, self.updates.contains_key(name), self.updates.len())?;
        self.updates.insert(name.to_owned(), Arc::from(function));
        Ok(())
    }

    /// The update function that a table declares.
    ///
    /// # Errors
    /// One line that names the ones that there are.
    pub fn update(&self, name: &str) -> Result<&Arc<dyn UpdateStep>, String> {
        self.updates.get(name).ok_or_else(|| missing("update function", name, &self.updates))
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Functions(calls {}, updates {})", names(&self.calls), names(&self.updates))
    }
}

fn check_new(name: &str, is_taken: bool, count: usize) -> Result<(), StoreError> {
    let refuse = |reason| Err(StoreError::Function { name: name.escape_debug().to_string(), reason });
    if let Err(reason) = (CallBody { function: name, arguments: &[] }).encode() {
        return refuse(reason);
    }
    if is_taken {
        return refuse("there is one of this name".to_owned());
    }
    if count >= limit::FUNCTIONS {
        return refuse(format!("{count} functions are registered, limit {}", limit::FUNCTIONS));
    }
    Ok(())
}

fn missing<F: ?Sized>(what: &str, name: &str, known: &BTreeMap<String, Arc<F>>) -> String {
    format!("no {what} '{name}' is registered in the server program; registered: {}", names(known))
}

fn names<F: ?Sized>(known: &BTreeMap<String, Arc<F>>) -> String {
    match known.is_empty() {
        true => "none".to_owned(),
        false => known.keys().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}
