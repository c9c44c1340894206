//! What the process shows to those who run it: metrics, and that it is there.
//!
//! Plain HTTP on two addresses, each of which may be left out. Nothing here changes anything, and nobody waits for it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::error::Error;

/// How long somebody may take to say what they want.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many may ask at once.
const CROWD: usize = 64;

/// What is shown under a path; `None`: nothing.
pub(crate) type Pages = dyn Fn(&str) -> Option<Page> + Send + Sync;

/// One page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    media: &'static str,
    text: String,
}

impl Page {
    /// Metrics in the text format of Prometheus.
    pub(crate) fn metrics(text: String) -> Self {
        Self {
            media: "text/plain; version=0.0.4; charset=utf-8",
            text,
        }
    }

    /// Whether the process is well, which it is as long as it answers.
    pub(crate) fn health(path: &str) -> Option<Self> {
        matches!(path, "/healthz" | "/readyz" | "/livez").then(|| Self {
            media: "text/plain; charset=utf-8",
            text: "ok".to_owned(),
        })
    }
}

/// Takes an address.
///
/// # Errors
///
/// When it cannot be had, with the flag that names another one.
pub(crate) async fn listen(flag: &str, address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|error| {
        Error::Setup(format!(
            "cannot listen on {address}: {error}; name another address with {flag}, or 0 for none"
        ))
    })
}

/// Shows pages until it is dropped.
pub(crate) async fn serve(listener: TcpListener, pages: Arc<Pages>) {
    let mut open = JoinSet::new();
    loop {
        while open.len() >= CROWD {
            open.join_next().await;
        }
        while open.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            // Out of file handles, for now.
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        let pages = pages.clone();
        open.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let answer = answer(&*pages, &request);
                async move { Ok::<_, Infallible>(answer) }
            });
            // Whoever hangs up is not our concern.
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

fn answer<B>(pages: &Pages, request: &Request<B>) -> Response<Full<Bytes>> {
    let plain = |code, text: &'static str| {
        let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
        *response.status_mut() = code;
        response
    };
    if !matches!(*request.method(), http::Method::GET | http::Method::HEAD) {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "only GET\n");
    }
    let Some(page) = pages(request.uri().path()) else {
        return plain(StatusCode::NOT_FOUND, "404 page not found\n");
    };
    let mut response = Response::new(Full::new(Bytes::from(page.text)));
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(page.media),
    );
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: http::Method, path: &str) -> (u16, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(())
            .unwrap();
        let response = answer(&Page::health, &request);
        let media = response.headers().get(http::header::CONTENT_TYPE);
        let media = media.map(|it| it.to_str().unwrap().to_owned());
        (response.status().as_u16(), media.unwrap_or_default())
    }

    #[test]
    fn only_what_is_shown_is_answered() {
        let text = "text/plain; charset=utf-8".to_owned();
        assert_eq!(asked(http::Method::GET, "/healthz"), (200, text.clone()));
        assert_eq!(
            asked(http::Method::GET, "/readyz?verbose"),
            (200, text.clone())
        );
        assert_eq!(asked(http::Method::HEAD, "/readyz"), (200, text));
        assert_eq!(asked(http::Method::GET, "/metrics").0, 404);
        assert_eq!(asked(http::Method::POST, "/healthz").0, 405);
    }
}
