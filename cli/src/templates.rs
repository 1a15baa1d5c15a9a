//! Templates given on the command line: annotated images, template files, data folders.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use infomark_infer::{
    Encoder, ImageContext, PixelSpacing, ReadLimits, Template, read_image, read_image_header,
    read_landmarks_of, rounded, sha256,
};
use infomark_models::PretrainedModel;
use infomark_results::TemplateRecord;
use infomark_train::AGAINST;
use rayon::prelude::*;
use serde::Serialize;

use crate::inputs::{self, hash};
use crate::models::RuntimeOptions;
use crate::output::{file_name, identity, shown};
use crate::refine::Refine;
use crate::select;
use crate::spacing;

/// Template options.
#[derive(clap::Args, Default)]
pub(crate) struct Given {
    /// Annotated image, template file or data folder; several are matched together
    #[arg(long = "template", value_name = "IMAGE")]
    pub(crate) templates: Vec<PathBuf>,
    /// Its landmarks: CSV or COCO with the template's file name, 3D Slicer markups, LabelMe or ISBI text. For several images
    /// one file each, in their order, or one for all
    #[arg(long, value_name = "FILE")]
    pub(crate) landmarks: Vec<PathBuf>,
    /// Use N images of a data folder as templates, selected without their landmarks as by `infomark select` [default: all]
    #[arg(long = "templates", value_name = "N")]
    pub(crate) count: Option<usize>,
    #[command(flatten)]
    pub(crate) refine: Refine,
}

/// Kind of a template path.
enum Kind {
    /// Bundled with the program.
    BuiltIn(PretrainedModel),
    Folder,
    File,
    Image,
}

fn kind(path: &Path) -> Kind {
    if let Some(model) = infomark_models::named(path) {
        return Kind::BuiltIn(model);
    }
    if path.is_dir() {
        return Kind::Folder;
    }
    let mut first = [0; 8];
    let read = path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut first)).is_ok();
    if read && Template::is_file(&first) { Kind::File } else { Kind::Image }
}

impl Given {
    /// The first option given.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let options = [
            ("--template", !self.templates.is_empty()),
            ("--landmarks", !self.landmarks.is_empty()),
            ("--templates", self.count.is_some()),
            ("--refine", !self.refine.files().is_empty()),
        ];
        options.into_iter().find_map(|(name, given)| given.then_some(name))
    }

    /// The files that results must not overwrite.
    pub(crate) fn files(&self) -> impl Iterator<Item = PathBuf> {
        self.templates.iter().chain(&self.landmarks).cloned().chain(self.refine.files())
    }

    /// Reads and encodes the templates, in the order given; by default those of a bundled model.
    pub(crate) fn read(
        &self,
        encoder: &Encoder,
        spacing: Option<&PixelSpacing>,
        own: Option<PretrainedModel>,
    ) -> Result<(Vec<Template>, Vec<TemplateRecord>)> {
        if self.templates.is_empty() && own.is_none() {
            bail!("--template: give an annotated image, a template file, or a data folder");
        }
        let images = self.templates.iter().filter(|path| matches!(kind(path), Kind::Image)).count();
        let folders = self.templates.iter().any(|path| matches!(kind(path), Kind::Folder));
        let tables = self.landmarks.len();
        if images > 0 && tables == 0 {
            bail!("--landmarks: an annotated image needs its landmarks; give their file");
        }
        if tables > 1 && tables != images || images == 0 && tables > 0 {
            bail!(
                "--landmarks: {tables} files for {images} annotated images; give one for each image, in their order, or one for all"
            );
        }
        if self.count.is_some() && !folders {
            bail!("--templates: only images of a data folder can be chosen from; give one as --template");
        }
        let mut landmarks = self.landmarks.iter().cycle();
        let own = own.filter(|_| self.templates.is_empty());
        let mut all = own.map(built_in).transpose()?.unwrap_or_default();
        for path in &self.templates {
            match kind(path) {
                Kind::Folder => all.extend(from_folder(encoder, path, self.count)?),
                Kind::BuiltIn(model) => all.extend(built_in(model)?),
                Kind::File => {
                    let template = Template::load(path)?;
                    let source = TemplateRecord::of(&template, hash(path)?, TemplateRecord::FILE);
                    all.push((template, source));
                }
                Kind::Image => {
                    let table = landmarks.next().context("--landmarks: a file is missing")?;
                    all.push(from_image(encoder, path, table, spacing)?);
                }
            }
        }
        let (templates, sources): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        refine(&self.refine, encoder, templates, sources)
    }
}

/// Templates of a bundled model.
pub(crate) fn built_in(model: PretrainedModel) -> Result<Vec<(Template, TemplateRecord)>> {
    let record = |(template, bytes): (Template, &&[u8])| {
        let source = TemplateRecord::of(&template, sha256(bytes), TemplateRecord::FILE);
        (template, source)
    };
    Ok(model.templates()?.into_iter().zip(model.templates).map(record).collect())
}

