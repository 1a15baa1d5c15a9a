//! Robust alignment of two images from matches with many outliers: RANSAC, then moving least squares.

use crate::{Affine, Point, Real, Rng};
use thiserror::Error;

/// Why matches could not be aligned.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum AlignError {
    /// An option is unusable.
    #[error("{option} is {value}: it has to be {needs}")]
    Option {
        /// Name of the option.
        option: &'static str,
        /// The rejected value.
        value: f64,
        /// What it has to be.
        needs: &'static str,
    },
    /// A match is not finite.
    #[error("match {index} is not finite")]
    NotFinite {
        /// Index of the match.
        index: usize,
    },
    /// Too few matches are inliers of one affine map.
    #[error(
        "{inliers} of {matches} matches are inliers of the best affine map; at least {needed} have to be"
    )]
    NoConsensus {
        /// Inliers of the best map.
        inliers: usize,
        /// Matches in all.
        matches: usize,
        /// Matches needed.
        needed: usize,
    },
}

/// A point of one image and the point of another that it was matched to.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Match<T> {
    /// Point in the first image, in pixels.
    pub from: Point<T>,
    /// Point in the second image, in pixels.
    pub to: Point<T>,
}

/// Options of [`Alignment`], for RANSAC and moving least squares.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlignOptions<T> {
    /// Inlier threshold: largest residual of an inlier of the affine map, in pixels.
    pub tolerance: T,
    /// Iterations of RANSAC, each with three random matches; at least 1.
    pub max_iterations: usize,
    /// Maximum ratio of areas under the affine map, and of its inverse; at least 1.
    pub max_area_ratio: T,
    /// Minimum number of inliers; values below 3 count as 3.
    pub min_inliers: usize,
    /// Standard deviation of the Gaussian weights of moving least squares, in pixels.
    pub sigma: T,
    /// Scale of the Geman-McClure weights: the residual, in pixels, at which the weight is a quarter.
    pub robust_scale: T,
}

impl<T: Real> Default for AlignOptions<T> {
    /// Values for images of about 400 pixels a side.
    fn default() -> Self {
        Self {
            tolerance: T::from_f64(15.0),
            max_iterations: 300,
            max_area_ratio: T::from_f64(2.0),
            min_inliers: 8,
            sigma: T::from_f64(60.0),
            robust_scale: T::from_f64(8.0),
        }
    }
}

/// Predicted point with its uncertainty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected<T> {
    /// The predicted point, in pixels of the second image.
    pub at: Point<T>,
    /// Weighted root mean square of the residuals, in pixels.
    pub spread: T,
    /// Effective number of matches: the sum of their weights.
    pub support: T,
}

/// Iterations of reweighting.
const ROUNDS: usize = 5;
/// Matches whose spatial weight is cached for all iterations; that of further ones is recomputed.
const KEPT: usize = 256;
/// Lower bound of a spatial weight: keeps the fit solvable where matches are sparse.
const FAR: f64 = 1e-4;

/// Smooth map from one image to another: a robust affine map, corrected locally by moving least squares.
///
/// The affine map is found by random sample consensus (Fischler & Bolles, 1981). The correction is moving least
/// squares with affine maps (Schaefer, McPhail, Warren, SIGGRAPH 2006), made robust by reweighting with the
/// Geman-McClure function.
///
/// ```
/// use infomark_core::{AlignOptions, Alignment, Match, Point, Rng};
/// // Eleven matches of an image that is moved by (3, -1), the last one wrong.
/// let mut matches: Vec<Match<f64>> = (0..11)
///     .map(|i| Point::new(f64::from(i * 37 % 100), f64::from(i * 61 % 100)))
///     .map(|from| Match { from, to: Point::new(from.x + 3.0, from.y - 1.0) })
///     .collect();
/// matches[10].to.x += 60.0;
/// let alignment = Alignment::new(&matches, AlignOptions::default(), &mut Rng::new(1, 0))?;
/// assert_eq!(alignment.inliers(), 10);
/// let found = alignment.predict(Point::new(50.0, 50.0));
/// assert!((found.at.x - 53.0).abs() < 0.1 && (found.at.y - 49.0).abs() < 0.1);
/// # Ok::<(), infomark_core::AlignError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Alignment<'m, T> {
    matches: &'m [Match<T>],
    options: AlignOptions<T>,
    map: Linear,
    inliers: usize,
}

/// `x' = a x + b y + c`, `y' = d x + e y + f`.
#[derive(Clone, Copy, Debug)]
struct Linear([[f64; 3]; 2]);

