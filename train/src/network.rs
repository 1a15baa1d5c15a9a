//! Networks as lists of layers with explicit forward and backward passes.
//!
//! All weights of a network are one vector, [`Parameters`], so that a gradient, an average and the optimiser's moments are
//! vectors of the same length. A layer stores the ranges of its weights and calls the routines of [`infomark_kernels`].
//!
//! A pass processes one image: images of a batch are distributed to threads, and sums over images are in their order, so that
//! results do not depend on the number of threads.

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

/// Activations of one image, kept from forward to backward, and its gradient with respect to all weights.
#[derive(Default)]
pub(crate) struct Pass {
    /// Activations of the layers, in order.
    pub(crate) kept: Vec<Kept>,
    /// Gradient with respect to the weights.
    pub(crate) gradient: Vec<f32>,
}

impl Pass {
    /// Allocates activations of `layers` layers; existing ones are kept to be overwritten.
    pub(crate) fn prepare(&mut self, layers: usize) {
        self.kept.resize_with(layers, Kept::default);
    }

    /// A gradient of zeros.
    pub(crate) fn clear_gradient(&mut self, len: usize) {
        self.gradient.clear();
        self.gradient.resize(len, 0.0);
    }
}

/// Temporary buffers of a pass.
#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) workspace: Workspace,
    pub(crate) fine: Vec<f32>,
    pub(crate) coarse: Vec<f32>,
    pub(crate) back: Vec<f32>,
    pub(crate) levels: Vec<Vec<f32>>,
    pub(crate) skips: Vec<Vec<f32>>,
}

/// Pool of buffers, one per concurrent thread, kept from step to step.
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

/// A buffer of this length, with arbitrary content.
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

/// Adds to `sum` the sum of the passes' gradients, in order.
pub(crate) fn add_gradients(sum: &mut [f32], passes: &[Pass]) {
    let gradients: Vec<&[f32]> = passes.iter().map(|pass| pass.gradient.as_slice()).collect();
    add_in_order(sum, &gradients);
}

/// Adds to `sum` the sum of vectors of its length, in order.
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
