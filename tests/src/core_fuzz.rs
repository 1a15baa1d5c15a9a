//! What the fuzz targets of the core do with their bytes. Ordinary functions, so that a test can
//! replay the corpus; each panics when the core breaks a promise.

mod guidance;

pub use guidance::{intensity, keypoints, mutual, psi_cut, samplers};

use crate::core_oracle::{self, tolerance};
use infomark_core::{
    FeatureMap, Negatives, Plane, PlaneMut, Point, Positive, Warp, entropy_map, entropy_scratch_len,
    info_nce as core_info_nce, info_nce_scratch_len, peak, sample_feature, similarity,
    similarity_scratch_len,
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
    let mut scratch = vec![u32::MAX; entropy_scratch_len(k, width, height)];
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
    let Ok(plane) = Plane::new(&out, width, height) else {
        return;
    };
    let found = peak(plane, stride);
    let inside = |p: f32, size: usize| p >= -0.5 && p <= (size * stride) as f32 - 0.5;
    assert!(found.is_some_and(|f| inside(f.at.x, width) && inside(f.at.y, height)), "{found:?}");
}
