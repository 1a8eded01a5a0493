//! What paths tell by their shapes, and what is kept of them.

mod learning;
mod secrets;

use proptest::prelude::*;

use super::{placeholder::Placeholder, *};

#[test]
fn names_stay() {
    for path in [
        "/",
        "*",
        "",
        "/health",
        "/api/v1/users",
        "/API/V2/GetUserProfileByIdentifier",
        "/static/css/main.min.css",
        "/oauth2/token",
        "/http2/s3/k8s",
        "/.well-known/openid-configuration",
        "/~user/@scope/package",
        "/en/docs",
        "/me/to-dos",
        "/index.php",
        "/face/decade/facade",
        "/internationalization/characteristics",
        "/list-all-active-user-sessions",
        "/wiki/API-V2-Users-By-Id-Get",
        "/wiki/OAuth2_Client_Credentials_Flow",
        "/v1.GreeterService/SayHelloStreamReply",
        "/getHTTPSURLForAWSBucketID",
        "/@user/posts",
    ] {
        assert_eq!(route(path), path);
    }
}

#[test]
fn values_become_placeholders() {
    for (path, expected) in [
        ("/users/42", "/users/{id}"),
        ("/users/-1/x", "/users/{id}/x"),
        ("/at/52.5200/13.4050", "/at/{id}/{id}"),
        ("/o/550e8400-e29b-41d4-a716-446655440000", "/o/{uuid}"),
        (
            "/o/550E8400-E29B-41D4-A716-446655440000/lines/7",
            "/o/{uuid}/lines/{id}",
        ),
        ("/c/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/c/{hash}"),
        ("/c/4f3b2c1", "/c/{hash}"),
        ("/mongo/507f1f77bcf86cd799439011", "/mongo/{hash}"),
        ("/p/0xdeadbeef", "/p/{hash}"),
        ("/assets/app-4f3b2c1d.js", "/assets/app-{hash}.js"),
        ("/r/2024-02-29", "/r/{date}"),
        ("/r/20240229", "/r/{id}"),
        ("/r/20240229T123456Z", "/r/{date}"),
        ("/r/2024-02", "/r/{date}"),
        ("/r/2024-02-29T12:34:56Z", "/r/{date}"),
        ("/r/2024/02/29", "/r/{id}/{id}/{id}"),
        ("/u/01ARZ3NDEKTSV4RRFFQ69G5FAV", "/u/{ulid}"),
        ("/u/01arz3ndektsv4rrffq69g5fav", "/u/{ulid}"),
        ("/mail/jane.doe@example.org", "/mail/{email}"),
        ("/mail/jane%40example.org", "/mail/{email}"),
        ("/pay/4111111111111111", "/pay/{id}"),
        ("/pay/4111-1111-1111-1111", "/pay/{id}-{id}-{id}-{id}"),
        ("/hosts/192.0.2.17", "/hosts/{ip}"),
        ("/reset/hT8sKq2Lw9ZxP4vB7nMd", "/reset/{token}"),
        ("/s/dGhpcyBpcyBhIHRlc3QgMTIz", "/s/{token}"),
        ("/t/x7Q-9dZ_k2LmP0aB-c3Rt8Wv", "/t/{token}"),
        ("/wiki/Windows-10-Notes", "/wiki/Windows-{id}-Notes"),
        ("/@jane@example.org", "/{email}"),
        ("/to=jane@example.org,bob@local", "/{email}"),
        ("/jane@example.org.123", "/{email}"),
        ("/npm/vue@3.2.1", "/npm/vue@{id}.{id}.{id}"),
        ("/key/sk_live_4eC39HqLyjWDarjtT1zdp7dc", "/key/{token}"),
        ("/order-12345", "/order-{id}"),
        ("/user_7", "/user_{id}"),
        ("/user1234/posts", "/user{id}/posts"),
        ("/odata/Users(42)", "/odata/Users({id})"),
        ("/key/AKIAIOSFODNN7EXAMPLE.txt", "/key/{token}"),
        ("/f/key=x7Q-9dZ_k2LmP0aB-c3Rt8Wv.txt", "/f/{token}"),
        ("/proxy/http://jane:pw@host/x", "/proxy/http:/{token}/x"),
        ("/en-US/docs", "/{locale}/docs"),
        ("/de-de/docs", "/{locale}/docs"),
        (
            "/pt_BR/zh-Hans/zh-Hant-TW/es-419",
            "/{locale}/{locale}/{locale}/{locale}",
        ),
        ("/%61pi/us%65rs", "/api/users"),
        ("/a/./b/../c", "/a/c"),
        ("/a/%2e%2E/b", "/b"),
        ("/../../etc/passwd", "/etc/passwd"),
        ("/..", "/"),
        ("/a%2Fb", "/{text}"),
        ("/search/two%20words", "/search/{text}"),
        ("/caf\u{e9}", "/{text}"),
        ("/a\"b\\c\nd\0", "/{text}"),
        ("/a//b/", "/a/b"),
        ("/cart;jsessionid=0123456789ABCDEF/x", "/cart/x"),
        ("/a?token=secret", "/a"),
        ("relative", "/relative"),
    ] {
        assert_eq!(route(path), expected, "{path}");
    }
}

