//! Text of the ISBI 2015 cephalogram challenge: a line `x,y` a landmark, then lines of other things.

use std::fmt::Write;

use infomark_core::Point;

use super::{Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Subject};

const FORMAT: LandmarkFormat = LandmarkFormat::Isbi;

/// The pairs at the start of the text; the challenge's files go on with classes of the anatomy, one number a line.
pub(super) fn parse(text: &str, name: &str, subject: &Subject<'_>) -> Result<LandmarkFile, LandmarkError> {
    let image =
        subject.image.ok_or_else(|| LandmarkError::WhichImage { name: name.to_owned(), format: FORMAT })?;
    let mut builder = Builder::new(name, FORMAT);
    let lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
    let pairs = lines.map_while(|(number, line)| Some((Place::Line(number), pair(line)?)));
    let mut found = 0;
    for (place, (x, y)) in pairs {
        let landmark = match subject.names.get(found) {
            Some(landmark) => landmark.clone(),
            None if subject.names.is_empty() => (found + 1).to_string(),
            None => break,
        };
        builder.add(image, Landmark::new(landmark, Point::new(x, y)), place)?;
        found += 1;
    }
    if found < subject.names.len() {
        let expected = subject.names.len();
        return Err(LandmarkError::TooFewPoints { name: name.to_owned(), found, expected });
    }
    builder.finish()
}

/// The two numbers of a line.
pub(super) fn pair(line: &str) -> Option<(f64, f64)> {
    let (x, y) = line.split_once(',')?;
    Some((x.trim().parse().ok()?, y.trim().parse().ok()?))
}

pub(super) fn encode(image: &Annotated<'_>) -> Vec<u8> {
    let mut text = String::new();
    for Landmark { at, .. } in image.landmarks {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{},{}", at.x, at.y);
    }
    text.into_bytes()
}
