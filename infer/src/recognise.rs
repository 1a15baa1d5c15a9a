//! Whether an image shows what a template shows at all, and which way up.

use std::time::Instant;

use crate::{Encoder, Encoding, Image, MatchError, Orientation, Template, prior};

/// Finest stride that is compared: coarse features tell places of an anatomy apart, and cost little.
const FINEST: usize = 8;
/// An image on which so large a share of the places agree lies as the template does; nothing else is tried.
const SURE: f64 = 0.7;
/// Where the better of an image and its mirror image reaches this, no quarter turn is tried.
const ENOUGH: f64 = 0.5;
/// Another orientation is believed when so many times as many places agree on it. An anatomy that is nearly symmetric agrees
/// with its mirror image four fifths as well.
const CLEARER: f64 = 1.1;

/// How much of a template was found again in an image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognition {
    /// How the image lies against the template.
    pub orientation: Orientation,
    /// Share of 200 places of the template that agree on one smooth map onto the image, which is laid as the template is;
    /// 0 to 1. Of several templates the largest.
    pub agreement: f64,
}

impl Recognition {
    /// Share of the places that agree, at least, in an image that shows the template's anatomy.
    pub const FEWEST: f64 = 0.3;

    /// Whether the image shows the template's anatomy, in whatever orientation. Where it does not, no landmark found in it
    /// means anything.
    pub fn is_recognised(&self) -> bool {
        self.agreement >= Self::FEWEST
    }

    /// Whether landmarks that were looked for in the image can be used: it is recognised, and either in the template's
    /// orientation or `reoriented` to it.
    pub(crate) fn is_usable(&self, reoriented: bool) -> bool {
        self.is_recognised() && (reoriented || self.orientation.is_upright())
    }
}

/// An encoded image with its recognition.
pub(crate) struct See {
    pub(crate) encoding: Encoding,
    pub(crate) recognition: Recognition,
    /// The image in the templates' orientation, where it lies otherwise and that was asked for.
    pub(crate) upright: Option<Image>,
}

/// Encodes and recognises an image; with `fix_orientation` also turns it to the templates' orientation, where it lies otherwise.
pub(crate) fn see(
    (encoder, templates): (&Encoder, &[Template]),
    image: &Image,
    fix_orientation: bool,
    deadline: Option<Instant>,
) -> Result<See, MatchError> {
    let encoding = encoder.encode_until(image, deadline)?;
    let recognition = recognise(encoder, templates, image, &encoding, deadline)?;
    let orientation = recognition.orientation;
    if !fix_orientation || !recognition.is_recognised() || orientation.is_upright() {
        return Ok(See { encoding, recognition, upright: None });
    }
    let failed = |error: crate::ImageError| MatchError::Features {
        image: image.name().to_owned(),
        reason: error.to_string(),
    };
    let upright = orientation.inverse().apply(image).map_err(failed)?;
    Ok(See { encoding, recognition, upright: Some(upright) })
}

/// How much of the templates is found again in an image whose features are `encoding`, and in which of the eight orientations.
///
/// The image is encoded mirrored as well where its own orientation does not convince, and turned by quarters where neither
/// does; given up once a `deadline` has passed.
///
/// # Errors
///
/// [`MatchError`] when the encoder fails, or is another one than the templates'.
pub(crate) fn recognise(
    encoder: &Encoder,
    templates: &[Template],
    image: &Image,
    encoding: &Encoding,
    deadline: Option<Instant>,
) -> Result<Recognition, MatchError> {
    let upright = agreement(templates, encoding)?;
    let mut best = Recognition { orientation: Orientation::default(), agreement: upright };
    if upright >= SURE {
        return Ok(best);
    }
    for (order, orientation) in Orientation::ALL.into_iter().enumerate().skip(1) {
        if order == 2 && best.agreement >= ENOUGH {
            break;
        }
        let failed = |error: crate::ImageError| MatchError::Features {
            image: image.name().to_owned(),
            reason: error.to_string(),
        };
        let laid = orientation.inverse().apply(image).map_err(failed)?;
        let agreement = agreement(templates, &encoder.encode_until(&laid, deadline)?)?;
        if agreement > best.agreement.max(CLEARER * upright) {
            best = Recognition { orientation, agreement };
        }
    }
    Ok(best)
}

/// The largest share of a template's places that agree on one smooth map onto the image.
fn agreement(templates: &[Template], encoding: &Encoding) -> Result<f64, MatchError> {
    let mut largest = 0.0_f64;
    for template in templates {
        let features = |reason| MatchError::Features { image: encoding.image().to_owned(), reason };
        template.check(encoding).map_err(features)?;
        let matches = template.anchors().matches_from(encoding, FINEST).map_err(features)?;
        largest = largest.max(prior::agreement(&matches, encoding));
    }
    Ok(largest)
}
