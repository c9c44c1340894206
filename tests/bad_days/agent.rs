//! The agent, in a process of its own that can be killed.

use std::process::{ExitCode, Termination as _};

use syncagent::Agent;
use syncagent_core::io::clients::{Connection, KcpAccess};

use crate::servers::EXPORT;
use crate::things;

/// How this program is asked to be the agent: this, and two kubeconfigs.
pub(crate) const ROLE: &str = "agent";

pub(crate) async fn run(service: &str, kcp: &str) -> ExitCode {
    let service = Connection::from_kubeconfig(Some(service)).await;
    let kcp = KcpAccess::from_kubeconfig(Some(kcp)).await;
    Agent::new(EXPORT)
        .name("agent")
        .publish_definition(things::taking("Thing"))
        // Consumers delete by the hundred here, and mean it.
        .retirements_per_minute(100_000)
        .notify(|notice| println!("{notice}"))
        .connect(service.expect("a kubeconfig"), kcp.expect("a kubeconfig"))
        .run()
        .await
        .report()
}
