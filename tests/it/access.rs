//! Least privilege: the agent runs under exactly the rules that it says it needs.

use serde_json::{Value, json};
use syncagent::Definition;
use syncagent_core::access::{provider_rules, service_rules};
use syncagent_core::definition::{Find, Labelled, RelatedRule, SchemaSource, Side, StatusRule};
use syncagent_core::io::clients::Server;
use syncagent_core::publication::Publications;

use crate::stage::{CRDS, EXPORT, Stage, gone, play};
use crate::things;
use crate::world::{change, created, eventually, skipped, status};

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

/// An agent that may do what is computed, and nothing else.
async fn confined(stage: &mut Stage) -> bool {
    let (Some(kcp), Some(service)) = (
        stage.world.embedded_kcp().cloned(),
        stage.world.embedded_service().cloned(),
    ) else {
        skipped("it gives users of its own to embedded servers");
        return false;
    };
    let publications = Publications::compile("agent", &stage.definitions).unwrap();
    grant(&stage.service, "agent", &service_rules(&publications)).await;
    grant(&stage.provider.api, "agent", &provider_rules(EXPORT)).await;
    stage.act_as(&kcp.user("agent", &[]), &service.user("agent", &[]));
    true
}

fn forbidden(stage: &Stage) -> Vec<String> {
    let all = stage.asked(|_| true).into_iter();
    all.filter(|line| line.contains("403")).collect()
}

#[test]
fn the_rules_are_enough_for_filters_statuses_and_a_crd_that_changes() {
    play(|| async {
        let (thing, part) = (things::kind("Thing"), things::kind("Part"));
        let mut rule = RelatedRule::new(
            "parts",
            Side::Workspace,
            part.clone(),
            Find::Labels(Labelled::label("for", "{name}")),
        );
        rule.status = true;
        let mut definition = Definition {
            schema: SchemaSource::Cluster,
            status: StatusRule::Whole,
            related: vec![rule],
            ..things::plain("Thing")
        };
        definition.only.namespace_selector.labels = vec![("team".into(), "a".into())];
        let mut stage = Stage::set(vec![definition, things::plain("Part")]).await;
        if !confined(&mut stage).await {
            return;
        }
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        let label = json!({"metadata": {"labels": {"team": "a"}}});
        change(&consumer.api, "/api/v1/namespaces/default", &label).await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        let mut one = things::order(&part, "one", &json!({"size": 1}));
        one["metadata"]["labels"] = json!({"for": "a"});
        let parts = syncagent_core::io::clients::collection(&part, Some("default"));
        created(consumer.api.post(&parts, &one).await);
        consumer.there(&thing, "a", things::synced).await;
        let path = things::path(&part, "default", "one");
        status(&consumer.api, &path, &json!({"phase": "new"})).await;

        let crd = format!("{CRDS}/things.example.io");
        let mut versions = stage.service.get(&crd).await.unwrap().body["spec"]["versions"].clone();
        versions[0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["more"] =
            json!({"type": "string"});
        let before = stage.exported().await;
        change(
            &stage.service,
            &crd,
            &json!({"spec": {"versions": versions}}),
        )
        .await;
        eventually("another schema is offered", || async {
            (stage.exported().await["spec"] != before["spec"]).then_some(())
        })
        .await;
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        stage.calm().await;
        assert_eq!(forbidden(&stage), Vec::<String>::new());
        stage.stop().await;
    });
}

#[test]
fn an_agent_that_may_not_read_crds_offers_types_of_its_own() {
    play(|| async {
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        if !confined(&mut stage).await {
            return;
        }
        let publications = Publications::compile("agent", &stage.definitions).unwrap();
        let mut rules = service_rules(&publications);
        rules.retain(|rule| rule["resources"][0] != "customresourcedefinitions");
        let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/agent";
        change(&stage.service, role, &json!({"rules": rules})).await;
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.calm().await;
        stage.forget();
        tokio::time::sleep(std::time::Duration::from_secs(120)).await;
        assert_eq!(
            forbidden(&stage),
            Vec::<String>::new(),
            "what is forbidden is not asked again"
        );
        stage.stop().await;
    });
}
