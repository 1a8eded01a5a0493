//! Nothing secret in a route, and nothing of it on a span.

use proptest::prelude::*;

use super::super::{
    secret::fixture::{leaks, secret, surrounded},
    *,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_secret_is_in_a_route_or_a_kept_path(secret in secret(), place in 0..7_usize) {
        let path = surrounded(&secret, place);
        let route = route(&path);
        prop_assert!(!leaks(&route, &secret), "{} in {}", secret, route);
        let (kept, _) = redacted(&path, 4096);
        prop_assert!(!leaks(&kept, &secret), "{} in {}", secret, kept);
    }
}

#[test]
fn secrets_that_are_escaped_twice_are_found() {
    for path in ["/jane%2540example.org", "/%25%36%61ane%252540example.org"] {
        assert_eq!(redacted(path, 100).0, "/REDACTED", "{path}");
        assert_eq!(route(path), "/{text}");
    }
}

#[test]
fn a_card_number_is_found_in_groups_and_next_to_other_numbers() {
    for path in [
        "/pay-4111-1111-1111-1111.json",
        "/2026-4111-1111-1111-1111",
        "/4111%201111%201111%201111",
        "/378282246310005",
    ] {
        assert_eq!(redacted(path, 100).0, "/REDACTED", "{path}");
    }
    // The check digit is wrong; no issuer; too short.
    for path in ["/4111111111111112", "/1111111111111117", "/411111111111"] {
        assert_eq!(redacted(path, 100).0, path);
    }
}
