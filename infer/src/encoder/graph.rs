//! An ONNX graph against its description, before anything is built from it.

use prost::Message;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};
use tract_onnx::pb::tensor_shape_proto::dimension;
use tract_onnx::pb::{GraphProto, ModelProto, TensorProto, ValueInfoProto, type_proto};
use tract_onnx::prelude::Framework;

use super::{Interface, ModelError};
use crate::Description;
use crate::contain::contain;

/// The operators that convolutional networks are made of: none reads files, loops, or makes large tensors of small ones.
const OPERATORS: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Clip",
    "Concat",
    "Constant",
    "Conv",
    "ConvTranspose",
    "DepthToSpace",
    "Div",
    "Elu",
    "Erf",
    "Exp",
    "Flatten",
    "Gather",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LpNormalization",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pow",
    "Reciprocal",
    "ReduceL2",
    "ReduceMean",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Shape",
    "Sigmoid",
    "Slice",
    "Softplus",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Tanh",
    "Transpose",
    "Unsqueeze",
];

/// Most nodes of a graph, and most tensors that it holds.
const MAX_NODES: usize = 4096;
/// Most dimensions of a tensor.
const MAX_DIMS: usize = 8;

/// The ONNX model in `bytes`.
pub(crate) fn parse(bytes: &[u8], name: &str) -> Result<ModelProto, ModelError> {
    let parsed = contain(|| tract_onnx::onnx().proto_model_for_read(&mut &bytes[..]));
    let reason = match parsed {
        Ok(Ok(model)) if model.graph.is_some() => return Ok(model),
        Ok(Ok(_)) => "it holds no graph".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(panic) => panic,
    };
    Err(ModelError::NotOnnx { name: name.to_owned(), reason })
}

/// The graph as it is written into a file.
pub(crate) fn bytes(model: &ModelProto) -> Vec<u8> {
    model.graph.as_ref().map(Message::encode_to_vec).unwrap_or_default()
}

/// Checks the graph and gives the place among its outputs of each output that it should have.
pub(crate) fn check(model: &ModelProto, interface: &Interface, name: &str) -> Result<Vec<usize>, ModelError> {
    let wrong = |reason| ModelError::Graph { name: name.to_owned(), reason };
    let graph = model.graph.as_ref().ok_or_else(|| wrong("it holds no graph".to_owned()))?;
    check_nodes(graph).map_err(wrong)?;
    for tensor in &graph.initializer {
        check_tensor(tensor).map_err(wrong)?;
    }
    check_input(graph, interface).map_err(wrong)?;
    check_outputs(graph, interface).map_err(wrong)
}

fn check_nodes(graph: &GraphProto) -> Result<(), String> {
    if !graph.sparse_initializer.is_empty() {
        return Err("it holds sparse tensors, which encoders do not".to_owned());
    }
    let (nodes, tensors) = (graph.node.len(), graph.initializer.len());
    if nodes.max(tensors) > MAX_NODES {
        return Err(format!(
            "it has {nodes} nodes and {tensors} tensors, and {MAX_NODES} of each are allowed"
        ));
    }
    for node in &graph.node {
        let operator = node.op_type.as_str();
        let standard = matches!(node.domain.as_str(), "" | "ai.onnx");
        if !standard || !OPERATORS.contains(&operator) {
            return Err(format!(
                "its operator {operator} ({}) is not one that encoders are made of",
                node.name
            ));
        }
        for attribute in &node.attribute {
            if attribute.g.is_some() || attribute.sparse_tensor.is_some() {
                return Err(format!("its node {} holds a graph of its own", node.name));
            }
            for tensor in attribute.t.iter().chain(&attribute.tensors) {
                check_tensor(tensor)?;
            }
        }
    }
    Ok(())
}

