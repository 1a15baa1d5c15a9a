//! Templates that unlabelled images have a say in.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_infer::{Encoder, Looks, Sighting, Template, read_image, sha256_files};
use infomark_train::evaluate::draw;
use rayon::prelude::*;
use serde::Serialize;

use crate::inputs;
use crate::output::{self, file_name, shown};
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
/// Rounds: in the second one, what the first made of the templates looks for them.
const ROUNDS: usize = 2;
/// Random numbers of the draw.
const STREAM: u64 = 4;

impl Refine {
    /// The files that results must not take the place of.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        // Folders that can't be listed are told of when they are read.
        inputs::expand(&self.images)
            .map(|inputs| inputs.into_iter().map(|input| input.path).collect())
            .unwrap_or_default()
    }

    /// The templates as they are, or refined, on the threads of the caller's pool. The image of a template has no say in it.
    ///
    /// Images that can't be read or show something else are left out with a warning; none at all left is an error.
    pub(crate) fn apply(
        &self,
        encoder: &Encoder,
        templates: Vec<Template>,
        looks: Looks,
    ) -> Result<(Vec<Template>, Option<RefinedWith>)> {
        if self.images.is_empty() {
            return Ok((templates, None));
        }
        let folder = self.images.iter().map(|path| shown(path)).collect::<Vec<_>>().join(", ");
        if let Some(done) = templates.iter().find(|template| template.refined_on() > 0) {
            bail!("--refine: template {} is refined already; make it again from its image", done.image());
        }
        if let Some(missing) = self.images.iter().find(|path| !path.exists()) {
            bail!("--refine {}: no such file or folder; check the spelling", shown(missing));
        }
        let inputs = inputs::expand(&self.images)?;
        let count = self.count.unwrap_or(IMAGES).min(inputs.len());
        if count == 0 {
            bail!("--refine-images 0: at least one image is needed; leave --refine out to refine nothing");
        }
        let mut paths: Vec<PathBuf> = draw(count, inputs.len(), 0, STREAM)
            .into_iter()
            .map(|index| inputs[index].path.clone())
            .collect();
        let problems: Vec<_> = paths.par_iter().map(|path| read_image(path).err()).collect();
        for problem in problems.iter().flatten() {
            output::warn(format_args!("--refine: left out: {problem}"));
        }
        let mut problems = problems.iter();
        paths.retain(|_| problems.next().is_some_and(Option::is_none));
        let progress = Progress::new((ROUNDS * paths.len()) as u64, "refining");
        let mut refined = templates.clone();
        for _ in 0..ROUNDS {
            let one = |path: &PathBuf| -> Result<Vec<Option<Sighting>>> {
                let encoding = encoder.encode_with(&read_image(path)?, looks)?;
                let sight = |template: &Template| {
                    if is_own(template, path) { Ok(None) } else { template.sight(&encoding).map(Some) }
                };
                let sightings = refined.iter().map(sight).collect::<Result<_, _>>()?;
                progress.advance();
                Ok(sightings)
            };
            let rows = paths.par_iter().map(one).collect::<Result<Vec<_>>>()?;
            let column = |(index, template): (usize, &Template)| {
                let sightings: Vec<Sighting> = rows.iter().filter_map(|row| row[index].clone()).collect();
                template.refined(&sightings)
            };
            refined = templates.iter().enumerate().map(column).collect();
        }
        progress.finish();
        if let Some(alone) = refined.iter().find(|template| template.refined_on() == 0) {
            bail!(
                "--refine {folder}: none of {} images shows what template {} does; give images of the same kind",
                paths.len(),
                alone.image()
            );
        }
        let with = RefinedWith { images: paths.len(), images_sha256: sha256_files(&paths)? };
        Ok((refined, Some(with)))
    }
}

/// Whether a path is a template's own image: that file, or one of its name where only that is known, as of template files.
fn is_own(template: &Template, path: &Path) -> bool {
    let image = Path::new(template.image());
    if image.is_file() {
        inputs::identity(image) == inputs::identity(path)
    } else {
        file_name(image) == file_name(path)
    }
}
