//! The last step of a sequential table, undone for a pull that comes after it.
//!
//! When a worker is lost, shards may have committed a step that others have not, for the lost one had not told
//! all of them that it had ended it. Who does its work again pulls for that step, and must see what the lost one
//! saw, or its push to the shards behind would be another than the one that the shards ahead have applied. One
//! step is enough: a worker pulls from every shard for a step before it pushes, so no shard can be two ahead.
//! A writer that had finished before that step did not push to it and sees what all see.
//!
//! Kept are the pushes of the step and the values of their keys before it: as much memory again as the step took
//! while it was open. Only jobs that survive the loss of workers keep them.

use super::arrived::Arrived;
use crate::id::Time;
use crate::keyspace::KeyRange;
use crate::memory::{Block, Pool, copy_counted};
use crate::store::Table;
use std::sync::Arc;

/// A push of the step, with the values of its keys before it.
struct Changed {
    push: Arrived,
    before: Block,
}

/// What is needed to undo one step.
#[derive(Default)]
pub(super) struct Past {
    time: Option<Time>,
    changed: Vec<Changed>,
}

impl Past {
    /// Another step is about to be committed.
    pub(super) fn begin(&mut self, time: Time) {
        self.time = Some(time);
        self.changed.clear();
    }

    /// The values of the keys of a push, before its step is committed.
    pub(super) fn values_of(push: &Arrived, table: &Table, pool: &Arc<Pool>) -> Block {
        let mut before = pool.block(push.value_bytes(table.spec().value_size()));
        table.gather(push.header().range, push.keys(), &mut before);
        before
    }

    /// A push was applied; its keys had these values before.
    pub(super) fn keep(&mut self, push: Arrived, before: Block) {
        self.changed.push(Changed { push, before });
    }

    /// Whether a pull for this time is to see the values before the last step.
    pub(super) fn is_of(&self, time: Time) -> bool {
        self.time == Some(time)
    }

    /// Puts the values before the step into the answer to a pull of these keys.
    pub(super) fn restore(&self, range: KeyRange, keys: Option<&[u64]>, values: &mut [u8]) {
        for Changed { push, before } in &self.changed {
            let pushed = push.header().range;
            match push.keys() {
                Some(pushed) => restore(pushed.iter().copied(), before, range, keys, values),
                None => restore(pushed.begin..pushed.end, before, range, keys, values),
            }
        }
    }
}

/// Copies one value a changed key to its place among the pulled ones; both are ordered.
fn restore(
    changed: impl Iterator<Item = u64> + Clone,
    before: &[u8],
    range: KeyRange,
    keys: Option<&[u64]>,
    values: &mut [u8],
) {
    let size = before.len() / changed.clone().count().max(1);
    let mut place = 0;
    for (key, before) in changed.zip(before.chunks_exact(size.max(1))) {
        if !range.contains(key) {
            continue;
        }
        match keys {
            None => place = (key - range.begin) as usize,
            Some(keys) => place += keys[place..].partition_point(|&pulled| pulled < key),
        }
        if keys.is_none_or(|keys| keys.get(place) == Some(&key)) {
            copy_counted(&mut values[place * size..(place + 1) * size], before);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::restore;
    use crate::keyspace::KeyRange;

    #[test]
    fn values_go_back_to_the_places_of_their_keys() {
        let (changed, before, range) = ([2, 5, 9], [20, 50, 90], KeyRange::new(2, 9));
        let mut values = [1, 1, 1, 1];
        restore(changed.into_iter(), &before, range, Some(&[3, 5, 8, 9]), &mut values);
        assert_eq!(values, [1, 50, 1, 1]);
        let mut values = [1; 7];
        restore(changed.into_iter(), &before, range, None, &mut values);
        assert_eq!(values, [20, 1, 1, 50, 1, 1, 1]);
        restore(6..8, &[60, 70], range, None, &mut values);
        assert_eq!(values, [20, 1, 1, 50, 60, 70, 1]);
    }
}
