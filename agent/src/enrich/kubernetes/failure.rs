//! What goes wrong between the agent and the API server.

use std::{error::Error, time::Duration};

use kube::core::Status;

use crate::reason::reasons;

reasons! {
    /// Why the API server didn't tell what it was asked for. It is asked again, however often.
    Failure {
        /// A kubeconfig, a token or a certificate that can't be used.
        Configuration => "configuration",
        /// No connection: refused, unreachable, or a certificate that isn't trusted.
        Connect => "connect",
        /// 401: the token isn't accepted. It is read again.
        Unauthorized => "unauthorized",
        /// 403: a role that allows it is missing.
        Forbidden => "forbidden",
        /// 410: what was seen last is too old to go on from. Everything is listed again.
        Expired => "expired",
        /// 429: the server asks for a pause.
        Throttled => "throttled",
        /// 5xx.
        ServerError => "server_error",
        /// Any other refusal.
        Refused => "refused",
        /// No answer in time, or a watch that fell silent.
        Timeout => "timeout",
        /// The connection ended within an answer, or a watch as soon as it began.
        Disconnected => "disconnected",
        /// An answer that isn't what the API has.
        Malformed => "malformed",
    }
}

/// A failure, and what is said of it.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) text: String,
    /// For how long the server asked to be left alone.
    pub(super) pause: Option<Duration>,
}

/// Longest pause that a server is granted.
const LONGEST_PAUSE: Duration = Duration::from_mins(1);

impl Trouble {
    pub(super) fn new(failure: Failure, error: &(dyn Error + 'static)) -> Self {
        Self {
            failure,
            text: chain(error),
            pause: None,
        }
    }

    pub(super) fn configuration(error: impl Error + 'static) -> Self {
        Self::new(Failure::Configuration, &error)
    }

    pub(super) fn said(failure: Failure, text: &str) -> Self {
        Self {
            failure,
            text: text.to_owned(),
            pause: None,
        }
    }

    /// What the server's own words mean.
    pub(super) fn of_status(status: &Status) -> Self {
        let failure = match status.code {
            401 => Failure::Unauthorized,
            403 => Failure::Forbidden,
            410 => Failure::Expired,
            429 => Failure::Throttled,
            500..=599 => Failure::ServerError,
            _ if status.reason == "Expired" => Failure::Expired,
            _ => Failure::Refused,
        };
        let details = status.details.as_ref();
        let seconds = details.map_or(0, |details| details.retry_after_seconds);
        let pause = Duration::from_secs(seconds.into()).min(LONGEST_PAUSE);
        Self {
            failure,
            text: format!("{} {}", status.code, status.message),
            pause: (!pause.is_zero()).then_some(pause),
        }
    }
}

impl From<kube::Error> for Trouble {
    fn from(error: kube::Error) -> Self {
        let failure = match &error {
            kube::Error::Api(status) => return Self::of_status(status),
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Failure::Malformed,
            kube::Error::ReadEvents(_) | kube::Error::HyperError(_) => Failure::Disconnected,
            kube::Error::Service(_) => Failure::Connect,
            _ => Failure::Configuration,
        };
        Self::new(failure, &error)
    }
}

/// An error with its causes, none of them twice.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, reason: &str, retry_after_seconds: u32) -> Status {
        serde_json::from_value(serde_json::json!({
            "code": code, "reason": reason, "message": "no",
            "details": {"retryAfterSeconds": retry_after_seconds},
        }))
        .unwrap()
    }

    #[test]
    fn a_status_tells_what_is_wrong() {
        for (code, reason, failure) in [
            (401, "Unauthorized", Failure::Unauthorized),
            (403, "Forbidden", Failure::Forbidden),
            (410, "Expired", Failure::Expired),
            (410, "Gone", Failure::Expired),
            (429, "TooManyRequests", Failure::Throttled),
            (500, "InternalError", Failure::ServerError),
            (504, "Timeout", Failure::ServerError),
            (404, "NotFound", Failure::Refused),
            (0, "", Failure::Refused),
        ] {
            assert_eq!(
                Trouble::of_status(&status(code, reason, 0)).failure,
                failure,
                "{code}"
            );
        }
    }

    #[test]
    fn a_server_is_granted_a_pause_but_no_long_one() {
        let pause = |seconds| Trouble::of_status(&status(429, "", seconds)).pause;
        assert_eq!(pause(0), None);
        assert_eq!(pause(3), Some(Duration::from_secs(3)));
        assert_eq!(pause(u32::MAX), Some(LONGEST_PAUSE));
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("no route");
        let error = kube::Error::ReadEvents(inner);
        assert_eq!(chain(&error), "Error reading events stream: no route");
    }
}
