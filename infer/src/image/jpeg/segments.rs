//! Marker segments: frame and scan headers, tables, restart intervals (ITU-T T.81, annex B; T.87, annex C).

use super::huffman::Huffman;
use super::{ENDS_EARLY, INVALID, LEFT_OVER, Problem, marker};

/// Natural order of the coefficients of a block, which are coded in zigzag order (T.81, figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Component of a frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::image) struct Component {
    identifier: u8,
    /// Horizontal and vertical sampling factors, 1 to 4.
    pub(super) sampling: [usize; 2],
    /// Index of its quantisation table.
    pub(super) quantisation: usize,
}

/// Frame header (T.81, B.2.2).
#[derive(Clone, Debug, PartialEq)]
pub(in crate::image) struct Frame {
    /// Marker of the coding process.
    pub(super) process: u8,
    /// Bits per sample.
    pub(in crate::image) precision: u32,
    pub(in crate::image) width: usize,
    pub(in crate::image) height: usize,
    pub(in crate::image) components: Vec<Component>,
}

impl Frame {
    /// The first frame header of a stream, which may be truncated after it.
    pub(in crate::image) fn first(bytes: &[u8]) -> Result<Frame, Problem> {
        let mut segments = Segments::new(bytes)?;
        loop {
            let (code, parameters) = segments.next()?;
            if let Some(frame) = Frame::of(code, parameters)? {
                return Ok(frame);
            }
            match code {
                marker::START_OF_SCAN => return Err(INVALID),
                marker::END_OF_IMAGE => return Err(ENDS_EARLY),
                _ => {}
            }
        }
    }

    /// The frame header of a segment, if it is one.
    fn of(code: u8, parameters: &[u8]) -> Result<Option<Frame>, Problem> {
        let is_frame = (marker::BASELINE..=marker::LAST_FRAME).contains(&code)
            && ![marker::HUFFMAN_TABLES, marker::RESERVED, marker::ARITHMETIC_CODING].contains(&code);
        if !is_frame && code != marker::JPEG_LS {
            return Ok(None);
        }
        let &[precision, y1, y0, x1, x0, count, ref rest @ ..] = parameters else {
            return Err(INVALID);
        };
        let [width, height] = [[x1, x0], [y1, y0]].map(|pair| usize::from(u16::from_be_bytes(pair)));
        let mut components = Vec::new();
        for index in 0..usize::from(count) {
            let Some(&[identifier, sampling, quantisation]) = rest.get(3 * index..3 * index + 3) else {
                return Err(INVALID);
            };
            let sampling = [sampling >> 4, sampling & 15].map(usize::from);
            if !sampling.iter().all(|factor| (1..=4).contains(factor)) {
                return Err(INVALID);
            }
            components.push(Component { identifier, sampling, quantisation: usize::from(quantisation) });
        }
        Ok(Some(Frame { process: code, precision: u32::from(precision), width, height, components }))
    }
}

/// Component of a scan: its index in the frame, and its Huffman tables of DC coefficients or differences, and of AC coefficients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selected {
    pub(super) component: usize,
    pub(super) tables: [usize; 2],
}

/// Scan header (T.81, B.2.3; T.87, C.2.3).
#[derive(Clone, Debug)]
pub(super) struct Scan {
    pub(super) components: Vec<Selected>,
    /// Start of spectral selection; the predictor of a lossless scan; NEAR of JPEG-LS.
    pub(super) start: u8,
    /// End of spectral selection; the interleave mode of JPEG-LS.
    pub(super) end: u8,
    /// High successive approximation.
    pub(super) high: u8,
    /// Low successive approximation; the point transform of a lossless scan.
    pub(super) low: u8,
}

impl Scan {
    fn of(parameters: &[u8], frame: &Frame) -> Result<Scan, Problem> {
        let (&count, rest) = parameters.split_first().ok_or(INVALID)?;
        let mut components: Vec<Selected> = Vec::new();
        let selectors = rest.get(..2 * usize::from(count)).ok_or(INVALID)?;
        for pair in selectors.chunks_exact(2) {
            let &[identifier, tables] = pair else { return Err(INVALID) };
            let index = frame.components.iter().position(|component| component.identifier == identifier);
            let component = index.ok_or(INVALID)?;
            if components.iter().any(|selected| selected.component == component) {
                return Err(INVALID);
            }
            components.push(Selected { component, tables: [tables >> 4, tables & 15].map(usize::from) });
        }
        let Some(&[start, end, approximation]) = rest.get(selectors.len()..selectors.len() + 3) else {
            return Err(INVALID);
        };
        if components.is_empty() {
            return Err(INVALID);
        }
        Ok(Scan { components, start, end, high: approximation >> 4, low: approximation & 15 })
    }

