//! The process: what is started, in which order, and how it ends.
//!
//! [`Agent`] is the one thing a program builds; [`Exit`] is what it returns from `main`. The binary `syncagent` is a
//! `Process` around one.

mod agent;
mod exit;
mod handle;
#[cfg(feature = "program")]
mod process;
mod shutdown;

pub use crate::controller::brake::Brake;
pub use crate::controller::definitions::{Definitions, Standing};
pub use crate::io::clock::{Clock, System};
pub use agent::Agent;
pub use exit::Exit;
pub use handle::Handle;
#[cfg(feature = "program")]
pub use process::Process;
