//! Decoded samples of any layout to grey pixels in `[0, 1]`.

use image::ColorType;

use super::ImageError;
use super::levels::Scale;
use super::stretch::CLIPPED;

/// How samples lie in a decoded image.
pub(super) struct Layout {
    /// Samples of a pixel that carry light: 1 or 3.
    light: usize,
    alpha: bool,
    /// 16 bits a sample, native byte order; else 8.
    wide: bool,
}

impl Layout {
    pub(super) fn of(color: ColorType) -> Option<Layout> {
        let (light, alpha, wide) = match color {
            ColorType::L8 => (1, false, false),
            ColorType::La8 => (1, true, false),
            ColorType::Rgb8 => (3, false, false),
            ColorType::Rgba8 => (3, true, false),
            ColorType::L16 => (1, false, true),
            ColorType::La16 => (1, true, true),
            ColorType::Rgb16 => (3, false, true),
            ColorType::Rgba16 => (3, true, true),
            _ => return None,
        };
        Some(Layout { light, alpha, wide })
    }
}

/// The grey pixels in `[0, 1]`.
pub(super) fn grey(
    samples: &[u8],
    layout: &Layout,
    width: usize,
    name: &str,
) -> Result<Vec<f32>, ImageError> {
    if layout.wide {
        let words = samples.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
        let mut pixels = merge(words, samples.len() / 2, u16::MAX, layout, width, name)?;
        stretch(&mut pixels);
        Ok(pixels)
    } else {
        let bytes = samples.iter().map(|&byte| u16::from(byte));
        let mut pixels = merge(bytes, samples.len(), u16::from(u8::MAX), layout, width, name)?;
        for value in &mut pixels {
            *value /= f32::from(u8::MAX);
        }
        Ok(pixels)
    }
}

/// All grey levels in 16 bits, with the window that [`grey`] shows.
pub(super) fn levels(
    samples: &[u8],
    layout: &Layout,
    width: usize,
    name: &str,
) -> Result<(Vec<u16>, [f64; 2]), ImageError> {
    if !layout.wide {
        let bytes = samples.iter().map(|&byte| u16::from(byte));
        let pixels = merge(bytes, samples.len(), u16::from(u8::MAX), layout, width, name)?;
        return Ok((pixels.into_iter().map(|value| value as u16 * 257).collect(), [0.0, 1.0]));
    }
    let words = samples.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
    let pixels = merge(words, samples.len() / 2, u16::MAX, layout, width, name)?;
    let (low, high) = ends(&pixels);
    let extremes = pixels.iter().fold((f32::MAX, f32::MIN), |(a, b), &value| (a.min(value), b.max(value)));
    let scale = Scale::new((extremes.0.into(), extremes.1.into()), (low.into(), high.into()));
    Ok((pixels.iter().map(|&value| scale.level(value.into())).collect(), scale.window()))
}

/// One whole number a pixel: the channels' mean, where they agree and alpha is full.
fn merge(
    mut samples: impl Iterator<Item = u16>,
    count: usize,
    full: u16,
    layout: &Layout,
    width: usize,
    name: &str,
) -> Result<Vec<f32>, ImageError> {
    let tolerance = full / 255 * 2;
    let mut pixels = Vec::with_capacity(count / (layout.light + usize::from(layout.alpha)));
    while let Some(first) = samples.next() {
        let (x, y) = (pixels.len() % width, pixels.len() / width);
        let mut value = first;
        if layout.light == 3 {
            let (green, blue) = (samples.next().unwrap_or(0), samples.next().unwrap_or(0));
            let (low, high) = (first.min(green).min(blue), first.max(green).max(blue));
            if high - low > tolerance {
                return Err(ImageError::Coloured { name: name.to_owned(), x, y });
            }
            let sum = u32::from(first) + u32::from(green) + u32::from(blue);
            value = ((sum + 1) / 3) as u16;
        }
        if layout.alpha && samples.next() != Some(full) {
            return Err(ImageError::Transparent { name: name.to_owned(), x, y });
        }
        pixels.push(f32::from(value));
    }
    Ok(pixels)
}

/// Maps whole numbers so that their [`ends`] become 0 and 1.
fn stretch(pixels: &mut [f32]) {
    let (low, high) = ends(pixels);
    let range = (high - low).max(1.0);
    for value in pixels {
        *value = ((*value - low) / range).clamp(0.0, 1.0);
    }
}

/// The `CLIPPED` quantiles of whole numbers; where they coincide, the least and the greatest.
fn ends(pixels: &[f32]) -> (f32, f32) {
    let mut counts = vec![0_u64; 1 << 16];
    for &value in pixels {
        counts[usize::from(value as u16)] += 1;
    }
    let clipped = (pixels.len() as f64 * CLIPPED) as u64;
    let (mut low, mut high) = (quantile(&counts, clipped), {
        let from_above = counts.iter().rev().copied().collect::<Vec<_>>();
        counts.len() - 1 - quantile(&from_above, clipped)
    });
    if low >= high {
        low = counts.iter().position(|&n| n > 0).unwrap_or(0);
        high = counts.iter().rposition(|&n| n > 0).unwrap_or(0);
    }
    (low as f32, high as f32)
}

/// The first level with more than `clipped` pixels at or below it.
fn quantile(counts: &[u64], clipped: u64) -> usize {
    let mut seen = 0;
    counts
        .iter()
        .position(|&n| {
            seen += n;
            seen > clipped
        })
        .unwrap_or(0)
}
