//! Threads that the kernel moves to another CPU's queue while they sleep.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sched::{CpuSet, sched_setaffinity},
    unistd::{Pid, gettid, pipe},
};
use sonde::probe::sched::MOVE;
use sonde_common::event::sched::Sleep;

use super::{near, usage_at_end, work::spin};
use crate::{
    child::{Child, Workload, tell},
    harness::{Skipped, Test},
    observed::Observed,
};

pub(crate) const TESTS: &[Test] = &[Test {
    name: "sched::a_sleep_in_another_cpus_queue_is_no_wait",
    run: a_sleep_in_another_cpus_queue_is_no_wait,
}];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "sleep-and-be-moved",
    run: sleep_and_be_moved,
}];

const ROUNDS: u32 = 10;
const SLEEP: Duration = Duration::from_millis(200);
/// Work before a sleep, in milliseconds: more than the thread's fair share, so that it stays in the
/// queue until the other one has caught up.
const WORK: &str = "15";

fn pin(thread: u32, cpu: usize) -> Result<()> {
    let mut cpus = CpuSet::new();
    cpus.set(cpu)?;
    Ok(sched_setaffinity(Pid::from_raw(thread as i32), &cpus)?)
}

/// What the kernel says that a thread waited for a CPU.
fn waited(thread: u32) -> Result<Duration> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))?;
    let field = text.split_ascii_whitespace().nth(1).context("short")?;
    Ok(Duration::from_nanos(field.parse()?))
}

fn is_asleep(thread: u32) -> Result<bool> {
    let text = fs::read_to_string(format!("/proc/self/task/{thread}/stat"))?;
    Ok(text.contains(") S "))
}

/// One thread always works. Another one shares its CPU, works, and sleeps until the main one wakes it,
/// which has moved it to the other CPU by then. Tells how often the kernel took the sleep for a wait,
/// and what it has all three wait.
fn sleep_and_be_moved(_: &[&str]) -> Result<()> {
    thread::spawn(|| {
        pin(gettid().as_raw() as u32, 0).expect("there is a first CPU");
        loop {
            std::hint::spin_loop();
        }
    });
    let (reader, writer) = pipe()?;
    let (mut reader, mut writer) = (File::from(reader), File::from(writer));
    let (ids, rounds) = mpsc::channel();
    thread::spawn(move || -> Result<()> {
        let thread = gettid().as_raw() as u32;
        loop {
            pin(thread, 0)?;
            spin(&[WORK])?;
            ids.send(thread)?;
            reader.read_exact(&mut [0])?;
        }
    });
    pin(gettid().as_raw() as u32, 1)?;
    let mut mistaken = 0;
    for _ in 0..ROUNDS {
        let sleeper = rounds.recv()?;
        while !is_asleep(sleeper)? {}
        // That is said before it has left its CPU.
        thread::sleep(Duration::from_micros(200));
        pin(sleeper, 1)?;
        let before = waited(sleeper)?;
        thread::sleep(SLEEP);
        writer.write_all(&[0])?;
        thread::sleep(Duration::from_millis(2));
        mistaken += u32::from(waited(sleeper)? >= before + SLEEP);
    }
    let mut all = Duration::ZERO;
    for thread in fs::read_dir("/proc/self/task")? {
        let name = thread?.file_name();
        all += waited(name.to_str().context("a number")?.parse()?)?;
    }
    tell(format!("{mistaken} {}", all.as_nanos()))
}

fn a_sleep_in_another_cpus_queue_is_no_wait(observed: &mut Observed) -> Result<()> {
    if thread::available_parallelism()?.get() < 2 {
        bail!(Skipped("this machine has one CPU".to_owned()));
    }
    if !observed.programs.is_served(MOVE) {
        bail!(Skipped(
            "no thread that sleeps is moved before 6.12".to_owned()
        ));
    }
    let mut child = Child::start("sleep-and-be-moved", &[])?;
    let told = child.line()?;
    let (mistaken, waited) = told.split_once(' ').context("two numbers")?;
    let (mistaken, waited): (u32, u64) = (mistaken.parse()?, waited.parse()?);
    let pid = child.pid();
    ensure!(observed.finish(child)?.success());
    // An emulated machine may be too slow to move it in time.
    if mistaken == 0 && is_emulated() {
        bail!(Skipped("the kernel took no sleep for a wait".to_owned()));
    }
    ensure!(
        mistaken > 0,
        "no sleep was taken for a wait in {ROUNDS} rounds"
    );
    let (_, usage) = usage_at_end(observed, pid)?;
    let real = Duration::from_nanos(waited).saturating_sub(SLEEP * mistaken);
    let all = SLEEP * ROUNDS;
    near("queued", usage.queued, real, all)?;
    near("queued, by length", usage.waits.sum, real, all)?;
    // The main thread sleeps for as long as the other one.
    let slept = usage.slept[Sleep::Other as usize];
    near("asleep", slept, all * 2, all * 4)
}

/// Whether this is one of the virtual machines that the tests start.
fn is_emulated() -> bool {
    let vendor = fs::read_to_string("/sys/class/dmi/id/sys_vendor");
    vendor.is_ok_and(|vendor| vendor.trim() == "QEMU")
}
