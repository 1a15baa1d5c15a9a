//! `infomark experiment`.

use std::fs;
use std::path::Path;

use crate::support::{Workplace, png_size};

/// The committed experiment that takes seconds.
fn smoke() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/smoke.toml");
    fs::read_to_string(path).unwrap()
}

#[test]
fn an_experiment_trains_scores_and_compares_and_does_nothing_twice() {
    let place = Workplace::new();
    place.write("smoke.toml", smoke());
    let line = "experiment smoke.toml --data . --out out";
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("4 trainings, 4 of them to do"), "{planned}");
    assert!(planned.contains("tuned with uniform"), "{planned}");
    assert!(!place.file("out").exists(), "a dry run writes nothing");

    // One arm first: the other stays missing, and is named.
    let object = place.run(&format!("{line} --only uniform --json")).json();
    assert_eq!(object["arms"][0]["results"][0]["seeds"], serde_json::json!([0, 1]));
    assert_eq!(object["arms"][1]["results"], serde_json::json!([]));
    assert_eq!(object["missing"].as_array().unwrap().len(), 2, "{object}");

    let object = place.run(&format!("{line} --json")).json();
    let result = &object["arms"][1]["results"][0];
    let mre = result["mre_mm"].as_f64().unwrap();
    let of_seeds: Vec<f64> =
        result["mre_mm_of_seeds"].as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect();
    assert!((of_seeds.iter().sum::<f64>() / 2.0 - mre).abs() < 1e-3, "{result}");
    let [low, high] = [0, 1].map(|end| result["mre_mm_interval"][end].as_f64().unwrap());
    assert!(low <= mre && mre <= high, "{result}");
    assert!(result["difference_to_first_mm"].is_number(), "{result}");
    for run in result["runs"].as_array().unwrap() {
        assert!(run["config"]["policy"]["high"]["brightness"].is_array(), "{run}");
        assert_eq!(run["steps"], 6);
        assert_eq!(run["encoder_sha256"].as_str().unwrap().len(), 64);
    }
    assert_eq!(object["data"][0]["training_images"], 5);
    assert!(object["commit"].is_null(), "the folder is no work tree");
    assert!(object["version"].is_string() && object["file_sha256"].is_string());

    let table = String::from_utf8(place.read("out/table.md")).unwrap();
    assert!(table.contains("| uniform | 2 |") && table.contains("| tuned | 2 |"), "{table}");
    let rows = String::from_utf8(place.read("out/table.csv")).unwrap();
    assert_eq!(rows.lines().filter(|row| row.starts_with("phantom,tuned,")).count(), 8, "{rows}");
    for name in ["mre", "sdr", "loss"] {
        assert_eq!(png_size(&place.read(&format!("out/{name}.png"))).0, 1800);
        let svg = String::from_utf8(place.read(&format!("out/{name}.svg"))).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("tuned"), "{name}");
    }

    // Nothing is trained again, and all files come out the same.
    let before = place.tree("out");
    let text = place.run(line).success();
    assert_eq!(text.matches("(done before)").count(), 4, "{text}");
    assert!(place.tree("out") == before, "a second run changes files");
}

#[test]
fn an_interrupted_training_goes_on_and_a_changed_arm_is_trained_again() {
    let place = Workplace::new();
    place.write("smoke.toml", smoke());
    let line = "experiment smoke.toml --data . --out out --only uniform";
    place.run(line).success();
    let folder = "out/runs/phantom/uniform/seed-0";
    let encoder = place.read(&format!("{folder}/encoder.onnx"));
    // As if it had been killed at the end of the training.
    fs::remove_file(place.file(&format!("{folder}/trained.json"))).unwrap();
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("interrupted: go on, score"), "{planned}");
    place.run(line).success();
    assert_eq!(place.read(&format!("{folder}/encoder.onnx")), encoder);
    // Another option: only what it changes is done.
    place.write("smoke.toml", smoke().replace("steps = 6", "steps = 5"));
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("2 trainings, 2 of them to do"), "{planned}");
    let before = place.tree("out");
    let reason = place.run(line).reason();
    assert!(reason.contains("--changed") && reason.contains("experiment.toml"), "{reason}");
    assert!(place.tree("out") == before, "a changed file touches nothing unasked");
    let line = "experiment smoke.toml --data . --out out --only uniform --changed";
    place.run(line).success();
    assert_ne!(place.read(&format!("{folder}/encoder.onnx")), encoder);
    // Another way to score: encoders stay.
    let encoder = place.read(&format!("{folder}/encoder.onnx"));
    place.write("smoke.toml", smoke().replace("steps = 6", "steps = 5").replace("[2.0, 4.0]", "[3.0]"));
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert_eq!(planned.matches("trained: score").count(), 2, "{planned}");
    let object = place.run(&format!("{line} --json")).json();
    assert!(object["arms"][0]["results"][0]["sdr"]["3"].is_number(), "{object}");
    assert_eq!(place.read(&format!("{folder}/encoder.onnx")), encoder);
}

