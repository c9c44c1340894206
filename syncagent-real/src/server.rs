//! One process that serves: started, killed, revived; and how a client reaches it.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::error::Error;
use crate::guard::Guard;

/// How long a server may take until it is ready, on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(180);
/// How often to look.
const PAUSE: Duration = Duration::from_millis(100);

/// What an audit log holds: every request once, when it is answered, and a watch also when it is opened.
pub(crate) const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy",
 "omitStages": ["RequestReceived"], "omitManagedFields": true,
 "rules": [
  {"level": "None", "users": ["system:apiserver", "system:anonymous"]},
  {"level": "None", "nonResourceURLs": ["/healthz*", "/livez*", "/readyz*"]},
  {"level": "Metadata"}]}
"#;

/// A program with its arguments, and the process that runs it, if one does.
#[derive(Debug)]
pub(crate) struct Server {
    name: &'static str,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(&'static str, &'static str)>,
    log: PathBuf,
    child: Option<Child>,
}

impl Server {
    pub(crate) fn new(
        name: &'static str,
        program: PathBuf,
        dir: &Path,
        arguments: Vec<String>,
    ) -> Self {
        Self {
            name,
            program,
            arguments,
            environment: Vec::new(),
            log: dir.join(format!("{name}.log")),
            child: None,
        }
    }

    pub(crate) fn with_environment(mut self, environment: &[(&'static str, &'static str)]) -> Self {
        self.environment = environment.to_vec();
        self
    }

    /// Starts it, unless it runs; its log goes on where it ended.
    pub(crate) fn start(&mut self, guard: &mut Guard) -> Result<(), Error> {
        if self.child.is_some() && self.running().is_ok() {
            return Ok(());
        }
        self.kill(guard)?;
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.map_err(Error::write(&self.log))?;
        let errors = log.try_clone().map_err(Error::write(&self.log))?;
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().copied())
            .current_dir(guard.dir())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            // Ctrl-C in a terminal is for its owner, who ends it in order.
            .process_group(0)
            .spawn()
            .map_err(Error::system(format!("start {}", self.program.display())))?;
        guard.watch(child.id())?;
        self.child = Some(child);
        Ok(())
    }

    /// Ends it at once, with no say; nothing when it does not run.
    pub(crate) fn kill(&mut self, guard: &mut Guard) -> Result<(), Error> {
        let Some(mut child) = self.child.take() else {
            return Ok(());
        };
        child
            .kill()
            .map_err(Error::system(format!("kill {}", self.name)))?;
        guard.forget(child.id())?;
        child
            .wait()
            .map_err(Error::system(format!("wait for {}", self.name)))?;
        Ok(())
    }

    /// An error when it ended by itself.
    pub(crate) fn running(&mut self) -> Result<(), Error> {
        let status = match &mut self.child {
            Some(child) => child
                .try_wait()
                .map_err(Error::system(format!("look at {}", self.name)))?,
            None => None,
        };
        match status {
            Some(status) => Err(self.failed(&format!("ended with {status}"))),
            None => Ok(()),
        }
    }

    fn failed(&self, how: &str) -> Error {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.lines().collect();
        Error::Start {
            server: self.name.to_owned(),
            how: how.to_owned(),
            words: lines[lines.len().saturating_sub(20)..].join("\n"),
        }
    }

    /// Waits until something is there, as long as the process lives.
    pub(crate) async fn until<T>(
        &mut self,
        what: &str,
        mut look: impl AsyncFnMut() -> Option<T>,
    ) -> Result<T, Error> {
        let started = std::time::Instant::now();
        loop {
            if let Some(found) = look().await {
                return Ok(found);
            }
            self.running()?;
            if started.elapsed() > PATIENCE {
                return Err(self.failed(&format!("is not {what} after {PATIENCE:?}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until the server answers well at a path.
    pub(crate) async fn ready(&mut self, kubeconfig: &str, path: &str) -> Result<(), Error> {
        let client = client(kubeconfig).await?;
        self.until("ready", async || says(&client, path).await.then_some(()))
            .await
    }
}

/// Free loopback ports; they stay free until somebody else takes them, which is soon enough for a test.
pub(crate) fn ports<const N: usize>() -> Result<[u16; N], Error> {
    let anywhere = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut taken = Vec::new();
    let mut ports = [0; N];
    for port in &mut ports {
        let listener = TcpListener::bind(anywhere).map_err(Error::system("find a free port"))?;
        let address = listener
            .local_addr()
            .map_err(Error::system("find a free port"))?;
        *port = address.port();
        taken.push(listener);
    }
    Ok(ports)
}

/// The text of a kubeconfig: how a client finds the server and trusts it, and how it shows who it is.
pub(crate) fn kubeconfig(cluster: &Value, user: &Value) -> String {
    let file = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": user}],
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "current-context": "it",
    });
    format!("{file:#}\n")
}

/// A text as a kubeconfig holds it.
pub(crate) fn base64(text: &str) -> String {
    STANDARD.encode(text)
}

/// A client of a kubeconfig.
pub(crate) async fn client(kubeconfig: &str) -> Result<kube::Client, Error> {
    let file = kube::config::Kubeconfig::from_yaml(kubeconfig)
        .map_err(Error::server("read a kubeconfig"))?;
    let options = kube::config::KubeConfigOptions::default();
    let mut config = kube::Config::from_custom_kubeconfig(file, &options)
        .await
        .map_err(Error::server("use a kubeconfig"))?;
    config.default_retry = false;
    config.read_timeout = Some(Duration::from_secs(10));
    kube::Client::try_from(config).map_err(Error::server("make a client"))
}

/// Whether a path answers well.
async fn says(client: &kube::Client, path: &str) -> bool {
    let Ok(request) = http(path) else {
        return false;
    };
    client.request_text(request).await.is_ok()
}

fn http(path: &str) -> Result<http::Request<Vec<u8>>, http::Error> {
    http::Request::get(path).body(Vec::new())
}

/// The version that a server tells of itself.
pub(crate) async fn version(client: &kube::Client) -> Result<String, Error> {
    let version = client.apiserver_version().await;
    Ok(version
        .map_err(Error::server("ask for the version"))?
        .git_version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_differ() {
        let [a, b, c] = ports().expect("there are ports");
        assert!(a != b && b != c && a != c);
    }
}
