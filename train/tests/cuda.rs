//! Trainings on a CUDA device, which a stand-in on the CPU takes the place of, beside trainings on the CPU.
//!
//! With `INFOMARK_CUDA_DEVICE=real` they run on a real device instead, and fail without one.
#![cfg(feature = "cuda")]

mod common;

use std::error::Error;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use common::{Outcome, paths, phantoms};
use infomark_cuda::CudaError;
use infomark_cuda_sim::{Kind, StandIn};
use infomark_train::{
    ComputeOn, DeviceError, LossTerms, Paths, Progress, RunError, Summary, TrainConfig, TrainError, resume,
    train,
};

/// Losses of one training at the first step: the path's roundings. Relative to the loss of the core, and twice as wide as
/// one level's (`LOSS` in `cuda/tests/suite/tolerance.rs`).
const FIRST_STEP: f32 = 4e-5;
/// The same after some steps, which the optimiser has spread.
const LATER_STEPS: f32 = 1e-2;
const STEPS: u64 = 3;

fn small(steps: u64, compute: ComputeOn) -> TrainConfig {
    common::small(steps).with(|o| {
        o.sampling.pixels = 12;
        o.compute = compute;
    })
}

/// What a training has told: where it computed, why there, the first view's points, and the losses of its steps and levels.
#[derive(Default)]
struct Told {
    on: String,
    reason: Option<String>,
    points: Vec<[f32; 4]>,
    losses: Vec<[f32; 5]>,
}

