//! One HTTP connection per server, one cheap handle per URL prefix.
//!
//! A kcp is one server with thousands of prefixes: the provider's workspace, each endpoint of the export, and below an
//! endpoint each consumer. A client of its own per workspace costs milliseconds, kilobytes and its own pool of TLS
//! connections; a [`Server`] is a shared client and a string.
//!
//! Every answer is a [`Reply`], whatever its code: 404 and 409 are facts to decide on, not errors. Only a server that
//! does not answer is an [`Error`].
//!
//! A server that asks for time (429), is away, or does not accept our credentials, is left alone by everybody who talks to it. One that no longer knows us,
//! or whom we no longer trust, is tried once more with what the kubeconfig and the files and commands that it names say now:
//! tokens, certificates and authorities change.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;

use super::connect;
use super::metrics::Metrics;
use super::pace::{Pace, Wait, Why};
use super::source::{Reason, Source};
use crate::definition::{Kind, Scope};
use crate::error::Error;

/// How long a request that is not a watch may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a kubeconfig is read again, at most, with which a server cannot be used.
const RENEW: Duration = Duration::from_secs(5);

/// A JSON patch.
pub const JSON_PATCH: &str = "application/json-patch+json";
/// A merge patch.
pub const MERGE_PATCH: &str = "application/merge-patch+json";
/// A server-side apply.
pub const APPLY_PATCH: &str = "application/apply-patch+yaml";
/// Plain JSON.
pub const JSON: &str = "application/json";

/// A way to reach one API server: what [`crate::runtime::Agent::connect`] takes for the service cluster.
#[derive(Clone)]
pub struct Connection(Inner);

#[derive(Clone)]
enum Inner {
    Client(kube::Client),
    Source(Box<Source>),
}

impl Connection {
    /// Reads a kubeconfig; `None` is what kubectl would use.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be used.
    pub async fn from_kubeconfig(path: Option<&str>) -> Result<Self, Error> {
        read_kubeconfig(path).await.map(Self::from)
    }

    /// Reads a kubeconfig, with another context than its current one where one is named.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be used.
    pub async fn from_context(path: &str, context: Option<&str>) -> Result<Self, Error> {
        let options = kube::config::KubeConfigOptions {
            context: context.map(str::to_owned),
            ..Default::default()
        };
        Source::read(path, options).await.map(Self::from)
    }

    /// The server, as the rim addresses it.
    pub(crate) fn server(&self, name: &str, user_agent: &str) -> Result<Server, Error> {
        let (client, source) = match &self.0 {
            Inner::Client(client) => (client.clone(), None),
            Inner::Source(source) => {
                let client = connect::client(source.config().clone(), name)?;
                (client, Some(source.clone()))
            }
        };
        let mut server = Server::new(client.clone(), name, user_agent);
        server.line = Arc::new(Line::new(client, source));
        Ok(server)
    }
}

impl From<kube::Client> for Connection {
    fn from(client: kube::Client) -> Self {
        Self(Inner::Client(client))
    }
}

impl From<kube::Config> for Connection {
    fn from(config: kube::Config) -> Self {
        Source::from(config).into()
    }
}

impl From<Source> for Connection {
    fn from(source: Source) -> Self {
        Self(Inner::Source(Box::new(source)))
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connection")
    }
}

/// Makes a client for the server of an endpoint URL.
type Reach = dyn Fn(&http::Uri) -> Result<Connection, Error> + Send + Sync;

/// A way to reach a kcp: the provider's workspace, and from there the endpoints of its export, which live under other
/// paths and, in a kcp of several shards, on other hosts.
#[derive(Clone)]
pub struct KcpAccess {
    /// The workspace of the slices, which kubeconfigs lead to.
    slices: Place,
    /// The workspace of the export, where that is another one.
    export: Option<Place>,
    reach: Arc<Reach>,
}

/// A path of a server.
#[derive(Clone)]
struct Place {
    connection: Connection,
    path: String,
}

impl Place {
    fn server(&self, name: &str, user_agent: &str) -> Result<Server, Error> {
        let server = self.connection.server(name, user_agent)?;
        Ok(server.below(&self.path))
    }
}

impl From<Connection> for Place {
    fn from(connection: Connection) -> Self {
        Self {
            connection,
            path: String::new(),
        }
    }
}

