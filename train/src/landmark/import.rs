//! Import of an encoder's weights to initialise a landmark network.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

use half::f16;
use infomark_infer::onnx::{DataType, Model, Node, Tensor};
use infomark_infer::{Backbone, InputSize, Normalisation};
use infomark_kernels::conv::on_blocks;
use prost::Message;

use crate::network::{GROUPS, STAGES};
use crate::outputs::read_bytes;
use crate::{DataError, TrainError};

/// An encoder's stages from its file.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) channels: [usize; 5],
    pub(crate) input: InputSize,
    pub(crate) normalisation: Normalisation,
    pub(crate) sha256: String,
    /// Tensor values of each layer, in the order of its weights: stages down, then stages up, finest first.
    layers: Vec<[Vec<f32>; 3]>,
}

/// A layer in the file.
struct Stored {
    inputs: usize,
    outputs: usize,
    /// Weights, scale, shift.
    tensors: [Vec<f32>; 3],
}

impl Start {
    /// Reads the weights from a file of `infomark train`, or from a bundled encoder, by its name.
    ///
    /// # Errors
    /// [`DataError::Start`] when the file is not an encoder, or has other layers.
    pub(crate) fn read(path: &Path) -> Result<Start, TrainError> {
        let refuse = |reason: String| TrainError::Data(DataError::Start { path: path.to_owned(), reason });
        let exported = infomark_models::load_encoder(path)?;
        let bytes = match infomark_models::named(path) {
            Some(model) => Cow::Borrowed(model.encoder),
            None => Cow::Owned(read_bytes(path).map_err(TrainError::file(path, "can't read"))?),
        };
        if infomark_infer::sha256(&bytes) != exported.sha256() {
            return Err(refuse("it changed while it was read; try again".into()));
        }
        let other = || {
            refuse("its layers are not those that `infomark train` writes; train an encoder with it".into())
        };
        let mut graph = Model::decode(&bytes[..]).ok().and_then(|model| model.graph).ok_or_else(other)?;
        graph.node.retain(|node| !Backbone::holds(&node.name));
        let constants = graph.initializer.iter().map(|t| (t.name.as_str(), t)).collect();
        let (down, up) = stages(&graph.node, &constants).ok_or_else(other)?;
        let mut channels = [0; 5];
        for (width, stage) in channels.iter_mut().zip(down.chunks_exact(2)) {
            *width = stage[0].outputs;
        }
        if !fits(channels, &down, &up) {
            return Err(other());
        }
        let layers = down.into_iter().chain(up).map(|layer| layer.tensors).collect();
        let description = exported.description();
        Ok(Start {
            channels,
            input: description.input,
            normalisation: description.normalisation,
            sha256: exported.sha256().to_owned(),
            layers,
        })
    }

    /// Weights of a network of the same channels that ends at this level, without the layers after its stages.
    pub(crate) fn values(&self, finest: usize) -> Vec<f32> {
        let (down, up) = self.layers.split_at(2 * STAGES);
        down.iter().chain(up.iter().skip(2 * finest)).flatten().flatten().copied().collect()
    }
}

