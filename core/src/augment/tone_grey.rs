//! Intensity jitter of integer images.

use super::{AugmentError, IntensityJitter, check_size};
use crate::{Plane, PlaneMut, Real};

/// Integers are divided by white (255 or 65535), jittered as floats, without rounding between the
/// steps, and rounded to the nearest integer at the end, halves up.
impl<T: Real> IntensityJitter<T> {
    /// Writes the jittered image into `dst`, by a lookup table of the 256 levels made for this image.
    ///
    /// ```
    /// use infomark_core::{Plane, PlaneMut, IntensityJitter};
    /// let tone = IntensityJitter { brightness: 1.5f32, ..IntensityJitter::identity() };
    /// let mut out = [0; 3];
    /// tone.apply_u8(Plane::new(&[1u8, 100, 200], 3, 1)?, PlaneMut::new(&mut out, 3, 1)?)?;
    /// assert_eq!(out, [2, 150, 255]);
    /// # Ok::<(), Box<dyn core::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// When the sizes differ, or a factor is unusable (see the fields).
    pub fn apply_u8(&self, src: Plane<'_, u8>, mut dst: PlaneMut<'_, u8>) -> Result<(), AugmentError> {
        self.check()?;
        check_size((src.width(), src.height()), &dst.as_plane())?;
        let table = self.table(src);
        for (y, row) in src.rows().enumerate() {
            for (to, &from) in dst.row_mut(y).iter_mut().zip(row) {
                *to = table[usize::from(from)];
            }
        }
        Ok(())
    }

    /// In-place variant of [`apply_u8`](Self::apply_u8).
    ///
    /// # Errors
    /// When a factor is unusable.
    pub fn apply_u8_in_place(&self, mut image: PlaneMut<'_, u8>) -> Result<(), AugmentError> {
        self.check()?;
        let table = self.table(image.as_plane());
        for y in 0..image.height() {
            for v in image.row_mut(y) {
                *v = table[usize::from(*v)];
            }
        }
        Ok(())
    }

    /// Writes the jittered image into `dst`; each pixel is computed.
    ///
    /// # Errors
    /// When the sizes differ, or a factor is unusable (see the fields).
    pub fn apply_u16(&self, src: Plane<'_, u16>, mut dst: PlaneMut<'_, u16>) -> Result<(), AugmentError> {
        self.check()?;
        check_size((src.width(), src.height()), &dst.as_plane())?;
        for (y, row) in src.rows().enumerate() {
            dst.row_mut(y).copy_from_slice(row);
        }
        self.change_u16(dst);
        Ok(())
    }

    /// In-place variant of [`apply_u16`](Self::apply_u16).
    ///
    /// # Errors
    /// When a factor is unusable.
    pub fn apply_u16_in_place(&self, image: PlaneMut<'_, u16>) -> Result<(), AugmentError> {
        self.check()?;
        self.change_u16(image);
        Ok(())
    }

    /// Lookup table of the 256 levels of an image.
    fn table(&self, image: Plane<'_, u8>) -> [u8; 256] {
        // Four histograms: a single one would wait for itself where levels repeat.
        let mut counts = [[0u64; 256]; 4];
        for row in image.rows() {
            for pixels in row.chunks(4) {
                for (counts, &v) in counts.iter_mut().zip(pixels) {
                    counts[usize::from(v)] += 1;
                }
            }
        }
        let white = T::from_f64(255.0);
        let bright = |level: usize| self.brightened(T::from_usize(level) / white);
        let mut sum = 0.0;
        for level in 0..256 {
            let count: u64 = counts.iter().map(|counts| counts[level]).sum();
            sum += count as f64 * bright(level).as_f64();
        }
        let mean = T::from_f64(sum / (image.width() as f64 * image.height() as f64).max(1.0));
        core::array::from_fn(|level| {
            let value = self.contrasted(bright(level), mean) * white;
            (value + T::from_f64(0.5)).to_u8().unwrap_or(u8::MAX)
        })
    }

    fn change_u16(&self, mut image: PlaneMut<'_, u16>) {
        let white = T::from_f64(65535.0);
        let bright = |v: u16| self.brightened(T::from_usize(usize::from(v)) / white);
        let mut sums = [0.0; 8];
        for row in image.as_plane().rows() {
            for pixels in row.chunks(8) {
                for (&v, sum) in pixels.iter().zip(&mut sums) {
                    *sum += bright(v).as_f64();
                }
            }
        }
        let pixels = (image.width() as f64 * image.height() as f64).max(1.0);
        let mean = T::from_f64(sums.iter().sum::<f64>() / pixels);
        for y in 0..image.height() {
            for v in image.row_mut(y) {
                let value = self.contrasted(bright(*v), mean) * white;
                *v = (value + T::from_f64(0.5)).to_u16().unwrap_or(u16::MAX);
            }
        }
    }

    #[inline]
    fn brightened(&self, v: T) -> T {
        (v * self.brightness).max(T::zero()).min(T::one())
    }

    /// Contrast and gamma.
    #[inline]
    fn contrasted(&self, v: T, mean: T) -> T {
        let v = (v * self.contrast + (T::one() - self.contrast) * mean).max(T::zero()).min(T::one());
        if self.gamma == T::one() { v } else { v.pow(self.gamma) }
    }
}
