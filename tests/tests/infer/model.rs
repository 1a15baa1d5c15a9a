//! Encoder files that are refused with the file's name and a fix.

use std::fs;
use std::time::{Duration, Instant};

use infomark_infer::{
    Channels, DESCRIPTION_KEY, Description, DescriptionError, Encoder, FORMAT_KEY, GraphError, InputSize,
    ModelError, ValueError,
};
use infomark_tests::infer_fixture::{description, encoder, integer, model, node, texture, value};
use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{ModelProto, StringStringEntryProto, type_proto};

/// The error of a refused file, whose message has to name the file and, after a semicolon, what to do.
fn refused(bytes: &[u8]) -> ModelError {
    let error = Encoder::from_bytes(bytes, "encoder.onnx").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("encoder.onnx: ") && text.contains(';'), "{text}");
    error
}

/// What is wrong with the description of a refused file.
fn refused_description(bytes: &[u8]) -> DescriptionError {
    match refused(bytes) {
        ModelError::Description { source, .. } => source,
        error => panic!("{error}"),
    }
}

/// What is wrong with the graph of a refused file.
fn refused_graph(bytes: &[u8]) -> GraphError {
    match refused(bytes) {
        ModelError::Graph { problem, .. } => problem,
        error => panic!("{error}"),
    }
}

fn changed(change: impl FnOnce(&mut ModelProto)) -> Vec<u8> {
    let mut model = model(96, 128);
    change(&mut model);
    model.encode_to_vec()
}

fn with_description(change: impl FnOnce(&mut Description)) -> Vec<u8> {
    changed(|model| {
        let mut description = description(96, 128);
        change(&mut description);
        let json = serde_json::to_string(&description).unwrap();
        set(model, DESCRIPTION_KEY, &json);
    })
}

fn set(model: &mut ModelProto, key: &str, value: &str) {
    model.metadata_props.retain(|entry| entry.key != key);
    model.metadata_props.push(StringStringEntryProto { key: key.to_owned(), value: value.to_owned() });
}

#[test]
fn missing_empty_and_foreign_files_are_refused() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone.onnx");
    let error = Encoder::load(&path).unwrap_err();
    assert!(matches!(error, ModelError::Missing { .. }));
    assert!(error.to_string().contains("gone.onnx"), "{error}");
    assert!(matches!(Encoder::load(folder.path()), Err(ModelError::NotAFile { .. })));
    fs::write(&path, "").unwrap();
    let error = Encoder::load(&path).unwrap_err();
    assert!(matches!(error, ModelError::Empty { .. }));
    assert!(matches!(refused(b""), ModelError::Empty { .. }));
    for bytes in [&b"image,landmark,x,y\n"[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &[0xFF; 64], &[0; 1000]] {
        assert!(matches!(refused(bytes), ModelError::NotOnnx { .. }));
    }
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.onnx");
    fs::File::create(&path).unwrap().set_len((512 << 20) + 1).unwrap();
    let error = Encoder::load(&path).unwrap_err();
    assert!(matches!(error, ModelError::TooLarge { .. }));
    assert!(error.to_string().contains("large.onnx"));
}

#[test]
fn a_truncated_file_is_refused_wherever_it_ends() {
    let whole = encoder(96, 128);
    Encoder::from_bytes(&whole, "encoder.onnx").unwrap();
    let steps = (1..whole.len()).step_by(whole.len() / 60);
    for length in steps.chain([1, 2, whole.len() - 1]) {
        refused(&whole[..length]);
    }
}

