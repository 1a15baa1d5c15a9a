//! Landmark files and data folders: what is read, and what is refused with the file, the line and a fix.

use std::fs;
use std::path::Path;

use image::{GrayImage, Luma};
use infomark_core::Point;
use infomark_infer::{
    DataSet, DataSetError, Landmark, LandmarkError, LandmarkFile, Place, parse_landmarks, read_landmarks,
    write_landmarks,
};
use tempfile::TempDir;

fn parse(text: &str) -> Result<LandmarkFile, LandmarkError> {
    parse_landmarks(text.as_bytes(), "points.csv")
}

/// The message of a refused file, which has to name the file, the line where there is one, and what to do.
fn refused(text: &str, place: &str, fix: &str) -> LandmarkError {
    let error = parse(text).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with(&format!("points.csv{place}: ")), "{message}");
    assert!(message.contains(fix), "{message}");
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
        let error = refused(&text, ", line 1", "image,landmark,x,y, separated by commas");
        assert!(matches!(error, LandmarkError::Column { .. }));
        assert!(error.to_string().contains(&format!("`{column}` is missing")), "{error}");
    }
    let error = refused("image,landmark,x,y,x\n", ", line 1", "first line");
    assert!(error.to_string().contains("`x` is repeated"), "{error}");
}

#[test]
fn coordinates_that_are_no_finite_numbers_are_refused_with_their_line() {
    for value in ["NaN", "nan", "inf", "-infinity", "1e999", "twelve", "", "1 2", "0x10"] {
        let text = format!("image,landmark,x,y\na.png,p,1,2\na.png,q,3,{value}\n");
        let error = refused(&text, ", line 3", "such as 274.5");
        assert!(matches!(error, LandmarkError::Number { column: "y", place: Place::Line(3), .. }));
    }
    // A decimal comma makes a field too many.
    refused("image,landmark,x,y\na.png,p,1,5,2\n", ", line 2", "5 fields where the header has 4");
}

#[test]
fn rows_that_say_nothing_or_twice_are_refused() {
    refused("image,landmark,x,y\na.png,p,1\n", ", line 2", "fill or remove the row");
    refused("image,landmark,x,y\n,p,1,2\n", ", line 2", "`image` is empty");
    refused("image,landmark,x,y\na.png,,1,2\n", ", line 2", "`landmark` is empty");
    let twice = "image,landmark,x,y\na.png,p,1,2\nb.png,p,1,2\na.png,p,1,2\n";
    let error = refused(twice, ", line 4", "remove one of them");
    assert!(matches!(error, LandmarkError::Duplicate { first: Place::Line(2), .. }));
    for text in ["image,landmark,x,y\n", "image,landmark,x,y"] {
        assert!(matches!(refused(text, "", "a row per point"), LandmarkError::Empty { .. }));
    }
}

