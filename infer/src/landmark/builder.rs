//! Builder of landmark files.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;

use super::{
    Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Reliability, Rows, clean_name, cut,
};

/// Measured memory of a landmark that is read and written again, and of an image besides its landmarks, in bytes.
const LANDMARK_BYTES: u64 = 240;
const IMAGE_BYTES: u64 = 400;

/// Landmark file under construction: rejects repeated landmarks.
pub(super) struct Builder<'a> {
    name: &'a str,
    format: LandmarkFormat,
    names: Vec<String>,
    /// Index of each name in `names`.
    known: HashMap<String, usize>,
    images: BTreeMap<String, Rows>,
    /// Image and landmark indices of each row.
    seen: HashSet<(usize, usize)>,
    /// Number of annotated landmarks of the previous image.
    before: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(name: &'a str, format: LandmarkFormat) -> Builder<'a> {
        Builder {
            name,
            format,
            names: Vec::new(),
            known: HashMap::new(),
            images: BTreeMap::new(),
            seen: HashSet::new(),
            before: 0,
        }
    }

    /// Adds an annotated landmark.
    pub(super) fn add(
        &mut self,
        image: &str,
        mut landmark: Landmark,
        place: Place,
    ) -> Result<(), LandmarkError> {
        landmark.name = self.check(image, &landmark.name, place)?;
        for (value, column) in [(landmark.at.x, "x"), (landmark.at.y, "y")] {
            if !value.is_finite() {
                return Err(LandmarkError::Number {
                    name: self.name.to_owned(),
                    place,
                    column,
                    value: value.to_string(),
                });
            }
        }
        let rows = self.rows(image);
        rows.landmarks.push(landmark);
        rows.places.push(place);
        rows.reliability.push(Reliability::default());
        let (number, count) = (rows.number, rows.landmarks.len());
        if number + 1 == self.images.len() {
            self.before = count;
        }
        Ok(())
    }

    /// Sets the reliability of the last landmark added to an image.
    pub(super) fn set_reliability(&mut self, image: &str, reliability: Reliability) {
        if let Some(last) = self.images.get_mut(image).and_then(|rows| rows.reliability.last_mut()) {
            *last = reliability;
        }
    }

    /// Adds a landmark that is marked as absent from the image.
    pub(super) fn add_absent(
        &mut self,
        image: &str,
        landmark: &str,
        place: Place,
    ) -> Result<(), LandmarkError> {
        let landmark = self.check(image, landmark, place)?;
        let rows = self.rows(image);
        rows.absent.push(landmark);
        rows.absent_places.push(place);
        Ok(())
    }

    /// Adds the name of a landmark, annotated or not; returns its index.
    pub(super) fn add_name(&mut self, landmark: &str) -> usize {
        let landmark = clean_name(landmark);
        if let Some(&place) = self.known.get(&landmark) {
            return place;
        }
        self.names.push(landmark.clone());
        let place = self.known.len();
        self.known.insert(landmark, place);
        place
    }

    /// Sets the image size that the file states.
    pub(super) fn set_size(&mut self, image: &str, width: usize, height: usize) {
        if width > 0
            && height > 0
            && let Some(rows) = self.images.get_mut(image)
        {
            rows.size = Some((width, height));
        }
    }

    /// Name of the file in messages.
    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// Estimated memory of the file so far, in bytes.
    pub(super) fn bytes(&self) -> u64 {
        let (landmarks, images) = (self.seen.len() as u64, self.images.len() as u64);
        landmarks.saturating_mul(LANDMARK_BYTES).saturating_add(images.saturating_mul(IMAGE_BYTES))
    }

    /// Number of landmarks added.
    pub(super) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// The rows of an image, which is added if it is new. Its capacity is the number of landmarks of the previous image,
    /// as most images of a file have equally many; each count is used once, so this at most doubles the memory.
    fn rows(&mut self, image: &str) -> &mut Rows {
        let number = self.images.len();
        match self.images.entry(image.to_owned()) {
            Entry::Occupied(rows) => rows.into_mut(),
            Entry::Vacant(place) => {
                let room = mem::take(&mut self.before);
                place.insert(Rows {
                    number,
                    landmarks: Vec::with_capacity(room),
                    places: Vec::with_capacity(room),
                    reliability: Vec::with_capacity(room),
                    ..Rows::default()
                })
            }
        }
    }

    fn check(&mut self, image: &str, landmark: &str, place: Place) -> Result<String, LandmarkError> {
        let landmark = clean_name(landmark);
        for (text, column) in [(image, "image"), (&landmark, "landmark")] {
            if text.is_empty() {
                return Err(LandmarkError::EmptyField { name: self.name.to_owned(), place, column });
            }
        }
        let of_landmark = self.add_name(&landmark);
        let of_image = self.rows(image).number;
        if !self.seen.insert((of_image, of_landmark)) {
            return Err(LandmarkError::Duplicate {
                name: self.name.to_owned(),
                place,
                first: self.rows(image).place_of(&landmark).unwrap_or(place),
                image: cut(image),
                landmark: cut(&landmark),
            });
        }
        Ok(landmark)
    }

    /// The file; an error without any landmark.
    pub(super) fn finish(self) -> Result<LandmarkFile, LandmarkError> {
        let Builder { name, format, names, images, .. } = self;
        let name = name.to_owned();
        match (images.is_empty(), format) {
            (false, _) => Ok(LandmarkFile { name, format, names, images }),
            (true, LandmarkFormat::Csv) => Err(LandmarkError::Empty { name }),
            (true, _) => Err(LandmarkError::NoPoints { name, format }),
        }
    }
}

impl Rows {
    /// Position in the file of a landmark of the image.
    fn place_of(&self, landmark: &str) -> Option<Place> {
        let annotated = self.landmarks.iter().map(|landmark| landmark.name.as_str()).zip(&self.places);
        let absent = self.absent.iter().map(String::as_str).zip(&self.absent_places);
        annotated.chain(absent).find(|(name, _)| *name == landmark).map(|(_, place)| *place)
    }
}
