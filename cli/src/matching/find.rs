//! Finding the points of one image after the other.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use infomark_infer::{Detection, Detector, PixelSpacing, Placement, read_image_header};

use super::journal::Journal;
use super::pictures::{self, OVERLAYS};
use super::record::{Matched, SpacingUsed};
use super::trust::{Recognised, failure};
use crate::inputs::Input;
use crate::output::file_name;
use crate::spacing;

/// Memory for a pixel of an image that is read, searched and drawn, as measured.
const BYTES_A_PIXEL: u64 = 10;

/// What images are searched with, and what is written of each.
pub(super) struct Search {
    pub(super) detector: Detector,
    /// The size of pixels, where it was given.
    pub(super) given: Option<PixelSpacing>,
    /// When to give up on an image.
    pub(super) limit: Option<Duration>,
    /// Folder of the results.
    pub(super) out: PathBuf,
    /// Whether overlays are written as SVG, too.
    pub(super) svg: bool,
    /// Whether files for 3D Slicer are asked for.
    pub(super) placed: bool,
    pub(super) journal: Journal,
}

/// An image's points, and why its overlay could not be written.
pub(super) type Done = Result<(Matched, Option<Error>)>;

impl Search {
    /// What an earlier run found in an image, or what is found now.
    pub(super) fn one_or_earlier(&self, input: &Input) -> Done {
        let overlay = format!("{OVERLAYS}/{}.png", input.stem);
        let drawn = !self.svg || self.out.join(&overlay).with_extension("svg").is_file();
        if let Some(matched) = self.journal.done(input, &overlay, &self.out).filter(|_| drawn) {
            let known = self.given.clone();
            let known =
                known.or_else(|| read_image_header(&input.path).ok().and_then(|header| header.spacing));
            let (stem, placement) = (input.stem.clone(), self.placement(input));
            return Ok((Matched { known, placement, stem, ..matched }, None));
        }
        let done = self.one(input, overlay);
        if let Ok((matched, None)) = &done {
            self.journal.add(input, matched);
        }
        done
    }

    /// Where 3D Slicer places the image, if files for it are asked for.
    fn placement(&self, input: &Input) -> Option<Placement> {
        self.placed.then(|| read_image_header(&input.path).ok().map(|header| header.placement)).flatten()
    }

    /// Searches one image and writes its overlay; that this failed is told beside the points.
    fn one(&self, input: &Input, file: String) -> Done {
        // Waiting for memory is not the image's own time.
        let _share = spacing::memory_for(&input.path, BYTES_A_PIXEL)?;
        let deadline = self.limit.and_then(|limit| Instant::now().checked_add(limit));
        let image = spacing::read_until(&input.path, self.given.as_ref(), deadline)?;
        let detection = self.detector.detect(&image, deadline).map_err(failure)?;
        let landmarks = detection.rows(image.spacing());
        let recognition = match &detection {
            Detection::Matched(seen) => {
                Some(Recognised::of(&seen.recognition, seen.reoriented, &input.label))
            }
            Detection::Checked(seen) => {
                Some(Recognised::of(&seen.recognition, seen.reoriented, &input.label))
            }
            Detection::Located(_) => None,
        };
        let title = format!("{}, {}", input.label, self.name());
        let unwritten =
            pictures::write_overlay(&self.out.join(&file), &image, &landmarks, &title, self.svg).err();
        let matched = Matched {
            image: input.label.clone(),
            width: image.width(),
            height: image.height(),
            spacing: image.spacing().map(SpacingUsed::of),
            known: image.spacing().cloned(),
            placement: self.placement(input),
            stem: input.stem.clone(),
            recognition,
            overlay: unwritten.is_none().then_some(file),
            landmarks,
            measurements: Vec::new(),
        };
        let unwritten =
            unwritten.map(|error| error.context(format!("{}: its overlay is missing", input.label)));
        Ok((matched, unwritten))
    }

    /// What finds the points, for titles.
    fn name(&self) -> String {
        match &self.detector {
            Detector::Network(net) | Detector::CheckedNetwork(net, _) => file_name(Path::new(net.name())),
            Detector::Matching(judge) => match judge.matcher().templates() {
                [only] => format!("template {}", file_name(Path::new(only.image()))),
                all => format!("{} templates", all.len()),
            },
        }
    }
}
