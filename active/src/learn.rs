//! Learning of detectors from corrected images.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use infomark_core::Point;
use infomark_infer::{
    Encoder, Ensemble, Landmark, LandmarkNet, Matcher, Member, ReadLimits, Template, ordered,
    read_image_with, read_model, sha256, write_file,
};
use infomark_train::{AnnotatedSet, Budget, LandmarkConfig, Progress, train_landmarks_on};
use serde::{Deserialize, Serialize};

use crate::folds::{Folds, part, template_images};
use crate::pretrained::Pretrained;
use crate::{ActiveError, HeldOut, HeldOutImage};

/// Minimum number of annotated images for training networks.
pub const MIN_IMAGES: usize = 5;

/// Options of [`learn`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LearnOptions {
    /// Number of folds of the cross-validation, 2 to 16: one network is trained per fold, without its images.
    pub folds: usize,
    /// Training steps of each network; `None` for [`steps_for`](Self::steps_for).
    pub steps: Option<u64>,
    /// Batch size: images per step.
    pub batch: usize,
    /// Maximum number of templates, at least 1: the first of the annotated images.
    pub templates: usize,
    /// Coverage of the error bounds, between 0 and 1.
    pub coverage: f64,
    /// Seed of the networks.
    pub seed: u64,
    /// Uses the landmark networks that come with the encoder, bundled or in the same `.infomark` file, instead of training networks; the
    /// set needs their landmarks. Members and bounds are still chosen by the annotated images, and the model's own templates are matched,
    /// too. Errors are held out, and bounds valid, only if networks and templates were not made from the annotated images.
    pub pretrained_network: bool,
    /// Number of threads; 0 for all cores. The result does not depend on it.
    #[serde(skip)]
    pub threads: usize,
}

impl Default for LearnOptions {
    fn default() -> Self {
        Self {
            folds: 4,
            steps: None,
            batch: 2,
            templates: 8,
            coverage: 0.9,
            seed: 0,
            pretrained_network: false,
            threads: 0,
        }
    }
}

impl LearnOptions {
    /// Training steps for a number of annotated images: ten per image, at least 200 and at most 600.
    pub fn steps_for(images: usize) -> u64 {
        (10 * images as u64).clamp(200, 600)
    }

    pub(crate) fn check(&self) -> Result<(), ActiveError> {
        let wrong = |option, needs| Err(ActiveError::Option { option, needs });
        if !(2..=16).contains(&self.folds) {
            return wrong("folds", "2 to 16");
        }
        if self.steps == Some(0) {
            return wrong("steps", "at least 1");
        }
        if self.templates == 0 {
            return wrong("templates", "at least 1");
        }
        if !(self.coverage > 0.0 && self.coverage < 1.0) {
            return wrong("coverage", "between 0 and 1");
        }
        Ok(())
    }
}

/// Progress of [`learn`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LearnProgress {
    /// A network's training is about to start or resume.
    Preparing {
        /// Index of the network.
        network: usize,
        /// Number of networks.
        networks: usize,
    },
    /// A step of a network's training is done.
    Training {
        /// Index of the network.
        network: usize,
        /// Number of networks.
        networks: usize,
        /// Fraction of this network's training, 0 to 1.
        fraction: f64,
    },
    /// Held-out images are being scored.
    Scoring {
        /// Images done.
        done: usize,
        /// Total number of images.
        total: usize,
    },
}

impl LearnProgress {
    /// Approximate fraction of all work, 0 to 1.
    pub fn fraction(self) -> f64 {
        const SCORING: f64 = 0.1;
        let training = |done: f64, networks: usize| (1.0 - SCORING) * done / networks.max(1) as f64;
        match self {
            LearnProgress::Preparing { network, networks } => training(network as f64, networks),
            LearnProgress::Training { network, networks, fraction } => {
                training(network as f64 + fraction, networks)
            }
            LearnProgress::Scoring { done, total } => {
                1.0 - SCORING * (1.0 - done as f64 / total.max(1) as f64)
            }
        }
    }
}

/// Result of [`learn`].
#[derive(Clone, Debug)]
pub struct Learned {
    /// Detector for new images.
    pub ensemble: Ensemble,
    /// Errors on the corrected images, each held out.
    pub held_out: HeldOut,
    /// Landmarks annotated in too few images to be learnt.
    pub left_out: Vec<String>,
    /// The file of the ensemble, for `infomark match --model` and [`Ensemble::load`].
    pub file: PathBuf,
}

