//! Reduction of large images: block averages, computed row by row while an image is decoded.
//!
//! Models read about 184,000 pixels, so an image of more than [`MOST_PIXELS`] is averaged to at most that many before it is resized to their input.
//! Display values are averaged, i.e. after rescaling, window and inversion. The reduction is the same, bit for bit, while a file is
//! read and for an image in memory.

use std::borrow::Cow;

use super::{Image, ImageError, MIN_SIDE};

/// Maximum number of pixels of an image that is not reduced; ordinary radiographs have fewer.
pub(crate) const MOST_PIXELS: usize = 1 << 24;

/// Width and height after reduction by the smallest integer factor that leaves at most [`MOST_PIXELS`].
pub(crate) fn reduced_size((width, height): (usize, usize)) -> (usize, usize) {
    let reduced = |factor: usize| (width.div_ceil(factor), height.div_ceil(factor));
    let fits = |(width, height): (usize, usize)| width.saturating_mul(height) <= MOST_PIXELS;
    (1..).map(reduced).find(|size| fits(*size)).unwrap_or((width, height))
}

/// Maximum number of halvings during decoding: JPEG 2000 encoders write five lower resolutions by default.
pub(crate) const MOST_HALVINGS: u32 = 5;

/// Width and height after `halvings` halvings, at most [`MOST_HALVINGS`].
pub(crate) fn halved((width, height): (usize, usize), halvings: u32) -> (usize, usize) {
    let pixels = 1_usize << halvings.min(MOST_HALVINGS);
    (width.div_ceil(pixels), height.div_ceil(pixels))
}

/// Range of a row or column covered by a block.
struct Block {
    /// First pixel.
    start: usize,
    /// Coverage of this pixel and those after it, in units of `1 / to` pixels; their sum is `from`.
    shares: Vec<f64>,
}

/// Divides `from` pixels into `to` blocks of equal length, whose borders may lie within pixels, so that positions are kept; in samples of
/// `step` pixels each, of which the last may extend beyond.
fn blocks(from: usize, to: usize, step: usize) -> Vec<Block> {
    let block = |index: usize| {
        let (start, end) = (index * from, (index + 1) * from);
        let share =
            |sample: usize| (((sample + 1) * step).min(from) * to).min(end) - (sample * step * to).max(start);
        let samples = start / (step * to)..end.div_ceil(step * to);
        Block { start: samples.start, shares: samples.map(|sample| share(sample) as f64).collect() }
    };
    (0..to).map(block).collect()
}

/// Collects grey pixels row by row and keeps block averages, or all.
pub(crate) struct Rows {
    /// Size of the image.
    size: (usize, usize),
    /// Size of the decoded rows.
    decoded: (usize, usize),
    kept: (usize, usize),
    averages: Option<Averages>,
    centring: Option<Centring>,
    pixels: Vec<f32>,
}

/// Interpolates samples at the first of every few pixels to the centre of these.
struct Centring {
    /// Weight of the next sample.
    share: f32,
    /// The previous row, interpolated horizontally.
    before: Option<Vec<f32>>,
}

impl Centring {
    /// Takes the next row; returns the previous one, interpolated.
    fn next(&mut self, row: impl IntoIterator<Item = f32>) -> Option<Vec<f32>> {
        let row: Vec<f32> = row.into_iter().collect();
        let after = row.iter().skip(1).chain(row.last());
        let row = self.mixed(row.iter().zip(after));
        let moved = self.before.as_ref().map(|before| self.mixed(before.iter().zip(&row)));
        self.before = Some(row);
        moved
    }

    fn mixed<'a>(&self, pairs: impl Iterator<Item = (&'a f32, &'a f32)>) -> Vec<f32> {
        pairs.map(|(at, after)| at + (after - at) * self.share).collect()
    }
}

/// Block averages in progress.
struct Averages {
    columns: Vec<Block>,
    lines: Vec<Block>,
    /// Number of finished rows of blocks.
    done: usize,
    /// Number of rows received.
    count: usize,
    /// The current row, its sums over columns, and those of the current row of blocks.
    row: Vec<f32>,
    across: Vec<f64>,
    sums: Vec<f64>,
    first: Option<f32>,
    is_constant: bool,
    wrong: Option<ImageError>,
}

