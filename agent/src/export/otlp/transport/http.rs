//! OTLP/HTTP with binary protobuf.

use std::{io::Write, time::SystemTime};

use bytes::{Bytes, BytesMut};
use flate2::{Compression as Level, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_TYPE, RETRY_AFTER},
};
use reqwest::Response;

use super::{Outcome, Transport, TransportError, USER_AGENT, accepted, chain, tls};
use crate::export::otlp::{
    config::{Compression, Target},
    message::Message,
    retry,
};

/// Largest part of an answer that is read.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Longest part of a refusal's text that goes into an error.
const MAX_ERROR_CHARS: usize = 200;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");
const GZIP: HeaderValue = HeaderValue::from_static("gzip");

/// An HTTP client of one URL.
#[derive(Debug)]
pub(in super::super) struct Http {
    target: Target,
    client: reqwest::Client,
}

impl Http {
    pub(super) fn new(target: &Target) -> Result<Self, TransportError> {
        Ok(Self {
            client: client(target)?,
            target: target.clone(),
        })
    }

    async fn call(&self, message: &Message) -> Result<Outcome, reqwest::Error> {
        let mut headers = self.target.headers.as_map().clone();
        headers.insert(CONTENT_TYPE, PROTOBUF);
        let body = match self.target.compression {
            Compression::None => message.bytes.clone(),
            Compression::Gzip => {
                headers.insert(CONTENT_ENCODING, GZIP);
                gzip(&message.bytes)
            }
        };
        let request = self.client.post(self.target.endpoint.to_string());
        let response = request.headers(headers).body(body).send().await?;
        let status = response.status();
        if status.is_success() {
            // What follows an accepting status can't take it back.
            let answer = read_answer(response).await.unwrap_or_default();
            return Ok(accepted(message, answer));
        }
        let headers = response.headers().clone();
        let text = read_answer(response).await.unwrap_or_default();
        Ok(outcome(status, &headers, &text, SystemTime::now()))
    }
}

impl Transport for Http {
    async fn send(&mut self, message: &Message) -> Outcome {
        match tokio::time::timeout(self.target.timeout, self.call(message)).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Outcome::Retry {
                after: None,
                error: chain(&error.without_url()),
            },
            Err(_) => Outcome::Retry {
                after: None,
                error: format!("no answer within {:?}", self.target.timeout),
            },
        }
    }
}

/// An HTTP client with `target`'s TLS settings. `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` of the
/// environment hold for it.
pub(crate) fn client(target: &Target) -> Result<reqwest::Client, TransportError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls::client_config(target)?)
        .user_agent(USER_AGENT)
        .connect_timeout(target.timeout)
        // A redirect would carry the headers, and what they hold, to somebody else.
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|error| TransportError::Client(chain(&error)))
}

/// What a status means (OTLP specification, "OTLP/HTTP Response").
fn outcome(status: StatusCode, headers: &HeaderMap, text: &[u8], now: SystemTime) -> Outcome {
    let error = describe(status, headers, text);
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => {
            let wanted = headers
                .get(RETRY_AFTER)
                .and_then(|value| value.to_str().ok());
            Outcome::Retry {
                after: wanted.and_then(|value| retry::parse_retry_after(value, now)),
                error,
            }
        }
        StatusCode::PAYLOAD_TOO_LARGE => Outcome::TooLarge { error },
        _ => Outcome::Refused { error },
    }
}

/// Status and, where the answer is text or a `google.rpc.Status` (field 2 is its message), the
/// reason that it gives.
fn describe(status: StatusCode, headers: &HeaderMap, text: &[u8]) -> String {
    let is_protobuf = headers.get(CONTENT_TYPE) == Some(&PROTOBUF);
    let reason = if is_protobuf {
        let decoded = <tonic_types::Status as prost::Message>::decode(text);
        decoded.map(|status| status.message).unwrap_or_default()
    } else {
        String::from_utf8_lossy(text).into_owned()
    };
    let reason: String = reason
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_ERROR_CHARS)
        .collect();
    format!("{status}: {}", reason.trim())
}

/// The first bytes of an answer.
pub(crate) async fn read_answer(mut response: Response) -> Result<Bytes, reqwest::Error> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER_BYTES - bytes.len();
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if bytes.len() == MAX_ANSWER_BYTES {
            break;
        }
    }
    Ok(bytes.freeze())
}

fn gzip(bytes: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 4), Level::fast());
    encoder
        .write_all(bytes)
        .and_then(|()| encoder.finish())
        .expect("writing to memory doesn't fail")
        .into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn judge(status: u16, retry_after: Option<&'static str>) -> Outcome {
        let mut headers = HeaderMap::new();
        headers.extend(retry_after.map(|value| (RETRY_AFTER, HeaderValue::from_static(value))));
        let status = StatusCode::from_u16(status).expect("a status");
        outcome(status, &headers, b"", SystemTime::now())
    }

    #[test]
    fn fault_24_statuses_are_retried_as_the_specification_says() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(
                judge(status, None),
                Outcome::Retry { after: None, .. }
            ));
        }
        for status in [301, 400, 401, 403, 404, 408, 500, 501] {
            assert!(
                matches!(judge(status, Some("1")), Outcome::Refused { .. }),
                "{status}"
            );
        }
        assert!(matches!(judge(413, None), Outcome::TooLarge { .. }));
    }

    #[test]
    fn fault_24_retry_after_is_honoured_where_it_makes_sense() {
        let after = |value| match judge(429, Some(value)) {
            Outcome::Retry { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("1"), Some(Duration::from_secs(1)));
        assert_eq!(after("3600"), Some(Duration::from_hours(1)));
        assert_eq!(after("Sun, 06 Nov 1994 08:49:37 GMT"), Some(Duration::ZERO));
        assert_eq!(after("in a while"), None);
    }

    #[test]
    fn a_refusal_is_described_in_one_short_line() {
        let text = "bad\r\nthing".repeat(100);
        let line = describe(StatusCode::BAD_REQUEST, &HeaderMap::new(), text.as_bytes());
        assert!(line.starts_with("400 Bad Request: bad  thing") && line.len() < 250);
    }
}
