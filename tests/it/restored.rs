//! Servers that are restored from a backup under a running agent: what was written since is lost, and versions begin again
//! where the backup ends.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;
use syncagent::Notice;
use syncagent_core::io::clients::{KcpAccess, Server};
use syncagent_embedded::Server as Embedded;

use crate::environment::{alive, kcp, possible, service, settled};
use crate::stage::{Consumer, Stage, gone, play, there};
use crate::things;
use crate::world::{change, created, eventually};

/// Who the agent is, and the administrator: the same on both servers that have the address.
const TOKEN: &str = "restored";

/// Where clients find a server, whichever it is.
#[derive(Clone)]
struct Address {
    server: Arc<Mutex<Embedded>>,
    /// No watch of Secrets gets through.
    closed: Arc<AtomicBool>,
}

impl Address {
    fn of(server: &Embedded) -> Self {
        server.token(TOKEN, "restored", &["system:masters", "system:kcp:admin"]);
        Self {
            server: Arc::new(Mutex::new(server.clone())),
            closed: Arc::default(),
        }
    }

    fn client(&self, path: &str) -> kube::Client {
        let (this, path) = (self.clone(), path.to_owned());
        let front = move |request: http::Request<kube::client::Body>| {
            let closed = this.closed.load(Relaxed) && request.uri().path() == "/api/v1/secrets";
            let server = this.server.lock().unwrap().in_process();
            let reply = tower::ServiceExt::oneshot(server.as_user(TOKEN).at(&path), request);
            async move {
                if closed {
                    return Err(std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into());
                }
                reply.await.map_err(Into::<tower::BoxError>::into)
            }
        };
        kube::Client::new(tower::service_fn(front), "default")
    }

    fn api(&self, path: &str) -> Server {
        Server::new(self.client(path), "test", "test")
    }

    /// The server is away for a while, and another one with an older state has its address.
    async fn restore(&self, other: Embedded) {
        let before = self.server.lock().unwrap().clone();
        before.faults().outage(true);
        tokio::time::sleep(Duration::from_secs(10)).await;
        let next = Self::of(&other);
        let next = next.server.lock().unwrap().clone();
        *self.server.lock().unwrap() = next;
    }
}

/// Lets the versions of a server go on by so many.
async fn age(api: &Server, by: usize) {
    let path = "/api/v1/namespaces/default/configmaps";
    created(
        api.post(
            path,
            &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "age"}}),
        )
        .await,
    );
    for n in 1..by {
        change(
            api,
            &format!("{path}/age"),
            &json!({"data": {"n": n.to_string()}}),
        )
        .await;
    }
    let reply = api.delete(&format!("{path}/age"), &json!({})).await;
    assert!(reply.unwrap().is_success());
}

fn was_told(stage: &Stage) -> usize {
    let notices = stage.notices.lock().unwrap();
    let told = |it: &&Notice| matches!(it, Notice::Restored { .. });
    notices.iter().filter(told).count()
}

/// How a server goes on after its restoration.
#[derive(Clone, Copy, PartialEq)]
enum Versions {
    /// From where the backup ends.
    Back,
    /// Likewise, and they are beyond the lost ones before every watch is back.
    Overtaken,
    /// From beyond the lost ones, and without history, as whoever restores should see to.
    Ahead,
    /// From beyond the lost ones, and only the watch of copies has to list again.
    Remembered,
}

async fn service_restored(versions: Versions) {
    let thing = things::kind("Thing");
    let secret = things::core("Secret");
    let mut stage = Stage::set(vec![things::taking("Thing")]).await;
    let address = Address::of(&service(&stage));
    let access = stage.world.kcp_access(&stage.provider, &stage.user);
    stage.connect(address.client("").into(), access);
    stage.export(&json!({})).await;
    stage.start();
    stage.filled().await;
    let consumer = stage.consumer("consumer").await;
    consumer.secret("pw", "before").await;
    let spec = json!({"size": 1, "first": {"name": "pw"}});
    consumer.order(&thing, "taking", &spec).await;
    settled(&consumer, &thing, &["kept", "changed", "ended"]).await;
    consumer.there(&thing, "taking", things::synced).await;
    stage.calm().await;
    let backup = service(&stage).held();

    // All of this is lost on the service cluster.
    settled(&consumer, &thing, &["new"]).await;
    let order = things::path(&thing, "default", "changed");
    change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
    let pw = things::path(&secret, "default", "pw");
    change(
        &consumer.api,
        &pw,
        &json!({"stringData": {"password": "after"}}),
    )
    .await;
    consumer.delete(&thing, "ended").await;
    gone(&stage.service, &thing, &consumer.cluster, "ended").await;
    let taken = things::path(&secret, &consumer.cluster, "pw.taken");
    let password = stage.service.get(&taken).await.unwrap().body["data"].clone();
    eventually("the Secret's change comes down", || async {
        let now = stage.service.get(&taken).await.unwrap().body["data"].clone();
        (now != password || password["password"] == "YWZ0ZXI=").then_some(())
    })
    .await;
    stage.calm().await;
    age(&address.api(""), 300).await;
    stage.calm().await;

    let restored = Embedded::kubernetes().holding(backup).build();
    if matches!(versions, Versions::Ahead | Versions::Remembered) {
        restored.token(TOKEN, "restored", &["system:masters"]);
        age(&Address::of(&restored).api(""), 900).await;
        if versions == Versions::Ahead {
            restored.faults().compact();
        } else {
            let faults = restored.faults();
            faults.fail_next(1, 410, |verb, at| verb == "watch" && at.plural == "things");
        }
    }
    let overtaken = versions == Versions::Overtaken;
    address.closed.store(overtaken, Relaxed);
    address.restore(restored).await;
    stage.service = address.api("");

    there(&stage.service, &thing, &consumer.cluster, "changed", |it| {
        it["spec"]["size"] == 2
    })
    .await;
    there(&stage.service, &thing, &consumer.cluster, "new", |_| true).await;
    if overtaken {
        age(&stage.service, 600).await;
        let copy = stage.service.get(&taken).await.unwrap().body;
        assert_eq!(copy["data"]["password"], "YmVmb3Jl", "nothing told of it");
        address.closed.store(false, Relaxed);
    }
    eventually("the Secret is current", || async {
        let copy = stage.service.get(&taken).await.unwrap().body;
        (copy["data"]["password"] == "YWZ0ZXI=").then_some(())
    })
    .await;
    // It exists in the backup alone: its order is gone.
    gone(&stage.service, &thing, &consumer.cluster, "ended").await;
    alive(&stage, &consumer, &thing, "kept", 5).await;
    alive(&stage, &consumer, &thing, "new", 6).await;
    assert!(was_told(&stage) >= 1);
    stage.stop().await;
}

