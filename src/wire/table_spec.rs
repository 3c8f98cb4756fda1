//! What a table is: its shape, its key space, its update function and its consistency.

use super::dtype::DType;
use super::filters::Filters;
use super::user_update::UserUpdate;
use crate::id::{TableId, Time};
use crate::limit;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A table as the job declares it; the same on every node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableSpec {
    /// Number on the wire: the table's index in the job.
    pub id: TableId,
    /// Name for people and model files.
    pub name: String,
    /// Type of each number.
    pub dtype: DType,
    /// Numbers per key.
    pub width: u16,
    /// Keys are `[0, key_end)`; the partition is scaled to it.
    pub key_end: u64,
    /// With or without a key array.
    pub layout: Layout,
    /// What a push does to the values.
    pub update: UpdateFunction,
    /// Which pushes a pull must see.
    pub consistency: Consistency,
    /// How its messages are made smaller.
    pub filters: Filters,
}

impl TableSpec {
    /// Bytes of one key's value.
    #[must_use]
    pub fn value_size(&self) -> usize {
        self.dtype.bytes() * usize::from(self.width)
    }

    /// The largest number, by size, that a push may hold, for floats; a push with a larger one, a NaN
    /// or an infinity is refused whole.
    #[must_use]
    pub const fn push_max(&self) -> f64 {
        match (self.update, self.dtype) {
            (UpdateFunction::Assign, dtype) => dtype.largest(),
            (UpdateFunction::Sum | UpdateFunction::User(_), DType::F64) => limit::SUMMAND_F64,
            (UpdateFunction::Sum | UpdateFunction::User(_), _) => limit::SUMMAND_F32,
            _ => limit::GRADIENT,
        }
    }
}

/// How a table lies in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Layout {
    /// Ordered key array; unknown keys are merged in when they are pushed.
    Sparse,
    /// Every key of the range exists from the start; there is no key array.
    Dense,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layout::Sparse => "sparse",
            Layout::Dense => "dense",
        })
    }
}

/// What a server does with an aggregated push. Each number of a key stands for itself: `value`,
/// `push` and the state are that number's. A key that is not pushed stays as it is.
///
/// Sum and assign exist for every dtype, the others for f32, f64 and bf16. Parameters are f32 and are
/// widened in f64 tables. A bf16 table keeps its values in bf16 and computes in f32: pushes of an
/// open step are summed in f32, state is f32, and the new value is rounded to the nearest bf16, ties
/// to even.
///
/// No push makes a value or state infinite or NaN. A push with a number beyond
/// [`limit::SUMMAND_F32`](crate::limit::SUMMAND_F32) or [`limit::SUMMAND_F64`](crate::limit::SUMMAND_F64)
/// (sum and the user's) or [`limit::GRADIENT`](crate::limit::GRADIENT) (gradients) is refused whole, and what would
/// still grow beyond the largest finite number stays there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum UpdateFunction {
    /// value += push; integers wrap. A zero changes nothing.
    Sum,
    /// value = push, zeros too.
    Assign,
    /// FTRL-proximal (McMahan et al., KDD 2013, algorithm 1). The push is the gradient, the state
    /// (z, n). A zero changes nothing.
    Ftrl(Ftrl),
    /// Gradient descent: value -= rate * push. A zero changes nothing.
    Sgd(Sgd),
    /// AdaGrad with a diagonal matrix (Duchi, Hazan and Singer, JMLR 2011). The push is the gradient,
    /// the state its sum of squares n: n += push^2, then
    /// value -= rate * push / (sqrt(n) + epsilon). A zero changes nothing.
    Adagrad(Adagrad),
    /// Adam (Kingma and Ba, ICLR 2015, algorithm 1). The push is the gradient; a zero is a step like
    /// any other, which moves the value along its mean. Steps are counted by number, at its own
    /// pushes. The state is (m, v, a, b), all zero at first:
    /// m = beta1 * m + (1 - beta1) * push, v = beta2 * v + (1 - beta2) * push^2; a and b follow m and
    /// v for a push that is always 1, so they are the paper's 1 - beta1^t and 1 - beta2^t. Then
    /// value -= rate * (m / a) / (sqrt(v / b) + epsilon).
    Adam(Adam),
    /// A step of the proximal gradient method (Parikh and Boyd, Foundations and Trends in
    /// Optimization 2014, sections 4.2 and 6.5) for the norm l1 * |value| + l2 / 2 * value^2:
    /// value = soft(value - rate * push, rate * l1) / (1 + rate * l2), where soft(x, t) is 0 for
    /// |x| <= t and otherwise x moved by t towards 0. A zero still shrinks the value.
    Prox(Prox),
    /// A function of the user's, which the server program has registered.
    User(UserUpdate),
    /// A coordinate's step of block proximal gradient (Li et al., NIPS 2014, algorithm 3), for the norm
    /// of `Prox`. Here the two numbers of a key stand together, so its table has width 2: the value is
    /// (weight, gradient), the push (gradient, curvature), both summed over the writers. The gradient is
    /// kept beside the weight. Then, by the curvature:
    /// * positive: the weight goes to the minimum of
    ///   gradient * (x - weight) + curvature / 2 * (x - weight)^2 + l1 * |x| + l2 / 2 * x^2, but at most by
    ///   the key's trust region, which is 1 at first and then twice the step, or half of what it was.
    /// * zero: the weight stays.
    /// * negative: the weight becomes gradient / -curvature, so that writers who agree on a weight push
    ///   (weight, -1), and the gradient becomes 0.
    BlockProx(BlockProx),
}

