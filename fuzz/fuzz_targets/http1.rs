//! Conversations over HTTP/1.x, however wrong, cut and lost.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    sonde_fuzz::fuzz(text, || Box::new(|_, bytes| bytes.to_vec()));
});
