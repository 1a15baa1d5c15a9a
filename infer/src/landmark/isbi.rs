//! Text of the ISBI 2015 cephalogram challenge: a line `x,y` per landmark, then lines of one number each.

use std::fmt::Write;

use infomark_core::Point;

use super::{
    Annotated, Builder, ImageContext, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, cut,
};

const FORMAT: LandmarkFormat = LandmarkFormat::Isbi;

/// The pairs at the start of the text; in the challenge's files, anatomical classes follow, one number per line.
///
/// With names, as many pairs as names are read and the rest is ignored.
pub(super) fn parse(
    text: &str,
    name: &str,
    subject: &ImageContext<'_>,
) -> Result<LandmarkFile, LandmarkError> {
    let image =
        subject.image.ok_or_else(|| LandmarkError::WhichImage { name: name.to_owned(), format: FORMAT })?;
    let not_a_pair = |line, text: &str| LandmarkError::NotAPair {
        name: name.to_owned(),
        place: Place::Line(line),
        text: cut(text),
    };
    let mut builder = Builder::new(name, FORMAT);
    let mut found = 0;
    // The first line after the pairs.
    let mut rest = None;
    for (number, line) in (1..).zip(text.lines()) {
        if found > 0 && found == subject.names.len() {
            break;
        }
        match (pair(line), rest) {
            (Some((x, y)), None) => {
                let landmark = subject.names.get(found).cloned().unwrap_or_else(|| (found + 1).to_string());
                builder.add(image, Landmark::new(landmark, Point::new(x, y)), Place::Line(number))?;
                found += 1;
            }
            (Some(_), Some((gap, text))) => return Err(not_a_pair(gap, text)),
            (None, _) => {
                let is_class = line.trim().is_empty() || line.trim().parse::<f64>().is_ok();
                if !is_class {
                    return Err(not_a_pair(number, line));
                }
                rest = rest.or(Some((number, line)));
            }
        }
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

/// The points of `names`, in order.
pub(super) fn encode(image: &Annotated<'_>, names: &[&str], file: &str) -> Result<Vec<u8>, LandmarkError> {
    let mut text = String::new();
    for name in names {
        let landmark = image.landmarks.iter().find(|landmark| landmark.name == *name);
        let Landmark { at, .. } = landmark.ok_or_else(|| LandmarkError::MissingPoint {
            name: file.to_owned(),
            image: image.image.to_owned(),
            landmark: (*name).to_owned(),
        })?;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{},{}", at.x, at.y);
    }
    Ok(text.into_bytes())
}
