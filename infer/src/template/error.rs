//! Errors of template files.

use crate::FileError;
use crate::description::Channels;

/// Version of the format.
pub(super) const LAYOUT: u32 = 1;
/// Maximum size of a file, in bytes.
pub(super) const MAX_BYTES: u64 = 512 << 20;
/// Maximum length of the header, in bytes.
pub(super) const MAX_HEADER: usize = 1 << 20;

/// Why a template file could not be read or written; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateFileError {
    /// A file that cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The file does not begin like a template file.
    #[error("{name}: not a template file; make one with `infomark template`")]
    NotATemplate {
        /// The path as given.
        name: String,
    },
    /// The format has another version.
    #[error(
        "{name}: layout {found}, and this version reads {LAYOUT}; update infomark or make the template again"
    )]
    Layout {
        /// The path as given.
        name: String,
        /// The version found.
        found: u32,
    },
    /// The file is truncated or changed.
    #[error("{name}: damaged, its hash is another; copy it again or make the template again")]
    Damaged {
        /// The path as given.
        name: String,
    },
    /// The hash is right, but the content is invalid.
    #[error("{name}: {problem}; make the template again with this version")]
    Content {
        /// The path as given.
        name: String,
        /// The problem.
        problem: TemplateContentError,
    },
}

/// Problem of the content of a template file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateContentError {
    /// The header is missing or truncated.
    #[error("its header is missing or cut off")]
    NoHeader,
    /// The header is too long.
    #[error("a header of {length} bytes, at most {MAX_HEADER} are read")]
    HeaderLength {
        /// Length in bytes.
        length: usize,
    },
    /// The header is not valid JSON of this format.
    #[error("its header: {reason}")]
    Header {
        /// The parser's message.
        reason: String,
    },
    /// Landmarks without names, or with repeated ones.
    #[error("its landmarks have no names of their own")]
    Names,
    /// The numbers of rings and landmarks differ.
    #[error("its landmarks and the rings around them differ in number")]
    Rings,
    /// Invalid levels or channels.
    #[error("{levels:?} levels of {channels:?} channels")]
    Levels {
        /// Levels of landmarks, rings and keypoints.
        levels: [usize; 3],
        /// Channels in the header.
        channels: Channels,
    },
    /// Feature maps whose sizes do not match a model input.
    #[error("maps of no model input's size")]
    Maps,
    /// Too many points.
    #[error("it has more points than a file holds")]
    Points,
    /// The number of bytes is not the one stated in the header.
    #[error("{found} bytes of numbers where its header states {expected}")]
    Bytes {
        /// Bytes of the body.
        found: usize,
        /// Bytes in the header.
        expected: u64,
    },
    /// The body is truncated.
    #[error("it ends too early")]
    CutOff,
    /// A coordinate that is infinite or NaN.
    #[error("a point is not finite")]
    NotFinite,
    /// A feature longer than 1, or NaN.
    #[error("a feature has the length {length}")]
    FeatureLength {
        /// Length of the feature.
        length: f32,
    },
}
