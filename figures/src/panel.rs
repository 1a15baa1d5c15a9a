//! Maps with a title and a colour bar, and sheets of them.

use crate::canvas::{Area, Canvas, Font};
use crate::{Colour, Scale};

/// Longest side of a map in a panel; larger ones are shrunk.
const LARGEST: usize = 1600;
/// Shortest long side; smaller ones are enlarged by a whole number.
const SMALLEST: usize = 480;
const BACKGROUND: Colour = [250; 3];
const INK: Colour = [20; 3];

/// What the colours of a map mean.
pub enum Legend {
    /// Numbers, with a unit.
    Bar {
        /// Colours of the numbers.
        scale: Scale,
        /// Their unit.
        unit: &'static str,
    },
    /// Named classes.
    Classes(Vec<(Colour, String)>),
    /// Nothing: a photograph.
    None,
}

/// A map with its title above and its legend at the right.
pub fn panel(map: &Canvas, title: &str, legend: &Legend) -> Canvas {
    let map = fitted(map, matches!(legend, Legend::Classes(_)));
    let (width, height) = (map.width() as i32, map.height() as i32);
    let font = Font::of_height((width.min(height) / 26).max(13));
    let pad = font.height();
    // The title, then a line for the unit.
    let (left, top) = (pad, 4 * pad);
    let side = legend_width(legend, font);
    let total = (left + width + side).max(font.width(title) + 2 * pad);
    let mut canvas = Canvas::new(total as usize, (top + height + pad) as usize, BACKGROUND);
    canvas.text(title, left, pad, font, INK);
    canvas.paste(&map, left, top);
    let area = Area { x: left + width + pad, y: top, width: 3 * pad / 2, height };
    match legend {
        Legend::Bar { scale, unit } => draw_bar(&mut canvas, area, scale, unit, font),
        Legend::Classes(classes) => draw_classes(&mut canvas, area, classes, font),
        Legend::None => {}
    }
    canvas
}

/// A small picture with its name below and room around.
pub fn captioned(picture: &Canvas, name: &str) -> Canvas {
    let font = Font::of_height(13);
    let pad = font.height() / 3;
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    let (across, down) = (width + 2 * pad, height + font.height() + 3 * pad);
    let mut canvas = Canvas::new(across as usize, down as usize, BACKGROUND);
    canvas.paste(picture, pad, pad);
    canvas.text(&font.shorten(name, width), pad, height + 2 * pad, font, INK);
    canvas
}

/// Panels in rows of `columns`.
pub fn sheet(panels: &[Canvas], columns: usize) -> Canvas {
    let columns = columns.clamp(1, panels.len().max(1));
    let width = panels.iter().map(Canvas::width).max().unwrap_or(1);
    let rows: Vec<_> = panels.chunks(columns).collect();
    let row_height = |row: &[Canvas]| row.iter().map(Canvas::height).max().unwrap_or(1);
    let height: usize = rows.iter().map(|row| row_height(row)).sum();
    let mut canvas = Canvas::new(width * columns, height.max(1), BACKGROUND);
    let mut top = 0;
    for row in rows {
        for (column, panel) in row.iter().enumerate() {
            canvas.paste(panel, (column * width) as i32, top as i32);
        }
        top += row_height(row);
    }
    canvas
}

fn fitted(map: &Canvas, sharp: bool) -> Canvas {
    let long = map.width().max(map.height()).max(1);
    if long > LARGEST {
        let shrink = |side: usize| side * LARGEST / long;
        map.resized(shrink(map.width()), shrink(map.height()), sharp)
    } else if long < SMALLEST {
        let zoom = SMALLEST.div_ceil(long);
        map.resized(zoom * map.width(), zoom * map.height(), true)
    } else {
        map.clone()
    }
}

/// Width of everything right of the map.
fn legend_width(legend: &Legend, font: Font) -> i32 {
    let pad = font.height();
    let beside = 3 * pad + pad / 2;
    match legend {
        Legend::Bar { scale, unit } => {
            let ticks = scale.ticks();
            let labels = ticks.iter().map(|(_, label)| font.width(label));
            let widest = labels.max().unwrap_or(0) + pad / 2;
            pad + (3 * pad / 2 + pad / 2 + widest).max(font.width(unit)) + pad
        }
        Legend::Classes(classes) => {
            let labels = classes.iter().map(|(_, label)| font.width(label));
            beside + labels.max().unwrap_or(0) + pad
        }
        Legend::None => pad,
    }
}

fn draw_bar(canvas: &mut Canvas, area: Area, scale: &Scale, unit: &str, font: Font) {
    canvas.text(unit, area.x, area.y - font.height() - font.height() / 2, font, INK);
    let last = f64::from(area.height - 1).max(1.0);
    for row in 0..area.height {
        let share = 1.0 - f64::from(row) / last;
        let colour = scale.colour(scale.low + share * (scale.high - scale.low));
        let line = Area { y: area.y + row, height: 1, ..area };
        canvas.fill(line, colour);
    }
    for (value, label) in scale.ticks() {
        let share = (value - scale.low) / (scale.high - scale.low);
        let share = if share.is_finite() { share } else { 0.0 };
        let y = area.y + ((1.0 - share) * last).round() as i32;
        let right = area.x + area.width;
        let tick = Area {
            x: right,
            y: y - font.height() / 20,
            width: font.height() / 3,
            height: 1 + font.height() / 20,
        };
        canvas.fill(tick, INK);
        // A number at an end stays beside the bar.
        let top = (y - font.height() / 2).clamp(area.y, area.y + area.height - font.height());
        canvas.text(&label, right + font.height() / 2, top, font, INK);
    }
}

fn draw_classes(canvas: &mut Canvas, area: Area, classes: &[(Colour, String)], font: Font) {
    let step = 2 * font.height();
    for (index, (colour, label)) in classes.iter().enumerate() {
        let y = area.y + step * index as i32;
        let swatch = Area { y, height: area.width, ..area };
        canvas.fill(swatch, INK);
        let inner = Area { x: swatch.x + 1, y: y + 1, width: area.width - 2, height: area.width - 2 };
        canvas.fill(inner, *colour);
        let middle = y + (area.width - font.height()) / 2;
        canvas.text(label, area.x + area.width + font.height() / 2, middle, font, INK);
    }
}
