//! COCO files and COCO results.

use super::*;

#[test]
fn coco_leaves_out_what_is_not_labelled_and_refuses_what_does_not_fit() {
    let text = r#"{"images": [{"id": 7, "file_name": "train/a.png", "width": 10, "height": 10}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "keypoints": [0, 0, 0, 4, 5, 1, 6.5, 7, 2]},
                        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}],
        "categories": [{"id": 1, "name": "skull", "keypoints": ["p", "q", "r"]}]}"#;
    let file = parse(text.as_bytes(), &ImageContext::default()).unwrap();
    assert_eq!(file.names(), ["p", "q", "r"]);
    let occluded = Landmark::occluded("q", Point::new(4.0, 5.0));
    assert_eq!(file.get("a.png"), [occluded, Landmark::new("r", Point::new(6.5, 7.0))]);
    let changed = |from: &str, to: &str| parse(text.replace(from, to).as_bytes(), &ImageContext::default());
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
    assert!(changed("\"images\": [", "\"images\": [{\"id\": 7, \"file_name\": \"b.png\"}, ").is_err());
    // Two points of one name, of which one is not labelled.
    assert_eq!(changed("\"p\", \"q\"", "\"q\", \"q\"").unwrap().get("a.png").len(), 2);
}

#[test]
fn coco_results_are_read_and_written_by_the_ids_of_their_file() {
    let coco = r#"{"images": [{"id": 7, "file_name": "train/a.png", "width": 10, "height": 10}],
        "categories": [{"id": 3, "name": "skull", "keypoints": ["p", "q"]}]}"#;
    let index = CocoIndex::parse(coco.as_bytes(), "coco").unwrap();
    let text = r#"[{"image_id": 7, "category_id": 3, "keypoints": [1, 2, 0.93, 0, 0, 0], "score": 0.9}]"#;
    let subject = ImageContext { coco: Some(&index), ..ImageContext::default() };
    let file = parse(text.as_bytes(), &subject).unwrap();
    assert_eq!(file.get("a.png"), [Landmark::new("p", Point::new(1.0, 2.0))]);
    assert_eq!(file.names(), ["p", "q"]);
    assert!(matches!(file.on_image("a.png", 20, 20), Err(LandmarkError::OtherSize { .. })));
    assert!(matches!(
        parse(text.as_bytes(), &ImageContext::default()),
        Err(LandmarkError::WithoutIndex { .. })
    ));
    for (from, to) in [("7", "8"), ("\"category_id\": 3", "\"category_id\": 4"), ("0.93, ", "")] {
        let error = parse(text.replace(from, to).as_bytes(), &subject).unwrap_err();
        assert!(matches!(error, LandmarkError::Malformed { .. }), "{error}");
    }
    let encode = |image: &str, names: &[String], coco: Option<&CocoIndex>| {
        let image = annotated(image, file.get("a.png"));
        encode_landmarks(LandmarkFormat::CocoResults, &[image], &WriteOptions { names, coco }, "results")
    };
    let written = encode("a.png", file.names(), Some(&index)).unwrap();
    assert_eq!(parse(&written, &subject).unwrap().get("a.png"), file.get("a.png"));
    assert!(matches!(encode("a.png", file.names(), None), Err(LandmarkError::WithoutIndex { .. })));
    assert!(matches!(encode("b.png", file.names(), Some(&index)), Err(LandmarkError::Malformed { .. })));
}

#[test]
fn coco_ids_may_be_texts_or_floats_and_null_is_no_number() {
    let coco = |id: &str, width: &str, x: &str, seen: u8| {
        format!(
            r#"{{"images": [{{"id": {id}, "file_name": "a.png", "width": {width}, "height": {width}}}],
            "annotations": [{{"image_id": {id}, "category_id": 1, "keypoints": [{x}, 2, {seen}]}},
                {{"image_id": {id}, "category_id": 1, "keypoints": null}}],
            "categories": [{{"id": 1.0, "keypoints": ["p"]}}, {{"id": 2, "keypoints": null}}]}}"#
        )
    };
    let read = |text: String| parse(text.as_bytes(), &ImageContext::default());
    for id in ["7", "7.0", "\"7\"", "-1"] {
        for width in ["null", "10", "10.0"] {
            let file = read(coco(id, width, "1", 2)).unwrap();
            assert_eq!(file.get("a.png"), [Landmark::new("p", Point::new(1.0, 2.0))], "{id} {width}");
            assert_eq!(file.on_image("a.png", 20, 20).is_ok(), width == "null");
        }
    }
    assert!(matches!(read(coco("7", "10", "null", 2)), Err(LandmarkError::Number { column: "x", .. })));
    assert!(matches!(read(coco("7", "10", "null", 0)), Err(LandmarkError::NoPoints { .. })));
    for id in ["7.5", "1e300", "null", "[7]"] {
        assert!(matches!(read(coco(id, "10", "1", 2)), Err(LandmarkError::Malformed { .. })), "{id}");
    }
}

