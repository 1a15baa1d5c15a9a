//! Export of networks to ONNX files with descriptions.

use half::f16;
use infomark_infer::onnx::{
    Attribute, DataType, Graph as GraphMessage, Model, Node, OperatorSet, Property, Tensor, ValueInfo,
};
use infomark_infer::{Description, DescriptionError, InputSize};
use prost::Message;

use crate::TrainError;
use crate::encoder::{Encoder, STRIDES};
use crate::network::{Convolution, GROUPS, Head, Layer, UNet};
use infomark_kernels::{conv, norm};

/// ONNX IR version and operator set: old enough for every runtime, new enough for the operators used.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// A graph under construction.
#[derive(Default)]
pub(crate) struct Graph {
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
    next: usize,
}

impl Graph {
    fn name(&mut self, what: &str) -> String {
        self.next += 1;
        format!("{what}_{}", self.next)
    }

    fn floats(&mut self, dims: &[usize], values: &[f32]) -> String {
        let name = self.name("weights");
        self.constants.push(Tensor::floats(&name, dims, values));
        name
    }

    /// Weights in half precision, which halves the file; they are cast to single precision when the graph is loaded.
    fn halves(&mut self, dims: &[usize], values: &[f32]) -> String {
        let name = self.name("weights");
        let bytes = values.iter().flat_map(|v| f16::from_f32(*v).to_le_bytes()).collect();
        self.constants.push(Tensor::raw(&name, DataType::Float16, dims, bytes));
        self.node("Cast", &[&name], vec![Attribute::int("to", DataType::Float as i64)])
    }

    fn integers(&mut self, values: &[i64]) -> String {
        let name = self.name("sizes");
        self.constants.push(Tensor::integers(&name, values));
        name
    }

    fn node_into(&mut self, op: &str, inputs: &[&str], output: &str, attributes: Vec<Attribute>) {
        let name = self.name(&op.to_lowercase());
        self.nodes.push(Node {
            op_type: op.into(),
            name,
            input: inputs.iter().map(|s| (*s).into()).collect(),
            output: vec![output.into()],
            attribute: attributes,
            ..Default::default()
        });
    }

    fn node(&mut self, op: &str, inputs: &[&str], attributes: Vec<Attribute>) -> String {
        let output = self.name("x");
        self.node_into(op, inputs, &output, attributes);
        output
    }

    /// Group normalisation and ReLU of `[1, channels, height, width]`.
    fn norm_relu(&mut self, x: &str, layer: &Layer, values: &[f32], height: usize, width: usize) -> String {
        let (gamma, beta) = (&values[layer.gamma.clone()], &values[layer.beta.clone()]);
        let channels = gamma.len();
        let grouped = self.integers(&[1, GROUPS as i64, (channels / GROUPS * height * width) as i64]);
        let whole = self.integers(&[1, channels as i64, height as i64, width as i64]);
        let (one, zero) = (self.floats(&[GROUPS], &[1.0; GROUPS]), self.floats(&[GROUPS], &[0.0; GROUPS]));
        let gamma = self.floats(&[1, channels, 1, 1], gamma);
        let beta = self.floats(&[1, channels, 1, 1], beta);
        let x = self.node("Reshape", &[x, &grouped], vec![]);
        let x = self.node(
            "InstanceNormalization",
            &[&x, &one, &zero],
            vec![Attribute::float("epsilon", norm::EPSILON)],
        );
        let x = self.node("Reshape", &[&x, &whole], vec![]);
        let x = self.node("Mul", &[&x, &gamma], vec![]);
        let x = self.node("Add", &[&x, &beta], vec![]);
        self.node("Relu", &[&x], vec![])
    }

