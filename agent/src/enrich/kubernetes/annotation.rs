//! Resource attributes that a pod's annotations declare: `resource.opentelemetry.io/NAME`.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Mutex, PoisonError},
};

use crate::{enrich::declared::Declared, metric::AttributeValue};

/// What stands before the attribute's name.
const PREFIX: &str = "resource.opentelemetry.io/";
/// Most attributes of one pod.
const PER_POD: usize = 32;
/// Longest value that is taken, in bytes.
const VALUE_MAX: usize = 1024;
/// Longest name, as the API has it.
const NAME_MAX: usize = 63;
/// Most different names, over all pods that ever were.
const NAMES: usize = 256;

/// What only the agent can say: what it has seen goes before what somebody wrote.
const SEEN: [&str; 7] = [
    "cloud.",
    "container.",
    "host.",
    "k8s.",
    "os.",
    "process.",
    "telemetry.",
];

/// What a pod's annotations declare.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Annotated {
    /// Attributes that the agent knows by name.
    pub(super) declared: Declared,
    /// All others.
    pub(super) attributes: Vec<(&'static str, AttributeValue)>,
    /// How many there was no room for.
    pub(super) left_out: u64,
}

impl Annotated {
    pub(super) fn of(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let mut annotated = Self::default();
        for (key, value) in annotations.into_iter().flatten() {
            let Some(name) = key.strip_prefix(PREFIX) else {
                continue;
            };
            let value = value.trim();
            if value.is_empty()
                || annotated.declared.set(name, value)
                || SEEN.iter().any(|prefix| name.starts_with(prefix))
            {
                continue;
            }
            let has_room = annotated.attributes.len() < PER_POD && value.len() <= VALUE_MAX;
            match has_room.then(|| intern(name)).flatten() {
                Some(name) => annotated.attributes.push((name, value.into())),
                None => annotated.left_out += 1,
            }
        }
        annotated
    }
}

/// The name for as long as the agent runs, as the names of attributes have to be. Few are in use
/// in a cluster; there is an end to them all the same.
fn intern(name: &str) -> Option<&'static str> {
    static KNOWN: Mutex<Option<HashSet<&'static str>>> = Mutex::new(None);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let known = known.get_or_insert_default();
    if let Some(name) = known.get(name) {
        return Some(name);
    }
    if known.len() >= NAMES || name.len() > NAME_MAX {
        return None;
    }
    let name: &'static str = Box::leak(name.into());
    known.insert(name);
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(pairs: &[(&str, &str)]) -> Annotated {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).into(), (*value).into()));
        Annotated::of(Some(&pairs.collect()))
    }

    #[test]
    fn service_attributes_and_others_are_told_apart() {
        let found = annotated(&[
            ("resource.opentelemetry.io/service.name", " cart "),
            ("resource.opentelemetry.io/service.namespace", "shop"),
            ("resource.opentelemetry.io/team", "blue"),
            ("resource.opentelemetry.io/empty", ""),
            (
                "kubectl.kubernetes.io/last-applied-configuration",
                "{\"token\":\"secret\"}",
            ),
        ]);
        assert_eq!(found.declared.service_name.as_deref(), Some("cart"));
        assert_eq!(found.declared.service_namespace.as_deref(), Some("shop"));
        assert_eq!(found.attributes, [("team", "blue".into())]);
        assert!(!format!("{found:?}").contains("secret"));
    }

    #[test]
    fn nobody_says_otherwise_than_what_is_seen() {
        for name in ["k8s.pod.name", "container.id", "host.id", "process.pid"] {
            let key = format!("{PREFIX}{name}");
            assert_eq!(annotated(&[(&key, "x")]), Annotated::default(), "{name}");
        }
    }

    #[test]
    fn what_is_too_much_is_left_out_and_counted() {
        let long = "x".repeat(VALUE_MAX + 1);
        let found = annotated(&[("resource.opentelemetry.io/long", &long)]);
        assert_eq!((found.attributes.len(), found.left_out), (0, 1));
        let keys: Vec<_> = (0..40).map(|n| format!("{PREFIX}a{n}")).collect();
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "1")).collect();
        let found = annotated(&pairs);
        assert_eq!((found.attributes.len(), found.left_out), (PER_POD, 8));
    }
}
