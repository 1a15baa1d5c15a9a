//! What a training leaves to look at: its views before it begins, its curves when it ends.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_core::{Point, Tier};
use infomark_figures::{Canvas, Chart, Font, Series, Style, qualitative, sheet};
use infomark_train::ViewExample;

use super::{Logged, read_log};
use crate::{output, plot};

/// Steps that losses are averaged over.
const SMOOTH: usize = 25;
/// Positives that are marked in a view: more would hide it.
const MARKED: usize = 8;
/// Height of an image on the sheet.
const HEIGHT: usize = 320;
/// Between images, and around them.
const GAP: usize = 12;
/// Room for a title.
const TITLE: usize = 40;

/// `views.png`: for each tier some views, beside the image that each is from, with pixels that are the same marked in both.
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
                Some(example) => pair(example, &format!("{name} entropy: image, view")),
                None => Canvas::new(8, 8, [250; 3]),
            });
        }
    }
    let path = run.join("views.png");
    output::write(&path, &with_legend(&sheet(&panels, columns)).to_png()?)?;
    Ok(path)
}

/// What the sheet shows, in words and signs, above it.
fn with_legend(sheet: &Canvas) -> Canvas {
    let font = Font::of_height(20);
    let entries = [
        "outline: where the view comes from",
        "circles of one colour: the same pixel in image and view",
        "rows: tier of the pixel in the view's centre, by the entropy of the patch around it",
    ];
    let row = 28;
    let head = GAP + entries.len() * row;
    let wide = entries.iter().map(|text| font.width(text) as usize + 4 * GAP + 30).max().unwrap_or(0);
    let mut canvas = Canvas::new(sheet.width().max(wide), sheet.height() + head, [250; 3]);
    for (place, text) in entries.iter().enumerate() {
        let (x, y) = (GAP as i32, (GAP + place * row) as i32);
        let middle = y + 10;
        match place {
            0 => canvas.line((x, middle), (x + 26, middle), 4, [255, 225, 25]),
            1 => {
                canvas.circle((x + 6, middle), 5, 2, qualitative(0));
                canvas.circle((x + 21, middle), 5, 2, qualitative(1));
            }
            _ => {}
        }
        canvas.text(text, x + 36, y, font, [20; 3]);
    }
    canvas.paste(sheet, 0, head as i32);
    canvas
}

/// A view beside its image.
fn pair(example: &ViewExample, title: &str) -> Canvas {
    let [width, height] = example.image_size;
    let scale = HEIGHT as f64 / height.max(1) as f64;
    let wide = (width as f64 * scale).round() as usize;
    let grey = |levels: &[u8], width: usize, height: usize| {
        Canvas::from_fn(width, height, |x, y| [levels.get(y * width + x).copied().unwrap_or(0); 3])
    };
    let mut image = grey(&example.image, width, height).resized(wide, HEIGHT, false);
    let mut view = grey(&example.view, example.side, example.side).resized(HEIGHT, HEIGHT, false);
    let zoom = HEIGHT as f64 / example.side.max(1) as f64;
    let pixel = |at: Point<f32>, scale: f64| {
        // Resizing maps the centres of pixels.
        let along = |v: f32| ((f64::from(v) + 0.5) * scale - 0.5).round() as i32;
        (along(at.x), along(at.y))
    };
    for (corner, at) in example.corners.iter().enumerate() {
        let next = example.corners[(corner + 1) % 4];
        image.line(pixel(*at, scale), pixel(next, scale), 2, [255, 225, 25]);
    }
    let step = (example.positives.len() / MARKED).max(1);
    for (index, (in_view, in_image)) in example.positives.iter().step_by(step).take(MARKED).enumerate() {
        for (canvas, at) in [(&mut image, pixel(*in_image, scale)), (&mut view, pixel(*in_view, zoom))] {
            canvas.circle(at, 6, 3, [0; 3]);
            canvas.circle(at, 5, 2, qualitative(index));
        }
    }
    let mut both = Canvas::new(wide + HEIGHT + 3 * GAP, HEIGHT + TITLE + GAP, [250; 3]);
    both.text(title, GAP as i32, GAP as i32, Font::of_height(20), [20; 3]);
    both.paste(&image, GAP as i32, TITLE as i32);
    both.paste(&view, (wide + 2 * GAP) as i32, TITLE as i32);
    both
}

/// `loss.png` and `loss.svg`: the losses, and PSI where it was measured.
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

/// Rows that are averaged: fewer where there are few.
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
