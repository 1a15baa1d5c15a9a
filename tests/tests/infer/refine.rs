//! Query expansion: template features averaged with their matches in unlabelled images.

use std::path::{Path, PathBuf};

use infomark_core::{Point, Rng};
use infomark_infer::{
    Encoder, Image, Landmark, MatchError, MatchOptions, Observation, REFINE_ROUNDS, RefineError, RefineStep,
    Template, match_encoding, read_image, refine_templates,
};
use infomark_tests::infer_fixture::{encoder, texture};

const WIDTH: usize = 128;
const HEIGHT: usize = 160;

fn load() -> Encoder {
    Encoder::from_bytes(&encoder(WIDTH, HEIGHT), "fixture.onnx").unwrap()
}

/// One anatomy, moved by `(left, top)`, with grain of a person's own.
fn person(seed: u64, left: usize, top: usize, grain: f32) -> Image {
    let image = texture(4, WIDTH, HEIGHT, left, top);
    let mut rng = Rng::new(seed, 1);
    let pixels: Vec<f32> =
        image.pixels().iter().map(|v| (v + grain * rng.normal::<f32>()).clamp(0.0, 1.0)).collect();
    Image::new(format!("{seed}.png"), WIDTH, HEIGHT, pixels).unwrap()
}

fn points() -> Vec<Landmark> {
    [("a", 44.0, 81.0), ("b", 80.0, 40.0), ("c", 60.0, 120.0), ("d", 90.0, 100.0)]
        .map(|(name, x, y)| Landmark::new(name, Point::new(x, y)))
        .to_vec()
}

fn observations(template: &Template, encoder: &Encoder, grain: f32) -> Vec<Observation> {
    let one = |seed: u64| {
        let image = person(seed, seed as usize % 5, seed as usize % 3, grain);
        template.sight(&encoder.encode(&image).unwrap()).unwrap()
    };
    (100..112).map(one).collect()
}

/// Mean error in pixels on people that have no say in the template.
fn error(template: &Template, encoder: &Encoder, grain: f32) -> f64 {
    let mut errors = Vec::new();
    for seed in 0..10 {
        let (left, top) = (seed as usize % 6, seed as usize % 4);
        let encoding = encoder.encode(&person(seed, left, top, grain)).unwrap();
        // By the landmarks' own features, which is what grain spoils.
        let options = MatchOptions { neighbours: false, prior: false, ..MatchOptions::default() };
        for (found, mark) in match_encoding(template, &encoding, options).unwrap().iter().zip(points()) {
            let (dx, dy) = (found.at.x + left as f64 - mark.at.x, found.at.y + top as f64 - mark.at.y);
            errors.push(dx.hypot(dy));
        }
    }
    errors.iter().sum::<f64>() / errors.len() as f64
}

#[test]
fn what_many_people_share_is_found_better_than_what_one_person_shows() {
    let encoder = load();
    let grain = 0.25;
    let template = Template::new(&encoder, &person(1000, 0, 0, grain), &points()).unwrap();
    let observations = observations(&template, &encoder, grain);
    assert!(observations.iter().filter(|observation| observation.is_recognised()).count() > 6);
    let refined = template.refined(&observations);
    assert_eq!(template.refined_on(), 0);
    assert_eq!(refined.refined_on(), observations.iter().filter(|s| s.is_recognised()).count());
    let (before, after) = (error(&template, &encoder, grain), error(&refined, &encoder, grain));
    assert!(after < 0.8 * before, "{before} px from one person, {after} px from many");
}

#[test]
fn a_refined_template_is_the_same_from_a_file_and_in_any_order_of_threads() {
    let encoder = load();
    let template = Template::new(&encoder, &person(1000, 0, 0, 0.05), &points()).unwrap();
    let refined = template.refined(&observations(&template, &encoder, 0.05));
    assert_eq!(refined.to_bytes(), template.refined(&observations(&template, &encoder, 0.05)).to_bytes());
    assert_ne!(refined.sha256(), template.sha256());
    let read = Template::from_bytes(&refined.to_bytes(), "a.template").unwrap();
    assert_eq!((read.to_bytes(), read.refined_on()), (refined.to_bytes(), refined.refined_on()));
    let header = template.to_bytes();
    let plain = String::from_utf8_lossy(&header[16..600.min(header.len())]).into_owned();
    assert!(!plain.contains("refined_on"), "older versions read what was not refined: {plain}");
}

