//! Separation of landmarks that were found at one position but are apart in the templates, e.g. adjacent fingers or corners of both clavicles.
//!
//! Landmarks are searched independently, so two can match one look-alike. The one of a pair that loses less score moves to its next best peak.

use infomark_core::Point;

/// Minimum distance, in the templates, of two landmarks that are separated, in pixels of the model input; closer ones may coincide.
const APART: f32 = 32.0;
/// Two landmarks coincide where they are nearer than this fraction of the expected distance.
const TOGETHER: f32 = 0.25;
/// The landmark that moves ends farther than this fraction of the expected distance from the other.
const BEYOND: f32 = 0.5;
/// Maximum number of landmarks compared in pairs; more are left unchanged.
const MOST: usize = 256;
/// Value of excluded cells: far below all others, and finite, so that interpolation stays finite.
const TAKEN: f32 = -1e4;

/// Positions of landmarks in a template; `None` for a missing one.
pub(crate) type Places = Vec<Option<Point<f32>>>;

/// Two coinciding landmarks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// Their indices.
    pub(crate) landmarks: [usize; 2],
    /// Radius around each that excludes the other, in pixels of the model input.
    pub(crate) radius: f32,
}

/// The pair nearest to each other, relative to the expected distance, among the coinciding ones. `found` are positions in an image,
/// `templates` those in each template, all in pixels of the model input and in the same order.
pub(crate) fn nearest_pair(found: &[Point<f32>], templates: &[Places]) -> Option<Pair> {
    if found.len() > MOST {
        return None;
    }
    let expected: Vec<(usize, usize, f32)> = (0..found.len())
        .flat_map(|a| (a + 1..found.len()).map(move |b| (a, b)))
        .filter_map(|(a, b)| {
            let distances = templates.iter().filter_map(|places| Some(distance(places[a]?, places[b]?)));
            let (sum, count) = distances.fold((0.0, 0), |(sum, count), length| (sum + length, count + 1));
            let mean = sum / count as f32;
            (count > 0 && mean >= APART).then_some((a, b, mean))
        })
        .collect();
    // Scale of the image relative to the templates: the median, as most pairs are right.
    let mut ratios: Vec<f32> =
        expected.iter().map(|&(a, b, length)| distance(found[a], found[b]) / length).collect();
    ratios.sort_by(f32::total_cmp);
    let scale = *ratios.get(ratios.len() / 2)?;
    let nearness = |&(a, b, length): &(usize, usize, f32)| distance(found[a], found[b]) / (scale * length);
    let together = expected.iter().filter(|pair| nearness(pair) < TOGETHER);
    let &(a, b, length) = together.min_by(|one, other| nearness(one).total_cmp(&nearness(other)))?;
    Some(Pair { landmarks: [a, b], radius: BEYOND * scale * length })
}

fn distance(a: Point<f32>, b: Point<f32>) -> f32 {
    libm::hypotf(a.x - b.x, a.y - b.y)
}

/// Excludes the cells within a radius of a point from a map of `width` cells a row, `stride` pixels apart.
pub(crate) fn take(map: &mut [f32], (width, stride): (usize, usize), at: Point<f32>, radius: f32) {
    let centre = |cell: usize| (cell as f32 + 0.5) * stride as f32 - 0.5;
    for (y, row) in map.chunks_exact_mut(width).enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            if distance(Point::new(centre(x), centre(y)), at) <= radius {
                *value = TAKEN;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places(at: &[[f32; 2]]) -> Vec<Point<f32>> {
        at.iter().map(|&[x, y]| Point::new(x, y)).collect()
    }

    const TEMPLATE: [[f32; 2]; 7] = [
        [100.0, 100.0],
        [140.0, 100.0],
        [180.0, 100.0],
        [184.0, 100.0],
        [100.0, 200.0],
        [140.0, 250.0],
        [180.0, 200.0],
    ];

    fn templates() -> Vec<Places> {
        let all: Places = places(&TEMPLATE).into_iter().map(Some).collect();
        let mut lacks = all.clone();
        lacks[0] = None;
        vec![all, lacks]
    }

    #[test]
    fn landmarks_that_are_apart_or_that_templates_have_together_are_left_alone() {
        assert_eq!(nearest_pair(&places(&TEMPLATE), &templates()), None);
        let smaller: Vec<[f32; 2]> = TEMPLATE.iter().map(|[x, y]| [x * 0.2, y * 0.2]).collect();
        assert_eq!(nearest_pair(&places(&smaller), &templates()), None, "in an image of smaller scale");
        let mut on_another = TEMPLATE;
        on_another[3] = on_another[2];
        assert_eq!(nearest_pair(&places(&on_another), &templates()), None, "4 pixels apart in the templates");
        assert_eq!(nearest_pair(&[], &templates()), None);
        let many = vec![Point::new(0.0, 0.0); MOST + 1];
        let far = (0..=MOST).map(|i| Some(Point::new(40.0 * i as f32, 0.0))).collect();
        assert_eq!(nearest_pair(&many, &[far]), None);
        assert_eq!(nearest_pair(&places(&TEMPLATE[..1]), &templates()), None);
        let nowhere: Vec<Places> = vec![vec![None; 7]];
        assert_eq!(nearest_pair(&places(&TEMPLATE), &nowhere), None, "a template without landmarks");
        assert_eq!(nearest_pair(&places(&[[5.0, 5.0]; 7]), &templates()), None, "no scale, no expectation");
    }

    #[test]
    fn two_landmarks_in_one_place_are_told_with_what_they_have_to_keep_apart() {
        let mut found = TEMPLATE;
        found[0] = [137.0, 101.0];
        let pair = nearest_pair(&places(&found), &templates());
        assert!(
            pair.is_some_and(|pair| pair.landmarks == [0, 1] && (pair.radius - 0.5 * 40.0).abs() < 2.0),
            "{pair:?}"
        );
    }

    #[test]
    fn cells_within_the_radius_are_taken_and_no_others() {
        let mut map = vec![1.0; 12 * 10];
        take(&mut map, (12, 2), Point::new(8.5, 6.5), 4.0);
        for (cell, value) in map.iter().enumerate() {
            let (x, y) = ((cell % 12) as f32 * 2.0 + 0.5, (cell / 12) as f32 * 2.0 + 0.5);
            assert_eq!(*value == TAKEN, libm::hypotf(x - 8.5, y - 6.5) <= 4.0, "cell {cell}");
        }
    }
}
