//! Sampling of pixels in proportion to weights. Nothing here allocates.

use infomark_core::{Rng, Sampler};

use crate::entry::entry;
use crate::memory::Memory;
use crate::plane::{infomark_plane, plane};
use crate::status::infomark_status::INFOMARK_ARGUMENT;
use crate::status::{OrFail, infomark_status, refused};

/// Samples pixels, with replacement, exactly in proportion to weights of INFOMARK_F32.
///
/// columns and rows receive count elements each; cumulative is scratch of at least one element per pixel. The result depends only on
/// seed and stream: streams of one seed are independent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn infomark_draw_pixels(
    weights: *const infomark_plane,
    seed: u64,
    stream: u64,
    count: usize,
    columns: *mut u32,
    rows: *mut u32,
    cumulative: *mut f64,
    cumulative_len: usize,
) -> infomark_status {
    entry(|| {
        let mut memory = Memory::default();
        // SAFETY: the header's terms, here and below.
        let weights = unsafe { plane::<f32>(&mut memory, "weights", weights) }?;
        let columns = unsafe { memory.write("columns", columns, count) }?;
        let rows = unsafe { memory.write("rows", rows, count) }?;
        let cumulative = unsafe { memory.write("cumulative", cumulative, cumulative_len) }?;
        if u32::try_from(weights.width().max(weights.height())).is_err() {
            return Err(refused("weights: a side of 2^32 pixels or more"));
        }
        let sampler = Sampler::new(weights, cumulative).or_fail(INFOMARK_ARGUMENT)?;
        let mut rng = Rng::new(seed, stream);
        for (column, row) in columns.iter_mut().zip(rows) {
            let (x, y) = sampler.draw(&mut rng);
            (*column, *row) = (x as u32, y as u32);
        }
        Ok(())
    })
}
