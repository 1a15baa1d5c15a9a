//! Images.

use std::ffi::c_char;

use infomark_core::{Plane, Spacing};
use infomark_infer::{Image, PixelSpacing, ReadLimits, decode_image, read_image};

use crate::entry::entry;
use crate::handle::{Kind, close, held, open};
use crate::memory::{Memory, place, text};
use crate::options::{Options, fields};
use crate::plane::{AnyPlane, any_plane, infomark_plane, infomark_plane_mut, plane_mut};
use crate::status::infomark_status::{INFOMARK_ARGUMENT, INFOMARK_FILE};
use crate::status::{OrFail, Result, infomark_status, refused};

/// A grey image with values from 0 (black) to 1, of at least 32 pixels a side.
pub struct infomark_image {
    _opaque: [u8; 0],
}

impl Kind for infomark_image {
    type Held = Image;
    const MARK: u64 = u64::from_be_bytes(*b"im_image");
    const NAME: &'static str = "image";
}

/// Options of an image from memory. Zero means the default, for every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_image_options {
    /// sizeof(infomark_image_options).
    pub struct_size: usize,
    /// Name of the image in messages; "image" if null.
    pub name: *const c_char,
    /// Grey level shown as black, and that shown as white; values beyond are clamped, and black may be the larger
    /// one (MONOCHROME1). If both are 0, the range of bytes is 0 to 255, and other types are rescaled between their
    /// 0.1 and 99.9 percentiles, as files of 16 bits are.
    pub black: f64,
    /// As black.
    pub white: f64,
    /// Pixel spacing in x, in millimetres; 0 if unknown. It is kept with the image.
    pub spacing_x_mm: f64,
    /// Pixel spacing in y, in millimetres.
    pub spacing_y_mm: f64,
}

// SAFETY: numbers and a pointer, the size first, and no gaps between them.
unsafe impl Options for infomark_image_options {
    const DEFAULT: Self = Self {
        struct_size: size_of::<Self>(),
        name: std::ptr::null(),
        black: 0.0,
        white: 0.0,
        spacing_x_mm: 0.0,
        spacing_y_mm: 0.0,
    };
    const FIELDS: &'static [usize] = fields!(name, black, white, spacing_x_mm, spacing_y_mm);
}

/// Reads an image file: DICOM, PNG, TIFF, JPEG, BMP, PGM or a NIfTI slice, detected by content.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_read(
    path: *const c_char,
    out: *mut *mut infomark_image,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let path = unsafe { text("path", path) }?;
        unsafe { place("out", out) }?;
        unsafe { open(read_image(path).or_fail(INFOMARK_FILE)?, out) }
    })
}

/// infomark_image_read for a file in memory; name is its name in messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_from_bytes(
    bytes: *const u8,
    len: usize,
    name: *const c_char,
    out: *mut *mut infomark_image,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let name = unsafe { text("name", name) }?;
        let bytes = unsafe { Memory::default().read("bytes", bytes, len) }?;
        unsafe { place("out", out) }?;
        let image = decode_image(bytes, name, &ReadLimits::default()).or_fail(INFOMARK_FILE)?;
        unsafe { open(image, out) }
    })
}

/// Copies an image from memory. options may be null for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_from_plane(
    plane: *const infomark_plane,
    options: *const infomark_image_options,
    out: *mut *mut infomark_image,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let options = unsafe { crate::options::options(options) }?;
        let name = if options.name.is_null() { "image" } else { unsafe { text("name", options.name) }? };
        let plane = unsafe { any_plane(&mut Memory::default(), "plane", plane) }?;
        unsafe { place("out", out) }?;
        unsafe { open(image_of(plane, &options, name)?, out) }
    })
}

