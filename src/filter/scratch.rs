//! Memory that a chain decodes into, kept from message to message.

use zerocopy::IntoBytes;

/// Bytes on an 8-byte border. Grows to the largest block seen and stays.
#[derive(Debug, Default)]
pub(super) struct Scratch(Vec<u64>);

impl Scratch {
    /// Room for `count` numbers of eight bytes; what is in it is left over.
    pub(super) fn words(&mut self, count: usize) -> &mut [u64] {
        if self.0.len() < count {
            self.0.resize(count, 0);
        }
        &mut self.0[..count]
    }

    /// Room for `len` bytes; what is in it is left over.
    pub(super) fn bytes(&mut self, len: usize) -> &mut [u8] {
        &mut self.words(len.div_ceil(8)).as_mut_bytes()[..len]
    }

    /// The first `count` numbers that were written.
    pub(super) fn written_words(&self, count: usize) -> &[u64] {
        &self.0[..count]
    }

    /// The first `len` bytes that were written.
    pub(super) fn written(&self, len: usize) -> &[u8] {
        &self.0.as_bytes()[..len]
    }
}
