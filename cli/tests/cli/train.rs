//! `infomark train`: what it leaves in the folder of the run.

use crate::support::{SMALL, Workplace, png_size};

#[test]
fn a_run_leaves_views_curves_and_scores() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    let line = "train data/images --config small.toml --out a.onnx --steps 12";
    let text = place.run(&format!("{line} --score-data data --score-templates 2")).success();
    assert!(text.contains(", MRE ") && text.contains("checkpoints, log and plots: a.run"), "{text}");
    let (width, height) = png_size(&place.read("a.run/views.png"));
    assert!(width > 500 && height > 900, "three rows of views, {width} x {height}");
    assert_eq!(png_size(&place.read("a.run/loss.png")).0, 1800);
    let svg = String::from_utf8(place.read("a.run/loss.svg")).unwrap();
    assert!(svg.contains("stride 32") && svg.contains("mean cosine"), "both charts");
    assert_eq!(png_size(&place.read("a.run/psi.png")).0, 1800);
    let scores = String::from_utf8(place.read("a.run/scores.csv")).unwrap();
    assert!(scores.starts_with("step,mre_mm\n12,"), "{scores}");
}

#[test]
fn one_command_samples_estimates_and_goes_on_with_what_it_found() {
    let place = Workplace::new();
    // Large enough for patches of 64 pixels.
    place.write("small.toml", format!("{SMALL}checkpoint_every = 2\n"));
    let line = "train data/images --config small.toml --steps 6 --estimate-intensity --json --out";
    let object = place.run(&format!("{line} a.onnx")).json();
    let policy = String::from_utf8(place.read("a.run/policy.toml")).unwrap();
    assert!(policy.contains("[medium]") && policy.contains("target_nats"), "{policy}");
    assert_eq!(png_size(&place.read("a.run/policy.png")).0, 1800);
    // The same to the bit on other threads, and resumed from before and after the estimation.
    let again = place.run(&format!("{line} b.onnx --threads 3")).json();
    assert_eq!(object["sha256"], again["sha256"]);
    let plain = place.run("train data/images --config small.toml --steps 6 --json --out c.onnx").json();
    assert_ne!(object["sha256"], plain["sha256"]);
    assert!(!place.file("c.run/policy.toml").exists());
    let reason = place.run(&format!("{line} d.onnx --policy a.run/policy.toml"));
    assert_eq!(reason.code, Some(2), "two policies: {reason:?}");
    // Too small for patches of 64 pixels: said before anything is trained.
    place.write("tiny.toml", SMALL.replace("12288", "6144"));
    let line = "train data/images --config tiny.toml --steps 9 --estimate-intensity --out e.onnx";
    let reason = place.run(line).reason();
    assert!(reason.contains("data/images") && !place.file("e.run/log.csv").exists(), "{reason}");
}

#[test]
fn what_a_training_reads_is_not_replaced() {
    let place = Workplace::new();
    place.write("options.toml", "batch = 2\n");
    let reason = place.run("train data/images --out options.toml --steps 1 --config options.toml").reason();
    assert!(reason.starts_with("options.toml: ") && reason.contains("--out"), "{reason}");
    let line = "train-landmarks data --out options.toml --steps 1 --config options.toml";
    let reason = place.run(line).reason();
    assert!(reason.starts_with("options.toml: ") && reason.contains("--out"), "{reason}");
    assert_eq!(place.read("options.toml"), b"batch = 2\n");
}

#[test]
fn options_of_scores_are_explained() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    let line = "train data/images --config small.toml --out a.onnx --steps 2";
    let reason = place.run(&format!("{line} --score-data nowhere")).reason();
    assert!(reason.contains("nowhere"), "{reason}");
    let reason = place.run(&format!("{line} --score-data data --score-templates 0")).reason();
    assert!(reason.starts_with("data: "), "{reason}");
}

#[test]
fn a_training_says_where_it_computes() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    let line = "train data/images --config small.toml --steps 1";
    let json = place.run(&format!("{line} --out a.onnx --device cpu --json")).json();
    assert_eq!(json["scoring_and_loss"], "CPU");
    let checkpoint = String::from_utf8(place.read("a.run/checkpoint.json")).unwrap();
    assert!(checkpoint.contains("\"scoring_and_loss\": \"CPU\""), "{checkpoint}");
    let text = place.run("train data/images --out a.onnx --resume a.run").success();
    assert!(text.contains("scoring, views and loss: CPU"), "{text}");
}

#[test]
#[cfg(not(feature = "cuda"))]
fn a_device_that_is_asked_for_and_cannot_be_had_is_an_error() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    let reason =
        place.run("train data/images --config small.toml --steps 1 --out a.onnx --device cuda").reason();
    assert!(reason.contains("--device cpu"), "{reason}");
    assert!(!place.file("a.onnx").exists(), "nothing is trained elsewhere instead");
}
