//! Landmark files of any format, read together, with the images that they are of.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_core::Spacing;
use infomark_infer::{
    CocoIndex, ImageContext, Landmark, LandmarkFile, LandmarkFormat, OUTSIDE_MARGIN, PixelSpacing, Placement,
    Reliability, is_same_name, normal_name, read_image_header, read_landmarks_of,
};

use crate::inputs;
use crate::output::{self, file_name, shown};
use crate::spacing;

/// What landmark files leave open.
#[derive(clap::Args)]
pub(crate) struct Source {
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
    /// Whether landmarks of images that are none of `images` are left out.
    #[arg(skip)]
    of_these_alone: bool,
}

/// An image that landmarks may belong to.
pub(crate) struct Known {
    /// Name in tables.
    pub(crate) name: String,
    /// Stem of files of its own.
    pub(crate) stem: String,
    /// Last part of its path.
    file: String,
    pub(crate) size: (usize, usize),
    pub(crate) spacing: Option<PixelSpacing>,
    /// In 3D Slicer.
    pub(crate) placement: Placement,
}

/// The landmarks of all files.
#[derive(Default)]
pub(crate) struct All {
    /// Names in the order of the files.
    pub(crate) names: Vec<String>,
    pub(crate) images: BTreeMap<String, Marks>,
}

/// The landmarks of an image.
pub(crate) struct Marks {
    pub(crate) landmarks: Vec<Landmark>,
    /// Of each landmark.
    pub(crate) reliability: Vec<Reliability>,
    pub(crate) absent: Vec<String>,
}

/// Files with what was known to read them.
pub(crate) struct Read {
    pub(crate) all: All,
    /// The images that were named, in order.
    pub(crate) known: Vec<Known>,
    pub(crate) coco: Option<CocoIndex>,
    /// Size of the pixels, where it was given.
    pub(crate) given: Option<PixelSpacing>,
}

impl Source {
    /// For images that are named otherwise.
    pub(crate) fn of(images: Vec<PathBuf>, spacing: Option<Vec<f64>>) -> Self {
        Self { image: None, coco: None, images, spacing, of_these_alone: false }
    }

    /// Files with landmarks of these images; those of others are left out.
    pub(crate) fn of_images(images: Vec<PathBuf>) -> Self {
        Self { image: None, coco: None, images, spacing: None, of_these_alone: true }
    }

    /// Whether images were named.
    pub(crate) fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// The size of pixels that was given.
    pub(crate) fn given_spacing(&self) -> Result<Option<PixelSpacing>> {
        self.spacing.as_deref().map(spacing::given).transpose()
    }

    /// The landmarks of some files; `names` are those of ISBI text, `volume_mm` is the spacing of 3D Slicer's volumes where it is given.
    pub(crate) fn read(
        &self,
        files: &[PathBuf],
        names: &[String],
        volume_mm: Option<Spacing>,
    ) -> Result<Read> {
        let given = self.given_spacing()?;
        let known = self.known(given.as_ref(), volume_mm)?;
        let coco = self.coco.as_deref().map(CocoIndex::read).transpose()?;
        let all = self.landmarks(files, names, &known, coco.as_ref())?;
        Ok(Read { all, known, coco, given })
    }

    fn known(&self, given: Option<&PixelSpacing>, volume_mm: Option<Spacing>) -> Result<Vec<Known>> {
        let known = |input: inputs::Input| {
            let header = read_image_header(&input.path)?;
            let placement = match (header.placement, volume_mm) {
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
        inputs::expand(&self.images)?.into_iter().map(known).collect()
    }

    /// The landmarks of all files, by image.
    fn landmarks(
        &self,
        files: &[PathBuf],
        names: &[String],
        known: &[Known],
        coco: Option<&CocoIndex>,
    ) -> Result<All> {
        let by_name = by_name(known);
        let mut all = All::default();
        let mut seen = HashSet::new();
        let mut outside = 0;
        for path in files {
            let image = self.own_image(path, files.len(), known)?;
            let subject = ImageContext {
                image: image.map(|image| image.name.as_str()).or(self.image.as_deref()),
                placement: image.map(|image| image.placement),
                names,
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
                } else if self.of_these_alone {
                    continue;
                } else if !known.is_empty() {
                    bail!(
                        "{}: there is no image {name} among those of --images; add it, or correct the name",
                        shown(path)
                    );
                }
                let label = image.map_or(name, |image| image.name.as_str());
                let marks = Marks {
                    landmarks: landmarks.to_vec(),
                    reliability: file.reliability(name).to_vec(),
                    absent: file.absent(name).to_vec(),
                };
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

    /// The image that a file without names belongs to: the one of --image, or that whose name it shares but for the ending.
    fn own_image<'a>(&self, path: &Path, files: usize, known: &'a [Known]) -> Result<Option<&'a Known>> {
        let Some(image) = &self.image else {
            return Ok(image_of(path, known));
        };
        if files > 1 {
            bail!("--image names the image of one file, but there are {files}");
        }
        let own = known.iter().find(|known| is_same_name(&known.name, image));
        if own.is_none() && !known.is_empty() {
            bail!("--image {image}: no such image among those of --images; add it, or correct the name");
        }
        Ok(own)
    }
}

/// The images by name, in Unicode NFC.
pub(crate) fn by_name(known: &[Known]) -> HashMap<Cow<'_, str>, &Known> {
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
