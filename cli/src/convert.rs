//! `infomark convert`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::ValueEnum;
use clap::builder::PossibleValue;
use infomark_infer::{
    Annotated, CocoIndex, Landmark, LandmarkFile, LandmarkFormat, OUTSIDE_MARGIN, PixelSpacing, Placement,
    Subject, Visibility, WriteOptions, encode_landmarks, is_same_name, normal_name, read_image_header,
    read_landmarks_of,
};
use serde::Serialize;

use crate::inputs;
use crate::output::{self, Report, file_name, shown};
use crate::spacing;

/// A landmark format by its key.
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

The format of a file is told by its content. 3D Slicer files and ISBI text belong to the image of the
same name but for the ending, or to the one that --image names. Of images that share a name or differ in the ending alone, the second is
`name-2` and so on, as in results of `infomark match`: give the same --images in the same order. --images gives the size of the images, and where
3D Slicer places them: its millimetres go by the files, with the rule of ITK, which it reads them with, whatever the
true size of a pixel is (docs/formats.md). Formats of one image a file are written into a folder."
)]
pub(crate) struct Options {
    /// Landmark files
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// File to write, or folder for formats of one image a file
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Format to write [default: by the ending of --out, but for .json]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
    /// Name of the image that a file belongs to which names none: one file of 3D Slicer or ISBI text
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// COCO file whose images and categories COCO results refer to
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,
    /// The images, or folders of them
    #[arg(long, value_name = "IMAGES", num_args = 1..)]
    images: Vec<PathBuf>,
    /// True millimetres per pixel across and down, for all images, instead of what their files state; markups for
    /// 3D Slicer say where Slicer takes others
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    spacing: Option<Vec<f64>>,
    /// Spacing of the volumes across and down that 3D Slicer's module Volumes shows, where it is another than that of
    /// ITK 5.4, such as where somebody changed it; for all images
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    volume_spacing: Option<Vec<f64>>,
    /// Names of the landmarks in order. ISBI text, which has no names, is read and written with these
    /// [default: read as 1, 2, ...; written in the order of the files]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    names: Vec<String>,
}

#[derive(Serialize)]
struct Converted {
    format: &'static str,
    images: usize,
    landmarks: usize,
    files: Vec<String>,
}

/// An image that landmarks may belong to.
struct Known {
    /// Name in tables.
    name: String,
    /// Stem of files of its own.
    stem: String,
    /// Last part of its path.
    file: String,
    size: (usize, usize),
    spacing: Option<PixelSpacing>,
    /// In 3D Slicer.
    placement: Placement,
}

/// The landmarks of all files.
#[derive(Default)]
struct All {
    /// Names in the order of the files.
    names: Vec<String>,
    images: BTreeMap<String, Marks>,
}

struct Marks {
    landmarks: Vec<Landmark>,
    absent: Vec<String>,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let Some(Format(format)) = options.format.or_else(|| LandmarkFormat::of_name(&options.out).map(Format))
    else {
        bail!("{}: its name does not tell the format; give --format", shown(&options.out));
    };
    let given = options.spacing.as_deref().map(spacing::given).transpose()?;
    let known = known(options, given.as_ref())?;
    let needs_images = format.states_size() || format.is_physical();
    if needs_images && known.is_empty() {
        bail!("{format} files go by the size of the images or by their place; give --images");
    }
    let coco = options.coco.as_deref().map(CocoIndex::read).transpose()?;
    let given_names: Vec<String> = options.names.iter().map(|name| name.trim().to_owned()).collect();
    let all = read(options, &given_names, &known, coco.as_ref())?;
    let by_name = by_name(&known);
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

/// What a format to be written does not keep of some images.
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

fn known(options: &Options, given: Option<&PixelSpacing>) -> Result<Vec<Known>> {
    let volume = options.volume_spacing.as_deref();
    let volume = volume.map(|values| spacing::of_option("--volume-spacing", values)).transpose()?;
    let known = |input: inputs::Input| {
        let header = read_image_header(&input.path)?;
        let placement = match (header.placement, volume) {
            (Ok(geometry), Some(mm)) => geometry.with_spacing(mm.x, mm.y),
            (placement, _) => placement,
        };
        Ok(Known {
            placement,
            stem: input.stem().into_owned(),
            name: input.label,
            file: file_name(&input.path),
            size: (header.width, header.height),
            spacing: given.cloned().or(header.spacing),
        })
    };
    inputs::expand(&options.images)?.into_iter().map(known).collect()
}

/// The landmarks of all files, by image.
fn read(options: &Options, given_names: &[String], known: &[Known], coco: Option<&CocoIndex>) -> Result<All> {
    let by_name = by_name(known);
    let mut all = All::default();
    let mut seen = HashSet::new();
    let mut outside = 0;
    for path in &options.files {
        let image = own_image(options, path, known)?;
        let subject = Subject {
            image: image.map(|image| image.name.as_str()).or(options.image.as_deref()),
            placement: image.map(|image| image.placement),
            names: given_names,
            coco,
        };
        let file = read_landmarks_of(path, &subject)?;
        for name in file.names() {
            if seen.insert(name.clone()) {
                all.names.push(name.clone());
            }
        }
        for (name, landmarks) in file.images() {
            // A file may call its image by a name that several images have.
            let own = image.filter(|own| is_same_name(&own.file, name));
            let image = by_name.get(&normal_name(name)).copied().or(own);
            if let Some(known) = image {
                outside += check(&file, name, known)?;
            } else if !known.is_empty() {
                bail!(
                    "{}: there is no image {name} among those of --images; add it, or correct the name",
                    shown(path)
                );
            }
            let label = image.map_or(name, |image| image.name.as_str());
            let marks = Marks { landmarks: landmarks.to_vec(), absent: file.absent(name).to_vec() };
            if all.images.insert(label.to_owned(), marks).is_some() {
                bail!("{}: landmarks of {label} are in another file as well; leave one out", shown(path));
            }
        }
    }
    if outside > 0 {
        output::warn(format_args!("landmarks just outside their image: {outside}; they are kept"));
    }
    Ok(all)
}

/// The images by name, in Unicode NFC.
fn by_name(known: &[Known]) -> HashMap<Cow<'_, str>, &Known> {
    known.iter().map(|known| (normal_name(&known.name), known)).collect()
}

