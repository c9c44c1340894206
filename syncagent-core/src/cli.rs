//! Command lines: of a program that is one agent, and of the binary `syncagent`.
//!
//! ```text
//! args       a program with an agent in it: two kubeconfigs and how much to tell (`Agent::from_args`)
//! flags      the binary: every flag of kcp's Go api-syncagent under its name, and sub-commands beside them
//! settings   flags that make sense together, or everything that is wrong with them at once
//! selector   label selectors as they are typed
//! files      documents in files
//! rbac       what the agent must be allowed to do
//! pubres     what a PublishedResource makes of the CRD behind it
//! log        lines as people and as machines read them
//! program    what the binary does with all of it
//! ```

mod args;
#[cfg(feature = "program")]
mod files;
#[cfg(feature = "program")]
pub mod flags;
#[cfg(feature = "program")]
mod log;
#[cfg(feature = "program")]
mod program;
#[cfg(feature = "program")]
pub mod pubres;
#[cfg(feature = "program")]
pub mod rbac;
#[cfg(feature = "program")]
mod selector;
#[cfg(feature = "program")]
pub mod settings;

pub use args::Args;
#[cfg(feature = "program")]
pub use program::main;
