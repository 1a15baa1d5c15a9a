//! Nodes before and after a foreign graph.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use prost::Message;

use super::external::embed;
use super::{FIRST_OPSET, ForeignEncoder, ForeignError, InputScaling};
use crate::description::{Channels, Origin, SEAL_KEY, value};
use crate::encoder::{GraphError, ModelError, RuntimeError, graph, interface};
use crate::onnx::{Attribute, DataType, Graph, Model, Node, OperatorSet, Property, Tensor, ValueInfo};
use crate::{DESCRIPTION_KEY, Description, InputPolicy, Normalisation, sha256};

/// ONNX IR version that is written: the first with every operator of the nodes around the graph.
const IR_VERSION: i64 = 8;
/// First operator set in which `ReduceSum` reads its axes from an input.
const AXES_OPSET: i64 = 13;
/// Means and standard deviations of red, green and blue in ImageNet, in units of the whole range, as in torchvision.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Lower bound of the divisor of features, as in `torch.nn.functional.normalize`.
const LEAST_LENGTH: f32 = 1e-12;
/// Prefix of the foreign graph's names, which avoids collisions with ours.
const PREFIX: &str = "source/";

/// A foreign graph, pruned to what its features need, and the nodes around it.
pub(super) struct Wrapped<'a> {
    options: &'a ForeignEncoder,
    name: &'a str,
    source_sha256: String,
    producer: String,
    opset: Vec<OperatorSet>,
    version: i64,
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
    /// The value and the stride of each output, finest first.
    outputs: Vec<(String, usize)>,
}

