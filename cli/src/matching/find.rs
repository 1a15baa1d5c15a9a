//! Finding the points of one image after the other.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use infomark_infer::{Image, LandmarkNet, Matcher, PixelSpacing, Placement, read_image_header};

use super::journal::Journal;
use super::record::{Matched, Scored, SpacingUsed, scored};
use super::trust::{Judge, Recognised};
use super::{OVERLAYS, Options, pictures};
use crate::inputs::Input;
use crate::output::file_name;
use crate::spacing;

/// Memory for a pixel of an image that is read, searched and drawn, as measured.
const BYTES_A_PIXEL: u64 = 10;

/// Finds landmarks in an image.
pub(super) enum Finder {
    Matcher { matcher: Matcher, judge: Judge },
    Network(Box<LandmarkNet>),
}

impl Finder {
    /// Gives up when the deadline has passed.
    fn find(
        &self,
        image: &Image,
        label: &str,
        deadline: Option<Instant>,
    ) -> Result<(Vec<Scored>, Option<Recognised>)> {
        match self {
            Self::Matcher { matcher, judge } => {
                judge.check_spacing(image)?;
                let limited = deadline.map(|deadline| matcher.until(deadline));
                let (found, verdict) = judge.find(limited.as_ref().unwrap_or(matcher), image)?;
                let landmarks = found.iter().enumerate().map(|(index, found)| {
                    let sure = judge.judge(index, found, image, &verdict);
                    scored((&found.name, found.at, found.score), image.spacing(), Some(sure))
                });
                Ok((landmarks.collect(), Some(verdict.told(label))))
            }
            Self::Network(net) => {
                let limited = deadline.map(|deadline| net.until(deadline));
                let located = limited.as_ref().unwrap_or(net).find(image)?;
                let landmarks = located.iter().map(|located| {
                    scored((&located.name, located.at, located.probability), image.spacing(), None)
                });
                Ok((landmarks.collect(), None))
            }
        }
    }

    /// Whether an image that lies otherwise than the template is laid anew.
    pub(super) fn fixes_orientation(&self) -> bool {
        matches!(self, Self::Matcher { judge, .. } if judge.fix_orientation())
    }

    /// What it is, for titles.
    fn name(&self) -> String {
        match self {
            Self::Network(net) => file_name(Path::new(net.name())),
            Self::Matcher { matcher, .. } => match matcher.templates() {
                [only] => format!("template {}", file_name(Path::new(only.image()))),
                all => format!("{} templates", all.len()),
            },
        }
    }
}

/// What images are searched with.
pub(super) struct Search<'a> {
    pub(super) finder: &'a Finder,
    pub(super) given: Option<&'a PixelSpacing>,
    pub(super) limit: Option<Duration>,
    pub(super) options: &'a Options,
}

type Done = Result<(Matched, Option<Error>)>;

impl Search<'_> {
    /// What an earlier run found in an image, or what is found now; nothing when the user wants it to end.
    pub(super) fn one_or_earlier(&self, input: &Input, journal: &Journal, stop: &AtomicBool) -> Option<Done> {
        if stop.load(Ordering::Relaxed) {
            return None;
        }
        let overlay = format!("{OVERLAYS}/{}.png", input.stem);
        let drawn = !self.options.svg || self.options.out.join(&overlay).with_extension("svg").is_file();
        if let Some(matched) = journal.done(input, &overlay, &self.options.out).filter(|_| drawn) {
            let known = self.given.cloned();
            let known =
                known.or_else(|| read_image_header(&input.path).ok().and_then(|header| header.spacing));
            let (stem, placement) = (input.stem.clone(), self.placement(input));
            return Some(Ok((Matched { known, placement, stem, ..matched }, None)));
        }
        let done = self.one(input, overlay);
        if let Ok((matched, None)) = &done {
            journal.add(input, matched);
        }
        Some(done)
    }

    /// Where 3D Slicer places the image, if files for it are asked for.
    fn placement(&self, input: &Input) -> Option<Placement> {
        let needed = self.options.format.iter().any(|format| format.0.is_physical());
        needed.then(|| read_image_header(&input.path).ok().map(|header| header.placement)).flatten()
    }

    /// Searches one image and writes its overlay; that this failed is told beside the points.
    fn one(&self, input: &Input, file: String) -> Done {
        // Waiting for memory is not the image's own time.
        let _share = spacing::memory_for(&input.path, BYTES_A_PIXEL)?;
        let deadline = self.limit.and_then(|limit| Instant::now().checked_add(limit));
        let image = spacing::read_until(&input.path, self.given, deadline)?;
        let (landmarks, recognition) = self.finder.find(&image, &input.label, deadline)?;
        let title = format!("{}, {}", input.label, self.finder.name());
        let unwritten = pictures::write_overlay(
            &self.options.out.join(&file),
            &image,
            &landmarks,
            &title,
            self.options.svg,
        )
        .err();
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
        };
        let unwritten =
            unwritten.map(|error| error.context(format!("{}: its overlay is missing", input.label)));
        Ok((matched, unwritten))
    }
}
