//! The size of pixels: what files state, or what the user gives.

use std::path::Path;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use infomark_core::Spacing;
use infomark_infer::{
    Annotated, Image, LandmarkFormat, MemoryBudget, MemoryError, MemoryShare, PixelSpacing, ReadLimits,
    read_image_header, read_image_with,
};
use infomark_results::OtherMm;

use crate::output::{self, shown};

/// What `--spacing X Y` gives.
pub(crate) fn given(values: &[f64]) -> Result<PixelSpacing> {
    of_option("--spacing", values).map(PixelSpacing::given)
}

/// The two numbers of an option.
pub(crate) fn of_option(option: &str, values: &[f64]) -> Result<Spacing> {
    let &[x, y] = values else {
        bail!("{option}: give two numbers, the millimetres per pixel across and down");
    };
    // From microscopes to far more than any detector: beyond, a unit was mixed up.
    if let Some(wrong) = values.iter().find(|mm| !(1e-4..=100.0).contains(*mm)) {
        bail!("{option}: implausible pixel size: {wrong:e} mm; give millimetres, 0.0001 to 100");
    }
    Spacing::new(x, y).or_else(|error| bail!("{option}: {error}"))
}

/// Says on standard error where files for 3D Slicer are in other millimetres than the true ones.
pub(crate) fn warn_of_other_mm(format: LandmarkFormat, images: &[Annotated<'_>]) {
    let mut others = OtherMm::default();
    images.iter().for_each(|image| others.add(format, image));
    others.warning().iter().for_each(output::warn);
}

/// Waits for the memory that work on an image takes, so many bytes a pixel, reading included.
pub(crate) fn memory_for(path: &Path, bytes_a_pixel: u64) -> Result<MemoryShare<'static>> {
    let header = read_image_header(path)?;
    let pixels = header.width as u64 * header.height as u64;
    let needed = pixels.saturating_mul(bytes_a_pixel);
    MemoryBudget::of_process().take(needed, None).map_err(|error| match error {
        MemoryError::NeverFits { needed, most } => anyhow!(
            "{}: work on it needs {} MiB of memory, and {} may be used; give --memory {}M, or scale it down first",
            shown(path),
            needed.div_ceil(1 << 20),
            most >> 20,
            needed.div_ceil(1 << 20)
        ),
        error => anyhow!("{}: {error}", shown(path)),
    })
}

/// An image with the spacing that was given, else with that of its file.
pub(crate) fn read(path: &Path, given: Option<&PixelSpacing>) -> Result<Image> {
    read_until(path, given, None)
}

/// [`read`], which gives up when a deadline has passed.
pub(crate) fn read_until(
    path: &Path,
    given: Option<&PixelSpacing>,
    deadline: Option<Instant>,
) -> Result<Image> {
    let image = read_image_with(path, &ReadLimits { deadline, ..ReadLimits::default() })?;
    Ok(match given {
        Some(spacing) => image.with_spacing(spacing.clone()),
        None => image,
    })
}
