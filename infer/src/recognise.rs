//! Whether an image shows what the template shows at all, and which way up.

use crate::prior::{self, Anchors};
use crate::{Encoder, Encoding, Image, Looks, MatchError, ModelError, Orientation};

/// Strides that are compared: the coarse ones, which tell places of an anatomy apart.
const FINEST: usize = 8;
/// Another orientation is believed when so many times as many places agree on it as on the template's.
const CLEARER: f64 = 1.25;

/// Places of a template in all eight orientations, by which images are recognised.
///
/// The template is encoded eight times for it, an image not once more.
#[derive(Clone, Debug)]
pub struct Recogniser {
    model: String,
    image: String,
    anchors: Vec<(Orientation, Anchors)>,
}

/// How much of a template was found again in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognition {
    /// How the image lies against the template.
    pub orientation: Orientation,
    /// Share of the template's places, laid that way, that agree on how it lies on the image; 0 to 1.
    pub agreement: f64,
    /// The same for the template as it is.
    pub upright_agreement: f64,
}

impl Recognition {
    /// Share of the places that agree, at least, in an image that shows the template's anatomy.
    pub const FEWEST: f64 = 0.3;

    /// Whether the image shows the template's anatomy, in whatever orientation. Where it does not, no landmark found in it
    /// means anything.
    pub fn is_recognised(&self) -> bool {
        self.agreement >= Self::FEWEST
    }
}

impl Recogniser {
    /// For the template `image`; images to recognise have to be looked at in the same ways.
    ///
    /// # Errors
    ///
    /// [`ModelError`].
    pub fn new(encoder: &Encoder, image: &Image, looks: Looks) -> Result<Recogniser, ModelError> {
        let coarsest = encoder.description().strides.last().copied().unwrap_or(FINEST);
        let finest = FINEST.min(coarsest);
        let mut anchors = Vec::with_capacity(Orientation::ALL.len());
        for orientation in Orientation::ALL {
            let failed = |problem: String| ModelError::Features { name: encoder.name().to_owned(), problem };
            let laid = orientation.apply(image).map_err(|error| failed(error.to_string()))?;
            let drawn = Anchors::draw_from(&encoder.encode_with(&laid, looks)?, finest).map_err(failed)?;
            anchors.push((orientation, drawn));
        }
        Ok(Recogniser { model: encoder.sha256().to_owned(), image: image.name().to_owned(), anchors })
    }

    /// How much of the template is found again in an image.
    ///
    /// # Errors
    ///
    /// [`MatchError`] when the image was encoded by another model.
    pub fn recognise(&self, encoding: &Encoding) -> Result<Recognition, MatchError> {
        if self.model != encoding.model_sha256() {
            return Err(MatchError::OtherModel {
                template: self.image.clone(),
                image: encoding.image().to_owned(),
            });
        }
        let features = |reason| MatchError::Features { image: encoding.image().to_owned(), reason };
        let mut best = Recognition {
            orientation: Orientation::default(),
            agreement: 0.0,
            upright_agreement: 0.0,
        };
        for (orientation, anchors) in &self.anchors {
            let matches = anchors.matches(encoding).map_err(features)?;
            let agreement = prior::agreement(&matches);
            if orientation.is_upright() {
                best.agreement = agreement;
                best.upright_agreement = agreement;
            } else if agreement > best.agreement.max(CLEARER * best.upright_agreement) {
                best = Recognition { orientation: *orientation, agreement, ..best };
            }
        }
        Ok(best)
    }
}
