//! The units of work, and how often each was given and finished.

use parashard::id::{TableId, WriterId};
use parashard::protocol::scheduler::{Offer, Workload};
use parashard::wire::{Shutdown, Unit};
use std::sync::{Arc, Mutex, MutexGuard};

/// What happened to each unit.
#[derive(Debug, Default)]
pub(crate) struct Units {
    pub(crate) given: Vec<u32>,
    pub(crate) finished: Vec<u32>,
}

/// Hands out every unit once; may keep workers waiting until all are finished.
pub(crate) struct PoolOfWork {
    units: Arc<Mutex<Units>>,
    waits: bool,
    /// The delays that it wants in turn, and how often it was asked.
    delays: Vec<u32>,
    asked: usize,
}

/// How often the same delay is wanted.
const ASKED_FOR_ONE: usize = 3;

impl PoolOfWork {
    pub(crate) fn new(count: u64, waits: bool, delays: Vec<u32>) -> (PoolOfWork, Arc<Mutex<Units>>) {
        let none = vec![0; count as usize];
        let units = Arc::new(Mutex::new(Units { given: none.clone(), finished: none }));
        (PoolOfWork { units: Arc::clone(&units), waits, delays, asked: 0 }, units)
    }

    fn units(&self) -> MutexGuard<'_, Units> {
        self.units.lock().expect("one thread")
    }
}

impl Workload for PoolOfWork {
    fn next(&mut self, _worker: WriterId) -> Offer {
        let mut units = self.units();
        if let Some(index) = units.given.iter().position(|&given| given == 0) {
            units.given[index] += 1;
            return Offer::Unit(Unit { id: index as u64, payload: (index as u64).to_le_bytes().to_vec() });
        }
        let all_finished = units.finished.iter().all(|&finished| finished > 0);
        if self.waits && !all_finished { Offer::Wait } else { Offer::Finished }
    }

    fn finished(&mut self, _worker: WriterId, unit: u64, report: &[u8]) -> Result<(), Shutdown> {
        assert_eq!(report, unit.to_le_bytes(), "a unit was accounted for with another's report");
        self.units().finished[unit as usize] += 1;
        Ok(())
    }

    fn progress(&mut self, _worker: WriterId, report: &[u8]) {
        assert_eq!(report, [1, 2, 3]);
    }

    fn stop(&mut self) {}

    fn delay(&mut self, _table: TableId) -> Option<u32> {
        self.asked += 1;
        let place = self.asked / ASKED_FOR_ONE;
        self.delays.get(place % self.delays.len().max(1)).copied()
    }
}
