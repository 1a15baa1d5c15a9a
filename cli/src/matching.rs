//! `infomark match`.

mod how;
mod journal;
mod pictures;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, bail};
use infomark_core::Point;
use infomark_infer::{
    Annotated, Encoder, Image, Landmark, LandmarkDescription, LandmarkFormat, LandmarkNet, Matcher,
    PixelSpacing, encode_landmarks, read_image_header, sha256,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::convert::Format;
use crate::inputs::{self, Input};
use crate::interrupt;
use crate::models;
use crate::output::{self, Report, file_name, one_line, rounded, shown};
use crate::progress::Progress;
use crate::spacing;
use crate::templates::{Given, Place, Source};
use journal::Journal;
use trust::ExpectedErrors;

pub(crate) use how::{How, Matching};
pub(crate) use trust::{Judge, Judged, Recognised, Trust, matching_text};

/// Find the landmarks of one or several annotated images in others.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Example: find the points that points.csv gives for 001.png in all images of two folders
  infomark match --model encoder.onnx --template 001.png --landmarks points.csv ward-a/ ward-b/ --out found

points.csv has the columns image,landmark,x,y; pixel (0, 0) is the centre of the first pixel. The
results are in pixels of each image as it was given: DIR/landmarks.csv and DIR/landmarks.json with a
score for each point (mean cosine, -1 to 1), and DIR/overlays/*.png. Where the size of the pixels is
known they are in mm as well, from the centre of the first pixel.

Stopped with Ctrl-C, it finishes the images under way and writes what was found so far. The same command
then goes on, as it does after a crash: an image is done again only if it, the encoder, a template or an
option is another. What was found is in DIR/landmarks.partial.jsonl until all is done.

Several templates, which are nearer together than each alone: annotated images, files of `infomark template`, or a data folder
  infomark match --model encoder.onnx --template 001.png --template 014.png --landmarks points.csv new/ --out found
  infomark match --model encoder.onnx --template annotated/ --templates 3 new/ --out found

By a network that was trained for these landmarks; the score is then the probability of the place, 0 to 1
  infomark match --landmark-model landmarks.onnx new/ --out found

Landmarks for 3D Slicer beside the table, from points that were marked in 3D Slicer
  infomark match --model encoder.onnx --template 001.dcm --landmarks 001.mrk.json new/ --out found \\
    --format slicer"
)]
pub(crate) struct Options {
    /// Encoder, as `infomark train` writes it
    #[arg(long, value_name = "FILE", required_unless_present = "landmark_model")]
    model: Option<PathBuf>,
    /// Landmark network to find its landmarks with, without a template: a file of `infomark train-landmarks` or
    /// `infomark self-train`
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "model", "templates", "landmarks", "count", "no_prior", "no_neighbours", "sub_pixel", "look_turned",
            "look_mirrored", "calibration", "abstain_above", "abstain_below", "fix_orientation", "refine",
        ]
    )]
    landmark_model: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Images to search, or folders of them
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    trust: Trust,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Landmark files of other formats to write beside landmarks.csv
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',')]
    format: Vec<Format>,
    /// Write each overlay as SVG, too
    #[arg(long)]
    svg: bool,
    /// Draw all overlays small onto DIR/contact-sheet.png, and onto contact-sheet-2.png and so on where there are more than 24
    #[arg(long)]
    sheet: bool,
    /// Millimetres per pixel across and down, for all images, instead of what their files state
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    spacing: Option<Vec<f64>>,
    /// Give up on an image that is not encoded after so many seconds, and go on with the next
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<f64>,
}

/// What was done with what: enough to do it again.
#[derive(Serialize)]
struct Matches {
    version: &'static str,
    #[serde(flatten)]
    made_by: MadeBy,
    images: Vec<Matched>,
    failed: Vec<Failure>,
    /// Images that were not looked at, as it was stopped.
    images_left: usize,
}

/// What found the landmarks.
#[derive(Serialize)]
#[serde(untagged)]
enum MadeBy {
    Matching { model: Model, matching: Matching, expected_errors: ExpectedErrors, templates: Vec<Source> },
    Network { landmark_model: NetworkModel },
}

/// An encoder, told apart by its hash.
#[derive(Clone, Serialize)]
pub(crate) struct Model {
    file: String,
    sha256: String,
    version: String,
    training_images: usize,
    training_data_sha256: String,
    steps: u64,
    seed: u64,
    input: [usize; 2],
    strides: Vec<usize>,
    channels: usize,
    temperature: f32,
}

impl Model {
    pub(crate) fn of(encoder: &Encoder, path: &Path) -> Self {
        let description = encoder.description();
        Self {
            file: file_name(path),
            sha256: encoder.sha256().to_owned(),
            version: description.version.clone(),
            training_images: description.training_images,
            training_data_sha256: description.training_data_sha256.clone(),
            steps: description.steps,
            seed: description.seed,
            input: [description.input.width(), description.input.height()],
            strides: description.strides.clone(),
            channels: description.channels,
            temperature: description.temperature,
        }
    }
}

/// A landmark network, told apart by its hash.
#[derive(Clone, Serialize)]
pub(crate) struct NetworkModel {
    file: String,
    sha256: String,
    #[serde(flatten)]
    description: LandmarkDescription,
}

impl NetworkModel {
    pub(crate) fn of(net: &LandmarkNet, path: &Path) -> Self {
        let (sha256, description) = (net.sha256().to_owned(), net.description().clone());
        Self { file: file_name(path), sha256, description }
    }
}

/// The size of an image's pixels, and where it is from.
#[derive(Clone, Deserialize, Serialize)]
struct SpacingUsed {
    x_mm: f64,
    y_mm: f64,
    source: String,
    calibration: String,
}

impl SpacingUsed {
    fn of(spacing: &PixelSpacing) -> Self {
        Self {
            x_mm: spacing.mm.x,
            y_mm: spacing.mm.y,
            source: spacing.source.to_string(),
            calibration: spacing.calibration.to_string(),
        }
    }
}

/// An image and what was found in it.
#[derive(Clone, Deserialize, Serialize)]
struct Matched {
    image: String,
    width: usize,
    height: usize,
    /// None where nothing states it.
    spacing: Option<SpacingUsed>,
    #[serde(skip)]
    known: Option<PixelSpacing>,
    #[serde(skip)]
    stem: String,
    /// None by a landmark network.
    #[serde(skip_serializing_if = "Option::is_none")]
    recognition: Option<Recognised>,
    /// None where it could not be written.
    overlay: Option<String>,
    landmarks: Vec<Scored>,
}

#[derive(Clone, Deserialize, Serialize)]
struct Scored {
    #[serde(flatten)]
    place: Place,
    #[serde(skip_serializing_if = "Option::is_none")]
    x_mm: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y_mm: Option<f64>,
    score: f64,
    /// None by a landmark network.
    #[serde(flatten)]
    sure: Option<Judged>,
}

#[derive(Serialize)]
struct Failure {
    image: String,
    error: String,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let matches = match_all(options, threads)?;
    let (done, failed) = (matches.images.len(), matches.failed.len());
    let all = matches.images.iter().map(|image| &image.image).chain(matches.failed.iter().map(|f| &f.image));
    let all = all.collect::<std::collections::HashSet<_>>().len();
    if done > 0 {
        report.text(&format!(
            "{done} image{} matched: {}, {}, {}",
            if done == 1 { "" } else { "s" },
            shown(&options.out.join(TABLE)),
            shown(&options.out.join(OBJECT)),
            shown(&options.out.join(OVERLAYS)),
        ))?;
    }
    report.json(&matches)?;
    for warning in recognitions(&matches).filter_map(|told| told.warning.as_ref()) {
        eprintln!("warning: {warning}");
    }
    for failure in &matches.failed {
        eprintln!("warning: {}", failure.error);
    }
    if matches.images_left > 0 {
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        bail!(
            "stopped with {} of {} images to do{failed}; the same command goes on",
            matches.images_left,
            all + matches.images_left
        );
    }
    if failed > 0 {
        bail!("{failed} of {all} images failed, the first is {}", matches.failed[0].image);
    }
    Ok(())
}

fn recognitions(matches: &Matches) -> impl Iterator<Item = &Recognised> {
    matches.images.iter().filter_map(|image| image.recognition.as_ref())
}

const TABLE: &str = "landmarks.csv";
const OBJECT: &str = "landmarks.json";
const OVERLAYS: &str = "overlays";
/// The points found so far, while a matching runs; what a stopped one leaves.
const PARTIAL: &str = "landmarks.partial.jsonl";

fn match_all(options: &Options, threads: usize) -> Result<Matches> {
    let limit = options.time_limit.map(time_limit).transpose()?;
    let given = options.spacing.as_deref().map(spacing::given).transpose()?;
    let pool = inputs::pool(threads)?;
    let (finder, made_by, inputs) = match (&options.landmark_model, &options.model) {
        (Some(path), _) => {
            let net = LandmarkNet::load(path)?;
            let landmark_model = NetworkModel::of(&net, path);
            (Finder::Network(net), MadeBy::Network { landmark_model }, inputs_of(options)?)
        }
        (None, Some(path)) => {
            let encoder = models::encoder(path)?;
            let inputs = inputs_of(options)?;
            let (templates, sources) =
                pool.install(|| options.given.read(&encoder, given.as_ref(), options.how.looks()))?;
            let (model, matching) = (Model::of(&encoder, path), options.how.matching());
            let matcher = Matcher::new(encoder, templates)?.options(options.how.options());
            let judge = Judge::new(&options.trust, &matcher, &sources, &options.how)?;
            let expected_errors = judge.told();
            let made_by = MadeBy::Matching { model, matching, expected_errors, templates: sources };
            (Finder::Matcher { matcher, judge }, made_by, inputs)
        }
        (None, None) => bail!("--model: name an encoder, or a landmark network as --landmark-model"),
    };
    output::make_folder(&options.out.join(OVERLAYS))?;
    // All that a result depends on but the image and its name.
    let made_of = serde_json::to_vec(&(
        (env!("CARGO_PKG_VERSION"), &made_by, finder.fixes_orientation()),
        &options.spacing,
    ))?;
    let partial = options.out.join(PARTIAL);
    let journal = Journal::open(&partial, &sha256(&made_of))?;
    if journal.is_empty() {
        remove_earlier(&options.out);
    }
    let search = Search { finder: &finder, given: given.as_ref(), limit, options };
    let progress = Progress::new(inputs.len() as u64, "matching");
    let stop = interrupt::flag();
    let tell = progress.teller();
    let _watch = interrupt::Watch::new(&stop, move || {
        tell("stopping: the images under way are finished and all is written; Ctrl-C again ends at once");
    });
    let one = |input: &Input| {
        let done = search.one_or_earlier(input, &journal, &stop)?;
        progress.advance();
        Some(done)
    };
    let results: Vec<_> = pool.install(|| inputs.par_iter().map(one).collect());
    progress.finish();
    let (mut images, mut failed, mut left) = (Vec::new(), Vec::new(), 0);
    for (input, result) in inputs.iter().zip(results) {
        let Some(result) = result else {
            left += 1;
            continue;
        };
        match result {
            Ok((matched, None)) => images.push(matched),
            Ok((matched, Some(error))) => {
                failed.push(Failure { image: matched.image.clone(), error: one_line(&error) });
                images.push(matched);
            }
            Err(error) => {
                let image = input.label.clone();
                failed.push(Failure { image, error: one_line(&error) });
            }
        }
    }
    let matches = Matches { version: env!("CARGO_PKG_VERSION"), made_by, images, failed, images_left: left };
    write_table(&options.out.join(TABLE), &matches.images)?;
    for &format in &options.format {
        write_others(&options.out, format.format(), &matches.images)?;
    }
    output::write_json(&options.out.join(OBJECT), &matches)?;
    if options.sheet {
        pool.install(|| pictures::write_sheets(&options.out, &matches.images))?;
    }
    // Of no more use once all is done; else what failed or is left is tried again.
    if left == 0 && (matches.failed.is_empty() || matches.images.is_empty()) {
        let _ = fs::remove_file(partial);
    }
    Ok(matches)
}

/// The images to search.
fn inputs_of(options: &Options) -> Result<Vec<Input>> {
    let inputs = inputs::expand(&options.images)?;
    keep_inputs(options)?;
    Ok(inputs)
}

/// Finds landmarks in an image.
enum Finder {
    Matcher { matcher: Matcher, judge: Judge },
    Network(LandmarkNet),
}

impl Finder {
    /// Gives up when the deadline has passed.
    fn find(
        &self,
        image: &Image,
        label: &str,
        deadline: Option<Instant>,
    ) -> Result<(Vec<Scored>, Option<Recognised>)> {
        match self {
            Self::Matcher { matcher, judge } => {
                judge.check_spacing(image)?;
                let limited = deadline.map(|deadline| matcher.until(deadline));
                let (found, verdict) = judge.find(limited.as_ref().unwrap_or(matcher), image)?;
                let landmarks = found.iter().enumerate().map(|(index, found)| {
                    let sure = judge.judge(index, found, image, &verdict);
                    scored((&found.name, found.at, found.score), image.spacing(), Some(sure))
                });
                Ok((landmarks.collect(), Some(verdict.told(label))))
            }
            Self::Network(net) => {
                let limited = deadline.map(|deadline| net.until(deadline));
                let located = limited.as_ref().unwrap_or(net).find(image)?;
                let landmarks = located.iter().map(|located| {
                    scored((&located.name, located.at, located.probability), image.spacing(), None)
                });
                Ok((landmarks.collect(), None))
            }
        }
    }

    /// Whether an image that lies otherwise than the template is laid anew.
    fn fixes_orientation(&self) -> bool {
        matches!(self, Self::Matcher { judge, .. } if judge.fix_orientation())
    }

    /// What it is, for titles.
    fn name(&self) -> String {
        match self {
            Self::Network(net) => file_name(Path::new(net.name())),
            Self::Matcher { matcher, .. } => match matcher.templates() {
                [only] => format!("template {}", file_name(Path::new(only.image()))),
                all => format!("{} templates", all.len()),
            },
        }
    }
}

/// Refuses results that would take the place of what they are made from.
fn keep_inputs(options: &Options) -> Result<()> {
    let models = options.model.iter().chain(&options.landmark_model);
    let outputs = [TABLE, OBJECT, PARTIAL].map(|name| inputs::identity(&options.out.join(name)));
    for given in options.given.files().chain(models.cloned()) {
        if outputs.contains(&inputs::identity(&given)) {
            bail!("{}: the results would overwrite this file; give another folder as --out", shown(&given));
        }
    }
    Ok(())
}

/// Removes the overlays that an earlier result in the folder names, so that none is taken for a new one.
fn remove_earlier(out: &Path) {
    let earlier = fs::read(out.join(OBJECT)).ok();
    let earlier: Option<serde_json::Value> = earlier.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let images = earlier.as_ref().and_then(|object| object["images"].as_array());
    for name in images.into_iter().flatten().filter_map(|image| image["overlay"].as_str()) {
        let own = name.strip_prefix(OVERLAYS).and_then(|name| name.strip_prefix('/'));
        if let Some(name) = own.filter(|name| !name.contains(['/', '\\'])) {
            let path = out.join(OVERLAYS).join(name);
            let _ = fs::remove_file(path.with_extension("svg"));
            let _ = fs::remove_file(path);
        }
    }
}

/// What `--time-limit` gives.
fn time_limit(seconds: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() && Instant::now().checked_add(limit).is_some() => Ok(limit),
        _ => bail!("--time-limit {seconds}: give a number of seconds above 0"),
    }
}

/// What images are searched with.
struct Search<'a> {
    finder: &'a Finder,
    given: Option<&'a PixelSpacing>,
    limit: Option<Duration>,
    options: &'a Options,
}

type Done = Result<(Matched, Option<Error>)>;

impl Search<'_> {
    /// What an earlier run found in an image, or what is found now; nothing when the user wants it to end.
    fn one_or_earlier(&self, input: &Input, journal: &Journal, stop: &AtomicBool) -> Option<Done> {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let overlay = format!("{OVERLAYS}/{}.png", input.stem);
        let drawn = !self.options.svg || self.options.out.join(&overlay).with_extension("svg").is_file();
        if let Some(matched) = journal.done(input, &overlay, &self.options.out).filter(|_| drawn) {
            let known = self.given.cloned();
            let known =
                known.or_else(|| read_image_header(&input.path).ok().and_then(|header| header.spacing));
            return Some(Ok((Matched { known, stem: input.stem.clone(), ..matched }, None)));
        }
        let done = self.one(input, overlay);
        if let Ok((matched, None)) = &done {
            journal.add(input, matched);
        }
        Some(done)
    }

    /// Searches one image and writes its overlay; that this failed is told beside the points.
    fn one(&self, input: &Input, file: String) -> Done {
        let deadline = self.limit.and_then(|limit| Instant::now().checked_add(limit));
        let image = spacing::read(&input.path, self.given)?;
        let (landmarks, recognition) = self.finder.find(&image, &input.label, deadline)?;
        let title = format!("{}, {}", input.label, self.finder.name());
        let unwritten = pictures::write_overlay(
            &self.options.out.join(&file),
            &image,
            &landmarks,
            &title,
            self.options.svg,
        )
        .err();
        let matched = Matched {
            image: input.label.clone(),
            width: image.width(),
            height: image.height(),
            spacing: image.spacing().map(SpacingUsed::of),
            known: image.spacing().cloned(),
            stem: input.stem.clone(),
            recognition,
            overlay: unwritten.is_none().then_some(file),
            landmarks,
        };
        let unwritten =
            unwritten.map(|error| error.context(format!("{}: its overlay is missing", input.label)));
        Ok((matched, unwritten))
    }
}

/// A thousandth of a pixel, and of a millimetre, is more than any matching can tell.
fn scored(
    (name, at, score): (&str, Point<f64>, f64),
    spacing: Option<&PixelSpacing>,
    sure: Option<Judged>,
) -> Scored {
    Scored {
        place: Place { landmark: name.to_owned(), x: rounded(at.x, 3), y: rounded(at.y, 3) },
        x_mm: spacing.map(|spacing| rounded(at.x * spacing.mm.x, 3)),
        y_mm: spacing.map(|spacing| rounded(at.y * spacing.mm.y, 3)),
        score: rounded(score, 4),
        sure,
    }
}

const COLUMNS: [&str; 12] = [
    "image",
    "landmark",
    "x",
    "y",
    "score",
    "x_mm",
    "y_mm",
    "margin",
    "match_back_px",
    "expected_error_px",
    "expected_error_mm",
    "abstain",
];

fn rows(image: &Matched) -> impl Iterator<Item = [String; 12]> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    image.landmarks.iter().map(move |Scored { place, x_mm, y_mm, score, sure }| {
        [
            image.image.clone(),
            place.landmark.clone(),
            place.x.to_string(),
            place.y.to_string(),
            score.to_string(),
            number(*x_mm),
            number(*y_mm),
            number(sure.as_ref().map(|sure| sure.margin)),
            number(sure.as_ref().and_then(|sure| sure.match_back_px)),
            number(sure.as_ref().map(|sure| sure.expected_error_px)),
            number(sure.as_ref().and_then(|sure| sure.expected_error_mm)),
            sure.as_ref().map(|sure| sure.abstain.to_string()).unwrap_or_default(),
        ]
    })
}

fn write_table(path: &Path, images: &[Matched]) -> Result<()> {
    output::write_csv(path, COLUMNS, images.iter().flat_map(rows))
}

/// Writes the landmarks in another format: into one file, or into a folder with a file for each image.
fn write_others(out: &Path, format: LandmarkFormat, images: &[Matched]) -> Result<()> {
    let points: Vec<Vec<Landmark>> = images
        .iter()
        .map(|image| {
            let places = image.landmarks.iter().map(|scored| &scored.place);
            places.map(|place| Landmark::new(&place.landmark, Point::new(place.x, place.y))).collect()
        })
        .collect();
    let annotated: Vec<Annotated<'_>> = images
        .iter()
        .zip(&points)
        .map(|(image, landmarks)| Annotated {
            image: &image.image,
            size: (image.width, image.height),
            spacing: image.known.as_ref(),
            landmarks,
        })
        .collect();
    let name = Format::of(format).name();
    if !format.is_of_one_image() {
        if format != LandmarkFormat::Csv {
            let path = out.join(format!("landmarks.{name}.{}", format.ending()));
            output::write(&path, &encode_landmarks(format, &annotated, &shown(&path))?)?;
        }
        return Ok(());
    }
    let folder = out.join(name);
    output::make_folder(&folder)?;
    for (image, annotated) in images.iter().zip(&annotated) {
        let path = folder.join(format!("{}.{}", image.stem, format.ending()));
        output::write(&path, &encode_landmarks(format, std::slice::from_ref(annotated), &shown(&path))?)?;
    }
    Ok(())
}

/// The SHA-256 of a file that was read as an image, so it is not too large.
pub(crate) fn hash(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| format!("{}: can't be read", shown(path)))?;
    Ok(sha256(&bytes))
}
