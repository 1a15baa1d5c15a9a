//! Reading of landmark files of any format together with their images.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};

use infomark_core::Spacing;

use crate::input_image::file_name;
use crate::{
    CocoIndex, ImageContext, ImageError, ImageHeader, InputImage, Landmark, LandmarkError, LandmarkFile,
    LandmarkFormat, OUTSIDE_MARGIN, PixelSpacing, Placement, Reliability, is_same_name, normal_name,
    read_image_header, read_landmarks_of,
};

/// Context of landmark files: what they do not state.
#[derive(Clone, Debug, Default)]
pub struct LandmarkSources {
    /// Name of the image of a file without image names.
    pub image: Option<String>,
    /// COCO file that defines the ids of COCO results.
    pub coco: Option<PathBuf>,
    /// The images, or folders of them; empty: files may be of any image.
    pub images: Vec<PathBuf>,
    /// Pixel size of all images, overriding their files.
    pub spacing: Option<PixelSpacing>,
    /// Whether landmarks of images not in `images` are ignored; else they are rejected.
    pub of_these_alone: bool,
    /// Whether unreadable images without landmarks are ignored; else the first is an error.
    pub tolerant: bool,
}

/// Unreadable images, by name in Unicode NFC.
type Unreadable = HashMap<String, ImageError>;

/// Image that landmarks may belong to.
#[derive(Clone, Debug)]
pub struct KnownImage {
    /// Name in tables.
    pub name: String,
    /// Unique stem for its files.
    pub stem: String,
    /// Last part of its path.
    file: String,
    /// Width and height in pixels.
    pub size: (usize, usize),
    /// Pixel size, if known.
    pub spacing: Option<PixelSpacing>,
    /// Placement in 3D Slicer.
    pub placement: Placement,
}

/// Landmarks of all files.
#[derive(Clone, Debug, Default)]
pub struct CollectedLandmarks {
    /// Names in the order of the files.
    pub names: Vec<String>,
    /// Landmarks by image name.
    pub images: BTreeMap<String, ImageLandmarks>,
}

/// Landmarks of an image.
#[derive(Clone, Debug)]
pub struct ImageLandmarks {
    /// Landmarks with a point.
    pub landmarks: Vec<Landmark>,
    /// Reliability of each landmark.
    pub reliability: Vec<Reliability>,
    /// Names of the absent landmarks.
    pub absent: Vec<String>,
}

/// Landmarks read from files, with their context.
#[derive(Debug)]
pub struct ReadLandmarks {
    /// The landmarks.
    pub all: CollectedLandmarks,
    /// The images given, in order.
    pub known: Vec<KnownImage>,
    /// The COCO file that defines the ids of results.
    pub coco: Option<CocoIndex>,
}

/// Why landmark files cannot be read together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandmarkSourcesError {
    /// A landmark file that cannot be read, or does not match its image.
    #[error(transparent)]
    Landmarks(#[from] LandmarkError),
    /// An image that cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Landmarks of an image that is not given.
    #[error("{}: there is no image {image} among the images given; add it, or correct the name", file.display())]
    UnknownImage {
        /// The landmark file.
        file: PathBuf,
        /// The image named.
        image: String,
    },
    /// Two files with landmarks of the same image.
    #[error("{}: landmarks of {image} are in another file as well; leave one out", file.display())]
    Twice {
        /// The second file.
        file: PathBuf,
        /// The image.
        image: String,
    },
    /// An image name for several files.
    #[error("image {image}: this names the image of one file, but there are {files}")]
    OneImage {
        /// The name.
        image: String,
        /// Number of landmark files.
        files: usize,
    },
    /// An image name that is not among the images given.
    #[error("image {image}: no such image among the images given; add it, or correct the name")]
    NoSuchImage {
        /// The name.
        image: String,
    },
}

impl LandmarkSources {
    /// Reads the landmarks of files; `names` are those of ISBI text, `volume_mm` is the spacing of 3D Slicer's volumes, if given.
    /// `warn` is called for DICOM files without an image, and for landmarks slightly outside their image, which are kept.
    ///
    /// # Errors
    /// [`LandmarkSourcesError`].
    pub fn read(
        &self,
        files: &[PathBuf],
        names: &[String],
        volume_mm: Option<Spacing>,
        warn: &mut dyn FnMut(String),
    ) -> Result<ReadLandmarks, LandmarkSourcesError> {
        let (known, unreadable) = self.known(volume_mm, warn)?;
        let coco = self.coco.as_deref().map(CocoIndex::read).transpose()?;
        let all = self.landmarks(files, names, (&known, unreadable, coco.as_ref()), warn)?;
        Ok(ReadLandmarks { all, known, coco })
    }

