//! Templates: landmark features of one annotated image.

mod error;
mod file;
mod refine;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use error::{TemplateContentError, TemplateFileError};
use infomark_core::{FeatureMap, Point};
pub use refine::{Observation, REFINE_ROUNDS, RefineError, RefineStep, refine_templates};

use crate::back::Back;
use crate::lengths::{Lengths, features_at};
use crate::neighbours::Neighbours;
use crate::prior::Anchors;
use crate::search::ComparisonError;
use crate::{Encoder, Encoding, Image, Landmark, MatchError, ModelError, neighbours, prior, sha256};

/// Template: for each landmark of an annotated image, its feature at every stride.
#[derive(Clone, Debug)]
pub struct Template {
    image: String,
    model: Arc<str>,
    names: Vec<String>,
    /// Landmarks in pixels of the original image.
    points: Vec<Point<f64>>,
    /// Features, landmark by landmark, level by level, finest first.
    features: Vec<f32>,
    /// Landmarks in the model input.
    places: Vec<Point<f32>>,
    neighbours: Neighbours,
    anchors: Anchors,
    back: Option<Arc<Back>>,
    lengths: Lengths,
    /// Number of unlabelled images averaged into the features.
    refined_on: usize,
}

/// Why a template could not be made; every message names the image and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// The encoder failed.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// No landmarks.
    #[error("template {image} has no landmarks; give at least one")]
    NoLandmarks {
        /// Name of the image.
        image: String,
    },
    /// The ring or keypoint features could not be computed.
    #[error("template {image}: what is around its landmarks could not be read ({source}); use another image")]
    Around {
        /// Name of the image.
        image: String,
        /// The reason.
        source: ComparisonError,
    },
    /// A repeated landmark name.
    #[error("template {image} has landmark {landmark} twice; remove or rename one of them")]
    Duplicate {
        /// Name of the image.
        image: String,
        /// The landmark.
        landmark: String,
    },
    /// A landmark that is outside the image, or NaN.
    #[error(
        "landmark {landmark} at ({x}, {y}) lies outside template {image}, which has {width} x {height} pixels; give pixels of this image, the centre of the first at (0, 0)"
    )]
    Outside {
        /// The landmark.
        landmark: String,
        /// Column.
        x: f64,
        /// Row.
        y: f64,
        /// Name of the image.
        image: String,
        /// Width of the image in pixels.
        width: usize,
        /// Height of the image in pixels.
        height: usize,
    },
}

impl Template {
    /// Encodes an annotated image and keeps the features of its landmarks, given in pixels of the image.
    ///
    /// # Errors
    /// [`TemplateError`].
    pub fn new(encoder: &Encoder, image: &Image, landmarks: &[Landmark]) -> Result<Template, TemplateError> {
        Template::from_encoding(&encoder.encode(image)?, landmarks)
    }

    /// [`new`](Self::new) for an encoded image.
    ///
    /// # Errors
    /// [`TemplateError`], except `Model`.
    pub fn from_encoding(encoding: &Encoding, landmarks: &[Landmark]) -> Result<Template, TemplateError> {
        let image = || encoding.image().to_owned();
        if landmarks.is_empty() {
            return Err(TemplateError::NoLandmarks { image: image() });
        }
        let maps = encoding.levels();
        let lengths = Lengths::of(&maps);
        let mut names = BTreeSet::new();
        let mut features = Vec::with_capacity(landmarks.len() * lengths.total());
        let mut places = Vec::with_capacity(landmarks.len());
        for landmark in landmarks {
            if !names.insert(landmark.name.as_str()) {
                return Err(TemplateError::Duplicate { image: image(), landmark: landmark.name.clone() });
            }
            let outside = || {
                let (width, height) = encoding.fit().original();
                TemplateError::Outside {
                    landmark: landmark.name.clone(),
                    x: landmark.at.x,
                    y: landmark.at.y,
                    image: image(),
                    width,
                    height,
                }
            };
            if !encoding.fit().contains(landmark.at) {
                return Err(outside());
            }
            let at = encoding.fit().push(landmark.at).cast();
            places.push(at);
            features.extend(features_at(&maps, at).map_err(|_| outside())?);
        }
        let problem = |source| TemplateError::Around { image: image(), source };
        let neighbours = Neighbours::around(&places, encoding).map_err(problem)?;
        let anchors = Anchors::draw(encoding).map_err(problem)?;
        Ok(Template {
            image: image(),
            model: encoding.model(),
            names: landmarks.iter().map(|l| l.name.clone()).collect(),
            points: landmarks.iter().map(|l| l.at).collect(),
            lengths,
            features,
            places,
            neighbours,
            anchors,
            back: Some(Arc::new(Back::of(encoding))),
            refined_on: 0,
        })
    }

