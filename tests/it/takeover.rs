//! The whole agent over an installation that kcp's api-syncagent ran: taken over without a write, used, handed back, and taken
//! over again. What the Go agent leaves is `constructed` here from sections 5 and 6 of the contract.

use serde_json::{Value, json};
use syncagent::{Definition, Notice};
use syncagent_core::definition::{
    Called, Cleanup, Drift, Find, Objects, Pass, Policy, RelatedRule, Side, StatusRule, Unproven,
};
use syncagent_core::io::clients::Server;
use syncagent_core::object::identity::Identity;
use syncagent_core::object::state;
use syncagent_core::related::{base64, unbase64};

use crate::stage::{Consumer, Stage, gone, play, there};
use crate::things;
use crate::world::{change, created, status};

pub(crate) const STATES: &str = "kcp-system";
const CLEANUP: &str = "syncagent.kcp.io/cleanup";
const ORDERS: usize = 7;

fn definition() -> Definition {
    let all = Pass {
        labels: vec!["*".into()],
        annotations: vec!["*".into()],
        like_go: true,
    };
    let rule = |id, origin, objects: Objects, called: &str, cleanup| RelatedRule {
        pass: all.clone(),
        drift: Drift::Keep,
        unproven: Unproven::Allowed,
        cleanup,
        ..RelatedRule::new(
            id,
            origin,
            things::core("Secret"),
            objects.called(Called::Text(called.into())),
        )
    };
    let first = Objects::from(Find::reference("spec.first.name"));
    let creds = Objects::from(Find::named("{copy.name}-creds"));
    Definition {
        policy: Policy::take_over(STATES),
        status: StatusRule::Verbatim,
        related: vec![
            rule(
                "password",
                Side::Workspace,
                first,
                "{found}.taken",
                Cleanup::WithOrder,
            ),
            rule(
                "creds",
                Side::Service,
                creds,
                "{name}-login",
                Cleanup::Never,
            ),
        ],
        pass: all,
        ..things::plain("Thing")
    }
}

pub(crate) async fn make(api: &Server, namespace: &str, secret: &Value) -> Value {
    let path = format!("/api/v1/namespaces/{namespace}/secrets");
    created(api.post(&path, secret).await)
}

pub(crate) fn secret(name: &str, password: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": {"name": name},
        "data": {"password": base64(password.as_bytes())}})
}

/// How related objects are called on the other side, after the one that they come from.
pub(crate) struct Names {
    /// What goes down: after the original.
    pub(crate) down: &'static str,
    /// What comes up: after the order.
    pub(crate) up: &'static str,
}

/// What the Go agent's installation holds of one order.
pub(crate) async fn construct(
    stage: &Stage,
    consumer: &Consumer,
    agent: &str,
    name: &str,
    Names { down, up }: &Names,
) {
    let thing = things::kind("Thing");
    let (cluster, service) = (consumer.cluster.as_str(), &stage.service);
    let identity = Identity {
        cluster: cluster.to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
    };
    let spec = json!({"size": 1, "first": {"name": format!("{name}-pw")}});
    let password = secret(&format!("{name}-pw"), "p");
    let password = make(&consumer.api, "default", &password).await;
    let held = json!({"metadata": {"finalizers": [CLEANUP]}});
    let at = format!("/api/v1/namespaces/default/secrets/{name}-pw");
    change(&consumer.api, &at, &held).await;
    consumer.order(&thing, name, &spec).await;
    let mark = json!({"metadata": {"finalizers": [CLEANUP], "annotations": {
        "related-resources.syncagent.kcp.io/creds.0": format!(
            r#"{{"namespace":"default","name":"{name}{up}","apiVersion":"v1","kind":"Secret"}}"#
        ),
    }}});
    let order = things::path(&thing, "default", name);
    let order_body = change(&consumer.api, &order, &mark).await;
    let shown = json!({"phase": "ready", "observedGeneration": 5});
    status(&consumer.api, &order, &shown).await;
    // On the service cluster.
    for namespace in [cluster, STATES] {
        let body =
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
        created(service.post("/api/v1/namespaces", &body).await);
    }
    let api_version = format!("{}/{}", thing.group, thing.version);
    let mut copy = json!({"apiVersion": api_version, "kind": "Thing",
        "metadata": {"name": name, "labels": identity.labels(agent),
            "annotations": identity.annotations()},
        "spec": spec});
    copy["spec"]["note"] = json!("set on the service cluster");
    let path = syncagent_core::io::clients::collection(&thing, Some(cluster));
    created(service.post(&path, &copy).await);
    status(service, &things::path(&thing, cluster, name), &shown).await;
    make(service, cluster, &secret(&format!("{name}-pw{down}"), "p")).await;
    let creds = make(service, cluster, &secret(&format!("{name}-creds"), "c")).await;
    make(
        &consumer.api,
        "default",
        &secret(&format!("{name}{up}"), "c"),
    )
    .await;
    let value = |cluster: &str, namespace: &str, body: &Value, kind: (&str, &str)| {
        let mut body = body.clone();
        (body["apiVersion"], body["kind"]) = (json!(kind.0), json!(kind.1));
        let name = body["metadata"]["name"].as_str().unwrap().to_owned();
        let text = state::encode(&state::stripped(&body, false));
        let key = state::data_key(cluster, namespace, &name);
        (key, json!(base64(text.as_bytes())))
    };
    let data: serde_json::Map<String, Value> = [
        value(cluster, "default", &order_body, (&api_version, "Thing")),
        value(cluster, "default", &password, ("v1", "Secret")),
        value("", cluster, &creds, ("v1", "Secret")),
    ]
    .into_iter()
    .collect();
    let body = json!({"apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": state::secret_name(&thing, &identity), "labels": state::labels(&identity)},
        "data": data});
    make(service, STATES, &body).await;
}

