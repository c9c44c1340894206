//! A consumer: a user with a workspace of their own, who binds, orders, and waits.

use std::path::PathBuf;

use k8s_openapi::api::core::v1::{Secret, Service};
use kube::api::DynamicObject;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::Trouble;
use super::args::Way;
use super::home::Home;
use super::provider::{EXPORT, Workspaces, accepted_claims};
use super::say::{Narrator, Who};
use super::stage::Stage;
use super::wait::{self, brief, condition, documents, kind, objects};

pub(crate) const ORDER: &str = include_str!("../manifests/order.yaml");
/// The namespace of the orders.
pub(crate) const NAMESPACE: &str = "default";

/// A consumer with access to their workspace, and to nothing else.
pub(crate) struct Consumer {
    pub(crate) number: usize,
    pub(crate) path: String,
    /// The logical cluster of the workspace.
    pub(crate) cluster: String,
    pub(crate) client: Client,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) token: String,
    pub(crate) way: Way,
    /// The Services beside the copies, where the provider looks to tell the consumer an address.
    services: Api<DynamicObject>,
}

/// What the workspace says about how to connect.
#[derive(Clone)]
pub(crate) struct Connection {
    pub(crate) host: String,
    pub(crate) port: u16,
    /// From the consumer's own Secret.
    pub(crate) superuser: (String, String),
}

impl Consumer {
    /// Gets a user for the workspace, and binds the export as that user.
    pub(crate) async fn arrive(
        narrator: &Narrator,
        stage: &Stage,
        home: &Home,
        workspaces: &Workspaces,
        (number, way): (usize, Way),
    ) -> Result<Self, Trouble> {
        let workspace = workspaces.consumers.get(number - 1).cloned();
        let workspace = workspace
            .ok_or_else(|| Trouble::Wrong(format!("consumer {number} has no workspace")))?;
        let user = format!("consumer-{number}");
        let there = Some(workspace.path.as_str());
        let somebody = stage.kcp.somebody(&user, there).await?;
        let text = stage.kcp.kubeconfig(&somebody.token, there);
        let kubeconfig = home.kubeconfig(&user, &text)?;
        let admin = stage.kcp_admin(&workspace.path).await?;
        let role = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin" });
        wait::create_json(
            &admin,
            json!({
                "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                "metadata": { "name": "owner" }, "roleRef": role, "subjects": [somebody.subject],
            }),
        )
        .await?;
        let claims = accepted_claims(&stage.kcp_admin(&workspaces.provider).await?).await?;
        let claimed: Vec<_> = claims
            .iter()
            .filter_map(|claim| claim["resource"].as_str().map(str::to_owned))
            .collect();
        let client = wait::client(&text).await?;
        let services = objects(&stage.admin, &kind("v1", "Service"), &workspace.cluster);
        let consumer = Self {
            way,
            services,
            number,
            path: workspace.path,
            cluster: workspace.cluster,
            client,
            kubeconfig,
            token: somebody.token,
        };
        consumer
            .bind(narrator, &workspaces.provider, claims)
            .await?;
        let line = format!(
            "bound {EXPORT} in {}, accepting claims on {}",
            consumer.path,
            claimed.join(", ")
        );
        narrator.say(consumer.who(), &line);
        Ok(consumer)
    }

    async fn bind(
        &self,
        narrator: &Narrator,
        provider: &str,
        claims: Vec<serde_json::Value>,
    ) -> Result<(), Trouble> {
        let export = json!({ "export": { "path": provider, "name": EXPORT } });
        let binding = json!({
            "apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding", "metadata": { "name": EXPORT },
            "spec": { "reference": export, "permissionClaims": claims },
        });
        wait::create_json(&self.client, binding).await?;
        let bindings = objects(
            &self.client,
            &kind("apis.kcp.io/v1alpha2", "APIBinding"),
            "",
        );
        let what = format!("the binding of consumer {}", self.number);
        wait::until(narrator, &what, &bindings, EXPORT, |binding| {
            let bound = binding.is_some_and(|binding| {
                binding.data["status"]["phase"] == "Bound"
                    && condition(binding, "PermissionClaimsApplied") == "True"
            });
            if bound { Ok(()) } else { Err(brief(binding)) }
        })
        .await
    }

    pub(crate) fn who(&self) -> Who {
        Who::Consumer(self.number)
    }

    /// Objects of the published kinds in the workspace.
    pub(crate) fn orders(&self, of: &str) -> Api<DynamicObject> {
        objects(&self.client, &kind("postgresql.cnpg.io/v1", of), NAMESPACE)
    }

    /// The Secrets of the workspace.
    pub(crate) fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// Orders, and waits until everything is there.
    pub(crate) async fn order(&self, narrator: &Narrator) -> Result<Connection, Trouble> {
        for mut object in documents(ORDER)? {
            if self.way == Way::NoCode && kind_of(&object) == "Secret" {
                // The operator notices changes of Secrets with this label only, and nobody else puts it on them here.
                let label = [("cnpg.io/reload".to_owned(), "true".to_owned())];
                object.metadata.labels = Some(label.into());
            }
            wait::create(&self.client, &object).await?;
        }
        let line =
            "ordered cluster kcp and database db-one, with Secrets kcp-postgres and kcp-superuser";
        narrator.say(self.who(), line);
        let (cluster, database, connection) = tokio::try_join!(
            self.cluster_ready(narrator),
            self.database_applied(narrator),
            self.connected(narrator),
        )?;
        narrator.say(self.who(), &format!("cluster kcp is ready: {cluster}"));
        narrator.say(
            self.who(),
            &format!("database db-one is applied: {database}"),
        );
        let Connection { host, port, .. } = &connection;
        match self.way {
            Way::Derived => narrator.say(
                self.who(),
                &format!("Secret kcp-connection says {host}:{port}"),
            ),
            Way::NoCode => narrator.say(
                Who::Provider,
                &format!("tells consumer {} the address {host}:{port}", self.number),
            ),
        }
        Ok(connection)
    }

