//! JSON of landmark formats.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::error::Category;

use super::{LandmarkError, LandmarkFormat};

/// Parses JSON of a format.
pub(super) fn from_json<'a, T: Deserialize<'a>>(
    text: &'a str,
    name: &str,
    format: LandmarkFormat,
) -> Result<T, LandmarkError> {
    serde_json::from_str(text).map_err(|error| LandmarkError::Malformed {
        name: name.to_owned(),
        format,
        reason: reason(&error),
    })
}

/// The problem of JSON, with its line and column.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let missing = text.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
    let what = match (error.classify(), missing) {
        (Category::Data, Some(field)) => format!("the field `{field}` is missing"),
        (Category::Data, None) => "a value is of another type than there should be".to_owned(),
        _ => "the JSON is damaged or ends early".to_owned(),
    };
    format!("line {}, column {}: {what}", error.line(), error.column())
}

/// The bytes of a JSON file.
pub(super) fn to_json(object: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(object)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// A value, or the default where it is `null`.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Width or height of an image in pixels, 0 where it is missing: `null`, or not a positive integer.
pub(super) fn side<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    const MOST: f64 = u32::MAX as f64;
    let side: Option<f64> = Option::deserialize(deserializer)?;
    Ok(side.filter(|side| side.fract() == 0.0 && (1.0..=MOST).contains(side)).unwrap_or(0.0) as usize)
}
