//! A graph of the layers that `infomark train` writes, run on the kernels that training runs on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use infomark_kernels::filter::Filter;
use infomark_kernels::planes::Planes;
use infomark_kernels::winograd::Workspace;
use infomark_kernels::{head, norm, resample};

use crate::onnx::Graph;

use super::layers::{self, Layer};
use super::{Interface, plan};

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
type Shape = [usize; 3];

impl Operation {
    /// The shape of the result, where the inputs are of shapes that it reads.
    fn shape(&self, inputs: &[Shape]) -> Option<Shape> {
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
    fn compute(
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

/// A layer in its place.
#[derive(Debug)]
struct Step {
    operation: Operation,
    /// Places among the values: 0 is the network's input, 1 what the first step makes, and so on.
    inputs: Vec<usize>,
    shape: Shape,
    /// Values that nobody reads after it.
    done: Vec<usize>,
}

/// A network of layers of our own alone.
#[derive(Debug)]
pub(super) struct Network {
    input: Shape,
    steps: Vec<Step>,
    /// Places of the outputs among the values, in the order of the interface.
    outputs: Vec<usize>,
    /// Memory of runs that have ended, for the next ones: as much as there were runs at once.
    memory: Mutex<Vec<Memory>>,
}

/// What a run needs beside its outputs.
#[derive(Debug, Default)]
struct Memory {
    workspace: Workspace,
    /// Values that nobody reads any more.
    spare: Vec<Vec<f32>>,
}

impl Network {
    /// The network of a graph, where each of its nodes belongs to a layer that is known here and shapes are those of the
    /// interface.
    pub(super) fn of(graph: &Graph, interface: &Interface) -> Option<Self> {
        let input = [1, interface.input.height(), interface.input.width()];
        let mut places: HashMap<String, usize> = HashMap::from([(graph.input.first()?.name.clone(), 0)]);
        let mut shapes = vec![input];
        let mut steps: Vec<Step> = Vec::new();
        let mut total = 0_usize;
        for Layer { operation, inputs, output } in layers::of(graph)? {
            let inputs = inputs.iter().map(|name| places.get(name).copied()).collect::<Option<Vec<_>>>()?;
            let given: Vec<Shape> = inputs.iter().map(|&place| shapes[place]).collect();
            let shape = operation.shape(&given)?;
            let elements = shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))?;
            total = total.saturating_add(elements);
            if elements > plan::MAX_ELEMENTS || total > plan::MAX_TOTAL {
                return None;
            }
            shapes.push(shape);
            places.insert(output, steps.len() + 1);
            steps.push(Step { operation, inputs, shape, done: Vec::new() });
        }
        let output = |(name, expected): &(String, [usize; 4])| {
            let &place = places.get(name)?;
            let [channels, height, width] = shapes[place];
            (place > 0 && [1, channels, height, width] == *expected).then_some(place)
        };
        let outputs: Vec<usize> = interface.outputs.iter().map(output).collect::<Option<_>>()?;
        for value in 1..shapes.len() {
            let last = steps.iter().rposition(|step| step.inputs.contains(&value));
            if let (Some(last), false) = (last, outputs.contains(&value)) {
                steps[last].done.push(value);
            }
        }
        Some(Self { input, steps, outputs, memory: Mutex::default() })
    }

    /// The outputs for a canvas of the input's size; none when `late` says so before one of the layers.
    pub(super) fn run(&self, canvas: &[f32], late: &impl Fn() -> bool) -> Option<Vec<Vec<f32>>> {
        let kept = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { mut workspace, mut spare } = kept().pop().unwrap_or_default();
        let mut values: Vec<Vec<f32>> = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            if late() {
                return None;
            }
            let len = step.shape.iter().product();
            let given_away = self.outputs.contains(&(values.len() + 1));
            let mut out = if given_away { vec![0.0; len] } else { take(&mut spare, len) };
            let value = |&place: &usize| match place.checked_sub(1) {
                None => (canvas, self.input),
                Some(place) => (values[place].as_slice(), self.steps[place].shape),
            };
            let inputs: Vec<(&[f32], Shape)> = step.inputs.iter().map(value).collect();
            step.operation.compute(&inputs, step.shape, &mut workspace, &mut out);
            values.push(out);
            for &place in &step.done {
                spare.push(std::mem::take(&mut values[place - 1]));
            }
        }
        kept().push(Memory { workspace, spare });
        Some(self.outputs.iter().map(|&place| std::mem::take(&mut values[place - 1])).collect())
    }
}

/// Memory for `len` values, from what is spare where it is large enough; what the values are is left from before.
fn take(spare: &mut Vec<Vec<f32>>, len: usize) -> Vec<f32> {
    let large = spare.iter().enumerate().filter(|(_, memory)| memory.capacity() >= len);
    match large.min_by_key(|(_, memory)| memory.capacity()).map(|(i, _)| i) {
        Some(i) => {
            let mut memory = spare.swap_remove(i);
            memory.resize(len, 0.0);
            memory
        }
        None => vec![0.0; len],
    }
}
