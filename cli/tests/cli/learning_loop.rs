//! `infomark loop` with images that can't be read, and on a disk that is full.

use std::process::{Command, Stdio};

use crate::support::{Workplace, encode, png, words};

const LINE: &str = "loop data/images --landmarks corrected.csv --model encoder.onnx --out set";

/// A place whose first images are corrected.
fn place(corrected: usize) -> Workplace {
    let place = Workplace::new();
    correct(&place, corrected);
    place
}

fn correct(place: &Workplace, images: usize) {
    let table = String::from_utf8(place.read("data/landmarks.csv")).unwrap();
    let of_image = |line: &str| line.split(',').next().unwrap().strip_suffix(".png").map(str::to_owned);
    let kept = |line: &&str| of_image(line).is_none_or(|name| name.parse::<usize>().unwrap() < images);
    let rows: Vec<&str> = table.lines().filter(kept).collect();
    place.write("corrected.csv", rows.join("\n") + "\n");
}

#[test]
fn images_that_cannot_be_read_fail_alone_and_are_named() {
    let place = place(1);
    let colour: Vec<u8> = (0..64 * 64).flat_map(|i| [(i % 251) as u8, 0, 9]).collect();
    let wide: Vec<u8> = (0..64 * 64).flat_map(|i| ((i % 251) as u16 * 257).to_be_bytes()).collect();
    place.write("data/images/colour.png", encode((64, 64), &colour, image::ExtendedColorType::Rgb8));
    place.write("data/images/deep.png", encode((64, 64), &wide, image::ExtendedColorType::L16));
    place.write("data/images/tiny.png", png((1, 1), &[7]));
    place.write("data/images/cut.png", &place.read("data/images/3.png")[..200]);
    place.write("data/images/wide.png", png((40_000, 40), &vec![5; 40_000 * 40]));
    place.run(LINE).success();
    let told: serde_json::Value = serde_json::from_slice(&place.read("set/loop.json")).unwrap();
    let failed: Vec<(&str, &str)> = told["failed"]
        .as_array()
        .unwrap()
        .iter()
        .map(|failed| (failed["image"].as_str().unwrap(), failed["error"].as_str().unwrap()))
        .collect();
    let names: Vec<&str> = failed.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["colour.png", "cut.png", "tiny.png", "wide.png"], "{told}");
    assert!(failed.iter().all(|(name, error)| error.contains(name) && error.lines().count() == 1), "{told}");
    // The others have proposals, and are what is corrected next.
    assert_eq!(told["proposed"], 5, "{told}");
    let next = String::from_utf8(place.read("set/next.csv")).unwrap();
    assert_eq!(next.lines().count(), 6, "{next}");
    assert!(!names.iter().any(|name| next.contains(name)), "{next}");
    // One that has landmarks has to be readable.
    let table = String::from_utf8(place.read("corrected.csv")).unwrap();
    place.write("corrected.csv", table + "tiny.png,sella,0,0\n");
    let reason = place.run(LINE).reason();
    assert!(reason.starts_with("data/images/tiny.png: 1 x 1 pixels"), "{reason}");
}

#[test]
fn points_that_are_left_where_they_were_proposed_are_told_from_placed_ones() {
    let place = place(1);
    place.run(LINE).success();
    // The next image as it was proposed, but for one point.
    let table = String::from_utf8(place.read("set/landmarks.csv")).unwrap();
    let proposed: Vec<Vec<&str>> = table.lines().map(|line| line.split(',').collect()).collect();
    let mut corrected = String::from_utf8(place.read("corrected.csv")).unwrap();
    for (index, row) in proposed.iter().filter(|row| row[0] == "1.png").enumerate() {
        assert_eq!(row[4], "templates");
        let x = if index == 0 { "20.25" } else { row[2] };
        corrected += &format!("{},{},{x},{}\n", row[0], row[1], row[3]);
    }
    place.write("corrected.csv", corrected);
    // A second time nothing is forgotten.
    for _ in 0..2 {
        place.run(LINE).success();
        let table = String::from_utf8(place.read("set/landmarks.csv")).unwrap();
        let sources = |image: &str| -> Vec<String> {
            let rows = table.lines().map(|line| line.split(',').collect::<Vec<_>>());
            rows.filter(|row| row[0] == image).map(|row| row[4].to_owned()).collect()
        };
        assert!(sources("0.png").iter().all(|source| source == "corrected"), "{table}");
        let second = sources("1.png");
        assert_eq!(second[0], "corrected", "{table}");
        assert!(second.len() > 1 && second[1..].iter().all(|source| source == "accepted"), "{table}");
    }
    place.write("set/landmarks.csv", "image,landmark,x,y\n1.png,a,1,2\n");
    let reason = place.run(LINE).reason();
    assert!(reason.starts_with("set/landmarks.csv: not the table of an earlier run"), "{reason}");
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_by_the_file_and_leaves_what_was_written() {
    let place = place(1);
    place.run(LINE).success();
    let before = place.tree("set");
    correct(&place, 2);
    // A table is longer than the largest file that is allowed, the other files are not.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_infomark")])
        .args(words(LINE))
        .current_dir(place.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(1), "{said}");
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error: ")).collect();
    assert!(matches!(errors[..], [error] if error.starts_with("error: set/landmarks.csv: ")), "{said}");
    let after = place.tree("set");
    for (path, bytes) in &before {
        let is_record = path.to_string_lossy().starts_with("rounds.");
        assert!(is_record || after.get(path) == Some(bytes), "{path:?} was changed");
    }
    assert_eq!(
        after.len(),
        before.len(),
        "nothing is left of files that were not completed: {:?}",
        after.keys()
    );
    place.run(LINE).success();
    let table = String::from_utf8(place.read("set/landmarks.csv")).unwrap();
    assert!(table.lines().any(|line| line.starts_with("1.png,") && line.contains(",corrected,")), "{table}");
}
