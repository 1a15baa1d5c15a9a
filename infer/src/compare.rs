//! The search of a feature in the widest instructions that the processor has: the same arithmetic, so the same bits.

use infomark_core::{FeatureMap, LocateError, PlaneMut};
use infomark_kernels::widest;

/// [`infomark_core::similarity`].
pub(crate) fn similarity(
    levels: &[FeatureMap<'_, f32>],
    template: &[&[f32]],
    temperature: f32,
    out: PlaneMut<'_, f32>,
    scratch: &mut [f32],
) -> Result<(), LocateError> {
    widest(
        #[inline(always)]
        || infomark_core::similarity(levels, template, temperature, out, scratch),
    )
}

/// Templates that [`similarities`] is given at a time: enough for each part of an image's features to be fetched seldom, few enough for
/// their maps to stay in the caches.
pub(crate) const TOGETHER: usize = 8;

/// [`infomark_core::similarities`]; `maps` holds a map of the finest level's `width x height` cells for each template, one after the other.
pub(crate) fn similarities(
    levels: &[FeatureMap<'_, f32>],
    templates: &[&[&[f32]]],
    temperature: f32,
    maps: &mut [f32],
    scratch: &mut [f32],
) -> Result<(), String> {
    let Some(finest) = levels.first() else { return Err(LocateError::NoLevels.to_string()) };
    let planes =
        maps.chunks_exact_mut(finest.cells()).map(|map| PlaneMut::new(map, finest.width(), finest.height()));
    let mut planes = planes.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
    widest(
        #[inline(always)]
        || infomark_core::similarities(levels, templates, temperature, &mut planes, scratch),
    )
    .map_err(|error| error.to_string())
}
