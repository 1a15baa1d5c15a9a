//! Similarity search with the widest instructions of the processor: the same arithmetic, so the same bits.

use infomark_core::{
    EntropyError, FeatureError, FeatureMap, LocateError, PlaneError, PlaneMut, SampleError, TierError,
    similarities, similarities_scratch_len,
};
use infomark_kernels::widest;

/// Number of templates per [`Search`]: enough to read an image's features rarely, few enough for
/// their maps to stay in the caches.
pub(crate) const TOGETHER: usize = 8;

/// Why the features of a template and an image cannot be computed or compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// Levels or channels that differ between template and encoder.
    #[error("channels of its levels {template:?} against {image:?}")]
    Levels {
        /// Channels of the template's features, of its rings, and of its keypoints.
        template: Box<[Vec<usize>; 3]>,
        /// Channels of the image's, likewise.
        image: Box<[Vec<usize>; 3]>,
    },
    /// An index beyond the template's landmarks.
    #[error("no such landmark")]
    NoLandmark,
    /// A landmark that no template has.
    #[error("no template")]
    NoTemplate,
    /// All similarities are NaN.
    #[error("all similarities are NaN")]
    NotANumber,
    /// A reoriented image could not be made.
    #[error("{reason}")]
    Orientation {
        /// Message of the image's constructor.
        reason: String,
    },
    /// The search failed.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// A map has the wrong size.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// Features have the wrong size.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// The entropy for sampling keypoints failed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The weights for sampling keypoints failed.
    #[error(transparent)]
    Weights(#[from] TierError),
    /// Sampling keypoints failed.
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// Scratch of searches, reused.
#[derive(Debug, Default)]
pub(crate) struct Search {
    maps: Maps,
    scratch: Vec<f32>,
}

/// Similarity maps of the last search that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    values: Vec<f32>,
    /// Number of maps, and of cells of each.
    size: (usize, usize),
}

impl Maps {
    /// The map of a template.
    pub(crate) fn map(&self, index: usize) -> Option<&[f32]> {
        let (count, cells) = self.size;
        if index < count { self.values.get(index * cells..(index + 1) * cells) } else { None }
    }
}

impl Search {
    /// [`infomark_core::similarities`]: a map of the first level's `width x height` cells per template, one after the other.
    pub(crate) fn similarities(
        &mut self,
        levels: &[FeatureMap<'_, f32>],
        templates: &[&[&[f32]]],
        temperature: f32,
    ) -> Result<&mut [f32], ComparisonError> {
        self.maps.size = (0, 0);
        let Some(finest) = levels.first() else { return Err(LocateError::NoLevels.into()) };
        let maps = at_least(&mut self.maps.values, templates.len() * finest.cells());
        let scratch = at_least(&mut self.scratch, similarities_scratch_len(levels, templates.len()));
        let planes = maps
            .chunks_exact_mut(finest.cells())
            .map(|map| PlaneMut::new(map, finest.width(), finest.height()));
        let mut planes = planes.collect::<Result<Vec<_>, _>>()?;
        widest(
            #[inline(always)]
            || similarities(levels, templates, temperature, &mut planes, scratch),
        )?;
        self.maps.size = (templates.len(), finest.cells());
        Ok(maps)
    }

    /// Swaps the maps of the last search with other memory, which the next one reuses.
    pub(crate) fn swap_maps(&mut self, maps: &mut Maps) {
        std::mem::swap(&mut self.maps, maps);
    }
}

/// The first `len` elements of a vector, which grows if needed; their content is arbitrary.
pub(crate) fn at_least(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    &mut memory[..len]
}
