//! Progressive frames: coefficients band by band and bit by bit (ITU-T T.81, annex G).

use super::bits::Bits;
use super::blocks::{Grid, MAX_COMPONENTS, Sink, dc_difference, each_block};
use super::huffman::Huffman;
use super::segments::{Quantisation, Scan, Stream, ZIGZAG};
use super::{INVALID, Problem};
use crate::image::ReadLimits;

/// Marks a coefficient that no scan has coded.
const NOT_CODED: u8 = u8::MAX;

/// The coefficients of a frame, scan by scan.
pub(super) struct Progressive {
    /// The blocks of each component, in natural order.
    components: Vec<Vec<[i16; 64]>>,
    /// The lowest coded bit of each coefficient, in zigzag order, per component.
    coded: Vec<[u8; 64]>,
}

impl Progressive {
    pub(super) fn new(grids: &[Grid]) -> Result<Progressive, Problem> {
        let mut components = Vec::new();
        for grid in grids {
            let mut blocks = Vec::new();
            let count = grid.padded_blocks();
            blocks.try_reserve_exact(count).map_err(|_| Problem::Damaged("too large for the memory"))?;
            blocks.resize(count, [0; 64]);
            components.push(blocks);
        }
        Ok(Progressive { components, coded: vec![[NOT_CODED; 64]; grids.len()] })
    }

    /// Whether all bits of all coefficients are coded.
    pub(super) fn is_whole(&self) -> bool {
        self.coded.iter().flatten().all(|&lowest| lowest == 0)
    }

    /// Passes the blocks to a sink.
    pub(super) fn give(&self, grids: &[Grid], quantisation: &[Option<Quantisation>], sink: &mut Sink<'_>) {
        for (component, (blocks, (grid, table))) in
            self.components.iter().zip(grids.iter().zip(quantisation)).enumerate()
        {
            let (Some(table), [across, down]) = (table, grid.blocks) else { continue };
            let rows = blocks.chunks(grid.padded_width().max(1)).take(down);
            for (row, blocks) in rows.enumerate() {
                for (column, block) in blocks.iter().take(across).enumerate() {
                    sink(component, [column, row], &block.map(i32::from), table);
                }
            }
        }
    }

    /// Reads a scan; returns the bytes after it.
    pub(super) fn scan<'a>(
        &mut self,
        stream: &Stream<'a>,
        scan: &Scan,
        grids: &[Grid],
        limits: &ReadLimits,
    ) -> Result<&'a [u8], Problem> {
        self.check_progression(scan)?;
        let mut state =
            State { bits: Bits::new(stream.coded()), predicted: [0; MAX_COMPONENTS], band_ends: 0 };
        let restart = |state: &mut State<'_>| {
            if state.band_ends > 0 {
                return Err(INVALID);
            }
            state.predicted = [0; MAX_COMPONENTS];
            state.bits.restart()
        };
        let interval = stream.restart_interval;
        if scan.start == 0 {
            let tables = scan.components.iter().map(|&selected| match scan.high {
                0 => stream.dc(selected).map(Some),
                _ => Ok(None),
            });
            let tables = tables.collect::<Result<Vec<_>, _>>()?;
            each_block(scan, grids, interval, limits, &mut state, restart, |state, index, place| {
                let block = self.block(scan, grids, index, place)?;
                match tables.get(index).ok_or(INVALID)? {
                    Some(table) => {
                        let predicted = state.predicted.get_mut(index).ok_or(INVALID)?;
                        *predicted = predicted.wrapping_add(dc_difference(&mut state.bits, table)?);
                        block[0] = narrow(i64::from(*predicted) << scan.low)?;
                    }
                    None => block[0] |= (state.bits.take(1)? as i16) << scan.low,
                }
                Ok(())
            })?;
        } else {
            let table = stream.ac(scan.only()?)?;
            each_block(scan, grids, interval, limits, &mut state, restart, |state, index, place| {
                let block = self.block(scan, grids, index, place)?;
                if scan.high == 0 {
                    state.first(&table, scan, block)
                } else {
                    state.refine(&table, scan, block)
                }
            })?;
        }
        if state.band_ends > 0 {
            return Err(INVALID);
        }
        state.bits.finish()
    }

    fn block(
        &mut self,
        scan: &Scan,
        grids: &[Grid],
        index: usize,
        [column, row]: [usize; 2],
    ) -> Result<&mut [i16; 64], Problem> {
        let component = scan.components.get(index).ok_or(INVALID)?.component;
        let grid = grids.get(component).ok_or(INVALID)?;
        let blocks = self.components.get_mut(component).ok_or(INVALID)?;
        blocks.get_mut(row * grid.padded_width() + column).ok_or(INVALID)
    }

    /// Checks that a scan codes a band for the first time, or its next bit (G.1.1.1).
    fn check_progression(&mut self, scan: &Scan) -> Result<(), Problem> {
        let (start, end) = (usize::from(scan.start), usize::from(scan.end));
        let is_band = start <= end && end < 64 && (start > 0 || end == 0);
        let is_bit = scan.low <= 13 && (scan.high == 0 || scan.high == scan.low + 1);
        if !is_band || !is_bit || start > 0 && scan.components.len() > 1 {
            return Err(INVALID);
        }
        let due = if scan.high == 0 { NOT_CODED } else { scan.high };
        for selected in &scan.components {
            let coded = self.coded.get_mut(selected.component).ok_or(INVALID)?;
            if start > 0 && coded[0] == NOT_CODED {
                return Err(INVALID);
            }
            for lowest in coded.get_mut(start..=end).ok_or(INVALID)? {
                if std::mem::replace(lowest, scan.low) != due {
                    return Err(INVALID);
                }
            }
        }
        Ok(())
    }
}