#[test]
fn points_of_coco_results_are_there_whatever_their_score_unless_it_is_zero() {
    let coco = r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 3, "keypoints": ["p", "q", "r"]}]}"#;
    let index = CocoIndex::parse(coco.as_bytes(), "coco").unwrap();
    let text = r#"[{"image_id": 7, "category_id": 3, "keypoints": [1, 2, -0.5, 3, 4, 0, 5, 6, 0.25]}]"#;
    let subject = ImageContext { coco: Some(&index), ..ImageContext::default() };
    let file = parse(text.as_bytes(), &subject).unwrap();
    let expected = [Landmark::new("p", Point::new(1.0, 2.0)), Landmark::new("r", Point::new(5.0, 6.0))];
    assert_eq!(file.get("a.png"), expected);
}

#[test]
fn of_several_detections_in_an_image_the_highest_score_counts() {
    let coco =
        r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [{"id": 3, "keypoints": ["p"]}]}"#;
    let index = CocoIndex::parse(coco.as_bytes(), "coco").unwrap();
    let read = |scores: [&str; 3]| {
        let detection = |(x, score): (usize, &str)| {
            format!(r#"{{"image_id": 7, "category_id": 3, "keypoints": [{x}, 2, 1]{score}}}"#)
        };
        let list: Vec<String> = scores.into_iter().enumerate().map(detection).collect();
        // The first result of a file may be a box.
        let text =
            format!(r#"[{{"image_id": 7, "category_id": 3, "bbox": [1, 2, 3, 4]}}, {}]"#, list.join(", "));
        let subject = ImageContext { coco: Some(&index), ..ImageContext::default() };
        parse(text.as_bytes(), &subject).map(|file| file.get("a.png")[0].at.x)
    };
    let score = |value: &str| format!(r#", "score": {value}"#);
    let (low, high) = (score("0.5"), score("0.9"));
    assert_eq!(read([&low, &high, &low]).unwrap(), 1.0);
    assert!(matches!(read([&high, &low, &high]), Err(LandmarkError::Duplicate { .. })));
    assert!(matches!(read([&high, &low, ""]), Err(LandmarkError::Duplicate { .. })));
}

#[test]
fn coco_results_take_the_smallest_category_that_has_all_landmarks() {
    let coco = r#"{"images": [{"id": 7, "file_name": "a.png"}], "categories": [
        {"id": 1, "keypoints": ["p", "q", "r", "s"]}, {"id": 2, "keypoints": ["r", "q", "p"]},
        {"id": 3, "keypoints": ["s", "t"]}, {"id": 4, "keypoints": ["t", "s"]}]}"#;
    let index = CocoIndex::parse(coco.as_bytes(), "coco").unwrap();
    let write = |names: &[&str]| {
        let landmarks: Vec<_> = names.iter().map(|name| Landmark::new(*name, Point::new(1.0, 2.0))).collect();
        let options = WriteOptions { names: &[], coco: Some(&index) };
        let written = encode_landmarks(
            LandmarkFormat::CocoResults,
            &[annotated("a.png", &landmarks)],
            &options,
            "results",
        );
        written.map(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).unwrap()[0].clone())
    };
    let one = write(&["p"]).unwrap();
    assert_eq!(
        (&one["category_id"], one["keypoints"].to_string().as_str()),
        (&2.into(), "[0.0,0.0,0.0,0.0,0.0,0.0,1.0,2.0,2.0]")
    );
    assert_eq!(write(&["s", "p"]).unwrap()["category_id"], 1);
    for names in [&["s"][..], &["x"]] {
        match write(names) {
            Err(LandmarkError::Malformed { name, .. }) => assert_eq!(name, "coco"),
            other => panic!("{names:?}: {other:?}"),
        }
    }
}

#[test]
fn coco_files_that_could_not_be_read_again_are_not_written() {
    let landmarks: Vec<Vec<Landmark>> =
        (0..2000).map(|index| vec![Landmark::new(format!("p{index}"), Point::new(1.0, 2.0))]).collect();
    let names: Vec<String> = (0..2000).map(|index| format!("{index}.png")).collect();
    let images: Vec<_> = names.iter().zip(&landmarks).map(|(name, own)| annotated(name, own)).collect();
    let error = encode_landmarks(LandmarkFormat::Coco, &images, &NO_NAMES, "points").unwrap_err();
    assert!(matches!(error, LandmarkError::File(FileError::TooLarge { .. })), "{error}");
}
