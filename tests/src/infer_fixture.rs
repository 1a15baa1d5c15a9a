//! Encoder files and images made on the spot, for the tests of `infomark-infer`.

#![allow(clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

use infomark_core::Rng;
use infomark_infer::{
    Channels, Description, Image, InputPolicy, InputSize, LabelSource, LandmarkDescription, Normalisation,
    Origin, SEAL_KEY,
};
use prost::Message;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, type_proto,
};

/// Length of the features of [`encoder`].
pub const CHANNELS: usize = 32;

/// What the encoder of [`model`] says of itself.
pub fn description(width: usize, height: usize) -> Description {
    Description {
        input: InputSize::new(width, height).expect("a good size"),
        input_policy: InputPolicy::default(),
        normalisation: Normalisation::default(),
        strides: vec![2, 4],
        channels: Channels::Same(CHANNELS),
        temperature: 0.1,
        origin: Origin::Trained {
            training_data_sha256: "0".repeat(64),
            training_images: 0,
            steps: 0,
            seed: 1,
        },
        backbone: None,
        version: "0.1.0".to_owned(),
    }
}

/// An encoder of two strides: each map is a convolution with fixed random kernels of mean 0 around the centre of its cell,
/// divided by its length.
pub fn model(width: usize, height: usize) -> ModelProto {
    let description = description(width, height);
    let mut nodes = Vec::new();
    // Keeps directions steady where the image is flat.
    let mut bias = vec![0.0; CHANNELS];
    bias[0] = 0.05;
    let mut tensors = vec![floats("bias", &[CHANNELS as i64], &bias)];
    for (index, &stride) in description.strides.iter().enumerate() {
        let side = 16 * stride;
        let pad = (side - stride) as i64 / 2;
        let name = |part: &str| format!("{part}_{stride}");
        tensors.push(floats(
            &name("kernel"),
            &[CHANNELS as i64, 1, side as i64, side as i64],
            &kernels(index as u64, side),
        ));
        nodes.push(node(
            "Conv",
            &["image", &name("kernel"), "bias"],
            &name("raw"),
            vec![
                integers("kernel_shape", &[side as i64; 2]),
                integers("pads", &[pad; 4]),
                integers("strides", &[stride as i64; 2]),
            ],
        ));
        nodes.push(node(
            "ReduceL2",
            &[&name("raw")],
            &name("length"),
            vec![integers("axes", &[1]), integer("keepdims", 1)],
        ));
        nodes.push(node("Div", &[&name("raw"), &name("length")], &Description::output_name(stride), vec![]));
    }
    let properties = description.to_properties().expect("a good description");
    ModelProto {
        ir_version: 8,
        producer_name: "infomark tests".to_owned(),
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        metadata_props: properties
            .into_iter()
            .map(|(key, value)| StringStringEntryProto { key, value })
            .collect(),
        graph: Some(GraphProto {
            name: "encoder".to_owned(),
            node: nodes,
            initializer: tensors,
            input: vec![value(Description::INPUT_NAME, &[1, 1, height, width])],
            output: description
                .strides
                .iter()
                .map(|stride| {
                    let shape = [1, CHANNELS, height / stride, width / stride];
                    value(&Description::output_name(*stride), &shape)
                })
                .collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The bytes of the encoder of [`model`].
pub fn encoder(width: usize, height: usize) -> Vec<u8> {
    model(width, height).encode_to_vec()
}

/// [`encoder`] as another program exports it: without a description.
pub fn exported(width: usize, height: usize) -> Vec<u8> {
    ModelProto { metadata_props: Vec::new(), ..model(width, height) }.encode_to_vec()
}

/// A landmark network of two landmarks: two convolutions with stride 4. It has no seal, so that a changed one is looked into.
pub fn landmark_model(width: usize, height: usize) -> ModelProto {
    const LANDMARKS: usize = 2;
    let description = LandmarkDescription {
        input: InputSize::new(width, height).expect("a good size"),
        input_policy: InputPolicy::default(),
        normalisation: Normalisation::default(),
        stride: 4,
        landmarks: ["a", "b"].map(str::to_owned).to_vec(),
        encoder_sha256: None,
        labels: LabelSource::Annotated,
        labels_sha256: "0".repeat(64),
        training_data_sha256: "0".repeat(64),
        training_images: 0,
        steps: 0,
        seed: 1,
        version: "0.1.0".to_owned(),
    };
    let outputs =
        [(LandmarkDescription::HEAT_NAME, LANDMARKS), (LandmarkDescription::OFFSET_NAME, 2 * LANDMARKS)];
    let side = 8;
    let kernel = |name: &str| format!("kernel_{name}");
    let tensors = outputs.iter().map(|&(name, maps)| {
        let mut weights = kernels(maps as u64, side);
        weights.truncate(maps * side * side);
        floats(&kernel(name), &[maps as i64, 1, side as i64, side as i64], &weights)
    });
    let nodes = outputs.iter().map(|&(name, _)| {
        let attributes = vec![
            integers("kernel_shape", &[side as i64; 2]),
            integers("pads", &[2; 4]),
            integers("strides", &[4; 2]),
        ];
        node("Conv", &["image", &kernel(name)], name, attributes)
    });
    let properties = description.to_sealed_properties(&[]).expect("a good description");
    ModelProto {
        ir_version: 8,
        opset_import: vec![OperatorSetIdProto { domain: String::new(), version: 17 }],
        metadata_props: properties
            .into_iter()
            .filter(|(key, _)| key != SEAL_KEY)
            .map(|(key, value)| StringStringEntryProto { key, value })
            .collect(),
        graph: Some(GraphProto {
            name: "landmarks".to_owned(),
            node: nodes.collect(),
            initializer: tensors.collect(),
            input: vec![value(Description::INPUT_NAME, &[1, 1, height, width])],
            output: outputs
                .iter()
                .map(|&(name, maps)| value(name, &[1, maps, height / 4, width / 4]))
                .collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// Kernels of mean 0 and absolute sum 1: waves of random direction, length and phase under a bell, so that features change smoothly.
fn kernels(stream: u64, side: usize) -> Vec<f32> {
    let mut rng = Rng::new(7, stream);
    let mut all = Vec::with_capacity(CHANNELS * side * side);
    for _ in 0..CHANNELS {
        let waves: [f32; 2] = [(); 2].map(|()| rng.uniform_in(-7.0, 7.0));
        let phase = rng.uniform_in(0.0_f32, 6.3);
        let from_centre = |place: usize| (place as f32 + 0.5) / side as f32 - 0.5;
        let kernel: Vec<f32> = (0..side * side)
            .map(|i| {
                let (x, y) = (from_centre(i % side), from_centre(i / side));
                let bell = (-14.0 * (x * x + y * y)).exp();
                bell * (waves[0] * x + waves[1] * y + phase).cos()
            })
            .collect();
        let mean = kernel.iter().sum::<f32>() / kernel.len() as f32;
        let size: f32 = kernel.iter().map(|weight| (weight - mean).abs()).sum();
        all.extend(kernel.iter().map(|weight| (weight - mean) / size));
    }
    all
}

/// A cloudy image without repeats: noise of several scales, added up bilinearly.
///
/// `left` and `top` tell the part of the endless texture that is seen, so that shifted images show the same things.
pub fn texture(seed: u64, width: usize, height: usize, left: usize, top: usize) -> Image {
    let pixels = (0..width * height)
        .map(|i| {
            let (x, y) = ((i % width + left) as f32, (i / width + top) as f32);
            let at = |scale: f32, stream: u64| noise(seed, stream, x / scale, y / scale);
            0.3 * at(9.0, 0) + 0.4 * at(15.0, 1) + 0.3 * at(29.0, 2)
        })
        .collect();
    Image::new("texture", width, height, pixels).expect("a good image")
}

/// Random values at whole numbers, bilinear between them, in `[0, 1)`.
fn noise(seed: u64, stream: u64, x: f32, y: f32) -> f32 {
    let (column, row) = (x.floor(), y.floor());
    let (across, down) = (x - column, y - row);
    let corner = |right: u64, below: u64| {
        let cell = (row as u64 + below) * 100_003 + column as u64 + right;
        Rng::new(seed, cell * 8 + stream).uniform::<f32>()
    };
    let top = corner(0, 0) * (1.0 - across) + corner(1, 0) * across;
    let bottom = corner(0, 1) * (1.0 - across) + corner(1, 1) * across;
    top * (1.0 - down) + bottom * down
}

/// A node of the graph with one output, which names it.
pub fn node(operator: &str, inputs: &[&str], output: &str, attributes: Vec<AttributeProto>) -> NodeProto {
    NodeProto {
        op_type: operator.to_owned(),
        name: output.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute: attributes,
        ..Default::default()
    }
}

/// A list of whole numbers as a node's attribute.
pub fn integers(name: &str, values: &[i64]) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        ints: values.to_vec(),
        r#type: AttributeType::Ints as i32,
        ..Default::default()
    }
}

/// A whole number as a node's attribute.
pub fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.to_owned(),
        i: value,
        r#type: AttributeType::Int as i32,
        ..Default::default()
    }
}

/// A tensor of 32-bit floats.
pub fn floats(name: &str, shape: &[i64], values: &[f32]) -> TensorProto {
    TensorProto {
        name: name.to_owned(),
        dims: shape.to_vec(),
        data_type: DataType::Float as i32,
        raw_data: values.iter().flat_map(|v| v.to_le_bytes()).collect(),
        ..Default::default()
    }
}

/// A graph input or output of 32-bit floats.
pub fn value(name: &str, shape: &[usize]) -> ValueInfoProto {
    let dim = |&size: &usize| Dimension {
        denotation: String::new(),
        value: Some(dimension::Value::DimValue(size as i64)),
    };
    ValueInfoProto {
        name: name.to_owned(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: DataType::Float as i32,
                shape: Some(TensorShapeProto { dim: shape.iter().map(dim).collect() }),
            })),
        }),
        ..Default::default()
    }
}
