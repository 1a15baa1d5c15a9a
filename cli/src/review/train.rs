//! Background training of an encoder on the images of the review.
//!
//! The complete encoder is `encoder.onnx` in the review's folder; until then `encoder.run` contains its checkpoints and `encoder.images`
//! its training images, so that images added or removed meanwhile have no influence.

use std::collections::HashSet;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::{Context, Result, anyhow, bail};
use infomark_train::{Budget, ComputeOn, Paths, Progress, TrainConfig, resume, train as train_encoder};
use serde::{Deserialize, Serialize};

use super::engine::Engine;
use super::images::Known;
use super::state::{ChosenEncoder, Decision, Event, State};
use super::{App, lock};
use crate::files;
use crate::output::{self, shown};
use crate::progress::duration;

/// Name of the work.
pub(super) const KIND: &str = "training the encoder";
/// Default number of steps.
pub(super) const STEPS: u64 = 400;
/// Maximum number of steps.
pub(super) const MOST_STEPS: u64 = 100_000;
/// File of the encoder.
const FILE: &str = "encoder.onnx";
/// File of the encoder until it is complete: a stopped training writes one, too.
const NEXT: &str = "encoder.next.onnx";
/// Folder of the run.
const RUN: &str = "encoder.run";
/// Folder of the images of an incomplete training.
const IMAGES: &str = "encoder.images";
/// Steps between checkpoints: the maximum loss at a kill.
const CHECKPOINT_EVERY: u64 = 20;
/// Minimum number of training images.
const FEWEST: usize = 2;

/// An incomplete training.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Unfinished {
    /// Steps of the last checkpoint.
    step: u64,
    steps: u64,
    /// Number of training images.
    images: usize,
}

/// The part of a checkpoint that is read.
#[derive(Deserialize)]
struct Checkpoint {
    step: u64,
    config: Begun,
}

#[derive(Deserialize)]
struct Begun {
    budget: Budget,
}

/// The incomplete training in a review's folder, if its checkpoint can be read.
pub(super) fn unfinished(session: &Path) -> Option<Unfinished> {
    let images = fs::read_dir(session.join(IMAGES)).ok()?.count();
    let bytes = files::bytes(&session.join(RUN).join("checkpoint.json")).ok()?;
    let Checkpoint { step, config: Begun { budget } } = serde_json::from_slice(&bytes).ok()?;
    match budget {
        Budget::Steps(steps) => Some(Unfinished { step, steps, images }),
        Budget::Minutes(_) => None,
    }
}

/// The engine of the encoder chosen or trained on the page before, if any. If it cannot be used, this is reported and the review starts
/// without it.
pub(super) fn kept_engine(
    state: &State,
    session: &Path,
    open: impl Fn(&Path) -> Result<Engine>,
) -> Option<Engine> {
    let engine = match &state.encoder {
        Some(ChosenEncoder::Shipped(name)) => match infomark_models::find(name) {
            Some(model) => open(Path::new(model.name)),
            None => Err(anyhow!("{name}: no such encoder comes with this version")),
        },
        _ => open(&files::within(session, FILE).filter(|file| file.is_file())?),
    };
    let told = |error| {
        output::warn(format_args!("{}; choose or train an encoder on the page", output::one_line(&error)))
    };
    engine.map_err(told).ok()
}

/// Trains an encoder on the images that are not rejected, or resumes the incomplete training; uses the encoder when complete.
pub(super) fn train(app: &App, steps: u64, anew: bool) -> Result<String> {
    let done = run(app, steps, anew);
    *lock(&app.unfinished) = unfinished(&app.session);
    done
}

