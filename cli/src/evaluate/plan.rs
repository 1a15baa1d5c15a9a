//! Which templates are scored on which images.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use infomark_core::Rng;
use infomark_infer::{DataSet, Landmark, Sample};

use crate::inputs::identity;
use crate::matching::hash;
use crate::output::shown;

/// The templates that were asked for.
pub(crate) enum Choice<'a> {
    /// Matched together.
    Named(&'a [String]),
    /// So many at random, or fewer when the folder has no more.
    /// Each is one image, or a set of several that are matched together.
    Random {
        count: usize,
        at_most: bool,
        at_once: usize,
    },
    All,
}

/// Places of the templates in their data folder, set by set, in its order.
pub(crate) fn choose(
    data: &DataSet,
    folder: &Path,
    choice: Choice<'_>,
    seed: u64,
) -> Result<Vec<Vec<usize>>> {
    let all = data.images.len();
    match choice {
        Choice::All => Ok((0..all).map(|index| vec![index]).collect()),
        Choice::Named(names) => {
            Ok(vec![names.iter().map(|name| named(data, folder, name)).collect::<Result<_>>()?])
        }
        Choice::Random { count, at_most, at_once } => {
            if count == 0 {
                bail!("--random-templates 0: at least one template is needed");
            }
            if at_once > 1 {
                // Sets may share images: there are more of them than a folder holds.
                return Ok((0..count).map(|set| draw(at_once, all, seed, SETS + set as u64)).collect());
            }
            if count > all && !at_most {
                bail!(
                    "--random-templates {count}: {} holds {all} images; ask for as many or use --all-templates",
                    shown(folder)
                );
            }
            Ok(draw(count.min(all), all, seed, STREAM).into_iter().map(|index| vec![index]).collect())
        }
    }
}

fn named(data: &DataSet, folder: &Path, name: &str) -> Result<usize> {
    match data.images.iter().position(|sample| sample.name == name) {
        Some(index) => Ok(index),
        None => {
            let (all, first) = (data.images.len(), data.images.first());
            let first = first.map_or("none", |sample| sample.name.as_str());
            bail!(
                "--template {name}: no such image in {}; it holds {all} images, the first is {first}",
                shown(folder)
            );
        }
    }
}

/// `count` different numbers below `all`, sorted.
pub(crate) fn draw(count: usize, all: usize, seed: u64, stream: u64) -> Vec<usize> {
    let mut rng = Rng::new(seed, stream);
    let mut order: Vec<usize> = (0..all).collect();
    for place in 0..count {
        let other = place + rng.below((all - place) as u64) as usize;
        order.swap(place, other);
    }
    order.truncate(count);
    order.sort_unstable();
    order
}

const STREAM: u64 = 1;
/// Random numbers of the images to calibrate on.
const STREAM_LEFT: u64 = 3;

/// `count` images of the templates' folder to calibrate on, drawn from those that are neither templates nor scored.
pub(crate) fn leave(
    template_data: &DataSet,
    data: &DataSet,
    templates: &[usize],
    count: usize,
    seed: u64,
) -> Result<DataSet> {
    let known = Known::of(data);
    let free: Vec<usize> = (0..template_data.images.len())
        .filter(|index| !templates.contains(index) && known.place_of(&template_data.images[*index]).is_none())
        .collect();
    if count == 0 || count > free.len() {
        bail!(
            "--calibrate {count}: 1 to {} images are left that are neither templates nor scored; ask for as many",
            free.len()
        );
    }
    let mut rng = Rng::new(seed, STREAM_LEFT);
    let mut order = free;
    for place in 0..count {
        let other = place + rng.below((order.len() - place) as u64) as usize;
        order.swap(place, other);
    }
    order.truncate(count);
    order.sort_unstable();
    let image = |index: usize| {
        let sample = &template_data.images[index];
        let landmarks = in_order(template_data, sample, &data.landmarks);
        Sample { landmarks: landmarks.iter().map(|landmark| landmark.at).collect(), ..sample.clone() }
    };
    Ok(DataSet {
        spacing: template_data.spacing,
        landmarks: data.landmarks.clone(),
        images: order.into_iter().map(image).collect(),
        ..template_data.clone()
    })
}
/// Random numbers of the first set, and of those after it.
const SETS: u64 = 1 << 20;

/// Refuses two folders that do not name the same landmarks.
pub(crate) fn check_names(
    data: &DataSet,
    folder: &Path,
    template_data: &DataSet,
    template_folder: &Path,
) -> Result<()> {
    let names = |data: &DataSet| data.landmarks.iter().cloned().collect::<BTreeSet<_>>();
    let (here, there) = (names(data), names(template_data));
    let lacking = |names: &BTreeSet<String>, others: &BTreeSet<String>| {
        others.iter().find(|name| !names.contains(*name)).cloned()
    };
    for (lacks, has, name) in
        [(template_folder, folder, lacking(&there, &here)), (folder, template_folder, lacking(&here, &there))]
    {
        if let Some(name) = name {
            bail!(
                "{}: landmark {name} of {} is missing here; both dataset.toml have to name the same landmarks",
                shown(&lacks.join("dataset.toml")),
                shown(&has.join("dataset.toml"))
            );
        }
    }
    Ok(())
}

/// The landmarks of a template in the order of `names`.
pub(crate) fn in_order(data: &DataSet, sample: &Sample, names: &[String]) -> Vec<Landmark> {
    let mut landmarks = data.landmarks_of(sample);
    landmarks.sort_by_key(|landmark| names.iter().position(|name| *name == landmark.name));
    landmarks
}

/// The images to score on, to be recognised by file or by content.
pub(crate) struct Known<'a> {
    data: &'a DataSet,
    places: HashMap<PathBuf, usize>,
}

impl<'a> Known<'a> {
    pub(crate) fn of(data: &'a DataSet) -> Self {
        let places = data.images.iter().enumerate().map(|(place, sample)| (identity(&sample.path), place));
        Self { data, places: places.collect() }
    }

    /// The place of the image that is the same file as `sample`, or has the same bytes.
    pub(crate) fn place_of(&self, sample: &Sample) -> Option<usize> {
        if let Some(&place) = self.places.get(&identity(&sample.path)) {
            return Some(place);
        }
        let size = |sample: &Sample| sample.path.metadata().map(|file| file.len()).ok();
        let (length, content) = (size(sample)?, hash(&sample.path).ok()?);
        let same = |other: &Sample| {
            size(other) == Some(length) && hash(&other.path).is_ok_and(|hash| hash == content)
        };
        self.data.images.iter().position(same)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_templates_are_different_and_follow_the_seed() {
        let drawn = draw(10, 100, 0, 0);
        assert_eq!(drawn, draw(10, 100, 0, 0));
        assert_ne!(drawn, draw(10, 100, 1, 0));
        assert!(drawn.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(draw(4, 4, 9, 0), [0, 1, 2, 3]);
    }
}
