//! `fieldSelector`: conditions with `=`, `==` and `!=`, all of which must hold.

use serde_json::Value;

/// Fields of pods that the API can select by, those that are used here.
const FIELDS: [(&str, &str); 3] = [
    ("metadata.name", "/metadata/name"),
    ("spec.nodeName", "/spec/nodeName"),
    ("status.phase", "/status/phase"),
];

/// What a watch or a list asks for.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector(Vec<Condition>);

#[derive(Clone, Debug)]
struct Condition {
    pointer: &'static str,
    equal: bool,
    value: String,
}

impl Selector {
    /// `None` for what the API would refuse.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let conditions = text.split(',').filter(|condition| !condition.is_empty());
        conditions
            .map(Condition::parse)
            .collect::<Option<_>>()
            .map(Self)
    }

    pub(super) fn selects(&self, pod: &Value) -> bool {
        self.0.iter().all(|condition| {
            let found = pod.pointer(condition.pointer).and_then(Value::as_str);
            (found.unwrap_or_default() == condition.value) == condition.equal
        })
    }
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let (field, equal, value) = if let Some((field, value)) = text.split_once("!=") {
            (field, false, value)
        } else if let Some((field, value)) = text.split_once("==") {
            (field, true, value)
        } else {
            let (field, value) = text.split_once('=')?;
            (field, true, value)
        };
        let (_, pointer) = FIELDS.iter().find(|(known, _)| *known == field)?;
        Some(Self {
            pointer,
            equal,
            value: value.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_conditions_must_hold() {
        let pod = json!({"spec": {"nodeName": "a"}, "status": {"phase": "Running"}});
        for (text, selects) in [
            ("", true),
            ("spec.nodeName=a", true),
            ("spec.nodeName==b", false),
            ("spec.nodeName=a,status.phase!=Failed", true),
            ("spec.nodeName=a,status.phase!=Running", false),
        ] {
            let selector = Selector::parse(text).expect("conditions");
            assert_eq!(selector.selects(&pod), selects, "{text}");
        }
        assert!(Selector::parse("spec.image=x").is_none());
    }
}
