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
    let (one, four) = (place.result("one"), place.result("four"));
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
    assert_eq!(object["templates"][0]["image"], "0.png");
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
    assert!(lines[2].starts_with("error: 2 of 4 "), "{outcome:?}");
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
    let files: Vec<_> = place.result("found").into_keys().collect();
    assert_eq!(files, ["errors.csv", "landmarks.csv", "landmarks.json"].map(std::path::PathBuf::from));
    assert_eq!(place.run_folder("found"), None);
}

#[test]
fn points_are_kept_where_the_overlay_cannot_be_written() {
    let place = Workplace::new();
    assert_eq!(place.run_match("data/images/1.png missing.png --out found").code, Some(1));
    // A folder stands in the overlay's place.
    std::fs::create_dir_all(place.run_folder("found").unwrap().join("overlays/2.png/x")).unwrap();
    let outcome = place.run_match("data/images/1.png data/images/2.png --out found");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("error: 1 of 2 "), "{outcome:?}");
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
    let run = place.run_folder("found").unwrap();
    let keep = |name: &str| std::fs::write(run.join("overlays").join(name), "kept").unwrap();
    // Whoever makes an overlay again would replace these.
    keep("1.png");
    keep("2.png");
    copy("data/images/3.png", "new/3.png");
    copy("data/images/4.png", "new/2.png");
    // A kill cuts the last line off, and leaves a file that was being written.
    let mut lines = std::fs::read(run.join("journal.jsonl")).unwrap();
    lines.extend(b"{\"file\":{\"sha256\":\"12");
    std::fs::write(run.join("journal.jsonl"), lines).unwrap();
    place.write("found/.infomark/next/landmarks.csv", "begun");
    keep(".tmpabcdef");
    place.run_match("new --out found").success();
    assert_eq!(place.run_folder("found"), None);
    assert_eq!(place.read("found/overlays/1.png"), b"kept");
    assert_ne!(place.read("found/overlays/2.png"), b"kept");
    place.run_match("new --out fresh").success();
    let (mut found, mut fresh) = (place.tree("found"), place.tree("fresh"));
    for files in [&mut found, &mut fresh] {
        files.remove(std::path::Path::new("overlays/1.png"));
    }
    assert_eq!(found, fresh);
    // Other options, other results: nothing is taken over.
    place.write("new/5.png", "bad");
    assert_eq!(place.run_match("new --out found").code, Some(1));
    keep("1.png");
    assert_eq!(place.run_match("new --out found --no-prior").code, Some(1));
    assert_ne!(place.read("found/overlays/1.png"), b"kept");
}

#[test]
fn an_image_beyond_the_time_limit_fails_and_a_limit_has_to_be_one() {
    let place = Workplace::new();
    let outcome = place.run_match("data/images/1.png --out found --time-limit 0.000001");
    assert_eq!(outcome.code, Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("1.png: "), "{outcome:?}");
    assert!(outcome.stderr.contains("error: 1 of 1 "), "{outcome:?}");
    place.run_match("data/images/1.png --out found --time-limit 600").success();
    for limit in ["0", "-1", "nan", "1e300"] {
        let reason = place.run_match(&format!("data/images/1.png --out found --time-limit {limit}")).reason();
        assert!(reason.contains("--time-limit"), "{reason}");
    }
}

#[test]
fn several_templates_are_told_and_matched_together() {
    let place = Workplace::new();
    let rest = "--template data/images/1.png --landmarks data/landmarks.csv data/images/3.png --json";
    let line = "match --model encoder.onnx --template data/images/0.png";
    let object = place.run(&format!("{line} {rest} --out found")).json();
    let names: Vec<&str> =
        object["templates"].as_array().unwrap().iter().map(|each| each["image"].as_str().unwrap()).collect();
    assert_eq!(names, ["0.png", "1.png"]);
    assert_eq!(object["images"][0]["landmarks"].as_array().unwrap().len(), infomark_phantom::LANDMARKS.len());
    // All images of a data folder, or so many that are chosen.
    let line = "match --model encoder.onnx --template data data/images/3.png --json";
    assert_eq!(place.run(&format!("{line} --out all")).json()["templates"].as_array().unwrap().len(), 5);
    let two = place.run(&format!("{line} --out two --templates 2")).json();
    assert_eq!(two["templates"].as_array().unwrap().len(), 2);
    assert_eq!(two["templates"][0]["landmarks_from"], "data folder");
}

