//! `infomark psi`.

use crate::support::{Workplace, png_size};

#[test]
fn the_curve_is_drawn_and_written_and_says_what_made_it() {
    let place = Workplace::new();
    let object = place.run("psi data/images --model encoder.onnx --out psi --views 4 --json").json();
    assert_eq!(object["images"], 5);
    assert_eq!(object["encoder_sha256"].as_str().unwrap().len(), 64);
    assert!(object["version"].is_string() && object["images_sha256"].is_string());
    let [medium, high] = [0, 1].map(|end| object["quantile_thresholds"][end].as_f64().unwrap());
    assert!(0.0 < medium && medium < high && high < 81_f64.ln(), "{object}");
    let table = String::from_utf8(place.read("psi/psi.csv")).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().skip(1).map(|row| row.split(',').collect()).collect();
    let bins = object["bins"].as_array().unwrap();
    assert_eq!(rows.len(), bins.len());
    for (row, bin) in rows.iter().zip(bins) {
        assert_eq!(row[2], bin["pixels"].to_string());
        assert_eq!(row[3].is_empty(), bin["psi"].is_null());
    }
    assert_eq!(png_size(&place.read("psi/psi.png")).0, 1800);
    let svg = String::from_utf8(place.read("psi/psi.svg")).unwrap();
    assert!(svg.contains("entropy of the 9 x 9 patch in nats"));
    let text = place.run("psi data/images --model encoder.onnx --out psi --views 4").success();
    assert!(text.contains("quantiles: medium from"), "{text}");
}

#[test]
fn bad_options_of_a_curve_are_named() {
    let place = Workplace::new();
    place.write("broken.toml", "alpha = \"much\"\n");
    for (rest, named) in [
        ("--model encoder.onnx --out psi --views 0", "views"),
        ("--model encoder.onnx --out psi --config broken.toml", "broken.toml"),
        ("--model missing.onnx --out psi", "missing.onnx"),
    ] {
        let reason = place.run(&format!("psi data/images {rest}")).reason();
        assert!(reason.contains(named), "{reason}");
    }
}
