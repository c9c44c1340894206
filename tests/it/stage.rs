//! A provider with an export, a running agent, and consumers that bind it.

use std::future::Future;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use syncagent::{Agent, Brake, Definition, Exit, Handle, Notice, Stuck};
use syncagent_core::access::{provider_rules, service_rules};
use syncagent_core::definition::Kind;
use syncagent_core::io::clients::{Connection, KcpAccess, Reply, Server, collection, object};
use syncagent_core::publication::Publications;
use syncagent_core::runtime::{Clock, Definitions};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::lines::{self, Line};
use crate::things;
use crate::world::{
    User, Workspace, World, another_test, change, created, eventually, made, status, tidy,
};

/// What all tests name their export.
pub(crate) const EXPORT: &str = "things.example.io";

/// A provider with an export, and an agent for it.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) provider: Workspace,
    pub(crate) service: Server,
    pub(crate) notices: Arc<Mutex<Vec<Notice>>>,
    pub(crate) definitions: Vec<Definition>,
    named: Option<String>,
    /// Who the agent is: somebody who may do exactly what is computed.
    pub(crate) user: User,
    servers: Option<(Connection, KcpAccess)>,
    /// How many deletions a minute the agent lets through, when a test says so.
    pub(crate) limit: Option<usize>,
    /// The brake of the running agent.
    pub(crate) brake: Option<Brake>,
    /// A look at the running agent.
    pub(crate) handle: Option<Handle>,
    clock: Option<Arc<dyn Clock>>,
    running: Option<(CancellationToken, JoinHandle<Exit>)>,
}

struct Shared(Arc<dyn Clock>);

impl Clock for Shared {
    fn now(&self) -> jiff::Timestamp {
        self.0.now()
    }
}

/// A workspace that bound the export.
pub(crate) struct Consumer {
    pub(crate) cluster: String,
    pub(crate) api: Server,
}

/// Runs a test: with paused time against embedded servers, in real time against real ones.
pub(crate) fn play<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all();
    if !World::is_real() {
        runtime.start_paused(true);
    }
    whole(&runtime.build().unwrap(), test);
}

/// Runs a test in real time: real sockets and paused time do not go together.
pub(crate) fn play_in_real_time<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    whole(&runtime.enable_all().build().unwrap(), test);
}

/// A test from its beginning to its end, also when that is a panic. A test that fails shows what its agents logged.
fn whole<F: Future<Output = ()>>(runtime: &tokio::runtime::Runtime, test: impl FnOnce() -> F) {
    another_test();
    let filter = tracing_subscriber::EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_test_writer()
        .finish();
    let _log = tracing::subscriber::set_default(log);
    let test = std::panic::AssertUnwindSafe(|| runtime.block_on(test()));
    let outcome = std::panic::catch_unwind(test);
    runtime.block_on(tidy());
    if let Err(panic) = outcome {
        std::panic::resume_unwind(panic);
    }
}

impl Stage {
    /// Servers with everything that a provider has before the agent starts.
    pub(crate) async fn set(definitions: Vec<Definition>) -> Self {
        Self::set_in(World::new().await, definitions).await
    }

    /// A second provider with an export of the same name, in a kcp of its own where that is embedded, before the same
    /// service cluster. Its agent is not started yet.
    pub(crate) async fn beside(&self) -> Self {
        let stage = Self::set_in(self.world.beside(), self.definitions.clone()).await;
        stage.export(&json!({})).await;
        stage
    }

    /// Calls the agent otherwise, from its next start on.
    pub(crate) fn call(&mut self, name: &str) {
        self.named = Some(name.to_owned());
    }

    /// The same in a world of one's own.
    pub(crate) async fn set_in(world: World, definitions: Vec<Definition>) -> Self {
        let service = world.service();
        for definition in &definitions {
            install(&service, &things::service_crd(&definition.service)).await;
        }
        let provider = world.workspace("provider").await;
        Self::between(world, provider, definitions).await
    }

