//! Layers that `infomark train` writes, on the kernels that training runs on.

use infomark_kernels::filter::Filter;
use infomark_kernels::planes::Planes;
use infomark_kernels::winograd::Workspace;
use infomark_kernels::{head, norm, resample};

/// What a 3 x 3 convolution reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Its input.
    Plain,
    /// Two inputs: the second one enlarged to 2 x 2 its size by repetition and joined to the first.
    Joined,
    /// The 2 x 2 blocks of its input of one channel, as four channels.
    Blocks,
}

/// Group normalisation and ReLU.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) groups: usize,
}

/// 3 x 3 convolution with what comes before and after it.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) source: Source,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) filter: Filter,
    pub(super) norm: Option<Norm>,
}

/// 1 x 1 convolution with bias, and scaling to length one.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// `[outputs, inputs]`.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// What a layer does.
#[derive(Debug)]
pub(super) enum Operation {
    Convolution(Convolution),
    Projection(Projection),
    /// Maximum of 2 x 2 pixels.
    MaxPool,
}

/// Channels, height and width.
pub(super) type Shape = [usize; 3];

impl Operation {
    /// The shape of the result, where the inputs are of shapes that it reads.
    pub(super) fn shape(&self, inputs: &[Shape]) -> Option<Shape> {
        match (self, inputs) {
            (Self::MaxPool, &[[channels, height, width]]) if height % 2 == 0 && width % 2 == 0 => {
                Some([channels, height / 2, width / 2])
            }
            (Self::Projection(Projection { inputs, outputs, .. }), &[[channels, height, width]])
                if channels == *inputs =>
            {
                Some([*outputs, height, width])
            }
            (Self::Convolution(Convolution { source, inputs, outputs, .. }), shapes) => {
                match (source, shapes) {
                    (Source::Plain, &[[channels, height, width]]) if channels == *inputs => {
                        Some([*outputs, height, width])
                    }
                    (Source::Joined, &[[kept, height, width], [added, coarse_height, coarse_width]])
                        if kept + added == *inputs
                            && (height, width) == (2 * coarse_height, 2 * coarse_width) =>
                    {
                        Some([*outputs, height, width])
                    }
                    (Source::Blocks, &[[1, height, width]]) if height % 2 == 0 && width % 2 == 0 => {
                        Some([*outputs, height / 2, width / 2])
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Writes the result of `shape`; `inputs` are of the shapes beside them.
    pub(super) fn compute(
        &self,
        inputs: &[(&[f32], Shape)],
        [_, height, width]: Shape,
        workspace: &mut Workspace,
        out: &mut [f32],
    ) {
        match (self, inputs) {
            (Self::MaxPool, [(x, [.., width]), ..]) => resample::max_pool(x, *width, out),
            (Self::Projection(Projection { inputs, outputs, weight, bias }), [(x, _), ..]) => {
                let shape = head::Shape { inputs: *inputs, outputs: *outputs, area: width * height };
                head::forward(x, weight, bias, shape, out);
            }
            (Self::Convolution(convolution), [(x, [channels, ..]), rest @ ..]) => {
                let planes = match (convolution.source, rest) {
                    (Source::Joined, [(coarse, [added, ..]), ..]) => {
                        Planes::joined(x, *channels, coarse, *added, width, height)
                    }
                    (Source::Blocks, _) => Planes::blocks(x, width, height),
                    _ => Planes::new(x, convolution.inputs, width, height),
                };
                convolution.filter.convolve(&planes, workspace, out);
                if let Some(Norm { gamma, beta, groups }) = &convolution.norm {
                    norm::in_place(out, gamma, beta, *groups, width * height);
                }
            }
            _ => {}
        }
    }
}
