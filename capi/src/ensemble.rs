//! Ensembles of templates and landmark networks: files of `infomark loop` and `infomark review`.

use std::ffi::{CString, c_char};

use infomark_infer::{Ensemble, EnsembleFileError, EnsembleLandmark, Member};

use crate::encoder::model_status;
use crate::entry::entry;
use crate::handle::{Kind, c_text, close, held, open};
use crate::image::infomark_image;
use crate::judge::infomark_judgement;
use crate::matcher::{check_room, copy, failed, infomark_find_options, infomark_recognition, name_of};
use crate::memory::{Memory, place, text};
use crate::options::{Options, fields, flag, options};
use crate::plane::infomark_point;
use crate::status::infomark_status::{INFOMARK_FILE, INFOMARK_MISMATCH};
use crate::status::{Failure, Result, failure, infomark_status, refused};

/// An ensemble of templates and landmark networks: one of them, or their product, places each landmark.
pub struct infomark_ensemble {
    _opaque: [u8; 0],
}

pub(crate) struct HeldEnsemble {
    ensemble: Ensemble,
    names: Vec<CString>,
}

impl Kind for infomark_ensemble {
    type Held = HeldEnsemble;
    const MARK: u64 = u64::from_be_bytes(*b"im_ensmb");
    const NAME: &'static str = "ensemble";
}

/// Member of an ensemble that places a landmark; an `infomark_member` is one of these numbers.
pub type infomark_member = u32;
/// The templates.
pub const INFOMARK_TEMPLATES: infomark_member = 1;
/// The landmark networks.
pub const INFOMARK_NETWORK: infomark_member = 2;
/// Both: the product of the networks' heat map and the templates' score map.
pub const INFOMARK_FUSION: infomark_member = 3;

fn number(member: Member) -> infomark_member {
    match member {
        Member::Templates => INFOMARK_TEMPLATES,
        Member::Network => INFOMARK_NETWORK,
        Member::Fusion => INFOMARK_FUSION,
        // Later members are unknown to programs of this header.
        _ => 0,
    }
}

/// Options of loading an ensemble. Zero means the default, for every field.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct infomark_ensemble_options {
    /// sizeof(infomark_ensemble_options).
    pub struct_size: usize,
    /// 1: images are rotated by quarter turns, or mirrored, to the templates' orientation before the search.
    pub fix_orientation: u32,
    /// Zero.
    pub reserved: u32,
}

// SAFETY: numbers, the size first, and no gaps between them.
unsafe impl Options for infomark_ensemble_options {
    const DEFAULT: Self = Self { struct_size: size_of::<Self>(), fix_orientation: 0, reserved: 0 };
    const FIELDS: &'static [usize] = fields!(fix_orientation, reserved);
}

/// A landmark found by an ensemble.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct infomark_ensemble_landmark {
    /// Position in pixels of the original image.
    pub at: infomark_point,
    /// For INFOMARK_NETWORK and INFOMARK_FUSION, probability of the networks' heat map around it, 0 to 1; for INFOMARK_TEMPLATES, mean
    /// cosine, -1 to 1.
    pub score: f64,
    /// Distance between the templates' and the networks' positions, in pixels of the image: large where one of them is wrong.
    pub disagreement_px: f64,
    /// Error bound in pixels of the image, with the ensemble's coverage; NaN where the ensemble has no bounds.
    pub error_bound_px: f64,
    /// Error bound in mm; NaN also where the pixel size is unknown.
    pub error_bound_mm: f64,
    /// The member used.
    pub member: infomark_member,
    /// 1 where it should not be used: the image is not recognised, or is in another orientation than the templates and was not reoriented.
    pub abstain: u32,
}

impl infomark_ensemble_landmark {
    fn of(landmark: &EnsembleLandmark, usable: bool) -> Self {
        Self {
            at: infomark_point { x: landmark.at.x, y: landmark.at.y },
            score: landmark.score,
            disagreement_px: landmark.disagreement_px,
            error_bound_px: landmark.error_bound_px.unwrap_or(f64::NAN),
            error_bound_mm: landmark.error_bound_mm.unwrap_or(f64::NAN),
            member: number(landmark.member),
            abstain: (!usable).into(),
        }
    }
}

