//! Files that cannot be used: named in one line, and no panic.

use image::ExtendedColorType::{La8, Rgb8};
use infomark_tests::infer_dicom::Dicom;

use crate::support::{SIZE, Workplace, encode, png};

/// Files that are no usable radiograph.
fn bad_images() -> Vec<(&'static str, Vec<u8>)> {
    let pixels = SIZE.0 * SIZE.1;
    let levels: Vec<u8> = (0..pixels).map(|place| (place % 251) as u8).collect();
    let good = png(SIZE, &levels);
    let colour: Vec<u8> = levels.iter().flat_map(|&level| [level, 255 - level, 9]).collect();
    let alpha: Vec<u8> = levels.iter().flat_map(|&level| [level, level]).collect();
    vec![
        ("empty.png", Vec::new()),
        ("truncated.png", good[..good.len() / 2].to_vec()),
        ("text.png", b"not an image".to_vec()),
        ("colour.png", encode(SIZE, &colour, Rgb8)),
        ("alpha.png", encode(SIZE, &alpha, La8)),
        ("dot.png", png((1, 1), &[7])),
        ("constant.png", png(SIZE, &vec![99; pixels])),
        ("huge.pgm", b"P5\n4000000000 4000000000\n255\n".to_vec()),
    ]
}

#[test]
fn bad_images_are_named_by_map() {
    let place = Workplace::new();
    for (name, bytes) in bad_images() {
        place.write(name, bytes);
        let reason = place.run(&format!("map {name}")).reason();
        assert!(reason.contains(name), "{reason}");
    }
    for name in ["missing.png", "data"] {
        let reason = place.run(&format!("map {name}")).reason();
        assert!(reason.contains(name), "{reason}");
    }
    assert!(!place.file("infomark-map").exists(), "nothing is written for a bad image");
}

#[test]
fn bad_templates_and_tables_are_named_by_match() {
    let place = Workplace::new();
    let mut tables = vec![
        ("other.csv", "image,landmark,x,y\nsomething.png,sella,3,4\n", "0.png"),
        ("columns.csv", "image,landmark,x\n0.png,sella,3\n", "y"),
        ("outside.csv", "image,landmark,x,y\n0.png,sella,3,4000\n", "sella"),
        ("nan.csv", "image,landmark,x,y\n0.png,sella,NaN,4\n", "line 2"),
        ("twice.csv", "image,landmark,x,y\n0.png,sella,1,4\n0.png,sella,2,4\n", "sella"),
        ("nothing.csv", "", ""),
    ];
    for (name, text, _) in &tables {
        place.write(name, text);
    }
    tables.push(("missing.csv", "", ""));
    for (name, _, named) in tables {
        let line = "match --model encoder.onnx --template data/images/0.png data/images --out found";
        let reason = place.run(&format!("{line} --landmarks {name}")).reason();
        assert!(reason.contains(name) && reason.contains(named), "{name}: {reason}");
    }
    for (name, bytes) in bad_images() {
        place.write(name, bytes);
        let line = "match --model encoder.onnx --landmarks data/landmarks.csv data/images --out found";
        let reason = place.run(&format!("{line} --template {name}")).reason();
        assert!(reason.contains(name), "{reason}");
    }
    assert!(!place.file("found").exists(), "nothing is written for a bad template");
}

#[test]
fn bad_models_are_named() {
    let place = Workplace::new();
    let good = place.read("encoder.onnx");
    place.write("truncated.onnx", &good[..good.len() / 2]);
    place.write("text.onnx", "hello");
    place.write("empty.onnx", "");
    for name in ["truncated.onnx", "text.onnx", "empty.onnx", "missing.onnx", "data"] {
        let template = "--template data/images/0.png --landmarks data/landmarks.csv data/images --out found";
        let reason = place.run(&format!("match --model {name} {template}")).reason();
        assert!(reason.contains(name), "{reason}");
        let reason = place.run(&format!("evaluate --model {name} --data data")).reason();
        assert!(reason.contains(name), "{reason}");
    }
}

#[test]
fn bad_data_folders_are_named_by_evaluate() {
    let place = Workplace::new();
    place.make_data("broken", 2, 1);
    let run = |rest: &str| place.run(&format!("evaluate --model encoder.onnx --data broken {rest}")).reason();
    assert!(run("--template 9.png").contains("9.png"));
    assert!(run("--random-templates 3").contains("broken"));
    assert!(run("--random-templates 0").contains("--random-templates 0"));
    assert!(run("--radii 2,-1").contains("-1"));
    assert!(run("--template-data nowhere").contains("nowhere"));
    let toml = "spacing_mm = [1, 1]\nlandmarks = [\"sella\"]\n";
    place.write("broken/dataset.toml", toml);
    let reason = run("--template-data data");
    assert!(reason.contains("nasion") || reason.contains("condyle"), "{reason}");
    assert!(reason.contains("broken"), "{reason}");
    place.write("broken/dataset.toml", "landmarks = [\"sella\"]\n");
    assert!(run("").contains("spacing_mm"));
    std::fs::remove_file(place.file("broken/landmarks.csv")).unwrap();
    place.write("broken/dataset.toml", toml);
    assert!(run("").contains("landmarks.csv"));
}

#[test]
fn a_folder_without_images_is_named_by_train() {
    let place = Workplace::new();
    std::fs::create_dir(place.file("nothing")).unwrap();
    for folder in ["nothing", "nowhere"] {
        let reason = place.run(&format!("train {folder} --out new.onnx --steps 1")).reason();
        assert!(reason.contains(folder), "{reason}");
    }
    let reason = place.run("train data/images --out new.onnx --minutes 0").reason();
    assert!(reason.contains("minutes"), "{reason}");
    let reason = place.run("train data/images --out new.onnx --resume nowhere").reason();
    assert!(reason.contains("nowhere"), "{reason}");
}

#[test]
fn a_folder_with_other_things_is_left_alone_by_demo() {
    let place = Workplace::new();
    place.write("mine/thesis.txt", "precious");
    let reason = place.run("demo --out mine").reason();
    assert!(reason.contains("mine") && reason.contains("thesis.txt"), "{reason}");
    assert_eq!(place.read("mine/thesis.txt"), b"precious");
    let reason = place.run("demo --out new --images 1").reason();
    assert!(reason.contains("--images"), "{reason}");
}

#[test]
fn dicom_files_without_an_image_are_left_out_of_a_folder_with_a_warning() {
    let place = Workplace::new();
    place.write("data/images/DICOMDIR", object("1.2.840.10008.1.3.10"));
    place.write("data/images/report.dcm", object("1.2.840.10008.5.1.4.1.1.88.22"));
    let outcome = place.run_match("data/images --out found");
    let warning = "warning: data/images/DICOMDIR: 2 DICOM files without an image are left out";
    assert!(outcome.stderr.contains(warning), "{outcome:?}");
    outcome.success();
    let reason = place.run("map data/images/report.dcm").reason();
    assert!(reason.contains("report.dcm") && reason.contains("Structured Report"), "{reason}");
}

/// The start of a DICOM file of a class.
fn object(sop_class: &str) -> Vec<u8> {
    let dicom = Dicom::new(40, 36, 8, vec![0; 40 * 36]).text((0x0008, 0x0016), "UI", sop_class);
    let whole = dicom.encode();
    // Without the pixel data and their header.
    whole[..whole.len() - 40 * 36 - 12].to_vec()
}
