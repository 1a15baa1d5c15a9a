//! Similarity maps and peaks.

use infomark_core::{
    FeatureMap, LocateError, Plane, PlaneMut, Point, Rng, add_resized, add_resized_scratch_len, peak,
    sample_feature, similarities, similarities_scratch_len, similarity, similarity_scratch_len, soft_peak,
};
use infomark_tests::core_oracle::{self, tolerance};
use proptest::prelude::*;

const CHANNELS: usize = 8;
/// Width, height and stride of the levels of an image of 32 by 24 pixels.
const LEVELS: [(usize, usize, usize); 3] = [(16, 12, 2), (8, 6, 4), (4, 3, 8)];

/// Random features of length 1 for all levels.
fn pyramid(seed: u64) -> Vec<Vec<f64>> {
    let mut rng = Rng::new(seed, 0);
    let level = |(w, h, _): &(usize, usize, usize)| {
        let cells = w * h;
        let mut data: Vec<f64> = (0..CHANNELS * cells).map(|_| rng.normal()).collect();
        for cell in 0..cells {
            let length = (0..CHANNELS).map(|c| data[c * cells + cell].powi(2)).sum::<f64>().sqrt();
            (0..CHANNELS).for_each(|c| data[c * cells + cell] /= length);
        }
        data
    };
    LEVELS.iter().map(level).collect()
}

fn maps(pyramid: &[Vec<f64>]) -> Vec<FeatureMap<'_, f64>> {
    pyramid
        .iter()
        .zip(LEVELS)
        .map(|(data, (w, h, s))| FeatureMap::new(data, CHANNELS, w, h, s).expect("made to fit"))
        .collect()
}

