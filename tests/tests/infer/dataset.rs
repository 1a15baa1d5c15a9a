//! Data sets that are made in memory.

use infomark_core::{Point, Spacing};
use infomark_infer::{
    AnnotationError, DataSet, DataSetError, ManifestError, MissingPoint, MissingReason, Sample,
};

#[test]
fn data_sets_are_checked_where_they_are_made() {
    let sample = |name: &str, points: &[(f64, f64)]| Sample {
        name: name.into(),
        path: name.into(),
        width: 200,
        height: 100,
        landmarks: points.iter().map(|&(x, y)| Some(Point::new(x, y))).collect(),
    };
    let made = |mm: f64, names: &[&str], images: Vec<Sample>| {
        let names = names.iter().map(|&name| name.to_owned()).collect();
        DataSet::new("made", Spacing { x: mm, y: mm }, names, images)
    };
    let data =
        made(0.5, &["a"], vec![sample("1.png", &[(201.0, 50.0)]), sample("0.png", &[(0.0, 0.0)])]).unwrap();
    assert_eq!((data.images[0].name.as_str(), data.just_outside, data.left_out.len()), ("1.png", 1, 0));
    let problem = |images: Vec<Sample>| match made(0.5, &["a"], images) {
        Err(DataSetError::Sample { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert!(matches!(problem(vec![sample("1.png", &[(203.0, 50.0)])]), AnnotationError::Outside { .. }));
    assert!(matches!(problem(vec![sample("1.png", &[(f64::NAN, 50.0)])]), AnnotationError::Outside { .. }));
    assert_eq!(problem(vec![sample("1.png", &[])]), AnnotationError::Points { points: 0, landmarks: 1 });
    let without = || Sample { landmarks: vec![None], ..sample("1.png", &[]) };
    assert_eq!(problem(vec![without()]), AnnotationError::NoPoint);
    let partly =
        |name: &str| Sample { landmarks: vec![Some(Point::new(1.0, 2.0)), None], ..sample(name, &[]) };
    let data = made(0.5, &["a", "b"], vec![partly("1.png"), partly("2.png")]).unwrap();
    assert_eq!((data.missing.len(), data.unannotated()), (2, Some("b")));
    let missing =
        MissingPoint { image: "1.png".into(), landmark: "b".into(), reason: MissingReason::NotAnnotated };
    assert_eq!(data.missing[0], missing);
    assert_eq!(data.landmarks_of(&data.images[0]).len(), 1);
    let twice = vec![sample("1.png", &[(0.0, 0.0)]), sample("1.png", &[(0.0, 0.0)])];
    assert_eq!(problem(twice), AnnotationError::Repeated);
    let one = || vec![sample("1.png", &[(0.0, 0.0), (0.0, 0.0)])];
    let invalid = |result| match result {
        Err(DataSetError::Invalid { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    assert!(matches!(invalid(made(5e3, &["a", "b"], one())), ManifestError::PixelSize { .. }));
    assert!(matches!(invalid(made(0.5, &["a", "a"], one())), ManifestError::RepeatedLandmark { .. }));
    assert!(matches!(invalid(made(0.5, &[], one())), ManifestError::NoLandmarks));
    assert!(matches!(made(0.5, &["a"], Vec::new()), Err(DataSetError::NoImages { .. })));
}