impl<'a> Wrapped<'a> {
    pub(super) fn new(
        options: &'a ForeignEncoder,
        bytes: &[u8],
        name: &'a str,
        folder: Option<&Path>,
    ) -> Result<Wrapped<'a>, ModelError> {
        let refuse = |problem| ModelError::Foreign { name: name.to_owned(), problem };
        let mut model = graph::parse(bytes, name)?;
        let properties: Vec<_> =
            model.metadata_props.iter().map(|entry| (entry.key.as_str(), entry.value.as_str())).collect();
        if value(&properties, DESCRIPTION_KEY).is_some() || value(&properties, SEAL_KEY).is_some() {
            return Err(refuse(ForeignError::Described));
        }
        let broken = |problem| ModelError::Graph { name: name.to_owned(), problem };
        let mut graph = model.graph.take().ok_or_else(|| broken(GraphError::Missing))?;
        embed(&mut graph, folder).map_err(refuse)?;
        if !graph.sparse_initializer.is_empty() {
            return Err(broken(GraphError::Sparse));
        }
        let opset = model.opset_import;
        let found = opset.iter().find(|set| matches!(set.domain.as_str(), "" | "ai.onnx"));
        let found = found.map(|set| set.version);
        let version = found.filter(|version| *version >= FIRST_OPSET);
        let version = version.ok_or_else(|| refuse(ForeignError::Opset { found }))?;
        let mut wrapped = Wrapped {
            options,
            name,
            source_sha256: sha256(bytes),
            producer: format!("{} {}", model.producer_name, model.producer_version).trim().to_owned(),
            opset,
            version,
            nodes: Vec::new(),
            constants: Vec::new(),
            outputs: Vec::new(),
        };
        wrapped.take(graph).map_err(refuse)?;
        graph::check_parts(&wrapped.nodes, &wrapped.constants).map_err(broken)?;
        wrapped.description(&vec![1; options.strides.len()])?;
        Ok(wrapped)
    }

    /// Adds the part of the graph that the features need, after the nodes that compute its input.
    fn take(&mut self, graph: Graph) -> Result<(), ForeignError> {
        let wanted = wanted(self.options, &graph)?;
        let (input, channels) = input(&graph, self.options)?;
        self.outputs = wanted
            .iter()
            .zip(&self.options.strides)
            .map(|(output, stride)| (format!("{PREFIX}{output}"), *stride))
            .collect();
        self.outputs.sort_by_key(|(_, stride)| *stride);
        let given = self.scaled(channels)?;
        let named = |name: &String| match name {
            name if name.is_empty() => String::new(),
            name if *name == input => given.clone(),
            name => format!("{PREFIX}{name}"),
        };
        let needed = needed(&graph, &wanted);
        let mut read = HashSet::new();
        for (node, _) in graph.node.into_iter().zip(needed).filter(|(_, needed)| *needed) {
            read.extend(node.input.iter().cloned());
            self.nodes.push(Node {
                input: node.input.iter().map(named).collect(),
                output: node.output.iter().map(named).collect(),
                ..node
            });
        }
        let constants = graph.initializer.into_iter().filter(|tensor| read.contains(&tensor.name));
        self.constants.extend(constants.map(|tensor| Tensor { name: named(&tensor.name), ..tensor }));
        Ok(())
    }

    /// Adds the nodes that compute the foreign graph's input; returns its name.
    fn scaled(&mut self, channels: usize) -> Result<String, ForeignError> {
        let image = Description::INPUT_NAME;
        if channels == 1 {
            return match self.options.scaling {
                InputScaling::ImageNet => Err(ForeignError::OneChannel),
                _ => Ok(image.to_owned()),
            };
        }
        let repeated = self.node("Concat", &[image; 3], vec![Attribute::int("axis", 1)]);
        if self.options.scaling != InputScaling::ImageNet {
            return Ok(repeated);
        }
        let [mean, deviation] = IMAGENET.map(|values| self.floats(&[1, 3, 1, 1], &values));
        let moved = self.node("Sub", &[&repeated, &mean], vec![]);
        Ok(self.node("Div", &[&moved, &deviation], vec![]))
    }

    /// The model up to the foreign graph's own outputs.
    pub(super) fn raw(&self) -> Model {
        self.model(self.outputs.iter().map(|(name, _)| ValueInfo::floats(name, None)).collect())
    }

    fn model(&self, output: Vec<ValueInfo>) -> Model {
        let (width, height) = (self.options.input.width(), self.options.input.height());
        Model {
            ir_version: IR_VERSION,
            producer_name: "infomark".to_owned(),
            producer_version: env!("CARGO_PKG_VERSION").to_owned(),
            graph: Some(Graph {
                node: self.nodes.clone(),
                name: "described encoder".to_owned(),
                initializer: self.constants.clone(),
                input: vec![ValueInfo::floats(Description::INPUT_NAME, Some(&[1, 1, height, width]))],
                output,
                sparse_initializer: Vec::new(),
            }),
            opset_import: self.opset.clone(),
            metadata_props: Vec::new(),
        }
    }

    fn description(&self, channels: &[usize]) -> Result<Description, ModelError> {
        let description = Description {
            input: self.options.input,
            input_policy: InputPolicy::default(),
            normalisation: match self.options.scaling {
                InputScaling::LocalContrast => Normalisation::LOCAL_CONTRAST,
                InputScaling::UnitRange | InputScaling::ImageNet => Normalisation::UnitRange,
            },
            strides: self.outputs.iter().map(|(_, stride)| *stride).collect(),
            channels: Channels::of(channels),
            temperature: self.options.temperature,
            origin: Origin::Foreign {
                source_sha256: self.source_sha256.clone(),
                producer: self.producer.clone(),
            },
            backbone: None,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        description.check_values().map_err(|problem| self.refuse(ForeignError::Value(problem)))?;
        Ok(description)
    }

    fn refuse(&self, problem: ForeignError) -> ModelError {
        ModelError::Foreign { name: self.name.to_owned(), problem }
    }

    /// The file, with the nodes that turn outputs of these shapes into feature maps.
    pub(super) fn finish(
        mut self,
        shapes: Result<Vec<Vec<usize>>, RuntimeError>,
    ) -> Result<Vec<u8>, ModelError> {
        let shapes = shapes.map_err(|reason| ModelError::Prepare { name: self.name.to_owned(), reason })?;
        let leading = self.options.leading_tokens;
        if leading > 0 && shapes.iter().all(|shape| shape.len() == 4) {
            return Err(self.refuse(ForeignError::NoTokens { leading }));
        }
        let mut channels = Vec::new();
        for ((output, stride), shape) in self.outputs.clone().into_iter().zip(&shapes) {
            let (maps, length) = self.maps(&output, stride, shape).map_err(|problem| self.refuse(problem))?;
            self.unit(&maps, stride);
            channels.push(length);
        }
        let description = self.description(&channels)?;
        let outputs = interface(&description).outputs;
        let mut model =
            self.model(outputs.iter().map(|(name, shape)| ValueInfo::floats(name, Some(shape))).collect());
        let properties = description
            .to_sealed_properties(&graph::bytes(&model))
            .map_err(|source| ModelError::Description { name: self.name.to_owned(), source })?;
        model.metadata_props = properties.into_iter().map(|(key, value)| Property { key, value }).collect();
        Ok(model.encode_to_vec())
    }

    /// Name and channels of an output as feature maps.
    fn maps(
        &mut self,
        output: &str,
        stride: usize,
        shape: &[usize],
    ) -> Result<(String, usize), ForeignError> {
        let input = self.options.input;
        let (width, height) = (input.width() / stride, input.height() / stride);
        let (cells, leading) = (width * height, self.options.leading_tokens);
        let named = || output.strip_prefix(PREFIX).unwrap_or(output).to_owned();
        match *shape {
            [1, channels, rows, columns] if (rows, columns) == (height, width) => {
                Ok((output.to_owned(), channels))
            }
            [1, tokens, channels] if Some(tokens) == cells.checked_add(leading) => {
                let cut = if leading > 0 {
                    let [start, end, axis] = [leading, tokens, 1].map(|value| self.integers(&[value as i64]));
                    self.node("Slice", &[output, &start, &end, &axis], vec![])
                } else {
                    output.to_owned()
                };
                let turned = self.node("Transpose", &[&cut], vec![Attribute::ints("perm", &[0, 2, 1])]);
                let sizes = self.integers(&[1, channels as i64, height as i64, width as i64]);
                Ok((self.node("Reshape", &[&turned, &sizes], vec![]), channels))
            }
            [1, found, _] => Err(ForeignError::Tokens { output: named(), found, stride, cells, leading }),
            _ => Err(ForeignError::OutputShape {
                output: named(),
                found: shape.to_vec(),
                stride,
                height,
                width,
            }),
        }
    }

    /// Adds the nodes that normalise maps to length 1 over their channels.
    fn unit(&mut self, maps: &str, stride: usize) {
        let squares = self.node("Mul", &[maps, maps], vec![]);
        let sum = if self.version >= AXES_OPSET {
            let axes = self.integers(&[1]);
            self.node("ReduceSum", &[&squares, &axes], vec![Attribute::int("keepdims", 1)])
        } else {
            self.node(
                "ReduceSum",
                &[&squares],
                vec![Attribute::ints("axes", &[1]), Attribute::int("keepdims", 1)],
            )
        };
        let length = self.node("Sqrt", &[&sum], vec![]);
        let least = self.floats(&[1, 1, 1, 1], &[LEAST_LENGTH]);
        let length = self.node("Max", &[&length, &least], vec![]);
        self.node_into("Div", &[maps, &length], Description::output_name(stride), vec![]);
    }

    fn node(&mut self, operator: &str, inputs: &[&str], attribute: Vec<Attribute>) -> String {
        let output = format!("around/{}", self.nodes.len());
        self.node_into(operator, inputs, output.clone(), attribute);
        output
    }

    fn node_into(&mut self, operator: &str, inputs: &[&str], output: String, attribute: Vec<Attribute>) {
        self.nodes.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            name: format!("around/{operator}/{}", self.nodes.len()),
            output: vec![output],
            op_type: operator.to_owned(),
            attribute,
            domain: String::new(),
        });
    }

    fn floats(&mut self, shape: &[usize], values: &[f32]) -> String {
        self.constant(|name| Tensor::floats(name, shape, values))
    }

    fn integers(&mut self, values: &[i64]) -> String {
        self.constant(|name| Tensor::integers(name, values))
    }

    fn constant(&mut self, make: impl FnOnce(&str) -> Tensor) -> String {
        let name = format!("around/constant/{}", self.constants.len());
        self.constants.push(make(&name));
        name
    }
}