#[test]
fn a_training_that_another_process_is_at_is_left_alone() {
    let place = Workplace::new();
    place.write("smoke.toml", smoke());
    let folder = "out/runs/phantom/uniform/seed-0";
    place.write(&format!("{folder}/lock"), "");
    place.write(&format!("{folder}/encoder.run/log.csv"), "of another");
    let lock = fs::File::open(place.file(&format!("{folder}/lock"))).unwrap();
    lock.lock().unwrap();
    let line = "experiment smoke.toml --data . --out out --only uniform";
    let reason = place.run(line).reason();
    assert!(reason.contains(folder), "{reason}");
    assert_eq!(place.read(&format!("{folder}/encoder.run/log.csv")), b"of another");
}

#[test]
fn what_is_wrong_in_an_experiment_is_named() {
    let place = Workplace::new();
    let smoke = smoke();
    for (wrong, right, named) in [
        ("pixels = 0", "pixels = 16", "pixels"),
        ("pixel = 16", "pixels = 16", "pixel"),
        ("tuned_with = \"tuned\"", "tuned_with = \"uniform\"", "tuned_with tuned"),
        ("templates = 0", "templates = 2", "templates"),
        ("templates = 6", "templates = 2", "data"),
        ("seeds = [1, 1]", "seeds = [0, 1]", "seeds"),
        ("name = \"tuned/x\"", "name = \"tuned\"", "tuned/x"),
        ("train = \"nowhere\"", "train = \"data\"", "nowhere"),
        ("seed = 3\nbatch = 2", "batch = 2", "seeds = [...]"),
        ("policy = \"best\"", "policy = \"tuned\"", "best"),
    ] {
        let text = smoke.replace(right, wrong);
        assert_ne!(text, smoke, "{wrong}");
        place.write("wrong.toml", text);
        let reason = place.run("experiment wrong.toml --data . --out out").reason();
        assert!(reason.contains(named), "{wrong}: {reason}");
        assert!(!place.file("out").exists(), "{wrong}");
    }
    let arm = "\n[[arm]]\nname = \"network\"\nnetwork = { images = 6 }\n";
    place.write("wrong.toml", smoke.clone() + arm);
    let reason = place.run("experiment wrong.toml --data . --out out --dry-run").reason();
    assert!(reason.contains("images 6") && reason.contains("arm network"), "{reason}");
    let reason = place.run("experiment missing.toml --out out").reason();
    assert!(reason.contains("missing.toml"), "{reason}");
    place.write("smoke.toml", smoke);
    let reason = place.run("experiment smoke.toml --data . --out out --only nobody").reason();
    assert!(reason.contains("nobody") && reason.contains("uniform"), "{reason}");
}

