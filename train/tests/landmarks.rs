//! Landmark networks of a few steps on generated images.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use infomark_infer::{
    DataSet, DescriptionError, Encoder, LabelSource, LandmarkNet, Matcher, ModelError, Template, read_image,
};
use infomark_phantom::Phantom;
use infomark_train::{
    Budget, CheckpointError, ConfigError, DataError, LandmarkConfig, LandmarkPaths, Paths, Progress,
    SelfTrainConfig, SelfTrainPaths, TemplateImage, TemplateSetError, TrainConfig, TrainError,
    resume_landmarks, resume_self_train, self_train, train, train_landmarks,
};

type Outcome = Result<(), Box<dyn Error>>;

const SIZE: (usize, usize) = (96, 128);

fn small(steps: u64) -> LandmarkConfig {
    LandmarkConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(steps);
        o.model.input_area = SIZE.0 * SIZE.1;
        o.model.channels = [8, 8, 16, 16, 16];
        o.model.hidden = 16;
        o.batch = 2;
        o.augmentation.shift = 6.0;
        o.augmentation.elastic = 2.0;
        o.augmentation.elastic_spacing = 32;
        o.optimiser.learning_rate = 3e-3;
        o.schedule.warm_up = 5;
        o.optimiser.ema_decay = 0.95;
        o.schedule.checkpoint_every = 2;
    })
}

/// A data folder of made-up radiographs.
fn phantoms(dir: &Path, count: u64, seed: u64) -> Outcome {
    Ok(Phantom::new(SIZE.0, SIZE.1)?.write_data_folder(dir, seed, count, 1.0)?)
}

fn paths(root: &Path, name: &str) -> LandmarkPaths {
    LandmarkPaths {
        data: root.join("data"),
        images: None,
        encoder: None,
        out: root.join(format!("{name}.onnx")),
        run: root.join(name),
    }
}

fn go_on(_: Progress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn encoder(root: &Path, steps: u64) -> Outcome {
    let config = TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(steps);
        o.model.input_area = SIZE.0 * SIZE.1;
        o.model.channels = [8, 8, 16, 16, 16];
        o.model.embedding = 8;
        o.sampling.batch = 2;
        o.sampling.view_size = 64;
        o.sampling.pixels = 16;
    });
    let paths = Paths {
        images: root.join("data/images"),
        out: root.join("encoder.onnx"),
        run: root.join("encoder.run"),
        score: None,
    };
    train(&config, &paths, &mut |_| ControlFlow::Continue(()))?;
    Ok(())
}

#[test]
fn a_training_gives_the_same_bits_on_one_thread_on_three_and_when_interrupted() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 5, 1)?;
    encoder(root.path(), 2)?;
    let from = |name: &str| LandmarkPaths {
        encoder: Some(root.path().join("encoder.onnx")),
        images: Some(4),
        ..paths(root.path(), name)
    };
    let whole = from("whole");
    let summary = train_landmarks(&small(5).with(|o| o.threads = 1), &whole, &mut go_on)?;
    assert_eq!((summary.steps, summary.images, summary.stopped), (5, 4, false));
    let reference = fs::read(&whole.out)?;
    let threads = from("threads");
    train_landmarks(&small(5).with(|o| o.threads = 3), &threads, &mut go_on)?;
    assert!(fs::read(&threads.out)? == reference, "three threads give other bits than one");

    let cut = from("cut");
    let summary = train_landmarks(&small(5), &cut, &mut |progress| match progress {
        Progress::Step { step: 3, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    assert_eq!((summary.steps, summary.stopped), (3, true));
    assert!(fs::read(&cut.out)? != reference);
    resume_landmarks(&LandmarkPaths { encoder: None, images: None, ..cut.clone() }, 2, &mut go_on)?;
    assert!(fs::read(&cut.out)? == reference, "a resumed training gives other bits");

    let net = LandmarkNet::load(&whole.out)?;
    let encoder = Encoder::load(root.path().join("encoder.onnx"))?;
    assert_eq!(net.description().encoder_sha256.as_deref(), Some(encoder.sha256()));
    assert_eq!(net.description().input, encoder.description().input);
    assert_eq!(net.description().normalisation, encoder.description().normalisation);
    assert_eq!(net.description().labels, LabelSource::Annotated);
    assert_eq!(net.description().training_images, 4);
    Ok(())
}

#[test]
fn it_learns_where_landmarks_are_in_images_that_it_has_not_seen() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 12, 1)?;
    phantoms(&root.path().join("new"), 4, 2)?;
    let paths = paths(root.path(), "run");
    train_landmarks(&small(150).with(|o| o.batch = 4), &paths, &mut go_on)?;
    let net = LandmarkNet::load(&paths.out)?;
    let data = DataSet::open(root.path().join("new"))?;
    let mut errors = Vec::new();
    for image in &data.images {
        for (found, truth) in
            net.find(&read_image(&image.path)?)?.iter().zip(image.landmarks.iter().flatten())
        {
            errors.push((found.at.x - truth.x).hypot(found.at.y - truth.y));
            assert!((0.0..=1.0).contains(&found.probability));
        }
    }
    errors.sort_by(f64::total_cmp);
    let median = errors[errors.len() / 2];
    assert!(median < 4.0, "half of the errors are above {median:.2} pixels: {errors:.1?}");
    Ok(())
}

