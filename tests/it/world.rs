//! The servers of one test, and the few verbs that tests speak.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use syncagent_core::io::clients::{Connection, KcpAccess, MERGE_PATCH, Server};
use syncagent_embedded::snapshot::Held;

/// Both sides of one test.
#[derive(Clone)]
pub(crate) struct World {
    kcp: Side,
    service: Side,
    run: String,
    /// Where embedded servers listen for processes: at one address each, for kcp tells everybody of the first.
    listening: Arc<Mutex<BTreeMap<&'static str, syncagent_embedded::Listening>>>,
}

/// One API server, embedded or real.
#[derive(Clone)]
enum Side {
    /// The server, its administrator's token, and from where we look at its log on.
    Embedded(syncagent_embedded::Server, String, Arc<AtomicUsize>),
    Real(Box<kube::Config>, Option<Arc<Log>>),
}

/// The audit log of a real server, from where we look at it on.
struct Log {
    file: PathBuf,
    from: AtomicU64,
    /// What was read of it since then, by whom it is of: the log of a server that many tests share is long.
    read: Mutex<BTreeMap<String, Read>>,
}

/// What was read of a log, and up to where.
#[derive(Default)]
struct Read {
    until: u64,
    asked: Vec<Asked>,
}

/// A workspace: its logical cluster's name, its canonical path, and how a user of it addresses it.
#[derive(Clone)]
pub(crate) struct Workspace {
    pub(crate) cluster: String,
    pub(crate) canonical: String,
    pub(crate) url: String,
    pub(crate) path: String,
    pub(crate) api: Server,
}

const KCP: &str = "SYNCAGENT_TEST_KCP_KUBECONFIG";
const KCP_AUDIT: &str = "SYNCAGENT_TEST_KCP_AUDIT";
/// Names a file of users of the real kcp, as its `--token-auth-file` knows them: a token and a name in each line.
const KCP_USERS: &str = "SYNCAGENT_TEST_KCP_USERS";
const SERVICE: &str = "SYNCAGENT_TEST_KUBECONFIG";
const SERVICE_AUDIT: &str = "SYNCAGENT_TEST_AUDIT";

static COUNT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static GROUP: RefCell<String> = RefCell::new("example.io".to_owned());
}

/// The API group of a test's kinds: of its own where a service cluster is shared with other tests.
pub(crate) fn group() -> String {
    GROUP.with_borrow(Clone::clone)
}

/// From here on this thread plays another test.
pub(crate) fn another_test() {
    if World::is_real() {
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        GROUP.set(format!("t{}-{count}.example.io", std::process::id()));
    }
}

/// The labels of what a test makes for all of a service cluster that is shared with other tests.
pub(crate) fn own_labels() -> Value {
    match World::is_real() {
        true => json!({"test": group()}),
        false => json!({}),
    }
}

/// A selector of such objects, and of these further labels.
pub(crate) fn selecting(labels: &str) -> String {
    let own = World::is_real().then(|| format!("test={}", group()));
    let all = own.into_iter().chain([labels.to_owned()]);
    all.filter(|it| !it.is_empty())
        .collect::<Vec<_>>()
        .join(",")
}

/// Takes from a shared service cluster what the test of this thread made for all of it; its namespaces stay.
pub(crate) async fn tidy() {
    let Ok(path) = std::env::var(SERVICE) else {
        return;
    };
    let server = Side::real(&path, SERVICE_AUDIT).await.api("");
    let published = format!(
        "/apis/syncagent.kcp.io/v1alpha1/publishedresources?labelSelector={}",
        selecting("")
    );
    let _ = server.delete(&published, &json!({})).await;
    let crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let all = server.get(crds).await.unwrap().body;
    for crd in all["items"].as_array().into_iter().flatten() {
        if crd["spec"]["group"] == group() {
            let name = crd["metadata"]["name"].as_str().unwrap();
            let _ = server.delete(&format!("{crds}/{name}"), &json!({})).await;
        }
    }
}

