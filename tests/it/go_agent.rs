//! An installation of kcp's api-syncagent that an executable made, taken over and given back to it; and the executable at work
//! beside our agent.
//!
//! Any executable with the Go agent's flags will do: `SYNCAGENT_TEST_GO_AGENT` names the Go agent's own. Our binary takes the
//! same flags, so it plays that part where none is named, which shows that the harness works and says nothing about the Go
//! agent; what that leaves is constructed in `takeover_whole`.

pub(crate) mod executable;

use serde_json::{Value, json};

use crate::program::Site;
use crate::published::{definition, publish, schema_of, things_of};
use crate::stage::{Consumer, install, play_in_real_time, there};
use crate::takeover::{make, secret};
use crate::takeover_whole::{
    GO, Maker, ORDERS, forth_again, hand_back, lease, permit, related, side_by_side,
    taken_over_and_used,
};
use crate::things;
use crate::world::{change, rewritten, status};

use executable::GoAgent;

/// What the executable leaves: an object, its schema and export, and settled orders with what belongs to them.
async fn installation(go: &GoAgent) -> (Site, Consumer) {
    let (thing, secrets) = (things::kind("Thing"), things::core("Secret"));
    let site = Site::new(vec![things::plain("Thing")]).await;
    let stage = &site.0;
    permit(stage, &[thing.clone(), secrets.clone()]).await;
    install(&stage.service, &definition()).await;
    publish(stage, &things_of("things", related())).await;
    let running = go.start(&site, "").await;
    schema_of(stage, "things").await;
    stage.filled().await;
    let consumer = stage.consumer("consumer").await;
    let (cluster, service) = (consumer.cluster.as_str(), &stage.service);
    let shown = json!({"phase": "ready", "observedGeneration": 5});
    for at in 0..ORDERS {
        let name = format!("o{at}");
        let password = format!("{name}-pw");
        make(&consumer.api, "default", &secret(&password, "p")).await;
        let spec = json!({"size": 1, "first": {"name": password}});
        consumer.order(&thing, &name, &spec).await;
        stage.copy(&consumer, &thing, &name).await;
        there(service, &secrets, cluster, &password, |_| true).await;
        let creds = format!("{name}-creds");
        make(service, cluster, &secret(&creds, "c")).await;
        status(service, &things::path(&thing, cluster, &name), &shown).await;
        consumer.there(&secrets, &creds, |_| true).await;
        consumer
            .there(&thing, &name, |it| it["status"] == shown)
            .await;
    }
    running.stopped().await;
    if go.is_ours() {
        // The Go agent writes its memory while it runs, ours when it hands back.
        hand_back(&site).await;
    }
    for at in 0..ORDERS {
        let copy = things::path(&thing, cluster, &format!("o{at}"));
        let note = json!({"spec": {"note": "set on the service cluster"}});
        change(service, &copy, &note).await;
    }
    // As after an end in which it did not give its Lease back.
    let held = json!({"spec": {"holderIdentity": GO, "leaseDurationSeconds": 15}});
    change(service, &lease(&site), &held).await;
    stage.forget();
    (site, consumer)
}

/// The executable takes back what was handed back: it changes what it is told to change, and touches nothing else.
async fn taken_back(go: &GoAgent, site: &Site, consumer: &Consumer) {
    let thing = things::kind("Thing");
    let (stage, cluster) = (&site.0, consumer.cluster.as_str());
    let copies = || async {
        let mut all = Vec::new();
        for name in ["o0", "o2", "o3"] {
            let path = things::path(&thing, cluster, name);
            all.push(stage.service.get(&path).await.unwrap().body);
        }
        all
    };
    let before = copies().await;
    let running = go.start(site, "").await;
    let order = things::path(&thing, "default", "o1");
    change(&consumer.api, &order, &json!({"spec": {"size": 8}})).await;
    let copy = there(&stage.service, &thing, cluster, "o1", |it| {
        it["spec"]["size"] == 8
    })
    .await;
    assert_eq!(copy["spec"]["note"], "set on the service cluster");
    assert_eq!(copies().await, before);
    running.stopped().await;
    if go.is_ours() {
        hand_back(site).await;
    }
    // Whoever gives no Lease back lets it run out; nobody waits for that here.
    let free = json!({"spec": {"holderIdentity": "", "leaseDurationSeconds": 1}});
    change(&stage.service, &lease(site), &free).await;
}

async fn whole(go: &GoAgent) {
    let (site, consumer) = installation(go).await;
    let maker = if go.is_ours() { Maker::Ours } else { Maker::Go };
    taken_over_and_used(&site, &consumer, maker).await;
    taken_back(go, &site, &consumer).await;
    forth_again(&site).await;
}

async fn beside(go: &GoAgent) {
    let (site, consumer) = installation(go).await;
    side_by_side(&site, &consumer, Some(go)).await;
}

#[test]
fn s13_1_what_the_go_agent_made_is_taken_over_handed_back_and_taken_back() {
    if let Some(go) = GoAgent::named() {
        play_in_real_time(|| async { whole(&go).await });
    }
}

#[test]
fn s13_1_the_go_agent_and_ours_for_two_exports_do_not_touch_each_others_objects() {
    if let Some(go) = GoAgent::named() {
        play_in_real_time(|| async { beside(&go).await });
    }
}

#[test]
fn s13_1_our_binary_in_its_place_is_taken_over_handed_back_and_takes_back() {
    if let Some(go) = GoAgent::ours() {
        play_in_real_time(|| async { whole(&go).await });
    }
}

#[test]
fn s13_1_our_binary_in_its_place_works_beside_another_agent() {
    if let Some(go) = GoAgent::ours() {
        play_in_real_time(|| async { beside(&go).await });
    }
}

#[test]
fn a_kubeconfig_is_rewritten_for_somebody_else_at_another_path() {
    let text =
        json!({"clusters": [{"name": "a", "cluster": {"server": "https://h:6443/clusters/root"}}],
        "users": [{"name": "a", "user": {"client-key-data": "x"}}]})
        .to_string();
    let read = |text: String| serde_yaml::from_str::<Value>(&text).unwrap();
    let token = read(rewritten(&text, &json!({"token": "t"}), "/clusters/root:p"));
    assert_eq!(token["users"][0]["user"], json!({"token": "t"}));
    let server = &token["clusters"][0]["cluster"]["server"];
    assert_eq!(server, "https://h:6443/clusters/root:p");
    let acting = read(rewritten(&text, &json!({"as": "b"}), ""));
    let wanted = json!({"client-key-data": "x", "as": "b"});
    assert_eq!(acting["users"][0]["user"], wanted);
    let server = &acting["clusters"][0]["cluster"]["server"];
    assert_eq!(server, "https://h:6443/clusters/root");
}
