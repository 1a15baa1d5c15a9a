//! Medians, quantiles, and bootstrap over images of the median over templates.

use std::collections::BTreeSet;

use infomark_core::{Rng, Statistic};

/// Resamples of an interval.
pub(crate) const RESAMPLES: usize = 2000;
/// Probability that an interval is meant to cover.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// Errors of one set of templates that were matched together, or of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorTable {
    /// Names of the templates' images.
    pub templates: Vec<String>,
    /// The images that were scored.
    pub images: Vec<ImageErrors>,
}

/// Errors of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageErrors {
    /// Its place in the data set.
    pub image: usize,
    /// Landmark by landmark, in mm; none where the image has no point of it, or no template has the landmark.
    pub errors_mm: Vec<Option<f64>>,
}

impl ErrorTable {
    /// The same of the images for which `is_in` is true by their place in the data set.
    #[must_use]
    pub fn of_images(&self, is_in: impl Fn(usize) -> bool) -> Self {
        let images = self.images.iter().filter(|image| is_in(image.image)).cloned().collect();
        Self { templates: self.templates.clone(), images }
    }

    /// The same to four digits after the point, as results are written.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        for error in self.images.iter_mut().flat_map(|image| &mut image.errors_mm).flatten() {
            *error = rounded(*error);
        }
        self
    }

    /// All errors in mm that are there, image by image.
    pub(crate) fn all(&self) -> Vec<f64> {
        self.images.iter().flat_map(|image| &image.errors_mm).flatten().copied().collect()
    }

    /// The errors in mm of the landmark at a place, image by image.
    pub(crate) fn of_landmark(&self, place: usize) -> Vec<f64> {
        self.images.iter().filter_map(|image| *image.errors_mm.get(place)?).collect()
    }

    /// Number of errors that are not there.
    pub(crate) fn missing(&self) -> usize {
        self.images.iter().flat_map(|image| &image.errors_mm).filter(|error| error.is_none()).count()
    }
}

/// Names of templates in one word.
pub(crate) fn joined(templates: &[String]) -> String {
    templates.join(" + ")
}

/// The median of values, the mean of the two in the middle of an even number; NaN of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// A quantile, 0 to 1, of ascending values, linear between neighbours; NaN of none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let below = (place as usize).min(last);
    let at = |index: usize| sorted.get(index.min(last)).copied().unwrap_or(f64::NAN);
    at(below) + (place - below as f64) * (at(below + 1) - at(below))
}

/// The median over templates of the mean radial error in mm: what a [`MedianFigures`](crate::MedianFigures) has, without intervals. NaN of none.
pub fn median_mre(tables: &[ErrorTable]) -> f64 {
    PerImage::of(tables, &scored_images(tables), Statistic::MeanRadialError).median(None)
}

/// Places of the images in tables, ascending, each once.
pub(crate) fn scored_images<'a>(tables: impl IntoIterator<Item = &'a ErrorTable>) -> Vec<usize> {
    let images = tables.into_iter().flat_map(|table| &table.images).map(|scored| scored.image);
    images.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The ends of the interval of resampled values; those that are not finite are left out.
pub(crate) fn interval(mut values: Vec<f64>) -> [f64; 2] {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    [0.5 * (1.0 - CONFIDENCE), 0.5 * (1.0 + CONFIDENCE)].map(|share| quantile(&values, share))
}

/// The images of each resample, `images` of so many with replacement.
pub(crate) fn draws(images: usize, mut rng: Rng) -> Vec<Vec<usize>> {
    let mut draw = |_| (0..images).map(|_| rng.below(images as u64) as usize).collect();
    (0..RESAMPLES).map(&mut draw).collect()
}

/// A statistic of each image's errors and their number, of each set of templates; none where an image has no errors.
pub(crate) struct PerImage(Vec<Vec<Option<(f64, usize)>>>);

impl PerImage {
    /// The statistic in each table; `images` are the places of the images in the data set, ascending.
    pub(crate) fn of(tables: &[ErrorTable], images: &[usize], statistic: Statistic) -> Self {
        let of_table = |table: &ErrorTable| {
            let mut values = vec![None; images.len()];
            for ImageErrors { image, errors_mm } in &table.images {
                if let Some(value) = images.binary_search(image).ok().and_then(|place| values.get_mut(place))
                {
                    let present: Vec<f64> = errors_mm.iter().flatten().copied().collect();
                    *value = statistic.of(&present).map(|value| (value, present.len()));
                }
            }
            values
        };
        Self(tables.iter().map(of_table).collect())
    }

    /// The median over templates of the statistic of all errors: of all images, or of those drawn. A template has no value of its own image.
    pub(crate) fn median(&self, drawn: Option<&[usize]>) -> f64 {
        let of_template = |images: &Vec<Option<(f64, usize)>>| {
            let values: Vec<(f64, usize)> = match drawn {
                None => images.iter().flatten().copied().collect(),
                Some(drawn) => drawn.iter().filter_map(|&image| *images.get(image)?).collect(),
            };
            pooled(&values)
        };
        median(self.0.iter().filter_map(of_template).collect())
    }
}

/// The statistic of all errors, from that of each image and their number: the mean where all images have as many; none of no image.
fn pooled(values: &[(f64, usize)]) -> Option<f64> {
    let (_, first) = *values.first()?;
    if values.iter().all(|(_, count)| *count == first) {
        return infomark_core::mean(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    }
    let sum: f64 = values.iter().map(|(value, count)| value * *count as f64).sum();
    Some(sum / values.iter().map(|(_, count)| *count).sum::<usize>() as f64)
}

/// A figure to four digits after the point.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
