//! The part of the [ONNX](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) file format that models here are made of, as Protocol
//! Buffers messages. What it leaves out (documentation, training, functions) is skipped when a file is read.

use prost::{Enumeration, Message};

/// A file: a graph, and what it says of itself.
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
    /// Sets of operators that the nodes are from.
    #[prost(message, repeated, tag = "8")]
    pub opset_import: Vec<OperatorSet>,
    /// Named texts.
    #[prost(message, repeated, tag = "14")]
    pub metadata_props: Vec<Property>,
}

/// A set of operators.
#[derive(Clone, PartialEq, Message)]
pub struct OperatorSet {
    /// Whose; empty for ONNX's own.
    #[prost(string, tag = "1")]
    pub domain: String,
    /// Version.
    #[prost(int64, tag = "2")]
    pub version: i64,
}

/// A named text.
#[derive(Clone, PartialEq, Message)]
pub struct Property {
    /// Name.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Text.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// Nodes, in an order in which each comes after what it reads, and constants.
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
    /// Constants most of whose elements are zero.
    #[prost(message, repeated, tag = "15")]
    pub sparse_initializer: Vec<Empty>,
}

/// A message of which only its presence matters here.
#[derive(Clone, PartialEq, Message)]
pub struct Empty {}

/// An operation.
#[derive(Clone, PartialEq, Message)]
pub struct Node {
    /// Names of the values that it reads; empty where an optional one is left out.
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    /// Names of the values that it makes.
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    /// Name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Operator.
    #[prost(string, tag = "4")]
    pub op_type: String,
    /// Options.
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<Attribute>,
    /// Whose operator; empty for ONNX's own.
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// An option of an operation: one of its values.
#[derive(Clone, PartialEq, Message)]
pub struct Attribute {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// A number.
    #[prost(float, tag = "2")]
    pub f: f32,
    /// A whole number.
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
    /// Numbers.
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    /// Whole numbers.
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
    /// Which of the values it has.
    #[prost(enumeration = "AttributeType", tag = "20")]
    pub r#type: i32,
    /// A tensor most of whose elements are zero.
    #[prost(message, optional, tag = "22")]
    pub sparse_tensor: Option<Empty>,
    /// Tensors most of whose elements are zero.
    #[prost(message, repeated, tag = "23")]
    pub sparse_tensors: Vec<Empty>,
}

/// Kinds of an [`Attribute`]'s value.
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

/// A constant.
#[derive(Clone, PartialEq, Message)]
pub struct Tensor {
    /// Shape.
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    /// A [`DataType`].
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    /// Elements of 32-bit floats, unless they are raw.
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    /// Elements of whole numbers of up to 32 bits, and bits of half precision.
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    /// Elements of texts.
    #[prost(bytes = "vec", repeated, tag = "6")]
    pub string_data: Vec<Vec<u8>>,
    /// Elements of 64-bit whole numbers.
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    /// Name.
    #[prost(string, tag = "8")]
    pub name: String,
    /// Elements, little-endian.
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    /// Elements of 64-bit floats.
    #[prost(double, repeated, tag = "10")]
    pub double_data: Vec<f64>,
    /// Elements of unsigned 64-bit whole numbers.
    #[prost(uint64, repeated, tag = "11")]
    pub uint64_data: Vec<u64>,
    /// Where the elements are, if they are in another file.
    #[prost(message, repeated, tag = "13")]
    pub external_data: Vec<Property>,
    /// Whether they are: 1.
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

/// An input or output.
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
    /// That of a tensor; none where it is something else.
    #[prost(message, optional, tag = "1")]
    pub tensor_type: Option<TensorType>,
}

/// Type of a tensor.
#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    /// A [`DataType`].
    #[prost(int32, tag = "1")]
    pub elem_type: i32,
    /// Shape; none where it is open.
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

/// A size.
#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    /// The size; none where it is open or has a name.
    #[prost(int64, optional, tag = "1")]
    pub dim_value: Option<i64>,
}

impl Attribute {
    fn of(name: &str, kind: AttributeType) -> Attribute {
        Attribute { name: name.to_owned(), r#type: kind as i32, ..Attribute::default() }
    }

    /// A whole number.
    pub fn int(name: &str, value: i64) -> Attribute {
        Attribute { i: value, ..Attribute::of(name, AttributeType::Int) }
    }

    /// Whole numbers.
    pub fn ints(name: &str, values: &[i64]) -> Attribute {
        Attribute { ints: values.to_vec(), ..Attribute::of(name, AttributeType::Ints) }
    }

    /// A number.
    pub fn float(name: &str, value: f32) -> Attribute {
        Attribute { f: value, ..Attribute::of(name, AttributeType::Float) }
    }

    /// A text.
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

    /// 32-bit floats of the shape `dims`.
    pub fn floats(name: &str, dims: &[usize], values: &[f32]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor::raw(name, DataType::Float, dims, bytes)
    }

    /// A list of 64-bit whole numbers.
    pub fn integers(name: &str, values: &[i64]) -> Tensor {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Tensor::raw(name, DataType::Int64, &[values.len()], bytes)
    }
}

impl ValueInfo {
    /// An input or output of 32-bit floats, of a shape or of any.
    pub fn floats(name: &str, shape: Option<&[usize]>) -> ValueInfo {
        let dim = |&size: &usize| Dimension { dim_value: Some(size as i64) };
        let shape = shape.map(|shape| TensorShape { dim: shape.iter().map(dim).collect() });
        let tensor = TensorType { elem_type: DataType::Float as i32, shape };
        ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor) }) }
    }
}
