//! Check of the whole network's gradient against a naive `f64` version of network and loss.
//!
//! With `INFOMARK_GRADIENTS=DIR` the test also writes weights, inputs, pixels, loss and gradients to `DIR/gradients.json`, for
//! the comparison with PyTorch in `benches/peers/gradients`.

use std::error::Error;

use infomark_core::{Point, Positive, Rng};

use crate::LandmarkConfig;
use crate::TrainConfig;
use crate::batch::Batch;
use crate::compute::Compute;
use crate::encoder::{Encoder, STRIDES, unshuffle};
use crate::landmark::Net;
use crate::level::Level;
use crate::network::{GROUPS, Pass, Scratch, ScratchPool, add};
use crate::objective::{self, objective};
use crate::testing::noise;
use infomark_kernels::{head, norm};

const WIDTHS: [usize; 5] = [8, 8, 16, 16, 16];
const EMBEDDING: usize = 6;
/// Width and height of the image, and side of its two views.
const IMAGE: (usize, usize) = (96, 32);
const SIDE: usize = 32;
const VIEWS: usize = 2;
const PIXELS: usize = 9;

/// Planes of one size.
#[derive(Clone)]
struct Map {
    planes: Vec<Vec<f64>>,
    width: usize,
    height: usize,
}

impl Map {
    fn at(&self, plane: usize, x: isize, y: isize) -> f64 {
        let inside = x >= 0 && y >= 0 && (x as usize) < self.width && (y as usize) < self.height;
        if inside { self.planes[plane][y as usize * self.width + x as usize] } else { 0.0 }
    }

    fn make(planes: usize, width: usize, height: usize, at: impl Fn(usize, usize, usize) -> f64) -> Self {
        let plane = |p| (0..width * height).map(|i| at(p, i % width, i / width)).collect();
        Self { planes: (0..planes).map(plane).collect(), width, height }
    }
}

/// Reads the weights tensor by tensor.
struct Weights<'a>(std::slice::Iter<'a, Vec<f64>>);

impl Weights<'_> {
    fn next(&mut self) -> &[f64] {
        self.0.next().map(Vec::as_slice).unwrap_or_default()
    }

    /// Convolution, group normalisation, ReLU.
    fn layer(&mut self) -> [Vec<f64>; 3] {
        std::array::from_fn(|_| self.next().to_vec())
    }
}

fn convolve(weight: &[f64], x: &Map) -> Map {
    let inputs = x.planes.len();
    Map::make(weight.len() / (9 * inputs), x.width, x.height, |o, px, py| {
        let mut sum = 0.0;
        for i in 0..inputs {
            for tap in 0..9 {
                let at = (px as isize + tap as isize % 3 - 1, py as isize + tap as isize / 3 - 1);
                sum += weight[(o * inputs + i) * 9 + tap] * x.at(i, at.0, at.1);
            }
        }
        sum
    })
}

fn apply([weight, gamma, beta]: &[Vec<f64>; 3], x: &Map) -> Map {
    let (convolved, outputs) = (convolve(weight, x), gamma.len());
    let of_group = outputs / GROUPS;
    let moments: Vec<(f64, f64)> = convolved
        .planes
        .chunks(of_group)
        .map(|group| {
            let all: Vec<f64> = group.concat();
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            let variance = all.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / all.len() as f64;
            (mean, (variance + f64::from(norm::EPSILON)).sqrt())
        })
        .collect();
    Map::make(outputs, x.width, x.height, |o, px, py| {
        let (mean, deviation) = moments[o / of_group];
        let v = convolved.planes[o][py * x.width + px];
        (gamma[o] * (v - mean) / deviation + beta[o]).max(0.0)
    })
}

