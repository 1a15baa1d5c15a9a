//! What the fuzz targets of the core do with their bytes. Ordinary functions, so that a test can
//! replay the corpus; each panics when the core breaks a promise.

mod align;
mod guidance;

pub use align::align;
pub use guidance::{intensity, keypoints, mutual, psi_cut, samplers};

use crate::core_oracle::{self, tolerance};
use infomark_core::{
    Affine, Border, ContrastRule, Elastic, EntropyMap, FeatureMap, IntensityJitter, Interpolation, Negatives,
    Neighbourhood, PatchBorder, Plane, PlaneMut, Point, Positive, Rng, View, Warp, elastic_controls_len,
    entropy_map, entropy_scratch_len, info_nce as core_info_nce, info_nce_scratch_len, local_contrast,
    local_contrast_scratch_len, peak, sample_feature, similarities, similarities_scratch_len, similarity,
    similarity_scratch_len, soft_peak,
};

/// Reads numbers from the front of the input; zeros when it is used up.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((&first, rest)) => {
                self.0 = rest;
                first
            }
            None => 0,
        }
    }

    /// From 1 to `most`.
    fn size(&mut self, most: u8) -> usize {
        usize::from(self.byte() % most) + 1
    }

    /// Any number at all, NaN and infinities included.
    fn any(&mut self) -> f32 {
        f32::from_bits(u32::from_le_bytes(std::array::from_fn(|_| self.byte())))
    }

    /// From -1 to 1.
    fn small(&mut self) -> f32 {
        f32::from(self.byte()) / 127.5 - 1.0
    }

    fn smalls(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| self.small()).collect()
    }
}

/// Entropy of any image and window equals the definition.
pub fn entropy(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(24), bytes.size(24));
    let stride = width + usize::from(bytes.byte() % 4);
    let k = usize::from(bytes.byte());
    let pixels: Vec<u8> = (0..stride * height).map(|_| bytes.byte()).collect();
    let mut out = vec![f64::NAN; width * height];
    let mut scratch = vec![u64::MAX; entropy_scratch_len(k, width, height)];
    let Ok(image) = Plane::with_stride(&pixels, width, height, stride) else {
        return;
    };
    let Ok(plane) = PlaneMut::new(&mut out, width, height) else {
        return;
    };
    let done = entropy_map(image, k, plane, &mut scratch);
    assert_eq!(done.is_ok(), k > 0);
    if k == 0 {
        return;
    }
    for (i, &h) in out.iter().enumerate() {
        let naive = core_oracle::entropy(image, k, i % width, i / width);
        assert!((h - naive).abs() <= tolerance::ENTROPY_F64, "{h} is not {naive}");
        assert!(h >= 0.0);
    }
}

/// Entropy in any shape, with any border, step and mask, equals the definition.
pub fn entropy_shapes(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(20), bytes.size(20));
    let kind = bytes.byte();
    let reach = usize::from(bytes.byte() % 24);
    let neighbourhood = match kind & 1 {
        0 => Neighbourhood::Square { side: reach },
        _ => Neighbourhood::Disk { radius: reach },
    };
    let border = [PatchBorder::Cut, PatchBorder::Mirror, PatchBorder::Clamp][usize::from(kind >> 1) % 3];
    let step = usize::from(bytes.byte() % 8);
    let map = EntropyMap::new(neighbourhood).border(border).step(step);
    let levels = bytes.byte();
    let pixels: Vec<u8> = (0..width * height).map(|_| bytes.byte() & levels).collect();
    let kept: Vec<bool> = (0..width * height).map(|_| bytes.byte() & 3 != 1).collect();
    let (Ok(image), Ok(mask)) = (Plane::new(&pixels, width, height), Plane::new(&kept, width, height)) else {
        return;
    };
    let mask = (kind & 128 != 0).then_some(mask);
    let (out_width, out_height) = map.output_size(width, height);
    let mut out = vec![f64::NAN; out_width * out_height];
    let mut scratch = vec![u64::MAX; map.scratch_len(width, height)];
    let Ok(plane) = PlaneMut::new(&mut out, out_width, out_height) else { return };
    let done = match mask {
        None => map.compute(image, plane, &mut scratch),
        Some(mask) => map.compute_masked(image, mask, plane, &mut scratch),
    };
    let good = step > 0 && neighbourhood != Neighbourhood::Square { side: 0 };
    assert_eq!(done.is_ok(), good, "{done:?}");
    for (i, &h) in out.iter().enumerate().filter(|_| good) {
        let (x, y) = (i % out_width * step, i / out_width * step);
        let naive = core_oracle::entropy_of(image, mask, neighbourhood, border, x, y);
        assert!((h - naive).abs() <= tolerance::ENTROPY_F64, "{h} is not {naive}");
    }
}

