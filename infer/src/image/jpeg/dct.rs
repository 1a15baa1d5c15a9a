//! Frames of blocks of DCT coefficients: sequential and progressive (ITU-T T.81, annexes F and G).

use super::bits::Bits;
use super::blocks::{Block, Grid, MAX_COMPONENTS, Sink, dc_difference, each_block};
use super::huffman::Huffman;
use super::idct;
use super::progressive::Progressive;
use super::segments::{Frame, Quantisation, Scan, Selected, Stream, ZIGZAG};
use super::{ENDS_EARLY, INVALID, Problem, marker};
use crate::image::ReadLimits;

/// The samples of a frame of one component.
pub(super) fn decode_grey(bytes: &[u8], limits: &ReadLimits) -> Result<Vec<u16>, Problem> {
    let frame = Frame::first(bytes)?;
    check_length(bytes, &frame)?;
    let mut samples = Vec::new();
    let count = frame.width * frame.height;
    samples.try_reserve_exact(count).map_err(|_| Problem::Damaged("too large for the memory"))?;
    each_grey_row(bytes, limits, &mut |row| samples.extend_from_slice(row))?;
    if samples.len() == count { Ok(samples) } else { Err(INVALID) }
}

/// Passes the samples of each row of a frame of one component to a function, eight rows at a time as blocks are decoded.
pub(super) fn each_grey_row(
    bytes: &[u8],
    limits: &ReadLimits,
    take: &mut dyn FnMut(&[u16]),
) -> Result<(), Problem> {
    let Frame { precision, width, height, .. } = Frame::first(bytes)?;
    let (mut band, mut left) = (vec![0; 8 * width], height);
    let mut present = 0;
    let mut give = |band: &[u16]| {
        band.chunks_exact(width.max(1)).take(left).for_each(&mut *take);
        left = left.saturating_sub(8);
    };
    read(bytes, limits, &mut |_, [column, row], block, quantisation| {
        // Blocks of one component come row by row.
        if row > present {
            give(&band);
            present = row;
        }
        let block = idct::samples(block, quantisation, precision);
        for (line, values) in band.chunks_exact_mut(width.max(1)).zip(block.chunks_exact(8)) {
            for (sample, value) in line.iter_mut().skip(8 * column).zip(values) {
                *sample = *value;
            }
        }
    })?;
    give(&band);
    Ok(())
}

/// Checks that every block of every component is present.
#[cfg(feature = "jpeg")]
pub(super) fn check(bytes: &[u8], limits: &ReadLimits) -> Result<(), Problem> {
    read(bytes, limits, &mut |_, _, _, _| {})
}

/// Rejects data too short for the image size before memory is allocated: a block has at least the bit of a DC coefficient.
fn check_length(bytes: &[u8], frame: &Frame) -> Result<(), Problem> {
    let blocks: usize = (0..frame.components.len()).map(|index| Grid::of(frame, index).count()).sum();
    if bytes.len() < blocks / 8 { Err(ENDS_EARLY) } else { Ok(()) }
}

/// Memory of the coefficients of a progressive frame, in bytes.
#[cfg(feature = "jpeg")]
pub(super) fn working_bytes(frame: &Frame) -> u64 {
    if frame.process != marker::PROGRESSIVE {
        return 0;
    }
    let blocks = (0..frame.components.len()).map(|index| Grid::of(frame, index).padded_blocks() as u64);
    blocks.sum::<u64>().saturating_mul(size_of::<[i16; 64]>() as u64)
}

