//! Stored values to display values: modality transformation, then VOI transformation, then photometric interpretation
//! (PS3.3, C.11.1, C.11.2; PS3.4, N.2).

use dicom_core::VR;

use super::Problem;
use super::elements::{Elements, Value, tag};
use super::header::Header;
use super::pixels::Stored;
use crate::image::levels::Scale;
use crate::image::reduction::Rows;
use crate::image::stretch::CLIPPED;

/// Passes the pixels in `[0, 1]` to `rows`; `name` is the image's name in messages.
pub(super) fn display(
    stored: &Stored<'_>,
    elements: &Elements<'_>,
    header: &Header,
    rows: &mut Rows,
    name: &str,
) -> Result<(), Problem> {
    let (values, voi) = transformations(stored, elements, header)?;
    let grey: Vec<f32> = values.iter().map(|&value| shown(&voi, value, header) as f32).collect();
    stored.each_row(|row| rows.push(row.iter().map(|&bits| grey[usize::from(bits)]), name));
    Ok(())
}

/// All grey levels in 16 bits, with the window of [`display`]. Tables and sigmoids end where they are black and white.
pub(super) fn levels(
    stored: &Stored<'_>,
    elements: &Elements<'_>,
    header: &Header,
) -> Result<(Vec<u16>, [f64; 2]), Problem> {
    let (values, voi) = transformations(stored, elements, header)?;
    let (levels, [low, high]): (Vec<u16>, _) = if let Voi::Ramp { low, range } = voi {
        let (mut least, mut most) = (f64::MAX, f64::MIN);
        stored.each_row(|row| {
            for value in row.iter().map(|&bits| values[usize::from(bits)]) {
                (least, most) = (least.min(value), most.max(value));
            }
        });
        let extremes = (least, most);
        let scale = Scale::new(extremes, (low, low + range.max(0.0)));
        (values.iter().map(|&value| scale.level(value)).collect(), scale.window())
    } else {
        let scale = Scale::new((0.0, 1.0), (0.0, 1.0));
        (values.iter().map(|&value| scale.level(voi.apply(value))).collect(), scale.window())
    };
    if header.inverted {
        let levels: Vec<u16> = levels.iter().map(|level| u16::MAX - level).collect();
        return Ok((mapped(stored, &levels), [1.0 - high, 1.0 - low]));
    }
    Ok((mapped(stored, &levels), [low, high]))
}

/// Looks up each stored value in a table.
fn mapped(stored: &Stored<'_>, table: &[u16]) -> Vec<u16> {
    let mut all = Vec::new();
    stored.each_row(|row| all.extend(row.iter().map(|&bits| table[usize::from(bits)])));
    all
}

fn shown(voi: &Voi, value: f64, header: &Header) -> f64 {
    let shown = voi.apply(value);
    if header.inverted { 1.0 - shown } else { shown }
}

/// The modality value of each bit pattern, and the VOI transformation.
fn transformations(
    stored: &Stored<'_>,
    elements: &Elements<'_>,
    header: &Header,
) -> Result<(Vec<f64>, Voi), Problem> {
    let modality = Modality::of(elements, header)?;
    let patterns = 1_usize << header.stored;
    let values: Vec<f64> = (0..patterns).map(|bits| modality.apply(signed(bits, header))).collect();
    let voi = Voi::of(elements, header, &modality, &values)?.unwrap_or_else(|| {
        if plain_bytes(header, &modality) { Voi::BYTES } else { whole_range(stored, &values) }
    });
    Ok((values, voi))
}

fn signed(bits: usize, header: &Header) -> f64 {
    let negative = header.signed && bits >> (header.stored - 1) == 1;
    bits as f64 - if negative { (1_usize << header.stored) as f64 } else { 0.0 }
}

/// Whether the values are plain 8-bit grey levels, as in other formats.
fn plain_bytes(header: &Header, modality: &Modality) -> bool {
    let same =
        matches!(modality, Modality::Linear { slope, intercept } if *slope == 1.0 && *intercept == 0.0);
    header.stored == 8 && !header.signed && same
}

