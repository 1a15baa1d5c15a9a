//! Options of commands that read landmark files of any format.

use std::path::PathBuf;

use anyhow::{Result, anyhow};
use infomark_core::Spacing;
use infomark_infer::{
    CocoIndex, CollectedLandmarks, KnownImage, LandmarkSources, LandmarkSourcesError, PixelSpacing,
    ReadLandmarks,
};

use crate::output;
use crate::spacing;

/// Information that landmark files lack.
#[derive(clap::Args)]
pub(crate) struct Source {
    /// Image of a file without image names: one file of 3D Slicer or ISBI text
    #[arg(long, value_name = "NAME")]
    image: Option<String>,
    /// COCO file that defines the ids of COCO results
    #[arg(long, value_name = "FILE")]
    coco: Option<PathBuf>,
    /// Images, or folders of them
    #[arg(long, value_name = "IMAGES", num_args = 1..)]
    images: Vec<PathBuf>,
    /// True millimetres per pixel across and down, for all images, overriding their files; markups for
    /// 3D Slicer note where Slicer uses others
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    spacing: Option<Vec<f64>>,
    /// Whether images without landmarks may be unreadable.
    #[arg(skip)]
    tolerant: bool,
}

/// Landmark files, with the information used to read them.
pub(crate) struct Read {
    pub(crate) all: CollectedLandmarks,
    /// The images given, in order.
    pub(crate) known: Vec<KnownImage>,
    pub(crate) coco: Option<CocoIndex>,
    /// The pixel size, if given.
    pub(crate) given: Option<PixelSpacing>,
}

impl Source {
    /// For commands with other names of these options, where images without landmarks may be unreadable.
    pub(crate) fn of(images: Vec<PathBuf>, spacing: Option<Vec<f64>>) -> Self {
        Self { image: None, coco: None, images, spacing, tolerant: true }
    }

    /// Names of the options that may state the pixel size, besides those given.
    pub(crate) fn for_mm(&self) -> &'static str {
        if self.has_images() { "--spacing X Y" } else { "--images or --spacing X Y" }
    }

    /// Whether images are given.
    pub(crate) fn has_images(&self) -> bool {
        !self.images.is_empty()
    }

    /// Reads the landmarks of some files; `names` are those of ISBI text, `volume_mm` is the spacing of 3D Slicer's volumes, if given.
    pub(crate) fn read(
        &self,
        files: &[PathBuf],
        names: &[String],
        volume_mm: Option<Spacing>,
    ) -> Result<Read> {
        let given = self.spacing.as_deref().map(spacing::given).transpose()?;
        let sources = LandmarkSources {
            image: self.image.clone(),
            coco: self.coco.clone(),
            images: self.images.clone(),
            spacing: given.clone(),
            of_these_alone: false,
            tolerant: self.tolerant,
        };
        let read = sources.read(files, names, volume_mm, &mut output::warn);
        let ReadLandmarks { all, known, coco } = read.map_err(|error| match error {
            LandmarkSourcesError::OneImage { .. } | LandmarkSourcesError::NoSuchImage { .. } => {
                anyhow!("--{error}")
            }
            other => other.into(),
        })?;
        Ok(Read { all, known, coco, given })
    }
}
