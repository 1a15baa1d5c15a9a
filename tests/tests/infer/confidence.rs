//! What tells how far a found place can be relied on.

use infomark_core::{Point, Rng};
use infomark_infer::{
    CalibrationError, CalibrationKey, Confidence, Encoder, ErrorCalibration, Image, Landmark, Matcher,
    Orientation, Template,
};
use infomark_phantom::Phantom;
use infomark_tests::infer_fixture::{encoder, texture};

fn load() -> Encoder {
    Encoder::from_bytes(&encoder(128, 128), "fixture.onnx").unwrap()
}

fn grey(name: &str, (width, height): (usize, usize), pixels: impl Iterator<Item = f32>) -> Image {
    Image::new(name, width, height, pixels.collect()).unwrap()
}

fn phantom(index: u64) -> (Image, Vec<Landmark>) {
    let made = Phantom::new(128, 128).unwrap().image(7, index);
    let landmarks = made.landmarks.iter().map(|(name, at)| Landmark::new(*name, *at)).collect();
    (grey("phantom", (128, 128), made.pixels.iter().map(|v| f32::from(*v) / 255.0)), landmarks)
}

fn matcher() -> (Matcher, Image) {
    let (image, landmarks) = phantom(0);
    let encoder = load();
    let template = Template::new(&encoder, &image, &landmarks).unwrap();
    (Matcher::new(encoder, [template]).unwrap(), image)
}

fn recognise(matcher: &Matcher, image: &Image) -> infomark_infer::Recognition {
    let encoding = matcher.encoder().encode(image).unwrap();
    matcher.recognise(image, &encoding, None).unwrap()
}

#[test]
fn each_orientation_is_undone_by_its_inverse_pixel_by_pixel_and_point_by_point() {
    let image = texture(3, 40, 56, 0, 0);
    for orientation in Orientation::ALL {
        let laid = orientation.apply(&image).unwrap();
        let size = (laid.width(), laid.height());
        assert_eq!(size, orientation.size((40, 56)));
        let back = orientation.inverse().apply(&laid).unwrap();
        assert_eq!((back.width(), back.height()), (40, 56));
        assert_eq!(back.pixels(), image.pixels(), "{orientation}");
        for (x, y) in [(0, 0), (39, 0), (0, 55), (17, 31)] {
            let there = orientation.push(Point::new(f64::from(x), f64::from(y)), (40, 56));
            let value = laid.pixels()[there.y as usize * size.0 + there.x as usize];
            assert_eq!(value, image.pixels()[(y * 40 + x) as usize], "{orientation}");
            let again = orientation.inverse().push(there, size);
            assert_eq!(again, Point::new(f64::from(x), f64::from(y)), "{orientation}");
        }
    }
    assert_eq!(Orientation::ALL[0].to_string(), "as the template");
    assert_eq!(Orientation::ALL[1].to_string(), "mirrored");
}

#[test]
fn a_template_is_recognised_in_itself_in_all_orientations_and_they_are_told() {
    let (matcher, image) = matcher();
    for orientation in Orientation::ALL {
        let recognition = recognise(&matcher, &orientation.apply(&image).unwrap());
        assert_eq!(recognition.orientation, orientation);
        assert!(recognition.is_recognised() && recognition.inlier_fraction > 0.9, "{recognition:?}");
    }
}

#[test]
fn noise_a_blank_image_and_another_texture_are_not_recognised() {
    let (matcher, _) = matcher();
    let mut rng = Rng::new(5, 0);
    let noise = grey("noise", (128, 128), (0..128 * 128).map(|_| rng.uniform_in(0.0, 1.0)));
    // One pixel differs, as an image of equal pixels is none.
    let blank = grey("blank", (128, 128), (0..128 * 128).map(|i| if i == 0 { 0.51 } else { 0.5 }));
    let faint = grey("faint", (128, 128), (0..128 * 128).map(|_| rng.uniform_in(0.49, 0.51)));
    for image in [noise, blank, faint, texture(9, 128, 128, 0, 0), texture(10, 100, 128, 0, 0)] {
        let recognition = recognise(&matcher, &image);
        assert!(!recognition.is_recognised(), "{}: {recognition:?}", image.name());
    }
}

#[test]
fn a_landmark_found_in_its_own_image_leads_back_to_itself_and_is_surer_than_one_in_noise() {
    let (matcher, image) = matcher();
    let mut rng = Rng::new(6, 0);
    let noise = grey("noise", (128, 128), (0..128 * 128).map(|_| rng.uniform_in(0.0, 1.0)));
    let (own, other) = (matcher.find(&image).unwrap(), matcher.find(&noise).unwrap());
    let mut nearer = 0;
    for (own, other) in own.iter().zip(&other) {
        let Confidence { margin, cycle_error, scale, .. } = own.confidence;
        assert!(cycle_error.unwrap() < 4.0, "{own:?}");
        assert!(margin >= 0.0 && scale > 0.0 && other.confidence.scale > scale, "{own:?} {other:?}");
        nearer += usize::from(cycle_error.unwrap() < other.confidence.cycle_error.unwrap());
    }
    assert!(nearer >= own.len() - 1, "{nearer}");
}

