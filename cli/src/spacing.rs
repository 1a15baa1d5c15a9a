//! Pixel size, from files or given by the user.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use infomark_core::Spacing;
use infomark_infer::{
    Annotated, Image, LandmarkFormat, MemoryBudget, MemoryError, MemoryShare, PixelSpacing, ReadEstimate,
    ReadLimits, estimate_reading, read_image_with,
};
use infomark_results::OtherMm;

use crate::output::{self, shown};

/// Parses `--spacing X Y`.
pub(crate) fn given(values: &[f64]) -> Result<PixelSpacing> {
    of_option("--spacing", values).map(PixelSpacing::given)
}

/// Checks the two numbers of an option.
pub(crate) fn of_option(option: &str, values: &[f64]) -> Result<Spacing> {
    let &[x, y] = values else {
        bail!("{option}: give two numbers, the millimetres per pixel across and down");
    };
    // From microscopes to far beyond any detector; other values are probably in another unit.
    if let Some(wrong) = values.iter().find(|mm| !(1e-4..=100.0).contains(*mm)) {
        bail!("{option}: implausible pixel size: {wrong:e} mm; give millimetres, 0.0001 to 100");
    }
    Spacing::new(x, y).or_else(|error| bail!("{option}: {error}"))
}

/// Warns if the millimetres in files for 3D Slicer differ from the true ones.
pub(crate) fn warn_of_other_mm(format: LandmarkFormat, images: &[Annotated<'_>]) {
    let mut others = OtherMm::default();
    images.iter().for_each(|image| others.add(format, image));
    others.warning().iter().for_each(output::warn);
}

/// Waits for the memory to read, search and draw an image, estimated in bytes per pixel. For a reduced image these are per kept pixel;
/// reading, and bytes per pixel of the file for drawing, are added.
pub(crate) fn memory_for(
    path: &Path,
    limits: &ReadLimits,
    bytes_a_pixel: u64,
    bytes_a_drawn_pixel: u64,
) -> Result<MemoryShare<'static>> {
    let ReadEstimate { size, kept_size, bytes } = estimate_reading(path, limits)?;
    let of_each = |(width, height): (usize, usize), bytes: u64| {
        (width as u64).saturating_mul(height as u64).saturating_mul(bytes)
    };
    let of_work = of_each(kept_size, bytes_a_pixel);
    let needed = match kept_size == size {
        true => of_work,
        false => of_work.saturating_add(bytes).saturating_add(of_each(size, bytes_a_drawn_pixel)),
    };
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

/// Reads an image, with the given pixel size or else that of its file.
pub(crate) fn read(path: &Path, given: Option<&PixelSpacing>, limits: &ReadLimits) -> Result<Image> {
    let image = read_image_with(path, limits)?;
    Ok(match given {
        Some(spacing) => image.with_spacing(spacing.clone()),
        None => image,
    })
}