impl Learned {
    /// Mean radial error on held-out images in pixels, with the current members.
    pub fn held_out_error_px(&self) -> Option<f64> {
        let members = self.ensemble.members();
        self.held_out
            .mean_radial_error_px(|landmark| members.get(landmark).copied().unwrap_or(Member::Fusion))
    }
}

/// Name of the ensemble's file in the folder of a [`learn`].
const ENSEMBLE: &str = "model.infomark";
/// Name of the file of held-out errors.
const HELD_OUT: &str = "held-out.json";

/// Content of `held-out.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    held_out: HeldOut,
    left_out: Vec<String>,
}

/// Trains landmark networks on annotated images, initialised by an encoder, one per fold of a cross-validation, or uses a
/// [pretrained](LearnOptions::pretrained_network) one, and makes an ensemble of networks and templates, whose members and error bounds are
/// chosen by the held-out errors.
///
/// `encoder` is an encoder's file, a file of a whole model (`.infomark`), or the name of a bundled model. `work` stores the networks: the
/// same call again, after a kill, resumes the current training, and a call for a complete result only reads it. Results for other images,
/// landmarks or options are removed from it. `progress` is called by one thread at a time; a break stops after the current step.
///
/// # Errors
/// [`ActiveError::TooFew`] below [`MIN_IMAGES`], [`ActiveError::NoLandmarks`], [`ActiveError::Option`], [`ActiveError::Stopped`], and when an
/// image, the encoder or `work` cannot be used.
pub fn learn(
    encoder: &Path,
    set: &AnnotatedSet,
    options: &LearnOptions,
    work: &Path,
    progress: &mut (dyn FnMut(LearnProgress) -> ControlFlow<()> + Send),
) -> Result<Learned, ActiveError> {
    options.check()?;
    let annotated = set.images.iter().filter(|(_, points)| points.iter().any(Option::is_some)).count();
    if annotated < MIN_IMAGES {
        return Err(ActiveError::TooFew { found: annotated, needed: MIN_IMAGES });
    }
    let pretrained = options.pretrained_network.then(|| Pretrained::of(encoder, set)).transpose()?;
    let ordered = pretrained.as_ref().map(|pretrained| pretrained.in_order(set));
    let set = ordered.as_ref().unwrap_or(set);
    let folds = Folds::new(set, options.folds);
    // A pretrained network also finds landmarks without annotation.
    let learnable = if pretrained.is_some() { all(set.landmarks.len()) } else { folds.learnable() };
    if learnable.is_empty() {
        return Err(ActiveError::NoLandmarks);
    }
    let bytes = infomark_models::read_encoder(encoder)?;
    let dir = work.join(key(&bytes, pretrained.as_ref(), set, options)?);
    let file = dir.join(ENSEMBLE);
    if let Some(learned) = complete(&dir, &file) {
        return Ok(learned);
    }
    fs::create_dir_all(&dir).map_err(ActiveError::file(&dir))?;
    remove_others(work, &dir);
    let everything: Vec<usize> = (0..set.images.len()).collect();
    let whole = part(set, &everything, &learnable);
    let net = |fold: usize, progress: &mut (dyn FnMut(LearnProgress) -> ControlFlow<()> + Send)| {
        let file = dir.join(format!("network-{}.onnx", fold + 1));
        let net = |bytes: &[u8]| LandmarkNet::from_bytes(bytes, file.display().to_string());
        // An unreadable one is trained again.
        if let Some(kept) = read_model(&file).ok().and_then(|bytes| Some((net(&bytes).ok()?, bytes))) {
            return Ok(kept);
        }
        let training = part(set, &folds.training(fold), &learnable);
        let run = dir.join(format!("network-{}.run", fold + 1));
        let bytes = train(&training, encoder, (fold, folds.count()), options, &run, progress)?;
        write_file(&file, &bytes).map_err(ActiveError::file(&file))?;
        Ok::<_, ActiveError>((net(&bytes)?, bytes))
    };
    let mut nets = Vec::new();
    match &pretrained {
        Some(pretrained) => {
            nets.extend(pretrained.nets.iter().map(|(net, bytes)| (net.clone(), bytes.to_vec())));
        }
        None => {
            for fold in 0..folds.count() {
                nets.push(net(fold, progress)?);
            }
        }
    }
    let loaded = Arc::new(Encoder::from_bytes(&bytes, encoder.display().to_string())?);
    let templates = templates_of(&loaded, &whole)?;
    let is_pretrained = pretrained.is_some();
    let own = pretrained.map_or_else(Vec::new, |pretrained| pretrained.templates);
    let matcher_of = |images: &[usize]| {
        let most = options.templates.saturating_sub(own.len()).max(1);
        let chosen = template_images(&part(&whole, images, &all(whole.landmarks.len())), most);
        let chosen = chosen.iter().filter_map(|&place| templates.get(*images.get(place)?).cloned().flatten());
        Ok::<_, ActiveError>(Matcher::new(Arc::clone(&loaded), own.iter().cloned().chain(chosen))?)
    };
    let mut detectors = Vec::new();
    for fold in 0..folds.count() {
        let of_fold = nets.iter().enumerate().filter(|(index, _)| is_pretrained || *index == fold);
        let of_fold = of_fold.map(|(_, (net, _))| net.clone());
        detectors.push(Ensemble::new(matcher_of(&folds.training(fold))?, of_fold)?);
    }
    let held_out = score(&whole, &folds, detectors, options.threads, progress)?;
    let members = held_out.best_members();
    let bounds = held_out.bounds(&members, options.coverage);
    let (nets, files): (Vec<_>, Vec<_>) = nets.into_iter().unzip();
    let ensemble = Ensemble::new(matcher_of(&everything)?, nets)?.with_members(members)?;
    let ensemble = match bounds {
        Some(bounds) => ensemble.with_bounds(bounds)?,
        None => ensemble,
    };
    let left_out = (0..set.landmarks.len()).filter(|landmark| !learnable.contains(landmark));
    let left_out: Vec<String> =
        left_out.filter_map(|landmark| set.landmarks.get(landmark).cloned()).collect();
    let kept = Kept { held_out, left_out };
    let path = dir.join(HELD_OUT);
    let text = serde_json::to_vec(&kept).map_err(|error| ActiveError::file(&path)(error.into()))?;
    write_file(&path, &text).map_err(ActiveError::file(&path))?;
    // Written last: it marks a complete result.
    ensemble.save(&file, &bytes, &files)?;
    Ok(Learned { ensemble, held_out: kept.held_out, left_out: kept.left_out, file })
}