fn image_of(plane: AnyPlane<'_>, options: &infomark_image_options, name: &str) -> Result<Image> {
    let infomark_image_options { black, white, spacing_x_mm, spacing_y_mm, .. } = *options;
    let spacing = match (spacing_x_mm, spacing_y_mm) {
        (0.0, 0.0) => None,
        (x, y) => Some(Spacing::new(x, y).or_fail(INFOMARK_ARGUMENT)?),
    };
    if !(black.is_finite() && white.is_finite()) || (black == white && black != 0.0) {
        return Err(refused(format_args!(
            "{name}: black {black} and white {white}: they have to be finite and different, or both 0"
        )));
    }
    let (width, height) = match &plane {
        AnyPlane::U8(plane) => (plane.width(), plane.height()),
        AnyPlane::U16(plane) => (plane.width(), plane.height()),
        AnyPlane::F32(plane) => (plane.width(), plane.height()),
    };
    let (black, white) = match plane {
        AnyPlane::U8(_) if black == white => (0.0, 255.0),
        _ => (black, white),
    };
    let stretched = black == white;
    let shown = |value: f32| match stretched {
        true => value,
        // NaN stays NaN, and is rejected.
        false => ((f64::from(value) - black) / (white - black)).clamp(0.0, 1.0) as f32,
    };
    let values = match plane {
        AnyPlane::U8(plane) => flat(plane, |value| shown(f32::from(value))),
        AnyPlane::U16(plane) => flat(plane, |value| shown(f32::from(value))),
        AnyPlane::F32(plane) => flat(plane, shown),
    };
    let image = match stretched {
        true => Image::stretched(name, width, height, values),
        false => Image::new(name, width, height, values),
    };
    let image = image.or_fail(INFOMARK_ARGUMENT)?;
    Ok(match spacing {
        Some(mm) => image.with_spacing(PixelSpacing::given(mm)),
        None => image,
    })
}

fn flat<T: Copy>(plane: Plane<'_, T>, shown: impl Fn(T) -> f32) -> Vec<f32> {
    plane.rows().flatten().map(|&value| shown(value)).collect()
}

/// The size of an image in pixels.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_size(
    image: *const infomark_image,
    width: *mut usize,
    height: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let image = unsafe { held(image) }?;
        let (to_width, to_height) = unsafe { (place("width", width)?, place("height", height)?) };
        to_width.set(image.width());
        to_height.set(image.height());
        Ok(())
    })
}

/// The pixel spacing of an image in millimetres, as stated in its file or given; NaN if unknown. That of a DICOM
/// file may be at the detector, not in the patient: docs/formats.md.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_spacing_mm(
    image: *const infomark_image,
    x: *mut f64,
    y: *mut f64,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let image = unsafe { held(image) }?;
        let (to_x, to_y) = unsafe { (place("x", x)?, place("y", y)?) };
        let mm = image.spacing().map(|spacing| spacing.mm);
        to_x.set(mm.map_or(f64::NAN, |mm| mm.x));
        to_y.set(mm.map_or(f64::NAN, |mm| mm.y));
        Ok(())
    })
}

/// Copies an image's pixels, from 0 to 1, into a plane of INFOMARK_F32 and of its size; or, times 255 and rounded, into one of
/// INFOMARK_U8, the input of the entropy.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_copy(
    image: *const infomark_image,
    out: *const infomark_plane_mut,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let image = unsafe { held(image) }?;
        let to = unsafe { crate::memory::value("out", out) }?;
        if (to.width, to.height) != (image.width(), image.height()) {
            let (width, height) = (image.width(), image.height());
            return Err(refused(format_args!(
                "out has {} x {} pixels, the image {width} x {height}",
                to.width, to.height
            )));
        }
        let mut memory = Memory::default();
        let rows = image.pixels().chunks_exact(image.width()).enumerate();
        if to.pixel == crate::INFOMARK_U8 {
            let mut out = unsafe { plane_mut::<u8>(&mut memory, "out", out) }?;
            for (y, row) in rows {
                let levels = row.iter().map(|v| (v * 255.0 + 0.5) as u8);
                out.row_mut(y).iter_mut().zip(levels).for_each(|(to, level)| *to = level);
            }
        } else {
            let mut out = unsafe { plane_mut::<f32>(&mut memory, "out", out) }?;
            rows.for_each(|(y, row)| out.row_mut(y).copy_from_slice(row));
        }
        Ok(())
    })
}

/// Closes an image and sets the pointer to null; null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_image_close(image: *mut *mut infomark_image) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(image) })
}