/// A stopped agent, and orders that the Go agent settled.
pub(crate) async fn installation() -> (Stage, Consumer) {
    let mut stage = Stage::running(vec![definition()]).await;
    stage.stop().await;
    let consumer = stage.consumer("consumer").await;
    let agent = stage.world.unique("agent");
    let names = Names {
        down: ".taken",
        up: "-login",
    };
    for at in 0..ORDERS {
        construct(&stage, &consumer, &agent, &format!("o{at}"), &names).await;
    }
    stage.forget();
    (stage, consumer)
}

/// What was written on either side, events included.
pub(crate) fn written(stage: &Stage) -> Vec<String> {
    stage.asked(|verb| ["create", "patch", "update", "delete"].contains(&verb))
}

#[test]
fn a_settled_installation_is_taken_over_without_a_write() {
    play(|| async {
        let (mut stage, _) = installation().await;
        let exit = stage.agent().dry_run().run().await;
        assert!(exit.is_stopped());
        let planned = |it: &Notice| matches!(it, Notice::Planned { .. });
        let notices = stage.notices.lock().unwrap().clone();
        assert!(!notices.iter().any(planned), "{notices:?}");
        assert_eq!(written(&stage), [""; 0]);

        stage.forget();
        stage.start();
        stage.calm().await;
        assert_eq!(written(&stage), [""; 0]);
        // Lists, and each related object's original once: nothing else tells what is in it.
        if stage.counts() {
            let asked = stage.requests();
            let gets: Vec<_> = asked.iter().filter(|it| it.contains(" get ")).collect();
            let secrets = gets.iter().filter(|it| it.contains(" get secrets"));
            assert_eq!(secrets.count(), 2 * ORDERS, "{gets:?}");
            let orders = gets.iter().filter(|it| it.contains(" get things"));
            assert_eq!(orders.count(), 0, "{gets:?}");
            let states = asked
                .iter()
                .filter(|it| it.starts_with(&format!("service list secrets {STATES}")));
            assert!(states.count() <= 1, "{asked:?}");
        }
        stage.stop().await;
    });
}

