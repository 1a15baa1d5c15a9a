//! Query expansion: template features averaged with their matches in unlabelled images.
//!
//! A landmark's feature has a component common to all people and one of its own image. Matched features
//! of unlabelled images share the first and differ in the second, so that their mean is closer to the
//! landmark in a new image: query expansion (Chum et al., *Total recall*, ICCV 2007) for every landmark and stride.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use infomark_core::{LocateError, Plane, Point, peak};

use super::Template;
use crate::fit::cells;
use crate::lengths::{Lengths, features_at};
use crate::neighbours::Neighbour;
use crate::recognise::Recognition;
use crate::score_map::{Registered, anchor_matches};
use crate::search::ComparisonError;
use crate::{
    Encoder, Encoding, ImageError, MatchError, MatchOptions, Ordered, ThreadError, neighbours, ordered,
    prior, read_image,
};

/// Weight of the template's own features relative to the mean of the others'.
const OWN: f32 = 0.5;
/// Fraction of the images averaged into a landmark: those with the best matches.
const BEST: f64 = 0.5;
/// Rounds of [`refine_templates`]: the second one searches with the templates refined by the first.
pub const REFINE_ROUNDS: usize = 2;

/// A template's landmarks matched in an unlabelled image, with their features; takes tens of kilobytes.
#[derive(Clone, Debug)]
pub struct Observation {
    /// Landmark by landmark; empty for an image of another anatomy.
    landmarks: Vec<Sighted>,
}

#[derive(Clone, Debug)]
struct Sighted {
    /// Peak value of the score map.
    score: f32,
    /// Features, level by level.
    features: Vec<f32>,
    /// Features of the ring points, in the template's order.
    ring: Vec<Vec<f32>>,
}

impl Observation {
    /// Whether the image shows the template's anatomy; only then it is averaged.
    pub fn is_recognised(&self) -> bool {
        !self.landmarks.is_empty()
    }
}

impl Template {
    /// Matches the landmarks in an unlabelled image, as input of [`refined`](Self::refined).
    ///
    /// # Errors
    /// [`MatchError`], except `Model`.
    pub fn sight(&self, encoding: &Encoding) -> Result<Observation, MatchError> {
        self.check_maker(encoding)?;
        self.observation(encoding)
            .map_err(|source| MatchError::Features { image: encoding.image().to_owned(), source })
    }

    fn observation(&self, encoding: &Encoding) -> Result<Observation, ComparisonError> {
        self.check(encoding)?;
        let options = MatchOptions::default();
        let matches = anchor_matches(self, encoding, options)?;
        let memory = RefCell::default();
        let laid = Registered::new(self, encoding, &matches, options, &memory);
        let strange = prior::inlier_fraction(&matches, encoding) < Recognition::MIN_INLIER_FRACTION;
        let Some(alignment) = laid.alignment().filter(|_| !strange) else {
            return Ok(Observation { landmarks: Vec::new() });
        };
        let levels = encoding.levels();
        let coarse: Vec<_> =
            levels.iter().copied().filter(|map| map.stride() >= neighbours::FINEST).collect();
        let finest = levels.first().ok_or(LocateError::NoLevels)?;
        let (width, height, stride) = (finest.width(), finest.height(), finest.stride());
        let shown = cells(encoding.fit().content(), stride);
        let one = |(index, &place): (usize, &Point<f32>)| {
            let map = laid.score_map(index)?;
            let highest = Plane::new(&map.all, width, height)
                .and_then(|map| map.crop(shown.x, shown.y, shown.width, shown.height))
                .map(|shown| peak(shown, stride))?
                .ok_or(ComparisonError::NotANumber)?;
            let start = Point::new((shown.x * stride) as f32, (shown.y * stride) as f32);
            let at = Point::new(highest.at.x + start.x, highest.at.y + start.y);
            let lay = neighbours::laid(place, Some(alignment));
            let around = |neighbour: &Neighbour| {
                let offset = lay(neighbour.offset);
                features_at(&coarse, Point::new(at.x + offset.x, at.y + offset.y))
            };
            let ring = self.neighbours.places.get(index).map_or(&[][..], Vec::as_slice);
            Ok(Sighted {
                score: highest.value,
                features: features_at(&levels, at)?,
                ring: ring.iter().map(around).collect::<Result<_, ComparisonError>>()?,
            })
        };
        let landmarks = self.places.iter().enumerate().map(one).collect::<Result<_, ComparisonError>>()?;
        Ok(Observation { landmarks })
    }

