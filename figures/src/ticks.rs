//! Round numbers on axes and colour bars.

/// Multiples of 1, 2 or 5 times a power of ten from `low` to `high`, at most `most + 1`, with the digits they need;
/// the end alone where there is no span. `whole`: whole numbers alone.
pub(crate) fn ticks(low: f64, high: f64, most: usize, whole: bool) -> Vec<(f64, String)> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return vec![(low, format!("{low:.2}"))];
    }
    let least = if whole { 1.0 } else { f64::MIN_POSITIVE };
    let rough = (span / most.max(1) as f64).max(least);
    let exponent = libm::floor(libm::log10(rough));
    // The counts of steps at the first and the last tick, a little beyond the ends for what rounding does.
    let counts = |step: f64| ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
    let steps = [(1.0, 0.0), (2.0, 0.0), (5.0, 0.0), (1.0, 1.0), (2.0, 1.0)];
    let steps = steps.map(|(factor, more)| (factor * libm::pow(10.0, exponent + more), exponent + more));
    let fits = |&(step, _): &(f64, f64)| {
        let (first, last) = counts(step);
        step >= least && last - first <= most as f64
    };
    let (step, exponent) = steps.into_iter().find(fits).unwrap_or((span, exponent));
    let (first, last) = counts(step);
    let digits = (-exponent).max(0.0) as usize;
    let value = |count: i64| count as f64 * step;
    (first as i64..=last as i64)
        .take(most + 1)
        .map(value)
        .map(|value| (value, format!("{value:.digits$}")))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(low: f64, high: f64, most: usize, whole: bool) -> Vec<String> {
        ticks(low, high, most, whole).into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_round_numbers_within_the_axis() {
        assert_eq!(labels(0.0, 1.02, 5, false), ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!(labels(0.03, 0.31, 6, false), ["0.05", "0.10", "0.15", "0.20", "0.25", "0.30"]);
        assert_eq!(labels(-3.0, 3.0, 3, false), ["-2", "0", "2"]);
        assert_eq!(labels(980.0, 9_300.0, 5, false), ["2000", "4000", "6000", "8000"]);
    }

    #[test]
    fn what_is_counted_has_whole_ticks() {
        assert_eq!(labels(4.9, 7.1, 10, true), ["5", "6", "7"]);
    }

    #[test]
    fn an_axis_without_a_span_has_one_tick() {
        assert_eq!(labels(2.0, 2.0, 5, false), ["2.00"]);
        assert_eq!(labels(f64::NAN, 1.0, 5, false).len(), 1);
    }
}
