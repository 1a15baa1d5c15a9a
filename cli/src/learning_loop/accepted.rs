//! Points of corrected images that an earlier run proposed: a person accepted them unmoved.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Context, Result};
use infomark_core::Point;

use crate::files;
use crate::output::shown;

/// What the table calls points that a person placed or moved, and those that were accepted.
pub(super) const CORRECTED: &str = "corrected";
pub(super) const ACCEPTED: &str = "accepted";

/// Largest difference of a coordinate that writing a proposal to another format makes, in pixels.
const ROUNDING_PX: f64 = 1e-3;

/// Proposals of the table of an earlier run, and points that were accepted by then, by image and landmark.
pub(super) struct Proposals(HashMap<(String, String), Point<f64>>);

impl Proposals {
    /// Those of a table; none where it is not there.
    pub(super) fn of(table: &Path) -> Result<Self> {
        let Some(bytes) = files::bytes_if_there(table)? else { return Ok(Self(HashMap::new())) };
        let read = || {
            let mut reader = csv::Reader::from_reader(bytes.as_slice());
            let head = reader.headers()?.clone();
            let mut proposals = HashMap::new();
            for row in reader.records() {
                let row = row?;
                let field = |name: &str| {
                    let place =
                        head.iter().position(|column| column == name).and_then(|place| row.get(place));
                    place.with_context(|| format!("it has no column {name}"))
                };
                if field("source")? != CORRECTED {
                    let at = Point::new(field("x")?.parse()?, field("y")?.parse()?);
                    proposals.insert((field("image")?.to_owned(), field("landmark")?.to_owned()), at);
                }
            }
            anyhow::Ok(proposals)
        };
        let read = read().with_context(|| {
            format!("{}: not the table of an earlier run; move it away, or give another --out", shown(table))
        });
        Ok(Self(read?))
    }

    /// Whether a point is where it was proposed.
    pub(super) fn has(&self, image: &str, landmark: &str, at: Point<f64>) -> bool {
        self.0.get(&(image.to_owned(), landmark.to_owned())).is_some_and(|proposed| {
            (proposed.x - at.x).abs() <= ROUNDING_PX && (proposed.y - at.y).abs() <= ROUNDING_PX
        })
    }
}
