//! Lines of the two text formats.

use std::{
    fmt::Display,
    io::Write as _,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Format, name::Name, series};
use crate::metric::{Exemplar, Histogram, Kind, Point, Value};

/// Writes an exposition, line by line.
#[derive(Debug)]
pub(super) struct Writer {
    out: Vec<u8>,
    format: Format,
    /// The `le` values of the last histogram: those of a family mostly have the same bounds.
    bounds: Vec<f64>,
    les: Vec<String>,
}

impl Writer {
    pub(super) fn new(format: Format) -> Self {
        Self {
            out: Vec::with_capacity(64 * 1024),
            format,
            bounds: Vec::new(),
            les: Vec::new(),
        }
    }

    /// The exposition, ended as its format asks.
    pub(super) fn finish(mut self) -> Vec<u8> {
        if self.format == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out
    }

    /// HELP, TYPE and, in `OpenMetrics`, UNIT of a family.
    pub(super) fn header(&mut self, name: &Name, kind: Kind, help: &str) {
        let (family, untyped) = match self.format {
            Format::Text => (name.sample(), "untyped"),
            Format::OpenMetrics => (name.family(), "unknown"),
        };
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::UpDownCounter | Kind::Gauge if name.is_reserved() => untyped,
            Kind::UpDownCounter | Kind::Gauge => "gauge",
        };
        self.metadata(family, kind, help);
        if let (Format::OpenMetrics, Some(unit)) = (self.format, name.unit()) {
            self.pieces(&["# UNIT ", family, " ", unit, "\n"]);
        }
    }

    /// HELP and TYPE of a family of constant ones: an info in `OpenMetrics`, else a gauge.
    pub(super) fn info_header(&mut self, name: &str, help: &str) {
        match self.format {
            Format::Text => self.metadata(&format!("{name}_info"), "gauge", help),
            Format::OpenMetrics => self.metadata(name, "info", help),
        }
    }

    /// A sample of such a family.
    pub(super) fn info(&mut self, name: &str, labels: &[u8]) {
        self.series(name, "_info", labels);
        self.value(1);
        self.end();
    }

    /// All lines of a point.
    pub(super) fn point(&mut self, name: &Name, labels: &[u8], point: &Point) {
        match &point.value {
            Value::Integer(number) => {
                self.series(name.sample(), "", labels);
                self.value(number);
                self.end();
            }
            Value::Float(number) => {
                self.series(name.sample(), "", labels);
                self.float(*number);
                self.end();
            }
            Value::Histogram(histogram) => self.histogram(name.sample(), labels, point, histogram),
        }
    }

    fn histogram(&mut self, name: &str, labels: &[u8], point: &Point, histogram: &Histogram) {
        self.set_bounds(&histogram.bounds);
        let exemplars = match self.format {
            Format::OpenMetrics if !point.exemplars.is_empty() => {
                series::exemplars(point, histogram)
            }
            _ => Vec::new(),
        };
        let mut cumulative: u64 = 0;
        for (index, count) in histogram.counts.iter().enumerate() {
            cumulative = cumulative.saturating_add(*count);
            self.bucket(name, labels, index);
            self.value(cumulative);
            if let Some(exemplar) = exemplars.get(index).copied().flatten() {
                self.exemplar(exemplar);
            }
            self.end();
        }
        self.series(name, "_sum", labels);
        self.float(histogram.sum);
        self.end();
        self.series(name, "_count", labels);
        self.value(cumulative);
        self.end();
    }

    fn set_bounds(&mut self, bounds: &[f64]) {
        if self.bounds != bounds {
            self.bounds = bounds.to_vec();
            self.les = bounds.iter().copied().map(canonical).collect();
        }
    }

    fn metadata(&mut self, family: &str, kind: &str, help: &str) {
        self.pieces(&["# HELP ", family, " "]);
        escape(&mut self.out, help, self.format == Format::OpenMetrics);
        self.pieces(&["\n# TYPE ", family, " ", kind, "\n"]);
    }

    fn series(&mut self, name: &str, suffix: &str, labels: &[u8]) {
        self.pieces(&[name, suffix]);
        if !labels.is_empty() {
            self.out.push(b'{');
            self.out.extend_from_slice(labels);
            self.out.push(b'}');
        }
        self.out.push(b' ');
    }

    /// Up to the value of the bucket with this index.
    fn bucket(&mut self, name: &str, labels: &[u8], index: usize) {
        self.pieces(&[name, "_bucket{"]);
        if !labels.is_empty() {
            self.out.extend_from_slice(labels);
            self.out.push(b',');
        }
        let le = self.les.get(index).map_or("+Inf", String::as_str);
        for piece in ["le=\"", le, "\"} "] {
            self.out.extend_from_slice(piece.as_bytes());
        }
    }

    fn exemplar(&mut self, exemplar: &Exemplar) {
        self.pieces(&[" # {trace_id=\""]);
        self.hex(&exemplar.trace_id);
        self.pieces(&["\",span_id=\""]);
        self.hex(&exemplar.span_id);
        self.pieces(&["\"} "]);
        self.float(exemplar.value);
        if let Some(seconds) = seconds(exemplar.time) {
            self.pieces(&[" ", &seconds]);
        }
    }

    fn hex(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.value(format_args!("{byte:02x}"));
        }
    }

    fn float(&mut self, number: f64) {
        if number.is_finite() {
            // `Debug` is the shortest text that reads back to the same number, in powers of ten
            // where it is very long.
            self.value(format_args!("{number:?}"));
        } else {
            self.pieces(&[infinite(number)]);
        }
    }

    fn value(&mut self, value: impl Display) {
        write!(self.out, "{value}").expect("writing to memory doesn't fail");
    }

    fn pieces(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.out.extend_from_slice(piece.as_bytes());
        }
    }

    fn end(&mut self) {
        self.out.push(b'\n');
    }
}

