//! Errors of image files.

/// Why an image could not be read; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// There is no such file or folder.
    #[error("{name}: no such file or folder; check the spelling and the folder it is looked up in")]
    Missing {
        /// The path as given.
        name: String,
    },
    /// Not a regular file.
    #[error("{name}: not a file; name an image file")]
    NotAFile {
        /// The path as given.
        name: String,
    },
    /// Not a folder.
    #[error("{name}: not a folder; name the folder that holds the images")]
    NotAFolder {
        /// The path as given.
        name: String,
    },
    /// The file cannot be read.
    #[error("{name}: cannot be read ({source}); check its permissions and the disk")]
    Unreadable {
        /// The path as given.
        name: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file is empty.
    #[error("{name}: the file is empty; copy it again from its source or delete it")]
    Empty {
        /// The path as given.
        name: String,
    },
    /// Not a known image format, by content.
    #[error(
        "{name}: not {}; convert it to one, or delete it from the folder if it is no image",
        super::KINDS
    )]
    UnknownFormat {
        /// The path as given.
        name: String,
    },
    /// A known format that is not supported.
    #[error("{name}: {format}, which is not read; {fix}")]
    ForeignFormat {
        /// The path as given.
        name: String,
        /// Format of the file, by its content.
        format: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// A DICOM object that is not an image.
    #[error(
        "{name}: DICOM, but no image ({object}); leave it out, and name the files of the images themselves"
    )]
    NotAnImage {
        /// The path as given.
        name: String,
        /// Kind of object, by its SOP class.
        object: &'static str,
    },
    /// A DICOM element with an unusable value.
    #[error(
        "{name}: its {element} {problem}; correct that element, or export the image again from its source"
    )]
    Element {
        /// The path as given.
        name: String,
        /// Standard name of the element.
        element: &'static str,
        /// The problem of its value.
        problem: &'static str,
    },
    /// DICOM pixels with unsupported compression.
    #[error(
        "{name}: its pixels are stored as {syntax}, which is not read; decompress it, e.g. with `gdcmconv --raw IN OUT`"
    )]
    TransferSyntax {
        /// The path as given.
        name: String,
        /// Name and UID of the transfer syntax.
        syntax: String,
    },
    /// A DICOM file of several frames.
    #[error(
        "{name}: {frames} frames; write the frame to use to a file of its own, e.g. with `dcm2img --frame N IN OUT.png`"
    )]
    Frames {
        /// The path as given.
        name: String,
        /// Number of frames.
        frames: u64,
    },
    /// A TIFF file of several pages.
    #[error(
        "{name}: several pages; write the page to use to a file of its own, e.g. with `magick IN[0] OUT.png`"
    )]
    Pages {
        /// The path as given.
        name: String,
    },
    /// A NIfTI volume instead of an image.
    #[error(
        "{name}: a volume of {sizes} voxels; write the slice to use to a file of its own, or read it with `read_nifti_slice`"
    )]
    Slices {
        /// The path as given.
        name: String,
        /// Its sizes.
        sizes: String,
    },
    /// A slice that does not exist in a NIfTI volume.
    #[error("{name}: no slice {index} across axis {axis} in {sizes} voxels; count axes and slices from 0")]
    NoSlice {
        /// The path as given.
        name: String,
        /// The axis, from 0.
        axis: usize,
        /// The slice, from 0.
        index: usize,
        /// Sizes of the volume.
        sizes: String,
    },
    /// The file is truncated or damaged.
    #[error("{name}: truncated or damaged ({reason}); copy or export it again from its source")]
    Damaged {
        /// The path as given.
        name: String,
        /// The decoder's message.
        reason: String,
    },
    /// An unsupported kind of pixel or compression, such as 32-bit floating point.
    #[error("{name}: its pixels cannot be read ({reason}); convert it to 8- or 16-bit grey PNG")]
    Unsupported {
        /// The path as given.
        name: String,
        /// The kind.
        reason: String,
    },
    /// A side exceeds the limit.
    #[error(
        "{name}: {width} x {height} pixels, but a side may have at most {max_side}; scale it down or crop it first"
    )]
    TooWide {
        /// The path as given.
        name: String,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// [`ReadLimits::max_side`](crate::ReadLimits::max_side).
        max_side: usize,
    },
    /// Too many pixels, scans, tiles or nested sequences.
    #[error(
        "{name}: {count} {parts}, but at most {most} are read; write it again, scaled down or as plain grey PNG"
    )]
    TooMany {
        /// The path as given.
        name: String,
        /// The kind of parts.
        parts: &'static str,
        /// Their number, or the number when reading stopped.
        count: u64,
        /// The limit of [`ReadLimits`](crate::ReadLimits).
        most: u64,
    },
    /// The deadline passed while reading.
    #[error("{name}: reading it took longer than the time allowed; allow more time, or scale it down first")]
    TimedOut {
        /// The path as given.
        name: String,
    },
    /// Decoding needs more memory than the limit, or than is available.
    #[error(
        "{name}: reading it needs {needed_mib} MiB of memory, more than the {max_mib} MiB allowed or free; scale it down first"
    )]
    TooLarge {
        /// The path as given.
        name: String,
        /// Memory needed, in MiB, rounded up.
        needed_mib: u64,
        /// [`ReadLimits::max_bytes`](crate::ReadLimits::max_bytes) in MiB.
        max_mib: u64,
    },
    /// A side shorter than [`MIN_SIDE`](crate::MIN_SIDE).
    #[error(
        "{name}: {width} x {height} pixels are too few (at least 32 x 32); use the radiograph at its full size"
    )]
    TooSmall {
        /// The path as given.
        name: String,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// Red, green and blue differ.
    #[error(
        "{name}: a colour image (first coloured pixel at {x}, {y}); convert it to grey, e.g. with `magick IN -colorspace Gray OUT.png`"
    )]
    Coloured {
        /// The path as given.
        name: String,
        /// Column of the first coloured pixel.
        x: usize,
        /// Row of the first coloured pixel.
        y: usize,
    },
    /// The image is partly transparent.
    #[error(
        "{name}: transparent (first at pixel {x}, {y}); flatten it, e.g. with `magick IN -background black -alpha remove -alpha off OUT.png`"
    )]
    Transparent {
        /// The path as given.
        name: String,
        /// Column of the first transparent pixel.
        x: usize,
        /// Row of the first transparent pixel.
        y: usize,
    },
    /// An orientation tag, which viewers apply, so that points marked in a viewer would be misplaced.
    #[error(
        "{name}: carries an orientation tag ({orientation}); turn the pixels themselves, e.g. with `magick IN -auto-orient OUT.png`"
    )]
    Orientation {
        /// The path as given.
        name: String,
        /// Orientation stated by the tag.
        orientation: String,
    },
    /// All pixels are equal.
    #[error("{name}: all pixels have the same value; it shows nothing, export it again or delete it")]
    Constant {
        /// The path as given.
        name: String,
    },
    /// The number of pixels does not match the size.
    #[error("{name}: {pixels} pixels given for an image of {width} x {height}; pass width * height")]
    Buffer {
        /// The image's name.
        name: String,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
        /// Number of pixels given.
        pixels: usize,
    },
    /// A pixel outside `[0, 1]`.
    #[error("{name}: pixel {x}, {y} is {value}; scale the pixels into 0 to 1")]
    Range {
        /// The image's name.
        name: String,
        /// Column.
        x: usize,
        /// Row.
        y: usize,
        /// Value of the pixel.
        value: f32,
    },
    /// A folder without any image.
    #[error(
        "{name}: no image in this folder (files ending in png, tif, tiff, jpg, jpeg, bmp or pgm, DICOM and NIfTI); name the folder that holds the images themselves"
    )]
    NoImages {
        /// The folder as given.
        name: String,
    },
}
