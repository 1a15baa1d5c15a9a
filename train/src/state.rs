//! State of a training: weights, their moving average, and the optimiser's moments.

use std::ops::Range;

use crate::network::Parameters;
use crate::optimizer::{AdamW, clip};
use crate::wire::{Reader, put_f32s};
use crate::{RunError, TrainError};

/// Weights of a network in training with their moving average and the optimiser.
pub(crate) struct TrainState {
    pub(crate) parameters: Parameters,
    /// Exponential moving average of the parameters' values.
    pub(crate) average: Vec<f32>,
    pub(crate) optimizer: AdamW,
}

/// Options of an update of the weights.
#[derive(Clone, Copy)]
pub(crate) struct Update {
    /// Maximum norm of the gradient.
    pub(crate) gradient_clip: Option<f32>,
    /// Decay of the moving average.
    pub(crate) ema_decay: f32,
}

impl TrainState {
    /// The state before the first step.
    pub(crate) fn new(parameters: Parameters, weight_decay: f32) -> Self {
        let optimizer = AdamW::new(weight_decay, parameters.len());
        Self { average: parameters.values.clone(), parameters, optimizer }
    }

    /// One optimiser step, with a learning rate per range of the weights.
    ///
    /// # Errors
    /// [`RunError::Diverged`] when a weight is not finite.
    pub(crate) fn update(
        &mut self,
        gradient: &mut [f32],
        rates: &[(Range<usize>, f64)],
        update: Update,
        step: u64,
    ) -> Result<(), TrainError> {
        if let Some(limit) = update.gradient_clip {
            clip(gradient, limit);
        }
        let values = &mut self.parameters.values;
        self.optimizer.step(values, gradient, rates);
        check_finite(values, step)?;
        blend(&mut self.average, values, update.ema_decay, step);
        Ok(())
    }

    /// The whole state as bytes, for other ranks.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(16 * self.parameters.len() + 8);
        put_f32s(&mut bytes, &self.parameters.values);
        put_f32s(&mut bytes, &self.average);
        self.optimizer.put(&mut bytes);
        bytes
    }

    /// Reads the bytes of [`to_bytes`](Self::to_bytes) for the same network.
    pub(crate) fn take_bytes(&mut self, bytes: &[u8]) -> Result<(), TrainError> {
        let (len, mut reader) = (self.parameters.len(), Reader(bytes));
        self.parameters.values = reader.f32s(len)?;
        self.average = reader.f32s(len)?;
        self.optimizer.take(&mut reader)
    }

    /// The weights to export: their average, or, with a decay of 0, the last ones.
    pub(crate) fn exported(&self, ema_decay: f32) -> &[f32] {
        if ema_decay > 0.0 { &self.average } else { &self.parameters.values }
    }
}

/// # Errors
/// [`RunError::Diverged`] for a value that is not finite.
pub(crate) fn check_finite(values: &[f32], step: u64) -> Result<(), TrainError> {
    if values.iter().all(|value| value.is_finite()) {
        Ok(())
    } else {
        Err(RunError::Diverged { step }.into())
    }
}

/// Adds the current weights to their average. The decay is smaller in the first steps, so that the random start is forgotten soon.
fn blend(average: &mut [f32], now: &[f32], decay: f32, step: u64) {
    let decay = decay.min((1 + step) as f32 / (10 + step) as f32);
    for (average, now) in average.iter_mut().zip(now) {
        *average = decay * *average + (1.0 - decay) * now;
    }
}
