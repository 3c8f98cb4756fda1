//! The number type bf16.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, transmute_mut, transmute_ref};

/// The upper half of an IEEE 754 binary32: its range, with 8 bits of precision. Equal are numbers,
/// not bits: the two zeros are, NaN and itself are not.
#[derive(Debug, Clone, Copy, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct Bf16(pub u16);

impl Bf16 {
    /// Numbers as their bits.
    #[must_use]
    pub fn bits(numbers: &[Bf16]) -> &[u16] {
        transmute_ref!(numbers)
    }

    /// Numbers as their bits, for writing.
    #[must_use]
    pub fn bits_mut(numbers: &mut [Bf16]) -> &mut [u16] {
        transmute_mut!(numbers)
    }
}

impl From<Bf16> for f32 {
    fn from(number: Bf16) -> f32 {
        f32::from_bits(u32::from(number.0) << 16)
    }
}

impl From<f32> for Bf16 {
    /// The nearest bf16, of two the one with an even last bit; beyond the largest, infinity.
    fn from(number: f32) -> Bf16 {
        let bits = number.to_bits();
        if number.is_nan() {
            // A NaN must not lose all bits that make it one.
            return Bf16((bits >> 16) as u16 | 0x40);
        }
        let half_of_last = 0x7fff + (bits >> 16 & 1);
        Bf16(((bits + half_of_last) >> 16) as u16)
    }
}

impl PartialEq for Bf16 {
    fn eq(&self, other: &Bf16) -> bool {
        f32::from(*self) == f32::from(*other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_bf16_comes_back_from_f32() {
        for bits in 0..=u16::MAX {
            let number = f32::from(Bf16(bits));
            let back = Bf16::from(number);
            assert!(back.0 == bits || number.is_nan() && f32::from(back).is_nan(), "{bits:#x}");
        }
    }

    proptest! {
        #[test]
        fn the_nearest_number_is_taken(bits: u32) {
            let number = f32::from_bits(bits);
            prop_assume!(number.is_finite());
            let found = Bf16::from(number);
            let distance = |bf16: Bf16| (f64::from(f32::from(bf16)) - f64::from(number)).abs();
            for neighbour in [Bf16(found.0.wrapping_sub(1)), Bf16(found.0.wrapping_add(1))] {
                let nearer = f32::from(neighbour).is_finite() && distance(neighbour) < distance(found);
                let tie = distance(neighbour) == distance(found) && found.0 & 1 == 1;
                prop_assert!(f32::from(found).is_infinite() || !(nearer || tie), "{number:e}");
            }
        }
    }

    #[test]
    fn ties_go_to_the_even_number_and_overflow_to_infinity() {
        assert_eq!(Bf16::from(f32::from_bits(0x3f80_8000)).0, 0x3f80);
        assert_eq!(Bf16::from(f32::from_bits(0x3f81_8000)).0, 0x3f82);
        assert_eq!(Bf16::from(f32::MAX).0, 0x7f80);
        assert_eq!(Bf16(0x8000), Bf16(0));
    }
}
