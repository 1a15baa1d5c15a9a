//! Import of landmark files.

use infomark_infer::{ImageContext, Scheme, Visibility, is_same_name, parse_landmarks_of};
use serde_json::{Value, json};

use super::images::{self, Known};
use super::refusal::Refusal;
use super::state::{Decision, Event, Mark, Presence};
use super::{App, lock};

/// Imports the points of a landmark file; returns their number, and that of images.
pub(super) fn take_landmarks(
    app: &App,
    bytes: &[u8],
    file: &str,
    image: Option<&Known>,
) -> Result<Value, Refusal> {
    let names = app.scheme.as_ref().map(Scheme::names).unwrap_or_default();
    let subject = ImageContext {
        image: image.map(|known| known.name.as_str()),
        placement: image.and_then(|known| known.placement),
        names: &names,
        ..ImageContext::default()
    };
    let read = parse_landmarks_of(bytes, file, &subject).map_err(|error| Refusal::bad(error.to_string()))?;
    let listed = lock(&app.images).all.clone();
    let listed = listed.into_iter().map(|known| {
        if read.images().any(|(name, _)| is_same_name(&known.name, name)) {
            images::looked(app, known)
        } else {
            known
        }
    });
    let listed: Vec<Known> = listed.collect();
    let (mut points, mut images, mut unknown, mut decided) = (0, 0, Vec::new(), 0);
    let mut store = lock(&app.store);
    // The whole file is checked before any change.
    let mut taken = Vec::new();
    for (name, landmarks) in read.images() {
        let Some(known) = listed.iter().find(|known| is_same_name(&known.name, name)) else {
            unknown.push(name.to_owned());
            continue;
        };
        let placed = landmarks.iter().map(|landmark| Mark {
            landmark: landmark.name.clone(),
            at: Some([landmark.at.x, landmark.at.y]),
            presence: match landmark.visibility {
                Visibility::Occluded => Presence::Occluded,
                Visibility::Visible => Presence::Visible,
            },
        });
        let absent = read.absent(name).iter().map(|landmark| Mark {
            landmark: landmark.clone(),
            at: None,
            presence: Presence::Absent,
        });
        let marks: Vec<Mark> = placed.chain(absent).collect();
        store.state().imported(name, &marks, known.seen())?;
        taken.push((known, marks));
    }
    // Those of unknown images alone are not added.
    let used = |name: &&str| taken.iter().any(|(_, marks)| marks.iter().any(|mark| mark.landmark == **name));
    let setup = store.state().with_names(read.names().iter().map(String::as_str).filter(used))?;
    if setup != store.state().setup {
        store.commit(Event::Setup(setup))?;
    }
    for (known, marks) in taken {
        let record = store.state().images.get(&known.name);
        decided += usize::from(record.is_some_and(|record| record.decision != Decision::Open));
        let (event, count) = store.state().imported(&known.name, &marks, known.seen())?;
        if count > 0 {
            store.commit(event)?;
            images += 1;
        }
        points += count;
    }
    Ok(json!({ "points": points, "images": images, "unknown": unknown, "decided": decided }))
}
