//! Files that come from other programs: DICOM and NIfTI images, landmark files of all formats.

use infomark_phantom::Phantom;
use infomark_tests::infer_dicom::{Dicom, SECRET, syntax};
use infomark_tests::infer_nifti::{gzip, nifti};

use crate::support::{SIZE, Workplace};

/// Image 0 of the data folder as DICOM of 12 bits, with what a radiograph says of its pixels.
fn dicom() -> Dicom {
    let image = Phantom::new(SIZE.0, SIZE.1).unwrap().image(0, 0);
    let samples = image.pixels.iter().map(|&level| u16::from(level) * 16).collect();
    Dicom::new(SIZE.0 as u16, SIZE.1 as u16, 12, samples)
        .text((0x0018, 0x1164), "DS", "0.2\\0.1")
        .text((0x0028, 0x1050), "DS", "2040")
        .text((0x0028, 0x1051), "DS", "4081")
}

fn text(place: &Workplace, name: &str) -> String {
    String::from_utf8(place.read(name)).unwrap()
}

/// The columns of the rows of an image.
fn rows(place: &Workplace, name: &str, image: &str) -> Vec<Vec<String>> {
    let table = text(place, name);
    let rows = table.lines().filter(|row| row.starts_with(&format!("{image},")));
    rows.map(|row| row.split(',').map(str::to_owned).collect()).collect()
}

#[test]
fn dicom_images_are_matched_in_pixels_and_in_mm() {
    let place = Workplace::new();
    place.write("scans/IM0001", dicom().encode());
    place.write("scans/b.dcm", dicom().in_syntax(syntax::IMPLICIT).encode());
    place.write("scans/notes.txt", "no image");
    let object = place.run_match("scans data/images/0.png --out found --json").json();
    assert_eq!(object["images"].as_array().unwrap().len(), 3);
    let spacing = &object["images"][0]["spacing"];
    assert_eq!((spacing["x_mm"].as_f64(), spacing["y_mm"].as_f64()), (Some(0.1), Some(0.2)));
    assert_eq!(spacing["source"], "DICOM Imager Pixel Spacing (0018,1164)");
    assert_eq!(spacing["calibration"], "at the detector, not corrected for magnification");
    assert!(object["images"][2]["spacing"].is_null());
    let png = rows(&place, "found/landmarks.csv", "0.png");
    for name in ["IM0001", "b.dcm"] {
        let scan = rows(&place, "found/landmarks.csv", name);
        assert_eq!(scan.len(), png.len());
        for (scan, png) in scan.iter().zip(&png) {
            let number = |text: &str| text.parse::<f64>().unwrap();
            // The same pixels give the same points.
            assert!((number(&scan[2]) - number(&png[2])).abs() < 0.5, "{scan:?} {png:?}");
            assert!((number(&scan[5]) - 0.1 * number(&scan[2])).abs() < 1e-3, "{scan:?}");
            assert!((number(&scan[6]) - 0.2 * number(&scan[3])).abs() < 1e-3, "{scan:?}");
            assert_eq!((png[5].as_str(), png[6].as_str()), ("", ""), "no mm without a spacing");
        }
    }
    for (path, bytes) in place.tree("found") {
        let leaks = bytes.windows(SECRET.len()).any(|window| window == SECRET.as_bytes());
        assert!(!leaks, "the patient's name is in {}", path.display());
    }
    let given = place.run_match("data/images/0.png --out given --spacing 0.5 0.25 --json").json();
    assert_eq!(given["images"][0]["spacing"]["source"], "given by the user");
    for wrong in ["0.5 0", "1e308 1", "1 1e-300", "nan 1"] {
        let reason = place.run_match(&format!("data/images/0.png --out given --spacing {wrong}")).reason();
        assert!(reason.contains("--spacing"), "{wrong}: {reason}");
    }
}

#[test]
fn points_from_3d_slicer_mark_a_dicom_template() {
    let place = Workplace::new();
    place.write("scans/0.dcm", dicom().encode());
    let points = text(&place, "data/landmarks.csv").replace("0.png", "0.dcm");
    let points: Vec<_> =
        points.lines().filter(|row| row.starts_with("image") || row.starts_with("0.dcm")).collect();
    place.write("points.csv", points.join("\n"));
    place.run("convert points.csv --images scans --out points.mrk.json").success();
    assert!(text(&place, "points.mrk.json").contains("pixel size 0.1 x 0.2 mm, DICOM Imager Pixel Spacing"));
    for landmarks in ["points.csv", "points.mrk.json"] {
        let line = "match --model encoder.onnx --template scans/0.dcm data/images --out";
        place.run(&format!("{line} {landmarks}.found --landmarks {landmarks}")).success();
    }
    let found = |landmarks: &str| text(&place, &format!("{landmarks}.found/landmarks.csv"));
    assert_eq!(found("points.csv"), found("points.mrk.json"));
}

