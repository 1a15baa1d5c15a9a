//! Images of the folder and those added on the page, and their pixels.

use std::collections::HashSet;
use std::fs::{self, Metadata};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Result, anyhow, bail};
use infomark_infer::{
    Image, ImageError, ImageHeader, Levels, Listing, PixelSpacing, Placement, ReadLimits, decode_image,
    decode_levels, list_folder, read_file, read_image_header, sha256,
};
use serde::Serialize;

use super::state::Seen;
use super::{App, lock};
use crate::output::{file_name, one_line};

/// Folder of added images in that of the review.
pub(super) const ADDED: &str = "images";
/// Maximum side of an image sent to the page; larger images are downscaled by whole factors.
const LONGEST: usize = 6144;
/// Length of an image's id, in characters.
const ID: usize = 20;
/// Minimum interval between listings of the folders; for slow ones at most a twentieth of the time.
const OFTEN: Duration = Duration::from_secs(2);

/// An image of the review.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Known {
    /// Id in requests: a hash of its name.
    pub(super) id: String,
    pub(super) name: String,
    #[serde(skip)]
    pub(super) path: PathBuf,
    pub(super) size: Option<(usize, usize)>,
    pub(super) spacing_mm: Option<[f64; 2]>,
    /// Source of the pixel size.
    pub(super) spacing: Option<String>,
    /// Why it cannot be used.
    pub(super) error: Option<String>,
    /// SHA-256 of its file.
    pub(super) sha256: Option<String>,
    #[serde(skip)]
    pub(super) known_spacing: Option<PixelSpacing>,
    /// In 3D Slicer.
    #[serde(skip)]
    pub(super) placement: Option<Placement>,
    #[serde(skip)]
    stamp: Option<Stamp>,
}

/// Signs of a changed file, without reading it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    bytes: u64,
    changed: Option<SystemTime>,
}

impl Stamp {
    fn of(data: &Metadata) -> Self {
        Self { bytes: data.len(), changed: data.modified().ok() }
    }
}

impl Known {
    pub(super) fn new(name: String, path: PathBuf) -> Self {
        let stamp = fs::metadata(&path).ok().map(|data| Stamp::of(&data));
        let id = sha256(name.as_bytes()).chars().take(ID).collect();
        let (size, spacing_mm, spacing, error, sha256, known_spacing) = (None, None, None, None, None, None);
        let placement = None;
        Self { id, name, path, size, spacing_mm, spacing, error, sha256, known_spacing, placement, stamp }
    }

    pub(super) fn seen(&self) -> Seen<'_> {
        Seen { size: self.size, sha256: self.sha256.as_deref() }
    }

    /// Whether the file no longer exists.
    pub(super) fn is_gone(&self) -> bool {
        self.stamp.is_none()
    }

    fn is_same_file(&self, other: &Self) -> bool {
        (&self.name, &self.path, &self.stamp) == (&other.name, &other.path, &other.stamp)
    }
}

/// The images, with a number that increases with every change.
#[derive(Default)]
pub(super) struct Images {
    pub(super) all: Vec<Known>,
    pub(super) version: u64,
    /// Warning of the folder's files without an image.
    pub(super) skipped: Option<String>,
}

impl Images {
    pub(super) fn by_id(&self, id: &str) -> Option<&Known> {
        self.all.iter().find(|known| known.id == id)
    }

    pub(super) fn by_name(&self, name: &str) -> Option<&Known> {
        self.all.iter().find(|known| known.name == name)
    }

    /// Stores the hash of a file, which may have changed without a change of length or time.
    pub(super) fn tell_hash(&mut self, known: &Known, size: (usize, usize), sha256: &str) {
        let known = self.all.iter_mut().find(|other| other.is_same_file(known));
        if let Some(known) = known.filter(|known| known.sha256.as_deref().is_some_and(|old| old != sha256)) {
            known.size = Some(size);
            known.sha256 = Some(sha256.to_owned());
            self.version += 1;
        }
    }

