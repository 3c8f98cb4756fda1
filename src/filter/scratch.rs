//! Memory that a chain decodes into: kept from message to message between two steps, the caller's at
//! the end.

use super::FilterError;
use zerocopy::{FromBytes, IntoBytes};

/// Bytes on an 8-byte border. Grows to the largest block seen and stays.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<u64>);

impl Scratch {
    /// Room for `len` bytes; what is in it is left over.
    fn bytes(&mut self, len: usize) -> &mut [u8] {
        let words = len.div_ceil(8);
        if self.0.len() < words {
            self.0.resize(words, 0);
        }
        &mut self.0.as_mut_bytes()[..len]
    }

    /// The first `len` bytes that were written.
    pub(super) fn written(&self, len: usize) -> &[u8] {
        &self.0.as_bytes()[..len]
    }
}

/// Where a step writes the plain block.
pub(super) enum Target<'a> {
    /// For the next step.
    Between(&'a mut Scratch),
    /// The end of the chain, of the length that the plain block must have.
    Last(&'a mut [u8]),
}

impl<'a> Target<'a> {
    /// Room for exactly `len` bytes; what is in it is left over.
    pub(super) fn bytes(self, filter: &'static str, len: usize) -> Result<&'a mut [u8], FilterError> {
        match self {
            Target::Between(scratch) => Ok(scratch.bytes(len)),
            Target::Last(bytes) if bytes.len() == len => Ok(bytes),
            Target::Last(bytes) => Err(FilterError::Length { filter, found: len, expected: bytes.len() }),
        }
    }

    /// The same for numbers of eight bytes; the end of a chain of keys lies on an 8-byte border.
    pub(super) fn words(self, filter: &'static str, count: usize) -> Result<&'a mut [u64], FilterError> {
        let bytes = self.bytes(filter, count * 8)?;
        let reason = "its numbers would not lie on their borders";
        <[u64]>::mut_from_bytes(bytes).map_err(|_| FilterError::Damaged { filter, reason })
    }
}
