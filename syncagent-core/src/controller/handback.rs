//! Writes down for the Go agent what was brought over, order by order: its state Secrets, and nothing else.
//!
//! It rides on an agent that only says what it would do: where nothing would be done for an order, the order's Secret is
//! brought up to date. What would have to be done first is said instead, and the Secret stays as it is, so that the Go agent
//! does it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::sync::Shared;
use crate::error::Error;
use crate::io::clients::{MERGE_PATCH, collection, object};
use crate::io::observe;
use crate::object::reference::{Key, ObjectRef};
use crate::object::{state, uid, version};
use crate::plan::{Depth, Sight};
use crate::related::base64;

/// Brings a state Secret up to date; says whether that took a write.
///
/// # Errors
///
/// When the server does not answer, or does not take it: somebody else wrote it at the same time.
pub(super) async fn write(
    shared: &Shared,
    key: &Key,
    secret: &ObjectRef,
    told: &BTreeMap<String, String>,
) -> Result<bool, Error> {
    let data: Map<String, Value> = told
        .iter()
        .map(|(key, text)| (key.clone(), json!(base64(text.as_bytes()))))
        .collect();
    let labels = state::labels(&key.identity());
    let namespace = Some(secret.namespace.as_str());
    let (what, reply) = match observe::look(&shared.service, secret, Depth::Body).await? {
        Sight::There(have) => {
            let same = |part: &Value, wanted: &Map<String, Value>| {
                wanted
                    .iter()
                    .all(|(key, value)| part.get(key) == Some(value))
            };
            if same(&have["data"], &data) && same(&have["metadata"]["labels"], &labels) {
                return Ok(false);
            }
            let patch = json!({
                "metadata": {"uid": uid(&have), "resourceVersion": version(&have), "labels": labels},
                "data": data,
            });
            let path = object(&secret.kind, namespace, &secret.name);
            let reply = shared.service.patch(&path, MERGE_PATCH, &patch).await?;
            ("PATCH", reply)
        }
        _ => {
            let body = json!({
                "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
                "metadata": {"name": secret.name, "namespace": secret.namespace, "labels": labels},
                "data": data,
            });
            let path = collection(&secret.kind, namespace);
            ("CREATE", shared.service.post(&path, &body).await?)
        }
    };
    if reply.is_success() {
        Ok(true)
    } else {
        Err(shared.service.refused(&format!("{what} {secret}"), &reply))
    }
}
