//! The model that comes with the program, given what it was not made for.

use std::path::Path;

use infomark_core::Rng;

use crate::support::{Workplace, encode};

const SIDE: usize = 400;

fn grey(level: impl FnMut(usize) -> u8) -> Vec<u8> {
    let levels: Vec<u8> = (0..SIDE * SIDE).map(level).collect();
    encode((SIDE, SIDE), &levels, image::ExtendedColorType::L8)
}

/// The model's template, and its network.
const WAYS: [(&str, &str); 2] = [("--model ceph --template ceph", "template"), ("--model ceph", "network")];
/// Landmarks of both.
const LANDMARKS: usize = 19;

/// What is said of an image: whether it is recognised, and whether all of its points are abstained from.
fn told(object: &serde_json::Value, index: usize) -> (bool, bool) {
    let image = &object["images"][index];
    let points = image["landmarks"].as_array().unwrap();
    assert_eq!(points.len(), LANDMARKS, "{image}");
    let abstained = points.iter().all(|point| point["abstain"] == true);
    (image["recognition"]["recognised"].as_bool().unwrap(), abstained)
}

#[test]
fn the_head_model_abstains_from_noise_and_from_a_nearly_blank_image() {
    let place = Workplace::new();
    let mut rng = Rng::new(11, 0);
    place.write("strange/noise.png", grey(|_| rng.below(256) as u8));
    place.write("strange/point.png", grey(|i| 120 + u8::from(i == 77)));
    for (way, kind) in WAYS {
        let outcome = place.run(&format!("match {way} strange --out found-{kind} --json"));
        for name in ["noise.png", "point.png"] {
            assert!(outcome.stderr.contains(&format!("warning: {name} ")), "{outcome:?}");
        }
        let object = outcome.json();
        for index in 0..2 {
            assert_eq!(told(&object, index), (false, true), "{}", object["images"][index]["image"]);
        }
    }
    // An image of one level shows nothing at all.
    place.write("blank.png", grey(|_| 120));
    let reason = place.run("match --model ceph --template ceph blank.png --out found");
    assert_eq!(reason.code, Some(1), "{reason:?}");
    assert!(reason.stderr.contains("blank.png"), "{reason:?}");
}

#[test]
#[ignore = "needs real radiographs: INFOMARK_DATA"]
fn real_radiographs_of_heads_are_recognised_and_chests_abstained_from() {
    let root = std::env::var_os("INFOMARK_DATA").expect("INFOMARK_DATA names the folder of real radiographs");
    let folder = |name: &str| Path::new(&root).join(name).join("images");
    let place = Workplace::new();
    for (name, heads) in [("ceph-dev", true), ("chest-dev", false)] {
        let mut files: Vec<_> = folder(name).read_dir().unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files.iter().take(2) {
            let bytes = std::fs::read(file).unwrap();
            place.write(&format!("{name}/{}", file.file_name().unwrap().to_str().unwrap()), bytes);
        }
        for (way, kind) in WAYS {
            let object = place.run(&format!("match {way} {name} --out found-{name}-{kind} --json")).json();
            for index in 0..2 {
                let told = told(&object, index);
                assert_eq!(told, (heads, !heads), "{}", object["images"][index]["image"]);
            }
        }
    }
}