/// The folders of a data set with images of the names that the experiment asks for.
fn make_folders(place: &Workplace, data: &toml::Value, experiment: &toml::Table) {
    let folder = |key: &str| data.get(key).and_then(toml::Value::as_str);
    let train = folder("train").unwrap();
    let dev = folder("dev").unwrap_or(train);
    let templates = folder("templates").unwrap_or(train);
    for folder in [train, dev] {
        if !place.file(folder).exists() {
            // As many as arms draw from it.
            place.make_data(folder, if [train, templates].contains(&folder) { 25 } else { 2 }, 0);
        }
    }
    let rename = |folder: &str, from: &str, to: &str| {
        let images = place.file(folder).join("images");
        if images.join(from).exists() {
            fs::rename(images.join(from), images.join(to)).unwrap();
            let table = String::from_utf8(place.read(&format!("{folder}/landmarks.csv"))).unwrap();
            let rows = table.lines().map(|row| match row.strip_prefix(&format!("{from},")) {
                Some(rest) => format!("{to},{rest}\n"),
                None => format!("{row}\n"),
            });
            place.write(&format!("{folder}/landmarks.csv"), rows.collect::<String>());
        }
    };
    for arm in experiment["arm"].as_array().unwrap() {
        for key in ["match", "self-train"] {
            if let Some(name) = arm.get(key).and_then(|how| how.get("template")).and_then(toml::Value::as_str)
            {
                rename(templates, "24.png", &format!("{name}.png"));
            }
        }
    }
    for range in
        data.get("parts").and_then(toml::Value::as_table).into_iter().flat_map(|parts| parts.values())
    {
        let (first, _) = range.as_str().unwrap().split_once('-').unwrap();
        rename(dev, "0.png", &format!("{first}.png"));
    }
    for file in data.get("annotators").and_then(toml::Value::as_array).into_iter().flatten() {
        place
            .write(&format!("{dev}/{}", file.as_str().unwrap()), place.read(&format!("{dev}/landmarks.csv")));
    }
}

#[test]
fn the_committed_experiments_are_valid() {
    let place = Workplace::new();
    place.write("ceph.onnx", place.read("encoder.onnx"));
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments");
    let mut files = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "toml") {
            let text = fs::read_to_string(&path).unwrap();
            let experiment: toml::Table = text.parse().unwrap();
            for data in experiment["data"].as_array().unwrap() {
                make_folders(&place, data, &experiment);
            }
            place.write("experiment.toml", text);
            let text = place.run("experiment experiment.toml --data . --out out --dry-run").success();
            assert!(text.contains("to do"), "{}: {text}", path.display());
            files += 1;
        }
    }
    assert!(files >= 4, "{files}");
}

/// Templates by an encoder that is there and by one that is trained, networks, and an annotator, on parts of the images.
fn benchmark() -> String {
    let small = crate::support::SMALL;
    format!(
        r#"
title = "Methods"

[[data]]
name = "phantom"
train = "train"
dev = "data"
encoder = "encoder.onnx"
annotators = ["junior.csv"]
parts = {{ few = "0-1", none = "7-9", rest = ["2.png", "4"] }}

[base]
budget = {{ steps = 6 }}
ema_decay = 0.5
{small}
[networks]
budget = {{ steps = 2 }}
batch = 2
hidden = 8
elastic_spacing = 40

[self_training]
rounds = 1
refine = false
max_cycle_error = 1e3
outlier = 1e3
max_disagreement = 1e3

[evaluate]
templates = 2
radii = [2.0, 4.0]

[[arm]]
name = "named"
match = {{ template = "2" }}

[[arm]]
name = "random"
match = {{ random = 3 }}

[[arm]]
name = "chosen"
match = {{ select = 2, refine = true }}

[[arm]]
name = "trained"

[[arm]]
name = "of-trained"
match = {{ template = "2.png" }}
encoder_of = "trained"

[[arm]]
name = "network"
network = {{ images = 3, pretrained = true }}
encoder_of = "trained"

[[arm]]
name = "self-trained"
self-train = {{ template = "2" }}
encoder_of = "trained"
"#
    )
}

