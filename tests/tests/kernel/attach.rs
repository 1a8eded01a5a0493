//! Which hooks are served, and that nothing stays behind.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use aya::programs::loaded_programs;
use sonde::{
    kernel::attach::{Attach, Outcome, Programs, Via},
    probe::{FAMILIES, Family, Hook, syscall::EXIT},
};
use sonde_tests::bpf::{self, Object};

use crate::{
    child::{Child, Workload, hear, tell},
    harness::Test,
    observed::{Mode, Observed, settings},
    syscalls::count_of,
};

pub(crate) const TESTS: &[Test] = &[
    Test {
        name: "attach::every_hook_is_served",
        run: every_hook_is_served,
    },
    Test {
        name: "attach::a_way_that_cannot_be_attached_gives_way_to_the_next",
        run: a_way_that_cannot_be_attached_gives_way_to_the_next,
    },
    Test {
        name: "attach::fault_26_twenty_rounds_leave_nothing",
        run: fault_26_twenty_rounds_leave_nothing,
    },
    Test {
        name: "attach::fault_26_a_killed_agent_leaves_nothing",
        run: fault_26_a_killed_agent_leaves_nothing,
    },
    Test {
        name: "attach::fault_26_two_at_once_count_the_same",
        run: fault_26_two_at_once_count_the_same,
    },
];

pub(crate) const WORKLOADS: &[Workload] = &[Workload {
    name: "agent",
    run: agent,
}];

/// Required hooks always; the others where the kernel has what they need, so all of them on the
/// kernels of the matrix.
fn every_hook_is_served(observed: &mut Observed) -> Result<()> {
    let mut missing = Vec::new();
    for report in observed.programs.reports() {
        let (family, hook) = (report.family, report.hook.name);
        match &report.outcome {
            Outcome::Attached(attach) => {
                let (via, program) = (attach.via.as_str(), attach.program);
                let size = verified(&observed.programs, program);
                println!("    {family}/{hook}: {via} {program}, {size}");
            }
            Outcome::Skipped { reasons } => {
                println!("    {family}/{hook}: none");
                for (via, reason) in reasons {
                    println!("        {via}: {reason}");
                }
                if report.hook.required || !only_on_later_kernels(hook) {
                    missing.push(format!("{family}/{hook}"));
                }
            }
        }
    }
    ensure!(missing.is_empty(), "not served: {}", missing.join(", "));
    let wanted = observed.mode.kernel().has_socket_tracepoints();
    ensure!(observed.programs.is_attached("tcp_sweep") == wanted);
    Ok(())
}

/// How much the verifier had to look at, of the million instructions that it would.
fn verified(programs: &Programs, name: &str) -> String {
    let program = programs.ebpf().program(name);
    let info = program.and_then(|program| program.info().ok());
    match info.and_then(|info| info.verified_instruction_count()) {
        Some(count) => format!("{count} instructions verified"),
        None => "verified".to_owned(),
    }
}

/// What kernels before 6.3 do in another way, and what kernels before 5.17 can't.
fn only_on_later_kernels(hook: &str) -> bool {
    [
        "connections",
        "kfree_skb",
        "sock_recv_length",
        "sock_send_length",
    ]
    .contains(&hook)
}

/// The first way is loaded, but there is no such event.
const MISTAKEN: Family = Family {
    name: "syscall",
    help: "",
    hooks: &[Hook {
        name: EXIT,
        required: true,
        lost: "",
        any_of: &[
            Attach::new(
                "syscall_exit_perf",
                Via::PerfTracepoint("raw_syscalls", "nothing"),
                |_| Ok(()),
            ),
            Attach::raw_tp("syscall_exit_raw", "sys_exit", |_| Ok(())),
        ],
    }],
    maps: &[],
};

fn a_way_that_cannot_be_attached_gives_way_to_the_next(observed: &mut Observed) -> Result<()> {
    let programs = Programs::attach(&observed.mode.kernel(), &[&MISTAKEN], &settings())?;
    ensure!(programs.is_attached("syscall_exit_raw"), "not attached");
    ensure!(
        !programs.is_attached("syscall_exit_perf"),
        "attached to nothing"
    );
    ensure!(programs.is_served(EXIT));
    Ok(())
}

