//! State of a review and its changes, without any file access.
//!
//! Every change has a *revision*, one more than that of the previous change. A landmark's point, a decision about an image and the list of
//! landmarks each store the revision of their last change. A change names the revision that it is based on and is rejected if that is
//! outdated. So edits of two tabs are merged point by point, and none is lost silently.

mod record;

use std::collections::BTreeMap;

use infomark_results::RecognitionRecord;
use serde::{Deserialize, Serialize};

pub(super) use record::{By, Decision, Match, Presence, Record, Seen, Spot};

use super::refusal::Refusal;
use super::rounds::Round;
use record::check_place;

/// Maximum length of a landmark's name, in characters.
const LONGEST_NAME: usize = 80;
/// Maximum number of landmarks.
const MOST_NAMES: usize = 500;

/// The whole state, as in `session.json`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) setup: Setup,
    /// Provenance of points, by the revision at which the run began.
    pub(super) runs: BTreeMap<u64, serde_json::Value>,
    /// By file name.
    pub(super) images: BTreeMap<String, Record>,
    /// Landmarks removed from the list, with their points, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) removed: BTreeMap<String, Removed>,
    /// The encoder chosen or trained on the page, if none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encoder: Option<ChosenEncoder>,
    /// Rounds of learning, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rounds: Vec<Round>,
}

/// A landmark removed from the list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Removed {
    /// Its index in the list.
    place: usize,
    /// Its points, by image.
    points: BTreeMap<String, Spot>,
}

/// An encoder chosen on the page.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChosenEncoder {
    /// A bundled one, by name.
    Shipped(String),
    /// Trained on the images of the review.
    Trained,
}

/// The landmarks, and their template.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Setup {
    pub(super) revision: u64,
    /// Names of the landmarks, in order.
    pub(super) names: Vec<String>,
    /// The annotated image used as template.
    pub(super) template: Option<String>,
}

/// Landmarks found in an image.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    /// By landmark.
    pub(super) found: Vec<(String, Match)>,
    pub(super) recognition: RecognitionRecord,
    pub(super) uncertainty_px: Option<f64>,
    /// The run that found them.
    pub(super) run: u64,
    /// SHA-256 of the file.
    pub(super) sha256: String,
}

/// A change of a point.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pub(super) landmark: String,
    pub(super) at: Option<[f64; 2]>,
    #[serde(default)]
    pub(super) presence: Presence,
    /// Revision of the point that the change is based on; 0 for none.
    pub(super) base: u64,
    /// `match` resets the landmark to its matched position.
    #[serde(default)]
    pub(super) by: By,
}

/// A landmark of an image in a landmark file.
#[derive(Clone, Debug)]
pub(super) struct Mark {
    pub(super) landmark: String,
    pub(super) at: Option<[f64; 2]>,
    pub(super) presence: Presence,
}

/// A change of the decision about an image.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    pub(super) to: Decision,
    pub(super) base: u64,
}

/// An event: a line of the journal.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Event {
    Setup(Setup),
    Rename { from: String, to: String },
    Remove { name: String },
    Restore { name: String },
    Image { name: String, record: Record },
    Run(serde_json::Value),
    Encoder(ChosenEncoder),
    Round(Round),
}

