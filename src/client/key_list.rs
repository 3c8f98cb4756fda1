//! Immutable key lists.

use super::error::ClientError;
use crate::memory::TxBuf;
use crate::node::Keys;
use crate::store;
use std::sync::Arc;

/// An immutable, strictly ascending list of keys; cloning shares it. Checked once, when it is made,
/// cut and hashed once, when it is first used: a list that is used again costs no pass over its keys.
#[derive(Debug, Clone)]
pub struct KeyList {
    keys: Keys,
}

impl KeyList {
    /// Takes a list of keys over without a copy.
    ///
    /// # Errors
    /// When the keys are not strictly ascending, or one is `u64::MAX`.
    pub fn new(keys: Vec<u64>) -> Result<KeyList, ClientError> {
        check(&keys)?;
        Ok(KeyList { keys: Keys::immutable(TxBuf::from_vec(keys)) })
    }

    /// A list over keys that the caller shares, without a copy. Each list made so is checked, cut and
    /// hashed anew.
    ///
    /// # Errors
    /// As [`KeyList::new`].
    pub fn from_shared(keys: Arc<Vec<u64>>) -> Result<KeyList, ClientError> {
        check(&keys)?;
        Ok(KeyList { keys: Keys::immutable(TxBuf::from_shared(keys)) })
    }

    /// The keys.
    #[must_use]
    pub fn as_slice(&self) -> &[u64] {
        self.keys.buffer().typed()
    }

    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys.buffer().len() / 8
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.buffer().is_empty()
    }

    pub(super) fn keys(&self) -> Keys {
        self.keys.clone()
    }
}

fn check(keys: &[u64]) -> Result<(), ClientError> {
    let wrong = match store::strictly_ascending(keys) {
        true => None,
        false => keys.windows(2).position(|pair| pair[0] >= pair[1]).map(|index| index + 1),
    };
    let wrong = wrong.or_else(|| (keys.last() == Some(&u64::MAX)).then(|| keys.len() - 1));
    wrong.map_or(Ok(()), |index| Err(ClientError::Keys { index, key: keys[index] }))
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
