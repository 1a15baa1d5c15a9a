//! Selection of the next image to annotate, and of templates.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::{Result, bail};
use infomark_active::annotation_order;
use infomark_infer::{rounded, sha256};
use infomark_train::{AGAINST, Ranking, RunError};
use serde::Serialize;

use super::images::Known;
use super::refusal::Refusal;
use super::state::{Decision, State};
use super::{App, lock, work};

/// Maximum number of ranked images.
const MOST_CANDIDATES: usize = 60;
/// Minimum number of ranked images.
const FEWEST: usize = 3;
/// Number of images suggested as template.
const SUGGESTED: usize = 5;

/// A ranking of images, cached for the same encoder and images.
pub(super) struct Ranked {
    /// Hash of its inputs.
    key: String,
    /// Names of the ranked images.
    names: Vec<String>,
    ranking: Ranking,
}

/// The image to annotate next.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct Next {
    /// `None` if there is none, or it is not known yet.
    image: Option<String>,
    /// The reason for that image, or for none.
    why: String,
    /// Whether the ranking is in progress: ask again when it has ended.
    waiting: bool,
}

/// The images for the ranking, spread evenly over all.
fn candidates(app: &App) -> Vec<Known> {
    let images = lock(&app.images);
    let known: Vec<&Known> = images.all.iter().filter(|known| known.error.is_none()).collect();
    let step = known.len().div_ceil(MOST_CANDIDATES).max(1);
    known.into_iter().step_by(step).cloned().collect()
}

fn key(encoder: &str, known: &[Known]) -> String {
    let names: String = known.iter().map(|known| format!("\n{}", known.name)).collect();
    sha256(format!("{encoder}{names}").as_bytes())
}

/// Ranks the images by the encoder, once for the same images.
fn ranked(app: &App) -> Result<()> {
    let Some(engine) = app.engine() else { bail!("there is no encoder") };
    let known = candidates(app);
    if known.len() < FEWEST {
        match known.len() {
            0 => bail!("there is no image yet"),
            1 => bail!("1 image says nothing about which is typical; choose the template yourself"),
            count => bail!("{count} images say nothing about which is typical; choose the template yourself"),
        }
    }
    let key = key(engine.encoder.sha256(), &known);
    if lock(&app.ranked).as_ref().is_some_and(|ranked| ranked.key == key) {
        return Ok(());
    }
    let total = known.len() + known.len().min(AGAINST);
    let advance = || {
        let mut job = lock(&app.job);
        let (kind, done) = (job.kind, job.done + 1);
        job.at(kind, done, total);
        if app.stop_job.load(Ordering::Relaxed) { Err(RunError::Stopped.into()) } else { Ok(()) }
    };
    lock(&app.job).total = total;
    let paths: Vec<PathBuf> = known.iter().map(|known| known.path.clone()).collect();
    let ranking = engine.pool.install(|| Ranking::of(&engine.encoder, &paths, AGAINST, 0, &advance))?;
    let names = known.into_iter().map(|known| known.name).collect();
    *lock(&app.ranked) = Some(Ranked { key, names, ranking });
    Ok(())
}

/// Ranks the images as templates; the best are reported with the job.
pub(super) fn suggest(app: &App) -> Result<String> {
    ranked(app)?;
    let ranked = lock(&app.ranked);
    let Some(Ranked { names, ranking, .. }) = ranked.as_ref() else { bail!("the images are not ranked") };
    let images = lock(&app.images);
    let best = ranking.order().into_iter().take(SUGGESTED);
    let best = best.filter_map(|index| {
        Some((images.by_name(names.get(index)?)?.id.clone(), rounded(ranking.score(index), 3)))
    });
    let best = best.collect();
    drop(images);
    lock(&app.job).suggested = best;
    Ok(format!("the best template of {} images: its key points are found best in the others", names.len()))
}

/// Ranks the images for [`next`].
fn rank_all(app: &App) -> Result<String> {
    ranked(app)?;
    let count = lock(&app.ranked).as_ref().map_or(0, |ranked| ranked.names.len());
    Ok(format!("{count} images are in the order in which they should be annotated"))
}

