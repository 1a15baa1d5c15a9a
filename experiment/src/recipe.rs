//! What each training of an experiment is made with: its options, and the policy that another's encoder tunes.

use std::path::PathBuf;

use infomark_infer::{Encoder, FileError, read_text_file, sha256_files};
use infomark_results::write_file;
use infomark_train::{Budget, LandmarkConfig, Policy, SelfTrainConfig, TrainConfig, TuneConfig, Tuned, tune};
use serde::{Deserialize, Serialize};

use crate::arm::{Kind, Match, Network, PolicySource, Templates};
use crate::bench::{ArmRun, Bench, name};
use crate::error::Within;
use crate::{Event, ExperimentError, MAX_BYTES};

/// What is trained or matched, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Recipe {
    Encoder(Box<TrainConfig>),
    Network {
        network: Box<LandmarkConfig>,
        /// Annotated images, where not all.
        images: Option<usize>,
        /// Of the landmarks' file and the data folder's manifest.
        labels_sha256: String,
        /// The encoder that it starts from.
        encoder_sha256: Option<String>,
    },
    SelfTrain {
        self_train: Box<SelfTrainConfig>,
        templates: Templates,
        templates_sha256: String,
        encoder_sha256: String,
    },
    Match {
        #[serde(rename = "match")]
        matching: Match,
        templates_sha256: String,
        encoder_sha256: String,
    },
}

