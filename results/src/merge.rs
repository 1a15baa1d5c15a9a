//! Results of the shards of a list, merged into one.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use infomark_infer::{InputImage, LandmarkFormat, MergeError, PartIndex};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::folder::{OBJECT, ResultFolder};
use crate::writer::{ResultWriter, Totals, read_object};
use crate::{FailedImage, MatchedImage, ResultsError};

/// Results that are open at once; more are opened for each image.
const MOST_OPEN: usize = 500;

/// Results of the shards of a list, to be merged as if the whole list had been matched at once.
#[derive(Clone, Copy, Debug)]
pub struct Merge<'a> {
    /// Folders of the results.
    pub results: &'a [PathBuf],
    /// The list that all of them were made from, and its images.
    pub list: (&'a Path, &'a [InputImage]),
    /// Landmark files of other formats to write beside `landmarks.csv`.
    pub formats: &'a [LandmarkFormat],
    /// Whether overlays are taken over.
    pub overlays: bool,
    /// Whether they are listed for what is made of them.
    pub list_overlays: bool,
}

/// Where the results have an image.
#[derive(Default)]
struct Place {
    /// Start and length in the result's `landmarks.json`, in bytes.
    matched: Option<(u64, u64)>,
    /// Place in the list of failures.
    failure: Option<u32>,
}

impl Merge<'_> {
    /// Merges the results into the folder `out`. `finish` is called when all images are there, for files that are made
    /// of others: with the writer, and with path and label of each overlay that is listed.
    ///
    /// # Errors
    /// [`ResultsError::Missing`], [`ResultsError::Twice`], [`ResultsError::Unlisted`], [`ResultsError::Unfinished`],
    /// [`ResultsError::Differs`], and when a file can't be read or written.
    pub fn run<E: From<ResultsError>>(
        &self,
        out: &Path,
        finish: impl FnOnce(&mut ResultWriter, &[(String, String)]) -> Result<(), E>,
    ) -> Result<Totals, E> {
        let (list, inputs) = self.list;
        let is_physical = self.formats.iter().any(|format| format.is_physical());
        let Parts { head, index, mut failed, read } = Parts::read(self.results)?;
        let order = index.in_order(inputs.iter().map(|input| input.label.as_str()));
        let order = order.map_err(|error| unmergeable(error, self.results, list))?;

        let folder = ResultFolder::open(out)?;
        let measured =
            serde_json::from_str::<Map<String, Value>>(&head).is_ok_and(|head| head.contains_key("scheme"));
        let mut result = ResultWriter::new(folder.stage()?, &head, self.formats, measured)?;
        let mut objects = Objects { results: self.results, read, open: HashMap::new() };
        let mut overlays = Vec::new();
        for (input, (part, place)) in inputs.iter().zip(order) {
            let from = objects.folder(part);
            let matched = place.matched.map(|place| -> Result<MatchedImage, ResultsError> {
                let mut matched = objects.read(part, place)?;
                matched.overlay = matched.overlay.filter(|_| self.overlays);
                let given = matched.spacing.as_ref().and_then(|spacing| spacing.given());
                Ok(matched.placed(input, given.as_ref(), is_physical))
            });
            let matched = matched.transpose()?;
            let overlay = matched.as_ref().and_then(|matched| matched.overlay.clone());
            let svg = overlay.as_ref().is_some_and(|name| from.join(name).with_extension("svg").is_file());
            if self.list_overlays {
                overlays.extend(overlay.map(|name| (name, input.label.clone())));
            }
            let failure = place.failure.and_then(|failure| failed.get_mut(failure as usize)?.take());
            result.add(matched.as_ref(), failure, &from, svg)?;
        }
        finish(&mut result, &overlays)?;
        let (stage, totals) = result.finish(0)?;
        folder.publish(stage, true)?;
        Ok(totals)
    }
}

/// An error with the folders of the results; `of` is the list, or the result that was read.
fn unmergeable(error: MergeError, results: &[PathBuf], of: &Path) -> ResultsError {
    let folder = |part: usize| results.get(part).cloned().unwrap_or_default();
    let of = of.to_owned();
    match error {
        MergeError::Twice { label, first } => ResultsError::Twice { of, image: label, other: folder(first) },
        MergeError::Missing { count, listed, first } => ResultsError::Missing { of, count, listed, first },
        MergeError::Unlisted { count, part } => ResultsError::Unlisted { of, count, first: folder(part) },
        error => ResultsError::Merge(error),
    }
}

/// What the results hold: what made all of them, and where each image is.
struct Parts {
    head: String,
    index: PartIndex<Place>,
    failed: Vec<Option<FailedImage>>,
    /// Length and time of modification of each result's `landmarks.json`.
    read: Vec<Option<Version>>,
}

