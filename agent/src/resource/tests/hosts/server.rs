//! A big server: 128 CPUs, 24 disks, bonded interfaces, sensors, meters and a UPS.

use super::{Moment, Tree, machine::Machine};

const CPUS: u64 = 128;
/// Physical cores of each of the two sockets.
const CORES: u64 = 32;
/// Microjoules at which Intel's counters begin again.
const RANGE: u64 = 262_143_328_850;

const DISKS: [&str; 24] = [
    "sda", "sdb", "sdc", "sdd", "sde", "sdf", "sdg", "sdh", "sdi", "sdj", "sdk", "sdl", "sdm",
    "sdn", "sdo", "sdp", "sdq", "sdr", "sds", "sdt", "sdu", "sdv", "sdw", "sdx",
];

pub(in super::super) fn big_server(moment: Moment) -> Tree {
    let mut tree = hardware(moment);
    let machine = Machine {
        cpus: CPUS,
        memory_kib: 1 << 30,
        disks: &DISKS,
        interfaces: &[
            ("lo", None),
            ("bond0", Some(50_000)),
            ("eth0", Some(25_000)),
            ("eth1", Some(25_000)),
        ],
        pressure: true,
        swap: true,
        conntrack: true,
    };
    machine.add(&mut tree, moment);
    for controller in 0..8 {
        let directory = format!("sys/devices/system/edac/mc/mc{controller}");
        tree.file(format!("{directory}/ce_count"), 7 * controller);
        tree.file(format!("{directory}/ue_count"), 0);
    }
    tree
}

/// Its sensors, meters and supplies alone.
pub(in super::super) fn hardware(moment: Moment) -> Tree {
    let mut tree = Tree::default();
    sensors(&mut tree, moment);
    zones(&mut tree, moment);
    energy(&mut tree, moment);
    meters(&mut tree);
    supplies(&mut tree);
    tree
}

/// A chip of hwmon with the device that it belongs to.
fn chip(tree: &mut Tree, number: u32, name: &str, device: Option<&str>, files: &[(String, i64)]) {
    let directory = format!("sys/class/hwmon/hwmon{number}");
    tree.file(format!("{directory}/name"), name);
    if let Some(device) = device {
        tree.link(format!("{directory}/device"), format!("../../../{device}"));
    }
    for (file, value) in files {
        tree.file(format!("{directory}/{file}"), value);
    }
}

fn sensors(tree: &mut Tree, moment: Moment) {
    for socket in 0..2_u32 {
        let mut files = Vec::new();
        for sensor in 1..=CORES + 1 {
            // The second socket reaches its limit of 100 degrees later.
            let input = match (socket, sensor, moment) {
                (1, 1, Moment::Later) => 100_000,
                _ => 45_000,
            };
            files.push((format!("temp{sensor}_input"), input));
            files.push((format!("temp{sensor}_crit"), 100_000));
            files.push((format!("temp{sensor}_max"), 88_000));
            let label = match sensor {
                1 => format!("Package id {socket}"),
                core => format!("Core {}", core - 2),
            };
            tree.file(
                format!("sys/class/hwmon/hwmon{socket}/temp{sensor}_label"),
                label,
            );
        }
        let device = format!("coretemp.{socket}");
        chip(tree, socket, "coretemp", Some(&device), &files);
    }
    let of = |files: &[(&str, i64)]| -> Vec<(String, i64)> {
        files
            .iter()
            .map(|(name, value)| ((*name).to_owned(), *value))
            .collect()
    };
    let nvme = of(&[
        ("temp1_input", 35_850),
        ("temp1_max", 65_261_850),
        ("temp1_alarm", 0),
    ]);
    chip(tree, 2, "nvme", Some("nvme0"), &nvme);
    // The zone of below in other clothes.
    let zone = of(&[("temp1_input", 70_000)]);
    chip(tree, 3, "x86_pkg_temp", Some("thermal_zone0"), &zone);
    let broken = of(&[("temp1_input", -62_000), ("temp1_fault", 1)]);
    chip(tree, 5, "nct6796", None, &broken);
}

