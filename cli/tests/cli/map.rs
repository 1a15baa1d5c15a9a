//! `infomark map`.

use crate::support::{SIZE, Workplace, png_size};

#[test]
fn the_pictures_and_the_thresholds_are_given() {
    let place = Workplace::new();
    let object = place.run("map data/images/1.png --out maps --json").json();
    let (medium, high) = (&object["thresholds_nats"]["medium"], &object["thresholds_nats"]["high"]);
    assert!(medium.as_f64() < high.as_f64());
    let least = object["entropy_nats"]["least"].as_f64().unwrap();
    let most = object["entropy_nats"]["most"].as_f64().unwrap();
    assert!(0.0 <= least && least < most && most <= 81.0_f64.ln() + 1e-9, "{object}");
    for tier in ["low", "medium", "high"] {
        let share = object["tier_shares"][tier].as_f64().unwrap();
        assert!((share - 1.0 / 3.0).abs() < 0.03, "{tier} {share}");
    }
    let files = object["files"].as_array().unwrap();
    assert_eq!(files.len(), 4);
    for file in files {
        let (width, height) = png_size(&place.read(file.as_str().unwrap()));
        assert!(width as usize > SIZE.0 && height as usize > SIZE.1);
    }
    assert!(place.file("maps/1.maps.png").exists());
}

#[test]
fn thresholds_and_cut_can_be_given() {
    let place = Workplace::new();
    let line = "map data/images/1.png --out maps -k 5 --medium 1 --high 2 --cut 1 --json";
    let object = place.run(line).json();
    assert_eq!(object["thresholds_nats"]["medium"], 1.0);
    assert_eq!(object["thresholds_from"], "options");
    assert_eq!(object["weighting"], "entropy >= 1");
    let reason = place.run("map data/images/1.png --medium 2 --high 1").reason();
    assert!(reason.contains("1.png") && reason.contains("2"), "{reason}");
    let reason = place.run("map data/images/1.png -k 0").reason();
    assert!(reason.contains("1.png"), "{reason}");
    let text = place.run("map data/images/1.png --out maps").success();
    assert!(text.contains("thresholds") && text.contains("maps/1.maps.png"), "{text}");
}
