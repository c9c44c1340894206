//! An in-process kcp and an in-process Kubernetes API server: for tests, simulation and demos.
//!
//! ```no_run
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use syncagent_embedded::Server;
//!
//! let server = Server::kubernetes().build();
//! let service = server.in_process().as_user(&server.admin()); // kube::Client::new(service, "default")
//! let listening = server.listen("127.0.0.1:0".parse()?).await?;
//! std::fs::write("kubeconfig", listening.kubeconfig(&server.admin()))?;
//! # Ok(())
//! # }
//! ```
//!
//! What it does is what kube-apiserver 1.36 was recorded to do (`recorded/`), down to the texts of errors; what it does
//! not do answers with an error that says so.
//!
//! Read the modules in the order in which they are declared: pure parts first, then the server that is built of them.

pub mod api;
pub mod apply;
pub mod builtin;
pub mod discovery;
pub mod fields;
pub mod openapi;
pub mod patch;
pub mod rbac;
pub mod schema;
pub mod status;
pub mod table;

pub mod clock;
pub mod decode;
pub mod request;
pub mod selector;
pub mod store;

pub mod audit;
pub mod core;
pub mod crds;
pub mod crud;
pub mod faults;
pub mod handle;
pub mod kubernetes;
pub mod namespaces;
mod owners;
pub mod plane;
pub mod roles;
pub mod serve;
pub mod snapshot;
mod versions;
mod webhook;

#[cfg(test)]
#[path = "../../syncagent-core/tests/it/chance.rs"]
mod chance;

pub mod kcp;

pub mod replay;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, RuntimeClock};
use crate::core::{Core, Settings};
use crate::plane::{Plane, User};
pub use crate::serve::{InProcess, Listening};

/// A running server. All clones are the same server; it stops when the last one is dropped.
#[derive(Clone, Debug)]
pub struct Server {
    core: Arc<Core>,
    _running: Arc<Running>,
}

#[derive(Debug)]
struct Running(Arc<Core>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop.cancel();
    }
}

/// A server that is about to be built.
pub struct Builder {
    plane: PlaneOf,
    clock: Option<Arc<dyn Clock>>,
    settings: Settings,
    bare: bool,
    held: Vec<snapshot::Held>,
}

type PlaneOf = Box<dyn FnOnce(bool) -> Arc<dyn Plane> + Send>;

impl std::fmt::Debug for Builder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Builder")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Builder {
    /// A builder of a server with this plane; the argument of the function says whether the server is to be bare.
    pub fn with_plane(plane: impl FnOnce(bool) -> Arc<dyn Plane> + Send + 'static) -> Self {
        Self {
            plane: Box::new(plane),
            clock: None,
            settings: Settings::default(),
            bare: false,
            held: Vec::new(),
        }
    }

    /// Where timestamps come from. The default starts at the present time and follows tokio's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Only what kube-apiserver does by itself: nothing ends namespaces or collects what has lost its owner.
    #[must_use]
    pub fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// How long the server's own controllers take to act.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.settings.delay = delay;
        self
    }

    /// How many events each resource remembers; watches and pages from before get 410.
    #[must_use]
    pub fn history(mut self, events: usize) -> Self {
        self.settings.history = events;
        self
    }

    /// How often a watch that allows bookmarks gets one.
    #[must_use]
    pub fn bookmarks_every(mut self, period: Duration) -> Self {
        self.settings.bookmark_every = period;
        self
    }

    /// What the server holds from the beginning: what another one held.
    #[must_use]
    pub fn holding(mut self, held: Vec<snapshot::Held>) -> Self {
        self.held = held;
        self
    }

    /// Starts the server. Must be called within a tokio runtime.
    #[must_use]
    pub fn build(self) -> Server {
        let clock = self
            .clock
            .unwrap_or_else(|| Arc::new(RuntimeClock::default()));
        let core = Arc::new(Core::new((self.plane)(self.bare), clock, self.settings));
        snapshot::restore(&mut core.store(), self.held);
        core.plane.clone().start(&core);
        // What was there from the beginning is not history.
        core.store().compact();
        Server {
            _running: Arc::new(Running(core.clone())),
            core,
        }
    }
}

impl Server {
    /// A Kubernetes API server.
    #[must_use]
    pub fn kubernetes() -> Builder {
        Builder::with_plane(|bare| Arc::new(kubernetes::Kubernetes::new(bare)))
    }

    /// Registers a user in these groups and answers with a bearer token.
    #[must_use]
    pub fn user(&self, name: &str, groups: &[&str]) -> String {
        self.core.add_user(User::named(name, groups))
    }

    /// The token of a user who may do everything.
    #[must_use]
    pub fn admin(&self) -> String {
        let mut admin = User::named("admin", &["system:masters"]);
        admin.uid = "1".to_owned();
        self.core.add_user(admin)
    }

    /// Registers a user under a token of the caller's choice.
    pub fn token(&self, token: &str, name: &str, groups: &[&str]) {
        self.core.add_token(token, User::named(name, groups));
    }

    /// Forgets a token: whoever comes with it from now on is unauthorised.
    pub fn drop_token(&self, token: &str) {
        self.core.drop_token(token);
    }

    /// The server without sockets.
    #[must_use]
    pub fn in_process(&self) -> InProcess {
        InProcess::new(self.core.clone())
    }

    /// Listens with TLS; port 0 takes a free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn listen(&self, address: SocketAddr) -> std::io::Result<Listening> {
        serve::listen(self.core.clone(), address).await
    }

    /// What was asked so far.
    #[must_use]
    pub fn audit(&self) -> Vec<audit::Entry> {
        self.audit_after(0)
    }

    /// What was asked after the first `count` requests; [`Server::audit_count`] says how many there were.
    #[must_use]
    pub fn audit_after(&self, count: usize) -> Vec<audit::Entry> {
        self.core.audit.entries_after(count)
    }

    /// How many requests there ever were.
    #[must_use]
    pub fn audit_count(&self) -> usize {
        self.core.audit.count()
    }

    /// Forgets what was asked so far.
    pub fn clear_audit(&self) {
        self.core.audit.clear();
    }

    /// Registers a mutating webhook: a function that may change an object that is created or updated, or deny the write
    /// with a message. What it changes stays with whoever owned the field; what it adds is nobody's.
    pub fn webhook(
        &self,
        name: &str,
        mutate: impl Fn(&plane::Admission<'_>, &mut serde_json::Value) -> Result<(), String>
        + Send
        + Sync
        + 'static,
    ) {
        self.core.add_webhook(webhook::Webhook::new(name, mutate));
    }

    /// Removes all webhooks.
    pub fn clear_webhooks(&self) {
        self.core.clear_webhooks();
    }

    /// What goes wrong on purpose.
    #[must_use]
    pub fn faults(&self) -> faults::Faults {
        faults::Faults::of(&self.core)
    }

    /// The inside: the store, the clock, the plane.
    #[must_use]
    pub fn core(&self) -> &Arc<Core> {
        &self.core
    }
}
