//! Choice of the template sets and the scored images.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use infomark_core::Rng;
use infomark_infer::{DataSet, Landmark, Sample, sha256_file};

use crate::EvalError;

/// Maximum number of sets of templates.
pub const MAX_SETS: usize = 10_000;
/// Default number of sets.
const DEFAULT_SETS: usize = 10;
/// Stream of random numbers of single templates.
const ONE_BY_ONE: u64 = 1;
/// Stream of random numbers of the calibration images.
const LEFT: u64 = 3;
/// First stream of random numbers of sets of several templates.
const SETS: u64 = 1 << 20;

/// `count` different numbers below `all`, in random order (Fisher and Yates); all of them if there are no more.
pub fn draw_in_order(count: usize, all: usize, mut rng: Rng) -> Vec<usize> {
    let mut order: Vec<usize> = (0..all).collect();
    let count = count.min(all);
    for place in 0..count {
        let other = place + rng.below((all - place) as u64) as usize;
        order.swap(place, other);
    }
    order.truncate(count);
    order
}

/// [`draw_in_order`] in ascending order.
pub fn draw(count: usize, all: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut drawn = draw_in_order(count, all, Rng::new(seed, stream));
    drawn.sort_unstable();
    drawn
}

/// `count` random sets of templates: each has `together` indices of `images` images. If `count` is `None`, ten, or as many
/// as possible. Sets of one are all different, sets of several may share images.
///
/// # Errors
/// [`EvalError::Together`] when `together` is 0 or there are fewer images, [`EvalError::Count`] when `count` is 0, beyond [`MAX_SETS`], or, for
/// sets of one, beyond the images.
pub fn random_sets(
    count: Option<usize>,
    together: usize,
    images: usize,
    seed: u64,
) -> Result<Vec<Vec<usize>>, EvalError> {
    if !(1..=images).contains(&together) {
        return Err(EvalError::Together { together, images });
    }
    let most = if together == 1 { images.min(MAX_SETS) } else { MAX_SETS };
    let count = count.unwrap_or(DEFAULT_SETS.min(most));
    if !(1..=most).contains(&count) {
        return Err(EvalError::Count { count, most, images });
    }
    Ok(match together {
        1 => draw(count, images, seed, ONE_BY_ONE).into_iter().map(|index| vec![index]).collect(),
        _ => (0..count).map(|set| draw(together, images, seed, SETS + set as u64)).collect(),
    })
}

/// Draws `count` calibration images of the templates' data set that are neither `templates`, given as indices,
/// nor in `data`.
///
/// # Errors
/// [`EvalError::Left`] when `count` is 0 or there are fewer.
pub(crate) fn leave(
    template_data: &DataSet,
    data: &DataSet,
    templates: &[usize],
    count: usize,
    seed: u64,
) -> Result<DataSet, EvalError> {
    let known = Known::of(data);
    let scored = |sample: &Sample| known.place_of(sample).is_some();
    let free: Vec<&Sample> = template_data
        .images
        .iter()
        .enumerate()
        .filter(|(index, sample)| !templates.contains(index) && !scored(sample))
        .map(|(_, sample)| sample)
        .collect();
    if count == 0 || count > free.len() {
        return Err(EvalError::Left { wanted: count, left: free.len() });
    }
    let image = |sample: &&Sample| {
        let known = template_data.landmarks_of(sample);
        let point =
            |name: &String| known.iter().find(|landmark| landmark.name == *name).map(|landmark| landmark.at);
        Sample { landmarks: data.landmarks.iter().map(point).collect(), ..(*sample).clone() }
    };
    let drawn = draw(count, free.len(), seed, LEFT);
    Ok(DataSet {
        spacing: template_data.spacing,
        landmarks: data.landmarks.clone(),
        images: drawn.into_iter().filter_map(|place| free.get(place)).map(image).collect(),
        ..template_data.clone()
    })
}

