//! CSV reader that records the line of each row and detects misplaced quotes.

use std::collections::VecDeque;
use std::io::{self, Read};

use csv::{Reader, ReaderBuilder, StringRecord, Trim};

/// CSV rows, including the header; fields are trimmed.
pub(crate) struct CsvRows<R>(Reader<CsvSource<R>>);

impl<R: Read> CsvRows<R> {
    /// A reader whose rows all have as many fields as the first.
    pub(crate) fn new(source: R) -> CsvRows<R> {
        CsvRows(
            ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(CsvSource::new(source, None)),
        )
    }

    /// A reader of rows of any length that skips lines beginning with `comment`.
    pub(crate) fn with_comments(source: R, comment: u8) -> CsvRows<R> {
        let mut builder = ReaderBuilder::new();
        builder.has_headers(false).trim(Trim::All).flexible(true).comment(Some(comment));
        CsvRows(builder.from_reader(CsvSource::new(source, Some(comment))))
    }

    /// Reads the next row, if any, and returns its first line, from 1; also that of a row with an error.
    pub(crate) fn next(&mut self, row: &mut StringRecord) -> Result<Option<u64>, (u64, csv::Error)> {
        let read = self.0.read_record(row);
        let line = self.0.get_mut().row_line();
        read.map(|is_row| is_row.then_some(line)).map_err(|error| (line, error))
    }

    /// The quoting error in the data read so far, which may extend beyond the rows returned.
    pub(crate) fn flaw(&self) -> Option<QuoteFlaw> {
        self.0.get_ref().flaw()
    }
}

/// Source of CSV (RFC 4180, 2.5 to 2.7).
struct CsvSource<R> {
    source: R,
    /// First byte of comment lines.
    comment: Option<u8>,
    state: State,
    line: u64,
    /// First lines of the rows read from the source and not yet [taken](Self::row_line).
    rows: VecDeque<u64>,
    spaced: Option<u64>,
}

/// Misplaced quote that changes the division into fields or rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QuoteFlaw {
    /// Line of the quote, from 1.
    pub(crate) line: u64,
    pub(crate) problem: &'static str,
}

const UNCLOSED: &str = "opened and not closed; close it, or leave it out";
const SPACED: &str =
    "behind a space, where it is a part of the field; put it right behind the comma, or leave it out";

#[derive(Clone, Copy)]
enum State {
    Row,
    Field,
    /// Only spaces so far.
    Spaces,
    Plain,
    Comment,
    /// Quoted field, with the line of the opening quote.
    Quoted(u64),
    /// A quote within a quoted field: the closing one, or the first of an escaped pair.
    Quote(u64),
}

impl<R> CsvSource<R> {
    fn new(source: R, comment: Option<u8>) -> CsvSource<R> {
        CsvSource { source, comment, state: State::Row, line: 1, rows: VecDeque::new(), spaced: None }
    }

    /// The first line, from 1, of the row that the CSV reader has just read; call once per row, including the header.
    fn row_line(&mut self) -> u64 {
        self.rows.pop_front().unwrap_or(self.line)
    }

    fn flaw(&self) -> Option<QuoteFlaw> {
        let unclosed = if let State::Quoted(line) = self.state { Some(line) } else { None };
        let spaced = self.spaced.map(|line| QuoteFlaw { line, problem: SPACED });
        spaced.or(unclosed.map(|line| QuoteFlaw { line, problem: UNCLOSED }))
    }

    fn look(&mut self, byte: u8) {
        let next = self.next(byte);
        if let (State::Row, false) = (self.state, matches!(next, State::Row | State::Comment)) {
            self.rows.push_back(self.line);
        }
        if let (State::Spaces, b'"') = (self.state, byte) {
            self.spaced.get_or_insert(self.line);
        }
        self.state = next;
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
            (State::Row | State::Field | State::Spaces, b' ' | b'\t') => State::Spaces,
            _ => State::Plain,
        }
    }
}

impl<R: Read> Read for CsvSource<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        buffer.iter().take(count).for_each(|&byte| self.look(byte));
        Ok(count)
    }
}

/// The quoting error of a text.
pub(crate) fn quote_flaw(text: &str, comment: Option<u8>) -> Option<QuoteFlaw> {
    let mut source = CsvSource::new(io::empty(), comment);
    for byte in text.bytes() {
        source.look(byte);
        source.rows.clear();
    }
    source.flaw()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaw(text: &str) -> Option<(u64, &'static str)> {
        let mut source = CsvSource::new(text.as_bytes(), Some(b'#'));
        let read = io::copy(&mut source, &mut io::sink());
        assert_eq!(read.ok(), Some(text.len() as u64));
        assert_eq!(quote_flaw(text, Some(b'#')), source.flaw());
        source.flaw().map(|flaw| (flaw.line, flaw.problem))
    }

    #[test]
    fn quotes_that_stay_open_are_found_where_they_open() {
        assert_eq!(flaw("a,b\n1,\"x\n2,y\n"), Some((2, UNCLOSED)));
        assert_eq!(flaw("\"a"), Some((1, UNCLOSED)));
        assert_eq!(flaw("a,b\n\n# \"c\n1,\"x\"\"\n2,y"), Some((4, UNCLOSED)));
        assert_eq!(flaw("\"a\"\n\""), Some((2, UNCLOSED)));
    }

    #[test]
    fn quotes_behind_spaces_are_found() {
        assert_eq!(flaw("a,b\n1, \"x\"\n"), Some((2, SPACED)));
        assert_eq!(flaw("a,b\n\t \"x\",\"1\n"), Some((2, SPACED)));
        assert_eq!(flaw("a,b\n\n1,x\n1, \"x, \"y\"\n"), Some((4, SPACED)));
    }

    #[test]
    fn quotes_that_are_closed_or_within_a_field_are_not() {
        for text in [
            "",
            "a,b\n1,\"x\"\n",
            "\"a\"\"b\",c",
            "5\" high,x\n",
            " 5\" high,x \"y\"\n",
            "\" \"\"a\"\"\",c",
            "\"a\nb\",c\r\n\"d\"",
            "# it's \"\n1,2",
            "\"\"",
        ] {
            assert_eq!(flaw(text), None, "{text}");
        }
    }

    #[test]
    fn rows_have_the_lines_where_they_begin() {
        for end in ["\n", "\r\n"] {
            let text = ["a", "", "\"b", "c\"", "# d", "", " e", "f"].join(end);
            let mut rows = CsvRows::with_comments(text.as_bytes(), b'#');
            let (mut row, mut lines) = (StringRecord::new(), Vec::new());
            while let Ok(Some(line)) = rows.next(&mut row) {
                lines.push(line);
            }
            assert_eq!(lines, [1, 3, 7, 8], "{end:?}");
        }
    }
}
