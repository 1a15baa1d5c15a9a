//! JPEG streams (ITU-T T.81): marker segments, Huffman tables and entropy-coded bits, for frames of one component.

use super::Problem;

pub(super) const ENDS_EARLY: Problem = Problem::Damaged("its pixel data end early");
pub(super) const INVALID: Problem = Problem::Damaged("its JPEG data are not valid");

/// Second bytes of the markers that are looked for (table B.1).
pub(super) mod marker {
    pub(in super::super) const BASELINE: u8 = 0xC0;
    pub(in super::super) const EXTENDED: u8 = 0xC1;
    pub(in super::super) const LOSSLESS: u8 = 0xC3;
    pub(super) const HUFFMAN_TABLES: u8 = 0xC4;
    pub(super) const LAST_FRAME: u8 = 0xCF;
    pub(super) const RESERVED: u8 = 0xC8;
    pub(super) const ARITHMETIC_CODING: u8 = 0xCC;
    pub(super) const FIRST_RESTART: u8 = 0xD0;
    pub(super) const START_OF_IMAGE: u8 = 0xD8;
    pub(super) const END_OF_IMAGE: u8 = 0xD9;
    pub(super) const START_OF_SCAN: u8 = 0xDA;
    pub(super) const RESTART_INTERVAL: u8 = 0xDD;
    pub(super) const TEMPORARY: u8 = 0x01;
}

/// Frame header (B.2.2).
#[derive(Clone, Copy)]
pub(super) struct Frame {
    /// Its marker, which tells the coding process.
    pub(super) process: u8,
    /// Bits of a sample.
    pub(super) precision: u32,
    pub(super) width: usize,
    pub(super) height: usize,
    /// Number of components.
    pub(super) components: u8,
}

impl Frame {
    /// The first frame header of a stream.
    pub(super) fn first(bytes: &[u8]) -> Result<Frame, Problem> {
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
        if !is_frame {
            return Ok(None);
        }
        let &[precision, y1, y0, x1, x0, components, ..] = parameters else {
            return Err(INVALID);
        };
        let [width, height] = [[x1, x0], [y1, y0]].map(|pair| usize::from(u16::from_be_bytes(pair)));
        Ok(Some(Frame { process: code, precision: u32::from(precision), width, height, components }))
    }
}

/// Scan header of one component (B.2.3).
#[derive(Clone, Copy)]
pub(super) struct Scan {
    /// Huffman tables of DC coefficients or differences, and of AC coefficients.
    pub(super) tables: [usize; 2],
    /// Start of spectral selection; the predictor of a lossless scan.
    pub(super) start: u8,
    /// Low successive approximation; the point transform of a lossless scan.
    pub(super) shift: u32,
}

/// Huffman tables of the two classes, DC or lossless and AC: how many codes have each length, and the values. Those in use are built.
type Tables<'a> = [[Option<(&'a [u8; 16], &'a [u8])>; 4]; 2];

/// What the segments before the first scan say, and the bytes after its header.
pub(super) struct Start<'a> {
    pub(super) frame: Frame,
    pub(super) scan: Scan,
    /// Minimum coded units between two restart markers; 0 for none.
    pub(super) restart_interval: usize,
    tables: Tables<'a>,
    pub(super) coded: &'a [u8],
}

impl<'a> Start<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Start<'a>, Problem> {
        let mut segments = Segments::new(bytes)?;
        let (mut frame, mut restart_interval) = (None, 0);
        let mut tables = Tables::default();
        loop {
            let (code, parameters) = segments.next()?;
            if let Some(header) = Frame::of(code, parameters)?
                && frame.replace(header).is_some()
            {
                return Err(INVALID);
            }
            match code {
                marker::HUFFMAN_TABLES => read_tables(parameters, &mut tables)?,
                marker::RESTART_INTERVAL => {
                    let &[high, low, ..] = parameters else { return Err(INVALID) };
                    restart_interval = usize::from(u16::from_be_bytes([high, low]));
                }
                marker::START_OF_SCAN => {
                    let frame = frame.ok_or(INVALID)?;
                    let &[1, _, selected, start, _, shift] = parameters else { return Err(INVALID) };
                    let tables_of = [selected >> 4, selected & 15].map(usize::from);
                    let scan = Scan { tables: tables_of, start, shift: u32::from(shift & 15) };
                    return Ok(Start { frame, scan, restart_interval, tables, coded: segments.rest });
                }
                marker::END_OF_IMAGE => return Err(ENDS_EARLY),
                _ => {}
            }
        }
    }

    /// The scan's table of DC coefficients or lossless differences.
    pub(super) fn dc(&self) -> Result<Huffman, Problem> {
        self.table(0)
    }

    /// The scan's table of AC coefficients.
    pub(super) fn ac(&self) -> Result<Huffman, Problem> {
        self.table(1)
    }

    fn table(&self, class: usize) -> Result<Huffman, Problem> {
        let selected = self.scan.tables.get(class).copied().unwrap_or(usize::MAX);
        let table = self.tables.get(class).and_then(|tables| tables.get(selected));
        let (counts, values) = table.copied().flatten().ok_or(INVALID)?;
        Huffman::new(counts, values)
    }
}

