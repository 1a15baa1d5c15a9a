//! Landmark schemes: what is refused, values by hand, bounds against sampling.

use std::collections::HashMap;
use std::f64::consts::TAU;

use infomark_core::{Point, Rng, Spacing};
use infomark_infer::{
    LandmarkStatus, MeasuredValue, Measurement, NoBound, NotMeasured, Scheme, SchemeError, Unit,
    parse_landmarks,
};

type Places = HashMap<String, Point<f64>>;

/// A patient who faces right, with round numbers; the 19 points of `ceph`.
const CEPH: [(&str, f64, f64); 19] = [
    ("sella", 0.0, 0.0),
    ("nasion", 100.0, 0.0),
    ("orbitale", 80.0, 30.0),
    ("porion", -20.0, 30.0),
    ("subspinale", 100.0, 80.0),
    ("supramentale", 60.0, 40.0),
    ("pogonion", 100.0, 150.0),
    ("menton", 100.0, 200.0),
    ("gnathion", 105.0, 190.0),
    ("gonion", 0.0, 100.0),
    ("lower_incisor", 112.0, 110.0),
    ("upper_incisor", 114.0, 108.0),
    ("upper_lip", 127.0, 130.0),
    ("lower_lip", 116.0, 150.0),
    ("subnasale", 120.0, 100.0),
    ("soft_pogonion", 120.0, 200.0),
    ("posterior_nasal_spine", 40.0, 70.0),
    ("anterior_nasal_spine", 100.0, 70.0),
    ("articulare", -30.0, 40.0),
];

fn places() -> Places {
    CEPH.iter().map(|&(name, x, y)| (name.to_owned(), Point::new(x, y))).collect()
}

fn measure(
    scheme: &Scheme,
    places: &Places,
    bound: Option<f64>,
    spacing: Option<Spacing>,
) -> Vec<Measurement> {
    let placed =
        |name: &str| places.get(name).map(|&at| LandmarkStatus::Placed { at, error_bound_px: bound });
    scheme.measure(placed, spacing)
}

fn outcome<'a>(all: &'a [Measurement], name: &str) -> &'a Result<MeasuredValue, NotMeasured> {
    &all.iter().find(|measurement| measurement.name == name).expect("a measurement of the scheme").outcome
}

fn value(all: &[Measurement], name: &str) -> f64 {
    outcome(all, name).as_ref().unwrap_or_else(|reason| panic!("{name}: {reason}")).value
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn scheme(measurements: &str) -> Result<Scheme, SchemeError> {
    let text = format!(
        "title = \"t\"\nanatomy = \"a\"\nlandmark = [{{ name = \"a\" }}, {{ name = \"b\" }}, {{ name = \"c\" }}, {{ name = \"d\" }}]\n{measurements}"
    );
    Scheme::parse(&text, "t.toml")
}

#[test]
fn every_scheme_that_is_shipped_is_whole() {
    for name in Scheme::SHIPPED {
        let scheme = Scheme::load(name).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scheme.name(), name);
        assert!(scheme.about().source.is_some() && scheme.about().licence.is_some(), "{name}");
        for landmark in scheme.landmarks() {
            let told = landmark.full_name.is_some() && landmark.definition.is_some();
            assert!(
                told && landmark.group.is_some() && landmark.colour.is_some(),
                "{name}: {}",
                landmark.name
            );
        }
        // Each landmark has its own place on the drawing.
        let drawn: Vec<[f64; 2]> =
            scheme.landmarks().iter().filter_map(|landmark| landmark.drawn_at).collect();
        assert_eq!(drawn.len(), scheme.landmarks().len(), "{name}");
        for (index, [x, y]) in drawn.iter().enumerate() {
            assert!(drawn[..index].iter().all(|[a, b]| (a - x).hypot(b - y) > 1.0), "{name}: {index}");
            let svg = scheme.picture(index).expect("it is drawn");
            assert!(svg.contains(&format!("cx=\"{x}\" cy=\"{y}\"")) && svg.ends_with("</svg>"));
            assert_eq!(svg.matches("<circle").count(), drawn.len() + 1, "a ring around one dot");
        }
        assert_eq!(scheme.picture(drawn.len()), None);
        // No two measurements of one name, and none without a word on what it is.
        for of in scheme.measurements() {
            assert!(of.definition.is_some() || of.full_name.is_some(), "{name}: {}", of.name);
        }
    }
    let count = |name| Scheme::load(name).map(|scheme| scheme.landmarks().len()).ok();
    assert_eq!(["ceph", "hand", "chest"].map(count), [Some(19), Some(17), Some(14)]);
    let ceph = Scheme::load("ceph").expect("shipped");
    let expected: Vec<&str> = CEPH.iter().map(|(name, ..)| *name).collect();
    assert_eq!(ceph.names(), expected, "the order of the challenge");
}

