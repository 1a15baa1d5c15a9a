//! Images that come, change and go; landmark files that are read and written; connections that ask for nothing.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use infomark_tests::infer_dicom::Dicom;

use super::Server;
use crate::support::{SIZE, Workplace, png};

/// What an answer says, as text.
fn told(answer: &Value) -> &str {
    answer["error"].as_str().unwrap_or_default()
}

#[test]
fn images_that_are_dropped_are_copied_into_the_reviews_folder_and_nowhere_else() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let before = place.tree("data");
    let add = |name: &str, bytes: &[u8]| {
        server.ask_with("POST", &format!("/api/add?name={name}"), &server.own(), bytes)
    };
    let noise = |seed: u64| {
        place.write_noise("noise.png");
        let mut image = image::load_from_memory(&place.read("noise.png")).unwrap().into_luma8();
        image.put_pixel(0, 0, image::Luma([seed as u8]));
        png(SIZE, image.as_raw())
    };
    let (status, answer) = add("new%20one.png", &noise(1));
    assert_eq!(
        (status, &answer["name"], &answer["is_new"]),
        (200, &json!("new one.png"), &json!(true)),
        "{answer}"
    );
    let (status, again) = add("other.png", &noise(1));
    assert_eq!((status, &again["name"], &again["is_new"]), (200, &json!("new one.png"), &json!(false)));
    // The name of an image of the folder, and of one that was added.
    assert_eq!(add("0.png", &noise(2)).1["name"], "0-2.png");
    assert_eq!(add("NEW%20ONE.png", &noise(3)).1["name"], "NEW ONE-2.png");
    // Paths lead nowhere: what parts folders becomes part of the name, or the name is refused.
    let (status, answer) = add("x%2F..%2F..%2Fy.png", &noise(4));
    assert_eq!((status, &answer["name"]), (200, &json!("x_.._.._y.png")), "{answer}");
    for name in ["..%2F..%2Fetc%2Fpasswd", ".hidden.png", "", "%00", "..", "%2e%2e"] {
        assert!(matches!(add(name, &noise(5)).0, 400 | 422), "{name}");
    }
    let (status, answer) = add("broken.png", b"no image");
    assert!(status == 422 && told(&answer).starts_with("broken.png: "), "{answer}");
    let (status, answer) = add("noise.txt", &noise(6));
    assert!(status == 422 && told(&answer).contains("noise.txt"), "{answer}");
    // As archives name them.
    let dicom = Dicom::new(64, 48, 12, (0..64 * 48).map(|i| (i % 4000) as u16).collect()).encode();
    assert_eq!(add("IM0001", &dicom).1["name"], "IM0001");
    let head = |length: u64| {
        format!(
            "POST /api/add?name=a.png HTTP/1.1\r\n{}Connection: close\r\nContent-Length: {length}\r\n\r\n",
            server.own()
        )
    };
    assert_eq!(server.send(head((128 << 20) + 1).as_bytes()).0, 413);
    let host = format!("Host: 127.0.0.1:{}\r\n", server.port);
    assert_eq!(server.ask_with("POST", "/api/add?name=a.png", &host, &noise(7)).0, 401);
    let foreign = format!("{}Origin: https://evil.example\r\n", server.own());
    assert_eq!(server.ask_with("POST", "/api/add?name=a.png", &foreign, &noise(7)).0, 403);

    let names: Vec<String> = place.tree("rev/images").keys().map(|path| path.display().to_string()).collect();
    assert_eq!(names, ["0-2.png", "IM0001", "NEW ONE-2.png", "new one.png", "x_.._.._y.png"]);
    assert_eq!(place.tree("data"), before, "nothing is written beside the images");
    let id = server.id("new one.png");
    assert_eq!(server.get(&format!("/api/images/{id}/pixels")).0, 200);
    drop(server);
    let server = Server::start(&place, "");
    assert_eq!(server.id("new one.png"), id, "it is there again");
}

#[test]
fn a_folder_without_images_can_be_filled_from_the_page_or_from_outside() {
    let place = Workplace::new();
    let image = place.read("data/images/0.png");
    for index in 0..5 {
        std::fs::rename(place.file(&format!("data/images/{index}.png")), place.file(&format!("{index}.png")))
            .unwrap();
    }
    let server = Server::start(&place, "");
    assert_eq!(server.state()["listing"], json!([]));
    assert_eq!(server.ask_with("POST", "/api/add?name=a.png", &server.own(), &image).0, 200);
    std::fs::rename(place.file("1.png"), place.file("data/images/1.png")).unwrap();
    let named = |state: &Value, name: &str| {
        state["listing"].as_array().unwrap().iter().any(|image| image["name"] == name)
    };
    server.wait(|state| named(state, "a.png") && named(state, "1.png"));
}

