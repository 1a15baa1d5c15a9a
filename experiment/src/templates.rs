//! The templates of an arm: named, drawn, or chosen by their images.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_eval::{random_sets, thread_pool};
use infomark_infer::{DataSet, Encoder, Sample};
use infomark_train::{AGAINST, Ranking, RunError, TemplateImage, TrainError};

use crate::arm::Choice;
use crate::bench::Bench;
use crate::set::{check_count, place_of};
use crate::{Event, ExperimentError};

impl Bench<'_> {
    /// Places of the templates in their folder, set by set, and how they were chosen.
    pub(crate) fn sets(
        &self,
        choice: Choice<'_>,
        encoder: &Encoder,
        (folder, data): (&Path, &DataSet),
    ) -> Result<(Vec<Vec<usize>>, &'static str), ExperimentError> {
        let seed = self.experiment.evaluate.seed;
        Ok(match choice {
            Choice::Named(names) => {
                let places = names.iter().map(|name| place_of(data, name));
                (vec![places.collect::<Result<_, _>>()?], "name")
            }
            Choice::Random(count) => (random_sets(Some(count), 1, data.images.len(), seed)?, "random"),
            Choice::Select(count) => {
                let ranking = self.ranking(encoder, (folder, data))?;
                check_count("templates", count, (&data.name, ranking.images()))?;
                (vec![ranking.choose(count)], "select")
            }
        })
    }

    /// The ranking of the images of a folder by an encoder, made once.
    fn ranking(
        &self,
        encoder: &Encoder,
        (folder, data): (&Path, &DataSet),
    ) -> Result<Ranking, ExperimentError> {
        let key = (folder.to_owned(), encoder.sha256().to_owned());
        if let Some(known) = self.rankings.borrow().get(&key) {
            return Ok(known.clone());
        }
        let images: Vec<PathBuf> = data.images.iter().map(|sample| sample.path.clone()).collect();
        let (done, total) = (AtomicUsize::new(0), images.len() + AGAINST.min(images.len()));
        let observer = self.observer;
        let advance = || {
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            match observer(Event::Choosing { done, total }).is_break() {
                true => Err(TrainError::Run(RunError::Stopped)),
                false => Ok(()),
            }
        };
        let seed = self.experiment.evaluate.seed;
        let rank = || Ranking::of(encoder, &images, AGAINST, seed, &advance);
        let ranking = thread_pool(self.threads)?.install(rank)?;
        self.rankings.borrow_mut().insert(key, ranking.clone());
        Ok(ranking)
    }

    /// The templates that self-training starts from, with their landmarks.
    pub(crate) fn annotated(
        &self,
        choice: Choice<'_>,
        encoder: &Encoder,
        (folder, data): (&Path, &DataSet),
    ) -> Result<Vec<TemplateImage>, ExperimentError> {
        let (sets, _) = self.sets(choice, encoder, (folder, data))?;
        let one = |sample: &Sample| TemplateImage {
            image: sample.path.clone(),
            landmarks: data.landmarks_of(sample),
        };
        Ok(sets.iter().flatten().filter_map(|&place| data.images.get(place)).map(one).collect())
    }
}
