//! Settings about what is kept of requests.

use super::{Invalid, Value};
use crate::aggregate::route::Pattern;

/// The name of a header field, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FieldName(Box<str>);

/// Longest name of a header field that is taken.
const FIELD_NAME_MAX: usize = 64;

impl AsRef<str> for FieldName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Value for FieldName {
    const EXPECTED: &'static str = "the name of a header field, such as x-request-id: up to 64 letters, digits or -_.~!#$%&'*+^`|";

    /// A token of RFC 9110, section 5.6.2. The pseudo-fields of HTTP/2 are none.
    fn parse(text: &str) -> Option<Self> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        let is_name = (1..=FIELD_NAME_MAX).contains(&text.len()) && text.bytes().all(is_token);
        is_name.then(|| Self(text.to_ascii_lowercase().into()))
    }

    fn render(&self) -> String {
        self.0.to_string()
    }
}

/// A route that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route(pub Pattern);

impl Value for Route {
    const EXPECTED: &'static str = "a route such as /users/{id} or /files/*";

    fn parse(text: &str) -> Option<Self> {
        Self::read(text).ok()
    }

    fn render(&self) -> String {
        self.0.to_string()
    }

    fn read(text: &str) -> Result<Self, Invalid> {
        Pattern::parse(text).map(Self).map_err(|error| Invalid {
            expected: error.to_string().into(),
            found: text.to_owned(),
        })
    }

    fn check_all(routes: &[Self]) -> Result<(), Invalid> {
        for (place, later) in routes.iter().enumerate() {
            let mut earlier = routes.iter().take(place);
            if let Some(same) = earlier.find(|earlier| earlier.0.is_same_as(&later.0)) {
                return Err(Invalid {
                    expected: format!("other routes than {}", same.0).into(),
                    found: later.0.to_string(),
                });
            }
        }
        Ok(())
    }
}
