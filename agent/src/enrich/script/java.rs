//! The java launcher's command line (JDK tool reference, `java`).

use super::base_name;

/// Options whose value is the next argument.
const WITH_VALUE: &[&str] = &[
    "-cp",
    "-classpath",
    "--class-path",
    "-p",
    "--module-path",
    "--upgrade-module-path",
    "--add-modules",
    "--limit-modules",
    "--add-opens",
    "--add-exports",
    "--add-reads",
    "--patch-module",
    "--enable-native-access",
    "--source",
];

pub(super) fn name(args: &[String]) -> Option<String> {
    let mut args = args.iter().map(String::as_str);
    while let Some(argument) = args.next() {
        match argument {
            "-jar" => return args.next().and_then(archive),
            "-m" | "--module" => return args.next().map(main_class),
            _ if WITH_VALUE.contains(&argument) => {
                args.next();
            }
            // `@file`: more arguments than we can see, but options in the common case.
            _ if argument.starts_with(['-', '@']) => {
                if let Some(module) = argument.strip_prefix("--module=") {
                    return Some(main_class(module));
                }
            }
            class => return Some(main_class(class)),
        }
    }
    None
}

/// The class without its package, of `package.Class` or `module/package.Class`.
fn main_class(class: &str) -> String {
    // `java Source.java` runs a source file.
    let class = base_name(class).trim_end_matches(".java");
    class.rsplit('.').next().unwrap_or(class).to_owned()
}

/// An archive's name without extension and version: `shop` for `/srv/shop-1.2.3-SNAPSHOT.jar`.
fn archive(path: &str) -> Option<String> {
    let file = base_name(path);
    let stem = [".jar", ".war"]
        .iter()
        .find_map(|extension| file.strip_suffix(extension))
        .unwrap_or(file);
    let version = stem
        .match_indices('-')
        .map(|(index, _)| index)
        .find(|index| *index > 0 && stem.get(index + 1..).is_some_and(is_version));
    let name = version.and_then(|index| stem.get(..index)).unwrap_or(stem);
    (!name.is_empty()).then(|| name.to_owned())
}

/// Digits, perhaps with dots, up to the end or to a qualifier such as `-SNAPSHOT`.
fn is_version(text: &str) -> bool {
    let number = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    text.starts_with(|c: char| c.is_ascii_digit())
        && (number.is_empty()
            || number.starts_with(['-', '+', '_'])
            || text[..text.len() - number.len()].ends_with('.'))
}
