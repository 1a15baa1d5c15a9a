//! Charts as PNG and SVG: lines, points with intervals, bars.

use std::sync::OnceLock;

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{FontStyle, register_font};

use crate::canvas::rgb_png;
use crate::{Colour, PictureError, line_colour};

/// Pixels across a figure.
const WIDTH: u32 = 900;
/// Pixels across a figure for small screens too, where its text is large beside it.
const NARROW: u32 = 560;
/// PNG files are drawn so many times as large, and shrunk to half of that: this smooths their lines.
const ZOOM: u32 = 4;
const FONT: &str = "sans-serif";
const INK: RGBColor = RGBColor(30, 30, 30);
const GREY: RGBColor = RGBColor(120, 120, 120);

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

/// Charts below each other, as the bytes of a PNG file twice as wide and high as the SVG file. `note` says what made them.
///
/// # Errors
/// When a chart cannot be drawn, or PNG has no picture of its size.
pub fn chart_png(charts: &[Chart], note: &str) -> Result<Vec<u8>, PictureError> {
    load_font()?;
    let (wide, high) = (WIDTH * ZOOM, height(charts) * ZOOM);
    let mut pixels = vec![0; 3 * (wide * high) as usize];
    draw(BitMapBackend::with_buffer(&mut pixels, (wide, high)), charts, note, ZOOM)?;
    rgb_png(pixels, (wide, high), (wide / 2, high / 2))
}

/// Charts below each other, as the text of an SVG file.
///
/// # Errors
/// When a chart cannot be drawn.
pub fn chart_svg(charts: &[Chart], note: &str) -> Result<String, PictureError> {
    svg_of_width(charts, note, WIDTH)
}

/// [`chart_svg`] for small screens.
///
/// # Errors
/// As there.
pub fn narrow_chart_svg(charts: &[Chart], note: &str) -> Result<String, PictureError> {
    svg_of_width(charts, note, NARROW)
}

fn svg_of_width(charts: &[Chart], note: &str, width: u32) -> Result<String, PictureError> {
    load_font()?;
    let mut svg = String::new();
    draw(SVGBackend::with_string(&mut svg, (width, height(charts))), charts, note, 1)?;
    Ok(svg)
}

fn height(charts: &[Chart]) -> u32 {
    charts.iter().map(|chart| chart.height).sum::<u32>() + 24
}

/// The font is part of the program: pictures look the same everywhere.
fn load_font() -> Result<(), PictureError> {
    static LOADED: OnceLock<bool> = OnceLock::new();
    let loaded = LOADED.get_or_init(|| {
        register_font(FONT, FontStyle::Normal, dejavu::sans::regular()).is_ok()
            && register_font(FONT, FontStyle::Bold, dejavu::sans::bold()).is_ok()
    });
    loaded
        .then_some(())
        .ok_or_else(|| PictureError::Chart { reason: "the built-in font can't be read".into() })
}

fn draw<B: DrawingBackend>(backend: B, charts: &[Chart], note: &str, zoom: u32) -> Result<(), PictureError> {
    let root = backend.into_drawing_area();
    root.fill(&WHITE).map_err(failed)?;
    let mut rest = root.clone();
    // Axes below each other end at the same place.
    let names = charts.iter().flat_map(legend).map(|series| text_width(&series.name)).max();
    let across = (root.dim_in_pixel().0 / zoom) as i32;
    let right = names.map_or(24, |widest| (44 + widest).min(across / 3));
    for chart in charts {
        let (area, below) = rest.split_vertically(chart.height * zoom);
        draw_chart(&area, chart, (across, right), zoom as i32)?;
        rest = below;
    }
    let (width, height) = root.dim_in_pixel();
    let style = text(10, GREY, zoom as i32).pos(Pos::new(HPos::Right, VPos::Bottom));
    let corner = ((width - 10 * zoom) as i32, (height - 6 * zoom) as i32);
    root.draw(&Text::new(note.to_owned(), corner, style)).map_err(failed)?;
    root.present().map_err(failed)
}

fn text(size: i32, colour: RGBColor, zoom: i32) -> TextStyle<'static> {
    (FONT, size * zoom).into_font().color(&colour)
}

