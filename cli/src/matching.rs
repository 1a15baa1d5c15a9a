//! `infomark match`.

mod find;
mod how;
pub(crate) mod merge;
mod pictures;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use infomark_infer::{
    Detector, EnsembleFile, InputImage, LandmarkFormat, Matcher, PixelSpacing, Scheme, Shard, ordered, sha256,
};
use infomark_results::{
    EncoderRecord, EnsembleRecord, FAILURES_TABLE, Journal, LANDMARKS_TABLE, MEASUREMENTS_TABLE, MadeBy,
    MatchingRecord, NetworkRecord, OBJECT, RecognisedBy, ResultFolder, ResultHead, ResultWriter, Totals,
    remove_temporary, to_json,
};
use rayon::ThreadPool;

use crate::convert::Format;
use crate::inputs;
use crate::interrupt;
use crate::measure::SchemeOption;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, shown};
use crate::progress::Progress;
use crate::spacing;
use crate::templates::{self, Given};
use find::{Done, Overlays, Search};
use pictures::OVERLAYS;

pub(crate) use how::How;
pub(crate) use trust::Trust;

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
option is another. A complete result that DIR holds already stays as it is until the new one is complete.
Images that fail are in DIR/errors.csv. DIR/.infomark holds what is under way.

Several templates, which are nearer together than each alone: annotated images, files of `infomark template`, or a data folder
  infomark match --model encoder.onnx --template 001.png --template 014.png --landmarks points.csv new/ --out found
  infomark match --model encoder.onnx --template annotated/ --templates 3 new/ --out found

Lateral cephalograms, frontal chest radiographs and left hands of children by what comes with the program: a landmark network
and templates together, and for hands the templates
  infomark match --model ceph new/ --out found
  infomark match --model hand hands/ --out found

By a network of your own; the score is then the probability of the place, 0 to 1. With an encoder and a template, images that do
not show the template's anatomy are reported and abstained from, as are points whose probability is below 0.5
  infomark match --landmark-model landmarks.onnx new/ --out found
  infomark match --landmark-model landmarks.onnx --model encoder.onnx --template 001.template new/ --out found

