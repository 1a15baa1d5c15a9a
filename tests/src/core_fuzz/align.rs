//! Alignment of arbitrary matches.

use super::Bytes;
use infomark_core::{AlignError, AlignOptions, Alignment, Match, Point, Rng};

/// An alignment of any matches under any rule is refused with a reason, or agrees with as many matches as it says, has a finite
/// map, and expects a finite place for every finite one near its matches.
pub fn align(data: &[u8]) {
    let mut bytes = Bytes(data);
    let count = bytes.size(24);
    let wild = bytes.byte() % 4 == 0;
    let number = |bytes: &mut Bytes<'_>| if wild { bytes.any() } else { 100.0 * bytes.small() };
    let mut matches = Vec::with_capacity(count);
    for _ in 0..count {
        let from = Point::new(number(&mut bytes), number(&mut bytes));
        // Half of them moved alike, so that some agree.
        let to = if bytes.byte() % 2 == 0 {
            Point::new(from.x + 3.0, from.y - 2.0)
        } else {
            Point::new(number(&mut bytes), number(&mut bytes))
        };
        matches.push(Match { from, to });
    }
    let rule = match bytes.byte() % 3 {
        0 => AlignOptions {
            tolerance: bytes.any(),
            max_iterations: usize::from(bytes.byte()),
            max_area_ratio: bytes.any(),
            min_inliers: usize::from(bytes.byte() % 8),
            sigma: bytes.any(),
            robust_scale: bytes.any(),
        },
        _ => AlignOptions { min_inliers: 3, ..AlignOptions::default() },
    };
    let finite = matches.iter().all(|m| m.from.is_finite() && m.to.is_finite());
    let alignment = match Alignment::new(&matches, rule, &mut Rng::new(3, 0)) {
        Ok(alignment) => alignment,
        Err(AlignError::NotFinite { index }) => {
            assert!(!(matches[index].from.is_finite() && matches[index].to.is_finite()));
            return;
        }
        Err(AlignError::NoConsensus { inliers, matches: all, needed }) => {
            assert!(finite && inliers < needed && inliers <= all && all == count);
            return;
        }
        Err(_) => return,
    };
    assert!(finite && (3.max(rule.min_inliers)..=count).contains(&alignment.inliers()));
    // The same matches and random numbers, the same map.
    let again = Alignment::new(&matches, rule, &mut Rng::new(3, 0)).map(|again| again.inliers());
    assert_eq!(again, Ok(alignment.inliers()));
    if !wild && rule == (AlignOptions { min_inliers: 3, ..AlignOptions::default() }) {
        for m in &matches {
            let expected = alignment.predict(m.from);
            assert!(
                expected.at.is_finite() && expected.spread >= 0.0 && expected.support > 0.0,
                "{expected:?}"
            );
        }
    }
}
