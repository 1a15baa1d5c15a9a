//! `infomark train-landmarks`, `infomark self-train`, and what uses their networks.

use crate::support::Workplace;

/// A training that takes seconds.
const SMALL: &str =
    "input_area = 12288\nchannels = [8, 8, 8, 8, 8]\nhidden = 8\nbatch = 2\nelastic_spacing = 40\n";

#[test]
fn a_network_is_trained_scored_and_used() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    let line = "train-landmarks data --config small.toml --out net.onnx --steps 3 --images 4";
    let text = place.run(line).success();
    assert!(text.contains("3 steps on 4 images") && text.contains("checkpoints and log: net.run"), "{text}");
    let scores = place.run("evaluate --landmark-model net.onnx --data data --out scores --json").json();
    assert_eq!(scores["summary"], "landmark network net.onnx");
    assert_eq!(scores["landmark_model"]["training_images"], 4);
    assert!(scores["mre_mm"].as_f64().is_some_and(|mre| mre > 0.0), "{scores}");
    let rows = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    let landmarks = scores["data"]["landmarks"].as_u64().unwrap() as usize;
    assert_eq!(rows.lines().count(), 1 + 5 * landmarks);
    let found = place.run("match --landmark-model net.onnx data/images --out found --json").json();
    assert_eq!(found["landmark_model"]["sha256"], scores["landmark_model"]["sha256"]);
    assert_eq!(found["images"].as_array().map(Vec::len), Some(5));
    assert!(place.file("found/overlays/0.png").is_file());
    // To the same bits from where it was stopped.
    let before = place.read("net.onnx");
    place.run("train-landmarks data --out net.onnx --resume net.run").success();
    assert!(place.read("net.onnx") == before);
}

#[test]
fn network_and_templates_that_come_with_the_program_are_used_together_where_none_is_named() {
    let place = Workplace::new();
    let outcome = place.run("match --model ceph data/images/1.png --out found");
    assert!(
        outcome.stdout.contains("landmark network and the 5 templates of ceph, 19 landmarks"),
        "{outcome:?}"
    );
    let object: serde_json::Value = serde_json::from_slice(&place.read("found/landmarks.json")).unwrap();
    let ceph = infomark_models::find("ceph").unwrap();
    let network = infomark_infer::sha256(ceph.network_bytes().unwrap());
    assert_eq!(object["ensemble"]["networks_sha256"], serde_json::json!([network]));
    assert_eq!(object["ensemble"]["encoder_sha256"], infomark_infer::sha256(ceph.encoder));
    assert_eq!(object["ensemble"]["templates"].as_array().map(Vec::len), Some(5));
    // The points of the library.
    let ensemble = ceph.ensemble().unwrap();
    let image = infomark_infer::read_image(place.file("data/images/1.png")).unwrap();
    let expected = ensemble.detect(&image, None).unwrap();
    let points = object["images"][0]["landmarks"].as_array().unwrap();
    assert_eq!(points.len(), expected.landmarks.len());
    for (point, expected) in points.iter().zip(&expected.landmarks) {
        assert_eq!(point["landmark"], expected.name);
        assert!((point["x"].as_f64().unwrap() - expected.at.x).abs() < 0.001, "{point}");
        let bound = point["error_bound_px"].as_f64().unwrap();
        assert!((bound - expected.error_bound_px.unwrap()).abs() < 0.01, "{point}");
        assert!(point["abstain"].is_boolean(), "{point}");
    }
    // The network alone, recognised by the first template, has the points of its file.
    let named = place.run("match --landmark-model ceph data/images/1.png --out named --json").json();
    assert_eq!(named["landmark_model"]["sha256"], network);
    assert_eq!(named["recognised_by"]["model"]["sha256"], infomark_infer::sha256(ceph.encoder));
    let points = named["images"][0]["landmarks"].as_array().unwrap();
    assert!(
        points.iter().all(|point| point["abstain"].is_boolean() && point["margin"].is_null()),
        "{points:?}"
    );
    place.write("net.onnx", ceph.network_bytes().unwrap());
    let alone = place.run("match --landmark-model net.onnx data/images/1.png --out alone --json").json();
    for (alone, checked) in alone["images"][0]["landmarks"].as_array().unwrap().iter().zip(points) {
        assert_eq!(
            (&alone["x"], &alone["y"], &alone["score"]),
            (&checked["x"], &checked["y"], &checked["score"])
        );
    }
    for (line, named) in [
        ("--model ceph --no-prior", "--no-prior"),
        ("--model ceph --abstain-above 3", "--abstain-above"),
        ("--landmark-model net.onnx --template data/images/0.png", "--template"),
        ("--landmark-model net.onnx --fix-orientation", "--fix-orientation"),
        ("--landmark-model net.onnx --model encoder.onnx", "--template"),
        ("--landmark-model ceph --calibration c.json", "--calibration"),
    ] {
        let outcome = place.run(&format!("match {line} data/images/1.png --out refused"));
        assert!(outcome.code != Some(0) && outcome.stderr.contains(named), "{line}: {outcome:?}");
    }
}

