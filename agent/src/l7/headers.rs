//! Header fields that were asked for by name, of whatever protocol. By default there are none, and
//! an exchange without any costs no allocation.
//!
//! A decoder of heads asks a [`Selection`] for a [`Collector`] at each head, hands every field to
//! it and takes [`Headers`] out of it. Values of fields that carry credentials are never stored,
//! only that they were there.

use std::sync::Arc;

use super::text;

/// Stands in the place of a value that must not be kept.
pub const MASK: &str = "REDACTED";
/// Longest value that is kept, in bytes; longer ones are cut.
const VALUE_MAX: usize = 256;
/// Most values that are kept of one head.
pub(super) const VALUES_MAX: usize = 32;

/// Whose head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Message {
    /// A request's.
    Request,
    /// The final answer's.
    Response,
}

/// Which header fields are kept, and which of their values are masked.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    request: Box<[Field]>,
    response: Box<[Field]>,
    /// Lower-case names beyond those of [`is_credential`].
    masked: Box<[Box<str>]>,
}

/// A field that is kept.
#[derive(Clone, Debug)]
struct Field {
    /// In lower case.
    name: Box<str>,
    attribute: &'static str,
    /// The value to keep instead.
    mask: Option<Arc<str>>,
}

impl Selection {
    /// Keeps the fields of these names, in any case; those whose names are among `masked` as well,
    /// or carry credentials anyway, without their values.
    ///
    /// The names of the attributes are made here and live as long as the process does: make one
    /// for each configuration.
    #[must_use]
    pub fn new(
        request: &[impl AsRef<str>],
        response: &[impl AsRef<str>],
        masked: &[impl AsRef<str>],
    ) -> Self {
        let masked: Box<[Box<str>]> = masked.iter().map(lower_case).collect();
        Self {
            request: fields("http.request.header.", request, &masked),
            response: fields("http.response.header.", response, &masked),
            masked,
        }
    }

    /// What collects the fields of one head.
    #[must_use]
    pub fn collect(&self, message: Message) -> Collector<'_> {
        Collector {
            wanted: match message {
                Message::Request => &self.request,
                Message::Response => &self.response,
            },
            masked: &self.masked,
            found: Vec::new(),
        }
    }

    /// Whether fields of this name, in lower case, are kept of some message: for decoders that
    /// learn only at a head's end whose it is.
    pub(super) fn wants(&self, name: &[u8]) -> Option<Wanted> {
        let place = |fields: &[Field]| {
            fields
                .iter()
                .position(|field| field.name.as_bytes() == name)
        };
        let wanted = Wanted {
            request: place(&self.request),
            response: place(&self.response),
        };
        (wanted != Wanted::default()).then_some(wanted)
    }

    /// What is kept of a value.
    pub(super) fn value(&self, wanted: Wanted, value: &[u8]) -> Arc<str> {
        let field = wanted.request.and_then(|place| self.request.get(place));
        let field = field.or_else(|| self.response.get(wanted.response?));
        field.map_or_else(|| MASK.into(), |field| field.value(value))
    }

    /// What is kept of a message whose head had these fields.
    pub(super) fn headers(&self, message: Message, found: &[(Wanted, Arc<str>)]) -> Headers {
        let fields = match message {
            Message::Request => &self.request,
            Message::Response => &self.response,
        };
        let place = |wanted: &Wanted| match message {
            Message::Request => wanted.request,
            Message::Response => wanted.response,
        };
        let found = found.iter();
        let found: Vec<_> = found
            .filter_map(|(wanted, value)| Some((place(wanted)?, Arc::clone(value))))
            .collect();
        gather(fields, &found)
    }
}

/// Of which messages the fields of a name are kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Place among those of requests.
    request: Option<usize>,
    /// Place among those of answers.
    response: Option<usize>,
}

impl Field {
    /// What is kept of a value.
    fn value(&self, value: &[u8]) -> Arc<str> {
        let mask = self.mask.clone();
        mask.unwrap_or_else(|| text::printable(value, VALUE_MAX).into())
    }
}

/// The fields that were found, together by name.
fn gather(fields: &[Field], found: &[(usize, Arc<str>)]) -> Headers {
    if found.is_empty() {
        return Headers::default();
    }
    let header = |(place, field): (usize, &Field)| {
        let values = found.iter().filter(|(own, _)| *own == place);
        let values: Arc<[_]> = values.map(|(_, value)| Arc::clone(value)).collect();
        (!values.is_empty()).then_some(Header {
            attribute: field.attribute,
            values,
        })
    };
    Headers(Some(fields.iter().enumerate().filter_map(header).collect()))
}

fn lower_case(name: &impl AsRef<str>) -> Box<str> {
    name.as_ref().to_ascii_lowercase().into()
}

fn fields(prefix: &str, names: &[impl AsRef<str>], masked: &[Box<str>]) -> Box<[Field]> {
    let mut names: Vec<_> = names.iter().map(lower_case).collect();
    names.sort_unstable();
    names.dedup();
    let field = |name: Box<str>| Field {
        attribute: Box::leak(format!("{prefix}{name}").into_boxed_str()),
        mask: (is_credential(name.as_bytes()) || masked.contains(&name)).then(|| MASK.into()),
        name,
    };
    names.into_iter().map(field).collect()
}