#[test]
fn cephalometric_values_are_those_by_hand() {
    let ceph = Scheme::load("ceph").expect("shipped");
    let all = measure(&ceph, &places(), None, Some(Spacing::new(0.5, 0.5).expect("positive")));
    for (name, by_hand) in [
        ("SNA", 90.0),
        ("SNB", 45.0),
        ("ANB", 45.0),
        ("FMA", 45.0),
        ("facial angle", 90.0),
        ("saddle angle", 90.0 + (30.0_f64 / 40.0).atan().to_degrees()),
        ("AFH", 100.0),
        ("PFH", 50.0),
        ("PFH/AFH", 0.5),
        ("LAFH", 65.0),
        ("Ls to Sn-Pog'", 3.5),
        ("Li to Sn-Pog'", -2.0),
    ] {
        assert!(close(value(&all, name), by_hand), "{name}: {} and {by_hand}", value(&all, name));
    }
    let angles = ["saddle angle", "articular angle", "gonial angle"].map(|name| value(&all, name));
    assert!(close(value(&all, "sum of angles"), angles.iter().sum()));
    let unit = |name| outcome(&all, name).as_ref().map(|value| value.unit).ok();
    assert_eq!(
        ["SNA", "AFH", "PFH/AFH"].map(unit),
        [Unit::Degrees, Unit::Millimetres, Unit::Ratio].map(Some)
    );
    // Unknown, the pixels are square and lengths are in them.
    let pixels = measure(&ceph, &places(), None, None);
    assert_eq!(
        outcome(&pixels, "AFH").as_ref().map(|value| (value.value, value.unit)),
        Ok((200.0, Unit::Pixels))
    );
    assert!(close(value(&pixels, "SNB"), 45.0) && close(value(&pixels, "PFH/AFH"), 0.5));
}

#[test]
fn values_are_the_same_on_a_mirrored_image() {
    let ceph = Scheme::load("ceph").expect("shipped");
    let mirrored: Places =
        places().into_iter().map(|(name, at)| (name, Point::new(640.0 - at.x, at.y))).collect();
    let (right, left) = (measure(&ceph, &places(), None, None), measure(&ceph, &mirrored, None, None));
    for (right, left) in right.iter().zip(&left) {
        let (a, b) =
            (right.outcome.as_ref().expect("all placed"), left.outcome.as_ref().expect("all placed"));
        assert!(close(a.value, b.value), "{}: {} and {}", right.name, a.value, b.value);
    }
    // With sella above nasion nobody knows the side; angles of three points have no side.
    let mut upright = places();
    upright.insert("sella".into(), Point::new(100.0, -50.0));
    let all = measure(&ceph, &upright, None, None);
    assert!(matches!(outcome(&all, "FMA"), Err(NotMeasured::Facing { .. })));
    assert!(close(value(&all, "SNA"), 180.0));
}

#[test]
fn pixels_that_are_not_square_are_measured_in_the_plane_of_the_image() {
    let ceph = Scheme::load("ceph").expect("shipped");
    let spacing = Spacing::new(0.5, 0.25).expect("positive");
    let squeezed: Places =
        places().into_iter().map(|(name, at)| (name, Point::new(at.x, 2.0 * at.y))).collect();
    let all = measure(&ceph, &squeezed, Some(1.0), Some(spacing));
    let square = measure(&ceph, &places(), None, Some(Spacing::new(0.5, 0.5).expect("positive")));
    for (a, b) in all.iter().zip(&square) {
        let value = |measurement: &Measurement| measurement.outcome.as_ref().expect("all placed").value;
        assert!(close(value(a), value(b)), "{}", a.name);
    }
    // A bound in pixels is one in the geometric mean of both sides.
    let bound = outcome(&all, "AFH").as_ref().expect("placed").error_bound.clone();
    assert!(bound.is_ok_and(|bound| close(bound, 2.0 * 0.125_f64.sqrt())));
}

