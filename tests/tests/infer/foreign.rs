//! Encoders of other programs: their features, and what is refused.

use std::collections::HashMap;

use infomark_core::{FeatureMap, Rng};
use infomark_infer::onnx::{
    Attribute, DataType, Dimension, Model, Node, OperatorSet, Property, Tensor, ValueInfo,
};
use infomark_infer::{
    Channels, Encoder, ForeignEncoder, ForeignError, GraphError, Image, InputScaling, InputSize, Landmark,
    Matcher, ModelError, Normalisation, Origin, Template, ValueError,
};
use infomark_tests::infer_fixture::{CHANNELS, encoder, texture};
use prost::Message;

const WIDTH: usize = 96;
const HEIGHT: usize = 128;

fn own() -> Encoder {
    Encoder::from_bytes(&encoder(WIDTH, HEIGHT), "own.onnx").unwrap()
}

fn node(operator: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) -> Node {
    Node {
        op_type: operator.to_owned(),
        input: inputs.iter().map(|&input| input.to_owned()).collect(),
        output: vec![output.to_owned()],
        attribute,
        ..Node::default()
    }
}

/// The sizes that a value is declared with, none where it is open.
fn declare(value: &mut ValueInfo, sizes: &[Option<i64>]) {
    let tensor = value.r#type.as_mut().and_then(|kind| kind.tensor_type.as_mut()).unwrap();
    tensor.shape.as_mut().unwrap().dim = sizes.iter().map(|&dim_value| Dimension { dim_value }).collect();
}

/// The encoder of the fixture as another program would export it: no description, other names, features as they come out of the
/// convolutions.
fn exported() -> Model {
    let mut model = Model::decode(&encoder(WIDTH, HEIGHT)[..]).unwrap();
    model.metadata_props = vec![Property { key: "author".to_owned(), value: "somebody".to_owned() }];
    (model.producer_name, model.producer_version) = ("pytorch".to_owned(), "2.0".to_owned());
    let graph = model.graph.as_mut().unwrap();
    graph.node.retain(|node| node.op_type == "Conv");
    for (node, output) in graph.node.iter_mut().zip(&mut graph.output) {
        node.input[0] = "pixels".to_owned();
        output.name.clone_from(&node.output[0]);
        declare(output, &[None; 4]);
    }
    graph.input[0].name = "pixels".to_owned();
    model
}

fn change(change: impl FnOnce(&mut Model)) -> Vec<u8> {
    let mut model = exported();
    change(&mut model);
    model.encode_to_vec()
}

/// What is said of [`exported`].
fn said() -> ForeignEncoder {
    ForeignEncoder::new(InputSize::new(WIDTH, HEIGHT).unwrap(), [2, 4])
}

fn described(said: &ForeignEncoder, bytes: &[u8]) -> Encoder {
    let described = said.describe_bytes(bytes, "foreign.onnx", None).unwrap();
    Encoder::from_bytes(described.bytes(), "described.onnx").unwrap()
}

