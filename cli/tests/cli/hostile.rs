//! Pipes and devices in the place of files, a standard error that nobody reads, control characters in names.
#![cfg(unix)]

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Workplace, infomark, png, words};

fn make_pipe(place: &Workplace, name: &str) {
    let path = place.file(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
}

#[test]
fn a_pipe_or_a_device_is_refused_wherever_a_file_is_named() {
    let place = Workplace::new();
    make_pipe(&place, "pipe");
    make_pipe(&place, "session/journal.jsonl");
    make_pipe(&place, "found/.infomark/lock");
    let found = "match --model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv data/images --out found";
    let review = "review data/images --no-open";
    for line in [
        "train data/images --out e.onnx --config FILE",
        "train data/images --out e.onnx --policy FILE",
        "experiment FILE --out results",
        "match --model FILE --template data/images/0.png --landmarks data/landmarks.csv data/images --out out",
        "convert FILE --images data/images --out points.csv",
        "map FILE",
        "measure data/landmarks.csv --scheme FILE --out m.csv",
        "measure FILE --scheme ceph --out m.csv",
        "agree data/landmarks.csv FILE",
        &format!("{review} --session other --landmarks FILE"),
    ] {
        for file in ["pipe", "/dev/zero"] {
            let reason = place.run(&line.replace("FILE", file)).reason();
            assert!(reason.starts_with(file) && reason.contains("not a file"), "{line}: {reason}");
        }
    }
    for line in [found, &format!("{review} --session session")] {
        let reason = place.run(line).reason();
        assert!(reason.contains(": not a file"), "{line}: {reason}");
    }
}

#[test]
fn a_standard_error_that_nobody_reads_changes_no_exit_code() {
    let place = Workplace::new();
    place.write("text.png", "not an image");
    let given = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";
    for (line, code) in [
        ("map missing.png".to_owned(), 1),
        ("map data/images/0.png --threads 100000".to_owned(), 2),
        ("no-such-command".to_owned(), 2),
        (format!("match {given} data/images/0.png text.png --out found"), 1),
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut run = Command::new(env!("CARGO_BIN_EXE_infomark"));
        run.args(words(&line))
            .current_dir(place.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(writer);
        assert_eq!(run.status().unwrap().code(), Some(code), "{line}");
    }
}

#[test]
fn a_model_at_which_its_runtime_panics_gives_the_error_alone() {
    let place = Workplace::new();
    let mut model = place.read("encoder.onnx");
    // The strides of a convolution: behind the name the field's tag, the length, two numbers.
    let name = b"strides";
    let at = model.windows(name.len()).position(|window| window == name).unwrap() + name.len();
    assert_eq!(model[at..at + 2], [0x42, 2]);
    model[at + 2..at + 4].fill(0);
    place.write("broken.onnx", model);
    let given = "--template data/images/0.png --landmarks data/landmarks.csv";
    let reason = place.run(&format!("match --model broken.onnx {given} data/images --out found")).reason();
    assert!(
        reason.starts_with("broken.onnx: the model cannot be prepared (attempt to divide by zero)"),
        "{reason}"
    );
}

#[test]
fn control_characters_of_names_reach_no_terminal() {
    let place = Workplace::new();
    let name = "a\u{1b}[2Jb\u{9b}31m.png";
    place.write(name, place.read("data/images/0.png"));
    place.write("c\u{1b}[1m.png", "no image");
    for args in
        [vec!["map", name, "--out", "maps"], vec!["map", "c\u{1b}[1m.png"], vec!["map", name, "--json"]]
    {
        let run = infomark(place.path(), args);
        let printed = run.stdout + &run.stderr;
        assert!(printed.contains("\\u001b["), "{printed:?}");
        assert!(printed.chars().all(|c| c == '\n' || !c.is_control()), "{printed:?}");
    }
}

#[test]
fn a_learning_rate_that_cannot_work_is_refused_by_name() {
    let place = Workplace::new();
    place.write("options.toml", "learning_rate = 1e300\n");
    let reason = place.run("train data/images --out e.onnx --config options.toml").reason();
    assert!(reason.contains("learning_rate") && reason.contains("up to 1"), "{reason}");
}

#[test]
fn an_image_beyond_the_memory_that_is_given_is_refused_by_name() {
    let place = Workplace::new();
    let levels: Vec<u8> = (0..1500 * 1400).map(|i| (i % 251) as u8).collect();
    place.write("large.png", png((1500, 1400), &levels));
    let reason = place.run("map large.png --out maps --memory 64M").reason();
    assert!(reason.starts_with("large.png: work on it needs") && reason.contains("--memory 73M"), "{reason}");
    place.run("map data/images/0.png --out maps --memory 64M").success();
    let wrong = place.run("map large.png --memory 3");
    assert!(wrong.code == Some(2) && wrong.stderr.contains("at least 64M"), "{wrong:?}");
}

#[test]
fn a_table_of_more_rows_than_the_memory_that_is_given_holds_is_refused_with_their_number() {
    let place = Workplace::new();
    let rows: String = (0..120_000).map(|image| format!("{image}.png,a,1,2\n")).collect();
    place.write("many.csv", format!("image,landmark,x,y\n{rows}"));
    let reason = place
        .run("convert many.csv --out points.json --format coco --images data/images --memory 64M")
        .reason();
    assert!(reason.starts_with("many.csv: its 120000 rows need about 74 MiB"), "{reason}");
    assert!(reason.contains("--memory 74M"), "{reason}");
    assert!(!place.file("points.json").exists());
}

#[test]
fn a_report_follows_no_link_out_of_its_result() {
    let place = Workplace::new();
    place.run_match("data/images --out found").success();
    place.write("secret.png", png((64, 64), &[7; 64 * 64]));
    let overlay = place.file("found/overlays/1.png");
    std::fs::remove_file(&overlay).unwrap();
    std::os::unix::fs::symlink(place.file("secret.png"), &overlay).unwrap();
    place.run("report found --out page.html").success();
    let encoded = place.read("secret.png");
    let page = String::from_utf8(place.read("page.html")).unwrap();
    let secret = STANDARD.encode(&encoded);
    assert!(
        page.contains("<html") && !page.contains(&secret[..secret.len() / 3 * 2]),
        "the linked picture is shown"
    );
}
