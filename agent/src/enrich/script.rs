//! The name of what an interpreter or virtual machine runs: a script, module, class or archive.
//!
//! Only the interpreter's own options are understood, and what follows the script is never
//! looked at, so that no secret on a command line becomes a name. Where a process has written
//! over its arguments (setproctitle), there is nothing to find.

mod java;
mod python;

use std::path::{Component, Path};

/// A language's command line, as far as it takes to find the script.
struct Language {
    /// Names of the programs, without a version (`python` for `python3.11`).
    programs: &'static [&'static str],
    /// Options whose value is the next argument.
    with_value: &'static [&'static str],
    /// Options after which there is no script: code from the command line, a server of its own.
    no_script: &'static [&'static str],
    /// Words before the script that are no script (`deno run`).
    subcommands: &'static [&'static str],
    /// Names that say nothing, so that the directory's is taken.
    generic: &'static [&'static str],
}

const LANGUAGES: &[Language] = &[
    Language {
        programs: &["node", "nodejs", "bun", "deno"],
        with_value: &[
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-C",
            "--conditions",
            "--title",
            "--config",
            "-c",
            "--import-map",
            "--env-file",
        ],
        no_script: &[
            "-e",
            "--eval",
            "-p",
            "--print",
            "-i",
            "--interactive",
            "-v",
            "--version",
        ],
        subcommands: &["run", "serve"],
        generic: &["index", "server", "app", "main"],
    },
    Language {
        programs: &["ruby", "jruby"],
        with_value: &["-I", "-r", "-C", "-E", "-K"],
        no_script: &["-e", "-v", "--version"],
        subcommands: &[],
        generic: &[],
    },
    Language {
        programs: &["php"],
        with_value: &["-c", "-d", "-z", "-S", "-t"],
        no_script: &["-r", "-a", "-i", "-m", "-v"],
        subcommands: &["-f"],
        generic: &["index", "artisan", "console"],
    },
    Language {
        programs: &["perl"],
        with_value: &["-I"],
        no_script: &["-e", "-E", "-v"],
        subcommands: &[],
        generic: &[],
    },
    Language {
        programs: &["bash", "sh", "dash", "ash", "zsh", "ksh"],
        with_value: &["-o", "-O", "--rcfile", "--init-file"],
        no_script: &["-c", "-s", "-i", "--version"],
        subcommands: &[],
        generic: &[],
    },
];

/// Directories that say nothing about the program in them.
const GENERIC_DIRECTORIES: &[&str] = &[
    "src", "dist", "build", "lib", "bin", "app", "server", "public", "out", "current", "usr",
    "opt", "srv", "home", "root", "tmp", "local",
];

/// The name of what runs in an interpreter, `None` when no interpreter runs or no script shows.
///
/// - Python: the script's name without its extension, the module of `-m`, the application that
///   gunicorn, uvicorn and their like serve.
/// - Java: the archive of `-jar` without its version, else the main class without its package.
/// - Node, Ruby, PHP, Perl, shells: the script's name without its extension. Names that half of
///   all programs have (`index.js`, `server.js`, `app.js`, `main.js`, `artisan`) give way to the
///   nearest directory whose name says something (`/srv/shop/dist/index.js` is `shop`).
pub(super) fn name(
    executable: Option<&str>,
    args: &[String],
    directory: Option<&Path>,
) -> Option<String> {
    let (first, rest) = args.split_first()?;
    let by_path = executable.map(program);
    // `/proc/PID/exe` of a script that is gone tells the script's own name, argv the interpreter's.
    let by_argument = program(base_name(first).trim_start_matches('-'));
    [by_path, Some(by_argument)]
        .into_iter()
        .flatten()
        .find_map(|program| run_by(program, rest, directory))
}

fn run_by(program: &str, rest: &[String], directory: Option<&Path>) -> Option<String> {
    match program {
        "python" | "pypy" => python::name(rest, directory),
        "java" => java::name(rest),
        _ => {
            let language = LANGUAGES
                .iter()
                .find(|language| language.programs.contains(&program))?;
            let script = positional(rest, language)?;
            script_name(script, language.generic, directory)
        }
    }
}

/// The first argument that is no option and no option's value.
fn positional<'a>(args: &'a [String], language: &Language) -> Option<&'a str> {
    let mut args = args.iter().map(String::as_str);
    while let Some(argument) = args.next() {
        if language.no_script.contains(&argument) {
            return None;
        }
        if language.subcommands.contains(&argument) {
            continue;
        }
        if argument == "--" {
            return args.next();
        }
        if language.with_value.contains(&argument) {
            args.next();
        } else if !argument.starts_with('-') {
            return Some(argument);
        } else if is_shell_code(argument, language) {
            return None;
        }
    }
    None
}

/// `sh -ec CODE`: short options in one word, `-c` among them.
fn is_shell_code(argument: &str, language: &Language) -> bool {
    language.programs.contains(&"sh") && !argument.starts_with("--") && argument.contains('c')
}

/// A script's name: the file's without its extension, or a directory's if that says nothing.
fn script_name(script: &str, generic: &[&str], directory: Option<&Path>) -> Option<String> {
    if script.starts_with("/dev/") || script.starts_with("/proc/") {
        // An open file: `bash /dev/fd/3`, `sh /dev/stdin`.
        return None;
    }
    let path = Path::new(script);
    let stem = path.file_stem()?.to_str()?;
    if !generic.contains(&stem) {
        return Some(stem.to_owned());
    }
    let path = directory.map_or_else(|| path.to_owned(), |directory| directory.join(path));
    let telling = path
        .parent()?
        .components()
        .rev()
        .find_map(|part| match part {
            Component::Normal(name) => name
                .to_str()
                .filter(|name| !GENERIC_DIRECTORIES.contains(name)),
            _ => None,
        });
    Some(telling.unwrap_or(stem).to_owned())
}

/// The program's name without directory and version: `python` for `/usr/bin/python3.11`.
fn program(name: &str) -> &str {
    base_name(name).trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

/// The part after the last `/`.
pub(super) fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests;
