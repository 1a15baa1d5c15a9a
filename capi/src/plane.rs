//! Pixels in the caller's memory.

use std::ffi::c_void;

use infomark_core::{Plane, PlaneMut};

use crate::memory::{Memory, Plain, value};
use crate::status::{Result, refused};

/// Pixel type: one of INFOMARK_U8, INFOMARK_U16, INFOMARK_F32.
pub type infomark_pixel = u32;
/// uint8_t.
pub const INFOMARK_U8: infomark_pixel = 1;
/// uint16_t, in the machine's byte order.
pub const INFOMARK_U16: infomark_pixel = 2;
/// float.
pub const INFOMARK_F32: infomark_pixel = 3;

/// A grey image in the caller's memory, for reading: rows from top to bottom, pixels from left to right.
///
/// A crop is also one: data points to its first pixel, stride_bytes stays that of the whole image.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_plane {
    /// The first pixel, aligned to a pixel's size. May be null without pixels.
    pub data: *const c_void,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Row stride in bytes: a multiple of a pixel's size, at least width of them. Padding between rows
    /// is ignored.
    pub stride_bytes: usize,
    /// Pixel type.
    pub pixel: infomark_pixel,
}

/// A grey image in the caller's memory, for writing; as infomark_plane. Padding between rows is unchanged.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_plane_mut {
    /// The first pixel, aligned to a pixel's size.
    pub data: *mut c_void,
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Row stride in bytes.
    pub stride_bytes: usize,
    /// Pixel type.
    pub pixel: infomark_pixel,
}

/// A position in pixels: the centre of the first pixel is at (0, 0), x goes right, y down.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct infomark_point {
    /// Column.
    pub x: f64,
    /// Row.
    pub y: f64,
}

/// A pixel type.
pub(crate) trait PixelKind: Plain {
    const KIND: infomark_pixel;
    const NAME: &'static str;
}

impl PixelKind for u8 {
    const KIND: infomark_pixel = INFOMARK_U8;
    const NAME: &'static str = "INFOMARK_U8";
}

impl PixelKind for u16 {
    const KIND: infomark_pixel = INFOMARK_U16;
    const NAME: &'static str = "INFOMARK_U16";
}

impl PixelKind for f32 {
    const KIND: infomark_pixel = INFOMARK_F32;
    const NAME: &'static str = "INFOMARK_F32";
}

/// A plane of any pixel type.
pub(crate) enum AnyPlane<'a> {
    U8(Plane<'a, u8>),
    U16(Plane<'a, u16>),
    F32(Plane<'a, f32>),
}

/// The caller's plane, of a given pixel type.
///
/// # Safety
/// The crate's terms.
pub(crate) unsafe fn plane<'a, T: PixelKind>(
    memory: &mut Memory,
    name: &str,
    plane: *const infomark_plane,
) -> Result<Plane<'a, T>> {
    // SAFETY: the caller's terms.
    let infomark_plane { data, width, height, stride_bytes, pixel } = unsafe { value(name, plane) }?;
    check_kind::<T>(name, pixel)?;
    let (stride, len) = layout::<T>(name, width, height, stride_bytes)?;
    // SAFETY: the caller's terms.
    let data = unsafe { memory.read(name, data.cast(), len) }?;
    Plane::with_stride(data, width, height, stride).map_err(|error| refused(format_args!("{name}: {error}")))
}

/// The caller's plane, of any pixel type.
///
/// # Safety
/// The crate's terms.
pub(crate) unsafe fn any_plane<'a>(
    memory: &mut Memory,
    name: &str,
    of: *const infomark_plane,
) -> Result<AnyPlane<'a>> {
    // SAFETY: the caller's terms, here and below.
    match unsafe { value(name, of) }?.pixel {
        INFOMARK_U8 => Ok(AnyPlane::U8(unsafe { plane(memory, name, of) }?)),
        // SAFETY: as above.
        INFOMARK_U16 => Ok(AnyPlane::U16(unsafe { plane(memory, name, of) }?)),
        // SAFETY: as above.
        INFOMARK_F32 => Ok(AnyPlane::F32(unsafe { plane(memory, name, of) }?)),
        other => Err(unknown(name, other)),
    }
}

/// The caller's plane for writing, of a given pixel type.
///
/// # Safety
/// The crate's terms.
pub(crate) unsafe fn plane_mut<'a, T: PixelKind>(
    memory: &mut Memory,
    name: &str,
    plane: *const infomark_plane_mut,
) -> Result<PlaneMut<'a, T>> {
    // SAFETY: the caller's terms.
    let infomark_plane_mut { data, width, height, stride_bytes, pixel } = unsafe { value(name, plane) }?;
    check_kind::<T>(name, pixel)?;
    let (stride, len) = layout::<T>(name, width, height, stride_bytes)?;
    // SAFETY: the caller's terms.
    let data = unsafe { memory.write(name, data.cast(), len) }?;
    PlaneMut::with_stride(data, width, height, stride)
        .map_err(|error| refused(format_args!("{name}: {error}")))
}

fn check_kind<T: PixelKind>(name: &str, pixel: infomark_pixel) -> Result<()> {
    match pixel {
        kind if kind == T::KIND => Ok(()),
        INFOMARK_U8 | INFOMARK_U16 | INFOMARK_F32 => {
            Err(refused(format_args!("{name}: its pixels have to be {}", T::NAME)))
        }
        other => Err(unknown(name, other)),
    }
}

fn unknown(name: &str, pixel: infomark_pixel) -> crate::status::Failure {
    refused(format_args!(
        "{name}: {pixel} is no kind of pixel; use INFOMARK_U8, INFOMARK_U16 or INFOMARK_F32"
    ))
}

/// The stride in elements, and the number of elements from the first pixel to the last.
fn layout<T>(name: &str, width: usize, height: usize, stride_bytes: usize) -> Result<(usize, usize)> {
    let size = size_of::<T>();
    if !stride_bytes.is_multiple_of(size) {
        return Err(refused(format_args!(
            "{name}: a stride of {stride_bytes} bytes is no multiple of a pixel's {size}"
        )));
    }
    let stride = stride_bytes / size;
    if stride < width {
        return Err(refused(format_args!(
            "{name}: a stride of {stride_bytes} bytes is less than a row of {width} pixels of {size}"
        )));
    }
    if width == 0 || height == 0 {
        return Ok((stride, 0));
    }
    let len = (height - 1).checked_mul(stride).and_then(|len| len.checked_add(width));
    let len = len.ok_or_else(|| {
        refused(format_args!("{name}: {width} x {height} pixels are more than memory holds"))
    })?;
    Ok((stride, len))
}
