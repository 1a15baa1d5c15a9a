//! `infomark train`.

mod bars;
mod budget;
mod pictures;

pub(crate) use bars::Bars;
pub(crate) use budget::TrainingArgs;
pub(crate) use pictures::smooth;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use infomark_infer::Encoder;
use infomark_train::{ComputeOn, Paths, Progress, PsiConfig, Scoring, TrainConfig, resume, train};
use serde::Serialize;

use crate::files;
use crate::inputs::{self, read_toml};
use crate::output::{self, Report, shown};
use crate::progress::duration;

/// Train an encoder on a folder of unlabelled radiographs of one kind.
#[derive(clap::Args)]
#[command(
    allow_negative_numbers = true,
    mut_arg("minutes", |arg| arg.help("Minutes to train [default: 45]")),
    after_help = "\
Examples:
  infomark train radiographs/ --out encoder.onnx
  infomark train radiographs/ --out encoder.onnx --minutes 10 --seed 1
  infomark train radiographs/ --out encoder.onnx --estimate-intensity
  infomark train radiographs/ --out encoder.onnx --resume encoder.run"
)]
pub(crate) struct Options {
    /// Folder of the images
    images: PathBuf,
    /// Encoder file to write
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    #[command(flatten)]
    training: TrainingArgs,
    /// Training options by name, as TOML: the fields of `TrainConfig` in the documentation of infomark-train, e.g. `elastic = 8.0`;
    /// --minutes, --steps and --seed override them
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Augmentation intensity of each tier, a file of `infomark tune`
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    policy: Option<PathBuf>,
    /// Estimate the policy from the images by mutual information after 0.3 of the budget, with the current encoder, and use it from then on;
    /// the folder of the run gets policy.toml and its plots. `estimate_after` of --config changes the 0.3
    #[arg(long, conflicts_with_all = ["resume", "policy"])]
    estimate_intensity: bool,
    /// Stop when the loss, averaged over 50 steps, has not decreased for N steps [default: never]
    #[arg(long, value_name = "N", conflicts_with = "resume")]
    patience: Option<u64>,
    /// Data folder with landmarks to score the encoder on at every checkpoint; not used for training
    #[arg(long, value_name = "DIR")]
    score_data: Option<PathBuf>,
    /// Number of templates for these scores, drawn at random
    #[arg(long, value_name = "N", default_value_t = 3, requires = "score_data")]
    score_templates: usize,
    /// Device of entropies, sampling, views and the loss; the network is on the CPU. auto: a CUDA device if there is one and
    /// this program was built for it (feature cuda). Results differ by rounding
    #[arg(long, value_enum, default_value_t = Device::Auto)]
    device: Device,
}

/// Values of `--device`.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Device {
    Auto,
    Cpu,
    Cuda,
}

impl From<Device> for ComputeOn {
    fn from(device: Device) -> Self {
        match device {
            Device::Auto => Self::Auto,
            Device::Cpu => Self::Cpu,
            Device::Cuda => Self::Cuda,
        }
    }
}

#[derive(Serialize)]
struct Trained {
    encoder: String,
    sha256: String,
    run: String,
    steps: u64,
    seconds: f64,
    loss: Option<f32>,
    images: usize,
    input: [usize; 2],
    /// "CPU" or "CUDA device NAME".
    scoring_and_loss: String,
    /// Whether early stopping ended it.
    stopped_early: bool,
    /// Steps and mean radial errors in mm.
    scores: Vec<(u64, f64)>,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let paths = Paths {
        images: options.images.clone(),
        out: options.out.clone(),
        run: options.training.folder(&options.out),
        score: options
            .score_data
            .as_ref()
            .map(|data| Scoring { data: data.clone(), templates: options.score_templates }),
    };
    inputs::warn_of_skipped(&options.images);
    let summary = if options.training.resumes() {
        with_progress(&paths.run, |told| resume(&paths, threads, options.device.into(), told))?
    } else {
        output::keep([&options.config, &options.policy].into_iter().flatten(), &options.out)?;
        let config = config(options, threads)?;
        with_progress(&paths.run, |told| train(&config, &paths, told))?
    };
    pictures::write_curves(&paths.run)?;
    if let Err(error) = draw_psi(&paths, summary.steps, threads) {
        output::warn(format_args!("no curve of PSI was drawn: {}", output::one_line(&error)));
    }
    report.text(&format!(
        "{}: {} steps on {} images in {}{}{}{}\nscoring, views and loss: {}\ncheckpoints, log and plots: {}",
        shown(&paths.out),
        summary.steps,
        summary.images,
        duration(summary.seconds),
        summary.loss.map_or_else(String::new, |loss| format!(", loss {loss:.2}")),
        summary.scores.last().map_or_else(String::new, |(_, mre)| format!(", MRE {mre:.2} mm")),
        if summary.stopped_early { "\nstopped early: the loss no longer fell" } else { "" },
        summary.scoring_and_loss,
        shown(&paths.run),
    ))?;
    report.json(&Trained {
        encoder: shown(&paths.out),
        sha256: summary.sha256,
        run: shown(&paths.run),
        steps: summary.steps,
        seconds: summary.seconds,
        loss: summary.loss,
        images: summary.images,
        input: [summary.input.width(), summary.input.height()],
        scoring_and_loss: summary.scoring_and_loss,
        stopped_early: summary.stopped_early,
        scores: summary.scores,
    })
}

