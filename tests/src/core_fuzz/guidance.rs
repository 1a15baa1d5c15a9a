//! Bodies for what guides the training: shared information, curves, samplers, intensities and key
//! points.

use super::Bytes;
use crate::core_oracle::{self, tolerance};
use infomark_core::{
    Binning, CurveCut, DipRule, IntensityError, IntensityJitter, JointEntropy, KeyPoint, KeyPointRule,
    Margin, Plane, PlaneMut, Rng, SampleError, SearchOutcome, SearchRule, SimilarityBin, SimilarityCurve,
    Thresholds, Tier, TierRatios, ToneSearchScratch, Tournament, clear_margin, joint_entropy,
    joint_entropy_scratch_len, key_points, key_points_scratch_len, sample_spaced, sample_spaced_scratch_len,
    search_strength, search_tone, tier_weight_map, tone_path, tone_search_scratch_len,
};

/// Shared information of any two patches in any bins equals the definition and keeps its laws.
pub fn mutual(data: &[u8]) {
    let mut bytes = Bytes(data);
    match bytes.byte() % 4 {
        0 => mutual_in::<2>(bytes),
        1 => mutual_in::<7>(bytes),
        2 => mutual_in::<16>(bytes),
        _ => mutual_in::<256>(bytes),
    }
}

fn mutual_in<const BINS: usize>(mut bytes: Bytes<'_>) {
    let (width, height) = (bytes.size(20), bytes.size(20));
    let shift = bytes.byte() % 9;
    let mut word = |_| u16::from_le_bytes([bytes.byte(), bytes.byte()]);
    let windows = [0; 4].map(&mut word);
    let patches = [(); 2].map(|()| (0..width * height).map(|i| word(i as u16) >> shift).collect::<Vec<_>>());
    let binnings = [Binning::<BINS>::new(windows[0], windows[1]), Binning::new(windows[2], windows[3])];
    let [Ok(a), Ok(b)] = binnings else {
        return;
    };
    let [Ok(first), Ok(second)] = [&patches[0], &patches[1]].map(|p| Plane::new(p, width, height)) else {
        return;
    };
    let mut scratch = vec![u32::MAX; joint_entropy_scratch_len(BINS, width, height)];
    let mut of = |x, y, bins| -> JointEntropy<f64> {
        joint_entropy(x, y, bins, &mut scratch).unwrap_or_else(|error| unreachable!("{error}"))
    };
    let both = of(first, second, [a, b]);
    let naive = core_oracle::joint_entropy(first, second, |v| a.bin(v), |v| b.bin(v));
    for (value, naive) in [both.first(), both.second(), both.joint()].into_iter().zip(naive) {
        assert!((value - naive).abs() <= tolerance::ENTROPY_F64, "{value} is not {naive}");
    }
    let shared = both.mutual_information();
    assert!(shared >= 0.0 && shared <= both.first().min(both.second()));
    assert!(both.joint() >= both.first().max(both.second()));
    assert!((0.0..=1.0).contains(&both.normalized_mutual_information()));
    assert!((1.0..=2.0).contains(&both.studholme()));
    let back = of(second, first, [b, a]);
    assert_eq!(back.mutual_information(), shared);
    assert_eq!(back.conditional_first_given_second(), both.conditional_second_given_first());
    let own = of(first, first, [a, a]);
    assert_eq!((own.mutual_information(), own.variation_of_information()), (both.first(), 0.0));
}

/// Any pairs give a curve that does not depend on their order, and a cut that keeps its rule.
pub fn psi_cut(data: &[u8]) {
    let mut bytes = Bytes(data);
    let number = bytes.size(40);
    let rule = DipRule {
        margin: f64::from(bytes.small()),
        significance: f64::from(bytes.byte()) / 16.0,
        least_count: u64::from(bytes.byte() % 4),
        least_bins: usize::from(bytes.byte() % 4),
    };
    let (low, high) = match bytes.byte() {
        255 => (f64::from(bytes.any()), f64::from(bytes.any())),
        _ => (0.0, 5.6),
    };
    let mut bins = vec![SimilarityBin::default(); number];
    let mut parts = [vec![SimilarityBin::default(); number], vec![SimilarityBin::default(); number]];
    let [left, right] = &mut parts;
    let (Ok(mut curve), Ok(mut left), Ok(mut right)) = (
        SimilarityCurve::new(&mut bins, low, high),
        SimilarityCurve::new(left, low, high),
        SimilarityCurve::new(right, low, high),
    ) else {
        assert!(!(low < high && (high - low).is_finite()));
        return;
    };
    let mut pairs = 0;
    while !bytes.0.is_empty() && pairs < 4096 {
        let (entropy, similarity) = match bytes.byte() {
            255 => (bytes.any(), bytes.any()),
            byte => (f32::from(byte) / 45.0, bytes.small()),
        };
        let finite = entropy.is_finite() && similarity.is_finite();
        assert_eq!(curve.add(entropy, similarity).is_ok(), finite);
        let part = if pairs % 3 == 0 { &mut left } else { &mut right };
        assert_eq!(part.add(entropy, similarity).is_ok(), finite);
        pairs += 1;
    }
    assert!(right.merge(&left).is_ok());
    assert_eq!(curve.bins(), right.bins());
    for bin in curve.bins() {
        assert_eq!(bin.mean().is_some(), bin.count() > 0);
        assert!(bin.mean().is_none_or(|mean| mean.abs() <= 1.0));
    }
    let cut = Thresholds::<f64>::from_similarity_curve(&curve, rule);
    assert_eq!(cut.is_ok(), rule.margin >= 0.0 && rule.least_count > 0 && rule.least_bins > 0);
    match cut {
        Ok(CurveCut::Dip { thresholds, levels, depth, error }) => {
            assert!(low < thresholds.medium && thresholds.medium < thresholds.high && thresholds.high < high);
            assert!(levels[1] < levels[0].min(levels[2]));
            assert!(depth >= rule.margin && depth >= rule.significance * error);
        }
        Ok(CurveCut::NoDip { depth, needed }) => assert!(depth <= needed),
        Ok(CurveCut::TooFew { bins, needed }) => assert!(bins < needed),
        Err(_) => {}
    }
}

