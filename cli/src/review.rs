//! `infomark review`: a local page to place, match, correct and accept landmarks.

mod add;
mod curve;
mod engine;
mod export;
mod guard;
mod images;
mod import;
mod learn;
mod measure;
mod next;
mod picture;
mod recognise;
mod refusal;
mod rounds;
mod routes;
mod search;
mod second;
mod server;
mod state;
mod store;
mod train;
mod work;
mod zip;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use infomark_infer::Scheme;

use crate::files;
use crate::interrupt;
use crate::measure::SchemeOption;
use crate::models::RuntimeOptions;
use crate::output::{self, Report, file_name, shown};
use crate::progress::lock;
use crate::spacing;
use engine::{Engine, EngineOptions};
use guard::Guard;
use images::Images;
use next::Ranked;
use recognise::Proposal;
use refusal::Refusal;
use second::SecondReader;
use state::Event;
use store::Store;
use train::Unfinished;
use work::Job;

/// Place, match, correct and accept landmarks on a local page in the browser.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  infomark review cephalograms/ --model ceph --scheme ceph
  infomark review radiographs/ --model encoder.onnx
  infomark review radiographs/ --learn-steps 800
  infomark review cephalograms/ --scheme ceph
  infomark review radiographs/ --session b.review --compare radiographs.review

The page is at 127.0.0.1 and needs the token in the address that is printed; nothing leaves the machine. Every change is saved at once in
--session DIR, from where the same command goes on after whatever ended it. Nothing is written beside the images; those that are
dropped on the page are copied into --session DIR.
Key ? shows the keys. docs/review.md says more.")]
pub(crate) struct Options {
    /// Folder of the images
    #[arg(value_name = "DIR")]
    images: PathBuf,
    /// Model to match with: an encoder of `infomark train`, a learned model (.infomark), which has landmarks as well, or `ceph`, `chest`
    /// or `hand`; without it the page can train an encoder on the images
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    #[command(flatten)]
    runtime: RuntimeOptions,
    /// Template file, or `ceph`, `chest` or `hand`, to match with besides the images annotated on the page [default: those of the
    /// --model if the landmarks are those of its scheme]
    #[arg(long = "template", value_name = "FILE", requires = "model")]
    templates: Vec<PathBuf>,
    #[command(flatten)]
    scheme: SchemeOption,
    /// Initial landmarks of images of the folder, in any format
    #[arg(long, value_name = "FILE")]
    landmarks: Option<PathBuf>,
    /// Second reader to compare with: a landmark file in any format, or the folder of another review of these images
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Folder of the review [default: DIR.review, beside DIR]
    #[arg(long, value_name = "DIR")]
    session: Option<PathBuf>,
    /// Millimetres per pixel across and down, for all images, overriding their files
    #[arg(long, num_args = 2, value_names = ["X", "Y"])]
    spacing: Option<Vec<f64>>,
    /// Rotate images by quarter turns, or mirror them, to the template's orientation before matching
    #[arg(long)]
    fix_orientation: bool,
    /// Default number of steps of an encoder trained on the page
    #[arg(long, value_name = "N", default_value_t = train::STEPS, value_parser = clap::value_parser!(u64).range(1..=train::MOST_STEPS))]
    learn_steps: u64,
    /// Steps of each landmark network learnt from accepted images [default: 200 to 600, by their number]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=train::MOST_STEPS))]
    network_steps: Option<u64>,
    /// Port; 0 for any free one
    #[arg(long, value_name = "N", default_value_t = 0)]
    port: u16,
    /// Print the address without opening a browser
    #[arg(long)]
    no_open: bool,
}

