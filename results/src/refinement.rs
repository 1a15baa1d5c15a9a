//! Query expansion: template features averaged with their matches in unlabelled images.

use std::path::{Path, PathBuf};

use infomark_eval::draw;
use infomark_infer::{Encoder, RefineStep, Template, refine_templates, sha256_files};
use serde::Serialize;

use crate::ResultsError;

/// Random numbers of the draw.
const STREAM: u64 = 4;

/// Images that templates are refined with.
#[derive(Clone, Debug)]
pub struct Refinement {
    /// Their files.
    pub images: Vec<PathBuf>,
    /// So many of them are drawn at random.
    pub count: usize,
}

/// What templates were refined with, as results tell it.
#[derive(Clone, Debug, Serialize)]
pub struct RefinementRecord {
    images: usize,
    /// Of the images' bytes.
    images_sha256: String,
}

impl Refinement {
    /// Images, unless told otherwise.
    pub const IMAGES: usize = 100;

    /// With [`IMAGES`](Self::IMAGES) of these images.
    pub fn new(images: Vec<PathBuf>) -> Self {
        Self { images, count: Self::IMAGES }
    }

    /// The templates refined, on so many threads, 0 for all cores. The image of a template has no say in it.
    ///
    /// `told` is called for images that can't be read and are left out, and for those that were searched.
    ///
    /// # Errors
    /// [`ResultsError::NoImages`], [`ResultsError::Refine`], and when a file can't be hashed.
    pub fn apply(
        &self,
        encoder: &Encoder,
        templates: &[Template],
        threads: usize,
        told: &mut dyn FnMut(RefineStep),
    ) -> Result<(Vec<Template>, RefinementRecord), ResultsError> {
        let count = self.count.min(self.images.len());
        if count == 0 {
            return Err(ResultsError::NoImages);
        }
        let drawn = draw(count, self.images.len(), 0, STREAM).into_iter();
        let paths: Vec<PathBuf> = drawn.filter_map(|index| self.images.get(index).cloned()).collect();
        let (refined, used) = refine_templates(encoder, templates, paths, threads, told)?;
        let images = used.first().map_or(Path::new(""), PathBuf::as_path);
        let images_sha256 = sha256_files(&used).map_err(ResultsError::unreadable(images))?;
        Ok((refined, RefinementRecord { images: used.len(), images_sha256 }))
    }
}