/// Checks the landmarks of an image against its size; how many lie just outside it.
fn check(file: &LandmarkFile, name: &str, known: &Known) -> Result<usize> {
    let (width, height) = known.size;
    if file.get(name).is_empty() {
        return Ok(0);
    }
    let margin = OUTSIDE_MARGIN * width.max(height) as f64;
    let landmarks = file.near_image(name, width, height, margin)?;
    Ok(landmarks.iter().filter(|landmark| !landmark.is_near(width, height, 0.0)).count())
}

/// The image that a file without names belongs to: the one of --image, or that whose name it shares but for the ending.
fn own_image<'a>(options: &Options, path: &Path, known: &'a [Known]) -> Result<Option<&'a Known>> {
    let Some(image) = &options.image else {
        return Ok(image_of(path, known));
    };
    if options.files.len() > 1 {
        bail!("--image names the image of one file, but there are {}", options.files.len());
    }
    let own = known.iter().find(|known| is_same_name(&known.name, image));
    if own.is_none() && !known.is_empty() {
        bail!("--image {image}: no such image among those of --images; add it, or correct the name");
    }
    Ok(own)
}

/// The image whose name a landmark file shares but for the ending.
fn image_of<'a>(path: &Path, known: &'a [Known]) -> Option<&'a Known> {
    let name = file_name(path);
    let name = normal_name(&name);
    let shared = |image: &&Known| {
        let is_ending = |rest: &str| {
            let rest = rest.to_lowercase();
            LandmarkFormat::ALL.iter().any(|format| rest.strip_prefix('.') == Some(format.ending()))
        };
        let of_stem = |stem: &str| name.strip_prefix(stem).is_some_and(is_ending);
        // The stem of `a.nii.gz` is `a.nii`.
        let stem = normal_name(&image.stem);
        of_stem(&stem) || stem.strip_suffix(".nii").is_some_and(of_stem)
    };
    // The longest name: `a.b.txt` belongs to `a.b.png`, not to `a.png`.
    known.iter().filter(shared).max_by_key(|image| image.stem.len())
}

fn annotated<'a>(
    image: &'a str,
    marks: &'a Marks,
    given: Option<&'a PixelSpacing>,
    known: Option<&'a Known>,
) -> Annotated<'a> {
    let Marks { landmarks, absent } = marks;
    let (size, spacing) = known.map_or(((0, 0), given), |known| (known.size, known.spacing.as_ref()));
    let placement = known.map(|known| known.placement);
    Annotated { image, size, spacing, placement, landmarks, absent }
}

/// Writes one file, or one for each image; their names.
fn write(
    options: &Options,
    format: LandmarkFormat,
    images: &[Annotated<'_>],
    write: &WriteOptions<'_>,
    known: &[Known],
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
    // All are made before the first is written.
    let mut made = Vec::new();
    let by_name = by_name(known);
    for image in images {
        let stem = by_name.get(&normal_name(image.image)).map(|known| known.stem.clone());
        let stem = stem.unwrap_or_else(|| inputs::free_stem(Path::new(image.image), &mut stems));
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