impl Rows {
    /// Rows of an image of this size, reduced if requested and large enough.
    pub(crate) fn new(size: (usize, usize), is_reduced: bool) -> Rows {
        let kept = if is_reduced { reduced_size(size) } else { size };
        Rows::of(size, 0, kept)
    }

    /// Rows of an image of this size, decoded with its sides halved `halvings` times, of which averages are kept: its samples lie at every
    /// second, fourth, ... pixel, from the first on.
    pub(crate) fn of_halved(size: (usize, usize), halvings: u32) -> Rows {
        let share = 0.5 - 0.5_f32.powi(halvings as i32 + 1);
        let centring = (halvings > 0).then_some(Centring { share, before: None });
        Rows { centring, ..Rows::of(size, halvings, reduced_size(size)) }
    }

    fn of(size: (usize, usize), halvings: u32, kept: (usize, usize)) -> Rows {
        let (decoded, step) = (halved(size, halvings), 1_usize << halvings.min(MOST_HALVINGS));
        let averages = (kept != size).then(|| Averages {
            columns: blocks(size.0, kept.0, step),
            lines: blocks(size.1, kept.1, step),
            done: 0,
            count: 0,
            row: Vec::with_capacity(decoded.0),
            across: vec![0.0; kept.0],
            sums: vec![0.0; kept.0],
            first: None,
            is_constant: true,
            wrong: None,
        });
        let pixels = Vec::with_capacity(kept.0.saturating_mul(kept.1));
        Rows { size, decoded, kept, averages, centring: None, pixels }
    }

    /// Takes the next row.
    pub(crate) fn push(&mut self, row: impl IntoIterator<Item = f32>, name: &str) {
        match &mut self.centring {
            Some(centring) => {
                if let Some(row) = centring.next(row) {
                    self.add(row, name);
                }
            }
            None => self.add(row, name),
        }
    }

    fn add(&mut self, row: impl IntoIterator<Item = f32>, name: &str) {
        let Some(averages) = &mut self.averages else {
            self.pixels.extend(row);
            return;
        };
        averages.row.clear();
        averages.row.extend(row);
        averages.check(name);
        averages.add_row();
        let area = self.size.0 as f64 * self.size.1 as f64;
        averages.add_to_lines(|sums| self.pixels.extend(sums.iter().map(|sum| (sum / area) as f32)));
    }

    /// The image, after all rows.
    ///
    /// # Errors
    /// Those of [`Image::new`], for the pixels received.
    pub(crate) fn finish(mut self, name: impl Into<String>) -> Result<Image, ImageError> {
        let (name, (width, height)) = (name.into(), self.size);
        if let Some(last) = self.centring.take().and_then(|centring| centring.before) {
            self.add(last, &name);
        }
        let Some(averages) = self.averages else {
            return Image::new(name, width, height, self.pixels);
        };
        if width < MIN_SIDE || height < MIN_SIDE {
            return Err(ImageError::TooSmall { name, width, height });
        }
        let (decoded, rows) = self.decoded;
        if averages.count != rows {
            return Err(ImageError::Buffer { name, width, height, pixels: averages.count * decoded });
        }
        if let Some(wrong) = averages.wrong {
            return Err(wrong);
        }
        if averages.is_constant {
            return Err(ImageError::Constant { name });
        }
        Ok(Image { name, width, height, kept: self.kept, pixels: self.pixels, spacing: None })
    }
}

impl Averages {
    /// The checks of [`Image::new`], on pixels before they are averaged.
    fn check(&mut self, name: &str) {
        let first = *self.first.get_or_insert(self.row.first().copied().unwrap_or(0.0));
        self.is_constant &= self.row.iter().all(|value| *value == first);
        if self.wrong.is_none() {
            let mut values = self.row.iter().copied().enumerate();
            let wrong = values.find(|(_, value)| !(0.0..=1.0).contains(value));
            let y = self.count;
            self.wrong = wrong.map(|(x, value)| ImageError::Range { name: name.to_owned(), x, y, value });
        }
    }

    /// Sums the current row over each block of columns.
    fn add_row(&mut self) {
        for (sum, block) in self.across.iter_mut().zip(&self.columns) {
            let covered = self.row.get(block.start..).unwrap_or_default().iter().zip(&block.shares);
            *sum = covered.fold(0.0, |sum, (value, share)| sum + f64::from(*value) * share);
        }
    }

