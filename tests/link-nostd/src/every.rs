//! Calls every public function of the core once, on the stack. Shared by the proof that the core
//! links without an allocator and by the one that it does not allocate.

use infomark_core::{
    Binning, Border, EntropyMap, FeatureMap, Grey, InfoNce, IntensityRange, LossLevel, Negatives,
    Neighbourhood, Plane, PlaneMut, Point, Positive, Real, Rng, Sampler, Spacing, Statistic, Thresholds,
    Tier, TierPolicy, Tone, Warp, Weighting, bootstrap_interval, entropy_map, entropy_scratch_len, info_nce,
    info_nce_levels, info_nce_scratch_len, mean, peak, philox4x32, radial_error_mm, sample_feature, sdr,
    similarity, similarity_scratch_len, tier_map, weight_map,
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
    views::<T>(&image, &mut rng)?;
    features::<T>(&mut rng)?;
    scores(&mut rng)
}

fn planes() -> Option<()> {
    let data = [1u8, 2, 3, 4, 5, 6];
    let plane = Plane::with_stride(&data, 2, 2, 3).ok()?;
    let part = plane.crop(1, 1, 1, 1).ok()?;
    let sum: u8 = plane.rows().flatten().sum();
    let mut data = data;
    let mut out = PlaneMut::with_stride(&mut data, 2, 2, 3).ok()?;
    out.fill(7);
    out.row_mut(1)[0] = 8;
    let right = out.set(1, 1, 9)
        && !out.set(2, 0, 1)
        && out.get(1, 1) == Some(9)
        && out.row(0) == [7, 7]
        && out.reborrow().crop(0, 1, 1, 1).ok()?.get(0, 0) == Some(8)
        && out.as_plane().row(1) == [8, 9]
        && (out.width(), out.height(), out.is_empty()) == (2, 2, false)
        && (plane.width(), plane.height(), plane.is_empty()) == (2, 2, false)
        && part.get(0, 0) == Some(5)
        && sum == 12;
    right.then_some(())
}

fn numbers<T: Real>() -> Option<()> {
    let one = T::one();
    let close = |a: T, b: f64| (a.as_f64() - b).abs() < 1e-6;
    let mut rng = Rng::new(1, 2);
    rng.next_u32();
    let mut again = Rng::new(1, 2);
    again.seek(rng.counter());
    let right = close(one.exp().ln(), 1.0)
        && close(T::from_f64(2.0).sqrt().pow(T::from_usize(4)), 4.0)
        && close(one.sin().hypot(one.cos()), 1.0)
        && T::from_f64(-0.5).floor_to_i64() == -1
        && T::unit_from_bits(u64::MAX) < one
        && rng.next_u64() == again.next_u64()
        && rng.uniform_in(one, one) == one
        && rng.uniform::<T>() < one
        && rng.normal::<T>().is_finite()
        && philox4x32([0; 4], [0; 2])[0] == 0x6627_e8d5
        && Point::new(one, one).cast::<f64>().resized(2.0, 2.0).is_finite();
    right.then_some(())
}

fn entropies<T: Real>(image: &[u8]) -> Option<()> {
    let binning = Binning::<16>::new(10, 180).ok()?;
    let mut bins = [0; PIXELS];
    let image = Plane::new(image, SIDE, SIDE).ok()?;
    binning.apply(image, PlaneMut::new(&mut bins, SIDE, SIDE).ok()?).ok()?;
    let bins = Plane::new(&bins, SIDE, SIDE).ok()?;
    let maps = [
        EntropyMap::new(Neighbourhood::Square { side: 5 }).border(Border::Reflect),
        EntropyMap::square(4).step(3),
        EntropyMap::disk(2).border(Border::Clamp),
    ];
    let mask = [true; PIXELS];
    let mask = Plane::new(&mask, SIDE, SIDE).ok()?;
    let mut out = [T::zero(); PIXELS];
    let mut scratch = [0; PIXELS];
    for map in maps {
        let scratch = scratch.get_mut(..map.scratch_len(SIDE, SIDE))?;
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
    let (x, y) = sampler.draw(rng);
    let tier = thresholds.tier(entropy.get(x, y)?);
    (sampler.total() > 0.0 && tiers[y * SIDE + x] == tier).then_some(())
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
    let mut out = PlaneMut::new(&mut view, warp.width(), warp.height()).ok()?;
    warp.resample(image, out.reborrow(), T::zero()).ok()?;
    warp.push(warp.pull(Point::new(T::one(), T::one())))?;

    let gamma = (T::from_f64(0.8), T::from_f64(1.2));
    let range = IntensityRange::new(gamma, gamma, gamma).ok()?;
    TierPolicy::uniform(range).range(Tier::Low).draw(rng);
    let tone = TierPolicy::published().range(Tier::High).draw(rng);
    tone.apply_in_place(out).ok()?;
    let mut copy = pixels;
    let out = PlaneMut::new(&mut copy, SIDE, SIDE).ok()?;
    range.draw(rng).apply(image, out).ok()?;
    (IntensityRange::<T>::identity().draw(rng) == Tone::identity()).then_some(())
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
        && (fine.channels(), fine.width(), fine.height()) == (CHANNELS, 6, 6)
        && (fine.stride(), fine.cells(), fine.data().len()) == (2, 36, CHANNELS * 36);

    let (mut grad_fine, mut grad_coarse) = ([T::zero(); CHANNELS * 36], [T::zero(); CHANNELS * 9]);
    let positives = [Positive { view: at, image: at }];
    let mut scratch = [T::zero(); 36];
    for negatives in [Negatives::WholeMap, Negatives::Window { radius: 1 }] {
        let scratch = scratch.get_mut(..info_nce_scratch_len(coarse, negatives))?;
        let (da, db) = (&mut grad_fine, &mut grad_coarse);
        info_nce(fine, coarse, &positives, negatives, T::one(), da, db, scratch).ok()?;
        let loss = InfoNce { negatives, temperature: T::one(), ignored: 1 };
        let value =
            loss.forward(fine, coarse, &positives, scratch.get_mut(..loss.scratch_len(coarse))?).ok()?;
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
    let found = peak(Plane::new(&out, 6, 6).ok()?, fine.stride())?;
    (right && found.at.is_finite()).then_some(())
}

fn scores(rng: &mut Rng) -> Option<()> {
    let spacing = Spacing::new(0.1, 0.2).ok()?;
    let found = Point::new(30.0, 20.0);
    let error = radial_error_mm(found, Point::new(0.0, 0.0), spacing);
    let errors = [error, 1.0, 2.0, 3.0];
    let mut scratch = [0.0; 50];
    let statistic = Statistic::Sdr { radius_mm: 2.5 };
    let interval = bootstrap_interval(&errors, 2, statistic, 0.9, rng, &mut scratch).ok()?;
    let right = error == 5.0
        && mean(&errors) == Some(2.75)
        && sdr(&errors, 2.0) == Some(0.25)
        && Statistic::Mean.of(&errors) == Some(2.75)
        && interval.low <= interval.high;
    right.then_some(())
}
