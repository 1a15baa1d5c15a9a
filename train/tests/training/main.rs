//! Trainings of a few steps on generated images.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod backbone;
#[path = "../common/mod.rs"]
mod common;
mod refused;
mod together;

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use common::{Outcome, paths, phantoms, small};
use infomark_infer::ImageError;
use infomark_phantom::Phantom;
use infomark_train::{
    Budget, CheckpointError, ComputeOn, ConfigError, DataError, LossTerms, OutputError, Paths, Policy,
    Progress, PsiConfig, RunError, Scoring, TrainConfig, TrainError, psi, resume, train,
};

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn bytes(path: &PathBuf) -> Result<Vec<u8>, Box<dyn Error>> {
    Ok(fs::read(path)?)
}

#[test]
fn a_training_gives_the_same_bits_on_one_thread_on_three_and_when_interrupted() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 5)?;
    let whole = paths(root.path(), "whole");
    let mut losses = Vec::new();
    let summary = train(&small(7).with(|o| o.threads = 1), &whole, &mut |progress| {
        if let Progress::Step { loss, .. } = progress {
            losses.push(loss);
        }
        ControlFlow::Continue(())
    })?;
    assert_eq!((summary.steps, summary.images, summary.stopped), (7, 5, false));
    assert_eq!(losses.len(), 7);
    let reference = bytes(&whole.out)?;
    assert!(reference.len() < 4 << 20, "the encoder is {} bytes", reference.len());

    let threads = paths(root.path(), "threads");
    train(&small(7).with(|o| o.threads = 3), &threads, &mut go_on)?;
    assert_eq!(bytes(&threads.out)?, reference, "three threads give other bits than one");

    // As if killed after step 5: what is on disk then is the checkpoint of step 4.
    let cut = paths(root.path(), "cut");
    let copy = root.path().join("killed");
    let mut copied = Ok(());
    let _ = train(&small(7), &cut, &mut |progress| {
        if let Progress::Step { step: 5, .. } = progress {
            copied = fs::create_dir_all(&copy).and_then(|()| {
                fs::read_dir(&cut.run)?.try_for_each(|entry| {
                    let entry = entry?;
                    fs::copy(entry.path(), copy.join(entry.file_name())).map(drop)
                })
            });
        }
        ControlFlow::Continue(())
    })?;
    copied?;
    let resumed = Paths { run: copy, ..paths(root.path(), "resumed") };
    let mut first = None;
    resume(&resumed, 2, ComputeOn::Auto, &mut |progress| {
        if let Progress::Step { step, .. } = progress {
            first.get_or_insert(step);
        }
        ControlFlow::Continue(())
    })?;
    assert_eq!(first, Some(5), "it goes on from the checkpoint of step 4");
    assert_eq!(bytes(&resumed.out)?, reference, "a resumed training gives other bits");
    let log = fs::read_to_string(resumed.run.join("log.csv"))?;
    let steps: Vec<&str> = log.lines().skip(1).filter_map(|l| l.split(',').next()).collect();
    assert_eq!(steps, ["1", "2", "3", "4", "5", "6", "7"]);
    Ok(())
}

#[test]
fn training_lowers_the_loss() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 6)?;
    let mut losses = Vec::new();
    train(
        &small(60).with(|o| {
            o.schedule.warm_up = 5;
            o.optimiser.learning_rate = 3e-3;
        }),
        &paths(root.path(), "run"),
        &mut |progress| {
            if let Progress::Step { loss, .. } = progress {
                losses.push(loss);
            }
            ControlFlow::Continue(())
        },
    )?;
    let mean = |part: &[f32]| part.iter().sum::<f32>() / part.len() as f32;
    let (early, late) = (mean(&losses[..10]), mean(&losses[50..]));
    assert!(late < 0.85 * early, "the loss went from {early} to {late}");
    Ok(())
}

#[test]
fn stretched_and_deformed_views_train_to_the_same_bits_on_any_number_of_threads() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let config = small(3).with(|o| {
        o.augmentation.elastic = 6.0;
        o.augmentation.elastic_spacing = 32;
        o.augmentation.stretch = 1.3;
        o.loss.exclusion_radius = 1;
    });
    let (one, three) = (paths(root.path(), "one"), paths(root.path(), "three"));
    train(&config.clone().with(|o| o.threads = 1), &one, &mut go_on)?;
    train(&config.with(|o| o.threads = 3), &three, &mut go_on)?;
    assert_eq!(bytes(&one.out)?, bytes(&three.out)?);
    Ok(())
}

