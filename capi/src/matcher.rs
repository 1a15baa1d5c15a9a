//! Matching of template landmarks in images.

use std::ffi::{CString, c_char};
use std::time::{Duration, Instant};

use infomark_infer::{Found, MatchError, MatchOptions, Matcher, Recognition};

use crate::encoder::{infomark_encoder, infomark_encoding, model_status};
use crate::entry::entry;
use crate::handle::{Kind, c_text, close, held, open};
use crate::image::infomark_image;
use crate::memory::{place, values};
use crate::options::{Options, fields, flag};
use crate::plane::infomark_point;
use crate::status::infomark_status::{INFOMARK_ARGUMENT, INFOMARK_BUFFER, INFOMARK_MISMATCH};
use crate::status::{Failure, Result, failure, infomark_status, refused};
use crate::template::infomark_template;

/// A landmark matcher: an encoder with templates.
pub struct infomark_matcher {
    _opaque: [u8; 0],
}

pub(crate) struct HeldMatcher {
    pub(crate) matcher: Matcher,
    names: Vec<CString>,
}

impl Kind for infomark_matcher {
    type Held = HeldMatcher;
    const MARK: u64 = u64::from_be_bytes(*b"im_match");
    const NAME: &'static str = "matcher";
}

/// Options of matching. Zero means the default, for every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_match_options {
    /// sizeof(infomark_match_options).
    pub struct_size: usize,
    /// 1: no voting by points around a landmark.
    pub without_neighbours: u32,
    /// 1: no prior by robust alignment.
    pub without_prior: u32,
    /// Standard deviation of the Gaussian prior around a landmark's predicted position, in pixels of the model input, at
    /// least 1; 12 by default.
    pub prior_sigma: f64,
}

// SAFETY: numbers only, the size first, and no gaps between them.
unsafe impl Options for infomark_match_options {
    const DEFAULT: Self =
        Self { struct_size: size_of::<Self>(), without_neighbours: 0, without_prior: 0, prior_sigma: 0.0 };
    const FIELDS: &'static [usize] = fields!(without_neighbours, without_prior, prior_sigma);
}

/// Options of searching one image. Zero means the default, for every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_find_options {
    /// sizeof(infomark_find_options).
    pub struct_size: usize,
    /// Seconds after which the encoder is aborted with INFOMARK_TIME_LIMIT, checked every few milliseconds; 0 for none.
    pub time_limit_s: f64,
}

// SAFETY: numbers only, the size first, and no gaps between them.
unsafe impl Options for infomark_find_options {
    const DEFAULT: Self = Self { struct_size: size_of::<Self>(), time_limit_s: 0.0 };
    const FIELDS: &'static [usize] = fields!(time_limit_s);
}

impl infomark_find_options {
    /// The deadline.
    pub(crate) fn deadline(&self) -> Result<Option<Instant>> {
        let limit = self.time_limit_s;
        if limit == 0.0 {
            return Ok(None);
        }
        let wrong = || refused(format_args!("time_limit_s {limit}: give a number of seconds, 0 for none"));
        // A limit beyond the range of the clock is none.
        Ok(Instant::now().checked_add(Duration::try_from_secs_f64(limit).map_err(|_| wrong())?))
    }
}

/// A matched landmark with its confidence. Lengths are in pixels of the original image; NaN where unknown.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct infomark_found {
    /// Position; always within the image.
    pub at: infomark_point,
    /// Mean cosine between the features of template and image at this position, -1 to 1. It ranks positions; it is not a probability.
    pub score: f64,
    /// Score gap to the best peak elsewhere.
    pub margin: f64,
    /// Cycle-consistency error: distance from the landmark after matching back into the template.
    pub cycle_error: f64,
    /// Distance to the prior, i.e. the landmark's position by robust alignment.
    pub prior: f64,
    /// Relative size of the error, from score and margin; above 0. It ranks the landmarks of an image; it is not
    /// a bound.
    pub scale: f64,
}