impl World {
    /// Fresh servers, or fresh workspaces on the servers that the environment names.
    pub(crate) async fn new() -> Self {
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        Self {
            kcp: match std::env::var(KCP) {
                Ok(path) => Side::real(&path, KCP_AUDIT).await,
                Err(_) => Side::embedded_kcp(),
            },
            service: match std::env::var(SERVICE) {
                Ok(path) => Side::real(&path, SERVICE_AUDIT).await,
                Err(_) => Side::embedded_service(),
            },
            run: format!("t{}-{count}", std::process::id()),
            listening: Arc::default(),
        }
    }

    /// A fresh kcp before the same service cluster; a real kcp is both.
    pub(crate) fn beside(&self) -> Self {
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        Self {
            kcp: match &self.kcp {
                Side::Embedded(..) => Side::embedded_kcp(),
                real @ Side::Real(..) => real.clone(),
            },
            service: self.service.clone(),
            run: format!("t{}-{count}", std::process::id()),
            listening: Arc::default(),
        }
    }

    /// Embedded servers, built like this; the environment is not asked.
    pub(crate) fn built(
        kcp: syncagent_embedded::kcp::Builder,
        service: syncagent_embedded::Builder,
    ) -> Self {
        let count = COUNT.fetch_add(1, Ordering::SeqCst);
        let (kcp, service) = (kcp.build(), service.build());
        let (admin, kcp_admin) = (service.admin(), kcp.kcp_admin());
        Self {
            kcp: Side::Embedded(kcp, kcp_admin, Arc::default()),
            service: Side::Embedded(service, admin, Arc::default()),
            run: format!("t{}-{count}", std::process::id()),
            listening: Arc::default(),
        }
    }

    /// Embedded servers that go on from what others held; what [`unique`](Self::unique) names is named after `run`.
    pub(crate) fn holding(run: &str, kcp: Vec<Held>, service: Vec<Held>) -> Self {
        let kcp = syncagent_embedded::Server::kcp().holding(kcp);
        let service = syncagent_embedded::Server::kubernetes().holding(service);
        Self::built(kcp, service).called(run)
    }

    /// What names end with that no other test uses.
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// The same world, but what [`unique`](Self::unique) names is named after `run`.
    pub(crate) fn called(self, run: &str) -> Self {
        Self {
            run: run.to_owned(),
            ..self
        }
    }

    /// Whether time is that of a real server.
    pub(crate) fn is_real() -> bool {
        [KCP, SERVICE]
            .iter()
            .any(|name| std::env::var(name).is_ok())
    }

    /// The embedded service cluster, where it is embedded.
    pub(crate) fn embedded_service(&self) -> Option<&syncagent_embedded::Server> {
        self.service.server()
    }

    /// The embedded kcp, where it is embedded.
    pub(crate) fn embedded_kcp(&self) -> Option<&syncagent_embedded::Server> {
        self.kcp.server()
    }

    /// A name that no other test uses.
    pub(crate) fn unique(&self, name: &str) -> String {
        format!("{name}-{}", self.run)
    }

    /// A fresh workspace.
    pub(crate) async fn workspace(&self, name: &str) -> Workspace {
        self.workspace_with(name, &json!({})).await
    }

    /// A fresh workspace on this shard.
    pub(crate) async fn workspace_on(&self, name: &str, shard: &str) -> Workspace {
        let selector = json!({"matchLabels": {"name": shard}});
        self.workspace_with(name, &json!({"location": {"selector": selector}}))
            .await
    }

    /// Deletes a workspace.
    pub(crate) async fn delete_workspace(&self, name: &str) {
        let path = format!(
            "/apis/tenancy.kcp.io/v1alpha1/workspaces/{}",
            self.unique(name)
        );
        let deleted = self.kcp.parent().delete(&path, &json!({})).await.unwrap();
        assert!(deleted.is_success(), "{deleted:?}");
    }