impl UpdateFunction {
    /// Whether a push of zeros is known to be the same as none.
    #[must_use]
    pub const fn ignores_zeros(&self) -> bool {
        use UpdateFunction::{Adagrad, Adam, Assign, BlockProx, Ftrl, Prox, Sgd, Sum, User};
        match self {
            Sum | Ftrl(_) | Sgd(_) | Adagrad(_) => true,
            Assign | Adam(_) | Prox(_) | User(_) | BlockProx(_) => false,
        }
    }
}

impl fmt::Display for UpdateFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UpdateFunction::Sum => f.write_str("sum"),
            UpdateFunction::Assign => f.write_str("assign"),
            UpdateFunction::Ftrl(Ftrl { alpha, beta, l1, l2 }) => {
                write!(f, "ftrl with alpha {alpha}, beta {beta}, l1 {l1}, l2 {l2}")
            }
            UpdateFunction::Sgd(Sgd { rate }) => write!(f, "sgd with rate {rate}"),
            UpdateFunction::Adagrad(Adagrad { rate, epsilon }) => {
                write!(f, "adagrad with rate {rate}, epsilon {epsilon}")
            }
            UpdateFunction::Adam(Adam { rate, beta1, beta2, epsilon }) => {
                write!(f, "adam with rate {rate}, beta1 {beta1}, beta2 {beta2}, epsilon {epsilon}")
            }
            UpdateFunction::User(user) => user.fmt(f),
            UpdateFunction::Prox(Prox { rate, l1, l2 }) => write!(f, "prox with rate {rate}, l1 {l1}, l2 {l2}"),
            UpdateFunction::BlockProx(BlockProx { l1, l2 }) => write!(f, "block prox with l1 {l1}, l2 {l2}"),
        }
    }
}

/// Parameters of FTRL-proximal, with the paper's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Ftrl {
    /// Learning rate.
    pub alpha: f32,
    /// Smooths the learning rate of rare features.
    pub beta: f32,
    /// Strength of the L1 norm, which makes weights exactly zero.
    pub l1: f32,
    /// Strength of the L2 norm.
    pub l2: f32,
}

/// Parameters of gradient descent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sgd {
    /// Learning rate, positive.
    pub rate: f32,
}

/// Parameters of AdaGrad.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adagrad {
    /// Learning rate, positive; the paper's eta.
    pub rate: f32,
    /// Keeps the first steps of small gradients small, positive; the paper's delta.
    pub epsilon: f32,
}

/// Parameters of Adam, with the paper's names.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adam {
    /// Learning rate, positive; the paper's alpha.
    pub rate: f32,
    /// How slowly the mean of the gradients changes, at least 0 and below 1.
    pub beta1: f32,
    /// How slowly the mean of their squares changes, at least 0 and below 1.
    pub beta2: f32,
    /// Keeps the divisor from zero, positive.
    pub epsilon: f32,
}

/// Parameters of the proximal gradient step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Prox {
    /// Learning rate, positive.
    pub rate: f32,
    /// Strength of the L1 norm, which makes values exactly zero.
    pub l1: f32,
    /// Strength of the squared L2 norm; 0 for soft thresholding alone.
    pub l2: f32,
}

/// Parameters of block proximal gradient.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BlockProx {
    /// Strength of the L1 norm, which makes weights exactly zero.
    pub l1: f32,
    /// Strength of the squared L2 norm.
    pub l2: f32,
}

/// Which pushes a pull must see. A pull at a writer's time t demands that every writer has ended all
/// times below a bound, the bound itself not included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// All pushes of all writers before t, and no others (BSP).
    Sequential,
    /// Whatever has arrived (async).
    Eventual,
    /// At least all pushes of all writers before t - `delay_max` (SSP). With 0 a pull waits exactly as
    /// under `Sequential`, but may see later pushes too, for they are applied as they arrive.
    BoundedDelay {
        /// How many times a pull may miss.
        delay_max: u32,
    },
}

impl Consistency {
    /// The demand of a pull at a time: every time below it must be ended by every writer.
    #[must_use]
    pub fn demand(self, time: Time) -> Time {
        match self {
            Consistency::Sequential => time,
            Consistency::BoundedDelay { delay_max } => Time(time.0.saturating_sub(delay_max)),
            Consistency::Eventual => Time(0),
        }
    }
}

impl fmt::Display for Consistency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Consistency::Sequential => f.write_str("sequential"),
            Consistency::Eventual => f.write_str("eventual"),
            Consistency::BoundedDelay { delay_max } => write!(f, "bounded:{delay_max}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn update_functions_are_printed_in_words() {
        let words = |function: UpdateFunction| function.to_string();
        assert_eq!(words(UpdateFunction::Sgd(Sgd { rate: 0.5 })), "sgd with rate 0.5");
        let adagrad = UpdateFunction::Adagrad(Adagrad { rate: 0.1, epsilon: 0.001 });
        assert_eq!(words(adagrad), "adagrad with rate 0.1, epsilon 0.001");
        let adam = UpdateFunction::Adam(Adam { rate: 0.001, beta1: 0.9, beta2: 0.999, epsilon: 0.01 });
        assert_eq!(words(adam), "adam with rate 0.001, beta1 0.9, beta2 0.999, epsilon 0.01");
        assert_eq!(words(UpdateFunction::Prox(Prox { rate: 1.0, l1: 0.5, l2: 0.0 })), "prox with rate 1, l1 0.5, l2 0");
    }

    #[test]
    fn a_delay_bound_is_taken_from_the_time_and_never_below_the_first() {
        let bounded = |delay_max| Consistency::BoundedDelay { delay_max };
        assert_eq!([0, 3, 7, 8].map(|delay| bounded(delay).demand(Time(7)).0), [7, 4, 0, 0]);
        assert_eq!(Consistency::Sequential.demand(Time(7)), bounded(0).demand(Time(7)));
        assert_eq!(Consistency::Eventual.demand(Time(7)), Time(0));
    }
}
