//! Rectangles that are hidden.

use super::{AugmentError, Pixel};
use crate::{PlaneMut, Real, Rng};

/// Fill value of hidden pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fill<P> {
    /// One value.
    Value(P),
    /// The mean of the image before anything is hidden.
    Mean,
}

/// Hides rectangles of an image.
///
/// Source: DeVries and Taylor, *Improved regularization of convolutional neural networks with cutout*
/// (2017); here the rectangles lie inside the image.
///
/// ```
/// use infomark_core::{Cutout, Fill, PlaneMut, Rng};
/// let cutout = Cutout::new(1, (2, 3), (2, 2), Fill::Value(9))?;
/// let mut image = [0u8; 36];
/// cutout.apply(PlaneMut::new(&mut image, 6, 6)?, &mut Rng::new(1, 0));
/// let hidden = image.iter().filter(|&&v| v == 9).count();
/// assert!(hidden == 4 || hidden == 6);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cutout<P> {
    count: usize,
    width: (usize, usize),
    height: (usize, usize),
    fill: Fill<P>,
}

impl<P: Pixel> Cutout<P> {
    /// `count` rectangles with sides from the first to the last of a range, in pixels; they may overlap.
    ///
    /// # Errors
    /// When the ends of a range are not in order.
    pub fn new(
        count: usize,
        width: (usize, usize),
        height: (usize, usize),
        fill: Fill<P>,
    ) -> Result<Self, AugmentError> {
        for (name, (low, high)) in [("width", width), ("height", height)] {
            if low > high {
                let (low, high) = (low as f64, high as f64);
                return Err(AugmentError::Range { name, low, high, least: "at least 0" });
            }
        }
        Ok(Self { count, width, height, fill })
    }

    /// Draws the rectangles and fills them: sides uniform in their ranges, longer ones cut to the
    /// image's; then the place, uniform among those inside the image.
    pub fn apply(&self, mut image: PlaneMut<'_, P>, rng: &mut Rng) {
        if image.is_empty() {
            return;
        }
        let value = match self.fill {
            Fill::Value(value) => value,
            Fill::Mean => mean(&image),
        };
        for _ in 0..self.count {
            let mut side = |(low, high): (usize, usize), size: usize| {
                let span = (high - low) as u64;
                (low + rng.below(span.saturating_add(1)) as usize).min(size)
            };
            let (width, height) = (side(self.width, image.width()), side(self.height, image.height()));
            let mut start = |side: usize, size: usize| rng.below((size - side) as u64 + 1) as usize;
            let (x, y) = (start(width, image.width()), start(height, image.height()));
            for y in y..y + height {
                image.row_mut(y)[x..x + width].fill(value);
            }
        }
    }
}

fn mean<P: Pixel>(image: &PlaneMut<'_, P>) -> P {
    let mut sum = 0.0;
    for row in image.as_plane().rows() {
        for pixel in row {
            sum += pixel.to_work().as_f64();
        }
    }
    P::from_work(P::Work::from_f64(sum / (image.width() as f64 * image.height() as f64)))
}
