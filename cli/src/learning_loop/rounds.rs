//! History of the rounds: held-out error against corrected images.

use std::path::Path;

use anyhow::{Context, Result};
use infomark_active::ActiveDetector;
use infomark_figures::{Chart, Series, Style};
use infomark_infer::{Member, rounded};
use serde::{Deserialize, Serialize};

use crate::files;
use crate::output::{self, shown};
use crate::plot;

/// Result of learning from a number of images.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(super) struct Round {
    pub(super) images: usize,
    /// Mean held-out error in pixels, with the member chosen for each landmark; `None` below five images.
    pub(super) held_out_px: Option<f64>,
    pub(super) templates_px: Option<f64>,
    pub(super) network_px: Option<f64>,
    pub(super) fusion_px: Option<f64>,
    /// SHA-256 of the model, which identifies a repeated round.
    pub(super) model_sha256: Option<String>,
}

pub(super) const TABLE: &str = "rounds.csv";
const KEPT: &str = "rounds.json";

/// Adds a round to the history of the folder, unless it repeats the last one, and plots it.
pub(super) fn record(out: &Path, found: &ActiveDetector, images: usize) -> Result<Vec<Round>> {
    let path = out.join(KEPT);
    let mut rounds: Vec<Round> = match files::bytes_if_there(&path)? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("{}: damaged; remove it to begin a new record", shown(&path)))?,
        None => Vec::new(),
    };
    let learned = found.learned();
    let px = |member: Member| {
        learned.and_then(|learned| learned.held_out.mean_radial_error_px(|_| member)).map(|px| rounded(px, 3))
    };
    let model = learned.map(|learned| files::bytes(&learned.file)).transpose()?;
    let round = Round {
        images,
        held_out_px: learned.and_then(|learned| learned.held_out_error_px()).map(|px| rounded(px, 3)),
        templates_px: px(Member::Templates),
        network_px: px(Member::Network),
        fusion_px: px(Member::Fusion),
        model_sha256: model.map(|bytes| infomark_infer::sha256(&bytes)),
    };
    if rounds.last() != Some(&round) {
        rounds.push(round);
    }
    output::write_json(&path, &rounds)?;
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let rows = rounds.iter().map(|round| {
        let Round { images, held_out_px, templates_px, network_px, fusion_px, .. } = round;
        [
            images.to_string(),
            number(*held_out_px),
            number(*templates_px),
            number(*network_px),
            number(*fusion_px),
        ]
    });
    let head = ["corrected_images", "held_out_px", "templates_px", "network_px", "fusion_px"];
    output::write_csv(&out.join(TABLE), head, rows)?;
    if rounds.iter().any(|round| round.held_out_px.is_some()) {
        let note = format!("infomark {}", env!("CARGO_PKG_VERSION"));
        plot::write(&out.join("rounds"), &[chart(&rounds)], &note)?;
    }
    Ok(rounds)
}

fn chart(rounds: &[Round]) -> Chart {
    let line = |name: &str, index: usize, px: fn(&Round) -> Option<f64>| {
        let points = rounds.iter().filter_map(|round| Some((round.images as f64, px(round)?)));
        Series { style: Style::Dotted, ..Series::line(name, index, points) }
    };
    Chart {
        title: "Error on corrected images held out from training".into(),
        x_label: "corrected images".into(),
        y_label: "mean radial error, pixels".into(),
        series: vec![
            line("chosen for each landmark", 0, |round| round.held_out_px),
            line("templates", 1, |round| round.templates_px),
            line("network", 2, |round| round.network_px),
            line("fusion", 3, |round| round.fusion_px),
        ],
        x_whole: true,
        height: 340,
        ..Chart::default()
    }
}
