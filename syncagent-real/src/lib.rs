//! Real servers for tests: a service cluster that is built from Go modules, and a kcp that is at hand.
//!
//! It knows programs, processes, ports and directories; it knows nothing of syncagent. The servers listen on free
//! loopback ports, keep their data in a temporary directory, and nothing of them outlives their owner, also when that
//! is killed: a [`guard`] sees to it.
//!
//! ```text
//! programs  etcd, kube-apiserver, kube-controller-manager, kubectl: built once, kept in the user's cache
//! cluster   the three of them, running: kubeconfigs, an audit log, ways to kill and revive them and to change secrets
//! kcp       the same of one `kcp` executable, which nobody builds here
//! guard     what ends them
//! ```
//!
//! By hand (`--help` says more):
//!
//! ```console
//! cargo run -p syncagent-real -- build                  # builds the programs
//! cargo run -p syncagent-real -- up                     # a service cluster, until Ctrl-C
//! cargo run -p syncagent-real -- up -- kubectl get ns   # one for a command, which finds it by KUBECONFIG
//! cargo run -p syncagent-real -- suite                  # tests/it with each combination of servers that can be had
//! ```

mod authority;
pub mod cluster;
pub mod error;
pub mod guard;
pub mod kcp;
pub mod programs;
pub mod server;

pub use cluster::Cluster;
pub use error::Error;
pub use kcp::Kcp;
pub use programs::Programs;
