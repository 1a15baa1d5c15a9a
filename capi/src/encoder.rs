//! Encoders.

use std::ffi::{CString, c_char};
use std::sync::Arc;

use infomark_infer::{Encoder, Encoding, ModelError};

use crate::entry::entry;
use crate::handle::{Kind, c_text, close, held, open};
use crate::image::infomark_image;
use crate::memory::{Memory, place, text};
use crate::status::infomark_status::{
    INFOMARK_ARGUMENT, INFOMARK_BUFFER, INFOMARK_FILE, INFOMARK_RUN, INFOMARK_TIME_LIMIT,
};
use crate::status::{Result, failure, infomark_status, refused};

/// An encoder: a network from images to feature maps.
pub struct infomark_encoder {
    _opaque: [u8; 0],
}

pub(crate) struct HeldEncoder {
    pub(crate) encoder: Arc<Encoder>,
    sha256: CString,
}

impl Kind for infomark_encoder {
    type Held = HeldEncoder;
    const MARK: u64 = u64::from_be_bytes(*b"im_encod");
    const NAME: &'static str = "encoder";
}

/// The features of one image, for any number of matchers.
pub struct infomark_encoding {
    _opaque: [u8; 0],
}

impl Kind for infomark_encoding {
    type Held = Encoding;
    const MARK: u64 = u64::from_be_bytes(*b"im_featu");
    const NAME: &'static str = "encoding";
}

/// The status of a model's error.
pub(crate) fn model_status(error: &ModelError) -> infomark_status {
    match error {
        ModelError::TimeLimit { .. } => INFOMARK_TIME_LIMIT,
        ModelError::Run { .. } | ModelError::Features { .. } => INFOMARK_RUN,
        ModelError::Letterbox { .. } => INFOMARK_ARGUMENT,
        _ => INFOMARK_FILE,
    }
}

/// Loads an encoder: an ONNX file that `infomark train` wrote.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoder_load(
    path: *const c_char,
    out: *mut *mut infomark_encoder,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let path = unsafe { text("path", path) }?;
        unsafe { place("out", out) }?;
        unsafe { give(Encoder::load(path), out) }
    })
}

/// infomark_encoder_load for a file in memory; name is its name in messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoder_from_bytes(
    bytes: *const u8,
    len: usize,
    name: *const c_char,
    out: *mut *mut infomark_encoder,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let name = unsafe { text("name", name) }?;
        let bytes = unsafe { Memory::default().read("bytes", bytes, len) }?;
        unsafe { place("out", out) }?;
        unsafe { give(Encoder::from_bytes(bytes, name), out) }
    })
}

/// # Safety
/// The crate's terms.
unsafe fn give(
    encoder: std::result::Result<Encoder, ModelError>,
    out: *mut *mut infomark_encoder,
) -> Result<()> {
    let encoder = encoder.map_err(|error| failure(model_status(&error), error))?;
    let sha256 = c_text(encoder.sha256())?;
    // SAFETY: the caller's terms.
    unsafe { open(HeldEncoder { encoder: Arc::new(encoder), sha256 }, out) }
}

/// The size in pixels of an encoder's model input, which images are letterboxed to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoder_input_size(
    encoder: *const infomark_encoder,
    width: *mut usize,
    height: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let input = unsafe { held(encoder) }?.encoder.description().input;
        let (to_width, to_height) = unsafe { (place("width", width)?, place("height", height)?) };
        to_width.set(input.width());
        to_height.set(input.height());
        Ok(())
    })
}

/// SHA-256 of an encoder's file, in lower-case hexadecimal. The text belongs to the encoder and is freed with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoder_sha256(
    encoder: *const infomark_encoder,
    sha256: *mut *const c_char,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let encoder = unsafe { held(encoder) }?;
        unsafe { place("sha256", sha256) }?.set(encoder.sha256.as_ptr());
        Ok(())
    })
}

/// Closes an encoder and sets the pointer to null; null is ignored. Matchers made with it stay valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoder_close(encoder: *mut *mut infomark_encoder) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(encoder) })
}

/// Computes the features of an image. It takes most of the time of matching: with infomark_matcher_find_encoded several
/// matchers share it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoder_encode(
    encoder: *const infomark_encoder,
    image: *const infomark_image,
    out: *mut *mut infomark_encoding,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let encoder = unsafe { held(encoder) }?;
        let image = unsafe { held(image) }?;
        unsafe { place("out", out) }?;
        let encoding = encoder.encoder.encode(image);
        let encoding = encoding.map_err(|error| failure(model_status(&error), error))?;
        unsafe { open(encoding, out) }
    })
}

/// Shape of a feature map.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct infomark_level {
    /// Number of channels.
    pub channels: usize,
    /// Width in cells.
    pub width: usize,
    /// Height in cells.
    pub height: usize,
    /// Stride in pixels of the model input.
    pub stride: usize,
}

/// Number of levels of an encoding; the first is the finest.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoding_levels(
    encoding: *const infomark_encoding,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let encoding = unsafe { held(encoding) }?;
        unsafe { place("count", count) }?.set(encoding.levels().len());
        Ok(())
    })
}

/// The shape of a level, and its features of length 1 in the order channel, row, column. If len is less than their number, nothing is
/// copied, the shape is returned all the same, and the status is INFOMARK_BUFFER unless features is null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoding_level(
    encoding: *const infomark_encoding,
    index: usize,
    shape: *mut infomark_level,
    features: *mut f32,
    len: usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let levels = unsafe { held(encoding) }?.levels();
        let to = unsafe { place("shape", shape) }?;
        let level = levels
            .get(index)
            .ok_or_else(|| refused(format_args!("level {index} of an encoding that has {}", levels.len())))?;
        let shape = infomark_level {
            channels: level.channels(),
            width: level.width(),
            height: level.height(),
            stride: level.stride(),
        };
        to.set(shape);
        if features.is_null() {
            return Ok(());
        }
        let data = level.data();
        let needed = data.len();
        if len < needed {
            return Err(failure(
                INFOMARK_BUFFER,
                format_args!("features has {len} elements and needs {needed}"),
            ));
        }
        unsafe { Memory::default().write("features", features, needed) }?.copy_from_slice(data);
        Ok(())
    })
}

/// Closes an encoding and sets the pointer to null; null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_encoding_close(encoding: *mut *mut infomark_encoding) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(encoding) })
}