/// The largest difference of the features of two encoders.
fn apart(a: &Encoder, b: &Encoder) -> f32 {
    let image = texture(3, WIDTH, HEIGHT, 0, 0);
    let (a, b) = (a.encode(&image).unwrap(), b.encode(&image).unwrap());
    let (a, b) = (a.levels(), b.levels());
    assert_eq!(a.len(), b.len());
    let pairs = a.iter().zip(&b);
    let pairs = pairs.flat_map(|(a, b)| {
        assert_eq!((a.stride(), a.channels()), (b.stride(), b.channels()));
        a.data().iter().zip(b.data())
    });
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn the_features_are_those_of_the_graph_at_length_one() {
    let bytes = exported().encode_to_vec();
    let encoder = described(&said(), &bytes);
    assert!(apart(&encoder, &own()) < 1e-6);
    let description = encoder.description();
    assert_eq!((&description.strides[..], &description.channels), (&[2, 4][..], &Channels::Same(CHANNELS)));
    assert_eq!(description.normalisation, Normalisation::UnitRange);
    let source_sha256 = infomark_infer::sha256(&bytes);
    assert_eq!(description.origin, Origin::Foreign { source_sha256, producer: "pytorch 2.0".to_owned() });
    assert_eq!(encoder.runtime(), "tract");
}

#[test]
fn open_sizes_names_of_ours_and_old_operator_sets_are_taken() {
    for version in [11, 12, 13, 17] {
        let bytes = change(|model| {
            model.opset_import = vec![OperatorSet { domain: "ai.onnx".to_owned(), version }];
            let graph = model.graph.as_mut().unwrap();
            declare(&mut graph.input[0], &[None, Some(1), None, None]);
            // Names that the described file has, for other values.
            for node in &mut graph.node {
                node.output[0] =
                    if node.output[0].ends_with('2') { "stride_4" } else { "stride_2" }.to_owned();
            }
            graph.input[0].name = "around/0".to_owned();
            graph.node.iter_mut().for_each(|node| node.input[0] = "around/0".to_owned());
            (graph.output[0].name, graph.output[1].name) = ("stride_4".to_owned(), "stride_2".to_owned());
        });
        assert!(apart(&described(&said(), &bytes), &own()) < 1e-6, "operator set {version}");
    }
}

#[test]
fn three_channels_are_the_grey_one_as_the_model_was_trained() {
    // Kernels of three channels, of which each has a third of the grey one's weights.
    let bytes = change(|model| {
        let graph = model.graph.as_mut().unwrap();
        declare(&mut graph.input[0], &[None, Some(3), Some(HEIGHT as i64), Some(WIDTH as i64)]);
        for tensor in graph.initializer.iter_mut().filter(|tensor| tensor.dims.len() == 4) {
            let side = (tensor.dims[2] * tensor.dims[3]) as usize;
            let values: Vec<f32> =
                tensor.raw_data.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four) / 3.0).collect();
            let repeated: Vec<f32> = values.chunks_exact(side).flat_map(|kernel| kernel.repeat(3)).collect();
            tensor.dims[1] = 3;
            *tensor = Tensor::floats(
                &tensor.name,
                &tensor.dims.iter().map(|&size| size as usize).collect::<Vec<_>>(),
                &repeated,
            );
        }
    });
    assert!(apart(&described(&said(), &bytes), &own()) < 1e-5);
    // ImageNet's scaling: the same kernels on what it makes of the pixels by hand.
    let scaled = described(&said().with_scaling(InputScaling::ImageNet), &bytes);
    assert_eq!(scaled.description().normalisation, Normalisation::UnitRange);
    let image = texture(3, WIDTH, HEIGHT, 0, 0);
    let (mean, deviation) = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]);
    let by_hand: Vec<f32> = image
        .pixels()
        .iter()
        .map(|&pixel| (0..3).map(|channel| (pixel - mean[channel]) / deviation[channel]).sum::<f32>() / 3.0)
        .collect();
    let grey = described(&said(), &exported().encode_to_vec());
    let expected = grey.encode_input("by hand", &by_hand).unwrap();
    let found = scaled.encode_input("scaled", image.pixels()).unwrap();
    for (a, b) in found.levels().iter().zip(&expected.levels()) {
        // Beyond the border is 0 after the scaling in both.
        let worst = a.data().iter().zip(b.data()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }
    let refused =
        said().with_scaling(InputScaling::ImageNet).describe_bytes(&exported().encode_to_vec(), "grey", None);
    assert!(matches!(refused, Err(ModelError::Foreign { problem: ForeignError::OneChannel, .. })));
    // A number that the file leaves open is stated.
    let open = change(|model| declare(&mut model.graph.as_mut().unwrap().input[0], &[None; 4]));
    assert!(apart(&described(&said().with_channels(Some(1)), &open), &own()) < 1e-6);
    let local = described(&said().with_scaling(InputScaling::LocalContrast), &exported().encode_to_vec());
    assert_eq!(local.description().normalisation, Normalisation::LOCAL_CONTRAST);
}

