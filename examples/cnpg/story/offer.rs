//! What `main.rs` declares, without any server.

use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};
use syncagent::definition::{ReadRule, Sources};
use syncagent::{Agent, Definition, Publish, View};

use super::stage::{CLUSTER_CRD, DATABASE_CRD};
use crate::{Cluster, Database, connection};

fn crd(yaml: &str) -> Value {
    serde_yaml::from_str(yaml).expect("manifests are right")
}

fn credentials(user: &str) -> Value {
    let secret =
        json!({ "metadata": { "name": "kcp-postgres" }, "stringData": { "username": user } });
    let mut secret: Secret = serde_json::from_value(secret).expect("a Secret");
    let text = |text: &str| k8s_openapi::ByteString(text.as_bytes().to_vec());
    let data =
        [("username", user), ("password", "pw")].map(|(key, value)| (key.to_owned(), text(value)));
    secret.data = Some(data.into());
    serde_json::to_value(secret).expect("plain data")
}

/// The order of the story, and what belongs to it on the service cluster.
fn sources(service: Option<Value>) -> Sources {
    let order = super::wait::documents(super::consumer::ORDER).expect("manifests are right");
    let order = order.iter().find(|object| {
        object
            .types
            .as_ref()
            .is_some_and(|types| types.kind == "Cluster")
    });
    let order = serde_json::to_value(order).expect("plain data");
    let definition: Definition = Cluster::definition();
    let Some(syncagent::definition::ReturnSource::With { reads, .. }) =
        definition.returns.first().map(|rule| rule.source.clone())
    else {
        panic!("the connection is composed");
    };
    let rule: ReadRule = reads.into_iter().next().expect("of a Service");
    Sources::new(order, None)
        .with_read(rule, service)
        .with_taken("spec.bootstrap.initdb.secret", Some(credentials("app")))
}

fn service(of: &str, status: &Value) -> Value {
    let spec = json!({ "type": of, "ports": [{ "port": 5432, "protocol": "TCP" }] });
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "kcp-rw", "namespace": "tenant" },
        "spec": spec, "status": status })
}

/// What a Secret says of how to connect, with such a Service.
fn composed(service: Value) -> [String; 3] {
    let view = View::<Cluster>::of(&sources(Some(service)));
    let secret = connection(&view).expect("everything is there");
    let text = secret.string_data.expect("it has text");
    ["host", "port", "uri"].map(|key| text[key].clone())
}

#[test]
fn nothing_is_wrong_with_it() {
    let agent = Agent::new("postgresql.cnpg.io")
        .publish::<Cluster>()
        .publish::<Database>();
    agent
        .check()
        .unwrap_or_else(|problems| panic!("{problems}"));
    Cluster::definition()
        .check(&crd(CLUSTER_CRD))
        .unwrap_or_else(|problems| panic!("{problems}"));
    Database::definition()
        .check(&crd(DATABASE_CRD))
        .unwrap_or_else(|problems| panic!("{problems}"));
}

#[test]
fn a_connection_is_made_of_the_address_and_the_consumers_credentials() {
    let ingress = json!({ "ip": "127.0.0.1", "ports": [{ "port": 40123, "protocol": "TCP" }] });
    let there = service(
        "LoadBalancer",
        &json!({ "loadBalancer": { "ingress": [ingress] } }),
    );
    let view = View::<Cluster>::of(&sources(Some(there)));
    let secret = connection(&view).expect("everything is there");
    let text = secret.string_data.expect("it has text");
    assert_eq!(text["uri"], "postgresql://app:pw@127.0.0.1:40123/app");
    assert_eq!(
        (text["host"].as_str(), text["port"].as_str()),
        ("127.0.0.1", "40123")
    );
    assert_eq!(
        (
            text["user"].as_str(),
            text["password"].as_str(),
            text["dbname"].as_str()
        ),
        ("app", "pw", "app")
    );
}

#[test]
fn without_an_address_there_is_no_connection_yet() {
    let pending = service("LoadBalancer", &json!({ "loadBalancer": {} }));
    for service in [None, Some(pending)] {
        let view = View::<Cluster>::of(&sources(service));
        assert!(connection(&view).is_none());
    }
}

#[test]
fn a_load_balancer_of_a_cloud_has_the_port_of_its_service_and_may_have_a_name() {
    for (ingress, host) in [
        (json!({ "ip": "192.0.2.7" }), "192.0.2.7"),
        (json!({ "hostname": "lb.example.com" }), "lb.example.com"),
    ] {
        let status = json!({ "loadBalancer": { "ingress": [ingress] } });
        let [told, port, _] = composed(service("LoadBalancer", &status));
        assert_eq!((told.as_str(), port.as_str()), (host, "5432"));
    }
}

#[test]
fn without_a_load_balancer_the_connection_leads_there_inside_the_cluster() {
    let told = composed(service("ClusterIP", &json!({ "loadBalancer": {} })));
    let uri = "postgresql://app:pw@kcp-rw.tenant.svc:5432/app";
    assert_eq!(told, ["kcp-rw.tenant.svc", "5432", uri]);
}
