//! Similarities are the core's, and the highest cells of a map are its highest.

use super::{Outcome, Setting, close, same, tolerance};
use half::bf16;
use infomark_core::{FeatureMap, Plane, PlaneMut, Rng, peak, similarity, similarity_scratch_len};
use infomark_cuda::{Feature, Features, SearchLevel, Similarities};
use proptest::prelude::*;
use std::cmp::Ordering;

/// Width, height and stride of each level.
type Levels = Vec<(usize, usize, usize)>;

/// The core's similarities in `f64`, all images and templates, and how large their products' sizes can be.
fn expected(
    levels: &Levels,
    features: &[Vec<f64>],
    templates: &[Vec<f64>],
    (images, count, channels): (usize, usize, usize),
    temperature: f64,
) -> Result<(Vec<f64>, f64), Box<dyn std::error::Error>> {
    let finest = levels.iter().min_by_key(|level| level.2).copied().unwrap_or((0, 0, 1));
    let mut all = Vec::new();
    for image in 0..images {
        let mut maps = Vec::new();
        for (&(width, height, stride), features) in levels.iter().zip(features) {
            let len = channels * width * height;
            maps.push(FeatureMap::new(&features[image * len..][..len], channels, width, height, stride)?);
        }
        for template in 0..count {
            let template: Vec<&[f64]> =
                templates.iter().map(|t| &t[template * channels..][..channels]).collect();
            let mut out = vec![0.0; finest.0 * finest.1];
            let mut scratch = vec![0.0; similarity_scratch_len(&maps)];
            let plane = PlaneMut::new(&mut out, finest.0, finest.1)?;
            similarity(&maps, &template, temperature, plane, &mut scratch)?;
            all.extend(out);
        }
    }
    let size = |lists: &[Vec<f64>]| lists.iter().flatten().fold(0.0f64, |m, v| m.max(v.abs()));
    let largest = size(features) * size(templates) * (channels * levels.len()) as f64 / temperature;
    Ok((all, largest))
}

/// The highest cells in order, by sorting, each refined by the core.
fn highest_agree(setting: &Setting<'_>, maps: &Similarities, values: &[f32], most: usize) -> Outcome {
    let found = setting.device.highest(maps, most)?;
    let cells = maps.width * maps.height;
    same("lists", &found.len(), &(maps.images * maps.templates))?;
    for (found, values) in found.iter().zip(values.chunks_exact(cells)) {
        let mut order: Vec<usize> = (0..cells).filter(|&i| !values[i].is_nan()).collect();
        order.sort_by(|&a, &b| values[b].partial_cmp(&values[a]).unwrap_or(Ordering::Equal).then(a.cmp(&b)));
        order.truncate(most);
        let sorted: Vec<f32> = order.iter().map(|&i| values[i]).collect();
        let listed: Vec<f32> = found.iter().map(|peak| peak.value).collect();
        same("highest values", &listed, &sorted)?;
        if most > 0 {
            let first = peak(Plane::new(values, maps.width, maps.height)?, maps.stride);
            same("first", &found.first().copied(), &first)?;
        }
        for (peak, &cell) in found.iter().zip(&order) {
            let stride = maps.stride as f32;
            let centre = |i: usize| (i as f32 + 0.5) * stride - 0.5;
            let (x, y) = (centre(cell % maps.width), centre(cell / maps.width));
            let off = (peak.at.x - x).abs().max((peak.at.y - y).abs());
            same("within half a cell", &(off <= 0.5 * stride), &true)?;
        }
    }
    Ok(())
}

