//! Series of a chart.

use infomark_core::Point;

use super::{Series, Style};
use crate::scene::{Scene, Stroke};

/// An axis: values and the pixels that they are at.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) values: [f64; 2],
    pub(super) pixels: [f64; 2],
}

impl Axis {
    pub(super) fn at(&self, value: f64) -> f64 {
        let ([low, high], [start, end]) = (self.values, self.pixels);
        start + (value - low) / (high - low) * (end - start)
    }

    /// Nearest place where a line of one pixel is sharp.
    pub(super) fn sharp(&self, value: f64) -> f64 {
        self.at(value).floor() + 0.5
    }
}

/// Where series are drawn.
pub(super) struct Plot {
    pub(super) x: Axis,
    pub(super) y: Axis,
    /// Whether y counts rows, so that intervals are those of x.
    pub(super) rows: bool,
}

impl Plot {
    fn at(&self, x: f64, y: f64) -> Point<f64> {
        Point::new(self.x.at(x), self.y.at(y))
    }

    pub(super) fn draw(&self, scene: &mut Scene, series: &Series) {
        let colour = series.colour;
        match series.style {
            Style::Line(width) => self.draw_line(scene, series, f64::from(width)),
            Style::Dotted => {
                self.draw_intervals(scene, series, 2.0);
                self.draw_line(scene, series, 2.0);
                self.draw_dots(scene, series, 3.0);
            }
            Style::Dots => {
                self.draw_intervals(scene, series, 2.0);
                self.draw_dots(scene, series, 4.0);
            }
            Style::Bars(width) => {
                for dot in &series.points {
                    let (left, right) = (dot.x - 0.5 * width, dot.x + 0.5 * width);
                    let corners = [(left, 0.0), (left, dot.y), (right, dot.y), (right, 0.0)];
                    scene.polygon(corners.map(|(x, y)| self.at(x, y)).into(), colour, 0.6);
                }
            }
            Style::Band => {
                let ends = || series.points.iter().filter_map(|dot| Some((dot.x, dot.interval?)));
                let low = ends().map(|(x, [low, _])| self.at(x, low));
                let high = ends().rev().map(|(x, [_, high])| self.at(x, high));
                scene.polygon(low.chain(high).collect(), colour, 0.25);
                self.draw_line(scene, series, 2.0);
            }
            Style::Span(width) => self.draw_intervals(scene, series, f64::from(width)),
        }
    }

    /// A line that is broken where a point is missing.
    fn draw_line(&self, scene: &mut Scene, series: &Series, width: f64) {
        for part in series.points.split(|dot| !(dot.x.is_finite() && dot.y.is_finite())) {
            let points = part.iter().map(|dot| self.at(dot.x, dot.y)).collect();
            scene.line(points, Stroke::new(series.colour, width));
        }
    }

    fn draw_dots(&self, scene: &mut Scene, series: &Series, radius: f64) {
        for dot in &series.points {
            scene.disc(self.at(dot.x, dot.y), radius, series.colour);
        }
    }

    fn draw_intervals(&self, scene: &mut Scene, series: &Series, width: f64) {
        for dot in &series.points {
            let Some(ends) = dot.interval else { continue };
            let end = |end: f64| if self.rows { self.at(end, dot.y) } else { self.at(dot.x, end) };
            scene.line(ends.map(end).into(), Stroke::new(series.colour, width));
        }
    }
}
