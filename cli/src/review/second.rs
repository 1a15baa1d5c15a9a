//! Second reader: points shown beside those of the review and compared with them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_core::Point;
use infomark_eval::{Agreement, EvalError, ReaderPair, reader_agreement};
use infomark_infer::{ImageLandmarks, LandmarkSources, Scheme, normal_name};
use serde::Serialize;

use super::images::{ADDED, Known};
use super::state::{By, Decision, State};
use super::{App, lock, store};
use crate::output::{self, shown};

/// Points by landmark, in pixels.
type Points = BTreeMap<String, [f64; 2]>;
/// Points by the normalised name of their image.
type ByImage = BTreeMap<String, Points>;

/// Source of a second reader's points.
pub(super) enum SecondReader {
    /// A landmark file, read at the start.
    File { name: String, images: ByImage },
    /// Folder of another review, read at each request, as it may be in use.
    Session(PathBuf),
}

/// Comparison with a second reader, for the page.
#[derive(Serialize)]
pub(super) struct Comparison {
    name: String,
    /// By the name of the image in the review.
    images: BTreeMap<String, Points>,
    /// Number of accepted images with points of both readers.
    compared: usize,
    /// `None` without such an image.
    agreement: Option<Agreement>,
    /// Numbers of points in compared images that only this reader, or only the second one, placed.
    only: [usize; 2],
    /// Why there is no agreement.
    problem: Option<String>,
}

impl SecondReader {
    /// Reads a landmark file in any format, or the folder of another review.
    pub(super) fn read(
        path: &Path,
        images: &Path,
        session: &Path,
        scheme: Option<&Scheme>,
    ) -> Result<SecondReader> {
        if path.is_dir() {
            // Damaged files are reported at the start.
            store::peek(path)?;
            return Ok(SecondReader::Session(path.to_owned()));
        }
        let added = session.join(ADDED);
        let folders = [Some(images.to_owned()), added.is_dir().then_some(added)];
        let names = scheme.map(Scheme::names).unwrap_or_default();
        let sources = LandmarkSources {
            images: folders.into_iter().flatten().collect(),
            of_these_alone: true,
            ..LandmarkSources::default()
        };
        let all = sources.read(&[path.to_owned()], &names, None, &mut output::warn)?.all;
        let image = |(name, marks): (&String, &ImageLandmarks)| {
            let points = marks.landmarks.iter().map(|of| (of.name.clone(), [of.at.x, of.at.y]));
            (normal_name(name).into_owned(), points.collect())
        };
        Ok(SecondReader::File { name: shown(path), images: all.images.iter().map(image).collect() })
    }

    fn points(&self) -> Result<(String, ByImage)> {
        match self {
            SecondReader::File { name, images } => Ok((name.clone(), images.clone())),
            SecondReader::Session(folder) => Ok((shown(folder), placed(&store::peek(folder)?))),
        }
    }
}

/// Confirmed points: placed, moved, or in an accepted image.
fn placed(state: &State) -> ByImage {
    let image = |(name, record): (&String, &super::state::Record)| {
        let accepted = record.decision == Decision::Accepted;
        let own = record.points.iter().filter(|(_, spot)| accepted || spot.by != By::Match);
        let points: Points = own.filter_map(|(landmark, spot)| Some((landmark.clone(), spot.at?))).collect();
        (!points.is_empty()).then(|| (normal_name(name).into_owned(), points))
    };
    state.images.iter().filter_map(image).collect()
}

/// The second reader's points in the images of the review, and the agreement on accepted images; `None` without a second reader.
pub(super) fn compare(app: &App) -> Result<Option<Comparison>> {
    let Some(second) = &app.second else { return Ok(None) };
    let (name, mut theirs) = second.points()?;
    let known: Vec<Known> = lock(&app.images).all.clone();
    let named = known.iter().filter_map(|known| Some((known, theirs.remove(&*normal_name(&known.name))?)));
    let theirs: Vec<(&Known, Points)> = named.collect();
    let store = lock(&app.store);
    let state = store.state();
    let (mut pairs, mut only, mut compared) = (Vec::new(), [0, 0], 0);
    for (known, theirs) in &theirs {
        let accepted = |record: &&super::state::Record| record.decision == Decision::Accepted;
        let Some(record) = state.images.get(&known.name).filter(accepted) else { continue };
        compared += 1;
        let own: Points = record.places().map(|(landmark, at)| (landmark.to_owned(), at)).collect();
        let landmarks: BTreeSet<&String> = own.keys().chain(theirs.keys()).collect();
        for landmark in landmarks {
            match (own.get(landmark), theirs.get(landmark)) {
                (Some(&[x, y]), Some(&[u, v])) => pairs.push(ReaderPair {
                    landmark: landmark.clone(),
                    a: Point::new(x, y),
                    b: Point::new(u, v),
                    spacing: known.known_spacing.as_ref().map(|spacing| spacing.mm),
                }),
                (first, _) => only[usize::from(first.is_none())] += 1,
            }
        }
    }
    let place = |name: &str| state.setup.names.iter().position(|known| known == name);
    pairs.sort_by_key(|pair| place(&pair.landmark));
    let (agreement, problem) = match reader_agreement(&pairs, &[1.0, 2.0, 4.0]) {
        Ok(agreement) => (Some(agreement.rounded()), None),
        Err(EvalError::NoPairs) => (None, None),
        Err(error) => (None, Some(error.to_string())),
    };
    drop(store);
    let images = theirs.into_iter().map(|(known, points)| (known.name.clone(), points)).collect();
    Ok(Some(Comparison { name, images, compared, agreement, only, problem }))
}