fn agrees<F: Feature + From<bf16>>(
    setting: &Setting<'_>,
    levels: &Levels,
    (images, count, channels): (usize, usize, usize),
    most: usize,
    seed: u64,
) -> Outcome {
    let device = setting.device;
    let mut rng = Rng::new(seed, 8);
    let temperature = 0.1;
    let (mut exact_features, mut features) = (Vec::new(), Vec::new());
    let (mut exact_templates, mut templates) = (Vec::new(), Vec::new());
    for &(width, height, _) in levels {
        let values: Vec<bf16> =
            (0..images * channels * width * height).map(|_| bf16::from_f64(rng.normal())).collect();
        exact_features.push(values.iter().map(|v| v.to_f64()).collect());
        features.push(device.upload(&values.into_iter().map(F::from).collect::<Vec<F>>())?);
        let values: Vec<f32> = (0..count * channels).map(|_| rng.normal()).collect();
        exact_templates.push(values.iter().map(|&v| f64::from(v)).collect());
        templates.push(device.upload(&values)?);
    }
    let search = levels.iter().zip(&features).zip(&templates).map(|((level, features), templates)| {
        let &(width, height, stride) = level;
        Ok(SearchLevel {
            images: Features::new(features, images, channels, width, height, stride)?,
            templates,
        })
    });
    let search = search.collect::<Result<Vec<_>, infomark_cuda::CudaError>>()?;
    let maps = device.similarities(&search, temperature)?;
    let found = device.download(&maps.values)?;
    setting.see_floats(&found);
    let shape = (images, count, channels);
    let (expected, largest) =
        expected(levels, &exact_features, &exact_templates, shape, f64::from(temperature))?;
    close(&format!("similarities at {levels:?}"), &found, &expected, tolerance::SIMILARITY * largest)?;
    highest_agree(setting, &maps, &found, most)?;
    same("search", &device.search(&search, temperature, most)?, &device.highest(&maps, most)?)
}

/// Equal values and such as are no numbers.
fn ties_are_in_reading_order(setting: &Setting<'_>) -> Outcome {
    let maps = [
        vec![1.0, 3.0, 3.0, f32::NAN, 3.0, 0.0],
        vec![f32::NAN; 6],
        vec![f32::NEG_INFINITY, f32::INFINITY, -1.0, -1.0, f32::NAN, -0.0],
    ];
    let values: Vec<f32> = maps.concat();
    let on_device = setting.device.upload(&values)?;
    let maps = Similarities { values: on_device, images: 3, templates: 1, width: 3, height: 2, stride: 4 };
    let found = setting.device.highest(&maps, 6)?;
    let listed: Vec<Vec<f32>> = found.iter().map(|list| list.iter().map(|p| p.value).collect()).collect();
    let expected = [vec![3.0, 3.0, 3.0, 1.0, 0.0], vec![], vec![f32::INFINITY, 0.0, -1.0, -1.0]];
    same("values in order", &listed[..2], &expected[..2])?;
    same("values in order", &listed[2][..4].to_vec(), &expected[2])
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    ties_are_in_reading_order(setting)?;
    agrees::<f32>(setting, &vec![(1, 1, 8)], (1, 1, 1), 3, 1)?;
    // More cells and templates than a block takes.
    agrees::<f32>(setting, &vec![(30, 19, 4), (7, 5, 16)], (1, 9, 3), 4, 5)?;
    agrees::<bf16>(setting, &vec![(3, 2, 2)], (0, 2, 4), 3, 2)?;
    agrees::<bf16>(setting, &vec![(3, 2, 2)], (2, 0, 4), 3, 2)?;
    if setting.large {
        agrees::<f32>(setting, &vec![(6, 5, 4), (3, 3, 8)], (1, 1000, 4), 2, 3)?;
        agrees::<bf16>(setting, &vec![(40, 31, 2), (20, 16, 4), (10, 8, 8)], (1, 11, 16), 5, 4)?;
    }
    let level = (1usize..13, 1usize..13, 1usize..6);
    let shape = (1usize..3, 1usize..12, 1usize..9);
    let cases = (prop::collection::vec(level, 1..4), shape, 0usize..9, any::<u64>());
    setting.holds(&cases, |(levels, shape, most, seed)| {
        if seed % 2 == 0 {
            agrees::<f32>(setting, &levels, shape, most, seed)
        } else {
            agrees::<bf16>(setting, &levels, shape, most, seed)
        }
    })
}