/// [`exported`] with its outputs as tokens, behind `leading` others.
fn with_tokens(leading: i64) -> Vec<u8> {
    change(|model| {
        let graph = model.graph.as_mut().unwrap();
        graph.initializer.push(Tensor::integers("sizes", &[1, CHANNELS as i64, -1]));
        graph.initializer.push(Tensor::floats(
            "class",
            &[1, leading as usize, CHANNELS],
            &vec![0.5; leading as usize * CHANNELS],
        ));
        for output in &mut graph.output {
            let raw = output.name.clone();
            let named = |part: &str| format!("{raw}/{part}");
            let (flat, tokens) = (named("flat"), named("tokens"));
            graph.node.push(node("Reshape", &[&raw, "sizes"], &flat, vec![]));
            graph.node.push(node("Transpose", &[&flat], &tokens, vec![Attribute::ints("perm", &[0, 2, 1])]));
            let all = named("all");
            graph.node.push(node("Concat", &["class", &tokens], &all, vec![Attribute::int("axis", 1)]));
            output.name = if leading > 0 { all } else { tokens };
            declare(output, &[Some(1), None, Some(CHANNELS as i64)]);
        }
    })
}

#[test]
fn tokens_are_maps_row_by_row() {
    for leading in [0, 1, 5] {
        let said = said().with_leading_tokens(leading);
        let tokens = with_tokens(leading.max(1) as i64);
        let bytes = if leading == 0 { with_tokens(0) } else { tokens };
        assert!(apart(&described(&said, &bytes), &own()) < 1e-6, "{leading} leading tokens");
    }
    let error = said().describe_bytes(&with_tokens(1), "vit.onnx", None).unwrap_err();
    let cells = WIDTH * HEIGHT / 4;
    let expected = ForeignError::Tokens {
        output: "raw_2/all".to_owned(),
        found: cells + 1,
        stride: 2,
        cells,
        leading: 0,
    };
    assert!(matches!(&error, ModelError::Foreign { problem, .. } if *problem == expected), "{error}");
}

/// Where the landmarks of a template are found in the same texture, moved.
fn found(encoder: &Encoder, template: &Template, image: &Image) -> Vec<(f64, f64)> {
    let matcher = Matcher::new(encoder.clone(), [template.clone()]).unwrap();
    matcher.find(image).unwrap().iter().map(|found| (found.at.x, found.at.y)).collect()
}

