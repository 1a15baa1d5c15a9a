//! Recognition: whether an image shows a template's anatomy, and in which orientation.

use std::time::Instant;

use crate::search::ComparisonError;
use crate::{Encoder, Encoding, Image, MatchError, Orientation, Template, prior};

/// Finest stride that is compared: coarse features suffice, at low cost.
const FINEST: usize = 8;
/// Inlier fraction above which no other orientation is tried.
const SURE: f64 = 0.7;
/// Inlier fraction of the image or its mirror image above which no quarter turn is tried.
const ENOUGH: f64 = 0.5;
/// Minimum ratio of inlier fractions for another orientation. For a nearly symmetric anatomy, that of the mirror image is
/// four fifths.
const CLEARER: f64 = 1.1;

/// Result of recognition: orientation and inlier fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recognition {
    /// Orientation of the image relative to the template.
    pub orientation: Orientation,
    /// Fraction of 200 keypoints of the template that are inliers of one affine map onto the image in that orientation, 0 to 1.
    /// Of several templates the largest.
    pub inlier_fraction: f64,
}

impl Recognition {
    /// Minimum inlier fraction of an image that shows the template's anatomy.
    pub const MIN_INLIER_FRACTION: f64 = 0.3;

    /// Whether the image shows the template's anatomy, in any orientation. Otherwise its landmarks are
    /// meaningless.
    pub fn is_recognised(&self) -> bool {
        self.inlier_fraction >= Self::MIN_INLIER_FRACTION
    }

    /// Whether landmarks found in the image can be used: it is recognised, and either in the template's
    /// orientation or `reoriented` to it.
    pub(crate) fn is_usable(&self, reoriented: bool) -> bool {
        self.is_recognised() && (reoriented || self.orientation.is_upright())
    }
}

/// An encoded image with its recognition.
pub(crate) struct See {
    pub(crate) encoding: Encoding,
    pub(crate) recognition: Recognition,
    /// The image in the templates' orientation, if it was reoriented.
    pub(crate) upright: Option<Image>,
}

/// Encodes and recognises an image; with `fix_orientation` also reorients it to the templates' orientation.
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
        source: ComparisonError::Orientation { reason: error.to_string() },
    };
    let upright = orientation.inverse().apply(image).map_err(failed)?;
    Ok(See { encoding, recognition, upright: Some(upright) })
}

/// Recognises the templates' anatomy in an image whose features are `encoding`, in the best of the eight orientations.
///
/// The mirrored image is encoded, too, if the inlier fraction is low, and quarter turns if it is still
/// low; aborted after the `deadline`.
///
/// # Errors
/// [`MatchError`] when the encoder fails, or is not that of the templates.
pub(crate) fn recognise(
    encoder: &Encoder,
    templates: &[Template],
    image: &Image,
    encoding: &Encoding,
    deadline: Option<Instant>,
) -> Result<Recognition, MatchError> {
    let upright = inlier_fraction(templates, encoding)?;
    let mut best = Recognition { orientation: Orientation::default(), inlier_fraction: upright };
    if upright >= SURE {
        return Ok(best);
    }
    // Once for all orientations.
    let image = &*image.reduced_where(encoder.description().input.takes_reduced());
    for (order, orientation) in Orientation::ALL.into_iter().enumerate().skip(1) {
        if order == 2 && best.inlier_fraction >= ENOUGH {
            break;
        }
        let failed = |error: crate::ImageError| MatchError::Features {
            image: image.name().to_owned(),
            source: ComparisonError::Orientation { reason: error.to_string() },
        };
        let oriented = orientation.inverse().apply(image).map_err(failed)?;
        let inlier_fraction = inlier_fraction(templates, &encoder.encode_until(&oriented, deadline)?)?;
        if inlier_fraction > best.inlier_fraction.max(CLEARER * upright) {
            best = Recognition { orientation, inlier_fraction };
        }
    }
    Ok(best)
}

/// The largest inlier fraction of the templates.
fn inlier_fraction(templates: &[Template], encoding: &Encoding) -> Result<f64, MatchError> {
    let mut largest = 0.0_f64;
    for template in templates {
        let features = |source| MatchError::Features { image: encoding.image().to_owned(), source };
        template.check(encoding).map_err(features)?;
        let matches = template.anchors().matches_from(encoding, FINEST).map_err(features)?;
        largest = largest.max(prior::inlier_fraction(&matches, encoding));
    }
    Ok(largest)
}
