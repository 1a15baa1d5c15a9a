//! Charts as PNG and SVG files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_figures::{Chart, draw_charts};

use crate::output;

/// Scale of PNG files relative to SVG files, for sharp text.
const ZOOM: u32 = 2;

/// Draws charts below each other into `stem.png` and `stem.svg`; returns their paths. `note` states their origin.
pub(crate) fn write(stem: &Path, charts: &[Chart], note: &str) -> Result<Vec<PathBuf>> {
    let figure = draw_charts(charts, note);
    let png = (appended(stem, "png"), figure.to_png(ZOOM)?);
    let svg = (appended(stem, "svg"), figure.to_svg()?.into_bytes());
    [png, svg].into_iter().map(|(path, bytes)| output::write(&path, &bytes).map(|()| path)).collect()
}

/// Appends an extension to a stem that may contain dots: `a/b.c` and `png` give `a/b.c.png`.
fn appended(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
