//! What kernels that exist for f32 and f64 need of a number.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// f32 or f64.
pub trait Float:
    Copy
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + From<f32>
{
    /// The largest finite number.
    const LARGEST: Self;
    /// Zero.
    const ZERO: Self;
    /// One.
    const ONE: Self;

    /// The square root.
    #[must_use]
    fn sqrt(self) -> Self;

    /// The number without its sign.
    #[must_use]
    fn abs(self) -> Self;

    /// The number with the sign of another.
    #[must_use]
    fn copysign(self, sign: Self) -> Self;

    /// The number itself where it is finite, otherwise the largest finite one of its sign; of a NaN
    /// the positive one.
    #[must_use]
    #[inline(always)]
    fn saturate(self) -> Self {
        // These comparisons are one instruction each, which the library's `clamp` is not.
        let below = if self < Self::LARGEST { self } else { Self::LARGEST };
        if below > -Self::LARGEST { below } else { -Self::LARGEST }
    }
}

macro_rules! float {
    ($number:ident) => {
        impl Float for $number {
            const LARGEST: $number = $number::MAX;
            const ZERO: $number = 0.0;
            const ONE: $number = 1.0;

            #[inline(always)]
            fn sqrt(self) -> $number {
                $number::sqrt(self)
            }

            #[inline(always)]
            fn abs(self) -> $number {
                $number::abs(self)
            }

            #[inline(always)]
            fn copysign(self, sign: $number) -> $number {
                $number::copysign(self, sign)
            }
        }
    };
}

float!(f32);
float!(f64);
