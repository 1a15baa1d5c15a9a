//! NIfTI files: one slice is an image, a volume has to be asked for one.

use std::fs;

use infomark_infer::{
    Image, ImageError, ReadLimits, SpacingSource, decode_image, list_images, read_image, read_image_header,
    read_nifti_slice,
};
use infomark_tests::infer_nifti::{gzip, nifti};
use tempfile::TempDir;

fn decode(bytes: &[u8]) -> Result<Image, ImageError> {
    decode_image(bytes, "slice.nii", &ReadLimits::default())
}

/// Voxels that count up.
fn counting(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| (i as i16).to_le_bytes()).collect()
}

fn little<const N: usize>(file: &[u8], voxels: &[[u8; N]]) -> Vec<u8> {
    let bytes: Vec<u8> = voxels.iter().flatten().copied().collect();
    [file, &bytes].concat()
}

#[test]
fn one_slice_is_an_image_across_any_axis() {
    for (sizes, spacing) in [
        (&[40, 36][..], (0.5, 0.25)),
        (&[40, 36, 1], (0.5, 0.25)),
        (&[40, 1, 36], (0.5, 2.0)),
        (&[1, 40, 36], (0.25, 2.0)),
        (&[40, 36, 1, 1], (0.5, 0.25)),
    ] {
        let file = nifti(sizes, 4, &counting(40 * 36));
        for bytes in [file.clone(), gzip(&file)] {
            let image = decode(&bytes).unwrap();
            assert_eq!((image.width(), image.height()), (40, 36), "{sizes:?}");
            let mm = image.spacing().unwrap();
            assert_eq!((mm.mm.x, mm.mm.y, mm.source), (spacing.0, spacing.1, SpacingSource::Nifti));
            let levels = image.to_levels();
            assert!(levels.windows(2).all(|pair| pair[0] <= pair[1]), "{sizes:?}");
            assert_eq!((levels[0], levels[40 * 36 - 1]), (0, 255));
        }
    }
}

#[test]
fn every_type_of_number_is_read_alike() {
    let values: Vec<f64> = (0..40 * 36).map(|i| f64::from(i % 100)).collect();
    let bytes = |write: fn(f64) -> Vec<u8>| values.iter().copied().flat_map(write).collect::<Vec<_>>();
    let expected = decode(&nifti(&[40, 36], 4, &bytes(|v| (v as i16).to_le_bytes().to_vec()))).unwrap();
    for (kind, voxels) in [
        (256, bytes(|v| vec![v as i8 as u8])),
        (512, bytes(|v| (v as u16).to_le_bytes().to_vec())),
        (8, bytes(|v| (v as i32).to_le_bytes().to_vec())),
        (768, bytes(|v| (v as u32).to_le_bytes().to_vec())),
        (16, bytes(|v| (v as f32).to_le_bytes().to_vec())),
        (64, bytes(|v| v.to_le_bytes().to_vec())),
    ] {
        assert_eq!(decode(&nifti(&[40, 36], kind, &voxels)).unwrap().pixels(), expected.pixels(), "{kind}");
    }
    // Bytes are what they are in other files.
    let image = decode(&nifti(&[40, 36], 2, &bytes(|v| vec![v as u8]))).unwrap();
    assert_eq!(image.to_levels(), values.iter().map(|&v| v as u8).collect::<Vec<_>>());
    for kind in [32, 128, 1536, 9999] {
        let error = decode(&nifti(&[40, 36], kind, &bytes(|v| v.to_le_bytes().to_vec()))).unwrap_err();
        assert!(matches!(error, ImageError::Unsupported { .. }), "{kind}: {error}");
    }
}

#[test]
fn the_other_order_of_bytes_is_read() {
    let mut file = nifti(&[40, 36], 4, &[]);
    for (start, size, count) in [(0, 4, 1), (40, 2, 8), (70, 2, 1), (76, 4, 8), (108, 4, 2)] {
        for field in file[start..start + size * count].chunks_exact_mut(size) {
            field.reverse();
        }
    }
    let voxels: Vec<[u8; 2]> = (0..40 * 36_i16).map(i16::to_be_bytes).collect();
    let expected = decode(&nifti(&[40, 36], 4, &counting(40 * 36))).unwrap();
    let image = decode(&little(&file, &voxels)).unwrap();
    assert_eq!(image.pixels(), expected.pixels());
    assert_eq!(image.spacing(), expected.spacing());
}

#[test]
fn a_volume_has_to_be_asked_for_a_slice() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("head.nii.gz");
    fs::write(&path, gzip(&nifti(&[40, 36, 34], 4, &counting(40 * 36 * 34)))).unwrap();
    for error in [read_image(&path).unwrap_err(), read_image_header(&path).unwrap_err()] {
        assert!(matches!(&error, ImageError::Slices { sizes, .. } if sizes == "40 x 36 x 34"), "{error}");
    }
    let slice = read_nifti_slice(&path, 2, 5).unwrap();
    assert_eq!((slice.width(), slice.height()), (40, 36));
    let across = read_nifti_slice(&path, 0, 39).unwrap();
    assert_eq!((across.width(), across.height(), across.spacing().unwrap().mm.y), (36, 34, 2.0));
    for (axis, index) in [(2, 34), (3, 0), (0, 40)] {
        let error = read_nifti_slice(&path, axis, index).unwrap_err();
        assert!(matches!(error, ImageError::NoSlice { .. }), "{error}");
    }
    assert_eq!(list_images(folder.path()).unwrap().len(), 1);
}

#[test]
fn spacing_without_a_unit_is_none() {
    let mut file = nifti(&[40, 36], 4, &counting(40 * 36));
    file[123] = 0;
    assert_eq!(decode(&file).unwrap().spacing(), None);
    file[123] = 3;
    assert_eq!(decode(&file).unwrap().spacing().unwrap().mm.x, 0.0005);
}

#[test]
fn what_is_no_slice_is_refused() {
    let file = nifti(&[40, 36], 4, &counting(40 * 36));
    let refused = |bytes: &[u8]| {
        let error = decode(bytes).unwrap_err();
        assert!(error.to_string().starts_with("slice.nii: "), "{error}");
        error
    };
    assert!(matches!(refused(&file[..file.len() - 1]), ImageError::Damaged { .. }));
    let line = refused(&nifti(&[40], 4, &counting(40)));
    assert!(matches!(&line, ImageError::Slices { sizes, .. } if sizes == "40"), "{line}");
    let small = refused(&nifti(&[40, 30], 4, &counting(1200)));
    assert!(matches!(small, ImageError::TooSmall { width: 40, height: 30, .. }), "{small}");
    let wide = refused(&nifti(&[40_000, 40], 4, &[]));
    assert!(matches!(wide, ImageError::TooWide { width: 40_000, max_side: 32_768, .. }), "{wide}");
    assert!(matches!(refused(&gzip(b"something else")), ImageError::ForeignFormat { .. }));
    assert!(matches!(refused(&gzip(&file)[..200]), ImageError::Damaged { .. }));
    let mut second = file.clone();
    second[..8].copy_from_slice(&[0x1C, 2, 0, 0, b'n', b'+', b'2', 0]);
    let second = refused(&second);
    assert!(matches!(&second, ImageError::Unsupported { reason, .. } if reason == "NIfTI-2"), "{second}");
    let nan: Vec<u8> =
        (0..40 * 36).flat_map(|i| (if i == 7 { f32::NAN } else { i as f32 }).to_le_bytes()).collect();
    assert!(matches!(refused(&nifti(&[40, 36], 16, &nan)), ImageError::Unsupported { .. }));
}
