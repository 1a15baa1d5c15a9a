//! Initial scan of the training images, by one process or distributed over several.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_infer::{InputSize, ReadLimits, Rect, list_images, read_hashed_image, read_image_size, sha256};
use rayon::prelude::*;

use super::{alpha, fingerprint, kept, measure, on_canvas};
use crate::compute::Compute;
use crate::group::Group;
use crate::wire::{Reader, put_f32s, put_text, put_u64};
use crate::{DataError, TrainConfig, TrainError};

/// Minimum number of training images.
const FEWEST: usize = 2;
/// Approximate number of entropies for quantiles.
const QUANTILE_PIXELS: usize = 2_000_000;

/// Result of scanning an image.
pub(super) struct Scanned {
    /// Hash of the file.
    pub(super) sha256: String,
    pub(super) fingerprint: u64,
    pub(super) most: Option<f32>,
    pub(super) content: Rect,
    /// Entropies of a sample of its candidate pixels.
    pub(super) some: Vec<f32>,
    /// Cached levels; `None` for images read by another rank.
    pub(super) levels: Option<Vec<u8>>,
}

/// Lists the images of a folder, and chooses the model input: a given one, or one for their shapes and an area in pixels.
pub(super) fn list(
    group: &Group<'_>,
    dir: &Path,
    input: Option<InputSize>,
    input_area: usize,
) -> Result<(Vec<PathBuf>, InputSize), TrainError> {
    let paths = group.agree(files(dir))?;
    group.same(|| Ok(vec![names(&paths)]))?;
    if let Some(input) = input {
        return Ok((paths, input));
    }
    let own = shapes(&paths[group.share(paths.len())]);
    let (own, all) = group.gather(own, |own| own.iter().flat_map(|s| s.to_le_bytes()).collect())?;
    let shapes = if group.is_alone() { own } else { all.iter().flat_map(|bytes| doubles(bytes)).collect() };
    let input = input_of(shapes, input_area)?;
    Ok((paths, input))
}

