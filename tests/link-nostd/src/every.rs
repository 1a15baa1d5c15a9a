//! Calls every public function of the core once, on the stack. Shared by the proof that the core
//! links without an allocator and by the one that it does not allocate.

use infomark_core::{
    Affine, AlignOptions, Alignment, Binning, Border, ContrastRule, CurveCut, DipRule, Elastic, EntropyMap,
    FeatureMap, Grey, InfoNce, IntensityError, IntensityJitter, IntensityRange, Interpolation, JointEntropy,
    KeyPoint, KeyPointRule, LossLevel, Margin, Match, Negatives, Neighbourhood, PatchBorder, Pixel, Plane,
    PlaneMut, Point, Positive, Real, Rng, Sampler, SearchRule, SimilarityBin, SimilarityCurve, Spacing,
    Statistic, Thresholds, Tier, TierPolicy, TierRatios, ToneSearchScratch, Tournament, View, Warp,
    Weighting, add_resized, add_resized_scratch_len, angle_at, angle_between, bootstrap_interval,
    clear_margin, conformal_bound, cosine_similarity, distance_to_line, elastic_controls_len, entropy_map,
    entropy_scratch_len, error_bound, highest_beyond, horizontal_extent, info_nce, info_nce_levels,
    info_nce_scratch_len, intensity_range, joint_entropy, joint_entropy_scratch_len, key_points,
    key_points_scratch_len, length, local_contrast, local_contrast_scratch_len, mean, midpoint,
    mutual_information, mutual_information_scratch_len, mutual_information_terms, peak, philox4x32,
    positive_similarities, positive_similarity, projected_length, radial_error_mm, sample_feature,
    sample_spaced, sample_spaced_scratch_len, sdr, search_strength, search_tone, similarities,
    similarities_scratch_len, similarity, similarity_scratch_len, soft_peak, tier_map, tier_weight_map,
    tone_path, tone_search_scratch_len, vertical_extent, weight_map,
};

const SIDE: usize = 12;
const PIXELS: usize = SIDE * SIDE;

/// `None` when anything fails.
pub(crate) fn every<T: Real>() -> Option<()> {
    planes()?;
    numbers::<T>()?;
    let mut image = [0u8; PIXELS];
    let mut rng = Rng::new(3, 1);
    for pixel in &mut image {
        *pixel = rng.below(200) as u8;
    }
    entropies::<T>(&image)?;
    sampling::<T>(&image, &mut rng)?;
    shares::<T>(&mut rng)?;
    information::<T>(&image)?;
    intensities::<T>(&image)?;
    outstanding::<T>(&image)?;
    curves::<T>()?;
    views::<T>(&image, &mut rng)?;
    maps::<T>(&image)?;
    disturbances::<T>(&mut image, &mut rng)?;
    features::<T>(&mut rng)?;
    alignments::<T>(&mut rng)?;
    measurements()?;
    scores(&mut rng)
}

fn planes() -> Option<()> {
    let data = [1u8, 2, 3, 4, 5, 6];
    let plane = Plane::with_stride(&data, 2, 2, 3).ok()?;
    let part = Plane::crop(plane, 1, 1, 1, 1).ok()?;
    let sum: u8 = Plane::rows(plane).flatten().sum();
    let mut data = data;
    let mut out = PlaneMut::with_stride(&mut data, 2, 2, 3).ok()?;
    PlaneMut::fill(&mut out, 7);
    out.row_mut(1)[0] = 8;
    let right = PlaneMut::set(&mut out, 1, 1, 9)
        && !PlaneMut::set(&mut out, 2, 0, 1)
        && PlaneMut::get(&out, 1, 1) == Some(9)
        && PlaneMut::row(&out, 0) == [7, 7]
        && PlaneMut::get(&PlaneMut::crop(out.reborrow(), 0, 1, 1, 1).ok()?, 0, 0) == Some(8)
        && Plane::row(&out.as_plane(), 1) == [8, 9]
        && (PlaneMut::width(&out), PlaneMut::height(&out), PlaneMut::is_empty(&out)) == (2, 2, false)
        && (Plane::width(&plane), Plane::height(&plane), Plane::is_empty(&plane)) == (2, 2, false)
        && (Plane::stride(&plane), Plane::data(&plane).len()) == (3, 6)
        && Plane::get(&part, 0, 0) == Some(5)
        && sum == 12;
    right.then_some(())
}