fn failed<E: std::error::Error + Send + Sync>(error: DrawingAreaErrorKind<E>) -> PictureError {
    PictureError::Chart { reason: error.to_string() }
}

fn draw_chart<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    chart: &Chart,
    (across, right): (i32, i32),
    zoom: i32,
) -> Result<(), PictureError> {
    let (x, y) = ranges(chart);
    let named = !chart.rows.is_empty();
    let widest = chart.rows.iter().map(|row| text_width(row)).max().unwrap_or(0);
    let left = if named { (20 + widest).min(across / 3) } else { 64 };
    let mut context = ChartBuilder::on(area)
        .caption(&chart.title, (FONT, 16 * zoom).into_font().style(FontStyle::Bold).color(&INK))
        .margin(10 * zoom)
        .margin_right(right * zoom)
        .x_label_area_size(if chart.x_label.is_empty() { 24 * zoom } else { 44 * zoom })
        .y_label_area_size(left * zoom)
        .build_cartesian_2d(x[0]..x[1], y[0]..y[1])
        .map_err(failed)?;
    let digits = |[low, high]: [f64; 2]| {
        let step = (high - low) / 8.0;
        (-step.log10().floor()).clamp(0.0, 6.0) as usize
    };
    let (x_digits, y_digits) = (if chart.x_whole { 0 } else { digits(x) }, digits(y));
    // As many ticks as there are whole numbers, at most, so that they lie on them.
    let most = (across as usize / 80).clamp(2, 10);
    let x_ticks = if chart.x_whole { ((x[1] - x[0]) as usize).clamp(1, most) } else { most };
    let x_text = |v: &f64| format!("{v:.x_digits$}");
    let y_text = |v: &f64| format!("{v:.y_digits$}");
    let mut mesh = context.configure_mesh();
    mesh.axis_style(GREY.stroke_width(zoom as u32))
        .bold_line_style(RGBColor(222, 222, 222).stroke_width(zoom as u32))
        .light_line_style(TRANSPARENT)
        .label_style(text(12, INK, zoom))
        .axis_desc_style(text(13, INK, zoom))
        .set_all_tick_mark_size(4 * zoom)
        .x_labels(x_ticks)
        .y_labels(if named { 0 } else { (chart.height / 45).max(3) as usize })
        .x_label_formatter(&x_text)
        .y_label_formatter(&y_text)
        .x_desc(&chart.x_label);
    if named {
        mesh.disable_y_mesh().y_labels(0);
    } else {
        mesh.y_desc(&chart.y_label);
    }
    mesh.draw().map_err(failed)?;
    for (row, name) in chart.rows.iter().enumerate() {
        let (_, middle) = context.backend_coord(&(x[0], row as f64));
        let (start, _) = context.backend_coord(&(x[0], row as f64));
        let (base_x, base_y) = area.get_base_pixel();
        let style = text(12, INK, zoom).pos(Pos::new(HPos::Right, VPos::Center));
        let at = (start - base_x - 8 * zoom, middle - base_y + 2 * zoom);
        area.draw(&Text::new(name.clone(), at, style)).map_err(failed)?;
    }
    for series in &chart.series {
        draw_series(&mut context, series, named, zoom)?;
    }
    for (at, name) in &chart.marks {
        let line = [(*at, y[0]), (*at, y[1])];
        context
            .draw_series(DashedLineSeries::new(line, 5 * zoom, 4 * zoom, INK.stroke_width(zoom as u32)))
            .map_err(failed)?;
        let (px, _) = context.backend_coord(&(*at, y[1]));
        let (_, py) = context.backend_coord(&(*at, y[0]));
        let (base_x, base_y) = area.get_base_pixel();
        let style = text(12, INK, zoom).pos(Pos::new(HPos::Left, VPos::Bottom));
        let at = (px - base_x + 5 * zoom, py - base_y - 5 * zoom);
        area.draw(&Text::new(name.clone(), at, style)).map_err(failed)?;
    }
    // Beside the axes, where it hides nothing.
    let (mut x, y) = context.backend_coord(&(x[1], y[1]));
    let (base_x, base_y) = area.get_base_pixel();
    let y = if named { 0 } else { y - base_y };
    x += 14 * zoom - base_x;
    for (place, series) in legend(chart).enumerate() {
        let y = y + (10 + 20 * place as i32) * zoom;
        let line =
            PathElement::new([(x, y), (x + 20 * zoom, y)], ink(series.colour).stroke_width(2 * zoom as u32));
        area.draw(&line).map_err(failed)?;
        let style = text(12, INK, zoom).pos(Pos::new(HPos::Left, VPos::Center));
        area.draw(&Text::new(series.name.clone(), (x + 26 * zoom, y), style)).map_err(failed)?;
    }
    Ok(())
}

