//! The walk-through, told while it happens: a provider offers PostgreSQL, two consumers order it, rows come out.
//!
//! Everything a provider does *not* write lives here: two control planes inside this process, an operator beside it, two
//! consumers, and a narrator. The agent under test comes in from `main.rs` and is treated like any other program: it gets
//! two kubeconfigs with access of its own.
//!
//! ```text
//! plane     a control plane, embedded or given, and who may do what on it
//! stage     the servers, their kubeconfigs, the operator's process      (home: the directory and its guard)
//! provider  workspaces, the empty export, who may bind, the agent
//! consumer  a workspace, a user, a binding, an order                    (twice, at the same time)
//! proof     SQL with what the consumer's workspace says, and nothing else
//! curtain   delete, and watch everything vanish                         (or `--keep`: commands to type)
//! ```
//!
//! Waiting is watching: [`wait::until`] looks at an object whenever it changes, and on running out of patience says what
//! it waited for and what it saw last.

mod args;
mod consumer;
mod curtain;
#[cfg(test)]
mod guest;
mod home;
mod no_code;
#[cfg(test)]
mod offer;
mod plane;
mod proof;
mod provider;
#[cfg(test)]
mod rehearsal;
mod say;
mod stage;
mod wait;

use std::process::{ExitCode, Termination as _};

use syncagent::Agent;

use crate::operator;
use crate::postgres::{self, Installation};
use args::{Args, Given, Part, Way};
use consumer::Consumer;
use home::Home;
use say::{Narrator, Who};
use stage::Stage;

/// Why the story did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    /// There is no PostgreSQL, or it does not do what it should.
    #[error(transparent)]
    Postgres(#[from] postgres::Error),
    /// A file or a process.
    #[error("could not {what}: {why}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        why: std::io::Error,
    },
    /// An API server refused something it should not have.
    #[error("could not {what}: {why}")]
    Api {
        /// What was tried.
        what: String,
        /// Why not.
        why: String,
    },
    /// Somebody did not do their part in time.
    #[error("waited {seconds} s for {what}; the last state: {last}")]
    Overlong {
        /// For what.
        what: String,
        /// How long.
        seconds: u64,
        /// What was seen.
        last: String,
    },
    /// The agent or the operator ended.
    #[error("{who} ended: {how}")]
    Ended {
        /// Who.
        who: &'static str,
        /// How.
        how: String,
    },
    /// Something is not as it must be.
    #[error("{0}")]
    Wrong(String),
}

impl Trouble {
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |why| Self::System { what, why }
    }

    pub(crate) fn api(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |error| {
            let why = match error {
                kube::Error::Api(status) => format!("{} {}", status.code, status.message),
                other => other.to_string(),
            };
            Self::Api { what, why }
        }
    }
}

