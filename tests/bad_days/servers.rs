//! The servers of a day, the provider's and the consumers' places on them, and the agents' processes.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use syncagent_core::access::{provider_rules, service_rules};
use syncagent_core::publication::Publications;
use syncagent_embedded::{Listening, Server};
use syncagent_real::guard::Guard;
use syncagent_real::{Cluster, Kcp, Programs};

use crate::{Trouble, agent, things};

pub(crate) const EXPORT: &str = "things.example.io";

/// Which kcp.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Embedded,
    Real,
}

impl Which {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Embedded => "embedded_kcp",
            Self::Real => "real_kcp",
        }
    }
}

/// A kcp of either kind.
pub(crate) enum Workspaces {
    Embedded(Server, Listening),
    Real(Box<Kcp>),
}

/// A place on a server, as its administrator reaches it.
#[derive(Clone)]
pub(crate) struct Place(kube::Client);

/// A consumer's workspace.
#[derive(Clone)]
pub(crate) struct Consumer {
    pub(crate) cluster: String,
    pub(crate) api: Place,
}

/// Everything that a day needs. Agents are killed with the guard.
pub(crate) struct Servers {
    pub(crate) cluster: Cluster,
    pub(crate) kcp: Workspaces,
    pub(crate) service: Place,
    provider: Place,
    provider_path: String,
    agents: Vec<Child>,
    guard: Guard,
}

impl Servers {
    /// Starts them, with a provider whose export is still empty and an agent that may do what it must.
    pub(crate) async fn start(programs: &Programs, kcp: Option<&Path>) -> Result<Self, Trouble> {
        let cluster = Cluster::start(programs).await?;
        let kcp = match kcp {
            Some(executable) => Workspaces::Real(Box::new(Kcp::start(executable).await?)),
            None => {
                let server = Server::kcp().build();
                let at = server.listen(([127, 0, 0, 1], 0).into()).await?;
                Workspaces::Embedded(server, at)
            }
        };
        let guard = Guard::make("syncagent-bad-days")?;
        let service = Place::of(&std::fs::read_to_string(cluster.kubeconfig())?).await?;
        let (provider, path, _) = kcp.workspace("provider").await?;
        let user = kcp.user();
        std::fs::write(
            guard.dir().join("kcp.kubeconfig"),
            kcp.kubeconfig(Some(&user.1), &path)?,
        )?;
        let kind = things::kind("Thing");
        let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        service.made(crds, &things::service_crd(&kind)).await?;
        service.soon(&things::collection(&kind), |_| true).await?;
        let publications = Publications::compile("agent", &[things::taking("Thing")]);
        let publications = publications.map_err(|it| format!("{it:?}"))?;
        permit(&service, "user", &service_rules(&publications)).await?;
        permit(&provider, &user.0, &provider_rules(EXPORT)).await?;
        let export = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport", "metadata": {"name": EXPORT}, "spec": {}});
        provider
            .made("/apis/apis.kcp.io/v1alpha2/apiexports", &export)
            .await?;
        Ok(Self {
            cluster,
            kcp,
            service,
            provider,
            provider_path: path.trim_start_matches("/clusters/").to_owned(),
            agents: Vec::new(),
            guard,
        })
    }

    /// Starts an agent; the same number again after it was killed.
    pub(crate) fn start_agent(&mut self, number: usize) -> Result<(), Trouble> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.log(number))?;
        let child = Command::new(std::env::current_exe()?)
            .arg(agent::ROLE)
            .args([self.cluster.user(), self.guard.dir().join("kcp.kubeconfig")])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.guard.watch(child.id())?;
        if number < self.agents.len() {
            self.agents[number] = child;
        } else {
            self.agents.push(child);
        }
        Ok(())
    }

    /// SIGKILL.
    pub(crate) fn kill_agent(&mut self, number: usize) -> Result<(), Trouble> {
        let agent = &mut self.agents[number];
        if let Some(status) = agent.try_wait()? {
            return Err(format!(
                "the agent had ended by itself: {status}\n{}",
                self.last_words()
            )
            .into());
        }
        agent.kill()?;
        self.guard.forget(agent.id())?;
        agent.wait()?;
        Ok(())
    }

    fn log(&self, number: usize) -> PathBuf {
        self.guard.dir().join(format!("agent-{number}.log"))
    }

    pub(crate) fn last_words(&self) -> String {
        let words = |number| {
            let log = std::fs::read_to_string(self.log(number)).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            lines[lines.len().saturating_sub(15)..].join("\n")
        };
        (0..self.agents.len())
            .map(words)
            .collect::<Vec<_>>()
            .join("\n--\n")
    }

    /// Workspaces that bind the export and accept its claims.
    pub(crate) async fn consumers(&self, count: usize) -> Result<Vec<Consumer>, Trouble> {
        let path = format!("/apis/apis.kcp.io/v1alpha2/apiexports/{EXPORT}");
        let export = self
            .provider
            .soon(&path, |it| it["spec"]["resources"][0].is_object())
            .await?;
        let mut claims = export["spec"]["permissionClaims"].clone();
        for claim in claims.as_array_mut().into_iter().flatten() {
            claim["selector"] = json!({"matchAll": true});
            claim["state"] = json!("Accepted");
        }
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding", "metadata": {"name": "things"},
            "spec": {"reference": {"export": {"path": self.provider_path, "name": EXPORT}}, "permissionClaims": claims}});
        let mut consumers = Vec::new();
        for n in 0..count {
            let (api, _, cluster) = self.kcp.workspace(&format!("consumer-{n}")).await?;
            api.made("/apis/apis.kcp.io/v1alpha2/apibindings", &binding)
                .await?;
            api.soon(&things::collection(&things::kind("Thing")), |_| true)
                .await?;
            api.soon("/api/v1/namespaces/default", |_| true).await?;
            consumers.push(Consumer { cluster, api });
        }
        Ok(consumers)
    }
}