    /// Whether a workspace is there, if only to end.
    pub(crate) async fn has_workspace(&self, name: &str) -> bool {
        let name = self.unique(name);
        let path = format!("/apis/tenancy.kcp.io/v1alpha1/workspaces/{name}");
        let reply = self.kcp.parent().get(&path).await.unwrap();
        assert!(reply.is_success() || reply.code == 404, "{reply:?}");
        reply.is_success()
    }

    async fn workspace_with(&self, name: &str, spec: &Value) -> Workspace {
        let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        let workspace = json!({"apiVersion": "tenancy.kcp.io/v1alpha1", "kind": "Workspace",
            "metadata": {"name": self.unique(name)}, "spec": spec});
        made(&self.kcp.parent(), path, &workspace).await;
        self.known_workspace(name).await
    }

    /// A workspace that was made before.
    pub(crate) async fn known_workspace(&self, name: &str) -> Workspace {
        let name = self.unique(name);
        let parent = self.kcp.parent();
        let path = "/apis/tenancy.kcp.io/v1alpha1/workspaces";
        let ready = eventually("the workspace is ready", || async {
            let workspace = parent.get(&format!("{path}/{name}")).await.unwrap().body;
            (workspace["status"]["phase"] == "Ready").then_some(workspace)
        })
        .await;
        let url = ready["spec"]["URL"].as_str().unwrap().to_owned();
        let path = url.parse::<http::Uri>().unwrap().path().to_owned();
        Workspace {
            cluster: ready["spec"]["cluster"].as_str().unwrap().to_owned(),
            api: self.kcp.api(&path),
            canonical: path.trim_start_matches("/clusters/").to_owned(),
            url,
            path,
        }
    }

    /// The service cluster, as its admin sees it.
    pub(crate) fn service(&self) -> Server {
        self.service.api("")
    }

    /// A client of the service cluster's admin.
    pub(crate) fn service_client(&self) -> kube::Client {
        self.service.client("")
    }

    /// A path of the kcp, as this user sees it.
    pub(crate) fn seen_by(&self, user: &User, path: &str) -> Server {
        let client = match &self.kcp {
            Side::Embedded(server, ..) => client(server, user.kcp.token(), path),
            Side::Real(config, _) => {
                let config = at(user.kcp.on((**config).clone()), path);
                kube::Client::try_from(config).unwrap()
            }
        };
        Server::new(client, "test", "test")
    }

    /// A fresh user of both servers, who may do nothing yet.
    pub(crate) fn user(&self, name: &str) -> User {
        let embedded = |server: &syncagent_embedded::Server| Identity {
            name: name.to_owned(),
            proof: Proof::Token(server.user(name, &[])),
        };
        User {
            kcp: match &self.kcp {
                Side::Embedded(server, ..) => embedded(server),
                Side::Real(..) => Identity::of_a_list(KCP_USERS),
            },
            service: match &self.service {
                Side::Embedded(server, ..) => embedded(server),
                Side::Real(..) => Identity {
                    name: name.to_owned(),
                    proof: Proof::Word,
                },
            },
        }
    }

    /// How an agent reaches the service cluster.
    pub(crate) fn service_connection(&self, user: &User) -> Connection {
        match &self.service {
            Side::Real(config, _) => user.service.on((**config).clone()).into(),
            Side::Embedded(server, ..) => client(server, user.service.token(), "").into(),
        }
    }

    /// How an agent reaches a provider's workspace.
    pub(crate) fn kcp_access(&self, provider: &Workspace, user: &User) -> KcpAccess {
        match &self.kcp {
            Side::Real(config, _) => at(user.kcp.on((**config).clone()), &provider.path).into(),
            Side::Embedded(server, ..) => {
                let token = user.kcp.token().to_owned();
                let inside = server.clone();
                KcpAccess::new(client(server, &token, &provider.path), move |_| {
                    Ok(client(&inside, &token, ""))
                })
            }
        }
    }

