//! Several looks at one image: its features under small turns and mirrored, laid back onto the image and side by side.
//!
//! A template and an image that were looked at in the same ways are compared look by look, as a cosine of features side by
//! side is the mean of their cosines.

use infomark_core::{Affine, Border, Interpolation, Plane, PlaneMut, Point, View};

use serde::{Deserialize, Serialize};

use crate::{Fit, FitError, InputSize};

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
    /// At 5/3 of the canvas's resolution, in nine windows: nine runs of the encoder.
    #[serde(default)]
    pub fine: bool,
}

impl Looks {
    /// How many looks that is, 1 to 5.
    pub fn count(self) -> usize {
        1 + 2 * usize::from(self.turned) + usize::from(self.mirrored) + usize::from(self.fine)
    }

    /// Where the pixels of each turned and mirrored look lie on the canvas.
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

/// Windows of a fine look in each direction.
const WINDOWS: usize = 3;

/// The canvas of a fine look: 5/3 of the other's sides.
pub(crate) fn fine(input: InputSize) -> Result<InputSize, FitError> {
    InputSize::new((input.width() * 5).div_ceil(3), (input.height() * 5).div_ceil(3))
}

/// Windows of the size of the canvas `coarse` on that of a fine look, which they cover, and where their pixels lie on the
/// coarse one.
pub(crate) fn windows(
    canvas: &[f32],
    fine: &Fit,
    coarse: &Fit,
) -> Result<(Vec<Vec<f32>>, Vec<Affine<f32>>), String> {
    let (input, size) = (fine.input(), coarse.input());
    let source = Plane::new(canvas, input.width(), input.height()).map_err(text)?;
    // Both fits scale and move.
    let on_coarse = |x: f64, y: f64| coarse.push(fine.pull(Point::new(x, y)));
    let (zero, one) = (on_coarse(0.0, 0.0), on_coarse(1.0, 1.0));
    let (scale_x, scale_y) = (one.x - zero.x, one.y - zero.y);
    let (mut windows, mut maps) = (Vec::new(), Vec::new());
    for i in 0..WINDOWS * WINDOWS {
        let start = |index: usize, whole: usize, part: usize| index * (whole - part) / (WINDOWS - 1);
        let x = start(i % WINDOWS, input.width(), size.width());
        let y = start(i / WINDOWS, input.height(), size.height());
        let window = source.crop(x, y, size.width(), size.height()).map_err(text)?;
        windows.push(window.rows().flatten().copied().collect());
        let first = on_coarse(x as f64, y as f64);
        let matrix = [[scale_x, 0.0, first.x], [0.0, scale_y, first.y]];
        maps.push(Affine::new(matrix.map(|row| row.map(|v| v as f32))).map_err(text)?);
    }
    Ok((windows, maps))
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

/// Appends the features of a look, on the cells of the canvas, to `out`: channel after channel, linear between cells. Where a
/// look has several windows, each cell is from the one in whose middle it lies.
pub(crate) fn lay_back(
    windows: &[&[f32]],
    maps: &[Affine<f32>],
    (width, height, stride): (usize, usize, usize),
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
        let off = |map: &Affine<f32>| {
            let cell = map.push(canvas).resized(down, down);
            let off = |v: f32, size: usize| (v - 0.5 * (size - 1) as f32).abs();
            off(cell.x, width).max(off(cell.y, height))
        };
        let nearest = |a: &usize, b: &usize| off(&maps[*a]).total_cmp(&off(&maps[*b]));
        let window = if maps.len() > 1 { (0..maps.len()).min_by(nearest).unwrap_or(0) } else { 0 };
        let cell = maps[window].push(canvas).resized(down, down);
        let ((left, right, u), (top, bottom, v)) = (beside(cell.x, width), beside(cell.y, height));
        let at = [top * width + left, top * width + right, bottom * width + left, bottom * width + right];
        (window, at, [(1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v])
    };
    let taps: Vec<(usize, [usize; 4], [f32; 4])> = (0..cells).map(tap).collect();
    let start = out.len();
    let mut squares = vec![0.0f32; cells];
    for first in (0..windows.first().map_or(0, |window| window.len())).step_by(cells) {
        for ((window, at, by), square) in taps.iter().zip(&mut squares) {
            let plane = &windows[*window][first..first + cells];
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