/// Reads this rank's part of the images, and exchanges the results with the other ranks.
pub(super) fn scan(
    group: &Group<'_>,
    paths: &[PathBuf],
    input: InputSize,
    config: &TrainConfig,
    compute: &Compute,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Vec<Scanned>, TrainError> {
    let area = input.width() * input.height();
    // A subsample suffices for quantiles.
    let step = (paths.len() * area / QUANTILE_PIXELS).max(1) | 1;
    let done = AtomicUsize::new(0);
    let share = group.share(paths.len());
    let total = share.len();
    let own = paths[share.clone()]
        .par_iter()
        .zip(share)
        .map(|(path, place)| {
            let (image, sha256) = read_hashed_image(path, &ReadLimits::default())?;
            let (levels, content) = on_canvas(&image, path, input, config.model.normalisation)?;
            drop(image);
            let fingerprint = fingerprint(&levels);
            let sample = measure(compute, levels, content, input, config.sampling.patch, alpha(config))?;
            let drawn = || sample.entropy.iter().zip(&sample.weights);
            let may = |(entropy, weight): (&f32, &f32)| (*weight > 0.0).then_some(*entropy);
            let most = drawn().filter_map(may).reduce(f32::max);
            let some: Vec<f32> = drawn().step_by(step).filter_map(may).collect();
            let levels = kept(place, area).then_some(sample.levels);
            progress(1 + done.fetch_add(1, Ordering::Relaxed), total);
            Ok(Scanned { sha256, fingerprint, most, content, some, levels })
        })
        .collect();
    Scanned::of_all(group, own, paths.len())
}

/// The images of a folder, at least the minimum number.
fn files(dir: &Path) -> Result<Vec<PathBuf>, TrainError> {
    let paths = list_images(dir)?;
    if paths.len() < FEWEST {
        return Err(DataError::TooFew { dir: dir.to_owned(), found: paths.len(), needed: FEWEST }.into());
    }
    Ok(paths)
}

/// Number and hash of the files' names, to compare folders.
fn names(paths: &[PathBuf]) -> (String, String) {
    let mut names = Vec::new();
    for path in paths {
        put_text(&mut names, &path.file_name().unwrap_or_default().to_string_lossy());
    }
    let hash = sha256(&names);
    (
        "the images' names".into(),
        format!("{} images, hash {}", paths.len(), hash.get(..16).unwrap_or_default()),
    )
}

impl Scanned {
    /// The results of all ranks, in the order of the images.
    fn of_all(
        group: &Group<'_>,
        own: Result<Vec<Self>, TrainError>,
        count: usize,
    ) -> Result<Vec<Self>, TrainError> {
        if group.is_alone() {
            return own;
        }
        let encode = |own: &Vec<Self>| {
            let mut bytes = Vec::new();
            own.iter().for_each(|scanned| scanned.put(&mut bytes));
            bytes
        };
        let (own, all) = group.gather(own, encode)?;
        let mut scanned = Vec::with_capacity(count);
        for bytes in &all {
            let mut reader = Reader(bytes);
            while !reader.is_empty() {
                scanned.push(Self::take(&mut reader)?);
            }
        }
        if scanned.len() != count {
            return Err(TrainError::internal("ranks read another number of images than there are"));
        }
        let share = group.share(count);
        for (scanned, own) in scanned[share].iter_mut().zip(own) {
            scanned.levels = own.levels;
        }
        Ok(scanned)
    }

    fn put(&self, bytes: &mut Vec<u8>) {
        let Self { sha256, fingerprint, most, content, some, .. } = self;
        put_text(bytes, sha256);
        put_u64(bytes, *fingerprint);
        put_u64(bytes, most.is_some().into());
        put_f32s(bytes, &[most.unwrap_or_default()]);
        for side in [content.x, content.y, content.width, content.height, some.len()] {
            put_u64(bytes, side as u64);
        }
        put_f32s(bytes, some);
    }

    fn take(reader: &mut Reader<'_>) -> Result<Self, TrainError> {
        let (sha256, fingerprint, has_most) = (reader.text()?, reader.u64()?, reader.u64()? == 1);
        let most = reader.f32s(1)?.first().copied().filter(|_| has_most);
        let (x, y, width, height) = (reader.usize()?, reader.usize()?, reader.usize()?, reader.usize()?);
        let count = reader.usize()?;
        let some = reader.f32s(count)?;
        Ok(Self { sha256, fingerprint, most, content: Rect { x, y, width, height }, some, levels: None })
    }
}

/// Sides in multiples of 32, of about the requested area, with the median aspect ratio of the images.
pub(crate) fn input_size(paths: &[PathBuf], input_area: usize) -> Result<InputSize, TrainError> {
    input_of(shapes(paths)?, input_area)
}

/// Aspect ratios (width over height) of images, by their headers.
fn shapes(paths: &[PathBuf]) -> Result<Vec<f64>, TrainError> {
    let shape = |path: &PathBuf| {
        let (width, height) = read_image_size(path)?;
        Ok(width as f64 / height.max(1) as f64)
    };
    paths.par_iter().map(shape).collect()
}

/// Decodes the numbers of another rank.
fn doubles(bytes: &[u8]) -> Vec<f64> {
    bytes.as_chunks::<8>().0.iter().map(|value| f64::from_le_bytes(*value)).collect()
}

/// [`input_size`] from the images' aspect ratios.
fn input_of(mut shapes: Vec<f64>, input_area: usize) -> Result<InputSize, TrainError> {
    shapes.sort_by(f64::total_cmp);
    let shape = shapes.get(shapes.len() / 2).copied().unwrap_or(1.0).clamp(0.25, 4.0);
    let side = |length: f64| ((length / 32.0).round() as usize).max(2) * 32;
    let area = input_area as f64;
    InputSize::new(side((area * shape).sqrt()), side((area / shape).sqrt()))
        .map_err(|error| TrainError::Data(DataError::Letterbox { file: "the encoder's input".into(), error }))
}
