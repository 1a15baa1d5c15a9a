//! Search of the images, one after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use infomark_infer::{Detector, InputImage, PixelSpacing, Placement, ReadLimits, read_image_header};
use infomark_results::{FailedImage, Journal, MatchedImage, Stamp};

use super::pictures::{self, OVERLAYS};
use super::trust::failure;
use crate::output::{file_name, one_line};
use crate::spacing;

/// Measured memory per pixel of an image that is read, searched and drawn, in bytes.
const BYTES_A_PIXEL: u64 = 10;

/// Measured memory per pixel of the file for drawing an overlay of a reduced image: grey levels and the overlay's file, in bytes.
const BYTES_A_DRAWN_PIXEL: u64 = 2;

/// Detector and outputs of the search.
pub(super) struct Search {
    pub(super) detector: Detector,
    /// The pixel size, if given.
    pub(super) given: Option<PixelSpacing>,
    /// Time limit per image.
    pub(super) limit: Option<Duration>,
    /// Folder of the run, with the overlays.
    pub(super) run: PathBuf,
    /// Overlays to draw.
    pub(super) overlays: Overlays,
    /// Whether files for 3D Slicer are requested.
    pub(super) placed: bool,
    pub(super) journal: Journal,
}

/// Overlays to draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Overlays {
    None,
    Png,
    PngAndSvg,
}

/// The points of an image, and errors of the search or its overlay.
pub(super) struct Done {
    pub(super) matched: Option<MatchedImage>,
    pub(super) failure: Option<FailedImage>,
}

impl Search {
    /// The result of an earlier run, or of a new search.
    pub(super) fn one_or_earlier(&self, input: &InputImage) -> Done {
        let overlay = self.overlay_of(input);
        if let Some(matched) = self.journal.done(input).filter(|matched| self.is_drawn(matched, &overlay)) {
            let matched = MatchedImage { overlay, ..matched };
            let matched = matched.placed(input, self.given.as_ref(), self.placed);
            return Done { matched: Some(matched), failure: None };
        }
        let stamp = Stamp::of(input);
        let failed = |error: Error| FailedImage { image: input.label.clone(), error: one_line(&error) };
        match self.one(input, overlay) {
            Ok((matched, None)) => {
                self.journal.add(stamp, &matched);
                Done { matched: Some(matched), failure: None }
            }
            Ok((matched, Some(error))) => Done { matched: Some(matched), failure: Some(failed(error)) },
            Err(error) => Done { matched: None, failure: Some(failed(error)) },
        }
    }

    /// Path of the image's overlay in the results; `None` if none is drawn.
    fn overlay_of(&self, input: &InputImage) -> Option<String> {
        (self.overlays != Overlays::None).then(|| format!("{OVERLAYS}/{}.png", input.stem()))
    }

    /// Whether the overlay of an earlier run is as requested.
    fn is_drawn(&self, matched: &MatchedImage, overlay: &Option<String>) -> bool {
        let Some(name) = overlay else { return true };
        let path = self.run.join(name);
        let svg = self.overlays != Overlays::PngAndSvg || path.with_extension("svg").is_file();
        matched.overlay == *overlay && svg && path.is_file()
    }

    /// Searches an image and writes its overlay; an error of the overlay is returned with the points.
    fn one(&self, input: &InputImage, file: Option<String>) -> Result<(MatchedImage, Option<Error>)> {
        let limits = ReadLimits { reduced: self.detector.takes_reduced(), ..ReadLimits::default() };
        // The time limit does not include waiting for memory.
        let drawn = if file.is_some() { BYTES_A_DRAWN_PIXEL } else { 0 };
        let _share = spacing::memory_for(&input.path, &limits, BYTES_A_PIXEL, drawn)?;
        let deadline = self.limit.and_then(|limit| Instant::now().checked_add(limit));
        let limits = ReadLimits { deadline, ..limits };
        let image = spacing::read(&input.path, self.given.as_ref(), &limits)?;
        let detection = self.detector.detect(&image, deadline).map_err(failure)?;
        let mut matched = MatchedImage::of(input, &image, &detection);
        let title = format!("{}, {}", input.label, self.name());
        let unwritten = file.as_ref().and_then(|file| {
            let (path, svg) = (self.run.join(file), self.overlays == Overlays::PngAndSvg);
            pictures::write_overlay(&path, &image, &matched.landmarks, &title, svg).err()
        });
        matched.placement = placement(&input.path, self.placed);
        matched.overlay = file.filter(|_| unwritten.is_none());
        let unwritten =
            unwritten.map(|error| error.context(format!("{}: its overlay is missing", input.label)));
        Ok((matched, unwritten))
    }

    /// Name of the detector, for titles.
    fn name(&self) -> String {
        match &self.detector {
            Detector::Network(net) | Detector::CheckedNetwork(net, _) => file_name(Path::new(net.name())),
            Detector::Ensemble(ensemble) => {
                format!("{} networks and templates", ensemble.networks().len())
            }
            Detector::Matching(judge) => match judge.matcher().templates() {
                [only] => format!("template {}", file_name(Path::new(only.image()))),
                all => format!("{} templates", all.len()),
            },
        }
    }
}

/// Placement of an image in 3D Slicer, if files for it are requested.
fn placement(path: &Path, asked: bool) -> Option<Placement> {
    asked.then(|| read_image_header(path).ok().map(|header| header.placement)).flatten()
}