/// Marker segments, one after the other.
struct Segments<'a> {
    rest: &'a [u8],
}

impl<'a> Segments<'a> {
    fn new(bytes: &'a [u8]) -> Result<Segments<'a>, Problem> {
        let rest = bytes.strip_prefix(&[0xFF, marker::START_OF_IMAGE]).ok_or(INVALID)?;
        Ok(Segments { rest })
    }

    /// The next marker with the parameters of its segment; what lies before it is skipped.
    fn next(&mut self) -> Result<(u8, &'a [u8]), Problem> {
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

/// Huffman tables of a segment (B.2.4.2).
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

/// Canonical Huffman codes of 1 to 16 bits (annex C).
pub(super) struct Huffman {
    /// Length and value of the code that eight bits begin with; none where it is longer.
    short: [Option<(u32, u8)>; 256],
    /// Of each length: the end of its codes, with zeros to 16 bits, and the index of its first value less its first code.
    lengths: [(u32, i32); 16],
    values: Vec<u8>,
}

impl Huffman {
    fn new(counts: &[u8; 16], values: &[u8]) -> Result<Huffman, Problem> {
        let mut short = [None; 256];
        let mut lengths = [(0, 0); 16];
        let (mut code, mut taken) = (0_u32, 0_u32);
        for ((length, &count), entry) in (1_u32..).zip(counts).zip(&mut lengths) {
            let count = u32::from(count);
            if code + count > 1 << length {
                return Err(INVALID);
            }
            if length <= 8 {
                let of_length = values.iter().skip(taken as usize).take(count as usize);
                for (code, &value) in (code..).zip(of_length) {
                    let spread = 1 << (8 - length);
                    let begun = short.iter_mut().skip((code << (8 - length)) as usize).take(spread);
                    begun.for_each(|entry| *entry = Some((length, value)));
                }
            }
            let offset = taken as i32 - code as i32;
            code += count;
            taken += count;
            *entry = (code << (16 - length), offset);
            code <<= 1;
        }
        Ok(Huffman { short, lengths, values: values.to_vec() })
    }

    /// The value of the next code.
    pub(super) fn decode(&self, bits: &mut Bits<'_>) -> Result<u8, Problem> {
        let window = bits.window();
        if let Some(&Some((length, value))) = self.short.get((window >> 8) as usize) {
            bits.skip(length)?;
            return Ok(value);
        }
        for (length, &(end, offset)) in (1_u32..).zip(&self.lengths).skip(8) {
            if window < end {
                bits.skip(length)?;
                let index = (window >> (16 - length)) as i32 + offset;
                return self.values.get(index as usize).copied().ok_or(INVALID);
            }
        }
        // No code is as long as 16 bits of zeros that stand for data that are not there.
        Err(if bits.left() < 16 { ENDS_EARLY } else { INVALID })
    }
}

/// Entropy-coded bits up to the next marker.
pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// Bits that were taken from `rest`, the next one at the top.
    buffer: u64,
    filled: u32,
    /// Restart markers so far.
    restarts: u8,
}

impl<'a> Bits<'a> {
    pub(super) fn new(rest: &'a [u8]) -> Bits<'a> {
        Bits { rest, buffer: 0, filled: 0, restarts: 0 }
    }

    fn fill(&mut self) {
        while self.filled <= 56 {
            let (byte, rest) = match self.rest {
                [0xFF, 0, rest @ ..] => (0xFF, rest),
                [0xFF, ..] | [] => return,
                [byte, rest @ ..] => (*byte, rest),
            };
            self.buffer |= u64::from(byte) << (56 - self.filled);
            self.filled += 8;
            self.rest = rest;
        }
    }

    fn left(&self) -> u32 {
        self.filled
    }

    /// The next 16 bits, with zeros after the last.
    fn window(&mut self) -> u32 {
        if self.filled < 16 {
            self.fill();
        }
        (self.buffer >> 48) as u32
    }

    fn skip(&mut self, count: u32) -> Result<(), Problem> {
        self.filled = self.filled.checked_sub(count).ok_or(ENDS_EARLY)?;
        self.buffer <<= count;
        Ok(())
    }

    /// The next bits, at most 16, as a number.
    pub(super) fn take(&mut self, count: u32) -> Result<u32, Problem> {
        let bits = self.window() >> (16 - count);
        self.skip(count)?;
        Ok(bits)
    }

    /// Goes past the next restart marker, which has to follow and to be the next in order.
    pub(super) fn restart(&mut self) -> Result<(), Problem> {
        self.fill();
        if self.filled >= 8 {
            return Err(INVALID);
        }
        let mut rest = self.rest;
        while let [0xFF, 0xFF, ..] = rest {
            rest = rest.get(1..).unwrap_or_default();
        }
        let expected = marker::FIRST_RESTART + self.restarts % 8;
        self.rest = match rest {
            [0xFF, code, rest @ ..] if *code == expected => rest,
            [] | [0xFF] | [0xFF, marker::END_OF_IMAGE, ..] => return Err(ENDS_EARLY),
            _ => return Err(Problem::Damaged("its JPEG restart markers are not in order")),
        };
        self.restarts = (self.restarts + 1) % 8;
        (self.buffer, self.filled) = (0, 0);
        Ok(())
    }
}
