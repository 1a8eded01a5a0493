//! The settings as flags: made from the registry, and read back into a layer of assignments.

use std::{collections::BTreeMap, path::PathBuf};

use clap::{Arg, ArgAction, ArgMatches, CommandFactory as _, builder::ValueParser, value_parser};

use super::args::Arguments;
use crate::config::{
    Assignment, COLLECTORS, Collector, Config, Origin, Sources,
    setting::{self, Setting, Shape},
};

const CONFIG_FILE: &str = "config.file";
const CONFIG_FILE_VARIABLE: &str = "SONDE_CONFIG_FILE";

/// Subcommands that take settings as well as the plain command does.
const WITH_SETTINGS: &[&str] = &["run", "check", "trace", "print-config"];

/// The whole command line.
pub(super) fn command() -> clap::Command {
    // Short help of a subcommand shows what is its own.
    let subcommand = |found: clap::Command| {
        if WITH_SETTINGS.contains(&found.get_name()) {
            with_settings(found, true)
        } else {
            found
        }
    };
    with_settings(Arguments::command(), false).mut_subcommands(subcommand)
}

/// Whether an argument of this id is a setting's.
pub(super) fn is_setting(id: &str) -> bool {
    id == CONFIG_FILE || id.starts_with("no-collector.") || setting::find(id).is_some()
}

fn with_settings(command: clap::Command, only_in_long_help: bool) -> clap::Command {
    let defaults = Config::default();
    let file = Arg::new(CONFIG_FILE)
        .long(CONFIG_FILE)
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .help("Configuration file, YAML")
        .long_help(format!(
            "Configuration file, YAML\n[env: {CONFIG_FILE_VARIABLE}]"
        ));
    let with_flags = setting::all().iter().filter(|setting| setting.has_flag());
    let settings = with_flags.map(|setting| flag(setting, &defaults));
    let args = [file]
        .into_iter()
        .chain(settings)
        .chain(COLLECTORS.iter().map(off_switch));
    command.args(args.map(|arg| arg.hide_short_help(only_in_long_help)))
}

fn flag(setting: &'static Setting, defaults: &Config) -> Arg {
    let arg = Arg::new(setting.name)
        .long(setting.name)
        .help(format!("{} {}", setting.help, default(setting, defaults)))
        .long_help(long_help(setting, defaults))
        .help_heading(setting.heading);
    match setting.shape {
        Shape::Switch => arg.action(ArgAction::SetTrue),
        Shape::One => value(arg, setting).action(ArgAction::Set),
        Shape::Many => value(arg, setting).action(ArgAction::Append),
    }
}

/// `--no-collector.NAME`; the last of it and `--collector.NAME` stands.
fn off_switch(collector: &'static Collector) -> Arg {
    Arg::new(collector.off_switch)
        .long(collector.off_switch)
        .help(format!("Switch off {}", collector.switch))
        .action(ArgAction::SetTrue)
        .overrides_with(collector.switch)
        .hide(true)
}

fn value(arg: Arg, setting: &'static Setting) -> Arg {
    let parse = |text: &str| setting.check(text).map(|()| text.to_owned());
    arg.value_name(setting.value_name)
        .value_parser(ValueParser::new(parse))
}

/// The default as help shows it; nothing where there is none.
fn default(setting: &Setting, defaults: &Config) -> String {
    match (setting.shape, setting.get(defaults).join(", ")) {
        (Shape::Switch, on) if on == "true" => "[default: on] ".to_owned(),
        (Shape::Switch, _) => "[default: off] ".to_owned(),
        (_, none) if none.is_empty() => setting
            .default
            .map(|words| format!("[default: {words}] "))
            .unwrap_or_default(),
        (_, words) => format!("[default: {words}] "),
    }
}

/// The help in full, with the default and the variables on a line of their own.
fn long_help(setting: &Setting, defaults: &Config) -> String {
    let otel = setting
        .otel
        .map(|name| format!(" or {name}"))
        .unwrap_or_default();
    let default = default(setting, defaults);
    format!(
        "{}\n{default}[env: {}{otel}]",
        setting.help,
        setting.variable()
    )
}

/// Where the configuration comes from, as these arguments and variables say.
pub(super) fn sources(matches: &ArgMatches, environment: BTreeMap<String, String>) -> Sources {
    // `sonde --log.level debug check --log.format json` says both.
    let mut levels = vec![matches];
    if let Some((name, inner)) = matches.subcommand()
        && WITH_SETTINGS.contains(&name)
    {
        levels.push(inner);
    }
    let named = levels
        .iter()
        .rev()
        .find_map(|level| level.get_one::<PathBuf>(CONFIG_FILE));
    let variable = environment
        .get(CONFIG_FILE_VARIABLE)
        .filter(|value| !value.is_empty());
    Sources {
        file: named.cloned().or_else(|| variable.map(PathBuf::from)),
        flags: levels.into_iter().flat_map(assignments).collect(),
        environment,
    }
}

fn assignments(matches: &ArgMatches) -> Vec<Assignment> {
    let say = |name: &str, flag: &'static str, words: Vec<String>| {
        let setting = setting::find(name).filter(|_| !words.is_empty())?;
        Some(Assignment {
            setting,
            words,
            origin: Origin::Flag(flag),
        })
    };
    let valued = setting::all()
        .iter()
        .filter(|found| found.shape != Shape::Switch);
    let valued = valued
        .filter(|setting| setting.has_flag())
        .filter_map(|setting| {
            let words = matches.get_many::<String>(setting.name)?;
            say(setting.name, setting.name, words.cloned().collect())
        });
    let switched = COLLECTORS.iter().flat_map(|collector| {
        [(collector.switch, "true"), (collector.off_switch, "false")]
            .into_iter()
            .filter(|(flag, _)| matches.get_flag(flag))
            .filter_map(|(flag, word)| say(collector.switch, flag, vec![word.to_owned()]))
    });
    valued.chain(switched).collect()
}
