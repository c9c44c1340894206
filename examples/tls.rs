//! Offers cert-manager's `Certificate` under a smaller API of our own.
//!
//! ```text
//! consumer's workspace                     service cluster
//! TlsCert  hosts, days          ------->   Certificate  dnsNames, duration, and what the provider fixes
//!          expires, ready       <-------                notAfter, conditions
//! Secret   tls.crt, tls.key     <-------   Secret       tls.crt, tls.key, ca.crt
//! ```
//!
//! `cargo run --example tls` plays both sides inside this process, with a cert-manager of a few lines, and ends by itself.

#[path = "stage/stage.rs"]
mod stage;

use cert_manager::Certificate;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, PostParams};
use kube::{Client, CustomResource, CustomResourceExt as _, ResourceExt as _};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stage::{Stage, Trouble, say, until, until_gone};
use syncagent::{Agent, Exit, Publish, PublishStatus};

/// A certificate for web servers.
#[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[kube(
    group = "tls.acme.io",
    version = "v1",
    kind = "TlsCert",
    namespaced,
    status = "TlsCertStatus"
)]
#[publish(service = Certificate)]
#[publish(
    set(at = "spec.issuerRef.name", value = "acme"),
    set(at = "spec.secretName", value = "{copy.name}-tls")
)]
#[publish(returns(Secret, id = "tls", from = "{copy.name}-tls", name = "{name}-tls", keys = ["tls.crt", "tls.key"]))]
pub struct TlsCertSpec {
    /// The names that it is for.
    #[publish(at = "spec.dnsNames")]
    pub hosts: Vec<String>,
    /// How long it is good for.
    #[publish(at = "spec.duration", with = hours)]
    pub days: u16,
}

/// How a certificate is doing.
#[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
pub struct TlsCertStatus {
    /// The end of its life.
    #[publish(at = "status.notAfter")]
    pub expires: Option<String>,
    /// Whether it can be used.
    #[publish(with = ready)]
    pub ready: Option<bool>,
}

/// cert-manager counts in hours.
fn hours(days: &u16) -> String {
    format!("{}h", u32::from(*days) * 24)
}

