//! Resizing of grey images: bilinear for upscaling, with a triangle filter two steps wide for downscaling.

/// Weights of the source pixels of one resized pixel.
struct Window {
    /// First pixel of the original.
    start: usize,
    /// Weights of this pixel and those after it; their sum is 1.
    weights: Vec<f32>,
}

/// The windows for resizing `from` pixels to `to`; centres map as `x' = (x + 0.5) * from / to - 0.5`. Neither is 0.
fn windows(from: usize, to: usize) -> impl Iterator<Item = Window> {
    let ratio = from as f32 / to as f32;
    // Half the width of the triangle, in source pixels.
    let radius = ratio.max(1.0);
    (0..to).map(move |at| {
        let middle = (at as f32 + 0.5) * ratio;
        let start = ((middle - radius).floor().max(0.0) as usize).min(from - 1);
        let end = ((middle + radius).ceil() as usize).clamp(start + 1, from);
        let weight = |pixel: usize| (1.0 - ((pixel as f32 - (middle - 0.5)) / radius).abs()).max(0.0);
        let mut weights: Vec<f32> = (start..end).map(weight).collect();
        let sum = weights.iter().fold(0.0, |sum, weight| sum + weight);
        weights.iter_mut().for_each(|weight| *weight /= sum);
        Window { start, weights }
    })
}

/// Resizes `pixels`, row-major in `[0, 1]`, from the size `from` = (width, height) to `to`; empty where a side is 0 or the sizes do not
/// match the pixels.
pub(crate) fn resized(pixels: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let ((width, height), (new_width, new_height)) = (from, to);
    if pixels.is_empty() || width.checked_mul(height) != Some(pixels.len()) || new_width == 0 {
        return Vec::new();
    }
    if from == to {
        return pixels.to_vec();
    }
    let across: Vec<Window> = windows(width, new_width).collect();
    let mut out = Vec::with_capacity(new_width * new_height);
    let mut row = vec![0.0; width];
    for down in windows(height, new_height) {
        row.fill(0.0);
        let rows = pixels.chunks_exact(width).skip(down.start);
        for (original, weight) in rows.zip(&down.weights) {
            for (sum, pixel) in row.iter_mut().zip(original) {
                *sum += pixel * weight;
            }
        }
        out.extend(across.iter().map(|window| {
            let terms = row.iter().skip(window.start).zip(&window.weights);
            terms.fold(0.0, |sum: f32, (pixel, weight)| sum + pixel * weight).clamp(0.0, 1.0)
        }));
    }
    out
}
