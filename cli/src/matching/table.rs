//! The points that were found, as tables and as landmark files of other formats.

use anyhow::Result;
use infomark_core::Point;
use infomark_infer::{
    Annotated, Landmark, LandmarkError, LandmarkFormat, LandmarkRow, LandmarkStatus, PixelSpacing, Placement,
    Scheme, WriteOptions, encode_landmarks,
};

use super::record::Matched;
use crate::measurements::measured;
use crate::output;
use crate::result_folder::Stage;
use crate::spacing::OtherMm;

pub(super) const COLUMNS: [&str; 13] = [
    "image",
    "landmark",
    "x",
    "y",
    "score",
    "x_mm",
    "y_mm",
    "margin",
    "cycle_error_px",
    "error_bound_px",
    "error_bound_mm",
    "abstain",
    "uncertainty",
];

/// The rows of an image, a landmark each.
pub(super) fn rows(image: &Matched) -> impl Iterator<Item = [String; 13]> {
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    image.landmarks.iter().map(move |LandmarkRow { landmark, x, y, x_mm, y_mm, score, trust }| {
        [
            image.image.clone(),
            landmark.clone(),
            x.to_string(),
            y.to_string(),
            score.to_string(),
            number(*x_mm),
            number(*y_mm),
            number(trust.as_ref().and_then(|trust| trust.margin)),
            number(trust.as_ref().and_then(|trust| trust.cycle_error_px)),
            number(trust.as_ref().and_then(|trust| trust.error_bound_px)),
            number(trust.as_ref().and_then(|trust| trust.error_bound_mm)),
            trust.as_ref().map(|trust| trust.abstain.to_string()).unwrap_or_default(),
            number(trust.as_ref().and_then(|trust| trust.uncertainty)),
        ]
    })
}

/// Brings the landmarks into the order of a scheme, and measures them.
pub(super) fn measure(scheme: &Scheme, image: &mut Matched) {
    scheme.sort_by_name(&mut image.landmarks, |row| &row.landmark);
    let status = |name: &str| {
        let LandmarkRow { x, y, trust, .. } = image.landmarks.iter().find(|row| row.landmark == name)?;
        Some(match trust {
            Some(trust) if trust.abstain => LandmarkStatus::Abstained,
            _ => LandmarkStatus::Placed {
                at: Point::new(*x, *y),
                error_bound_px: trust.as_ref().and_then(|trust| trust.error_bound_px),
            },
        })
    };
    image.measurements = measured(scheme, status, image.known.as_ref().map(|spacing| spacing.mm));
}

/// Landmark files of another format, written as images come: a file for each, or one at the end, for which the points of all
/// images are kept in memory.
pub(super) struct Others {
    format: LandmarkFormat,
    kept: Vec<Points>,
    other_mm: OtherMm,
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
    fn of(matched: &Matched) -> Self {
        let rows = matched.landmarks.iter();
        let landmarks = rows.map(|row| Landmark::new(&row.landmark, Point::new(row.x, row.y)));
        Self {
            image: matched.image.clone(),
            size: (matched.width, matched.height),
            spacing: matched.known.clone(),
            placement: matched.placement,
            landmarks: landmarks.collect(),
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
    pub(super) fn new(format: LandmarkFormat) -> Self {
        Self { format, kept: Vec::new(), other_mm: OtherMm::default() }
    }

    /// Writes the file of an image, or keeps its points.
    pub(super) fn add(&mut self, stage: &mut Stage, matched: &Matched) -> Result<()> {
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
                output::warn(error);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the file of all images.
    pub(super) fn finish(self, stage: &mut Stage) -> Result<()> {
        let format = self.format;
        self.other_mm.warn();
        if format.is_of_one_image() || format == LandmarkFormat::Csv {
            return Ok(());
        }
        let annotated: Vec<Annotated<'_>> = self.kept.iter().map(Points::annotated).collect();
        let name = format!("landmarks.{}.{}", format.key(), format.ending());
        stage.write(&name, &encode_landmarks(format, &annotated, &WriteOptions::default(), &name)?)
    }
}
