//! The process that the binary `syncagent` is, from its start to its end.

mod election;
mod older;
mod stopping;
mod wiring;

use std::future::Future;

use serde_json::{Value, json};
use syncagent::Exit;
use syncagent_core::access::program::{
    cluster_rules, default_rules, export_rules, kind_rule, namespace_rules, slice_rules,
};
use syncagent_core::cli::flags::Flags;
use syncagent_core::cli::settings::Settings;
use syncagent_core::definition::Definition;
use syncagent_core::io::clients::{Connection, KcpAccess};
use syncagent_core::runtime::Process;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::stage::{EXPORT, Stage};
use crate::world::{World, eventually, selecting};

/// Both servers, an export that kcp has made a slice for, and a process that may do what is documented.
pub(crate) struct Site(pub(crate) Stage);

/// A process under way.
pub(crate) struct Running {
    stop: CancellationToken,
    pub(crate) end: JoinHandle<Exit>,
}

impl Running {
    fn of(process: Process) -> Self {
        let stop = CancellationToken::new();
        let end = tokio::spawn(process.shutdown(stop.clone()).run());
        Self { stop, end }
    }

    /// Does something while it runs; a process that ends meanwhile says why.
    pub(crate) async fn beside<T>(&mut self, work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = work => done,
            ended = &mut self.end => panic!("it ended: {}", ended.unwrap()),
        }
    }

    /// Tells it to stop, and says how it ended.
    pub(crate) async fn stopped(self) -> Exit {
        self.stop.cancel();
        self.end.await.unwrap()
    }
}

/// What a process may do on the service cluster and in the export's workspace, as is documented.
fn rules(stage: &Stage) -> [Vec<Value>; 2] {
    let kinds = stage.definitions.iter().map(|it| kind_rule(&it.service));
    let service = [namespace_rules(), default_rules(), cluster_rules()].into_iter();
    [
        service.flatten().chain(kinds).collect(),
        [export_rules(EXPORT), slice_rules(EXPORT)].concat(),
    ]
}

impl Site {
    /// With these kinds on the service cluster, whose orders the process may serve.
    pub(crate) async fn new(definitions: Vec<Definition>) -> Self {
        Self::of(Stage::set(definitions).await).await
    }

    /// The same with what a stage has.
    pub(crate) async fn of(stage: Stage) -> Self {
        let [service, provider] = rules(&stage);
        stage.export(&json!({})).await;
        stage.grant(&service, &provider).await;
        let slice = format!("/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/{EXPORT}");
        eventually("kcp makes a slice", || async {
            let found = stage.provider.api.get(&slice).await.unwrap();
            found.is_success().then_some(())
        })
        .await;
        Self(stage)
    }

    /// From now on the process may do nothing but read this resource, on the service cluster (0) or in the export's
    /// workspace (1).
    pub(crate) async fn forbid(&self, side: usize, resource: &str) {
        let mut rules = rules(&self.0);
        let concerned = |rule: &&mut Value| rule["resources"][0] == resource;
        let rule = rules[side].iter_mut().find(concerned).unwrap();
        let before = rule.clone();
        rule["verbs"] = json!(["get", "list", "watch"]);
        self.0.give(&rules[0], &rules[1]).await;
        self.0.forbidden(side, &before, &json!("update")).await;
    }

    /// The agent's name.
    pub(crate) fn agent(&self) -> String {
        self.0.world.unique("agent")
    }

    /// The flags that every process gets.
    pub(crate) fn flags(&self) -> Flags {
        Flags {
            namespace: Some("default".into()),
            kcp_kubeconfig: Some("unread".into()),
            apiexportendpointslice_ref: Some(EXPORT.into()),
            agent_name: Some(self.agent()),
            metrics_address: Some("0".into()),
            published_resource_selector: World::is_real().then(|| selecting("")),
            ..Flags::default()
        }
    }

    /// Where the kubeconfig of the kcp leads: what is found from there is reached at the same host.
    pub(crate) fn url(&self) -> String {
        self.0.provider.url.clone()
    }

    pub(crate) fn service(&self) -> Connection {
        self.0.world.service_connection(&self.0.user)
    }

    pub(crate) fn kcp(&self) -> KcpAccess {
        self.0.world.kcp_access(&self.0.provider, &self.0.user)
    }

    /// Starts a process.
    pub(crate) fn start(&self, flags: Flags) -> Running {
        self.start_at(flags, self.kcp(), &self.url())
    }

    pub(crate) fn start_at(&self, flags: Flags, kcp: KcpAccess, url: &str) -> Running {
        Running::of(self.process_between(self.service(), flags, kcp, url))
    }

    /// A process that is not started yet.
    pub(crate) fn process(&self, flags: Flags) -> Process {
        self.process_between(self.service(), flags, self.kcp(), &self.url())
    }

    fn process_between(
        &self,
        service: Connection,
        flags: Flags,
        kcp: KcpAccess,
        url: &str,
    ) -> Process {
        let notices = self.0.notices.clone();
        Process::new(Settings::try_from(flags).unwrap())
            .connect(service, kcp, url)
            .notify(move |notice| notices.lock().unwrap().push(notice.clone()))
    }
}
