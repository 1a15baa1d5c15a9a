//! Files damaged in many ways, and what reading one has to hold.

use infomark_core::Rng;
use infomark_infer::{Encoder, ReadLimits, decode_image, parse_landmarks};
use prost::Message;
use tract_onnx::pb::{GraphProto, ModelProto};

/// A copy of `whole` with bytes changed, cut off, left out, doubled or put in; the same for the same seed and index.
pub fn damaged(whole: &[u8], seed: u64, index: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, index);
    let mut bytes = whole.to_vec();
    for _ in 0..=rng.below(4) {
        let place = rng.below(bytes.len().max(1) as u64) as usize;
        // Headers decide more than pixels do.
        let place = if rng.below(2) == 0 { place % 64 } else { place };
        let place = place.min(bytes.len());
        let end = (place + 1 + rng.below(16) as usize).min(bytes.len());
        match rng.below(6) {
            0 => bytes.truncate(place),
            1 => drop(bytes.drain(place..end)),
            2 => drop(bytes.splice(place..place, [rng.next_u32() as u8; 3])),
            3 => bytes.extend_from_within(place..end),
            _ => {
                for byte in &mut bytes[place..end.min(place + 2)] {
                    *byte ^= 1 << rng.below(8);
                }
            }
        }
    }
    bytes
}

/// Reads bytes as an image: an image whose promises hold, or an error in one line.
pub fn image(bytes: &[u8]) {
    let limits = ReadLimits { max_side: 4096, max_bytes: 64 << 20 };
    match decode_image(bytes, "image", &limits) {
        Ok(image) => {
            assert_eq!(image.pixels().len(), image.width() * image.height());
            assert!(image.pixels().iter().all(|v| (0.0..=1.0).contains(v)));
        }
        Err(error) => check_message(&error.to_string()),
    }
}

/// Reads bytes as a landmark file: finite points, or an error in one line.
pub fn landmarks(bytes: &[u8]) {
    match parse_landmarks(bytes, "points") {
        Ok(file) => {
            for (_, landmarks) in file.images() {
                assert!(!landmarks.is_empty());
                assert!(landmarks.iter().all(|landmark| landmark.at.is_finite()));
            }
        }
        Err(error) => check_message(&error.to_string()),
    }
}

/// Reads bytes as an encoder: one that can be asked for its description, or an error in one line.
pub fn model(bytes: &[u8]) -> Option<Encoder> {
    match Encoder::from_bytes(bytes, "model") {
        Ok(encoder) => {
            assert!(encoder.description().check().is_ok());
            Some(encoder)
        }
        Err(error) => {
            check_message(&error.to_string());
            None
        }
    }
}

fn check_message(text: &str) {
    assert!(text.contains(';'), "no fix in: {text}");
    assert!(text.len() < 1000, "a message of {} bytes", text.len());
}

/// An encoder whose graph, not its bytes, is changed: numbers, names, operators, shapes; the same for the same seed and index.
pub fn rewired(model: &ModelProto, seed: u64, index: u64) -> Vec<u8> {
    let mut rng = Rng::new(seed, index);
    let mut model = model.clone();
    if let Some(graph) = &mut model.graph {
        for _ in 0..=rng.below(3) {
            rewire(graph, &mut rng);
        }
    }
    model.encode_to_vec()
}

fn rewire(graph: &mut GraphProto, rng: &mut Rng) {
    const NUMBERS: [i64; 12] = [0, 1, -1, 2, 3, 7, 64, 1 << 16, 1 << 33, 1 << 62, i64::MIN, i64::MAX];
    const OPERATORS: [&str; 14] = [
        "Add",
        "Concat",
        "Conv",
        "Gather",
        "InstanceNormalization",
        "MatMul",
        "MaxPool",
        "Mul",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Split",
        "Transpose",
    ];
    let mut pick = |length: usize| rng.below(length.max(1) as u64) as usize;
    let number = NUMBERS[pick(NUMBERS.len())];
    let names: Vec<String> = graph.node.iter().flat_map(|node| node.output.clone()).collect();
    let Some(name) = names.get(pick(names.len())).cloned() else {
        return;
    };
    let (at, inner) = (pick(graph.node.len()), pick(4));
    let what = pick(9);
    let tensor = pick(graph.initializer.len());
    let node = &mut graph.node[at];
    match what {
        0 | 1 => {
            for attribute in &mut node.attribute {
                attribute.i = number;
                if let Some(value) = attribute.ints.get_mut(inner) {
                    *value = number;
                }
            }
        }
        2 => node.op_type = OPERATORS[pick(OPERATORS.len())].to_owned(),
        3 => {
            if let Some(input) = node.input.get_mut(inner) {
                *input = name;
            }
        }
        4 => drop(node.input.pop()),
        5 => drop(node.attribute.pop()),
        6 => {
            if let Some(size) = graph.initializer[tensor].dims.get_mut(inner) {
                *size = number;
            }
        }
        7 => graph.initializer[tensor].data_type = number as i32 & 31,
        _ => drop(graph.node.remove(at)),
    }
}
