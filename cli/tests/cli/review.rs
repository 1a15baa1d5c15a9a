//! `infomark review`: its server, asked byte by byte.

mod files;
mod learning;
#[cfg(target_os = "linux")]
mod load;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::Workplace;

/// A running server; killed when it is dropped.
struct Server {
    child: Child,
    port: u16,
    token: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    fn start(place: &Workplace, rest: &str) -> Self {
        Self::start_by(Command::new(env!("CARGO_BIN_EXE_infomark")), place, rest)
    }

    /// By a command that runs the program with further arguments.
    fn start_by(mut command: Command, place: &Workplace, rest: &str) -> Self {
        let line = format!("review data/images --no-open --session rev {rest}");
        let mut child = command
            .args(line.split_whitespace())
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        let (port, token) =
            address.trim().strip_prefix("http://127.0.0.1:").unwrap().split_once("/?token=").unwrap();
        Self { port: port.parse().unwrap(), token: token.to_owned(), child }
    }

    /// Sends bytes as they are; status and body.
    fn send(&self, request: &[u8]) -> (u16, Vec<u8>) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        // A refused body may be cut off.
        let _ = stream.write_all(request);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8_lossy(&answer[..end]).into_owned();
        for header in ["content-security-policy: default-src 'none'", "nosniff", "no-referrer", "no-store"] {
            assert!(head.starts_with("HTTP/1.1 400") || head.contains(header), "{header}: {head}");
        }
        (head[9..12].parse().unwrap(), answer[end + 4..].to_vec())
    }

    fn ask_with(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> (u16, Value) {
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\n{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        let (status, body) = self.send(&[head.as_bytes(), body].concat());
        (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
    }

    fn own(&self) -> String {
        format!("Host: 127.0.0.1:{}\r\nX-Infomark-Token: {}\r\n", self.port, self.token)
    }

    fn get(&self, path: &str) -> (u16, Value) {
        self.ask_with("GET", path, &self.own(), b"")
    }

    fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.ask_with("POST", path, &self.own(), body.to_string().as_bytes())
    }

    fn state(&self) -> Value {
        self.get("/api/state").1
    }

    fn id(&self, name: &str) -> String {
        let state = self.state();
        let listed = state["listing"].as_array().unwrap().iter().find(|image| image["name"] == name).unwrap();
        listed["id"].as_str().unwrap().to_owned()
    }

    fn place(&self, id: &str, landmark: &str, at: [f64; 2], base: u64) -> (u16, Value) {
        let edits = json!({ "edits": [{ "landmark": landmark, "at": at, "base": base }] });
        self.post(&format!("/api/images/{id}/edit"), &edits)
    }

    /// Waits until the headers have been looked at, or work has ended.
    fn wait(&self, until: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..1800 {
            let state = self.state();
            if until(&state) {
                return state;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("it never came to that: {}", self.state());
    }
}

#[test]
fn only_the_page_with_the_token_is_answered() {
    let place = Workplace::new();
    let server = Server::start(&place, "");
    let (port, own, token) = (server.port, server.own(), server.token.clone());
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    let status = |method: &str, headers: &str| server.ask_with(method, "/api/state", headers, b"").0;
    assert_eq!(server.get("/api/state").0, 200);
    assert_eq!(status("GET", &format!("Host: localhost:{port}\r\nX-Infomark-Token: {token}\r\n")), 200);
    assert_eq!(status("GET", &host), 401, "no token");
    let wrong = format!("{host}X-Infomark-Token: {}0\r\n", &token[..token.len() - 1]);
    assert_eq!(server.ask_with("POST", "/api/stop", &host, b"{}").0, 401);
    assert!(token.ends_with('0') || status("GET", &wrong) == 401, "a wrong token");
    assert_eq!(server.ask_with("GET", &format!("/api/state?token={token}"), &host, b"").0, 401);
    for host in ["evil.example", "evil.example:80", "127.0.0.1", "127.0.0.1.evil.example", ""] {
        let headers = format!("Host: {host}\r\nX-Infomark-Token: {token}\r\n");
        assert_eq!(status("GET", &headers), 403, "{host}");
        assert_eq!(server.ask_with("GET", "/", &headers, b"").0, 403, "{host}");
    }
    assert_ne!(status("GET", &format!("X-Infomark-Token: {token}\r\n")), 200, "no host");
    for foreign in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        assert_eq!(
            server.ask_with("POST", "/api/stop", &format!("{own}{foreign}"), b"{}").0,
            403,
            "{foreign}"
        );
    }
    let same = format!("{own}Origin: http://127.0.0.1:{port}\r\nSec-Fetch-Site: same-origin\r\n");
    assert_eq!(server.ask_with("POST", "/api/stop", &same, b"{}").0, 200);
    assert_eq!(
        server.ask_with("OPTIONS", "/api/stop", &format!("{host}Origin: https://evil.example\r\n"), b"").0,
        403
    );
}

#[test]
fn a_scheme_orders_the_landmarks_and_measures_what_is_placed_or_dragged() {
    let place = Workplace::new();
    let scheme = "title = \"t\"\nanatomy = \"a\"\nlandmark = [{ name = \"b\", definition = \"Second.\" }, { name = \"a\" }]\n\
                  measurement = [{ name = \"ab\", length = [\"a\", \"b\"] }]\n";
    place.write("own.toml", scheme);
    let server = Server::start(&place, "--scheme own.toml --spacing 0.5 0.5");
    assert_eq!(server.state()["setup"]["names"], json!(["b", "a"]));
    let about = server.get("/api/scheme").1;
    assert_eq!(about["landmarks"]["b"]["definition"], "Second.");
    assert_eq!(about["measurements"][0]["name"], "ab");
    let id = server.id("0.png");
    assert_eq!(server.place(&id, "a", [10.0, 10.0], 0).0, 200);
    let measure = |points: Value| {
        let answer = server.post(&format!("/api/images/{id}/measure"), &json!({ "points": points }));
        assert_eq!(answer.0, 200, "{answer:?}");
        answer.1["measurements"][0].clone()
    };
    assert_eq!(measure(json!([]))["reason"], "b is missing");
    // A point that is dragged has its place before it is saved.
    let dragged = measure(json!([{ "landmark": "b", "at": [16.0, 18.0] }]));
    assert_eq!((dragged["value"].as_f64(), dragged["unit"].as_str()), (Some(5.0), Some("mm")));
    assert_eq!(
        measure(json!([{ "landmark": "b", "at": null, "presence": "absent" }]))["reason"],
        "b is absent"
    );
    assert_eq!(
        server.post(&format!("/api/images/{id}/measure"), &json!({ "points": [{ "at": [0, 0] }] })).0,
        400
    );
    assert_eq!(server.post("/api/images/none/measure", &json!({ "points": [] })).0, 404);
    assert_eq!(server.place(&id, "b", [10.0, 30.0], 0).0, 200);
    let export = json!({ "formats": ["csv", "measurements"], "accepted_only": false });
    assert_eq!(server.post("/api/export", &export).0, 200);
    let table = String::from_utf8(place.read("rev/export/measurements.csv")).unwrap();
    assert_eq!(table, "image,measurement,value,unit,bound,reason\n0.png,ab,10,mm,,\n");
    assert_eq!(server.get("/api/export").1["formats"], json!(["csv", "measurements"]));
    drop(server);
    // Without it there is nothing to measure by, and what was placed stays in its order.
    let server = Server::start(&place, "");
    assert_eq!(server.state()["setup"]["names"], json!(["b", "a"]));
    assert_eq!(server.get("/api/scheme").1, Value::Null);
    assert_eq!(server.post(&format!("/api/images/{id}/measure"), &json!({ "points": [] })).0, 400);
    let measurements = json!({ "formats": ["measurements"], "accepted_only": false });
    assert_eq!(server.post("/api/export", &measurements).0, 400);
    // The other formats are saved nevertheless, and what was saved of it before stays.
    let (status, answer) = server.post("/api/export", &export);
    let failed = answer["told"]["failed"].as_array().unwrap();
    assert!(status == 200 && failed[0].as_str().unwrap().contains("--scheme"), "{answer}");
    assert_eq!(answer["told"]["removed"], json!([]));
    assert_eq!(String::from_utf8(place.read("rev/export/measurements.csv")).unwrap(), table);
    assert_eq!(server.get("/api/export").1["formats"], json!(["csv", "measurements"]));
    assert_eq!(server.post("/api/download", &export).0, 400);
}

#[test]
fn landmarks_of_a_scheme_keep_their_names_and_those_that_are_removed_stay_removed() {
    let place = Workplace::new();
    let scheme = "title = \"t\"\nanatomy = \"a\"\ndrawing = { size = [10, 20], outlines = [\"M 1 2 L 3 4\"] }\n\
                  landmark = [{ name = \"a\", drawn_at = [1, 2] }, { name = \"b\" }]\n";
    place.write("own.toml", scheme);
    let server = Server::start(&place, "--scheme own.toml");
    let head = format!("GET /api/drawing?landmark=a HTTP/1.1\r\n{}Connection: close\r\n\r\n", server.own());
    let (status, svg) = server.send(head.as_bytes());
    assert!(status == 200 && svg.starts_with(b"<svg"), "{status}");
    assert_eq!(server.get("/api/drawing?landmark=b").0, 404);
    let setup = |change: Value| {
        server.post("/api/setup", &json!({ "base": server.state()["setup"]["revision"], "change": change }))
    };
    let (status, answer) = setup(json!({ "rename": { "from": "a", "to": "c" } }));
    assert!(
        status == 400 && answer["error"].as_str().unwrap().contains("landmark of the scheme"),
        "{answer}"
    );
    assert_eq!(setup(json!({ "remove": { "name": "a" } })).0, 200);
    let id = server.id("0.png");
    assert_eq!(server.place(&id, "b", [10.0, 10.0], 0).0, 200);
    let around = |landmark: &str| {
        let path = format!("/api/images/{id}/around?landmark={landmark}");
        server.send(format!("GET {path} HTTP/1.1\r\n{}Connection: close\r\n\r\n", server.own()).as_bytes())
    };
    let (status, picture) = around("b");
    assert!(status == 200 && picture.starts_with(b"\x89PNG"), "{status}");
    assert_eq!(around("a").0, 404);
    drop(server);
    let server = Server::start(&place, "--scheme own.toml");
    assert_eq!(server.state()["setup"]["names"], json!(["b"]));
    let told = place.run("review data/images --no-open --session data/images");
    assert!(told.reason().contains("the folder of the images"));
}

#[test]
fn no_path_leads_out_and_what_is_wrong_is_told() {
    let place = Workplace::new();
    place.write("data/images/broken.png", "no image");
    let server = Server::start(&place, "");
    for path in [
        "/../../etc/passwd",
        "/api/images/../../etc/passwd/pixels",
        "/api/images/..%2F..%2Fetc%2Fpasswd/pixels",
        "/api/images/%2e%2e/pixels",
        "/api/images/0.png/pixels",
        "/api/images//pixels",
        "//etc/passwd",
        "/main.js/../../Cargo.toml",
        "/rev/session.json",
    ] {
        assert_eq!(server.get(path).0, 404, "{path}");
    }
    let id = server.id("0.png");
    let (status, told) =
        server.ask_with("POST", &format!("/api/images/{id}/edit"), &server.own(), b"{\"edits\":");
    assert!(status == 400 && !told["error"].as_str().unwrap().is_empty(), "{told}");
    assert_eq!(server.post("/api/setup", &json!({ "base": 0, "change": { "add": { "name": "" } } })).0, 400);
    assert_eq!(server.post("/api/export", &json!({ "formats": ["../x"], "accepted_only": false })).0, 400);
    assert_eq!(server.post("/api/match", &json!({})).0, 400, "there is no encoder");
    assert_eq!(server.ask_with("POST", "/api/import", &server.own(), b"\xff\xfe").0, 400);
    // Told in the head, and found out while it comes.
    let long = vec![b'x'; (1 << 20) + 1];
    assert_eq!(server.ask_with("POST", "/api/setup", &server.own(), &long).0, 413);
    let head = format!(
        "POST /api/import HTTP/1.1\r\n{}Connection: close\r\nContent-Length: 99999999999\r\n\r\n",
        server.own()
    );
    assert_eq!(server.send(head.as_bytes()).0, 413);
    let head = format!(
        "POST /api/setup HTTP/1.1\r\n{}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
        server.own()
    );
    let chunk = [format!("{:x}\r\n", long.len()).as_bytes(), &long, b"\r\n0\r\n\r\n"].concat();
    assert_eq!(server.send(&[head.as_bytes(), &chunk].concat()).0, 413);

    let looked = |state: &Value| {
        state["listing"].as_array().unwrap().iter().all(|i| !i["size"].is_null() || !i["error"].is_null())
    };
    let state = server.wait(looked);
    let broken =
        state["listing"].as_array().unwrap().iter().find(|i| i["name"] == "broken.png").unwrap().clone();
    assert!(broken["error"].as_str().unwrap().starts_with("broken.png: "), "{broken}");
    assert_eq!(server.get(&format!("/api/images/{}/pixels", broken["id"].as_str().unwrap())).0, 422);
    let (status, pixels) = server.send(
        format!("GET /api/images/{id}/pixels HTTP/1.1\r\n{}Connection: close\r\n\r\n", server.own())
            .as_bytes(),
    );
    assert_eq!((status, pixels.len()), (200, 2 * 96 * 128), "the rest works");
}

#[test]
fn a_stale_change_is_refused_and_a_killed_server_loses_nothing() {
    let place = Workplace::new();
    let mut server = Server::start(&place, "");
    let second = place.run("review data/images --no-open --session rev");
    assert!(second.reason().starts_with("rev: "));
    let (status, answer) =
        server.post("/api/setup", &json!({ "base": 0, "change": { "add": { "name": "sella" } } }));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(server.post("/api/setup", &json!({ "base": 0, "change": { "add": { "name": "b" } } })).0, 409);
    let id = server.id("1.png");
    assert_eq!(server.place(&id, "sella", [10.25, 20.5], 0).0, 200);
    let (status, answer) = server.place(&id, "sella", [11.0, 20.0], 0);
    assert!(status == 409 && answer["error"].as_str().unwrap().contains("sella of 1.png"), "{answer}");
    let decide = json!({ "decision": { "to": "accepted", "base": 0 } });
    assert_eq!(server.post(&format!("/api/images/{id}/edit"), &decide).0, 200);
    assert_eq!(server.post(&format!("/api/images/{id}/edit"), &decide).0, 409);
    let before = server.state();
    server.child.kill().unwrap();
    drop(server);
    let before_images = place.tree("data");
    let server = Server::start(&place, "");
    let after = server.state();
    for key in ["records", "setup", "revision"] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(after["records"]["1.png"]["points"]["sella"]["at"], json!([10.25, 20.5]));
    let formats = json!({ "formats": ["csv", "coco", "slicer", "labelme", "isbi"], "accepted_only": true });
    let (status, files) = server.post("/api/export", &formats);
    assert_eq!((status, files["told"]["files"].as_array().unwrap().len()), (200, 6), "{files}");
    for file in ["landmarks.csv", "landmarks.coco.json", "slicer/1.mrk.json", "labelme/1.json"] {
        place.run(&format!("convert rev/export/{file} --images data/images --out back.csv")).success();
        let table = String::from_utf8(place.read("back.csv")).unwrap();
        assert!(table.contains("1.png,sella,10.25,20.5"), "{file}: {table}");
    }
    assert_eq!(place.tree("data"), before_images, "nothing is written beside the images");
}

#[test]
fn matching_leaves_what_people_did_and_accepted_images_become_templates() {
    let place = Workplace::new();
    let server = Server::start(&place, "--model encoder.onnx");
    let table = place.read("data/landmarks.csv");
    let table = String::from_utf8(table).unwrap();
    let first: String = table
        .lines()
        .filter(|line| line.starts_with("image,") || line.starts_with("0.png,"))
        .map(|l| format!("{l}\n"))
        .collect();
    let (status, taken) = server.ask_with("POST", "/api/import", &server.own(), first.as_bytes());
    assert_eq!((status, &taken["images"]), (200, &json!(1)), "{taken}");
    let state = server.state();
    let name = state["setup"]["names"][0].as_str().unwrap().to_owned();
    let use_it = json!({ "base": state["setup"]["revision"], "change": { "template": { "image": server.id("0.png") } } });
    assert_eq!(server.post("/api/setup", &use_it).0, 200);
    assert_eq!(server.place(&server.id("1.png"), &name, [7.0, 8.0], 0).0, 200);
    let ended = |state: &Value| state["job"]["running"] == false;
    assert_eq!(server.post("/api/match", &json!({})).0, 200);
    let state = server.wait(ended);
    assert_eq!(state["job"]["message"], "4 of 4 images matched with 1 template");
    let point = &state["records"]["1.png"]["points"][&name];
    assert_eq!((&point["at"], &point["by"]), (&json!([7.0, 8.0]), &json!("hand")), "{point}");
    assert!(point["found"]["uncertainty"].as_f64().unwrap() > 0.0);
    assert!(
        point["found"]["error_bound_px"].is_null(),
        "nothing bounds the error without a calibration: {point}"
    );
    let accepted = json!({ "decision": { "to": "accepted", "base": 0 } });
    assert_eq!(server.post(&format!("/api/images/{}/edit", server.id("1.png")), &accepted).0, 200);
    let kept = server.state()["records"]["1.png"].clone();
    assert_eq!(server.post("/api/match", &json!({})).0, 200);
    let state = server.wait(ended);
    assert_eq!(state["job"]["message"], "3 of 3 images matched with 2 templates");
    assert_eq!(state["records"]["1.png"], kept, "an accepted image stays as it is");
    let (status, saved) = server.post(&format!("/api/images/{}/template", server.id("1.png")), &json!({}));
    assert_eq!(status, 200, "{saved}");
    place
        .run("match --model encoder.onnx --template rev/export/1.template data/images --out found")
        .success();
    assert_eq!(server.post("/api/suggest", &json!({})).0, 200);
    assert_eq!(server.wait(ended)["job"]["suggested"].as_array().unwrap().len(), 5);
}