/// Ids of the programs and maps of an attached agent.
struct Ids {
    programs: Vec<u32>,
    maps: Vec<u32>,
}

impl Ids {
    fn of(programs: &Programs) -> Result<Self> {
        let attached = programs.ebpf().programs();
        let programs_of = attached.filter_map(|(_, program)| program.info().ok());
        let programs_of: Vec<u32> = programs_of.map(|info| info.id()).collect();
        let mut maps = Vec::new();
        for info in loaded_programs().flatten() {
            if programs_of.contains(&info.id()) {
                maps.extend(
                    info.map_ids()
                        .context("maps of a program")?
                        .unwrap_or_default(),
                );
            }
        }
        maps.sort_unstable();
        maps.dedup();
        ensure!(
            !programs_of.is_empty() && !maps.is_empty(),
            "nothing loaded"
        );
        Ok(Self {
            programs: programs_of,
            maps,
        })
    }

    /// Those of them that the kernel still has.
    fn left(&self) -> Result<usize> {
        let mut left = 0;
        for (kind, ids) in [(Object::Program, &self.programs), (Object::Map, &self.maps)] {
            for &id in ids {
                left += usize::from(bpf::exists(kind, id)?);
            }
        }
        Ok(left)
    }

    /// The kernel frees after a grace period, and maps after their programs.
    fn wait_until_gone(&self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let left = self.left()?;
            if left == 0 {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "{left} objects stay");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn fault_26_twenty_rounds_leave_nothing(observed: &mut Observed) -> Result<()> {
    // One family of each kind of hook: the rounds are about what is left, not about the verifier.
    let families: Vec<_> = FAMILIES
        .iter()
        .copied()
        .filter(|family| ["process", "tcp", "sched"].contains(&family.name))
        .collect();
    for round in 0..20 {
        let programs = Programs::attach(&observed.mode.kernel(), &families, &settings())?;
        ensure!(programs.any_attached(), "round {round}");
        let ids = Ids::of(&programs)?;
        ensure!(ids.left()? > 0);
        drop(programs);
        ids.wait_until_gone()
            .with_context(|| format!("round {round}"))?;
        observed.drain();
    }
    Ok(())
}

/// Attaches, tells what it holds, and waits to be killed.
fn agent(arguments: &[&str]) -> Result<()> {
    let mode = match arguments {
        ["older"] => Mode::Older,
        _ => Mode::Best,
    };
    let programs = Programs::attach(&mode.kernel(), FAMILIES, &settings())?;
    let ids = Ids::of(&programs)?;
    let join = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    tell(join(&ids.programs))?;
    tell(join(&ids.maps))?;
    hear()?;
    Ok(())
}

fn fault_26_a_killed_agent_leaves_nothing(observed: &mut Observed) -> Result<()> {
    let mut child = Child::start("agent", &[observed.mode.name()])?;
    let mut numbers = || -> Result<Vec<u32>> {
        let line = child.line()?;
        Ok(line.split(' ').filter_map(|id| id.parse().ok()).collect())
    };
    let ids = Ids {
        programs: numbers()?,
        maps: numbers()?,
    };
    ensure!(ids.left()? == ids.programs.len() + ids.maps.len());
    // Dropping a child kills it.
    drop(child);
    ids.wait_until_gone()
}

fn fault_26_two_at_once_count_the_same(observed: &mut Observed) -> Result<()> {
    const CALLS: u64 = 500;
    let mut second = Observed::attach(observed.mode)?;
    let pid = observed.run("syscalls", &[&CALLS.to_string(), "0", "0"])?;
    for agent in [observed, &mut second] {
        let counted = count_of(agent, pid, libc::SYS_getppid, 0, CALLS)?;
        ensure!(counted == CALLS, "counted {counted}");
        agent.until("the exit", |agent| agent.exits(pid).first().copied())?;
    }
    Ok(())
}
