//! Second annotator of a data set, compared with its own points as reference.

use std::collections::BTreeMap;
use std::path::PathBuf;

use infomark_core::{Point, radial_error_mm};
use infomark_infer::{DataSet, Landmark, LandmarkSources, Sample, file_name, normal_name};
use serde::Serialize;

use crate::{Agreement, ErrorTable, EvalError, ImageErrors, ReaderPair, Run, ScoredImage, reader_agreement};

/// Points of a second annotator in the images of a data set.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotator {
    /// Name of the annotator.
    pub name: String,
    /// Points, image by image, landmark by landmark, both in the order of the data set.
    points: Vec<Vec<Option<Point<f64>>>>,
}

impl Annotator {
    /// Takes the landmarks by image name; images outside the data set are ignored, and missing points stay missing.
    ///
    /// # Errors
    /// [`EvalError::NoPairs`] when no point is also in the data set.
    pub fn new<'a>(
        name: impl Into<String>,
        data: &DataSet,
        landmarks_of: impl Fn(&str) -> &'a [Landmark],
    ) -> Result<Annotator, EvalError> {
        let points = data.images.iter().map(|sample| {
            let placed = landmarks_of(&sample.name);
            let point = |name: &String| placed.iter().find(|own| own.name == *name).map(|own| own.at);
            data.landmarks.iter().map(point).collect()
        });
        let annotator = Annotator { name: name.into(), points: points.collect() };
        let errors = annotator.errors(data);
        match errors.images.iter().flat_map(|image| &image.errors_mm).any(Option::is_some) {
            true => Ok(annotator),
            false => Err(EvalError::NoPairs),
        }
    }

    /// Reads the points of an annotator in the images of a data set: one file for all, or one per image. `warn` is called for problems
    /// of the files.
    ///
    /// # Errors
    /// [`EvalError::Landmarks`] when a file cannot be read, [`EvalError::OtherPoints`] when no point is also in the data set.
    pub fn read(
        files: &[PathBuf],
        data: &DataSet,
        warn: &mut dyn FnMut(String),
    ) -> Result<Annotator, EvalError> {
        let sources = LandmarkSources {
            images: data.images.iter().map(|sample| sample.path.clone()).collect(),
            of_these_alone: true,
            ..LandmarkSources::default()
        };
        let read = sources.read(files, &data.landmarks, None, warn);
        let all = read.map_err(|error| EvalError::Landmarks(Box::new(error)))?.all;
        let marks = |image: &str| {
            let same = all.images.iter().find(|(name, _)| normal_name(name) == normal_name(image));
            same.map_or(&[][..], |(_, marks)| marks.landmarks.as_slice())
        };
        let name = match files {
            [file] => file_name(file),
            [first, ..] => format!("{} and {} more", file_name(first), files.len() - 1),
            [] => String::new(),
        };
        Annotator::new(name.as_str(), data, marks).map_err(|error| match error {
            EvalError::NoPairs => EvalError::OtherPoints { annotator: name, data: data.name.clone() },
            other => other,
        })
    }

    /// Distances to the reference in mm, in every image where annotator and data set have a common point.
    pub fn errors(&self, data: &DataSet) -> ErrorTable {
        let of_image = |(image, sample): (usize, &Sample)| {
            let error = |(place, truth): (usize, &Option<Point<f64>>)| {
                Some(radial_error_mm(self.point(image, place)?, (*truth)?, data.spacing))
            };
            let errors_mm: Vec<_> = sample.landmarks.iter().enumerate().map(error).collect();
            errors_mm.iter().any(Option::is_some).then_some(ImageErrors { image, errors_mm })
        };
        let images = data.images.iter().enumerate().filter_map(of_image).collect();
        ErrorTable { templates: vec![self.name.clone()], images }
    }

    fn point(&self, image: usize, landmark: usize) -> Option<Point<f64>> {
        *self.points.get(image)?.get(landmark)?
    }
}

/// Agreement of the program and a second annotator with the reference, on the points that both placed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnnotatorComparison {
    /// Name of the annotator.
    pub annotator: String,
    /// Number of reference points in the scored images that the annotator did not place.
    pub not_placed: usize,
    /// Agreement of the detected points, of all sets of templates; offsets are detected minus reference.
    pub program: Agreement,
    /// Agreement of the annotator's points; offsets are annotator minus reference.
    pub second_annotator: Agreement,
}

impl AnnotatorComparison {
    /// Rounds to four decimals, as in result files.
    #[must_use]
    pub fn rounded(self) -> Self {
        Self { program: self.program.rounded(), second_annotator: self.second_annotator.rounded(), ..self }
    }
}

/// Compares the points of `runs` and of a second annotator with the reference, the points of `data`; radii are in mm above 0.
///
/// # Errors
/// [`EvalError::NoPairs`] when the annotator placed no scored point, [`EvalError::Radius`].
pub fn compare_with_annotator(
    data: &DataSet,
    runs: &[Run],
    annotator: &Annotator,
    radii_mm: &[f64],
) -> Result<AnnotatorComparison, EvalError> {
    let (mut program, mut second, mut not_placed) = (Vec::new(), Vec::new(), 0);
    for (place, landmark) in data.landmarks.iter().enumerate() {
        let pair = |a, b| ReaderPair { landmark: landmark.clone(), a, b, spacing: Some(data.spacing) };
        // Images in which the landmark was scored, with the reference.
        let mut scored: BTreeMap<usize, Point<f64>> = BTreeMap::new();
        for ScoredImage { image, scores } in runs.iter().flat_map(|run| &run.images) {
            let Some(Some(score)) = scores.get(place) else { continue };
            scored.insert(*image, score.truth);
            if annotator.point(*image, place).is_some() {
                program.push(pair(score.truth, score.found));
            }
        }
        for (image, truth) in scored {
            match annotator.point(image, place) {
                Some(point) => second.push(pair(truth, point)),
                None => not_placed += 1,
            }
        }
    }
    Ok(AnnotatorComparison {
        annotator: annotator.name.clone(),
        not_placed,
        program: reader_agreement(&program, radii_mm)?,
        second_annotator: reader_agreement(&second, radii_mm)?,
    })
}
