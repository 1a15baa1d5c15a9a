//! Markups and fiducials of 3D Slicer.

use super::*;

fn slicer(fields: &str, points: &str) -> Result<LandmarkFile, LandmarkError> {
    let text = format!(r#"{{"markups": [{{"type": "Fiducial", {fields} "controlPoints": [{points}]}}]}}"#);
    let placement = Some(ItkGeometry::of_picture(0.3, 0.6));
    parse(text.as_bytes(), &ImageContext { placement, ..of_image("a.png") })
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
fn slicer_tells_missing_points_from_undefined_ones() {
    let text = r#"{"markups": [{"coordinateSystem": "LPS", "controlPoints": [
        {"label": "p", "position": [3.0, 6.0, 0.0], "description": "occluded"},
        {"label": "q", "position": [0.0, 0.0, 0.0], "positionStatus": "missing"},
        {"label": "r", "position": [], "positionStatus": "undefined"}]}]}"#;
    let file = parse(text.as_bytes(), &of_image("a.png")).unwrap();
    let unplaced = parse(text.replace("[3.0, 6.0, 0.0]", "null").as_bytes(), &of_image("a.png")).unwrap_err();
    assert!(unplaced.to_string().contains("point 1 has no position"), "{unplaced}");
    assert_eq!(file.get("a.png"), [Landmark::occluded("p", Point::new(3.0, 6.0))]);
    assert_eq!((file.absent("a.png"), file.names().len()), (&["q".to_owned()][..], 3));
    let points = file.get("a.png").to_vec();
    let image = Annotated { absent: file.absent("a.png"), ..annotated("a.png", &points) };
    let options = WriteOptions { names: file.names(), ..NO_NAMES };
    let bytes = encode_landmarks(LandmarkFormat::Slicer, &[image], &options, "points").unwrap();
    let again = parse(&bytes, &of_image("a.png")).unwrap();
    assert_eq!(
        (again.get("a.png"), again.absent("a.png"), again.names()),
        (&points[..], file.absent("a.png"), file.names())
    );
}

#[test]
fn fiducials_of_slicer_are_read_by_their_columns() {
    let text = "# Markups fiducial file version = 4.10\n# CoordinateSystem = 0\n\
        # columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n\
        vtkMRMLMarkupsFiducialNode_0,-10.5,-20,0,0,0,0,1,1,1,0,sella,,vtkMRMLScalarVolumeNode1\n";
    let file = parse(text.as_bytes(), &of_image("a.png")).unwrap();
    assert_eq!(file.get("a.png"), [Landmark::new("sella", Point::new(10.5, 20.0))]);
    let changed =
        |from: &str, to: &str| parse(text.replace(from, to).as_bytes(), &of_image("a.png")).unwrap_err();
    assert!(matches!(changed("# CoordinateSystem = 0\n", ""), LandmarkError::Coordinates { .. }));
    assert!(matches!(changed("= 0\n", "= IJK\n"), LandmarkError::Coordinates { .. }));
    assert!(matches!(changed("lock,label", "lock,name"), LandmarkError::Malformed { .. }));
    assert!(matches!(changed("-20,0,", "x,0,"), LandmarkError::Number { column: "y", .. }));
    assert!(matches!(changed("-20,0,", "-20,7,"), LandmarkError::OffPlane { .. }));
    // Versions from 4.11 on write the position status behind the columns that they name.
    let rows = "0,0,0,0,0,0,0,1,1,1,0,nasion,,,0,0\n0,0,0,0,0,0,0,1,1,1,0,porion,,,3,0\n0,-1,-2,0,0,0,0,1,1,1,0,gonion,Occluded,,2,0\n";
    let file = parse(format!("{text}{rows}").as_bytes(), &of_image("a.png")).unwrap();
    assert_eq!(file.names(), ["sella", "nasion", "porion", "gonion"]);
    assert_eq!(file.absent("a.png"), ["porion"]);
    assert_eq!(file.get("a.png")[1], Landmark::occluded("gonion", Point::new(1.0, 2.0)));
}

#[test]
fn control_points_of_curves_and_regions_are_no_landmarks() {
    let markup = |kind: &str, label: &str| {
        format!(
            r#"{{{kind}"coordinateSystem": "LPS", "coordinateUnits": ["mm", "mm", "mm"],
            "controlPoints": [{{"label": "{label}", "position": [1, 2, 0]}}]}}"#
        )
    };
    let read = |markups: &[String]| {
        let text = format!(r#"{{"markups": [{}]}}"#, markups.join(", "));
        parse(text.as_bytes(), &of_image("a.png"))
    };
    let fiducial = markup(r#""type": "Fiducial", "#, "p");
    let old = markup("", "q");
    let others: Vec<String> = ["Curve", "ClosedCurve", "Line", "Angle", "Plane", "ROI"]
        .iter()
        .map(|kind| markup(&format!(r#""type": "{kind}", "#), kind))
        .collect();
    let file = read(&[&[fiducial, old][..], &others].concat()).unwrap();
    assert_eq!(file.names(), ["p", "q"]);
    assert!(matches!(read(&others), Err(LandmarkError::NoPoints { .. })));
    let other_units = markup("", "p").replacen("\"mm\"", "\"cm\"", 1);
    assert!(matches!(read(&[other_units]), Err(LandmarkError::Coordinates { .. })));
}