    /// Name of the annotated image.
    pub fn image(&self) -> &str {
        &self.image
    }

    /// Names of the landmarks, in order of detection.
    pub fn landmarks(&self) -> &[String] {
        &self.names
    }

    /// Points of the landmarks in the annotated image, in its pixels.
    pub fn points(&self) -> &[Point<f64>] {
        &self.points
    }

    /// SHA-256 of the file of the encoder that made it.
    pub fn model_sha256(&self) -> &str {
        &self.model
    }

    /// SHA-256, in lower-case hexadecimal, of what the template was made of: encoder, names and points of the landmarks, and
    /// the image by 200 points drawn in proportion to entropy; of a [refined](Self::refined) one of its features, too.
    ///
    /// It is the same for an image and for the template's file, on every kind of processor unless the template is refined.
    pub fn fingerprint(&self) -> String {
        // The switches of test-time augmentation of earlier versions, all off.
        let mut bytes = format!("{} false false false\n", self.model).into_bytes();
        for (name, at) in self.names.iter().zip(&self.points) {
            bytes.extend(format!("{name:?} {:?} {:?}\n", at.x, at.y).bytes());
        }
        let mut add = |values: &[f32]| bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        self.anchors.places.iter().for_each(|at| add(&[at.x, at.y]));
        if self.refined_on > 0 {
            add(&self.features);
            self.neighbours.places.iter().flatten().for_each(|neighbour| add(&neighbour.features));
        }
        sha256(&bytes)
    }

    /// Position of each landmark in the template's model input.
    pub(crate) fn places(&self) -> &[Point<f32>] {
        &self.places
    }

    /// Ring points around the landmarks.
    pub(crate) fn neighbours(&self) -> &Neighbours {
        &self.neighbours
    }

    /// Keypoints of the template.
    pub(crate) fn anchors(&self) -> &Anchors {
        &self.anchors
    }

    /// The template's own feature maps; `None` for a template made without them.
    pub(crate) fn back(&self) -> Option<&Back> {
        self.back.as_deref()
    }

    /// Checks that an encoding is of the template's encoder.
    pub(crate) fn check_maker(&self, encoding: &Encoding) -> Result<(), MatchError> {
        let (template, image) = (self.image.clone(), encoding.image().to_owned());
        if self.model_sha256() != encoding.model_sha256() {
            return Err(MatchError::OtherModel { template, image });
        }
        Ok(())
    }

    /// Checks that the features have an encoding's levels and channels, which may fail for those of a file.
    pub(crate) fn check(&self, encoding: &Encoding) -> Result<(), ComparisonError> {
        let levels = encoding.levels();
        let from = |finest: usize| {
            let maps: Vec<FeatureMap<'_, f32>> =
                levels.iter().copied().filter(|map| map.stride() >= finest).collect();
            Lengths::of(&maps)
        };
        let ours = [&self.lengths, &self.neighbours.lengths, &self.anchors.lengths];
        let theirs = [Lengths::of(&levels), from(neighbours::FINEST), from(prior::FINEST)];
        if ours != theirs.each_ref() {
            let [ours, theirs] = [ours.map(|own| own.0.clone()), theirs.map(|own| own.0)];
            return Err(ComparisonError::Levels { template: Box::new(ours), image: Box::new(theirs) });
        }
        Ok(())
    }

    /// The name and the features, one per level, of each landmark.
    pub(crate) fn features(&self) -> impl Iterator<Item = (&str, Vec<&[f32]>)> {
        // A level has at least one channel.
        let each = self.features.chunks_exact(self.lengths.total().max(1));
        self.names.iter().zip(each).map(|(name, features)| (name.as_str(), self.lengths.split(features)))
    }
}
