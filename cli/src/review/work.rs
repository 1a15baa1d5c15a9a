//! What takes long: matching, and choosing the template. One piece of work at a time, on threads of its own.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Result, bail};
use infomark_core::Point;
use infomark_infer::{
    Encoder, Judge, Landmark, LandmarkRow, Matcher, PixelSpacing, Template, Visibility, rounded, sha256,
};
use infomark_train::{AGAINST, Ranking, RunError};
use rayon::ThreadPool;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::images::{self, Known};
use super::refusal::Refusal;
use super::state::{Decision, Event, Match, Presence, State};
use super::{App, lock};
use crate::matching::{How, Recognised, Trust};
use crate::models::Model;
use crate::output::one_line;
use crate::templates::Source;

/// Templates that are matched together at most: time grows with them, and the gain of each falls.
const MOST_TEMPLATES: usize = 8;
/// Images that a template is suggested from, at most.
const MOST_CANDIDATES: usize = 60;
/// Images that are suggested.
const SUGGESTED: usize = 5;

/// What finds landmarks.
pub(super) struct Engine {
    pub(super) encoder: Arc<Encoder>,
    pub(super) model: Model,
    /// Templates that were given, beside those of the images.
    pub(super) given: Vec<Template>,
    pub(super) sources: Vec<Source>,
    pub(super) fix_orientation: bool,
    pub(super) spacing: Option<PixelSpacing>,
    pub(super) pool: ThreadPool,
    /// Templates of images, by what they were made of.
    made: Mutex<HashMap<String, (Template, String)>>,
}

impl Engine {
    pub(super) fn new(
        encoder: Arc<Encoder>,
        model: Model,
        (given, sources): (Vec<Template>, Vec<Source>),
        (fix_orientation, spacing): (bool, Option<PixelSpacing>),
        pool: ThreadPool,
    ) -> Self {
        Self { encoder, model, given, sources, fix_orientation, spacing, pool, made: Mutex::default() }
    }
}

/// What is under way, or was last.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Job {
    /// Goes up with each.
    pub(super) number: u64,
    pub(super) kind: &'static str,
    pub(super) running: bool,
    pub(super) done: usize,
    pub(super) total: usize,
    /// What came of it, or what went wrong.
    pub(super) message: String,
    pub(super) failed: bool,
    /// The images to annotate, best first.
    pub(super) suggested: Vec<(String, f64)>,
}

/// What to do.
#[derive(Clone, Copy)]
pub(super) enum Task {
    Match,
    Suggest,
}

/// Begins a piece of work, unless one is under way.
pub(super) fn begin(app: &Arc<App>, task: Task) -> Result<(), Refusal> {
    if app.engine.is_none() {
        return Err(Refusal::bad(
            "matching needs an encoder: start `infomark review` with --model FILE, or --model ceph",
        ));
    }
    {
        let mut job = lock(&app.job);
        if job.running {
            return Err(Refusal::new(409, "something is under way; wait for it, or stop it"));
        }
        let kind = match task {
            Task::Match => "matching",
            Task::Suggest => "choosing",
        };
        *job = Job { number: job.number + 1, kind, running: true, ..Job::default() };
    }
    app.stop_job.store(false, Ordering::Relaxed);
    let app = Arc::clone(app);
    std::thread::spawn(move || {
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| match task {
            Task::Match => run_match(&app),
            Task::Suggest => suggest(&app),
        }));
        let done = done.unwrap_or_else(|_| bail!("it broke off by a fault of the program"));
        let mut job = lock(&app.job);
        job.running = false;
        job.failed = done.is_err();
        job.message = done.unwrap_or_else(|error| one_line(&error));
    });
    Ok(())
}

/// The images that are matched with: the template, then accepted ones, the most corrected first.
pub(super) fn template_images(state: &State) -> Vec<String> {
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
    let placed =
        |name: &&String| state.images.get(*name).is_some_and(|record| record.places().next().is_some());
    all.filter(placed).take(MOST_TEMPLATES).cloned().collect()
}