#[test]
fn a_template_file_finds_what_its_image_does() {
    let place = Workplace::new();
    let line = "template data/images/0.png --landmarks data/landmarks.csv --model encoder.onnx";
    let object = place.run(&format!("{line} --out 0.template --json")).json();
    assert_eq!(object["template"]["image"], "0.png");
    place.run("match --model encoder.onnx --template 0.template data/images --out file").success();
    place.run_match("data/images --out image").success();
    assert_eq!(place.read("file/landmarks.csv"), place.read("image/landmarks.csv"));
    let told: serde_json::Value = serde_json::from_slice(&place.read("file/landmarks.json")).unwrap();
    assert_eq!(told["templates"][0]["sha256"], object["sha256"]);
    // A damaged one is refused, and nothing is written.
    let mut bytes = place.read("0.template");
    bytes.truncate(bytes.len() - 7);
    place.write("cut.template", bytes);
    let reason =
        place.run("match --model encoder.onnx --template cut.template data/images --out none").reason();
    assert!(reason.contains("cut.template"), "{reason}");
    assert!(!place.file("none").exists());
    let reason = place.run(&format!("{line} --out data/landmarks.csv")).reason();
    assert!(reason.contains("data/landmarks.csv"), "{reason}");
}

#[test]
fn templates_and_their_landmarks_have_to_go_together() {
    let place = Workplace::new();
    let refused = |rest: &str| place.run(&format!("match --model encoder.onnx {rest} --out none")).reason();
    let table = "--landmarks data/landmarks.csv";
    for (line, word) in [
        ("--template data/images/0.png data/images", "--landmarks"),
        (&format!("--template data/images/0.png {table} {table} data/images"), "--landmarks: 2 "),
        (&format!("--template data {table} data/images"), "--landmarks: 1 "),
        (&format!("--template data/images/0.png {table} --templates 2 data/images"), "--templates"),
        ("--template data --templates 9 data/images", "--templates 9"),
        ("--template data --templates 0 data/images", "--templates 0"),
    ] {
        let reason = refused(line);
        assert!(reason.contains(word), "{line}: {reason}");
    }
    assert!(!place.file("none").exists());
}

#[test]
fn how_places_are_told_more_finely_than_cells_is_a_choice_that_results_tell() {
    let place = Workplace::new();
    let mut tables = Vec::new();
    for way in ["cell", "parabola", "soft-argmax"] {
        let object =
            place.run_match(&format!("data/images/1.png --sub-pixel {way} --out {way} --json")).json();
        assert_eq!(object["matching"]["sub_pixel"], way);
        tables.push(place.read(&format!("{way}/landmarks.csv")));
    }
    place.run_match("data/images/1.png --out default").success();
    assert_eq!(place.read("default/landmarks.csv"), tables[2]);
    assert!(tables[0] != tables[1] && tables[1] != tables[2]);
}

#[test]
fn keys_of_a_data_folder_that_mean_nothing_are_warned_about() {
    let place = Workplace::new();
    let toml = String::from_utf8(place.read("data/dataset.toml")).unwrap();
    place.write("data/dataset.toml", format!("{toml}spacing = [1, 1]\n"));
    let outcome = place.run("evaluate --model encoder.onnx --data data --template 0.png");
    assert!(outcome.stderr.contains(": spacing in dataset.toml means nothing here"), "{outcome:?}");
    outcome.success();
}

#[cfg(unix)]
#[test]
fn a_stopped_matching_says_so_and_goes_on_to_the_same_result() {
    let place = Workplace::new();
    place.make_data("many", 60, 4);
    place.run_match("many/images --out whole").success();
    let line = "match --model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv many/images \
                --out found --threads 1";
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_infomark"))
        .args(line.split_whitespace())
        .current_dir(place.path())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // Some images are done by now.
    while place.journaled("found") < 4 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("error: ") && stderr.contains(" of 60 "), "{stderr}");
    let kept = place.journaled("found");
    assert!((4..60).contains(&kept), "{kept}");
    // There was no result before, so that what was found is one.
    assert_eq!(place.tree("found/overlays").len(), kept);
    place.run_match("many/images --out found").success();
    assert_eq!(place.run_folder("found"), None);
    assert_eq!(place.tree("found"), place.tree("whole"));
}

