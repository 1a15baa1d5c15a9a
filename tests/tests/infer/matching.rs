//! Encoders, templates and matching, on an encoder whose features are known to tell places apart.

use infomark_core::Point;
use infomark_infer::{
    Candidate, Encoder, Found, GraphError, Image, Landmark, MatchError, MatchOptions, Matcher, ModelError,
    SubPixel, Template, TemplateError, choose_templates, match_encoding, match_image, match_templates,
};
use infomark_tests::infer_fixture::{CHANNELS, encoder, model, texture};
use prost::Message;

fn load(width: usize, height: usize) -> Encoder {
    Encoder::from_bytes(&encoder(width, height), "fixture.onnx").unwrap()
}

fn landmark(name: &str, x: f64, y: f64) -> Landmark {
    Landmark::new(name, Point::new(x, y))
}

fn distance(a: Point<f64>, b: Point<f64>) -> f64 {
    (a.x - b.x).hypot(a.y - b.y)
}

#[test]
fn an_encoder_gives_unit_features_of_the_described_shapes() {
    let encoder = load(96, 128);
    let encoding = encoder.encode(&texture(1, 96, 128, 0, 0)).unwrap();
    let levels = encoding.levels();
    assert_eq!(levels.len(), 2);
    for (level, stride) in levels.iter().zip([2, 4]) {
        assert_eq!(level.stride(), stride);
        assert_eq!(level.channels(), CHANNELS);
        assert_eq!((level.width(), level.height()), (96 / stride, 128 / stride));
        for cell in 0..level.cells() {
            let values = (0..CHANNELS).map(|c| level.data()[c * level.cells() + cell]);
            let length = values.map(|v| f64::from(v * v)).sum::<f64>().sqrt();
            assert!((length - 1.0).abs() < 1e-5, "length {length} at stride {stride}");
        }
    }
}

#[test]
fn outputs_may_come_in_any_order_in_the_file() {
    let mut turned = model(96, 128);
    turned.graph.as_mut().unwrap().output.reverse();
    let turned = Encoder::from_bytes(&turned.encode_to_vec(), "turned.onnx").unwrap();
    let image = texture(1, 96, 128, 0, 0);
    let (a, b) = (load(96, 128).encode(&image).unwrap(), turned.encode(&image).unwrap());
    for (a, b) in a.levels().iter().zip(b.levels()) {
        assert_eq!((a.stride(), a.data()), (b.stride(), b.data()));
    }
}

#[test]
fn an_image_matched_to_itself_gives_its_landmarks_back_without_bias() {
    const POINTS: usize = 24;
    let encoder = load(128, 128);
    // As large as the canvas, larger, smaller, upright and wide.
    for (width, height) in [(128, 128), (400, 512), (200, 150), (90, 112)] {
        let image = texture(2, width, height, 0, 0);
        let (w, h) = (width as f64, height as f64);
        let spread = |i: usize, step: f64, side: f64| side * (0.2 + 0.6 * (i as f64 * step).fract());
        let points: Vec<Landmark> =
            (0..POINTS).map(|i| landmark(&i.to_string(), spread(i, 0.618, w), spread(i, 0.271, h))).collect();
        let template = Template::new(&encoder, &image, &points).unwrap();
        let found = match_image(&encoder, &template, &image, MatchOptions::default()).unwrap();
        // Pixels of the image to one of the canvas, whose finest cells are two wide.
        let scale = (w / 128.0).max(h / 128.0);
        let mut errors = Vec::new();
        let mut bias = Point::new(0.0, 0.0);
        for (found, point) in found.iter().zip(&points) {
            assert_eq!(found.name, point.name);
            assert!(found.score > 0.9 && found.score <= 1.0, "{found:?}");
            errors.push(distance(found.at, point.at) / scale);
            bias.x += (found.at.x - point.at.x) / scale / POINTS as f64;
            bias.y += (found.at.y - point.at.y) / scale / POINTS as f64;
        }
        errors.sort_by(f64::total_cmp);
        assert!(errors[POINTS / 2] < 0.75 && errors[POINTS - 1] < 4.0, "{width} x {height}: {errors:?}");
        assert!(bias.x.abs() < 0.25 && bias.y.abs() < 0.25, "{width} x {height}: {bias:?}");
    }
}

