//! Trainings whose budget is minutes, on a clock that the tests set.

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use infomark_infer::DataSet;
use infomark_phantom::Phantom;

use crate::clock::Clock;
use crate::landmark::{resume_landmarks_by, self_train_by, train_landmarks_by};
use crate::run::{resume_by, train_by};
use crate::{
    Budget, ComputeOn, LandmarkConfig, LandmarkPaths, Paths, Progress, Scoring, SelfTrainConfig,
    SelfTrainPaths, TemplateImage, TrainConfig, train,
};

type Outcome = Result<(), Box<dyn Error>>;

const STEP: Duration = Duration::from_secs(30);
const SCORING: Duration = Duration::from_secs(1000);
const SIZE: (usize, usize) = (96, 128);

/// A clock that stands still but for what the test lets pass.
#[derive(Clone)]
struct TestClock {
    millis: Arc<AtomicU64>,
    first_step: Arc<AtomicU64>,
}

impl TestClock {
    /// A clock at an arbitrary time. The first step of the training takes `first_step`.
    fn new(first_step: Duration) -> Self {
        let clock = Self { millis: Arc::new(AtomicU64::new(123_456)), first_step: Arc::default() };
        clock.take_for_first_step(first_step);
        clock
    }

    /// Time of the step after the next reading of the clock, which is that at a training's start.
    fn take_for_first_step(&self, time: Duration) {
        self.first_step.store(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn pass(&self, time: Duration) {
        self.millis.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || {
            let now = clock.millis.load(Ordering::Relaxed);
            clock.pass(Duration::from_millis(clock.first_step.swap(0, Ordering::Relaxed)));
            Duration::from_millis(now)
        })
    }
}

/// Reported figures of a step.
#[derive(Debug, PartialEq)]
struct Told {
    step: u64,
    fraction: f64,
    seconds_left: f64,
    images_per_second: f64,
}

/// Keeps what is reported, lets the next step take `time`, and stops after step `last`.
fn noting<'a>(
    clock: &'a TestClock,
    time: Duration,
    last: u64,
    told: &'a mut Vec<Told>,
) -> impl FnMut(Progress) -> ControlFlow<()> + Send + 'a {
    move |progress| {
        match progress {
            Progress::Step { step, fraction, seconds_left, images_per_second, .. } => {
                told.push(Told { step, fraction, seconds_left, images_per_second });
                clock.pass(time);
                if step == last {
                    return ControlFlow::Break(());
                }
            }
            Progress::Scored { .. } => clock.pass(SCORING),
            Progress::Labels { .. } => clock.take_for_first_step(time),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// A training of moments for so many minutes of the clock.
fn small(minutes: f64) -> TrainConfig {
    TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Minutes(minutes);
        o.model.input_area = SIZE.0 * SIZE.1;
        o.model.channels = [8, 8, 16, 16, 16];
        o.model.embedding = 8;
        o.sampling.batch = 2;
        o.sampling.view_size = 64;
        o.sampling.pixels = 16;
        o.schedule.warm_up = 1;
        o.schedule.checkpoint_every = 1;
        o.threads = 2;
    })
}

fn small_landmarks(minutes: f64) -> LandmarkConfig {
    LandmarkConfig::default().with(|o| {
        o.schedule.budget = Budget::Minutes(minutes);
        o.model.input_area = SIZE.0 * SIZE.1;
        o.model.channels = [8, 8, 16, 16, 16];
        o.model.hidden = 16;
        o.batch = 2;
        o.schedule.warm_up = 1;
        o.schedule.checkpoint_every = 3;
        o.threads = 2;
    })
}

/// A data folder `data` of made-up radiographs.
fn phantoms(root: &Path) -> Outcome {
    Ok(Phantom::new(SIZE.0, SIZE.1)?.write_data_folder(&root.join("data"), 1, 4, 1.0)?)
}

fn paths(root: &Path, name: &str) -> Paths {
    Paths {
        images: root.join("data/images"),
        out: root.join(format!("{name}.onnx")),
        run: root.join(name),
        score: None,
    }
}

fn landmark_paths(root: &Path, name: &str) -> LandmarkPaths {
    LandmarkPaths {
        data: root.join("data"),
        images: None,
        encoder: None,
        out: root.join(format!("{name}.onnx")),
        run: root.join(name),
    }
}

/// A column of a run's log.
fn column(run: &Path, name: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let log = fs::read_to_string(run.join("log.csv"))?;
    let mut lines = log.lines();
    let place = lines.next().and_then(|head| head.split(',').position(|column| column == name));
    let place = place.ok_or("no such column")?;
    lines.map(|line| Ok(line.split(',').nth(place).ok_or("a short line")?.parse()?)).collect()
}

