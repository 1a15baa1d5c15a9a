//! Cholesky whitening of the exported embeddings.
//!
//! A cosine weights all directions of the embeddings equally, while training leaves most of their variance in a few: at the
//! finest stride in less than half of them. Whitening (as of image descriptors, Jegou & Chum, *Negative evidences and
//! co-occurences in image retrieval*, ECCV 2012) gives the others equal weight. Cosines of whitened embeddings depend only on the inverse of their
//! second moments, and a linear map of an embedding can be merged into its projection weights, at no cost.

use rayon::prelude::*;

use crate::data::TrainingSet;
use crate::encoder::{Encoder, STRIDES, unshuffle};
use crate::network::Head;
use crate::{RunError, TrainConfig, TrainError};

/// Number of images for the second moments, spread evenly over the folder.
const IMAGES: usize = 32;
/// Approximate number of cells of an image at one stride.
const CELLS: usize = 4096;
/// Shrinkage: added to the second moment of each direction, as a fraction of their mean; directions of nearly no variance are noise.
const SHRINKAGE: f64 = 0.1;

/// Whitens an encoder's embeddings over the training images, up to [`SHRINKAGE`], by changing its weights;
/// `step` is that of the training.
pub(crate) fn whiten(
    encoder: &Encoder,
    values: &mut [f32],
    set: &TrainingSet,
    config: &TrainConfig,
    step: u64,
) -> Result<(), TrainError> {
    let moments = moments(encoder, values, set, config)?;
    encoder.heads.iter().zip(&moments).try_for_each(|(head, moments)| fold(head, values, moments, step))
}

/// Second moments of the embeddings at each stride, `embedding x embedding`.
fn moments(
    encoder: &Encoder,
    values: &[f32],
    set: &TrainingSet,
    config: &TrainConfig,
) -> Result<Vec<Vec<f64>>, TrainError> {
    let (width, height, channels) = (set.input.width(), set.input.height(), config.model.embedding);
    let mut sums = vec![vec![0.0; channels * channels]; STRIDES.len()];
    let count = set.len().min(IMAGES);
    let images: Vec<usize> = (0..count).map(|i| i * set.len() / count).collect();
    let weights = encoder.weights(values);
    // In batches of a step, for which there are buffers.
    for images in images.chunks(config.sampling.batch) {
        let each = images.par_iter().map(|&image| {
            let levels: Vec<f32> = set.levels(image)?.iter().map(|level| f32::from(*level) / 255.0).collect();
            let mut blocks = vec![0.0; levels.len()];
            unshuffle(&levels, width, &mut blocks);
            let features = encoder.embeddings(&weights, &blocks, (width / 2, height / 2));
            let shown = set.content(image);
            let products = features.iter().zip(STRIDES).map(|(map, stride)| {
                let (columns, cells) = (width / stride, (width / stride) * (height / stride));
                // Odd, so that all columns are sampled.
                let step = (cells / CELLS).max(1) | 1;
                let centre = |cell: usize| (2 * cell + 1) * stride;
                let inside = |cell: &usize| {
                    let (x, y) = (centre(cell % columns), centre(cell / columns));
                    (2 * shown.x..2 * (shown.x + shown.width)).contains(&x)
                        && (2 * shown.y..2 * (shown.y + shown.height)).contains(&y)
                };
                let mut own = vec![0.0; channels * channels];
                for cell in (0..cells).step_by(step).filter(inside) {
                    let element = |channel: usize| f64::from(map[channel * cells + cell]);
                    for (i, row) in own.chunks_exact_mut(channels).enumerate() {
                        let first = element(i);
                        row.iter_mut().enumerate().for_each(|(j, sum)| *sum += first * element(j));
                    }
                }
                own
            });
            Ok(products.collect::<Vec<_>>())
        });
        for own in each.collect::<Result<Vec<_>, TrainError>>()? {
            for (sum, own) in sums.iter_mut().zip(own) {
                sum.iter_mut().zip(own).for_each(|(sum, own)| *sum += own);
            }
        }
    }
    Ok(sums)
}

/// Merges the whitening into a projection to embeddings: with `L L' = M + shrinkage` its weights become `L^-1 W`, as
/// `|L^-1 x|^2 = x' (M + shrinkage)^-1 x`. Embeddings are normalised to length 1 afterwards, so that the scale of `M` does not matter.
fn fold(head: &Head, values: &mut [f32], moments: &[f64], step: u64) -> Result<(), TrainError> {
    let lower = cholesky(moments, head.outputs).ok_or(TrainError::Run(RunError::Diverged { step }))?;
    solve(&lower, head.outputs, &mut values[head.weight.clone()]);
    solve(&lower, head.outputs, &mut values[head.bias.clone()]);
    Ok(())
}

