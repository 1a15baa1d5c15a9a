//! One training of an experiment and its scores, from whatever is there of it already.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use infomark_eval::{ErrorTable, ImageErrors, Protocol, Run, random_sets};
use infomark_infer::{Encoder, FolderLock, FolderLockError, rounded, sha256};
use infomark_train::{ComputeOn, LandmarkPaths, Paths, resume, resume_landmarks, train, train_landmarks};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bench::{Bench, Place, name};
use super::recipe::Recipe;
use crate::evaluate::errors::{self, Row};
use crate::evaluate::{Job, NetworkJob};
use crate::files;
use crate::inputs;
use crate::matching::How;
use crate::output::{self, shown};
use crate::refine::Refine;
use crate::train::with_progress;

/// How far a training is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    New,
    Interrupted,
    Trained,
    Finished,
}

/// Result of a training run; `trained.json` and the main figure of `evaluation.json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Finished {
    #[serde(flatten)]
    pub(super) trained: Trained,
    pub(super) mre_mm: f64,
    /// The errors, as `errors.csv` has them.
    #[serde(skip)]
    pub(super) errors: Vec<ErrorTable>,
    pub(super) folder: String,
    /// Whether nothing was left to do.
    #[serde(skip)]
    pub(super) reused: bool,
    #[serde(skip)]
    pub(super) steps: u64,
}

/// `trained.json`: what was trained, and what came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Trained {
    seed: u64,
    /// Hash of version, options and images.
    key: String,
    version: String,
    pub(super) encoder_sha256: String,
    pub(super) steps: u64,
    seconds: f64,
    loss: Option<f32>,
    /// What computed entropies, weights, drawn pixels, views and the loss, of an encoder.
    #[serde(default)]
    scoring_and_loss: String,
    config: Recipe,
}

/// What the training in a folder was begun with.
#[derive(Serialize, Deserialize)]
struct Begun {
    key: String,
}

/// What an evaluation was made of.
#[derive(Serialize, Deserialize, PartialEq)]
struct Evaluated {
    version: String,
    encoder_sha256: String,
    scored_sha256: String,
    templates_sha256: String,
    templates: usize,
    radii: Vec<f64>,
    seed: u64,
}

