//! How an agent reaches its servers, with troubles on the way.
//!
//! An embedded server has its troubles itself. Before a real one they are in the agent's own client, so that the server
//! knows nothing of them, nor does anybody else.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use futures::{FutureExt as _, StreamExt as _};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyDataStream, BodyExt as _, Full, StreamBody};
use kube::client::{Body, ClientBuilder};
use serde_json::json;
use syncagent_core::io::clients::{Connection, KcpAccess};
use syncagent_embedded::faults::Fault;
use tokio::sync::watch;
use tower::{BoxError, Service};

use crate::world::{User, Workspace, World, at};

/// The way to one server.
#[derive(Clone)]
pub(crate) enum Line {
    Embedded(syncagent_embedded::Server),
    Real(Arc<Wire>),
}

/// The state of a way to a real server.
#[derive(Default)]
pub(crate) struct Wire {
    out: AtomicBool,
    without_watches: AtomicBool,
    cuts: watch::Sender<u64>,
    /// The next request with this method and with such an end of its path.
    stalled: Mutex<Option<(Method, &'static str)>>,
}

impl Line {
    /// While `true` nobody gets through, and open watches are cut.
    pub(crate) fn outage(&self, on: bool) {
        match self {
            Self::Embedded(server) => server.faults().outage(on),
            Self::Real(wire) => wire.out.store(on, Ordering::SeqCst),
        }
        if on {
            self.cut_watches();
        }
    }

    /// Breaks all open watches.
    pub(crate) fn cut_watches(&self) {
        match self {
            Self::Embedded(server) => server.faults().cut_watches(),
            Self::Real(wire) => wire.cuts.send_modify(|count| *count += 1),
        }
    }

    /// No watch is opened until [`Line::clear`].
    pub(crate) fn refuse_watches(&self) {
        match self {
            Self::Embedded(server) => {
                let watches = |verb: &str, _: &_| verb == "watch";
                server.faults().fail_next(usize::MAX, 503, watches);
            }
            Self::Real(wire) => wire.without_watches.store(true, Ordering::SeqCst),
        }
    }

    /// The agent's next request with this method, and a path that ends like this, gets no answer.
    pub(crate) fn stall_next(&self, method: Method, end: &'static str) {
        match self {
            Self::Embedded(server) => server.faults().plan(1, Fault::Stall, move |asked| {
                let reads = ["get", "list", "watch"].contains(&asked.verb);
                let path = asked.uri.split('?').next().unwrap_or_default();
                let patches = asked.verb == "patch";
                let alike = method == Method::GET && reads || method == Method::PATCH && patches;
                asked.agent.starts_with("syncagent/") && alike && path.ends_with(end)
            }),
            Self::Real(wire) => *wire.stalled.lock().unwrap() = Some((method, end)),
        }
    }

    /// Forgets what was planned.
    pub(crate) fn clear(&self) {
        match self {
            Self::Embedded(server) => server.faults().clear(),
            Self::Real(wire) => {
                wire.without_watches.store(false, Ordering::SeqCst);
                *wire.stalled.lock().unwrap() = None;
            }
        }
    }

    /// The server forgets its history; a real one does that by itself, now and then.
    pub(crate) fn compact(&self) {
        if let Self::Embedded(server) = self {
            server.faults().compact();
        }
    }
}

/// The ways to kcp and to the service cluster, and what leads an agent over them.
pub(crate) fn between(
    world: &World,
    provider: &Workspace,
    user: &User,
) -> ([Line; 2], Connection, KcpAccess) {
    let embedded = |server: Option<&syncagent_embedded::Server>| {
        Line::Embedded(server.expect("it is embedded or real").clone())
    };
    let (kcp, access) = match world.real_kcp(user) {
        None => (
            embedded(world.embedded_kcp()),
            world.kcp_access(provider, user),
        ),
        Some(config) => {
            let wire = Arc::new(Wire::default());
            let there = wire.client(at(config.clone(), &provider.path));
            let reached = wire.clone();
            let access = KcpAccess::new(there, move |host| {
                let mut config = config.clone();
                config.cluster_url = host.clone();
                Ok(reached.client(at(config, "/")))
            });
            (Line::Real(wire), access)
        }
    };
    let (service, connection) = match world.real_service(user) {
        None => (
            embedded(world.embedded_service()),
            world.service_connection(user),
        ),
        Some(config) => {
            let wire = Arc::new(Wire::default());
            let client = wire.client(config);
            (Line::Real(wire), client.into())
        }
    };
    ([kcp, service], connection, access)
}

impl Wire {
    /// A client that goes over it.
    fn client(self: &Arc<Self>, config: kube::Config) -> kube::Client {
        let layer = tower::layer::layer_fn(|inner| Over {
            inner,
            wire: self.clone(),
        });
        let client = ClientBuilder::try_from(config).unwrap();
        client.with_layer(&layer).build()
    }

    fn is_stalled(&self, request: &Request<Body>) -> bool {
        let mut stalled = self.stalled.lock().unwrap();
        let path = request.uri().path();
        let hit = stalled
            .as_ref()
            .is_some_and(|(method, name)| request.method() == method && path.ends_with(name));
        if hit {
            *stalled = None;
        }
        hit
    }

    /// A body that ends when the watches are cut.
    fn cut<B>(&self, body: B) -> Read
    where
        B: http_body::Body<Data = Data> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let mut cuts = self.cuts.subscribe();
        let cut = async move {
            let _ = cuts.changed().await;
        };
        let data = BodyDataStream::new(body).take_until(cut.boxed());
        let frames = data.map(|it| it.map(Frame::data).map_err(Into::into));
        StreamBody::new(frames).boxed_unsync()
    }
}

/// A client's service behind a wire.
struct Over<S> {
    inner: S,
    wire: Arc<Wire>,
}

/// A piece of a body.
type Data = <Body as http_body::Body>::Data;
/// What is read from a server.
type Read = UnsyncBoxBody<Data, BoxError>;
type Answer = Pin<Box<dyn Future<Output = Result<Response<Read>, BoxError>> + Send>>;

impl<S, B> Service<Request<Body>> for Over<S>
where
    S: Service<Request<Body>, Response = Response<B>, Error = BoxError>,
    S::Future: Send + 'static,
    B: http_body::Body<Data = Data> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Read>;
    type Error = BoxError;
    type Future = Answer;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Answer {
        let wire = self.wire.clone();
        if wire.out.load(Ordering::SeqCst) {
            let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
            return std::future::ready(Err(refused.into())).boxed();
        }
        let query = request.uri().query().unwrap_or_default();
        if wire.without_watches.load(Ordering::SeqCst) && query.contains("watch=true") {
            let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 503,
                "reason": "ServiceUnavailable", "message": "no watches for now"});
            let answer = Response::builder().status(StatusCode::SERVICE_UNAVAILABLE);
            let body = Full::new(Data::from(status.to_string()));
            let answer = answer.body(body.map_err(Into::into).boxed_unsync());
            return std::future::ready(Ok(answer.unwrap())).boxed();
        }
        if wire.is_stalled(&request) {
            return std::future::pending().boxed();
        }
        let answer = self.inner.call(request);
        async move { Ok(answer.await?.map(|body| wire.cut(body))) }.boxed()
    }
}
