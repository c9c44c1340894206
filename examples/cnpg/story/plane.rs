//! A control plane: one in this process, or one that somebody has, named by a kubeconfig.
//!
//! Everybody in the story has access of their own. On an embedded plane they are users with tokens; on a given one, where
//! users come from elsewhere, they are service accounts, whose tokens every Kubernetes and every kcp hands out.

use std::path::Path;

use kube::api::{DynamicObject, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};
use syncagent_embedded::{Listening, Server};

use super::Trouble;
use super::wait::{self, kind, objects};

/// Where service accounts live.
const NAMESPACE: &str = "default";

/// A control plane.
pub(crate) enum Plane {
    /// In this process, and served on loopback.
    Embedded(Server, Listening),
    /// Its kubeconfig, reduced to the current context.
    Given(Value),
}

/// Somebody with access of their own: a token, and how a binding names them.
#[derive(Clone)]
pub(crate) struct Somebody {
    pub(crate) token: String,
    pub(crate) subject: Value,
}

impl Plane {
    /// One that listens in this process.
    pub(crate) async fn embedded(server: Server) -> Result<Self, Trouble> {
        let anywhere = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        let at = server.listen(anywhere).await;
        let at = at.map_err(Trouble::system("serve an embedded control plane"))?;
        Ok(Self::Embedded(server, at))
    }

    /// One that is there already.
    pub(crate) fn given(file: &Path) -> Result<Self, Trouble> {
        let wrong = |why: &str| Trouble::Wrong(format!("could not use {}: {why}", file.display()));
        let read = Kubeconfig::read_from(file).map_err(|error| wrong(&error.to_string()))?;
        let mut read = serde_json::to_value(read).map_err(|error| wrong(&error.to_string()))?;
        let named = |list: &Value, name: &Value| {
            let list = list.as_array().into_iter().flatten();
            list.clone().find(|it| it["name"] == *name).cloned()
        };
        let context = named(&read["contexts"], &read["current-context"]);
        let context = context.ok_or_else(|| wrong("its current context is not in it"))?;
        for (list, of) in [("clusters", "cluster"), ("users", "user")] {
            let one = named(&read[list], &context["context"][of]);
            read[list] = json!([one.ok_or_else(|| wrong("its context names what is not in it"))?]);
        }
        read["contexts"] = json!([context]);
        Ok(Self::Given(read))
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Embedded(_, at) => at.url(),
            Self::Given(file) => server(file).to_owned(),
        }
    }

    /// The workspace that a given kcp's kubeconfig points at; of an embedded one the root.
    pub(crate) fn workspace(&self) -> String {
        let path = match self {
            Self::Embedded(..) => None,
            Self::Given(file) => server(file).split_once("/clusters/"),
        };
        path.map_or("root", |(_, path)| path.trim_end_matches('/'))
            .to_owned()
    }

    /// The administrator's kubeconfig, at a workspace if it is a kcp.
    pub(crate) fn admin(&self, workspace: Option<&str>) -> String {
        match self {
            Self::Embedded(server, _) => self.kubeconfig(&server.admin(), workspace),
            Self::Given(file) => pointed_at(file.clone(), workspace).to_string(),
        }
    }

    /// The kubeconfig of whoever has this token.
    pub(crate) fn kubeconfig(&self, token: &str, workspace: Option<&str>) -> String {
        match (self, workspace) {
            (Self::Embedded(_, at), None) => at.kubeconfig(token),
            (Self::Embedded(_, at), Some(workspace)) => {
                at.kubeconfig_at(token, &format!("/clusters/{workspace}"))
            }
            (Self::Given(file), _) => {
                let mut file = pointed_at(file.clone(), workspace);
                file["users"][0]["user"] = json!({ "token": token });
                file.to_string()
            }
        }
    }

    /// Somebody new, who may do nothing yet.
    pub(crate) async fn somebody(
        &self,
        name: &str,
        workspace: Option<&str>,
    ) -> Result<Somebody, Trouble> {
        if let Self::Embedded(server, _) = self {
            return Ok(Somebody {
                token: server.user(name, &[]),
                subject: json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name }),
            });
        }
        let client = wait::client(&self.admin(workspace)).await?;
        let account = json!({ "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": { "name": name, "namespace": NAMESPACE } });
        wait::create_json(&client, account).await?;
        let ask = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "metadata": {}, "spec": { "audiences": [], "expirationSeconds": 7200 } });
        let accounts = objects(&client, &kind("v1", "ServiceAccount"), NAMESPACE);
        let answer: DynamicObject = accounts
            .create_subresource("token", name, &PostParams::default(), &ask)
            .await
            .map_err(Trouble::api(format!("get a token for {name}")))?;
        let token = answer.data["status"]["token"].as_str().unwrap_or_default();
        Ok(Somebody {
            token: token.to_owned(),
            subject: json!({ "kind": "ServiceAccount", "name": name, "namespace": NAMESPACE }),
        })
    }
}

fn server(file: &Value) -> &str {
    file["clusters"][0]["cluster"]["server"]
        .as_str()
        .unwrap_or_default()
}

/// The same server at another workspace.
fn pointed_at(mut file: Value, workspace: Option<&str>) -> Value {
    if let Some(workspace) = workspace {
        let url = server(&file);
        let origin = url.split("/clusters/").next().unwrap_or(url);
        let url = format!("{}/clusters/{workspace}", origin.trim_end_matches('/'));
        file["clusters"][0]["cluster"]["server"] = json!(url);
    }
    file
}

/// Lets somebody do what a ClusterRole says.
pub(crate) async fn bind(
    client: &kube::Client,
    role: &str,
    somebody: &Somebody,
) -> Result<(), Trouble> {
    let group = "rbac.authorization.k8s.io";
    let name = format!("{role}-of-the-story");
    wait::create_json(
        client,
        json!({
            "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": { "name": name },
            "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": role },
            "subjects": [somebody.subject],
        }),
    )
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_plane_is_its_current_context_at_any_workspace() {
        let file = std::env::temp_dir().join(format!("plane-{}.yaml", std::process::id()));
        let text = "
apiVersion: v1
kind: Config
clusters:
- {name: other, cluster: {server: https://other:1}}
- {name: kcp, cluster: {server: https://kcp:2/clusters/root:team}}
users:
- {name: me, user: {token: secret}}
contexts:
- {name: kcp, context: {cluster: kcp, user: me}}
current-context: kcp
";
        std::fs::write(&file, text).expect("a temporary file");
        let plane = Plane::given(&file).unwrap_or_else(|trouble| panic!("{trouble}"));
        std::fs::remove_file(&file).expect("it is ours");
        assert_eq!(plane.workspace(), "root:team");
        assert!(
            plane
                .admin(Some("root:a"))
                .contains("https://kcp:2/clusters/root:a")
        );
        let other = plane.kubeconfig("theirs", None);
        assert!(other.contains("theirs") && !other.contains("secret"));
    }
}
