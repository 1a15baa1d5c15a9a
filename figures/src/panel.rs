//! Maps with a title and a colour bar, and sheets of them.

use std::sync::Arc;

use infomark_core::Point;

use crate::font::{shorten, text_width};
use crate::scene::{Area, Scene, Stroke, Text};
use crate::{Colour, Raster, Scale};

/// Longest side of a map in a panel; larger ones are shrunk.
const LARGEST: usize = 1600;
/// Shortest long side; smaller ones are enlarged by a whole number.
const SMALLEST: usize = 480;
const BACKGROUND: Colour = [250; 3];
const INK: Colour = [20; 3];

/// What the colours of a map mean.
#[derive(Clone)]
pub enum Legend {
    /// Numbers.
    Bar {
        /// Their colours.
        scale: Scale,
        /// Their unit.
        unit: &'static str,
    },
    /// Named classes.
    Classes(Vec<(Colour, String)>),
    /// Nothing: a photograph.
    None,
}

/// Lines of text of a height in pixels.
#[derive(Clone, Copy)]
struct Lines {
    height: f64,
}

impl Lines {
    fn size(self) -> f64 {
        0.8 * self.height
    }

    fn width(self, text: &str) -> f64 {
        text_width(text, self.size())
    }

    /// Text whose line begins at the top left corner `(x, y)`.
    fn text(self, text: &str, x: f64, y: f64) -> Text {
        Text::new(text, Point::new(x, y + 0.78 * self.height), self.size(), INK)
    }
}

/// A map with its title above and its legend at the right.
pub fn panel(map: &Raster, title: &str, legend: &Legend) -> Scene {
    let map = fitted(map, matches!(legend, Legend::Classes(_)));
    let (width, height) = (map.width() as f64, map.height() as f64);
    let lines = Lines { height: (width.min(height) / 26.0).max(14.0).round() };
    let pad = lines.height;
    // The title, then a line for the unit.
    let (left, top) = (pad, 4.0 * pad);
    let total = (left + width + legend_width(legend, lines)).max(lines.width(title) + 2.0 * pad);
    let mut scene = Scene::new(total as usize, (top + height + pad) as usize, BACKGROUND);
    scene.text(lines.text(title, left, pad));
    scene.raster(map, left as i32, top as i32);
    let area = Area { x: left + width + pad, y: top, width: (1.5 * pad).round(), height };
    match legend {
        Legend::Bar { scale, unit } => draw_bar(&mut scene, area, scale, unit, lines),
        Legend::Classes(classes) => draw_classes(&mut scene, area, classes, lines),
        Legend::None => {}
    }
    scene
}

/// A small picture with its name below and room around.
pub fn captioned(picture: Raster, name: &str) -> Scene {
    let lines = Lines { height: 15.0 };
    let (pad, width, height) = (5.0, picture.width(), picture.height());
    let mut scene = Scene::new(width + 10, height + 30, BACKGROUND);
    scene.raster(picture, pad as i32, pad as i32);
    scene.text(lines.text(&shorten(name, lines.size(), width as f64), pad, height as f64 + 2.0 * pad));
    scene
}

/// Pictures in rows of `columns`.
pub fn sheet(panels: Vec<Scene>, columns: usize) -> Scene {
    let columns = columns.clamp(1, panels.len().max(1));
    let most = |sides: &mut dyn Iterator<Item = usize>| sides.max().unwrap_or(1);
    let widths: Vec<usize> = (0..columns)
        .map(|column| most(&mut panels.iter().skip(column).step_by(columns).map(Scene::width)))
        .collect();
    let heights: Vec<usize> =
        panels.chunks(columns).map(|row| most(&mut row.iter().map(Scene::height))).collect();
    let mut sheet = Scene::new(widths.iter().sum(), heights.iter().sum::<usize>().max(1), BACKGROUND);
    let mut panels = panels.into_iter();
    let mut top = 0;
    for height in heights {
        let mut left = 0;
        for (width, panel) in widths.iter().zip(panels.by_ref()) {
            sheet.scene(panel, left as i32, top as i32);
            left += width;
        }
        top += height;
    }
    sheet
}

fn fitted(map: &Raster, sharp: bool) -> Raster {
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
fn legend_width(legend: &Legend, lines: Lines) -> f64 {
    let pad = lines.height;
    let widest = |labels: &mut dyn Iterator<Item = f64>| labels.fold(0.0, f64::max);
    match legend {
        Legend::Bar { scale, unit } => {
            let labels = widest(&mut scale.ticks().iter().map(|(_, label)| lines.width(label)));
            pad + (2.0 * pad + labels + 0.5 * pad).max(lines.width(unit)) + pad
        }
        Legend::Classes(classes) => {
            3.5 * pad + widest(&mut classes.iter().map(|(_, label)| lines.width(label))) + pad
        }
        Legend::None => pad,
    }
}

fn draw_bar(scene: &mut Scene, area: Area, scale: &Scale, unit: &str, lines: Lines) {
    scene.text(lines.text(unit, area.x, area.y - 1.5 * lines.height));
    let last = (area.height - 1.0).max(1.0);
    let bar = Raster::from_fn(area.width as usize, area.height as usize, |_, row| {
        let share = 1.0 - row as f64 / last;
        scale.colour(scale.low + share * (scale.high - scale.low))
    });
    scene.raster(Arc::new(bar), area.x as i32, area.y as i32);
    let right = area.x + area.width;
    for (value, label) in scale.ticks() {
        let share = (value - scale.low) / (scale.high - scale.low);
        let share = if share.is_finite() { share } else { 0.0 };
        let y = area.y + (1.0 - share) * last + 0.5;
        let ends = [right, right + lines.height / 3.0].map(|x| Point::new(x, y));
        scene.line(ends.into(), Stroke::new(INK, (lines.height / 16.0).max(1.0)));
        // A number at an end stays beside the bar.
        let top = (y - 0.5 * lines.height).max(area.y).min(area.y + area.height - lines.height);
        scene.text(lines.text(&label, right + 0.5 * lines.height, top));
    }
}

fn draw_classes(scene: &mut Scene, area: Area, classes: &[(Colour, String)], lines: Lines) {
    for (index, (colour, label)) in classes.iter().enumerate() {
        let swatch = Area { y: area.y + 2.0 * lines.height * index as f64, height: area.width, ..area };
        let Area { x, y, width, height } = swatch;
        scene.rectangle(swatch, INK, 1.0);
        let inner = Area { x: x + 1.0, y: y + 1.0, width: width - 2.0, height: height - 2.0 };
        scene.rectangle(inner, *colour, 1.0);
        let middle = y + 0.5 * (height - lines.height);
        scene.text(lines.text(label, x + width + 0.5 * lines.height, middle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_a_sheet_is_as_wide_as_its_widest_picture() {
        let panels = [(10, 5), (20, 4), (30, 8)].map(|(width, height)| Scene::new(width, height, INK));
        let sheet = sheet(panels.into(), 2);
        assert_eq!((sheet.width(), sheet.height()), (30 + 20, 5 + 8));
    }
}