/// An image of the review, encoded with its points; the hash of its file.
pub(super) fn template_of(engine: &Engine, known: &Known, points: &[Landmark]) -> Result<(Template, String)> {
    let (image, hash) = images::read(known, engine.spacing.as_ref())?;
    let text: String = points.iter().map(|l| format!("{:?} {:?} {:?}\n", l.name, l.at.x, l.at.y)).collect();
    let key = sha256(format!("{hash}\n{text}").as_bytes());
    if let Some(made) = lock(&engine.made).get(&key) {
        return Ok(made.clone());
    }
    let made = (Template::new(&engine.encoder, &image, points)?, hash);
    let mut all = lock(&engine.made);
    if all.len() >= 2 * MOST_TEMPLATES {
        all.clear();
    }
    all.insert(key, made.clone());
    Ok(made)
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

fn run_match(app: &App) -> Result<String> {
    let Some(engine) = &app.engine else { bail!("there is no encoder") };
    let state = lock(&app.store).state().clone();
    let known = lock(&app.images).all.clone();
    let from = template_images(&state);
    let targets: Vec<&Known> = known
        .iter()
        .filter(|known| !known.is_gone() && !from.contains(&known.name))
        .filter(|known| state.images.get(&known.name).is_none_or(|r| r.decision == Decision::Open))
        .collect();
    lock(&app.job).total = from.len() + targets.len();
    let (mut templates, mut sources) = (engine.given.clone(), Vec::new());
    for name in &from {
        let Some(known) = known.iter().find(|known| known.name == *name) else { continue };
        let (template, hash) =
            engine.pool.install(|| template_of(engine, known, &landmarks(&state, name)))?;
        if state.images.get(name).is_some_and(|record| record.is_of_another(Some(&hash))) {
            bail!(
                "{name}: the image was replaced since its points were placed; look whether they still fit, and accept it then"
            );
        }
        sources.push(Source::of(&template, hash, "review"));
        templates.push(template);
        lock(&app.job).done += 1;
    }
    if templates.is_empty() {
        bail!(
            "there is no template: place the landmarks in one image and use it as template, or accept an image"
        );
    }
    let matcher = Matcher::new(Arc::clone(&engine.encoder), templates)?.options(How::default().options())?;
    let (judge, error_bounds) = Trust::laying(engine.fix_orientation).judge(matcher)?;
    let all: Vec<&Source> = engine.sources.iter().chain(&sources).collect();
    let run = json!({
        "version": env!("CARGO_PKG_VERSION"), "model": engine.model, "matching": How::default().matching(),
        "fix_orientation": engine.fix_orientation, "error_bounds": error_bounds, "templates": all,
    });
    let run = lock(&app.store).commit(Event::Run(run)).map_err(|refusal| anyhow::anyhow!(refusal.error))?;
    let failed = AtomicUsize::new(0);
    let one = |known: &&Known| {
        if app.stop_job.load(Ordering::Relaxed) {
            return;
        }
        let done = match_one(app, engine, &judge, known, run);
        if let Err(error) = &done {
            failed.fetch_add(1, Ordering::Relaxed);
            lock(&app.images).tell(&known.name, Some(one_line(error)));
        } else {
            lock(&app.images).tell(&known.name, None);
        }
        lock(&app.job).done += 1;
    };
    engine.pool.install(|| targets.par_iter().with_max_len(1).for_each(one));
    let job = lock(&app.job).clone();
    let stopped = if job.done < job.total { "; stopped" } else { "" };
    let failures = failed.load(Ordering::Relaxed);
    let failed = if failures > 0 { format!("; {failures} failed") } else { String::new() };
    let (count, templates) =
        (job.done.saturating_sub(from.len() + failures), judge.matcher().templates().len());
    let plural = if templates == 1 { "" } else { "s" };
    Ok(format!(
        "{count} of {} images matched with {templates} template{plural}{failed}{stopped}",
        targets.len()
    ))
}

fn match_one(app: &App, engine: &Engine, judge: &Judge, known: &Known, run: u64) -> Result<()> {
    let (image, hash) = images::read(known, engine.spacing.as_ref())?;
    let judgement = judge.find(&image, None)?;
    let found = judgement.landmarks.iter().filter_map(|judged| {
        let LandmarkRow { landmark, x, y, score, trust, .. } =
            LandmarkRow::of_judged(judged, image.spacing());
        Some((landmark, Match { at: [x, y], score, sure: trust? }))
    });
    let found = found.collect();
    let mut store = lock(&app.store);
    let event = store.state().matched(
        &known.name,
        found,
        Recognised::of(&judgement.recognition, judgement.reoriented, &known.name),
        (run, hash),
    );
    if let Some(event) = event {
        store.commit(event).map_err(|refusal| anyhow::anyhow!(refusal.error))?;
    }
    Ok(())
}

fn suggest(app: &App) -> Result<String> {
    let Some(engine) = &app.engine else { bail!("there is no encoder") };
    let known: Vec<Known> =
        lock(&app.images).all.iter().filter(|known| known.error.is_none()).cloned().collect();
    // Evenly from all.
    let step = known.len().div_ceil(MOST_CANDIDATES).max(1);
    let known: Vec<&Known> = known.iter().step_by(step).collect();
    if known.len() < 3 {
        bail!("{} images say nothing about which is typical; choose the template yourself", known.len());
    }
    lock(&app.job).total = known.len() + known.len().min(AGAINST);
    let stop: &AtomicBool = &app.stop_job;
    let advance = || {
        lock(&app.job).done += 1;
        if stop.load(Ordering::Relaxed) { Err(RunError::Stopped.into()) } else { Ok(()) }
    };
    let paths: Vec<PathBuf> = known.iter().map(|known| known.path.clone()).collect();
    let ranking = engine.pool.install(|| Ranking::of(&engine.encoder, &paths, AGAINST, 0, &advance))?;
    let best = ranking.order().into_iter().take(SUGGESTED);
    let best: Vec<(String, f64)> = best
        .filter_map(|index| Some((known.get(index)?.id.clone(), rounded(ranking.score(index), 3))))
        .collect();
    lock(&app.job).suggested = best;
    Ok(format!("the best template of {} images: its key points are found best in the others", known.len()))
}
