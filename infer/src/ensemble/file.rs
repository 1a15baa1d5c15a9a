//! Ensemble files: everything needed to find landmarks on another machine.
//!
//! A TAR archive (ustar) of `infomark.json`, [`Header`], and the files that it lists with their hashes, in that order: `encoder.onnx`,
//! `template-N.template`, `network-N.onnx`. Any archiver unpacks it. Reading extracts nothing to disk.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Ensemble, EnsembleBounds, EnsembleError, MAX_NETWORKS, Member};
use crate::file::{ENSEMBLE_HEADER as HEADER, is_ensemble};
use crate::{
    Encoder, FileError, LandmarkNet, MatchError, MatchOptions, Matcher, ModelError, Template,
    TemplateFileError, read_file, sha256, write_file,
};

/// Version of the header's format.
const FORMAT: u32 = 1;
/// Maximum size of a file, in bytes.
const MAX_BYTES: u64 = 1 << 30;
/// Maximum number of files of an archive.
const MAX_FILES: usize = 2 + 64 + MAX_NETWORKS;

/// Why the file of an ensemble could not be read or written; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsembleFileError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not an archive with a header.
    #[error("{name}: not a file of infomark models; name a file ending in .infomark")]
    NotAnEnsemble {
        /// The path as given.
        name: String,
    },
    /// The format has another version.
    #[error(
        "{name}: layout {found}, and this version reads {FORMAT}; update infomark or save the file again"
    )]
    Layout {
        /// The path as given.
        name: String,
        /// The version found.
        found: u32,
    },
    /// The file is truncated or changed.
    #[error("{name}: damaged at {part}; copy it again or save it again")]
    Damaged {
        /// The path as given.
        name: String,
        /// The part of the archive.
        part: String,
    },
    /// The encoder or a network cannot be used.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A template cannot be used.
    #[error(transparent)]
    Template(#[from] TemplateFileError),
    /// Invalid matching options, or templates of another encoder.
    #[error("{name}: {source}")]
    Matching {
        /// The path as given.
        name: String,
        /// The reason.
        source: Box<MatchError>,
    },
    /// Its parts do not fit together.
    #[error("{name}: {source}; save it again")]
    Parts {
        /// The path as given.
        name: String,
        /// The reason.
        source: EnsembleError,
    },
    /// The bytes of another model were given for saving.
    #[error(
        "{name}: the bytes of {part} are not those of the ensemble; give the file that it was loaded from"
    )]
    OtherPart {
        /// The path as given.
        name: String,
        /// The part.
        part: String,
    },
}

/// Content of `infomark.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    /// Version of infomark that wrote it.
    version: String,
    /// Names of the landmarks.
    landmarks: Vec<String>,
    /// The member that places each landmark.
    members: Vec<Member>,
    matching: MatchOptions,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounds: Option<EnsembleBounds>,
    /// The other files of the archive, in order.
    files: Vec<Part>,
}

/// A file of the archive.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    name: String,
    kind: Kind,
    sha256: String,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Encoder,
    Template,
    Network,
}

/// An ensemble with the files of its encoder and networks.
#[derive(Clone, Debug)]
pub struct EnsembleFile {
    /// The ensemble.
    pub ensemble: Ensemble,
    /// Bytes of the encoder's file.
    pub encoder: Vec<u8>,
    /// Bytes of each network's file, in the order of [`Ensemble::networks`].
    pub networks: Vec<Vec<u8>>,
}

impl EnsembleFile {
    /// Whether a path names an ensemble file, by its first bytes.
    pub fn is_at(path: impl AsRef<Path>) -> bool {
        let mut first = [0; HEADER.len() + 1];
        let path = path.as_ref();
        let read =
            path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok();
        read && is_ensemble(&first)
    }

    /// Reads a file written by [`Ensemble::save`].
    ///
    /// # Errors
    /// As [`Ensemble::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<EnsembleFile, EnsembleFileError> {
        let path = path.as_ref();
        EnsembleFile::from_bytes(&read_file(path, MAX_BYTES)?, path.display().to_string())
    }

    /// [`load`](Self::load) for a file in memory; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`Ensemble::load`].
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<EnsembleFile, EnsembleFileError> {
        let name = name.into();
        if !is_ensemble(bytes) {
            return Err(EnsembleFileError::NotAnEnsemble { name });
        }
        let damaged = |part: &str| EnsembleFileError::Damaged { name: name.clone(), part: part.to_owned() };
        let mut archive = tar::Archive::new(bytes);
        let mut entries = archive.entries().map_err(|_| damaged(HEADER))?;
        let mut next = |wanted: &str| -> Result<Vec<u8>, EnsembleFileError> {
            let entry = entries.next().and_then(Result::ok).ok_or_else(|| damaged(wanted))?;
            let size = entry.header().entry_size().map_err(|_| damaged(wanted))?;
            let named = entry.path_bytes() == wanted.as_bytes();
            if !named || !entry.header().entry_type().is_file() || size > bytes.len() as u64 {
                return Err(damaged(wanted));
            }
            let mut content = Vec::new();
            entry.take(size).read_to_end(&mut content).map_err(|_| damaged(wanted))?;
            if content.len() as u64 == size { Ok(content) } else { Err(damaged(wanted)) }
        };
        let text = next(HEADER)?;
        #[derive(Deserialize)]
        struct Layout {
            format: u32,
        }
        let Layout { format: found } = serde_json::from_slice(&text).map_err(|_| damaged(HEADER))?;
        if found != FORMAT {
            return Err(EnsembleFileError::Layout { name: name.clone(), found });
        }
        let header: Header = serde_json::from_slice(&text).map_err(|_| damaged(HEADER))?;
        if header.files.len() > MAX_FILES {
            return Err(damaged(HEADER));
        }
        let (mut encoder, mut templates, mut nets) = (None, Vec::new(), Vec::new());
        let mut networks = Vec::new();
        for Part { name: part, kind, sha256: expected } in &header.files {
            let content = next(part)?;
            if sha256(&content) != *expected {
                return Err(damaged(part));
            }
            let called = format!("{name}, {part}");
            match kind {
                Kind::Encoder => encoder = Some((Encoder::from_bytes(&content, called)?, content)),
                Kind::Template => templates.push(Template::from_bytes(&content, called)?),
                Kind::Network => {
                    nets.push(LandmarkNet::from_bytes(&content, called)?);
                    networks.push(content);
                }
            }
        }
        let (encoder, encoder_bytes) = encoder.ok_or_else(|| damaged("encoder.onnx"))?;
        let matching = |source| EnsembleFileError::Matching { name: name.clone(), source: Box::new(source) };
        let matcher = Matcher::new(encoder, templates).map_err(matching)?;
        let matcher = matcher.options(header.matching).map_err(matching)?;
        let made = || {
            let ensemble = Ensemble::new(matcher, nets)?.with_members(header.members)?;
            match header.bounds {
                Some(bounds) => ensemble.with_bounds(bounds),
                None => Ok(ensemble),
            }
        };
        let ensemble = made().map_err(|source| EnsembleFileError::Parts { name: name.clone(), source })?;
        if ensemble.landmarks() != header.landmarks {
            return Err(damaged(HEADER));
        }
        Ok(EnsembleFile { ensemble, encoder: encoder_bytes, networks })
    }
}

