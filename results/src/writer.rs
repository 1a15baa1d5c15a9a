//! The files of a result, written image by image and read again.
//!
//! `landmarks.json` is laid out so that it can be read without holding all of it in memory: what made it, then the line
//! `"images": [`, then each image between a line `{` and a line `}` indented by four spaces, then what failed.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use infomark_infer::LandmarkFormat;
use serde::{Deserialize, Serialize};

use crate::folder::{OBJECT, Stage};
use crate::formats::Others;
use crate::{FailedImage, MEASUREMENTS_TABLE, MatchedImage, ResultsError, measurements, table, to_json};

/// Name of the table of landmarks.
pub const LANDMARKS_TABLE: &str = "landmarks.csv";
/// Name of the table of images that failed; only where there are some.
pub const FAILURES_TABLE: &str = "errors.csv";

/// Start of the line with the list of images.
const IMAGES: &str = "  \"images\": [";
/// Start of the line with the shard.
const SHARD: &str = "  \"shard\": ";

/// Writes a result as images come, in their order. Of an image nothing stays in memory but what its warnings say, its
/// failure and what other formats need.
pub struct ResultWriter {
    stage: Stage,
    table: Table,
    object: BufWriter<File>,
    others: Vec<Others>,
    /// Where a scheme measures the landmarks.
    measurements: Option<Table>,
    totals: Totals,
}

type Table = csv::Writer<BufWriter<File>>;

/// What a result comes to.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    /// Images with landmarks.
    pub matched: usize,
    /// Images that were done, those that failed included.
    pub done: usize,
    /// Warnings of images with landmarks.
    pub warnings: Vec<String>,
    /// Warnings of landmark files of other formats.
    pub format_warnings: Vec<String>,
    /// Images without landmarks, or without their overlay.
    pub failed: Vec<FailedImage>,
}

impl ResultWriter {
    /// `head` is a JSON object, written as [`to_json`] does, of what made the result; `measured` where images have
    /// measurements.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn new(
        mut stage: Stage,
        head: &str,
        formats: &[LandmarkFormat],
        measured: bool,
    ) -> Result<Self, ResultsError> {
        let table = begin(&mut stage, LANDMARKS_TABLE, &table::COLUMNS)?;
        let mut object = stage.create(OBJECT)?;
        let head = head.strip_suffix("\n}").unwrap_or(head);
        write!(object, "{head},\n{IMAGES}").map_err(ResultsError::io(OBJECT, UNWRITTEN))?;
        let measurements = match measured {
            true => Some(begin(&mut stage, MEASUREMENTS_TABLE, &measurements::COLUMNS)?),
            false => None,
        };
        let others = formats.iter().map(|&format| Others::new(format)).collect();
        Ok(Self { stage, table, object, others, measurements, totals: Totals::default() })
    }

    /// Adds the next image: its landmarks, with the overlay that lies in the folder `from`, as SVG too where `svg` is
    /// true, or why they are missing.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn add(
        &mut self,
        matched: Option<&MatchedImage>,
        failure: Option<FailedImage>,
        from: &Path,
        svg: bool,
    ) -> Result<(), ResultsError> {
        self.totals.done += 1;
        self.totals.failed.extend(failure);
        let Some(matched) = matched else { return Ok(()) };
        if let Some(name) = &matched.overlay {
            let path = from.join(name);
            self.stage.link(&path, name)?;
            if svg && let (Some(name), path) = (name.strip_suffix("png"), path.with_extension("svg")) {
                self.stage.link(&path, &format!("{name}svg"))?;
            }
        }
        for row in table::rows(matched) {
            self.table.write_record(row).map_err(unwritten(LANDMARKS_TABLE))?;
        }
        if let Some(table) = &mut self.measurements {
            measurements::rows(&matched.image, &matched.measurements)
                .try_for_each(|row| table.write_record(row))
                .map_err(unwritten(MEASUREMENTS_TABLE))?;
        }
        for others in &mut self.others {
            others.add(&mut self.stage, matched)?;
        }
        element(&mut self.object, self.totals.matched, matched)?;
        self.totals.matched += 1;
        let warning = matched.recognition.as_ref().and_then(|recognition| recognition.warning.clone());
        self.totals.warnings.extend(warning);
        Ok(())
    }

    /// The result as it is, for files that are made of others, such as sheets of overlays.
    pub fn stage(&mut self) -> &mut Stage {
        &mut self.stage
    }

    /// Completes the files; so many images are left to do.
    ///
    /// # Errors
    /// When a file can't be written.
    pub fn finish(self, images_left: usize) -> Result<(Stage, Totals), ResultsError> {
        let Self { mut stage, table, mut object, others, measurements, mut totals } = self;
        for others in others {
            totals.format_warnings.extend(others.finish(&mut stage)?);
        }
        if !totals.failed.is_empty() {
            let mut errors = begin(&mut stage, FAILURES_TABLE, &["image", "error"])?;
            for FailedImage { image, error } in &totals.failed {
                errors.write_record([image, error]).map_err(unwritten(FAILURES_TABLE))?;
            }
            end(errors, FAILURES_TABLE)?;
        }
        let unwritten = || ResultsError::io(OBJECT, UNWRITTEN);
        let close = |is_empty| if is_empty { "]" } else { "\n  ]" };
        write!(object, "{},\n  \"failed\": [", close(totals.matched == 0)).map_err(unwritten())?;
        for (index, failure) in totals.failed.iter().enumerate() {
            element(&mut object, index, failure)?;
        }
        write!(object, "{},\n  \"images_left\": {images_left}\n}}\n", close(totals.failed.is_empty()))
            .map_err(unwritten())?;
        sync(object, OBJECT)?;
        end(table, LANDMARKS_TABLE)?;
        measurements.map_or(Ok(()), |table| end(table, MEASUREMENTS_TABLE))?;
        Ok((stage, totals))
    }
}

