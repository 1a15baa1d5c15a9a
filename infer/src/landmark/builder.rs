//! A landmark file while it is read.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::mem;

use super::{
    Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Reliability, Rows, clean_name, cut,
};

/// Bytes of memory for a landmark that is read and written again, and for an image beside its landmarks, as measured.
const LANDMARK_BYTES: u64 = 240;
const IMAGE_BYTES: u64 = 400;

/// A file while it is read: refuses landmarks given twice.
pub(super) struct Builder<'a> {
    name: &'a str,
    format: LandmarkFormat,
    names: Vec<String>,
    /// Place of each name in `names`.
    known: HashMap<String, usize>,
    images: BTreeMap<String, Rows>,
    /// Image and landmark of each row, by their numbers.
    seen: HashSet<(usize, usize)>,
    /// Annotated landmarks of the image that was begun last.
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

    /// Takes an annotated landmark.
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

    /// Takes what is said of the landmark of an image that was added last.
    pub(super) fn set_reliability(&mut self, image: &str, reliability: Reliability) {
        if let Some(last) = self.images.get_mut(image).and_then(|rows| rows.reliability.last_mut()) {
            *last = reliability;
        }
    }

    /// Takes a landmark that is marked as absent from the image.
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

    /// Takes the name of a landmark, annotated or not; its place among the names.
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

    /// Takes the size that the file states for an image.
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

    /// Bytes of memory that the file takes so far, estimated.
    pub(super) fn bytes(&self) -> u64 {
        let (landmarks, images) = (self.seen.len() as u64, self.images.len() as u64);
        landmarks.saturating_mul(LANDMARK_BYTES).saturating_add(images.saturating_mul(IMAGE_BYTES))
    }

    /// Landmarks that were taken.
    pub(super) fn count(&self) -> u64 {
        self.seen.len() as u64
    }

    /// The rows of an image, which is begun where it is new. There is room for as many landmarks as the image begun before
    /// it has, as most images of a file have equally many; each count is used once, so that this at most doubles the room.
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

    /// The file, unless it has no landmark at all.
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
    /// Where in the file a landmark of the image is.
    fn place_of(&self, landmark: &str) -> Option<Place> {
        let annotated = self.landmarks.iter().map(|landmark| landmark.name.as_str()).zip(&self.places);
        let absent = self.absent.iter().map(String::as_str).zip(&self.absent_places);
        annotated.chain(absent).find(|(name, _)| *name == landmark).map(|(_, place)| *place)
    }
}