#[test]
fn a_cell_is_its_centre_and_both_refinements_are_nearer() {
    const POINTS: usize = 24;
    let encoder = load(128, 128);
    let image = texture(2, 128, 128, 0, 0);
    let spread = |i: usize, step: f64| 128.0 * (0.2 + 0.6 * (i as f64 * step).fract());
    let points: Vec<Landmark> =
        (0..POINTS).map(|i| landmark(&i.to_string(), spread(i, 0.618), spread(i, 0.271))).collect();
    let template = Template::new(&encoder, &image, &points).unwrap();
    let find = |sub_pixel| {
        let options = MatchOptions { sub_pixel, ..MatchOptions::default() };
        match_image(&encoder, &template, &image, options).unwrap()
    };
    let error = |found: &[Found]| {
        let each = found.iter().zip(&points).map(|(found, point)| distance(found.at, point.at));
        each.sum::<f64>() / POINTS as f64
    };
    let cells = find(SubPixel::Cell);
    for found in &cells {
        let (x, y) = ((found.at.x - 0.5) / 2.0, (found.at.y - 0.5) / 2.0);
        assert!((x - x.round()).abs() < 1e-6 && (y - y.round()).abs() < 1e-6, "{found:?}");
    }
    for refined in [SubPixel::Parabola, SubPixel::SoftArgmax] {
        let found = find(refined);
        assert!(error(&found) < error(&cells), "{refined:?}: {} {}", error(&found), error(&cells));
    }
}

#[test]
fn a_landmark_at_the_centre_of_a_cell_is_found_in_that_cell() {
    let encoder = load(128, 128);
    let image = texture(2, 128, 128, 0, 0);
    // Cells at stride 2 have their centres at 2 i + 0.5.
    let points = [landmark("a", 48.5, 60.5), landmark("b", 82.5, 98.5)];
    let template = Template::new(&encoder, &image, &points).unwrap();
    for (found, point) in
        match_image(&encoder, &template, &image, MatchOptions::default()).unwrap().iter().zip(&points)
    {
        let (x, y) = (found.at.x - point.at.x, found.at.y - point.at.y);
        assert!(x.abs() <= 1.0 && y.abs() <= 1.0, "{}: {x}, {y}", point.name);
    }
}

#[test]
fn a_shifted_image_shifts_its_landmarks() {
    let encoder = load(128, 128);
    let points = [landmark("a", 60.0, 70.0), landmark("b", 81.3, 52.8)];
    let template = Template::new(&encoder, &texture(3, 128, 128, 20, 20), &points).unwrap();
    for (x, y) in [(12, 20), (20, 8), (33, 29)] {
        let shifted = texture(3, 128, 128, x, y);
        let alone = MatchOptions { neighbours: false, prior: false, ..MatchOptions::default() };
        // Ring and prior are matched at strides of 4, and in part lies beyond the border.
        for (options, most) in [(alone, 1.0), (MatchOptions::default(), 2.0)] {
            let found = match_image(&encoder, &template, &shifted, options).unwrap();
            for (found, point) in found.iter().zip(&points) {
                let expected = Point::new(point.at.x + 20.0 - x as f64, point.at.y + 20.0 - y as f64);
                let error = distance(found.at, expected);
                assert!(error < most, "{}: {error} pixels after a shift to {x}, {y}", point.name);
            }
        }
    }
}

#[test]
fn what_lies_around_a_landmark_tells_it_from_its_double() {
    let encoder = load(128, 128);
    let alone = MatchOptions { neighbours: false, prior: false, ..MatchOptions::default() };
    let mut fooled = 0;
    for seed in 0..6 {
        let image = texture(20 + seed, 128, 128, 0, 0);
        let point = landmark("p", 40.0, 44.0);
        let template = Template::new(&encoder, &image, &[point]).unwrap();
        // What the landmark's own feature sees, copied to where the rest differs; the original a little noisy.
        let mut pixels = image.pixels().to_vec();
        for y in 0..21 {
            for x in 0..21 {
                pixels[(78 + y) * 128 + 74 + x] = pixels[(34 + y) * 128 + 30 + x];
            }
        }
        for y in 38..51 {
            for x in 34..47 {
                pixels[y * 128 + x] += 0.04 * ((x * 7 + y * 5) % 6) as f32;
            }
        }
        pixels.iter_mut().for_each(|pixel| *pixel = pixel.min(1.0));
        let doubled = Image::new("doubled", 128, 128, pixels).unwrap();
        let found = |options| match_image(&encoder, &template, &doubled, options).unwrap()[0].at;
        let truth = Point::new(40.0, 44.0);
        fooled += usize::from(distance(found(alone), truth) > 30.0);
        let with = MatchOptions { neighbours: true, prior: false, ..MatchOptions::default() };
        assert!(distance(found(with), truth) < 8.0, "neighbours: {:?}", found(with));
        let with = MatchOptions { neighbours: false, ..MatchOptions::default() };
        assert!(distance(found(with), truth) < 8.0, "prior: {:?}", found(with));
    }
    assert!(fooled > 0, "alone, {fooled} of 6 landmarks are taken for their double");
}