/// The values with the features, in the order of the strides.
fn wanted(options: &ForeignEncoder, graph: &Graph) -> Result<Vec<String>, ForeignError> {
    let own: Vec<String> = graph.output.iter().map(|output| output.name.clone()).collect();
    let made: HashSet<&String> = graph.node.iter().flat_map(|node| &node.output).collect();
    let wanted = if options.outputs.is_empty() { &own } else { &options.outputs };
    if let Some(output) = wanted.iter().find(|output| output.is_empty() || !made.contains(output)) {
        return Err(ForeignError::Output { output: output.clone(), found: own });
    }
    if wanted.len() != options.strides.len() || wanted.iter().collect::<BTreeSet<_>>().len() != wanted.len() {
        return Err(ForeignError::OutputCount { found: wanted.clone(), strides: options.strides.len() });
    }
    Ok(wanted.clone())
}

/// Marks the nodes that the wanted values need.
fn needed(graph: &Graph, wanted: &[String]) -> Vec<bool> {
    let makers: HashMap<&String, usize> = (graph.node.iter().enumerate())
        .flat_map(|(place, node)| node.output.iter().map(move |output| (output, place)))
        .filter(|(output, _)| !output.is_empty())
        .collect();
    let mut needed = vec![false; graph.node.len()];
    let mut open: Vec<usize> = wanted.iter().filter_map(|output| makers.get(output).copied()).collect();
    while let Some(place) = open.pop() {
        if std::mem::replace(&mut needed[place], true) {
            continue;
        }
        open.extend(graph.node[place].input.iter().filter_map(|input| makers.get(input).copied()));
    }
    needed
}

