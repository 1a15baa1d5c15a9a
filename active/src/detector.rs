//! Detector from a set of corrected images, however few.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use infomark_infer::{Detector, Judge, JudgeOptions, Matcher};
use infomark_train::AnnotatedSet;

use crate::folds::template_images;
use crate::learn::templates_of;
use crate::pretrained::Pretrained;
use crate::{ActiveError, LearnOptions, LearnProgress, Learned, MIN_IMAGES, learn};

/// Landmark detector built from corrected images.
#[derive(Clone, Debug)]
pub enum ActiveDetector {
    /// The corrected images as templates, below [`MIN_IMAGES`].
    Templates(Box<Judge>),
    /// Templates and landmark networks.
    Learned(Box<Learned>),
}

impl ActiveDetector {
    /// The detector for new images.
    pub fn detector(&self) -> Detector {
        match self {
            ActiveDetector::Templates(judge) => Detector::Matching(Arc::new((**judge).clone())),
            ActiveDetector::Learned(learned) => Detector::Ensemble(Box::new(learned.ensemble.clone())),
        }
    }

    /// The result of [`learn`], from [`MIN_IMAGES`] corrected images on.
    pub fn learned(&self) -> Option<&Learned> {
        match self {
            ActiveDetector::Templates(_) => None,
            ActiveDetector::Learned(learned) => Some(learned),
        }
    }
}

/// Builds a detector from corrected images: templates alone below [`MIN_IMAGES`], else the result of [`learn`].
///
/// # Errors
/// [`ActiveError::TooFew`] without any annotated image, and as [`learn`].
pub fn detector(
    encoder: &Path,
    set: &AnnotatedSet,
    options: &LearnOptions,
    work: &Path,
    progress: &mut (dyn FnMut(LearnProgress) -> ControlFlow<()> + Send),
) -> Result<ActiveDetector, ActiveError> {
    options.check()?;
    let annotated = set.images.iter().filter(|(_, points)| points.iter().any(Option::is_some)).count();
    match annotated {
        0 => Err(ActiveError::TooFew { found: 0, needed: 1 }),
        1..MIN_IMAGES => {
            if options.pretrained_network {
                Pretrained::of(encoder, set)?;
            }
            let encoder = Arc::new(infomark_models::load_encoder(encoder)?);
            Ok(ActiveDetector::Templates(Box::new(by_templates(&encoder, set, options.templates)?)))
        }
        _ => Ok(ActiveDetector::Learned(Box::new(learn(encoder, set, options, work, progress)?))),
    }
}

/// A detector with at most `most` annotated images as templates.
pub(crate) fn by_templates(
    encoder: &Arc<infomark_infer::Encoder>,
    set: &AnnotatedSet,
    most: usize,
) -> Result<Judge, ActiveError> {
    let all = templates_of(encoder, set)?;
    let chosen = template_images(set, most).into_iter().filter_map(|image| all.get(image).cloned().flatten());
    let matcher = Matcher::new(Arc::clone(encoder), chosen)?;
    Ok(Judge::new(matcher, &JudgeOptions::default()).map_err(Box::new)?)
}
