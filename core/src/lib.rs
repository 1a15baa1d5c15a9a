//! Algorithms of information-guided landmark matching, without `std`, without an allocator
//! and without `unsafe`.
//!
//! A contrastively trained encoder gives the same anatomical point the same feature in every
//! radiograph; one annotated template is then enough to find its landmarks in all of them. The
//! *information* around a pixel is the entropy of its grey levels; it controls how often the pixel is
//! sampled and how strongly its views are augmented (Quan, Yao, Zhu, Zhou, *IGU-Aug: Information-guided
//! unsupervised augmentation and pixel-wise contrastive learning for medical image analysis*, IEEE TMI
//! 44(1), 2025). This crate contains everything that needs no network; all of it is generic over `f32`
//! and `f64`.
//!
//! | step | items |
//! | --- | --- |
//! | borrowed images and points | [`Plane`], [`PlaneMut`], [`Point`], [`Spacing`] |
//! | local contrast normalisation | [`local_contrast`] |
//! | information of each pixel | [`entropy_map`], [`EntropyMap`], [`Binning`], [`Thresholds`], [`tier_map`] |
//! | mutual information of patches | [`mutual_information`], [`joint_entropy`], [`JointEntropy`] |
//! | sampling of pixels | [`weight_map`], [`tier_weight_map`], [`Sampler`], [`sample_spaced`], [`Rng`] |
//! | augmentation intensity | [`TierPolicy`], [`IntensityRange`] |
//! | search for that intensity | [`key_points`], [`search_tone`], [`intensity_range`] |
//! | intensity jitter | [`IntensityJitter`] |
//! | geometry of views | [`Warp`], [`Affine`], [`View`], [`Elastic`] |
//! | training loss | [`FeatureMap`], [`InfoNce`], [`info_nce_levels`] |
//! | stability of features | [`positive_similarity`], [`SimilarityCurve`], [`CurveCut`] |
//! | matching of a landmark | [`sample_feature`], [`similarity`], [`similarities`], [`peak`] |
//! | robust alignment of matches | [`Alignment`] |
//! | error metrics | [`radial_error_mm`], [`mean`], [`sdr`], [`bootstrap_interval`] |
//! | measurements | [`length`], [`angle_at`], [`angle_between`], [`distance_to_line`], [`error_bound`] |
//!
//! # Conventions
//!
//! * Pixel `(0, 0)` has its **centre** at `(0.0, 0.0)`; x goes right, y down. Resizing by a factor
//!   `s` maps centres, `x' = (x + 0.5) * s - 0.5`; cell `i` of a map of stride `s` has its centre at
//!   pixel `(i + 0.5) * s - 0.5`.
//! * Images are borrowed from the caller. Output and scratch come from the caller, too; a
//!   function beside each that needs scratch gives its length. The scratch's content is ignored.
//! * Bad arguments are errors, never panics; only [`Plane::row`] and [`PlaneMut::row_mut`] panic,
//!   as slice indexing does.
//! * The same input gives the same bits on every machine: elementary functions come from `libm`,
//!   sums have a fixed order, random numbers depend only on a seed, a stream and a position.
//!
//! # Example
//!
//! A view of an image around a pixel sampled in proportion to its information, and the position
//! of that pixel in the view:
//!
//! ```
//! use infomark_core::{
//!     Plane, PlaneMut, Point, Rng, Sampler, Thresholds, TierPolicy, Warp, Weighting,
//!     entropy_map, entropy_scratch_len, weight_map,
//! };
//!
//! const SIDE: usize = 32;
//! let mut rng = Rng::new(1, 0);
//! // Noise on the right half only.
//! let image: Vec<u8> =
//!     (0..SIDE * SIDE).map(|i| if i % SIDE < 16 { 40 } else { rng.below(256) as u8 }).collect();
//! let image = Plane::new(&image, SIDE, SIDE)?;
//!
//! let mut entropy = vec![0f32; SIDE * SIDE];
//! let mut scratch = vec![0; entropy_scratch_len(9, SIDE, SIDE)];
//! entropy_map(image, 9, PlaneMut::new(&mut entropy, SIDE, SIDE)?, &mut scratch)?;
//! let entropy = Plane::new(&entropy, SIDE, SIDE)?;
//!
//! let mut weights = vec![0f32; SIDE * SIDE];
//! let weighting = Weighting::Piecewise { threshold: 1.0 };
//! weight_map(entropy, weighting, PlaneMut::new(&mut weights, SIDE, SIDE)?)?;
//! let mut cumulative = vec![0.0; SIDE * SIDE];
//! let sampler = Sampler::new(Plane::new(&weights, SIDE, SIDE)?, &mut cumulative)?;
//! let (x, y) = sampler.draw(&mut rng);
//! assert!(x > 11);
//!
//! // How strongly the view may differ follows from the pixel's tier.
//! let mut buffer = vec![0f32; SIDE * SIDE];
//! let thresholds = Thresholds::from_quantiles(entropy, 0.4, 0.8, &mut buffer)?;
//! let tier = thresholds.tier(entropy.row(y)[x]);
//! let tone = TierPolicy::published().range(tier).draw(&mut rng);
//!
//! let pixel = Point::new(x as f32, y as f32);
//! let warp = Warp::new(pixel, rng.uniform_in(-0.35, 0.35), 1.0, 16, 16)?;
//! let source: Vec<f32> = image.rows().flatten().map(|&v| f32::from(v) / 255.0).collect();
//! let mut view = vec![0f32; 16 * 16];
//! let mut out = PlaneMut::new(&mut view, 16, 16)?;
//! warp.resample(Plane::new(&source, SIDE, SIDE)?, out.reborrow(), 0.0)?;
//! tone.apply_in_place(out)?;
//! assert_eq!(warp.push(pixel), Some(Point::new(7.5, 7.5)));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
//!
//! # Features
//!
//! * `alloc` (off): the module `owned`, whose functions allocate output and scratch.
//! * `rand_core` (off): [`Rng`] implements the traits of that crate.
//! * `ndarray` (off): planes and feature maps from and to `ndarray` views. It brings an allocator
//!   into the program, though not into this crate's functions.

