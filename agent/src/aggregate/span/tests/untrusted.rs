//! What peers send: no secret of it is kept, and nothing that can't be printed.

use proptest::prelude::*;

use super::*;
use crate::l7::exchange::Method;

#[test]
fn fault_04_control_bytes_of_the_peer_never_reach_an_attribute() {
    let mut request = exchange(Role::Server);
    request.path = "/a\n\0\"\\\u{fffd}".into();
    request.user_agent = Some("x\r\ny\u{0}".into());
    request.method = Method::Other;
    request.method_original = Some("\u{1b}[31m".into());
    let span = span_of(&request);
    for (name, value) in span.attributes.iter() {
        assert!(!value.to_string().contains(char::is_control), "{name}");
    }
    assert_eq!(
        span.attributes.get("url.path"),
        Some(&"/a%0A%00\"\\\u{fffd}".into())
    );
}

#[test]
fn secrets_are_not_kept() {
    let mut request = exchange(Role::Client);
    request.path = "/reset/hT8sKq2Lw9ZxP4vB7nMd".into();
    let span = span_of(&request);
    assert!(!format!("{span:?}").contains("hT8sKq2Lw9"));
}

proptest! {
    /// Whatever secret a path holds, wherever it holds it: neither name nor attributes do.
    #[test]
    fn no_secret_of_a_path_is_on_a_span(
        secret in route::fixture::secret(), place in 0..7_usize, is_server: bool, status in 100..600_u16,
    ) {
        let mut request = exchange(if is_server { Role::Server } else { Role::Client });
        request.path = route::fixture::surrounded(&secret, place).into();
        request.status = Some(status);
        let (span, log) = all("always_on", &request);
        for told in [format!("{span:?}"), format!("{log:?}")] {
            prop_assert!(!route::fixture::leaks(&told, &secret), "{} in {}", secret, told);
        }
    }

    #[test]
    fn any_text_of_a_peer_makes_a_bounded_printable_span(
        path in ".{0,300}", host in proptest::option::of(".{0,40}"),
        agent in proptest::option::of(".{0,400}"), is_server: bool,
    ) {
        let mut request = exchange(if is_server { Role::Server } else { Role::Client });
        request.path = path.into();
        request.host = host.map(Into::into);
        request.user_agent = agent.map(Into::into);
        let span = span_of(&request);
        prop_assert!(!span.name.contains(char::is_control));
        for (name, value) in span.attributes.iter() {
            let value = value.to_string();
            prop_assert!(!value.contains(char::is_control), "{}", name);
            prop_assert!(value.len() <= 2_400, "{}", name);
        }
    }
}
