//! The loss and its gradient are the core's in `f64`, and the gradient that of the loss.

use super::{Outcome, Setting, close, same, tolerance};
use half::bf16;
use infomark_core::{FeatureMap, InfoNce, Negatives, Point, Positive, Rng};
use infomark_cuda::{Buffer, CudaError, Device, Feature, Features, Gradients, Level, PointPair};
use proptest::prelude::*;

/// Features of one precision.
trait Precision: Feature {
    fn round(value: f64) -> Self;
    fn exact(self) -> f64;
}

impl Precision for f32 {
    fn round(value: f64) -> Self {
        value as f32
    }
    fn exact(self) -> f64 {
        f64::from(self)
    }
}

impl Precision for bf16 {
    fn round(value: f64) -> Self {
        Self::from_f64(value)
    }
    fn exact(self) -> f64 {
        self.to_f64()
    }
}

/// One level: sizes of view and image with their strides, channels, and the loss.
#[derive(Clone, Copy, Debug)]
struct Shape {
    view: (usize, usize, usize),
    image: (usize, usize, usize),
    channels: usize,
    negatives: Negatives,
    exclusion_radius: usize,
    temperature: f32,
}

/// A loss, and its gradients by views and images.
type LossAndGradients = (f64, Vec<f64>, Vec<f64>);

/// A level's features, and what the core makes of them.
struct Twin<P> {
    shape: Shape,
    views: Vec<P>,
    images: Vec<P>,
}

impl<P: Precision> Twin<P> {
    fn new(rng: &mut Rng, shape: Shape, images: usize, per_image: usize) -> Self {
        let mut features = |maps: usize, (width, height, _): (usize, usize, usize)| -> Vec<P> {
            let mut values: Vec<f64> = Vec::new();
            for _ in 0..maps {
                let cells = width * height;
                let map: Vec<f64> = (0..shape.channels * cells).map(|_| rng.normal()).collect();
                let length = |cell: usize| {
                    (0..shape.channels).map(|c| map[c * cells + cell].powi(2)).sum::<f64>().sqrt()
                };
                values.extend((0..map.len()).map(|i| map[i] / length(i % cells).max(1e-3)));
            }
            values.into_iter().map(P::round).collect()
        };
        let views = features(images * per_image, shape.view);
        let images = features(images, shape.image);
        Self { shape, views, images }
    }

    fn loss(&self) -> InfoNce<f64> {
        let Shape { negatives, exclusion_radius, temperature, .. } = self.shape;
        InfoNce { negatives, exclusion_radius, temperature: f64::from(temperature) }
    }

    /// The loss over all views, and the gradients by views and images, by the core.
    fn core(
        &self,
        views: &[f64],
        images: &[f64],
        positives: &[Vec<Positive<f64>>],
        per_image: usize,
    ) -> Result<LossAndGradients, Box<dyn std::error::Error>> {
        let Shape { view, image, channels, .. } = self.shape;
        let (view_len, image_len) = (channels * view.0 * view.1, channels * image.0 * image.1);
        let (mut grad_views, mut grad_images) = (vec![0.0; views.len()], vec![0.0; images.len()]);
        let mut total = 0.0;
        for (v, positives) in positives.iter().enumerate() {
            let (of_view, of_image) = (
                v * view_len..(v + 1) * view_len,
                v / per_image * image_len..(v / per_image + 1) * image_len,
            );
            let from = FeatureMap::new(&views[of_view.clone()], channels, view.0, view.1, view.2)?;
            let to = FeatureMap::new(&images[of_image.clone()], channels, image.0, image.1, image.2)?;
            let mut scratch = vec![0.0; self.loss().scratch_len(to)];
            let (grad_view, grad_image) = (&mut grad_views[of_view], &mut grad_images[of_image]);
            total += self.loss().backward(from, to, positives, grad_view, grad_image, &mut scratch)?;
        }
        Ok((total, grad_views, grad_images))
    }

    fn exact(&self) -> (Vec<f64>, Vec<f64>) {
        let exact = |values: &[P]| values.iter().map(|v| v.exact()).collect();
        (exact(&self.views), exact(&self.images))
    }
}

/// Features of a level on the device.
struct There<P> {
    views: Buffer<P>,
    images: Buffer<P>,
}

impl<P: Precision> There<P> {
    fn new(device: &Device, twin: &Twin<P>) -> Result<Self, CudaError> {
        Ok(Self { views: device.upload(&twin.views)?, images: device.upload(&twin.images)? })
    }

