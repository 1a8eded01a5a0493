//! When an exchange counts as failed, and as what: `error.type`.

use crate::{
    l7::exchange::{Exchange, Failure, Role},
    metric::AttributeValue,
};

/// The value of `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorType {
    /// The status code itself.
    Status(u16),
    /// There is no good end.
    Failure(Failure),
}

impl ErrorType {
    /// HTTP conventions, "Status": for the server 5xx is an error, for the client 4xx too. An
    /// answer that broke off is an error whatever its status was.
    #[must_use]
    pub fn of(exchange: &Exchange) -> Option<Self> {
        let first_error = match exchange.role {
            Role::Server => 500,
            Role::Client => 400,
        };
        let status = exchange.status.filter(|status| *status >= first_error);
        exchange
            .failure
            .map(Self::Failure)
            .or(status.map(Self::Status))
    }

    /// As an attribute: always text.
    #[must_use]
    pub fn attribute(self) -> AttributeValue {
        match self {
            Self::Status(status) => status.to_string().into(),
            Self::Failure(failure) => failure.as_str().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::fixture;

    #[test]
    fn client_errors_are_errors_of_the_client_only() {
        for (status, server, client) in [
            (200, None, None),
            (399, None, None),
            (404, None, Some(404)),
            (499, None, Some(499)),
            (500, Some(500), Some(500)),
        ] {
            for (role, expected) in [(Role::Server, server), (Role::Client, client)] {
                let mut exchange = fixture::exchange(role);
                exchange.status = Some(status);
                assert_eq!(
                    ErrorType::of(&exchange),
                    expected.map(ErrorType::Status),
                    "{role:?} {status}"
                );
            }
        }
    }

    #[test]
    fn a_failure_stands_over_the_status() {
        let mut exchange = fixture::exchange(Role::Server);
        exchange.failure = Some(Failure::ConnectionReset);
        for status in [None, Some(200), Some(500)] {
            exchange.status = status;
            let error = ErrorType::of(&exchange).unwrap();
            assert_eq!(error.attribute(), "connection_reset".into());
        }
    }
}