fn numbers<T: Real>() -> Option<()> {
    let one = T::one();
    let close = |a: T, b: f64| (T::as_f64(a) - b).abs() < 1e-6;
    let mut rng = Rng::new(1, 2);
    rng.next_u32();
    let mut again = Rng::new(1, 2);
    Rng::seek(&mut again, rng.counter());
    let right = close(T::ln(T::exp(one)), 1.0)
        && close(T::pow(T::sqrt(T::from_f64(2.0)), T::from_usize(4)), 4.0)
        && close(T::hypot(T::sin(one), T::cos(one)), 1.0)
        && T::from_f64(-0.5).floor_to_i64() == -1
        && T::unit_from_bits(u64::MAX) < one
        && rng.next_u64() == again.next_u64()
        && rng.uniform_in(one, one) == one
        && Rng::uniform::<T>(&mut rng) < one
        && Rng::normal::<T>(&mut rng).is_finite()
        && philox4x32([0; 4], [0; 2])[0] == 0x6627_e8d5
        && Point::is_finite(Point::cast::<f64>(Point::new(one, one)).resized(2.0, 2.0));
    right.then_some(())
}

fn entropies<T: Real>(image: &[u8]) -> Option<()> {
    let binning = Binning::<16>::new(10, 180).ok()?;
    let mut bins = [0; PIXELS];
    let image = Plane::new(image, SIDE, SIDE).ok()?;
    Binning::apply(&binning, image, PlaneMut::new(&mut bins, SIDE, SIDE).ok()?).ok()?;
    let bins = Plane::new(&bins, SIDE, SIDE).ok()?;
    let maps = [
        EntropyMap::new(Neighbourhood::Square { side: 5 }).border(PatchBorder::Mirror),
        EntropyMap::step(EntropyMap::square(4), 3),
        EntropyMap::disk(2).border(PatchBorder::Clamp),
    ];
    let mask = [true; PIXELS];
    let mask = Plane::new(&mask, SIDE, SIDE).ok()?;
    let mut out = [T::zero(); PIXELS];
    let mut scratch = [0; PIXELS];
    for map in maps {
        let scratch = scratch.get_mut(..EntropyMap::scratch_len(&map, SIDE, SIDE))?;
        let (width, height) = map.output_size(SIDE, SIDE);
        let out = out.get_mut(..width * height)?;
        map.compute(bins, PlaneMut::new(out, width, height).ok()?, scratch).ok()?;
        map.compute_masked(bins, mask, PlaneMut::new(out, width, height).ok()?, scratch).ok()?;
        map.compute_region(bins, 1, 1, PlaneMut::new(out.get_mut(..6)?, 3, 2).ok()?, scratch).ok()?;
    }
    let fixed = maps[0].fixed_point(SIDE, SIDE).ok()?;
    let steps = scratch.get_mut(..fixed.largest_window())?;
    fixed.fill_steps(steps);
    let whole = steps.iter().sum::<u64>() == u64::from(fixed.scale(25).0);
    let right = binning.bin(180u16) == 15
        && whole
        && (binning.low(), binning.high()) == (10, 180)
        && 7u8.value() == 7
        && out.iter().all(|h| h.is_finite());
    right.then_some(())
}

fn sampling<T: Real>(image: &[u8], rng: &mut Rng) -> Option<()> {
    let image = Plane::new(image, SIDE, SIDE).ok()?;
    let mut scratch = [0; entropy_scratch_len(5, SIDE, SIDE)];
    let mut entropy = [T::zero(); PIXELS];
    entropy_map(image, 5, PlaneMut::new(&mut entropy, SIDE, SIDE).ok()?, &mut scratch).ok()?;
    let entropy = Plane::new(&entropy, SIDE, SIDE).ok()?;

    let mut buffer = [T::zero(); PIXELS];
    let thresholds = Thresholds::from_quantiles(entropy, 0.3, 0.7, &mut buffer).ok()?;
    let thresholds = Thresholds::new(thresholds.medium, thresholds.high).ok()?;
    let mut tiers = [Tier::Low; PIXELS];
    tier_map(entropy, thresholds, PlaneMut::new(&mut tiers, SIDE, SIDE).ok()?).ok()?;

    let weighting = Weighting::Exponential { alpha: T::from_f64(0.3) };
    weight_map(entropy, weighting, PlaneMut::new(&mut buffer, SIDE, SIDE).ok()?).ok()?;
    let mut cumulative = [0.0; PIXELS];
    let sampler = Sampler::new(Plane::new(&buffer, SIDE, SIDE).ok()?, &mut cumulative).ok()?;
    let (x, y) = Sampler::draw(&sampler, rng);
    let tier = thresholds.tier(entropy.get(x, y)?);
    (sampler.total() > 0.0 && tiers[y * SIDE + x] == tier).then_some(())
}

