//! Learning from corrected images, on generated radiographs and with networks of a few steps.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use infomark_active::{
    ActiveDetector, ActiveError, LearnOptions, LearnProgress, SimulationOptions, Strategy, detector, learn,
    simulate, uncertainty,
};
use infomark_infer::{
    DataSet, Detection, Encoder, Ensemble, EnsembleBounds, EnsembleFile, EnsembleFileError, FileError,
    LandmarkNet, Member, ModelError, read_image,
};
use infomark_phantom::Phantom;
use infomark_train::{AnnotatedSet, Budget, Paths, TrainConfig, train};

type Outcome = Result<(), Box<dyn Error>>;

const SIZE: (usize, usize) = (96, 128);

/// An encoder of a few steps, and annotated phantoms as a data folder.
fn prepare(root: &Path, count: u64) -> Result<(PathBuf, DataSet), Box<dyn Error>> {
    let data = root.join("data");
    Phantom::new(SIZE.0, SIZE.1)?.write_data_folder(&data, 7, count, 1.0)?;
    let paths = Paths {
        images: data.join("images"),
        out: root.join("encoder.onnx"),
        run: root.join("encoder.run"),
        score: None,
    };
    let mut config = TrainConfig::default();
    config.schedule.budget = Budget::Steps(2);
    config.model.input_area = SIZE.0 * SIZE.1;
    config.model.channels = [8, 8, 16, 16, 16];
    config.sampling.view_size = 64;
    train(&config, &paths, &mut |_| ControlFlow::Continue(()))?;
    Ok((paths.out, DataSet::open(&data)?))
}

fn annotated(data: &DataSet, images: usize) -> AnnotatedSet {
    let image = |sample: &infomark_infer::Sample| (sample.path.clone(), sample.landmarks.clone());
    AnnotatedSet {
        landmarks: data.landmarks.clone(),
        images: data.images.iter().take(images).map(image).collect(),
        accepted: std::collections::BTreeSet::new(),
    }
}

fn options() -> LearnOptions {
    LearnOptions { folds: 2, steps: Some(3), threads: 1, ..LearnOptions::default() }
}

fn go_on(_: LearnProgress) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// The networks that were trained.
fn trained(seen: &[LearnProgress]) -> usize {
    let networks = seen.iter().filter_map(|told| match told {
        LearnProgress::Training { network, .. } => Some(*network),
        _ => None,
    });
    networks.collect::<std::collections::BTreeSet<_>>().len()
}

#[test]
fn what_was_learnt_is_one_file_that_finds_the_same_points() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 12)?;
    let set = annotated(&data, 10);
    let (work, mut seen) = (root.path().join("work"), Vec::new());
    let learned = learn(&encoder, &set, &options(), &work, &mut |told| {
        seen.push(told);
        ControlFlow::Continue(())
    })?;
    assert_eq!(trained(&seen), 2);
    assert!(seen.windows(2).all(|pair| pair[0].fraction() <= pair[1].fraction()), "{seen:?}");
    assert_eq!(seen.last().map(|told| told.fraction()), Some(1.0));
    assert_eq!(learned.held_out.images.len(), 10);
    assert!(learned.left_out.is_empty());
    assert_eq!(learned.ensemble.networks().len(), 2);
    assert_eq!(learned.ensemble.members().len(), data.landmarks.len());
    assert_eq!(learned.ensemble.bounds().map(|bounds| bounds.coverage), Some(0.9));
    // A network has not seen the images of its fold, and each image counts once.
    for (image, (path, _)) in learned.held_out.images.iter().zip(&set.images) {
        assert_eq!(image.path, *path);
        assert!(image.errors.iter().all(Option::is_some));
    }

    // The same again only reads what is there; other points are learnt anew.
    let mut again = Vec::new();
    let read = learn(&encoder, &set, &options(), &work, &mut |told| {
        again.push(told);
        ControlFlow::Continue(())
    })?;
    assert!(again.is_empty(), "{again:?}");
    let image = read_image(&data.images[11].path)?;
    let found = learned.ensemble.detect(&image, None)?;
    assert_eq!(read.ensemble.detect(&image, None)?, found);
    assert_eq!(read.held_out, learned.held_out);
    let loaded = Ensemble::load(&learned.file)?;
    assert_eq!(loaded.detect(&image, None)?, found);
    assert!(found.landmarks.iter().all(|landmark| landmark.error_bound_px.is_some_and(|bound| bound > 0.0)));

    let mut moved = set.clone();
    if let Some(at) = moved.images[3].1[0].as_mut() {
        at.x += 1.0;
    }
    let mut anew = Vec::new();
    learn(&encoder, &moved, &options(), &work, &mut |told| {
        anew.push(told);
        ControlFlow::Continue(())
    })?;
    assert_eq!(trained(&anew), 2);
    assert_eq!(fs::read_dir(&work)?.count(), 1, "what belongs to other points is removed");
    Ok(())
}

