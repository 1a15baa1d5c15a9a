//! Training on images that nobody annotated but one, or a few: matching says where its landmarks are in the others, and networks
//! that learn from that say which of it to believe.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use infomark_core::Point;
use infomark_infer::{
    Encoder, Encoding, Fit, InputSize, LabelSource, Landmark, LandmarkNet, MatchOptions, Sighting, Template,
    list_images, match_encoding, match_templates, read_image, read_image_size, sha256, sha256_files,
};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::checkpoint;
use super::data::Labelled;
use super::import::Start;
use super::pseudo::{Limits, Pseudo, PseudoImage, count, doubt_disagreement, doubt_matches, median};
use super::run::{From, Job, LandmarkProgress, LandmarkSummary, Tell, fit};
use super::{LabelCount, LandmarkConfig};
use crate::checkpoint::{exists, write_atomically};
use crate::run::{in_threads, prepare};
use crate::{Budget, TrainError};

/// Name of the file in a run's folder that says what the run is made of.
const INDEX: &str = "self-train.json";
/// Name of a round's labels.
const LABELS: &str = "labels.json";
/// Name of a round's network.
const NETWORK: &str = "network.onnx";
/// Rounds of refining the template.
const REFINING: usize = 2;
/// How much longer the last round is than each before.
const LAST: f64 = 2.0;

/// Options of self-training. [`SelfTrainConfig::default`] is what `infomark self-train` runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SelfTrainConfig {
    /// Options of the network; its budget is that of all rounds together.
    pub network: LandmarkConfig,
    /// Networks that are trained, each from the encoder: the last one is the result, those before say which labels to believe.
    pub rounds: usize,
    /// Whether a single template is refined with the unlabelled images before it is matched to them
    /// ([`Template::refined`](infomark_infer::Template::refined)); several gain nothing by it.
    pub refine: bool,
    /// Distance from the mark, in pixels of the encoder's canvas, up to which a landmark that is matched back to the template
    /// (with several, its median) is believed.
    pub match_back: f64,
    /// How unusual a score, or a place beside the image's other landmarks, may be: multiples of the median over the images.
    pub outlier: f64,
    /// Distance, in pixels of the encoder's canvas, up to which a network and the matching agree.
    pub agreement: f64,
}

impl Default for SelfTrainConfig {
    fn default() -> Self {
        let network = LandmarkConfig { budget: Budget::Minutes(60.0), ..LandmarkConfig::default() };
        Self { network, rounds: 2, refine: true, match_back: 10.0, outlier: 3.5, agreement: 10.0 }
    }
}

impl SelfTrainConfig {
    /// Refuses what can't be trained with, naming the option.
    ///
    /// # Errors
    /// [`TrainError::Option`].
    pub fn check(&self) -> Result<(), TrainError> {
        self.network.check()?;
        if !(1..=16).contains(&self.rounds) {
            return Err(TrainError::Option { option: "rounds", needs: "1 to 16" });
        }
        for (option, value) in
            [("match_back", self.match_back), ("outlier", self.outlier), ("agreement", self.agreement)]
        {
            if !(value > 0.0 && value.is_finite()) {
                return Err(TrainError::Option { option, needs: "a finite number above 0" });
            }
        }
        Ok(())
    }

    fn limits(&self) -> Limits {
        let Self { match_back, outlier, agreement, .. } = *self;
        Limits { match_back, outlier, agreement }
    }

    /// The options of a round's network.
    fn of_round(&self, round: usize) -> LandmarkConfig {
        let all = (self.rounds - 1) as f64 + LAST;
        let share = if round + 1 == self.rounds { LAST / all } else { 1.0 / all };
        let budget = match self.network.budget {
            Budget::Steps(steps) => Budget::Steps(((steps as f64 * share).round() as u64).max(1)),
            Budget::Minutes(minutes) => Budget::Minutes(minutes * share),
        };
        // Each starts from other random weights of its own, so that networks do not share their errors.
        LandmarkConfig { budget, seed: self.network.seed.wrapping_add(round as u64), ..self.network.clone() }
    }
}

/// An annotated image.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotated {
    /// Its file.
    pub image: PathBuf,
    /// Its landmarks, in its pixels.
    pub landmarks: Vec<Landmark>,
}

/// Where self-training reads and writes.
#[derive(Clone, Debug)]
pub struct SelfTrainPaths {
    /// Folder of the unlabelled images.
    pub images: PathBuf,
    /// The encoder's file.
    pub encoder: PathBuf,
    /// The annotated images, at least one; they may be of the folder. All have the same landmarks, which the network has in the
    /// order of the first.
    pub templates: Vec<Annotated>,
    /// The network's file.
    pub out: PathBuf,
    /// Folder of the rounds; made when missing.
    pub run: PathBuf,
}

