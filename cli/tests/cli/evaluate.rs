//! `infomark evaluate`.

use std::collections::BTreeMap;

use crate::support::Workplace;

#[test]
fn figures_agree_with_the_errors_written() {
    let place = Workplace::new();
    let line = "evaluate --model encoder.onnx --data data --template 2.png --radii 1,2.5 --out scores";
    let object = place.run(&format!("{line} --json")).json();
    let text = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    let rows: Vec<Vec<&str>> = text.lines().skip(1).map(|row| row.split(',').collect()).collect();
    assert!(rows.iter().all(|row| row[1] != "2.png"), "a template is not scored on itself");
    assert_eq!(rows.len(), 4 * 10);
    let number = |row: &[&str], column: usize| row[column].parse::<f64>().unwrap();
    let errors: Vec<f64> = rows.iter().map(|row| number(row, 7)).collect();
    for row in &rows {
        // Spacing differs across and down.
        let (dx, dy) = (number(row, 3) - number(row, 5), number(row, 4) - number(row, 6));
        assert!(((0.5 * dx).hypot(0.25 * dy) - number(row, 7)).abs() < 2e-3, "{row:?}");
    }
    let mean = errors.iter().sum::<f64>() / 40.0;
    assert!((object["mre_mm"].as_f64().unwrap() - mean).abs() < 1e-3);
    for (radius, value) in [("1", 1.0), ("2.5", 2.5)] {
        let share = errors.iter().filter(|error| **error < value).count() as f64 / 40.0;
        assert!((object["sdr"][radius].as_f64().unwrap() - share).abs() < 1e-3, "{object}");
    }
    let [low, high] = [0, 1].map(|end| object["mre_mm_interval"][end].as_f64().unwrap());
    assert!(low < mean && mean < high, "{low} {mean} {high}");
    assert_eq!(object["summary"], "template 2.png");
    assert_eq!(object["data"]["spacing_mm"], serde_json::json!([0.5, 0.25]));
    assert_eq!(object["data"]["spacing_from"], "data/dataset.toml");
}

#[test]
fn the_main_figures_come_first() {
    let place = Workplace::new();
    let text = place.run("evaluate --model encoder.onnx --data data --json").success();
    assert!(text.starts_with("{\n  \"mre_mm\":"), "{text}");
    assert!(text.contains("\"summary\": \"median over 5 templates\""), "{text}");
}

#[test]
fn all_templates_give_the_median_of_their_figures() {
    let place = Workplace::new();
    let object = place.run("evaluate --model encoder.onnx --data data --all-templates --json").json();
    let templates = object["templates"].as_array().unwrap();
    let mut means: Vec<f64> = templates.iter().map(|each| each["mre_mm"].as_f64().unwrap()).collect();
    assert_eq!(means.len(), 5);
    means.sort_by(f64::total_cmp);
    assert_eq!(object["mre_mm"].as_f64().unwrap(), means[2]);
    for each in templates {
        assert_eq!(each["images"], 4);
        let one = format!("evaluate --model encoder.onnx --data data --template {}", each["template"]);
        let alone = place.run(&format!("{} --json", one.replace('"', ""))).json();
        assert_eq!(alone["mre_mm"], each["mre_mm"]);
    }
}

#[test]
fn a_copy_of_an_image_is_not_scored_with_it() {
    let place = Workplace::new();
    place.make_data("train", 5, 0);
    place.make_data("strange", 3, 7);
    let run = |templates: &str| {
        let line = format!("evaluate --model encoder.onnx --data data --template-data {templates}");
        let object = place.run(&format!("{line} --template 1.png --json")).json();
        object["templates"][0]["images"].as_u64()
    };
    assert_eq!(run("train"), Some(4));
    assert_eq!(run("strange"), Some(5));
}

#[test]
fn the_result_depends_on_the_seed_and_not_on_threads() {
    let place = Workplace::new();
    let run = |rest: &str| {
        let line = "evaluate --model encoder.onnx --data data --random-templates 2 --json";
        place.run(&format!("{line} {rest}")).json()
    };
    assert_eq!(run("--threads 1"), run("--threads 3"));
    let mut drawn = BTreeMap::new();
    for seed in 0..8 {
        let object = run(&format!("--seed {seed}"));
        let names = object["templates"].as_array().unwrap().iter().map(|each| each["template"].to_string());
        *drawn.entry(names.collect::<Vec<_>>()).or_insert(0) += 1;
    }
    assert!(drawn.len() > 2, "{drawn:?}");
    assert!(drawn.keys().all(|names| names.len() == 2 && names[0] < names[1]), "{drawn:?}");
}

#[test]
fn the_table_names_every_landmark() {
    let place = Workplace::new();
    let text = place.run("evaluate --model encoder.onnx --data data --random-templates 2").success();
    for name in infomark_phantom::LANDMARKS {
        assert!(text.contains(name), "{text}");
    }
    assert!(text.contains("median over 2 templates") && text.contains("SDR 2.5 mm"), "{text}");
}

