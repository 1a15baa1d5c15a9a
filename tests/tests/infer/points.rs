//! Landmark files and data folders: what is read, and what is refused with the file, the line and a fix.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use infomark_core::{Point, SpacingError};
use infomark_infer::{
    DataSet, DataSetError, FileError, ImageError, Landmark, LandmarkError, LandmarkFile, ManifestError,
    MissingPoint, MissingReason, Place, parse_landmarks, read_landmarks, write_landmarks,
};
use tempfile::TempDir;

fn parse(text: &str) -> Result<LandmarkFile, LandmarkError> {
    parse_landmarks(text.as_bytes(), "points.csv")
}

/// The error of a refused file, whose message has to name the file, the line where there is one, and what to do.
fn refused(text: &str, place: &str) -> LandmarkError {
    let error = parse(text).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("points.csv{place}: ")), "{message}");
    assert!(message.contains("; "), "no fix in: {message}");
    error
}

fn landmark(name: &str, x: f64, y: f64) -> Landmark {
    Landmark::new(name, Point::new(x, y))
}

#[test]
fn columns_may_come_in_any_order_with_others_between() {
    let expected = [landmark("sella", 274.5, 330.25), landmark("nasion", -0.25, 3.0)];
    for text in [
        "image,landmark,x,y\n001.png,sella,274.5,330.25\n001.png,nasion,-0.25,3\n",
        "y,who,x,landmark,image\n330.25,me,274.5,sella,001.png\n3,you,-0.25,nasion,001.png",
        // A byte-order mark, Windows line ends, spaces, quotes, capitals, an empty line.
        "\u{feff}Image, Landmark ,X,Y\r\n\"001.png\", sella , 2745e-1,330.25\r\n\r\n001.png,nasion,-0.25,3\r\n",
    ] {
        let file = parse(text).unwrap();
        assert_eq!(file.get("001.png"), &expected, "{text}");
        assert_eq!(file.images().len(), 1);
        assert!(file.get("002.png").is_empty());
    }
}

#[test]
fn missing_and_repeated_columns_are_refused() {
    for (header, column) in [
        ("landmark,x,y", "image"),
        ("image,name,x,y", "landmark"),
        ("image,landmark,y", "x"),
        ("image;landmark;x;y", "image"),
        ("001.png,sella,1,2", "image"),
    ] {
        let row = "1,2,3,4,5".split_at(2 * header.split(',').count() - 1).0;
        let text = format!("{header}\n{row}\n");
        let error = refused(&text, ", line 1");
        assert!(
            matches!(error, LandmarkError::Column { column: c, problem: "missing", .. } if c == column),
            "{error}"
        );
    }
    let error = refused("image,landmark,x,y,x\n", ", line 1");
    assert!(matches!(error, LandmarkError::Column { column: "x", problem: "repeated", .. }), "{error}");
}

#[test]
fn coordinates_that_are_no_finite_numbers_are_refused_with_their_line() {
    for value in ["NaN", "nan", "inf", "-infinity", "1e999", "twelve", "", "1 2", "0x10"] {
        let text = format!("image,landmark,x,y\na.png,p,1,2\na.png,q,3,{value}\n");
        let error = refused(&text, ", line 3");
        assert!(matches!(error, LandmarkError::Number { column: "y", place: Place::Line(3), .. }));
    }
    // Lines end in either way, and empty ones count.
    for (text, line) in [
        ("image,landmark,x,y\r\na.png,p,1,2\r\na.png,q,3,z\r\n", 3),
        ("image,landmark,x,y\n\na.png,p,1,2\n\n\na.png,q,3,z\n", 6),
    ] {
        refused(text, &format!(", line {line}"));
    }
    // A decimal comma makes a field too many.
    let error = refused("image,landmark,x,y\na.png,p,1,5,2\n", ", line 2");
    assert!(matches!(error, LandmarkError::Fields { line: 2, found: 5, expected: 4, .. }), "{error}");
}

