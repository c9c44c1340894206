//! The rim: everything that talks to a server, and nothing that decides.
//!
//! ```text
//! clock       what time it is
//! source      where a client's configuration was read, and what it says by now
//! clients     one HTTP connection per server, one cheap handle per URL prefix (a workspace, an endpoint, a cluster)
//! discovery   does the service cluster serve the kind, and with which schema
//! endpoints   which virtual workspaces exist for our export
//! watch       list and watch of one resource under one prefix, for ever
//! observe     answers the questions of a plan
//! apply       executes the effects of a plan
//! announce    tells people what happened
//! metrics     counts it
//! events      tells consumers, in their workspaces
//! ```
//!
//! Bodies are `serde_json::Value` throughout: the engine works on JSON, types stop at the definition.

pub mod announce;
pub(crate) mod apply;
pub mod clients;
pub(crate) mod clock;
mod connect;
pub mod discovery;
pub mod endpoints;
pub(crate) mod events;
pub(crate) mod metrics;
pub(crate) mod observe;
mod pace;
pub(crate) mod source;
pub mod watch;

/// A task that ends with its owner.
pub(crate) struct AbortOnDrop(pub(crate) tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