#[test]
fn a_model_without_our_metadata_is_refused() {
    let bare = changed(|model| model.metadata_props.clear());
    assert!(matches!(refused_description(&bare), DescriptionError::Missing { key: FORMAT_KEY }));
    let half = changed(|model| model.metadata_props.retain(|entry| entry.key == FORMAT_KEY));
    assert!(matches!(refused_description(&half), DescriptionError::Missing { key: DESCRIPTION_KEY }));
    let newer = changed(|model| set(model, FORMAT_KEY, "2"));
    assert!(matches!(refused_description(&newer), DescriptionError::Format { found } if found == "2"));
    let long = format!("\"{}\"", "x".repeat(1 << 17));
    for json in ["", "{}", "[]", "null", "{\"input\":{\"width\":0,\"height\":0}}", &long] {
        let broken = changed(|model| set(model, DESCRIPTION_KEY, json));
        assert!(matches!(refused_description(&broken), DescriptionError::Json { .. }), "{json}");
    }
    let unknown = changed(|model| {
        let json = serde_json::to_string(&description(96, 128)).unwrap();
        set(model, DESCRIPTION_KEY, &json.replace("unit-range", "z-score"));
    });
    assert!(matches!(refused_description(&unknown), DescriptionError::Json { .. }));
}

#[test]
fn a_description_out_of_range_is_refused() {
    let changes: [(ValueError, fn(&mut Description)); 8] = [
        (ValueError::Input { width: 98, height: 128, stride: 4 }, |d| {
            d.input = InputSize::new(98, 128).unwrap();
        }),
        (ValueError::StrideCount { found: 0 }, |d| d.strides.clear()),
        (ValueError::Strides { strides: vec![4, 2] }, |d| d.strides.reverse()),
        (ValueError::Strides { strides: vec![2, 2] }, |d| d.strides = vec![2, 2]),
        (ValueError::Strides { strides: vec![0, 2] }, |d| d.strides = vec![0, 2]),
        (ValueError::Channels { found: Channels::Same(0) }, |d| d.channels = Channels::Same(0)),
        (ValueError::Channels { found: Channels::Same(1 << 20) }, |d| d.channels = Channels::Same(1 << 20)),
        (ValueError::Temperature { found: -1.0 }, |d| d.temperature = -1.0),
    ];
    for (expected, change) in changes {
        match refused_description(&with_description(change)) {
            DescriptionError::Value(value) => assert_eq!(value, expected),
            error => panic!("{error}, not {expected}"),
        }
    }
}

#[test]
fn a_model_of_another_size_than_it_describes_is_refused() {
    let shape = |value: &str, found: &str, expected: [usize; 4]| GraphError::Shape {
        value: value.to_owned(),
        found: found.to_owned(),
        expected: expected.to_vec(),
    };
    let changes: [(GraphError, fn(&mut Description)); 4] = [
        (shape("image", "1, 1, 128, 96", [1, 1, 96, 128]), |d| d.input = InputSize::new(128, 96).unwrap()),
        (shape("stride_2", "1, 32, 64, 48", [1, 8, 64, 48]), |d| d.channels = Channels::Same(8)),
        (GraphError::Output { expected: "stride_8".to_owned() }, |d| d.strides = vec![2, 8]),
        (GraphError::OutputCount { found: 2, expected: 1 }, |d| d.strides = vec![4]),
    ];
    for (expected, change) in changes {
        assert_eq!(refused_graph(&with_description(change)), expected);
    }
}

#[test]
fn shapes_that_lie_about_the_graph_are_refused() {
    // Declared as described, but the convolutions make something else.
    let lying = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        let conv = graph.node.iter_mut().find(|node| node.op_type == "Conv").unwrap();
        let strides = conv.attribute.iter_mut().find(|a| a.name == "strides").unwrap();
        strides.ints = vec![4, 4];
    });
    assert!(matches!(refused(&lying), ModelError::Prepare { .. }));
    // Sizes left open are filled in from the description.
    let open = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        let Some(type_proto::Value::TensorType(tensor)) =
            graph.input[0].r#type.as_mut().unwrap().value.as_mut()
        else {
            panic!("not a tensor");
        };
        let batch = dimension::Value::DimParam("batch".to_owned());
        tensor.shape.as_mut().unwrap().dim[0] = Dimension { denotation: String::new(), value: Some(batch) };
    });
    Encoder::from_bytes(&open, "open.onnx").unwrap();
}

