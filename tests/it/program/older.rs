//! A kcp of before `apis.kcp.io/v1alpha2`: exports are read and written in v1alpha1, as the Go agent does it with every kcp.

use serde_json::{Value, json};
use syncagent_core::access::program::{
    cluster_rules, default_rules, export_rules, kind_rule, namespace_rules, slice_rules,
};
use syncagent_core::cli::flags::Flags;

use super::Site;
use crate::published::{definition, publish, schema_of, things_of};
use crate::stage::{EXPORT, Stage, install, play, there};
use crate::things;
use crate::world::{World, change, created, eventually, group, skipped_for};

const EXPORTS: &str = "/apis/apis.kcp.io/v1alpha1/apiexports";
const NEWER: &str = "/apis/apis.kcp.io/v1alpha2";

/// The same servers, with a kcp that knows v1alpha1 alone.
async fn years_ago(site: Site) -> Site {
    let world = &site.0.world;
    let held = |server: Option<&syncagent_embedded::Server>| server.unwrap().held();
    let kcp = syncagent_embedded::Server::kcp().holding(held(world.embedded_kcp()));
    let service = syncagent_embedded::Server::kubernetes();
    let service = service.holding(held(world.embedded_service()));
    let old = World::built(kcp.without_v1alpha2(), service).called(world.run());
    let stage = Stage::left_in(old, site.0.definitions.clone()).await;
    let kinds = stage.definitions.iter().map(|it| kind_rule(&it.service));
    let rules = [namespace_rules(), default_rules(), cluster_rules()].concat();
    let rules: Vec<Value> = rules.into_iter().chain(kinds).collect();
    let provider = [export_rules(EXPORT), slice_rules(EXPORT)].concat();
    stage.grant(&rules, &provider).await;
    Site(stage)
}

async fn export(stage: &Stage) -> Value {
    let path = format!("{EXPORTS}/{EXPORT}");
    stage.provider.api.get(&path).await.unwrap().body
}

#[test]
fn s3_4_a_kcp_without_v1alpha2_is_spoken_to_in_v1alpha1() {
    if World::is_real() {
        return skipped_for(
            "it takes a kcp without v1alpha2",
            "an older executable of kcp would do",
        );
    }
    play(|| async {
        let site = Site::new(vec![things::plain("Thing")]).await;
        install(&site.0.service, &definition()).await;
        // What somebody else wrote, by name and in full.
        let theirs = json!({"spec": {"permissionClaims": [
            {"resource": "configmaps", "resourceSelector": [{"name": "a", "namespace": "default"}]},
            {"resource": "serviceaccounts", "all": true},
        ]}});
        let path = format!("{EXPORTS}/{EXPORT}");
        change(&site.0.provider.api, &path, &theirs).await;

        let site = years_ago(site).await;
        let stage = &site.0;
        let newer = stage.provider.api.get(NEWER).await.unwrap();
        assert_eq!(newer.code, 404, "it is an older one");
        let filter = json!({"filter": {"namespace": {"matchLabels": {"team": "a"}}}});
        publish(stage, &things_of("things", filter)).await;
        let running = site.start(site.flags());
        let schema = schema_of(stage, "things").await;
        let filled = export(stage).await;
        assert_eq!(filled["apiVersion"], "apis.kcp.io/v1alpha1");
        assert_eq!(filled["spec"]["latestResourceSchemas"], json!([schema]));
        assert_eq!(
            filled["spec"]["permissionClaims"],
            json!([
                {"resource": "configmaps", "resourceSelector": [{"name": "a", "namespace": "default"}]},
                {"resource": "events", "all": true},
                {"resource": "namespaces", "all": true},
                {"resource": "serviceaccounts", "all": true},
            ])
        );
        let agent = &filled["metadata"]["annotations"]["syncagent.kcp.io/agent-name"];
        assert_eq!(*agent, site.agent());
        assert!(running.stopped().await.is_stopped());

        // It is settled, and says so.
        stage.notices.lock().unwrap().clear();
        let looking = Flags {
            dry_run: Some(true),
            ..site.flags()
        };
        assert!(site.process(looking).run().await.is_stopped());
        assert_eq!(export(stage).await, filled);

        // A consumer accepts the claims in the same words, orders, and reads a status.
        let workspace = stage.world.workspace("consumer").await;
        let bindings = "/apis/apis.kcp.io/v1alpha1/apibindings";
        let accepted = ["events", "namespaces"].map(
            |resource| json!({"group": "", "resource": resource, "all": true, "state": "Accepted"}),
        );
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIBinding",
            "metadata": {"name": "things"}, "spec": {"permissionClaims": accepted,
                "reference": {"export": {"path": stage.provider.canonical, "name": EXPORT}}}});
        created(workspace.api.post(bindings, &binding).await);
        let team = json!({"metadata": {"labels": {"team": "a"}}});
        change(&workspace.api, "/api/v1/namespaces/default", &team).await;
        let thing = things::kind("Thing");
        let order = eventually("the kind is served", || async {
            let body = json!({"apiVersion": format!("{}/v1", group()), "kind": "Thing",
                "metadata": {"name": "a"}, "spec": {"size": 3}});
            let path = syncagent_core::io::clients::collection(&thing, Some("default"));
            let made = workspace.api.post(&path, &body).await.unwrap();
            made.is_success().then_some(made.body)
        })
        .await;
        let running = site.start(site.flags());
        let cluster = order["metadata"]["annotations"]["kcp.io/cluster"].as_str();
        let cluster = cluster.unwrap();
        there(&stage.service, &thing, cluster, "a", |it| {
            it["spec"]["size"] == 3
        })
        .await;
        let copy = things::path(&thing, cluster, "a");
        let ready = json!({"phase": "ready"});
        crate::world::status(&stage.service, &copy, &ready).await;
        eventually("the consumer reads the status", || async {
            let path = things::path(&thing, "default", "a");
            let order = workspace.api.get(&path).await.unwrap().body;
            (order["status"]["phase"] == "ready").then_some(())
        })
        .await;
        eventually("the consumer reads an event", || async {
            let path = "/api/v1/namespaces/default/events";
            let events = workspace.api.get(path).await.unwrap().body;
            let all = events["items"].as_array()?;
            all.iter()
                .any(|it| it["reason"] == "ObjectPlaced")
                .then_some(())
        })
        .await;
        assert!(running.stopped().await.is_stopped());
    });
}
