//! Publish the CRDs of a Kubernetes cluster as services in kcp: derive, run, done.
//!
//! Somebody runs a service on a Kubernetes cluster, PostgreSQL say, and an operator there makes one of each `Cluster`
//! object. Users of a kcp installation want to order one from a workspace of their own. This crate carries every order
//! to the service cluster, and status and credentials back.
//!
//! What is offered, and how it crosses the border, is declared on the Rust type of the CRD:
//!
//! ```
//! use k8s_openapi::api::core::v1::{Secret, Service};
//! use kube::CustomResource;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use syncagent::{LocalObjectReference, Publish, PublishStatus, View};
//!
//! /// A PostgreSQL cluster.
//! #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
//! #[kube(group = "postgresql.cnpg.io", version = "v1", kind = "Cluster", namespaced, status = "ClusterStatus")]
//! #[publish(copy = "{workspace}/{name}", only(namespaces = ["default"]))]
//! #[publish(returns(Secret, id = "connection", reads(Service, name = "{copy.name}-rw"), with = connection))]
//! #[serde(rename_all = "camelCase")]
//! pub struct ClusterSpec {
//!     pub instances: i32,
//!     /// A Secret of the consumer that goes down with the order.
//!     #[publish(takes(Secret))]
//!     pub superuser_secret: Option<LocalObjectReference>,
//! }
//!
//! /// Only what is declared here flows back.
//! #[derive(PublishStatus, Clone, Debug, Deserialize, Serialize, JsonSchema)]
//! pub struct ClusterStatus {
//!     pub phase: Option<String>,
//! }
//!
//! /// What the consumer needs to connect; `None` is "not yet".
//! fn connection(order: &View<Cluster>) -> Option<Secret> {
//!     let host = order.read::<Service>()?.spec?.load_balancer_ip?;
//!     Some(Secret { string_data: Some([("host".to_owned(), host)].into()), ..Secret::default() })
//! }
//!
//! let definition = Cluster::definition();
//! assert_eq!(definition.copy.name, "{name}");
//! assert_eq!(definition.fields[0].path, "spec.superuserSecret");
//! ```
//!
//! An [`Agent`] takes it from there: it fills the provider's `APIExport` with schemas and claims, follows the workspaces
//! that bind it, and brings orders down and status and Secrets up until it is told to stop. Every mistake that the compiler
//! cannot see, as in paths into somebody else's CRD, is told at once when it starts, or by [`Definition::check`] in a test.
//!
//! ```no_run
//! # use kube::CustomResource;
//! # use schemars::JsonSchema;
//! # use serde::{Deserialize, Serialize};
//! # use syncagent::{Agent, Publish};
//! # #[derive(CustomResource, Publish, Clone, Debug, Deserialize, Serialize, JsonSchema)]
//! # #[kube(group = "postgresql.cnpg.io", version = "v1", kind = "Cluster", namespaced)]
//! # pub struct ClusterSpec {}
//! #[tokio::main]
//! async fn main() -> syncagent::Exit {
//!     Agent::from_args("postgresql.cnpg.io").publish::<Cluster>().run().await
//! }
//! ```
//!
//! # Where to look
//!
//! - The attributes: the derive [`macro@Publish`], one heading per key.
//! - What they make: [`definition`], plain data that a program may also write by hand.
//! - What all can be said, with examples, and how to see what an agent does: [`guide`].
//! - What a composing function sees: [`View`].
//! - Whole programs: `examples/cnpg`, `examples/tls.rs`, `examples/cache.rs` in the repository.
//!
//! # Features
//!
//! - `agent` (default): the agent itself. Without it there are the derives and their types, for a crate of types only.
//! - `cli` (default): `Agent::from_args`.
//! - `metrics` (default): what the agent counts, `Handle::metrics`.
//! - `mutations`: regular expressions and Go templates in mutations, and Go templates as namings.
//! - `cel`: expressions in CEL.
//!
//! k8s-openapi needs the choice of a Kubernetes version; the program makes it, with a feature of its own dependency
//! (`k8s-openapi = { version = "0.29", features = ["latest"] }`).

#[cfg(feature = "agent")]
pub use syncagent_core::controller::board::Stuck;
#[doc(inline)]
pub use syncagent_core::definition;
pub use syncagent_core::definition::Definition;
#[cfg(feature = "agent")]
pub use syncagent_core::io::announce::{Notice, Order};
#[cfg(feature = "agent")]
pub use syncagent_core::io::clients::{Connection, KcpAccess};
#[cfg(feature = "agent")]
pub use syncagent_core::plan::Hands;
pub use syncagent_core::publication::{Problem, Problems};
#[cfg(feature = "agent")]
pub use syncagent_core::runtime::{Agent, Brake, Definitions, Exit, Handle, Standing};
pub use syncagent_core::schema::compat::Difference;
pub use syncagent_core::typed::{
    Condition, LocalObjectReference, Publish, PublishPart, PublishStatus, Reference, View,
};
#[doc(inline)]
pub use syncagent_derive::{Publish, PublishPart, PublishStatus};

// It speaks of `Handle::metrics`, too.
#[cfg(feature = "metrics")]
#[doc = include_str!("guide.md")]
pub mod guide {}

/// What the derives call. It changes without notice.
#[doc(hidden)]
pub mod __private {
    pub use syncagent_core::definition;
    pub use syncagent_core::definition::{
        Definition, FieldRule, SchemaSource, StatusField, StatusRule,
    };
    pub use syncagent_core::typed::derived::*;
    pub use syncagent_core::typed::{Publish, PublishPart, PublishStatus};
}
