//! The elements of a data set that are needed to display its image, borrowed from the file.

pub(super) mod tag;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use dicom_core::{Length, Tag, VR};
use dicom_parser::StatefulDecode;
use dicom_parser::dataset::LazyDataToken;

use super::meta::Meta;
use super::syntax::Syntax;
use super::{Problem, element_decoder, object};
use crate::image::ReadLimits;

/// An element's value: its bytes in the file.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    pub(super) vr: VR,
    bytes: &'a [u8],
    big: bool,
}

impl<'a> Value<'a> {
    /// The value as 16-bit integers.
    pub(super) fn words(&self) -> impl Iterator<Item = u16> + use<'a> {
        let big = self.big;
        self.bytes.chunks_exact(2).map(move |pair| {
            let pair = [pair[0], pair[1]];
            if big { u16::from_be_bytes(pair) } else { u16::from_le_bytes(pair) }
        })
    }

    pub(super) fn is_big_endian(&self) -> bool {
        self.big
    }

    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first value of a text; empty where it is not UTF-8.
    pub(super) fn text(&self) -> &'a str {
        self.text_at(0).unwrap_or_default()
    }

    /// The values of a text; `None` where they are not UTF-8.
    pub(super) fn texts(&self) -> Option<Vec<&'a str>> {
        let count = self.bytes.iter().filter(|&&byte| byte == b'\\').count() + 1;
        (0..count).map(|index| self.text_at(index)).collect()
    }

    /// A value of a text, by its index; empty where there are fewer, `None` where it is not UTF-8.
    fn text_at(&self, index: usize) -> Option<&'a str> {
        let part = self.bytes.split(|&byte| byte == b'\\').nth(index).unwrap_or_default();
        // Line ends and tabs are not allowed, but some writers add them.
        std::str::from_utf8(part).ok().map(|part| part.trim_matches([' ', '\0', '\t', '\r', '\n']))
    }
}

/// The pixel data.
pub(super) enum Pixels<'a> {
    Plain(Value<'a>),
    Fragments(Vec<&'a [u8]>),
}

/// The elements of a data set that are read.
pub(super) struct Elements<'a> {
    syntax: Syntax,
    /// Media Storage SOP Class UID of the meta group.
    storage: Option<&'a str>,
    image: BTreeMap<Tag, Value<'a>>,
    nested: BTreeMap<(Tag, Tag, Tag), Value<'a>>,
    items: BTreeMap<Tag, usize>,
    modality_lut: BTreeMap<Tag, Value<'a>>,
    voi_lut: BTreeMap<Tag, Value<'a>>,
    /// `None` where only the elements before them were read.
    pixels: Option<Pixels<'a>>,
}

pub(super) const ENDS_EARLY: Problem = Problem::Damaged("its data set ends early");
pub(super) const MALFORMED: Problem = Problem::Damaged("its data set cannot be parsed");

impl<'a> Elements<'a> {
    /// The elements of a whole file.
    pub(super) fn read(bytes: &'a [u8], limits: &ReadLimits) -> Result<Elements<'a>, Problem> {
        Elements::walk(bytes, limits, false)
    }

    /// Reads the elements before the pixel data, of a file that may be truncated after the start of that element.
    pub(super) fn before_pixels(bytes: &'a [u8], limits: &ReadLimits) -> Result<Elements<'a>, Problem> {
        Elements::walk(bytes, limits, true)
    }

    fn walk(bytes: &'a [u8], limits: &ReadLimits, stops_at_pixels: bool) -> Result<Elements<'a>, Problem> {
        let meta = Meta::read(bytes)?;
        if let Some(object) = meta.sop_class.and_then(object::without_image) {
            return Err(Problem::NotAnImage(object));
        }
        let syntax = Syntax::of(meta.syntax)?;
        let (mut reader, implicit_depth) = element_decoder::reader(bytes, meta.start, syntax);
        let (big, max_depth) = (syntax.is_big_endian(), limits.max_depth);
        let mut walk = Walk { bytes, big, implicit_depth, max_depth, ..Walk::default() };
        let pixels = loop {
            if limits.is_late() {
                return Err(Problem::TimedOut);
            }
            match reader.advance() {
                Some(Ok(LazyDataToken::ElementHeader(header)))
                    if stops_at_pixels && walk.path.is_empty() && header.tag == tag::PIXEL_DATA =>
                {
                    break None;
                }
                Some(Ok(LazyDataToken::PixelSequenceStart)) if stops_at_pixels && walk.path.is_empty() => {
                    break None;
                }
                Some(Ok(token)) => {
                    if let Some(pixels) = walk.token(token)? {
                        break Some(pixels);
                    }
                }
                // Some files lack the delimiter after the last fragment; the fragment itself is checked by its decoder.
                None | Some(Err(_)) if !walk.fragments.is_empty() => {
                    break Some(Pixels::Fragments(std::mem::take(&mut walk.fragments)));
                }
                Some(Err(_)) => return Err(MALFORMED),
                None if walk.path.is_empty() => return Err(Problem::NotAnImage(walk.object())),
                None => return Err(ENDS_EARLY),
            }
        };
        let Walk { image, nested, items, modality_lut, voi_lut, .. } = walk;
        let storage = meta.sop_class;
        Ok(Elements { syntax, storage, image, nested, items, modality_lut, voi_lut, pixels })
    }

    pub(super) fn syntax(&self) -> Syntax {
        self.syntax
    }

    pub(super) fn get(&self, tag: Tag) -> Option<Value<'a>> {
        self.image.get(&tag).copied()
    }

    /// An element of the first item of a sequence within the first item of another; `inner` equals `outer` for a single
    /// level.
    pub(super) fn nested(&self, outer: Tag, inner: Tag, tag: Tag) -> Option<Value<'a>> {
        self.nested.get(&(outer, inner, tag)).copied()
    }

    /// Number of items of the image's own sequence of placement; `None` where it is missing.
    pub(super) fn items(&self, sequence: Tag) -> Option<usize> {
        self.items.get(&sequence).copied()
    }

    /// The SOP class as GDCM determines it: that of the data set, else that of the meta group.
    pub(super) fn sop_class(&self) -> Option<&'a str> {
        let own = self.get(tag::SOP_CLASS).map(|value| value.text()).filter(|uid| !uid.is_empty());
        own.or(self.storage())
    }