fn run(app: &App, steps: u64, anew: bool) -> Result<String> {
    let at = |name: &str| app.session.join(name);
    let paths = Paths { images: at(IMAGES), out: at(NEXT), run: at(RUN), score: None };
    let going_on = if anew { None } else { unfinished(&app.session) };
    if going_on.is_none() {
        clear(&paths.run)?;
        clear(&paths.images)?;
        collect(&images(app), &paths.images)?;
    }
    let threads = app.how.background_threads();
    let mut told = |event: Progress| {
        let mut job = lock(&app.job);
        match event {
            Progress::Reading { done, total } => job.at("reading images", done, total),
            Progress::Step { step, fraction, seconds_left, .. } => {
                let steps = (step as f64 / fraction.max(f64::MIN_POSITIVE)).round();
                job.at(KIND, step as usize, steps as usize);
                job.seconds_left = Some(seconds_left);
            }
            _ => {}
        }
        if app.stop_job.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let trained = if going_on.is_some() {
        resume(&paths, threads, ComputeOn::Auto, &mut told)
    } else {
        let budget = Budget::Steps(steps);
        let mut config = TrainConfig::default();
        config.threads = threads;
        config.schedule.budget = budget;
        config.schedule.checkpoint_every = CHECKPOINT_EVERY;
        train_encoder(&config, &paths, &mut told)
    };
    // Messages name the images, not their copies.
    let summary = trained.map_err(|error| {
        anyhow!(
            error
                .to_string()
                .replace(&format!("{}{}", paths.images.display(), std::path::MAIN_SEPARATOR), "")
        )
    })?;
    if summary.stopped {
        let _ = fs::remove_file(&paths.out);
        return Ok(format!("training paused after {} steps; Go on continues", summary.steps));
    }
    let file = at(FILE);
    fs::rename(&paths.out, &file).with_context(|| format!("{}: can't be written", shown(&file)))?;
    let engine = app.how.engine(&file, &[])?;
    let event = Event::Encoder(ChosenEncoder::Trained);
    lock(&app.store).commit(event).map_err(|refusal| anyhow!(refusal.error))?;
    app.set_engine(engine);
    // The next training removes what remains.
    let _ = fs::remove_dir_all(&paths.images);
    Ok(format!(
        "encoder trained on {} images in {}: {} steps",
        summary.images,
        duration(summary.seconds),
        summary.steps
    ))
}

/// The readable images that are not rejected.
fn images(app: &App) -> Vec<Known> {
    let known = lock(&app.images).all.clone();
    let store = lock(&app.store);
    let rejected = |name: &str| {
        store.state().images.get(name).is_some_and(|record| record.decision == Decision::Rejected)
    };
    known.into_iter().filter(|known| known.error.is_none() && !rejected(&known.name)).collect()
}

fn clear(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{}: can't be removed; remove it", shown(folder)))
        }
        _ => Ok(()),
    }
}

/// Puts the images into a folder, as hard links if the file system supports them, else as copies.
fn collect(known: &[Known], folder: &Path) -> Result<()> {
    if known.len() < FEWEST {
        bail!("{} images; at least {FEWEST} are needed to train an encoder", known.len());
    }
    output::make_folder(folder)?;
    let mut taken = HashSet::new();
    for (index, known) in known.iter().enumerate() {
        let name = output::file_name(&known.path);
        let name = if taken.insert(name.to_lowercase()) { name } else { format!("{index}-{name}") };
        let to: PathBuf = folder.join(name);
        let from = fs::canonicalize(&known.path).with_context(|| format!("{}: can't be read", known.name))?;
        let put = fs::hard_link(&from, &to).or_else(|_| fs::copy(&from, &to).map(drop));
        put.with_context(|| format!("{}: can't be written", shown(&to)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_training_stands_where_its_checkpoint_says() -> Result<()> {
        let session = tempfile::tempdir()?;
        assert_eq!(unfinished(session.path()), None);
        for folder in [RUN, IMAGES] {
            fs::create_dir(session.path().join(folder))?;
        }
        fs::write(session.path().join(IMAGES).join("a.png"), "")?;
        let checkpoint = session.path().join(RUN).join("checkpoint.json");
        fs::write(&checkpoint, r#"{"step": 120, "config": {"budget": {"steps": 400}, "seed": 0}}"#)?;
        assert_eq!(unfinished(session.path()), Some(Unfinished { step: 120, steps: 400, images: 1 }));
        fs::write(&checkpoint, r#"{"step": 120, "con"#)?;
        assert_eq!(unfinished(session.path()), None, "what can't be read begins anew");
        // A complete training has no images any more.
        fs::write(&checkpoint, r#"{"step": 400, "config": {"budget": {"steps": 400}}}"#)?;
        clear(&session.path().join(IMAGES))?;
        assert_eq!(unfinished(session.path()), None);
        Ok(())
    }
}
