//! Slices of NIfTI-1 files, in the stored orientation.

mod placement;

use std::cmp::Ordering;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use infomark_core::Spacing;
use nifti::{NiftiHeader, NiftiType, Unit};

use super::decode::Opened;
use super::levels::{Levels, Scale};
use super::limits::Timed;
use super::source::Source;
use super::stretch::{ends_of_values, stretch_values};
use super::{Image, ImageError, ImageHeader, ReadLimits};
use crate::contain::contain;
use crate::{Calibration, PixelSpacing, Placement, SpacingSource};

/// Length of the header including the extension flags.
const HEADER: usize = 352;

/// Whether a file is gzip-compressed, as `.nii.gz` is.
pub(super) fn is_compressed(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1F, 0x8B])
}

/// Whether a file is NIfTI-1 or NIfTI-2 with its voxels.
pub(super) fn is_nifti(bytes: &[u8]) -> bool {
    bytes.get(344..348) == Some(b"n+1\0") || is_second_version(bytes)
}

fn is_second_version(bytes: &[u8]) -> bool {
    bytes.get(4..8) == Some(b"n+2\0")
}

/// The header of compressed data, if it is NIfTI.
pub(super) fn unpack_header(bytes: &[u8], name: &str) -> Result<Vec<u8>, ImageError> {
    let mut header = vec![0; HEADER];
    let read = MultiGzDecoder::new(bytes).read_exact(&mut header);
    if read.is_ok() && is_nifti(&header) {
        return Ok(header);
    }
    Err(ImageError::ForeignFormat {
        name: name.to_owned(),
        format: "a gzip file of something else than NIfTI",
        fix: "unpack it with `gunzip`, and name the image in it",
    })
}

/// Decompresses NIfTI data: as many bytes as its header requires, with the checksum of gzip.
pub(super) fn unpack(
    bytes: &[u8],
    name: &str,
    limits: &ReadLimits,
    slice: Option<(usize, usize)>,
) -> Result<Vec<u8>, ImageError> {
    let header = unpack_header(bytes, name)?;
    let end = Slice::open(&header, bytes.len() as u64, name, limits, slice)?.end;
    let needed = end.saturating_add(bytes.len() as u64);
    if needed > limits.max_bytes {
        return Err(limits.exceeded(name, needed));
    }
    let mut unpacked = Vec::new();
    unpacked.try_reserve_exact(end as usize + 1).map_err(|_| limits.exceeded(name, needed))?;
    // One byte more than allowed, so that the end and the checksum are read.
    let read = MultiGzDecoder::new(Timed::new(bytes, limits)).take(end + 1).read_to_end(&mut unpacked);
    limits.check_time(name)?;
    let read =
        read.map_err(|error| ImageError::Damaged { name: name.to_owned(), reason: error.to_string() })?;
    if read as u64 > end { Err(LEFT_OVER.of(name)) } else { Ok(unpacked) }
}

/// Reads one slice of a NIfTI file, at `index` along `axis` (0, 1 or 2).
///
/// Of the two other axes, the first runs right and the second down, as the voxels are stored: there is no reorientation to an
/// anatomical view.
///
/// # Errors
/// As [`read_image`](crate::read_image), and [`ImageError::NoSlice`] for a slice that does not exist.
///
/// ```no_run
/// let middle = infomark_infer::read_nifti_slice("head.nii.gz", 2, 80)?;
/// # Ok::<(), infomark_infer::ImageError>(())
/// ```
pub fn read_nifti_slice(path: impl AsRef<Path>, axis: usize, index: usize) -> Result<Image, ImageError> {
    let limits = ReadLimits::default();
    let source = Source::open(path.as_ref())?;
    let name = source.name().to_owned();
    let mut bytes = source.into_bytes(&limits)?;
    if is_compressed(&bytes) {
        bytes = unpack(&bytes, &name, &limits, Some((axis, index)))?.into();
    }
    if !is_nifti(&bytes) {
        return Err(ImageError::UnknownFormat { name });
    }
    decode(&bytes, &name, &limits, Some((axis, index)))
}

/// Decodes the only slice, or the requested one, given by axis and index.
pub(super) fn decode(
    bytes: &[u8],
    name: &str,
    limits: &ReadLimits,
    slice: Option<(usize, usize)>,
) -> Result<Image, ImageError> {
    let slice = Slice::open(bytes, bytes.len() as u64, name, limits, slice)?;
    let pixels = slice.pixels(bytes).map_err(|problem| problem.of(name))?;
    let image = Image::new(name, slice.width, slice.height, pixels)?;
    let image = if limits.reduced { image.into_reduced() } else { image };
    Ok(match slice.spacing {
        Some(spacing) => image.with_spacing(spacing),
        None => image,
    })
}

