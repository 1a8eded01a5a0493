//! Python's command line (`python --help`), and those of the servers that run applications.

use std::path::Path;

use super::{base_name, script_name};

/// Servers whose argument names the application as `module:object`.
const SERVERS: &[&str] = &[
    "gunicorn",
    "uvicorn",
    "hypercorn",
    "daphne",
    "granian",
    "waitress-serve",
];
/// Their options without a value, after which the application may stand.
const FLAGS: &[&str] = &[
    "--preload",
    "--reload",
    "--daemon",
    "-D",
    "--factory",
    "--proxy-headers",
    "--no-proxy-headers",
    "--reuse-port",
    "--access-log",
    "--no-access-log",
    "--use-colors",
    "--no-use-colors",
    "--no-sendfile",
    "--enable-stdio-inheritance",
];
/// Last parts of a module's name that every application has.
const GENERIC_MODULES: &[&str] = &["wsgi", "asgi", "main", "app", "application", "server"];

pub(super) fn name(args: &[String], directory: Option<&Path>) -> Option<String> {
    let mut args = args;
    loop {
        let (argument, rest) = args.split_first()?;
        args = rest;
        match argument.as_str() {
            "-" | "--version" => return None,
            "--check-hash-based-pycs" => args = args.get(1..)?,
            option if option.starts_with('-') && !option.starts_with("--") => {
                match cluster(option) {
                    Cluster::Flags => {}
                    Cluster::Code => return None,
                    Cluster::Value => args = args.get(1..)?,
                    Cluster::Module("") => {
                        let (module, rest) = args.split_first()?;
                        return Some(module_name(module, rest));
                    }
                    Cluster::Module(module) => return Some(module_name(module, args)),
                }
            }
            option if option.starts_with('-') => {}
            script => {
                return application(base_name(script), args)
                    .or_else(|| script_name(script, &["__main__", "manage"], directory));
            }
        }
    }
}

/// What short options in one word, such as `-um`, lead to.
enum Cluster<'a> {
    /// The next argument.
    Flags,
    /// No script: code, or the interpreter only says its version.
    Code,
    /// A value in the next argument.
    Value,
    /// A module; empty when the next argument names it.
    Module(&'a str),
}

fn cluster(option: &str) -> Cluster<'_> {
    for (index, letter) in option.char_indices().skip(1) {
        let rest = option.get(index + 1..).unwrap_or_default();
        return match letter {
            'c' | 'V' => Cluster::Code,
            'm' => Cluster::Module(rest),
            'X' | 'W' if rest.is_empty() => Cluster::Value,
            'X' | 'W' => Cluster::Flags,
            _ => continue,
        };
    }
    Cluster::Flags
}

fn module_name(module: &str, args: &[String]) -> String {
    application(module, args).unwrap_or_else(|| module.to_owned())
}

/// What a server program serves.
fn application(program: &str, args: &[String]) -> Option<String> {
    match program {
        _ if SERVERS.contains(&program) => {
            let mut previous = "";
            args.iter().find_map(|argument| {
                let follows_option = previous.starts_with('-')
                    && !previous.contains('=')
                    && !FLAGS.contains(&previous);
                previous = argument;
                // The value of an option is never taken: it may be anything.
                (!follows_option).then(|| served(argument)).flatten()
            })
        }
        "celery" | "flask" => after(args, &["-A", "--app"]).and_then(package),
        _ => None,
    }
}

/// The application of `module:object`.
fn served(argument: &str) -> Option<String> {
    let (module, object) = argument.split_once(':')?;
    let object = object.split('(').next()?;
    (is_dotted(module) && is_dotted(object)).then(|| package(module))?
}

/// A module's name without a last part that says nothing: `shop` for `shop.wsgi`.
fn package(module: &str) -> Option<String> {
    let module = module.split(':').next()?;
    if !is_dotted(module) {
        return None;
    }
    Some(match module.rsplit_once('.') {
        Some((package, last)) if GENERIC_MODULES.contains(&last) => package.to_owned(),
        _ => module.to_owned(),
    })
}

/// Identifiers with dots between them.
fn is_dotted(text: &str) -> bool {
    text.split('.').all(|part| {
        part.chars()
            .next()
            .is_some_and(|c| c.is_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    })
}

/// The value of the first of these options, as `--app value` or `--app=value`.
fn after<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut args = args.iter().map(String::as_str);
    while let Some(argument) = args.next() {
        if names.contains(&argument) {
            return args.next();
        }
        let value = argument
            .split_once('=')
            .filter(|(name, _)| names.contains(name));
        if let Some((_, value)) = value {
            return Some(value);
        }
    }
    None
}
