//! Simulated annotation with known landmarks: accuracy against the number of corrections.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use infomark_core::{Point, Rng, Spacing, radial_error_mm};
use infomark_eval::draw_in_order;
use infomark_infer::{DataSet, Detection, Encoder, Ensemble, Member, Sample, ordered, read_image};
use infomark_train::{AnnotatedSet, Ranking, TrainError};
use serde::{Deserialize, Serialize};

use crate::detector::by_templates;
use crate::{
    ActiveDetector, ActiveError, LearnOptions, LearnProgress, MIN_IMAGES, annotation_order, uncertainty,
};

/// Stream of random numbers of [`Strategy::Random`].
const STREAM: u64 = 5;

/// Choice of the image to annotate next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Strategy {
    /// The order of [`annotation_order`] throughout.
    #[default]
    Coverage,
    /// That order until networks are trained, then the image of largest [`uncertainty`].
    Uncertainty,
    /// Random order.
    Random,
}

/// Options of [`simulate`].
#[derive(Clone, Debug)]
pub struct SimulationOptions {
    /// File or name of the encoder.
    pub encoder: PathBuf,
    /// Images to annotate, with their known landmarks.
    pub pool: DataSet,
    /// Images for scoring, never annotated. Without them, the unannotated images of the pool are scored.
    pub dev: Option<DataSet>,
    /// Numbers of annotated images at which the program learns and is scored, ascending.
    pub rounds: Vec<usize>,
    /// Largest error in mm of a proposal that the annotator accepts unchanged.
    pub tolerance_mm: f64,
    /// Choice of the image to annotate next.
    pub strategy: Strategy,
    /// Options of learning.
    pub learn: LearnOptions,
    /// Folder of the networks, with a subfolder per round. The same simulation, restarted, does not repeat the training of finished rounds.
    pub work: PathBuf,
}

/// State after a number of annotated images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Round {
    /// Number of annotated images.
    pub images: usize,
    /// Number of points placed or moved by the annotator so far.
    pub corrections: usize,
    /// Number of points outside the tolerance in the unannotated images of the pool.
    pub remaining: usize,
    /// Mean radial error on the scored images in mm, by the member chosen for each landmark.
    pub mre_mm: f64,
    /// Median radial error in mm.
    pub median_mm: f64,
    /// Mean radial error in mm by templates, networks and fusion alone; by templates only where there is no network yet.
    pub members_mm: Vec<f64>,
    /// Fraction of the scored errors within the tolerance, 0 to 1.
    pub within_tolerance: f64,
    /// Mean radial error on held-out annotated images in mm, as reported to the annotator.
    pub held_out_mm: Option<f64>,
    /// Fraction of the scored errors within their bounds, 0 to 1, and the median bound in mm; `None` without bounds.
    pub bounds: Option<(f64, f64)>,
    /// Names of the images annotated since the previous round.
    pub annotated: Vec<String>,
}

/// Result of [`simulate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Simulation {
    /// The rounds.
    pub rounds: Vec<Round>,
    /// Total number of points of the pool: the cost of annotating everything.
    pub points: usize,
}

/// Detections in one image, in the order of its data set's landmarks; `None` for a landmark that could not be learnt.
struct Seen {
    at: Vec<Option<Point<f64>>>,
    /// Detections of each member.
    members: Vec<Vec<Option<Point<f64>>>>,
    bounds_px: Vec<Option<f64>>,
    uncertainty: f64,
}