    /// How this user reaches the kcp, if that is real.
    pub(crate) fn real_kcp(&self, user: &User) -> Option<kube::Config> {
        self.kcp.config().map(|it| user.kcp.on(it))
    }

    /// How this user reaches the service cluster, if that is real.
    pub(crate) fn real_service(&self, user: &User) -> Option<kube::Config> {
        self.service.config().map(|it| user.service.on(it))
    }

    /// Kubeconfigs with which a process of its own reaches the service cluster and a provider's workspace as this user.
    pub(crate) async fn kubeconfigs(&self, provider: &Workspace, user: &User) -> [String; 2] {
        let mut texts = Vec::new();
        for (side, who, path, variable) in [
            (&self.service, &user.service, "", SERVICE),
            (&self.kcp, &user.kcp, provider.path.as_str(), KCP),
        ] {
            texts.push(match side {
                Side::Embedded(server, ..) => {
                    let known = self.listening.lock().unwrap().contains_key(variable);
                    if !known {
                        let at = server.listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
                        self.listening.lock().unwrap().insert(variable, at);
                    }
                    self.listening.lock().unwrap()[variable].kubeconfig_at(who.token(), path)
                }
                Side::Real(..) => {
                    let text = std::fs::read_to_string(std::env::var(variable).unwrap()).unwrap();
                    rewritten(&text, &who.credentials(), path)
                }
            });
        }
        texts.try_into().unwrap()
    }

    /// What agents of this test asked for, one line per request: `kcp patch things/status default/a`. A server that keeps
    /// no log tells nothing.
    pub(crate) fn asked(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        let of = format!("{})", self.run);
        let sides = [("kcp", &self.kcp), ("service", &self.service)];
        let entries = |(name, side): (&'static str, &Side)| {
            let entries = side.log(&of).into_iter();
            let lines = entries
                .filter(|it| wanted(&it.verb))
                .map(move |it| it.line(name));
            lines.collect::<Vec<_>>()
        };
        sides.into_iter().flat_map(entries).collect()
    }

    /// Whether the requests at `kcp` or `service` can be counted.
    pub(crate) fn counts(&self, side: &str) -> bool {
        let side = if side == "kcp" {
            &self.kcp
        } else {
            &self.service
        };
        !matches!(side, Side::Real(_, None))
    }

    /// How much was asked at each embedded server so far.
    pub(crate) fn asked_until_now(&self) -> [usize; 2] {
        let count = |side: &Side| {
            side.server()
                .map_or(0, syncagent_embedded::Server::audit_count)
        };
        [count(&self.kcp), count(&self.service)]
    }

    /// What agents asked for at embedded servers after that, in the order of time; also what was forgotten since.
    pub(crate) fn asked_after(&self, counts: [usize; 2]) -> Vec<(tokio::time::Instant, String)> {
        let sides = [("kcp", &self.kcp), ("service", &self.service)];
        let mut all = Vec::new();
        for ((name, side), count) in sides.into_iter().zip(counts) {
            let entries = side.server().map(|it| it.audit_after(count));
            for entry in entries.into_iter().flatten().filter(of_an_agent) {
                all.extend(entry.at.map(|at| (at, Asked::from(entry).line(name))));
            }
        }
        all.sort_by_key(|(at, _)| *at);
        all
    }

    /// Forgets what was asked so far.
    pub(crate) fn forget(&self) {
        for side in [&self.kcp, &self.service] {
            match side {
                Side::Embedded(server, _, from) => {
                    from.store(server.audit_count(), Ordering::SeqCst);
                }
                Side::Real(_, Some(log)) => log.forget(),
                Side::Real(_, None) => {}
            }
        }
    }
}

/// Somebody on both servers.
#[derive(Clone)]
pub(crate) struct User {
    pub(crate) kcp: Identity,
    pub(crate) service: Identity,
}

