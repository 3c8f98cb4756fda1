//! Delays that change while the job runs.
//!
//! A change is said to every worker until each has heard it; a worker says so only when its pulls from
//! before are answered. Until then a pull by an earlier delay may be under way. So the bound *in force*
//! is the largest delay that some living worker may still use, and no pull misses more than it.

use super::Scheduler;
use crate::id::{NodeId, Role, TableId};
use crate::limit;
use crate::wire::{Consistency, ControlMessage, TableSpec};
use std::collections::{BTreeMap, VecDeque};

/// The delays of one table.
#[derive(Debug)]
struct TableDelay {
    table: TableId,
    /// Sequence number and delay of every change that may still be in use, oldest first; never empty.
    changes: VecDeque<(u64, u32)>,
    /// The last change that each worker has heard.
    heard: BTreeMap<NodeId, u64>,
    /// The bound in force as it was reported last.
    in_force: Option<u32>,
}

impl TableDelay {
    /// The change that holds in the end.
    fn latest(&self) -> (u64, u32) {
        self.changes.back().copied().unwrap_or_default()
    }

    fn has_heard(&self, worker: NodeId, sequence: u64) -> bool {
        self.heard.get(&worker).is_some_and(|&heard| heard >= sequence)
    }
}

/// The delays of all tables that have one.
#[derive(Debug, Default)]
pub(super) struct Delays {
    sequence: u64,
    tables: Vec<TableDelay>,
}

impl Delays {
    /// The delays that the tables begin with.
    pub(super) fn new(tables: &[TableSpec]) -> Delays {
        let delay = |spec: &TableSpec| match spec.consistency {
            Consistency::BoundedDelay { delay_max } => {
                let (changes, heard) = (VecDeque::from([(0, delay_max)]), BTreeMap::new());
                Some(TableDelay { table: spec.id, changes, heard, in_force: None })
            }
            _ => None,
        };
        Delays { sequence: 0, tables: tables.iter().filter_map(delay).collect() }
    }

    /// Changes a table's delay; the message for the workers, if that is a change.
    fn change(&mut self, table: TableId, delay_max: u32) -> Option<ControlMessage> {
        let own = self.tables.iter_mut().find(|own| own.table == table)?;
        // Past the limit it is asked for again when somebody has heard.
        if own.latest().1 == delay_max || own.changes.len() >= limit::DELAY_CHANGES {
            return None;
        }
        self.sequence += 1;
        own.changes.push_back((self.sequence, delay_max));
        Some(ControlMessage::Delay { sequence: self.sequence, table, delay_max })
    }

    /// A worker uses this change, and nothing before it any more.
    pub(super) fn on_heard(&mut self, worker: NodeId, table: TableId, sequence: u64) {
        if let Some(own) = self.tables.iter_mut().find(|own| own.table == table) {
            let heard = own.heard.entry(worker).or_default();
            *heard = (*heard).max(sequence);
        }
    }

    /// A worker's node is lost: who comes in its place has heard nothing.
    pub(super) fn forget(&mut self, worker: NodeId) {
        self.tables.iter_mut().for_each(|own| own.heard.retain(|&heard, _| heard != worker));
    }

    /// Declares tables with the delays of now, for a worker that joins.
    pub(super) fn put_into(&self, tables: &mut [TableSpec]) {
        for own in &self.tables {
            if let Some(spec) = tables.iter_mut().find(|spec| spec.id == own.table) {
                spec.consistency = Consistency::BoundedDelay { delay_max: own.latest().1 };
            }
        }
    }

    /// What a worker has not heard yet.
    fn unheard(&self, worker: NodeId) -> Vec<ControlMessage> {
        let changed = self.tables.iter().map(|own| (own, own.latest()));
        let unheard = changed.filter(|(own, (sequence, _))| *sequence > 0 && !own.has_heard(worker, *sequence));
        let message = |(own, (sequence, delay_max)): (&TableDelay, _)| ControlMessage::Delay {
            sequence,
            table: own.table,
            delay_max,
        };
        unheard.map(message).collect()
    }

    /// Forgets changes that no living worker uses; the bounds in force that are new.
    fn settle(&mut self, living: &[NodeId]) -> Vec<(TableId, u32)> {
        let mut news = Vec::new();
        for own in &mut self.tables {
            while let Some(&(next, _)) = own.changes.get(1)
                && living.iter().all(|&worker| own.has_heard(worker, next))
            {
                own.changes.pop_front();
            }
            let in_force = own.changes.iter().map(|&(_, delay)| delay).max();
            if in_force != own.in_force {
                own.in_force = in_force;
                news.extend(in_force.map(|delay| (own.table, delay)));
            }
        }
        news
    }

