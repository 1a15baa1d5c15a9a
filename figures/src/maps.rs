//! Where an image carries information: entropy, tiers and sampling weights.

use image::imageops::{self, FilterType};
use image::{ImageBuffer, Luma};
use infomark_core::{
    EntropyError, Plane, PlaneError, PlaneMut, SampleError, Thresholds, Tier, TierError, Weighting,
    entropy_map, entropy_scratch_len, tier_map, weight_map,
};
use infomark_infer::{Image, ImageError, MIN_SIDE};

use crate::{Colour, Legend, Raster, Scale, Scene, panel, sheet};

/// Quantiles of the entropy that part the tiers where no thresholds are given.
const QUANTILES: (f64, f64) = (1.0 / 3.0, 2.0 / 3.0);
/// Longest side, in pixels, of an image whose maps go into a page: about what an encoder sees.
const SMALL_SIDE: u32 = 480;

/// How maps are measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MapOptions {
    /// Side of the patch around each pixel, in pixels.
    pub patch: usize,
    /// Sampling weight as a function of entropy.
    pub weighting: Weighting<f64>,
    /// Thresholds of the tiers in nats; without them each tier has a third of the pixels.
    pub thresholds: Option<Thresholds<f64>>,
}

impl Default for MapOptions {
    /// As the training draws pixels: 9 x 9 patches, weight `entropy ^ 0.3`.
    fn default() -> Self {
        Self { patch: 9, weighting: Weighting::Exponential { alpha: 0.3 }, thresholds: None }
    }
}