#[test]
fn threads_and_a_stop_change_no_bit() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 6)?;
    let set = annotated(&data, 6);
    let whole = learn(&encoder, &set, &options(), &root.path().join("a"), &mut go_on)?;
    let two = LearnOptions { threads: 2, ..options() };
    let stopped = learn(&encoder, &set, &two, &root.path().join("b"), &mut |told| match told {
        LearnProgress::Training { network: 1, fraction, .. } if fraction > 0.3 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    });
    assert!(matches!(stopped, Err(ActiveError::Stopped)), "{stopped:?}");
    let resumed = learn(&encoder, &set, &two, &root.path().join("b"), &mut go_on)?;
    assert_eq!(fs::read(&whole.file)?, fs::read(&resumed.file)?);
    assert_eq!(whole.held_out.images, resumed.held_out.images);
    Ok(())
}

#[test]
fn few_images_are_templates_and_none_is_refused() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 6)?;
    let work = root.path().join("work");
    let none = detector(&encoder, &annotated(&data, 0), &options(), &work, &mut go_on);
    assert!(matches!(none, Err(ActiveError::TooFew { found: 0, needed: 1 })), "{none:?}");
    let few = learn(&encoder, &annotated(&data, 4), &options(), &work, &mut go_on);
    assert!(matches!(few, Err(ActiveError::TooFew { found: 4, needed: 5 })), "{few:?}");
    let two = detector(&encoder, &annotated(&data, 2), &options(), &work, &mut go_on)?;
    assert!(matches!(&two, ActiveDetector::Templates(judge) if judge.matcher().templates().len() == 2));
    let detection = two.detector().detect(&read_image(&data.images[5].path)?, None)?;
    assert!(
        matches!(&detection, Detection::Matched(judgement) if judgement.landmarks.len() == data.landmarks.len())
    );
    assert!(uncertainty(&detection) > 0.0);
    let folds = LearnOptions { folds: 1, ..options() };
    let wrong = learn(&encoder, &annotated(&data, 6), &folds, &work, &mut go_on);
    assert!(matches!(wrong, Err(ActiveError::Option { option: "folds", .. })), "{wrong:?}");
    Ok(())
}

#[test]
fn landmarks_may_be_missing() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 7)?;
    let mut set = annotated(&data, 6);
    for (image, (_, points)) in set.images.iter_mut().enumerate() {
        // The first landmark is in one image alone, the second not in the first image.
        points[0] = points[0].filter(|_| image == 2);
        points[1] = points[1].filter(|_| image > 0);
    }
    let learned = learn(&encoder, &set, &options(), &root.path().join("work"), &mut go_on)?;
    assert_eq!(learned.left_out, data.landmarks[..1]);
    assert_eq!(learned.ensemble.landmarks(), &data.landmarks[1..]);
    assert_eq!(learned.held_out.images[0].errors[0], None);
    let found = learned.ensemble.detect(&read_image(&data.images[6].path)?, None)?;
    assert_eq!(found.landmarks.len(), data.landmarks.len() - 1);
    Ok(())
}

