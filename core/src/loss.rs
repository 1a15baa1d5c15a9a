//! Contrastive loss (InfoNCE) of one feature level, with its gradient.

use crate::{FeatureMap, Point, Real};
use thiserror::Error;

/// Positive pair: one anatomical point in both images, in the input pixels of each.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Positive<T> {
    /// Position in the augmented view.
    pub view: Point<T>,
    /// Position in the image.
    pub image: Point<T>,
}

/// Negatives of a positive: the cells of the image it is contrasted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negatives {
    /// All cells of the map.
    WholeMap,
    /// The cells up to `radius` columns and rows from the true one, cropped at the border.
    Window {
        /// Radius in cells.
        radius: usize,
    },
}

/// Errors of a loss.
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
        /// The rejected value.
        temperature: f64,
    },
    /// A positive is not finite.
    #[error("positive {index} has a coordinate that is not finite")]
    Positive {
        /// Its index in the list.
        index: usize,
    },
    /// A gradient and its map differ in length.
    #[error("the gradient of the {map} has {len} elements, its map {needed}")]
    Gradient {
        /// Name of the map.
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

/// InfoNCE loss of one feature level, with its negatives and temperature.
///
/// For each positive, with `a` the view's feature in the cell that holds [`Positive::view`] and `f_j`
/// the image's features in the cells of [`negatives`](Self::negatives) (including the true cell `t`, which
/// holds [`Positive::image`]): `-a·f_t / temperature + ln(sum over j of exp(a·f_j /
/// temperature))`. Points outside a map belong to its nearest cell. Callers pass features of
/// length 1, so that the products are cosines; nothing is normalised here.
///
/// Source: van den Oord et al., *Representation learning with contrastive predictive coding*
/// (2018), equation 4; over pixels as in CC2D (Yao et al., MICCAI 2021).
///
/// ```
/// use infomark_core::{FeatureMap, InfoNce, Negatives, Point, Positive};
/// // Two channels of 2 x 1 cells.
/// let features = [1.0, 0.0, 0.0, 1.0];
/// let map = FeatureMap::new(&features, 2, 2, 1, 4)?;
/// let at = Point::new(1.0, 1.0);
/// let loss = InfoNce { negatives: Negatives::WholeMap, temperature: 0.5, exclusion_radius: 0 };
/// let mut scratch = vec![0.0; loss.scratch_len(map)];
/// let value = loss.forward(map, map, &[Positive { view: at, image: at }], &mut scratch)?;
/// assert!((value - (1.0 + (-2.0f64).exp()).ln()).abs() < 1e-12);
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InfoNce<T> {
    /// The negatives.
    pub negatives: Negatives,
    /// Divisor of the products, above 0.
    pub temperature: T,
    /// Radius, in columns and rows, around the true cell within which cells are left out of the sum as
    /// false negatives; 0 leaves out none. The true cell always stays.
    pub exclusion_radius: usize,
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

impl<T: Real> InfoNce<T> {
    /// Elements of scratch needed: the largest number of cells that one positive is compared with.
    pub fn scratch_len(&self, image: FeatureMap<'_, T>) -> usize {
        info_nce_scratch_len(image, self.negatives)
    }

    /// Computes the loss, summed over the positives; 0 for none. `scratch` holds at least
    /// [`scratch_len`](Self::scratch_len) elements of any content. Features that are not finite give a
    /// result that is not finite.
    ///
    /// # Errors
    /// When the channels differ, the scratch is too short, the temperature is not finite and above 0, or
    /// a positive is not finite.
    pub fn forward(
        &self,
        view: FeatureMap<'_, T>,
        image: FeatureMap<'_, T>,
        positives: &[Positive<T>],
        scratch: &mut [T],
    ) -> Result<T, LossError> {
        self.check(&view, &image, positives, scratch)?;
        let mut total = T::zero();
        for positive in positives {
            let (_, area, logits) = self.compare(&view, &image, positive, scratch);
            total += softmax_loss(logits, area.truth);
        }
        Ok(total)
    }

    /// Computes the loss as [`forward`](Self::forward), and **adds** its derivatives with respect to all
    /// features to `grad_view` and `grad_image`, which have the layout of the maps.
    ///
    /// # Errors
    /// As [`forward`](Self::forward), and when a gradient and its map differ in length. The gradients are
    /// unchanged then.
    pub fn backward(
        &self,
        view: FeatureMap<'_, T>,
        image: FeatureMap<'_, T>,
        positives: &[Positive<T>],
        grad_view: &mut [T],
        grad_image: &mut [T],
        scratch: &mut [T],
    ) -> Result<T, LossError> {
        self.check(&view, &image, positives, scratch)?;
        check_gradients(&view, &image, grad_view, grad_image)?;
        let inverse = T::one() / self.temperature;
        let mut total = T::zero();
        for positive in positives {
            let (anchor, area, logits) = self.compare(&view, &image, positive, scratch);
            total += softmax_loss(logits, area.truth);
            for p in logits.iter_mut() {
                *p *= inverse;
            }
            backward(&view, anchor, &image, &area, logits, grad_view, grad_image);
        }
        Ok(total)
    }

    fn check(
        &self,
        view: &FeatureMap<'_, T>,
        image: &FeatureMap<'_, T>,
        positives: &[Positive<T>],
        scratch: &[T],
    ) -> Result<(), LossError> {
        if view.channels() != image.channels() {
            return Err(LossError::Channels { view: view.channels(), image: image.channels() });
        }
        if !(self.temperature.is_finite() && self.temperature > T::zero()) {
            return Err(LossError::Temperature { temperature: self.temperature.as_f64() });
        }
        let (len, needed) = (scratch.len(), self.scratch_len(*image));
        if len < needed {
            return Err(LossError::Scratch { len, needed });
        }
        let finite = |p: &Positive<T>| p.view.is_finite() && p.image.is_finite();
        match positives.iter().position(|p| !finite(p)) {
            Some(index) => Err(LossError::Positive { index }),
            None => Ok(()),
        }
    }

    /// The anchor's cell, the cells it is compared with, and their logits; minus infinity for excluded cells.
    fn compare<'s>(
        &self,
        view: &FeatureMap<'_, T>,
        image: &FeatureMap<'_, T>,
        positive: &Positive<T>,
        scratch: &'s mut [T],
    ) -> (usize, Area, &'s mut [T]) {
        let (column, row) = view.cell(positive.view);
        let anchor = row * view.width() + column;
        let cell = image.cell(positive.image);
        let area = Area::around(image, cell, self.negatives);
        let logits = &mut scratch[..area.width * area.height];
        similarities(view, anchor, image, &area, T::one() / self.temperature, logits);
        if self.exclusion_radius > 0 {
            let radius = match self.negatives {
                Negatives::WholeMap => self.exclusion_radius,
                Negatives::Window { radius } => self.exclusion_radius.min(radius),
            };
            area.ignore(&Area::around(image, cell, Negatives::Window { radius }), logits);
        }
        (anchor, area, logits)
    }
}

/// One level of features of a view and an image, with its loss and gradients.
#[derive(Debug)]
pub struct LossLevel<'a, T> {
    /// Features of the view.
    pub view: FeatureMap<'a, T>,
    /// Features of the image.
    pub image: FeatureMap<'a, T>,
    /// The loss of this level.
    pub loss: InfoNce<T>,
    /// Gradient with respect to the view's features, in their layout.
    pub grad_view: &'a mut [T],
    /// Gradient with respect to the image's features, in their layout.
    pub grad_image: &'a mut [T],
}

