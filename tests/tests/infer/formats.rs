//! Landmark files of every format: what is written is read again, and what is foreign is refused with a fix.

mod coco;
mod slicer;
mod web;

use infomark_core::Point;
use infomark_infer::{
    Annotated, CocoIndex, FileError, ImageContext, ItkGeometry, Landmark, LandmarkError, LandmarkFile,
    LandmarkFormat, Place, Visibility, WriteOptions, encode_landmarks, is_same_name, parse_landmarks_of,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Landmarks of an image: annotated and absent.
#[derive(Clone, Debug)]
struct Marks {
    landmarks: Vec<Landmark>,
    absent: Vec<String>,
}

/// Landmarks with names of their own and places near an image.
fn marks() -> impl Strategy<Value = Marks> {
    let place = prop_oneof![-0.5..4096.0, any::<u16>().prop_map(f64::from)];
    let point = ("[a-zé ,;<&\"\\\\]{0,6}", place.clone(), place, any::<bool>());
    (vec(point, 1..8), vec("[a-zé ,;<&\"\\\\]{0,6}", 0..3)).prop_map(|(points, absent)| {
        let named = points.into_iter().enumerate().map(|(index, (name, x, y, occluded))| {
            let visibility = if occluded { Visibility::Occluded } else { Visibility::Visible };
            Landmark { visibility, ..Landmark::new(format!("{index}{name}").trim(), Point::new(x, y)) }
        });
        let absent = absent
            .into_iter()
            .enumerate()
            .map(|(index, name)| format!("absent {index}{name}").trim().to_owned());
        Marks { landmarks: named.collect(), absent: absent.collect() }
    })
}

const NO_NAMES: WriteOptions<'_> = WriteOptions { names: &[], coco: None };

fn write(format: LandmarkFormat, images: &[Annotated<'_>]) -> Vec<u8> {
    encode_landmarks(format, images, &NO_NAMES, "points").unwrap()
}

fn parse(bytes: &[u8], subject: &ImageContext<'_>) -> Result<LandmarkFile, LandmarkError> {
    parse_landmarks_of(bytes, "points", subject)
}

fn of_image(image: &str) -> ImageContext<'_> {
    ImageContext {
        image: Some(image),
        placement: Some(ItkGeometry::of_picture(1.0, 1.0)),
        ..ImageContext::default()
    }
}

fn annotated<'a>(image: &'a str, landmarks: &'a [Landmark]) -> Annotated<'a> {
    let placement = Some(ItkGeometry::of_picture(1.0, 1.0));
    Annotated { image, size: (4096, 4096), spacing: None, placement, landmarks, absent: &[] }
}

fn marked<'a>(image: &'a str, marks: &'a Marks) -> Annotated<'a> {
    Annotated { absent: &marks.absent, ..annotated(image, &marks.landmarks) }
}

fn is_close(found: &Landmark, expected: &Landmark) -> bool {
    // To within the rounding of a division by the size of the image.
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-11 * b.abs().max(1.0);
    found.name == expected.name && near(found.at.x, expected.at.x) && near(found.at.y, expected.at.y)
}

fn close(found: &[Landmark], expected: &[Landmark]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| is_close(found, expected))
}

fn by_name(landmarks: &[Landmark]) -> Vec<Landmark> {
    let mut landmarks = landmarks.to_vec();
    landmarks.sort_by(|a, b| a.name.cmp(&b.name));
    landmarks
}

/// Checks that an image comes back with its points, visibility and absent landmarks, as far as the format keeps them.
fn check(
    format: LandmarkFormat,
    file: &LandmarkFile,
    image: &str,
    expected: &Marks,
) -> Result<(), TestCaseError> {
    let Marks { landmarks, absent } = expected;
    // Points of later images come in the order in which their names came first.
    let (found, expected) = (by_name(file.get(image)), by_name(landmarks));
    prop_assert!(close(&found, &expected), "{} {:?} {:?}", format, found, expected);
    for (found, expected) in found.iter().zip(&expected) {
        let kept = if format.keeps_visibility() { expected.visibility } else { Visibility::Visible };
        prop_assert_eq!(found.visibility, kept, "{}", format);
    }
    let mut kept: Vec<String> = if format.keeps_absent() { absent.clone() } else { Vec::new() };
    let mut found = file.absent(image).to_vec();
    kept.sort();
    found.sort();
    prop_assert_eq!(found, kept, "{}", format);
    Ok(())
}

