//! The binary `syncagent` as a process of its own: what it prints, how it ends, and what it serves meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use syncagent_core::io::clients::Server as Api;
use syncagent_embedded::Server;

/// How often to look, 20 ms apart, before giving up.
const PATIENCE: usize = 3000;

fn syncagent(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_syncagent"));
    command
        .args(arguments)
        .env_remove("KUBECONFIG")
        .env_remove("RUST_LOG")
        .env("HOME", "/nonexistent")
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = syncagent(arguments).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn help_and_version_are_no_mistakes() {
    let (code, out, err) = run(&["--help"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    for flag in [
        "--kubeconfig <",
        "--kcp-kubeconfig <",
        "--namespace <",
        "--apiexportendpointslice-ref <",
        "--apiexport-ref <",
        "--agent-name <",
        "--published-resource-selector <",
        "--enable-leader-election",
        "--kubeconfig-host-override <",
        "--kubeconfig-ca-file-override <",
        "--metrics-address <",
        "--health-address <",
        "--disabled-controllers <",
        "--log-debug",
        "--log-format <",
    ] {
        assert!(out.contains(flag), "{flag} is not in {out}");
    }
    let (code, out, _) = run(&["--version"]);
    assert_eq!(code, Some(0));
    assert_eq!(out, format!("syncagent {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn an_unknown_flag_ends_with_the_usage_and_2() {
    let (code, out, err) = run(&["--nonsense"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("Usage: syncagent"), "{err}");
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_1() {
    let (code, out, err) = run(&["--agent-name", "A"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.starts_with("Invalid command line:\n  - "), "{err}");
    assert_eq!(err.lines().count(), 5, "{err}");
}

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("syncagent-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_used_ends_with_1_and_says_what_to_do() {
    let folder = Folder::new("kubeconfigs");
    let plain = json!({"apiVersion": "v1", "kind": "Config", "current-context": "a",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "a", "user": {}}],
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}]});
    let plain = folder.write("plain", &plain.to_string());
    let base = [
        "--namespace",
        "default",
        "--apiexportendpointslice-ref",
        "things",
        "--metrics-address",
        "0",
    ];
    let with = |more: &[&str]| {
        let (code, _, err) = run(&[&base[..], more].concat());
        assert_eq!(code, Some(1), "{err}");
        err
    };
    let err = with(&["--kcp-kubeconfig", "/nonexistent", "--kubeconfig", &plain]);
    assert!(
        err.contains("could not read the kubeconfig \"/nonexistent\""),
        "{err}"
    );
    let err = with(&["--kcp-kubeconfig", &plain]);
    assert!(err.contains("found no way to the service cluster"), "{err}");
    let err = with(&["--kcp-kubeconfig", &plain, "--kubeconfig", &plain]);
    assert!(
        err.contains("does not point to a specific workspace"),
        "{err}"
    );
}

/// Both servers over real sockets, with an export in the root workspace.
struct Servers {
    folder: Folder,
    service: Server,
    /// It serves for as long as it is here.
    _kcp: Server,
    kcp: String,
    kubeconfig: String,
    _listening: Vec<syncagent_embedded::Listening>,
}

fn api(server: &Server, token: &str, path: &str) -> Api {
    let client = kube::Client::new(server.in_process().as_user(token).at(path), "default");
    Api::new(client, "test", "test")
}

async fn servers(name: &str) -> Servers {
    let folder = Folder::new(name);
    let (service, kcp) = (Server::kubernetes().build(), Server::kcp().build());
    let at = "127.0.0.1:0".parse().unwrap();
    let (service_at, kcp_at) = (
        service.listen(at).await.unwrap(),
        kcp.listen(at).await.unwrap(),
    );
    let admin = kcp.kcp_admin();
    let root = api(&kcp, &admin, "/clusters/root");
    let export = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport",
        "metadata": {"name": "things"}, "spec": {}});
    let made = root
        .post("/apis/apis.kcp.io/v1alpha2/apiexports", &export)
        .await;
    assert!(made.unwrap().is_success());
    let slice = "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/things";
    while root.get(slice).await.unwrap().code != 200 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let kubeconfig = folder.write("service", &service_at.kubeconfig(&service.admin()));
    let at_root = folder.write("kcp", &kcp_at.kubeconfig_at(&admin, "/clusters/root"));
    Servers {
        folder,
        service,
        _kcp: kcp,
        kcp: at_root,
        kubeconfig,
        _listening: vec![service_at, kcp_at],
    }
}

/// An address that nobody listens on.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

/// What is answered under a path, once somebody answers.
async fn page(at: SocketAddr, path: &str) -> String {
    for _ in 0..PATIENCE {
        if let Ok(mut stream) = TcpStream::connect(at) {
            write!(stream, "GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("nobody answers at {at}");
}

async fn lease(service: &Server) -> Value {
    let api = api(service, &service.admin(), "");
    let path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/syncagent.things-syncagent";
    api.get(path).await.unwrap().body
}

async fn ended(mut child: Child) -> Output {
    tokio::task::spawn_blocking(move || {
        child.wait().unwrap();
        child.wait_with_output().unwrap()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_is_terminated_gives_its_lease_back_and_ends_with_0() {
    let servers = servers("terminated").await;
    let (metrics, health) = (free(), free());
    let log = servers.folder.write("log", "");
    let mut command = syncagent(&["--namespace=default", "--apiexport-ref=things"]);
    let child = command
        .arg(format!("--kcp-kubeconfig={}", servers.kcp))
        .arg(format!("--kubeconfig={}", servers.kubeconfig))
        .arg(format!("--metrics-address={metrics}"))
        .arg(format!("--health-address={health}"))
        .arg("--enable-leader-election")
        .stderr(std::fs::File::create(&log).unwrap())
        .spawn()
        .unwrap();
    for path in ["/healthz", "/readyz"] {
        let answer = page(health, path).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nok"), "{answer}");
    }
    let mut held = false;
    for _ in 0..PATIENCE {
        let holder = lease(&servers.service).await["spec"]["holderIdentity"].clone();
        held = holder.as_str().is_some_and(|it| it.contains('_'));
        if held {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(held, "{}", std::fs::read_to_string(&log).unwrap());
    let answer = page(metrics, "/metrics").await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    for line in [
        "sync_agent_published_resource 0",
        "# TYPE workqueue_adds_total counter",
    ] {
        assert!(
            answer.lines().any(|it| it == line),
            "{line} is not in {answer}"
        );
    }
    let told = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
    let output = ended(child).await;
    let log = std::fs::read_to_string(&log).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    assert_eq!(lease(&servers.service).await["spec"]["holderIdentity"], "");
    let first: Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    for (key, wanted) in [
        ("level", "info"),
        ("version", env!("CARGO_PKG_VERSION")),
        ("name", "things-syncagent"),
        ("apiexportendpointslice", "things"),
    ] {
        assert_eq!(first[key], wanted, "{first}");
    }
    assert!(log.contains("--apiexport-ref is deprecated"), "{log}");
}