#[test]
fn nifti_slices_are_matched_and_volumes_refused() {
    let place = Workplace::new();
    let image = Phantom::new(SIZE.0, SIZE.1).unwrap().image(0, 0);
    let size = [SIZE.0 as u16, SIZE.1 as u16];
    place.write("scans/slice.nii.gz", gzip(&nifti(&[size[0], size[1], 1], 2, &image.pixels)));
    place.write("scans/volume.nii", nifti(&[size[0], size[1], 2], 2, &image.pixels.repeat(2)));
    let outcome = place.run_match("scans --out found --json");
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("volume.nii: ") && outcome.stderr.contains("96 x 128 x 2"),
        "{outcome:?}"
    );
    let rows = rows(&place, "found/landmarks.csv", "slice.nii.gz");
    assert!(!rows.is_empty() && rows.iter().all(|row| !row[5].is_empty()));
}

#[test]
fn every_format_is_written_on_request() {
    let place = Workplace::new();
    place.run_match("data/images --out found --format slicer,coco,labelme,isbi,csv").success();
    for (file, content) in [
        ("found/landmarks.coco.json", "\"file_name\": \"4.png\""),
        ("found/slicer/4.mrk.json", "3D Slicer takes 1 x 1 mm"),
        ("found/labelme/4.json", "\"imagePath\": \"4.png\""),
        ("found/isbi/4.txt", ","),
    ] {
        assert!(text(&place, file).contains(content), "{file}");
    }
    // Each of them converts back into the same table.
    let names = infomark_phantom::LANDMARKS.join(",");
    let files = |folder: &str| {
        let names: Vec<_> = place.tree(folder).into_keys().collect();
        names.iter().map(|name| format!("{folder}/{}", name.display())).collect::<Vec<_>>().join(" ")
    };
    place.run("convert found/landmarks.csv --out plain.csv").success();
    for (name, inputs) in [
        ("slicer", files("found/slicer")),
        ("labelme", files("found/labelme")),
        ("isbi", files("found/isbi")),
        ("coco", "found/landmarks.coco.json".to_owned()),
    ] {
        let line = format!("convert {inputs} --images data/images --names {names} --out {name}.csv");
        place.run(&line).success();
        assert_eq!(
            text(&place, &format!("{name}.csv")).lines().count(),
            text(&place, "plain.csv").lines().count()
        );
    }
    assert_eq!(text(&place, "coco.csv"), text(&place, "plain.csv"));
    assert_eq!(text(&place, "isbi.csv"), text(&place, "plain.csv"));
    assert_eq!(text(&place, "slicer.csv"), text(&place, "plain.csv"));
}

#[test]
fn results_of_images_that_share_a_name_convert_back() {
    let place = Workplace::new();
    place.make_data("other", 2, 8);
    // Three images whose files of their own would be called alike.
    place.write("other/images/1.bmp.png", place.read("data/images/2.png"));
    place.write("third/1.tiff", place.read("data/images/3.png"));
    let images = "third other/images data/images/1.png";
    place.run_match(&format!("{images} --out found --format slicer,isbi,labelme,coco")).success();
    let files = |folder: &str| {
        let names: Vec<_> = place.tree(folder).into_keys().collect();
        assert_eq!(names.len(), 5, "{names:?}");
        names.iter().map(|name| format!("{folder}/{}", name.display())).collect::<Vec<_>>().join(" ")
    };
    place.run("convert found/landmarks.csv --out plain.csv").success();
    let plain = text(&place, "plain.csv");
    for label in ["1.tiff", "other/images/1.png", "data/images/1.png", "0.png", "1.bmp.png"] {
        assert!(plain.contains(&format!("\n{label},")), "{plain}");
    }
    let names = infomark_phantom::LANDMARKS.join(",");
    for (name, inputs) in [
        ("slicer", files("found/slicer")),
        ("isbi", files("found/isbi")),
        ("labelme", files("found/labelme")),
        ("coco", "found/landmarks.coco.json".to_owned()),
    ] {
        let line = format!("convert {inputs} --images {images} --names {names} --out {name}.csv");
        place.run(&line).success();
        assert_eq!(text(&place, &format!("{name}.csv")), plain, "{name}");
    }
    // What `convert` writes it reads as well.
    place.run(&format!("convert plain.csv --images {images} --format slicer --out again/")).success();
    place.run(&format!("convert {} --images {images} --out again.csv", files("again"))).success();
    assert_eq!(text(&place, "again.csv"), plain);
}

