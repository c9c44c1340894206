//! The whole process over a whole installation of kcp's api-syncagent: `PublishedResource`, schema, export, Lease, orders and
//! related objects, as somebody who may do what `syncagent rbac` prints and nothing else. What the Go agent leaves is
//! `constructed` from the contract.

use serde_json::{Value, json};
use syncagent::Notice;
use syncagent_core::access::program::{
    cluster_rules, default_rules, export_rules, handback_rules, kind_rule, namespace_rules,
    slice_rules,
};
use syncagent_core::cli::flags::Flags;
use syncagent_core::definition::Kind;
use syncagent_core::object::identity::Identity;
use syncagent_core::object::state;
use syncagent_core::related::{base64, unbase64};

use crate::go_agent::executable::{GoAgent, Process};
use crate::program::{Running, Site};
use crate::published::{definition, made_by_go_with, publish, things_of};
use crate::stage::{Consumer, EXPORT, Stage, gone, install, play, there};
use crate::takeover::{Names, STATES, construct, written};
use crate::things;
use crate::world::{change, created, eventually, status};

pub(crate) const ORDERS: usize = 5;
pub(crate) const GO: &str = "api-syncagent-0_5c1a";

/// One Secret goes down and one comes up; both keep their names.
pub(crate) fn related() -> Value {
    json!({"related": [
        {"identifier": "password", "origin": "kcp", "version": "v1", "resource": "secrets",
            "object": {"reference": {"path": "spec.first.name"}}},
        {"identifier": "creds", "origin": "service", "kind": "Secret",
            "object": {"template": {"template": "{{ .Object.metadata.name }}-creds"}}},
    ]})
}

/// Binds rules in one namespace of the service cluster, as `syncagent rbac` prints them.
pub(crate) async fn bind(stage: &Stage, namespace: &str, name: &str, rules: Vec<Value>) {
    let rbac = format!("/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}");
    let user = &stage.user.service.name;
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": {"name": format!("{user}-{name}")}, "rules": rules});
    created(stage.service.post(&format!("{rbac}/roles"), &role).await);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": format!("{user}-{name}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("{user}-{name}")},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    created(
        stage
            .service
            .post(&format!("{rbac}/rolebindings"), &binding)
            .await,
    );
}

/// The process may do what `syncagent rbac` prints for these kinds, each rule where it belongs.
pub(crate) async fn permit(stage: &Stage, kinds: &[Kind]) {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": STATES}});
    created(stage.service.post("/api/v1/namespaces", &body).await);
    let service = cluster_rules()
        .into_iter()
        .chain(kinds.iter().map(kind_rule));
    let provider = [export_rules(EXPORT), slice_rules(EXPORT)].concat();
    stage.grant(&service.collect::<Vec<_>>(), &provider).await;
    bind(stage, STATES, "own", namespace_rules()).await;
    bind(stage, "default", "default", default_rules()).await;
}

pub(crate) fn flags(site: &Site) -> Flags {
    Flags {
        namespace: Some(STATES.into()),
        enable_leader_election: Some(true),
        ..site.flags()
    }
}

pub(crate) fn lease(site: &Site) -> String {
    format!(
        "/apis/coordination.k8s.io/v1/namespaces/{STATES}/leases/syncagent.{}",
        site.agent()
    )
}

