//! A place on a server, as its administrator reaches it.

use std::time::Duration;

use futures::Stream;
use kube::core::WatchEvent;
use serde_json::Value;

use crate::Trouble;

/// How often to ask, and how long after an answer: servers are away for a while.
const PATIENCE: (usize, Duration) = (2400, Duration::from_millis(50));

#[derive(Clone)]
pub(crate) struct Place(kube::Client);

impl Place {
    pub(crate) async fn of(kubeconfig: &str) -> Result<Self, Trouble> {
        let file = kube::config::Kubeconfig::from_yaml(kubeconfig)?;
        let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default()).await?;
        config.default_retry = false;
        config.read_timeout = Some(Duration::from_secs(20));
        Ok(Self(kube::Client::try_from(config)?))
    }

    /// Sends a request; an answer is a code and a body.
    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), Trouble> {
        let media = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let bytes = body.map(Value::to_string).unwrap_or_default().into_bytes();
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media);
        let reply = self.0.send(request.body(bytes.into())?).await?;
        let code = reply.status().as_u16();
        let bytes = reply.into_body().collect_bytes().await?;
        Ok((code, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    /// Everything that is there, and then what happens, until the server ends it.
    pub(crate) async fn watch(
        &self,
        path: &str,
    ) -> Result<impl Stream<Item = Result<WatchEvent<Value>, kube::Error>> + use<>, Trouble> {
        let request = http::Request::get(format!("{path}?watch=true"));
        Ok(self.0.request_events(request.body(Vec::new())?).await?)
    }

    /// Asks until the answer is right; servers may be away meanwhile.
    async fn until(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        right: impl Fn(u16, &Value) -> bool,
    ) -> Result<Value, Trouble> {
        let mut last = String::new();
        for _ in 0..PATIENCE.0 {
            match self.ask(method, path, body).await {
                Ok((code, value)) if right(code, &value) => return Ok(value),
                Ok((code, value)) => last = format!("{code} {value:#}"),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(PATIENCE.1).await;
        }
        Err(format!("{method} {path} is never answered as it should be; at last: {last}").into())
    }

    /// Asks until the answer is one of these codes.
    pub(crate) async fn insist(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
        codes: &[u16],
    ) -> Result<Value, Trouble> {
        let right = |code, _: &Value| codes.contains(&code);
        self.until(method, path, body, right).await
    }

    /// Makes an object, unless it is there.
    pub(crate) async fn made(&self, path: &str, object: &Value) -> Result<(), Trouble> {
        self.insist("POST", path, Some(object), &[201, 409])
            .await
            .map(drop)
    }

    /// Changes an object.
    pub(crate) async fn change(&self, path: &str, change: &Value) -> Result<(), Trouble> {
        self.insist("PATCH", path, Some(change), &[200])
            .await
            .map(drop)
    }

    /// Deletes an object, which may be gone already. A kcp that has just started also answers 404 for what it does not know
    /// yet, in other words.
    pub(crate) async fn remove(&self, path: &str) -> Result<(), Trouble> {
        let name = path.rsplit('/').next().unwrap_or_default();
        let options = Value::Object(Default::default());
        let right = |code, it: &Value| match code {
            404 => it["details"]["name"] == name,
            code => matches!(code, 200 | 202),
        };
        self.until("DELETE", path, Some(&options), right)
            .await
            .map(drop)
    }

    /// An object, once it is as it should be.
    pub(crate) async fn soon(
        &self,
        path: &str,
        right: impl Fn(&Value) -> bool,
    ) -> Result<Value, Trouble> {
        self.until("GET", path, None, |code, it| code == 200 && right(it))
            .await
    }
}