#[test]
fn images_of_something_else_have_no_say() {
    let encoder = load();
    let template = Template::new(&encoder, &person(1000, 0, 0, 0.0), &points()).unwrap();
    let strange = |seed: u64| encoder.encode(&texture(seed, WIDTH, HEIGHT, 0, 0)).unwrap();
    let observations: Vec<Observation> =
        (50..60).map(|seed| template.sight(&strange(seed)).unwrap()).collect();
    assert!(observations.iter().all(|observation| !observation.is_recognised()));
    let refined = template.refined(&observations);
    assert_eq!(refined.refined_on(), 0);
    assert_eq!(refined.to_bytes(), template.to_bytes());
    assert_eq!(template.refined(&[]).to_bytes(), template.to_bytes());
}

#[test]
fn sightings_of_other_landmarks_have_no_say_and_other_encoders_are_refused() {
    let encoder = load();
    let image = person(1000, 0, 0, 0.0);
    let template = Template::new(&encoder, &image, &points()).unwrap();
    let fewer = Template::new(&encoder, &image, &points()[..2]).unwrap();
    assert_eq!(template.refined(&observations(&fewer, &encoder, 0.0)).refined_on(), 0);
    let other =
        Encoder::from_bytes(&infomark_tests::infer_fixture::encoder(WIDTH, 128), "other.onnx").unwrap();
    let error = template.sight(&other.encode(&image).unwrap()).unwrap_err();
    assert!(matches!(error, MatchError::OtherModel { .. }), "{error}");
}

/// An image as a file of 8 bits.
fn file(folder: &Path, name: &str, image: &Image) -> PathBuf {
    let path = folder.join(name);
    let head = format!("P5\n{} {}\n255\n", image.width(), image.height()).into_bytes();
    let pixels = image.pixels().iter().map(|v| (255.0 * v + 0.5) as u8);
    std::fs::write(&path, head.into_iter().chain(pixels).collect::<Vec<u8>>()).unwrap();
    path
}

#[test]
fn templates_are_refined_over_files_in_rounds_on_any_number_of_threads() {
    let (encoder, folder) = (load(), tempfile::tempdir().unwrap());
    let mut paths: Vec<PathBuf> = (100..106)
        .map(|seed| {
            let image = person(seed, seed as usize % 5, seed as usize % 3, 0.05);
            file(folder.path(), &format!("{seed}.pgm"), &image)
        })
        .collect();
    let own = file(folder.path(), "own.pgm", &person(1000, 0, 0, 0.05));
    let template = Template::new(&encoder, &read_image(&own).unwrap(), &points()).unwrap();
    // Two rounds by hand: the second with what the first made, both from the annotated image.
    let by_hand = paths.clone();
    let see = |template: &Template| -> Vec<Observation> {
        let one = |path| template.sight(&encoder.encode(&read_image(path).unwrap()).unwrap()).unwrap();
        by_hand.iter().map(one).collect()
    };
    let once = template.refined(&see(&template));
    let expected = template.refined(&see(&once));

    // Neither the template's own image nor one that can't be read counts.
    paths.insert(2, own);
    paths.push(folder.path().join("broken.pgm"));
    std::fs::write(&paths[7], b"none").unwrap();
    for threads in [1, 3] {
        let (mut left_out, mut steps) = (Vec::new(), Vec::new());
        let tell = &mut |step: RefineStep| match step {
            RefineStep::LeftOut(problem) => left_out.push(problem.to_string()),
            RefineStep::Searched { done, total } => steps.push((done, total)),
            _ => {}
        };
        let templates = [template.clone()];
        let (refined, used) = refine_templates(&encoder, &templates, paths.clone(), threads, tell).unwrap();
        assert_eq!(refined[0].to_bytes(), expected.to_bytes(), "{threads} threads");
        assert_eq!(refined[0].refined_on(), 6);
        assert_eq!(used, paths[..7]);
        assert!(left_out.len() == 1 && left_out[0].contains("broken.pgm"), "{left_out:?}");
        let total = REFINE_ROUNDS * 7;
        assert_eq!(steps, (1..=total).map(|done| (done, total)).collect::<Vec<_>>());
    }
    let refused = |templates: &[Template], paths| {
        refine_templates(&encoder, templates, paths, 2, &mut |_| {}).unwrap_err()
    };
    let error = refused(&[expected], paths);
    assert!(matches!(&error, RefineError::Already { template } if template.ends_with("own.pgm")), "{error}");
    let strange = file(folder.path(), "strange.pgm", &texture(50, WIDTH, HEIGHT, 0, 0));
    let error = refused(&[template], vec![strange]);
    assert!(matches!(error, RefineError::Unlike { images: 1, .. }), "{error}");
}