impl Told {
    fn hear(&mut self, progress: Progress) -> ControlFlow<()> {
        match progress {
            Progress::Computing { scoring_and_loss, reason, .. } => {
                (self.on, self.reason) = (scoring_and_loss, reason);
            }
            Progress::Views(examples) => {
                for example in examples {
                    self.points.extend(example.positives.iter().map(|(v, i)| [v.x, v.y, i.x, i.y]));
                }
            }
            Progress::Step { terms: LossTerms::Encoder { levels, .. }, .. } => self.losses.push(levels),
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

struct Run {
    told: Told,
    summary: Summary,
    encoder: Vec<u8>,
    paths: Paths,
}

fn run(root: &Path, name: &str, config: TrainConfig) -> Result<Run, Box<dyn Error>> {
    let paths = paths(root, name);
    let mut told = Told::default();
    let summary = train(&config, &paths, &mut |progress| told.hear(progress))?;
    let encoder = fs::read(&paths.out)?;
    Ok(Run { told, summary, encoder, paths })
}

/// Levels' losses of one step are as close as that, relative to their sum.
#[track_caller]
fn close(found: &[f32; 5], expected: &[f32; 5], tolerance: f32) {
    let whole: f32 = expected.iter().sum();
    let off = found.iter().zip(expected).map(|(f, e)| (f - e).abs()).fold(0.0, f32::max);
    assert!(off <= tolerance * whole, "{found:?} instead of {expected:?}");
}

#[test]
fn a_training_on_a_device_is_the_cpus() -> Outcome {
    let real = std::env::var("INFOMARK_CUDA_DEVICE").is_ok_and(|device| device == "real");
    let stand_in = if real { None } else { StandIn::load(Kind::Plain)? };
    if !real && stand_in.is_none() {
        return Ok(());
    }
    let root = tempfile::tempdir()?;
    let root = root.path();
    phantoms(&root.join("images"), 3)?;

    let cpu = run(root, "cpu", small(STEPS, ComputeOn::Cpu))?;
    assert_eq!((cpu.told.on.as_str(), &cpu.told.reason), ("CPU", &None));
    let cuda = run(root, "cuda", small(STEPS, ComputeOn::Cuda).with(|o| o.threads = 1))?;
    let name = cuda.told.on.clone();
    assert!(name.starts_with("CUDA device "), "{name}");
    assert!(real || name == "CUDA device stand-in on a CPU", "{name}");
    assert_eq!(cuda.summary.scoring_and_loss, name);
    let checkpoint = fs::read_to_string(cuda.paths.run.join("checkpoint.json"))?;
    assert!(checkpoint.contains(&format!("\"scoring_and_loss\": \"{name}\"")), "{checkpoint}");

    // The same pixels are drawn, by entropies that are equal to the bit.
    assert!(cuda.told.points.len() > 50 && cuda.told.points == cpu.told.points);
    assert_eq!((cuda.told.losses.len(), cpu.told.losses.len()), (STEPS as usize, STEPS as usize));
    close(&cuda.told.losses[0], &cpu.told.losses[0], FIRST_STEP);
    for (found, expected) in cuda.told.losses.iter().zip(&cpu.told.losses) {
        close(found, expected, LATER_STEPS);
    }

    // The same seed gives the same bits on the device too, on any number of threads, in any order of the device's, and whether
    // or not it was interrupted.
    if let Some(stand_in) = stand_in {
        stand_in.set_order(5)?;
    }
    let again = run(root, "again", small(STEPS, ComputeOn::Auto).with(|o| o.threads = 3))?;
    assert_eq!(again.told.on, name, "auto takes the device");
    assert!(again.encoder == cuda.encoder, "the same training gives other bits");
    resumed_runs(root, &cuda)?;
    if let Some(stand_in) = stand_in {
        stand_in.set_order(0)?;
        without_a_device(root, stand_in, &cpu)?;
    }
    Ok(())
}

/// A run that was stopped after its second step goes on where it was begun.
fn resumed_runs(root: &Path, whole: &Run) -> Outcome {
    for (begun, wanted, on_device) in [
        (ComputeOn::Cuda, ComputeOn::Auto, true),
        (ComputeOn::Cpu, ComputeOn::Auto, false),
        (ComputeOn::Cuda, ComputeOn::Cpu, false),
    ] {
        let name = format!("{begun:?}-{wanted:?}");
        let paths =
            Paths { out: root.join(format!("{name}.onnx")), run: root.join(&name), ..whole.paths.clone() };
        train(&small(STEPS, begun), &paths, &mut |progress| match progress {
            Progress::Step { step: 2, .. } => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        })?;
        let mut told = Told::default();
        resume(&paths, 2, wanted, &mut |progress| told.hear(progress))?;
        assert_eq!(told.on.starts_with("CUDA"), on_device, "{name}: {}", told.on);
        assert_eq!(told.losses.len(), 1, "{name}");
        if on_device {
            assert!(fs::read(&paths.out)? == whole.encoder, "{name}: other bits");
        }
    }
    Ok(())
}

/// Where there is no device, or not one that will do, the CPU computes unless the device was asked for.
fn without_a_device(root: &Path, stand_in: StandIn, cpu: &Run) -> Outcome {
    stand_in.set_driver(12020, 9)?;
    let fallen = run(root, "fallen", small(STEPS, ComputeOn::Auto))?;
    assert_eq!(fallen.told.on, "CPU");
    assert!(fallen.told.reason.is_some_and(|reason| reason.contains("12020")));
    assert!(fallen.encoder == cpu.encoder, "the CPU gives other bits when a device was looked for");
    let refused = |name, config| -> Result<_, Box<dyn Error>> {
        let error = run(root, name, config).err().ok_or("it was trained")?.downcast::<TrainError>()?;
        assert!(error.to_string().contains("--device cpu"), "{error}");
        match *error {
            TrainError::Run(RunError::Cuda(error)) => Ok(error),
            error => Err(error.into()),
        }
    };
    let old = CudaError::OldDriver { found: 12020, needed: 12040 };
    assert_eq!(refused("refused", small(1, ComputeOn::Cuda))?, DeviceError::Device(old));
    stand_in.set_driver(12080, 9)?;

    let large = |compute| small(1, compute).with(|o| o.sampling.patch = 65);
    assert_eq!(refused("large", large(ComputeOn::Cuda))?, DeviceError::Patch { patch: 65, most: 64 });
    let fallen = run(root, "large-auto", large(ComputeOn::Auto))?;
    assert!(fallen.told.on == "CPU" && fallen.told.reason.is_some_and(|reason| reason.contains("patch")));

    // A device that fails in the middle is an error that names what was being done; what is saved goes on elsewhere.
    let config = small(STEPS, ComputeOn::Cuda);
    let paths = Paths { out: root.join("failed.onnx"), run: root.join("failed"), ..cpu.paths.clone() };
    let mut set = Ok(());
    let failed = train(&config, &paths, &mut |progress| {
        if let Progress::Step { step: 2, .. } = progress {
            set = stand_in.set_memory_limit(100_000);
        }
        ControlFlow::Continue(())
    });
    set?;
    stand_in.set_memory_limit(usize::MAX)?;
    assert!(
        matches!(
            failed,
            Err(TrainError::Run(RunError::Cuda(DeviceError::Device(CudaError::OutOfMemory { .. }))))
        ),
        "{failed:?}"
    );
    let mut told = Told::default();
    resume(&paths, 0, ComputeOn::Cpu, &mut |progress| told.hear(progress))?;
    assert_eq!((told.on.as_str(), told.losses.len()), ("CPU", 1));
    Ok(())
}