/// No sampler draws what may not be drawn.
pub fn samplers(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(20), bytes.size(20));
    let mut rng = Rng::new(u64::from(bytes.byte()), 0);
    let wild = bytes.byte() == 255;
    let distance = if wild { bytes.any() } else { f32::from(bytes.byte()) / 16.0 };
    let margin = match bytes.byte() {
        255 => Margin::Fraction(bytes.any()),
        254 => Margin::Pixels(usize::MAX),
        byte => Margin::Pixels(usize::from(byte % 8)),
    };
    let ratios = TierRatios::new(bytes.any().abs(), f32::from(bytes.byte()), f32::from(bytes.byte()));
    let tiers: Vec<Tier> = (0..width * height).map(|_| Tier::ALL[usize::from(bytes.byte().min(2))]).collect();
    let mut weights = vec![0.0f32; width * height];
    let (Ok(tiers), Ok(mut map)) =
        (Plane::new(&tiers, width, height), PlaneMut::new(&mut weights, width, height))
    else {
        return;
    };
    if let Ok(ratios) = ratios
        && let Ok(pixels) = tier_weight_map(tiers, ratios, map.reborrow())
    {
        assert_eq!(pixels.iter().sum::<usize>(), width * height);
        let sum: f64 = map.as_plane().rows().flatten().map(|&w| f64::from(w)).sum();
        assert!((sum - 1.0).abs() < 1e-4, "{sum}");
    } else {
        for y in 0..height {
            map.row_mut(y).fill_with(|| if wild { bytes.any() } else { f32::from(bytes.byte()) });
        }
    }
    let _ = clear_margin(map.reborrow(), margin);
    let map = map.as_plane();
    let weight = |(x, y): (usize, usize)| map.row(y)[x];
    if let Ok(sampler) = Tournament::new(map) {
        for _ in 0..20 {
            let (x, y) = sampler.draw(&mut rng);
            assert!(x < width && y < height);
        }
    }
    let mut pixels = [(usize::MAX, 0); 24];
    let mut scratch = vec![f64::NAN; sample_spaced_scratch_len(width, height)];
    let count = sample_spaced(map, distance, &mut rng, &mut pixels, &mut scratch);
    let good = map.rows().flatten().all(|w| w.is_finite() && *w >= 0.0);
    match count {
        Ok(count) => {
            assert!(good && count > 0);
            let apart = |a: (usize, usize), b: (usize, usize)| {
                let (dx, dy) = (a.0.abs_diff(b.0) as f64, a.1.abs_diff(b.1) as f64);
                a != b && dx * dx + dy * dy >= f64::from(distance) * f64::from(distance)
            };
            let (drawn, rest) = pixels.split_at(count);
            assert!(rest.iter().all(|&(x, _)| x == usize::MAX));
            for (i, &pixel) in drawn.iter().enumerate() {
                assert!(weight(pixel) > 0.0);
                assert!(drawn[..i].iter().all(|&other| apart(pixel, other)));
            }
            if !rest.is_empty() {
                // No more are possible.
                for pixel in (0..width * height).map(|i| (i % width, i / width)) {
                    assert!(weight(pixel) == 0.0 || !drawn.iter().all(|&other| apart(pixel, other)));
                }
            }
        }
        Err(SampleError::Distance { .. }) => assert!(!(distance >= 0.0 && distance.is_finite())),
        Err(SampleError::Empty) => assert!(map.rows().flatten().all(|&w| w == 0.0)),
        Err(_) => assert!(!good),
    }
}

