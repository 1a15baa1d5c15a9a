//! What a file states of its values: contradicted by them, incomplete, or not written as the standard has it.

use infomark_infer::ImageError;
use infomark_tests::infer_dicom::{Dicom, SECRET, Value, rle, syntax};

use super::{HEIGHT, WIDTH, close, damaged, decode, new, refused, samples};

#[test]
fn a_voi_table_of_other_bits_than_its_descriptor_says_is_scaled_by_its_greatest_entry() {
    let ramp = |most: u32| -> Vec<u16> { (0..256).map(|i| (i * most / 255) as u16).collect() };
    let shown = |bits, entries: &[u16]| decode(&new(8).table((0x0028, 0x3010), 0, bits, entries)).unwrap();
    for (bits, most) in [(16, 4095), (16, 255), (12, 255), (8, 4095), (12, 65535), (16, 65535), (12, 4095)] {
        let entries = ramp(most);
        let expected = |x: f64| f64::from(entries[x as usize]) / f64::from(most);
        close(&shown(bits, &entries), expected, &samples(8));
    }
    // A table that only does not reach the greatest value keeps its bits.
    let entries = ramp(3000);
    close(&shown(12, &entries), |x| f64::from(entries[x as usize]) / 4095.0, &samples(8));
    // 8-bit entries, two to a word, whatever the descriptor says.
    for (bits, count) in [(8, 256), (8, 255), (16, 256), (16, 255)] {
        let bytes: Vec<u8> = (0..count).map(|i| (i * 255 / (count - 1)) as u8).collect();
        let entries = bytes.clone();
        let mut dicom = new(8).table((0x0028, 0x3010), 0, bits, &vec![0; count]);
        let Some((_, Value::Items(items))) = dicom.elements.get_mut(&(0x0028, 0x3010)) else {
            unreachable!()
        };
        items[0].insert((0x0028, 0x3006), ("OW", Value::Bytes(bytes)));
        let expected = |x: f64| f64::from(entries[(x as usize).min(count - 1)]) / 255.0;
        close(&decode(&dicom).unwrap(), expected, &samples(8));
    }
}

#[test]
fn incomplete_look_up_tables_are_refused() {
    let change = |sequence: (u16, u16), tag: (u16, u16), value: Option<Value>| {
        let mut dicom = new(8).table(sequence, 0, 16, &[0, 1, 40_000, 65_535]);
        let Some((_, Value::Items(items))) = dicom.elements.get_mut(&sequence) else { unreachable!() };
        match value {
            Some(value) => items[0].insert(tag, ("US", value)),
            None => items[0].remove(&tag),
        };
        dicom
    };
    for sequence in [(0x0028, 0x3000), (0x0028, 0x3010)] {
        let (descriptor, data) = ((0x0028, 0x3002), (0x0028, 0x3006));
        damaged(&change(sequence, data, Some(Value::Words(vec![0, 1, 40_000]))));
        damaged(&change(sequence, data, None));
        damaged(&change(sequence, descriptor, None));
        damaged(&change(sequence, descriptor, Some(Value::Words(vec![4, 0]))));
        for bits in [0, 17] {
            damaged(&change(sequence, descriptor, Some(Value::Words(vec![4, 0, bits]))));
        }
    }
}

#[test]
fn the_first_value_of_a_table_is_signed_with_the_pixels() {
    // Values of -720 to 719, and a table from -100 to 155.
    let values: Vec<u16> = (0..WIDTH * HEIGHT).map(|i| ((i as i32 - 720) & 0xFFF) as u16).collect();
    let entries: Vec<u16> = (0..256).collect();
    let table = |dicom: Dicom, vr| {
        let mut dicom = dicom.table((0x0028, 0x3010), -100, 8, &entries);
        let Some((_, Value::Items(items))) = dicom.elements.get_mut(&(0x0028, 0x3010)) else {
            unreachable!()
        };
        items[0].get_mut(&(0x0028, 0x3002)).unwrap().0 = vr;
        dicom
    };
    let stored = |values| Dicom::new(WIDTH as u16, HEIGHT as u16, 12, values);
    let signed = stored(values).words((0x0028, 0x0103), "US", &[1]);
    // Unsigned values that rescaling makes negative.
    let rescaled = stored((0..(WIDTH * HEIGHT) as u16).collect()).text((0x0028, 0x1052), "DS", "-720");
    for dicom in [signed, rescaled] {
        for (vr, syntax) in [
            ("SS", syntax::EXPLICIT),
            ("US", syntax::EXPLICIT),
            ("US", syntax::IMPLICIT),
            ("SS", syntax::BIG),
        ] {
            let image = decode(&table(dicom.clone(), vr).in_syntax(syntax)).unwrap();
            for (i, &pixel) in image.pixels().iter().enumerate() {
                let expected = (i as f32 - 720.0 + 100.0).clamp(0.0, 255.0) / 255.0;
                assert!((pixel - expected).abs() < 1e-6, "{vr}, {syntax}, {i}: {pixel}");
            }
        }
    }
}

