//! Draws ranks from a power law in constant time.
//!
//! The popularity of rank r is proportional to (r + 2)^-1.1. The first ranks, and all others
//! together, are drawn from an alias table; among the others the sum is so close to its integral
//! (within 10^-6) that the integral is inverted, whose tenth root makes that a few products.

use super::random::Random;

/// Ranks with an entry of their own in the table.
pub(super) const HEAD_RANKS: usize = 1024;

/// The power law over the values of one field.
#[derive(Debug)]
pub(super) struct Popularity {
    /// Per entry: how much of it (of 2^32) is its own, and whose the rest is.
    alias: Vec<(u32, u32)>,
    values: u32,
    /// (rank + 1.5)^-0.1 at the first rank behind the table and behind the last rank.
    tail_begin: f64,
    tail_end: f64,
}

impl Popularity {
    /// The power law over `values` ranks, one at least.
    pub(super) fn new(values: u32) -> Popularity {
        let head = HEAD_RANKS.min(values as usize);
        let root = |rank: f64| libm::pow(rank + 1.5, -0.1);
        let (tail_begin, tail_end) = (root(head as f64), root(f64::from(values)));
        let mut masses: Vec<f64> = (0..head).map(|rank| libm::pow(rank as f64 + 2.0, -1.1)).collect();
        if values as usize > head {
            masses.push(10.0 * (tail_begin - tail_end));
        }
        Popularity { alias: alias_table(&masses), values, tail_begin, tail_end }
    }

    /// Draws a rank.
    #[inline]
    pub(super) fn draw(&self, random: &mut Random) -> u32 {
        let bits = random.bits();
        let entry = (((bits >> 32) * self.alias.len() as u64) >> 32) as u32;
        let (own, other) = self.alias[entry as usize];
        let rank = if (bits as u32) < own { entry } else { other };
        if (rank as usize) < HEAD_RANKS { rank } else { self.draw_tail(random) }
    }

    fn draw_tail(&self, random: &mut Random) -> u32 {
        let root = self.tail_begin + random.unit() * (self.tail_end - self.tail_begin);
        let square = root * root;
        let fourth = square * square;
        let rank = 1.0 / (fourth * fourth * square) - 1.5;
        (rank as u32).clamp(HEAD_RANKS as u32, self.values - 1)
    }
}

/// Vose's method: every entry keeps what it has of an even share and gets the rest from one other.
fn alias_table(masses: &[f64]) -> Vec<(u32, u32)> {
    let total: f64 = masses.iter().sum();
    let mut shares: Vec<f64> = masses.iter().map(|mass| mass / total * masses.len() as f64).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) = (0..masses.len()).partition(|&entry| shares[entry] < 1.0);
    let mut table: Vec<(u32, u32)> = (0..masses.len() as u32).map(|entry| (u32::MAX, entry)).collect();
    while let (Some(poor), Some(&rich)) = (small.pop(), large.last()) {
        table[poor] = ((shares[poor] * 4_294_967_296.0) as u32, rich as u32);
        shares[rich] -= 1.0 - shares[poor];
        if shares[rich] < 1.0 {
            large.pop();
            small.push(rich);
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_power_law() {
        for values in [1, 3, 100, 1024, 1025, 5000, 10_000_000] {
            let popularity = Popularity::new(values);
            let mut random = Random::of(&[u64::from(values)]);
            let draws = 200_000;
            let mut counts = vec![0u32; 4096];
            for _ in 0..draws {
                let rank = popularity.draw(&mut random);
                assert!(rank < values);
                counts[(rank as usize).min(4095)] += 1;
            }
            let mass = |rank: u32| libm::pow(f64::from(rank) + 2.0, -1.1);
            let total: f64 = (0..values).map(mass).sum();
            for rank in [0, 1, 2, 10, 50].into_iter().filter(|&rank| rank < values) {
                let expected = mass(rank) / total * f64::from(draws);
                let found = f64::from(counts[rank as usize]);
                assert!((found - expected).abs() < 6.0 * expected.sqrt() + 1.0, "{values} {rank}: {found} {expected}");
            }
            let beyond: f64 = (1024..values.clamp(1024, 4000)).map(mass).sum::<f64>() / total * f64::from(draws);
            let found: u32 = counts[1024..4000].iter().sum();
            assert!((f64::from(found) - beyond).abs() < 6.0 * beyond.sqrt() + 1.0, "{values}: {found} {beyond}");
        }
    }
}
