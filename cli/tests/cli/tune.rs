//! `infomark tune`.

use crate::support::{SMALL, Workplace, png_size};

#[test]
fn a_tuned_policy_is_the_same_on_any_number_of_threads_and_taken_by_a_training() {
    let place = Workplace::new();
    let tune = |out: &str, threads: usize| {
        place
            .run(&format!("tune data/images --model encoder.onnx --out {out} --threads {threads} --json"))
            .json()
    };
    let object = tune("policy.toml", 1);
    tune("again.toml", 3);
    assert_eq!(place.read("policy.toml"), place.read("again.toml"));
    assert_eq!(place.read("policy.png"), place.read("again.png"));
    assert_eq!(png_size(&place.read("policy.png")).0, 1800);
    let svg = String::from_utf8(place.read("policy.svg")).unwrap();
    assert!(svg.contains("target ") && svg.contains("mutual information"), "the histograms");
    for tier in ["low", "medium", "high"] {
        let range = |factor: &str, end: usize| object[tier][factor][end].as_f64().unwrap();
        for factor in ["brightness", "contrast"] {
            assert!(range(factor, 0) <= 1.0 && 1.0 <= range(factor, 1), "{object}");
        }
        let shared = object[tier]["shared"].as_array().unwrap();
        assert!(shared.iter().any(|count| count.as_u64() > Some(0)), "{object}");
        assert!(object[tier]["target_nats"].as_f64().unwrap() > 0.0, "{object}");
    }
    place.write("small.toml", SMALL);
    let line = "train data/images --config small.toml --steps 1 --json";
    let tuned = place.run(&format!("{line} --out tuned.onnx --policy policy.toml")).json();
    let plain = place.run(&format!("{line} --out plain.onnx")).json();
    assert_ne!(tuned["sha256"], plain["sha256"]);
}

#[test]
fn bad_policies_and_options_are_named() {
    let place = Workplace::new();
    place.write("broken.toml", "low = 3\n");
    let tier = "brightness = [2.0, 0.5]\ncontrast = [0.5, 1.5]\n";
    place.write("turned.toml", format!("[low]\n{tier}[medium]\n{tier}[high]\n{tier}"));
    for name in ["broken.toml", "turned.toml", "missing.toml"] {
        let reason = place.run(&format!("train data/images --out x.onnx --steps 1 --policy {name}")).reason();
        assert!(reason.contains(name), "{reason}");
    }
    let reason = place.run("tune data/images --model encoder.onnx --out p.toml --quantile 2").reason();
    assert!(reason.contains("quantile"), "{reason}");
    let reason = place.run("tune data/images --model data/images/0.png --out p.toml").reason();
    assert!(reason.contains("0.png"), "{reason}");
    assert!(!place.file("p.toml").exists());
    let before = place.tree("data");
    for (out, named) in [
        // Its plots would be the image.
        ("data/images/0.toml", "data/images/0.png: "),
        ("data/images/0.tuned.toml", "data/images/0.tuned.toml: "),
        ("data/images/new.toml", "data/images/new.toml: "),
        ("encoder.onnx", "encoder.onnx: "),
        ("p.png", "p.png: "),
        ("data", "data: "),
    ] {
        let reason = place.run(&format!("tune data/images --model encoder.onnx --out {out}")).reason();
        assert!(reason.starts_with(named), "{out}: {reason}");
    }
    assert!(place.tree("data") == before, "no image is replaced");
    let reason = place.run("tune data/images --model encoder.onnx --out missing/p.toml").reason();
    assert!(reason.contains("missing/p.toml"), "{reason}");
}
