//! Agreement of the program and of a second annotator with the reference.

use std::path::{Path, PathBuf};

use anyhow::Result;
use infomark_eval::{Annotator, AnnotatorComparison, ReaderFigures};
use infomark_infer::DataSet;

use crate::{agree, output};

/// Reads an annotator's files; `None` without files.
pub(super) fn read(files: &[PathBuf], data: &DataSet) -> Result<Option<Annotator>> {
    let read = || Annotator::read(files, data, &mut output::warn);
    Ok((!files.is_empty()).then(read).transpose()?)
}

/// The rows of a landmark, or of all: the program's and the second annotator's.
fn rows(compared: &AnnotatorComparison) -> Vec<[(&'static str, &ReaderFigures); 2]> {
    let AnnotatorComparison { program, second_annotator: second, .. } = compared;
    // Same landmarks in the same order: those of which both have points.
    let landmarks = program.landmarks.iter().chain([&program.all]);
    let pair = |(program, second)| [("program", program), ("second annotator", second)];
    landmarks.zip(second.landmarks.iter().chain([&second.all])).map(pair).collect()
}

/// The printed table.
pub(super) fn text(compared: &AnnotatorComparison) -> String {
    let names = compared.program.landmarks.iter().map(|of| of.landmark.chars().count());
    let width = names.max().unwrap_or(0).max(8) + 20;
    let mut text = format!(
        "\nAgreement with the reference in {}, on the points that {} has as well; dx, dy: less the reference\n  {}\n",
        compared.program.unit,
        compared.annotator,
        agree::head(width, &compared.program)
    );
    for (reader, of) in rows(compared).into_iter().flatten() {
        text += &format!("  {}\n", agree::row(width, &format!("{}, {reader}", of.landmark), of));
    }
    if compared.not_placed > 0 {
        text += &format!("  points that {} does not have: {}\n", compared.annotator, compared.not_placed);
    }
    text
}

/// Writes `agreement.csv`, if there is a second annotator.
pub(super) fn write(out: &Path, compared: Option<&AnnotatorComparison>) -> Result<()> {
    let Some(compared) = compared else { return Ok(()) };
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = ["reader".to_owned()].into_iter().chain(agree::columns(&compared.program.all));
    table.write_record(head)?;
    for (reader, of) in rows(compared).into_iter().flatten() {
        let cells = agree::cells(of, compared.program.unit);
        table.write_record([reader.to_owned()].into_iter().chain(cells))?;
    }
    output::write(&out.join("agreement.csv"), &table.into_inner()?)
}
