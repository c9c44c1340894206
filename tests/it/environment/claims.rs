//! Claims that a consumer does not accept, or accepts later, or takes back.

use serde_json::{Value, json};

use super::alive;
use crate::spent::Spent;
use crate::stage::{Consumer, Stage, play};
use crate::things;
use crate::world::eventually;

/// Puts all claims of a binding into a state.
async fn decide(stage: &Stage, consumer: &Consumer, state: &str) {
    let path = "/apis/apis.kcp.io/v1alpha2/apibindings/things";
    let mut claims = stage.exported().await["spec"]["permissionClaims"].clone();
    for claim in claims.as_array_mut().into_iter().flatten() {
        claim["selector"] = json!({"matchAll": true});
        claim["state"] = json!(state);
    }
    let patch = json!({"spec": {"permissionClaims": claims}});
    eventually("the binding is changed", || async {
        let kind = syncagent_core::io::clients::MERGE_PATCH;
        let reply = consumer.api.patch(path, kind, &patch).await.unwrap();
        reply.is_success().then_some(())
    })
    .await;
}

fn unsynced(order: &Value) -> bool {
    things::condition(order)["status"] == "False"
}

#[test]
fn a_claim_that_is_not_accepted_is_a_condition_and_no_storm() {
    for state in [Some("Rejected"), None] {
        play(|| async {
            let thing = things::kind("Thing");
            let mut stage = Stage::running(vec![things::taking("Thing")]).await;
            let workspace = stage.world.workspace("consumer").await;
            let consumer = stage.bind(workspace, |_| state).await;
            let other = stage.consumer("other").await;
            consumer.secret("one", "x").await;
            let spec = json!({"size": 1, "first": {"name": "one"}});
            let spent = Spent::from_here(&stage);
            for n in 0..10 {
                consumer.order(&thing, &format!("t{n}"), &spec).await;
            }
            for n in 0..10 {
                let order = consumer.there(&thing, &format!("t{n}"), unsynced).await;
                let said = things::condition(&order)["message"]
                    .as_str()
                    .unwrap()
                    .to_owned();
                assert!(said.contains("Secret"), "{said}");
                assert!(!said.contains(&consumer.cluster), "{said}");
            }
            stage.calm().await;
            Spent::over(&stage, 20).await.at_most(25);
            // Neighbours are not concerned.
            other.order(&thing, "a", &json!({"size": 1})).await;
            other.there(&thing, "a", things::synced).await;

            decide(&stage, &consumer, "Accepted").await;
            for n in 0..10 {
                consumer
                    .there(&thing, &format!("t{n}"), things::synced)
                    .await;
            }
            alive(&stage, &consumer, &thing, "t0", 2).await;
            spent.at_most(120);
            stage.stop().await;
        });
    }
}

#[test]
fn a_claim_that_is_taken_back_deletes_nothing() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::running(vec![things::taking("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("one", "x").await;
        let spec = json!({"size": 1, "first": {"name": "one"}});
        consumer.order(&thing, "a", &spec).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;

        let spent = Spent::from_here(&stage);
        decide(&stage, &consumer, "Rejected").await;
        Spent::over(&stage, 20).await.at_most(10);
        stage.copy(&consumer, &thing, "a").await;
        stage.copy(&consumer, &secret, "one.taken").await;
        // Changes of the order still come down, as far as they can.
        let path = things::path(&thing, "default", "a");
        crate::world::change(&consumer.api, &path, &json!({"spec": {"size": 7}})).await;
        crate::stage::there(&stage.service, &thing, &consumer.cluster, "a", |c| {
            c["spec"]["size"] == 7
        })
        .await;
        Spent::over(&stage, 5).await.at_most(10);

        decide(&stage, &consumer, "Accepted").await;
        consumer.there(&thing, "a", things::synced).await;
        stage.copy(&consumer, &secret, "one.taken").await;
        alive(&stage, &consumer, &thing, "a", 3).await;
        assert!(!super::retired(&stage));
        spent.at_most(15);
        stage.stop().await;
    });
}
