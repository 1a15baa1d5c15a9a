//! The search of a feature in the widest instructions that the processor has: the same arithmetic, so the same bits.

use infomark_core::{FeatureMap, LocateError, PlaneMut};
use pulp::Arch;

/// [`infomark_core::similarity`].
pub(crate) fn similarity(
    levels: &[FeatureMap<'_, f32>],
    template: &[&[f32]],
    temperature: f32,
    out: PlaneMut<'_, f32>,
    scratch: &mut [f32],
) -> Result<(), LocateError> {
    Arch::new().dispatch(|| infomark_core::similarity(levels, template, temperature, out, scratch))
}
