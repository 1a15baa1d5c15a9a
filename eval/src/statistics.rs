//! Medians, quantiles, and bootstrap over images of the median over templates.

use std::collections::BTreeSet;

use infomark_core::{Rng, Statistic};

/// Number of resamples of an interval.
pub(crate) const RESAMPLES: usize = 2000;
/// Confidence level of the intervals.
pub(crate) const CONFIDENCE: f64 = 0.95;

/// Errors of one set of templates matched together, or of a network.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorTable {
    /// Names of the templates' images.
    pub templates: Vec<String>,
    /// The scored images.
    pub images: Vec<ImageErrors>,
}

/// Errors of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageErrors {
    /// Index of the image in the data set.
    pub image: usize,
    /// Errors in the landmarks' order, in mm; `None` where the image has no point, or no template has the landmark.
    pub errors_mm: Vec<Option<f64>>,
}

impl ErrorTable {
    /// The table restricted to images for whose index `is_in` is true.
    #[must_use]
    pub fn of_images(&self, is_in: impl Fn(usize) -> bool) -> Self {
        let images = self.images.iter().filter(|image| is_in(image.image)).cloned().collect();
        Self { templates: self.templates.clone(), images }
    }

    /// Rounds to four decimals, as in result files.
    #[must_use]
    pub fn rounded(mut self) -> Self {
        for error in self.images.iter_mut().flat_map(|image| &mut image.errors_mm).flatten() {
            *error = rounded(*error);
        }
        self
    }

    /// All existing errors in mm, image by image.
    pub(crate) fn all(&self) -> Vec<f64> {
        self.images.iter().flat_map(|image| &image.errors_mm).flatten().copied().collect()
    }

    /// The errors in mm of the landmark with an index, image by image.
    pub(crate) fn of_landmark(&self, place: usize) -> Vec<f64> {
        self.images.iter().filter_map(|image| *image.errors_mm.get(place)?).collect()
    }

    /// Number of missing errors.
    pub(crate) fn missing(&self) -> usize {
        self.images.iter().flat_map(|image| &image.errors_mm).filter(|error| error.is_none()).count()
    }
}

/// Joined names of templates.
pub(crate) fn joined(templates: &[String]) -> String {
    templates.join(" + ")
}

/// The median, for an even number the mean of the two middle values; NaN for none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5)
}

/// A quantile, 0 to 1, of ascending values, linear between neighbours; NaN for none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = share * last as f64;
    let below = (place as usize).min(last);
    let at = |index: usize| sorted.get(index.min(last)).copied().unwrap_or(f64::NAN);
    at(below) + (place - below as f64) * (at(below + 1) - at(below))
}

/// Median over templates of the mean radial error in mm, as in [`MedianFigures`](crate::MedianFigures), without intervals. NaN for none.
pub fn median_mre(tables: &[ErrorTable]) -> f64 {
    PerImage::of(tables, &scored_images(tables), Statistic::MeanRadialError).median(None)
}

/// Indices of the images in tables, ascending, without repetition.
pub(crate) fn scored_images<'a>(tables: impl IntoIterator<Item = &'a ErrorTable>) -> Vec<usize> {
    let images = tables.into_iter().flat_map(|table| &table.images).map(|scored| scored.image);
    images.collect::<BTreeSet<_>>().into_iter().collect()
}

/// Percentile interval of resampled values; values that are not finite are ignored.
pub(crate) fn interval(mut values: Vec<f64>) -> [f64; 2] {
    values.retain(|value| value.is_finite());
    values.sort_unstable_by(f64::total_cmp);
    [0.5 * (1.0 - CONFIDENCE), 0.5 * (1.0 + CONFIDENCE)].map(|share| quantile(&values, share))
}

/// The images of each resample, drawn with replacement from `images`.
pub(crate) fn draws(images: usize, mut rng: Rng) -> Vec<Vec<usize>> {
    let mut draw = |_| (0..images).map(|_| rng.below(images as u64) as usize).collect();
    (0..RESAMPLES).map(&mut draw).collect()
}

/// Statistic and number of each image's errors, per set of templates; `None` where an image has no errors.
pub(crate) struct PerImage(Vec<Vec<Option<(f64, usize)>>>);

impl PerImage {
    /// The statistic in each table; `images` are the indices of the images in the data set, ascending.
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

    /// The median over templates of the statistic of all errors, for all images or a resample. A template has no errors in its own image.
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

/// The statistic of all errors from those of the images: the mean, weighted by their numbers; `None` without images.
fn pooled(values: &[(f64, usize)]) -> Option<f64> {
    let (_, first) = *values.first()?;
    if values.iter().all(|(_, count)| *count == first) {
        return infomark_core::mean(&values.iter().map(|(value, _)| *value).collect::<Vec<_>>());
    }
    let sum: f64 = values.iter().map(|(value, count)| value * *count as f64).sum();
    Some(sum / values.iter().map(|(_, count)| *count).sum::<usize>() as f64)
}

/// Rounds to four decimals.
pub(crate) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}