    /// The same where everything is there already: what others left.
    pub(crate) async fn left_in(world: World, definitions: Vec<Definition>) -> Self {
        let provider = world.known_workspace("provider").await;
        Self::between(world, provider, definitions).await
    }

    async fn between(world: World, provider: Workspace, definitions: Vec<Definition>) -> Self {
        let service = world.service();
        let user = world.user(&world.unique("agent"));
        let stage = Self {
            world,
            provider,
            service,
            notices: Arc::default(),
            definitions,
            named: None,
            user,
            servers: None,
            handle: None,
            clock: None,
            limit: None,
            brake: None,
            running: None,
        };
        stage.permit(&stage.definitions).await;
        stage
    }

    /// The agent may do what is computed for these definitions, and nothing else; for those that are refused, nothing.
    pub(crate) async fn permit(&self, definitions: &[Definition]) {
        let publications = Publications::compile("agent", definitions);
        let service = publications
            .map(|it| service_rules(&it))
            .unwrap_or_default();
        let provider = provider_rules(EXPORT);
        self.grant(&service, &provider).await;
    }

    /// Waits until the agent may not do this any more, on the service cluster or in the provider's workspace.
    pub(crate) async fn forbidden(&self, side: usize, rule: &Value, verb: &Value) {
        let on_kcp = (&self.provider.api, &self.user.kcp.name);
        let (api, user) = [(&self.service, &self.user.service.name), on_kcp][side];
        if World::is_real() {
            in_force(api, user, rule, verb, false).await;
        }
    }

    /// The agent may do this on the service cluster and in the provider's workspace, and nothing else, from now on.
    pub(crate) async fn grant(&self, service: &[Value], provider: &[Value]) {
        self.give(service, provider).await;
        for (api, user, rules) in [
            (&self.service, &self.user.service.name, service),
            (&self.provider.api, &self.user.kcp.name, provider),
        ] {
            // What was granted before says nothing about what is new; the last rule mostly is.
            for rule in rules.first().into_iter().chain(rules.last()) {
                if World::is_real() {
                    in_force(api, user, rule, &rule["verbs"][0], true).await;
                }
            }
        }
    }

    /// Somebody may do this in the provider's workspace, from now on; of who may not even enter no server says when.
    pub(crate) async fn enable(&self, user: &User, rules: &[Value]) {
        let (api, name) = (&self.provider.api, &user.kcp.name);
        grant(api, name, rules).await;
        let enters = rules.iter().any(|it| it["nonResourceURLs"].is_array());
        for rule in rules.iter().filter(|_| enters && World::is_real()) {
            in_force(api, name, rule, &rule["verbs"][0], true).await;
        }
    }

    /// The same, and nobody waits until a server knows of it: what may not even be looked at is never seen in force.
    pub(crate) async fn give(&self, service: &[Value], provider: &[Value]) {
        grant(&self.service, &self.user.service.name, service).await;
        grant(&self.provider.api, &self.user.kcp.name, provider).await;
    }