#[test]
fn a_conversion_asks_for_what_it_needs() {
    let place = Workplace::new();
    for (line, named) in [
        ("convert data/landmarks.csv --out points.json", "--format"),
        ("convert data/landmarks.csv --out points.json --format coco", "--images"),
        ("convert data/landmarks.csv --out points.mrk.json", "--images"),
        ("convert data/landmarks.csv --out points.mrk.json --images data/images", "points.mrk.json"),
        ("convert data/landmarks.csv --out data --format csv", "data"),
        ("convert data/landmarks.csv data/landmarks.csv --out points.csv", "landmarks.csv"),
        ("convert missing.csv --out points.csv", "missing.csv: "),
        ("convert data/landmarks.csv --format coco --out p.json --images data/images/1.png", "0.png: "),
        ("convert data/dataset.toml --out points.csv", "dataset.toml"),
        ("convert data/landmarks.csv --out m/ --format slicer --spacing 0.5 0.25", "--images"),
        (
            "convert data/landmarks.csv --out m/ --images data/images --format slicer --volume-spacing 0 1",
            "--volume-spacing",
        ),
    ] {
        let reason = place.run(line).reason();
        assert!(reason.contains(named), "{line}: {reason}");
    }
    place.run("convert data/landmarks.csv --out markups/ --format slicer --images data/images").success();
    assert_eq!(place.tree("markups").len(), 5);
    let line = "convert data/landmarks.csv --images data/images --format slicer --spacing 0.5 0.25";
    let outcome = place.run(&format!("{line} --out mm/"));
    assert!(
        outcome.stderr.contains("warning: on 5 images 3D Slicer takes pixels of another size"),
        "{outcome:?}"
    );
    assert!(outcome.stderr.contains("the first is 0.png"), "{outcome:?}");
    assert!(text(&place, "mm/0.mrk.json").contains("the pixel size is 0.5 x 0.25 mm, given by the user"));
    let outcome = place.run(&format!("{line} --volume-spacing 0.5 0.25 --out same/"));
    assert!(!outcome.stderr.contains("warning"), "{outcome:?}");
    assert!(text(&place, "same/0.mrk.json").contains("pixel size 0.5 x 0.25 mm, given by the user"));
    let object = place.run("convert data/landmarks.csv --out points.csv --json").json();
    assert_eq!((object["format"].as_str(), object["images"].as_u64()), (Some("csv"), Some(5)));
    assert_eq!(text(&place, "points.csv"), text(&place, "data/landmarks.csv"));
}

#[test]
fn dicom_images_can_be_mapped() {
    let place = Workplace::new();
    place.write("scan.dcm", dicom().encode());
    place.run("map scan.dcm --out maps").success();
    assert_eq!(place.tree("maps").len(), 4);
}

#[test]
fn markups_go_by_the_millimetres_that_3d_slicer_takes() {
    let place = Workplace::new();
    let markups = |x: f64, y: f64| {
        format!(
            r#"{{"markups": [{{"coordinateSystem": "LPS", "controlPoints": [{{"label": "p", "position": [{x}, {y}, 0]}}]}}]}}"#
        )
    };
    // A detector's size, by which Slicer goes, and another that somebody calibrated.
    let scan = dicom()
        .text((0x0008, 0x0016), "UI", "1.2.840.10008.5.1.4.1.1.1.1")
        .text((0x0018, 0x1164), "DS", "0.15\\0.15")
        .text((0x0028, 0x0030), "DS", "0.12\\0.12");
    place.write("scans/a.dcm", scan.encode());
    place.write("a.mrk.json", markups(6.0, 4.5));
    // ITK writes the size of pixels as a chunk of PNG.
    place.write("scans/b.png", infomark_tests::infer_picture::png("sCAL 1 0.3 0.25"));
    place.write("b.mrk.json", markups(9.0, 4.0));
    place.run("convert a.mrk.json b.mrk.json --images scans --out points.csv").success();
    assert_eq!(text(&place, "points.csv"), "image,landmark,x,y\na.dcm,p,40,30\nb.png,p,30,16\n");
    let outcome = place.run("convert points.csv --images scans --format slicer --out back/");
    assert!(
        outcome.stderr.contains("warning: on 1 image 3D Slicer") && outcome.stderr.contains("a.dcm"),
        "{outcome:?}"
    );
    place.run("convert back/a.mrk.json back/b.mrk.json --images scans --out again.csv").success();
    assert_eq!(text(&place, "again.csv"), text(&place, "points.csv"));
    let outcome = place.run_match("scans/a.dcm --out found --format slicer");
    assert!(
        outcome.stderr.contains("warning: on 1 image 3D Slicer") && outcome.stderr.contains("a.dcm"),
        "{outcome:?}"
    );
    // A class that Slicer does not read: the table has the points, and markups are refused.
    place.write("scans/c.dcm", dicom().text((0x0008, 0x0016), "UI", "1.2.3.4").encode());
    let outcome = place.run_match("scans/c.dcm --out found-c --format slicer");
    assert_eq!(outcome.code, Some(0), "{outcome:?}");
    assert!(outcome.stderr.contains("ITK does not read this kind of file"), "{outcome:?}");
    assert!(!rows(&place, "found-c/landmarks.csv", "c.dcm").is_empty());
    place.write("c.mrk.json", markups(6.0, 4.5));
    let reason = place.run("convert c.mrk.json --images scans --out c.csv").reason();
    assert!(reason.contains("c.mrk.json: ") && reason.contains("c.dcm"), "{reason}");
}