/// Everything that the Go agent left: it ended without giving its Lease back.
pub(crate) async fn installation(spec: Value, kinds: &[Kind]) -> (Site, Consumer) {
    let site = Site::new(vec![things::plain("Thing")]).await;
    let stage = &site.0;
    permit(stage, kinds).await;
    install(&stage.service, &definition()).await;
    made_by_go_with(&site, spec).await;
    let consumer = stage.consumer("consumer").await;
    let names = Names {
        down: "",
        up: "-creds",
    };
    for at in 0..ORDERS {
        construct(stage, &consumer, &site.agent(), &format!("o{at}"), &names).await;
    }
    let left = json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": {"name": format!("syncagent.{}", site.agent())},
        "spec": {"holderIdentity": GO, "leaseDurationSeconds": 15, "leaseTransitions": 4,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"}});
    let leases = format!("/apis/coordination.k8s.io/v1/namespaces/{STATES}/leases");
    created(stage.service.post(&leases, &left).await);
    stage.forget();
    (site, consumer)
}

/// The process works: the Lease is its own.
pub(crate) async fn works(site: &Site) {
    eventually("the Lease is taken", || async {
        let found = site.0.service.get(&lease(site)).await.unwrap().body;
        let holder = found["spec"]["holderIdentity"].as_str()?.to_owned();
        (!holder.is_empty() && holder != GO).then_some(())
    })
    .await;
}

/// Every request apart from the Lease's and from events.
pub(crate) fn work(stage: &Stage) -> Vec<String> {
    let mut asked = stage.requests();
    asked.retain(|it| !it.contains(" leases ") && !it.contains(" events "));
    asked
}

/// Waits until nothing more is asked; the Lease is renewed all the time.
pub(crate) async fn rest(stage: &Stage) {
    let mut before = usize::MAX;
    for _ in 0..100 {
        let now = work(stage).len();
        if now == before {
            return;
        }
        before = now;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
    }
    panic!("it does not come to rest: {:#?}", work(stage));
}

/// What was asked, in any order.
pub(crate) async fn costs(stage: &Stage, wanted: &[&str]) {
    rest(stage).await;
    let mut asked = work(stage);
    asked.sort();
    assert_eq!(asked, wanted);
    stage.forget();
}

/// What the Go agent would remember of an order is what there is, related objects included: so it patches nothing.
async fn remembered(stage: &Stage, consumer: &Consumer, name: &str, beside: bool) {
    let (thing, secrets) = (things::kind("Thing"), things::core("Secret"));
    let cluster = consumer.cluster.as_str();
    let identity = Identity {
        cluster: cluster.to_owned(),
        namespace: "default".into(),
        name: name.to_owned(),
    };
    let at = things::path(&secrets, STATES, &state::secret_name(&thing, &identity));
    let held = stage.service.get(&at).await.unwrap().body;
    let pw = format!("{name}-pw");
    let creds = format!("{name}-creds");
    let path = things::path(&secrets, cluster, &creds);
    let mut all = vec![(
        state::data_key(cluster, "default", name),
        consumer.get(&thing, name).await.body,
    )];
    if beside {
        all.push((
            state::data_key(cluster, "default", &pw),
            consumer.get(&secrets, &pw).await.body,
        ));
        all.push((
            state::data_key("", cluster, &creds),
            stage.service.get(&path).await.unwrap().body,
        ));
    }
    for (key, object) in all {
        let text = unbase64(held["data"][key.as_str()].as_str().unwrap()).unwrap();
        let wanted = state::encode(&state::stripped(&object, false));
        assert_eq!(String::from_utf8(text).unwrap(), wanted, "{name}: {key}");
    }
}

#[test]
fn s13_1_a_whole_installation_is_taken_over_used_and_handed_back() {
    play(|| async {
        let kinds = [things::kind("Thing"), things::core("Secret")];
        let (site, consumer) = installation(related(), &kinds).await;
        taken_over_and_used(&site, &consumer, Maker::Nobody).await;
        forth_again(&site).await;
    });
}

/// Hands back, as somebody who may.
pub(crate) async fn hand_back(site: &Site) {
    bind(&site.0, STATES, "handback", handback_rules()).await;
    let exit = site.process(flags(site)).hand_back().run().await;
    assert!(exit.is_stopped(), "{exit}");
}

/// Who made an installation.
#[derive(Clone, Copy)]
pub(crate) enum Maker {
    /// It is constructed, and known to the byte.
    Nobody,
    /// The Go agent's executable.
    Go,
    /// Our binary in its place.
    Ours,
}

impl Maker {
    /// The event with what may surprise about the object, when our agent starts over what this one made.
    fn event(self) -> &'static str {
        match self {
            Self::Nobody | Self::Go => "service create events",
            // It is there already.
            Self::Ours => "service create events -> 409",
        }
    }

    /// What was asked, in any order; of what somebody made only what was written is known beforehand.
    async fn costs(self, stage: &Stage, wanted: &[&str]) {
        if let Self::Nobody = self {
            return costs(stage, wanted).await;
        }
        rest(stage).await;
        let write = |it: &&str| !it.contains(" get ") && !it.contains(" list ");
        let asked = work(stage);
        let mut asked: Vec<&str> = asked.iter().map(String::as_str).filter(write).collect();
        asked.sort_unstable();
        if stage.counts() {
            let wanted: Vec<&str> = wanted.iter().copied().filter(write).collect();
            assert_eq!(asked, wanted);
        }
        stage.forget();
    }
}

