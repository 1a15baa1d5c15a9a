//! Properties of edits.

use infomark_core::Rng;
use infomark_infer::Member;

use super::*;
use crate::review::rounds::{LearnedLandmark, Length};

fn state(names: &[&str]) -> State {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    State { setup: Setup { names, ..Setup::default() }, ..State::default() }
}

fn edit(landmark: &str, at: Option<[f64; 2]>, base: u64) -> Edit {
    Edit { landmark: landmark.into(), at, presence: Presence::Visible, base, by: By::Hand }
}

fn mark(landmark: &str, at: [f64; 2]) -> Mark {
    Mark { landmark: landmark.into(), at: Some(at), presence: Presence::Visible }
}

fn seen_file(size: (usize, usize)) -> Seen<'static> {
    Seen { size: Some(size), ..Seen::default() }
}

#[test]
fn tabs_with_old_views_converge_and_no_accepted_edit_is_lost_unseen() {
    const NAMES: [&str; 3] = ["a", "b", "c"];
    for seed in 0..200 {
        let mut rng = Rng::new(seed, 0);
        let mut server = state(&NAMES);
        let mut tabs = [server.clone(), server.clone()];
        let mut journal = Vec::new();
        for _ in 0..60 {
            let tab = &mut tabs[rng.below(2) as usize];
            if rng.below(3) == 0 {
                *tab = server.clone();
                continue;
            }
            let landmark = NAMES[rng.below(3) as usize];
            let seen = tab.images.get("i").and_then(|record| record.points.get(landmark)).cloned();
            let at = (rng.below(4) > 0).then(|| [rng.below(90) as f64, rng.below(90) as f64]);
            let base = seen.as_ref().map_or(0, |spot| spot.revision);
            let before = server.images.get("i").and_then(|record| record.points.get(landmark)).cloned();
            match server.edited("i", &[edit(landmark, at, base)], None, seen_file((100, 100))) {
                Ok(event) => {
                    assert_eq!(before, seen, "only what was seen is replaced");
                    let revision = server.revision + 1;
                    journal.push((revision, event.clone()));
                    server.apply(revision, event);
                }
                Err(refusal) => {
                    assert_eq!(refusal.status, 409);
                    assert_ne!(before, seen);
                    *tab = server.clone();
                }
            }
        }
        let mut again = state(&NAMES);
        journal.into_iter().for_each(|(revision, event)| again.apply(revision, event));
        assert_eq!(again, server, "the journal gives the same");
    }
}

#[test]
fn edits_of_different_points_merge() -> Result<(), Refusal> {
    let mut state = state(&["a", "b"]);
    for landmark in ["a", "b"] {
        let event = state.edited("i", &[edit(landmark, Some([1.0, 2.0]), 0)], None, Seen::default())?;
        state.apply(state.revision + 1, event);
    }
    assert_eq!(state.images["i"].places().count(), 2);
    Ok(())
}

#[test]
fn points_beyond_the_image_and_numbers_that_are_none_are_refused() {
    let state = state(&["a"]);
    for at in [[-1.0, 5.0], [5.0, 40.0], [f64::NAN, 1.0], [1.0, f64::INFINITY]] {
        let refused = state.edited("i", &[edit("a", Some(at), 0)], None, seen_file((40, 40)));
        assert!(refused.is_err_and(|refusal| refusal.status == 400), "{at:?}");
    }
    assert!(state.edited("i", &[edit("other", None, 0)], None, Seen::default()).is_err());
    let accept = Decide { to: Decision::Accepted, base: 0 };
    assert!(state.edited("i", &[], Some(accept), Seen::default()).is_err(), "nothing to accept");
}

#[test]
fn renaming_keeps_points_and_removing_takes_them_until_it_is_undone() -> Result<(), Refusal> {
    let mut state = state(&["a", "b"]);
    let event = state.edited("i", &[edit("a", Some([1.0, 2.0]), 0)], None, Seen::default())?;
    state.apply(1, event);
    assert!(
        state.free_name("b").is_err() && state.free_name(" ").is_err() && state.free_name("a\nb").is_err()
    );
    state.apply(2, Event::Rename { from: "a".into(), to: "c".into() });
    assert_eq!(state.setup.names, ["c", "b"]);
    assert_eq!(state.images["i"].places().next(), Some(("c", [1.0, 2.0])));
    assert!(state.restored("c").is_err(), "it is on the list");
    state.apply(3, Event::Remove { name: "c".into() });
    assert_eq!(state.images["i"].places().count(), 0);
    let restore = state.restored("c")?;
    // A landmark of the same name in the meantime stays what it is.
    let mut other = state.clone();
    other.apply(4, Event::Setup(other.with_names(["c"])?));
    assert!(other.restored("c").is_err());
    state.apply(4, restore);
    assert_eq!(state.setup.names, ["c", "b"]);
    assert_eq!(state.images["i"].places().next(), Some(("c", [1.0, 2.0])));
    assert_eq!((state.setup.revision, state.images["i"].revision), (4, 4), "pages are told");
    assert!(state.removed.is_empty());
    Ok(())
}

