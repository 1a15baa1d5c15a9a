//! Checks of an ONNX graph against its description, before it is built.

use prost::Message;

use super::{GraphError, Interface, ModelError};
use crate::Description;
use crate::onnx::{DataType, Graph, Model, Node, Tensor, ValueInfo};

/// Supported operators, those of convolutional networks and vision transformers: none reads files or loops.
const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "And",
    "Attention",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "CastLike",
    "Ceil",
    "Celu",
    "Clip",
    "Concat",
    "Constant",
    "ConstantOfShape",
    "Conv",
    "ConvTranspose",
    "Cos",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Equal",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "Greater",
    "GreaterOrEqual",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Less",
    "LessOrEqual",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "Max",
    "MaxPool",
    "MeanVarianceNormalization",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "Not",
    "Or",
    "PRelu",
    "Pad",
    "Pow",
    "RMSNormalization",
    "Range",
    "Reciprocal",
    "ReduceL2",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "ScatterND",
    "Selu",
    "Shape",
    "Sigmoid",
    "Sign",
    "Sin",
    "Size",
    "Slice",
    "Softmax",
    "Softplus",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "ThresholdedRelu",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Where",
];

/// Maximum number of nodes of a graph, and of its tensors.
const MAX_NODES: usize = 16_384;
/// Maximum number of dimensions of a tensor.
const MAX_DIMS: usize = 8;

