//! "Did you mean": the nearest key to one that nobody knows.

use super::setting;

/// Similarity (1 is equal) from which a key is offered.
const NEAR: f64 = 0.6;

/// The keys that may stand directly below `prefix`, each once.
pub(super) fn children(prefix: &str) -> Vec<&'static str> {
    let mut children = Vec::new();
    for setting in setting::all() {
        let rest = if prefix.is_empty() {
            Some(setting.name)
        } else {
            let rest = setting.name.strip_prefix(prefix);
            rest.and_then(|rest| rest.strip_prefix('.'))
        };
        let child = rest.and_then(|rest| rest.split('.').next());
        if let Some(child) = child.filter(|child| !children.contains(child)) {
            children.push(child);
        }
    }
    children
}

/// What to say of `key`, which is no key below `prefix`.
pub(super) fn unknown_key(prefix: &str, key: &str) -> String {
    let siblings = children(prefix);
    let place = if prefix.is_empty() {
        String::new()
    } else {
        format!(" in {prefix:?}")
    };
    let hint = nearest(key, &siblings)
        .or_else(|| elsewhere(key))
        .map_or_else(
            || format!("expected one of {}", siblings.join(", ")),
            |near| format!("did you mean {near:?}?"),
        );
    format!("unknown key {key:?}{place}; {hint}")
}

fn nearest(key: &str, candidates: &[&'static str]) -> Option<&'static str> {
    let key = key.to_lowercase().replace('_', "-");
    let scored = candidates
        .iter()
        .map(|name| (similarity(&key, &name.replace('_', "-")), *name));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 >= NEAR).then_some(best.1)
}

/// From 0 to 1. Jaro-Winkler sees beginnings ("lisen" for "listen-address"), Damerau-Levenshtein
/// swapped letters in short words ("tpc" for "tcp").
fn similarity(left: &str, right: &str) -> f64 {
    let beginnings = strsim::jaro_winkler(left, right);
    let edits = strsim::normalized_damerau_levenshtein(left, right);
    // A likeness of beginnings only counts when it is strong.
    if beginnings >= 0.85 {
        beginnings.max(edits)
    } else {
        edits
    }
}

/// A key of this name in another section.
fn elsewhere(key: &str) -> Option<&'static str> {
    let same = |name: &str| name.rsplit('.').next() == Some(key);
    let mut names = setting::all().iter().map(|setting| setting.name);
    names.find(|name| same(name))
}

/// The variable that `name` was meant to be. Nearer than keys have to be, since others make
/// variables too.
pub(super) fn nearest_variable<'known>(name: &str, known: &'known [String]) -> Option<&'known str> {
    let rest = |name: &str| name.strip_prefix("SONDE_").map(str::to_owned);
    let name = rest(name)?;
    let similarity = |variable: &str| {
        strsim::normalized_damerau_levenshtein(&name, &rest(variable).unwrap_or_default())
    };
    let scored = known
        .iter()
        .map(|variable| (similarity(variable), variable.as_str()));
    let best = scored.max_by(|left, right| left.0.total_cmp(&right.0))?;
    (best.0 >= 0.8).then_some(best.1)
}