/// Annotates images of a pool round by round, like a person who moves only points outside a tolerance, and scores the detector
/// learnt from them on other images.
///
/// `progress` receives the round and its progress; a break stops the simulation.
///
/// # Errors
/// [`ActiveError`].
pub fn simulate(
    protocol: &SimulationOptions,
    progress: &mut (dyn FnMut(usize, Option<LearnProgress>) -> ControlFlow<()> + Send),
) -> Result<Simulation, ActiveError> {
    let SimulationOptions { pool, dev, rounds, tolerance_mm, strategy, .. } = protocol;
    let ascending = rounds.windows(2).all(|pair| pair[0] < pair[1]);
    // At least one image is left for scoring.
    let most = pool.images.len().saturating_sub(usize::from(dev.is_none()));
    let in_pool =
        rounds.first().is_some_and(|first| *first >= 1) && rounds.last().is_some_and(|last| *last <= most);
    if !ascending || !in_pool {
        return Err(ActiveError::Option {
            option: "rounds",
            needs: "ascending numbers of images of the pool, fewer than all of them where no others are scored",
        });
    }
    if let Some(dev) = dev {
        infomark_eval::check_names(dev, pool)?;
    }
    let encoder = Arc::new(infomark_models::load_encoder(&protocol.encoder)?);
    let mut order = first_order(protocol, &encoder)?;
    let mut set =
        AnnotatedSet { landmarks: pool.landmarks.clone(), images: Vec::new(), accepted: BTreeSet::new() };
    let mut annotated: Vec<usize> = Vec::new();
    let mut detector: Option<ActiveDetector> = None;
    let mut result = Simulation { rounds: Vec::new(), points: pool.images.len() * pool.landmarks.len() };
    let mut corrections = 0;
    for (round, &goal) in rounds.iter().enumerate() {
        let before = annotated.len();
        while annotated.len() < goal {
            let Some(image) = order.iter().copied().find(|image| !annotated.contains(image)) else { break };
            let Some(sample) = pool.images.get(image) else { break };
            let proposed = match &detector {
                Some(detector) => Some(see(detector, sample, &pool.landmarks)?.at),
                None => None,
            };
            let (points, accepted) = corrected(sample, proposed, pool, *tolerance_mm);
            corrections += points.iter().flatten().count() - accepted.len();
            let names = accepted.iter().filter_map(|landmark| pool.landmarks.get(*landmark));
            set.accepted.extend(names.map(|name| (sample.path.clone(), name.clone())));
            set.images.push((sample.path.clone(), points));
            annotated.push(image);
            if annotated.len() < MIN_IMAGES {
                let judge = by_templates(&encoder, &set, protocol.learn.templates)?;
                detector = Some(ActiveDetector::Templates(Box::new(judge)));
            }
        }
        let tell = &mut |told| progress(round, Some(told));
        // A folder per round: a restarted simulation finds all earlier rounds.
        let work = protocol.work.join(goal.to_string());
        let current = crate::detector(&protocol.encoder, &set, &protocol.learn, &work, tell)?;
        let rest: Vec<usize> =
            all(pool.images.len()).into_iter().filter(|image| !annotated.contains(image)).collect();
        let others = see_all(&current, pool, &rest, protocol)?;
        let mut made = match dev {
            Some(dev) => {
                let scored = see_all(&current, dev, &all(dev.images.len()), protocol)?;
                let pairs: Vec<(&Seen, &Sample)> = scored.iter().zip(&dev.images).collect();
                figures(&pairs, dev.spacing, *tolerance_mm)
            }
            None => {
                let samples = rest.iter().filter_map(|image| pool.images.get(*image));
                let pairs: Vec<(&Seen, &Sample)> = others.iter().zip(samples).collect();
                figures(&pairs, pool.spacing, *tolerance_mm)
            }
        };
        made.remaining = rest
            .iter()
            .zip(&others)
            .map(|(&image, seen)| corrected_count(&pool.images[image], &seen.at, pool, *tolerance_mm))
            .sum();
        if let Some(learned) = current.learned() {
            made.held_out_mm = learned.held_out_error_px().map(|px| px * mean_mm(pool.spacing));
        }
        let names = annotated.iter().skip(before).filter_map(|image| pool.images.get(*image));
        made.annotated = names.map(|sample| sample.name.clone()).collect();
        (made.images, made.corrections) = (annotated.len(), corrections);
        if *strategy == Strategy::Uncertainty && current.learned().is_some() {
            let mut unsure: Vec<(f64, usize)> =
                rest.iter().zip(&others).map(|(&image, seen)| (seen.uncertainty, image)).collect();
            unsure.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
            order = unsure.into_iter().map(|(_, image)| image).collect();
        }
        result.rounds.push(made);
        detector = Some(current);
        if progress(round, None).is_break() {
            return Err(ActiveError::Stopped);
        }
    }
    Ok(result)
}

fn all(count: usize) -> Vec<usize> {
    (0..count).collect()
}

fn mean_mm(spacing: Spacing) -> f64 {
    (spacing.x * spacing.y).sqrt()
}

/// The order before anything is learnt.
fn first_order(protocol: &SimulationOptions, encoder: &Encoder) -> Result<Vec<usize>, ActiveError> {
    let count = protocol.pool.images.len();
    if protocol.strategy == Strategy::Random {
        return Ok(draw_in_order(count, count, Rng::new(protocol.learn.seed, STREAM)));
    }
    let paths: Vec<PathBuf> = protocol.pool.images.iter().map(|sample| sample.path.clone()).collect();
    let ranking = Ranking::of(encoder, &paths, infomark_train::AGAINST, protocol.learn.seed, &|| {
        Ok::<(), TrainError>(())
    })?;
    Ok(annotation_order(&ranking))
}

/// The landmarks of an image after correction, and the indices of those accepted as proposed.
fn corrected(
    sample: &Sample,
    proposed: Option<Vec<Option<Point<f64>>>>,
    data: &DataSet,
    tolerance_mm: f64,
) -> (Vec<Option<Point<f64>>>, Vec<usize>) {
    let mut accepted = Vec::new();
    let place = |(landmark, truth): (usize, &Option<Point<f64>>)| {
        let truth = (*truth)?;
        let proposed = proposed.as_ref().and_then(|points| points.get(landmark).copied().flatten());
        let kept = proposed.filter(|at| radial_error_mm(*at, truth, data.spacing) <= tolerance_mm);
        accepted.extend(kept.map(|_| landmark));
        Some(kept.unwrap_or(truth))
    };
    let points = sample.landmarks.iter().enumerate().map(place).collect();
    (points, accepted)
}