#[test]
fn a_quote_that_is_not_closed_or_behind_a_space_is_refused_with_its_line() {
    for (text, line) in [
        ("image,landmark,x,y\na.png,p,1,2\na.png,\"q,3,4\na.png,r,5,6", 3),
        ("image,landmark,x,y,note\na.png,p,1,2,\"left\na.png,q,3,4,\n", 2),
    ] {
        let error = refused(text, &format!(", line {line}"));
        assert!(matches!(error, LandmarkError::Quote { line: of, .. } if of == line), "{error}");
    }
    let error = refused("image,landmark,x,y\na.png, \"p\",1,2\n", ", line 2");
    assert!(error.to_string().contains("a quote is behind a space"), "{error}");
    let closed = "image,landmark,x,y,note\na.png,p,1,2,\"of \"\"two\"\"\nlines, or more\"\na.png,5\",3,4,\n";
    let names: Vec<_> = parse(closed).unwrap().get("a.png").iter().map(|found| found.name.clone()).collect();
    assert_eq!(names, ["p", "5\""]);
}

#[test]
fn rows_that_say_nothing_or_twice_are_refused() {
    let error = refused("image,landmark,x,y\na.png,p,1\n", ", line 2");
    assert!(matches!(error, LandmarkError::Fields { line: 2, found: 3, expected: 4, .. }), "{error}");
    for (row, column) in [(",p,1,2", "image"), ("a.png,,1,2", "landmark")] {
        let error = refused(&format!("image,landmark,x,y\n{row}\n"), ", line 2");
        assert!(matches!(error, LandmarkError::EmptyField { column: c, .. } if c == column), "{error}");
    }
    let twice = "image,landmark,x,y\na.png,p,1,2\nb.png,p,1,2\na.png,p,1,2\n";
    let error = refused(twice, ", line 4");
    assert!(matches!(error, LandmarkError::Duplicate { first: Place::Line(2), .. }));
    let absent = "image,landmark,x,y,visibility\na.png,p,,,absent\na.png,q,1,2,\na.png,p,1,2,\n";
    let error = refused(absent, ", line 4");
    assert!(matches!(error, LandmarkError::Duplicate { first: Place::Line(2), .. }));
    for text in ["image,landmark,x,y\n", "image,landmark,x,y"] {
        assert!(matches!(refused(text, ""), LandmarkError::Empty { .. }));
    }
}

#[test]
fn files_that_are_no_text_or_no_files_are_refused() {
    let error = parse_landmarks(b"image,landmark,x,y\na.png,p\xff,1,2\n", "points.csv").unwrap_err();
    assert!(matches!(error, LandmarkError::Encoding { line: 2, .. }));
    assert!(error.to_string().starts_with("points.csv, line 2: "), "{error}");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone.csv");
    let error = read_landmarks(&path).unwrap_err();
    assert!(matches!(error, LandmarkError::File(FileError::Missing { .. })));
    assert!(error.to_string().contains("gone.csv"));
    assert!(matches!(read_landmarks(folder.path()), Err(LandmarkError::File(FileError::NotAFile { .. }))));
    fs::write(&path, "").unwrap();
    assert!(matches!(read_landmarks(&path), Err(LandmarkError::Empty { .. })));
}

#[test]
fn points_outside_their_image_and_images_without_rows_are_refused() {
    let file = parse("image,landmark,x,y\na.png,p,-0.5,39.5\na.png,q,50,3\nb.png,p,1,1\n").unwrap();
    assert_eq!(file.on_image("a.png", 51, 40).unwrap().len(), 2);
    let error = file.on_image("a.png", 50, 40).unwrap_err();
    assert!(error.to_string().starts_with("points.csv, line 3: "), "{error}");
    assert!(
        matches!(error, LandmarkError::Outside { place: Place::Line(3), width: 50, height: 40, .. }),
        "{error}"
    );
    let error = file.on_image("c.png", 50, 40).unwrap_err();
    let has = |image: &str, known: &str| image == "c.png" && known == "a.png, b.png";
    assert!(matches!(&error, LandmarkError::NoRows { image, known, .. } if has(image, known)), "{error}");
    file.check_images(|_| true).unwrap();
    let error = file.check_images(|image| image == "a.png").unwrap_err();
    let unknown = |image: &str| image == "b.png";
    assert!(
        matches!(&error, LandmarkError::UnknownImage { place: Place::Line(4), image, .. } if unknown(image)),
        "{error}"
    );
}

