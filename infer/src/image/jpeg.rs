//! JPEG streams: sequential, progressive and lossless (ITU-T T.81) and JPEG-LS (ITU-T T.87), read strictly.
//!
//! Every block and every sample has to be there, since decoders for display silently fill gaps with grey. The end marker is no proof: some complete
//! files lack it, and truncated ones may have it. Coded data left over after a scan or the picture are errors, too: the size in the header is wrong.

mod bits;
mod blocks;
mod dct;
#[cfg(feature = "jpeg")]
pub(super) mod file;
mod huffman;
mod idct;
mod lossless;
mod ls;
mod ls_bits;
mod ls_context;
mod marker;
mod progressive;
mod segments;

pub(super) use segments::Frame;

use super::ReadLimits;

/// Why a stream cannot be read.
#[derive(Debug)]
pub(super) enum Problem {
    Damaged(&'static str),
    /// An unsupported kind of JPEG, by its name.
    Unsupported(&'static str),
    /// More scans than the limit.
    TooManyScans(usize),
    /// The deadline has passed.
    TimedOut,
}

/// Fails when the deadline has passed.
fn check_time(limits: &ReadLimits) -> Result<(), Problem> {
    if limits.is_late() { Err(Problem::TimedOut) } else { Ok(()) }
}

pub(super) const ENDS_EARLY: Problem = Problem::Damaged("its JPEG data end early");
pub(super) const INVALID: Problem = Problem::Damaged("its JPEG data are not valid");
pub(super) const LEFT_OVER: Problem =
    Problem::Damaged("its JPEG data go on after the last sample that its header calls for");

/// The samples of a frame of one component, row by row, `precision` bits each.
///
/// # Errors
/// [`Problem::Unsupported`] for several components and for unsupported coding processes.
pub(super) fn decode_grey(bytes: &[u8], limits: &ReadLimits) -> Result<Vec<u16>, Problem> {
    let frame = Frame::first(bytes)?;
    check_process(&frame)?;
    if frame.components.len() != 1 {
        return Err(Problem::Unsupported("JPEG of several colours"));
    }
    match frame.process {
        marker::LOSSLESS => lossless::decode(bytes, limits),
        marker::JPEG_LS => ls::decode(bytes, limits),
        _ => dct::decode_grey(bytes, limits),
    }
}

/// Rejects unsupported coding processes, by name (T.81, table B.1).
fn check_process(frame: &Frame) -> Result<(), Problem> {
    let unsupported = |name| Err(Problem::Unsupported(name));
    let precisions = match frame.process {
        marker::BASELINE => 8..=8,
        marker::EXTENDED | marker::PROGRESSIVE => 8..=12,
        marker::LOSSLESS | marker::JPEG_LS => 2..=16,
        0xC9..=0xCB => return unsupported("JPEG with arithmetic coding"),
        0xCD..=0xCF => return unsupported("JPEG, hierarchical, with arithmetic coding"),
        _ => return unsupported("JPEG, hierarchical"),
    };
    let is_dct = precisions.end() <= &12;
    if !precisions.contains(&frame.precision) || is_dct && !matches!(frame.precision, 8 | 12) {
        return Err(INVALID);
    }
    if frame.height == 0 {
        return unsupported("JPEG whose height follows its first scan (DNL)");
    }
    if frame.width == 0 || frame.components.is_empty() {
        return Err(INVALID);
    }
    Ok(())
}
