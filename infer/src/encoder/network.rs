//! A graph of the layers that `infomark train` writes, run on the kernels that training runs on.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use infomark_kernels::winograd::Workspace;

use crate::onnx::Graph;

use super::Interface;
use super::layers::{self, Layer};
use super::limits::{MAX_ELEMENTS, MAX_TOTAL};
use super::operation::{Operation, Shape};

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
            if elements > MAX_ELEMENTS || total > MAX_TOTAL {
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
