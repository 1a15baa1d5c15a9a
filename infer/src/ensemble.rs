//! Ensemble of templates and landmark networks, combined per landmark.

#[cfg(feature = "ensembles")]
mod file;

use std::sync::Arc;
use std::time::Instant;

use infomark_core::Point;
use serde::{Deserialize, Serialize};

#[cfg(feature = "ensembles")]
pub use file::{EnsembleFile, EnsembleFileError};

use crate::landmark_net::LandmarkMaps;
use crate::recognise::{See, see};
use crate::score_map::ScoreMap;
use crate::search::ComparisonError;
use crate::{Encoding, Found, Image, LandmarkNet, Located, MatchError, Matcher, PixelSpacing, Recognition};

/// Weight of the templates' score map relative to the networks' log-probabilities in [`Member::Fusion`].
const FUSION_WEIGHT: f32 = 0.3;
/// Maximum distance at which the templates' and the product's positions are averaged, in pixels of the model input.
const AGREEMENT: f64 = 4.0;
/// Maximum number of networks of an ensemble.
const MAX_NETWORKS: usize = 16;

/// Member of an [`Ensemble`] that places a landmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Member {
    /// The templates alone.
    Templates,
    /// The landmark networks alone, by the mean of their heat maps.
    Network,
    /// Product of the networks' heat map and the templates' score map, averaged with the templates' position if that is near.
    Fusion,
}

impl Member {
    /// All members.
    pub const ALL: [Member; 3] = [Member::Templates, Member::Network, Member::Fusion];

    /// Distance between the networks' and the templates' positions, in pixels of the model input, beyond which one of them is grossly wrong.
    pub const FAR: f64 = 80.0;

    /// The member that is used when networks and templates disagree by this many pixels of the model input: beyond
    /// [`FAR`](Self::FAR) the product replaces the networks.
    #[must_use]
    pub fn placing(self, disagreement: f64) -> Member {
        let is_doubtful = self == Member::Network && disagreement > Member::FAR;
        if is_doubtful { Member::Fusion } else { self }
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Member::Templates => "templates",
            Member::Network => "network",
            Member::Fusion => "fusion",
        })
    }
}

/// Positions of one landmark by every member of an [`Ensemble`].
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// By the templates.
    pub matched: Found,
    /// By the networks.
    pub located: Located,
    /// By both: the networks' log-probabilities plus the templates' weighted score map, averaged with the templates' position within 4 pixels of
    /// the model input.
    pub fused: Located,
    /// Distance between the templates' and the networks' position, in pixels of the model input.
    pub disagreement: f64,
}

impl Candidates {
    /// Position by a member, in pixels of the image.
    pub fn at(&self, member: Member) -> Point<f64> {
        match member {
            Member::Templates => self.matched.at,
            Member::Network => self.located.at,
            Member::Fusion => self.fused.at,
        }
    }
}

/// Landmark found by an [`Ensemble`].
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleLandmark {
    /// Name of the landmark.
    pub name: String,
    /// Position in pixels of the original image.
    pub at: Point<f64>,
    /// The member used.
    pub member: Member,
    /// For [`Member::Network`] and [`Member::Fusion`], probability of the networks' heat map around the position, 0 to 1; for
    /// [`Member::Templates`], mean cosine, -1 to 1.
    pub score: f64,
    /// Distance between the templates' and the networks' positions, in pixels of the image: large where one of them is wrong.
    pub disagreement_px: f64,
    /// Relative size of the error, [`EnsembleBounds::scale`] of the disagreement: above 0, independent of the image's
    /// pixel size. For ranking landmarks and images; it is not a length and not a bound.
    pub uncertainty: f64,
    /// Error bound in pixels of the image, with the [coverage](EnsembleBounds::coverage) of the ensemble; `None` without bounds.
    pub error_bound_px: Option<f64>,
    /// Error bound in mm; `None` where the pixel size is unknown.
    pub error_bound_mm: Option<f64>,
}

/// Landmarks found by an [`Ensemble`], with recognition of the image.
#[derive(Clone, Debug, PartialEq)]
pub struct EnsembleDetection {
    /// Similarity of the image to the templates, and its orientation.
    pub recognition: Recognition,
    /// Whether the image was rotated or mirrored to the templates' orientation before the search.
    pub reoriented: bool,
    /// Landmarks in the order of [`Ensemble::landmarks`].
    pub landmarks: Vec<EnsembleLandmark>,
}

impl EnsembleDetection {
    /// Whether the image shows the templates' anatomy and was searched in their orientation. Otherwise the landmarks are unusable.
    pub fn is_usable(&self) -> bool {
        self.recognition.is_usable(self.reoriented)
    }
}

