//! Update functions and bf16: every instruction set against the oracle, and the oracle against the papers.

use super::super::level::{InstructionSet, Level};
use super::super::{AdagradRate, AdamRate, Float, FtrlRate, ProxRate, SgdRate, scalar};
use super::{any_f32, number};
use proptest::prelude::*;

/// Value, gradient, and four state numbers of which all but the first two are positive.
type Row = [f32; 6];

/// A parameter in the kernel's type.
fn wide<F: Float>(parameter: f32) -> F {
    parameter.into()
}

/// Rows as training meets them, and at times the largest numbers there are.
fn row() -> impl Strategy<Value = Row> {
    let usual = (number(), number(), number(), 0.0f32..50.0, 0.0f32..1.0, 0.0f32..1.0);
    let huge = prop_oneof![Just(f32::MAX), Just(f32::MIN), Just(1e20f32), Just(0.0)];
    let huge = (huge.clone(), huge.clone(), huge.clone(), huge.prop_map(f32::abs), Just(1.0f32), Just(0.0f32));
    prop_oneof![9 => usual, 1 => huge].prop_map(|(w, g, m, v, a, b)| [w, g, m, v, a, b])
}

/// All columns of `$call(state, values, gradients)` as bits, on the oracle and on each set.
macro_rules! agree {
    ($number:ident, $rows:expr, |$set:ident, $state:ident, $w:ident, $g:ident| $oracle:expr, $call:expr) => {{
        let column = |place: usize| $rows.iter().map(|row| $number::from(row[place])).collect::<Vec<$number>>();
        let $g = column(1);
        let start = ([column(2), column(3), column(4), column(5)], column(0));
        let bits = |numbers: &[$number]| numbers.iter().map(|number| number.to_bits()).collect::<Vec<_>>();
        let all = |(state, w): ([Vec<$number>; 4], Vec<$number>)| {
            assert!(state.iter().flatten().chain(&w).all(|number| number.is_finite()), "a result is not finite");
            (state.map(|run| bits(&run)), bits(&w))
        };
        let (mut $state, mut $w) = start.clone();
        $oracle;
        let oracle = all(($state, $w));
        on_each_set!(
            $set,
            {
                let (mut $state, mut $w) = start.clone();
                $call;
                all(($state, $w))
            },
            |level, found| assert_eq!(found, oracle, "{level} {}", stringify!($number))
        );
    }};
}

macro_rules! agree_in_both_types {
    ($rows:expr, |$set:ident, $state:ident, $w:ident, $g:ident| $oracle:expr, $call:expr) => {{
        agree!(f32, $rows, |$set, $state, $w, $g| $oracle, $call);
        agree!(f64, $rows, |$set, $state, $w, $g| $oracle, $call);
    }};
}

fn rate() -> impl Strategy<Value = f32> {
    prop_oneof![4 => 0.001f32..1.0, 1 => Just(1e-30f32), 1 => Just(1e30f32)]
}

proptest! {
    #[test]
    fn functions_without_state_have_the_oracles_bits(
        rows in prop::collection::vec(row(), 0..100), rate in rate(), (l1, l2) in (0.0f32..2.0, 0.0f32..1.0),
    ) {
        agree_in_both_types!(rows, |set, _state, w, g|
            scalar::sgd(&SgdRate { rate: wide(rate) }, &mut w, &g),
            set.sgd(&SgdRate { rate: wide(rate) }, &mut w, &g));
        agree_in_both_types!(rows, |set, _state, w, g|
            scalar::prox(&ProxRate::new(wide(rate), wide(l1), wide(l2)), &mut w, &g),
            set.prox(&ProxRate::new(wide(rate), wide(l1), wide(l2)), &mut w, &g));
    }

    #[test]
    fn functions_with_state_have_the_oracles_bits(
        rows in prop::collection::vec(row(), 0..100), rate in rate(), small in prop_oneof![Just(1e-8f32), Just(1e-38f32), 0.0f32..2.0],
        (l1, l2) in (0.0f32..2.0, 0.0f32..1.0), (beta1, beta2) in (0.0f32..0.99, 0.0f32..0.9999),
    ) {
        let small = small.max(1e-38);
        agree_in_both_types!(rows, |set, state, w, g|
            scalar::adagrad(&AdagradRate { rate: wide(rate), epsilon: wide(small) }, &mut state[1], &mut w, &g),
            set.adagrad(&AdagradRate { rate: wide(rate), epsilon: wide(small) }, &mut state[1], &mut w, &g));
        agree_in_both_types!(rows, |set, state, w, g| {
            let rate = AdamRate { rate: wide(rate), beta1: wide(beta1), beta2: wide(beta2), epsilon: wide(small) };
            scalar::adam(&rate, state.each_mut().map(Vec::as_mut_slice), &mut w, &g);
        }, {
            let rate = AdamRate { rate: wide(rate), beta1: wide(beta1), beta2: wide(beta2), epsilon: wide(small) };
            set.adam(&rate, state.each_mut().map(Vec::as_mut_slice), &mut w, &g);
        });
        agree_in_both_types!(rows, |set, state, w, g| {
            let [z, n, _, _] = state.each_mut().map(Vec::as_mut_slice);
            scalar::ftrl(&FtrlRate { alpha: wide(rate), beta: wide(small), l1: wide(l1), l2: wide(l2) }, [z, n], &mut w, &g);
        }, {
            let [z, n, _, _] = state.each_mut().map(Vec::as_mut_slice);
            set.ftrl(&FtrlRate { alpha: wide(rate), beta: wide(small), l1: wide(l1), l2: wide(l2) }, [z, n], &mut w, &g);
        });
    }

    #[test]
    fn bf16_conversions_have_the_oracles_bits(
        numbers in prop::collection::vec((any::<u16>(), prop_oneof![any_f32(), any::<u32>().prop_map(f32::from_bits)]), 0..100),
    ) {
        let (half, numbers): (Vec<u16>, Vec<f32>) = numbers.into_iter().filter(|(_, number)| !number.is_nan()).unzip();
        let mut oracle = vec![0; numbers.len()];
        scalar::narrow_bf16(&numbers, &mut oracle);
        on_each_set!(set, { let mut found = vec![0; numbers.len()]; set.narrow_bf16(&numbers, &mut found); found },
            |level, found| assert_eq!(found, oracle, "{level}"));

        let bits = |numbers: &[f32]| super::bits(numbers);
        let mut oracle = vec![0.0; half.len()];
        scalar::widen_bf16(&half, &mut oracle);
        on_each_set!(set, { let mut found = vec![0.0; half.len()]; set.widen_bf16(&half, &mut found); bits(&found) },
            |level, found| assert_eq!(found, bits(&oracle), "{level}"));

        let finite: Vec<u16> = half.iter().map(|bits| bits & 0xbfff).collect();
        let mut oracle = finite.clone();
        scalar::add_bf16(&mut oracle, &numbers);
        on_each_set!(set, { let mut found = finite.clone(); set.add_bf16(&mut found, &numbers); found },
            |level, found| assert_eq!(found, oracle, "{level}"));
    }
}

