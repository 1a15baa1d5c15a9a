//! Scoring of an encoder during training, on annotated images.

use std::path::{Path, PathBuf};

use infomark_eval::{ErrorTable, Evaluation, Run, check_annotated, check_templates, median_mre};
use infomark_infer::{DataSet, Encoder, MatchOptions};

use crate::tune::shuffled;
use crate::{DataError, TrainError, stream};

/// Annotated images to score an encoder on at every checkpoint. They are not used for training.
#[derive(Clone, Debug)]
pub struct Scoring {
    /// Data folder: `images/`, `landmarks.csv`, `dataset.toml`.
    pub data: PathBuf,
    /// Number of its images that are used as the template, one at a time; drawn at random, but always the same.
    pub templates: usize,
}

/// Opened data set for scoring.
pub(crate) struct Scorer {
    data: DataSet,
    sets: Vec<Vec<usize>>,
    folder: PathBuf,
}

impl Scorer {
    pub(crate) fn open(scoring: &Scoring) -> Result<Self, TrainError> {
        let folder = scoring.data.clone();
        let data = DataSet::open(&folder).map_err(refused(&folder))?;
        let all = data.images.len();
        if scoring.templates == 0 || all < 2 {
            let reason = "scoring needs at least 1 template and 2 images".to_owned();
            return Err(DataError::Score { dir: folder, reason }.into());
        }
        let order = shuffled(all, 0, stream::SCORING);
        check_annotated(&data).map_err(refused(&folder))?;
        let templates: Vec<usize> = order.iter().copied().take(scoring.templates).collect();
        check_templates(&data, &data, &templates).map_err(refused(&folder))?;
        let sets = order.into_iter().take(scoring.templates).map(|image| vec![image]).collect();
        Ok(Self { data, sets, folder })
    }

    /// Median over the templates of the mean radial error in mm; a template is not scored on its own image.
    pub(crate) fn mre_mm(&self, encoder: &Encoder) -> Result<f64, TrainError> {
        let data = &self.data;
        let matching = MatchOptions::default();
        let evaluation = Evaluation { encoder, data, template_data: data, matching };
        let ready = evaluation.prepare(&self.sets, &|| Ok(())).map_err(refused(&self.folder))?;
        let runs = ready.score(&|| Ok(())).map_err(refused(&self.folder))?;
        Ok(median_mre(&runs.iter().map(Run::errors).collect::<Vec<ErrorTable>>()))
    }
}

fn refused<E: std::fmt::Display>(folder: &Path) -> impl FnOnce(E) -> TrainError {
    move |error| TrainError::Data(DataError::Score { dir: folder.to_owned(), reason: error.to_string() })
}