#[test]
fn what_is_written_is_read_again() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("points.csv");
    let points = [landmark("a,\"b\"", 0.1 + 0.2, -1.0 / 3.0), landmark("é", 1e-9, 12345.0)];
    write_landmarks(&path, [("x y.png", &points[..]), ("z.png", &points[1..])]).unwrap();
    let file = read_landmarks(&path).unwrap();
    assert_eq!(file.get("x y.png"), &points);
    assert_eq!(file.get("z.png"), &points[1..]);
    // A refused write leaves the old file.
    let bad = [landmark("a", f64::NAN, 0.0)];
    let error = write_landmarks(&path, [("x.png", &bad[..])]).unwrap_err();
    assert!(matches!(error, LandmarkError::NotFinite { .. }));
    assert_eq!(read_landmarks(&path).unwrap().images().len(), 2);
    let error = write_landmarks("/no/such/folder/points.csv", [("x.png", &points[..])]).unwrap_err();
    assert!(matches!(error, LandmarkError::File(FileError::Unwritable { .. })));
}

const TOML: &str = "name = \"pair\"\nspacing_mm = [0.3, 0.25]\nlandmarks = [\"p\", \"q\"]\n";
const CSV: &str = "image,landmark,x,y\na.png,q,3,4\na.png,p,1,2\nb.png,p,5,6\nb.png,q,7,8\nb.png,r,0,0\n";

fn data_folder(toml: &str, csv: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("images")).unwrap();
    for name in ["a.png", "b.png"] {
        GrayImage::from_fn(40, 32, |x, y| Luma([(x * y) as u8]))
            .save(folder.path().join("images").join(name))
            .unwrap();
    }
    fs::write(folder.path().join("dataset.toml"), toml).unwrap();
    fs::write(folder.path().join("landmarks.csv"), csv).unwrap();
    folder
}

#[test]
fn a_data_folder_gives_its_images_with_points_in_the_named_order() {
    let folder = data_folder(TOML, CSV);
    let data = DataSet::open(folder.path()).unwrap();
    assert_eq!((data.name.as_str(), data.spacing.x, data.spacing.y), ("pair", 0.3, 0.25));
    assert_eq!(data.landmarks, ["p", "q"]);
    let names: Vec<_> = data.images.iter().map(|sample| sample.name.as_str()).collect();
    assert_eq!(names, ["a.png", "b.png"]);
    assert_eq!(data.images[0].landmarks, [Some(Point::new(1.0, 2.0)), Some(Point::new(3.0, 4.0))]);
    assert_eq!((data.images[0].width, data.images[0].height), (40, 32));
    assert_eq!(data.landmarks_of(&data.images[1])[1], landmark("q", 7.0, 8.0));
    assert!(data.ignored_keys.is_empty());
    // What means nothing is named.
    let folder = data_folder(&format!("{TOML}spacing = 3\n[made]\nby = \"hand\"\n"), CSV);
    assert_eq!(DataSet::open(folder.path()).unwrap().ignored_keys, ["made", "spacing"]);
    // Without a name, it is called as its folder.
    let folder = data_folder(&TOML.replace("name = \"pair\"", ""), CSV);
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    assert_eq!(DataSet::open(folder.path()).unwrap().name, name);
}

fn refused_folder(toml: &str, csv: &str) -> DataSetError {
    let folder = data_folder(toml, csv);
    DataSet::open(folder.path()).unwrap_err()
}

