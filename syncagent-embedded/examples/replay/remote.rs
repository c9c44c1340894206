//! A server that runs somewhere, reached over HTTPS.

use std::collections::BTreeMap;
use std::path::Path;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use http_body_util::BodyExt;
use kube::client::Body;
use syncagent_embedded::replay::{Door, Frames};

/// A server by its URL.
pub(crate) struct Remote {
    client: kube::Client,
    tokens: BTreeMap<String, String>,
}

impl Remote {
    pub(crate) fn new(
        url: &str,
        ca: Option<&Path>,
        tokens: &BTreeMap<String, String>,
    ) -> Result<Self, String> {
        let mut config = kube::Config::new(url.parse().map_err(|e| format!("{url}: {e}"))?);
        if let Some(ca) = ca {
            let pem = std::fs::read(ca).map_err(|e| format!("{}: {e}", ca.display()))?;
            config.root_cert = Some(certificates(&pem)?);
        }
        config.read_timeout = None;
        let client = kube::Client::try_from(config).map_err(|e| e.to_string())?;
        Ok(Self {
            client,
            tokens: tokens.clone(),
        })
    }
}

/// The certificates of a PEM file, as DER.
fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, String> {
    use base64::Engine as _;
    let text = String::from_utf8_lossy(pem);
    text.split("-----BEGIN CERTIFICATE-----")
        .skip(1)
        .filter_map(|part| part.split("-----END CERTIFICATE-----").next())
        .map(|body| {
            let body: String = body.split_whitespace().collect();
            base64::engine::general_purpose::STANDARD
                .decode(body)
                .map_err(|e| e.to_string())
        })
        .collect()
}

impl Door for Remote {
    fn send(
        &self,
        request: http::Request<Vec<u8>>,
    ) -> BoxFuture<'_, Result<http::Response<Frames>, String>> {
        async move {
            let response = self
                .client
                .send(request.map(Body::from))
                .await
                .map_err(|e| e.to_string())?;
            Ok(response.map(|body| {
                let frames = body
                    .into_data_stream()
                    .map(|frame| frame.map_err(|e| e.to_string()));
                frames.boxed()
            }))
        }
        .boxed()
    }

    fn token(&self, role: &str) -> Option<String> {
        self.tokens.get(role).cloned()
    }
}