/// Why maps could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// No entropy of such patches.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// No such tiers.
    #[error(transparent)]
    Tier(#[from] TierError),
    /// No such weights.
    #[error(transparent)]
    Weight(#[from] SampleError),
    /// The image is too large.
    #[error(transparent)]
    Size(#[from] PlaneError),
    /// The image cannot be shrunk.
    #[error(transparent)]
    Image(#[from] Box<ImageError>),
}

/// The maps of an image, row by row.
#[derive(Clone, Debug)]
pub struct InformationMaps {
    width: usize,
    height: usize,
    options: MapOptions,
    entropy: Vec<f64>,
    tiers: Vec<Tier>,
    thresholds: Thresholds<f64>,
    weights: Vec<f64>,
}

impl InformationMaps {
    /// Measures the maps of an image.
    ///
    /// # Errors
    /// When the patch is larger than the image, or an option is out of its range.
    pub fn measure(image: &Image, options: MapOptions) -> Result<Self, MapError> {
        let (width, height) = image.kept_size();
        let levels = image.to_levels();
        let mut entropy = vec![0.0; width * height];
        let mut counts = vec![0; entropy_scratch_len(options.patch, width, height)];
        let out = PlaneMut::new(&mut entropy, width, height)?;
        entropy_map(Plane::new(&levels, width, height)?, options.patch, out, &mut counts)?;
        let plane = Plane::new(&entropy, width, height)?;
        let thresholds = match options.thresholds {
            Some(thresholds) => thresholds,
            None => {
                let mut sorted = vec![0.0; width * height];
                Thresholds::from_quantiles(plane, QUANTILES.0, QUANTILES.1, &mut sorted)?
            }
        };
        let mut tiers = vec![Tier::Low; width * height];
        tier_map(plane, thresholds, PlaneMut::new(&mut tiers, width, height)?)?;
        let mut weights = vec![0.0; width * height];
        weight_map(plane, options.weighting, PlaneMut::new(&mut weights, width, height)?)?;
        Ok(Self { width, height, options, entropy, tiers, thresholds, weights })
    }

    /// Entropy of the patch around each pixel, in nats, row by row.
    pub fn entropy(&self) -> &[f64] {
        &self.entropy
    }

    /// Tier of each pixel, row by row.
    pub fn tiers(&self) -> &[Tier] {
        &self.tiers
    }

    /// Thresholds of the tiers in nats.
    pub fn thresholds(&self) -> Thresholds<f64> {
        self.thresholds
    }

    /// The sampling weight as a formula.
    pub fn weighting(&self) -> String {
        match self.options.weighting {
            Weighting::Piecewise { threshold } => format!("entropy >= {threshold}"),
            Weighting::Exponential { alpha } => format!("entropy ^ {alpha}"),
        }
    }

    /// The maps as pictures: entropy, tiers, weights.
    pub fn panels(&self) -> [Scene; 3] {
        let coloured = |values: &[f64], scale: Scale| {
            self.map(|pixel| scale.colour(values.get(pixel).copied().unwrap_or(f64::NAN)))
        };
        let top = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
        let k = self.options.patch;
        let scale = Scale::viridis(0.0, top(&self.entropy));
        let title = format!("Entropy of {k} x {k} patches");
        let entropy = panel(&coloured(&self.entropy, scale), &title, &Legend::Bar { scale, unit: "nats" });
        let map = self.map(|pixel| self.tiers.get(pixel).map_or([0; 3], |tier| tier_colour(*tier)));
        let tiers = panel(&map, "Tiers of information", &Legend::Classes(self.classes()));
        let scale = Scale::magma(0.0, top(&self.weights));
        let title = format!("Sampling weight: {}", self.weighting());
        let weights = panel(&coloured(&self.weights, scale), &title, &Legend::Bar { scale, unit: "weight" });
        [entropy, tiers, weights]
    }

    fn map(&self, colour: impl Fn(usize) -> Colour) -> Raster {
        Raster::from_fn(self.width, self.height, |x, y| colour(y * self.width + x))
    }

    fn classes(&self) -> Vec<(Colour, String)> {
        let Thresholds { medium, high } = self.thresholds;
        let label = |tier| match tier {
            Tier::Low => format!("low: < {medium:.2}"),
            Tier::Medium => format!("medium: {medium:.2} to {high:.2}"),
            Tier::High => format!("high: >= {high:.2} nats"),
        };
        Tier::ALL.map(|tier| (tier_colour(tier), label(tier))).into()
    }
}

/// An image and its maps by the default options as one picture, small enough for a page.
///
/// # Errors
/// When the image is too large to be resized.
pub fn information_sheet(image: &Image, title: &str) -> Result<Scene, MapError> {
    let small = shrunk(image)?;
    let patch = MapOptions::default().patch.min(small.width().max(small.height()));
    let maps = InformationMaps::measure(&small, MapOptions { patch, ..MapOptions::default() })?;
    let photograph = panel(&Raster::from_image(&small), title, &Legend::None);
    let [entropy, tiers, weights] = maps.panels();
    Ok(sheet(vec![photograph, entropy, tiers, weights], 2))
}

fn shrunk(image: &Image) -> Result<Image, MapError> {
    let side = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
    let (width, height) = image.kept_size();
    let (width, height) = (side(width), side(height));
    // A narrow image keeps the least width that an image may have.
    let least = MIN_SIDE as f64 / f64::from(width.min(height));
    let scale = (f64::from(SMALL_SIDE) / f64::from(width.max(height))).max(least).min(1.0);
    let shrink = |length: u32| ((f64::from(length) * scale).round() as u32).max(1);
    // An image always has as many pixels as its sides say.
    let Some(pixels) = ImageBuffer::<Luma<f32>, &[f32]>::from_raw(width, height, image.pixels()) else {
        return Ok(image.clone());
    };
    let small = imageops::resize(&pixels, shrink(width), shrink(height), FilterType::Triangle);
    let (width, height) = (small.width() as usize, small.height() as usize);
    Image::new(image.name(), width, height, small.into_raw()).map_err(|error| Box::new(error).into())
}

/// Colours that stay apart for colour-blind readers.
fn tier_colour(tier: Tier) -> Colour {
    match tier {
        Tier::Low => [0, 63, 92],
        Tier::Medium => [0, 158, 115],
        Tier::High => [240, 228, 66],
    }
}
