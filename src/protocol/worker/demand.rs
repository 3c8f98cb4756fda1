//! What a pull demands of the clock: the time below which every writer must have ended all times.
//!
//! It is computed here, so that the shard needs to know nothing of delays: a pull with a rule of its own,
//! or one that begins after the delay has changed, is only another demand.

use super::{OperationError, Request, Worker};
use crate::id::{TableId, Time};
use crate::wire::Consistency;

/// What a pull waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) time: Time,
    /// Whether it may see nothing of its own time either.
    pub(super) is_exact: bool,
}

impl Worker {
    /// The table's rule as it holds now.
    #[must_use]
    pub fn consistency(&self, table: TableId) -> Option<Consistency> {
        self.times.get(usize::from(table.0)).map(|own| own.consistency)
    }

    /// Whether a pull for a time this far ahead of the writer's own could be answered before the writer
    /// gets there: otherwise it would wait for its own pushes.
    #[must_use]
    pub fn may_pull_ahead(&self, table: TableId, ahead: u32) -> bool {
        self.consistency(table).is_some_and(|rule| may_read_ahead(rule, ahead))
    }

    pub(super) fn demand(&self, request: &Request<'_>) -> Result<Demand, OperationError> {
        let spec = self.spec(request.table)?;
        let refuse = |reason: String| Err(OperationError::Request { table: spec.name.clone(), reason });
        let own = &self.times[usize::from(request.table.0)];
        let rule = request.consistency.unwrap_or(own.consistency);
        if spec.consistency == Consistency::Eventual && rule != Consistency::Eventual {
            return refuse(format!("its writers do not tell their times, so a pull cannot be {rule}"));
        }
        if !may_read_ahead(rule, request.ahead) {
            return refuse(format!("a pull {} times ahead would wait for its own writer under {rule}", request.ahead));
        }
        let time = rule.demand(Time(own.time.0.saturating_add(request.ahead)));
        let is_exact = spec.consistency == Consistency::Sequential && rule == Consistency::Sequential;
        Ok(Demand { time, is_exact })
    }
}

fn may_read_ahead(rule: Consistency, ahead: u32) -> bool {
    match rule {
        Consistency::Sequential => ahead == 0,
        Consistency::BoundedDelay { delay_max } => ahead <= delay_max,
        Consistency::Eventual => true,
    }
}
