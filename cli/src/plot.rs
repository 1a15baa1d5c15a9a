//! Charts as files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_figures::{Chart, chart_png, chart_svg};

use crate::output;

/// Draws charts below each other; writes `stem.png` and `stem.svg` and gives their paths. `note` says what made them.
pub(crate) fn write(stem: &Path, charts: &[Chart], note: &str) -> Result<Vec<PathBuf>> {
    let png = (appended(stem, "png"), chart_png(charts, note)?);
    let svg = (appended(stem, "svg"), chart_svg(charts, note)?.into_bytes());
    [png, svg].into_iter().map(|(path, bytes)| output::write(&path, &bytes).map(|()| path)).collect()
}

/// A stem with an ending, whatever dots it has: `a/b.c` and `png` make `a/b.c.png`.
fn appended(stem: &Path, ending: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}
