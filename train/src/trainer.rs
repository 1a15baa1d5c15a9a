//! Training loop: steps, log, checkpoints and progress of any task.

use std::path::Path;

use infomark_infer::sha256;

use crate::checkpoint::{self, Header, Position};
use crate::clock::{Clock, Stopwatch, images_per_second};
use crate::group::Group;
use crate::log::{Columns, Log, Row};
use crate::progress::{LossTerms, Progress, Reporter};
use crate::schedule::Schedule;
use crate::state::TrainState;
use crate::{RunError, TrainError};

/// Number of steps of the mean loss in a summary.
const RECENT: usize = 50;

/// Training task: an encoder or a landmark network.
pub(crate) trait Task {
    /// Header of its checkpoints.
    type Header: Header;
    /// Columns of the log.
    const COLUMNS: Columns;

    fn schedule(&self) -> Schedule;

    /// Content of a checkpoint, besides the [`Position`].
    fn checkpoint(&self) -> (&Self::Header, &TrainState);

    /// Called before a step, with the fraction of the budget used.
    fn prepare(
        &mut self,
        _step: u64,
        _fraction: f64,
        _reporter: &mut Reporter<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// Makes a step with this learning rate.
    fn step(&mut self, step: u64, rate: f64) -> Result<Measured, TrainError>;

    /// The reported terms of a step's loss.
    fn terms(&mut self, measured: &Measured) -> LossTerms;

    /// Called after a checkpoint, and before the first step of a resumed run; its time is not counted in the budget.
    fn saved(&mut self, _step: u64, _log: &mut Log, _reporter: &mut Reporter<'_>) -> Result<(), TrainError> {
        Ok(())
    }
}

/// Metrics of a step.
pub(crate) struct Measured {
    /// Terms of the loss, as [`Task::COLUMNS`] names them.
    pub(crate) terms: Vec<f32>,
    /// Indicators, if measured.
    pub(crate) indicators: Vec<Option<f32>>,
}

/// End of a training.
pub(crate) struct Ended {
    pub(crate) position: Position,
    /// Mean loss of the last 50 steps; `None` without any.
    pub(crate) loss: Option<f32>,
    /// Whether the caller stopped it before the end of the budget.
    pub(crate) stopped: bool,
    /// Whether it was stopped early because the loss no longer decreased.
    pub(crate) stopped_early: bool,
}

/// Trains from a position until the budget is used, the loss no longer decreases or the caller stops, with log and checkpoints in the
/// folder `run`. Minutes of the budget are measured by the clock. In a group, only rank 0 writes, and a stop of one rank stops all.
///
/// # Errors
/// Those of the task's steps, [`RunError::Diverged`] for a loss that is not finite, when a file cannot be written, and when the weights of
/// ranks differ; each on all ranks.
pub(crate) fn train<T: Task>(
    task: &mut T,
    mut position: Position,
    (run, group): (&Path, &Group<'_>),
    clock: &Clock,
    reporter: &mut Reporter<'_>,
) -> Result<Ended, TrainError> {
    let schedule = task.schedule();
    same_weights(task, group)?;
    let mut begin = || {
        if !group.is_first() {
            return Ok(None);
        }
        let mut log = Log::open(run, position.step, T::COLUMNS)?;
        if position.step > 0 {
            task.saved(position.step, &mut log, reporter)?;
        }
        Ok(Some(log))
    };
    let begun = begin();
    let mut log = group.agree(begun)?;
    let (first, before) = (position.step, position.seconds);
    let mut losses = Vec::new();
    let mut watch = Stopwatch::start(clock);
    let mut stopped = false;
    loop {
        let done = schedule.fraction(position.step, position.seconds);
        let stopped_early = position.early_stopping.is_over(position.step, schedule.patience);
        if done >= 1.0 || stopped_early || stopped {
            let recent = &losses[losses.len().saturating_sub(RECENT)..];
            let loss = (!recent.is_empty()).then(|| recent.iter().sum::<f32>() / recent.len() as f32);
            let early = done < 1.0;
            return Ok(Ended {
                position,
                loss,
                stopped: stopped && early,
                stopped_early: stopped_early && early,
            });
        }
        let step = position.step;
        task.prepare(step, done, reporter)?;
        let rate = schedule.rate(step, done);
        let measured = task.step(step, rate)?;
        let loss: f32 = measured.terms.iter().sum();
        if !loss.is_finite() {
            return Err(RunError::Diverged { step }.into());
        }
        let took = before + watch.seconds() - position.seconds;
        position.step += 1;
        position.seconds += took;
        position.early_stopping.add(position.step, loss, schedule.patience);
        let row = Row {
            step: position.step,
            seconds: position.seconds,
            rate,
            loss,
            terms: &measured.terms,
            images_per_second: images_per_second(schedule.batch, took),
            indicators: &measured.indicators,
        };
        let logged = log.as_mut().map_or(Ok(()), |log| log.row(&row));
        losses.push(loss);
        let done = schedule.fraction(position.step, position.seconds);
        let per_step = (position.seconds - before) / (position.step - first) as f64;
        reporter.report(Progress::Step {
            step: position.step,
            fraction: done,
            loss,
            terms: task.terms(&measured),
            images_per_second: images_per_second(schedule.batch, per_step),
            seconds_left: schedule.seconds_left(position.step, position.seconds, per_step),
        });
        stopped = group.any(logged.map(|()| reporter.is_stopped()))?;
        let ends =
            done >= 1.0 || position.early_stopping.is_over(position.step, schedule.patience) || stopped;
        if ends || position.step.is_multiple_of(schedule.checkpoint_every) {
            same_weights(task, group)?;
            let mut save = || {
                let Some(log) = &mut log else { return Ok(()) };
                let (header, state) = task.checkpoint();
                checkpoint::save(run, header, &position, state)?;
                // The time of scoring is not counted in the budget.
                watch.pause(|| task.saved(position.step, log, reporter))
            };
            let saved = save();
            group.agree(saved)?;
            // Scoring reports, too.
            stopped = group.any(Ok(reporter.is_stopped()))?;
        }
    }
}

/// Fails if ranks differ in weights, averages or moments.
fn same_weights<T: Task>(task: &T, group: &Group<'_>) -> Result<(), TrainError> {
    group.same(|| {
        let (_, state) = task.checkpoint();
        Ok(vec![("the weights".to_owned(), format!("hash {}", sha256(&state.to_bytes())))])
    })
}