#[test]
fn images_that_are_replaced_or_gone_are_told_and_not_saved_in_silence() {
    let place = Workplace::new();
    let server = Server::start(&place, "--model encoder.onnx");
    let image = |state: &Value, name: &str| {
        state["listing"]
            .as_array()
            .unwrap()
            .iter()
            .find(|image| image["name"] == name)
            .cloned()
            .unwrap_or_default()
    };
    server.wait(|state| (0..5).all(|i| !image(state, &format!("{i}.png"))["size"].is_null()));
    let add =
        json!({ "base": server.state()["setup"]["revision"], "change": { "add": { "name": "sella" } } });
    assert_eq!(server.post("/api/setup", &add).0, 200);
    for name in ["0.png", "1.png", "2.png"] {
        assert_eq!(server.place(&server.id(name), "sella", [10.0, 20.0], 0).0, 200);
    }
    let (first, template) = (server.state(), server.id("0.png"));
    let use_it =
        json!({ "base": first["setup"]["revision"], "change": { "template": { "image": template } } });
    assert_eq!(server.post("/api/setup", &use_it).0, 200);
    // Another image of another size under the same name; and one less.
    place.write(
        "data/images/0.png",
        png((64, 80), &(0..64 * 80).map(|i| (i % 251) as u8).collect::<Vec<_>>()),
    );
    std::fs::remove_file(place.file("data/images/1.png")).unwrap();
    let state = server.wait(|state| {
        image(state, "0.png")["size"] == json!([64, 80]) && image(state, "1.png")["error"].is_string()
    });
    assert_ne!(image(&state, "0.png")["sha256"], state["records"]["0.png"]["sha256"]);
    assert!(image(&state, "1.png")["error"].as_str().unwrap().starts_with("1.png: "));
    assert_eq!(server.get(&format!("/api/images/{}/pixels", server.id("1.png"))).0, 422);
    let (status, saved) = server.post("/api/export", &json!({ "formats": ["csv"], "accepted_only": false }));
    assert_eq!(status, 200, "{saved}");
    assert_eq!(
        (&saved["told"]["left_out"], &saved["told"]["replaced"]),
        (&json!(["1.png"]), &json!(["0.png"]))
    );
    // Points of another image make no template.
    assert_eq!(server.post("/api/match", &json!({})).0, 200);
    let job = server.wait(|state| state["job"]["running"] == false)["job"].clone();
    assert!(job["failed"] == true && job["message"].as_str().unwrap().starts_with("0.png: "), "{job}");
    let accept = json!({ "decision": { "to": "accepted", "base": 0 } });
    let (status, answer) = server.post(&format!("/api/images/{template}/edit"), &accept);
    assert_eq!((status, &answer["record"]["sha256"]), (200, &image(&state, "0.png")["sha256"]), "{answer}");
    assert_eq!(server.post("/api/match", &json!({})).0, 200);
    let job = server.wait(|state| state["job"]["running"] == false)["job"].clone();
    assert_eq!(job["failed"], false, "{job}");
}

