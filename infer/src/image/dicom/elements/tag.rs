//! The elements that are read, by the names of the standard (PS3.6).

use dicom_core::Tag;

pub(in super::super) const MEDIA_STORAGE_SOP_CLASS: Tag = Tag(0x0002, 0x0002);
pub(in super::super) const TRANSFER_SYNTAX: Tag = Tag(0x0002, 0x0010);
pub(in super::super) const SOP_CLASS: Tag = Tag(0x0008, 0x0016);
pub(in super::super) const MODALITY: Tag = Tag(0x0008, 0x0060);
pub(in super::super) const SPACING_BETWEEN_SLICES: Tag = Tag(0x0018, 0x0088);
pub(in super::super) const IMAGER_PIXEL_SPACING: Tag = Tag(0x0018, 0x1164);
pub(in super::super) const NOMINAL_SCANNED_PIXEL_SPACING: Tag = Tag(0x0018, 0x2010);
pub(in super::super) const IMAGE_POSITION: Tag = Tag(0x0020, 0x0032);
pub(in super::super) const IMAGE_ORIENTATION: Tag = Tag(0x0020, 0x0037);
pub(in super::super) const PLANE_POSITION: Tag = Tag(0x0020, 0x9113);
pub(in super::super) const PLANE_ORIENTATION: Tag = Tag(0x0020, 0x9116);
pub(in super::super) const SAMPLES_PER_PIXEL: Tag = Tag(0x0028, 0x0002);
pub(in super::super) const PHOTOMETRIC_INTERPRETATION: Tag = Tag(0x0028, 0x0004);
pub(in super::super) const NUMBER_OF_FRAMES: Tag = Tag(0x0028, 0x0008);
pub(in super::super) const ROWS: Tag = Tag(0x0028, 0x0010);
pub(in super::super) const COLUMNS: Tag = Tag(0x0028, 0x0011);
pub(in super::super) const PIXEL_SPACING: Tag = Tag(0x0028, 0x0030);
pub(in super::super) const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
pub(in super::super) const BITS_STORED: Tag = Tag(0x0028, 0x0101);
pub(in super::super) const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
pub(in super::super) const PIXEL_REPRESENTATION: Tag = Tag(0x0028, 0x0103);
pub(in super::super) const CALIBRATION_TYPE: Tag = Tag(0x0028, 0x0A02);
pub(in super::super) const CALIBRATION_DESCRIPTION: Tag = Tag(0x0028, 0x0A04);
pub(in super::super) const WINDOW_CENTER: Tag = Tag(0x0028, 0x1050);
pub(in super::super) const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051);
pub(in super::super) const RESCALE_INTERCEPT: Tag = Tag(0x0028, 0x1052);
pub(in super::super) const RESCALE_SLOPE: Tag = Tag(0x0028, 0x1053);
pub(in super::super) const VOI_LUT_FUNCTION: Tag = Tag(0x0028, 0x1056);
pub(in super::super) const MODALITY_LUT: Tag = Tag(0x0028, 0x3000);
pub(in super::super) const VOI_LUT: Tag = Tag(0x0028, 0x3010);
pub(in super::super) const LUT_DESCRIPTOR: Tag = Tag(0x0028, 0x3002);
pub(in super::super) const LUT_DATA: Tag = Tag(0x0028, 0x3006);
pub(in super::super) const PIXEL_MEASURES: Tag = Tag(0x0028, 0x9110);
pub(in super::super) const DETECTOR_INFORMATION: Tag = Tag(0x0054, 0x0022);
pub(in super::super) const IMAGE_PLANE_PIXEL_SPACING: Tag = Tag(0x3002, 0x0011);
pub(in super::super) const GRID_FRAME_OFFSETS: Tag = Tag(0x3004, 0x000C);
pub(in super::super) const SHARED_GROUPS: Tag = Tag(0x5200, 0x9229);
pub(in super::super) const PER_FRAME_GROUPS: Tag = Tag(0x5200, 0x9230);
pub(in super::super) const PIXEL_DATA: Tag = Tag(0x7FE0, 0x0010);

pub(super) const OF_IMAGE: [Tag; 26] = [
    SOP_CLASS,
    MODALITY,
    SPACING_BETWEEN_SLICES,
    IMAGE_POSITION,
    IMAGE_ORIENTATION,
    IMAGE_PLANE_PIXEL_SPACING,
    GRID_FRAME_OFFSETS,
    IMAGER_PIXEL_SPACING,
    NOMINAL_SCANNED_PIXEL_SPACING,
    SAMPLES_PER_PIXEL,
    PHOTOMETRIC_INTERPRETATION,
    NUMBER_OF_FRAMES,
    ROWS,
    COLUMNS,
    PIXEL_SPACING,
    BITS_ALLOCATED,
    BITS_STORED,
    HIGH_BIT,
    PIXEL_REPRESENTATION,
    CALIBRATION_TYPE,
    CALIBRATION_DESCRIPTION,
    WINDOW_CENTER,
    WINDOW_WIDTH,
    RESCALE_INTERCEPT,
    RESCALE_SLOPE,
    VOI_LUT_FUNCTION,
];
/// Sequences with the placement of a frame.
pub(super) const OF_PLACE: [Tag; 4] =
    [SPACING_BETWEEN_SLICES, IMAGE_POSITION, IMAGE_ORIENTATION, PIXEL_SPACING];
pub(super) const OF_LUT: [Tag; 2] = [LUT_DESCRIPTOR, LUT_DATA];

/// Name of a numeric element.
pub(in super::super) fn name(tag: Tag) -> &'static str {
    match tag {
        NUMBER_OF_FRAMES => "Number of Frames",
        PIXEL_SPACING => "Pixel Spacing",
        IMAGER_PIXEL_SPACING => "Imager Pixel Spacing",
        NOMINAL_SCANNED_PIXEL_SPACING => "Nominal Scanned Pixel Spacing",
        IMAGE_PLANE_PIXEL_SPACING => "Image Plane Pixel Spacing",
        SPACING_BETWEEN_SLICES => "Spacing Between Slices",
        IMAGE_POSITION => "Image Position (Patient)",
        IMAGE_ORIENTATION => "Image Orientation (Patient)",
        GRID_FRAME_OFFSETS => "Grid Frame Offset Vector",
        WINDOW_CENTER => "Window Center",
        WINDOW_WIDTH => "Window Width",
        RESCALE_INTERCEPT => "Rescale Intercept",
        RESCALE_SLOPE => "Rescale Slope",
        _ => "text of numbers",
    }
}
