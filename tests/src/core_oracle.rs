//! Naive twins, in `f64`, of the fast routines of the core, and how far these may be from them.

use infomark_core::{
    Border, FeatureMap, Interpolation, Negatives, Pixel, Plane, Point, Positive, Real, Tone,
};

/// Allowed absolute differences between a routine and its naive twin.
pub mod tolerance {
    /// Entropy in nats, `f64` output.
    pub const ENTROPY_F64: f64 = 1e-6;
    /// Entropy in nats, `f32` output: one unit in the last place of 5.5 more.
    pub const ENTROPY_F32: f64 = 2e-6;
    /// Loss of one positive, `f64`.
    pub const LOSS_F64: f64 = 1e-10;
    /// Loss of one positive with logits up to 30, `f32`.
    pub const LOSS_F32: f64 = 2e-4;
    /// Gradient against central differences in `f64`.
    pub const GRADIENT: f64 = 1e-6;
    /// Similarity map, `f64`.
    pub const SIMILARITY: f64 = 1e-10;
    /// Values of a view with pixels in `[0, 1]`, `f64`: coordinates have 32 fractional bits.
    pub const VIEW_F64: f64 = 1e-7;
    /// Values of a view with pixels in `[0, 1]`, `f32`: weights have 24 bits.
    pub const VIEW_F32: f64 = 2e-6;
    /// Grey levels of a view, a tone or a blur of `u8`, half of one being the rounding.
    pub const GREY_U8: f64 = 1.0;
    /// Blur with pixels in `[0, 1]`, `f64` and `f32`.
    pub const BLUR: (f64, f64) = (1e-12, 1e-5);
    /// Quantiles of the normal distribution, relative to their size.
    pub const QUANTILE: f64 = 2e-7;
    /// Positions that go through an elastic field and back, in pixels, `f64`.
    pub const ELASTIC: f64 = 1e-9;
    /// Positions that go through a rotation and back, in pixels, `f64`.
    pub const POSITION: f64 = 1e-9;
}

/// The columns or rows of the window of side `k` around `at`, cut off at the border.
pub fn window(at: usize, k: usize, size: usize) -> std::ops::Range<usize> {
    at.saturating_sub(k / 2)..at.saturating_add((k - 1) / 2).min(size - 1) + 1
}

/// Entropy, in nats, of the window of side `k` around a pixel, by its definition.
pub fn entropy(image: Plane<'_, u8>, k: usize, x: usize, y: usize) -> f64 {
    let mut counts = [0u32; 256];
    let mut pixels = 0u32;
    for row in window(y, k, image.height()) {
        for &level in &image.row(row)[window(x, k, image.width())] {
            counts[usize::from(level)] += 1;
            pixels += 1;
        }
    }
    let share = |count: &u32| f64::from(*count) / f64::from(pixels);
    -counts.iter().filter(|&&count| count > 0).map(share).map(|p| p * p.ln()).sum::<f64>()
}

/// The loss of one positive, by its definition; without the shift that keeps exponentials finite.
pub fn info_nce(
    view: FeatureMap<'_, f64>,
    image: FeatureMap<'_, f64>,
    positive: Positive<f64>,
    negatives: Negatives,
    temperature: f64,
) -> f64 {
    let cell = |map: FeatureMap<'_, f64>, p: Point<f64>| {
        let index = |p: f64, size: usize| {
            let stride = map.stride() as f64;
            ((p + 0.5) / stride).floor().clamp(0.0, (size - 1) as f64) as usize
        };
        (index(p.x, map.width()), index(p.y, map.height()))
    };
    let at = |map: FeatureMap<'_, f64>, channel: usize, (x, y): (usize, usize)| {
        map.data()[(channel * map.height() + y) * map.width() + x]
    };
    let anchor = cell(view, positive.view);
    let truth = cell(image, positive.image);
    let logit = |place: (usize, usize)| {
        (0..image.channels()).map(|c| at(view, c, anchor) * at(image, c, place)).sum::<f64>() / temperature
    };
    let mut sum = 0.0;
    for y in 0..image.height() {
        for x in 0..image.width() {
            let among = match negatives {
                Negatives::WholeMap => true,
                Negatives::Window { radius } => {
                    x.abs_diff(truth.0) <= radius && y.abs_diff(truth.1) <= radius
                }
            };
            if among {
                sum += logit((x, y)).exp();
            }
        }
    }
    sum.ln() - logit(truth)
}

/// The value at a place given in cells, linear between cells, the border continued.
pub fn bilinear<T: Real>(map: Plane<'_, T>, x: f64, y: f64) -> f64 {
    let value = |x: f64, y: f64| {
        let column = x.clamp(0.0, (map.width() - 1) as f64) as usize;
        let row = y.clamp(0.0, (map.height() - 1) as f64) as usize;
        map.row(row)[column].as_f64()
    };
    let (left, top) = (x.floor(), y.floor());
    let (u, v) = (x - left, y - top);
    (1.0 - v) * ((1.0 - u) * value(left, top) + u * value(left + 1.0, top))
        + v * ((1.0 - u) * value(left, top + 1.0) + u * value(left + 1.0, top + 1.0))
}