proptest! {
    #[test]
    fn every_format_gives_back_points_visibility_and_absent_landmarks(first in marks(), second in marks()) {
        let images = [marked("a.png", &first), marked("b.png", &second)];
        let coco = write(LandmarkFormat::Coco, &images);
        let index = CocoIndex::parse(&coco, "coco").unwrap();
        for format in LandmarkFormat::ALL {
            let of_one = format.is_of_one_image();
            if format == LandmarkFormat::Isbi {
                continue;
            }
            let options = WriteOptions { coco: Some(&index), ..NO_NAMES };
            let images = if of_one { &images[..1] } else { &images[..] };
            let bytes = encode_landmarks(format, images, &options, "points").unwrap();
            let subject = ImageContext { coco: Some(&index), ..of_image("a.png") };
            let file = parse(&bytes, &subject).unwrap();
            prop_assert_eq!(file.format(), format);
            check(format, &file, "a.png", &first)?;
            if !of_one {
                check(format, &file, "b.png", &second)?;
            }
            // Names come in their order.
            let order: Vec<&String> = file.names().iter().filter(|name| first.landmarks.iter().any(|l| l.name == **name)).collect();
            let expected: Vec<&String> = first.landmarks.iter().map(|landmark| &landmark.name).collect();
            prop_assert_eq!(order, expected, "{}", format);
        }
    }

    #[test]
    fn csv_and_coco_keep_every_number(first in marks()) {
        for format in [LandmarkFormat::Csv, LandmarkFormat::Coco] {
            let file = parse(&write(format, &[marked("a.png", &first)]), &ImageContext::default()).unwrap();
            prop_assert_eq!(file.get("a.png"), &first.landmarks[..]);
        }
    }

    #[test]
    fn isbi_text_gives_back_every_number_in_order(points in marks()) {
        let points = points.landmarks;
        let names: Vec<String> = points.iter().map(|landmark| landmark.name.clone()).collect();
        let subject = ImageContext { names: &names, ..of_image("a.png") };
        let seen: Vec<_> = points.iter().map(|landmark| Landmark::new(&landmark.name, landmark.at)).collect();
        let mut bytes = write(LandmarkFormat::Isbi, &[annotated("a.png", &points)]);
        let file = parse(&bytes, &subject).unwrap();
        prop_assert_eq!(file.get("a.png"), seen.clone());
        // The challenge's files go on with other things.
        bytes.extend(b"1\n2\n\n");
        let file = parse(&bytes, &subject).unwrap();
        prop_assert_eq!(file.get("a.png"), seen);
        // Another order of the names is another order of the lines.
        let turned: Vec<String> = names.iter().rev().cloned().collect();
        let options = WriteOptions { names: &turned, ..NO_NAMES };
        let bytes = encode_landmarks(LandmarkFormat::Isbi, &[annotated("a.png", &points)], &options, "points").unwrap();
        let file = parse(&bytes, &ImageContext { names: &turned, ..of_image("a.png") }).unwrap();
        prop_assert!(close(&by_name(file.get("a.png")), &by_name(&points)));
    }

    #[test]
    fn slicer_gives_back_every_point_for_any_spacing(points in marks(), x in 0.01..5.0, y in 0.01..5.0) {
        let points = points.landmarks;
        let placement = Some(ItkGeometry::of_picture(x, y));
        let image = Annotated { placement, ..annotated("a.png", &points) };
        let subject = ImageContext { placement, ..of_image("a.png") };
        for format in [LandmarkFormat::Slicer, LandmarkFormat::Fcsv] {
            let bytes = write(format, &[image]);
            prop_assert!(close(parse(&bytes, &subject).unwrap().get("a.png"), &points));
            // RAS is LPS with both axes turned round.
            let text = String::from_utf8(bytes).unwrap().replace("\"LPS\"", "\"RAS\"").replace("= LPS", "= RAS");
            let turned: Vec<_> = points
                .iter()
                .map(|l| Landmark::new(&l.name, Point::new(-l.at.x, -l.at.y)))
                .collect();
            prop_assert!(close(parse(text.as_bytes(), &subject).unwrap().get("a.png"), &turned));
        }
    }

    #[test]
    fn slicer_without_spacing_keeps_every_number(points in marks()) {
        let bytes = write(LandmarkFormat::Slicer, &[marked("a.png", &points)]);
        let file = parse(&bytes, &of_image("a.png")).unwrap();
        prop_assert_eq!(file.get("a.png"), &points.landmarks[..]);
        let note = "pixel size not known; 3D Slicer takes 1 x 1 mm";
        prop_assert!(String::from_utf8(bytes).unwrap().contains(note));
    }
}

