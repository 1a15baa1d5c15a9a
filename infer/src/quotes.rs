//! Quotes in CSV that are opened and never closed: all that follows would be taken for one field, and its rows be missing.

use std::io::{self, Read};

/// A source of CSV that is looked through for such a quote while it is read (RFC 4180, 2.5 to 2.7).
pub(crate) struct Quotes<R> {
    source: R,
    /// First byte of lines that are no rows.
    comment: Option<u8>,
    state: State,
    line: u64,
}

#[derive(Clone, Copy)]
enum State {
    Row,
    Field,
    Plain,
    Comment,
    /// With the line where the quote was opened.
    Quoted(u64),
    /// A quote within a quoted field: its end, or the first of two that stand for one.
    Quote(u64),
}

impl<R> Quotes<R> {
    pub(crate) fn new(source: R, comment: Option<u8>) -> Quotes<R> {
        Quotes { source, comment, state: State::Row, line: 1 }
    }

    /// The line, from 1, of a quote that is open after what was read so far.
    pub(crate) fn open(&self) -> Option<u64> {
        if let State::Quoted(line) = self.state { Some(line) } else { None }
    }

    fn look(&mut self, byte: u8) {
        self.state = self.next(byte);
        self.line += u64::from(byte == b'\n');
    }

    fn next(&self, byte: u8) -> State {
        match (self.state, byte) {
            (State::Quoted(line), b'"') => State::Quote(line),
            (State::Quoted(line), _) | (State::Quote(line), b'"') => State::Quoted(line),
            (_, b'\n') => State::Row,
            (State::Comment, _) => State::Comment,
            (State::Row, byte) if self.comment == Some(byte) => State::Comment,
            (_, b'\r') => State::Row,
            (_, b',') => State::Field,
            (State::Row | State::Field, b'"') => State::Quoted(self.line),
            _ => State::Plain,
        }
    }
}

impl<R: Read> Read for Quotes<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        buffer.iter().take(count).for_each(|&byte| self.look(byte));
        Ok(count)
    }
}

/// The line, from 1, of a quote that a text opens and does not close.
pub(crate) fn unclosed_quote(text: &str, comment: Option<u8>) -> Option<u64> {
    let mut quotes = Quotes::new(io::empty(), comment);
    text.bytes().for_each(|byte| quotes.look(byte));
    quotes.open()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(text: &str) -> Option<u64> {
        let mut quotes = Quotes::new(text.as_bytes(), Some(b'#'));
        let read = io::copy(&mut quotes, &mut io::sink());
        assert_eq!(read.ok(), Some(text.len() as u64));
        assert_eq!(unclosed_quote(text, Some(b'#')), quotes.open());
        quotes.open()
    }

    #[test]
    fn quotes_that_stay_open_are_found_where_they_open() {
        assert_eq!(open("a,b\n1,\"x\n2,y\n"), Some(2));
        assert_eq!(open("\"a"), Some(1));
        assert_eq!(open("a,b\n\n# \"c\n1,\"x\"\"\n2,y"), Some(4));
        assert_eq!(open("\"a\"\n\""), Some(2));
    }

    #[test]
    fn quotes_that_are_closed_or_within_a_field_are_not() {
        for text in [
            "",
            "a,b\n1,\"x\"\n",
            "\"a\"\"b\",c",
            "5\" high,x\n",
            "\"a\nb\",c\r\n\"d\"",
            "# it's \"\n1,2",
            "\"\"",
        ] {
            assert_eq!(open(text), None, "{text}");
        }
    }
}
