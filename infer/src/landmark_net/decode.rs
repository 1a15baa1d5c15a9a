//! From a heat map and its offsets to a point.

use infomark_core::Point;

use crate::Rect;

/// Cells around the most probable one, in each direction, that say where the landmark is.
const RADIUS: usize = 2;

/// The maps of one landmark, row by row.
pub(super) struct Maps<'a> {
    /// Logarithms of the probabilities, but for a constant.
    pub(super) heat: &'a [f32],
    /// From the centre of a cell to the landmark, in cells.
    pub(super) x: &'a [f32],
    pub(super) y: &'a [f32],
    pub(super) width: usize,
}

/// A landmark on the canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    /// In pixels of the canvas.
    pub(super) at: Point<f64>,
    /// Of the cells that point to it, among all that are shown.
    pub(super) probability: f64,
}

/// The place among the cells that are shown. The maps have those cells and are finite.
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
    for (y, row) in rows() {
        for (x, &heat) in row.iter().enumerate().skip(shown.x).take(shown.width) {
            let weight = libm::exp(f64::from(heat - most));
            all += weight;
            if near(x, column) && near(y, line) {
                let cell = y * maps.width + x;
                around += weight;
                sum.x += weight * (x as f64 + 0.5 + f64::from(maps.x[cell]));
                sum.y += weight * (y as f64 + 0.5 + f64::from(maps.y[cell]));
            }
        }
    }
    let on_canvas = |cells: f64| cells / around * stride as f64 - 0.5;
    Place { at: Point::new(on_canvas(sum.x), on_canvas(sum.y)), probability: around / all }
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
        (heat[8 + 1], heat[4 * 8 + 7], heat[0]) = (3.0, 2.999, 99.0);
        let place = decode(&Maps { heat: &heat, x: &zero, y: &zero, width: 8 }, SHOWN, 2);
        assert_eq!(place.at, Point::new(2.5, 2.5));
        assert!((place.probability - 0.5).abs() < 1e-3);
    }
}
