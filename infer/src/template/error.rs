//! Why a template file can't be read or written.

use crate::FileError;
use crate::description::Channels;

/// Version of the layout.
pub(super) const LAYOUT: u32 = 1;
/// Largest file that is read, in bytes.
pub(super) const MAX_BYTES: u64 = 512 << 20;
/// Longest header, in bytes.
pub(super) const MAX_HEADER: usize = 1 << 20;

/// Why a template file could not be read or written; every message names the file and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateFileError {
    /// A file that can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It does not begin as a template file does.
    #[error("{name}: not a template file; make one with `infomark template`")]
    NotATemplate {
        /// The path as given.
        name: String,
    },
    /// The layout is of another version.
    #[error(
        "{name}: layout {found}, and this version reads {LAYOUT}; update infomark or make the template again"
    )]
    Layout {
        /// The path as given.
        name: String,
        /// The version found.
        found: u32,
    },
    /// The file was cut or changed since it was written.
    #[error("{name}: damaged, its hash is another; copy it again or make the template again")]
    Damaged {
        /// The path as given.
        name: String,
    },
    /// The hash is right and the content is not.
    #[error("{name}: {problem}; make the template again with this version")]
    Content {
        /// The path as given.
        name: String,
        /// What is wrong.
        problem: TemplateContentError,
    },
}

/// What is wrong with the content of a template file.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateContentError {
    /// No header, or one that is cut off.
    #[error("its header is missing or cut off")]
    NoHeader,
    /// A header longer than any that is written.
    #[error("a header of {length} bytes, at most {MAX_HEADER} are read")]
    HeaderLength {
        /// Its length.
        length: usize,
    },
    /// A header that is no JSON of this layout.
    #[error("its header: {reason}")]
    Header {
        /// What the parser said.
        reason: String,
    },
    /// Landmarks without names, or two of one name.
    #[error("its landmarks have no names of their own")]
    Names,
    /// Another number of rings than of landmarks.
    #[error("its landmarks and the rings around them differ in number")]
    Rings,
    /// Levels or channels that no encoder has.
    #[error("{levels:?} levels of {channels:?} channels")]
    Levels {
        /// Levels of landmarks, rings and key points.
        levels: [usize; 3],
        /// Channels by the header.
        channels: Channels,
    },
    /// Feature maps whose sizes are not those of a model input.
    #[error("maps of no model input's size")]
    Maps,
    /// More points than a file holds.
    #[error("it has more points than a file holds")]
    Points,
    /// Another number of bytes than the header states.
    #[error("{found} bytes of numbers where its header states {expected}")]
    Bytes {
        /// Bytes of the body.
        found: usize,
        /// Bytes by the header.
        expected: u64,
    },
    /// A body that is cut off.
    #[error("it ends too early")]
    CutOff,
    /// A coordinate that is infinite or NaN.
    #[error("a point is not finite")]
    NotFinite,
    /// A feature longer than 1, or NaN.
    #[error("a feature has the length {length}")]
    FeatureLength {
        /// Its length.
        length: f32,
    },
}
