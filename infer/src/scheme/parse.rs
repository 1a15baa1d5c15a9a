//! Parsing of schemes in TOML, with the line of every error.

use std::collections::HashMap;

use serde::Deserialize;
use toml::Spanned;

use super::drawing::is_path;
use super::{
    Construct, Kind, MeasurementDefinition, Scheme, SchemeAbout, SchemeDrawing, SchemeError, SchemeLandmark,
};
use crate::causes::said;
use crate::landmark::{clean_name, cut};

/// Maximum number of landmarks, of constructs and of measurements.
const MAX_ENTRIES: usize = 500;
/// Maximum number of terms of a sum.
const MAX_TERMS: usize = 20;
/// Maximum length of a name or abbreviation, in characters.
const MAX_NAME: usize = 80;
/// Maximum length of other texts, in characters.
const MAX_TEXT: usize = 1000;
/// Maximum width and height of a drawing.
const MAX_DRAWING: f64 = 10_000.0;

type Text = Spanned<String>;
type Names = Spanned<Vec<Text>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Text,
    anatomy: Text,
    source: Option<Text>,
    licence: Option<Text>,
    facing: Option<Names>,
    drawing: Option<DrawingEntry>,
    #[serde(default)]
    landmark: Vec<LandmarkEntry>,
    #[serde(default)]
    construct: Vec<ConstructEntry>,
    #[serde(default)]
    measurement: Vec<MeasurementEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DrawingEntry {
    size: Spanned<[f64; 2]>,
    outlines: Vec<Text>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LandmarkEntry {
    name: Text,
    full_name: Option<Text>,
    abbreviation: Option<Text>,
    definition: Option<Text>,
    source: Option<Text>,
    group: Option<Text>,
    colour: Option<Text>,
    drawn_at: Option<Spanned<[f64; 2]>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ConstructEntry {
    name: Text,
    midpoint: Names,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasurementEntry {
    name: Text,
    full_name: Option<Text>,
    definition: Option<Text>,
    source: Option<Text>,
    length: Option<Names>,
    angle: Option<Names>,
    angle_of_lines: Option<Names>,
    distance_to_line: Option<Names>,
    projected_length: Option<Names>,
    horizontal: Option<Names>,
    vertical: Option<Names>,
    sum: Option<Names>,
    difference: Option<Names>,
    ratio: Option<Names>,
}

/// Physical dimension of a measurement; only values of equal dimension can be added.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Dimension {
    Length,
    Angle,
    Ratio,
}

impl Dimension {
    fn words(self) -> &'static str {
        match self {
            Dimension::Length => "a length",
            Dimension::Angle => "an angle",
            Dimension::Ratio => "a ratio",
        }
    }
}

pub(super) fn parse(text: &str, name: String) -> Result<Scheme, SchemeError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let file: File = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        SchemeError::Toml { name: name.clone(), line: line_of(text, at), reason: said(error.message()) }
    })?;
    Parser { text, name: &name }.scheme(file)
}

/// The line of a byte offset in a text, from 1.
fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|&byte| byte == b'\n').count()
}

struct Parser<'a> {
    text: &'a str,
    name: &'a str,
}

/// Names defined so far: their indices, and their lines for messages.
#[derive(Default)]
struct Known {
    places: HashMap<String, usize>,
    lines: Vec<usize>,
}

