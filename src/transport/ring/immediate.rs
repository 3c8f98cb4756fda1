//! The 32 bits of a completion or descriptor: `kind (2) | slot (14) | generation (16)`, from the top.

use super::error::RingError;

/// Slots that an immediate can name.
pub const SLOT_COUNT_MAX: u16 = 1 << SLOT_BITS;

const SLOT_BITS: u32 = 14;
const GENERATION_BITS: u32 = 16;

/// What an immediate announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ImmediateKind {
    /// A frame lies in the slot.
    Frame = 1,
    /// The receiver of the slot gives its credit back.
    Credit = 2,
}

/// What comes with a completion of a write, or lies in a descriptor queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Immediate {
    /// What it announces.
    pub kind: ImmediateKind,
    /// Which slot of the ring; below [`SLOT_COUNT_MAX`].
    pub slot: u16,
    /// Generation of the link, as its memory's owner counts them.
    pub generation: u16,
}

impl Immediate {
    /// The 32 bits, as a number of this machine.
    #[must_use]
    pub const fn encode(self) -> u32 {
        debug_assert!(self.slot < SLOT_COUNT_MAX);
        (self.kind as u32) << (SLOT_BITS + GENERATION_BITS)
            | (self.slot as u32) << GENERATION_BITS
            | self.generation as u32
    }

    /// Reads the 32 bits.
    ///
    /// # Errors
    /// When the kind is unknown.
    pub const fn decode(bits: u32) -> Result<Immediate, RingError> {
        let kind = match bits >> (SLOT_BITS + GENERATION_BITS) {
            1 => ImmediateKind::Frame,
            2 => ImmediateKind::Credit,
            number => return Err(RingError::Field { field: "immediate kind", number: number as u64 }),
        };
        let slot = (bits >> GENERATION_BITS) as u16 & (SLOT_COUNT_MAX - 1);
        Ok(Immediate { kind, slot, generation: bits as u16 })
    }
}

const _: () = assert!(2 + SLOT_BITS + GENERATION_BITS == 32);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_immediate_survives_its_bits(slot in 0..SLOT_COUNT_MAX, generation: u16, credit: bool) {
            let kind = if credit { ImmediateKind::Credit } else { ImmediateKind::Frame };
            let immediate = Immediate { kind, slot, generation };
            prop_assert_eq!(Immediate::decode(immediate.encode()), Ok(immediate));
        }

        #[test]
        fn any_bits_are_an_immediate_or_an_error(bits: u32) {
            if let Ok(immediate) = Immediate::decode(bits) {
                prop_assert_eq!(immediate.encode(), bits);
            }
        }
    }
}
