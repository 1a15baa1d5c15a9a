//! Progress reports of trainings.

use std::ops::ControlFlow;
use std::sync::Mutex;

use crate::landmark::LabelCount;
use crate::tune::Tuned;
use crate::views::ViewExample;

/// Progress of a training.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Progress {
    /// Device of entropies, weights, drawn pixels, views and the loss of an encoder; reported once, first of all. The network is
    /// on the CPU.
    Computing {
        /// "CPU" or "CUDA device NAME".
        scoring_and_loss: String,
        /// Why it is the CPU, although a device was sought.
        reason: Option<String>,
    },
    /// Images read.
    Reading {
        /// Images done.
        done: usize,
        /// Total number of images.
        total: usize,
    },
    /// Images matched with the templates, in self-training.
    Labelling {
        /// Images done.
        done: usize,
        /// Total number of images.
        total: usize,
    },
    /// The labels of a round of self-training, before its network is trained.
    Labels {
        /// The round, from 0.
        round: usize,
        /// Number of rounds.
        rounds: usize,
        /// Numbers of kept and rejected labels of each landmark.
        labels: Vec<LabelCount>,
    },
    /// Examples of views, up to four of each tier; reported once, before the first step.
    Views(Vec<ViewExample>),
    /// The augmentation intensity of each tier was estimated (see [`estimate_after`](crate::AugmentationConfig::estimate_after)) and
    /// is used from now on.
    Estimated {
        /// Steps done.
        step: u64,
        /// The estimate.
        tuned: Box<Tuned>,
    },
    /// The encoder of a checkpoint was scored (see [`Paths::score`](crate::Paths::score)).
    Scored {
        /// Steps done.
        step: u64,
        /// Median over the templates of the mean radial error in mm.
        mre_mm: f64,
    },
    /// A step is done.
    Step {
        /// Steps done.
        step: u64,
        /// Fraction of the budget used, 0 to 1.
        fraction: f64,
        /// Sum of the terms of the loss.
        loss: f32,
        /// Terms of the loss.
        terms: LossTerms,
        /// Images per second, since the start or resumption.
        images_per_second: f64,
        /// Estimated remaining seconds.
        seconds_left: f64,
    },
}

/// Terms of a step's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LossTerms {
    /// Terms of an encoder's loss.
    Encoder {
        /// InfoNCE at strides 2, 4, 8, 16, 32 in nats.
        levels: [f32; 5],
        /// Mean cosine of the positives of the low, medium and high tier at stride 8, at the latest step at which it was
        /// measured; `None` for a tier without positives.
        psi: [Option<f32>; 3],
    },
    /// Terms of a landmark network's loss.
    Landmarks {
        /// Divergence of the heat maps from their targets in nats.
        heat: f32,
        /// Weighted loss of the offsets.
        offset: f32,
    },
}

/// Progress callback of a training, called by one thread at a time. A break stops the training after the current or next
/// step.
pub(crate) type Tell<'a> = &'a mut (dyn FnMut(Progress) -> ControlFlow<()> + Send);

/// Reports to the caller, and records its request to stop.
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

    /// Whether the caller requested a stop.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Runs work that counts its items from several threads.
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