impl Linear {
    fn at(&self, p: [f64; 2]) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * p[0] + b * p[1] + c)
    }

    /// The affine map through three correspondences; `None` where they are collinear.
    fn through(three: [([f64; 2], [f64; 2]); 3]) -> Option<Self> {
        let mut sums = Sums::default();
        for (from, to) in three {
            sums.add(from, to, 1.0);
        }
        sums.fit()
    }

    fn determinant(&self) -> f64 {
        self.0[0][0] * self.0[1][1] - self.0[0][1] * self.0[1][0]
    }

    /// Squared residual of a correspondence.
    fn square(&self, from: [f64; 2], to: [f64; 2]) -> f64 {
        let at = self.at(from);
        let (dx, dy) = (at[0] - to[0], at[1] - to[1]);
        dx * dx + dy * dy
    }
}

/// Weighted sums of the normal equations of an affine least-squares fit.
#[derive(Default)]
struct Sums {
    weight: f64,
    from: [f64; 2],
    to: [f64; 2],
    /// `xx, xy, yy` of `from`.
    square: [f64; 3],
    /// Products of `from` (second index) and `to` (first).
    cross: [[f64; 2]; 2],
}

impl Sums {
    fn add(&mut self, from: [f64; 2], to: [f64; 2], weight: f64) {
        self.weight += weight;
        for i in 0..2 {
            self.from[i] += weight * from[i];
            self.to[i] += weight * to[i];
            for (cross, f) in self.cross[i].iter_mut().zip(from) {
                *cross += weight * to[i] * f;
            }
        }
        self.square[0] += weight * from[0] * from[0];
        self.square[1] += weight * from[0] * from[1];
        self.square[2] += weight * from[1] * from[1];
    }

    /// `None` where the points are collinear, or nearly so.
    fn fit(&self) -> Option<Linear> {
        let [fx, fy] = self.from.map(|v| v / self.weight);
        let to = self.to.map(|v| v / self.weight);
        let xx = self.square[0] / self.weight - fx * fx;
        let xy = self.square[1] / self.weight - fx * fy;
        let yy = self.square[2] / self.weight - fy * fy;
        let determinant = xx * yy - xy * xy;
        // Also rejects NaN.
        if !(determinant > 1e-9 * (xx + yy) * (xx + yy) && determinant.is_finite()) {
            return None;
        }
        let mut rows = [[0.0; 3]; 2];
        for ((row, cross), to) in rows.iter_mut().zip(self.cross).zip(to) {
            let (cx, cy) = (cross[0] / self.weight - to * fx, cross[1] / self.weight - to * fy);
            let (a, b) = ((cx * yy - cy * xy) / determinant, (cy * xx - cx * xy) / determinant);
            *row = [a, b, to - a * fx - b * fy];
        }
        Some(Linear(rows))
    }
}

fn pair<T: Real>(m: &Match<T>) -> ([f64; 2], [f64; 2]) {
    ([m.from.x.as_f64(), m.from.y.as_f64()], [m.to.x.as_f64(), m.to.y.as_f64()])
}

impl<'m, T: Real> Alignment<'m, T> {
    /// Fits the affine map with the most inliers by RANSAC. Each iteration consumes three words of the stream.
    ///
    /// # Errors
    /// When an option is unusable, a match is not finite, or fewer than [`AlignOptions::min_inliers`] matches are inliers.
    pub fn new(matches: &'m [Match<T>], options: AlignOptions<T>, rng: &mut Rng) -> Result<Self, AlignError> {
        check(&options)?;
        if let Some(index) = matches.iter().position(|m| !(m.from.is_finite() && m.to.is_finite())) {
            return Err(AlignError::NotFinite { index });
        }
        let (tolerance, max_area_ratio) = (options.tolerance.as_f64(), options.max_area_ratio.as_f64());
        let agree = |map: &Linear| {
            let agrees = |m: &&Match<T>| {
                let (from, to) = pair(m);
                map.square(from, to) <= tolerance * tolerance
            };
            matches.iter().filter(agrees).count()
        };
        let mut best: Option<(usize, Linear)> = None;
        if !matches.is_empty() {
            for _ in 0..options.max_iterations {
                let three = [(); 3].map(|()| pair(&matches[rng.below(matches.len() as u64) as usize]));
                let Some(map) = Linear::through(three) else { continue };
                if !(1.0 / max_area_ratio..=max_area_ratio).contains(&map.determinant()) {
                    continue;
                }
                let count = agree(&map);
                if best.is_none_or(|(most, _)| count > most) {
                    best = Some((count, map));
                }
            }
        }
        let needed = options.min_inliers.max(3);
        let (inliers, map) = best.unwrap_or((0, Linear([[0.0; 3]; 2])));
        if inliers < needed {
            return Err(AlignError::NoConsensus { inliers, matches: matches.len(), needed });
        }
        // Least squares over all inliers; kept only if no inlier is lost.
        let mut sums = Sums::default();
        for (from, to) in matches.iter().map(pair) {
            if map.square(from, to) <= tolerance * tolerance {
                sums.add(from, to, 1.0);
            }
        }
        let (inliers, map) = match sums.fit().map(|fitted| (agree(&fitted), fitted)) {
            Some((count, fitted)) if count >= inliers => (count, fitted),
            _ => (inliers, map),
        };
        Ok(Self { matches, options, map, inliers })
    }

