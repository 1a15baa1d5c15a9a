//! Options, paths and images that are refused before a training.

use super::*;

#[test]
fn an_image_below_the_threshold_of_the_sampling_is_named() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    // No patch of 9 x 9 pixels has more than ln 81 = 4.39 nats.
    let config = small(1).with(|o| o.sampling.least_entropy = Some(4.5));
    let refused = refusal(&config, &paths(root.path(), "run"));
    assert!(
        matches!(&refused, TrainError::Data(DataError::BelowThreshold { file, least: 4.5, .. }) if file.ends_with("00.pgm")),
        "{refused}"
    );
    Ok(())
}

#[test]
fn what_would_spoil_the_result_is_refused_before_the_training() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    let good = paths(root.path(), "run");
    let image = good.images.join("00.pgm");
    let before = bytes(&image)?;
    let refused = refusal(&small(1), &Paths { out: image.clone(), ..good.clone() });
    assert!(is_output(&refused, &image, OutputError::TrainingImage), "{refused}");
    assert_eq!(bytes(&image)?, before);
    let folder = root.path().join("folder/");
    let refused = refusal(&small(1), &Paths { out: folder.clone(), ..good.clone() });
    assert!(is_output(&refused, &folder, OutputError::Folder), "{refused}");
    let both = root.path().join("both");
    let refused = refusal(&small(1), &Paths { out: both.clone(), run: both.clone(), ..good.clone() });
    assert!(is_output(&refused, &both, OutputError::FolderOfRun) && !both.exists(), "{refused}");
    let refused = refusal(&small(1), &Paths { run: good.images.clone(), ..good.clone() });
    assert!(is_output(&refused, &good.images, OutputError::FolderOfImages), "{refused}");
    annotated(&root.path().join("labels"), 2)?;
    let table = root.path().join("labels/landmarks.csv");
    let score = Some(Scoring { data: root.path().join("labels"), templates: 1 });
    let refused = refusal(&small(1), &Paths { out: table.clone(), score, ..good.clone() });
    assert!(is_output(&refused, &table, OutputError::Input), "{refused}");
    assert!(fs::read_to_string(table)?.starts_with("image,"), "the table is as it was");
    assert_eq!(fs::read_dir(&good.images)?.count(), 2);
    // A second training in the folder of one that is running.
    let mut second = None;
    train(&small(1), &good, &mut |progress| {
        if matches!(progress, Progress::Step { .. }) {
            second = train(&small(1), &good, &mut go_on).err();
        }
        ControlFlow::Continue(())
    })?;
    assert!(
        matches!(&second, Some(TrainError::Checkpoint { path, problem: CheckpointError::InUse }) if *path == good.run),
        "{second:?}"
    );
    Ok(())
}

#[test]
fn a_network_that_could_not_be_loaded_is_not_trained() -> Outcome {
    let root = tempfile::tempdir()?;
    phantoms(&root.path().join("images"), 2)?;
    let mut steps = 0;
    // Its finest maps would have more elements than a model's may.
    let wide = small(1).with(|o| {
        o.model.input_area = 1 << 21;
        o.model.embedding = 1024;
    });
    let refused = train(&wide, &paths(root.path(), "run"), &mut |progress| {
        steps += usize::from(matches!(progress, Progress::Step { .. }));
        ControlFlow::Continue(())
    });
    assert!(matches!(refused, Err(TrainError::Config(ConfigError::Unloadable(_)))), "{refused:?}");
    assert_eq!(steps, 0);
    Ok(())
}

#[test]
fn bad_folders_and_images_are_errors_that_name_them() -> Outcome {
    let root = tempfile::tempdir()?;
    let paths = paths(root.path(), "run");
    let refused = refusal(&small(2), &paths);
    let names = |name: &str| name == paths.images.display().to_string();
    assert!(
        matches!(&refused, TrainError::Data(DataError::Image(ImageError::Missing { name })) if names(name)),
        "missing folder: {refused}"
    );
    fs::create_dir_all(&paths.images)?;
    let refused = refusal(&small(2), &paths);
    assert!(
        matches!(&refused, TrainError::Data(DataError::Image(ImageError::NoImages { name })) if names(name)),
        "empty folder: {refused}"
    );
    phantoms(&paths.images, 1)?;
    let refused = refusal(&small(2), &paths);
    assert!(
        matches!(&refused, TrainError::Data(DataError::TooFew { dir, found: 1, needed: 2 }) if *dir == paths.images),
        "one image: {refused}"
    );
    phantoms(&paths.images, 2)?;
    fs::write(paths.images.join("broken.png"), b"\x89PNG\r\n\x1a\nno more")?;
    let refused = refusal(&small(2), &paths);
    assert!(
        matches!(&refused, TrainError::Data(DataError::Image(ImageError::Damaged { name, .. })) if name.ends_with("broken.png")),
        "truncated: {refused}"
    );
    fs::remove_file(paths.images.join("broken.png"))?;
    let mut flat = b"P5\n64 64\n255\n".to_vec();
    flat.resize(flat.len() + 64 * 64, 7);
    fs::write(paths.images.join("flat.pgm"), flat)?;
    let refused = refusal(&small(2), &paths);
    assert!(
        matches!(&refused, TrainError::Data(DataError::Image(ImageError::Constant { name })) if name.ends_with("flat.pgm")),
        "constant: {refused}"
    );
    Ok(())
}

#[test]
fn options_that_cannot_work_are_refused_by_name() -> Outcome {
    let root = tempfile::tempdir()?;
    let paths = paths(root.path(), "run");
    for (config, wrong) in [
        (small(0), "steps"),
        (small(1).with(|o| o.schedule.budget = Budget::Minutes(f64::NAN)), "minutes"),
        (small(1).with(|o| o.sampling.view_size = 100), "view_size"),
        (small(1).with(|o| o.model.channels = [7; 5]), "channels"),
        (small(1).with(|o| o.loss.temperature = 0.0), "temperature"),
        (small(1).with(|o| o.loss.temperature = 1e-40), "temperature"),
        (small(1).with(|o| o.sampling.alpha = 100.0), "alpha"),
        (small(1).with(|o| o.sampling.batch = 0), "batch"),
        (small(1).with(|o| o.sampling.alpha = f32::NAN), "alpha"),
        (small(1).with(|o| o.augmentation.elastic = 30.0), "elastic"),
        (small(1).with(|o| o.augmentation.stretch = 0.5), "stretch"),
        (small(1).with(|o| o.loss.exclusion_radius = 9), "exclusion_radius"),
        (small(1).with(|o| o.sampling.least_entropy = Some(f32::NAN)), "least_entropy"),
        (small(1).with(|o| o.sampling.tier_ratios = Some([0.0; 3])), "tier_ratios"),
        (small(1).with(|o| o.augmentation.estimate_after = 1.0), "estimate_after"),
        (small(1).with(|o| o.model.embedding = 1 << 30), "embedding"),
        (small(1).with(|o| o.sampling.view_size = 96_000), "view_size"),
    ] {
        let refused = refusal(&config, &paths);
        assert!(
            matches!(refused, TrainError::Config(ConfigError::Option { option, .. }) if option == wrong),
            "{wrong}: {refused}"
        );
    }
    Ok(())
}
