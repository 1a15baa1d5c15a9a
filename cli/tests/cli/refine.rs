//! Query expansion: template features averaged with their matches in unlabelled images.

use crate::support::Workplace;

const TEMPLATE: &str = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";

#[test]
fn a_refined_template_tells_what_it_was_refined_with_and_does_not_depend_on_threads() {
    let place = Workplace::new();
    place.make_data("more", 6, 3);
    let line = "template data/images/0.png --landmarks data/landmarks.csv --model encoder.onnx";
    let told = place.run(&format!("{line} --refine more/images --out refined.template --json")).json();
    let plain = place.run(&format!("{line} --out plain.template --json")).json();
    assert_ne!(told["sha256"], plain["sha256"]);
    assert!(plain["template"]["refined"].is_null());
    let refined = &told["template"]["refined"];
    assert_eq!((&refined["images"], &refined["template_sha256"]), (&6.into(), &told["sha256"]));
    assert_eq!(refined["images_sha256"].as_str().unwrap().len(), 64);
    place.run(&format!("{line} --refine more/images --out again.template --threads 1")).success();
    assert_eq!(place.read("refined.template"), place.read("again.template"));

    // From the file and at once: the same points.
    place.run("match --model encoder.onnx --template refined.template data/images --out file").success();
    let line = format!("match {TEMPLATE} data/images --refine more/images");
    let object = place.run(&format!("{line} --out found --json")).json();
    assert_eq!(object["templates"][0]["refined"], *refined);
    assert_eq!(place.read("file/landmarks.csv"), place.read("found/landmarks.csv"));
    place.run(&format!("match {TEMPLATE} data/images --out plain")).success();
    assert_ne!(place.read("plain/landmarks.csv"), place.read("found/landmarks.csv"));
    let text =
        place.run("evaluate --model encoder.onnx --data data --refine more/images --refine-images 4 --json");
    assert_eq!(text.json()["refined"]["images"], 4);
}

#[test]
fn a_calibration_is_of_the_refined_template_or_of_the_plain_one() {
    let place = Workplace::new();
    place.make_data("labelled", 6, 3);
    let refine = "--refine labelled/images";
    place.run(&format!("calibrate labelled {TEMPLATE} {refine} --out c.json")).success();
    let line = format!("match {TEMPLATE} data/images/1.png --calibration c.json --coverage 0.5");
    place.run(&format!("{line} {refine} --out refined")).success();
    let reason = place.run(&format!("{line} --out plain")).reason();
    assert!(reason.contains("c.json"), "{reason}");
}

#[test]
fn images_that_cannot_refine_are_named() {
    let place = Workplace::new();
    place.make_data("more", 3, 3);
    place.write("more/images/broken.png", b"no picture");
    let line = format!("match {TEMPLATE} data/images");
    let outcome = place.run(&format!("{line} --refine more/images --out found"));
    assert!(outcome.stderr.contains("broken.png"), "{outcome:?}");
    outcome.success();

    place.write_noise("noise/0.png");
    place.write_noise("noise/1.png");
    std::fs::create_dir(place.file("empty")).unwrap();
    let template = "template data/images/0.png --landmarks data/landmarks.csv --model encoder.onnx";
    place.run(&format!("{template} --refine more/images/0.png --out refined.template")).success();
    for (rest, words) in [
        (format!("{line} --refine noise"), &["--refine noise"][..]),
        (format!("{line} --refine empty"), &["empty"]),
        (format!("{line} --refine nowhere"), &["nowhere"]),
        (format!("{line} --refine more/images --refine-images 0"), &["--refine-images 0"]),
        (
            "match --model encoder.onnx --template refined.template data/images --refine more/images"
                .to_owned(),
            &["--refine", "0.png"],
        ),
    ] {
        let reason = place.run(&format!("{rest} --out other")).reason();
        assert!(words.iter().all(|word| reason.contains(word)), "{rest}: {reason}");
    }
    let reason = place.run(&format!("{template} --refine more/images --out more/images/0.png")).reason();
    assert!(reason.contains("0.png"), "{reason}");
}
