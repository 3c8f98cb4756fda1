//! Immutable key lists.

use super::error::ClientError;
use crate::memory::TxBuf;

/// An immutable, strictly ascending list of keys; cloning shares it. Checked once, when it is made.
#[derive(Debug, Clone)]
pub struct KeyList {
    keys: TxBuf,
}

impl KeyList {
    /// Takes a list of keys over without a copy.
    ///
    /// # Errors
    /// When the keys are not strictly ascending, or one is `u64::MAX`.
    pub fn new(keys: Vec<u64>) -> Result<KeyList, ClientError> {
        let wrong = keys.windows(2).position(|pair| pair[0] >= pair[1]).map(|index| index + 1);
        let wrong = wrong.or_else(|| (keys.last() == Some(&u64::MAX)).then(|| keys.len() - 1));
        match wrong {
            Some(index) => Err(ClientError::Keys { index, key: keys[index] }),
            None => Ok(KeyList { keys: TxBuf::from_vec(keys) }),
        }
    }

    /// The keys.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        self.keys.typed()
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.len() / 8
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(super) fn buffer(&self) -> TxBuf {
        self.keys.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_out_of_order_names_the_first_wrong_key() {
        let error = KeyList::new(vec![1, 5, 5, 9]).expect_err("5 twice");
        assert!(matches!(error, ClientError::Keys { index: 2, key: 5 }), "{error}");
        assert!(KeyList::new(vec![u64::MAX]).is_err());
        assert!(KeyList::new(Vec::new()).expect("empty is fine").is_empty());
    }
}
