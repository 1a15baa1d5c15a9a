//! The loop: an encoder is trained on the page, proposals are corrected, and what was corrected is learnt from.

use serde_json::{Value, json};

use super::{Server, Workplace};

fn ended(state: &Value) -> bool {
    state["job"]["running"] == false
}

/// Accepts images by name.
fn accept(server: &Server, names: &[String]) {
    let state = server.state();
    for name in names {
        let base = state["records"][name]["decision_revision"].as_u64().unwrap_or(0);
        let decision = json!({ "decision": { "to": "accepted", "base": base } });
        let (status, answer) = server.post(&format!("/api/images/{}/edit", server.id(name)), &decision);
        assert_eq!(status, 200, "{name}: {answer}");
    }
}

fn order(server: &Server, path: &str, body: &Value) {
    let (status, answer) = server.post(path, body);
    assert_eq!(status, 200, "{path}: {answer}");
}

#[test]
fn a_model_that_comes_with_infomark_proposes_the_landmarks_of_its_scheme_at_once() {
    let place = Workplace::new();
    let server = Server::start(&place, "--scheme ceph --model ceph");
    order(&server, "/api/match", &json!({}));
    let state = server.wait(ended);
    let message = state["job"]["message"].as_str().unwrap();
    assert!(
        message.contains("5 of 5 images searched by 1 landmark network and 5 templates of ceph"),
        "{message}"
    );
    let record = &state["records"]["0.png"];
    // The points of the command line.
    let expected = place.run("match --model ceph data/images/0.png --out found --json").json();
    let landmarks = expected["images"][0]["landmarks"].as_array().unwrap();
    assert_eq!(landmarks.len(), 19);
    let placement = infomark_models::find("ceph").unwrap().placement.unwrap();
    for (landmark, (_, member, _)) in landmarks.iter().zip(placement.landmarks) {
        // Where network and templates are far apart, fusion places it all the same; uncertainties end before.
        let disagreement = landmark["uncertainty"].as_f64().unwrap() - infomark_infer::EnsembleBounds::FLOOR;
        let is_near = disagreement < infomark_infer::EnsembleBounds::CEILING - 0.01;
        let point = &record["points"][landmark["landmark"].as_str().unwrap()];
        for (axis, key) in ["x", "y"].iter().enumerate() {
            let off = point["at"][axis].as_f64().unwrap() - landmark[key].as_f64().unwrap();
            assert!(off.abs() < 0.001, "{landmark}: {point}");
        }
        let own = point["found"]["member"] == member.to_string();
        assert!(own || !is_near && point["found"]["member"] == "fusion", "{point}");
        assert!(landmark["error_bound_px"].as_f64().unwrap() > 0.0, "{landmark}");
        assert_eq!(point["found"]["error_bound_px"], landmark["error_bound_px"], "{point}");
    }
    drop(server);
    // Where other landmarks are wanted, it has none to propose.
    let other = Workplace::new();
    let server = Server::start(&other, "--model ceph");
    order(&server, "/api/match", &json!({}));
    let message = server.wait(ended)["job"]["message"].clone();
    assert!(message.as_str().unwrap().contains("there is no template"), "{message}");
}

#[test]
fn what_has_no_encoder_is_refused_and_says_what_to_do() {
    let place = Workplace::new();
    // Noise is none of what the encoders of the program are for; phantoms are heads.
    (0..5).for_each(|image| place.write_noise(&format!("data/images/{image}.png")));
    // An encoder that was damaged is told, and keeps nobody from annotating.
    place.write("rev/encoder.onnx", "no encoder");
    let server = Server::start(&place, "");
    assert_eq!(server.state()["model"], json!(false));
    let (status, answer) = server.post("/api/next", &json!({}));
    assert!(status == 200 && answer["why"].as_str().unwrap().contains("with an encoder"), "{answer}");
    for path in ["/api/match", "/api/suggest", "/api/learn"] {
        let (status, answer) = server.post(path, &json!({}));
        assert!(status == 400 && answer["error"].as_str().unwrap().contains("train one"), "{path}: {answer}");
    }
    assert_eq!(server.post("/api/train", &json!({ "steps": 0 })).0, 400);
    assert_eq!(server.post("/api/encoder", &json!({ "name": "../ceph" })).0, 400);
    assert_eq!(server.post("/api/export", &json!({ "formats": ["model"], "accepted_only": true })).0, 400);
    order(&server, "/api/recognise", &json!({}));
    let state = server.wait(ended);
    let proposal = &state["encoder"]["proposal"];
    assert_eq!((&proposal["images"], &proposal["suits"]), (&json!(2), &json!(false)), "{state}");
    // Whoever wants it all the same may use it, at later starts too.
    order(&server, "/api/encoder", &json!({ "name": "ceph" }));
    drop(server);
    let server = Server::start(&place, "");
    let state = server.state();
    assert_eq!((&state["model"], &state["chosen_encoder"]), (&json!(true), &json!({ "shipped": "ceph" })));
    drop(server);
    let server = Server::start(&place, "--model encoder.onnx");
    assert_eq!(server.post("/api/train", &json!({})).0, 400, "an encoder is given");
    assert_eq!(server.post("/api/encoder", &json!({ "name": "ceph" })).0, 400, "an encoder is given");
    order(&server, "/api/next", &json!({}));
    server.wait(ended);
    let (status, next) = server.post("/api/next", &json!({}));
    assert!(status == 200 && next["image"].is_string() && next["waiting"] == false, "{next}");
    assert_eq!(server.post("/api/learn", &json!({})).0, 200);
    let state = server.wait(ended);
    assert!(state["job"]["failed"] == true, "{state}");
    assert!(state["job"]["message"].as_str().unwrap().contains("accept 5 or more"), "{state}");
}