fn template(levels: &[FeatureMap<'_, f64>], at: Point<f64>) -> Vec<Vec<f64>> {
    levels
        .iter()
        .map(|&level| {
            let mut feature = vec![f64::NAN; CHANNELS];
            sample_feature(level, at, &mut feature).expect("good arguments");
            feature
        })
        .collect()
}

fn compare(levels: &[FeatureMap<'_, f64>], template: &[Vec<f64>], temperature: f64) -> Vec<f64> {
    let (w, h, _) = LEVELS[0];
    let mut out = vec![f64::NAN; w * h];
    let mut scratch = vec![f64::NAN; similarity_scratch_len(levels)];
    let features: Vec<&[f64]> = template.iter().map(Vec::as_slice).collect();
    let plane = PlaneMut::new(&mut out, w, h).expect("made to fit");
    similarity(levels, &features, temperature, plane, &mut scratch).expect("good arguments");
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn the_map_equals_its_definition(seed: u64, x in 0.0f64..31.0, y in 0.0f64..23.0) {
        let pyramid = pyramid(seed);
        let levels = maps(&pyramid);
        let template = template(&levels, Point::new(x, y));
        let out = compare(&levels, &template, 0.1);
        for (i, value) in out.into_iter().enumerate() {
            let centre = levels[0].centre(i % 16, i / 16);
            let mut expected = 0.0;
            for (level, feature) in levels.iter().zip(&template) {
                let cells: Vec<f64> = (0..level.cells())
                    .map(|cell| (0..CHANNELS).map(|c| feature[c] * level.data()[c * level.cells() + cell]).sum())
                    .collect();
                let plane = Plane::new(&cells, level.width(), level.height()).expect("made to fit");
                let scale = 1.0 / level.stride() as f64;
                let at = centre.resized(scale, scale);
                expected += core_oracle::bilinear(plane, at.x, at.y) / 0.1;
            }
            prop_assert!((value - expected).abs() <= tolerance::SIMILARITY, "{value} is not {expected}");
        }
    }

    #[test]
    fn several_templates_have_the_maps_that_each_has_alone(seed: u64, count in 0usize..10) {
        let pyramid = pyramid(seed);
        let levels = maps(&pyramid);
        let mut rng = Rng::new(seed, 1);
        let places = (0..count).map(|_| Point::new(rng.uniform_in(0.0, 31.0), rng.uniform_in(0.0, 23.0)));
        let templates: Vec<Vec<Vec<f64>>> = places.map(|at| template(&levels, at)).collect();
        let features: Vec<Vec<&[f64]>> =
            templates.iter().map(|template| template.iter().map(Vec::as_slice).collect()).collect();
        let features: Vec<&[&[f64]]> = features.iter().map(Vec::as_slice).collect();
        let mut out = vec![f64::NAN; count * 16 * 12];
        let mut scratch = vec![f64::NAN; similarities_scratch_len(&levels, count)];
        let planes = out.chunks_exact_mut(16 * 12).map(|map| PlaneMut::new(map, 16, 12).expect("made to fit"));
        let mut planes: Vec<_> = planes.collect();
        prop_assert_eq!(similarities(&levels, &features, 0.1, &mut planes, &mut scratch), Ok(()));
        let alone: Vec<f64> = templates.iter().flat_map(|template| compare(&levels, template, 0.1)).collect();
        prop_assert_eq!(out, alone);
    }

    #[test]
    fn products_are_sums_over_the_channels_in_their_order(
        seed: u64, width in 1usize..30, height in 1usize..4, channels in 1usize..9, count in 1usize..7, gap in 0usize..3,
    ) {
        let mut rng = Rng::new(seed, 0);
        let cells = width * height;
        let mut noise = |len: usize| (0..len).map(|_| rng.uniform_in(-1.0f32, 1.0)).collect::<Vec<_>>();
        let (data, features) = (noise(channels * cells), noise(count * channels));
        let level = FeatureMap::new(&data, channels, width, height, 2).expect("made to fit");
        let templates: Vec<[&[f32]; 1]> = features.chunks_exact(channels).map(|feature| [feature]).collect();
        let templates: Vec<&[&[f32]]> = templates.iter().map(|template| &template[..]).collect();
        // Rows that follow each other, or lie apart.
        let pitch = width + gap;
        let mut out = vec![f32::NAN; count * height * pitch];
        let planes = out.chunks_exact_mut(height * pitch);
        let planes = planes.map(|map| PlaneMut::with_stride(map, width, height, pitch).expect("made to fit"));
        let mut planes: Vec<_> = planes.collect();
        let mut scratch = vec![f32::NAN; similarities_scratch_len(&[level], count)];
        prop_assert_eq!(similarities(&[level], &templates, 0.1, &mut planes, &mut scratch), Ok(()));
        for (feature, map) in features.chunks_exact(channels).zip(&planes) {
            for cell in 0..cells {
                let inverse = 1.0 / 0.1;
                let products = feature.iter().zip(data.chunks_exact(cells)).map(|(f, plane)| f * inverse * plane[cell]);
                let expected = products.fold(0.0, |sum, product| sum + product);
                prop_assert_eq!(map.get(cell % width, cell / width), Some(expected));
            }
        }
    }

    #[test]
    fn a_resized_map_is_linear_between_cell_centres_to_the_bit(
        seed: u64, width in 1usize..9, height in 1usize..6, ratio in 1usize..18, out_stride in 1usize..4,
        more in 0usize..3,
    ) {
        let mut rng = Rng::new(seed, 0);
        let mut noise = |len: usize| (0..len).map(|_| rng.uniform_in(-1.0f32, 1.0)).collect::<Vec<_>>();
        // All of the map, or a part more than it covers.
        let (out_width, out_height) = (width * ratio + more, height * ratio + more);
        let (data, before) = (noise(width * height), noise(out_width * out_height));
        let map = FeatureMap::new(&data, 1, width, height, ratio * out_stride).expect("made to fit");
        let mut out = before.clone();
        let mut scratch = vec![f32::NAN; add_resized_scratch_len(out_width)];
        let plane = PlaneMut::new(&mut out, out_width, out_height).expect("made to fit");
        prop_assert_eq!(add_resized(map, plane, out_stride, &mut scratch), Ok(()));
        let scale = out_stride as f32 / (ratio * out_stride) as f32;
        let place = |cell: usize, size: usize| {
            let at = ((cell as f32 + 0.5) * scale - 0.5).clamp(0.0, (size - 1) as f32);
            (at as usize, (at as usize + 1).min(size - 1), at - at.floor())
        };
        let mix = |a: f32, b: f32, part: f32| a + (b - a) * part;
        for (i, (value, before)) in out.iter().zip(&before).enumerate() {
            let (left, right, u) = place(i % out_width, width);
            let (top, bottom, v) = place(i / out_width, height);
            let row = |y: usize| mix(data[y * width + left], data[y * width + right], u);
            prop_assert_eq!(*value, before + mix(row(top), row(bottom), v), "cell {}", i);
        }
    }

    #[test]
    fn a_template_is_found_in_its_own_image(seed: u64, column in 0usize..16, row in 0usize..12) {
        let pyramid = pyramid(seed);
        // One level: at coarser ones the place between cells is a mixture.
        let levels = &maps(&pyramid)[..1];
        let at = levels[0].centre(column, row);
        let template = template(levels, at);
        let out = compare(levels, &template, 1.0);
        let found = peak(Plane::new(&out, 16, 12).expect("made to fit"), 2).expect("not empty");
        prop_assert!((found.value - 1.0).abs() < 1e-12);
        prop_assert!((found.at.x - at.x).abs() <= 1.0 && (found.at.y - at.y).abs() <= 1.0);
    }

    #[test]
    fn similar_images_agree_on_a_planted_feature(seed: u64, column in 1usize..15, row in 1usize..11) {
        // Noise everywhere, the template's own features planted in every level of another image.
        let (a, mut b) = (pyramid(seed), pyramid(seed ^ 1));
        let from = maps(&a);
        let wanted = template(&from, Point::new(12.0, 9.0));
        let at = from[0].centre(column, row);
        for (data, level) in b.iter_mut().zip(&from) {
            let (x, y) = level.cell(at);
            let index = LEVELS.iter().position(|l| l.2 == level.stride()).expect("a level");
            for c in 0..CHANNELS {
                data[c * level.cells() + y * level.width() + x] = wanted[index][c];
            }
        }
        let out = compare(&maps(&b), &wanted, 1.0);
        // Higher than its level-wise best possible neighbours is not promised; the finest level
        // alone has its only cosine of 1 there.
        let fine = &maps(&b)[..1];
        let alone = compare(fine, &wanted[..1], 1.0);
        let found = peak(Plane::new(&alone, 16, 12).expect("made to fit"), 2).expect("not empty");
        prop_assert_eq!(fine[0].cell(found.at), (column, row));
        prop_assert!(out.iter().all(|v| v.abs() <= 3.0 + 1e-12));
    }

    #[test]
    fn the_temperature_only_scales(seed: u64) {
        let pyramid = pyramid(seed);
        let levels = maps(&pyramid);
        let template = template(&levels, Point::new(9.0, 9.0));
        let (warm, cold) = (compare(&levels, &template, 1.0), compare(&levels, &template, 0.05));
        prop_assert!(warm.iter().zip(&cold).all(|(w, c)| (w * 20.0 - c).abs() < 1e-9));
    }

    #[test]
    fn a_read_feature_is_the_mixture_of_its_neighbours(seed: u64, x in -9.0f64..40.0, y in -9.0f64..40.0) {
        let pyramid = pyramid(seed);
        for level in maps(&pyramid) {
            let mut feature = vec![0.0; CHANNELS];
            sample_feature(level, Point::new(x, y), &mut feature).expect("good arguments");
            let scale = 1.0 / level.stride() as f64;
            let cell = Point::new(x, y).resized(scale, scale);
            let cell = Point::new(
                cell.x.clamp(0.0, (level.width() - 1) as f64),
                cell.y.clamp(0.0, (level.height() - 1) as f64),
            );
            let raw: Vec<f64> = level
                .data()
                .chunks(level.cells())
                .map(|p| core_oracle::bilinear(Plane::new(p, level.width(), level.height()).expect("fits"), cell.x, cell.y))
                .collect();
            let length = raw.iter().map(|v| v * v).sum::<f64>().sqrt();
            prop_assert!(feature.iter().zip(&raw).all(|(f, r)| (f - r / length).abs() < 1e-9));
        }
    }

    #[test]
    fn a_planted_paraboloid_is_found_to_the_fraction_of_a_pixel(
        x in 1.0f64..13.0, y in 1.0f64..9.0, bend_x in 0.01f64..3.0, bend_y in 0.01f64..3.0, stride in 1usize..17,
    ) {
        let height = |i: usize| {
            let (u, v) = ((i % 15) as f64 - x, (i / 15) as f64 - y);
            5.0 - bend_x * u * u - bend_y * v * v
        };
        let map: Vec<f64> = (0..15 * 11).map(height).collect();
        let found = peak(Plane::new(&map, 15, 11).expect("made to fit"), stride).expect("not empty");
        let s = stride as f64;
        let expected = Point::new(x, y).resized(s, s);
        prop_assert!((found.at.x - expected.x).abs() < 1e-6 * s, "{:?} {:?}", found, expected);
        prop_assert!((found.at.y - expected.y).abs() < 1e-6 * s, "{:?} {:?}", found, expected);
    }

    #[test]
    fn a_soft_peak_is_the_weighted_mean_of_the_places_around_the_highest(
        values in prop::collection::vec(-3.0f64..3.0, 63), stride in 1usize..5, radius in 0.0f64..12.0,
        temperature in 0.05f64..4.0,
    ) {
        let map = Plane::new(&values, 9, 7).expect("made to fit");
        let found = soft_peak(map, stride, radius, temperature).expect("not empty");
        let highest = values.iter().copied().fold(f64::MIN, f64::max);
        let centre = |i: usize| {
            let s = stride as f64;
            Point::new((i % 9) as f64, (i / 9) as f64).resized(s, s)
        };
        let first = centre(values.iter().position(|&v| v == highest).expect("there is one"));
        let near = (0..63).filter(|&i| (centre(i).x - first.x).hypot(centre(i).y - first.y) <= radius + 1e-9);
        let (mut sum, mut x, mut y) = (0.0, 0.0, 0.0);
        for i in near {
            let weight = ((values[i] - highest) / temperature).exp();
            (sum, x, y) = (sum + weight, x + weight * centre(i).x, y + weight * centre(i).y);
        }
        prop_assert_eq!(found.value, highest);
        prop_assert!((found.at.x - x / sum).abs() < 1e-9 && (found.at.y - y / sum).abs() < 1e-9);
    }

    #[test]
    fn a_peak_is_the_highest_value(values in prop::collection::vec(-1.0f64..1.0, 20)) {
        let found = peak(Plane::new(&values, 5, 4).expect("made to fit"), 1).expect("not empty");
        let highest = values.iter().copied().fold(f64::MIN, f64::max);
        prop_assert_eq!(found.value, highest);
        let at = found.at.y.round().clamp(0.0, 3.0) as usize * 5 + found.at.x.round().clamp(0.0, 4.0) as usize;
        // Refined by at most half a cell, so that rounding may go either way at just that.
        let tie = found.at.x.fract().abs() == 0.5 || found.at.y.fract().abs() == 0.5;
        prop_assert!(tie || values[at] == highest);
    }
}

#[test]
fn the_finest_level_may_stand_anywhere() {
    let pyramid = pyramid(2);
    let levels = maps(&pyramid);
    let wanted = template(&levels, Point::new(20.0, 3.0));
    let forward = compare(&levels, &wanted, 1.0);
    let reversed: Vec<_> = levels.iter().rev().copied().collect();
    let wanted: Vec<_> = wanted.into_iter().rev().collect();
    let backward = compare(&reversed, &wanted, 1.0);
    assert!(forward.iter().zip(&backward).all(|(a, b)| (a - b).abs() < 1e-12));
}

#[test]
fn peaks_at_borders_ties_and_gaps_are_well_defined() {
    let at = |values: &[f64], width: usize| {
        peak(Plane::new(values, width, values.len() / width).expect("made to fit"), 1)
            .map(|p| (p.at.x, p.at.y, p.value))
    };
    assert_eq!(at(&[3.0, 2.0, 1.0], 3), Some((0.0, 0.0, 3.0)));
    assert_eq!(at(&[1.0, 2.0, 3.0], 3), Some((2.0, 0.0, 3.0)));
    assert_eq!(at(&[1.0; 9], 3), Some((0.0, 0.0, 1.0)));
    assert_eq!(at(&[0.0, 1.0, 1.0, 0.0], 4), Some((1.5, 0.0, 1.0)));
    assert_eq!(at(&[f64::NAN, -2.0, f64::NAN], 3), Some((1.0, 0.0, -2.0)));
    assert_eq!(at(&[0.0, f64::INFINITY, 0.0], 3), Some((1.0, 0.0, f64::INFINITY)));
    assert_eq!(at(&[f64::NEG_INFINITY, 1.0, 0.0], 3), Some((1.0, 0.0, 1.0)));
    assert_eq!(at(&[f64::NAN; 4], 2), None);
    assert_eq!(peak(Plane::<f64>::new(&[], 0, 5).expect("empty"), 1), None);
}

#[test]
fn soft_peaks_of_gaps_and_bad_arguments_are_well_defined() {
    let at = |values: &[f64], radius: f64, temperature: f64| {
        soft_peak(Plane::new(values, values.len(), 1).expect("made to fit"), 1, radius, temperature)
            .map(|p| p.at.x)
    };
    assert_eq!(at(&[0.0, 1.0, 0.0], 1.0, 1.0), Some(1.0));
    assert_eq!(at(&[0.0, 1.0, 1.0, 0.0], 1.0, 1e-9), Some(1.5));
    // Below a stride it is the centre of the cell.
    assert_eq!(at(&[0.9, 1.0, 0.0], 0.9, 1.0), Some(1.0));
    assert_eq!(at(&[0.9, 1.0, 0.0], -1.0, 1.0), Some(1.0));
    // What is not finite has no weight.
    assert_eq!(at(&[f64::NAN, 1.0, f64::NEG_INFINITY], 5.0, 1.0), Some(1.0));
    assert_eq!(at(&[3.0, f64::INFINITY, 2.0], 5.0, 1.0), Some(1.0));
    assert_eq!(at(&[f64::NEG_INFINITY; 3], 5.0, 1.0), Some(0.0));
    assert_eq!(at(&[f64::NAN; 3], 5.0, 1.0), None);
    assert_eq!(at(&[], 5.0, 1.0), None);
    let all = at(&[0.0, 1.0, 3.0], f64::INFINITY, 1.0).expect("there is a peak");
    assert!(all > 1.5 && all < 2.0, "{all}");
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(at(&[1.0], 1.0, bad), None, "{bad}");
    }
    assert_eq!(at(&[1.0], f64::NAN, 1.0), None);
}

#[test]
fn a_feature_of_length_0_stays_as_it_is() {
    let data = [0.0f32; 12];
    let map = FeatureMap::new(&data, 3, 2, 2, 4).expect("made to fit");
    let mut out = [7.0; 3];
    sample_feature(map, Point::new(2.0, 2.0), &mut out).expect("good arguments");
    assert_eq!(out, [0.0; 3]);
}

#[test]
fn bad_arguments_are_errors() {
    let pyramid = pyramid(1);
    let levels = maps(&pyramid);
    let mut feature = vec![0.0; CHANNELS];
    let bad = sample_feature(levels[0], Point::new(f64::NAN, 0.0), &mut feature);
    assert!(matches!(bad, Err(LocateError::Place { .. })));
    let bad = sample_feature(levels[0], Point::new(0.0, 0.0), &mut feature[1..]);
    assert!(matches!(bad, Err(LocateError::Channels { .. })));

    let mut out = vec![0.0; 16 * 12];
    // The largest level and two rows of it, and a block of four features.
    let needed = similarity_scratch_len(&levels);
    assert_eq!(needed, 16 * 12 + 2 * 16 + 4 * CHANNELS);
    let mut scratch = vec![0.0; needed];
    let full = [feature.as_slice(); 3];
    let mut call = |levels: &[_], template: &[&[f64]], temperature, (w, h), len: usize| {
        let plane = PlaneMut::new(&mut out[..w * h], w, h).expect("made to fit");
        similarity(levels, template, temperature, plane, &mut scratch[..len])
    };
    assert_eq!(call(&levels, &full, 0.1, (16, 12), needed), Ok(()));
    assert_eq!(call(&[], &[], 0.1, (16, 12), needed), Err(LocateError::NoLevels));
    assert!(matches!(call(&levels, &full[1..], 0.1, (16, 12), needed), Err(LocateError::Levels { .. })));
    let short = [&feature[1..], &feature, &feature];
    assert!(matches!(call(&levels, &short, 0.1, (16, 12), needed), Err(LocateError::Channels { .. })));
    for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let refused = call(&levels, &full, bad, (16, 12), needed);
        assert!(matches!(refused, Err(LocateError::Temperature { .. })), "{bad}");
    }
    assert!(matches!(call(&levels, &full, 0.1, (12, 16), needed), Err(LocateError::Size { .. })));
    let refused = call(&levels, &full, 0.1, (16, 12), needed - 1);
    assert_eq!(refused, Err(LocateError::Scratch { len: needed - 1, needed }));

    let mut plane = [PlaneMut::new(&mut out, 16, 12).expect("made to fit")];
    let refused = similarities(&levels, &[&full, &full], 0.1, &mut plane, &mut scratch);
    assert_eq!(refused, Err(LocateError::Outputs { templates: 2, outputs: 1 }));
}

#[test]
fn a_map_of_several_channels_or_too_little_scratch_is_refused() {
    let data = [0.0f32; 8];
    let mut out = [0.0f32; 16];
    let mut add = |channels: usize, len: usize| {
        let map = FeatureMap::new(&data, channels, 2, 4 / channels, 4).expect("made to fit");
        add_resized(map, PlaneMut::new(&mut out, 4, 4).expect("made to fit"), 2, &mut vec![0.0; len])
    };
    assert_eq!(add(2, 8), Err(LocateError::Channels { feature: 1, map: 2 }));
    assert_eq!(add(1, 7), Err(LocateError::Scratch { len: 7, needed: 8 }));
    assert_eq!(add(1, 8), Ok(()));
}
