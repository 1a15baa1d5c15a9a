//! Files of annotation servers: CVAT and Label Studio.

use super::*;

#[test]
fn cvat_points_and_skeletons_are_read_from_the_corner_of_the_first_pixel() {
    let text = r#"<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version><meta><task/></meta>
        <image id="0" name="scans/a.png" width="64" height="80">
          <points label="p" source="manual" occluded="1" points="10.50,20.00" z_order="0"><attribute name="x">1</attribute></points>
          <box label="head" occluded="0" xtl="1" ytl="1" xbr="2" ybr="2"/>
          <skeleton label="skull"><points label="q &amp; r" outside="0" occluded="0" points="1.5,2.5"/>
            <points label="s" outside="1" occluded="0" points="0,0"/></skeleton>
        </image></annotations>"#;
    let file = parse(text.as_bytes(), &ImageContext::default()).unwrap();
    let expected =
        [Landmark::occluded("p", Point::new(10.0, 19.5)), Landmark::new("q & r", Point::new(1.0, 2.0))];
    assert_eq!(file.on_image("a.png", 64, 80).unwrap(), expected);
    assert_eq!((file.absent("a.png"), file.names().len()), (&["s".to_owned()][..], 3));
    let changed = |from: &str, to: &str| {
        parse(text.replace(from, to).as_bytes(), &ImageContext::default()).unwrap_err()
    };
    for (from, to) in [
        ("10.50,20.00", "10.50,20.00;1,2"),
        ("10.50,20.00", "10.50"),
        ("<box", "<track/><box"),
        ("label=\"p\"", ""),
        ("</image>", ""),
        ("</image></annotations>", ""),
        ("&amp;", "&nothing;"),
    ] {
        assert!(matches!(changed(from, to), LandmarkError::Malformed { .. }), "{to}");
    }
    assert!(matches!(changed("annotations", "annotation"), LandmarkError::UnknownFormat { .. }));
    assert!(matches!(changed("label=\"s\"", "label=\"p\""), LandmarkError::Duplicate { .. }));
}

#[test]
fn names_that_look_encoded_come_back_from_label_studio() {
    let points = [Landmark::new("p", Point::new(10.0, 20.0))];
    for name in ["scan%41.png", "50%25.png", "what?.png", "a b.png", "%.png"] {
        let written = write(LandmarkFormat::LabelStudio, &[annotated(name, &points)]);
        let file = parse(&written, &ImageContext::default()).unwrap();
        assert!(close(file.get(name), &points), "{name}");
    }
}

#[test]
fn label_studio_exports_are_read_in_both_forms() {
    let whole = r#"[{"id": 1, "data": {"image": "/data/upload/3/1b2c3d4e-a%20b.png"}, "annotations": [
        {"result": [{"original_width": 200, "original_height": 100, "image_rotation": 0, "type": "keypointlabels",
            "value": {"x": 5.25, "y": 20.5, "width": 0.3, "keypointlabels": ["p"]}},
          {"original_width": 200, "original_height": 100, "value": {"x": 1, "y": 1, "width": 2, "height": 2, "rectanglelabels": ["b"]}}]},
        {"was_cancelled": true, "result": []}]}]"#;
    let least = r#"[{"id": 1, "img": "/data/local-files/?d=scans/a b.png", "annotator": 1, "lead_time": 2.5, "kp": [
        {"x": 5.25, "y": 20.5, "width": 0.3, "keypointlabels": ["p"], "original_width": 200, "original_height": 100}]}]"#;
    for text in [whole, least] {
        let file = parse(text.as_bytes(), &ImageContext::default()).unwrap();
        assert_eq!(file.on_image("a b.png", 200, 100).unwrap(), [Landmark::new("p", Point::new(10.0, 20.0))]);
    }
    let changed = |from: &str, to: &str| {
        parse(whole.replace(from, to).as_bytes(), &ImageContext::default()).unwrap_err()
    };
    for (from, to, told) in [
        ("\"was_cancelled\": true", "\"was_cancelled\": false", "several annotations"),
        ("\"image_rotation\": 0", "\"image_rotation\": 90", "turned"),
        ("[\"p\"]", "[\"p\", \"q\"]", "one label"),
        ("\"x\": 5.25, ", "", "lacks a field"),
        ("\"image\": \"/data/upload/3/1b2c3d4e-a%20b.png\"", "\"text\": \"x\"", "which of its data"),
        ("\"data\": {", "\"data\": {\"lateral\": \"b.png\", ", "several images"),
    ] {
        match changed(from, to) {
            LandmarkError::Malformed { reason, .. } => assert!(reason.contains(told), "{to}: {reason}"),
            error => panic!("{to}: {error}"),
        }
    }
}

#[test]
fn label_studio_exports_are_recognised_by_any_of_their_tasks() {
    let empty = r#"{"id": 1, "annotation_id": 5, "image": "a.png"}"#;
    let marked = r#"{"id": 2, "image": "b.png", "label": [{"original_width": 10, "original_height": 10,
        "x": 50, "y": 50, "keypointlabels": ["p"]}]}"#;
    let read = |tasks: &str| parse(format!("[{tasks}]").as_bytes(), &ImageContext::default());
    let unmarked = r#"{"id": 1, "image": "a.png"}"#;
    for tasks in [format!("{empty}, {marked}"), format!("{unmarked}, {marked}")] {
        let file = read(&tasks).unwrap();
        assert_eq!(file.format(), LandmarkFormat::LabelStudio);
        assert_eq!(file.get("b.png"), [Landmark::new("p", Point::new(4.5, 4.5))]);
    }
    assert!(matches!(read(empty), Err(LandmarkError::NoPoints { .. })));
    assert!(matches!(read(unmarked), Err(LandmarkError::UnknownFormat { .. })));
}