/// Modality transformation, e.g. to Hounsfield units.
enum Modality {
    Linear { slope: f64, intercept: f64 },
    Table(Lut),
}

impl Modality {
    fn of(elements: &Elements<'_>, header: &Header) -> Result<Modality, Problem> {
        if let Some((descriptor, data)) = elements.lut(tag::MODALITY_LUT)? {
            return Ok(Modality::Table(Lut::of(descriptor, data, |_| header.signed)?));
        }
        Ok(Modality::Linear {
            slope: elements.decimal(tag::RESCALE_SLOPE, 0)?.filter(|&slope| slope != 0.0).unwrap_or(1.0),
            intercept: elements.decimal(tag::RESCALE_INTERCEPT, 0)?.unwrap_or(0.0),
        })
    }

    fn apply(&self, stored: f64) -> f64 {
        match self {
            Modality::Linear { slope, intercept } => stored * slope + intercept,
            Modality::Table(lut) => lut.apply(stored),
        }
    }
}

/// VOI transformation: from modality values to display values, 0 to 1.
enum Voi {
    Table {
        lut: Lut,
        most: f64,
    },
    /// Linear from 0 at `low` to 1 at `low + range`; a range of 0 is a step.
    Ramp {
        low: f64,
        range: f64,
    },
    Sigmoid {
        center: f64,
        width: f64,
    },
}

impl Voi {
    const BYTES: Voi = Voi::Ramp { low: 0.0, range: 255.0 };

    /// The first table, else the first window; `None` where the file has neither.
    ///
    /// # Errors
    /// A function that the standard does not define, or a width that is impossible for its function.
    fn of(
        elements: &Elements<'_>,
        header: &Header,
        modality: &Modality,
        values: &[f64],
    ) -> Result<Option<Voi>, Problem> {
        if let Some((descriptor, data)) = elements.lut(tag::VOI_LUT)? {
            // C.11.2.1.1: signed with the pixels; below zero as well where no value of the modality reaches it otherwise.
            let is_signed = |first: u16| {
                let reached = || values.iter().any(|&value| value >= f64::from(first));
                matches!(modality, Modality::Linear { .. }) && (header.signed || !reached())
            };
            let lut = Lut::of(descriptor, data, is_signed)?;
            let most = lut.most();
            return Ok(Some(Voi::Table { lut, most }));
        }
        let (center, width) =
            (elements.decimal(tag::WINDOW_CENTER, 0)?, elements.decimal(tag::WINDOW_WIDTH, 0)?);
        let (Some(center), Some(width)) = (center, width) else {
            return Ok(None);
        };
        let function = elements.get(tag::VOI_LUT_FUNCTION).map_or("", |value| value.text());
        // C.11.2.1.3 defines no fall-back for another function, and none of these for another width.
        let impossible = |problem| Err(Problem::Element("Window Width", problem));
        match function.to_ascii_uppercase().as_str() {
            "SIGMOID" | "LINEAR_EXACT" if width <= 0.0 => impossible("is not greater than 0"),
            "LINEAR" | "" if width < 1.0 => impossible("is less than 1, as the VOI LUT Function is LINEAR"),
            "SIGMOID" => Ok(Some(Voi::Sigmoid { center, width })),
            "LINEAR_EXACT" => Ok(Some(Voi::Ramp { low: center - width / 2.0, range: width })),
            // C.11.2.1.2.1: the window counts whole values.
            "LINEAR" | "" => {
                Ok(Some(Voi::Ramp { low: center - 0.5 - (width - 1.0) / 2.0, range: width - 1.0 }))
            }
            _ => Err(Problem::Element("VOI LUT Function", "is none of LINEAR, LINEAR_EXACT and SIGMOID")),
        }
    }

    fn apply(&self, value: f64) -> f64 {
        match self {
            Voi::Table { lut, most } => (lut.apply(value) / most).clamp(0.0, 1.0),
            Voi::Ramp { low, range } if value <= *low || *range <= 0.0 => f64::from(u8::from(value > *low)),
            Voi::Ramp { low, range } => ((value - low) / range).clamp(0.0, 1.0),
            Voi::Sigmoid { center, width } => 1.0 / (1.0 + (-4.0 * (value - center) / width).exp()),
        }
    }
}

