//! Normalisation of grey values to the input of an encoder.

use infomark_core::{ContrastRule, Plane, PlaneMut, local_contrast, local_contrast_scratch_len};
use infomark_kernels::widest;
use serde::{Deserialize, Serialize};

/// Normalisation of grey values to the encoder's input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Normalisation {
    /// As returned by [`read_image`](crate::read_image): in `[0, 1]`, 8-bit divided by 255, 16-bit rescaled between percentiles.
    #[default]
    UnitRange,
    /// Local contrast normalisation by [`infomark_core::local_contrast`] on the resized
    /// image: removes local brightness, and shows faint edges as well as strong ones.
    LocalContrast {
        /// Standard deviation of the neighbourhood, as a fraction of the image's longer side; above 0, at most 1.
        sigma: f32,
        /// Output for one local standard deviation, as a fraction of the whole range; above 0.
        gain: f32,
        /// Added to the local standard deviation, as a fraction of the whole range; above 0.
        floor: f32,
    },
}

impl Normalisation {
    /// Local contrast normalisation with the default parameters of training.
    pub const LOCAL_CONTRAST: Normalisation =
        Normalisation::LocalContrast { sigma: 1.0 / 16.0, gain: 0.2, floor: 0.02 };

    /// Normalises `width * height` row-major pixels of finite values in `[0, 1]`; `None` for a wrong number of pixels, or parameters that
    /// [`check`](Self::check) rejects.
    pub(crate) fn apply(self, pixels: Vec<f32>, width: usize, height: usize) -> Option<Vec<f32>> {
        let Normalisation::LocalContrast { sigma, gain, floor } = self else {
            return Some(pixels);
        };
        let sigma_px = (sigma * width.max(height) as f32).clamp(0.5, 1024.0);
        let mut scratch = vec![0.0; local_contrast_scratch_len(width, height, f64::from(sigma_px))];
        let mut out = vec![0.0; pixels.len()];
        let src = Plane::new(&pixels, width, height).ok()?;
        let dst = PlaneMut::new(&mut out, width, height).ok()?;
        widest(
            #[inline(always)]
            || local_contrast(src, dst, ContrastRule { sigma_px, gain, floor }, &mut scratch),
        )
        .ok()?;
        Some(out)
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// [`NormalisationError`].
    pub fn check(self) -> Result<(), NormalisationError> {
        let Normalisation::LocalContrast { sigma, gain, floor } = self else {
            return Ok(());
        };
        let positive = |value: f32| value.is_finite() && value > 0.0;
        match () {
            () if !(positive(sigma) && sigma <= 1.0) => Err(NormalisationError::Sigma { sigma }),
            () if !positive(gain) => Err(NormalisationError::Gain { gain }),
            () if !positive(floor) => Err(NormalisationError::Floor { floor }),
            () => Ok(()),
        }
    }
}

/// Invalid parameter of the local contrast normalisation.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum NormalisationError {
    /// The standard deviation of the neighbourhood.
    #[error("a local contrast with sigma {sigma} where a part of the side, above 0 up to 1, is expected")]
    Sigma {
        /// The rejected value.
        sigma: f32,
    },
    /// The gain.
    #[error("a local contrast with gain {gain} where a number above 0 is expected")]
    Gain {
        /// The rejected value.
        gain: f32,
    },
    /// The floor.
    #[error("a local contrast with floor {floor} where a number above 0 is expected")]
    Floor {
        /// The rejected value.
        floor: f32,
    },
}
