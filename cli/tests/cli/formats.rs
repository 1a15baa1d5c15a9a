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
    place
        .run_match("data/images --out found --format slicer,fcsv,coco,labelme,cvat,label-studio,isbi,csv")
        .success();
    for (file, content) in [
        ("found/landmarks.coco.json", "\"file_name\": \"4.png\""),
        ("found/landmarks.cvat.xml", "name=\"4.png\""),
        ("found/landmarks.label-studio.json", "\"image\": \"4.png\""),
        ("found/fcsv/4.fcsv", "# CoordinateSystem = LPS"),
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
        ("fcsv", files("found/fcsv")),
        ("labelme", files("found/labelme")),
        ("isbi", files("found/isbi")),
        ("coco", "found/landmarks.coco.json".to_owned()),
        ("cvat", "found/landmarks.cvat.xml".to_owned()),
        ("label-studio", "found/landmarks.label-studio.json".to_owned()),
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
    // COCO results need the file whose ids they use.
    let line = "convert plain.csv --images data/images --format coco-results";
    assert!(place.run(&format!("{line} --out results.json")).reason().contains("another COCO file"));
    place.run(&format!("{line} --coco found/landmarks.coco.json --out results.json")).success();
    place.run("convert results.json --coco found/landmarks.coco.json --out results.csv").success();
    assert_eq!(text(&place, "results.csv"), text(&place, "plain.csv"));
    let refused = place.run_match("data/images --out other --format coco-results").reason();
    assert!(refused.contains("--coco"), "{refused}");
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
    place.write("one.txt", "1,2\n3,4\n");
    for (line, named) in [
        ("convert data/landmarks.csv --out points.json", "--format"),
        ("convert data/landmarks.csv --out points.json --format coco", "--images"),
        ("convert data/landmarks.csv --out points.mrk.json", "--images"),
        ("convert data/landmarks.csv --out points.mrk.json --images data/images", "points.mrk.json"),
        ("convert data/landmarks.csv --out data --format csv", "data"),
        ("convert data/landmarks.csv data/landmarks.csv --out points.csv", "landmarks.csv"),
        ("convert missing.csv --out points.csv", "missing.csv: "),
        ("convert data/landmarks.csv --format coco --out p.json --images data/images/1.png", "0.png"),
        ("convert data/landmarks.csv --out points.csv --images data/images/1.png", "there is no image 0.png"),
        ("convert one.txt --out one.csv", "name the image"),
        (
            "convert one.txt one.txt --image 0.png --out one.csv",
            "--image 0.png: this names the image of one file",
        ),
        ("convert one.txt --image 9.png --images data/images --out one.csv", "no such image"),
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
fn a_file_without_names_is_given_its_image() {
    let place = Workplace::new();
    place.write("one.txt", "1,2\n3,4\n");
    place.run("convert one.txt --image 0.png --names p,q --images data/images --out one.csv").success();
    assert_eq!(text(&place, "one.csv"), "image,landmark,x,y\n0.png,p,1,2\n0.png,q,3,4\n");
    // Slicer calls the markups of `c.nii.gz` `c.mrk.json`.
    let image = Phantom::new(SIZE.0, SIZE.1).unwrap().image(0, 0);
    let size = [SIZE.0 as u16, SIZE.1 as u16];
    place.write("scans/c.nii.gz", gzip(&nifti(&[size[0], size[1], 1], 2, &image.pixels)));
    let markup = r#"{"markups": [{"coordinateSystem": "LPS", "controlPoints": [{"label": "p", "position": [3, 4, 0]}]}]}"#;
    place.write("c.mrk.json", markup);
    place.run("convert c.mrk.json --images scans --out c.csv").success();
    assert!(text(&place, "c.csv").contains("\nc.nii.gz,p,"));
}

#[test]
fn isbi_text_is_written_in_one_order_or_refused() {
    let place = Workplace::new();
    let table = "image,landmark,x,y\n0.png,p,1,2\n0.png,q,3,4\n1.png,q,5,6\n1.png,p,7,8\n";
    place.write("points.csv", table);
    place.run("convert points.csv --images data/images --format isbi --out isbi/").success();
    assert_eq!(text(&place, "isbi/0.txt"), "1,2\n3,4\n");
    assert_eq!(text(&place, "isbi/1.txt"), "7,8\n5,6\n");
    place.run("convert points.csv --images data/images --format isbi --names q,p --out turned/").success();
    assert_eq!(text(&place, "turned/0.txt"), "3,4\n1,2\n");
    place.write("gap.csv", table.replace("1.png,p,7,8\n", ""));
    let reason = place.run("convert gap.csv --images data/images --format isbi --out gap/").reason();
    assert!(reason.contains("1.png has no point for landmark p"), "{reason}");
    assert!(!place.file("gap").exists(), "nothing is written of what is refused");
}

#[test]
fn what_a_format_does_not_keep_is_told() {
    let place = Workplace::new();
    let table = "image,landmark,x,y,visibility\n0.png,p,1,2,occluded\n0.png,q,,,absent\n";
    place.write("points.csv", table);
    let line = "convert points.csv --images data/images --names p";
    let outcome = place.run(&format!("{line} --format isbi --out isbi/"));
    assert!(outcome.stderr.contains("does not keep which landmarks are occluded (1"), "{outcome:?}");
    assert!(outcome.stderr.contains("does not keep which landmarks are absent (1"), "{outcome:?}");
    for format in ["slicer", "coco", "labelme", "cvat", "label-studio"] {
        let outcome = place.run(&format!("{line} --format {format} --out {format}.any"));
        assert!(outcome.stderr.is_empty(), "{format}: {outcome:?}");
        place
            .run(&format!("convert {format}.any --image 0.png --images data/images --out {format}.csv"))
            .success();
        assert_eq!(text(&place, &format!("{format}.csv")), table, "{format}");
    }
}

#[test]
fn landmarks_made_for_another_size_of_image_are_refused() {
    let place = Workplace::new();
    place.run("convert data/landmarks.csv --images data/images --format coco --out points.json").success();
    place.write("points.json", text(&place, "points.json").replace("\"width\": 96", "\"width\": 48"));
    let reason = place.run("convert points.json --images data/images --out points.csv").reason();
    assert!(reason.contains("48 x 128") && reason.contains("96 x 128"), "{reason}");
}

#[test]
fn points_just_outside_their_image_are_kept_and_counted() {
    let place = Workplace::new();
    let table = text(&place, "data/landmarks.csv");
    let row = table.lines().nth(1).unwrap();
    let (start, _) = row.match_indices(',').nth(1).map(|(at, _)| row.split_at(at)).unwrap();
    place.write("data/landmarks.csv", table.replacen(row, &format!("{start},96.2,20"), 1));
    let outcome = place.run("evaluate --model encoder.onnx --data data --templates 1 --out scores");
    assert!(outcome.stderr.contains("landmarks just outside their image"), "{outcome:?}");
    assert!(outcome.stderr.contains(": 1; they are kept"), "{outcome:?}");
    assert_eq!(outcome.code, Some(0));
    place.write("data/landmarks.csv", table.replacen(row, &format!("{start},140,20"), 1));
    let outcome = place.run("evaluate --model encoder.onnx --data data --templates 1 --out further");
    assert!(
        outcome.stderr.contains("points missing: 1 of 50") && outcome.stderr.contains("0.png"),
        "{outcome:?}"
    );
    assert_eq!(outcome.code, Some(0));
    let reason = place.run("convert data/landmarks.csv --images data/images --out points.csv").reason();
    assert!(reason.contains("(140, 20) lies outside 0.png"), "{reason}");
}

#[test]
fn a_terminal_never_gets_control_characters_of_a_file() {
    let place = Workplace::new();
    place.write("points.csv", "image,landmark,x,y\n\u{1b}[2Ja.png,s\u{1b}[31m,zz\u{1b}[5m,2\n");
    let reason = place.run("convert points.csv --out out.csv").reason();
    assert!(!reason.contains('\u{1b}') && reason.contains("zz\\u001b[5m"), "{reason}");
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
