//! Executable plan of a checked graph: on our own layers if it has no others, else on tract.

use std::sync::Arc;
use std::time::Instant;

use super::network::Network;
use super::{Interface, ModelError, RuntimeError};
use crate::contain::contain;
use crate::onnx::Model;

/// Runtime of a graph.
#[derive(Clone)]
enum Runnable {
    Own(Arc<Network>),
    #[cfg(feature = "onnx")]
    Tract(super::tract::Runnable),
    #[cfg(feature = "onnxruntime")]
    OnnxRuntime(Arc<super::onnxruntime::Sessions>),
}

#[derive(Clone)]
pub(crate) struct Plan {
    runnable: Runnable,
    /// Height and width of the input.
    input: [usize; 2],
    /// Elements of each output.
    lengths: Vec<usize>,
}

impl Plan {
    /// Prepares the model; `outputs` holds the index among the graph's outputs of each output of the interface.
    pub(crate) fn new(
        model: &Model,
        interface: &Interface,
        outputs: &[usize],
        name: &str,
    ) -> Result<Plan, ModelError> {
        let input = [interface.input.height(), interface.input.width()];
        let lengths = interface.outputs.iter().map(|(_, shape)| shape.iter().product()).collect();
        let own = || model.graph.as_ref().and_then(|graph| Network::of(graph, interface));
        let prepared = contain(|| match own() {
            Some(network) => Ok(Runnable::Own(Arc::new(network))),
            None => foreign(model, interface, outputs),
        });
        match prepared.unwrap_or_else(|panic| Err(panic.into())) {
            Ok(runnable) => Ok(Plan { runnable, input, lengths }),
            Err(reason) => Err(ModelError::Prepare { name: name.to_owned(), reason }),
        }
    }

    /// A checked graph, run by ONNX Runtime.
    #[cfg(feature = "onnxruntime")]
    pub(crate) fn on(
        runtime: &super::OnnxRuntime,
        bytes: &[u8],
        interface: &Interface,
        name: &str,
    ) -> Result<Plan, ModelError> {
        let sessions = runtime
            .sessions(bytes, interface)
            .map_err(|reason| ModelError::Prepare { name: name.to_owned(), reason })?;
        Ok(Plan {
            runnable: Runnable::OnnxRuntime(Arc::new(sessions)),
            input: [interface.input.height(), interface.input.width()],
            lengths: interface.outputs.iter().map(|(_, shape)| shape.iter().product()).collect(),
        })
    }

    pub(crate) fn runtime(&self) -> &'static str {
        match &self.runnable {
            Runnable::Own(_) => "infomark",
            #[cfg(feature = "onnx")]
            Runnable::Tract(_) => "tract",
            #[cfg(feature = "onnxruntime")]
            Runnable::OnnxRuntime(_) => "onnxruntime",
        }
    }

    /// Computes the outputs, row-major, for a model input. `name` is the model's, `image` the image's.
    pub(crate) fn run(
        &self,
        canvas: &[f32],
        name: &str,
        image: &str,
        deadline: Option<Instant>,
    ) -> Result<Vec<Vec<f32>>, ModelError> {
        let late = || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        match contain(|| self.try_run(canvas, &late)).unwrap_or_else(|panic| Err(panic.into())) {
            Err(_) if late() => Err(ModelError::TimeLimit { name: image.to_owned() }),
            Err(reason) => Err(ModelError::Run { name: name.to_owned(), reason }),
            Ok(levels) => Ok(levels),
        }
    }

    /// `late` is called before each operation and aborts the run; with ONNX Runtime, after the run.
    fn try_run(&self, canvas: &[f32], late: &impl Fn() -> bool) -> Result<Vec<Vec<f32>>, RuntimeError> {
        if canvas.len() != self.input[0] * self.input[1] {
            return Err(RuntimeError::Pixels { found: canvas.len(), expected: self.input });
        }
        let levels = match &self.runnable {
            Runnable::Own(network) => network.run(canvas, late).ok_or(RuntimeError::TimeLimit)?,
            #[cfg(feature = "onnx")]
            Runnable::Tract(runnable) => runnable.run(canvas, self.input, late)?,
            #[cfg(feature = "onnxruntime")]
            Runnable::OnnxRuntime(sessions) => {
                let levels = sessions.run(canvas, self.input, &self.lengths)?;
                if late() { Err(RuntimeError::TimeLimit) } else { Ok(levels) }?
            }
        };
        for (place, (level, expected)) in levels.iter().zip(&self.lengths).enumerate() {
            if level.len() != *expected {
                let found = level.len();
                return Err(RuntimeError::OutputLength {
                    output: place.to_string(),
                    found,
                    expected: *expected,
                });
            }
        }
        Ok(levels)
    }
}