/// Whether a field of this name, in any case, carries credentials or what stands for them.
#[must_use]
pub fn is_credential(name: &[u8]) -> bool {
    // The length sorts nearly every other field out before letters are compared.
    let names: &[&[u8]] = match name.len() {
        6 => &[b"cookie"],
        9 => &[b"x-api-key"],
        10 => &[b"set-cookie"],
        12 => &[b"x-auth-token", b"x-csrf-token", b"x-xsrf-token"],
        13 => &[b"authorization"],
        19 => &[b"authentication-info", b"proxy-authorization"],
        20 => &[b"x-amz-security-token"],
        25 => &[b"proxy-authentication-info"],
        _ => &[],
    };
    names.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Takes the fields of one head.
#[derive(Debug, Default)]
pub struct Collector<'a> {
    wanted: &'a [Field],
    masked: &'a [Box<str>],
    /// By place in `wanted`.
    found: Vec<(usize, Arc<str>)>,
}

impl Collector<'_> {
    /// Takes a field line, its name in any case. Says whether it carries a secret: then the head
    /// must not be held on to.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> bool {
        if !self.wanted.is_empty() {
            self.keep(name, value);
        }
        is_credential(name)
            || self
                .masked
                .iter()
                .any(|masked| name.eq_ignore_ascii_case(masked.as_bytes()))
    }

    fn keep(&mut self, name: &[u8], value: &[u8]) {
        let named = |(_, field): &(usize, &Field)| name.eq_ignore_ascii_case(field.name.as_bytes());
        let field = self.wanted.iter().enumerate().find(named);
        if let Some((place, field)) = field
            && self.found.len() < VALUES_MAX
        {
            self.found.push((place, field.value(value)));
        }
    }

    /// What was found.
    #[must_use]
    pub fn finish(&self) -> Headers {
        gather(self.wanted, &self.found)
    }
}

/// The fields that were kept of one head, in the order of their attributes' names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Option<Arc<[Header]>>);

/// A field that was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// `http.request.header.<key>` or `http.response.header.<key>`, the key in lower case.
    pub attribute: &'static str,
    /// One for each field line, in their order: at most 256 bytes, no control characters,
    /// [`MASK`] where they are secret.
    pub values: Arc<[Arc<str>]>,
}

impl Headers {
    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Header] {
        self.0.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: &[&str] = &[];

    fn told(headers: &Headers) -> Vec<(&'static str, Vec<&str>)> {
        let told = |header: &'_ Header| header.attribute;
        let headers = headers.as_slice().iter();
        headers
            .map(|header| {
                let values = header.values.iter().map(|value| &**value);
                (told(header), values.collect())
            })
            .collect()
    }

    #[test]
    fn nothing_is_kept_that_was_not_asked_for() {
        let selection = Selection::default();
        let mut collector = selection.collect(Message::Request);
        assert!(!collector.add(b"x-request-id", b"7"));
        assert!(collector.add(b"Authorization", b"Bearer x"));
        assert_eq!(collector.finish(), Headers(None));
    }

    #[test]
    fn fields_are_kept_in_any_case_with_all_their_values() {
        let selection = Selection::new(&["X-Request-Id", "accept", "accept"], &["via"], NONE);
        let mut collector = selection.collect(Message::Request);
        collector.add(b"x-request-ID", b"7");
        collector.add(b"Accept", b"text/html");
        collector.add(b"Via", b"1.1 proxy");
        collector.add(b"accept", b"*/*");
        assert_eq!(
            told(&collector.finish()),
            [
                ("http.request.header.accept", vec!["text/html", "*/*"]),
                ("http.request.header.x-request-id", vec!["7"]),
            ]
        );
        let mut collector = selection.collect(Message::Response);
        collector.add(b"Via", b"1.1 proxy");
        let expected = ("http.response.header.via", vec!["1.1 proxy"]);
        assert_eq!(told(&collector.finish()), [expected]);
    }

    #[test]
    fn values_are_bounded_in_length_and_number_and_printable() {
        let selection = Selection::new(&["x"], NONE, NONE);
        let mut collector = selection.collect(Message::Request);
        collector.add(b"x", b"a\x00\n\xffb");
        for _ in 0..100 {
            collector.add(b"x", &"\u{e9}".repeat(1_000).into_bytes());
        }
        let headers = collector.finish();
        let values = &headers.as_slice()[0].values;
        assert_eq!(&*values[0], "a\u{fffd}\u{fffd}\u{fffd}b");
        assert_eq!(values.len(), VALUES_MAX);
        assert!(values.iter().all(|value| value.len() <= VALUE_MAX));
    }

    proptest! {
        #[test]
        fn values_of_credentials_are_never_kept(
            name in prop::sample::select(vec![
                "Authorization", "Cookie", "Set-Cookie", "X-API-Key", "Proxy-Authorization",
                "x-auth-token", "X-Mine",
            ]),
            value in "[!-~]{9,40}",
        ) {
            let selection = Selection::new(&[name], &[name], &["x-MINE"]);
            for message in [Message::Request, Message::Response] {
                let mut collector = selection.collect(message);
                prop_assert!(collector.add(name.to_lowercase().as_bytes(), value.as_bytes()));
                let headers = collector.finish();
                prop_assert_eq!(&*headers.as_slice()[0].values, &[MASK.into()]);
            }
        }
    }
}