fn narrow(value: i64) -> Result<i16, Problem> {
    i16::try_from(value).map_err(|_| INVALID)
}

/// State of a scan's decoder.
struct State<'a> {
    bits: Bits<'a>,
    predicted: [i32; MAX_COMPONENTS],
    /// Number of blocks, including this one, without new coefficients in the band (EOBRUN).
    band_ends: u32,
}

impl State<'_> {
    /// Starts the run of blocks of an end-of-band code (G.1.2.2).
    fn band_end(&mut self, exponent: u8) -> Result<(), Problem> {
        self.band_ends = (1 << exponent) + self.bits.take(u32::from(exponent))?;
        Ok(())
    }

    /// First bits of a band (G.1.2.2).
    fn first(&mut self, table: &Huffman, scan: &Scan, block: &mut [i16; 64]) -> Result<(), Problem> {
        let (mut place, end) = (usize::from(scan.start), usize::from(scan.end));
        while place <= end && self.band_ends == 0 {
            let code = table.decode(&mut self.bits)?;
            match (code >> 4, code & 15) {
                (15, 0) => place += 16,
                (exponent, 0) => self.band_end(exponent)?,
                (zeros, category) => {
                    place += usize::from(zeros);
                    if place > end {
                        return Err(INVALID);
                    }
                    let value = i64::from(self.bits.signed(u32::from(category))?) << scan.low;
                    *natural(block, place)? = narrow(value)?;
                    place += 1;
                }
            }
        }
        if self.band_ends > 0 {
            self.band_ends -= 1;
            return Ok(());
        }
        if place == end + 1 { Ok(()) } else { Err(INVALID) }
    }

    /// The next bit of a band: corrections of its coefficients, and new ones (G.1.2.3).
    fn refine(&mut self, table: &Huffman, scan: &Scan, block: &mut [i16; 64]) -> Result<(), Problem> {
        let (mut place, end) = (usize::from(scan.start), usize::from(scan.end));
        let bit = 1_i16 << scan.low;
        while place <= end && self.band_ends == 0 {
            let code = table.decode(&mut self.bits)?;
            let (mut zeros, new) = match (code >> 4, code & 15) {
                (15, 0) => (15, 0),
                (exponent, 0) => {
                    self.band_end(exponent)?;
                    break;
                }
                (zeros, 1) => (zeros, if self.bits.take(1)? == 1 { bit } else { -bit }),
                _ => return Err(INVALID),
            };
            let mut is_placed = false;
            while place <= end && !is_placed {
                let coefficient = natural(block, place)?;
                if *coefficient != 0 {
                    self.correct(coefficient, bit)?;
                } else if zeros > 0 {
                    zeros -= 1;
                } else {
                    *coefficient = new;
                    is_placed = true;
                }
                place += 1;
            }
            if !is_placed {
                return Err(INVALID);
            }
        }
        if self.band_ends > 0 {
            self.band_ends -= 1;
            for place in place..=end {
                let coefficient = natural(block, place)?;
                if *coefficient != 0 {
                    self.correct(coefficient, bit)?;
                }
            }
        }
        Ok(())
    }

    /// The next bit of a coefficient's magnitude.
    fn correct(&mut self, coefficient: &mut i16, bit: i16) -> Result<(), Problem> {
        if self.bits.take(1)? == 1 {
            let corrected = coefficient.checked_add(if *coefficient < 0 { -bit } else { bit });
            *coefficient = corrected.ok_or(INVALID)?;
        }
        Ok(())
    }
}

fn natural(block: &mut [i16; 64], place: usize) -> Result<&mut i16, Problem> {
    let &place = ZIGZAG.get(place).ok_or(INVALID)?;
    block.get_mut(usize::from(place)).ok_or(INVALID)
}
