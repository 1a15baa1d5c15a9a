//! Output of the program: text, JSON, files, errors.

use std::fmt::Display;
use std::fs;
use std::io::{self, BufRead, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail};
use serde::Serialize;
use tempfile::Builder;

pub(crate) use infomark_infer::file_name;
use infomark_results::to_json;

/// Writes to standard output, as text or as one JSON object.
pub(crate) struct Report {
    json: bool,
}

impl Report {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Prints text, unless JSON was requested.
    pub(crate) fn text(&self, text: &str) -> Result<()> {
        if self.json { Ok(()) } else { print(text) }
    }

    /// Prints the JSON object in a file, if JSON was requested.
    pub(crate) fn json_file(&self, path: &Path) -> Result<()> {
        if !self.json {
            return Ok(());
        }
        let file = fs::File::open(path).with_context(|| format!("{}: can't be read", shown(path)))?;
        print_lines(io::BufReader::new(file).lines())
    }

    /// Prints an object, if JSON was requested.
    pub(crate) fn json(&self, object: &impl Serialize) -> Result<()> {
        if self.json { print(&to_json(object)?) } else { Ok(()) }
    }
}

/// Prints lines of text.
fn print_lines(mut lines: impl Iterator<Item = io::Result<String>>) -> Result<()> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let printed = |line: io::Result<String>| writeln!(out, "{}", printable(&line?));
    match lines.try_for_each(printed).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("can't write to standard output"),
    }
}

fn print(text: &str) -> Result<()> {
    match writeln!(io::stdout(), "{}", printable(text.trim_end())) {
        // The reader closed the pipe.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        done => done.context("can't write to standard output"),
    }
}

/// Prints an error and its causes in one line on standard error.
pub(crate) fn print_error(error: &Error) {
    tell(format_args!("error: {}", one_line(error)));
}

/// Prints a warning on standard error.
pub(crate) fn warn(warning: impl Display) {
    tell(format_args!("warning: {warning}"));
}

/// Prints a line on standard error, with escaped control characters.
pub(crate) fn tell(line: impl Display) {
    // A failure cannot be reported.
    let _ = writeln!(io::stderr(), "{}", printable(&line.to_string()));
}

/// An error and its causes in one line, without causes that are already quoted. Control characters, which a file may contain, are escaped.
pub(crate) fn one_line(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let words: Vec<&str> = cause.split_whitespace().collect();
        let cause = words.join(" ");
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    printable(&text)
}

/// Text with escaped control characters, except tabs and line ends, and escaped bidirectional formatting characters, as in JSON.
fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => out += &format!("\\u{:04x}", u32::from(c)),
            _ if c.is_control() => out += &format!("\\u{:04x}", u32::from(c)),
            _ => out.push(c),
        }
    }
    out
}

/// Creates a folder and its parents.
pub(crate) fn make_folder(path: &Path) -> Result<()> {
    Ok(infomark_infer::make_folder(path)?)
}

/// Writes a file, atomically.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    Ok(infomark_results::write_file(path, bytes)?)
}

/// The folder of a file; the current one if the path has none.
pub(crate) fn folder_of(path: &Path) -> Option<&Path> {
    path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder })
}

/// The canonical path, so that two paths to one file are equal.
pub(crate) fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Rejects an output path that is one of the inputs.
pub(crate) fn keep<'a>(read: impl IntoIterator<Item = &'a PathBuf>, out: &Path) -> Result<()> {
    match read.into_iter().find(|path| identity(path) == identity(out)) {
        Some(path) => bail!("{}: --out would overwrite this file; give another", shown(path)),
        None => Ok(()),
    }
}

/// Checks before long work that a file can be written.
pub(crate) fn check_place(path: &Path) -> Result<()> {
    if path.is_dir() {
        bail!("{}: this is a folder; give the name of a file to write", path.display());
    }
    let special = fs::metadata(path).is_ok_and(|data| !data.is_file());
    if !special && let Some(folder) = folder_of(path) {
        if !folder.is_dir() {
            bail!("{}: there is no folder {}; make it, or give another", path.display(), folder.display());
        }
        Builder::new()
            .tempfile_in(folder)
            .with_context(|| format!("{}: can't write here", path.display()))?;
    }
    Ok(())
}

/// Writes `object` as a JSON file.
pub(crate) fn write_json(path: &Path, object: &impl Serialize) -> Result<()> {
    Ok(infomark_results::write_json(path, object)?)
}

/// A table in memory, written as a CSV file.
pub(crate) fn write_csv<const COLUMNS: usize>(
    path: &Path,
    head: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> Result<()> {
    Ok(infomark_results::write_csv(path, head, rows)?)
}

/// A path as shown in reports.
pub(crate) fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// The path with a suffix added to its name: `a/b.onnx` and `.run` give `a/b.run`.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    path.with_extension(ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once_and_in_one_line() {
        let cause = anyhow::anyhow!("no such\nfile");
        let error = cause.context("a.png: cannot be read (no such file)").context("stopped");
        assert_eq!(one_line(&error), "stopped: a.png: cannot be read (no such file)");
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("a\x1b[2J\u{9b}31m\nb\u{202e}"), "a\\u001b[2J\\u009b31m\nb\\u202e");
    }
}
