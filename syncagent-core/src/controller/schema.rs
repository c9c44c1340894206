//! The `APIResourceSchema` objects in the provider's workspace.
//!
//! A schema is immutable and named by a hash of its content, so publishing it is a POST, and "exists" is as good as
//! "created". Old ones are left where they are: bindings may still use them.

use serde_json::Value;

use crate::error::Error;
use crate::io::announce::{Announcer, Notice};
use crate::io::clients::{Server, escape};

const SCHEMAS: &str = "/apis/apis.kcp.io/v1alpha1/apiresourceschemas";

/// Publishes a schema unless it is there.
///
/// # Errors
///
/// When kcp does not answer, or refuses.
pub(crate) async fn ensure(
    provider: &Server,
    schema: &Value,
    announcer: &Announcer,
) -> Result<(), Error> {
    let reply = provider.post(SCHEMAS, schema).await?;
    if reply.is_success() {
        announcer.tell(&Notice::SchemaPublished {
            name: schema["metadata"]["name"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        });
    } else if reply.code != 409 {
        return Err(provider.refused(&format!("POST {SCHEMAS}"), &reply));
    }
    Ok(())
}

/// The spec of a schema; `None` when there is no such schema.
///
/// # Errors
///
/// When kcp does not answer, or refuses.
pub(crate) async fn read(provider: &Server, name: &str) -> Result<Option<Value>, Error> {
    let path = format!("{SCHEMAS}/{}", escape(name));
    let mut reply = provider.get(&path).await?;
    match reply.code {
        200 => Ok(Some(reply.body["spec"].take())),
        404 => Ok(None),
        _ => Err(provider.refused(&format!("GET {path}"), &reply)),
    }
}
