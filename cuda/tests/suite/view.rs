//! Views and their points are the core's.

use super::sample::ulps;
use super::{Outcome, Setting, close, image, same, same_bits, tolerance, with_gaps};
use infomark_core::{IntensityJitter, Plane, PlaneMut, Point, Rng, Thresholds, TierPolicy, Warp};
use infomark_cuda::{Images, ViewGuide, ViewPlan};
use proptest::prelude::*;

/// A view as the host describes it.
#[derive(Clone, Copy, Debug)]
struct Described {
    image: usize,
    centre: Point<f32>,
    angle: f32,
    scale: f32,
    tone: IntensityJitter<f32>,
}

/// 1, or another factor.
fn factor(rng: &mut Rng, low: f32, high: f32) -> f32 {
    if rng.below(3) == 0 { 1.0 } else { rng.uniform_in(low, high) }
}

pub(crate) fn describe_tone(rng: &mut Rng) -> IntensityJitter<f32> {
    IntensityJitter {
        brightness: factor(rng, 0.0, 2.0),
        contrast: factor(rng, 0.0, 2.3),
        gamma: factor(rng, 0.25, 3.0),
    }
}

fn describe(rng: &mut Rng, images: usize, size: (usize, usize)) -> Described {
    let centre = |rng: &mut Rng, size: usize| match rng.below(3) {
        // Half pixels are where outside begins.
        0 => rng.below(2 * size as u64) as f32 * 0.5 - 0.5,
        _ => rng.uniform_in(-2.0, size as f32 + 2.0),
    };
    Described {
        image: rng.below(images as u64) as usize,
        centre: Point::new(centre(rng, size.0), centre(rng, size.1)),
        angle: factor(rng, -3.2, 3.2) - 1.0,
        scale: factor(rng, 0.3, 3.0),
        tone: describe_tone(rng),
    }
}

fn expected(
    source: Plane<'_, f32>,
    view: Described,
    size: (usize, usize),
    border: f32,
) -> Result<Vec<f32>, Box<dyn std::error::Error>> {
    let mut out = vec![0f32; size.0 * size.1];
    let warp = Warp::new(view.centre, view.angle, view.scale, size.0, size.1)?;
    let mut plane = PlaneMut::new(&mut out, size.0, size.1)?;
    warp.resample(source, plane.reborrow(), border)?;
    view.tone.apply_in_place(plane)?;
    Ok(out)
}

/// Whether the pixels of a view of some tone are as near as that tone allows.
pub(crate) fn compare(what: &str, tone: IntensityJitter<f32>, found: &[f32], expected: &[f32]) -> Outcome {
    let wide: Vec<f64> = expected.iter().map(|&v| f64::from(v)).collect();
    if tone.gamma != 1.0 {
        // A power of less than 1 is steep at 0, so what the mean's rounding moves is compared before it.
        let before = |values: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
            values.map(|v| v.powf(1.0 / f64::from(tone.gamma))).collect()
        };
        let found: Vec<f32> =
            before(&mut found.iter().map(|&v| f64::from(v))).into_iter().map(|v| v as f32).collect();
        return close(what, &found, &before(&mut wide.into_iter()), tolerance::GAMMA);
    }
    if tone.contrast != 1.0 {
        return close(what, found, &wide, tolerance::CONTRAST);
    }
    same_bits(what, found, expected)
}

