//! Trainings whose network is computed by wgpu, beside trainings on the CPU.
//!
//! Any adapter will do, a software one too (Mesa's lavapipe). Without one the test fails, unless `INFOMARK_ALLOW_MISSING` names `wgpu`.
#![cfg(feature = "wgpu")]

mod common;

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use common::{Outcome, paths, phantoms};
use infomark_infer::{Encoder, read_image};
use infomark_train::{ComputeOn, Paths, Progress, Summary, TrainConfig, TrainError, resume, train};

fn may_be_missing() -> bool {
    std::env::var("INFOMARK_ALLOW_MISSING").is_ok_and(|allowed| allowed.split(',').any(|name| name == "wgpu"))
}

/// Losses of the first step, relative to their sum: the same weights, other roundings.
const FIRST_STEP: f32 = 1e-4;
/// The same after some steps, which the optimiser has spread.
const LATER_STEPS: f32 = 2e-2;
const STEPS: u64 = 4;

fn small(compute: ComputeOn) -> TrainConfig {
    TrainConfig { pixels: 12, compute, ..common::small(STEPS) }
}

/// What a training has told: where it computed its network, where before, and the losses of its steps and levels.
#[derive(Default)]
struct Told {
    network: String,
    before: Option<String>,
    losses: Vec<[f32; 5]>,
}

impl Told {
    fn hear(&mut self, progress: Progress, last: u64) -> ControlFlow<()> {
        match progress {
            Progress::Computing { scoring_and_loss, network, network_before, .. } => {
                assert_eq!(scoring_and_loss, "CPU");
                (self.network, self.before) = (network, network_before);
            }
            Progress::Step { levels, step, .. } => {
                self.losses.push(levels);
                if step == last {
                    return ControlFlow::Break(());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Run {
    told: Told,
    summary: Summary,
    paths: Paths,
}

/// Trains up to the step `last`.
fn run(root: &Path, name: &str, compute: ComputeOn, last: u64) -> Result<Run, TrainError> {
    let paths = paths(root, name);
    let mut told = Told::default();
    let summary = train(&small(compute), &paths, &mut |progress| told.hear(progress, last))?;
    Ok(Run { told, summary, paths })
}

/// Levels' losses of the steps are as close as that, relative to each step's sum.
#[track_caller]
fn close(found: &[[f32; 5]], expected: &[[f32; 5]], tolerance: f32) {
    assert!(!found.is_empty() && found.len() == expected.len(), "{found:?} instead of {expected:?}");
    for (found, expected) in found.iter().zip(expected) {
        let whole: f32 = expected.iter().sum();
        let off = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
        println!("levels off by {:.1e} of their sum", off / whole);
        assert!(off <= tolerance * whole, "{found:?} instead of {expected:?}");
    }
}

#[test]
fn a_training_by_wgpu_is_the_cpus() -> Outcome {
    let root = tempfile::tempdir()?;
    let root = root.path();
    phantoms(&root.join("images"), 3)?;
    let gpu = match run(root, "gpu", ComputeOn::Wgpu, STEPS) {
        Err(TrainError::Wgpu { .. }) if may_be_missing() => {
            assert!(!root.join("gpu.onnx").exists(), "nothing is trained elsewhere instead");
            return Ok(());
        }
        other => other?,
    };
    let name = gpu.told.network.clone();
    println!("{name}");
    assert!(name.starts_with("wgpu device "), "{name}");
    assert_eq!((&gpu.summary.network, gpu.summary.scoring_and_loss.as_str()), (&name, "CPU"));
    let checkpoint = fs::read_to_string(gpu.paths.run.join("checkpoint.json"))?;
    assert!(checkpoint.contains(&format!("\"network\": \"{name}\"")), "{checkpoint}");

    let cpu = run(root, "cpu", ComputeOn::Auto, STEPS)?;
    assert_eq!((cpu.told.network.as_str(), &cpu.told.before), ("CPU", &None), "auto stays on the CPU");
    close(&gpu.told.losses[..1], &cpu.told.losses[..1], FIRST_STEP);
    close(&gpu.told.losses, &cpu.told.losses, LATER_STEPS);

    // What is written is an encoder that finds what the CPU's finds.
    let image = read_image(root.join("images/00.pgm"))?;
    let features = |run: &Run| Ok::<_, Box<dyn Error>>(Encoder::load(&run.paths.out)?.encode(&image)?);
    let (found, expected) = (features(&gpu)?, features(&cpu)?);
    for (found, expected) in found.levels().iter().zip(expected.levels()) {
        let (width, height) = (found.width(), found.height());
        let products = found.data().iter().zip(expected.data()).map(|(a, b)| a * b);
        let cosine = products.sum::<f32>() / (width * height) as f32;
        println!("mean cosine of features {cosine}");
        assert!(cosine > 0.99, "features of {width} x {height} cells have a mean cosine of {cosine}");
    }

    // A run goes on where it is told to.
    for (begun, wanted) in [
        (ComputeOn::Wgpu, ComputeOn::Wgpu),
        (ComputeOn::Wgpu, ComputeOn::Auto),
        (ComputeOn::Cpu, ComputeOn::Wgpu),
    ] {
        let paths = run(root, &format!("{begun:?}-{wanted:?}"), begun, 2)?.paths;
        let mut told = Told::default();
        resume(&paths, 2, wanted, &mut |progress| told.hear(progress, STEPS))?;
        let of = |compute| if compute == ComputeOn::Wgpu { name.clone() } else { "CPU".into() };
        assert_eq!(told.network, of(wanted));
        let moved = of(begun) != of(wanted);
        assert_eq!(told.before, moved.then(|| of(begun)));
        close(&told.losses, &cpu.told.losses[2..], LATER_STEPS);
    }
    Ok(())
}
