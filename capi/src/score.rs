//! Radial errors of landmarks and their statistics. Nothing here allocates.

use infomark_core::{Point, Rng, Spacing, Statistic, bootstrap_interval, mean, radial_error_mm, sdr};

use crate::entry::entry;
use crate::memory::{Memory, place};
use crate::plane::infomark_point;
use crate::status::infomark_status::INFOMARK_ARGUMENT;
use crate::status::{OrFail, Result, infomark_status, refused};

/// Radial error: the distance of two points in millimetres, with pixels of spacing_x_mm by spacing_y_mm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_radial_error_mm(
    found: infomark_point,
    truth: infomark_point,
    spacing_x_mm: f64,
    spacing_y_mm: f64,
    out: *mut f64,
) -> infomark_status {
    entry(|| {
        // SAFETY: the header's terms.
        let out = unsafe { place("out", out) }?;
        let spacing = Spacing::new(spacing_x_mm, spacing_y_mm).or_fail(INFOMARK_ARGUMENT)?;
        let point = |at: infomark_point| Point::new(at.x, at.y);
        out.set(radial_error_mm(point(found), point(truth), spacing));
        Ok(())
    })
}

/// Mean of at least one error; of radial errors, the MRE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_mean(
    errors_mm: *const f64,
    count: usize,
    out: *mut f64,
) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { statistic(errors_mm, count, mean, out) })
}

/// Successful detection rate (SDR): the fraction of errors, at least one, strictly below a radius, from 0 to 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_sdr(
    errors_mm: *const f64,
    count: usize,
    radius_mm: f64,
    out: *mut f64,
) -> infomark_status {
    // SAFETY: the header's terms.
    entry(|| unsafe { statistic(errors_mm, count, |errors| sdr(errors, radius_mm), out) })
}

/// # Safety
/// The crate's terms.
unsafe fn statistic(
    errors: *const f64,
    count: usize,
    of: impl FnOnce(&[f64]) -> Option<f64>,
    out: *mut f64,
) -> Result<()> {
    // SAFETY: the caller's terms, here and below.
    let errors = unsafe { Memory::default().read("errors_mm", errors, count) }?;
    let out = unsafe { place("out", out) }?;
    out.set(of(errors).ok_or_else(|| refused("there are no errors: give at least one"))?);
    Ok(())
}

/// Confidence interval.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct infomark_interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

/// Bootstrap interval over images of the mean error, or, with a radius_mm above 0, of the fraction of errors below it.
///
/// errors_mm holds landmarks errors per image, image after image; scratch one element per resample, such as 2000; confidence is, e.g.,
/// 0.95. The same seed gives the same interval.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_bootstrap_interval(
    errors_mm: *const f64,
    count: usize,
    landmarks: usize,
    radius_mm: f64,
    confidence: f64,
    seed: u64,
    out: *mut infomark_interval,
    scratch: *mut f64,
    scratch_len: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let errors = unsafe { memory.read("errors_mm", errors_mm, count) }?;
        let out = unsafe { place("out", out) }?;
        let scratch = unsafe { memory.write("scratch", scratch, scratch_len) }?;
        let statistic =
            if radius_mm > 0.0 { Statistic::Sdr { radius_mm } } else { Statistic::MeanRadialError };
        let mut rng = Rng::new(seed, 0);
        let interval = bootstrap_interval(errors, landmarks, statistic, confidence, &mut rng, scratch);
        let interval = interval.or_fail(INFOMARK_ARGUMENT)?;
        out.set(infomark_interval { low: interval.low, high: interval.high });
        Ok(())
    })
}