impl State {
    /// Applies a change with the number `revision`.
    pub(super) fn apply(&mut self, revision: u64, event: Event) {
        self.revision = revision;
        match event {
            Event::Setup(setup) => self.setup = Setup { revision, ..setup },
            Event::Image { name, record } => {
                self.images.insert(name, Record { revision, ..record });
            }
            Event::Run(run) => {
                self.runs.insert(revision, run);
            }
            Event::Rename { from, to } => {
                self.setup.revision = revision;
                for name in self.setup.names.iter_mut().filter(|name| **name == from) {
                    name.clone_from(&to);
                }
                for record in self.images.values_mut() {
                    if let Some(spot) = record.points.remove(&from) {
                        record.points.insert(to.clone(), spot);
                        record.revision = revision;
                    }
                }
                for landmark in self.rounds.iter_mut().flat_map(|round| &mut round.landmarks) {
                    if landmark.name == from {
                        landmark.name.clone_from(&to);
                    }
                }
            }
            Event::Remove { name } => {
                self.setup.revision = revision;
                let place = self.setup.names.iter().position(|other| *other == name);
                let mut removed = Removed { place: place.unwrap_or_default(), ..Removed::default() };
                self.setup.names.retain(|other| *other != name);
                for (image, record) in &mut self.images {
                    if let Some(spot) = record.points.remove(&name) {
                        removed.points.insert(image.clone(), spot);
                        record.revision = revision;
                    }
                }
                self.removed.insert(name, removed);
            }
            Event::Restore { name } => {
                let Some(Removed { place, points }) = self.removed.remove(&name) else { return };
                self.setup.revision = revision;
                self.setup.names.insert(place.min(self.setup.names.len()), name.clone());
                for (image, spot) in points {
                    let record = self.images.entry(image).or_default();
                    record.points.insert(name.clone(), Spot { revision, ..spot });
                    record.revision = revision;
                }
            }
            Event::Encoder(encoder) => self.encoder = Some(encoder),
            Event::Round(round) => self.rounds.push(Round { revision, ..round }),
        }
    }

    /// An image with some of its points changed, which have to lie inside it.
    pub(super) fn edited(
        &self,
        name: &str,
        edits: &[Edit],
        decide: Option<Decide>,
        file: Seen<'_>,
    ) -> Result<Event, Refusal> {
        let revision = self.revision + 1;
        let mut record = self.images.get(name).cloned().unwrap_or_default();
        record.begin_on(file);
        for Edit { landmark, at, presence, base, by } in edits {
            if !self.setup.names.contains(landmark) {
                return Err(Refusal::bad(format!(
                    "there is no landmark {landmark}; add it to the list first"
                )));
            }
            let before = record.points.get(landmark);
            if before.map_or(0, |spot| spot.revision) != *base {
                return Err(Refusal::stale(format!("{landmark} of {name} was changed elsewhere meanwhile")));
            }
            let found = before.and_then(|spot| spot.found.clone());
            let given_back =
                *by == By::Match && presence.is_visible() && *at == found.as_ref().map(|found| found.at);
            if *by == By::Match && !given_back {
                return Err(Refusal::bad(format!("{landmark} of {name}: matching did not find it there")));
            }
            match (presence, at) {
                (Presence::Absent, Some(_)) => {
                    return Err(Refusal::bad(format!("{landmark} of {name} is absent, so it has no point")));
                }
                (Presence::Occluded, None) => {
                    return Err(Refusal::bad(format!(
                        "{landmark} of {name} has no point yet; place it first"
                    )));
                }
                _ => {}
            }
            check_place(name, landmark, *at, file.size)?;
            let spot = Spot { revision, at: *at, presence: *presence, by: *by, found };
            record.points.insert(landmark.clone(), spot);
        }
        if let Some(Decide { to, base }) = decide {
            if record.decision_revision != base {
                return Err(Refusal::stale(format!("{name} was accepted or rejected elsewhere meanwhile")));
            }
            if to == Decision::Accepted && !record.is_marked() {
                return Err(Refusal::bad(format!(
                    "{name} has no landmark that could be accepted; place one"
                )));
            }
            record.decision = to;
            record.decision_revision = revision;
            if to == Decision::Accepted {
                // Accepting means that it was reviewed as it is.
                record.sha256 = file.sha256.map(str::to_owned).or(record.sha256);
            }
        }
        Ok(Event::Image { name: name.to_owned(), record })
    }

