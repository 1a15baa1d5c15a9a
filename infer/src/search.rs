//! The search of features in the widest instructions that the processor has: the same arithmetic, so the same bits.

use infomark_core::{FeatureMap, LocateError, PlaneMut, similarities, similarities_scratch_len};
use infomark_kernels::widest;

/// Templates that a [`Search`] is given at a time: enough for each part of an image's features to be fetched seldom, few enough for
/// their maps to stay in the caches.
pub(crate) const TOGETHER: usize = 8;

/// Memory of searches, reused from one to the next.
#[derive(Debug, Default)]
pub(crate) struct Search {
    maps: Vec<f32>,
    scratch: Vec<f32>,
    /// Maps of the last search that succeeded, and cells of each.
    size: (usize, usize),
}

impl Search {
    /// [`infomark_core::similarities`]: a map of the first level's `width x height` cells for each template, one after the other.
    pub(crate) fn similarities(
        &mut self,
        levels: &[FeatureMap<'_, f32>],
        templates: &[&[&[f32]]],
        temperature: f32,
    ) -> Result<&mut [f32], String> {
        self.size = (0, 0);
        let Some(finest) = levels.first() else { return Err(LocateError::NoLevels.to_string()) };
        let maps = at_least(&mut self.maps, templates.len() * finest.cells());
        let scratch = at_least(&mut self.scratch, similarities_scratch_len(levels, templates.len()));
        let planes = maps
            .chunks_exact_mut(finest.cells())
            .map(|map| PlaneMut::new(map, finest.width(), finest.height()));
        let mut planes = planes.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        widest(
            #[inline(always)]
            || similarities(levels, templates, temperature, &mut planes, scratch),
        )
        .map_err(|error| error.to_string())?;
        self.size = (templates.len(), finest.cells());
        Ok(maps)
    }

    /// The map of a template of the last search.
    pub(crate) fn map(&self, index: usize) -> Option<&[f32]> {
        let (count, cells) = self.size;
        if index < count { self.maps.get(index * cells..(index + 1) * cells) } else { None }
    }
}

/// The first `len` elements of a vector that grows where it is shorter; what they hold is left from before.
pub(crate) fn at_least(memory: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if memory.len() < len {
        memory.resize(len, 0.0);
    }
    &mut memory[..len]
}