/// Conformal error bounds of an [`Ensemble`], from held-out errors.
///
/// A landmark's bound is `factor * (FLOOR + disagreement)`, in pixels of the model input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleBounds {
    /// Fraction of errors within their bound, 0 to 1.
    pub coverage: f64,
    /// Factor of each landmark, in the order of [`Ensemble::landmarks`].
    pub factors: Vec<f64>,
}

impl EnsembleBounds {
    /// Expected error where templates and networks agree, in pixels of the model input.
    pub const FLOOR: f64 = 3.0;
    /// Disagreement beyond which the expected error is constant, in pixels of the model input.
    pub const CEILING: f64 = 40.0;

    /// Expected error up to a factor, in pixels of the model input.
    pub fn scale(disagreement: f64) -> f64 {
        Self::FLOOR + disagreement.min(Self::CEILING)
    }
}

/// Errors of making an [`Ensemble`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EnsembleError {
    /// No network, or too many.
    #[error("an ensemble has 1 to {MAX_NETWORKS} landmark networks, not {count}")]
    Networks {
        /// Networks given.
        count: usize,
    },
    /// Networks with different landmarks, model inputs or strides.
    #[error(
        "network {network} has other landmarks or another input than {first}; train both from one encoder"
    )]
    Differ {
        /// File of the first network.
        first: String,
        /// File of the network that differs.
        network: String,
    },
    /// A landmark of the networks that no template has.
    #[error("landmark {landmark} of network {network} is in no template; add a template that has it")]
    NotInTemplates {
        /// The landmark.
        landmark: String,
        /// File of the network.
        network: String,
    },
    /// The number of members, or of factors of bounds, is not that of the landmarks.
    #[error("{given} values for {landmarks} landmarks; give one for each")]
    Count {
        /// Values given.
        given: usize,
        /// Landmarks.
        landmarks: usize,
    },
    /// A factor or the coverage of the bounds is out of range.
    #[error("error bound {value}: factors are finite numbers above 0, the coverage is between 0 and 1")]
    Bound {
        /// The value.
        value: f64,
    },
}

/// Ensemble of a [`Matcher`] and landmark networks for the same landmarks. Cheap to clone; threads can share it.
///
/// A network is precise but has outliers, as nothing constrains the positions of its landmarks; templates are the reverse. They are combined as a
/// product of experts (Hinton, 2002): for each cell the networks' mean log-probability plus a constant times the templates' score map
/// (cosines over the temperature, with ring and prior). Offsets of the networks refine the highest cell; if the templates' own position is near,
/// both are averaged, as their errors are partly independent.
///
/// The heat maps of several networks, each trained on a part of the annotated images, are averaged.
#[derive(Clone, Debug)]
pub struct Ensemble {
    matcher: Matcher,
    nets: Arc<[LandmarkNet]>,
    /// Index among the matcher's landmarks of each landmark of the networks.
    order: Arc<[usize]>,
    members: Arc<[Member]>,
    bounds: Option<EnsembleBounds>,
    fix_orientation: bool,
}

impl Ensemble {
    /// An ensemble with [`Member::Fusion`] for every landmark and no error bounds.
    ///
    /// # Errors
    /// [`EnsembleError::Networks`], [`EnsembleError::Differ`], [`EnsembleError::NotInTemplates`].
    pub fn new(
        matcher: Matcher,
        nets: impl IntoIterator<Item = LandmarkNet>,
    ) -> Result<Ensemble, EnsembleError> {
        let nets: Arc<[LandmarkNet]> = nets.into_iter().collect();
        let Some(first) = nets.first().filter(|_| nets.len() <= MAX_NETWORKS) else {
            return Err(EnsembleError::Networks { count: nets.len() });
        };
        let described = |net: &LandmarkNet| {
            let description = net.description();
            (description.input, description.stride, description.landmarks.clone())
        };
        if let Some(other) = nets.iter().find(|net| described(net) != described(first)) {
            let (first, network) = (first.name().to_owned(), other.name().to_owned());
            return Err(EnsembleError::Differ { first, network });
        }
        let known = matcher.landmarks();
        let place = |name: &String| {
            known.iter().position(|landmark| landmark == name).ok_or_else(|| EnsembleError::NotInTemplates {
                landmark: name.clone(),
                network: first.name().to_owned(),
            })
        };
        let order = first.description().landmarks.iter().map(place).collect::<Result<Arc<[_]>, _>>()?;
        let members = vec![Member::Fusion; order.len()].into();
        Ok(Ensemble { matcher, nets, order, members, bounds: None, fix_orientation: false })
    }

