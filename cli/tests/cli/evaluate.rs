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
