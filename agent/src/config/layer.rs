//! Layers of assignments, and how they become a [`Config`]: defaults, then the file, then the
//! environment, then flags.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use super::{
    Config, Error,
    error::{Origin, Problem},
    file,
    setting::{self, Reload, Setting, Shape},
    suggest,
    value::Invalid,
};

/// Words for one setting.
#[derive(Clone)]
pub struct Assignment {
    /// Which.
    pub setting: &'static Setting,
    /// At least one word.
    pub words: Vec<String>,
    /// Where they were said.
    pub origin: Origin,
}

impl fmt::Debug for Assignment {
    /// Without the words of a secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = (!self.setting.secret).then_some(&self.words);
        formatter
            .debug_struct("Assignment")
            .field("setting", &self.setting.name)
            .field("words", &words)
            .field("origin", &self.origin)
            .finish()
    }
}

impl Invalid {
    /// The message about a setting's value; a secret is not repeated.
    pub(super) fn told_of(&self, setting: &Setting) -> String {
        if setting.secret {
            format!("{}: expected {}", setting.name, self.expected)
        } else {
            format!("{}: {self}", setting.name)
        }
    }
}

/// Where the configuration comes from; kept for reloads.
#[derive(Clone, Default)]
pub struct Sources {
    /// `--config.file`.
    pub file: Option<PathBuf>,
    /// The process's environment.
    pub environment: BTreeMap<String, String>,
    /// Flags of the command line.
    pub flags: Vec<Assignment>,
}

impl fmt::Debug for Sources {
    /// Names of variables only: values may be secret.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sources")
            .field("file", &self.file)
            .field("environment", &self.environment.keys())
            .field("flags", &self.flags)
            .finish()
    }
}

/// What came of a reload.
#[derive(Debug)]
pub struct Reloaded {
    /// The configuration to go on with: the new one, with the old values of what needs a restart.
    pub config: Config,
    /// Settings that changed and are live.
    pub changed: Vec<&'static str>,
    /// Settings that changed, but not before a restart.
    pub needs_restart: Vec<&'static str>,
}

impl Sources {
    /// Variables that mean nothing but look like one that does, each with that one. They can't be
    /// refused: Kubernetes makes `SONDE_...` variables of its own for a Service of this name.
    #[must_use]
    pub fn misspelt_variables(&self) -> Vec<(&str, String)> {
        let known: Vec<_> = setting::all().iter().map(Setting::variable).collect();
        let others = self.environment.keys().map(String::as_str);
        let unknown = others.filter(|name| !known.iter().any(|variable| variable == name));
        let near = unknown.filter_map(|name| {
            let meant = suggest::nearest_variable(name, &known)?;
            Some((name, meant.to_owned()))
        });
        near.collect()
    }

    /// Reads all layers.
    pub fn resolve(&self) -> Result<Config, Error> {
        let from_file = self.file.as_deref().map(file::read).transpose()?;
        let mut layers = from_file.unwrap_or_default();
        layers.extend(environment(&self.environment));
        layers.extend(self.flags.iter().cloned());
        apply(&layers)
    }

    /// Reads all layers again while an agent runs with `current`, which on an error stays.
    pub fn reload(&self, current: &Config) -> Result<Reloaded, Error> {
        let mut config = self.resolve()?;
        let mut changed = Vec::new();
        let mut needs_restart = Vec::new();
        for setting in setting::all() {
            let old = setting.get(current);
            if setting.get(&config) == old {
                continue;
            }
            match setting.reload {
                Reload::Live => changed.push(setting.name),
                Reload::Restart => {
                    needs_restart.push(setting.name);
                    let kept = setting.set(&mut config, &old);
                    debug_assert!(kept.is_ok(), "{} doesn't take its own words", setting.name);
                }
            }
        }
        Ok(Reloaded {
            config,
            changed,
            needs_restart,
        })
    }
}

/// What the variables say. As OpenTelemetry has it, an empty variable is an unset one.
fn environment(variables: &BTreeMap<String, String>) -> Vec<Assignment> {
    let value_of = |name: &str| variables.get(name).filter(|value| !value.is_empty());
    let mut assignments = Vec::new();
    for setting in setting::all() {
        let names = setting
            .otel
            .map(str::to_owned)
            .into_iter()
            .chain([setting.variable()]);
        for name in names {
            let Some(value) = value_of(&name) else {
                continue;
            };
            let words = match setting.shape {
                Shape::Many => value
                    .split(',')
                    .map(|word| word.trim().to_owned())
                    .collect(),
                Shape::One | Shape::Switch => vec![value.clone()],
            };
            assignments.push(Assignment {
                setting,
                words,
                origin: Origin::Environment(name),
            });
        }
    }
    assignments
}

/// The defaults with `assignments` over them, later ones over earlier ones.
fn apply(assignments: &[Assignment]) -> Result<Config, Error> {
    let mut config = Config::default();
    let mut problems = Vec::new();
    for assignment in assignments {
        let set = assignment.setting.set(&mut config, &assignment.words);
        if let Err(invalid) = set {
            problems.push(Problem {
                origin: assignment.origin.clone(),
                message: invalid.told_of(assignment.setting),
            });
        }
    }
    if problems.is_empty() {
        Ok(config)
    } else {
        Err(Error::Invalid(problems))
    }
}

/// Checks a file by itself, without environment and flags.
pub fn validate(path: &std::path::Path) -> Result<(), Error> {
    apply(&file::read(path)?).map(drop)
}