/// All grey levels of the only slice.
pub(super) fn levels(bytes: &[u8], name: &str, limits: &ReadLimits) -> Result<Levels, ImageError> {
    let slice = Slice::open(bytes, bytes.len() as u64, name, limits, None)?;
    let values = slice.values(bytes).map_err(|problem| problem.of(name))?;
    let (extremes, shown) = if slice.is_plain() {
        ((0.0, 255.0), (0.0, 255.0))
    } else {
        let [least, low, high, most] = ends_of_values(&values).map(f64::from);
        ((least, most), (low, high))
    };
    let scale = Scale::near(extremes, shown);
    let levels = values.iter().map(|&value| scale.level(value.into())).collect();
    Levels::new(name, (slice.width, slice.height), (levels, scale.window()))
}

/// The header of the only slice, from the first bytes of a file of `length`.
pub(super) fn header(
    start: &[u8],
    length: u64,
    name: &str,
    limits: &ReadLimits,
) -> Result<Opened, ImageError> {
    let Slice { width, height, spacing, placement, .. } = Slice::open(start, length, name, limits, None)?;
    let held = COPIES * (width as u64).saturating_mul(height as u64);
    Ok(Opened { header: ImageHeader { width, height, spacing, placement }, held })
}

/// Bytes per pixel of the values and a sorted copy.
const COPIES: u64 = 2 * size_of::<f32>() as u64;

const LEFT_OVER: Problem = Problem::Damaged("it goes on after the last voxel that its header calls for");

