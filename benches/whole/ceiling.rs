//! A client that does nothing but an agent's writes; and one that watches besides what an agent has to watch, for servers
//! that tell somebody of each write have more to do.

use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::json;
use syncagent_core::io::clients::{APPLY_PATCH, JSON_PATCH};
use syncagent_core::io::watch::Target;
use tokio::task::JoinSet;

use crate::scene::{AT_ONCE, Order, Scene, done};
use crate::sight::Sight;
use crate::thing::order;

/// What the servers do at most.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ceiling {
    /// Whether orders and copies were watched meanwhile.
    pub(crate) watched: bool,
    /// When each copy was seen, from the start on.
    pub(crate) curve: Vec<Duration>,
    /// When all were there; `None`: not within the cap.
    pub(crate) all: Option<Duration>,
    /// How long each write took.
    pub(crate) writes: Vec<Duration>,
}

impl Ceiling {
    /// Who it is that is measured.
    pub(crate) fn name(&self) -> &'static str {
        if self.watched {
            "writing and watching"
        } else {
            "only writing"
        }
    }
}

pub(crate) async fn measure(
    scene: &Scene,
    orders: &[Order],
    watched: bool,
    cap: Duration,
) -> Ceiling {
    let endpoint = scene.endpoint().await;
    // They end with it.
    let mut watches = JoinSet::new();
    if watched {
        for server in [endpoint.everywhere(), scene.service.clone()] {
            let mut all = Sight::of(Target::all(server, scene.collection(None)));
            all.calm().await;
            watches.spawn(all.idle());
        }
    }
    // As those of an agent are.
    let mut sight = Sight::of(scene.copies());
    sight.calm().await;
    let start = Instant::now();
    let namespaces = futures::stream::iter(&scene.consumers);
    namespaces
        .for_each_concurrent(AT_ONCE, |consumer| async move {
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": consumer.cluster}});
            done(scene.service.post("/api/v1/namespaces", &namespace).await);
        })
        .await;
    let within = |it: &&Order| start.elapsed() < cap && !it.name.is_empty();
    let writes = futures::stream::iter(orders.iter().take_while(within)).map(|order| {
        let cluster = &scene.consumers[order.consumer].cluster;
        write(scene, endpoint.workspace(cluster), cluster, order)
    });
    let writes: Vec<Duration> = writes
        .buffer_unordered(AT_ONCE)
        .flat_map(futures::stream::iter)
        .collect()
        .await;
    let mut curve = Vec::new();
    while curve.len() < orders.len() {
        let Some(seen) = sight.next(start + cap + Duration::from_secs(5)).await else {
            break;
        };
        curve.push(seen.at - start);
    }
    let all = curve
        .last()
        .copied()
        .filter(|last| curve.len() == orders.len() && *last <= cap);
    Ceiling {
        watched,
        curve,
        all,
        writes,
    }
}

async fn write(
    scene: &Scene,
    workspace: syncagent_core::io::clients::Server,
    cluster: &str,
    held: &Order,
) -> [Duration; 2] {
    let begun = Instant::now();
    let path = format!("{}/{}", scene.collection(Some("default")), held.name);
    let hold = json!([
        {"op": "test", "path": "/metadata/uid", "value": held.uid},
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["bench.example.io/held"]},
    ]);
    done(workspace.patch(&path, JSON_PATCH, &hold).await);
    let held_at = Instant::now();
    let mut copy = order(&scene.group, &held.name);
    copy["metadata"] = json!({"name": held.name, "namespace": cluster, "resourceVersion": "1",
        "labels": {"syncagent.kcp.io/agent-name": scene.agent}, "annotations": {"bench.example.io/of": held.uid}});
    let path = format!(
        "{}/{}?fieldManager=bench&force=false",
        scene.collection(Some(cluster)),
        held.name
    );
    done(scene.service.patch(&path, APPLY_PATCH, &copy).await);
    [held_at - begun, held_at.elapsed()]
}
