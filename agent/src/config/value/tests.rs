//! Tests of reading and rendering values.

use proptest::prelude::*;

use super::*;

#[test]
fn sizes_take_binary_and_decimal_units_and_nothing_else() {
    assert_eq!(Size::parse("16MiB"), Some(Size::mebibytes(16)));
    assert_eq!(Size::parse("512 KiB"), Some(Size(512 << 10)));
    assert_eq!(Size::parse("1GB"), Some(Size(1_000_000_000)));
    let huge = "99999999999999GiB";
    for wrong in ["", "16", "MiB", "-1MiB", "1.5MiB", "16mib", "0B", huge] {
        assert_eq!(Size::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn durations_are_above_zero_and_intervals_in_their_bounds() {
    assert_eq!(Duration::parse("100ms"), Some(Duration::from_millis(100)));
    assert_eq!(Duration::parse("1m 30s"), Some(Duration::from_secs(90)));
    for wrong in ["", "5", "0s", "-5s", "fast"] {
        assert_eq!(Duration::parse(wrong), None, "{wrong}");
    }
    assert_eq!(Interval::parse("99ms"), None);
    assert_eq!(Interval::parse("1h 1s"), None);
    assert_eq!(Interval::parse("5s"), Some(Interval::FIVE_SECONDS));
}

#[test]
fn listen_addresses_take_the_forms_of_the_exporters() {
    let render = |text| ListenAddress::parse(text).map(|address| address.render());
    assert_eq!(render("127.0.0.1:9464").as_deref(), Some("127.0.0.1:9464"));
    assert_eq!(render("localhost:1").as_deref(), Some("127.0.0.1:1"));
    assert_eq!(render(":9464").as_deref(), Some("[::]:9464"));
    assert_eq!(render("[::1]:9464").as_deref(), Some("[::1]:9464"));
    for wrong in ["9464", "127.0.0.1", "example.com:80", ":99999", "::1:9464"] {
        assert_eq!(render(wrong), None, "{wrong}");
    }
}

#[test]
fn ring_sizes_are_powers_of_two() {
    assert_eq!(RingSize::parse("8MiB"), Some(RingSize::DEFAULT));
    for wrong in ["3MiB", "128KiB", "2GiB", "8GiB"] {
        assert_eq!(RingSize::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn ratios_are_numbers_from_0_to_1() {
    assert_eq!(Ratio::parse("0.25").map(Ratio::get), Some(0.25));
    for wrong in ["NaN", "-0.1", "1.1", "inf", "half"] {
        assert_eq!(Ratio::parse(wrong), None, "{wrong}");
    }
}

fn round_trips<T: Value + PartialEq + fmt::Debug>(value: &T) {
    assert_eq!(T::parse(&value.render()).as_ref(), Some(value));
}

proptest! {
    #[test]
    fn every_value_is_read_back_from_its_rendering(
        bytes in 1_u64..,
        nanoseconds in 1_u64..,
        share in 0.0..=1.0,
        address: std::net::IpAddr,
        port: u16,
    ) {
        round_trips(&Size(bytes));
        round_trips(&Duration::from_nanos(nanoseconds));
        round_trips(&Ratio(share));
        round_trips(&ListenAddress(SocketAddr::new(address, port)));
    }

    #[test]
    fn no_text_makes_a_parser_panic(text in ".{0,40}") {
        let _ = (Size::parse(&text), Duration::parse(&text), ListenAddress::parse(&text));
        let _ = (Ratio::parse(&text), PathBuf::parse(&text), RingSize::parse(&text));
    }
}
