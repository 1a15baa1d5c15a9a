//! Input planes of a convolution, without a copy of the image.

/// Borrowed planes of `width x height` pixels.
#[derive(Clone, Copy, Debug)]
pub struct Planes<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) channels: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// `channels x height x width`.
    Plain(&'a [f32]),
    /// The first `kept` channels are those of `fine`, the others those of `coarse`, upsampled 2 x 2 by repetition.
    Joined { fine: &'a [f32], kept: usize, coarse: &'a [f32] },
    /// The 2 x 2 blocks of an image of twice the size, as four channels in reading order.
    Blocks(&'a [f32]),
}

impl<'a> Planes<'a> {
    /// `channels x height x width` pixels.
    pub fn new(image: &'a [f32], channels: usize, width: usize, height: usize) -> Self {
        Self { source: Source::Plain(image), channels, width, height }
    }

    /// Skip connection: the channels of `fine`, `kept` of them of `width x height` pixels (both even), then the `added` ones of `coarse`,
    /// upsampled 2 x 2 by repetition.
    pub fn joined(
        fine: &'a [f32],
        kept: usize,
        coarse: &'a [f32],
        added: usize,
        width: usize,
        height: usize,
    ) -> Self {
        Self { source: Source::Joined { fine, kept, coarse }, channels: kept + added, width, height }
    }

    /// The 2 x 2 blocks of an image of twice the size, as four channels in reading order.
    pub fn blocks(image: &'a [f32], width: usize, height: usize) -> Self {
        Self { source: Source::Blocks(image), channels: 4, width, height }
    }

    /// Width and height in pixels.
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }
}
