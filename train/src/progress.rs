//! What trainings report while they run.

use std::ops::ControlFlow;
use std::sync::Mutex;

use crate::landmark::LabelCount;
use crate::tune::Tuned;
use crate::views::ViewExample;

/// Progress of a training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Where entropies, weights, drawn pixels, views and the loss of an encoder are computed; reported once, first of all. The network is
    /// on the CPU.
    Computing {
        /// "CPU" or "CUDA device NAME".
        scoring_and_loss: String,
        /// Why that is the CPU, where a device was looked for.
        reason: Option<String>,
    },
    /// Images read.
    Reading {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// Images matched with the templates, in self-training.
    Labelling {
        /// Images done.
        done: usize,
        /// Images in all.
        total: usize,
    },
    /// The labels of a round of self-training, before its network is trained.
    Labels {
        /// The round, from 0.
        round: usize,
        /// Rounds in all.
        rounds: usize,
        /// Labels that are learnt, and those that are left out, for each landmark.
        labels: Vec<LabelCount>,
    },
    /// Examples of the views that an encoder will compare, up to four of each tier; reported once, before the first step.
    Views(Vec<ViewExample>),
    /// The intensity of each tier was estimated, if [`estimate_after`](crate::AugmentationConfig::estimate_after) asks for it; the
    /// training uses it from now on.
    Estimated {
        /// Steps done.
        step: u64,
        /// The estimate.
        tuned: Box<Tuned>,
    },
    /// The encoder of a checkpoint was scored, if [`Paths::score`](crate::Paths::score) asks for it.
    Scored {
        /// Steps done.
        step: u64,
        /// Median over the templates of the mean radial error in mm.
        mre_mm: f64,
    },
    /// A step was made.
    Step {
        /// Steps done.
        step: u64,
        /// Fraction of the budget that is used, 0 to 1.
        fraction: f64,
        /// Sum of the loss's terms.
        loss: f32,
        /// Terms of the loss.
        terms: LossTerms,
        /// Images a second, since the start or resumption.
        images_per_second: f64,
        /// Seconds left, about.
        seconds_left: f64,
    },
}

/// Terms of a step's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossTerms {
    /// Of an encoder.
    Encoder {
        /// InfoNCE at strides 2, 4, 8, 16, 32 in nats.
        levels: [f32; 5],
        /// Mean cosine of the positives of the low, medium and high tier at stride 8, of the latest step at which it was
        /// measured; none for a tier that had none.
        psi: [Option<f32>; 3],
    },
    /// Of a landmark network.
    Landmarks {
        /// Divergence of the heat maps from their targets in nats.
        heat: f32,
        /// Loss of the offsets, weighted.
        offset: f32,
    },
}

/// Called with the progress of a training, by one thread at a time. A break stops the training after the step that is under way, or
/// the next one where none is.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(Progress) -> ControlFlow<()> + Send);

/// Reports to the caller, and remembers that it wants to stop.
pub(crate) struct Reporter<'a> {
    tell: Tell<'a>,
    stopped: bool,
}

impl<'a> Reporter<'a> {
    pub(crate) fn new(tell: Tell<'a>) -> Self {
        Self { tell, stopped: false }
    }

    pub(crate) fn report(&mut self, progress: Progress) {
        self.stopped |= (self.tell)(progress).is_break();
    }

    /// Whether the caller has asked to stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Does work that counts its items from several threads.
    pub(crate) fn counting<T>(
        &mut self,
        progress: impl Fn(usize, usize) -> Progress + Sync,
        work: impl FnOnce(&(dyn Fn(usize, usize) + Sync)) -> T,
    ) -> T {
        let reporter = Mutex::new(self);
        work(&|done, total| {
            if let Ok(mut reporter) = reporter.lock() {
                reporter.report(progress(done, total));
            }
        })
    }
}
