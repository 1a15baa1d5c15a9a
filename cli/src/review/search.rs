//! Search of landmarks in the open images, by templates or by a learnt detector.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Result, anyhow, bail};
use infomark_active::uncertainty;
use infomark_core::Point;
use infomark_infer::{
    Detection, Ensemble, Judge, Landmark, LandmarkNet, LandmarkRow, Matcher, Visibility, rounded,
};
use infomark_results::{MatchingRecord, RecognitionRecord, TemplateRecord};
use rayon::prelude::*;
use serde_json::json;

use super::engine::{Engine, MOST_TEMPLATES};
use super::images::{self, Known};
use super::state::{Decision, Event, Findings, Match, Presence, State};
use super::{App, lock};
use crate::matching::{How, Trust};
use crate::output::one_line;

/// The images used as templates: the template, then accepted ones, the most corrected first.
pub(super) fn template_images(state: &State) -> Vec<String> {
    images_with(state, |_| true)
}

/// Those that have a point of a wanted landmark.
fn images_with(state: &State, wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let chosen = state.setup.template.iter();
    let mut accepted: Vec<_> = state
        .images
        .iter()
        .filter(|(name, record)| {
            record.decision == Decision::Accepted && Some(*name) != state.setup.template.as_ref()
        })
        .collect();
    accepted.sort_by_key(|(_, record)| std::cmp::Reverse(record.corrected()));
    let all = chosen.chain(accepted.into_iter().map(|(name, _)| name));
    let placed = |name: &&String| {
        state.images.get(*name).is_some_and(|record| record.places().any(|(landmark, _)| wanted(landmark)))
    };
    all.filter(placed).take(MOST_TEMPLATES).cloned().collect()
}

/// The landmarks of an image of the review, in the order of the list.
pub(super) fn landmarks(state: &State, name: &str) -> Vec<Landmark> {
    let Some(record) = state.images.get(name) else { return Vec::new() };
    let place = |landmark: &String| {
        let spot = record.points.get(landmark)?;
        let [x, y] = spot.at?;
        let visibility = match spot.presence {
            Presence::Occluded => Visibility::Occluded,
            _ => Visibility::Visible,
        };
        Some(Landmark { visibility, ..Landmark::new(landmark, Point::new(x, y)) })
    };
    state.setup.names.iter().filter_map(place).collect()
}

/// The images to search: open ones except those in `but`.
pub(super) fn open_images<'a>(state: &State, known: &'a [Known], but: &[String]) -> Vec<&'a Known> {
    let is_open = |name: &String| state.images.get(name).is_none_or(|r| r.decision == Decision::Open);
    let wanted = |known: &&Known| !known.is_gone() && !but.contains(&known.name) && is_open(&known.name);
    known.iter().filter(wanted).collect()
}

