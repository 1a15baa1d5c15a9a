//! Conversion of decoded samples of any layout to grey pixels in `[0, 1]`, row by row.

use image::ColorType;

use super::levels::Scale;
use super::reduction::Rows;
use super::stretch::CLIPPED;
use super::{Image, ImageError};

/// Layout of samples in a decoded image.
pub(super) struct Layout {
    /// Number of grey or colour samples per pixel: 1 or 3.
    light: usize,
    alpha: bool,
    /// Whether samples have 16 bits, in native byte order; else 8.
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

    /// Bytes per pixel.
    pub(super) fn bytes(&self) -> usize {
        (self.light + usize::from(self.alpha)) * if self.wide { 2 } else { 1 }
    }
}

/// Samples that can be read repeatedly, as rescaling needs all of them first.
pub(super) trait SampleRows {
    /// Passes the bytes of each row to `row`.
    fn each(&self, row: &mut dyn FnMut(&[u8]) -> Result<(), ImageError>) -> Result<(), ImageError>;
}

/// The grey pixels in `[0, 1]`, or block averages of them.
pub(super) fn grey(
    samples: &dyn SampleRows,
    layout: &Layout,
    size: (usize, usize),
    name: &str,
    is_reduced: bool,
) -> Result<Image, ImageError> {
    let shown: Vec<f32> = if layout.wide {
        let (low, high) = ends(&counts(samples, layout, name)?);
        let range = (high - low).max(1.0);
        (0..=u16::MAX).map(|value| ((f32::from(value) - low) / range).clamp(0.0, 1.0)).collect()
    } else {
        (0..=u8::MAX).map(|value| f32::from(value) / f32::from(u8::MAX)).collect()
    };
    let mut rows = Rows::new(size, is_reduced);
    each_merged(samples, layout, name, &mut |row| {
        rows.push(row.iter().filter_map(|value| shown.get(usize::from(*value)).copied()), name);
    })?;
    rows.finish(name)
}

/// All grey levels in 16 bits, with the window of [`grey`].
pub(super) fn levels(
    samples: &dyn SampleRows,
    layout: &Layout,
    name: &str,
) -> Result<(Vec<u16>, [f64; 2]), ImageError> {
    let mut values = Vec::new();
    each_merged(samples, layout, name, &mut |row| values.extend_from_slice(row))?;
    if !layout.wide {
        values.iter_mut().for_each(|value| *value *= 257);
        return Ok((values, [0.0, 1.0]));
    }
    let counts = counts(samples, layout, name)?;
    let ((low, high), (least, most)) = (ends(&counts), extremes(&counts));
    let scale = Scale::new((least.into(), most.into()), (low.into(), high.into()));
    values.iter_mut().for_each(|value| *value = scale.level((*value).into()));
    Ok((values, scale.window()))
}

/// Histogram of the grey values.
fn counts(samples: &dyn SampleRows, layout: &Layout, name: &str) -> Result<Vec<u64>, ImageError> {
    let mut counts = vec![0_u64; 1 << 16];
    each_merged(samples, layout, name, &mut |row| {
        for &value in row {
            counts[usize::from(value)] += 1;
        }
    })?;
    Ok(counts)
}

/// Passes each row with one integer per pixel.
fn each_merged(
    samples: &dyn SampleRows,
    layout: &Layout,
    name: &str,
    take: &mut dyn FnMut(&[u16]),
) -> Result<(), ImageError> {
    let (mut y, mut merged) = (0, Vec::new());
    samples.each(&mut |row| {
        merged.clear();
        if layout.wide {
            let words = row.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
            merge(words, u16::MAX, layout, y, name, &mut merged)?;
        } else {
            let bytes = row.iter().map(|&byte| u16::from(byte));
            merge(bytes, u16::from(u8::MAX), layout, y, name, &mut merged)?;
        }
        take(&merged);
        y += 1;
        Ok(())
    })
}

/// One integer per pixel of a row: the mean of the channels, which have to agree, at full alpha.
fn merge(
    mut samples: impl Iterator<Item = u16>,
    full: u16,
    layout: &Layout,
    y: usize,
    name: &str,
    pixels: &mut Vec<u16>,
) -> Result<(), ImageError> {
    let tolerance = full / 255 * 2;
    while let Some(first) = samples.next() {
        let x = pixels.len();
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
        pixels.push(value);
    }
    Ok(())
}

/// The `CLIPPED` quantiles of a histogram; the extremes if these coincide.
fn ends(counts: &[u64]) -> (f32, f32) {
    let pixels: u64 = counts.iter().sum();
    let clipped = (pixels as f64 * CLIPPED) as u64;
    let (low, high) = (quantile(counts.iter(), clipped), quantile(counts.iter().rev(), clipped));
    let high = (counts.len() - 1).saturating_sub(high);
    if low >= high { extremes(counts) } else { (low as f32, high as f32) }
}

/// The smallest and the largest level.
fn extremes(counts: &[u64]) -> (f32, f32) {
    let least = counts.iter().position(|&n| n > 0).unwrap_or(0);
    let most = counts.iter().rposition(|&n| n > 0).unwrap_or(0);
    (least as f32, most as f32)
}

/// The first level with more than `clipped` pixels at or below it.
fn quantile<'a>(mut counts: impl Iterator<Item = &'a u64>, clipped: u64) -> usize {
    let mut seen = 0;
    counts
        .position(|&n| {
            seen += n;
            seen > clipped
        })
        .unwrap_or(0)
}
