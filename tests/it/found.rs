//! Related objects that are found, against servers: what a selection costs, and what the servers' answers make of it.

use serde_json::{Value, json};
use syncagent_core::definition::{
    Definition, Find, Labelled, ReadRule, RelatedRule, ReturnRule, ReturnSource, Side,
};
use syncagent_core::io::clients::collection;

use crate::stage::{CRDS, Stage, gone, install, play, there};
use crate::things;
use crate::world::{change, created, eventually, status};

/// ConfigMaps of the consumer that name the order in a label go down; Secrets of the operator that name the copy come up.
fn finding(name: &str) -> Definition {
    let labels = |key: &str, value: &str| Find::Labels(Labelled::label(key, value));
    let scripts = RelatedRule::new(
        "scripts",
        Side::Workspace,
        things::core("ConfigMap"),
        labels("for", "{name}"),
    );
    let users = RelatedRule::new(
        "users",
        Side::Service,
        things::core("Secret"),
        labels("cluster", "{copy.name}"),
    );
    Definition {
        related: vec![scripts, users],
        ..things::plain(name)
    }
}

fn labelled(kind: &str, name: &str, labels: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}})
}

/// After a restart nobody knows what an order selects before its first step: the one that ends first waits for that.
#[test]
fn what_another_order_selects_stays_also_before_its_first_step() {
    play(|| async {
        let thing = things::kind("Thing");
        let config = things::core("ConfigMap");
        let mut definition = finding("Thing");
        definition.related.truncate(1);
        definition.related[0].objects = Find::Labels(Labelled::label("for", "all")).into();
        definition.policy.concurrency = Some(1);
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        let configs = "/api/v1/namespaces/default/configmaps";
        let object = labelled("ConfigMap", "one", &json!({"for": "all"}));
        created(consumer.api.post(configs, &object).await);
        for name in ["a", "b"] {
            consumer.order(&thing, name, &json!({"size": 1})).await;
            consumer.there(&thing, name, things::synced).await;
        }
        let copy = things::path(&config, &consumer.cluster, "one.scripts");
        stage.calm().await;
        let before = stage.service.get(&copy).await.unwrap().body;
        stage.stop().await;
        consumer.delete(&thing, "a").await;
        stage.start();
        gone(&consumer.api, &thing, "default", "a").await;
        stage.calm().await;
        let after = stage.service.get(&copy).await.unwrap().body;
        assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
        let held = consumer.get(&config, "one").await.body;
        assert_ne!(held["metadata"]["finalizers"], Value::Null);
        stage.stop().await;
    });
}