#[test]
fn several_templates_are_scored_together_and_never_on_their_own_images() {
    let place = Workplace::new();
    let line = "evaluate --model encoder.onnx --data data --templates 2";
    let object = place.run(&format!("{line} --random-templates 3 --out scores --json")).json();
    assert_eq!(object["summary"], "median over 3 sets of 2 templates");
    assert_eq!(object["chosen_by"], "random");
    for each in object["templates"].as_array().unwrap() {
        assert_eq!(each["members"].as_array().unwrap().len(), 2);
        assert_eq!(each["images"], 3);
    }
    let rows = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    for row in rows.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>()) {
        assert!(row[0].split(" + ").all(|template| template != row[1]), "{row:?}");
    }
    assert_eq!(place.run(&format!("{line} --templates 6")).code, Some(2), "given twice");
    let reason = place.run("evaluate --model encoder.onnx --data data --templates 6").reason();
    assert!(reason.contains("--templates 6"), "{reason}");
}

#[test]
fn the_chosen_templates_are_those_that_select_names() {
    let place = Workplace::new();
    place.make_data("train", 6, 3);
    let object = place.run("select train/images --model encoder.onnx --count 2 --out chosen --json").json();
    assert_eq!(object["chosen"].as_array().unwrap().len(), 2);
    assert_eq!(object["ranking"].as_array().unwrap().len(), 6);
    assert!(object["ranking"][0]["score"].as_f64() >= object["ranking"][5]["score"].as_f64());
    let file: serde_json::Value = serde_json::from_slice(&place.read("chosen/select.json")).unwrap();
    assert_eq!(object, file);
    crate::support::png_size(&place.read("chosen/select.png"));
    let again = place.run("select train/images --model encoder.onnx --count 2 --threads 3 --json").json();
    assert_eq!(object, again, "it does not depend on threads");
    let line =
        "evaluate --model encoder.onnx --data data --template-data train --templates 2 --choose select";
    let scored = place.run(&format!("{line} --json")).json();
    assert_eq!(scored["templates"][0]["members"], object["chosen"]);
    assert_eq!(scored["chosen_by"], "select");
    let reason = place.run("select train/images --model encoder.onnx --count 7").reason();
    assert!(reason.contains("--count 7"), "{reason}");
}

/// Landmark rows of a data folder without those that `is_gone` names by image and landmark.
fn without(place: &Workplace, folder: &str, is_gone: impl Fn(&str, &str) -> bool) {
    let file = format!("{folder}/landmarks.csv");
    let text = String::from_utf8(place.read(&file)).unwrap();
    let kept = text.lines().filter(|row| {
        let cells: Vec<&str> = row.split(',').collect();
        !is_gone(cells[0], cells[1])
    });
    place.write(&file, kept.map(|row| format!("{row}\n")).collect::<String>());
}

#[test]
fn points_that_are_missing_are_left_out_and_counted() {
    let place = Workplace::new();
    let [first, second, ..] = infomark_phantom::LANDMARKS;
    let line = "evaluate --model encoder.onnx --data data --template 2.png --out scores";
    place.run(line).success();
    let whole = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    without(&place, "data", |image, landmark| {
        image == "0.png" && landmark == first || image == "3.png" && landmark != second || image == "4.png"
    });
    let outcome = place.run(&format!("{line} --json"));
    let warnings = outcome.stderr.clone();
    assert!(warnings.contains("0.png") && warnings.contains("4.png"), "{warnings}");
    let object = outcome.json();
    // Of 3 images with 10 landmarks each.
    assert_eq!((object["missing"].as_u64(), object["templates"][0]["images"].as_u64()), (Some(10), Some(3)));
    let rows = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    assert_eq!(rows.lines().count(), 1 + 20);
    assert!(rows.lines().all(|row| whole.lines().any(|other| other == row)), "other points change nothing");
    let text = place.run(line).success();
    assert!(text.contains("10 of 30 points missing"), "{text}");

    // Beside the warnings.
    let failure = |line: &str| {
        let outcome = place.run(line);
        assert_eq!(outcome.code, Some(1), "{outcome:?}");
        outcome.stderr.lines().find_map(|line| line.strip_prefix("error: ")).unwrap().to_owned()
    };
    // A template without a landmark; another one of the set has it.
    let reason = failure("evaluate --model encoder.onnx --data data --template 0.png");
    assert!(reason.contains(first) && reason.contains("0.png"), "{reason}");
    let both = "evaluate --model encoder.onnx --data data --template 0.png --template 2.png --json";
    assert_eq!(place.run(both).json()["templates"][0]["missing"], 9);
    // One after the other, the figures of a landmark are those of the templates that have it.
    let each = place.run("evaluate --model encoder.onnx --data data --all-templates --json").json();
    let of_first = |set: usize| &each["templates"][set]["landmarks"][0]["mre_mm"];
    assert!(of_first(0).is_null() && of_first(1).is_number(), "{each}");
    assert!(each["landmarks"][0]["mre_mm"].is_number(), "{each}");
    place.run("report scores --out page.html").success();

    without(&place, "data", |_, landmark| landmark == first);
    let reason = failure(line);
    assert!(reason.contains(first) && reason.contains("dataset.toml"), "{reason}");
    place.make_data("labelled", 12, 3);
    without(&place, "labelled", |_, landmark| landmark == first);
    let template = "--model encoder.onnx --template data/images/1.png --landmarks all.csv";
    place.make_data("all", 5, 0);
    place.write("all.csv", place.read("all/landmarks.csv"));
    let reason = failure(&format!("calibrate labelled {template} --out c.json"));
    assert!(reason.contains(first) && reason.contains("labelled"), "{reason}");
    place.make_data("labelled", 12, 3);
    without(&place, "labelled", |image, landmark| image == "7.png" && landmark == first);
    place.run(&format!("calibrate labelled {template} --out c.json")).success();
    let found = place.run(&format!("match {template} data/images/3.png --calibration c.json --out found"));
    found.success();
    let calibration: serde_json::Value = serde_json::from_slice(&place.read("c.json")).unwrap();
    assert_eq!(calibration["scores"].as_array().unwrap().iter().filter(|score| score.is_null()).count(), 1);
}