/// A warp that is accepted gives values of the source or the border, and undoes itself.
pub fn warp(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(16), bytes.size(16));
    let (view_width, view_height) = (bytes.size(16), bytes.size(16));
    let (centre, angle, scale) = (Point::new(bytes.any(), bytes.any()), bytes.any(), bytes.any());
    let pixels = bytes.smalls(width * height);
    let mut out = vec![f32::NAN; view_width * view_height];
    let Ok(warp) = Warp::new(centre, angle, scale, view_width, view_height) else {
        return;
    };
    let (Ok(src), Ok(dst)) =
        (Plane::new(&pixels, width, height), PlaneMut::new(&mut out, view_width, view_height))
    else {
        return;
    };
    assert!(warp.resample(src, dst, 2.0).is_ok());
    // The mix of two values may be a rounding error outside of them.
    let limits = |v: f32| v == 2.0 || (-1.00001..=1.00001).contains(&v);
    assert!(out.iter().all(|&v| limits(v)), "{out:?}");
    let tame = |v: f32| v.abs() < 1e3;
    if tame(centre.x) && tame(centre.y) && (0.1..10.0).contains(&scale.abs()) {
        let middle = Point::new((view_width - 1) as f32 / 2.0, (view_height - 1) as f32 / 2.0);
        let back = warp.push(warp.pull(middle));
        assert!(
            back.is_some_and(|p| (p.x - middle.x).hypot(p.y - middle.y) < 0.02),
            "{middle:?} came back as {back:?}"
        );
    }
}

/// The loss of any features and points is a number of at least 0, and gradients stay finite.
pub fn info_nce(data: &[u8]) {
    let mut bytes = Bytes(data);
    let channels = bytes.size(5);
    let (vw, vh, vs) = (bytes.size(6), bytes.size(6), bytes.size(8));
    let (iw, ih, is) = (bytes.size(12), bytes.size(12), bytes.size(8));
    let negatives = match bytes.byte() {
        255 => Negatives::WholeMap,
        254 => Negatives::Window { radius: usize::MAX },
        radius => Negatives::Window { radius: usize::from(radius % 16) },
    };
    let temperature = bytes.any();
    let count = bytes.byte() % 4;
    let positives: Vec<_> = (0..count)
        .map(|_| Positive {
            view: Point::new(bytes.any(), bytes.any()),
            image: Point::new(bytes.any(), bytes.any()),
        })
        .collect();
    let (a, b) = (bytes.smalls(channels * vw * vh), bytes.smalls(channels * iw * ih));
    let (Ok(view), Ok(image)) =
        (FeatureMap::new(&a, channels, vw, vh, vs), FeatureMap::new(&b, channels, iw, ih, is))
    else {
        return;
    };
    let (mut da, mut db) = (vec![0.0; a.len()], vec![0.0; b.len()]);
    let mut scratch = vec![f32::NAN; info_nce_scratch_len(image, negatives)];
    let loss = core_info_nce(view, image, &positives, negatives, temperature, &mut da, &mut db, &mut scratch);
    let usable = temperature.is_finite()
        && temperature > 0.0
        && positives.iter().all(|p| p.view.is_finite() && p.image.is_finite());
    assert_eq!(loss.is_ok(), usable);
    if let Ok(loss) = loss
        && temperature > 1e-3
    {
        assert!(loss.is_finite() && loss >= -1e-4, "loss {loss}");
        assert!(da.iter().chain(&db).all(|g| g.is_finite()));
    }
}

