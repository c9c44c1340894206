//! Least privilege: the agent runs under exactly the rules that it says it needs.

use serde_json::{Value, json};
use syncagent_core::access::{provider_rules, service_rules};
use syncagent_core::io::clients::Server;
use syncagent_core::publication::Publications;

use crate::stage::{EXPORT, Stage, gone, play};
use crate::things;
use crate::world::{created, skipped};

/// Gives a user these rules and no others.
async fn grant(api: &Server, user: &str, rules: &[Value]) {
    let path = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": user}, "rules": rules});
    created(api.post(&format!("{path}/clusterroles"), &role).await);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    created(
        api.post(&format!("{path}/clusterrolebindings"), &binding)
            .await,
    );
}

#[test]
fn the_agent_runs_under_exactly_the_rules_that_it_computes() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::set(vec![things::connected("Thing")]).await;
        let (Some(kcp), Some(service)) = (
            stage.world.embedded_kcp().cloned(),
            stage.world.embedded_service().cloned(),
        ) else {
            return skipped("it gives users of its own to embedded servers");
        };
        let publications = Publications::compile("agent", &stage.definitions).unwrap();
        grant(&stage.service, "agent", &service_rules(&publications)).await;
        grant(&stage.provider.api, "agent", &provider_rules(EXPORT)).await;
        stage.act_as(&kcp.user("agent", &[]), &service.user("agent", &[]));

        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.secret("app", "one").await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "first": {"name": "app"}}))
            .await;
        consumer.there(&thing, "a", things::synced).await;
        stage.service(&consumer, "a-rw").await;
        stage.address(&consumer, "a-rw", "10.0.0.7").await;
        consumer.there(&secret, "a-connection", |_| true).await;
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        gone(&stage.service, &secret, &consumer.cluster, "app.taken").await;
        stage.calm().await;
        let forbidden: Vec<_> = stage
            .requests()
            .into_iter()
            .filter(|line| line.contains("403"))
            .collect();
        assert_eq!(forbidden, Vec::<String>::new());
        stage.stop().await;
    });
}
