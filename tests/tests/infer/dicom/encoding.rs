//! Data sets in another encoding than their file states.

use infomark_infer::{ImageError, ReadLimits, decode_image};
use infomark_tests::infer_dicom::{Elements, Value, lossless_jpeg, syntax};

use super::{HEIGHT, WIDTH, decode, new, samples};

#[test]
fn elements_of_unknown_vr_and_undefined_length_are_sequences_in_implicit_vr() {
    let squares: Vec<u16> = (0..256_u32).map(|i| (i * i) as u16).collect();
    let plain = new(8).table((0x0028, 0x3010), 0, 16, &squares);
    let expected = decode(&plain).unwrap();
    let text = |text: &str| ("LO", Value::Text(text.to_owned()));
    let inner = Elements::from([((0x0009, 0x1003), text("inner"))]);
    let item = |sequence: Value| {
        Elements::from([
            ((0x0008, 0x0100), text("ABCD")),
            ((0x0009, 0x1002), ("UN", sequence)),
            ((0x0009, 0x1004), text("after")),
            // As an element of the image, its rows would be others.
            ((0x0028, 0x0010), ("US", Value::Words(vec![7]))),
        ])
    };
    let open = |items| ("UN", Value::ImplicitItems(items));
    let nested = item(Value::ImplicitItems(vec![inner.clone(), inner.clone()]));
    let of_length = item(Value::Items(vec![inner]));
    for items in [vec![], vec![Elements::new()], vec![nested.clone()], vec![of_length, nested]] {
        let mut dicom = plain.clone();
        dicom.elements.insert((0x0009, 0x0010), text("VENDOR"));
        // Private, public, and within a sequence that is none of UN.
        dicom.elements.insert((0x0009, 0x1001), open(items.clone()));
        dicom.elements.insert((0x0008, 0x1140), open(items.clone()));
        let outer = Elements::from([((0x0009, 0x1001), open(items))]);
        dicom.elements.insert((0x0008, 0x1115), ("SQ", Value::Items(vec![outer.clone(), outer])));
        for syntax in [syntax::EXPLICIT, syntax::IMPLICIT, syntax::BIG] {
            let image = decode(&dicom.clone().in_syntax(syntax)).unwrap();
            assert_eq!(image.pixels(), expected.pixels(), "{syntax}");
        }
        let jpeg = lossless_jpeg(&samples(8), WIDTH, 8);
        let image = decode(&dicom.compressed(syntax::JPEG_LOSSLESS, vec![jpeg])).unwrap();
        assert_eq!(image.pixels(), expected.pixels());
    }
    // A sequence that is looked for is found in this form, too.
    let mut dicom = plain.clone();
    let Some((_, Value::Items(items))) = dicom.elements.remove(&(0x0028, 0x3010)) else { unreachable!() };
    dicom.elements.insert((0x0028, 0x3010), open(items));
    for syntax in [syntax::EXPLICIT, syntax::BIG] {
        let image = decode(&dicom.clone().in_syntax(syntax)).unwrap();
        assert_eq!(image.pixels(), expected.pixels(), "{syntax}");
    }
    // Without its end it is damaged.
    let bytes = dicom.encode();
    let cut = &bytes[..bytes.len() - WIDTH * HEIGHT - 30];
    let error = decode_image(cut, "scan.dcm", &ReadLimits::default()).unwrap_err();
    assert!(matches!(error, ImageError::Damaged { .. }), "{error}");
}

/// An element in implicit VR.
fn implicit((group, element): (u16, u16), words: &[u16]) -> Vec<u8> {
    let [group, element] = [group, element].map(u16::to_le_bytes);
    let length = (2 * words.len() as u32).to_le_bytes();
    let bytes = words.iter().flat_map(|word| word.to_le_bytes());
    group.into_iter().chain(element).chain(length).chain(bytes).collect()
}

#[test]
fn elements_of_unknown_vr_and_a_length_are_sequences_where_they_hold_items() {
    let squares: Vec<u16> = (0..256_u32).map(|i| (i * i) as u16).collect();
    let expected = decode(&new(8).table((0x0028, 0x3010), 0, 16, &squares)).unwrap();
    assert_ne!(expected.pixels(), decode(&new(8)).unwrap().pixels());
    let content = [implicit((0x0028, 0x3002), &[256, 0, 16]), implicit((0x0028, 0x3006), &squares)].concat();
    let start = [0xFE, 0xFF, 0x00, 0xE0];
    let of_length = [&start[..], &(content.len() as u32).to_le_bytes(), &content].concat();
    let end = [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0];
    let open = [&start[..], &u32::MAX.to_le_bytes(), &content, &end].concat();
    for items in [of_length, open] {
        let mut dicom = new(8);
        dicom.elements.insert((0x0028, 0x3010), ("UN", Value::Bytes(items.clone())));
        // Of a vendor: whatever it is, it is passed over.
        dicom.elements.insert((0x0009, 0x1001), ("UN", Value::Bytes(items[..items.len() - 2].to_vec())));
        for syntax in [syntax::EXPLICIT, syntax::BIG] {
            let image = decode(&dicom.clone().in_syntax(syntax)).unwrap();
            assert_eq!(image.pixels(), expected.pixels(), "{syntax}");
        }
    }
}

#[test]
fn a_data_set_in_the_other_vr_encoding_than_the_file_says_is_read() {
    for bits in [8, 12] {
        let dicom = new(bits);
        let expected = decode(&dicom).unwrap();
        let read = |bytes: &[u8]| decode_image(bytes, "scan.dcm", &ReadLimits::default()).unwrap();
        for (is, said) in [(syntax::IMPLICIT, syntax::EXPLICIT), (syntax::EXPLICIT, syntax::IMPLICIT)] {
            let image = read(&dicom.clone().in_syntax(is).encode_as(said));
            assert_eq!(image.pixels(), expected.pixels(), "{bits} bits, {is} as {said}");
        }
        let mut jpeg = dicom.clone().in_syntax(syntax::IMPLICIT);
        jpeg.fragments = vec![lossless_jpeg(&samples(bits), WIDTH, bits as u8)];
        assert_eq!(read(&jpeg.encode_as(syntax::JPEG_LOSSLESS)).pixels(), expected.pixels());
    }
}
