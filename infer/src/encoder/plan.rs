//! A network's graph, prepared and run by tract.

use std::sync::Arc;
use std::time::Instant;

use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    Datum, DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, TypedModel,
    TypedSimplePlan, tvec,
};
use tract_onnx::tract_core::plan;
use tract_onnx::tract_core::tract_data::knobs::KnobScope;

use super::{Interface, ModelError};
use crate::contain::contain;

/// Most elements of one intermediate result: 1 GiB of 32-bit floats.
const MAX_ELEMENTS: usize = 1 << 28;
/// Most elements of all of them together: 8 GiB, were they all kept.
const MAX_TOTAL: usize = 1 << 31;

/// tract's direct convolution takes up to 1.4 times as long as its matrix products on wide maps, and at best as long.
const KNOBS: [(&str, &str); 1] = [("TRACT_DISABLE_DIRECT_SPATIAL", "1")];

#[derive(Clone)]
pub(crate) struct Plan {
    runnable: Arc<TypedSimplePlan>,
    /// Height and width.
    input: [usize; 2],
    /// Place among the graph's outputs, and length, of each output.
    outputs: Vec<(usize, usize)>,
}

impl Plan {
    /// Prepares the model; `outputs` tells the place among the graph's outputs of each of the interface's.
    pub(crate) fn new(
        model: &ModelProto,
        interface: &Interface,
        outputs: Vec<usize>,
        name: &str,
    ) -> Result<Plan, ModelError> {
        let input = [interface.input.height(), interface.input.width()];
        let shapes: Vec<[usize; 4]> = interface.outputs.iter().map(|(_, shape)| *shape).collect();
        let prepared = contain(|| prepare(model, input, &outputs, &shapes));
        let reason = match prepared {
            Ok(Ok(runnable)) => {
                let lengths = shapes.iter().map(|shape| shape.iter().product());
                return Ok(Plan { runnable, input, outputs: outputs.into_iter().zip(lengths).collect() });
            }
            Ok(Err(error)) => one_line(&error),
            Err(panic) => panic,
        };
        Err(ModelError::Prepare { name: name.to_owned(), reason })
    }

    /// The outputs, row-major, for a canvas of the input's size. `name` is the model's, `image` the image's.
    pub(crate) fn run(
        &self,
        canvas: &[f32],
        name: &str,
        image: &str,
        deadline: Option<Instant>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        let reason = match contain(|| self.try_run(canvas, &late)) {
            Ok(Err(_)) if late() => return Err(ModelError::TimeLimit { name: image.to_owned() }),
            Ok(Ok(levels)) => return Ok(levels),
            Ok(Err(error)) => one_line(&error),
            Err(panic) => panic,
        };
        Err(ModelError::Run { name: name.to_owned(), reason })
    }

    /// `late` is asked before each operation and ends the run.
    fn try_run(&self, canvas: &[f32], late: &impl Fn() -> bool) -> TractResult<Vec<Vec<f32>>> {
        let [height, width] = self.input;
        let canvas = Tensor::from_shape(&[1, 1, height, width], canvas)?;
        let maps = self.runnable.spawn()?.run_plan_with_eval(
            tvec!(canvas.into()),
            |session, state, node, inputs| {
                if late() {
                    return Err(problem("the time is up".to_owned()));
                }
                plan::eval(session, state, node, inputs)
            },
        )?;
        let mut levels = Vec::with_capacity(self.outputs.len());
        for &(place, length) in &self.outputs {
            let map = maps.get(place).ok_or_else(|| problem(format!("output {place} is missing")))?;
            let map = map.to_plain_array_view::<f32>()?;
            let map = map.as_slice().map_or_else(|| map.iter().copied().collect(), <[f32]>::to_vec);
            if map.len() != length {
                return Err(problem(format!(
                    "output {place} has {} elements where {length} are expected",
                    map.len()
                )));
            }
            levels.push(map);
        }
        Ok(levels)
    }
}

fn prepare(
    model: &ModelProto,
    input: [usize; 2],
    outputs: &[usize],
    shapes: &[[usize; 4]],
) -> TractResult<Arc<TypedSimplePlan>> {
    let mut graph = tract_onnx::onnx().with_ignore_value_info(true).model_for_proto_model(model)?;
    graph.set_input_fact(0, f32::fact([1, 1, input[0], input[1]]).into())?;
    let typed = graph.into_typed()?;
    check_sizes(&typed)?;
    let typed = typed.into_decluttered()?;
    check_sizes(&typed)?;
    let optimized = KnobScope::new(KNOBS)?.enter(|| typed.into_optimized())?;
    check_sizes(&optimized)?;
    for (&place, expected) in outputs.iter().zip(shapes) {
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

/// Refuses results whose size is open or beyond the limits, before memory is asked for.
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

fn problem(reason: String) -> tract_onnx::prelude::TractError {
    tract_onnx::prelude::TractError::msg(reason)
}

/// The error with its causes in one line, cut to a readable length.
fn one_line(error: &tract_onnx::prelude::TractError) -> String {
    const SHOWN: usize = 300;
    let text = format!("{error:#}");
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").chars().take(SHOWN).collect()
}
