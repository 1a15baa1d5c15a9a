//! Axes of a chart: ticks, grid, names, legend.

use infomark_core::Point;

use super::series::{Axis, Plot};
use super::{Chart, Dot, GREY, MARGIN, PAPER, SMALL, Series, Style};
use crate::Colour;
use crate::font::{CAPITAL, shorten, text_width};
use crate::scene::{Anchor, Area, Scene, Stroke, Text};
use crate::ticks::ticks;

const INK: Colour = [30; 3];
const GRID: Colour = [222; 3];
/// Font sizes of titles and of labels of axes.
const TITLE: f64 = 16.0;
const LABEL: f64 = 13.0;
/// Length of a tick.
const TICK: f64 = 4.0;
/// How far dots and lines at the end of an axis reach beyond it.
const BEYOND: f64 = 6.0;
/// From the axes to the names of the legend.
pub(super) const LEGEND: f64 = 40.0;

/// Room left of the axes.
pub(super) fn room_at_left(chart: &Chart) -> f64 {
    let width = |label: &str| text_width(label, SMALL);
    let label = if y_label(chart).is_empty() { 0.0 } else { LABEL + 8.0 };
    let y_ticks = y_ticks(chart);
    let labels = chart.rows.iter().chain(y_ticks.iter().map(|(_, label)| label));
    MARGIN + label + labels.map(|label| width(label)).fold(0.0, f64::max) + TICK + 6.0
}

/// Rows have names in place of a label.
fn y_label(chart: &Chart) -> &str {
    if chart.rows.is_empty() { &chart.y_label } else { "" }
}

/// None where the axis has rows.
fn y_ticks(chart: &Chart) -> Vec<(f64, String)> {
    let [low, high] = ranges(chart).1;
    if chart.rows.is_empty() {
        ticks(low, high, (chart.height as usize / 45).clamp(3, 20), false)
    } else {
        Vec::new()
    }
}

/// The series that a legend names; none where there is nothing to tell apart.
pub(super) fn legend(chart: &Chart) -> impl Iterator<Item = &Series> + Clone {
    let named = chart.series.iter().filter(|series| !series.name.is_empty());
    let several = named.clone().count() > 1;
    named.filter(move |_| several)
}

/// A chart in its place.
pub(super) struct Axes<'a> {
    chart: &'a Chart,
    frame: Area,
    /// What the axes enclose.
    plot: Area,
    x: Axis,
    y: Axis,
    x_ticks: Vec<(f64, String)>,
    y_ticks: Vec<(f64, String)>,
}

impl<'a> Axes<'a> {
    pub(super) fn of(chart: &'a Chart, frame: Area, left: f64, right: f64) -> Self {
        let (x, y) = ranges(chart);
        let above = if chart.title.is_empty() { MARGIN } else { MARGIN + TITLE + 10.0 };
        let below = MARGIN + SMALL + 10.0 + if chart.x_label.is_empty() { 0.0 } else { LABEL + 6.0 };
        let plot = Area {
            x: left.ceil(),
            y: (frame.y + above).round(),
            width: (frame.width - left.ceil() - right.ceil()).max(1.0),
            height: (frame.height - above - below).max(1.0).round(),
        };
        let (x_pixels, y_pixels) = ([plot.x, plot.x + plot.width], [plot.y + plot.height, plot.y]);
        Self {
            chart,
            frame,
            plot,
            x: Axis { values: x, pixels: x_pixels },
            y: Axis { values: y, pixels: y_pixels },
            x_ticks: ticks(x[0], x[1], (plot.width as usize / 60).clamp(2, 10), chart.x_whole),
            y_ticks: y_ticks(chart),
        }
    }

    pub(super) fn draw(&self, scene: &mut Scene) {
        scene.scene(self.plotted(), (self.plot.x - BEYOND) as i32, (self.plot.y - BEYOND) as i32);
        self.draw_axes(scene);
        self.draw_names(scene);
        self.draw_legend(scene);
    }

    /// Grid, series and marks, which are cut off a little beyond the axes.
    fn plotted(&self) -> Scene {
        let Area { x, y, width, height } = self.plot;
        let side = |length: f64| (length + 2.0 * BEYOND) as usize;
        let mut scene = Scene::new(side(width), side(height), PAPER);
        let moved =
            |axis: Axis, by: f64| Axis { pixels: axis.pixels.map(|pixel| pixel - by + BEYOND), ..axis };
        let (x, y) = (moved(self.x, x), moved(self.y, y));
        let (across, down) = (x.pixels, y.pixels);
        let grid = Stroke::new(GRID, 1.0);
        for at in self.x_ticks.iter().map(|(value, _)| x.sharp(*value)) {
            scene.line(down.map(|y| Point::new(at, y)).into(), grid);
        }
        for at in self.y_ticks.iter().map(|(value, _)| y.sharp(*value)) {
            scene.line(across.map(|x| Point::new(x, at)).into(), grid);
        }
        let plot = Plot { x, y, rows: !self.chart.rows.is_empty() };
        for series in &self.chart.series {
            plot.draw(&mut scene, series);
        }
        for (value, name) in &self.chart.marks {
            let at = x.sharp(*value);
            let line = Stroke { dashes: Some((5.0, 4.0)), ..Stroke::new(INK, 1.0) };
            scene.line(down.map(|y| Point::new(at, y)).into(), line);
            // Beside the line, on the side that has room.
            let fits = at + 5.0 + text_width(name, SMALL) <= across[1];
            let (anchor, at) = if fits { (Anchor::Start, at + 5.0) } else { (Anchor::End, at - 5.0) };
            let text = Text::new(name.clone(), Point::new(at, down[0] - 6.0), SMALL, INK);
            scene.text(Text { anchor, seam: Some(PAPER), ..text });
        }
        scene
    }