/// What self-training came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SelfTrainSummary {
    /// The last round's network.
    pub network: LandmarkSummary,
    /// Seconds of training in all rounds.
    pub seconds: f64,
    /// What became of each landmark's labels before each round.
    pub rounds: Vec<Vec<LabelCount>>,
}

/// What a run is made of.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Index {
    format: u32,
    config: SelfTrainConfig,
    images_sha256: String,
    encoder_sha256: String,
    templates: Vec<IndexTemplate>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct IndexTemplate {
    sha256: String,
    landmarks: Vec<(String, [f64; 2])>,
}

/// Trains a landmark network from one annotated image, or from several.
///
/// `tell` is called from the training thread and may stop the training; a checkpoint is saved then, and what was learnt in the
/// round that was stopped becomes the network.
///
/// # Errors
/// When an option, an image or a file is not usable, the run's folder already holds a run, or too few labels are believed.
pub fn self_train(
    config: &SelfTrainConfig,
    paths: &SelfTrainPaths,
    tell: Tell<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    config.check()?;
    if paths.run.join(INDEX).exists() || exists(&paths.run) {
        return Err(TrainError::Checkpoint {
            path: paths.run.join(INDEX),
            reason: "this folder holds a run already; resume it, or give another folder".into(),
        });
    }
    in_threads(config.network.threads, || run(Some(config), paths, tell))
}

/// Goes on with the run in `paths.run`, with the options it was started with.
///
/// # Errors
/// As [`self_train`], and when there is no run, it is damaged, or it was started with other images, another encoder or other
/// templates.
pub fn resume_self_train(
    paths: &SelfTrainPaths,
    threads: usize,
    tell: Tell<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    in_threads(threads, || run(None, paths, tell))
}

/// All that stays the same over the rounds.
struct Work<'a> {
    config: SelfTrainConfig,
    paths: &'a SelfTrainPaths,
    encoder: Encoder,
    files: Vec<PathBuf>,
    names: Vec<String>,
    templates: Vec<Known>,
}

/// A template.
struct Known {
    sha256: String,
    /// Which of the files it is.
    place: usize,
    /// In the order of the names.
    landmarks: Vec<Landmark>,
}

impl Work<'_> {
    fn template_at(&self, place: usize) -> Option<&Known> {
        self.templates.iter().find(|template| template.place == place)
    }
}

fn run(
    config: Option<&SelfTrainConfig>,
    paths: &SelfTrainPaths,
    tell: Tell<'_>,
) -> Result<SelfTrainSummary, TrainError> {
    let work = begin(config, paths)?;
    let inputs: Vec<&Path> = std::iter::once(paths.encoder.as_path())
        .chain(paths.templates.iter().map(|template| template.image.as_path()))
        .collect();
    let _lock = prepare(&paths.out, &paths.run, &paths.images, &inputs)?;
    let rounds = work.config.rounds;
    let mut counts = Vec::new();
    let mut earlier: Option<(PathBuf, Vec<PseudoImage>)> = None;
    let (mut last, mut seconds) = (None, 0.0);
    for round in 0..rounds {
        let dir = paths.run.join(format!("round-{round}"));
        fs::create_dir_all(&dir).map_err(TrainError::file(&dir, "can't make the folder"))?;
        let labels = match read_labels(&dir)? {
            Some(labels) => labels,
            None => {
                let labels = match earlier.take() {
                    None => matched(&work, tell)?,
                    Some((network, labels)) => relabelled(&work, &network, labels, round, tell)?,
                };
                let json = serde_json::to_vec_pretty(&labels).map_err(TrainError::internal("labels"))?;
                write_atomically(&dir.join(LABELS), &json)?;
                labels
            }
        };
        let counted = count(&work.names, &labels);
        // Stopping is honoured at the next step.
        let _ = tell(LandmarkProgress::Labels { round, rounds, labels: counted.clone() });
        if let Some(none) = counted.iter().find(|count| count.kept == 0) {
            let images = work.files.len() - work.templates.len();
            return Err(TrainError::Labels { landmark: none.landmark.clone(), images });
        }
        counts.push(counted);
        let network = dir.join(NETWORK);
        let (bytes, summary) = train_round(&work, round, &dir, &labels, tell)?;
        write_atomically(&network, &bytes)?;
        seconds += summary.seconds;
        let stopped = summary.stopped;
        last = Some((bytes, summary));
        if stopped {
            break;
        }
        earlier = Some((network, labels));
    }
    let (bytes, network) = last.ok_or_else(|| TrainError::internal("rounds")("there was none"))?;
    write_atomically(&paths.out, &bytes)?;
    Ok(SelfTrainSummary { network, seconds, rounds: counts })
}