#[test]
fn a_network_with_a_template_abstains_where_its_anatomy_is_not_seen_and_follows_turned_images() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    place.run("train-landmarks data --config small.toml --out net.onnx --steps 3").success();
    place.write_noise("strange.png");
    place.write_mirrored("data/images/1.png", "mirrored.png");
    let given = "--landmark-model net.onnx --model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";
    let line = format!(
        "match {given} strange.png mirrored.png data/images/1.png --fix-orientation --json --out found"
    );
    let object = place.run(&line).json();
    let image = |index: usize| &object["images"][index];
    let points = |index: usize| image(index)["landmarks"].as_array().unwrap().clone();
    for (index, recognised, reoriented) in [(0, false, false), (1, true, true), (2, true, false)] {
        let recognition = &image(index)["recognition"];
        assert_eq!(recognition["recognised"], recognised, "{recognition}");
        assert_eq!(recognition["reoriented"], reoriented, "{recognition}");
        for point in points(index) {
            assert_eq!(point["abstain"], !recognised || point["score"].as_f64().unwrap() < 0.5, "{point}");
        }
    }
    let width = image(1)["width"].as_f64().unwrap();
    for (mirrored, plain) in points(1).iter().zip(&points(2)) {
        let (x, plain_x) = (mirrored["x"].as_f64().unwrap(), plain["x"].as_f64().unwrap());
        assert!((width - 1.0 - x - plain_x).abs() < 0.01, "{mirrored} {plain}");
        assert_eq!(mirrored["y"], plain["y"]);
    }
}

#[test]
fn encoders_and_networks_are_told_apart() {
    let place = Workplace::new();
    place.write("small.toml", SMALL);
    place.run("train-landmarks data --config small.toml --out net.onnx --steps 1").success();
    let reason = place.run("match --landmark-model encoder.onnx data/images --out found").reason();
    assert!(reason.contains("encoder.onnx"), "{reason}");
    let reason = place.run("evaluate --model net.onnx --data data").reason();
    assert!(reason.contains("net.onnx"), "{reason}");
    // An encoder that other programs exported can be matched with, and not learnt from.
    let reason = place.run("train-landmarks data --from encoder.onnx --out b.onnx --steps 1").reason();
    assert!(reason.contains("encoder.onnx"), "{reason}");
    let reason = place.run("train-landmarks data --out data/landmarks.csv --steps 1").reason();
    assert!(reason.contains("landmarks.csv"), "{reason}");
    let reason = place.run("train-landmarks data --out b.onnx --steps 1 --images 6").reason();
    assert!(reason.starts_with("data: ") && reason.contains('6'), "{reason}");
}

#[test]
fn every_model_that_comes_with_the_program_finds_the_landmarks_of_its_scheme() {
    let place = Workplace::new();
    for model in infomark_models::MODELS {
        let name = model.name;
        let object =
            place.run(&format!("match --model {name} data/images/1.png --out found-{name} --json")).json();
        let scheme = infomark_infer::Scheme::load(name).unwrap();
        let mut expected: Vec<&str> = scheme.landmarks().iter().map(|landmark| &landmark.name[..]).collect();
        let found = object["images"][0]["landmarks"].as_array().unwrap();
        let mut found: Vec<&str> = found.iter().filter_map(|point| point["landmark"].as_str()).collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
        let by_network = object["ensemble"].is_object();
        assert_eq!(by_network, model.landmark_net.is_some(), "{name}");
        let outcome = place.run(&format!("match --landmark-model {name} data/images/1.png --out net-{name}"));
        match model.landmark_net {
            Some(_) => assert_eq!(outcome.code, Some(0), "{outcome:?}"),
            None => {
                let reason = outcome.reason();
                assert!(
                    reason.contains("without a landmark network") && reason.starts_with(name),
                    "{reason}"
                );
            }
        }
    }
    let reason = place.run("match --model foot data/images/1.png --out foot").reason();
    assert_eq!(
        reason,
        "foot: no such file, and no model of that name comes with infomark, which has ceph, chest, hand"
    );
    let outcome = place.run("match --model hand data/images/1.png --out told");
    assert!(outcome.stdout.contains("by the 5 templates of hand, 17 landmarks"), "{outcome:?}");
    let reason = place.run("match --model ceph --refine data/images data/images --out refined").reason();
    assert!(reason.contains("--refine") && reason.contains("--template"), "{reason}");
}

