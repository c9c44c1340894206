//! A real PostgreSQL on this machine: where one comes from, and how one server is run and got rid of.
//!
//! This room knows neither Kubernetes nor kcp. The story asks it for an [`Installation`] before anything else starts;
//! the stand-in operator runs one [`Server`] per `Cluster` with it.
//!
//! Three things make a server safe to start on somebody's machine:
//!
//! * it listens on loopback only, wants passwords over TCP (SCRAM), and its Unix socket lies in a directory that only
//!   its own user may enter;
//! * it never runs as root, because PostgreSQL refuses to;
//! * a [`Guard`] stands beside it, which ends the process and removes its directory as soon as whoever started it is
//!   gone, however that happened.

pub(crate) mod account;
pub(crate) mod find;
pub(crate) mod guard;
pub(crate) mod server;
pub(crate) mod sql;

pub(crate) use find::Installation;
pub(crate) use guard::Guard;
pub(crate) use server::Server;

use std::io;
use std::path::PathBuf;

/// What can go wrong with a PostgreSQL of our own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither installed, nor in the cache, nor to be had.
    #[error(
        "no PostgreSQL is installed, and none could be fetched ({reason})\n\
         install one and start again:\n  \
         Debian, Ubuntu:  sudo apt-get install -y postgresql\n  \
         Fedora:          sudo dnf install -y postgresql-server\n  \
         macOS:           brew install postgresql@17"
    )]
    Missing {
        /// Why fetching failed.
        reason: String,
    },
    /// Started by root, and there is nobody else on this machine.
    #[error(
        "PostgreSQL refuses to run as root, and this machine has neither a user `postgres` nor `nobody`"
    )]
    OnlyRoot,
    /// A file or a process of the operating system.
    #[error("could not {what} `{}`", at.display())]
    System {
        /// What was tried.
        what: &'static str,
        /// With which file.
        at: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// `initdb` said no.
    #[error("initdb failed: {said}")]
    Init {
        /// Its last line.
        said: String,
    },
    /// The server ended instead of starting.
    #[error("the server did not start: {said}")]
    Start {
        /// The last line of its log.
        said: String,
    },
    /// SQL.
    #[error("{}", sql::sentence(.0))]
    Sql(#[from] tokio_postgres::Error),
}

impl Error {
    fn system(what: &'static str, at: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let at = at.into();
        move |source| Self::System { what, at, source }
    }
}