impl Parser<'_> {
    fn scheme(&self, file: File) -> Result<Scheme, SchemeError> {
        let File { title, anatomy, source, licence, facing, drawing, landmark, construct, measurement } =
            file;
        if landmark.is_empty() {
            return Err(SchemeError::NoLandmarks { name: self.name.to_owned() });
        }
        let counts = [
            ("landmark", landmark.len()),
            ("construct", construct.len()),
            ("measurement", measurement.len()),
        ];
        if let Some(&(key, count)) = counts.iter().find(|(_, count)| *count > MAX_ENTRIES) {
            return Err(SchemeError::TooMany { name: self.name.to_owned(), key, count, max: MAX_ENTRIES });
        }
        let about = SchemeAbout {
            title: self.words(&title, "title")?,
            anatomy: self.words(&anatomy, "anatomy")?,
            source: self.optional(source.as_ref(), "source")?,
            licence: self.optional(licence.as_ref(), "licence")?,
        };
        let drawing = drawing.map(|entry| self.drawing(&entry)).transpose()?;
        let size = drawing.as_ref().map(|drawing| drawing.size);
        let mut points = Known::default();
        let landmarks = landmark.iter().map(|entry| self.landmark(entry, size, &mut points));
        let landmarks = landmarks.collect::<Result<Vec<_>, _>>()?;
        let constructs = construct.iter().map(|entry| self.construct(entry, &mut points));
        let constructs = constructs.collect::<Result<Vec<_>, _>>()?;
        let facing = match &facing {
            Some(names) => {
                Some(self.segment(&self.points(names, "facing", &points, "2 points")?, names, "facing")?)
            }
            None => None,
        };
        let (mut known, mut dimensions, mut measurements) = (Known::default(), Vec::new(), Vec::new());
        for entry in &measurement {
            let (definition, dimension) = self.measurement(entry, &points, &mut known, &dimensions)?;
            dimensions.push(dimension);
            measurements.push(definition);
        }
        Ok(Scheme { name: self.name.to_owned(), about, drawing, landmarks, constructs, facing, measurements })
    }

    fn drawing(&self, entry: &DrawingEntry) -> Result<SchemeDrawing, SchemeError> {
        let size = *entry.size.get_ref();
        if !size.iter().all(|side| (1.0..=MAX_DRAWING).contains(side)) {
            return Err(self.not_drawn(&entry.size, "size", "two numbers from 1 to 10,000"));
        }
        let outline = |text: &Text| {
            let path = self.words(text, "outlines")?;
            if is_path(&path) {
                Ok(path)
            } else {
                Err(self.not_drawn(text, "outlines", "SVG path data, such as \"M 10 20 L 30 40\""))
            }
        };
        let outlines = entry.outlines.iter().map(outline);
        Ok(SchemeDrawing { size, outlines: outlines.collect::<Result<_, _>>()? })
    }

    fn not_drawn<T>(&self, value: &Spanned<T>, key: &'static str, needs: &'static str) -> SchemeError {
        SchemeError::Drawing { name: self.name.to_owned(), line: self.line(value), key, needs }
    }

    fn landmark(
        &self,
        entry: &LandmarkEntry,
        drawing: Option<[f64; 2]>,
        points: &mut Known,
    ) -> Result<SchemeLandmark, SchemeError> {
        let drawn_at = match &entry.drawn_at {
            None => None,
            Some(at) => {
                let [width, height] =
                    drawing.ok_or_else(|| self.not_drawn(at, "drawn_at", "a table [drawing] as well"))?;
                let [x, y] = *at.get_ref();
                if !((0.0..=width).contains(&x) && (0.0..=height).contains(&y)) {
                    return Err(self.not_drawn(at, "drawn_at", "a position within the size of the drawing"));
                }
                Some([x, y])
            }
        };
        Ok(SchemeLandmark {
            name: self.new_name(&entry.name, points)?,
            full_name: self.optional(entry.full_name.as_ref(), "full_name")?,
            abbreviation: match &entry.abbreviation {
                Some(text) => Some(self.limited(text, "abbreviation", MAX_NAME)?),
                None => None,
            },
            definition: self.optional(entry.definition.as_ref(), "definition")?,
            source: self.optional(entry.source.as_ref(), "source")?,
            group: self.optional(entry.group.as_ref(), "group")?,
            colour: match &entry.colour {
                Some(text) => Some(self.colour(text)?),
                None => None,
            },
            drawn_at,
        })
    }

    fn construct(&self, entry: &ConstructEntry, points: &mut Known) -> Result<Construct, SchemeError> {
        let of = self.points(&entry.midpoint, "midpoint", points, "2 points")?;
        let midpoint = self.segment(&of, &entry.midpoint, "midpoint")?;
        Ok(Construct { name: self.new_name(&entry.name, points)?, midpoint })
    }

    fn measurement(
        &self,
        entry: &MeasurementEntry,
        points: &Known,
        known: &mut Known,
        dimensions: &[Dimension],
    ) -> Result<(MeasurementDefinition, Dimension), SchemeError> {
        let kinds = [
            ("length", &entry.length),
            ("angle", &entry.angle),
            ("angle_of_lines", &entry.angle_of_lines),
            ("distance_to_line", &entry.distance_to_line),
            ("projected_length", &entry.projected_length),
            ("horizontal", &entry.horizontal),
            ("vertical", &entry.vertical),
            ("sum", &entry.sum),
            ("difference", &entry.difference),
            ("ratio", &entry.ratio),
        ];
        let mut given = kinds.iter().filter_map(|(key, names)| Some((*key, names.as_ref()?)));
        let (Some((key, names)), None) = (given.next(), given.next()) else {
            return Err(SchemeError::Kinds {
                name: self.name.to_owned(),
                line: self.line(&entry.name),
                measurement: cut(entry.name.get_ref()),
                found: kinds.iter().filter(|(_, names)| names.is_some()).count(),
                kinds: kinds.map(|(key, _)| key).join(", "),
            });
        };
        let (kind, dimension) = match key {
            "sum" | "difference" | "ratio" => self.combined(key, names, known, dimensions)?,
            _ => self.of_points(key, names, points)?,
        };
        let definition = MeasurementDefinition {
            name: self.new_name(&entry.name, known)?,
            full_name: self.optional(entry.full_name.as_ref(), "full_name")?,
            definition: self.optional(entry.definition.as_ref(), "definition")?,
            source: self.optional(entry.source.as_ref(), "source")?,
            kind,
        };
        Ok((definition, dimension))
    }

    /// A kind of measurement from points.
    fn of_points(
        &self,
        key: &'static str,
        names: &Names,
        points: &Known,
    ) -> Result<(Kind, Dimension), SchemeError> {
        let expected = match key {
            "angle" => "3 points, the vertex in the middle",
            "distance_to_line" => "3 points, those of the line at the end",
            "angle_of_lines" | "projected_length" => "4 points, two for each line",
            _ => "2 points",
        };
        let of = self.points(names, key, points, expected)?;
        let wrong = || self.count(names, key, expected);
        let ends = |ends: &[usize]| self.segment(ends, names, key);
        Ok(match (key, of.as_slice()) {
            ("length", _) => (Kind::Length(ends(&of)?), Dimension::Length),
            ("horizontal", _) => (Kind::Horizontal(ends(&of)?), Dimension::Length),
            ("vertical", _) => (Kind::Vertical(ends(&of)?), Dimension::Length),
            ("angle", &[a, vertex, b]) => {
                ends(&[a, vertex])?;
                ends(&[vertex, b])?;
                (Kind::Angle([a, vertex, b]), Dimension::Angle)
            }
            ("distance_to_line", &[point, a, b]) => {
                ends(&[a, b])?;
                (Kind::DistanceToLine([point, a, b]), Dimension::Length)
            }
            ("angle_of_lines", &[a, b, c, d]) => {
                ends(&[a, b])?;
                ends(&[c, d])?;
                (Kind::AngleOfLines([a, b, c, d]), Dimension::Angle)
            }
            ("projected_length", &[p, q, a, b]) => {
                ends(&[p, q])?;
                ends(&[a, b])?;
                (Kind::ProjectedLength([p, q, a, b]), Dimension::Length)
            }
            _ => return Err(wrong()),
        })
    }

    /// A kind of measurement from other measurements.
    fn combined(
        &self,
        key: &'static str,
        names: &Names,
        known: &Known,
        dimensions: &[Dimension],
    ) -> Result<(Kind, Dimension), SchemeError> {
        let expected = if key == "sum" { "2 to 20 measurements" } else { "2 measurements" };
        if names.get_ref().len() > MAX_TERMS {
            return Err(self.count(names, key, expected));
        }
        let terms = self.places(names, key, known, "measurement above it")?;
        let of = |term: &usize| dimensions.get(*term).copied().unwrap_or(Dimension::Ratio);
        let Some(first) = terms.first().map(of) else { return Err(self.count(names, key, expected)) };
        if let Some(other) = terms.iter().map(of).find(|other| *other != first) {
            return Err(SchemeError::Dimensions {
                name: self.name.to_owned(),
                line: self.line(names),
                key,
                first: first.words(),
                other: other.words(),
            });
        }
        match (key, terms.as_slice()) {
            ("sum", [_, _, ..]) => Ok((Kind::Sum(terms), first)),
            ("difference", &[a, b]) => Ok((Kind::Difference([a, b]), first)),
            ("ratio", &[a, b]) => Ok((Kind::Ratio([a, b]), Dimension::Ratio)),
            _ => Err(self.count(names, key, expected)),
        }
    }

    fn line<T>(&self, value: &Spanned<T>) -> usize {
        line_of(self.text, value.span().start)
    }

    fn count(&self, names: &Names, key: &'static str, expected: &'static str) -> SchemeError {
        let (name, line, found) = (self.name.to_owned(), self.line(names), names.get_ref().len());
        SchemeError::Count { name, line, key, found, expected }
    }

    /// Indices of the points in a key.
    fn points(
        &self,
        names: &Names,
        key: &'static str,
        points: &Known,
        expected: &'static str,
    ) -> Result<Vec<usize>, SchemeError> {
        if !(2..=4).contains(&names.get_ref().len()) {
            return Err(self.count(names, key, expected));
        }
        self.places(names, key, points, "landmark or construct above it")
    }

    fn places(
        &self,
        names: &Names,
        key: &'static str,
        known: &Known,
        what: &'static str,
    ) -> Result<Vec<usize>, SchemeError> {
        let place = |text: &Text| {
            known.places.get(&clean_name(text.get_ref())).copied().ok_or_else(|| SchemeError::Unknown {
                name: self.name.to_owned(),
                line: self.line(text),
                key,
                value: cut(text.get_ref()),
                what,
            })
        };
        names.get_ref().iter().map(place).collect()
    }

    /// Two different points.
    fn segment(&self, of: &[usize], names: &Names, key: &'static str) -> Result<[usize; 2], SchemeError> {
        match *of {
            [a, b] if a == b => Err(SchemeError::SamePoint {
                name: self.name.to_owned(),
                line: self.line(names),
                key,
                value: self.repeated(names),
            }),
            [a, b] => Ok([a, b]),
            _ => Err(self.count(names, key, "2 points")),
        }
    }

    /// The first repeated name of a list, for messages.
    fn repeated(&self, names: &Names) -> String {
        let cleaned: Vec<String> = names.get_ref().iter().map(|text| clean_name(text.get_ref())).collect();
        let twice = cleaned
            .iter()
            .enumerate()
            .find(|(index, name)| cleaned.iter().skip(index + 1).any(|n| n == *name));
        twice.map(|(_, name)| cut(name)).unwrap_or_default()
    }

    /// A name that is not in use yet.
    fn new_name(&self, text: &Text, known: &mut Known) -> Result<String, SchemeError> {
        let name = clean_name(&self.limited(text, "name", MAX_NAME)?);
        let line = self.line(text);
        if let Some(first) = known.places.get(&name).and_then(|&place| known.lines.get(place)) {
            return Err(SchemeError::Repeated {
                name: self.name.to_owned(),
                line,
                value: name,
                first: *first,
            });
        }
        known.places.insert(name.clone(), known.lines.len());
        known.lines.push(line);
        Ok(name)
    }

    fn words(&self, text: &Text, key: &'static str) -> Result<String, SchemeError> {
        self.limited(text, key, MAX_TEXT)
    }

    fn optional(&self, text: Option<&Text>, key: &'static str) -> Result<Option<String>, SchemeError> {
        text.map(|text| self.words(text, key)).transpose()
    }

    fn limited(&self, text: &Text, key: &'static str, max: usize) -> Result<String, SchemeError> {
        let trimmed = text.get_ref().trim();
        if trimmed.is_empty() || trimmed.chars().count() > max || trimmed.chars().any(char::is_control) {
            return Err(SchemeError::Text { name: self.name.to_owned(), line: self.line(text), key, max });
        }
        Ok(trimmed.to_owned())
    }

    fn colour(&self, text: &Text) -> Result<[u8; 3], SchemeError> {
        let value = text.get_ref().trim();
        let part = |index: usize| {
            let digits =
                value.strip_prefix('#').filter(|digits| digits.len() == 6)?.get(2 * index..2 * index + 2)?;
            if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return None;
            }
            u8::from_str_radix(digits, 16).ok()
        };
        match (part(0), part(1), part(2)) {
            (Some(red), Some(green), Some(blue)) => Ok([red, green, blue]),
            _ => Err(SchemeError::Colour {
                name: self.name.to_owned(),
                line: self.line(text),
                value: cut(value),
            }),
        }
    }
}
