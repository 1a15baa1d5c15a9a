//! Features of an image.

use std::sync::Arc;

use infomark_core::FeatureMap;
use infomark_kernels::widest;

use super::ModelOutputError;
use crate::{Description, Letterbox};

/// Tolerance of a feature's length above 1, for rounding.
const TOLERANCE: f32 = 1e-3;

/// Features of an image at every stride, with its letterboxing to the model input.
///
/// One encoding serves any number of templates.
#[derive(Clone, Debug)]
pub struct Encoding {
    image: String,
    model: Arc<str>,
    fit: Letterbox,
    temperature: f32,
    canvas: Vec<u8>,
    levels: Vec<Level>,
}

#[derive(Clone, Debug)]
struct Level {
    features: Vec<f32>,
    channels: usize,
    width: usize,
    height: usize,
    stride: usize,
}

impl Encoding {
    /// Takes the maps in the order of the description's strides and checks their values.
    pub(super) fn new(
        image: String,
        model: Arc<str>,
        fit: Letterbox,
        description: &Description,
        canvas: &[f32],
        maps: Vec<Vec<f32>>,
    ) -> Result<Encoding, ModelOutputError> {
        let mut levels = Vec::with_capacity(maps.len());
        let channels = description.channels.by_level(description.strides.len()).unwrap_or_default();
        for ((features, &stride), channels) in maps.into_iter().zip(&description.strides).zip(channels) {
            let (width, height) = (fit.input().width() / stride, fit.input().height() / stride);
            let map = FeatureMap::new(&features, channels, width, height, stride)?;
            check_lengths(&map)?;
            levels.push(Level { features, channels, width, height, stride });
        }
        Ok(Encoding {
            image,
            model,
            fit,
            temperature: description.temperature,
            canvas: levels_of(canvas),
            levels,
        })
    }

    /// Name of the image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// SHA-256 of the encoder's file.
    pub fn model_sha256(&self) -> &str {
        &self.model
    }

    pub(crate) fn model(&self) -> Arc<str> {
        Arc::clone(&self.model)
    }

    /// Letterboxing of the image to the model input.
    pub fn fit(&self) -> &Letterbox {
        &self.fit
    }

    /// Pixels of the image per pixel of the model input: the geometric mean of both directions.
    pub fn px_per_input_px(&self) -> f64 {
        self.fit.unit()
    }

    /// Temperature of the encoder: divisor of the cosines in training.
    pub fn temperature(&self) -> f32 {
        self.temperature
    }

    /// The model input as grey levels.
    pub(crate) fn canvas(&self) -> &[u8] {
        &self.canvas
    }

    /// The feature maps of the model input, finest first; features have length 1.
    pub fn levels(&self) -> Vec<FeatureMap<'_, f32>> {
        self.levels
            .iter()
            .filter_map(|level| {
                let Level { features, channels, width, height, stride } = level;
                FeatureMap::new(features, *channels, *width, *height, *stride).ok()
            })
            .collect()
    }
}

/// Grey levels 0 to 255 of pixels in [0, 1].
fn levels_of(canvas: &[f32]) -> Vec<u8> {
    let mut levels = vec![0; canvas.len()];
    widest(
        #[inline(always)]
        || {
            for (level, v) in levels.iter_mut().zip(canvas) {
                *level = (v * 255.0).round() as u8;
            }
        },
    );
    levels
}

/// Checks that no feature is NaN or longer than 1; a feature of zeros matches nothing and passes.
fn check_lengths(map: &FeatureMap<'_, f32>) -> Result<(), ModelOutputError> {
    let mut squares = vec![0.0_f32; map.cells()];
    widest(
        #[inline(always)]
        || {
            for channel in map.data().chunks_exact(map.cells()) {
                for (square, value) in squares.iter_mut().zip(channel) {
                    *square += value * value;
                }
            }
        },
    );
    let limit = (1.0 + TOLERANCE) * (1.0 + TOLERANCE);
    match squares.iter().find(|square| square.is_nan() || **square > limit) {
        None => Ok(()),
        Some(square) => Err(ModelOutputError::Length { stride: map.stride(), length: square.sqrt() }),
    }
}