/// Any levels give a similarity map within its bounds and a peak inside the image.
pub fn locate(data: &[u8]) {
    let mut bytes = Bytes(data);
    let channels = bytes.size(4);
    let shapes = [(); 3].map(|()| (bytes.size(9), bytes.size(9), bytes.size(8)));
    let at = Point::new(bytes.any(), bytes.any());
    let maps = shapes.map(|(w, h, _)| bytes.smalls(channels * w * h));
    let mut levels = Vec::new();
    for (map, (w, h, stride)) in maps.iter().zip(shapes) {
        if let Ok(level) = FeatureMap::new(map, channels, w, h, stride) {
            levels.push(level);
        }
    }
    let mut template = vec![vec![0.0f32; channels]; levels.len()];
    for (feature, &level) in template.iter_mut().zip(&levels) {
        assert_eq!(sample_feature(level, at, feature).is_ok(), at.is_finite());
        let length = feature.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!(length < 1e-6 || (length - 1.0).abs() < 1e-4, "length {length}");
    }
    let Some(finest) = levels.iter().min_by_key(|level| level.stride()) else {
        return;
    };
    let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
    let mut out = vec![f32::NAN; width * height];
    let mut scratch = vec![f32::NAN; similarity_scratch_len(&levels)];
    let Ok(plane) = PlaneMut::new(&mut out, width, height) else {
        return;
    };
    let features: Vec<&[f32]> = template.iter().map(Vec::as_slice).collect();
    assert!(similarity(&levels, &features, 0.1, plane, &mut scratch).is_ok());
    // Features have elements up to 1, so lengths up to 2; three levels at a temperature of 0.1.
    assert!(out.iter().all(|v| v.abs() <= 60.01), "{out:?}");
    let mut twice = vec![f32::NAN; 2 * width * height];
    let (first, second) = twice.split_at_mut(width * height);
    let (Ok(first), Ok(second)) = (PlaneMut::new(first, width, height), PlaneMut::new(second, width, height))
    else {
        return;
    };
    let mut scratch = vec![f32::NAN; similarities_scratch_len(&levels, 2)];
    let both = similarities(&levels, &[&features, &features], 0.1, &mut [first, second], &mut scratch);
    assert!(both.is_ok() && twice.chunks_exact(width * height).all(|map| map == out));
    let Ok(plane) = Plane::new(&out, width, height) else {
        return;
    };
    let found = peak(plane, stride);
    let inside = |p: f32, size: usize| p >= -0.5 && p <= (size * stride) as f32 - 0.5;
    assert!(found.is_some_and(|f| inside(f.at.x, width) && inside(f.at.y, height)), "{found:?}");
    let (radius, temperature) = (at.x, at.y);
    let soft = soft_peak(plane, stride, radius, temperature);
    assert_eq!(soft.is_some(), !radius.is_nan() && temperature.is_finite() && temperature > 0.0);
    assert!(soft.is_none_or(|f| inside(f.at.x, width) && inside(f.at.y, height)), "{soft:?}");
}

/// Any image of integers takes the tones that are accepted, as floats do.
pub fn tone(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(16), bytes.size(16));
    let exotic = bytes.byte() % 4 == 0;
    let mut factor = || if exotic { bytes.any() } else { bytes.small() + 1.0 };
    let tone = IntensityJitter { brightness: factor(), contrast: factor(), gamma: factor() };
    let levels: Vec<u8> = (0..width * height).map(|_| bytes.byte()).collect();
    let wide: Vec<u16> = levels.iter().map(|&v| u16::from(v) * 257).collect();
    let (mut out, mut out_wide) = (vec![0; levels.len()], wide.clone());
    let (Ok(src), Ok(dst), Ok(wide)) = (
        Plane::new(&levels, width, height),
        PlaneMut::new(&mut out, width, height),
        PlaneMut::new(&mut out_wide, width, height),
    ) else {
        return;
    };
    let factors = [tone.brightness, tone.contrast, tone.gamma];
    let usable = factors.iter().all(|v| v.is_finite() && *v >= 0.0) && tone.gamma > 0.0;
    assert_eq!(tone.apply_u8(src, dst).is_ok(), usable);
    assert_eq!(tone.apply_u16_in_place(wide).is_ok(), usable);
    if !usable {
        return;
    }
    let mut floats: Vec<f32> = levels.iter().map(|&v| f32::from(v) / 255.0).collect();
    if let Ok(image) = PlaneMut::new(&mut floats, width, height) {
        assert!(tone.apply_in_place(image).is_ok());
    }
    for ((&level, &wide), &float) in out.iter().zip(&out_wide).zip(&floats) {
        assert!((0.0..=1.0).contains(&float), "{float}");
        // The steepest tones amplify rounding.
        if factors.iter().all(|v| (0.25..=3.0).contains(v)) {
            assert!((f32::from(level) - float * 255.0).abs() <= 1.0, "{level} is not {float}");
            assert!((f32::from(wide) / 257.0 - float * 255.0).abs() <= 0.5, "{wide} is not {float}");
        }
    }
}

