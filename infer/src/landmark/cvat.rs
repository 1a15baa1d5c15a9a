//! CVAT for images 1.1: XML of points and skeletons.

use std::fmt::Write;

use infomark_core::Point;
use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::{BytesStart, Event};

use super::{
    Annotated, Builder, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Visibility, by_name,
    decimal, image_names,
};

const FORMAT: LandmarkFormat = LandmarkFormat::Cvat;

/// Centre of the first pixel in CVAT, which draws it over the square from (0, 0) to (1, 1).
const HALF: f64 = 0.5;

/// Label of the skeletons written.
const SKELETON: &str = "landmarks";

/// A point of an image.
struct Mark {
    image: usize,
    label: String,
    at: Option<Point<f64>>,
    visibility: Visibility,
    place: Place,
}

/// An image of the file.
struct Named {
    path: String,
    size: Option<(usize, usize)>,
}

pub(super) fn parse(text: &str, name: &str) -> Result<LandmarkFile, LandmarkError> {
    let mut reader = Reader::from_str(text);
    let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
    let (mut images, mut marks): (Vec<Named>, Vec<Mark>) = (Vec::new(), Vec::new());
    let (mut root, mut depth) = (None, 0_u64);
    loop {
        let event = reader.read_event();
        let line = lines.line_of(reader.buffer_position());
        let malformed = |reason: &str| LandmarkError::Malformed {
            name: name.to_owned(),
            format: FORMAT,
            reason: format!("line {line}: {reason}"),
        };
        let event = event.map_err(|_| malformed("the XML is damaged"))?;
        let element = match &event {
            Event::Start(element) => {
                depth += 1;
                element
            }
            Event::Empty(element) => element,
            Event::End(_) => {
                // The reader rejects an end tag without a start tag.
                depth = depth.saturating_sub(1);
                continue;
            }
            Event::Eof if depth > 0 => return Err(malformed("the XML ends early")),
            Event::Eof => break,
            _ => continue,
        };
        let attribute =
            |key: &str| attribute(element, key).map_err(|()| malformed("an attribute is damaged"));
        let needed = |key: &str| {
            attribute(key)?.ok_or_else(|| malformed(&format!("an element has no attribute `{key}`")))
        };
        if root.is_none() {
            root = Some(element.name().as_ref().to_vec());
            if element.name().as_ref() != b"annotations" {
                return Err(unknown(name));
            }
        }
        match element.name().as_ref() {
            b"track" => return Err(malformed("tracks of a video; export it as CVAT for images 1.1")),
            b"image" => {
                let side = |key| attribute(key).map(|value| value.and_then(|value| value.parse().ok()));
                let size = side("width")?.zip(side("height")?);
                images.push(Named { path: needed("name")?, size });
            }
            b"points" if !images.is_empty() => {
                let is_set = |key| attribute(key).map(|value| value.as_deref() == Some("1"));
                let at = if is_set("outside")? {
                    None
                } else {
                    Some(point(&needed("points")?).map_err(malformed)?)
                };
                marks.push(Mark {
                    image: images.len() - 1,
                    label: needed("label")?,
                    at,
                    visibility: if is_set("occluded")? { Visibility::Occluded } else { Visibility::Visible },
                    place: Place::Line(line),
                });
            }
            _ => {}
        }
    }
    if root.is_none() {
        return Err(unknown(name));
    }
    build(name, &images, &marks)
}

fn build(name: &str, images: &[Named], marks: &[Mark]) -> Result<LandmarkFile, LandmarkError> {
    let names = image_names(images.iter().map(|image| image.path.as_str()));
    let called = |path: &str| names.get(path).copied().unwrap_or_default().to_owned();
    let mut builder = Builder::new(name, FORMAT);
    for Mark { image, label, at, visibility, place } in marks {
        let Some(Named { path, size }) = images.get(*image) else { continue };
        match *at {
            Some(at) => {
                let landmark = Landmark { visibility: *visibility, ..Landmark::new(label, at) };
                builder.add(&called(path), landmark, *place)?;
            }
            None => builder.add_absent(&called(path), label, *place)?,
        }
        if let Some((width, height)) = *size {
            builder.set_size(&called(path), width, height);
        }
    }
    builder.finish()
}

fn unknown(name: &str) -> LandmarkError {
    LandmarkError::UnknownFormat {
        name: name.to_owned(),
        problem: "XML other than CVAT's annotations of images",
    }
}

/// The value of an attribute.
fn attribute(element: &BytesStart<'_>, key: &str) -> Result<Option<String>, ()> {
    let Some(attribute) = element.try_get_attribute(key).map_err(|_| ())? else {
        return Ok(None);
    };
    attribute.unescape_value().map(|value| Some(value.into_owned())).map_err(|_| ())
}

/// The only point of a shape, in pixels from the centre of the first.
fn point(text: &str) -> Result<Point<f64>, &'static str> {
    if text.contains(';') {
        return Err("one shape has several points; give each landmark a label of its own, or use a skeleton");
    }
    let number = |text: &str| text.trim().parse::<f64>().ok();
    let (x, y) =
        text.split_once(',').and_then(|(x, y)| Some((number(x)?, number(y)?))).ok_or("no point x,y")?;
    Ok(Point::new(decimal(x - HALF), decimal(y - HALF)))
}

/// Incremental line counter for ascending positions in a text.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn line_of(&mut self, at: u64) -> u64 {
        let at = usize::try_from(at).unwrap_or(usize::MAX).clamp(self.at, self.text.len());
        let passed = self.text.get(self.at..at).unwrap_or_default();
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.at = at;
        self.line
    }
}

/// Writes a skeleton per image, whose points have the landmarks' names.
pub(super) fn encode(images: &[Annotated<'_>], names: &[&str], file: &str) -> Result<Vec<u8>, LandmarkError> {
    let mut xml =
        String::from("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<annotations>\n  <version>1.1</version>\n");
    for (id, Annotated { image, size, landmarks, absent, .. }) in images.iter().enumerate() {
        let (width, height) = *size;
        if width == 0 || height == 0 {
            return Err(LandmarkError::NoSize {
                name: file.to_owned(),
                image: (*image).to_owned(),
                format: FORMAT,
            });
        }
        // Writing to a string cannot fail.
        let name = escape(*image);
        let _ = writeln!(xml, "  <image id=\"{id}\" name=\"{name}\" width=\"{width}\" height=\"{height}\">");
        let _ = writeln!(xml, "    <skeleton label=\"{SKELETON}\" source=\"manual\" z_order=\"0\">");
        let by_name = by_name(landmarks);
        for name in names {
            let landmark = by_name.get(*name).copied();
            let (outside, at) = match landmark {
                Some(landmark) => (0, landmark.at),
                None if absent.iter().any(|absent| absent == name) => (1, Point::new(-HALF, -HALF)),
                None => continue,
            };
            let occluded = landmark.is_some_and(|landmark| landmark.visibility == Visibility::Occluded);
            let _ = writeln!(
                xml,
                "      <points label=\"{}\" source=\"manual\" outside=\"{outside}\" occluded=\"{}\" points=\"{},{}\"/>",
                escape(*name),
                u8::from(occluded),
                at.x + HALF,
                at.y + HALF
            );
        }
        xml.push_str("    </skeleton>\n  </image>\n");
    }
    xml.push_str("</annotations>\n");
    Ok(xml.into_bytes())
}
