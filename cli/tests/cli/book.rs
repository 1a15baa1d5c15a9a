//! The book and the README: their commands run, their links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{SMALL, Workplace};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The documents that people read: those of the repository's root, of `docs`, and the crates' READMEs.
fn documents() -> Vec<PathBuf> {
    let folders = ["", "docs", "models", "capi"].map(|folder| root().join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).expect("a folder"));
    let paths = files.map(|entry| entry.expect("an entry").path());
    let mut documents: Vec<_> = paths.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    documents.sort();
    documents
}

/// The shell commands of a document, in its order.
fn commands(document: &str) -> String {
    let mut commands = String::new();
    let mut inside = false;
    for line in document.lines() {
        match line {
            "```sh" => inside = true,
            "```" => inside = false,
            line if inside => commands += &shortened(line),
            _ => {}
        }
    }
    commands
}

/// A command as it stands, but that trainings are short: the number of their steps, and of the images that are drawn, and the
/// encoder is small.
fn shortened(line: &str) -> String {
    let line = line.split("  #").next().unwrap_or(line).trim_end();
    let mut words: Vec<&str> = line.split(' ').collect();
    if let Some(place) = words.iter().position(|&word| word == "--steps") {
        words.drain(place..place + 2);
    }
    if words.starts_with(&["infomark", "review"]) {
        // A page is served until it is told to end.
        return format!("{line} --no-open --threads 1 & sleep 5; kill -INT $!; wait $! || true\n");
    }
    let extra = match words[..] {
        ["infomark", "demo", ..] => " --steps 2 --images 12",
        ["infomark", "train", ..] if words.contains(&"--config") => " --steps 2",
        ["infomark", "train", ..] => " --steps 2 --config small.toml",
        _ => "",
    };
    format!("{}{extra}\n", words.join(" "))
}

/// Runs commands in a folder, up to the first that fails.
#[cfg(unix)]
fn run(commands: &str, here: &Path) {
    let program = Path::new(env!("CARGO_BIN_EXE_infomark")).parent().expect("a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("sh")
        .args(["-eu", "-c", commands])
        .env("PATH", format!("{}:{path}", program.display()))
        .current_dir(here)
        .stdin(Stdio::null())
        .output()
        .expect("a shell");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{commands}\n{}{}", text(&output.stdout), text(&output.stderr));
}

#[cfg(unix)]
#[test]
fn the_tutorials_commands_run_and_make_what_it_says() {
    let tutorial = fs::read_to_string(root().join("docs/tutorial.md")).expect("the tutorial");
    let here = tempfile::tempdir().expect("a folder");
    let commands = commands(&tutorial);
    assert!(commands.matches("infomark ").count() >= 9, "{commands}");
    run(&commands, here.path());
    for file in [
        "maps/001.maps.png",
        "encoder.run/loss.png",
        "encoder.run/views.png",
        "chosen/select.png",
        "found/landmarks.csv",
        "found/landmarks.json",
        "found/overlays/001.svg",
        "found/contact-sheet.png",
        "found/report.html",
        "scores/report.html",
        "new.review/session.json",
    ] {
        assert!(here.path().join(file).is_file(), "{file}");
    }
    let rows = |name| fs::read_to_string(here.path().join(name)).expect("a table").lines().count();
    assert_eq!(rows("reviewed.csv"), rows("found/landmarks.csv"));
    let svg = fs::read_to_string(here.path().join("found/overlays/001.svg")).expect("an overlay");
    let marked = svg.contains("<line ") || svg.contains("<circle ");
    assert!(marked && svg.contains(">sella") && svg.contains("data:image/png;base64,"));
}

#[cfg(unix)]
#[test]
fn the_readmes_commands_run() {
    let readme = fs::read_to_string(root().join("README.md")).expect("the README");
    let workplace = Workplace::new();
    // What the reader has.
    run(
        "mkdir radiographs new cephalograms
         for i in 0 1 2 3 4; do cp data/images/$i.png radiographs/00$((i + 1)).png; done
         cp radiographs/002.png new/; cp radiographs/003.png cephalograms/
         sed -n -e 1p -e 's/^0.png/001.png/p' data/landmarks.csv > points.csv",
        workplace.path(),
    );
    workplace.write("small.toml", SMALL);
    // Building is what brought this test here.
    let lines = commands(&readme);
    let lines: Vec<&str> = lines.lines().filter(|line| !line.starts_with("cargo ")).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    run(&lines.join("\n"), workplace.path());
}

#[cfg(unix)]
#[test]
fn the_review_pages_commands_begin_a_review() {
    use std::io::{BufRead, BufReader};
    let text = fs::read_to_string(root().join("docs/review.md")).expect("the document");
    let workplace = Workplace::new();
    run("cp -r data/images radiographs; cp -r data/images cephalograms", workplace.path());
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("infomark review ")).collect();
    assert!(lines.len() >= 3, "{lines:?}");
    for line in lines {
        let line = line.split("  #").next().unwrap_or(line).trim_end();
        let words = line.split(' ').skip(1).chain(["--no-open", "--threads", "1"]);
        let mut child = Command::new(env!("CARGO_BIN_EXE_infomark"))
            .args(words)
            .current_dir(workplace.path())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut address).expect("text");
        let _ = child.kill();
        let _ = child.wait();
        assert!(address.starts_with("http://127.0.0.1:"), "{line}: {address}");
    }
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut checked = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        let folder = document.parent().expect("a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") || link.starts_with("mailto:") || link.contains(char::is_whitespace) {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { document.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            if !anchor.is_empty() {
                let text = fs::read_to_string(&target).expect("a document");
                let known =
                    text.lines().filter(|line| line.starts_with('#')).any(|line| slug(line) == anchor);
                assert!(known, "{}: {link} names no heading", document.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 20, "{checked} links");
}

/// A heading's name in links.
fn slug(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn every_document_of_the_folder_is_in_the_book_and_pictures_are_small() {
    let docs = root().join("docs");
    let summary = fs::read_to_string(docs.join("SUMMARY.md")).expect("a summary");
    for entry in fs::read_dir(&docs).expect("a folder") {
        let name = entry.expect("an entry").file_name().to_string_lossy().into_owned();
        if name.ends_with(".md") && name != "SUMMARY.md" {
            assert!(summary.contains(&format!("]({name})")), "docs/SUMMARY.md leaves {name} out");
        }
    }
    let tutorial = fs::read_to_string(docs.join("tutorial.md")).expect("the tutorial");
    for name in tutorial.split("](images/").skip(1).filter_map(|rest| rest.split(')').next()) {
        let bytes = fs::metadata(docs.join("images").join(name)).expect("a picture").len();
        assert!(bytes < 150_000, "{name} has {bytes} bytes");
    }
}
