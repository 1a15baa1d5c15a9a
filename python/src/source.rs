//! Images from Python, as converted by `_files.source` of the package.

use std::path::PathBuf;

use infomark_infer::{
    Image, ImageError, ReadLimits, decode_image, read_hashed_image, read_image_with, sha256, with_causes,
};
use numpy::PyReadonlyArray2;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;

use crate::array::image;
use crate::error::raise;

/// An image with its name in messages. Other threads read it, without the GIL unless Python has to be called.
#[derive(FromPyObject)]
pub(crate) struct Source(String, Content);

/// Source of an image.
#[derive(FromPyObject)]
enum Content {
    /// A file.
    #[pyo3(transparent)]
    Path(PathBuf),
    /// The bytes of a file.
    #[pyo3(transparent)]
    Bytes(PyBackedBytes),
    /// A function without arguments that returns the bytes of a file, or pixels in `[0, 1]`.
    #[pyo3(transparent)]
    Function(Py<PyAny>),
}

/// Result of such a function.
#[derive(FromPyObject)]
enum Given<'py> {
    #[pyo3(transparent)]
    Bytes(PyBackedBytes),
    #[pyo3(transparent)]
    Pixels(PyReadonlyArray2<'py, f32>),
}

/// Why an image could not be read.
pub(crate) enum SourceError {
    Image(ImageError),
    Python(PyErr),
}

impl From<ImageError> for SourceError {
    fn from(error: ImageError) -> Self {
        SourceError::Image(error)
    }
}

impl From<PyErr> for SourceError {
    fn from(error: PyErr) -> Self {
        SourceError::Python(error)
    }
}

impl From<SourceError> for PyErr {
    fn from(error: SourceError) -> Self {
        match error {
            SourceError::Image(error) => raise(error),
            SourceError::Python(error) => error,
        }
    }
}

impl SourceError {
    /// The message.
    pub(crate) fn text(&self) -> String {
        match self {
            SourceError::Image(error) => with_causes(error),
            SourceError::Python(error) => Python::attach(|py| error.value(py).to_string()),
        }
    }
}

impl Source {
    /// Reads the image; call it without the GIL.
    pub(crate) fn read(&self) -> Result<Image, SourceError> {
        self.read_for(false)
    }

    /// [`read`](Self::read), reduced if `reduced`.
    pub(crate) fn read_for(&self, reduced: bool) -> Result<Image, SourceError> {
        match &self.1 {
            Content::Path(path) => {
                Ok(read_image_with(path, &ReadLimits { reduced, ..ReadLimits::default() })?)
            }
            _ => self.read_hashed(reduced).map(|(image, _)| image),
        }
    }

    /// [`read_for`](Self::read_for), with the SHA-256 of its file's bytes; `None` for pixels. Call it without the GIL.
    pub(crate) fn read_hashed(&self, reduced: bool) -> Result<(Image, Option<String>), SourceError> {
        let limits = ReadLimits { reduced, ..ReadLimits::default() };
        let decoded = |bytes: &[u8]| -> Result<_, SourceError> {
            let image = decode_image(bytes, self.0.as_str(), &limits)?;
            Ok((image, Some(sha256(bytes))))
        };
        let function = match &self.1 {
            Content::Path(path) => {
                let (image, sha256) = read_hashed_image(path, &limits)?;
                return Ok((image, Some(sha256)));
            }
            Content::Bytes(bytes) => return decoded(bytes),
            Content::Function(function) => function,
        };
        let given = Python::attach(|py| -> PyResult<_> {
            Ok(match function.bind(py).call0()?.extract()? {
                Given::Bytes(bytes) => Ok(bytes),
                Given::Pixels(pixels) => Err(image(&self.0, &pixels)?),
            })
        })?;
        match given {
            Ok(bytes) => decoded(&bytes),
            Err(image) => Ok((image, None)),
        }
    }
}
