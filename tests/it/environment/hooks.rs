//! Others who write to what we wrote: webhooks and controllers.

use serde_json::{Value, json};
use syncagent_core::io::clients::Server;

use super::{alive, settled};
use crate::spent::{MINUTE, Spent, pass};
use crate::stage::{Stage, play, there};
use crate::things;
use crate::world::{World, change, created, eventually, own_labels};

/// Installs an admission policy for the things of this test, which does to a real service cluster what a webhook does to an
/// embedded one, and waits until it acts on this object.
async fn policy(
    service: &Server,
    of: &str,
    spec: &Value,
    binding: &Value,
    acts: impl Fn(u16, &Value) -> bool,
) {
    let name = format!("{}.{}", of.to_lowercase(), crate::world::group());
    let meta = json!({"name": name, "labels": own_labels()});
    let version = "admissionregistration.k8s.io/v1";
    let mut spec = spec.clone();
    spec["failurePolicy"] = json!("Fail");
    spec["matchConstraints"] = json!({"resourceRules": [{"apiGroups": [crate::world::group()], "apiVersions": ["*"],
        "operations": ["CREATE", "UPDATE"], "resources": ["things"]}]});
    let mut bound = binding.clone();
    bound["policyName"] = json!(name);
    for (kind, plural, spec) in [
        (format!("{of}AdmissionPolicy"), "policies", &spec),
        (
            format!("{of}AdmissionPolicyBinding"),
            "policybindings",
            &bound,
        ),
    ] {
        let path = format!("/apis/{version}/{}admission{plural}", of.to_lowercase());
        let object = json!({"apiVersion": version, "kind": kind, "metadata": meta, "spec": spec});
        created(service.post(&path, &object).await);
    }
    let thing = things::kind("Thing");
    let path = syncagent_core::io::clients::collection(&thing, Some("default"));
    let mut tried = things::order(&thing, "tried", &json!({"size": 13}));
    tried["metadata"]["labels"] = json!({"a": "label"});
    eventually("the policy acts", || async {
        let reply = service
            .post(&format!("{path}?dryRun=All"), &tried)
            .await
            .unwrap();
        acts(reply.code, &reply.body).then_some(())
    })
    .await;
}

async fn cap(service: &Server) {
    let patch = r#"[JSONPatch{op: "add", path: "/spec/size", value: object.spec.size > 5 ? 5 : object.spec.size},
        JSONPatch{op: "add", path: "/spec/note", value: "capped"},
        JSONPatch{op: "add", path: "/metadata/labels/policy", value: "cap"}]"#;
    let spec = json!({"reinvocationPolicy": "Never",
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}]});
    let capped = |_, object: &Value| object["spec"] == json!({"size": 5, "note": "capped"});
    policy(service, "Mutating", &spec, &json!({}), capped).await;
}

async fn deny(service: &Server) {
    let spec =
        json!({"validations": [{"expression": "object.spec.size != 13", "message": "unlucky"}]});
    let denied = |code, _: &Value| code == 422;
    let binding = json!({"validationActions": ["Deny"]});
    policy(service, "Validating", &spec, &binding, denied).await;
}

/// A webhook caps a field, and adds some. What it made of our intent is what we compare with: there is nothing to set
/// right, not by us and not after a restart.
#[test]
fn a_webhook_that_rewrites_what_we_write_settles() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        match stage.world.embedded_service() {
            Some(service) => service.webhook("cap.example.io", |write, object| {
                if write.target.plural == "things" && write.target.subresource.is_empty() {
                    let size = object["spec"]["size"].as_i64().unwrap_or_default();
                    object["spec"]["size"] = json!(size.min(5));
                    object["spec"]["note"] = json!("capped");
                    object["metadata"]["labels"]["policy"] = json!("cap");
                }
                Ok(())
            }),
            None => cap(&stage.service).await,
        }
        let consumer = stage.consumer("consumer").await;
        let spent = Spent::from_here(&stage);
        settled(&consumer, &thing, &["small"]).await;
        consumer
            .order(&thing, "large", &json!({"size": 50, "note": "mine"}))
            .await;
        consumer.there(&thing, "large", things::synced).await;
        let copy = stage.copy(&consumer, &thing, "large").await;
        assert_eq!(copy["spec"], json!({"size": 5, "note": "capped"}));
        stage.calm().await;
        stage.forget();
        stage.calm().await;
        stage.asked_exactly(&[]);
        Spent::over(&stage, 10).await.at_most(9);

        stage.stop().await;
        stage.start();
        stage.calm().await;
        let writes = stage.asked(|verb| !["get", "list", "watch"].contains(&verb));
        assert!(writes.is_empty(), "{writes:#?}");
        let order = things::path(&thing, "default", "large");
        change(&consumer.api, &order, &json!({"spec": {"size": 3}})).await;
        there(&stage.service, &thing, &consumer.cluster, "large", |c| {
            c["spec"]["size"] == 3
        })
        .await;
        alive(&stage, &consumer, &thing, "small", 4).await;
        spent.at_most(30);
        stage.stop().await;
    });
}

/// A webhook that denies everything is the service's refusal: a condition, and a look now and then.
#[test]
fn a_webhook_that_denies_is_told_to_the_consumer() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        match stage.world.embedded_service() {
            Some(service) => service.webhook("deny.example.io", |write, object| {
                if write.target.plural == "things" && object["spec"]["size"] == 13 {
                    return Err("unlucky".to_owned());
                }
                Ok(())
            }),
            None => deny(&stage.service).await,
        }
        let consumer = stage.consumer("consumer").await;
        let spent = Spent::from_here(&stage);
        consumer.order(&thing, "a", &json!({"size": 13})).await;
        consumer
            .there(&thing, "a", |o| things::condition(o)["status"] == "False")
            .await;
        stage.calm().await;
        Spent::over(&stage, 10).await.at_most(11);
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"size": 12}})).await;
        consumer.there(&thing, "a", things::synced).await;
        spent.at_most(15);
        stage.stop().await;
    });
}

/// A controller that sets a field of every copy, every second, to something new each time, for ever. It is answered a few
/// times; then it has the field, and what it does to it costs nothing.
#[test]
fn a_controller_that_fights_for_a_field_is_not_fought_for_ever() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::running(vec![things::plain("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let names = ["a", "b", "c", "d", "e"];
        settled(&consumer, &thing, &names).await;
        settled(&consumer, &thing, &["peaceful"]).await;
        stage.calm().await;
        let spent = Spent::from_here(&stage);
        let rounds = if World::is_real() { 20 } else { 600 };
        let fighting = async {
            for round in 0..rounds {
                for name in names {
                    let copy = things::path(&thing, &consumer.cluster, name);
                    let size = json!({"spec": {"size": 20 + round % 50}});
                    change(&stage.service, &copy, &size).await;
                }
                tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            }
        };
        let counting = async {
            pass(MINUTE).await;
            Spent::over(&stage, 8).await.at_most(8);
            alive(&stage, &consumer, &thing, "peaceful", 7).await;
        };
        tokio::join!(fighting, counting);
        // What is not fought for still follows the order.
        let order = things::path(&thing, "default", "a");
        change(&consumer.api, &order, &json!({"spec": {"note": "ours"}})).await;
        there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["note"] == "ours"
        })
        .await;
        spent.at_most(45);
        stage.stop().await;
    });
}
