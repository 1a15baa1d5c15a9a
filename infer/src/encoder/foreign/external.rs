//! External weights of ONNX models.

use std::collections::HashMap;
use std::path::{Component, Path};

use super::ForeignError;
use crate::encoder::MAX_BYTES;
use crate::file;
use crate::onnx::Graph;

const TOO_MUCH: &str = "makes more than a model may have (512 MiB)";

/// Embeds weights from other files of the model's folder into the graph.
pub(super) fn embed(graph: &mut Graph, folder: Option<&Path>) -> Result<(), ForeignError> {
    let in_nodes = graph
        .node
        .iter_mut()
        .flat_map(|node| &mut node.attribute)
        .flat_map(|attribute| attribute.t.iter_mut().chain(&mut attribute.tensors));
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    let (mut read, mut taken) = (0, 0);
    let beyond = |bytes: usize| bytes as u64 > MAX_BYTES;
    for tensor in graph.initializer.iter_mut().chain(in_nodes) {
        if tensor.data_location.is_none_or(|location| location == 0) && tensor.external_data.is_empty() {
            continue;
        }
        let entry = |key: &str| {
            tensor.external_data.iter().find(|entry| entry.key == key).map(|entry| entry.value.as_str())
        };
        let named = entry("location").unwrap_or_default().to_owned();
        let refuse = |reason: &str| ForeignError::External {
            tensor: tensor.name.clone(),
            file: named.clone(),
            reason: reason.to_owned(),
        };
        let number = |key: &str| match entry(key) {
            None => Ok(None),
            Some(text) => {
                text.parse::<usize>().map(Some).map_err(|_| refuse("is given with a place that is no number"))
            }
        };
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let relative = Path::new(&named);
        let mut parts = relative.components();
        let (Some(folder), Some(Component::Normal(_)), None) = (folder, parts.next(), parts.next()) else {
            return Err(refuse("is not named as a file beside the model"));
        };
        if !files.contains_key(&named) {
            let bytes = file::read(&folder.join(relative), MAX_BYTES)
                .map_err(|problem| refuse(&format!("cannot be read ({problem})")))?;
            read += bytes.len();
            if beyond(read) {
                return Err(refuse(TOO_MUCH));
            }
            files.insert(named.clone(), bytes);
        }
        let bytes = files.get(&named).and_then(|bytes| bytes.get(offset..));
        let bytes = bytes.and_then(|bytes| bytes.get(..length.unwrap_or(bytes.len())));
        let bytes = bytes.ok_or_else(|| refuse("ends before the tensor does"))?;
        // Many tensors may refer to the same bytes.
        taken += bytes.len();
        if beyond(taken) {
            return Err(refuse(TOO_MUCH));
        }
        tensor.raw_data = bytes.to_vec();
        tensor.external_data = Vec::new();
        tensor.data_location = None;
    }
    Ok(())
}
