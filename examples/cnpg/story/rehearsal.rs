//! The stand-in operator alone, against the embedded service cluster: what the agent will meet.

use std::path::PathBuf;

use kube::Client;
use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams};
use serde_json::{Value, json};
use syncagent_embedded::{Listening, Server};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::home::Home;
use super::say::Narrator;
use super::stage::{CLUSTER_CRD, DATABASE_CRD, OPERATOR_ACCESS};
use super::wait::{self, brief, condition, documents, kind, objects};
use crate::operator;
use crate::postgres::{Installation, sql};

const NAMESPACE: &str = "tenant";

/// A service cluster with an operator.
pub(super) struct Rehearsal {
    pub(super) narrator: Narrator,
    pub(super) client: Client,
    pub(super) home: Home,
    pub(super) installation: Installation,
    /// Its administrator's kubeconfig.
    pub(super) admin: PathBuf,
    stop: CancellationToken,
    operator: JoinHandle<Result<(), operator::Error>>,
    _server: (Server, Listening),
}

impl Rehearsal {
    pub(super) async fn set() -> Self {
        Self::with(true).await
    }

    /// An operator whose Services have a load balancer, or have none.
    pub(super) async fn with(load_balancer: bool) -> Self {
        let narrator = Narrator::new(true);
        let home = Home::make().expect("temporary directories can be made");
        let server = Server::kubernetes().build();
        let listening = server
            .listen(([127, 0, 0, 1], 0).into())
            .await
            .expect("loopback is free");
        let admin = listening.kubeconfig(&server.admin());
        let client = wait::client(&admin).await.expect("a client");
        let admin = home.kubeconfig("admin", &admin).expect("it can be written");
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": NAMESPACE } });
        wait::create_json(&client, namespace)
            .await
            .expect("a namespace");
        for manifest in [OPERATOR_ACCESS, CLUSTER_CRD, DATABASE_CRD] {
            for object in documents(manifest).expect("manifests are right") {
                wait::create(&client, &object)
                    .await
                    .expect("it can be installed");
            }
        }
        let token = server.user("cnpg-manager", &[]);
        let kubeconfig = home
            .kubeconfig("operator", &listening.kubeconfig(&token))
            .expect("it can be written");
        let installation = Installation::get(&|_| ())
            .await
            .expect("there is a PostgreSQL");
        let options = operator::Options {
            kubeconfig,
            data: home.data(),
            programs: installation.programs.clone(),
            load_balancer,
        };
        let stop = CancellationToken::new();
        let operator = tokio::spawn(operator::run_until(options, stop.clone().cancelled_owned()));
        Self {
            narrator,
            client,
            home,
            installation,
            admin,
            stop,
            operator,
            _server: (server, listening),
        }
    }

    fn api(&self, of: &str) -> Api<DynamicObject> {
        let version = match of {
            "Cluster" | "Database" => "postgresql.cnpg.io/v1",
            _ => "v1",
        };
        objects(&self.client, &kind(version, of), NAMESPACE)
    }

    async fn create(&self, mut object: Value) {
        object["metadata"]["namespace"] = json!(NAMESPACE);
        wait::create_json(&self.client, object)
            .await
            .expect("it can be created");
    }

    async fn until(
        &self,
        of: &str,
        name: &str,
        look: impl Fn(&DynamicObject) -> bool,
    ) -> DynamicObject {
        let see = |object: Option<&DynamicObject>| match object {
            Some(object) if look(object) => Ok(object.clone()),
            other => Err(brief(other)),
        };
        let found = wait::until(
            &self.narrator,
            &format!("{of} {name}"),
            &self.api(of),
            name,
            see,
        )
        .await;
        found.unwrap_or_else(|trouble| panic!("{trouble}"))
    }

    async fn gone(&self, of: &str, name: &str) {
        let gone = wait::until_gone(
            &self.narrator,
            &format!("{of} {name} to go"),
            &self.api(of),
            name,
        )
        .await;
        gone.unwrap_or_else(|trouble| panic!("{trouble}"));
    }

    async fn change(&self, of: &str, name: &str, patch: Value) {
        let patch = Patch::Merge(patch);
        self.api(of)
            .patch(name, &PatchParams::default(), &patch)
            .await
            .expect("it can be changed");
    }

    async fn delete(&self, of: &str, name: &str) {
        self.api(of)
            .delete(name, &DeleteParams::default())
            .await
            .expect("it can be deleted");
    }

    /// Where a Service leads, as a client outside the cluster finds it.
    async fn guest(&self, user: &str, password: &str, database: &str) -> tokio_postgres::Config {
        let service = self
            .api("Service")
            .get("kcp-rw")
            .await
            .expect("there is a Service");
        let address = &service.data["status"]["loadBalancer"]["ingress"][0];
        let mut config = tokio_postgres::Config::new();
        config.host(address["ip"].as_str().expect("an address"));
        config.port(
            address["ports"][0]["port"]
                .as_u64()
                .and_then(|port| port.try_into().ok())
                .expect("a port"),
        );
        config
            .user(user)
            .password(password)
            .dbname(database)
            .to_owned()
    }

    pub(super) async fn leave(self) {
        self.stop.cancel();
        self.operator
            .await
            .expect("it does not panic")
            .expect("it stops in order");
        let data = self.home.data();
        assert_eq!(
            std::fs::read_dir(data)
                .expect("the directory is there")
                .count(),
            0,
            "servers are left"
        );
        self.home.leave().await;
    }
}

fn secret(name: &str, user: &str, password: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/basic-auth",
        "metadata": { "name": name, "labels": { "cnpg.io/reload": "true" } },
        "stringData": { "username": user, "password": password },
    })
}

