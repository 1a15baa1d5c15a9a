//! Detector of a review: an encoder with its templates, given at the start, chosen, or trained on the page.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Result;
use infomark_infer::{Encoder, Ensemble, EnsembleFile, Landmark, Matcher, PixelSpacing, Template, sha256};
use infomark_results::{EncoderRecord, TemplateRecord};
use rayon::ThreadPool;

use super::images::{self, Known};
use super::lock;
use crate::inputs;
use crate::models::RuntimeOptions;
use crate::templates::Given;

/// Maximum number of templates matched together: time grows with them, while the gain of each falls.
pub(super) const MOST_TEMPLATES: usize = 8;

/// Options of an [`Engine`].
#[derive(Clone, Debug)]
pub(super) struct EngineOptions {
    pub(super) runtime: RuntimeOptions,
    /// 0 uses all cores.
    pub(super) threads: usize,
    pub(super) fix_orientation: bool,
    pub(super) spacing: Option<PixelSpacing>,
}

impl EngineOptions {
    /// An engine with the encoder of a file, or a bundled one, and template files.
    pub(super) fn engine(&self, path: &Path, templates: &[PathBuf]) -> Result<Engine> {
        let encoder = Arc::new(self.runtime.encoder(path)?);
        let pool = inputs::pool(self.threads)?;
        let (given, sources) = if templates.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            let files = Given { templates: templates.to_vec(), ..Given::default() };
            pool.install(|| files.read(&encoder, self.spacing.as_ref(), None))?
        };
        // Errors are reported now, not when matching begins.
        if !given.is_empty() {
            Matcher::new(Arc::clone(&encoder), given.clone())?;
        }
        let model = EncoderRecord::of(&encoder, path);
        let (path, fix_orientation, spacing) = (path.to_owned(), self.fix_orientation, self.spacing.clone());
        let made = Mutex::default();
        let detector = None;
        Ok(Engine { encoder, path, model, given, sources, detector, fix_orientation, spacing, pool, made })
    }

    /// An engine with an encoder, and with its own templates and landmark networks if it is that of a file of a whole model, or bundled
    /// and of exactly these landmarks.
    pub(super) fn engine_for<S: AsRef<str>>(&self, path: &Path, names: &[S]) -> Result<Engine> {
        if EnsembleFile::is_at(path) {
            return self.engine_of_file(path);
        }
        let named = |landmark: &String| names.iter().any(|name| name.as_ref() == landmark);
        let own = infomark_models::named(path);
        let own = match own {
            Some(model) if model.template()?.landmarks().iter().all(named) => model,
            _ => return self.engine(path, &[]),
        };
        let engine = self.engine(path, &[path.to_owned()])?;
        let detector = own.landmark_net.map(|_| own.ensemble()).transpose()?;
        Ok(Engine { detector, ..engine })
    }

    /// An engine with the encoder, templates and networks of a file of a whole model.
    fn engine_of_file(&self, path: &Path) -> Result<Engine> {
        let engine = self.engine(path, &[])?;
        let EnsembleFile { ensemble, .. } = EnsembleFile::load(path)?;
        let given = ensemble.matcher().templates().to_vec();
        let record =
            |template: &Template| TemplateRecord::of(template, template.sha256(), TemplateRecord::FILE);
        let sources = given.iter().map(record).collect();
        Ok(Engine { given, sources, detector: Some(ensemble), ..engine })
    }

    /// Threads of background training: one less than cores, at least one.
    pub(super) fn background_threads(&self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let most = if self.threads == 0 { cores } else { self.threads };
        most.min(cores.saturating_sub(1)).max(1)
    }
}

/// Detector of a review.
pub(super) struct Engine {
    pub(super) encoder: Arc<Encoder>,
    /// The encoder's file, or the name of a bundled one.
    pub(super) path: PathBuf,
    pub(super) model: EncoderRecord,
    /// Given templates, in addition to those of the images.
    pub(super) given: Vec<Template>,
    pub(super) sources: Vec<TemplateRecord>,
    /// Templates and landmark networks of a bundled model, or of a file of a whole model.
    pub(super) detector: Option<Ensemble>,
    pub(super) fix_orientation: bool,
    pub(super) spacing: Option<PixelSpacing>,
    pub(super) pool: ThreadPool,
    /// Cached templates of images, by their content.
    made: Mutex<HashMap<String, (Template, String)>>,
}

impl Engine {
    /// An image of the review as template, and the hash of its file.
    pub(super) fn template_of(&self, known: &Known, points: &[Landmark]) -> Result<(Template, String)> {
        let (image, hash) = images::read(known, self.spacing.as_ref())?;
        let text: String =
            points.iter().map(|l| format!("{:?} {:?} {:?}\n", l.name, l.at.x, l.at.y)).collect();
        let key = sha256(format!("{hash}\n{text}").as_bytes());
        if let Some(made) = lock(&self.made).get(&key) {
            return Ok(made.clone());
        }
        let made = (Template::new(&self.encoder, &image, points)?, hash);
        let mut all = lock(&self.made);
        if all.len() >= 2 * MOST_TEMPLATES {
            all.clear();
        }
        all.insert(key, made.clone());
        Ok(made)
    }
}