/// Features of the U-Net's levels from `finest` on, for an image of this width.
fn features(weights: &mut Weights<'_>, pixels: &[f32], width: usize, finest: usize) -> Vec<Map> {
    let height = pixels.len() / width;
    let down: Vec<_> = (0..5).map(|_| [weights.layer(), weights.layer()]).collect();
    let up: Vec<_> = (finest..4).map(|_| [weights.layer(), weights.layer()]).collect();
    let mut x = Map::make(4, width / 2, height / 2, |c, px, py| {
        f64::from(pixels[(2 * py + c / 2) * width + 2 * px + c % 2])
    });
    let mut fine = Vec::new();
    for (level, [a, b]) in down.iter().enumerate() {
        if level > 0 {
            x = Map::make(x.planes.len(), x.width / 2, x.height / 2, |p, px, py| {
                let at = |dx, dy| x.planes[p][(2 * py + dy) * x.width + 2 * px + dx];
                at(0, 0).max(at(1, 0)).max(at(0, 1)).max(at(1, 1))
            });
        }
        x = apply(b, &apply(a, &x));
        fine.push(x.clone());
    }
    let mut out = vec![x.clone()];
    for level in (finest..4).rev() {
        let kept = &fine[level];
        let joined = Map::make(kept.planes.len() + x.planes.len(), kept.width, kept.height, |p, px, py| {
            match p.checked_sub(kept.planes.len()) {
                None => kept.planes[p][py * kept.width + px],
                Some(p) => x.planes[p][py / 2 * x.width + px / 2],
            }
        });
        let [a, b] = &up[level - finest];
        x = apply(b, &apply(a, &joined));
        out.push(x.clone());
    }
    out.reverse();
    out
}

/// Embeddings at all strides, finest first, for an image of this width.
fn forward(weights: &[Vec<f64>], pixels: &[f32], width: usize) -> Vec<Map> {
    let mut weights = Weights(weights.iter());
    let features = features(&mut weights, pixels, width, 0);
    let embed = |x: &Map| {
        let [weight, bias] = [weights.next().to_vec(), weights.next().to_vec()];
        let inputs = x.planes.len();
        let y = Map::make(EMBEDDING, x.width, x.height, |o, px, py| {
            let at = py * x.width + px;
            bias[o] + (0..inputs).map(|i| weight[o * inputs + i] * x.planes[i][at]).sum::<f64>()
        });
        Map::make(EMBEDDING, x.width, x.height, |o, px, py| {
            let at = py * x.width + px;
            let squares: f64 = y.planes.iter().map(|plane| plane[at] * plane[at]).sum();
            y.planes[o][at] / (squares + f64::from(head::EPSILON)).sqrt()
        })
    };
    features.iter().map(embed).collect()
}

/// InfoNCE averaged over all pixels, summed over the levels.
fn loss(weights: &[Vec<f64>], image: &[f32], views: &[Vec<f32>], batch: &Batch, config: &TrainConfig) -> f64 {
    let to = forward(weights, image, IMAGE.0);
    let mut total = 0.0;
    let count = batch.positives.iter().map(Vec::len).sum::<usize>() as f64;
    for (view, positives) in views.iter().zip(&batch.positives) {
        for ((from, to), stride) in forward(weights, view, SIDE).iter().zip(&to).zip(STRIDES) {
            let cell = |map: &Map, at: Point<f32>| {
                let along = |v: f32, size: usize| ((f64::from(v) + 0.5) / stride as f64) as usize % size;
                (along(at.x, map.width), along(at.y, map.height))
            };
            for positive in positives {
                let (a, t) = (cell(from, positive.view), cell(to, positive.image));
                let cosine = |x: usize, y: usize| {
                    let pairs = from.planes.iter().zip(&to.planes);
                    pairs.map(|(f, g)| f[a.1 * from.width + a.0] * g[y * to.width + x]).sum::<f64>()
                        / f64::from(config.loss.temperature)
                };
                let mut sum = 0.0;
                for (y, x) in (0..to.height).flat_map(|y| (0..to.width).map(move |x| (y, x))) {
                    let apart = x.abs_diff(t.0).max(y.abs_diff(t.1));
                    let near = stride < config.loss.dense_negatives_min_stride;
                    if !near
                        || apart == 0
                        || (apart <= config.loss.window && apart > config.loss.exclusion_radius)
                    {
                        sum += cosine(x, y).exp();
                    }
                }
                total += (sum.ln() - cosine(t.0, t.1)) / count;
            }
        }
    }
    total
}

