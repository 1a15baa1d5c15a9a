//! The steps of a training batch fit each other: from images to the loss of their views, without leaving the device.

use super::{Outcome, Setting, image, same};
use infomark_core::{
    InfoNce, IntensityRange, Negatives, PatchBorder, Rng, Thresholds, TierPolicy, Weighting,
};
use infomark_cuda::{Features, Gradients, Images, Level, ViewGuide};

const IMAGES: usize = 2;
const SIDE: usize = 40;
const VIEWS: usize = 2;
const VIEW: usize = 24;
const POINTS: usize = 9;
const CHANNELS: usize = 6;
const STRIDE: usize = 4;

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    let device = setting.device;
    let mut rng = Rng::new(11, 9);
    let bytes: Vec<u8> = (0..IMAGES).flat_map(|_| image(&mut rng, SIDE, SIDE)).collect();
    let bytes = device.upload(&bytes)?;
    let images = Images::new(&bytes, IMAGES, SIDE, SIDE)?;

    let entropy = device.entropy_map(images, 5, PatchBorder::Cut)?;
    let entropy = Images::new(&entropy, IMAGES, SIDE, SIDE)?;
    let weights = device.weight_map(entropy, Weighting::Piecewise { threshold: 0.5 })?;
    let sampler = device.pixel_sampler(Images::new(&weights, IMAGES, SIDE, SIDE)?)?;
    let factor = (0.5, 2.0);
    let guide = ViewGuide {
        thresholds: Thresholds::new(1.0, 2.0)?,
        policy: TierPolicy::uniform(IntensityRange::new(factor, factor, (1.0, 1.0))?),
        rotation_rad: 0.3,
        scale: 1.2,
    };
    let centres = device.draw_pixels(&sampler, VIEWS, 3, 0, 0)?;
    let plans = device.plan_views(entropy, &centres, &guide, 3, 100)?;
    let views = device.make_views(images, &plans, VIEW, VIEW, 0.0)?;
    let views = device.download(&views)?;
    same("pixels in [0, 1]", &views.iter().all(|v| (0.0..=1.0).contains(v)), &true)?;
    let points = device.draw_pixels(&sampler, VIEWS * POINTS, 3, 0, VIEWS as u64)?;
    let pairs = device.push_points(&points, &plans, SIDE, VIEW, VIEW)?;

    // A view is made around its centre, and shows a part of the points.
    let around = device.push_points(&centres, &plans, SIDE, VIEW, VIEW)?;
    let middle = (VIEW - 1) as f32 / 2.0;
    for pair in device.download(&around)? {
        let at = pair.positive().map(|positive| (positive.view.x, positive.view.y));
        same("the centre", &at, &Some((middle, middle)))?;
    }
    let shown = device.download(&pairs)?.iter().filter(|pair| pair.positive().is_some()).count();
    same("some points are shown", &(0 < shown && shown <= IMAGES * VIEWS * POINTS), &true)?;

    let mut features = |maps: usize, side: usize| -> Vec<f32> {
        (0..maps * CHANNELS * side * side).map(|_| rng.normal()).collect()
    };
    let (of_views, of_images) = (features(IMAGES * VIEWS, VIEW / STRIDE), features(IMAGES, SIDE / STRIDE));
    let (of_views, of_images) = (device.upload(&of_views)?, device.upload(&of_images)?);
    let level = Level {
        views: Features::new(&of_views, IMAGES * VIEWS, CHANNELS, VIEW / STRIDE, VIEW / STRIDE, STRIDE)?,
        images: Features::new(&of_images, IMAGES, CHANNELS, SIDE / STRIDE, SIDE / STRIDE, STRIDE)?,
        loss: InfoNce { negatives: Negatives::WholeMap, temperature: 0.5, exclusion_radius: 0 },
    };
    let (mut by_views, mut by_images) = (device.zeros(of_views.len())?, device.zeros(of_images.len())?);
    let mut gradients = [Gradients { views: &mut by_views, images: &mut by_images }];
    let loss = device.info_nce_backward(&[level], &pairs, &mut gradients, 1.0 / shown as f32)?;
    let loss = device.download(&loss)?;
    same("a loss", &loss.iter().all(|loss| loss.is_finite() && *loss > 0.0), &true)?;
    let by_images = device.download(&by_images)?;
    same("a gradient", &by_images.iter().any(|g| *g != 0.0), &true)
}