/// What messages say of a file.
const UNWRITTEN: &str = "can't be written";

fn unwritten(name: &'static str) -> impl FnOnce(csv::Error) -> ResultsError {
    move |error| ResultsError::Encode { format: "CSV", reason: format!("{name}: {error}") }
}

/// Begins a table.
fn begin(stage: &mut Stage, name: &'static str, columns: &[&str]) -> Result<Table, ResultsError> {
    let mut table = csv::Writer::from_writer(stage.create(name)?);
    table.write_record(columns).map_err(unwritten(name))?;
    Ok(table)
}

/// Completes a table.
fn end(table: Table, name: &'static str) -> Result<(), ResultsError> {
    let file = table.into_inner().map_err(|error| error.into_error());
    sync(file.map_err(ResultsError::io(name, UNWRITTEN))?, name)
}

/// Writes the element of a list with this index.
fn element(object: &mut impl Write, index: usize, element: &impl Serialize) -> Result<(), ResultsError> {
    let separator = if index == 0 { "\n    " } else { ",\n    " };
    let text = to_json(element)?.replace('\n', "\n    ");
    write!(object, "{separator}{text}").map_err(ResultsError::io(OBJECT, UNWRITTEN))
}

/// Brings a file to the disk.
fn sync(file: BufWriter<File>, name: &'static str) -> Result<(), ResultsError> {
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error);
    file.and_then(|file| file.sync_all()).map_err(ResultsError::io(name, UNWRITTEN))
}

/// What `landmarks.json` holds beside the images.
pub(crate) struct Around {
    /// What made it, as [`ResultWriter::new`] takes it, without the shard.
    pub(crate) head: String,
    pub(crate) failed: Vec<FailedImage>,
    pub(crate) images_left: usize,
}

/// Reads the `landmarks.json` of a result, one image at a time: start and length of its JSON object in the file, in
/// bytes, and its text.
pub(crate) fn read_object(
    file: File,
    path: &Path,
    mut image: impl FnMut(u64, u64, &str) -> Result<(), ResultsError>,
) -> Result<Around, ResultsError> {
    #[derive(Deserialize)]
    struct Rest {
        failed: Vec<FailedImage>,
        images_left: usize,
    }
    let damaged = || ResultsError::Damaged { file: path.to_owned() };
    let mut file = BufReader::new(file);
    let (mut at, mut line, mut head) = (0, String::new(), String::new());
    let mut next = |line: &mut String, at: &mut u64| -> Result<(), ResultsError> {
        line.clear();
        let read = file.read_line(line).map_err(ResultsError::unreadable(path))?;
        if read == 0 {
            return Err(damaged());
        }
        *at += read as u64;
        Ok(())
    };
    loop {
        next(&mut line, &mut at)?;
        if line.starts_with(IMAGES) {
            break;
        }
        if !line.starts_with(SHARD) {
            head += &line;
        }
    }
    let head = head.trim_end().trim_end_matches(',').to_owned() + "\n}";
    if line.trim_end() == IMAGES {
        let (mut start, mut object) = (0, String::new());
        loop {
            let before = at;
            next(&mut line, &mut at)?;
            match line.trim_end_matches(['\n', '\r', ',']) {
                "    {" => (start, object) = (before + 4, "{\n".to_owned()),
                "    }" => {
                    object.push('}');
                    image(start, before + 5 - start, &object)?;
                }
                "  ]" => break,
                _ => object += &line,
            }
        }
    }
    let mut rest = String::from("{");
    while !rest.ends_with("\n}\n") {
        next(&mut line, &mut at)?;
        rest += &line;
    }
    let Rest { failed, images_left } = serde_json::from_str(&rest).map_err(|_| damaged())?;
    Ok(Around { head, failed, images_left })
}
