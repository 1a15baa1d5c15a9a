//! The wording of errors, in one place: the other tests check codes, files and options alone.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use image::ExtendedColorType::Rgb8;
use infomark_tests::infer_nifti::nifti;

use crate::support::{SIZE, Workplace, encode, png};

/// Set to 1 to write [`FILE`] anew.
const BLESS: &str = "INFOMARK_BLESS";
/// The messages, a block for each command line.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/messages.txt");

/// One mistake each.
const LINES: [&str; 24] = [
    "match --model encoder.onnx --template data/images/0.png data/images --out none",
    "match --model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv missing.png text.png --out found",
    "match --model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv data/images --out data",
    "match --model encoder.onnx --template data/images/0.png --landmarks twice.csv data/images --out none",
    "match --model encoder.onnx --template data --templates 9 data/images --out none",
    "match --model encoder.onnx --template cut.template data/images --out none",
    "match --model missing.onnx --template data data/images --out none",
    "match --model empty.onnx --template data data/images --out none",
    "match --landmark-model encoder.onnx data/images --out none",
    "map text.png",
    "map colour.png",
    "map dot.png",
    "map volume.nii",
    "evaluate --model encoder.onnx --data nowhere",
    "evaluate --model encoder.onnx --data unscaled",
    "select data/images --model encoder.onnx --count 7",
    "train nothing --out new.onnx --steps 1",
    "train data/images --out data/images/0.png --steps 1",
    "train data/images --out new.onnx --resume nowhere",
    "train-landmarks data --from encoder.onnx --out new.onnx --steps 1",
    "tune data/images --model encoder.onnx --out p.toml --quantile 2",
    "report data",
    "convert data/landmarks.csv --out points.json",
    "experiment smoke.toml --data . --out out --only nobody",
];

fn make_mistakes(place: &Workplace) {
    let colour: Vec<u8> = (0..SIZE.0 * SIZE.1 * 3).map(|at| (at % 251) as u8).collect();
    place.write("colour.png", encode(SIZE, &colour, Rgb8));
    place.write("dot.png", png((1, 1), &[7]));
    place.write("text.png", "not an image");
    let line =
        "template data/images/0.png --landmarks data/landmarks.csv --model encoder.onnx --out cut.template";
    place.run(line).success();
    let whole = place.read("cut.template");
    place.write("cut.template", &whole[..whole.len() - 7]);
    place.write("empty.onnx", "");
    place.write("volume.nii", nifti(&[40, 36, 2], 2, &[0; 40 * 36 * 2]));
    place.write("twice.csv", "image,landmark,x,y\n0.png,sella,1,4\n0.png,sella,2,4\n");
    place.write("unscaled/dataset.toml", "landmarks = [\"sella\"]\n");
    let experiment = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/smoke.toml");
    place.write("smoke.toml", fs::read(experiment).unwrap());
    fs::create_dir(place.file("nothing")).unwrap();
}

#[test]
fn messages_are_as_they_were_reviewed() {
    let place = Workplace::new();
    make_mistakes(&place);
    let here = place.path().display().to_string();
    let mut found = String::new();
    for line in LINES {
        let outcome = place.run(line);
        assert_eq!(outcome.code, Some(1), "{line}: {outcome:?}");
        assert!(!outcome.stderr.is_empty(), "{line}");
        let stderr = outcome.stderr.replace(&here, "FOLDER").replace('\\', "/");
        writeln!(found, "$ infomark {line}\n{stderr}").unwrap();
    }
    if std::env::var_os(BLESS).is_some_and(|value| value == "1") {
        fs::write(FILE, &found).unwrap();
    }
    let expected = fs::read_to_string(FILE).unwrap_or_default().replace("\r\n", "\n");
    assert!(
        found == expected,
        "The messages are not those of {}:\n\n{found}\nWhere the new wording is meant, {BLESS}=1 writes it there.",
        Path::new(FILE).display()
    );
}