#[test]
fn points_of_an_image_that_shows_something_else_are_abstained_from() {
    let place = Workplace::new();
    place.run_match("data/images/0.png --out own").success();
    let own: serde_json::Value = serde_json::from_slice(&place.read("own/landmarks.json")).unwrap();
    assert_eq!(own["images"][0]["recognition"]["recognised"], true);
    assert_eq!(own["images"][0]["recognition"]["orientation"], "as the template");
    assert_eq!(own["images"][0]["landmarks"][0]["abstain"], false);
    assert_eq!(
        (&own["error_bounds"]["promised"], &own["error_bounds"]["coverage"]),
        (&false.into(), &().into())
    );
    let found = &own["images"][0]["landmarks"][0];
    assert!(found["uncertainty"].as_f64().unwrap() > 0.0 && found["error_bound_px"].is_null(), "{found}");

    place.write_noise("noise.png");
    let outcome = place.run_match("noise.png --out other");
    assert!(outcome.stderr.contains("warning: noise.png "), "{outcome:?}");
    outcome.success();
    let other: serde_json::Value = serde_json::from_slice(&place.read("other/landmarks.json")).unwrap();
    let landmarks = other["images"][0]["landmarks"].as_array().unwrap();
    assert!(landmarks.iter().all(|landmark| landmark["abstain"] == true), "{other}");
    let table = String::from_utf8(place.read("other/landmarks.csv")).unwrap();
    assert!(table.lines().skip(1).all(|row| row.contains(",true,")), "{table}");
}

#[test]
fn a_mirrored_image_is_told_and_matched_as_such_when_asked() {
    let place = Workplace::new();
    place.write_mirrored("data/images/0.png", "mirrored.png");
    let outcome = place.run_match("mirrored.png --out told");
    assert!(outcome.stderr.contains("warning: mirrored.png "), "{outcome:?}");
    outcome.success();
    place.run_match("data/images/0.png --out plain").success();
    place.run_match("mirrored.png --out fixed --fix-orientation").success();
    let read = |name: &str| -> serde_json::Value { serde_json::from_slice(&place.read(name)).unwrap() };
    let (told, plain, fixed) =
        (read("told/landmarks.json"), read("plain/landmarks.json"), read("fixed/landmarks.json"));
    assert_eq!(told["images"][0]["landmarks"][0]["abstain"], true);
    assert_eq!(fixed["images"][0]["recognition"]["reoriented"], true);
    let points = |object: &serde_json::Value| object["images"][0]["landmarks"].as_array().unwrap().clone();
    for (plain, fixed) in points(&plain).iter().zip(points(&fixed)) {
        let x = |point: &serde_json::Value| point["x"].as_f64().unwrap();
        assert!((x(plain) + x(&fixed) - (SIZE.0 as f64 - 1.0)).abs() < 0.01, "{plain} {fixed}");
        assert_eq!(plain["y"], fixed["y"]);
        assert_eq!(fixed["abstain"], false);
    }
}

#[test]
fn a_calibration_is_used_for_what_it_was_measured_with_only() {
    let place = Workplace::new();
    place.make_data("labelled", 10, 8);
    let template = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";
    place.run(&format!("calibrate labelled {template} --out c.json")).success();
    let told = place.run_match("data/images/1.png --out told --calibration c.json").success();
    assert!(told.contains("error bounds hold for 90 % of points"), "{told}");
    let object = place.run_match("data/images/1.png --out found --calibration c.json --json").json();
    assert_eq!(object["error_bounds"]["promised"], true);
    assert_eq!(object["error_bounds"]["coverage"], 0.9);
    assert_eq!(object["error_bounds"]["calibration"]["images"], 10);
    let of = |object: &serde_json::Value| object["images"][0]["landmarks"][0]["error_bound_px"].as_f64();
    let wide = of(&object).unwrap();
    let half =
        place.run_match("data/images/1.png --out half --calibration c.json --coverage 0.5 --json").json();
    assert!(of(&half).unwrap() < wide);

    let reason = place.run_match("data/images/1.png --out no --calibration c.json --coverage 0.99").reason();
    assert!(reason.contains("--coverage 0.99") && reason.contains(" 99 "), "{reason}");
    let reason = place.run_match("data/images/1.png --out no --calibration c.json --no-prior").reason();
    assert!(reason.contains("c.json"), "{reason}");
    // The template's file is the template; a template with other points is not.
    let given = "data/images/0.png --landmarks data/landmarks.csv --model encoder.onnx --out 0.template";
    place.run(&format!("template {given}")).success();
    let by_file = "match --model encoder.onnx --template 0.template data/images/1.png --calibration c.json";
    let same = place.run(&format!("{by_file} --out file --json")).json();
    assert_eq!(of(&same), Some(wide));
    let table = String::from_utf8(place.read("data/landmarks.csv")).unwrap();
    let other = table.replacen("0.png,sella,5", "0.png,sella,4", 1);
    assert_ne!(other, table);
    place.write("moved.csv", other);
    let moved =
        "match --model encoder.onnx --template data/images/0.png --landmarks moved.csv data/images/1.png";
    let reason = place.run(&format!("{moved} --calibration c.json --out no")).reason();
    assert!(reason.contains("c.json") && reason.contains("template"), "{reason}");
    // Written before calibrations had a typed key.
    let old = String::from_utf8(place.read("c.json")).unwrap().replacen("\"format\": 2", "\"format\": 1", 1);
    place.write("old.json", old);
    let reason = place.run_match("data/images/1.png --out no --calibration old.json").reason();
    assert!(reason.contains("old.json") && reason.contains("format 1"), "{reason}");
    let reason = place.run_match("data/images/1.png --out no --calibration data/landmarks.csv").reason();
    assert!(reason.contains("data/landmarks.csv"), "{reason}");
    let reason = place.run(&format!("calibrate labelled {template} --out data/landmarks.csv")).reason();
    assert!(reason.contains("--out data/landmarks.csv"), "{reason}");
}

