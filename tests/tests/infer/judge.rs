//! Error bounds, abstention and orientation of what is found, and detectors of many files.

use std::sync::Arc;
use std::time::Instant;

use infomark_core::{Rng, Spacing};
use infomark_infer::{
    CalibrationPart, DetectError, DetectFiles, Detection, Detector, Encoder, ErrorCalibration, Image, Judge,
    JudgeError, JudgeOptions, Landmark, MatchError, MatchOptions, Matcher, ModelError, Orientation,
    PixelSpacing, Template,
};
use infomark_phantom::Phantom;
use infomark_tests::infer_fixture::encoder;

fn load() -> Encoder {
    Encoder::from_bytes(&encoder(128, 128), "fixture.onnx").unwrap()
}

fn phantom(index: u64) -> (Image, Vec<Landmark>) {
    let made = Phantom::new(128, 128).unwrap().image(7, index);
    let landmarks = made.landmarks.iter().map(|(name, at)| Landmark::new(*name, *at)).collect();
    let pixels = made.pixels.iter().map(|v| f32::from(*v) / 255.0).collect();
    (Image::new("phantom", 128, 128, pixels).unwrap(), landmarks)
}

fn noise() -> Image {
    let mut rng = Rng::new(5, 0);
    Image::new("noise", 128, 128, (0..128 * 128).map(|_| rng.uniform_in(0.0, 1.0)).collect()).unwrap()
}

fn matcher() -> Matcher {
    let (image, landmarks) = phantom(0);
    let encoder = load();
    let template = Template::new(&encoder, &image, &landmarks).unwrap();
    Matcher::new(encoder, [template]).unwrap()
}

fn judge(options: &JudgeOptions) -> Judge {
    Judge::new(matcher(), options).unwrap()
}

fn with_spacing(image: Image) -> Image {
    image.with_spacing(PixelSpacing::given(Spacing::new(0.4, 0.9).unwrap()))
}

#[test]
fn what_a_judge_without_calibration_finds_is_what_the_matcher_finds_without_bounds() {
    let (judge, image) = (judge(&JudgeOptions::default()), with_spacing(phantom(0).0));
    assert_eq!(judge.coverage(), None);
    let judgement = judge.find(&image, None).unwrap();
    let found = judge.matcher().find(&image).unwrap();
    assert!(judgement.is_usable() && !judgement.reoriented);
    assert_eq!(judgement.landmarks.len(), found.len());
    for (judged, found) in judgement.landmarks.iter().zip(&found) {
        assert_eq!(&judged.found, found);
        assert_eq!((judged.error_bound_px, judged.error_bound_mm), (None, None));
        assert!(found.confidence.uncertainty > 0.0 && !judged.abstain);
    }
}

#[test]
fn an_image_in_another_orientation_is_abstained_from_or_reoriented() {
    let image = phantom(0).0;
    let plain = judge(&JudgeOptions::default());
    let fixing = judge(&JudgeOptions { fix_orientation: true, ..JudgeOptions::default() });
    let upright = plain.find(&image, None).unwrap();
    for orientation in Orientation::ALL.into_iter().skip(1) {
        let turned = orientation.apply(&image).unwrap();
        let told = plain.find(&turned, None).unwrap();
        assert_eq!(told.recognition.orientation, orientation);
        assert!(!told.is_usable() && !told.reoriented && told.landmarks.iter().all(|judged| judged.abstain));
        let fixed = fixing.find(&turned, None).unwrap();
        assert!(fixed.is_usable() && fixed.reoriented);
        for (fixed, upright) in fixed.landmarks.iter().zip(&upright.landmarks) {
            assert_eq!(fixed.found.at, orientation.push(upright.found.at, (128, 128)), "{orientation}");
            assert_eq!((fixed.found.score, fixed.abstain), (upright.found.score, upright.abstain));
        }
    }
    for judge in [plain, fixing] {
        let judgement = judge.find(&noise(), None).unwrap();
        assert!(!judgement.is_usable() && !judgement.reoriented);
        assert!(judgement.landmarks.iter().all(|judged| judged.abstain));
    }
}