const POINT: &str = r#"{"label": "sella", "position": [3.0, -6.0, 0.0]}"#;

#[test]
fn coordinates_of_a_few_decimals_come_back_to_the_bit() {
    let at = |x: f64| Point::new(x, 89.02);
    let points = [63.605, 0.105, 1203.001, 7.07, 40_000.333].map(|x| Landmark::new(format!("{x}"), at(x)));
    let placement = Some(ItkGeometry::of_picture(0.3023, 0.3));
    let image = Annotated { placement, ..annotated("a.png", &points) };
    let subject = ImageContext { placement, ..of_image("a.png") };
    for format in [LandmarkFormat::LabelMe, LandmarkFormat::Slicer] {
        let file = parse(&write(format, &[image]), &subject).unwrap();
        assert_eq!(file.get("a.png"), points, "{format:?}");
    }
}

#[test]
fn labelme_counts_from_the_corner_of_the_first_pixel() {
    let text = r#"{"version": "5.4.1", "imagePath": "..\\images\\a.png", "imageData": "iVBORw0KGgo=",
        "shapes": [{"label": "sella", "points": [[10.5, 20.0]], "shape_type": "point"},
                   {"label": "mandible", "points": [[1, 2], [3, 4], [5, 6]], "shape_type": "polygon"}]}"#;
    let file = parse(text.as_bytes(), &ImageContext::default()).unwrap();
    assert_eq!(file.get("a.png"), [Landmark::new("sella", Point::new(10.0, 19.5))]);
    let text = text.replace("[[10.5, 20.0]]", "[]");
    let error = parse(text.as_bytes(), &ImageContext::default()).unwrap_err();
    assert!(matches!(error, LandmarkError::Malformed { format: LandmarkFormat::LabelMe, .. }), "{error}");
}

#[test]
fn files_of_one_image_need_its_name_and_hold_no_second() {
    let points = [Landmark::new("p", Point::new(1.0, 2.0))];
    let coco = write(LandmarkFormat::Coco, &[annotated("a.png", &points), annotated("b.png", &points)]);
    let index = CocoIndex::parse(&coco, "coco").unwrap();
    let options = WriteOptions { coco: Some(&index), ..NO_NAMES };
    for format in LandmarkFormat::ALL {
        let one = encode_landmarks(format, &[annotated("a.png", &points)], &options, "points").unwrap();
        let two = [annotated("a.png", &points), annotated("b.png", &points)];
        let both = encode_landmarks(format, &two, &options, "points");
        assert_eq!(both.is_ok(), !format.is_of_one_image(), "{format}");
        let unnamed = parse(&one, &ImageContext { coco: Some(&index), ..ImageContext::default() });
        let needs_name =
            matches!(format, LandmarkFormat::Slicer | LandmarkFormat::Fcsv | LandmarkFormat::Isbi);
        assert_eq!(matches!(unnamed, Err(LandmarkError::WhichImage { .. })), needs_name, "{format}");
        let names = ["p".to_owned()];
        let file =
            parse(&one, &ImageContext { names: &names, coco: Some(&index), ..of_image("a.png") }).unwrap();
        assert!(close(file.get("a.png"), &points), "{format}");
        assert_eq!(LandmarkFormat::of_key(format.key()), Some(format));
    }
    assert_eq!(LandmarkFormat::of_name("x/A.MRK.JSON"), Some(LandmarkFormat::Slicer));
    assert_eq!(LandmarkFormat::of_name("a.csv"), Some(LandmarkFormat::Csv));
    assert_eq!(LandmarkFormat::of_name("a.fcsv"), Some(LandmarkFormat::Fcsv));
    assert_eq!(LandmarkFormat::of_name("a.xml"), Some(LandmarkFormat::Cvat));
    assert_eq!(LandmarkFormat::of_name("a.txt"), Some(LandmarkFormat::Isbi));
    assert_eq!(LandmarkFormat::of_name("a.json"), None);
}

