//! Records of the ring buffer, whatever their bytes say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sonde::{
    event::Event,
    kernel::pod,
    l7::{Connections, Limits},
    probe::decode,
};

fuzz_target!(|bytes: &[u8]| {
    // The ring hands records out aligned to eight bytes.
    let mut words = vec![0_u64; bytes.len().div_ceil(8)];
    let aligned = &mut pod::bytes_mut(&mut words)[..bytes.len()];
    aligned.copy_from_slice(bytes);
    let mut told = 0;
    let mut connections = Connections::new(Limits::default());
    let decoded = decode::decode(aligned, &mut |event| {
        told += 1;
        match event {
            Event::HttpOpen(opened) => connections.open(&opened),
            Event::HttpSegment(segment) => {
                assert!(segment.head.len() + segment.tail.len() <= bytes.len());
                connections.open(&sonde::l7::script::Script::opened_as(
                    segment.connection,
                    false,
                ));
                connections.segment(&segment, &mut |_| {});
            }
            event => assert!(!format!("{event:?}").is_empty()),
        }
    });
    assert_eq!(told, usize::from(decoded.is_ok()));
});
