//! Landmark files of every format: what is written is read again, and what is foreign is refused with a fix.

use infomark_core::Point;
use infomark_infer::{
    Annotated, ItkGeometry, Landmark, LandmarkError, LandmarkFile, LandmarkFormat, Place, Subject,
    encode_landmarks, parse_landmarks_of,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Landmarks with names of their own and places near an image.
fn landmarks() -> impl Strategy<Value = Vec<Landmark>> {
    let place = prop_oneof![-0.5..4096.0, any::<u16>().prop_map(f64::from)];
    let point = ("[a-zé ,\"\\\\]{0,6}", place.clone(), place, any::<bool>());
    vec(point, 1..8).prop_map(|points| {
        let named = points.into_iter().enumerate().map(|(index, (name, x, y, hidden))| Landmark {
            hidden,
            ..Landmark::new(format!("{index}{name}").trim(), Point::new(x, y))
        });
        named.collect()
    })
}

fn seen(landmarks: &[Landmark]) -> Vec<Landmark> {
    landmarks.iter().map(|landmark| Landmark { hidden: false, ..landmark.clone() }).collect()
}

fn write(format: LandmarkFormat, images: &[Annotated<'_>]) -> Vec<u8> {
    encode_landmarks(format, images, "points").unwrap()
}

fn parse(bytes: &[u8], subject: &Subject<'_>) -> Result<LandmarkFile, LandmarkError> {
    parse_landmarks_of(bytes, "points", subject)
}

fn of_image(image: &str) -> Subject<'_> {
    Subject { image: Some(image), placement: Some(ItkGeometry::of_picture(1.0, 1.0)), ..Subject::default() }
}

fn annotated<'a>(image: &'a str, landmarks: &'a [Landmark]) -> Annotated<'a> {
    let placement = Some(ItkGeometry::of_picture(1.0, 1.0));
    Annotated { image, size: (4096, 4096), spacing: None, placement, landmarks }
}

fn close(found: &[Landmark], expected: &[Landmark]) -> bool {
    let near = |a: f64, b: f64| (a - b).abs() <= 1e-12 * b.abs().max(1.0);
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| {
            found.name == expected.name && near(found.at.x, expected.at.x) && near(found.at.y, expected.at.y)
        })
}

proptest! {
    #[test]
    fn coco_gives_back_every_image_point_and_visibility(first in landmarks(), second in landmarks()) {
        let images = [annotated("a.png", &first), annotated("b.png", &second)];
        let file = parse(&write(LandmarkFormat::Coco, &images), &Subject::default()).unwrap();
        prop_assert_eq!(file.format(), LandmarkFormat::Coco);
        // Points of later images come in the order in which their names came first.
        let sorted = |landmarks: &[Landmark]| {
            let mut landmarks = landmarks.to_vec();
            landmarks.sort_by(|a, b| a.name.cmp(&b.name));
            landmarks
        };
        prop_assert_eq!(sorted(file.get("a.png")), sorted(&first));
        prop_assert_eq!(sorted(file.get("b.png")), sorted(&second));
    }

    #[test]
    fn csv_gives_back_every_number(first in landmarks(), second in landmarks()) {
        let images = [annotated("a.png", &first), annotated("b.png", &second)];
        let file = parse(&write(LandmarkFormat::Csv, &images), &Subject::default()).unwrap();
        prop_assert_eq!(file.get("a.png"), seen(&first));
        prop_assert_eq!(file.get("b.png"), seen(&second));
    }

    #[test]
    fn isbi_text_gives_back_every_number_in_order(points in landmarks()) {
        let names: Vec<String> = points.iter().map(|landmark| landmark.name.clone()).collect();
        let subject = Subject { names: &names, ..of_image("a.png") };
        let mut bytes = write(LandmarkFormat::Isbi, &[annotated("a.png", &points)]);
        let file = parse(&bytes, &subject).unwrap();
        prop_assert_eq!(file.get("a.png"), seen(&points));
        // The challenge's files go on with other things.
        bytes.extend(b"1\n2\n7,8\n");
        let file = parse(&bytes, &subject).unwrap();
        prop_assert_eq!(file.get("a.png"), seen(&points));
    }

    #[test]
    fn labelme_gives_back_every_point(points in landmarks()) {
        let bytes = write(LandmarkFormat::LabelMe, &[annotated("a.png", &points)]);
        let file = parse(&bytes, &Subject::default()).unwrap();
        prop_assert_eq!(file.format(), LandmarkFormat::LabelMe);
        prop_assert!(close(file.get("a.png"), &points));
    }

    #[test]
    fn slicer_gives_back_every_point_for_any_spacing(points in landmarks(), x in 0.01..5.0, y in 0.01..5.0) {
        let placement = Some(ItkGeometry::of_picture(x, y));
        let image = Annotated { placement, ..annotated("a.png", &points) };
        let subject = Subject { placement, ..of_image("a.png") };
        let bytes = write(LandmarkFormat::Slicer, &[image]);
        prop_assert!(close(parse(&bytes, &subject).unwrap().get("a.png"), &points));
        // RAS is LPS with both axes turned round.
        let text = String::from_utf8(bytes).unwrap().replace("\"LPS\"", "\"RAS\"");
        let turned: Vec<_> = points
            .iter()
            .map(|l| Landmark::new(&l.name, Point::new(-l.at.x, -l.at.y)))
            .collect();
        prop_assert!(close(parse(text.as_bytes(), &subject).unwrap().get("a.png"), &turned));
    }

    #[test]
    fn slicer_without_spacing_keeps_every_number(points in landmarks()) {
        let bytes = write(LandmarkFormat::Slicer, &[annotated("a.png", &points)]);
        let file = parse(&bytes, &of_image("a.png")).unwrap();
        prop_assert_eq!(file.get("a.png"), seen(&points));
        let note = "pixel size not known; 3D Slicer takes 1 x 1 mm";
        prop_assert!(String::from_utf8(bytes).unwrap().contains(note));
    }
}