/// Compares gradients with central differences of `value`, along a random direction through each tensor, so that every element
/// counts, and along one element.
fn compare(weights: &[Vec<f64>], grads: &[Vec<f32>], value: impl Fn(&[Vec<f64>]) -> f64) {
    for (place, (tensor, grad)) in weights.iter().zip(grads).enumerate() {
        assert_eq!(tensor.len(), grad.len(), "tensor {place} has a gradient");
        let signs: Vec<f64> =
            noise(tensor.len(), 100 + place as u64).iter().map(|v| f64::from(v.signum())).collect();
        let unit = |k: usize| (0..tensor.len()).map(|i| f64::from(u8::from(i == k))).collect::<Vec<f64>>();
        let length = grad.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
        for direction in [signs, unit(tensor.len() / 2)] {
            let moved = |by: f64| {
                let mut weights = weights.to_vec();
                weights[place].iter_mut().zip(&direction).for_each(|(w, d)| *w += by * d);
                value(&weights)
            };
            // Short, as there are many kinks of ReLU and maxima.
            let step = 1e-7;
            let slope = (moved(step) - moved(-step)) / (2.0 * step);
            let found: f64 = grad.iter().zip(&direction).map(|(g, d)| f64::from(*g) * d).sum();
            let apart = (found - slope).abs();
            assert!(
                apart < 2e-3 * (slope.abs() + length),
                "tensor {place}: {found} is not {slope} ({length})"
            );
        }
    }
}

#[test]
fn the_gradient_of_the_whole_network_equals_central_differences_of_a_naive_one() -> Result<(), Box<dyn Error>>
{
    let config = TrainConfig::default().with(|o| {
        o.model.channels = WIDTHS;
        o.model.embedding = EMBEDDING;
        o.sampling.batch = 1;
        o.sampling.views = VIEWS;
        o.sampling.view_size = SIDE;
        o.loss.window = 5;
        o.loss.exclusion_radius = 1;
        o.seed = 4;
    });
    let (encoder, parameters) = Encoder::new(&config);
    let picture = |len: usize, seed| noise(len, seed).iter().map(|v| 0.5 + 0.5 * v).collect::<Vec<f32>>();
    let image = picture(IMAGE.0 * IMAGE.1, 1);
    let views: Vec<Vec<f32>> = (0..VIEWS).map(|v| picture(SIDE * SIDE, 2 + v as u64)).collect();
    let mut rng = Rng::new(9, 0);
    let mut positives = || -> Vec<Positive<f32>> {
        let mut at = |width: usize, height: usize| Point {
            x: rng.uniform_in(0.0, width as f32 - 1.0),
            y: rng.uniform_in(0.0, height as f32 - 1.0),
        };
        (0..PIXELS).map(|_| Positive { view: at(SIDE, SIDE), image: at(IMAGE.0, IMAGE.1) }).collect()
    };
    let batch = Batch {
        images: Vec::new(),
        views: Vec::new(),
        positives: (0..VIEWS).map(|_| positives()).collect(),
        entropies: Vec::new(),
        places: Vec::new(),
    };
    let blocks = |pixels: &[f32], width: usize| {
        let mut out = vec![0.0; pixels.len()];
        unshuffle(pixels, width, &mut out);
        out
    };
    let weights = encoder.weights(&parameters.values);
    let mut levels = [(1, IMAGE), (VIEWS, (SIDE, SIDE))]
        .map(|(items, size)| STRIDES.map(|stride| Level::new(items, size, stride, &config)));
    let inputs: Vec<(Vec<f32>, (usize, usize))> = [(blocks(&image, IMAGE.0), (IMAGE.0 / 2, IMAGE.1 / 2))]
        .into_iter()
        .chain(views.iter().map(|view| (blocks(view, SIDE), (SIDE / 2, SIDE / 2))))
        .collect();
    let mut passes: Vec<Pass> = inputs.iter().map(|_| Pass::default()).collect();
    let scratch = &mut Scratch::default();
    let out = levels.iter_mut().flat_map(|levels| Level::items_mut(levels));
    for (((input, size), pass), mut out) in inputs.iter().zip(&mut passes).zip(out) {
        encoder.forward(&weights, input, *size, pass, scratch, &mut out);
    }
    let [of_image, of_views] = &mut levels;
    let pool = ScratchPool::default();
    let count = batch.positives.iter().map(Vec::len).sum::<usize>() as f32;
    let sums = objective(&Compute::Cpu(None), of_image, of_views, (&batch.positives, VIEWS), count, &pool)?;
    let total: f32 = objective::total(&sums, count).iter().sum();
    let back = Level::items(of_image).into_iter().chain(Level::items(of_views));
    let mut gradient = vec![0.0; parameters.len()];
    for (((input, size), pass), back) in inputs.iter().zip(&mut passes).zip(back) {
        pass.clear_gradient(parameters.len());
        encoder.backward(&weights, input, *size, pass, scratch, &back);
        add(&mut gradient, &pass.gradient);
    }
    let tensors =
        |values: &[f32]| parameters.ranges().map(|range| values[range].to_vec()).collect::<Vec<_>>();
    let grads = tensors(&gradient);

    let weights: Vec<Vec<f64>> = tensors(&parameters.values)
        .iter()
        .map(|tensor| tensor.iter().map(|v| f64::from(*v)).collect())
        .collect();
    let value = |weights: &[Vec<f64>]| loss(weights, &image, &views, &batch, &config);
    let expected = value(&weights);
    assert!((f64::from(total) - expected).abs() < 1e-4 * expected, "loss {total} is not {expected}");
    compare(&weights, &grads, value);
    if let Some(folder) = std::env::var_os("INFOMARK_GRADIENTS") {
        let point = |p: Point<f32>| [p.x, p.y];
        let all = batch.positives.iter().enumerate();
        let pixels: Vec<_> = all
            .flat_map(|(view, own)| own.iter().map(move |p| (view, point(p.view), point(p.image))))
            .collect();
        let written = serde_json::json!({
            "channels": WIDTHS, "embedding": EMBEDDING, "image_size": [IMAGE.0, IMAGE.1], "side": SIDE,
            "window": config.loss.window, "exclusion_radius": config.loss.exclusion_radius, "temperature": config.loss.temperature,
            "image": image, "views": views, "pixels": pixels, "weights": tensors(&parameters.values),
            "loss": total, "gradients": grads,
        });
        std::fs::write(std::path::Path::new(&folder).join("gradients.json"), serde_json::to_vec(&written)?)?;
    }
    Ok(())
}

