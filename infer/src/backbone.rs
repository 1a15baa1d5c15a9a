//! Pretrained backbones: frozen layers whose features are concatenated with those of an encoder.
//!
//! A network trained on photographs separates edges and corners better than contrastive learning on few
//! images. Its features at several strides are used without further training (`docs/studies.md`).

use prost::Message;

use crate::description::{self, KIND_KEY};
use crate::encoder::{self, graph};
use crate::onnx::{Attribute, Graph, Model, Node, Property, Tensor};
use crate::{
    BackboneDescription, BackboneError, Channels, Description, DescriptionError, JoinedBackbone, ModelError,
};

/// The kind under [`KIND_KEY`] of a backbone's file.
const KIND: &str = "backbone";
/// Prefix of the names of a backbone's nodes, values and tensors.
const PREFIX: &str = "backbone/";
/// Prefix of the names of the nodes that join it to the trained features.
const JOIN: &str = "join/";

/// Frozen layers of a pretrained network, from grey images to feature maps at several strides.
#[derive(Clone, Debug)]
pub struct Backbone {
    description: BackboneDescription,
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
}

fn is_part(name: &str) -> bool {
    name.starts_with(PREFIX)
}

/// Name of the backbone's output at a stride.
fn value_name(stride: usize) -> String {
    format!("{PREFIX}stride_{stride}")
}

impl Backbone {
    /// Reads a backbone from its own file, or from an encoder with a backbone.
    ///
    /// # Errors
    ///
    /// [`ModelError`] for a file that is not an ONNX model or damaged, [`BackboneError::Missing`] for an encoder without a backbone.
    pub fn from_bytes(bytes: &[u8], name: &str) -> Result<Backbone, ModelError> {
        let wrong = |problem| ModelError::Backbone { name: name.to_owned(), problem };
        let (model, description) = encoder::open(bytes, name, |properties| {
            if description::value(properties, KIND_KEY) == Some(KIND) {
                return description::parsed(properties).map(Some);
            }
            let encoder = Description::from_properties(properties.iter().copied())?;
            Ok(encoder.backbone.map(|joined| joined.network))
        })?;
        let description: BackboneDescription = description.ok_or_else(|| wrong(BackboneError::Missing))?;
        let Graph { node, initializer, .. } = model.graph.unwrap_or_default();
        let nodes: Vec<Node> = node.into_iter().filter(|node| is_part(&node.name)).collect();
        let constants: Vec<Tensor> = initializer.into_iter().filter(|tensor| is_part(&tensor.name)).collect();
        graph::check_parts(&nodes, &constants)
            .map_err(|problem| ModelError::Graph { name: name.to_owned(), problem })?;
        for level in &description.levels {
            let value = value_name(level.stride);
            if !nodes.iter().any(|node| node.output.contains(&value)) {
                return Err(wrong(BackboneError::NoFeatures { value }));
            }
        }
        Ok(Backbone { description, nodes, constants })
    }

    /// Whether a node or tensor of an encoder's graph belongs to a backbone or its join, by its name.
    pub fn holds(name: &str) -> bool {
        is_part(name) || name.starts_with(JOIN)
    }

    /// The description in its file.
    pub fn description(&self) -> &BackboneDescription {
        &self.description
    }

    /// The bytes of the encoder's file with the backbone joined: at the backbone's strides its features are concatenated with the
    /// trained ones, so that the cosine is `(trained + weight * backbone) / (1 + weight)`; other strides, and the input, are unchanged.
    ///
    /// # Errors
    ///
    /// [`ModelError`] for a file that is not an infomark encoder, and every other case of [`BackboneError`].
    pub fn join(&self, encoder: &[u8], name: &str, weight: f32) -> Result<Vec<u8>, ModelError> {
        let wrong = |problem| ModelError::Backbone { name: name.to_owned(), problem };
        let (mut model, mut description) = encoder::open(encoder, name, |properties| {
            Description::from_properties(properties.iter().copied())
        })?;
        if let Some(JoinedBackbone { network, .. }) = description.backbone {
            return Err(wrong(BackboneError::Present { name: network.name }));
        }
        if !(weight.is_finite() && weight > 0.0) {
            return Err(wrong(BackboneError::Weight { found: weight }));
        }
        let strides = description.strides.clone();
        let levels = &self.description.levels;
        if let Some(level) = levels.iter().find(|level| !strides.contains(&level.stride)) {
            return Err(wrong(BackboneError::Stride { stride: level.stride }));
        }
        let mut channels = description.channels.by_level(strides.len()).unwrap_or_default();
        let graph = model.graph.get_or_insert_default();
        graph.node.extend(self.nodes.iter().cloned());
        graph.initializer.extend(self.constants.iter().cloned());
        let mut joins = Joins { graph, weight };
        for (&stride, channels) in strides.iter().zip(&mut channels) {
            if let Some(level) = levels.iter().find(|level| level.stride == stride) {
                *channels = channels.saturating_add(level.channels);
                joins.join(stride, *channels);
            }
        }
        description.channels = Channels::of(&channels);
        description.backbone = Some(JoinedBackbone { network: self.description.clone(), weight });
        sealed(model, &description)
            .map_err(|source| ModelError::Description { name: name.to_owned(), source })
    }
}