const POINT: &str = r#"{"label": "sella", "position": [3.0, -6.0, 0.0]}"#;

fn slicer(fields: &str, points: &str) -> Result<LandmarkFile, LandmarkError> {
    let text = format!(r#"{{"markups": [{{"type": "Fiducial", {fields} "controlPoints": [{points}]}}]}}"#);
    let placement = Some(ItkGeometry::of_picture(0.3, 0.6));
    parse(text.as_bytes(), &Subject { placement, ..of_image("a.png") })
}

#[test]
fn slicer_coordinates_are_read_and_never_assumed() {
    for system in ["\"LPS\"", "1"] {
        let file = slicer(&format!("\"coordinateSystem\": {system},"), POINT).unwrap();
        assert!(close(file.get("a.png"), &[Landmark::new("sella", Point::new(10.0, -10.0))]));
    }
    for system in ["\"RAS\"", "0"] {
        let file = slicer(&format!("\"coordinateSystem\": {system}, \"coordinateUnits\": \"mm\","), POINT);
        assert!(close(file.unwrap().get("a.png"), &[Landmark::new("sella", Point::new(-10.0, 10.0))]));
    }
    for fields in [
        "",
        "\"coordinateSystem\": \"IJK\",",
        "\"coordinateSystem\": 2,",
        "\"coordinateSystem\": \"LPS\", \"coordinateUnits\": \"um\",",
    ] {
        let error = slicer(fields, POINT).unwrap_err();
        assert!(matches!(error, LandmarkError::Coordinates { .. }), "{fields}: {error}");
    }
}

#[test]
fn slicer_points_without_a_place_are_left_out_and_points_off_the_plane_refused() {
    const LPS: &str = "\"coordinateSystem\": \"LPS\",";
    let undefined = r#"{"label": "nasion", "position": [0.0, 0.0, 0.0], "positionStatus": "undefined"}"#;
    let file = slicer(LPS, &format!("{undefined}, {POINT}")).unwrap();
    assert_eq!(file.get("a.png").len(), 1);
    assert!(matches!(slicer(LPS, undefined), Err(LandmarkError::NoPoints { .. })));
    let deep = r#"{"label": "porion", "position": [1.0, 1.0, 12.0]}"#;
    let error = slicer(LPS, deep).unwrap_err();
    let of_porion = |landmark: &str, mm: f64| landmark == "porion" && mm == 12.0;
    let refused = matches!(
        &error,
        LandmarkError::OffPlane { place: Place::Point(1), landmark, off_plane_mm, thickness_mm: 1.0, .. }
            if of_porion(landmark, *off_plane_mm)
    );
    assert!(refused, "{error}");
}

#[test]
fn coordinates_of_a_few_decimals_come_back_to_the_bit() {
    let at = |x: f64| Point::new(x, 89.02);
    let points = [63.605, 0.105, 1203.001, 7.07, 40_000.333].map(|x| Landmark::new(format!("{x}"), at(x)));
    let placement = Some(ItkGeometry::of_picture(0.3023, 0.3));
    let image = Annotated { placement, ..annotated("a.png", &points) };
    let subject = Subject { placement, ..of_image("a.png") };
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
    let file = parse(text.as_bytes(), &Subject::default()).unwrap();
    assert_eq!(file.get("a.png"), [Landmark::new("sella", Point::new(10.0, 19.5))]);
    let text = text.replace("[[10.5, 20.0]]", "[]");
    let error = parse(text.as_bytes(), &Subject::default()).unwrap_err();
    assert!(matches!(error, LandmarkError::Malformed { format: LandmarkFormat::LabelMe, .. }), "{error}");
}

#[test]
fn coco_leaves_out_what_is_not_labelled_and_refuses_what_does_not_fit() {
    let text = r#"{"images": [{"id": 7, "file_name": "train/a.png", "width": 10, "height": 10}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "keypoints": [0, 0, 0, 4, 5, 1, 6.5, 7, 2]},
                        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}],
        "categories": [{"id": 1, "name": "skull", "keypoints": ["p", "q", "r"]}]}"#;
    let file = parse(text.as_bytes(), &Subject::default()).unwrap();
    let hidden = Landmark { hidden: true, ..Landmark::new("q", Point::new(4.0, 5.0)) };
    assert_eq!(file.get("a.png"), [hidden, Landmark::new("r", Point::new(6.5, 7.0))]);
    let changed = |from: &str, to: &str| parse(text.replace(from, to).as_bytes(), &Subject::default());
    // The refused number is in the reason: an id, how many numbers there are, or a visibility.
    for (from, to, number) in [
        ("\"image_id\": 7", "\"image_id\": 8", "8"),
        ("\"category_id\": 1", "\"category_id\": 2", "2"),
        ("6.5, 7, 2", "6.5, 7", "8"),
        ("6.5, 7, 2", "6.5, 7, 3", "3"),
        ("6.5, 7, 2", "6.5, 1e999, 2", ""),
    ] {
        match changed(from, to).unwrap_err() {
            LandmarkError::Malformed { format: LandmarkFormat::Coco, reason, .. } => {
                assert!(reason.contains(number), "{to}: {reason}");
            }
            error => panic!("{to}: {error}"),
        }
    }
    // Two points of one name, of which one is not labelled.
    assert_eq!(changed("\"p\", \"q\"", "\"q\", \"q\"").unwrap().get("a.png").len(), 2);
}

