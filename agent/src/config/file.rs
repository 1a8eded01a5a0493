//! The configuration file: a YAML tree to assignments, or to the problems in it.

use std::{
    collections::HashMap,
    io::{self, Read as _},
    path::Path,
};

use super::{
    error::{Error, Origin, Problem},
    layer::Assignment,
    setting::{self, Setting, Shape},
    suggest,
    yaml::{self, Content, Entry, Node, Position},
};

/// Beyond this it is no configuration file.
const SIZE_MAX: u64 = 1 << 20;

/// The key that means the switch itself where a switch has settings below it:
/// `collector: {syscall: {enabled: true, durations: all}}`.
pub(super) const SWITCH_KEY: &str = "enabled";

/// Reads the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<Assignment>, Error> {
    let bytes = read_bounded(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })?;
    let text = match str::from_utf8(&bytes) {
        Ok(text) => text,
        Err(error) => {
            let good = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
            let message = "expected UTF-8 text, found other bytes".to_owned();
            let origin = Origin::File(path.to_owned(), end_of(&good));
            return Err(Error::Invalid(vec![Problem { origin, message }]));
        }
    };
    parse(path, text).map_err(Error::Invalid)
}

fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.is_dir() {
        let message = "it is a directory; name a YAML file";
        return Err(io::Error::new(io::ErrorKind::IsADirectory, message));
    }
    let mut bytes = Vec::new();
    file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SIZE_MAX {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "it is larger than 1 MiB",
        ));
    }
    Ok(bytes)
}

/// The place after the last character of `text`.
fn end_of(text: &str) -> Position {
    let line = text.rsplit('\n').next().unwrap_or_default();
    Position {
        line: text.matches('\n').count() + 1,
        column: line.chars().count() + 1,
    }
}

/// What `text`, the content of the file at `path`, says.
pub(super) fn parse(path: &Path, text: &str) -> Result<Vec<Assignment>, Vec<Problem>> {
    let mut walk = Walk {
        path,
        assignments: Vec::new(),
        problems: Vec::new(),
        seen: HashMap::new(),
    };
    match yaml::parse(text) {
        Ok(root) => walk.section("", root),
        Err(error) => {
            let message = format!("not YAML as expected here: {}", error.message);
            walk.problem(error.position, message);
        }
    }
    if walk.problems.is_empty() {
        Ok(walk.assignments)
    } else {
        Err(walk.problems)
    }
}

struct Walk<'path> {
    path: &'path Path,
    assignments: Vec<Assignment>,
    problems: Vec<Problem>,
    /// Where each setting stood first: `web: {a: 1}` and `web.a: 1` are the same one.
    seen: HashMap<&'static str, Position>,
}

impl Walk<'_> {
    fn origin(&self, position: Position) -> Origin {
        Origin::File(self.path.to_owned(), position)
    }

    fn problem(&mut self, position: Position, message: String) {
        let origin = self.origin(position);
        self.problems.push(Problem { origin, message });
    }

    /// The keys below `prefix`; the whole file for "".
    fn section(&mut self, prefix: &str, node: Node) {
        match node.content {
            Content::Null => {}
            Content::Mapping(entries) => self.entries(prefix, entries),
            other => {
                let place = if prefix.is_empty() { "here" } else { prefix };
                let keys = suggest::children(prefix).join(", ");
                let message = format!(
                    "{place}: expected a mapping with keys {keys}, found {}",
                    kind(&other)
                );
                self.problem(node.position, message);
            }
        }
    }

    fn entries(&mut self, prefix: &str, entries: Vec<Entry>) {
        let mut keys: HashMap<String, Position> = HashMap::new();
        for entry in entries {
            if let Some(first) = keys.get(&entry.key) {
                self.duplicate(&entry.key, entry.position, *first);
                continue;
            }
            keys.insert(entry.key.clone(), entry.position);
            self.entry(prefix, entry);
        }
    }

    fn duplicate(&mut self, key: &str, position: Position, first: Position) {
        let message = format!("duplicate key {key:?}, first on line {}", first.line);
        self.problem(position, message);
    }

    fn entry(&mut self, prefix: &str, entry: Entry) {
        let name = full_name(prefix, &entry.key);
        let is_mapping = matches!(entry.value.content, Content::Mapping(_));
        match setting::find(&name) {
            Some(_) if is_mapping && is_section(&name) => self.section(&name, entry.value),
            Some(setting) => match self.seen.insert(setting.name, entry.position) {
                Some(first) => self.duplicate(&entry.key, entry.position, first),
                None => self.assign(setting, entry.value),
            },
            None if is_section(&name) => self.section(&name, entry.value),
            None => {
                let message = suggest::unknown_key(prefix, &entry.key);
                self.problem(entry.position, message);
            }
        }
    }

    fn assign(&mut self, setting: &'static Setting, node: Node) {
        let position = node.position;
        let found = kind(&node.content);
        let words = match node.content {
            Content::Null => return,
            Content::Scalar(word) => vec![(word, position)],
            Content::Sequence(items) if setting.shape == Shape::Many => {
                let expected = items.len();
                let words: Vec<_> = items.into_iter().filter_map(scalar).collect();
                if words.is_empty() || words.len() < expected {
                    let message = format!("{}: expected a list of texts", setting.name);
                    return self.problem(position, message);
                }
                words
            }
            _ => {
                let message = format!("{}: expected one value, found {found}", setting.name);
                return self.problem(position, message);
            }
        };
        // Each word is tried by itself, so that the message has the place of the wrong one.
        let mut good = true;
        for (word, position) in &words {
            if let Err(invalid) = setting.check(word) {
                good = false;
                let message = invalid.told_of(setting);
                self.problem(*position, message);
            }
        }
        if good {
            let words = words.into_iter().map(|(word, _)| word).collect();
            let origin = self.origin(position);
            self.assignments.push(Assignment {
                setting,
                words,
                origin,
            });
        }
    }
}

fn scalar(node: Node) -> Option<(String, Position)> {
    match node.content {
        Content::Scalar(word) => Some((word, node.position)),
        _ => None,
    }
}

fn full_name(prefix: &str, key: &str) -> String {
    if prefix.is_empty() {
        return key.to_owned();
    }
    let is_switch = setting::find(prefix).is_some_and(|found| found.shape == Shape::Switch);
    if is_switch && key == SWITCH_KEY {
        return prefix.to_owned();
    }
    format!("{prefix}.{key}")
}

/// Whether some setting stands below `name`.
fn is_section(name: &str) -> bool {
    let below = |setting: &Setting| {
        let rest = setting.name.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with('.'))
    };
    setting::all().iter().any(below)
}

fn kind(content: &Content) -> &'static str {
    match content {
        Content::Null => "nothing",
        Content::Scalar(_) => "a single value",
        Content::Sequence(_) => "a list",
        Content::Mapping(_) => "a mapping",
    }
}