#[test]
fn landmarks_that_templates_have_apart_are_not_found_in_one_place() {
    let encoder = load(128, 128);
    let alone = MatchOptions { neighbours: false, prior: false, ..MatchOptions::default() };
    // 62 pixels apart; grain moves a peak by some.
    let (a, b) = (Point::new(40.0, 44.0), Point::new(84.0, 88.0));
    let others = [landmark("c", 100.0, 30.0), landmark("d", 30.0, 100.0), landmark("e", 66.0, 62.0)];
    let mut fooled = 0;
    for seed in 0..6 {
        let mut pixels = texture(40 + seed, 128, 128, 0, 0).pixels().to_vec();
        // The places of "a" and "b" look nearly the same, in the image that of "a" less like that of the template than that of "b" does.
        for y in 0..41 {
            for x in 0..41 {
                let grain = 0.01 * ((x * 7 + y * 5) % 6) as f32;
                pixels[(24 + y) * 128 + 20 + x] = (pixels[(68 + y) * 128 + 64 + x] + grain).min(1.0);
            }
        }
        let image = Image::new("template", 128, 128, pixels.clone()).unwrap();
        for y in 36..53 {
            for x in 32..49 {
                pixels[y * 128 + x] = (pixels[y * 128 + x] + 0.08 * ((x * 3 + y * 11) % 5) as f32).min(1.0);
            }
        }
        let noisy = Image::new("noisy", 128, 128, pixels).unwrap();
        let found = |points: &[Landmark]| {
            let template = Template::new(&encoder, &image, points).unwrap();
            match_image(&encoder, &template, &noisy, alone).unwrap()
        };
        fooled += usize::from(distance(found(&[landmark("a", a.x, a.y)])[0].at, b) < 8.0);
        let mut points = vec![landmark("a", a.x, a.y), landmark("b", b.x, b.y)];
        points.extend(others.clone());
        let both = found(&points);
        assert!(distance(both[0].at, a) < 14.0, "a: {:?}", both[0]);
        assert!(distance(both[1].at, b) < 8.0, "b: {:?}", both[1]);
        // Where two of them are near each other in the template, both may be in one place.
        points[0] = landmark("a", b.x + 3.0, b.y);
        let near = found(&points);
        assert!(distance(near[0].at, b) < 8.0 && distance(near[1].at, b) < 8.0, "{near:?}");
    }
    assert!(fooled > 0, "alone, {fooled} of 6 landmarks are taken for the other");
}

#[test]
fn one_encoding_serves_several_templates_and_gives_the_same_bits_on_any_thread() {
    let encoder = load(128, 128);
    let (a, b) = (texture(4, 150, 128, 0, 0), texture(5, 128, 180, 0, 0));
    let points = [landmark("p", 44.0, 81.0)];
    let templates = [&a, &b].map(|image| Template::new(&encoder, image, &points).unwrap());
    let encoding = encoder.encode(&a).unwrap();
    let expected: Vec<_> = templates
        .iter()
        .map(|template| match_encoding(template, &encoding, MatchOptions::default()).unwrap())
        .collect();
    std::thread::scope(|scope| {
        for (template, expected) in templates.iter().zip(&expected) {
            let (encoder, a) = (&encoder, &a);
            scope.spawn(move || {
                assert_eq!(&match_image(encoder, template, a, MatchOptions::default()).unwrap(), expected);
            });
        }
    });
}

#[test]
fn several_templates_find_the_union_of_their_landmarks() {
    let encoder = load(128, 128);
    let image = texture(2, 128, 128, 0, 0);
    let (a, b, c) = (landmark("a", 40.0, 52.0), landmark("b", 81.0, 60.0), landmark("c", 66.0, 88.0));
    let template = |points: &[Landmark]| Template::new(&encoder, &image, points).unwrap();
    let (first, second) = (template(&[b.clone(), a.clone()]), template(&[c, b.clone()]));
    let encoding = encoder.encode(&texture(2, 128, 128, 6, 3)).unwrap();
    let found =
        |templates: &[&Template]| match_templates(templates, &encoding, MatchOptions::default()).unwrap();
    let both = found(&[&first, &second]);
    let names: Vec<&str> = both.iter().map(|found| found.name.as_str()).collect();
    assert_eq!(names, ["b", "a", "c"]);
    // A landmark that one of them has is found as by that one alone.
    let at = |found: &[Found], name: &str| found.iter().find(|found| found.name == name).unwrap().at;
    assert_eq!(at(&both, "a"), at(&found(&[&first]), "a"));
    assert_eq!(at(&both, "c"), at(&found(&[&second]), "c"));
    // The same template twice says what it says once.
    assert!(distance(at(&found(&[&first, &first]), "a"), at(&found(&[&first]), "a")) < 0.01);
    let error = match_templates(&[], &encoding, MatchOptions::default()).unwrap_err();
    assert!(matches!(error, MatchError::NoTemplates));
}

