//! Remote procedure calls: what an exchange tells of one.

/// A gRPC call (gRPC over HTTP/2). Its method is the exchange's path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpc {
    /// The value of `grpc-status`; `None` when none came, or it isn't known.
    pub status: Option<RpcStatus>,
    /// Messages of the request; `None` when not known.
    pub requests: Option<u32>,
    /// Messages of the answer; `None` when not known.
    pub responses: Option<u32>,
}

/// gRPC status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are the codes")]
pub enum RpcStatus {
    Ok,
    Cancelled,
    Unknown,
    InvalidArgument,
    DeadlineExceeded,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Aborted,
    OutOfRange,
    Unimplemented,
    Internal,
    Unavailable,
    DataLoss,
    Unauthenticated,
}

impl RpcStatus {
    /// All of them, by their numbers.
    pub const ALL: [Self; 17] = [
        Self::Ok,
        Self::Cancelled,
        Self::Unknown,
        Self::InvalidArgument,
        Self::DeadlineExceeded,
        Self::NotFound,
        Self::AlreadyExists,
        Self::PermissionDenied,
        Self::ResourceExhausted,
        Self::FailedPrecondition,
        Self::Aborted,
        Self::OutOfRange,
        Self::Unimplemented,
        Self::Internal,
        Self::Unavailable,
        Self::DataLoss,
        Self::Unauthenticated,
    ];

    /// The status that a `grpc-status` names. One that doesn't exist counts as `UNKNOWN`, as it
    /// does for gRPC's libraries.
    #[must_use]
    pub fn parse(number: &[u8]) -> Self {
        let number = std::str::from_utf8(number).ok();
        let index = number.and_then(|number| number.parse::<usize>().ok());
        let known = index.and_then(|index| Self::ALL.get(index).copied());
        known.unwrap_or(Self::Unknown)
    }

    /// The value of `rpc.response.status_code`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Aborted => "ABORTED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::Unimplemented => "UNIMPLEMENTED",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
            Self::DataLoss => "DATA_LOSS",
            Self::Unauthenticated => "UNAUTHENTICATED",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_no_status_is_unknown() {
        assert_eq!(RpcStatus::parse(b"0"), RpcStatus::Ok);
        assert_eq!(RpcStatus::parse(b"16"), RpcStatus::Unauthenticated);
        for other in [&b"17"[..], b"-1", b"", b"\xff", b"99999999999999999999"] {
            assert_eq!(RpcStatus::parse(other), RpcStatus::Unknown, "{other:?}");
        }
    }
}