enum Problem {
    Damaged(&'static str),
    Unsupported(&'static str),
}

impl Problem {
    fn of(self, name: &str) -> ImageError {
        let name = name.to_owned();
        match self {
            Problem::Damaged(reason) => ImageError::Damaged { name, reason: reason.to_owned() },
            Problem::Unsupported(reason) => ImageError::Unsupported { name, reason: reason.to_owned() },
        }
    }
}

/// Location of a slice's pixels.
struct Slice {
    width: usize,
    height: usize,
    spacing: Option<PixelSpacing>,
    /// Placement of the only slice; others have none.
    placement: Placement,
    voxel: Voxel,
    /// Offsets in voxels: of the first pixel, between neighbours, between rows.
    first: usize,
    across: usize,
    down: usize,
    /// Byte range of the voxels in the file.
    start: usize,
    end: u64,
    slope: f64,
    intercept: f64,
}

impl Slice {
    fn open(
        bytes: &[u8],
        length: u64,
        name: &str,
        limits: &ReadLimits,
        slice: Option<(usize, usize)>,
    ) -> Result<Slice, ImageError> {
        let wrong = |problem: Problem| problem.of(name);
        if is_second_version(bytes) {
            return Err(wrong(Problem::Unsupported("NIfTI-2")));
        }
        let header = contain(|| NiftiHeader::from_reader(bytes));
        let header =
            header.ok().and_then(Result::ok).ok_or(wrong(Problem::Damaged("its header ends early")))?;
        let dim = header.dim().map_err(|_| wrong(Problem::Damaged("its dimensions cannot be")))?;
        let dim: Vec<usize> = dim.iter().map(|&size| usize::from(size)).collect();
        let (axes, first) = axes(&dim, name, slice)?;
        let [width, height] = axes.map(|axis| dim[axis]);
        // Unless the image is reduced, the values become its pixels.
        let of_values = if limits.reduces((width, height)) { COPIES } else { size_of::<f32>() as u64 };
        let held = (width as u64).saturating_mul(height as u64).saturating_mul(of_values);
        limits.check(name, (width, height), held, length)?;
        let data = header.data_type().ok().and_then(|data| Voxel::of(data, bytes));
        let voxel = data.ok_or(wrong(Problem::Unsupported("voxels that are no plain numbers")))?;
        // Some writers leave it at zero.
        if header.bitpix != 0 && usize::try_from(header.bitpix).ok() != Some(8 * voxel.bytes) {
            return Err(wrong(Problem::Damaged("its bitpix is not that of its data type")));
        }
        let step = |axis: usize| dim.iter().take(axis).product::<usize>();
        let (slope, intercept) = match (f64::from(header.scl_slope), f64::from(header.scl_inter)) {
            (slope, intercept) if slope.is_finite() && intercept.is_finite() && slope != 0.0 => {
                (slope, intercept)
            }
            _ => (1.0, 0.0),
        };
        let offset = header.vox_offset;
        if !offset.is_finite() || offset.fract() != 0.0 {
            return Err(wrong(Problem::Damaged("its vox_offset is no whole number of bytes")));
        }
        // A negative or missing offset is replaced by the end of the header.
        let start = (offset as usize).max(HEADER);
        let voxels = dim.iter().try_fold(voxel.bytes as u64, |all, &size| all.checked_mul(size as u64));
        let end = voxels.and_then(|bytes| bytes.checked_add(start as u64));
        let end = end.ok_or(wrong(Problem::Damaged("its dimensions cannot be")))?;
        Ok(Slice {
            width,
            height,
            spacing: spacing(&header, axes),
            placement: placement::placement(&header, axes),
            voxel,
            first,
            across: step(axes[0]),
            down: step(axes[1]),
            start,
            end,
            slope,
            intercept,
        })
    }

    /// Whether the values are plain 8-bit grey levels.
    fn is_plain(&self) -> bool {
        self.voxel.kind == NiftiType::Uint8 && self.slope == 1.0 && self.intercept == 0.0
    }

    fn pixels(&self, bytes: &[u8]) -> Result<Vec<f32>, Problem> {
        let mut pixels = self.values(bytes)?;
        if self.is_plain() {
            for value in &mut pixels {
                *value /= f32::from(u8::MAX);
            }
        } else {
            stretch_values(&mut pixels);
        }
        Ok(pixels)
    }

    fn values(&self, bytes: &[u8]) -> Result<Vec<f32>, Problem> {
        match (bytes.len() as u64).cmp(&self.end) {
            Ordering::Less => return Err(Problem::Damaged("its voxels end early")),
            Ordering::Equal => {}
            Ordering::Greater => return Err(LEFT_OVER),
        }
        let bytes = bytes.get(self.start..).unwrap_or_default();
        let size = self.voxel.bytes;
        let mut pixels = Vec::with_capacity(self.width * self.height);
        for y in 0..self.height {
            for x in 0..self.width {
                let at = (self.first + y * self.down + x * self.across).checked_mul(size);
                let voxel = at.and_then(|at| bytes.get(at..)?.get(..size));
                let voxel = voxel.ok_or(Problem::Damaged("its voxels end early"))?;
                let value = (self.voxel.read(voxel) * self.slope + self.intercept) as f32;
                if !value.is_finite() {
                    return Err(Problem::Unsupported("voxels that are not finite"));
                }
                pixels.push(value);
            }
        }
        Ok(pixels)
    }
}

/// The axes that run right and down, and the number of voxels before the slice.
fn axes(dim: &[usize], name: &str, slice: Option<(usize, usize)>) -> Result<([usize; 2], usize), ImageError> {
    let sizes = || dim.iter().map(usize::to_string).collect::<Vec<_>>().join(" x ");
    let long: Vec<usize> = (0..dim.len()).filter(|&axis| dim[axis] > 1).collect();
    let Some((across, index)) = slice else {
        return match long.as_slice() {
            &[x, y] => Ok(([x, y], 0)),
            _ => Err(ImageError::Slices { name: name.to_owned(), sizes: sizes() }),
        };
    };
    let rest: Vec<usize> = (0..3).filter(|&axis| axis != across).collect();
    match (dim.get(across), rest.as_slice()) {
        (Some(&size), &[x, y]) if index < size && dim.len() >= 3 && long.iter().all(|&axis| axis < 3) => {
            Ok(([x, y], index * dim.iter().take(across).product::<usize>()))
        }
        _ => Err(ImageError::NoSlice { name: name.to_owned(), axis: across, index, sizes: sizes() }),
    }
}

/// The pixel size, if the header states its unit.
fn spacing(header: &NiftiHeader, axes: [usize; 2]) -> Option<PixelSpacing> {
    let unit_mm = match header.xyzt_to_space().ok()? {
        Unit::Meter => 1e3,
        Unit::Mm => 1.0,
        Unit::Micron => 1e-3,
        _ => return None,
    };
    // The shortest decimal, 0.3 rather than the nearest 32-bit number.
    let side = |axis: usize| Some(header.pixdim.get(axis + 1)?.to_string().parse::<f64>().ok()? * unit_mm);
    let [x, y] = axes.map(side);
    let mm = Spacing::new(x?, y?).ok()?;
    Some(PixelSpacing { mm, source: SpacingSource::Nifti, calibration: Calibration::NotStated })
}

/// Voxel type.
struct Voxel {
    kind: NiftiType,
    bytes: usize,
    big: bool,
}

impl Voxel {
    fn of(kind: NiftiType, header: &[u8]) -> Option<Voxel> {
        let bytes = match kind {
            NiftiType::Uint8 | NiftiType::Int8 => 1,
            NiftiType::Uint16 | NiftiType::Int16 => 2,
            NiftiType::Uint32 | NiftiType::Int32 | NiftiType::Float32 => 4,
            NiftiType::Float64 => 8,
            _ => return None,
        };
        // The number of dimensions, 1 to 7, determines the byte order.
        Some(Voxel { kind, bytes, big: header.get(40) == Some(&0) })
    }

    fn read(&self, bytes: &[u8]) -> f64 {
        let mut little = [0; 8];
        for (index, &byte) in bytes.iter().take(8).enumerate() {
            little[if self.big { self.bytes - 1 - index } else { index }] = byte;
        }
        let [a, b, c, d, ..] = little;
        match self.kind {
            NiftiType::Uint8 => f64::from(a),
            NiftiType::Int8 => f64::from(a as i8),
            NiftiType::Uint16 => f64::from(u16::from_le_bytes([a, b])),
            NiftiType::Int16 => f64::from(i16::from_le_bytes([a, b])),
            NiftiType::Uint32 => f64::from(u32::from_le_bytes([a, b, c, d])),
            NiftiType::Int32 => f64::from(i32::from_le_bytes([a, b, c, d])),
            NiftiType::Float32 => f64::from(f32::from_le_bytes([a, b, c, d])),
            _ => f64::from_le_bytes(little),
        }
    }
}