/// Opens what is given, and writes down what the run is made of, or compares it.
fn begin<'a>(config: Option<&SelfTrainConfig>, paths: &'a SelfTrainPaths) -> Result<Work<'a>, TrainError> {
    let encoder = Encoder::load(&paths.encoder)?;
    let mut files = list_images(&paths.images)?;
    let unlabelled = files.len();
    let mut templates: Vec<Known> = Vec::new();
    for template in &paths.templates {
        let known = place(template, paths, &mut files)?;
        if templates.iter().any(|other| other.place == known.place) {
            let reason = "this template is given twice; give each once".to_owned();
            return Err(TrainError::Templates { image: template.image.clone(), reason });
        }
        templates.push(known);
    }
    let Some(first) = templates.first() else {
        return Err(TrainError::Option { option: "templates", needs: "at least one annotated image" });
    };
    let names: Vec<String> = first.landmarks.iter().map(|landmark| landmark.name.clone()).collect();
    if files.len() <= templates.len() {
        let found = unlabelled.saturating_sub(templates.len());
        return Err(TrainError::TooFew { dir: paths.images.clone(), found, needed: 1 });
    }
    let path = paths.run.join(INDEX);
    let refuse = |reason: String| TrainError::Checkpoint { path: path.clone(), reason };
    let written: Option<Index> = match config {
        Some(_) => None,
        None => {
            let bytes = fs::read(&path).map_err(|error| match error.kind() {
                std::io::ErrorKind::NotFound => refuse(
                    "no run of self-training here; give the folder that it wrote, ending in .run".into(),
                ),
                _ => TrainError::file(&path, "can't read")(error),
            })?;
            let index = serde_json::from_slice(&bytes);
            Some(index.map_err(|e| refuse(format!("not of this version ({e}); start a new run elsewhere")))?)
        }
    };
    let config = config.or(written.as_ref().map(|index| &index.config));
    let config = config.cloned().ok_or_else(|| TrainError::internal("self-training")("no options"))?;
    let index = Index {
        format: 2,
        config: config.clone(),
        images_sha256: sha256_files(&files)
            .map_err(TrainError::file(&paths.images, "can't read the images"))?,
        encoder_sha256: encoder.sha256().to_owned(),
        templates: templates.iter().map(written_template).collect(),
    };
    match written {
        Some(written) if written != index => {
            let other = match () {
                () if written.images_sha256 != index.images_sha256 => "images",
                () if written.encoder_sha256 != index.encoder_sha256 => "an encoder",
                () => "templates",
            };
            return Err(refuse(format!(
                "the run was started with {other} other than given; give the same, or start a new run elsewhere"
            )));
        }
        Some(_) => config.check().map_err(|error| refuse(error.to_string()))?,
        None => {
            fs::create_dir_all(&paths.run).map_err(TrainError::file(&paths.run, "can't make the folder"))?;
            let json = serde_json::to_vec_pretty(&index).map_err(TrainError::internal("self-training"))?;
            write_atomically(&path, &json)?;
        }
    }
    Ok(Work { config, paths, encoder, files, names, templates })
}

/// Finds a template among the files, or adds it to them, and puts its landmarks in the order of the first template's.
fn place(
    template: &Annotated,
    paths: &SelfTrainPaths,
    files: &mut Vec<PathBuf>,
) -> Result<Known, TrainError> {
    let hash = |path: &Path| -> Result<String, TrainError> {
        Ok(sha256(&fs::read(path).map_err(TrainError::file(path, "can't read"))?))
    };
    let sha256 = hash(&template.image)?;
    let length = |path: &Path| fs::metadata(path).map(|data| data.len()).ok();
    let is_own = |path: &PathBuf| {
        length(path) == length(&template.image) && hash(path).is_ok_and(|hash| hash == sha256)
    };
    let place = match files.iter().position(is_own) {
        Some(place) => place,
        None => {
            files.push(template.image.clone());
            files.len() - 1
        }
    };
    let refuse = |reason: String| TrainError::Templates { image: template.image.clone(), reason };
    let first = paths.templates.first().map(|first| &first.landmarks[..]).unwrap_or_default();
    let named = |name: &str| template.landmarks.iter().find(|landmark| landmark.name == name).cloned();
    let landmarks = first.iter().map(|landmark| {
        named(&landmark.name).ok_or_else(|| {
            let name = &landmark.name;
            refuse(format!(
                "landmark {name} of the first template is missing here; mark the same ones in all"
            ))
        })
    });
    let landmarks = landmarks.collect::<Result<Vec<_>, _>>()?;
    match template.landmarks.iter().find(|landmark| first.iter().all(|other| other.name != landmark.name)) {
        Some(Landmark { name, .. }) => {
            Err(refuse(format!("the first template lacks its landmark {name}; mark the same ones in all")))
        }
        None => Ok(Known { sha256, place, landmarks }),
    }
}