#[test]
fn graphs_that_are_no_encoders_are_refused() {
    type Refused = fn(&GraphError) -> bool;
    let changes: [(Refused, fn(&mut ModelProto)); 6] = [
        (
            |e| matches!(e, GraphError::Input { expected: "image" }),
            |model| {
                model.graph.as_mut().unwrap().input[0].name = "x".to_owned();
            },
        ),
        (
            |e| matches!(e, GraphError::Input { expected: "image" }),
            |model| {
                model.graph.as_mut().unwrap().input.push(value("more", &[1]));
            },
        ),
        (
            |e| matches!(e, GraphError::NoNode { output } if output == "stride_4"),
            |model| {
                let graph = model.graph.as_mut().unwrap();
                graph.node.retain(|node| node.name != "stride_4");
            },
        ),
        (
            |e| matches!(e, GraphError::Operator { operator, .. } if operator == "Loop"),
            |model| {
                let graph = model.graph.as_mut().unwrap();
                graph.node.push(node("Loop", &[], "loop", vec![integer("n", 1)]));
            },
        ),
        (
            |e| matches!(e, GraphError::ExternalTensor { .. }),
            |model| {
                let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
                tensor.external_data = vec![StringStringEntryProto {
                    key: "location".to_owned(),
                    value: "/etc/passwd".to_owned(),
                }];
            },
        ),
        (
            |e| matches!(e, GraphError::Subgraph { .. }),
            |model| {
                let graph = model.graph.as_mut().unwrap();
                let inner = graph.clone();
                let mut attribute = integer("body", 1);
                attribute.g = Some(inner);
                graph.node[0].attribute.push(attribute);
            },
        ),
    ];
    for (expected, change) in changes {
        let problem = refused_graph(&changed(change));
        assert!(expected(&problem), "{problem}");
    }
}

#[test]
fn graphs_that_ask_for_absurd_memory_are_refused() {
    let padded = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        let conv = graph.node.iter_mut().find(|node| node.op_type == "Conv").unwrap();
        let pads = conv.attribute.iter_mut().find(|a| a.name == "pads").unwrap();
        pads.ints = vec![1 << 40; 4];
    });
    refused(&padded);
    for dims in [vec![1 << 40, 1 << 20], vec![i64::MAX; 3], vec![-1], vec![1; 9], vec![2]] {
        let claimed = changed(|model| model.graph.as_mut().unwrap().initializer[0].dims = dims.clone());
        assert!(matches!(refused_graph(&claimed), GraphError::TensorSize { held: 32, .. }), "{dims:?}");
    }
}

#[test]
fn graphs_of_absurdly_many_nodes_are_refused() {
    let long = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        for i in 0..17_000 {
            graph.node.push(node("Relu", &["image"], &format!("more_{i}"), vec![]));
        }
    });
    assert!(matches!(refused_graph(&long), GraphError::Size { nodes: 17_000.., .. }));
}

#[test]
fn a_description_survives_its_file() {
    let description = description(96, 128);
    let encoder = Encoder::from_bytes(&encoder(96, 128), "encoder.onnx").unwrap();
    assert_eq!(encoder.description(), &description);
    assert_eq!(encoder.sha256().len(), 64);
    let properties = description.to_properties().unwrap();
    let pairs = properties.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    assert_eq!(Description::from_properties(pairs).unwrap(), description);
}

#[test]
fn an_encoder_gives_up_when_the_time_is_up() {
    let encoder = Encoder::from_bytes(&encoder(96, 128), "encoder.onnx").unwrap();
    let image = texture(1, 96, 128, 0, 0);
    let now = Instant::now();
    let error = encoder.encode_until(&image, Some(now)).unwrap_err();
    assert!(matches!(error, ModelError::TimeLimit { .. }), "{error}");
    assert!(error.to_string().starts_with(image.name()) && error.to_string().contains(';'), "{error}");
    let later = now + Duration::from_secs(3600);
    let with = encoder.encode_until(&image, Some(later)).unwrap();
    let without = encoder.encode(&image).unwrap();
    for (a, b) in with.levels().iter().zip(without.levels()) {
        assert_eq!(a.data(), b.data());
    }
}