#[test]
fn files_that_are_no_text_or_no_files_are_refused() {
    let error = parse_landmarks(b"image,landmark,x,y\na.png,p\xff,1,2\n", "points.csv").unwrap_err();
    assert!(matches!(error, LandmarkError::Encoding { line: 2, .. }));
    assert!(error.to_string().contains("points.csv, line 2: ") && error.to_string().contains("UTF-8"));
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("gone.csv");
    let error = read_landmarks(&path).unwrap_err();
    assert!(matches!(error, LandmarkError::Missing { .. }));
    assert!(error.to_string().contains("gone.csv"));
    assert!(matches!(read_landmarks(folder.path()), Err(LandmarkError::NotAFile { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(read_landmarks(&path), Err(LandmarkError::Empty { .. })));
}

#[test]
fn points_outside_their_image_and_images_without_rows_are_refused() {
    let file = parse("image,landmark,x,y\na.png,p,-0.5,39.5\na.png,q,50,3\nb.png,p,1,1\n").unwrap();
    assert_eq!(file.on_image("a.png", 51, 40).unwrap().len(), 2);
    let error = file.on_image("a.png", 50, 40).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, LandmarkError::Outside { place: Place::Line(3), .. }), "{text}");
    assert!(text.contains("points.csv, line 3") && text.contains("50 x 40 pixels; give"), "{text}");
    let error = file.on_image("c.png", 50, 40).unwrap_err();
    assert!(matches!(error, LandmarkError::NoRows { .. }));
    assert!(error.to_string().contains("c.png (it has a.png, b.png); add them"), "{error}");
    file.check_images(|_| true).unwrap();
    let error = file.check_images(|image| image == "a.png").unwrap_err();
    assert!(matches!(error, LandmarkError::UnknownImage { place: Place::Line(4), .. }));
    assert!(error.to_string().contains("no image b.png; correct the name"), "{error}");
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
    assert!(matches!(error, LandmarkError::Unwritable { .. }));
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
    assert_eq!(data.images[0].landmarks, [Point::new(1.0, 2.0), Point::new(3.0, 4.0)]);
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

fn open(toml: &str, csv: &str) -> String {
    let folder = data_folder(toml, csv);
    DataSet::open(folder.path()).unwrap_err().to_string()
}

#[test]
fn a_wrong_dataset_file_is_refused_with_what_to_write() {
    for (toml, problem, fix) in [
        ("landmarks = [\"p\"]\n", "no spacing_mm", "add spacing_mm = [x, y]"),
        ("spacing_mm = [0.3, 0.0]\nlandmarks = [\"p\"]\n", "0.3 x 0 mm", "add spacing_mm"),
        ("spacing_mm = [nan, 1]\nlandmarks = [\"p\"]\n", "mm", "add spacing_mm"),
        ("spacing_mm = 0.3\nlandmarks = [\"p\"]\n", "spacing_mm", "spacing_mm = [x, y]"),
        ("spacing_mm = [0.3, 0.3]\n", "names no landmarks", "add landmarks"),
        ("spacing_mm = [0.3, 0.3]\nlandmarks = [\"p\", \"p\"]\n", "p twice", "remove one"),
        ("spacing_mm = [0.3, \n", "", "write it with"),
        ("", "the file is empty", "write it with"),
    ] {
        let text = open(toml, CSV);
        assert!(text.contains("dataset.toml: "), "{text}");
        assert!(text.contains(problem) && text.contains(fix), "{text}");
        assert!(!text.contains('\n'), "{text}");
    }
}

#[test]
fn rows_and_images_that_do_not_fit_each_other_are_refused() {
    let text = open(TOML, &format!("{CSV}c.png,p,1,2\n"));
    assert!(text.contains("landmarks.csv, line 7: there is no image c.png"), "{text}");
    let text = open(TOML, &CSV.replace("b.png", "a.png").replace("a.png,p,5,6\na.png,q,7,8\n", ""));
    assert!(text.contains("landmarks.csv: images without rows: 1 (b.png); add"), "{text}");
    let text = open(TOML, &CSV.replace("b.png,q", "b.png,s"));
    assert!(text.contains("image b.png has no landmark q") && text.contains("add its row"), "{text}");
    let text = open(TOML, &CSV.replace("3,4", "40,4"));
    assert!(text.contains("landmarks.csv, line 2") && text.contains("outside a.png"), "{text}");
}

#[test]
fn a_folder_that_lacks_something_is_refused() {
    let missing = DataSet::open(Path::new("/no/such/folder")).unwrap_err();
    assert!(matches!(missing, DataSetError::Missing { .. }));
    for (part, fix) in [
        ("dataset.toml", "write it with"),
        ("landmarks.csv", "check the spelling"),
        ("images/a.png", "there is no image a.png; correct the name"),
    ] {
        let folder = data_folder(TOML, CSV);
        fs::remove_file(folder.path().join(part)).unwrap();
        let text = DataSet::open(folder.path()).unwrap_err().to_string();
        assert!(text.contains(fix), "{text}");
    }
    let folder = data_folder(TOML, CSV);
    fs::write(folder.path().join("images/b.png"), "no image").unwrap();
    let text = DataSet::open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("b.png: not a PNG"), "{text}");
    let folder = data_folder(TOML, CSV);
    fs::remove_dir_all(folder.path().join("images")).unwrap();
    let text = DataSet::open(folder.path()).unwrap_err().to_string();
    assert!(text.contains("images: no such file or folder"), "{text}");
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
