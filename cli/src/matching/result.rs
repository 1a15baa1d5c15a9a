//! The files of a result, written image by image and read again.
//!
//! `landmarks.json` is laid out so that it can be read without holding all of it in memory: what made it, then the line `"images": [`,
//! then each image between a line `{` and a line `}` indented by four spaces, then what failed.

use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use infomark_infer::LandmarkFormat;
use infomark_results::to_json;
use serde::{Deserialize, Serialize};

use super::pictures;
use super::record::{Failure, Matched};
use super::table::{self, Others};
use crate::measurements;
use crate::output::shown;
use crate::result_folder::{OBJECT, Stage};

pub(super) const TABLE: &str = "landmarks.csv";
/// Images that failed; only where there are some.
pub(super) const ERRORS: &str = "errors.csv";

/// Start of the line with the list of images.
const IMAGES: &str = "  \"images\": [";
/// Start of the line with the shard.
const SHARD: &str = "  \"shard\": ";

/// Writes a result as images come, in their order. Of an image nothing stays in memory but what its warnings say, its failure and what
/// other formats and contact sheets need.
pub(super) struct ResultWriter {
    stage: Stage,
    table: csv::Writer<BufWriter<File>>,
    object: BufWriter<File>,
    others: Vec<Others>,
    /// Where a scheme measures the landmarks.
    measurements: Option<csv::Writer<BufWriter<File>>>,
    /// Overlays with the labels of their images, where sheets are asked for.
    sheet: Option<Vec<(String, String)>>,
    told: Told,
}

/// What a result comes to.
#[derive(Default)]
pub(super) struct Told {
    /// Images with landmarks.
    pub(super) matched: usize,
    /// Images that were done, those that failed included.
    pub(super) done: usize,
    /// Warnings of images with landmarks.
    pub(super) warnings: Vec<String>,
    pub(super) failed: Vec<Failure>,
}

impl ResultWriter {
    /// `head` is a JSON object, written as [`to_json`] does, of what made the result; `measured` where images have measurements.
    pub(super) fn new(
        mut stage: Stage,
        head: &str,
        formats: &[LandmarkFormat],
        sheet: bool,
        measured: bool,
    ) -> Result<Self> {
        let mut table = csv::Writer::from_writer(stage.create(TABLE)?);
        table.write_record(table::COLUMNS)?;
        let mut object = stage.create(OBJECT)?;
        write!(object, "{},\n{IMAGES}", head.strip_suffix("\n}").unwrap_or(head))?;
        let others = formats.iter().map(|&format| Others::new(format)).collect();
        let measurements = if measured {
            let mut measurements = csv::Writer::from_writer(stage.create(measurements::TABLE)?);
            measurements.write_record(measurements::COLUMNS)?;
            Some(measurements)
        } else {
            None
        };
        let (sheet, told) = (sheet.then(Vec::new), Told::default());
        Ok(Self { stage, table, object, others, measurements, sheet, told })
    }

    /// Adds the next image: its landmarks, with the overlay that lies in the folder `from`, or why they are missing.
    pub(super) fn add(
        &mut self,
        matched: Option<&Matched>,
        failure: Option<Failure>,
        from: &Path,
        svg: bool,
    ) -> Result<()> {
        self.told.done += 1;
        self.told.failed.extend(failure);
        let Some(matched) = matched else { return Ok(()) };
        if let Some(name) = &matched.overlay {
            let path = from.join(name);
            self.stage.link(&path, name)?;
            if svg && let (Some(name), path) = (name.strip_suffix("png"), path.with_extension("svg")) {
                self.stage.link(&path, &format!("{name}svg"))?;
            }
            if let Some(sheet) = &mut self.sheet {
                sheet.push((name.clone(), matched.image.clone()));
            }
        }
        for row in table::rows(matched) {
            self.table.write_record(row)?;
        }
        if let Some(table) = &mut self.measurements {
            measurements::rows(&matched.image, &matched.measurements)
                .try_for_each(|row| table.write_record(row))?;
        }
        for others in &mut self.others {
            others.add(&mut self.stage, matched)?;
        }
        element(&mut self.object, self.told.matched, matched).context("can't write landmarks.json")?;
        self.told.matched += 1;
        self.told.warnings.extend(matched.recognition.as_ref().and_then(|told| told.warning.clone()));
        Ok(())
    }

    /// Completes the files; so many images are left to do. The sheets are drawn in the current thread pool.
    pub(super) fn finish(self, images_left: usize) -> Result<(Stage, Told)> {
        let Self { mut stage, table, mut object, others, measurements, sheet, told } = self;
        for others in others {
            others.finish(&mut stage)?;
        }
        if let Some(overlays) = sheet {
            pictures::write_sheets(&mut stage, &overlays)?;
        }
        if !told.failed.is_empty() {
            let mut errors = csv::Writer::from_writer(stage.create(ERRORS)?);
            errors.write_record(["image", "error"])?;
            told.failed.iter().try_for_each(|failure| errors.serialize((&failure.image, &failure.error)))?;
            sync(errors.into_inner().map_err(|error| error.into_error())?)?;
        }
        let end = if told.matched == 0 { "]" } else { "\n  ]" };
        write!(object, "{end},\n  \"failed\": [")?;
        for (index, failure) in told.failed.iter().enumerate() {
            element(&mut object, index, failure)?;
        }
        let end = if told.failed.is_empty() { "]" } else { "\n  ]" };
        write!(object, "{end},\n  \"images_left\": {images_left}\n}}\n")?;
        sync(object)?;
        for table in [Some(table), measurements].into_iter().flatten() {
            sync(table.into_inner().map_err(|error| error.into_error())?)?;
        }
        Ok((stage, told))
    }
}

/// Writes the element of a list with this index.
fn element(object: &mut impl Write, index: usize, element: &impl Serialize) -> Result<()> {
    let separator = if index == 0 { "\n    " } else { ",\n    " };
    Ok(write!(object, "{separator}{}", to_json(element)?.replace('\n', "\n    "))?)
}

/// Brings a file to the disk.
fn sync(file: BufWriter<File>) -> Result<()> {
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    Ok(file.sync_all()?)
}

/// What `landmarks.json` holds beside the images.
pub(super) struct Around {
    /// What made it, as [`ResultWriter::new`] takes it, without the shard.
    pub(super) head: String,
    pub(super) failed: Vec<Failure>,
    pub(super) images_left: usize,
}

/// Reads the `landmarks.json` of a result, one image at a time: start and length of its JSON object in the file, in bytes,
/// and its text.
pub(super) fn read_object(
    file: File,
    path: &Path,
    mut image: impl FnMut(u64, u64, &str) -> Result<()>,
) -> Result<Around> {
    #[derive(Deserialize)]
    struct Rest {
        failed: Vec<Failure>,
        images_left: usize,
    }
    let wrong = || format!("{}: this is not as `infomark match` writes it; run it again", shown(path));
    let mut file = BufReader::new(file);
    let (mut at, mut line, mut head) = (0, String::new(), String::new());
    let mut next = |line: &mut String, at: &mut u64| -> Result<()> {
        line.clear();
        let read = file.read_line(line).with_context(|| format!("{}: can't be read", shown(path)))?;
        if read == 0 {
            bail!(wrong());
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
    let Rest { failed, images_left } = serde_json::from_str(&rest).with_context(wrong)?;
    Ok(Around { head, failed, images_left })
}
