//! How requests come in: over TLS, or within the process.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, Limited};
use hyper_util::rt::{TokioIo, TokioTimer};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_util::sync::CancellationToken;

use crate::core::Core;
use crate::handle::{self, Body, LARGEST};
use crate::status::Failure;

/// The server without sockets: a `tower::Service` that `kube::Client` takes directly.
#[derive(Clone)]
pub struct InProcess {
    core: Arc<Core>,
    token: Option<Arc<str>>,
    prefix: Arc<str>,
}

impl std::fmt::Debug for InProcess {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InProcess")
            .field("prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}

impl InProcess {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            token: None,
            prefix: "".into(),
        }
    }

    /// Requests without credentials of their own carry this token.
    #[must_use]
    pub fn as_user(mut self, token: &str) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Paths are meant below this prefix, as in `/clusters/root:x`.
    #[must_use]
    pub fn at(mut self, prefix: &str) -> Self {
        self.prefix = prefix.trim_end_matches('/').into();
        self
    }
}

/// The future of [`InProcess`].
pub type Answering = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<B> tower::Service<http::Request<B>> for InProcess
where
    B: HttpBody + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let (core, token, prefix) = (self.core.clone(), self.token.clone(), self.prefix.clone());
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            if !prefix.is_empty() {
                let path = parts
                    .uri
                    .path_and_query()
                    .map_or("/", http::uri::PathAndQuery::as_str);
                if let Ok(uri) = format!("{prefix}{path}").parse() {
                    parts.uri = uri;
                }
            }
            Ok(answer(core, parts, body, token.as_deref()).await)
        })
    }
}

async fn answer<B>(
    core: Arc<Core>,
    parts: http::request::Parts,
    body: B,
    token: Option<&str>,
) -> http::Response<Body>
where
    B: HttpBody,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // One byte more than is allowed is enough to know.
    let body = match Limited::new(body, LARGEST + 1).collect().await {
        Ok(body) => body.to_bytes(),
        Err(_) => {
            return handle::refusal(&Failure::too_large(&format!("limit is {LARGEST}")), None);
        }
    };
    handle::handle(core, http::Request::from_parts(parts, body), token).await
}

/// A server that listens; it stops when this is dropped.
#[derive(Debug)]
pub struct Listening {
    address: SocketAddr,
    ca_pem: String,
    stop: CancellationToken,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Listening {
    /// Where: `https://127.0.0.1:<port>`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate that clients trust.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// A kubeconfig with this token.
    #[must_use]
    pub fn kubeconfig(&self, token: &str) -> String {
        self.kubeconfig_at(token, "")
    }

    /// A kubeconfig with this token whose server URL has a path, as in `/clusters/root:x`.
    #[must_use]
    pub fn kubeconfig_at(&self, token: &str, path: &str) -> String {
        use base64::Engine as _;
        let ca = base64::engine::general_purpose::STANDARD.encode(&self.ca_pem);
        let server = format!("{}{}", self.url(), path.trim_end_matches('/'));
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "embedded",
            "clusters": [{"name": "embedded", "cluster": {"server": server, "certificate-authority-data": ca}}],
            "users": [{"name": "embedded", "user": {"token": token}}],
            "contexts": [{"name": "embedded", "context": {"cluster": "embedded", "user": "embedded"}}],
        });
        // JSON is YAML, and every reader of kubeconfigs takes it.
        serde_yaml::to_string(&config).unwrap_or_else(|_| config.to_string())
    }
}

/// Begins to listen.
pub(crate) async fn listen(core: Arc<Core>, address: SocketAddr) -> std::io::Result<Listening> {
    let (acceptor, ca_pem) = certificates().map_err(std::io::Error::other)?;
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    let stop = core.stop.child_token();
    core.plane.listening(&format!("https://{address}"));
    tokio::spawn(accept(core, listener, acceptor, stop.clone()));
    Ok(Listening {
        address,
        ca_pem,
        stop,
    })
}

fn certificates() -> Result<(TlsAcceptor, String), Box<dyn std::error::Error + Send + Sync>> {
    let ca_key = KeyPair::generate()?;
    let mut ca = CertificateParams::new(Vec::new())?;
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    ca.distinguished_name
        .push(DnType::CommonName, "embedded API server CA");
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let ca_certificate = ca.self_signed(&ca_key)?;
    let issuer = Issuer::new(ca, ca_key);
    let key = KeyPair::generate()?;
    let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let mut leaf = CertificateParams::new(names)?;
    leaf.distinguished_name
        .push(DnType::CommonName, "embedded API server");
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    leaf.use_authority_key_identifier_extension = true;
    let certificate = leaf.signed_by(&key, &issuer)?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(
            vec![certificate.der().clone()],
            PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der())),
        )?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), ca_certificate.pem()))
}

async fn accept(
    core: Arc<Core>,
    listener: TcpListener,
    acceptor: TlsAcceptor,
    stop: CancellationToken,
) {
    loop {
        let stream = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    // Out of file descriptors, most likely: waiting is all that helps.
                    tracing::warn!(%error, "could not accept a connection");
                    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    continue;
                }
            },
        };
        if core.faults.is_out() {
            continue;
        }
        let (core, acceptor, stop) = (core.clone(), acceptor.clone(), stop.clone());
        tokio::spawn(async move {
            let mut outages = core.faults.outages();
            tokio::select! {
                () = stop.cancelled() => {}
                _ = outages.wait_for(|out| *out) => {}
                () = serve(core, stream, acceptor) => {}
            }
        });
    }
}

async fn serve(core: Arc<Core>, stream: tokio::net::TcpStream, acceptor: TlsAcceptor) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    let service =
        hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
            let core = core.clone();
            async move {
                let (parts, body) = request.into_parts();
                Ok::<_, Infallible>(answer(core, parts, body, None).await)
            }
        });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}