fn shares<T: Real>(rng: &mut Rng) -> Option<()> {
    let tiers: [Tier; PIXELS] = core::array::from_fn(|i| Tier::ALL[i % 3]);
    let tiers = Plane::new(&tiers, SIDE, SIDE).ok()?;
    let ratios = TierRatios::new(T::one(), T::one(), T::from_f64(2.0)).ok()?;
    let mut weights = [T::zero(); PIXELS];
    let mut map = PlaneMut::new(&mut weights, SIDE, SIDE).ok()?;
    tier_weight_map(tiers, ratios, map.reborrow()).ok()?;
    tier_weight_map(tiers, TierRatios::only(Tier::High), map.reborrow()).ok()?;
    clear_margin(map.reborrow(), Margin::Pixels(2)).ok()?;
    let (x, y) = Tournament::draw(&Tournament::new(map.as_plane()).ok()?, rng);
    let mut pixels = [(0, 0); 3];
    let mut scratch = [0.0; sample_spaced_scratch_len(SIDE, SIDE)];
    let count = sample_spaced(map.as_plane(), T::from_f64(3.0), rng, &mut pixels, &mut scratch).ok()?;
    let right = x < SIDE
        && y < SIDE
        && count == 3
        && pixels.iter().all(|&(x, y)| (2..SIDE - 2).contains(&x) && (y * SIDE + x) % 3 == 2)
        && TierRatios::<T>::only(Tier::Low).share(Tier::High) == T::zero()
        && Margin::Fraction(T::from_f64(0.25)).pixels(SIDE) == Some(3);
    right.then_some(())
}

fn information<T: Real>(image: &[u8]) -> Option<()> {
    const BINS: usize = 16;
    let image = Plane::new(image, SIDE, SIDE).ok()?;
    let (first, second) = (image.crop(0, 0, 8, 8).ok()?, image.crop(4, 3, 8, 8).ok()?);
    let binning = Binning::<BINS>::new(0, 255).ok()?;
    let mut scratch = [0; mutual_information_scratch_len(8, 8)];
    let own: T = mutual_information(first, first, &mut scratch).ok()?;
    let scratch = scratch.get_mut(..joint_entropy_scratch_len(BINS, 8, 8))?;
    let both: JointEntropy<T> = joint_entropy(first, second, [binning; 2], scratch).ok()?;
    let (one, two) = (T::one(), T::from_f64(2.0));
    let mut terms = [0; 3];
    let unit = mutual_information_terms(&mut terms);
    let first_bound = JointEntropy::first(&both);
    let right = both.mutual_information() <= first_bound.min(JointEntropy::second(&both))
        && (terms[2] as f64 * unit - 4f64.ln()).abs() < 1e-6
        && both.conditional_first_given_second() <= first_bound
        && both.conditional_second_given_first() <= JointEntropy::second(&both)
        && both.variation_of_information() <= both.joint()
        && (T::zero()..=one).contains(&both.normalized_mutual_information())
        && (one..=two).contains(&both.studholme())
        && binning.bin(200u8) == 12
        && binning.bin(200u16) == 12
        && 7u8.value() == 7
        && (binning.low(), binning.high()) == (0, 255);
    (right && own > T::zero()).then_some(())
}

