//! The subset of the [ONNX](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) file format used here, as Protocol
//! Buffers messages. Other fields (documentation, training, functions) are skipped when a file is read.

use prost::{Enumeration, Message};

/// ONNX model: a graph with metadata.
#[derive(Clone, PartialEq, Message)]
pub struct Model {
    /// Version of the format.
    #[prost(int64, tag = "1")]
    pub ir_version: i64,
    /// Program that wrote it.
    #[prost(string, tag = "2")]
    pub producer_name: String,
    /// Its version.
    #[prost(string, tag = "3")]
    pub producer_version: String,
    /// The graph.
    #[prost(message, optional, tag = "7")]
    pub graph: Option<Graph>,
    /// Operator sets of the nodes.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Metadata.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Property>,
}

/// Operator set.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Domain; empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// Metadata property.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// Name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes in topological order, and constants.
#[derive(Clone, PartialEq, Message)]
pub struct Graph {
    /// Operations.
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<Node>,
    /// Name.
    #[prost(string, tag = "2")]
    pub name: String,
    /// Constants.
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<Tensor>,
    /// Inputs.
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfo>,
    /// Outputs.
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfo>,
    /// Sparse constants.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<Empty>,
}

/// A message of which only the presence matters.
#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// Node: an operation.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of the inputs; empty for an omitted optional one.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the outputs.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Attributes.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Domain of the operator; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// Attribute of a node, with one of these values.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A float.
    #[prost(float, tag = "2")]
    pub f: f32,
    /// An integer.
    #[prost(int64, tag = "3")]
    pub i: i64,
    /// A text.
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    /// A tensor.
    #[prost(message, optional, tag = "5")]
    pub t: Option<Tensor>,
    /// A graph.
    #[prost(message, optional, tag = "6")]
    pub g: Option<Graph>,
    /// Floats.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// Integers.
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    /// Texts.
    #[prost(bytes = "vec", repeated, tag = "9")]
    pub strings: Vec<Vec<u8>>,
    /// Tensors.
    #[prost(message, repeated, tag = "10")]
    pub tensors: Vec<Tensor>,
    /// Graphs.
    #[prost(message, repeated, tag = "11")]
    pub graphs: Vec<Graph>,
    /// Type of the value.
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
    /// A sparse tensor.
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<Empty>,
    /// Sparse tensors.
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<Empty>,
}

/// Types of an [`Attribute`]'s value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "names of the format")]
pub enum AttributeType {
    Undefined = 0,
    Float = 1,
    Int = 2,
    String = 3,
    Tensor = 4,
    Graph = 5,
    Floats = 6,
    Ints = 7,
    Strings = 8,
    Tensors = 9,
    Graphs = 10,
    SparseTensor = 11,
    SparseTensors = 12,
}

/// Constant tensor.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// A [`DataType`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Elements as 32-bit floats, unless they are raw.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements as integers of up to 32 bits, or bits of half precision.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements as texts.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements as 64-bit integers.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Raw elements, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// Elements as 64-bit floats.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements as unsigned 64-bit integers.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Location of the elements in another file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Property>,
    /// 1 if the elements are in another file.
    #[prost(int32, optional, tag = "14")]
    pub data_location: Option<i32>,
}

/// Types of elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Enumeration)]
#[repr(i32)]
#[expect(missing_docs, reason = "names of the format")]
pub enum DataType {
    Undefined = 0,
    Float = 1,
    Uint8 = 2,
    Int8 = 3,
    Uint16 = 4,
    Int16 = 5,
    Int32 = 6,
    Int64 = 7,
    String = 8,
    Bool = 9,
    Float16 = 10,
    Double = 11,
    Uint32 = 12,
    Uint64 = 13,
    Complex64 = 14,
    Complex128 = 15,
    Bfloat16 = 16,
}

/// Description of an input or output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfo {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Type.
    #[prost(message, optional, tag = "2")]
    pub r#type: Option<Type>,
}

/// Type of a value.
#[derive(Clone, PartialEq, Message)]
pub struct Type {
    /// Type of a tensor; `None` for other types.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// A [`DataType`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Shape; `None` where it is open.
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
}

/// Shape of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorShape {
    /// Its sizes.
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

/// A dimension.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// The size; `None` where it is open or symbolic.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
}

impl Attribute {
    fn of(name: &str, kind: AttributeType) -> Attribute {
        Attribute { name: name.to_owned(), r#type: kind as i32, ..Attribute::default() }
    }

    /// An attribute with an integer.
    pub fn int(name: &str, value: i64) -> Attribute {
        Attribute { i: value, ..Attribute::of(name, AttributeType::Int) }
    }

    /// An attribute with integers.
    pub fn ints(name: &str, values: &[i64]) -> Attribute {
        Attribute { ints: values.to_vec(), ..Attribute::of(name, AttributeType::Ints) }
    }

    /// An attribute with a float.
    pub fn float(name: &str, value: f32) -> Attribute {
        Attribute { f: value, ..Attribute::of(name, AttributeType::Float) }
    }

    /// An attribute with a text.
    pub fn string(name: &str, value: &str) -> Attribute {
        Attribute { s: value.as_bytes().to_vec(), ..Attribute::of(name, AttributeType::String) }
    }
}

impl Tensor {
    /// A constant of the shape `dims` whose little-endian elements are `raw_data`.
    pub fn raw(name: &str, kind: DataType, dims: &[usize], raw_data: Vec<u8>) -> Tensor {
        Tensor {
            name: name.to_owned(),
            dims: dims.iter().map(|&size| size as i64).collect(),
            data_type: kind as i32,
            raw_data,
            ..Tensor::default()
        }
    }

    /// A constant of 32-bit floats of the shape `dims`.
    pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor::raw(name, DataType::Float, dims, bytes)
    }

    /// A constant list of 64-bit integers.
    pub fn integers(name: &str, values: &[i64]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor::raw(name, DataType::Int64, &[values.len()], bytes)
    }
}

impl ValueInfo {
    /// An input or output of 32-bit floats, of a given or any shape.
    pub fn floats(name: &str, shape: Option<&[usize]>) -> ValueInfo {
        let dim = |&size: &usize| Dimension { dim_value: Some(size as i64) };
        let shape = shape.map(|shape| TensorShape { dim: shape.iter().map(dim).collect() });
        let tensor = TensorType { elem_type: DataType::Float as i32, shape };
        ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor) }) }
    }
}