/// InfoNCE summed over levels of several strides, with its gradient, which is added to each level's:
/// the training loss of one view (CC2D, Yao et al., MICCAI 2021: "the levels' losses are added").
///
/// `scratch` holds at least the largest [`InfoNce::scratch_len`] of the levels.
///
/// # Errors
/// As [`InfoNce::backward`], for any level; then all gradients are unchanged.
pub fn info_nce_levels<T: Real>(
    levels: &mut [LossLevel<'_, T>],
    positives: &[Positive<T>],
    scratch: &mut [T],
) -> Result<T, LossError> {
    for level in levels.iter() {
        level.loss.check(&level.view, &level.image, positives, scratch)?;
        check_gradients(&level.view, &level.image, level.grad_view, level.grad_image)?;
    }
    let mut total = T::zero();
    for level in levels.iter_mut() {
        let (view, image) = (level.view, level.image);
        total += level.loss.backward(view, image, positives, level.grad_view, level.grad_image, scratch)?;
    }
    Ok(total)
}

fn check_gradients<T>(
    view: &FeatureMap<'_, T>,
    image: &FeatureMap<'_, T>,
    grad_view: &[T],
    grad_image: &[T],
) -> Result<(), LossError> {
    for (map, len, needed) in
        [("view", grad_view.len(), view.data().len()), ("image", grad_image.len(), image.data().len())]
    {
        if len != needed {
            return Err(LossError::Gradient { map, len, needed });
        }
    }
    Ok(())
}

/// InfoNCE of one feature level, summed over the positives, with its gradient:
/// [`InfoNce::backward`] without an exclusion radius.
///
/// # Errors
/// When channels or lengths differ, the temperature is not finite and above 0, or a positive
/// is not finite. The gradients are unchanged then.
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
    let loss = InfoNce { negatives, temperature, exclusion_radius: 0 };
    loss.backward(view, image, positives, grad_view, grad_image, scratch)
}

/// The cells a positive is compared with: rows of `width` cells, `pitch` cells apart.
struct Area {
    start: usize,
    pitch: usize,
    width: usize,
    height: usize,
    /// Index of the true cell among them.
    truth: usize,
}

impl Area {
    fn around<T>(map: &FeatureMap<'_, T>, cell: (usize, usize), negatives: Negatives) -> Self {
        let (x, y) = cell;
        let pitch = map.width();
        match negatives {
            // One long row: the cells of a channel are contiguous.
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

    /// Excludes the cells of `near`, all of which it contains, from the sum, except the true one.
    fn ignore<T: Real>(&self, near: &Area, logits: &mut [T]) {
        let pitch = near.pitch;
        let place = |cell: usize| {
            if self.pitch != pitch {
                return cell;
            }
            (cell / pitch - self.start / pitch) * self.width + cell % pitch - self.start % pitch
        };
        let truth = logits[self.truth];
        for row in 0..near.height {
            logits[place(near.start + row * pitch)..][..near.width].fill(T::neg_infinity());
        }
        logits[self.truth] = truth;
    }

    /// Index in a map's data of row `row` of channel `channel`.
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

/// Cross-entropy of the true cell; overwrites the logits with their derivatives.
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

/// Adds the derivatives with respect to the view's feature and the image's features.
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
        // Fixed lanes: the order of the sum is the same on every machine.
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