/// A search over any function ends where it says; one over tones too.
pub fn intensity(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rule = SearchRule {
        steps: usize::from(bytes.byte() % 20),
        tolerance: bytes.small(),
        max_bisections: usize::from(bytes.byte() % 40),
    };
    let target = bytes.any();
    let values: [f32; 16] = std::array::from_fn(|_| bytes.any());
    let value = |t: f32| values[((t * 16.0) as usize).min(15)];
    let mut calls = 0;
    let found = search_strength(target, rule, |t: f32| {
        assert!((0.0..=1.0).contains(&t));
        calls += 1;
        Ok::<_, IntensityError>(value(t))
    });
    assert!(calls <= 1 + rule.steps + rule.max_bisections);
    if let Ok(found) = found {
        assert!((0.0..=1.0).contains(&found.strength));
        assert_eq!(found.information, value(found.strength));
        match found.reached {
            SearchOutcome::Identity => assert!(found.strength == 0.0 && values[0] <= target),
            SearchOutcome::Limit => assert!(found.strength == 1.0 && values[15] > target),
            SearchOutcome::Target => assert!(values[0] > target && calls >= 2),
        }
    }

    let (width, height) = (bytes.size(8), bytes.size(8));
    let mut limit = IntensityJitter::identity();
    let strange = bytes.byte() == 255;
    let mut factor = || if strange { bytes.any() } else { f32::from(bytes.byte()) / 64.0 };
    (limit.brightness, limit.contrast, limit.gamma) = (factor(), factor(), factor());
    let target = f32::from(bytes.byte()) / 60.0;
    let pixels: Vec<u8> = (0..width * height).map(|_| bytes.byte()).collect();
    let Ok(patch) = Plane::new(&pixels, width, height) else {
        return;
    };
    let needed = tone_search_scratch_len(width, height);
    let (mut a, mut b, mut c) = (vec![f32::NAN; needed.0], vec![1; needed.1], vec![9; needed.2]);
    let mut scratch = ToneSearchScratch { pixels: &mut a, levels: &mut b, counts: &mut c };
    let good = |v: f32| v.is_finite() && v > 0.0;
    let Ok(levels) = Binning::<256>::new(0, 255) else { return };
    let found = search_tone(patch, levels, limit, target, rule, &mut scratch);
    let usable = rule.steps > 0 && rule.tolerance >= 0.0;
    assert!(found.is_err() || usable && good(limit.brightness) && good(limit.contrast) && good(limit.gamma));
    if let Ok(found) = found {
        assert_eq!(found.tone, tone_path(limit, found.found.strength));
        assert!(found.found.information >= 0.0);
    } else if !strange {
        let factors = [limit.brightness, limit.contrast, limit.gamma];
        assert!(!usable || factors.contains(&0.0), "{found:?}");
    }
}

/// Key points of any image lie inside it and apart, best first.
pub fn keypoints(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(24), bytes.size(24));
    let wild = bytes.byte() == 255;
    let mut rule = KeyPointRule {
        sigma: bytes.size(40) as f32 / 10.0,
        per_octave: usize::from(bytes.byte() % 5),
        levels: usize::from(bytes.byte() % 5),
        contrast: f32::from(bytes.byte()) / 2550.0,
        edge_ratio: f32::from(bytes.byte()),
        margin: Margin::Pixels(usize::from(bytes.byte() % 8)),
        min_distance: f32::from(bytes.byte()) / 32.0,
    };
    if wild {
        rule = KeyPointRule {
            sigma: bytes.any(),
            contrast: bytes.any(),
            edge_ratio: bytes.any(),
            margin: Margin::Fraction(bytes.any()),
            min_distance: bytes.any(),
            ..rule
        };
    }
    let pixels: Vec<f32> = (0..width * height)
        .map(|_| if wild { bytes.any() } else { f32::from(bytes.byte()) / 255.0 })
        .collect();
    let Ok(image) = Plane::new(&pixels, width, height) else {
        return;
    };
    let mut out = [KeyPoint::default(); 16];
    let mut scratch = vec![f32::NAN; key_points_scratch_len(width, height)];
    let Ok(count) = key_points(image, rule, &mut out, &mut scratch) else {
        let sizes = rule.per_octave > 0 && rule.levels > 0 && rule.edge_ratio >= 1.0;
        let widest = rule.sigma * ((rule.levels + 2) as f32 / rule.per_octave as f32).exp2();
        assert!(wild || !sizes || widest > 32.0, "{rule:?}");
        return;
    };
    let (Some(columns), Some(rows)) = (rule.margin.pixels(width), rule.margin.pixels(height)) else {
        unreachable!("the rule was accepted");
    };
    let inside = |p: f32, size: usize, margin: usize| {
        let margin = margin.max(1) as f32;
        p >= margin - 0.5 && p <= size as f32 - margin - 0.5
    };
    for (i, point) in out[..count].iter().enumerate() {
        assert!(inside(point.at.x, width, columns) && inside(point.at.y, height, rows), "{point:?}");
        assert!(point.response > rule.contrast && point.sigma > 0.0, "{point:?}");
        assert!(i == 0 || point.response <= out[i - 1].response);
        for other in &out[..i] {
            // The refinement moves each by up to half a pixel in both directions.
            let distance = (point.at.x - other.at.x).hypot(point.at.y - other.at.y);
            assert!(distance >= rule.min_distance - 1.415, "{point:?} and {other:?}");
        }
    }
}
