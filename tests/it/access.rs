//! Least privilege: the agent runs under exactly the rules that it says it needs.

use serde_json::json;
use syncagent::Definition;
use syncagent_core::access::{provider_rules, service_rules};
use syncagent_core::definition::{Find, Labelled, RelatedRule, SchemaSource, Side, StatusRule};
use syncagent_core::publication::Publications;

use crate::stage::{CRDS, EXPORT, Stage, gone, play};
use crate::things;
use crate::world::{change, created, eventually, skipped, status};

#[test]
fn the_agent_runs_under_exactly_the_rules_that_it_computes() {
    play(|| async {
        let thing = things::kind("Thing");
        let secret = things::core("Secret");
        let mut stage = Stage::set(vec![things::connected("Thing")]).await;
        if !confined(&stage) {
            return;
        }
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

/// Whether the agent is somebody of its own on both servers; says aloud where it is not.
fn confined(stage: &Stage) -> bool {
    let confined = stage.user.kcp.is_confined() && stage.user.service.is_confined();
    if !confined {
        skipped("the agent is the administrator where no list of users is given");
    }
    confined
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
        if !confined(&stage) {
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

        let crd = format!("{CRDS}/{}", things::named("Thing"));
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
        if !confined(&stage) {
            return;
        }
        let publications = Publications::compile("agent", &stage.definitions).unwrap();
        let mut rules = service_rules(&publications);
        rules.retain(|rule| rule["resources"][0] != "customresourcedefinitions");
        stage.export(&json!({})).await;
        stage.grant(&rules, &provider_rules(EXPORT)).await;
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
