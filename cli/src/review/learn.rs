//! Learning from accepted images: a detector, its held-out errors, and its proposals for the open images.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::{Result, anyhow, bail};
use infomark_active::{ActiveError, HeldOut, LearnOptions, LearnProgress, Learned, MIN_IMAGES};
use infomark_core::Point;
use infomark_infer::{Ensemble, Member, PixelSpacing, rounded, sha256};
use infomark_train::AnnotatedSet;
use serde_json::json;

use super::engine::Engine;
use super::images::Known;
use super::refusal::Refusal;
use super::rounds::{HeldOutErrors, LearnedLandmark, Length, Round};
use super::search::{Lacking, match_all, open_images, propose, search};
use super::state::{By, Decision, Event, State};
use super::{App, lock};
use crate::files;
use crate::output;

/// Folder of the networks in that of the review.
const WORK: &str = "learned";
/// File of the latest model, for `infomark match --model`; in the review's folder and among exported files.
pub(super) const MODEL: &str = "model.infomark";
/// Resolution of the learning progress.
const PARTS: f64 = 1000.0;

/// The accepted images with their points, in order of acceptance, so that later ones do not change the order.
pub(super) fn annotated(state: &State, known: &[Known]) -> AnnotatedSet {
    let accepted = known.iter().filter(|known| !known.is_gone() && known.error.is_none());
    let accepted = accepted.filter_map(|known| {
        let record = state.images.get(&known.name)?;
        let is_usable = record.decision == Decision::Accepted
            && !record.is_of_another(known.sha256.as_deref())
            && record.places().next().is_some();
        is_usable.then_some((record, known))
    });
    let mut accepted: Vec<_> = accepted.collect();
    accepted.sort_by_key(|(record, known)| (record.decision_revision, known.name.clone()));
    let images = accepted.iter().map(|(record, known)| {
        let at = |name: &String| record.points.get(name)?.at.map(|[x, y]| Point::new(x, y));
        (known.path.clone(), state.setup.names.iter().map(at).collect())
    });
    let of_image = accepted.iter().flat_map(|(record, known)| {
        let proposed = record.points.iter().filter(|(_, spot)| spot.by == By::Match && spot.at.is_some());
        proposed.map(|(name, _)| (known.path.clone(), name.clone()))
    });
    AnnotatedSet {
        landmarks: state.setup.names.clone(),
        accepted: of_image.collect(),
        images: images.collect(),
    }
}