    fn tables(&self) -> Vec<TableId> {
        self.tables.iter().map(|own| own.table).collect()
    }
}

impl Scheduler {
    /// The largest delay that a pull of the table may have been begun with and not be answered yet.
    #[must_use]
    pub fn delay_in_force(&self, table: TableId) -> Option<u32> {
        self.delays.tables.iter().find(|own| own.table == table)?.in_force
    }

    /// Asks the learning program which delays it wants, says changes, and tells which bound is in force.
    pub(super) fn check_delays(&mut self) {
        for table in self.delays.tables() {
            let wanted = self.workload.delay(table);
            if let Some(message) = wanted.and_then(|delay_max| self.delays.change(table, delay_max)) {
                self.workers().into_iter().for_each(|worker| self.say(worker, &message));
            }
        }
        self.settle_delays();
    }

    /// Tells the learning program which bounds are in force, if that has changed.
    pub(super) fn settle_delays(&mut self) {
        let living = self.workers();
        for (table, delay_max) in self.delays.settle(&living) {
            self.workload.on_delay_in_force(table, delay_max);
        }
    }

    /// Says changes again that were not heard.
    pub(super) fn repeat_delays(&mut self) {
        for worker in self.workers() {
            self.delays.unheard(worker).iter().for_each(|message| self.say(worker, message));
        }
        self.check_delays();
    }

    /// Workers that pull or may still come to.
    fn workers(&self) -> Vec<NodeId> {
        let workers = self.nodes.iter().filter(|(id, node)| id.role() == Some(Role::Worker) && !node.said_goodbye);
        workers.map(|(&id, _)| id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{DType, Filters, Layout, UpdateFunction};

    const TABLE: TableId = TableId(0);
    const WORKERS: [NodeId; 2] = [NodeId::worker(0), NodeId::worker(1)];

    fn delays(delay_max: u32) -> Delays {
        Delays::new(&[TableSpec {
            id: TABLE,
            name: "weights".to_owned(),
            dtype: DType::F32,
            width: 1,
            key_end: 10,
            layout: Layout::Dense,
            update: UpdateFunction::Sum,
            consistency: Consistency::BoundedDelay { delay_max },
            filters: Filters::default(),
        }])
    }

    #[test]
    fn changes_that_a_worker_does_not_hear_do_not_pile_up() {
        let mut delays = delays(8);
        let changed = (0..10_000).filter(|turn| delays.change(TABLE, turn % 7).is_some()).count();
        assert!(changed <= limit::DELAY_CHANGES && delays.tables[0].changes.len() <= limit::DELAY_CHANGES);
        let last = delays.sequence;
        WORKERS.iter().for_each(|&worker| delays.on_heard(worker, TABLE, last));
        delays.settle(&WORKERS);
        assert!(delays.change(TABLE, 5).or_else(|| delays.change(TABLE, 6)).is_some(), "they were heard");
    }

    #[test]
    fn the_larger_bound_is_in_force_until_every_living_worker_has_heard() {
        let mut delays = delays(8);
        assert_eq!(delays.settle(&WORKERS), [(TABLE, 8)]);
        assert!(delays.change(TABLE, 2).is_some() && delays.change(TABLE, 2).is_none());
        delays.on_heard(WORKERS[0], TABLE, 1);
        assert_eq!(delays.settle(&WORKERS), []);
        assert_eq!((delays.unheard(WORKERS[0]).len(), delays.unheard(WORKERS[1]).len()), (0, 1));
        delays.change(TABLE, 5);
        assert_eq!(delays.settle(&WORKERS[..1]), [(TABLE, 5)], "the other is gone");
        delays.change(TABLE, 9);
        assert_eq!(delays.settle(&WORKERS), [(TABLE, 9)], "a larger one holds at once");
        WORKERS.into_iter().for_each(|worker| delays.on_heard(worker, TABLE, 3));
        assert_eq!(delays.settle(&WORKERS), []);
    }

    #[test]
    fn tables_without_a_delay_have_none() {
        let mut delays = Delays::default();
        assert!(delays.change(TABLE, 3).is_none() && delays.settle(&WORKERS).is_empty());
    }
}