fn written_template(template: &Known) -> IndexTemplate {
    let landmarks = template.landmarks.iter().map(|l| (l.name.clone(), [l.at.x, l.at.y])).collect();
    IndexTemplate { sha256: template.sha256.clone(), landmarks }
}

fn read_labels(dir: &Path) -> Result<Option<Vec<PseudoImage>>, TrainError> {
    let path = dir.join(LABELS);
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(&path).map_err(TrainError::file(&path, "can't read"))?;
    let labels = serde_json::from_slice(&bytes);
    labels.map(Some).map_err(|e| TrainError::Checkpoint {
        path,
        reason: format!("not the labels of a round ({e}); start a new run in another folder"),
    })
}

/// The network of a round: trained from the encoder, or from where it was interrupted.
fn train_round(
    work: &Work<'_>,
    round: usize,
    dir: &Path,
    labels: &[PseudoImage],
    tell: Tell<'_>,
) -> Result<(Vec<u8>, LandmarkSummary), TrainError> {
    let labelled = |(path, image): (&PathBuf, &PseudoImage)| Labelled {
        path: path.clone(),
        labels: image.landmarks.iter().map(Pseudo::label).collect(),
    };
    let images: Vec<Labelled> = work
        .files
        .iter()
        .zip(labels)
        .map(labelled)
        .filter(|image| image.labels.iter().any(Option::is_some))
        .collect();
    let kept =
        labels.iter().flat_map(|image| &image.landmarks).filter(|pseudo| pseudo.doubt.is_none()).count();
    let job = Job {
        names: &work.names,
        images: &images,
        source: LabelSource::Matched {
            templates_sha256: work.templates.iter().map(|template| template.sha256.clone()).collect(),
            rounds: round + 1,
            kept: [kept, labels.len() * work.names.len()],
        },
        run: dir.to_owned(),
        chosen: None,
    };
    let from = if exists(dir) {
        From::Checkpoint(Box::new(checkpoint::position(dir)?))
    } else {
        From::Fresh(Box::new(work.config.of_round(round)), Ok(Box::new(Start::read(&work.paths.encoder)?)))
    };
    fit(&job, from, &mut |progress| tell(progress))
}

/// Reads an image and encodes it.
fn encode(encoder: &Encoder, path: &Path) -> Result<Encoding, TrainError> {
    Ok(encoder.encode(&read_image(path)?)?)
}

/// Does something with every image, in threads, and tells of it.
fn with_each<T: Send>(
    files: &[PathBuf],
    tell: Tell<'_>,
    one: impl Fn(usize, &Path) -> Result<T, TrainError> + Sync,
) -> Result<Vec<T>, TrainError> {
    let (done, told) = (AtomicUsize::new(0), Mutex::new(tell));
    let each = files.par_iter().enumerate().map(|(place, path)| {
        let result = one(place, path)?;
        if let Ok(mut tell) = told.lock() {
            let done = 1 + done.fetch_add(1, Ordering::Relaxed);
            // Stopping is honoured at the next step.
            let _: ControlFlow<()> = tell(LandmarkProgress::Labelling { done, total: files.len() });
        }
        Ok(result)
    });
    each.collect()
}