    /// The only component.
    pub(super) fn only(&self) -> Result<Selected, Problem> {
        match *self.components {
            [selected] => Ok(selected),
            _ => Err(INVALID),
        }
    }
}

/// Quantisation steps in natural order (T.81, B.2.4.1).
pub(super) type Quantisation = [u16; 64];

/// Huffman tables of the two classes, DC or lossless and AC: number of codes of each length, and values. Only tables in use are built.
type Tables<'a> = [[Option<(&'a [u8; 16], &'a [u8])>; 4]; 2];

/// A stream, read scan by scan, with the tables in effect.
pub(super) struct Stream<'a> {
    segments: Segments<'a>,
    frame: Option<Frame>,
    /// Minimum coded units, or lines of JPEG-LS, between two restart markers; 0 for none.
    pub(super) restart_interval: usize,
    tables: Tables<'a>,
    quantisation: [Option<Quantisation>; 4],
    /// Preset coding parameters of JPEG-LS (T.87, C.2.4.1.1).
    pub(super) preset: Option<&'a [u8]>,
}

impl<'a> Stream<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Stream<'a>, Problem> {
        Ok(Stream {
            segments: Segments::new(bytes)?,
            frame: None,
            restart_interval: 0,
            tables: Tables::default(),
            quantisation: [None; 4],
            preset: None,
        })
    }

    /// Reads the segments up to the next scan, including its header.
    ///
    /// # Errors
    /// [`ENDS_EARLY`] where there is none.
    pub(super) fn next_scan(&mut self) -> Result<Scan, Problem> {
        loop {
            let (code, parameters) = self.segments.next()?;
            if let Some(header) = Frame::of(code, parameters)?
                && self.frame.replace(header).is_some()
            {
                return Err(INVALID);
            }
            match code {
                marker::HUFFMAN_TABLES => read_tables(parameters, &mut self.tables)?,
                marker::QUANTISATION_TABLES => read_quantisation(parameters, &mut self.quantisation)?,
                marker::RESTART_INTERVAL => {
                    // Two bytes, and up to four in JPEG-LS (T.87, C.2.5).
                    if !(2..=4).contains(&parameters.len()) {
                        return Err(INVALID);
                    }
                    self.restart_interval =
                        parameters.iter().fold(0, |sum, &byte| (sum << 8) | usize::from(byte));
                }
                marker::PRESET_PARAMETERS => match parameters.split_first() {
                    Some((1, preset)) => self.preset = Some(preset),
                    _ => {
                        return Err(Problem::Unsupported(
                            "JPEG-LS with a mapping table or an oversize image",
                        ));
                    }
                },
                marker::START_OF_SCAN => return Scan::of(parameters, self.frame()?),
                marker::END_OF_IMAGE => return Err(ENDS_EARLY),
                _ => {}
            }
        }
    }

    /// The frame header, which has to precede the first scan.
    pub(super) fn frame(&self) -> Result<&Frame, Problem> {
        self.frame.as_ref().ok_or(INVALID)
    }

    /// The bytes after the last scan header.
    pub(super) fn coded(&self) -> &'a [u8] {
        self.segments.rest
    }

    /// Continues after the coded bytes of a scan.
    pub(super) fn resume(&mut self, rest: &'a [u8]) {
        self.segments.rest = rest;
    }

    /// Ends the picture after the last coded byte of its last scan.
    ///
    /// # Errors
    /// [`LEFT_OVER`] where another scan or frame precedes the end marker, which some files lack.
    pub(super) fn finish(&mut self, rest: &'a [u8]) -> Result<(), Problem> {
        self.resume(rest);
        loop {
            match self.segments.next() {
                Ok((marker::END_OF_IMAGE, _)) | Err(_) => return Ok(()),
                Ok((marker::START_OF_SCAN, _)) => return Err(LEFT_OVER),
                Ok((code, parameters)) if Frame::of(code, parameters)?.is_some() => return Err(LEFT_OVER),
                Ok(_) => {}
            }
        }
    }

    /// A scan's table of DC coefficients or lossless differences.
    pub(super) fn dc(&self, selected: Selected) -> Result<Huffman, Problem> {
        self.table(0, selected.tables[0])
    }

    /// A scan's table of AC coefficients.
    pub(super) fn ac(&self, selected: Selected) -> Result<Huffman, Problem> {
        self.table(1, selected.tables[1])
    }

    fn table(&self, class: usize, selected: usize) -> Result<Huffman, Problem> {
        let table = self.tables.get(class).and_then(|tables| tables.get(selected));
        let (counts, values) = table.copied().flatten().ok_or(INVALID)?;
        Huffman::new(counts, values)
    }

    /// The quantisation table of a component of the frame.
    pub(super) fn quantisation(&self, component: usize) -> Result<Quantisation, Problem> {
        let component = self.frame()?.components.get(component).ok_or(INVALID)?;
        self.quantisation.get(component.quantisation).copied().flatten().ok_or(INVALID)
    }
}

