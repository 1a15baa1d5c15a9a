//! Progress bars of training.

use infomark_train::{LossTerms, Progress as Event};

use crate::progress::{Progress, duration};

/// Progress bar of a training run's current stage.
#[derive(Default)]
pub(crate) struct Bars {
    bar: Option<(&'static str, Progress)>,
    /// The latest score, as text.
    score: String,
}

impl Bars {
    /// Shows a progress report.
    pub(crate) fn show(&mut self, event: &Event) {
        match event {
            Event::Reading { done, total } => self.stage("reading", Progress::new).at(*done, *total),
            Event::Labelling { done, total } => self.stage("labelling", Progress::new).at(*done, *total),
            Event::Labels { .. } => self.finish(),
            Event::Scored { mre_mm, .. } => self.score = format!(", MRE {mre_mm:.2} mm"),
            Event::Step { step, fraction, loss, terms, images_per_second, seconds_left } => {
                let loss = match terms {
                    LossTerms::Encoder { levels, psi } => {
                        let levels = levels.map(|level| format!("{level:.2}")).join(" ");
                        let psi = psi.map(|psi| psi.map_or_else(|| "-".into(), |psi| format!("{psi:.2}")));
                        format!("{loss:.2} ({levels}), PSI {}", psi.join(" "))
                    }
                    LossTerms::Landmarks { heat, offset } => format!("{heat:.2} + {offset:.2}"),
                };
                let (score, left) = (&self.score, duration(*seconds_left));
                let message =
                    format!("step {step}, loss {loss}{score}, {images_per_second:.1} images/s, {left} left");
                self.stage("training", |_, label| Progress::of_share(label)).share(*fraction, message);
            }
            _ => {}
        }
    }

    /// Removes the bar.
    pub(crate) fn finish(&mut self) {
        if let Some((_, bar)) = self.bar.take() {
            bar.finish();
        }
    }

    /// The bar of a stage; replaces that of the previous stage.
    fn stage(&mut self, label: &'static str, start: impl FnOnce(u64, &'static str) -> Progress) -> &Progress {
        if self.bar.as_ref().is_some_and(|(running, _)| *running != label) {
            self.finish();
        }
        &self.bar.get_or_insert_with(|| (label, start(0, label))).1
    }
}