#[test]
fn levels_may_differ_in_channels_and_strides_be_any_that_divide_the_canvas() {
    // Three strides, of which one is no power of two, with channels of their own; the middle one is inside the graph.
    let bytes = change(|model| {
        let graph = model.graph.as_mut().unwrap();
        let mut rng = Rng::new(5, 0);
        let mut weights =
            |count: usize| -> Vec<f32> { (0..count).map(|_| rng.uniform_in(-1.0, 1.0)).collect() };
        graph.initializer.push(Tensor::floats("few", &[8, CHANNELS, 1, 1], &weights(8 * CHANNELS)));
        graph.initializer.push(Tensor::floats("many", &[40, CHANNELS, 3, 3], &weights(40 * 9 * CHANNELS)));
        graph.node.push(node(
            "Conv",
            &["raw_2", "few"],
            "inside",
            vec![Attribute::ints("kernel_shape", &[1, 1])],
        ));
        let strided = vec![Attribute::ints("kernel_shape", &[3, 3]), Attribute::ints("strides", &[4, 4])];
        graph.node.push(node("Conv", &["inside_many", "many"], "last", strided));
        graph.node.push(node("Relu", &["raw_4"], "inside_many", vec![]));
        graph.node.swap(3, 4);
        // Nobody asks for it, and nobody could run it.
        graph.node.push(node("NonMaxSuppression", &["raw_2"], "boxes", vec![]));
        graph.output.truncate(1);
        graph.output[0].name = "boxes".to_owned();
    });
    let names = ["last", "raw_4", "inside"].map(str::to_owned);
    let said = ForeignEncoder::new(InputSize::new(WIDTH, HEIGHT).unwrap(), [16, 4, 2]).with_outputs(names);
    let encoder = described(&said, &bytes);
    assert_eq!(encoder.description().strides, [2, 4, 16]);
    assert_eq!(encoder.description().channels, Channels::PerStride(vec![8, CHANNELS, 40]));
    let image = texture(1, 200, 260, 0, 0);
    let encoding = encoder.encode(&image).unwrap();
    assert_eq!(encoding.levels().iter().map(FeatureMap::channels).collect::<Vec<_>>(), [8, CHANNELS, 40]);

    let mark = |name: &str, x, y| Landmark {
        name: name.to_owned(),
        at: infomark_core::Point::new(x, y),
        visibility: infomark_infer::Visibility::Visible,
    };
    let marks = [mark("a", 60.0, 80.0), mark("b", 120.0, 150.0)];
    let template = Template::new(&encoder, &image, &marks).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("levels.template");
    template.save(&path).unwrap();
    let loaded = Template::load(&path).unwrap();
    assert_eq!(loaded.to_bytes(), template.to_bytes());
    let moved = texture(1, 200, 260, 12, 8);
    let places = found(&encoder, &template, &moved);
    assert_eq!(places, found(&encoder, &loaded, &moved));
    for (mark, (x, y)) in marks.iter().zip(&places) {
        let off = (mark.at.x - 12.0 - x).hypot(mark.at.y - 8.0 - y);
        // Two levels are of random weights.
        assert!(off < 8.0, "{} is {off} px off", mark.name);
    }
    let observation = template.sight(&encoder.encode(&moved).unwrap()).unwrap();
    assert_eq!(template.refined(&[observation]).refined_on(), 1);

    // Stride 3 divides the canvas of 96 x 126.
    let odd = change(|model| {
        let graph = model.graph.as_mut().unwrap();
        declare(&mut graph.input[0], &[None, Some(1), None, None]);
        let kernel =
            Tensor::floats("kernel_3", &[4, 1, 3, 3], &(0..36).map(|i| (i as f32).sin()).collect::<Vec<_>>());
        graph.initializer.push(kernel);
        let strided = vec![Attribute::ints("kernel_shape", &[3, 3]), Attribute::ints("strides", &[3, 3])];
        graph.node.push(node("Conv", &["pixels", "kernel_3"], "thirds", strided));
    });
    let said = ForeignEncoder::new(InputSize::new(96, 126).unwrap(), [3]).with_outputs(["thirds".to_owned()]);
    assert_eq!(described(&said, &odd).encode(&image).unwrap().levels()[0].width(), 32);

    // A level that is finer than those of ring and prior, alone.
    let said =
        ForeignEncoder::new(InputSize::new(WIDTH, HEIGHT).unwrap(), [2]).with_outputs(["raw_2".to_owned()]);
    let fine = described(&said, &exported().encode_to_vec());
    let template = Template::new(&fine, &image, &marks).unwrap();
    assert_eq!(Template::from_bytes(&template.to_bytes(), "fine").unwrap().to_bytes(), template.to_bytes());
    assert_eq!(found(&fine, &template, &image).len(), 2);
}