/// State shared by requests and background work.
struct App {
    guard: Guard,
    /// Folder of the images.
    folder: PathBuf,
    session: PathBuf,
    /// Whether the encoder was given at the start.
    is_model_given: bool,
    /// Detector; `None` without an encoder.
    engine: Mutex<Option<Arc<Engine>>>,
    how: EngineOptions,
    steps: Steps,
    /// How well a bundled encoder suits the images, once checked.
    proposal: Mutex<Option<Proposal>>,
    /// An incomplete training of an encoder.
    unfinished: Mutex<Option<Unfinished>>,
    ranked: Mutex<Option<Ranked>>,
    scheme: Option<Scheme>,
    second: Option<SecondReader>,
    /// Landmarks of the given templates.
    fixed: Vec<String>,
    store: Mutex<Store>,
    images: Mutex<Images>,
    job: Mutex<Job>,
    stop_job: AtomicBool,
}

/// Steps of trainings on the page.
struct Steps {
    encoder: u64,
    /// Of each landmark network; `None`: by the number of images.
    networks: Option<u64>,
}

impl App {
    fn engine(&self) -> Option<Arc<Engine>> {
        lock(&self.engine).clone()
    }

    /// The engine, or an error without one.
    fn need_engine(&self) -> Result<Arc<Engine>, Refusal> {
        self.engine().ok_or_else(|| {
            Refusal::bad(
                "this needs an encoder: train one on these images, or start `infomark review` with --model FILE, or --model ceph",
            )
        })
    }

    fn set_engine(&self, engine: Engine) {
        *lock(&self.engine) = Some(Arc::new(engine));
    }
}

/// Output of `--json`.
#[derive(serde::Serialize)]
struct Begun {
    address: String,
    session: String,
    images: usize,
}

