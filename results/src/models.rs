//! Models and options as results name them.

use std::path::Path;

use infomark_infer::{
    Channels, Encoder, Ensemble, LandmarkDescription, LandmarkNet, MatchOptions, Member, Origin, SubPixel,
    file_name, sha256_file,
};
use serde::Serialize;

use crate::ResultsError;

/// An encoder, told apart by its hash.
#[derive(Clone, Debug, Serialize)]
pub struct EncoderRecord {
    file: String,
    sha256: String,
    version: String,
    #[serde(flatten)]
    origin: Origin,
    input: [usize; 2],
    strides: Vec<usize>,
    channels: Channels,
    temperature: f32,
    /// What ran it.
    runtime: &'static str,
}

impl EncoderRecord {
    /// An encoder that was read from a file.
    pub fn of(encoder: &Encoder, path: &Path) -> Self {
        let description = encoder.description();
        Self {
            file: file_name(path),
            sha256: encoder.sha256().to_owned(),
            version: description.version.clone(),
            origin: description.origin.clone(),
            input: [description.input.width(), description.input.height()],
            strides: description.strides.clone(),
            channels: description.channels.clone(),
            temperature: description.temperature,
            runtime: encoder.runtime(),
        }
    }
}

/// A landmark network, told apart by its hash.
#[derive(Clone, Debug, Serialize)]
pub struct NetworkRecord {
    file: String,
    sha256: String,
    #[serde(flatten)]
    description: LandmarkDescription,
}

impl NetworkRecord {
    /// A network that was read from a file.
    pub fn of(net: &LandmarkNet, path: &Path) -> Self {
        let (sha256, description) = (net.sha256().to_owned(), net.description().clone());
        Self { file: file_name(path), sha256, description }
    }
}

/// An ensemble, told apart by its hash.
#[derive(Clone, Debug, Serialize)]
pub struct EnsembleRecord {
    file: String,
    /// None of what comes with infomark, whose parts have theirs below.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    encoder_sha256: String,
    networks_sha256: Vec<String>,
    /// Images of the templates.
    templates: Vec<String>,
    landmarks: Vec<String>,
    /// What places each landmark.
    members: Vec<Member>,
    /// Fraction of errors that the bounds hold for; none without bounds.
    coverage: Option<f64>,
}

impl EnsembleRecord {
    /// Reads the file of an ensemble.
    ///
    /// # Errors
    /// [`ResultsError::Ensemble`], [`ResultsError::File`].
    pub fn load(path: &Path) -> Result<(Ensemble, EnsembleRecord), ResultsError> {
        let ensemble = Ensemble::load(path)?;
        let sha256 = sha256_file(path).map_err(ResultsError::unreadable(path))?;
        let record = EnsembleRecord { sha256: Some(sha256), ..EnsembleRecord::of(&ensemble, path) };
        Ok((ensemble, record))
    }

    /// An ensemble by the hashes of its parts, from a file or of a model that comes with infomark.
    pub fn of(ensemble: &Ensemble, path: &Path) -> EnsembleRecord {
        let templates = ensemble.matcher().templates().iter();
        EnsembleRecord {
            file: file_name(path),
            sha256: None,
            encoder_sha256: ensemble.matcher().encoder().sha256().to_owned(),
            networks_sha256: ensemble.networks().iter().map(|net| net.sha256().to_owned()).collect(),
            templates: templates.map(|template| template.image().to_owned()).collect(),
            landmarks: ensemble.landmarks().to_vec(),
            members: ensemble.members().to_vec(),
            coverage: ensemble.bounds().map(|bounds| bounds.coverage),
        }
    }
}

/// [`MatchOptions`] as results tell them.
#[derive(Clone, Debug, Serialize)]
pub struct MatchingRecord {
    neighbours: bool,
    /// In pixels of the encoder's canvas; none without the prior.
    prior_sigma: Option<f32>,
    sub_pixel: SubPixel,
}

impl MatchingRecord {
    /// What results tell of options.
    pub fn of(options: &MatchOptions) -> Self {
        let MatchOptions { neighbours, prior, prior_sigma, sub_pixel } = *options;
        Self { neighbours, prior_sigma: prior.then_some(prior_sigma), sub_pixel }
    }
}