#[test]
fn weights_in_a_file_beside_the_model_are_taken_in() {
    let dir = tempfile::tempdir().unwrap();
    let mut weights = vec![7_u8; 5];
    let with_entries = |location: &str,
                        change: &dyn Fn(&mut HashMap<&str, String>),
                        weights: &mut Vec<u8>| {
        self::change(|model| {
            for tensor in
                model.graph.as_mut().unwrap().initializer.iter_mut().filter(|tensor| tensor.dims.len() == 4)
            {
                let mut entries = HashMap::from([
                    ("location", location.to_owned()),
                    ("offset", weights.len().to_string()),
                    ("length", tensor.raw_data.len().to_string()),
                ]);
                weights.append(&mut tensor.raw_data);
                change(&mut entries);
                tensor.data_location = Some(1);
                let entry = |(key, value): (&str, String)| Property { key: key.to_owned(), value };
                tensor.external_data = entries.into_iter().map(entry).collect();
            }
        })
    };
    let model = with_entries("weights.bin", &|_| {}, &mut weights);
    std::fs::write(dir.path().join("weights.bin"), &weights).unwrap();
    let path = dir.path().join("foreign.onnx");
    std::fs::write(&path, &model).unwrap();
    let out = dir.path().join("described.onnx");
    said().describe(&path).unwrap().save(&out).unwrap();
    assert!(apart(&Encoder::load(&out).unwrap(), &own()) < 1e-6);

    let refusals: [(&str, &dyn Fn(&mut HashMap<&str, String>)); 6] = [
        ("missing.bin", &|_| {}),
        ("../weights.bin", &|_| {}),
        ("/etc/hostname", &|_| {}),
        ("", &|_| {}),
        ("weights.bin", &|entries| drop(entries.insert("offset", "999999999".to_owned()))),
        ("weights.bin", &|entries| drop(entries.insert("length", "-3".to_owned()))),
    ];
    for (location, change) in refusals {
        let bytes = with_entries(location, change, &mut Vec::new());
        let error = said().describe_bytes(&bytes, "foreign.onnx", Some(dir.path())).unwrap_err();
        let external = matches!(&error, ModelError::Foreign { problem: ForeignError::External { .. }, .. });
        assert!(external, "{location}: {error}");
    }
    // Of a length that is not the tensor's.
    let short = with_entries(
        "weights.bin",
        &|entries| drop(entries.insert("length", "8".to_owned())),
        &mut Vec::new(),
    );
    let error = said().describe_bytes(&short, "foreign.onnx", Some(dir.path())).unwrap_err();
    assert!(matches!(&error, ModelError::Graph { problem: GraphError::TensorSize { .. }, .. }), "{error}");
    let nowhere = said().describe_bytes(&model, "foreign.onnx", None).unwrap_err();
    assert!(
        matches!(&nowhere, ModelError::Foreign { problem: ForeignError::External { .. }, .. }),
        "{nowhere}"
    );
}

