//! Grey values and the histogram bins they fall into.

use thiserror::Error;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
}

/// A grey value that histograms can be made of: `u8` or `u16`.
pub trait Grey: sealed::Sealed + Copy + Ord + core::fmt::Debug + Send + Sync + 'static {
    /// The value as an integer.
    fn value(self) -> u32;
}

impl Grey for u8 {
    #[inline(always)]
    fn value(self) -> u32 {
        u32::from(self)
    }
}

impl Grey for u16 {
    #[inline(always)]
    fn value(self) -> u32 {
        u32::from(self)
    }
}

/// `BINS` bins of equal width over a window of grey values; 2 to 256 of them.
///
/// Value `v` falls into bin `floor((v - low) * BINS / (high - low + 1))`; values outside the window
/// belong to the first or the last bin. Integer arithmetic: the same bins on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binning<const BINS: usize> {
    low: u32,
    high: u32,
    /// `ceil(2^41 / (high - low + 1))`: dividing by multiplication, exact for what it divides.
    reciprocal: u64,
}

/// Why grey values could not be binned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BinningError {
    /// The window's ends are not in order.
    #[error("the window of grey values from {low} to {high} is empty: low has to be at most high")]
    Window {
        /// Lower end.
        low: u16,
        /// Upper end.
        high: u16,
    },
    /// Too few bins, or too many.
    #[error("{bins} bins: 2 to 256 are possible")]
    Bins {
        /// The refused number.
        bins: usize,
    },
}

const SHIFT: u32 = 41;

impl<const BINS: usize> Binning<BINS> {
    /// Bins over the values `low..=high`.
    ///
    /// # Errors
    /// When `low > high`, or `BINS` is not 2 to 256.
    pub fn new(low: u16, high: u16) -> Result<Self, BinningError> {
        if !(2..=256).contains(&BINS) {
            return Err(BinningError::Bins { bins: BINS });
        }
        if low > high {
            return Err(BinningError::Window { low, high });
        }
        let (low, high) = (u32::from(low), u32::from(high));
        let reciprocal = (1u64 << SHIFT).div_ceil(u64::from(high - low + 1));
        Ok(Self { low, high, reciprocal })
    }

    /// Lowest grey value of the window.
    pub fn low(&self) -> u32 {
        self.low
    }

    /// Highest grey value of the window.
    pub fn high(&self) -> u32 {
        self.high
    }

    /// The bin of a grey value, below `BINS`.
    #[inline(always)]
    pub fn bin<G: Grey>(&self, grey: G) -> usize {
        // Below 2^24, so that the product with the reciprocal fits and is exact.
        let above = u64::from(grey.value().clamp(self.low, self.high) - self.low) * BINS as u64;
        ((above * self.reciprocal) >> SHIFT) as usize
    }
}