/// The series that a legend names; none where there is nothing to tell apart.
fn legend(chart: &Chart) -> impl Iterator<Item = &Series> + Clone {
    let named = chart.series.iter().filter(|series| !series.name.is_empty());
    let several = named.clone().count() > 1;
    named.filter(move |_| several)
}

/// Pixels that the text takes, about.
fn text_width(text: &str) -> i32 {
    8 * text.chars().count() as i32
}

fn ink([red, green, blue]: Colour) -> RGBColor {
    RGBColor(red, green, blue)
}

type Axes<'a, B> = ChartContext<
    'a,
    B,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;

fn draw_series<B: DrawingBackend>(
    context: &mut Axes<'_, B>,
    series: &Series,
    named: bool,
    zoom: i32,
) -> Result<(), PictureError> {
    let colour = ink(series.colour);
    let solid = colour.stroke_width(2 * zoom as u32);
    let span = match series.style {
        Style::Span(width) => colour.stroke_width(width * zoom as u32),
        _ => solid,
    };
    let intervals = series.points.iter().filter_map(|dot| {
        let [low, high] = dot.interval.filter(|ends| ends.iter().all(|end| end.is_finite()))?;
        let line = if named { [(low, dot.y), (high, dot.y)] } else { [(dot.x, low), (dot.x, high)] };
        Some(PathElement::new(line.to_vec(), span))
    });
    match series.style {
        Style::Band => {
            let ends = || series.points.iter().filter_map(|dot| Some((dot.x, dot.interval?)));
            let there = ends().map(|(x, [low, _])| (x, low));
            let back: Vec<_> = ends().map(|(x, [_, high])| (x, high)).collect();
            let outline: Vec<_> = there.chain(back.into_iter().rev()).collect();
            context.draw_series([Polygon::new(outline, colour.mix(0.25).filled())]).map_err(failed)?;
        }
        _ => drop(context.draw_series(intervals).map_err(failed)?),
    }
    let shown = |dot: &&Dot| dot.x.is_finite() && dot.y.is_finite();
    let points = || series.points.iter().filter(shown).map(|dot| (dot.x, dot.y));
    let radius = 4 * zoom;
    // A line is broken where a point is missing.
    let parts = series.points.split(|dot| !(dot.x.is_finite() && dot.y.is_finite()));
    let lines = |context: &mut Axes<'_, B>, style: ShapeStyle| -> Result<(), PictureError> {
        for part in parts.clone() {
            let points = part.iter().map(|dot| (dot.x, dot.y));
            context.draw_series(LineSeries::new(points, style)).map_err(failed)?;
        }
        Ok(())
    };
    match series.style {
        Style::Line(width) => lines(context, colour.stroke_width(width * zoom as u32))?,
        Style::Band => lines(context, solid)?,
        Style::Span(_) => {}
        Style::Dotted => {
            let dots = points().map(|at| Circle::new(at, radius - zoom, colour.filled()));
            context.draw_series(dots).map_err(failed)?;
            lines(context, solid)?;
        }
        Style::Dots => {
            let dots = points().map(|at| Circle::new(at, radius, colour.filled()));
            context.draw_series(dots).map_err(failed)?;
        }
        Style::Bars(width) => {
            let bars = points().map(|(x, y)| {
                Rectangle::new([(x - 0.5 * width, 0.0), (x + 0.5 * width, y)], colour.mix(0.6).filled())
            });
            context.draw_series(bars).map_err(failed)?;
        }
    }
    Ok(())
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
