//! When an exchange counts as failed, and as what: `error.type`.

use crate::{
    l7::{
        exchange::{Exchange, Failure, Role},
        rpc::{Rpc, RpcStatus},
    },
    metric::AttributeValue,
};

/// The value of `error.type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorType {
    /// The status code itself.
    Status(u16),
    /// The status of a remote procedure call.
    Call(RpcStatus),
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

    /// gRPC conventions, `rpc.response.status_code`: for the server what it could have done better
    /// is an error, for the client everything but OK. HTTP's status decides where gRPC has none: a
    /// proxy may have answered.
    #[must_use]
    pub fn of_call(exchange: &Exchange, rpc: Rpc) -> Option<Self> {
        let Some(status) = rpc.status else {
            return Self::of(exchange);
        };
        let failed = match exchange.role {
            Role::Server => is_server_error(status),
            Role::Client => status != RpcStatus::Ok,
        };
        exchange
            .failure
            .map(Self::Failure)
            .or(failed.then_some(Self::Call(status)))
    }

    /// What makes the exchange's span fail: as a call when it is one, else as an HTTP request.
    #[must_use]
    pub fn of_span(exchange: &Exchange) -> Option<Self> {
        match exchange.rpc {
            Some(rpc) => Self::of_call(exchange, rpc),
            None => Self::of(exchange),
        }
    }

    /// Whether it is the server's rather than its client's.
    #[must_use]
    pub const fn is_grave(self) -> bool {
        match self {
            Self::Status(status) => status >= 500,
            Self::Call(status) => is_server_error(status),
            Self::Failure(_) => true,
        }
    }

    /// As an attribute: always text.
    #[must_use]
    pub fn attribute(self) -> AttributeValue {
        match self {
            Self::Status(status) => status.to_string().into(),
            Self::Call(status) => status.as_str().into(),
            Self::Failure(failure) => failure.as_str().into(),
        }
    }
}

const fn is_server_error(status: RpcStatus) -> bool {
    matches!(
        status,
        RpcStatus::Unknown
            | RpcStatus::DeadlineExceeded
            | RpcStatus::Unimplemented
            | RpcStatus::Internal
            | RpcStatus::Unavailable
            | RpcStatus::DataLoss
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aggregate::fixture;

    #[test]
    fn six_statuses_of_grpc_are_errors_of_the_server() {
        let failed = |role| {
            let failed = RpcStatus::ALL.into_iter().filter(move |status| {
                let rpc = Rpc {
                    status: Some(*status),
                    ..Rpc::default()
                };
                ErrorType::of_call(&fixture::exchange(role), rpc) == Some(ErrorType::Call(*status))
            });
            failed.map(RpcStatus::as_str).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            failed(Role::Server),
            "UNKNOWN DEADLINE_EXCEEDED UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS"
        );
        assert_eq!(failed(Role::Client).split(' ').count(), 16);
    }

    #[test]
    fn https_status_decides_where_grpc_has_none() {
        let mut exchange = fixture::exchange(Role::Server);
        exchange.status = Some(503);
        exchange.rpc = Some(Rpc::default());
        assert_eq!(ErrorType::of_span(&exchange), Some(ErrorType::Status(503)));
    }

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
