//! Templates: landmark features of one annotated image.

use std::ffi::{CString, c_char};

use infomark_core::Point;
use infomark_infer::{Landmark, Template, TemplateError};

use crate::encoder::{infomark_encoder, model_status};
use crate::entry::entry;
use crate::handle::{Kind, c_text, close, held, open};
use crate::image::infomark_image;
use crate::memory::{Memory, place, text, values};
use crate::plane::infomark_point;
use crate::status::infomark_status::{INFOMARK_ARGUMENT, INFOMARK_FILE};
use crate::status::{OrFail, Result, failure, infomark_status, refused};

/// A template: the landmark features of one annotated image.
pub struct infomark_template {
    _opaque: [u8; 0],
}

pub(crate) struct HeldTemplate {
    pub(crate) template: Template,
    names: Vec<CString>,
}

impl Kind for infomark_template {
    type Held = HeldTemplate;
    const MARK: u64 = u64::from_be_bytes(*b"im_templ");
    const NAME: &'static str = "template";
}

/// A named point of an image, in pixels.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_landmark {
    /// Name, such as "sella"; not empty, and unique.
    pub name: *const c_char,
    /// Position: the centre of the first pixel is at (0, 0), x goes right, y down.
    pub at: infomark_point,
}

/// Loads a template: a file written by `infomark template` or infomark_template_save.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_load(
    path: *const c_char,
    out: *mut *mut infomark_template,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let path = unsafe { text("path", path) }?;
        unsafe { place("out", out) }?;
        unsafe { give(Template::load(path).or_fail(INFOMARK_FILE)?, out) }
    })
}

/// infomark_template_load for a file in memory; name is its name in messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_from_bytes(
    bytes: *const u8,
    len: usize,
    name: *const c_char,
    out: *mut *mut infomark_template,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let name = unsafe { text("name", name) }?;
        let bytes = unsafe { Memory::default().read("bytes", bytes, len) }?;
        unsafe { place("out", out) }?;
        unsafe { give(Template::from_bytes(bytes, name).or_fail(INFOMARK_FILE)?, out) }
    })
}

/// Makes a template from an annotated image: count landmarks, at least one, all of them within the image.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_new(
    encoder: *const infomark_encoder,
    image: *const infomark_image,
    landmarks: *const infomark_landmark,
    count: usize,
    out: *mut *mut infomark_template,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let encoder = unsafe { held(encoder) }?;
        let image = unsafe { held(image) }?;
        let given = unsafe { values("landmarks", landmarks, count) }?;
        unsafe { place("out", out) }?;
        let mut landmarks = Vec::with_capacity(given.len());
        for landmark in given {
            let name = unsafe { text("a landmark's name", landmark.name) }?;
            if name.trim().is_empty() {
                return Err(refused("a landmark's name is empty"));
            }
            landmarks.push(Landmark::new(name, Point::new(landmark.at.x, landmark.at.y)));
        }
        let template = Template::new(&encoder.encoder, image, &landmarks).map_err(|error| match &error {
            TemplateError::Model(model) => failure(model_status(model), &error),
            _ => failure(INFOMARK_ARGUMENT, &error),
        })?;
        unsafe { give(template, out) }
    })
}

/// # Safety
/// The crate's terms.
unsafe fn give(template: Template, out: *mut *mut infomark_template) -> Result<()> {
    let names = template.landmarks().iter().map(|name| c_text(name)).collect::<Result<_>>()?;
    // SAFETY: the caller's terms.
    unsafe { open(HeldTemplate { template, names }, out) }
}

/// Writes a template's file, for infomark_template_load and `infomark match --template`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_save(
    template: *const infomark_template,
    path: *const c_char,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let template = unsafe { held(template) }?;
        let path = unsafe { text("path", path) }?;
        template.template.save(path).or_fail(INFOMARK_FILE)
    })
}

/// Number of landmarks of a template.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_count(
    template: *const infomark_template,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let template = unsafe { held(template) }?;
        unsafe { place("count", count) }?.set(template.names.len());
        Ok(())
    })
}

/// A landmark of a template, in pixels of its image. The name belongs to the template and is freed with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_landmark(
    template: *const infomark_template,
    index: usize,
    landmark: *mut infomark_landmark,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let template = unsafe { held(template) }?;
        let to = unsafe { place("landmark", landmark) }?;
        let found = template.names.get(index).zip(template.template.points().get(index));
        let (name, at) = found.ok_or_else(|| {
            refused(format_args!("landmark {index} of a template that has {}", template.names.len()))
        })?;
        to.set(infomark_landmark { name: name.as_ptr(), at: infomark_point { x: at.x, y: at.y } });
        Ok(())
    })
}

/// Closes a template and sets the pointer to null; null is ignored. Matchers made with it stay valid.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_template_close(template: *mut *mut infomark_template) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(template) })
}