#[test]
fn thresholds_decide_on_the_unrounded_bound_and_the_score() {
    let image = with_spacing(phantom(1).0);
    let calibration = Some(calibration(&matcher(), 9));
    let calibrated = || JudgeOptions { calibration: calibration.clone(), ..JudgeOptions::default() };
    let bounds = judge(&calibrated()).find(&image, None).unwrap();
    let bound = bounds.landmarks[0].error_bound_mm.unwrap();
    let score = bounds.landmarks[0].found.score;
    let abstains = |options: JudgeOptions| judge(&options).find(&image, None).unwrap().landmarks[0].abstain;
    let above = |mm| abstains(JudgeOptions { abstain_above_mm: Some(mm), ..calibrated() });
    let below =
        |score| abstains(JudgeOptions { abstain_below_score: Some(score), ..JudgeOptions::default() });
    assert!(!above(bound) && above(bound.next_down()));
    assert!(!below(score) && below(score.next_up()));
    let strict = judge(&JudgeOptions { abstain_above_mm: Some(3.0), ..calibrated() });
    let error = strict.find(&phantom(1).0, None).unwrap_err();
    assert!(matches!(&error, MatchError::NoSpacing { image } if image == "phantom"), "{error}");
}

#[test]
fn options_out_of_range_are_refused_by_name() {
    let refused = |options: JudgeOptions| Judge::new(matcher(), &options).unwrap_err();
    for mm in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = refused(JudgeOptions { abstain_above_mm: Some(mm), ..JudgeOptions::default() });
        assert!(matches!(error, JudgeError::AbstainAbove { .. }), "{error}");
        assert!(error.to_string().starts_with("abstain_above_mm"), "{error}");
    }
    for score in [-1.1, 1.1, f64::NAN] {
        let error = refused(JudgeOptions { abstain_below_score: Some(score), ..JudgeOptions::default() });
        assert!(matches!(error, JudgeError::AbstainBelow { .. }), "{error}");
    }
    let error = refused(JudgeOptions { coverage: Some(0.5), ..JudgeOptions::default() });
    assert!(matches!(error, JudgeError::Uncalibrated { .. }), "{error}");
    let error = refused(JudgeOptions { abstain_above_mm: Some(3.0), ..JudgeOptions::default() });
    assert!(matches!(error, JudgeError::NoBounds { mm: 3.0 }), "{error}");
}

fn calibration(matcher: &Matcher, images: usize) -> ErrorCalibration {
    let mut errors = Vec::new();
    for index in 0..images {
        let (image, truth) = phantom(10 + index as u64);
        for (found, truth) in matcher.find(&image).unwrap().iter().zip(&truth) {
            let error = (found.at.x - truth.at.x).hypot(found.at.y - truth.at.y);
            errors.push(Some((error, found.confidence)));
        }
    }
    let images = (0..images).map(|index| index.to_string()).collect();
    ErrorCalibration::new(matcher.calibration_key(), images, &errors).unwrap()
}

#[test]
fn a_calibration_bounds_errors_for_what_it_was_measured_with_and_nothing_else() {
    let matcher = matcher();
    let calibration = calibration(&matcher, 5);
    let options = |coverage| JudgeOptions {
        calibration: Some(calibration.clone()),
        coverage: Some(coverage),
        ..JudgeOptions::default()
    };
    let judge = Judge::new(matcher.clone(), &options(0.7)).unwrap();
    assert_eq!(judge.coverage(), Some(0.7));
    let bounds = calibration.bounds(0.7).unwrap();
    for (judged, bound) in judge.find(&phantom(2).0, None).unwrap().landmarks.iter().zip(&bounds) {
        assert_eq!(judged.error_bound_px, Some(bound.of(&judged.found.confidence)));
        assert_eq!(judged.error_bound_mm, None, "nothing states the size of the pixels");
    }
    for judged in judge.find(&with_spacing(phantom(2).0), None).unwrap().landmarks {
        // The geometric mean of 0.4 and 0.9.
        assert!((judged.error_bound_mm.unwrap() - 0.6 * judged.error_bound_px.unwrap()).abs() < 1e-9);
    }
    let error = Judge::new(matcher.clone(), &options(0.99)).unwrap_err();
    assert!(matches!(error, JudgeError::Coverage { coverage: 0.99, .. }), "{error}");

    let differs = |matcher: Matcher| match Judge::new(matcher, &options(0.7)).unwrap_err() {
        JudgeError::OtherCalibration { differs } => differs,
        other => panic!("{other}"),
    };
    let (image, mut landmarks) = phantom(0);
    let remade = |landmarks: &[Landmark]| {
        let encoder = load();
        let template = Template::new(&encoder, &image, landmarks).unwrap();
        Matcher::new(encoder, [template]).unwrap()
    };
    assert!(Judge::new(remade(&landmarks), &options(0.7)).is_ok(), "the same once more");
    let without_prior = MatchOptions { prior: false, ..MatchOptions::default() };
    assert_eq!(differs(matcher.clone().options(without_prior).unwrap()), CalibrationPart::Matching);
    landmarks[0].at.x += 0.25;
    assert_eq!(differs(remade(&landmarks)), CalibrationPart::Templates, "a landmark that was moved");
    let other = Encoder::from_bytes(&encoder(96, 128), "other.onnx").unwrap();
    let template = Template::new(&other, &image, &phantom(0).1).unwrap();
    assert_eq!(differs(Matcher::new(other, [template]).unwrap()), CalibrationPart::Encoder);
}

