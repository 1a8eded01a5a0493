//! `docs/metrics.md` says what the code says.

use std::{fs, path::Path};

/// With `SONDE_BLESS` set, writes the page instead.
#[test]
fn the_page_is_what_the_code_describes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = sonde::reference::markdown();
    if std::env::var_os("SONDE_BLESS").is_some() {
        fs::write(&file, page).expect("docs can be written");
        return;
    }
    let written = fs::read_to_string(&file).expect("docs/metrics.md");
    assert!(
        written == page,
        "docs/metrics.md is not what the descriptors say: run `cargo xtask docs`"
    );
}
