//! The operations that a worker keeps, by timestamp.
//!
//! Timestamps count up without holes, so the places of the kept ones are a queue: finding one is one
//! subtraction. The operations themselves and their segment lists are used again, so that in steady
//! state nothing is allocated for an operation.
//!
//! A program may reserve names for operations that begin later, so that a name tells the operation's place
//! in the work and not its moment.
//!
//! Invariant: `settled` is the lowest timestamp that is reserved or of an operation that is not acknowledged
//! everywhere, or the next one; it never falls.

use super::operation::{Operation, OperationError, Segment};
use super::target::Target;
use crate::id::Timestamp;
use crate::keyspace::KeyRange;
use std::collections::{BTreeMap, VecDeque};

/// A place without an operation.
const NOTHING: u32 = u32::MAX;
/// A place for an operation that may still come.
const RESERVED: u32 = u32::MAX - 1;

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
    unacknowledged_count: usize,
}

impl Operations {
    /// None; the first will have this name.
    pub(super) fn starting(Timestamp(first): Timestamp) -> Operations {
        Operations {
            first,
            places: VecDeque::new(),
            kept: Vec::new(),
            free: Vec::new(),
            spare: Vec::new(),
            settled: first,
            unacknowledged_bytes: 0,
            unacknowledged_count: 0,
        }
    }

    /// The name that is given next.
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

    /// Whether every operation that was begun is acknowledged.
    pub(super) fn is_settled(&self) -> bool {
        self.unacknowledged_count == 0
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// An empty list for the segments of an operation.
    pub(super) fn segment_list(&mut self) -> Vec<Segment> {
        self.spare.pop().unwrap_or_default()
    }

    /// Reserves the next `count` names; gives the first.
    pub(super) fn reserve(&mut self, count: usize) -> Timestamp {
        let first = self.next_timestamp();
        self.places.extend(std::iter::repeat_n(RESERVED, count));
        first
    }

    pub(super) fn is_reserved(&self, timestamp: Timestamp) -> bool {
        self.index(timestamp).is_some_and(|index| self.places[index] == RESERVED)
    }

    /// Gives up a reserved name that no operation has taken.
    pub(super) fn release(&mut self, timestamp: Timestamp) {
        if let Some(index) = self.index(timestamp).filter(|_| self.is_reserved(timestamp)) {
            self.places[index] = NOTHING;
            self.drop_front();
        }
    }

    /// Keeps an operation under a reserved name.
    pub(super) fn insert(&mut self, timestamp: Timestamp, operation: Operation) {
        let Some(index) = self.index(timestamp).filter(|_| self.is_reserved(timestamp)) else { return };
        if operation.unacknowledged {
            self.unacknowledged_bytes += operation.source_bytes;
            self.unacknowledged_count += 1;
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
        self.places[index] = place;
        self.advance();
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
            self.unacknowledged_count -= 1;
            self.advance();
        }
    }

    /// Forgets an operation that is over.
    pub(super) fn remove(&mut self, timestamp: Timestamp) -> Option<Outcome> {
        let place = self.place(timestamp)?;
        let operation = std::mem::take(&mut self.kept[place]);
        self.places[(timestamp.0 - self.first) as usize] = NOTHING;
        self.free.push(place as u32);
        self.drop_front();
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
        let kept = timestamps.zip(&self.places).filter(|&(_, &place)| place < RESERVED);
        kept.map(|(timestamp, &place)| (timestamp, &self.kept[place as usize]))
    }

    fn index(&self, timestamp: Timestamp) -> Option<usize> {
        let index = usize::try_from(timestamp.0.checked_sub(self.first)?).ok()?;
        (index < self.places.len()).then_some(index)
    }

    fn place(&self, timestamp: Timestamp) -> Option<usize> {
        let place = self.places[self.index(timestamp)?];
        (place < RESERVED).then_some(place as usize)
    }

    /// Forgets the first places as far as nothing is there or comes there.
    fn drop_front(&mut self) {
        while self.places.front() == Some(&NOTHING) {
            self.places.pop_front();
            self.first += 1;
        }
        self.settled = self.settled.max(self.first);
        self.advance();
    }

    /// Moves the settled mark over everything that is acknowledged.
    fn advance(&mut self) {
        let next = self.next_timestamp().0;
        let is_open = |timestamp| {
            self.is_reserved(timestamp) || self.at(timestamp).is_some_and(|operation| operation.unacknowledged)
        };
        let settled = (self.settled..next).find(|&timestamp| is_open(Timestamp(timestamp)));
        self.settled = settled.unwrap_or(next.max(self.settled));
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
        fn the_operations_equal_an_ordered_map(steps in prop::collection::vec((0u8..6, 0usize..20, any::<bool>()), 0..120)) {
            let mut operations = Operations::starting(Timestamp(1));
            let mut plain: BTreeMap<u64, (bool, usize)> = BTreeMap::new();
            let mut reserved: Vec<u64> = Vec::new();
            for (what, which, push) in steps {
                let name = plain.keys().nth(which % plain.len().max(1)).copied();
                let place = which % reserved.len().max(1);
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
                    (3, _) => reserved.push(operations.reserve(1).0),
                    (4, _) if !reserved.is_empty() => operations.release(Timestamp(reserved.remove(place))),
                    _ => {
                        let late = (what == 5 && !reserved.is_empty()).then(|| reserved.remove(place));
                        let name = late.unwrap_or_else(|| operations.reserve(1).0);
                        prop_assert!(operations.is_reserved(Timestamp(name)));
                        operations.insert(Timestamp(name), operation(push, which));
                        plain.insert(name, (push, which));
                    }
                }
                let next = operations.next_timestamp().0;
                let open = plain.iter().filter(|(_, entry)| entry.0).map(|(&name, _)| name);
                let settled = open.chain(reserved.iter().copied()).min().unwrap_or(next);
                prop_assert_eq!(operations.settled().0, settled);
                prop_assert_eq!(operations.is_settled(), plain.values().all(|entry| !entry.0));
                let bytes: usize = plain.values().filter(|entry| entry.0).map(|entry| entry.1).sum();
                prop_assert_eq!(operations.unacknowledged_bytes(), bytes);
                let kept: Vec<u64> = operations.iter().map(|(name, _)| name.0).collect();
                prop_assert_eq!(kept, plain.keys().copied().collect::<Vec<_>>());
            }
        }
    }
}
