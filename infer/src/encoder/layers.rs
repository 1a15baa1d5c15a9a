//! Recognition of the layers that `infomark train` writes in a graph.

use std::collections::{HashMap, HashSet};

use half::f16;
use infomark_kernels::conv::on_blocks;
use infomark_kernels::filter::Filter;

use super::operation::{
    BackboneConvolution, Convolution, Expansion, Kind, Norm, Operation, Projection, Source,
};
use crate::onnx::{Attribute, DataType, Graph, Node, Tensor};

/// A layer of a graph.
pub(super) struct Layer {
    pub(super) operation: Operation,
    /// Names of its inputs.
    pub(super) inputs: Vec<String>,
    /// Name of its output.
    pub(super) output: String,
}

/// The layers of a graph in their order; `None` where a node belongs to no known layer.
pub(super) fn of(graph: &Graph) -> Option<Vec<Layer>> {
    Reader::new(graph).layers()
}

struct Reader<'a> {
    graph: &'a Graph,
    constants: HashMap<&'a str, &'a Tensor>,
    /// Index of the node that computes a value.
    makers: HashMap<&'a str, usize>,
    /// Number of readers of a value, including the caller.
    readers: HashMap<&'a str, usize>,
}

/// A layer and the nodes it replaces.
struct Group {
    layer: Layer,
    /// The last one gives its position.
    of: Vec<usize>,
}

