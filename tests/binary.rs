//! The binary `syncagent` as a process of its own: what it prints, how it ends, and what it serves meanwhile.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use syncagent_core::api::published_resource::{self, PublishedResource};
use syncagent_core::compat::{Projected, Source};
use syncagent_core::io::clients::{MERGE_PATCH, Server as Api};
use syncagent_embedded::Server;
use syncagent_embedded::faults::Fault;
use syncagent_real::guard::Guard;
use tokio_util::sync::CancellationToken;

const ORDERS: &str = "/apis/kcp.example.io/v1/namespaces/default/things";

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
struct Folder(Guard);

impl Folder {
    fn new(name: &str) -> Self {
        Self(Guard::make(&format!("syncagent-{name}")).unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.dir().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
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

/// A `PublishedResource` of things, with this in its spec, too.
fn things(spec: Value) -> Value {
    let mut object = json!({"apiVersion": "syncagent.kcp.io/v1alpha1", "kind": "PublishedResource",
        "metadata": {"name": "things"},
        "spec": {"resource": {"apiGroup": "example.io", "kind": "Thing"},
            "projection": {"group": "kcp.example.io"}}});
    if let (Some(known), Value::Object(more)) = (object["spec"].as_object_mut(), spec) {
        known.extend(more);
    }
    object
}

/// What things are on the service cluster.
fn definition() -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": "things.example.io"},
    "spec": {"group": "example.io", "scope": "Namespaced",
        "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
        "versions": [{"name": "v1", "served": true, "storage": true,
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                "spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}}]}})
}

/// The documents that were printed.
fn documents(text: &str) -> Vec<Value> {
    let parts = text.split("\n---\n");
    parts.map(|it| serde_yaml::from_str(it).unwrap()).collect()
}

#[test]
fn check_ends_with_0_where_nothing_is_wrong_and_with_1_where_something_is() {
    let folder = Folder::new("check");
    let crd = folder.write("crd.yaml", &definition().to_string());
    let good = folder.write("good.yaml", &things(json!({})).to_string());
    let (code, out, err) = run(&["check", &good, &crd]);
    assert_eq!((code, out.as_str(), err.as_str()), (Some(0), "", ""));

    let wrong =
        things(json!({"mutation": {"spec": [{"regex": {"path": "spec.a", "pattern": "("}}, {}]}}));
    let wrong = folder.write("wrong.yaml", &wrong.to_string());
    let (code, out, err) = run(&["check", &good, &wrong, &crd]);
    assert_eq!((code, err.as_str()), (Some(1), ""), "{out}");
    let start = format!("problem: {wrong}: PublishedResource things: spec.mutation.spec[");
    for line in out.lines() {
        assert!(line.starts_with(&start), "{out}");
    }
    for field in ["spec.mutation.spec[0]", "spec.mutation.spec[1]"] {
        assert!(out.contains(field), "{field} is not in {out}");
    }

    // What is no YAML at all is wrong in that document, and the others are looked at.
    let torn = folder.write("torn.yaml", "a: [");
    let (code, out, _) = run(&["check", &torn, &wrong]);
    assert_eq!(code, Some(1));
    assert!(out.starts_with(&format!("problem: {torn}: ")), "{out}");
    assert!(out.contains("spec.mutation.spec[1]"), "{out}");
}

#[test]
fn check_ends_with_2_where_a_file_cannot_be_read_and_names_each() {
    let folder = Folder::new("unread");
    let good = folder.write("good.yaml", &things(json!({})).to_string());
    let (code, out, err) = run(&["check", "/nonexistent/a", &good, "/nonexistent/b"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    let lines: Vec<&str> = err.lines().collect();
    assert_eq!(lines.len(), 2, "{err}");
    for (line, file) in lines.iter().zip(["/nonexistent/a", "/nonexistent/b"]) {
        let start = format!("error: {file}: could not be read: ");
        assert!(line.starts_with(&start), "{err}");
    }
}

#[test]
fn check_prints_the_first_format_in_todays() {
    let folder = Folder::new("modern");
    let old = things(
        json!({"naming": {"namespace": "$remoteClusterName", "name": "$remoteName"},
        "related": [{"identifier": "credentials", "origin": "kcp", "kind": "Secret",
            "reference": {"name": {"path": "spec.secretName"}}}]}),
    );
    let old = folder.write("old.yaml", &old.to_string());
    let crd = folder.write("crd.yaml", &definition().to_string());
    let (code, out, err) = run(&["check", "--modern", &old, &crd]);
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let (_, printed) = out.split_once("---\n").unwrap();
    let new: Value = serde_yaml::from_str(printed).unwrap();
    assert_eq!(new["metadata"]["name"], "things");
    let related = &new["spec"]["related"][0];
    for old in ["kind", "reference"] {
        assert_eq!(related[old], Value::Null, "{related}");
    }
    assert_eq!(
        (&related["version"], &related["resource"]),
        (&json!("v1"), &json!("secrets"))
    );
    assert_eq!(related["object"]["reference"]["path"], "spec.secretName");
    // What was printed is in today's form, and as good.
    let new = folder.write("new.yaml", printed);
    let (code, out, _) = run(&["check", "--modern", &new, &crd]);
    assert_eq!((code, out.contains("---")), (Some(0), false), "{out}");
}

#[test]
fn crd_prints_the_definition_of_the_kind() {
    let (code, out, err) = run(&["crd"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert_eq!(documents(&out), [published_resource::crd()]);
}

#[test]
fn rbac_prints_roles_that_name_what_is_published() {
    let folder = Folder::new("rbac");
    let file = folder.write("things.yaml", &things(json!({})).to_string());
    let crd = folder.write("crd.yaml", &definition().to_string());
    let base = [
        "rbac",
        "--namespace=kcp-system",
        "--apiexportendpointslice-ref=databases",
    ];
    let (code, out, err) = run(&[&base[..], &[&file, &crd]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let all = documents(&out);
    let the = |kind: &str, name: &str, namespace: Value| {
        let mut found = all.iter().filter(|it| {
            let meta = &it["metadata"];
            it["kind"] == kind && meta["name"] == name && meta["namespace"] == namespace
        });
        let only = found.next().unwrap();
        assert_eq!(found.next(), None, "{out}");
        only
    };
    let cluster = the("ClusterRole", "syncagent", Value::Null);
    let mut rules = cluster["rules"].as_array().unwrap().iter();
    let published = rules.find(|it| it["resources"] == json!(["things"]));
    assert_eq!(published.unwrap()["apiGroups"], json!(["example.io"]));
    let own = the("RoleBinding", "syncagent", "kcp-system".into());
    assert_eq!(own["subjects"][0]["namespace"], "kcp-system");
    let export = the("ClusterRole", "syncagent-export", Value::Null);
    assert_eq!(export["rules"][1]["resourceNames"], json!(["databases"]));

    let (code, out, err) = run(&[&base[..], &["/nonexistent/a"]].concat());
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(
        err.starts_with("error: /nonexistent/a: could not be read: "),
        "{err}"
    );
}

/// Both servers over real sockets, with an export in the root workspace.
struct Servers {
    folder: Folder,
    service: Server,
    root: Api,
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
        root,
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

fn terminate(child: &Child) {
    let told = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    assert!(told.unwrap().success());
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
        "# TYPE controller_runtime_reconcile_errors_total counter",
        "# TYPE process_resident_memory_bytes gauge",
        "# TYPE process_cpu_seconds_total counter",
    ] {
        assert!(
            answer.lines().any(|it| it == line),
            "{line} is not in {answer}"
        );
    }
    terminate(&child);
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

const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const PUBLISHED: &str = "/apis/syncagent.kcp.io/v1alpha1/publishedresources";
const EXPORT: &str = "/apis/apis.kcp.io/v1alpha2/apiexports/things";

async fn until<F: Future<Output = bool>>(what: &str, mut look: impl FnMut() -> F) {
    for _ in 0..PATIENCE {
        if look().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{what}: it never came to that");
}

async fn made(api: &Api, path: &str, object: &Value) {
    let reply = api.post(path, object).await.unwrap();
    assert!(reply.is_success(), "{reply:?}");
}

impl Servers {
    fn admin(&self) -> Api {
        api(&self.service, &self.service.admin(), "")
    }

    /// Defines things and `PublishedResource` on the service cluster, and publishes things.
    async fn publish(&self, object: &Value) {
        let service = &self.admin();
        for (crd, all) in [
            (definition(), "/apis/example.io/v1/things"),
            (published_resource::crd(), PUBLISHED),
        ] {
            made(service, CRDS, &crd).await;
            until("the kind is served", || async {
                service.get(all).await.unwrap().is_success()
            })
            .await;
        }
        made(service, PUBLISHED, object).await;
    }

    /// Runs a sub-command with the flags of the agent to its end.
    async fn run(&self, command: &'static str) -> (Option<i32>, String, String) {
        let service = format!("--kubeconfig={}", self.kubeconfig);
        let kcp = format!("--kcp-kubeconfig={}", self.kcp);
        tokio::task::spawn_blocking(move || {
            let slice = "--apiexportendpointslice-ref=things";
            run(&[command, "--namespace=default", slice, &service, &kcp])
        })
        .await
        .unwrap()
    }

    /// Starts an agent with these flags, too.
    fn start(&self, more: &[String], words: impl Into<Stdio>) -> Child {
        let base = ["--namespace=default", "--apiexportendpointslice-ref=things"];
        syncagent(&base)
            .arg(format!("--kcp-kubeconfig={}", self.kcp))
            .arg(format!("--kubeconfig={}", self.kubeconfig))
            .args(more)
            .stderr(words)
            .spawn()
            .unwrap()
    }

    /// Binds the export in the root workspace, once it is filled.
    async fn bind(&self) {
        let root = &self.root;
        until("the export is filled", || async {
            let export = root.get(EXPORT).await.unwrap().body;
            export["spec"]["resources"].is_array()
        })
        .await;
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding",
            "metadata": {"name": "things"},
            "spec": {"reference": {"export": {"path": "root", "name": "things"}}}});
        made(root, "/apis/apis.kcp.io/v1alpha2/apibindings", &binding).await;
        until("the workspace serves things", || async {
            root.get(ORDERS).await.unwrap().is_success()
        })
        .await;
    }

    async fn order(&self, name: &str) {
        let order = json!({"apiVersion": "kcp.example.io/v1", "kind": "Thing",
            "metadata": {"name": name, "namespace": "default"}, "spec": {"size": 3}});
        made(&self.root, ORDERS, &order).await;
    }

    /// Runs an agent that serves these orders of the root workspace, until there are so many things on the service cluster.
    async fn serve(&self, names: &[&str], copies: usize) {
        let agent = self.start(&["--metrics-address=0".to_owned()], Stdio::null());
        let service = &self.admin();
        self.bind().await;
        for name in names {
            self.order(name).await;
        }
        until("there are copies", || async {
            let things = service.get("/apis/example.io/v1/things").await.unwrap();
            let things = things.body["items"].as_array().cloned();
            things.is_some_and(|it| it.len() == copies)
        })
        .await;
        terminate(&agent);
        assert_eq!(ended(agent).await.status.code(), Some(0));
    }

    /// What an object makes of the CRD that the service cluster shows.
    async fn projected(&self, object: &Value) -> Projected {
        let crd = self.admin().get(&format!("{CRDS}/things.example.io")).await;
        let pr: PublishedResource = serde_json::from_value(object.clone()).unwrap();
        Projected::of(&pr, &Source::from_crd(&crd.unwrap().body)).unwrap()
    }
}

/// The answer comes after the word to stop. A write whose connection was closed before would never have been done.
#[tokio::test(flavor = "multi_thread")]
async fn s1_2_sigterm_finishes_the_write_in_hand_gives_the_lease_back_and_ends_with_0() {
    let servers = servers("in-hand").await;
    servers.publish(&things(json!({}))).await;
    let log = servers.folder.write("log", "");
    let words = std::fs::File::create(&log).unwrap();
    let more = ["--metrics-address=0", "--enable-leader-election"].map(str::to_owned);
    let agent = servers.start(&more, words);
    servers.bind().await;
    let (answer, in_hand) = (CancellationToken::new(), Arc::new(AtomicBool::new(false)));
    let seen = in_hand.clone();
    let held = Fault::Hold(answer.clone());
    servers.service.faults().plan(1, held, move |asked| {
        let places = ["create", "patch"].contains(&asked.verb) && asked.target.plural == "things";
        seen.fetch_or(places, Ordering::SeqCst);
        places
    });
    servers.order("a").await;
    until("a write is in hand", || async {
        in_hand.load(Ordering::SeqCst)
    })
    .await;
    let holder = lease(&servers.service).await["spec"]["holderIdentity"].clone();
    assert!(holder.as_str().unwrap().contains('_'), "{holder}");
    terminate(&agent);
    let log = || std::fs::read_to_string(&log).unwrap();
    until("it hears that it is to stop", || async {
        log().contains("was told to stop")
    })
    .await;
    let things = || async {
        let all = servers.admin().get("/apis/example.io/v1/things").await;
        all.unwrap().body["items"].as_array().unwrap().clone()
    };
    assert_eq!(things().await, [Value::Null; 0]);
    answer.cancel();
    let output = ended(agent).await;
    assert_eq!(output.status.code(), Some(0), "{}", log());
    let things = things().await;
    assert_eq!(things.len(), 1, "{}", log());
    assert_eq!(things[0]["spec"]["size"], 3);
    let lease = lease(&servers.service).await;
    assert_eq!(lease["spec"]["holderIdentity"], "", "{}", log());
}

#[tokio::test(flavor = "multi_thread")]
async fn s3_4_the_metric_counts_what_is_being_deleted_until_it_is_gone() {
    let servers = servers("leaving").await;
    let mut held = things(json!({}));
    held["metadata"]["finalizers"] = json!(["example.io/somebody"]);
    servers.publish(&held).await;
    let metrics = free();
    let agent = servers.start(&[format!("--metrics-address={metrics}")], Stdio::null());
    let counts = async |count: usize| {
        let line = format!("sync_agent_published_resource {count}");
        until(&line, || async {
            page(metrics, "/metrics").await.lines().any(|it| it == line)
        })
        .await;
    };
    counts(1).await;
    let (service, at) = (servers.admin(), format!("{PUBLISHED}/things"));
    service.delete(&at, &json!({})).await.unwrap();
    // What comes after it is counted beside it.
    let mut more = things(json!({"synchronization": {"enabled": false}}));
    more["metadata"]["name"] = "more".into();
    made(&service, PUBLISHED, &more).await;
    counts(2).await;
    let free = json!({"metadata": {"finalizers": null}});
    service.patch(&at, MERGE_PATCH, &free).await.unwrap();
    counts(1).await;
    terminate(&agent);
    assert_eq!(ended(agent).await.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn pubres_crd_prints_what_workspaces_will_see() {
    let servers = servers("pubres").await;
    let object = things(json!({}));
    servers.publish(&object).await;
    let file = servers.folder.write("things.yaml", &object.to_string());
    let missing = things(json!({"resource": {"apiGroup": "example.io", "kind": "Nothing"}}));
    let missing = servers.folder.write("missing.yaml", &missing.to_string());
    let projected = servers.projected(&object).await;
    let kubeconfig = format!("--kubeconfig={}", servers.kubeconfig);
    let printed = tokio::task::spawn_blocking(move || {
        let with = |more: &[&str]| run(&[&["pubres", "crd", &kubeconfig], more].concat());
        [
            with(&[&file]),
            with(&["--ars", &file]),
            with(&["--no-projection", &file]),
            with(&[&missing]),
        ]
    });
    let [crd, schema, plain, missing] = printed.await.unwrap();
    for (code, _, err) in [&crd, &schema, &plain] {
        assert_eq!((*code, err.as_str()), (Some(0), ""));
    }
    assert_eq!(documents(&crd.1), [projected.crd().clone()]);
    let schema = documents(&schema.1).remove(0);
    assert_eq!(schema["kind"], "APIResourceSchema");
    assert_eq!(schema["metadata"]["name"], projected.schema_name());
    let plain = documents(&plain.1).remove(0);
    assert_eq!(plain["metadata"]["name"], "things.example.io");
    let (code, out, err) = missing;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    let start = "error: spec.resource: the service cluster serves no Nothing";
    assert!(err.starts_with(start), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_prints_what_would_be_written_and_writes_nothing() {
    let servers = servers("plan").await;
    let object = things(json!({}));
    servers.publish(&object).await;
    let schema = servers.projected(&object).await.schema_name();
    let before = servers.root.get(EXPORT).await.unwrap().body;
    let (code, out, err) = servers.run("plan").await;
    assert_eq!(code, Some(0), "{err}");
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            format!("would fill the export things with {schema}"),
            format!("would name the schema {schema} in the status of the PublishedResource things"),
        ],
        "{err}"
    );
    assert_eq!(servers.root.get(EXPORT).await.unwrap().body, before);
    let there = servers.admin().get(&format!("{PUBLISHED}/things")).await;
    assert_eq!(there.unwrap().body["status"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn handback_writes_what_the_go_agent_has_to_remember() {
    let servers = servers("handback").await;
    servers.publish(&things(json!({}))).await;
    // Nothing was ordered yet.
    let (code, out, err) = servers.run("handback").await;
    assert_eq!((code, out.as_str()), (Some(0), ""), "{err}");

    servers.serve(&["a"], 1).await;
    let service = servers.admin();

    let (code, out, err) = servers.run("handback").await;
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(out.lines().count(), 1, "{out}{err}");
    assert!(out.starts_with("wrote "), "{out}");
    assert!(out.contains(" for Thing a in default of "), "{out}");
    let states =
        "/api/v1/namespaces/default/secrets?labelSelector=syncagent.kcp.io%2Fobject-state%3Dtrue";
    let states = service.get(states).await.unwrap().body;
    assert_eq!(states["items"].as_array().unwrap().len(), 1);
    // Once more changes nothing.
    let (code, again, err) = servers.run("handback").await;
    assert_eq!(code, Some(0), "{err}");
    let settled = " is up to date for Thing a in default of ";
    assert!(again.contains(settled), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn handback_ends_with_1_where_an_order_was_left_and_says_which_and_what_to_do() {
    let servers = servers("left").await;
    let service = servers.admin();
    let naming = json!({"namespace": "$remoteClusterName", "name": "$remoteName"});
    let five =
        json!({"path": "spec.size", "expression": "self.spec.size == 5 ? 1 / 0 : self.spec.size"});
    let spec = json!({"naming": naming, "mutation": {"spec": [{"cel": five}]}});
    servers.publish(&things(spec)).await;
    // Somebody else has what an order would be called.
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "root"}});
    made(&service, "/api/v1/namespaces", &namespace).await;
    let theirs = json!({"apiVersion": "example.io/v1", "kind": "Thing", "metadata": {"name": "taken",
        "labels": {"syncagent.kcp.io/agent-name": "another"}}, "spec": {"size": 1}});
    let copies = "/apis/example.io/v1/namespaces/root/things";
    made(&service, copies, &theirs).await;
    servers
        .serve(&["changed", "odd", "settled", "taken"], 4)
        .await;
    // And two were changed since, one of them to what cannot be.
    for (name, size) in [("changed", 4), ("odd", 5)] {
        let patch = json!({"spec": {"size": size}});
        let at = format!("{ORDERS}/{name}");
        let changed = servers.root.patch(&at, MERGE_PATCH, &patch).await.unwrap();
        assert!(changed.is_success(), "{changed:?}");
    }

    let (code, out, err) = servers.run("handback").await;
    assert_eq!(code, Some(1), "{out}{err}");
    assert_eq!(
        out.lines().filter(|it| it.starts_with("wrote ")).count(),
        1,
        "{out}"
    );
    assert!(
        out.contains(" for Thing settled in default of root"),
        "{out}"
    );
    let last = &err[err.find("error: ").unwrap()..];
    for part in [
        "error: 3 orders were not handed back:\n",
        "  - left the state of Thing changed in default of root as it is: would refresh ",
        "  - left the state of Thing odd in default of root as it is: it is refused: ",
        "  - left the state of Thing taken in default of root as it is: would place ",
        "start the agent, let it do what is still to be done, stop it, and hand back again",
        "`syncagent rbac --handback`",
    ] {
        assert!(last.contains(part), "`{part}` is not in {last}");
    }
    assert!(!last.contains("settled in"), "{last}");
}

/// What is printed is what it takes: a user with nothing else gets through. No object is printed twice, also where the agent
/// runs in the namespace of the events.
#[tokio::test(flavor = "multi_thread")]
async fn handback_takes_what_rbac_prints_for_it() {
    let servers = servers("allowed").await;
    let service = servers.admin();
    servers.publish(&things(json!({}))).await;
    servers.serve(&["a"], 1).await;
    let (code, _, err) = servers.run("handback").await;
    assert_eq!(code, Some(0), "{err}");
    // Somebody took from the Secret what is in it.
    let secrets = "/api/v1/namespaces/default/secrets";
    let all = service.get(secrets).await.unwrap().body;
    let mut names = all["items"].as_array().unwrap().iter();
    let name = names.find_map(|it| {
        it["metadata"]["name"]
            .as_str()
            .filter(|it| it.starts_with("obj-state-"))
    });
    let at = format!("{secrets}/{}", name.unwrap());
    let empty = json!({"data": null});
    assert!(
        service
            .patch(&at, MERGE_PATCH, &empty)
            .await
            .unwrap()
            .is_success()
    );

    let file = servers
        .folder
        .write("things.yaml", &things(json!({})).to_string());
    let crd = servers.folder.write("crd.yaml", &definition().to_string());
    let base = ["rbac", "--namespace=default"];
    let slice = "--apiexportendpointslice-ref=things";
    let (code, all, _) = run(&[&base[..], &[slice, &file, &crd]].concat());
    assert_eq!(code, Some(0));
    let (code, more, err) = run(&[&base[..], &["--handback"]].concat());
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(
        more.starts_with("# On the service cluster, for `syncagent handback`"),
        "{more}"
    );
    let apply = |text: String| {
        let service = &service;
        async move {
            // What is bound in kcp is for somebody else.
            let here = |it: &Value| it["subjects"][0]["kind"] != "User";
            for object in documents(&text).into_iter().filter(here) {
                let plural = format!("{}s", object["kind"].as_str().unwrap().to_lowercase());
                let base = "/apis/rbac.authorization.k8s.io/v1";
                let path = match object["metadata"]["namespace"].as_str() {
                    Some(namespace) => format!("{base}/namespaces/{namespace}/{plural}"),
                    None => format!("{base}/{plural}"),
                };
                let made = service.post(&path, &object).await.unwrap();
                assert!(made.is_success(), "{made:?}");
            }
        }
    };
    let account = "system:serviceaccount:default:syncagent";
    let token = servers
        .service
        .user(account, &["system:serviceaccounts", "system:authenticated"]);
    let mine = servers._listening[0].kubeconfig(&token);
    let kubeconfig = servers.folder.write("mine", &mine);
    let servers = Servers {
        kubeconfig,
        ..servers
    };

    apply(all).await;
    let (code, out, err) = servers.run("handback").await;
    assert_eq!(
        (code, out.starts_with("left the state of Thing a")),
        (Some(1), true),
        "{out}{err}"
    );
    assert!(
        err.contains("error: one order was not handed back:\n"),
        "{err}"
    );
    apply(more).await;
    let (code, out, err) = servers.run("handback").await;
    assert_eq!(
        (code, out.starts_with("wrote ")),
        (Some(0), true),
        "{out}{err}"
    );
}
