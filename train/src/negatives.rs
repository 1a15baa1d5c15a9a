//! The loss with negatives that `core::InfoNce` does not know: the hardest ones alone, and cells of other images.
//!
//! Slower than the core's, and only used when one of the two options is set.

use infomark_core::{FeatureMap, InfoNce, Negatives, Positive, Rng};
use rayon::prelude::*;

use crate::objective::{Level, Objective};
use crate::{TrainConfig, TrainError, stream};

/// Which negatives are taken.
#[derive(Clone, Copy)]
struct Rule {
    loss: InfoNce<f32>,
    /// Most similar negatives that are kept; 0 keeps all.
    hardest: usize,
    /// Cells of other images.
    others: usize,
}

/// As [`crate::objective::objective`]. Levels go to threads, and within each everything has its order.
pub(crate) fn objective(
    images: &[Level],
    views: &[Level],
    positives: &[Vec<Positive<f32>>],
    config: &TrainConfig,
    step: u64,
) -> Result<Objective, TrainError> {
    let count = positives.iter().map(Vec::len).sum::<usize>().max(1) as f32;
    let levels = images.par_iter().zip(views).enumerate().map(|(place, (image, view))| {
        let rule =
            Rule { loss: image.loss, hardest: config.hard_negatives, others: config.cross_image_negatives };
        let image_maps = (0..image.count()).map(|i| image.map(i)).collect::<Result<Vec<_>, _>>()?;
        let view_maps = (0..view.count()).map(|i| view.map(i)).collect::<Result<Vec<_>, _>>()?;
        let of_image = (view_maps.len() / image_maps.len().max(1)).max(1);
        let mut rng = Rng::new(config.seed, stream::NEGATIVES + step * images.len() as u64 + place as u64);
        let (mut image_grad, mut view_grad) = (vec![0.0; image.data.len()], vec![0.0; view.data.len()]);
        let mut loss = 0.0;
        let of_views = positives.iter().zip(&view_maps).zip(view_grad.chunks_exact_mut(view.size().max(1)));
        for (v, ((positives, map), view_grad)) in of_views.enumerate() {
            for positive in positives {
                let of = (image_maps.as_slice(), v / of_image);
                loss += one(of, map, positive, rule, &mut rng, &mut image_grad, view_grad);
            }
        }
        image_grad.iter_mut().chain(&mut view_grad).for_each(|g| *g /= count);
        Ok((loss / count, image_grad, view_grad))
    });
    let levels = levels.collect::<Result<Vec<_>, TrainError>>()?;
    let mut result = Objective { levels: [0.0; 5], images: Vec::new(), views: Vec::new() };
    for (total, (loss, image_grad, view_grad)) in result.levels.iter_mut().zip(levels) {
        *total = loss;
        result.images.push(image_grad);
        result.views.push(view_grad);
    }
    Ok(result)
}

/// A cell that a pixel is compared with: its image and place, and the product over the temperature.
struct Compared {
    item: usize,
    cell: usize,
    logit: f32,
}

