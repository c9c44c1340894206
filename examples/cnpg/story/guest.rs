//! The story on servers that somebody has: what is there is used, and nothing else is there when it is over.

use std::collections::BTreeSet;
use std::path::Path;

use kube::ResourceExt as _;
use kube::api::ListParams;
use serde_json::json;
use syncagent::Agent;
use syncagent_embedded::Server;

use super::args::{Given, Way};
use super::home::Home;
use super::rehearsal::Rehearsal;
use super::stage::Stage;
use super::wait::{self, kind, objects};
use super::{Trouble, play, staged};
use crate::{Cluster, Database};

/// The kinds of which the story, the agent or the operator makes objects.
const KINDS: [(&str, &str); 9] = [
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("apps/v1", "Deployment"),
    ("v1", "Namespace"),
    ("v1", "Secret"),
    ("v1", "Service"),
    ("v1", "ServiceAccount"),
    ("postgresql.cnpg.io/v1", "Cluster"),
];

/// Everything on the service cluster.
async fn inventory(all: &Rehearsal) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (version, of) in KINDS {
        let api = objects(&all.client, &kind(version, of), "");
        // A kind that is not served has no objects.
        let list = api.list(&ListParams::default()).await;
        for object in list.into_iter().flatten() {
            let namespace = object.namespace().unwrap_or_default();
            found.insert(format!("{of} {namespace}/{}", object.name_any()));
        }
    }
    found
}

/// As CloudNativePG's manifests install it: the CRDs are there, and something acts on them.
async fn install_cnpg(all: &Rehearsal) {
    let labels = json!({ "app.kubernetes.io/name": "cloudnative-pg" });
    let pod = json!({ "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "manager", "image": "cnpg" }] } });
    for object in [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "cnpg-system" } }),
        json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "cnpg-controller-manager", "namespace": "cnpg-system", "labels": labels },
            "spec": { "selector": { "matchLabels": labels }, "template": pod } }),
    ] {
        let made = wait::create_json(&all.client, object).await;
        made.unwrap_or_else(|trouble| panic!("{trouble}"));
    }
}

/// Tells the story there, until it ends or is interrupted.
async fn told(
    all: &Rehearsal,
    way: Way,
    kcp: Option<&Path>,
    interrupted: impl Future<Output = ()>,
) -> Result<Option<String>, Trouble> {
    let mut home = Home::make()?;
    let narrator = all.narrator.clone();
    let given = Given {
        kcp: kcp.map(Path::to_owned),
        service: Some(all.admin.clone()),
    };
    let agent = Agent::new("postgresql.cnpg.io");
    let agent = agent.publish::<Cluster>().publish::<Database>();
    let agent = (way == Way::Derived).then_some(agent);
    let outcome = match Stage::open(&narrator, &home, &given).await {
        Ok(stage) => {
            let play = play(
                &narrator,
                agent,
                &mut home,
                &all.installation,
                false,
                &stage,
            );
            staged(&narrator, play, &stage, interrupted).await
        }
        Err(trouble) => Err(trouble),
    };
    assert!(
        !home.dir().join("operator.log").exists(),
        "no stand-in is started"
    );
    home.leave().await;
    outcome
}

/// Waits until exactly this is on the service cluster: namespaces take a moment to go.
async fn left(all: &Rehearsal, before: &BTreeSet<String>) {
    let same = wait::until_done(&all.narrator, "what was there before", async || {
        let now = inventory(all).await;
        let differ: Vec<_> = now.symmetric_difference(before).collect();
        match differ.is_empty() {
            true => Ok(()),
            false => Err(format!("{differ:?}")),
        }
    });
    same.await.unwrap_or_else(|trouble| panic!("{trouble}"));
}

