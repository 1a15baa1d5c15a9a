//! Where 3D Slicer places images: the same as ITK, which it reads them with.

use std::fs;

use infomark_core::{Point, Spacing};
use infomark_infer::{
    Annotated, ImageContext, ImageError, ImageHeader, ItkGeometry, Landmark, LandmarkError, LandmarkFormat,
    PixelSpacing, Placement, Unplaced, WriteOptions, encode_landmarks, parse_landmarks_of, read_image_header,
};
use infomark_tests::infer_dicom::{Dicom, Elements, Value};
use infomark_tests::infer_mutate::damaged;
use infomark_tests::infer_nifti::nifti;
use infomark_tests::infer_picture::{bmp, jpeg, png, tiff};
use proptest::prelude::*;

/// What ITK says of files of many kinds: `tests/expectations/itk_geometry.py` writes it.
const EXPECTED: &str = include_str!("../../expectations/itk_geometry.tsv");

fn header(bytes: &[u8], ending: &str) -> Result<ImageHeader, ImageError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(format!("a.{ending}"));
    fs::write(&path, bytes).unwrap();
    read_image_header(path)
}

fn tag(text: &str) -> (u16, u16) {
    let (group, element) = text.split_once(',').unwrap();
    (u16::from_str_radix(group, 16).unwrap(), u16::from_str_radix(element, 16).unwrap())
}

/// A DICOM file of `PATH VR VALUE; ...`.
fn dicom(description: &str) -> Vec<u8> {
    let mut dicom = Dicom::new(32, 32, 8, (0..32 * 32).map(|i| i % 256).collect());
    dicom.elements.remove(&(0x0008, 0x0060));
    for part in description.split("; ") {
        let mut words = part.splitn(3, ' ');
        let path: Vec<_> = words.next().unwrap().split('/').map(tag).collect();
        let vr = match words.next().unwrap() {
            "DS" => "DS",
            "IS" => "IS",
            "UI" => "UI",
            "CS" => "CS",
            "SQ" => "SQ",
            other => panic!("{other}"),
        };
        let text = words.next().unwrap_or("");
        let value = match vr {
            "SQ" => Value::Items(vec![Elements::new(); text.parse().unwrap()]),
            _ => Value::Text(text.to_owned()),
        };
        dicom = dicom.nested(&path, vr, value);
    }
    dicom.encode()
}

/// A NIfTI file of `FIELD NUMBERS; ...`.
fn placed_nifti(description: &str) -> Vec<u8> {
    let mut file = nifti(&[32, 32], 2, &[]);
    let mut voxels = 1;
    for part in description.split("; ") {
        let (field, numbers) = part.split_once(' ').unwrap();
        let numbers: Vec<f32> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
        let mut words = |at: usize, numbers: &[f32]| {
            for (index, &number) in numbers.iter().enumerate() {
                let word = (number as i16).to_le_bytes();
                file[at + 2 * index..][..2].copy_from_slice(&word);
            }
        };
        let reals = |file: &mut Vec<u8>, at: usize, numbers: &[f32]| {
            for (index, number) in numbers.iter().enumerate() {
                file[at + 4 * index..][..4].copy_from_slice(&number.to_le_bytes());
            }
        };
        match field {
            "dim" => {
                words(40, &[numbers.len() as f32]);
                words(42, &[1.0; 7]);
                words(42, &numbers);
                voxels = numbers.iter().map(|&number| number as usize).product();
            }
            "pixdim" => reals(&mut file, 76, &numbers),
            "units" => file[123] = numbers[0] as u8,
            "intent" => words(68, &numbers),
            "qform" => {
                words(252, &numbers[..1]);
                reals(&mut file, 256, &numbers[1..]);
            }
            "sform" => {
                words(254, &numbers[..1]);
                reals(&mut file, 280, &numbers[1..]);
            }
            other => panic!("{other}"),
        }
    }
    file.extend((0..voxels).map(|index| index as u8));
    file
}

fn numbers(text: &str) -> Vec<f64> {
    text.split(' ').map(|number| number.parse().unwrap()).collect()
}

