//! Encoders of other programs: ONNX files of theirs become files like our own.
//!
//! What a file of ours promises ([`Description`]) is put around the foreign graph as further nodes: before it, the one channel becomes
//! those that it reads, scaled as it was trained; after it, tokens become maps and features unit vectors. So everything that runs an
//! encoder runs these, too.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Component, Path};
use std::str::FromStr;

use prost::Message;

#[cfg(feature = "onnxruntime")]
use super::OnnxRuntime;
use super::{Encoder, GraphError, ModelError, graph, interface, read};
use crate::description::{Channels, Origin, SEAL_KEY, value};
use crate::file;
use crate::onnx::{
    Attribute, AttributeType, DataType, Dimension, Graph, Model, Node, OperatorSet, Property, Tensor,
    TensorShape, TensorType, Type, ValueInfo,
};
use crate::{DESCRIPTION_KEY, Description, InputPolicy, InputSize, Normalisation, ValueError, sha256};

/// Version of the format that is written: the first with every operator of the graph around.
const IR_VERSION: i64 = 8;
/// First operator set in which the operators of the graph around mean what they do here.
const FIRST_OPSET: i64 = 11;
/// First operator set in which `ReduceSum` reads its axes from an input.
const AXES_OPSET: i64 = 13;
/// Means and standard deviations of red, green and blue in ImageNet, in units of the whole range, as torchvision's models take them.
const IMAGENET: [[f32; 3]; 2] = [[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]];
/// Least length that features are divided by, as `torch.nn.functional.normalize` has it.
const LEAST_LENGTH: f32 = 1e-12;
/// What the names of the foreign graph's values begin with, so that they are none of ours.
const PREFIX: &str = "source/";
/// Largest file of weights beside a model, in bytes.
const MAX_EXTERNAL: u64 = super::MAX_BYTES;
/// Names that a message lists.
const LISTED: usize = 16;

/// How the grey values in `[0, 1]` of an image become the input of a foreign encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum InputScaling {
    /// As they are.
    #[default]
    UnitRange,
    /// By [`Normalisation::LOCAL_CONTRAST`], which is what `infomark train` and the guided views give by default.
    LocalContrast,
    /// As torchvision's models of ImageNet expect their three channels: less the mean, over the standard deviation of each.
    ImageNet,
}

impl InputScaling {
    /// All of them, by name.
    pub const NAMED: [(&str, InputScaling); 3] = [
        ("unit-range", InputScaling::UnitRange),
        ("local-contrast", InputScaling::LocalContrast),
        ("imagenet", InputScaling::ImageNet),
    ];
}

impl FromStr for InputScaling {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let named = InputScaling::NAMED.iter().find(|(known, _)| *known == name);
        named.map(|(_, scaling)| *scaling).ok_or_else(|| {
            let known = InputScaling::NAMED.map(|(known, _)| known).join(", ");
            format!("no normalisation is called `{name}`; use one of {known}")
        })
    }
}

/// What the ONNX file of another program's encoder does not say of itself.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ForeignEncoder {
    /// The canvas that images are laid on. A file that states a size has to state this one.
    pub input: InputSize,
    /// Canvas pixels per cell of each output, in the order of [`outputs`](Self::outputs).
    pub strides: Vec<usize>,
    /// How grey values are scaled.
    pub scaling: InputScaling,
    /// Names of the values in the graph that hold the features: maps `[1, C, h, w]`, or tokens `[1, n, C]` row by row. Empty:
    /// the outputs of the graph, in their order.
    pub outputs: Vec<String>,
    /// Tokens before those of the cells: a class token, registers. They are left out.
    pub leading_tokens: usize,
    /// Divisor of the cosines in matching, as that of [`Description`].
    pub temperature: f32,
}

impl ForeignEncoder {
    /// An encoder that reads a canvas of this size and gives features at these strides.
    pub fn new(input: InputSize, strides: impl Into<Vec<usize>>) -> ForeignEncoder {
        ForeignEncoder {
            input,
            strides: strides.into(),
            scaling: InputScaling::default(),
            outputs: Vec::new(),
            leading_tokens: 0,
            temperature: 0.1,
        }
    }