#[test]
fn a_value_without_all_of_its_landmarks_is_not_given_and_says_why() {
    let ceph = Scheme::load("ceph").expect("shipped");
    let places = places();
    let status = |name: &str| match name {
        "subspinale" => Some(LandmarkStatus::Abstained),
        "gonion" => Some(LandmarkStatus::Absent),
        "menton" => None,
        "nasion" => Some(LandmarkStatus::Placed { at: places["sella"], error_bound_px: None }),
        other => places.get(other).map(|&at| LandmarkStatus::Placed { at, error_bound_px: None }),
    };
    let all = ceph.measure(status, None);
    let landmark = |name: &str| name.to_owned();
    let abstained = NotMeasured::Abstained { landmark: landmark("subspinale") };
    assert_eq!(outcome(&all, "SNA"), &Err(abstained.clone()));
    assert_eq!(outcome(&all, "PFH"), &Err(NotMeasured::Absent { landmark: landmark("gonion") }));
    assert_eq!(outcome(&all, "AFH"), &Err(NotMeasured::Missing { landmark: landmark("menton") }));
    assert_eq!(outcome(&all, "SNB"), &Err(NotMeasured::Undefined), "sella and nasion are at one place");
    assert_eq!(outcome(&all, "ANB"), &Err(abstained), "the reason of its first part without a value");
}

#[test]
fn landmarks_within_their_bounds_change_a_value_by_its_bound_at_most() {
    let ceph = Scheme::load("ceph").expect("shipped");
    // Incisors are near together, but no direction is that of both.
    let (places, bound_px) = (places(), 0.5);
    let all = measure(&ceph, &places, Some(bound_px), None);
    let mut rng = Rng::new(5, 0);
    let mut largest = vec![0.0_f64; all.len()];
    for _ in 0..4000 {
        // On the edges of the discs, where a linear function is largest.
        let moved: Places = places
            .iter()
            .map(|(name, at)| {
                let turn = rng.uniform_in(0.0, TAU);
                (name.clone(), Point::new(at.x + bound_px * turn.cos(), at.y + bound_px * turn.sin()))
            })
            .collect();
        for ((largest, before), after) in largest.iter_mut().zip(&all).zip(measure(&ceph, &moved, None, None))
        {
            let value = |measurement: &Measurement| measurement.outcome.as_ref().expect("all placed").value;
            *largest = largest.max((value(&after) - value(before)).abs());
        }
    }
    for (measurement, largest) in all.iter().zip(largest) {
        let value = measurement.outcome.as_ref().expect("all placed");
        let bound = value.error_bound.clone().unwrap_or_else(|none| panic!("{}: {none}", measurement.name));
        assert!(largest <= bound * 1.02, "{}: {largest} beyond {bound}", measurement.name);
        assert!(largest >= bound * 0.7, "{}: {bound} is far beyond {largest}", measurement.name);
    }
}