#[test]
fn every_kind_of_negatives_and_sampling_trains_to_bits_of_its_own_on_any_number_of_threads() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let mut seen = vec![("default", train_once(root.path(), "default", &small(3))?)];
    let ranges = |change: f32| infomark_train::Ranges {
        brightness: [1.0 - change, 1.0 + change],
        contrast: [1.0 - change, 1.0 + change],
    };
    let policy = Policy { low: ranges(0.9), medium: ranges(0.5), high: ranges(0.1) };
    for (name, config) in [
        (
            "windows",
            small(3).with(|o| {
                o.loss.dense_negatives_min_stride = 64;
                o.loss.window = 2;
            }),
        ),
        ("whole", small(3).with(|o| o.loss.dense_negatives_min_stride = 2)),
        ("piecewise", small(3).with(|o| o.sampling.least_entropy = Some(2.0))),
        ("ratios", small(3).with(|o| o.sampling.tier_ratios = Some([0.1, 0.2, 0.7]))),
        ("policy", small(3).with(|o| o.augmentation.policy = Some(policy))),
    ] {
        let one = train_once(root.path(), name, &config.clone().with(|o| o.threads = 1))?;
        let three = train_once(root.path(), &format!("{name}-3"), &config.with(|o| o.threads = 3))?;
        assert_eq!(one, three, "{name}: three threads give other bits than one");
        let same = seen.iter().find(|(_, bits)| *bits == one).map(|(other, _)| other);
        assert_eq!(same, None, "{name} changes nothing");
        seen.push((name, one));
    }
    Ok(())
}

/// The encoder's file.
fn train_once(root: &Path, name: &str, config: &TrainConfig) -> Result<Vec<u8>, Box<dyn Error>> {
    let paths = paths(root, name);
    train(config, &paths, &mut go_on)?;
    bytes(&paths.out)
}

#[test]
fn a_checkpoint_of_an_older_version_is_refused_by_its_format() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    let paths = paths(root.path(), "run");
    train(&small(1), &paths, &mut go_on)?;
    let index = paths.run.join("checkpoint.json");
    let text = fs::read_to_string(&index)?.replace("\"format\": 4", "\"format\": 3");
    fs::write(&index, text.replace("\"batch\": 2", "\"partner_views\": 1"))?;
    let refused = refused_checkpoint(resume(&paths, 0, ComputeOn::Auto, &mut go_on));
    assert!(matches!(refused, CheckpointError::Format { found: 3, .. }), "{refused}");
    Ok(())
}

#[test]
fn a_checkpoint_with_options_that_were_dropped_since_goes_on_where_they_are_off() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    let paths = paths(root.path(), "run");
    train(&small(1), &paths, &mut go_on)?;
    let index = paths.run.join("checkpoint.json");
    let written = fs::read_to_string(&index)?;
    let with = |option: &str| fs::write(&index, written.replacen("\"batch\": 2", option, 1));
    with("\"batch\": 2, \"separate_encoders\": false, \"hard_negatives\": 0, \"cross_image_negatives\": 0")?;
    assert_eq!(resume(&paths, 0, ComputeOn::Auto, &mut go_on)?.steps, 1);
    with("\"batch\": 2, \"hard_negatives\": 5")?;
    let refused = refused_checkpoint(resume(&paths, 0, ComputeOn::Auto, &mut go_on));
    assert!(
        matches!(&refused, CheckpointError::Json { reason, .. } if reason.contains("hard_negatives is 5")),
        "{refused}"
    );
    // As encoders' checkpoints were before they said of what kind they are; and of another kind.
    fs::write(&index, written.replacen("\"kind\": \"encoder\",", "", 1))?;
    resume(&paths, 0, ComputeOn::Auto, &mut go_on)?;
    fs::write(&index, written.replacen("\"kind\": \"encoder\"", "\"kind\": \"landmarks\"", 1))?;
    let refused = refused_checkpoint(resume(&paths, 0, ComputeOn::Auto, &mut go_on));
    assert!(matches!(&refused, CheckpointError::Kind { found, .. } if found == "landmarks"), "{refused}");
    Ok(())
}

#[test]
fn an_encoder_with_one_bit_changed_is_refused() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    let paths = paths(root.path(), "run");
    train(&small(1), &paths, &mut go_on)?;
    let whole = bytes(&paths.out)?;
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 40) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        refused += u32::from(infomark_infer::Encoder::from_bytes(&damaged, "damaged.onnx").is_err());
    }
    assert!(refused >= 40, "only {refused} of 41 were refused");
    Ok(())
}

