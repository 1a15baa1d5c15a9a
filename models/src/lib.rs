//! Encoders, templates and landmark networks that come with infomark, as the bytes of their files, and where a path is taken for their name.
//!
//! What each was trained on, how well it does and what it must not be used for is in the model card, the `README.md` of this crate.
//!
//! ```
//! let ceph = infomark_models::find("ceph").ok_or("no such model")?;
//! assert!(ceph.encoder.len() + ceph.landmark_net.len() < 6 << 20);
//! # Ok::<(), &str>(())
//! ```

#![forbid(unsafe_code)]

use std::path::Path;

#[cfg(feature = "onnxruntime")]
use infomark_infer::OnnxRuntime;
use infomark_infer::{
    Backbone, Encoder, ErrorCalibration, LandmarkNet, Matcher, ModelError, Template, TemplateFileError,
};

/// An encoder with a template and a landmark network.
#[derive(Clone, Copy, Debug)]
pub struct PretrainedModel {
    /// What it is called by.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// An ONNX file, for `infomark_infer::Encoder::from_bytes`.
    pub encoder: &'static [u8],
    /// A template file of that encoder, for `infomark_infer::Template::from_bytes`.
    pub template: &'static [u8],
    /// A landmark network for the same images, for `infomark_infer::LandmarkNet::from_bytes`.
    pub landmark_net: &'static [u8],
    /// Errors of that template on annotated images that it was not made with, for `infomark_infer::ErrorCalibration::from_bytes`.
    pub calibration: &'static [u8],
}

/// All of them.
pub const MODELS: &[PretrainedModel; 1] = &[PretrainedModel {
    name: "ceph",
    about: "lateral cephalograms; a template and a network of 19 landmarks; for research",
    encoder: include_bytes!("../ceph.onnx"),
    template: include_bytes!("../ceph.template"),
    landmark_net: include_bytes!("../ceph-landmarks.onnx"),
    calibration: include_bytes!("../ceph.calibration.json"),
}];

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

/// The backbone of the encoders that come with infomark, for others to be joined to.
///
/// # Errors
///
/// As [`Backbone::from_bytes`].
pub fn backbone() -> Result<Backbone, ModelError> {
    let [first, ..] = MODELS;
    Backbone::from_bytes(first.encoder, first.name)
}

/// The encoder of a file, or that of a name.
///
/// # Errors
///
/// As [`Encoder::load`].
pub fn load_encoder(path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
    match named(path.as_ref()) {
        Some(model) => Encoder::from_bytes(model.encoder, model.name),
        None => Encoder::load(path),
    }
}

/// [`load_encoder`], run by ONNX Runtime.
///
/// # Errors
///
/// As [`Encoder::load_on`].
#[cfg(feature = "onnxruntime")]
pub fn load_encoder_on(runtime: &OnnxRuntime, path: impl AsRef<Path>) -> Result<Encoder, ModelError> {
    match named(path.as_ref()) {
        Some(model) => Encoder::from_bytes_on(runtime, model.encoder, model.name),
        None => Encoder::load_on(runtime, path),
    }
}

/// The template of a file, or that of a name.
///
/// # Errors
///
/// As [`Template::load`].
pub fn load_template(path: impl AsRef<Path>) -> Result<Template, TemplateFileError> {
    match named(path.as_ref()) {
        Some(model) => Template::from_bytes(model.template, model.name),
        None => Template::load(path),
    }
}

/// The landmark network of a file, or that of a name.
///
/// # Errors
///
/// As [`LandmarkNet::load`].
pub fn load_landmark_net(path: impl AsRef<Path>) -> Result<LandmarkNet, ModelError> {
    match named(path.as_ref()) {
        Some(model) => LandmarkNet::from_bytes(model.landmark_net, model.name),
        None => LandmarkNet::load(path),
    }
}

/// The calibration of a model that comes with infomark, where a matcher has that model's encoder, its template alone, and the options
/// of matching that it was measured with.
pub fn calibration_of(matcher: &Matcher) -> Option<(PretrainedModel, ErrorCalibration)> {
    let key = matcher.calibration_key();
    MODELS.iter().find_map(|model| {
        let calibration = ErrorCalibration::from_bytes(model.calibration, model.name).ok()?;
        calibration.key.difference(&key).is_none().then_some((*model, calibration))
    })
}