    /// Waits for what is needed to connect.
    async fn connected(&self, narrator: &Narrator) -> Result<Connection, Trouble> {
        match self.way {
            Way::Derived => self.connection_returned(narrator).await,
            Way::NoCode => {
                let what = format!("an address for consumer {}", self.number);
                wait::until(narrator, &what, &self.services, SERVICE, |service| {
                    service
                        .and_then(address)
                        .map(drop)
                        .ok_or_else(|| brief(service))
                })
                .await?;
                self.connection().await
            }
        }
    }

    async fn cluster_ready(&self, narrator: &Narrator) -> Result<String, Trouble> {
        let what = format!("cluster kcp of consumer {} to be ready", self.number);
        wait::until(
            narrator,
            &what,
            &self.orders("Cluster"),
            "kcp",
            |cluster| match cluster {
                Some(ready) if condition(ready, "Ready") == "True" => {
                    let status = &ready.data["status"];
                    let phase = status["phase"].as_str().unwrap_or_default();
                    Ok(format!(
                        "{phase:?}, ready instances: {}",
                        status["readyInstances"]
                    ))
                }
                other => Err(brief(other)),
            },
        )
        .await
    }

    async fn database_applied(&self, narrator: &Narrator) -> Result<String, Trouble> {
        let what = format!("database db-one of consumer {} to be applied", self.number);
        wait::until(
            narrator,
            &what,
            &self.orders("Database"),
            "db-one",
            |database| match database {
                Some(applied) if applied.data["status"]["applied"] == true => {
                    let (seen, own) = (
                        applied.data["status"]["observedGeneration"].as_i64(),
                        applied.metadata.generation,
                    );
                    if seen == own {
                        Ok(format!(
                            "observed generation {} is the consumer's own",
                            own.unwrap_or_default()
                        ))
                    } else {
                        Err(format!(
                            "observed generation {seen:?}, the consumer's own is {own:?}"
                        ))
                    }
                }
                other => Err(brief(other)),
            },
        )
        .await
    }

    /// Waits for the composed Secret, and reads it and the consumer's own.
    async fn connection_returned(&self, narrator: &Narrator) -> Result<Connection, Trouble> {
        let what = format!("Secret kcp-connection of consumer {}", self.number);
        let secrets = objects(&self.client, &kind("v1", "Secret"), NAMESPACE);
        wait::until(
            narrator,
            &what,
            &secrets,
            "kcp-connection",
            |secret| match secret {
                Some(secret) if secret.data["data"]["uri"].is_string() => Ok(()),
                Some(_) => Err("it has no uri".to_owned()),
                None => Err(brief(None)),
            },
        )
        .await?;
        self.connection().await
    }

    /// How to connect, as the workspace, or else the provider, says now.
    pub(crate) async fn connection(&self) -> Result<Connection, Trouble> {
        let (host, port) = match self.way {
            Way::Derived => {
                let connection = self.secret("kcp-connection").await?;
                (text(&connection, "host")?, text(&connection, "port")?)
            }
            Way::NoCode => {
                let service = self.services.get(SERVICE).await;
                let service = service.map_err(Trouble::api(format!("read Service {SERVICE}")))?;
                address(&service)
                    .map(|(host, port)| (host, port.to_string()))
                    .ok_or_else(|| Trouble::Wrong(format!("Service {SERVICE} has no address")))?
            }
        };
        let superuser = self.secret("kcp-superuser").await?;
        Ok(Connection {
            port: port
                .parse()
                .map_err(|_| Trouble::Wrong(format!("{port:?} is no port")))?,
            host,
            superuser: (text(&superuser, "username")?, text(&superuser, "password")?),
        })
    }

    async fn secret(&self, name: &str) -> Result<Secret, Trouble> {
        self.secrets()
            .get(name)
            .await
            .map_err(Trouble::api(format!("read Secret {name} in {}", self.path)))
    }
}

/// The Service of the ordered cluster.
pub(crate) const SERVICE: &str = "kcp-rw";

/// Where a Service leads, as the types of `main.rs` see it.
fn address(service: &DynamicObject) -> Option<(String, i32)> {
    crate::address(&service.clone().try_parse::<Service>().ok()?)
}

fn kind_of(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| &types.kind)
}

fn text(secret: &Secret, key: &str) -> Result<String, Trouble> {
    let bytes = secret.data.as_ref().and_then(|data| data.get(key));
    let text = bytes.and_then(|bytes| String::from_utf8(bytes.0.clone()).ok());
    text.ok_or_else(|| Trouble::Wrong(format!("Secret {} has no {key}", secret.name_any())))
}
