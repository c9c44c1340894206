//! The agent: the one thing a program builds.
//!
//! ```no_run
//! # use syncagent_core::{definition::Definition, runtime::{Agent, Exit}};
//! # async fn example(definition: Definition, service: kube::Config, kcp: kube::Config) -> Exit {
//! Agent::new("postgresql.cnpg.io")
//!     .publish_definition(definition)
//!     .connect(service, kcp)
//!     .notify(|notice| tracing::info!("{notice}"))
//!     .run()
//!     .await
//! # }
//! ```
//!
//! Nothing fails while it is built. [`Agent::run`] first compiles every definition, then compares them with what the
//! service cluster serves, and reports all problems at once: an agent is started whole or not at all. Once it runs, and
//! always where its definitions come through [`Agent::definitions`], problems are data and concern one publication each.

use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::handle::Handle;
use super::shutdown;
use crate::controller::board::Board;
use crate::controller::brake::{self, Brake};
use crate::controller::definitions::Definitions;
use crate::controller::fleet::{self, Course};
use crate::controller::generation::{Generations, Manner};
use crate::controller::once::Once;
use crate::controller::roster::Roster;
use crate::controller::state::State;
use crate::controller::states::States;
use crate::controller::sync::{self, Shared};
use crate::definition::Definition;
use crate::error::Error;
use crate::io::announce::{Announcer, Listener, Notice};
use crate::io::clients::{Connection, KcpAccess, Server};
use crate::io::clock::{Clock, System};
use crate::io::endpoints::{self, Slices};
use crate::io::events::{self, About, Post};
use crate::names::{AgentName, AgentNameError};
use crate::publication::{Problems, Publications};

/// How many orders are worked on at once at most, unless a program says otherwise.
const MOST: usize = 128;

/// An agent that offers services of a Kubernetes cluster to the workspaces of a kcp.
#[must_use = "an agent does nothing until it is run"]
pub struct Agent {
    export: String,
    slice: Option<String>,
    name: Option<String>,
    definitions: Definitions,
    /// Whether somebody holds the definitions and changes them.
    driven: AtomicBool,
    wiring: Wiring,
    listeners: Vec<Listener>,
    shutdown: Option<CancellationToken>,
    clock: Arc<dyn Clock>,
    most: usize,
    board: Arc<Board>,
    brake: Brake,
    dry: bool,
    hands_back: bool,
    manner: Manner,
}

/// How the agent reaches its two servers.
enum Wiring {
    Connected(Box<(Connection, KcpAccess)>),
    /// The kubeconfigs of the service cluster and of the kcp.
    Kubeconfigs(Option<String>, Option<String>),
}

