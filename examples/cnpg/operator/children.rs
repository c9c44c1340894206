//! The objects that a Cluster brings along in its namespace: Services, and Secrets where it names none. Pure.

use std::collections::BTreeMap;

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Secret, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::kinds::Cluster;

/// Says of an object to which Cluster it belongs.
pub(crate) const CLUSTER_LABEL: &str = "cnpg.io/cluster";
/// The port that every Service of a Cluster offers.
const PORT: u16 = 5432;

/// A user name and its password, as a basic-auth Secret holds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Credentials {
    pub(crate) username: String,
    pub(crate) password: String,
}

impl Credentials {
    /// Reads a Secret of type `kubernetes.io/basic-auth`; an error says what is missing in it.
    pub(crate) fn of(secret: &Secret) -> Result<Self, String> {
        let field = |key: &str| {
            let bytes = secret.data.as_ref().and_then(|data| data.get(key));
            let text = bytes.and_then(|ByteString(bytes)| String::from_utf8(bytes.clone()).ok());
            text.ok_or_else(|| {
                format!(
                    "secret \"{}\" has no text under \"{key}\"",
                    secret.name_any()
                )
            })
        };
        Ok(Self {
            username: field("username")?,
            password: field("password")?,
        })
    }
}

/// Which role a generated Secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum User {
    /// The owner of the first database.
    App,
    /// `postgres`.
    Superuser,
}

impl User {
    fn word(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Superuser => "superuser",
        }
    }

    /// The name of its generated Secret.
    pub(crate) fn secret_name(self, cluster: &str) -> String {
        format!("{cluster}-{}", self.word())
    }
}

/// What all children have in common.
fn meta(cluster: &Cluster, name: String) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: cluster.namespace(),
        labels: Some(BTreeMap::from([(
            CLUSTER_LABEL.to_owned(),
            cluster.name_any(),
        )])),
        owner_references: cluster.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// The Services: the primary, the replicas, any. Outside a cloud, the server's own port is its load balancer, if it has one.
pub(crate) fn services(cluster: &Cluster, load_balancer: bool) -> Vec<Service> {
    let kind = if load_balancer {
        "LoadBalancer"
    } else {
        "ClusterIP"
    };
    let role = [("rw", "primary"), ("ro", "replica"), ("r", "")];
    role.iter()
        .map(|(suffix, role)| {
            let mut selector = BTreeMap::from([(CLUSTER_LABEL.to_owned(), cluster.name_any())]);
            match *role {
                "" => selector.insert("cnpg.io/podRole".to_owned(), "instance".to_owned()),
                role => selector.insert("cnpg.io/instanceRole".to_owned(), role.to_owned()),
            };
            let spec = json!({
                "type": kind,
                "selector": selector,
                "ports": [{ "name": "postgres", "port": PORT, "targetPort": PORT, "protocol": "TCP" }],
            });
            Service {
                metadata: meta(cluster, format!("{}-{suffix}", cluster.name_any())),
                spec: serde_json::from_value(spec).ok(),
                status: None,
            }
        })
        .collect()
}

/// The names of the Services behind which a single primary stands.
pub(crate) fn served(cluster: &str) -> [String; 2] {
    ["rw", "r"].map(|suffix| format!("{cluster}-{suffix}"))
}

/// The status of a Service whose load balancer leads to a port of this machine.
pub(crate) fn address(port: u16) -> serde_json::Value {
    let ingress = json!({ "ip": "127.0.0.1", "ports": [{ "port": port, "protocol": "TCP" }] });
    json!({ "status": { "loadBalancer": { "ingress": [ingress] } } })
}

/// A Secret with everything that an application needs to connect, under the keys of CloudNativePG.
pub(crate) fn secret(cluster: &Cluster, user: User, name: &str, password: &str) -> Secret {
    let namespace = cluster.namespace().unwrap_or_default();
    let host = format!("{}-rw", cluster.name_any());
    let database = match user {
        User::App => cluster.spec.bootstrap.initdb.database.as_str(),
        User::Superuser => "*",
    };
    let uri = |host: &str| format!("postgresql://{name}:{password}@{host}:{PORT}/{database}");
    let jdbc = |host: &str| {
        format!("jdbc:postgresql://{host}:{PORT}/{database}?password={password}&user={name}")
    };
    let near = format!("{host}.{namespace}");
    let full = format!("{near}.svc.cluster.local");
    let data = [
        ("username", name.to_owned()),
        ("user", name.to_owned()),
        ("password", password.to_owned()),
        ("dbname", database.to_owned()),
        ("host", host.clone()),
        ("port", PORT.to_string()),
        (
            "pgpass",
            format!("{host}:{PORT}:{database}:{name}:{password}\n"),
        ),
        ("uri", uri(&near)),
        ("jdbc-uri", jdbc(&near)),
        ("fqdn-uri", uri(&full)),
        ("fqdn-jdbc-uri", jdbc(&full)),
    ];
    let mut metadata = meta(cluster, user.secret_name(&cluster.name_any()));
    let labels = metadata.labels.get_or_insert_default();
    labels.insert("cnpg.io/userType".to_owned(), user.word().to_owned());
    labels.insert("cnpg.io/reload".to_owned(), "true".to_owned());
    Secret {
        metadata,
        type_: Some("kubernetes.io/basic-auth".to_owned()),
        data: Some(
            data.map(|(key, text)| (key.to_owned(), ByteString(text.into_bytes())))
                .into(),
        ),
        ..Secret::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cluster() -> Cluster {
        let object = json!({ "apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster",
            "metadata": { "name": "kcp", "namespace": "tenant", "uid": "u" }, "spec": {} });
        serde_json::from_value(object).expect("a Cluster")
    }

    #[test]
    fn a_generated_secret_has_the_keys_of_the_operator() {
        let secret = secret(&cluster(), User::App, "app", "pw");
        let data = secret.data.clone().expect("it has data");
        let text = |key: &str| String::from_utf8(data[key].0.clone()).expect("text");
        assert_eq!(text("host"), "kcp-rw");
        assert_eq!(text("uri"), "postgresql://app:pw@kcp-rw.tenant:5432/app");
        assert_eq!(
            text("fqdn-jdbc-uri"),
            "jdbc:postgresql://kcp-rw.tenant.svc.cluster.local:5432/app?password=pw&user=app"
        );
        assert_eq!(text("pgpass"), "kcp-rw:5432:app:app:pw\n");
        assert_eq!(data.len(), 11);
        assert_eq!(secret.metadata.name.as_deref(), Some("kcp-app"));
        let both = Credentials::of(&secret).expect("it is basic-auth");
        assert_eq!(
            both,
            Credentials {
                username: "app".to_owned(),
                password: "pw".to_owned()
            }
        );
    }

    #[test]
    fn the_services_are_rw_ro_and_r() {
        for (load_balancer, kind) in [(true, "LoadBalancer"), (false, "ClusterIP")] {
            let services = services(&cluster(), load_balancer);
            let names: Vec<_> = services.iter().map(ResourceExt::name_any).collect();
            assert_eq!(names, ["kcp-rw", "kcp-ro", "kcp-r"]);
            for service in services {
                assert_eq!(service.spec.and_then(|it| it.type_).as_deref(), Some(kind));
            }
        }
    }

    #[test]
    fn a_secret_without_password_says_so() {
        let mut secret = secret(&cluster(), User::Superuser, "postgres", "pw");
        secret
            .data
            .as_mut()
            .expect("it has data")
            .remove("password");
        let told = Credentials::of(&secret).expect_err("no password");
        assert_eq!(
            told,
            "secret \"kcp-superuser\" has no text under \"password\""
        );
    }
}
