//! `infomark demo` and `infomark train`, for a step or two.

use crate::support::{SMALL, Workplace, png_size};

#[test]
fn the_demo_makes_trains_matches_and_draws() {
    let place = Workplace::new();
    let line = "demo --steps 2 --images 4 --out demo --json";
    let object = place.run(line).json();
    assert_eq!(object["steps"], 2);
    assert_eq!(object["test_images"], 1);
    assert!(object["mre_px"].as_f64().unwrap() >= 0.0);
    let sheet = place.read(object["contact_sheet"].as_str().unwrap());
    assert!(png_size(&sheet).0 >= 512);
    assert_eq!(png_size(&place.read("demo/overlays/001.png")), (512, 640));
    // The data folder is one that `evaluate` takes, with the same result; a second demo replaces the first.
    let again = place.run("demo --steps 2 --images 4 --out demo --json --threads 1").json();
    assert_eq!(again["mre_px"], object["mre_px"]);
    let evaluated = "match --model demo/encoder.onnx --template demo/train/images/001.png";
    let rest = "--landmarks demo/train/template.csv demo/test/images --out found";
    place.run(&format!("{evaluated} {rest}")).success();
    assert!(place.file("found/overlays/001.png").exists());
}

#[test]
fn a_trained_encoder_matches_and_its_run_is_not_overwritten() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    let line = "train data/images --config small.toml --out new/encoder.onnx --steps 1";
    let object = place.run(&format!("{line} --json")).json();
    assert_eq!((&object["steps"], &object["images"]), (&1.into(), &5.into()));
    assert_eq!(object["run"], "new/encoder.run");
    assert!(place.read("new/encoder.onnx").len() <= 4 << 20);
    assert!(place.file("new/encoder.run/log.csv").exists());
    let reason = place.run(line).reason();
    assert!(reason.contains("new/encoder.run"), "{reason}");
    let resumed = "train data/images --out again.onnx --resume new/encoder.run --json";
    assert_eq!(place.run(resumed).json()["sha256"], object["sha256"]);
    let given = "--template data/images/0.png --landmarks data/landmarks.csv data/images --out found";
    place.run(&format!("match --model again.onnx {given}")).success();
}
