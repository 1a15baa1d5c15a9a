//! Complete binary tree over the pixels of an image; each node combines its two children.
//!
//! After a change of a leaf its ancestors are recomputed in the order of the construction: a node
//! depends only on its leaves, not on their history, and a node above zeros holds 0.

use crate::Real;

/// Tree in the caller's memory: the root is node 1, the children of node `i` are `2 i` and
/// `2 i + 1`, and the leaves follow row after row from node `leaves` on.
pub(crate) struct Tree<'a, T, J> {
    nodes: &'a mut [T],
    leaves: usize,
    width: usize,
    height: usize,
    join: J,
}

/// Elements of a tree over `pixels` pixels; saturates.
pub(crate) const fn tree_len(pixels: usize) -> usize {
    match pixels.checked_next_power_of_two() {
        Some(leaves) => leaves.saturating_mul(2),
        None => usize::MAX,
    }
}

impl<'a, T: Real, J: Fn(T, T) -> T> Tree<'a, T, J> {
    /// A tree over the values that `row` writes, for each row of the image; `nodes` has
    /// [`tree_len`] elements.
    pub(crate) fn new(
        nodes: &'a mut [T],
        width: usize,
        height: usize,
        join: J,
        mut row: impl FnMut(usize, &mut [T]),
    ) -> Self {
        let leaves = nodes.len() / 2;
        let (values, unused) = nodes[leaves..].split_at_mut(width * height);
        for (y, values) in values.chunks_exact_mut(width).enumerate() {
            row(y, values);
        }
        unused.fill(T::zero());
        for i in (1..leaves).rev() {
            nodes[i] = join(nodes[2 * i], nodes[2 * i + 1]);
        }
        Self { nodes, leaves, width, height, join }
    }

    pub(crate) fn root(&self) -> T {
        self.nodes[1]
    }

    /// Descends from the root to a pixel; `right` decides from the values of a node's two children whether to
    /// take the second. Every path it chooses has to end at a pixel.
    pub(crate) fn descend(&self, mut right: impl FnMut(T, T) -> bool) -> (usize, usize) {
        let mut i = 1;
        while i < self.leaves {
            i = 2 * i + usize::from(right(self.nodes[2 * i], self.nodes[2 * i + 1]));
        }
        let pixel = i - self.leaves;
        (pixel % self.width, pixel / self.width)
    }

    /// Sets to 0 the pixel and all others less than `distance` from it.
    pub(crate) fn clear_around(&mut self, (x, y): (usize, usize), distance: f64) {
        self.clear(x, y);
        let reach = libm::ceil(distance) as usize;
        let span = |at: usize, size: usize| {
            at.saturating_sub(reach)..at.saturating_add(reach).saturating_add(1).min(size)
        };
        for row in span(y, self.height) {
            for column in span(x, self.width) {
                let (dx, dy) = (column.abs_diff(x) as f64, row.abs_diff(y) as f64);
                if dx * dx + dy * dy < distance * distance {
                    self.clear(column, row);
                }
            }
        }
    }

    fn clear(&mut self, x: usize, y: usize) {
        let mut i = self.leaves + y * self.width + x;
        if self.nodes[i] == T::zero() {
            return;
        }
        self.nodes[i] = T::zero();
        while i > 1 {
            i /= 2;
            self.nodes[i] = (self.join)(self.nodes[2 * i], self.nodes[2 * i + 1]);
        }
    }
}
