//! What each training of an experiment is made with: its options, and the policy that another's encoder tunes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use infomark_infer::{Encoder, sha256_files};
use infomark_train::{Budget, LandmarkConfig, Policy, SelfTrainConfig, TrainConfig, TuneConfig, Tuned, tune};
use serde::{Deserialize, Serialize};

use super::arm::{Kind, Match, Network, PolicySource, Templates};
use super::bench::{Bench, Place, name};
use super::{merged, merged_network};
use crate::files;
use crate::output::{self, shown};
use crate::progress::Progress;

/// What is trained or matched, and how.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Recipe {
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
    pub(super) fn budget(&self, place: &Place) -> Result<Option<Budget>> {
        let (experiment, arm) = (self.experiment, &self.experiment.arm[place.arm]);
        Ok(match arm.kind() {
            Kind::Encoder => Some(merged(&experiment.base, &arm.options)?.schedule.budget),
            Kind::Network(_) => Some(merged_network(&experiment.networks, &arm.options)?.schedule.budget),
            Kind::SelfTrain(_) => Some(experiment.self_training(arm)?.network.schedule.budget),
            Kind::Match(_) => None,
        })
    }

    /// The options of an arm but its policy; `encoder_sha256` is of the encoder that it starts from, where it does.
    fn options(&self, place: &Place, encoder_sha256: Option<String>) -> Result<Recipe> {
        let arm = &self.experiment.arm[place.arm];
        let set = &self.sets[place.data];
        let templates_sha256 = set.templates_sha256.clone();
        let encoder = encoder_sha256.clone().context("an encoder is missing");
        Ok(match arm.kind() {
            Kind::Encoder => Recipe::Encoder(Box::new(self.encoder_options(place)?)),
            Kind::Network(network) => self.network_options(place, network, encoder_sha256)?,
            Kind::Match(matching) => {
                Recipe::Match { matching: matching.clone(), templates_sha256, encoder_sha256: encoder? }
            }
            Kind::SelfTrain(templates) => {
                let config = self.experiment.self_training(arm)?;
                let network = config.network.clone().with(|options| {
                    options.seed = place.seed;
                    options.threads = self.threads;
                });
                Recipe::SelfTrain {
                    self_train: Box::new(SelfTrainConfig { network, ..config }),
                    templates: templates.clone(),
                    templates_sha256,
                    encoder_sha256: encoder?,
                }
            }
        })
    }

    fn network_options(
        &self,
        place: &Place,
        network: Network,
        encoder_sha256: Option<String>,
    ) -> Result<Recipe> {
        let set = &self.sets[place.data];
        let config = merged_network(&self.experiment.networks, &self.experiment.arm[place.arm].options)?;
        let labels = [set.train.join("landmarks.csv"), set.train.join("dataset.toml")];
        let labels =
            sha256_files(&labels).with_context(|| format!("{}: no data folder", shown(&set.train)))?;
        Ok(Recipe::Network {
            network: Box::new(config.with(|o| {
                o.seed = place.seed;
                o.threads = self.threads;
            })),
            images: network.images,
            labels_sha256: labels,
            encoder_sha256,
        })
    }

    /// The file, or the name, of the encoder that an arm starts from; none of an arm that starts from none.
    pub(super) fn encoder(&self, place: &Place) -> Result<Option<PathBuf>> {
        let arm = &self.experiment.arm[place.arm];
        if !arm.takes_encoder() {
            return Ok(None);
        }
        if arm.encoder_of.is_some() {
            return Ok(Some(self.model(&self.teacher(place)?)));
        }
        let set = &self.sets[place.data];
        Ok(arm.encoder.as_ref().map(|file| set.encoder_file(file)).or_else(|| set.encoder.clone()))
    }

    fn encoder_options(&self, place: &Place) -> Result<TrainConfig> {
        let config = merged(&self.experiment.base, &self.experiment.arm[place.arm].options)?;
        Ok(config.with(|o| {
            o.seed = place.seed;
            o.threads = self.threads;
        }))
    }

    /// The options of an arm, its policy tuned or its encoder trained if the arm says so.
    pub(super) fn config(&self, place: &Place) -> Result<Recipe> {
        if let Some(config) = self.known_config(place)? {
            return Ok(config);
        }
        let teacher = self.teacher(place)?;
        self.work(&teacher).with_context(|| self.name(&teacher))?;
        if self.experiment.arm[place.arm].policy.is_some() {
            let encoder = Encoder::load(self.model(&teacher))?;
            let bar = Progress::new(0, "tuning");
            let images = &self.sets[place.data].images;
            let config = self.tune_config(place);
            let tuned = tune(images, &encoder, &config, &|done, total| bar.at(done, total))?;
            bar.finish();
            let text = toml::to_string(&tuned).context("can't write TOML")?;
            output::write(&self.folder(place).join(name::POLICY), text.as_bytes())?;
        }
        self.known_config(place)?.context("what an arm needs is not there")
    }

    fn tune_config(&self, place: &Place) -> TuneConfig {
        TuneConfig { seed: place.seed, threads: self.threads, ..TuneConfig::default() }
    }

    fn teacher(&self, place: &Place) -> Result<Place> {
        let with = self.experiment.arm[place.arm].teacher().unwrap_or_default();
        let arm = self.experiment.place_of(with).context("an arm is missing")?;
        Ok(Place { arm, ..*place })
    }

    /// The options of an arm; none where its policy is still to be tuned, or its encoder to be trained.
    pub(super) fn known_config(&self, place: &Place) -> Result<Option<Recipe>> {
        let arm = &self.experiment.arm[place.arm];
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
        let path = self.folder(place).join(name::POLICY);
        let Ok(text) = files::text(&path) else {
            return Ok(None);
        };
        // One that can't be read is of another version: tuned again.
        let Ok(tuned) = toml::from_str::<Tuned>(&text) else {
            return Ok(None);
        };
        let fits = tuned.encoder_sha256 == teacher.trained.encoder_sha256
            && tuned.images_sha256 == self.sets[place.data].images_sha256
            && tuned.version == env!("CARGO_PKG_VERSION")
            && tuned.config == TuneConfig { threads: 0, ..self.tune_config(place) };
        let policy: Policy = match source {
            PolicySource::Tuned => tuned.policy(),
            PolicySource::TunedShared => tuned.shared_policy(),
        };
        let config = config.with(|o| o.augmentation.policy = Some(policy));
        Ok(fits.then(|| Recipe::Encoder(Box::new(config))))
    }
}
