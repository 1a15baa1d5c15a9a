//! `infomark convert`.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use infomark_infer::{
    Annotated, ImageLandmarks, KnownImage, LandmarkFormat, PixelSpacing, Scheme, Visibility, WriteOptions,
    encode_landmarks, free_stem, normal_name,
};
use serde::Serialize;

use crate::landmark_files::{Read, Source};
use crate::output::{self, Report, shown};
use crate::spacing;

/// Landmark format, parsed from its key.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Format(pub(crate) LandmarkFormat);

impl ValueEnum for Format {
    fn value_variants<'a>() -> &'a [Self] {
        const ALL: [Format; LandmarkFormat::ALL.len()] = {
            let mut all = [Format(LandmarkFormat::Csv); LandmarkFormat::ALL.len()];
            let mut index = 0;
            while index < all.len() {
                all[index] = Format(LandmarkFormat::ALL[index]);
                index += 1;
            }
            all
        };
        &ALL
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let files = if self.0.is_of_one_image() { "a file for each image" } else { "one file" };
        Some(PossibleValue::new(self.0.key()).help(format!("{} (.{}), {files}", self.0, self.0.ending())))
    }
}

/// Convert landmark files: CSV, 3D Slicer, COCO, LabelMe, CVAT, Label Studio, ISBI text.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark convert marked/*.mrk.json --images radiographs/ --out points.csv
  infomark convert points.csv --images radiographs/ --format slicer --out markups/
  infomark convert points.csv --images radiographs/ --format coco --out points.json

The format of a file is detected from its content. 3D Slicer files and ISBI text belong to the image of the
same name but for the ending, or to the one that --image names. Of images that share a name or differ in the ending alone, the second is
`name-2` and so on, as in results of `infomark match`: give the same --images in the same order. --images gives the size of the images, and where
3D Slicer places them: its millimetres go by the files, with the rule of ITK, which it reads them with, whatever the
true size of a pixel is (docs/formats.md). Formats of one image a file are written into a folder."
)]
pub(crate) struct Options {
    /// Landmark files
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// File to write, or folder for formats of one image per file
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Format to write [default: by the ending of --out, except .json]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    #[command(flatten)]
    source: Source,
    /// Spacing of the volumes across and down in 3D Slicer's module Volumes, if it differs from that of
    /// ITK 5.4, e.g. because it was changed; for all images
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    volume_spacing: Option<Vec<f64>>,
    /// Names of the landmarks in order, for reading and writing ISBI text, which has none [default: 1, 2, ... for reading, the order of
    /// the files for writing]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    names: Vec<String>,
    /// Scheme for names and order of the landmarks instead: ceph, hand, chest, or a landmarks.toml (docs/schemes.md)
    #[arg(long, value_name = "SCHEME", conflicts_with = "names")]
    scheme: Option<PathBuf>,
}

#[derive(Serialize)]
struct Converted {
    format: &'static str,
    images: usize,
    landmarks: usize,
    files: Vec<String>,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let Some(Format(format)) = options.format.or_else(|| LandmarkFormat::of_name(&options.out).map(Format))
    else {
        bail!("{}: its name does not tell the format; give --format", shown(&options.out));
    };
    let needs_images = format.states_size() || format.is_physical();
    if needs_images && !options.source.has_images() {
        bail!("{format} files go by the size of the images or by their place; give --images");
    }
    let given_names: Vec<String> = match &options.scheme {
        Some(scheme) => Scheme::load(scheme)?.names(),
        None => options.names.iter().map(|name| name.trim().to_owned()).collect(),
    };
    let volume = options.volume_spacing.as_deref();
    let volume = volume.map(|values| spacing::of_option("--volume-spacing", values)).transpose()?;
    let Read { all, known, coco, given } = options.source.read(&options.files, &given_names, volume)?;
    let by_name = KnownImage::by_name(&known);
    let images = all.images.iter().map(|(image, marks)| {
        annotated(image, marks, given.as_ref(), by_name.get(&normal_name(image)).copied())
    });
    let images: Vec<Annotated<'_>> = images.collect();
    for lost in not_kept(format, &images) {
        output::warn(&lost);
    }
    let of_files = given_names.is_empty() && format.has_one_order();
    let names = if of_files { all.names.as_slice() } else { &given_names };
    let files = write(options, format, &images, &WriteOptions { names, coco: coco.as_ref() }, &known)?;
    spacing::warn_of_other_mm(format, &images);
    report.text(&files.join("\n"))?;
    report.json(&Converted {
        format: format.key(),
        images: images.len(),
        landmarks: images.iter().map(|image| image.landmarks.len()).sum(),
        files,
    })
}

/// Information of some images that a format does not keep.
pub(crate) fn not_kept(format: LandmarkFormat, images: &[Annotated<'_>]) -> Vec<String> {
    let occluded = |image: &Annotated<'_>| {
        image.landmarks.iter().filter(|landmark| landmark.visibility == Visibility::Occluded).count()
    };
    let occluded: usize = images.iter().map(occluded).sum();
    let absent: usize = images.iter().map(|image| image.absent.len()).sum();
    let mut lost = Vec::new();
    if occluded > 0 && !format.keeps_visibility() {
        lost.push(format!("{format} does not keep which landmarks are occluded ({occluded} are)"));
    }
    if absent > 0 && !format.keeps_absent() {
        lost.push(format!(
            "{format} does not keep which landmarks are absent ({absent} are); they are left out"
        ));
    }
    lost
}

fn annotated<'a>(
    image: &'a str,
    marks: &'a ImageLandmarks,
    given: Option<&'a PixelSpacing>,
    known: Option<&'a KnownImage>,
) -> Annotated<'a> {
    let ImageLandmarks { landmarks, absent, .. } = marks;
    let (size, spacing) = known.map_or(((0, 0), given), |known| (known.size, known.spacing.as_ref()));
    let placement = known.map(|known| known.placement);
    Annotated { image, size, spacing, placement, landmarks, absent }
}

/// Writes one file, or one per image; returns their names.
fn write(
    options: &Options,
    format: LandmarkFormat,
    images: &[Annotated<'_>],
    write: &WriteOptions<'_>,
    known: &[KnownImage],
) -> Result<Vec<String>> {
    let is_named = LandmarkFormat::of_name(&options.out).is_some() || options.out.extension().is_some();
    let folder = options.out.is_dir()
        || shown(&options.out).ends_with(['/', '\\'])
        || (format.is_of_one_image() && !is_named && !options.out.exists());
    if !folder || !format.is_of_one_image() {
        if folder {
            bail!("{}: a folder; name the file to write", shown(&options.out));
        }
        let bytes = encode_landmarks(format, images, write, &shown(&options.out))?;
        output::write(&options.out, &bytes)?;
        return Ok(vec![shown(&options.out)]);
    }
    let mut stems = known.iter().map(|known| known.stem.to_lowercase()).collect();
    // All are encoded before the first is written.
    let mut made = Vec::new();
    let by_name = KnownImage::by_name(known);
    for image in images {
        let stem = by_name.get(&normal_name(image.image)).map(|known| known.stem.clone());
        let stem = stem.unwrap_or_else(|| free_stem(Path::new(image.image), &mut stems));
        let path = options.out.join(format!("{stem}.{}", format.ending()));
        let bytes = encode_landmarks(format, std::slice::from_ref(image), write, &shown(&path))?;
        made.push((path, bytes));
    }
    output::make_folder(&options.out)?;
    let mut files = Vec::new();
    for (path, bytes) in made {
        output::write(&path, &bytes)?;
        files.push(shown(&path));
    }
    Ok(files)
}
