//! One training or matching of an experiment, from whatever is there of it already.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use infomark_eval::ErrorTable;
use infomark_infer::{FolderLock, FolderLockError, rounded, sha256};
use infomark_train::{
    ComputeOn, LandmarkPaths, Paths, SelfTrainPaths, resume, resume_landmarks, resume_self_train, self_train,
    train, train_landmarks,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::bench::{Bench, Place, name};
use super::recipe::Recipe;
use crate::output::{self, shown};
use crate::train::with_progress;
use crate::{files, inputs};

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
    pub(super) key: String,
    version: String,
    pub(super) encoder_sha256: String,
    pub(super) steps: u64,
    seconds: f64,
    loss: Option<f32>,
    /// What computed entropies, weights, drawn pixels, views and the loss, of an encoder.
    #[serde(default)]
    scoring_and_loss: String,
    pub(super) config: Recipe,
}

/// What the training in a folder was begun with.
#[derive(Serialize, Deserialize)]
struct Begun {
    key: String,
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
        let goes_on = begun.is_some_and(|begun| begun.key == key) && has_run(&self.run_folder(place));
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

    fn train(&self, place: &Place, config: Recipe, key: String) -> Result<Trained> {
        let folder = self.folder(place);
        if let Recipe::Match { encoder_sha256, .. } = &config {
            // Nothing is trained: what is scored is the encoder that is there.
            let trained = Trained {
                seed: place.seed,
                key,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                encoder_sha256: encoder_sha256.clone(),
                steps: 0,
                seconds: 0.0,
                loss: None,
                scoring_and_loss: String::new(),
                config,
            };
            output::write_json(&folder.join(name::TRAINED), &trained)?;
            return Ok(trained);
        }
        let paths = Paths {
            images: self.sets[place.data].images.clone(),
            out: self.model(place),
            run: self.run_folder(place),
            score: None,
        };
        let begun: Option<Begun> = read_json(&folder.join(name::BEGUN))?;
        let same = begun.as_ref().is_some_and(|begun| begun.key == key);
        let goes_on = same && has_run(&paths.run);
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
                let paths = LandmarkPaths {
                    data: self.sets[place.data].train.clone(),
                    images: *images,
                    encoder: encoder_sha256.as_ref().and(self.encoder(place)?),
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
            Recipe::SelfTrain { self_train: config, templates, .. } => {
                let set = &self.sets[place.data];
                let encoder = self.encoder(place)?.context("an encoder is missing")?;
                let data = (set.templates.as_path(), &inputs::data_folder(&set.templates)?);
                let loaded = infomark_models::load_encoder(&encoder)?;
                let paths = SelfTrainPaths {
                    templates: self.annotated(templates.choice()?, &loaded, data)?,
                    images: set.images.clone(),
                    encoder,
                    out: paths.out,
                    run: paths.run,
                };
                let done = crate::self_train::with_progress(|told| {
                    if goes_on {
                        resume_self_train(&paths, self.threads, told)
                    } else {
                        self_train(config, &paths, told)
                    }
                })?;
                (done.network.sha256, done.network.steps, done.seconds, done.network.loss, String::new())
            }
            Recipe::Match { .. } => bail!("{}: nothing is trained", self.name(place)),
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

    /// The finished training with this key.
    fn trained(&self, place: &Place, key: &str) -> Result<Option<Trained>> {
        let folder = self.folder(place);
        let trained: Option<Trained> = read_json(&folder.join(name::TRAINED))?;
        let Some(trained) = trained.filter(|trained| trained.key == *key) else {
            return Ok(None);
        };
        // The key of what trains nothing holds the hash of its encoder.
        let same = matches!(trained.config, Recipe::Match { .. })
            || files::bytes(&self.model(place)).is_ok_and(|bytes| sha256(&bytes) == trained.encoder_sha256);
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

/// Whether a folder holds a run that can go on: of a network, or of the rounds of self-training.
fn has_run(run: &Path) -> bool {
    ["checkpoint.json", "self-train.json"].iter().any(|file| run.join(file).is_file())
}

/// What a file of an experiment says; none where it is missing or of another version.
pub(super) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = files::bytes_if_there(path)?;
    Ok(bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
}