impl KcpAccess {
    /// From a client of the provider's workspace and a way to make one for the host of an endpoint.
    ///
    /// The client that `reach` returns must address the host's root: requests carry the whole path of the endpoint.
    /// With an in-process kcp that is the same service for every host.
    pub fn new(
        provider: impl Into<Connection>,
        reach: impl Fn(&http::Uri) -> Result<kube::Client, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            slices: provider.into().into(),
            export: None,
            reach: Arc::new(move |uri| reach(uri).map(Connection::from)),
        }
    }

    /// Reads a kubeconfig whose current context is the provider's workspace.
    ///
    /// # Errors
    ///
    /// When there is none, or it cannot be used.
    pub async fn from_kubeconfig(path: Option<&str>) -> Result<Self, Error> {
        read_kubeconfig(path).await.map(Self::from)
    }

    /// The same with the export in another workspace than the slices: the one that this URL leads to.
    ///
    /// # Errors
    ///
    /// When it is no URL, or its host cannot be reached.
    pub fn exporting_from(self, url: &str) -> Result<Self, Error> {
        let export = Some(self.place(url)?);
        Ok(Self { export, ..self })
    }

    /// The workspace of the export, as the rim addresses it.
    pub(crate) fn provider(&self, user_agent: &str) -> Result<Server, Error> {
        let export = self.export.as_ref().unwrap_or(&self.slices);
        export.server("kcp", user_agent)
    }

    /// The workspace of the slices, where that is another one.
    pub(crate) fn slices(&self, user_agent: &str) -> Result<Option<Server>, Error> {
        let elsewhere = self.export.is_some();
        let slices = elsewhere.then(|| self.slices.server("kcp", user_agent));
        slices.transpose()
    }

    /// The server of an endpoint, addressed at the endpoint's path.
    pub(crate) fn endpoint(&self, url: &str, user_agent: &str) -> Result<Server, Error> {
        let (at, _) = url.split_once("/services/").unwrap_or((url, ""));
        self.place(url)?.server(&format!("kcp at {at}"), user_agent)
    }

    fn place(&self, url: &str) -> Result<Place, Error> {
        let uri: http::Uri = url.parse().map_err(|source| Error::Connect {
            server: url.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Place {
            connection: (self.reach)(&uri)?,
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl From<kube::Config> for KcpAccess {
    fn from(config: kube::Config) -> Self {
        Source::from(config).into()
    }
}

impl From<Source> for KcpAccess {
    fn from(source: Source) -> Self {
        let other = source.clone();
        Self {
            slices: Connection::from(source).into(),
            export: None,
            reach: Arc::new(move |uri| {
                let mut parts = uri.clone().into_parts();
                parts.path_and_query = Some(http::uri::PathAndQuery::from_static("/"));
                let url = http::Uri::from_parts(parts).map_err(|source| Error::Connect {
                    server: uri.to_string(),
                    source: Box::new(source),
                })?;
                Ok(other.clone().with(|it| it.cluster_url = url).into())
            }),
        }
    }
}

impl fmt::Debug for KcpAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KcpAccess")
    }
}

async fn read_kubeconfig(path: Option<&str>) -> Result<Source, Error> {
    let fail = |source| Error::Kubeconfig {
        path: "of the environment".to_owned(),
        source: Box::new(source),
    };
    match path {
        None => Ok(kube::Config::infer().await.map_err(fail)?.into()),
        Some(path) => Source::read(path, Default::default()).await,
    }
}

/// Method, path, accepted form, content type and body of a request.
type Asked<'a> = (Method, &'a str, &'a str, &'a str, Option<&'a Value>);
type Response = http::Response<Body>;

/// How long a server asks to be left alone.
fn wish(headers: &http::HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// What a server answered, whatever the code.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// The HTTP code.
    pub code: u16,
    /// The body; text that is not JSON is a JSON string.
    pub body: Value,
    /// What the server asked us to wait.
    pub retry_after: Option<Duration>,
}

impl Reply {
    /// Whether the request did what it said.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// What is answered in place of a server that is given time.
    fn busy(wait: Wait) -> Self {
        let (code, reason, message) = match wait.why {
            Why::Asked => (429, "TooManyRequests", "it asked for time"),
            Why::Away => (
                503,
                "ServiceUnavailable",
                "it did not answer, and is left alone for a while",
            ),
            Why::Stranger => (
                401,
                "Unauthorized",
                "it did not accept the agent's credentials, and is left alone for a while",
            ),
        };
        Self {
            code,
            body: serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
                "reason": reason, "message": message}),
            retry_after: Some(wait.time),
        }
    }

    /// The message of a `Status`, or the text.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["message"]
            .as_str()
            .or(self.body.as_str())
            .unwrap_or_default()
    }
}

