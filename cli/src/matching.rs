//! `infomark match`.

mod find;
mod how;
mod journal;
mod pictures;
mod record;
mod table;
mod trust;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use infomark_infer::{Detector, Matcher, PixelSpacing, ordered, sha256};
use rayon::ThreadPool;

use crate::convert::Format;
use crate::files;
use crate::inputs::{self, Input};
use crate::interrupt;
use crate::measurements::{self, SchemeOption};
use crate::models::{Model, NetworkModel, RuntimeOptions};
use crate::output::{self, Report, one_line, shown};
use crate::progress::Progress;
use crate::spacing;
use crate::templates::Given;
use find::Search;
use journal::Journal;
use pictures::OVERLAYS;
use record::{Failure, MadeBy, Matches, RecognisedBy};

pub(crate) use how::{How, Matching};
pub(crate) use trust::{Recognised, Trust};

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

Lateral cephalograms by what comes with the program: its landmark network, in images that its template recognises
  infomark match --model ceph new/ --out found

By a network of your own; the score is then the probability of the place, 0 to 1. With an encoder and a template, images that do
not show the template's anatomy are told and abstained from, as are points whose probability is below 0.5
  infomark match --landmark-model landmarks.onnx new/ --out found
  infomark match --landmark-model landmarks.onnx --model encoder.onnx --template 001.template new/ --out found

Landmarks for 3D Slicer beside the table, from points that were marked in 3D Slicer
  infomark match --model encoder.onnx --template 001.dcm --landmarks 001.mrk.json new/ --out found \\
    --format slicer

