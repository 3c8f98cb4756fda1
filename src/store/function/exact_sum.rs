//! The exact sum of doubles: the same whatever their order, and however they were parted among shards.
//!
//! A double is a whole number of 2^-1074. The sum is kept as such a number, in limbs of 32 bits with room
//! for carries above them, and rounded once, when it is asked for.

/// Bits of one limb that count.
const LIMB_BITS: usize = 32;
/// The largest double ends in limb 65; the rest is for carries.
const LIMBS: usize = 68;
/// Numbers after which carries must be moved on: each adds less than 2^32 to a limb.
const ADDED_MAX: u32 = 1 << 30;

/// A sum of doubles without rounding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactSum {
    limbs: [i64; LIMBS],
    added: u32,
}

impl Default for ExactSum {
    fn default() -> ExactSum {
        ExactSum { limbs: [0; LIMBS], added: 0 }
    }
}

impl ExactSum {
    /// Bytes of a sum on the wire.
    pub const BYTES: usize = LIMBS * 8;

    /// Adds one number. An infinite one counts as the largest of its sign, and NaN as nothing.
    pub fn add(&mut self, number: f64) {
        let bits = number.clamp(-f64::MAX, f64::MAX).to_bits();
        if number.is_nan() || number == 0.0 {
            return;
        }
        if self.added == ADDED_MAX {
            self.carry();
        }
        self.added += 1;
        let (exponent, fraction) = ((bits >> 52 & 0x7ff) as usize, bits & ((1 << 52) - 1));
        // Subnormal numbers have the exponent of the smallest normal ones, without the hidden bit.
        let (shift, whole) = if exponent == 0 { (0, fraction) } else { (exponent - 1, fraction | 1 << 52) };
        let wide = u128::from(whole) << (shift % LIMB_BITS);
        let sign = if number < 0.0 { -1 } else { 1 };
        for (part, limb) in self.limbs[shift / LIMB_BITS..][..3].iter_mut().enumerate() {
            *limb += sign * i64::from((wide >> (part * LIMB_BITS)) as u32);
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: &ExactSum) {
        let mut other = other.clone();
        other.carry();
        self.carry();
        self.limbs.iter_mut().zip(other.limbs).for_each(|(limb, more)| *limb += more);
        self.carry();
    }

    /// The sum, rounded to the nearest double.
    #[must_use]
    pub fn value(&self) -> f64 {
        let mut sum = self.clone();
        sum.carry();
        let is_negative = sum.limbs[LIMBS - 1] < 0;
        if is_negative {
            sum.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            sum.carry();
        }
        let Some(top) = sum.limbs.iter().rposition(|&limb| limb != 0) else { return 0.0 };
        let lowest = top.saturating_sub(2);
        let whole = sum.limbs[lowest..=top].iter().rev().fold(0u128, |whole, &limb| whole << LIMB_BITS | limb as u128);
        // What lies lower decides only between two halves.
        let is_more = sum.limbs[..lowest].iter().any(|&limb| limb != 0);
        let size = libm::ldexp((whole | u128::from(is_more)) as f64, (lowest * LIMB_BITS) as i32 - 1074);
        if is_negative { -size } else { size }
    }

    /// The sum as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sum = self.clone();
        sum.carry();
        sum.limbs.iter().flat_map(|limb| limb.to_le_bytes()).collect()
    }

    /// Reads a sum from its bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<ExactSum> {
        let (limbs, rest) = bytes.as_chunks::<8>();
        let limbs: [[u8; 8]; LIMBS] = limbs.try_into().ok().filter(|_| rest.is_empty())?;
        let limbs = limbs.map(i64::from_le_bytes);
        let is_carried = limbs[..LIMBS - 1].iter().all(|&limb| (0..1 << LIMB_BITS).contains(&limb));
        (is_carried && limbs[LIMBS - 1].unsigned_abs() < 1 << LIMB_BITS).then_some(ExactSum { limbs, added: 0 })
    }

    /// Leaves 32 bits in each limb but the last, which has the sign.
    fn carry(&mut self) {
        let mut carry = 0;
        for limb in &mut self.limbs[..LIMBS - 1] {
            let whole = *limb + carry;
            carry = whole >> LIMB_BITS;
            *limb = whole & ((1 << LIMB_BITS) - 1);
        }
        self.limbs[LIMBS - 1] += carry;
        self.added = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sum(numbers: &[f64]) -> ExactSum {
        let mut sum = ExactSum::default();
        numbers.iter().for_each(|&number| sum.add(number));
        sum
    }

    #[test]
    fn one_number_is_its_own_sum() {
        for number in [0.0, 1.0, -1.5, f64::MIN_POSITIVE, 5e-324, -5e-324, f64::MAX, -f64::MAX, 0.1, 1e-310, 3e200] {
            assert_eq!(sum(&[number]).value().to_bits(), (number + 0.0).to_bits(), "{number:e}");
        }
    }

    #[test]
    fn nothing_is_lost_between_large_and_small() {
        assert_eq!(sum(&[1e300, 1.0, -1e300, 1e-300]).value(), 1.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX, -f64::MAX, 5e-324]).value(), 5e-324);
        assert_eq!(sum(&[f64::NAN, 2.0]).value(), 2.0);
        assert_eq!(sum(&vec![0.1; 1000]).value(), 100.0, "a plain loop gives 99.9999999999986");
    }

    proptest! {
        #[test]
        fn neither_order_nor_parts_matter(mut numbers in prop::collection::vec(prop::num::f64::NORMAL, 0..50), cut in 0usize..50) {
            let whole = sum(&numbers);
            numbers.reverse();
            let (left, right) = numbers.split_at(cut.min(numbers.len()));
            let mut merged = sum(left);
            let right = ExactSum::from_bytes(&sum(right).to_bytes()).expect("its own bytes");
            merged.merge(&right);
            prop_assert_eq!(merged.to_bytes(), whole.to_bytes());
            prop_assert_eq!(merged.value().to_bits(), whole.value().to_bits());
        }

        #[test]
        fn it_equals_whole_numbers(numbers in prop::collection::vec(-1_000_000i64..1_000_000, 0..200)) {
            let doubles: Vec<f64> = numbers.iter().map(|&number| number as f64 * 0.125).collect();
            prop_assert_eq!(sum(&doubles).value(), numbers.iter().sum::<i64>() as f64 * 0.125);
        }
    }
}