#[test]
fn bounds_by_hand_and_where_there_are_none() {
    let scheme = scheme(
        r#"
        construct = [{ name = "m", midpoint = ["a", "b"] }, { name = "n", midpoint = ["m", "a"] }]
        measurement = [
            { name = "ab", length = ["a", "b"] },
            { name = "am", length = ["a", "m"] },
            { name = "an", length = ["a", "n"] },
            { name = "acb", angle = ["a", "c", "b"] },
            { name = "line", angle_of_lines = ["c", "d", "a", "b"] },
            { name = "width", horizontal = ["a", "b"] },
            { name = "half", ratio = ["am", "ab"] },
            { name = "none", difference = ["ab", "ab"] },
            { name = "by cd", ratio = ["ab", "cd"] },
        ]
        "#
        .replace("{ name = \"by cd\"", "{ name = \"cd\", length = [\"c\", \"d\"] }, { name = \"by cd\"")
        .as_str(),
    )
    .unwrap_or_else(|error| panic!("{error}"));
    let at = |name: &str| match name {
        "a" => (Point::new(0.0, 0.0), Some(1.0)),
        "b" => (Point::new(100.0, 0.0), Some(2.0)),
        "c" => (Point::new(50.0, 50.0), Some(0.0)),
        _ => (Point::new(50.0, 58.0), Some(2.5)),
    };
    let placed = |name: &str| {
        let (at, error_bound_px) = at(name);
        Some(LandmarkStatus::Placed { at, error_bound_px })
    };
    let all = scheme.measure(placed, None);
    let bound = |name: &str| outcome(&all, name).as_ref().expect("placed").error_bound.clone();
    let is = |name: &str, expected: f64| {
        assert!(bound(name).is_ok_and(|bound| close(bound, expected)), "{name}: {:?}", bound(name))
    };
    is("ab", 3.0);
    // The middle moves by half of what its ends do: a's own movement counts half.
    is("am", 0.5 * 1.0 + 0.5 * 2.0);
    assert!(close(value(&all, "an"), 25.0));
    is("an", 0.25 * 1.0 + 0.25 * 2.0);
    // Each arm is 50 sqrt 2 long, and its end moves across it.
    is("acb", (3.0 / (50.0 * 2.0_f64.sqrt())).to_degrees());
    is("width", 3.0);
    // Exactly one half whatever the points do, and exactly 0.
    is("half", 0.0);
    is("none", 0.0);
    assert!(close(value(&all, "line"), -90.0));
    assert!(
        matches!(bound("line"), Err(NoBound::Direction { first, .. }) if first == "c"),
        "2.5 of 8 is more than a quarter"
    );
    assert!(matches!(bound("by cd"), Err(NoBound::Denominator { measurement }) if measurement == "cd"));
    let none = scheme.measure(
        |name| {
            Some(LandmarkStatus::Placed {
                at: at(name).0,
                error_bound_px: at(name).1.filter(|_| name != "b"),
            })
        },
        None,
    );
    let unbounded = outcome(&none, "ab").as_ref().expect("placed").error_bound.clone();
    assert_eq!(unbounded, Err(NoBound::Unbounded { landmark: "b".into() }));
}

#[test]
fn a_cardiothoracic_ratio_is_a_ratio_of_widths() {
    let text = r#"
        title = "Heart size"
        anatomy = "chest radiograph, posteroanterior"
        [[landmark]]
        name = "heart right"
        [[landmark]]
        name = "heart left"
        [[landmark]]
        name = "chest right"
        [[landmark]]
        name = "chest left"
        [[measurement]]
        name = "heart"
        horizontal = ["heart right", "heart left"]
        [[measurement]]
        name = "chest"
        horizontal = ["chest right", "chest left"]
        [[measurement]]
        name = "CTR"
        ratio = ["heart", "chest"]
    "#;
    let scheme = Scheme::parse(text, "heart.toml").unwrap_or_else(|error| panic!("{error}"));
    let points = [
        ("heart right", 90.0, 200.0),
        ("heart left", 210.0, 230.0),
        ("chest right", 20.0, 260.0),
        ("chest left", 270.0, 250.0),
    ];
    let places: Places = points.iter().map(|&(name, x, y)| (name.to_owned(), Point::new(x, y))).collect();
    let all = measure(&scheme, &places, Some(1.0), None);
    assert!(close(value(&all, "CTR"), 0.48));
    // d(h / c) = dh / c - h / c^2 dc, each width off by 2.
    let bound = outcome(&all, "CTR").as_ref().expect("placed").error_bound.clone();
    assert!(bound.is_ok_and(|bound| close(bound, 2.0 / 250.0 + 120.0 * 2.0 / (250.0 * 250.0))));
}

