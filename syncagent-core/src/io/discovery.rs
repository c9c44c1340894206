//! Does the service cluster serve the kind, and with which schema?
//!
//! Asked once, at the start. A definition that names a kind or a field that is not there is refused before anything is
//! started. An agent that may not read CRDs still learns from discovery whether the kind is served.

use serde_json::Value;

use super::clients::Server;
use crate::definition::Kind;
use crate::error::Error;

/// What is known about a kind on the service cluster.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// It is served; with its CRD where that may be read.
    Served(Option<Value>),
    /// It is not served.
    Missing,
}

/// Looks a kind up.
///
/// # Errors
///
/// When the server does not answer, or answers what says nothing about the kind.
pub async fn find(service: &Server, kind: &Kind) -> Result<Found, Error> {
    if !kind.group.is_empty() {
        let path = format!(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{}.{}",
            kind.plural, kind.group
        );
        let reply = service.get(&path).await?;
        match reply.code {
            200 if serves(&reply.body, kind) => return Ok(Found::Served(Some(reply.body))),
            200 => return Ok(Found::Missing),
            403 | 404 => {}
            _ => return Err(service.refused(&format!("GET {path}"), &reply)),
        }
    }
    let path = match kind.group.as_str() {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    let reply = service.get(&path).await?;
    match reply.code {
        200 => {
            let served = reply.body["resources"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|r| r["name"] == kind.plural.as_str() && r["kind"] == kind.kind.as_str());
            Ok(if served {
                Found::Served(None)
            } else {
                Found::Missing
            })
        }
        404 => Ok(Found::Missing),
        _ => Err(service.refused(&format!("GET {path}"), &reply)),
    }
}

fn serves(crd: &Value, kind: &Kind) -> bool {
    crd["spec"]["names"]["kind"] == kind.kind.as_str()
        && crd["spec"]["versions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|version| version["name"] == kind.version.as_str() && version["served"] == true)
}