/// A value normalised to length 1, and the nodes that do so.
struct Scaled<'a> {
    value: &'a str,
    /// The last one gives its position.
    of: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn new(graph: &'a Graph) -> Self {
        let mut makers = HashMap::new();
        let mut readers = HashMap::new();
        for (i, node) in graph.node.iter().enumerate() {
            for name in &node.output {
                makers.insert(name.as_str(), i);
            }
            for name in &node.input {
                *readers.entry(name.as_str()).or_insert(0) += 1;
            }
        }
        for output in &graph.output {
            *readers.entry(output.name.as_str()).or_insert(0) += 1;
        }
        let constants = graph.initializer.iter().map(|tensor| (tensor.name.as_str(), tensor)).collect();
        Self { graph, constants, makers, readers }
    }

    fn layers(&self) -> Option<Vec<Layer>> {
        let mut layers: HashMap<usize, Layer> = HashMap::new();
        let mut gone: HashSet<usize> = HashSet::new();
        // Later nodes first, as a normalisation includes the convolution before it.
        for (i, node) in self.graph.node.iter().enumerate().rev() {
            if gone.contains(&i) {
                continue;
            }
            let group = match node.op_type.as_str() {
                "Relu" => self.normalised(i),
                "Div" => self.projection(i),
                "Conv" => self.convolution(i).or_else(|| self.backbone_convolution(i, None)),
                "Clip" => self.clipped(i),
                "Add" => self.sum(i),
                "Concat" => self.join(i),
                "MaxPool" => self.max_pool(i),
                // Casts of half-precision weights that the layers already contain.
                "Cast" if self.constant(self.output(i)?).is_some() => continue,
                _ => None,
            }?;
            if group.of.iter().any(|n| gone.contains(n)) {
                return None;
            }
            gone.extend(&group.of);
            layers.insert(i, group.layer);
        }
        let mut layers: Vec<(usize, Layer)> = layers.into_iter().collect();
        layers.sort_unstable_by_key(|(place, _)| *place);
        Some(self.expansions(layers.into_iter().map(|(_, layer)| layer)))
    }

    /// Whether a layer and the next one are an expansion, with no other reader in between.
    fn is_expansion(&self, first: &Layer, second: &Layer) -> bool {
        let between = &first.output[..];
        match (&first.operation, &second.operation) {
            (Operation::Backbone(expand), Operation::Backbone(depthwise)) => {
                second.inputs == [between]
                    && self.readers.get(between) == Some(&1)
                    && Expansion::is_of(expand, depthwise)
            }
            _ => false,
        }
    }

    /// Merges pairs of layers that are an expansion.
    fn expansions(&self, layers: impl Iterator<Item = Layer>) -> Vec<Layer> {
        let mut all: Vec<Layer> = Vec::new();
        for layer in layers {
            let last = all.pop_if(|before| self.is_expansion(before, &layer));
            let (operation, inputs) = match (last, layer.operation) {
                (
                    Some(Layer { operation: Operation::Backbone(expand), inputs, .. }),
                    Operation::Backbone(depthwise),
                ) => (Operation::Expansion(Expansion { expand, depthwise }), inputs),
                (last, operation) => {
                    all.extend(last);
                    (operation, layer.inputs)
                }
            };
            all.push(Layer { operation, inputs, output: layer.output });
        }
        all
    }

    fn layer(&self, operation: Operation, inputs: Vec<String>, of: Vec<usize>) -> Option<Group> {
        let output = self.output(*of.last()?)?.to_owned();
        Some(Group { layer: Layer { operation, inputs, output }, of })
    }

    /// The 2 x 2 max pooling of node `i`.
    fn max_pool(&self, i: usize) -> Option<Group> {
        let node = self.node(i);
        let twos = |name| attribute(node, name).is_some_and(|a| a.ints == [2, 2]);
        let bare = |name| attribute(node, name).is_none();
        let [x] = &node.input[..] else { return None };
        let fits = twos("kernel_shape")
            && twos("strides")
            && ["pads", "dilations", "auto_pad", "ceil_mode", "storage_order"].into_iter().all(bare);
        if !fits {
            return None;
        }
        self.layer(Operation::MaxPool, vec![x.clone()], vec![i])
    }

    /// Convolution, group normalisation and ReLU, ending in node `i`.
    fn normalised(&self, i: usize) -> Option<Group> {
        let (add, x, beta) = self.with_constant(self.input(i, 0)?, "Add")?;
        let (mul, x, gamma) = self.with_constant(x, "Mul")?;
        let whole = self.made(x, "Reshape")?;
        let normal = self.made(self.input(whole, 0)?, "InstanceNormalization")?;
        let grouped = self.made(self.input(normal, 0)?, "Reshape")?;
        let conv = self.made(self.input(grouped, 0)?, "Conv")?;
        let Group { layer: Layer { operation, inputs, .. }, mut of } = self.convolution(conv)?;
        let Operation::Convolution(convolution) = operation else { return None };
        let channels = convolution.outputs;
        let &[1, groups, length] = &*integers(self.constant(self.input(grouped, 1)?)?)? else { return None };
        let &[1, whole_channels, height, width] = &*integers(self.constant(self.input(whole, 1)?)?)? else {
            return None;
        };
        let ones = floats(self.constant(self.input(normal, 1)?)?)?;
        let zeros = floats(self.constant(self.input(normal, 2)?)?)?;
        let groups_count = usize::try_from(groups).ok()?;
        let epsilon = attribute(self.node(normal), "epsilon")?.f;
        let fits = whole_channels == channels as i64
            && groups > 0
            && channels.is_multiple_of(groups_count)
            && groups.checked_mul(length)? == whole_channels.checked_mul(height)?.checked_mul(width)?
            && ones.len() == groups_count
            && ones.iter().all(|v| *v == 1.0)
            && zeros.iter().all(|v| *v == 0.0)
            && gamma.len() == channels
            && beta.len() == channels
            && epsilon == infomark_kernels::norm::EPSILON;
        if !fits {
            return None;
        }
        let norm = Norm { gamma, beta, groups: groups_count };
        of.extend([grouped, normal, whole, mul, add, i]);
        self.layer(Operation::Convolution(Convolution { norm: Some(norm), ..convolution }), inputs, of)
    }

    /// The convolution of node `i`, with the upsampling and concatenation of its input.
    fn convolution(&self, i: usize) -> Option<Group> {
        let node = self.node(i);
        let &[weight, ..] = &node.input.get(1..)? else { return None };
        let tensor = self.constant(weight)?;
        let &[outputs, inputs, height, width] = &tensor.dims[..] else { return None };
        let (outputs, inputs) = (usize::try_from(outputs).ok()?, usize::try_from(inputs).ok()?);
        let weight = floats(tensor)?;
        let plain = node.input.len() == 2 && is(node, "group", 1) && usual(node, "dilations", 1);
        let pads = |pad: i64, stride: i64| {
            attribute(node, "pads").is_some_and(|a| a.ints == [pad; 4]) && usual(node, "strides", stride)
        };
        let automatic = attribute(node, "auto_pad").is_some_and(|a| !matches!(&a.s[..], b"NOTSET" | b""));
        if !plain || automatic || outputs == 0 || inputs == 0 {
            return None;
        }
        let x = node.input.first()?.clone();
        let mut of = vec![i];
        let (source, inputs, weight, from) = match (height, width) {
            (3, 3) if pads(1, 1) => match self.joined(&x) {
                Some((join, pair)) => {
                    of.splice(0..0, join);
                    (Source::Joined, inputs, weight, pair.to_vec())
                }
                None => (Source::Plain, inputs, weight, vec![x]),
            },
            (6, 6) if inputs == 1 && pads(2, 2) => (Source::Blocks, 4, on_blocks(&weight), vec![x]),
            _ => return None,
        };
        if weight.len() != outputs * inputs * 9 {
            return None;
        }
        let filter = Filter::forward(weight, outputs, inputs);
        let convolution = Convolution { source, inputs, outputs, filter, norm: None };
        self.layer(Operation::Convolution(convolution), from, of)
    }

    /// The nodes that upsample one value and concatenate it with another, and the two values.
    fn joined(&self, x: &str) -> Option<(Vec<usize>, [String; 2])> {
        let join = self.made(x, "Concat")?;
        let [fine, doubled] = &self.node(join).input[..] else { return None };
        if attribute(self.node(join), "axis")?.i != 1 {
            return None;
        }
        let resize = self.made(doubled, "Resize")?;
        let [coarse, region, scales] = &self.node(resize).input[..] else { return None };
        let says = |name, value: &[u8]| attribute(self.node(resize), name).is_some_and(|a| a.s == value);
        let doubles = region.is_empty()
            && floats(self.constant(scales)?)? == [1.0, 1.0, 2.0, 2.0]
            && says("mode", b"nearest")
            && says("coordinate_transformation_mode", b"asymmetric")
            && says("nearest_mode", b"floor");
        doubles.then(|| (vec![resize, join], [fine.clone(), coarse.clone()]))
    }

    /// The normalisation to length 1 that ends in node `i`.
    fn scaled_to_length_one(&self, i: usize) -> Option<Scaled<'a>> {
        let [value, length] = &self.node(i).input[..] else { return None };
        let root = self.made(length, "Sqrt")?;
        let (add, sum, epsilon) = self.with_constant(self.input(root, 0)?, "Add")?;
        let sum = self.made(sum, "ReduceSum")?;
        let mul = self.made(self.input(sum, 0)?, "Mul")?;
        let fits = self.node(mul).input == [value.clone(), value.clone()]
            && integers(self.constant(self.input(sum, 1)?)?)? == [1]
            && is(self.node(sum), "keepdims", 1)
            && epsilon == [infomark_kernels::head::EPSILON];
        fits.then(|| Scaled { value, of: vec![mul, sum, add, root, i] })
    }

    /// 1 x 1 convolution and normalisation to length 1, ending in node `i`.
    fn projection(&self, i: usize) -> Option<Group> {
        let Scaled { value: y, mut of } = self.scaled_to_length_one(i)?;
        let conv = *self.makers.get(y)?;
        let node = self.node(conv);
        let [x, weight, bias] = &node.input[..] else { return None };
        let tensor = self.constant(weight)?;
        let &[outputs, inputs, 1, 1] = &tensor.dims[..] else { return None };
        let (outputs, inputs) = (usize::try_from(outputs).ok()?, usize::try_from(inputs).ok()?);
        let (weight, bias) = (floats(tensor)?, floats(self.constant(bias)?)?);
        let bare = |name| attribute(node, name).is_none();
        let fits = node.op_type == "Conv"
            && self.readers.get(y) == Some(&3)
            && is(node, "group", 1)
            && ["pads", "strides", "dilations", "auto_pad"].into_iter().all(bare)
            && inputs > 0
            && bias.len() == outputs;
        if !fits {
            return None;
        }
        let projection = Projection { inputs, outputs, weight, bias };
        of.insert(0, conv);
        self.layer(Operation::Projection(projection), vec![x.clone()], of)
    }

    /// Convolution of a backbone and the clip to 0..6 of node `i`.
    fn clipped(&self, i: usize) -> Option<Group> {
        let [x, low, high] = &self.node(i).input[..] else { return None };
        let scalar = |name: &str| self.constant(name).filter(|t| t.dims.is_empty()).and_then(floats);
        let bounds = scalar(low)? == [0.0] && scalar(high)? == [6.0];
        let conv = self.made(x, "Conv").filter(|_| bounds)?;
        self.backbone_convolution(conv, Some(i))
    }

    /// The pointwise or depthwise convolution with bias of node `i`, and the clip after it.
    fn backbone_convolution(&self, i: usize, clip: Option<usize>) -> Option<Group> {
        let node = self.node(i);
        let [x, weight, bias] = &node.input[..] else { return None };
        let tensor = self.constant(weight)?;
        let &[outputs, inputs, side, width] = &tensor.dims[..] else { return None };
        let (outputs, inputs) = (usize::try_from(outputs).ok()?, usize::try_from(inputs).ok()?);
        let (weight, bias) = (floats(tensor)?, floats(self.constant(bias)?)?);
        let automatic = attribute(node, "auto_pad").is_some_and(|a| !matches!(&a.s[..], b"NOTSET" | b""));
        let group = attribute(node, "group").map_or(1, |a| a.i);
        let strides = attribute(node, "strides").map_or(&[1, 1][..], |a| &a.ints);
        let pads = attribute(node, "pads").map_or(&[0; 4][..], |a| &a.ints);
        let plain = !automatic && usual(node, "dilations", 1) && side == width && outputs > 0 && inputs > 0;
        let kind = match (side, strides, pads) {
            (1, [1, 1], [0, 0, 0, 0]) if group == 1 => Kind::Pointwise,
            // Padding such that every `stride` pixels give one output cell.
            (3 | 5, &[stride @ (1 | 2), across], &[top, left, bottom, right])
                if inputs == 1
                    && (group == 1 || group == outputs as i64)
                    && stride == across
                    && (top, bottom) == (left, right)
                    && top == (side - stride) / 2
                    && top + bottom == side - stride =>
            {
                let of = |v| usize::try_from(v).ok();
                Kind::Depthwise { kernel: of(side)?, stride: of(stride)?, padding: of(top)? }
            }
            _ => return None,
        };
        if !plain || bias.len() != outputs {
            return None;
        }
        let inputs = if kind == Kind::Pointwise { inputs } else { usize::try_from(group).ok()? };
        let convolution =
            BackboneConvolution { kind, inputs, outputs, weight, bias, clipped: clip.is_some() };
        let of = [i].into_iter().chain(clip).collect();
        self.layer(Operation::Backbone(convolution), vec![x.clone()], of)
    }

    /// The sum of two values of node `i`.
    fn sum(&self, i: usize) -> Option<Group> {
        let inputs = &self.node(i).input;
        let values = inputs.len() == 2 && inputs.iter().all(|name| self.constant(name).is_none());
        values.then(|| self.layer(Operation::Sum, inputs.clone(), vec![i]))?
    }

    /// A unit feature and another value normalised to length 1, each times a factor, concatenated by node `i`.
    fn join(&self, i: usize) -> Option<Group> {
        let [unit, more] = &self.node(i).input[..] else { return None };
        if attribute(self.node(i), "axis")?.i != 1 {
            return None;
        }
        let (first, unit, a) = self.with_constant(unit, "Mul")?;
        let (second, scaled, b) = self.with_constant(more, "Mul")?;
        let (&[a], &[b]) = (&a[..], &b[..]) else { return None };
        let Scaled { value, mut of } = self.scaled_to_length_one(self.made(scaled, "Div")?)?;
        of.extend([first, second, i]);
        self.layer(Operation::Join([a, b]), vec![unit.to_owned(), value.to_owned()], of)
    }

    fn node(&self, i: usize) -> &'a Node {
        &self.graph.node[i]
    }

    fn input(&self, i: usize, place: usize) -> Option<&'a str> {
        self.node(i).input.get(place).map(String::as_str)
    }

    fn output(&self, i: usize) -> Option<&'a str> {
        match &self.node(i).output[..] {
            [output] => Some(output),
            _ => None,
        }
    }

    /// The node of this type that computes a value with a single reader.
    fn made(&self, name: &str, kind: &str) -> Option<usize> {
        let &maker = self.makers.get(name)?;
        (self.node(maker).op_type == kind && self.readers.get(name) == Some(&1)).then_some(maker)
    }

    /// The node of this type that computes, from another value and a constant, a value with a single reader.
    fn with_constant(&self, name: &str, kind: &str) -> Option<(usize, &'a str, Vec<f32>)> {
        let maker = self.made(name, kind)?;
        let [x, constant] = &self.node(maker).input[..] else { return None };
        let tensor = self.constant(constant)?;
        let along_channels = matches!(&tensor.dims[..], [1, _, 1, 1]);
        along_channels.then_some(())?;
        Some((maker, x, floats(tensor)?))
    }

    /// A constant, directly or through a cast to single precision.
    fn constant(&self, name: &str) -> Option<&'a Tensor> {
        if let Some(tensor) = self.constants.get(name) {
            return Some(tensor);
        }
        let cast = self.node(*self.makers.get(name)?);
        let single = cast.op_type == "Cast" && attribute(cast, "to")?.i == DataType::Float as i64;
        single.then(|| self.constants.get(cast.input.first()?.as_str()).copied()).flatten()
    }
}