    /// The SOP class of the meta group.
    pub(super) fn storage(&self) -> Option<&'a str> {
        self.storage.filter(|uid| !uid.is_empty())
    }

    /// A decimal number of an element, by its index; `None` where it is missing.
    ///
    /// # Errors
    /// A text that is not a number, such as one with a decimal comma: ignoring it would change the image.
    pub(super) fn decimal(&self, tag: Tag, index: usize) -> Result<Option<f64>, Problem> {
        let Some(value) = self.get(tag) else { return Ok(None) };
        let number = match value.text_at(index) {
            Some("") => return Ok(None),
            text => text.and_then(|text| text.parse().ok()).filter(|number: &f64| number.is_finite()),
        };
        number.map(Some).ok_or(Problem::NotANumber(tag::name(tag)))
    }

    /// The descriptor and the data of the first item of a sequence of look-up tables.
    pub(super) fn lut(&self, sequence: Tag) -> Result<Option<(Value<'a>, Value<'a>)>, Problem> {
        let item = if sequence == tag::MODALITY_LUT { &self.modality_lut } else { &self.voi_lut };
        let element = |tag| item.get(&tag).copied();
        match (element(tag::LUT_DESCRIPTOR), element(tag::LUT_DATA)) {
            (Some(descriptor), Some(data)) => Ok(Some((descriptor, data))),
            (None, None) => Ok(None),
            _ => Err(Problem::Damaged("its look-up table has no descriptor or no data")),
        }
    }

    pub(super) fn pixels(&self) -> Result<&Pixels<'a>, Problem> {
        self.pixels.as_ref().ok_or(ENDS_EARLY)
    }
}

/// SOP Class UID of a file that may be truncated after it.
pub(super) fn sop_class(start: &[u8]) -> Option<&str> {
    let meta = Meta::read(start).ok()?;
    if meta.sop_class.is_some() {
        return meta.sop_class;
    }
    let syntax = Syntax::of(meta.syntax).ok()?;
    let (mut reader, implicit_depth) = element_decoder::reader(start, meta.start, syntax);
    let (big, max_depth) = (syntax.is_big_endian(), ReadLimits::default().max_depth);
    let mut walk = Walk { bytes: start, big, implicit_depth, max_depth, ..Walk::default() };
    loop {
        walk.token(reader.advance()?.ok()?).ok()?;
        if let Some(value) = walk.image.get(&tag::SOP_CLASS) {
            return Some(value.text());
        }
    }
}

/// The bytes of a value, which have to exist.
pub(super) fn slice(bytes: &[u8], position: u64, length: Length) -> Result<&[u8], Problem> {
    let start = usize::try_from(position).map_err(|_| ENDS_EARLY)?;
    let length = length.get().ok_or(MALFORMED)? as usize;
    bytes.get(start..).and_then(|rest| rest.get(..length)).ok_or(ENDS_EARLY)
}