Many images on many machines: list.csv has the columns image,path, and each process takes a part of it
  infomark match --model ceph --template ceph --images-from list.csv --shard 3/100 --out found/3 \\
    --threads 1 --no-overlays --keep-going
  infomark merge found/* --images-from list.csv --out all

Landmarks for 3D Slicer beside the table, from points that were marked in 3D Slicer
  infomark match --model encoder.onnx --template 001.dcm --landmarks 001.mrk.json new/ --out found \\
    --format slicer

Angles and lengths of the landmarks with their bounds, in DIR/measurements.csv
  infomark match --model ceph --template ceph new/ --out found --scheme ceph"
)]
pub(crate) struct Options {
    /// Encoder, a file of `infomark train`; or an ensemble, a file ending in .infomark; or the bundled `ceph`, `chest` or `hand`:
    /// without --template by its landmark network and its templates together, `hand` by its templates
    #[arg(long, value_name = "FILE", required_unless_present = "landmark_model")]
    model: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Landmark network, which replaces the templates for locating landmarks: a file of `infomark train-landmarks` or
    /// `infomark self-train`, or `ceph` or `chest`. With --model and --template, these recognise the images
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "no_prior", "no_neighbours", "sub_pixel", "calibration",
            "abstain_above", "abstain_below",
        ]
    )]
    landmark_model: Option<PathBuf>,
    #[command(flatten)]
    given: Given,
    /// Images to search, or folders of them
    #[arg(required_unless_present = "images_from", value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// List of the images instead, as CSV with the columns image,path: the label of each in the results, and its file, relative
    /// to the folder of the list. Results of an earlier run are reused for files of the same path, size and
    /// time of modification, without reading them
    #[arg(long, value_name = "LIST", conflicts_with = "images")]
    images_from: Option<PathBuf>,
    /// Process shard I of N of the list, from 1: the images whose label's SHA-256, the first 8 bytes as a big-endian number, is
    /// I - 1 modulo N
    #[arg(long, value_name = "I/N", requires = "images_from", conflicts_with = "images")]
    shard: Option<Shard>,
    /// Succeed even if images fail; they are listed in DIR/errors.csv
    #[arg(long)]
    keep_going: bool,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    trust: Trust,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    scheme: SchemeOption,
    /// Formats of additional landmark files to write besides landmarks.csv
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',')]
    format: Vec<Format>,
    /// Write no overlays
    #[arg(long, conflicts_with_all = ["svg", "sheet"])]
    no_overlays: bool,
    /// Write each overlay as SVG, too
    #[arg(long)]
    svg: bool,
    /// Draw all overlays as thumbnails on DIR/contact-sheet.png, and contact-sheet-2.png and so on for more than 24
    #[arg(long)]
    sheet: bool,
    /// Millimetres per pixel across and down, for all images, overriding their files
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    spacing: Option<Vec<f64>>,
    /// Abort an image that is not encoded after SECONDS, and continue with the next
    #[arg(long, value_name = "SECONDS")]
    time_limit: Option<f64>,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let Outcome { totals, left, place, published, trust } = match_all(options, threads, report)?;
    let (done, failed) = (totals.matched, totals.failed.len());
    if published && (done > 0 || left == 0 && failed == 0) {
        let overlays =
            if options.no_overlays { String::new() } else { format!(", {}", shown(&place.join(OVERLAYS))) };
        report.text(&format!(
            "{done} image{} matched: {}, {}{overlays}",
            if done == 1 { "" } else { "s" },
            shown(&place.join(LANDMARKS_TABLE)),
            shown(&place.join(OBJECT)),
        ))?;
        report.text(&trust)?;
    }
    totals.warnings.iter().for_each(output::warn);
    if !options.keep_going {
        totals.failed.iter().for_each(|failure| output::warn(&failure.error));
    }
    let all = totals.done + left;
    if left > 0 {
        let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
        let kept =
            if published { String::new() } else { format!("; until then {} is as it was", shown(&place)) };
        bail!("stopped with {left} of {all} images to do{failed}; the same command goes on{kept}");
    }
    if let Some(first) = totals.failed.first() {
        let text = format!("{failed} of {all} images failed, the first is {}", first.image);
        if !options.keep_going {
            bail!(text);
        }
        output::warn(format_args!("{text}: {}", shown(&place.join(FAILURES_TABLE))));
    }
    Ok(())
}

/// Landmarks found so far, during a run; kept when it is stopped.
const JOURNAL: &str = "journal.jsonl";

/// Outcome of a matching run.
struct Outcome {
    totals: Totals,
    /// Number of images not started.
    left: usize,
    /// Folder of the results.
    place: PathBuf,
    /// Whether the new results were written; otherwise an earlier result is still there.
    published: bool,
    /// Summary of the reliability of the points.
    trust: String,
}

fn match_all(options: &Options, threads: usize, report: &Report) -> Result<Outcome> {
    let limit = options.time_limit.map(time_limit).transpose()?;
    let given = options.spacing.as_deref().map(spacing::given).transpose()?;
    let scheme = options.scheme.load()?;
    let pool = inputs::pool(threads)?;
    let (detector, made_by, inputs) = detector(options, given.as_ref(), &pool, report)?;
    let formats = formats(&options.format)?;
    if let Some(scheme) = &scheme {
        let names: Vec<String> = detector.landmarks().into_iter().map(str::to_owned).collect();
        scheme.check_shared(&names, "the template or network")?;
    }
    let (reorients, trust) = (detector.fixes_orientation(), trust::trust_of(&detector));
    // Everything that a result depends on, except the image and its name.
    let made_of = serde_json::to_vec(&((env!("CARGO_PKG_VERSION"), &made_by, reorients), &options.spacing))?;
    let made_of = sha256(&made_of);
    let folder = ResultFolder::open(&options.out)?;
    let run = folder.run(made_of.get(..KEY).unwrap_or(&made_of))?;
    let overlays = match (options.no_overlays, options.svg) {
        (true, _) => Overlays::None,
        (false, false) => Overlays::Png,
        (false, true) => Overlays::PngAndSvg,
    };
    output::make_folder(&run.join(OVERLAYS))?;
    remove_temporary(&run.join(OVERLAYS))?;
    let search = Search {
        detector,
        given,
        limit,
        run: run.clone(),
        overlays,
        placed: formats.iter().any(|format| format.is_physical()),
        journal: Journal::open(&run.join(JOURNAL), &made_of)?,
    };
    let shard = options.shard.map(|shard| shard.to_string());
    let scheme_name = scheme.as_ref().map(Scheme::name);
    let head = ResultHead {
        version: env!("CARGO_PKG_VERSION"),
        shard,
        made_of: &made_of,
        made_by: &made_by,
        scheme: scheme_name,
    };
    let measured = scheme.is_some();
    let mut result = ResultWriter::new(folder.stage()?, &to_json(&head)?, &formats, measured)?;
    let mut left = inputs.len();
    let mut overlays = Vec::new();
    let progress = Progress::new(left as u64, "matching");
    let stop = interrupt::flag();
    let tell = progress.teller();
    let _watch = interrupt::Watch::new(&stop, move || {
        tell("stopping: the images under way are finished and all is written; Ctrl-C again ends at once");
    });
    let one = move |input: &InputImage| search.one_or_earlier(input);
    for Done { mut matched, failure } in ordered(inputs, threads, Arc::clone(&stop), one)? {
        if let (Some(scheme), Some(matched)) = (&scheme, &mut matched) {
            matched.measure(scheme);
        }
        left -= 1;
        progress.advance();
        result.add(matched.as_ref(), failure, &run, options.svg)?;
        let overlay =
            matched.filter(|_| options.sheet).and_then(|matched| Some((matched.overlay?, matched.image)));
        overlays.extend(overlay);
    }
    progress.finish();
    pool.install(|| pictures::write_sheets(result.stage(), &overlays))?;
    let (stage, totals) = result.finish(left)?;
    totals.format_warnings.iter().for_each(output::warn);
    let published = left == 0 || !folder.is_complete();
    if published {
        folder.publish(stage, left == 0)?;
        report.json_file(&options.out.join(OBJECT))?;
    } else {
        report.json_file(&stage.path(OBJECT))?;
    }
    // Not needed once all is done; otherwise failed and remaining images are tried again. A list may grow.
    let all_done = left == 0 && (totals.failed.is_empty() || totals.matched == 0);
    if all_done && options.images_from.is_none() {
        let _ = fs::remove_dir_all(&run);
    }
    Ok(Outcome { totals, left, place: options.out.clone(), published, trust })
}

/// Digits of the hash that names the folder of a run.
const KEY: usize = 16;

/// The formats of `--format`.
fn formats(given: &[Format]) -> Result<Vec<LandmarkFormat>> {
    if let Some(Format(format)) = given.iter().find(|format| format.0.needs_index()) {
        let key = format.key();
        bail!(
            "--format {key}: these need the ids of a COCO file; convert landmarks.csv with `infomark convert --coco`"
        );
    }
    let mut formats = Vec::new();
    for &Format(format) in given {
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    Ok(formats)
}

/// The detector, its record for the results, and the images.
fn detector(
    options: &Options,
    given: Option<&PixelSpacing>,
    pool: &ThreadPool,
    report: &Report,
) -> Result<(Detector, MadeBy, Vec<InputImage>)> {
    if let Some(path) = options.model.as_ref().filter(|path| EnsembleFile::is_at(path)) {
        return ensemble(options, path);
    }
    let shipped_alone = options
        .model
        .as_ref()
        .filter(|_| options.landmark_model.is_none() && options.given.templates.is_empty());
    if let Some(path) = shipped_alone
        && let Some(model) = infomark_models::named(path).filter(|model| model.landmark_net.is_some())
    {
        return pretrained(options, path, &model, report);
    }
    let is_shipped = |path: &&PathBuf| infomark_models::named(path).is_some();
    let templates_given = !options.given.templates.is_empty();
    let encoder = options.model.as_ref().or(options.landmark_model.as_ref().filter(is_shipped));
    let net = options.landmark_model.as_ref().map(|path| -> Result<_> {
        options.runtime.check_for_network()?;
        let of_templates = options.given.first_given().filter(|_| !templates_given);
        if let Some(option) = options.how.first_given().or(options.trust.first_given()).or(of_templates) {
            bail!("{option}: it is an option of matching; give --template, too");
        }
        let net = infomark_models::load_landmark_net(path)?;
        let told = NetworkRecord::of(&net, path);
        Ok((Arc::new(net), told))
    });
    let net = net.transpose()?;
    let Some(path) = encoder else {
        let Some((net, landmark_model)) = net else {
            bail!("--model: name an encoder, or a landmark network as --landmark-model");
        };
        if templates_given || options.trust.fix_orientation {
            let option = if templates_given { "--template" } else { "--fix-orientation" };
            bail!("{option}: it needs an encoder; name it as --model");
        }
        return Ok((Detector::Network(net), MadeBy::Network { landmark_model }, inputs_of(options)?));
    };
    let encoder = options.runtime.encoder(path)?;
    let inputs = inputs_of(options)?;
    let own = infomark_models::named(path).filter(|_| !templates_given);
    let (templates, sources) = match (own, &net) {
        // It recognises the images.
        (Some(model), Some(_)) => templates::built_in(model)?.into_iter().take(1).unzip(),
        (own, _) => pool.install(|| options.given.read(&encoder, given, own))?,
    };
    let model = EncoderRecord::of(&encoder, path);
    let matcher = Matcher::new(encoder, templates)?.options(options.how.options())?;
    let (judge, error_bounds) = options.trust.judge(matcher)?;
    let judge = Arc::new(judge);
    Ok(match net {
        Some((net, landmark_model)) => {
            let recognised_by = RecognisedBy { model, templates: sources };
            let made_by = MadeBy::CheckedNetwork { landmark_model, recognised_by };
            (Detector::CheckedNetwork(net, judge), made_by, inputs)
        }
        None => {
            if let Some(model) = own {
                let (name, count) = (model.name, judge.matcher().landmarks().len());
                let templates = sources.len();
                report.text(&format!("by the {templates} templates of {name}, {count} landmarks"))?;
            }
            let matching = MatchingRecord::of(&options.how.options());
            let made_by = MadeBy::Matching { model, matching, error_bounds, templates: sources };
            (Detector::Matching(judge), made_by, inputs)
        }
    })
}

/// The detector of a bundled model: its templates and its landmark network.
fn pretrained(
    options: &Options,
    path: &Path,
    model: &infomark_models::PretrainedModel,
    report: &Report,
) -> Result<(Detector, MadeBy, Vec<InputImage>)> {
    options.runtime.check_for_network()?;
    let own = options.how.first_given().or(options.trust.first_given()).or(options.given.first_given());
    if let Some(option) = own.or(options.trust.coverage_given()) {
        bail!("{option}: it is an option of matching; give --template {}, too", model.name);
    }
    let ensemble = model.ensemble()?.with_fixed_orientation(options.trust.fix_orientation);
    let (name, count) = (model.name, ensemble.landmarks().len());
    let templates = ensemble.matcher().templates().len();
    report.text(&format!(
        "by the landmark network and the {templates} templates of {name}, {count} landmarks; the network alone: --landmark-model {name}; the templates alone: add --template {name}"
    ))?;
    let made_by = MadeBy::Ensemble { ensemble: EnsembleRecord::of(&ensemble, path) };
    Ok((Detector::Ensemble(Box::new(ensemble)), made_by, inputs_of(options)?))
}

/// An ensemble as the detector, its record for the results, and the images.
fn ensemble(options: &Options, path: &Path) -> Result<(Detector, MadeBy, Vec<InputImage>)> {
    options.runtime.check_for_network()?;
    let own = options.how.first_given().or(options.trust.first_given()).or(options.given.first_given());
    let other = options.landmark_model.is_some().then_some("--landmark-model");
    let coverage = options.trust.coverage_given();
    if let Some(option) = own.or(other).or(coverage) {
        let path = shown(path);
        bail!("{option}: {path} has its own templates, networks and error bounds; leave the option out");
    }
    let (ensemble, model) = EnsembleRecord::load(path)?;
    let ensemble = ensemble.with_fixed_orientation(options.trust.fix_orientation);
    Ok((Detector::Ensemble(Box::new(ensemble)), MadeBy::Ensemble { ensemble: model }, inputs_of(options)?))
}

/// The images to search.
fn inputs_of(options: &Options) -> Result<Vec<InputImage>> {
    let inputs = match &options.images_from {
        Some(list) => InputImage::listed(list, options.shard)?,
        None => inputs::expand(&options.images)?,
    };
    let models = options.model.iter().chain(&options.landmark_model).chain(&options.images_from);
    let models = models.chain(&options.scheme.scheme);
    keep_inputs(options.given.files().chain(models.cloned()), &options.out)?;
    Ok(inputs)
}

/// Rejects an output folder that would overwrite inputs.
fn keep_inputs(given: impl IntoIterator<Item = PathBuf>, out: &Path) -> Result<()> {
    let outputs = [LANDMARKS_TABLE, OBJECT, FAILURES_TABLE, MEASUREMENTS_TABLE]
        .map(|name| output::identity(&out.join(name)));
    for given in given {
        if outputs.contains(&output::identity(&given)) {
            bail!("{}: the results would overwrite this file; give another folder as --out", shown(&given));
        }
    }
    Ok(())
}

/// Parses `--time-limit`.
fn time_limit(seconds: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() && Instant::now().checked_add(limit).is_some() => Ok(limit),
        _ => bail!("--time-limit {seconds}: give a number of seconds above 0"),
    }
}