impl infomark_found {
    pub(crate) fn of(found: &Found) -> Self {
        let confidence = found.confidence;
        Self {
            at: infomark_point { x: found.at.x, y: found.at.y },
            score: found.score,
            margin: confidence.margin,
            cycle_error: confidence.cycle_error.unwrap_or(f64::NAN),
            prior: confidence.prior.unwrap_or(f64::NAN),
            scale: confidence.scale,
        }
    }
}

/// The status of a matching error.
pub(crate) fn failed(error: MatchError) -> Failure {
    let status = match &error {
        MatchError::Model(model) => model_status(model),
        MatchError::NoTemplates | MatchError::PriorSigma { .. } | MatchError::NoSpacing { .. } => {
            INFOMARK_ARGUMENT
        }
        _ => INFOMARK_MISMATCH,
    };
    failure(status, error)
}

/// Makes a matcher from an encoder and count templates that it made, at least one; a landmark of several templates is matched with all
/// of them. The handles may be closed afterwards. options may be null for the defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_new(
    encoder: *const infomark_encoder,
    templates: *const *const infomark_template,
    count: usize,
    options: *const infomark_match_options,
    out: *mut *mut infomark_matcher,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let encoder = unsafe { held(encoder) }?;
        let given = unsafe { values("templates", templates, count) }?;
        let mut templates = Vec::with_capacity(given.len());
        for template in given {
            templates.push(unsafe { held(template) }?.template.clone());
        }
        let options: infomark_match_options = unsafe { crate::options::options(options) }?;
        unsafe { place("out", out) }?;
        let MatchOptions { prior_sigma, .. } = MatchOptions::default();
        let prior_sigma = if options.prior_sigma == 0.0 { prior_sigma } else { options.prior_sigma as f32 };
        let options = MatchOptions {
            neighbours: !flag("without_neighbours", options.without_neighbours)?,
            prior: !flag("without_prior", options.without_prior)?,
            prior_sigma,
            ..MatchOptions::default()
        };
        let matcher = Matcher::new(encoder.encoder.clone(), templates).and_then(|new| new.options(options));
        let matcher = matcher.map_err(failed)?;
        let names = matcher.landmarks().into_iter().map(c_text).collect::<Result<_>>()?;
        unsafe { open(HeldMatcher { matcher, names }, out) }
    })
}

/// Number of landmarks of a matcher.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_count(
    matcher: *const infomark_matcher,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let matcher = unsafe { held(matcher) }?;
        unsafe { place("count", count) }?.set(matcher.names.len());
        Ok(())
    })
}

/// The name of a landmark, in order of detection: those of the first template, then those added by the second, and so on. The text
/// belongs to the matcher and is freed with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_name(
    matcher: *const infomark_matcher,
    index: usize,
    name: *mut *const c_char,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let matcher = unsafe { held(matcher) }?;
        let to = unsafe { place("name", name) }?;
        to.set(name_of(&matcher.names, index)?);
        Ok(())
    })
}

/// The name with an index in a list.
pub(crate) fn name_of(names: &[CString], index: usize) -> Result<*const c_char> {
    let name = names.get(index).map(|name| name.as_ptr());
    name.ok_or_else(|| refused(format_args!("landmark {index} of {}: count from 0", names.len())))
}

/// Finds the landmarks in an image. found receives as many as infomark_matcher_count returns; capacity is its length, and count, which
/// may be null, receives the number needed. options may be null for the defaults.
///
/// It uses only the calling thread; call it from several threads for several images.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_find(
    matcher: *const infomark_matcher,
    image: *const infomark_image,
    options: *const infomark_find_options,
    found: *mut infomark_found,
    capacity: usize,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let HeldMatcher { matcher, names } = unsafe { held(matcher) }?;
        let image = unsafe { held(image) }?;
        let options: infomark_find_options = unsafe { crate::options::options(options) }?;
        unsafe { check_room(names.len(), found, capacity, count) }?;
        let all = matcher.find_until(image, options.deadline()?).map_err(failed)?;
        unsafe { copy(&all, infomark_found::of, found) }
    })
}