#[test]
fn a_training_that_was_paused_and_learning_that_was_killed_go_on_and_lose_nothing() {
    let place = Workplace::new();
    place.make_data("data", 8, 0);
    let options = "--threads 1 --learn-steps 4 --network-steps 2";
    let server = Server::start(&place, options);
    let table = place.read("data/landmarks.csv");
    assert_eq!(server.ask_with("POST", "/api/import", &server.own(), &table).0, 200);
    order(&server, "/api/train", &json!({}));
    let (status, _) = server.post("/api/train", &json!({}));
    assert_eq!(status, 409, "one piece of work at a time");
    // Annotating goes on meanwhile.
    let landmark = server.state()["setup"]["names"][0].as_str().unwrap().to_owned();
    let base = server.state()["records"]["7.png"]["points"][&landmark]["revision"].as_u64().unwrap();
    assert_eq!(server.place(&server.id("7.png"), &landmark, [30.0, 40.0], base).0, 200);
    server.wait(|state| state["job"]["kind"] == "training the encoder" && state["job"]["done"] != 0);
    order(&server, "/api/stop", &json!({}));
    let state = server.wait(ended);
    assert!(state["job"]["message"].as_str().unwrap().starts_with("training paused after "), "{state}");
    let stands = state["encoder"]["unfinished"].clone();
    assert_eq!((&stands["steps"], &stands["images"], &state["model"]), (&json!(4), &json!(8), &json!(false)));
    drop(server);

    let server = Server::start(&place, options);
    assert_eq!(server.state()["encoder"]["unfinished"], stands);
    order(&server, "/api/train", &json!({}));
    let state = server.wait(ended);
    assert!(state["job"]["message"].as_str().unwrap().starts_with("encoder trained on 8 images"), "{state}");
    assert!(state["job"]["message"].as_str().unwrap().ends_with(": 4 steps"), "{state}");
    assert_eq!((&state["model"], &state["encoder"]["unfinished"]), (&json!(true), &Value::Null));
    assert!(place.file("rev/encoder.onnx").is_file() && !place.file("rev/encoder.images").exists());
    let names: Vec<String> = (0..5).map(|index| format!("{index}.png")).collect();
    accept(&server, &names);
    order(&server, "/api/learn", &json!({}));
    server.wait(|state| state["job"]["kind"] == "learning" && state["job"]["done"] != 0);
    let base = server.state()["records"]["6.png"]["points"][&landmark]["revision"].as_u64().unwrap();
    assert_eq!(server.place(&server.id("6.png"), &landmark, [31.5, 42.5], base).0, 200);
    let before = server.state();
    // Killed.
    drop(server);

    let mut server = Server::start(&place, options);
    let after = server.state();
    for key in ["records", "setup", "revision", "chosen_encoder", "model"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    order(&server, "/api/learn", &json!({}));
    let state = server.wait(ended);
    let message = state["job"]["message"].as_str().unwrap();
    assert!(message.starts_with("learnt from 5 images: held-out error "), "{message}");
    assert!(message.ends_with(" points placed or moved; 3 of 3 open images searched"), "{message}");
    let round = state["rounds"][0].clone();
    assert_eq!((&round["images"], &round["by_hand"]), (&json!(5), &json!(0)));
    assert_eq!(
        round["landmarks"].as_array().unwrap().len(),
        state["setup"]["names"].as_array().unwrap().len()
    );
    let held_out = round["landmarks"][0]["error"]["px"].as_f64().unwrap();
    assert!(held_out > 0.0, "{round}");
    let open = &state["records"]["6.png"];
    assert!(open["uncertainty_px"].as_f64().unwrap() >= 0.0, "{open}");
    let moved = &open["points"][&landmark];
    assert_eq!((&moved["at"], &moved["by"]), (&json!([31.5, 42.5]), &json!("hand")), "{moved}");
    assert!(
        ["templates", "network", "fusion"].contains(&moved["found"]["member"].as_str().unwrap()),
        "{moved}"
    );
    assert!(moved["found"]["disagreement_px"].as_f64().unwrap() >= 0.0, "{moved}");
    // The same images again: nothing new is learnt.
    order(&server, "/api/learn", &json!({}));
    assert_eq!(server.wait(ended)["rounds"].as_array().unwrap().len(), 1);
    let (_, next) = server.post("/api/next", &json!({}));
    assert!(next["why"].as_str().unwrap().ends_with("the most uncertain"), "{next}");
    let curve = format!("GET /api/learning-curve HTTP/1.1\r\n{}Connection: close\r\n\r\n", server.own());
    let (status, svg) = server.send(curve.as_bytes());
    assert!(status == 200 && svg.starts_with(b"<svg"), "{}", String::from_utf8_lossy(&svg));
    order(&server, "/api/export", &json!({ "formats": ["csv", "model"], "accepted_only": true }));
    server.child.kill().unwrap();
    drop(server);
    let server = Server::start(&place, options);
    assert_eq!(server.state()["rounds"][0], round, "a restart shows what was learnt");
    assert_eq!(server.get("/api/export").1["formats"], json!(["csv", "model"]));
    place.run("match --model rev/export/model.infomark data/images --out found").success();
    let table = String::from_utf8(place.read("found/landmarks.csv")).unwrap();
    assert_eq!(table.lines().count(), 1 + 8 * round["landmarks"].as_array().unwrap().len(), "{table}");
    drop(server);

    // Its file, as another review's model: the landmarks are known, proposed as the command line does, and learnt with its networks.
    std::fs::copy(place.file("rev/export/model.infomark"), place.file("set.infomark")).unwrap();
    std::fs::remove_dir_all(place.file("rev")).unwrap();
    let server = Server::start(&place, "--threads 1 --model set.infomark");
    let names: Vec<&Value> = round["landmarks"].as_array().unwrap().iter().map(|of| &of["name"]).collect();
    assert_eq!(server.state()["setup"]["names"].as_array().unwrap().iter().collect::<Vec<_>>(), names);
    order(&server, "/api/match", &json!({}));
    let state = server.wait(ended);
    let message = state["job"]["message"].as_str().unwrap();
    assert!(
        message.contains("8 of 8 images searched by 4 landmark networks and 5 templates of set.infomark"),
        "{message}"
    );
    let found = place.run("match --model set.infomark data/images/7.png --out again --json").json();
    for landmark in found["images"][0]["landmarks"].as_array().unwrap() {
        let at = &state["records"]["7.png"]["points"][landmark["landmark"].as_str().unwrap()]["at"];
        assert_eq!(at, &json!([landmark["x"], landmark["y"]]), "{landmark}");
    }
    accept(&server, &["0.png", "1.png", "5.png", "6.png", "7.png"].map(str::to_owned));
    order(&server, "/api/learn", &json!({}));
    let state = server.wait(ended);
    let message = state["job"]["message"].as_str().unwrap();
    assert!(message.starts_with("learnt from 5 images: held-out error "), "{message}");
    assert!(
        !place
            .file("rev/learned")
            .read_dir()
            .unwrap()
            .any(|folder| { folder.unwrap().path().join("network-1.onnx").exists() })
    );
}

#[test]
fn a_removed_landmark_comes_back_with_its_points() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    for name in ["a", "b", "c"] {
        let change =
            json!({ "base": server.state()["setup"]["revision"], "change": { "add": { "name": name } } });
        order(&server, "/api/setup", &change);
    }
    assert_eq!(server.place(&server.id("1.png"), "b", [10.25, 20.5], 0).0, 200);
    let change = |what: &str| json!({ "base": server.state()["setup"]["revision"], "change": { what: { "name": "b" } } });
    order(&server, "/api/setup", &change("remove"));
    let state = server.state();
    assert_eq!(state["setup"]["names"], json!(["a", "c"]));
    assert_eq!(state["records"]["1.png"]["points"], json!({}));
    assert_eq!(server.post("/api/setup", &change("remove")).0, 400, "it is on no list");
    drop(server);
    let server = Server::start(&place, "");
    let change =
        json!({ "base": server.state()["setup"]["revision"], "change": { "restore": { "name": "b" } } });
    order(&server, "/api/setup", &change);
    let state = server.state();
    assert_eq!(state["setup"]["names"], json!(["a", "b", "c"]));
    assert_eq!(state["records"]["1.png"]["points"]["b"]["at"], json!([10.25, 20.5]));
    let change = json!({ "base": state["setup"]["revision"], "change": { "restore": { "name": "b" } } });
    assert_eq!(server.post("/api/setup", &change).0, 400);
}
