//! Template files.
//!
//! All numbers are little-endian:
//!
//! | bytes | what |
//! | --- | --- |
//! | 8 | `infomark` |
//! | 4 | version of the format, 1 |
//! | 4 | length of the header |
//! | header | JSON, [`Header`] |
//! | body | 32-bit floats, [`Template::body`] |
//! | 32 | SHA-256 of all bytes before |
//!
//! The hash is checked first, and every length against the header before memory is allocated.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use infomark_core::Point;
use serde::{Deserialize, Serialize};

use super::Template;
use super::error::{LAYOUT, MAX_BYTES, MAX_HEADER, TemplateContentError, TemplateFileError};
use crate::back::{Back, Level};
use crate::causes::said;
use crate::description::Channels;
use crate::dropped::no_looks;
use crate::lengths::Lengths;
use crate::neighbours::{Neighbour, Neighbours};
use crate::prior::Anchors;
use crate::{FileError, Rect, hash, read_file, sha256, write_file};

/// Magic bytes at the start of template files.
const MAGIC: &[u8; 8] = b"infomark";
/// Length of the part before the header, in bytes.
const PREFIX: usize = MAGIC.len() + 8;
/// Length of the hash at the end, in bytes.
const SEAL: usize = 32;
/// Maximum of all counts in a header.
const MOST: usize = 1 << 20;
/// Tolerance of a feature's length above 1, for rounding.
const TOLERANCE: f32 = 1e-3;

/// Header: counts of the body, and origin of the template.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// Version of infomark that wrote it.
    version: String,
    /// File name of the annotated image.
    image: String,
    /// SHA-256 of the encoder's file.
    model_sha256: String,
    landmarks: Vec<Mark>,
    levels: usize,
    channels: Channels,
    /// Test-time augmentation of earlier versions: accepted where it is off.
    #[serde(default, rename = "looks", skip_serializing, deserialize_with = "no_looks")]
    _looks: (),
    /// Number of unlabelled images averaged into the features.
    #[serde(default, skip_serializing_if = "is_none")]
    refined_on: usize,
    /// Number of points on the ring around each landmark.
    ring: Vec<usize>,
    ring_levels: usize,
    anchors: usize,
    anchor_levels: usize,
    /// The template's feature maps for cycle consistency, if any.
    back: Option<Maps>,
}

/// Omits the count of unrefined templates, so that older versions can read them.
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Feature maps of the whole template.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Maps {
    /// Width, height and stride of each.
    levels: Vec<[usize; 3]>,
    /// Left, top, width and height of the image in the model input.
    content: [usize; 4],
}

impl Maps {
    fn of(back: &Back) -> Self {
        let Rect { x, y, width, height } = back.content;
        Self {
            levels: back.levels.iter().map(|level| [level.width, level.height, level.stride]).collect(),
            content: [x, y, width, height],
        }
    }

    /// Number of elements of all maps, which are those of the coarsest levels; `None` where a size exceeds all model inputs or there are more
    /// maps than levels.
    fn elements(&self, lengths: &Lengths) -> Option<u64> {
        let content = self.content.into_iter().all(|value| value <= MOST);
        let levels = self.levels.iter().flatten().all(|value| (1..=MOST).contains(value));
        if !content || !levels || self.levels.len() > lengths.levels() {
            return None;
        }
        let cells: Vec<usize> = self.levels.iter().map(|[width, height, _]| width * height).collect();
        let all = cells.iter().try_fold(0_usize, |sum, &cells| sum.checked_add(cells));
        all.filter(|all| *all <= MOST)?;
        let lengths = lengths.coarsest(cells.len());
        Some(cells.iter().zip(&lengths.0).map(|(&cells, &length)| cells as u64 * length as u64).sum())
    }
}

/// A landmark in pixels of the annotated image.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    name: String,
    x: f64,
    y: f64,
}

impl Template {
    /// Encodes the template as a file: the same bytes for the same template.
    pub fn to_bytes(&self) -> Vec<u8> {
        let header = Header {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            // Without its folder, which is private.
            image: Path::new(&self.image)
                .file_name()
                .map_or_else(|| self.image.clone(), |name| name.to_string_lossy().into_owned()),
            model_sha256: self.model.to_string(),
            landmarks: (self.names.iter().zip(&self.points))
                .map(|(name, at)| Mark { name: name.clone(), x: at.x, y: at.y })
                .collect(),
            levels: self.lengths.levels(),
            channels: Channels::of(&self.lengths.0),
            _looks: (),
            refined_on: self.refined_on,
            ring: self.neighbours.places.iter().map(Vec::len).collect(),
            ring_levels: self.neighbours.lengths.levels(),
            anchors: self.anchors.places.len(),
            anchor_levels: self.anchors.lengths.levels(),
            back: self.back.as_deref().map(Maps::of),
        };
        // Strings and numbers always serialise to JSON.
        let header = serde_json::to_vec(&header).unwrap_or_default();
        let mut bytes = MAGIC.to_vec();
        bytes.extend(LAYOUT.to_le_bytes());
        bytes.extend((header.len() as u32).to_le_bytes());
        bytes.extend(header);
        self.body(|value| bytes.extend(value.to_le_bytes()));
        let seal = hash::digest(&bytes);
        bytes.extend(seal);
        bytes
    }