    /// Sets the member that places each landmark, in the order of [`landmarks`](Self::landmarks).
    ///
    /// # Errors
    /// [`EnsembleError::Count`].
    pub fn with_members(self, members: Vec<Member>) -> Result<Ensemble, EnsembleError> {
        self.check_count(members.len())?;
        Ok(Ensemble { members: members.into(), ..self })
    }

    /// Sets the error bounds.
    ///
    /// # Errors
    /// [`EnsembleError::Count`], [`EnsembleError::Bound`].
    pub fn with_bounds(self, bounds: EnsembleBounds) -> Result<Ensemble, EnsembleError> {
        self.check_count(bounds.factors.len())?;
        let wrong = bounds.factors.iter().find(|factor| !(factor.is_finite() && **factor > 0.0));
        let coverage = (!(bounds.coverage > 0.0 && bounds.coverage < 1.0)).then_some(&bounds.coverage);
        match wrong.or(coverage) {
            Some(&value) => Err(EnsembleError::Bound { value }),
            None => Ok(Ensemble { bounds: Some(bounds), ..self }),
        }
    }

    /// Sets whether images are rotated or mirrored to the templates' orientation; off by default.
    #[must_use]
    pub fn with_fixed_orientation(self, fix_orientation: bool) -> Ensemble {
        Ensemble { fix_orientation, ..self }
    }

    fn check_count(&self, given: usize) -> Result<(), EnsembleError> {
        let landmarks = self.order.len();
        if given == landmarks { Ok(()) } else { Err(EnsembleError::Count { given, landmarks }) }
    }

    /// The templates with their encoder.
    pub fn matcher(&self) -> &Matcher {
        &self.matcher
    }

    /// The networks.
    pub fn networks(&self) -> &[LandmarkNet] {
        &self.nets
    }

    /// Names of the landmarks, in the networks' order.
    pub fn landmarks(&self) -> &[String] {
        self.nets.first().map_or(&[], |net| &net.description().landmarks)
    }

    /// The member that places each landmark, unless networks and templates are [far apart](Member::placing).
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The error bounds, if any.
    pub fn bounds(&self) -> Option<&EnsembleBounds> {
        self.bounds.as_ref()
    }

    /// Whether images are rotated or mirrored to the templates' orientation before the search.
    pub fn fixes_orientation(&self) -> bool {
        self.fix_orientation
    }

    /// Whether encoder and networks give the same result for images read with [`ReadLimits::reduced`](crate::ReadLimits::reduced).
    pub fn takes_reduced(&self) -> bool {
        let takes = |net: &LandmarkNet| net.description().input.takes_reduced();
        self.matcher.encoder().description().input.takes_reduced() && self.nets.iter().all(takes)
    }

    /// Recognises an image and finds its landmarks, each by its [member](Self::members); aborted after the `deadline`.
    ///
    /// # Errors
    /// [`MatchError`].
    pub fn detect(&self, image: &Image, deadline: Option<Instant>) -> Result<EnsembleDetection, MatchError> {
        let image = &*image.reduced_where(self.takes_reduced());
        let See { encoding, recognition, upright } =
            see(self.matcher.parts(), image, self.fix_orientation, deadline)?;
        let mut candidates = match &upright {
            None => self.candidates_encoded(image, &encoding, deadline)?,
            Some(upright) => self.candidates(upright, deadline)?,
        };
        if let Some(upright) = &upright {
            let size = (upright.width(), upright.height());
            for Candidates { matched, located, fused, .. } in &mut candidates {
                for at in [&mut matched.at, &mut located.at, &mut fused.at] {
                    *at = recognition.orientation.push(*at, size);
                }
            }
        }
        // Rotation does not change the pixels of the image per pixel of the model input.
        let unit = encoding.fit().unit();
        let mm_per_px = image.spacing().map(PixelSpacing::mean_mm);
        let one = |(index, (candidates, (name, &member))): (usize, (Candidates, (&String, &Member)))| {
            let factor = self.bounds.as_ref().and_then(|bounds| bounds.factors.get(index));
            let uncertainty = EnsembleBounds::scale(candidates.disagreement);
            let bound = factor.map(|factor| factor * uncertainty * unit);
            let member = member.placing(candidates.disagreement);
            EnsembleLandmark {
                name: name.clone(),
                at: candidates.at(member),
                member,
                score: match member {
                    Member::Templates => candidates.matched.score,
                    Member::Network => candidates.located.probability,
                    Member::Fusion => candidates.fused.probability,
                },
                disagreement_px: candidates.disagreement * unit,
                uncertainty,
                error_bound_px: bound,
                error_bound_mm: bound.zip(mm_per_px).map(|(bound, unit)| bound * unit),
            }
        };
        let each = candidates.into_iter().zip(self.landmarks().iter().zip(self.members.iter()));
        let landmarks = each.enumerate().map(one).collect();
        Ok(EnsembleDetection { recognition, reoriented: upright.is_some(), landmarks })
    }

