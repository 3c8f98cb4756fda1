//! A value block that lies in several places.

use crate::memory::TxBuf;
use smallvec::SmallVec;

/// As many pieces as a segment usually has are held in place.
const INLINE_COUNT: usize = 3;

/// The bytes of a value block as counted views, one behind the other. No piece is empty.
#[derive(Debug, Clone, Default)]
pub struct Pieces(SmallVec<[TxBuf; INLINE_COUNT]>);

impl Pieces {
    /// No bytes.
    #[must_use]
    pub fn new() -> Pieces {
        Pieces::default()
    }

    /// Puts a piece behind the others.
    pub fn push(&mut self, piece: TxBuf) {
        if !piece.is_empty() {
            self.0.push(piece);
        }
    }

    /// Bytes of all pieces.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|piece| piece.len()).sum()
    }

    /// The pieces in order.
    pub fn iter(&self) -> std::slice::Iter<'_, TxBuf> {
        self.0.iter()
    }

    /// How many pieces there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The only piece; none without bytes or with several pieces.
    #[must_use]
    pub fn as_one(&self) -> Option<&TxBuf> {
        match &self.0[..] {
            [piece] => Some(piece),
            _ => None,
        }
    }
}

impl From<TxBuf> for Pieces {
    fn from(piece: TxBuf) -> Pieces {
        let mut pieces = Pieces::new();
        pieces.push(piece);
        pieces
    }
}

impl From<Option<TxBuf>> for Pieces {
    fn from(piece: Option<TxBuf>) -> Pieces {
        Pieces::from_iter(piece)
    }
}

impl FromIterator<TxBuf> for Pieces {
    fn from_iter<I: IntoIterator<Item = TxBuf>>(pieces: I) -> Pieces {
        Pieces(pieces.into_iter().filter(|piece| !piece.is_empty()).collect())
    }
}

impl<'a> IntoIterator for &'a Pieces {
    type Item = &'a TxBuf;
    type IntoIter = std::slice::Iter<'a, TxBuf>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_order_and_none_is_empty() {
        let mut pieces: Pieces = [vec![1u8, 2], vec![], vec![3]].map(TxBuf::from_vec).into_iter().collect();
        assert!(pieces.as_one().is_none());
        pieces.push(TxBuf::empty());
        pieces.push(TxBuf::from_vec(vec![4u8]));
        assert_eq!((pieces.count(), pieces.bytes()), (3, 4));
        assert!(pieces.iter().flat_map(|piece| piece.iter()).eq(&[1, 2, 3, 4]));
        assert_eq!(Pieces::from(TxBuf::empty()).count(), 0);
        assert_eq!(Pieces::from(TxBuf::from_vec(vec![7u8])).as_one().map(|piece| piece[0]), Some(7));
    }
}
