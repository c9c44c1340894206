//! What is remembered between two looks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::definition::Kind;
use crate::io::discovery::Found;
use crate::publication::Publication;

/// When a publication is begun anew after its schema changed. A watch that was opened before shows objects through the
/// schema of that time, and servers take a while to notice: kcp about a second, a large one longer.
const RENEW: [Duration; 2] = [Duration::from_secs(3), Duration::from_secs(30)];

/// What is remembered between two looks.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) found: BTreeMap<Kind, Found>,
    pub(super) export: Option<Value>,
    /// Schemas that we know to exist.
    pub(super) published: BTreeSet<String>,
    /// Schemas that bear the agent's name, or were to.
    pub(super) marked: BTreeSet<String>,
    /// Specs of schemas that the export names, where a verdict needed them.
    pub(super) specs: BTreeMap<String, Option<Value>>,
    pub(super) running: BTreeMap<String, Arc<Publication>>,
    /// When which publication is begun anew.
    pub(super) renewals: BTreeSet<(Instant, String)>,
    /// What was claimed for us, as `plural.group`.
    pub(super) claimed: BTreeSet<String>,
    /// What was told about whom, so that nothing is told twice.
    pub(super) told: BTreeMap<String, BTreeSet<String>>,
}

impl Memory {
    /// Takes note of what stands behind publications.
    pub(super) fn find(&mut self, kind: Kind, found: Found) {
        if let (Some(Found::Crd(_)), Found::Crd(_)) = (self.found.get(&kind), &found) {
            let concerned = self.running.values().filter(|it| *it.service() == kind);
            let concerned: Vec<_> = concerned.map(|it| it.id().to_owned()).collect();
            concerned.iter().for_each(|id| self.renew_later(id));
        }
        self.found.insert(kind, found);
    }

    pub(super) fn renew_later(&mut self, id: &str) {
        if self.running.contains_key(id) {
            let now = Instant::now();
            self.renewals.retain(|(_, known)| known != id);
            let times = RENEW.iter().map(|pause| (now + *pause, id.to_owned()));
            self.renewals.extend(times);
        }
    }

    /// Begins anew what is due: an equal publication that is another one ends the generation before it.
    pub(super) fn renew(&mut self, now: Instant) {
        while self.renewals.first().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, id)) = self.renewals.pop_first()
                && let Some(running) = self.running.get_mut(&id)
            {
                *running = Arc::new((**running).clone());
            }
        }
    }
}