impl Bench<'_> {
    pub(super) fn state(&self, place: &Place) -> Result<State> {
        let Some(config) = self.known_config(place)? else {
            return Ok(State::New);
        };
        let folder = self.folder(place);
        let key = self.key(place, &config)?;
        if let Some(trained) = self.trained(place, &key)? {
            let scored = self.scored(place, &trained)?.is_some();
            return Ok(if scored { State::Finished } else { State::Trained });
        }
        let begun: Option<Begun> = read_json(&folder.join(name::BEGUN))?;
        let goes_on =
            begun.is_some_and(|begun| begun.key == key) && checkpoint(&self.run_folder(place)).is_file();
        Ok(if goes_on { State::Interrupted } else { State::New })
    }

    /// What is finished already; none where something is left to do.
    pub(super) fn done(&self, place: &Place) -> Result<Option<Finished>> {
        let Some(config) = self.known_config(place)? else {
            return Ok(None);
        };
        let Some(trained) = self.trained(place, &self.key(place, &config)?)? else {
            return Ok(None);
        };
        let Some(mre_mm) = self.scored(place, &trained)? else {
            return Ok(None);
        };
        let errors = self.errors(place)?;
        Ok(Some(self.finished(place, trained, (mre_mm, errors), true)))
    }

    /// Does what is left to do.
    pub(super) fn work(&self, place: &Place) -> Result<Finished> {
        if let Some(done) = self.done(place)? {
            return Ok(done);
        }
        let folder = self.folder(place);
        output::make_folder(&folder)?;
        // As long as it is open.
        let _lock = lock(&folder)?;
        let config = self.config(place)?;
        let key = self.key(place, &config)?;
        let trained = match self.trained(place, &key)? {
            Some(trained) => trained,
            None => self.train(place, config, key)?,
        };
        let scores = match self.scored(place, &trained)? {
            Some(mre_mm) => (mre_mm, self.errors(place)?),
            None => self.score(place, &trained)?,
        };
        Ok(self.finished(place, trained, scores, false))
    }

    fn finished(
        &self,
        place: &Place,
        trained: Trained,
        (mre_mm, errors): (f64, Vec<ErrorTable>),
        reused: bool,
    ) -> Finished {
        let folder = shown(&self.folder(place));
        Finished { steps: trained.steps, mre_mm, errors, folder, reused, trained }
    }

    /// The errors that were written.
    fn errors(&self, place: &Place) -> Result<Vec<ErrorTable>> {
        let scores = self.folder(place).join(name::SCORES);
        let images = &self.sets[place.data].scored;
        let of_image = |rows: &[Row]| {
            let image = images.iter().position(|name| *name == rows[0].image);
            let image = image.with_context(|| format!("{}: these are of other images", shown(&scores)))?;
            Ok(ImageErrors { image, errors_mm: rows.iter().map(|row| row.error_mm).collect() })
        };
        // Rows of a set, and of an image, follow each other.
        let of_set = |rows: &[Row]| {
            let images = rows.chunk_by(|a, b| a.image == b.image).map(of_image);
            Ok(ErrorTable {
                templates: vec![rows[0].template.clone()],
                images: images.collect::<Result<_>>()?,
            })
        };
        errors::read(&scores)?.chunk_by(|a, b| a.template == b.template).map(of_set).collect()
    }

    fn train(&self, place: &Place, config: Recipe, key: String) -> Result<Trained> {
        let folder = self.folder(place);
        let paths = Paths {
            images: self.sets[place.data].images.clone(),
            out: self.model(place),
            run: self.run_folder(place),
            score: None,
        };
        let begun: Option<Begun> = read_json(&folder.join(name::BEGUN))?;
        let same = begun.as_ref().is_some_and(|begun| begun.key == key);
        let goes_on = same && checkpoint(&paths.run).is_file();
        if !goes_on {
            if paths.run.exists() {
                if begun.is_none() {
                    bail!("{}: this folder is not an experiment's; give another --out", shown(&paths.run));
                }
                // Of other options: they are not what the experiment says any more.
                fs::remove_dir_all(&paths.run)
                    .with_context(|| format!("{}: can't be removed", shown(&paths.run)))?;
            }
            output::write_json(&folder.join(name::BEGUN), &Begun { key: key.clone() })?;
        }
        let (sha256, steps, seconds, loss, scoring_and_loss) = match &config {
            Recipe::Encoder(config) => {
                let done = if goes_on {
                    with_progress(&paths.run, |told| resume(&paths, self.threads, ComputeOn::Auto, told))?
                } else {
                    with_progress(&paths.run, |told| train(config, &paths, told))?
                };
                (done.sha256, done.steps, done.seconds, done.loss, done.scoring_and_loss)
            }
            Recipe::Network { network, images, encoder_sha256, .. } => {
                let set = &self.sets[place.data];
                let paths = LandmarkPaths {
                    data: set.train.clone(),
                    images: *images,
                    encoder: encoder_sha256.as_ref().and_then(|_| set.encoder.clone()),
                    out: paths.out,
                    run: paths.run,
                };
                let done = if goes_on {
                    crate::train_landmarks::with_progress(|told| {
                        Ok(resume_landmarks(&paths, self.threads, told)?)
                    })?
                } else {
                    crate::train_landmarks::with_progress(|told| Ok(train_landmarks(network, &paths, told)?))?
                };
                (done.sha256, done.steps, done.seconds, done.loss, String::new())
            }
        };
        let trained = Trained {
            seed: place.seed,
            key,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            encoder_sha256: sha256,
            steps,
            seconds: rounded(seconds, 2),
            loss,
            scoring_and_loss,
            config,
        };
        output::write_json(&folder.join(name::TRAINED), &trained)?;
        Ok(trained)
    }

    /// Scores what was trained: the main figure, and the errors as they are written.
    fn score(&self, place: &Place, trained: &Trained) -> Result<(f64, Vec<ErrorTable>)> {
        let folder = self.folder(place);
        let set = &self.sets[place.data];
        let rules = &self.experiment.evaluate;
        let scores = folder.join(name::SCORES);
        let made_of = scores.join(name::EVALUATED);
        if made_of.exists() {
            fs::remove_file(&made_of).with_context(|| format!("{}: can't be removed", shown(&made_of)))?;
        }
        let (model, data) = (&self.model(place), &inputs::data_folder(&set.dev)?);
        let (radii, seed, out) = (rules.radii.as_slice(), rules.seed, Some(scores.as_path()));
        let (mre_mm, runs) = match trained.config {
            Recipe::Encoder(_) => {
                let other = (set.templates != set.dev).then(|| inputs::data_folder(&set.templates));
                let other = other.transpose()?;
                let template_data = other.as_ref().unwrap_or(data);
                let job = Job {
                    encoder: &Encoder::load(model)?,
                    model,
                    data: (&set.dev, data),
                    template_data: (&set.templates, template_data),
                    sets: random_sets(Some(rules.templates), 1, template_data.images.len(), seed)?,
                    chosen_by: "random",
                    how: &How::default(),
                    refine: &Refine::default(),
                    protocol: Protocol { radii_mm: radii, seed, calibrate: None },
                    out,
                };
                let (evaluation, runs) = job.run(self.threads)?;
                (evaluation.summary.mre_mm, runs)
            }
            Recipe::Network { .. } => {
                let job = NetworkJob { model, data: (&set.dev, data), radii, seed, out };
                let scored = job.run(self.threads)?;
                (scored.mre_mm(), vec![scored.run])
            }
        };
        // Last, as it vouches for the rest.
        output::write_json(&made_of, &self.made_of(place, trained))?;
        Ok((mre_mm, runs.iter().map(|run| Run::errors(run).rounded()).collect()))
    }

    fn made_of(&self, place: &Place, trained: &Trained) -> Evaluated {
        let (set, rules) = (&self.sets[place.data], &self.experiment.evaluate);
        Evaluated {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            encoder_sha256: trained.encoder_sha256.clone(),
            scored_sha256: set.dev_sha256.clone(),
            templates_sha256: set.templates_sha256.clone(),
            templates: rules.templates,
            radii: rules.radii.clone(),
            seed: rules.seed,
        }
    }

    /// The main figure, where this encoder was scored as the experiment says.
    fn scored(&self, place: &Place, trained: &Trained) -> Result<Option<f64>> {
        #[derive(Deserialize)]
        struct Figure {
            mre_mm: f64,
        }
        let scores = self.folder(place).join(name::SCORES);
        let made_of: Option<Evaluated> = read_json(&scores.join(name::EVALUATED))?;
        if made_of != Some(self.made_of(place, trained)) {
            return Ok(None);
        }
        let figure: Option<Figure> = read_json(&scores.join("evaluation.json"))?;
        Ok(figure.map(|figure| figure.mre_mm))
    }

    /// The finished training with this key.
    fn trained(&self, place: &Place, key: &str) -> Result<Option<Trained>> {
        let folder = self.folder(place);
        let trained: Option<Trained> = read_json(&folder.join(name::TRAINED))?;
        let Some(trained) = trained.filter(|trained| trained.key == *key) else {
            return Ok(None);
        };
        let same =
            files::bytes(&self.model(place)).is_ok_and(|bytes| sha256(&bytes) == trained.encoder_sha256);
        Ok(same.then_some(trained))
    }

    fn key(&self, place: &Place, config: &Recipe) -> Result<String> {
        let options = serde_json::to_string(config).context("the options can't be written as JSON")?;
        let images = &self.sets[place.data].images_sha256;
        Ok(sha256(format!("{}\n{images}\n{options}", env!("CARGO_PKG_VERSION")).as_bytes()))
    }
}

/// Keeps other processes from this folder's training, as the folder of its run may be made anew.
fn lock(folder: &Path) -> Result<FolderLock> {
    FolderLock::acquire(folder).map_err(|error| match error {
        FolderLockError::InUse { folder } => anyhow!(
            "{folder}: another experiment is at work on this training; wait for it, or give another --out"
        ),
        error => error.into(),
    })
}

fn checkpoint(run: &Path) -> PathBuf {
    run.join("checkpoint.json")
}

/// What a file of an experiment says; none where it is missing or of another version.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = files::bytes_if_there(path)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
