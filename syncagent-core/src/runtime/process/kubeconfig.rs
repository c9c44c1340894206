//! Where the servers are, by what the command line, the environment and the machine say.

use kube::Config;
use kube::config::{KubeConfigOptions, Kubeconfig};

use crate::cli::settings::Settings;
use crate::error::Error;
use crate::io::source::Source;

type Cause = Box<dyn std::error::Error + Send + Sync>;

fn unusable(path: &str) -> impl Fn(Cause) -> Error {
    move |source| Error::Kubeconfig {
        path: path.to_owned(),
        source,
    }
}

/// The service cluster: what the flag names, what `KUBECONFIG` names, the account of the Pod, `~/.kube/config`; with
/// another address and other authorities where the flags say so.
///
/// # Errors
///
/// When there is none, or it cannot be used.
pub(super) async fn service(settings: &Settings) -> Result<Source, Error> {
    let mut source = match &settings.kubeconfig {
        Some(path) => Source::read(path, KubeConfigOptions::default()).await?,
        None => found().await?.into(),
    };
    if let Some(host) = &settings.host {
        let url = address(host)?;
        source = source.with(|it| it.cluster_url = url);
    }
    if let Some(file) = &settings.ca_file {
        std::fs::metadata(file).map_err(|error| {
            Error::Setup(format!(
                "could not read the file {file:?} of --kubeconfig-ca-file-override: {error}"
            ))
        })?;
        source = source.with(|it| {
            it.root_cert = None;
            it.root_cert_file = Some(file.into());
        });
    }
    Ok(source)
}

async fn found() -> Result<Config, Error> {
    let fail = unusable("of KUBECONFIG");
    if let Some(file) = Kubeconfig::from_env().map_err(|e| fail(Box::new(e)))? {
        return current(file).await.map_err(fail);
    }
    if let Ok(config) = Config::incluster() {
        return Ok(config);
    }
    let home = unusable("~/.kube/config");
    let file = Kubeconfig::read().map_err(|error| {
        Error::Setup(format!(
            "found no way to the service cluster: name a kubeconfig with --kubeconfig or KUBECONFIG, or run in a Pod of it ({error})"
        ))
    })?;
    current(file).await.map_err(home)
}

async fn current(file: Kubeconfig) -> Result<Config, Cause> {
    let options = KubeConfigOptions::default();
    Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(|error| Box::new(error) as Cause)
}

/// An address as kubectl takes it: without a scheme it is one of https.
fn address(text: &str) -> Result<http::Uri, Error> {
    let whole = match text.contains("://") {
        true => text.to_owned(),
        false => format!("https://{text}"),
    };
    whole.parse().map_err(|error| {
        Error::Setup(format!(
            "--kubeconfig-host-override: `{text}` is no address: write one as https://10.0.0.1:6443 ({error})"
        ))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cli::flags::Flags;

    /// Settings that name a kubeconfig of `https://1.2.3.4:6443` with authorities in it, changed by these flags.
    fn settings(folder: &std::path::Path, flags: Flags) -> Settings {
        let file = folder.join("kubeconfig");
        // `AAAA`, in base64: whether these are certificates is found out later.
        let cluster =
            json!({"server": "https://1.2.3.4:6443", "certificate-authority-data": "QUFBQQ=="});
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": cluster}], "users": [{"name": "a", "user": {}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]});
        std::fs::write(&file, config.to_string()).unwrap();
        let some = |text: &str| Some(text.to_owned());
        Settings::try_from(Flags {
            kubeconfig: file.to_str().map(str::to_owned),
            kcp_kubeconfig: some("unread"),
            namespace: some("default"),
            apiexportendpointslice_ref: some("things"),
            ..flags
        })
        .unwrap()
    }

    #[tokio::test]
    async fn another_address_and_other_authorities_win_over_the_kubeconfig() {
        let folder =
            std::env::temp_dir().join(format!("syncagent-overrides-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let authorities = folder.join("ca.pem");
        std::fs::write(&authorities, "").unwrap();

        let plain = service(&settings(&folder, Flags::default())).await.unwrap();
        let plain = plain.config();
        assert_eq!(plain.cluster_url, "https://1.2.3.4:6443/");
        assert_eq!(plain.root_cert_file, None);

        let host = Flags {
            kubeconfig_host_override: Some("10.0.0.1:7443".into()),
            ..Flags::default()
        };
        let elsewhere = service(&settings(&folder, host)).await.unwrap();
        let elsewhere = elsewhere.config();
        assert_eq!(elsewhere.cluster_url, "https://10.0.0.1:7443/");
        assert_eq!(elsewhere.root_cert, plain.root_cert, "they stay");

        let trusting = |file: &std::path::Path| Flags {
            kubeconfig_ca_file_override: file.to_str().map(str::to_owned),
            ..Flags::default()
        };
        let other = service(&settings(&folder, trusting(&authorities)))
            .await
            .unwrap();
        let other = other.config();
        assert_eq!(other.cluster_url, plain.cluster_url);
        assert_eq!(
            other.root_cert, None,
            "those of the kubeconfig are left out"
        );
        assert_eq!(other.root_cert_file, Some(authorities));

        let missing = folder.join("missing");
        let told = service(&settings(&folder, trusting(&missing))).await;
        let told = told.unwrap_err().to_string();
        assert!(told.contains("--kubeconfig-ca-file-override"), "{told}");
        assert!(told.contains(missing.to_str().unwrap()), "{told}");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn an_address_needs_no_scheme() {
        for (text, wanted) in [
            ("https://a:1", "https://a:1/"),
            ("http://a:1/x", "http://a:1/x"),
            ("10.0.0.1:6443", "https://10.0.0.1:6443/"),
        ] {
            assert_eq!(address(text).unwrap().to_string(), wanted);
        }
        let told = address("a b").unwrap_err().to_string();
        assert!(
            told.starts_with("--kubeconfig-host-override: `a b`"),
            "{told}"
        );
    }
}