#[test]
fn what_is_wrong_with_a_scheme_is_told_with_its_line() {
    use SchemeError as E;
    let wrong = |text: &str| scheme(text).expect_err("it is wrong");
    assert!(matches!(wrong("measurment = []"), E::Toml { line: 4, .. }));
    assert!(matches!(wrong("[[landmark]]"), E::Toml { .. }), "landmark is a list already");
    assert!(
        matches!(wrong("[[measurement]]\nlength = [\"a\", \"b\"]"), E::Toml { line: 4.., .. }),
        "no name"
    );
    assert!(matches!(wrong("[[measurement]]\nname = \"x\"\nlength = 3"), E::Toml { line: 6, .. }));
    assert!(
        matches!(wrong("[[measurement]]\nname = \"x\"\nwidth = [\"a\", \"b\"]"), E::Toml { line: 6, reason, .. } if reason.contains("width"))
    );
    assert!(matches!(wrong("[[measurement]]\nname = \"x\""), E::Kinds { line: 5, found: 0, .. }));
    let two = "[[measurement]]\nname = \"x\"\nlength = [\"a\", \"b\"]\nvertical = [\"a\", \"b\"]";
    assert!(matches!(wrong(two), E::Kinds { found: 2, .. }));
    let kind = |of: &str| {
        wrong(&format!(
            "[[measurement]]\nname = \"y\"\nlength = [\"a\", \"b\"]\n[[measurement]]\nname = \"x\"\n{of}"
        ))
    };
    assert!(matches!(kind("length = [\"a\"]"), E::Count { line: 9, key: "length", found: 1, .. }));
    assert!(matches!(kind("length = [\"a\", \"b\", \"c\"]"), E::Count { found: 3, .. }));
    assert!(matches!(kind("angle = [\"a\", \"b\"]"), E::Count { key: "angle", .. }));
    assert!(matches!(kind("angle_of_lines = [\"a\", \"b\", \"c\"]"), E::Count { key: "angle_of_lines", .. }));
    assert!(matches!(kind("length = [\"a\", \"e\"]"), E::Unknown { line: 9, value, .. } if value == "e"));
    assert!(matches!(kind("length = [\"a\", \"a\"]"), E::SamePoint { value, .. } if value == "a"));
    assert!(matches!(kind("angle = [\"a\", \"a\", \"b\"]"), E::SamePoint { key: "angle", .. }));
    assert!(
        matches!(kind("distance_to_line = [\"a\", \"b\", \"b\"]"), E::SamePoint { value, .. } if value == "b")
    );
    assert!(matches!(kind("ratio = [\"y\", \"z\"]"), E::Unknown { key: "ratio", .. }), "z is not defined");
    assert!(matches!(kind("ratio = [\"x\", \"y\"]"), E::Unknown { .. }), "itself is not above it");
    assert!(matches!(kind("ratio = [\"y\"]"), E::Count { key: "ratio", .. }));
    assert!(matches!(kind("sum = [\"y\"]"), E::Count { key: "sum", .. }));
    assert!(matches!(kind("sum = []"), E::Count { key: "sum", found: 0, .. }));
    let mixed = "angle = [\"a\", \"b\", \"c\"]\n[[measurement]]\nname = \"w\"\nratio = [\"x\", \"y\"]";
    assert!(matches!(kind(mixed), E::Dimensions { line: 12, first: "an angle", other: "a length", .. }));
    assert!(matches!(
        kind("length = [\"a\", \"b\"]\n[[measurement]]\nname = \" y \"\nlength = [\"a\", \"b\"]"),
        E::Repeated { line: 11, first: 5, .. }
    ));
    assert!(matches!(wrong("facing = [\"a\", \"a\"]"), E::SamePoint { key: "facing", .. }));
    assert!(matches!(wrong("construct = [{ name = \"a\", midpoint = [\"b\", \"c\"] }]"), E::Repeated { .. }));
    assert!(matches!(wrong("construct = [{ name = \"m\", midpoint = [\"m\", \"c\"] }]"), E::Unknown { .. }));
    let whole = |text: &str| Scheme::parse(text, "t.toml").expect_err("it is wrong");
    let head = "title = \"t\"\nanatomy = \"a\"\n";
    assert!(matches!(whole(head), E::NoLandmarks { .. }));
    assert!(matches!(whole("anatomy = \"a\"\n[[landmark]]\nname = \"a\""), E::Toml { .. }), "no title");
    assert!(matches!(
        whole(&format!("{head}[[landmark]]\nname = \"  \"")),
        E::Text { line: 4, key: "name", .. }
    ));
    assert!(matches!(
        whole(&format!("{head}[[landmark]]\nname = \"{}\"", "n".repeat(81))),
        E::Text { max: 80, .. }
    ));
    assert!(matches!(whole(&format!("{head}[[landmark]]\nname = \"a\\u0007\"")), E::Text { .. }));
    assert!(matches!(
        whole(&format!("{head}[[landmark]]\nname = \"a\"\ncolour = \"red\"")),
        E::Colour { line: 5, .. }
    ));
    assert!(matches!(
        whole(&format!("{head}[[landmark]]\nname = \"a\"\ncolour = \"#12345é\"")),
        E::Colour { .. }
    ));
    for (line, text) in [
        (3, "drawing = { size = [0, 5], outlines = [] }\n[[landmark]]\nname = \"a\""),
        (3, "drawing = { size = [nan, 5], outlines = [] }\n[[landmark]]\nname = \"a\""),
        (3, "drawing = { size = [5, 5], outlines = [\"L 1 2\"] }\n[[landmark]]\nname = \"a\""),
        (3, "drawing = { size = [5, 5], outlines = [\"M 1 2 <\"] }\n[[landmark]]\nname = \"a\""),
        (5, "[[landmark]]\nname = \"a\"\ndrawn_at = [1, 2]"),
        (6, "drawing = { size = [5, 5], outlines = [] }\n[[landmark]]\nname = \"a\"\ndrawn_at = [1, 5.1]"),
    ] {
        let told = whole(&format!("{head}{text}"));
        assert!(matches!(&told, E::Drawing { line: at, .. } if *at == line), "{told}");
    }
    let many: String = (0..501).map(|number| format!("[[landmark]]\nname = \"{number}\"\n")).collect();
    assert!(matches!(whole(&format!("{head}{many}")), E::TooMany { key: "landmark", count: 501, .. }));
    assert!(matches!(Scheme::load("no such scheme"), Err(E::NotFound { .. })));
    assert!(matches!(Scheme::load("."), Err(E::File(_))));
}

