//! The contrastive loss of one feature level, with its gradient.

use crate::{FeatureMap, Point, Real};
use thiserror::Error;

/// One anatomical point in both images, in the input pixels of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Positive<T> {
    /// Where the point lies in the augmented view.
    pub view: Point<T>,
    /// Where it lies in the image.
    pub image: Point<T>,
}

/// The cells of the image that a positive has to be told from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negatives {
    /// All cells of the map.
    WholeMap,
    /// The cells up to `radius` columns and rows from the true one, cut off at the border.
    Window {
        /// Reach in cells.
        radius: usize,
    },
}

/// Why a loss could not be computed.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum LossError {
    /// The maps have different numbers of channels.
    #[error("the view has {view} channels, the image {image}: they have to be equal")]
    Channels {
        /// Channels of the view.
        view: usize,
        /// Channels of the image.
        image: usize,
    },
    /// The temperature is unusable.
    #[error("temperature {temperature}: it has to be finite and above 0")]
    Temperature {
        /// The refused value.
        temperature: f64,
    },
    /// A positive is not finite.
    #[error("positive {index} has a coordinate that is not finite")]
    Positive {
        /// Its place in the list.
        index: usize,
    },
    /// A gradient has another length than its map.
    #[error("the gradient of the {map} has {len} elements, its map {needed}")]
    Gradient {
        /// Which of the two maps.
        map: &'static str,
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
    /// Too little scratch.
    #[error("the scratch has {len} elements and needs {needed}: see info_nce_scratch_len")]
    Scratch {
        /// Elements given.
        len: usize,
        /// Elements needed.
        needed: usize,
    },
}

/// Elements of scratch that [`info_nce`] needs: the largest number of cells that one positive is
/// compared with.
pub fn info_nce_scratch_len<T>(image: FeatureMap<'_, T>, negatives: Negatives) -> usize {
    match negatives {
        Negatives::WholeMap => image.cells(),
        Negatives::Window { radius } => {
            let side = radius.saturating_mul(2).saturating_add(1);
            side.min(image.width()) * side.min(image.height())
        }
    }
}

/// InfoNCE of one feature level, summed over the positives, and its gradient.
///
/// For each positive, with `a` the view's feature in the cell that holds `positive.view` and `f_j`
/// the image's features in the cells of `negatives` (the true cell `t`, which holds
/// `positive.image`, among them): `-a·f_t / temperature + ln(sum over j of exp(a·f_j /
/// temperature))`. Points outside a map belong to its nearest cell. Callers pass features of
/// length 1, so that the products are cosines; nothing is normalised here.
///
/// **Adds** the derivatives of the sum by all features to `grad_view` and `grad_image`, which are
/// laid out as the maps. `scratch` holds at least [`info_nce_scratch_len`] elements. No positives
/// give 0. Features that are not finite give a result that is not finite.
///
/// Source: van den Oord et al., *Representation learning with contrastive predictive coding*
/// (2018), equation 4; over pixels as in CC2D (Yao et al., MICCAI 2021).
///
/// # Errors
/// When channels or lengths do not fit, the temperature is not finite and above 0, or a positive
/// is not finite. The gradients are untouched then.
#[allow(clippy::too_many_arguments)]
pub fn info_nce<T: Real>(
    view: FeatureMap<'_, T>,
    image: FeatureMap<'_, T>,
    positives: &[Positive<T>],
    negatives: Negatives,
    temperature: T,
    grad_view: &mut [T],
    grad_image: &mut [T],
    scratch: &mut [T],
) -> Result<T, LossError> {
    check(&view, &image, positives, temperature, grad_view, grad_image)?;
    let (len, needed) = (scratch.len(), info_nce_scratch_len(image, negatives));
    if len < needed {
        return Err(LossError::Scratch { len, needed });
    }
    let inverse = T::one() / temperature;
    let mut total = T::zero();
    for positive in positives {
        let (column, row) = view.cell(positive.view);
        let anchor = row * view.width() + column;
        let area = Area::around(&image, image.cell(positive.image), negatives);
        let logits = &mut scratch[..area.width * area.height];
        similarities(&view, anchor, &image, &area, inverse, logits);
        total += softmax_loss(logits, area.truth);
        for p in logits.iter_mut() {
            *p *= inverse;
        }
        backward(&view, anchor, &image, &area, logits, grad_view, grad_image);
    }
    Ok(total)
}