    pub(crate) fn layer(
        &mut self,
        x: &str,
        layer: &Layer,
        values: &[f32],
        height: usize,
        width: usize,
    ) -> String {
        let Convolution { inputs, outputs, weight, .. } = &layer.convolution;
        let weight = self.halves(&[*outputs, *inputs, 3, 3], &values[weight.clone()]);
        let x = self.node(
            "Conv",
            &[x, &weight],
            vec![
                Attribute::ints("kernel_shape", &[3, 3]),
                Attribute::ints("pads", &[1; 4]),
                Attribute::ints("strides", &[1, 1]),
            ],
        );
        self.norm_relu(&x, layer, values, height, width)
    }

    /// The first layer reads 2 x 2 blocks as channels: equivalent to a 6 x 6 convolution of stride 2 on the image.
    fn first_layer(&mut self, x: &str, layer: &Layer, values: &[f32], height: usize, width: usize) -> String {
        let wide = conv::on_image(&values[layer.convolution.weight.clone()]);
        let weight = self.halves(&[layer.outputs(), 1, 6, 6], &wide);
        let x = self.node(
            "Conv",
            &[x, &weight],
            vec![
                Attribute::ints("kernel_shape", &[6, 6]),
                Attribute::ints("pads", &[2; 4]),
                Attribute::ints("strides", &[2, 2]),
            ],
        );
        self.norm_relu(&x, layer, values, height, width)
    }

    /// 3 x 3 convolution without bias, `[outputs, inputs, 3, 3]`.
    pub(crate) fn convolution(&mut self, x: &str, dims: [usize; 2], weight: &[f32], output: &str) {
        let weight = self.halves(&[dims[0], dims[1], 3, 3], weight);
        let attributes = vec![
            Attribute::ints("kernel_shape", &[3, 3]),
            Attribute::ints("pads", &[1; 4]),
            Attribute::ints("strides", &[1, 1]),
        ];
        self.node_into("Conv", &[x, &weight], output, attributes);
    }

    /// Adds the stages on the image; `each` receives the level and the name of its output, from the coarsest to the finest, whose
    /// name is returned.
    pub(crate) fn levels(
        &mut self,
        unet: &UNet,
        values: &[f32],
        (width, height): (usize, usize),
        mut each: impl FnMut(&mut Self, usize, &str),
    ) -> String {
        let mut x = Description::INPUT_NAME.to_owned();
        let mut fine = Vec::new();
        for (level, [a, b]) in unet.down.iter().enumerate() {
            let (h, w) = (height / STRIDES[level], width / STRIDES[level]);
            x = if level == 0 {
                self.first_layer(&x, a, values, h, w)
            } else {
                let halved =
                    vec![Attribute::ints("kernel_shape", &[2, 2]), Attribute::ints("strides", &[2, 2])];
                let pooled = self.node("MaxPool", &[&x], halved);
                self.layer(&pooled, a, values, h, w)
            };
            x = self.layer(&x, b, values, h, w);
            fine.push(x.clone());
        }
        fine.pop();
        each(self, 4, &x);
        let scales = self.floats(&[4], &[1.0, 1.0, 2.0, 2.0]);
        for (k, [a, b]) in unet.up.iter().enumerate().rev() {
            let level = unet.finest + k;
            let (h, w) = (height / STRIDES[level], width / STRIDES[level]);
            let nearest = vec![
                Attribute::string("mode", "nearest"),
                Attribute::string("coordinate_transformation_mode", "asymmetric"),
                Attribute::string("nearest_mode", "floor"),
            ];
            let doubled = self.node("Resize", &[&x, "", &scales], nearest);
            let joined = self.node("Concat", &[&fine[level], &doubled], vec![Attribute::int("axis", 1)]);
            x = self.layer(&joined, a, values, h, w);
            x = self.layer(&x, b, values, h, w);
            each(self, level, &x);
        }
        x
    }

