//! The search of features in the widest instructions that the processor has: the same arithmetic, so the same bits.

use infomark_core::{
    EntropyError, FeatureError, FeatureMap, LocateError, PlaneError, PlaneMut, SampleError, TierError,
    similarities, similarities_scratch_len,
};
use infomark_kernels::widest;

/// Templates that a [`Search`] is given at a time: enough for each part of an image's features to be fetched seldom, few enough for
/// their maps to stay in the caches.
pub(crate) const TOGETHER: usize = 8;

/// Why the features of a template and of an image can't be computed or compared.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ComparisonError {
    /// Levels or channels of the template that are not the encoder's.
    #[error("channels of its levels {template:?} against {image:?}")]
    Levels {
        /// Channels of the template's features, of those around its landmarks, and of its key points.
        template: Box<[Vec<usize>; 3]>,
        /// The same of the image's.
        image: Box<[Vec<usize>; 3]>,
    },
    /// An index beyond the template's landmarks.
    #[error("no such landmark")]
    NoLandmark,
    /// A landmark that no template has.
    #[error("no template")]
    NoTemplate,
    /// Similarities without a largest one.
    #[error("all similarities are NaN")]
    NotANumber,
    /// A turned or mirrored image that can't be made.
    #[error("{reason}")]
    Orientation {
        /// What the image's constructor said.
        reason: String,
    },
    /// The search refused its maps.
    #[error(transparent)]
    Locate(#[from] LocateError),
    /// A map of another size.
    #[error(transparent)]
    Plane(#[from] PlaneError),
    /// Features of another size.
    #[error(transparent)]
    Feature(#[from] FeatureError),
    /// The entropy that key points are drawn by.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// The weights that key points are drawn by.
    #[error(transparent)]
    Weights(#[from] TierError),
    /// Key points that can't be drawn.
    #[error(transparent)]
    Sample(#[from] SampleError),
}

/// Memory of searches, reused from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Search {
    maps: Maps,
    scratch: Vec<f32>,
}

/// Similarity maps of the last search that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Maps {
    values: Vec<f32>,
    /// How many, and cells of each.
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
    /// [`infomark_core::similarities`]: a map of the first level's `width x height` cells for each template, one after the other.
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

    /// Gives the maps of the last search away, for other memory that the next one may use.
    pub(crate) fn swap_maps(&mut self, maps: &mut Maps) {
        std::mem::swap(&mut self.maps, maps);
    }
}

/// The first `len` elements of a vector that grows where it is shorter; what they hold is left from before.
pub(crate) fn at_least(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    &mut memory[..len]
}
