//! One training or matching of an experiment, from whatever is there of it already.

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use infomark_eval::ErrorTable;
use infomark_infer::{
    FileError, FolderLock, FolderLockError, make_folder, read_file, rounded, sha256, sha256_file,
};
use infomark_results::write_json;
use infomark_train::{
    ComputeOn, LandmarkPaths, LandmarkSummary, Paths, Progress, SelfTrainPaths, resume, resume_landmarks,
    resume_self_train, self_train, train, train_landmarks,
};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bench::{ArmRun, Bench, name};
use crate::plan::State;
use crate::recipe::Recipe;
use crate::{Event, ExperimentError, MAX_BYTES};

/// Result of a run: `trained.json` and the main figure of `evaluation.json`.
#[derive(Clone, Serialize)]
pub struct Finished<'b> {
    /// The run.
    #[serde(skip)]
    pub run: ArmRun<'b>,
    #[serde(flatten)]
    pub(crate) trained: Trained,
    /// Median over templates of the mean radial error in mm.
    pub mre_mm: f64,
    /// The errors, as `errors.csv` has them.
    #[serde(skip)]
    pub(crate) errors: Vec<ErrorTable>,
    folder: String,
    /// Whether nothing was left to do.
    #[serde(skip)]
    pub reused: bool,
}

impl Finished<'_> {
    /// Steps of its training; 0 of one that trains nothing.
    pub fn steps(&self) -> u64 {
        self.trained.steps
    }
}

/// `trained.json`: what was trained, and what came out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Trained {
    seed: u64,
    /// Hash of version, options and images.
    pub(crate) key: String,
    version: String,
    pub(crate) encoder_sha256: String,
    pub(crate) steps: u64,
    seconds: f64,
    loss: Option<f32>,
    /// What computed entropies, weights, drawn pixels, views and the loss, of an encoder.
    #[serde(default)]
    scoring_and_loss: String,
    pub(crate) config: Recipe,
}

/// What the training in a folder was begun with.
#[derive(Serialize, Deserialize)]
struct Begun {
    key: String,
}

/// What came out of a training.
struct Outcome {
    sha256: String,
    steps: u64,
    seconds: f64,
    loss: Option<f32>,
    scoring_and_loss: String,
    stopped: bool,
}

impl Outcome {
    fn of_network(network: LandmarkSummary, steps: u64, seconds: f64) -> Self {
        let LandmarkSummary { sha256, loss, stopped, .. } = network;
        Self { sha256, steps, seconds, loss, scoring_and_loss: String::new(), stopped }
    }
}

