//! What the engine relies on in a kcp and no recording shows, asked of whatever kcp is at hand.
//!
//! `syncagent-embedded/tests/it/kcp.rs` holds the embedded one to the same; here a real one is.

use serde_json::{Value, json};
use syncagent_core::io::clients::{JSON_PATCH, Server, object};

use crate::stage::{Consumer, EXPORT, Stage, play};
use crate::things;
use crate::world::{User, change, eventually, skipped};

/// An export that offers things, a workspace that binds it, and no agent that interferes.
async fn offered() -> (Stage, Consumer) {
    let mut stage = Stage::running(vec![things::plain("Thing")]).await;
    let consumer = stage.consumer("consumer").await;
    stage.stop().await;
    (stage, consumer)
}

/// The same, with an order.
async fn ordered() -> (Stage, Consumer) {
    let (stage, consumer) = offered().await;
    let spec = json!({"size": 1});
    consumer.order(&things::kind("Thing"), "a", &spec).await;
    (stage, consumer)
}

/// A workspace as a user sees it through the export's virtual workspace.
fn view(stage: &Stage, user: &User, cluster: &str) -> Server {
    let provider = &stage.provider.cluster;
    let path = format!("/services/apiexport/{provider}/{EXPORT}/clusters/{cluster}");
    stage.world.seen_by(user, &path)
}

/// A user of the kcp; says aloud where there is none.
fn somebody(stage: &Stage, name: &str) -> Option<User> {
    let user = stage.world.user(&stage.world.unique(name));
    let confined = user.kcp.is_confined();
    if !confined {
        skipped("a kcp without a list of users knows its administrator only");
    }
    confined.then_some(user)
}

fn order() -> String {
    object(&things::kind("Thing"), Some("default"), "a")
}

async fn code(server: &Server, path: &str) -> u16 {
    server.get(path).await.unwrap().code
}

#[test]
fn an_annotation_is_added_where_there_are_none_but_that_of_kcp() {
    play(|| async {
        let (stage, consumer) = ordered().await;
        let view = view(&stage, &stage.user, &consumer.cluster);
        let patch = json!([{"op": "add", "path": "/metadata/annotations/mine", "value": "1"}]);
        let reply = view.patch(&order(), JSON_PATCH, &patch).await.unwrap();
        assert!(reply.is_success(), "{reply:?}");
        let annotations = json!({"kcp.io/cluster": consumer.cluster, "mine": "1"});
        assert_eq!(reply.body["metadata"]["annotations"], annotations);
    });
}

/// What makes somebody an agent is to enter the export's workspace, and `content` of the export; none of it opens the
/// consumer's own workspace.
#[test]
fn an_agent_needs_to_enter_and_content_of_the_export_only() {
    play(|| async {
        let (stage, consumer) = ordered().await;
        let enter = json!({"nonResourceURLs": ["/"], "verbs": ["access"]});
        let content = json!({"apiGroups": ["apis.kcp.io"], "resources": ["apiexports/content"],
            "resourceNames": [EXPORT], "verbs": ["*"]});
        // The last grant is waited for, and then the others are in force too.
        let mut users = Vec::new();
        for (name, rules, expected) in [
            ("outsider", vec![content.clone()], 403),
            ("visitor", vec![enter.clone()], 403),
            ("other", vec![enter, content], 200),
        ] {
            let Some(user) = somebody(&stage, name) else {
                return;
            };
            stage.enable(&user, &rules).await;
            users.push((name, user, expected));
        }
        for (name, user, expected) in users {
            let seen = view(&stage, &user, &consumer.cluster);
            assert_eq!(code(&seen, &order()).await, expected, "{name}");
            let own = format!("/clusters/{}", consumer.cluster);
            let own = stage.world.seen_by(&user, &own);
            assert_eq!(code(&own, &order()).await, 403, "{name}");
        }
    });
}

#[test]
fn a_consumer_cannot_read_another_workspace() {
    play(|| async {
        let (stage, consumer) = offered().await;
        consumer.secret("theirs", "x").await;
        let home = stage.world.workspace("home").await;
        let Some(owner) = somebody(&stage, "owner") else {
            return;
        };
        crate::stage::own(&home.api, &owner.kcp.name).await;
        let secrets = "/api/v1/namespaces/default/secrets";
        let mine = stage.world.seen_by(&owner, &home.path);
        eventually("the owner may enter", || async {
            (code(&mine, secrets).await == 200).then_some(())
        })
        .await;
        let other = stage
            .world
            .seen_by(&owner, &format!("/clusters/{}", consumer.cluster));
        assert_eq!(code(&other, &format!("{secrets}/theirs")).await, 403);
        assert_eq!(code(&other, secrets).await, 403);
    });
}

#[test]
fn deleting_a_workspace_waits_for_finalizers() {
    play(|| async {
        let (stage, consumer) = ordered().await;
        let hold = json!({"metadata": {"finalizers": ["agent.example.io/hold"]}});
        change(&consumer.api, &order(), &hold).await;
        let view = view(&stage, &stage.user, &consumer.cluster);
        stage.world.delete_workspace("consumer").await;
        eventually("the order is being deleted", || async {
            let order = view.get(&order()).await.unwrap().body;
            order["metadata"]["deletionTimestamp"]
                .is_string()
                .then_some(())
        })
        .await;
        assert!(stage.world.has_workspace("consumer").await);
        change(
            &view,
            &order(),
            &json!({"metadata": {"finalizers": Value::Null}}),
        )
        .await;
        eventually("the workspace is gone", || async {
            (!stage.world.has_workspace("consumer").await).then_some(())
        })
        .await;
    });
}
