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

use super::{Interface, ModelError, layers, operators};
use crate::contain::contain;

/// Most elements of one intermediate result: 1 GiB of 32-bit floats.
const MAX_ELEMENTS: usize = 1 << 28;
/// Most elements of all of them together: 8 GiB, were they all kept.
const MAX_TOTAL: usize = 1 << 31;

/// tract's direct convolution takes up to 1.4 times as long as its matrix products on wide maps, and at best as long.
const KNOBS: [(&str, &str); 1] = [("TRACT_DISABLE_DIRECT_SPATIAL", "1")];

/// What runs a graph.
#[derive(Clone)]
enum Runnable {
    Tract(Arc<TypedSimplePlan>),
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(Arc<super::onnxruntime::Sessions>),
}

#[derive(Clone)]
pub(crate) struct Plan {
    runnable: Runnable,
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
        let prepared = contain(|| prepare(&layers::found(model), input, &outputs, &shapes));
        let reason = match prepared {
            Ok(Ok(runnable)) => {
                let lengths = shapes.iter().map(|shape| shape.iter().product());
                let outputs = outputs.into_iter().zip(lengths).collect();
                return Ok(Plan { runnable: Runnable::Tract(runnable), input, outputs });
            }
            Ok(Err(error)) => one_line(&error),
            Err(panic) => panic,
        };
        Err(ModelError::Prepare { name: name.to_owned(), reason })
    }

    /// The same graph, which was checked, run by ONNX Runtime.
    #[cfg(feature = "onnxruntime")]
    pub(crate) fn on(
        &self,
        runtime: &super::OnnxRuntime,
        bytes: &[u8],
        interface: &Interface,
        name: &str,
    ) -> Result<Plan, ModelError> {
        let sessions = runtime
            .sessions(bytes, interface)
            .map_err(|reason| ModelError::Prepare { name: name.to_owned(), reason })?;
        Ok(Plan { runnable: Runnable::OnnxRuntime(Arc::new(sessions)), ..self.clone() })
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
        let runnable = match &self.runnable {
            Runnable::Tract(runnable) => runnable,
            #[cfg(feature = "onnxruntime")]
            Runnable::OnnxRuntime(sessions) => {
                let lengths: Vec<usize> = self.outputs.iter().map(|(_, length)| *length).collect();
                let levels = sessions.run(canvas, self.input, &lengths).map_err(problem)?;
                return if late() { Err(problem("the time is up".to_owned())) } else { Ok(levels) };
            }
        };
        let canvas = Tensor::from_shape(&[1, 1, height, width], canvas)?;
        let maps =
            runnable.spawn()?.run_plan_with_eval(tvec!(canvas.into()), |session, state, node, inputs| {
                if late() {
                    return Err(problem("the time is up".to_owned()));
                }
                plan::eval(session, state, node, inputs)
            })?;
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
    let mut onnx = tract_onnx::onnx().with_ignore_value_info(true);
    operators::register(&mut onnx);
    let mut graph = onnx.model_for_proto_model(model)?;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Encoder;
    use infomark_core::Rng;
    use prost::Message;

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// The encoder that comes with the program.
    fn shipped() -> Result<(ModelProto, [usize; 2], Vec<[usize; 4]>)> {
        let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ceph.onnx"))?;
        let description = Encoder::from_bytes(&bytes, "ceph.onnx")?.description().clone();
        let (height, width) = (description.input.height(), description.input.width());
        let shape = |stride: &usize| [1, description.channels, height / stride, width / stride];
        Ok((
            ModelProto::decode(&bytes[..])?,
            [height, width],
            description.strides.iter().map(shape).collect(),
        ))
    }

    fn run(model: &ModelProto, input: [usize; 2], shapes: &[[usize; 4]]) -> Result<Vec<Vec<f32>>> {
        let runnable = prepare(model, input, &[0, 1, 2, 3, 4], shapes)?;
        let outputs = shapes.iter().map(|shape| shape.iter().product()).enumerate().collect();
        let mut rng = Rng::new(1, 0);
        let canvas: Vec<f32> = (0..input[0] * input[1]).map(|_| rng.uniform_in(0.0, 1.0)).collect();
        Ok(Plan { runnable: Runnable::Tract(runnable), input, outputs }.try_run(&canvas, &|| false)?)
    }

    /// Node types of a model, each once.
    fn kinds(model: &ModelProto) -> Vec<&str> {
        let nodes = model.graph.iter().flat_map(|graph| &graph.node);
        let mut kinds: Vec<&str> = nodes.map(|node| node.op_type.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    #[test]
    fn every_layer_of_an_encoder_is_found_and_gives_what_its_nodes_give() -> Result<()> {
        let (model, input, shapes) = shipped()?;
        let found = layers::found(&model);
        assert_eq!(kinds(&found), ["MaxPool", operators::EMBED, operators::LAYER]);
        let (ours, theirs) = (run(&found, input, &shapes)?, run(&model, input, &shapes)?);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(apart < 2e-3, "{apart}");
        }
        Ok(())
    }

    /// What is not a layer to the letter means something else, and has to be left to tract.
    #[test]
    fn nodes_of_another_meaning_are_left() -> Result<()> {
        type Change = fn(&mut tract_onnx::pb::NodeProto);
        let attribute = |name: &'static str| {
            move |node: &tract_onnx::pb::NodeProto| node.attribute.iter().any(|a| a.name == name)
        };
        let changes: [(&str, &str, Change); 6] = [
            ("InstanceNormalization", "epsilon", |node| node.attribute[0].f = 1e-2),
            ("Resize", "nearest_mode", |node| node.attribute.retain(|a| a.name != "nearest_mode")),
            ("Conv", "pads", |node| {
                node.attribute.push(tract_onnx::pb::AttributeProto {
                    name: "dilations".into(),
                    ints: vec![2, 2],
                    ..Default::default()
                })
            }),
            ("Conv", "pads", |node| {
                node.attribute.iter_mut().filter(|a| a.name == "pads").for_each(|a| a.ints = vec![1, 1, 0, 2])
            }),
            ("ReduceSum", "keepdims", |node| node.attribute[0].i = 0),
            ("Concat", "axis", |node| node.attribute[0].i = 2),
        ];
        let (model, ..) = shipped()?;
        let whole = kinds(&layers::found(&model)).len();
        for (kind, named, change) in changes {
            let mut changed = model.clone();
            let nodes = changed.graph.iter_mut().flat_map(|graph| &mut graph.node);
            let mut fitting = nodes.filter(|node| node.op_type == kind && attribute(named)(node));
            change(fitting.next_back().ok_or("no such node")?);
            let found = layers::found(&changed);
            let left = kinds(&found);
            assert!(left.len() > whole && left.contains(&kind), "{kind}: {left:?}");
        }
        Ok(())
    }
}