#![no_std]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod align;
mod augment;
mod conformal;
mod contrast;
mod curve;
mod entropy;
mod feature;
mod geom;
mod histogram;
mod intensity;
#[cfg(feature = "ndarray")]
mod interop;
mod keypoint;
mod locate;
mod loss;
mod margin;
mod measure;
mod mutual;
#[cfg(feature = "alloc")]
pub mod owned;
mod plane;
mod real;
mod rng;
mod sample;
mod score;
mod tier;
mod tree;

pub use align::{AlignError, AlignOptions, Alignment, Expected, Match};
pub use augment::{
    Affine, AugmentError, Border, Elastic, IntensityJitter, IntensityRange, Interpolation, Pixel, TierPolicy,
    View, Warp, elastic_controls_len,
};
pub use conformal::{ConformalError, conformal_bound};
pub use contrast::{ContrastError, ContrastRule, local_contrast, local_contrast_scratch_len};
pub use curve::{
    CurveCut, CurveError, DipRule, SimilarityBin, SimilarityCurve, cosine_similarity, positive_similarities,
    positive_similarity,
};
pub use entropy::{
    EntropyError, EntropyMap, FixedPoint, Neighbourhood, PatchBorder, entropy_map, entropy_scratch_len,
};
pub use feature::{FeatureError, FeatureMap};
pub use geom::{Point, Spacing, SpacingError};
pub use histogram::{Binning, BinningError, Grey};
pub use intensity::{
    IntensityError, SearchOutcome, SearchRule, Strength, ToneSearch, ToneSearchScratch, intensity_range,
    search_strength, search_tone, tone_path, tone_search_scratch_len,
};
pub use keypoint::{KeyPoint, KeyPointError, KeyPointRule, key_points, key_points_scratch_len};
pub use locate::{
    LocateError, Peak, add_resized, add_resized_scratch_len, highest_beyond, peak, sample_feature,
    similarities, similarities_scratch_len, similarity, similarity_scratch_len, soft_peak,
};
pub use loss::{
    InfoNce, LossError, LossLevel, Negatives, Positive, info_nce, info_nce_levels, info_nce_scratch_len,
};
pub use margin::Margin;
pub use measure::{
    Measured, angle_at, angle_between, distance_to_line, error_bound, horizontal_extent, length, midpoint,
    projected_length, vertical_extent,
};
pub use mutual::{
    JointEntropy, MutualError, joint_entropy, joint_entropy_scratch_len, mutual_information,
    mutual_information_scratch_len, mutual_information_terms,
};
pub use plane::{Plane, PlaneError, PlaneMut};
pub use real::Real;
pub use rng::{Rng, philox4x32};
pub use sample::{
    SampleError, Sampler, TierRatios, Tournament, Weighting, clear_margin, sample_spaced,
    sample_spaced_scratch_len, tier_weight_map, weight_map,
};
pub use score::{Interval, ScoreError, Statistic, bootstrap_interval, mean, radial_error_mm, sdr};
pub use tier::{Thresholds, Tier, TierError, tier_map};
