//! Decoding of a heat map and its offsets to a point.

use infomark_core::Point;

use crate::Rect;

/// Radius, in cells, of the window around the most probable cell whose probability is reported.
const RADIUS: usize = 2;
/// Cells below this fraction of the highest probability are ignored.
const LEAST: f64 = 1e-5;
/// Maximum number of iterations of the median.
const ITERATIONS: usize = 100;
/// Approximate precision of the median, in cells.
const STEP: f64 = 1e-3;

/// The maps of one landmark, row by row.
pub(super) struct Maps<'a> {
    /// Log-probabilities, up to a constant.
    pub(super) heat: &'a [f32],
    /// Horizontal offset from the centre of a cell to the landmark, in cells.
    pub(super) x: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) width: usize,
}

/// Decoded position in the model input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// Position in pixels of the model input.
    pub(super) at: Point<f64>,
    /// Probability of the most probable cell and its neighbours, among all cells that show the image.
    pub(super) probability: f64,
}

/// Decodes the position from the cells that show the image. The maps have these cells and are finite.
///
/// Each cell predicts a position with its probability; the result is their geometric median: the point of least expected distance
/// from the landmark, if the heat map is right. A single peak is found as such; of several, the dominant one attracts the median.
pub(super) fn decode(maps: &Maps<'_>, shown: Rect, stride: usize) -> Place {
    let rows = || (shown.y..shown.y + shown.height).map(|y| (y, &maps.heat[y * maps.width..][..maps.width]));
    let mut peak = (shown.x, shown.y, f32::NEG_INFINITY);
    for (y, row) in rows() {
        for (x, &heat) in row.iter().enumerate().skip(shown.x).take(shown.width) {
            if heat > peak.2 {
                peak = (x, y, heat);
            }
        }
    }
    let (column, line, most) = peak;
    let near = |cell: usize, peak: usize| cell.abs_diff(peak) <= RADIUS;
    let (mut all, mut around, mut sum) = (0.0, 0.0, Point::new(0.0, 0.0));
    let mut places = Vec::new();
    for (y, row) in rows() {
        for (x, &heat) in row.iter().enumerate().skip(shown.x).take(shown.width) {
            let weight = libm::exp(f64::from(heat - most));
            all += weight;
            if weight < LEAST {
                continue;
            }
            let cell = y * maps.width + x;
            let at = Point::new(
                x as f64 + 0.5 + f64::from(maps.x[cell]),
                y as f64 + 0.5 + f64::from(maps.y[cell]),
            );
            places.push((at, weight));
            if near(x, column) && near(y, line) {
                around += weight;
                sum.x += weight * at.x;
                sum.y += weight * at.y;
            }
        }
    }
    let at = median(&places, Point::new(sum.x / around, sum.y / around));
    let on_canvas = |cells: f64| cells * stride as f64 - 0.5;
    Place { at: Point::new(on_canvas(at.x), on_canvas(at.y)), probability: around / all }
}

/// Geometric median of weighted points by Weiszfeld's iteration (1937), from a starting point.
fn median(places: &[(Point<f64>, f64)], start: Point<f64>) -> Point<f64> {
    let distance =
        |a: Point<f64>, b: Point<f64>| libm::sqrt((a.x - b.x) * (a.x - b.x) + (a.y - b.y) * (a.y - b.y));
    let mut at = start;
    for _ in 0..ITERATIONS {
        let (mut sum, mut weights) = (Point::new(0.0, 0.0), 0.0);
        for &(place, weight) in places {
            let weight = weight / (distance(place, at) + STEP);
            sum.x += weight * place.x;
            sum.y += weight * place.y;
            weights += weight;
        }
        let next = Point::new(sum.x / weights, sum.y / weights);
        let moved = distance(next, at);
        at = next;
        if moved < STEP {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: Rect = Rect { x: 0, y: 1, width: 8, height: 5 };

    #[test]
    fn cells_that_point_to_one_place_put_it_there() {
        let (width, stride) = (8, 4);
        let goal = Point::new(3.2_f32, 2.7);
        let cell = |i: usize| ((i % width) as f32 + 0.5, (i / width) as f32 + 0.5);
        let heat: Vec<f32> =
            (0..48).map(cell).map(|(x, y)| -2.0 * ((x - goal.x).powi(2) + (y - goal.y).powi(2))).collect();
        let x: Vec<f32> = (0..48).map(|i| goal.x - cell(i).0).collect();
        let y: Vec<f32> = (0..48).map(|i| goal.y - cell(i).1).collect();
        let place = decode(&Maps { heat: &heat, x: &x, y: &y, width }, SHOWN, stride);
        assert!((place.at.x - (3.2 * 4.0 - 0.5)).abs() < 1e-5, "{place:?}");
        assert!((place.at.y - (2.7 * 4.0 - 0.5)).abs() < 1e-5, "{place:?}");
        assert!(place.probability > 0.99);
    }

    #[test]
    fn two_places_halve_the_probability_and_hidden_cells_count_for_nothing() {
        let (mut heat, zero) = (vec![-50.0; 48], [0.0; 48]);
        (heat[8 + 1], heat[4 * 8 + 7], heat[0]) = (3.0, 2.9, 99.0);
        let place = decode(&Maps { heat: &heat, x: &zero, y: &zero, width: 8 }, SHOWN, 2);
        let off = libm::hypot(place.at.x - 2.5, place.at.y - 2.5);
        assert!(off < 0.1, "{place:?}");
        assert!((place.probability - 1.0 / (1.0 + libm::exp(-0.1))).abs() < 1e-6, "{place:?}");
    }

    #[test]
    fn a_lone_peak_is_outweighed_by_several_that_are_near_each_other() {
        let (mut heat, zero) = (vec![-50.0; 48], [0.0; 48]);
        // Three cells in a row, with the median in the middle one, against a single cell of slightly higher probability.
        (heat[8 + 1], heat[3 * 8 + 4], heat[3 * 8 + 5], heat[3 * 8 + 6]) = (1.0, 0.9, 0.9, 0.9);
        let place = decode(&Maps { heat: &heat, x: &zero, y: &zero, width: 8 }, SHOWN, 1);
        assert!(libm::hypot(place.at.x - 5.0, place.at.y - 3.0) < 0.5, "{place:?}");
    }

    #[test]
    fn no_place_has_a_smaller_expected_distance_than_the_median() {
        let mut rng = infomark_core::Rng::new(3, 0);
        for _ in 0..50 {
            let places: Vec<(Point<f64>, f64)> = (0..9)
                .map(|_| {
                    (
                        Point::new(10.0 * rng.uniform::<f64>(), 8.0 * rng.uniform::<f64>()),
                        rng.uniform::<f64>(),
                    )
                })
                .collect();
            let expected = |at: Point<f64>| -> f64 {
                places
                    .iter()
                    .map(|(place, weight)| weight * libm::hypot(place.x - at.x, place.y - at.y))
                    .sum()
            };
            let found = median(&places, places[0].0);
            for (dx, dy) in [(0.1, 0.0), (-0.1, 0.0), (0.0, 0.1), (0.0, -0.1)] {
                assert!(
                    expected(found) < expected(Point::new(found.x + dx, found.y + dy)) + 1e-3,
                    "{places:?}"
                );
            }
        }
    }
}
