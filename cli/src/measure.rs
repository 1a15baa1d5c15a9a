//! `infomark measure`.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::Result;
use infomark_core::Spacing;
use infomark_infer::{ImageLandmarks, KnownImage, LandmarkStatus, Scheme, normal_name};
use infomark_results::{MeasurementRow, measurement_rows, measurements_csv};
use serde::Serialize;

use crate::landmark_files::{Read, Source};
use crate::output::{self, Report, shown};

/// Landmark scheme: names, order and measurements.
#[derive(clap::Args, Default)]
pub(crate) struct SchemeOption {
    /// Scheme with order and measurements of the landmarks: ceph, hand, chest, or a landmarks.toml (docs/schemes.md)
    #[arg(long, value_name = "SCHEME")]
    pub(crate) scheme: Option<PathBuf>,
}

impl SchemeOption {
    /// The scheme, if given.
    pub(crate) fn load(&self) -> Result<Option<Scheme>> {
        Ok(self.scheme.as_ref().map(Scheme::load).transpose()?)
    }
}

/// Measure lengths, angles and ratios of landmarks by a scheme, with bounds if the landmarks have them.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark measure points.csv --scheme ceph --images radiographs/ --out measurements.csv
  infomark measure found/landmarks.csv --scheme ceph --images radiographs/ --out measurements.csv

Landmark files are those that `infomark convert` reads. The table has the columns image,measurement,value,unit,bound,reason. A value is left out,
with a reason, where one of its landmarks is missing, absent or abstained from. Lengths are in mm where the image or --spacing tells the
size of its pixels, else in pixels. Tables of `infomark match` have error bounds of the landmarks; the bound of a value is its largest change
while each landmark stays within its own. docs/schemes.md has the formulas and how to write a scheme."
)]
pub(crate) struct Options {
    /// Landmark files
    #[arg(required = true, value_name = "LANDMARKS")]
    files: Vec<PathBuf>,
    /// Scheme of the measurements: ceph, hand, chest, or a landmarks.toml
    #[arg(long, value_name = "SCHEME")]
    scheme: PathBuf,
    /// CSV file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    source: Source,
}

#[derive(Serialize)]
struct Written {
    table: String,
    scheme: String,
    images: Vec<OfImage>,
}

#[derive(Serialize)]
struct OfImage {
    image: String,
    measurements: Vec<MeasurementRow>,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let scheme = Scheme::load(&options.scheme)?;
    output::keep(options.files.iter().chain([&options.scheme]), &options.out)?;
    let Read { all, known, given, .. } = options.source.read(&options.files, &scheme.names(), None)?;
    let files: Vec<String> = options.files.iter().map(|file| shown(file)).collect();
    scheme.check_shared(&all.names, &files.join(", "))?;
    let by_name = KnownImage::by_name(&known);
    let mut without_mm = 0;
    let images = all.images.iter().map(|(image, marks)| {
        let known = by_name.get(&normal_name(image));
        let spacing = known.map_or(given.as_ref(), |known| known.spacing.as_ref()).map(|spacing| spacing.mm);
        without_mm += usize::from(spacing.is_none());
        OfImage { image: image.clone(), measurements: of_marks(&scheme, marks, spacing) }
    });
    let images: Vec<OfImage> = images.collect();
    output::write(
        &options.out,
        &measurements_csv(images.iter().map(|of| (of.image.as_str(), of.measurements.as_slice())))?,
    )?;
    if without_mm > 0 {
        output::warn(format_args!(
            "nothing states the size of the pixels of {without_mm} of {} images: their lengths are in pixels, which angles and \
             ratios take as square; give {}",
            images.len(),
            options.source.for_mm()
        ));
    }
    let all = images.iter().flat_map(|of| &of.measurements);
    let given = all.clone().filter(|measured| measured.value.is_some()).count();
    report.text(&format!(
        "{}: {} images, {given} values, {} not given",
        shown(&options.out),
        images.len(),
        all.count() - given
    ))?;
    report.json(&Written { table: shown(&options.out), scheme: scheme.name().to_owned(), images })
}

/// The measurements for a file's landmarks of an image.
fn of_marks(scheme: &Scheme, marks: &ImageLandmarks, spacing: Option<Spacing>) -> Vec<MeasurementRow> {
    let placed = marks.landmarks.iter().zip(&marks.reliability).map(|(landmark, reliability)| {
        let status = if reliability.abstained {
            LandmarkStatus::Abstained
        } else {
            LandmarkStatus::Placed { at: landmark.at, error_bound_px: reliability.error_bound_px }
        };
        (landmark.name.as_str(), status)
    });
    let absent = marks.absent.iter().map(|name| (name.as_str(), LandmarkStatus::Absent));
    let all: HashMap<&str, LandmarkStatus> = placed.chain(absent).collect();
    measurement_rows(scheme, |name| all.get(name).copied(), spacing)
}
