//! Where places of one image lie in another, from matches of which many are wrong.

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
        /// The refused value.
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
    /// No affine map is agreed on by enough matches.
    #[error("{agreeing} of {matches} matches agree on an affine map; at least {needed} have to")]
    NoConsensus {
        /// Matches that agree on the best map.
        agreeing: usize,
        /// Matches in all.
        matches: usize,
        /// Matches needed.
        needed: usize,
    },
}

/// A place of one image, and where it seems to be in another.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Match<T> {
    /// Place in the one, in pixels.
    pub from: Point<T>,
    /// Place in the other, in pixels.
    pub to: Point<T>,
}

/// How [`Alignment`] finds out which matches to believe.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlignOptions<T> {
    /// Distance in pixels up to which a match agrees with an affine map.
    pub tolerance: T,
    /// Triples of matches that are tried.
    pub trials: usize,
    /// Largest factor by which areas may grow, and shrink.
    pub growth: T,
    /// Fewest matches that have to agree, at least 3.
    pub fewest: usize,
    /// Standard deviation in pixels of the Gaussian that weights matches by their distance from a place.
    pub reach: T,
    /// Residual in pixels at which a match counts for a quarter.
    pub residual: T,
}

impl<T: Real> Default for AlignOptions<T> {
    /// For images of about 400 pixels a side.
    fn default() -> Self {
        Self {
            tolerance: T::from_f64(15.0),
            trials: 300,
            growth: T::from_f64(2.0),
            fewest: 8,
            reach: T::from_f64(60.0),
            residual: T::from_f64(8.0),
        }
    }
}

/// Where a place is expected.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected<T> {
    /// The place, in pixels of the other image.
    pub at: Point<T>,
    /// Root of the weighted mean square of the residuals of the matches that said so, in pixels.
    pub spread: T,
    /// How many matches said so: the sum of their weights.
    pub support: T,
}

/// Rounds of reweighting.
const ROUNDS: usize = 5;
/// Matches whose nearness to a place is computed once for all rounds; that of further ones is computed in each.
const KEPT: usize = 256;
/// Weight of a match however far away: keeps the fit solvable where there are few.
const FAR: f64 = 1e-4;

/// A smooth map from one image to another: the affine map that most matches agree on, corrected near each place by the
/// matches around it.
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
/// assert_eq!(alignment.agreeing(), 10);
/// let found = alignment.predict(Point::new(50.0, 50.0));
/// assert!((found.at.x - 53.0).abs() < 0.1 && (found.at.y - 49.0).abs() < 0.1);
/// # Ok::<(), infomark_core::AlignError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Alignment<'m, T> {
    matches: &'m [Match<T>],
    rule: AlignOptions<T>,
    map: Linear,
    agreeing: usize,
}

/// `x' = a x + b y + c`, `y' = d x + e y + f`.
#[derive(Clone, Copy, Debug)]
struct Linear([[f64; 3]; 2]);

impl Linear {
    fn at(&self, p: [f64; 2]) -> [f64; 2] {
        self.0.map(|[a, b, c]| a * p[0] + b * p[1] + c)
    }

    /// The map that takes three places to three others; `None` where they lie on a line.
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

    /// Square of the distance between where a place is taken and where it was found.
    fn square(&self, from: [f64; 2], to: [f64; 2]) -> f64 {
        let at = self.at(from);
        let (dx, dy) = (at[0] - to[0], at[1] - to[1]);
        dx * dx + dy * dy
    }
}