/// The templates, refined if requested, with their records.
fn refine(
    refine: &Refine,
    encoder: &Encoder,
    templates: Vec<Template>,
    sources: Vec<TemplateRecord>,
) -> Result<(Vec<Template>, Vec<TemplateRecord>)> {
    let (templates, with) = refine.apply(encoder, templates)?;
    let Some(with) = with else { return Ok((templates, sources)) };
    let sources = sources.into_iter().zip(&templates);
    let sources = sources.map(|(source, template)| source.refined(with.clone(), template)).collect();
    Ok((templates, sources))
}

/// An annotated image, encoded.
pub(crate) fn from_image(
    encoder: &Encoder,
    path: &Path,
    landmarks: &Path,
    given: Option<&PixelSpacing>,
) -> Result<(Template, TemplateRecord)> {
    let reduced = encoder.description().input.takes_reduced();
    let image = spacing::read(path, given, &ReadLimits { reduced, ..ReadLimits::default() })?;
    let name = file_name(path);
    let placement = Some(read_image_header(path)?.placement);
    let subject = ImageContext { image: Some(&name), placement, ..ImageContext::default() };
    let table = read_landmarks_of(landmarks, &subject)?;
    let points = table.on_image(&name, image.width(), image.height())?;
    let template = Template::new(encoder, &image, points)?;
    let source = TemplateRecord::of(&template, hash(path)?, table.format().key());
    Ok((template, source))
}

/// The images of a data folder, or the selected ones.
fn from_folder(
    encoder: &Encoder,
    path: &Path,
    count: Option<usize>,
) -> Result<Vec<(Template, TemplateRecord)>> {
    let data = inputs::data_folder(path)?;
    let chosen = match count {
        Some(count) => {
            let images: Vec<PathBuf> = data.images.iter().map(|sample| sample.path.clone()).collect();
            select::choose_from(&select::rank(encoder, &images, AGAINST, 0)?, count, path)?
        }
        None => (0..data.images.len()).collect(),
    };
    let one = |&index: &usize| {
        let sample = data.images.get(index).context("no such image")?;
        let template = Template::new(encoder, &read_image(&sample.path)?, &data.landmarks_of(sample))?;
        let source = TemplateRecord::of(&template, hash(&sample.path)?, "data folder");
        Ok((template, source))
    };
    chosen.par_iter().map(one).collect()
}

/// Encode an annotated image as a template file for `infomark match`.
#[derive(clap::Args)]
#[command(after_help = "\
Example: the same results as with the image itself, without its landmarks' file
  infomark template 001.png --landmarks points.csv --model encoder.onnx --out 001.template
  infomark match --model encoder.onnx --template 001.template new/ --out found
and better ones: features averaged with their matches in unlabelled images
  infomark template 001.png --landmarks points.csv --model encoder.onnx --refine radiographs/ --out 001.template

The file holds names and places of the landmarks, features, and the hash of the encoder, which has to be the
one that it is used with. It does not hold the image.")]
pub(crate) struct Options {
    /// Annotated image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Its landmarks, in a format of `infomark match`
    #[arg(long, value_name = "FILE")]
    landmarks: PathBuf,
    /// Encoder, a file of `infomark train`
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    #[command(flatten)]
    runtime: RuntimeOptions,
    #[command(flatten)]
    refine: Refine,
    /// Template file to write
    #[arg(long, short, value_name = "FILE")]
    out: PathBuf,
}

#[derive(Serialize)]
struct Written {
    file: String,
    sha256: String,
    model_sha256: String,
    template: TemplateRecord,
}

/// `infomark template`.
pub(crate) fn run(options: &Options, threads: usize, report: &crate::output::Report) -> Result<()> {
    let given = [&options.image, &options.landmarks, &options.model].map(PathBuf::clone);
    let out = identity(&options.out);
    let mut given = given.into_iter().chain(options.refine.files());
    if let Some(input) = given.find(|input| identity(input) == out) {
        bail!("{}: the template would overwrite this file; give another as --out", shown(&input));
    }
    let encoder = options.runtime.encoder(&options.model)?;
    let (template, source) = from_image(&encoder, &options.image, &options.landmarks, None)?;
    let refined = || refine(&options.refine, &encoder, vec![template], vec![source]);
    let (templates, sources) = inputs::pool(threads)?.install(refined)?;
    let (template, source) = templates.into_iter().zip(sources).next().context("no template")?;
    template.save(&options.out)?;
    let bytes = template.to_bytes();
    report.text(&format!(
        "{}: {} landmarks of {}{}, {} kB",
        shown(&options.out),
        template.landmarks().len(),
        template.image(),
        match template.refined_on() {
            0 => String::new(),
            images => format!(", refined on {images} images"),
        },
        rounded(bytes.len() as f64 / 1000.0, 0)
    ))?;
    report.json(&Written {
        file: shown(&options.out),
        sha256: sha256(&bytes),
        model_sha256: template.model_sha256().to_owned(),
        template: source,
    })
}