#[test]
fn a_save_removes_what_an_earlier_one_wrote_but_no_file_of_anybody_else() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let (status, _) =
        server.ask_with("POST", "/api/import", &server.own(), &place.read("data/landmarks.csv"));
    assert_eq!(status, 200);
    server.wait(|state| state["listing"].as_array().unwrap().iter().all(|image| !image["size"].is_null()));
    let save = |formats: &[&str]| {
        let (status, saved) =
            server.post("/api/export", &json!({ "formats": formats, "accepted_only": false }));
        assert_eq!(status, 200, "{saved}");
        saved["told"].clone()
    };
    save(&["csv", "coco", "isbi"]);
    assert_eq!(server.get("/api/export").1["formats"], json!(["csv", "coco", "isbi"]));
    place.write("rev/export/mine.txt", "mine");
    place.write("rev/export/isbi/3.txt", "changed by hand");
    let rejected = json!({ "decision": { "to": "rejected", "base": 0 } });
    assert_eq!(server.post(&format!("/api/images/{}/edit", server.id("4.png")), &rejected).0, 200);
    let told = save(&["csv", "isbi"]);
    assert_eq!(told["removed"], json!(["isbi/4.txt", "landmarks.coco.json"]));
    assert_eq!(told["kept"], json!(["changed/1/isbi/3.txt"]));
    assert_eq!(place.read("rev/export/changed/1/isbi/3.txt"), b"changed by hand");
    assert_ne!(place.read("rev/export/isbi/3.txt"), b"changed by hand");
    let told = save(&["csv"]);
    assert_eq!(told["removed"].as_array().unwrap().len(), 4, "{told}");
    place.write("rev/export/landmarks.csv", "changed by hand");
    assert_eq!(save(&["slicer"])["kept"], json!(["landmarks.csv"]));
    assert_eq!(save(&["csv"])["kept"], json!(["changed/1/landmarks.csv"]));
    place.write("rev/export/landmarks.csv", "changed again");
    assert_eq!(save(&["csv"])["kept"], json!(["changed/2/landmarks.csv"]));
    assert_eq!(save(&["csv"])["kept"], json!([]));
    assert_eq!(place.read("rev/export/changed/1/landmarks.csv"), b"changed by hand");
    let files: Vec<_> = place.tree("rev/export").keys().map(|path| path.display().to_string()).collect();
    assert!(
        files.contains(&"mine.txt".to_owned()) && files.contains(&"landmarks.csv".to_owned()),
        "{files:?}"
    );
    assert!(!files.iter().any(|file| file.starts_with("isbi/")), "{files:?}");
}

#[test]
fn every_format_can_be_downloaded_and_several_files_come_in_an_archive() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    server.ask_with("POST", "/api/import", &server.own(), &place.read("data/landmarks.csv"));
    server.wait(|state| state["listing"].as_array().unwrap().iter().all(|image| !image["size"].is_null()));
    let download = |formats: &[&str]| {
        let body = json!({ "formats": formats, "accepted_only": false }).to_string();
        let head = format!(
            "POST /api/download HTTP/1.1\r\n{}Connection: close\r\nContent-Length: {}\r\n\r\n",
            server.own(),
            body.len()
        );
        server.send(&[head.as_bytes(), body.as_bytes()].concat())
    };
    let (status, table) = download(&["csv"]);
    assert!(status == 200 && table.starts_with(b"image,landmark,x,y"), "{}", String::from_utf8_lossy(&table));
    for formats in [&["isbi"][..], &["csv", "slicer", "coco", "labelme", "isbi"]] {
        let (status, archive) = download(formats);
        assert_eq!(status, 200);
        assert!(archive.starts_with(b"PK\x03\x04"));
        place.write("a.zip", &archive);
        let listed = std::process::Command::new("python3")
            .args(["-c", "import zipfile; z = zipfile.ZipFile('a.zip'); assert z.testzip() is None; print('\\n'.join(z.namelist()))"])
            .current_dir(place.path())
            .output();
        // Where there is no Python, the archive's layout is checked by its own tests alone.
        if let Ok(listed) = listed {
            let names = String::from_utf8(listed.stdout).unwrap();
            assert!(names.contains("isbi/0.txt") && names.contains("review.json"), "{names}");
        }
    }
    assert_eq!(download(&[]).0, 400);
    assert_eq!(download(&["zip"]).0, 400);
}

#[test]
fn idle_connections_do_not_keep_the_page_waiting() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let idle: Vec<TcpStream> = (0..200)
        .map(|index| {
            let mut stream = TcpStream::connect(("127.0.0.1", server.port)).unwrap();
            let started: &[u8] = match index % 3 {
                0 => b"",
                1 => b"GET / HT",
                _ => b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
            };
            let _ = stream.write_all(started);
            stream
        })
        .collect();
    let begun = std::time::Instant::now();
    for _ in 0..20 {
        assert_eq!(server.get("/api/state").0, 200);
    }
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    drop(idle);
}

#[test]
fn a_landmark_file_changes_no_accepted_image() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let import =
        || server.ask_with("POST", "/api/import", &server.own(), &place.read("data/landmarks.csv")).1;
    assert_eq!(import()["images"], 5);
    let accept = json!({ "decision": { "to": "accepted", "base": 0 } });
    assert_eq!(server.post(&format!("/api/images/{}/edit", server.id("1.png")), &accept).0, 200);
    let before = server.state()["records"]["1.png"].clone();
    let answer = import();
    assert_eq!((&answer["decided"], &answer["images"]), (&json!(1), &json!(4)), "{answer}");
    assert_eq!(server.state()["records"]["1.png"], before);
}