#[test]
fn isbi_text_has_a_point_in_each_line_or_is_refused() {
    let names = ["p", "q", "r"].map(str::to_owned);
    let subject = ImageContext { names: &names, ..of_image("a.bmp") };
    let error = parse(b"835,996\n1473,1029\n1\n", &subject).unwrap_err();
    assert!(matches!(error, LandmarkError::TooFewPoints { found: 2, expected: 3, .. }));
    let file = parse(b"835,996\n1473,1029\n", &of_image("a.bmp")).unwrap();
    assert_eq!(file.get("a.bmp")[1], Landmark::new("2", Point::new(1473.0, 1029.0)));
    let error = parse(b"835,inf\n", &of_image("a.bmp")).unwrap_err();
    assert!(matches!(error, LandmarkError::Number { column: "y", .. }));
    for (text, line, found) in [
        ("1,2\nNA,NA\n3,4\n", 2, "NA,NA"),
        ("NA,NA\n1,2\n", 1, "NA,NA"),
        ("1,2\n\n3,4\n5,6\n", 2, ""),
        ("1,2\n300 150\n3,4\n", 2, "300 150"),
        ("1,2\n7\n3,4\n", 2, "7"),
    ] {
        for subject in [of_image("a.bmp"), subject] {
            match parse(text.as_bytes(), &subject).unwrap_err() {
                LandmarkError::NotAPair { place, text, .. } => {
                    assert_eq!((place, text.as_str()), (Place::Line(line), found));
                }
                error => panic!("{text}: {error}"),
            }
        }
    }
}

#[test]
fn isbi_text_has_one_order_and_cannot_leave_a_landmark_out() {
    let point = |name: &str, x: f64| Landmark::new(name, Point::new(x, 2.0 * x));
    let (first, second) = ([point("p", 1.0), point("q", 2.0)], [point("q", 3.0), point("p", 4.0)]);
    let names = ["p", "q"].map(str::to_owned);
    let options = WriteOptions { names: &names, ..NO_NAMES };
    let encode = |landmarks| {
        encode_landmarks(LandmarkFormat::Isbi, &[annotated("a.png", landmarks)], &options, "a.txt")
            .map(|bytes| String::from_utf8(bytes).unwrap())
    };
    assert_eq!(encode(&first[..]).unwrap(), "1,2\n2,4\n");
    assert_eq!(encode(&second[..]).unwrap(), "4,8\n3,6\n");
    let missing = encode(&second[..1]).unwrap_err();
    assert!(matches!(&missing, LandmarkError::MissingPoint { landmark, .. } if landmark == "p"), "{missing}");
    let absent = ["q".to_owned()];
    let image = Annotated { absent: &absent, ..annotated("a.png", &first[..1]) };
    let error = encode_landmarks(LandmarkFormat::Isbi, &[image], &NO_NAMES, "a.txt").unwrap_err();
    assert!(matches!(error, LandmarkError::MissingPoint { .. }), "{error}");
}

#[test]
fn files_made_for_another_size_of_image_are_refused() {
    let points = [Landmark::new("p", Point::new(10.0, 20.0))];
    for format in LandmarkFormat::ALL.into_iter().filter(|format| format.states_size()) {
        let image = Annotated { size: (64, 80), ..annotated("a.png", &points) };
        let file = parse(&write(format, &[image]), &ImageContext::default()).unwrap();
        assert!(close(file.on_image("a.png", 64, 80).unwrap(), &points), "{format}");
        let error = file.on_image("a.png", 128, 160).unwrap_err();
        let told = matches!(error, LandmarkError::OtherSize { stated: (64, 80), size: (128, 160), .. });
        assert!(told, "{format}: {error}");
    }
}

#[test]
fn points_outside_an_image_are_kept_within_a_margin() {
    let points = [Landmark::new("p", Point::new(64.0, 20.0))];
    let file =
        parse(&write(LandmarkFormat::Csv, &[annotated("a.png", &points)]), &ImageContext::default()).unwrap();
    assert!(matches!(file.on_image("a.png", 64, 80), Err(LandmarkError::Outside { .. })));
    assert_eq!(file.near_image("a.png", 64, 80, 0.5).unwrap(), points);
    assert!(matches!(file.near_image("a.png", 64, 80, 0.4), Err(LandmarkError::Outside { .. })));
}

#[test]
fn names_are_the_same_in_every_unicode_normal_form() {
    let (nfc, nfd) = ("sch\u{e4}del.png", "scha\u{308}del.png");
    let text = format!("image,landmark,x,y\n{nfd},na\u{308}se,1,2\n");
    let file = parse(text.as_bytes(), &ImageContext::default()).unwrap();
    for image in [nfc, nfd] {
        assert_eq!(file.get(image), [Landmark::new("n\u{e4}se", Point::new(1.0, 2.0))]);
        file.check_images(|known| known == image).unwrap();
    }
    assert!(is_same_name(nfc, nfd) && !is_same_name(nfc, "schadel.png"));
}

