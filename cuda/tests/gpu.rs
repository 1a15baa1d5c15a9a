//! On a real device: `cargo test -p infomark-cuda --features gpu`. Without a driver this fails.
#![cfg(feature = "gpu")]

#[path = "suite/all.rs"]
mod suite;

use infomark_cuda::{CudaError, Device};

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

#[test]
fn memory_that_a_device_lacks_is_an_error() -> suite::Outcome {
    let device = Device::open()?;
    let full = device.zeros::<u8>(1 << 46).err();
    assert!(matches!(full, Some(CudaError::OutOfMemory { bytes, .. }) if bytes == 1 << 46), "{full:?}");
    assert_eq!(device.download(&device.upload(&[1u8, 2, 3])?)?, [1, 2, 3]);
    Ok(())
}
