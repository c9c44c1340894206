//! The `APIResourceSchema` objects in the provider's workspace.
//!
//! A schema is immutable and named by a hash of its content, so publishing it is a POST, and "exists" is as good as
//! "created". Old ones are left where they are: bindings may still use them. Only the agent's name on one is set right.

use serde_json::Value;

use crate::error::Error;
use crate::io::announce::{Announcer, Notice};
use crate::io::clients::{JSON, Server, escape};
use crate::names::AGENT;
use crate::object;

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

/// Sets the agent's name on a schema that is there, where another one stands on it or none: as a label and as an annotation,
/// as the Go agent keeps it. With `dry` that is only said.
///
/// Nobody's orders depend on it, and the roles that the Go agent's documentation recommends do not allow it: whoever calls
/// this goes on where it fails.
///
/// # Errors
///
/// When kcp does not answer, or refuses.
pub(crate) async fn mark(
    provider: &Server,
    wanted: &Value,
    dry: bool,
    announcer: &Announcer,
) -> Result<(), Error> {
    let name = object::meta(wanted, "name");
    let path = format!("{SCHEMAS}/{}", escape(name));
    let reply = provider.get(&path).await?;
    let mut schema = match reply.code {
        200 => reply.body,
        404 => return Ok(()),
        _ => return Err(provider.refused(&format!("GET {path}"), &reply)),
    };
    let mut differs = false;
    for map in ["labels", "annotations"] {
        let own = &wanted["metadata"][map][AGENT];
        if !own.is_null() && schema["metadata"][map][AGENT] != *own {
            schema["metadata"][map][AGENT] = own.clone();
            differs = true;
        }
    }
    if !differs {
        return Ok(());
    }
    if dry {
        let name = name.to_owned();
        announcer.tell(&Notice::SchemaMarkPlanned { name });
        return Ok(());
    }
    let reply = provider
        .call(http::Method::PUT, &path, JSON, Some(&schema))
        .await?;
    match reply.is_success() {
        true => Ok(()),
        false => Err(provider.refused(&format!("PUT {path}"), &reply)),
    }
}
