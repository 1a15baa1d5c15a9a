//! Allocating variants of functions that take output and scratch from the caller (feature `alloc`).
//!
//! Each function allocates output and scratch and calls its namesake at the root of the crate: same values, same errors. In a loop over
//! many images, reusing the caller's buffers is faster.
//!
//! ```
//! use infomark_core::{Plane, Rng, Weighting, owned};
//!
//! let mut rng = Rng::new(1, 0);
//! let pixels: Vec<u8> = (0..32 * 32).map(|_| rng.below(256) as u8).collect();
//! let image = Plane::new(&pixels, 32, 32)?;
//!
//! let entropy = owned::entropy_map::<f32>(image, 9)?;
//! let weights = owned::weight_map(entropy.as_plane(), Weighting::Piecewise { threshold: 1.0 })?;
//! let drawn = owned::sample_spaced(weights.as_plane(), 4.0, 10, &mut rng)?;
//! assert_eq!(drawn.len(), 10);
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```

use alloc::vec;
use alloc::vec::Vec;

use crate::{
    ContrastError, ContrastRule, EntropyError, EntropyMap, KeyPoint, KeyPointError, KeyPointRule,
    MutualError, Plane, PlaneMut, Real, Rng, SampleError, Weighting,
};

/// Row-major image that owns its pixels, without padding.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnedPlane<T> {
    data: Vec<T>,
    width: usize,
    height: usize,
}

impl<T: Clone> OwnedPlane<T> {
    /// A plane of the size of another, all of one value.
    fn like<S>(source: Plane<'_, S>, value: T) -> Self {
        let (width, height) = (source.width(), source.height());
        Self { data: vec![value; width * height], width, height }
    }
}

impl<T> OwnedPlane<T> {
    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// The image as a [`Plane`].
    pub fn as_plane(&self) -> Plane<'_, T> {
        Plane::exact(&self.data, self.width, self.height)
    }

    /// The image as a [`PlaneMut`].
    pub fn as_plane_mut(&mut self) -> PlaneMut<'_, T> {
        PlaneMut::exact(&mut self.data, self.width, self.height)
    }

    /// The pixels, row by row.
    pub fn into_vec(self) -> Vec<T> {
        self.data
    }
}

/// Allocates scratch; empty when out of memory, so that the callee rejects its length.
fn scratch<T: Clone>(value: T, len: usize) -> Vec<T> {
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(len).is_ok() {
        buffer.resize(len, value);
    }
    buffer
}

/// Entropy of the square of side `k` around each pixel, as [`entropy_map`](crate::entropy_map).
///
/// # Errors
/// As [`entropy_map`](crate::entropy_map).
pub fn entropy_map<T: Real>(image: Plane<'_, u8>, k: usize) -> Result<OwnedPlane<T>, EntropyError> {
    entropy_map_of(EntropyMap::square(k), image)
}

/// Entropy around each pixel in any neighbourhood, as [`EntropyMap::compute`].
///
/// # Errors
/// As [`EntropyMap::compute`].
pub fn entropy_map_of<T: Real>(map: EntropyMap, image: Plane<'_, u8>) -> Result<OwnedPlane<T>, EntropyError> {
    let mut out = OwnedPlane::like(image, T::zero());
    map.compute(image, out.as_plane_mut(), &mut scratch(0, map.scratch_len(image.width(), image.height())))?;
    Ok(out)
}

/// Local contrast normalisation, as [`local_contrast`](crate::local_contrast).
///
/// # Errors
/// As [`local_contrast`](crate::local_contrast).
pub fn local_contrast<T: Real>(
    image: Plane<'_, T>,
    rule: ContrastRule<T>,
) -> Result<OwnedPlane<T>, ContrastError> {
    let len = crate::local_contrast_scratch_len(image.width(), image.height(), rule.sigma_px.as_f64());
    let mut out = OwnedPlane::like(image, T::zero());
    crate::local_contrast(image, out.as_plane_mut(), rule, &mut scratch(T::zero(), len))?;
    Ok(out)
}

/// Sampling weights of an entropy map, as [`weight_map`](crate::weight_map).
///
/// # Errors
/// As [`weight_map`](crate::weight_map).
pub fn weight_map<T: Real>(
    entropy: Plane<'_, T>,
    weighting: Weighting<T>,
) -> Result<OwnedPlane<T>, SampleError> {
    let mut out = OwnedPlane::like(entropy, T::zero());
    crate::weight_map(entropy, weighting, out.as_plane_mut())?;
    Ok(out)
}

/// At most `count` pixels, as `(column, row)`, sampled in proportion to their weights and at least `min_distance` apart, as
/// [`sample_spaced`](crate::sample_spaced).
///
/// # Errors
/// As [`sample_spaced`](crate::sample_spaced).
pub fn sample_spaced<T: Real>(
    weights: Plane<'_, T>,
    min_distance: T,
    count: usize,
    rng: &mut Rng,
) -> Result<Vec<(usize, usize)>, SampleError> {
    let (width, height) = (weights.width(), weights.height());
    let mut out = vec![(0, 0); count.min(width * height)];
    let len = crate::sample_spaced_scratch_len(width, height);
    let drawn = crate::sample_spaced(weights, min_distance, rng, &mut out, &mut scratch(0.0, len))?;
    out.truncate(drawn);
    Ok(out)
}

/// Mutual information of two images in nats, as [`mutual_information`](crate::mutual_information).
///
/// # Errors
/// As [`mutual_information`](crate::mutual_information).
pub fn mutual_information<T: Real>(first: Plane<'_, u8>, second: Plane<'_, u8>) -> Result<T, MutualError> {
    let len = crate::mutual_information_scratch_len(first.width(), first.height());
    crate::mutual_information(first, second, &mut scratch(0, len))
}

/// At most `count` keypoints, strongest first, as [`key_points`](crate::key_points).
///
/// # Errors
/// As [`key_points`](crate::key_points).
pub fn key_points<T: Real>(
    image: Plane<'_, T>,
    rule: KeyPointRule<T>,
    count: usize,
) -> Result<Vec<KeyPoint<T>>, KeyPointError> {
    let (width, height) = (image.width(), image.height());
    let mut out = vec![KeyPoint::default(); count.min(width * height)];
    let len = crate::key_points_scratch_len(width, height);
    let found = crate::key_points(image, rule, &mut out, &mut scratch(T::zero(), len))?;
    out.truncate(found);
    Ok(out)
}
