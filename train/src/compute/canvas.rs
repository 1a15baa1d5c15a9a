//! Source images of views, and pixels drawn from them.

use std::borrow::Cow;

use infomark_core::{
    Border, Elastic, IntensityJitter, Interpolation, Plane, PlaneMut, Point, Positive, Rng, Sampler,
};

#[cfg(feature = "cuda")]
use super::cuda;
use crate::TrainError;

/// Sampler of one image's pixels.
pub(crate) enum Pixels<'a> {
    /// On the CPU, from cumulative weights.
    Sums(Sampler<'a>),
    /// Drawn ahead by a device.
    #[cfg(feature = "cuda")]
    Drawn(cuda::Drawn<'a>),
}

impl Pixels<'_> {
    /// A pixel as `(column, row)`; consumes two words of the stream.
    pub(crate) fn draw(&self, rng: &mut Rng) -> Result<(usize, usize), TrainError> {
        match self {
            Self::Sums(sampler) => Ok(sampler.draw(rng)),
            #[cfg(feature = "cuda")]
            Self::Drawn(drawn) => drawn.draw(rng),
        }
    }
}

/// Source image of views.
pub(crate) struct Canvas<'a> {
    width: usize,
    height: usize,
    image: Image<'a>,
}

enum Image<'a> {
    /// Pixels in `[0, 1]`, row by row.
    Here(Cow<'a, [f32]>),
    /// Grey levels on a device.
    #[cfg(feature = "cuda")]
    There(cuda::Canvas<'a>),
}

impl<'a> Canvas<'a> {
    /// Pixels in `[0, 1]`, row by row, as many as the size requires; views are made on the CPU.
    pub(crate) fn here(pixels: Cow<'a, [f32]>, width: usize, height: usize) -> Self {
        Self { width, height, image: Image::Here(pixels) }
    }

    /// An image on a device.
    #[cfg(feature = "cuda")]
    pub(crate) fn there(image: cuda::Canvas<'a>, width: usize, height: usize) -> Self {
        Self { width, height, image: Image::There(image) }
    }

    /// Width in pixels.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub(crate) fn height(&self) -> usize {
        self.height
    }

    /// A view that is not computed yet.
    pub(crate) fn place<'v>(
        &'v self,
        field: Elastic<'v, f32>,
        tone: IntensityJitter<f32>,
    ) -> Result<Placed<'v>, TrainError> {
        let on = match &self.image {
            Image::Here(pixels) => {
                let plane = Plane::new(pixels, self.width, self.height);
                On::Here(plane?)
            }
            #[cfg(feature = "cuda")]
            Image::There(image) => On::There(Box::new(image.place(field, tone)?)),
        };
        Ok(Placed { field, tone, on })
    }

    /// The whole image with intensity jitter.
    pub(crate) fn toned(&self, tone: IntensityJitter<f32>) -> Result<Vec<f32>, TrainError> {
        match &self.image {
            Image::Here(pixels) => {
                let mut out = pixels.to_vec();
                let target = PlaneMut::new(&mut out, self.width, self.height);
                let target = target?;
                tone.apply_in_place(target)?;
                Ok(out)
            }
            #[cfg(feature = "cuda")]
            Image::There(image) => image.toned(tone),
        }
    }
}

/// A view: its geometry and its intensity jitter.
pub(crate) struct Placed<'a> {
    field: Elastic<'a, f32>,
    tone: IntensityJitter<f32>,
    on: On<'a>,
}

enum On<'a> {
    Here(Plane<'a, f32>),
    #[cfg(feature = "cuda")]
    There(Box<cuda::Placed<'a>>),
}

impl Placed<'_> {
    /// Computes the view: bilinear, 0 outside the image, with intensity jitter.
    pub(crate) fn fill(&self, out: &mut [f32]) -> Result<(), TrainError> {
        match &self.on {
            On::Here(plane) => {
                let view = self.field.view();
                let target = PlaneMut::new(out, view.width(), view.height());
                let mut target = target?;
                self.field.resample(
                    *plane,
                    target.reborrow(),
                    Interpolation::Bilinear,
                    Border::Value(0.0),
                )?;
                Ok(self.tone.apply_in_place(target)?)
            }
            #[cfg(feature = "cuda")]
            On::There(view) => view.fill(out),
        }
    }

    /// Draws a pixel of the image; `None` unless it is `wanted` and the view shows it. Consumes two words of the stream.
    pub(crate) fn draw(
        &mut self,
        pixels: &Pixels<'_>,
        rng: &mut Rng,
        wanted: impl Fn(usize, usize) -> bool,
    ) -> Result<Option<Positive<f32>>, TrainError> {
        #[cfg(feature = "cuda")]
        let counter = rng.counter();
        let (x, y) = pixels.draw(rng)?;
        if !wanted(x, y) {
            return Ok(None);
        }
        #[cfg(feature = "cuda")]
        if let (Pixels::Drawn(drawn), On::There(view)) = (pixels, &mut self.on) {
            return view.shown(drawn, counter);
        }
        let image = Point { x: x as f32, y: y as f32 };
        Ok(self.field.push(image).map(|view| Positive { view, image }))
    }
}
