//! A control plane: one in this process, or one that somebody has, named by a kubeconfig.
//!
//! Everybody in the story has access of their own. On an embedded plane they are users with tokens; on a given one, where
//! users come from elsewhere, they are service accounts, whose tokens every Kubernetes and every kcp hands out.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kube::Client;
use kube::api::{DeleteParams, DynamicObject, PostParams, Preconditions};
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
    /// Somebody's.
    Given(Given),
}

/// A control plane that is there already, and goes on when the story is over.
pub(crate) struct Given {
    /// Its kubeconfig, reduced to the current context.
    kubeconfig: Value,
    /// What the story made on it, in order.
    made: Mutex<Vec<Made>>,
}

/// An object that the story made, and how to reach it.
struct Made {
    client: Client,
    object: DynamicObject,
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
        Ok(Self::Given(Given {
            kubeconfig: read,
            made: Mutex::default(),
        }))
    }

    /// Its address.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Embedded(_, at) => at.url(),
            Self::Given(given) => server(&given.kubeconfig).to_owned(),
        }
    }

    /// The workspace that a given kcp's kubeconfig points at; of an embedded one the root.
    pub(crate) fn workspace(&self) -> String {
        let path = match self {
            Self::Embedded(..) => None,
            Self::Given(given) => server(&given.kubeconfig).split_once("/clusters/"),
        };
        path.map_or("root", |(_, path)| path.trim_end_matches('/'))
            .to_owned()
    }

    /// The administrator's kubeconfig, at a workspace if it is a kcp.
    pub(crate) fn admin(&self, workspace: Option<&str>) -> String {
        match self {
            Self::Embedded(server, _) => self.kubeconfig(&server.admin(), workspace),
            Self::Given(given) => pointed_at(given.kubeconfig.clone(), workspace).to_string(),
        }
    }

    /// The kubeconfig of whoever has this token.
    pub(crate) fn kubeconfig(&self, token: &str, workspace: Option<&str>) -> String {
        match (self, workspace) {
            (Self::Embedded(_, at), None) => at.kubeconfig(token),
            (Self::Embedded(_, at), Some(workspace)) => {
                at.kubeconfig_at(token, &format!("/clusters/{workspace}"))
            }
            (Self::Given(given), _) => {
                let mut file = pointed_at(given.kubeconfig.clone(), workspace);
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
        match workspace {
            None => self.make_json(&client, account).await?,
            // It goes with the workspace, which is the story's own.
            Some(_) => wait::create_json(&client, account).await?,
        };
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

    /// Makes an object that is there for as long as the story.
    pub(crate) async fn make(
        &self,
        client: &Client,
        object: &DynamicObject,
    ) -> Result<DynamicObject, Trouble> {
        let object = wait::create(client, object).await?;
        if let Self::Given(given) = self {
            given.made().push(Made {
                client: client.clone(),
                object: object.clone(),
            });
        }
        Ok(object)
    }

    /// The same of an object given as JSON.
    pub(crate) async fn make_json(
        &self,
        client: &Client,
        object: Value,
    ) -> Result<DynamicObject, Trouble> {
        self.make(client, &wait::parsed(object)?).await
    }

    /// Takes away what was made, the last first, and says what stays. An embedded plane just ends.
    pub(crate) async fn strike(&self) -> Vec<String> {
        let Self::Given(given) = self else {
            return Vec::new();
        };
        let mut left = Vec::new();
        let made = std::mem::take(&mut *given.made());
        for Made { client, object } in made.into_iter().rev() {
            let types = object.types.clone().unwrap_or_default();
            let of = kind(&types.api_version, &types.kind);
            let meta = object.metadata;
            let name = meta.name.unwrap_or_default();
            let api = objects(&client, &of, meta.namespace.as_deref().unwrap_or_default());
            // Another of that name is somebody else's.
            let ours = DeleteParams::default().preconditions(Preconditions {
                uid: meta.uid,
                resource_version: None,
            });
            match api.delete(&name, &ours).await {
                Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
                Err(error) => left.push(format!("{} {name}: {error}", types.kind)),
                Ok(_) => {}
            }
        }
        left
    }
}

impl Given {
    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
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

/// A binding that lets somebody do what a ClusterRole says.
pub(crate) fn binding(role: &str, somebody: &Somebody) -> Value {
    let group = "rbac.authorization.k8s.io";
    json!({
        "apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding",
        "metadata": { "name": format!("{role}-of-the-story") },
        "roleRef": { "apiGroup": group, "kind": "ClusterRole", "name": role },
        "subjects": [somebody.subject],
    })
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
