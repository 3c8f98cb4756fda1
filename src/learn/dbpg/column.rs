//! A worker's rows in memory: by rows, and by columns (features). Features are numbered in the order of
//! their keys.

use crate::learn::data::LocalBatch;

/// Rows and columns of the same matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct LocalData {
    /// Key of each feature, ascending.
    pub(super) keys: Vec<u64>,
    /// One a row: 0 or 1.
    pub(super) labels: Vec<f32>,
    /// The features of each row.
    pub(super) rows: Lists,
    /// The rows of each feature.
    pub(super) columns: Lists,
}

/// Lists of places in the other direction, and the values there.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Lists {
    /// Lists plus one.
    begins: Vec<usize>,
    places: Vec<u32>,
    /// None when all are 1.
    values: Option<Vec<f32>>,
}

impl Lists {
    pub(super) fn count(&self) -> usize {
        self.begins.len().saturating_sub(1)
    }

    /// All entries of all lists.
    pub(super) fn entry_count(&self) -> usize {
        self.places.len()
    }

    /// Where a list's entries lie among all.
    pub(super) fn span(&self, list: usize) -> std::ops::Range<usize> {
        self.begins[list]..self.begins[list + 1]
    }

    pub(super) fn places(&self, list: usize) -> &[u32] {
        &self.places[self.span(list)]
    }

    /// Values of a list; none when all are 1.
    pub(super) fn values(&self, list: usize) -> Option<&[f32]> {
        self.values.as_ref().map(|values| &values[self.span(list)])
    }

    /// Visits (place, value) of a list in order.
    #[inline(always)]
    pub(super) fn for_each(&self, list: usize, mut visit: impl FnMut(usize, f32)) {
        match self.values(list) {
            None => self.places(list).iter().for_each(|&place| visit(place as usize, 1.0)),
            Some(values) => {
                self.places(list).iter().zip(values).for_each(|(&place, &value)| visit(place as usize, value))
            }
        }
    }

    /// The same matrix in the other direction, of `count` lists.
    fn transposed(&self, count: usize) -> Lists {
        let mut begins = vec![0usize; count + 1];
        self.places.iter().for_each(|&place| begins[place as usize + 1] += 1);
        (0..count).for_each(|list| begins[list + 1] += begins[list]);
        let mut next = begins.clone();
        let mut places = vec![0u32; self.places.len()];
        let mut values = self.values.as_ref().map(|_| vec![0.0f32; self.places.len()]);
        for list in 0..self.count() {
            self.for_each(list, |place, value| {
                let target = next[place];
                next[place] += 1;
                // Lists are fewer than 2^32: their numbers are places of the other direction.
                places[target] = list as u32;
                if let Some(values) = &mut values {
                    values[target] = value;
                }
            });
        }
        Lists { begins, places, values }
    }

    /// These lists without the places that `numbers` maps to `u32::MAX`, and with the other places as it
    /// maps them.
    pub(super) fn kept(&self, numbers: &[u32]) -> Lists {
        let mut kept = Lists { begins: vec![0], places: Vec::new(), values: self.values.as_ref().map(|_| Vec::new()) };
        for list in 0..self.count() {
            self.for_each(list, |place, value| {
                if numbers[place] != u32::MAX {
                    kept.places.push(numbers[place]);
                    if let Some(values) = &mut kept.values {
                        values.push(value);
                    }
                }
            });
            kept.begins.push(kept.places.len());
        }
        kept
    }
}

/// Collects minibatches.
#[derive(Debug, Default)]
pub(super) struct Loader {
    batches: Vec<LocalBatch>,
}

impl Loader {
    pub(super) fn add(&mut self, batch: LocalBatch) {
        if batch.row_count() > 0 {
            self.batches.push(batch);
        }
    }

    /// The matrix of all rows, in the order in which they came.
    pub(super) fn finish(self) -> LocalData {
        let mut keys: Vec<u64> = self.batches.iter().flat_map(|batch| &batch.unique).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        let has_values = self.batches.iter().any(|batch| !batch.values.is_empty());
        let mut labels = Vec::new();
        let mut rows = Lists { begins: vec![0], places: Vec::new(), values: has_values.then(Vec::new) };
        for batch in self.batches {
            let mut feature = 0;
            let numbers: Vec<u32> = batch
                .unique
                .iter()
                .map(|&key| {
                    feature += keys[feature..].partition_point(|&own| own < key);
                    feature as u32
                })
                .collect();
            labels.extend_from_slice(&batch.labels);
            let before = rows.places.len();
            rows.places.extend(batch.local.iter().map(|&local| numbers[local as usize]));
            rows.begins.extend(batch.offsets[1..].iter().map(|&end| before + end as usize));
            if let Some(values) = &mut rows.values {
                match batch.values.is_empty() {
                    true => values.resize(rows.places.len(), 1.0),
                    false => values.extend_from_slice(&batch.values),
                }
            }
        }
        let columns = rows.transposed(keys.len());
        LocalData { keys, labels, rows, columns }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(labels: &[f32], offsets: &[u32], unique: &[u64], local: &[u32], values: &[f32]) -> LocalBatch {
        LocalBatch {
            labels: labels.to_vec(),
            offsets: offsets.to_vec(),
            unique: unique.to_vec(),
            local: local.to_vec(),
            values: values.to_vec(),
        }
    }

    fn loaded() -> LocalData {
        let mut loader = Loader::default();
        loader.add(batch(&[1.0, 0.0], &[0, 2, 3], &[5, 9], &[0, 1, 1], &[]));
        loader.add(batch(&[1.0], &[0, 3], &[2, 5, 30], &[2, 0, 1], &[0.5, 2.0, 4.0]));
        loader.finish()
    }

    #[test]
    fn columns_hold_what_rows_hold() {
        let data = loaded();
        assert_eq!((data.keys.as_slice(), data.labels.as_slice()), (&[2, 5, 9, 30][..], &[1.0, 0.0, 1.0][..]));
        let listed = |lists: &Lists, list| {
            let mut entries = Vec::new();
            lists.for_each(list, |place, value| entries.push((place, value)));
            entries
        };
        assert_eq!(listed(&data.rows, 0), [(1, 1.0), (2, 1.0)]);
        assert_eq!(listed(&data.rows, 2), [(3, 0.5), (0, 2.0), (1, 4.0)]);
        assert_eq!(listed(&data.columns, 0), [(2, 2.0)]);
        assert_eq!(listed(&data.columns, 1), [(0, 1.0), (2, 4.0)]);
        assert_eq!(listed(&data.columns, 2), [(0, 1.0), (1, 1.0)]);
        assert_eq!(data.columns.entry_count(), data.rows.entry_count());
    }

    #[test]
    fn features_that_are_not_kept_leave_their_rows() {
        let data = loaded();
        let kept = data.rows.kept(&[0, u32::MAX, 1, u32::MAX]);
        assert_eq!((kept.places(0), kept.places(1), kept.places(2)), (&[1][..], &[1][..], &[0][..]));
        assert_eq!(kept.values(2), Some(&[2.0][..]));
    }

    #[test]
    fn no_rows_are_no_features() {
        let data = Loader::default().finish();
        assert_eq!((data.rows.count(), data.columns.count(), data.keys.len()), (0, 0, 0));
    }
}
