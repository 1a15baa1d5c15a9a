//! Doc comments, messages and documents are in plain technical English: no circumlocution where the field has a term, no overlong lines.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

type Outcome = Result<(), Box<dyn Error>>;

/// Circumlocutions, in lower case, and what to write instead.
const BANNED: [(&str, &str); 27] = [
    ("is worth", "gains, or the effect of"),
    ("are worth", "gain, or the effect of"),
    ("has a say", "contributes to"),
    ("have a say", "contribute to"),
    ("leads back to", "cycle-consistency error"),
    ("stands alone", "is independent"),
    ("stand alone", "are independent"),
    ("looks at", "reads, checks or measures"),
    ("looked at", "read, checked or reviewed"),
    ("laid on", "letterboxed to, or registered to"),
    ("is told", "is reported, or gets"),
    ("are told of", "are reported"),
    ("whoever", "a subject"),
    ("by who ", "a subject"),
    ("for who ", "for callers that, or for reimplementations"),
    ("came to", "result of"),
    ("gets anywhere", "early stopping"),
    ("takes its word", "uses its result"),
    ("became of", "counts or result of"),
    ("in vain", "without effect"),
    ("goes first", "overrides"),
    ("go first", "override"),
    ("tell equally much", "whitening"),
    ("in the other's place", "instead"),
    ("none of a radiograph", "implausible"),
    ("to speak of", "a number"),
    ("of no use", "unusable"),
];

/// Endings of the files that hold prose.
const ENDINGS: [&str; 9] = ["rs", "py", "pyi", "md", "html", "js", "h", "hpp", "toml"];

/// Longest line of Markdown prose, in characters.
const COLUMNS: usize = 160;

/// Documents whose lines may be longer, and why.
const WIDE: [(&str, &str); 3] = [
    ("CHANGELOG.md", "an entry a line"),
    ("docs/results.md", "paragraphs of figures, a line each"),
    ("docs/studies.md", "paragraphs of figures, a line each"),
];

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files below a folder that hold prose, as paths from the root. Tests are not read: they quote.
fn add_files(root: &Path, folder: &Path, files: &mut Vec<PathBuf>) -> Outcome {
    for entry in fs::read_dir(root.join(folder))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = folder.join(&name);
        if entry.file_type()?.is_dir() {
            let other = ["target", "tests", "node_modules", "corpus", "shared"].contains(&name.as_str());
            if !(name.starts_with('.') || other) {
                add_files(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known)) {
            files.push(path);
        }
    }
    Ok(())
}

fn files() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut files = Vec::new();
    add_files(&root(), Path::new(""), &mut files)?;
    files.sort();
    Ok(files)
}

/// A text in lower case without comment signs, its lines joined by spaces, and where each line starts in it.
fn joined(text: &str) -> (String, Vec<usize>) {
    let (mut all, mut starts) = (String::new(), Vec::new());
    for line in text.lines() {
        starts.push(all.len());
        all.push_str(line.trim().trim_start_matches(['/', '!', '#', ':', '*']).trim());
        all.push(' ');
    }
    (all.to_lowercase(), starts)
}

/// The line of each circumlocution of a text, with it and what to write instead.
fn circumlocutions(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let (all, starts) = joined(text);
    let mut found = Vec::new();
    for (phrase, instead) in BANNED {
        for (at, _) in all.match_indices(phrase) {
            let before = all[..at].chars().next_back();
            let after = all[at + phrase.len()..].chars().next();
            let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphabetic() || c == '_');
            if !is_word(before) && (phrase.ends_with(' ') || !is_word(after)) {
                found.push((starts.partition_point(|start| *start <= at), phrase, instead));
            }
        }
    }
    found
}

/// The lines of a Markdown text that are too long, outside tables, code, headings and pictures.
fn long_lines(text: &str) -> Vec<usize> {
    let mut is_code = false;
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let start = line.trim_start();
        if start.starts_with("```") {
            is_code = !is_code;
        }
        let is_prose = !(is_code || line.starts_with("    ") || start.starts_with(['|', '<', '#', '!']));
        if is_prose && line.chars().count() > COLUMNS {
            found.push(index + 1);
        }
    }
    found
}

#[test]
fn no_text_has_a_circumlocution() -> Outcome {
    let files = files()?;
    assert!(files.len() > 500, "{} files were found", files.len());
    let mut found = Vec::new();
    for file in files.iter().filter(|file| !file.ends_with("CHANGELOG.md")) {
        let text = fs::read_to_string(root().join(file))?;
        for (line, phrase, instead) in circumlocutions(&text) {
            found.push(format!("{}:{line}: \"{phrase}\"; write: {instead}", file.display()));
        }
    }
    assert!(found.is_empty(), "{} circumlocutions:\n{}", found.len(), found.join("\n"));
    Ok(())
}

#[test]
fn lines_of_documents_are_short() -> Outcome {
    let mut found = Vec::new();
    for file in files()?.iter().filter(|file| file.extension().is_some_and(|ending| ending == "md")) {
        if WIDE.iter().any(|(wide, _)| file == Path::new(wide)) {
            continue;
        }
        let text = fs::read_to_string(root().join(file))?;
        found.extend(long_lines(&text).iter().map(|line| format!("{}:{line}", file.display())));
    }
    assert!(found.is_empty(), "more than {COLUMNS} columns:\n{}", found.join("\n"));
    Ok(())
}

#[test]
fn planted_circumlocutions_and_long_lines_are_found() {
    let text =
        "//! A file.\n\n/// What a run\n/// came\n/// to, and what it Is Worth.\nfn whoever_else() {}\n";
    let found = circumlocutions(text);
    assert_eq!(
        found.iter().map(|(line, phrase, _)| (*line, *phrase)).collect::<Vec<_>>(),
        [(5, "is worth"), (4, "came to")]
    );
    let long = "x".repeat(COLUMNS + 1);
    assert_eq!(
        long_lines(&format!("{long}\n| {long} |\n```\n{long}\n```\n# {long}\nshort\n{long}\n")),
        [1, 8]
    );
}
