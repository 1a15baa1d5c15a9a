//! Work runs on streams, and on memory, that belong to someone else.
#![cfg(not(feature = "gpu"))]
#![allow(unsafe_code)] // A framework's raw stream and memory.

use cudarc::driver::DevicePtr;
use infomark_core::PatchBorder;
use infomark_cuda::{Buffer, CudaError, Device, Images};
use infomark_cuda_sim::{Kind, StandIn};

fn entropy(device: &Device, bytes: &Buffer<u8>) -> Result<Vec<f32>, CudaError> {
    let map = device.entropy_map(Images::new(bytes, 1, 4, 3)?, 3, PatchBorder::Cut)?;
    device.download(&map)
}

#[test]
fn streams_and_memory_of_others_can_be_used() -> Result<(), Box<dyn std::error::Error>> {
    let Some(stand_in) = StandIn::load(Kind::Checked)? else {
        return Ok(());
    };
    let device = Device::open()?;
    let image: Vec<u8> = (0..12).map(|i| i * i % 7).collect();
    let bytes = device.upload(&image)?;
    let expected = entropy(&device, &bytes)?;

    // A stream of cudarc's, with a buffer of another stream and one of cudarc's own.
    let stream = device.stream().context().new_stream()?;
    let own = Device::on_stream(stream.clone())?;
    assert_eq!(entropy(&own, &bytes)?, expected);
    let theirs = Buffer::from_cuda(stream.clone_htod(&image)?);
    assert_eq!(entropy(&own, &theirs)?, expected);
    assert_eq!(stream.clone_dtoh(theirs.as_cuda())?, image);

    // A framework's raw stream and memory. Dropping the buffer leaves the memory alone.
    // SAFETY: the stream lives to the end of the test.
    let raw = unsafe { Device::on_raw_stream(0, stream.cu_stream().cast())? };
    let (address, guard) = theirs.as_cuda().device_ptr(&stream);
    drop(guard);
    for _ in 0..2 {
        // SAFETY: the memory is that of `theirs`, which lives longer.
        let borrowed = unsafe { raw.borrow_raw::<u8>(address, image.len())? };
        assert_eq!(entropy(&raw, &borrowed)?, expected);
    }
    assert_eq!(entropy(&own, &theirs)?, expected);

    // Empty buffers are buffers.
    let nothing = device.upload::<f32>(&[])?;
    assert!(nothing.is_empty() && device.download(&nothing)?.is_empty());
    assert_eq!(stand_in.take_reports()?.count, 0);
    Ok(())
}
