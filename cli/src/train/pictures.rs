//! Pictures of a training run: example views at the start, curves at the end.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_core::{Point, Tier};
use infomark_figures::{
    Chart, Colour, Raster, Scene, Series, Stroke, Style, Text, qualitative, sheet, text_width,
};
use infomark_train::ViewExample;

use super::{Logged, read_log};
use crate::{output, plot};

/// Number of steps over which losses are averaged.
const SMOOTH: usize = 25;
/// Maximum number of positives marked in a view.
const MARKED: usize = 8;
/// Height of an image on the sheet, in pixels.
const HEIGHT: usize = 320;
/// Gap between images, and margin.
const GAP: usize = 12;
/// Height of a title.
const TITLE: usize = 40;
/// Font size.
const SIZE: f64 = 17.0;
const PAPER: Colour = [250; 3];
const INK: Colour = [20; 3];
/// Colour of a view's outline.
const OUTLINE: Colour = [255, 225, 25];

/// `views.png`: for each tier some views beside their images, with positives marked in both.
pub(crate) fn write_views(run: &Path, examples: &[ViewExample]) -> Result<PathBuf> {
    let mut panels = Vec::new();
    let most = Tier::ALL.map(|tier| examples.iter().filter(|e| e.tier == tier).count());
    let columns = most.into_iter().max().unwrap_or(0).max(1);
    for tier in Tier::ALL {
        let name = match tier {
            Tier::Low => "low",
            Tier::Medium => "medium",
            Tier::High => "high",
        };
        let own: Vec<&ViewExample> = examples.iter().filter(|e| e.tier == tier).collect();
        for place in 0..columns {
            panels.push(match own.get(place) {
                Some(example) => pair(example, &format!("{name} entropy: image, view"))?,
                None => Scene::new(8, 8, PAPER),
            });
        }
    }
    let path = run.join("views.png");
    output::write(&path, &with_legend(sheet(panels, columns)).to_png(1)?)?;
    Ok(path)
}

/// Adds the legend above the sheet.
fn with_legend(sheet: Scene) -> Scene {
    let entries = [
        "outline: where the view comes from",
        "circles of one colour: the same pixel in image and view",
        "rows: tier of the pixel in the view's centre, by the entropy of the patch around it",
    ];
    let row = 28;
    let head = GAP + entries.len() * row;
    let wide = entries.iter().map(|text| text_width(text, SIZE) as usize + 4 * GAP + 30).max().unwrap_or(0);
    let mut scene = Scene::new(sheet.width().max(wide), sheet.height() + head, PAPER);
    let left = GAP as f64;
    for (place, text) in entries.into_iter().enumerate() {
        let middle = (GAP + place * row + row / 2) as f64;
        match place {
            0 => {
                let ends = [0.0, 26.0].map(|right| Point::new(left + right, middle));
                scene.line(ends.into(), Stroke::new(OUTLINE, 4.0));
            }
            1 => {
                for (index, right) in [6.0, 21.0].into_iter().enumerate() {
                    draw_circle(&mut scene, Point::new(left + right, middle), qualitative(index));
                }
            }
            _ => {}
        }
        scene.text(Text::new(text, Point::new(left + 36.0, middle + 0.36 * SIZE), SIZE, INK));
    }
    scene.scene(sheet, 0, head as i32);
    scene
}

