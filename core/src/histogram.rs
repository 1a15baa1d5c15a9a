//! Binning of grey levels.

use crate::{Plane, PlaneMut};
use thiserror::Error;

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for u16 {}
}

/// Integer grey level, `u8` or `u16`. The trait is sealed.
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

/// `BINS` bins of equal width over a window of grey levels; 2 to 256 bins.
///
/// Level `v` falls into bin `floor((v - low) * BINS / (high - low + 1))`; levels outside the window
/// belong to the first or the last bin. Integer arithmetic: the same bins on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binning<const BINS: usize> {
    low: u32,
    high: u32,
    /// `ceil(2^41 / (high - low + 1))`: exact division by multiplication.
    reciprocal: u64,
}

/// Errors of binning.
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
        /// The rejected number.
        bins: usize,
    },
    /// The output's size differs from the image's.
    #[error("the output has {out_width} x {out_height} pixels, the image {width} x {height}")]
    Size {
        /// Width of the image.
        width: usize,
        /// Height of the image.
        height: usize,
        /// Width of the output.
        out_width: usize,
        /// Height of the output.
        out_height: usize,
    },
}

const SHIFT: u32 = 41;

impl<const BINS: usize> Binning<BINS> {
    /// Bins over the grey levels `low..=high`.
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

    /// Lowest grey level of the window.
    pub fn low(&self) -> u32 {
        self.low
    }

    /// Highest grey level of the window.
    pub fn high(&self) -> u32 {
        self.high
    }

    /// The bin of a grey level, below `BINS`.
    #[inline(always)]
    pub fn bin<G: Grey>(&self, grey: G) -> usize {
        // Below 2^24, so that the product with the reciprocal fits and is exact.
        let above = u64::from(grey.value().clamp(self.low, self.high) - self.low) * BINS as u64;
        ((above * self.reciprocal) >> SHIFT) as usize
    }

    /// Writes the bin of every pixel, as input for histograms of fewer than 256 levels.
    ///
    /// # Errors
    /// When the sizes differ.
    ///
    /// ```
    /// use infomark_core::{Binning, Plane, PlaneMut};
    /// let image = [999u16, 1000, 1063, 1064, 5000];
    /// let mut bins = [0; 5];
    /// let window = Binning::<16>::new(1000, 2023)?;
    /// window.apply(Plane::new(&image, 5, 1)?, PlaneMut::new(&mut bins, 5, 1)?)?;
    /// assert_eq!(bins, [0, 0, 0, 1, 15]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    pub fn apply<G: Grey>(&self, image: Plane<'_, G>, mut out: PlaneMut<'_, u8>) -> Result<(), BinningError> {
        let (width, height) = (image.width(), image.height());
        if (out.width(), out.height()) != (width, height) {
            let (out_width, out_height) = (out.width(), out.height());
            return Err(BinningError::Size { width, height, out_width, out_height });
        }
        for (y, row) in image.rows().enumerate() {
            for (bin, &grey) in out.row_mut(y).iter_mut().zip(row) {
                *bin = self.bin(grey) as u8;
            }
        }
        Ok(())
    }
}
