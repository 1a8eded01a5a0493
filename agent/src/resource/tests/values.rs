//! Single values of whole trees, worked out by hand, and what is absent.

use super::{golden::two_snapshots, *};

/// By hand from `hosts/server.rs` and `hosts/machine.rs`.
#[test]
fn the_method_on_a_big_server() -> io::Result<()> {
    let [_, second] = hosts::two_snapshots(hosts::big_server)?;
    let expected = [
        // 20, 40, 60 and 80 % in turns.
        (r#"use.utilization{device="cpu0",resource="cpu"}"#, 0.2),
        (r#"use.utilization{device="cpu127",resource="cpu"}"#, 0.8),
        (r#"use.utilization{resource="cpu"}"#, 0.5),
        (r#"use.utilization{device="sdx",resource="disk"}"#, 0.5),
        // 125 MB in ten seconds on 50 Gbit/s, and on 25.
        (
            r#"use.utilization{device="bond0",resource="network"}"#,
            0.002,
        ),
        (
            r#"use.utilization{device="eth1",resource="network"}"#,
            0.004,
        ),
        (
            r#"system.network.bond.links{network.bond.link.state="up",network.interface.name="bond0"}"#,
            2.0,
        ),
        // 45 of 100 degrees, and 70 of 90 as the limit that comes first.
        (
            r#"use.utilization{device="coretemp.0/temp1",resource="thermal"}"#,
            0.45,
        ),
        (
            r#"use.utilization{device="thermal_zone0",resource="thermal"}"#,
            0.7,
        ),
        (
            r#"use.saturation{device="cooling_device5",resource="thermal",signal="cooling_share"}"#,
            0.3,
        ),
        (
            r#"use.errors{device="coretemp.1/temp1",resource="thermal",signal="critical_temperature"}"#,
            1.0,
        ),
        // 2,000 J over an overflow in ten seconds, of 250 W.
        (
            r#"hw.power{hw.id="intel-rapl:0",hw.name="package-0",hw.type="cpu"}"#,
            200.0,
        ),
        (
            r#"use.utilization{device="intel-rapl:0",resource="power"}"#,
            0.8,
        ),
        (
            r#"hw.energy{hw.id="intel-rapl:0",hw.name="package-0",hw.type="cpu"}"#,
            263_643.328_85,
        ),
        (
            r#"use.saturation{device="0000:41:00.0/power1",resource="power",signal="power_cap_length"}"#,
            1.0,
        ),
        (
            r#"use.utilization{device="0000:41:00.0/power1",resource="power"}"#,
            0.96,
        ),
        (r#"use.utilization{device="ups",resource="power"}"#, 0.1),
        (
            r#"use.errors{device="ups",resource="power",signal="unhealthy"}"#,
            2.0,
        ),
    ];
    for (series, expected) in expected {
        let measured = value(&second, series);
        let close = measured.is_some_and(|measured| (measured - expected).abs() < 1e-6);
        assert!(close, "{series}: {measured:?}, expected {expected}");
    }
    for line in second
        .lines()
        .filter(|line| line.starts_with("sonde.resource.skipped"))
    {
        assert!(line.ends_with(" 0"), "{line}");
    }
    // intel_powerclamp that is off, an NVMe without a limit, a broken sensor.
    for none in [
        r#"use.saturation{device="cooling_device128""#,
        r#"hw.temperature.limit{hw.id="nvme0/temp1""#,
        r#"hw.temperature{hw.id="hwmon5/temp1""#,
    ] {
        assert!(!second.contains(none), "{none}");
    }
    Ok(())
}

fn assert_values(rendered: &str, expected: &[(&str, f64)]) {
    for (series, expected) in expected {
        let measured = value(rendered, series);
        let close = measured.is_some_and(|measured| (measured - expected).abs() < 1e-9);
        assert!(close, "{series}: {measured:?}, expected {expected}");
    }
}

/// The values of the method, worked out by hand from the two trees.
#[test]
fn the_method_on_a_server() -> io::Result<()> {
    let [first, second] = two_snapshots("server", Some("server-10s"))?;
    let expected = [
        // 1000 ticks each: cpu0 idle 200 + iowait 50, cpu1 700 + 50, cpu3 500 + 0 and stolen 100.
        (r#"use.utilization{device="cpu0",resource="cpu"}"#, 0.75),
        (r#"use.utilization{device="cpu1",resource="cpu"}"#, 0.25),
        (r#"use.utilization{device="cpu3",resource="cpu"}"#, 0.5),
        (r#"use.utilization{resource="cpu"}"#, 0.5),
        (
            r#"use.saturation{device="cpu3",resource="cpu",signal="steal_share"}"#,
            0.1,
        ),
        // 2.5 s of stall in 10 s.
        (
            r#"use.saturation{resource="cpu",signal="pressure_some_share"}"#,
            0.25,
        ),
        (r#"use.errors{resource="cpu",signal="machine_check"}"#, 3.0),
        // 5 running on 3 CPUs; 15 s waited in 10 s.
        (
            r#"use.saturation{resource="run_queue",signal="excess_length"}"#,
            2.0,
        ),
        (
            r#"use.saturation{device="cpu0",resource="run_queue",signal="waiting_length"}"#,
            1.5,
        ),
        // 8192000 of 16384000 kB are not available.
        (r#"use.utilization{resource="memory"}"#, 0.5),
        (
            r#"use.saturation{resource="memory",signal="major_fault_rate"}"#,
            40.0,
        ),
        (
            r#"use.saturation{resource="memory",signal="direct_reclaim_rate"}"#,
            3.0,
        ),
        (
            r#"use.saturation{resource="memory",signal="compaction_stall_rate"}"#,
            2.0,
        ),
        // 50 anonymous and 950 file pages.
        (
            r#"use.saturation{resource="memory",signal="refault_rate"}"#,
            100.0,
        ),
        (r#"use.errors{resource="memory",signal="oom_kill"}"#, 3.0),
        (
            r#"use.errors{device="mc1",resource="memory",signal="ecc_uncorrected"}"#,
            1.0,
        ),
        (
            r#"use.utilization{device="/dev/dm-1",resource="swap"}"#,
            0.25,
        ),
        (
            r#"use.saturation{resource="swap",signal="swap_out_rate"}"#,
            50.0,
        ),
        // Busy 7.5 s, 30 s of operations, in 10 s.
        (r#"use.utilization{device="sda",resource="disk"}"#, 0.75),
        (
            r#"use.saturation{device="sda",resource="disk",signal="queue_length"}"#,
            3.0,
        ),
        (
            r#"use.errors{device="sda",resource="disk",signal="io_error"}"#,
            31.0,
        ),
        // 2 of sdb1 and 5 of sdc1.
        (
            r#"use.errors{device="md0",resource="disk",signal="raid_read_error"}"#,
            7.0,
        ),
        (r#"use.utilization{resource="file_descriptors"}"#, 0.005),
        (
            r#"use.saturation{resource="processes",signal="uninterruptible_length"}"#,
            1.0,
        ),
    ];
    assert_values(&second, &expected);
    // Rates need two samples.
    assert_eq!(value(&first, r#"use.utilization{resource="cpu"}"#), None);
    Ok(())
}

#[test]
fn the_method_on_a_servers_network() -> io::Result<()> {
    let [_, second] = two_snapshots("server", Some("server-10s"))?;
    let expected = [
        // 6.25e9 bytes in 10 s on a link of 1.25e9 bytes/s.
        (r#"use.utilization{device="eth0",resource="network"}"#, 0.5),
        (
            r#"use.saturation{device="eth0",resource="network",signal="receive_drop_rate"}"#,
            10.0,
        ),
        (
            r#"use.saturation{resource="network",signal="softnet_squeeze_rate"}"#,
            4.0,
        ),
        (
            r#"use.errors{device="eth0",resource="network",signal="receive_error"}"#,
            5.0,
        ),
        (
            r#"use.errors{device="eth1",resource="network",signal="bond_link_failure"}"#,
            3.0,
        ),
        (
            r#"use.errors{device="eth1",resource="network",signal="carrier_loss"}"#,
            1.0,
        ),
        (
            r#"use.utilization{device="arp_cache",resource="network"}"#,
            0.25,
        ),
        (
            r#"use.errors{device="arp_cache",resource="network",signal="neighbour_table_full"}"#,
            3.0,
        ),
        // 6 over IPv4, 9 over IPv6.
        (r#"use.errors{resource="network",signal="no_route"}"#, 15.0),
        // 50 over IPv4, 10 over IPv6.
        (
            r#"use.saturation{resource="udp",signal="receive_buffer_drop_rate"}"#,
            6.0,
        ),
        (
            r#"use.errors{resource="udp",signal="receive_buffer_drop"}"#,
            80.0,
        ),
        // 2920 of 365000 pages; 400 of 40000 segments; 20 overflows in 10 s.
        (r#"use.utilization{resource="tcp"}"#, 0.008),
        (
            r#"use.saturation{resource="tcp",signal="retransmit_share"}"#,
            0.01,
        ),
        (
            r#"use.saturation{resource="tcp",signal="listen_overflow_rate"}"#,
            2.0,
        ),
        (r#"use.utilization{resource="conntrack"}"#, 0.25),
        // 0x00 + 0x10 + 0x34, 20 of them within 10 s.
        (r#"use.errors{resource="conntrack",signal="drop"}"#, 68.0),
        (
            r#"use.saturation{resource="conntrack",signal="turned_away_rate"}"#,
            2.0,
        ),
    ];
    assert_values(&second, &expected);
    Ok(())
}

#[test]
fn counters_that_wrap_or_step_back_stay_right() -> io::Result<()> {
    let [_, second] = two_snapshots("server", Some("server-10s"))?;
    // cpu0's 32-bit softnet counter went from 0xffffff00 to 0x100.
    let processed = (1_u64 << 32) + 0x100;
    assert_eq!(
        value(
            &second,
            r#"system.network.softnet.processed{cpu.logical_number="0"}"#
        ),
        Some(processed as f64)
    );
    // A device that was replaced: the counters start again, so there is no rate.
    let [_, back] = back_in_time()?;
    assert_eq!(
        value(&back, r#"use.utilization{device="sda",resource="disk"}"#),
        None
    );
    assert!(
        !back
            .lines()
            .any(|line| line.rsplit(' ').next().is_some_and(|n| n.starts_with('-')))
    );
    Ok(())
}

/// The server's second tree, then its first: every counter goes back.
fn back_in_time() -> io::Result<[String; 2]> {
    let directory = copy_of("server")?;
    overlay(&fixtures().join("server-10s"), directory.path())?;
    let mut resources = Resources::new(root(directory.path()), is_of_the_tree);
    let now = Instant::now();
    let first = snapshot(&mut resources, now);
    overlay(&fixtures().join("server"), directory.path())?;
    let second = snapshot(&mut resources, now + LATER);
    Ok([render(&first), render(&second)])
}

#[test]
fn what_a_host_lacks_is_absent_and_no_failure() -> io::Result<()> {
    let [_, minimal] = two_snapshots("minimal", None)?;
    for lacking in [
        "system.pressure",
        "pressure_some_share",
        "resource=\"swap\",signal",
        "conntrack.",
        "system.cpu.frequency",
        "system.network.speed",
        "use.utilization{device=\"eth0\"",
        "waiting_length",
        "ecc_",
        "hugepages",
        ".raid.",
        ".bond.",
        "neighbour",
        "ipv6",
        ".carrier{",
    ] {
        assert!(!minimal.contains(lacking), "{lacking} in\n{minimal}");
    }
    for name in ["swap", "conntrack"] {
        assert_eq!(
            value(&minimal, &format!("sonde.resource.up{{resource={name:?}}}")),
            None
        );
        assert_eq!(
            value(
                &minimal,
                &format!("sonde.resource.failures{{resource={name:?}}}")
            ),
            Some(0.0)
        );
    }
    for name in [
        "cpu",
        "memory",
        "disk",
        "network",
        "tcp",
        "file_descriptors",
    ] {
        assert_eq!(
            value(
                &minimal,
                &format!("sonde.resource.skipped{{resource={name:?}}}")
            ),
            Some(0.0),
            "{name}"
        );
    }
    Ok(())
}

#[test]
fn the_kernels_counters_start_at_boot_and_the_agents_at_its_own_start() {
    let mut resources = Resources::new(root(&fixtures().join("server")), |_| true);
    let snapshot = snapshot(&mut resources, Instant::now());
    let start = |name: &str| {
        let mut families = snapshot.families.iter();
        let family = families.find(|family| family.descriptor.name == name);
        family.and_then(|family| Some(family.points.first()?.start))
    };
    let boot = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
    assert_eq!(start("system.cpu.time"), Some(boot));
    assert_eq!(
        start("sonde.resource.failures"),
        Some(SystemTime::UNIX_EPOCH)
    );
}