#[test]
fn changes_go_down_as_patches_and_what_was_set_there_stays() {
    play(|| async {
        let (mut stage, consumer) = installation().await;
        let (thing, cluster) = (things::kind("Thing"), consumer.cluster.as_str());
        // While nobody looks.
        let order = things::path(&thing, "default", "o0");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        stage.start();
        let there_is = |size: i64| move |copy: &Value| copy["spec"]["size"] == size;
        let copy = there(&stage.service, &thing, cluster, "o0", there_is(2)).await;
        assert_eq!(copy["spec"]["note"], "set on the service cluster");
        stage.calm().await;
        assert_eq!(
            written(&stage)
                .into_iter()
                .filter(|it| !it.contains("events"))
                .collect::<Vec<_>>(),
            ["service patch things o0"]
        );
        // While it runs: the order, and a related object in each direction.
        stage.forget();
        change(&consumer.api, &order, &json!({"spec": {"size": 3}})).await;
        let fresh = json!({"data": {"password": base64(b"fresh")}});
        let at = "/api/v1/namespaces/default/secrets/o1-pw";
        change(&consumer.api, at, &fresh).await;
        let at = format!("/api/v1/namespaces/{cluster}/secrets/o2-creds");
        change(&stage.service, &at, &fresh).await;
        let new = |it: &Value| it["data"]["password"] == base64(b"fresh");
        let kind = things::core("Secret");
        there(&stage.service, &thing, cluster, "o0", there_is(3)).await;
        there(&stage.service, &kind, cluster, "o1-pw.taken", new).await;
        consumer.there(&kind, "o2-login", new).await;
        stage.calm().await;
        let mut wrote = written(&stage);
        wrote.retain(|it| !it.contains("events"));
        wrote.sort();
        assert_eq!(
            wrote,
            [
                "kcp patch secrets o2-login",
                "service patch secrets o1-pw.taken",
                "service patch things o0"
            ]
        );
        // The consumer reads of it on each object, and nothing of the service's.
        let events = consumer.api.get("/api/v1/namespaces/default/events").await;
        let events = events.unwrap().body;
        let said = |name: &str| {
            let of = events["items"].as_array().into_iter().flatten();
            let of = of.filter(|it| it["involvedObject"]["name"] == name);
            of.map(|it| it["reason"].as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        for name in ["o0", "o1-pw", "o2-login"] {
            assert_eq!(said(name), ["ObjectSynced"], "{name}");
        }
        assert!(!events.to_string().contains(".taken"), "{events}");
        // A deletion ends what the Go agent began.
        consumer.delete(&thing, "o3").await;
        gone(&consumer.api, &thing, "default", "o3").await;
        gone(&stage.service, &thing, cluster, "o3").await;
        gone(&stage.service, &kind, cluster, "o3-pw.taken").await;
        stage.calm().await;
        let password = consumer.get(&kind, "o3-pw").await.body;
        assert_eq!(password["metadata"].get("finalizers"), None);
        stage.stop().await;
        // A restart is as quiet as the first start.
        stage.forget();
        stage.start();
        stage.calm().await;
        assert_eq!(written(&stage), [""; 0]);
        stage.stop().await;
    });
}

#[test]
fn an_installation_is_handed_back_and_taken_over_again() {
    play(|| async {
        let (mut stage, consumer) = installation().await;
        let (thing, cluster) = (things::kind("Thing"), consumer.cluster.clone());
        stage.start();
        let order = things::path(&thing, "default", "o0");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        there(&stage.service, &thing, &cluster, "o0", |it| {
            it["spec"]["size"] == 2
        })
        .await;
        stage.calm().await;
        stage.stop().await;

        stage.forget();
        let exit = stage.agent().hand_back().run().await;
        assert!(exit.is_stopped());
        let identity = Identity {
            cluster: cluster.clone(),
            namespace: "default".into(),
            name: "o0".into(),
        };
        let name = state::secret_name(&thing, &identity);
        // Only that Secret says something new, and nothing else was written.
        let wrote = written(&stage);
        assert_eq!(wrote, [format!("service patch secrets {name}")]);
        let notices = stage.notices.lock().unwrap().clone();
        let handed = notices
            .iter()
            .filter(|it| matches!(it, Notice::HandedBack { .. }));
        assert_eq!(handed.count(), ORDERS);
        // The Go agent's next pass: what it remembers is what there is, so it patches nothing.
        let at = format!("/api/v1/namespaces/{STATES}/secrets/{name}");
        let held = stage.service.get(&at).await.unwrap().body;
        let key = state::data_key(&cluster, "default", "o0");
        let text = unbase64(held["data"][key.as_str()].as_str().unwrap()).unwrap();
        let origin = consumer.get(&thing, "o0").await.body;
        assert_eq!(
            String::from_utf8(text).unwrap(),
            state::encode(&state::stripped(&origin, false))
        );

        stage.forget();
        stage.start();
        stage.calm().await;
        assert_eq!(written(&stage), [""; 0]);
        stage.stop().await;
    });
}