/// Loads an ensemble: a file ending in .infomark, written by `infomark loop` or *Save as* of `infomark review`. options may be null for the
/// defaults.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_load(
    path: *const c_char,
    options: *const infomark_ensemble_options,
    out: *mut *mut infomark_ensemble,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let path = unsafe { text("path", path) }?;
        unsafe { place("out", out) }?;
        unsafe { give(|| Ensemble::load(path), options, out) }
    })
}

/// infomark_ensemble_load for a file in memory; name is its name in messages.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_from_bytes(
    bytes: *const u8,
    len: usize,
    name: *const c_char,
    options: *const infomark_ensemble_options,
    out: *mut *mut infomark_ensemble,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let name = unsafe { text("name", name) }?;
        let bytes = unsafe { Memory::default().read("bytes", bytes, len) }?;
        unsafe { place("out", out) }?;
        unsafe { give(|| Ensemble::from_bytes(bytes, name), options, out) }
    })
}

/// # Safety
/// The crate's terms.
unsafe fn give(
    load: impl FnOnce() -> std::result::Result<Ensemble, EnsembleFileError>,
    given: *const infomark_ensemble_options,
    out: *mut *mut infomark_ensemble,
) -> Result<()> {
    // SAFETY: the caller's terms.
    let given: infomark_ensemble_options = unsafe { options(given) }?;
    let fix_orientation = flag("fix_orientation", given.fix_orientation)?;
    if given.reserved != 0 {
        return Err(refused("reserved has to be 0: this version of the library knows no other value"));
    }
    let ensemble = load().map_err(not_loaded)?.with_fixed_orientation(fix_orientation);
    let names = ensemble.landmarks().iter().map(|name| c_text(name)).collect::<Result<_>>()?;
    // SAFETY: the caller's terms.
    unsafe { open(HeldEnsemble { ensemble, names }, out) }
}

fn not_loaded(error: EnsembleFileError) -> Failure {
    let status = match &error {
        EnsembleFileError::Model(error) => model_status(error),
        EnsembleFileError::Matching { .. } | EnsembleFileError::Parts { .. } => INFOMARK_MISMATCH,
        _ => INFOMARK_FILE,
    };
    failure(status, error)
}

/// Number of landmarks of an ensemble.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_count(
    ensemble: *const infomark_ensemble,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let ensemble = unsafe { held(ensemble) }?;
        unsafe { place("count", count) }?.set(ensemble.names.len());
        Ok(())
    })
}

/// The name of a landmark. The text belongs to the ensemble and is freed with it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_name(
    ensemble: *const infomark_ensemble,
    index: usize,
    name: *mut *const c_char,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let ensemble = unsafe { held(ensemble) }?;
        let to = unsafe { place("name", name) }?;
        to.set(name_of(&ensemble.names, index)?);
        Ok(())
    })
}

/// Coverage of the error bounds: fraction of errors within their bound, 0 to 1; NaN where an ensemble has no bounds.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_coverage(
    ensemble: *const infomark_ensemble,
    coverage: *mut f64,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let bounds = unsafe { held(ensemble) }?.ensemble.bounds();
        unsafe { place("coverage", coverage) }?.set(bounds.map_or(f64::NAN, |bounds| bounds.coverage));
        Ok(())
    })
}

/// Finds the landmarks in an image, as infomark_judge_find does. judgement may be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_find(
    ensemble: *const infomark_ensemble,
    image: *const infomark_image,
    options: *const infomark_find_options,
    judgement: *mut infomark_judgement,
    found: *mut infomark_ensemble_landmark,
    capacity: usize,
    count: *mut usize,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms, here and below.
        let HeldEnsemble { ensemble, names } = unsafe { held(ensemble) }?;
        let image = unsafe { held(image) }?;
        let options: infomark_find_options = unsafe { crate::options::options(options) }?;
        unsafe { check_room(names.len(), found, capacity, count) }?;
        let seen = ensemble.detect(image, options.deadline()?).map_err(failed)?;
        if !judgement.is_null() {
            let recognition = infomark_recognition::of(&seen.recognition);
            let told = infomark_judgement { recognition, reoriented: seen.reoriented.into() };
            unsafe { place("judgement", judgement) }?.set(told);
        }
        let usable = seen.is_usable();
        unsafe { copy(&seen.landmarks, |landmark| infomark_ensemble_landmark::of(landmark, usable), found) }
    })
}

/// Closes an ensemble and sets the pointer to null; null is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_ensemble_close(ensemble: *mut *mut infomark_ensemble) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { close(ensemble) })
}