/// Plots the similarity of positives against entropy, in the folder of the run.
fn draw_psi(paths: &Paths, steps: u64, threads: usize) -> Result<()> {
    /// Enough for the shape of the curve; `infomark psi` uses more. At most as many as in training.
    const VIEWS: usize = 40;
    #[derive(serde::Deserialize)]
    struct Begun {
        config: TrainConfig,
    }
    let path = paths.run.join("checkpoint.json");
    let text = files::bytes(&path)?;
    let Begun { config } = serde_json::from_slice(&text).with_context(|| shown(&path))?;
    let encoder = Encoder::load(&paths.out)?;
    let defaults = PsiConfig::default();
    let training = config.with(|o| o.sampling.pixels = defaults.training.sampling.pixels);
    let seen = usize::try_from(steps).unwrap_or(VIEWS).saturating_mul(training.sampling.batch);
    let config = PsiConfig { views: seen.clamp(1, VIEWS), training, threads, ..defaults };
    crate::psi::draw(&paths.images, &encoder, &config, &paths.run).map(drop)
}

/// The defaults, or the options of a file if given.
pub(crate) fn read_config<T: Default + serde::de::DeserializeOwned>(
    path: Option<&Path>,
    check: impl Fn(&T) -> Result<(), infomark_train::ConfigError>,
) -> Result<T> {
    let Some(path) = path else { return Ok(T::default()) };
    let config = read_toml(path)?;
    check(&config).with_context(|| shown(path))?;
    Ok(config)
}

/// The defaults, overridden by the file, then by the command line.
fn config(options: &Options, threads: usize) -> Result<TrainConfig> {
    let mut config = read_config(options.config.as_deref(), TrainConfig::check)?;
    if let Some(path) = &options.policy {
        config.augmentation.policy = Some(read_toml(path)?);
        config.check().with_context(|| shown(path))?;
    }
    if options.estimate_intensity && config.augmentation.estimate_after == 0.0 {
        config.augmentation.estimate_after = 0.3;
    }
    config.threads = threads;
    config.compute = options.device.into();
    config.patience = options.patience.unwrap_or(config.patience);
    options.training.change(&mut config.seed, &mut config.schedule.budget);
    config.check()?;
    Ok(config)
}

/// A row of `log.csv`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Logged {
    pub(crate) step: u64,
    pub(crate) loss: f64,
    /// At strides 2, 4, 8, 16, 32.
    pub(crate) levels: [f64; 5],
    /// Of the low, medium and high tier; NaN where not measured.
    pub(crate) psi: [f64; 3],
}

/// Reads the log in the folder of a run.
pub(crate) fn read_log(run: &Path) -> Result<Vec<Logged>> {
    let path = run.join("log.csv");
    let reader = csv::ReaderBuilder::new().flexible(true).from_path(&path);
    let mut reader = reader.with_context(|| format!("{}: can't be read", shown(&path)))?;
    let head = reader.headers().with_context(|| format!("{}: can't be read", shown(&path)))?.clone();
    let mut rows = Vec::new();
    for row in reader.records() {
        let row = row.with_context(|| format!("{}: can't be read", shown(&path)))?;
        let value = |name: &str| {
            let text = head.iter().position(|column| column == name).and_then(|column| row.get(column));
            text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
        };
        let level = |stride: u32| value(&format!("stride_{stride}"));
        rows.push(Logged {
            step: value("step") as u64,
            loss: value("loss"),
            levels: [2, 4, 8, 16, 32].map(level),
            psi: ["psi_low", "psi_medium", "psi_high"].map(value),
        });
    }
    Ok(rows)
}

/// Trains with a progress bar, and draws the first views in the folder of the run.
pub(crate) fn with_progress<T, E: Into<anyhow::Error>>(
    run: &Path,
    work: impl FnOnce(&mut (dyn FnMut(Progress) -> ControlFlow<()> + Send)) -> Result<T, E>,
) -> Result<T> {
    let mut watched = Watched::new(run);
    let summary = work(&mut |event| {
        watched.show(event);
        ControlFlow::Continue(())
    });
    let drawn = watched.finish();
    let summary = summary.map_err(Into::into)?;
    // A picture that cannot be written does not stop a training.
    drawn?;
    Ok(summary)
}

/// Terminal output of a training run: progress bars, and the pictures in its folder.
pub(crate) struct Watched {
    bars: Bars,
    run: PathBuf,
    drawn: Result<()>,
}

impl Watched {
    /// For a training run in a folder.
    pub(crate) fn new(run: &Path) -> Self {
        Self { bars: Bars::default(), run: run.to_owned(), drawn: Ok(()) }
    }

    /// Shows what the training reports.
    pub(crate) fn show(&mut self, event: Progress) {
        self.bars.show(&event);
        let drawn = match event {
            // If no choice was made, it is reported at the end.
            Progress::Computing { scoring_and_loss, reason }
                if scoring_and_loss != "CPU" || reason.is_some() =>
            {
                let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                output::tell(format_args!("scoring, views and loss: {scoring_and_loss}{reason}"));
                return;
            }
            Progress::Views(examples) => pictures::write_views(&self.run, &examples).map(drop),
            Progress::Estimated { tuned, .. } => {
                crate::tune::write(&self.run.join("policy.toml"), &tuned).map(drop)
            }
            _ => return,
        };
        if self.drawn.is_ok() {
            self.drawn = drawn;
        }
    }

    /// Removes the bars; an error if a picture was not drawn.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.bars.finish();
        self.drawn
    }
}