fn intensities<T: Real>(image: &[u8]) -> Option<()> {
    let patch = Plane::new(image, SIDE, SIDE).ok()?;
    let rule = SearchRule::default();
    let falls = |t: T| Ok::<_, IntensityError>(T::one() - t);
    let found = search_strength(T::from_f64(0.5), rule, falls).ok()?;

    const NEEDED: (usize, usize, usize) = tone_search_scratch_len(SIDE, SIDE);
    let (mut pixels, mut levels, mut counts) = ([T::zero(); NEEDED.0], [0; NEEDED.1], [0; NEEDED.2]);
    let mut scratch = ToneSearchScratch { pixels: &mut pixels, levels: &mut levels, counts: &mut counts };
    let limit = IntensityJitter { brightness: T::from_f64(0.1), ..IntensityJitter::identity() };
    let target = T::from_f64(3.5);
    let levels = Binning::<256>::new(0, 255).ok()?;
    let darker = search_tone(patch, levels, limit, target, rule, &mut scratch).ok()?;
    let one = T::one();
    let limits = IntensityRange::new((limit.brightness, one), (one, one), (one, one)).ok()?;
    let mut strengths = [T::zero(); 1];
    let (range, met) =
        intensity_range(&[patch], levels, limits, target, 0.5, rule, &mut strengths, &mut scratch).ok()?;
    let right = (found.strength - T::from_f64(0.5)).abs() < T::from_f64(0.01)
        && tone_path(limit, darker.found.strength) == darker.tone
        && range.brightness == (darker.tone.brightness, one)
        && met == 1;
    right.then_some(())
}

fn outstanding<T: Real>(image: &[u8]) -> Option<()> {
    let mut pixels = [T::zero(); PIXELS];
    for (to, &from) in pixels.iter_mut().zip(image) {
        *to = T::from_f64(f64::from(from) / 255.0);
    }
    let mut found = [KeyPoint::default(); 4];
    let mut scratch = [T::zero(); key_points_scratch_len(SIDE, SIDE)];
    let rule = KeyPointRule { levels: 2, ..KeyPointRule::default() };
    let image = Plane::new(&pixels, SIDE, SIDE).ok()?;
    let count = key_points(image, rule, &mut found, &mut scratch).ok()?;
    found.iter().take(count).all(|point| point.at.is_finite()).then_some(())
}

fn curves<T: Real>() -> Option<()> {
    let (mut bins, mut others) = ([SimilarityBin::default(); 6], [SimilarityBin::default(); 6]);
    let mut curve = SimilarityCurve::new(&mut bins, 0.0, 6.0).ok()?;
    let mut other = SimilarityCurve::new(&mut others, 0.0, 6.0).ok()?;
    for i in 0..60 {
        let dips = (20..40).contains(&i);
        let similarity = T::from_f64(if dips { 0.5 } else { 1.0 });
        SimilarityCurve::add(&mut other, T::from_f64(f64::from(i) / 10.0), similarity).ok()?;
    }
    curve.merge(&other).ok()?;
    let bin = curve.bins().first()?;
    let cut: CurveCut<T> = Thresholds::from_similarity_curve(&curve, DipRule::default()).ok()?;
    let right = SimilarityBin::count(bin) == 10
        && bin.mean() == Some(1.0)
        && bin.variance() == Some(0.0)
        && curve.edge(1) == 1.0
        && cut.thresholds().is_some_and(|t| t.medium == T::from_f64(2.0) && t.high == T::from_f64(4.0));

    let features = [T::one(), T::zero(), T::zero(), T::one()];
    let map = FeatureMap::new(&features, 2, 2, 1, 1).ok()?;
    let at = Point::new(T::zero(), T::zero());
    let positives = [Positive { view: at, image: at }];
    let mut each = [T::zero(); 1];
    positive_similarities(map, map, &positives, &mut each).ok()?;
    let psi = positive_similarity(map, map, &positives).ok()?;
    let across = cosine_similarity(&features[..2], &features[2..]).ok()?;
    (right && psi == each[0] && across == T::zero()).then_some(())
}

