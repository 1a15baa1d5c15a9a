//! What the file of an experiment says.

use std::path::Path;

use infomark_infer::read_text_file;

use crate::error::Within;
use crate::{Experiment, ExperimentError, LoopExperiment, MAX_BYTES};

/// What the file of an experiment says.
#[derive(Debug)]
pub enum Definition {
    /// Arms that are trained, matched and scored.
    Arms {
        /// The experiment.
        experiment: Experiment,
        /// Text of the file.
        text: String,
    },
    /// Simulations of active learning: a file with the key `loop`.
    Loop {
        /// The experiment.
        experiment: LoopExperiment,
        /// Text of the file.
        text: String,
    },
}

impl Definition {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`ExperimentError::File`], and [`ExperimentError::In`] with the file around what is wrong in it.
    pub fn read(path: &Path) -> Result<Self, ExperimentError> {
        let text = read_text_file(path, MAX_BYTES)?;
        let is_loop = text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("loop"));
        let parsed = match is_loop {
            true => LoopExperiment::parse(&text).map(|experiment| Self::Loop { experiment, text }),
            false => Experiment::parse(&text).map(|experiment| Self::Arms { experiment, text }),
        };
        parsed.within(|| path.display().to_string())
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        match self {
            Self::Arms { text, .. } | Self::Loop { text, .. } => text,
        }
    }
}
