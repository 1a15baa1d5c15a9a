//! Brightness, contrast and gamma.

use super::{AugmentError, check_size};
use crate::{Plane, PlaneMut, Real};

/// Intensity jitter: brightness, contrast and gamma of an image with pixels in `[0, 1]`.
///
/// In this order: `v * brightness`, clamped to `[0, 1]`; the blend
/// `contrast * v + (1 - contrast) * mean` with the mean of the brightened image, clamped to `[0, 1]`;
/// `v^gamma`. Factors of 1 change nothing, bit for bit. Brightness and contrast are those of
/// torchvision's `adjust_brightness` and `adjust_contrast` on a grey image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct IntensityJitter<T> {
    /// Brightness factor, at least 0.
    pub brightness: T,
    /// Contrast factor about the mean, at least 0.
    pub contrast: T,
    /// Gamma exponent, above 0: below 1 brightens.
    pub gamma: T,
}

impl<T: Real> Default for IntensityJitter<T> {
    fn default() -> Self {
        Self::identity()
    }
}

impl<T: Real> IntensityJitter<T> {
    /// The identity.
    pub fn identity() -> Self {
        Self { brightness: T::one(), contrast: T::one(), gamma: T::one() }
    }

    pub(super) fn check(&self) -> Result<(), AugmentError> {
        let zero = T::zero();
        for (name, value, good, least) in [
            ("brightness", self.brightness, self.brightness >= zero, "at least 0"),
            ("contrast", self.contrast, self.contrast >= zero, "at least 0"),
            ("gamma", self.gamma, self.gamma > zero, "above 0"),
        ] {
            if !(value.is_finite() && good) {
                return Err(AugmentError::Factor { name, value: value.as_f64(), least });
            }
        }
        Ok(())
    }

    /// Writes the jittered image into `dst`. Pixels are clamped to `[0, 1]` first, NaN counts as 0.
    ///
    /// # Errors
    /// When the sizes differ, or a factor is unusable (see the fields).
    pub fn apply(&self, src: Plane<'_, T>, mut dst: PlaneMut<'_, T>) -> Result<(), AugmentError> {
        self.check()?;
        check_size((src.width(), src.height()), &dst.as_plane())?;
        for (y, row) in src.rows().enumerate() {
            dst.row_mut(y).copy_from_slice(row);
        }
        self.change(dst);
        Ok(())
    }

    /// In-place variant of [`apply`](Self::apply).
    ///
    /// # Errors
    /// When a factor is unusable.
    pub fn apply_in_place(&self, image: PlaneMut<'_, T>) -> Result<(), AugmentError> {
        self.check()?;
        self.change(image);
        Ok(())
    }

    fn change(&self, mut image: PlaneMut<'_, T>) {
        let (zero, one) = (T::zero(), T::one());
        if image.is_empty() {
            return;
        }
        // Eight accumulators: a single one would wait for each addition.
        let mut sums = [0.0; 8];
        for y in 0..image.height() {
            for pixels in image.row_mut(y).chunks_mut(8) {
                for (v, sum) in pixels.iter_mut().zip(&mut sums) {
                    *v = (*v * self.brightness).max(zero).min(one);
                    *sum += v.as_f64();
                }
            }
        }
        let sum = sums.iter().sum::<f64>();
        let mean = T::from_f64(sum / (image.width() as f64 * image.height() as f64));
        let base = (one - self.contrast) * mean;
        for y in 0..image.height() {
            for v in image.row_mut(y) {
                *v = (*v * self.contrast + base).max(zero).min(one);
            }
        }
        if self.gamma != one {
            for y in 0..image.height() {
                for v in image.row_mut(y) {
                    *v = v.pow(self.gamma);
                }
            }
        }
    }
}