fn views<T: Real>(image: &[u8], rng: &mut Rng) -> Option<()> {
    let mut pixels = [T::zero(); PIXELS];
    for (to, &from) in pixels.iter_mut().zip(image) {
        *to = T::from_f64(f64::from(from) / 255.0);
    }
    let image = Plane::new(&pixels, SIDE, SIDE).ok()?;
    let centre = Point::new(T::from_f64(5.0), T::from_f64(6.0));
    let warp = Warp::new(centre, T::from_f64(0.3), T::from_f64(0.9), 8, 6).ok()?;
    let mut view = [T::zero(); 48];
    let mut out = PlaneMut::new(&mut view, Warp::width(&warp), Warp::height(&warp)).ok()?;
    Warp::resample(&warp, image, out.reborrow(), T::zero()).ok()?;
    Warp::push(&warp, Warp::pull(&warp, Point::new(T::one(), T::one())))?;

    let gamma = (T::from_f64(0.8), T::from_f64(1.2));
    let range = IntensityRange::new(gamma, gamma, gamma).ok()?;
    let even = TierPolicy::range(&TierPolicy::uniform(range), Tier::Low);
    IntensityRange::draw(&even, rng);
    let tone = TierPolicy::range(&TierPolicy::published(), Tier::High).draw(rng);
    tone.apply_in_place(out).ok()?;
    let mut copy = pixels;
    let out = PlaneMut::new(&mut copy, SIDE, SIDE).ok()?;
    IntensityJitter::apply(&range.draw(rng), image, out).ok()?;
    (IntensityRange::<T>::identity().draw(rng) == IntensityJitter::identity()).then_some(())
}

fn maps<T: Real>(image: &[u8]) -> Option<()> {
    let n = T::from_f64;
    let image = Plane::new(image, SIDE, SIDE).ok()?;
    let map = Affine::then(&Affine::rotation(n(0.3)).ok()?, &Affine::scaling(n(0.9), n(1.1)).ok()?).ok()?;
    let map = map.then(&Affine::shear(n(0.1), T::zero()).ok()?).ok()?;
    let map = Affine::around(&map, Point::new(n(5.0), n(6.0))).ok()?;
    let map = map.then(&Affine::flip_horizontal(SIDE)).ok()?.then(&Affine::flip_vertical(SIDE)).ok()?;
    let map = Affine::new(map.matrix()).ok()?.then(&Affine::translation(T::one(), T::one()).ok()?).ok()?;
    let back = Affine::pull(&Affine::inverse(&map), Affine::pull(&map, Point::new(T::one(), T::one())));
    let view = View::around(Affine::push(&map, back), &Affine::identity(), 8, 6).ok()?;
    let warp = Warp::new(Point::new(n(5.0), n(6.0)), n(0.3), T::one(), 8, 6).ok()?;
    let crop = View::crop(1, 2, 8, 6).ok()?;
    let (mut out, mut mask) = ([0u8; 48], [false; 48]);
    for view in [View::new(map, 8, 6).ok()?, view, Warp::view(&warp).ok()?, crop] {
        let mut dst = PlaneMut::new(&mut out, View::width(&view), View::height(&view)).ok()?;
        for kind in [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic] {
            View::resample(&view, image, dst.reborrow(), kind, Border::Mirror).ok()?;
        }
        View::mask(&view, SIDE, SIDE, PlaneMut::new(&mut mask, 8, 6).ok()?).ok()?;
        View::push(&view, View::pull(&view, Point::new(n(3.0), n(3.0))))?;
    }

    let mut controls = [Point::new(T::zero(), T::zero()); elastic_controls_len(8, 6, 4)];
    Elastic::draw(crop, 4, n(0.5), &mut Rng::new(1, 0), &mut controls).ok()?;
    let elastic = Elastic::new(crop, 4, &controls).ok()?;
    let dst = PlaneMut::new(&mut out, 8, 6).ok()?;
    Elastic::resample(&elastic, image, dst, Interpolation::Bilinear, Border::Value(0)).ok()?;
    Elastic::mask(&elastic, SIDE, SIDE, PlaneMut::new(&mut mask, 8, 6).ok()?).ok()?;
    let at = Point::new(n(3.0), n(2.0));
    Elastic::push(&elastic, Elastic::pull(&elastic, at))?;
    let right = elastic.displacement(at).is_finite()
        && View::affine(&Elastic::view(&elastic)) == View::affine(&crop)
        && elastic.spacing() == 4
        && elastic.controls() == &controls[..]
        && mask.contains(&true)
        && <u8 as Pixel>::from_work(9u8.to_work()) == 9;
    right.then_some(())
}

