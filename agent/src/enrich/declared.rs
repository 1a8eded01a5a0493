//! What a process's environment says about its service, as the OpenTelemetry specification has it
//! (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`).

use std::sync::Arc;

/// Resource attributes that a process declares. Nothing else of the environment is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Declared {
    /// `service.name`; `OTEL_SERVICE_NAME` goes before the attribute.
    pub service_name: Option<Arc<str>>,
    /// `service.namespace`
    pub service_namespace: Option<Arc<str>>,
    /// `service.instance.id`
    pub service_instance_id: Option<Arc<str>>,
    /// `service.version`
    pub service_version: Option<Arc<str>>,
    /// `deployment.environment.name`, or `deployment.environment` as it was called before 1.27.
    pub deployment_environment: Option<Arc<str>>,
}

/// `OTEL_RESOURCE_ATTRIBUTES` doesn't parse; the specification asks to ignore all of it then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("OTEL_RESOURCE_ATTRIBUTES is no list of key=value pairs")]
pub struct Malformed;

impl Declared {
    /// What an environment block says: NUL-separated `NAME=value`, as in `/proc/PID/environ`.
    ///
    /// The second value says whether `OTEL_RESOURCE_ATTRIBUTES` had to be ignored.
    #[must_use]
    pub fn of_environ(block: &[u8]) -> (Self, Option<Malformed>) {
        let variable = |name: &[u8]| {
            block
                .split(|byte| *byte == 0)
                .find_map(|pair| pair.strip_prefix(name)?.strip_prefix(b"="))
        };
        let mut malformed = None;
        let mut declared = Self::default();
        if let Some(list) = variable(b"OTEL_RESOURCE_ATTRIBUTES") {
            match Self::of_attributes(list) {
                Ok(attributes) => declared = attributes,
                Err(error) => malformed = Some(error),
            }
        }
        let name = variable(b"OTEL_SERVICE_NAME").map(String::from_utf8_lossy);
        if let Some(name) = name
            .as_deref()
            .map(str::trim)
            .filter(|name| !name.is_empty())
        {
            declared.service_name = Some(name.into());
        }
        (declared, malformed)
    }

    /// What a list in the form of `OTEL_RESOURCE_ATTRIBUTES` says: `key=value` separated by
    /// commas, percent-encoded, in the manner of W3C Baggage without properties.
    pub fn of_attributes(list: &[u8]) -> Result<Self, Malformed> {
        let list = std::str::from_utf8(list).map_err(|_| Malformed)?;
        let mut declared = Self::default();
        for pair in list
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (key, value) = pair.split_once('=').ok_or(Malformed)?;
            let key = percent_decode(key.trim())?;
            let value = percent_decode(value.trim())?;
            if key.is_empty() {
                return Err(Malformed);
            }
            if !value.is_empty() {
                declared.set(&key, &value);
            }
        }
        Ok(declared)
    }

    /// Takes an attribute; `false` for one that isn't kept.
    pub(super) fn set(&mut self, key: &str, value: &str) -> bool {
        let slot = match key {
            "service.name" => &mut self.service_name,
            "service.namespace" => &mut self.service_namespace,
            "service.instance.id" => &mut self.service_instance_id,
            "service.version" => &mut self.service_version,
            "deployment.environment" if self.deployment_environment.is_some() => return true,
            "deployment.environment" | "deployment.environment.name" => {
                &mut self.deployment_environment
            }
            _ => return false,
        };
        *slot = Some(value.into());
        true
    }

    /// These, and of `others` what isn't among them.
    pub(super) fn or(&self, others: &Self) -> Self {
        let either = |mine: &Option<Arc<str>>, theirs: &Option<Arc<str>>| {
            mine.as_ref().or(theirs.as_ref()).cloned()
        };
        Self {
            service_name: either(&self.service_name, &others.service_name),
            service_namespace: either(&self.service_namespace, &others.service_namespace),
            service_instance_id: either(&self.service_instance_id, &others.service_instance_id),
            service_version: either(&self.service_version, &others.service_version),
            deployment_environment: either(
                &self.deployment_environment,
                &others.deployment_environment,
            ),
        }
    }
}