fn infinite(number: f64) -> &'static str {
    if number.is_nan() {
        "NaN"
    } else if number > 0.0 {
        "+Inf"
    } else {
        "-Inf"
    }
}

/// Seconds since 1970 with milliseconds; nothing for times before.
fn seconds(time: SystemTime) -> Option<String> {
    let since = time.duration_since(UNIX_EPOCH).ok()?;
    Some(format!("{}.{:03}", since.as_secs(), since.subsec_millis()))
}

/// A bound as a label value: `OpenMetrics` 1.0, "Canonical Numbers", which is Go's `%g` with `.0`
/// at the end of whole numbers.
///
/// In both formats the same, so that a series keeps its name whichever is scraped.
fn canonical(bound: f64) -> String {
    if !bound.is_finite() {
        return infinite(bound).to_owned();
    }
    let scientific = format!("{bound:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    match exponent.parse::<i32>() {
        Ok(exponent) if bound != 0.0 && !(-4..6).contains(&exponent) => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{mantissa}e{sign}{:02}", exponent.unsigned_abs())
        }
        _ => format!("{bound:?}"),
    }
}

/// Escapes a label value: backslash, quote and line feed, in both formats.
pub(super) fn escape_label(out: &mut Vec<u8>, text: &str) {
    escape(out, text, true);
}

fn escape(out: &mut Vec<u8>, text: &str, quotes: bool) {
    let special = |byte: u8| byte == b'\\' || byte == b'\n' || (quotes && byte == b'"');
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| special(*byte)) {
        let (plain, tail) = rest.split_at(at);
        out.extend_from_slice(plain);
        out.push(b'\\');
        let byte = tail.first().copied().unwrap_or_default();
        out.push(if byte == b'\n' { b'n' } else { byte });
        rest = tail.get(1..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_written_like_the_specification_lists_them() {
        let cases: [(f64, &str); 14] = [
            (0.0, "0.0"),
            (1e-10, "1e-10"),
            (0.00001, "1e-05"),
            (1.024e-6, "1.024e-06"),
            (0.0001, "0.0001"),
            (0.025, "0.025"),
            (0.1, "0.1"),
            (1.0, "1.0"),
            (2.5, "2.5"),
            (100_000.0, "100000.0"),
            (1e6, "1e+06"),
            (1_048_576.0, "1.048576e+06"),
            (1e10, "1e+10"),
            (1e100, "1e+100"),
        ];
        for (bound, expected) in cases {
            assert_eq!(canonical(bound), expected);
        }
    }

    #[test]
    fn floats_read_back_to_the_same_number() {
        for number in [
            0.1 + 0.2,
            1e-300,
            f64::MAX,
            f64::MIN_POSITIVE,
            -0.0,
            12.0,
            1e21,
        ] {
            let mut writer = Writer::new(Format::Text);
            writer.float(number);
            let text = String::from_utf8(writer.finish()).unwrap();
            assert_eq!(
                text.parse::<f64>().unwrap().to_bits(),
                number.to_bits(),
                "{text}"
            );
        }
    }
}