    fn level(&self, shape: Shape, images: usize, per_image: usize) -> Result<Level<'_, P>, CudaError> {
        let Shape { view, image, channels, negatives, exclusion_radius, temperature } = shape;
        Ok(Level {
            views: Features::new(&self.views, images * per_image, channels, view.0, view.1, view.2)?,
            images: Features::new(&self.images, images, channels, image.0, image.1, image.2)?,
            loss: InfoNce { negatives, temperature, exclusion_radius },
        })
    }
}

fn agrees<P: Precision>(
    setting: &Setting<'_>,
    shapes: &[Shape],
    (images, per_image, count): (usize, usize, usize),
    seed: u64,
) -> Outcome {
    const SCALE: f32 = 0.25;
    let device = setting.device;
    let mut rng = Rng::new(seed, 6);
    let twins: Vec<Twin<P>> = shapes.iter().map(|&s| Twin::new(&mut rng, s, images, per_image)).collect();
    let side = shapes.first().map_or(1, |s| s.image.0 * s.image.2) as f32;
    let pairs: Vec<PointPair> = (0..images * per_image * count)
        .map(|_| {
            if rng.below(5) == 0 {
                return PointPair::NONE;
            }
            // Also outside, where the nearest cell counts.
            let mut point = || Point::new(rng.uniform_in(-3.0, side + 3.0), rng.uniform_in(-3.0, side + 3.0));
            PointPair::from(Positive { view: point(), image: point() })
        })
        .collect();
    let wide = |pair: &PointPair| {
        let Positive { view, image } = pair.positive()?;
        Some(Positive { view: view.cast(), image: image.cast() })
    };
    let positives: Vec<Vec<Positive<f64>>> = (0..images * per_image)
        .map(|v| pairs[v * count..(v + 1) * count].iter().filter_map(wide).collect())
        .collect();

    let there = twins.iter().map(|t| There::new(device, t)).collect::<Result<Vec<_>, _>>()?;
    let levels = there.iter().zip(&twins).map(|(there, twin)| there.level(twin.shape, images, per_image));
    let levels = levels.collect::<Result<Vec<_>, _>>()?;
    let pairs = device.upload(&pairs)?;
    let forward = device.download(&device.info_nce(&levels, &pairs)?)?;
    // Gradients are added to.
    let mut sums = Vec::new();
    for twin in &twins {
        sums.push((
            device.upload(&vec![1f32; twin.views.len()])?,
            device.upload(&vec![2f32; twin.images.len()])?,
        ));
    }
    let mut gradients: Vec<Gradients<'_>> =
        sums.iter_mut().map(|(views, images)| Gradients { views, images }).collect();
    let losses = device.info_nce_backward(&levels, &pairs, &mut gradients, SCALE)?;
    let losses = device.download(&losses)?;
    same("losses with and without gradient", &losses, &forward)?;
    setting.see_floats(&losses);

    for (i, (twin, (views, images))) in twins.iter().zip(&sums).enumerate() {
        let what = format!("level {i} of {shapes:?}");
        let (exact_views, exact_images) = twin.exact();
        let (loss, by_views, by_images) = twin.core(&exact_views, &exact_images, &positives, per_image)?;
        close(&format!("loss, {what}"), &losses[i..=i], &[loss], tolerance::LOSS * (1.0 + loss.abs()))?;
        let largest = by_views.iter().chain(&by_images).fold(0.0f64, |m, g| m.max(g.abs()));
        for (name, found, start, expected) in
            [("views", views, 1.0, by_views), ("images", images, 2.0, by_images)]
        {
            let found = device.download(found)?;
            setting.see_floats(&found);
            let expected: Vec<f64> = expected.iter().map(|g| start + f64::from(SCALE) * g).collect();
            // What is added to rounds too.
            let near = tolerance::GRADIENT * largest + 3e-7;
            close(&format!("gradient by {name}, {what}"), &found, &expected, near)?;
        }
    }
    Ok(())
}