#[test]
fn what_can_not_be_learnt_from_is_named() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 3, 1)?;
    encoder(root.path(), 1)?;
    let good = paths(root.path(), "run");
    let refused = |config: &LandmarkConfig, paths: &LandmarkPaths| {
        train_landmarks(config, paths, &mut go_on).expect_err("it was trained")
    };
    let error = refused(&small(1), &LandmarkPaths { images: Some(9), ..good.clone() });
    assert!(matches!(error, TrainError::Config(ConfigError::Images { wanted: 9, found: 3, .. })), "{error}");
    let error = refused(&small(1).with(|o| o.model.stride = 3), &good);
    assert!(matches!(error, TrainError::Config(ConfigError::Option { option: "stride", .. })), "{error}");
    let error = refused(&small(1), &LandmarkPaths { encoder: Some("missing.onnx".into()), ..good.clone() });
    assert!(
        matches!(&error, TrainError::Data(DataError::Model(ModelError::Missing { name })) if name == "missing.onnx"),
        "{error}"
    );
    train_landmarks(&small(2), &good, &mut go_on)?;
    // A network is no encoder, and an encoder no network.
    let of_another_kind = |error: &ModelError, file: &str| {
        matches!(
            error,
            ModelError::Description { name, source: DescriptionError::Kind { .. } } if name.ends_with(file)
        )
    };
    let error =
        refused(&small(1), &LandmarkPaths { encoder: Some(good.out.clone()), ..paths(root.path(), "other") });
    assert!(
        matches!(&error, TrainError::Data(DataError::Model(error)) if of_another_kind(error, "run.onnx")),
        "{error}"
    );
    let loaded = LandmarkNet::load(root.path().join("encoder.onnx"));
    assert!(loaded.is_err_and(|error| of_another_kind(&error, "encoder.onnx")));
    let error = refused(&small(1), &good);
    assert!(matches!(error, TrainError::Checkpoint { problem: CheckpointError::Exists, .. }), "{error}");
    // The landmarks are no longer those of the run.
    let table = root.path().join("data/landmarks.csv");
    let text = fs::read_to_string(&table)?;
    let row = text.lines().find(|row| row.contains(",sella,")).ok_or("no row of sella")?;
    let [image, name, x, y] = row.split(',').collect::<Vec<_>>()[..] else {
        return Err("four fields".into());
    };
    let moved = format!("{image},{name},{},{y}", x.parse::<f64>()? - 1.0);
    fs::write(&table, text.replace(row, &moved))?;
    let resumed = resume_landmarks(&good, 1, &mut go_on);
    assert!(
        matches!(
            resumed,
            Err(TrainError::Checkpoint { problem: CheckpointError::OtherData { input: "landmarks" }, .. })
        ),
        "{resumed:?}"
    );
    let whole = fs::read(&good.out)?;
    for at in (0..whole.len()).step_by(whole.len() / 20) {
        let mut damaged = whole.clone();
        damaged[at] ^= 4;
        assert!(LandmarkNet::from_bytes(&damaged, "damaged.onnx").is_err(), "byte {at} of {}", whole.len());
    }
    Ok(())
}

fn annotated(data: &DataSet, index: usize) -> TemplateImage {
    let sample = &data.images[index];
    TemplateImage { image: sample.path.clone(), landmarks: data.landmarks_of(sample) }
}

fn of_template(root: &Path) -> Result<SelfTrainPaths, Box<dyn Error>> {
    let data = DataSet::open(root.join("data"))?;
    Ok(SelfTrainPaths {
        images: root.join("data/images"),
        encoder: root.join("encoder.onnx"),
        templates: vec![annotated(&data, 0)],
        out: root.join("self.onnx"),
        run: root.join("self"),
    })
}