    fn known(
        &self,
        volume_mm: Option<Spacing>,
        warn: &mut dyn FnMut(String),
    ) -> Result<(Vec<KnownImage>, Unreadable), ImageError> {
        let known = |input: InputImage, header: ImageHeader| {
            let placement = match (header.placement, volume_mm) {
                (Ok(geometry), Some(mm)) => geometry.with_spacing(mm.x, mm.y),
                (placement, _) => placement,
            };
            KnownImage {
                placement,
                stem: input.stem().into_owned(),
                name: input.label,
                file: file_name(&input.path),
                size: (header.width, header.height),
                spacing: self.spacing.clone().or(header.spacing),
            }
        };
        let (mut all, mut unreadable) = (Vec::new(), Unreadable::new());
        for input in InputImage::expand(&self.images, warn)? {
            match read_image_header(&input.path) {
                Ok(header) => all.push(known(input, header)),
                Err(error) if self.tolerant => {
                    unreadable.insert(normal_name(&input.label).into_owned(), error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok((all, unreadable))
    }

    /// The landmarks of all files, by image.
    fn landmarks(
        &self,
        files: &[PathBuf],
        names: &[String],
        (known, mut unreadable, coco): (&[KnownImage], Unreadable, Option<&CocoIndex>),
        warn: &mut dyn FnMut(String),
    ) -> Result<CollectedLandmarks, LandmarkSourcesError> {
        let by_name = KnownImage::by_name(known);
        let mut all = CollectedLandmarks::default();
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
            // A file may refer to its image by a name that several images share.
            let of_name = |name: &str| {
                let own = image.filter(|own| is_same_name(&own.file, name));
                by_name.get(&normal_name(name)).copied().or(own)
            };
            for (name, _) in file.images() {
                if let Some(known) = of_name(name) {
                    outside += count_outside(&file, name, known)?;
                } else if let Some(error) = unreadable.remove(&*normal_name(name)) {
                    return Err(error.into());
                } else if !known.is_empty() && !self.of_these_alone {
                    let (file, image) = (path.clone(), name.to_owned());
                    return Err(LandmarkSourcesError::UnknownImage { file, image });
                }
            }
            for (name, landmarks) in file.into_images() {
                let image = of_name(&name);
                if image.is_none() && self.of_these_alone {
                    continue;
                }
                let label = image.map_or(name, |image| image.name.clone());
                if all.images.insert(label.clone(), landmarks).is_some() {
                    return Err(LandmarkSourcesError::Twice { file: path.clone(), image: label });
                }
            }
        }
        if outside > 0 {
            warn(format!("landmarks just outside their image: {outside}; they are kept"));
        }
        Ok(all)
    }

    /// The image of a file without image names: the one given, or the one with the same stem.
    fn own_image<'a>(
        &self,
        path: &Path,
        files: usize,
        known: &'a [KnownImage],
    ) -> Result<Option<&'a KnownImage>, LandmarkSourcesError> {
        let Some(image) = &self.image else {
            return Ok(image_of(path, known));
        };
        if files > 1 {
            return Err(LandmarkSourcesError::OneImage { image: image.clone(), files });
        }
        let own = known.iter().find(|known| is_same_name(&known.name, image));
        if own.is_none() && !known.is_empty() {
            return Err(LandmarkSourcesError::NoSuchImage { image: image.clone() });
        }
        Ok(own)
    }
}

impl KnownImage {
    /// Images by name, in Unicode NFC.
    pub fn by_name(known: &[Self]) -> HashMap<Cow<'_, str>, &Self> {
        known.iter().map(|known| (normal_name(&known.name), known)).collect()
    }
}

/// Checks the landmarks of an image against its size; returns the number slightly outside it.
fn count_outside(file: &LandmarkFile, name: &str, known: &KnownImage) -> Result<usize, LandmarkError> {
    let (width, height) = known.size;
    if file.get(name).is_empty() {
        return Ok(0);
    }
    let margin = OUTSIDE_MARGIN * width.max(height) as f64;
    let landmarks = file.near_image(name, width, height, margin)?;
    Ok(landmarks.iter().filter(|landmark| !landmark.is_near(width, height, 0.0)).count())
}

/// The image with the same stem as a landmark file.
fn image_of<'a>(path: &Path, known: &'a [KnownImage]) -> Option<&'a KnownImage> {
    let name = file_name(path);
    let name = normal_name(&name);
    let shared = |image: &&KnownImage| {
        let is_ending = |rest: &str| {
            let rest = rest.to_lowercase();
            LandmarkFormat::ALL.iter().any(|format| rest.strip_prefix('.') == Some(format.ending()))
        };
        let of_stem = |stem: &str| name.strip_prefix(stem).is_some_and(is_ending);
        // The stem of `a.nii.gz` is `a.nii`.
        let stem = normal_name(&image.stem);
        of_stem(&stem) || stem.strip_suffix(".nii").is_some_and(of_stem)
    };
    // The longest stem: `a.b.txt` belongs to `a.b.png`, not to `a.png`.
    known.iter().filter(shared).max_by_key(|image| image.stem.len())
}