#[test]
fn a_high_bit_that_the_values_contradict_is_ignored() {
    let expected = decode(&new(12)).unwrap();
    let right = new(12).words((0x0028, 0x0102), "US", &[15]);
    assert_eq!(decode(&right).unwrap().pixels(), expected.pixels());
    let rle = right.compressed(syntax::RLE, vec![rle(&samples(12), 2)]);
    assert_eq!(decode(&rle).unwrap().pixels(), expected.pixels());
    // Values at the left are read as High Bit says, whether or not the bits below hold something.
    for below in [0, 9] {
        let left: Vec<u16> = samples(12).iter().map(|&sample| sample << 4 | below).collect();
        let left = Dicom::new(WIDTH as u16, HEIGHT as u16, 12, left).words((0x0028, 0x0102), "US", &[15]);
        assert_eq!(decode(&left).unwrap().pixels(), expected.pixels());
    }
    // Negative values, their signs copied to the top or not.
    let signed = |mask: i32, high| {
        let values = (0..WIDTH * HEIGHT).map(|i| ((i as i32 - 700) & mask) as u16).collect();
        let dicom = Dicom::new(WIDTH as u16, HEIGHT as u16, 12, values).words((0x0028, 0x0103), "US", &[1]);
        decode(&dicom.words((0x0028, 0x0102), "US", &[high])).unwrap()
    };
    let expected = signed(0xFFF, 11);
    for mask in [0xFFF, 0xFFFF] {
        assert_eq!(signed(mask, 15).pixels(), expected.pixels());
    }
}

#[test]
fn windows_that_the_standard_does_not_define_are_refused_by_element() {
    let window = |function: &str, width: &str| {
        let dicom = new(12).text((0x0028, 0x1050), "DS", "2000").text((0x0028, 0x1051), "DS", width);
        dicom.text((0x0028, 0x1056), "CS", function)
    };
    for function in ["SIGMOIDAL", "LINEAR EXACT", "LOG", SECRET] {
        let error = refused(&window(function, "1000"));
        assert!(matches!(error, ImageError::Element { element: "VOI LUT Function", .. }), "{error}");
        // Without a window it has nothing to say.
        let mut dicom = window(function, "1000");
        dicom.elements.remove(&(0x0028, 0x1050));
        decode(&dicom).unwrap();
        // A table goes before it.
        decode(&window(function, "1000").table((0x0028, 0x3010), 0, 8, &[0, 100, 255])).unwrap();
    }
    for (function, width) in
        [("", "0"), ("LINEAR", "0.5"), ("LINEAR", "-3"), ("LINEAR_EXACT", "0"), ("SIGMOID", "0")]
    {
        let error = refused(&window(function, width));
        assert!(
            matches!(error, ImageError::Element { element: "Window Width", .. }),
            "{function}, {width}: {error}"
        );
    }
    for (function, width) in [("", "1"), ("LINEAR_EXACT", "0.5"), ("SIGMOID", "0.5")] {
        decode(&window(function, width)).unwrap();
    }
}

#[test]
fn numbers_that_cannot_be_read_are_refused_by_name() {
    let window =
        |center: &str| new(12).text((0x0028, 0x1050), "DS", center).text((0x0028, 0x1051), "DS", "1000");
    let expected = decode(&window("2000")).unwrap();
    for center in ["2000\r\n", "\t2000 ", " 2000\0", "+2.0e3", "2000\\a"] {
        assert_eq!(decode(&window(center)).unwrap().pixels(), expected.pixels(), "{center:?}");
    }
    for function in ["linear", "Linear ", "LINEAR\r"] {
        let image = decode(&window("2000").text((0x0028, 0x1056), "CS", function)).unwrap();
        assert_eq!(image.pixels(), expected.pixels(), "{function:?}");
    }
    for number in ["2000,5", "2000;1000", "nan", "inf", "1e999", "2 000", SECRET, "\u{FF12}"] {
        for (tag, name) in [
            ((0x0028, 0x1050), "Window Center"),
            ((0x0028, 0x1051), "Window Width"),
            ((0x0028, 0x1052), "Rescale Intercept"),
            ((0x0028, 0x1053), "Rescale Slope"),
            ((0x0028, 0x0008), "Number of Frames"),
            ((0x0028, 0x0030), "its Pixel Spacing"),
            ((0x0018, 0x1164), "its Imager Pixel Spacing"),
            ((0x0018, 0x2010), "its Nominal Scanned Pixel Spacing"),
        ] {
            let text = if name.contains("Spacing") { format!("{number}\\0.1") } else { number.to_owned() };
            assert!(damaged(&window("2000").text(tag, "DS", &text)).contains(name));
        }
    }
    assert!(damaged(&window("2000").text((0x0028, 0x0030), "DS", "0,15\\0,15")).contains("Pixel Spacing"));
}

#[test]
fn padding_after_the_samples_is_ignored_and_a_further_row_is_not() {
    let expected = decode(&new(12)).unwrap();
    let least = WIDTH.min(HEIGHT);
    let padded = |count: usize| {
        let mut samples = samples(12);
        samples.resize(samples.len() + count, 0);
        Dicom::new(WIDTH as u16, HEIGHT as u16, 12, samples)
    };
    for count in [1, 2, least / 2, least - 1] {
        assert_eq!(decode(&padded(count)).unwrap().pixels(), expected.pixels(), "{count}");
    }
    for count in [least, WIDTH, WIDTH * HEIGHT] {
        let error = decode(&padded(count)).err();
        assert!(matches!(error, Some(ImageError::Damaged { .. })), "{count}: {error:?}");
    }
}
