//! What a scraper asks for: proactive negotiation of RFC 9110, section 12.5.

use super::Format;

/// The format for these `Accept` values; text 0.0.4 where nothing, or nothing that fits, is asked.
///
/// Of equal qualities the format that is named more precisely wins, then `OpenMetrics`, which
/// no client names by accident.
#[must_use]
pub fn negotiate<'a>(accept: impl IntoIterator<Item = &'a str>) -> Format {
    let mut open_metrics = Wanted::default();
    let mut text = Wanted::default();
    for range in accept
        .into_iter()
        .flat_map(elements)
        .filter_map(Range::parse)
    {
        if let Some(precision) = range.matches("application", "openmetrics-text", "1.0.0") {
            open_metrics.consider(precision, range.quality);
        }
        if let Some(precision) = range.matches("text", "plain", "0.0.4") {
            text.consider(precision, range.quality);
        }
    }
    // A wildcard alone asks for nothing in particular.
    let named = open_metrics.precision >= Precision::Type;
    let better = (open_metrics.quality, open_metrics.precision) >= (text.quality, text.precision);
    if named && open_metrics.quality > 0 && better {
        Format::OpenMetrics
    } else {
        Format::Text
    }
}

/// Whether these `Accept-Encoding` values allow gzip.
#[must_use]
pub fn accepts_gzip<'a>(accept: impl IntoIterator<Item = &'a str>) -> bool {
    let mut any = 0;
    for element in accept.into_iter().flat_map(elements) {
        let mut parts = element.split(';').map(str::trim);
        let coding = parts.next().unwrap_or_default();
        let quality = parts.find_map(quality).unwrap_or(1000);
        match coding {
            "*" => any = quality,
            _ if coding.eq_ignore_ascii_case("gzip") => return quality > 0,
            _ => {}
        }
    }
    any > 0
}

/// How closely a range names a media type; the closest one decides the quality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Precision {
    #[default]
    No,
    Anything,
    Type,
    Subtype,
    Version,
}

#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    precision: Precision,
    /// In thousandths.
    quality: u16,
}

impl Wanted {
    fn consider(&mut self, precision: Precision, quality: u16) {
        if (precision, quality) > (self.precision, self.quality) {
            *self = Self { precision, quality };
        }
    }
}

/// One media range of an `Accept` header.
#[derive(Debug)]
struct Range<'a> {
    kind: &'a str,
    subtype: &'a str,
    version: Option<&'a str>,
    quality: u16,
}

impl<'a> Range<'a> {
    fn parse(element: &'a str) -> Option<Self> {
        let mut parts = element.split(';').map(str::trim);
        let (kind, subtype) = parts.next()?.split_once('/')?;
        let mut range = Self {
            kind,
            subtype,
            version: None,
            quality: 1000,
        };
        for part in parts {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            if key.trim_end().eq_ignore_ascii_case("version") {
                range.version = Some(value.trim_start().trim_matches('"'));
            } else if is_quality(key) {
                // A range with a quality that can't be read asks for nothing.
                range.quality = quality(part)?;
            }
        }
        Some(range)
    }

    fn matches(&self, kind: &str, subtype: &str, version: &str) -> Option<Precision> {
        if self.kind == "*" && self.subtype == "*" {
            return Some(Precision::Anything);
        }
        if !self.kind.eq_ignore_ascii_case(kind) {
            return None;
        }
        if self.subtype == "*" {
            return Some(Precision::Type);
        }
        if !self.subtype.eq_ignore_ascii_case(subtype) {
            return None;
        }
        match self.version {
            None => Some(Precision::Subtype),
            Some(asked) => (asked == version).then_some(Precision::Version),
        }
    }
}

fn elements(header: &str) -> impl Iterator<Item = &str> {
    header
        .split(',')
        .map(str::trim)
        .filter(|element| !element.is_empty())
}

fn is_quality(key: &str) -> bool {
    key.trim().eq_ignore_ascii_case("q")
}

/// A weight (RFC 9110, section 12.4.2) in thousandths.
fn quality(parameter: &str) -> Option<u16> {
    let (key, value) = parameter.split_once('=')?;
    if !is_quality(key) {
        return None;
    }
    let (whole, fraction) = value.trim().split_once('.').unwrap_or((value.trim(), ""));
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit()) && fraction.len() <= 3;
    let thousandths = digits.then(|| format!("{fraction:0<3}").parse::<u16>().ok())??;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        use Format::{OpenMetrics, Text};
        let cases = [
            ("", Text),
            ("*/*", Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Text),
            ("application/json", Text),
            ("application/openmetrics-text", OpenMetrics),
            (
                "Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8",
                OpenMetrics,
            ),
            ("application/openmetrics-text;version=1.0.0;q=0", Text),
            ("application/openmetrics-text;version=0.0.1", Text),
            (
                "application/openmetrics-text;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.5",
                Text,
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3",
                OpenMetrics,
            ),
            (
                "text/plain;version=0.0.4,application/openmetrics-text;version=1.0.0",
                OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;q=0.4,*/*;q=0.9",
                Text,
            ),
            ("application/openmetrics-text;version=1.0.0;q=oh", Text),
            // Prometheus 2.42
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                OpenMetrics,
            ),
            // Prometheus 3
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
        ];
        for (accept, expected) in cases {
            assert_eq!(negotiate([accept]), expected, "{accept}");
        }
    }

    #[test]
    fn headers_given_twice_are_one_list() {
        let accept = ["text/plain;q=0.2", "application/openmetrics-text;q=0.4"];
        assert_eq!(negotiate(accept), Format::OpenMetrics);
    }

    #[test]
    fn gzip_only_for_who_takes_it() {
        for (accept, expected) in [
            ("", false),
            ("gzip", true),
            ("br, GZIP;q=0.5", true),
            ("gzip;q=0, *", false),
            ("gzip;q=0.000", false),
            ("*", true),
            ("deflate, br", false),
            ("identity;q=1, *;q=0", false),
        ] {
            assert_eq!(accepts_gzip([accept]), expected, "{accept}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_header_is_answered(accept in "\\PC*") {
            let _ = negotiate([accept.as_str()]);
            let _ = accepts_gzip([accept.as_str()]);
        }
    }
}