/// Plays the part that the command line asks for.
pub(crate) async fn tell(agent: Agent) -> ExitCode {
    let Args { part, verbose } = args::parse();
    match part {
        Part::Operator(options) => {
            args::log(verbose);
            match operator::run(options).await {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => fail(&error),
            }
        }
        Part::Agent { service, kcp } => {
            args::log(true);
            match provider::connected(agent, &service, &kcp).await {
                Ok(agent) => agent.run().await.report(),
                Err(trouble) => fail(&trouble),
            }
        }
        Part::Story { way, keep, given } => {
            if verbose {
                args::log(true);
            }
            let agent = match way {
                Way::Derived => Some(agent),
                Way::NoCode => None,
            };
            whole(agent, keep, &given, verbose).await
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "the last words of a process are for people"
)]
fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprint!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        eprint!(": {error}");
        cause = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

/// The story, and whatever happens, nothing is left of it.
///
/// Without an agent the story is told without code.
async fn whole(agent: Option<Agent>, keep: bool, given: &Given, verbose: bool) -> ExitCode {
    let narrator = Narrator::new(verbose);
    let installation = {
        let waiting = narrator.waiting("looking for PostgreSQL");
        match Installation::get(&|what| waiting.retell(what)).await {
            Ok(installation) => installation,
            Err(error) => {
                drop(waiting);
                return fail(&Trouble::from(error));
            }
        }
    };
    let mut home = match Home::make() {
        Ok(home) => home,
        Err(trouble) => return fail(&trouble),
    };
    let version = &installation.version;
    let line = format!(
        "uses PostgreSQL {version} of {}",
        installation.programs.display()
    );
    narrator.say(Who::Story, &line);
    let outcome = match Stage::open(&narrator, &home, given).await {
        Ok(stage) => {
            let play = play(&narrator, agent, &mut home, &installation, keep, &stage);
            staged(&narrator, play, &stage, home::interrupted()).await
        }
        Err(trouble) => Err(trouble),
    };
    narrator.hush();
    let kept = home.kept;
    home.leave().await;
    match outcome {
        Ok(Some(summary)) => {
            narrator.plain(&summary);
            ExitCode::SUCCESS
        }
        // As a shell says of a program that Ctrl-C ended; with --keep that is how it is meant to end.
        Ok(None) => ExitCode::from(if kept { 0 } else { 130 }),
        Err(trouble) => fail(&trouble),
    }
}

/// Plays until somebody interrupts, and leaves nothing on the servers.
async fn staged(
    narrator: &Narrator,
    play: impl Future<Output = Result<String, Trouble>>,
    stage: &Stage,
    interrupted: impl Future<Output = ()>,
) -> Result<Option<String>, Trouble> {
    let outcome = tokio::select! {
        outcome = play => outcome.map(Some),
        () = interrupted => {
            narrator.close();
            narrator.say(Who::Story, "stopping, and cleaning up");
            Ok(None)
        }
    };
    if !matches!(outcome, Ok(Some(_))) {
        stage.cut(narrator).await;
    }
    stage.strike(narrator).await;
    outcome
}

async fn play(
    narrator: &Narrator,
    agent: Option<Agent>,
    home: &mut Home,
    installation: &Installation,
    keep: bool,
    stage: &Stage,
) -> Result<String, Trouble> {
    stage.install(narrator).await?;
    let prepared = provider::prepare(narrator, stage, home).await?;
    let workspaces = stage.workspaces.get_or_init(|| prepared);
    let way = if agent.is_some() {
        Way::Derived
    } else {
        Way::NoCode
    };
    if way == Way::NoCode {
        no_code::install(narrator, stage).await?;
        let client = stage.kcp_admin(&workspaces.provider).await?;
        no_code::grant(&client).await?;
    }
    let operator = stage.start_operator(narrator, home, installation).await?;
    let mut agent = provider::offer(narrator, stage, home, agent, workspaces).await?;
    let rest = async {
        let (one, two) = tokio::try_join!(
            Consumer::arrive(narrator, stage, home, workspaces, (1, way)),
            Consumer::arrive(narrator, stage, home, workspaces, (2, way)),
        )?;
        let told = stage.narrate_service(narrator);
        let (first, second) = tokio::try_join!(one.order(narrator), two.order(narrator))?;
        stage.show_namespaces(narrator, [&one, &two]).await?;
        let counted = proof::show(narrator, home, (&one, &first), (&two, &second)).await?;
        if keep {
            home.kept = true;
            curtain::keep(narrator, home, &one, &first);
            std::future::pending::<()>().await;
        }
        curtain::fall(narrator, stage, home, [&one, &two]).await?;
        told.abort();
        Ok::<_, Trouble>(curtain::summary(narrator, stage, counted.as_ref()))
    };
    let summary = tokio::select! {
        outcome = rest => outcome?,
        how = &mut agent => return Err(Trouble::Ended { who: "the agent", how }),
        how = operator => return Err(Trouble::Ended { who: "the operator", how }),
    };
    // In order: the agent before its servers.
    narrator.close();
    home.agent().cancel();
    agent.await;
    Ok(summary)
}