    /// Adds the current row to the one or two rows of blocks that contain it; passes finished sums to `done`.
    fn add_to_lines(&mut self, mut done: impl FnMut(&[f64])) {
        while let Some(block) = self.lines.get(self.done) {
            let place = self.count.checked_sub(block.start);
            let found = place.and_then(|place| Some((place, *block.shares.get(place)?)));
            let Some((place, share)) = found else { break };
            for (sum, value) in self.sums.iter_mut().zip(&self.across) {
                *sum += value * share;
            }
            if place + 1 < block.shares.len() {
                break;
            }
            done(&self.sums);
            self.sums.fill(0.0);
            self.done += 1;
        }
        self.count += 1;
    }
}

impl Image {
    /// The image reduced to block averages, if it has more than 2^24 pixels and is not reduced yet.
    pub(crate) fn reduced(&self) -> Cow<'_, Image> {
        let size = (self.width, self.height);
        let kept = reduced_size(size);
        if self.kept != size || kept == size {
            return Cow::Borrowed(self);
        }
        let mut rows = Rows::new(size, true);
        self.pixels.chunks_exact(self.width).for_each(|row| rows.push(row.iter().copied(), &self.name));
        let spacing = self.spacing.clone();
        let image = Image { name: self.name.clone(), kept, pixels: rows.pixels, spacing, ..*self };
        Cow::Owned(image)
    }

    /// [`reduced`](Self::reduced), without a copy of an unchanged image.
    pub(crate) fn into_reduced(self) -> Image {
        match self.reduced() {
            Cow::Owned(reduced) => reduced,
            Cow::Borrowed(_) => self,
        }
    }

    /// [`reduced`](Self::reduced), if the models support it.
    pub(crate) fn reduced_where(&self, takes_reduced: bool) -> Cow<'_, Image> {
        if takes_reduced { self.reduced() } else { Cow::Borrowed(self) }
    }

    /// An image with the same pixels in another size and order, without its pixel size.
    pub(crate) fn laid(
        &self,
        (width, height): (usize, usize),
        kept: (usize, usize),
        pixels: Vec<f32>,
    ) -> Result<Image, ImageError> {
        if kept == (width, height) {
            return Image::new(self.name.as_str(), width, height, pixels);
        }
        Ok(Image { name: self.name.clone(), width, height, kept, pixels, spacing: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_ordinary_size_keep_all_pixels() {
        for size in [(1935, 2400), (2048, 2048), (4096, 4096), (32_768, 512), (32, 32)] {
            assert_eq!(reduced_size(size), size);
        }
    }

    #[test]
    fn larger_ones_are_reduced_by_the_least_whole_factor() {
        assert_eq!(reduced_size((4097, 4096)), (2049, 2048));
        assert_eq!(reduced_size((8000, 10_000)), (2667, 3334));
        assert_eq!(reduced_size((32_768, 3000)), (10_923, 1000));
    }

    #[test]
    fn blocks_are_as_long_as_each_other_and_cover_every_pixel_once() {
        for (from, to) in [(12, 4), (13, 5), (8000, 2667), (32_768, 10_923), (4097, 2049)] {
            let mut covered = vec![0.0; from];
            for block in blocks(from, to, 1) {
                assert_eq!(block.shares.iter().sum::<f64>(), from as f64);
                for (pixel, share) in (block.start..).zip(block.shares) {
                    assert!(share > 0.0);
                    covered[pixel] += share;
                }
            }
            assert!(covered.iter().all(|sum| *sum == to as f64), "{from} in {to}");
        }
    }

    #[test]
    fn blocks_of_samples_of_several_pixels_cover_every_pixel_of_the_image_once() {
        for (from, to, step) in [(8001_usize, 2667, 2), (8001, 2667, 4), (4113, 2057, 4), (16_000, 3200, 32)]
        {
            let mut covered = vec![0.0; from.div_ceil(step)];
            for block in blocks(from, to, step) {
                assert_eq!(block.shares.iter().sum::<f64>(), from as f64);
                for (sample, share) in (block.start..).zip(block.shares) {
                    assert!(share > 0.0);
                    covered[sample] += share;
                }
            }
            let pixels = |sample: usize| ((sample + 1) * step).min(from) - sample * step;
            let whole = covered.iter().enumerate().all(|(at, sum)| *sum == (pixels(at) * to) as f64);
            assert!(whole, "{from} in {to} by {step}");
        }
    }
}
