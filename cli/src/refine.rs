//! Query expansion: template features averaged with their matches in unlabelled images.

use std::path::PathBuf;

use anyhow::{Error, Result, anyhow, bail};
use infomark_infer::{Encoder, RefineError, RefineStep, Template};
use infomark_results::{Refinement, RefinementRecord, ResultsError};

use crate::inputs;
use crate::output::{self, shown};
use crate::progress::Progress;

/// Options of query expansion.
#[derive(clap::Args, Clone, Default)]
pub(crate) struct Refine {
    /// Refine the templates with unlabelled images of the same kind, e.g. those of the encoder's training (query expansion):
    /// features are averaged with their matches in these images. Folders or images; landmarks in
    /// them are not read
    #[arg(id = "refine", long = "refine", value_name = "IMAGES")]
    images: Vec<PathBuf>,
    /// Use N of these images, drawn at random [default: 100]
    #[arg(id = "refine_images", long = "refine-images", value_name = "N", requires = "refine")]
    count: Option<usize>,
}

impl Refine {
    /// The files that results must not overwrite.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        // Folders that cannot be listed are reported when they are read.
        inputs::expand(&self.images)
            .map(|inputs| inputs.into_iter().map(|input| input.path).collect())
            .unwrap_or_default()
    }

    /// The images for query expansion; `None` if not requested.
    pub(crate) fn images(&self) -> Result<Option<Refinement>> {
        if self.images.is_empty() {
            return Ok(None);
        }
        if let Some(missing) = self.images.iter().find(|path| !path.exists()) {
            bail!("--refine {}: no such file or folder; check the spelling", shown(missing));
        }
        let images = inputs::expand(&self.images)?.into_iter().map(|input| input.path).collect();
        let count = self.count.unwrap_or(Refinement::IMAGES);
        if count == 0 {
            bail!("--refine-images 0: at least one image is needed; leave --refine out to refine nothing");
        }
        Ok(Some(Refinement { images, count }))
    }

    /// The templates, refined if requested, on the current thread pool. A template's own image is not used for it.
    ///
    /// Images that cannot be read or show something else are skipped with a warning; it is an error if none remains.
    pub(crate) fn apply(
        &self,
        encoder: &Encoder,
        templates: Vec<Template>,
    ) -> Result<(Vec<Template>, Option<RefinementRecord>)> {
        let Some(refinement) = self.images()? else { return Ok((templates, None)) };
        let mut bar = RefineBar::default();
        let threads = rayon::current_num_threads();
        let done = refinement.apply(encoder, &templates, threads, &mut |step| bar.show(step));
        bar.finish();
        let (refined, record) = done.map_err(|error| self.refusal(error))?;
        Ok((refined, Some(record)))
    }

    /// Adds the command line options to an error.
    pub(crate) fn refusal(&self, error: ResultsError) -> Error {
        match error {
            ResultsError::Refine(RefineError::Already { .. }) => anyhow!("--refine: {error}"),
            ResultsError::Refine(RefineError::Unlike { .. }) => {
                let given: Vec<String> = self.images.iter().map(|path| shown(path)).collect();
                anyhow!("--refine {}: {error}", given.join(", "))
            }
            other => other.into(),
        }
    }
}

/// Progress bar of query expansion.
#[derive(Default)]
pub(crate) struct RefineBar(Option<Progress>);

impl RefineBar {
    /// Shows a step, and warns of skipped images.
    pub(crate) fn show(&mut self, step: RefineStep) {
        match step {
            RefineStep::LeftOut(problem) => output::warn(format_args!("--refine: left out: {problem}")),
            RefineStep::Searched { done, total } => {
                self.0.get_or_insert_with(|| Progress::new(0, "refining")).at(done, total);
            }
            _ => {}
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&mut self) {
        self.0.take().into_iter().for_each(Progress::finish);
    }
}
