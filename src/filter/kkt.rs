//! `kkt`: gradients of weights that an L1 norm keeps at zero are held back.
//!
//! By the optimality condition of Karush, Kuhn and Tucker a weight is zero for good while its gradient lies
//! inside the L1 ball. So the gradient of a weight that was zero when it was pulled last is held back
//! until the sum of what is held back leaves a ball of its own, `bound`; then the key is back in the traffic,
//! with all of it. With W workers a weight may so stay at zero while its gradient is W times `bound`
//! outside: a small share of the L1 strength does no harm.

use super::PushFilter;
use crate::wire::TableSpec;

/// Keys whose weights are known to be zero, at most.
const ZERO_KEYS: usize = 1 << 20;
/// No key.
const NONE: u64 = u64::MAX;

/// The filter of one table.
///
/// Which weights are zero is remembered by key in a table of fixed size, in which a key may push out
/// another: of a weight that is not remembered the gradient is sent.
#[derive(Debug)]
pub struct Kkt {
    bound: f64,
    width: usize,
    zeros: Vec<u64>,
}

impl Kkt {
    /// Holds back what is not larger than `bound`.
    ///
    /// # Errors
    /// When the bound is no number of 0 or more.
    pub fn new(bound: f64, width: usize) -> Result<Kkt, String> {
        if !(bound >= 0.0 && bound.is_finite()) {
            return Err(format!("the bound {bound} is no number of 0 or more"));
        }
        Ok(Kkt { bound, width: width.max(1), zeros: Vec::new() })
    }

    /// As a table declares it.
    pub(super) fn make(table: &TableSpec, bound: f64) -> Result<Box<dyn PushFilter>, String> {
        Ok(Box::new(Kkt::new(bound, usize::from(table.width))?))
    }

    fn hold<T: Copy + Into<f64>>(&self, keys: &[u64], values: &[T], held: &mut [bool]) {
        for ((key, value), held) in keys.iter().zip(values.chunks_exact(self.width)).zip(held) {
            let is_inside = || value.iter().all(|&number| number.into().abs() <= self.bound);
            *held |= self.zeros.get(place(*key)) == Some(key) && is_inside();
        }
    }

    fn learn<T: Copy + Into<f64>>(&mut self, keys: &[u64], values: &[T]) {
        if self.zeros.is_empty() {
            self.zeros.resize(ZERO_KEYS, NONE);
        }
        for (&key, value) in keys.iter().zip(values.chunks_exact(self.width)) {
            let known = &mut self.zeros[place(key)];
            if value.iter().all(|&number| number.into() == 0.0) {
                *known = key;
            } else if *known == key {
                *known = NONE;
            }
        }
    }
}

/// Keys that follow each other have places that do, hashed ones any.
fn place(key: u64) -> usize {
    (key % ZERO_KEYS as u64) as usize
}

impl PushFilter for Kkt {
    fn push_f32(&mut self, keys: &[u64], values: &mut [f32], held: &mut [bool]) {
        self.hold(keys, values, held);
    }

    fn push_f64(&mut self, keys: &[u64], values: &mut [f64], held: &mut [bool]) {
        self.hold(keys, values, held);
    }

    fn pulled_f32(&mut self, keys: &[u64], values: &[f32]) {
        self.learn(keys, values);
    }

    fn pulled_f64(&mut self, keys: &[u64], values: &[f64]) {
        self.learn(keys, values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(filter: &mut Kkt, keys: &[u64], gradient: &[f32]) -> Vec<bool> {
        let (mut values, mut held) = (gradient.to_vec(), vec![false; keys.len()]);
        filter.push_f32(keys, &mut values, &mut held);
        assert_eq!(values, gradient);
        held
    }

    #[test]
    fn small_gradients_of_zero_weights_are_held_back_until_they_leave_the_ball() {
        let mut filter = Kkt::new(0.5, 1).unwrap();
        let keys = [3, 4, 5 + ZERO_KEYS as u64, 6];
        assert_eq!(held(&mut filter, &keys, &[0.1; 4]), [false; 4], "nothing is known of the weights");
        filter.pulled_f32(&keys, &[0.0, 0.2, 0.0, 0.0]);
        assert_eq!(held(&mut filter, &keys, &[0.5, 0.1, 0.1, -0.6]), [true, false, true, false]);
        filter.pulled_f32(&[3, 5], &[-0.1, 0.0]);
        let after = held(&mut filter, &keys, &[0.1; 4]);
        assert_eq!(after, [false, false, false, true], "3 is not zero any more, 5 stands where another stood");
    }

    #[test]
    fn a_bound_that_is_none_is_refused() {
        assert!(Kkt::new(f64::NAN, 1).is_err() && Kkt::new(-1.0, 1).is_err());
    }
}