/// infomark_matcher_find for an image already encoded by the same encoder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_find_encoded(
    matcher: *const infomark_matcher,
    encoding: *const infomark_encoding,
    found: *mut infomark_found,
    capacity: usize,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let HeldMatcher { matcher, names } = unsafe { held(matcher) }?;
        let encoding = unsafe { held(encoding) }?;
        unsafe { check_room(names.len(), found, capacity, count) }?;
        let all = matcher.find_encoded(encoding).map_err(failed)?;
        unsafe { copy(&all, infomark_found::of, found) }
    })
}

/// Reports the number needed, and checks the capacity.
///
/// # Safety
/// The crate's terms.
pub(crate) unsafe fn check_room<T: Copy>(
    needed: usize,
    found: *mut T,
    capacity: usize,
    count: *mut usize,
) -> Result<()> {
    if !count.is_null() {
        // SAFETY: the caller's terms.
        unsafe { place("count", count) }?.set(needed);
    }
    if capacity < needed {
        return Err(failure(
            INFOMARK_BUFFER,
            format_args!("found has room for {capacity} landmarks, there are {needed}"),
        ));
    }
    // SAFETY: the caller's terms.
    unsafe { place("found", found) }.map(|_| ())
}

/// Writes results to the caller's array.
///
/// # Safety
/// The crate's terms; the array has room for all.
pub(crate) unsafe fn copy<F, T: Copy>(all: &[F], of: impl Fn(&F) -> T, found: *mut T) -> Result<()> {
    for (index, one) in all.iter().enumerate() {
        // SAFETY: within the array, as guaranteed by the caller.
        unsafe { place("found", found.add(index)) }?.set(of(one));
    }
    Ok(())
}

/// Recognition of an image.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct infomark_recognition {
    /// Fraction of 200 keypoints of the template that are inliers of one affine map onto the image, 0 to 1.
    pub inlier_fraction: f64,
    /// 1 where the image shows the template's anatomy; otherwise its landmarks are meaningless.
    pub recognised: u32,
    /// 1 where the image is mirrored horizontally relative to the template.
    pub mirrored: u32,
    /// Number of quarter turns, clockwise on screen, after the mirroring; 0 to 3.
    pub quarter_turns: u32,
}

impl infomark_recognition {
    pub(crate) fn of(recognition: &Recognition) -> Self {
        let orientation = recognition.orientation;
        Self {
            inlier_fraction: recognition.inlier_fraction,
            recognised: recognition.is_recognised().into(),
            mirrored: orientation.is_mirrored().into(),
            quarter_turns: orientation.quarter_turns().into(),
        }
    }
}

/// Recognises the templates' anatomy in an image, and its orientation. It encodes the image and, if recognition is uncertain, also its
/// mirrored and rotated versions, so it may take up to eight times as long as infomark_matcher_find. options may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_recognise(
    matcher: *const infomark_matcher,
    image: *const infomark_image,
    options: *const infomark_find_options,
    out: *mut infomark_recognition,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let matcher = &unsafe { held(matcher) }?.matcher;
        let image = unsafe { held(image) }?;
        let options: infomark_find_options = unsafe { crate::options::options(options) }?;
        let to = unsafe { place("out", out) }?;
        let deadline = options.deadline()?;
        let encoding = matcher.encoder().encode_until(image, deadline);
        let encoding = encoding.map_err(|error| failed(MatchError::Model(error)))?;
        let recognition = matcher.recognise(image, &encoding, deadline).map_err(failed)?;
        to.set(infomark_recognition::of(&recognition));
        Ok(())
    })
}

/// Closes a matcher and sets the pointer to null; null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_matcher_close(matcher: *mut *mut infomark_matcher) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(matcher) })
}
