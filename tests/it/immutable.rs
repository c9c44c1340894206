//! Related objects of which something cannot be changed: what servers refuse, what consumers are told, and what is made anew.
//!
//! There are three ways to get there: the consumer replaces a Secret by one of another type; somebody at the service freezes
//! the copy; the consumer freezes what came up. That an original is immutable is none of them: its copy is not.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use syncagent::Definition;
use syncagent_core::definition::{Kind, ReturnRule, ReturnSource};
use syncagent_core::io::clients::collection;
use syncagent_embedded::faults::{Asked, Fault};

use crate::outages::interrupt;
use crate::spent::{MINUTE, Spent, pass};
use crate::stage::{Consumer, Stage, gone, play, there};
use crate::things;
use crate::world::{World, change, created, made};

/// What the taken Secret is called on the service cluster.
const TAKEN: &str = "one.taken";
/// What comes up with the order.
const RETURNED: &str = "a-login";

/// A thing that takes a Secret, and returns its password.
fn definition(recreate: &[&str]) -> Definition {
    Definition {
        returns: vec![ReturnRule {
            id: "login".into(),
            kind: things::core("Secret"),
            name: "{name}-login".into(),
            source: ReturnSource::With {
                reads: vec![],
                compose: |sources| {
                    let password =
                        sources.taken("spec.first").next()?["data"]["password"].as_str()?;
                    Some(json!({"data": {"password": password}}))
                },
            },
        }],
        recreate: recreate.iter().map(|it| (*it).to_owned()).collect(),
        ..things::taking("Thing")
    }
}

/// A consumer's Secret that nobody may change.
fn frozen(kind: &str, password: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "one"}, "type": kind,
        "data": {"username": "YXBw", "password": password}, "immutable": true})
}

const BASIC: &str = "kubernetes.io/basic-auth";

/// What a minute may cost in which nothing happens but that something stays refused: eight watches are opened anew, and what
/// is refused is looked at and tried once.
const QUIET: usize = 12;

/// An agent, and an order that took a Secret and got one.
struct Scene {
    stage: Stage,
    consumer: Consumer,
    thing: Kind,
    secret: Kind,
}

impl Scene {
    async fn set(recreate: &[&str]) -> Self {
        let stage = Stage::running(vec![definition(recreate)]).await;
        let consumer = stage.consumer("consumer").await;
        let (thing, secret) = (things::kind("Thing"), things::core("Secret"));
        let scene = Self {
            stage,
            consumer,
            thing,
            secret,
        };
        scene.make(&frozen(BASIC, "eA==")).await;
        let spec = json!({"size": 1, "first": {"name": "one"}});
        scene.consumer.order(&scene.thing, "a", &spec).await;
        scene.synced().await;
        scene.returned("eA==").await;
        scene.stage.calm().await;
        scene
    }

    async fn make(&self, secret: &Value) {
        let path = collection(&self.secret, Some("default"));
        made(&self.consumer.api, &path, secret).await;
    }

    /// The consumer deletes the Secret and makes it anew, as one does who cannot change it.
    async fn replace(&self, secret: &Value) {
        self.consumer.delete(&self.secret, "one").await;
        gone(&self.consumer.api, &self.secret, "default", "one").await;
        self.make(secret).await;
    }

    async fn synced(&self) {
        let right = |order: &Value| things::synced(order);
        self.consumer.there(&self.thing, "a", right).await;
    }

    /// The taken copy, once it is as it should be.
    async fn taken(&self, right: impl Fn(&Value) -> bool) -> Value {
        let namespace = &self.consumer.cluster;
        there(&self.stage.service, &self.secret, namespace, TAKEN, right).await
    }

    /// What came up, once it has this password.
    async fn returned(&self, password: &str) -> Value {
        let right = |it: &Value| it["data"]["password"] == password;
        self.consumer.there(&self.secret, RETURNED, right).await
    }

    /// What the consumer is told, once something is wrong.
    async fn told(&self) -> String {
        let wrong = |order: &Value| things::condition(order)["reason"] == "Invalid";
        let order = self.consumer.there(&self.thing, "a", wrong).await;
        let told = things::condition(&order)["message"].to_string();
        assert!(
            !told.contains("taken") && !told.contains(&self.consumer.cluster),
            "{told}"
        );
        told
    }

    /// Somebody at the service freezes the copy.
    async fn freeze(&self) {
        let at = things::path(&self.secret, &self.consumer.cluster, TAKEN);
        change(&self.stage.service, &at, &json!({"immutable": true})).await;
    }

