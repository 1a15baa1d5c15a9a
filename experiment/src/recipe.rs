//! What each training of an experiment is made with: its options, and the policy that another's encoder tunes.

use std::path::PathBuf;

use infomark_infer::{Encoder, FileError, read_text_file, sha256_files};
use infomark_results::write_file;
use infomark_train::{Budget, LandmarkConfig, Policy, SelfTrainConfig, TrainConfig, TuneConfig, Tuned, tune};
use serde::{Deserialize, Serialize};

use crate::arm::{Kind, Match, Network, PolicySource, Templates};
use crate::bench::{Bench, Place, name};
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
    pub(crate) fn budget(&self, place: &Place<'_>) -> Result<Option<Budget>, ExperimentError> {
        let (experiment, arm) = (self.experiment, place.arm);
        Ok(match arm.kind() {
            Kind::Encoder => Some(experiment.encoder_config(arm)?.schedule.budget),
            Kind::Network(_) => Some(experiment.network_config(arm)?.schedule.budget),
            Kind::SelfTrain(_) => Some(experiment.self_train_config(arm)?.network.schedule.budget),
            Kind::Match(_) => None,
        })
    }

    /// The options of an arm but its policy; `encoder_sha256` is of the encoder that it starts from, where it does.
    fn options(&self, place: &Place<'_>, encoder_sha256: Option<String>) -> Result<Recipe, ExperimentError> {
        let templates_sha256 = place.set.templates_sha256.clone();
        let encoder = || encoder_sha256.clone().ok_or(ExperimentError::Internal("an encoder is missing"));
        Ok(match place.arm.kind() {
            Kind::Encoder => Recipe::Encoder(Box::new(self.encoder_options(place)?)),
            Kind::Network(network) => self.network_options(place, network, encoder_sha256)?,
            Kind::Match(matching) => {
                Recipe::Match { matching: matching.clone(), templates_sha256, encoder_sha256: encoder()? }
            }
            Kind::SelfTrain(templates) => {
                let config = self.experiment.self_train_config(place.arm)?;
                let network = config.network.clone().with(|options| {
                    options.seed = place.seed;
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
        place: &Place<'_>,
        network: Network,
        encoder_sha256: Option<String>,
    ) -> Result<Recipe, ExperimentError> {
        let config = self.experiment.network_config(place.arm)?;
        let train = &place.set.train;
        let labels = [train.join("landmarks.csv"), train.join("dataset.toml")];
        let labels_sha256 = sha256_files(&labels).map_err(ExperimentError::io(train, "no data folder"))?;
        Ok(Recipe::Network {
            network: Box::new(config.with(|options| {
                options.seed = place.seed;
                options.threads = self.threads;
            })),
            images: network.images,
            labels_sha256,
            encoder_sha256,
        })
    }

    /// The file, or the name, of the encoder that an arm starts from; none of an arm that starts from none.
    pub(crate) fn encoder(&self, place: &Place<'_>) -> Result<Option<PathBuf>, ExperimentError> {
        let Place { arm, set, .. } = place;
        if !arm.takes_encoder() {
            return Ok(None);
        }
        if arm.encoder_of.is_some() {
            return Ok(Some(self.model(&self.teacher(place)?)));
        }
        Ok(arm.encoder.as_ref().map(|file| set.encoder_file(file)).or_else(|| set.encoder.clone()))
    }

    fn encoder_options(&self, place: &Place<'_>) -> Result<TrainConfig, ExperimentError> {
        let config = self.experiment.encoder_config(place.arm)?;
        Ok(config.with(|options| {
            options.seed = place.seed;
            options.threads = self.threads;
        }))
    }

    /// The options of an arm, its policy tuned or its encoder trained if the arm says so.
    pub(crate) fn config(&self, place: &Place<'_>) -> Result<Recipe, ExperimentError> {
        if let Some(config) = self.known_config(place)? {
            return Ok(config);
        }
        let teacher = self.teacher(place)?;
        self.work(&teacher).within(|| teacher.name())?;
        if place.arm.policy.is_some() {
            let encoder = Encoder::load(self.model(&teacher))?;
            let observer = self.observer;
            let told = |done, total| {
                let _ = observer(Event::Tuning { done, total });
            };
            let tuned = tune(&place.set.images, &encoder, &self.tune_config(place), &told)?;
            let text = toml::to_string(&tuned)
                .map_err(|_| ExperimentError::Internal("intensities can't be written as TOML"))?;
            write_file(&self.folder(place).join(name::POLICY), text.as_bytes())?;
        }
        self.known_config(place)?.ok_or(ExperimentError::Internal("what an arm needs is not there"))
    }

    fn tune_config(&self, place: &Place<'_>) -> TuneConfig {
        TuneConfig { seed: place.seed, threads: self.threads, ..TuneConfig::default() }
    }

    /// The run whose encoder another needs.
    fn teacher<'b>(&'b self, place: &Place<'b>) -> Result<Place<'b>, ExperimentError> {
        let with = place.arm.teacher();
        let mut arms = self.experiment.arm.iter().enumerate();
        let (arm_index, arm) = arms
            .find(|(_, arm)| with == Some(arm.name.as_str()))
            .ok_or(ExperimentError::Internal("an arm is missing"))?;
        Ok(Place { arm, arm_index, ..*place })
    }

    /// The options of an arm; none where its policy is still to be tuned, or its encoder to be trained.
    pub(crate) fn known_config(&self, place: &Place<'_>) -> Result<Option<Recipe>, ExperimentError> {
        let arm = place.arm;
        if arm.encoder_of.is_some() {
            let teacher = self.done(&self.teacher(place)?)?;
            let encoder = teacher.map(|teacher| teacher.trained.encoder_sha256);
            return encoder.map(|encoder| self.options(place, Some(encoder))).transpose();
        }
        let Some(source) = arm.policy else {
            let hash =
                |path: &PathBuf| infomark_models::load_encoder(path).map(|own| own.sha256().to_owned());
            let encoder = self.encoder(place)?.as_ref().map(hash).transpose()?;
            return self.options(place, encoder).map(Some);
        };
        let config = self.encoder_options(place)?;
        let Some(teacher) = self.done(&self.teacher(place)?)? else {
            return Ok(None);
        };
        let text = match read_text_file(self.folder(place).join(name::POLICY), MAX_BYTES) {
            Err(FileError::Missing { .. }) => return Ok(None),
            text => text?,
        };
        // One that can't be read is of another version: tuned again.
        let Ok(tuned) = toml::from_str::<Tuned>(&text) else {
            return Ok(None);
        };
        let fits = tuned.encoder_sha256 == teacher.trained.encoder_sha256
            && tuned.images_sha256 == place.set.images_sha256
            && tuned.version == env!("CARGO_PKG_VERSION")
            && tuned.config == TuneConfig { threads: 0, ..self.tune_config(place) };
        let policy: Policy = match source {
            PolicySource::Tuned => tuned.policy(),
            PolicySource::TunedShared => tuned.shared_policy(),
        };
        let config = config.with(|options| options.augmentation.policy = Some(policy));
        Ok(fits.then(|| Recipe::Encoder(Box::new(config))))
    }
}