#[cfg(feature = "onnx")]
fn foreign(model: &Model, interface: &Interface, outputs: &[usize]) -> Result<Runnable, RuntimeError> {
    super::tract::Runnable::new(model, interface, outputs).map(Runnable::Tract)
}

#[cfg(not(feature = "onnx"))]
fn foreign(_: &Model, _: &Interface, _: &[usize]) -> Result<Runnable, RuntimeError> {
    Err(RuntimeError::NotBuilt)
}

#[cfg(all(test, feature = "onnx"))]
mod tests {
    use super::*;
    use crate::Encoder;
    use crate::encoder::{interface, network::Network, tract};
    use crate::onnx::{Attribute, Node};
    use infomark_core::Rng;
    use prost::Message;

    type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

    /// The bundled encoder.
    fn shipped() -> Result<(Model, Interface)> {
        let bytes = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/../models/ceph/ceph.onnx"))?;
        let interface = interface(Encoder::from_bytes(&bytes, "ceph.onnx")?.description());
        Ok((Model::decode(&bytes[..])?, interface))
    }

    #[test]
    fn a_network_of_our_layers_gives_what_its_nodes_give() -> Result<()> {
        let (model, interface) = shipped()?;
        let network = Network::of(model.graph.as_ref().ok_or("no graph")?, &interface).ok_or("not ours")?;
        let nodes = tract::Runnable::new(&model, &interface, &[0, 1, 2, 3, 4])?;
        let input = [interface.input.height(), interface.input.width()];
        let mut rng = Rng::new(1, 0);
        let canvas: Vec<f32> = (0..input[0] * input[1]).map(|_| rng.uniform_in(0.0, 1.0)).collect();
        let ours = network.run(&canvas, &|| false).ok_or("no time")?;
        let theirs = nodes.run(&canvas, input, &|| false)?;
        assert_eq!((ours.len(), theirs.len()), (5, 5));
        for (ours, theirs) in ours.iter().zip(&theirs) {
            let apart = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(ours.len() == theirs.len() && apart < 2e-3, "{apart}");
        }
        Ok(())
    }

    /// A node that differs from a known layer in any detail means something else and has to be left to tract.
    #[test]
    fn nodes_of_another_meaning_are_left() -> Result<()> {
        type Change = fn(&mut Node);
        let attribute = |name: &'static str| move |node: &Node| node.attribute.iter().any(|a| a.name == name);
        let changes: [(&str, &str, Change); 7] = [
            ("InstanceNormalization", "epsilon", |node| node.attribute[0].f = 1e-2),
            ("Resize", "nearest_mode", |node| node.attribute.retain(|a| a.name != "nearest_mode")),
            ("Conv", "pads", |node| {
                node.attribute.push(Attribute {
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
            ("MaxPool", "strides", |node| {
                node.attribute.iter_mut().filter(|a| a.name == "strides").for_each(|a| a.ints = vec![1, 1])
            }),
        ];
        let (model, interface) = shipped()?;
        let graph = model.graph.ok_or("no graph")?;
        assert!(Network::of(&graph, &interface).is_some());
        for (kind, named, change) in changes {
            // The first such node belongs to a trained layer, the last one to the backbone or its join.
            for backbone in [false, true] {
                let mut changed = graph.clone();
                let mut fitting =
                    changed.node.iter_mut().filter(|node| node.op_type == kind && attribute(named)(node));
                let node = if backbone { fitting.next_back() } else { fitting.next() };
                change(node.ok_or("no such node")?);
                assert!(Network::of(&changed, &interface).is_none(), "{kind}");
            }
        }
        Ok(())
    }
}