/// The lower triangle `L` of `L L' = M / m + shrinkage`, `m` being the mean of the diagonal; `None` unless positive definite and finite.
fn cholesky(moments: &[f64], size: usize) -> Option<Vec<f64>> {
    let mean = (0..size).map(|i| moments[i * size + i]).sum::<f64>() / size as f64;
    let mut lower = vec![0.0; size * size];
    for i in 0..size {
        for j in 0..=i {
            let mut rest = moments[i * size + j] / mean + if i == j { SHRINKAGE } else { 0.0 };
            for k in 0..j {
                rest -= lower[i * size + k] * lower[j * size + k];
            }
            lower[i * size + j] = if i == j { rest.sqrt() } else { rest / lower[j * size + j] };
            if !lower[i * size + j].is_finite() || (i == j && lower[i * size + j] <= 0.0) {
                return None;
            }
        }
    }
    Some(lower)
}

/// Replaces the rows of `X`, as many as `lower` has, by those of `L^-1 X`.
fn solve(lower: &[f64], size: usize, rows: &mut [f32]) {
    let columns = rows.len() / size;
    for column in 0..columns {
        let mut solved = vec![0.0; size];
        for i in 0..size {
            let known: f64 = (0..i).map(|k| lower[i * size + k] * solved[k]).sum();
            solved[i] = (f64::from(rows[i * columns + column]) - known) / lower[i * size + i];
        }
        for (i, value) in solved.into_iter().enumerate() {
            rows[i * columns + column] = value as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compute::Compute;
    use crate::testing::noise;
    use std::error::Error;

    #[test]
    fn triangles_multiply_to_what_they_are_made_of_and_are_undone() {
        let size = 5;
        let half: Vec<f64> = noise(size * size, 1).into_iter().map(f64::from).collect();
        let product = |i: usize, j: usize, of: &[f64]| -> f64 {
            (0..size).map(|k| of[i * size + k] * of[j * size + k]).sum()
        };
        let moments: Vec<f64> = (0..size * size).map(|at| product(at / size, at % size, &half)).collect();
        let lower = cholesky(&moments, size).unwrap_or_default();
        let mean = (0..size).map(|i| moments[i * size + i]).sum::<f64>() / size as f64;
        for i in 0..size {
            for j in 0..size {
                let expected = moments[i * size + j] / mean + if i == j { SHRINKAGE } else { 0.0 };
                assert!((product(i, j, &lower) - expected).abs() < 1e-12);
            }
        }
        let rows = noise(size * 3, 2);
        let mut solved = rows.clone();
        solve(&lower, size, &mut solved);
        for (at, expected) in rows.iter().enumerate() {
            let again: f64 =
                (0..size).map(|k| lower[at / 3 * size + k] * f64::from(solved[k * 3 + at % 3])).sum();
            assert!((again - f64::from(*expected)).abs() < 1e-5);
        }
        assert!(cholesky(&[f64::NAN; 4], 2).is_none() && cholesky(&[0.0; 4], 2).is_none());
    }

    #[test]
    fn whitened_embeddings_have_more_even_moments() -> Result<(), Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let phantom = infomark_phantom::Phantom::new(96, 128)?;
        for i in 0..5 {
            std::fs::write(dir.path().join(format!("{i}.pgm")), phantom.image(0, i).pgm())?;
        }
        let config = TrainConfig::default().with(|o| {
            o.model.input_area = 96 * 128;
            o.model.channels = [8; 5];
            o.model.embedding = 8;
            o.sampling.batch = 2;
            o.sampling.view_size = 64;
        });
        let compute = Compute::open(crate::ComputeOn::Cpu, config.sampling.patch)?;
        let set = TrainingSet::open(dir.path(), &config, None, compute, &|_, _| {})?;
        let (encoder, mut parameters) = Encoder::new(&config);
        // Their trace over the root of the sum of all squares: 1 for a single direction, the root of 8 where all are alike.
        let evenness = |values: &[f32]| -> Result<Vec<f64>, TrainError> {
            let even = |m: &Vec<f64>| {
                let trace: f64 = (0..8).map(|i| m[i * 8 + i]).sum();
                trace / m.iter().map(|v| v * v).sum::<f64>().sqrt()
            };
            Ok(moments(&encoder, values, &set, &config)?.iter().map(even).collect())
        };
        let before = evenness(&parameters.values)?;
        whiten(&encoder, &mut parameters.values, &set, &config, 0)?;
        let after = evenness(&parameters.values)?;
        for (before, after) in before.iter().zip(&after) {
            assert!(after > before && *after <= 8f64.sqrt() + 1e-6, "{before} becomes {after}");
        }
        Ok(())
    }
}
