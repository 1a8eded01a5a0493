//! Secrets are used and never shown.

use super::*;

#[test]
fn printing_redacts_secrets_and_shows_nothing_unset() {
    let config = resolve("otlp: {headers: 'authorization=hunter2'}\n");
    let text = to_yaml(&config);
    assert!(text.contains("  headers: REDACTED\n"), "{text}");
    assert!(
        !text.contains("hunter2") && !text.contains("endpoint"),
        "{text}"
    );
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn printing_redacts_a_password_in_a_url() {
    let printed = |url: &str| to_yaml(&resolve(&format!("otlp.endpoint: {url}\n")));
    let text = printed("https://me:hunter2@there:4317/a@b");
    assert!(
        text.contains("endpoint: \"https://REDACTED@there:4317/a@b\"\n"),
        "{text}"
    );
    assert!(printed("https://there/a@b").contains("endpoint: \"https://there/a@b\"\n"));
}

#[test]
fn debugging_shows_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let mut sources = sources(directory.path(), "");
    let name = "SONDE_OTLP_HEADERS".to_owned();
    sources
        .environment
        .insert(name.clone(), "authorization=hunter2".into());
    sources
        .flags
        .push(flag("otlp.headers", "authorization=hunter2"));
    let shown = format!("{sources:?}");
    assert!(
        shown.contains(&name) && !shown.contains("hunter2"),
        "{shown}"
    );
}
