//! Rows of result tables: what is rounded to which decimals, and what is left out.

use infomark_core::{Point, Spacing};
use infomark_infer::{
    Confidence, Detection, Found, JudgedLandmark, Judgement, LandmarkRow, Located, Location, Orientation,
    PixelSpacing, Recognition, RecognitionRow,
};

fn judgement() -> Judgement {
    let (margin, cycle_error) = (0.123_45, Some(1.005_1));
    let confidence = Confidence { margin, cycle_error, prior: None, uncertainty: 7.891, scale: 1.0 };
    let found =
        Found { name: "sella".to_owned(), at: Point::new(10.000_5, 20.123_4), score: -0.876_55, confidence };
    Judgement {
        recognition: Recognition { orientation: Orientation::default(), inlier_fraction: 0.876_5 },
        reoriented: false,
        landmarks: vec![JudgedLandmark {
            found,
            error_bound_px: Some(3.456),
            error_bound_mm: Some(1.728),
            abstain: true,
        }],
    }
}

#[test]
fn figures_are_rounded_half_away_from_zero() {
    let spacing = PixelSpacing::given(Spacing::new(0.5, 0.25).unwrap());
    let detection = Detection::Matched(judgement());
    let rows = detection.rows(Some(&spacing));
    let [LandmarkRow { landmark, x, y, x_mm, y_mm, score, trust: Some(trust) }] = &rows[..] else {
        panic!("{rows:?}")
    };
    assert_eq!((landmark.as_str(), *x, *y, *score), ("sella", 10.001, 20.123, -0.8766));
    // Of the place as it was found, not of the rounded one.
    assert_eq!((*x_mm, *y_mm), (Some(5.0), Some(5.031)));
    assert_eq!((trust.margin, trust.cycle_error_px, trust.prior_offset_px), (Some(0.1235), Some(1.01), None));
    // By the mean size of a pixel, 0.35 mm.
    assert_eq!(trust.cycle_error_mm, Some(0.36));
    assert_eq!(trust.uncertainty, Some(7.89));
    assert_eq!((trust.error_bound_px, trust.error_bound_mm, trust.abstain), (Some(3.46), Some(1.73), true));
    let recognition = RecognitionRow {
        recognised: true,
        orientation: "as the template".to_owned(),
        reoriented: false,
        inlier_fraction: 0.877,
    };
    assert_eq!(detection.recognition_row(), Some(recognition));
}

#[test]
fn a_row_without_spacing_has_no_millimetres_and_one_of_a_network_no_confidence() {
    let rows = Detection::Matched(judgement()).rows(None);
    assert!(rows.iter().all(|row| row.x_mm.is_none() && row.y_mm.is_none()));
    let located = Located { name: "nasion".to_owned(), at: Point::new(1.0, 2.0), probability: 0.999_96 };
    let detection = Detection::Located(vec![located]);
    let row = LandmarkRow {
        landmark: "nasion".to_owned(),
        x: 1.0,
        y: 2.0,
        x_mm: None,
        y_mm: None,
        score: 1.0,
        trust: None,
    };
    assert_eq!((detection.rows(None), detection.recognition_row()), (vec![row.clone()], None));
    let json = serde_json::to_string(&row).unwrap();
    assert_eq!(json, r#"{"landmark":"nasion","x":1.0,"y":2.0,"score":1.0}"#);
    assert_eq!(serde_json::from_str::<LandmarkRow>(&json).unwrap(), row);
}

#[test]
fn a_row_without_calibration_has_an_uncertainty_and_no_bound() {
    let mut judgement = judgement();
    for judged in &mut judgement.landmarks {
        (judged.error_bound_px, judged.error_bound_mm) = (None, None);
    }
    let rows = Detection::Matched(judgement).rows(None);
    let trust = rows[0].trust.as_ref().unwrap();
    assert_eq!((trust.uncertainty, trust.error_bound_px), (Some(7.89), None));
    let json = serde_json::to_string(&rows[0]).unwrap();
    assert!(json.contains(r#""uncertainty":7.89"#) && !json.contains("error_bound"), "{json}");
}

#[test]
fn rows_of_a_checked_network_say_whether_to_abstain_and_nothing_else() {
    let recognition = judgement().recognition;
    let located = |probability| Located { name: "nasion".to_owned(), at: Point::new(1.0, 2.0), probability };
    let detection = Detection::Checked(Location {
        recognition,
        reoriented: false,
        landmarks: vec![located(0.5), located(0.4)],
    });
    let rows = detection.rows(None);
    let abstains: Vec<bool> = rows.iter().map(|row| row.trust.as_ref().unwrap().abstain).collect();
    assert_eq!(abstains, [false, true]);
    assert_eq!(detection.recognition_row(), Some(RecognitionRow::of(&recognition, false)));
    let json = serde_json::to_string(&rows[0]).unwrap();
    let read: LandmarkRow = serde_json::from_str(&json).unwrap();
    assert!(read == rows[0] && read.trust.unwrap().margin.is_none(), "{json}");
}