/// Takes an installation over, which costs one event and the Lease, uses it in every way, and hands it back.
pub(crate) async fn taken_over_and_used(site: &Site, consumer: &Consumer, maker: Maker) {
    let (thing, secrets) = (things::kind("Thing"), things::core("Secret"));
    let (stage, cluster) = (&site.0, consumer.cluster.as_str());
    // The take-over: the Lease, an event with what may surprise about the object, and nothing else.
    let running = site.start(flags(site));
    works(site).await;
    rest(stage).await;
    let mut wrote = written(stage);
    wrote.sort();
    wrote.dedup();
    if stage.counts() {
        let lease = format!("service update leases syncagent.{}", site.agent());
        assert_eq!(wrote, [maker.event(), &lease]);
    }
    stage.forget();

    let order = |name| things::path(&thing, "default", name);
    change(&consumer.api, &order("o0"), &json!({"spec": {"size": 2}})).await;
    let copy = there(&stage.service, &thing, cluster, "o0", |it| {
        it["spec"]["size"] == 2
    })
    .await;
    assert_eq!(copy["spec"]["note"], "set on the service cluster");
    maker.costs(stage, &["service patch things o0"]).await;

    let copy = things::path(&thing, cluster, "o1");
    let shown = json!({"phase": "grown", "observedGeneration": 6});
    status(&stage.service, &copy, &shown).await;
    consumer
        .there(&thing, "o1", |it| it["status"] == shown)
        .await;
    maker.costs(stage, &["kcp patch things/status o1"]).await;

    let fresh = json!({"data": {"password": base64(b"fresh")}});
    let new = |it: &Value| it["data"]["password"] == base64(b"fresh");
    change(
        &consumer.api,
        &things::path(&secrets, "default", "o2-pw"),
        &fresh,
    )
    .await;
    there(&stage.service, &secrets, cluster, "o2-pw", new).await;
    maker
        .costs(
            stage,
            &["kcp get secrets o2-pw", "service patch secrets o2-pw"],
        )
        .await;
    change(
        &stage.service,
        &things::path(&secrets, cluster, "o3-creds"),
        &fresh,
    )
    .await;
    consumer.there(&secrets, "o3-creds", new).await;
    maker
        .costs(
            stage,
            &["kcp patch secrets o3-creds", "service get secrets o3-creds"],
        )
        .await;

    consumer.delete(&thing, "o4").await;
    gone(&consumer.api, &thing, "default", "o4").await;
    gone(&stage.service, &thing, cluster, "o4").await;
    gone(&stage.service, &secrets, cluster, "o4-pw").await;
    maker
        .costs(
            stage,
            &[
                "kcp patch secrets o4-pw",
                "kcp patch things o4",
                "service delete secrets o4-pw",
                "service delete things o4",
            ],
        )
        .await;
    // What came up stays, as do the original and the other orders.
    assert_eq!(consumer.get(&secrets, "o4-creds").await.code, 200);
    let password = consumer.get(&secrets, "o4-pw").await.body;
    assert_eq!(password["metadata"].get("finalizers"), None);
    assert!(running.stopped().await.is_stopped());
    let left = stage.service.get(&lease(site)).await.unwrap().body;
    assert_eq!(left["spec"]["holderIdentity"], "");

    // Back: the memory of what changed is written, and nothing else.
    stage.forget();
    hand_back(site).await;
    let mut wrote = written(stage);
    wrote.retain(|it| !it.contains(" leases "));
    let secret = |name: &str| {
        let identity = Identity {
            cluster: cluster.to_owned(),
            namespace: "default".into(),
            name: name.to_owned(),
        };
        format!(
            "service patch secrets {}",
            state::secret_name(&thing, &identity)
        )
    };
    let mut wanted = ["o0", "o2", "o3"].map(secret);
    wanted.sort();
    wrote.sort();
    if stage.counts() {
        assert_eq!(wrote, wanted);
    }
    for name in ["o0", "o1", "o2", "o3"] {
        remembered(stage, consumer, name, true).await;
    }
}

/// Takes over once more what was handed back: nothing is written.
pub(crate) async fn forth_again(site: &Site) {
    let stage = &site.0;
    stage.forget();
    let running = site.start(flags(site));
    works(site).await;
    rest(stage).await;
    let mut wrote = written(stage);
    wrote.retain(|it| !it.contains(" leases "));
    if stage.counts() {
        // The event is there since the first start.
        assert_eq!(wrote, ["service create events -> 409"]);
    }
    assert!(running.stopped().await.is_stopped());
}