#[test]
fn a_stopped_training_leaves_an_encoder_and_a_checkpoint() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let paths = paths(root.path(), "run");
    let summary = train(&small(50), &paths, &mut |progress| match progress {
        Progress::Step { step: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    assert_eq!((summary.steps, summary.stopped), (3, true));
    infomark_infer::Encoder::load(&paths.out)?;
    assert!(paths.run.join("checkpoint.json").is_file());
    Ok(())
}

/// The error of a training that can't be.
#[track_caller]
fn refusal(config: &TrainConfig, paths: &Paths) -> TrainError {
    train(config, paths, &mut go_on).expect_err("it was trained")
}

/// What is wrong with the checkpoint of a run that can't be started or resumed.
#[track_caller]
fn refused_checkpoint<T>(result: Result<T, TrainError>) -> CheckpointError {
    match result {
        Err(TrainError::Checkpoint { problem, .. }) => problem,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was trained"),
    }
}

fn is_output(error: &TrainError, at: &Path, expected: OutputError) -> bool {
    matches!(error, TrainError::Run(RunError::Output { path, problem }) if path == at && *problem == expected)
}

#[test]
fn a_run_is_not_overwritten_and_only_its_own_images_and_files_resume_it() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let paths = paths(root.path(), "run");
    let missing = resume(&paths, 0, ComputeOn::Auto, &mut go_on);
    let refused = matches!(
        &missing,
        Err(TrainError::Checkpoint { path, problem: CheckpointError::Missing })
            if path.ends_with("checkpoint.json")
    );
    assert!(refused, "{missing:?}");
    train(&small(3), &paths, &mut go_on)?;
    let refused = refused_checkpoint(train(&small(3), &paths, &mut go_on));
    assert!(matches!(refused, CheckpointError::Exists), "{refused}");
    phantoms(&root.path().join("others"), 4)?;
    let others = Paths { images: root.path().join("others"), ..paths.clone() };
    let refused = refused_checkpoint(resume(&others, 0, ComputeOn::Auto, &mut go_on));
    assert!(matches!(&refused, CheckpointError::OtherImages { dir } if *dir == others.images), "{refused}");
    for entry in fs::read_dir(&paths.run)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            let mut bytes = fs::read(&path)?;
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes)?;
        }
    }
    let refused = refused_checkpoint(resume(&paths, 0, ComputeOn::Auto, &mut go_on));
    assert!(matches!(refused, CheckpointError::Damaged), "{refused}");
    fs::write(paths.run.join("checkpoint.json"), b"{}")?;
    let refused = refused_checkpoint(resume(&paths, 0, ComputeOn::Auto, &mut go_on));
    assert!(matches!(refused, CheckpointError::Json { .. }), "{refused}");
    Ok(())
}

