//! `infomark experiment`.

use std::fs;
use std::path::Path;

use crate::support::{Workplace, png_size};

/// The committed experiment that takes seconds.
fn smoke() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/smoke.toml");
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_experiment_trains_scores_and_compares_and_does_nothing_twice() {
    let place = Workplace::new();
    place.write("smoke.toml", smoke());
    let line = "experiment smoke.toml --data . --out out";
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("4 trainings, 4 of them to do"), "{planned}");
    assert!(planned.contains("tuned with uniform"), "{planned}");
    assert!(!place.file("out").exists(), "a dry run writes nothing");

    // One arm first: the other stays missing, and is named.
    let object = place.run(&format!("{line} --only uniform --json")).json();
    assert_eq!(object["arms"][0]["results"][0]["seeds"], serde_json::json!([0, 1]));
    assert_eq!(object["arms"][1]["results"], serde_json::json!([]));
    assert_eq!(object["missing"].as_array().unwrap().len(), 2, "{object}");

    let object = place.run(&format!("{line} --json")).json();
    let result = &object["arms"][1]["results"][0];
    let mre = result["mre_mm"].as_f64().unwrap();
    let of_seeds: Vec<f64> =
        result["mre_mm_of_seeds"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!((of_seeds.iter().sum::<f64>() / 2.0 - mre).abs() < 1e-3, "{result}");
    let [low, high] = [0, 1].map(|end| result["mre_mm_interval"][end].as_f64().unwrap());
    assert!(low <= mre && mre <= high, "{result}");
    assert!(result["difference_to_first_mm"].is_number(), "{result}");
    for run in result["runs"].as_array().unwrap() {
        assert!(run["config"]["policy"]["high"]["brightness"].is_array(), "{run}");
        assert_eq!(run["steps"], 6);
        assert_eq!(run["encoder_sha256"].as_str().unwrap().len(), 64);
    }
    assert_eq!(object["data"][0]["training_images"], 5);
    assert!(object["commit"].is_null(), "the folder is no work tree");
    assert!(object["version"].is_string() && object["file_sha256"].is_string());

    let table = String::from_utf8(place.read("out/table.md")).unwrap();
    assert!(table.contains("| uniform | 2 |") && table.contains("| tuned | 2 |"), "{table}");
    let rows = String::from_utf8(place.read("out/table.csv")).unwrap();
    assert_eq!(rows.lines().filter(|row| row.starts_with("phantom,tuned,")).count(), 8, "{rows}");
    for name in ["mre", "sdr", "loss"] {
        assert_eq!(png_size(&place.read(&format!("out/{name}.png"))).0, 1800);
        let svg = String::from_utf8(place.read(&format!("out/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("tuned"), "{name}");
    }

    // Nothing is trained again, and all files come out the same.
    let before = place.tree("out");
    let text = place.run(line).success();
    assert_eq!(text.matches("(done before)").count(), 4, "{text}");
    assert!(place.tree("out") == before, "a second run changes files");
}

#[test]
fn an_interrupted_training_goes_on_and_a_changed_arm_is_trained_again() {
    let place = Workplace::new();
    place.write("smoke.toml", smoke());
    let line = "experiment smoke.toml --data . --out out --only uniform";
    place.run(line).success();
    let folder = "out/runs/phantom/uniform/seed-0";
    let encoder = place.read(&format!("{folder}/encoder.onnx"));
    // As if it had been killed at the end of the training.
    fs::remove_file(place.file(&format!("{folder}/trained.json"))).unwrap();
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("interrupted: go on, score"), "{planned}");
    place.run(line).success();
    assert_eq!(place.read(&format!("{folder}/encoder.onnx")), encoder);
    // Another option: only what it changes is done.
    place.write("smoke.toml", smoke().replace("steps = 6", "steps = 5"));
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("2 trainings, 2 of them to do"), "{planned}");
    let before = place.tree("out");
    let reason = place.run(line).reason();
    assert!(reason.contains("--changed") && reason.contains("experiment.toml"), "{reason}");
    assert!(place.tree("out") == before, "a changed file touches nothing unasked");
    let line = "experiment smoke.toml --data . --out out --only uniform --changed";
    place.run(line).success();
    assert_ne!(place.read(&format!("{folder}/encoder.onnx")), encoder);
    // Another way to score: encoders stay.
    let encoder = place.read(&format!("{folder}/encoder.onnx"));
    place.write("smoke.toml", smoke().replace("steps = 6", "steps = 5").replace("[2.0, 4.0]", "[3.0]"));
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert_eq!(planned.matches("trained: score").count(), 2, "{planned}");
    let object = place.run(&format!("{line} --json")).json();
    assert!(object["arms"][0]["results"][0]["sdr"]["3"].is_number(), "{object}");
    assert_eq!(place.read(&format!("{folder}/encoder.onnx")), encoder);
}

#[test]
fn a_training_that_another_process_is_at_is_left_alone() {
    let place = Workplace::new();
    place.write("smoke.toml", smoke());
    let folder = "out/runs/phantom/uniform/seed-0";
    place.write(&format!("{folder}/lock"), "");
    place.write(&format!("{folder}/encoder.run/log.csv"), "of another");
    let lock = fs::File::open(place.file(&format!("{folder}/lock"))).unwrap();
    lock.lock().unwrap();
    let line = "experiment smoke.toml --data . --out out --only uniform";
    let reason = place.run(line).reason();
    assert!(reason.contains(folder), "{reason}");
    assert_eq!(place.read(&format!("{folder}/encoder.run/log.csv")), b"of another");
}

#[test]
fn what_is_wrong_in_an_experiment_is_named() {
    let place = Workplace::new();
    let smoke = smoke();
    for (wrong, right, named) in [
        ("pixels = 0", "pixels = 16", "pixels"),
        ("pixel = 16", "pixels = 16", "pixel"),
        ("tuned_with = \"tuned\"", "tuned_with = \"uniform\"", "tuned_with tuned"),
        ("templates = 0", "templates = 2", "templates"),
        ("templates = 6", "templates = 2", "data"),
        ("seeds = [1, 1]", "seeds = [0, 1]", "seeds"),
        ("name = \"tuned/x\"", "name = \"tuned\"", "tuned/x"),
        ("train = \"nowhere\"", "train = \"data\"", "nowhere"),
        ("seed = 3\nbatch = 2", "batch = 2", "seeds = [...]"),
        ("policy = \"best\"", "policy = \"tuned\"", "best"),
    ] {
        let text = smoke.replace(right, wrong);
        assert_ne!(text, smoke, "{wrong}");
        place.write("wrong.toml", text);
        let reason = place.run("experiment wrong.toml --data . --out out").reason();
        assert!(reason.contains(named), "{wrong}: {reason}");
        assert!(!place.file("out").exists(), "{wrong}");
    }
    let arm = "\n[[arm]]\nname = \"network\"\nnetwork = { images = 6 }\n";
    place.write("wrong.toml", smoke.clone() + arm);
    let reason = place.run("experiment wrong.toml --data . --out out --dry-run").reason();
    assert!(reason.contains("images 6") && reason.contains("arm network"), "{reason}");
    let reason = place.run("experiment missing.toml --out out").reason();
    assert!(reason.contains("missing.toml"), "{reason}");
    place.write("smoke.toml", smoke);
    let reason = place.run("experiment smoke.toml --data . --out out --only nobody").reason();
    assert!(reason.contains("nobody") && reason.contains("uniform"), "{reason}");
}

#[test]
fn the_committed_experiments_are_valid() {
    let place = Workplace::new();
    place.write("ceph.onnx", place.read("encoder.onnx"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let experiment: toml::Table = text.parse().unwrap();
            for data in experiment["data"].as_array().unwrap() {
                for folder in ["train", "dev"].map(|key| data[key].as_str().unwrap()) {
                    if !place.file(folder).exists() {
                        // As many as arms draw from it.
                        place.make_data(folder, if folder.contains("train") { 25 } else { 2 }, 0);
                    }
                }
            }
            place.write("experiment.toml", text);
            let text = place.run("experiment experiment.toml --data . --out out --dry-run").success();
            assert!(text.contains("to do"), "{}: {text}", path.display());
            files += 1;
        }
    }
    assert!(files >= 4, "{files}");
}