fn are_close(values: &[f64], wanted: &[f64], tolerance: f64) -> bool {
    values.len() == wanted.len() && values.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= tolerance)
}

/// Reported figures of steps of 30 seconds, of two minutes, with batches of two.
fn of_two_minutes() -> Vec<Told> {
    let told = |step| {
        let used = step as f64 * 30.0;
        Told { step, fraction: used / 120.0, seconds_left: 120.0 - used, images_per_second: 2.0 / 30.0 }
    };
    (1..=4).map(told).collect()
}

/// Factors of the learning rate at 0, 1/4, 1/2 and 3/4 of the budget: a cosine from 1 to 0.02.
const RATES: [f64; 4] = [1.0, 0.856_48, 0.51, 0.163_52];

#[test]
fn two_minutes_are_four_steps_of_thirty_seconds() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    let (clock, mut told) = (TestClock::new(STEP), Vec::new());
    let (config, paths) = (small(2.0), paths(root.path(), "run"));
    let summary = train_by(&clock.clock(), &config, &paths, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!(told, of_two_minutes());
    assert_eq!((summary.steps, summary.seconds), (4, 120.0));
    assert!(!summary.stopped && !summary.stopped_early);
    assert_eq!(column(&paths.run, "seconds")?, [30.0, 60.0, 90.0, 120.0]);
    let rates: Vec<f64> = column(&paths.run, "learning_rate")?;
    let rates: Vec<f64> = rates.iter().map(|rate| rate / config.optimiser.learning_rate).collect();
    assert!(are_close(&rates, &RATES, 1e-3), "{rates:?}");
    Ok(())
}

#[test]
fn a_step_that_begins_within_the_budget_ends_beyond_it() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    // The second of the steps begins when nearly nothing is left.
    let (clock, mut told) = (TestClock::new(Duration::from_millis(119_900)), Vec::new());
    let (config, paths) = (small(2.0), paths(root.path(), "run"));
    let summary = train_by(&clock.clock(), &config, &paths, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!(summary.steps, 2);
    assert!((summary.seconds - 149.9).abs() < 1e-9, "{} s", summary.seconds);
    assert!(told[1].seconds_left == 0.0 && told[1].fraction > 1.0, "{told:?}");
    let rates: Vec<f64> = column(&paths.run, "learning_rate")?;
    assert!(
        (rates[1] / config.optimiser.learning_rate - 0.02).abs() < 1e-4,
        "the schedule ends at {rates:?}"
    );
    Ok(())
}

#[test]
fn scoring_takes_nothing_of_the_minutes() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    let score = Some(Scoring { data: root.path().join("data"), templates: 1 });
    let paths = Paths { score, ..paths(root.path(), "run") };
    let (clock, mut told) = (TestClock::new(STEP), Vec::new());
    let summary = train_by(&clock.clock(), &small(2.0), &paths, &mut noting(&clock, STEP, 2, &mut told))?;
    assert!(summary.stopped);
    assert_eq!((summary.steps, summary.seconds, summary.scores.len()), (2, 60.0, 2));

    // As if it had been interrupted before the second score, which is made up for first.
    let scores = paths.run.join("scores.csv");
    let text = fs::read_to_string(&scores)?;
    let first: Vec<&str> = text.lines().take(2).collect();
    fs::write(&scores, first.join("\n") + "\n")?;
    clock.take_for_first_step(STEP);
    let summary =
        resume_by(&clock.clock(), &paths, 2, ComputeOn::Auto, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!(told, of_two_minutes());
    assert_eq!((summary.steps, summary.seconds), (4, 120.0));
    let scored: Vec<u64> = summary.scores.iter().map(|(step, _)| *step).collect();
    assert_eq!(scored, [2, 3, 4]);
    Ok(())
}

#[test]
fn a_run_that_is_interrupted_at_half_of_its_minutes_does_the_rest_with_the_same_bits() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    let (clock, mut told) = (TestClock::new(STEP), Vec::new());
    let whole = paths(root.path(), "whole");
    train_by(&clock.clock(), &small(2.0), &whole, &mut noting(&clock, STEP, 99, &mut told))?;

    let (clock, mut told) = (TestClock::new(STEP), Vec::new());
    let cut = paths(root.path(), "cut");
    let summary = train_by(&clock.clock(), &small(2.0), &cut, &mut noting(&clock, STEP, 2, &mut told))?;
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (2, 60.0, true));
    // On another day, and with a clock that begins elsewhere.
    let clock = TestClock::new(STEP);
    clock.pass(Duration::from_secs(100_000));
    let summary =
        resume_by(&clock.clock(), &cut, 2, ComputeOn::Auto, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!(told, of_two_minutes());
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (4, 120.0, false));
    for name in ["seconds", "learning_rate"] {
        assert_eq!(column(&cut.run, name)?, column(&whole.run, name)?, "{name}");
    }
    assert!(fs::read(&cut.out)? == fs::read(&whole.out)?, "a resumed training gives other bits");
    Ok(())
}

