//! What can be wrong with a scheme.

use super::Scheme;
use crate::FileError;

/// Why a scheme could not be read or used; every message names the file and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SchemeError {
    /// Neither a file nor the name of a scheme that comes with the crate.
    #[error(
        "{name}: neither a file nor a scheme that comes with infomark ({}); name one of these, or a landmarks.toml",
        Scheme::SHIPPED.join(", ")
    )]
    NotFound {
        /// The path as given.
        name: String,
    },
    /// The file could not be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// Not TOML, a key that is unknown or missing, or a value of another type.
    #[error("{name}, line {line}: {reason}; docs/schemes.md has the format")]
    Toml {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// What the parser said, on one line.
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
        /// Most characters.
        max: usize,
    },
    /// A colour in another notation.
    #[error("{name}, line {line}: `colour` is `{value}`; write it as \"#rrggbb\" in hexadecimal digits")]
    Colour {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The value, cut to its first part.
        value: String,
    },
    /// No landmark.
    #[error("{name}: no landmarks; add [[landmark]] with a name for each")]
    NoLandmarks {
        /// The path as given.
        name: String,
    },
    /// More entries than a scheme may have.
    #[error(
        "{name}: {count} entries [[{key}]] are more than the {max} that a scheme may have; leave some out"
    )]
    TooMany {
        /// The path as given.
        name: String,
        /// `landmark`, `construct` or `measurement`.
        key: &'static str,
        /// Entries found.
        count: usize,
        /// Most entries.
        max: usize,
    },
    /// A name given twice.
    #[error("{name}, line {line}: the name `{value}` is that of line {first} already; give another")]
    Repeated {
        /// The path as given.
        name: String,
        /// Line, from 1.
        line: usize,
        /// The name.
        value: String,
        /// Line where it was given first.
        first: usize,
    },
    /// A point or measurement that is not defined before.
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
        /// What it has to be, such as `landmark or construct above it`.
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
        /// Names found.
        found: usize,
        /// What it takes.
        expected: &'static str,
    },
    /// A line or a length between a point and itself.
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
    /// A measurement of no kind or of several.
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
        /// Keys found.
        found: usize,
        /// The keys that there are.
        kinds: String,
    },
    /// Measurements of different units that are combined.
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
    /// A landmark file of other landmarks.
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
