//! The arithmetic of information-guided landmark matching.
#![no_std]
#![forbid(unsafe_code)]

mod augment;
mod entropy;
mod feature;
mod geom;
mod locate;
mod loss;
mod plane;
mod real;
mod rng;
mod sample;
mod score;
mod tier;

pub use augment::{AugmentError, IntensityRange, TierPolicy, Tone, Warp};
pub use entropy::{EntropyError, entropy_map, entropy_scratch_len};
pub use feature::{FeatureError, FeatureMap};
pub use geom::{Point, Spacing, SpacingError};
pub use locate::{LocateError, Peak, peak, sample_feature, similarity, similarity_scratch_len};
pub use loss::{LossError, Negatives, Positive, info_nce, info_nce_scratch_len};
pub use plane::{Plane, PlaneError, PlaneMut};
pub use real::Real;
pub use rng::{Rng, philox4x32};
pub use sample::{SampleError, Sampler, Weighting, weight_map};
pub use score::{Interval, ScoreError, Statistic, bootstrap_interval, mean, radial_error_mm, sdr};
pub use tier::{Thresholds, Tier, TierError, tier_map};
