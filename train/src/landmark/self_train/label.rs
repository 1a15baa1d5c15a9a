//! Pseudo-labels of unlabelled images: by matching before the first round, by the round's network after it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_core::Point;
use infomark_infer::{
    Encoder, Encoding, InputSize, Landmark, LandmarkNet, Letterbox, MatchOptions, Observation, REFINE_ROUNDS,
    Template, match_encoding, match_templates, read_image, read_image_size,
};
use rayon::prelude::*;

use super::Work;
use crate::landmark::pseudo::{Pseudo, PseudoImage, doubt_disagreement, doubt_matches, upper_median};
use crate::progress::{Progress, Reporter};
use crate::{DataError, TrainError};

/// Reads an image and encodes it.
fn encode(encoder: &Encoder, path: &Path) -> Result<Encoding, TrainError> {
    Ok(encoder.encode(&read_image(path)?)?)
}

/// Processes all images in threads, and reports the number done.
fn with_each<T: Send>(
    files: &[PathBuf],
    reporter: &mut Reporter<'_>,
    one: impl Fn(usize, &Path) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    let done = AtomicUsize::new(0);
    reporter.counting(
        |done, total| Progress::Labelling { done, total },
        |counted| {
            let each = files.par_iter().enumerate().map(|(place, path)| {
                let result = one(place, path)?;
                counted(1 + done.fetch_add(1, Ordering::Relaxed), files.len());
                Ok(result)
            });
            each.collect()
        },
    )
}

/// Matches the templates' landmarks in every image, and back.
pub(super) fn matched(work: &Work<'_>, reporter: &mut Reporter<'_>) -> Result<Vec<PseudoImage>, TrainError> {
    let around = |e: infomark_infer::TemplateError| TrainError::Data(DataError::Template(Box::new(e)));
    let failed = |e: infomark_infer::MatchError| TrainError::Data(DataError::Match(Box::new(e)));
    let on_canvas = |encoding: &Encoding, at: &[Landmark]| -> Vec<Point<f64>> {
        at.iter().map(|landmark| encoding.fit().push(landmark.at)).collect()
    };
    let mut templates = Vec::new();
    let mut own = Vec::new();
    for known in &work.templates {
        let path =
            work.files.get(known.place).ok_or_else(|| TrainError::internal("no file of a template"))?;
        let encoding = encode(&work.encoder, path)?;
        templates.push(Template::from_encoding(&encoding, &known.landmarks).map_err(around)?);
        let marked = on_canvas(&encoding, &known.landmarks);
        own.push((encoding, marked));
    }
    if let ([template], true) = (&mut templates[..], work.config.refine) {
        let annotated = template.clone();
        for _ in 0..REFINE_ROUNDS {
            let sight = |place: usize, path: &Path| match work.template_at(place) {
                Some(_) => Ok(None),
                None => template.sight(&encode(&work.encoder, path)?).map(Some).map_err(failed),
            };
            let observations = with_each(&work.files, reporter, sight)?;
            *template = annotated.refined(&observations.into_iter().flatten().collect::<Vec<Observation>>());
        }
    }
    let templates: Vec<&Template> = templates.iter().collect();
    let one = |place: usize, path: &Path| {
        if let Some(known) = work.template_at(place) {
            let marked = known.landmarks.iter().map(|l| Pseudo::marked(l.at)).collect();
            return Ok((marked, on_canvas(&encode(&work.encoder, path)?, &known.landmarks)));
        }
        let encoding = encode(&work.encoder, path)?;
        let found = match_templates(&templates, &encoding, MatchOptions::default()).map_err(failed)?;
        let as_template: Vec<Landmark> =
            found.iter().map(|found| Landmark::new(&found.name, found.at)).collect();
        let back = Template::from_encoding(&encoding, &as_template).map_err(around)?;
        // Cycle-consistency error of each landmark, template by template.
        let mut distances = vec![Vec::with_capacity(own.len()); found.len()];
        for (own, marked) in &own {
            let back = match_encoding(&back, own, MatchOptions::default()).map_err(failed)?;
            for ((distances, back), marked) in distances.iter_mut().zip(&back).zip(marked) {
                let at = own.fit().push(back.at);
                distances.push((at.x - marked.x).hypot(at.y - marked.y));
            }
        }
        let pseudo = |(found, distances): (&infomark_infer::Found, Vec<f64>)| Pseudo {
            score: found.score,
            cycle_error: upper_median(distances).unwrap_or(f64::INFINITY),
            ..Pseudo::marked(found.at)
        };
        let pseudos: Vec<Pseudo> = found.iter().zip(distances).map(pseudo).collect();
        Ok((pseudos, on_canvas(&encoding, &as_template)))
    };
    let each: Vec<(Vec<Pseudo>, Vec<Point<f64>>)> = with_each(&work.files, reporter, one)?;
    let (pseudos, places): (Vec<_>, Vec<_>) = each.into_iter().unzip();
    let image = |(place, (landmarks, path)): (usize, (Vec<Pseudo>, &PathBuf))| PseudoImage {
        image: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        is_template: work.template_at(place).is_some(),
        landmarks,
    };
    let mut images: Vec<PseudoImage> = pseudos.into_iter().zip(&work.files).enumerate().map(image).collect();
    let marked = own.first().map(|(_, marked)| &marked[..]).unwrap_or_default();
    doubt_matches(&mut images, &places, marked, work.config.limits());
    Ok(images)
}

/// The labels after a round: the network's points, where they agree with the matches.
pub(super) fn relabelled(
    work: &Work<'_>,
    network: &Path,
    mut images: Vec<PseudoImage>,
    round: usize,
    reporter: &mut Reporter<'_>,
) -> Result<Vec<PseudoImage>, TrainError> {
    let net = LandmarkNet::load(network)?;
    assert!(round > 0);
    let input = work.encoder.description().input;
    let known = &images;
    let one = |place: usize, path: &Path| {
        let image = read_image(path)?;
        let fit = fit_of(path, input)?;
        let found = net.find(&image)?;
        let places: Vec<_> = found.iter().map(|found| fit.push(found.at)).collect();
        let matched = known.get(place).map(|image| {
            image
                .landmarks
                .iter()
                .map(|pseudo| fit.push(Point::new(pseudo.matched[0], pseudo.matched[1])))
                .collect()
        });
        let at: Vec<_> = found.iter().map(|found| (found.at, found.probability)).collect();
        Ok((places, matched.unwrap_or_default(), at))
    };
    let each = with_each(&work.files, reporter, one)?;
    let mut found: Vec<Vec<Point<f64>>> = Vec::new();
    let mut matched: Vec<Vec<Point<f64>>> = Vec::new();
    let mut at = Vec::new();
    for (places, before, points) in each {
        found.push(places);
        matched.push(before);
        at.push(points);
    }
    doubt_disagreement(&mut images, &found, &matched, &at, work.config.limits());
    Ok(images)
}

/// Letterboxing of an image to the model input.
fn fit_of(path: &Path, input: InputSize) -> Result<Letterbox, TrainError> {
    let (width, height) = read_image_size(path)?;
    Letterbox::new(width, height, input)
        .map_err(|error| TrainError::Data(DataError::Letterbox { file: path.display().to_string(), error }))
}