/// What tells a file from one that has taken its place.
type Version = (u64, SystemTime);

fn version(file: &File) -> Option<Version> {
    let data = file.metadata().ok()?;
    Some((data.len(), data.modified().ok()?))
}

impl Parts {
    fn read(results: &[PathBuf]) -> Result<Self, ResultsError> {
        let mut parts: Option<Self> = None;
        for (number, folder) in (0_u32..).zip(results) {
            ResultFolder::settle_to_read(folder)?;
            let path = folder.join(OBJECT);
            if !path.is_file() {
                return Err(ResultsError::NoResult { folder: folder.clone() });
            }
            let (mut index, mut failed, mut read, first) = match parts.take() {
                Some(Self { head, index, failed, read }) => (index, failed, read, Some(head)),
                None => (PartIndex::new(), Vec::new(), Vec::new(), None),
            };
            let file = File::open(&path).map_err(ResultsError::unreadable(&path))?;
            read.push(version(&file));
            let refused = |error| unmergeable(error, results, folder);
            let twice =
                |label: &str| refused(MergeError::Twice { label: label.to_owned(), first: number as usize });
            let around = read_object(file, &path, |start, length, text| {
                #[derive(Deserialize)]
                struct Label {
                    image: String,
                }
                let label: Label =
                    serde_json::from_str(text).map_err(|_| ResultsError::Damaged { file: path.clone() })?;
                let place: &mut Place = index.slot(number, &label.image).map_err(refused)?;
                match place.matched.replace((start, length)) {
                    None => Ok(()),
                    Some(_) => Err(twice(&label.image)),
                }
            })?;
            if around.images_left > 0 {
                let images = around.images_left;
                return Err(ResultsError::Unfinished { folder: folder.clone(), images });
            }
            if let Some(first) = first.as_ref().filter(|first| **first != around.head) {
                return Err(ResultsError::Differs {
                    folder: folder.clone(),
                    what: difference(first, &around.head),
                    first: results.first().cloned().unwrap_or_default(),
                });
            }
            for failure in around.failed {
                let place = index.slot(number, &failure.image).map_err(refused)?;
                let own = u32::try_from(failed.len()).ok();
                if place.failure.is_some() || own.is_none() {
                    return Err(twice(&failure.image));
                }
                place.failure = own;
                failed.push(Some(failure));
            }
            parts = Some(Self { head: around.head, index, failed, read });
        }
        parts.ok_or(ResultsError::NoResults)
    }
}

/// The objects of images in the files of results.
struct Objects<'r> {
    results: &'r [PathBuf],
    read: Vec<Option<Version>>,
    open: HashMap<usize, File>,
}

impl Objects<'_> {
    /// The folder of a result.
    fn folder(&self, part: usize) -> PathBuf {
        self.results.get(part).cloned().unwrap_or_default()
    }

    fn read(&mut self, part: usize, (start, length): (u64, u64)) -> Result<MatchedImage, ResultsError> {
        let path = self.folder(part).join(OBJECT);
        let unread = || ResultsError::unreadable(&path);
        let mut file = match self.open.remove(&part) {
            Some(file) => file,
            None => {
                let file = File::open(&path).map_err(unread())?;
                if self.read.get(part).copied().flatten() != version(&file) {
                    return Err(ResultsError::Replaced { file: path });
                }
                file
            }
        };
        let mut text = Vec::new();
        file.seek(SeekFrom::Start(start)).map_err(unread())?;
        (&mut file).take(length).read_to_end(&mut text).map_err(unread())?;
        if self.open.len() < MOST_OPEN {
            self.open.insert(part, file);
        }
        serde_json::from_slice(&text).map_err(|_| ResultsError::Damaged { file: path.clone() })
    }
}

/// The first part of what made two results that is not the same.
fn difference(one: &str, other: &str) -> String {
    let object = |text: &str| serde_json::from_str::<Map<String, Value>>(text).unwrap_or_default();
    let (one, other) = (object(one), object(other));
    // A hash of the others and of what is nowhere else.
    const HASH: &str = "made_of";
    let mut keys = one.keys().chain(other.keys()).filter(|key| *key != HASH);
    let differs = keys.find(|key| one.get(*key) != other.get(*key));
    match differs.map(String::as_str) {
        Some("error_bounds") => "calibration or abstention".to_owned(),
        Some("templates") => "template".to_owned(),
        Some("matching") => "way of matching".to_owned(),
        Some(key) => key.replace('_', " "),
        None => "--spacing or --fix-orientation".to_owned(),
    }
}
