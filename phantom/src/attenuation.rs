//! Path lengths through tissue, added up.

use infomark_core::Point;

use crate::outline::{Outline, Tube};

/// The attenuation along each ray (each pixel), in units of film density.
#[derive(Debug, Clone)]
pub(crate) struct Attenuation {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f64>,
}

/// How a bone is built: cortex outside, spongy bone within.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bone {
    /// Attenuation of a pixel's length of cortex.
    pub(crate) cortex: f64,
    /// Attenuation of a pixel's length of the inside.
    pub(crate) inside: f64,
    /// Thickness of the cortex in pixels.
    pub(crate) wall: f64,
    /// Radius in pixels with which the edges are rounded along the ray.
    pub(crate) edge: f64,
}

impl Attenuation {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, values: vec![0.0; width * height] }
    }

    /// A bone whose side view is `outline`.
    pub(crate) fn add_bone(&mut self, outline: &Outline, bone: Bone) {
        self.within(outline.corners().iter().map(|&at| (at, 0.0)), |at| {
            let depth = outline.depth(at);
            if depth <= 0.0 {
                return 0.0;
            }
            let off_axis = (bone.edge - depth).max(0.0);
            half_chord(bone.edge, off_axis, bone)
        });
    }

    /// A bone that is a tube; `bone.edge` plays no part.
    pub(crate) fn add_tube(&mut self, tube: &Tube, bone: Bone) {
        let rings = tube.rings().iter().map(|ring| (ring.at, ring.radius));
        self.within(rings, |at| {
            let (off_axis, radius) = tube.offset(at);
            if off_axis < radius { half_chord(radius, off_axis, bone) } else { 0.0 }
        });
    }

    /// Soft tissue (or, with a negative `density`, air) of side view `outline`: a plateau with an
    /// edge that falls off over `edge` pixels.
    pub(crate) fn add_tissue(&mut self, outline: &Outline, density: f64, edge: f64) {
        self.add_layers(outline, &[(density, edge)]);
    }

    /// Several layers of tissue, each `(density, edge)`, of the same side view.
    pub(crate) fn add_layers(&mut self, outline: &Outline, layers: &[(f64, f64)]) {
        self.within(outline.corners().iter().map(|&at| (at, 0.0)), |at| {
            let depth = outline.depth(at);
            let layer = |&(density, edge): &(f64, f64)| {
                let short = (1.0 - depth / edge).clamp(0.0, 1.0);
                density * (1.0 - short * short).sqrt()
            };
            layers.iter().map(layer).sum()
        });
    }

    /// Soft tissue or air in a tube.
    pub(crate) fn add_channel(&mut self, tube: &Tube, density: f64) {
        let rings = tube.rings().iter().map(|ring| (ring.at, ring.radius));
        self.within(rings, |at| {
            let (off_axis, radius) = tube.offset(at);
            let across = (off_axis / radius).min(1.0);
            density * (1.0 - across * across).sqrt()
        });
    }

    /// Multiplies every value by what `factor` says for its pixel.
    pub(crate) fn modulate(&mut self, mut factor: impl FnMut(usize, usize) -> f64) {
        for (index, value) in self.values.iter_mut().enumerate() {
            *value *= factor(index % self.width, index / self.width);
        }
    }

    /// Adds another image of the same size; no ray ends below zero.
    pub(crate) fn add(&mut self, other: &Self) {
        for (value, more) in self.values.iter_mut().zip(&other.values) {
            *value = (*value + more).max(0.0);
        }
    }

    /// The blur of a finite focal spot: a 3-tap kernel `(side, 1 - 2 side, side)` each way.
    pub(crate) fn blur(&mut self, side: f64) {
        let (width, height) = (self.width, self.height);
        let mut line = vec![0.0; width.max(height)];
        let mut smooth = |values: &mut [f64], start: usize, step: usize, count: usize| {
            for (index, slot) in line.iter_mut().enumerate().take(count) {
                *slot = values[start + index * step];
            }
            for index in 0..count {
                let before = line[index.saturating_sub(1)];
                let after = line[(index + 1).min(count - 1)];
                values[start + index * step] = side * (before + after) + (1.0 - 2.0 * side) * line[index];
            }
        };
        for y in 0..height {
            smooth(&mut self.values, y * width, 1, width);
        }
        for x in 0..width {
            smooth(&mut self.values, x, width, height);
        }
    }

    /// Adds `amount` at every pixel of the box around some circles.
    fn within(
        &mut self,
        circles: impl Iterator<Item = (Point<f64>, f64)>,
        amount: impl Fn(Point<f64>) -> f64,
    ) {
        let (mut left, mut top) = (f64::INFINITY, f64::INFINITY);
        let (mut right, mut bottom) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (at, radius) in circles {
            left = left.min(at.x - radius);
            right = right.max(at.x + radius);
            top = top.min(at.y - radius);
            bottom = bottom.max(at.y + radius);
        }
        // A cast from f64 saturates, so shapes that leave the image are cut at its border.
        let columns = left as usize..((right + 2.0) as usize).min(self.width);
        for y in top as usize..((bottom + 2.0) as usize).min(self.height) {
            for x in columns.clone() {
                self.values[y * self.width + x] += amount(Point { x: x as f64, y: y as f64 });
            }
        }
    }
}

/// Attenuation of a ray that passes a round bone of `radius` at `off_axis` from its axis.
fn half_chord(radius: f64, off_axis: f64, bone: Bone) -> f64 {
    let hollow = (radius - bone.wall).max(0.0);
    let whole = (radius * radius - off_axis * off_axis).max(0.0).sqrt();
    let inside = (hollow * hollow - off_axis * off_axis).max(0.0).sqrt();
    bone.cortex * (whole - inside) + bone.inside * inside
}
