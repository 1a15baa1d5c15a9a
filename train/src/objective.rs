//! Training loss over all levels, with its gradient.

use infomark_core::Positive;
use rayon::prelude::*;

use crate::TrainError;
use crate::compute::Compute;
use crate::level::{Level, map};
use crate::network::{Scratch, ScratchPool};

/// InfoNCE averaged over the positives of a batch and summed over the levels (method: `L = sum of the levels`), for some of its images.
///
/// Returns the losses of the levels, finest first, as sums for [`total`]; overwrites the features by their gradients.
/// `positives` are those of each view, of which an image has `of_image`; the batch has `count`.
pub(crate) fn objective(
    compute: &Compute,
    images: &mut [Level],
    views: &mut [Level],
    (positives, of_image): (&[Vec<Positive<f32>>], usize),
    count: f32,
    scratch: &ScratchPool,
) -> Result<[Vec<f32>; 5], TrainError> {
    match compute {
        Compute::Cpu(_) => on_cpu(images, views, positives, count, of_image, scratch),
        #[cfg(feature = "cuda")]
        Compute::Cuda(cuda) => Ok(cuda.objective(images, views, positives, count)?.map(|sum| vec![sum])),
    }
}

/// The losses of the levels: sums over the images in order, divided by the number of positives.
pub(crate) fn total(sums: &[Vec<f32>; 5], count: f32) -> [f32; 5] {
    sums.each_ref().map(|losses| losses.iter().sum::<f32>() / count)
}

/// The sums of each image. One image with its views at a time, to avoid a second copy of all features.
pub(crate) fn on_cpu(
    images: &mut [Level],
    views: &mut [Level],
    positives: &[Vec<Positive<f32>>],
    count: f32,
    of_image: usize,
    scratch: &ScratchPool,
) -> Result<[Vec<f32>; 5], TrainError> {
    let mut all: [Vec<f32>; 5] = Default::default();
    for ((losses, image), view) in all.iter_mut().zip(images).zip(views) {
        let (image_size, view_size, loss) = (image.size(), view.size(), image.loss);
        let (image_shape, view_shape) = (image.shape(), view.shape());
        let of_images = image.data.par_chunks_mut(image_size);
        let of_views = view.data.par_chunks_mut(view_size * of_image);
        let one = |features: &mut [f32], of_views: &mut [f32], positives: &[Vec<Positive<f32>>]| {
            scratch.with(|Scratch { fine, coarse, back, .. }| {
                let (image_grad, view_grads) = (zeros(fine, features.len()), zeros(coarse, of_views.len()));
                let image = map(features, image_shape)?;
                let scratch = zeros(back, loss.scratch_len(image));
                let mut sum = 0.0;
                let views = of_views.chunks_exact(view_size).zip(view_grads.chunks_exact_mut(view_size));
                for ((view, view_grad), positives) in views.zip(positives) {
                    sum += loss.backward(
                        map(view, view_shape)?,
                        image,
                        positives,
                        view_grad,
                        image_grad,
                        scratch,
                    )?;
                }
                let mean = |to: &mut [f32], from: &[f32]| {
                    to.iter_mut().zip(from).for_each(|(to, from)| *to = from / count);
                };
                mean(features, image_grad);
                mean(of_views, view_grads);
                Ok(sum)
            })
        };
        *losses = of_images
            .zip(of_views)
            .zip(positives.par_chunks(of_image))
            .map(|((features, of_views), positives)| one(features, of_views, positives))
            .collect::<Result<Vec<f32>, TrainError>>()?;
    }
    Ok(all)
}

/// A zeroed buffer.
fn zeros(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.clear();
    buffer.resize(len, 0.0);
    buffer
}
