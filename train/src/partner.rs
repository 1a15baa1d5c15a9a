//! The same places in other images, as far as the encoder that is being trained can already tell.

use burn::tensor::{Device, Tensor, TensorData};
use infomark_core::{
    AlignError, AlignRule, Alignment, FeatureMap, Match, Plane, PlaneMut, Point, Rng, draw_apart,
    draw_apart_scratch_len, peak, sample_feature, similarity, similarity_scratch_len,
};
use rayon::prelude::*;

use crate::data::{Sample, TrainingSet};
use crate::encoder::{Encoder, STRIDES, host, unshuffle, with_values};
use crate::{TrainConfig, TrainError, stream};

/// Distance of the places whose positions in the partner are kept, in pixels.
const SPACING: usize = 16;
/// Places of an image that are looked for in its partner.
const ANCHORS: usize = 200;
/// Least distance of two of them in pixels.
const APART: f32 = 10.0;
/// Images that are encoded together.
const CHUNK: usize = 8;
/// Most images that get a partner in one round.
const MOST: usize = 128;

/// Where an image's places lie in another image.
#[derive(Clone)]
pub(crate) struct Partner {
    /// Index of the other image.
    pub(crate) image: usize,
    columns: usize,
    /// Position and spread at every [`SPACING`]th pixel, row by row.
    grid: Vec<[f32; 3]>,
}

impl Partner {
    /// Where a pixel lies in the partner; `None` where that is not known to within `spread` pixels.
    pub(crate) fn place(&self, at: Point<f32>, spread: f32) -> Option<Point<f32>> {
        let (x, y) = (at.x / SPACING as f32, at.y / SPACING as f32);
        let (column, row) = (x.floor().max(0.0), y.floor().max(0.0));
        let (u, v) = (x - column, y - row);
        let first = row as usize * self.columns + column as usize;
        let mut place = [0.0; 3];
        for (offset, weight) in [
            (0, (1.0 - u) * (1.0 - v)),
            (1, u * (1.0 - v)),
            (self.columns, (1.0 - u) * v),
            (self.columns + 1, u * v),
        ] {
            for (sum, value) in place.iter_mut().zip(self.grid.get(first + offset)?) {
                *sum += weight * value;
            }
        }
        (place[2] <= spread).then_some(Point { x: place[0], y: place[1] })
    }
}

/// Columns, and position and spread at each place.
type Grid = (usize, Vec<[f32; 3]>);

/// The features of an image at the strides that are compared.
struct Features {
    levels: Vec<(Vec<f32>, usize, usize, usize)>,
    channels: usize,
}

impl Features {
    fn maps(&self) -> Result<Vec<FeatureMap<'_, f32>>, TrainError> {
        let maps = self.levels.iter().map(|(data, width, height, stride)| {
            FeatureMap::new(data, self.channels, *width, *height, *stride)
                .map_err(TrainError::internal("partners"))
        });
        maps.collect()
    }
}

/// What partners follow from.
pub(crate) struct Round {
    /// Steps done when they were looked for.
    pub(crate) step: u64,
    /// The encoder's weights then.
    pub(crate) weights: Vec<Vec<f32>>,
}

/// Whether partners are to be looked for before a step.
pub(crate) fn is_due(config: &TrainConfig, fraction: f64, step: u64, last: Option<&Round>) -> bool {
    let every = config.partner_every;
    let due = last.is_none_or(|last| step.is_multiple_of(every) && last.step != step);
    config.partner_views > 0 && fraction >= config.partner_from && due
}

/// A partner for each image, where enough places of it are found there.
pub(crate) fn find(
    set: &TrainingSet,
    config: &TrainConfig,
    round: &Round,
) -> Result<Vec<Option<Partner>>, TrainError> {
    let device = Device::flex().autodiff();
    let encoder = Encoder::new(config, &device);
    let encoder = with_values(encoder, &round.weights);
    let mut rng = Rng::new(config.seed, stream::PARTNERS + round.step);
    let mut order: Vec<usize> = (0..set.len()).collect();
    for i in (1..order.len()).rev() {
        order.swap(i, rng.below(i as u64 + 1) as usize);
    }
    order.truncate(MOST);
    let mut partners = vec![None; set.len()];
    // Each image's partner is the next one, the last one's the first.
    let first = order.first().copied();
    order.extend(first);
    let mut last: Option<(usize, Features)> = None;
    for chunk in order.chunks(CHUNK) {
        let mut encoded: Vec<(usize, Features)> = Vec::with_capacity(CHUNK + 1);
        encoded.extend(last.take());
        let features = encode(set, &encoder, chunk, &device)?;
        encoded.extend(chunk.iter().copied().zip(features));
        let found = encoded
            .par_windows(2)
            .map(|pair| {
                let [(image, from), (other, to)] = pair else { return Ok(None) };
                let mut rng = Rng::new(config.seed, stream::ANCHORS + (round.step << 32) + *image as u64);
                Ok(compare(set, *image, from, to, &mut rng)?
                    .map(|(columns, grid)| (*image, Partner { image: *other, columns, grid })))
            })
            .collect::<Result<Vec<_>, TrainError>>()?;
        for (image, partner) in found.into_iter().flatten() {
            partners[image] = Some(partner);
        }
        last = encoded.pop();
    }
    Ok(partners)
}

