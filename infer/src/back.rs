//! Cycle consistency: matching from the image back into the template.

use infomark_core::{FeatureMap, Plane, Point, peak};

use crate::fit::cells;
use crate::lengths::{Lengths, features_at};
use crate::search::{ComparisonError, Search};
use crate::{Encoding, Rect};

/// Finest stride that is kept: a finer one takes most of the memory and changes the result by less than a pixel.
const FINEST: usize = 4;

/// The feature maps of a template, without the finest.
#[derive(Clone, Debug)]
pub(crate) struct Back {
    pub(crate) levels: Vec<Level>,
    pub(crate) content: Rect,
}

#[derive(Clone, Debug)]
pub(crate) struct Level {
    /// Features, channel after channel.
    pub(crate) features: Vec<f32>,
    pub(crate) channels: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) stride: usize,
}

/// The maps of an image at the strides that are kept.
fn maps(encoding: &Encoding) -> Vec<FeatureMap<'_, f32>> {
    encoding.levels().into_iter().filter(|map| map.stride() >= FINEST).collect()
}

impl Back {
    pub(crate) fn of(encoding: &Encoding) -> Back {
        let level = |map: FeatureMap<'_, f32>| Level {
            features: map.data().to_vec(),
            channels: map.channels(),
            width: map.width(),
            height: map.height(),
            stride: map.stride(),
        };
        Back { levels: maps(encoding).into_iter().map(level).collect(), content: encoding.fit().content() }
    }

    /// The template's position, in its model input, whose features are most similar to those at `at` in an image's model input.
    /// `None` where the encoder has no level that is kept.
    pub(crate) fn nearest(
        &self,
        encoding: &Encoding,
        at: Point<f32>,
        search: &mut Search,
    ) -> Result<Option<Point<f32>>, ComparisonError> {
        let own = self
            .levels
            .iter()
            .map(|Level { features, channels, width, height, stride }| {
                FeatureMap::new(features, *channels, *width, *height, *stride)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let Some(finest) = own.first() else { return Ok(None) };
        let features = features_at(&maps(encoding), at)?;
        let features = Lengths::of(&own).split(&features);
        let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
        let map = search.similarities(&own, &[&features], encoding.temperature())?;
        let shown = cells(self.content, stride);
        let cropped = Plane::new(map, width, height)
            .and_then(|map| map.crop(shown.x, shown.y, shown.width, shown.height))?;
        let start = Point::new((shown.x * stride) as f32, (shown.y * stride) as f32);
        Ok(peak(cropped, stride).map(|peak| Point::new(peak.at.x + start.x, peak.at.y + start.y)))
    }
}