#[test]
fn s13_1_handing_back_takes_one_rule_more() {
    play(|| async {
        let thing = things::kind("Thing");
        let (site, consumer) = installation(json!({}), std::slice::from_ref(&thing)).await;
        let stage = &site.0;
        let running = site.start(flags(&site));
        works(&site).await;
        let order = things::path(&thing, "default", "o0");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        there(&stage.service, &thing, &consumer.cluster, "o0", |it| {
            it["spec"]["size"] == 2
        })
        .await;
        rest(stage).await;
        assert!(running.stopped().await.is_stopped());

        let told = |wanted: fn(&Notice) -> bool| {
            let notices = stage.notices.lock().unwrap();
            notices.iter().filter(|it| wanted(it)).count()
        };
        let handed = |it: &Notice| matches!(it, Notice::HandedBack { .. });
        let kept = |it: &Notice| matches!(it, Notice::NotHandedBack { .. });
        if stage.user.service.is_confined() {
            // The one order that needs a write is told of, and the others are handed back.
            let exit = site.process(flags(&site)).hand_back().run().await;
            assert!(exit.is_stopped(), "{exit}");
            assert_eq!((told(handed), told(kept)), (ORDERS - 1, 1));
        }
        stage.notices.lock().unwrap().clear();
        bind(stage, STATES, "handback", handback_rules()).await;
        let exit = site.process(flags(&site)).hand_back().run().await;
        assert!(exit.is_stopped(), "{exit}");
        assert_eq!((told(handed), told(kept)), (ORDERS, 0));
        for at in 0..ORDERS {
            remembered(stage, &consumer, &format!("o{at}"), false).await;
        }
    });
}

#[test]
fn s13_1_two_agents_for_two_exports_do_not_touch_each_others_objects() {
    play(|| async {
        let kinds = [things::kind("Thing"), things::core("Secret")];
        let (site, consumer) = installation(related(), &kinds).await;
        side_by_side(&site, &consumer, None).await;
    });
}

/// Ours over an installation, and another agent for another export beside it: the executable, or ours too.
pub(crate) async fn side_by_side(site: &Site, consumer: &Consumer, go: Option<&GoAgent>) {
    let (thing, secrets) = (things::kind("Thing"), things::core("Secret"));
    let stage = &site.0;
    let other = Site::of(stage.beside().await).await;
    permit(&other.0, &[thing.clone(), secrets.clone()]).await;
    assert_ne!(site.agent(), other.agent());
    // The first serves the objects that carry no mark, the second those that do.
    let mut object = things_of(
        "others",
        json!({"naming": {"namespace": "other-$remoteClusterName", "name": "$remoteName"}}),
    );
    object["metadata"]["labels"]["team"] = json!("other");
    publish(stage, &object).await;
    let selecting = |site: &Site, selector: &str| Flags {
        published_resource_selector: Some(crate::world::selecting(selector)),
        ..flags(site)
    };
    let first = site.start(selecting(site, "team!=other"));
    let second = match go {
        None => Other::Process(other.start(selecting(&other, "team=other"))),
        Some(go) => Other::Executable(go.start(&other, "team=other").await),
    };
    works(site).await;
    works(&other).await;
    other.0.filled().await;
    let guest = other.0.consumer("guest").await;
    guest.order(&thing, "o0", &json!({"size": 7})).await;
    let namespace = format!("other-{}", guest.cluster);
    let copy = there(&stage.service, &thing, &namespace, "o0", |it| {
        it["spec"]["size"] == 7
    })
    .await;
    assert_eq!(
        copy["metadata"]["labels"]["syncagent.kcp.io/agent-name"],
        other.agent()
    );
    rest(stage).await;
    rest(&other.0).await;

    // Each deletes its own and touches nothing else; the second's copy stays as it was, then goes alone.
    consumer.delete(&thing, "o0").await;
    gone(&consumer.api, &thing, "default", "o0").await;
    gone(&stage.service, &thing, &consumer.cluster, "o0").await;
    rest(stage).await;
    rest(&other.0).await;
    let still = stage
        .service
        .get(&things::path(&thing, &namespace, "o0"))
        .await
        .unwrap()
        .body;
    assert_eq!(
        still["metadata"]["resourceVersion"],
        copy["metadata"]["resourceVersion"]
    );
    let mut before = Vec::new();
    for at in 1..ORDERS {
        let path = things::path(&thing, &consumer.cluster, &format!("o{at}"));
        before.push((path.clone(), stage.service.get(&path).await.unwrap().body));
    }
    guest.delete(&thing, "o0").await;
    gone(&guest.api, &thing, "default", "o0").await;
    gone(&stage.service, &thing, &namespace, "o0").await;
    rest(stage).await;
    rest(&other.0).await;
    for (path, object) in before {
        assert_eq!(
            stage.service.get(&path).await.unwrap().body,
            object,
            "{path}"
        );
    }
    assert!(first.stopped().await.is_stopped());
    second.stopped().await;
}

/// The agent beside ours.
enum Other {
    Process(Running),
    Executable(Process),
}

impl Other {
    async fn stopped(self) {
        match self {
            Self::Process(running) => assert!(running.stopped().await.is_stopped()),
            Self::Executable(process) => process.stopped().await,
        }
    }
}
