//! The networks as lists of layers with explicit forward and backward passes.
//!
//! All weights of a network are one vector, [`Parameters`], so that a gradient, an average and the optimiser's moments are
//! vectors of the same length. A layer knows where its own weights lie and calls the routines of [`infomark_kernels`].
//!
//! Passes work on one image: images of a batch go to threads, and what is summed over images is summed in their order, so that
//! results don't depend on the number of threads.

mod layers;
mod parameters;
mod unet;

use std::sync::{Mutex, PoisonError};

use infomark_kernels::winograd::Workspace;
use rayon::prelude::*;

pub(crate) use layers::{Convolution, Head, Kept, Layer, Weights};
pub(crate) use parameters::Parameters;
pub(crate) use unet::{STAGES, UNet};

/// Channel groups of a normalisation.
pub(crate) const GROUPS: usize = 8;

/// What one image's passes keep between forward and backward, and its gradient by all weights.
#[derive(Default)]
pub(crate) struct Pass {
    /// Of the network's layers, in its order.
    pub(crate) kept: Vec<Kept>,
    /// By the weights.
    pub(crate) gradient: Vec<f32>,
}

impl Pass {
    /// Room for so many layers; what they kept before stays there to be overwritten.
    pub(crate) fn prepare(&mut self, layers: usize) {
        self.kept.resize_with(layers, Kept::default);
    }

    /// A gradient of zeros.
    pub(crate) fn clear_gradient(&mut self, len: usize) {
        self.gradient.clear();
        self.gradient.resize(len, 0.0);
    }
}

/// Buffers that a pass overwrites.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) workspace: Workspace,
    pub(crate) fine: Vec<f32>,
    pub(crate) coarse: Vec<f32>,
    pub(crate) back: Vec<f32>,
    pub(crate) levels: Vec<Vec<f32>>,
    pub(crate) skips: Vec<Vec<f32>>,
}

/// Buffers for as many threads as ask at a time, kept from step to step.
#[derive(Default)]
pub(crate) struct ScratchPool(Mutex<Vec<Scratch>>);

impl ScratchPool {
    /// Lends buffers to `work`.
    pub(crate) fn with<R>(&self, work: impl FnOnce(&mut Scratch) -> R) -> R {
        let lent = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = lent.unwrap_or_default();
        let result = work(&mut scratch);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        result
    }
}

/// A buffer of that length, whose values are to be overwritten.
pub(crate) fn sized(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}

/// Adds `more` to `sum`, element by element.
pub(crate) fn add(sum: &mut [f32], more: &[f32]) {
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum += more;
    }
}

/// Adds to `sum` the sum of the passes' gradients, taken in their order.
pub(crate) fn add_gradients(sum: &mut [f32], passes: &[Pass]) {
    let gradients: Vec<&[f32]> = passes.iter().map(|pass| pass.gradient.as_slice()).collect();
    add_in_order(sum, &gradients);
}

/// Adds to `sum` the sum of vectors of its length, taken in their order.
pub(crate) fn add_in_order(sum: &mut [f32], vectors: &[&[f32]]) {
    const PART: usize = 1 << 14;
    sum.par_chunks_mut(PART).enumerate().for_each(|(part, sum)| {
        let range = part * PART..part * PART + sum.len();
        let mut own = vec![0.0; sum.len()];
        for vector in vectors {
            add(&mut own, &vector[range.clone()]);
        }
        add(sum, &own);
    });
}
