//! `infomark convert`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_infer::{
    Annotated, Landmark, LandmarkFormat, PixelSpacing, Placement, Subject, encode_landmarks,
    read_image_header, read_landmarks_of,
};
use serde::Serialize;

use crate::inputs;
use crate::output::{self, Report, file_name, shown};
use crate::spacing;

/// A landmark format by name.
#[derive(Clone, Copy, Debug, PartialEq, clap::ValueEnum)]
pub(crate) enum Format {
    /// A table: image,landmark,x,y
    Csv,
    /// 3D Slicer markups, a file for each image
    Slicer,
    /// COCO key points, one file
    Coco,
    /// LabelMe points, a file for each image
    Labelme,
    /// ISBI challenge text, a file for each image
    Isbi,
}

impl Format {
    pub(crate) fn format(self) -> LandmarkFormat {
        match self {
            Self::Csv => LandmarkFormat::Csv,
            Self::Slicer => LandmarkFormat::Slicer,
            Self::Coco => LandmarkFormat::Coco,
            Self::Labelme => LandmarkFormat::LabelMe,
            Self::Isbi => LandmarkFormat::Isbi,
        }
    }

    pub(crate) fn of(format: LandmarkFormat) -> Self {
        match format {
            LandmarkFormat::Slicer => Self::Slicer,
            LandmarkFormat::Coco => Self::Coco,
            LandmarkFormat::LabelMe => Self::Labelme,
            LandmarkFormat::Isbi => Self::Isbi,
            _ => Self::Csv,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Slicer => "slicer",
            Self::Coco => "coco",
            Self::Labelme => "labelme",
            Self::Isbi => "isbi",
        }
    }
}

