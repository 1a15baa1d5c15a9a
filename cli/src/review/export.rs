//! Export of a review's landmark files, with their provenance.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

use infomark_infer::{
    Annotated, Landmark, LandmarkError, LandmarkFormat, WriteOptions, encode_landmarks, free_stem, sha256,
};
use infomark_results::{MEASUREMENTS_TABLE, measurements_csv};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::images::{self, Known};
use super::refusal::Refusal;
use super::search::landmarks;
use super::state::{Decision, State};
use super::{App, learn, lock, measure, zip};
use crate::convert::not_kept;
use crate::files;
use crate::output;

/// Folder of the exported files in that of the review.
pub(super) const FOLDER: &str = "export";
/// Folder in it of files that were changed by others, and then exported anew.
const CHANGED: &str = "changed";
/// Provenance of the exported files.
const ABOUT: &str = "review.json";

/// Key of a scheme's measurements, which are saved with landmark files.
pub(super) const MEASUREMENTS: &str = "measurements";
/// Key of the model learnt from accepted images.
pub(super) const MODEL: &str = "model";

/// The formats that can be saved: those that need no other file.
pub(super) fn formats() -> impl Iterator<Item = LandmarkFormat> {
    LandmarkFormat::ALL.into_iter().filter(|format| !format.needs_index())
}

/// The format of a key, as in `infomark match --format`.
fn format(key: &str) -> Result<LandmarkFormat, Refusal> {
    formats().find(|format| format.key() == key).ok_or_else(|| {
        let keys: Vec<_> = formats().map(LandmarkFormat::key).chain([MEASUREMENTS, MODEL]).collect();
        Refusal::bad(format!("{key}: no such format; there are {}", keys.join(", ")))
    })
}

/// Exported files, with remarks.
pub(super) struct Files {
    /// By their names in the folder.
    files: Vec<(String, Vec<u8>)>,
    /// Formats that failed; their files of an earlier export stay.
    failed: Vec<&'static str>,
    about: Vec<u8>,
    pub(super) told: Told,
}

/// Remarks on exported files.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Told {
    /// Images that were left out, as they are missing or unreadable.
    left_out: Vec<String>,
    /// Images whose files changed after their points were placed.
    replaced: Vec<String>,
    pub(super) files: Vec<String>,
    /// Information that a format does not keep.
    lost: Vec<String>,
    /// Reasons for omitted formats.
    failed: Vec<String>,
    /// Removed files of an earlier export, and those that stay or were set aside because they were changed.
    removed: Vec<String>,
    kept: Vec<String>,
}

/// An image with its points.
struct Chosen {
    known: Known,
    size: (usize, usize),
    points: Vec<Landmark>,
    absent: Vec<String>,
}

fn choose(app: &App, state: &State, accepted_only: bool) -> (Vec<Chosen>, Told) {
    let images = lock(&app.images);
    let mut told = Told::default();
    let mut chosen = Vec::new();
    for known in &images.all {
        let Some(record) = state.images.get(&known.name) else { continue };
        let wanted = match record.decision {
            Decision::Accepted => true,
            Decision::Open => !accepted_only || state.setup.template.as_ref() == Some(&known.name),
            Decision::Rejected => false,
        };
        let points = landmarks(state, &known.name);
        let is_absent = |name: &&String| record.absent().any(|absent| absent == **name);
        let absent: Vec<String> = state.setup.names.iter().filter(is_absent).cloned().collect();
        if !wanted || (points.is_empty() && absent.is_empty()) {
            continue;
        }
        let Some(size) = known.size else {
            told.left_out.push(known.name.clone());
            continue;
        };
        if record.is_of_another(known.sha256.as_deref()) {
            told.replaced.push(known.name.clone());
        }
        chosen.push(Chosen { known: known.clone(), size, points, absent });
    }
    (chosen, told)
}