#[test]
fn what_is_selected_costs_one_list_and_then_one_look_per_change() {
    play(|| async {
        let thing = things::kind("Thing");
        let config = things::core("ConfigMap");
        let mut stage = Stage::running(vec![finding("Thing")]).await;
        let consumer = stage.consumer("consumer").await;
        let stranger = stage.consumer("stranger").await;
        let configs = "/api/v1/namespaces/default/configmaps";
        for (who, name) in [(&consumer, "one"), (&stranger, "theirs")] {
            let object = labelled("ConfigMap", name, &json!({"for": "a"}));
            assert!(who.api.post(configs, &object).await.unwrap().is_success());
        }
        stage.calm().await;

        stage.forget();
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        stage.copy(&consumer, &thing, "a").await;
        consumer.there(&thing, "a", things::synced).await;
        let one = there(
            &stage.service,
            &config,
            &consumer.cluster,
            "one.scripts",
            |_| true,
        )
        .await;
        assert_eq!(
            one["metadata"]["annotations"]["syncagent.kcp.io/found-by"],
            "scripts"
        );
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp list configmaps",
            "kcp patch things a",
            "kcp get configmaps one",
            "kcp patch configmaps one",
            "kcp patch things/status a",
            "service create namespaces",
            "service patch things a",
            "service list secrets",
            "service patch configmaps one.scripts",
        ]);

        // One joins: its event brings its labels.
        stage.forget();
        let two = labelled("ConfigMap", "two", &json!({"for": "a"}));
        assert!(consumer.api.post(configs, &two).await.unwrap().is_success());
        there(
            &stage.service,
            &config,
            &consumer.cluster,
            "two.scripts",
            |_| true,
        )
        .await;
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp get configmaps two",
            "kcp patch configmaps two",
            "service patch configmaps two.scripts",
        ]);

        // It leaves.
        stage.forget();
        let at = things::path(&config, "default", "two");
        change(
            &consumer.api,
            &at,
            &json!({"metadata": {"labels": {"for": "b"}}}),
        )
        .await;
        gone(&stage.service, &config, &consumer.cluster, "two.scripts").await;
        stage.calm().await;
        stage.asked_exactly(&[
            "kcp patch configmaps two",
            "service delete configmaps two.scripts",
        ]);

        // The operator makes a Secret for the copy.
        stage.forget();
        let secrets = format!("/api/v1/namespaces/{}/secrets", consumer.cluster);
        let mut user = labelled("Secret", "a-app", &json!({"cluster": "a"}));
        user["data"] = json!({"password": "eA=="});
        assert!(
            stage
                .service
                .post(&secrets, &user)
                .await
                .unwrap()
                .is_success()
        );
        let found = || async {
            let all = consumer.api.get("/api/v1/namespaces/default/secrets").await;
            let all = all.unwrap().body["items"].as_array().cloned();
            let up = all.unwrap_or_default().into_iter();
            up.filter(|it| it["metadata"]["annotations"]["syncagent.kcp.io/found-by"] == "users")
                .collect::<Vec<_>>()
        };
        eventually("the user comes up", || async {
            (found().await.len() == 1).then_some(())
        })
        .await;
        stage.calm().await;
        stage.asked_exactly(&["kcp create secrets", "service get secrets a-app"]);
        let up = found().await.remove(0);
        assert_eq!(up["data"]["password"], "eA==");
        assert!(!up.to_string().contains("a-app"), "{up:#}");

        // A restart: one selection per rule and order, and nothing is written.
        stage.stop().await;
        stage.forget();
        stage.start();
        stage.calm().await;
        let mut asked = stage.requests();
        asked.retain(|it| !it.contains(" list ") && !it.contains("customresourcedefinitions"));
        assert_eq!(asked, Vec::<String>::new());

        // Another workspace's object of the same labels is nobody's business here.
        assert!(stranger.get(&config, "theirs").await.body["metadata"]["finalizers"].is_null());

        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        gone(&stage.service, &config, &consumer.cluster, "one.scripts").await;
        stage.calm().await;
        assert!(consumer.get(&config, "one").await.body["metadata"]["finalizers"].is_null());
        assert!(found().await.is_empty());
        stage.stop().await;
    });
}

#[test]
fn a_kind_of_another_publication_is_taken_with_its_status() {
    play(|| async {
        let (thing, gadget) = (things::kind("Thing"), things::kind("Gadget"));
        let mut parts = RelatedRule::new(
            "parts",
            Side::Workspace,
            gadget.clone(),
            Find::reference("spec.note"),
        );
        parts.status = true;
        let things_with_parts = Definition {
            related: vec![parts],
            ..things::plain("Thing")
        };
        let mut stage = Stage::running(vec![things_with_parts, things::plain("Gadget")]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&gadget, "wheel", &json!({"size": 3})).await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "wheel"}))
            .await;
        let service = &stage.service;
        let cluster = &consumer.cluster;
        let own = there(service, &gadget, cluster, "wheel", |_| true).await;
        let part = there(service, &gadget, cluster, "wheel.parts", |_| true).await;
        assert_eq!(part["spec"], own["spec"]);
        // The gadget has a copy of its own, whose status goes up; and from there down to the part.
        let at = things::path(&gadget, cluster, "wheel");
        status(service, &at, &json!({"phase": "ready"})).await;
        consumer
            .there(&gadget, "wheel", |it| it["status"]["phase"] == "ready")
            .await;
        there(service, &gadget, cluster, "wheel.parts", |it| {
            it["status"]["phase"] == "ready"
        })
        .await;
        stage.calm().await;
        stage.forget();
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
        stage.asked_exactly(&[]);
        consumer.delete(&thing, "a").await;
        gone(&consumer.api, &thing, "default", "a").await;
        gone(&stage.service, &gadget, cluster, "wheel.parts").await;
        stage.calm().await;
        assert!(consumer.get(&gadget, "wheel").await.is_success());
        consumer.delete(&gadget, "wheel").await;
        gone(&consumer.api, &gadget, "default", "wheel").await;
        stage.stop().await;
    });
}