/// cert-manager says it in a condition.
fn ready(certificate: &Certificate) -> Option<bool> {
    let conditions = certificate.status.as_ref()?.conditions.as_ref()?;
    conditions
        .iter()
        .find(|it| it.r#type == "Ready")
        .map(|it| it.status == "True")
}

#[tokio::main]
async fn main() -> Result<Exit, Trouble> {
    let stage = Stage::set("tls.acme.io", Certificate::crd()).await?;
    let agent = Agent::new("tls.acme.io")
        .publish::<TlsCert>()
        .connect(stage.service(), stage.provider())
        .notify(|notice| say("agent", notice));
    tokio::select! {
        exit = agent.run() => Ok(exit),
        ended = cert_manager::operate(stage.service()) => ended.map(|()| Exit::stopped()),
        told = story(stage.consumer(), &stage) => told.map(|()| Exit::stopped()),
    }
}

/// What the consumer does and sees; and what the provider could see meanwhile.
async fn story(consumer: Client, stage: &Stage) -> Result<(), Trouble> {
    stage.bind().await?;
    say("consumer", "bound tls.acme.io");

    let orders: Api<TlsCert> = Api::default_namespaced(consumer.clone());
    let hosts = vec!["www.acme.io".to_owned(), "acme.io".to_owned()];
    orders
        .create(
            &PostParams::default(),
            &TlsCert::new("web", TlsCertSpec { hosts, days: 90 }),
        )
        .await?;
    say(
        "consumer",
        "ordered TlsCert web: www.acme.io and acme.io, for 90 days",
    );

    let usable = |it: &TlsCert| {
        it.status
            .as_ref()
            .is_some_and(|it| it.ready == Some(true) && it.expires.is_some())
    };
    let order = until(&orders, "web", "a certificate that is ready", usable).await?;
    let expires = order.status.and_then(|it| it.expires).unwrap_or_default();
    say("consumer", format!("sees web ready, good until {expires}"));

    let secrets: Api<Secret> = Api::default_namespaced(consumer);
    let secret = until(&secrets, "web-tls", "the Secret", |it| it.data.is_some()).await?;
    let keys: Vec<String> = secret.data.unwrap_or_default().into_keys().collect();
    say(
        "consumer",
        format!("has Secret web-tls with {}", keys.join(" and ")),
    );

    let copies: Api<Certificate> = Api::all(stage.service());
    for copy in copies.list(&Default::default()).await? {
        let spec = serde_json::to_string(&copy.spec)?;
        say(
            "provider",
            format!("sees Certificate {} with {spec}", copy.name_any()),
        );
    }

    orders.delete("web", &DeleteParams::default()).await?;
    until_gone(&orders, "web").await?;
    until_gone(&secrets, "web-tls").await?;
    let left = copies.list(&Default::default()).await?.items.len();
    say(
        "consumer",
        format!("deleted web; its Secret is gone, and {left} Certificates are left"),
    );
    Ok(())
}

/// Somebody else's operator and its kind: a stand-in for cert-manager.
mod cert_manager {
    use futures::TryStreamExt as _;
    use k8s_openapi::ByteString;
    use k8s_openapi::api::core::v1::Secret;
    use kube::api::{Api, Patch, PatchParams};
    use kube::runtime::{WatchStreamExt as _, watcher};
    use kube::{Client, CustomResource, ResourceExt as _};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use serde_json::json;
    use syncagent::Condition;

    use super::stage::{Trouble, say};

    #[derive(CustomResource, Clone, Debug, Deserialize, Serialize, JsonSchema)]
    #[kube(
        group = "cert-manager.io",
        version = "v1",
        kind = "Certificate",
        namespaced,
        status = "CertificateStatus"
    )]
    #[serde(rename_all = "camelCase")]
    pub struct CertificateSpec {
        pub dns_names: Vec<String>,
        pub duration: Option<String>,
        pub issuer_ref: IssuerRef,
        pub secret_name: String,
        #[serde(rename = "isCA", skip_serializing_if = "Option::is_none")]
        pub is_ca: Option<bool>,
    }

    #[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
    pub struct IssuerRef {
        pub name: String,
    }

    #[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
    #[serde(rename_all = "camelCase")]
    pub struct CertificateStatus {
        pub not_after: Option<String>,
        pub revision: Option<i64>,
        pub conditions: Option<Vec<Condition>>,
    }

    /// Issues what is ordered: a Secret, and a status that says so.
    pub(crate) async fn operate(client: Client) -> Result<(), Trouble> {
        let all: Api<Certificate> = Api::all(client.clone());
        let mut seen = Box::pin(
            watcher(all, watcher::Config::default())
                .default_backoff()
                .applied_objects(),
        );
        let by = PatchParams::apply("cert-manager").force();
        while let Some(certificate) = seen.try_next().await? {
            if certificate.metadata.deletion_timestamp.is_some() || certificate.status.is_some() {
                continue;
            }
            let namespace = certificate.namespace().unwrap_or_default();
            let (name, spec) = (certificate.name_any(), &certificate.spec);
            let pem = |what: &str| {
                ByteString(
                    format!("-----BEGIN {what} for {}-----", spec.dns_names.join(",")).into_bytes(),
                )
            };
            let data = [
                ("tls.crt", pem("CERTIFICATE")),
                ("tls.key", pem("PRIVATE KEY")),
                ("ca.crt", pem("CA")),
            ];
            let secret = Secret {
                data: Some(data.map(|(key, value)| (key.to_owned(), value)).into()),
                type_: Some("kubernetes.io/tls".to_owned()),
                metadata: kube::core::ObjectMeta {
                    name: Some(spec.secret_name.clone()),
                    ..Default::default()
                },
                ..Secret::default()
            };
            let secrets: Api<Secret> = Api::namespaced(client.clone(), &namespace);
            secrets
                .patch(&spec.secret_name, &by, &Patch::Apply(secret))
                .await?;
            let (now, issuer) = ("2026-11-22T00:00:00Z", &spec.issuer_ref.name);
            let ready = json!({ "type": "Ready", "status": "True", "reason": "Ready", "message": "Certificate is up to date and has not expired", "lastTransitionTime": now });
            let status = json!({ "status": { "notAfter": "2027-02-20T00:00:00Z", "revision": 1, "conditions": [ready] } });
            let certificates: Api<Certificate> = Api::namespaced(client.clone(), &namespace);
            certificates
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                .await?;
            let duration = spec.duration.as_deref().unwrap_or("2160h");
            say(
                "operator",
                format!(
                    "issued {} by {issuer} for {duration}",
                    spec.dns_names.join(", ")
                ),
            );
        }
        Ok(())
    }
}