#[test]
fn a_damaged_file_of_an_ensemble_is_refused_with_the_part() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 6)?;
    let learned = learn(&encoder, &annotated(&data, 6), &options(), &root.path().join("work"), &mut go_on)?;
    let bytes = fs::read(&learned.file)?;
    assert!(EnsembleFile::is_at(&learned.file) && !EnsembleFile::is_at(&encoder));
    let inside = infomark_models::load_encoder(&learned.file)?;
    assert_eq!(inside.sha256(), Encoder::load(&encoder)?.sha256());
    fs::write(root.path().join("cut.infomark"), &bytes[..bytes.len() / 2])?;
    let cut = infomark_models::load_encoder(root.path().join("cut.infomark"));
    assert!(matches!(cut, Err(ModelError::InEnsemble { .. })), "{cut:?}");
    assert!(Ensemble::from_bytes(&bytes, "a").is_ok());
    assert!(matches!(Encoder::from_bytes(&bytes, "a.infomark"), Err(ModelError::Ensemble { .. })));
    assert!(matches!(LandmarkNet::from_bytes(&bytes, "a.infomark"), Err(ModelError::Ensemble { .. })));
    let part = |bytes: &[u8]| match Ensemble::from_bytes(bytes, "a.infomark") {
        Err(EnsembleFileError::Damaged { part, .. }) => part,
        other => panic!("{other:?}"),
    };
    assert_eq!(part(&bytes[..200]), "infomark.json");
    assert_eq!(part(&bytes[..bytes.len() / 2]).split('-').next().map(|part| part.len() > 3), Some(true));
    let text = b"\"format\": 1";
    let at = bytes.windows(text.len()).position(|window| window == text).ok_or("no format")?;
    let mut other = bytes.clone();
    other[at + text.len() - 1] = b'9';
    assert!(matches!(Ensemble::from_bytes(&other, "a"), Err(EnsembleFileError::Layout { found: 9, .. })));
    // Every part is hashed: one bit anywhere within is noticed.
    for at in (3000..bytes.len()).step_by(bytes.len() / 40) {
        let mut other = bytes.clone();
        other[at] ^= 1;
        // What fills the blocks of the archive means nothing.
        let same = Ensemble::from_bytes(&other, "a")
            .is_ok_and(|ensemble| ensemble.members() == learned.ensemble.members() && bytes[at] == 0);
        assert!(same || Ensemble::from_bytes(&other, "a").is_err(), "byte {at}");
    }
    let missing = Ensemble::load(root.path().join("none.infomark"));
    assert!(matches!(missing, Err(EnsembleFileError::File(FileError::Missing { .. }))));
    let no_archive = Ensemble::from_bytes(b"hello", "a");
    assert!(matches!(no_archive, Err(EnsembleFileError::NotAnEnsemble { .. })));
    Ok(())
}

#[test]
fn members_and_bounds_have_one_value_for_each_landmark() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 6)?;
    let learned = learn(&encoder, &annotated(&data, 6), &options(), &root.path().join("work"), &mut go_on)?;
    let ensemble = learned.ensemble;
    assert!(ensemble.clone().with_members(vec![Member::Network]).is_err());
    let factors = vec![1.0; data.landmarks.len()];
    let with =
        |coverage: f64, factors: Vec<f64>| ensemble.clone().with_bounds(EnsembleBounds { coverage, factors });
    assert!(with(1.0, factors.clone()).is_err());
    assert!(with(0.9, vec![f64::NAN; data.landmarks.len()]).is_err());
    assert!(with(0.9, vec![1.0]).is_err());
    let image = read_image(&data.images[0].path)?;
    let by = |member| -> Result<_, Box<dyn Error>> {
        let ensemble = ensemble.clone().with_members(vec![member; data.landmarks.len()])?;
        Ok(ensemble.detect(&image, None)?)
    };
    let candidates = ensemble.candidates(&image, None)?;
    for member in Member::ALL {
        for (landmark, candidates) in by(member)?.landmarks.iter().zip(&candidates) {
            let member = member.placing(candidates.disagreement);
            assert_eq!(landmark.at, candidates.at(member));
            assert_eq!(landmark.member, member);
        }
    }
    Ok(())
}