fn zones(tree: &mut Tree, moment: Moment) {
    let zone = "sys/class/thermal/thermal_zone0";
    tree.file(format!("{zone}/type"), "x86_pkg_temp");
    tree.file(format!("{zone}/temp"), 70_000);
    let trips = [
        ("active", 40_000),
        ("passive", 85_000),
        ("passive", 80_000),
        ("critical", 100_000),
        ("critical", -274_000),
    ];
    for (number, (kind, temperature)) in trips.into_iter().enumerate() {
        tree.file(format!("{zone}/trip_point_{number}_type"), kind);
        tree.file(format!("{zone}/trip_point_{number}_temp"), temperature);
    }
    for cpu in 0..CPUS {
        let state = if cpu == 5 { moment.count(0, 3) } else { 0 };
        cooling(tree, cpu, "Processor", state.cast_signed(), 10);
    }
    cooling(tree, CPUS, "intel_powerclamp", -1, 50);
}

fn cooling(tree: &mut Tree, number: u64, kind: &str, state: i64, limit: i64) {
    let directory = format!("sys/class/thermal/cooling_device{number}");
    tree.file(format!("{directory}/type"), kind);
    tree.file(format!("{directory}/cur_state"), state);
    tree.file(format!("{directory}/max_state"), limit);
}

/// The first socket's counter overflows between the two moments.
fn energy(tree: &mut Tree, moment: Moment) {
    tree.file("sys/class/powercap/intel-rapl/enabled", 1);
    let overflow = match moment {
        Moment::First => RANGE - 500_000_000,
        Moment::Later => 1_500_000_000,
    };
    for (zone, name, energy, limit) in [
        ("intel-rapl:0", "package-0", overflow, 250),
        (
            "intel-rapl:0:0",
            "dram",
            moment.count(7_000_000, 100_000_000),
            0,
        ),
        (
            "intel-rapl:1",
            "package-1",
            moment.count(9_000_000, 1_000_000_000),
            250,
        ),
    ] {
        let directory = format!("sys/class/powercap/{zone}");
        tree.file(format!("{directory}/name"), name);
        tree.file(format!("{directory}/energy_uj"), energy);
        tree.file(format!("{directory}/max_energy_range_uj"), RANGE);
        let constraints = [("long_term", limit), ("short_term", limit * 2)];
        for (number, (name, watts)) in constraints.into_iter().enumerate() {
            let constraint = format!("{directory}/constraint_{number}");
            tree.file(format!("{constraint}_name"), name);
            tree.file(format!("{constraint}_power_limit_uw"), watts * 1_000_000);
        }
    }
}

fn meters(tree: &mut Tree) {
    let card = [
        ("power1_average", 288_000_000),
        ("power1_cap", 300_000_000),
        ("power1_cap_alarm", 1),
        ("energy1_input", 12_000_000),
    ];
    let card = card.map(|(name, value)| (name.to_owned(), value));
    chip(tree, 6, "amdgpu", Some("0000:41:00.0"), &card);
    let supply = [("power1_input", 450_000_000), ("power1_max", 1_600_000_000)];
    let supply = supply.map(|(name, value)| (name.to_owned(), value));
    chip(tree, 7, "pmbus", Some("3-0058"), &supply);
    tree.file("sys/class/hwmon/hwmon7/power1_label", "pin");
}

fn supplies(tree: &mut Tree) {
    for (name, files) in [
        ("AC", &[("type", "Mains"), ("online", "1")] as &[_]),
        (
            "ups",
            &[
                ("type", "UPS"),
                ("status", "Discharging"),
                ("capacity", "90"),
                ("health", "Overheat"),
                ("power_now", "120000000"),
                ("model_name", "Smart-UPS 1500"),
            ],
        ),
        (
            "mouse",
            &[("type", "Battery"), ("scope", "Device"), ("capacity", "3")],
        ),
    ] {
        for (file, text) in files {
            tree.file(format!("sys/class/power_supply/{name}/{file}"), text);
        }
    }
}
