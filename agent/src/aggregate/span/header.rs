//! Header fields that were asked for, as attributes.

use std::{borrow::Cow, sync::Arc};

use crate::{
    aggregate::route::redacted,
    l7::headers::{Header, Headers},
    metric::AttributeValue,
};

/// Fields whose value is a URI or the target of a request, which has a query and may have user
/// information and secrets in its path, as the request's own target.
const LOCATORS: [&str; 7] = [
    "content-location",
    "location",
    "referer",
    "x-forwarded-uri",
    "x-http-path-override",
    "x-original-url",
    "x-rewrite-url",
];

/// The attributes of what was kept of a head.
pub(super) fn attributes(
    headers: &Headers,
) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    let headers = headers.as_slice().iter();
    headers.map(|header| (header.attribute, values(header).into()))
}

fn values(header: &Header) -> Arc<[Arc<str>]> {
    let key = header.attribute.rsplit('.').next().unwrap_or_default();
    if !LOCATORS.contains(&key) {
        return Arc::clone(&header.values);
    }
    let values = header.values.iter();
    values
        .map(|value| match locator(value) {
            Cow::Borrowed(whole) if whole.len() == value.len() => Arc::clone(value),
            part => part.into(),
        })
        .collect()
}

/// A URI or its path without user information, query, fragment and what is secret in its path.
fn locator(value: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = value.split_once("://") else {
        return redacted(value, usize::MAX).0;
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{}", redacted(path, usize::MAX).0).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_loses_what_a_target_loses() {
        for (value, kept) in [
            ("/plain", "/plain"),
            ("/a?code=secret#top", "/a"),
            ("https://jane:pw@shop.test:8/a?b", "https://shop.test:8/a"),
            ("https://shop.test?code=secret", "https://shop.test"),
            ("/reset/hT8sKq2Lw9ZxP4vB7nMd", "/reset/REDACTED"),
            ("http://h/mail/jane@example.org", "http://h/mail/REDACTED"),
        ] {
            assert_eq!(locator(value), kept);
        }
    }
}