#[test]
fn names_are_compared_and_ordered_in_any_normal_form() {
    let scheme = scheme("").unwrap_or_else(|error| panic!("{error}"));
    let mut names = ["x", "d", "y", "a"];
    scheme.sort_by_name(&mut names, |name| name);
    assert_eq!(names, ["a", "d", "x", "y"]);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert!(scheme.check_shared(&names(&["q", "c"]), "points.csv").is_ok());
    let other = scheme.check_shared(&names(&["q", "r"]), "points.csv");
    assert!(matches!(other, Err(SchemeError::NothingShared { file, .. }) if file == "points.csv"));
    let decomposed = "title = \"t\"\nanatomy = \"a\"\nlandmark = [{ name = \"e\u{301}\" }]";
    let scheme = Scheme::parse(decomposed, "t.toml").unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(scheme.names(), ["\u{e9}"]);
}

#[test]
fn tables_of_matching_tell_how_far_a_point_can_be_relied_on() {
    let table = "image,landmark,x,y,error_bound_px,abstain\n1.png,a,1,2,3.5,false\n1.png,b,1,2,inf,True\n1.png,c,1,2,,\n";
    let file = parse_landmarks(table.as_bytes(), "t.csv").unwrap_or_else(|error| panic!("{error}"));
    let told: Vec<_> = file.reliability("1.png").iter().map(|of| (of.error_bound_px, of.abstained)).collect();
    assert_eq!(told, [(Some(3.5), false), (None, true), (None, false)]);
    for wrong in [
        table.replace("3.5", "-1"),
        table.replace("3.5", "NaN"),
        table.replace("False", "no").replace("false", "no"),
    ] {
        assert!(parse_landmarks(wrong.as_bytes(), "t.csv").is_err(), "{wrong}");
    }
}