#[test]
fn the_gradient_of_a_landmark_network_equals_central_differences_of_a_naive_one() {
    for stride in [2, 4, 8] {
        let config = LandmarkConfig::default().with(|o| {
            o.model.channels = WIDTHS;
            o.model.hidden = 8;
            o.model.stride = stride;
            o.seed = 3;
        });
        let (net, mut parameters) = Net::new(&config, 2);
        // Scales and shifts that are not 1 and 0.
        for (place, range) in parameters.ranges().collect::<Vec<_>>().into_iter().enumerate() {
            let some = noise(range.len(), 50 + place as u64);
            add(&mut parameters.values[range], &some.iter().map(|v| 0.1 * v).collect::<Vec<_>>());
        }
        let image: Vec<f32> = noise(IMAGE.0 * IMAGE.1, 1).iter().map(|v| 0.5 + 0.5 * v).collect();
        let mut blocks = vec![0.0; image.len()];
        unshuffle(&image, IMAGE.0, &mut blocks);
        let (size, weights) = ((IMAGE.0 / 2, IMAGE.1 / 2), net.weights(&parameters.values));
        let mut maps = vec![0.0; 6 * (IMAGE.0 / stride) * (IMAGE.1 / stride)];
        let back = noise(maps.len(), 2);
        let (pass, scratch) = (&mut Pass::default(), &mut Scratch::default());
        // Twice, as buffers are dirty the second time.
        for _ in 0..2 {
            net.forward(&weights, &blocks, size, pass, scratch, &mut maps);
            net.backward(&weights, &blocks, size, pass, scratch, &back);
        }
        let tensors =
            |values: &[f32]| parameters.ranges().map(|range| values[range].to_vec()).collect::<Vec<_>>();
        let values: Vec<Vec<f64>> = tensors(&parameters.values)
            .iter()
            .map(|tensor| tensor.iter().map(|v| f64::from(*v)).collect())
            .collect();
        let naive = |weights: &[Vec<f64>]| {
            let mut weights = Weights(weights.iter());
            let finest = features(&mut weights, &image, IMAGE.0, net.body.finest).swap_remove(0);
            let hidden = apply(&weights.layer(), &finest);
            convolve(weights.next(), &hidden).planes.concat()
        };
        for (found, expected) in maps.iter().zip(naive(&values)) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4 * (1.0 + expected.abs()),
                "{found}: {expected}"
            );
        }
        let value =
            |weights: &[Vec<f64>]| naive(weights).iter().zip(&back).map(|(m, b)| m * f64::from(*b)).sum();
        compare(&values, &tensors(&pass.gradient), value);
    }
}
