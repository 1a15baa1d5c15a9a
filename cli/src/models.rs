//! Encoders: files, or those that come with the program.

use std::path::Path;

use anyhow::Result;
use infomark_infer::Encoder;
use infomark_models::Model;

/// The model that a path names: a name that comes with the program, where there is no such file.
pub(crate) fn named(path: &Path) -> Option<Model> {
    if path.exists() {
        return None;
    }
    infomark_models::find(path.to_str()?)
}

/// The encoder of a file, or one that comes with the program.
pub(crate) fn encoder(path: &Path) -> Result<Encoder> {
    Ok(match named(path) {
        Some(model) => Encoder::from_bytes(model.encoder, model.name)?,
        None => Encoder::load(path)?,
    })
}