fn check<T: Real>(
    view: &FeatureMap<'_, T>,
    image: &FeatureMap<'_, T>,
    positives: &[Positive<T>],
    temperature: T,
    grad_view: &[T],
    grad_image: &[T],
) -> Result<(), LossError> {
    if view.channels() != image.channels() {
        return Err(LossError::Channels { view: view.channels(), image: image.channels() });
    }
    if !(temperature.is_finite() && temperature > T::zero()) {
        return Err(LossError::Temperature { temperature: temperature.as_f64() });
    }
    for (map, len, needed) in
        [("view", grad_view.len(), view.data().len()), ("image", grad_image.len(), image.data().len())]
    {
        if len != needed {
            return Err(LossError::Gradient { map, len, needed });
        }
    }
    let finite = |p: &Positive<T>| p.view.is_finite() && p.image.is_finite();
    match positives.iter().position(|p| !finite(p)) {
        Some(index) => Err(LossError::Positive { index }),
        None => Ok(()),
    }
}

/// The cells one positive is compared with: rows of `width` cells, each `pitch` after the other.
struct Area {
    start: usize,
    pitch: usize,
    width: usize,
    height: usize,
    /// Place of the true cell among them.
    truth: usize,
}

impl Area {
    fn around<T>(map: &FeatureMap<'_, T>, cell: (usize, usize), negatives: Negatives) -> Self {
        let (x, y) = cell;
        let pitch = map.width();
        match negatives {
            // One long row: the cells of a channel lie side by side.
            Negatives::WholeMap => {
                Self { start: 0, pitch: map.cells(), width: map.cells(), height: 1, truth: y * pitch + x }
            }
            Negatives::Window { radius } => {
                let (left, top) = (x.saturating_sub(radius), y.saturating_sub(radius));
                let right = x.saturating_add(radius).min(map.width() - 1);
                let bottom = y.saturating_add(radius).min(map.height() - 1);
                let width = right + 1 - left;
                Self {
                    start: top * pitch + left,
                    pitch,
                    width,
                    height: bottom + 1 - top,
                    truth: (y - top) * width + (x - left),
                }
            }
        }
    }

    /// Where row `row` of channel `channel` starts in the data of a map.
    fn offset(&self, channel: usize, cells: usize, row: usize) -> usize {
        channel * cells + self.start + row * self.pitch
    }
}

/// `logits[j] = a·f_j / temperature`.
fn similarities<T: Real>(
    view: &FeatureMap<'_, T>,
    anchor: usize,
    image: &FeatureMap<'_, T>,
    area: &Area,
    inverse: T,
    logits: &mut [T],
) {
    logits.fill(T::zero());
    for channel in 0..image.channels() {
        let a = view.data()[channel * view.cells() + anchor] * inverse;
        for (row, sums) in logits.chunks_exact_mut(area.width).enumerate() {
            let offset = area.offset(channel, image.cells(), row);
            let features = &image.data()[offset..offset + area.width];
            for (sum, &f) in sums.iter_mut().zip(features) {
                *sum += a * f;
            }
        }
    }
}

/// Cross-entropy of the true cell; turns the logits into their derivatives.
fn softmax_loss<T: Real>(logits: &mut [T], truth: usize) -> T {
    let highest = logits.iter().fold(T::neg_infinity(), |m, &v| m.max(v));
    let true_logit = logits[truth];
    let mut sum = T::zero();
    for v in logits.iter_mut() {
        *v = (*v - highest).exp();
        sum += *v;
    }
    let scale = T::one() / sum;
    for v in logits.iter_mut() {
        *v *= scale;
    }
    logits[truth] -= T::one();
    sum.ln() + (highest - true_logit)
}

/// Adds the derivatives by the view's feature and by the image's features.
fn backward<T: Real>(
    view: &FeatureMap<'_, T>,
    anchor: usize,
    image: &FeatureMap<'_, T>,
    area: &Area,
    slopes: &[T],
    grad_view: &mut [T],
    grad_image: &mut [T],
) {
    const LANES: usize = 8;
    for channel in 0..image.channels() {
        let place = channel * view.cells() + anchor;
        let a = view.data()[place];
        // Fixed lanes: the order of the sum does not depend on the machine.
        let mut lanes = [T::zero(); LANES];
        let mut rest = T::zero();
        for (row, slopes) in slopes.chunks_exact(area.width).enumerate() {
            let offset = area.offset(channel, image.cells(), row);
            let features = &image.data()[offset..offset + area.width];
            let grads = &mut grad_image[offset..offset + area.width];
            let (slopes, slopes_end) = slopes.as_chunks::<LANES>();
            let (features, features_end) = features.as_chunks::<LANES>();
            let (grads, grads_end) = grads.as_chunks_mut::<LANES>();
            for ((g, s), f) in grads.iter_mut().zip(slopes).zip(features) {
                for i in 0..LANES {
                    g[i] += s[i] * a;
                    lanes[i] += s[i] * f[i];
                }
            }
            for ((g, &s), &f) in grads_end.iter_mut().zip(slopes_end).zip(features_end) {
                *g += s * a;
                rest += s * f;
            }
        }
        let [p, q, r, s, t, u, v, w] = lanes;
        grad_view[place] += (((p + q) + (r + s)) + ((t + u) + (v + w))) + rest;
    }
}