/// RFC 3986 section 2.1.
fn percent_decode(text: &str) -> Result<String, Malformed> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |byte: Option<u8>| {
        byte.and_then(|byte| char::from(byte).to_digit(16))
            .and_then(|digit| u8::try_from(digit).ok())
            .ok_or(Malformed)
    };
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => digit(bytes.next())? << 4 | digit(bytes.next())?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).map_err(|_| Malformed)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;

    fn environ(block: &[u8]) -> Declared {
        let (declared, malformed) = Declared::of_environ(block);
        assert_eq!(malformed, None);
        declared
    }

    #[test]
    fn otel_service_name_goes_before_the_attribute() {
        let declared = environ(
            b"PATH=/bin\0OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.namespace=shop\0OTEL_SERVICE_NAME=b\0",
        );
        assert_eq!(declared.service_name.as_deref(), Some("b"));
        assert_eq!(declared.service_namespace.as_deref(), Some("shop"));
    }

    #[test]
    fn empty_variables_are_unset() {
        let declared = environ(
            b"OTEL_SERVICE_NAME=\0OTEL_RESOURCE_ATTRIBUTES=service.name=a,service.version=\0",
        );
        assert_eq!(declared.service_name.as_deref(), Some("a"));
        assert_eq!(declared.service_version, None);
    }

    #[test]
    fn values_are_percent_decoded_and_trimmed() {
        let declared = Declared::of_attributes(
            b" service.name = my%20shop%2Cnew , service.version=1.0,,deployment.environment=prod",
        )
        .unwrap();
        assert_eq!(declared.service_name.as_deref(), Some("my shop,new"));
        assert_eq!(declared.service_version.as_deref(), Some("1.0"));
        assert_eq!(declared.deployment_environment.as_deref(), Some("prod"));
    }

    #[test]
    fn the_new_name_of_the_environment_goes_before_the_old_one() {
        for list in [
            "deployment.environment=old,deployment.environment.name=new",
            "deployment.environment.name=new,deployment.environment=old",
        ] {
            let declared = Declared::of_attributes(list.as_bytes()).unwrap();
            assert_eq!(declared.deployment_environment.as_deref(), Some("new"));
        }
    }

    #[test]
    fn one_bad_pair_discards_the_whole_list_but_not_the_name() {
        for list in [
            "service.name=a,b",
            "=a",
            "service.name=%2",
            "service.name=%zz",
            "a=%ff",
        ] {
            let block = format!("OTEL_RESOURCE_ATTRIBUTES={list}\0OTEL_SERVICE_NAME=n\0");
            let (declared, malformed) = Declared::of_environ(block.as_bytes());
            assert_eq!(malformed, Some(Malformed), "{list}");
            assert_eq!(declared.service_name.as_deref(), Some("n"));
        }
    }

    #[test]
    fn a_variable_whose_name_only_begins_alike_is_another() {
        let declared = environ(b"OTEL_SERVICE_NAME_OLD=x\0NOT_OTEL_SERVICE_NAME=y\0");
        assert_eq!(declared, Declared::default());
    }

    proptest! {
        #[test]
        fn any_block_is_read_without_panic(block in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Declared::of_environ(&block);
            let _ = Declared::of_attributes(&block);
        }

        #[test]
        fn what_is_encoded_is_decoded(value in "[^\\x00-\\x1f]{1,40}") {
            let encoded = value.bytes().fold(String::from("service.name="), |mut list, byte| {
                write!(list, "%{byte:02X}").unwrap();
                list
            });
            let declared = Declared::of_attributes(encoded.as_bytes()).unwrap();
            prop_assert_eq!(declared.service_name.as_deref(), Some(value.as_str()));
        }
    }
}