/// Rejects two data sets with different landmarks.
///
/// # Errors
/// [`EvalError::Names`].
pub fn check_names(data: &DataSet, template_data: &DataSet) -> Result<(), EvalError> {
    let names = |data: &DataSet| data.landmarks.iter().cloned().collect::<BTreeSet<_>>();
    let (here, there) = (names(data), names(template_data));
    let of = |lacks: &DataSet, has: &DataSet, landmark: &String| EvalError::Names {
        lacks: manifest(lacks),
        has: manifest(has),
        landmark: landmark.clone(),
    };
    match (here.difference(&there).next(), there.difference(&here).next()) {
        (Some(landmark), _) => Err(of(template_data, data, landmark)),
        (None, Some(landmark)) => Err(of(data, template_data, landmark)),
        (None, None) => Ok(()),
    }
}

/// Rejects a data set with a landmark without any point.
///
/// # Errors
/// [`EvalError::Unannotated`].
pub fn check_annotated(data: &DataSet) -> Result<(), EvalError> {
    data.unannotated().map_or(Ok(()), |landmark| {
        Err(EvalError::Unannotated { data: data.name.clone(), landmark: landmark.to_owned() })
    })
}

/// Rejects templates, given as indices in `template_data`, if none has a point of a landmark of `data`.
///
/// # Errors
/// [`EvalError::NotInTemplates`], and [`EvalError::Set`] for an invalid index.
pub fn check_templates(data: &DataSet, template_data: &DataSet, chosen: &[usize]) -> Result<(), EvalError> {
    let images = &template_data.images;
    let beyond = || EvalError::Set { data: template_data.name.clone(), images: images.len() };
    let sample = |&index: &usize| images.get(index).ok_or_else(beyond);
    let samples = chosen.iter().map(sample).collect::<Result<Vec<&Sample>, EvalError>>()?;
    let landmarks = samples.iter().flat_map(|sample| template_data.landmarks_of(sample));
    let known: BTreeSet<String> = landmarks.map(|landmark| landmark.name).collect();
    data.landmarks.iter().find(|name| !known.contains(*name)).map_or(Ok(()), |landmark| {
        Err(EvalError::NotInTemplates {
            data: template_data.name.clone(),
            landmark: landmark.clone(),
            templates: samples.iter().map(|sample| sample.name.clone()).collect(),
        })
    })
}

/// The file with a data set's landmark names.
pub(crate) fn manifest(data: &DataSet) -> PathBuf {
    let images = data.images.first().and_then(|sample| sample.path.parent());
    images.and_then(Path::parent).unwrap_or(Path::new("")).join("dataset.toml")
}

/// The landmarks of an image of a data set, in the order of `names`.
pub(crate) fn in_order(data: &DataSet, sample: &Sample, names: &[String]) -> Vec<Landmark> {
    let mut landmarks = data.landmarks_of(sample);
    landmarks.sort_by_key(|landmark| names.iter().position(|name| *name == landmark.name));
    landmarks
}

/// Images to score, for comparison by file or by content.
pub(crate) struct Known<'a> {
    data: &'a DataSet,
    places: HashMap<PathBuf, usize>,
}

impl<'a> Known<'a> {
    pub(crate) fn of(data: &'a DataSet) -> Self {
        let places = data.images.iter().enumerate().map(|(place, sample)| (identity(&sample.path), place));
        Self { data, places: places.collect() }
    }

    /// Index of the image that is the same file as `sample`, or has the same bytes.
    pub(crate) fn place_of(&self, sample: &Sample) -> Option<usize> {
        if let Some(&place) = self.places.get(&identity(&sample.path)) {
            return Some(place);
        }
        let size = |sample: &Sample| sample.path.metadata().map(|file| file.len()).ok();
        let hash = |sample: &Sample| sha256_file(&sample.path).ok();
        let (length, content) = (size(sample)?, hash(sample)?);
        let same = |other: &Sample| size(other) == Some(length) && hash(other).as_ref() == Some(&content);
        self.data.images.iter().position(same)
    }
}

/// Canonical path, so that different paths of one file are equal.
fn identity(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