#[test]
fn utf_16_is_read_and_other_encodings_are_named() {
    let text = "image,landmark,x,y\nsch\u{e4}del.png,p,1,2\n";
    let little: Vec<u8> =
        [0xFF, 0xFE].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let big: Vec<u8> =
        [0xFE, 0xFF].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    for bytes in [&little, &big] {
        assert_eq!(parse(bytes, &ImageContext::default()).unwrap().get("sch\u{e4}del.png").len(), 1);
        assert!(matches!(
            parse(&bytes[..bytes.len() - 1], &ImageContext::default()),
            Err(LandmarkError::Encoding { .. })
        ));
    }
    // GB18030 of a Chinese name.
    let error =
        parse(b"image,landmark,x,y\n\xcd\xb7\xb2\xbf.png,p,1,2\n", &ImageContext::default()).unwrap_err();
    assert!(error.to_string().contains("line 2") && error.to_string().contains("GB18030"), "{error}");
}

#[test]
fn a_table_tells_absent_landmarks_from_those_without_rows() {
    let text = "image,landmark,x,y,visibility\na.png,p,1,2,visible\na.png,q,3,4,occluded\na.png,r,,,absent\nb.png,s,5,6,\n";
    let file = parse(text.as_bytes(), &ImageContext::default()).unwrap();
    assert_eq!(file.get("a.png")[1], Landmark::occluded("q", Point::new(3.0, 4.0)));
    assert_eq!((file.absent("a.png"), file.absent("b.png")), (&["r".to_owned()][..], &[][..]));
    assert_eq!(file.names(), ["p", "q", "r", "s"]);
    let changed = |from: &str, to: &str| parse(text.replace(from, to).as_bytes(), &ImageContext::default());
    assert!(matches!(changed("q,3,4,occluded", "q,3,4,2"), Err(LandmarkError::Visibility { .. })));
    assert!(matches!(changed("r,,,absent", "r,1,2,absent"), Err(LandmarkError::AbsentWithPoint { .. })));
    assert!(matches!(changed("r,,,absent", "r,,,"), Err(LandmarkError::Number { .. })));
}

#[test]
fn no_words_of_the_json_library_reach_a_message() {
    for text in [
        r#"{"markups": [{"controlPoints": [{"position": [1, 2, 3]}]}]}"#,
        r#"{"shapes": [{"label": 7}], "imagePath": "a.png"}"#,
        r#"{"images": [], "annotations": [{"image_id": -1}], "categories": []}"#,
        r#"[{"data": 5, "annotations": []}]"#,
    ] {
        let message = parse(text.as_bytes(), &of_image("a.png")).unwrap_err().to_string();
        for word in ["invalid type", "expected", "struct", "sequence", " at line"] {
            assert!(!message.contains(word), "{message}");
        }
    }
}

#[test]
fn files_of_other_programs_are_named() {
    for (text, told) in [
        ("LM=2\n1 2\n3 4\nID=1\n", "TPS"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n", "iBUG"),
        ("<annotation><filename>a.png</filename></annotation>", "XML other than CVAT's"),
        ("[{\"a\": 1}]", "neither of Label Studio nor COCO results"),
        ("[]", "an empty JSON list"),
    ] {
        let message = parse(text.as_bytes(), &of_image("a.png")).unwrap_err().to_string();
        assert!(message.contains(told), "{message}");
    }
}

#[test]
fn json_of_no_known_kind_is_refused() {
    for text in ["{", "{}", "{\"points\": []}", "{\"markups\": 1", "{\"markups\": {}}", "{\"shapes\": []}"] {
        let error = parse(text.as_bytes(), &of_image("a.png")).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("points: ") && message.contains(';'), "{message}");
    }
}

#[test]
fn names_give_the_order_of_landmarks_in_every_format() {
    let landmarks = ["p", "q", "r"].map(|name| Landmark::new(name, Point::new(1.0, 2.0)));
    let names = ["r", "p"].map(str::to_owned);
    for format in LandmarkFormat::ALL.into_iter().filter(|format| !format.needs_index()) {
        let written = |names| {
            let options = WriteOptions { names, coco: None };
            encode_landmarks(format, &[annotated("a.png", &landmarks)], &options, "points").unwrap()
        };
        let order = |names| {
            let file = parse(&written(names), &of_image("a.png")).unwrap();
            file.get("a.png").iter().map(|landmark| landmark.name.clone()).collect::<Vec<_>>()
        };
        let wanted = if format == LandmarkFormat::Isbi { vec!["1", "2"] } else { vec!["r", "p", "q"] };
        assert_eq!(order(&names), wanted, "{format}");
        if format != LandmarkFormat::Isbi {
            assert_eq!(order(&[]), ["p", "q", "r"], "{format}");
        }
    }
}