    /// Stores why an image cannot be used, or that it can.
    pub(super) fn tell(&mut self, name: &str, error: Option<String>) {
        let known = self.all.iter_mut().find(|known| known.name == name);
        if let Some(known) = known.filter(|known| known.error != error) {
            known.error = error;
            self.version += 1;
        }
    }
}

/// Lists the images again; data of unchanged files are kept. Missing images stay in the list while the review has points of them. Returns
/// their number.
pub(super) fn list(app: &App) -> Result<usize> {
    let listing = or_none(list_folder(&app.folder))?;
    let skipped = listing.warning();
    let mut files = listing.images;
    let added = app.session.join(ADDED);
    if added.is_dir() {
        files.extend(or_none(list_folder(&added))?.images);
    }
    let with_points: Vec<String> = {
        let store = lock(&app.store);
        let images = store.state().images.iter();
        images.filter(|(_, record)| record.is_marked()).map(|(name, _)| name.clone()).collect()
    };
    let mut names = HashSet::new();
    let mut all: Vec<Known> = Vec::with_capacity(files.len());
    for path in files {
        let name = name_of(&path);
        let number = (2..).map(|number| format!("{name} ({number})"));
        let free = std::iter::once(name.clone()).chain(number).find(|name| names.insert(name.clone()));
        let mut known = Known::new(free.unwrap_or_default(), path);
        if known.name != name {
            known.error = Some(format!("{name}: another image has this name; rename one of them"));
        }
        all.push(known);
    }
    for name in with_points.into_iter().filter(|name| !names.contains(name)) {
        let mut known = Known::new(name, PathBuf::new());
        known.error = Some(format!(
            "{}: the image is gone, and its points are left out of what is saved; put it back",
            known.name
        ));
        all.push(known);
    }
    let mut images = lock(&app.images);
    for known in &mut all {
        if let Some(before) = images.by_name(&known.name).filter(|before| before.is_same_file(known)) {
            known.clone_from(before);
        }
    }
    // The first request is answered even with an empty list.
    if images.all != all || images.skipped != skipped || images.version == 0 {
        images.all = all;
        images.skipped = skipped;
        images.version += 1;
    }
    Ok(images.all.iter().filter(|known| known.stamp.is_some()).count())
}

/// An empty list for a folder without images, to which some may be added.
fn or_none(listed: Result<Listing, ImageError>) -> Result<Listing> {
    match listed {
        Err(ImageError::NoImages { .. }) => Ok(Listing::default()),
        listed => Ok(listed?),
    }
}

/// The name of a file, with escapes for bytes that are not UTF-8, so that different names stay different.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or(path.as_os_str());
    let mut text = String::new();
    for part in name.as_encoded_bytes().utf8_chunks() {
        text += part.valid();
        for byte in part.invalid() {
            text += &format!("\\x{byte:02x}");
        }
    }
    text
}

/// Reads the headers of new images.
pub(super) fn look(app: &App) {
    let open: Vec<Known> = {
        let images = lock(&app.images);
        let open = images.all.iter().filter(|known| known.size.is_none() && known.error.is_none());
        open.cloned().collect()
    };
    open.into_iter().for_each(|known| look_at(app, known));
}

/// Reads the header of an image.
pub(super) fn look_at(app: &App, mut known: Known) {
    let before = known.clone();
    match header(&known, app.how.spacing.as_ref()) {
        Ok((header, spacing, sha256)) => {
            known.size = Some((header.width, header.height));
            known.placement = Some(header.placement);
            known.spacing_mm = spacing.as_ref().map(|spacing| [spacing.mm.x, spacing.mm.y]);
            known.spacing = spacing.as_ref().map(|s| format!("{}, {}", s.source, s.calibration));
            known.known_spacing = spacing;
            known.sha256 = Some(sha256);
        }
        Err(error) => known.error = Some(without_folder(&one_line(&error), &known.path)),
    }
    let mut images = lock(&app.images);
    images.version += 1;
    // The file may have changed meanwhile.
    if let Some(place) = images.all.iter_mut().find(|other| other.is_same_file(&before)) {
        *place = known;
    }
}

