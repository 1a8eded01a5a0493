//! Requests to answers.

use std::{
    collections::HashMap,
    future::pending,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::{Path, Query, State as Shared},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::sleep};

use super::{
    selector::Selector,
    state::{Asked, Fault, State, line},
};

type Known = Arc<Mutex<State>>;
type Parameters = HashMap<String, String>;

fn lock(state: &Known) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `metav1.Status`
fn status(code: u16, reason: &str, message: &str, retry_after: u32) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
        "details": {"retryAfterSeconds": retry_after}
    })
}

fn failure(code: u16, reason: &str, retry_after: u32) -> Response {
    let body = status(code, reason, "as the test wants it", retry_after);
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (
        code,
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

fn json(body: &Value) -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        body.to_string(),
    )
        .into_response()
}

/// What goes before every answer: the request is noted, the token looked at, the fault done.
async fn begin(state: &Known, asked: Asked, uri: &Uri, fields: &HeaderMap) -> Option<Response> {
    let fault = {
        let mut state = lock(state);
        state.requests.push((asked, uri.to_string()));
        let token = fields.get(header::AUTHORIZATION);
        let is_known = token.is_some_and(|token| token == &format!("Bearer {}", state.token));
        if !is_known {
            return Some(failure(401, "Unauthorized", 0));
        }
        state.fault(asked)?
    };
    Some(match fault {
        Fault::Status(code, retry_after) => failure(code, "Test", retry_after),
        Fault::Garbage => "{\"kind\":".into_response(),
        Fault::Hang => pending().await,
        Fault::EndAtOnce => Body::empty().into_response(),
        Fault::GoneEvent => {
            let gone = status(410, "Expired", "too old resource version", 0);
            line(&json!({"type": "ERROR", "object": gone})).into_response()
        }
    })
}

pub(super) async fn pods(
    Shared(state): Shared<Known>,
    uri: Uri,
    Query(parameters): Query<Parameters>,
    fields: HeaderMap,
) -> Response {
    let is_watch = parameters
        .get("watch")
        .is_some_and(|watch| watch == "true" || watch == "1");
    let asked = if is_watch { Asked::Watch } else { Asked::List };
    if let Some(response) = begin(&state, asked, &uri, &fields).await {
        return response;
    }
    let text = parameters.get("fieldSelector").map_or("", String::as_str);
    let Some(selector) = Selector::parse(text) else {
        return failure(400, "BadRequest", 0);
    };
    if is_watch {
        watch(&state, selector, &parameters)
    } else {
        list(&state, &selector, &parameters)
    }
}

fn number(parameters: &Parameters, name: &str) -> Option<u64> {
    parameters.get(name)?.parse().ok()
}

fn list(state: &Known, selector: &Selector, parameters: &Parameters) -> Response {
    let state = lock(state);
    let limit = number(parameters, "limit").and_then(|limit| usize::try_from(limit).ok());
    let first = match parameters.get("continue") {
        None => 0,
        Some(token) => {
            let parts = token.split_once('.');
            let parts = parts
                .and_then(|(version, first)| Some((version.parse().ok()?, first.parse().ok()?)));
            match parts {
                Some((version, first)) if state.remembers(version) => first,
                Some(_) => return failure(410, "Expired", 0),
                None => return failure(400, "BadRequest", 0),
            }
        }
    };
    json(&state.page(selector, first, limit.unwrap_or(usize::MAX)))
}

fn watch(state: &Known, selector: Selector, parameters: &Parameters) -> Response {
    let version = number(parameters, "resourceVersion").unwrap_or_default();
    let bookmarks = parameters
        .get("allowWatchBookmarks")
        .is_some_and(|it| it == "true");
    let seconds = number(parameters, "timeoutSeconds").unwrap_or(3600);
    let mut state = lock(state);
    if !state.remembers(version) {
        return failure(410, "Expired", 0);
    }
    let (sender, receiver) = mpsc::unbounded_channel();
    state.watch(selector, bookmarks, version, sender);
    let end = Box::pin(sleep(Duration::from_secs(seconds)));
    let lines = stream::unfold((receiver, end), |(mut receiver, mut end)| async {
        let line: Option<io::Result<Bytes>> = tokio::select! {
            line = receiver.recv() => line,
            () = &mut end => None,
        };
        Some((line?, (receiver, end)))
    });
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, Body::from_stream(lines)).into_response()
}

pub(super) async fn job(
    Shared(state): Shared<Known>,
    Path((namespace, name)): Path<(String, String)>,
    uri: Uri,
    fields: HeaderMap,
) -> Response {
    if let Some(response) = begin(&state, Asked::Job, &uri, &fields).await {
        return response;
    }
    let wants_metadata = fields
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("as=PartialObjectMetadata"));
    if !wants_metadata {
        return failure(406, "NotAcceptable", 0);
    }
    let is_it = |job: &&Value| {
        let metadata = &job["metadata"];
        metadata["namespace"] == json!(namespace) && metadata["name"] == json!(name)
    };
    match lock(&state).jobs.iter().find(is_it) {
        None => failure(404, "NotFound", 0),
        Some(job) => json(&json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": job["metadata"]
        })),
    }
}
