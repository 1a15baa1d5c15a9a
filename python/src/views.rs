//! Random numbers, and views of images.

use infomark_core::{Affine, Border, IntensityRange, Interpolation, PlaneMut, Point, Thresholds, Tier, View};
use infomark_train::TrainConfig;
use numpy::{IntoPyArray, PyArray1, PyArray2, PyReadonlyArray2, PyReadwriteArray2};
use pyo3::prelude::*;

use crate::array::{matrix, plane, plane_mut, rows};
use crate::error::{raise, refuse};
use crate::source::Source;

/// Counter-based random number generator (Philox4x32-10): depends only on seed, stream and position, as in Rust.
#[pyclass(module = "infomark")]
pub(crate) struct Rng {
    pub(crate) inner: infomark_core::Rng,
    seed: u64,
    stream: u64,
}

#[pymethods]
impl Rng {
    #[new]
    #[pyo3(signature = (seed, stream=0, position=0))]
    fn new(seed: u64, stream: u64, position: u64) -> Self {
        let mut inner = infomark_core::Rng::new(seed, stream);
        inner.seek(position);
        Self { inner, seed, stream }
    }

    /// Number of 32-bit words drawn.
    #[getter]
    fn position(&self) -> u64 {
        self.inner.counter()
    }

    /// The next number in `[0, 1)`.
    fn uniform(&mut self) -> f64 {
        self.inner.uniform()
    }

    fn __reduce__(&self, py: Python<'_>) -> (Py<PyAny>, (u64, u64, u64)) {
        (py.get_type::<Self>().into_any().unbind(), (self.seed, self.stream, self.inner.counter()))
    }

    fn __repr__(&self) -> String {
        format!("Rng(seed={}, stream={}, position={})", self.seed, self.stream, self.inner.counter())
    }
}

/// The options of a training, as JSON of their names.
pub(crate) fn config(json: &str) -> PyResult<TrainConfig> {
    let config: TrainConfig =
        serde_json::from_str(json).map_err(|error| refuse(format!("options: {error}")))?;
    config.check().map_err(raise)?;
    Ok(config)
}

/// Low and high end of a factor.
type Ends = (f32, f32);

/// Augmentation intensity of each tier.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct TierPolicy {
    pub(crate) inner: infomark_core::TierPolicy<f32>,
}

#[pymethods]
impl TierPolicy {
    #[new]
    fn new(low: [Ends; 3], medium: [Ends; 3], high: [Ends; 3]) -> PyResult<Self> {
        let range = |[brightness, contrast, gamma]: [Ends; 3]| {
            IntensityRange::new(brightness, contrast, gamma).map_err(raise)
        };
        let inner = infomark_core::TierPolicy::new(range(low)?, range(medium)?, range(high)?);
        Ok(Self { inner: inner.map_err(raise)? })
    }

    /// The policy of a training's options.
    #[staticmethod]
    fn of_config(json: &str) -> PyResult<Self> {
        Ok(Self { inner: config(json)?.tier_policy().map_err(raise)? })
    }

    /// The published ranges for cephalograms.
    #[staticmethod]
    fn published() -> Self {
        Self { inner: infomark_core::TierPolicy::published() }
    }

    /// Brightness, contrast and gamma of the low, medium and high tier.
    fn ranges(&self) -> [[Ends; 3]; 3] {
        [self.inner.low, self.inner.medium, self.inner.high].map(|r| [r.brightness, r.contrast, r.gamma])
    }
}

/// A view: pixels, points in view and image, entropies, tier, intensity jitter, corners.
type Drawn<'py> = (
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray2<f32>>,
    Bound<'py, PyArray1<f32>>,
    usize,
    (f32, f32, f32),
    Bound<'py, PyArray2<f32>>,
);

/// An image with the guidance of its views.
#[pyclass(module = "infomark._infomark", frozen)]
pub(crate) struct GuidedImage {
    inner: infomark_train::GuidedImage,
}

