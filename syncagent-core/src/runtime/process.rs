//! The binary `syncagent`: one agent whose publications are `PublishedResource` objects.
//!
//! *Expected flow*, as that of kcp's Go api-syncagent, whose place it takes:
//!
//! 1. listen for those who want metrics, or to know that the process is there;
//! 2. find the export: kubeconfig, slice, workspace, `APIExport` ([`wiring`]);
//! 3. where the Lease decides who works, wait for it ([`election`]);
//! 4. read the `PublishedResource` objects that are there, and find out what stands behind them;
//! 5. run the agent until the process is told to stop, or the Lease is lost;
//! 6. finish the steps under way, and give the Lease back.
//!
//! *Guarantees*: what is missing at the start ends the process with a message that says what to do. Whoever lost the Lease
//! writes nothing any more: the agent is dropped in the middle of whatever it does, and the process ends with an error.

mod admin;
mod election;
mod kubeconfig;
mod wiring;

use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Agent, Exit, Handle, shutdown};
use crate::cli::settings::{Part, Settings};
use crate::controller::generation::Manner;
use crate::controller::published::Driver;
use crate::error::Error;
use crate::io::AbortOnDrop;
use crate::io::announce::{Announcer, Listener, Notice};
use crate::io::clients::{Connection, KcpAccess, Server};
use crate::io::clock::{Clock, System};
use crate::io::metrics;
use crate::io::source::Source;
use election::{Candidate, Election};