    /// The floats: positions of the landmarks; features of each landmark, level by level; for each landmark and ring
    /// point the offset and the features; positions of the keypoints; features of each keypoint; the maps, channel after channel.
    fn body(&self, mut write: impl FnMut(f32)) {
        let mut all = |values: &[f32]| values.iter().for_each(|value| write(*value));
        self.places.iter().for_each(|at| all(&[at.x, at.y]));
        all(&self.features);
        for neighbour in self.neighbours.places.iter().flatten() {
            all(&[neighbour.offset.x, neighbour.offset.y]);
            all(&neighbour.features);
        }
        self.anchors.places.iter().for_each(|at| all(&[at.x, at.y]));
        all(&self.anchors.features);
        self.back.iter().flat_map(|back| &back.levels).for_each(|level| all(&level.features));
    }

    /// SHA-256 of [`to_bytes`](Self::to_bytes), in lower-case hexadecimal: that of the file.
    pub fn sha256(&self) -> String {
        sha256(&self.to_bytes())
    }

    /// Writes the template to a file, atomically.
    ///
    /// # Errors
    /// [`TemplateFileError::File`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), TemplateFileError> {
        let path = path.as_ref();
        Ok(write_file(path, &self.to_bytes()).map_err(FileError::unwritable(path))?)
    }

    /// Reads a template written by [`save`](Self::save). It finds the same points, bit for bit.
    ///
    /// # Errors
    /// [`TemplateFileError`]: every case names the file and what to do.
    pub fn load(path: impl AsRef<Path>) -> Result<Template, TemplateFileError> {
        let path = path.as_ref();
        Template::from_bytes(&read_file(path, MAX_BYTES)?, path.display().to_string())
    }

    /// [`load`](Self::load) for a file in memory; `name` is its name in messages.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn from_bytes(bytes: &[u8], name: impl Into<String>) -> Result<Template, TemplateFileError> {
        let name = name.into();
        if !Template::is_file(bytes) {
            return Err(TemplateFileError::NotATemplate { name });
        }
        let Some(found) = number(bytes, MAGIC.len()) else {
            return Err(TemplateFileError::Damaged { name });
        };
        if found != LAYOUT {
            return Err(TemplateFileError::Layout { name, found });
        }
        let Some((content, seal)) = bytes.split_last_chunk::<SEAL>().filter(|(c, _)| c.len() >= PREFIX)
        else {
            return Err(TemplateFileError::Damaged { name });
        };
        if hash::digest(content) != *seal {
            return Err(TemplateFileError::Damaged { name });
        }
        parse(content).map_err(|problem| TemplateFileError::Content { name, problem })
    }

    /// Whether a file that begins with these bytes is a template file.
    pub fn is_file(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..)?.first_chunk()?;
    Some(u32::from_le_bytes(*four))
}

/// Parses content whose hash is right.
fn parse(content: &[u8]) -> Result<Template, TemplateContentError> {
    let length = number(content, MAGIC.len() + 4).ok_or(TemplateContentError::NoHeader)? as usize;
    if length > MAX_HEADER {
        return Err(TemplateContentError::HeaderLength { length });
    }
    let rest = content.get(PREFIX..).unwrap_or_default();
    let (json, body) = rest.split_at_checked(length).ok_or(TemplateContentError::NoHeader)?;
    let header: Header =
        serde_json::from_slice(json).map_err(|error| TemplateContentError::Header { reason: said(error) })?;
    let lengths = check(&header, body.len())?;
    let (around, beside) = (lengths.coarsest(header.ring_levels), lengths.coarsest(header.anchor_levels));
    let landmarks = header.landmarks;
    let mut body = Body { bytes: body };
    let places = body.points(landmarks.len())?;
    let features = body.features(landmarks.len(), &lengths)?;
    let mut rings = Vec::with_capacity(header.ring.len());
    for &count in &header.ring {
        let mut ring = Vec::with_capacity(count);
        for _ in 0..count {
            let offset = body.point()?;
            ring.push(Neighbour { offset, features: body.features(1, &around)? });
        }
        rings.push(ring);
    }
    let neighbours = Neighbours { places: rings, lengths: around };
    let anchors = Anchors {
        places: body.points(header.anchors)?,
        features: body.features(header.anchors, &beside)?,
        lengths: beside,
    };
    let back = header.back.map(|maps| body.maps(&maps, &lengths)).transpose()?;
    Ok(Template {
        image: header.image,
        model: header.model_sha256.into(),
        points: landmarks.iter().map(|mark| Point::new(mark.x, mark.y)).collect(),
        names: landmarks.into_iter().map(|mark| mark.name).collect(),
        features,
        places,
        neighbours,
        anchors,
        back: back.map(Arc::new),
        refined_on: header.refined_on,
        lengths,
    })
}