fn disturbances<T: Real>(image: &mut [u8], rng: &mut Rng) -> Option<()> {
    let n = T::from_f64;
    let policy = TierPolicy::<T>::published();
    let policy = TierPolicy::new(policy.low, policy.medium, policy.high).ok()?;
    let range = TierPolicy::range(&policy, Tier::High);
    range.check().ok()?;
    let tone = range.draw(rng);
    let mut copy = [0; PIXELS];
    tone.apply_u8(Plane::new(image, SIDE, SIDE).ok()?, PlaneMut::new(&mut copy, SIDE, SIDE).ok()?).ok()?;
    tone.apply_u8_in_place(PlaneMut::new(image, SIDE, SIDE).ok()?).ok()?;
    let (wide, mut out) = ([300u16, 9000], [0; 2]);
    tone.apply_u16(Plane::new(&wide, 2, 1).ok()?, PlaneMut::new(&mut out, 2, 1).ok()?).ok()?;
    tone.apply_u16_in_place(PlaneMut::new(&mut out, 2, 1).ok()?).ok()?;

    const SIGMA: f64 = 0.7;
    let rule = ContrastRule { sigma_px: n(SIGMA), gain: n(0.2), floor: n(0.02) };
    let mut scratch = [n(0.0); local_contrast_scratch_len(SIDE, SIDE, SIGMA)];
    let values = [n(0.5); PIXELS];
    let mut even = [n(0.0); PIXELS];
    let dst = PlaneMut::new(&mut even, SIDE, SIDE).ok()?;
    local_contrast(Plane::new(&values, SIDE, SIDE).ok()?, dst, rule, &mut scratch).ok()?;
    Some(())
}

fn features<T: Real>(rng: &mut Rng) -> Option<()> {
    const CHANNELS: usize = 3;
    let (mut fine, mut coarse) = ([T::zero(); CHANNELS * 36], [T::zero(); CHANNELS * 9]);
    for value in fine.iter_mut().chain(&mut coarse) {
        *value = rng.normal();
    }
    let fine = FeatureMap::new(&fine, CHANNELS, 6, 6, 2).ok()?;
    let coarse = FeatureMap::new(&coarse, CHANNELS, 3, 3, 4).ok()?;
    let at = fine.centre(2, 3);
    let right = fine.cell(at) == (2, 3)
        && (fine.channels(), FeatureMap::width(&fine), FeatureMap::height(&fine)) == (CHANNELS, 6, 6)
        && (FeatureMap::stride(&fine), fine.cells(), FeatureMap::data(&fine).len()) == (2, 36, CHANNELS * 36);

    let (mut grad_fine, mut grad_coarse) = ([T::zero(); CHANNELS * 36], [T::zero(); CHANNELS * 9]);
    let positives = [Positive { view: at, image: at }];
    let mut scratch = [T::zero(); 64];
    for negatives in [Negatives::WholeMap, Negatives::Window { radius: 1 }] {
        let scratch = scratch.get_mut(..info_nce_scratch_len(coarse, negatives))?;
        let (da, db) = (&mut grad_fine, &mut grad_coarse);
        info_nce(fine, coarse, &positives, negatives, T::one(), da, db, scratch).ok()?;
        let loss = InfoNce { negatives, temperature: T::one(), exclusion_radius: 1 };
        let len = InfoNce::scratch_len(&loss, coarse);
        let value = loss.forward(fine, coarse, &positives, scratch.get_mut(..len)?).ok()?;
        let (da, db) = (&mut grad_fine, &mut grad_coarse);
        (loss.backward(fine, coarse, &positives, da, db, scratch).ok()? == value).then_some(())?;
        let (view, image) = (fine, coarse);
        let level = LossLevel { view, image, loss, grad_view: &mut grad_fine, grad_image: &mut grad_coarse };
        info_nce_levels(&mut [level], &positives, scratch).ok()?;
    }

    let (mut a, mut b) = ([T::zero(); CHANNELS], [T::zero(); CHANNELS]);
    sample_feature(fine, at, &mut a).ok()?;
    sample_feature(coarse, at, &mut b).ok()?;
    let levels = [fine, coarse];
    let mut out = [T::zero(); 36];
    let plane = PlaneMut::new(&mut out, 6, 6).ok()?;
    let scratch = scratch.get_mut(..similarity_scratch_len(&levels))?;
    similarity(&levels, &[&a, &b], T::one(), plane, scratch).ok()?;
    let mut again = [T::zero(); 36];
    let plane = PlaneMut::new(&mut again, 6, 6).ok()?;
    let scratch = scratch.get_mut(..similarities_scratch_len(&levels, 1))?;
    similarities(&levels, &[&[&a, &b]], T::one(), &mut [plane], scratch).ok()?;
    let map = FeatureMap::new(
        coarse.data().get(..coarse.cells())?,
        1,
        coarse.width(),
        coarse.height(),
        coarse.stride(),
    );
    let mut resized = [T::zero(); 36];
    let plane = PlaneMut::new(&mut resized, 6, 6).ok()?;
    add_resized(map.ok()?, plane, fine.stride(), scratch.get_mut(..add_resized_scratch_len(6))?).ok()?;
    let found = peak(Plane::new(&out, 6, 6).ok()?, fine.stride())?;
    let second = highest_beyond(Plane::new(&out, 6, 6).ok()?, fine.stride(), found.at, T::from_f64(2.0))?;
    let soft = soft_peak(Plane::new(&out, 6, 6).ok()?, fine.stride(), T::from_f64(4.0), T::one())?;
    (right && again == out && found.at.is_finite() && second <= found.value && soft.value == found.value)
        .then_some(())
}