Angles and lengths of the landmarks with their bounds, in DIR/measurements.csv
  infomark match --model ceph --template ceph new/ --out found --scheme ceph"
)]
pub(crate) struct Options {
    /// Encoder, as `infomark train` writes it; or `ceph`, which comes with the program and without --template is its landmark
    /// network
    #[arg(long, value_name = "FILE", required_unless_present = "landmark_model")]
    model: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Landmark network to find its landmarks with instead of the template's: a file of `infomark train-landmarks` or
    /// `infomark self-train`, or `ceph`. With --model and --template as well these recognise the images
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
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    #[command(flatten)]
    how: How,
    #[command(flatten)]
    trust: Trust,
    /// Folder for the results
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    #[command(flatten)]
    scheme: SchemeOption,
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

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let matches = match_all(options, threads, report)?;
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
        output::warn(warning);
    }
    for failure in &matches.failed {
        output::warn(&failure.error);
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
/// The points found so far, while a matching runs; what a stopped one leaves.
const PARTIAL: &str = "landmarks.partial.jsonl";

fn match_all(options: &Options, threads: usize, report: &Report) -> Result<Matches> {
    let limit = options.time_limit.map(time_limit).transpose()?;
    let given = options.spacing.as_deref().map(spacing::given).transpose()?;
    let scheme = options.scheme.load()?;
    let pool = inputs::pool(threads)?;
    let (detector, made_by, inputs) = detector(options, given.as_ref(), &pool, report)?;
    if let Some(Format(format)) = options.format.iter().find(|format| format.0.needs_index()) {
        let key = format.key();
        bail!(
            "--format {key}: these need the ids of a COCO file; convert landmarks.csv with `infomark convert --coco`"
        );
    }
    if let Some(scheme) = &scheme {
        let names: Vec<String> = detector.landmarks().into_iter().map(str::to_owned).collect();
        scheme.check_shared(&names, "the template or network")?;
    }
    output::make_folder(&options.out.join(OVERLAYS))?;
    let reorients = match &detector {
        Detector::Matching(judge) | Detector::CheckedNetwork(_, judge) => judge.fixes_orientation(),
        Detector::Network(_) => false,
    };
    // All that a result depends on but the image and its name.
    let made_of = serde_json::to_vec(&((env!("CARGO_PKG_VERSION"), &made_by, reorients), &options.spacing))?;
    let partial = options.out.join(PARTIAL);
    let journal = Journal::open(&partial, &sha256(&made_of))?;
    if journal.is_empty() {
        remove_earlier(&options.out);
    }
    let search = Search {
        detector,
        given,
        limit,
        out: options.out.clone(),
        svg: options.svg,
        placed: options.format.iter().any(|format| format.0.is_physical()),
        journal,
    };
    let progress = Progress::new(inputs.len() as u64, "matching");
    let stop = interrupt::flag();
    let tell = progress.teller();
    let _watch = interrupt::Watch::new(&stop, move || {
        tell("stopping: the images under way are finished and all is written; Ctrl-C again ends at once");
    });
    let one = move |input: &Input| search.one_or_earlier(input);
    let results = ordered(inputs.clone(), threads, Arc::clone(&stop), one)?;
    let (mut images, mut failed, mut left) = (Vec::new(), Vec::new(), inputs.len());
    for (input, result) in inputs.iter().zip(results) {
        left -= 1;
        progress.advance();
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
    progress.finish();
    let measured = options.out.join(measurements::TABLE);
    if let Some(scheme) = &scheme {
        images.iter_mut().for_each(|image| table::measure(scheme, image));
        table::write_measurements(&measured, &images)?;
    } else if earlier(&options.out).is_some_and(|object| object["scheme"].is_string()) {
        // Those of an earlier result are of other points.
        let _ = fs::remove_file(measured);
    }
    let scheme = scheme.map(|scheme| scheme.name().to_owned());
    let version = env!("CARGO_PKG_VERSION");
    let matches = Matches { version, made_by, scheme, images, failed, images_left: left };
    table::write_table(&options.out.join(TABLE), &matches.images)?;
    for &format in &options.format {
        table::write_others(&options.out, format.0, &matches.images)?;
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

/// What finds the landmarks, how results tell of it, and the images.
fn detector(
    options: &Options,
    given: Option<&PixelSpacing>,
    pool: &ThreadPool,
    report: &Report,
) -> Result<(Detector, MadeBy, Vec<Input>)> {
    let is_shipped = |path: &&PathBuf| infomark_models::named(path).is_some();
    let shipped = options.model.as_ref().filter(is_shipped);
    let templates_given = !options.given.templates.is_empty();
    // A model that comes with the program has all three.
    let network = options.landmark_model.as_ref().or(shipped.filter(|_| !templates_given));
    let encoder = options.model.as_ref().or(options.landmark_model.as_ref().filter(is_shipped));
    let net = network.map(|path| -> Result<_> {
        options.runtime.check_for_network()?;
        if let Some(option) = options.how.first_given().or(options.trust.first_given()) {
            bail!("{option}: it is an option of matching; give --template, too");
        }
        let net = infomark_models::load_landmark_net(path)?;
        let told = NetworkModel::of(&net, path);
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
    let own = Given { templates: vec![path.clone()], ..Given::default() };
    let templates = if templates_given || !is_shipped(&path) { &options.given } else { &own };
    let read = pool.install(|| templates.read(&encoder, given))?;
    let (templates, sources) = read;
    let model = Model::of(&encoder, path);
    let matcher = Matcher::new(encoder, templates)?.options(options.how.options())?;
    let (judge, expected_errors) = options.trust.judge(matcher)?;
    let judge = Arc::new(judge);
    Ok(match net {
        Some((net, landmark_model)) => {
            if options.landmark_model.is_none() {
                let (name, count) = (shown(path), net.description().landmarks.len());
                report.text(&format!(
                    "by the landmark network of {name}, {count} landmarks; --template {name} matches its template instead"
                ))?;
            }
            let recognised_by = RecognisedBy { model, templates: sources };
            let made_by = MadeBy::CheckedNetwork { landmark_model, recognised_by };
            (Detector::CheckedNetwork(net, judge), made_by, inputs)
        }
        None => {
            let matching = options.how.matching();
            let made_by = MadeBy::Matching { model, matching, expected_errors, templates: sources };
            (Detector::Matching(judge), made_by, inputs)
        }
    })
}

/// The images to search.
fn inputs_of(options: &Options) -> Result<Vec<Input>> {
    let inputs = inputs::expand(&options.images)?;
    keep_inputs(options)?;
    Ok(inputs)
}

/// Refuses results that would take the place of what they are made from.
fn keep_inputs(options: &Options) -> Result<()> {
    let models = options.model.iter().chain(&options.landmark_model);
    let outputs = [TABLE, OBJECT, PARTIAL, measurements::TABLE];
    let outputs = outputs.map(|name| output::identity(&options.out.join(name)));
    for given in options.given.files().chain(models.chain(&options.scheme.scheme).cloned()) {
        if outputs.contains(&output::identity(&given)) {
            bail!("{}: the results would overwrite this file; give another folder as --out", shown(&given));
        }
    }
    Ok(())
}

/// Removes the overlays that an earlier result in the folder names, so that none is taken for a new one.
fn remove_earlier(out: &Path) {
    let earlier = earlier(out);
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

/// The results that an earlier run left in the folder.
fn earlier(out: &Path) -> Option<serde_json::Value> {
    serde_json::from_slice(&files::bytes(&out.join(OBJECT)).ok()?).ok()
}

/// What `--time-limit` gives.
fn time_limit(seconds: f64) -> Result<Duration> {
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() && Instant::now().checked_add(limit).is_some() => Ok(limit),
        _ => bail!("--time-limit {seconds}: give a number of seconds above 0"),
    }
}
