//! What is found, written as it comes, so that a stopped matching can go on.
//!
//! One JSON object a line: the first holds a hash of all that results depend on but the images, each further one an
//! image with what tells whether its file is still the same. A line that a kill cut off is left out. Of what an earlier
//! run found only the labels and their places in the file are in memory.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::UNIX_EPOCH;

use infomark_infer::{FileIdentity, InputImage, sha256_files};
use serde::{Deserialize, Serialize};

use crate::folder::open_to_append;
use crate::{MatchedImage, ResultsError};

#[derive(Deserialize, Serialize)]
struct Head {
    made_of: String,
}

/// What tells whether a file is still the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(untagged)]
pub enum Stamp {
    /// By its content.
    Content {
        /// Its hash.
        sha256: String,
    },
    /// By what the file system says.
    Status {
        /// Its path.
        path: String,
        /// Its length.
        bytes: u64,
        /// Time of modification, in nanoseconds since 1970.
        modified_ns: u64,
    },
}

impl Stamp {
    /// That of an image's file as it is now; none where it can't be told.
    pub fn of(input: &InputImage) -> Option<Self> {
        match input.identity {
            FileIdentity::Content => input
                .path
                .is_file()
                .then(|| sha256_files([&input.path]).ok())
                .flatten()
                .map(|sha256| Self::Content { sha256 }),
            FileIdentity::Status => {
                let data = fs::metadata(&input.path).ok()?;
                let modified = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
                let modified_ns = u64::try_from(modified.as_nanos()).ok()?;
                Some(Self::Status { path: input.path.display().to_string(), bytes: data.len(), modified_ns })
            }
        }
    }
}

#[derive(Deserialize, Serialize)]
struct Entry {
    file: Stamp,
    matched: MatchedImage,
}

/// The label of an entry.
#[derive(Deserialize)]
struct Labelled {
    matched: Label,
}

#[derive(Deserialize)]
struct Label {
    image: String,
}

/// The file, and where in it what an earlier run found is.
pub struct Journal {
    file: Mutex<File>,
    /// Start and length of an image's last line.
    earlier: HashMap<String, (u64, u32)>,
    reader: Mutex<File>,
}

impl Journal {
    /// Takes over what was found with the same `made_of`, and nothing else.
    ///
    /// # Errors
    /// When the file can't be read or written.
    pub fn open(path: &Path, made_of: &str) -> Result<Self, ResultsError> {
        let failed = || ResultsError::io(path, "can't be read or written");
        let mut file = open_to_append(path)?;
        let reader = File::open(path).map_err(failed())?;
        let (mut earlier, mut end) = (HashMap::new(), 0);
        let mut lines = BufReader::new(&reader);
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = lines.read_until(b'\n', &mut line).map_err(failed())?;
            // The end, or a line that was cut off.
            if line.last() != Some(&b'\n') {
                break;
            }
            let known = serde_json::from_slice::<Head>(&line).is_ok_and(|head| head.made_of == made_of);
            if end == 0 && !known {
                break;
            }
            if let Ok(entry) = serde_json::from_slice::<Labelled>(&line)
                && let Ok(short) = u32::try_from(length)
            {
                earlier.insert(entry.matched.image, (end, short));
            }
            end += length as u64;
        }
        file.set_len(end).map_err(failed())?;
        if end == 0 {
            let head = serde_json::to_string(&Head { made_of: made_of.to_owned() })
                .map_err(ResultsError::json)?
                + "\n";
            file.write_all(head.as_bytes()).map_err(failed())?;
        }
        Ok(Self { file: Mutex::new(file), earlier, reader: Mutex::new(reader) })
    }

    /// What an earlier run found in an image, if its file is still what it was.
    pub fn done(&self, input: &InputImage) -> Option<MatchedImage> {
        let &(start, length) = self.earlier.get(&input.label)?;
        let mut line = vec![0; length as usize];
        {
            let mut reader = self.reader.lock().ok()?;
            reader.seek(SeekFrom::Start(start)).ok()?;
            reader.read_exact(&mut line).ok()?;
        }
        let Entry { file, matched } = serde_json::from_slice(&line).ok()?;
        let same = matched.image == input.label && Stamp::of(input)? == file;
        same.then_some(matched)
    }

    /// Adds an image, with the stamp that its file had before it was read. The tables at the end hold the points as
    /// well, so that a failure here harms nothing.
    pub fn add(&self, file: Option<Stamp>, matched: &MatchedImage) {
        let Some(file) = file else { return };
        let Ok(line) = serde_json::to_string(&Entry { file, matched: matched.clone() }) else { return };
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