    /// With grey values scaled otherwise.
    #[must_use]
    pub fn with_scaling(self, scaling: InputScaling) -> ForeignEncoder {
        ForeignEncoder { scaling, ..self }
    }

    /// With features from the values of these names.
    #[must_use]
    pub fn with_outputs(self, outputs: impl Into<Vec<String>>) -> ForeignEncoder {
        ForeignEncoder { outputs: outputs.into(), ..self }
    }

    /// With so many tokens left out.
    #[must_use]
    pub fn with_leading_tokens(self, leading_tokens: usize) -> ForeignEncoder {
        ForeignEncoder { leading_tokens, ..self }
    }

    /// With another temperature.
    #[must_use]
    pub fn with_temperature(self, temperature: f32) -> ForeignEncoder {
        ForeignEncoder { temperature, ..self }
    }

    /// An encoder like our own, from the ONNX file of another program.
    ///
    /// The foreign graph is kept; nodes around it make the input that it reads of one channel in `[0, 1]`, and feature maps of
    /// unit vectors of what it gives. It is prepared and run once, so that what comes back works. Weights in files beside the
    /// model are taken into it.
    ///
    /// # Errors
    ///
    /// [`ModelError`]: among others [`ModelError::Foreign`] where the graph is not what these say of it.
    ///
    /// ```no_run
    /// use infomark_infer::{ForeignEncoder, InputScaling, InputSize};
    ///
    /// let resnet = ForeignEncoder::new(InputSize::new(384, 480)?, [4, 8, 16]).with_scaling(InputScaling::ImageNet);
    /// resnet.describe("resnet.onnx")?.save("encoder.onnx")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[cfg(feature = "onnx")]
    pub fn describe(&self, path: impl AsRef<Path>) -> Result<DescribedEncoder, ModelError> {
        let (bytes, name, folder) = file(path.as_ref())?;
        self.describe_bytes(&bytes, name, folder.as_deref())
    }

    /// [`describe`](Self::describe) for a file that is in memory already; `name` stands for it in messages, `folder` holds its
    /// weights where they are in other files.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    #[cfg(feature = "onnx")]
    pub fn describe_bytes(
        &self,
        bytes: &[u8],
        name: impl Into<String>,
        folder: Option<&Path>,
    ) -> Result<DescribedEncoder, ModelError> {
        let name = name.into();
        let around = Around::new(self, bytes, &name, folder)?;
        let shapes =
            crate::contain::contain(|| super::tract::shapes(&around.raw(), self.input)).unwrap_or_else(Err);
        let described = around.finish(shapes)?;
        let encoder = Encoder::from_bytes(&described, name)?;
        DescribedEncoder::tried(described, encoder)
    }

    /// [`describe`](Self::describe) by ONNX Runtime, for graphs that tract does not run.
    ///
    /// # Errors
    ///
    /// As [`describe`](Self::describe).
    #[cfg(feature = "onnxruntime")]
    pub fn describe_on(
        &self,
        runtime: &OnnxRuntime,
        path: impl AsRef<Path>,
    ) -> Result<DescribedEncoder, ModelError> {
        let (bytes, name, folder) = file(path.as_ref())?;
        let around = Around::new(self, &bytes, &name, folder.as_deref())?;
        let shapes = runtime.shapes(&around.raw(), self.input);
        let described = around.finish(shapes)?;
        let encoder = Encoder::from_bytes_on(runtime, &described, name)?;
        DescribedEncoder::tried(described, encoder)
    }
}

/// An encoder of another program as a file of ours.
#[derive(Clone, Debug)]
pub struct DescribedEncoder {
    bytes: Vec<u8>,
    encoder: Encoder,
}

impl DescribedEncoder {
    /// Runs the encoder once: what it gives has to be features.
    fn tried(bytes: Vec<u8>, encoder: Encoder) -> Result<DescribedEncoder, ModelError> {
        let input = encoder.description().input;
        let mut rng = infomark_core::Rng::new(0, 0);
        let pixels: Vec<f32> = (0..input.area()).map(|_| rng.uniform()).collect();
        let encoding = encoder.encode_input("noise", &pixels)?;
        match encoding.levels().iter().find(|map| map.data().iter().all(|value| *value == 0.0)) {
            None => Ok(DescribedEncoder { bytes, encoder }),
            Some(map) => Err(ModelError::Foreign {
                name: encoder.name().to_owned(),
                problem: ForeignError::Zero { stride: map.stride() },
            }),
        }
    }

