//! Encoder files that are refused with the file's name and a fix.

use std::fs;
use std::time::{Duration, Instant};

use infomark_infer::{
    DESCRIPTION_KEY, Description, DescriptionError, Encoder, FORMAT_KEY, InputSize, ModelError,
};
use infomark_tests::infer_fixture::{description, encoder, integer, model, node, texture, value};
use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{ModelProto, StringStringEntryProto, type_proto};

/// The message of a refused file, which has to name the file and what to do.
fn refused(bytes: &[u8], fix: &str) -> ModelError {
    let error = Encoder::from_bytes(bytes, "encoder.onnx").unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("encoder.onnx: ") && text.contains(fix), "{text}");
    assert!(text.contains(';'), "no fix in: {text}");
    error
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
    assert!(error.to_string().contains("gone.onnx") && error.to_string().contains("infomark train"));
    assert!(matches!(Encoder::load(folder.path()), Err(ModelError::NotAFile { .. })));
    fs::write(&path, "").unwrap();
    let error = Encoder::load(&path).unwrap_err();
    assert!(matches!(error, ModelError::Empty { .. }));
    refused(b"", "copy it again");
    for bytes in [&b"image,landmark,x,y\n"[..], b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &[0xFF; 64], &[0; 1000]] {
        assert!(matches!(refused(bytes, "infomark train"), ModelError::NotOnnx { .. }));
    }
}

#[test]
fn a_file_beyond_the_limit_is_not_read() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("large.onnx");
    fs::File::create(&path).unwrap().set_len(65 << 20).unwrap();
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
        refused(&whole[..length], "");
    }
}

#[test]
fn a_model_without_our_metadata_is_refused() {
    let bare = changed(|model| model.metadata_props.clear());
    let error = refused(&bare, "infomark train");
    assert!(error.to_string().contains(FORMAT_KEY));
    let half = changed(|model| model.metadata_props.retain(|entry| entry.key == FORMAT_KEY));
    assert!(refused(&half, "infomark train").to_string().contains(DESCRIPTION_KEY));
    let newer = changed(|model| set(model, FORMAT_KEY, "2"));
    let error = refused(&newer, "update infomark or train the encoder again");
    let ModelError::Description { source, .. } = error else {
        panic!("{error}");
    };
    assert!(matches!(source, DescriptionError::Format { .. }));
    let long = format!("\"{}\"", "x".repeat(1 << 17));
    for json in ["", "{}", "[]", "null", "{\"input\":{\"width\":0,\"height\":0}}", &long] {
        let broken = changed(|model| set(model, DESCRIPTION_KEY, json));
        refused(&broken, "train the encoder again");
    }
    let unknown = changed(|model| {
        let json = serde_json::to_string(&description(96, 128)).unwrap();
        set(model, DESCRIPTION_KEY, &json.replace("unit-range", "z-score"));
    });
    refused(&unknown, "train the encoder again");
}

#[test]
fn a_description_out_of_range_is_refused() {
    let changes: [(&str, fn(&mut Description)); 8] = [
        ("no multiple of its stride", |d| d.input = InputSize::new(98, 128).unwrap()),
        ("0 strides", |d| d.strides.clear()),
        ("ascending", |d| d.strides.reverse()),
        ("ascending", |d| d.strides = vec![2, 2]),
        ("powers of two", |d| d.strides = vec![3]),
        ("0 channels", |d| d.channels = 0),
        ("channels", |d| d.channels = 1 << 20),
        ("temperature", |d| d.temperature = -1.0),
    ];
    for (problem, change) in changes {
        let error = refused(&with_description(change), "train the encoder again");
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn a_model_of_another_size_than_it_describes_is_refused() {
    let changes: [(&str, fn(&mut Description)); 4] = [
        ("`image` has the shape [1, 1, 128, 96]", |d| d.input = InputSize::new(128, 96).unwrap()),
        ("`stride_2` has the shape", |d| d.channels = 8),
        ("one output `stride_8`", |d| d.strides = vec![2, 8]),
        ("2 outputs, and its description calls for 1", |d| d.strides = vec![4]),
    ];
    for (problem, change) in changes {
        let error = refused(&with_description(change), "export the model again");
        assert!(error.to_string().contains(problem), "{error}");
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
    assert!(matches!(refused(&lying, "again"), ModelError::Prepare { .. }));
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
    let changes: [(&str, fn(&mut ModelProto)); 6] = [
        ("the one input `image`", |model| {
            model.graph.as_mut().unwrap().input[0].name = "x".to_owned();
        }),
        ("the one input `image`", |model| {
            model.graph.as_mut().unwrap().input.push(value("more", &[1]));
        }),
        ("no node makes its output", |model| {
            let graph = model.graph.as_mut().unwrap();
            graph.node.retain(|node| node.name != "stride_4");
        }),
        ("operator Loop", |model| {
            let graph = model.graph.as_mut().unwrap();
            graph.node.push(node("Loop", &[], "loop", vec![integer("n", 1)]));
        }),
        ("lies in another file", |model| {
            let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
            tensor.external_data =
                vec![StringStringEntryProto { key: "location".to_owned(), value: "/etc/passwd".to_owned() }];
        }),
        ("a graph of its own", |model| {
            let graph = model.graph.as_mut().unwrap();
            let inner = graph.clone();
            let mut attribute = integer("body", 1);
            attribute.g = Some(inner);
            graph.node[0].attribute.push(attribute);
        }),
    ];
    for (problem, change) in changes {
        let error = refused(&changed(change), "export the model again");
        assert!(matches!(error, ModelError::Graph { .. }));
        assert!(error.to_string().contains(problem), "{error}");
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
    refused(&padded, "again");
    for dims in [vec![1 << 40, 1 << 20], vec![i64::MAX; 3], vec![-1], vec![1; 9], vec![2]] {
        let claimed = changed(|model| model.graph.as_mut().unwrap().initializer[0].dims = dims.clone());
        let error = refused(&claimed, "export the model again");
        assert!(error.to_string().contains("holds 32 numbers"), "{error}");
    }
}

#[test]
fn graphs_of_absurdly_many_nodes_are_refused() {
    let long = changed(|model| {
        let graph = model.graph.as_mut().unwrap();
        for i in 0..5000 {
            graph.node.push(node("Relu", &["image"], &format!("more_{i}"), vec![]));
        }
    });
    let error = refused(&long, "export the model again");
    assert!(matches!(error, ModelError::Graph { .. }) && error.to_string().contains("nodes"), "{error}");
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
    let error = encoder.until(now).encode(&image).unwrap_err();
    assert!(matches!(error, ModelError::TimeLimit { .. }), "{error}");
    assert!(error.to_string().starts_with(image.name()) && error.to_string().contains(';'), "{error}");
    let later = now + Duration::from_secs(3600);
    let (with, without) = (encoder.until(later).encode(&image).unwrap(), encoder.encode(&image).unwrap());
    for (a, b) in with.levels().iter().zip(without.levels()) {
        assert_eq!(a.data(), b.data());
    }
}