    /// Nothing is asked any more, however long one waits.
    async fn rests(&self) {
        self.stage.calm().await;
        self.stage.forget();
        pass(5 * MINUTE).await;
        self.stage.asked_exactly(&[]);
    }
}

fn uid(object: &Value) -> &Value {
    &object["metadata"]["uid"]
}

#[test]
fn an_immutable_original_that_is_made_anew_is_written_to_its_copy() {
    play(|| async {
        let mut scene = Scene::set(&["spec.first", "login"]).await;
        let before = scene.taken(|_| true).await;
        assert_eq!(before.get("immutable"), None, "{before:#}");
        scene.replace(&frozen(BASIC, "eQ==")).await;
        let after = scene.taken(|it| it["data"]["password"] == "eQ==").await;
        assert_eq!(uid(&after), uid(&before), "it was written, not made anew");
        scene.returned("eQ==").await;
        scene.synced().await;
        scene.rests().await;
        scene.stage.stop().await;
    });
}

#[test]
fn what_cannot_be_changed_is_reported() {
    play(|| async {
        let mut scene = Scene::set(&[]).await;
        let spent = Spent::from_here(&scene.stage);
        scene.replace(&frozen("Opaque", "eQ==")).await;
        let told = scene.told().await;
        assert!(told.contains(r#"Secret \"one\""#), "{told}");
        assert!(
            told.contains("type") && told.contains("immutable"),
            "{told}"
        );
        scene.stage.calm().await;
        spent.at_most(18);
        // One attempt, what the consumer is told, and a look now and then.
        Spent::over(&scene.stage, 10).await.at_most(QUIET);
        scene.stage.stop().await;
    });
}

#[test]
fn what_came_up_and_cannot_be_changed_is_reported_or_made_anew() {
    for recreate in [&[][..], &["login"]] {
        play(|| async {
            let mut scene = Scene::set(recreate).await;
            let before = scene.returned("eA==").await;
            let at = things::path(&scene.secret, "default", RETURNED);
            change(&scene.consumer.api, &at, &json!({"immutable": true})).await;
            scene.stage.calm().await;
            let spent = Spent::from_here(&scene.stage);
            scene.replace(&frozen(BASIC, "eQ==")).await;
            if recreate.is_empty() {
                let told = scene.told().await;
                assert!(told.contains(RETURNED) && told.contains("data: "), "{told}");
                scene.stage.calm().await;
                spent.at_most(20);
                Spent::over(&scene.stage, 10).await.at_most(QUIET);
                let after = scene.returned("eA==").await;
                assert_eq!(uid(&after), uid(&before));
            } else {
                let after = scene.returned("eQ==").await;
                assert_ne!(uid(&after), uid(&before));
                assert_eq!(after.get("immutable"), None);
                scene.synced().await;
                spent.at_most(20);
                scene.rests().await;
            }
            scene.stage.stop().await;
        });
    }
}

#[test]
fn what_cannot_be_changed_is_made_anew_and_the_order_is_not_disturbed() {
    play(|| async {
        let mut scene = Scene::set(&["spec.first"]).await;
        let at = scene.consumer.cluster.clone();
        let mut before = scene.taken(|_| true).await;
        let copy = scene.stage.copy(&scene.consumer, &scene.thing, "a").await;
        // Another type; then a copy that somebody froze.
        for (kind, password, freeze) in [("Opaque", "eQ==", false), ("Opaque", "eg==", true)] {
            if freeze {
                scene.freeze().await;
                scene.stage.calm().await;
            }
            scene.stage.forget();
            let spent = Spent::from_here(&scene.stage);
            scene.replace(&frozen(kind, password)).await;
            let after = scene.taken(|it| it["data"]["password"] == password).await;
            assert_eq!(
                (&after["type"], after.get("immutable")),
                (&json!(kind), None)
            );
            assert_ne!(uid(&after), uid(&before));
            scene.synced().await;
            scene.returned(password).await;
            scene.stage.calm().await;
            spent.at_most(20);
            let asked = scene.stage.requests();
            let of_it = asked.iter().filter(|it| it.contains(TAKEN));
            let of_it: Vec<_> = of_it.filter(|it| !it.contains(" get ")).collect();
            if scene.stage.tells_of("service") {
                assert_eq!(
                    of_it,
                    [
                        &format!("service patch secrets {TAKEN} -> 422"),
                        &format!("service delete secrets {TAKEN}"),
                        &format!("service patch secrets {TAKEN}"),
                    ],
                    "{asked:#?}"
                );
            }
            before = after;
        }
        let now = scene.stage.copy(&scene.consumer, &scene.thing, "a").await;
        assert_eq!(now, copy, "the order's own copy was not touched");
        scene.rests().await;

        // The end is as ever.
        scene.consumer.delete(&scene.thing, "a").await;
        gone(&scene.consumer.api, &scene.thing, "default", "a").await;
        gone(&scene.stage.service, &scene.secret, &at, TAKEN).await;
        scene.stage.stop().await;
    });
}

/// Lets so many writes to the copy through; the next one may be done, and neither it nor any later one is answered.
fn cut_off(scene: &Scene, answered: usize, done: bool) {
    let Some(server) = scene.stage.world.embedded_service() else {
        return;
    };
    let faults = server.faults();
    let of_copy = |asked: &Asked<'_>| {
        asked.target.name == TAKEN && ["patch", "create", "delete"].contains(&asked.verb)
    };
    let later = move || {
        let count = AtomicUsize::new(0);
        move |asked: &Asked<'_>| of_copy(asked) && count.fetch_add(1, Ordering::Relaxed) >= answered
    };
    if done {
        faults.plan(1, Fault::Lose, later());
    }
    faults.plan(usize::MAX, Fault::Stall, later());
}

#[test]
fn an_agent_that_is_stopped_while_it_makes_something_anew_loses_nothing() {
    play(|| async {
        let mut scene = Scene::set(&["spec.first"]).await;
        // Refused, deleted, made: of these so many are answered, and one more is done or not.
        for (answered, done) in [
            (0, false),
            (0, true),
            (1, false),
            (1, true),
            (2, false),
            (2, true),
        ] {
            scene.replace(&frozen(BASIC, "eA==")).await;
            let before = scene.taken(|it| it["type"] == BASIC).await;
            scene.returned("eA==").await;
            scene.synced().await;
            scene.consumer.delete(&scene.secret, "one").await;
            gone(&scene.consumer.api, &scene.secret, "default", "one").await;
            scene.stage.calm().await;
            scene.stage.forget();
            cut_off(&scene, answered, done);
            scene.make(&frozen("Opaque", "eQ==")).await;
            let faults = scene.stage.world.embedded_service();
            if let Some(faults) = faults.map(syncagent_embedded::Server::faults) {
                scene.stage.calm().await;
                let at = things::path(&scene.secret, &scene.consumer.cluster, TAKEN);
                let now = scene.stage.service.get(&at).await.unwrap();
                let deleted = [(1, true), (2, false)].contains(&(answered, done));
                assert_eq!(now.code == 404, deleted, "{answered} {done}: {now:?}");
                scene.stage.stop().await;
                faults.clear();
                scene.stage.start();
            } else {
                interrupt(&mut scene.stage, 2 + answered).await;
            }
            let right = |it: &Value| it["type"] == "Opaque" && it["data"]["password"] == "eQ==";
            let after = scene.taken(right).await;
            assert_ne!(uid(&after), uid(&before));
            scene.returned("eQ==").await;
            scene.synced().await;
        }
        scene.rests().await;
        scene.stage.stop().await;
    });
}

#[test]
fn what_is_not_ours_is_never_deleted_to_make_room() {
    play(|| async {
        let mut scene = Scene::set(&["spec.first"]).await;
        let at = scene.consumer.cluster.clone();
        scene.stage.stop().await;
        // While nobody looks somebody puts a Secret of theirs in place of the copy, and the consumer replaces theirs.
        let path = things::path(&scene.secret, &at, TAKEN);
        let reply = scene.stage.service.delete(&path, &json!({})).await;
        assert!(reply.unwrap().is_success());
        gone(&scene.stage.service, &scene.secret, &at, TAKEN).await;
        let mut theirs = frozen(BASIC, "dGhlaXJz");
        theirs["metadata"]["name"] = json!(TAKEN);
        let all = collection(&scene.secret, Some(&at));
        let theirs = created(scene.stage.service.post(&all, &theirs).await);
        let one = things::path(&scene.secret, "default", "one");
        change(
            &scene.consumer.api,
            &one,
            &json!({"metadata": {"finalizers": null}}),
        )
        .await;
        scene.replace(&frozen("Opaque", "eQ==")).await;
        let spent = Spent::from_here(&scene.stage);
        scene.stage.start();
        let wrong = |order: &Value| things::condition(order)["status"] == "False";
        let order = scene.consumer.there(&scene.thing, "a", wrong).await;
        let told = things::condition(&order)["message"].to_string();
        assert!(!told.contains("taken") && !told.contains(&at), "{told}");
        scene.stage.calm().await;
        let now = scene.taken(|_| true).await;
        assert_eq!(now, theirs);
        if !World::is_real() {
            pass(10 * MINUTE).await;
            spent.at_most(60);
        }
        scene.stage.stop().await;
    });
}
