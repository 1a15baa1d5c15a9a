//! Image header from the elements: size, samples, pixel size.

use dicom_core::Tag;
use infomark_core::Spacing;

use super::Problem;
use super::elements::{Elements, tag};
use super::placement::placement;
use crate::{Calibration, PixelSpacing, Placement, SpacingSource};

pub(super) struct Header {
    pub(super) width: usize,
    pub(super) height: usize,
    /// Bits of a sample in uncompressed data: 8 or 16.
    pub(super) allocated: u32,
    /// Bits stored.
    pub(super) stored: u32,
    /// Bits below them, by High Bit.
    pub(super) shift: u32,
    pub(super) signed: bool,
    /// Whether the lowest values are white.
    pub(super) inverted: bool,
    pub(super) spacing: Option<PixelSpacing>,
    pub(super) placement: Placement,
}

impl Header {
    pub(super) fn read(elements: &Elements<'_>) -> Result<Header, Problem> {
        let number = |tag: Tag| elements.get(tag).and_then(|value| value.words().next());
        let needed = |tag, missing| number(tag).ok_or(Problem::Damaged(missing));
        let width = usize::from(needed(tag::COLUMNS, "it has no Columns")?);
        let height = usize::from(needed(tag::ROWS, "it has no Rows")?);
        let frames = elements.decimal(tag::NUMBER_OF_FRAMES, 0)?;
        if let Some(frames) = frames.filter(|&frames| frames > 1.0) {
            return Err(Problem::Frames(frames as u64));
        }
        let photometric = elements.get(tag::PHOTOMETRIC_INTERPRETATION);
        let inverted = match photometric.map_or("", |value| value.text()) {
            "MONOCHROME1" => true,
            "MONOCHROME2" => false,
            _ => return Err(Problem::Unsupported("neither MONOCHROME1 nor MONOCHROME2, so no grey image")),
        };
        if number(tag::SAMPLES_PER_PIXEL).is_some_and(|samples| samples != 1) {
            return Err(Problem::Unsupported("several samples a pixel"));
        }
        let allocated = u32::from(needed(tag::BITS_ALLOCATED, "it has no Bits Allocated")?);
        if allocated != 8 && allocated != 16 {
            return Err(Problem::Unsupported("neither 8 nor 16 bits allocated"));
        }
        let stored = number(tag::BITS_STORED).map_or(allocated, u32::from);
        let high = number(tag::HIGH_BIT).map_or(stored.saturating_sub(1), u32::from);
        if stored == 0 || stored > allocated || high >= allocated || high + 1 < stored {
            return Err(Problem::Damaged("its bits stored do not fit the bits allocated"));
        }
        Ok(Header {
            width,
            height,
            allocated,
            stored,
            shift: high + 1 - stored,
            signed: number(tag::PIXEL_REPRESENTATION) == Some(1),
            inverted,
            spacing: spacing(elements)?,
            placement: placement(elements),
        })
    }
}

/// The pixel size, with its meaning in the terms of PS3.3, 10.7.1.3.
fn spacing(elements: &Elements<'_>) -> Result<Option<PixelSpacing>, Problem> {
    let read = |tag| {
        // The row spacing comes first.
        let (Some(y), Some(x)) = (elements.decimal(tag, 0)?, elements.decimal(tag, 1)?) else {
            return Ok(None);
        };
        // From electron microscopy to a whole body in a pixel; zeros mean unknown.
        let possible = [x, y].iter().all(|mm| (1e-6..=1e3).contains(mm));
        Ok(Spacing::new(x, y).ok().filter(|_| possible))
    };
    let imager = read(tag::IMAGER_PIXEL_SPACING)?;
    let spacing = |mm, source, calibration| Ok(Some(PixelSpacing { mm, source, calibration }));
    if let Some(mm) = read(tag::PIXEL_SPACING)? {
        return spacing(mm, SpacingSource::PixelSpacing, calibration(elements, mm, imager));
    }
    if let Some(mm) = imager {
        return spacing(mm, SpacingSource::ImagerPixelSpacing, Calibration::Detector);
    }
    match read(tag::NOMINAL_SCANNED_PIXEL_SPACING)? {
        Some(mm) => spacing(mm, SpacingSource::NominalScannedPixelSpacing, Calibration::Detector),
        None => Ok(None),
    }
}

fn calibration(elements: &Elements<'_>, mm: Spacing, imager: Option<Spacing>) -> Calibration {
    let text = |tag| elements.get(tag).map_or("", |value| value.text());
    let description = || {
        let text: String = text(tag::CALIBRATION_DESCRIPTION).chars().filter(|c| !c.is_control()).collect();
        (!text.is_empty()).then(|| text.chars().take(64).collect())
    };
    match (text(tag::CALIBRATION_TYPE), imager) {
        ("GEOMETRY", _) => Calibration::Geometry { description: description() },
        ("FIDUCIAL", _) => Calibration::Fiducial { description: description() },
        (_, Some(imager)) if imager == mm => Calibration::Detector,
        (_, Some(_)) => Calibration::TypeNotStated,
        _ if matches!(text(tag::MODALITY), "CT" | "MR" | "PT" | "NM") => Calibration::Slice,
        _ => Calibration::NotStated,
    }
}