    /// The placeholder that a provider makes by hand.
    pub(crate) async fn export(&self, spec: &Value) {
        self.permit(&self.definitions).await;
        let export = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIExport",
            "metadata": {"name": EXPORT}, "spec": spec});
        let path = "/apis/apis.kcp.io/v1alpha2/apiexports";
        made(&self.provider.api, path, &export).await;
    }

    /// The export as it is.
    pub(crate) async fn exported(&self) -> Value {
        let path = format!("/apis/apis.kcp.io/v1alpha2/apiexports/{EXPORT}");
        self.provider.api.get(&path).await.unwrap().body
    }

    /// All of it, with the agent running and the export filled.
    pub(crate) async fn running(definitions: Vec<Definition>) -> Self {
        Self::running_in(World::new().await, definitions).await
    }

    /// The same with lines to kcp and to the service cluster that can be cut.
    pub(crate) async fn over_lines(definitions: Vec<Definition>) -> (Self, [Line; 2]) {
        let mut stage = Self::set(definitions).await;
        stage.export(&json!({})).await;
        let lines = stage.lines();
        stage.start();
        stage.filled().await;
        (stage, lines)
    }

    /// The same in a world of one's own.
    pub(crate) async fn running_in(world: World, definitions: Vec<Definition>) -> Self {
        let mut stage = Self::set_in(world, definitions).await;
        stage.export(&json!({})).await;
        stage.start();
        stage.filled().await;
        stage
    }

    /// An agent that is not started yet.
    pub(crate) fn agent(&self) -> Agent {
        let notices = self.notices.clone();
        let (service, kcp) = self.servers.clone().unwrap_or_else(|| {
            let service = self.world.service_connection(&self.user);
            (service, self.world.kcp_access(&self.provider, &self.user))
        });
        let mut agent = Agent::new(EXPORT)
            .name(
                self.named
                    .clone()
                    .unwrap_or_else(|| self.world.unique("agent")),
            )
            .connect(service, kcp)
            .notify(move |notice| notices.lock().unwrap().push(notice.clone()));
        for definition in &self.definitions {
            agent = agent.publish_definition(definition.clone());
        }
        if let Some(limit) = self.limit {
            agent = agent.retirements_per_minute(limit);
        }
        match &self.clock {
            Some(clock) => agent.clock(Shared(clock.clone())),
            None => agent,
        }
    }

    /// Starts the agent.
    pub(crate) fn start(&mut self) {
        let agent = self.agent();
        self.launch(agent);
    }

    /// Starts the agent and takes its definitions, to change them while it runs.
    pub(crate) fn drive(&mut self) -> Definitions {
        let agent = self.agent();
        let definitions = agent.definitions();
        self.launch(agent);
        definitions
    }

    fn launch(&mut self, agent: Agent) {
        let token = CancellationToken::new();
        let agent = agent.shutdown(token.clone());
        self.handle = Some(agent.handle());
        self.brake = Some(agent.brake());
        self.running = Some((token, tokio::spawn(agent.run())));
    }

    /// Whether the agent ended by itself.
    pub(crate) fn ended(&self) -> bool {
        self.running.as_ref().is_some_and(|it| it.1.is_finished())
    }

    /// The orders that do not get on, as the running agent tells.
    pub(crate) fn stuck(&self) -> Vec<Stuck> {
        self.handle.as_ref().unwrap().stuck()
    }

    /// Stops the agent, in the middle of whatever it does.
    pub(crate) async fn stop(&mut self) {
        let (token, task) = self.running.take().unwrap();
        token.cancel();
        assert!(task.await.unwrap().is_stopped());
    }

    /// Waits until the export offers everything.
    pub(crate) async fn filled(&self) {
        let wanted = self.definitions.len();
        eventually("the export is filled", || async {
            let export = self.exported().await;
            let of_ours = |resource: &&Value| {
                let mut kinds = self.definitions.iter().map(|it| &it.offered);
                kinds.any(|kind| resource["group"] == kind.group.as_str())
            };
            let resources = export["spec"]["resources"].as_array()?.iter();
            (resources.filter(of_ours).count() == wanted).then_some(())
        })
        .await;
    }

    /// A fresh workspace that binds the export and accepts its claims.
    pub(crate) async fn consumer(&self, name: &str) -> Consumer {
        self.consumer_that(name, |_| true).await
    }

    /// A fresh workspace that binds the export and accepts the claims on resources that it `accepts`.
    pub(crate) async fn consumer_that(
        &self,
        name: &str,
        accepts: impl Fn(&str) -> bool,
    ) -> Consumer {
        let workspace = self.world.workspace(name).await;
        let state = |resource: &str| {
            Some(if accepts(resource) {
                "Accepted"
            } else {
                "Rejected"
            })
        };
        self.bind(workspace, state).await
    }

    /// A workspace that binds the export and accepts its claims.
    pub(crate) async fn bound(&self, workspace: Workspace) -> Consumer {
        self.bind(workspace, |_| Some("Accepted")).await
    }

    /// A workspace that binds the export, with the claim on each resource in a state, or left out.
    pub(crate) async fn bind(
        &self,
        workspace: Workspace,
        state: impl Fn(&str) -> Option<&'static str>,
    ) -> Consumer {
        let mut claims = self.exported().await["spec"]["permissionClaims"].clone();
        for claim in claims.as_array_mut().into_iter().flatten() {
            let state = state(claim["resource"].as_str().unwrap_or_default());
            claim["selector"] = json!({"matchAll": true});
            claim["state"] = json!(state);
        }
        if let Some(claims) = claims.as_array_mut() {
            claims.retain(|claim| !claim["state"].is_null());
        }
        let binding = json!({"apiVersion": "apis.kcp.io/v1alpha2", "kind": "APIBinding",
        "metadata": {"name": "things"},
        "spec": {
            "reference": {"export": {"path": self.provider.canonical, "name": EXPORT}},
            "permissionClaims": if claims.is_null() { json!([]) } else { claims },
        }});
        let bindings = "/apis/apis.kcp.io/v1alpha2/apibindings";
        eventually("the binding is made", || async {
            workspace
                .api
                .post(bindings, &binding)
                .await
                .unwrap()
                .is_success()
                .then_some(())
        })
        .await;
        for definition in &self.definitions {
            let path = things::collection(&definition.offered);
            eventually("the workspace serves the kind", || async {
                workspace
                    .api
                    .get(&path)
                    .await
                    .unwrap()
                    .is_success()
                    .then_some(())
            })
            .await;
        }
        Consumer {
            cluster: workspace.cluster,
            api: workspace.api,
        }
    }

    /// The agent gets the texts of kubeconfigs, and nothing else.
    pub(crate) async fn wire(&mut self, service: &str, kcp: &str) {
        self.connect(parsed(service).await.into(), parsed(kcp).await.into());
    }

    /// The lines to kcp and to the service cluster, over which the agent goes from its next start on.
    pub(crate) fn lines(&mut self) -> [Line; 2] {
        let (lines, service, kcp) = lines::between(&self.world, &self.provider, &self.user);
        self.connect(service, kcp);
        lines
    }

    /// The agent reaches the servers in these ways.
    pub(crate) fn connect(&mut self, service: Connection, kcp: KcpAccess) {
        self.servers = Some((service, kcp));
    }

    /// The agent takes its time from this clock.
    pub(crate) fn clock(&mut self, clock: impl Clock + 'static) {
        self.clock = Some(Arc::new(clock));
    }

    /// The Service that an operator makes.
    pub(crate) async fn service(&self, consumer: &Consumer, name: &str) {
        let path = format!("/api/v1/namespaces/{}/services", consumer.cluster);
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "ports": [{"port": 5432}]}});
        created(self.service.post(&path, &service).await);
    }

    /// The address that its load balancer gets.
    pub(crate) async fn address(&self, consumer: &Consumer, name: &str, address: &str) {
        let path = format!("/api/v1/namespaces/{}/services/{name}", consumer.cluster);
        let ingress = json!({"loadBalancer": {"ingress": [{"ip": address}]}});
        status(&self.service, &path, &ingress).await;
    }

    /// The copy of an order, once it is there.
    pub(crate) async fn copy(&self, consumer: &Consumer, kind: &Kind, name: &str) -> Value {
        there(&self.service, kind, &consumer.cluster, name, |_| true).await
    }
}