#[test]
fn a_network_starts_from_the_encoder_that_comes_with_the_program_by_its_name() {
    let place = Workplace::new();
    place.write("small.toml", "hidden = 8\nbatch = 2\nelastic_spacing = 40\n");
    let line =
        "train-landmarks data --config small.toml --from ceph --out net.onnx --steps 1 --images 2 --json";
    let object = place.run(line).json();
    let ceph = infomark_models::find("ceph").unwrap();
    assert_eq!(object["encoder_sha256"], infomark_infer::sha256(ceph.encoder));
    // A file of that name goes first.
    place.write("ceph", "no encoder");
    let reason = place.run(&line.replace("net.onnx", "other.onnx")).reason();
    assert!(reason.contains("ceph"), "{reason}");
}

#[test]
fn self_training_tells_what_it_believes() {
    let place = Workplace::new();
    let encoder = "input_area = 12288\nchannels = [8, 8, 8, 8, 8]\nembedding = 8\nbatch = 2\nviews = 1\nview_size = 64\npixels = 16\n";
    place.write("encoder.toml", encoder);
    place.write(
        "small.toml",
        format!("max_cycle_error = 500.0\noutlier = 500.0\nmax_disagreement = 500.0\n[network]\n{SMALL}"),
    );
    place.run("train data/images --config encoder.toml --out own.onnx --steps 10").success();
    let given = "--model own.onnx --template data/images/0.png --landmarks data/landmarks.csv";
    let line = format!("self-train data/images {given} --config small.toml --out net.onnx --steps 6");
    let text = place.run(&line).success();
    assert!(text.contains("Labels of round 2") && text.contains("disagreement"), "{text}");
    assert!(place.file("net.run/round-1/labels.json").is_file());
    place.run("match --landmark-model net.onnx data/images/1.png --out found").success();
    let reason = place.run(&line).reason();
    assert!(reason.contains("net.run"), "{reason}");
    let two = line
        .replace("net.onnx", "two.onnx")
        .replace("--landmarks", "--template data/images/2.png --landmarks");
    place.run(&two).success();
    let reason =
        place.run(&format!("{two} --landmarks data/landmarks.csv --landmarks data/landmarks.csv")).reason();
    assert!(reason.contains("--landmarks: 3 "), "{reason}");
}

#[test]
fn an_experiment_compares_networks_from_scratch_and_from_an_encoder() {
    let place = Workplace::new();
    let encoder = "input_area = 12288\nchannels = [8, 8, 8, 8, 8]\nembedding = 8\nbatch = 2\nviews = 1\nview_size = 64\npixels = 16\n";
    place.write("encoder.toml", encoder);
    place.run("train data/images --config encoder.toml --out own.onnx --steps 2").success();
    let head = "title = \"t\"\nseeds = [0, 1]\n[[data]]\nname = \"d\"\ntrain = \"data\"\ndev = \"data\"\n";
    let rest = format!(
        "[networks]\nbudget = {{ steps = 2 }}\n{SMALL}[[arm]]\nname = \"scratch\"\nnetwork = {{ images = 3 }}\n\
         [[arm]]\nname = \"encoder\"\nnetwork = {{ images = 3, pretrained = true }}\n"
    );
    place.write("e.toml", format!("{head}{rest}"));
    let reason = place.run("experiment e.toml --data . --out out").reason();
    assert!(reason.contains("pretrained") && reason.contains("data d"), "{reason}");
    place.write("e.toml", format!("{head}encoder = \"own.onnx\"\n{rest}"));
    let line = "experiment e.toml --data . --out out";
    let planned = place.run(&format!("{line} --dry-run")).success();
    assert!(planned.contains("d / encoder / seed 1: 2 steps - train, score"), "{planned}");
    let object = place.run(&format!("{line} --json")).json();
    let runs = &object["arms"][1]["results"][0]["runs"];
    assert_eq!(runs[0]["config"]["images"], 3);
    assert_eq!(runs[0]["config"]["encoder_sha256"].as_str().map(str::len), Some(64));
    assert!(object["arms"][0]["results"][0]["runs"][0]["config"]["encoder_sha256"].is_null());
    assert!(object["arms"][1]["results"][0]["difference_to_first_mm_interval"].is_array(), "{object}");
    assert!(place.file("out/mre.png").is_file());
    let again = place.run(line).success();
    assert_eq!(again.matches("(done before)").count(), 4, "{again}");
}
