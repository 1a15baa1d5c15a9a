//! `infomark measure`, `infomark agree`, and schemes of other commands.

use serde_json::Value;

use crate::support::Workplace;

/// Five points of `ceph` in two images: a right-angled head, and one that is mirrored and lacks menton.
const POINTS: &str = "\
image,landmark,x,y,error_bound_px,abstain
0.png,sella,0,0,1,false
0.png,nasion,80,0,1,false
0.png,subspinale,80,40,1,false
0.png,supramentale,40,40,1,false
0.png,menton,80,120,1,false
1.png,sella,80,0,,
1.png,nasion,0,0,,
1.png,subspinale,0,40,,true
1.png,supramentale,40,40,,
";

fn rows(place: &Workplace, name: &str) -> Vec<Vec<String>> {
    let text = String::from_utf8(place.read(name)).unwrap();
    let mut table = csv::Reader::from_reader(text.as_bytes());
    table.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

fn row(rows: &[Vec<String>], image: &str, measurement: &str) -> Vec<String> {
    let row = rows.iter().find(|row| row[0] == image && row[1] == measurement);
    row.unwrap_or_else(|| panic!("{measurement} of {image}"))[2..].to_vec()
}

fn workplace() -> Workplace {
    let place = Workplace::new();
    place.write("points.csv", POINTS);
    place
}

#[test]
fn landmark_files_are_measured_by_a_scheme() {
    let place = workplace();
    let outcome = place.run("measure points.csv --scheme ceph --out pixels.csv");
    assert!(outcome.stderr.contains("size of the pixels of 2 of 2 images"), "{outcome:?}");
    let told = outcome.success();
    assert!(told.starts_with("pixels.csv: 2 images, 5 values, 27 not given"), "{told}");
    let pixels = rows(&place, "pixels.csv");
    assert_eq!(row(&pixels, "0.png", "AFH"), ["120", "px", "2", ""]);
    assert_eq!(row(&pixels, "1.png", "SNA"), ["", "", "", "subspinale is abstained from"]);
    assert_eq!(row(&pixels, "1.png", "SNB"), ["45", "deg", "", ""], "a hand's points have no bounds");
    assert_eq!(row(&pixels, "1.png", "AFH"), ["", "", "", "menton is missing"]);
    assert_eq!(row(&pixels, "0.png", "PFH/AFH"), ["", "", "", "gonion is missing"]);
    place.run("measure points.csv --scheme ceph --spacing 0.5 0.25 --out mm.csv").success();
    let mm = rows(&place, "mm.csv");
    assert_eq!(row(&mm, "0.png", "AFH")[..2], ["30", "mm"]);
    // 40 px are 20 mm across and 10 mm down.
    assert_eq!(row(&mm, "0.png", "SNB")[..2], ["26.57", "deg"]);
    let object = place.run("measure points.csv --scheme ceph --spacing 1 1 --out mm.csv --json").json();
    assert_eq!(object["images"][0]["measurements"][0]["measurement"], "SNA");
    assert_eq!(object["images"][0]["measurements"][0]["value"], 90.0);
    assert!(object["images"][1]["measurements"][0]["value"].is_null());
}

#[test]
fn a_scheme_of_ones_own_names_the_points_of_isbi_text() {
    let place = workplace();
    let scheme = "title = \"two\"\nanatomy = \"none\"\nlandmark = [{ name = \"b\" }, { name = \"a\" }]\n\
                  measurement = [{ name = \"width\", horizontal = [\"a\", \"b\"] }]\n";
    place.write("two.toml", scheme);
    place.write("0.txt", "3,4\n13,40\n");
    place.run("measure 0.txt --scheme two.toml --image 0.png --out two.csv").success();
    assert_eq!(rows(&place, "two.csv"), [["0.png", "width", "10", "px", "", ""]]);
    place.run("convert 0.txt --scheme two.toml --image 0.png --out two.csv").success();
    let table = String::from_utf8(place.read("two.csv")).unwrap();
    assert_eq!(table.lines().nth(1), Some("0.png,b,3,4"));
    // The other way round, the scheme gives the order.
    place.write("turned.csv", "image,landmark,x,y\n0.png,a,13,40\n0.png,b,3,4\n");
    place.run("convert turned.csv --scheme two.toml --image 0.png --format isbi --out back.txt").success();
    assert_eq!(place.read("back.txt"), b"3,4\n13,40\n");
}

#[test]
fn wrong_schemes_and_files_are_told() {
    let place = workplace();
    place.write("typo.toml", "title = \"t\"\nanatomy = \"a\"\n[[landmark]]\nnam = \"a\"\n");
    place.write("other.csv", "image,landmark,x,y\n0.png,tragus,1,2\n");
    for (line, named) in [
        ("measure points.csv --scheme cpeh --out m.csv", "cpeh: neither a file nor a scheme"),
        ("measure points.csv --scheme typo.toml --out m.csv", "typo.toml, line 4"),
        ("measure points.csv --scheme hand --out m.csv", "points.csv: none of its landmarks"),
        ("measure points.csv --scheme ceph --out points.csv", "would overwrite"),
        ("measure nowhere.csv --scheme ceph --out m.csv", "nowhere.csv: no such file"),
        ("review data/images --scheme typo.toml --no-open", "typo.toml, line 4"),
        ("agree points.csv other.csv", "no landmark is placed by both readers"),
    ] {
        let reason = place.run(line).reason();
        assert!(reason.contains(named), "{line}: {reason}");
    }
    assert!(!place.file("m.csv").exists());
}

#[test]
fn matches_are_ordered_and_measured_and_the_report_shows_it() {
    let place = Workplace::new();
    let names: Vec<&str> = infomark_phantom::LANDMARKS.iter().rev().copied().collect();
    let entries: String = names.iter().map(|name| format!("[[landmark]]\nname = \"{name}\"\n")).collect();
    let (a, b) = (names[0], names[1]);
    place.write(
        "own.toml",
        format!("title = \"t\"\nanatomy = \"a\"\n{entries}[[measurement]]\nname = \"first two\"\nlength = [\"{a}\", \"{b}\"]\n"),
    );
    let line = "data/images --out found --scheme own.toml --spacing 0.5 0.25 --json";
    let unbounded = place.run_match(line).json();
    let bounds =
        unbounded["images"].as_array().unwrap().iter().map(|image| &image["measurements"][0]["bound"]);
    assert!(
        bounds.clone().count() > 0 && bounds.clone().all(Value::is_null),
        "no calibration, no bound: {unbounded}"
    );
    place.make_data("labelled", 10, 8);
    let template = "--model encoder.onnx --template data/images/0.png --landmarks data/landmarks.csv";
    place.run(&format!("calibrate labelled {template} --out c.json")).success();
    let object = place.run_match(&format!("{line} --calibration c.json")).json();
    assert_eq!(object["scheme"], "own.toml");
    let images = object["images"].as_array().unwrap();
    let table = rows(&place, "found/measurements.csv");
    assert_eq!(table.len(), images.len());
    for (image, row) in images.iter().zip(&table) {
        let listed: Vec<&str> = image["landmarks"]
            .as_array()
            .unwrap()
            .iter()
            .map(|of| of["landmark"].as_str().unwrap())
            .collect();
        assert_eq!(listed, names, "the order of the scheme");
        let at = |index: usize, key: &str| image["landmarks"][index][key].as_f64().unwrap();
        let abstained = [0, 1].iter().any(|&index| image["landmarks"][index]["abstain"] == Value::Bool(true));
        let told = &image["measurements"][0];
        assert_eq!(told["value"].is_null(), abstained);
        if let Some(value) = told["value"].as_f64() {
            let by_hand = (at(0, "x_mm") - at(1, "x_mm")).hypot(at(0, "y_mm") - at(1, "y_mm"));
            assert!((value - by_hand).abs() < 0.01, "{value} and {by_hand}");
            let bound = at(0, "error_bound_mm") + at(1, "error_bound_mm");
            assert!((told["bound"].as_f64().unwrap() - bound).abs() < 0.02, "{told}");
            assert_eq!(row[2], value.to_string());
        }
    }
    let landmarks = String::from_utf8(place.read("found/landmarks.csv")).unwrap();
    assert!(landmarks.lines().nth(1).unwrap().starts_with(&format!("0.png,{a},")), "{landmarks}");
    // The table of landmarks says enough to measure again.
    place.run("measure found/landmarks.csv --scheme own.toml --spacing 0.5 0.25 --out again.csv").success();
    assert_eq!(place.read("again.csv"), place.read("found/measurements.csv"));
    place.run("report found --images data/images").success();
    let page = String::from_utf8(place.read("found/report.html")).unwrap();
    assert!(
        page.contains("<caption>Measurements") && page.contains(">first two, mm</th>"),
        "no measurements"
    );
    // Results without a scheme leave no older measurements beside them.
    place.run_match("data/images --out found").success();
    assert!(!place.file("found/measurements.csv").exists());
}

#[test]
fn two_readers_are_compared() {
    let place = Workplace::new();
    let first = "image,landmark,x,y\n0.png,a,10,10\n1.png,a,20,20\n0.png,b,5,5\n1.png,b,50,50\n2.png,a,1,1\n";
    let second = "image,landmark,x,y\n0.png,a,13,14\n1.png,a,26,28\n0.png,b,5,5\n";
    place.write("one.csv", first);
    place.write("two.csv", second);
    let outcome = place.run("agree one.csv two.csv --spacing 0.5 0.5 --radii 3,6 --out agreement.csv");
    assert!(outcome.stderr.contains("two.csv: has no landmarks of 1 images"), "{outcome:?}");
    let text = outcome.success();
    assert!(text.contains("points of the first reader alone: 1, of the second alone: 0"), "{text}");
    let table = rows(&place, "agreement.csv");
    // Distances of a: 2.5 and 5 mm; its offset is 2.25, 3 mm.
    let expected =
        ["a", "2", "mm", "3.75", "3.75", "1.768", "2.25", "3", "1.061", "1.414", "0.5", "1", "0", "0"];
    assert_eq!(table[0], expected);
    assert_eq!(table[1][..4], ["b", "1", "mm", "0"]);
    assert_eq!(table[1][5], "", "one pair has no deviation");
    assert_eq!(table[2][..4], ["all", "3", "mm", "2.5"]);
    let object = place.run("agree one.csv two.csv --spacing 0.5 0.5 --json").json();
    assert_eq!(object["all"]["pairs"], 3);
    assert_eq!(object["only_first"]["b"], 1);
    let pixels = place.run("agree one.csv two.csv --json");
    assert!(pixels.stderr.contains("figures are in pixels"), "{pixels:?}");
    assert_eq!(pixels.json()["unit"], "px");
}
