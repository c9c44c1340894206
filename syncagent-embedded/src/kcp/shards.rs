//! Several shards in one process.
//!
//! A real shard is an API server with an etcd of its own. Here all shards share one store, and what a client can tell
//! them apart by is kept apart:
//!
//! - each has a virtual workspace URL of its own (`<base>/shards/<name>/services/...`; the shard `root` has the plain
//!   one), listed in endpoint slices while some workspace on it binds the export;
//! - a wildcard shows the workspaces of its shard only, and a workspace is refused at the others' URLs;
//! - each counts resource versions in a space of its own, so one that is taken to another shard is too old or too large;
//! - each can be away, and a workspace can move: for a while it is nowhere (503), then it is elsewhere with all its
//!   objects in new versions, and nobody was told of a deletion.
//!
//! Where a workspace lies is said by an annotation of its logical cluster. A new one lies on `root` unless
//! `spec.location.selector` of its Workspace names another (a real kcp would choose one at random).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::model::{LOGICAL, SHARD, annotation, key, logical, set_meta};
use crate::Server;
use crate::core::Core;
use crate::status::Failure;
use crate::store::Expect;

/// The annotation of a logical cluster that names its shard.
pub(super) const AT: &str = "core.kcp.io/shard";
/// How far apart the resource versions of two shards are.
const APART: u64 = 10_000_000;

type Members = Arc<BTreeSet<Arc<str>>>;

/// One shard.
#[derive(Debug)]
pub(super) struct Shard {
    /// Its name.
    pub(super) name: Arc<str>,
    /// How far its resource versions are ahead of the store's.
    pub(super) ahead: u64,
    members: watch::Sender<Members>,
}

/// All shards; the first is `root`.
#[derive(Debug)]
pub(super) struct Shards(Vec<Shard>);

impl Shards {
    /// `root` and these.
    pub(super) fn new(others: &[String]) -> Self {
        let names = std::iter::once(SHARD).chain(others.iter().map(String::as_str));
        let shard = |(number, name): (u64, &str)| Shard {
            name: name.into(),
            ahead: number * APART,
            members: watch::Sender::new(Members::default()),
        };
        Self((0..).zip(names).map(shard).collect())
    }

    /// Whether there is more than one, so that it matters where something lies.
    pub(super) fn are_several(&self) -> bool {
        self.0.len() > 1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Shard> {
        self.0.iter()
    }

    /// A shard by its name; the empty name is `root`.
    pub(super) fn named(&self, name: &str) -> Option<&Shard> {
        let name = if name.is_empty() { SHARD } else { name };
        self.0.iter().find(|shard| *shard.name == *name)
    }

    /// The shard of a logical cluster; `None` while it is on its way from one to another.
    pub(super) fn of(&self, core: &Core, cluster: &str) -> Option<&Shard> {
        if !self.are_several() {
            return self.0.first();
        }
        match logical(core, cluster) {
            Some(stored) => self.named(annotation(&stored.object, AT)),
            None => self.0.first(),
        }
    }

    /// Counts again which logical clusters lie on which shard.
    pub(super) fn recount(&self, core: &Core) {
        if !self.are_several() {
            return;
        }
        let all = core.all(LOGICAL, None);
        for shard in &self.0 {
            let here = all.iter().filter(|stored| {
                let at = self.named(annotation(&stored.object, AT));
                at.is_some_and(|at| at.name == shard.name)
            });
            let now: BTreeSet<Arc<str>> = here.map(|stored| stored.key.cluster.clone()).collect();
            shard.members.send_if_modified(|members| {
                let changed = **members != now;
                if changed {
                    *members = Arc::new(now);
                }
                changed
            });
        }
    }
}

impl Shard {
    /// The logical clusters that lie here, now and later.
    pub(super) fn members(&self) -> watch::Receiver<Members> {
        self.members.subscribe()
    }

    /// Where its virtual workspaces are.
    pub(super) fn url(&self, base: &str) -> String {
        if *self.name == *SHARD {
            base.to_owned()
        } else {
            format!("{base}/shards/{}", self.name)
        }
    }
}

/// What is answered for a logical cluster that is on its way.
pub(super) fn moving() -> Failure {
    Failure::unavailable("the server is currently unable to handle the request")
        .with_header("retry-after", "1".to_owned())
}

impl Server {
    /// Moves a logical cluster to another shard of a kcp. For `window` it is nowhere; then all its objects are on the
    /// other shard, with their uids, in new versions. Watches are cut at the beginning, and what they could go on from is
    /// forgotten.
    pub async fn move_cluster(&self, cluster: &str, shard: &str, window: Duration) {
        let core = self.core();
        let at = key(LOGICAL, cluster, "cluster");
        let place = |name: &str| {
            core.modify(&at, |object| {
                set_meta(object, "annotations", AT, name);
                true
            });
            core.plane.recount(core);
        };
        // No shard has this name.
        place("-");
        self.faults().cut_watches();
        core.store().compact();
        tokio::time::sleep(window).await;
        let mut store = core.store();
        for bucket in store.buckets() {
            let scope = crate::store::Scope {
                bucket,
                cluster: Some(cluster.into()),
                namespace: None,
            };
            for stored in store.list(&scope, None, None).unwrap_or_default() {
                let object = (*stored.object).clone();
                let _ = store.put(&stored.key, object, Expect::Version(stored.version));
            }
        }
        drop(store);
        place(shard);
    }
}
