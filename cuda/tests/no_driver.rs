//! Without a driver, opening a device is an error.

use infomark_cuda::{CudaError, Device};

#[test]
fn without_a_driver_there_is_an_error_and_no_panic() {
    match Device::open() {
        Err(CudaError::NoDriver) => {}
        other => eprintln!("skipped: there is a driver, {other:?}"),
    }
}
