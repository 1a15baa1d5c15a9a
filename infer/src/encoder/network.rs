//! Inference of the layers that `infomark train` writes, on the training kernels.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use infomark_kernels::winograd::Workspace;

use crate::onnx::Graph;

use super::Interface;
use super::layers::{self, Layer};
use super::limits::{MAX_ELEMENTS, MAX_TOTAL};
use super::operation::{Operation, Shape};

/// One layer of the schedule.
#[derive(Debug)]
struct Step {
    operation: Operation,
    /// Indices of values: 0 is the network's input, 1 the result of the first step, and so on.
    inputs: Vec<usize>,
    shape: Shape,
    /// Range of its result in a run's memory; outputs of the network, which are returned, have their own memory.
    place: Option<Range<usize>>,
}

/// A network of our own layers only.
#[derive(Debug)]
pub(super) struct Network {
    input: Shape,
    steps: Vec<Step>,
    /// Indices of the outputs among the values, in the order of the interface.
    outputs: Vec<usize>,
    /// Memory of all results, in values.
    needed: usize,
    /// Memory of finished runs, for reuse: as many as there were concurrent runs.
    memory: Mutex<Vec<Memory>>,
}

/// Memory of a run, besides its outputs.
#[derive(Debug, Default)]
struct Memory {
    workspace: Workspace,
    values: Vec<f32>,
}

impl Network {
    /// The network of a graph; `None` unless each node belongs to a known layer and the shapes are those of the
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
            steps.push(Step { operation, inputs, shape, place: None });
        }
        let output = |(name, expected): &(String, [usize; 4])| {
            let &place = places.get(name)?;
            let [channels, height, width] = shapes[place];
            (place > 0 && [1, channels, height, width] == *expected).then_some(place)
        };
        let outputs: Vec<usize> = interface.outputs.iter().map(output).collect::<Option<_>>()?;
        let needed = lay_out(&mut steps, &outputs);
        Some(Self { input, steps, outputs, needed, memory: Mutex::default() })
    }

    /// Computes the outputs for a model input; `None` when `late` returns true before one of the layers.
    pub(super) fn run(&self, canvas: &[f32], late: &impl Fn() -> bool) -> Option<Vec<Vec<f32>>> {
        let kept = || self.memory.lock().unwrap_or_else(PoisonError::into_inner);
        let Memory { mut workspace, mut values } = kept().pop().unwrap_or_default();
        values.resize(self.needed, 0.0);
        let mut given_away: Vec<Vec<f32>> = vec![Vec::new(); self.steps.len()];
        for (i, step) in self.steps.iter().enumerate() {
            if late() {
                return None;
            }
            let mut own = match step.place {
                Some(_) => Vec::new(),
                None => vec![0.0; step.shape.iter().product()],
            };
            let place = step.place.clone().unwrap_or(0..0);
            let (before, rest) = values.split_at_mut(place.start);
            let (within, after) = rest.split_at_mut(place.len());
            let value = |&value: &usize| {
                let Some(maker) = value.checked_sub(1) else { return (canvas, self.input) };
                let Step { place: lies, shape, .. } = &self.steps[maker];
                let values = match lies {
                    None => &given_away[maker][..],
                    Some(lies) if lies.end <= place.start => &before[lies.clone()],
                    Some(lies) => &after[lies.start - place.end..lies.end - place.end],
                };
                (values, *shape)
            };
            let inputs: Vec<(&[f32], Shape)> = step.inputs.iter().map(value).collect();
            let out = if step.place.is_some() { within } else { &mut own[..] };
            step.operation.compute(&inputs, step.shape, &mut workspace, out);
            given_away[i] = own;
        }
        kept().push(Memory { workspace, values });
        Some(self.outputs.iter().map(|&place| std::mem::take(&mut given_away[place - 1])).collect())
    }
}

/// Assigns the steps' results to one memory, so that no two overlap while both are live, and returns
/// its length: largest first, each at the lowest free position.
fn lay_out(steps: &mut [Step], outputs: &[usize]) -> usize {
    let last_read = |made: usize| {
        let read = steps.iter().rposition(|step| step.inputs.contains(&(made + 1)));
        read.unwrap_or(made)
    };
    // Lifetime of each value, from the step that computes it to its last reader, and its length.
    let mut values: Vec<(usize, usize, usize)> = (0..steps.len())
        .filter(|made| !outputs.contains(&(made + 1)))
        .map(|made| (made, last_read(made), steps[made].shape.iter().product()))
        .collect();
    values.sort_by_key(|&(made, _, length)| (Reverse(length), made));
    let mut placed: Vec<(usize, usize, Range<usize>)> = Vec::with_capacity(values.len());
    for (made, last, length) in values {
        let mut taken: Vec<&Range<usize>> = placed
            .iter()
            .filter(|(other, until, _)| *other <= last && made <= *until)
            .map(|(.., range)| range)
            .collect();
        taken.sort_by_key(|range| range.start);
        let start = taken
            .iter()
            .fold(0, |start, range| if start + length <= range.start { start } else { start.max(range.end) });
        placed.push((made, last, start..start + length));
    }
    let needed = placed.iter().map(|(.., range)| range.end).max().unwrap_or(0);
    for (made, _, range) in placed {
        steps[made].place = Some(range);
    }
    needed
}

#[cfg(test)]
mod tests {
    use super::*;
    use infomark_core::Rng;

    #[test]
    fn results_that_are_read_at_once_lie_apart() {
        for seed in 0..200 {
            let mut rng = Rng::new(seed, 0);
            let mut below = |n: usize| (rng.uniform_in(0.0, 1.0) * n as f32) as usize;
            let count = 2 + below(20);
            let mut steps: Vec<Step> = (0..count)
                .map(|made| Step {
                    operation: Operation::Sum,
                    inputs: vec![below(made + 1), below(made + 1)],
                    shape: [1 + below(5), 1 + below(9), 1],
                    place: None,
                })
                .collect();
            let needed = lay_out(&mut steps, &[count]);
            let length = |step: &Step| step.shape.iter().product::<usize>();
            assert!(needed <= steps.iter().map(length).sum());
            assert!(steps[count - 1].place.is_none());
            // During a step, its inputs, its output and later inputs are in disjoint ranges.
            for now in 0..count {
                let read_later = |value: usize| steps[now..].iter().any(|step| step.inputs.contains(&value));
                let mut live: Vec<Range<usize>> = (0..=now)
                    .filter(|&made| made == now || read_later(made + 1))
                    .filter_map(|made| {
                        steps[made]
                            .place
                            .clone()
                            .inspect(|place| assert_eq!(place.len(), length(&steps[made])))
                    })
                    .collect();
                live.sort_by_key(|place| place.start);
                assert!(
                    live.windows(2).all(|two| two[0].end <= two[1].start),
                    "seed {seed}, step {now}: {live:?}"
                );
                assert!(live.iter().all(|place| place.end <= needed));
            }
        }
    }
}
