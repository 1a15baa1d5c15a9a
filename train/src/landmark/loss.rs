//! Loss of heat maps and offsets, with its gradient.

use infomark_core::Point;
use rayon::prelude::*;

use super::LandmarkConfig;

/// Radius of a landmark's target heat map, in standard deviations.
const REACH: f32 = 3.0;

/// Target position of a landmark in an image of a batch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Target {
    /// Position in pixels of the input.
    pub(crate) at: Point<f32>,
    /// Weight in the loss.
    pub(crate) weight: f32,
}

/// Size of the maps.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) landmarks: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

impl Shape {
    fn area(self) -> usize {
        self.width * self.height
    }

    /// Number of elements of an image's maps.
    pub(crate) fn len(self) -> usize {
        3 * self.landmarks * self.area()
    }
}

/// Losses of a batch, and the gradient of their sum with respect to the maps.
pub(crate) struct Loss {
    /// Mean Kullback-Leibler divergence of the predicted heat maps from the targets, in nats.
    pub(crate) heat: f32,
    /// Mean Huber loss of the offsets in cells, times its weight.
    pub(crate) offset: f32,
    pub(crate) gradient: Vec<f32>,
}

/// The weighted loss over the known landmarks; 0 without any.
///
/// Heat map, softmax over all cells: Kullback-Leibler divergence from a Gaussian around the landmark. Offset of each cell
/// with target heat: Huber loss, weighted by the target heat.
pub(crate) fn loss(
    maps: &[f32],
    targets: &[Vec<Option<Target>>],
    shape: Shape,
    config: &LandmarkConfig,
) -> Loss {
    let all: f32 = targets.iter().flatten().flatten().map(|target| target.weight).sum();
    let all = if all > 0.0 { all } else { 1.0 };
    let mut gradient = vec![0.0; maps.len()];
    let area = shape.area();
    let losses: Vec<(f64, f64)> = gradient
        .par_chunks_mut(shape.len())
        .zip(maps.par_chunks(shape.len()).zip(targets))
        .map(|(gradient, (maps, targets))| {
            let (heat, offsets) = maps.split_at(shape.landmarks * area);
            let (heat_grad, offset_grad) = gradient.split_at_mut(shape.landmarks * area);
            let heats = heat.chunks_exact(area).zip(heat_grad.chunks_exact_mut(area));
            let offsets = offsets.chunks_exact(2 * area).zip(offset_grad.chunks_exact_mut(2 * area));
            let mut sum = (0.0, 0.0);
            for ((heat, offset), target) in heats.zip(offsets).zip(targets) {
                let Some(Target { at, weight }) = *target else { continue };
                let factor = weight / all;
                let wanted = gaussian(at, shape, config);
                sum.0 += f64::from(factor) * divergence(heat.0, &wanted, factor, heat.1);
                let factor = factor * config.loss.offset_weight;
                sum.1 += f64::from(factor) * huber(offset.0, &wanted, at, factor, (shape, config), offset.1);
            }
            sum
        })
        .collect();
    let heat = losses.iter().map(|(heat, _)| heat).sum::<f64>() as f32;
    let offset = losses.iter().map(|(_, offset)| offset).sum::<f64>() as f32;
    Loss { heat, offset, gradient }
}

/// Position of a point in cells, the centre of the first at 0.
fn in_cells(at: Point<f32>, stride: usize) -> Point<f32> {
    let cell = |v: f32| (v + 0.5) / stride as f32 - 0.5;
    Point::new(cell(at.x), cell(at.y))
}

/// Cells near a point with their target probability.
fn gaussian(at: Point<f32>, shape: Shape, config: &LandmarkConfig) -> Vec<(usize, f32)> {
    let at = in_cells(at, config.model.stride);
    let sigma = config.loss.sigma / config.model.stride as f32;
    let range = |v: f32, size: usize| {
        let first = (v - REACH * sigma).floor().max(0.0) as usize;
        let last = (v + REACH * sigma).ceil().max(0.0) as usize;
        first.min(size - 1)..=last.min(size - 1)
    };
    let mut cells = Vec::new();
    for y in range(at.y, shape.height) {
        for x in range(at.x, shape.width) {
            let (dx, dy) = (x as f32 - at.x, y as f32 - at.y);
            cells.push((y * shape.width + x, libm::expf(-0.5 * (dx * dx + dy * dy) / (sigma * sigma))));
        }
    }
    let sum: f32 = cells.iter().map(|(_, heat)| heat).sum();
    cells.iter_mut().for_each(|(_, heat)| *heat /= sum.max(f32::MIN_POSITIVE));
    cells
}

