//! `infomark loop`: one round of active learning.

mod accepted;
mod rounds;

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result, bail};
use infomark_active::{
    ActiveDetector, LearnOptions, LearnProgress, Learned, MIN_IMAGES, annotation_order, detector, uncertainty,
};
use infomark_core::Point;
use infomark_infer::{
    CollectedLandmarks, Detection, FolderLock, InputImage, LandmarkRow, Member, ReadLimits, ordered, rounded,
};
use infomark_train::{AGAINST, AnnotatedSet, Budget, ComputeOn, Paths, TrainConfig};
use serde::Serialize;

use crate::inputs;
use crate::interrupt;
use crate::landmark_files::{Read, Source};
use crate::output::{self, Report, one_line, shown};
use crate::progress::Progress;
use crate::spacing;
use crate::{select, train};
use accepted::Proposals;
use rounds::Round;

/// Learn from the images corrected so far, propose landmarks for the others, and choose which to correct next.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Example: correct an image or a few, run it again, until the set is good enough
  infomark loop radiographs/ --landmarks corrected.csv --out set
  infomark loop cephalograms/ --landmarks corrected.csv --model ceph --out set

Without --model an encoder is trained on IMAGES first (DIR/encoder.onnx, once). With one to four corrected images these are templates; from five
on, landmark networks are trained on them as well, by cross-validation, and the held-out errors choose for each landmark what places it: templates,
network, or both; with --pretrained-network the network that comes with --model takes part instead. Its error bounds hold only
for images that this network was not trained on. DIR gets landmarks.csv (the corrected points, and proposals for all other images), next.csv (which image to correct
next, first the most useful), rounds.csv and rounds.png (held-out error over corrected images: is it enough?), and model.infomark,
which `infomark match --model` takes on another machine. Stopped or killed, the same command goes on.