    /// The content of its file, which [`Encoder::load`] reads.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The encoder, under the name of the foreign file.
    pub fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    ///
    /// [`ModelError::Unwritable`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelError> {
        let path = path.as_ref();
        file::write(path, &self.bytes)
            .map_err(|source| ModelError::Unwritable { name: path.display().to_string(), source })
    }
}

/// Why the file of another program's encoder could not be described; the messages end in the fix.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ForeignError {
    /// It is one of ours.
    #[error("it is described already; use it as it is")]
    Described,
    /// Numbers that a description can't have.
    #[error("{0}; give others")]
    Value(ValueError),
    /// An operator set that is too old, or none.
    #[error("its operator set is {found}, and {FIRST_OPSET} or later is needed; export it again with a later one", found = match found {
        Some(found) => found.to_string(),
        None => "not stated".to_owned(),
    })]
    Opset {
        /// The version found.
        found: Option<i64>,
    },
    /// Not one input.
    #[error("it reads {}, and encoders read one image; export it with one input", listed(found))]
    Inputs {
        /// Their names.
        found: Vec<String>,
    },
    /// An input that is no image of the stated size.
    #[error(
        "its input `{input}` is {found}, and 32-bit floats [1, 1 or 3, {height}, {width}] are expected; give the size that it was \
         exported with, or export it again with this one"
    )]
    InputShape {
        /// Name of the input.
        input: String,
        /// Type and sizes, with `?` for those left open.
        found: String,
        /// Height of the canvas.
        height: usize,
        /// Width of the canvas.
        width: usize,
    },
    /// Scaling by colour where there is none.
    #[error(
        "it reads one channel, and ImageNet's normalisation is of three; use unit-range or local-contrast"
    )]
    OneChannel,
    /// Outputs that are not as many as the strides.
    #[error("it gives {}, and {strides} strides are stated; name one output for each stride", listed(found))]
    OutputCount {
        /// Names of the outputs.
        found: Vec<String>,
        /// Strides stated.
        strides: usize,
    },
    /// No value of that name.
    #[error("nothing in it is called `{output}`; its outputs are {}", listed(found))]
    Output {
        /// The name.
        output: String,
        /// Names of the graph's outputs.
        found: Vec<String>,
    },
    /// Features of another shape than the stride calls for.
    #[error(
        "its `{output}` is {found:?}, and stride {stride} calls for maps [1, channels, {height}, {width}] or tokens [1, {}, channels]; \
         give the strides in the order of the outputs, and name the outputs that hold features", height * width
    )]
    OutputShape {
        /// Name of the output.
        output: String,
        /// Its shape.
        found: Vec<usize>,
        /// The stride stated.
        stride: usize,
        /// Rows of cells.
        height: usize,
        /// Columns of cells.
        width: usize,
    },
    /// Another number of tokens than cells.
    #[error(
        "its `{output}` has {found} tokens, and stride {stride} has {cells} cells and {leading} leading tokens are stated; say how many \
         tokens come before those of the cells"
    )]
    Tokens {
        /// Name of the output.
        output: String,
        /// Tokens found.
        found: usize,
        /// The stride stated.
        stride: usize,
        /// Cells at that stride.
        cells: usize,
        /// Leading tokens stated.
        leading: usize,
    },
    /// Leading tokens where no output has tokens.
    #[error("{leading} leading tokens are stated, and its outputs are maps; leave them out")]
    NoTokens {
        /// Leading tokens stated.
        leading: usize,
    },
    /// Weights in another file, which could not be had.
    #[error(
        "its tensor {tensor} lies in the file {file:?}, which {reason}; copy the model again with the files beside it"
    )]
    External {
        /// Name of the tensor.
        tensor: String,
        /// The file, as the model names it.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Features of zeros alone.
    #[error("its features at stride {stride} are all zero; name other outputs, or check its weights")]
    Zero {
        /// The stride.
        stride: usize,
    },
}