/// What all handles of one server share.
struct Line {
    client: Mutex<kube::Client>,
    /// Its host and port, where they are known.
    host: Option<String>,
    origin: tokio::sync::Mutex<Origin>,
    pace: Pace,
    /// How often it was seen to have an older state than it had.
    restorations: watch::Sender<u64>,
}

/// Where a client came from.
struct Origin {
    /// Nothing, where that is not known.
    source: Option<Box<Source>>,
    /// When it was read again last, and whether that helped.
    read: Option<(Instant, bool)>,
}

impl Line {
    fn new(client: kube::Client, source: Option<Box<Source>>) -> Self {
        let host = source
            .as_ref()
            .and_then(|it| it.config().cluster_url.authority())
            .map(ToString::to_string);
        Self {
            client: Mutex::new(client),
            host,
            origin: tokio::sync::Mutex::new(Origin { source, read: None }),
            pace: Pace::default(),
            restorations: watch::Sender::new(0),
        }
    }

    fn client(&self) -> kube::Client {
        let client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        client.clone()
    }

    /// Reads again how the server is reached, since it could not be used; says whether a request may succeed now that did
    /// not then.
    async fn renew(&self, server: &str, asked: Instant, reason: Reason) -> bool {
        let mut origin = self.origin.lock().await;
        let Origin { source, read } = &mut *origin;
        let Some(source) = source else {
            return false;
        };
        match *read {
            // Somebody else had the same trouble, and has read it since.
            Some((at, helped)) if at >= asked => return helped,
            Some((at, _)) if at.elapsed() < RENEW => return false,
            _ => {}
        }
        let now = Instant::now();
        let config = source.again(reason).await;
        let fresh = match config.map(|it| connect::client(it, server)) {
            Some(Ok(fresh)) => Some(fresh),
            Some(Err(error)) => {
                tracing::warn!("{}", error.chain());
                None
            }
            None => None,
        };
        let helps = fresh.is_some();
        *read = Some((now, helps));
        if let Some(fresh) = fresh {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        helps
    }
}

/// One API server, addressed below one path.
#[derive(Clone)]
pub struct Server {
    line: Arc<Line>,
    name: Arc<str>,
    user_agent: Arc<str>,
    prefix: Arc<str>,
    metrics: Option<Arc<Metrics>>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({}{})", self.name, self.prefix)
    }
}

impl Server {
    /// A server at the root of a client; `name` is how people call it.
    pub fn new(client: kube::Client, name: &str, user_agent: &str) -> Self {
        Self {
            line: Arc::new(Line::new(client, None)),
            name: name.into(),
            user_agent: user_agent.into(),
            prefix: "".into(),
            metrics: None,
        }
    }

    /// The same server, with its requests counted here.
    pub(crate) fn counting(self, metrics: Arc<Metrics>) -> Self {
        Self {
            metrics: Some(metrics),
            ..self
        }
    }

    /// The same server, addressed below a further path.
    #[must_use]
    pub fn below(&self, path: &str) -> Self {
        Self {
            prefix: format!("{}{path}", self.prefix).into(),
            ..self.clone()
        }
    }

    /// One consumer's workspace below an endpoint.
    #[must_use]
    pub fn workspace(&self, cluster: &str) -> Self {
        self.below(&format!("/clusters/{cluster}"))
    }

    /// All consumers' workspaces of an endpoint.
    #[must_use]
    pub fn everywhere(&self) -> Self {
        self.below("/clusters/*")
    }

    /// It has an older state than it had, as somebody found out: every watch of it lists again.
    pub(crate) fn went_back(&self) {
        self.line.restorations.send_modify(|count| *count += 1);
    }

