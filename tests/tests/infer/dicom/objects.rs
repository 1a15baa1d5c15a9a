//! DICOM files of other objects than images, files without a preamble, and headers that are read before the pixels.

use std::fs::{self, File};

use infomark_infer::{
    ImageError, ReadLimits, decode_image, list_folder, list_images, read_image, read_image_header,
};
use infomark_tests::infer_dicom::{Dicom, Value, lossless_jpeg, syntax};
use tempfile::TempDir;

use super::{HEIGHT, WIDTH, decode, new, samples};

const SOP_CLASS: (u16, u16) = (0x0008, 0x0016);

/// A file of a class whose data set has no pixel data.
fn object(sop_class: &str, syntax: &'static str) -> Vec<u8> {
    let dicom = Dicom::new(1, 1, 8, vec![0]).in_syntax(syntax);
    let with_pixels = dicom.clone().encode();
    let without = dicom.text(SOP_CLASS, "UI", sop_class).encode();
    let pixels =
        with_pixels.len() - with_pixels.windows(4).position(|tag| tag == [0xE0, 0x7F, 0x10, 0]).unwrap();
    without[..without.len() - pixels].to_vec()
}

#[test]
fn objects_without_an_image_are_refused_by_name() {
    for (class, name) in [
        ("1.2.840.10008.1.3.10", "DICOMDIR"),
        ("1.2.840.10008.5.1.4.1.1.88.22", "Structured Report"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "Key Object Selection"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "Presentation State"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "RT Structure Set"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF"),
        ("1.2.840.10008.5.1.4.1.1.1", "without pixel data"),
        ("1.2.3", "without pixel data"),
    ] {
        for syntax in [syntax::EXPLICIT, syntax::IMPLICIT] {
            let bytes = object(class, syntax);
            let error = decode_image(&bytes, "scan.dcm", &ReadLimits::default()).unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, ImageError::NotAnImage { object, .. } if object.contains(name)),
                "{text}"
            );
            assert!(text.starts_with("scan.dcm: ") && text.contains(';'), "{text}");
        }
    }
}

#[test]
fn a_folder_counts_the_objects_without_an_image() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, bytes: &[u8]| fs::write(folder.path().join(name), bytes).unwrap();
    write("DICOMDIR", &object("1.2.840.10008.1.3.10", syntax::EXPLICIT));
    let error = list_folder(folder.path()).unwrap_err();
    assert!(matches!(error, ImageError::NoImages { .. }), "{error}");
    write("IM1", &new(8).encode());
    write("IM2.dcm", &new(8).text(SOP_CLASS, "UI", "1.2.840.10008.5.1.4.1.1.1").encode());
    write("PR1.dcm", &object("1.2.840.10008.5.1.4.1.1.11.1", syntax::IMPLICIT));
    // Without a preamble, and without a meta group as well.
    write("IM3", &new(8).encode()[128 + 4..]);
    write("IM4", &data_set(&new(8).text(SOP_CLASS, "UI", "1.2.840.10008.5.1.4.1.1.1")));
    write("SR2", &object("1.2.840.10008.5.1.4.1.1.88.22", syntax::EXPLICIT)[128 + 4..]);
    write("notes", b"none");
    write("broken.dcm", b"no DICOM");
    let listing = list_folder(folder.path()).unwrap();
    let names = |paths: &mut dyn Iterator<Item = &std::path::PathBuf>| -> Vec<String> {
        paths.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&mut listing.images.iter()), ["IM1", "IM2.dcm", "IM3", "IM4", "broken.dcm"]);
    assert_eq!(names(&mut listing.skipped.iter().map(|s| &s.path)), ["DICOMDIR", "PR1.dcm", "SR2"]);
    let warning = listing.warning().unwrap();
    assert!(warning.contains("3 DICOM files") && warning.contains("DICOMDIR, an index"), "{warning}");
    assert_eq!(list_images(folder.path()).unwrap(), listing.images);
    for image in &listing.images[..4] {
        read_image(image).unwrap();
    }
}

/// The data set alone.
fn data_set(dicom: &Dicom) -> Vec<u8> {
    let start = 128 + 4 + 12 + 8 + dicom.syntax.len().next_multiple_of(2);
    dicom.encode()[start..].to_vec()
}

#[test]
fn files_without_a_preamble_or_a_meta_group_are_read() {
    for bits in [8, 12] {
        let dicom = new(bits).text((0x0008, 0x0005), "CS", "ISO_IR 100");
        let expected = decode(&dicom).unwrap();
        let read = |bytes: &[u8]| decode_image(bytes, "scan", &ReadLimits::default());
        for syntax in [syntax::EXPLICIT, syntax::IMPLICIT] {
            let dicom = dicom.clone().in_syntax(syntax);
            for bytes in [
                &dicom.encode()[132..],
                &data_set(&dicom),
                &[&[0; 128], &b"DICM"[..], &data_set(&dicom)].concat(),
            ] {
                assert_eq!(read(bytes).unwrap().pixels(), expected.pixels(), "{syntax}");
            }
        }
        // With the transfer syntax in its meta group it may be compressed, without one not.
        let jpeg = lossless_jpeg(&samples(bits), WIDTH, bits as u8);
        let jpeg = dicom.clone().compressed(syntax::JPEG_LOSSLESS, vec![jpeg]);
        assert_eq!(read(&jpeg.encode()[132..]).unwrap().pixels(), expected.pixels());
        let error = read(&data_set(&jpeg)).unwrap_err();
        assert!(error.to_string().contains("names no transfer syntax"), "{error}");
        let mut longer = data_set(&dicom);
        let rows = longer.windows(4).position(|tag| tag == [0x28, 0, 0x10, 0]).unwrap();
        longer[rows + 8] -= 1;
        let error = read(&longer).unwrap_err();
        assert!(error.to_string().contains("names no transfer syntax"), "{error}");
    }
}

/// A file whose pixel data are said to be longer than it is and are not there but for zeros, which take no room on the disk.
fn sparse(folder: &TempDir, name: &str, dicom: &Dicom, length: u64) -> std::path::PathBuf {
    let path = folder.path().join(name);
    fs::write(&path, dicom.encode()).unwrap();
    File::options().write(true).open(&path).unwrap().set_len(length).unwrap();
    path
}

#[test]
fn what_the_header_says_is_refused_before_the_pixels_are_read() {
    let folder = TempDir::new().unwrap();
    // More than the limit on memory, so that reading all of it would be another error.
    let frames = new(16).text((0x0028, 0x0008), "IS", "35");
    let path = sparse(&folder, "frames", &frames, 3 << 30);
    for error in [read_image(&path).unwrap_err(), read_image_header(&path).unwrap_err()] {
        assert!(matches!(error, ImageError::Frames { frames: 35, .. }), "{error}");
    }
    let path =
        sparse(&folder, "video", &new(8).compressed("1.2.840.10008.1.2.4.102", vec![vec![0; 4]]), 3 << 30);
    assert!(matches!(read_image(&path).unwrap_err(), ImageError::TransferSyntax { .. }));
    // A header of 3 MiB.
    let mut long = new(8);
    long.elements.insert((0x0009, 0x0010), ("LO", Value::Text("VENDOR".to_owned())));
    long.elements.insert((0x0009, 0x1001), ("OB", Value::Bytes(vec![0; 3 << 20])));
    let path = sparse(&folder, "long", &long, 100 << 20);
    let header = read_image_header(&path).unwrap();
    assert_eq!((header.width, header.height), (WIDTH, HEIGHT));
    assert_eq!(read_image(&path).unwrap().pixels(), decode(&new(8)).unwrap().pixels());
}
