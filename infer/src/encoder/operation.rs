//! Layers that `infomark train` writes, on the training kernels.

use std::ops::Range;

use infomark_kernels::filter::Filter;
use infomark_kernels::planes::Planes;
use infomark_kernels::winograd::Workspace;
use infomark_kernels::{depthwise, head, norm, pointwise, relu6, resample};

/// Input of a 3 x 3 convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// One input.
    Plain,
    /// Two inputs: the second is upsampled by 2 (nearest neighbour) and concatenated to the first.
    Joined,
    /// The 2 x 2 blocks of a one-channel input, as four channels (space to depth).
    Blocks,
}

/// Group normalisation and ReLU.
#[derive(Clone, Debug)]
pub(super) struct Norm {
    pub(super) gamma: Vec<f32>,
    pub(super) beta: Vec<f32>,
    pub(super) groups: usize,
}

/// 3 x 3 convolution with its input transformation and normalisation.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) source: Source,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) filter: Filter,
    pub(super) norm: Option<Norm>,
}

/// 1 x 1 convolution with bias, and normalisation to length 1.
#[derive(Clone, Debug)]
pub(super) struct Projection {
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// Weights, `[outputs, inputs]`.
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// Convolution of a backbone, with bias and, where it is `clipped`, ReLU6.
#[derive(Debug)]
pub(super) struct BackboneConvolution {
    pub(super) kind: Kind,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
    pub(super) clipped: bool,
}

/// Type of a [`BackboneConvolution`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Pointwise: all channels of one pixel.
    Pointwise,
    /// Depthwise: one kernel per channel, or one input channel with a kernel per output channel.
    Depthwise {
        /// Kernel size.
        kernel: usize,
        /// Stride in pixels of the input.
        stride: usize,
        /// Zero padding on the left and above.
        padding: usize,
    },
}

impl Kind {
    fn out(self, size: usize) -> usize {
        match self {
            Kind::Pointwise => size,
            Kind::Depthwise { stride, .. } => size.div_ceil(stride),
        }
    }
}

/// Inverted residual expansion: a pointwise convolution to more channels, then a depthwise one.
#[derive(Debug)]
pub(super) struct Expansion {
    pub(super) expand: BackboneConvolution,
    pub(super) depthwise: BackboneConvolution,
}

/// Approximate number of values of an [`Expansion`] between its convolutions.
const BETWEEN: usize = 1 << 19;
/// Channels are processed in multiples of this, except the last ones.
const TOGETHER: usize = 4;

impl Expansion {
    /// Whether two consecutive convolutions of a backbone form an expansion.
    pub(super) fn is_of(expand: &BackboneConvolution, depthwise: &BackboneConvolution) -> bool {
        expand.kind == Kind::Pointwise
            && matches!(depthwise.kind, Kind::Depthwise { .. })
            && [depthwise.inputs, depthwise.outputs] == [expand.outputs; 2]
    }

    /// Processes some channels at a time: all at once would take most of a network's memory.
    fn compute(&self, x: &[f32], size: (usize, usize), out_size: (usize, usize), out: &mut [f32]) {
        let Self { expand, depthwise } = self;
        let (area, out_area) = (size.0 * size.1, out_size.0 * out_size.1);
        let together = (BETWEEN / area / TOGETHER * TOGETHER).clamp(TOGETHER, expand.outputs.max(TOGETHER));
        let mut between = vec![0.0; together.min(expand.outputs) * area];
        for (i, out) in out.chunks_mut(together * out_area).enumerate() {
            let channels = i * together..i * together + out.len() / out_area;
            let between = &mut between[..channels.len() * area];
            expand.compute(x, channels.clone(), size, size, between);
            depthwise.compute(between, channels, size, out_size, out);
        }
    }
}

/// Operation of a layer.
#[derive(Debug)]
pub(super) enum Operation {
    Convolution(Convolution),
    Projection(Projection),
    /// 2 x 2 max pooling.
    MaxPool,
    Backbone(BackboneConvolution),
    Expansion(Expansion),
    /// The sum of two values.
    Sum,
    /// Concatenation of a unit feature times the first factor and the second value scaled to the length of the second factor.
    Join([f32; 2]),
}

/// Channels, height and width.
pub(super) type Shape = [usize; 3];

impl Operation {
    /// The shape of the result; `None` for unsupported input shapes.
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
            (
                Self::Backbone(BackboneConvolution { kind, inputs, outputs, .. }),
                &[[channels, height, width]],
            ) if channels == *inputs => Some([*outputs, kind.out(height), kind.out(width)]),
            (Self::Expansion(Expansion { expand, depthwise }), &[[channels, height, width]])
                if channels == expand.inputs =>
            {
                Some([depthwise.outputs, depthwise.kind.out(height), depthwise.kind.out(width)])
            }
            (Self::Sum, &[a, b]) if a == b => Some(a),
            (Self::Join(_), &[[channels, height, width], [more, rows, columns]])
                if (height, width) == (rows, columns) =>
            {
                Some([channels.checked_add(more)?, height, width])
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

    /// Computes the result of `shape`; `inputs` come with their shapes.
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
                let shape = head::HeadShape { inputs: *inputs, outputs: *outputs, area: width * height };
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
            (Self::Backbone(convolution), [(x, [_, rows, columns]), ..]) => {
                convolution.compute(x, 0..convolution.outputs, (*columns, *rows), (width, height), out);
            }
            (Self::Expansion(expansion), [(x, [_, rows, columns]), ..]) => {
                expansion.compute(x, (*columns, *rows), (width, height), out);
            }
            (Self::Sum, [(a, _), (b, _), ..]) => {
                for ((out, a), b) in out.iter_mut().zip(*a).zip(*b) {
                    *out = a + b;
                }
            }
            (Self::Join(factors), [(unit, _), (more, _), ..]) => {
                let (first, second) = out.split_at_mut(unit.len());
                first.iter_mut().zip(*unit).for_each(|(out, v)| *out = v * factors[0]);
                head::normalise(more, width * height, factors[1], second);
            }
            _ => {}
        }
    }
}

impl BackboneConvolution {
    /// Computes some channels of the result; for depthwise convolutions `x` has only these channels.
    fn compute(
        &self,
        x: &[f32],
        channels: Range<usize>,
        (width, height): (usize, usize),
        out_size: (usize, usize),
        out: &mut [f32],
    ) {
        let Self { kind, inputs, outputs, weight, bias, clipped } = self;
        let each = weight.len() / outputs;
        let weight = &weight[channels.start * each..channels.end * each];
        let bias = &bias[channels];
        match *kind {
            Kind::Pointwise => pointwise::forward(x, weight, bias, out),
            Kind::Depthwise { kernel, stride, padding } => {
                let shape = |channels| depthwise::DepthwiseShape {
                    channels,
                    width,
                    height,
                    kernel,
                    stride,
                    padding,
                    out: out_size,
                };
                if inputs == outputs {
                    depthwise::forward(x, weight, bias, shape(bias.len()), out);
                } else {
                    let planes = out.chunks_exact_mut(out_size.0 * out_size.1);
                    for ((out, weight), bias) in planes.zip(weight.chunks_exact(each)).zip(bias.chunks(1)) {
                        depthwise::forward(x, weight, bias, shape(1), out);
                    }
                }
            }
        }
        if *clipped {
            relu6::in_place(out);
        }
    }
}