/// Name and channels of the only input.
fn input(graph: &Graph, options: &ForeignEncoder) -> Result<(String, usize), ForeignError> {
    let constant: HashSet<&String> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
    let inputs: Vec<&ValueInfo> =
        graph.input.iter().filter(|input| !constant.contains(&input.name)).collect();
    let [input] = inputs[..] else {
        return Err(ForeignError::Inputs { found: inputs.iter().map(|input| input.name.clone()).collect() });
    };
    let tensor = input.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let dims: Option<Vec<Option<i64>>> = tensor
        .and_then(|tensor| tensor.shape.as_ref())
        .map(|shape| shape.dim.iter().map(|dim| dim.dim_value.filter(|size| *size > 0)).collect());
    let (width, height) = (options.input.width(), options.input.height());
    let fits = |found: Option<i64>, size: usize| found.is_none_or(|found| found == size as i64);
    let floats = tensor.is_some_and(|tensor| tensor.elem_type == DataType::Float as i32);
    match dims.as_deref() {
        Some(&[batch, channels, rows, columns])
            if floats && fits(batch, 1) && fits(rows, height) && fits(columns, width) =>
        {
            let stated = options.channels;
            match (channels.and_then(|channels| usize::try_from(channels).ok()), stated) {
                (None, None) => Err(ForeignError::OpenChannels { input: input.name.clone() }),
                (Some(found), Some(stated)) if found != stated => {
                    Err(ForeignError::Channels { found, stated: Some(stated) })
                }
                (Some(found), _) | (None, Some(found)) if found != 1 && found != 3 => {
                    Err(ForeignError::Channels { found, stated })
                }
                (Some(found), _) | (None, Some(found)) => Ok((input.name.clone(), found)),
            }
        }
        _ => {
            let kind = tensor.and_then(|tensor| DataType::try_from(tensor.elem_type).ok());
            let kind = kind.map_or("no tensor".to_owned(), |kind| format!("{kind:?}").to_lowercase());
            let sizes = dims.map_or("of any shape".to_owned(), |dims| {
                let shown = dims.iter().map(|size| size.map_or("?".to_owned(), |size| size.to_string()));
                format!("[{}]", shown.collect::<Vec<_>>().join(", "))
            });
            let found = format!("{kind} {sizes}");
            Err(ForeignError::InputShape { input: input.name.clone(), found, height, width })
        }
    }
}
