//! The points that were found, as tables and as landmark files of other formats.

use std::path::Path;

use anyhow::Result;
use infomark_core::Point;
use infomark_infer::{
    Annotated, Landmark, LandmarkError, LandmarkFormat, LandmarkRow, LandmarkStatus, Scheme, WriteOptions,
    encode_landmarks,
};

use super::record::Matched;
use crate::measurements::{self, measured};
use crate::output::{self, shown};
use crate::spacing;

const COLUMNS: [&str; 12] = [
    "image",
    "landmark",
    "x",
    "y",
    "score",
    "x_mm",
    "y_mm",
    "margin",
    "match_back_px",
    "expected_error_px",
    "expected_error_mm",
    "abstain",
];

fn rows(image: &Matched) -> impl Iterator<Item = [String; 12]> {
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
            number(trust.as_ref().and_then(|trust| trust.match_back_px)),
            number(trust.as_ref().and_then(|trust| trust.expected_error_px)),
            number(trust.as_ref().and_then(|trust| trust.expected_error_mm)),
            trust.as_ref().map(|trust| trust.abstain.to_string()).unwrap_or_default(),
        ]
    })
}

pub(super) fn write_table(path: &Path, images: &[Matched]) -> Result<()> {
    output::write_csv(path, COLUMNS, images.iter().flat_map(rows))
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
                error_bound_px: trust.as_ref().and_then(|trust| trust.expected_error_px),
            },
        })
    };
    image.measurements = measured(scheme, status, image.known.as_ref().map(|spacing| spacing.mm));
}

pub(super) fn write_measurements(path: &Path, images: &[Matched]) -> Result<()> {
    let images = images.iter().map(|image| (image.image.as_str(), image.measurements.as_slice()));
    output::write(path, &measurements::table(images)?)
}

/// Writes the landmarks in another format: into one file, or into a folder with a file for each image.
pub(super) fn write_others(out: &Path, format: LandmarkFormat, images: &[Matched]) -> Result<()> {
    let points: Vec<Vec<Landmark>> = images
        .iter()
        .map(|image| {
            let rows = image.landmarks.iter();
            rows.map(|row| Landmark::new(&row.landmark, Point::new(row.x, row.y))).collect()
        })
        .collect();
    let annotated: Vec<Annotated<'_>> = images
        .iter()
        .zip(&points)
        .map(|(image, landmarks)| Annotated {
            image: &image.image,
            size: (image.width, image.height),
            spacing: image.known.as_ref(),
            placement: image.placement,
            landmarks,
            absent: &[],
        })
        .collect();
    let (name, options) = (format.key(), WriteOptions::default());
    if !format.is_of_one_image() {
        if format != LandmarkFormat::Csv {
            let path = out.join(format!("landmarks.{name}.{}", format.ending()));
            output::write(&path, &encode_landmarks(format, &annotated, &options, &shown(&path))?)?;
        }
        return Ok(());
    }
    let folder = out.join(name);
    output::make_folder(&folder)?;
    spacing::warn_of_other_mm(format, &annotated);
    for (image, annotated) in images.iter().zip(&annotated) {
        let path = folder.join(format!("{}.{}", image.stem, format.ending()));
        match encode_landmarks(format, std::slice::from_ref(annotated), &options, &shown(&path)) {
            Ok(bytes) => output::write(&path, &bytes)?,
            // What was found is in the table; it has no place in 3D Slicer.
            Err(error @ LandmarkError::Unplaced { .. }) => output::warn(error),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