#[test]
fn a_simulated_annotator_moves_what_is_off_and_accepts_the_rest() -> Outcome {
    let root = tempfile::tempdir()?;
    let (encoder, data) = prepare(root.path(), 10)?;
    let protocol = SimulationOptions {
        encoder,
        pool: DataSet { images: data.images[..7].to_vec(), ..data.clone() },
        dev: Some(DataSet { images: data.images[7..].to_vec(), ..data.clone() }),
        rounds: vec![1, 5],
        tolerance_mm: 1e6,
        strategy: Strategy::Uncertainty,
        learn: options(),
        work: root.path().join("work"),
    };
    // Everything is near enough: only the first image is annotated.
    let lenient = simulate(&protocol, &mut |_, _| ControlFlow::Continue(()))?;
    let landmarks = data.landmarks.len();
    assert_eq!(lenient.points, 7 * landmarks);
    let counts = |simulation: &infomark_active::Simulation| -> Vec<(usize, usize, usize)> {
        simulation.rounds.iter().map(|round| (round.images, round.corrections, round.remaining)).collect()
    };
    assert_eq!(counts(&lenient), [(1, landmarks, 0), (5, landmarks, 0)]);
    assert_eq!(lenient.rounds[1].annotated.len(), 4);
    assert_eq!(lenient.rounds[1].members_mm.len(), 3);
    assert!(lenient.rounds[1].held_out_mm.is_some());
    // Nothing is: every point is placed by hand.
    let strict = simulate(&SimulationOptions { tolerance_mm: 0.0, ..protocol.clone() }, &mut |_, _| {
        ControlFlow::Continue(())
    })?;
    assert_eq!(counts(&strict), [(1, landmarks, 6 * landmarks), (5, 5 * landmarks, 2 * landmarks)]);
    let wrong = SimulationOptions { rounds: vec![5, 5], ..protocol.clone() };
    let wrong = simulate(&wrong, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(wrong, Err(ActiveError::Option { option: "rounds", .. })));
    let again = simulate(&protocol, &mut |_, _| ControlFlow::Continue(()))?;
    assert_eq!(again, lenient, "the same bits every time");

    // What was learnt before a stop is not learnt again.
    let longer = SimulationOptions { rounds: vec![5, 6], ..protocol.clone() };
    let stopped = simulate(&longer, &mut |round, _| match round {
        0 => ControlFlow::Continue(()),
        _ => ControlFlow::Break(()),
    });
    assert!(matches!(stopped, Err(ActiveError::Stopped)));
    let mut trained = Vec::new();
    simulate(&longer, &mut |round, told| {
        trained.extend(matches!(told, Some(LearnProgress::Training { .. })).then_some(round));
        ControlFlow::Continue(())
    })?;
    trained.dedup();
    assert_eq!(trained, [1]);

    // Without other images those that are not annotated yet are scored.
    let alone = SimulationOptions { dev: None, ..protocol.clone() };
    let alone = simulate(&alone, &mut |_, _| ControlFlow::Continue(()))?;
    let is_left = |sample: &&infomark_infer::Sample| {
        !alone.rounds.iter().any(|round| round.annotated.contains(&sample.name))
    };
    let rest: Vec<_> = protocol.pool.images.iter().filter(is_left).cloned().collect();
    assert_eq!(rest.len(), 2);
    let named = SimulationOptions { dev: Some(DataSet { images: rest, ..data.clone() }), ..protocol.clone() };
    let named = simulate(&named, &mut |_, _| ControlFlow::Continue(()))?;
    assert_eq!(alone.rounds[1], named.rounds[1]);
    assert_ne!(alone.rounds[1].mre_mm, lenient.rounds[1].mre_mm);
    let none_left = SimulationOptions { dev: None, rounds: vec![1, 7], ..protocol.clone() };
    let none_left = simulate(&none_left, &mut |_, _| ControlFlow::Continue(()));
    assert!(matches!(none_left, Err(ActiveError::Option { option: "rounds", .. })));
    Ok(())
}

