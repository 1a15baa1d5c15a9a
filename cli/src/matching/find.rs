//! Finding the points of one image after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use infomark_infer::{Detector, InputImage, PixelSpacing, Placement, ReadLimits, read_image_header};
use infomark_results::{FailedImage, Journal, MatchedImage, Stamp};

use super::pictures::{self, OVERLAYS};
use super::trust::failure;
use crate::output::{file_name, one_line};
use crate::spacing;

/// Memory for a pixel of an image that is read, searched and drawn, as measured.
const BYTES_A_PIXEL: u64 = 10;

/// Memory for a pixel of the file whose overlay is drawn though the image is reduced: grey levels and the overlay's file, as measured.
const BYTES_A_DRAWN_PIXEL: u64 = 2;

/// What images are searched with, and what is written of each.
pub(super) struct Search {
    pub(super) detector: Detector,
    /// The size of pixels, where it was given.
    pub(super) given: Option<PixelSpacing>,
    /// When to give up on an image.
    pub(super) limit: Option<Duration>,
    /// Folder of the run, with the overlays.
    pub(super) run: PathBuf,
    /// Which overlays are drawn.
    pub(super) overlays: Overlays,
    /// Whether files for 3D Slicer are asked for.
    pub(super) placed: bool,
    pub(super) journal: Journal,
}

/// Which overlays are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Overlays {
    None,
    Png,
    PngAndSvg,
}

/// An image's points, and why these or its overlay are missing.
pub(super) struct Done {
    pub(super) matched: Option<MatchedImage>,
    pub(super) failure: Option<FailedImage>,
}

impl Search {
    /// What an earlier run found in an image, or what is found now.
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

    /// Path of the image's overlay in the results; none where none is drawn.
    fn overlay_of(&self, input: &InputImage) -> Option<String> {
        (self.overlays != Overlays::None).then(|| format!("{OVERLAYS}/{}.png", input.stem()))
    }

    /// Whether the overlay of an earlier run is what is asked for.
    fn is_drawn(&self, matched: &MatchedImage, overlay: &Option<String>) -> bool {
        let Some(name) = overlay else { return true };
        let path = self.run.join(name);
        let svg = self.overlays != Overlays::PngAndSvg || path.with_extension("svg").is_file();
        matched.overlay == *overlay && svg && path.is_file()
    }

    /// Searches one image and writes its overlay; a failure of the overlay is returned beside the points.
    fn one(&self, input: &InputImage, file: Option<String>) -> Result<(MatchedImage, Option<Error>)> {
        let limits = ReadLimits { reduced: self.detector.takes_reduced(), ..ReadLimits::default() };
        // Waiting for memory is not the image's own time.
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

    /// What finds the points, for titles.
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

/// Where 3D Slicer places an image, if files for it are asked for.
fn placement(path: &Path, asked: bool) -> Option<Placement> {
    asked.then(|| read_image_header(path).ok().map(|header| header.placement)).flatten()
}