/// Encodes the files of some formats.
pub(super) fn make(app: &App, keys: &[String], accepted_only: bool) -> Result<Files, Refusal> {
    let others = keys.iter().filter(|key| ![MEASUREMENTS, MODEL].contains(&key.as_str()));
    let asked: Vec<LandmarkFormat> = others.map(|key| format(key)).collect::<Result<_, _>>()?;
    let has = |wanted: &str| keys.iter().any(|key| key == wanted);
    if keys.is_empty() {
        return Err(Refusal::bad("no format is chosen; choose one"));
    }
    let state = lock(&app.store).state().clone();
    // Right after the start, some images have not been read.
    let unknown = |known: &&Known| {
        known.size.is_none() && known.error.is_none() && state.images.contains_key(&known.name)
    };
    let unknown: Vec<Known> = lock(&app.images).all.iter().filter(unknown).cloned().collect();
    unknown.into_iter().for_each(|known| images::look_at(app, known));
    let (chosen, mut told) = choose(app, &state, accepted_only);
    if chosen.is_empty() {
        let gone = if told.left_out.is_empty() { "" } else { "; the images of those that have are gone" };
        return Err(Refusal::bad(format!(
            "no image has landmarks to save yet: accept images, or save all that have points{gone}"
        )));
    }
    let all: Vec<Annotated<'_>> = chosen
        .iter()
        .map(|chosen| Annotated {
            image: &chosen.known.name,
            size: chosen.size,
            spacing: chosen.known.known_spacing.as_ref(),
            placement: chosen.known.placement,
            landmarks: &chosen.points,
            absent: &chosen.absent,
        })
        .collect();
    let (mut files, mut failed) = (Vec::new(), Vec::new());
    let options = WriteOptions { names: &state.setup.names, ..WriteOptions::default() };
    for format in formats().filter(|format| asked.contains(format)) {
        match encoded(format, &all, &options) {
            Ok(made) => {
                told.lost.extend(not_kept(format, &all));
                files.extend(made);
            }
            Err(error) => {
                failed.push(format.key());
                told.failed.push(error.to_string());
            }
        }
    }
    // A failed format does not affect the others.
    let mut put = |key: &'static str, file: &str, made: Result<Vec<u8>, Refusal>| match made {
        Ok(bytes) => files.push((file.to_owned(), bytes)),
        Err(refusal) => {
            failed.push(key);
            told.failed.push(refusal.error);
        }
    };
    if has(MEASUREMENTS) {
        put(MEASUREMENTS, MEASUREMENTS_TABLE, measured_table(app, &state, &chosen));
    }
    if has(MODEL) {
        put(MODEL, learn::MODEL, learn::model(app, &state));
    }
    if files.is_empty() {
        return Err(Refusal::bad(told.failed.join("; ")));
    }
    let names: HashSet<&String> = chosen.iter().map(|chosen| &chosen.known.name).collect();
    let images: serde_json::Map<_, _> = state
        .images
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(n, r)| (n.clone(), json!(r)))
        .collect();
    let mut hashes: BTreeMap<String, String> =
        files.iter().map(|(name, bytes)| (name.clone(), sha256(bytes))).collect();
    let stays = |(name, _): &(String, String)| failed.iter().any(|format| is_of(format, name));
    hashes.extend(earlier(&app.session.join(FOLDER)).files.into_iter().filter(stays));
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"), "revision": state.revision, "accepted_only": accepted_only,
        "landmarks": state.setup.names, "template": state.setup.template, "runs": state.runs, "images": images,
        "rounds": state.rounds,
        "files": hashes, "left_out": told.left_out, "replaced": told.replaced,
    });
    told.files = files.iter().map(|(name, _)| format!("{FOLDER}/{name}")).collect();
    told.files.push(format!("{FOLDER}/{ABOUT}"));
    Ok(Files {
        files,
        failed,
        about: (infomark_results::to_json(&about).map_err(anyhow::Error::from)? + "\n").into_bytes(),
        told,
    })
}

/// The files of a format.
fn encoded(
    format: LandmarkFormat,
    all: &[Annotated<'_>],
    options: &WriteOptions<'_>,
) -> Result<Vec<(String, Vec<u8>)>, LandmarkError> {
    let (name, ending) = (format.key(), format.ending());
    let file = |file: String, images: &[Annotated<'_>]| {
        let bytes = encode_landmarks(format, images, options, &file)?;
        Ok((file, bytes))
    };
    if format.is_of_one_image() {
        let mut stems = HashSet::new();
        let mut one = |image: &Annotated<'_>| {
            let stem = free_stem(Path::new(image.image), &mut stems);
            file(format!("{name}/{stem}.{ending}"), std::slice::from_ref(image))
        };
        return all.iter().map(&mut one).collect();
    }
    let whole = if name == "csv" { "landmarks.csv".to_owned() } else { format!("landmarks.{name}.{ending}") };
    Ok(vec![file(whole, all)?])
}

/// The table of the measurements of some images.
fn measured_table(app: &App, state: &State, chosen: &[Chosen]) -> Result<Vec<u8>, Refusal> {
    let scheme = app.scheme.as_ref();
    let scheme = scheme.ok_or_else(|| Refusal::bad("measurements need a scheme: start with --scheme"))?;
    let of = |chosen: &Chosen| {
        let record = state.images.get(&chosen.known.name).cloned().unwrap_or_default();
        (chosen.known.name.clone(), measure::of_record(scheme, &record, &[], &chosen.known))
    };
    let all: Vec<_> = chosen.iter().map(of).collect();
    let rows = all.iter().map(|(name, measured)| (name.as_str(), measured.as_slice()));
    Ok(measurements_csv(rows).map_err(anyhow::Error::from)?)
}