/// Finds landmarks in some images, on the engine's threads, until stopped. Returns the result as text; errors of images are reported in
/// the list.
pub(super) fn search(
    app: &App,
    engine: &Engine,
    images: &[&Known],
    find: &(dyn Fn(&Known) -> Result<Findings> + Sync),
) -> (usize, String) {
    let (found, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let one = |known: &&Known| {
        if app.stop_job.load(Ordering::Relaxed) {
            return;
        }
        let done = find(known).and_then(|findings| keep(app, known, findings));
        let count = if done.is_ok() { &found } else { &failed };
        count.fetch_add(1, Ordering::Relaxed);
        lock(&app.images).tell(&known.name, done.err().map(|error| one_line(&error)));
        let mut job = lock(&app.job);
        let (kind, done, total) = (job.kind, job.done + 1, job.total);
        job.at(kind, done, total);
    };
    engine.pool.install(|| images.par_iter().with_max_len(1).for_each(one));
    let (found, failed) = (found.into_inner(), failed.into_inner());
    let failures = if failed > 0 { format!("; {failed} failed") } else { String::new() };
    let stopped = if found + failed < images.len() { "; stopped" } else { "" };
    (found, failures + stopped)
}

fn keep(app: &App, known: &Known, findings: Findings) -> Result<()> {
    let mut store = lock(&app.store);
    if let Some(event) = store.state().matched(&known.name, findings) {
        store.commit(event).map_err(|refusal| anyhow::anyhow!(refusal.error))?;
    }
    Ok(())
}

/// Matches the template and the accepted images to the open ones.
pub(super) fn match_all(app: &App) -> Result<String> {
    let Some(engine) = &app.engine() else { bail!("there is no encoder") };
    let state = lock(&app.store).state().clone();
    let known = lock(&app.images).all.clone();
    let from = template_images(&state);
    let targets = open_images(&state, &known, &from);
    lock(&app.job).total = from.len() + targets.len();
    let (mut templates, mut sources) = (engine.given.clone(), Vec::new());
    for name in &from {
        let Some(known) = known.iter().find(|known| known.name == *name) else { continue };
        let (template, hash) = engine.pool.install(|| engine.template_of(known, &landmarks(&state, name)))?;
        if state.images.get(name).is_some_and(|record| record.is_of_another(Some(&hash))) {
            bail!(
                "{name}: the image was replaced since its points were placed; look whether they still fit, and accept it then"
            );
        }
        sources.push(TemplateRecord::of(&template, hash, "review"));
        templates.push(template);
        lock(&app.job).done += 1;
    }
    if templates.is_empty() {
        bail!(
            "there is no template: place the landmarks in one image and use it as template, or accept an image"
        );
    }
    let matcher = Matcher::new(Arc::clone(&engine.encoder), templates)?.options(How::default().options())?;
    let all: Vec<&TemplateRecord> = engine.sources.iter().chain(&sources).collect();
    let mut run = json!({
        "version": env!("CARGO_PKG_VERSION"), "model": engine.model, "matching": MatchingRecord::of(&How::default().options()),
        "fix_orientation": engine.fix_orientation, "templates": all,
    });
    let commit = |run| lock(&app.store).commit(Event::Run(run)).map_err(|refusal| anyhow!(refusal.error));
    if let Some(ensemble) = with_networks(engine, &matcher, from.is_empty())? {
        let networks: Vec<&str> = ensemble.networks().iter().map(LandmarkNet::sha256).collect();
        run["network"] = json!({ "file": engine.path, "sha256": networks });
        let run = commit(run)?;
        let (count, rest) = search(app, engine, &targets, &|known| propose(engine, &ensemble, known, run));
        let of = targets.len();
        return Ok(format!(
            "{count} of {of} images searched by {} and {} of {}{rest}",
            counted(ensemble.networks().len(), "landmark network"),
            counted(ensemble.matcher().templates().len(), "template"),
            engine.path.display()
        ));
    }
    let (judge, error_bounds) = Trust::laying(engine.fix_orientation).judge(matcher)?;
    run["error_bounds"] = json!(error_bounds);
    let run = commit(run)?;
    let (count, rest) = search(app, engine, &targets, &|known| match_one(engine, &judge, known, run));
    let templates = counted(judge.matcher().templates().len(), "template");
    Ok(format!("{count} of {} images matched with {templates}{rest}", targets.len()))
}

/// Matching of landmarks that a learnt detector lacks.
pub(super) struct Lacking {
    names: Vec<String>,
    judge: Judge,
    pub(super) templates: Vec<TemplateRecord>,
}

impl Lacking {
    /// The landmarks of the list that an ensemble lacks, with the images in which they have points as templates; `None` if there is none.
    /// Images that were replaced are left out.
    pub(super) fn of(
        engine: &Engine,
        state: &State,
        known: &[Known],
        ensemble: &Ensemble,
    ) -> Result<Option<Self>> {
        let lacks = |name: &&String| !ensemble.landmarks().contains(name);
        let names: Vec<String> = state.setup.names.iter().filter(lacks).cloned().collect();
        let (mut templates, mut records) = (Vec::new(), Vec::new());
        for name in images_with(state, |landmark| names.iter().any(|name| name == landmark)) {
            let Some(known) = known.iter().find(|known| known.name == name && !known.is_gone()) else {
                continue;
            };
            let (template, hash) =
                engine.pool.install(|| engine.template_of(known, &landmarks(state, &name)))?;
            if state.images.get(&name).is_some_and(|record| record.is_of_another(Some(&hash))) {
                continue;
            }
            records.push(TemplateRecord::of(&template, hash, "review"));
            templates.push(template);
        }
        if templates.is_empty() {
            return Ok(None);
        }
        let matcher =
            Matcher::new(Arc::clone(&engine.encoder), templates)?.options(How::default().options())?;
        let (judge, _) = Trust::laying(engine.fix_orientation).judge(matcher)?;
        Ok(Some(Self { names, judge, templates: records }))
    }

    /// Adds them to what the detector found in an image.
    pub(super) fn add(&self, engine: &Engine, known: &Known, findings: &mut Findings) -> Result<()> {
        let matched = match_one(engine, &self.judge, known, findings.run)?;
        findings.found.extend(matched.found.into_iter().filter(|(name, _)| self.names.contains(name)));
        Ok(())
    }
}

/// Ensemble of the model's landmark networks and the templates; `None` if it lacks one of their landmarks. Errors have bounds if the
/// templates are only those of the model, `own`.
fn with_networks(engine: &Engine, matcher: &Matcher, own: bool) -> Result<Option<Ensemble>> {
    let Some(detector) = &engine.detector else { return Ok(None) };
    let finds = |name: &&str| detector.landmarks().iter().any(|landmark| landmark == name);
    if !matcher.landmarks().iter().all(finds) {
        return Ok(None);
    }
    let ensemble = if own {
        detector.clone()
    } else {
        Ensemble::new(matcher.clone(), detector.networks().iter().cloned())?
            .with_members(detector.members().to_vec())?
    };
    Ok(Some(ensemble.with_fixed_orientation(engine.fix_orientation)))
}

/// A number of things, in words.
fn counted(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

fn match_one(engine: &Engine, judge: &Judge, known: &Known, run: u64) -> Result<Findings> {
    let (image, sha256) = images::read(known, engine.spacing.as_ref())?;
    let judgement = judge.find(&image, None)?;
    let found = judgement.landmarks.iter().filter_map(|judged| {
        let LandmarkRow { landmark, x, y, score, trust, .. } =
            LandmarkRow::of_judged(judged, image.spacing());
        let (member, disagreement_px) = (None, None);
        Some((landmark, Match { at: [x, y], score, sure: trust?, member, disagreement_px }))
    });
    Ok(Findings {
        found: found.collect(),
        recognition: RecognitionRecord::of(&judgement.recognition, judgement.reoriented, &known.name),
        uncertainty_px: None,
        run,
        sha256,
    })
}

/// The landmarks of an image by templates and networks.
pub(super) fn propose(engine: &Engine, ensemble: &Ensemble, known: &Known, run: u64) -> Result<Findings> {
    let (image, sha256) = images::read(known, engine.spacing.as_ref())?;
    let detection = ensemble.detect(&image, None)?;
    let found = detection.landmarks.iter().filter_map(|found| {
        let row = LandmarkRow::of_ensemble(found, image.spacing(), detection.is_usable());
        let LandmarkRow { landmark, x, y, score, trust, .. } = row;
        let (member, disagreement_px) = (Some(found.member), Some(rounded(found.disagreement_px, 2)));
        Some((landmark, Match { at: [x, y], score, sure: trust?, member, disagreement_px }))
    });
    Ok(Findings {
        found: found.collect(),
        recognition: RecognitionRecord::of(&detection.recognition, detection.reoriented, &known.name),
        // JSON has no infinity.
        uncertainty_px: Some(uncertainty(&Detection::Ensemble(detection.clone())).min(f64::MAX)),
        run,
        sha256,
    })
}
