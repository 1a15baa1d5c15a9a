//! Views and drawn pixels on the device.

use std::cell::RefCell;

use infomark_core::{Elastic, IntensityJitter, Point, Positive, Rng};
use infomark_cuda::{Buffer, Device, ElasticView, ElasticViews, Images, PixelSampler, PointPair, ViewPlan};

use crate::TrainError;

/// Number of pixels that are drawn, and searched for in a view, at a time.
const BLOCK: usize = 1024;

/// An image on the device.
pub(crate) struct Canvas<'a> {
    device: &'a Device,
    levels: Buffer<u8>,
    width: usize,
    height: usize,
}

impl<'a> Canvas<'a> {
    pub(super) fn new(
        device: &'a Device,
        levels: &[u8],
        width: usize,
        height: usize,
    ) -> Result<Self, TrainError> {
        Ok(Self { device, levels: device.upload(levels)?, width, height })
    }

    fn images(&self) -> Result<Images<'_, u8>, TrainError> {
        Ok(Images::new(&self.levels, 1, self.width, self.height)?)
    }

    pub(crate) fn place(
        &self,
        field: Elastic<'_, f32>,
        tone: IntensityJitter<f32>,
    ) -> Result<Placed<'_>, TrainError> {
        let view = self.device.upload_elastic_views(&[ElasticView { image: 0, field, tone }])?;
        Ok(Placed { canvas: self, view, shown: None })
    }

    pub(crate) fn toned(&self, tone: IntensityJitter<f32>) -> Result<Vec<f32>, TrainError> {
        // The identity shows each pixel unchanged.
        let middle = |size: usize| size.saturating_sub(1) as f32 * 0.5;
        let centre = Point { x: middle(self.width), y: middle(self.height) };
        let whole = self.device.upload_views(&[ViewPlan::new(0, centre, 0.0, 1.0, tone)?])?;
        let made = self.device.make_views(self.images()?, &whole, self.width, self.height, 0.0)?;
        Ok(self.device.download(&made)?)
    }
}

/// A view of an image on the device.
pub(crate) struct Placed<'a> {
    canvas: &'a Canvas<'a>,
    view: ElasticViews,
    /// The last block of drawn pixels that was searched, and their positions in the view.
    shown: Option<(usize, Vec<PointPair>)>,
}

impl Placed<'_> {
    pub(crate) fn fill(&self, out: &mut [f32]) -> Result<(), TrainError> {
        let device = self.canvas.device;
        let made = device.download(&device.make_elastic_views(self.canvas.images()?, &self.view, 0.0)?)?;
        if made.len() != out.len() {
            return Err(TrainError::internal(format!("{} pixels for {}", made.len(), out.len())));
        }
        out.copy_from_slice(&made);
        Ok(())
    }

    /// Position in the view of the pixel drawn at a position of the stream.
    pub(crate) fn shown(
        &mut self,
        drawn: &Drawn<'_>,
        counter: u64,
    ) -> Result<Option<Positive<f32>>, TrainError> {
        let at = usize::try_from(counter / 2).unwrap_or(usize::MAX);
        let (block, place) = (at / BLOCK, at % BLOCK);
        let known = match self.shown.take() {
            Some((of, pairs)) if of == block => pairs,
            _ => {
                let blocks = drawn.blocks.borrow();
                let Some(pixels) = blocks.get(block) else {
                    return Err(TrainError::internal("a pixel that was not drawn"));
                };
                let device = self.canvas.device;
                device.download(&device.push_elastic_points(
                    &pixels.there,
                    &self.view,
                    self.canvas.width,
                )?)?
            }
        };
        let positive = known.get(place).and_then(PointPair::positive);
        self.shown = Some((block, known));
        Ok(positive)
    }
}

/// Pixels of an image drawn by the device: number `j` is the sampler's at position `2 j` of the stream.
pub(crate) struct Drawn<'a> {
    device: &'a Device,
    sampler: PixelSampler,
    width: usize,
    seed: u64,
    stream: u64,
    blocks: RefCell<Vec<Block>>,
}

/// A block of drawn pixels, on the device and on the host.
struct Block {
    there: Buffer<u32>,
    here: Vec<u32>,
}

impl<'a> Drawn<'a> {
    pub(super) fn new(
        device: &'a Device,
        sampler: PixelSampler,
        width: usize,
        (seed, stream): (u64, u64),
    ) -> Self {
        Self { device, sampler, width, seed, stream, blocks: RefCell::default() }
    }

    pub(crate) fn draw(&self, rng: &mut Rng) -> Result<(usize, usize), TrainError> {
        let at = usize::try_from(rng.counter() / 2).unwrap_or(usize::MAX);
        if !rng.counter().is_multiple_of(2) {
            return Err(TrainError::internal("an odd place in the stream"));
        }
        rng.next_u64();
        let (block, place) = (at / BLOCK, at % BLOCK);
        let mut blocks = self.blocks.borrow_mut();
        while blocks.len() <= block {
            let first = (blocks.len() * BLOCK) as u64;
            let there = self.device.draw_pixels(&self.sampler, BLOCK, self.seed, self.stream, first)?;
            let here = self.device.download(&there)?;
            blocks.push(Block { there, here });
        }
        let pixel = blocks.get(block).and_then(|block| block.here.get(place)).copied();
        let Some(pixel) = pixel else {
            return Err(TrainError::internal("too few pixels were drawn"));
        };
        Ok((pixel as usize % self.width, pixel as usize / self.width))
    }
}
