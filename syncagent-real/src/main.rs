//! Builds, starts and uses real servers, by hand and in CI.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks"
)]

mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use syncagent_real::{Cluster, Error, Kcp, Programs};

/// Real servers for tests, on loopback.
#[derive(Debug, Parser)]
#[command(name = "syncagent-real")]
enum Command {
    /// Build etcd, kube-apiserver, kube-controller-manager and kubectl, once, and say where they are
    Build,
    /// Start a service cluster, for a command or until Ctrl-C
    Up {
        /// A kcp too: the executable that SYNCAGENT_TEST_KCP names, or `kcp` on PATH
        #[arg(long)]
        kcp: bool,
        /// What to run with it; it finds the cluster by KUBECONFIG, a kcp by KCP_KUBECONFIG, and their audit logs by
        /// AUDIT_LOG and KCP_AUDIT_LOG
        #[arg(last = true)]
        command: Vec<String>,
    },
    /// Run tests/it with real servers on either side or both, and count
    Suite(suite::Args),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        Command::Build => build().map(|programs| {
            println!("{}", programs.dir().display());
            ExitCode::SUCCESS
        }),
        Command::Up { kcp, command } => up(kcp, command).await,
        Command::Suite(args) => suite::run(args).await,
    };
    done.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::FAILURE
    })
}

fn build() -> Result<Programs, Error> {
    Programs::build(&mut |line| eprintln!("{line}"))
}

async fn up(with_kcp: bool, command: Vec<String>) -> Result<ExitCode, Error> {
    let programs = build()?;
    let cluster = Cluster::start(&programs).await?;
    let kubeconfig = cluster.kubeconfig();
    eprintln!(
        "a service cluster {} serves: KUBECONFIG={}",
        cluster.version(),
        kubeconfig.display()
    );
    let mut environment: Vec<(&str, PathBuf)> =
        vec![("KUBECONFIG", kubeconfig), ("AUDIT_LOG", cluster.audit())];
    let kcp = match with_kcp {
        true => Some(Kcp::start(&Kcp::executable()?).await?),
        false => None,
    };
    if let Some(kcp) = &kcp {
        let kubeconfig = kcp.kubeconfig();
        eprintln!(
            "a kcp {} serves: KCP_KUBECONFIG={}",
            kcp.version(),
            kubeconfig.display()
        );
        environment.push(("KCP_KUBECONFIG", kubeconfig));
        environment.push(("KCP_AUDIT_LOG", kcp.audit()));
    }
    let mut path = vec![programs.dir().to_owned()];
    path.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let path = std::env::join_paths(path).unwrap_or_default();
    let Some((program, arguments)) = command.split_first() else {
        eprintln!("Ctrl-C ends it");
        interrupted().await?;
        return Ok(ExitCode::SUCCESS);
    };
    let mut child = stranger(program)
        .args(arguments)
        .env("PATH", path)
        .envs(environment)
        .spawn()
        .map_err(|source| Error::System {
            what: format!("start {program}"),
            source,
        })?;
    let status = tokio::select! {
        status = child.wait() => status.map_err(|source| Error::System { what: format!("wait for {program}"), source })?,
        // The terminal tells the command too; a signal to us alone ends it.
        ended = interrupted() => { ended?; let _ = child.kill().await; return Ok(ExitCode::from(130)); }
    };
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// A command that does not take our package for its own. What cargo tells us of it, where it runs us, has the next cargo
/// build again whatever asks for the same: `ring`, and all that stands on it.
fn stranger(program: &str) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(program);
    for (name, _) in std::env::vars_os() {
        let told = name.to_str().is_some_and(|name| {
            ["CARGO_PKG_", "CARGO_MANIFEST_"]
                .iter()
                .any(|it| name.starts_with(it))
        });
        if told {
            command.env_remove(name);
        }
    }
    command
}

/// Waits for SIGINT or SIGTERM.
async fn interrupted() -> Result<(), Error> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|source| Error::System {
            what: "listen for signals".to_owned(),
            source,
        })
    };
    let (mut interrupt, mut terminate) = (
        listen(SignalKind::interrupt())?,
        listen(SignalKind::terminate())?,
    );
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
