//! Everything that can be wrong with a request, found before anything is applied.

use super::StoreError;
use super::element::Element;
use super::typed::{TypedTable, numbers};
use crate::keyspace::KeyRange;
use crate::simd;
use crate::wire::Layout;

impl<T: Element> TypedTable<T> {
    /// Whether a push may be applied.
    pub(super) fn check_push(&self, range: KeyRange, keys: Option<&[u64]>, values: &[u8]) -> Result<(), StoreError> {
        let count = self.check_keys(range, keys)?;
        self.check_pushed(count, values)
    }

    /// Whether the values of a push may be applied to `count` checked keys.
    pub(super) fn check_pushed(&self, count: u64, values: &[u8]) -> Result<(), StoreError> {
        self.check_numbers::<T>(count, self.width(), self.spec.push_max(), values)
    }

    /// Bytes of the reply, if the pull may be answered.
    pub(super) fn check_pull(&self, range: KeyRange, keys: Option<&[u64]>) -> Result<usize, StoreError> {
        let count = self.check_keys(range, keys)?;
        usize::try_from(count.saturating_mul(self.spec.value_size() as u64))
            .map_err(|_| StoreError::NotOwned { table: self.name(), range })
    }

    /// Number of keys that the request names.
    fn check_keys(&self, range: KeyRange, keys: Option<&[u64]>) -> Result<u64, StoreError> {
        if !self.owns(range) {
            return Err(StoreError::NotOwned { table: self.name(), range });
        }
        let Some(keys) = keys else {
            return match self.spec.layout {
                Layout::Dense => Ok(range.span()),
                Layout::Sparse => Err(StoreError::KeysMissing { table: self.name() }),
            };
        };
        self.check_order(keys)?;
        let outside = [keys.first(), keys.last()].into_iter().flatten().find(|&&key| !range.contains(key));
        match outside {
            Some(&key) => Err(StoreError::OutOfRange { table: self.name(), key, range }),
            None => Ok(keys.len() as u64),
        }
    }

    pub(super) fn check_order(&self, keys: &[u64]) -> Result<(), StoreError> {
        if simd::strictly_ascending(keys) {
            return Ok(());
        }
        let index = keys.windows(2).position(|pair| pair[0] >= pair[1]).map_or(0, |index| index + 1);
        Err(StoreError::Unordered { table: self.name(), key: keys[index], index })
    }

    /// Whether `bytes` are `width` numbers for each of `count` keys, none beyond `largest` in size.
    pub(super) fn check_numbers<N: Element>(
        &self,
        count: u64,
        width: usize,
        largest: f64,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        let expected = count.saturating_mul((width * size_of::<N>()) as u64);
        if bytes.len() as u64 != expected {
            return Err(StoreError::ValueBytes { table: self.name(), found: bytes.len(), expected });
        }
        let numbers = numbers::<N>(bytes);
        if N::all_within(&numbers, largest) {
            return Ok(());
        }
        let not_finite = |number: &N| !N::all_within(std::slice::from_ref(number), N::DTYPE.largest());
        Err(match numbers.iter().position(not_finite) {
            Some(index) => StoreError::NotFinite { table: self.name(), index },
            None => StoreError::TooLarge { table: self.name(), limit: largest },
        })
    }

    fn owns(&self, range: KeyRange) -> bool {
        let own = self.owned.partition_point(|own| own.end < range.end);
        range.is_empty() || self.owned.get(own).is_some_and(|own| own.covers(range))
    }

    pub(super) fn name(&self) -> String {
        self.spec.name.clone()
    }
}