#[test]
fn a_service_cluster_that_is_restored_from_a_backup_is_agreed_with() {
    play(|| async {
        if possible() {
            service_restored(Versions::Back).await;
        }
    });
}

#[test]
fn a_service_cluster_that_wrote_more_than_was_lost_before_a_watch_is_back_is_agreed_with() {
    play(|| async {
        if possible() {
            service_restored(Versions::Overtaken).await;
        }
    });
}

#[test]
fn who_sees_in_a_list_that_a_service_cluster_went_back_has_everything_listed() {
    play(|| async {
        if possible() {
            service_restored(Versions::Remembered).await;
        }
    });
}

#[test]
fn a_service_cluster_whose_versions_go_on_after_its_restoration_is_agreed_with() {
    play(|| async {
        if possible() {
            service_restored(Versions::Ahead).await;
        }
    });
}

#[test]
fn a_kcp_that_is_restored_from_a_backup_is_agreed_with_and_costs_nobody_a_copy() {
    play(|| async {
        if !possible() {
            return;
        }
        let thing = things::kind("Thing");
        let mut stage = Stage::set(vec![things::plain("Thing")]).await;
        let address = Address::of(&kcp(&stage));
        let service = stage.world.service_connection(&stage.user);
        let root = address.clone();
        let provider = address.client(&stage.provider.path);
        let access = KcpAccess::new(provider, move |_| Ok(root.client("")));
        stage.connect(service, access);
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        let consumer = stage.consumer("consumer").await;
        let here = format!("/clusters/{}", consumer.cluster);
        let consumer = Consumer {
            cluster: consumer.cluster,
            api: address.api(&here),
        };
        settled(&consumer, &thing, &["kept", "changed", "ended"]).await;
        stage.calm().await;
        let backup = kcp(&stage).held();

        settled(&consumer, &thing, &["new"]).await;
        let order = things::path(&thing, "default", "changed");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        there(&stage.service, &thing, &consumer.cluster, "changed", |it| {
            it["spec"]["size"] == 2
        })
        .await;
        consumer.delete(&thing, "ended").await;
        gone(&stage.service, &thing, &consumer.cluster, "ended").await;
        stage.calm().await;
        age(&consumer.api, 300).await;
        stage.calm().await;
        let new = stage.copy(&consumer, &thing, "new").await;

        address
            .restore(Embedded::kcp().holding(backup).build())
            .await;
        // What the workspace says now is what is wanted.
        there(&stage.service, &thing, &consumer.cluster, "changed", |it| {
            it["spec"]["size"] == 1
        })
        .await;
        there(&stage.service, &thing, &consumer.cluster, "ended", |_| true).await;
        alive(&stage, &consumer, &thing, "kept", 5).await;
        stage.calm().await;
        // Nobody deleted the order that the backup did not hold: its copy stays, is told of, and is found again.
        let left = stage.copy(&consumer, &thing, "new").await;
        assert_eq!(left["metadata"]["uid"], new["metadata"]["uid"]);
        let stuck = stage.stuck();
        let told = stuck
            .iter()
            .any(|it| it.order.name == "new" && it.why.contains("orphan"));
        assert!(told, "{stuck:#?}");
        settled(&consumer, &thing, &["new"]).await;
        let found = stage.copy(&consumer, &thing, "new").await;
        assert_eq!(found["metadata"]["uid"], new["metadata"]["uid"]);
        assert!(was_told(&stage) >= 1);
        stage.stop().await;
    });
}