fn attribute<'a>(node: &'a Node, name: &str) -> Option<&'a Attribute> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

/// Whether the attribute has this value, or is omitted where the default is 1.
fn is(node: &Node, name: &str, value: i64) -> bool {
    attribute(node, name).map_or(1, |a| a.i) == value
}

/// Whether all numbers of the attribute have this value, or it is omitted where the default is 1.
fn usual(node: &Node, name: &str, value: i64) -> bool {
    attribute(node, name).map_or(value == 1, |a| a.ints.iter().all(|v| *v == value))
}

/// The numbers of a tensor as infomark writes it.
fn floats(tensor: &Tensor) -> Option<Vec<f32>> {
    let raw = &tensor.raw_data;
    let values: Vec<f32> = if tensor.data_type == DataType::Float16 as i32 {
        raw.as_chunks().0.iter().map(|&b| f16::from_le_bytes(b).to_f32()).collect()
    } else if tensor.data_type == DataType::Float as i32 {
        raw.as_chunks().0.iter().map(|&b| f32::from_le_bytes(b)).collect()
    } else {
        return None;
    };
    let length: i64 = tensor.dims.iter().product();
    (length == values.len() as i64).then_some(values)
}

fn integers(tensor: &Tensor) -> Option<Vec<i64>> {
    let whole = tensor.data_type == DataType::Int64 as i32 && tensor.dims.len() == 1;
    whole.then(|| tensor.raw_data.as_chunks().0.iter().map(|&b| i64::from_le_bytes(b)).collect())
}