#[test]
fn what_is_not_as_it_was_said_is_refused_by_name() {
    let plain = exported().encode_to_vec();
    let input =
        |sizes: &[Option<i64>]| change(|model| declare(&mut model.graph.as_mut().unwrap().input[0], sizes));
    let size = |width, height| InputSize::new(width, height).unwrap();
    let named =
        |names: &[&str]| said().with_outputs(names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
    let strings = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<String>>();
    let own = || strings(&["raw_2", "raw_4"]);
    let shape = |found: &str| ForeignError::InputShape {
        input: "pixels".to_owned(),
        found: found.to_owned(),
        height: HEIGHT,
        width: WIDTH,
    };
    let cases: Vec<(ForeignEncoder, Vec<u8>, ForeignError)> = vec![
        (said(), encoder(WIDTH, HEIGHT), ForeignError::Described),
        (said(), change(|model| model.opset_import[0].version = 10), ForeignError::Opset { found: Some(10) }),
        (said(), change(|model| model.opset_import.clear()), ForeignError::Opset { found: None }),
        (said(), input(&[Some(2), Some(1), None, None]), shape("float [2, 1, ?, ?]")),
        (said(), input(&[None; 4]), ForeignError::OpenChannels { input: "pixels".to_owned() }),
        (
            said().with_channels(Some(4)),
            input(&[None; 4]),
            ForeignError::Channels { found: 4, stated: Some(4) },
        ),
        (said().with_channels(Some(3)), plain.clone(), ForeignError::Channels { found: 1, stated: Some(3) }),
        (said(), input(&[None, Some(2), None, None]), ForeignError::Channels { found: 2, stated: None }),
        (said(), input(&[None, None, Some(3)]), shape("float [?, ?, 3]")),
        (said(), input(&[None, Some(1), Some(64), Some(64)]), shape("float [?, 1, 64, 64]")),
        (
            said(),
            change(|model| {
                let kind = model.graph.as_mut().unwrap().input[0].r#type.as_mut().unwrap();
                kind.tensor_type.as_mut().unwrap().elem_type = DataType::Uint8 as i32;
            }),
            shape(&format!("uint8 [1, 1, {HEIGHT}, {WIDTH}]")),
        ),
        (
            said(),
            change(|model| {
                let graph = model.graph.as_mut().unwrap();
                graph.input.push(ValueInfo { name: "mask".to_owned(), ..graph.input[0].clone() });
            }),
            ForeignError::Inputs { found: strings(&["pixels", "mask"]) },
        ),
        (
            said(),
            change(|model| model.graph.as_mut().unwrap().input.clear()),
            ForeignError::Inputs { found: vec![] },
        ),
        (
            ForeignEncoder::new(size(WIDTH, HEIGHT), [2]),
            plain.clone(),
            ForeignError::OutputCount { found: own(), strides: 1 },
        ),
        (
            named(&["raw_2", "raw_2"]),
            plain.clone(),
            ForeignError::OutputCount { found: strings(&["raw_2", "raw_2"]), strides: 2 },
        ),
        (
            named(&["raw_2", "nothing"]),
            plain.clone(),
            ForeignError::Output { output: "nothing".to_owned(), found: own() },
        ),
        (named(&["raw_2", ""]), plain.clone(), ForeignError::Output { output: String::new(), found: own() }),
        (
            named(&["raw_4", "raw_2"]),
            plain.clone(),
            ForeignError::OutputShape {
                output: "raw_4".to_owned(),
                found: vec![1, CHANNELS, HEIGHT / 4, WIDTH / 4],
                stride: 2,
                height: HEIGHT / 2,
                width: WIDTH / 2,
            },
        ),
        (
            ForeignEncoder::new(size(WIDTH, HEIGHT), [2, 5]),
            plain.clone(),
            ForeignError::Value(ValueError::Input { width: WIDTH, height: HEIGHT, stride: 5 }),
        ),
        (
            ForeignEncoder::new(size(WIDTH, HEIGHT), [0, 2]),
            plain.clone(),
            ForeignError::Value(ValueError::Strides { strides: vec![0, 2] }),
        ),
        (said().with_leading_tokens(1), plain.clone(), ForeignError::NoTokens { leading: 1 }),
        (
            said().with_temperature(0.0),
            plain.clone(),
            ForeignError::Value(ValueError::Temperature { found: 0.0 }),
        ),
        (
            said(),
            change(|model| {
                let graph = model.graph.as_mut().unwrap();
                for tensor in graph.initializer.iter_mut() {
                    tensor.raw_data.fill(0);
                }
            }),
            ForeignError::Zero { stride: 2 },
        ),
    ];
    for (said, bytes, expected) in cases {
        let error = said.describe_bytes(&bytes, "foreign.onnx", None).unwrap_err();
        let text = error.to_string();
        assert!(text.starts_with("foreign.onnx: ") && text.contains(';'), "{text}");
        assert!(
            matches!(&error, ModelError::Foreign { problem, .. } if *problem == expected),
            "{text}, not {expected}"
        );
    }
    // What no encoder is made of.
    let looping = change(|model| model.graph.as_mut().unwrap().node[0].op_type = "Loop".to_owned());
    let error = said().describe_bytes(&looping, "foreign.onnx", None).unwrap_err();
    assert!(
        matches!(&error, ModelError::Graph { problem: GraphError::Operator { operator, .. }, .. } if operator == "Loop")
    );
    let broken =
        change(|model| model.graph.as_mut().unwrap().node[0].input[1] = "no such weights".to_owned());
    let error = said().describe_bytes(&broken, "foreign.onnx", None).unwrap_err();
    assert!(matches!(&error, ModelError::Prepare { .. }), "{error}");
    assert!(matches!(said().describe_bytes(b"", "foreign.onnx", None), Err(ModelError::NotOnnx { .. })));
}