#[test]
fn templates_that_were_marked_to_either_side_meet_in_the_middle() {
    let encoder = load(128, 128);
    let image = texture(2, 128, 128, 0, 0);
    let template = |x: f64| Template::new(&encoder, &image, &[landmark("a", x, 60.0)]).unwrap();
    let (left, right) = (template(58.0), template(62.0));
    let matcher = Matcher::new(load(128, 128), [left, right]).unwrap();
    let found = matcher.find(&image).unwrap();
    assert!(distance(found[0].at, Point::new(60.0, 60.0)) < 1.5, "{found:?}");
}

#[test]
fn a_matcher_is_shared_between_threads_and_gives_the_same_bits() {
    let encoder = load(128, 128);
    let points = [landmark("p", 44.0, 81.0), landmark("q", 70.0, 40.0)];
    let templates =
        [4, 5].map(|seed| Template::new(&encoder, &texture(seed, 128, 128, 0, 0), &points).unwrap());
    let matcher = Matcher::new(encoder, templates).unwrap().options(MatchOptions::default()).unwrap();
    assert_eq!(matcher.landmarks(), ["p", "q"]);
    assert_eq!(matcher.templates().len(), 2);
    let image = texture(4, 140, 128, 5, 2);
    let expected = matcher.find(&image).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (matcher, image, expected) = (matcher.clone(), &image, &expected);
            scope.spawn(move || assert_eq!(&matcher.find(image).unwrap(), expected));
        }
    });
    assert!(matches!(Matcher::new(load(128, 128), []).unwrap_err(), MatchError::NoTemplates));
}

#[test]
fn a_prior_narrower_than_a_pixel_is_refused_wherever_options_are_taken() {
    let encoder = load(96, 96);
    let image = texture(4, 96, 96, 0, 0);
    let template = Template::new(&encoder, &image, &[landmark("p", 44.0, 51.0)]).unwrap();
    let matcher = Matcher::new(load(96, 96), [template.clone()]).unwrap();
    for prior_sigma in [0.99, 0.0, -12.0, f32::NAN, f32::INFINITY] {
        let options = MatchOptions { prior_sigma, ..MatchOptions::default() };
        let refused = match_image(&encoder, &template, &image, options).unwrap_err();
        assert!(matches!(refused, MatchError::PriorSigma { .. }), "{refused}");
        assert!(refused.to_string().starts_with("prior_sigma "), "{refused}");
        let refused = matcher.clone().options(options).unwrap_err();
        assert!(matches!(refused, MatchError::PriorSigma { .. }), "{refused}");
    }
    assert!(matcher.options(MatchOptions { prior_sigma: 1.0, ..MatchOptions::default() }).is_ok());
}

#[test]
fn the_image_that_the_others_are_like_is_chosen_to_be_annotated() {
    let encoder = load(128, 128);
    // Three views of one texture, the second in the middle, and one of another.
    let images = [(3, 0), (3, 12), (3, 24), (9, 12)].map(|(seed, at)| texture(seed, 128, 128, at, at));
    let encodings = images.map(|image| encoder.encode(&image).unwrap());
    let candidates: Vec<Candidate> = encodings.iter().map(|e| Candidate::new(e).unwrap()).collect();
    let inlier_fractions: Vec<Vec<f64>> = (candidates.iter())
        .map(|candidate| {
            encodings.iter().map(|encoding| candidate.inlier_fraction(encoding).unwrap()).collect()
        })
        .collect();
    for row in &inlier_fractions {
        assert!(row.iter().all(|value| (0.0..=1.0).contains(value)), "{inlier_fractions:?}");
    }
    assert!(inlier_fractions[1][0] > 1.4 * inlier_fractions[3][0], "{inlier_fractions:?}");
    let without_own = |own: usize| {
        let row = inlier_fractions[own].iter().enumerate();
        row.map(|(image, value)| if image == own { 0.0 } else { *value }).collect::<Vec<_>>()
    };
    let inlier_fractions: Vec<Vec<f64>> = (0..4).map(without_own).collect();
    assert_eq!(choose_templates(&inlier_fractions, 1), [1], "{inlier_fractions:?}");
    let other = load(96, 96).encode(&texture(3, 96, 96, 0, 0)).unwrap();
    assert!(matches!(candidates[0].inlier_fraction(&other).unwrap_err(), MatchError::OtherModel { .. }));
}