#[test]
fn a_training_tells_its_views_once_and_logs_the_similarity_of_each_tier() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 4)?;
    let paths = paths(root.path(), "run");
    let (mut told, mut last) = (Vec::new(), [None; 3]);
    train(&small(12), &paths, &mut |progress| {
        match progress {
            Progress::Views(examples) => told.push(examples),
            Progress::Step { terms: LossTerms::Encoder { psi, .. }, .. } => last = psi,
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    assert_eq!(told.len(), 1);
    let corner = |v: f32, size: usize| v > -64.0 && v < size as f32 + 64.0;
    for example in &told[0] {
        assert_eq!(example.view.len(), example.side * example.side);
        assert_eq!(example.image.len(), example.image_size[0] * example.image_size[1]);
        assert!(example.corners.iter().all(|at| corner(at.x, 96) && corner(at.y, 128)));
        assert!(!example.positives.is_empty());
    }
    assert!(last.iter().flatten().all(|psi| (-1.0..=1.0).contains(psi)), "{last:?}");
    assert!(last.iter().flatten().count() > 0, "{last:?}");
    let log = fs::read_to_string(paths.run.join("log.csv"))?;
    let measured = log.lines().skip(1).filter(|row| !row.ends_with(",,,")).count();
    assert_eq!(measured, 2, "steps 1 and 11: {log}");
    let events = fs::read_dir(&paths.run)?.filter_map(Result::ok).map(|entry| entry.file_name());
    let events = events.filter(|name| name.to_string_lossy().starts_with("events.out.tfevents."));
    assert_eq!(events.count(), 1);
    Ok(())
}

#[test]
fn a_training_without_progress_stops_early_and_a_resumed_one_stops_at_the_same_step() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 3)?;
    let config = small(400).with(|o| {
        o.patience = 8;
        o.optimiser.learning_rate = 1e-12;
        o.optimiser.ema_decay = 0.0;
    });
    let whole = paths(root.path(), "whole");
    let summary = train(&config, &whole, &mut go_on)?;
    assert!(summary.stopped_early && !summary.stopped && (58..400).contains(&summary.steps), "{summary:?}");
    let cut = paths(root.path(), "cut");
    train(&config, &cut, &mut |progress| match progress {
        Progress::Step { step: 55, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    let resumed = resume(&cut, 0, ComputeOn::Auto, &mut go_on)?;
    assert_eq!((resumed.steps, resumed.stopped_early), (summary.steps, true));
    assert_eq!(bytes(&cut.out)?, bytes(&whole.out)?);
    // There is nothing left to do.
    assert_eq!(resume(&cut, 0, ComputeOn::Auto, &mut go_on)?.steps, summary.steps);
    Ok(())
}

/// A data folder with the landmarks of its phantoms.
fn annotated(dir: &Path, count: u64) -> Outcome {
    Ok(Phantom::new(96, 128)?.write_data_folder(dir, 1, count, 0.5)?)
}

#[test]
fn scoring_at_checkpoints_changes_nothing_but_what_is_told() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 4)?;
    annotated(&root.path().join("labels"), 4)?;
    let plain = paths(root.path(), "plain");
    train(&small(4), &plain, &mut go_on)?;
    let score = |data: &str, templates| Some(Scoring { data: root.path().join(data), templates });
    let scored = Paths { score: score("labels", 2), ..paths(root.path(), "scored") };
    let mut told = Vec::new();
    let summary = train(&small(4), &scored, &mut |progress| {
        if let Progress::Scored { step, mre_mm } = progress {
            told.push((step, mre_mm));
        }
        ControlFlow::Continue(())
    })?;
    assert_eq!(bytes(&scored.out)?, bytes(&plain.out)?);
    let steps: Vec<u64> = told.iter().map(|(step, _)| *step).collect();
    assert_eq!((steps, &told), (vec![2, 4], &summary.scores));
    // An image is 80 mm in its diagonal.
    assert!(told.iter().all(|(_, mre_mm)| (0.1..80.0).contains(mre_mm)), "{told:?}");
    let table = fs::read_to_string(scored.run.join("scores.csv"))?;
    assert_eq!(table.lines().count(), 3);
    // As if it had been killed while the last checkpoint was scored.
    let earlier: String = table.lines().take(2).flat_map(|line| [line, "\n"]).collect();
    fs::write(scored.run.join("scores.csv"), earlier)?;
    let summary = resume(&scored, 1, ComputeOn::Auto, &mut go_on)?;
    assert_eq!(summary.scores, told[1..]);
    assert_eq!(fs::read_to_string(scored.run.join("scores.csv"))?, table);
    let wrong = Paths { score: score("nowhere", 2), ..paths(root.path(), "wrong") };
    let refused = refusal(&small(1), &wrong);
    assert!(
        matches!(&refused, TrainError::Data(DataError::Score { dir, .. }) if dir.ends_with("nowhere")),
        "{refused}"
    );
    Ok(())
}

#[test]
fn the_curve_of_similarity_counts_every_pixel_and_is_the_same_on_any_number_of_threads() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 4)?;
    let paths = paths(root.path(), "run");
    train(&small(3), &paths, &mut go_on)?;
    let encoder = infomark_infer::Encoder::load(&paths.out)?;
    let config = PsiConfig {
        views: 5,
        bins: 12,
        training: TrainConfig::default().with(|o| {
            o.sampling.pixels = 40;
            o.sampling.batch = 2;
        }),
        threads: 1,
    };
    let measured = psi(&paths.images, &encoder, &config, &|_, _| {})?;
    let mut again = psi(&paths.images, &encoder, &PsiConfig { threads: 3, ..config.clone() }, &|_, _| {})?;
    again.config.threads = measured.config.threads;
    assert_eq!(measured, again);
    let pixels: u64 = measured.bins.iter().map(|bin| bin.pixels).sum();
    assert!((50..=200).contains(&pixels), "{pixels} of 5 views with 40 pixels each");
    let weighted: f64 = measured.bins.iter().filter_map(|bin| Some(bin.psi? * bin.pixels as f64)).sum();
    assert!((weighted / pixels as f64 - measured.psi).abs() < 1e-6, "{measured:?}");
    for bin in measured.bins.iter().filter(|bin| bin.pixels > 0) {
        let mean = bin.strides.iter().flatten().sum::<f64>() / 5.0;
        assert!(bin.psi.is_some_and(|psi| (psi - mean).abs() < 1e-6), "{bin:?}");
    }
    assert!(measured.dip.is_some() != measured.no_dip.is_some());
    let refused = psi(&paths.images, &encoder, &PsiConfig { views: 0, ..config }, &|_, _| {});
    assert!(matches!(refused, Err(TrainError::Config(ConfigError::Option { option: "views", .. }))));
    Ok(())
}
