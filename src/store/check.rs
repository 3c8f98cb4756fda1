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
        let expected = self.check_keys(range, keys)?;
        if values.len() as u64 != expected {
            return Err(StoreError::ValueBytes { table: self.name(), found: values.len(), expected });
        }
        let numbers = numbers::<T>(values);
        if T::all_finite(&numbers) {
            return Ok(());
        }
        let index = numbers.iter().position(|number| !T::all_finite(std::slice::from_ref(number)));
        Err(StoreError::NotFinite { table: self.name(), index: index.unwrap_or(0) })
    }

    /// Bytes of the reply, if the pull may be answered.
    pub(super) fn check_pull(&self, range: KeyRange, keys: Option<&[u64]>) -> Result<usize, StoreError> {
        let bytes = self.check_keys(range, keys)?;
        usize::try_from(bytes).map_err(|_| StoreError::NotOwned { table: self.name(), range })
    }

    /// Value bytes that go with these keys.
    fn check_keys(&self, range: KeyRange, keys: Option<&[u64]>) -> Result<u64, StoreError> {
        if !self.owns(range) {
            return Err(StoreError::NotOwned { table: self.name(), range });
        }
        let size = self.spec.value_size() as u64;
        let Some(keys) = keys else {
            return match self.spec.layout {
                Layout::Dense => Ok(range.span().saturating_mul(size)),
                Layout::Sparse => Err(StoreError::KeysMissing { table: self.name() }),
            };
        };
        if !simd::strictly_ascending(keys) {
            let index = keys.windows(2).position(|pair| pair[0] >= pair[1]).map_or(0, |index| index + 1);
            return Err(StoreError::Unordered { table: self.name(), key: keys[index], index });
        }
        let outside = [keys.first(), keys.last()].into_iter().flatten().find(|&&key| !range.contains(key));
        if let Some(&key) = outside {
            return Err(StoreError::OutOfRange { table: self.name(), key, range });
        }
        Ok((keys.len() as u64).saturating_mul(size))
    }

    fn owns(&self, range: KeyRange) -> bool {
        let own = self.owned.partition_point(|own| own.end < range.end);
        range.is_empty() || self.owned.get(own).is_some_and(|own| own.covers(range))
    }

    pub(super) fn name(&self) -> String {
        self.spec.name.clone()
    }
}