/// Parses an ONNX model.
pub(crate) fn parse(bytes: &[u8], name: &str) -> Result<Model, ModelError> {
    let reason = match Model::decode(bytes) {
        Ok(model) if model.graph.is_some() => return Ok(model),
        Ok(_) => "it holds no graph".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(ModelError::NotOnnx { name: name.to_owned(), reason })
}

/// The encoded graph.
pub(crate) fn bytes(model: &Model) -> Vec<u8> {
    model.graph.as_ref().map(Message::encode_to_vec).unwrap_or_default()
}

/// Checks the graph and returns the index among its outputs of each output of the interface.
pub(crate) fn check(model: &Model, interface: &Interface, name: &str) -> Result<Vec<usize>, ModelError> {
    let wrong = |problem| ModelError::Graph { name: name.to_owned(), problem };
    let graph = model.graph.as_ref().ok_or_else(|| wrong(GraphError::Missing))?;
    if !graph.sparse_initializer.is_empty() {
        return Err(wrong(GraphError::Sparse));
    }
    check_parts(&graph.node, &graph.initializer).map_err(wrong)?;
    check_input(graph, interface).map_err(wrong)?;
    check_outputs(graph, interface).map_err(wrong)
}

/// Checks that nodes and constants are supported.
pub(crate) fn check_parts(nodes: &[Node], constants: &[Tensor]) -> Result<(), GraphError> {
    if nodes.len().max(constants.len()) > MAX_NODES {
        return Err(GraphError::Size { nodes: nodes.len(), tensors: constants.len(), most: MAX_NODES });
    }
    for node in nodes {
        let operator = node.op_type.as_str();
        let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
        if !standard || !OPERATORS.contains(&operator) {
            return Err(GraphError::Operator { operator: operator.to_owned(), node: node.name.clone() });
        }
        for attribute in &node.attribute {
            if attribute.g.is_some() || !attribute.graphs.is_empty() {
                return Err(GraphError::Subgraph { node: node.name.clone() });
            }
            if attribute.sparse_tensor.is_some() || !attribute.sparse_tensors.is_empty() {
                return Err(GraphError::Sparse);
            }
            for tensor in attribute.t.iter().chain(&attribute.tensors) {
                check_tensor(tensor)?;
            }
        }
    }
    constants.iter().try_for_each(check_tensor)
}

/// Checks that a tensor is in the file, has the length of its shape, and is finite.
fn check_tensor(tensor: &Tensor) -> Result<(), GraphError> {
    if tensor.data_location.is_some_and(|location| location != 0) || !tensor.external_data.is_empty() {
        return Err(GraphError::ExternalTensor { tensor: tensor.name.clone() });
    }
    let elements = tensor.dims.iter().try_fold(1_usize, |product, &size| {
        usize::try_from(size).ok().and_then(|size| product.checked_mul(size))
    });
    let held = held(tensor);
    if tensor.dims.len() > MAX_DIMS || elements != Some(held) {
        let shape = tensor.dims[..tensor.dims.len().min(MAX_DIMS)].to_vec();
        return Err(GraphError::TensorSize { tensor: tensor.name.clone(), shape, held });
    }
    let halves = tensor.data_type == DataType::Float16 as i32;
    let finite = if halves {
        // All bits of the exponent are set in infinities and NaN.
        let finite = |bits: u16| bits & 0x7c00 != 0x7c00;
        tensor.int32_data.iter().all(|&v| finite(v as u16))
            && tensor.raw_data.as_chunks().0.iter().all(|&b| finite(u16::from_le_bytes(b)))
    } else {
        tensor.data_type != DataType::Float as i32
            || tensor.float_data.iter().all(|v| v.is_finite())
                && tensor.raw_data.as_chunks().0.iter().all(|&b| f32::from_le_bytes(b).is_finite())
    };
    if !finite {
        return Err(GraphError::NotFinite { tensor: tensor.name.clone() });
    }
    Ok(())
}

/// Number of elements of a tensor, of the types that encoders use.
fn held(tensor: &Tensor) -> usize {
    const SIZES: [(DataType, usize); 13] = [
        (DataType::Uint16, 2),
        (DataType::Int16, 2),
        (DataType::Uint32, 4),
        (DataType::Float, 4),
        (DataType::Float16, 2),
        (DataType::Bfloat16, 2),
        (DataType::Double, 8),
        (DataType::Int64, 8),
        (DataType::Int32, 4),
        (DataType::Uint64, 8),
        (DataType::Int8, 1),
        (DataType::Uint8, 1),
        (DataType::Bool, 1),
    ];
    let size = SIZES.iter().find(|(kind, _)| *kind as i32 == tensor.data_type);
    let size = size.map_or(1, |(_, size)| *size);
    [
        tensor.raw_data.len() / size,
        tensor.float_data.len(),
        tensor.double_data.len(),
        tensor.int64_data.len(),
        tensor.int32_data.len(),
        tensor.uint64_data.len(),
        tensor.string_data.len(),
    ]
    .into_iter()
    .max()
    .unwrap_or(0)
}

fn check_input(graph: &Graph, interface: &Interface) -> Result<(), GraphError> {
    let (width, height) = (interface.input.width(), interface.input.height());
    let given = |input: &&ValueInfo| graph.initializer.iter().all(|t| t.name != input.name);
    let mut inputs = graph.input.iter().filter(given);
    let expected = [1, 1, height, width];
    match (inputs.next(), inputs.next()) {
        (Some(input), None) if input.name == Description::INPUT_NAME => check_shape(input, &expected),
        _ => Err(GraphError::Input { expected: Description::INPUT_NAME }),
    }
}

fn check_outputs(graph: &Graph, interface: &Interface) -> Result<Vec<usize>, GraphError> {
    let place = |(name, shape): &(String, [usize; 4])| {
        let mut named = graph.output.iter().enumerate().filter(|(_, output)| output.name == *name);
        let (Some((place, output)), None) = (named.next(), named.next()) else {
            return Err(GraphError::Output { expected: name.clone() });
        };
        check_shape(output, shape)?;
        if !graph.node.iter().any(|node| node.output.contains(name)) {
            return Err(GraphError::NoNode { output: name.clone() });
        }
        Ok(place)
    };
    let places = interface.outputs.iter().map(place).collect();
    let (found, expected) = (graph.output.len(), interface.outputs.len());
    if found != expected {
        return Err(GraphError::OutputCount { found, expected });
    }
    places
}

/// Checks that a value is of 32-bit floats in the expected shape; open sizes pass.
fn check_shape(value: &ValueInfo, expected: &[usize]) -> Result<(), GraphError> {
    let Some(tensor) = value.r#type.as_ref().and_then(|t| t.tensor_type.as_ref()) else {
        return Err(GraphError::NotATensor { value: value.name.clone() });
    };
    let found: Option<Vec<Option<i64>>> =
        tensor.shape.as_ref().map(|shape| shape.dim.iter().map(|dim| dim.dim_value).collect());
    let fits = found.as_ref().is_none_or(|found| {
        found.len() == expected.len()
            && found
                .iter()
                .zip(expected)
                .all(|(found, &expected)| found.is_none_or(|found| found == expected as i64))
    });
    if tensor.elem_type == DataType::Float as i32 && fits {
        return Ok(());
    }
    let shown: Vec<String> = found
        .unwrap_or_default()
        .iter()
        .map(|size| size.map_or("?".to_owned(), |size| size.to_string()))
        .collect();
    Err(GraphError::Shape { value: value.name.clone(), found: shown.join(", "), expected: expected.to_vec() })
}
