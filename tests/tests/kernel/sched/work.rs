//! Processes that work and wait as they are told.

use std::{
    fs,
    io::Read as _,
    net::TcpListener,
    os::fd::AsFd as _,
    sync::{
        Condvar, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::resource::{UsageWho, getrusage},
    sys::time::TimeValLike as _,
    unistd::pipe,
};
use sonde_common::event::sched::Sleep;

use crate::child::{Workload, command, hear, tell};

pub(crate) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "spin",
        run: spin,
    },
    Workload {
        name: "wait-in-every-way",
        run: wait_in_every_way,
    },
    Workload {
        name: "use-a-little",
        run: use_a_little,
    },
    Workload {
        name: "threads-that-work",
        run: threads_that_work,
    },
    Workload {
        name: "threads-that-end",
        run: threads_that_end,
    },
];

/// Keeps a CPU busy.
pub(super) fn spin(arguments: &[&str]) -> Result<()> {
    let end = Instant::now() + Duration::from_millis(arguments[0].parse()?);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    Ok(())
}

/// A thread for each thing that a thread can wait for, and one that doesn't: see [`WAYS`].
fn wait_in_every_way(_: &[&str]) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let polled = listener.try_clone()?;
    let (reader, _writer) = pipe()?;
    thread::spawn(|| {
        loop {
            thread::sleep(Duration::from_millis(20));
        }
    });
    thread::spawn(move || std::fs::File::from(reader).read(&mut [0; 1]));
    thread::spawn(|| {
        let (lock, condition) = (Mutex::new(()), Condvar::new());
        loop {
            drop(condition.wait(lock.lock().expect("nobody panics")));
        }
    });
    thread::spawn(move || listener.accept());
    thread::spawn(move || {
        let mut descriptors = [PollFd::new(polled.as_fd(), PollFlags::POLLIN)];
        poll(&mut descriptors, PollTimeout::NONE)
    });
    thread::spawn(|| {
        loop {
            std::hint::spin_loop();
        }
    });
    thread::sleep(Duration::from_millis(100));
    tell("ready")?;
    hear().map(drop)
}

/// How many threads of `wait-in-every-way` do what. The main one reads from its parent's pipe.
pub(super) const WAYS: [(Sleep, u32); 3] =
    [(Sleep::Other, 3), (Sleep::Lock, 1), (Sleep::Network, 2)];
pub(super) const BUSY: u32 = 1;

/// Has some memory and descriptors, and sleeps a few times.
fn use_a_little(_: &[&str]) -> Result<()> {
    let memory = std::hint::black_box(vec![1_u8; 8 << 20]);
    let open: Result<Vec<_>, _> = (0..100).map(|_| fs::File::open("/dev/null")).collect();
    let open = open?;
    for _ in 0..50 {
        thread::sleep(Duration::from_millis(1));
    }
    tell("ready")?;
    hear()?;
    drop((std::hint::black_box(memory), open));
    Ok(())
}

/// Threads that work and rest for so many milliseconds each, one after another and then at once; tells
/// what the kernel says that it used.
fn threads_that_work(arguments: &[&str]) -> Result<()> {
    let time = arguments[0].to_owned();
    let work = |time: String| {
        thread::spawn(move || {
            let _ = spin(&[&time]);
            thread::sleep(Duration::from_millis(time.parse().unwrap_or(0)));
        })
    };
    for _ in 0..2 {
        work(time.clone()).join().expect("it only waits");
    }
    let threads: Vec<_> = (0..2).map(|_| work(time.clone())).collect();
    for thread in threads {
        thread.join().expect("it only waits");
    }
    let used = getrusage(UsageWho::RUSAGE_SELF)?;
    let cpu = used.user_time().num_microseconds() + used.system_time().num_microseconds();
    tell(format!("{cpu} {}", used.minor_page_faults()))
}

/// So many processes one after another, with two threads each that end as nearly at once as they can.
fn threads_that_end(arguments: &[&str]) -> Result<()> {
    if let [rounds] = arguments {
        for _ in 0..rounds.parse()? {
            ensure!(command("threads-that-end", &[])?.status()?.success());
        }
        return Ok(());
    }
    let here = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                here.fetch_add(1, Ordering::AcqRel);
                while here.load(Ordering::Acquire) < 2 {
                    std::hint::spin_loop();
                }
            });
        }
    });
    Ok(())
}