impl Ensemble {
    /// The bytes of an ensemble file. `encoder` and `networks` are the bytes of the files that the ensemble was made
    /// from; `name` is the file's name in messages.
    ///
    /// # Errors
    /// [`EnsembleFileError::OtherPart`].
    pub fn to_bytes(
        &self,
        encoder: &[u8],
        networks: &[impl AsRef<[u8]>],
        name: &str,
    ) -> Result<Vec<u8>, EnsembleFileError> {
        let other = |part: String| EnsembleFileError::OtherPart { name: name.to_owned(), part };
        if sha256(encoder) != self.matcher.encoder().sha256() {
            return Err(other("the encoder".into()));
        }
        let same = |(net, bytes): (&LandmarkNet, &[u8])| sha256(bytes) == net.sha256();
        let bytes = || networks.iter().map(AsRef::as_ref);
        if networks.len() != self.nets.len() || !self.nets.iter().zip(bytes()).all(same) {
            return Err(other("a network".into()));
        }
        let mut parts = vec![("encoder.onnx".to_owned(), Kind::Encoder, encoder.to_vec())];
        for (index, template) in self.matcher.templates().iter().enumerate() {
            parts.push((format!("template-{}.template", index + 1), Kind::Template, template.to_bytes()));
        }
        for (index, bytes) in bytes().enumerate() {
            parts.push((format!("network-{}.onnx", index + 1), Kind::Network, bytes.to_vec()));
        }
        let part = |(name, kind, bytes): &(String, Kind, Vec<u8>)| Part {
            name: name.clone(),
            kind: *kind,
            sha256: sha256(bytes),
        };
        let header = Header {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            landmarks: self.landmarks().to_vec(),
            members: self.members.to_vec(),
            matching: self.matcher.match_options(),
            bounds: self.bounds.clone(),
            files: parts.iter().map(part).collect(),
        };
        let unwritable = FileError::unwritable(name);
        let header = serde_json::to_vec_pretty(&header).map_err(|error| unwritable(error.into()))?;
        let mut archive = tar::Builder::new(Vec::new());
        add(&mut archive, HEADER, &header).map_err(&unwritable)?;
        for (part, _, bytes) in &parts {
            add(&mut archive, part, bytes).map_err(&unwritable)?;
        }
        Ok(archive.into_inner().map_err(unwritable)?)
    }

    /// Writes [`to_bytes`](Self::to_bytes) to a file, atomically.
    ///
    /// # Errors
    /// [`EnsembleFileError::OtherPart`], [`EnsembleFileError::File`].
    pub fn save(
        &self,
        path: impl AsRef<Path>,
        encoder: &[u8],
        networks: &[impl AsRef<[u8]>],
    ) -> Result<(), EnsembleFileError> {
        let path = path.as_ref();
        let bytes = self.to_bytes(encoder, networks, &path.display().to_string())?;
        Ok(write_file(path, &bytes).map_err(FileError::unwritable(path))?)
    }

    /// Reads a file written by [`save`](Self::save). It finds the same points, bit for bit.
    ///
    /// # Errors
    /// [`EnsembleFileError`]: every case names the file and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Ensemble, EnsembleFileError> {
        Ok(EnsembleFile::load(path)?.ensemble)
    }

    /// [`load`](Self::load) for a file in memory; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<Ensemble, EnsembleFileError> {
        Ok(EnsembleFile::from_bytes(bytes, name)?.ensemble)
    }
}

/// Adds a file with fixed attributes, so that the same content gives the same bytes.
fn add(archive: &mut tar::Builder<Vec<u8>>, name: &str, bytes: &[u8]) -> io::Result<()> {
    let mut header = tar::Header::new_ustar();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_mtime(0);
    archive.append_data(&mut header, name, bytes)
}
