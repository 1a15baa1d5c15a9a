//! The points that were found, as landmark files of other formats.

use infomark_infer::{
    Annotated, Landmark, LandmarkError, LandmarkFormat, PixelSpacing, Placement, WriteOptions,
    encode_landmarks,
};

use crate::folder::Stage;
use crate::{MatchedImage, ResultsError};

/// Landmark files of another format, written as images come: a file for each, or one at the end, for which the points
/// of all images are kept in memory.
pub(crate) struct Others {
    format: LandmarkFormat,
    kept: Vec<Points>,
    other_mm: OtherMm,
    warnings: Vec<String>,
}

/// The points of an image.
struct Points {
    image: String,
    size: (usize, usize),
    spacing: Option<PixelSpacing>,
    placement: Option<Placement>,
    landmarks: Vec<Landmark>,
}

impl Points {
    fn of(matched: &MatchedImage) -> Self {
        Self {
            image: matched.image.clone(),
            size: (matched.width, matched.height),
            spacing: matched.known.clone(),
            placement: matched.placement,
            landmarks: matched.points(),
        }
    }

    fn annotated(&self) -> Annotated<'_> {
        Annotated {
            image: &self.image,
            size: self.size,
            spacing: self.spacing.as_ref(),
            placement: self.placement,
            landmarks: &self.landmarks,
            absent: &[],
        }
    }
}

impl Others {
    pub(crate) fn new(format: LandmarkFormat) -> Self {
        Self { format, kept: Vec::new(), other_mm: OtherMm::default(), warnings: Vec::new() }
    }

    /// Writes the file of an image, or keeps its points.
    pub(crate) fn add(&mut self, stage: &mut Stage, matched: &MatchedImage) -> Result<(), ResultsError> {
        let (format, points) = (self.format, Points::of(matched));
        if !format.is_of_one_image() {
            // The table is there anyway.
            if format != LandmarkFormat::Csv {
                self.kept.push(points);
            }
            return Ok(());
        }
        let annotated = points.annotated();
        self.other_mm.add(format, &annotated);
        let name = format!("{}/{}.{}", format.key(), matched.stem, format.ending());
        match encode_landmarks(format, &[annotated], &WriteOptions::default(), &name) {
            Ok(bytes) => stage.write(&name, &bytes),
            // What was found is in the table; it has no place in 3D Slicer.
            Err(error @ LandmarkError::Unplaced { .. }) => {
                self.warnings.push(error.to_string());
                Ok(())
            }
            Err(error) => Err(ResultsError::Landmarks(Box::new(error))),
        }
    }

    /// Writes the file of all images, and gives the warnings.
    pub(crate) fn finish(self, stage: &mut Stage) -> Result<Vec<String>, ResultsError> {
        let (format, mut warnings) = (self.format, self.warnings);
        warnings.extend(self.other_mm.warning());
        if !format.is_of_one_image() && format != LandmarkFormat::Csv {
            let annotated: Vec<Annotated<'_>> = self.kept.iter().map(Points::annotated).collect();
            let name = format!("landmarks.{}.{}", format.key(), format.ending());
            let bytes = encode_landmarks(format, &annotated, &WriteOptions::default(), &name)
                .map_err(|error| ResultsError::Landmarks(Box::new(error)))?;
            stage.write(&name, &bytes)?;
        }
        Ok(warnings)
    }
}

/// Images on which 3D Slicer takes pixels of another size than they have.
#[derive(Clone, Debug, Default)]
pub struct OtherMm {
    count: usize,
    first: String,
}

impl OtherMm {
    /// Counts an image whose landmarks are written in a format.
    pub fn add(&mut self, format: LandmarkFormat, image: &Annotated<'_>) {
        let (Some(spacing), Some(Ok(geometry))) = (image.spacing, image.placement) else { return };
        if !format.is_physical() || geometry.agrees_with(spacing) {
            return;
        }
        if self.count == 0 {
            image.image.clone_into(&mut self.first);
        }
        self.count += 1;
    }

    /// A warning of them, if there are some.
    pub fn warning(&self) -> Option<String> {
        let Self { count, first } = self;
        let images = if *count == 1 { "image" } else { "images" };
        (*count > 0).then(|| {
            format!(
                "on {count} {images} 3D Slicer takes pixels of another size than they have, the first is {first}: the points \
                 are where they belong, but lengths measured in 3D Slicer are wrong"
            )
        })
    }
}
