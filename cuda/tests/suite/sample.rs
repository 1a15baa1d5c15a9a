//! Weights and drawn pixels are the core's.

use super::{Outcome, Setting, same, same_bits, tolerance};
use infomark_core::{Plane, PlaneMut, Rng, Sampler, Weighting, weight_map};
use infomark_cuda::{Images, PixelSampler};
use proptest::prelude::*;

/// Steps between two numbers of one sign.
pub(crate) fn ulps(a: f32, b: f32) -> u32 {
    if a == b { 0 } else { a.to_bits().abs_diff(b.to_bits()) }
}

fn weights_agree(setting: &Setting<'_>, entropy: &[f32], width: usize, weighting: Weighting<f32>) -> Outcome {
    let height = entropy.len() / width;
    let mut expected = vec![0f32; entropy.len()];
    weight_map(Plane::new(entropy, width, height)?, weighting, PlaneMut::new(&mut expected, width, height)?)?;
    let on_device = setting.device.upload(entropy)?;
    let found = setting.device.weight_map(Images::new(&on_device, 1, width, height)?, weighting)?;
    let found = setting.device.download(&found)?;
    setting.see_floats(&found);
    match weighting {
        Weighting::Piecewise { .. } => same_bits("weights", &found, &expected),
        Weighting::Exponential { .. } => {
            let worst = found.iter().zip(&expected).map(|(&f, &e)| ulps(f, e)).max().unwrap_or(0);
            if worst <= tolerance::POWER_ULPS {
                return Ok(());
            }
            Err(format!("weights of {weighting:?} are {worst} units off").into())
        }
    }
}

fn sampler(
    setting: &Setting<'_>,
    weights: &[f32],
    count: usize,
    width: usize,
) -> Result<PixelSampler, infomark_cuda::CudaError> {
    let on_device = setting.device.upload(weights)?;
    let height = weights.len() / count / width;
    setting.device.pixel_sampler(Images::new(&on_device, count, width, height)?)
}

fn draws_agree(setting: &Setting<'_>, weights: &[f32], count: usize, width: usize, seed: u64) -> Outcome {
    const DRAWS: usize = 37;
    let (first_stream, first_draw) = (seed ^ 5, seed % 11);
    let sampler = sampler(setting, weights, count, width)?;
    let found = setting.device.draw_pixels(&sampler, DRAWS, seed, first_stream, first_draw)?;
    let found = setting.device.download(&found)?;
    setting.see(found.iter().copied());
    let pixels = weights.len() / count;
    let mut expected = Vec::new();
    for (image, weights) in weights.chunks_exact(pixels).enumerate() {
        let mut sums = vec![0.0; pixels];
        let sampler = Sampler::new(Plane::new(weights, width, pixels / width)?, &mut sums)?;
        let mut rng = Rng::new(seed, first_stream.wrapping_add(image as u64));
        rng.seek(2 * first_draw);
        for _ in 0..DRAWS {
            let (x, y) = sampler.draw(&mut rng);
            expected.push((y * width + x) as u32);
        }
    }
    same("drawn pixels", &found, &expected)
}

/// Weights over many powers of 2, with whole stretches of 0: additions round, but what has no weight is never drawn.
fn nothing_light_is_drawn(setting: &Setting<'_>, count: usize, seed: u64) -> Outcome {
    let mut rng = Rng::new(seed, 3);
    let weights: Vec<f32> =
        (0..count)
            .map(|i| {
                if i / 3 % 2 == 0 { 0.0 } else { 2f32.powi(rng.below(60) as i32 - 30) * rng.uniform::<f32>() }
            })
            .chain([1.0])
            .collect();
    let sampler = sampler(setting, &weights, 1, weights.len())?;
    let sums = setting.device.download(sampler.sums())?;
    let before = std::iter::once(0.0).chain(sums.iter().copied());
    for (i, (before, (&sum, &weight))) in before.zip(sums.iter().zip(&weights)).enumerate() {
        let stays = weight > 0.0 || sum == before;
        if sum < before || !stays {
            return Err(format!("from {before:e} to {sum:e} at {i}, whose weight is {weight:e}").into());
        }
    }
    let drawn = setting.device.draw_pixels(&sampler, 200, seed, 0, 0)?;
    for pixel in setting.device.download(&drawn)? {
        if weights.get(pixel as usize).is_none_or(|&weight| weight <= 0.0) {
            return Err(format!("pixel {pixel} of {} has no weight", weights.len()).into());
        }
    }
    Ok(())
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    draws_agree(setting, &[0.5], 1, 1, 1)?;
    draws_agree(setting, &[0.0, 0.0, 3.0, 0.0], 1, 2, 2)?;
    let cases = (1usize..4, 1usize..23, 1usize..23, any::<u64>());
    setting.holds(&cases, |(count, width, height, seed)| {
        let mut rng = Rng::new(seed, 2);
        let values: Vec<f32> = (0..count * width * height)
            .map(|_| if rng.below(4) == 0 { 0.0 } else { rng.uniform_in(0.0f32, 5.5) })
            .collect();
        let alpha = [0.0, 0.01, 0.3, 1.0, 2.5][seed as usize % 5];
        weights_agree(setting, &values, width, Weighting::Exponential { alpha })?;
        weights_agree(setting, &values, width, Weighting::Piecewise { threshold: alpha })?;
        nothing_light_is_drawn(setting, 1 + seed as usize % 900, seed)?;
        if values.chunks_exact(width * height).all(|image| image.iter().any(|&v| v > 0.0)) {
            draws_agree(setting, &values, count, width, seed)?;
        }
        Ok(())
    })
}