fn views_agree(
    setting: &Setting<'_>,
    source: (usize, usize, usize),
    size: (usize, usize),
    count: usize,
    seed: u64,
) -> Outcome {
    const IMAGES: usize = 2;
    let (width, height, gap) = source;
    let mut rng = Rng::new(seed, 4);
    let bytes: Vec<u8> = (0..IMAGES).flat_map(|_| image(&mut rng, width, height)).collect();
    let floats: Vec<f32> = bytes.iter().map(|&v| f32::from(v) / 255.0).collect();
    let views: Vec<Described> = (0..count).map(|_| describe(&mut rng, IMAGES, (width, height))).collect();
    let border = [0.0, 0.25][seed as usize % 2];
    let plans = views.iter().map(|v| ViewPlan::new(v.image, v.centre, v.angle, v.scale, v.tone));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    let device = setting.device;
    let on_device = device.upload_views(&plans)?;
    let bytes_there = device.upload(&with_gaps(&bytes, width, width + gap, |i| i as u8))?;
    let floats_there = device.upload(&floats)?;
    let from_bytes = Images::with_stride(&bytes_there, IMAGES, width, height, width + gap)?;
    let from_floats = Images::new(&floats_there, IMAGES, width, height)?;
    let a = device.download(&device.make_views(from_bytes, &on_device, size.0, size.1, border)?)?;
    let b = device.download(&device.make_views(from_floats, &on_device, size.0, size.1, border)?)?;
    same_bits("views of bytes and of floats", &a, &b)?;
    setting.see_floats(&a);
    for (&view, found) in views.iter().zip(a.chunks_exact(size.0 * size.1)) {
        let source = Plane::new(&floats[view.image * width * height..][..width * height], width, height)?;
        compare(&format!("{view:?}"), view.tone, found, &expected(source, view, size, border)?)?;
    }

    let points: Vec<u32> = (0..3 * count).map(|_| rng.below((width * height) as u64) as u32).collect();
    let pushed = device.push_points(&device.upload(&points)?, &on_device, width, size.0, size.1)?;
    for (i, pair) in device.download(&pushed)?.into_iter().enumerate() {
        let view = views[i / 3];
        let warp = Warp::new(view.centre, view.angle, view.scale, size.0, size.1)?;
        let (x, y) = (points[i] as usize % width, points[i] as usize / width);
        let at = Point::new(x as f32, y as f32);
        let expected = warp.push(at).map(|view| infomark_core::Positive { view, image: at });
        same("pushed point", &pair.positive(), &expected)?;
    }
    Ok(())
}

fn plans_agree(setting: &Setting<'_>, images: usize, per_image: usize, seed: u64) -> Outcome {
    const SIDE: usize = 6;
    let mut rng = Rng::new(seed, 5);
    let entropy: Vec<f32> = (0..images * SIDE * SIDE).map(|_| rng.uniform_in(0.0, 4.0)).collect();
    let centres: Vec<u32> = (0..images * per_image).map(|_| rng.below(40) as u32).collect();
    let guide = ViewGuide {
        thresholds: Thresholds::new(1.0, 2.5)?,
        policy: TierPolicy::published(),
        rotation_rad: 0.35,
        scale: 1.4,
    };
    let device = setting.device;
    let entropy_there = device.upload(&entropy)?;
    let maps = Images::new(&entropy_there, images, SIDE, SIDE)?;
    let plans = device.plan_views(maps, &device.upload(&centres)?, &guide, seed, 100)?;
    let plans = device.download_views(&plans)?;
    same("number of plans", &plans.len(), &centres.len())?;
    for (v, (plan, &centre)) in plans.into_iter().zip(&centres).enumerate() {
        let (image, centre) = (v / per_image, (centre as usize).min(SIDE * SIDE - 1));
        let tier = guide.thresholds.tier(entropy[image * SIDE * SIDE + centre]);
        let mut rng = Rng::new(seed, 100 + v as u64);
        let tone = guide.policy.range(tier).draw(&mut rng);
        let angle = rng.uniform_in(-guide.rotation_rad, guide.rotation_rad);
        let log_scale = infomark_core::Real::ln(guide.scale);
        let scale = infomark_core::Real::exp(rng.uniform_in(-log_scale, log_scale));
        let at = Point::new((centre % SIDE) as f32, (centre / SIDE) as f32);
        let expected = ViewPlan::new(image, at, angle, scale, tone)?;
        same("image", &plan.image(), &image)?;
        same("centre", &plan.centre(), &at)?;
        same("tone", &plan.tone(), &tone)?;
        let (a, b) = (plan.turn(), expected.turn());
        let worst = ulps(a.x, b.x).max(ulps(a.y, b.y));
        if worst > tolerance::PLAN_ULPS {
            return Err(format!("{plan:?} instead of {expected:?}: {worst} units off").into());
        }
    }
    Ok(())
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    views_agree(setting, (1, 1, 0), (1, 1), 3, 1)?;
    views_agree(setting, (5, 4, 1), (3, 2), 0, 2)?;
    if setting.large {
        views_agree(setting, (90, 70, 0), (64, 48), 4, 3)?;
    }
    let cases = (1usize..14, 1usize..14, 0usize..3, 1usize..12, 1usize..12, 1usize..4, any::<u64>());
    setting.holds(&cases, |(width, height, gap, view_width, view_height, count, seed)| {
        plans_agree(setting, 1 + seed as usize % 3, count, seed)?;
        views_agree(setting, (width, height, gap), (view_width, view_height), count, seed)
    })
}
