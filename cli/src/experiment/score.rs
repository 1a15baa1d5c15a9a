//! The scores of what an experiment trained or matches.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use infomark_eval::{ErrorTable, ImageErrors, Protocol, Run};
use infomark_infer::DataSet;
use serde::{Deserialize, Serialize};

use super::arm::Choice;
use super::bench::{Bench, Place, name};
use super::recipe::Recipe;
use super::set::Set;
use super::work::{Trained, read_json};
use crate::evaluate::errors::{self, Row};
use crate::evaluate::{Job, NetworkJob};
use crate::inputs;
use crate::matching::How;
use crate::output::{self, shown};
use crate::refine::Refine;

/// What an evaluation was made of.
#[derive(Serialize, Deserialize, PartialEq)]
struct Evaluated {
    version: String,
    encoder_sha256: String,
    scored_sha256: String,
    templates_sha256: String,
    templates: usize,
    radii: Vec<f64>,
    seed: u64,
    /// Key of an arm that matches templates of its own choice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    matching: Option<String>,
}

impl Bench<'_> {
    /// The errors that were written.
    pub(super) fn errors(&self, place: &Place) -> Result<Vec<ErrorTable>> {
        let scores = self.folder(place).join(name::SCORES);
        let Set { scored: images, landmarks, .. } = &self.sets[place.data];
        let of_image = |rows: &[Row]| {
            let image = images.iter().position(|name| *name == rows[0].image);
            let image = image.with_context(|| format!("{}: these are of other images", shown(&scores)))?;
            // A landmark without a point has no row.
            let error = |name: &String| rows.iter().find(|row| row.landmark == *name).map(|row| row.error_mm);
            Ok(ImageErrors { image, errors_mm: landmarks.iter().map(error).collect() })
        };
        // Rows of a set, and of an image, follow each other.
        let of_set = |rows: &[Row]| {
            let images = rows.chunk_by(|a, b| a.image == b.image).map(of_image);
            Ok(ErrorTable {
                templates: vec![rows[0].template.clone()],
                images: images.collect::<Result<_>>()?,
            })
        };
        errors::read(&scores)?.chunk_by(|a, b| a.template == b.template).map(of_set).collect()
    }

    /// Scores what was trained, or is matched: the main figure, and the errors as they are written.
    pub(super) fn score(&self, place: &Place, trained: &Trained) -> Result<(f64, Vec<ErrorTable>)> {
        let folder = self.folder(place);
        let set = &self.sets[place.data];
        let rules = &self.experiment.evaluate;
        let scores = folder.join(name::SCORES);
        let made_of = scores.join(name::EVALUATED);
        if made_of.exists() {
            fs::remove_file(&made_of).with_context(|| format!("{}: can't be removed", shown(&made_of)))?;
        }
        let data = &inputs::data_folder(&set.dev)?;
        let (mre_mm, runs) = match &trained.config {
            Recipe::Encoder(_) => {
                let how = (Choice::Random(rules.templates), Refine::default());
                self.score_matches((&self.model(place), data), set, how, &scores)?
            }
            Recipe::Match { matching, .. } => {
                let model = self.encoder(place)?.context("an encoder is missing")?;
                let images = if matching.refine { vec![set.images.clone()] } else { Vec::new() };
                let how = (matching.choice()?, Refine::over(images));
                self.score_matches((&model, data), set, how, &scores)?
            }
            Recipe::Network { .. } | Recipe::SelfTrain { .. } => {
                let job = NetworkJob {
                    model: &self.model(place),
                    data: (&set.dev, data),
                    radii: &rules.radii,
                    seed: rules.seed,
                    second_annotator: None,
                    out: Some(&scores),
                };
                let scored = job.run(self.threads)?;
                (scored.mre_mm(), vec![scored.run])
            }
        };
        // Last, as it vouches for the rest.
        output::write_json(&made_of, &self.made_of(place, trained))?;
        Ok((mre_mm, runs.iter().map(|run| Run::errors(run).rounded()).collect()))
    }

    /// Scores templates that are matched by the encoder of a file.
    fn score_matches(
        &self,
        (model, data): (&Path, &DataSet),
        set: &Set,
        (choice, refine): (Choice<'_>, Refine),
        out: &Path,
    ) -> Result<(f64, Vec<Run>)> {
        let rules = &self.experiment.evaluate;
        let other = (set.templates != set.dev).then(|| inputs::data_folder(&set.templates)).transpose()?;
        let template_data = other.as_ref().unwrap_or(data);
        let encoder = infomark_models::load_encoder(model)?;
        let (sets, chosen_by) = self.sets(choice, &encoder, (&set.templates, template_data))?;
        let job = Job {
            encoder: &encoder,
            model,
            data: (&set.dev, data),
            template_data: (&set.templates, template_data),
            sets,
            chosen_by,
            how: &How::default(),
            refine: &refine,
            protocol: Protocol { radii_mm: &rules.radii, seed: rules.seed, calibrate: None },
            second_annotator: None,
            out: Some(out),
        };
        let (evaluation, runs) = job.run(self.threads)?;
        Ok((evaluation.summary.mre_mm, runs))
    }

    fn made_of(&self, place: &Place, trained: &Trained) -> Evaluated {
        let (set, rules) = (&self.sets[place.data], &self.experiment.evaluate);
        Evaluated {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            encoder_sha256: trained.encoder_sha256.clone(),
            scored_sha256: set.dev_sha256.clone(),
            templates_sha256: set.templates_sha256.clone(),
            templates: rules.templates,
            radii: rules.radii.clone(),
            seed: rules.seed,
            matching: matches!(trained.config, Recipe::Match { .. }).then(|| trained.key.clone()),
        }
    }

    /// The main figure, where this encoder was scored as the experiment says.
    pub(super) fn scored(&self, place: &Place, trained: &Trained) -> Result<Option<f64>> {
        #[derive(Deserialize)]
        struct Figure {
            mre_mm: f64,
        }
        let scores = self.folder(place).join(name::SCORES);
        let made_of: Option<Evaluated> = read_json(&scores.join(name::EVALUATED))?;
        if made_of != Some(self.made_of(place, trained)) {
            return Ok(None);
        }
        let figure: Option<Figure> = read_json(&scores.join("evaluation.json"))?;
        Ok(figure.map(|figure| figure.mre_mm))
    }
}