#[test]
fn a_template_has_the_fingerprint_of_its_file_and_of_nothing_else() {
    let encoder = load();
    let (image, landmarks) = phantom(0);
    let template = Template::new(&encoder, &image, &landmarks).unwrap();
    let read = Template::from_bytes(&template.to_bytes(), "t").unwrap();
    assert_eq!(template.fingerprint(), read.fingerprint());
    let other = Template::new(&encoder, &phantom(1).0, &landmarks).unwrap();
    assert_ne!(template.fingerprint(), other.fingerprint(), "another image");
    let observation = template.sight(&encoder.encode(&phantom(1).0).unwrap()).unwrap();
    assert!(observation.is_recognised());
    assert_ne!(template.fingerprint(), template.refined(&[observation]).fingerprint());
}

#[test]
fn a_prior_that_is_off_has_no_width_in_the_key() {
    let key = |prior, prior_sigma| {
        let options = MatchOptions { prior, prior_sigma, ..MatchOptions::default() };
        matcher().options(options).unwrap().calibration_key()
    };
    assert_eq!(key(false, 9.0), key(false, 12.0));
    assert_eq!(key(true, 9.0).difference(&key(true, 12.0)), Some(CalibrationPart::Matching));
}

#[test]
fn files_are_detected_in_their_order_and_one_that_fails_is_an_item() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths = Vec::new();
    for index in 0..6 {
        let path = folder.path().join(format!("{index}.pgm"));
        let pixels = Phantom::new(128, 128).unwrap().image(7, index).pixels;
        let bytes =
            if index == 2 { b"none".to_vec() } else { [&b"P5\n128 128\n255\n"[..], &pixels].concat() };
        std::fs::write(&path, bytes).unwrap();
        paths.push(path);
    }
    let detector = Detector::Matching(Arc::new(judge(&JudgeOptions::default())));
    assert_eq!(detector.landmarks().len(), phantom(0).1.len());
    let options = |threads| DetectFiles { threads, ..DetectFiles::default() };
    let run = |threads| {
        let results = detector.detect_files(paths.clone(), options(threads)).unwrap();
        results.map(|result| result.map_err(|error| error.to_string())).collect::<Vec<_>>()
    };
    let one = run(1);
    assert_eq!(one, run(4));
    for (index, (path, result)) in paths.iter().zip(one).enumerate() {
        match result {
            Err(error) => assert!(index == 2 && error.contains("2.pgm"), "{error}"),
            Ok(detection) => {
                let image = infomark_infer::read_image(path).unwrap();
                assert_eq!(detection, detector.detect(&image, None).unwrap());
            }
        }
    }
    let sized = DetectFiles {
        spacing: Some(PixelSpacing::given(Spacing::new(0.5, 0.5).unwrap())),
        ..DetectFiles::default()
    };
    let calibration = Some(calibration(&matcher(), 9));
    let calibrated = judge(&JudgeOptions { calibration, ..JudgeOptions::default() });
    let detector = Detector::Matching(Arc::new(calibrated));
    let Some(Ok(Detection::Matched(first))) = detector.detect_files(paths, sized).unwrap().next() else {
        panic!("a judgement");
    };
    assert!(first.landmarks.iter().all(|judged| judged.error_bound_mm.is_some()));
}

#[test]
fn a_deadline_that_passed_gives_an_image_up() {
    let detector = Detector::Matching(Arc::new(judge(&JudgeOptions::default())));
    let error = detector.detect(&phantom(0).0, Some(Instant::now())).unwrap_err();
    assert!(matches!(error, DetectError::Match(MatchError::Model(ModelError::TimeLimit { .. }))), "{error}");
}