#[test]
fn files_that_were_made_with_test_time_augmentation_are_refused_and_those_without_are_read() {
    let key = |looks: &str| {
        let key = serde_json::to_string(&CalibrationKey::default()).unwrap();
        let with = format!("{},\"looks\":{looks}}}", key.strip_suffix('}').unwrap());
        serde_json::from_str::<CalibrationKey>(&with)
    };
    let off = r#"{"turned":false,"mirrored":false,"fine":false}"#;
    assert_eq!(key(off).unwrap(), CalibrationKey::default());
    let error = key(&off.replacen("false", "true", 1)).unwrap_err();
    assert!(error.to_string().contains("test-time augmentation"), "{error}");
}

fn confidence(scale: f64) -> Confidence {
    Confidence { margin: 0.0, cycle_error: None, prior: None, uncertainty: scale, scale }
}

#[test]
fn a_calibration_bounds_each_landmark_by_its_own_errors_where_there_are_enough() {
    let names = ["easy".to_owned(), "hard".to_owned()];
    let make = |images: usize| {
        let errors: Vec<_> = (0..images)
            .flat_map(|i| [(i as f64 + 1.0, confidence(2.0)), (10.0 * (i as f64 + 1.0), confidence(2.0))])
            .map(Some)
            .collect();
        let images = (0..images).map(|i| i.to_string()).collect();
        let key = CalibrationKey { landmarks: names.to_vec(), ..CalibrationKey::default() };
        ErrorCalibration::new(key, images, &errors).unwrap()
    };
    let each = make(20).bounds(0.9).unwrap();
    assert_eq!((each[0].factor, each[0].own), (9.5, true));
    assert_eq!((each[1].factor, each[1].own), (95.0, true));
    assert_eq!(each[0].of(&confidence(4.0)), 38.0);
    let pooled = make(10).bounds(0.9).unwrap();
    assert!(!pooled[0].own && pooled[0].factor == pooled[1].factor);
    assert!(matches!(make(5).bounds(0.9), Err(CalibrationError::Scores { .. })));
    let text = serde_json::to_string(&make(12)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("c.json");
    std::fs::write(&path, &text).unwrap();
    assert_eq!(ErrorCalibration::load(&path).unwrap(), make(12));
    for (from, to) in
        [("\"format\":2", "\"format\":1"), ("\"scores\":[0.5,", "\"scores\":["), ("0.5,", "-0.5,")]
    {
        assert!(text.contains(from));
        std::fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let error = ErrorCalibration::load(&path).unwrap_err();
        assert!(
            matches!(&error, CalibrationError::File { name, .. } if name.ends_with("c.json")),
            "{to}: {error}"
        );
    }
}

#[test]
fn a_calibration_takes_images_that_lack_points() {
    let names = ["a".to_owned(), "b".to_owned()];
    let make = |errors: &[Option<f64>]| {
        let images = (0..errors.len() / 2).map(|i| i.to_string()).collect();
        let key = CalibrationKey { landmarks: names.to_vec(), ..CalibrationKey::default() };
        let errors: Vec<_> = errors.iter().map(|error| error.map(|error| (error, confidence(1.0)))).collect();
        ErrorCalibration::new(key, images, &errors)
    };
    // Nine images: the first has both points, of error 1 and 100, each of the others one point.
    let mut errors = vec![Some(1.0), Some(100.0)];
    errors.extend((2..10).flat_map(|error| [None, Some(f64::from(error))]));
    let calibration = make(&errors).unwrap();
    // Nine tenths of ten images are nine, all of them; eight tenths are eight: those up to 9 are 8.5.
    assert_eq!(calibration.bounds(0.9).unwrap()[0].factor, 100.0);
    assert_eq!(calibration.bounds(0.8).unwrap()[0].factor, 9.0);
    assert_eq!(calibration.bounds(0.75).unwrap()[1].factor, 8.0);
    assert!(matches!(calibration.bounds(0.95), Err(CalibrationError::Scores { .. })));
    let text = serde_json::to_vec(&calibration).unwrap();
    assert_eq!(ErrorCalibration::from_bytes(&text, "c.json").unwrap(), calibration);
    assert!(matches!(make(&[None, None]), Err(CalibrationError::Scores { .. })), "no point at all");
    // An image without a point is as one that is not there.
    errors.extend([None, None]);
    assert_eq!(make(&errors).unwrap().bounds(0.8).unwrap()[0].factor, 9.0);
}