/// Weighted sums from which the affine map of least squares follows.
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

    /// `None` where the places lie on a line, or nearly so.
    fn fit(&self) -> Option<Linear> {
        let [fx, fy] = self.from.map(|v| v / self.weight);
        let to = self.to.map(|v| v / self.weight);
        let xx = self.square[0] / self.weight - fx * fx;
        let xy = self.square[1] / self.weight - fx * fy;
        let yy = self.square[2] / self.weight - fy * fy;
        let determinant = xx * yy - xy * xy;
        // Also refuses NaN.
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
    /// Finds the affine map that most matches agree on. Each trial takes three words of the stream.
    ///
    /// # Errors
    /// When an option is unusable, a match is not finite, or fewer than [`AlignOptions::fewest`] matches agree.
    pub fn new(matches: &'m [Match<T>], rule: AlignOptions<T>, rng: &mut Rng) -> Result<Self, AlignError> {
        check(&rule)?;
        if let Some(index) = matches.iter().position(|m| !(m.from.is_finite() && m.to.is_finite())) {
            return Err(AlignError::NotFinite { index });
        }
        let (tolerance, growth) = (rule.tolerance.as_f64(), rule.growth.as_f64());
        let agree = |map: &Linear| {
            let agrees = |m: &&Match<T>| {
                let (from, to) = pair(m);
                map.square(from, to) <= tolerance * tolerance
            };
            matches.iter().filter(agrees).count()
        };
        let mut best: Option<(usize, Linear)> = None;
        if !matches.is_empty() {
            for _ in 0..rule.trials {
                let three = [(); 3].map(|()| pair(&matches[rng.below(matches.len() as u64) as usize]));
                let Some(map) = Linear::through(three) else { continue };
                if !(1.0 / growth..=growth).contains(&map.determinant()) {
                    continue;
                }
                let count = agree(&map);
                if best.is_none_or(|(most, _)| count > most) {
                    best = Some((count, map));
                }
            }
        }
        let needed = rule.fewest.max(3);
        let (agreeing, map) = best.unwrap_or((0, Linear([[0.0; 3]; 2])));
        if agreeing < needed {
            return Err(AlignError::NoConsensus { agreeing, matches: matches.len(), needed });
        }
        // Least squares over all inliers, kept where that loses none of them.
        let mut sums = Sums::default();
        for (from, to) in matches.iter().map(pair) {
            if map.square(from, to) <= tolerance * tolerance {
                sums.add(from, to, 1.0);
            }
        }
        let (agreeing, map) = match sums.fit().map(|fitted| (agree(&fitted), fitted)) {
            Some((count, fitted)) if count >= agreeing => (count, fitted),
            _ => (agreeing, map),
        };
        Ok(Self { matches, rule, map, agreeing })
    }

    /// How many matches agree with the affine map.
    pub fn agreeing(&self) -> usize {
        self.agreeing
    }

    /// The affine map, from places of the other image to those of the one as all [`Affine`] maps of views.
    ///
    /// # Errors
    /// When it has no finite inverse in this precision.
    pub fn affine(&self) -> Result<Affine<T>, crate::AugmentError> {
        Affine::new(self.map.0.map(|row| row.map(T::from_f64)))
    }

    /// Where a place of the one image is expected in the other. A place that is not finite stays so.
    pub fn predict(&self, place: Point<T>) -> Expected<T> {
        let at = [place.x.as_f64(), place.y.as_f64()];
        let AlignOptions { tolerance, reach, residual, .. } = self.rule;
        let [tolerance, reach, residual] = [tolerance, reach, residual].map(T::as_f64);
        let near = |from: [f64; 2]| {
            let (dx, dy) = (from[0] - at[0], from[1] - at[1]);
            libm::exp(-(dx * dx + dy * dy) / (2.0 * reach * reach))
        };
        // The same in all rounds.
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
            let doubt = 1.0 / (1.0 + square / (residual * residual));
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

fn check<T: Real>(rule: &AlignOptions<T>) -> Result<(), AlignError> {
    let positive = [("tolerance", rule.tolerance), ("reach", rule.reach), ("residual", rule.residual)];
    for (option, value) in positive {
        let value = value.as_f64();
        if !(value.is_finite() && value > 0.0) {
            return Err(AlignError::Option { option, value, needs: "finite and above 0" });
        }
    }
    let growth = rule.growth.as_f64();
    if !(growth.is_finite() && growth >= 1.0) {
        return Err(AlignError::Option { option: "growth", value: growth, needs: "finite and at least 1" });
    }
    if rule.trials == 0 {
        return Err(AlignError::Option { option: "trials", value: 0.0, needs: "at least 1" });
    }
    Ok(())
}