/// Names for a message.
fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    match names.len() {
        0 => "nothing".to_owned(),
        all if all > LISTED => format!("{} and {} more", shown.join(", "), all - LISTED),
        _ => shown.join(", "),
    }
}

/// The bytes, the name and the folder of a model.
fn file(path: &Path) -> Result<(Vec<u8>, String, Option<std::path::PathBuf>), ModelError> {
    Ok((read(path)?, path.display().to_string(), path.parent().map(Path::to_owned)))
}

/// A foreign graph, cut to what its features need, and what is built around it.
struct Around<'a> {
    options: &'a ForeignEncoder,
    name: &'a str,
    source_sha256: String,
    producer: String,
    opset: Vec<OperatorSet>,
    version: i64,
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
    /// The value of each output and its stride, the finest first.
    outputs: Vec<(String, usize)>,
}

impl<'a> Around<'a> {
    fn new(
        options: &'a ForeignEncoder,
        bytes: &[u8],
        name: &'a str,
        folder: Option<&Path>,
    ) -> Result<Around<'a>, ModelError> {
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
        let mut around = Around {
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
        around.take(graph).map_err(refuse)?;
        graph::check_parts(&around.nodes, &around.constants).map_err(broken)?;
        around.description(&vec![1; options.strides.len()])?;
        Ok(around)
    }