/// The channels of the levels, after checks of the names and of the body's length.
fn check(header: &Header, bytes: usize) -> Result<Lengths, TemplateContentError> {
    let names: BTreeSet<&str> = header.landmarks.iter().map(|mark| mark.name.as_str()).collect();
    if names.is_empty() || names.len() != header.landmarks.len() {
        return Err(TemplateContentError::Names);
    }
    if header.ring.len() != header.landmarks.len() {
        return Err(TemplateContentError::Rings);
    }
    let levels = [header.levels, header.ring_levels, header.anchor_levels];
    let lengths =
        (1..=64).contains(&header.levels).then(|| header.channels.by_level(header.levels)).flatten();
    let good = |lengths: &Vec<usize>| {
        lengths.iter().all(|length| (1..=1 << 16).contains(length))
            && levels.iter().all(|&count| count <= lengths.len())
    };
    let lengths = lengths.filter(good);
    let lengths =
        lengths.ok_or_else(|| TemplateContentError::Levels { levels, channels: header.channels.clone() })?;
    let lengths = Lengths(lengths);
    let kept = header.back.as_ref().map_or(Some(0), |maps| maps.elements(&lengths));
    let kept = kept.ok_or(TemplateContentError::Maps)?;
    // Each is at most 2^20, so their products fit 64 bits with 64 levels of 2^16 channels.
    let rings = header.ring.iter().try_fold(0_usize, |sum, &count| sum.checked_add(count));
    let rings = rings.filter(|rings| (*rings).max(header.anchors) <= MOST);
    let rings = rings.ok_or(TemplateContentError::Points)?;
    let floats = |count: usize, levels: usize| count as u64 * (2 + lengths.coarsest(levels).total() as u64);
    let expected = floats(header.landmarks.len(), header.levels)
        + floats(rings, header.ring_levels)
        + floats(header.anchors, header.anchor_levels)
        + kept;
    if expected * 4 != bytes as u64 {
        return Err(TemplateContentError::Bytes { found: bytes, expected: expected * 4 });
    }
    Ok(lengths)
}

/// The numbers after the header, whose count is checked.
struct Body<'a> {
    bytes: &'a [u8],
}

impl Body<'_> {
    fn floats(&mut self, count: usize) -> Result<Vec<f32>, TemplateContentError> {
        let (taken, rest) = self.bytes.split_at_checked(4 * count).ok_or(TemplateContentError::CutOff)?;
        self.bytes = rest;
        Ok(taken.as_chunks().0.iter().map(|four| f32::from_le_bytes(*four)).collect())
    }

    fn points(&mut self, count: usize) -> Result<Vec<Point<f32>>, TemplateContentError> {
        (0..count).map(|_| self.point()).collect()
    }

    fn point(&mut self) -> Result<Point<f32>, TemplateContentError> {
        match self.floats(2)?[..] {
            [x, y] if x.is_finite() && y.is_finite() => Ok(Point::new(x, y)),
            _ => Err(TemplateContentError::NotFinite),
        }
    }

    /// The features of `count` points, none longer than 1.
    fn features(&mut self, count: usize, lengths: &Lengths) -> Result<Vec<f32>, TemplateContentError> {
        let values = self.floats(count * lengths.total())?;
        for place in values.chunks_exact(lengths.total().max(1)) {
            for feature in lengths.split(place) {
                check_length(feature.iter().map(|value| value * value).sum::<f32>().sqrt())?;
            }
        }
        Ok(values)
    }

    fn maps(&mut self, maps: &Maps, lengths: &Lengths) -> Result<Back, TemplateContentError> {
        let mut levels = Vec::with_capacity(maps.levels.len());
        let lengths = lengths.coarsest(maps.levels.len());
        for (&[width, height, stride], &channels) in maps.levels.iter().zip(&lengths.0) {
            let features = self.floats(width * height * channels)?;
            let mut squares = vec![0.0_f32; width * height];
            for plane in features.chunks_exact(width * height) {
                squares.iter_mut().zip(plane).for_each(|(sum, value)| *sum += value * value);
            }
            squares.into_iter().try_for_each(|square| check_length(square.sqrt()))?;
            levels.push(Level { features, channels, width, height, stride });
        }
        let [x, y, width, height] = maps.content;
        Ok(Back { levels, content: Rect { x, y, width, height } })
    }
}

/// Rejects a feature that is longer than 1, or NaN.
fn check_length(length: f32) -> Result<(), TemplateContentError> {
    if (0.0..=1.0 + TOLERANCE).contains(&length) {
        Ok(())
    } else {
        Err(TemplateContentError::FeatureLength { length })
    }
}