impl User {
    /// Somebody who shows a token that no server knows.
    pub(crate) fn unknown() -> Self {
        let nobody = Identity {
            name: "nobody".to_owned(),
            proof: Proof::Token("known-to-nobody".to_owned()),
        };
        Self {
            kcp: nobody.clone(),
            service: nobody,
        }
    }
}

/// Somebody on one server: a name, and what the server needs to believe it.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) name: String,
    proof: Proof,
}

#[derive(Clone)]
enum Proof {
    Token(String),
    /// The administrator's, who acts as somebody else.
    Word,
    /// There are no others: it is the administrator.
    None,
}

impl Identity {
    /// The next user of a list that nobody was before; the administrator where there is no list.
    fn of_a_list(variable: &str) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let Some(file) = std::env::var_os(variable) else {
            return Self {
                name: "nobody".to_owned(),
                proof: Proof::None,
            };
        };
        let list = std::fs::read_to_string(file).unwrap();
        let next = NEXT.fetch_add(1, Ordering::SeqCst);
        let mut line = list.lines().nth(next).expect("a user is left").split(',');
        let token = line.next().unwrap().to_owned();
        Self {
            name: line.next().unwrap().to_owned(),
            proof: Proof::Token(token),
        }
    }

    /// Whether it is somebody who may do what they are granted, and nothing else.
    pub(crate) fn is_confined(&self) -> bool {
        !matches!(self.proof, Proof::None)
    }

    /// The token, where there is one.
    pub(crate) fn token(&self) -> &str {
        match &self.proof {
            Proof::Token(token) => token,
            Proof::Word | Proof::None => "",
        }
    }

    /// What a kubeconfig has to say of it beside, or instead of, the administrator's credentials.
    fn credentials(&self) -> Value {
        match &self.proof {
            Proof::None => json!({}),
            Proof::Word => json!({"as": self.name}),
            Proof::Token(token) => json!({"token": token}),
        }
    }

    /// A real server as this one reaches it.
    fn on(&self, mut config: kube::Config) -> kube::Config {
        match &self.proof {
            Proof::None => {}
            Proof::Word => {
                let name = http::HeaderName::from_static("impersonate-user");
                config.headers.push((name, self.name.parse().unwrap()));
            }
            Proof::Token(token) => {
                config.auth_info = kube::config::AuthInfo {
                    token: Some(token.clone().into()),
                    ..Default::default()
                };
            }
        }
        config
    }
}

/// A request that was answered.
#[derive(Clone)]
struct Asked {
    verb: String,
    resource: String,
    subresource: String,
    name: String,
    code: u64,
}

impl Asked {
    fn line(&self, side: &str) -> String {
        let mut line = format!("{side} {} {}", self.verb, self.resource);
        if !self.subresource.is_empty() {
            line.push('/');
            line.push_str(&self.subresource);
        }
        if !self.name.is_empty() {
            line.push(' ');
            line.push_str(&self.name);
        }
        if self.code >= 300 {
            line.push_str(&format!(" -> {}", self.code));
        }
        line
    }

    fn read(event: &Value) -> Option<Self> {
        let text = |at: &str| {
            event
                .pointer(at)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let verb = text("/verb");
        let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
        // What a request names by its path; logs of real servers also know what it names by its body or by a selector.
        let name = match verb {
            "create" | "list" | "watch" => "",
            _ => text("/objectRef/name"),
        };
        // A watch counts when it is opened, or refused.
        let opened = text("/stage") == "ResponseStarted";
        if (verb == "watch") != opened && !(verb == "watch" && code >= 300) {
            return None;
        }
        Some(Self {
            verb: verb.to_owned(),
            resource: text("/objectRef/resource").to_owned(),
            subresource: text("/objectRef/subresource").to_owned(),
            name: name.to_owned(),
            code,
        })
    }
}

impl From<syncagent_embedded::audit::Entry> for Asked {
    fn from(entry: syncagent_embedded::audit::Entry) -> Self {
        Self {
            verb: entry.verb,
            resource: entry.resource,
            subresource: entry.subresource,
            name: entry.name,
            code: entry.code.into(),
        }
    }
}

/// Whether an agent asked for it.
fn of_an_agent(entry: &syncagent_embedded::audit::Entry) -> bool {
    entry.user_agent.starts_with("syncagent/")
}

impl Log {
    /// From here on.
    fn new(file: PathBuf) -> Self {
        let log = Self {
            file,
            from: AtomicU64::new(0),
            read: Mutex::default(),
        };
        log.forget();
        log
    }

