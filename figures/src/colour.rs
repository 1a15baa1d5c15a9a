//! Colours of numbers and of names.

use colorous::{Gradient, MAGMA, VIRIDIS};

use crate::ticks::ticks;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// For what stays in the background of a chart.
pub const FAINT: Colour = [170; 3];

/// Numbers between two ends, as colours.
#[derive(Clone, Copy)]
pub struct Scale {
    gradient: Gradient,
    /// Value of the first colour.
    pub low: f64,
    /// Value of the last colour.
    pub high: f64,
}

impl Scale {
    /// Dark violet to yellow.
    pub(crate) fn viridis(low: f64, high: f64) -> Self {
        Self::of(VIRIDIS, low, high)
    }

    /// Black over red to pale yellow.
    pub(crate) fn magma(low: f64, high: f64) -> Self {
        Self::of(MAGMA, low, high)
    }

    fn of(gradient: Gradient, low: f64, high: f64) -> Self {
        Self { gradient, low, high }
    }

    /// The colour of a value; values beyond the ends get those of the ends.
    pub fn colour(&self, value: f64) -> Colour {
        let place = (value - self.low) / (self.high - self.low);
        let place = if place.is_finite() { place } else { 0.0 };
        self.gradient.eval_continuous(place.clamp(0.0, 1.0)).into_array()
    }

    /// Round numbers within the scale, about five, with the digits they need.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        ticks(self.low, self.high, 5, false)
    }
}

/// The colour of the `index`th name: bright, and apart from its neighbours.
pub fn qualitative(index: usize) -> Colour {
    const COLOURS: [Colour; 10] = [
        [255, 225, 25],
        [70, 240, 240],
        [255, 120, 120],
        [120, 255, 120],
        [255, 160, 50],
        [220, 150, 255],
        [120, 180, 255],
        [210, 245, 60],
        [255, 150, 220],
        [150, 255, 200],
    ];
    COLOURS[index % COLOURS.len()]
}

/// The `index`th colour of a line: apart for colour-blind readers, readable on white (Okabe and Ito).
pub fn line_colour(index: usize) -> Colour {
    const COLOURS: [Colour; 8] = [
        [0, 114, 178],
        [213, 94, 0],
        [0, 158, 115],
        [204, 121, 167],
        [230, 159, 0],
        [86, 180, 233],
        [90, 90, 90],
        [150, 110, 40],
    ];
    COLOURS[index % COLOURS.len()]
}
