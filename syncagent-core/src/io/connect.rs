//! How a server is connected to: kube's client, over connections that cost nothing when there is nothing to do.
//!
//! In a burst an agent has dozens of requests in flight, each on a connection of its own. kube's client keeps all of these
//! until the server closes them, and each keeps for reading what its largest answer needed, up to 400 KiB. Here a connection
//! that nobody uses is closed after half a minute, and keeps little while it is open.

use std::time::Duration;

use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::{ClientBuilder, ConfigExt as _};
use tower::ServiceBuilder;

use crate::error::Error;

/// For how long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);
/// How many bytes a connection may have in hand, read or written: the largest objects of a watch, and a part of a list.
const BUFFER: usize = 64 << 10;

/// A client, as a kubeconfig says.
pub(super) fn client(mut config: kube::Config, server: &str) -> Result<kube::Client, Error> {
    // Retries belong to the queue: a client that retries for minutes inside one call holds a worker and hides the
    // failure from whoever has to decide.
    config.default_retry = false;
    let made = if config.proxy_url.is_some() {
        kube::Client::try_from(config)
    } else {
        direct(config)
    };
    made.map_err(|source| Error::Connect {
        server: server.to_owned(),
        source: Box::new(source),
    })
}

/// A client of a server that is reached without a proxy: what kube makes, but for the pool.
fn direct(config: kube::Config) -> Result<kube::Client, kube::Error> {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    let mut connector =
        TimeoutConnector::new(config.rustls_https_connector_with_connector(connector)?);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    connector.set_reset_reader_on_write(config.reset_reader_on_write);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .http1_max_buf_size(BUFFER)
        .build(connector);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(tower::BoxError::from)
        .service(client);
    Ok(ClientBuilder::new(service, config.default_namespace).build())
}

#[cfg(test)]
mod tests;
