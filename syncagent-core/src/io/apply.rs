//! Executes effects: a request of the plan becomes a request on the wire, and its answer goes back unread.
//!
//! There is no business `if` here. What an answer means is for [`crate::plan::absorb`]; a server that does not answer at
//! all is told as 503, for what was sent may or may not have arrived, and every effect is safe to decide on again.

use std::time::Duration;

use http::Method;
use serde_json::json;

use super::clients::{
    APPLY_PATCH, JSON, JSON_PATCH, MERGE_PATCH, Server, collection, escape, object,
};
use crate::error::Error;
use crate::plan::{Reply, Request, Subresource, Verb};

/// What became of a request.
pub(crate) struct Sent {
    /// The answer, or 503 when there was none.
    pub(crate) reply: Reply,
    /// What the server asked us to wait.
    pub(crate) wait: Option<Duration>,
    /// Why there was no answer.
    pub(crate) error: Option<Error>,
}

/// Sends a request of a plan to the server that serves its object.
pub(crate) async fn send(server: &Server, manager: &str, request: &Request) -> Sent {
    let place = &request.object;
    let namespace = Some(place.namespace.as_str());
    let at = object(&place.kind, namespace, &place.name);
    let (method, path, content) = match request.verb {
        Verb::Create => (
            Method::POST,
            format!(
                "{}?fieldManager={}",
                collection(&place.kind, namespace),
                escape(manager)
            ),
            JSON,
        ),
        Verb::Apply { force } => (
            Method::PATCH,
            format!("{at}?fieldManager={}&force={force}", escape(manager)),
            APPLY_PATCH,
        ),
        Verb::JsonPatch { subresource } => {
            let part = match subresource {
                Some(Subresource::Status) => "/status",
                None => "",
            };
            (
                Method::PATCH,
                format!("{at}{part}?fieldManager={}", escape(manager)),
                JSON_PATCH,
            )
        }
        Verb::MergePatch => (
            Method::PATCH,
            format!("{at}?fieldManager={}", escape(manager)),
            MERGE_PATCH,
        ),
        Verb::Delete => (Method::DELETE, at, JSON),
    };
    match server
        .call(method, &path, content, Some(&request.body))
        .await
    {
        Ok(reply) => Sent {
            reply: Reply {
                code: reply.code,
                body: reply.body,
            },
            wait: reply.retry_after,
            error: None,
        },
        Err(error) => Sent {
            reply: Reply {
                code: 503,
                body: json!({"kind": "Status", "code": 503, "message": error.chain()}),
            },
            wait: None,
            error: Some(error),
        },
    }
}