/// An affine view that is accepted equals the definition, with every kind of pixel and border.
pub fn affine(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(12), bytes.size(12));
    let (view_width, view_height) = (bytes.size(12), bytes.size(12));
    let exotic = bytes.byte() % 4 == 0;
    let kind = bytes.byte();
    let interpolation =
        [Interpolation::Nearest, Interpolation::Bilinear, Interpolation::Bicubic][usize::from(kind % 3)];
    let mut number = |scale: f32| f64::from(if exotic { bytes.any() } else { bytes.small() * scale });
    let matrix = [(); 2].map(|()| [number(2.0), number(2.0), number(12.0)]);
    let levels: Vec<u8> = (0..width * height).map(|_| bytes.byte()).collect();
    let floats: Vec<f64> = levels.iter().map(|&v| f64::from(v)).collect();
    let Ok(view) = Affine::new(matrix).and_then(|map| View::new(map, view_width, view_height)) else {
        return;
    };
    let (border, float_border) = [
        (Border::Value(9), Border::Value(9.0)),
        (Border::Clamp, Border::Clamp),
        (Border::Mirror, Border::Mirror),
    ][usize::from(kind / 3 % 3)];
    let pixels = view_width * view_height;
    let (mut out, mut float_out, mut mask) = (vec![1; pixels], vec![f64::NAN; pixels], vec![true; pixels]);
    let (Ok(src), Ok(float_src)) = (Plane::new(&levels, width, height), Plane::new(&floats, width, height))
    else {
        return;
    };
    if let (Ok(dst), Ok(float_dst), Ok(mask)) = (
        PlaneMut::new(&mut out, view_width, view_height),
        PlaneMut::new(&mut float_out, view_width, view_height),
        PlaneMut::new(&mut mask, view_width, view_height),
    ) {
        assert!(view.resample(src, dst, interpolation, border).is_ok());
        assert!(view.resample(float_src, float_dst, interpolation, float_border).is_ok());
        assert!(view.mask(width, height, mask).is_ok());
    }
    for i in 0..pixels {
        let level = f64::from(out[i]);
        assert!((level - float_out[i].clamp(0.0, 255.0)).abs() <= 1.0, "{level} is not {}", float_out[i]);
        if matches!(border, Border::Value(_)) && !mask[i] {
            assert_eq!((out[i], float_out[i]), (9, 9.0));
        }
        let at = view.pull(Point::new((i % view_width) as f64, (i / view_width) as f64));
        let edge = |v: f64| ((v + 0.5) - (v + 0.5).round()).abs() < 1e-6 || v.abs() > 1e3;
        if !edge(at.x) && !edge(at.y) {
            let naive = core_oracle::sample(float_src, at, interpolation, float_border);
            assert!(
                (float_out[i] - naive).abs() < 255.0 * tolerance::VIEW_F64,
                "{} is not {naive}",
                float_out[i]
            );
            let on = |v: f64, size: usize| v >= -0.5 && v < size as f64 - 0.5;
            assert_eq!(mask[i], on(at.x, width) && on(at.y, height));
        }
    }
}

