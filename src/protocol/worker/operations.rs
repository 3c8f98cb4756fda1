//! The operations that a worker keeps, by timestamp.
//!
//! Timestamps count up without holes, so the places of the kept ones are a queue: finding one is one
//! subtraction. The operations themselves and their segment lists are used again, so that in steady
//! state nothing is allocated for an operation.
//!
//! Invariant: `settled` is the lowest timestamp of an operation that is not acknowledged everywhere,
//! or the next one; it never falls.

use super::operation::{Operation, OperationError, Segment};
use super::target::Target;
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use std::collections::{BTreeMap, VecDeque};

/// A place without an operation.
const NOTHING: u32 = u32::MAX;

/// Segment lists kept for later operations, and the longest that is kept.
const SPARE_COUNT: usize = 64;
const SPARE_SEGMENTS_MAX: usize = 4096;

/// What is left of an operation that is over.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) error: Option<OperationError>,
    pub(super) target: Target,
    /// To a call.
    pub(super) answers: BTreeMap<KeyRange, Vec<u8>>,
    /// Whether the target is memory of the program.
    pub(super) is_given: bool,
}

/// The kept operations.
#[derive(Debug)]
pub(super) struct Operations {
    /// Timestamp of the first place.
    first: u64,
    places: VecDeque<u32>,
    kept: Vec<Operation>,
    free: Vec<u32>,
    spare: Vec<Vec<Segment>>,
    settled: u64,
    unacknowledged_bytes: usize,
}

impl Operations {
    /// None; the first will be timestamp 1.
    pub(super) fn new() -> Operations {
        Operations {
            first: 1,
            places: VecDeque::new(),
            kept: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            settled: 1,
            unacknowledged_bytes: 0,
        }
    }

    /// The name of the operation that is inserted next.
    pub(super) fn next_timestamp(&self) -> Timestamp {
        Timestamp(self.first + self.places.len() as u64)
    }

    /// Everything below is acknowledged everywhere.
    pub(super) fn settled(&self) -> Timestamp {
        Timestamp(self.settled)
    }

    /// Bytes of pushes that are not acknowledged.
    pub(super) fn unacknowledged_bytes(&self) -> usize {
        self.unacknowledged_bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// An empty list for the segments of an operation.
    pub(super) fn segment_list(&mut self) -> Vec<Segment> {
        self.spare.pop().unwrap_or_default()
    }

    /// Keeps an operation under the next timestamp.
    pub(super) fn insert(&mut self, operation: Operation) -> Timestamp {
        let timestamp = self.next_timestamp();
        if operation.unacknowledged {
            self.unacknowledged_bytes += operation.source_bytes;
        }
        let place = match self.free.pop() {
            Some(place) => {
                self.kept[place as usize] = operation;
                place
            }
            None => {
                self.kept.push(operation);
                self.kept.len() as u32 - 1
            }
        };
        self.places.push_back(place);
        self.advance();
        timestamp
    }

    pub(super) fn at(&self, timestamp: Timestamp) -> Option<&Operation> {
        self.place(timestamp).map(|place| &self.kept[place])
    }

    pub(super) fn at_mut(&mut self, timestamp: Timestamp) -> Option<&mut Operation> {
        let place = self.place(timestamp)?;
        Some(&mut self.kept[place])
    }

    /// Every shard has acknowledged the operation.
    pub(super) fn acknowledge(&mut self, timestamp: Timestamp) {
        let Some(operation) = self.at_mut(timestamp) else { return };
        if std::mem::take(&mut operation.unacknowledged) {
            let bytes = operation.source_bytes;
            self.unacknowledged_bytes -= bytes;
            self.advance();
        }
    }

    /// Forgets an operation that is over.
    pub(super) fn remove(&mut self, timestamp: Timestamp) -> Option<Outcome> {
        let place = self.place(timestamp)?;
        let operation = std::mem::take(&mut self.kept[place]);
        self.places[(timestamp.0 - self.first) as usize] = NOTHING;
        self.free.push(place as u32);
        while self.places.front() == Some(&NOTHING) {
            self.places.pop_front();
            self.first += 1;
        }
        self.settled = self.settled.max(self.first);
        self.advance();
        let Operation { mut segments, error, target, answers, is_given, .. } = operation;
        if self.spare.len() < SPARE_COUNT && segments.capacity() <= SPARE_SEGMENTS_MAX {
            segments.clear();
            self.spare.push(segments);
        }
        Some(Outcome { error, target, answers, is_given })
    }

    /// All kept operations, oldest first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Timestamp, &Operation)> {
        let timestamps = (self.first..).map(Timestamp);
        let kept = timestamps.zip(&self.places).filter(|&(_, &place)| place != NOTHING);
        kept.map(|(timestamp, &place)| (timestamp, &self.kept[place as usize]))
    }

    fn place(&self, timestamp: Timestamp) -> Option<usize> {
        let at = usize::try_from(timestamp.0.checked_sub(self.first)?).ok()?;
        self.places.get(at).filter(|&&place| place != NOTHING).map(|&place| place as usize)
    }

    /// Moves the settled mark over everything that is acknowledged.
    fn advance(&mut self) {
        let next = self.next_timestamp().0;
        while self.settled < next && !self.at(Timestamp(self.settled)).is_some_and(|open| open.unacknowledged) {
            self.settled += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn operation(unacknowledged: bool, source_bytes: usize) -> Operation {
        Operation { unacknowledged, source_bytes, ..Operation::default() }
    }

    proptest! {
        #[test]
        fn the_operations_equal_an_ordered_map(steps in prop::collection::vec((0u8..3, 0usize..20, any::<bool>()), 0..120)) {
            let mut operations = Operations::new();
            let mut plain: BTreeMap<u64, (bool, usize)> = BTreeMap::new();
            for (what, which, push) in steps {
                let name = plain.keys().nth(which % plain.len().max(1)).copied();
                match (what, name) {
                    (1, Some(name)) => {
                        operations.acknowledge(Timestamp(name));
                        plain.entry(name).and_modify(|entry| entry.0 = false);
                    }
                    (2, Some(name)) if !plain[&name].0 => {
                        prop_assert!(operations.remove(Timestamp(name)).is_some());
                        prop_assert!(operations.remove(Timestamp(name)).is_none());
                        plain.remove(&name);
                    }
                    _ => {
                        let name = operations.insert(operation(push, which));
                        plain.insert(name.0, (push, which));
                    }
                }
                let next = operations.next_timestamp().0;
                let settled = plain.iter().find(|(_, entry)| entry.0).map_or(next, |(&name, _)| name);
                prop_assert_eq!(operations.settled().0, settled);
                let bytes: usize = plain.values().filter(|entry| entry.0).map(|entry| entry.1).sum();
                prop_assert_eq!(operations.unacknowledged_bytes(), bytes);
                let kept: Vec<u64> = operations.iter().map(|(name, _)| name.0).collect();
                prop_assert_eq!(kept, plain.keys().copied().collect::<Vec<_>>());
            }
        }
    }
}
