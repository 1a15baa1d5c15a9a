//! `infomark agree`.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use infomark_core::Point;
use infomark_eval::{Agreement, ReaderFigures, ReaderPair, reader_agreement};
use infomark_infer::{CollectedLandmarks, ImageLandmarks, KnownImage, normal_name, rounded};
use serde::Serialize;

use crate::landmark_files::Source;
use crate::measure::SchemeOption;
use crate::output::{self, Report, shown};

/// Compare the landmarks of two readers, or of a reader and a program, on the same images.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Example: distance, systematic offset and spread of each landmark between two readers
  infomark agree reader-a.csv reader-b.csv --images radiographs/ --out agreement.csv

Files are those that `infomark convert` reads. Offsets are the second reader's point less the first's, x to the right, y down. Figures are in mm
where the images or --spacing tell the size of the pixels, else in pixels. Landmarks that only one of the readers placed are counted.
Errors of `infomark match` against annotated images, with intervals, are `infomark evaluate`'s."
)]
pub(crate) struct Options {
    /// Landmark file of the first reader
    #[arg(value_name = "A")]
    first: PathBuf,
    /// Landmark file of the second reader
    #[arg(value_name = "B")]
    second: PathBuf,
    #[command(flatten)]
    scheme: SchemeOption,
    #[command(flatten)]
    source: Source,
    /// Radii below which distances are counted, in mm, or in pixels if the pixel size is unknown
    #[arg(long, value_name = "LENGTH,...", value_delimiter = ',', default_value = "1,2,3,4")]
    radii: Vec<f64>,
    /// CSV file to write
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Compared {
    #[serde(flatten)]
    agreement: Agreement,
    /// Points that only the first reader placed, by landmark.
    only_first: HashMap<String, usize>,
    only_second: HashMap<String, usize>,
    /// Images that only the first file has.
    images_only_first: Vec<String>,
    images_only_second: Vec<String>,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let scheme = options.scheme.load()?;
    if let Some(out) = &options.out {
        output::keep([&options.first, &options.second].into_iter().chain(&options.scheme.scheme), out)?;
    }
    let names = scheme.as_ref().map(|scheme| scheme.names()).unwrap_or_default();
    let read = |file: &PathBuf| options.source.read(std::slice::from_ref(file), &names, None);
    let (first, second) = (read(&options.first)?, read(&options.second)?);
    if let Some(scheme) = &scheme {
        scheme.check_shared(&first.all.names, &shown(&options.first))?;
    }
    let by_name = KnownImage::by_name(&first.known);
    let spacing = |image: &str| {
        let known = by_name.get(&normal_name(image));
        known.map_or(first.given.as_ref(), |known| known.spacing.as_ref()).map(|spacing| spacing.mm)
    };
    let mut order = first.all.names.clone();
    if let Some(scheme) = &scheme {
        scheme.sort_by_name(&mut order, |name| name);
    }
    let mut pairs = Vec::new();
    for name in &order {
        for (image, marks) in &first.all.images {
            let other = second.all.images.get(image).and_then(|marks| place(marks, name));
            if let Some((a, b)) = place(marks, name).zip(other) {
                pairs.push(ReaderPair { landmark: name.clone(), a, b, spacing: spacing(image) });
            }
        }
    }
    let compared = Compared {
        agreement: reader_agreement(&pairs, &options.radii)?,
        only_first: only(&first.all, &second.all),
        only_second: only(&second.all, &first.all),
        images_only_first: images_only(&first.all, &second.all),
        images_only_second: images_only(&second.all, &first.all),
    };
    for (images, file) in
        [(&compared.images_only_first, &options.second), (&compared.images_only_second, &options.first)]
    {
        if let Some(image) = images.first() {
            output::warn(format_args!(
                "{}: has no landmarks of {} images of the other file, the first is {image}; they are left out",
                shown(file),
                images.len()
            ));
        }
    }
    if compared.agreement.unit == "px" {
        output::warn(format_args!(
            "nothing states the size of the pixels: figures are in pixels; give {}",
            options.source.for_mm()
        ));
    }
    if let Some(out) = &options.out {
        write_table(out, &compared)?;
    }
    report.text(&text(&compared))?;
    report.json(&compared)
}

fn place(marks: &ImageLandmarks, landmark: &str) -> Option<Point<f64>> {
    marks.landmarks.iter().find(|known| known.name == landmark).map(|landmark| landmark.at)
}

/// Number of points per landmark that only `one` has, in images that both have.
fn only(one: &CollectedLandmarks, other: &CollectedLandmarks) -> HashMap<String, usize> {
    let mut count = HashMap::new();
    for (image, marks) in &one.images {
        let Some(others) = other.images.get(image) else { continue };
        for landmark in marks.landmarks.iter().filter(|landmark| place(others, &landmark.name).is_none()) {
            *count.entry(landmark.name.clone()).or_insert(0) += 1;
        }
    }
    count
}

fn images_only(one: &CollectedLandmarks, other: &CollectedLandmarks) -> Vec<String> {
    one.images.keys().filter(|image| !other.images.contains_key(*image)).cloned().collect()
}

fn write_table(out: &std::path::Path, compared: &Compared) -> Result<()> {
    let Agreement { unit, landmarks, all } = &compared.agreement;
    let mut head = columns(all);
    head.extend(["only_first", "only_second"].map(str::to_owned));
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(&head)?;
    for of in landmarks.iter().chain([all]) {
        let mut row = cells(of, unit);
        let total = |only: &HashMap<String, usize>| match of.landmark.as_str() {
            _ if std::ptr::eq(of, all) => only.values().sum::<usize>(),
            landmark => only.get(landmark).copied().unwrap_or(0),
        };
        row.extend(
            [total(&compared.only_first), total(&compared.only_second)].map(|count| count.to_string()),
        );
        table.write_record(&row)?;
    }
    output::write(out, &table.into_inner()?)
}

/// Column names of a table of figures.
pub(crate) fn columns(all: &ReaderFigures) -> Vec<String> {
    let names = ["landmark", "pairs", "unit", "mean_radial_error", "median", "sd", "offset_x", "offset_y"];
    let names = names.into_iter().chain(["offset_sd_x", "offset_sd_y"]).map(str::to_owned);
    names.chain(all.within.keys().map(|radius| format!("within_{}", radius.0))).collect()
}

/// The figures of a landmark in these columns.
pub(crate) fn cells(of: &ReaderFigures, unit: &str) -> Vec<String> {
    let number = |value: Option<f64>| value.map(|value| rounded(value, 3).to_string()).unwrap_or_default();
    let [x, y] = of.offset;
    let [sd_x, sd_y] = of.offset_sd;
    let mut row = vec![of.landmark.clone(), of.pairs.to_string(), unit.to_owned()];
    row.extend(
        [Some(of.mean_radial_error), Some(of.median), of.sd, Some(x), Some(y), sd_x, sd_y].map(number),
    );
    row.extend(of.within.values().map(|share| rounded(*share, 4).to_string()));
    row
}

/// The header of the printed table; `width` is that of its first column.
pub(crate) fn head(width: usize, Agreement { unit, all, .. }: &Agreement) -> String {
    let radii: String =
        all.within.keys().map(|radius| format!("{:>9}", format!("<{} {unit}", radius.0))).collect();
    format!("{:<width$}  pairs    mean      sd      dx      dy   sd dx   sd dy{radii}", "landmark")
}

/// A row of the printed table, with the name `name`.
pub(crate) fn row(width: usize, name: &str, of: &ReaderFigures) -> String {
    let ReaderFigures {
        pairs,
        mean_radial_error: mean,
        sd,
        offset: [x, y],
        offset_sd: [sd_x, sd_y],
        within,
        ..
    } = of;
    let number = |value: Option<f64>| value.map_or("       -".into(), |value| format!("{value:8.2}"));
    let numbers: String = [Some(*mean), *sd, Some(*x), Some(*y), *sd_x, *sd_y].map(number).concat();
    let shares: String = within.values().map(|share| format!("{:>7.1} %", 100.0 * share)).collect();
    format!("{name:<width$}  {pairs:5}{numbers}{shares}")
}

/// The printed table.
fn text(compared: &Compared) -> String {
    let Agreement { unit, landmarks, all } = &compared.agreement;
    let width = landmarks.iter().map(|of| of.landmark.chars().count()).max().unwrap_or(0).max(8);
    let mut text = head(width, &compared.agreement) + "\n";
    for of in landmarks.iter().chain([all]) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{}", row(width, &of.landmark, of));
    }
    let single = |only: &HashMap<String, usize>| only.values().sum::<usize>();
    let (first, second) = (single(&compared.only_first), single(&compared.only_second));
    if first + second > 0 {
        let _ = writeln!(text, "points of the first reader alone: {first}, of the second alone: {second}");
    }
    let _ = writeln!(text, "mean distance in {unit}; dx, dy: second less first");
    text
}
