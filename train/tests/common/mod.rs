//! What the tests of trainings share.

use std::error::Error;
use std::fs;
use std::path::Path;

use infomark_phantom::Phantom;
use infomark_train::{Budget, Paths, TrainConfig};

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// A training of moments.
pub(crate) fn small(steps: u64) -> TrainConfig {
    TrainConfig::default().with(|o| {
        o.schedule.budget = Budget::Steps(steps);
        o.model.input_area = 96 * 128;
        o.model.channels = [8, 8, 16, 16, 16];
        o.model.embedding = 8;
        o.sampling.batch = 2;
        o.sampling.view_size = 64;
        o.sampling.pixels = 16;
        o.schedule.checkpoint_every = 2;
    })
}

/// A folder of made-up radiographs.
pub(crate) fn phantoms(dir: &Path, count: u64) -> Outcome {
    fs::create_dir_all(dir)?;
    let phantom = Phantom::new(96, 128)?;
    for i in 0..count {
        fs::write(dir.join(format!("{i:02}.pgm")), phantom.image(1, i).pgm())?;
    }
    Ok(())
}

/// Of a training of `root/images`.
pub(crate) fn paths(root: &Path, name: &str) -> Paths {
    Paths {
        images: root.join("images"),
        out: root.join(format!("{name}.onnx")),
        run: root.join(name),
        score: None,
    }
}