/// Adds the nodes that join two values of a graph.
struct Joins<'a> {
    graph: &'a mut Graph,
    weight: f32,
}

impl Joins<'_> {
    /// Makes the output of a stride the join of the trained features and the backbone's, `channels` in all.
    fn join(&mut self, stride: usize, channels: usize) {
        let (output, trained) = (Description::output_name(stride), format!("{JOIN}{stride}/trained"));
        for node in &mut self.graph.node {
            let names = node.input.iter_mut().chain(&mut node.output);
            names.filter(|name| **name == output).for_each(|name| name.clone_from(&trained));
        }
        let backbone = value_name(stride);
        let at = |what: &str| format!("{JOIN}{stride}/{what}");
        let scalar = |joins: &mut Self, what: &str, value: f32| {
            joins.graph.initializer.push(Tensor::floats(&at(what), &[1, 1, 1, 1], &[value]));
            at(what)
        };
        let (a, b) = ((1.0 / (1.0 + self.weight)).sqrt(), (self.weight / (1.0 + self.weight)).sqrt());
        let first = scalar(self, "trained_factor", a);
        let second = scalar(self, "backbone_factor", b);
        let epsilon = scalar(self, "epsilon", infomark_kernels::head::EPSILON);
        self.graph.initializer.push(Tensor::integers(&at("axes"), &[1]));
        let kept = || vec![Attribute::int("keepdims", 1)];
        self.node("Mul", [&backbone, &backbone], &at("squares"), vec![]);
        self.node("ReduceSum", [&at("squares"), &at("axes")], &at("sum"), kept());
        self.node("Add", [&at("sum"), &epsilon], &at("positive"), vec![]);
        self.node("Sqrt", [&at("positive")], &at("length"), vec![]);
        self.node("Div", [&backbone, &at("length")], &at("unit"), vec![]);
        self.node("Mul", [&trained, &first], &at("first"), vec![]);
        self.node("Mul", [&at("unit"), &second], &at("second"), vec![]);
        self.node("Concat", [&at("first"), &at("second")], &output, vec![Attribute::int("axis", 1)]);
        let info = self.graph.output.iter_mut().find(|info| info.name == output);
        let kind = info.and_then(|info| info.r#type.as_mut()).and_then(|kind| kind.tensor_type.as_mut());
        if let Some(of) = kind.and_then(|kind| kind.shape.as_mut()).and_then(|shape| shape.dim.get_mut(1)) {
            of.dim_value = i64::try_from(channels).ok();
        }
    }

    fn node<const N: usize>(
        &mut self,
        op: &str,
        inputs: [&String; N],
        output: &str,
        attribute: Vec<Attribute>,
    ) {
        self.graph.node.push(Node {
            op_type: op.to_owned(),
            name: format!("{output}/{}", op.to_lowercase()),
            input: inputs.map(String::clone).to_vec(),
            output: vec![output.to_owned()],
            attribute,
            ..Node::default()
        });
    }
}

/// The file of a model with a description.
fn sealed(mut model: Model, description: &Description) -> Result<Vec<u8>, DescriptionError> {
    let properties = description.to_sealed_properties(&graph::bytes(&model))?;
    model.metadata_props = properties.into_iter().map(|(key, value)| Property { key, value }).collect();
    Ok(model.encode_to_vec())
}