/// `sum q log(q / p)` with `p` the softmax of `heat`; adds its gradient times `factor`.
fn divergence(heat: &[f32], wanted: &[(usize, f32)], factor: f32, gradient: &mut [f32]) -> f64 {
    let most = heat.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0_f64;
    for (p, &heat) in gradient.iter_mut().zip(heat) {
        *p = libm::expf(heat - most);
        sum += f64::from(*p);
    }
    let scale = factor / sum as f32;
    gradient.iter_mut().for_each(|p| *p *= scale);
    let log_sum = f64::from(most) + libm::log(sum);
    let mut divergence = 0.0;
    for &(cell, q) in wanted.iter().filter(|(_, q)| *q > 0.0) {
        gradient[cell] -= factor * q;
        let q = f64::from(q);
        divergence += q * (libm::log(q) + log_sum - f64::from(heat[cell]));
    }
    divergence
}

/// Huber loss of the offsets of the cells with target heat; writes its gradient times `factor`.
fn huber(
    offsets: &[f32],
    wanted: &[(usize, f32)],
    at: Point<f32>,
    factor: f32,
    (shape, config): (Shape, &LandmarkConfig),
    gradient: &mut [f32],
) -> f64 {
    let at = in_cells(at, config.model.stride);
    let mut loss = 0.0;
    for &(cell, q) in wanted {
        let goal = [at.x - (cell % shape.width) as f32, at.y - (cell / shape.width) as f32];
        for (axis, goal) in goal.into_iter().enumerate() {
            let place = axis * shape.area() + cell;
            let off = offsets[place] - goal;
            loss += f64::from(q * if off.abs() < 1.0 { 0.5 * off * off } else { off.abs() - 0.5 });
            gradient[place] = factor * q * off.clamp(-1.0, 1.0);
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;

    const SHAPE: Shape = Shape { landmarks: 2, width: 6, height: 5 };

    fn targets() -> Vec<Vec<Option<Target>>> {
        let at = |x, y, weight| Some(Target { at: Point::new(x, y), weight });
        vec![vec![at(9.3, 7.1, 1.0), None], vec![at(-0.4, 19.0, 0.5), at(22.0, 2.5, 2.0)]]
    }

    #[test]
    fn the_gradient_equals_central_differences() {
        let config = LandmarkConfig::default().with(|o| {
            o.loss.sigma = 5.0;
            o.loss.offset_weight = 0.7;
        });
        let maps: Vec<f32> = noise(2 * SHAPE.len(), 3).iter().map(|v| 3.0 * v).collect();
        let whole = |maps: &[f32]| {
            let Loss { heat, offset, .. } = loss(maps, &targets(), SHAPE, &config);
            f64::from(heat) + f64::from(offset)
        };
        let Loss { gradient, .. } = loss(&maps, &targets(), SHAPE, &config);
        for at in (0..maps.len()).step_by(7) {
            let step = 1e-2;
            let nudged = |by: f32| {
                let mut maps = maps.clone();
                maps[at] += by;
                whole(&maps)
            };
            let slope = (nudged(step) - nudged(-step)) / (2.0 * f64::from(step));
            let found = f64::from(gradient[at]);
            assert!(
                (found - slope).abs() < 1e-3 * (1.0 + slope.abs()),
                "element {at}: {found} is not {slope}"
            );
        }
    }

    #[test]
    fn the_loss_of_what_is_wanted_is_zero_and_without_landmarks_there_is_none() {
        let config = LandmarkConfig::default();
        let targets = targets();
        let mut maps = vec![0.0; 2 * SHAPE.len()];
        for (maps, targets) in maps.chunks_exact_mut(SHAPE.len()).zip(&targets) {
            for (landmark, target) in targets.iter().enumerate() {
                let Some(target) = target else { continue };
                maps[landmark * 30..][..30].fill(-200.0);
                for (cell, heat) in gaussian(target.at, SHAPE, &config) {
                    maps[landmark * 30 + cell] = libm::logf(heat.max(1e-30));
                    let at = in_cells(target.at, config.model.stride);
                    maps[(2 + 2 * landmark) * 30 + cell] = at.x - (cell % 6) as f32;
                    maps[(3 + 2 * landmark) * 30 + cell] = at.y - (cell / 6) as f32;
                }
            }
        }
        let Loss { heat, offset, gradient } = loss(&maps, &targets, SHAPE, &config);
        assert!(heat.abs() < 1e-5 && offset == 0.0, "{heat}, {offset}");
        assert!(gradient.iter().all(|g| g.abs() < 1e-5));
        let none = loss(&maps, &[vec![None, None], vec![None, None]], SHAPE, &config);
        assert_eq!((none.heat, none.offset), (0.0, 0.0));
        assert!(none.gradient.iter().all(|g| *g == 0.0));
    }
}
