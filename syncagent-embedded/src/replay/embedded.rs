//! The door to a server of this crate.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use futures::future::BoxFuture;
use futures::{FutureExt as _, StreamExt as _};
use http_body_util::BodyExt as _;
use jiff::{SignedDuration, Timestamp};

use super::recording::{Kind, Recording};
use super::{Door, Frames};
use crate::Server;
use crate::clock::Clock;
use crate::kcp::KcpVersion;
use crate::plane::User;

/// An embedded server and the tokens of the roles in recordings.
struct Embedded {
    server: Server,
    tokens: BTreeMap<&'static str, String>,
    clock: Arc<Steps>,
}

/// A clock that goes on by a second with every write: the recorder was slower than we are, and entries of
/// `managedFields` stand in the order of their times.
#[derive(Debug)]
struct Steps {
    start: Timestamp,
    writes: AtomicI64,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            start: Timestamp::now(),
            writes: AtomicI64::new(0),
        }
    }
}

impl Clock for Steps {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::from_secs(self.writes.load(Ordering::Relaxed));
        self.start.checked_add(passed).unwrap_or(self.start)
    }
}

/// A fresh embedded server of the kind and generation that was recorded.
#[must_use]
pub fn embedded(recording: &Recording) -> Arc<dyn Door> {
    let mut tokens = BTreeMap::new();
    let clock = Arc::new(Steps::default());
    let server = match recording.kind {
        Kind::Kubernetes => {
            // The recorded server had no controller manager.
            let server = Server::kubernetes().bare().clock(clock.clone()).build();
            tokens.insert("admin", server.admin());
            server
        }
        Kind::Kcp => {
            let main = recording.name.starts_with("kcp-main");
            let generation = if main {
                KcpVersion::Main
            } else {
                KcpVersion::V0_32
            };
            let server = Server::kcp().generation(generation).build();
            tokens.insert("admin", server.kcp_admin());
            tokens.insert(
                "shard-admin",
                server.user("shard-admin", &["system:masters"]),
            );
            let mut agent = User::named("api-syncagent-e2e", &["api-syncagents"]);
            agent.uid = "1111-2222-3333-4444".to_owned();
            tokens.insert("agent", server.core().add_user(agent));
            server
        }
    };
    Arc::new(Embedded {
        server,
        tokens,
        clock,
    })
}

impl Door for Embedded {
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> BoxFuture<'_, Result<http::Response<Frames>, String>> {
        async move {
            // A deletion takes no time: recordings do not tell its time from that of the last write.
            if !matches!(*request.method(), http::Method::GET | http::Method::DELETE) {
                self.clock.writes.fetch_add(1, Ordering::Relaxed);
            }
            let mut request = request;
            let host = http::HeaderValue::from_static("embedded:6443");
            request.headers_mut().insert(http::header::HOST, host);
            let request =
                request.map(|body| http_body_util::Full::new(hyper::body::Bytes::from(body)));
            let response = match tower::ServiceExt::oneshot(self.server.in_process(), request).await
            {
                Ok(response) => response,
                Err(never) => match never {},
            };
            Ok(response.map(|body| {
                // The body is not shared between threads; a channel makes it so.
                let (sender, receiver) = futures::channel::mpsc::unbounded();
                let mut body = body;
                tokio::spawn(async move {
                    while let Some(frame) = body.frame().await {
                        let Ok(data) = frame.map(hyper::body::Frame::into_data) else {
                            break;
                        };
                        let Ok(data) = data else { continue };
                        if sender.unbounded_send(Ok(data)).is_err() {
                            break;
                        }
                    }
                });
                receiver.boxed()
            }))
        }
        .boxed()
    }

    fn token(&self, role: &str) -> Option<String> {
        self.tokens.get(role).cloned()
    }
}