/// Convert landmark files: CSV, 3D Slicer markups, COCO, LabelMe, ISBI text.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    after_help = "\
Examples:
  infomark convert marked/*.mrk.json --images radiographs/ --out points.csv
  infomark convert points.csv --images radiographs/ --format slicer --out markups/
  infomark convert points.csv --images radiographs/ --format coco --out points.json

What the files are is told by their content. 3D Slicer markups and ISBI text belong to the image of the
same name but for the ending. Of images that share a name or differ in the ending alone, the second is
`name-2` and so on, as in results of `infomark match`: give the same --images in the same order. --images gives the size of the images, and where
3D Slicer places them: what its millimetres are goes by the files, with the rule of ITK, which it reads them with, whatever the
true size of a pixel is (docs/formats.md). Formats of one image a file are written into a folder."
)]
pub(crate) struct Options {
    /// Landmark files
    #[arg(required = true, value_name = "FILES")]
    files: Vec<PathBuf>,
    /// File to write, or folder for formats of one image a file
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// What to write [default: by the ending of --out: .csv, .mrk.json or .txt]
    #[arg(long, value_name = "FORMAT")]
    format: Option<Format>,
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
    /// Names of the landmarks of ISBI text, in its order [default: 1, 2, ...]
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
    /// What tables call it.
    name: String,
    /// What files of its own are called.
    stem: String,
    /// The last part of its path.
    file: String,
    size: (usize, usize),
    spacing: Option<PixelSpacing>,
    /// In 3D Slicer.
    placement: Placement,
}

pub(crate) fn run(options: &Options, report: &Report) -> Result<()> {
    let Some(format) = options.format.map(Format::format).or_else(|| LandmarkFormat::of_name(&options.out))
    else {
        bail!("{}: its name does not tell the format; give --format", shown(&options.out));
    };
    let given = options.spacing.as_deref().map(spacing::given).transpose()?;
    let known = known(options, given.as_ref())?;
    let needs_images =
        matches!(format, LandmarkFormat::Coco | LandmarkFormat::LabelMe | LandmarkFormat::Slicer);
    if needs_images && known.is_empty() {
        bail!("{format} files go by the size of the images or by their place; give --images");
    }
    let landmarks = read(options, &known)?;
    let images: Vec<Annotated<'_>> = landmarks
        .iter()
        .map(|(image, landmarks)| annotated(image, landmarks, given.as_ref(), &known, needs_images))
        .collect::<Result<_>>()?;
    let files = write(options, format, &images, &known)?;
    spacing::warn_of_other_mm(format, &images);
    report.text(&files.join("\n"))?;
    report.json(&Converted {
        format: Format::of(format).name(),
        images: images.len(),
        landmarks: landmarks.values().map(Vec::len).sum(),
        files,
    })
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
            name: input.label,
            stem: input.stem,
            file: file_name(&input.path),
            size: (header.width, header.height),
            spacing: given.cloned().or(header.spacing),
        })
    };
    inputs::expand(&options.images)?.into_iter().map(known).collect()
}

/// The landmarks of all files, by image.
fn read(options: &Options, known: &[Known]) -> Result<BTreeMap<String, Vec<Landmark>>> {
    let mut all = BTreeMap::<String, Vec<Landmark>>::new();
    for path in &options.files {
        let image = image_of(path, known);
        let subject = Subject {
            image: image.map(|image| image.name.as_str()),
            placement: image.map(|image| image.placement),
            names: &options.names,
        };
        let file = read_landmarks_of(path, &subject)?;
        for (name, landmarks) in file.images() {
            // A file may call its image by a name that several images have.
            let own = image.filter(|own| own.file == name);
            let image = known.iter().find(|known| known.name == name).or(own);
            if let Some(known) = image {
                file.on_image(name, known.size.0, known.size.1)?;
            }
            let label = image.map_or(name, |image| image.name.as_str());
            if all.insert(label.to_owned(), landmarks.to_vec()).is_some() {
                bail!("{}: landmarks of {label} are in another file as well; leave one out", shown(path));
            }
        }
    }
    Ok(all)
}

/// The image whose name a landmark file shares but for the ending.
fn image_of<'a>(path: &Path, known: &'a [Known]) -> Option<&'a Known> {
    let name = file_name(path);
    let shared = |image: &&Known| name.strip_prefix(&image.stem).is_some_and(|rest| rest.starts_with('.'));
    // The longest name: `a.b.txt` belongs to `a.b.png`, not to `a.png`.
    known.iter().filter(shared).max_by_key(|image| image.stem.len())
}

fn annotated<'a>(
    image: &'a str,
    landmarks: &'a [Landmark],
    given: Option<&'a PixelSpacing>,
    known: &'a [Known],
    needed: bool,
) -> Result<Annotated<'a>> {
    let Some(found) = known.iter().find(|known| known.name == image) else {
        if needed {
            bail!("{image}: no such image among those of --images; add it");
        }
        return Ok(Annotated { image, size: (0, 0), spacing: given, placement: None, landmarks });
    };
    let (spacing, placement) = (found.spacing.as_ref(), Some(found.placement));
    Ok(Annotated { image, size: found.size, spacing, placement, landmarks })
}

/// Writes one file, or one for each image; their names.
fn write(
    options: &Options,
    format: LandmarkFormat,
    images: &[Annotated<'_>],
    known: &[Known],
) -> Result<Vec<String>> {
    let folder = options.out.is_dir() || shown(&options.out).ends_with(['/', '\\']);
    if !folder || !format.is_of_one_image() {
        if folder {
            bail!("{}: a folder; name the file to write", shown(&options.out));
        }
        let bytes = encode_landmarks(format, images, &shown(&options.out))?;
        output::write(&options.out, &bytes)?;
        return Ok(vec![shown(&options.out)]);
    }
    output::make_folder(&options.out)?;
    let mut files = Vec::new();
    let mut stems = known.iter().map(|known| known.stem.to_lowercase()).collect();
    for image in images {
        let stem = known.iter().find(|known| known.name == image.image).map(|known| known.stem.clone());
        let stem = stem.unwrap_or_else(|| inputs::free_stem(Path::new(image.image), &mut stems));
        let path = options.out.join(format!("{stem}.{}", format.ending()));
        output::write(&path, &encode_landmarks(format, std::slice::from_ref(image), &shown(&path))?)?;
        files.push(shown(&path));
    }
    Ok(files)
}
