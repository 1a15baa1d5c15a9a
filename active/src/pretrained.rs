//! Bundled landmark network of an encoder, instead of trained ones.

use std::path::Path;

use infomark_core::Point;
use infomark_infer::{LandmarkNet, Template};
use infomark_train::AnnotatedSet;

use crate::ActiveError;

/// Bundled landmark network of an encoder, with its templates.
pub(crate) struct Pretrained {
    pub(crate) net: LandmarkNet,
    pub(crate) bytes: &'static [u8],
    pub(crate) templates: Vec<Template>,
}

impl Pretrained {
    /// Loads them from a bundled model, whose network has to have exactly the landmarks of the set.
    pub(crate) fn of(encoder: &Path, set: &AnnotatedSet) -> Result<Self, ActiveError> {
        let refused =
            |reason: String| ActiveError::NoPretrainedNetwork { encoder: encoder.to_owned(), reason };
        let model = infomark_models::named(encoder).filter(|model| model.landmark_net.is_some());
        let model = model.ok_or_else(|| refused("no landmark network comes with it".into()))?;
        let net = model.network()?;
        let own = &net.description().landmarks;
        if let Some(name) = set.landmarks.iter().find(|name| !own.contains(name)) {
            return Err(refused(format!("its network does not find {name}")));
        }
        if let Some(name) = own.iter().find(|name| !set.landmarks.contains(name)) {
            return Err(refused(format!("its network finds {name}, which is not among the landmarks")));
        }
        Ok(Self { bytes: model.network_bytes()?, templates: model.templates()?, net })
    }

    /// The set with its landmarks in the order of the network.
    pub(crate) fn in_order(&self, set: &AnnotatedSet) -> AnnotatedSet {
        let landmarks = self.net.description().landmarks.clone();
        let place = |name: &String| set.landmarks.iter().position(|landmark| landmark == name);
        let places: Vec<Option<usize>> = landmarks.iter().map(place).collect();
        let ordered = |points: &Vec<Option<Point<f64>>>| {
            places.iter().map(|place| points.get((*place)?).copied().flatten()).collect()
        };
        let images = set.images.iter().map(|(path, points)| (path.clone(), ordered(points))).collect();
        AnnotatedSet { landmarks, images, accepted: set.accepted.clone() }
    }
}
