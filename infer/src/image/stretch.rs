//! Rescaling of more than 8 bits to `[0, 1]` between quantiles, as radiographs use any part of the range.

/// Fraction of the pixels clipped at each end when rescaling images of more than 8 bits.
pub(super) const CLIPPED: f64 = 0.001;

/// Maps finite values so that their clipped quantiles become 0 and 1.
pub(super) fn stretch_values(pixels: &mut [f32]) {
    let [_, low, high, _] = ends_of_values(pixels);
    let range = f64::from(high) - f64::from(low);
    for value in pixels {
        let share = (f64::from(*value) - f64::from(low)) / if range > 0.0 { range } else { 1.0 };
        *value = share.clamp(0.0, 1.0) as f32;
    }
}

/// The lowest value, the `CLIPPED` quantiles (the extremes if these coincide), and the highest value.
pub(super) fn ends_of_values(pixels: &[f32]) -> [f32; 4] {
    let mut sorted = pixels.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    let clipped = (sorted.len() as f64 * CLIPPED) as usize;
    let ends =
        |clipped: usize| Some((*sorted.get(clipped)?, *sorted.get(sorted.len().checked_sub(clipped + 1)?)?));
    let (least, most) = ends(0).unwrap_or((0.0, 1.0));
    let (low, high) = ends(clipped).filter(|(low, high)| low < high).unwrap_or((least, most));
    [least, low, high, most]
}