/// An image with its header, which may not have been read right after the start.
pub(super) fn looked(app: &App, known: Known) -> Known {
    if known.size.is_some() || known.error.is_some() {
        return known;
    }
    look_at(app, known.clone());
    let images = lock(&app.images);
    images.by_name(&known.name).cloned().unwrap_or(known)
}

type Told = (ImageHeader, Option<PixelSpacing>, String);

fn header(known: &Known, given: Option<&PixelSpacing>) -> Result<Told> {
    let header = read_image_header(&known.path)?;
    let spacing = given.cloned().or_else(|| header.spacing.clone());
    Ok((header, spacing, sha256(&bytes(known)?)))
}

/// Keeps the list up to date, until `stop`.
pub(super) fn watch(app: &App, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        look(app);
        let rest = OFTEN.max(20 * begun.elapsed());
        let next = Instant::now() + rest;
        while Instant::now() < next && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(100));
        }
        // A folder that cannot be read now may return; its images report errors when opened.
        let _ = list(app);
    }
}

/// Removes folders from messages, which name files only.
fn without_folder(text: &str, path: &Path) -> String {
    text.replace(&path.display().to_string(), &file_name(path))
}

fn bytes(known: &Known) -> Result<Vec<u8>> {
    let Known { path, .. } = known;
    if known.stamp.is_none() {
        bail!("{}", known.error.as_deref().unwrap_or("the image is gone; put it back"));
    }
    let most = ReadLimits::default().max_bytes;
    // Messages name files only, without folders.
    read_file(path, most).map_err(|error| anyhow!(without_folder(&error.to_string(), path)))
}

/// Reads an image, with the hash of its file.
pub(super) fn read(known: &Known, given: Option<&PixelSpacing>) -> Result<(Image, String)> {
    let bytes = bytes(known)?;
    let image = decode_image(&bytes, &known.name, &ReadLimits::default())?;
    let image = match given {
        Some(spacing) => image.with_spacing(spacing.clone()),
        None => image,
    };
    Ok((image, sha256(&bytes)))
}

/// Reads all grey levels of an image, with the hash of its file.
pub(super) fn levels(known: &Known) -> Result<(Levels, String)> {
    let bytes = bytes(known)?;
    let levels = decode_levels(&bytes, &known.name, &ReadLimits::default())?;
    Ok((levels, sha256(&bytes)))
}

/// Grey levels of 16 bits, little-endian, row-major; their width and height, and the downscaling factor.
pub(super) fn grey(image: &Levels) -> (Vec<u8>, usize, usize, usize) {
    let Levels { width, height, levels, .. } = image;
    let (width, height) = (*width, *height);
    let step = width.max(height).div_ceil(LONGEST).max(1);
    let (across, down) = (width.div_ceil(step), height.div_ceil(step));
    if step == 1 {
        return (levels.iter().flat_map(|level| level.to_le_bytes()).collect(), width, height, 1);
    }
    let mut bytes = Vec::with_capacity(2 * across * down);
    for row in 0..down {
        for column in 0..across {
            let (mut sum, mut count) = (0_u64, 0_u64);
            for y in row * step..((row + 1) * step).min(height) {
                for x in column * step..((column + 1) * step).min(width) {
                    sum += u64::from(levels.get(y * width + x).copied().unwrap_or(0));
                    count += 1;
                }
            }
            bytes.extend(((sum + count / 2) / count.max(1)).to_le_bytes().into_iter().take(2));
        }
    }
    (bytes, across, down, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn names_that_differ_in_a_byte_that_is_no_text_stay_apart() {
        use std::os::unix::ffi::OsStrExt;
        let name = |bytes: &[u8]| name_of(&Path::new("a").join(std::ffi::OsStr::from_bytes(bytes)));
        assert_eq!(name(b"r\xe9sum\xe9.png"), "r\\xe9sum\\xe9.png");
        assert_ne!(name(b"\xe8.png"), name(b"\xe9.png"));
        assert_eq!(name("\u{e9}.png".as_bytes()), "\u{e9}.png");
    }
}
