//! `infomark match`.

use crate::support::{SIZE, Workplace, png_size};

#[test]
fn a_template_is_found_in_itself() {
    let place = Workplace::new();
    place.run_match("data/images/0.png --out found").success();
    let read = |name: &str| {
        let text = String::from_utf8(place.read(name)).unwrap();
        let rows = text.lines().skip(1).filter(|row| row.starts_with("0.png,"));
        let rows = rows.map(|row| row.split(',').map(str::to_owned).collect::<Vec<_>>());
        rows.collect::<Vec<_>>()
    };
    let (truth, found) = (read("data/landmarks.csv"), read("found/landmarks.csv"));
    assert_eq!(truth.len(), found.len());
    let number = |text: &String| text.parse::<f64>().unwrap();
    for (truth, found) in truth.iter().zip(&found) {
        assert_eq!(truth[1], found[1]);
        let error = (number(&truth[2]) - number(&found[2])).hypot(number(&truth[3]) - number(&found[3]));
        assert!(error < 2.0, "{truth:?} {found:?}");
        assert!(number(&found[4]) > 0.8, "{found:?}");
    }
}

#[test]
fn the_landmarks_it_was_given_are_not_overwritten() {
    let place = Workplace::new();
    let before = place.read("data/landmarks.csv");
    let reason = place.run_match("data/images/0.png --out data").reason();
    assert!(reason.contains("landmarks.csv") && reason.contains("--out"), "{reason}");
    assert_eq!(place.read("data/landmarks.csv"), before);
}

#[test]
fn results_do_not_depend_on_threads() {
    let place = Workplace::new();
    place.run_match("data/images --out one --threads 1").success();
    place.run_match("data/images --out four --threads 4").success();
    let (one, four) = (place.tree("one"), place.tree("four"));
    assert_eq!(one.len(), 2 + 5);
    assert_eq!(one, four);
    let (width, height) = png_size(&place.read("one/overlays/3.png"));
    assert_eq!((width as usize, height as usize), SIZE, "overlays are in the image's own pixels");
}

#[test]
fn the_json_tells_what_was_done_with_what() {
    let place = Workplace::new();
    let object = place.run_match("data/images/1.png data/images/2.png --out found --json").json();
    let file: serde_json::Value = serde_json::from_slice(&place.read("found/landmarks.json")).unwrap();
    assert_eq!(object, file);
    assert_eq!(object["template"]["image"], "0.png");
    assert_eq!(object["model"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(object["images"][1]["image"], "2.png");
    assert_eq!(object["images"][1]["width"], SIZE.0);
    assert_eq!(object["images"][1]["landmarks"][0]["landmark"], "sella");
}

#[test]
fn images_of_one_name_keep_their_overlays_apart() {
    let place = Workplace::new();
    place.make_data("other", 2, 8);
    place.run_match("data/images/1.png other/images --out found").success();
    let files = place.tree("found");
    let overlays: Vec<_> = files.keys().filter(|path| path.starts_with("overlays")).collect();
    assert_eq!(overlays.len(), 3);
    let table = String::from_utf8(place.read("found/landmarks.csv")).unwrap();
    assert!(table.contains("\ndata/images/1.png,sella,"), "{table}");
    assert!(table.contains("\nother/images/1.png,sella,"), "{table}");
    assert!(table.contains("\n0.png,sella,"), "{table}");
}

#[test]
fn one_bad_image_does_not_stop_the_others() {
    let place = Workplace::new();
    place.write("bad.png", "nothing");
    let outcome = place.run_match("data/images/1.png bad.png missing.png data/images/2.png --out found");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{outcome:?}");
    assert!(lines[0].contains("bad.png") && lines[1].contains("missing.png"), "{outcome:?}");
    assert!(lines[2].starts_with("error: 2 of 4 images failed"), "{outcome:?}");
    let table = String::from_utf8(place.read("found/landmarks.csv")).unwrap();
    assert!(table.contains("\n1.png,") && table.contains("\n2.png,"), "{table}");
}

#[test]
fn an_earlier_result_leaves_no_overlay_behind() {
    let place = Workplace::new();
    place.run_match("data/images/1.png data/images/2.png --out found").success();
    assert_eq!(place.tree("found/overlays").len(), 2);
    place.write("bad.png", "nothing");
    assert_eq!(place.run_match("bad.png --out found").code, Some(1));
    assert_eq!(place.tree("found/overlays").len(), 0);
    assert!(!place.file("found/landmarks.partial.jsonl").exists());
}

#[test]
fn points_are_kept_where_the_overlay_cannot_be_written() {
    let place = Workplace::new();
    // A folder stands in the overlay's place.
    std::fs::create_dir_all(place.file("found/overlays/2.png/x")).unwrap();
    let outcome = place.run_match("data/images/1.png data/images/2.png --out found");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("1 of 2 images failed"), "{outcome:?}");
    let table = String::from_utf8(place.read("found/landmarks.csv")).unwrap();
    assert!(table.contains("\n1.png,") && table.contains("\n2.png,"), "{table}");
}

#[test]
fn what_was_done_is_not_done_again_unless_something_changed() {
    let place = Workplace::new();
    std::fs::create_dir(place.file("new")).unwrap();
    let copy = |from: &str, to: &str| place.write(to, place.read(from));
    copy("data/images/1.png", "new/1.png");
    copy("data/images/2.png", "new/2.png");
    place.write("new/3.png", "not yet copied");
    assert_eq!(place.run_match("new --out found").code, Some(1));
    assert!(place.file("found/landmarks.partial.jsonl").exists());
    // Whoever makes an overlay again would replace these.
    place.write("found/overlays/1.png", "kept");
    place.write("found/overlays/2.png", "kept");
    copy("data/images/3.png", "new/3.png");
    copy("data/images/4.png", "new/2.png");
    // A kill cuts the last line off.
    let mut lines = place.read("found/landmarks.partial.jsonl");
    lines.extend(b"{\"file_sha256\":\"12");
    place.write("found/landmarks.partial.jsonl", lines);
    place.run_match("new --out found").success();
    assert!(!place.file("found/landmarks.partial.jsonl").exists());
    assert_eq!(place.read("found/overlays/1.png"), b"kept");
    assert_ne!(place.read("found/overlays/2.png"), b"kept");
    place.run_match("new --out fresh").success();
    for name in ["landmarks.csv", "landmarks.json", "overlays/2.png", "overlays/3.png"] {
        assert_eq!(place.read(&format!("found/{name}")), place.read(&format!("fresh/{name}")), "{name}");
    }
    // Other options, other results: nothing is taken over.
    place.write("new/5.png", "bad");
    assert_eq!(place.run_match("new --out found").code, Some(1));
    place.write("found/overlays/1.png", "kept");
    assert_eq!(place.run_match("new --out found --no-prior").code, Some(1));
    assert_ne!(place.read("found/overlays/1.png"), b"kept");
}

#[test]
fn an_image_beyond_the_time_limit_fails_and_a_limit_has_to_be_one() {
    let place = Workplace::new();
    let outcome = place.run_match("data/images/1.png --out found --time-limit 0.000001");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("1.png: not done within the time limit"), "{outcome:?}");
    assert!(outcome.stderr.contains("1 of 1 images failed"), "{outcome:?}");
    place.run_match("data/images/1.png --out found --time-limit 600").success();
    for limit in ["0", "-1", "nan", "1e300"] {
        let reason = place.run_match(&format!("data/images/1.png --out found --time-limit {limit}")).reason();
        assert!(reason.contains("--time-limit"), "{reason}");
    }
}