    fn forget(&self) {
        let length = std::fs::metadata(&self.file).map_or(0, |it| it.len());
        self.from.store(length, Ordering::SeqCst);
        self.read.lock().unwrap().clear();
    }

    fn read(&self, of: &str) -> Vec<Asked> {
        use std::io::{Read as _, Seek as _, SeekFrom};
        let mut all = self.read.lock().unwrap();
        let read = all.entry(of.to_owned()).or_default();
        let from = self.from.load(Ordering::SeqCst).max(read.until);
        let mut file = std::fs::File::open(&self.file).unwrap();
        file.seek(SeekFrom::Start(from)).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        // The last line may be half written.
        let whole = text
            .iter()
            .rposition(|it| *it == b'\n')
            .map_or(0, |at| at + 1);
        let text = std::str::from_utf8(&text[..whole]).unwrap();
        let ours = text.lines().filter(|line| line.contains(of));
        let events = ours.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let ours = events.filter(|it| it["userAgent"].as_str().is_some_and(|it| it.ends_with(of)));
        read.asked
            .extend(ours.filter_map(|event| Asked::read(&event)));
        read.until = from + whole as u64;
        read.asked.clone()
    }
}

impl Side {
    fn embedded_service() -> Self {
        let server = syncagent_embedded::Server::kubernetes().build();
        let token = server.admin();
        Self::Embedded(server, token, Arc::default())
    }

    fn embedded_kcp() -> Self {
        let server = syncagent_embedded::Server::kcp().build();
        let token = server.kcp_admin();
        Self::Embedded(server, token, Arc::default())
    }

    async fn real(kubeconfig: &str, log: &str) -> Self {
        let log = std::env::var_os(log).map(|file| Arc::new(Log::new(file.into())));
        Self::Real(Box::new(config(kubeconfig).await), log)
    }

    fn server(&self) -> Option<&syncagent_embedded::Server> {
        match self {
            Self::Embedded(server, ..) => Some(server),
            Self::Real(..) => None,
        }
    }

    fn config(&self) -> Option<kube::Config> {
        match self {
            Self::Embedded(..) => None,
            Self::Real(config, _) => Some((**config).clone()),
        }
    }

    /// What agents asked for; at a real server, which others use too, those whose user agent ends like this.
    fn log(&self, of: &str) -> Vec<Asked> {
        match self {
            Self::Embedded(server, _, from) => {
                let entries = server.audit_after(from.load(Ordering::SeqCst));
                let ours = entries.into_iter().filter(of_an_agent);
                ours.map(Asked::from).collect()
            }
            Self::Real(_, Some(log)) => log.read(of),
            Self::Real(_, None) => Vec::new(),
        }
    }

    /// Where workspaces are made: what a kubeconfig points at, or the root.
    fn parent(&self) -> Server {
        match self {
            Self::Embedded(..) => self.api("/clusters/root"),
            Self::Real(..) => self.api(""),
        }
    }

    fn api(&self, path: &str) -> Server {
        Server::new(self.client(path), "test", "test")
    }

