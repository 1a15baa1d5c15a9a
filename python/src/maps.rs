//! Entropy, mutual information, sampling, and the contrastive loss.

use std::cell::RefCell;

use infomark_core::{
    Binning, EntropyMap, FeatureMap, InfoNce, Negatives, PatchBorder, Plane, PlaneMut, Point, Positive, Real,
    Sampler, Thresholds, Tier, Weighting, joint_entropy, joint_entropy_scratch_len, sample_spaced,
    sample_spaced_scratch_len,
};
use numpy::{
    Element, PyArray2, PyArrayMethods, PyReadonlyArray2, PyReadonlyArray3, PyReadwriteArray3,
    PyUntypedArrayMethods,
};
use pyo3::prelude::*;

use crate::array::{layout, matrix, plane, plane_mut, points, row_by_row};
use crate::error::{raise, refuse};
use crate::views::Rng;

/// Maximum scratch of an entropy map, in elements: 1 GiB.
const MOST_COUNTS: usize = 1 << 27;
/// Maximum scratch kept between calls, in elements: 8 MiB.
const KEPT_COUNTS: usize = 1 << 20;

thread_local! {
    /// Kept between calls, as it is as large as a small image.
    static COUNTS: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Fills `out` with entropies in nats.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn entropy_map(
    py: Python<'_>,
    image: PyReadonlyArray2<'_, u8>,
    shape: &str,
    size: usize,
    border: &str,
    step: usize,
    mask: Option<PyReadonlyArray2<'_, bool>>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let border = match border {
        "cut" => PatchBorder::Cut,
        "mirror" => PatchBorder::Mirror,
        "clamp" => PatchBorder::Clamp,
        other => {
            return Err(refuse(format!("border {other:?}: \"cut\", \"mirror\" and \"clamp\" are possible")));
        }
    };
    let map = match shape {
        "square" => EntropyMap::square(size),
        "disk" => EntropyMap::disk(size),
        other => return Err(refuse(format!("shape {other:?}: \"square\" and \"disk\" are possible"))),
    };
    let map = map.border(border).step(step);
    let image = plane(&image)?;
    let mask = mask.as_ref().map(plane).transpose()?;
    if let Ok(out) = out.cast::<PyArray2<f32>>() {
        fill(py, map, image, mask, plane_mut(&mut out.try_readwrite()?)?)
    } else {
        fill(py, map, image, mask, plane_mut(&mut out.cast::<PyArray2<f64>>()?.try_readwrite()?)?)
    }
}

fn fill<T: Real>(
    py: Python<'_>,
    map: EntropyMap,
    image: Plane<'_, u8>,
    mask: Option<Plane<'_, bool>>,
    out: PlaneMut<'_, T>,
) -> PyResult<()> {
    py.detach(|| {
        COUNTS.with_borrow_mut(|counts| {
            let needed = map.scratch_len(image.width(), image.height());
            // Mirrored and clamped patches may be larger than any image.
            if needed > MOST_COUNTS || counts.try_reserve(needed.saturating_sub(counts.len())).is_err() {
                return Err(refuse(format!(
                    "patches of {needed} pixels are too large: make them smaller, or cut them off at the border"
                )));
            }
            if counts.len() < needed {
                counts.resize(needed, 0);
            }
            let filled = match mask {
                Some(mask) => map.compute_masked(image, mask, out, counts),
                None => map.compute(image, out, counts),
            };
            if counts.len() > KEPT_COUNTS {
                *counts = Vec::new();
            }
            filled.map_err(raise)
        })
    })
}

/// An array of one of the two floating-point types.
#[derive(FromPyObject)]
pub(crate) enum Floats<'py> {
    Single(PyReadonlyArray2<'py, f32>),
    Double(PyReadonlyArray2<'py, f64>),
}

macro_rules! each {
    ($floats:expr, $array:ident => $body:expr) => {
        match $floats {
            Floats::Single($array) => $body,
            Floats::Double($array) => $body,
        }
    };
}

/// Tier thresholds: the entropies below which the fractions `medium` and `high` of the pixels are.
#[pyfunction]
pub(crate) fn tier_thresholds(
    py: Python<'_>,
    entropy: Floats<'_>,
    medium: f64,
    high: f64,
) -> PyResult<(f64, f64)> {
    fn of<T: Real + Element>(
        py: Python<'_>,
        entropy: Plane<'_, T>,
        medium: f64,
        high: f64,
    ) -> PyResult<(f64, f64)> {
        let found = py.detach(|| {
            let mut scratch = vec![T::zero(); entropy.width() * entropy.height()];
            Thresholds::from_quantiles(entropy, medium, high, &mut scratch)
        });
        found.map(|found| (found.medium.as_f64(), found.high.as_f64())).map_err(raise)
    }
    each!(&entropy, array => of(py, plane(array)?, medium, high))
}

/// 0, 1 or 2 for each pixel.
#[pyfunction]
pub(crate) fn tiers<'py>(
    py: Python<'py>,
    entropy: Floats<'py>,
    medium: f64,
    high: f64,
) -> PyResult<Bound<'py, PyArray2<u8>>> {
    fn of<T: Real>(entropy: Plane<'_, T>, medium: f64, high: f64) -> PyResult<Vec<u8>> {
        let thresholds = Thresholds::new(T::from_f64(medium), T::from_f64(high)).map_err(raise)?;
        let tier = |&h: &T| match thresholds.tier(h) {
            Tier::Low => 0,
            Tier::Medium => 1,
            Tier::High => 2,
        };
        Ok(entropy.rows().flatten().map(tier).collect())
    }
    each!(&entropy, array => {
        let entropy = plane(array)?;
        let tiers = py.detach(|| of(entropy, medium, high))?;
        matrix(py, entropy.height(), entropy.width(), tiers)
    })
}

