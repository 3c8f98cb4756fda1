//! A step of all workers: each pushes (gradient, curvature) of its keys, ends its time, and pulls (weight,
//! summed gradient) as the step left them. Sums over workers are made of keys behind the data's: each
//! worker writes its own, and all read all of them, so that everyone adds in the same order.

use super::config::{BlockProblem, Moved, TOTALS};
use crate::client::{ClientError, Cluster, KeyList, Pending, Table, Values};
use std::cell::Cell;

/// Numbers that are summed over the workers.
pub(super) type Totals = [f64; TOTALS];

/// Lists of the same keys, with and without those of sums behind them.
pub(super) struct Keys {
    /// Keys of the data.
    pub(super) list: KeyList,
    pushed: KeyList,
    pulled: KeyList,
}

/// The table, and this worker's place among the others.
pub(super) struct Exchange<'a> {
    cluster: &'a Cluster,
    table: Table<f64>,
    /// Keys of the data in pushes so far.
    features: Cell<u64>,
    own: Vec<u64>,
    all: Vec<u64>,
    none: Keys,
}

impl<'a> Exchange<'a> {
    pub(super) fn new(
        cluster: &'a Cluster,
        table: Table<f64>,
        problem: &BlockProblem,
    ) -> Result<Exchange<'a>, ClientError> {
        let keys_of = |writer: u32| {
            let begin = BlockProblem::key_end(problem.data_end, writer);
            begin..begin + TOTALS as u64
        };
        let own: Vec<u64> = keys_of(cluster.rank()).collect();
        let all: Vec<u64> = (0..cluster.job().writers).flat_map(keys_of).collect();
        let none = joined(Vec::new(), &own, &all)?;
        Ok(Exchange { cluster, table, features: Cell::new(0), own, all, none })
    }

    /// Lists of these keys, which ascend.
    pub(super) fn keys(&self, keys: Vec<u64>) -> Result<Keys, ClientError> {
        joined(keys, &self.own, &self.all)
    }

    /// Pushes what `fill` writes for each key, and asks for what the step makes of it.
    pub(super) fn begin(
        &self,
        keys: &KeyList,
        fill: impl FnOnce(&mut [[f64; 2]]),
    ) -> Result<Option<Pending<Values<f64>>>, ClientError> {
        if keys.is_empty() {
            self.table.tick()?;
            return Ok(None);
        }
        let mut values = self.table.values(2 * keys.len());
        fill(values.as_chunks_mut::<2>().0);
        self.count(keys);
        // The driver keeps the push until it is acknowledged.
        drop(self.table.push(keys, values)?);
        self.table.tick()?;
        self.table.pull(keys).map(Some)
    }

    /// The sums over all workers of `pushed`, one number a key, and of `totals`.
    pub(super) fn sum(&self, keys: &Keys, pushed: &[f64], totals: Totals) -> Result<(Vec<f64>, Totals), ClientError> {
        let (pulled, each) = self.gather(keys, pushed, totals)?;
        let mut sums = [0.0; TOTALS];
        each.iter().for_each(|own| sums.iter_mut().zip(own).for_each(|(sum, number)| *sum += number));
        Ok((pulled, sums))
    }

    /// The sums over all workers.
    pub(super) fn totals(&self, totals: Totals) -> Result<Totals, ClientError> {
        Ok(self.sum(&self.none, &[], totals)?.1)
    }

    /// The largest of all workers' numbers.
    pub(super) fn largest(&self, number: f64) -> Result<f64, ClientError> {
        let mut own = [0.0; TOTALS];
        own[0] = number;
        Ok(self.gather(&self.none, &[], own)?.1.iter().map(|own| own[0]).fold(0.0, f64::max))
    }

    /// Sets weights to what all workers that have the keys agree on; gives them as they are then, which may be
    /// another last bit, as they were summed and divided.
    pub(super) fn assign(&self, keys: &Keys, weights: &[f64]) -> Result<Vec<f64>, ClientError> {
        let pending = self.begin(&keys.list, |pairs| {
            pairs.iter_mut().zip(weights).for_each(|(pair, &weight)| *pair = [weight, -1.0]);
        })?;
        let Some(pending) = pending else { return Ok(Vec::new()) };
        Ok(pending.wait()?.as_chunks::<2>().0.iter().map(|pair| pair[0]).collect())
    }

    pub(super) fn finish(&self) -> Result<(), ClientError> {
        self.table.finish()
    }

    pub(super) fn table(&self) -> &Table<f64> {
        &self.table
    }

    fn count(&self, keys: &KeyList) {
        self.features.set(self.features.get() + keys.len() as u64);
    }

    /// What this worker moved so far. Pushes count as they are sent, which an answered pull after them proves.
    pub(super) fn moved(&self) -> Moved {
        let statistics = self.cluster.statistics();
        Moved {
            features: self.features.get(),
            bytes_pushed: statistics.bytes_pushed,
            bytes_asked: statistics.bytes_asked,
            bytes_pulled: statistics.bytes_pulled,
        }
    }

    /// The summed gradients, and each worker's totals.
    fn gather(&self, keys: &Keys, pushed: &[f64], totals: Totals) -> Result<(Vec<f64>, Vec<Totals>), ClientError> {
        self.count(&keys.list);
        let mut values = self.table.values(2 * keys.pushed.len());
        let pairs = values.as_chunks_mut::<2>().0.iter_mut();
        pairs.zip(pushed.iter().chain(&totals)).for_each(|(pair, &number)| *pair = [number, 0.0]);
        drop(self.table.push(&keys.pushed, values)?);
        self.table.tick()?;
        let pulled = self.table.pull(&keys.pulled)?.wait()?;
        let gradients = |pairs: &[[f64; 2]]| pairs.iter().map(|pair| pair[1]).collect::<Vec<f64>>();
        let (own, all) = pulled.as_chunks::<2>().0.split_at(keys.list.len());
        Ok((gradients(own), gradients(all).as_chunks::<TOTALS>().0.to_vec()))
    }
}

fn joined(keys: Vec<u64>, own: &[u64], all: &[u64]) -> Result<Keys, ClientError> {
    let with = |more: &[u64]| KeyList::new(keys.iter().chain(more).copied().collect());
    Ok(Keys { pushed: with(own)?, pulled: with(all)?, list: KeyList::new(keys)? })
}