impl Bench<'_> {
    /// How long an arm trains; none of one that trains nothing.
    pub(crate) fn budget(&self, run: &ArmRun<'_>) -> Result<Option<Budget>, ExperimentError> {
        let (experiment, arm) = (self.experiment, run.arm);
        Ok(match arm.kind() {
            Kind::Encoder => Some(experiment.encoder_config(arm)?.schedule.budget),
            Kind::Network(_) => Some(experiment.network_config(arm)?.schedule.budget),
            Kind::SelfTrain(_) => Some(experiment.self_train_config(arm)?.network.schedule.budget),
            Kind::Match(_) => None,
        })
    }

    /// The options of an arm but its policy; `encoder_sha256` is of the encoder that it starts from, where it does.
    fn options(&self, run: &ArmRun<'_>, encoder_sha256: Option<String>) -> Result<Recipe, ExperimentError> {
        let templates_sha256 = run.set.templates_sha256.clone();
        let encoder = || encoder_sha256.clone().ok_or(ExperimentError::Internal("an encoder is missing"));
        Ok(match run.arm.kind() {
            Kind::Encoder => Recipe::Encoder(Box::new(self.encoder_options(run)?)),
            Kind::Network(network) => self.network_options(run, network, encoder_sha256)?,
            Kind::Match(matching) => {
                Recipe::Match { matching: matching.clone(), templates_sha256, encoder_sha256: encoder()? }
            }
            Kind::SelfTrain(templates) => {
                let config = self.experiment.self_train_config(run.arm)?;
                let network = config.network.clone().with(|options| {
                    options.seed = run.seed;
                    options.threads = self.threads;
                });
                Recipe::SelfTrain {
                    self_train: Box::new(SelfTrainConfig { network, ..config }),
                    templates: templates.clone(),
                    templates_sha256,
                    encoder_sha256: encoder()?,
                }
            }
        })
    }

    fn network_options(
        &self,
        run: &ArmRun<'_>,
        network: Network,
        encoder_sha256: Option<String>,
    ) -> Result<Recipe, ExperimentError> {
        let config = self.experiment.network_config(run.arm)?;
        let train = &run.set.train;
        let labels = [train.join("landmarks.csv"), train.join("dataset.toml")];
        let labels_sha256 = sha256_files(&labels).map_err(FileError::system(train, "no data folder"))?;
        Ok(Recipe::Network {
            network: Box::new(config.with(|options| {
                options.seed = run.seed;
                options.threads = self.threads;
            })),
            images: network.images,
            labels_sha256,
            encoder_sha256,
        })
    }

    /// The file, or the name, of the encoder that an arm starts from; none of an arm that starts from none.
    pub(crate) fn encoder(&self, run: &ArmRun<'_>) -> Result<Option<PathBuf>, ExperimentError> {
        let ArmRun { arm, set, .. } = run;
        if !arm.takes_encoder() {
            return Ok(None);
        }
        if arm.encoder_of.is_some() {
            return Ok(Some(self.model(&self.teacher(run)?)));
        }
        Ok(arm.encoder.as_ref().map(|file| set.encoder_file(file)).or_else(|| set.encoder.clone()))
    }

    fn encoder_options(&self, run: &ArmRun<'_>) -> Result<TrainConfig, ExperimentError> {
        let config = self.experiment.encoder_config(run.arm)?;
        Ok(config.with(|options| {
            options.seed = run.seed;
            options.threads = self.threads;
        }))
    }

    /// The options of an arm, its policy tuned or its encoder trained if the arm says so.
    pub(crate) fn config(&self, run: &ArmRun<'_>) -> Result<Recipe, ExperimentError> {
        if let Some(config) = self.known_config(run)? {
            return Ok(config);
        }
        let teacher = self.teacher(run)?;
        self.work(&teacher).within(|| teacher.name())?;
        if run.arm.policy.is_some() {
            let encoder = Encoder::load(self.model(&teacher))?;
            let observer = self.observer;
            let told = |done, total| {
                let _ = observer(Event::Tuning { done, total });
            };
            let tuned = tune(&run.set.images, &encoder, &self.tune_config(run), &told)?;
            let text = toml::to_string(&tuned)
                .map_err(|_| ExperimentError::Internal("intensities can't be written as TOML"))?;
            write_file(&self.folder(run).join(name::POLICY), text.as_bytes())?;
        }
        self.known_config(run)?.ok_or(ExperimentError::Internal("what an arm needs is not there"))
    }

    fn tune_config(&self, run: &ArmRun<'_>) -> TuneConfig {
        TuneConfig { seed: run.seed, threads: self.threads, ..TuneConfig::default() }
    }

    /// The run whose encoder another needs.
    fn teacher<'b>(&'b self, run: &ArmRun<'b>) -> Result<ArmRun<'b>, ExperimentError> {
        let with = run.arm.teacher();
        let mut arms = self.experiment.arm.iter().enumerate();
        let (arm_index, arm) = arms
            .find(|(_, arm)| with == Some(arm.name.as_str()))
            .ok_or(ExperimentError::Internal("an arm is missing"))?;
        Ok(ArmRun { arm, arm_index, ..*run })
    }

    /// The options of an arm; none where its policy is still to be tuned, or its encoder to be trained.
    pub(crate) fn known_config(&self, run: &ArmRun<'_>) -> Result<Option<Recipe>, ExperimentError> {
        let arm = run.arm;
        if arm.encoder_of.is_some() {
            let teacher = self.done(&self.teacher(run)?)?;
            let encoder = teacher.map(|teacher| teacher.trained.encoder_sha256);
            return encoder.map(|encoder| self.options(run, Some(encoder))).transpose();
        }
        let Some(source) = arm.policy else {
            let hash =
                |path: &PathBuf| infomark_models::load_encoder(path).map(|own| own.sha256().to_owned());
            let encoder = self.encoder(run)?.as_ref().map(hash).transpose()?;
            return self.options(run, encoder).map(Some);
        };
        let config = self.encoder_options(run)?;
        let Some(teacher) = self.done(&self.teacher(run)?)? else {
            return Ok(None);
        };
        let text = match read_text_file(self.folder(run).join(name::POLICY), MAX_BYTES) {
            Err(FileError::Missing { .. }) => return Ok(None),
            text => text?,
        };
        // One that can't be read is of another version: tuned again.
        let Ok(tuned) = toml::from_str::<Tuned>(&text) else {
            return Ok(None);
        };
        let fits = tuned.encoder_sha256 == teacher.trained.encoder_sha256
            && tuned.images_sha256 == run.set.images_sha256
            && tuned.version == env!("CARGO_PKG_VERSION")
            && tuned.config == TuneConfig { threads: 0, ..self.tune_config(run) };
        let policy: Policy = match source {
            PolicySource::Tuned => tuned.policy(),
            PolicySource::TunedShared => tuned.shared_policy(),
        };
        let config = config.with(|options| options.augmentation.policy = Some(policy));
        Ok(fits.then(|| Recipe::Encoder(Box::new(config))))
    }
}