#[test]
fn files_of_one_image_need_its_name_and_hold_no_second() {
    let points = [Landmark::new("p", Point::new(1.0, 2.0))];
    for format in LandmarkFormat::ALL {
        let one = write(format, &[annotated("a.png", &points)]);
        let two = [annotated("a.png", &points), annotated("b.png", &points)];
        let both = encode_landmarks(format, &two, "points");
        assert_eq!(both.is_ok(), !format.is_of_one_image(), "{format}");
        let unnamed = parse(&one, &Subject::default());
        let needs_name = matches!(format, LandmarkFormat::Slicer | LandmarkFormat::Isbi);
        assert_eq!(matches!(unnamed, Err(LandmarkError::WhichImage { .. })), needs_name, "{format}");
        let names = ["p".to_owned()];
        let file = parse(&one, &Subject { names: &names, ..of_image("a.png") }).unwrap();
        assert_eq!(file.get("a.png"), points, "{format}");
    }
    assert_eq!(LandmarkFormat::of_name("x/A.MRK.JSON"), Some(LandmarkFormat::Slicer));
    assert_eq!(LandmarkFormat::of_name("a.csv"), Some(LandmarkFormat::Csv));
    assert_eq!(LandmarkFormat::of_name("a.txt"), Some(LandmarkFormat::Isbi));
    assert_eq!(LandmarkFormat::of_name("a.json"), None);
}

#[test]
fn isbi_text_of_fewer_points_than_names_is_refused() {
    let names = ["p", "q", "r"].map(str::to_owned);
    let subject = Subject { names: &names, ..of_image("a.bmp") };
    let error = parse(b"835,996\n1473,1029\n1\n", &subject).unwrap_err();
    assert!(matches!(error, LandmarkError::TooFewPoints { found: 2, expected: 3, .. }));
    let file = parse(b"835,996\n1473,1029\n", &of_image("a.bmp")).unwrap();
    assert_eq!(file.get("a.bmp")[1], Landmark::new("2", Point::new(1473.0, 1029.0)));
    let error = parse(b"835,inf\n", &of_image("a.bmp")).unwrap_err();
    assert!(matches!(error, LandmarkError::Number { column: "y", .. }));
}

#[test]
fn json_of_no_known_kind_is_refused() {
    for text in ["{", "{}", "{\"points\": []}", "{\"markups\": 1", "{\"markups\": {}}", "{\"shapes\": []}"] {
        let error = parse(text.as_bytes(), &of_image("a.png")).unwrap_err();
        let message = error.to_string();
        assert!(message.starts_with("points: ") && message.contains(';'), "{message}");
    }
}
