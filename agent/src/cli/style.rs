//! Colour, where a person looks and hasn't turned it off.

use std::{
    borrow::Cow,
    env,
    ffi::{OsStr, OsString},
    io::{self, IsTerminal as _},
};

/// What a piece of text is, which decides its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Good,
    Warning,
    Bad,
    Accent,
    Dim,
    Bold,
}

impl Tone {
    /// Parameters of SGR (ECMA-48, 8.3.117); the eight colours that every terminal theme sets.
    const fn parameters(self) -> &'static str {
        match self {
            Self::Good => "32",
            Self::Warning => "33",
            Self::Bad => "31",
            Self::Accent => "36",
            Self::Dim => "2",
            Self::Bold => "1",
        }
    }
}

/// Whether to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// No escape sequences.
    Plain,
    /// With colours.
    Colour,
}

impl Style {
    /// Colours on a terminal, unless `NO_COLOR` is there and not empty (<https://no-color.org>) or
    /// `TERM` is `dumb`.
    #[must_use]
    pub fn choose(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let refused = variable("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = variable("TERM").as_deref() == Some(OsStr::new("dumb"));
        if is_terminal && !refused && !dumb {
            Self::Colour
        } else {
            Self::Plain
        }
    }

    /// The style for standard output, as it is now.
    #[must_use]
    pub fn of_stdout() -> Self {
        Self::choose(io::stdout().is_terminal(), |name| env::var_os(name))
    }

    /// `text` in its colour.
    pub(super) fn paint(self, tone: Tone, text: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => text.into(),
            Self::Colour => format!("\x1b[{}m{text}\x1b[0m", tone.parameters()).into(),
        }
    }

    /// `text` in its colour, filled with blanks to `width` characters.
    pub(super) fn pad(self, tone: Tone, text: &str, width: usize) -> String {
        let blanks = width.saturating_sub(text.chars().count());
        format!("{}{}", self.paint(tone, text), " ".repeat(blanks))
    }
}

/// `text` with control characters as `\u{..}`, so that what an observed program sent can't steer
/// the terminal or break a line.
pub(super) fn printable(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) {
        let mut escaped = String::with_capacity(text.len() + 16);
        for c in text.chars() {
            if c.is_control() {
                escaped.extend(c.escape_unicode());
            } else {
                escaped.push(c);
            }
        }
        escaped.into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_that_wants_it() {
        let with = |name: &'static str, value: &'static str| {
            move |asked: &str| (asked == name).then(|| value.into())
        };
        assert_eq!(Style::choose(true, |_| None), Style::Colour);
        assert_eq!(Style::choose(false, |_| None), Style::Plain);
        assert_eq!(Style::choose(true, with("NO_COLOR", "1")), Style::Plain);
        assert_eq!(Style::choose(true, with("NO_COLOR", "")), Style::Colour);
        assert_eq!(Style::choose(true, with("TERM", "dumb")), Style::Plain);
    }

    #[test]
    fn escapes_of_observed_programs_do_not_reach_the_terminal() {
        assert_eq!(printable("/a\u{1b}[31m\n"), "/a\\u{1b}[31m\\u{a}");
        assert!(matches!(printable("/grüße"), Cow::Borrowed(_)));
    }
}
