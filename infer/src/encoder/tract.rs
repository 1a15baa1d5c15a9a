//! Inference of graphs with other layers than ours, by tract.

use std::sync::Arc;

use prost::Message;
use tract_onnx::prelude::{
    Datum, DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, TractError, TractResult, TypedModel,
    TypedSimplePlan, tvec,
};
use tract_onnx::tract_core::plan;
use tract_onnx::tract_core::tract_data::knobs::KnobScope;

use super::limits::{MAX_ELEMENTS, MAX_TOTAL};
use super::{Interface, RuntimeError};
use crate::InputSize;
use crate::onnx::Model;

/// tract's direct convolution takes up to 1.4 times as long as its matrix products on wide maps, and is never faster.
const KNOBS: [(&str, &str); 1] = [("TRACT_DISABLE_DIRECT_SPATIAL", "1")];

/// A graph prepared by tract.
#[derive(Clone)]
pub(super) struct Runnable {
    plan: Arc<TypedSimplePlan>,
    /// Indices of the interface's outputs among the graph's.
    outputs: Vec<usize>,
}

impl Runnable {
    /// Prepares the model; `outputs` holds the index among the graph's outputs of each output of the interface.
    pub(super) fn new(model: &Model, interface: &Interface, outputs: &[usize]) -> Result<Self, RuntimeError> {
        let plan = prepare(model, interface, outputs)
            .map_err(|error| RuntimeError::Backend { message: one_line(&error) })?;
        Ok(Self { plan, outputs: outputs.to_vec() })
    }

    /// Computes the outputs for a model input of `[height, width]`, aborted when `late` returns true before a node.
    pub(super) fn run(
        &self,
        canvas: &[f32],
        [height, width]: [usize; 2],
        late: &impl Fn() -> bool,
    ) -> Result<Vec<Vec<f32>>, RuntimeError> {
        let run = || -> TractResult<Vec<Vec<f32>>> {
            let canvas = Tensor::from_shape(&[1, 1, height, width], canvas)?;
            let maps = self.plan.spawn()?.run_plan_with_eval(
                tvec!(canvas.into()),
                |session, state, node, inputs| {
                    if late() {
                        return Err(problem("the time is up".to_owned()));
                    }
                    plan::eval(session, state, node, inputs)
                },
            )?;
            let level = |&place: &usize| {
                let map = maps.get(place).ok_or_else(|| problem(format!("output {place} is missing")))?;
                let map = map.to_plain_array_view::<f32>()?;
                Ok(map.as_slice().map_or_else(|| map.iter().copied().collect(), <[f32]>::to_vec))
            };
            self.outputs.iter().map(level).collect()
        };
        run().map_err(|error| RuntimeError::Backend { message: one_line(&error) })
    }
}

/// The model with the types and sizes of all values, for an input size.
fn typed(model: &Model, input: InputSize) -> TractResult<TypedModel> {
    let onnx = tract_onnx::onnx().with_ignore_value_info(true);
    let proto = onnx.proto_model_for_read(&mut &model.encode_to_vec()[..])?;
    let mut graph = onnx.model_for_proto_model(&proto)?;
    graph.set_input_fact(0, f32::fact([1, 1, input.height(), input.width()]).into())?;
    let typed = graph.into_typed()?;
    check_sizes(&typed)?;
    let typed = typed.into_decluttered()?;
    check_sizes(&typed)?;
    Ok(typed)
}

/// The shapes of a model's outputs, of 32-bit floats, for an input size.
pub(super) fn shapes(model: &Model, input: InputSize) -> Result<Vec<Vec<usize>>, RuntimeError> {
    let shapes = || -> TractResult<Vec<Vec<usize>>> {
        let typed = typed(model, input)?;
        let shape = |place| {
            let fact = typed.output_fact(place)?;
            match fact.shape.as_concrete() {
                Some(shape) if fact.datum_type == f32::datum_type() => Ok(shape.to_vec()),
                _ => Err(problem(format!("output {place} is {fact:?} where 32-bit floats are expected"))),
            }
        };
        (0..typed.outputs.len()).map(shape).collect()
    };
    shapes().map_err(|error| RuntimeError::Backend { message: one_line(&error) })
}

fn prepare(model: &Model, interface: &Interface, outputs: &[usize]) -> TractResult<Arc<TypedSimplePlan>> {
    let typed = typed(model, interface.input)?;
    let optimized = KnobScope::new(KNOBS)?.enter(|| typed.into_optimized())?;
    check_sizes(&optimized)?;
    for (&place, (_, expected)) in outputs.iter().zip(&interface.outputs) {
        let fact = optimized.output_fact(place)?;
        let found = fact.shape.as_concrete();
        if fact.datum_type != f32::datum_type() || found != Some(&expected[..]) {
            return Err(problem(format!(
                "output {place} is {fact:?} where {expected:?} of 32-bit floats are described"
            )));
        }
    }
    optimized.into_runnable()
}

/// Rejects results of open size or beyond the limits, before memory is allocated.
fn check_sizes(model: &TypedModel) -> TractResult<()> {
    let mut total = 0_usize;
    for node in model.nodes() {
        for output in &node.outputs {
            let elements =
                output.fact.shape.as_concrete().and_then(|shape| {
                    shape.iter().try_fold(1_usize, |product, &size| product.checked_mul(size))
                });
            total = total.saturating_add(elements.unwrap_or(MAX_TOTAL));
            if elements.is_none_or(|elements| elements > MAX_ELEMENTS) || total > MAX_TOTAL {
                return Err(problem(format!(
                    "with the tensor of {:?} that node {} makes, it asks for more memory than a model needs",
                    output.fact.shape, node.name
                )));
            }
        }
    }
    Ok(())
}

fn problem(reason: String) -> TractError {
    TractError::msg(reason)
}

/// The error with its causes on one line, truncated.
fn one_line(error: &TractError) -> String {
    const SHOWN: usize = 300;
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}
