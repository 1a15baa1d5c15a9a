//! `infomark merge`.

use std::path::PathBuf;

use anyhow::{Result, bail};
use infomark_infer::InputImage;
use infomark_results::{FAILURES_TABLE, LANDMARKS_TABLE, Merge, OBJECT, Totals};

use super::pictures::{self, OVERLAYS};
use super::{formats, keep_inputs};
use crate::convert::Format;
use crate::inputs;
use crate::output::{self, Report, shown};

/// Merge the results of the shards of a list into one, as if `match` had run on the whole list.
#[derive(clap::Args)]
#[command(after_help = "\
Example: two processes, which may run on different machines, and the whole
  infomark match --model ceph --template ceph --images-from list.csv --shard 1/2 --out found/1
  infomark match --model ceph --template ceph --images-from list.csv --shard 2/2 --out found/2
  infomark merge found/1 found/2 --images-from list.csv --out all

The tables of the merged result are those of one `infomark match --images-from list.csv`, to the byte. Refused
are shards that are not finished, that lack an image of the list or have one twice, and that were made with
another model, template, option or version. Overlays are linked where the file system can, else copied.
docs/clusters.md has scripts for Slurm and Nextflow.")]
pub(crate) struct Options {
    /// Results of `infomark match --images-from LIST --shard I/N`
    #[arg(required = true, value_name = "RESULTS")]
    results: Vec<PathBuf>,
    /// The list of all these results
    #[arg(long, value_name = "LIST")]
    images_from: PathBuf,
    /// Output folder
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Formats of additional landmark files to write besides landmarks.csv
    #[arg(long, value_name = "FORMAT,...", value_delimiter = ',')]
    format: Vec<Format>,
    /// Write no overlays
    #[arg(long, conflicts_with = "sheet")]
    no_overlays: bool,
    /// Draw all overlays as thumbnails on DIR/contact-sheet.png, as `infomark match --sheet`
    #[arg(long)]
    sheet: bool,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let inputs = InputImage::listed(&options.images_from, None)?;
    keep_inputs([options.images_from.clone()], &options.out)?;
    let out = output::identity(&options.out);
    if let Some(same) = options.results.iter().find(|result| output::identity(result) == out) {
        bail!("{}: this is one of the results to merge; give another folder as --out", shown(same));
    }
    let merge = Merge {
        results: &options.results,
        list: (&options.images_from, &inputs),
        formats: &formats(&options.format)?,
        overlays: !options.no_overlays,
        list_overlays: options.sheet,
    };
    let totals = merge.run(&options.out, |result, overlays| -> Result<()> {
        inputs::pool(threads)?.install(|| pictures::write_sheets(result.stage(), overlays))
    })?;
    totals.format_warnings.iter().for_each(output::warn);
    tell(&totals, options, report)
}

fn tell(totals: &Totals, options: &Options, report: &Report) -> Result<()> {
    let out = &options.out;
    let overlays = out.join(OVERLAYS);
    let overlays = if overlays.is_dir() { format!(", {}", shown(&overlays)) } else { String::new() };
    report.text(&format!(
        "{} images of {} results: {}, {}{overlays}",
        totals.done,
        options.results.len(),
        shown(&out.join(LANDMARKS_TABLE)),
        shown(&out.join(OBJECT)),
    ))?;
    report.json_file(&out.join(OBJECT))?;
    if let Some(first) = totals.failed.first() {
        let (failed, errors) = (totals.failed.len(), out.join(FAILURES_TABLE));
        output::warn(format_args!(
            "{failed} of {} images failed, the first is {}: {}",
            totals.done,
            first.image,
            shown(&errors)
        ));
    }
    Ok(())
}
