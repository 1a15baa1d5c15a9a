//! Landmark files of a review, and what is said of where they are from.

use std::collections::HashSet;
use std::path::Path;

use anyhow::Context;
use infomark_infer::{Annotated, Landmark, LandmarkFormat, encode_landmarks};
use serde_json::json;

use super::images::Known;
use super::refusal::Refusal;
use super::state::{Decision, State};
use super::work::landmarks;
use super::{App, lock};
use crate::convert::Format;
use crate::inputs::free_stem;
use crate::output;

/// Folder of the files, within that of the review.
pub(super) const FOLDER: &str = "export";

/// The format of a name, as `infomark match --format` calls it.
pub(super) fn format(name: &str) -> Result<LandmarkFormat, Refusal> {
    let format = LandmarkFormat::ALL.into_iter().find(|format| Format::of(*format).name() == name);
    format.ok_or_else(|| {
        Refusal::bad(format!("{name}: no such format; csv, slicer, coco, labelme and isbi are"))
    })
}

/// Images with their points.
struct Chosen {
    known: Known,
    points: Vec<Landmark>,
}

fn chosen(app: &App, state: &State, accepted_only: bool) -> Vec<Chosen> {
    let images = lock(&app.images);
    let wanted = |known: &&Known| {
        state.images.get(&known.name).is_some_and(|record| match record.decision {
            Decision::Accepted => true,
            Decision::Open => !accepted_only || state.setup.template.as_ref() == Some(&known.name),
            Decision::Rejected => false,
        })
    };
    let with_points = |known: &Known| {
        let points = landmarks(state, &known.name);
        (!points.is_empty()).then(|| Chosen { known: known.clone(), points })
    };
    images.all.iter().filter(wanted).filter_map(with_points).collect()
}

fn annotated(chosen: &Chosen) -> Annotated<'_> {
    Annotated {
        image: &chosen.known.name,
        size: chosen.known.size.unwrap_or((0, 0)),
        spacing: chosen.known.known_spacing.as_ref(),
        landmarks: &chosen.points,
    }
}

/// Writes the formats into the review's folder; the names of the files.
pub(super) fn write(app: &App, formats: &[String], accepted_only: bool) -> Result<Vec<String>, Refusal> {
    let state = lock(&app.store).state().clone();
    let chosen = chosen(app, &state, accepted_only);
    if chosen.is_empty() {
        return Err(Refusal::bad(
            "no image has landmarks to save yet: accept images, or save all that have points",
        ));
    }
    let folder = app.session.join(FOLDER);
    output::make_folder(&folder)?;
    let mut files = Vec::new();
    let mut put = |name: String, bytes: &[u8]| -> Result<(), Refusal> {
        output::write(&folder.join(&name), bytes)?;
        files.push(format!("{FOLDER}/{name}"));
        Ok(())
    };
    let all: Vec<Annotated<'_>> = chosen.iter().map(annotated).collect();
    for name in formats {
        let format = format(name)?;
        let encode = |images: &[Annotated<'_>], file: &str| {
            encode_landmarks(format, images, file).with_context(|| file.to_owned())
        };
        if !format.is_of_one_image() {
            let file = if name == "csv" {
                "landmarks.csv".into()
            } else {
                format!("landmarks.{name}.{}", format.ending())
            };
            put(file.clone(), &encode(&all, &file)?)?;
            continue;
        }
        output::make_folder(&folder.join(name))?;
        let mut stems = HashSet::new();
        for image in &all {
            let file =
                format!("{name}/{}.{}", free_stem(Path::new(image.image), &mut stems), format.ending());
            put(file.clone(), &encode(std::slice::from_ref(image), &file)?)?;
        }
    }
    let names: HashSet<&String> = chosen.iter().map(|chosen| &chosen.known.name).collect();
    let images: serde_json::Map<_, _> = state
        .images
        .iter()
        .filter(|(name, _)| names.contains(name))
        .map(|(n, r)| (n.clone(), json!(r)))
        .collect();
    let about = json!({
        "version": env!("CARGO_PKG_VERSION"), "revision": state.revision, "accepted_only": accepted_only,
        "landmarks": state.setup.names, "template": state.setup.template, "runs": state.runs, "images": images,
    });
    put("review.json".into(), (output::to_json(&about)? + "\n").as_bytes())?;
    Ok(files)
}

/// All images as one file of a format that holds several.
pub(super) fn bytes(app: &App, name: &str, accepted_only: bool) -> Result<Vec<u8>, Refusal> {
    let format = format(name)?;
    if format.is_of_one_image() {
        return Err(Refusal::bad(format!("{name} has a file for each image; save it to the folder instead")));
    }
    let state = lock(&app.store).state().clone();
    let chosen = chosen(app, &state, accepted_only);
    let all: Vec<Annotated<'_>> = chosen.iter().map(annotated).collect();
    Ok(encode_landmarks(format, &all, name).context("landmarks")?)
}