/// The numbers below `count`.
fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

/// Version of the rules for members and bounds: results of other versions are learnt again.
const RULES: u32 = 4;

/// Folder name of a result: a hash of everything it depends on.
fn key(
    encoder: &[u8],
    pretrained: Option<&Pretrained>,
    set: &AnnotatedSet,
    options: &LearnOptions,
) -> Result<String, ActiveError> {
    let images = set.images.iter().map(|(path, points)| {
        let hash = infomark_infer::sha256_file(path).map_err(ActiveError::file(path))?;
        let points: Vec<Option<[u64; 2]>> =
            points.iter().map(|at| at.map(|Point { x, y }| [x.to_bits(), y.to_bits()])).collect();
        Ok::<_, ActiveError>((hash, points))
    });
    let images = images.collect::<Result<Vec<_>, _>>()?;
    let accepted: Vec<Vec<bool>> = (0..set.images.len()).map(|image| accepted(set, image)).collect();
    let images = (images, accepted);
    let network = pretrained
        .map(|pretrained| pretrained.nets.iter().map(|(net, _)| net.sha256().to_owned()).collect::<Vec<_>>());
    let of = (env!("CARGO_PKG_VERSION"), RULES, sha256(encoder), network, &set.landmarks, images, options);
    let text =
        serde_json::to_vec(&of).map_err(|error| ActiveError::file(Path::new(HELD_OUT))(error.into()))?;
    Ok(sha256(&text).chars().take(16).collect())
}

/// Whether each point of an image was accepted as proposed.
fn accepted(set: &AnnotatedSet, image: usize) -> Vec<bool> {
    let Some((path, _)) = set.images.get(image) else { return Vec::new() };
    set.landmarks.iter().map(|name| set.is_accepted(path, name)).collect()
}

/// The result of an earlier call, if complete.
fn complete(dir: &Path, file: &Path) -> Option<Learned> {
    let ensemble = file.is_file().then(|| Ensemble::load(file).ok()).flatten()?;
    let text = infomark_infer::read_file(dir.join(HELD_OUT), 256 << 20).ok()?;
    let Kept { held_out, left_out } = serde_json::from_slice(&text).ok()?;
    Some(Learned { ensemble, held_out, left_out, file: file.to_owned() })
}

