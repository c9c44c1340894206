//! A kcp of either kind.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use syncagent_embedded::{Listening, Server};
use syncagent_real::Kcp;

use crate::Trouble;
use crate::place::Place;

/// How long an embedded kcp is away that is killed.
const AWAY: Duration = Duration::from_secs(2);

pub(crate) enum Workspaces {
    Embedded {
        server: Server,
        at: Listening,
        rotations: usize,
    },
    Real(Box<Kcp>),
}

impl Workspaces {
    /// Starts an executable, or one in this process.
    pub(crate) async fn start(executable: Option<&Path>) -> Result<Self, Trouble> {
        Ok(match executable {
            Some(executable) => Self::Real(Box::new(Kcp::start(executable).await?)),
            None => {
                let server = Server::kcp().build();
                let at = server.listen(([127, 0, 0, 1], 0).into()).await?;
                server.token("token-0", "user-0", &[]);
                Self::Embedded {
                    server,
                    at,
                    rotations: 0,
                }
            }
        })
    }

    /// The name of the agent's user.
    pub(crate) fn user(&self) -> &'static str {
        "user-0"
    }

    /// What shows that somebody is that user, for now.
    pub(crate) fn token(&self) -> Result<String, Trouble> {
        match self {
            Self::Embedded { rotations, .. } => Ok(format!("token-{rotations}")),
            Self::Real(kcp) => {
                let users = std::fs::read_to_string(kcp.users())?;
                let token = users.split(',').next().unwrap_or_default();
                Ok(token.to_owned())
            }
        }
    }

    /// A kubeconfig for a path, of whoever has the token in this file, or of the administrator.
    pub(crate) fn kubeconfig(&self, token: Option<PathBuf>, path: &str) -> Result<String, Trouble> {
        let (text, root) = match self {
            Self::Embedded { server, at, .. } => (at.kubeconfig(&server.kcp_admin()), ""),
            Self::Real(kcp) => (std::fs::read_to_string(kcp.kubeconfig())?, "/clusters/root"),
        };
        let mut file: Value = serde_yaml::from_str(&text)?;
        let cluster = &mut file["clusters"][0]["cluster"];
        let server = cluster["server"].as_str().unwrap_or_default();
        cluster["server"] = json!(format!("{}{path}", server.trim_end_matches(root)));
        if let Some(token) = token {
            file["users"][0]["user"] = json!({"tokenFile": token});
        }
        Ok(file.to_string())
    }

    /// A fresh workspace below the root: its administrator's place, its path and its logical cluster's name.
    pub(crate) async fn workspace(&self, name: &str) -> Result<(Place, String, String), Trouble> {
        let root = Place::of(&self.kubeconfig(None, "/clusters/root")?).await?;
        let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        let workspace = json!({"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name}});
        root.made(path, &workspace).await?;
        let ready = |it: &Value| it["status"]["phase"] == "Ready";
        let ready = root.soon(&format!("{path}/{name}"), ready).await?;
        let at = format!("/clusters/root:{name}");
        let place = Place::of(&self.kubeconfig(None, &at)?).await?;
        let cluster = ready["spec"]["cluster"].as_str().unwrap_or_default();
        Ok((place, at, cluster.to_owned()))
    }

    /// SIGKILL, and back over the same data. One in this process loses its connections, takes none for a while, and then
    /// knows no history.
    pub(crate) async fn kill_and_revive(&mut self) -> Result<(), Trouble> {
        match self {
            Self::Embedded { server, .. } => {
                server.faults().outage(true);
                tokio::time::sleep(AWAY).await;
                server.faults().compact();
                server.faults().outage(false);
            }
            Self::Real(kcp) => {
                kcp.kill()?;
                kcp.revive().await?;
            }
        }
        Ok(())
    }

    /// Takes the agent's token away; there is another one.
    pub(crate) async fn rotate(&mut self) -> Result<(), Trouble> {
        match self {
            Self::Embedded {
                server, rotations, ..
            } => {
                server.drop_token(&format!("token-{rotations}"));
                *rotations += 1;
                server.token(&format!("token-{rotations}"), "user-0", &[]);
                server.faults().cut_watches();
            }
            Self::Real(kcp) => kcp.rotate().await?,
        }
        Ok(())
    }
}