/// Reads all blocks of all scans.
fn read(bytes: &[u8], limits: &ReadLimits, sink: &mut Sink<'_>) -> Result<(), Problem> {
    let mut stream = Stream::new(bytes)?;
    let mut scan = stream.next_scan()?;
    let frame = stream.frame()?.clone();
    if frame.components.len() > MAX_COMPONENTS {
        return Err(Problem::Unsupported("JPEG of more than four components"));
    }
    check_length(bytes, &frame)?;
    let grids: Vec<Grid> = (0..frame.components.len()).map(|index| Grid::of(&frame, index)).collect();
    let mut quantisation = vec![None; grids.len()];
    let mut progressive = match frame.process {
        marker::PROGRESSIVE => Some(Progressive::new(&grids)?),
        _ => None,
    };
    for _ in 0..limits.max_scans {
        for selected in &scan.components {
            let table = quantisation.get_mut(selected.component).ok_or(INVALID)?;
            // Of a component's first scan; a sequential frame has one of each.
            match table {
                None => *table = Some(stream.quantisation(selected.component)?),
                Some(_) if progressive.is_none() => return Err(INVALID),
                Some(_) => {}
            }
        }
        let rest = match &mut progressive {
            Some(progressive) => progressive.scan(&stream, &scan, &grids, limits)?,
            None => sequential_scan(&stream, &scan, &grids, &quantisation, limits, sink)?,
        };
        let is_whole = match &progressive {
            Some(progressive) => progressive.is_whole(),
            None => quantisation.iter().all(Option::is_some),
        };
        if is_whole {
            stream.finish(rest)?;
            if let Some(progressive) = progressive {
                progressive.give(&grids, &quantisation, sink);
            }
            return Ok(());
        }
        stream.resume(rest);
        scan = stream.next_scan()?;
    }
    Err(Problem::TooManyScans(limits.max_scans))
}

/// Reads the blocks of a sequential scan (F.2.2); returns the bytes after it.
fn sequential_scan<'a>(
    stream: &Stream<'a>,
    scan: &Scan,
    grids: &[Grid],
    quantisation: &[Option<Quantisation>],
    limits: &ReadLimits,
    sink: &mut Sink<'_>,
) -> Result<&'a [u8], Problem> {
    let tables = |selected: &Selected| Ok((stream.dc(*selected)?, stream.ac(*selected)?));
    let tables = scan.components.iter().map(tables).collect::<Result<Vec<_>, Problem>>()?;
    let blocks: usize = scan.components.iter().filter_map(|s| grids.get(s.component)).map(Grid::count).sum();
    // A block has at least two codes of one bit.
    if stream.coded().len() < blocks / 4 {
        return Err(ENDS_EARLY);
    }
    let mut state = (Bits::new(stream.coded()), [0_i32; MAX_COMPONENTS]);
    let restart = |(bits, predicted): &mut (Bits<'_>, [i32; MAX_COMPONENTS])| {
        *predicted = [0; MAX_COMPONENTS];
        bits.restart()
    };
    each_block(
        scan,
        grids,
        stream.restart_interval,
        limits,
        &mut state,
        restart,
        |(bits, predicted), index, place| {
            let ((dc, ac), predicted) = tables.get(index).zip(predicted.get_mut(index)).ok_or(INVALID)?;
            let block = sequential_block(bits, dc, ac, predicted)?;
            let component = scan.components.get(index).ok_or(INVALID)?.component;
            if let Some(Some(quantisation)) = quantisation.get(component) {
                sink(component, place, &block, quantisation);
            }
            Ok(())
        },
    )?;
    state.0.finish()
}

/// Reads the coefficients: the DC difference, then the others as runs of zeros and values (F.1.2).
fn sequential_block(
    bits: &mut Bits<'_>,
    dc: &Huffman,
    ac: &Huffman,
    predicted: &mut i32,
) -> Result<Block, Problem> {
    let mut block = [0; 64];
    *predicted = predicted.wrapping_add(dc_difference(bits, dc)?);
    block[0] = *predicted;
    let mut coefficient = 1;
    while coefficient < 64 {
        let code = ac.decode(bits)?;
        match (usize::from(code >> 4), code & 15) {
            (15, 0) => coefficient += 16,
            (_, 0) => return Ok(block),
            (zeros, category) => {
                coefficient += zeros;
                let &place = ZIGZAG.get(coefficient).ok_or(INVALID)?;
                block[usize::from(place)] = bits.signed(u32::from(category))?;
                coefficient += 1;
            }
        }
    }
    if coefficient == 64 { Ok(block) } else { Err(INVALID) }
}