/// Iteration over marker segments.
pub(super) struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Segments<'a>, Problem> {
        let rest = bytes.strip_prefix(&[0xFF, marker::START_OF_IMAGE]).ok_or(INVALID)?;
        Ok(Segments { rest })
    }

    /// The next marker with the parameters of its segment; bytes before it are skipped.
    pub(super) fn next(&mut self) -> Result<(u8, &'a [u8]), Problem> {
        loop {
            let [first, rest @ ..] = self.rest else { return Err(ENDS_EARLY) };
            self.rest = rest;
            if *first != 0xFF {
                continue;
            }
            match *rest {
                [0 | 0xFF, ..] => {}
                [code, ref rest @ ..] => {
                    self.rest = rest;
                    return self.parameters(code).map(|parameters| (code, parameters));
                }
                [] => return Err(ENDS_EARLY),
            }
        }
    }

    fn parameters(&mut self, code: u8) -> Result<&'a [u8], Problem> {
        if matches!(code, marker::FIRST_RESTART..=marker::END_OF_IMAGE | marker::TEMPORARY) {
            return Ok(&[]);
        }
        let [high, low, rest @ ..] = self.rest else { return Err(ENDS_EARLY) };
        let length = usize::from(u16::from_be_bytes([*high, *low])).checked_sub(2).ok_or(INVALID)?;
        let (parameters, rest) = rest.split_at_checked(length).ok_or(ENDS_EARLY)?;
        self.rest = rest;
        Ok(parameters)
    }
}

/// The TIFF structure of the Exif segment before the frame header.
#[cfg(feature = "jpeg")]
pub(super) fn exif(bytes: &[u8]) -> Option<&[u8]> {
    let mut segments = Segments::new(bytes).ok()?;
    loop {
        let (code, parameters) = segments.next().ok()?;
        match code {
            marker::EXIF => {
                if let Some(tiff) = parameters.strip_prefix(b"Exif\0\0") {
                    return Some(tiff);
                }
            }
            marker::START_OF_SCAN | marker::END_OF_IMAGE => return None,
            _ => {}
        }
    }
}

/// Huffman tables of a segment (T.81, B.2.4.2).
fn read_tables<'a>(mut parameters: &'a [u8], tables: &mut Tables<'a>) -> Result<(), Problem> {
    while let [selected, rest @ ..] = parameters {
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or(INVALID)?;
        let total = counts.iter().copied().map(usize::from).sum();
        let (values, rest) = rest.split_at_checked(total).ok_or(INVALID)?;
        let class = tables.get_mut(usize::from(selected >> 4)).ok_or(INVALID)?;
        let table = class.get_mut(usize::from(selected & 15)).ok_or(INVALID)?;
        *table = Some((counts, values));
        parameters = rest;
    }
    Ok(())
}

/// Quantisation tables of a segment (T.81, B.2.4.1), of 8 or 16 bits per step.
fn read_quantisation(mut parameters: &[u8], tables: &mut [Option<Quantisation>; 4]) -> Result<(), Problem> {
    while let [selected, rest @ ..] = parameters {
        let bytes = match selected >> 4 {
            0 => 1,
            1 => 2,
            _ => return Err(INVALID),
        };
        let (steps, rest) = rest.split_at_checked(64 * bytes).ok_or(INVALID)?;
        let table = tables.get_mut(usize::from(selected & 15)).ok_or(INVALID)?;
        let mut quantisation = [0_u16; 64];
        for (step, &place) in steps.chunks_exact(bytes).zip(&ZIGZAG) {
            quantisation[usize::from(place)] = step.iter().fold(0, |sum, &byte| (sum << 8) | u16::from(byte));
        }
        *table = Some(quantisation);
        parameters = rest;
    }
    Ok(())
}