fn encode(
    set: &TrainingSet,
    encoder: &Encoder,
    images: &[usize],
    device: &Device,
) -> Result<Vec<Features>, TrainError> {
    let (width, height) = (set.input.width(), set.input.height());
    let mut data = vec![0.0; images.len() * width * height];
    for (&image, out) in images.iter().zip(data.chunks_exact_mut(width * height)) {
        unshuffle(&set.pixels(image)?, width, out);
    }
    let shape = [images.len(), 4, height / 2, width / 2];
    let maps = encoder.forward(Tensor::<4>::from_data(TensorData::new(data, shape), device));
    let mut features: Vec<Features> =
        images.iter().map(|_| Features { levels: Vec::new(), channels: 0 }).collect();
    // The finest level costs most and decides about less than a pixel.
    for (map, stride) in maps.iter().zip(STRIDES).skip(1) {
        let [_, channels, height, width] = map.dims();
        let data = host(&map.clone().inner());
        for (features, data) in features.iter_mut().zip(data.chunks_exact(channels * height * width)) {
            features.channels = channels;
            features.levels.push((data.to_vec(), width, height, stride));
        }
    }
    Ok(features)
}

/// The grid of places of an image in another; `None` where too few matches agree.
fn compare(
    set: &TrainingSet,
    image: usize,
    from: &Features,
    to: &Features,
    rng: &mut Rng,
) -> Result<Option<Grid>, TrainError> {
    let (width, height) = (set.input.width(), set.input.height());
    let matches = matches(&set.sample(image)?, (width, height), &from.maps()?, &to.maps()?, rng)?;
    let rule = AlignRule { fewest: (matches.len() / 4).max(8), ..AlignRule::default() };
    let alignment = match Alignment::new(&matches, rule, rng) {
        Ok(alignment) => alignment,
        Err(AlignError::NoConsensus { .. }) => return Ok(None),
        Err(error) => return Err(TrainError::internal("partners")(error)),
    };
    let (columns, rows) = (width / SPACING + 2, height / SPACING + 2);
    let grid = (0..columns * rows).map(|i| {
        let at = Point { x: ((i % columns) * SPACING) as f32, y: ((i / columns) * SPACING) as f32 };
        let found = alignment.expect(at);
        [found.at.x, found.at.y, found.spread]
    });
    Ok(Some((columns, grid.collect())))
}

fn matches(
    sample: &Sample,
    (width, height): (usize, usize),
    from: &[FeatureMap<'_, f32>],
    to: &[FeatureMap<'_, f32>],
    rng: &mut Rng,
) -> Result<Vec<Match<f32>>, TrainError> {
    let weights = Plane::new(&sample.weights, width, height).map_err(TrainError::internal("partners"))?;
    let mut anchors = vec![(0, 0); ANCHORS];
    let mut scratch = vec![0.0; draw_apart_scratch_len(width, height)];
    let count = draw_apart(weights, APART, rng, &mut anchors, &mut scratch)
        .map_err(TrainError::internal("partners"))?;
    let Some(finest) = to.first() else { return Ok(Vec::new()) };
    let mut map = vec![0.0f32; finest.cells()];
    let mut scratch = vec![0.0f32; similarity_scratch_len(to)];
    let mut features = vec![vec![0.0f32; finest.channels()]; from.len()];
    let mut matches = Vec::with_capacity(count);
    for &(x, y) in &anchors[..count] {
        let at = Point { x: x as f32, y: y as f32 };
        for (level, feature) in from.iter().zip(&mut features) {
            sample_feature(*level, at, feature).map_err(TrainError::internal("partners"))?;
        }
        let features: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
        let out = PlaneMut::new(&mut map, finest.width(), finest.height())
            .map_err(TrainError::internal("partners"))?;
        similarity(to, &features, 1.0, out, &mut scratch).map_err(TrainError::internal("partners"))?;
        let map =
            Plane::new(&map, finest.width(), finest.height()).map_err(TrainError::internal("partners"))?;
        if let Some(found) = peak(map, finest.stride()) {
            matches.push(Match { from: at, to: found.at });
        }
    }
    Ok(matches)
}
