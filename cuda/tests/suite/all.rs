//! What holds on every device: on the stand-in in every order of threads, and on a real one.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)]

mod elastic;
mod entropy;
mod loss;
mod mutual;
mod pipeline;
mod refused;
mod sample;
mod search;
mod tolerance;
mod view;

use infomark_core::Rng;
use infomark_cuda::Device;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};
use std::cell::Cell;

pub(crate) type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Runs an ignored test of this binary in another process.
#[allow(dead_code, reason = "not every binary has one")]
pub(crate) fn in_own_process(test: &str) -> Outcome {
    let output =
        std::process::Command::new(std::env::current_exe()?).args(["--exact", test, "--ignored"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    // That it ran at all, too.
    match output.status.success() && text.contains("1 passed") {
        true => Ok(()),
        false => Err(format!("{text}{}", String::from_utf8_lossy(&output.stderr)).into()),
    }
}

/// Where the suite runs, and how much of it.
pub(crate) struct Setting<'a> {
    pub(crate) device: &'a Device,
    /// Random cases of each property.
    pub(crate) cases: u32,
    /// Whether large examples run too.
    pub(crate) large: bool,
    digest: Cell<u64>,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(device: &'a Device, cases: u32, large: bool) -> Self {
        Self { device, cases, large, digest: Cell::new(0xcbf2_9ce4_8422_2325) }
    }

    /// Runs everything; a digest of all results, which does not depend on the order of threads.
    pub(crate) fn run(&self) -> Result<u64, Box<dyn std::error::Error>> {
        entropy::run(self)?;
        mutual::run(self)?;
        sample::run(self)?;
        view::run(self)?;
        elastic::run(self)?;
        loss::run(self)?;
        search::run(self)?;
        pipeline::run(self)?;
        refused::run(self)?;
        Ok(self.digest.get())
    }

    /// Takes a result into the digest.
    fn see(&self, bits: impl IntoIterator<Item = u32>) {
        for bits in bits {
            self.digest.set((self.digest.get() ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3));
        }
    }

    fn see_floats(&self, values: &[f32]) {
        self.see(values.iter().map(|v| v.to_bits()));
    }

    /// A property of random values: the same ones in every run.
    fn holds<S: Strategy>(&self, values: &S, property: impl Fn(S::Value) -> Outcome) -> Outcome
    where
        S::Value: Clone,
    {
        let config = Config {
            cases: self.cases,
            failure_persistence: None,
            max_shrink_iters: 50,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        let mut runner = TestRunner::new_with_rng(config, rng);
        let result = runner.run(values, |value| {
            property(value).map_err(|e| proptest::test_runner::TestCaseError::fail(e.to_string()))
        });
        result.map_err(|error| match error {
            TestError::Fail(reason, value) => format!("{reason} for {value:?}").into(),
            TestError::Abort(reason) => reason.to_string().into(),
        })
    }
}

/// Fails with both values.
fn same<T: PartialEq + std::fmt::Debug + ?Sized>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?}").into())
}

/// Fails unless the bits of all values are the same; 0 and -0 are.
fn same_bits(what: &str, found: &[f32], expected: &[f32]) -> Outcome {
    same(&format!("{what}: length"), &found.len(), &expected.len())?;
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        if f.to_bits() != e.to_bits() && !(*f == 0.0 && *e == 0.0) {
            return Err(format!("{what}: {f:e} instead of {e:e} at {i}").into());
        }
    }
    Ok(())
}

/// Fails unless all values are as close as a tolerance says.
fn close(what: &str, found: &[f32], expected: &[f64], tolerance: f64) -> Outcome {
    same(&format!("{what}: length"), &found.len(), &expected.len())?;
    for (i, (&f, &e)) in found.iter().zip(expected).enumerate() {
        let off = (f64::from(f) - e).abs();
        if off.is_nan() || off > tolerance {
            return Err(format!("{what}: {f:e} instead of {e:e} at {i}, tolerance {tolerance:e}").into());
        }
    }
    Ok(())
}

/// An image with flat parts, texture and edges.
fn image(rng: &mut Rng, width: usize, height: usize) -> Vec<u8> {
    let (flat, noise) = (rng.below(256), 1 + rng.below(256));
    let pixel = |(x, y): (usize, usize)| {
        if (x / 5 + y / 7) % 3 == 0 { flat as u8 } else { (x * 3 + y) as u8 ^ (rng.below(noise) as u8) }
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(pixel).collect()
}

/// The same with rows further apart; what lies between is noise.
fn with_gaps<T: Copy>(pixels: &[T], width: usize, stride: usize, between: impl Fn(usize) -> T) -> Vec<T> {
    let mut out = Vec::new();
    for row in pixels.chunks(width.max(1)) {
        out.extend_from_slice(row);
        out.extend((width..stride).map(&between));
    }
    out
}
