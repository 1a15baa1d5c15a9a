//! Errors of landmark schemes.

use super::Scheme;
use crate::FileError;

/// Why a scheme could not be read or used; every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// Neither a file nor the name of a bundled scheme.
    #[error(
        "{name}: neither a file nor a scheme that comes with infomark ({}); name one of these, or a landmarks.toml",
        Scheme::SHIPPED.join(", ")
    )]
    NotFound {
        /// The path as given.
        name: String,
    },
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Invalid TOML, an unknown or missing key, or a value of the wrong type.
    #[error("{name}, line {line}: {reason}; docs/schemes.md has the format")]
    Toml {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The parser's message.
        reason: String,
    },
    /// A text that is empty, too long, or has control characters.
    #[error(
        "{name}, line {line}: `{key}` is empty, too long or of several lines; write 1 to {max} characters"
    )]
    Text {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// Maximum number of characters.
        max: usize,
    },
    /// An invalid colour.
    #[error("{name}, line {line}: `colour` is `{value}`; write it as \"#rrggbb\" in hexadecimal digits")]
    Colour {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The value, truncated.
        value: String,
    },
    /// An invalid drawing, or position on it.
    #[error("{name}, line {line}: `{key}` cannot be used; write {needs}")]
    Drawing {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// What to write.
        needs: &'static str,
    },
    /// No landmark.
    #[error("{name}: no landmarks; add [[landmark]] with a name for each")]
    NoLandmarks {
        /// The path as given.
        name: String,
    },
    /// Too many entries.
    #[error(
        "{name}: {count} entries [[{key}]] are more than the {max} that a scheme may have; leave some out"
    )]
    TooMany {
        /// The path as given.
        name: String,
        /// `landmark`, `construct` or `measurement`.
        key: &'static str,
        /// Number of entries.
        count: usize,
        /// Maximum number of entries.
        max: usize,
    },
    /// A repeated name.
    #[error("{name}, line {line}: the name `{value}` is that of line {first} already; give another")]
    Repeated {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The name.
        value: String,
        /// Line of the first occurrence.
        first: usize,
    },
    /// A point or measurement that is not defined before its use.
    #[error("{name}, line {line}: `{key}` names `{value}`, which is no {what}; correct the name")]
    Unknown {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// The name.
        value: String,
        /// The required kind, such as `landmark or construct above it`.
        what: &'static str,
    },
    /// Too few or too many names.
    #[error("{name}, line {line}: `{key}` has {found} names; it takes {expected}")]
    Count {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// Number of names.
        found: usize,
        /// Number expected.
        expected: &'static str,
    },
    /// A line or a length from a point to itself.
    #[error("{name}, line {line}: `{key}` names `{value}` at both ends of a line; name two points")]
    SamePoint {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// The point.
        value: String,
    },
    /// A measurement without a kind, or with several.
    #[error(
        "{name}, line {line}: measurement `{measurement}` has {found} of the keys {kinds}; it needs exactly one"
    )]
    Kinds {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The measurement.
        measurement: String,
        /// Number of kinds.
        found: usize,
        /// The possible keys.
        kinds: String,
    },
    /// A combination of measurements in different units.
    #[error("{name}, line {line}: `{key}` combines {first} with {other}; name measurements of one unit")]
    Dimensions {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// Unit of the first measurement, such as `a length`.
        first: &'static str,
        /// Unit of another.
        other: &'static str,
    },
    /// A landmark file without any landmark of the scheme.
    #[error(
        "{file}: none of its landmarks ({found}) is in the scheme {name} ({known}); give another scheme, or convert the names"
    )]
    NothingShared {
        /// The scheme.
        name: String,
        /// The landmark file.
        file: String,
        /// The first landmarks of the scheme.
        known: String,
        /// The first landmarks of the file.
        found: String,
    },
}