#[test]
fn ftrl_follows_the_papers_first_steps() {
    let rate = FtrlRate { alpha: 0.1, beta: 1.0, l1: 1.0, l2: 0.0 };
    let (mut z, mut n, mut w) = ([0.0f32; 3], [0.0f32; 3], [0.0f32; 3]);
    scalar::ftrl(&rate, [&mut z, &mut n], &mut w, &[0.5, -3.0, 0.0]);
    assert_eq!((z, n), ([0.5, -3.0, 0.0], [0.25, 9.0, 0.0]));
    assert_eq!(w, [0.0, 2.0 / ((1.0 + 3.0) / 0.1f32), 0.0]);
}

#[test]
fn adagrad_divides_by_the_root_of_all_squares() {
    let rate = AdagradRate { rate: 0.5f64, epsilon: 1e-300 };
    let (mut n, mut w) = ([0.0, 0.0], [1.0, 1.0]);
    scalar::adagrad(&rate, &mut n, &mut w, &[3.0, 0.0]);
    scalar::adagrad(&rate, &mut n, &mut w, &[-4.0, 0.0]);
    assert_eq!((n, w), ([25.0, 0.0], [1.0 - 0.5 + 0.5 * 4.0 / 5.0, 1.0]));
}

/// The paper's algorithm, with its powers of beta.
#[test]
fn adam_follows_the_papers_algorithm() {
    let (rate, beta1, beta2, epsilon) = (0.01f64, 0.9f64, 0.999f64, 1e-8f64);
    let kernel = AdamRate { rate, beta1, beta2, epsilon };
    let (mut state, mut found) = ([[0.0f64]; 4], [0.5f64]);
    let (mut m, mut v, mut w) = (0.0f64, 0.0f64, 0.5f64);
    for t in 1..200 {
        let g = f64::from(t % 7) - 2.5;
        scalar::adam(&kernel, state.each_mut().map(<[f64; 1]>::as_mut_slice), &mut found, &[g]);
        m = beta1 * m + (1.0 - beta1) * g;
        v = beta2 * v + (1.0 - beta2) * g * g;
        w -= rate * (m / (1.0 - beta1.powi(t))) / ((v / (1.0 - beta2.powi(t))).sqrt() + epsilon);
        assert!((found[0] - w).abs() < 1e-10, "step {t}: {} {w}", found[0]);
    }
}

#[test]
fn prox_moves_towards_zero_and_stops_there() {
    let rate = ProxRate::new(0.5f64, 1.0, 2.0);
    let mut w = [2.0, -2.0, 0.25, 0.0];
    scalar::prox(&rate, &mut w, &[1.0, 1.0, 0.0, -4.0]);
    assert_eq!(w, [0.5, -1.0, 0.0, 0.75]);
}

#[test]
fn rounding_to_bf16_stops_at_the_largest_number() {
    let mut found = [0; 4];
    scalar::narrow_bf16(&[f32::MAX, f32::MIN, -0.0, f32::from_bits(0x3f81_8000)], &mut found);
    assert_eq!(found, [0x7f7f, 0xff7f, 0x8000, 0x3f82]);
}