impl Bench<'_> {
    pub(crate) fn state(&self, arm_run: &ArmRun<'_>) -> Result<State, ExperimentError> {
        let Some(config) = self.known_config(arm_run)? else {
            return Ok(State::New);
        };
        let folder = self.folder(arm_run);
        let key = key(arm_run, &config)?;
        if let Some(trained) = self.trained(arm_run, &key)? {
            let scored = self.scored(arm_run, &trained)?.is_some();
            return Ok(if scored { State::Finished } else { State::Trained });
        }
        let begun: Option<Begun> = read_json(&folder.join(name::BEGUN))?;
        let goes_on = begun.is_some_and(|begun| begun.key == key) && has_run(&self.run_folder(arm_run));
        Ok(if goes_on { State::Interrupted } else { State::New })
    }

    /// A run that is finished already; none where something is left to do.
    ///
    /// # Errors
    /// When a file of its folder can't be read.
    pub fn done<'b>(&'b self, arm_run: &ArmRun<'b>) -> Result<Option<Finished<'b>>, ExperimentError> {
        let Some(config) = self.known_config(arm_run)? else {
            return Ok(None);
        };
        let Some(trained) = self.trained(arm_run, &key(arm_run, &config)?)? else {
            return Ok(None);
        };
        let Some(mre_mm) = self.scored(arm_run, &trained)? else {
            return Ok(None);
        };
        let errors = self.errors(arm_run)?;
        Ok(Some(self.finished(arm_run, trained, (mre_mm, errors), true)))
    }

    /// Does what is left to do of a run, and of those whose encoders it needs.
    ///
    /// # Errors
    /// [`ExperimentError`].
    pub fn work<'b>(&'b self, arm_run: &ArmRun<'b>) -> Result<Finished<'b>, ExperimentError> {
        if let Some(done) = self.done(arm_run)? {
            return Ok(done);
        }
        let folder = self.folder(arm_run);
        make_folder(&folder)?;
        // As long as it is open.
        let _lock = lock(&folder)?;
        let config = self.config(arm_run)?;
        let key = key(arm_run, &config)?;
        let trained = match self.trained(arm_run, &key)? {
            Some(trained) => trained,
            None => self.train(arm_run, config, key)?,
        };
        let scores = match self.scored(arm_run, &trained)? {
            Some(mre_mm) => (mre_mm, self.errors(arm_run)?),
            None => self.score(arm_run, &trained)?,
        };
        Ok(self.finished(arm_run, trained, scores, false))
    }

    fn finished<'b>(
        &self,
        arm_run: &ArmRun<'b>,
        trained: Trained,
        (mre_mm, errors): (f64, Vec<ErrorTable>),
        reused: bool,
    ) -> Finished<'b> {
        let folder = self.folder(arm_run).display().to_string();
        Finished { run: *arm_run, trained, mre_mm, errors, folder, reused }
    }

    fn train(&self, arm_run: &ArmRun<'_>, config: Recipe, key: String) -> Result<Trained, ExperimentError> {
        let folder = self.folder(arm_run);
        let outcome = match &config {
            // Nothing is trained: what is scored is the encoder that is there.
            Recipe::Match { encoder_sha256, .. } => Outcome {
                sha256: encoder_sha256.clone(),
                steps: 0,
                seconds: 0.0,
                loss: None,
                scoring_and_loss: String::new(),
                stopped: false,
            },
            config => {
                let goes_on = self.begin(arm_run, &key)?;
                self.train_by(arm_run, config, goes_on)?
            }
        };
        if outcome.stopped {
            return Err(ExperimentError::Stopped);
        }
        let trained = Trained {
            seed: arm_run.seed,
            key,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            encoder_sha256: outcome.sha256,
            steps: outcome.steps,
            seconds: rounded(outcome.seconds, 2),
            loss: outcome.loss,
            scoring_and_loss: outcome.scoring_and_loss,
            config,
        };
        write_json(&folder.join(name::TRAINED), &trained)?;
        Ok(trained)
    }

    /// Whether the run that is in the folder goes on; one of other options is removed.
    fn begin(&self, arm_run: &ArmRun<'_>, key: &str) -> Result<bool, ExperimentError> {
        let (begun, run) = (self.folder(arm_run).join(name::BEGUN), self.run_folder(arm_run));
        let earlier: Option<Begun> = read_json(&begun)?;
        let is_same = earlier.as_ref().is_some_and(|begun| begun.key == *key);
        if is_same && has_run(&run) {
            return Ok(true);
        }
        if run.exists() {
            if earlier.is_none() {
                return Err(ExperimentError::Foreign { folder: run });
            }
            // Of other options: they are not what the experiment says any more.
            fs::remove_dir_all(&run).map_err(FileError::system(&run, "can't be removed"))?;
        }
        write_json(&begun, &Begun { key: key.to_owned() })?;
        Ok(false)
    }

    /// Trains, or goes on with a training.
    fn train_by(
        &self,
        arm_run: &ArmRun<'_>,
        config: &Recipe,
        goes_on: bool,
    ) -> Result<Outcome, ExperimentError> {
        let (out, run) = (self.model(arm_run), self.run_folder(arm_run));
        let (observer, threads, set) = (self.observer, self.threads, arm_run.set);
        let events = run.clone();
        let mut told =
            |progress: Progress| -> ControlFlow<()> { observer(Event::Training { run: &events, progress }) };
        Ok(match config {
            Recipe::Encoder(config) => {
                let paths = Paths { images: set.images.clone(), out, run, score: None };
                let done = match goes_on {
                    true => resume(&paths, threads, ComputeOn::Auto, &mut told),
                    false => train(config, &paths, &mut told),
                }?;
                Outcome {
                    sha256: done.sha256,
                    steps: done.steps,
                    seconds: done.seconds,
                    loss: done.loss,
                    scoring_and_loss: done.scoring_and_loss,
                    stopped: done.stopped,
                }
            }
            Recipe::Network { network, images, encoder_sha256, .. } => {
                let paths = LandmarkPaths {
                    data: set.train.clone(),
                    images: *images,
                    encoder: encoder_sha256.as_ref().and(self.encoder(arm_run)?),
                    out,
                    run,
                };
                let done = match goes_on {
                    true => resume_landmarks(&paths, threads, &mut told),
                    false => train_landmarks(network, &paths, &mut told),
                }?;
                let (steps, seconds) = (done.steps, done.seconds);
                Outcome::of_network(done, steps, seconds)
            }
            Recipe::SelfTrain { self_train: config, templates, .. } => {
                let encoder =
                    self.encoder(arm_run)?.ok_or(ExperimentError::Internal("an encoder is missing"))?;
                let data = (set.templates.as_path(), &set.open_templates(observer)?);
                let loaded = infomark_models::load_encoder(&encoder)?;
                let templates = self.annotated(templates.choice()?, &loaded, data)?;
                let paths = SelfTrainPaths { templates, images: set.images.clone(), encoder, out, run };
                let done = match goes_on {
                    true => resume_self_train(&paths, threads, &mut told),
                    false => self_train(config, &paths, &mut told),
                }?;
                Outcome::of_network(done.network, done.steps, done.seconds)
            }
            Recipe::Match { .. } => return Err(ExperimentError::Internal("nothing is trained")),
        })
    }

    /// The finished training with this key.
    fn trained(&self, arm_run: &ArmRun<'_>, key: &str) -> Result<Option<Trained>, ExperimentError> {
        let trained: Option<Trained> = read_json(&self.folder(arm_run).join(name::TRAINED))?;
        let Some(trained) = trained.filter(|trained| trained.key == *key) else {
            return Ok(None);
        };
        // The key of what trains nothing holds the hash of its encoder.
        let is_same = matches!(trained.config, Recipe::Match { .. })
            || sha256_file(self.model(arm_run)).is_ok_and(|sha256| sha256 == trained.encoder_sha256);
        Ok(is_same.then_some(trained))
    }
}

/// Hash of all that a training depends on.
fn key(arm_run: &ArmRun<'_>, config: &Recipe) -> Result<String, ExperimentError> {
    let options = serde_json::to_string(config)
        .map_err(|_| ExperimentError::Internal("options can't be written as JSON"))?;
    let images = &arm_run.set.images_sha256;
    Ok(sha256(format!("{}\n{images}\n{options}", env!("CARGO_PKG_VERSION")).as_bytes()))
}

/// Keeps other processes from this folder's training, as the folder of its run may be made anew.
fn lock(folder: &Path) -> Result<FolderLock, ExperimentError> {
    FolderLock::acquire(folder).map_err(|error| match error {
        FolderLockError::InUse { folder } => ExperimentError::InUse { folder },
        error => ExperimentError::Lock(error),
    })
}

/// Whether a folder holds a run that can go on: of a network, or of the rounds of self-training.
fn has_run(run: &Path) -> bool {
    ["checkpoint.json", "self-train.json"].iter().any(|file| run.join(file).is_file())
}

/// What a file of an experiment says; none where it is missing or of another version.
pub(crate) fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ExperimentError> {
    match read_file(path, MAX_BYTES) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        Err(FileError::Missing { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}