#[tokio::test]
async fn a_cloudnativepg_that_is_there_is_used_and_stays() {
    let all = Rehearsal::set().await;
    install_cnpg(&all).await;
    let before = inventory(&all).await;
    for way in [Way::Derived, Way::NoCode] {
        let end = told(&all, way, None, std::future::pending()).await;
        let summary = end.unwrap_or_else(|trouble| panic!("{trouble}"));
        let summary = summary.expect("nobody interrupts");
        assert!(summary.contains("a given service cluster"), "{summary}");
        left(&all, &before).await;
    }
    all.leave().await;
}

/// As CloudNativePG is where nobody asked for load balancers.
#[tokio::test]
async fn without_a_load_balancer_it_is_told_how_databases_are_reached() {
    let all = Rehearsal::with(false).await;
    install_cnpg(&all).await;
    let before = inventory(&all).await;
    for (way, says) in [
        (Way::Derived, "Secret kcp-connection says kcp-rw."),
        (Way::NoCode, "tells consumer 1 the address kcp-rw."),
    ] {
        all.narrator.printed();
        let end = told(&all, way, None, std::future::pending()).await;
        let summary = end.unwrap_or_else(|trouble| panic!("{trouble}"));
        let summary = summary.expect("nobody interrupts");
        assert!(summary.contains("no load balancer"), "{summary}");
        let printed = all.narrator.printed();
        for words in [
            says,
            ".svc:5432 leads there inside the service cluster only",
            "port-forward service/kcp-rw 15432:5432",
            "psql -h 127.0.0.1 -p 15432 -U postgres -d one",
        ] {
            assert!(
                printed.iter().any(|it| it.contains(words)),
                "{words}: {printed:#?}"
            );
        }
        left(&all, &before).await;
    }
    all.leave().await;
}

#[tokio::test]
async fn crds_that_nobody_acts_on_are_told_of_and_left_alone() {
    let all = Rehearsal::set().await;
    let before = inventory(&all).await;
    let Err(trouble) = told(&all, Way::Derived, None, std::future::pending()).await else {
        panic!("there is no operator");
    };
    let told = trouble.to_string();
    for word in [
        "clusters.postgresql.cnpg.io",
        "app.kubernetes.io/name=cloudnative-pg",
        "install CloudNativePG's operator",
    ] {
        assert!(told.contains(word), "{told}");
    }
    assert_eq!(inventory(&all).await, before);
    all.leave().await;
}

/// The orders are there, and the databases come up, when somebody interrupts.
#[tokio::test]
async fn a_story_that_is_interrupted_leaves_nothing_on_either_server() {
    let all = Rehearsal::set().await;
    install_cnpg(&all).await;
    let kcp = Server::kcp().build();
    let listening = kcp.listen(([127, 0, 0, 1], 0).into()).await;
    let listening = listening.expect("loopback is free");
    let text = listening.kubeconfig_at(&kcp.kcp_admin(), "/clusters/root");
    let file = all.home.kubeconfig("kcp", &text);
    let file = file.expect("it can be written");
    let client = wait::client(&text).await.expect("a client");
    let before = inventory(&all).await;
    let ordered = async {
        let copies = objects(&all.client, &kind("postgresql.cnpg.io/v1", "Cluster"), "");
        let two = wait::until_done(&all.narrator, "two copies", async || {
            match copies.list(&ListParams::default()).await {
                Ok(found) if found.items.len() == 2 => Ok(()),
                other => Err(format!("{other:?}")),
            }
        });
        two.await.unwrap_or_else(|trouble| panic!("{trouble}"));
    };
    let end = told(&all, Way::Derived, Some(&file), ordered).await;
    let end = end.unwrap_or_else(|trouble| panic!("{trouble}"));
    assert_eq!(end, None);
    left(&all, &before).await;
    let workspaces = objects(&client, &kind("tenancy.kcp.io/v1alpha1", "Workspace"), "");
    let none = wait::until_done(
        &all.narrator,
        "the workspace to go",
        async || match workspaces.list(&ListParams::default()).await {
            Ok(found) if found.items.is_empty() => Ok(()),
            other => Err(format!("{other:?}")),
        },
    );
    none.await.unwrap_or_else(|trouble| panic!("{trouble}"));
    all.leave().await;
}
