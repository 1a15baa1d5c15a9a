//! Encoders and templates that come with infomark, as the bytes of their files.
//!
//! What each was trained on, how well it does and what it must not be used for is in the model card, the `README.md` of this crate.
//!
//! ```
//! let ceph = infomark_models::find("ceph").ok_or("no such model")?;
//! assert!(ceph.encoder.len() + ceph.template.len() < 4 << 20);
//! # Ok::<(), &str>(())
//! ```

#![forbid(unsafe_code)]

/// An encoder with a template.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    /// What it is called by.
    pub name: &'static str,
    /// What it is for, in a line.
    pub about: &'static str,
    /// An ONNX file, for `infomark_infer::Encoder::from_bytes`.
    pub encoder: &'static [u8],
    /// A template file of that encoder, for `infomark_infer::Template::from_bytes`.
    pub template: &'static [u8],
}

/// All of them.
pub const MODELS: &[Model] = &[Model {
    name: "ceph",
    about: "lateral cephalograms, ten landmarks; for research",
    encoder: include_bytes!("../ceph.onnx"),
    template: include_bytes!("../ceph.template"),
}];

/// The model of a name.
pub fn find(name: &str) -> Option<Model> {
    MODELS.iter().copied().find(|model| model.name == name)
}