    /// Changes when somebody found that this server [went back](Self::went_back).
    pub(crate) fn restorations(&self) -> watch::Receiver<u64> {
        self.line.restorations.subscribe()
    }

    /// How people call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply, Error> {
        self.call(Method::GET, path, JSON, None).await
    }

    /// Creates.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Reply, Error> {
        self.call(Method::POST, path, JSON, Some(body)).await
    }

    /// Patches.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn patch(&self, path: &str, kind: &str, body: &Value) -> Result<Reply, Error> {
        self.call(Method::PATCH, path, kind, Some(body)).await
    }

    /// Deletes.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn delete(&self, path: &str, options: &Value) -> Result<Reply, Error> {
        self.call(Method::DELETE, path, JSON, Some(options)).await
    }

    /// Sends one request and reads the whole answer, within a bounded time.
    ///
    /// # Errors
    ///
    /// When there is no answer.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Error> {
        let told = format!("{method} {}{path}", self.prefix);
        let work = async {
            let asked = (method, path, JSON, content_type, body);
            let response = match self.send(&told, asked).await? {
                Ok(response) => response,
                Err(busy) => return Ok(busy),
            };
            self.read(&told, response).await
        };
        let reply = tokio::time::timeout(PATIENCE, work)
            .await
            .map_err(|_| self.late(&told))??;
        tracing::debug!(server = %self.name, code = reply.code, "{told}");
        Ok(reply)
    }

    /// Sends a request when the server is ready for one, and once more if there are fresh credentials or authorities where
    /// those that we have do not help.
    async fn send(&self, told: &str, asked: Asked<'_>) -> Result<Result<Response, Reply>, Error> {
        let turn = match self.line.pace.turn() {
            Ok(turn) => turn,
            Err(wait) => return Ok(Err(Reply::busy(wait))),
        };
        let begun = Instant::now();
        let mut response = self.exchange(told, &asked).await;
        let reason = match &response {
            Ok(it) if it.status() == http::StatusCode::UNAUTHORIZED => Some(Reason::Unauthorised),
            Ok(_) => None,
            Err(_) => Some(Reason::Unreachable),
        };
        if let Some(reason) = reason
            && self.line.renew(&self.name, begun, reason).await
        {
            response = self.exchange(told, &asked).await;
        }
        match &response {
            Ok(response) => turn.heard(response.status().as_u16(), wish(response.headers())),
            Err(_) => turn.unreached(),
        }
        response.map(Ok)
    }

    async fn exchange(&self, told: &str, asked: &Asked<'_>) -> Result<Response, Error> {
        let (method, path, accept, content_type, body) = asked;
        let request = self.request(method.clone(), path, accept, content_type, *body)?;
        let client = self.line.client();
        let begun = Instant::now();
        let answer = client.send(request).await;
        if let Some(metrics) = &self.metrics {
            let host = self.line.host.as_deref().unwrap_or(&self.name);
            let code = answer.as_ref().ok().map(|it| it.status().as_u16());
            metrics.request(host, method.as_str(), code, begun.elapsed());
        }
        answer.map_err(|e| self.unreachable(told, e))
    }

    /// The whole of an answer.
    async fn read(&self, told: &str, response: Response) -> Result<Reply, Error> {
        let (parts, body) = response.into_parts();
        let bytes = body
            .collect()
            .await
            .map_err(|e| self.unreachable(told, e))?
            .to_bytes();
        Ok(Reply {
            code: parts.status.as_u16(),
            body: serde_json::from_slice(&bytes).unwrap_or_else(|_| {
                Value::String(String::from_utf8_lossy(&bytes).trim().to_owned())
            }),
            retry_after: wish(&parts.headers),
        })
    }

    fn late(&self, told: &str) -> Error {
        Error::Timeout {
            server: self.name.to_string(),
            request: told.to_owned(),
        }
    }

    /// Opens a stream: the answer's body when it is a success, the whole answer otherwise.
    pub(crate) async fn open(
        &self,
        path: &str,
        accept: &str,
    ) -> Result<Result<Body, Reply>, Error> {
        let told = format!("GET {}{path}", self.prefix);
        let asked = (Method::GET, path, accept, JSON, None);
        let response = tokio::time::timeout(PATIENCE, self.send(&told, asked))
            .await
            .map_err(|_| self.late(&told))??;
        let response = match response {
            Ok(response) if response.status().is_success() => {
                return Ok(Ok(response.into_body()));
            }
            Ok(response) => response,
            Err(busy) => return Ok(Err(busy)),
        };
        let reply = tokio::time::timeout(PATIENCE, self.read(&told, response))
            .await
            .map_err(|_| self.late(&told))??;
        Ok(Err(reply))
    }

    /// Reads a list or an object in the form that `accept` names.
    pub(crate) async fn get_as(&self, path: &str, accept: &str) -> Result<Reply, Error> {
        match self.open(path, accept).await? {
            Err(reply) => Ok(reply),
            Ok(body) => {
                let told = format!("GET {}{path}", self.prefix);
                let bytes = tokio::time::timeout(PATIENCE, body.collect())
                    .await
                    .map_err(|_| self.late(&told))?
                    .map_err(|e| self.unreachable(&told, e))?
                    .to_bytes();
                let body = serde_json::from_slice(&bytes).map_err(|e| Error::Unexpected {
                    server: self.name.to_string(),
                    request: told,
                    what: format!("a body that is not JSON: {e}"),
                })?;
                Ok(Reply {
                    code: 200,
                    body,
                    retry_after: None,
                })
            }
        }
    }

    /// The error for an answer that is not the one hoped for.
    #[must_use]
    pub fn refused(&self, request: &str, reply: &Reply) -> Error {
        Error::Refused {
            server: self.name.to_string(),
            request: request.to_owned(),
            code: reply.code,
            message: reply.message().to_owned(),
        }
    }

    /// The same of a code and a body.
    pub(crate) fn error(&self, request: &str, code: u16, body: &Value) -> Error {
        let message = body["message"].as_str().or(body.as_str());
        Error::Refused {
            server: self.name.to_string(),
            request: request.to_owned(),
            code,
            message: message.unwrap_or_default().to_owned(),
        }
    }

    fn unreachable(
        &self,
        request: &str,
        source: impl std::error::Error + Send + Sync + 'static,
    ) -> Error {
        Error::Unreachable {
            server: self.name.to_string(),
            request: request.to_owned(),
            source: Box::new(source),
        }
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        accept: &str,
        content_type: &str,
        body: Option<&Value>,
    ) -> Result<Request<Body>, Error> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.prefix))
            .header("accept", accept)
            .header("user-agent", &*self.user_agent);
        let body = match body {
            Some(body) => {
                request = request.header("content-type", content_type);
                Body::from(body.to_string().into_bytes())
            }
            None => Body::empty(),
        };
        request.body(body).map_err(|e| self.unreachable(path, e))
    }
}

