//! Blocks of DCT coefficients: their layout in a frame and their order in a scan (ITU-T T.81, A.2).

use super::bits::Bits;
use super::huffman::Huffman;
use super::segments::{Frame, Quantisation, Scan, Selected};
use super::{INVALID, Problem, check_time};
use crate::image::ReadLimits;

/// Maximum number of components of a frame.
pub(super) const MAX_COMPONENTS: usize = 4;

/// Quantised coefficients in natural order.
pub(super) type Block = [i32; 64];

/// Receiver of a frame's blocks: component, column and row, coefficients and quantisation steps.
pub(super) type Sink<'a> = dyn FnMut(usize, [usize; 2], &Block, &Quantisation) + 'a;

/// Layout of the blocks of a component.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    /// Blocks across and down (A.2.2).
    pub(super) blocks: [usize; 2],
    /// Sampling factors: blocks per minimum coded unit of several components.
    sampling: [usize; 2],
    /// Minimum coded units of several components across and down (A.2.3).
    units: [usize; 2],
}

impl Grid {
    pub(super) fn of(frame: &Frame, index: usize) -> Grid {
        let most = |axis: usize| {
            let factors = frame.components.iter().filter_map(|component| component.sampling.get(axis));
            factors.copied().max().unwrap_or(1)
        };
        let (most, size) = ([most(0), most(1)], [frame.width, frame.height]);
        let sampling = frame.components.get(index).map_or([1, 1], |component| component.sampling);
        let blocks = |axis: usize| (size[axis] * sampling[axis]).div_ceil(most[axis]).div_ceil(8);
        let units = |axis: usize| size[axis].div_ceil(8 * most[axis]);
        Grid { blocks: [blocks(0), blocks(1)], sampling, units: [units(0), units(1)] }
    }

    /// Number of blocks in a scan of this component alone.
    pub(super) fn count(&self) -> usize {
        self.blocks[0] * self.blocks[1]
    }

    /// Blocks across, including those that only pad minimum coded units.
    pub(super) fn padded_width(&self) -> usize {
        self.units[0] * self.sampling[0]
    }

    /// Number of blocks, including padding of minimum coded units.
    pub(super) fn padded_blocks(&self) -> usize {
        self.padded_width() * self.units[1] * self.sampling[1]
    }
}

/// Calls `visit` for each block of a scan with its index among the scan's components, its column and its row, and `restart` at each
/// restart marker (A.2, B.2.1).
pub(super) fn each_block<S>(
    scan: &Scan,
    grids: &[Grid],
    restart_interval: usize,
    limits: &ReadLimits,
    state: &mut S,
    restart: impl Fn(&mut S) -> Result<(), Problem>,
    mut visit: impl FnMut(&mut S, usize, [usize; 2]) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let grid = |selected: &Selected| grids.get(selected.component).copied().ok_or(INVALID);
    let of_scan = scan.components.iter().map(grid).collect::<Result<Vec<_>, _>>()?;
    let alone = matches!(of_scan.as_slice(), [_]);
    let first = of_scan.first().ok_or(INVALID)?;
    let [across, down] = if alone { first.blocks } else { first.units };
    let mut left = restart_interval;
    for row in 0..down {
        check_time(limits)?;
        for column in 0..across {
            if restart_interval > 0 {
                if left == 0 {
                    restart(state)?;
                    left = restart_interval;
                }
                left -= 1;
            }
            if alone {
                visit(state, 0, [column, row])?;
                continue;
            }
            for (index, Grid { sampling: [wide, high], .. }) in of_scan.iter().enumerate() {
                for place in 0..wide * high {
                    let (x, y) = (place % wide, place / wide);
                    visit(state, index, [column * wide + x, row * high + y])?;
                }
            }
        }
    }
    Ok(())
}

/// Difference of a DC coefficient from the one before it (F.1.2.1).
pub(super) fn dc_difference(bits: &mut Bits<'_>, dc: &Huffman) -> Result<i32, Problem> {
    match u32::from(dc.decode(bits)?) {
        category @ 0..=15 => bits.signed(category),
        _ => Err(INVALID),
    }
}