#[test]
fn a_second_annotator_is_compared_with_the_reference_beside_the_program() {
    let place = Workplace::new();
    let [first, second, ..] = infomark_phantom::LANDMARKS;
    // The reference moved by 2 pixels of 0.5 mm across, without a landmark of one image; and an image that is not in the folder.
    let text = String::from_utf8(place.read("data/landmarks.csv")).unwrap();
    let mut table = String::from("image,landmark,x,y\nelsewhere.png,a,1,2\n");
    for row in text.lines().skip(1).filter(|row| !row.starts_with(&format!("1.png,{second},"))) {
        let cells: Vec<&str> = row.split(',').collect();
        table +=
            &format!("{},{},{},{}\n", cells[0], cells[1], cells[2].parse::<f64>().unwrap() - 2.0, cells[3]);
    }
    place.write("junior.csv", table);
    let line = "evaluate --model encoder.onnx --data data --template 2.png --second-annotator junior.csv --radii 0.9,1.1";
    let object = place.run(&format!("{line} --out scores --json")).json();
    let compared = &object["second_annotator"];
    assert_eq!(
        (compared["annotator"].as_str(), compared["not_placed"].as_u64()),
        (Some("junior.csv"), Some(1))
    );
    let [program, annotator] = ["program", "second_annotator"].map(|reader| &compared[reader]);
    assert_eq!((&program["all"]["pairs"], &annotator["all"]["pairs"]), (&39.into(), &39.into()));
    assert_eq!((&annotator["unit"], &annotator["all"]["mean_radial_error"]), (&"mm".into(), &1.0.into()));
    assert_eq!(annotator["all"]["offset"], serde_json::json!([-1.0, 0.0]));
    assert_eq!(annotator["all"]["within"], serde_json::json!({"0.9": 0.0, "1.1": 1.0}));
    // The program's are the errors that are written, but for the point that the annotator does not have.
    let rows = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    let cells = rows.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
    let errors: Vec<f64> = cells
        .filter(|row| row[2] == second && row[1] != "1.png")
        .map(|row| row[7].parse().unwrap())
        .collect();
    let mean = errors.iter().sum::<f64>() / 3.0;
    let own = &program["landmarks"][1];
    assert_eq!((own["landmark"].as_str(), own["pairs"].as_u64()), (Some(second), Some(3)));
    assert!((own["mean_radial_error"].as_f64().unwrap() - mean).abs() < 1e-3, "{own}");

    let table = String::from_utf8(place.read("scores/agreement.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 2 * 11, "{table}");
    assert!(table.contains("\nsecond annotator,all,39,mm,1,1,0,-1,0,0,0,0,1\n"), "{table}");
    let text = place.run(line).success();
    assert!(text.contains("junior.csv") && text.contains(&format!("{first}, second annotator")), "{text}");
    place.run("report scores --out page.html").success();
    let page = String::from_utf8(place.read("page.html")).unwrap();
    assert!(page.contains(&format!("{first}, second annotator")) && page.contains("junior.csv"));

    place.write("other.csv", "image,landmark,x,y\nelsewhere.png,a,1,2\n");
    let reason = place.run(&line.replace("junior.csv", "other.csv")).reason();
    assert!(reason.contains("other.csv"), "{reason}");
}