fn cluster(spec: &Value) -> Value {
    json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "metadata": { "name": "kcp" }, "spec": spec })
}

fn database(name: &str, spec: &Value) -> Value {
    json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Database", "metadata": { "name": name }, "spec": spec })
}

fn ready(cluster: &DynamicObject) -> bool {
    condition(cluster, "Ready") == "True"
}

#[tokio::test]
async fn named_secrets_are_waited_for_and_followed() {
    let all = Rehearsal::set().await;
    let initdb = json!({ "database": "app", "owner": "app", "secret": { "name": "owner" } });
    let spec = json!({ "bootstrap": { "initdb": initdb }, "enableSuperuserAccess": true, "superuserSecret": { "name": "super" } });
    all.create(cluster(&spec)).await;
    all.create(database(
        "db-one",
        &json!({ "name": "one", "owner": "app", "cluster": { "name": "kcp" } }),
    ))
    .await;
    let waits = all
        .until("Cluster", "kcp", |cluster| {
            cluster.data["status"]["phaseReason"].is_string()
        })
        .await;
    assert_eq!(waits.data["status"]["phase"], "Setting up primary");
    assert_eq!(
        waits.data["status"]["phaseReason"],
        "secret \"owner\" not found"
    );
    all.create(secret("owner", "app", "first")).await;
    all.create(secret("super", "postgres", "second")).await;
    let up = all.until("Cluster", "kcp", ready).await;
    assert_eq!(up.data["status"]["phase"], "Cluster in healthy state");
    assert_eq!(up.data["status"]["currentPrimary"], "kcp-1");
    let applied = all
        .until("Database", "db-one", |database| {
            database.data["status"]["applied"] == true
        })
        .await;
    assert_eq!(applied.data["status"]["observedGeneration"], 1);
    sql::connect(&all.guest("app", "first", "one").await)
        .await
        .expect("the owner may");
    sql::connect(&all.guest("postgres", "second", "one").await)
        .await
        .expect("the superuser may");

    all.change(
        "Secret",
        "super",
        json!({ "stringData": { "password": "third" } }),
    )
    .await;
    let changed = all.guest("postgres", "third", "one").await;
    let login = || async {
        sql::connect(&changed)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    };
    wait::until_done(&all.narrator, "the new password", login)
        .await
        .unwrap_or_else(|trouble| panic!("{trouble}"));

    all.delete("Cluster", "kcp").await;
    all.gone("Service", "kcp-rw").await;
    let orphan = all
        .until("Database", "db-one", |database| {
            database.data["status"]["applied"] == false
        })
        .await;
    assert_eq!(
        orphan.data["status"]["message"],
        "cluster resource has been deleted, skipping reconciliation"
    );
    all.delete("Database", "db-one").await;
    all.gone("Database", "db-one").await;
    assert!(sql::connect(&changed).await.is_err(), "its server is gone");
    all.leave().await;
}

#[tokio::test]
async fn unnamed_secrets_are_generated_and_a_dead_server_shows() {
    let all = Rehearsal::set().await;
    all.create(cluster(&json!({ "enableSuperuserAccess": true })))
        .await;
    all.until("Cluster", "kcp", ready).await;
    let app = all
        .api("Secret")
        .get("kcp-app")
        .await
        .expect("it is generated");
    assert_eq!(app.data["type"], "kubernetes.io/basic-auth");
    assert_eq!(
        app.data["data"].as_object().map(serde_json::Map::len),
        Some(11)
    );
    all.api("Secret")
        .get("kcp-superuser")
        .await
        .expect("it is generated");

    all.create(database(
        "bad",
        &json!({ "name": "two", "owner": "nobody", "cluster": { "name": "kcp" } }),
    ))
    .await;
    let refused = all
        .until("Database", "bad", |database| {
            database.data["status"]["applied"] == false
        })
        .await;
    let message = refused.data["status"]["message"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(
        message,
        "while creating database \"two\": role \"nobody\" does not exist"
    );
    let one = json!({ "name": "one", "owner": "app", "cluster": { "name": "kcp" }, "databaseReclaimPolicy": "delete" });
    all.create(database("first", &one)).await;
    all.until("Database", "first", |database| {
        database.data["status"]["applied"] == true
    })
    .await;
    all.create(database("second", &one)).await;
    let second = all
        .until("Database", "second", |database| {
            database.data["status"]["applied"] == false
        })
        .await;
    assert!(
        second.data["status"]["message"]
            .as_str()
            .is_some_and(|message| message.contains("\"first\""))
    );

    // The process number is the first line of a file in its directory.
    let pid = all
        .home
        .data()
        .join(newest(&all.home))
        .join("data/postmaster.pid");
    let pid = std::fs::read_to_string(pid).expect("it runs");
    let kill = std::process::Command::new("kill")
        .args(["-KILL", pid.lines().next().unwrap_or_default()])
        .status();
    assert!(kill.expect("there is kill").success());
    let down = all.until("Cluster", "kcp", |cluster| !ready(cluster)).await;
    assert_eq!(down.data["status"]["readyInstances"], 0);
    assert_eq!(down.data["status"]["currentPrimary"], "kcp-1");
    all.until("Cluster", "kcp", ready).await;
    all.delete("Database", "first").await;
    all.gone("Database", "first").await;
    all.leave().await;
}

fn newest(home: &Home) -> String {
    let mut servers: Vec<_> = std::fs::read_dir(home.data())
        .expect("the directory is there")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    servers.sort();
    servers.pop().expect("there is a server")
}