async fn permit(place: &Place, user: &str, rules: &[Value]) -> Result<(), Trouble> {
    let group = "rbac.authorization.k8s.io";
    let path = format!("/apis/{group}/v1");
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": "agent"}, "rules": rules});
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": "agent"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "agent"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}]});
    place.made(&format!("{path}/clusterroles"), &role).await?;
    place
        .made(&format!("{path}/clusterrolebindings"), &binding)
        .await
}

impl Workspaces {
    /// Name and token of the agent's user.
    fn user(&self) -> (String, String) {
        match self {
            Self::Embedded(server, _) => ("user".to_owned(), server.user("user", &[])),
            Self::Real(_) => ("user-0".to_owned(), "token-0".to_owned()),
        }
    }

    /// A kubeconfig for a path, of somebody with this token or of the administrator.
    fn kubeconfig(&self, token: Option<&str>, path: &str) -> Result<String, Trouble> {
        match self {
            Self::Embedded(server, at) => {
                let admin = server.kcp_admin();
                Ok(at.kubeconfig_at(token.unwrap_or(&admin), path))
            }
            Self::Real(kcp) => {
                let text = std::fs::read_to_string(kcp.kubeconfig())?;
                let mut file: Value = serde_json::from_str(&text)?;
                for cluster in file["clusters"].as_array_mut().into_iter().flatten() {
                    if cluster["name"] == "root" {
                        let server = cluster["cluster"]["server"].as_str().unwrap_or_default();
                        cluster["cluster"]["server"] =
                            json!(server.replace("/clusters/root", path));
                    }
                }
                if let Some(token) = token {
                    for user in file["users"].as_array_mut().into_iter().flatten() {
                        user["user"] = json!({"token": token});
                    }
                }
                Ok(file.to_string())
            }
        }
    }

    /// A fresh workspace below the root: its administrator's place, its path and its logical cluster's name.
    async fn workspace(&self, name: &str) -> Result<(Place, String, String), Trouble> {
        let root = Place::of(&self.kubeconfig(None, "/clusters/root")?).await?;
        let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        let workspace = json!({"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace", "metadata": {"name": name}});
        root.made(path, &workspace).await?;
        let ready = root
            .soon(&format!("{path}/{name}"), |it| {
                it["status"]["phase"] == "Ready"
            })
            .await?;
        let at = format!("/clusters/root:{name}");
        let place = Place::of(&self.kubeconfig(None, &at)?).await?;
        let cluster = ready["spec"]["cluster"].as_str().unwrap_or_default();
        Ok((place, at, cluster.to_owned()))
    }
}

impl Place {
    async fn of(kubeconfig: &str) -> Result<Self, Trouble> {
        let file = kube::config::Kubeconfig::from_yaml(kubeconfig)?;
        let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await?;
        config.default_retry = false;
        config.read_timeout = Some(Duration::from_secs(20));
        Ok(Self(kube::Client::try_from(config)?))
    }

    /// Sends a request; an answer is a code and a body.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Trouble> {
        let media = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media);
        let reply = self.0.send(request.body(bytes.into())?).await?;
        let code = reply.status().as_u16();
        let bytes = reply.into_body().collect_bytes().await?;
        Ok((code, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Asks until the answer is one of these codes; servers may be away meanwhile.
    pub(crate) async fn insist(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        codes: &[u16],
    ) -> Result<Value, Trouble> {
        let mut last = String::new();
        for _ in 0..2400 {
            match self.ask(method, path, body).await {
                Ok((code, value)) if codes.contains(&code) => return Ok(value),
                Ok((code, value)) => last = format!("{code} {value}"),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(
            format!("{method} {path} is never answered with {codes:?}; the last answer: {last}")
                .into(),
        )
    }

    async fn made(&self, path: &str, object: &Value) -> Result<(), Trouble> {
        self.insist("POST", path, Some(object), &[201, 409])
            .await
            .map(drop)
    }

    /// An object, once it is as it should be.
    pub(crate) async fn soon(
        &self,
        path: &str,
        right: impl Fn(&Value) -> bool,
    ) -> Result<Value, Trouble> {
        let mut last = Value::Null;
        for _ in 0..2400 {
            if let Ok((code, value)) = self.ask("GET", path, None).await {
                if code == 200 && right(&value) {
                    return Ok(value);
                }
                last = value;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Err(format!("{path} is never as it should be; it is {last:#}").into())
    }
}