/// The process that the binary `syncagent` is.
#[must_use = "a process does nothing until it is run"]
pub struct Process {
    settings: Settings,
    servers: Option<(Connection, KcpAccess, String)>,
    listeners: Vec<Listener>,
    shutdown: Option<CancellationToken>,
    clock: Arc<dyn Clock>,
    hands_back: bool,
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Process {
    /// A process that runs as it is told.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            servers: None,
            listeners: Vec::new(),
            shutdown: None,
            clock: Arc::new(System),
            hands_back: false,
        }
    }

    /// Says how to reach the service cluster, and the workspace of the slice, which is at `url`; the kubeconfigs of the
    /// settings are not read then.
    pub fn connect(
        self,
        service: impl Into<Connection>,
        kcp: impl Into<KcpAccess>,
        url: impl Into<String>,
    ) -> Self {
        Self {
            servers: Some((service.into(), kcp.into(), url.into())),
            ..self
        }
    }

    /// Tells somebody what happens.
    pub fn notify(mut self, listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        self.listeners.push(Arc::new(listener));
        self
    }

    /// Stops when this token is cancelled, rather than on ctrl-c and SIGTERM.
    pub fn shutdown(self, token: CancellationToken) -> Self {
        Self {
            shutdown: Some(token),
            ..self
        }
    }

    /// Takes the time from this clock.
    pub fn clock(self, clock: impl Clock + 'static) -> Self {
        Self {
            clock: Arc::new(clock),
            ..self
        }
    }

    /// Writes down what the Go agent has to remember, and ends; nothing else is changed. See [`Agent::hand_back`].
    pub fn hand_back(mut self) -> Self {
        self.settings.dry_run = true;
        Self {
            hands_back: true,
            ..self
        }
    }

    /// Runs until it is told to stop, or cannot go on.
    pub async fn run(self) -> Exit {
        let stop = CancellationToken::new();
        let asked = stop.clone();
        let shutdown = self.shutdown.clone();
        let _listening = AbortOnDrop(tokio::spawn(async move {
            shutdown::requested(shutdown).await;
            tracing::info!("was told to stop, and finishes what is under way");
            asked.cancel();
        }));
        match self.begin(stop).await {
            Ok(exit) => exit,
            Err(error) => Exit::failed(error),
        }
    }

    async fn begin(self, stop: CancellationToken) -> Result<Exit, Error> {
        let settings = &self.settings;
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            name = %settings.agent,
            apiexportendpointslice = %settings.slice,
            "syncagent starts"
        );
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        let agent = Agent::new("");
        let _admin = self.admin(agent.handle()).await?;
        let user_agent = format!(
            "syncagent/{} ({})",
            env!("CARGO_PKG_VERSION"),
            settings.agent
        );
        let wired = async {
            let (service, kcp, url) = self.servers().await?;
            let wired = wiring::wire(kcp, &url, &settings.slice, &user_agent).await?;
            Ok::<_, Error>((service, wired))
        };
        let Some(wired) = until(&stop, wired).await else {
            return Ok(Exit::stopped());
        };
        let (service, wired) = wired?;
        tracing::info!(export = %wired.export, workspace = %wired.workspace, "found the export");
        let work = self.work(agent, &service, wired, &user_agent, &stop);
        if !settings.leader_election {
            return work.await;
        }
        let us = Candidate::new(
            &settings.namespace,
            settings.agent.as_str(),
            &host(),
            // Every RandomState is another one.
            &RandomState::new().hash_one(std::process::id()).to_string(),
        );
        let service = service.server("the service cluster", &user_agent)?;
        let mut election = Election::new(service, us, self.clock.clone());
        if until(&stop, election.won()).await.is_none() {
            election.release().await;
            return Ok(Exit::stopped());
        }
        tokio::select! {
            exit = work => {
                election.release().await;
                exit
            }
            why = election.lost() => Err(Error::Setup(format!(
                "lost the Lease {}/syncagent.{}: {why}",
                settings.namespace, settings.agent
            ))),
        }
    }

    /// Works until the process is told to stop: reads the objects, then runs the agent, which they go on driving.
    async fn work(
        &self,
        agent: Agent,
        service: &Connection,
        wired: wiring::Wired,
        user_agent: &str,
        stop: &CancellationToken,
    ) -> Result<Exit, Error> {
        let settings = &self.settings;
        let board = agent.board();
        let count = |server: Server| server.counting(board.metrics.clone());
        let access = wired.access.clone();
        let slices = match access.slices(user_agent)? {
            Some(slices) => slices,
            None => access.provider(user_agent)?,
        };
        let (ready, mut looked) = watch::channel(false);
        let driver = Driver {
            service: count(service.server("the service cluster", user_agent)?),
            access,
            slices: count(slices),
            slice: settings.slice.clone(),
            user_agent: user_agent.to_owned(),
            agent: settings.agent.clone(),
            namespace: settings.namespace.clone(),
            selector: settings.selector.clone(),
            strict: settings.strict,
            dry: settings.dry_run,
            tells: !settings.disabled.contains(&Part::ApiResourceSchema),
            definitions: agent.definitions(),
            board: board.clone(),
            clock: self.clock.clone(),
            announcer: Announcer::new(self.listeners.clone()),
            ready,
        };
        let agent = self.agent(agent, service, wired, stop.clone());
        let working = async {
            if until(stop, looked.wait_for(|looked| *looked))
                .await
                .is_none()
            {
                return Exit::stopped();
            }
            agent.run().await
        };
        tokio::select! {
            exit = working => Ok(exit),
            () = driver.run() => Ok(Exit::stopped()),
        }
    }

    /// The agent, ready to run.
    fn agent(
        &self,
        agent: Agent,
        service: &Connection,
        wired: wiring::Wired,
        stop: CancellationToken,
    ) -> Agent {
        let settings = &self.settings;
        let runs = |part| !settings.disabled.contains(&part);
        let manner = Manner {
            schemas: runs(Part::ApiResourceSchema),
            export: runs(Part::ApiExport),
            serves: runs(Part::Sync),
            like_go: true,
            version: wired.version,
        };
        let mut agent = agent
            .exporting(wired.export, manner)
            .endpoint_slice(&settings.slice)
            .name(settings.agent.as_str())
            .connect(service.clone(), wired.access)
            .retirements_per_minute(settings.deletions_per_minute)
            .clock(self.clock.clone())
            .shutdown(stop);
        for listener in &self.listeners {
            let listener = listener.clone();
            agent = agent.notify(move |notice| listener(notice));
        }
        if settings.dry_run {
            agent = agent.dry_run();
        }
        if self.hands_back {
            agent = agent.hand_back();
        }
        agent
    }

    async fn servers(&self) -> Result<(Connection, KcpAccess, String), Error> {
        if let Some(servers) = &self.servers {
            return Ok(servers.clone());
        }
        let service = kubeconfig::service(&self.settings).await?;
        let kcp = Source::read(&self.settings.kcp_kubeconfig, Default::default()).await?;
        let url = kcp.config().cluster_url.to_string();
        Ok((service.into(), kcp.into(), url))
    }

    /// Listens where it should.
    async fn admin(&self, handle: Handle) -> Result<Vec<AbortOnDrop>, Error> {
        let mut serving = Vec::new();
        if let Some(address) = self.settings.health {
            let listener = admin::listen("--health-address", address).await?;
            let serve = admin::serve(listener, Arc::new(admin::Page::health));
            serving.push(AbortOnDrop(tokio::spawn(serve)));
        }
        if let Some(address) = self.settings.metrics {
            let listener = admin::listen("--metrics-address", address).await?;
            let pages = move |path: &str| {
                let all = || metrics::plain(&handle.metrics()) + &metrics::process::text();
                let text = || admin::Page::metrics(all());
                (path == "/metrics").then(text)
            };
            let serve = admin::serve(listener, Arc::new(pages));
            serving.push(AbortOnDrop(tokio::spawn(serve)));
        }
        Ok(serving)
    }
}

/// Waits for something unless the process is told to stop.
async fn until<T>(stop: &CancellationToken, what: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = stop.cancelled() => None,
        done = what => Some(done),
    }
}

/// What this machine is called; a Pod is called as its object.
fn host() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let named = named.or_else(|| std::env::var("HOSTNAME").ok());
    let named = named.map(|it| it.trim().to_owned());
    named
        .filter(|it| !it.is_empty())
        .unwrap_or_else(|| "syncagent".to_owned())
}
