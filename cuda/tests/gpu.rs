//! On a real device: `cargo test -p infomark-cuda --features gpu`. Without a driver this fails.
#![cfg(feature = "gpu")]

#[path = "suite/all.rs"]
mod suite;

use infomark_cuda::Device;

#[test]
fn kernels_give_the_cores_results_on_a_device() -> suite::Outcome {
    let device = Device::open()?;
    let digest = suite::Setting::new(&device, 256, true).run()?;
    assert_eq!(digest, suite::Setting::new(&device, 256, true).run()?, "not the same bits again");
    Ok(())
}

#[test]
fn a_stream_of_the_callers_does_too() -> suite::Outcome {
    let stream = Device::open()?.stream().context().new_stream()?;
    suite::Setting::new(&Device::on_stream(stream)?, 16, false).run()?;
    Ok(())
}