#[test]
fn a_pretrained_network_is_weighed_against_the_templates_without_a_training() -> Outcome {
    let root = tempfile::tempdir()?;
    let (_, data) = prepare(root.path(), 6)?;
    let model = infomark_models::find("ceph").ok_or("no model")?;
    let network = model.network()?;
    // Its landmarks in another order, some of them without points.
    let mut set = annotated(&data, 5);
    let with_points = set.landmarks.len();
    set.landmarks = network.description().landmarks.iter().rev().cloned().collect();
    let missing = set.landmarks.len() - with_points;
    set.images.iter_mut().for_each(|(_, points)| points.extend(vec![None; missing]));
    let given = LearnOptions { pretrained_network: true, ..options() };
    let mut seen = Vec::new();
    let ceph = Path::new("ceph");
    let learned = learn(ceph, &set, &given, &root.path().join("work"), &mut |told| {
        seen.push(told);
        ControlFlow::Continue(())
    })?;
    assert_eq!(trained(&seen), 0);
    assert_eq!(learned.ensemble.networks().len(), 1);
    assert_eq!(learned.ensemble.networks()[0].sha256(), network.sha256());
    // All landmarks of the network are found; those that are annotated have errors, by name.
    assert_eq!(learned.ensemble.landmarks(), network.description().landmarks);
    assert_eq!(learned.held_out.landmarks, network.description().landmarks);
    let image = &learned.held_out.images[0];
    for (name, errors) in learned.held_out.landmarks.iter().zip(&image.errors) {
        assert_eq!(errors.is_some(), set.landmarks[..with_points].contains(name), "{name}");
    }
    let at = |name: &str| set.landmarks[..with_points].iter().position(|landmark| landmark == name);
    let found = learned.ensemble.candidates(&read_image(&image.path)?, None)?;
    for (place, name) in learned.held_out.landmarks.iter().enumerate() {
        let (Some(errors), Some(index)) = (image.errors[place], at(name)) else { continue };
        let truth = data.images[0].landmarks[index].ok_or("no point")?;
        let located = found[place].located.at;
        let off = (located.x - truth.x).hypot(located.y - truth.y);
        assert!((off - errors[1] * image.unit).abs() < 1e-3, "{name}: {off} and {errors:?}");
    }
    let loaded = Ensemble::load(&learned.file)?;
    assert_eq!(loaded.members(), learned.ensemble.members());
    // It is refused, by name, where its landmarks are not those of the set.
    let refuse = |encoder: &str, landmarks: &[String], reason: &str| {
        let set = AnnotatedSet { landmarks: landmarks.to_vec(), ..set.clone() };
        let refused = learn(Path::new(encoder), &set, &given, &root.path().join("other"), &mut go_on);
        let Err(error @ ActiveError::NoPretrainedNetwork { .. }) = refused else { panic!("{refused:?}") };
        assert!(error.to_string().contains(reason), "{error}");
    };
    let mut other = set.landmarks.clone();
    other[0] = "another".into();
    refuse("ceph", &other, "another");
    refuse("ceph", &set.landmarks[1..], &set.landmarks[0]);
    refuse("hand", &set.landmarks, "hand");
    Ok(())
}
