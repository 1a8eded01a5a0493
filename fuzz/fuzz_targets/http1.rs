//! Conversations over HTTP/1.x, however wrong, cut and lost. What is wrong may be read otherwise when
//! it is split, since where reads and writes begin is looked at; that what is right is read the same
//! is for property tests (`agent/src/l7/tests/properties.rs`).
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    sonde_fuzz::check(&sonde_fuzz::script(text, usize::MAX, &|_, bytes| {
        bytes.to_vec()
    }));
});