impl fmt::Debug for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Agent")
            .field("export", &self.export)
            .field("definitions", &self.definitions)
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// An agent for the `APIExport` of this name in the provider's workspace.
    pub fn new(export: impl Into<String>) -> Self {
        Self {
            export: export.into(),
            slice: None,
            name: None,
            definitions: Definitions::default(),
            driven: AtomicBool::new(false),
            wiring: Wiring::Kubeconfigs(None, None),
            listeners: Vec::new(),
            shutdown: None,
            clock: Arc::new(System),
            most: MOST,
            board: Arc::default(),
            brake: Brake::default(),
            dry: false,
            hands_back: false,
            manner: Manner::default(),
        }
    }

    /// An agent that takes its kubeconfigs from the command line and the environment, and logs as told there.
    ///
    /// `--help` and mistakes on the command line are answered here, and end the process.
    #[cfg(feature = "cli")]
    pub fn from_args(export: impl Into<String>) -> Self {
        use clap::Parser as _;
        let args = crate::cli::Args::parse();
        args.init_logging();
        Self {
            wiring: Wiring::Kubeconfigs(args.kubeconfig, Some(args.kcp_kubeconfig)),
            ..Self::new(export)
        }
    }

    /// Offers a type.
    pub fn publish<T: crate::typed::Publish>(self) -> Self {
        self.publish_definition(T::definition())
    }

    /// Offers what a definition says.
    pub fn publish_definition(self, definition: Definition) -> Self {
        self.definitions.add(definition);
        self
    }

    /// The definitions, to be changed while the agent runs. Whoever takes them hears of problems as data
    /// ([`Definitions::standings`]): such an agent starts with whatever is sound, also with nothing.
    #[must_use]
    pub fn definitions(&self) -> Definitions {
        self.driven.store(true, Ordering::Relaxed);
        self.definitions.clone()
    }

    /// Says how to reach the service cluster, and the provider's workspace in the kcp.
    pub fn connect(self, service: impl Into<Connection>, kcp: impl Into<KcpAccess>) -> Self {
        Self {
            wiring: Wiring::Connected(Box::new((service.into(), kcp.into()))),
            ..self
        }
    }

    /// The same agent for another export, one that is found out later, which it fills in this manner.
    #[cfg(feature = "program")]
    pub(super) fn exporting(self, export: String, manner: Manner) -> Self {
        Self {
            export,
            manner,
            ..self
        }
    }

    /// Where everything can be seen.
    #[cfg(feature = "program")]
    pub(super) fn board(&self) -> Arc<Board> {
        self.board.clone()
    }

    /// Reaches workspaces through the `APIExportEndpointSlice` of this name, in the workspace that the [`KcpAccess`] leads to,
    /// rather than through all of the export's. The export may be in another workspace: [`KcpAccess::exporting_from`].
    pub fn endpoint_slice(self, name: impl Into<String>) -> Self {
        Self {
            slice: Some(name.into()),
            ..self
        }
    }

    /// The agent's name on everything it makes; the export's name unless it is set. Two agents on one service cluster
    /// need two names.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
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

    /// A look at the agent while it runs.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle(self.board.clone())
    }

    /// How many objects of the service cluster may be deleted in a minute: 60 unless it is set. One more, and all
    /// deletions there wait for a person's word, while everything else goes on; see [`Brake`].
    pub fn retirements_per_minute(self, limit: usize) -> Self {
        self.brake.limit_to(limit);
        self
    }

    /// The brake on deletions, to look at and to lift while the agent runs.
    #[must_use]
    pub fn brake(&self) -> Brake {
        self.brake.clone()
    }

    /// Changes nothing on either side: says what would be done, as [`Notice::Planned`], and ends when everything has been
    /// said.
    ///
    /// ```no_run
    /// # async fn example(agent: syncagent_core::runtime::Agent) {
    /// let exit = agent.notify(|notice| println!("{notice}")).dry_run().run().await;
    /// # }
    /// ```
    pub fn dry_run(self) -> Self {
        Self { dry: true, ..self }
    }

    /// Writes down what kcp's api-syncagent has to remember to go on where this agent stopped, and ends. Of every order that
    /// is settled the state Secret is brought up to date ([`Notice::HandedBack`]); what would have to be done first is said
    /// ([`Notice::NotHandedBack`]), and done by the Go agent then. Nothing else is changed, on either side.
    ///
    /// Only publications in the Go agent's dialect take part. No agent of either sort may run meanwhile. Beside what an
    /// agent may do anyway, it takes `create` and `patch` on Secrets in the namespace of the state Secrets.
    ///
    /// ```no_run
    /// # async fn go(agent: syncagent_core::runtime::Agent) {
    /// let exit = agent.notify(|notice| println!("{notice}")).hand_back().run().await;
    /// # }
    /// ```
    pub fn hand_back(self) -> Self {
        Self {
            hands_back: true,
            ..self.dry_run()
        }
    }

    /// How many orders are worked on at once at most, in all; 128 unless it is set. How many it is at a time follows from
    /// what the servers make of them: more as long as that brings more answers, fewer when it does not, and half as many
    /// when a server says that it has too much to do. A publication may have a smaller bound of its own,
    /// [`Policy::concurrency`](crate::definition::Policy::concurrency).
    ///
    /// ```
    /// # use syncagent_core::runtime::Agent;
    /// let agent = Agent::new("postgresql.cnpg.io").concurrency(32);
    /// ```
    pub fn concurrency(self, most: usize) -> Self {
        Self {
            most: most.max(1),
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
}

impl Agent {
    /// Checks the definitions, without any server.
    ///
    /// # Errors
    ///
    /// Every problem of every definition.
    pub fn check(&self) -> Result<(), Problems> {
        self.compile().map(drop)
    }

    /// Runs until it is told to stop.
    pub async fn run(self) -> Exit {
        let driven = self.driven.load(Ordering::Relaxed);
        let agent = match (self.agent_name(), self.compile()) {
            (Ok(agent), Ok(_)) => agent,
            (Ok(agent), Err(_)) if driven => agent,
            (_, Err(problems)) => return Exit::invalid(problems.0),
            (Err(error), _) => return Exit::invalid([error]),
        };
        self.serve(agent, !driven).await
    }

    fn agent_name(&self) -> Result<AgentName, AgentNameError> {
        AgentName::parse(self.name.as_deref().unwrap_or(&self.export))
    }

    fn compile(&self) -> Result<Publications, Problems> {
        let all: Vec<_> = self
            .definitions
            .all()
            .into_iter()
            .map(|it| it.definition)
            .collect();
        Publications::compile(self.name.as_deref().unwrap_or(&self.export), &all)
    }

    async fn connections(&self) -> Result<(Connection, KcpAccess), Error> {
        match &self.wiring {
            Wiring::Connected(both) => Ok((**both).clone()),
            Wiring::Kubeconfigs(service, kcp) => {
                let named = std::env::var("KCP_KUBECONFIG").ok();
                let kcp = kcp.clone().or(named);
                let kcp = kcp.ok_or_else(|| Error::Kubeconfig {
                    path: "KCP_KUBECONFIG".to_owned(),
                    source: "it names the kubeconfig of the provider's workspace, and is not set"
                        .into(),
                })?;
                Ok((
                    Connection::from_kubeconfig(service.as_deref()).await?,
                    KcpAccess::from_kubeconfig(Some(&kcp)).await?,
                ))
            }
        }
    }

    /// Everything after the definitions are known to be sound.
    async fn serve(self, agent: AgentName, strict: bool) -> Exit {
        let user_agent = format!("syncagent/{} ({agent})", env!("CARGO_PKG_VERSION"));
        let announcer = Announcer::new(self.listeners.clone());
        let stop = shutdown::requested(self.shutdown.clone());
        tokio::pin!(stop);
        let servers = tokio::select! {
            () = &mut stop => return Exit::stopped(),
            servers = self.servers(&user_agent) => servers,
        };
        let (service, kcp, provider, slices) = match servers {
            Ok(servers) => servers,
            Err(error) => return Exit::failed(error),
        };
        let (urls, known) = watch::channel(None);
        let (look, mut looked) = watch::channel(false);
        let (publish, wanted) = watch::channel(Vec::new());
        let (seen, export_seen) = watch::channel(None);
        let generations = Generations {
            provider: provider.clone(),
            service: service.clone(),
            export: self.export.clone(),
            agent: agent.clone(),
            announcer: announcer.clone(),
            clock: self.clock.clone(),
            definitions: self.definitions.clone(),
            wanted: publish,
            strict,
            manner: self.manner,
            dry: self.dry,
            seen,
            looked: look,
        };
        let course = Course { kcp, user_agent };
        let (post, line) = Post::new();
        // Agents of other names, or started at other times, do not pause alike.
        let mut seed = DefaultHasher::new();
        (agent.as_str(), self.clock.now().to_string()).hash(&mut seed);
        let seed = seed.finish();
        let shared = Arc::new(Shared {
            service,
            manager: agent.manager(),
            publications: Roster::default(),
            announcer,
            clock: self.clock.clone(),
            endpoints: Mutex::default(),
            state: Mutex::new(State::new(seed, self.most)),
            work: Notify::new(),
            board: self.board.clone(),
            brake: self.brake.clone(),
            states: States::default(),
            once: Once::default(),
            dry: self.dry,
            hands_back: self.hands_back,
            quiet: Notify::new(),
            post,
        });
        self.brake.use_clock(self.clock.clone());
        let quiet = shared.clone();
        let reach = shared.clone();
        let server = move |about: &About| {
            let found = reach.workspaces(about.endpoint.as_ref(), &about.cluster);
            found.into_iter().next().map(|(_, server)| server)
        };
        let crowd = shared.clone();
        let crowded = move || crowd.state().waiting() > 0;
        // Who says it to consumers: as the Go agent, where we stand in its place.
        let sender = match self.manner.like_go {
            true => "syncagent-sync".to_owned(),
            false => agent.to_string(),
        };
        let (braking, to_mark) = (shared.clone(), provider.clone());
        let endpoints = async {
            if self.dry {
                // Nothing to do is the end of it, so what is to be done has to be known first.
                let _ = looked.wait_for(|looked| *looked).await;
            }
            let which = match &self.slice {
                Some(name) => Slices::Named(name.clone()),
                None => Slices::Of(self.export.clone()),
            };
            endpoints::follow(slices.unwrap_or(provider), which, urls).await;
        };
        let stopping = shared.clone();
        let stopped = async {
            stop.await;
            sync::finish(&stopping).await;
        };
        let braking = async {
            if self.dry {
                // Nothing is deleted.
                std::future::pending::<()>().await;
            }
            let export = (self.manner.version, self.export.as_str());
            brake::keep(&braking, &to_mark, export, export_seen).await;
        };
        tokio::select! {
            biased;
            () = stopped => Exit::stopped(),
            problems = generations.run() => Exit::invalid(problems.0),
            () = endpoints => Exit::stopped(),
            () = braking => Exit::stopped(),
            () = fleet::run(shared, course, wanted, known) => Exit::stopped(),
            () = events::send(line, sender, server, crowded) => Exit::stopped(),
            () = quiet.quiet.notified() => Exit::stopped(),
        }
    }

    /// The service cluster, the kcp, the export's workspace in it, and that of the slices where it is another one.
    async fn servers(
        &self,
        user_agent: &str,
    ) -> Result<(Server, KcpAccess, Server, Option<Server>), Error> {
        let (service, kcp) = self.connections().await?;
        let count = |server: Server| server.counting(self.board.metrics.clone());
        let service = service.server("the service cluster", user_agent)?;
        let (provider, slices) = (kcp.provider(user_agent)?, kcp.slices(user_agent)?);
        Ok((count(service), kcp, count(provider), slices.map(count)))
    }
}