impl Consumer {
    /// Orders something.
    pub(crate) async fn order(&self, kind: &Kind, name: &str, spec: &Value) -> Value {
        let path = collection(kind, Some("default"));
        made(&self.api, &path, &things::order(kind, name, spec)).await
    }

    /// Reads an object of the namespace `default`.
    pub(crate) async fn get(&self, kind: &Kind, name: &str) -> Reply {
        self.api
            .get(&object(kind, Some("default"), name))
            .await
            .unwrap()
    }

    /// An object of the namespace `default`, once it is as it should be.
    pub(crate) async fn there(
        &self,
        kind: &Kind,
        name: &str,
        right: impl Fn(&Value) -> bool,
    ) -> Value {
        there(&self.api, kind, "default", name, right).await
    }

    /// Deletes an object of the namespace `default`.
    pub(crate) async fn delete(&self, kind: &Kind, name: &str) {
        let path = object(kind, Some("default"), name);
        assert!(
            self.api
                .delete(&path, &json!({}))
                .await
                .unwrap()
                .is_success()
        );
    }

    /// Makes a Secret.
    pub(crate) async fn secret(&self, name: &str, password: &str) -> Value {
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name},
            "type": "kubernetes.io/basic-auth", "stringData": {"username": "app", "password": password}});
        made(&self.api, "/api/v1/namespaces/default/secrets", &secret).await
    }
}

