//! The command line of a program that is one agent: `Agent::from_args`.
//!
//! Two kubeconfigs and how much to tell, nothing else: what is published is in the program.

use clap::{ArgAction, Parser};
use tracing_subscriber::EnvFilter;

/// What the command line says.
#[derive(Clone, Debug, Parser)]
#[command(
    about = "Offers services of a Kubernetes cluster to kcp workspaces.",
    version
)]
pub struct Args {
    /// The kubeconfig of the service cluster; without it what kubectl would use.
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<String>,
    /// The kubeconfig of the kcp; its current context is the provider's workspace, where the export is.
    #[arg(long, env = "KCP_KUBECONFIG", value_name = "FILE")]
    pub kcp_kubeconfig: String,
    /// Tell more: every effect (-v), every request (-vv).
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

impl Args {
    /// Sends log lines to standard error, as much as was asked for; `RUST_LOG` has the last word.
    pub fn init_logging(&self) {
        let default = match self.verbose {
            0 => "warn,syncagent_core=info",
            1 => "info,syncagent_core=debug",
            _ => "debug",
        };
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
        // A program that installed a subscriber of its own keeps it.
        let _ = tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .try_init();
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_flags_are_well_formed() {
        Args::command().debug_assert();
    }

    #[test]
    fn both_sides_are_named_by_flags() {
        let args =
            Args::try_parse_from(["agent", "--kubeconfig", "a", "--kcp-kubeconfig", "b", "-vv"])
                .unwrap();
        assert_eq!(args.kubeconfig.as_deref(), Some("a"));
        assert_eq!(args.kcp_kubeconfig, "b");
        assert_eq!(args.verbose, 2);
    }
}
