//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::operator;

/// PostgreSQL as a service, on a bare machine: a provider, two consumers, and an agent between them.
#[derive(Debug, Parser)]
#[command(name = "cnpg", subcommand_negates_reqs = true)]
struct Flags {
    /// Leave everything running after the proof, and print kubectl commands to type
    #[arg(long)]
    keep: bool,
    /// Tell it without a line of Rust: PublishedResource objects, and the flags of kcp's Go agent
    #[arg(long)]
    no_code: bool,
    /// Show logs
    #[arg(short, long, global = true)]
    verbose: bool,
    /// A service cluster that you have, instead of an embedded one: its administrator's kubeconfig
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// A kcp that you have, instead of an embedded one: a kubeconfig that points at a workspace in which others may be made
    #[arg(long, value_name = "FILE")]
    kcp_kubeconfig: Option<PathBuf>,
    /// Run only the agent, between both that you have; the kcp's kubeconfig points at the provider's workspace
    #[arg(
        long,
        requires = "kubeconfig",
        requires = "kcp_kubeconfig",
        conflicts_with_all = ["keep", "no_code"]
    )]
    agent: bool,
    #[command(subcommand)]
    role: Option<Role>,
}

#[derive(Debug, clap::Subcommand)]
enum Role {
    /// The stand-in for the CloudNativePG operator
    #[command(hide = true)]
    Operator {
        #[arg(long)]
        kubeconfig: PathBuf,
        #[arg(long)]
        data: PathBuf,
        #[arg(long)]
        programs: PathBuf,
    },
}

/// What was asked for.
#[derive(Debug)]
pub(super) struct Args {
    pub(super) part: Part,
    pub(super) verbose: bool,
}

/// How the provider says what is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the types of `main.rs`.
    Derived,
    /// By PublishedResource objects on the service cluster.
    NoCode,
}

/// The part that this process plays.
#[derive(Debug)]
pub(super) enum Part {
    Story { way: Way, keep: bool, given: Given },
    Agent { service: PathBuf, kcp: PathBuf },
    Operator(operator::Options),
}

/// The control planes that somebody has; the others are embedded.
#[derive(Debug, Default)]
pub(super) struct Given {
    pub(super) kcp: Option<PathBuf>,
    pub(super) service: Option<PathBuf>,
}

pub(super) fn parse() -> Args {
    let Flags {
        keep,
        no_code,
        verbose,
        kubeconfig,
        kcp_kubeconfig,
        agent,
        role,
    } = Flags::parse();
    let way = if no_code { Way::NoCode } else { Way::Derived };
    let part = match (role, kubeconfig, kcp_kubeconfig) {
        (
            Some(Role::Operator {
                kubeconfig,
                data,
                programs,
            }),
            _,
            _,
        ) => Part::Operator(operator::Options {
            kubeconfig,
            data,
            programs,
            load_balancer: true,
        }),
        (None, Some(service), Some(kcp)) if agent => Part::Agent { service, kcp },
        (None, service, kcp) => Part::Story {
            way,
            keep,
            given: Given { kcp, service },
        },
    };
    Args { part, verbose }
}

/// Sends logs to standard error; `RUST_LOG` chooses which.
pub(super) fn log(shown: bool) {
    let quiet = if shown { "info" } else { "warn" };
    let filter =
        tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| quiet.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_writer(std::io::stderr)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_agent_alone_needs_both_kubeconfigs() {
        let parse = |flags: &[&str]| Flags::try_parse_from([&["cnpg"], flags].concat());
        assert!(parse(&["--agent", "--kubeconfig", "a"]).is_err());
        assert!(parse(&["--agent", "--kcp-kubeconfig", "a"]).is_err());
        let both = ["--kubeconfig", "a", "--kcp-kubeconfig", "b"];
        assert!(parse(&[&["--agent"], &both[..]].concat()).is_ok());
        for beside in ["--keep", "--no-code"] {
            assert!(parse(&[&["--agent", beside], &both[..]].concat()).is_err());
        }
    }

    #[test]
    fn the_story_takes_either_server_that_is_given() {
        let parse = |flags: &[&str]| Flags::try_parse_from([&["cnpg"], flags].concat());
        assert!(parse(&["--kubeconfig", "a"]).is_ok());
        assert!(parse(&["--keep", "--kcp-kubeconfig", "b"]).is_ok());
        assert!(parse(&["--no-code", "--keep"]).is_ok());
        assert!(parse(&["--no-code", "--kubeconfig", "a"]).is_ok());
    }
}