fn alignments<T: Real>(rng: &mut Rng) -> Option<()> {
    let mut matches = [Match::<T>::default(); 12];
    for m in &mut matches {
        m.from = Point::new(
            rng.uniform_in(T::zero(), T::from_usize(99)),
            rng.uniform_in(T::zero(), T::from_usize(99)),
        );
        m.to = Point::new(m.from.x + T::one(), m.from.y);
    }
    let alignment = Alignment::new(&matches, AlignOptions::default(), rng).ok()?;
    let at = alignment.predict(Point::new(T::one(), T::one())).at;
    let pulled = Alignment::affine(&alignment).ok()?.pull(Point::new(T::one(), T::one()));
    (alignment.inliers() == 12 && at.is_finite() && pulled.is_finite()).then_some(())
}

fn measurements() -> Option<()> {
    let spacing = Spacing::new(0.5, 0.5).ok()?;
    let [a, b, c] =
        [(0.0, 0.0), (6.0, 0.0), (0.0, 8.0)].map(|(x, y)| Point::in_mm(Point::new(x, y), spacing));
    let side = length(b, c)?;
    let right = side.value == 5.0
        && (error_bound(&side.gradient, &[1.0, 2.0]) - 3.0).abs() < 1e-12
        && (angle_at(b, a, c)?.value.to_degrees() - 90.0).abs() < 1e-12
        && (angle_between(a, c, a, b)?.value.to_degrees() + 90.0).abs() < 1e-12
        && distance_to_line(c, a, b)?.value == 4.0
        && projected_length(b, c, a, b)?.value == -3.0
        && horizontal_extent(b, c)?.value == 3.0
        && vertical_extent(b, c)?.value == 4.0
        && midpoint(b, c) == Point::new(1.5, 2.0);
    right.then_some(())
}

fn scores(rng: &mut Rng) -> Option<()> {
    let spacing = Spacing::new(0.1, 0.2).ok()?;
    let found = Point::new(30.0, 20.0);
    let error = radial_error_mm(found, Point::new(0.0, 0.0), spacing);
    let errors = [error, 1.0, 2.0, 3.0];
    let mut scratch = [0.0; 50];
    let statistic = Statistic::Sdr { radius_mm: 2.5 };
    let bound = conformal_bound(&mut [0.5; 9], 1, 0.9).ok()?;
    let interval = bootstrap_interval(&errors, 2, statistic, 0.9, rng, &mut scratch).ok()?;
    let right = error == 5.0
        && bound == 0.5
        && mean(&errors) == Some(2.75)
        && sdr(&errors, 2.0) == Some(0.25)
        && Statistic::of(Statistic::MeanRadialError, &errors) == Some(2.75)
        && interval.low <= interval.high;
    right.then_some(())
}