/// Sampling weights of entropies: by an exponent, or 1 from a threshold on.
#[pyfunction]
pub(crate) fn weight_map<'py>(
    py: Python<'py>,
    entropy: Floats<'py>,
    alpha: f64,
    least: Option<f64>,
) -> PyResult<Bound<'py, PyAny>> {
    fn of<T: Real>(entropy: Plane<'_, T>, alpha: f64, least: Option<f64>) -> PyResult<Vec<T>> {
        let weighting = match least {
            Some(least) => Weighting::Piecewise { threshold: T::from_f64(least) },
            None => Weighting::Exponential { alpha: T::from_f64(alpha) },
        };
        let mut weights = vec![T::zero(); entropy.width() * entropy.height()];
        let out = PlaneMut::new(&mut weights, entropy.width(), entropy.height()).map_err(raise)?;
        infomark_core::weight_map(entropy, weighting, out).map_err(raise)?;
        Ok(weights)
    }
    each!(&entropy, array => {
        let entropy = plane(array)?;
        let weights = py.detach(|| of(entropy, alpha, least))?;
        Ok(matrix(py, entropy.height(), entropy.width(), weights)?.into_any())
    })
}

/// Pixels sampled by weight, as rows of `x, y`; with a minimum distance, fewer if no more fit.
#[pyfunction]
pub(crate) fn sample_pixels<'py>(
    py: Python<'py>,
    weights: Floats<'py>,
    count: usize,
    rng: &mut Rng,
    apart: Option<f64>,
) -> PyResult<Bound<'py, PyArray2<i64>>> {
    fn of<T: Real>(
        weights: Plane<'_, T>,
        count: usize,
        rng: &mut infomark_core::Rng,
        apart: Option<f64>,
    ) -> PyResult<Vec<i64>> {
        let drawn = if let Some(apart) = apart {
            let mut scratch = vec![0.0; sample_spaced_scratch_len(weights.width(), weights.height())];
            // At most as many as there are pixels.
            let mut out = vec![(0, 0); count.min(weights.width() * weights.height())];
            let found =
                sample_spaced(weights, T::from_f64(apart), rng, &mut out, &mut scratch).map_err(raise)?;
            out.truncate(found);
            out
        } else {
            let mut sums = vec![0.0; weights.width() * weights.height()];
            let sampler = Sampler::new(weights, &mut sums).map_err(raise)?;
            (0..count).map(|_| sampler.draw(rng)).collect()
        };
        Ok(drawn.into_iter().flat_map(|(x, y)| [x as i64, y as i64]).collect())
    }
    each!(&weights, array => {
        let weights = plane(array)?;
        let rng = &mut rng.inner;
        let drawn = py.detach(|| of(weights, count, rng, apart))?;
        matrix(py, drawn.len() / 2, 2, drawn)
    })
}

