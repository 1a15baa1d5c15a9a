//! Naive twins, in `f64`, of the fast routines of the core, and how far these may be from them.

use infomark_core::{
    Border, ContrastRule, FeatureMap, Grey, IntensityJitter, Interpolation, KeyPoint, KeyPointRule,
    Negatives, Neighbourhood, PatchBorder, Pixel, Plane, Point, Positive, Real,
};
use std::collections::BTreeMap;

/// Allowed absolute differences between a routine and its naive twin.
pub mod tolerance {
    /// Entropy in nats, `f64` output.
    pub const ENTROPY_F64: f64 = 3e-6;
    /// Entropy in nats, `f32` output: one unit in the last place of 5.5 more.
    pub const ENTROPY_F32: f64 = 4e-6;
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
    /// Grey levels of a view or a tone of `u8`, half of one being the rounding.
    pub const GREY_U8: f64 = 1.0;
    /// Local contrast with pixels in `[0, 1]`, gain 0.2 and a floor of 0.02, `f64` and `f32`: a deviation near 0 is the
    /// root of what rounding leaves of a variance.
    pub const CONTRAST: (f64, f64) = (1e-6, 4e-3);
    /// Positions that go through an elastic field and back, in pixels, `f64`.
    pub const ELASTIC: f64 = 1e-9;
    /// Key points: position and sigma in pixels, response, `f64`. The parabolas divide by what is small.
    pub const KEY_POINT: f64 = 1e-6;
    /// Positions that go through a rotation and back, in pixels, `f64`.
    pub const POSITION: f64 = 1e-9;
    /// Lengths, in their own unit, and angles, in radians, of points up to 1000 from the origin and at least 1 apart.
    pub const MEASUREMENT: f64 = 1e-9;
}

/// Lengths and angles of points by school geometry, each by another formula than the core's.
pub mod geometry {
    use infomark_core::Point;

    /// By Pythagoras.
    pub fn length(a: Point<f64>, b: Point<f64>) -> f64 {
        ((b.x - a.x).powi(2) + (b.y - a.y).powi(2)).sqrt()
    }

    /// By the headings of both lines, counted from the x axis, brought into `(-pi, pi]`.
    pub fn angle_between(a: Point<f64>, b: Point<f64>, c: Point<f64>, d: Point<f64>) -> f64 {
        let heading = |from: Point<f64>, to: Point<f64>| (to.y - from.y).atan2(to.x - from.x);
        let turn = heading(c, d) - heading(a, b);
        let full = std::f64::consts::TAU;
        if turn <= -full / 2.0 {
            turn + full
        } else if turn > full / 2.0 {
            turn - full
        } else {
            turn
        }
    }

    /// By the half-angle form of the law of cosines, after Kahan's for needle-like triangles.
    pub fn angle_at(a: Point<f64>, vertex: Point<f64>, b: Point<f64>) -> f64 {
        let unit = |to: Point<f64>| {
            let length = length(vertex, to);
            [(to.x - vertex.x) / length, (to.y - vertex.y) / length]
        };
        let ([ux, uy], [vx, vy]) = (unit(a), unit(b));
        let (apart, sum) = ((ux - vx).hypot(uy - vy), (ux + vx).hypot(uy + vy));
        2.0 * apart.atan2(sum)
    }

    /// The foot of the perpendicular from a point to the line through `a` and `b`.
    fn foot(point: Point<f64>, a: Point<f64>, b: Point<f64>) -> Point<f64> {
        let (x, y) = (b.x - a.x, b.y - a.y);
        let share = ((point.x - a.x) * x + (point.y - a.y) * y) / (x * x + y * y);
        Point::new(a.x + share * x, a.y + share * y)
    }

    /// Distance to the foot of the perpendicular, with the sign of twice the area of the triangle.
    pub fn distance_to_line(point: Point<f64>, a: Point<f64>, b: Point<f64>) -> f64 {
        let area = (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x);
        length(point, foot(point, a, b)) * area.signum()
    }