    /// Finds every landmark of an image by every member, in the order of [`landmarks`](Self::landmarks); aborted after the `deadline`.
    ///
    /// # Errors
    /// [`MatchError`].
    pub fn candidates(
        &self,
        image: &Image,
        deadline: Option<Instant>,
    ) -> Result<Vec<Candidates>, MatchError> {
        let encoding = self.matcher.encoder().encode_until(image, deadline)?;
        self.candidates_encoded(image, &encoding, deadline)
    }

    /// [`candidates`](Self::candidates) for an encoded image.
    ///
    /// # Errors
    /// [`MatchError`].
    pub fn candidates_encoded(
        &self,
        image: &Image,
        encoding: &Encoding,
        deadline: Option<Instant>,
    ) -> Result<Vec<Candidates>, MatchError> {
        let features =
            |source: ComparisonError| MatchError::Features { image: encoding.image().to_owned(), source };
        let mut maps: Option<LandmarkMaps> = None;
        for net in self.nets.iter() {
            let more = net.maps_until(image, deadline)?;
            maps = Some(match maps {
                None => more,
                Some(sum) => sum.plus(&more),
            });
        }
        let maps = maps.ok_or_else(|| features(ComparisonError::NoTemplate))?;
        let maps = maps.scaled(1.0 / self.nets.len() as f32);
        let found = self.matcher.search_maps(encoding, |found, map| Ok((found, map)))?;
        let unit = encoding.fit().unit();
        let one = |(landmark, (name, &place)): (usize, (&String, &usize))| {
            let (found, map) = found.get(place).ok_or_else(|| features(ComparisonError::NoLandmark))?;
            let heat = fused(&maps, landmark, map, encoding).map_err(features)?;
            let located = maps.locate(landmark, name, None);
            let (x, y) = (found.at.x - located.at.x, found.at.y - located.at.y);
            let mut fused = maps.locate(landmark, name, Some(&heat));
            let (dx, dy) = (found.at.x - fused.at.x, found.at.y - fused.at.y);
            if libm::hypot(dx, dy) <= AGREEMENT * unit {
                fused.at = Point::new(fused.at.x + 0.5 * dx, fused.at.y + 0.5 * dy);
            }
            Ok(Candidates { disagreement: libm::hypot(x, y) / unit, matched: found.clone(), fused, located })
        };
        self.landmarks().iter().zip(self.order.iter()).enumerate().map(one).collect()
    }
}

/// Heat map of a landmark plus the weighted score map, at the cell centres of the heat map.
fn fused(
    maps: &LandmarkMaps,
    landmark: usize,
    scores: &ScoreMap,
    encoding: &Encoding,
) -> Result<Vec<f32>, ComparisonError> {
    let levels = encoding.levels();
    let finest = levels.first().ok_or(ComparisonError::NotANumber)?;
    let grid = Grid {
        values: &scores.all,
        width: finest.width(),
        height: finest.height(),
        stride: finest.stride() as f64,
    };
    let (width, shown) = (maps.width(), maps.shown());
    let mut heat = maps.heat(landmark).to_vec();
    for (y, row) in heat.chunks_exact_mut(width).enumerate().skip(shown.y).take(shown.height) {
        for (x, heat) in row.iter_mut().enumerate().skip(shown.x).take(shown.width) {
            let centre = |cell: usize| (cell as f64 + 0.5) * maps.stride as f64 - 0.5;
            let original = maps.fit.pull(Point::new(centre(x), centre(y)));
            *heat += FUSION_WEIGHT * grid.at(encoding.fit().push(original));
        }
    }
    Ok(heat)
}

/// Values at the cell centres of a model input.
struct Grid<'a> {
    values: &'a [f32],
    width: usize,
    height: usize,
    stride: f64,
}

impl Grid<'_> {
    /// Bilinear interpolation at a point of the model input, which is clamped to the cell centres.
    fn at(&self, canvas: Point<f64>) -> f32 {
        let axis = |at: f64, cells: usize| {
            let cell = ((at + 0.5) / self.stride - 0.5).clamp(0.0, (cells - 1) as f64);
            let first = cell.floor();
            (first as usize, (first as usize + 1).min(cells - 1), (cell - first) as f32)
        };
        let (left, right, u) = axis(canvas.x, self.width);
        let (top, bottom, v) = axis(canvas.y, self.height);
        let value =
            |x: usize, y: usize| self.values.get(y * self.width + x).copied().unwrap_or(f32::NEG_INFINITY);
        let row = |y: usize| value(left, y) * (1.0 - u) + value(right, y) * u;
        row(top) * (1.0 - v) + row(bottom) * v
    }
}