    fn head(&mut self, x: &str, head: &Head, values: &[f32], output: &str) {
        let weight = self.halves(&[head.outputs, head.inputs, 1, 1], &values[head.weight.clone()]);
        let bias = self.floats(&[head.outputs], &values[head.bias.clone()]);
        let y = self.node("Conv", &[x, &weight, &bias], vec![Attribute::ints("kernel_shape", &[1, 1])]);
        let squares = self.node("Mul", &[&y, &y], vec![]);
        let channel = self.integers(&[1]);
        let sum = self.node("ReduceSum", &[&squares, &channel], vec![Attribute::int("keepdims", 1)]);
        let epsilon = self.floats(&[1, 1, 1, 1], &[infomark_kernels::head::EPSILON]);
        let sum = self.node("Add", &[&sum, &epsilon], vec![]);
        let length = self.node("Sqrt", &[&sum], vec![]);
        self.node_into("Div", &[&y, &length], output, vec![]);
    }
}

/// The bytes of an encoder's file with these weights.
pub(crate) fn onnx(
    encoder: &Encoder,
    values: &[f32],
    description: &Description,
) -> Result<Vec<u8>, TrainError> {
    let (width, height) = (description.input.width(), description.input.height());
    let mut graph = Graph::default();
    graph.levels(&encoder.unet, values, (width, height), |graph, level, x| {
        graph.head(x, &encoder.heads[level], values, &Description::output_name(STRIDES[level]));
    });
    let outputs = (STRIDES.iter().zip(&encoder.heads))
        .map(|(s, head)| {
            ValueInfo::floats(&Description::output_name(*s), Some(&[1, head.outputs, height / s, width / s]))
        })
        .collect();
    finish(graph, "infomark encoder", description.input, outputs, |graph| {
        description.to_sealed_properties(graph)
    })
}

/// The bytes of a file with this graph, whose properties depend on the graph's bytes.
pub(crate) fn finish(
    graph: Graph,
    name: &str,
    input: InputSize,
    outputs: Vec<ValueInfo>,
    properties: impl FnOnce(&[u8]) -> Result<Vec<(String, String)>, DescriptionError>,
) -> Result<Vec<u8>, TrainError> {
    let graph = GraphMessage {
        name: name.into(),
        node: graph.nodes,
        initializer: graph.constants,
        input: vec![ValueInfo::floats(Description::INPUT_NAME, Some(&[1, 1, input.height(), input.width()]))],
        output: outputs,
        ..Default::default()
    };
    let properties = properties(&graph.encode_to_vec())?;
    let model = Model {
        ir_version: IR_VERSION,
        producer_name: "infomark".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        metadata_props: properties.into_iter().map(|(key, value)| Property { key, value }).collect(),
        graph: Some(graph),
    };
    Ok(model.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TrainConfig;
    use crate::encoder::unshuffle;
    use crate::testing::{description, noise};
    use infomark_infer::Image;

    #[test]
    fn the_exported_encoder_gives_the_features_of_the_trained_one() -> Result<(), Box<dyn std::error::Error>>
    {
        let (width, height) = (96, 64);
        let config = TrainConfig::default().with(|o| {
            o.model.channels = [8, 16, 16, 24, 32];
            o.model.embedding = 12;
            o.seed = 3;
        });
        let (encoder, mut parameters) = Encoder::new(&config);
        // The file stores weights in half precision.
        parameters.values.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32());
        let description = description(InputSize::new(width, height)?);
        let bytes = onnx(&encoder, &parameters.values, &description)?;
        let loaded = infomark_infer::Encoder::from_bytes(&bytes, "test.onnx")?;
        assert_eq!(loaded.description(), &description);
        let pixels: Vec<f32> = noise(width * height, 1).iter().map(|v| v * 0.5 + 0.5).collect();
        let mut unshuffled = vec![0.0; pixels.len()];
        unshuffle(&pixels, width, &mut unshuffled);
        let weights = encoder.weights(&parameters.values);
        let expected = encoder.embeddings(&weights, &unshuffled, (width / 2, height / 2));
        let encoding = loaded.encode(&Image::new("noise", width, height, pixels)?)?;
        for (found, expected) in encoding.levels().iter().zip(&expected) {
            let worst = found.data().iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert_eq!(found.data().len(), expected.len());
            assert!(worst < 1e-4, "features differ by {worst}");
        }
        Ok(())
    }
}