    /// Takes the part of the graph that the features need, behind the nodes that make its input.
    fn take(&mut self, graph: Graph) -> Result<(), ForeignError> {
        let wanted = wanted(self.options, &graph)?;
        let (input, channels) = input(&graph, self.options.input)?;
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

    /// The nodes that make the input of the foreign graph; gives its name.
    fn scaled(&mut self, channels: usize) -> Result<String, ForeignError> {
        let image = Description::INPUT_NAME;
        if channels == 1 {
            return match self.options.scaling {
                InputScaling::ImageNet => Err(ForeignError::OneChannel),
                _ => Ok(image.to_owned()),
            };
        }
        let repeated = self.node("Concat", &[image; 3], vec![int("axis", 1)]);
        if self.options.scaling != InputScaling::ImageNet {
            return Ok(repeated);
        }
        let [mean, deviation] = IMAGENET.map(|values| self.floats(&[1, 3, 1, 1], &values));
        let moved = self.node("Sub", &[&repeated, &mean], vec![]);
        Ok(self.node("Div", &[&moved, &deviation], vec![]))
    }

    /// The model up to the foreign graph's own outputs.
    fn raw(&self) -> Model {
        let open = |(name, _): &(String, usize)| {
            let tensor = TensorType { elem_type: DataType::Float as i32, shape: None };
            ValueInfo { name: name.clone(), r#type: Some(Type { tensor_type: Some(tensor) }) }
        };
        self.model(self.outputs.iter().map(open).collect())
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
                input: vec![float_value(Description::INPUT_NAME, [1, 1, height, width])],
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
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        description.check_values().map_err(|problem| self.refuse(ForeignError::Value(problem)))?;
        Ok(description)
    }

    fn refuse(&self, problem: ForeignError) -> ModelError {
        ModelError::Foreign { name: self.name.to_owned(), problem }
    }

    /// The file, with the nodes that make feature maps of outputs of these shapes.
    fn finish(mut self, shapes: Result<Vec<Vec<usize>>, String>) -> Result<Vec<u8>, ModelError> {
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
        let mut model = self.model(outputs.iter().map(|(name, shape)| float_value(name, *shape)).collect());
        let properties = description
            .to_sealed_properties(&graph::bytes(&model))
            .map_err(|source| ModelError::Description { name: self.name.to_owned(), source })?;
        model.metadata_props = properties.into_iter().map(|(key, value)| Property { key, value }).collect();
        Ok(model.encode_to_vec())
    }

    /// The name of an output as feature maps, and their channels.
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
                let turned = self.node("Transpose", &[&cut], vec![ints("perm", &[0, 2, 1])]);
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

    /// The nodes that give maps the length 1 over their channels.
    fn unit(&mut self, maps: &str, stride: usize) {
        let squares = self.node("Mul", &[maps, maps], vec![]);
        let sum = if self.version >= AXES_OPSET {
            let axes = self.integers(&[1]);
            self.node("ReduceSum", &[&squares, &axes], vec![int("keepdims", 1)])
        } else {
            self.node("ReduceSum", &[&squares], vec![ints("axes", &[1]), int("keepdims", 1)])
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
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(shape, DataType::Float, bytes)
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.constant(&[values.len()], DataType::Int64, bytes)
    }

    fn constant(&mut self, shape: &[usize], kind: DataType, raw_data: Vec<u8>) -> String {
        let name = format!("around/constant/{}", self.constants.len());
        self.constants.push(Tensor {
            name: name.clone(),
            dims: shape.iter().map(|&size| size as i64).collect(),
            data_type: kind as i32,
            raw_data,
            ..Tensor::default()
        });
        name
    }
}

fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: value, r#type: AttributeType::Int as i32, ..Attribute::default() }
}

fn ints(name: &str, values: &[i64]) -> Attribute {
    let ints = values.to_vec();
    Attribute { name: name.to_owned(), ints, r#type: AttributeType::Ints as i32, ..Attribute::default() }
}

/// 32-bit floats of a shape.
fn float_value(name: &str, shape: [usize; 4]) -> ValueInfo {
    let dim = shape.iter().map(|&size| Dimension { dim_value: Some(size as i64) }).collect();
    let tensor = TensorType { elem_type: DataType::Float as i32, shape: Some(TensorShape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor) }) }
}

/// The values that hold the features, in the order of the strides.
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

/// Which of the nodes the wanted values need.
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

/// The one input's name, and its channels.
fn input(graph: &Graph, size: InputSize) -> Result<(String, usize), ForeignError> {
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
    let (width, height) = (size.width(), size.height());
    let fits = |found: Option<i64>, size: usize| found.is_none_or(|found| found == size as i64);
    let floats = tensor.is_some_and(|tensor| tensor.elem_type == DataType::Float as i32);
    match dims.as_deref() {
        Some(&[batch, Some(channels @ (1 | 3)), rows, columns])
            if floats && fits(batch, 1) && fits(rows, height) && fits(columns, width) =>
        {
            Ok((input.name.clone(), channels as usize))
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

/// Takes weights that lie in other files of the model's folder into the graph.
fn embed(graph: &mut Graph, folder: Option<&Path>) -> Result<(), ForeignError> {
    let in_nodes = graph
        .node
        .iter_mut()
        .flat_map(|node| &mut node.attribute)
        .flat_map(|attribute| attribute.t.iter_mut().chain(&mut attribute.tensors));
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    let mut total = 0_u64;
    for tensor in graph.initializer.iter_mut().chain(in_nodes) {
        if tensor.data_location.is_none_or(|location| location == 0) && tensor.external_data.is_empty() {
            continue;
        }
        let entry = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
        };
        let named = entry("location").unwrap_or_default().to_owned();
        let refuse = |reason: &str| ForeignError::External {
            tensor: tensor.name.clone(),
            file: named.clone(),
            reason: reason.to_owned(),
        };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => {
                text.parse::<usize>().map(Some).map_err(|_| refuse("is given with a place that is no number"))
            }
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let relative = Path::new(&named);
        let mut parts = relative.components();
        let (Some(folder), Some(Component::Normal(_)), None) = (folder, parts.next(), parts.next()) else {
            return Err(refuse("is not named as a file beside the model"));
        };
        if !files.contains_key(&named) {
            let bytes = file::read(&folder.join(relative), MAX_EXTERNAL)
                .map_err(|problem| refuse(&format!("cannot be read ({problem})")))?;
            total += bytes.len() as u64;
            if total > MAX_EXTERNAL {
                return Err(refuse("makes more than a model may have (512 MiB)"));
            }
            files.insert(named.clone(), bytes);
        }
        let bytes = files.get(&named).and_then(|bytes| bytes.get(offset..));
        let bytes = bytes.and_then(|bytes| bytes.get(..length.unwrap_or(bytes.len())));
        let raw_data = bytes.ok_or_else(|| refuse("ends before the tensor does"))?.to_vec();
        tensor.raw_data = raw_data;
        tensor.external_data = Vec::new();
        tensor.data_location = None;
    }
    Ok(())
}