/// The image to annotate next; starts the ranking if nothing is learnt and there is no ranking yet.
pub(super) fn next(app: &Arc<App>) -> Result<Next, Refusal> {
    let state = lock(&app.store).state().clone();
    let listed = lock(&app.images).all.clone();
    let usable: Vec<&str> =
        listed.iter().filter(|known| known.error.is_none()).map(|known| known.name.as_str()).collect();
    let named = |name: &str, why: &str| {
        let image = listed.iter().find(|known| known.name == name).map(|known| known.id.clone());
        Ok(Next { image, why: format!("{name}: {why}"), waiting: false })
    };
    let open = |name: &&&str| state.images.get(**name).is_none_or(|r| r.decision == Decision::Open);
    if !usable.iter().any(|name| open(&name)) {
        return Ok(Next { why: "all images are accepted or rejected".into(), ..Next::default() });
    }
    if let Some(name) = most_uncertain(&state, &usable) {
        return named(name, "of all open images its landmarks are the most uncertain");
    }
    let untouched = by_order(&state, &usable);
    let Some(first) = untouched else {
        return named(usable.iter().find(open).copied().unwrap_or_default(), "it is open");
    };
    let known = candidates(app);
    if known.len() < FEWEST {
        return named(first, "it has no points yet");
    }
    // Ranking needs an encoder, and no other work in progress.
    let Some(engine) = app.engine() else {
        return named(first, "it has no points yet; with an encoder the page knows which helps most");
    };
    let key = key(engine.encoder.sha256(), &known);
    let order: Option<Vec<String>> =
        lock(&app.ranked).as_ref().filter(|ranked| ranked.key == key).map(|ranked| {
            annotation_order(&ranked.ranking)
                .into_iter()
                .filter_map(|at| ranked.names.get(at).cloned())
                .collect()
        });
    let Some(order) = order else {
        if lock(&app.job).running {
            return named(first, "it has no points yet; which helps most is found when nothing is under way");
        }
        work::begin(app, "ordering", rank_all)?;
        return Ok(Next { waiting: true, ..Next::default() });
    };
    let order: Vec<&str> = order.iter().map(String::as_str).filter(|name| usable.contains(name)).collect();
    match by_order(&state, &order) {
        Some(name) => {
            named(name, "its key points are found best in the images that the annotated ones serve badly")
        }
        None => named(first, "it has no points yet"),
    }
}

/// The open image with the largest uncertainty, after learning; the first of equals.
fn most_uncertain<'a>(state: &State, names: &[&'a str]) -> Option<&'a str> {
    let open = names.iter().filter_map(|name| {
        let record = state.images.get(*name).filter(|record| record.decision == Decision::Open)?;
        Some((*name, record.uncertainty_px?))
    });
    open.reduce(|best, other| if other.1 > best.1 { other } else { best }).map(|(name, _)| name)
}

/// The first open image without a manually placed or imported point.
fn by_order<'a>(state: &State, order: &[&'a str]) -> Option<&'a str> {
    let untouched = |name: &&&str| {
        let record = state.images.get(**name);
        record.is_none_or(|record| record.decision == Decision::Open && record.corrected() == 0)
    };
    order.iter().find(untouched).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::review::state::{By, Presence, Record, Spot};

    fn state(images: &[(&str, Decision, Option<f64>)]) -> State {
        let record = |decision, uncertainty_px| Record { decision, uncertainty_px, ..Record::default() };
        let images = images.iter().map(|&(name, decision, px)| (name.to_owned(), record(decision, px)));
        State { images: images.collect(), ..State::default() }
    }

    #[test]
    fn the_most_uncertain_open_image_is_next() {
        let all = ["a", "b", "c", "d", "new"];
        let state = state(&[
            ("a", Decision::Open, Some(2.0)),
            ("b", Decision::Accepted, Some(9.0)),
            ("c", Decision::Open, Some(3.0)),
            ("d", Decision::Open, Some(3.0)),
        ]);
        assert_eq!(most_uncertain(&state, &all), Some("c"));
        assert_eq!(most_uncertain(&state, &["a", "b"]), Some("a"));
        assert_eq!(most_uncertain(&state, &["b", "new"]), None, "nothing is known of a new image");
    }

    #[test]
    fn before_anything_is_learnt_the_first_untouched_image_of_the_order_is_next() {
        let mut state = state(&[("a", Decision::Accepted, None), ("b", Decision::Open, None)]);
        assert_eq!(by_order(&state, &["a", "b", "c"]), Some("b"));
        let spot = Spot {
            revision: 1,
            at: Some([1.0, 2.0]),
            presence: Presence::Visible,
            by: By::Hand,
            found: None,
        };
        state.images.entry("b".into()).or_default().points.insert("sella".into(), spot);
        assert_eq!(by_order(&state, &["a", "b", "c"]), Some("c"));
        assert_eq!(by_order(&state, &["a", "b"]), None);
    }
}
