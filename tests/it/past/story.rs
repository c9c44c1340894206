//! What is left: an installation in each dialect, made by the present version and settled.
//!
//! It has at least one of everything that an agent writes down on an object. All values are made up here.

use serde_json::json;
use syncagent::Definition;
use syncagent_core::cli::flags::Flags;
use syncagent_core::definition::{Drift, Find, Loss, Objects, RelatedRule, Side, StatusRule};
use syncagent_core::names;
use syncagent_embedded::snapshot::Held;

use crate::program::Site;
use crate::published::made_by_go_with;
use crate::stage::{Consumer, Stage, gone, install};
use crate::takeover::{Names, construct};
use crate::takeover_whole::{self, permit, related, rest, works};
use crate::things;
use crate::world::{World, change, created, eventually, status};

/// What both servers hold when an agent has stopped.
pub(crate) struct Left {
    pub(crate) kcp: Vec<Held>,
    pub(crate) service: Vec<Held>,
}

/// What names in the story end with.
pub(crate) const RUN: &str = "past";

/// Who works in these names.
pub(crate) const AGENT: &str = "agent-past";

fn fresh() -> World {
    World::holding(RUN, Vec::new(), Vec::new())
}

impl Left {
    fn by(world: &World) -> Self {
        let kcp = world.embedded_kcp().unwrap().held();
        let service = world.embedded_service().unwrap().held();
        Self {
            kcp: kcp.into_iter().filter(is_of_the_story).collect(),
            service: service.into_iter().filter(is_of_the_story).collect(),
        }
    }

    fn world(self) -> World {
        World::holding(RUN, self.kcp, self.service)
    }

    /// Every object, with the server that it is on.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (&'static str, &Held)> {
        let kcp = self.kcp.iter().map(|it| ("kcp", it));
        kcp.chain(self.service.iter().map(|it| ("service", it)))
    }

    /// The same, to be changed.
    pub(crate) fn objects_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Held)> {
        let kcp = self.kcp.iter_mut().map(|it| ("kcp", it));
        kcp.chain(self.service.iter_mut().map(|it| ("service", it)))
    }
}

/// What every server makes for itself, and who may do what, is not told: tests say that anew.
fn is_of_the_story(one: &Held) -> bool {
    let bucket = one.bucket.split(':').next().unwrap_or_default();
    let name = one.metadata("name");
    let always = match bucket {
        "namespaces" => {
            ["default", "kube-node-lease", "kube-public", "kube-system"].contains(&name)
        }
        "configmaps" => name == "kube-root-ca.crt",
        "serviceaccounts" | "events" => true,
        _ => bucket.ends_with("rbac.authorization.k8s.io"),
    };
    let of_kcp = one.cluster == "root" && bucket != "workspaces.tenancy.kcp.io";
    !always && !of_kcp
}

/// The consumer of the story, once there is one.
pub(crate) async fn consumer(stage: &Stage) -> Consumer {
    let known = stage.world.known_workspace("consumer").await;
    Consumer {
        cluster: known.cluster,
        api: known.api,
    }
}

/// One kind whose copies are corrected, with Secrets that go down and a connection that comes up; and one whose copies are
/// kept, with related objects that are found.
fn definitions() -> Vec<Definition> {
    let password = RelatedRule::new(
        "password",
        Side::Workspace,
        things::core("Secret"),
        Objects::from(Find::reference("spec.first.name")),
    );
    let creds = RelatedRule::new(
        "creds",
        Side::Service,
        things::core("Secret"),
        Objects::from(Find::named("{copy.name}-creds")),
    );
    let mut kept = Definition {
        related: vec![password, creds],
        status: StatusRule::Verbatim,
        ..things::plain("Gadget")
    };
    kept.policy.drift = Drift::Keep;
    kept.policy.losses.stripped = Loss::Keep;
    vec![things::connected("Thing"), kept]
}