/// The templates' landmarks in every image, matched there and back.
fn matched(work: &Work<'_>, tell: Tell<'_>) -> Result<Vec<PseudoImage>, TrainError> {
    let around = |e: infomark_infer::TemplateError| TrainError::Template(Box::new(e));
    let failed = |e: infomark_infer::MatchError| TrainError::Match(Box::new(e));
    let on_canvas = |encoding: &Encoding, at: &[Landmark]| -> Vec<Point<f64>> {
        at.iter().map(|landmark| encoding.fit().push(landmark.at)).collect()
    };
    let mut templates = Vec::new();
    let mut own = Vec::new();
    for known in &work.templates {
        let path = work.files.get(known.place).ok_or_else(|| TrainError::internal("templates")("no file"))?;
        let encoding = encode(&work.encoder, path)?;
        templates.push(Template::from_encoding(&encoding, &known.landmarks).map_err(around)?);
        let marked = on_canvas(&encoding, &known.landmarks);
        own.push((encoding, marked));
    }
    if let ([template], true) = (&mut templates[..], work.config.refine) {
        let annotated = template.clone();
        for _ in 0..REFINING {
            let sight = |place: usize, path: &Path| match work.template_at(place) {
                Some(_) => Ok(None),
                None => template.sight(&encode(&work.encoder, path)?).map(Some).map_err(failed),
            };
            let sightings = with_each(&work.files, tell, sight)?;
            *template = annotated.refined(&sightings.into_iter().flatten().collect::<Vec<Sighting>>());
        }
    }
    let templates: Vec<&Template> = templates.iter().collect();
    let one = |place: usize, path: &Path| {
        if let Some(known) = work.template_at(place) {
            let marked = known.landmarks.iter().map(|l| Pseudo::marked(l.at)).collect();
            return Ok((marked, on_canvas(&encode(&work.encoder, path)?, &known.landmarks)));
        }
        let encoding = encode(&work.encoder, path)?;
        let found = match_templates(&templates, &encoding, MatchOptions::default()).map_err(failed)?;
        let as_template: Vec<Landmark> =
            found.iter().map(|found| Landmark::new(&found.name, found.at)).collect();
        let back = Template::from_encoding(&encoding, &as_template).map_err(around)?;
        // How far each landmark comes out from the mark, template by template.
        let mut distances = vec![Vec::with_capacity(own.len()); found.len()];
        for (own, marked) in &own {
            let back = match_encoding(&back, own, MatchOptions::default()).map_err(failed)?;
            for ((distances, back), marked) in distances.iter_mut().zip(&back).zip(marked) {
                let at = own.fit().push(back.at);
                distances.push((at.x - marked.x).hypot(at.y - marked.y));
            }
        }
        let pseudo = |(found, distances): (&infomark_infer::Found, Vec<f64>)| Pseudo {
            score: found.score,
            back: median(distances).unwrap_or(f64::INFINITY),
            ..Pseudo::marked(found.at)
        };
        let pseudos: Vec<Pseudo> = found.iter().zip(distances).map(pseudo).collect();
        Ok((pseudos, on_canvas(&encoding, &as_template)))
    };
    let each: Vec<(Vec<Pseudo>, Vec<Point<f64>>)> = with_each(&work.files, tell, one)?;
    let (pseudos, places): (Vec<_>, Vec<_>) = each.into_iter().unzip();
    let image = |(place, (landmarks, path)): (usize, (Vec<Pseudo>, &PathBuf))| PseudoImage {
        image: path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned(),
        is_template: work.template_at(place).is_some(),
        landmarks,
    };
    let mut images: Vec<PseudoImage> = pseudos.into_iter().zip(&work.files).enumerate().map(image).collect();
    let marked = own.first().map(|(_, marked)| &marked[..]).unwrap_or_default();
    doubt_matches(&mut images, &places, marked, work.config.limits());
    Ok(images)
}

/// The labels after a round: what its network says, where it agrees with what was matched.
fn relabelled(
    work: &Work<'_>,
    network: &Path,
    mut images: Vec<PseudoImage>,
    round: usize,
    tell: Tell<'_>,
) -> Result<Vec<PseudoImage>, TrainError> {
    let net = LandmarkNet::load(network)?;
    debug_assert!(round > 0);
    let input = work.encoder.description().input;
    let known = &images;
    let one = |place: usize, path: &Path| {
        let image = read_image(path)?;
        let fit = fit_of(path, input)?;
        let found = net.find(&image)?;
        let places: Vec<_> = found.iter().map(|found| fit.push(found.at)).collect();
        let matched = known.get(place).map(|image| {
            image
                .landmarks
                .iter()
                .map(|pseudo| fit.push(Point::new(pseudo.matched[0], pseudo.matched[1])))
                .collect()
        });
        let at: Vec<_> = found.iter().map(|found| (found.at, found.probability)).collect();
        Ok((places, matched.unwrap_or_default(), at))
    };
    let each = with_each(&work.files, tell, one)?;
    let mut found: Vec<Vec<Point<f64>>> = Vec::new();
    let mut matched: Vec<Vec<Point<f64>>> = Vec::new();
    let mut at = Vec::new();
    for (places, before, points) in each {
        found.push(places);
        matched.push(before);
        at.push(points);
    }
    doubt_disagreement(&mut images, &found, &matched, &at, work.config.limits());
    Ok(images)
}

/// Where an image lies on the canvas.
fn fit_of(path: &Path, input: InputSize) -> Result<Fit, TrainError> {
    let (width, height) = read_image_size(path)?;
    Fit::new(width, height, input)
        .map_err(|error| TrainError::Fit { file: path.display().to_string(), error })
}