/// Learns from the accepted images, then proposes landmarks for the open ones.
pub(super) fn learn(app: &App) -> Result<String> {
    let Some(engine) = &app.engine() else { bail!("there is no encoder") };
    let state = lock(&app.store).state().clone();
    let known = lock(&app.images).all.clone();
    let set = annotated(&state, &known);
    if set.images.len() < MIN_IMAGES {
        bail!(
            "{} accepted images have points; accept {MIN_IMAGES} or more to learn from them",
            set.images.len()
        );
    }
    let threads = app.how.background_threads();
    let pretrained_network = engine.detector.as_ref().is_some_and(|detector| {
        let own = detector.landmarks();
        own.len() == set.landmarks.len() && own.iter().all(|name| set.landmarks.contains(name))
    });
    let options =
        LearnOptions { steps: app.steps.networks, threads, pretrained_network, ..LearnOptions::default() };
    let learned =
        infomark_active::learn(&engine.path, &set, &options, &app.session.join(WORK), &mut |told| {
            // A resumed training starts where it was: the remaining time is measured from its first step.
            if !matches!(told, LearnProgress::Preparing { .. }) {
                lock(&app.job).at("learning", (PARTS * told.fraction()) as usize, PARTS as usize);
            }
            if app.stop_job.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
    let learned = match learned {
        Err(ActiveError::Stopped) => {
            return Ok("learning stopped; Learn from corrections goes on where it was".into());
        }
        learned => learned?,
    };
    let bytes = files::bytes(&learned.file)?;
    let round = round(&state, &known, &set, &learned, sha256(&bytes));
    let file = model_file(app).map_err(|refusal| anyhow!(refusal.error))?;
    output::write(&file, &bytes)?;
    let commit = |event| lock(&app.store).commit(event).map_err(|refusal| anyhow!(refusal.error));
    if state.rounds.last().is_none_or(|last| last.sha256 != round.sha256) {
        commit(Event::Round(round.clone()))?;
    }
    propose_all(app, engine, learned.ensemble, &round)
}

/// Finds landmarks in the open images: by what was learnt last, else by matching the template and the accepted images to them.
pub(super) fn find_rest(app: &App) -> Result<String> {
    let Some(engine) = &app.engine() else { bail!("there is no encoder") };
    let state = lock(&app.store).state().clone();
    match learned(app, engine, &state) {
        Some((ensemble, round)) => propose_all(app, engine, ensemble, &round),
        None => match_all(app),
    }
}

/// What was learnt last; `None` if that was with another encoder.
fn learned(app: &App, engine: &Engine, state: &State) -> Option<(Ensemble, Round)> {
    let round = state.rounds.last()?;
    let bytes = model(app, state).ok()?;
    let ensemble = Ensemble::from_bytes(&bytes, MODEL).ok()?;
    let is_own = ensemble.matcher().encoder().sha256() == engine.encoder.sha256();
    is_own.then(|| (ensemble, round.clone()))
}

/// Proposes landmarks for the open images by what was learnt in a round, and matches those that it lacks.
fn propose_all(app: &App, engine: &Engine, ensemble: Ensemble, round: &Round) -> Result<String> {
    let ensemble = ensemble.with_fixed_orientation(engine.fix_orientation);
    let state = lock(&app.store).state().clone();
    let known = lock(&app.images).all.clone();
    let lacking = Lacking::of(engine, &state, &known, &ensemble)?;
    let run = Event::Run(json!({
        "version": env!("CARGO_PKG_VERSION"), "model": engine.model, "fix_orientation": engine.fix_orientation, "learned": round,
        "templates": lacking.as_ref().map(|lacking| &lacking.templates),
    }));
    let run = lock(&app.store).commit(run).map_err(|refusal| anyhow!(refusal.error))?;
    let targets = open_images(&state, &known, &[]);
    lock(&app.job).at("proposing", 0, targets.len());
    let (count, rest) = search(app, engine, &targets, &|known| {
        let mut findings = propose(engine, &ensemble, known, run)?;
        if let Some(lacking) = &lacking {
            lacking.add(engine, known, &mut findings)?;
        }
        Ok(findings)
    });
    let error =
        round.errors.chosen.map_or_else(String::new, |error| format!("held-out error {}; ", words(error)));
    Ok(format!(
        "learnt from {} images: {error}{} of {} points placed or moved; {count} of {} open images searched{rest}",
        round.images,
        round.placed,
        round.points,
        targets.len()
    ))
}

/// The bytes of the model that was learnt last.
pub(super) fn model(app: &App, state: &State) -> Result<Vec<u8>, Refusal> {
    let last = state.rounds.last();
    let last = last.ok_or_else(|| Refusal::bad("nothing is learnt yet; learn from corrections first"))?;
    let bytes = files::bytes(&model_file(app)?)?;
    if sha256(&bytes) != last.sha256 {
        return Err(Refusal::bad(format!(
            "{MODEL}: not the model that was learnt last; learn from corrections again"
        )));
    }
    Ok(bytes)
}

fn model_file(app: &App) -> Result<PathBuf, Refusal> {
    let file = files::within(&app.session, MODEL);
    file.ok_or_else(|| {
        Refusal::bad(format!("{MODEL}: a link is in its place, which is not followed; remove it"))
    })
}

/// A length as text.
fn words(Length { px, mm }: Length) -> String {
    let mm = mm.map_or_else(String::new, |mm| format!(" ({mm:.2} mm)"));
    format!("{px:.1} px{mm}")
}

/// The round of a learning result.
fn round(state: &State, known: &[Known], set: &AnnotatedSet, learned: &Learned, sha256: String) -> Round {
    let of: HashMap<&PathBuf, &Known> = known.iter().map(|known| (&known.path, known)).collect();
    let records = set.images.iter().filter_map(|(path, _)| state.images.get(&of.get(path)?.name));
    let by_hand = records.map(|record| record.by_hand()).sum();
    let (points, placed) = set.points();
    let mm = in_mm(&learned.held_out, |path| {
        of.get(path).and_then(|known| known.known_spacing.as_ref()).map(PixelSpacing::mean_mm)
    });
    let length = |px: Option<f64>, mm: Option<f64>| {
        px.map(|px| Length { px: rounded(px, 3), mm: mm.map(|mm| rounded(mm, 3)) })
    };
    let members = learned.ensemble.members();
    let mean = |member: &dyn Fn(usize) -> Member| {
        let in_mm = mm.as_ref().and_then(|mm| mm.mean_radial_error_px(member));
        length(learned.held_out.mean_radial_error_px(member), in_mm)
    };
    let landmarks = learned.ensemble.landmarks().iter().zip(members).enumerate();
    let landmarks = landmarks.map(|(index, (name, &member))| {
        let in_mm = mm.as_ref().and_then(|mm| mm.landmark_error_px(index, member));
        let error = length(learned.held_out.landmark_error_px(index, member), in_mm);
        LearnedLandmark { name: name.clone(), member, error }
    });
    Round {
        revision: 0,
        images: set.images.len(),
        by_hand,
        placed,
        points,
        sha256,
        coverage: learned.ensemble.bounds().map(|bounds| bounds.coverage),
        landmarks: landmarks.collect(),
        errors: HeldOutErrors {
            templates: mean(&|_| Member::Templates),
            network: mean(&|_| Member::Network),
            fusion: mean(&|_| Member::Fusion),
            chosen: mean(&|landmark| members.get(landmark).copied().unwrap_or(Member::Fusion)),
        },
        left_out: learned.left_out.clone(),
    }
}

/// The errors in mm (with millimetres as "pixels"); `None` unless the pixel size of every image is known.
fn in_mm(held_out: &HeldOut, mm_per_px: impl Fn(&PathBuf) -> Option<f64>) -> Option<HeldOut> {
    let mut in_mm = held_out.clone();
    for image in &mut in_mm.images {
        image.unit *= mm_per_px(&image.path)?;
    }
    Some(in_mm)
}

#[cfg(test)]
mod tests {
    use infomark_active::HeldOutImage;

    use super::*;
    use crate::review::state::{Presence, Record, Setup, Spot};

    fn record(
        decision: Decision,
        decision_revision: u64,
        at: Option<[f64; 2]>,
        presence: Presence,
    ) -> Record {
        let spot = Spot { revision: 1, at, presence, by: By::Hand, found: None };
        let points = [
            ("a".to_owned(), spot.clone()),
            ("b".to_owned(), Spot { at: Some([3.0, 4.0]), presence: Presence::Occluded, ..spot }),
        ];
        Record { decision, decision_revision, points: points.into(), ..Record::default() }
    }

    #[test]
    fn accepted_images_are_learnt_in_the_order_of_their_acceptance_without_what_is_absent() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let names = ["0.png", "1.png", "2.png", "3.png"];
        let known = names.map(|name| {
            std::fs::write(folder.path().join(name), "")
                .map(|()| Known::new(name.into(), folder.path().join(name)))
        });
        let known = known.into_iter().collect::<Result<Vec<_>, _>>()?;
        let gone = Known::new("gone.png".into(), folder.path().join("gone.png"));
        let visible = Presence::Visible;
        let images = [
            ("0.png", record(Decision::Accepted, 9, Some([1.0, 2.0]), visible)),
            ("1.png", record(Decision::Accepted, 5, None, Presence::Absent)),
            ("2.png", record(Decision::Open, 0, Some([1.0, 2.0]), visible)),
            ("3.png", record(Decision::Rejected, 7, Some([1.0, 2.0]), visible)),
            ("gone.png", record(Decision::Accepted, 8, Some([1.0, 2.0]), visible)),
        ];
        let setup = Setup { names: vec!["a".into(), "b".into()], ..Setup::default() };
        let images = images.map(|(name, record)| (name.to_owned(), record)).into();
        let state = State { setup, images, ..State::default() };
        let set = annotated(&state, &[known, vec![gone]].concat());
        let (a, b) = (Some(Point::new(1.0, 2.0)), Some(Point::new(3.0, 4.0)));
        let expected = [("1.png", vec![None, b]), ("0.png", vec![a, b])];
        assert_eq!(set.images, expected.map(|(name, points)| (folder.path().join(name), points)));
        Ok(())
    }

    #[test]
    fn errors_in_mm_need_the_size_of_the_pixels_of_every_image() {
        let image = |path: &str, unit| HeldOutImage {
            path: path.into(),
            unit,
            errors: vec![Some([1.0, 2.0, 3.0])],
            disagreements: vec![0.0],
            accepted: Vec::new(),
        };
        let images = vec![image("a", 2.0), image("b", 4.0)];
        let held_out = HeldOut { landmarks: vec!["l".into()], images };
        let mm = in_mm(&held_out, |path| Some(if path.as_os_str() == "a" { 0.5 } else { 0.25 }));
        assert_eq!(mm.and_then(|mm| mm.landmark_error_px(0, Member::Network)), Some(2.0));
        assert_eq!(in_mm(&held_out, |path| (path.as_os_str() == "a").then_some(0.5)), None);
    }
}