    /// Number of inliers of the affine map.
    pub fn inliers(&self) -> usize {
        self.inliers
    }

    /// The affine map, from points of the second image to points of the first, as all [`Affine`] maps of views.
    ///
    /// # Errors
    /// When it has no finite inverse in this precision.
    pub fn affine(&self) -> Result<Affine<T>, crate::AugmentError> {
        Affine::new(self.map.0.map(|row| row.map(T::from_f64)))
    }

    /// Predicts the point of the second image that corresponds to one of the first. A non-finite point stays non-finite.
    pub fn predict(&self, place: Point<T>) -> Expected<T> {
        let at = [place.x.as_f64(), place.y.as_f64()];
        let AlignOptions { tolerance, sigma, robust_scale, .. } = self.options;
        let [tolerance, sigma, robust_scale] = [tolerance, sigma, robust_scale].map(T::as_f64);
        let near = |from: [f64; 2]| {
            let (dx, dy) = (from[0] - at[0], from[1] - at[1]);
            libm::exp(-(dx * dx + dy * dy) / (2.0 * sigma * sigma))
        };
        // Spatial weights: the same in all iterations.
        let mut kept = [0.0; KEPT];
        for (kept, (from, _)) in kept.iter_mut().zip(self.matches.iter().map(pair)) {
            *kept = near(from);
        }
        let mut map = self.map;
        let weigh = |round: usize, map: &Linear, i: usize, from, to| {
            let square = map.square(from, to);
            let near = || kept.get(i).copied().unwrap_or_else(|| near(from));
            if round == 0 {
                return if square <= tolerance * tolerance { near() + FAR } else { 0.0 };
            }
            let doubt = 1.0 / (1.0 + square / (robust_scale * robust_scale));
            (near() + FAR) * doubt * doubt
        };
        for round in 0..=ROUNDS {
            let mut sums = Sums::default();
            for (i, (from, to)) in self.matches.iter().map(pair).enumerate() {
                sums.add(from, to, weigh(round, &map, i, from, to));
            }
            match sums.fit() {
                Some(fitted) => map = fitted,
                None => break,
            }
        }
        let (mut squares, mut support) = (0.0, 0.0);
        for (i, (from, to)) in self.matches.iter().map(pair).enumerate() {
            let weight = weigh(ROUNDS, &map, i, from, to);
            squares += weight * map.square(from, to);
            support += weight;
        }
        let found = map.at(at);
        Expected {
            at: Point::new(T::from_f64(found[0]), T::from_f64(found[1])),
            spread: T::from_f64(libm::sqrt(squares / support)),
            support: T::from_f64(support),
        }
    }
}

fn check<T: Real>(options: &AlignOptions<T>) -> Result<(), AlignError> {
    let positive =
        [("tolerance", options.tolerance), ("sigma", options.sigma), ("robust_scale", options.robust_scale)];
    for (option, value) in positive {
        let value = value.as_f64();
        if !(value.is_finite() && value > 0.0) {
            return Err(AlignError::Option { option, value, needs: "finite and above 0" });
        }
    }
    let max_area_ratio = options.max_area_ratio.as_f64();
    if !(max_area_ratio.is_finite() && max_area_ratio >= 1.0) {
        return Err(AlignError::Option {
            option: "max_area_ratio",
            value: max_area_ratio,
            needs: "finite and at least 1",
        });
    }
    if options.max_iterations == 0 {
        return Err(AlignError::Option { option: "max_iterations", value: 0.0, needs: "at least 1" });
    }
    Ok(())
}
