//! Weights of a network as one vector, and as tensors in a file.

use std::collections::HashMap;
use std::ops::Range;

use infomark_core::Rng;
use safetensors::tensor::{Dtype, SafeTensors, TensorView, serialize};

/// A tensor of the network.
#[derive(Clone, Debug)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    range: Range<usize>,
}

/// Names and shapes of a network's tensors, and their concatenated values, row-major.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters {
    tensors: Vec<Tensor>,
    /// Values of all tensors.
    pub(crate) values: Vec<f32>,
}

impl Parameters {
    /// Adds a tensor of normally distributed values.
    pub(crate) fn normal(
        &mut self,
        name: String,
        shape: &[usize],
        deviation: f32,
        rng: &mut Rng,
    ) -> Range<usize> {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| rng.normal::<f32>() * deviation).collect();
        self.push(name, shape, values, rng)
    }

    /// Adds a vector of equal values.
    pub(crate) fn constant(&mut self, name: String, len: usize, value: f32, rng: &mut Rng) -> Range<usize> {
        self.push(name, &[len], vec![value; len], rng)
    }

    fn push(&mut self, name: String, shape: &[usize], values: Vec<f32>, rng: &mut Rng) -> Range<usize> {
        // One random number is skipped after each tensor, for the same weights as in earlier versions.
        rng.next_u64();
        let range = self.values.len()..self.values.len() + values.len();
        self.values.extend(values);
        self.tensors.push(Tensor { name, shape: shape.to_vec(), range: range.clone() });
        range
    }

    /// Number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// Ranges of the tensors in the vector, in order.
    #[cfg(test)]
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        self.tensors.iter().map(|tensor| tensor.range.clone())
    }

    /// A safetensors file with vectors of the network's length, each with a prefix of its tensors' names. `notes` become its metadata.
    pub(crate) fn to_safetensors(
        &self,
        vectors: &[(&str, &[f32])],
        notes: Option<(&str, String)>,
    ) -> Result<Vec<u8>, safetensors::SafeTensorError> {
        let bytes: Vec<Vec<u8>> = vectors
            .iter()
            .map(|(_, values)| values.iter().flat_map(|value| value.to_le_bytes()).collect())
            .collect();
        let mut views = Vec::with_capacity(vectors.len() * self.tensors.len());
        for ((prefix, _), bytes) in vectors.iter().zip(&bytes) {
            for Tensor { name, shape, range } in &self.tensors {
                let data = &bytes[4 * range.start..4 * range.end];
                views.push((format!("{prefix}{name}"), TensorView::new(Dtype::F32, shape.clone(), data)?));
            }
        }
        let notes = notes.map(|(key, value)| HashMap::from([(key.to_owned(), value)]));
        serialize(views, notes)
    }

    /// Reads vectors written by [`to_safetensors`](Self::to_safetensors), in the order of their prefixes, and the note of this key.
    ///
    /// # Errors
    /// The problem, when the file is damaged or contains other tensors.
    pub(crate) fn read_safetensors(
        &self,
        bytes: &[u8],
        prefixes: &[&str],
        note: Option<&str>,
    ) -> Result<(Vec<Vec<f32>>, Option<String>), String> {
        let file = SafeTensors::deserialize(bytes).map_err(|error| error.to_string())?;
        if file.len() != prefixes.len() * self.tensors.len() {
            return Err(format!(
                "it has {} tensors, not {}",
                file.len(),
                prefixes.len() * self.tensors.len()
            ));
        }
        let mut vectors = Vec::with_capacity(prefixes.len());
        for prefix in prefixes {
            let mut values = Vec::with_capacity(self.len());
            for Tensor { name, shape, .. } in &self.tensors {
                let name = format!("{prefix}{name}");
                let found = file.tensor(&name).map_err(|_| format!("it has no tensor {name}"))?;
                if found.dtype() != Dtype::F32 || found.shape() != shape {
                    let (dtype, found) = (found.dtype(), found.shape());
                    return Err(format!("tensor {name} is {dtype:?} {found:?}, not F32 {shape:?}"));
                }
                values.extend(found.data().as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)));
            }
            vectors.push(values);
        }
        let Some(key) = note else { return Ok((vectors, None)) };
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(|error| error.to_string())?;
        let note = metadata.metadata().as_ref().and_then(|notes| notes.get(key).cloned());
        Ok((vectors, note))
    }
}