#[test]
fn a_clock_that_stands_still_gives_finite_figures_and_ends_no_budget() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    let (clock, mut told) = (TestClock::new(Duration::ZERO), Vec::new());
    let paths = paths(root.path(), "run");
    let summary =
        train_by(&clock.clock(), &small(2.0), &paths, &mut noting(&clock, Duration::ZERO, 5, &mut told))?;
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (5, 0.0, true));
    assert_eq!(told.len(), 5);
    for told in &told {
        assert_eq!((told.fraction, told.seconds_left), (0.0, 120.0));
        assert!(told.images_per_second.is_finite(), "{told:?}");
    }
    assert!(column(&paths.run, "images_per_second")?.iter().all(|speed| speed.is_finite()));

    let (clock, mut told) = (TestClock::new(Duration::ZERO), Vec::new());
    let paths = landmark_paths(root.path(), "landmarks");
    let summary = train_landmarks_by(
        &clock.clock(),
        &small_landmarks(2.0),
        &paths,
        &mut noting(&clock, Duration::ZERO, 5, &mut told),
    )?;
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (5, 0.0, true));
    assert!(told.iter().all(|told| told.images_per_second.is_finite() && told.seconds_left == 120.0));
    assert!(column(&paths.run, "images_per_second")?.iter().all(|speed| speed.is_finite()));
    Ok(())
}

#[test]
fn a_landmark_network_of_two_minutes_takes_four_steps_interrupted_or_not() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    let (config, whole) = (small_landmarks(2.0), landmark_paths(root.path(), "whole"));
    let (clock, mut told) = (TestClock::new(STEP), Vec::new());
    let summary =
        train_landmarks_by(&clock.clock(), &config, &whole, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!(told, of_two_minutes());
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (4, 120.0, false));
    let rates: Vec<f64> = column(&whole.run, "learning_rate")?;
    let rates: Vec<f64> = rates.iter().map(|rate| rate / config.optimiser.learning_rate).collect();
    assert!(are_close(&rates, &RATES, 1e-3), "{rates:?}");

    let (clock, mut told) = (TestClock::new(STEP), Vec::new());
    let cut = landmark_paths(root.path(), "cut");
    let summary = train_landmarks_by(&clock.clock(), &config, &cut, &mut noting(&clock, STEP, 2, &mut told))?;
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (2, 60.0, true));
    clock.take_for_first_step(STEP);
    let summary = resume_landmarks_by(&clock.clock(), &cut, 2, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!(told, of_two_minutes());
    assert_eq!((summary.steps, summary.seconds, summary.stopped), (4, 120.0, false));
    assert!(fs::read(&cut.out)? == fs::read(&whole.out)?, "a resumed training gives other bits");
    Ok(())
}

#[test]
fn the_rounds_of_self_training_share_the_minutes() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(root.path())?;
    let encoder = paths(root.path(), "encoder");
    let config = small(1.0).with(|o| {
        o.schedule.budget = Budget::Steps(30);
        o.optimiser.learning_rate = 3e-3;
    });
    train(&config, &encoder, &mut |_| ControlFlow::Continue(()))?;
    let data = DataSet::open(root.path().join("data"))?;
    let template =
        TemplateImage { image: data.images[0].path.clone(), landmarks: data.landmarks_of(&data.images[0]) };
    let paths = SelfTrainPaths {
        images: root.path().join("data/images"),
        encoder: encoder.out,
        templates: vec![template],
        out: root.path().join("self.onnx"),
        run: root.path().join("self"),
    };
    // All is believed, so that a hardly trained encoder does.
    let config = SelfTrainConfig {
        network: small_landmarks(3.0),
        max_cycle_error: 1e3,
        outlier: 1e3,
        max_disagreement: 1e3,
        ..SelfTrainConfig::default()
    };
    let (clock, mut told) = (TestClock::new(Duration::ZERO), Vec::new());
    let summary = self_train_by(clock.clock(), &config, &paths, &mut noting(&clock, STEP, 99, &mut told))?;
    assert_eq!((summary.rounds.len(), summary.seconds), (2, 180.0));
    assert_eq!((summary.network.steps, summary.network.seconds), (4, 120.0));
    let steps: Vec<(u64, f64)> = told.iter().map(|told| (told.step, told.seconds_left)).collect();
    assert_eq!(steps, [(1, 30.0), (2, 0.0), (1, 90.0), (2, 60.0), (3, 30.0), (4, 0.0)]);
    Ok(())
}