/// The loss of one pixel of image `item`; adds its gradient.
fn one(
    (images, item): (&[FeatureMap<'_, f32>], usize),
    view: &FeatureMap<'_, f32>,
    positive: &Positive<f32>,
    rule: Rule,
    rng: &mut Rng,
    image_grad: &mut [f32],
    view_grad: &mut [f32],
) -> f32 {
    let (map, inverse) = (&images[item], 1.0 / rule.loss.temperature);
    let feature = |map: &FeatureMap<'_, f32>, cell: usize| -> Vec<f32> {
        map.data().iter().skip(cell).step_by(map.cells()).copied().collect()
    };
    let (column, row) = view.cell(positive.view);
    let at = row * view.width() + column;
    let anchor = feature(view, at);
    let logit = |item: usize, cell: usize| {
        let values = images[item].data().iter().skip(cell).step_by(map.cells());
        inverse * values.zip(&anchor).map(|(a, b)| a * b).sum::<f32>()
    };
    let (column, row) = map.cell(positive.image);
    let truth = row * map.width() + column;
    let reach = match rule.loss.negatives {
        Negatives::WholeMap => usize::MAX,
        Negatives::Window { radius } => radius,
    };
    let mut compared = Vec::new();
    for y in row.saturating_sub(reach)..row.saturating_add(reach).saturating_add(1).min(map.height()) {
        for x in column.saturating_sub(reach)..column.saturating_add(reach).saturating_add(1).min(map.width())
        {
            let near = x.abs_diff(column).max(y.abs_diff(row));
            if near > rule.loss.ignored {
                let cell = y * map.width() + x;
                compared.push(Compared { item, cell, logit: logit(item, cell) });
            }
        }
    }
    for _ in 0..if images.len() > 1 { rule.others } else { 0 } {
        let other = (item + 1 + rng.below(images.len() as u64 - 1) as usize) % images.len();
        let cell = rng.below(map.cells() as u64) as usize;
        compared.push(Compared { item: other, cell, logit: logit(other, cell) });
    }
    if rule.hardest > 0 && rule.hardest < compared.len() {
        // Stable: of equal ones the first are kept.
        compared.sort_by(|a, b| b.logit.total_cmp(&a.logit));
        compared.truncate(rule.hardest);
    }
    compared.push(Compared { item, cell: truth, logit: logit(item, truth) });
    let most = compared.iter().map(|c| c.logit).fold(f32::NEG_INFINITY, f32::max);
    let sum: f32 = compared.iter().map(|c| libm::expf(c.logit - most)).sum();
    let last = compared.len() - 1;
    for (place, Compared { item, cell, logit }) in compared.iter().enumerate() {
        let share = libm::expf(logit - most) / sum - if place == last { 1.0 } else { 0.0 };
        let slope = share * inverse;
        let start = item * map.data().len();
        for (channel, a) in anchor.iter().enumerate() {
            let other = channel * map.cells() + cell;
            view_grad[channel * view.cells() + at] += slope * images[*item].data()[other];
            image_grad[start + other] += slope * a;
        }
    }
    most + libm::logf(sum) - compared[last].logit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::noise;
    use infomark_core::Point;

    const SIZES: (usize, usize, usize) = (3, 6, 5);

    fn rule(negatives: Negatives, ignored: usize, hardest: usize, others: usize) -> Rule {
        Rule { loss: InfoNce { negatives, temperature: 0.5, ignored }, hardest, others }
    }

    fn maps(data: &[f32]) -> Outcome<Vec<FeatureMap<'_, f32>>> {
        let (channels, width, height) = SIZES;
        let maps = data.chunks_exact(channels * width * height);
        Ok(maps.map(|m| FeatureMap::new(m, channels, width, height, 2)).collect::<Result<_, _>>()?)
    }

    fn pixels() -> Vec<Positive<f32>> {
        let at = |x, y| Point { x, y };
        vec![
            Positive { view: at(0.0, 0.0), image: at(3.0, 2.0) },
            Positive { view: at(7.0, 5.0), image: at(11.0, 9.0) },
        ]
    }

    type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

    /// The loss and its gradients for pixels of the second of two images.
    fn run(rule: Rule, images: &[f32], view: &[f32]) -> Outcome<(f32, Vec<f32>, Vec<f32>)> {
        let (image_maps, view_maps) = (maps(images)?, maps(view)?);
        let mut rng = Rng::new(1, 2);
        let (mut a, mut b) = (vec![0.0; images.len()], vec![0.0; view.len()]);
        let loss = pixels()
            .iter()
            .map(|p| one((&image_maps, 1), &view_maps[0], p, rule, &mut rng, &mut a, &mut b))
            .sum();
        Ok((loss, a, b))
    }

    #[test]
    fn with_all_negatives_of_the_image_it_is_the_loss_of_the_core() -> Outcome<()> {
        let (images, view) = (noise(180, 1), noise(90, 2));
        for (negatives, ignored) in [
            (Negatives::WholeMap, 0),
            (Negatives::Window { radius: 2 }, 0),
            (Negatives::Window { radius: 2 }, 1),
        ] {
            let rule = rule(negatives, ignored, 0, 0);
            let (loss, image_grad, view_grad) = run(rule, &images, &view)?;
            let (image_maps, view_maps) = (maps(&images)?, maps(&view)?);
            let (mut a, mut b) = (vec![0.0; 90], vec![0.0; 90]);
            let mut scratch = vec![0.0; rule.loss.scratch_len(image_maps[1])];
            let expected =
                rule.loss.backward(view_maps[0], image_maps[1], &pixels(), &mut b, &mut a, &mut scratch)?;
            assert!((loss - expected).abs() < 1e-5, "{loss} is not {expected}");
            let pairs = image_grad[90..].iter().zip(&a).chain(view_grad.iter().zip(&b));
            assert!(pairs.clone().all(|(x, y)| (x - y).abs() < 1e-5));
            assert!(image_grad[..90].iter().all(|g| *g == 0.0), "the other image has no part in it");
        }
        Ok(())
    }

    #[test]
    fn the_gradient_with_hard_and_other_images_negatives_equals_central_differences() -> Outcome<()> {
        let (images, view) = (noise(180, 3), noise(90, 4));
        let rule = rule(Negatives::WholeMap, 0, 7, 6);
        let (loss, image_grad, view_grad) = run(rule, &images, &view)?;
        // One truth and seven others: no more than if all eight were alike.
        assert!(loss > 0.0);
        assert!(image_grad[..90].iter().any(|g| *g != 0.0), "negatives of the other image have a gradient");
        let step = 1e-2;
        for k in (0..180).step_by(7) {
            let moved = |by: f32| {
                let mut images = images.clone();
                images[k] += by;
                run(rule, &images, &view).map(|r| r.0)
            };
            let slope = (moved(step)? - moved(-step)?) / (2.0 * step);
            assert!((slope - image_grad[k]).abs() < 2e-2, "image {k}: {} is not {slope}", image_grad[k]);
        }
        for k in (0..90).step_by(5) {
            let moved = |by: f32| {
                let mut view = view.clone();
                view[k] += by;
                run(rule, &images, &view).map(|r| r.0)
            };
            let slope = (moved(step)? - moved(-step)?) / (2.0 * step);
            assert!((slope - view_grad[k]).abs() < 2e-2, "view {k}: {} is not {slope}", view_grad[k]);
        }
        Ok(())
    }

    #[test]
    fn fewer_negatives_lower_the_loss_and_the_hardest_lower_it_least() -> Outcome<()> {
        let (images, view) = (noise(180, 5), noise(90, 6));
        let loss =
            |hardest, others| run(rule(Negatives::WholeMap, 0, hardest, others), &images, &view).map(|r| r.0);
        let (all, half, one, more) = (loss(0, 0)?, loss(15, 0)?, loss(1, 0)?, loss(0, 9)?);
        assert!(one < half && half < all && all < more, "{one}, {half}, {all}, {more}");
        // Half of the negatives, those that count most.
        assert!(all - half < 2.0 * (2.0_f32).ln(), "{half} of {all}");
        Ok(())
    }
}
