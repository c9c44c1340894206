//! What can go wrong at the rim, and what a controller does about it.
//!
//! The decision never fails: it is total. Only the rim meets servers that are away, refuse, or answer what nobody
//! expected. A message says its own line and no more; the chain is printed by whoever reports it. Controllers branch on
//! [`Error::kind`] only: *Invalid* waits for a change, *Conflict* observes again, *Denied* and *Unavailable* back off.

use std::error::Error as StdError;

/// What a controller does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// The request cannot work as it is: wait for a change.
    Invalid,
    /// Decided on an old state: observe again.
    Conflict,
    /// Not allowed, or not yet: try again later.
    Denied,
    /// The server is away, busy or overloaded: try again later.
    Unavailable,
    /// The server, or we, did what cannot be.
    Bug,
}

/// Something that does not work, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// With which server.
    pub server: String,
    /// Whether the server as a whole is in trouble, rather than what was asked of it.
    pub own: bool,
    /// What, on one line.
    pub what: String,
}

/// Everything that can go wrong at the rim.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A client could not be made from its configuration.
    #[error("could not set up the connection to {server}")]
    Connect {
        /// Which server.
        server: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A request did not get an answer.
    #[error("could not reach {server} for {request}")]
    Unreachable {
        /// Which server.
        server: String,
        /// Method and path.
        request: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// A request did not get an answer in time.
    #[error("{server} did not answer {request} in time")]
    Timeout {
        /// Which server.
        server: String,
        /// Method and path.
        request: String,
    },
    /// The server said no.
    #[error("{server} answered {code} to {request}: {message}")]
    Refused {
        /// Which server.
        server: String,
        /// Method and path.
        request: String,
        /// The HTTP code.
        code: u16,
        /// The message of its `Status`.
        message: String,
    },
    /// The server answered what is not in the protocol.
    #[error("{server} answered {request} with {what}")]
    Unexpected {
        /// Which server.
        server: String,
        /// Method and path.
        request: String,
        /// What was unexpected.
        what: String,
    },
    /// A kubeconfig could not be used.
    #[error("could not read the kubeconfig {path:?}")]
    Kubeconfig {
        /// The file, or what stood for it.
        path: String,
        /// Why.
        #[source]
        source: Box<dyn StdError + Send + Sync>,
    },
    /// What has to be there before an agent starts is not as it should be; says what to do.
    #[error("{0}")]
    Setup(String),
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Connect { .. } | Self::Kubeconfig { .. } | Self::Setup(_) => ErrorKind::Invalid,
            Self::Unreachable { .. } | Self::Timeout { .. } => ErrorKind::Unavailable,
            Self::Refused { code, .. } => match code {
                401 | 403 | 404 => ErrorKind::Denied,
                409 => ErrorKind::Conflict,
                429 | 500.. => ErrorKind::Unavailable,
                _ => ErrorKind::Invalid,
            },
            Self::Unexpected { .. } => ErrorKind::Bug,
        }
    }

    /// Whether a server does not know who we are.
    pub(crate) fn is_unaccepted(&self) -> bool {
        matches!(self, Self::Refused { code: 401, .. })
    }

    /// Whether a server was away, rather than busy or of another opinion.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Timeout { .. } => true,
            Self::Refused { code, .. } => *code >= 500,
            _ => false,
        }
    }

    /// The error as a trouble to tell of.
    pub(crate) fn trouble(&self) -> Trouble {
        let (server, own) = match self {
            Self::Unreachable { server, .. } | Self::Timeout { server, .. } => (server, true),
            Self::Refused { server, code, .. } => (server, matches!(code, 401 | 429 | 500..)),
            Self::Connect { server, .. } | Self::Unexpected { server, .. } => (server, false),
            Self::Kubeconfig { path, .. } => (path, false),
            Self::Setup(what) => (what, false),
        };
        Trouble {
            server: server.clone(),
            own,
            what: self.chain(),
        }
    }

    /// The error and everything behind it, on one line.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut line = self.to_string();
        let mut next = self.source();
        while let Some(cause) = next {
            let text = cause.to_string();
            if !line.ends_with(&text) {
                line.push_str(": ");
                line.push_str(&text);
            }
            next = cause.source();
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: u16) -> Error {
        Error::Refused {
            server: "kcp".into(),
            request: "GET /x".into(),
            code,
            message: "no".into(),
        }
    }

    #[test]
    fn the_kind_says_what_to_do() {
        assert_eq!(refused(403).kind(), ErrorKind::Denied);
        assert_eq!(refused(409).kind(), ErrorKind::Conflict);
        assert_eq!(refused(422).kind(), ErrorKind::Invalid);
        assert_eq!(refused(429).kind(), ErrorKind::Unavailable);
        assert_eq!(refused(503).kind(), ErrorKind::Unavailable);
    }

    #[test]
    fn the_chain_names_every_cause_once() {
        let error = Error::Unreachable {
            server: "kcp".into(),
            request: "GET /x".into(),
            source: "connection refused".into(),
        };
        assert_eq!(
            error.chain(),
            "could not reach kcp for GET /x: connection refused"
        );
    }
}