#[test]
fn the_first_choice_is_best_on_average_and_the_second_serves_who_is_left() {
    let inlier_fractions =
        [vec![0.9, 0.8, 0.1, 0.1], vec![0.9, 0.9, 0.2, 0.1], vec![0.1, 0.1, 0.6, 0.5], vec![0.5; 4]];
    assert_eq!(choose_templates(&inlier_fractions, 1), [1]);
    assert_eq!(choose_templates(&inlier_fractions, 2), [1, 2]);
    assert_eq!(choose_templates(&inlier_fractions, 9), [1, 2, 0, 3]);
    assert!(choose_templates(&[], 3).is_empty());
}

#[test]
fn landmarks_are_found_on_the_image_only_however_narrow_it_is() {
    let encoder = load(128, 128);
    let template_image = texture(6, 128, 128, 0, 0);
    let corners = [landmark("first", 0.0, 0.0), landmark("last", 127.0, 127.0)];
    let template = Template::new(&encoder, &template_image, &corners).unwrap();
    for (width, height) in [(32, 3000), (3000, 32), (128, 128), (33, 64)] {
        let image = texture(7, width, height, 0, 0);
        for found in match_image(&encoder, &template, &image, MatchOptions::default()).unwrap() {
            assert!((0.0..=(width - 1) as f64).contains(&found.at.x), "{found:?}");
            assert!((0.0..=(height - 1) as f64).contains(&found.at.y), "{found:?}");
            assert!((-1.0..=1.0).contains(&found.score));
        }
    }
}

#[test]
fn a_template_without_usable_landmarks_is_refused() {
    let encoder = load(96, 96);
    let image = texture(8, 64, 48, 0, 0);
    let refused = |points: &[Landmark]| Template::new(&encoder, &image, points).unwrap_err();
    assert!(matches!(refused(&[]), TemplateError::NoLandmarks { .. }));
    let twice = [landmark("a", 1.0, 1.0), landmark("a", 2.0, 2.0)];
    assert!(matches!(refused(&twice), TemplateError::Duplicate { .. }));
    for (x, y) in [(64.0, 3.0), (-0.6, 3.0), (3.0, 48.0), (f64::NAN, 3.0), (3.0, f64::INFINITY)] {
        let error = refused(&[landmark("sella", x, y)]);
        assert!(matches!(error, TemplateError::Outside { width: 64, height: 48, .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("sella") && text.contains("texture"), "{text}");
    }
}

#[test]
fn a_template_of_another_encoder_is_refused() {
    let image = texture(9, 96, 96, 0, 0);
    let template = Template::new(&load(96, 96), &image, &[landmark("a", 40.0, 40.0)]).unwrap();
    let error = match_image(&load(128, 128), &template, &image, MatchOptions::default()).unwrap_err();
    assert!(matches!(error, MatchError::OtherModel { .. }));
}

#[test]
fn an_encoder_with_damaged_weights_says_so() {
    let with = |value: f32| {
        let mut broken = model(96, 96);
        let tensors = &mut broken.graph.as_mut().unwrap().initializer;
        let kernel = tensors.iter_mut().find(|t| t.name == "kernel_2").unwrap();
        kernel.raw_data = kernel.raw_data.chunks(4).flat_map(|_| value.to_le_bytes()).collect();
        Encoder::from_bytes(&broken.encode_to_vec(), "broken.onnx")
    };
    let error = with(f32::NAN).unwrap_err();
    assert!(error.to_string().starts_with("broken.onnx: "), "{error}");
    assert!(
        matches!(
            &error,
            ModelError::Graph { problem: GraphError::NotFinite { tensor }, .. } if tensor == "kernel_2"
        ),
        "{error}"
    );
    // Finite, but what comes out is not.
    let image: Image = texture(1, 96, 96, 0, 0);
    let error = with(f32::MAX).unwrap().encode(&image).unwrap_err();
    assert!(matches!(&error, ModelError::Features { name, .. } if name == "broken.onnx"), "{error}");
}