/// The gradients of one level against differences of the core's loss in `f64`.
fn differences_agree<P: Precision>(setting: &Setting<'_>, shape: Shape, seed: u64) -> Outcome {
    const STEP: f64 = 1e-5;
    let device = setting.device;
    let mut rng = Rng::new(seed, 7);
    let twin = Twin::<P>::new(&mut rng, shape, 1, 1);
    let side = (shape.image.0 * shape.image.2) as f32;
    let positives: Vec<Positive<f32>> = (0..5)
        .map(|_| {
            let mut point = || Point::new(rng.uniform_in(0.0, side), rng.uniform_in(0.0, side));
            Positive { view: point(), image: point() }
        })
        .collect();
    let there = There::new(device, &twin)?;
    let (mut views, mut images) = (device.zeros(twin.views.len())?, device.zeros(twin.images.len())?);
    let pairs: Vec<PointPair> = positives.iter().map(|&p| p.into()).collect();
    let mut gradients = [Gradients { views: &mut views, images: &mut images }];
    device.info_nce_backward(&[there.level(shape, 1, 1)?], &device.upload(&pairs)?, &mut gradients, 1.0)?;
    let found: Vec<f32> = device.download(&views)?.into_iter().chain(device.download(&images)?).collect();

    let wide = positives.iter().map(|p| Positive { view: p.view.cast(), image: p.image.cast() }).collect();
    let wide: [Vec<Positive<f64>>; 1] = [wide];
    let (views, images) = twin.exact();
    let split = views.len();
    let all: Vec<f64> = views.into_iter().chain(images).collect();
    let loss = |all: &[f64]| twin.core(&all[..split], &all[split..], &wide, 1).map(|(loss, ..)| loss);
    let mut expected = Vec::new();
    for i in 0..all.len() {
        let mut moved = all.clone();
        moved[i] = all[i] + STEP;
        let above = loss(&moved)?;
        moved[i] = all[i] - STEP;
        expected.push((above - loss(&moved)?) / (2.0 * STEP));
    }
    let largest = expected.iter().fold(0.0f64, |m, g| m.max(g.abs()));
    close("gradient against differences", &found, &expected, tolerance::DIFFERENCES * largest)
}

fn shape() -> impl Strategy<Value = Shape> {
    let negatives = prop_oneof![
        Just(Negatives::WholeMap),
        (0usize..4).prop_map(|radius| Negatives::Window { radius }),
        Just(Negatives::Window { radius: usize::MAX }),
    ];
    let sides = (1usize..12, 1usize..12, 1usize..12, 1usize..12);
    let strides = (1usize..5, 1usize..5);
    let channels = prop_oneof![5 => 1usize..12, 1 => 60usize..70];
    (sides, strides, channels, negatives, 0usize..3, 0.05f32..1.0).prop_map(
        |((a, b, c, d), (view, image), channels, negatives, exclusion_radius, temperature)| Shape {
            view: (a, b, view),
            image: (c, d, image),
            channels,
            negatives,
            exclusion_radius,
            temperature,
        },
    )
}

pub(crate) fn run(setting: &Setting<'_>) -> Outcome {
    let one = Shape {
        view: (1, 1, 8),
        image: (1, 1, 8),
        channels: 1,
        negatives: Negatives::WholeMap,
        exclusion_radius: 0,
        temperature: 0.1,
    };
    agrees::<f32>(setting, &[one], (1, 1, 1), 1)?;
    agrees::<bf16>(setting, &[one], (2, 2, 0), 2)?;
    agrees::<f32>(setting, &[one], (0, 1, 3), 2)?;
    let small = Shape { view: (4, 3, 4), image: (5, 6, 4), channels: 3, ..one };
    let window =
        Shape { negatives: Negatives::Window { radius: 2 }, exclusion_radius: 1, temperature: 0.3, ..small };
    // More cells than a block holds slopes of, and more positives than it gathers at a time.
    let wide = Shape { view: (9, 8, 4), image: (20, 17, 4), channels: 3, ..one };
    let wide_window = Shape { negatives: Negatives::Window { radius: 9 }, ..wide };
    agrees::<f32>(setting, &[wide, wide_window], (1, 1, 37), 7)?;
    differences_agree::<f32>(setting, small, 3)?;
    differences_agree::<bf16>(setting, window, 4)?;
    if setting.large {
        let coarse = Shape { view: (9, 9, 16), image: (18, 17, 16), channels: 20, ..one };
        let fine = Shape {
            view: (18, 18, 8),
            image: (36, 34, 8),
            channels: 20,
            negatives: Negatives::Window { radius: 9 },
            exclusion_radius: 1,
            temperature: 0.1,
        };
        agrees::<f32>(setting, &[fine, coarse], (2, 1, 37), 5)?;
        agrees::<bf16>(setting, &[fine, coarse], (1, 2, 9), 6)?;
        agrees::<f32>(setting, &[window, small], (1, 1, 1000), 8)?;
    }
    let batches = (1usize..3, 1usize..3, 0usize..12);
    let cases = (prop::collection::vec(shape(), 1..4), batches, any::<u64>());
    setting.holds(&cases, |(shapes, batch, seed)| {
        if seed % 2 == 0 {
            agrees::<f32>(setting, &shapes, batch, seed)
        } else {
            agrees::<bf16>(setting, &shapes, batch, seed)
        }
    })
}
