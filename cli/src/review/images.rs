//! The images of the folder, and their pixels.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_infer::{Image, PixelSpacing, ReadLimits, decode_image, list_images, read_image_header, sha256};
use serde::Serialize;

use super::{App, lock};
use crate::output::{file_name, one_line};

/// Longest side that is sent; larger images are halved, or divided further.
const LONGEST: usize = 6144;
/// Characters of an image's id.
const ID: usize = 20;

/// An image of the folder.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Known {
    /// What requests call it: a hash of its name.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) size: Option<(usize, usize)>,
    pub(super) spacing_mm: Option<[f64; 2]>,
    /// Where that is from.
    pub(super) spacing: Option<String>,
    /// Why it cannot be used.
    pub(super) error: Option<String>,
    #[serde(skip)]
    pub(super) known_spacing: Option<PixelSpacing>,
}

/// The images, with a number that goes up when something about them changes.
#[derive(Default)]
pub(super) struct Images {
    pub(super) all: Vec<Known>,
    pub(super) version: u64,
}

impl Images {
    pub(super) fn by_id(&self, id: &str) -> Option<&Known> {
        self.all.iter().find(|known| known.id == id)
    }

    /// Remembers why an image cannot be used.
    pub(super) fn fail(&mut self, name: &str, error: String) {
        if let Some(known) = self.all.iter_mut().find(|known| known.name == name) {
            known.error = Some(error);
            self.version += 1;
        }
    }
}

/// Lists the folder's images anew; those that are known keep what is known of them.
pub(super) fn list(app: &App) -> Result<usize> {
    let files = list_images(&app.folder)?;
    let mut images = lock(&app.images);
    let earlier = std::mem::take(&mut images.all);
    let known = files.into_iter().map(|path| {
        let name = file_name(&path);
        let before = earlier.iter().find(|known| known.name == name && known.error.is_none());
        before.cloned().unwrap_or_else(|| Known {
            id: sha256(name.as_bytes()).chars().take(ID).collect(),
            name,
            path,
            size: None,
            spacing_mm: None,
            spacing: None,
            error: None,
            known_spacing: None,
        })
    });
    images.all = known.collect();
    images.version += 1;
    Ok(images.all.len())
}

/// Looks into the headers of images that nothing is known of.
pub(super) fn look(app: &App, given: Option<&PixelSpacing>) {
    let open: Vec<PathBuf> = {
        let images = lock(&app.images);
        let open = images.all.iter().filter(|known| known.size.is_none() && known.error.is_none());
        open.map(|known| known.path.clone()).collect()
    };
    for path in open {
        let header = read_image_header(&path);
        let mut images = lock(&app.images);
        images.version += 1;
        let Some(known) = images.all.iter_mut().find(|known| known.path == path) else { continue };
        match header {
            Ok(header) => {
                known.size = Some((header.width, header.height));
                known.known_spacing = given.cloned().or(header.spacing);
                known.spacing_mm = known.known_spacing.as_ref().map(|spacing| [spacing.mm.x, spacing.mm.y]);
                known.spacing =
                    known.known_spacing.as_ref().map(|s| format!("{}, {}", s.source, s.calibration));
            }
            Err(error) => known.error = Some(without_folder(&one_line(&error.into()), &path)),
        }
    }
}

/// Messages name files, not where they are.
fn without_folder(text: &str, path: &Path) -> String {
    text.replace(&path.display().to_string(), &file_name(path))
}

/// An image, and the hash of its file.
pub(super) fn read(known: &Known, given: Option<&PixelSpacing>) -> Result<(Image, String)> {
    let Known { path, name, .. } = known;
    let limits = ReadLimits::default();
    let data = fs::metadata(path).with_context(|| format!("{name}: can't be read; is it still there?"))?;
    if !data.is_file() || data.len() > limits.max_bytes {
        bail!("{name}: no file, or one of more than {} MiB", limits.max_bytes >> 20);
    }
    let bytes = fs::read(path).with_context(|| format!("{name}: can't be read"))?;
    let image = decode_image(&bytes, name, &limits)?;
    let image = match given {
        Some(spacing) => image.with_spacing(spacing.clone()),
        None => image,
    };
    Ok((image, sha256(&bytes)))
}

/// Grey levels of 16 bits, little endian, row by row; their width and height, and how many pixels of the image across and
/// down each stands for.
pub(super) fn grey(image: &Image) -> (Vec<u8>, usize, usize, usize) {
    let (width, height) = (image.width(), image.height());
    let step = width.max(height).div_ceil(LONGEST).max(1);
    let (across, down) = (width.div_ceil(step), height.div_ceil(step));
    let pixels = image.pixels();
    let mut bytes = Vec::with_capacity(2 * across * down);
    for row in 0..down {
        for column in 0..across {
            let (mut sum, mut count) = (0.0_f32, 0.0_f32);
            for y in row * step..((row + 1) * step).min(height) {
                for x in column * step..((column + 1) * step).min(width) {
                    sum += pixels.get(y * width + x).copied().unwrap_or(0.0);
                    count += 1.0;
                }
            }
            let level = (sum / count.max(1.0) * f32::from(u16::MAX)).round() as u16;
            bytes.extend(level.to_le_bytes());
        }
    }
    (bytes, across, down, step)
}