/// Removes the folders of other results; failures are ignored.
fn remove_others(work: &Path, dir: &Path) {
    let is_key = |path: &Path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.len() == 16 && name.chars().all(|c| c.is_ascii_hexdigit())
    };
    for entry in fs::read_dir(work).into_iter().flatten().flatten() {
        let path = entry.path();
        if path != dir && is_key(&path) && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Trains a network on a set, initialised by the encoder; returns its bytes.
fn train(
    set: &AnnotatedSet,
    encoder: &Path,
    (network, networks): (usize, usize),
    options: &LearnOptions,
    run: &Path,
    progress: &mut (dyn FnMut(LearnProgress) -> ControlFlow<()> + Send),
) -> Result<Vec<u8>, ActiveError> {
    let steps = options.steps.unwrap_or_else(|| LearnOptions::steps_for(set.images.len()));
    let mut config = LandmarkConfig::default();
    config.schedule.budget = Budget::Steps(steps);
    config.schedule.checkpoint_every = 50;
    config.batch = options.batch;
    config.seed = options.seed.wrapping_add(network as u64);
    config.threads = options.threads;
    let (bytes, summary) = train_landmarks_on(&config, set, Some(encoder), run, &mut |told| match told {
        Progress::Step { fraction, .. } => progress(LearnProgress::Training { network, networks, fraction }),
        _ => progress(LearnProgress::Preparing { network, networks }),
    })?;
    if summary.stopped { Err(ActiveError::Stopped) } else { Ok(bytes) }
}

/// Templates of all images that have landmarks inside.
pub(crate) fn templates_of(
    encoder: &Encoder,
    set: &AnnotatedSet,
) -> Result<Vec<Option<Template>>, ActiveError> {
    let reduced = encoder.description().input.takes_reduced();
    let limits = ReadLimits { reduced, ..ReadLimits::default() };
    let one = |(path, points): &(PathBuf, Vec<Option<Point<f64>>>)| {
        if points.iter().all(Option::is_none) {
            return Ok(None);
        }
        let encoding = encoder.encode(&read_image_with(path, &limits)?)?;
        // Data sets may have points slightly outside the image, which have no feature.
        let has = |at: &Point<f64>| encoding.fit().contains(*at);
        let named = set.landmarks.iter().zip(points);
        let landmarks: Vec<Landmark> =
            named.filter_map(|(name, at)| Some(Landmark::new(name, (*at).filter(has)?))).collect();
        Ok(if landmarks.is_empty() { None } else { Some(Template::from_encoding(&encoding, &landmarks)?) })
    };
    set.images.iter().map(one).collect()
}

/// Finds the landmarks of each image by the detector of its fold.
fn score(
    set: &AnnotatedSet,
    folds: &Folds<'_>,
    detectors: Vec<Ensemble>,
    threads: usize,
    progress: &mut (dyn FnMut(LearnProgress) -> ControlFlow<()> + Send),
) -> Result<HeldOut, ActiveError> {
    type Job = (usize, PathBuf, Vec<Option<Point<f64>>>, Vec<bool>);
    let total = set.images.len();
    let each = set.images.iter().enumerate();
    let jobs: Vec<Job> = each
        .map(|(image, (path, points))| (folds.of(image), path.clone(), points.clone(), accepted(set, image)))
        .collect();
    let one = move |(fold, path, points, accepted): &Job| {
        let Some(detector) = detectors.get(*fold) else { return Err(ActiveError::NoLandmarks) };
        let limits = ReadLimits { reduced: detector.takes_reduced(), ..ReadLimits::default() };
        let image = read_image_with(path, &limits)?;
        let encoding = detector.matcher().encoder().encode(&image)?;
        let unit = encoding.px_per_input_px();
        let candidates = detector.candidates_encoded(&image, &encoding, None)?;
        let error = |(found, at): (&infomark_infer::Candidates, &Option<Point<f64>>)| {
            let truth = (*at)?;
            Some(Member::ALL.map(|member| {
                let at = found.at(member);
                (at.x - truth.x).hypot(at.y - truth.y) / unit
            }))
        };
        Ok(HeldOutImage {
            path: path.clone(),
            unit,
            errors: candidates.iter().zip(points).map(error).collect(),
            disagreements: candidates.iter().map(|candidates| candidates.disagreement).collect(),
            accepted: accepted.clone(),
        })
    };
    let stop = Arc::new(AtomicBool::new(false));
    let mut images = Vec::with_capacity(total);
    for image in ordered(jobs, threads, Arc::clone(&stop), one)? {
        images.push(image?);
        if progress(LearnProgress::Scoring { done: images.len(), total }).is_break() {
            stop.store(true, Ordering::Relaxed);
            return Err(ActiveError::Stopped);
        }
    }
    Ok(HeldOut { landmarks: set.landmarks.clone(), images })
}