#[test]
fn a_learned_landmark_keeps_its_errors_under_another_name() {
    let error = Some(Length { px: 2.0, mm: None });
    let landmark = LearnedLandmark { name: "a".into(), member: Member::Fusion, error };
    let mut state = state(&["a"]);
    state.apply(1, Event::Round(Round { landmarks: vec![landmark], ..Round::default() }));
    state.apply(2, Event::Rename { from: "a".into(), to: "b".into() });
    assert_eq!((state.rounds[0].revision, state.rounds[0].landmarks[0].name.as_str()), (1, "b"));
    let text = serde_json::to_string(&state).unwrap_or_default();
    assert!(serde_json::from_str::<State>(&text).is_ok_and(|again| again == state), "{text}");
}

#[test]
fn points_belong_to_the_file_they_were_placed_in_until_somebody_accepts() -> Result<(), Refusal> {
    let mut state = state(&["a"]);
    let file = |sha256| Seen { sha256: Some(sha256), ..Seen::default() };
    let event = state.edited("i", &[edit("a", Some([1.0, 2.0]), 0)], None, file("old"))?;
    state.apply(1, event);
    let event = state.edited("i", &[edit("a", Some([2.0, 2.0]), 1)], None, file("new"))?;
    state.apply(2, event);
    assert!(state.images["i"].is_of_another(Some("new")) && !state.images["i"].is_of_another(Some("old")));
    let accept = Decide { to: Decision::Accepted, base: 0 };
    let event = state.edited("i", &[], Some(accept), file("new"))?;
    state.apply(3, event);
    assert!(!state.images["i"].is_of_another(Some("new")));
    Ok(())
}

#[test]
fn files_change_no_point_of_a_person_and_no_decided_image() -> Result<(), Refusal> {
    let mut state = state(&["a", "b"]);
    let points = [mark("a", [5.0, 5.0]), mark("b", [6.0, 6.0])];
    let event = state.edited("i", &[edit("a", Some([1.0, 2.0]), 0)], None, Seen::default())?;
    state.apply(1, event);
    let (event, taken) = state.imported("i", &points, Seen::default())?;
    assert_eq!(taken, 1);
    state.apply(2, event);
    for decision in [Decision::Accepted, Decision::Rejected] {
        let base = state.images["i"].decision_revision;
        let event = state.edited("i", &[], Some(Decide { to: decision, base }), Seen::default())?;
        state.apply(state.revision + 1, event);
        assert_eq!(state.imported("i", &[mark("b", [7.0, 7.0])], Seen::default())?.1, 0);
    }
    Ok(())
}

#[test]
fn absent_landmarks_have_no_point_and_occluded_ones_have_one() -> Result<(), Refusal> {
    let mut state = state(&["a", "b"]);
    let edit = |landmark, at, presence, base| Edit { presence, ..edit(landmark, at, base) };
    for (at, presence) in [(Some([1.0, 2.0]), Presence::Absent), (None, Presence::Occluded)] {
        let refused = state.edited("i", &[edit("a", at, presence, 0)], None, Seen::default());
        assert!(refused.is_err_and(|refusal| refusal.status == 400), "{presence:?}");
    }
    let edits = [edit("a", None, Presence::Absent, 0), edit("b", Some([1.0, 2.0]), Presence::Occluded, 0)];
    let accept = Decide { to: Decision::Accepted, base: 0 };
    let event = state.edited("i", &edits[..1], Some(accept), Seen::default())?;
    let text = serde_json::to_string(&event).unwrap_or_default();
    let again: Event = serde_json::from_str(&text).map_err(|error| Refusal::bad(error.to_string()))?;
    state.apply(1, again);
    assert_eq!(state.images["i"].absent().collect::<Vec<_>>(), ["a"], "{text}");
    let event = state.edited("i", &edits[1..], None, Seen::default())?;
    state.apply(2, event);
    assert_eq!(state.images["i"].points["b"].presence, Presence::Occluded);
    // Placing an absent landmark makes it visible; sessions of earlier versions know visible ones alone.
    let event =
        state.edited("i", &[edit("a", Some([3.0, 4.0]), Presence::Visible, 1)], None, Seen::default())?;
    assert!(!serde_json::to_string(&event).unwrap_or_default().contains("\"absent\""));
    state.apply(3, event);
    assert_eq!(state.images["i"].absent().count(), 0);
    let old: Result<Spot, _> = serde_json::from_str(r#"{"revision": 1, "at": [1.0, 2.0], "by": "hand"}"#);
    assert!(old.is_ok_and(|spot| spot.presence == Presence::Visible));
    Ok(())
}
