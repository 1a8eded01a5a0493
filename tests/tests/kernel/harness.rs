//! Runs the tests one after the other over shared programs: attaching takes the verifier a second.
//!
//! Speaks as libtest does: filters, `--skip`, `--exact`, `--list`, and the closing line.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    time::Instant,
};

use anyhow::Result;
use sonde_tests::bpf::init_is_hidden;

use crate::observed::{Mode, Observed};

/// One test: its name, and what it does with programs that are attached.
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&mut Observed) -> Result<()>,
}

/// Why a test can't be run here; no failure.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Skipped(pub(crate) String);

/// Something that the kernel did with no program told of it: a failure, but where the kernel keeps a
/// process from being traced, and with it the interrupts that come while that runs. There the test is
/// run again.
#[derive(Debug, thiserror::Error)]
#[error("no program was told of {0}")]
pub(crate) struct Untold(pub(crate) &'static str);

/// How often a test is run at most, where the kernel hides something.
const ATTEMPTS: u32 = 3;

/// What came of the tests.
#[derive(Default)]
struct Tally {
    passed: u32,
    failed: Vec<String>,
    ignored: u32,
    filtered: u32,
}

/// Runs what the arguments choose.
pub(crate) fn run(arguments: &[String], tests: &[&[Test]]) -> ExitCode {
    let choice = Choice::parse(arguments);
    let start = Instant::now();
    let mut tally = Tally::default();
    for mode in Mode::of_this_kernel() {
        let chosen: Vec<(String, &Test)> = tests
            .iter()
            .flat_map(|family| family.iter())
            .map(|test| (format!("{}::{}", mode.name(), test.name), test))
            .filter(|(name, _)| choice.takes(name))
            .collect();
        let all: usize = tests.iter().map(|family| family.len()).sum();
        tally.filtered += u32::try_from(all - chosen.len()).unwrap_or(0);
        if choice.list {
            for (name, _) in chosen {
                println!("{name}: test");
            }
        } else if !chosen.is_empty() {
            run_mode(mode, &chosen, &mut tally);
        }
    }
    if choice.list {
        return ExitCode::SUCCESS;
    }
    tally.finish(start)
}

fn run_mode(mode: Mode, chosen: &[(String, &Test)], tally: &mut Tally) {
    if !nix::unistd::geteuid().is_root() {
        for (name, _) in chosen {
            println!("test {name} ... ignored, needs root");
            tally.ignored += 1;
        }
        return;
    }
    let mut observed = match Observed::attach(mode) {
        Ok(observed) => observed,
        Err(error) => {
            println!("test {}::attach ... FAILED: {error:#}", mode.name());
            tally.failed.push(format!("{}::attach", mode.name()));
            return;
        }
    };
    let most = if init_is_hidden() { ATTEMPTS } else { 1 };
    for (name, test) in chosen {
        let start = Instant::now();
        let mut attempts = 1;
        let result = loop {
            observed.forget();
            let result = catch_unwind(AssertUnwindSafe(|| (test.run)(&mut observed)));
            match result {
                Ok(Err(error)) if error.is::<Untold>() && attempts < most => {
                    println!("test {name} is run again: {error}");
                    attempts += 1;
                }
                result => break result,
            }
        };
        let took = start.elapsed().as_secs_f64();
        match result {
            Ok(Ok(())) => {
                println!("test {name} ... ok ({took:.2} s)");
                tally.passed += 1;
            }
            Ok(Err(error)) if error.is::<Skipped>() => {
                println!("test {name} ... ignored, {error}");
                tally.ignored += 1;
            }
            Ok(Err(error)) => {
                println!("test {name} ... FAILED: {error:#}");
                tally.failed.push(name.clone());
            }
            // The hook has printed the message.
            Err(_) => {
                println!("test {name} ... FAILED");
                tally.failed.push(name.clone());
            }
        }
    }
}

impl Tally {
    fn finish(self, start: Instant) -> ExitCode {
        if !self.failed.is_empty() {
            println!("\nfailures:");
            for name in &self.failed {
                println!("    {name}");
            }
        }
        let failed = self.failed.len();
        println!(
            "\ntest result: {}. {} passed; {failed} failed; {} ignored; 0 measured; {} filtered \
             out; finished in {:.2}s",
            if failed == 0 { "ok" } else { "FAILED" },
            self.passed,
            self.ignored,
            self.filtered,
            start.elapsed().as_secs_f64(),
        );
        if failed == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(101)
        }
    }
}

/// Which tests are wanted.
struct Choice {
    filters: Vec<String>,
    skip: Vec<String>,
    exact: bool,
    list: bool,
}

impl Choice {
    fn parse(arguments: &[String]) -> Self {
        let mut choice = Self {
            filters: Vec::new(),
            skip: Vec::new(),
            exact: false,
            list: false,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            match argument.as_str() {
                "--exact" => choice.exact = true,
                "--list" => choice.list = true,
                "--skip" => choice.skip.extend(rest.next().cloned()),
                "--test-threads" | "--format" | "--color" => {
                    rest.next();
                }
                // What is left of libtest's options changes nothing here.
                option if option.starts_with('-') => {}
                filter => choice.filters.push(filter.to_owned()),
            }
        }
        choice
    }

    fn takes(&self, name: &str) -> bool {
        let fits = |filter: &String| {
            if self.exact {
                name == filter
            } else {
                name.contains(filter.as_str())
            }
        };
        (self.filters.is_empty() || self.filters.iter().any(fits)) && !self.skip.iter().any(fits)
    }
}
