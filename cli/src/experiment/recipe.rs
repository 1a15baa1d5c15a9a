//! What each training of an experiment is made with: its options, and the policy that another's encoder tunes.

use std::path::PathBuf;

use anyhow::{Context, Result};
use infomark_infer::{Encoder, sha256_files};
use infomark_train::{Budget, LandmarkConfig, Policy, TrainConfig, TuneConfig, Tuned, tune};
use serde::{Deserialize, Serialize};

use super::bench::{Bench, Place, name};
use super::file::PolicySource;
use super::{merged, merged_network};
use crate::files;
use crate::output::{self, shown};
use crate::progress::Progress;

/// What is trained, and how.
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
}

impl Recipe {
    pub(super) fn budget(&self) -> Budget {
        match self {
            Self::Encoder(config) => config.schedule.budget,
            Self::Network { network, .. } => network.schedule.budget,
        }
    }
}

impl Bench<'_> {
    /// The options of a training but its policy.
    pub(super) fn options(&self, place: &Place) -> Result<Recipe> {
        let arm = &self.experiment.arm[place.arm];
        let Some(network) = arm.network else {
            return Ok(Recipe::Encoder(Box::new(self.encoder_options(place)?)));
        };
        let set = &self.sets[place.data];
        let config = merged_network(&self.experiment.networks, &arm.options)?;
        let labels = [set.train.join("landmarks.csv"), set.train.join("dataset.toml")];
        let labels =
            sha256_files(&labels).with_context(|| format!("{}: no data folder", shown(&set.train)))?;
        let hash = |path: &PathBuf| -> Result<String> { Ok(Encoder::load(path)?.sha256().to_owned()) };
        Ok(Recipe::Network {
            network: Box::new(config.with(|o| {
                o.seed = place.seed;
                o.threads = self.threads;
            })),
            images: network.images,
            labels_sha256: labels,
            encoder_sha256: set.encoder.as_ref().filter(|_| network.pretrained).map(hash).transpose()?,
        })
    }

    fn encoder_options(&self, place: &Place) -> Result<TrainConfig> {
        let config = merged(&self.experiment.base, &self.experiment.arm[place.arm].options)?;
        Ok(config.with(|o| {
            o.seed = place.seed;
            o.threads = self.threads;
        }))
    }

    /// The options of a training, its policy tuned if the arm says so.
    pub(super) fn config(&self, place: &Place) -> Result<Recipe> {
        if let Some(config) = self.known_config(place)? {
            return Ok(config);
        }
        let teacher = self.teacher(place)?;
        self.work(&teacher).with_context(|| self.name(&teacher))?;
        let encoder = Encoder::load(self.folder(&teacher).join(name::ENCODER))?;
        let bar = Progress::new(0, "tuning");
        let images = &self.sets[place.data].images;
        let tuned = tune(images, &encoder, &self.tune_config(place), &|done, total| bar.at(done, total))?;
        bar.finish();
        let text = toml::to_string(&tuned).context("can't write TOML")?;
        output::write(&self.folder(place).join(name::POLICY), text.as_bytes())?;
        self.known_config(place)?.context("the tuned policy is not what was written")
    }

    fn tune_config(&self, place: &Place) -> TuneConfig {
        TuneConfig { seed: place.seed, threads: self.threads, ..TuneConfig::default() }
    }

    fn teacher(&self, place: &Place) -> Result<Place> {
        let with = self.experiment.arm[place.arm].tuned_with.as_deref().unwrap_or_default();
        let arm = self.experiment.place_of(with).context("an arm is missing")?;
        Ok(Place { arm, ..*place })
    }

    /// The options of a training; none where its policy is still to be tuned.
    pub(super) fn known_config(&self, place: &Place) -> Result<Option<Recipe>> {
        let Some(source) = self.experiment.arm[place.arm].policy else {
            return self.options(place).map(Some);
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
