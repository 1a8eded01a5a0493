use proptest::prelude::*;

use super::*;
use crate::aggregate::route::path;

fn patterns(texts: &[&str]) -> Patterns {
    let patterns: Vec<_> = texts
        .iter()
        .map(|text| Pattern::parse(text).unwrap())
        .collect();
    Patterns::new(&patterns)
}

fn found(patterns: &Patterns, path: &str) -> Option<String> {
    let segments = path::segments(path);
    let id = patterns.find(&segments.all, segments.cut)?;
    Some(patterns.text(id)?.to_string())
}

#[test]
fn the_most_specific_pattern_wins_in_any_order() {
    let mut texts = [
        "/*",
        "/users/{id}",
        "/users/me",
        "/users/{id}/orders/{order}",
        "/users/{id}/*",
        "/users/u-{id}",
        "/users/{name}.json",
        "/",
        "/files/*",
    ];
    for _ in 0..texts.len() {
        texts.rotate_left(1);
        let patterns = patterns(&texts);
        for (path, expected) in [
            ("/", "/"),
            ("/users/me", "/users/me"),
            ("/users/me/", "/users/me"),
            ("//users/%6De", "/users/me"),
            ("/users/7", "/users/{id}"),
            ("/users/u-7", "/users/u-{id}"),
            ("/users/u-", "/users/{id}"),
            ("/users/x.json", "/users/{name}.json"),
            ("/users/7/orders/9?x", "/users/{id}/orders/{order}"),
            ("/users/me/orders/9", "/users/{id}/orders/{order}"),
            ("/users/7/else/9", "/users/{id}/*"),
            ("/files", "/*"),
            ("/files/a/b", "/files/*"),
            ("/x", "/*"),
        ] {
            assert_eq!(found(&patterns, path).as_deref(), Some(expected), "{path}");
        }
        let deep = "/files".to_owned() + &"/a".repeat(40);
        assert_eq!(found(&patterns, &deep).as_deref(), Some("/files/*"));
    }
}

#[test]
fn other_paths_have_none() {
    let patterns = patterns(&["/users/{id}", "/a/*"]);
    for path in ["/", "/users", "/users/1/2", "/a", "/b"] {
        assert_eq!(found(&patterns, path), None, "{path}");
    }
    assert_eq!(found(&Patterns::default(), "/"), None);
}

#[test]
fn what_is_no_pattern_is_refused_with_the_reason() {
    for (text, reason) in [
        ("users", PatternError::Relative),
        ("", PatternError::Relative),
        ("/a b", PatternError::Character),
        ("/a?b", PatternError::Character),
        ("/caf\u{e9}", PatternError::Character),
        ("/a//b", PatternError::Segment),
        ("/a/", PatternError::Segment),
        ("/../b", PatternError::Segment),
        ("/{id", PatternError::Braces),
        ("/id}", PatternError::Braces),
        ("/{}", PatternError::Braces),
        ("/{a}-{b}", PatternError::Braces),
        ("/*/a", PatternError::Rest),
        ("/a*", PatternError::Rest),
    ] {
        assert_eq!(Pattern::parse(text).unwrap_err(), reason, "{text}");
    }
    let long = "/a".repeat(13);
    assert_eq!(Pattern::parse(&long).unwrap_err(), PatternError::Long);
    assert_eq!(Pattern::parse(&long[2..]).unwrap().to_string(), long[2..]);
}

#[test]
fn names_of_values_make_no_difference() {
    let parse = |text| Pattern::parse(text).unwrap();
    assert!(parse("/a/{b}").is_same_as(&parse("/a/{c}")));
    assert!(!parse("/a/{b}").is_same_as(&parse("/a/*")));
}

proptest! {
    /// A path made of a pattern has a pattern, and it takes no longer for many of them.
    #[test]
    fn a_path_of_a_pattern_finds_one(
        texts in prop::collection::vec("(/([a-c]|\\{x\\}|[a-b]-\\{x\\})){1,6}", 1..30),
        value in "[a-z]{1,3}",
    ) {
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let patterns = patterns(&texts);
        for text in &texts {
            let path = text.replace("{x}", &value);
            prop_assert!(found(&patterns, &path).is_some(), "{}", path);
        }
    }

    #[test]
    fn any_text_is_a_pattern_or_refused(text in ".{0,60}|[/{}*a.]{0,20}") {
        if let Ok(pattern) = Pattern::parse(&text) {
            prop_assert_eq!(pattern.to_string(), text);
        }
    }
}