/// A view beside its image.
fn pair(example: &ViewExample, title: &str) -> Result<Scene> {
    let [width, height] = example.image_size;
    let scale = HEIGHT as f64 / height.max(1) as f64;
    let wide = (width as f64 * scale).round() as usize;
    let picture = |levels: &[u8], [width, height]: [usize; 2], wide: usize| -> Result<Scene> {
        let grey = Raster::from_levels(width, height, levels.to_vec())?;
        Ok(Scene::of(grey.resized(wide, HEIGHT, false)))
    };
    let mut image = picture(&example.image, [width, height], wide)?;
    let mut view = picture(&example.view, [example.side; 2], HEIGHT)?;
    let zoom = HEIGHT as f64 / example.side.max(1) as f64;
    // In a scene the centre of the first pixel lies at (0.5, 0.5).
    let place = |at: Point<f32>, scale: f64| {
        let along = |v: f32| (f64::from(v) + 0.5) * scale;
        Point::new(along(at.x), along(at.y))
    };
    let corners = example.corners.iter().chain(example.corners.first());
    image.line(corners.map(|at| place(*at, scale)).collect(), Stroke::new(OUTLINE, 2.0));
    let step = (example.positives.len() / MARKED).max(1);
    for (index, (in_view, in_image)) in example.positives.iter().step_by(step).take(MARKED).enumerate() {
        draw_circle(&mut image, place(*in_image, scale), qualitative(index));
        draw_circle(&mut view, place(*in_view, zoom), qualitative(index));
    }
    let mut both = Scene::new(wide + HEIGHT + 3 * GAP, HEIGHT + TITLE + GAP, PAPER);
    both.text(Text::new(title, Point::new(GAP as f64, TITLE as f64 - 12.0), SIZE, INK));
    both.scene(image, GAP as i32, TITLE as i32);
    both.scene(view, (wide + 2 * GAP) as i32, TITLE as i32);
    Ok(both)
}

/// A small circle with a black outline.
fn draw_circle(scene: &mut Scene, at: Point<f64>, colour: Colour) {
    scene.circle(at, 6.0, Stroke::new([0; 3], 3.5));
    scene.circle(at, 6.0, Stroke::new(colour, 1.8));
}

/// `loss.png` and `loss.svg`: the losses, and PSI if measured.
pub(crate) fn write_curves(run: &Path) -> Result<Vec<PathBuf>> {
    let log = read_log(run)?;
    if log.is_empty() {
        return Ok(Vec::new());
    }
    let mut series: Vec<Series> = [2, 4, 8, 16, 32]
        .iter()
        .enumerate()
        .map(|(level, stride)| {
            let points = smooth(&log, SMOOTH, |row| row.levels[level]);
            let line = Series::line(&format!("stride {stride}"), level + 1, points);
            Series { style: Style::Line(1), ..line }
        })
        .collect();
    series.insert(0, Series::line("sum", 0, smooth(&log, SMOOTH, |row| row.loss)));
    let steps = window(&log, SMOOTH);
    let mut charts = vec![Chart {
        title: "Loss".into(),
        x_label: "step".into(),
        x_whole: true,
        y_label: if steps > 1 { format!("nats, mean of {steps} steps") } else { "nats".into() },
        series,
        height: 430,
        ..Chart::default()
    }];
    let tiers = ["low", "medium", "high"].iter().enumerate().map(|(tier, name)| {
        let measured = log.iter().filter(|row| row.psi[tier].is_finite());
        Series::line(name, tier, measured.map(|row| (row.step as f64, row.psi[tier])))
    });
    let tiers: Vec<Series> = tiers.filter(|series| series.points.len() > 1).collect();
    if !tiers.is_empty() {
        charts.push(Chart {
            title: "Similarity of positives (PSI) by tier, stride 8".into(),
            x_label: "step".into(),
            x_whole: true,
            y_label: "mean cosine".into(),
            series: tiers,
            height: 300,
            ..Chart::default()
        });
    }
    plot::write(&run.join("loss"), &charts, concat!("infomark ", env!("CARGO_PKG_VERSION")))
}

/// Number of averaged rows: fewer for a short log.
fn window(log: &[Logged], steps: usize) -> usize {
    steps.clamp(1, (log.len() / 4).max(1))
}

/// Running means: the last step of each window, and the mean of a value over it.
pub(crate) fn smooth(log: &[Logged], steps: usize, value: impl Fn(&Logged) -> f64) -> Vec<(f64, f64)> {
    let mean = |rows: &[Logged]| {
        let last = rows.last().map_or(0, |row| row.step);
        (last as f64, rows.iter().map(&value).sum::<f64>() / rows.len() as f64)
    };
    log.windows(window(log, steps)).map(mean).collect()
}
