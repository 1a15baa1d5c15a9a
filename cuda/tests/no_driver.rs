//! Opening a device without a driver is an error, and no panic.

use infomark_cuda::{CudaError, Device};

#[test]
fn without_a_driver_there_is_an_error_and_no_panic() -> Result<(), CudaError> {
    match Device::open() {
        Err(CudaError::NoDriver) => {}
        // With a driver: a device, or why there is none.
        Ok(device) => assert!(!device.name()?.is_empty()),
        Err(CudaError::OldDriver { found, needed }) => assert!(found < needed),
        Err(CudaError::NoDevice { reason, .. }) => assert!(!reason.is_empty()),
        Err(other) => return Err(other),
    }
    Ok(())
}