fn corrected_count(sample: &Sample, at: &[Option<Point<f64>>], data: &DataSet, tolerance_mm: f64) -> usize {
    let (points, accepted) = corrected(sample, Some(at.to_vec()), data, tolerance_mm);
    points.iter().flatten().count() - accepted.len()
}

fn see_all(
    detector: &ActiveDetector,
    data: &DataSet,
    images: &[usize],
    protocol: &SimulationOptions,
) -> Result<Vec<Seen>, ActiveError> {
    let samples: Vec<Sample> = images.iter().filter_map(|image| data.images.get(*image).cloned()).collect();
    // Threads may outlive this call, so they own their data.
    let shared = detector.clone();
    let names = data.landmarks.clone();
    let one = move |sample: &Sample| see(&shared, sample, &names);
    ordered(samples, protocol.learn.threads, Arc::new(AtomicBool::new(false)), one)?.collect()
}

fn see(detector: &ActiveDetector, sample: &Sample, names: &[String]) -> Result<Seen, ActiveError> {
    let image = read_image(&sample.path)?;
    match detector {
        ActiveDetector::Templates(judge) => {
            let found = judge.matcher().find(&image)?;
            let at = |name: &String| found.iter().find(|found| found.name == *name).map(|found| found.at);
            let at: Vec<Option<Point<f64>>> = names.iter().map(at).collect();
            let bounds_px = vec![None; names.len()];
            Ok(Seen { members: vec![at.clone()], at, bounds_px, uncertainty: 0.0 })
        }
        ActiveDetector::Learned(learned) => {
            let ensemble: &Ensemble = &learned.ensemble;
            let candidates = ensemble.candidates(&image, None)?;
            let detection = ensemble.detect(&image, None)?;
            let places: Vec<Option<usize>> =
                names.iter().map(|name| ensemble.landmarks().iter().position(|own| own == name)).collect();
            let by = |member: Member| {
                places.iter().map(|place| Some(candidates.get((*place)?)?.at(member))).collect::<Vec<_>>()
            };
            let found = |place: &Option<usize>| detection.landmarks.get((*place)?);
            Ok(Seen {
                at: places.iter().map(|place| Some(found(place)?.at)).collect(),
                members: Member::ALL.map(by).to_vec(),
                bounds_px: places.iter().map(|place| found(place)?.error_bound_px).collect(),
                uncertainty: uncertainty(&Detection::Ensemble(detection.clone())),
            })
        }
    }
}

/// Metrics of the scored images; the caller fills in the rest of the round.
fn figures(scored: &[(&Seen, &Sample)], spacing: Spacing, tolerance_mm: f64) -> Round {
    let errors = |points: &dyn Fn(&Seen) -> Vec<Option<Point<f64>>>| -> Vec<f64> {
        let each = scored.iter().flat_map(|(seen, sample)| {
            let pairs = points(seen).into_iter().zip(&sample.landmarks);
            pairs.filter_map(|(at, truth)| Some(radial_error_mm(at?, (*truth)?, spacing))).collect::<Vec<_>>()
        });
        each.collect()
    };
    let mean = |errors: &[f64]| infomark_core::mean(errors).unwrap_or(f64::NAN);
    let chosen = errors(&|seen| seen.at.clone());
    let members = scored.first().map_or(0, |(seen, _)| seen.members.len());
    let of_member =
        |member: usize| mean(&errors(&|seen| seen.members.get(member).cloned().unwrap_or_default()));
    let members_mm = (0..members).map(of_member);
    let bounded = scored.iter().flat_map(|(seen, sample)| {
        let each = seen.at.iter().zip(&seen.bounds_px).zip(&sample.landmarks);
        each.filter_map(|((at, bound), truth)| ((*at).zip(*truth)).and(*bound)).collect::<Vec<_>>()
    });
    let bounds: Vec<f64> = bounded.map(|px| px * mean_mm(spacing)).collect();
    let within = chosen.iter().zip(&bounds).filter(|(error, bound)| error <= bound).count();
    let has_bounds = !bounds.is_empty() && bounds.len() == chosen.len();
    Round {
        images: 0,
        corrections: 0,
        remaining: 0,
        mre_mm: mean(&chosen),
        members_mm: members_mm.collect(),
        within_tolerance: chosen.iter().filter(|error| **error <= tolerance_mm).count() as f64
            / chosen.len().max(1) as f64,
        held_out_mm: None,
        bounds: has_bounds.then(|| (within as f64 / chosen.len() as f64, infomark_eval::median(bounds))),
        median_mm: infomark_eval::median(chosen),
        annotated: Vec::new(),
    }
}
