//! Encoders, templates and landmark networks that come with infomark, as the bytes of their files, and where a path is taken for their name.
//!
//! What each was trained on, how well it does and what it must not be used for is in its model card, the `README.md` of
//! the crate of its files.
//!
//! ```
//! let ceph = infomark_models::find("ceph").ok_or("no such model")?;
//! assert_eq!(ceph.template()?.landmarks().len(), 19);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod placement;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;

#[cfg(feature = "onnxruntime")]
use infomark_infer::OnnxRuntime;
use infomark_infer::{
    Backbone, Encoder, Ensemble, EnsembleBounds, EnsembleError, EnsembleFile, ErrorCalibration, LandmarkNet,
    MatchError, Matcher, ModelError, Template, TemplateFileError, read_model,
};

pub use placement::PretrainedPlacement;

/// An encoder with templates, and a landmark network where there is one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PretrainedModel {
    /// What it is called by.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// An ONNX file, for [`Encoder::from_bytes`].
    pub encoder: &'static [u8],
    /// Template files of that encoder, for [`Template::from_bytes`], to be matched together: at least one.
    pub templates: &'static [&'static [u8]],
    /// A landmark network for the same images, for [`LandmarkNet::from_bytes`].
    pub landmark_net: Option<&'static [u8]>,
    /// Errors of these templates on annotated images that they were not made with, for [`ErrorCalibration::from_bytes`].
    pub calibration: Option<&'static [u8]>,
    /// What places each landmark where network and templates are matched together, with error bounds.
    pub placement: Option<&'static PretrainedPlacement>,
}

impl PretrainedModel {
    /// Its templates.
    ///
    /// # Errors
    ///
    /// As [`Template::from_bytes`].
    pub fn templates(&self) -> Result<Vec<Template>, TemplateFileError> {
        self.templates.iter().map(|bytes| Template::from_bytes(bytes, self.name)).collect()
    }

    /// The first of its templates, which recognises images of its kind and the way they are turned.
    ///
    /// # Errors
    ///
    /// As [`Template::from_bytes`].
    pub fn template(&self) -> Result<Template, TemplateFileError> {
        Template::from_bytes(self.templates.first().copied().unwrap_or_default(), self.name)
    }

    /// Its landmark network.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoNetwork`] where it has none, and as [`LandmarkNet::from_bytes`].
    pub fn network(&self) -> Result<LandmarkNet, ModelError> {
        LandmarkNet::from_bytes(self.network_bytes()?, self.name)
    }

    /// Its templates and its landmark network together, with its [`placement`](Self::placement).
    ///
    /// # Errors
    ///
    /// [`ModelError::NoNetwork`] where it has none, and as [`templates`](Self::templates) and [`network`](Self::network).
    pub fn ensemble(&self) -> Result<Ensemble, PretrainedEnsembleError> {
        let network = self.network()?;
        let encoder = Arc::new(Encoder::from_bytes(self.encoder, self.name)?);
        let ensemble = self.placed(Ensemble::new(Matcher::new(encoder, self.templates()?)?, [network])?)?;
        let Some(PretrainedPlacement { coverage, landmarks }) = self.placement else {
            return Ok(ensemble);
        };
        let factors = landmarks.iter().map(|(_, _, factor)| *factor).collect();
        Ok(ensemble.with_bounds(EnsembleBounds { coverage: *coverage, factors })?)
    }

    /// An ensemble of its network and any templates, whose landmarks are placed by the members of its [`placement`](Self::placement); error bounds are
    /// those of its own templates alone.
    ///
    /// # Errors
    ///
    /// [`EnsembleError`] where the landmarks are not those of its network.
    pub fn placed(&self, ensemble: Ensemble) -> Result<Ensemble, EnsembleError> {
        match self.placement {
            Some(placement) => {
                ensemble.with_members(placement.landmarks.iter().map(|(_, member, _)| *member).collect())
            }
            None => Ok(ensemble),
        }
    }

    /// The file of its landmark network.
    ///
    /// # Errors
    ///
    /// [`ModelError::NoNetwork`] where it has none.
    pub fn network_bytes(&self) -> Result<&'static [u8], ModelError> {
        self.landmark_net.ok_or_else(|| ModelError::NoNetwork { name: self.name.to_owned() })
    }
}