/// Two patches of one type.
#[derive(FromPyObject)]
pub(crate) enum Greys<'py> {
    Bytes(PyReadonlyArray2<'py, u8>),
    Words(PyReadonlyArray2<'py, u16>),
}

/// Mutual information of two patches in nats.
#[pyfunction]
pub(crate) fn mutual_information(
    py: Python<'_>,
    first: Greys<'_>,
    second: Greys<'_>,
    bins: usize,
    low: u16,
    high: u16,
) -> PyResult<f64> {
    fn of<G: infomark_core::Grey, const BINS: usize>(
        first: Plane<'_, G>,
        second: Plane<'_, G>,
        (low, high): (u16, u16),
    ) -> PyResult<f64> {
        let binning = Binning::<BINS>::new(low, high).map_err(raise)?;
        counting(joint_entropy_scratch_len(BINS, first.width(), first.height()), |counts| {
            let both = joint_entropy::<f64, G, BINS>(first, second, [binning; 2], counts).map_err(raise)?;
            Ok(both.mutual_information())
        })
    }
    /// Runs `call` with scratch that the thread keeps between calls.
    fn counting<R>(needed: usize, call: impl FnOnce(&mut [u32]) -> R) -> R {
        thread_local! { static COUNTS: RefCell<Vec<u32>> = const { RefCell::new(Vec::new()) } }
        COUNTS.with_borrow_mut(|counts| {
            if counts.len() < needed {
                counts.resize(needed, 0);
            }
            call(counts)
        })
    }
    fn choose<G: infomark_core::Grey>(
        first: Plane<'_, G>,
        second: Plane<'_, G>,
        bins: usize,
        window: (u16, u16),
    ) -> PyResult<f64> {
        match bins {
            8 => of::<G, 8>(first, second, window),
            16 => of::<G, 16>(first, second, window),
            32 => of::<G, 32>(first, second, window),
            64 => of::<G, 64>(first, second, window),
            128 => of::<G, 128>(first, second, window),
            256 => of::<G, 256>(first, second, window),
            other => Err(refuse(format!("bins {other}: 8, 16, 32, 64, 128 and 256 are possible"))),
        }
    }
    match (&first, &second) {
        (Greys::Bytes(a), Greys::Bytes(b)) => {
            let (a, b) = (plane(a)?, plane(b)?);
            // A bin per level is faster.
            if (bins, low, high) == (256, 0, 255) {
                let needed = joint_entropy_scratch_len(256, a.width(), a.height());
                return py
                    .detach(|| counting(needed, |counts| infomark_core::mutual_information(a, b, counts)))
                    .map_err(raise);
            }
            py.detach(|| choose(a, b, bins, (low, high)))
        }
        (Greys::Words(a), Greys::Words(b)) => {
            let (a, b) = (plane(a)?, plane(b)?);
            py.detach(|| choose(a, b, bins, (low, high)))
        }
        _ => Err(refuse("the patches have different types: both have to be uint8 or both uint16")),
    }
}

fn map<'a>(array: &'a PyReadonlyArray3<'_, f32>, stride: usize) -> PyResult<FeatureMap<'a, f32>> {
    let &[channels, height, width] = array.shape() else {
        return Err(refuse("features need three dimensions: channels, height, width"));
    };
    row_by_row(array.is_c_contiguous())?;
    FeatureMap::new(array.as_slice().map_err(layout)?, channels, width, height, stride).map_err(raise)
}

/// Rejects points outside a map, which the core would clamp.
fn inside(what: &str, map: &FeatureMap<'_, f32>, points: &[Point<f32>]) -> PyResult<()> {
    let (width, height) = (map.width() * map.stride(), map.height() * map.stride());
    let within = |at: f32, size: usize| at >= -0.5 && f64::from(at) < size as f64 - 0.5;
    match points.iter().position(|at| !(within(at.x, width) && within(at.y, height))) {
        Some(index) => Err(refuse(format!(
            "point {index} of the {what}, ({}, {}), is not on it: its features show {width} x {height} pixels",
            points.get(index).map_or(f32::NAN, |at| at.x),
            points.get(index).map_or(f32::NAN, |at| at.y),
        ))),
        None => Ok(()),
    }
}

/// `InfoNCE` summed over points; adds to the gradients, if given.
#[pyfunction]
#[allow(clippy::too_many_arguments, reason = "keyword arguments of Python")]
pub(crate) fn info_nce(
    py: Python<'_>,
    view: PyReadonlyArray3<'_, f32>,
    image: PyReadonlyArray3<'_, f32>,
    view_points: PyReadonlyArray2<'_, f32>,
    image_points: PyReadonlyArray2<'_, f32>,
    stride: usize,
    temperature: f32,
    window: Option<usize>,
    exclusion_radius: usize,
    gradients: Option<(PyReadwriteArray3<'_, f32>, PyReadwriteArray3<'_, f32>)>,
) -> PyResult<f32> {
    let (view, image) = (map(&view, stride)?, map(&image, stride)?);
    let (in_view, in_image) = (points(&view_points)?, points(&image_points)?);
    if in_view.len() != in_image.len() {
        return Err(refuse(format!(
            "{} points of the view and {} of the image",
            in_view.len(),
            in_image.len()
        )));
    }
    inside("view", &view, &in_view)?;
    inside("image", &image, &in_image)?;
    let positives: Vec<_> =
        in_view.into_iter().zip(in_image).map(|(view, image)| Positive { view, image }).collect();
    let negatives = window.map_or(Negatives::WholeMap, |radius| Negatives::Window { radius });
    let loss = InfoNce { negatives, temperature, exclusion_radius };
    let mut scratch = vec![0.0; loss.scratch_len(image)];
    let value = match gradients {
        None => py.detach(|| loss.forward(view, image, &positives, &mut scratch)),
        Some((mut of_view, mut of_image)) => {
            row_by_row(of_view.is_c_contiguous())?;
            row_by_row(of_image.is_c_contiguous())?;
            let of_view = of_view.as_slice_mut().map_err(layout)?;
            let of_image = of_image.as_slice_mut().map_err(layout)?;
            py.detach(|| loss.backward(view, image, &positives, of_view, of_image, &mut scratch))
        }
    };
    value.map_err(raise)
}