/// Makes a user the owner of a workspace.
pub(crate) async fn own(workspace: &Server, user: &str) {
    let everything = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    let enter = json!({"nonResourceURLs": ["*"], "verbs": ["*"]});
    grant(workspace, user, &[everything.clone(), enter]).await;
    if World::is_real() {
        in_force(workspace, user, &everything, &json!("*"), true).await;
    }
}

/// Gives a user these rules and no others.
async fn grant(api: &Server, user: &str, rules: &[Value]) {
    let path = "/apis/rbac.authorization.k8s.io/v1";
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": user}, "rules": rules});
    made(api, &format!("{path}/clusterroles"), &role).await;
    change(
        api,
        &format!("{path}/clusterroles/{user}"),
        &json!({"rules": rules}),
    )
    .await;
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    made(api, &format!("{path}/clusterrolebindings"), &binding).await;
}

/// Waits until a grant is in force, or is no more: whoever comes earlier is refused, and a kcp remembers that for long.
async fn in_force(api: &Server, user: &str, rule: &Value, verb: &Value, wanted: bool) {
    let mut review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user}});
    if rule["nonResourceURLs"].is_array() {
        review["spec"]["nonResourceAttributes"] =
            json!({"path": rule["nonResourceURLs"][0], "verb": verb});
    } else {
        let resource = rule["resources"][0].as_str().unwrap_or_default();
        let (resource, part) = resource.split_once('/').unwrap_or((resource, ""));
        review["spec"]["resourceAttributes"] = json!({"group": rule["apiGroups"][0], "resource": resource,
            "subresource": part, "name": rule["resourceNames"][0], "verb": verb});
    }
    let path = "/apis/authorization.k8s.io/v1/subjectaccessreviews";
    eventually(&format!("{verb} of {rule} is {wanted}"), || async {
        let answer = api.post(path, &review).await.unwrap();
        // A server without reviews forgets nothing.
        (answer.code == 404 || answer.body["status"]["allowed"] == wanted).then_some(())
    })
    .await;
}

/// Where CRDs are.
pub(crate) const CRDS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";

/// Deletes the CRD of a kind, and waits until it is gone.
pub(crate) async fn uninstall(service: &Server, kind: &Kind) {
    let path = format!("{CRDS}/{}.{}", kind.plural, kind.group);
    let reply = service.delete(&path, &json!({})).await.unwrap();
    assert!(reply.is_success(), "{reply:?}");
    eventually("the CRD is gone", || async {
        (service.get(&path).await.unwrap().code == 404).then_some(())
    })
    .await;
}

/// Makes a CRD, and waits until it is in force.
pub(crate) async fn install(service: &Server, crd: &Value) {
    created(service.post(CRDS, crd).await);
    let text = |at: &str| crd.pointer(at).and_then(Value::as_str).unwrap_or_default();
    let path = format!(
        "/apis/{}/{}/{}",
        text("/spec/group"),
        text("/spec/versions/0/name"),
        text("/spec/names/plural")
    );
    eventually("the service cluster serves the kind", || async {
        service.get(&path).await.unwrap().is_success().then_some(())
    })
    .await;
}

/// A kubeconfig, read as a client reads it.
pub(crate) async fn parsed(text: &str) -> kube::Config {
    let file = kube::config::Kubeconfig::from_yaml(text).unwrap();
    kube::Config::from_custom_kubeconfig(file, &kube::config::KubeConfigOptions::default())
        .await
        .unwrap()
}