#[test]
fn no_json_web_token_is_a_route() {
    let token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
    assert_eq!(route(&format!("/verify/{token}")), "/verify/{token}");
    let path = format!("/verify/{token}/x");
    let (kept, _) = redacted(&path, 2048);
    assert_eq!(kept, "/verify/REDACTED/x");
}

#[test]
fn long_paths_end_in_a_placeholder() {
    let deep = "/a".repeat(1000);
    let expected = "/a".repeat(MAX_SEGMENTS) + "/{rest}";
    assert_eq!(route(&deep), expected);
    let wide = format!("/{}", "seg/ment.".repeat(10_000));
    assert!(route(&wide).len() <= MAX_LENGTH + 7);
    assert_eq!(route(&format!("/{}", "a-".repeat(10_000))), "/{text}");
}

#[test]
fn fault_04_control_bytes_are_escaped_in_a_kept_path() {
    let (kept, cut) = redacted("/a\nb\0c\"\\ \u{fffd}\u{7f}/d", 2048);
    assert_eq!(kept, "/a%0Ab%00c\"\\%20\u{fffd}%7F/d");
    assert!(!cut);
}

#[test]
fn kept_paths_lose_secrets_and_nothing_else() {
    for (path, expected) in [
        ("/users/42/caf%C3%A9", "/users/42/caf%C3%A9"),
        ("/mail/jane@example.org/", "/mail/REDACTED/"),
        ("/mail/jane%40example.org", "/mail/REDACTED"),
        ("/pay/4111111111111111", "/pay/REDACTED"),
        ("/f/key=hT8sKq2Lw9ZxP4vB7nMd.txt", "/f/REDACTED"),
        ("/cart;jsessionid=abc/x", "/cart;REDACTED/x"),
        ("/a?password=b", "/a"),
        ("/c/da39a3ee5e6b4b0d3255bfef95601890afd80709", "/c/REDACTED"),
        (
            "/mongo/507f1f77bcf86cd799439011",
            "/mongo/507f1f77bcf86cd799439011",
        ),
        (
            "/o/550e8400-e29b-41d4-a716-446655440000",
            "/o/550e8400-e29b-41d4-a716-446655440000",
        ),
        ("/wiki/Windows-10-Notes", "/wiki/Windows-10-Notes"),
        ("/app-4f3b2c1d.min.js", "/app-4f3b2c1d.min.js"),
        ("", ""),
    ] {
        assert_eq!(redacted(path, 2048).0, expected);
    }
}

#[test]
fn a_kept_path_is_cut_between_characters() {
    assert_eq!(redacted("/aaé", 4), ("/aa".into(), true));
    assert_eq!(redacted("/aaé", 5), ("/aaé".into(), false));
}

#[test]
fn every_placeholder_stands_for_itself() {
    for placeholder in Placeholder::ALL {
        let path = format!("/{}", placeholder.as_str());
        assert_eq!(route(&path), path);
    }
}

/// Paths that are made of what paths are made of, so that the rules meet each other.
fn paths() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,24}",
        "[0-9]{1,20}",
        "[0-9a-f]{6,40}",
        "[A-Za-z0-9_-]{1,70}",
        "[ -~]{0,10}",
        Just("{id}".to_owned()),
        Just("{rest}".to_owned()),
        Just("4111111111111111".to_owned()),
        Just("jane@example.org".to_owned()),
    ];
    let separator = prop_oneof![
        4 => Just("/"), 1 => Just("-"), 1 => Just("."), 1 => Just("_"), 1 => Just(""),
        1 => Just(";"), 1 => Just("%"), 1 => Just("{"), 1 => Just("="),
    ];
    proptest::collection::vec((separator, piece), 0..20)
        .prop_map(|pairs| pairs.into_iter().map(|(s, p)| s.to_owned() + &p).collect())
}

proptest! {
    #[test]
    fn any_text_gives_a_short_printable_route(path in prop_oneof![paths(), ".{0,400}"]) {
        let route = route(&path);
        prop_assert!(route.len() <= MAX_LENGTH + 7);
        prop_assert!(route.bytes().all(|byte| byte.is_ascii_graphic()), "{route}");
        prop_assert!(!route.contains(['"', '\\', '%', '?', '#']));
    }

    #[test]
    fn a_route_is_its_own_route(path in prop_oneof![paths(), ".{0,400}"]) {
        let once = route(&path);
        prop_assert_eq!(route(&once), once);
    }

    #[test]
    fn a_kept_path_has_no_control_character(path in prop_oneof![paths(), ".{0,400}"]) {
        let (kept, _) = redacted(&path, 300);
        prop_assert!(kept.len() <= 300);
        prop_assert!(!kept.chars().any(|c| c.is_control() || c.is_whitespace()));
    }

    #[test]
    fn numbers_never_make_new_routes(number: u64) {
        let route = route(&format!("/items/{number}/parts"));
        prop_assert_eq!(route, "/items/{id}/parts");
    }

    #[test]
    fn random_tokens_never_are_routes(token in "[A-Za-z0-9]{32}") {
        // Words as improbable as monkeys' sonnets aside.
        prop_assume!(token.bytes().filter(u8::is_ascii_digit).count() >= 2);
        let route = route(&format!("/t/{token}"));
        prop_assert!(route.starts_with("/t/{"), "{route}");
    }
}