/// Look-up table.
struct Lut {
    first: f64,
    bits: u32,
    entries: Vec<u16>,
}

impl Lut {
    /// The table of a descriptor and its data; `is_signed` decides for the first value mapped whether it is two's complement, where
    /// the descriptor does not.
    ///
    /// # Errors
    /// A table with fewer entries than its descriptor says.
    fn of(descriptor: Value<'_>, data: Value<'_>, is_signed: impl Fn(u16) -> bool) -> Result<Lut, Problem> {
        let mut words = descriptor.words();
        let (Some(count), Some(first), Some(bits)) = (words.next(), words.next(), words.next()) else {
            return Err(Problem::Damaged("its look-up table has no complete descriptor"));
        };
        let bits = u32::from(bits);
        if !(1..=16).contains(&bits) {
            return Err(Problem::Damaged(
                "its look-up table says that its entries have other than 1 to 16 bits",
            ));
        }
        // 0 stands for 2^16.
        let count = if count == 0 { 1 << 16 } else { usize::from(count) };
        let signed = descriptor.vr == VR::SS || is_signed(first);
        let first = if signed { f64::from(first as i16) } else { f64::from(first) };
        let bytes = data.bytes();
        let entries: Vec<u16> = if (count..=count + count % 2).contains(&bytes.len()) && count > 1 {
            // 8-bit entries, two to a word.
            bytes.iter().take(count).map(|&byte| u16::from(byte)).collect()
        } else {
            data.words().take(count).collect()
        };
        if entries.len() < count {
            return Err(Problem::Damaged("its look-up table has fewer entries than its descriptor says"));
        }
        Ok(Lut { first, bits, entries })
    }

    /// The value of white: the maximum of the descriptor's bits. Where the largest entry needs fewer or more bits, the descriptor
    /// is wrong and that entry is white, as in Horos and Cornerstone.
    fn most(&self) -> f64 {
        let greatest = self.entries.iter().copied().max().unwrap_or(0);
        let needed = u16::BITS - greatest.leading_zeros();
        f64::from(if needed == self.bits { ((1_u32 << self.bits) - 1) as u16 } else { greatest.max(1) })
    }

    fn apply(&self, value: f64) -> f64 {
        // Values beyond the table map to its outermost entries; the conversion saturates.
        let index = ((value - self.first).round().max(0.0) as usize).min(self.entries.len() - 1);
        f64::from(self.entries[index])
    }
}

/// The ramp between the `CLIPPED` quantiles, as for 16-bit files of other formats; between the extremes if these coincide.
fn whole_range(stored: &Stored<'_>, values: &[f64]) -> Voi {
    let mut counts = vec![0_u64; values.len()];
    stored.each_row(|row| row.iter().for_each(|&bits| counts[usize::from(bits)] += 1));
    let pixels: u64 = counts.iter().sum();
    let mut present: Vec<(f64, u64)> =
        values.iter().copied().zip(counts).filter(|&(_, count)| count > 0).collect();
    present.sort_by(|a, b| a.0.total_cmp(&b.0));
    let clipped = (pixels as f64 * CLIPPED) as u64;
    let ends = |clipped| {
        let low = beyond(present.iter(), clipped).unwrap_or(0.0);
        (low, beyond(present.iter().rev(), clipped).unwrap_or(low))
    };
    let (low, high) = match ends(clipped) {
        (low, high) if low < high => (low, high),
        _ => ends(0),
    };
    Voi::Ramp { low, range: high - low }
}

/// The first value with more than `clipped` pixels up to it.
fn beyond<'a>(mut values: impl Iterator<Item = &'a (f64, u64)>, clipped: u64) -> Option<f64> {
    let mut seen = 0;
    let found = values.find(|(_, count)| {
        seen += count;
        seen > clipped
    });
    found.map(|&(value, _)| value)
}
