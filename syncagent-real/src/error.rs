//! What can go wrong: something is missing, or something does not start.

use std::path::Path;

/// Why there are no servers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A thing of the machine is missing; the text says which, and what would help.
    #[error("{0}")]
    Missing(String),
    /// A file or a process.
    #[error("could not {what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A program could not be built.
    #[error("could not build {program}: {status}")]
    Build {
        /// Which.
        program: String,
        /// How its build ended.
        status: String,
    },
    /// A server does not become ready.
    #[error("{server} {how}; its last words:\n{words}")]
    Start {
        /// Which.
        server: String,
        /// What it did instead.
        how: String,
        /// The end of its log.
        words: String,
    },
    /// A server is there, but does not answer as it must.
    #[error("could not {what}: {source}")]
    Server {
        /// What was tried.
        what: String,
        /// Why not.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Error {
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }

    pub(crate) fn write(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        Self::system(format!("write {}", path.display()))
    }

    pub(crate) fn server<E>(what: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let what = what.into();
        move |source| Self::Server {
            what,
            source: Box::new(source),
        }
    }
}
