//! Tournament sampling.

use super::{SampleError, check_row};
use crate::{Plane, Real, Rng};

/// Tournament sampler: of two uniformly drawn pixels, takes the one whose weight times a uniform
/// random number is larger.
///
/// It needs neither buffer nor preparation, and favours high weights less than proportional
/// sampling: of `n` pixels, pixel `i` is drawn with probability
/// `(1 + 2 * sum over j != i of P(i beats j)) / n^2`, where `P(i beats j)` is `1 - w_j / (2 w_i)` for
/// `w_i >= w_j`, else `w_i / (2 w_j)`, and 1/2 when both are 0. So a pixel of weight 0 is drawn only
/// when both candidates have weight 0.
///
/// Source: Quan et al., *IGU-Aug* (IEEE TMI 2025), the sampler of their experiments.
///
/// ```
/// use infomark_core::{Plane, Rng, Tournament};
/// let weights = [0.0, 0.0, 5.0, 0.0];
/// let sampler = Tournament::new(Plane::new(&weights, 2, 2)?)?;
/// let mut rng = Rng::new(1, 0);
/// let hits = (0..1000).filter(|_| sampler.draw(&mut rng) == (0, 1)).count();
/// // It wins whenever it is one of the candidates: 1 - (3/4)^2.
/// assert!((400..475).contains(&hits));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tournament<'a, T> {
    weights: Plane<'a, T>,
}

impl<'a, T: Real> Tournament<'a, T> {
    /// A sampler over a map of weights.
    ///
    /// # Errors
    /// When a weight is negative or not finite, or none is above 0.
    pub fn new(weights: Plane<'a, T>) -> Result<Self, SampleError> {
        let mut most = T::zero();
        for (y, row) in weights.rows().enumerate() {
            check_row(row, y)?;
            most = row.iter().fold(most, |most, &weight| most.max(weight));
        }
        if most > T::zero() { Ok(Self { weights }) } else { Err(SampleError::Empty) }
    }

    /// Samples a pixel as `(column, row)`.
    pub fn draw(&self, rng: &mut Rng) -> (usize, usize) {
        let (first, first_key) = self.candidate(rng);
        let (second, second_key) = self.candidate(rng);
        if second_key > first_key { second } else { first }
    }

    fn candidate(&self, rng: &mut Rng) -> ((usize, usize), f64) {
        let (width, height) = (self.weights.width(), self.weights.height());
        let pixel = rng.below(width as u64 * height as u64) as usize;
        let (x, y) = (pixel % width, pixel / width);
        // In (0, 1]: a weight above 0 beats one of 0.
        let chance = 1.0 - rng.uniform::<f64>();
        ((x, y), self.weights.row(y)[x].as_f64() * chance)
    }
}
