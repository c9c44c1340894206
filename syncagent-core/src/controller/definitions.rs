//! What an agent should publish, while it runs: a handle to change it, and how each publication stands.
//!
//! Definitions are known by a name that the caller chooses, so that one that replaces another is told from a second one
//! that offers the same. A definition with problems is data: it is reported under its name, and no other is concerned.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::watch;

use crate::access::Claim;
use crate::definition::Definition;
use crate::publication::Problem;
use crate::schema::compat::Difference;

/// The definitions of an agent, to be changed while it runs.
///
/// ```
/// # use syncagent_core::definition::{Definition, Kind, Scope};
/// # use syncagent_core::runtime::Agent;
/// # let kind = Kind { group: "example.io".into(), version: "v1".into(), kind: "Thing".into(), plural: "things".into(),
/// #     scope: Scope::Namespaced };
/// let agent = Agent::new("example.io");
/// let definitions = agent.definitions();
/// definitions.set("things", Definition::new(kind.clone(), kind));
/// // Somewhere `agent.run()` is under way; then the definition may be replaced, or taken back.
/// definitions.remove("things");
/// assert!(definitions.standings().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct Definitions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    all: watch::Sender<Vec<Entry>>,
    standings: watch::Sender<BTreeMap<String, Standing>>,
}

/// A definition, by its name, and what stands beside it.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) definition: Definition,
    /// Whether orders are served; otherwise the schema is offered, and nothing else.
    pub(crate) served: bool,
    /// What the export claims for it, beside what its orders need.
    pub(crate) claims: Vec<Claim>,
}

impl Entry {
    fn new(name: String, definition: Definition) -> Self {
        Self {
            name,
            definition,
            served: true,
            claims: Vec::new(),
        }
    }
}

/// How a publication stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its id, as `<plural>.<group>` of the offered kind.
    pub publication: String,
    /// The `APIResourceSchema` under which the export offers it; `None`: not offered yet.
    pub schema: Option<String>,
    /// Whether orders are served. An older generation may go on while the newest definition waits or has problems.
    pub running: bool,
    /// What it waits for.
    pub waits: Option<String>,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
    /// What its newest schema would break; while nobody consents, the export goes on naming the old one.
    pub held_back: Vec<Difference>,
}

impl Default for Definitions {
    fn default() -> Self {
        Self(Arc::new(Inner {
            all: watch::Sender::new(Vec::new()),
            standings: watch::Sender::new(BTreeMap::new()),
        }))
    }
}

impl Definitions {
    /// Adds a definition, or replaces the one of this name. What runs of it is drained before the new one begins.
    pub fn set(&self, name: impl Into<String>, definition: Definition) {
        self.offer(Entry::new(name.into(), definition));
    }

    /// The same with what stands beside the definition.
    pub(crate) fn offer(&self, entry: Entry) {
        self.0.all.send_modify(
            |all| match all.iter_mut().find(|it| it.name == entry.name) {
                Some(known) => *known = entry,
                None => all.push(entry),
            },
        );
    }

    /// Takes a definition back; says whether there was one. What runs of it is drained and stops. Nothing is deleted, and
    /// the export goes on naming its schema and its claims: orders stand as they are until somebody serves them again.
    pub fn remove(&self, name: &str) -> bool {
        self.0.all.send_if_modified(|all| {
            let before = all.len();
            all.retain(|it| it.name != name);
            before != all.len()
        })
    }

    /// How a publication stands; `None` until the agent has looked at it.
    #[must_use]
    pub fn standing(&self, name: &str) -> Option<Standing> {
        self.0.standings.borrow().get(name).cloned()
    }

    /// How all publications stand.
    #[must_use]
    pub fn standings(&self) -> BTreeMap<String, Standing> {
        self.0.standings.borrow().clone()
    }

    /// Hears of every change of how publications stand.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<BTreeMap<String, Standing>> {
        self.0.standings.subscribe()
    }

    /// Adds a definition under a name that none has yet.
    pub(crate) fn add(&self, definition: Definition) {
        let name = crate::names::resource(&definition.offered);
        self.0.all.send_modify(|all| {
            let mut free = name.clone();
            let mut count = 1;
            while all.iter().any(|it| it.name == free) {
                count += 1;
                free = format!("{name}#{count}");
            }
            all.push(Entry::new(free, definition));
        });
    }

    /// All of them, in the order in which they came.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.0.all.borrow().clone()
    }

    pub(crate) fn changes(&self) -> watch::Receiver<Vec<Entry>> {
        self.0.all.subscribe()
    }

    pub(crate) fn report(&self, standings: BTreeMap<String, Standing>) {
        self.0.standings.send_if_modified(|known| {
            let changed = *known != standings;
            *known = standings;
            changed
        });
    }
}
