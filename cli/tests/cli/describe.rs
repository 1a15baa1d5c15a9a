//! `infomark describe`, and other runtimes.

use infomark_tests::infer_fixture::exported;

use crate::support::{SIZE, Workplace};

#[test]
fn a_described_encoder_matches_as_the_one_that_it_is() {
    let place = Workplace::new();
    place.write("export.onnx", exported(SIZE.0, SIZE.1));
    let size = format!("{}x{}", SIZE.0, SIZE.1);
    let line = format!("describe export.onnx --input {size} --strides 2,4 --out described.onnx --json");
    let object = place.run(&line).json();
    assert_eq!(object["levels"][1], serde_json::json!({ "stride": 4, "channels": 32 }));
    assert_eq!((&object["producer"], &object["runtime"]), (&"infomark tests".into(), &"tract".into()));
    let given = "--template data/images/0.png --landmarks data/landmarks.csv data/images";
    place.run(&format!("match --model encoder.onnx {given} --out own")).success();
    place.run(&format!("match --model described.onnx {given} --out found")).success();
    let table = |folder: &str| -> Vec<(String, f64, f64)> {
        let text = String::from_utf8(place.read(&format!("{folder}/landmarks.csv"))).unwrap();
        let row = |line: &str| {
            let cells: Vec<&str> = line.split(',').collect();
            (cells[..2].join(" "), cells[2].parse().unwrap(), cells[3].parse().unwrap())
        };
        text.lines().skip(1).map(row).collect()
    };
    let (own, found) = (table("own"), table("found"));
    assert!(own.len() == found.len() && own.len() >= 50, "{} {}", own.len(), found.len());
    for (own, found) in own.iter().zip(&found) {
        assert!(own.0 == found.0 && (own.1 - found.1).hypot(own.2 - found.2) < 0.05, "{own:?} {found:?}");
    }
    let record: serde_json::Value = serde_json::from_slice(&place.read("found/landmarks.json")).unwrap();
    assert_eq!(record["model"]["source_sha256"], object["source_sha256"]);
    assert_eq!(record["model"]["training_images"], serde_json::Value::Null);
}

#[test]
fn what_cannot_be_described_is_left_alone() {
    let place = Workplace::new();
    place.write("export.onnx", exported(SIZE.0, SIZE.1));
    place.write("described.onnx", "what was there");
    let refusals = [
        ("describe export.onnx --input 96x128 --strides 2 --out described.onnx", "stride_4"),
        ("describe export.onnx --input 64x64 --strides 2,4 --out described.onnx", "image"),
        (
            "describe export.onnx --input 96x128 --strides 2,4 --outputs stride_2,no --out described.onnx",
            "`no`",
        ),
        (
            "describe export.onnx --input 96x128 --strides 2,4 --normalisation imagenet --out described.onnx",
            "ImageNet",
        ),
        ("describe export.onnx --input 96x128 --strides 2,4 --out export.onnx", "--out"),
        ("describe encoder.onnx --input 96x128 --strides 2,4 --out described.onnx", "already"),
        ("describe nowhere.onnx --input 96x128 --strides 2,4 --out described.onnx", "nowhere.onnx"),
        ("describe data/landmarks.csv --input 96x128 --strides 2,4 --out described.onnx", "landmarks.csv"),
        (
            "describe export.onnx --input 96x128 --strides 2,4 --out described.onnx --runtime onnxruntime --onnxruntime-library no.so",
            "no.so",
        ),
    ];
    for (line, named) in refusals {
        let reason = place.run(line).reason();
        assert!(reason.contains(named) && reason.contains(';'), "{line}: {reason}");
    }
    let line = "match --landmark-model n.onnx data/images --out found --runtime onnxruntime";
    let reason = place.run(line).reason();
    assert!(reason.contains("--landmark-model"), "{reason}");
    assert_eq!(place.read("described.onnx"), b"what was there");
    for wrong in ["96", "96x", "0x128", "96x99999", "96x128x1"] {
        let outcome =
            place.run(&format!("describe export.onnx --input {wrong} --strides 2,4 --out described.onnx"));
        assert!(outcome.code == Some(2) && outcome.stderr.contains("--input"), "{outcome:?}");
    }
    let outcome =
        place.run("describe export.onnx --input 96x128 --strides 2,4 --normalisation z-score --out a.onnx");
    assert!(outcome.code == Some(2) && outcome.stderr.contains("local-contrast"), "{outcome:?}");
}
