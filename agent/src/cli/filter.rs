//! Which spans `sonde trace` shows.

use std::{str::FromStr, time::Duration};

use crate::{metric::AttributeValue, signal::Span};

/// Conditions that must all hold; an empty one holds for everything.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Any of these services.
    pub services: Vec<Pattern>,
    /// Any of these statuses.
    pub statuses: Vec<StatusFilter>,
    /// Any of these routes or paths.
    pub routes: Vec<Pattern>,
    /// At least this long.
    pub min_duration: Duration,
}

impl Filter {
    /// Whether `span` is shown.
    #[must_use]
    pub fn matches(&self, span: &Span) -> bool {
        let service = text(&span.resource.attributes, "service.name");
        let route = text(&span.attributes, "http.route");
        let path = text(&span.attributes, "url.path");
        let status = status(span);
        duration(span) >= self.min_duration
            && any(&self.services, |pattern| pattern.matches(service))
            && any(&self.statuses, |filter| filter.matches(status))
            && any(&self.routes, |pattern| {
                pattern.matches(route) || pattern.matches(path)
            })
    }
}

fn any<T>(conditions: &[T], holds: impl Fn(&T) -> bool) -> bool {
    conditions.is_empty() || conditions.iter().any(holds)
}

/// A text attribute; "" where there is none.
pub(super) fn text<'a>(attributes: &'a crate::metric::Attributes, name: &str) -> &'a str {
    match attributes.get(name) {
        Some(AttributeValue::Text(text)) => text,
        _ => "",
    }
}

/// The status code of the answer.
pub(super) fn status(span: &Span) -> Option<u16> {
    match span.attributes.get("http.response.status_code") {
        Some(AttributeValue::Integer(code)) => u16::try_from(*code).ok(),
        _ => None,
    }
}

/// How long the exchange took.
pub(super) fn duration(span: &Span) -> Duration {
    span.end.duration_since(span.start).unwrap_or_default()
}

/// Text in which `*` stands for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether the whole of `text` fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else {
            return self.0 == text;
        };
        let Some(mut text) = text.strip_prefix(first) else {
            return false;
        };
        let mut pieces: Vec<_> = rest.split('*').collect();
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            let Some(at) = text.find(piece) else {
                return false;
            };
            text = &text[at + piece.len()..];
        }
        text.ends_with(last)
    }
}

impl FromStr for Pattern {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// A condition on the status: `500`, `5xx`, `>=400`, `<300`, or `none` for no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    /// Codes from the first to the last.
    Codes(u16, u16),
    /// No (valid) answer.
    Missing,
}

impl StatusFilter {
    /// Whether a request that ended with `status` is shown.
    #[must_use]
    pub fn matches(self, status: Option<u16>) -> bool {
        match (self, status) {
            (Self::Codes(first, last), Some(code)) => (first..=last).contains(&code),
            (Self::Missing, None) => true,
            _ => false,
        }
    }
}

/// A text that is no [`StatusFilter`].
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a status such as 500, 5xx, >=400, <300, or none for requests without an answer")]
pub struct InvalidStatus;

impl FromStr for StatusFilter {
    type Err = InvalidStatus;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let code = |digits: &str| {
            let digits = digits.trim();
            let code = digits
                .parse()
                .ok()
                .filter(|code| (100..=999).contains(code));
            // `parse` takes a sign as well.
            code.filter(|_| digits.len() == 3).ok_or(InvalidStatus)
        };
        if text == "none" {
            return Ok(Self::Missing);
        }
        // Longer operators first: ">=" starts with ">".
        if let Some(rest) = text.strip_prefix(">=") {
            return Ok(Self::Codes(code(rest)?, u16::MAX));
        }
        if let Some(rest) = text.strip_prefix("<=") {
            return Ok(Self::Codes(0, code(rest)?));
        }
        if let Some(rest) = text.strip_prefix('>') {
            return Ok(Self::Codes(code(rest)? + 1, u16::MAX));
        }
        if let Some(rest) = text.strip_prefix('<') {
            return Ok(Self::Codes(0, code(rest)? - 1));
        }
        if let Some(class) = text.strip_suffix("xx").or_else(|| text.strip_suffix("XX")) {
            let first = code(&format!("{class}00"))?;
            return Ok(Self::Codes(first, first + 99));
        }
        code(text).map(|code| Self::Codes(code, code))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn status_filters_take_codes_classes_and_comparisons() {
        let shows = |filter: &str, status| StatusFilter::from_str(filter).unwrap().matches(status);
        for (filter, shown, hidden) in [
            ("500", 500, 501),
            ("5xx", 599, 499),
            ("4XX", 404, 500),
            (">=400", 400, 399),
            (">400", 401, 400),
            ("<=299", 299, 300),
            ("< 300", 299, 300),
        ] {
            assert!(shows(filter, Some(shown)), "{filter} {shown}");
            assert!(!shows(filter, Some(hidden)), "{filter} {hidden}");
            assert!(!shows(filter, None), "{filter} without a status");
        }
        assert!(shows("none", None) && !shows("none", Some(200)));
        for wrong in [
            "", "5x", "xx", "abc", "99", "1000", ">=", "55xx", "=200", "+5xx",
        ] {
            assert_eq!(StatusFilter::from_str(wrong), Err(InvalidStatus), "{wrong}");
        }
    }

    #[test]
    fn patterns_fit_the_whole_text() {
        let fits = |pattern: &str, text| Pattern(pattern.into()).matches(text);
        assert!(fits("shop", "shop") && !fits("shop", "shop-2"));
        assert!(fits("shop*", "shop-2") && fits("*", "") && fits("*-2", "shop-2"));
        assert!(fits("/api/*/items*", "/api/{id}/items/7"));
        assert!(!fits("/api/*/items", "/api/{id}/items/7"));
        assert!(!fits("a*a", "a") && fits("a*a", "aa"));
    }

    proptest! {
        #[test]
        fn a_pattern_fits_what_it_was_made_from(
            pieces in proptest::collection::vec("[a-z/]{0,4}", 1..5),
            filling in "[a-z*é/]{0,6}",
        ) {
            let pattern = Pattern(pieces.join("*"));
            prop_assert!(pattern.matches(&pieces.join(&filling)));
        }

        #[test]
        fn no_text_makes_the_status_parser_panic(text in ".{0,8}") {
            let _ = StatusFilter::from_str(&text);
        }
    }
}