#[test]
fn a_wrong_dataset_file_is_refused_with_what_to_write() {
    let files: [(&str, fn(&ManifestError) -> bool); 8] = [
        ("landmarks = [\"p\"]\n", |e| matches!(e, ManifestError::NoSpacing)),
        ("spacing_mm = [0.3, 0.0]\nlandmarks = [\"p\"]\n", |e| {
            matches!(e, ManifestError::Spacing(SpacingError { x: 0.3, y: 0.0 }))
        }),
        ("spacing_mm = [nan, 1]\nlandmarks = [\"p\"]\n", |e| {
            matches!(e, ManifestError::Spacing(SpacingError { y: 1.0, .. }))
        }),
        (
            "spacing_mm = 0.3\nlandmarks = [\"p\"]\n",
            |e| matches!(e, ManifestError::Toml { reason } if reason.contains("spacing_mm")),
        ),
        ("spacing_mm = [0.3, 0.3]\n", |e| matches!(e, ManifestError::NoLandmarks)),
        (
            "spacing_mm = [0.3, 0.3]\nlandmarks = [\"p\", \"p\"]\n",
            |e| matches!(e, ManifestError::RepeatedLandmark { landmark } if landmark == "p"),
        ),
        ("spacing_mm = [0.3, \n", |e| matches!(e, ManifestError::Toml { .. })),
        ("", |e| matches!(e, ManifestError::Empty)),
    ];
    for (toml, expected) in files {
        let error = refused_folder(toml, CSV);
        let text = error.to_string();
        assert!(text.contains("dataset.toml: ") && !text.contains('\n'), "{text}");
        match error {
            DataSetError::Manifest { problem, fix, .. } => {
                assert!(expected(&problem) && !fix.is_empty(), "{text}")
            }
            error => panic!("{error}"),
        }
    }
}

#[test]
fn rows_and_images_that_do_not_fit_each_other_are_refused() {
    let error = refused_folder(TOML, &format!("{CSV}c.png,p,1,2\n"));
    assert!(error.to_string().contains("landmarks.csv, line 7: "), "{error}");
    assert!(
        matches!(&error, DataSetError::Landmarks(LandmarkError::UnknownImage { image, .. }) if image == "c.png"),
        "{error}"
    );
    // Rows of no landmark that is named.
    let error = refused_folder("spacing_mm = [0.3, 0.3]\nlandmarks = [\"s\"]\n", CSV);
    assert!(matches!(&error, DataSetError::NoImages { .. }), "{error}");
}

#[test]
fn points_that_are_missing_are_counted_and_images_without_any_are_left_out() {
    let open = |csv: &str| DataSet::open(data_folder(TOML, csv).path()).unwrap();
    let data = open(&CSV.replace("b.png,q", "b.png,s"));
    let missing = |reason| MissingPoint { image: "b.png".into(), landmark: "q".into(), reason };
    assert_eq!(data.missing, [missing(MissingReason::NotAnnotated)]);
    assert_eq!(data.images[1].landmarks, [Some(Point::new(5.0, 6.0)), None]);
    assert_eq!(data.landmarks_of(&data.images[1]), [landmark("p", 5.0, 6.0)]);
    assert_eq!(data.unannotated(), None);
    assert_eq!(data.warnings().len(), 1);
    let warning = &data.warnings()[0];
    assert!(warning.contains("1 of 4") && warning.contains("b.png, q: not annotated"), "{warning}");

    let absent = "image,landmark,x,y,visibility\na.png,p,1,2,visible\na.png,q,3,4,visible\nb.png,p,5,6,visible\nb.png,q,,,absent\n";
    assert_eq!(open(absent).missing, [missing(MissingReason::Absent)]);

    // Of the second image no row, and rows of other landmarks alone.
    for csv in ["image,landmark,x,y\na.png,p,1,2\n", "image,landmark,x,y\na.png,p,1,2\nb.png,r,5,6\n"] {
        let data = open(csv);
        assert_eq!((data.images.len(), &data.left_out[..]), (1, &["b.png".to_owned()][..]));
        assert_eq!(data.unannotated(), Some("q"));
        assert!(data.warnings()[1].contains("b.png"), "{:?}", data.warnings());
    }
}

