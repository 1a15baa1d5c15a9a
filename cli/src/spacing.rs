//! The size of pixels: what files state, or what the user gives.

use std::path::Path;

use anyhow::{Result, bail};
use infomark_core::Spacing;
use infomark_infer::{Image, PixelSpacing, read_image};

/// What `--spacing X Y` gives.
pub(crate) fn given(values: &[f64]) -> Result<PixelSpacing> {
    let &[x, y] = values else {
        bail!("--spacing: give two numbers, the millimetres per pixel across and down");
    };
    // From microscopes to far more than any detector: beyond, a unit was mixed up.
    if let Some(wrong) = values.iter().find(|mm| !(1e-4..=100.0).contains(*mm)) {
        bail!("--spacing: a pixel of {wrong:e} mm is none of a radiograph; give millimetres, 0.0001 to 100");
    }
    match Spacing::new(x, y) {
        Ok(mm) => Ok(PixelSpacing::given(mm)),
        Err(error) => bail!("--spacing: {error}"),
    }
}

/// An image with the spacing that was given, else with that of its file.
pub(crate) fn read(path: &Path, given: Option<&PixelSpacing>) -> Result<Image> {
    let image = read_image(path)?;
    Ok(match given {
        Some(spacing) => image.with_spacing(spacing.clone()),
        None => image,
    })
}
