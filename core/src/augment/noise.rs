//! Gaussian noise that does not depend on how an image is split.

use super::{AugmentError, Pixel};
use crate::{PlaneMut, Real, philox4x32};
use num_traits::float::FloatCore;

/// Gaussian noise: a number for each column and row, which depends on them, a seed and a stream alone.
///
/// Pieces of an image get the same noise as the whole when their origins are given. The noise of pixel
/// `(x, y)` comes from word `x % 4` of [`philox4x32`] with the counter `(x / 4, y, stream)` and the seed
/// as key, through the inverse of the normal distribution: Wichura's *AS 241* (Applied Statistics
/// 1988), routine PPND7, relative error 1e-7, at `(word + 0.5) / 2^32`. No number is more than 6.4
/// standard deviations from 0. Do not use the stream for an [`Rng`](crate::Rng) as well.
///
/// ```
/// use infomark_core::{Noise, PlaneMut};
/// let noise = Noise::new(0.1, 7, 0)?;
/// let (mut whole, mut right) = ([100u8; 8], [100u8; 5]);
/// noise.add(PlaneMut::new(&mut whole, 8, 1)?, 0, 0);
/// noise.add(PlaneMut::new(&mut right, 5, 1)?, 3, 0);
/// assert_eq!(whole[3..], right);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    sigma: f64,
    seed: u64,
    stream: u64,
}

impl Noise {
    /// Noise with the standard deviation `sigma`, where 1 is the difference of black and white:
    /// `0.1` is 25.5 grey levels of `u8`.
    ///
    /// # Errors
    /// When `sigma` is negative or not finite.
    pub fn new(sigma: f64, seed: u64, stream: u64) -> Result<Self, AugmentError> {
        if sigma >= 0.0 && sigma.is_finite() {
            Ok(Self { sigma, seed, stream })
        } else {
            Err(AugmentError::Factor { name: "noise", value: sigma, least: "at least 0" })
        }
    }

    /// The standard normal number of a pixel.
    pub fn normal(&self, x: u32, y: u32) -> f64 {
        normal(self.words(x / 4, y)[(x % 4) as usize])
    }

    /// Adds noise to an image, or to a piece whose top left pixel is `(x, y)` of the whole, and cuts
    /// the pixels to `[0, 1]` (integers: their range); NaN counts as 0. Columns and rows are counted
    /// modulo 2^32.
    pub fn add<P: Pixel>(&self, mut image: PlaneMut<'_, P>, x: u32, y: u32) {
        let white = P::WHITE.to_work();
        let scale = self.sigma * white.as_f64();
        let (zero, width) = (P::Work::from_f64(0.0), image.width());
        for row in 0..image.height() {
            let pixels = image.row_mut(row);
            let y = y.wrapping_add(row as u32);
            let mut done = 0;
            while done < width {
                let at = x.wrapping_add(done as u32);
                let words = self.words(at / 4, y);
                let skip = (at % 4) as usize;
                let end = (done + 4 - skip).min(width);
                for (pixel, &word) in pixels[done..end].iter_mut().zip(&words[skip..]) {
                    let noise = P::Work::from_f64(scale * normal(word));
                    *pixel = P::from_work((pixel.to_work() + noise).max(zero).min(white));
                }
                done = end;
            }
        }
    }

    fn words(&self, block: u32, y: u32) -> [u32; 4] {
        let halves = |v: u64| [v as u32, (v >> 32) as u32];
        let [low, high] = halves(self.stream);
        philox4x32([block, y, low, high], halves(self.seed))
    }
}

fn polynomial<const N: usize>(x: f64, coefficients: [f64; N]) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

/// The quantile of the standard normal distribution at `(word + 0.5) / 2^32`.
#[inline]
fn normal(word: u32) -> f64 {
    let share = (f64::from(word) + 0.5) * (1.0 / (1u64 << 32) as f64);
    let q = share - 0.5;
    if FloatCore::abs(q) <= 0.425 {
        let r = 0.180_625 - q * q;
        let above = [3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_72];
        return q * polynomial(r, above) / polynomial(r, [1.0, 17.895_169_469, 78.757_757_664, 67.187_563_6]);
    }
    // From 1.6 to 4.8, so that the routine's third branch is never needed.
    let r = Real::sqrt(-Real::ln(if q < 0.0 { share } else { 1.0 - share })) - 1.6;
    let size = polynomial(r, [1.423_437_277_7, 2.756_815_39, 1.306_728_481_6, 0.170_238_211_03])
        / polynomial(r, [1.0, 0.737_001_642_5, 0.120_211_329_75]);
    if q < 0.0 { -size } else { size }
}
