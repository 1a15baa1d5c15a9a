//! Reliability of found landmarks.

use std::ffi::c_char;

use infomark_infer::{ErrorCalibration, Judge, JudgeError, JudgeOptions, JudgedLandmark};

use crate::entry::entry;
use crate::handle::{Kind, close, held, open};
use crate::image::infomark_image;
use crate::matcher::{
    check_room, copy, failed, infomark_find_options, infomark_found, infomark_matcher, infomark_recognition,
};
use crate::memory::{place, text};
use crate::options::{Options, fields, flag};
use crate::status::infomark_status::{INFOMARK_ARGUMENT, INFOMARK_FILE, INFOMARK_MISMATCH};
use crate::status::{OrFail, failure, infomark_status};

/// A matcher with error bounds, if it has a calibration, and abstention from landmarks that should not be
/// used.
pub struct infomark_judge {
    _opaque: [u8; 0],
}

impl Kind for infomark_judge {
    type Held = Judge;
    const MARK: u64 = u64::from_be_bytes(*b"im_judge");
    const NAME: &'static str = "judge";
}

/// Options of abstention and error bounds. Zero means the default, for every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_judge_options {
    /// sizeof(infomark_judge_options).
    pub struct_size: usize,
    /// File of `infomark calibrate`, for the same encoder, templates and matching options; null for no
    /// error bounds.
    pub calibration: *const c_char,
    /// Coverage: fraction of errors within their bound, 0 to 1; needs a calibration. 0.9 by default.
    pub coverage: f64,
    /// Abstain from landmarks with a larger error bound, in mm; needs a calibration, and images with a pixel size. 0 for
    /// no threshold.
    pub abstain_above_mm: f64,
    /// Abstain from landmarks with a lower score, -1 to 1, if has_abstain_below_score is 1.
    pub abstain_below_score: f64,
    /// 1: abstain_below_score is used.
    pub has_abstain_below_score: u32,
    /// 1: images are rotated by quarter turns, or mirrored, to the templates' orientation before the search.
    pub fix_orientation: u32,
}

// SAFETY: numbers and a pointer, the size first, and no gaps between them.
unsafe impl Options for infomark_judge_options {
    const DEFAULT: Self = Self {
        struct_size: size_of::<Self>(),
        calibration: std::ptr::null(),
        coverage: 0.0,
        abstain_above_mm: 0.0,
        abstain_below_score: 0.0,
        has_abstain_below_score: 0,
        fix_orientation: 0,
    };
    const FIELDS: &'static [usize] = fields!(
        calibration,
        coverage,
        abstain_above_mm,
        abstain_below_score,
        has_abstain_below_score,
        fix_orientation
    );
}

/// A landmark with its error bound and abstention.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct infomark_judged {
    /// The landmark.
    pub found: infomark_found,
    /// Error bound in pixels of the original image; NaN where the judge has no
    /// calibration.
    pub error_bound_px: f64,
    /// Error bound in mm; NaN also where the pixel size is unknown.
    pub error_bound_mm: f64,
    /// 1 where it should not be used: its bound or score is beyond the threshold, or the image is not recognised, or has another
    /// orientation than the templates and was not reoriented.
    pub abstain: u32,
}

impl infomark_judged {
    fn of(landmark: &JudgedLandmark) -> Self {
        Self {
            found: infomark_found::of(&landmark.found),
            error_bound_px: landmark.error_bound_px.unwrap_or(f64::NAN),
            error_bound_mm: landmark.error_bound_mm.unwrap_or(f64::NAN),
            abstain: landmark.abstain.into(),
        }
    }
}

/// Judgement of an image as a whole.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct infomark_judgement {
    /// Similarity of the image to the templates, and its orientation.
    pub recognition: infomark_recognition,
    /// 1 where it was reoriented to the templates' orientation before the search.
    pub reoriented: u32,
}

/// Makes a judge from a matcher, which may be closed afterwards. options may be null for the defaults. A calibration for another
/// encoder, other templates or options is INFOMARK_MISMATCH.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_judge_new(
    matcher: *const infomark_matcher,
    options: *const infomark_judge_options,
    out: *mut *mut infomark_judge,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let matcher = unsafe { held(matcher) }?.matcher.clone();
        let options: infomark_judge_options = unsafe { crate::options::options(options) }?;
        unsafe { place("out", out) }?;
        let calibration = match options.calibration.is_null() {
            true => None,
            false => {
                let path = unsafe { text("calibration", options.calibration) }?;
                Some(ErrorCalibration::load(path).or_fail(INFOMARK_FILE)?)
            }
        };
        let above_zero = |value: f64| (value != 0.0).then_some(value);
        let has_score = flag("has_abstain_below_score", options.has_abstain_below_score)?;
        let options = JudgeOptions {
            calibration,
            coverage: above_zero(options.coverage),
            abstain_above_mm: above_zero(options.abstain_above_mm),
            abstain_below_score: has_score.then_some(options.abstain_below_score),
            fix_orientation: flag("fix_orientation", options.fix_orientation)?,
        };
        let judge = Judge::new(matcher, &options).map_err(|error| {
            let status = match &error {
                JudgeError::OtherCalibration { .. } => INFOMARK_MISMATCH,
                _ => INFOMARK_ARGUMENT,
            };
            failure(status, error)
        })?;
        unsafe { open(judge, out) }
    })
}

/// Finds the landmarks in an image as infomark_matcher_find does, and judges them. judgement may be null. If recognition is uncertain, the
/// image is also encoded mirrored and rotated, which may take up to eight times as long as infomark_matcher_find.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_judge_find(
    judge: *const infomark_judge,
    image: *const infomark_image,
    options: *const infomark_find_options,
    judgement: *mut infomark_judgement,
    found: *mut infomark_judged,
    capacity: usize,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let judge = unsafe { held(judge) }?;
        let image = unsafe { held(image) }?;
        let options: infomark_find_options = unsafe { crate::options::options(options) }?;
        unsafe { check_room(judge.matcher().landmarks().len(), found, capacity, count) }?;
        let all = judge.find(image, options.deadline()?).map_err(failed)?;
        if !judgement.is_null() {
            let recognition = infomark_recognition::of(&all.recognition);
            let told = infomark_judgement { recognition, reoriented: all.reoriented.into() };
            unsafe { place("judgement", judgement) }?.set(told);
        }
        unsafe { copy(&all.landmarks, infomark_judged::of, found) }
    })
}

/// Closes a judge and sets the pointer to null; null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_judge_close(judge: *mut *mut infomark_judge) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(judge) })
}
