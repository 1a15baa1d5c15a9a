//! `infomark merge`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};
use infomark_core::Spacing;
use infomark_infer::{InputImage, MergeError, PartIndex, PixelSpacing, SpacingSource};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::find::placed;
use super::pictures::OVERLAYS;
use super::record::{Failure, Matched, SpacingUsed};
use super::result::{ERRORS, ResultWriter, TABLE, Told, read_object};
use super::{formats, keep_inputs};
use crate::convert::Format;
use crate::inputs;
use crate::output::{self, Report, shown};
use crate::result_folder::{OBJECT, ResultFolder};

/// Results that are open at once; more are opened for each image.
const MOST_OPEN: usize = 500;

/// Merge the results of the shards of a list into one, as if `match` had run over the whole list.
#[derive(clap::Args)]
#[command(after_help = "\
Example: two processes, which may run on different machines, and the whole
  infomark match --model ceph --template ceph --images-from list.csv --shard 1/2 --out found/1
  infomark match --model ceph --template ceph --images-from list.csv --shard 2/2 --out found/2
  infomark merge found/1 found/2 --images-from list.csv --out all

The tables of the merged result are those of one `infomark match --images-from list.csv`, to the byte. Refused
are shards that are not finished, that lack an image of the list or have one twice, and that were made with
another model, template, option or version. Overlays are linked where the file system can, else copied.
docs/clusters.md has scripts for Slurm and Nextflow.")]
pub(crate) struct Options {
    /// Results of `infomark match --images-from LIST --shard I/N`
    #[arg(required = true, value_name = "RESULTS")]
    results: Vec<PathBuf>,
    /// The list that all of them were made from
    #[arg(long, value_name = "LIST")]
    images_from: PathBuf,
    /// Folder for the merged result
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Landmark files of other formats to write beside landmarks.csv
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',')]
    format: Vec<Format>,
    /// Leave the overlays out
    #[arg(long, conflicts_with = "sheet")]
    no_overlays: bool,
    /// Draw all overlays small onto DIR/contact-sheet.png, as `infomark match --sheet`
    #[arg(long)]
    sheet: bool,
}

/// Where the results have an image.
#[derive(Default)]
struct Place {
    /// Start and length in the result's `landmarks.json`, in bytes.
    matched: Option<(u64, u64)>,
    /// Place in the list of failures.
    failure: Option<u32>,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let inputs = InputImage::listed(&options.images_from, None)?;
    let formats = formats(&options.format)?;
    let physical = formats.iter().any(|format| format.is_physical());
    keep_inputs([options.images_from.clone()], &options.out)?;
    let out = output::identity(&options.out);
    if let Some(same) = options.results.iter().find(|result| output::identity(result) == out) {
        bail!("{}: this is one of the results to merge; give another folder as --out", shown(same));
    }
    let Parts { head, index, mut failed, read } = Parts::read(&options.results)?;
    let order = index.in_order(inputs.iter().map(|input| input.label.as_str()));
    let order = order.map_err(|error| unmergeable(error, &options.results, &options.images_from))?;

    let folder = ResultFolder::open(&options.out)?;
    let measured =
        serde_json::from_str::<Map<String, Value>>(&head).is_ok_and(|head| head.contains_key("scheme"));
    let mut result = ResultWriter::new(folder.stage()?, &head, &formats, options.sheet, measured)?;
    let mut objects = Objects { results: &options.results, read, open: HashMap::new() };
    for (input, (part, place)) in inputs.iter().zip(order) {
        let from = options.results.get(part).context("no such result")?;
        let matched = place.matched.map(|place| -> Result<Matched> {
            let mut matched = objects.read(part, place)?;
            matched.overlay = matched.overlay.filter(|_| !options.no_overlays);
            let given = matched.spacing.as_ref().and_then(given);
            Ok(placed(matched, input, given.as_ref(), physical))
        });
        let matched = matched.transpose()?;
        let overlay = matched.as_ref().and_then(|matched| matched.overlay.as_ref());
        let svg = overlay.is_some_and(|name| from.join(name).with_extension("svg").is_file());
        let failure = place.failure.and_then(|failure| failed.get_mut(failure as usize)?.take());
        result.add(matched.as_ref(), failure, from, svg)?;
    }
    let (stage, told) = inputs::pool(threads)?.install(|| result.finish(0))?;
    folder.publish(stage, true)?;
    tell(&told, options, report)
}

fn tell(told: &Told, options: &Options, report: &Report) -> Result<()> {
    let out = &options.out;
    let overlays = out.join(OVERLAYS);
    let overlays = if overlays.is_dir() { format!(", {}", shown(&overlays)) } else { String::new() };
    report.text(&format!(
        "{} images of {} results: {}, {}{overlays}",
        told.done,
        options.results.len(),
        shown(&out.join(TABLE)),
        shown(&out.join(OBJECT)),
    ))?;
    report.json_file(&out.join(OBJECT))?;
    if let Some(first) = told.failed.first() {
        let (failed, errors) = (told.failed.len(), out.join(ERRORS));
        output::warn(format_args!(
            "{failed} of {} images failed, the first is {}: {}",
            told.done,
            first.image,
            shown(&errors)
        ));
    }
    Ok(())
}