#[test]
fn points_are_abstained_from_by_the_thresholds_given() {
    let place = Workplace::new();
    place.make_data("labelled", 10, 8);
    let template = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";
    place.run(&format!("calibrate labelled {template} --out c.json")).success();
    let abstained = |more: &str| {
        let line = format!("data/images/0.png --out found --calibration c.json --json {more}");
        let object = place.run_match(&line).json();
        object["images"][0]["landmarks"].as_array().unwrap().iter().all(|point| point["abstain"] == true)
    };
    assert!(!abstained("--abstain-below 0.1"));
    assert!(abstained("--abstain-below 1"));
    assert!(abstained("--spacing 0.5 0.5 --abstain-above 0.0001"));
    assert!(!abstained("--spacing 0.5 0.5 --abstain-above 1000"));
    let outcome = place.run_match("data/images/0.png --out found --calibration c.json --abstain-above 3");
    assert!(outcome.stderr.contains("--spacing") && outcome.code == Some(1), "{outcome:?}");
    for wrong in ["--abstain-above 0", "--abstain-above NaN", "--abstain-below 2"] {
        let reason = place.run_match(&format!("data/images/0.png --out found {wrong}")).reason();
        assert!(reason.contains("--abstain"), "{reason}");
    }
    let reason =
        place.run_match("data/images/0.png --out found --spacing 0.5 0.5 --abstain-above 3").reason();
    assert!(reason.contains("--abstain-above 3") && reason.contains("infomark calibrate"), "{reason}");
}

#[test]
fn the_model_that_comes_with_the_program_is_found_by_its_name() {
    let place = Workplace::new();
    let line = "match --model ceph --template ceph data/images/1.png --out found --json";
    let object = place.run(line).json();
    assert_eq!(object["model"]["file"], "ceph");
    let landmarks = object["images"][0]["landmarks"].as_array().unwrap();
    assert_eq!(landmarks.len(), 19);
    assert!(landmarks.iter().any(|landmark| landmark["landmark"] == "menton"));
    // Its errors were measured, for the options of that time.
    let expected = &object["error_bounds"];
    assert_eq!((&expected["promised"], &expected["calibration"]["file"]), (&true.into(), &"ceph".into()));
    assert_eq!(expected["calibration"]["images"], 49);
    assert_eq!(object["templates"].as_array().map(Vec::len), Some(5));
    let half = place.run(&format!("{line} --coverage 0.5").replace("found", "half")).json();
    assert_eq!(
        (&half["error_bounds"]["coverage"], &half["error_bounds"]["promised"]),
        (&0.5.into(), &true.into())
    );
    let other = place.run(&format!("{line} --no-prior").replace("found", "other")).json();
    assert_eq!(other["error_bounds"]["promised"], false);
    let reason = place.run(&format!("{line} --no-prior --coverage 0.5").replace("found", "refused")).reason();
    assert!(reason.contains("--coverage 0.5") && reason.contains("calibrate"), "{reason}");
    // A file of that name goes first.
    place.write("ceph", "no encoder");
    let reason = place.run(line).reason();
    assert!(reason.contains("ceph"), "{reason}");
}