/// The axes of an image in ITK's order, the image's plane first: those of a NIfTI slice are the longer ones.
fn axes(kind: &str, description: &str) -> [usize; 3] {
    let dim = description.split("; ").next().unwrap();
    match dim {
        _ if kind != "nifti" => [0, 1, 2],
        "dim 40 1 36" => [0, 2, 1],
        "dim 1 40 36" => [1, 2, 0],
        _ => [0, 1, 2],
    }
}

#[test]
fn images_lie_where_itk_places_them() {
    let mut wrong = Vec::new();
    for row in EXPECTED.lines().filter(|row| !row.starts_with('#')) {
        let fields: Vec<&str> = row.split('\t').collect();
        let [kind, description, expected @ ..] = fields.as_slice() else { panic!("{row}") };
        let (bytes, ending) = match *kind {
            "dicom" => (dicom(description), "dcm"),
            "nifti" => (placed_nifti(description), "nii"),
            "png" => (png(description), "png"),
            "jpeg" => (jpeg(description), "jpg"),
            "tiff" => (tiff(description), "tif"),
            "bmp" => (bmp(description), "bmp"),
            other => panic!("{other}"),
        };
        // ITK leaves out a chunk whose checksum is wrong; such a file is refused.
        if description.contains("broken") {
            assert!(matches!(header(&bytes, ending), Err(ImageError::Damaged { .. })), "{row}");
            continue;
        }
        let found = header(&bytes, ending).unwrap_or_else(|error| panic!("{row}: {error}")).placement;
        let found = found.map(|geometry| {
            let direction: Vec<f64> = geometry.direction().concat();
            [geometry.spacing_mm().to_vec(), geometry.origin_mm().to_vec(), direction].concat()
        });
        let is_right = match (expected, &found) {
            (["refused", ..], Err(_)) => true,
            (["refused", ..], Ok(_)) => false,
            (texts, Ok(found)) => {
                let [spacing, origin, direction] = [0, 1, 2].map(|field| numbers(texts[field]));
                let order = axes(kind, description);
                let direction = direction.chunks(3).flat_map(|row| order.map(|axis| row[axis]));
                let expected = order.map(|axis| spacing[axis]).into_iter().chain(origin).chain(direction);
                expected.zip(found).all(|(a, b)| (a - b).abs() <= 1e-6 * a.abs().max(1.0))
            }
            (_, Err(_)) => false,
        };
        if !is_right {
            wrong.push(format!("{row}\n    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} rows differ from ITK:\n{}", wrong.len(), wrong.join("\n"));
}

/// Places of every kind: pictures, and slices in the patient, also oblique.
fn geometries() -> impl Strategy<Value = ItkGeometry> {
    let origin = prop_oneof![Just([0.0; 3]), [-500.0..500.0, -500.0..500.0, -500.0..500.0]];
    let spacing = [0.01..5.0, 0.01..5.0, 0.1..5.0];
    let axes = prop_oneof![
        Just([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        Just([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]),
        [-3.0..3.0, -3.0..3.0, -3.0..3.0].prop_map(rotation),
    ];
    (origin, spacing, axes)
        .prop_map(|(origin, spacing, axes)| ItkGeometry::new(origin, spacing, axes).unwrap())
}

fn rotation([a, b, c]: [f64; 3]) -> [[f64; 3]; 3] {
    let ((sa, ca), (sb, cb), (sc, cc)) = (a.sin_cos(), b.sin_cos(), c.sin_cos());
    [
        [ca * cb, ca * sb * sc - sa * cc, ca * sb * cc + sa * sc],
        [sa * cb, sa * sb * sc + ca * cc, sa * sb * cc - ca * sc],
        [-sb, cb * sc, cb * cc],
    ]
}

fn markups(points: &[Landmark], placement: Placement) -> Result<Vec<u8>, LandmarkError> {
    let size = (4096, 4096);
    let placement = Some(placement);
    let image = Annotated { image: "a.dcm", size, spacing: None, placement, landmarks: points, absent: &[] };
    encode_landmarks(LandmarkFormat::Slicer, &[image], &WriteOptions::default(), "points")
}

fn parse(bytes: &[u8], placement: Placement) -> Result<Vec<Landmark>, LandmarkError> {
    let subject =
        ImageContext { image: Some("a.dcm"), placement: Some(placement), ..ImageContext::default() };
    parse_landmarks_of(bytes, "points", &subject).map(|file| file.get("a.dcm").to_vec())
}

proptest! {
    #[test]
    fn pixels_come_back_from_markups_wherever_the_image_lies(
        geometry in geometries(), x in -0.5..4096.0_f64, y in -0.5..4096.0, off in -0.7..0.7_f64,
    ) {
        let points = [Landmark::new("sella", Point::new(x, y)), Landmark::new("whole", Point::new(x.round(), 7.25))];
        let found = parse(&markups(&points, Ok(geometry)).unwrap(), Ok(geometry)).unwrap();
        prop_assert!((found[0].at.x - x).abs() < 1e-8 && (found[0].at.y - y).abs() < 1e-8, "{:?}", found);
        prop_assert_eq!(found[1].at, points[1].at);
        // A position off the plane counts within half the slice.
        let [.., thickness] = geometry.spacing_mm();
        let on_plane = geometry.physical_point(points[0].at);
        let position = [0, 1, 2].map(|row| on_plane[row] + geometry.direction()[row][2] * off * thickness);
        let (at, off_plane_mm) = geometry.pixel(position);
        prop_assert!((at.x - x).abs() < 1e-8 && (off_plane_mm - off * thickness).abs() < 1e-8);
        prop_assert_eq!(geometry.is_in_slice(off_plane_mm), off_plane_mm.abs() <= 0.5 * thickness);
    }
}

#[test]
fn a_geometry_that_spans_no_space_is_refused() {
    let axes = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];
    for mm in [0.0, f64::NAN, f64::INFINITY] {
        assert_eq!(ItkGeometry::new([0.0; 3], [1.0, mm, 1.0], axes), Err(Unplaced::Spacing));
        assert_eq!(ItkGeometry::of_picture(mm, 1.0), Err(Unplaced::Spacing));
    }
    assert_eq!(ItkGeometry::new([f64::NAN, 0.0, 0.0], [1.0; 3], axes), Err(Unplaced::Origin));
    for flat in [[[1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.0, 0.0, 1.0]], [[f64::NAN; 3]; 3], [[0.0; 3]; 3]] {
        assert_eq!(ItkGeometry::new([0.0; 3], [1.0; 3], flat), Err(Unplaced::Direction));
    }
    // As ITK's reader turns an axis round.
    let turned = ItkGeometry::new([0.0; 3], [-0.5, 1.0, 1.0], axes).unwrap();
    assert_eq!(turned.spacing_mm(), [0.5, 1.0, 1.0]);
    assert_eq!(turned.physical_point(Point::new(2.0, 3.0)), [-1.0, 3.0, 0.0]);
}

#[test]
fn markups_need_an_image_whose_place_is_known() {
    let points = [Landmark::new("sella", Point::new(3.0, 4.0))];
    let error = markups(&points, Err(Unplaced::Spacing)).unwrap_err();
    assert!(matches!(error, LandmarkError::Unplaced { reason: Unplaced::Spacing, .. }), "{error}");
    let bytes = markups(&points, ItkGeometry::of_picture(1.0, 1.0)).unwrap();
    let subject = ImageContext { image: Some("a.dcm"), ..ImageContext::default() };
    let error = parse_landmarks_of(&bytes, "points", &subject).unwrap_err();
    assert!(matches!(error, LandmarkError::Unplaced { reason: Unplaced::NoImage, .. }), "{error}");
    assert!(error.to_string().starts_with("points: ") && error.to_string().contains(';'), "{error}");
}

#[test]
fn a_description_says_where_slicer_takes_other_millimetres() {
    let points = [Landmark::new("sella", Point::new(30.0, 40.0))];
    let known = PixelSpacing::given(Spacing { x: 0.12, y: 0.12 });
    let text = |placement: Placement| {
        let (placement, spacing) = (Some(placement), Some(&known));
        let image =
            Annotated { image: "a.dcm", size: (64, 64), spacing, placement, landmarks: &points, absent: &[] };
        String::from_utf8(
            encode_landmarks(LandmarkFormat::Slicer, &[image], &WriteOptions::default(), "points").unwrap(),
        )
        .unwrap()
    };
    assert!(text(ItkGeometry::of_picture(0.12, 0.12)).contains("pixel size 0.12 x 0.12 mm"));
    let other = text(ItkGeometry::of_picture(0.15, 0.15));
    assert!(other.contains("3D Slicer takes 0.15 x 0.15 mm a pixel, but the pixel size is 0.12 x 0.12 mm"));
    assert!(other.contains("4.5,"), "the position is Slicer's");
}

#[test]
fn wrong_elements_of_a_place_refuse_markups_alone() {
    const CR: &str = "0008,0016 UI 1.2.840.10008.5.1.4.1.1.1; 0018,1164 DS 0.2\\0.1";
    for (element, named) in [
        ("0020,0032 DS 1\\2", "Image Position (Patient)"),
        ("0020,0032 DS 1\\2\\a", "Image Position (Patient)"),
        ("0020,0037 DS 1\\0\\0\\0\\1", "Image Orientation (Patient)"),
        ("0018,0088 DS 2,5", "Spacing Between Slices"),
        ("0020,0032 DS 1\\2\\inf", "Image Position (Patient)"),
    ] {
        let header = header(&dicom(&format!("{CR}; {element}")), "dcm").unwrap();
        assert_eq!(header.spacing.map(|spacing| spacing.mm.x), Some(0.1));
        let reason = header.placement.unwrap_err();
        assert!(reason.to_string().contains(named), "{element}: {reason}");
    }
}

#[test]
fn damaged_files_lie_somewhere_or_nowhere() {
    let files = [
        (png("sCAL 1 0.3 0.25; pHYs 1 3000 4000"), "png"),
        (jpeg("1 254 127"), "jpg"),
        (tiff("II; 282 RATIONAL 254/1; 283 RATIONAL 254/1; 296 SHORT 2"), "tif"),
        (tiff("MM; 282 FLOAT 254; 283 DOUBLE 127; 296 SHORT 2"), "tif"),
        (
            placed_nifti(
                "dim 40 36 1; pixdim 1 0.5 0.25 2; qform 1 0.1 0.2 0.3 1 2 3; sform 2 1 0 0 5 0 1 0 6 0 0 1 7",
            ),
            "nii",
        ),
        (
            dicom(
                "0008,0016 UI 1.2.840.10008.5.1.4.1.1.4.1; 5200,9229/0028,9110/0028,0030 DS 1.2\\1.1; \
                 5200,9229/0020,9116/0020,0037 DS 0.8\\0.6\\0\\0\\0\\-1; 5200,9230/0020,9113/0020,0032 DS 1\\2\\3",
            ),
            "dcm",
        ),
    ];
    for (seed, (whole, ending)) in files.iter().enumerate() {
        assert!(header(whole, ending).unwrap().placement.is_ok());
        let cut = (0..whole.len().min(600)).step_by(7).map(|length| whole[..length].to_vec());
        for bytes in cut.chain((0..150).map(|index| damaged(whole, seed as u64, index))) {
            let Ok(header) = header(&bytes, ending) else { continue };
            let Ok(geometry) = header.placement else { continue };
            assert!(geometry.spacing_mm().iter().all(|mm| *mm > 0.0 && mm.is_finite()));
            let point = geometry.physical_point(Point::new(3.0, 4.0));
            let (at, _) = geometry.pixel(point);
            let near = |a: f64, b: f64| (a - b).abs() < 1e-3;
            let is_far = geometry.origin_mm().iter().any(|mm| mm.abs() > 1e6);
            let is_small = geometry.spacing_mm().iter().any(|mm| *mm < 1e-6);
            assert!(is_far || is_small || near(at.x, 3.0) && near(at.y, 4.0), "{geometry:?}: {at:?}");
        }
    }
}
