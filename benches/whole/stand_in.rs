//! An agent for one kind, with the Go agent's flags: what is measured where no other executable is named.

use std::process::exit;

use clap::Parser;
use syncagent::Agent;
use syncagent::definition::{
    CopyNaming, Definition, Kind, Only, SchemaSource, Scope, StatusField, StatusRule, StatusSource,
};

use crate::scene;

/// The kind that is published, when this program is asked to be an agent.
pub(crate) const KIND: &str = "SYNCAGENT_WHOLE_GROUP";

#[derive(Debug, Parser)]
struct Flags {
    #[arg(long)]
    kubeconfig: String,
    #[arg(long)]
    kcp_kubeconfig: String,
    #[arg(long)]
    apiexportendpointslice_ref: String,
    #[arg(long)]
    agent_name: String,
    #[arg(long)]
    namespace: String,
    #[arg(long, default_value_t = 16)]
    concurrency: usize,
}

pub(crate) fn is_asked() -> bool {
    std::env::var(KIND).is_ok()
        && std::env::args().any(|arg| arg.starts_with("--apiexportendpointslice-ref"))
}

pub(crate) fn run() {
    let flags = Flags::parse();
    let group = std::env::var(KIND).unwrap_or_default();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let exit_with = runtime.block_on(async {
        use syncagent::{Connection, KcpAccess};
        let service = Connection::from_kubeconfig(Some(&flags.kubeconfig)).await;
        let kcp = KcpAccess::from_kubeconfig(Some(&flags.kcp_kubeconfig)).await;
        Agent::new(flags.apiexportendpointslice_ref)
            .name(flags.agent_name)
            .publish_definition(definition(&group))
            .connect(service.expect("a kubeconfig"), kcp.expect("a kubeconfig"))
            .retirements_per_minute(usize::MAX)
            .concurrency(flags.concurrency)
            .run()
            .await
    });
    if !exit_with.is_stopped() {
        eprintln!("{exit_with:?}");
        exit(1);
    }
}

fn definition(group: &str) -> Definition {
    let kind = Kind {
        group: group.into(),
        version: "v1".into(),
        kind: "Thing".into(),
        plural: "things".into(),
        scope: Scope::Namespaced,
    };
    let mut definition = Definition {
        schema: SchemaSource::Type(scene::crd(group)),
        copy: CopyNaming {
            namespace: Some("{workspace}".into()),
            name: "{name}".into(),
        },
        only: Only {
            namespaces: vec!["default".into()],
            ..Only::default()
        },
        status: StatusRule::Fields(vec![StatusField {
            path: "status.phase".into(),
            source: StatusSource::At("status.phase".into()),
        }]),
        ..Definition::new(kind.clone(), kind)
    };
    definition.policy.conditions = false;
    definition
}