#[test]
fn self_training_goes_on_to_the_same_bits_and_says_what_it_learnt() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 6, 1)?;
    encoder(root.path(), 30)?;
    // All is believed, so that a hardly trained encoder does.
    let config = SelfTrainConfig {
        network: small(8),
        max_cycle_error: 1e3,
        outlier: 1e3,
        max_disagreement: 1e3,
        ..SelfTrainConfig::default()
    };
    let whole = of_template(root.path())?;
    let summary = self_train(&config, &whole, &mut go_on)?;
    assert_eq!((summary.rounds.len(), summary.steps), (2, 8));
    assert!(summary.rounds.iter().flatten().all(|count| count.kept == 5));
    let net = LandmarkNet::load(&whole.out)?;
    let names: Vec<String> = whole.templates[0].landmarks.iter().map(|l| l.name.clone()).collect();
    assert_eq!(net.description().landmarks, names);
    assert!(
        matches!(&net.description().labels, LabelSource::Matched { rounds: 2, kept: [a, b], .. } if a == b),
        "{:?}",
        net.description().labels
    );

    let cut =
        SelfTrainPaths { out: root.path().join("cut.onnx"), run: root.path().join("cut"), ..whole.clone() };
    let mut round = 0;
    let summary = self_train(&config, &cut, &mut |progress| match progress {
        Progress::Labels { round: now, .. } => {
            round = now;
            ControlFlow::Continue(())
        }
        Progress::Step { step: 3, .. } if round == 1 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    assert!(summary.network.stopped);
    assert_eq!(resume_self_train(&cut, 2, &mut go_on)?.steps, 8, "of both rounds and both calls");
    assert!(fs::read(&cut.out)? == fs::read(&whole.out)?, "a resumed training gives other bits");

    let data = DataSet::open(root.path().join("data"))?;
    let other = SelfTrainPaths { templates: vec![annotated(&data, 3)], ..cut };
    let resumed = resume_self_train(&other, 2, &mut go_on);
    let problem = match resumed {
        Err(TrainError::Checkpoint { problem, .. }) => problem,
        other => return Err(format!("{other:?}").into()),
    };
    assert!(matches!(problem, CheckpointError::OtherSelfTraining { input: "templates" }), "{problem}");
    Ok(())
}

#[test]
fn missing_points_are_not_learnt_and_a_landmark_without_any_is_refused() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 3, 1)?;
    let table = root.path().join("data/landmarks.csv");
    let whole = fs::read_to_string(&table)?;
    let name = infomark_phantom::LANDMARKS[0];
    let without = |image: &str| -> String {
        let gone = format!("{image},{name},");
        whole.lines().filter(|row| !row.starts_with(&gone)).map(|row| format!("{row}\n")).collect()
    };
    fs::write(&table, without("01.pgm"))?;
    let paths = paths(root.path(), "some");
    train_landmarks(&small(2), &paths, &mut go_on)?;
    // What is not annotated leaves no trace: as with a point that is far outside.
    let bytes = fs::read(&paths.out)?;
    fs::write(&table, without("01.pgm") + &format!("01.pgm,{name},5000,5\n"))?;
    let outside =
        LandmarkPaths { out: root.path().join("o.onnx"), run: root.path().join("o.run"), ..paths.clone() };
    train_landmarks(&small(2), &outside, &mut go_on)?;
    assert!(fs::read(&outside.out)? == bytes, "a point outside is learnt");

    let rows: String =
        whole.lines().filter(|row| !row.contains(name)).map(|row| format!("{row}\n")).collect();
    fs::write(&table, rows)?;
    let none = LandmarkPaths { out: root.path().join("n.onnx"), run: root.path().join("n.run"), ..paths };
    let refused = train_landmarks(&small(2), &none, &mut go_on);
    assert!(
        matches!(&refused, Err(TrainError::Data(DataError::Unannotated { landmark, images: 3, .. })) if landmark == name)
    );
    Ok(())
}