/// The layers of the contracting and the expanding path, finest stage first, in the order of
/// the file: the heads, 1 x 1 convolutions, end each stage from the coarsest on.
fn stages(nodes: &[Node], constants: &HashMap<&str, &Tensor>) -> Option<(Vec<Stored>, Vec<Stored>)> {
    let makers: HashMap<&str, &Node> =
        nodes.iter().flat_map(|node| node.output.iter().map(move |name| (name.as_str(), node))).collect();
    // A constant, directly or through a cast to single precision.
    let constant = |name: &str| {
        let cast = makers.get(name).filter(|node| node.op_type == "Cast").and_then(|node| node.input.first());
        constants.get(cast.map_or(name, String::as_str)).copied()
    };
    let mut groups: Vec<Vec<Stored>> = vec![Vec::new()];
    let mut open: Option<(usize, usize, Vec<Vec<f32>>)> = None;
    for node in nodes {
        match node.op_type.as_str() {
            "Conv" => {
                let weight = constant(node.input.get(1)?)?;
                let &[outputs, inputs, height, width] = &weight.dims[..] else { return None };
                if open.is_some() {
                    return None;
                }
                let values = floats(weight)?;
                let sizes = (usize::try_from(outputs).ok()?, usize::try_from(inputs).ok()?);
                match (height, width) {
                    (1, 1) => groups.push(Vec::new()),
                    (3, 3) => open = Some((sizes.0, sizes.1, vec![values])),
                    (6, 6) if sizes.1 == 1 => open = Some((sizes.0, 4, vec![on_blocks(&values)])),
                    _ => return None,
                }
            }
            // The scale, and the shift.
            "Mul" | "Add" => {
                if let Some((_, _, tensors)) = &mut open
                    && let Some(tensor) = node.input.get(1).and_then(|name| constant(name))
                {
                    tensors.push(floats(tensor)?);
                }
            }
            "Relu" => {
                let (outputs, inputs, tensors) = open.take()?;
                let tensors = <[_; 3]>::try_from(tensors).ok()?;
                groups.last_mut()?.push(Stored { inputs, outputs, tensors });
            }
            _ => {}
        }
    }
    let mut groups = groups.into_iter();
    let down = groups.next()?;
    let mut up: Vec<Vec<Stored>> = groups.filter(|group| !group.is_empty()).collect();
    up.reverse();
    Some((down, up.into_iter().flatten().collect()))
}

/// Whether the layers are a U-Net of these channels.
fn fits(channels: [usize; 5], down: &[Stored], up: &[Stored]) -> bool {
    let mut expected = Vec::new();
    let mut inputs = 4;
    for width in channels {
        expected.extend([(inputs, width), (width, width)]);
        inputs = width;
    }
    for pair in channels.windows(2) {
        expected.extend([(pair[0] + pair[1], pair[0]), (pair[0], pair[0])]);
    }
    let layers = down.iter().chain(up);
    let is = |(layer, (inputs, outputs)): (&Stored, &(usize, usize))| {
        let [weights, gamma, beta] = &layer.tensors;
        (layer.inputs, layer.outputs) == (*inputs, *outputs)
            && weights.len() == inputs * outputs * 9
            && gamma.len() == *outputs
            && beta.len() == *outputs
            && outputs.is_multiple_of(GROUPS)
    };
    expected.len() == down.len() + up.len() && layers.zip(&expected).all(is)
}

fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    let raw = &tensor.raw_data;
    if tensor.data_type == DataType::Float16 as i32 {
        Some(raw.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect())
    } else if tensor.data_type == DataType::Float as i32 {
        Some(raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encoder::Encoder;
    use crate::network::{Parameters, UNet};
    use crate::testing::description;
    use crate::{TrainConfig, export};
    use infomark_core::Rng;

    #[test]
    fn the_weights_of_a_file_are_those_that_were_written() -> Result<(), Box<dyn std::error::Error>> {
        let config = TrainConfig::default().with(|o| {
            o.model.channels = [8, 16, 24, 16, 32];
            o.model.embedding = 12;
            o.seed = 5;
        });
        let (encoder, parameters) = Encoder::new(&config);
        let description = description(InputSize::new(96, 64)?);
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("encoder.onnx");
        std::fs::write(&path, export::onnx(&encoder, &parameters.values, &description)?)?;
        let start = Start::read(&path)?;
        assert_eq!((start.channels, start.input), (config.model.channels, description.input));
        for finest in [0, 2] {
            // The same random draws, as the stages come first.
            let (mut written, rng) = (Parameters::default(), &mut Rng::new(5, crate::stream::WEIGHTS));
            UNet::new("", config.model.channels, finest, (&mut written, rng));
            let found = start.values(finest);
            assert_eq!(found.len(), written.len());
            let same = |(f, w): (&f32, &f32)| *f == *w || *f == f16::from_f32(*w).to_f32();
            assert!(found.iter().zip(&written.values).all(same));
        }
        let joined = infomark_models::backbone()?.join(&std::fs::read(&path)?, "encoder", 3.0)?;
        std::fs::write(&path, joined)?;
        assert!(Start::read(&path)?.values(0) == start.values(0));
        Ok(())
    }
}