    /// An image with matched landmarks: manual points and decided images are unchanged. `None` if nothing changes.
    pub(super) fn matched(
        &self,
        name: &str,
        Findings { found, recognition, uncertainty_px, run, sha256 }: Findings,
    ) -> Option<Event> {
        let revision = self.revision + 1;
        let mut record = self.images.get(name).cloned().unwrap_or_default();
        if record.decision != Decision::Open || self.setup.template.as_deref() == Some(name) {
            return None;
        }
        for (landmark, found) in found.into_iter().filter(|(landmark, _)| self.setup.names.contains(landmark))
        {
            let spot = record.points.entry(landmark).or_insert(Spot {
                revision,
                at: None,
                presence: Presence::Visible,
                by: By::Match,
                found: None,
            });
            if spot.by == By::Match {
                (spot.at, spot.revision) = (Some(found.at), revision);
            }
            spot.found = Some(found);
        }
        record.recognition = Some(recognition);
        record.run = Some(run);
        record.uncertainty_px = uncertainty_px;
        // Manual points still belong to the file in which they were placed.
        if record.sha256.is_none() || record.corrected() == 0 {
            record.sha256 = Some(sha256);
        }
        Some(Event::Image { name: name.to_owned(), record })
    }

    /// An image with the landmarks of a landmark file, and their number: manual points, and accepted or rejected images, are unchanged.
    pub(super) fn imported(
        &self,
        name: &str,
        marks: &[Mark],
        file: Seen<'_>,
    ) -> Result<(Event, usize), Refusal> {
        let revision = self.revision + 1;
        let mut record = self.images.get(name).cloned().unwrap_or_default();
        record.begin_on(file);
        let mut taken = 0;
        for Mark { landmark, at, presence } in marks {
            check_place(name, landmark, *at, file.size)?;
            if record.decision != Decision::Open {
                continue;
            }
            let before = record.points.get(landmark);
            if before.is_some_and(|spot| spot.by == By::Hand) {
                continue;
            }
            let found = before.and_then(|spot| spot.found.clone());
            let spot = Spot { revision, at: *at, presence: *presence, by: By::File, found };
            record.points.insert(landmark.clone(), spot);
            taken += 1;
        }
        Ok((Event::Image { name: name.to_owned(), record }, taken))
    }

    /// The list of landmarks with further ones.
    pub(super) fn with_names<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Setup, Refusal> {
        let mut setup = self.setup.clone();
        for name in names {
            let name = name.trim();
            if !setup.names.iter().any(|known| known == name) {
                setup.names.push(self.free_name(name)?);
            }
        }
        if setup.names.len() > MOST_NAMES {
            return Err(Refusal::bad(format!("more than {MOST_NAMES} landmarks; leave some out")));
        }
        Ok(setup)
    }

    /// Checks and normalises a new landmark name.
    pub(super) fn free_name(&self, name: &str) -> Result<String, Refusal> {
        let name = name.trim();
        if name.is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
            return Err(Refusal::bad(format!(
                "a landmark's name has 1 to {LONGEST_NAME} characters in one line"
            )));
        }
        if self.setup.names.iter().any(|known| known == name) {
            return Err(Refusal::bad(format!("there is a landmark {name} already; give another name")));
        }
        Ok(name.to_owned())
    }

    /// Restores a removed landmark with its points.
    pub(super) fn restored(&self, name: &str) -> Result<Event, Refusal> {
        if !self.removed.contains_key(name) {
            return Err(Refusal::bad(format!("there is no removed landmark {name}")));
        }
        let name = self.free_name(name)?;
        if self.setup.names.len() >= MOST_NAMES {
            return Err(Refusal::bad(format!("more than {MOST_NAMES} landmarks; leave some out")));
        }
        Ok(Event::Restore { name })
    }

    /// Rejects a change based on an outdated list.
    pub(super) fn check_setup(&self, base: u64) -> Result<(), Refusal> {
        if self.setup.revision == base {
            return Ok(());
        }
        Err(Refusal::stale("the landmarks or the template were changed elsewhere meanwhile".into()))
    }
}

#[cfg(test)]
mod tests;
