//! Progress bars, warnings and pictures during an experiment.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::{Error, Result};
use infomark_experiment::Event;

use crate::evaluate::{ScoringBars, confidence};
use crate::output;
use crate::progress::{Progress, lock};
use crate::train::Watched;

/// Terminal output of an experiment.
#[derive(Default)]
pub(super) struct Terminal(Mutex<Shown>);

#[derive(Default)]
struct Shown {
    training: Option<(PathBuf, Watched)>,
    scoring: ScoringBars,
    /// The bar of work other than training.
    bar: Option<(&'static str, Progress)>,
    /// The error of a picture that could not be drawn, which does not stop the work.
    undrawn: Option<Error>,
}

impl Terminal {
    /// Shows an event.
    pub(super) fn show(&self, event: Event<'_>) -> ControlFlow<()> {
        let shown = &mut *lock(&self.0);
        if !matches!(event, Event::Training { .. }) {
            shown.finish_training();
        }
        match event {
            Event::Warning(warning) => output::warn(warning),
            Event::Training { run, progress } => shown.training(run).show(progress),
            Event::Tuning { done, total } => shown.bar("tuning", Progress::new).at(done, total),
            Event::Choosing { done, total } => shown.bar("choosing", Progress::new).at(done, total),
            Event::Scoring(step) => shown.scoring.show(step),
            Event::Scored { folder, evaluation } => {
                shown.scoring.finish();
                let drawn = confidence::draw(folder, evaluation);
                shown.undrawn = shown.undrawn.take().or(drawn.err());
            }
            Event::Learning { images, fraction } => {
                let message = format!("{images} annotated images");
                shown.bar("learning", |_, label| Progress::of_share(label)).share(fraction, message);
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    /// Removes the bars.
    pub(super) fn finish(&self) {
        let shown = &mut *lock(&self.0);
        shown.finish_training();
        shown.scoring.finish();
        shown.bar.take().into_iter().for_each(|(_, bar)| bar.finish());
    }

    /// The error of a picture that was not drawn.
    pub(super) fn drawn(&self) -> Result<()> {
        lock(&self.0).undrawn.take().map_or(Ok(()), Err)
    }
}

impl Shown {
    /// The bars of the training run in a folder.
    fn training(&mut self, run: &Path) -> &mut Watched {
        if self.training.as_ref().is_some_and(|(running, _)| running != run) {
            self.finish_training();
        }
        &mut self.training.get_or_insert_with(|| (run.to_owned(), Watched::new(run))).1
    }

    fn finish_training(&mut self) {
        if let Some((_, watched)) = self.training.take() {
            self.undrawn = self.undrawn.take().or(watched.finish().err());
        }
    }

    /// The bar of some work; replaces that of other work.
    fn bar(
        &mut self,
        label: &'static str,
        start: impl FnOnce(u64, &'static str) -> Progress,
    ) -> &mut Progress {
        if let Some((_, other)) = self.bar.take_if(|(running, _)| *running != label) {
            other.finish();
        }
        &mut self.bar.get_or_insert_with(|| (label, start(0, label))).1
    }
}