/// The weight of a pixel at a distance from a place.
fn weight(interpolation: Interpolation, distance: f64) -> f64 {
    let d = distance.abs();
    match interpolation {
        Interpolation::Nearest => f64::from((-0.5..0.5).contains(&-distance)),
        Interpolation::Bilinear => (1.0 - d).max(0.0),
        Interpolation::Bicubic if d < 1.0 => 1.5 * d.powi(3) - 2.5 * d.powi(2) + 1.0,
        Interpolation::Bicubic if d < 2.0 => -0.5 * d.powi(3) + 2.5 * d.powi(2) - 4.0 * d + 2.0,
        Interpolation::Bicubic => 0.0,
    }
}

/// The pixel shown at an index that may lie outside, by walking there.
pub fn mirrored(index: i64, size: usize) -> usize {
    let last = size as i64 - 1;
    let mut at = index;
    while !(0..=last).contains(&at) {
        at = if at < 0 { -1 - at } else { 2 * last + 1 - at };
    }
    at as usize
}

/// The value at a place, by the definition of an interpolation and a border.
pub fn sample<P: Pixel>(
    src: Plane<'_, P>,
    at: Point<f64>,
    interpolation: Interpolation,
    border: Border<P>,
) -> f64 {
    let on = |v: f64, size: usize| v >= -0.5 && v < size as f64 - 0.5;
    if let Border::Value(value) = border
        && !(on(at.x, src.width()) && on(at.y, src.height()))
    {
        return value.to_work().as_f64();
    }
    let index = |i: i64, size: usize| match border {
        Border::Mirror => mirrored(i, size),
        _ => i.clamp(0, size as i64 - 1) as usize,
    };
    let (left, top) = (at.x.floor() as i64, at.y.floor() as i64);
    let mut sum = 0.0;
    for y in top - 2..=top + 3 {
        for x in left - 2..=left + 3 {
            let weight = weight(interpolation, x as f64 - at.x) * weight(interpolation, y as f64 - at.y);
            if weight != 0.0 {
                let pixel = src.row(index(y, src.height()))[index(x, src.width())];
                sum += weight * pixel.to_work().as_f64();
            }
        }
    }
    sum
}

/// A tone of pixels in `[0, 1]`, by its definition.
pub fn tone(tone: Tone<f64>, pixels: &[f64]) -> Vec<f64> {
    let bright: Vec<f64> = pixels.iter().map(|v| (v * tone.brightness).clamp(0.0, 1.0)).collect();
    let mean = bright.iter().sum::<f64>() / bright.len() as f64;
    let blend = |v: &f64| (tone.contrast * v + (1.0 - tone.contrast) * mean).clamp(0.0, 1.0);
    bright.iter().map(|v| blend(v).powf(tone.gamma)).collect()
}

/// A pixel of a blurred image, by one sum over both directions.
pub fn blur<P: Pixel>(src: Plane<'_, P>, sigma: f64, x: usize, y: usize) -> f64 {
    let radius = (3.0 * sigma).ceil() as i64;
    let weight = |k: i64| if k == 0 { 1.0 } else { (-0.5 * (k as f64 / sigma).powi(2)).exp() };
    let total: f64 = (-radius..=radius).map(weight).sum();
    let mut sum = 0.0;
    for j in -radius..=radius {
        for i in -radius..=radius {
            let row = src.row(mirrored(y as i64 + j, src.height()));
            let pixel = row[mirrored(x as i64 + i, src.width())].to_work().as_f64();
            sum += weight(i) * weight(j) / (total * total) * pixel;
        }
    }
    sum
}

/// The displacement of an elastic field, as a sum over all controls.
pub fn displacement(
    controls: &[Point<f64>],
    (width, height): (usize, usize),
    spacing: usize,
    at: Point<f64>,
) -> Point<f64> {
    let basis = |d: f64| match d.abs() {
        d if d < 1.0 => 2.0 / 3.0 - d * d + d.powi(3) / 2.0,
        d if d < 2.0 => (2.0 - d).powi(3) / 6.0,
        _ => 0.0,
    };
    let columns = width / spacing + 4;
    let x = at.x.clamp(-0.5, width as f64 - 0.5);
    let y = at.y.clamp(-0.5, height as f64 - 0.5);
    let mut sum = Point::new(0.0, 0.0);
    for (index, control) in controls.iter().enumerate() {
        let place = |i: usize| (i as f64 - 1.0) * spacing as f64 - 0.5;
        let (i, j) = (index % columns, index / columns);
        let weight = basis((x - place(i)) / spacing as f64) * basis((y - place(j)) / spacing as f64);
        sum.x += weight * control.x;
        sum.y += weight * control.y;
    }
    sum
}

/// The share of a standard normal distribution below `z`, by Marsaglia's series.
pub fn normal_share(z: f64) -> f64 {
    let (mut term, mut sum, mut k) = (z, z, 1.0);
    while sum + term != sum {
        k += 2.0;
        term *= z * z / k;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt()
}