#[test]
fn templates_networks_and_annotators_are_compared_on_parts_of_the_images() {
    let place = Workplace::new();
    place.make_data("train", 6, 3);
    let text = String::from_utf8(place.read("data/landmarks.csv")).unwrap();
    let mut table = String::from("image,landmark,x,y\n");
    for row in text.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        table +=
            &format!("{},{},{},{}\n", cells[0], cells[1], cells[2].parse::<f64>().unwrap() - 2.0, cells[3]);
    }
    place.write("data/junior.csv", table);
    place.write("all.toml", benchmark());
    let line = "experiment all.toml --data . --out out";
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("3 trainings and 4 matchings, 7 of them to do"), "{planned}");
    assert!(planned.contains("phantom / named / seed 0 - match, score"), "{planned}");

    let outcome = place.run(&format!("{line} --json"));
    assert!(outcome.stderr.contains("part none has no images"), "{}", outcome.stderr);
    let object = outcome.json();
    assert_eq!(object["missing"], serde_json::json!([]));
    assert_eq!(object["data"][0]["parts"], serde_json::json!({"few": 2, "rest": 2}));
    let number = |value: &serde_json::Value| value.as_f64().unwrap();
    // The figures of a part are those of its images in the scores that were written.
    let errors = |arm: &str, images: [&str; 2], landmark: Option<&str>| -> f64 {
        let rows = String::from_utf8(place.read(&format!("out/runs/phantom/{arm}/seed-0/scores/errors.csv")));
        let rows = rows.unwrap();
        let cells = rows.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
        let own = cells.filter(|row| images.contains(&row[1]) && landmark.is_none_or(|name| row[2] == name));
        let errors: Vec<f64> = own.map(|row| row[7].parse().unwrap()).collect();
        assert!(!errors.is_empty(), "{arm}");
        errors.iter().sum::<f64>() / errors.len() as f64
    };
    let names = ["named", "random", "chosen", "trained", "of-trained", "network", "self-trained"];
    for (place, arm) in names.into_iter().enumerate() {
        let results = object["arms"][place]["results"].as_array().unwrap();
        assert_eq!((results.len(), results[0]["part"].as_str()), (2, Some("few")), "{arm}");
        assert_eq!(
            results[0]["runs"][0]["config"]["match"].is_object(),
            [0, 1, 2, 4].contains(&place),
            "{arm}"
        );
        if !["random", "trained"].contains(&arm) {
            for (part, images) in [(0, ["0.png", "1.png"]), (1, ["2.png", "4.png"])] {
                let mre = number(&results[part]["mre_mm"]);
                assert!((mre - errors(arm, images, None)).abs() < 1e-3, "{arm}");
                let landmark = &results[part]["landmarks"][3];
                let own = errors(arm, images, landmark["landmark"].as_str());
                assert!((number(&landmark["mre_mm"]) - own).abs() < 1e-3, "{arm}: {landmark}");
            }
        }
    }
    let chosen: serde_json::Value =
        serde_json::from_slice(&place.read("out/runs/phantom/chosen/seed-0/scores/evaluation.json")).unwrap();
    assert_eq!((&chosen["chosen_by"], &chosen["refined"]["images"]), (&"select".into(), &6.into()));
    let selected = place.run("select train/images --model encoder.onnx --count 2 --json").json();
    assert_eq!(chosen["templates"][0]["members"], selected["chosen"]);
    assert_eq!(object["annotators"].as_array().unwrap().len(), 2, "{object}");
    let annotator = &object["annotators"][1];
    assert_eq!((&annotator["name"], number(&annotator["results"][0]["mre_mm"])), (&"junior".into(), 1.0));

    let table = String::from_utf8(place.read("out/table.md")).unwrap();
    for part in
        ["## phantom, few (2 images)", "## phantom, rest (2 images)", "| *annotator: junior* |  | **1.00**"]
    {
        assert!(table.contains(part), "{part}: {table}");
    }
    let rows = String::from_utf8(place.read("out/landmarks.csv")).unwrap();
    // Two parts, seven arms and an annotator, ten landmarks, four measures.
    assert_eq!(rows.lines().count(), 1 + 2 * 8 * 10 * 4, "{rows}");
    let svg = String::from_utf8(place.read("out/sdr.svg")).unwrap();
    assert!(svg.contains("Cumulative error, phantom, few") && svg.contains("junior"));

    // Nothing is done twice; another template is another arm's work.
    let before = place.tree("out");
    let text = place.run(line).success();
    assert_eq!(text.matches("(done before)").count(), 7, "{text}");
    assert!(place.tree("out") == before, "a second run changes files");
    place.write("all.toml", benchmark().replacen("template = \"2\"", "template = \"3\"", 1));
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(
        planned.contains("7 of them to do") || planned.contains("4 matchings, 1 of them to do"),
        "{planned}"
    );
    let text = place.run(&format!("{line} --changed")).success();
    assert_eq!(text.matches("(done before)").count(), 6, "{text}");
    let again: serde_json::Value = serde_json::from_slice(&place.read("out/experiment.json")).unwrap();
    assert_ne!(again["arms"][0]["results"], object["arms"][0]["results"]);
    // An arm alone brings the training that it needs.
    place.run("experiment all.toml --data . --out alone --only of-trained --only random").success();
    assert!(place.file("alone/runs/phantom/random/seed-0/scores").exists());
    assert!(place.file("alone/runs/phantom/trained/seed-0/encoder.onnx").exists());
    assert!(!place.file("alone/runs/phantom/named").exists());
}

