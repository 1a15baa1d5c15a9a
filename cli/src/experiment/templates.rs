//! The templates of an arm: named, drawn, or chosen by their images.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use infomark_eval::random_sets;
use infomark_infer::{DataSet, Encoder};
use infomark_train::{AGAINST, Annotated};

use super::arm::Choice;
use super::bench::Bench;
use super::set::place_of;
use crate::{inputs, select};

impl Bench<'_> {
    /// Places of the templates in their folder, set by set, and how they were chosen.
    pub(super) fn sets(
        &self,
        choice: Choice<'_>,
        encoder: &Encoder,
        (folder, data): (&Path, &DataSet),
    ) -> Result<(Vec<Vec<usize>>, &'static str)> {
        let seed = self.experiment.evaluate.seed;
        Ok(match choice {
            Choice::Named(names) => {
                let places = names.iter().map(|name| place_of(data, name));
                (vec![places.collect::<Result<_>>()?], "name")
            }
            Choice::Random(count) => (random_sets(Some(count), 1, data.images.len(), seed)?, "random"),
            Choice::Select(count) => {
                let key = (folder.to_owned(), encoder.sha256().to_owned());
                let known = self.rankings.borrow().get(&key).cloned();
                let ranking = match known {
                    Some(ranking) => ranking,
                    None => {
                        let images: Vec<PathBuf> =
                            data.images.iter().map(|sample| sample.path.clone()).collect();
                        let pool = inputs::pool(self.threads)?;
                        let ranking = pool.install(|| select::rank(encoder, &images, AGAINST, seed))?;
                        self.rankings.borrow_mut().insert(key, ranking.clone());
                        ranking
                    }
                };
                (vec![select::choose_from(&ranking, count, folder)?], "select")
            }
        })
    }

    /// The templates that self-training starts from, with their landmarks.
    pub(super) fn annotated(
        &self,
        choice: Choice<'_>,
        encoder: &Encoder,
        (folder, data): (&Path, &DataSet),
    ) -> Result<Vec<Annotated>> {
        let (sets, _) = self.sets(choice, encoder, (folder, data))?;
        let one = |&place: &usize| {
            let sample = data.images.get(place).context("a template is missing")?;
            Ok(Annotated { image: sample.path.clone(), landmarks: data.landmarks_of(sample) })
        };
        sets.iter().flatten().map(one).collect()
    }
}
