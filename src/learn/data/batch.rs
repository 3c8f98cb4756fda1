//! Rows of features: as they are parsed, and as the learner wants them.

/// Rows in compressed form, keys as they stand in the data. Reused from batch to batch.
///
/// Row `r` has the features `offsets[r]..offsets[r + 1]` of `keys` and `values`.
#[derive(Debug, Clone, PartialEq)]
pub struct RowBatch {
    /// One a row: 0 or 1.
    pub labels: Vec<f32>,
    /// Rows plus one; the first is 0.
    pub offsets: Vec<u32>,
    /// One a feature.
    pub keys: Vec<u64>,
    /// One a feature, or none at all when every value is 1.
    pub values: Vec<f32>,
}

impl Default for RowBatch {
    fn default() -> RowBatch {
        RowBatch { labels: Vec::new(), offsets: vec![0], keys: Vec::new(), values: Vec::new() }
    }
}

impl RowBatch {
    /// Number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.labels.len()
    }

    /// Keys of row `index`.
    #[must_use]
    pub fn row_keys(&self, index: usize) -> &[u64] {
        &self.keys[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// Values of row `index`; empty when all values of the batch are 1.
    #[must_use]
    pub fn row_values(&self, index: usize) -> &[f32] {
        if self.values.is_empty() {
            return &[];
        }
        &self.values[self.offsets[index] as usize..self.offsets[index + 1] as usize]
    }

    /// Takes all rows out; the memory stays.
    pub fn clear(&mut self) {
        self.labels.clear();
        self.offsets.truncate(1);
        self.keys.clear();
        self.values.clear();
    }

    /// Appends a row; `values` is empty when all are 1.
    ///
    /// # Panics
    /// When there are values but not one a key, or the batch exceeds 2^32 features.
    pub fn push_row(&mut self, label: f32, keys: &[u64], values: &[f32]) {
        if !values.is_empty() {
            assert_eq!(keys.len(), values.len(), "a row needs one value a key");
            self.values.resize(self.keys.len(), 1.0);
            self.values.extend_from_slice(values);
        }
        self.keys.extend_from_slice(keys);
        assert!(self.end_row(label), "a batch holds at most 2^32 features");
    }

    /// Gives the feature that was pushed last a value other than 1.
    #[inline]
    pub(super) fn value_last(&mut self, value: f32) {
        self.values.resize(self.keys.len() - 1, 1.0);
        self.values.push(value);
    }

    /// Ends the row whose keys were pushed since the row before. False when there are too many features.
    #[inline]
    #[must_use]
    pub(super) fn end_row(&mut self, label: f32) -> bool {
        let Ok(end) = u32::try_from(self.keys.len()) else { return false };
        if !self.values.is_empty() {
            self.values.resize(self.keys.len(), 1.0);
        }
        self.labels.push(label);
        self.offsets.push(end);
        true
    }

    /// Where the row that is being parsed begins.
    #[inline]
    pub(super) fn open_row_begin(&self) -> usize {
        self.offsets[self.labels.len()] as usize
    }

    /// Drops the features of a row that was not ended.
    pub(super) fn drop_open_row(&mut self) {
        let begin = self.open_row_begin();
        self.keys.truncate(begin);
        self.values.truncate(begin);
        if self.values.iter().all(|&value| value == 1.0) {
            self.values.clear();
        }
    }

    /// Drops every feature whose key is `key_end` or larger; rows stay.
    pub fn drop_keys_from(&mut self, key_end: u64) {
        if self.keys.iter().all(|&key| key < key_end) {
            return;
        }
        let mut kept = 0;
        let mut begin = 0;
        for row in 0..self.row_count() {
            let end = self.offsets[row + 1] as usize;
            for feature in begin..end {
                if self.keys[feature] < key_end {
                    self.keys[kept] = self.keys[feature];
                    if !self.values.is_empty() {
                        self.values[kept] = self.values[feature];
                    }
                    kept += 1;
                }
            }
            begin = end;
            // Fewer features than before, so the count still fits.
            self.offsets[row + 1] = kept as u32;
        }
        self.keys.truncate(kept);
        self.values.truncate(kept);
    }
}

/// A minibatch in the form that a learner wants: its distinct keys in order, as they are pulled and
/// pushed, and for each feature the place of its key among them.
///
/// Row `r` has the features `offsets[r]..offsets[r + 1]` of `local` and `values`.
#[derive(Debug, Clone, PartialEq)]
pub struct LocalBatch {
    /// One a row: 0 or 1.
    pub labels: Vec<f32>,
    /// Rows plus one; the first is 0.
    pub offsets: Vec<u32>,
    /// The distinct keys of the batch, in order.
    pub unique: Vec<u64>,
    /// One a feature: the index of its key in `unique`.
    pub local: Vec<u32>,
    /// One a feature, or none at all when every value is 1.
    pub values: Vec<f32>,
}

impl Default for LocalBatch {
    fn default() -> LocalBatch {
        LocalBatch { labels: Vec::new(), offsets: vec![0], unique: Vec::new(), local: Vec::new(), values: Vec::new() }
    }
}

impl LocalBatch {
    /// Number of rows.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.labels.len()
    }

    /// Takes all rows out; the memory stays.
    pub fn clear(&mut self) {
        self.labels.clear();
        self.offsets.truncate(1);
        self.unique.clear();
        self.local.clear();
        self.values.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_appear_only_when_one_differs_from_one() {
        let mut batch = RowBatch::default();
        batch.push_row(1.0, &[3, 4], &[]);
        assert!(batch.values.is_empty());
        batch.push_row(0.0, &[5], &[2.5]);
        batch.push_row(0.0, &[6, 7], &[]);
        assert_eq!(batch.values, [1.0, 1.0, 2.5, 1.0, 1.0]);
        assert_eq!(batch.row_values(1), [2.5]);
    }

    #[test]
    fn dropped_keys_leave_their_rows() {
        let mut batch = RowBatch::default();
        batch.push_row(1.0, &[3, 9], &[0.5, 2.0]);
        batch.push_row(0.0, &[9], &[]);
        batch.push_row(0.0, &[1, 2], &[]);
        batch.drop_keys_from(9);
        assert_eq!(batch.offsets, [0, 1, 1, 3]);
        assert_eq!(batch.keys, [3, 1, 2]);
        assert_eq!(batch.values, [0.5, 1.0, 1.0]);
    }
}