pub(crate) fn run(options: &Options, threads: usize, report: &Report) -> Result<()> {
    let given = options.spacing.as_deref().map(spacing::given).transpose()?;
    let scheme = options.scheme.load()?;
    let (runtime, fix_orientation) = (options.runtime.clone(), options.fix_orientation);
    let how = EngineOptions { runtime, threads, fix_orientation, spacing: given };
    let of_scheme = scheme.as_ref().map(Scheme::names).unwrap_or_default();
    let engine = options.model.as_ref().map(|path| match &options.templates[..] {
        [] => how.engine_for(path, &of_scheme),
        templates => how.engine(path, templates),
    });
    let engine = engine.transpose()?;
    let session = session_folder(options)?;
    let mut fixed: Vec<String> = Vec::new();
    for name in engine.iter().flat_map(|engine| &engine.given).flat_map(|template| template.landmarks()) {
        if !fixed.contains(name) {
            fixed.push(name.clone());
        }
    }
    // Images may be added later to an empty folder, there or on the page.
    match infomark_infer::list_folder(&options.images) {
        Ok(listing) => listing.warning().iter().for_each(output::warn),
        Err(infomark_infer::ImageError::NoImages { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    let second = |path: &PathBuf| SecondReader::read(path, &options.images, &session, scheme.as_ref());
    let second = options.compare.as_ref().map(second).transpose()?;
    let mut store = Store::open(&session, &options.images)?;
    let engine = match engine {
        None => {
            let names = [&of_scheme[..], &store.state().setup.names].concat();
            train::kept_engine(store.state(), &session, |path| how.engine_for(path, &names))
        }
        given => given,
    };
    // What was removed on the page stays removed.
    let kept = of_scheme.into_iter().filter(|name| !store.state().removed.contains_key(name));
    let names: Vec<String> = kept.chain(fixed.iter().cloned()).collect();
    let setup = store.state().with_names(names.iter().map(String::as_str));
    let mut setup = setup.map_err(|refusal| anyhow::anyhow!(refusal.error))?;
    if let Some(scheme) = &scheme {
        scheme.sort_by_name(&mut setup.names, |name| name);
    }
    if setup != store.state().setup {
        store.commit(Event::Setup(setup)).map_err(|refusal| anyhow::anyhow!(refusal.error))?;
    }
    let listener = server::listen(options.port)?;
    let port = listener.local_addr().context("the port is not known")?.port();
    let app = Arc::new(App {
        guard: Guard::new(port)?,
        folder: options.images.clone(),
        session: session.clone(),
        is_model_given: options.model.is_some(),
        engine: Mutex::new(engine.map(Arc::new)),
        how,
        steps: Steps { encoder: options.learn_steps, networks: options.network_steps },
        proposal: Mutex::default(),
        unfinished: Mutex::new(train::unfinished(&session)),
        ranked: Mutex::default(),
        scheme,
        second,
        fixed,
        store: Mutex::new(store),
        images: Mutex::default(),
        job: Mutex::default(),
        stop_job: AtomicBool::new(false),
    });
    let count = images::list(&app)?;
    if let Some(file) = &options.landmarks {
        images::look(&app);
        let bytes = files::bytes(file)?;
        let image = lock(&app.images).all.iter().find(|known| same_stem(&known.name, file)).cloned();
        let taken = import::take_landmarks(&app, &bytes, &shown(file), image.as_ref());
        taken.map_err(|refusal| anyhow::anyhow!(refusal.error))?;
    }
    let stop = interrupt::flag();
    let (looking, stopped) = (Arc::clone(&app), Arc::clone(&stop));
    std::thread::spawn(move || images::watch(&looking, &stopped));
    let begun = Begun { address: app.guard.address(), session: shown(&session), images: count };
    let images =
        if count == 0 { "no images yet; drop some on the page".into() } else { format!("{count} images") };
    report.text(&format!("{}\n{images}; saved in {}; Ctrl-C ends it", begun.address, begun.session))?;
    report.json(&begun)?;
    if !options.no_open {
        open(&app)?;
    }
    server::serve(listener, Arc::new(routes::Site(Arc::clone(&app))), &stop)?;
    app.stop_job.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    // A training saves a checkpoint.
    while lock(&app.job).running && begun.elapsed() < LAST_STEP {
        std::thread::sleep(Duration::from_millis(50));
    }
    let _ = std::fs::remove_file(session.join(OPENER));
    lock(&app.store).fold()
}

/// Time limit for work in progress at the end.
const LAST_STEP: Duration = Duration::from_secs(20);

fn same_stem(image: &str, file: &Path) -> bool {
    let stem = Path::new(image).file_stem().map(|stem| stem.to_string_lossy().into_owned());
    stem.is_some_and(|stem| file_name(file).strip_prefix(&stem).is_some_and(|rest| rest.starts_with('.')))
}

/// The folder of the review, by default beside that of the images.
fn session_folder(options: &Options) -> Result<PathBuf> {
    let folder = output::identity(&options.images);
    if let Some(session) = &options.session {
        if output::identity(session) == folder {
            bail!("{}: the folder of the images; give --session another one", shown(session));
        }
        return Ok(session.clone());
    }
    match (folder.parent(), folder.file_name()) {
        (Some(parent), Some(name)) => Ok(parent.join(format!("{}.review", name.to_string_lossy()))),
        _ => bail!("{}: it has no folder above it; give --session", shown(&options.images)),
    }
}

/// Page that forwards to the address, opened in the browser.
const OPENER: &str = "open.html";

/// Opens the browser. The token is in a file that only its owner can read, as command lines are visible to all.
fn open(app: &App) -> Result<()> {
    let path = output::identity(&app.session).join(OPENER);
    let page = format!(
        "<!doctype html><meta name=\"referrer\" content=\"no-referrer\"><meta http-equiv=\"refresh\" content=\"0;url={}\">",
        app.guard.address()
    );
    // Temporary files are private.
    let mut file = tempfile::NamedTempFile::new_in(&app.session).context("can't write the page's address")?;
    std::io::Write::write_all(&mut file, page.as_bytes())?;
    file.persist(&path).with_context(|| format!("{}: can't be written", shown(&path)))?;
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut command = Command::new(program);
    let started = command.arg(&path).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        output::tell(format_args!("no browser could be started; open the address above"));
    }
    Ok(())
}