/// Why the ensemble of a model can't be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PretrainedEnsembleError {
    /// It has no landmark network, or a file is damaged.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A template is damaged.
    #[error(transparent)]
    Template(#[from] TemplateFileError),
    /// The templates do not fit the encoder.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// The templates do not fit the network.
    #[error(transparent)]
    Ensemble(#[from] EnsembleError),
}

/// All of them.
pub static MODELS: [PretrainedModel; 3] = [
    PretrainedModel {
        name: "ceph",
        about: "lateral cephalograms; 19 landmarks; for research",
        encoder: infomark_models_ceph::ENCODER,
        templates: infomark_models_ceph_templates::TEMPLATES,
        landmark_net: Some(infomark_models_ceph::LANDMARK_NET),
        calibration: Some(infomark_models_ceph::CALIBRATION),
        placement: Some(&placement::CEPH),
    },
    PretrainedModel {
        name: "chest",
        about: "frontal chest radiographs; 14 landmarks; for research",
        encoder: infomark_models_chest::ENCODER,
        templates: infomark_models_chest::TEMPLATES,
        landmark_net: Some(infomark_models_chest::LANDMARK_NET),
        calibration: Some(infomark_models_chest::CALIBRATION),
        placement: Some(&placement::CHEST),
    },
    PretrainedModel {
        name: "hand",
        about: "left hands of children; 17 landmarks; for research",
        encoder: infomark_models_hand::ENCODER,
        templates: infomark_models_hand::TEMPLATES,
        landmark_net: None,
        calibration: None,
        placement: None,
    },
];

/// The model of a name.
pub fn find(name: &str) -> Option<PretrainedModel> {
    MODELS.iter().copied().find(|model| model.name == name)
}

/// The model that a path names: that of a name, where there is no such file.
pub fn named(path: &Path) -> Option<PretrainedModel> {
    if path.exists() {
        return None;
    }
    find(path.to_str()?)
}

/// What is said where there is no file of a path that may have been meant as a name.
fn missing(path: &Path, error: ModelError) -> ModelError {
    match error {
        ModelError::Missing { name } if path.extension().is_none() => {
            let known: Vec<&str> = MODELS.iter().map(|model| model.name).collect();
            ModelError::UnknownModel { name, known: known.join(", ") }
        }
        other => other,
    }
}

/// The backbone of the encoders that come with infomark, for others to be joined to.
///
/// # Errors
///
/// As [`Backbone::from_bytes`].
pub fn backbone() -> Result<Backbone, ModelError> {
    Backbone::from_bytes(infomark_models_ceph::ENCODER, "ceph")
}

/// The encoder of a file, of a whole model (`.infomark`), or of a name.
///
/// # Errors
///
/// As [`Encoder::load`], and [`ModelError::InEnsemble`].
pub fn load_encoder(path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
    let bytes = read_encoder(&path)?;
    Encoder::from_bytes(&bytes, path.as_ref().display().to_string())
}

/// [`load_encoder`], run by ONNX Runtime.
///
/// # Errors
///
/// As [`Encoder::load_on`], and [`ModelError::InEnsemble`].
#[cfg(feature = "onnxruntime")]
pub fn load_encoder_on(runtime: &OnnxRuntime, path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
    let bytes = read_encoder(&path)?;
    Encoder::from_bytes_on(runtime, &bytes, path.as_ref().display().to_string())
}

/// The bytes of an encoder's file, of that in a whole model (`.infomark`), or of that of a name.
///
/// # Errors
///
/// As [`read_model`], and [`ModelError::InEnsemble`].
pub fn read_encoder(path: impl AsRef<Path>) -> Result<Cow<'static, [u8]>, ModelError> {
    match named(path.as_ref()) {
        Some(model) => Ok(Cow::Borrowed(model.encoder)),
        None if EnsembleFile::is_at(&path) => match EnsembleFile::load(path) {
            Ok(file) => Ok(Cow::Owned(file.encoder)),
            Err(error) => Err(ModelError::InEnsemble { source: Box::new(error) }),
        },
        None => match read_model(path.as_ref()) {
            Ok(bytes) => Ok(Cow::Owned(bytes)),
            Err(error) => Err(missing(path.as_ref(), error)),
        },
    }
}

/// The template of a file, or those of a name.
///
/// # Errors
///
/// As [`Template::load`].
pub fn load_templates(path: impl AsRef<Path>) -> Result<Vec<Template>, TemplateFileError> {
    match named(path.as_ref()) {
        Some(model) => model.templates(),
        None => Ok(vec![Template::load(path)?]),
    }
}

/// The landmark network of a file, or that of a name.
///
/// # Errors
///
/// As [`LandmarkNet::load`] and [`PretrainedModel::network`].
pub fn load_landmark_net(path: impl AsRef<Path>) -> Result<LandmarkNet, ModelError> {
    match named(path.as_ref()) {
        Some(model) => model.network(),
        None => LandmarkNet::load(&path).map_err(|error| missing(path.as_ref(), error)),
    }
}

/// The calibration of a model that comes with infomark, where a matcher has that model's encoder, its templates alone, and the options
/// of matching that it was measured with.
pub fn calibration_of(matcher: &Matcher) -> Option<(PretrainedModel, ErrorCalibration)> {
    let key = matcher.calibration_key();
    MODELS.iter().find_map(|model| {
        let calibration = ErrorCalibration::from_bytes(model.calibration?, model.name).ok()?;
        calibration.key.difference(&key).is_none().then_some((*model, calibration))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placements_have_the_landmarks_of_their_networks() -> Result<(), Box<dyn std::error::Error>> {
        for model in MODELS {
            assert_eq!(model.placement.is_some(), model.landmark_net.is_some(), "{}", model.name);
            let Some(placement) = model.placement else { continue };
            let names: Vec<&str> = placement.landmarks.iter().map(|(name, ..)| *name).collect();
            let network = model.network()?;
            assert_eq!(names, network.description().landmarks, "{}", model.name);
            assert!(model.ensemble()?.bounds().is_some());
        }
        Ok(())
    }
}