/// The path of a collection; `None` spans all namespaces, and is the only one of a cluster-scoped kind.
#[must_use]
pub fn collection(kind: &Kind, namespace: Option<&str>) -> String {
    let root = match kind.group.as_str() {
        "" => format!("/api/{}", kind.version),
        group => format!("/apis/{group}/{}", kind.version),
    };
    match namespace {
        Some(namespace) if kind.scope == Scope::Namespaced && !namespace.is_empty() => {
            format!("{root}/namespaces/{}/{}", escape(namespace), kind.plural)
        }
        _ => format!("{root}/{}", kind.plural),
    }
}

/// The path of an object. Names come from consumers: they are escaped, so none of them leads elsewhere.
#[must_use]
pub fn object(kind: &Kind, namespace: Option<&str>, name: &str) -> String {
    format!("{}/{}", collection(kind, namespace), escape(name))
}

/// A text as one segment of a path or a query.
#[must_use]
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_elsewhere() {
        let secret = Kind {
            group: String::new(),
            version: "v1".into(),
            kind: "Secret".into(),
            plural: "secrets".into(),
            scope: Scope::Namespaced,
        };
        assert_eq!(
            object(&secret, Some("ns"), "../../configmaps/a?b"),
            "/api/v1/namespaces/ns/secrets/..%2F..%2Fconfigmaps%2Fa%3Fb"
        );
        assert_eq!(collection(&secret, None), "/api/v1/secrets");
    }

    #[test]
    fn a_query_is_escaped() {
        assert_eq!(escape("a=b,c/d"), "a%3Db%2Cc%2Fd");
    }
}