    /// The template with refined features: for each landmark and ring point, the mean over
    /// the better half of the images, by the landmark's score, and of its own feature with half the weight.
    ///
    /// Observations of the refined template are better ones: refine the original template again
    /// with them, as [`refine_templates`] does. Images that are not recognised, and
    /// observations of a template with other landmarks, are ignored; without any, the template is unchanged. The order of the
    /// observations affects only rounding and ties.
    #[must_use]
    pub fn refined(&self, observations: &[Observation]) -> Template {
        let fits = |observation: &&Observation| {
            observation.landmarks.len() == self.names.len()
                && observation.landmarks.iter().zip(&self.neighbours.places).all(|(sighted, ring)| {
                    sighted.features.len() == self.lengths.total()
                        && sighted.ring.len() == ring.len()
                        && sighted.ring.iter().zip(ring).all(|(a, b)| a.len() == b.features.len())
                })
        };
        let fitting: Vec<&Observation> = observations.iter().filter(fits).collect();
        let mut refined = self.clone();
        let own = refined.features.chunks_exact_mut(self.lengths.total().max(1));
        for (index, (features, ring)) in own.zip(&mut refined.neighbours.places).enumerate() {
            let mut sighted: Vec<&Sighted> =
                fitting.iter().filter_map(|observation| observation.landmarks.get(index)).collect();
            sighted.sort_by(|a, b| b.score.total_cmp(&a.score));
            sighted.truncate((sighted.len() as f64 * BEST).ceil() as usize);
            blend(features, sighted.iter().map(|sighted| &sighted.features[..]), &self.lengths);
            for (place, neighbour) in ring.iter_mut().enumerate() {
                let others = sighted.iter().filter_map(|sighted| sighted.ring.get(place).map(Vec::as_slice));
                blend(&mut neighbour.features, others, &self.neighbours.lengths);
            }
        }
        refined.refined_on = fitting.len();
        refined
    }

    /// Number of unlabelled images averaged into the features: 0 unless it was [refined](Self::refined).
    pub fn refined_on(&self) -> usize {
        self.refined_on
    }
}

/// Progress of [`refine_templates`].
#[derive(Debug)]
#[non_exhaustive]
pub enum RefineStep {
    /// An image cannot be read and is excluded.
    LeftOut(ImageError),
    /// An image was searched.
    Searched {
        /// Images searched so far, in all rounds.
        done: usize,
        /// Images to search in all rounds.
        total: usize,
    },
}

