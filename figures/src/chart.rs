//! Charts: lines, points with intervals, bars.

mod axes;
mod series;

use infomark_core::Point;

use crate::font::text_width;
use crate::scene::{Anchor, Area, Scene, Text};
use crate::{Colour, line_colour};
use axes::{Axes, LEGEND, legend, room_at_left};

/// Pixels across a figure.
const WIDTH: usize = 900;
/// Pixels across a figure for small screens too, where its text is large beside it.
const NARROW: usize = 560;
/// Room around a chart.
const MARGIN: f64 = 10.0;
/// Room for what made the figure, below the charts.
const FOOT: usize = 24;
const PAPER: Colour = [255; 3];
const GREY: Colour = [120; 3];
/// Font size of all but titles and labels of axes.
const SMALL: f64 = 12.0;

/// How points are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Style {
    /// A line of this width.
    Line(u32),
    /// A line with a dot at each point.
    Dotted,
    /// A dot at each point, with its interval.
    Dots,
    /// Bars from 0, this wide.
    Bars(f64),
    /// A line, in the band of its intervals.
    Band,
    /// The interval of each point alone, as a line of this width.
    Span(u32),
}

/// A point, and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dot {
    /// Across.
    pub x: f64,
    /// Up, or the row in a chart of categories.
    pub y: f64,
    /// Ends of an interval: of y, or of x in a chart of categories.
    pub interval: Option<[f64; 2]>,
}

/// Points of one colour and name.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Not in the legend when empty.
    pub name: String,
    /// Its colour.
    pub colour: Colour,
    /// How its points are shown.
    pub style: Style,
    /// Its points, in order; a line is broken where one is not finite.
    pub points: Vec<Dot>,
}

impl Series {
    /// A line in the `index`th colour.
    pub fn line(name: &str, index: usize, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let points = points.into_iter().map(|(x, y)| Dot { x, y, interval: None }).collect();
        Self { name: name.to_owned(), colour: line_colour(index), style: Style::Line(2), points }
    }
}

/// One pair of axes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chart {
    /// Above the axes.
    pub title: String,
    /// Below the x axis, with the unit.
    pub x_label: String,
    /// Beside the y axis, with the unit.
    pub y_label: String,
    /// What is drawn, the first behind the others.
    pub series: Vec<Series>,
    /// Names of the rows y = 0, 1, ... from the top; the y axis is one of numbers when there are none.
    pub rows: Vec<String>,
    /// Vertical lines with a name.
    pub marks: Vec<(f64, String)>,
    /// Whether x counts something: its ticks are whole numbers.
    pub x_whole: bool,
    /// Ends of the x axis, where the points shall not decide.
    pub x_range: Option<[f64; 2]>,
    /// Ends of the y axis, where the points shall not decide.
    pub y_range: Option<[f64; 2]>,
    /// Height in pixels.
    pub height: u32,
}

/// Charts below each other, 900 pixels across. `note` says what made them.
pub fn draw_charts(charts: &[Chart], note: &str) -> Scene {
    draw(charts, note, WIDTH)
}

/// [`draw_charts`] for small screens: 560 pixels across.
pub fn draw_narrow_charts(charts: &[Chart], note: &str) -> Scene {
    draw(charts, note, NARROW)
}

fn draw(charts: &[Chart], note: &str, across: usize) -> Scene {
    let height = charts.iter().map(|chart| chart.height as usize).sum::<usize>() + FOOT;
    let mut scene = Scene::new(across, height, PAPER);
    // Axes below each other begin and end at the same place.
    let widest = across as f64 / 3.0;
    let most = |widths: &mut dyn Iterator<Item = f64>| widths.fold(0.0, f64::max).min(widest);
    let left = most(&mut charts.iter().map(room_at_left)).max(44.0);
    let names = most(&mut charts.iter().flat_map(legend).map(|series| text_width(&series.name, SMALL)));
    let right = if names > 0.0 { LEGEND + names + MARGIN } else { 24.0 };
    let mut top = 0.0;
    for chart in charts {
        let frame = Area { x: 0.0, y: top, width: across as f64, height: f64::from(chart.height) };
        Axes::of(chart, frame, left, right).draw(&mut scene);
        top += frame.height;
    }
    let corner = Point::new(across as f64 - MARGIN, height as f64 - 8.0);
    scene.text(Text { anchor: Anchor::End, ..Text::new(note, corner, 10.0, GREY) });
    scene
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PictureError;

    fn chart(series: Vec<Series>) -> Chart {
        Chart { title: "Title".into(), y_label: "mm".into(), series, height: 200, ..Chart::default() }
    }

    #[test]
    fn a_line_is_broken_where_a_point_is_missing() -> Result<(), PictureError> {
        let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 1.0), (4.0, 2.0)];
        let svg = draw_charts(&[chart(vec![Series::line("", 0, points)])], "").to_svg()?;
        assert_eq!(svg.matches("stroke=\"#0072b2\"").count(), 2, "{svg}");
        Ok(())
    }

    #[test]
    fn axes_below_each_other_begin_at_the_same_place() -> Result<(), PictureError> {
        let line = |most: f64| Series::line("", 0, [(0.0, 0.0), (1.0, most)]);
        let svg = draw_charts(&[chart(vec![line(1.0)]), chart(vec![line(1e5)])], "").to_svg()?;
        let lefts: Vec<&str> =
            svg.split("<svg x=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert!(matches!(lefts.as_slice(), [first, second] if first == second), "{lefts:?}");
        Ok(())
    }

    #[test]
    fn a_legend_names_series_where_there_are_several() -> Result<(), PictureError> {
        let line = |name| Series::line(name, 0, [(0.0, 0.0), (1.0, 1.0)]);
        let one = draw_charts(&[chart(vec![line("one")])], "").to_svg()?;
        let both = draw_charts(&[chart(vec![line("one"), line("two")])], "").to_svg()?;
        assert!(!one.contains(">one<") && both.contains(">one<") && both.contains(">two<"));
        Ok(())
    }

    #[test]
    fn numbers_that_are_not_finite_are_left_out() -> Result<(), PictureError> {
        let bad = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, 0.0];
        let dot = |(x, y)| Dot { x, y, interval: Some([y, x]) };
        let points: Vec<Dot> = bad.iter().flat_map(|x| bad.map(|y| dot((*x, y)))).collect();
        let styles =
            [Style::Line(2), Style::Dotted, Style::Dots, Style::Bars(f64::NAN), Style::Band, Style::Span(1)];
        let series = styles.map(|style| Series { style, points: points.clone(), ..Series::line("a", 0, []) });
        for rows in [Vec::new(), vec!["row".to_owned()]] {
            for range in [None, Some([1.0, 1.0]), Some([f64::NAN, f64::INFINITY])] {
                let marks = vec![(f64::NAN, "mark".to_owned())];
                let chart = chart(series.to_vec());
                let chart = Chart { rows: rows.clone(), x_range: range, y_range: range, marks, ..chart };
                let figure = draw_narrow_charts(&[chart], "");
                let svg = figure.to_svg()?;
                assert!(!svg.contains("\"NaN") && !svg.contains("\"inf"), "{svg}");
                assert!(figure.to_png(1)?.starts_with(b"\x89PNG"));
            }
        }
        Ok(())
    }
}