/// Checks that a tensor is in the file, as long as its shape says, and finite.
fn check_tensor(tensor: &TensorProto) -> Result<(), String> {
    if tensor.data_location == Some(DataLocation::External as i32) || !tensor.external_data.is_empty() {
        return Err(format!(
            "its tensor {} lies in another file, and encoders are single files",
            tensor.name
        ));
    }
    let elements = tensor.dims.iter().try_fold(1_usize, |product, &size| {
        usize::try_from(size).ok().and_then(|size| product.checked_mul(size))
    });
    let held = held(tensor);
    if tensor.dims.len() > MAX_DIMS || elements != Some(held) {
        return Err(format!(
            "its tensor {} of the shape {:?} holds {held} numbers",
            tensor.name,
            &tensor.dims[..tensor.dims.len().min(MAX_DIMS)]
        ));
    }
    let halves = tensor.data_type == DataType::Float16 as i32;
    let finite = if halves {
        // The exponent's bits are all set in infinities and NaN.
        let finite = |bits: u16| bits & 0x7c00 != 0x7c00;
        tensor.int32_data.iter().all(|&v| finite(v as u16))
            && tensor.raw_data.as_chunks().0.iter().all(|&b| finite(u16::from_le_bytes(b)))
    } else {
        tensor.data_type != DataType::Float as i32
            || tensor.float_data.iter().all(|v| v.is_finite())
                && tensor.raw_data.as_chunks().0.iter().all(|&b| f32::from_le_bytes(b).is_finite())
    };
    if !finite {
        return Err(format!("its tensor {} holds numbers that are not finite", tensor.name));
    }
    Ok(())
}

/// The numbers that a tensor holds, of the types that encoders use.
fn held(tensor: &TensorProto) -> usize {
    const SIZES: [(DataType, usize); 10] = [
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

fn check_input(graph: &GraphProto, interface: &Interface) -> Result<(), String> {
    let (width, height) = (interface.input.width(), interface.input.height());
    let given = |input: &&ValueInfoProto| graph.initializer.iter().all(|t| t.name != input.name);
    let mut inputs = graph.input.iter().filter(given);
    let expected = [1, 1, height, width];
    match (inputs.next(), inputs.next()) {
        (Some(input), None) if input.name == Description::INPUT_NAME => check_shape(input, &expected),
        _ => Err(format!("it should have the one input `{}`", Description::INPUT_NAME)),
    }
}

fn check_outputs(graph: &GraphProto, interface: &Interface) -> Result<Vec<usize>, String> {
    let place = |(name, shape): &(String, [usize; 4])| {
        let mut named = graph.output.iter().enumerate().filter(|(_, output)| output.name == *name);
        let (Some((place, output)), None) = (named.next(), named.next()) else {
            return Err(format!("it should have one output `{name}`"));
        };
        check_shape(output, shape)?;
        if !graph.node.iter().any(|node| node.output.contains(name)) {
            return Err(format!("no node makes its output `{name}`"));
        }
        Ok(place)
    };
    let places = interface.outputs.iter().map(place).collect();
    if graph.output.len() != interface.outputs.len() {
        return Err(format!(
            "it has {} outputs, and its description calls for {}",
            graph.output.len(),
            interface.outputs.len()
        ));
    }
    places
}

/// Checks that a value is of 32-bit floats in the expected shape; sizes that the file leaves open pass.
fn check_shape(value: &ValueInfoProto, expected: &[usize]) -> Result<(), String> {
    let Some(type_proto::Value::TensorType(tensor)) = value.r#type.as_ref().and_then(|t| t.value.as_ref())
    else {
        return Err(format!("`{}` should be a tensor", value.name));
    };
    let found: Option<Vec<Option<i64>>> = tensor.shape.as_ref().map(|shape| {
        let size = |value: &dimension::Value| match value {
            dimension::Value::DimValue(size) => Some(*size),
            dimension::Value::DimParam(_) => None,
        };
        shape.dim.iter().map(|dim| dim.value.as_ref().and_then(size)).collect()
    });
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
    Err(format!(
        "`{}` has the shape [{}], and its description calls for 32-bit floats of {expected:?}",
        value.name,
        shown.join(", ")
    ))
}