/// An elastic field that is accepted undoes itself and makes views of values of the source.
pub fn elastic(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height, spacing) = (bytes.size(12), bytes.size(12), usize::from(bytes.byte() % 16));
    let exotic = bytes.byte() % 4 == 0;
    let (angle, zoom) = (f64::from(bytes.small() * 4.0), f64::from(bytes.small() * 3.0));
    let centre = Point::new(f64::from(bytes.small() * 20.0), f64::from(bytes.small() * 20.0));
    let amplitude = if exotic { bytes.any() } else { bytes.small().abs() * spacing as f32 / 5.0 };
    let view = Affine::rotation(angle)
        .and_then(|map| map.then(&Affine::scaling(zoom, 1.0)?))
        .and_then(|map| View::around(centre, &map, width, height));
    let Ok(view) = view else {
        return;
    };
    let mut controls = vec![Point::new(0f64, 0.0); elastic_controls_len(width, height, spacing)];
    let seed = u64::from(bytes.byte());
    let amplitude = f64::from(amplitude);
    let drawn = Elastic::draw(view, spacing, amplitude, &mut Rng::new(seed, 0), &mut controls).is_ok();
    if !exotic {
        assert_eq!(drawn, spacing > 0);
    }
    // A few controls of any size.
    for _ in 0..bytes.byte() % 4 {
        let index = usize::from(bytes.byte()) % controls.len().max(1);
        let value = Point::new(f64::from(bytes.any()), f64::from(bytes.any()));
        if let Some(control) = controls.get_mut(index) {
            *control = value;
        }
    }
    let Ok(elastic) = Elastic::new(view, spacing, &controls) else {
        return;
    };
    let place = Point::new(bytes.small(), bytes.small());
    let at = Point::new(f64::from(place.x + 1.0) / 2.0 * (width - 1) as f64, f64::from(place.y));
    let at = Point::new(at.x, (at.y + 1.0) / 2.0 * (height - 1) as f64);
    let moved = elastic.displacement(at);
    if moved.x.abs().max(moved.y.abs()) < 1e3 && zoom.abs() > 1e-2 {
        let back = elastic.push(elastic.pull(at));
        let off = back.map(|back| (back.x - at.x).hypot(back.y - at.y));
        assert!(off.is_some_and(|off| off < 1e-6), "{at:?} came back as {back:?}");
    }
    let levels: Vec<u8> = (0..49).map(|_| bytes.byte() % 100).collect();
    let mut out = vec![255; width * height];
    if let (Ok(src), Ok(dst)) = (Plane::new(&levels, 7, 7), PlaneMut::new(&mut out, width, height)) {
        assert!(elastic.resample(src, dst, Interpolation::Bilinear, Border::Mirror).is_ok());
    }
    assert!(out.iter().all(|&v| v < 100), "{out:?}");
}

/// Local contrast equals its definition, and stays in range whatever the pixels and the rule are.
pub fn contrast(data: &[u8]) {
    let mut bytes = Bytes(data);
    let (width, height) = (bytes.size(12), bytes.size(12));
    let exotic = bytes.byte() % 4 == 0;
    let rule = if exotic {
        ContrastRule { sigma_px: bytes.any(), gain: bytes.any(), floor: bytes.any() }
    } else {
        ContrastRule { sigma_px: 0.1 + 8.0 * bytes.small().abs(), gain: 0.2, floor: 0.02 }
    };
    let pixels: Vec<f32> =
        (0..width * height).map(|_| if exotic { bytes.any() } else { bytes.small().abs() }).collect();
    let mut scratch = vec![f32::NAN; local_contrast_scratch_len(width, height, f64::from(rule.sigma_px))];
    let mut out = vec![f32::NAN; pixels.len()];
    let (Ok(src), Ok(dst)) = (Plane::new(&pixels, width, height), PlaneMut::new(&mut out, width, height))
    else {
        return;
    };
    let positive = |v: f32| v.is_finite() && v > 0.0;
    let usable =
        positive(rule.gain) && positive(rule.floor) && positive(rule.sigma_px) && rule.sigma_px <= 1024.0;
    let done = local_contrast(src, dst, rule, &mut scratch);
    assert_eq!(done.is_ok(), usable && pixels.iter().all(|v| v.is_finite()), "{done:?}");
    if done.is_ok() {
        assert!(out.iter().all(|v| (0.0..=1.0).contains(v)), "{out:?}");
    }
    if !exotic {
        let wide: Vec<f64> = pixels.iter().map(|v| f64::from(*v)).collect();
        let Ok(src) = Plane::new(&wide, width, height) else { return };
        let rule = ContrastRule { sigma_px: f64::from(rule.sigma_px), gain: 0.2, floor: 0.02 };
        for (value, naive) in out.iter().zip(core_oracle::local_contrast(src, rule)) {
            assert!((f64::from(*value) - naive).abs() < tolerance::CONTRAST.1, "{value} is not {naive}");
        }
    }
}