    fn client(&self, path: &str) -> kube::Client {
        match self {
            Self::Embedded(server, token, _) => client(server, token, path),
            Self::Real(config, _) => {
                let config = if path.is_empty() {
                    (**config).clone()
                } else {
                    at((**config).clone(), path)
                };
                kube::Client::try_from(config).unwrap()
            }
        }
    }
}

fn client(server: &syncagent_embedded::Server, token: &str, path: &str) -> kube::Client {
    kube::Client::new(server.in_process().as_user(token).at(path), "default")
}

async fn config(path: &str) -> kube::Config {
    let file = kube::config::Kubeconfig::read_from(path).unwrap();
    let mut config = kube::Config::from_custom_kubeconfig(file, &Default::default())
        .await
        .unwrap();
    config.default_retry = false;
    config
}

/// What a kubeconfig says, for somebody else and at another path.
pub(crate) fn rewritten(text: &str, user: &Value, path: &str) -> String {
    let mut config: Value = serde_yaml::from_str(text).unwrap();
    for entry in config["users"].as_array_mut().into_iter().flatten() {
        let known = entry["user"].as_object_mut().unwrap();
        if user.get("token").is_some() {
            known.clear();
        }
        known.extend(user.as_object().unwrap().clone());
    }
    for entry in config["clusters"].as_array_mut().into_iter().flatten() {
        let server: http::Uri = entry["cluster"]["server"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        if !path.is_empty() {
            let (scheme, authority) = (server.scheme().unwrap(), server.authority().unwrap());
            entry["cluster"]["server"] = json!(format!("{scheme}://{authority}{path}"));
        }
    }
    serde_yaml::to_string(&config).unwrap()
}

/// The same server, addressed at another path.
pub(crate) fn at(mut config: kube::Config, path: &str) -> kube::Config {
    let mut parts = config.cluster_url.clone().into_parts();
    parts.path_and_query = Some(path.parse().unwrap());
    config.cluster_url = http::Uri::from_parts(parts).unwrap();
    config
}

/// How often to look before giving up.
pub(crate) const PATIENCE: usize = 3000;

/// Lets a moment pass before the next look; whoever looks at a real server takes from its time.
pub(crate) async fn pause() {
    let milliseconds = if World::is_real() { 50 } else { 20 };
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}

/// Waits until something is there; the bound is generous and only ends a test that would never end.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    for _ in 0..PATIENCE {
        if let Some(found) = look().await {
            return found;
        }
        pause().await;
    }
    panic!("it never happened: {what}");
}

/// The object that a request made.
pub(crate) fn created(
    reply: Result<syncagent_core::io::clients::Reply, syncagent_core::error::Error>,
) -> Value {
    let reply = reply.unwrap();
    assert!(reply.is_success() || reply.code == 409, "{reply:?}");
    reply.body
}

/// Makes an object; a real server that is too busy to decide is asked again.
pub(crate) async fn made(api: &Server, path: &str, object: &Value) -> Value {
    let reply = eventually("the server has time", || async {
        let reply = api.post(path, object).await;
        let busy = reply
            .as_ref()
            .is_ok_and(|it| it.code == 504 || it.code == 500 && it.message().contains("timed out"));
        (!busy).then_some(reply)
    });
    created(reply.await)
}

/// Changes an object with a merge patch.
pub(crate) async fn change(api: &Server, path: &str, patch: &Value) -> Value {
    let reply = api.patch(path, MERGE_PATCH, patch).await.unwrap();
    assert!(reply.is_success(), "{reply:?}");
    reply.body
}

/// Writes a status, as an operator does.
pub(crate) async fn status(api: &Server, path: &str, status: &Value) -> Value {
    change(api, &format!("{path}/status"), &json!({"status": status})).await
}

/// Says that a test shows nothing here, past the capture of the test runner, so that nobody takes it for shown.
pub(crate) fn skipped(why: &str) {
    skipped_for(
        why,
        "without SYNCAGENT_TEST_* it runs against embedded ones",
    );
}

/// The same, with what would let it run.
pub(crate) fn skipped_for(why: &str, remedy: &str) {
    use std::io::Write as _;
    let test = std::thread::current();
    let name = test.name().unwrap_or("a test");
    let line = format!("skipped: {name}: {why}; {remedy}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}