`infomark review` is the same with a page; its landmarks are saved by Save as."
)]
pub(crate) struct Options {
    /// Images, or folders of them
    #[arg(required = true, value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// Landmarks of the images corrected so far, in any format; several files are merged
    #[arg(long, value_name = "FILE", required = true)]
    landmarks: Vec<PathBuf>,
    /// Folder for the results and the learnt models
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Encoder, a file of `infomark train`, that of a learned model (.infomark), or the bundled `ceph`, `chest` or `hand` [default: one
    /// trained on IMAGES]
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Steps of the encoder's training, if it is trained
    #[arg(long, value_name = "N", default_value_t = 400, conflicts_with = "model")]
    encoder_steps: u64,
    /// Steps of each landmark network [default: 200 to 600, by the number of corrected images]
    #[arg(long, value_name = "N")]
    network_steps: Option<u64>,
    /// Folds of the cross-validation, with one network each
    #[arg(long, value_name = "N", default_value_t = LearnOptions::default().folds)]
    folds: usize,
    /// Use the landmark networks of --model (bundled or .infomark) instead of training some; the landmarks have to be its own
    #[arg(long, requires = "model", conflicts_with = "network_steps")]
    pretrained_network: bool,
    /// Random seed
    #[arg(long, value_name = "S", default_value_t = 0)]
    seed: u64,
    /// Millimetres per pixel across and down, for all images, overriding their files
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    spacing: Option<Vec<f64>>,
}

/// Content of `loop.json`.
#[derive(Serialize)]
struct Outcome {
    version: &'static str,
    encoder: String,
    encoder_sha256: String,
    corrected: usize,
    proposed: usize,
    /// Images that could not be searched.
    failed: Vec<Failed>,
    /// `None` below five corrected images.
    learnt: Option<Learnt>,
    /// Image to correct next; `None` if all are corrected.
    next: Option<String>,
    rounds: Vec<Round>,
}

#[derive(Serialize)]
struct Failed {
    image: String,
    error: String,
}

/// Result of learning.
#[derive(Serialize)]
struct Learnt {
    model: String,
    sha256: String,
    landmarks: Vec<LearntLandmark>,
    /// Landmarks annotated in too few images.
    left_out: Vec<String>,
    /// Coverage of the error bounds; `None` with too few corrected images for any.
    coverage: Option<f64>,
}

#[derive(Serialize)]
struct LearntLandmark {
    landmark: String,
    /// The member used.
    member: Member,
    /// Mean held-out error in pixels.
    held_out_px: Option<f64>,
}

const TABLE: &str = "landmarks.csv";
const NEXT: &str = "next.csv";
const OBJECT: &str = "loop.json";
const MODEL: &str = "model.infomark";
const ENCODER: &str = "encoder.onnx";
/// Memory per pixel of an image that is read and searched, in bytes.
const BYTES_A_PIXEL: u64 = 10;

/// An image that was searched.
struct Proposed {
    rows: Vec<LandmarkRow>,
    members: Vec<(Option<Member>, Option<f64>)>,
    uncertainty: f64,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    output::make_folder(&options.out)?;
    let _lock = FolderLock::acquire(&options.out)?;
    let inputs = inputs::expand(&options.images)?;
    let source = Source::of(options.images.clone(), options.spacing.clone());
    let Read { all, given, .. } = source.read(&options.landmarks, &[], None)?;
    keep_inputs(options)?;
    let proposed_before = Proposals::of(&options.out.join(TABLE))?;
    let set = annotated(&inputs, &all, &proposed_before)?;
    let stop = interrupt::flag();
    let encoder = match &options.model {
        Some(model) => model.clone(),
        None => encoder(options, threads, &stop, report)?,
    };
    let learn = LearnOptions {
        folds: options.folds,
        steps: options.network_steps,
        seed: options.seed,
        pretrained_network: options.pretrained_network,
        threads,
        ..LearnOptions::default()
    };
    let bar = Progress::of_share("learning");
    let found = detector(&encoder, &set, &learn, &options.out.join("learned"), &mut |told: LearnProgress| {
        bar.share(told.fraction(), String::new());
        if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish();
    let found = match found {
        Err(infomark_active::ActiveError::Stopped) => return Err(stopped()),
        found => found?,
    };
    let corrected: Vec<&InputImage> =
        inputs.iter().filter(|input| all.images.contains_key(&input.label)).collect();
    let others: Vec<InputImage> =
        inputs.iter().filter(|input| !all.images.contains_key(&input.label)).cloned().collect();
    let proposals = propose(&found, &others, given, threads, &stop)?;
    let order = order(&found, &encoder, &inputs, (&others, &proposals), threads)?;
    let history = rounds::record(&options.out, &found, corrected.len())?;
    write_table(&options.out.join(TABLE), (&all, &proposed_before), &others, &proposals)?;
    let next = order.iter().map(|(input, unsure)| {
        let known = unsure.filter(|unsure| unsure.is_finite());
        let number = known.map(|unsure| rounded(unsure, 2).to_string()).unwrap_or_default();
        let recognised = unsure.map(|unsure| unsure.is_finite().to_string()).unwrap_or_default();
        [input.label.clone(), number, recognised]
    });
    output::write_csv(&options.out.join(NEXT), ["image", "uncertainty_px", "recognised"], next)?;
    let learnt = found.learned().map(|learned| learnt(learned, &options.out)).transpose()?;
    let failed = others.iter().zip(&proposals).filter_map(|(input, proposal)| {
        let error = proposal.as_ref().err()?;
        Some(Failed { image: input.label.clone(), error: error.clone() })
    });
    let outcome = Outcome {
        version: env!("CARGO_PKG_VERSION"),
        encoder: shown(&encoder),
        encoder_sha256: sha256_of(&found),
        corrected: corrected.len(),
        proposed: proposals.iter().filter(|proposal| proposal.is_ok()).count(),
        failed: failed.collect(),
        learnt,
        next: order.first().map(|(input, _)| input.label.clone()),
        rounds: history,
    };
    output::write_json(&options.out.join(OBJECT), &outcome)?;
    tell(&outcome, options, report)
}

fn stopped() -> anyhow::Error {
    anyhow::anyhow!("stopped; the same command goes on")
}

/// Rejects landmark files that the results would overwrite.
fn keep_inputs(options: &Options) -> Result<()> {
    for name in [TABLE, NEXT, OBJECT, MODEL] {
        output::keep(options.landmarks.iter().chain(&options.model), &options.out.join(name))?;
    }
    Ok(())
}

/// The corrected images with their points, in the order of the images.
fn annotated(inputs: &[InputImage], all: &CollectedLandmarks, before: &Proposals) -> Result<AnnotatedSet> {
    let image = |input: &InputImage| {
        let marks = all.images.get(&input.label)?;
        let by_name: HashMap<&str, Point<f64>> =
            marks.landmarks.iter().map(|landmark| (landmark.name.as_str(), landmark.at)).collect();
        let points = all.names.iter().map(|name| by_name.get(name.as_str()).copied());
        Some((input.path.clone(), points.collect()))
    };
    let images: Vec<_> = inputs.iter().filter_map(image).collect();
    if images.is_empty() {
        bail!("--landmarks: no image among IMAGES has a landmark in these files; annotate one first");
    }
    let accepted = inputs.iter().flat_map(|input| {
        let marks = all.images.get(&input.label).into_iter().flat_map(|marks| &marks.landmarks);
        let accepted = marks.filter(|landmark| before.has(&input.label, &landmark.name, landmark.at));
        accepted.map(|landmark| (input.path.clone(), landmark.name.clone()))
    });
    Ok(AnnotatedSet { landmarks: all.names.clone(), accepted: accepted.collect(), images })
}

/// The encoder of the output folder; trained on the images if it does not exist.
fn encoder(options: &Options, threads: usize, stop: &Arc<AtomicBool>, report: &Report) -> Result<PathBuf> {
    let file = options.out.join(ENCODER);
    if file.is_file() {
        return Ok(file);
    }
    let [images] = &options.images[..] else {
        bail!("an encoder is trained on one folder of images; give one, or an encoder as --model");
    };
    let partial = options.out.join("encoder.partial.onnx");
    let paths = Paths {
        images: images.clone(),
        out: partial.clone(),
        run: options.out.join("encoder.run"),
        score: None,
    };
    report.text(&format!("training an encoder on {} (once)", shown(images)))?;
    let mut config = TrainConfig::default();
    config.schedule.budget = Budget::Steps(options.encoder_steps);
    config.seed = options.seed;
    config.threads = threads;
    let resumed = paths.run.join("checkpoint.json").is_file();
    let summary = train::with_progress(&paths.run, |told| {
        let mut told = |event| {
            let flow = told(event);
            if stop.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { flow }
        };
        match resumed {
            true => infomark_train::resume(&paths, threads, ComputeOn::default(), &mut told),
            false => infomark_train::train(&config, &paths, &mut told),
        }
    })?;
    if summary.stopped {
        return Err(stopped());
    }
    std::fs::rename(&partial, &file).with_context(|| format!("{}: can't be written", shown(&file)))?;
    Ok(file)
}

/// Landmarks of images, in order; the error of an image as text.
fn propose(
    found: &ActiveDetector,
    inputs: &[InputImage],
    given: Option<infomark_infer::PixelSpacing>,
    threads: usize,
    stop: &Arc<AtomicBool>,
) -> Result<Vec<Result<Proposed, String>>> {
    let bar = Progress::new(inputs.len() as u64, "proposing");
    let detector = found.detector();
    let one = move |input: &InputImage| -> Result<Proposed> {
        let limits = ReadLimits { reduced: detector.takes_reduced(), ..ReadLimits::default() };
        let _share = spacing::memory_for(&input.path, &limits, BYTES_A_PIXEL, 0)?;
        let image = spacing::read(&input.path, given.as_ref(), &limits)?;
        let detection = detector.detect(&image, None)?;
        let members = match &detection {
            Detection::Ensemble(seen) => {
                let landmarks = seen.landmarks.iter();
                landmarks.map(|landmark| (Some(landmark.member), Some(landmark.disagreement_px))).collect()
            }
            other => other.rows(None).iter().map(|_| (None, None)).collect(),
        };
        Ok(Proposed { rows: detection.rows(image.spacing()), members, uncertainty: uncertainty(&detection) })
    };
    let mut all = Vec::with_capacity(inputs.len());
    for proposed in ordered(inputs.to_vec(), threads, Arc::clone(stop), one)? {
        all.push(proposed.map_err(|error| one_line(&error)));
        bar.advance();
    }
    bar.finish();
    if all.len() < inputs.len() { Err(stopped()) } else { Ok(all) }
}

/// The images that are not corrected and could be searched, most useful first, with their uncertainty.
fn order<'i>(
    found: &ActiveDetector,
    encoder: &Path,
    inputs: &[InputImage],
    (others, proposals): (&'i [InputImage], &[Result<Proposed, String>]),
    threads: usize,
) -> Result<Vec<(&'i InputImage, Option<f64>)>> {
    let searched = others
        .iter()
        .zip(proposals)
        .filter_map(|(input, proposal)| Some((input, proposal.as_ref().ok()?.uncertainty)));
    let mut searched: Vec<(&InputImage, f64)> = searched.collect();
    if found.learned().is_some() {
        searched.sort_by(|a, b| b.1.total_cmp(&a.1));
        return Ok(searched.into_iter().map(|(input, unsure)| (input, Some(unsure))).collect());
    }
    // Too few to learn from: those most representative of the others.
    if searched.len() < 2 {
        return Ok(searched.into_iter().map(|(input, _)| (input, None)).collect());
    }
    let encoder = infomark_models::load_encoder(encoder)?;
    let failed = others.iter().zip(proposals).filter(|(_, proposal)| proposal.is_err());
    let failed: HashSet<&Path> = failed.map(|(input, _)| input.path.as_path()).collect();
    let readable = inputs.iter().map(|input| &input.path).filter(|path| !failed.contains(path.as_path()));
    let paths: Vec<PathBuf> = readable.cloned().collect();
    let ranking = inputs::pool(threads)?.install(|| select::rank(&encoder, &paths, AGAINST, 0))?;
    let ranked = annotation_order(&ranking).into_iter().filter_map(|place| paths.get(place));
    let of = |path: &PathBuf| {
        searched.iter().find(|(other, _)| other.path == *path).map(|(other, _)| (*other, None))
    };
    Ok(ranked.filter_map(of).collect())
}

fn write_table(
    path: &Path,
    (all, before): (&CollectedLandmarks, &Proposals),
    others: &[InputImage],
    proposals: &[Result<Proposed, String>],
) -> Result<()> {
    let number = |value: f64| value.to_string();
    let mut rows = Vec::new();
    for (image, marks) in &all.images {
        for landmark in &marks.landmarks {
            let (x, y) = (number(landmark.at.x), number(landmark.at.y));
            let name = landmark.name.clone();
            let is_accepted = before.has(image, &name, landmark.at);
            rows.push([
                image.clone(),
                name,
                x,
                y,
                if is_accepted { accepted::ACCEPTED } else { accepted::CORRECTED }.into(),
                String::new(),
                String::new(),
                String::new(),
                String::new(),
            ]);
        }
    }
    for (input, proposal) in others.iter().zip(proposals) {
        let Ok(Proposed { rows: landmarks, members, .. }) = proposal else { continue };
        for (row, (member, disagreement)) in landmarks.iter().zip(members) {
            let trust = row.trust.as_ref();
            let bound = trust.and_then(|trust| trust.error_bound_px);
            rows.push([
                input.label.clone(),
                row.landmark.clone(),
                number(row.x),
                number(row.y),
                member.unwrap_or(Member::Templates).to_string(),
                number(row.score),
                bound.map(number).unwrap_or_default(),
                disagreement.map(|px| number(rounded(px, 2))).unwrap_or_default(),
                trust.is_some_and(|trust| trust.abstain).to_string(),
            ]);
        }
    }
    let head =
        ["image", "landmark", "x", "y", "source", "score", "error_bound_px", "disagreement_px", "abstain"];
    output::write_csv(path, head, rows)
}

fn learnt(learned: &Learned, out: &Path) -> Result<Learnt> {
    let model = out.join(MODEL);
    let bytes = crate::files::bytes(&learned.file)?;
    output::write(&model, &bytes)?;
    let landmarks = learned.ensemble.landmarks().iter().zip(learned.ensemble.members()).enumerate();
    Ok(Learnt {
        model: shown(&model),
        sha256: infomark_infer::sha256(&bytes),
        landmarks: landmarks
            .map(|(place, (name, &member))| LearntLandmark {
                landmark: name.clone(),
                member,
                held_out_px: learned.held_out.landmark_error_px(place, member).map(|px| rounded(px, 2)),
            })
            .collect(),
        left_out: learned.left_out.clone(),
        coverage: learned.ensemble.bounds().map(|bounds| bounds.coverage),
    })
}

fn sha256_of(found: &ActiveDetector) -> String {
    match found {
        ActiveDetector::Templates(judge) => judge.matcher().encoder().sha256().to_owned(),
        ActiveDetector::Learned(learned) => learned.ensemble.matcher().encoder().sha256().to_owned(),
    }
}

/// Prints the summary.
fn tell(outcome: &Outcome, options: &Options, report: &Report) -> Result<()> {
    let Outcome { corrected, proposed, learnt, rounds, next, failed, .. } = outcome;
    let mut text = format!("{corrected} corrected images, landmarks proposed for {proposed} others\n");
    match (learnt, rounds.last()) {
        (Some(learnt), Some(Round { held_out_px: Some(px), .. })) => {
            let before =
                rounds.iter().rev().nth(1).and_then(|round| Some((round.images, round.held_out_px?)));
            let before =
                before.map_or_else(String::new, |(images, px)| format!(" ({px:.1} with {images} images)"));
            text += &format!("held-out error {px:.1} pixels{before}\n");
            let by =
                |member: Member| learnt.landmarks.iter().filter(|landmark| landmark.member == member).count();
            text += &format!(
                "landmarks placed by templates {}, network {}, fusion {}\n",
                by(Member::Templates),
                by(Member::Network),
                by(Member::Fusion)
            );
            if !learnt.left_out.is_empty() {
                text +=
                    &format!("annotated in too few images to be learnt: {}\n", learnt.left_out.join(", "));
            }
        }
        _ => {
            text += &format!(
                "by templates alone; correct {} more to learn from them\n",
                MIN_IMAGES.saturating_sub(*corrected).max(1)
            );
        }
    }
    if let Some(next) = next {
        text += &format!("correct next: {next}\n");
    }
    let files = [TABLE, NEXT, rounds::TABLE].map(|name| shown(&options.out.join(name)));
    text += &files.join(", ");
    report.text(&text)?;
    for Failed { image, error } in failed {
        output::warn(format_args!("{image}: {error}"));
    }
    report.json(outcome)
}