    /// Both axes, their ticks with numbers, and names of rows.
    fn draw_axes(&self, scene: &mut Scene) {
        let Area { x: left, y: top, height, .. } = self.plot;
        let (left, bottom, right) = (left + 0.5, top + height + 0.5, self.x.pixels[1]);
        let corner = Point::new(left, bottom);
        let line = Stroke::new(GREY, 1.0);
        scene.line(vec![Point::new(left, top), corner, Point::new(right, bottom)], line);
        for (value, label) in &self.x_ticks {
            let at = self.x.sharp(*value);
            scene.line(vec![Point::new(at, bottom), Point::new(at, bottom + TICK)], line);
            let below = Point::new(at, bottom + TICK + SMALL + 1.0);
            scene.text(Text { anchor: Anchor::Middle, ..Text::new(label.clone(), below, SMALL, INK) });
        }
        let mut beside = |at: f64, label: String| {
            let place = Point::new(left - TICK - 4.0, at + 0.5 * CAPITAL * SMALL);
            scene.text(Text { anchor: Anchor::End, ..Text::new(label, place, SMALL, INK) });
        };
        for (row, name) in self.chart.rows.iter().enumerate() {
            beside(self.y.at(row as f64), shorten(name, SMALL, left - TICK - 4.0 - MARGIN));
        }
        for (value, label) in &self.y_ticks {
            beside(self.y.sharp(*value), label.clone());
        }
        for at in self.y_ticks.iter().map(|(value, _)| self.y.sharp(*value)) {
            scene.line(vec![Point::new(left - TICK, at), Point::new(left, at)], line);
        }
    }

    /// Title and labels of the axes.
    fn draw_names(&self, scene: &mut Scene) {
        let Area { x, y, width, height } = self.plot;
        let middle =
            Text { anchor: Anchor::Middle, ..Text::new("", Point::new(x + 0.5 * width, 0.0), LABEL, INK) };
        let centre = 0.5 * self.frame.width;
        let title = Point::new(centre, self.frame.y + MARGIN + CAPITAL * TITLE + 2.0);
        let text = self.chart.title.clone();
        scene.text(Text { text, at: title, size: TITLE, ..middle.clone() });
        let below = Point::new(middle.at.x, y + height + TICK + SMALL + LABEL + 8.0);
        scene.text(Text { text: self.chart.x_label.clone(), at: below, ..middle.clone() });
        let beside = Point::new(MARGIN + CAPITAL * LABEL, y + 0.5 * height);
        scene.text(Text { text: y_label(self.chart).to_owned(), at: beside, upwards: true, ..middle });
    }

    /// Beside the axes, where it hides nothing.
    fn draw_legend(&self, scene: &mut Scene) {
        let x = self.plot.x + self.plot.width + LEGEND - 26.0;
        for (place, series) in legend(self.chart).enumerate() {
            let y = self.plot.y + 8.0 + 20.0 * place as f64;
            let (start, end) = (Point::new(x, y), Point::new(x + 20.0, y));
            let width = match series.style {
                Style::Line(width) | Style::Span(width) => f64::from(width),
                Style::Bars(_) => 8.0,
                _ => 2.0,
            };
            if series.style != Style::Dots {
                scene.line(vec![start, end], Stroke::new(series.colour, width));
            }
            if matches!(series.style, Style::Dots | Style::Dotted) {
                scene.disc(Point::new(x + 10.0, y), 3.5, series.colour);
            }
            let name = shorten(&series.name, SMALL, self.frame.width - x - 26.0 - 0.5 * MARGIN);
            let beside = Point::new(x + 26.0, y + 0.5 * CAPITAL * SMALL);
            scene.text(Text::new(name, beside, SMALL, INK));
        }
    }
}

/// The ends of both axes: those given, else what holds all points, with some room.
fn ranges(chart: &Chart) -> ([f64; 2], [f64; 2]) {
    let dots = || chart.series.iter().flat_map(|series| &series.points);
    let hold = |values: &mut dyn Iterator<Item = f64>| {
        let finite = values.filter(|v| v.is_finite());
        let [low, high] = finite.fold([f64::MAX, f64::MIN], |[l, h], v| [l.min(v), h.max(v)]);
        if low > high {
            return [0.0, 1.0];
        }
        let room = if high > low { 0.05 * (high - low) } else { 0.5 * high.abs().max(1.0) };
        [low - room, high + room]
    };
    let ends = |dot: &Dot| dot.interval.unwrap_or([f64::NAN; 2]);
    if !chart.rows.is_empty() {
        let x = hold(&mut dots().flat_map(|dot| [dot.x].into_iter().chain(ends(dot))));
        // Rows go down.
        return (chart.x_range.unwrap_or(x), [chart.rows.len() as f64 - 0.4, -0.6]);
    }
    let x = hold(&mut dots().map(|dot| dot.x));
    let y = hold(&mut dots().flat_map(|dot| [dot.y].into_iter().chain(ends(dot))));
    (chart.x_range.unwrap_or(x), chart.y_range.unwrap_or(y))
}