/// What the results hold: what made all of them, and where each image is.
struct Parts {
    head: String,
    index: PartIndex<Place>,
    failed: Vec<Option<Failure>>,
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
    fn read(results: &[PathBuf]) -> Result<Self> {
        let mut parts: Option<Self> = None;
        for (part, folder) in results.iter().enumerate() {
            ResultFolder::settle_to_read(folder)?;
            let path = folder.join(OBJECT);
            if !path.is_file() {
                bail!(
                    "{}: holds no finished result, there is no {OBJECT}; run its `infomark match` to the end",
                    shown(folder)
                );
            }
            let (mut index, mut failed, mut read, first) = match parts.take() {
                Some(Self { head, index, failed, read }) => (index, failed, read, Some(head)),
                None => (PartIndex::new(), Vec::new(), Vec::new(), None),
            };
            let file = File::open(&path).with_context(|| format!("{}: can't be read", shown(&path)))?;
            read.push(version(&file));
            let number = u32::try_from(part)?;
            let refused = |error| unmergeable(error, results, folder);
            let twice = |label: &str| refused(MergeError::Twice { label: label.to_owned(), first: part });
            let around = read_object(file, &path, |start, length, text| {
                #[derive(Deserialize)]
                struct Label {
                    image: String,
                }
                let label: Label = serde_json::from_str(text).with_context(|| damaged(folder))?;
                let place: &mut Place = index.slot(number, &label.image).map_err(refused)?;
                match place.matched.replace((start, length)) {
                    None => Ok(()),
                    Some(_) => Err(twice(&label.image)),
                }
            })?;
            if around.images_left > 0 {
                bail!(
                    "{}: not finished, {} images are left to do; run its `infomark match` again",
                    shown(folder),
                    around.images_left
                );
            }
            if let Some(first) = first.as_ref().filter(|first| **first != around.head) {
                let what = difference(first, &around.head);
                bail!(
                    "{}: its {what} is not that of {}; run the shards again with the same model, templates, options and version",
                    shown(folder),
                    results.first().map(|first| shown(first)).unwrap_or_default()
                );
            }
            for failure in around.failed {
                let place = index.slot(number, &failure.image).map_err(refused)?;
                if place.failure.replace(u32::try_from(failed.len())?).is_some() {
                    bail!(twice(&failure.image));
                }
                failed.push(Some(failure));
            }
            parts = Some(Self { head: around.head, index, failed, read });
        }
        parts.context("no results to merge")
    }
}

/// The objects of images in the files of results.
struct Objects<'r> {
    results: &'r [PathBuf],
    read: Vec<Option<Version>>,
    open: HashMap<usize, File>,
}

impl Objects<'_> {
    fn read(&mut self, part: usize, (start, length): (u64, u64)) -> Result<Matched> {
        let folder = self.results.get(part).context("no such result")?;
        let path = folder.join(OBJECT);
        let unread = || format!("{}: can't be read", shown(&path));
        let mut file = match self.open.remove(&part) {
            Some(file) => file,
            None => {
                let file = File::open(&path).with_context(unread)?;
                if self.read.get(part).copied().flatten() != version(&file) {
                    bail!("{}: it was replaced while it was read; merge again", shown(&path));
                }
                file
            }
        };
        let mut text = vec![0; usize::try_from(length)?];
        file.seek(SeekFrom::Start(start)).with_context(unread)?;
        file.read_exact(&mut text).with_context(unread)?;
        if self.open.len() < MOST_OPEN {
            self.open.insert(part, file);
        }
        serde_json::from_slice(&text).with_context(|| damaged(folder))
    }
}

fn damaged(folder: &Path) -> String {
    format!("{}: {OBJECT} is not as `infomark match` writes it; run it again", shown(folder))
}

/// The spacing that was given for an image.
fn given(used: &SpacingUsed) -> Option<PixelSpacing> {
    let spacing = Spacing::new(used.x_mm, used.y_mm).ok()?;
    (used.source == SpacingSource::User.to_string()).then(|| PixelSpacing::given(spacing))
}

/// An error with the folders of the results; `of` is the list, or the result that was read.
fn unmergeable(error: MergeError, results: &[PathBuf], of: &Path) -> anyhow::Error {
    let folder = |part: usize| results.get(part).map(|folder| shown(folder)).unwrap_or_default();
    match error {
        MergeError::Twice { label, first } => anyhow!(
            "{}: the image {label} is in this result and in {}; name each shard once, of one number of shards",
            shown(of),
            folder(first)
        ),
        MergeError::Missing { count, listed, first } => anyhow!(
            "{}: {count} of its {listed} images are in none of the results, the first is {first}; name all shards, or run those that are missing",
            shown(of)
        ),
        MergeError::Unlisted { count, part } => anyhow!(
            "{}: {count} images of the results are not in the list, the first of these results is {}; give the list that they were made from",
            shown(of),
            folder(part)
        ),
        error => error.into(),
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
