//! Several looks at one image: its features under small turns and mirrored, laid back onto the image and side by side.
//!
//! A template and an image that were looked at in the same ways are compared look by look, as a cosine of features side by
//! side is the mean of their cosines.

use infomark_core::{Affine, Border, Interpolation, Plane, PlaneMut, Point, View};

use serde::{Deserialize, Serialize};

use crate::InputSize;

/// By how much looks are turned, in degrees, to either side.
const TURN: f32 = 7.0;

/// In which ways an image is looked at, beside as it is. None by default: each takes another run of the encoder, and they were
/// not measured to help (`docs/results.md`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Looks {
    /// Turned by 7 degrees, to either side.
    pub turned: bool,
    /// Mirrored left to right, as the template is for the same.
    pub mirrored: bool,
}

impl Looks {
    /// How many looks that is, 1 to 4.
    pub fn count(self) -> usize {
        1 + 2 * usize::from(self.turned) + usize::from(self.mirrored)
    }

    /// Where the pixels of each look but the first lie on the canvas.
    pub(crate) fn maps(self, input: InputSize) -> Result<Vec<Affine<f32>>, String> {
        let centre = Point::new(0.5 * (input.width() - 1) as f32, 0.5 * (input.height() - 1) as f32);
        let mut maps = Vec::new();
        if self.turned {
            for angle in [TURN, -TURN] {
                maps.push(Affine::rotation(angle.to_radians()).and_then(|r| r.around(centre)).map_err(text)?);
            }
        }
        if self.mirrored {
            maps.push(Affine::flip_horizontal(input.width()));
        }
        Ok(maps)
    }
}

/// The canvas as a look shows it; beyond its border the edge is repeated.
pub(crate) fn look(canvas: &[f32], input: InputSize, map: Affine<f32>) -> Result<Vec<f32>, String> {
    let (width, height) = (input.width(), input.height());
    let mut out = vec![0.0; input.area()];
    let source = Plane::new(canvas, width, height).map_err(text)?;
    let target = PlaneMut::new(&mut out, width, height).map_err(text)?;
    let view = View::new(map, width, height).map_err(text)?;
    view.resample(source, target, Interpolation::Bicubic, Border::Clamp).map_err(text)?;
    // Cubic convolution overshoots.
    out.iter_mut().for_each(|value| *value = value.clamp(0.0, 1.0));
    Ok(out)
}

/// Appends the features of a look, on the cells of the canvas, to `out`: channel after channel, linear between cells.
pub(crate) fn lay_back(
    features: &[f32],
    (width, height, stride): (usize, usize, usize),
    map: Affine<f32>,
    out: &mut Vec<f32>,
) {
    let cells = width * height;
    let (up, down) = (stride as f32, 1.0 / stride as f32);
    let beside = |v: f32, size: usize| {
        let v = v.clamp(0.0, size as f32 - 1.0);
        let first = v as usize;
        (first, (first + 1).min(size - 1), v - first as f32)
    };
    let tap = |i: usize| {
        let canvas = Point::new((i % width) as f32, (i / width) as f32).resized(up, up);
        let cell = map.push(canvas).resized(down, down);
        let ((left, right, u), (top, bottom, v)) = (beside(cell.x, width), beside(cell.y, height));
        let at = [top * width + left, top * width + right, bottom * width + left, bottom * width + right];
        (at, [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v])
    };
    let taps: Vec<([usize; 4], [f32; 4])> = (0..cells).map(tap).collect();
    let start = out.len();
    let mut squares = vec![0.0f32; cells];
    for plane in features.chunks_exact(cells) {
        for ((at, by), square) in taps.iter().zip(&mut squares) {
            let value = at.iter().zip(by).map(|(&at, by)| plane[at] * by).sum::<f32>();
            *square += value * value;
            out.push(value);
        }
    }
    // Of length 1 again.
    for plane in out[start..].chunks_exact_mut(cells) {
        for (value, square) in plane.iter_mut().zip(&squares) {
            if *square > 0.0 {
                *value /= square.sqrt();
            }
        }
    }
}

fn text(error: impl ToString) -> String {
    error.to_string()
}