/// Why templates could not be refined; every message says what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RefineError {
    /// A template that is already refined.
    #[error("template {template} is refined already; make it again from its image")]
    Already {
        /// Name of the template's image.
        template: String,
    },
    /// No image shows a template's anatomy.
    #[error("none of {images} images shows what template {template} does; give images of the same kind")]
    Unlike {
        /// Images that could be read.
        images: usize,
        /// Name of the template's image.
        template: String,
    },
    /// An image could be read at first, but not again.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// An image could not be searched.
    #[error(transparent)]
    Match(#[from] MatchError),
    /// The threads could not be started.
    #[error(transparent)]
    Threads(#[from] ThreadError),
}

/// Refines templates with unlabelled images of the same kind in [`REFINE_ROUNDS`] rounds, on `threads` threads, 0 for all cores;
/// also returns which of the images could be read. A template's own image, and images of another anatomy, are ignored.
///
/// # Errors
/// [`RefineError`].
///
/// ```no_run
/// use infomark_infer::{Encoder, Template, list_images, read_image, read_landmarks, refine_templates};
///
/// let encoder = Encoder::load("encoder.onnx")?;
/// let image = read_image("template.png")?;
/// let points = read_landmarks("points.csv")?;
/// let template = Template::new(&encoder, &image, points.on_image("template.png", image.width(), image.height())?)?;
/// let (refined, used) = refine_templates(&encoder, &[template], list_images("radiographs")?, 0, &mut |_| {})?;
/// println!("{} images", used.len());
/// refined[0].save("template.template")?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn refine_templates(
    encoder: &Encoder,
    templates: &[Template],
    mut images: Vec<PathBuf>,
    threads: usize,
    tell: &mut dyn FnMut(RefineStep),
) -> Result<(Vec<Template>, Vec<PathBuf>), RefineError> {
    if let Some(done) = templates.iter().find(|template| template.refined_on() > 0) {
        return Err(RefineError::Already { template: done.image().to_owned() });
    }
    let mut problems = ordered(images.clone(), threads, Arc::default(), |path| read_image(path).err())?;
    images.retain(|_| {
        let problem = problems.next().flatten();
        let readable = problem.is_none();
        problem.into_iter().for_each(|problem| tell(RefineStep::LeftOut(problem)));
        readable
    });
    let (mut done, total) = (0, REFINE_ROUNDS * images.len());
    let mut refined = templates.to_vec();
    for _ in 0..REFINE_ROUNDS {
        let mut columns = vec![Vec::with_capacity(images.len()); templates.len()];
        for row in observations(encoder, &refined, images.clone(), threads)? {
            for (column, observation) in columns.iter_mut().zip(row?) {
                column.extend(observation);
            }
            done += 1;
            tell(RefineStep::Searched { done, total });
        }
        refined = templates.iter().zip(&columns).map(|(template, column)| template.refined(column)).collect();
    }
    match refined.iter().find(|template| template.refined_on() == 0) {
        Some(alone) => Err(RefineError::Unlike { images: images.len(), template: alone.image().to_owned() }),
        None => Ok((refined, images)),
    }
}

/// Observations of each template in an image; `None` in its own.
type Row = Result<Vec<Option<Observation>>, RefineError>;

fn observations(
    encoder: &Encoder,
    templates: &[Template],
    images: Vec<PathBuf>,
    threads: usize,
) -> Result<Ordered<Row>, ThreadError> {
    let (encoder, templates) = (encoder.clone(), templates.to_vec());
    ordered(images, threads, Arc::default(), move |path| {
        let encoding = encoder.encode(&read_image(path)?).map_err(MatchError::from)?;
        let sight = |template: &Template| match is_own(template, path) {
            true => Ok(None),
            false => template.sight(&encoding).map(Some).map_err(RefineError::from),
        };
        templates.iter().map(sight).collect()
    })
}

/// Whether a path is a template's own image: the same file, or one of its name where only that is known, as for template files.
fn is_own(template: &Template, path: &Path) -> bool {
    let image = Path::new(template.image());
    match image.is_file() {
        true => matches!((fs::canonicalize(image), fs::canonicalize(path)), (Ok(a), Ok(b)) if a == b),
        false => image.file_name() == path.file_name(),
    }
}

/// Averages features with others; each vector is normalised to length 1.
fn blend<'a>(features: &mut [f32], others: impl Iterator<Item = &'a [f32]>, lengths: &Lengths) {
    let others: Vec<&[f32]> = others.collect();
    if others.is_empty() {
        return;
    }
    let share = 1.0 / others.len() as f32;
    features.iter_mut().for_each(|value| *value *= OWN);
    for other in others {
        features.iter_mut().zip(other).for_each(|(sum, value)| *sum += share * value);
    }
    let mut rest = features;
    for &length in &lengths.0 {
        let Some((vector, left)) = std::mem::take(&mut rest).split_at_mut_checked(length) else { return };
        rest = left;
        let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
        if length > 0.0 {
            vector.iter_mut().for_each(|value| *value /= length);
        }
    }
}