#[test]
fn several_templates_label_the_rest_together() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 6, 1)?;
    encoder(root.path(), 30)?;
    let data = DataSet::open(root.path().join("data"))?;
    let config = SelfTrainConfig {
        network: small(4),
        max_cycle_error: 1e3,
        outlier: 1e3,
        max_disagreement: 1e3,
        ..SelfTrainConfig::default()
    };
    let mut second = annotated(&data, 4);
    second.landmarks.reverse();
    let paths = SelfTrainPaths { templates: vec![annotated(&data, 1), second], ..of_template(root.path())? };
    let summary = self_train(&config, &paths, &mut go_on)?;
    assert!(summary.rounds.iter().flatten().all(|count| count.kept == 4), "{:?}", summary.rounds);
    let net = LandmarkNet::load(&paths.out)?;
    let LabelSource::Matched { templates_sha256, .. } = &net.description().labels else {
        return Err("labels of another kind".into());
    };
    assert_eq!(templates_sha256.len(), 2);
    // The truth where it is known, and what both say together where it is not.
    let labels: serde_json::Value =
        serde_json::from_slice(&fs::read(paths.run.join("round-0/labels.json"))?)?;
    let encoder = Encoder::load(&paths.encoder)?;
    let template = |index: usize| {
        let image = read_image(&data.images[index].path)?;
        Ok::<_, Box<dyn Error>>(Template::new(&encoder, &image, &data.landmarks_of(&data.images[index]))?)
    };
    let both = Matcher::new(Encoder::load(&paths.encoder)?, [template(1)?, template(4)?])?;
    for (place, sample) in data.images.iter().enumerate() {
        let found = both.find(&read_image(&sample.path)?)?;
        for (k, (found, truth)) in found.iter().zip(sample.landmarks.iter().flatten()).enumerate() {
            let at = if [1, 4].contains(&place) { *truth } else { found.at };
            let label = &labels[place]["landmarks"][k]["matched"];
            let away = (label[0].as_f64().unwrap_or(f64::NAN) - at.x)
                .hypot(label[1].as_f64().unwrap_or(f64::NAN) - at.y);
            assert!(away < 1e-6, "image {place}, landmark {k}: {label} is not {at:?}");
        }
    }

    let elsewhere = |templates| SelfTrainPaths {
        templates,
        out: root.path().join("b.onnx"),
        run: root.path().join("b"),
        ..paths.clone()
    };
    let refused =
        |templates| self_train(&config, &elsewhere(templates), &mut go_on).expect_err("it was trained");
    let problem = |error: TrainError| match error {
        TrainError::Data(DataError::Templates { problem, .. }) => problem,
        error => panic!("{error}"),
    };
    let twice = refused(vec![annotated(&data, 1), annotated(&data, 1)]);
    assert_eq!(problem(twice), TemplateSetError::Repeated);
    assert!(matches!(
        refused(Vec::new()),
        TrainError::Config(ConfigError::Option { option: "templates", .. })
    ));
    let mut fewer = annotated(&data, 2);
    let landmark = fewer.landmarks.remove(3).name;
    let lacking = refused(vec![annotated(&data, 1), fewer.clone()]);
    assert_eq!(problem(lacking), TemplateSetError::MissingLandmark { landmark: landmark.clone() });
    let extra = refused(vec![fewer, annotated(&data, 1)]);
    assert_eq!(problem(extra), TemplateSetError::ExtraLandmark { landmark });
    Ok(())
}

#[test]
fn labels_that_were_spoiled_are_noticed_and_not_learnt() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("data"), 16, 1)?;
    encoder(root.path(), 2)?;
    let data = DataSet::open(root.path().join("data"))?;
    let paths = of_template(root.path())?;
    let network = small(300).with(|o| {
        o.batch = 4;
        o.schedule.checkpoint_every = 1000;
    });
    let config = SelfTrainConfig {
        network,
        max_cycle_error: 1e3,
        outlier: 1e3,
        max_disagreement: 12.0,
        ..SelfTrainConfig::default()
    };
    // Stopped at once: its labels are replaced by the truth, some of it moved far away.
    self_train(&config, &paths, &mut |progress| match progress {
        Progress::Step { .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    })?;
    let round = paths.run.join("round-0");
    fs::remove_file(round.join("checkpoint.json"))?;
    let file = round.join("labels.json");
    let mut labels: serde_json::Value = serde_json::from_slice(&fs::read(&file)?)?;
    let spoiled = |image: usize, landmark: usize| image > 0 && (3 * image + 5 * landmark).is_multiple_of(7);
    for (i, sample) in data.images.iter().enumerate() {
        for (k, truth) in sample.landmarks.iter().flatten().enumerate() {
            let pseudo = &mut labels[i]["landmarks"][k];
            let away = if spoiled(i, k) { 30.0 } else { 0.0 };
            let x = if truth.x < 48.0 { truth.x + away } else { truth.x - away };
            (pseudo["at"], pseudo["matched"]) =
                (serde_json::json!([x, truth.y]), serde_json::json!([x, truth.y]));
            (pseudo["doubt"], pseudo["weight"]) = (serde_json::Value::Null, serde_json::json!(1.0));
        }
    }
    fs::write(&file, serde_json::to_vec(&labels)?)?;
    resume_self_train(&paths, 2, &mut go_on)?;
    let after: serde_json::Value = serde_json::from_slice(&fs::read(paths.run.join("round-1/labels.json"))?)?;
    let mut counts = [[0; 2]; 2];
    for i in 1..data.images.len() {
        for k in 0..data.landmarks.len() {
            let doubted = !after[i]["landmarks"][k]["doubt"].is_null();
            counts[usize::from(spoiled(i, k))][usize::from(doubted)] += 1;
        }
    }
    let [[good_kept, good_doubted], [bad_kept, bad_doubted]] = counts;
    assert!(
        bad_doubted >= 9 * bad_kept,
        "{bad_kept} of {} spoiled labels are learnt",
        bad_kept + bad_doubted
    );
    assert!(
        good_kept >= 9 * good_doubted,
        "{good_doubted} of {} good labels are doubted",
        good_kept + good_doubted
    );
    Ok(())
}
