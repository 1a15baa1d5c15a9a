//! NIfTI files made on the spot, for the tests of `infomark-infer`.

#![allow(clippy::expect_used, reason = "a fixture that cannot be made fails its test")]

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A NIfTI-1 file, little end first: sizes, the code of the voxels' type, their bytes. Voxels are 0.5 x 0.25 x 2 mm.
pub fn nifti(sizes: &[u16], kind: i16, voxels: &[u8]) -> Vec<u8> {
    let mut file = vec![0; 352];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &348_i32.to_le_bytes());
    put(40, &(sizes.len() as u16).to_le_bytes());
    for (axis, size) in sizes.iter().enumerate() {
        put(42 + 2 * axis, &size.to_le_bytes());
    }
    put(70, &kind.to_le_bytes());
    for (axis, mm) in [1.0_f32, 0.5, 0.25, 2.0].iter().enumerate() {
        put(76 + 4 * axis, &mm.to_le_bytes());
    }
    put(108, &352.0_f32.to_le_bytes());
    put(112, &1.0_f32.to_le_bytes());
    // Millimetres.
    put(123, &[2]);
    put(344, b"n+1\0");
    file.extend(voxels);
    file
}

/// Bytes as gzip packs them.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(bytes).expect("memory");
    packed.finish().expect("memory")
}