/// The content of [`ABOUT`] of an earlier export.
#[derive(Default, Deserialize)]
struct Earlier {
    /// The hashes of its files.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

fn earlier(folder: &Path) -> Earlier {
    // If it cannot be read, no file is removed.
    let bytes = files::bytes(&folder.join(ABOUT)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The formats in the review's folder.
pub(super) fn formats_there(app: &App) -> Vec<&'static str> {
    let files = earlier(&app.session.join(FOLDER)).files;
    let keys = formats().map(LandmarkFormat::key).chain([MEASUREMENTS, MODEL]);
    keys.filter(|key| files.keys().any(|file| is_of(key, file))).collect()
}

/// Whether an exported file is of the format of a key.
fn is_of(key: &str, file: &str) -> bool {
    match key {
        MEASUREMENTS => file == MEASUREMENTS_TABLE,
        MODEL => file == learn::MODEL,
        "csv" => file == "landmarks.csv",
        _ => file.starts_with(&format!("{key}/")) || file.starts_with(&format!("landmarks.{key}.")),
    }
}

/// Path of an exported file, in the review's folder: a link there is not followed.
fn place(app: &App, name: &str) -> Result<PathBuf, Refusal> {
    files::within(&app.session, &format!("{FOLDER}/{name}")).ok_or_else(|| {
        Refusal::bad(format!(
            "{FOLDER}/{name}: a link is in its place, which is not followed; remove it and save again"
        ))
    })
}

/// Whether there is a file that is neither that of the earlier export nor the new one.
fn is_changed(path: &Path, new: &[u8], earlier: Option<&String>) -> bool {
    let is_ours = |bytes: Vec<u8>| bytes == new || Some(&sha256(&bytes)) == earlier;
    path.is_file() && !files::bytes(path).is_ok_and(is_ours)
}

/// Moves a file that was changed since an earlier export to a folder for such files; returns its name there.
fn set_aside(app: &App, name: &str, path: &Path) -> Result<String, Refusal> {
    for number in 1..1000 {
        let kept = format!("{CHANGED}/{number}/{name}");
        let to = place(app, &kept)?;
        if to.exists() {
            continue;
        }
        output::make_folder(to.parent().unwrap_or(&to))?;
        let moved = fs::rename(path, &to);
        moved.map_err(|error| Refusal::bad(format!("{FOLDER}/{name}: changed since the last save, and can't be moved to {kept} ({error}); move it away")))?;
        return Ok(kept);
    }
    Err(Refusal::bad(format!("{FOLDER}/{CHANGED}: too many changed files; move them away")))
}

impl Files {
    /// Writes the files into the review's folder, and removes those of an earlier export that are not replaced.
    pub(super) fn write(mut self, app: &App) -> Result<Told, Refusal> {
        let folder = app.session.join(FOLDER);
        output::make_folder(&folder)?;
        let before = earlier(&folder).files;
        for (name, bytes) in &self.files {
            let path = place(app, name)?;
            output::make_folder(path.parent().unwrap_or(&folder))?;
            if is_changed(&path, bytes, before.get(name)) {
                self.told.kept.push(set_aside(app, name, &path)?);
            }
            output::write(&path, bytes)?;
        }
        for (name, hash) in before {
            let Some(path) = files::within(&folder, &name).filter(|path| path.is_file()) else { continue };
            let stays = self.failed.iter().any(|format| is_of(format, &name));
            if stays || self.files.iter().any(|(new, _)| *new == name) {
                continue;
            }
            let same = files::bytes(&path).is_ok_and(|bytes| sha256(&bytes) == hash);
            if same && fs::remove_file(&path).is_ok() {
                // If it was the last one.
                let _ = path.parent().filter(|parent| *parent != folder).map(fs::remove_dir);
                self.told.removed.push(name);
            } else {
                self.told.kept.push(name);
            }
        }
        output::write(&place(app, ABOUT)?, &self.about)?;
        Ok(self.told)
    }

    /// A single file as it is, several as an archive with [`ABOUT`]; with its name.
    pub(super) fn download(mut self) -> Result<(String, Vec<u8>), Refusal> {
        if !self.told.failed.is_empty() {
            return Err(Refusal::bad(self.told.failed.join("; ")));
        }
        if self.files.len() == 1 {
            let (name, bytes) = self.files.remove(0);
            return Ok((name.replace('/', "-"), bytes));
        }
        self.files.push((ABOUT.into(), self.about));
        let archive = zip::archive(&self.files);
        let archive =
            archive.ok_or_else(|| Refusal::bad("too much for one archive; save to the folder instead"))?;
        Ok(("landmarks.zip".into(), archive))
    }
}