#[test]
fn what_is_wrong_in_an_arm_of_templates_is_named() {
    let place = Workplace::new();
    place.make_data("train", 6, 3);
    place.write("data/junior.csv", place.read("data/landmarks.csv"));
    let whole = benchmark().replace("none = \"7-9\", ", "");
    for (right, wrong, named) in [
        ("{ random = 3 }", "{ random = 7 }", "templates 7"),
        ("{ random = 3 }", "{ random = 3, select = 2 }", "arm random"),
        ("{ random = 3 }", "{ refine = true }", "give one of"),
        ("{ template = \"2.png\" }", "{ template = \"9\" }", "template 9"),
        ("self-train = { template = \"2\" }", "self-train = {}", "arm self-trained"),
        ("self-train =", "match = { random = 1 }\nself-train =", "match and self-train"),
        ("encoder_of = \"trained\"", "encoder_of = \"network\"", "encoder_of network"),
        ("encoder = \"encoder.onnx\"", "", "names no encoder"),
        ("encoder = \"encoder.onnx\"", "encoder = \"nowhere.onnx\"", "nowhere.onnx"),
        ("\"0-1\"", "\"first\"", "part few"),
        ("\"0-1\"", "\"5-3\"", "part few"),
        ("[\"junior.csv\"]", "[\"senior.csv\"]", "senior.csv"),
        ("match = { random = 3 }", "match = { random = 3 }\noptions = { pixels = 8 }", "options"),
        ("rounds = 1", "rounds = 0", "rounds"),
        ("rounds = 1", "network = { batch = 2 }", "[networks]"),
    ] {
        let text = whole.replace(right, wrong);
        assert_ne!(text, whole, "{wrong}");
        place.write("wrong.toml", text);
        let reason = place.run("experiment wrong.toml --data . --out out").reason();
        assert!(reason.contains(named), "{wrong}: {reason}");
    }
}

#[test]
fn a_simulated_annotator_corrects_round_after_round_and_other_rounds_are_simulated_anew() {
    let place = Workplace::new();
    place.make_data("train", 6, 3);
    let file = |rounds: &str| {
        format!(
            r#"
title = "Loop"

[[data]]
name = "phantom"
train = "train"
dev = "data"
encoder = "encoder.onnx"
tolerance_mm = 4.0

[loop]
rounds = {rounds}

[[arm]]
name = "coverage"
strategy = "coverage"

[[arm]]
name = "random"
strategy = "random"
"#
        )
    };
    place.write("loop.toml", file("[1, 2]"));
    let line = "experiment loop.toml --data . --out out";
    let rounds = |object: &serde_json::Value, arm: usize| -> Vec<u64> {
        let rounds = object["results"][arm]["rounds"].as_array().unwrap();
        rounds.iter().map(|round| round["images"].as_u64().unwrap()).collect()
    };
    let object = place.run(&format!("{line} --json")).json();
    assert_eq!([rounds(&object, 0), rounds(&object, 1)], [[1, 2], [1, 2]], "{object}");
    let points = object["results"][0]["points"].as_u64().unwrap();
    let first = &object["results"][0]["rounds"][0];
    assert_eq!(first["corrections"].as_u64().unwrap() * 6, points, "all points of the first image: {object}");
    assert!(first["mre_mm"].as_f64().unwrap() > 0.0, "{object}");
    let before = place.tree("out");
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert_eq!(planned.matches("finished: nothing to do").count(), 2, "{planned}");
    place.run(line).success();
    assert!(place.tree("out") == before, "a second run changes files");

    // Another description of the images that are scored: what was kept is of others.
    let described = place.read("data/dataset.toml");
    place.write("data/dataset.toml", [described.clone(), b"# anew\n".to_vec()].concat());
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert_eq!(planned.matches("learn, score").count(), 2, "{planned}");
    place.write("data/dataset.toml", described);

    // Likewise other rounds in the file.
    place.write("loop.toml", file("[1, 3]"));
    assert!(place.run(line).reason().contains("--changed"));
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert_eq!(planned.matches("learn, score").count(), 2, "{planned}");
    let object = place.run(&format!("{line} --json --changed")).json();
    assert_eq!([rounds(&object, 0), rounds(&object, 1)], [[1, 3], [1, 3]], "{object}");
    assert_eq!(object["results"][0]["rounds"][0], *first, "{object}");
}
