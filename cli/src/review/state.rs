//! What a review knows, and what may be done to it. Nothing here touches a file.
//!
//! Every change has a number, its *revision*, one more than that of the change before. A landmark's point, a decision about
//! an image and the list of landmarks each remember the revision of their last change. A change names the revision
//! that they saw; where it is another by now, the change is refused. So edits of two tabs merge point by point, and none is
//! lost unseen.

mod record;

use std::collections::BTreeMap;

use infomark_results::RecognitionRecord;
use serde::{Deserialize, Serialize};

pub(super) use record::{By, Decision, Match, Presence, Record, Seen, Spot};

use super::refusal::Refusal;
use super::rounds::Round;
use record::check_place;

/// Longest name of a landmark, in characters.
const LONGEST_NAME: usize = 80;
/// Most landmarks.
const MOST_NAMES: usize = 500;

/// Everything, as `session.json` holds it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct State {
    pub(super) revision: u64,
    pub(super) setup: Setup,
    /// What made points, by the revision at which it began.
    pub(super) runs: BTreeMap<u64, serde_json::Value>,
    /// By file name.
    pub(super) images: BTreeMap<String, Record>,
    /// Landmarks that were removed from the list, with their points, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) removed: BTreeMap<String, Removed>,
    /// The encoder that was chosen or trained on the page, where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) encoder: Option<ChosenEncoder>,
    /// What was learnt from accepted images, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) rounds: Vec<Round>,
}

/// A landmark that was removed from the list.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Removed {
    /// Its place in the list.
    place: usize,
    /// Its points, by image.
    points: BTreeMap<String, Spot>,
}

/// An encoder that the page chose.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ChosenEncoder {
    /// One that comes with infomark, by its name.
    Shipped(String),
    /// Trained on the images of the review.
    Trained,
}

/// Which landmarks there are, and where they were annotated first.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Setup {
    pub(super) revision: u64,
    /// Names of the landmarks, in order.
    pub(super) names: Vec<String>,
    /// The annotated image that the others are matched with.
    pub(super) template: Option<String>,
}

/// What was found in an image.
#[derive(Clone, Debug)]
pub(super) struct Findings {
    /// By landmark.
    pub(super) found: Vec<(String, Match)>,
    pub(super) recognition: RecognitionRecord,
    pub(super) uncertainty_px: Option<f64>,
    /// The run that found it.
    pub(super) run: u64,
    /// Of the file.
    pub(super) sha256: String,
}

/// One change of one point.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    pub(super) landmark: String,
    pub(super) at: Option<[f64; 2]>,
    #[serde(default)]
    pub(super) presence: Presence,
    /// Revision of the point as it was seen; 0 where there was none.
    pub(super) base: u64,
    /// `match` gives the landmark back to matching, at the place that it found.
    #[serde(default)]
    pub(super) by: By,
}

/// A landmark of an image as a landmark file has it.
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

/// What happened: a line of the journal.
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
    /// Makes a change, whose number is `revision`.
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

    /// An image with some of its points changed, which have to lie on it.
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

    /// An image with what matching found: points of people and decided images stay as they are. None where nothing changes.
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
        // Points of people are still those of the file that they were placed in.
        if record.sha256.is_none() || record.corrected() == 0 {
            record.sha256 = Some(sha256);
        }
        Some(Event::Image { name: name.to_owned(), record })
    }

    /// An image with the landmarks of a landmark file: those of people stay as they are, and so do images that are accepted or
    /// rejected. Also how many were taken.
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

    /// A name that a landmark can get.
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

    /// A removed landmark, back in the list with its points.
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

    /// Refuses a change of the list that was made from an older one.
    pub(super) fn check_setup(&self, base: u64) -> Result<(), Refusal> {
        if self.setup.revision == base {
            return Ok(());
        }
        Err(Refusal::stale("the landmarks or the template were changed elsewhere meanwhile".into()))
    }
}

#[cfg(test)]
mod tests;