#[pymethods]
impl GuidedImage {
    #[new]
    fn new(py: Python<'_>, image: Source, options: &str, thresholds: Option<(f32, f32)>) -> PyResult<Self> {
        let (image, config) = (py.detach(|| image.read())?, config(options)?);
        let thresholds = thresholds.map(|(medium, high)| Thresholds::new(medium, high)).transpose();
        let thresholds = thresholds.map_err(raise)?;
        let inner = py.detach(|| infomark_train::GuidedImage::new(&image, &config, thresholds));
        Ok(Self { inner: inner.map_err(raise)? })
    }

    /// Medium and high threshold in nats.
    fn thresholds(&self) -> (f32, f32) {
        let thresholds = self.inner.thresholds();
        (thresholds.medium, thresholds.high)
    }

    /// Entropy around each pixel in nats.
    fn entropy<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        matrix(py, self.inner.height(), self.inner.width(), self.inner.entropy().to_vec())
    }

    /// Sampling weight of each pixel.
    fn weights<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        matrix(py, self.inner.height(), self.inner.width(), self.inner.weights().to_vec())
    }

    /// Draws views.
    fn views<'py>(
        &self,
        py: Python<'py>,
        policy: &TierPolicy,
        options: &str,
        count: usize,
        rng: &mut Rng,
    ) -> PyResult<Vec<Drawn<'py>>> {
        let (config, rng) = (config(options)?, &mut rng.inner);
        let (inner, policy) = (&self.inner, policy.inner);
        let mut views = Vec::new();
        while views.len() < count {
            // A few at a time, so that it can be interrupted.
            let next = (count - views.len()).min(64);
            views.extend(py.detach(|| inner.views(&policy, &config, next, rng)).map_err(raise)?);
            py.check_signals()?;
        }
        let one = |view: infomark_train::GuidedView| {
            let tone = (view.tone.brightness, view.tone.contrast, view.tone.gamma);
            let tier = Tier::ALL.iter().position(|tier| *tier == view.tier).unwrap_or(0);
            Ok((
                matrix(py, view.side, view.side, view.pixels)?,
                rows(py, view.positives.iter().map(|pair| pair.view))?,
                rows(py, view.positives.iter().map(|pair| pair.image))?,
                view.entropies.into_pyarray(py),
                tier,
                tone,
                rows(py, view.corners)?,
            ))
        };
        views.into_iter().map(one).collect()
    }
}

/// Fills `out` with a view of 8-bit pixels: rotated about a point, scaled, bilinear, 0 outside.
#[pyfunction]
pub(crate) fn resample(
    py: Python<'_>,
    image: PyReadonlyArray2<'_, u8>,
    centre: (f32, f32),
    rotation_deg: f32,
    scale: f32,
    mut out: PyReadwriteArray2<'_, u8>,
) -> PyResult<()> {
    let (image, out) = (plane(&image)?, plane_mut(&mut out)?);
    let (width, height) = (out.width(), out.height());
    let run = move || {
        let map = Affine::rotation(rotation_deg.to_radians())?.then(&Affine::scaling(scale, scale)?)?;
        let view = View::around(Point::new(centre.0, centre.1), &map, width, height)?;
        view.resample(image, out, Interpolation::Bilinear, Border::Value(0))
    };
    py.detach(run).map_err(raise)
}

/// Intensity jitter of 8-bit pixels, in place: brightness, contrast and gamma.
#[pyfunction]
pub(crate) fn tone(
    py: Python<'_>,
    mut image: PyReadwriteArray2<'_, u8>,
    brightness: f32,
    contrast: f32,
    gamma: f32,
) -> PyResult<()> {
    let out: PlaneMut<'_, u8> = plane_mut(&mut image)?;
    let tone = infomark_core::IntensityJitter { brightness, contrast, gamma };
    py.detach(|| tone.apply_u8_in_place(out)).map_err(raise)
}
