//! From the kubeconfig of a kcp to the export: which workspaces have what the agent needs.
//!
//! ```text
//! kubeconfig ──> .../clusters/<slices> ── APIExportEndpointSlice ── spec.export ──> .../clusters/<exports> ── APIExport
//! ```
//!
//! The slice and the export may be in two workspaces. What is not there is not waited for: the process ends with a message
//! that says what to do, and whoever runs it starts it again. That is what the Go agent does, and it shows in the Pod's
//! status rather than in a log. Each object is read by its name, so a role that names it suffices.

use serde_json::Value;

use crate::controller::export::Version;
use crate::error::{Error, ErrorKind};
use crate::io::clients::{KcpAccess, Server, escape};

const GROUP: &str = "/apis/apis.kcp.io";

/// Where everything is.
#[derive(Clone, Debug)]
pub(crate) struct Wired {
    /// How to reach the export's workspace, the slice's and the endpoints.
    pub(crate) access: KcpAccess,
    /// The name of the export.
    pub(crate) export: String,
    /// The workspace of the export, as it was addressed.
    pub(crate) workspace: String,
    /// The version in which the export is read and written.
    pub(crate) version: Version,
}

/// Finds the export of a slice.
///
/// # Errors
///
/// When an address does not lead to a workspace, or something is not there, may not be read, or does not answer; each with
/// what to do about it.
pub(crate) async fn wire(
    access: KcpAccess,
    url: &str,
    slice: &str,
    user_agent: &str,
) -> Result<Wired, Error> {
    let here = workspace_of(url)?;
    let slices = access.provider(user_agent)?;
    let path = format!("{GROUP}/v1alpha1/apiexportendpointslices/{}", escape(slice));
    let found = need(&slices, &path, || Need {
        what: format!("the APIExportEndpointSlice {slice} in the workspace {here}"),
        remedy: "kcp makes one with an APIExport, under its name; name one that is there with --apiexportendpointslice-ref, or point --kcp-kubeconfig at its workspace".to_owned(),
        rule: format!("get, list and watch apiexportendpointslices of apis.kcp.io named {slice}"),
    })
    .await?;
    let reference = &found["spec"]["export"];
    let export = reference["name"].as_str().unwrap_or_default();
    if export.is_empty() {
        return Err(Error::Setup(format!(
            "the APIExportEndpointSlice {slice} names no APIExport: set spec.export.name"
        )));
    }
    let there = reference["path"].as_str().unwrap_or_default();
    let elsewhere = !there.is_empty() && there != here;
    let access = if elsewhere {
        let url = url.replacen(
            &format!("/clusters/{here}"),
            &format!("/clusters/{there}"),
            1,
        );
        access.exporting_from(&url)?
    } else {
        access
    };
    let exports = access.provider(user_agent)?;
    let workspace = if elsewhere { there } else { here.as_str() };
    let version = match lacks(&exports, "v1alpha2").await? {
        false => Version::V1alpha2,
        true => Version::V1alpha1,
    };
    let path = format!("{}/{}", version.exports(), escape(export));
    need(&exports, &path, || Need {
        what: format!("the APIExport {export} in the workspace {workspace}"),
        remedy: format!(
            "the APIExportEndpointSlice {slice} names it; create it there, it may be empty"
        ),
        rule: format!(
            "get, list, watch, patch and update apiexports of apis.kcp.io named {export}"
        ),
    })
    .await?;
    Ok(Wired {
        access,
        export: export.to_owned(),
        workspace: workspace.to_owned(),
        version,
    })
}

/// The workspace that an address leads to: what stands after `/clusters/`, of which there has to be one.
fn workspace_of(url: &str) -> Result<String, Error> {
    let parts: Vec<&str> = url.split("/clusters/").collect();
    let names = parts.iter().skip(1);
    let names: Vec<&str> = names
        .map(|rest| rest.split('/').next().unwrap_or_default())
        .filter(|name| !name.is_empty())
        .collect();
    match names.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(Error::Setup(format!(
            "the kcp kubeconfig does not point to a specific workspace: its server is {url}, and has to contain /clusters/ and a workspace, as in https://kcp.example.com:6443/clusters/root:providers:databases"
        ))),
        _ => Err(Error::Setup(format!(
            "the kcp kubeconfig points to more than one workspace: its server is {url}, and has to contain /clusters/ once"
        ))),
    }
}

struct Need {
    what: String,
    remedy: String,
    rule: String,
}

/// An object that has to be there.
async fn need(server: &Server, path: &str, need: impl Fn() -> Need) -> Result<Value, Error> {
    let reply = server.get(path).await.map_err(away)?;
    if reply.is_success() {
        return Ok(reply.body);
    }
    let Need { what, remedy, rule } = need();
    let answer = reply.message();
    Err(match reply.code {
        404 => Error::Setup(format!(
            "{what} is not there: {remedy} (kcp says: {answer})"
        )),
        401 => Error::Setup(format!(
            "kcp does not accept the credentials of --kcp-kubeconfig: renew them (it says: {answer})"
        )),
        403 => Error::Setup(format!(
            "{what} may not be read: the agent must be allowed to {rule}, and to access the workspace (kcp says: {answer})"
        )),
        _ => server.refused(&format!("GET {path}"), &reply),
    })
}

/// Whether kcp lacks a version of its API. What else it may answer is told by the read that follows.
async fn lacks(server: &Server, version: &str) -> Result<bool, Error> {
    let reply = server
        .get(&format!("{GROUP}/{version}"))
        .await
        .map_err(away)?;
    Ok(reply.code == 404)
}

fn away(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unavailable => Error::Setup(format!(
            "{}; see whether the server of --kcp-kubeconfig is up, and can be reached from here",
            error.chain()
        )),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_leads_to_one_workspace() {
        for (url, wanted) in [
            (
                "https://kcp:6443/clusters/root:providers",
                Ok("root:providers"),
            ),
            (
                "https://kcp:6443/clusters/root:providers/",
                Ok("root:providers"),
            ),
            ("https://kcp:6443/prefix/clusters/1abc", Ok("1abc")),
            (
                "https://kcp:6443",
                Err("does not point to a specific workspace"),
            ),
            (
                "https://kcp:6443/clusters/",
                Err("does not point to a specific workspace"),
            ),
            (
                "https://kcp:6443/clusters",
                Err("does not point to a specific workspace"),
            ),
            ("", Err("does not point to a specific workspace")),
            (
                "https://kcp/clusters/a/clusters/b",
                Err("more than one workspace"),
            ),
        ] {
            match (workspace_of(url), wanted) {
                (Ok(found), Ok(wanted)) => assert_eq!(found, wanted, "{url}"),
                (Err(told), Err(wanted)) => {
                    let told = told.chain();
                    assert!(told.contains(wanted), "{url}: {told}");
                    assert!(told.contains("has to contain /clusters/"), "{url}: {told}");
                }
                (found, _) => panic!("{url}: {found:?}"),
            }
        }
    }
}