    /// Distance of the feet of both perpendiculars, with the sign of their order along the line.
    pub fn projected_length(p: Point<f64>, q: Point<f64>, a: Point<f64>, b: Point<f64>) -> f64 {
        let (from, to) = (foot(p, a, b), foot(q, a, b));
        let along = (to.x - from.x) * (b.x - a.x) + (to.y - from.y) * (b.y - a.y);
        length(from, to) * along.signum()
    }
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

/// Entropy, in nats, of any neighbourhood of a pixel, by its definition; 0 where nothing is counted.
pub fn entropy_of(
    image: Plane<'_, u8>,
    mask: Option<Plane<'_, bool>>,
    neighbourhood: Neighbourhood,
    border: PatchBorder,
    x: usize,
    y: usize,
) -> f64 {
    let source = |at: isize, size: usize| -> Option<usize> {
        let size = size as isize;
        let inside = match border {
            PatchBorder::Cut => at,
            PatchBorder::Clamp => at.clamp(0, size - 1),
            PatchBorder::Mirror => {
                // Mirror by mirror, as one would do it by hand.
                let mut at = at;
                while !(0..size).contains(&at) {
                    at = if at < 0 { -1 - at } else { 2 * size - 1 - at };
                }
                at
            }
        };
        (0..size).contains(&inside).then_some(inside as usize)
    };
    let (before, after) = match neighbourhood {
        Neighbourhood::Square { side } => ((side / 2) as isize, ((side - 1) / 2) as isize),
        Neighbourhood::Disk { radius } => (radius as isize, radius as isize),
    };
    let mut counts = [0u32; 256];
    for dy in -before..=after {
        for dx in -before..=after {
            if matches!(neighbourhood, Neighbourhood::Disk { radius } if dx * dx + dy * dy > (radius * radius) as isize)
            {
                continue;
            }
            let (Some(x), Some(y)) =
                (source(x as isize + dx, image.width()), source(y as isize + dy, image.height()))
            else {
                continue;
            };
            if mask.is_none_or(|mask| mask.row(y)[x]) {
                counts[usize::from(image.row(y)[x])] += 1;
            }
        }
    }
    let pixels = f64::from(counts.iter().sum::<u32>());
    let share = |count: &u32| f64::from(*count) / pixels;
    -counts.iter().filter(|&&count| count > 0).map(share).map(|p| p * p.ln()).sum::<f64>()
}

/// Entropies, in nats, of two patches and of their pairs of bins, by their definition.
pub fn joint_entropy<G: Grey>(
    first: Plane<'_, G>,
    second: Plane<'_, G>,
    bin_first: impl Fn(G) -> usize,
    bin_second: impl Fn(G) -> usize,
) -> [f64; 3] {
    let mut counts = [BTreeMap::new(), BTreeMap::new(), BTreeMap::new()];
    let mut pixels = 0.0;
    for (&a, &b) in first.rows().flatten().zip(second.rows().flatten()) {
        let (a, b) = (bin_first(a), bin_second(b));
        for (counts, key) in counts.iter_mut().zip([(a, 0), (b, 0), (a, b)]) {
            *counts.entry(key).or_insert(0.0) += 1.0;
        }
        pixels += 1.0;
    }
    counts.map(|counts| -counts.values().map(|count| count / pixels).map(|p: f64| p * p.ln()).sum::<f64>())
}

/// The loss of one positive, by its definition; without the shift that keeps exponentials finite.
pub fn info_nce(
    view: FeatureMap<'_, f64>,
    image: FeatureMap<'_, f64>,
    positive: Positive<f64>,
    negatives: Negatives,
    exclusion_radius: usize,
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
            let (dx, dy) = (x.abs_diff(truth.0), y.abs_diff(truth.1));
            let left_out = dx <= exclusion_radius && dy <= exclusion_radius && (x, y) != truth;
            if among && !left_out {
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
pub fn tone(tone: IntensityJitter<f64>, pixels: &[f64]) -> Vec<f64> {
    let bright: Vec<f64> = pixels.iter().map(|v| (v * tone.brightness).clamp(0.0, 1.0)).collect();
    let mean = bright.iter().sum::<f64>() / bright.len() as f64;
    let blend = |v: &f64| (tone.contrast * v + (1.0 - tone.contrast) * mean).clamp(0.0, 1.0);
    bright.iter().map(|v| blend(v).powf(tone.gamma)).collect()
}

/// A pixel after local contrast normalisation: means of means of means, each by its sum.
pub fn local_contrast(src: Plane<'_, f64>, rule: ContrastRule<f64>) -> Vec<f64> {
    let (width, height) = (src.width(), src.height());
    let radius = (((4.0 * rule.sigma_px.powi(2) + 1.0).sqrt() - 1.0) / 2.0).round() as i64;
    let sides = (2 * radius + 1) as f64;
    let smooth = |mut image: Vec<f64>| {
        for _ in 0..3 {
            let value = |x: i64, y: i64| image[mirrored(y, height) * width + mirrored(x, width)];
            let mean = |i: usize| {
                let (x, y) = ((i % width) as i64, (i / width) as i64);
                let rows = (y - radius..=y + radius)
                    .map(|y| (x - radius..=x + radius).map(|x| value(x, y)).sum::<f64>());
                rows.sum::<f64>() / (sides * sides)
            };
            image = (0..image.len()).map(mean).collect();
        }
        image
    };
    let pixels: Vec<f64> = src.rows().flatten().copied().collect();
    let means = smooth(pixels.clone());
    let differences: Vec<f64> = pixels.iter().zip(&means).map(|(v, m)| v - m).collect();
    let variances = smooth(differences.iter().map(|d| d * d).collect());
    let scaled = |(d, v): (&f64, &f64)| 0.5 + rule.gain * d / (v.max(0.0).sqrt() + rule.floor);
    differences.iter().zip(&variances).map(scaled).map(|v| v.clamp(0.0, 1.0)).collect()
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

/// Gaussian blur by its definition: the image mirrored at its border, the kernel cut off at three
/// standard deviations.
fn blur_all(image: &[f64], width: usize, sigma: f64) -> Vec<f64> {
    let height = image.len() / width;
    let radius = (3.0 * sigma).ceil() as i64;
    let weight = |d: i64| (-0.5 * (d as f64 / sigma).powi(2)).exp();
    let norm = (-radius..=radius).map(weight).sum::<f64>().powi(2);
    let mirror = |i: i64, size: usize| {
        let i = i.rem_euclid(2 * size as i64) as usize;
        i.min(2 * size - 1 - i)
    };
    let value = |x: i64, y: i64| image[mirror(y, height) * width + mirror(x, width)];
    let at = |i: usize| {
        let (x, y) = ((i % width) as i64, (i / width) as i64);
        let mut sum = 0.0;
        for dy in -radius..=radius {
            for dx in -radius..=radius {
                sum += weight(dx) * weight(dy) * value(x + dx, y + dy);
            }
        }
        sum / norm
    };
    (0..image.len()).map(at).collect()
}

/// All key points of an image by their definition, best first; margin and least distance are not
/// looked at.
pub fn key_points(image: &[f64], width: usize, rule: KeyPointRule<f64>) -> Vec<KeyPoint<f64>> {
    let sigma = |i: f64| rule.sigma * (i / rule.per_octave as f64).exp2();
    let mut blurred = vec![blur_all(image, width, rule.sigma)];
    for i in 1..rule.levels + 3 {
        let added = (sigma(i as f64).powi(2) - sigma(i as f64 - 1.0).powi(2)).sqrt();
        blurred.push(blur_all(&blurred[i - 1], width, added));
    }
    let height = image.len() / width;
    let d =
        |level: usize, x: usize, y: usize| blurred[level + 1][y * width + x] - blurred[level][y * width + x];
    let mut found: Vec<KeyPoint<f64>> = Vec::new();
    for (x, y) in (1..height - 1).flat_map(|y| (1..width - 1).map(move |x| (x, y))) {
        let mut best: Option<KeyPoint<f64>> = None;
        for level in 1..=rule.levels {
            let at = d(level, x, y);
            let others =
                (0..27).filter(|&i| i != 13).map(|i| d(level + i / 9 - 1, x + i % 3 - 1, y + i / 3 % 3 - 1));
            let extreme =
                others.clone().all(|v| v < at) && at > 0.0 || others.clone().all(|v| v > at) && at < 0.0;
            let [left, right] = [d(level, x - 1, y), d(level, x + 1, y)];
            let [up, down] = [d(level, x, y - 1), d(level, x, y + 1)];
            let cross = d(level, x - 1, y - 1) + d(level, x + 1, y + 1);
            let cross = (cross - d(level, x + 1, y - 1) - d(level, x - 1, y + 1)) / 4.0;
            let (xx, yy) = (left + right - 2.0 * at, up + down - 2.0 * at);
            let (trace, det, r) = (xx + yy, xx * yy - cross * cross, rule.edge_ratio);
            let round = det > 0.0 && trace * trace / det < (r + 1.0) * (r + 1.0) / r;
            if extreme && round && at.abs() > rule.contrast && best.is_none_or(|b| at.abs() > b.response) {
                let vertex = |a: f64, b: f64| ((a - b) / (2.0 * (a + b - 2.0 * at))).clamp(-0.5, 0.5);
                let point = Point::new(x as f64 + vertex(left, right), y as f64 + vertex(up, down));
                let offset = vertex(d(level - 1, x, y), d(level + 1, x, y));
                best = Some(KeyPoint {
                    at: point,
                    sigma: sigma(level as f64 + 0.5 + offset),
                    response: at.abs(),
                });
            }
        }
        found.extend(best);
    }
    found.sort_by(|a, b| b.response.total_cmp(&a.response));
    found
}