/// An object, once it is as it should be.
pub(crate) async fn there(
    api: &Server,
    kind: &Kind,
    namespace: &str,
    name: &str,
    right: impl Fn(&Value) -> bool,
) -> Value {
    let path = object(kind, Some(namespace), name);
    let mut last = Value::Null;
    for _ in 0..crate::world::PATIENCE {
        let reply = api.get(&path).await.unwrap();
        if reply.is_success() && right(&reply.body) {
            return reply.body;
        }
        last = reply.body;
        crate::world::pause().await;
    }
    panic!("{path} never was as it should be; it is {last:#}");
}

/// Waits until an object is gone.
pub(crate) async fn gone(api: &Server, kind: &Kind, namespace: &str, name: &str) {
    let path = object(kind, Some(namespace), name);
    eventually(&format!("{path} is gone"), || async {
        (api.get(&path).await.unwrap().code == 404).then_some(())
    })
    .await;
}

impl Stage {
    /// Forgets what the agent asked for so far.
    pub(crate) fn forget(&self) {
        self.world.forget();
    }

    /// Whether the requests at both servers can be counted.
    pub(crate) fn counts(&self) -> bool {
        self.world.counts("kcp") && self.world.counts("service")
    }

    /// What the agent asked for, one line per request, watches apart: `kcp patch things/status default/a`.
    /// Servers that are real do not tell. Events are counted apart: see [`Stage::events`].
    pub(crate) fn requests(&self) -> Vec<String> {
        let mut lines = self.asked(|verb| verb != "watch");
        lines.retain(|line| !of_event(line));
        lines
    }

    /// The events that the agent sent and sent again, one line per request.
    pub(crate) fn events(&self) -> Vec<String> {
        let mut lines = self.asked(|verb| ["create", "patch"].contains(&verb));
        lines.retain(|line| of_event(line));
        lines
    }

    /// What the agent asked for, of these verbs.
    pub(crate) fn asked(&self, wanted: impl Fn(&str) -> bool) -> Vec<String> {
        self.world.asked(&wanted)
    }

    /// Asserts what the agent asked for, in the order of each server; lines of a server that keeps no log are left out.
    pub(crate) fn asked_exactly(&self, wanted: &[&str]) {
        assert_eq!(self.requests(), self.told(wanted));
    }

    /// The same where nothing says in which order; `wanted` is sorted.
    pub(crate) fn asked_in_any_order(&self, wanted: &[&str]) {
        let mut asked = self.requests();
        asked.sort();
        assert_eq!(asked, self.told(wanted));
    }

    fn told<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        let told = |line: &&&str| self.tells_of(line);
        wanted.iter().filter(told).copied().collect()
    }

    /// Whether such requests are counted.
    pub(crate) fn tells_of(&self, line: &str) -> bool {
        let side = line.split(' ').next().unwrap_or_default();
        self.world.counts(side)
    }

    /// Waits until the agent has had time to do whatever it might still do.
    pub(crate) async fn calm(&self) {
        // Paused time costs nothing; in real time a short while has to do. A busy server may take longer than one pause
        // for a request, which is in its log when it is answered.
        let (pause, rounds, quiet) = if World::is_real() {
            (2000, 3, 2)
        } else {
            (1000, 20, 1)
        };
        // A kind that is not served is asked for as long as it is not, at first more often than these looks are taken.
        let counts = |line: &&String| {
            !(World::is_real() && line.contains(" list ") && line.ends_with("404"))
        };
        let (mut before, mut alike) = (usize::MAX, 0);
        for _ in 0..rounds * 10 {
            let now = self.requests().iter().filter(counts).count();
            alike = if now == before { alike + 1 } else { 0 };
            if alike == quiet {
                return;
            }
            before = now;
            tokio::time::sleep(std::time::Duration::from_millis(pause)).await;
        }
        panic!("the agent does not come to rest: {:#?}", self.requests());
    }
}

fn of_event(line: &str) -> bool {
    ["kcp create events", "kcp patch events"]
        .iter()
        .any(|it| line.starts_with(it))
}
