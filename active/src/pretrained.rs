//! Landmark networks that come with a model, instead of trained ones.

use std::borrow::Cow;
use std::path::Path;

use infomark_core::Point;
use infomark_infer::{EnsembleFile, LandmarkNet, Template};
use infomark_train::AnnotatedSet;

use crate::ActiveError;

/// Landmark networks of a bundled model or of a file of a whole model, with its templates.
pub(crate) struct Pretrained {
    /// The networks with their bytes, at least one.
    pub(crate) nets: Vec<(LandmarkNet, Cow<'static, [u8]>)>,
    pub(crate) templates: Vec<Template>,
}

impl Pretrained {
    /// Loads them from a model, whose networks have to have exactly the landmarks of the set.
    pub(crate) fn of(model: &Path, set: &AnnotatedSet) -> Result<Self, ActiveError> {
        let refused = |reason: String| ActiveError::NoPretrainedNetwork { encoder: model.to_owned(), reason };
        let loaded = Self::load(model)?;
        let Some((net, _)) = loaded.nets.first() else {
            return Err(refused("no landmark network comes with it".into()));
        };
        let own = &net.description().landmarks;
        if let Some(name) = set.landmarks.iter().find(|name| !own.contains(name)) {
            return Err(refused(format!("its network does not find {name}")));
        }
        if let Some(name) = own.iter().find(|name| !set.landmarks.contains(name)) {
            return Err(refused(format!("its network finds {name}, which is not among the landmarks")));
        }
        Ok(loaded)
    }

    fn load(path: &Path) -> Result<Self, ActiveError> {
        if let Some(model) = infomark_models::named(path) {
            let nets = match model.landmark_net {
                Some(bytes) => vec![(model.network()?, Cow::Borrowed(bytes))],
                None => Vec::new(),
            };
            return Ok(Self { nets, templates: model.templates()? });
        }
        if !EnsembleFile::is_at(path) {
            return Ok(Self { nets: Vec::new(), templates: Vec::new() });
        }
        let EnsembleFile { ensemble, networks, .. } = EnsembleFile::load(path)?;
        let nets = ensemble.networks().iter().cloned().zip(networks.into_iter().map(Cow::Owned));
        Ok(Self { nets: nets.collect(), templates: ensemble.matcher().templates().to_vec() })
    }

    /// The set with its landmarks in the order of the networks.
    pub(crate) fn in_order(&self, set: &AnnotatedSet) -> AnnotatedSet {
        let landmarks =
            self.nets.first().map_or_else(Vec::new, |(net, _)| net.description().landmarks.clone());
        let place = |name: &String| set.landmarks.iter().position(|landmark| landmark == name);
        let places: Vec<Option<usize>> = landmarks.iter().map(place).collect();
        let ordered = |points: &Vec<Option<Point<f64>>>| {
            places.iter().map(|place| points.get((*place)?).copied().flatten()).collect()
        };
        let images = set.images.iter().map(|(path, points)| (path.clone(), ordered(points))).collect();
        AnnotatedSet { landmarks, images, accepted: set.accepted.clone() }
    }
}
