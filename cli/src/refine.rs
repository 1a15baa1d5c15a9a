//! Query expansion: template features averaged with their matches in unlabelled images.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use infomark_eval::draw;
use infomark_infer::{Encoder, RefineError, RefineStep, Template, refine_templates, sha256_files};
use serde::Serialize;

use crate::inputs;
use crate::output::{self, shown};
use crate::progress::Progress;

/// Whether, and with which images, templates are refined.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Refine {
    /// Refine the templates with unlabelled images of the same kind, such as those that the encoder was trained on: what a
    /// landmark looks like is then what they share, not what one image shows. Folders or images; landmarks in them are not read
    #[arg(id = "refine", long = "refine", value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// Take so many of these images, drawn at random [default: 100]
    #[arg(id = "refine_images", long = "refine-images", value_name = "N", requires = "refine")]
    count: Option<usize>,
}

/// What templates were refined with, as results tell it.
#[derive(Clone, Serialize)]
pub(crate) struct RefinedWith {
    images: usize,
    /// Of the images' bytes.
    images_sha256: String,
}

/// Images, unless told otherwise.
const IMAGES: usize = 100;
/// Random numbers of the draw.
const STREAM: u64 = 4;

impl Refine {
    /// With as many of these images as by default; none refines nothing.
    pub(crate) fn over(images: Vec<PathBuf>) -> Self {
        Self { images, count: None }
    }

    /// The files that results must not take the place of.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        // Folders that can't be listed are reported when they are read.
        inputs::expand(&self.images)
            .map(|inputs| inputs.into_iter().map(|input| input.path).collect())
            .unwrap_or_default()
    }

    /// The templates as they are, or refined, on as many threads as the caller's pool has. The image of a template has no say in it.
    ///
    /// Images that can't be read or show something else are left out with a warning; none at all left is an error.
    pub(crate) fn apply(
        &self,
        encoder: &Encoder,
        templates: Vec<Template>,
    ) -> Result<(Vec<Template>, Option<RefinedWith>)> {
        if self.images.is_empty() {
            return Ok((templates, None));
        }
        if let Some(missing) = self.images.iter().find(|path| !path.exists()) {
            bail!("--refine {}: no such file or folder; check the spelling", shown(missing));
        }
        let inputs = inputs::expand(&self.images)?;
        let count = self.count.unwrap_or(IMAGES).min(inputs.len());
        if count == 0 {
            bail!("--refine-images 0: at least one image is needed; leave --refine out to refine nothing");
        }
        let drawn = draw(count, inputs.len(), 0, STREAM).into_iter();
        let paths = drawn.filter_map(|index| Some(inputs.get(index)?.path.clone())).collect();
        let mut bar: Option<Progress> = None;
        let tell = &mut |step| match step {
            RefineStep::LeftOut(problem) => output::warn(format_args!("--refine: left out: {problem}")),
            RefineStep::Searched { done, total } => {
                bar.get_or_insert_with(|| Progress::new(0, "refining")).at(done, total);
            }
            _ => {}
        };
        let done = refine_templates(encoder, &templates, paths, rayon::current_num_threads(), tell);
        bar.into_iter().for_each(Progress::finish);
        let (refined, used) = done.map_err(|error| match error {
            RefineError::Already { .. } => anyhow!("--refine: {error}"),
            RefineError::Unlike { .. } => {
                let given: Vec<String> = self.images.iter().map(|path| shown(path)).collect();
                anyhow!("--refine {}: {error}", given.join(", "))
            }
            other => other.into(),
        })?;
        let with = RefinedWith { images: used.len(), images_sha256: sha256_files(&used)? };
        Ok((refined, Some(with)))
    }
}
