//! Tests of the command line as a whole.

mod arguments;
mod text;

use std::{io, time::Duration};

use super::*;
use crate::config::{COLLECTORS, Config, setting};

fn parse(line: &str) -> Result<Command, clap::Error> {
    parse_with(line, &[])
}

fn parse_with(line: &str, environment: &[(&str, &str)]) -> Result<Command, clap::Error> {
    let arguments = line
        .split(' ')
        .filter(|word| !word.is_empty())
        .map(OsString::from);
    let environment = environment
        .iter()
        .map(|(name, value)| (name.into(), value.into()));
    Command::parse(
        [OsString::from("sonde")].into_iter().chain(arguments),
        environment,
    )
}

fn sources(line: &str) -> Sources {
    match parse(line).unwrap() {
        Command::Run(sources)
        | Command::Check(sources, _)
        | Command::Trace(sources, ..)
        | Command::PrintConfig(sources) => sources,
        other => panic!("{other:?} has no sources"),
    }
}

fn config(line: &str) -> Config {
    sources(line).resolve().unwrap()
}

fn refused(line: &str) -> String {
    let error = parse(line).expect_err("it is wrong usage");
    assert_eq!(error.exit_code(), 2, "{line}");
    error.to_string()
}

fn written(write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn clap_finds_nothing_wrong_with_the_command_line() {
    flags::command().debug_assert();
}
