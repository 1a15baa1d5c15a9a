//! Error messages with their causes.

use std::error::Error;
use std::fmt::Display;

/// Maximum length of a parser's message, in characters.
const MOST: usize = 300;

/// A parser's or decoder's message on one line and truncated, as it may quote the file.
pub(crate) fn said(error: impl Display) -> String {
    let line = error.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// An error and its causes on one line; a cause that is already quoted is omitted.
#[must_use]
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let line = cause.to_string();
        if !text.contains(&line) {
            text = format!("{text}: {line}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_parser_quotes_is_cut() {
        assert_eq!(said("two\n  lines"), "two lines");
        assert_eq!(said("ö".repeat(1000)), format!("{}...", "ö".repeat(MOST)));
    }

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Effect {
        text: &'static str,
        source: Option<Box<Effect>>,
    }

    #[test]
    fn causes_follow_their_effect_and_are_said_once() {
        let effect = |text, source| Effect { text, source };
        let cause = effect("the disk is full", None);
        let quoting = effect("a.csv: the disk is full", Some(Box::new(cause)));
        let outer = effect("can't save the run", Some(Box::new(quoting)));
        assert_eq!(with_causes(&outer), "can't save the run: a.csv: the disk is full");
    }
}
