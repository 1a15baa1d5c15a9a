//! Concatenated feature vectors of several levels.

use infomark_core::{FeatureMap, Point, sample_feature};

use crate::search::ComparisonError;

/// Channels of an encoder's levels, finest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lengths(pub(crate) Vec<usize>);

impl Lengths {
    /// The channels of these maps.
    pub(crate) fn of(maps: &[FeatureMap<'_, f32>]) -> Lengths {
        Lengths(maps.iter().map(FeatureMap::channels).collect())
    }

    /// Number of levels.
    pub(crate) fn levels(&self) -> usize {
        self.0.len()
    }

    /// Elements of the vectors of all levels.
    pub(crate) fn total(&self) -> usize {
        self.0.iter().sum()
    }

    /// The `count` coarsest levels, all where there are fewer.
    pub(crate) fn coarsest(&self, count: usize) -> Lengths {
        Lengths(self.0[self.levels().saturating_sub(count)..].to_vec())
    }

    /// The vector of each level; levels beyond the end of `features` are omitted.
    pub(crate) fn split<'a>(&self, features: &'a [f32]) -> Vec<&'a [f32]> {
        let mut rest = features;
        let take = |&length: &usize| {
            let (taken, left) = rest.split_at_checked(length)?;
            rest = left;
            Some(taken)
        };
        self.0.iter().map_while(take).collect()
    }
}

/// The features of all maps at a point of the model input, concatenated.
pub(crate) fn features_at(maps: &[FeatureMap<'_, f32>], at: Point<f32>) -> Result<Vec<f32>, ComparisonError> {
    let mut features = vec![0.0; Lengths::of(maps).total()];
    let mut rest = features.as_mut_slice();
    for &map in maps {
        let (slot, left) = rest.split_at_mut(map.channels());
        sample_feature(map, at, slot)?;
        rest = left;
    }
    Ok(features)
}