/// Orders of both kinds, served; one whose finalizer was stripped, and whose copy is kept.
pub(crate) async fn own() -> Left {
    let mut stage = Stage::running_in(fresh(), definitions()).await;
    let (thing, gadget) = (things::kind("Thing"), things::kind("Gadget"));
    let consumer = stage.consumer("consumer").await;
    for name in ["a-one", "a-two", "b-one"] {
        consumer.secret(name, "x").await;
    }
    let spec = json!({"size": 1, "first": {"name": "a-one"}, "second": {"name": "a-two"}});
    consumer.order(&thing, "a", &spec).await;
    let spec = json!({"size": 1, "note": "mine", "first": {"name": "b-one"}});
    consumer.order(&gadget, "b", &spec).await;
    consumer.order(&gadget, "lost", &json!({"size": 1})).await;
    for (kind, name) in [(&thing, "a"), (&gadget, "b"), (&gadget, "lost")] {
        stage.copy(&consumer, kind, name).await;
        let path = things::path(kind, &consumer.cluster, name);
        let shown = json!({"phase": "ready", "observedGeneration": 1});
        status(&stage.service, &path, &shown).await;
        consumer.there(kind, name, things::synced).await;
    }
    stage.service(&consumer, "a-rw").await;
    stage.address(&consumer, "a-rw", "192.0.2.1").await;
    let secrets = format!("/api/v1/namespaces/{}/secrets", consumer.cluster);
    let creds = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "b-creds"},
        "stringData": {"password": "made up"}});
    created(stage.service.post(&secrets, &creds).await);
    // Somebody changes a copy that is kept.
    let copy = things::path(&gadget, &consumer.cluster, "b");
    change(&stage.service, &copy, &json!({"spec": {"size": 5}})).await;
    stage.calm().await;
    stage.stop().await;
    // Nobody looks.
    let order = things::path(&gadget, "default", "lost");
    let stripped = json!({"metadata": {"finalizers": null}});
    change(&consumer.api, &order, &stripped).await;
    consumer.delete(&gadget, "lost").await;
    gone(&consumer.api, &gadget, "default", "lost").await;
    stage.start();
    stage.calm().await;
    stage.stop().await;
    Left::by(&stage.world)
}

/// A stage over what is left.
pub(crate) async fn own_over(left: Left) -> Stage {
    Stage::left_in(left.world(), definitions()).await
}

/// How the process is started.
pub(crate) fn flags(site: &Site) -> Flags {
    takeover_whole::flags(site)
}

/// What the Go agent left (`constructed` from the contract), continued: one order was changed since, one has a new password,
/// one is as it was, and one is new.
pub(crate) async fn go_agent() -> Left {
    let (thing, secrets) = (things::kind("Thing"), things::core("Secret"));
    let stage = Stage::set_in(fresh(), vec![things::plain("Thing")]).await;
    let site = Site::of(stage).await;
    let stage = &site.0;
    permit(stage, &[thing.clone(), secrets.clone()]).await;
    install(
        &stage.service,
        &syncagent_core::api::published_resource::crd(),
    )
    .await;
    made_by_go_with(&site, related()).await;
    let consumer = stage.consumer("consumer").await;
    let names = Names {
        down: "",
        up: "-creds",
    };
    for name in ["a", "b", "c"] {
        construct(stage, &consumer, &site.agent(), name, &names).await;
    }
    let running = site.start(flags(&site));
    works(&site).await;
    rest(stage).await;
    let cluster = consumer.cluster.as_str();
    let order = things::path(&thing, "default", "a");
    change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
    let password = things::path(&secrets, "default", "b-pw");
    let fresh = json!({"data": {"password": "ZnJlc2g="}});
    change(&consumer.api, &password, &fresh).await;
    consumer.secret("d-pw", "x").await;
    let spec = json!({"size": 1, "first": {"name": "d-pw"}});
    consumer.order(&thing, "d", &spec).await;
    let copies = syncagent_core::io::clients::collection(&thing, Some(cluster));
    let copy = eventually("there is a copy", || async {
        let copies = stage.service.get(&copies).await.unwrap().body;
        let copies = copies["items"].as_array().cloned().unwrap_or_default();
        let mut copies = copies.into_iter();
        copies.find(|it| it["metadata"]["annotations"][names::NAME] == "d")
    })
    .await;
    let copy = copy["metadata"]["name"].as_str().unwrap();
    let creds = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": format!("{copy}-creds")},
        "stringData": {"password": "made up"}});
    let at = format!("/api/v1/namespaces/{cluster}/secrets");
    created(stage.service.post(&at, &creds).await);
    let copy = things::path(&thing, cluster, copy);
    status(&stage.service, &copy, &json!({"phase": "ready"})).await;
    consumer.there(&secrets, "d-creds", |_| true).await;
    rest(stage).await;
    assert!(running.stopped().await.is_stopped());
    Left::by(&stage.world)
}

/// A process over what is left, with what `syncagent rbac` grants.
pub(crate) async fn site_over(left: Left) -> Site {
    let stage = Stage::left_in(left.world(), vec![things::plain("Thing")]).await;
    permit(&stage, &[things::kind("Thing"), things::core("Secret")]).await;
    assert_eq!(stage.world.unique("agent"), AGENT);
    Site(stage)
}

/// The plural and group of what lies in a bucket.
pub(crate) fn resource(one: &Held) -> &str {
    one.bucket.split(':').next().unwrap_or_default()
}
