//! Recognition of the images by bundled encoders.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Result, anyhow, bail};
use infomark_infer::{Encoder, Judge, JudgeOptions, Matcher};
use infomark_models::MODELS;
use rayon::prelude::*;
use serde::Serialize;

use super::images::{self, Known};
use super::refusal::Refusal;
use super::state::{ChosenEncoder, Event};
use super::{App, lock};
use crate::inputs;

/// Maximum number of images for recognition.
const SAMPLE: usize = 10;
/// Number of images processed in parallel.
const TOGETHER: usize = 2;

/// Result of recognition: how many images of a sample an encoder's template recognises.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Proposal {
    /// The encoder's name.
    encoder: &'static str,
    /// Kind of its images.
    of: &'static str,
    recognised: usize,
    images: usize,
    /// Whether they are enough to use the encoder.
    suits: bool,
}

impl Proposal {
    /// An encoder suits if four fifths of the images are recognised; that of cephalograms recognises two thirds of synthetic radiographs.
    fn new(encoder: &'static str, about: &'static str, recognised: usize, images: usize) -> Self {
        let of = about.split(';').next().unwrap_or(about);
        Self { encoder, of, recognised, images, suits: images > 0 && 5 * recognised >= 4 * images }
    }

    fn words(&self) -> String {
        let Self { of, recognised, images, .. } = self;
        format!("{recognised} of {images} images recognised as {of}")
    }
}

/// Recognises up to ten images, spread evenly, with each bundled encoder, until more than a fifth are not recognised.
pub(super) fn recognise(app: &App) -> Result<String> {
    let known: Vec<Known> =
        lock(&app.images).all.iter().filter(|known| known.error.is_none()).cloned().collect();
    let step = known.len().div_ceil(SAMPLE).max(1);
    let known: Vec<&Known> = known.iter().step_by(step).collect();
    if known.is_empty() {
        bail!("there are no images yet");
    }
    lock(&app.job).total = known.len() * MODELS.len();
    let pool = inputs::pool(app.how.background_threads())?;
    let mut best: Option<Proposal> = None;
    for model in MODELS {
        let encoder = Arc::new(Encoder::from_bytes(model.encoder, model.name)?);
        let judge = Judge::new(Matcher::new(encoder, [model.template()?])?, &JudgeOptions::default())?;
        let recognised = |known: &&Known| {
            if app.stop_job.load(Ordering::Relaxed) {
                return Err(anyhow!("stopped"));
            }
            // Unreadable images are reported when opened, and are not counted.
            let read = images::read(known, app.how.spacing.as_ref()).ok();
            let seen = read.and_then(|(image, _)| judge.find(&image, None).ok());
            lock(&app.job).done += 1;
            Ok(seen.map(|judgement| judgement.recognition.is_recognised()))
        };
        let mut seen: Vec<bool> = Vec::new();
        let mut asked = 0;
        for some in known.chunks(TOGETHER) {
            let some = pool.install(|| some.par_iter().map(recognised).collect::<Result<Vec<_>>>())?;
            asked += some.len();
            seen.extend(some.into_iter().flatten());
            let others = seen.iter().filter(|recognised| !**recognised).count();
            // It cannot suit any more.
            if 5 * others > known.len() {
                break;
            }
        }
        lock(&app.job).done += known.len() - asked;
        let count = seen.iter().filter(|recognised| **recognised).count();
        let proposal = Proposal::new(model.name, model.about, count, seen.len());
        if best.as_ref().is_none_or(|best| proposal.recognised > best.recognised) {
            best = Some(proposal);
        }
    }
    let words = best.as_ref().map(Proposal::words).unwrap_or_default();
    *lock(&app.proposal) = best;
    Ok(words)
}

/// Uses a bundled encoder, now and at later starts of the review.
pub(super) fn choose(app: &App, name: &str) -> Result<(), Refusal> {
    if app.is_model_given {
        return Err(Refusal::bad("the encoder was given by --model; start without it to choose another"));
    }
    if lock(&app.job).running {
        return Err(Refusal::new(409, "something is under way; wait for it, or stop it"));
    }
    let Some(model) = infomark_models::find(name) else {
        let names: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
        return Err(Refusal::bad(format!("{name}: no such encoder; there are {}", names.join(", "))));
    };
    let names = lock(&app.store).state().setup.names.clone();
    let engine = app.how.engine_for(Path::new(model.name), &names)?;
    lock(&app.store).commit(Event::Encoder(ChosenEncoder::Shipped(name.to_owned())))?;
    app.set_engine(engine);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoder_is_proposed_where_four_fifths_of_the_images_are_recognised() {
        for (recognised, images, suits) in [(10, 10, true), (8, 10, true), (7, 10, false), (0, 0, false)] {
            assert_eq!(Proposal::new("ceph", "heads; for research", recognised, images).suits, suits);
        }
        assert_eq!(Proposal::new("ceph", "heads; x", 7, 10).words(), "7 of 10 images recognised as heads");
    }
}
