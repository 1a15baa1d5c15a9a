//! `infomark report`.

use std::fs;

use crate::support::Workplace;

/// Whether a page loads nothing from anywhere.
fn stands_alone(page: &str) -> bool {
    let loads = ["http://", "https://", "src=\"/", "@import", "url(", "<link rel=\"stylesheet"];
    // Names of XML are no addresses that are loaded.
    let page = page.replace("http://www.w3.org/", "");
    !loads.iter().any(|load| page.contains(load))
}

#[test]
fn an_evaluation_becomes_one_page() {
    let place = Workplace::new();
    place.run("evaluate --model encoder.onnx --data data --random-templates 2 --out scores").success();
    let object = place.run("report scores --json").json();
    let page = String::from_utf8(place.read("scores/report.html")).unwrap();
    assert_eq!(object["page"], "scores/report.html");
    assert_eq!(object["bytes"], page.len());
    assert_eq!(object["pictures"], 4, "a template is not scored on itself");
    assert!(stands_alone(&page), "{page}");
    assert_eq!(page.matches("<figure class=\"picture\"").count(), 4);
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 4);
    for part in
        ["mean radial error", "Figures of each landmark", "Figures of each template", "model.sha256", "<svg"]
    {
        assert!(page.contains(part), "{part}");
    }
    let errors: Vec<f64> = page
        .match_indices("mean error ")
        .filter(|(at, _)| page[..*at].ends_with("</b> "))
        .map(|(at, text)| page[at + text.len()..].split(' ').next().unwrap().parse().unwrap())
        .collect();
    assert!(errors.len() == 4 && errors.is_sorted_by(|a, b| a >= b), "the worst comes first: {errors:?}");
    // As evaluations of landmark networks have it.
    let table = String::from_utf8(place.read("scores/errors.csv")).unwrap();
    place.write("scores/errors.csv", table.replacen("score", "probability", 1));
    let few = place.run("report scores --pictures 1 --out few.html --json").json();
    assert_eq!(few["pictures"], 1);
    let page = fs::read_to_string(place.file("few.html")).unwrap();
    assert!(page.contains("3 more are not shown"), "{page}");
}

#[test]
fn a_match_is_shown_with_its_images_or_its_overlays() {
    let place = Workplace::new();
    place.run_match("data/images --out found").success();
    place.run("report found").success();
    let overlays = String::from_utf8(place.read("found/report.html")).unwrap();
    assert_eq!(overlays.matches("href=\"data:image/png;base64,").count(), 5);
    assert!(!overlays.contains("class=\"found\""), "the points are in the overlays");
    place.run("report found --images data/images").success();
    let page = String::from_utf8(place.read("found/report.html")).unwrap();
    assert_eq!(page.matches("href=\"data:image/jpeg;base64,").count(), 5);
    assert!(page.contains("class=\"found\"") && stands_alone(&page));
    // An image of another size under the same name.
    place.make_data("other", 5, 1);
    let wide = place.read("found/overlays/0.png");
    place.write("other/images/0.png", &wide);
    let text = place.read("found/landmarks.json");
    let text = String::from_utf8(text).unwrap().replacen("\"width\": 96", "\"width\": 95", 1);
    place.write("found/landmarks.json", text);
    let reason = place.run("report found --images data/images").reason();
    assert!(
        reason.contains("0.png") && reason.contains("96 x 128") && reason.contains("95 x 128"),
        "{reason}"
    );
}

#[test]
fn names_cannot_become_markup() {
    let place = Workplace::new();
    place.run_match("data/images --out found").success();
    let text = String::from_utf8(place.read("found/landmarks.json")).unwrap();
    let evil = "<script>alert(1)</script>";
    place.write("found/landmarks.json", text.replace("\"sella\"", &format!("\"{evil}\"")));
    place.run("report found --images data/images").success();
    let page = String::from_utf8(place.read("found/report.html")).unwrap();
    assert!(!page.contains(evil) && page.contains("&lt;script&gt;alert(1)"), "{page}");
}

#[test]
fn a_training_shows_its_pictures() {
    let place = Workplace::new();
    place.write(
        "small.toml",
        "input_area = 4096\nchannels = [8, 8, 8, 8, 8]\nbatch = 1\nviews = 1\nview_size = 64\npixels = 4\n",
    );
    place.run("train data/images --out small.onnx --config small.toml --steps 2").success();
    let object = place.run("report small.run --json").json();
    assert_eq!(object["pictures"], 0);
    let page = String::from_utf8(place.read("small.run/report.html")).unwrap();
    assert!(page.contains("Views that the encoder was trained on") && page.contains("config.seed"), "{page}");
    assert!(stands_alone(&page));
}

#[test]
fn what_is_no_result_is_refused() {
    let place = Workplace::new();
    let reason = place.run("report nowhere").reason();
    assert!(reason.contains("nowhere"), "{reason}");
    let reason = place.run("report data").reason();
    assert!(reason.contains("data") && reason.contains("landmarks.json"), "{reason}");
    for (text, said) in [("{", ""), ("{}", "images"), ("{\"images\": [{\"image\": \"a.png\"}]}", "landmarks")]
    {
        place.write("bad/landmarks.json", text);
        let reason = place.run("report bad").reason();
        assert!(reason.contains("bad/landmarks.json") && reason.contains(said), "{reason}");
    }
    place.run_match("data/images/1.png --out found").success();
    fs::remove_file(place.file("found/overlays/1.png")).unwrap();
    let reason = place.run("report found --images data/images/2.png").reason();
    assert!(reason.contains("1.png") && reason.contains("--images"), "{reason}");
    let reason = place.run("report found --images data/images/1.png --out data/images/1.png").reason();
    assert!(reason.contains("data/images/1.png"), "{reason}");
    let reason = place.run("report found --images data/images --out found/landmarks.json").reason();
    assert!(reason.contains("found/landmarks.json"), "{reason}");
    let reason = place.run("report found --template x").reason();
    assert!(reason.contains("--template"), "{reason}");
    place.run("evaluate --model encoder.onnx --data data --random-templates 2 --out scores").success();
    let reason = place.run("report scores --template x.png").reason();
    assert!(reason.contains("x.png") && reason.contains("errors.csv"), "{reason}");
}