#[test]
fn landmarks_outside_their_image_are_kept_within_a_margin_or_are_missing() {
    // The margin of 40 pixels is 0.4.
    let near = data_folder(TOML, &CSV.replace("3,4", "39.8,4"));
    let data = DataSet::open(near.path()).unwrap();
    assert_eq!((data.images.len(), data.just_outside, data.missing.len()), (2, 1, 0));
    assert_eq!(data.images[0].landmarks[1], Some(Point::new(39.8, 4.0)));
    // Templates have features of the image alone.
    assert_eq!(data.landmarks_of(&data.images[0])[1].at, Point::new(39.5, 4.0));
    assert!(data.warnings()[0].contains(": 1; they are kept"), "{:?}", data.warnings());
    let far = data_folder(TOML, &CSV.replace("3,4", "40,4"));
    let data = DataSet::open(far.path()).unwrap();
    let reason = MissingReason::Outside { at: Point::new(40.0, 4.0) };
    let out = MissingPoint { image: "a.png".into(), landmark: "q".into(), reason };
    assert_eq!((data.images.len(), data.just_outside, &data.missing[..]), (2, 0, &[out][..]));
    assert_eq!(data.images[0].landmarks, [Some(Point::new(1.0, 2.0)), None]);
    assert!(data.warnings()[0].contains("a.png, q: outside the image, at (40, 4)"), "{:?}", data.warnings());
    // Rows of landmarks that are not named do not count; without any image left the folder is refused.
    let other = data_folder(TOML, &format!("{CSV}a.png,other,900,4\n"));
    assert!(DataSet::open(other.path()).unwrap().warnings().is_empty());
    let both =
        CSV.replace("3,4", "40,4").replace("1,2", "1,90").replace("5,6", "-9,6").replace("7,8", "7,80");
    let error = refused_folder(TOML, &both);
    assert!(
        matches!(&error, DataSetError::Landmarks(LandmarkError::Outside { image, .. }) if image == "a.png"),
        "{error}"
    );
}

#[test]
fn a_folder_that_lacks_something_is_refused() {
    let missing = DataSet::open(Path::new("/no/such/folder")).unwrap_err();
    assert!(matches!(missing, DataSetError::Missing { .. }));
    let without = |part: &str| {
        let folder = data_folder(TOML, CSV);
        fs::remove_file(folder.path().join(part)).unwrap();
        DataSet::open(folder.path()).unwrap_err()
    };
    let error = without("dataset.toml");
    assert!(matches!(error, DataSetError::Manifest { problem: ManifestError::Missing, .. }), "{error}");
    let error = without("landmarks.csv");
    assert!(
        matches!(error, DataSetError::Landmarks(LandmarkError::File(FileError::Missing { .. }))),
        "{error}"
    );
    let error = without("images/a.png");
    assert!(
        matches!(&error, DataSetError::Landmarks(LandmarkError::UnknownImage { image, .. }) if image == "a.png"),
        "{error}"
    );
    let folder = data_folder(TOML, CSV);
    fs::write(folder.path().join("images/b.png"), "no image").unwrap();
    let error = DataSet::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, DataSetError::Image(ImageError::UnknownFormat { name }) if name.ends_with("b.png")),
        "{error}"
    );
    let folder = data_folder(TOML, CSV);
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    let error = DataSet::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, DataSetError::Image(ImageError::Missing { name }) if name.ends_with("images")),
        "{error}"
    );
}

#[test]
#[ignore = "needs real radiographs: INFOMARK_DATA"]
fn real_radiographs_in_data_folders_open() {
    let root = std::env::var_os("INFOMARK_DATA").unwrap();
    let root = Path::new(&root);
    for (name, images, landmarks) in [("ceph-dev", 50, 10), ("chest-dev", 51, 14)] {
        let data = DataSet::open(root.join(name)).unwrap();
        assert_eq!((data.images.len(), data.landmarks.len()), (images, landmarks));
        assert_eq!(data.name, name);
    }
}