/// State of the pass over a data set.
#[derive(Default)]
struct Walk<'a> {
    bytes: &'a [u8],
    big: bool,
    /// Above zero within sequences in implicit VR, whose byte order is little endian.
    implicit_depth: Rc<Cell<usize>>,
    /// Maximum nesting depth of sequences.
    max_depth: usize,
    image: BTreeMap<Tag, Value<'a>>,
    nested: BTreeMap<(Tag, Tag, Tag), Value<'a>>,
    items: BTreeMap<Tag, usize>,
    modality_lut: BTreeMap<Tag, Value<'a>>,
    voi_lut: BTreeMap<Tag, Value<'a>>,
    /// The open sequences, each with the number of its items so far.
    path: Vec<(Tag, usize)>,
    fragments: Vec<&'a [u8]>,
}

impl<'a> Walk<'a> {
    /// Processes a token; returns the image's pixels when they are complete.
    fn token<D: StatefulDecode>(&mut self, token: LazyDataToken<D>) -> Result<Option<Pixels<'a>>, Problem> {
        match token {
            LazyDataToken::SequenceStart { tag, .. } => self.enter(tag)?,
            LazyDataToken::PixelSequenceStart => self.enter(tag::PIXEL_DATA)?,
            LazyDataToken::ItemStart { .. } => {
                if let Some((_, items)) = self.path.last_mut() {
                    *items += 1;
                }
            }
            LazyDataToken::SequenceEnd => {
                let closed = self.path.pop();
                match closed {
                    Some((tag::PIXEL_DATA, _)) if self.path.is_empty() => {
                        return Ok(Some(Pixels::Fragments(std::mem::take(&mut self.fragments))));
                    }
                    Some((tag @ (tag::PER_FRAME_GROUPS | tag::DETECTOR_INFORMATION), items))
                        if self.path.is_empty() =>
                    {
                        self.items.insert(tag, items);
                    }
                    _ => {}
                }
            }
            LazyDataToken::LazyValue { header, mut decoder } => {
                let bytes = slice(self.bytes, decoder.position(), header.len)?;
                decoder.skip_bytes(header.len.0).map_err(|_| MALFORMED)?;
                let big = self.big && self.implicit_depth.get() == 0;
                let value = Value { vr: header.vr, bytes, big };
                if self.path.is_empty() && header.tag == tag::PIXEL_DATA {
                    return Ok(Some(Pixels::Plain(value)));
                }
                self.keep(header.tag, value);
            }
            LazyDataToken::LazyItemValue { len, mut decoder } => {
                let bytes = slice(self.bytes, decoder.position(), Length(len))?;
                decoder.skip_bytes(len).map_err(|_| MALFORMED)?;
                // The first item is the basic offset table.
                if matches!(self.path.as_slice(), [(tag, 2..)] if *tag == tag::PIXEL_DATA) {
                    self.fragments.push(bytes);
                }
            }
            _ => {}
        }
        Ok(None)
    }

    /// The kind of object, by its SOP class.
    fn object(&self) -> &'static str {
        let class = self.image.get(&tag::SOP_CLASS).map_or("", Value::text);
        object::without_image(class).unwrap_or(object::NO_PIXEL_DATA)
    }

    fn enter(&mut self, tag: Tag) -> Result<(), Problem> {
        if self.path.len() >= self.max_depth {
            let count = self.path.len() as u64 + 1;
            return Err(Problem::TooMany("levels of nested sequences", count, self.max_depth));
        }
        self.path.push((tag, 0));
        Ok(())
    }

    /// Stores a value if it is needed: of the image, of its placement, or of the first item of its look-up tables.
    fn keep(&mut self, tag: Tag, value: Value<'a>) {
        let place = match *self.path.as_slice() {
            [(outer @ tag::DETECTOR_INFORMATION, 1)] => Some((outer, outer)),
            [(outer @ (tag::SHARED_GROUPS | tag::PER_FRAME_GROUPS), 1), (inner, 1)] => Some((outer, inner)),
            _ => None,
        };
        if let Some((outer, inner)) = place.filter(|_| tag::OF_PLACE.contains(&tag)) {
            self.nested.insert((outer, inner, tag), value);
            return;
        }
        let (wanted, into): (&[Tag], _) = match self.path.as_slice() {
            [] => (&tag::OF_IMAGE, &mut self.image),
            [(tag::MODALITY_LUT, 1)] => (&tag::OF_LUT, &mut self.modality_lut),
            [(tag::VOI_LUT, 1)] => (&tag::OF_LUT, &mut self.voi_lut),
            _ => return,
        };
        if wanted.contains(&tag) {
            into.insert(tag, value);
        }
    }
}
