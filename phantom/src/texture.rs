//! Smooth random fields: trabecular bone, uneven soft tissue.

use infomark_core::Rng;

/// A random field of about zero mean and values within -1 to 1, smooth over `cell` pixels.
pub(crate) struct Texture {
    values: Vec<f64>,
    columns: usize,
    cell: f64,
}

impl Texture {
    pub(crate) fn draw(rng: &mut Rng, width: usize, height: usize, cell: f64) -> Self {
        let columns = (width as f64 / cell) as usize + 3;
        let rows = (height as f64 / cell) as usize + 3;
        let values = (0..columns * rows).map(|_| rng.uniform_in(-1.0, 1.0)).collect();
        Self { values, columns, cell }
    }

    /// The field at a pixel of the image it was drawn for.
    pub(crate) fn at(&self, x: usize, y: usize) -> f64 {
        let (u, v) = (x as f64 / self.cell, y as f64 / self.cell);
        let (column, row) = (u as usize, v as usize);
        let (s, t) = (ease(u - column as f64), ease(v - row as f64));
        let corner = |dx: usize, dy: usize| self.values[(row + dy) * self.columns + column + dx];
        let top = corner(0, 0) + s * (corner(1, 0) - corner(0, 0));
        let bottom = corner(0, 1) + s * (corner(1, 1) - corner(0, 1));
        top + t * (bottom - top)
    }
}

fn ease(t: f64) -> f64 {
    t * t * (3.0 - 2.0 * t)
}
