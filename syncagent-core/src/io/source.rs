//! Where a client's configuration was read, and what it says by now.
//!
//! Tokens, certificates and authorities change under an agent that runs for months: files beside a kubeconfig, or the
//! kubeconfig itself where a Secret with one is mounted. What a server does not accept any more, or who is not trusted any
//! more, is a reason to read them again; nothing is read as long as all is well.

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::error::Error;

/// Why a configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// The server does not know who we are.
    Unauthorised,
    /// The server does not answer, perhaps since one of us does not trust the other.
    Unreachable,
}

/// A configuration, and the file it was read from.
#[derive(Clone)]
pub(crate) struct Source {
    config: Config,
    file: Option<(String, KubeConfigOptions)>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.config.cluster_url)
    }
}

impl From<Config> for Source {
    fn from(config: Config) -> Self {
        Self { config, file: None }
    }
}

impl Source {
    /// Reads a kubeconfig.
    pub(crate) async fn read(path: &str, options: KubeConfigOptions) -> Result<Self, Error> {
        let config = read(path, &options).await?;
        let file = Some((path.to_owned(), options));
        Ok(Self { config, file })
    }

    /// What was read.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The same with something in it set otherwise: an address, or authorities in a file.
    pub(crate) fn with(mut self, set: impl FnOnce(&mut Config)) -> Self {
        set(&mut self.config);
        self
    }

    /// Reads it again, and says what it says now; `None` when that cannot help.
    pub(crate) async fn again(&mut self, reason: Reason) -> Option<Config> {
        let user = &self.config.auth_info;
        let beside = user.client_certificate.is_some() || user.client_key.is_some();
        let Some((path, options)) = &self.file else {
            let shown = user.token_file.is_some() || user.exec.is_some();
            let helps = beside || (shown && reason == Reason::Unauthorised);
            return helps.then(|| self.config.clone());
        };
        let mut fresh = match read(path, options).await {
            Ok(fresh) => fresh,
            Err(error) => {
                tracing::warn!("{}", error.chain());
                return None;
            }
        };
        let trusted = fresh.root_cert == self.config.root_cert;
        let same = fresh.auth_info.client_certificate_data == user.client_certificate_data;
        if reason == Reason::Unreachable && trusted && same && !beside {
            return None;
        }
        // Where it leads, and whom it trusts, may have been said elsewhere.
        fresh.cluster_url = self.config.cluster_url.clone();
        if let Some(authorities) = &self.config.root_cert_file {
            fresh.root_cert = None;
            fresh.root_cert_file = Some(authorities.clone());
        }
        self.config = fresh;
        Some(self.config.clone())
    }
}

async fn read(path: &str, options: &KubeConfigOptions) -> Result<Config, Error> {
    let fail = |source: Box<dyn std::error::Error + Send + Sync>| Error::Kubeconfig {
        path: path.to_owned(),
        source,
    };
    let file = Kubeconfig::read_from(path).map_err(|e| fail(Box::new(e)))?;
    Config::from_custom_kubeconfig(file, options)
        .await
        .map_err(|e| fail(Box::new(e)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `AAA` and `BBB` as certificates, which they are not; PEM in base64.
    const AUTHORITIES: [&str; 2] = [
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tClFVRkIKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=",
        "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tClFrSkMKLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=",
    ];

    fn kubeconfig(authority: &str, user: &serde_json::Value) -> String {
        let cluster =
            json!({"server": "https://1.2.3.4:6443", "certificate-authority-data": authority});
        json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": cluster}], "users": [{"name": "a", "user": user}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]})
        .to_string()
    }

    #[tokio::test]
    async fn only_what_may_help_is_taken_and_addresses_stay() {
        let name = format!("syncagent-source-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        let token = json!({"token": "one"});
        write(&kubeconfig(AUTHORITIES[0], &token));
        let source = Source::read(path.to_str().unwrap(), Default::default()).await;
        let elsewhere = "https://5.6.7.8:6443".parse().unwrap();
        let mut source = source.unwrap().with(|it| it.cluster_url = elsewhere);
        assert!(source.again(Reason::Unreachable).await.is_none());
        assert!(source.again(Reason::Unauthorised).await.is_some());

        // Half of it is written.
        write("{");
        assert!(source.again(Reason::Unauthorised).await.is_none());

        // There and back.
        for (authority, wanted) in [(AUTHORITIES[1], b"BBB"), (AUTHORITIES[0], b"AAA")] {
            write(&kubeconfig(authority, &token));
            let now = source.again(Reason::Unreachable).await.unwrap();
            assert_eq!(now.cluster_url, "https://5.6.7.8:6443/");
            assert_eq!(now.root_cert, Some(vec![wanted.to_vec()]));
            assert!(source.again(Reason::Unreachable).await.is_none());
        }

        write(&kubeconfig(AUTHORITIES[1], &token));
        let mut trusting = source.with(|it| it.root_cert_file = Some("ca.crt".into()));
        let now = trusting.again(Reason::Unreachable).await.unwrap();
        assert_eq!(
            (now.root_cert, now.root_cert_file),
            (None, Some("ca.crt".into()))
        );
        std::fs::remove_file(&path).unwrap();
    }
}
