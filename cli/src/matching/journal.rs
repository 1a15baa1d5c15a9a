//! What is found, written as it comes, so that a stopped matching can go on.
//!
//! One JSON object a line: the first holds a hash of all that results depend on but the images, each further one an image with
//! the hash of its file. A line that a kill cut off is left out.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};
use infomark_infer::sha256_files;
use serde::{Deserialize, Serialize};

use super::record::Matched;
use crate::files;
use crate::inputs::Input;
use crate::output::{self, shown};

#[derive(Deserialize, Serialize)]
struct Head {
    made_of: String,
}

#[derive(Deserialize, Serialize)]
struct Entry {
    file_sha256: String,
    matched: Matched,
}

/// The file, and what an earlier run left in it.
pub(super) struct Journal {
    file: Mutex<File>,
    earlier: HashMap<String, Entry>,
}

impl Journal {
    /// Takes over what was found with the same `made_of`, and nothing else.
    pub(super) fn open(path: &Path, made_of: &str) -> Result<Self> {
        let text = files::bytes_if_there(path)?.unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let mut lines = text.lines();
        let head: Option<Head> = lines.next().and_then(|line| serde_json::from_str(line).ok());
        let known = head.is_some_and(|head| head.made_of == made_of);
        let entries = lines.filter(|_| known).filter_map(|line| serde_json::from_str(line).ok());
        let earlier: HashMap<String, Entry> =
            entries.map(|entry: Entry| (entry.matched.image.clone(), entry)).collect();
        // Written anew, whole lines only.
        let mut text = serde_json::to_string(&Head { made_of: made_of.to_owned() })? + "\n";
        for entry in earlier.values() {
            text += &(serde_json::to_string(entry)? + "\n");
        }
        output::write(path, text.as_bytes())?;
        let file = OpenOptions::new().append(true).open(path);
        let file = file.with_context(|| format!("{}: can't write this file", shown(path)))?;
        Ok(Self { file: Mutex::new(file), earlier })
    }

    /// Whether no earlier run has done an image.
    pub(super) fn is_empty(&self) -> bool {
        self.earlier.is_empty()
    }

    /// What an earlier run found in an image, if its file and its overlay are still what they were.
    pub(super) fn done(&self, input: &Input, overlay: &str, out: &Path) -> Option<Matched> {
        let entry = self.earlier.get(&input.label)?;
        let same = entry.matched.overlay.as_deref() == Some(overlay)
            && out.join(overlay).is_file()
            && input.path.is_file()
            && fingerprint(&input.path).ok()? == entry.file_sha256;
        same.then(|| entry.matched.clone())
    }

    /// Adds an image. The tables at the end hold the points as well, so that a failure here harms nothing.
    pub(super) fn add(&self, input: &Input, matched: &Matched) {
        let Ok(file_sha256) = fingerprint(&input.path) else { return };
        let entry = Entry { file_sha256, matched: matched.clone() };
        let Ok(line) = serde_json::to_string(&entry) else { return };
        // JSON has no infinities: what would come back as something else is found again instead.
        let back = serde_json::from_str::<Entry>(&line).and_then(|entry| serde_json::to_string(&entry));
        if back.is_ok_and(|back| back != line) {
            return;
        }
        if let Ok(mut file) = self.file.lock() {
            let _ = file.write_all((line + "\n").as_bytes());
        }
    }
}

fn fingerprint(path: &Path) -> std::io::Result<String> {
    sha256_files([path])
}
