//! What an arm of an experiment is: a training, or templates that are matched.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::DefinitionError;

/// A method: a training of an encoder, unless it says otherwise.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Arm {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) about: String,
    /// Options that differ from the base.
    #[serde(default)]
    pub(crate) options: toml::Table,
    /// Trains a landmark network on annotated images instead of an encoder.
    pub(crate) network: Option<Network>,
    /// Matches templates by an encoder that is there, and trains nothing.
    #[serde(rename = "match")]
    pub(crate) matching: Option<Match>,
    /// Trains a landmark network from templates and unlabelled images.
    #[serde(rename = "self-train")]
    pub(crate) self_train: Option<Templates>,
    /// The encoder, instead of the data set's.
    pub(crate) encoder: Option<PathBuf>,
    /// The arm whose encoder it is, an earlier one, instead.
    pub(crate) encoder_of: Option<String>,
    /// Where its intensities come from, if they are estimated.
    pub(crate) policy: Option<PolicySource>,
    /// The arm whose encoder they are estimated with: an earlier one.
    pub(crate) tuned_with: Option<String>,
}

/// What a landmark network learns from.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    /// So many of the annotated images, drawn by the seed; all where it is not given.
    pub(crate) images: Option<usize>,
    /// Whether it starts from the encoder, not from random weights.
    #[serde(default)]
    pub(crate) pretrained: bool,
}

/// Which templates are matched, by one of three ways, and how.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Match {
    /// The image of this name, with or without ending; several are matched together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<Names>,
    /// So many images, drawn at random, one after the other: the figures are medians.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) random: Option<usize>,
    /// So many images together, which `infomark select` chooses without landmarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) select: Option<usize>,
    /// Whether matches in the training images are averaged into the templates' features.
    #[serde(default)]
    pub(crate) refine: bool,
}

/// Which templates self-training starts from, by one of two ways.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Templates {
    /// As of [`Match`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) template: Option<Names>,
    /// As of [`Match`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) select: Option<usize>,
}

/// One name or several.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(untagged)]
pub(crate) enum Names {
    One(String),
    Several(Vec<String>),
}

impl Names {
    pub(crate) fn as_slice(&self) -> &[String] {
        match self {
            Self::One(name) => std::slice::from_ref(name),
            Self::Several(names) => names,
        }
    }
}

/// How the templates of an arm are chosen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice<'a> {
    Named(&'a [String]),
    Random(usize),
    Select(usize),
}

impl Match {
    /// The one way in which the templates are chosen.
    pub(crate) fn choice(&self) -> Result<Choice<'_>, DefinitionError> {
        let ways = [
            self.template.as_ref().map(|names| Choice::Named(names.as_slice())),
            self.random.map(Choice::Random),
            self.select.map(Choice::Select),
        ];
        let mut given = ways.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(Choice::Named([]) | Choice::Random(0) | Choice::Select(0)), None) => {
                Err(wrong("match", "there is no template; at least one is needed"))
            }
            (Some(choice), None) => Ok(choice),
            _ => Err(wrong("match", "give one of template = \"NAME\", random = N and select = N")),
        }
    }
}

impl Templates {
    /// The one way in which the templates are chosen.
    pub(crate) fn choice(&self) -> Result<Choice<'_>, DefinitionError> {
        match (&self.template, self.select) {
            (Some(names), None) if !names.as_slice().is_empty() => Ok(Choice::Named(names.as_slice())),
            (None, Some(count)) if count > 0 => Ok(Choice::Select(count)),
            _ => Err(wrong(
                "self-train",
                "give one of template = \"NAME\" and select = N, and at least one template",
            )),
        }
    }
}

/// What an arm is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind<'a> {
    Encoder,
    Network(Network),
    Match(&'a Match),
    SelfTrain(&'a Templates),
}

impl Arm {
    pub(crate) fn kind(&self) -> Kind<'_> {
        match (&self.network, &self.matching, &self.self_train) {
            (Some(network), _, _) => Kind::Network(*network),
            (_, Some(matching), _) => Kind::Match(matching),
            (_, _, Some(templates)) => Kind::SelfTrain(templates),
            _ => Kind::Encoder,
        }
    }

    /// The arm whose encoder it needs, to be tuned with or to use.
    pub(crate) fn teacher(&self) -> Option<&str> {
        self.tuned_with.as_deref().or(self.encoder_of.as_deref())
    }

    /// Whether it needs an encoder to start with.
    pub(crate) fn takes_encoder(&self) -> bool {
        match self.kind() {
            Kind::Encoder => false,
            Kind::Network(network) => network.pretrained,
            Kind::Match(_) | Kind::SelfTrain(_) => true,
        }
    }

    pub(crate) fn check(&self) -> Result<(), DefinitionError> {
        let kinds = [
            ("network", self.network.is_some()),
            ("match", self.matching.is_some()),
            ("self-train", self.self_train.is_some()),
        ];
        let given: Vec<&str> = kinds.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
        if given.len() > 1 {
            return Err(DefinitionError::Kinds { given });
        }
        if !matches!(self.kind(), Kind::Encoder) && (self.policy.is_some() || self.tuned_with.is_some()) {
            let needs = "they are of trainings of encoders, which this arm is not; leave them out";
            return Err(wrong("policy and tuned_with", needs));
        }
        if !self.takes_encoder() && (self.encoder.is_some() || self.encoder_of.is_some()) {
            return Err(wrong("encoder and encoder_of", "this arm starts from none; leave them out"));
        }
        if self.encoder.is_some() && self.encoder_of.is_some() {
            return Err(wrong("encoder and encoder_of", "give one of them"));
        }
        if matches!(self.kind(), Kind::Match(_)) && !self.options.is_empty() {
            return Err(wrong("options", "this arm trains nothing; leave them out"));
        }
        Ok(())
    }
}

/// Estimated intensities, as `infomark tune` finds them.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PolicySource {
    /// Each tier has its own.
    Tuned,
    /// All tiers have the mean of them.
    TunedShared,
}

/// A key whose value can't work.
fn wrong(key: &str, needs: &'static str) -> DefinitionError {
    DefinitionError::Key { key: key.to_owned(), needs }
}