/// A kind without the subresource: the server answers 404, which is said once and costs nothing more.
#[test]
fn a_status_that_has_nowhere_to_go_is_said_once() {
    play(|| async {
        let (thing, gadget) = (things::kind("Thing"), things::kind("Gadget"));
        let mut parts = RelatedRule::new(
            "parts",
            Side::Workspace,
            gadget.clone(),
            Find::reference("spec.note"),
        );
        parts.status = true;
        let definition = Definition {
            related: vec![parts],
            ..things::plain("Thing")
        };
        let mut stage = Stage::set(vec![definition, things::plain("Gadget")]).await;
        let mut crd = things::service_crd(&gadget);
        crd["spec"]["versions"][0]["subresources"] = json!({});
        let at = format!("{CRDS}/{}", things::named("Gadget"));
        change(
            &stage.service,
            &at,
            &json!({"spec": {"versions": crd["spec"]["versions"]}}),
        )
        .await;
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&gadget, "wheel", &json!({})).await;
        let at = things::path(&gadget, "default", "wheel");
        status(&consumer.api, &at, &json!({"phase": "mine"})).await;
        consumer
            .order(&thing, "a", &json!({"size": 1, "note": "wheel"}))
            .await;
        there(
            &stage.service,
            &gadget,
            &consumer.cluster,
            "wheel.parts",
            |_| true,
        )
        .await;
        stage.calm().await;
        let mut asked = stage.requests();
        asked.retain(|it| it.contains("service patch gadgets/status"));
        assert_eq!(asked, ["service patch gadgets/status wheel.parts -> 404"]);
        let notices = stage.notices.lock().unwrap().clone();
        let said = notices
            .iter()
            .filter(|it| format!("{it:?}").contains("has no status"));
        assert_eq!(said.count(), 1);
        stage.stop().await;
    });
}

#[test]
fn a_related_kind_that_comes_later_is_noticed_without_a_restart() {
    play(|| async {
        let (thing, part) = (things::kind("Thing"), things::kind("Part"));
        let secret = things::core("Secret");
        let definition = Definition {
            returns: vec![ReturnRule {
                id: "part".into(),
                kind: secret.clone(),
                name: "{name}-part".into(),
                source: ReturnSource::With {
                    reads: vec![ReadRule {
                        kind: part.clone(),
                        name: "{copy.name}-part".into(),
                    }],
                    compose: |sources| {
                        let part = sources.read(|_| true)?;
                        let note = part["spec"]["note"].as_str()?;
                        Some(json!({"stringData": {"note": note}}))
                    },
                },
            }],
            ..things::plain("Thing")
        };
        // The service cluster does not serve parts yet; orders are served all the same.
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "a", &json!({"size": 1})).await;
        consumer.there(&thing, "a", things::synced).await;
        stage.copy(&consumer, &thing, "a").await;
        stage.calm().await;

        stage.forget();
        install(&stage.service, &things::service_crd(&part)).await;
        let mut made = things::order(&part, "a-part", &json!({"note": "hello"}));
        made["metadata"]["namespace"] = json!(consumer.cluster);
        let at = collection(&part, Some(&consumer.cluster));
        assert!(stage.service.post(&at, &made).await.unwrap().is_success());
        let back = consumer.there(&secret, "a-part", |_| true).await;
        assert_eq!(back["data"]["note"], "aGVsbG8=");
        // The order may look before those who list the kind do.
        if stage.counts() {
            eventually("the kind is listed", || async {
                let mut asked = stage.requests().into_iter();
                asked.find(|line| line == "service list parts")
            })
            .await;
        }
        stage.calm().await;
        let mut asked = stage.requests();
        asked.retain(|line| !line.ends_with(" -> 404"));
        asked.sort();
        if stage.counts() {
            assert_eq!(
                asked,
                [
                    "kcp create secrets",
                    "service get parts a-part",
                    "service list parts",
                ]
            );
        }
        stage.stop().await;
    });
}
