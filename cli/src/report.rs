//! `infomark report`.

mod results;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_figures::information_sheet;
use infomark_figures::report::{ImagePaths, Plate, Results, html, pictures};
use infomark_infer::read_image;
use infomark_results::ResultFolder;

use crate::files;
use crate::inputs;
use crate::output::{self, Report, file_name, shown};
use crate::progress::Progress;

/// Write a result as one self-contained HTML page: pictures, worst first, charts, tables, and provenance.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  infomark match --model encoder.onnx --template 001.png --landmarks points.csv new/ --out found
  infomark report found --images new/

  infomark evaluate --model encoder.onnx --data ceph-dev --out scores
  infomark report scores

  infomark report encoder.run

The page opens in any browser, without a network: keys j and k go through the pictures, Enter enlarges one. Results hold no
pixels, so that those of `match` need --images; without it the page shows the overlays beside them. Share a page only
where its radiographs may be shared.")]
pub(crate) struct Options {
    /// Result folder of `match`, `evaluate` or `train`
    #[arg(value_name = "DIR")]
    result: PathBuf,
    /// Location of the images: files or folders [default: the evaluated data folder]
    #[arg(long, value_name = "IMAGES", num_args = 1..)]
    images: Vec<PathBuf>,
    /// For an evaluation of several templates, the one to show [default: the one of median error]
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Maximum number of pictures: those of the largest errors, or of the lowest confidence
    #[arg(long, value_name = "N", default_value_t = 50)]
    pictures: usize,
    /// HTML file to write [default: DIR/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Files written.
#[derive(serde::Serialize)]
struct Written {
    page: String,
    bytes: usize,
    pictures: usize,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    ResultFolder::settle_to_read(&options.result)?;
    let results = results::read(&options.result, options.template.as_deref())?;
    let mut folders = options.images.clone();
    if folders.is_empty() {
        folders.extend(results::data_images(&results).filter(|folder| folder.is_dir()));
    }
    let images = inputs::expand(&folders)?;
    if !options.images.is_empty() && images.is_empty() {
        bail!("--images: there are no images in {}", shown(&options.images[0]));
    }
    let out = options.out.clone().unwrap_or_else(|| options.result.join("report.html"));
    if images.iter().any(|input| output::identity(&input.path) == output::identity(&out)) {
        bail!("{}: the page would overwrite an image; give another --out", shown(&out));
    }
    let read = ["landmarks.json", "evaluation.json", "errors.csv", "log.csv", "checkpoint.json"];
    if read.iter().any(|file| output::identity(&options.result.join(file)) == output::identity(&out)) {
        bail!("{}: the page would overwrite the result it is made from; give another --out", shown(&out));
    }
    let paths = ImagePaths::new(images.iter().map(|input| (input.label.as_str(), input.path.as_path())));
    let worst = results.cases.get(..options.pictures).unwrap_or(&results.cases);
    let progress = Progress::new(worst.len() as u64, "drawing");
    let pictures = inputs::pool(threads)?.install(|| pictures(worst, &paths, &|| progress.advance()))?;
    progress.finish();
    if let ([], [first, ..]) = (pictures.as_slice(), worst) {
        bail!(
            "{}: none of its images is found ({}, ...); say where they are with --images",
            shown(&options.result),
            first.image
        );
    }
    let count = pictures.len();
    let plates = plates(&results, &options.result, &paths)?;
    let html = html(&results, &file_name(&options.result), &pictures, &plates)?;
    output::write(&out, html.as_bytes())?;
    let written = Written { page: shown(&out), bytes: html.len(), pictures: count };
    report.text(&format!("{}: {count} pictures, {:.1} MB", written.page, html.len() as f64 / 1e6))?;
    report.json(&written)
}

/// Pictures of the result, and maps of the image that is shown first.
fn plates(results: &Results, folder: &Path, images: &ImagePaths<'_>) -> Result<Vec<Plate>> {
    let mut plates = Vec::new();
    if let Some(views) = files::within(folder, "views.png").filter(|path| path.is_file()) {
        let caption = "Views that the encoder was trained on, by tier of their centre.";
        plates.push(Plate::png(&files::bytes(&views)?, caption));
    }
    let first = results.cases.iter().find_map(|case| Some((&case.image, images.find(&case.image)?)));
    if let Some((image, path)) = first {
        let maps = information_sheet(&read_image(path)?, &file_name(path))
            .with_context(|| shown(path))?
            .to_png(1)?;
        let caption =
            format!("Where {image} carries information: entropy of patches, tiers, sampling weights.");
        plates.push(Plate::png(&maps, caption));
    }
    Ok(plates)
}
