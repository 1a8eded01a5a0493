//! The `traceparent` header: W3C Trace Context, section 3.2.

use super::exchange::TraceParent;

/// Length of a version 00 value: `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;

/// Reads a header value; `None` when the specification calls it invalid.
///
/// Of a version above 00 the part that 00 defines is read (section 4.3); `ff` is forbidden, and so
/// are ids of zeros only and upper-case digits.
pub(super) fn parse(value: &[u8]) -> Option<TraceParent> {
    let value = value.trim_ascii();
    let known = value.get(..LENGTH)?;
    let [version] = hex(known.get(..2)?)?;
    let separated = [2, 35, 52].iter().all(|at| known.get(*at) == Some(&b'-'));
    let length_fits = match version {
        0xff => false,
        0 => value.len() == LENGTH,
        _ => matches!(value.get(LENGTH), None | Some(b'-')),
    };
    if !separated || !length_fits {
        return None;
    }
    let trace_id: [u8; 16] = hex(known.get(3..35)?)?;
    let span_id: [u8; 8] = hex(known.get(36..52)?)?;
    let [flags] = hex(known.get(53..55)?)?;
    (trace_id != [0; 16] && span_id != [0; 8]).then_some(TraceParent {
        trace_id,
        span_id,
        flags,
    })
}

/// `2 * N` lower-case hexadecimal digits.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let (pairs, rest) = digits.as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0; N];
    let mut seen = 0;
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        let (high, low) = (NIBBLES[usize::from(*high)], NIBBLES[usize::from(*low)]);
        seen |= high | low;
        *byte = high << 4 | low;
    }
    (seen < 16).then_some(bytes)
}

/// The value of each lower-case hexadecimal digit; `u8::MAX` for every other byte.
const NIBBLES: [u8; 256] = {
    let mut table = [u8::MAX; 256];
    let mut value = 0;
    while value < 16 {
        table[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn reads_the_specifications_example() {
        let parent = parse(VALID.as_bytes()).expect("valid");
        assert_eq!(parent.trace_id[..3], [0x4b, 0xf9, 0x2f]);
        assert_eq!(parent.span_id[6..], [0x02, 0xb7]);
        assert_eq!(parent.flags, 1);
    }

    #[test]
    fn refuses_what_the_specification_forbids() {
        let zeros = "0".repeat(32);
        for value in [
            VALID.replacen("00", "ff", 1),
            VALID.to_uppercase(),
            VALID.replace("4bf92f3577b34da6a3ce929d0e0e4736", &zeros),
            VALID.replace("00f067aa0ba902b7", "0000000000000000"),
            format!("{VALID}-00"),
            format!("{VALID}0"),
            VALID[..54].to_owned(),
            VALID.replace('-', "_"),
            VALID.replace("-01", "-0g"),
            VALID.replacen("00", "0x", 1),
            String::new(),
        ] {
            assert_eq!(parse(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn reads_the_known_part_of_a_higher_version() {
        let later = VALID.replacen("00", "cc", 1);
        assert!(parse(later.as_bytes()).is_some());
        assert!(parse(format!("{later}-what-comes").as_bytes()).is_some());
        assert!(parse(format!("{later}.what").as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse(&bytes);
        }

        #[test]
        fn what_was_written_is_read(trace in 1..=u128::MAX, span in 1..=u64::MAX, flags: u8) {
            let parent = parse(format!("00-{trace:032x}-{span:016x}-{flags:02x}").as_bytes());
            let expected = TraceParent {
                trace_id: trace.to_be_bytes(),
                span_id: span.to_be_bytes(),
                flags,
            };
            prop_assert_eq!(parent, Some(expected));
        }
    }
}
