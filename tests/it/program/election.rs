//! The Lease decides who works: with another of ours, and with the Go agent, whose part is played here.

use std::time::Duration;

use serde_json::{Value, json};
use syncagent_core::cli::flags::Flags;

use super::Site;
use crate::stage::play;
use crate::world::{change, created, eventually};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";

fn elected(site: &Site) -> Flags {
    Flags {
        enable_leader_election: Some(true),
        ..site.flags()
    }
}

fn lease(site: &Site) -> String {
    format!("{LEASES}/syncagent.{}", site.agent())
}

async fn spec(site: &Site) -> Value {
    let reply = site.0.service.get(&lease(site)).await;
    reply.unwrap().body["spec"].clone()
}

async fn held(site: &Site, right: impl Fn(&str) -> bool) -> String {
    eventually("the Lease is held", || async {
        let spec = spec(site).await;
        let holder = spec["holderIdentity"].as_str()?;
        right(holder).then(|| holder.to_owned())
    })
    .await
}

#[test]
fn the_second_waits_until_the_first_gives_the_lease_back() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let first = site.start(elected(&site));
        let holder = held(&site, |it| it.contains('_')).await;
        let second = site.start(elected(&site));
        // Longer than the Lease lasts.
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(spec(&site).await["holderIdentity"], holder.as_str());
        assert_eq!(spec(&site).await["leaseDurationSeconds"], 15);
        assert!(first.stopped().await.is_stopped());
        let next = held(&site, |it| it.contains('_') && it != holder).await;
        assert_ne!(next, holder);
        assert_eq!(spec(&site).await["leaseTransitions"], 1);
        assert!(second.stopped().await.is_stopped());
        assert_eq!(spec(&site).await["holderIdentity"], "");
        assert_eq!(spec(&site).await["leaseDurationSeconds"], 1);
    });
}

/// A Lease as client-go writes it.
fn of_go(site: &Site) -> Value {
    json!({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": format!("syncagent.{}", site.agent())},
        "spec": {"holderIdentity": "api-syncagent-0_5c1a", "leaseDurationSeconds": 15, "leaseTransitions": 4,
            "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"}})
}

#[test]
fn a_lease_of_the_go_agent_is_taken_when_it_runs_out_and_not_before() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        created(site.0.service.post(LEASES, &of_go(&site)).await);
        let ours = site.start(elected(&site));
        // Its clock is far behind ours; it counts that it renews.
        for second in 10..22 {
            tokio::time::sleep(Duration::from_secs(2)).await;
            let renewed = format!("2026-01-01T00:00:{second}.000000Z");
            let now = change(
                &site.0.service,
                &lease(&site),
                &json!({"spec": {"renewTime": renewed}}),
            )
            .await;
            assert_eq!(now["spec"]["holderIdentity"], "api-syncagent-0_5c1a");
        }
        held(&site, |it| it != "api-syncagent-0_5c1a").await;
        let spec = spec(&site).await;
        assert_eq!(spec["leaseTransitions"], 5);
        assert_ne!(spec["acquireTime"], "2026-01-01T00:00:00.000000Z");
        assert!(ours.stopped().await.is_stopped());
    });
}

#[test]
fn a_lease_that_the_go_agent_gave_back_is_taken_at_once() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let mut free = of_go(&site);
        free["spec"]["holderIdentity"] = "".into();
        free["spec"]["leaseDurationSeconds"] = 1.into();
        created(site.0.service.post(LEASES, &free).await);
        let ours = site.start(elected(&site));
        held(&site, |it| it.contains('_')).await;
        assert!(ours.stopped().await.is_stopped());
    });
}

#[test]
fn who_loses_the_lease_ends_with_an_error() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let ours = site.start(elected(&site));
        held(&site, |it| it.contains('_')).await;
        change(
            &site.0.service,
            &lease(&site),
            &json!({"spec": {"holderIdentity": "somebody"}}),
        )
        .await;
        let exit = ours.end.await.unwrap();
        assert!(!exit.is_stopped());
        assert_eq!(
            exit.to_string(),
            format!(
                "lost the Lease default/syncagent.{}: somebody holds it now",
                site.agent()
            )
        );
        // It is not given back: it is somebody's.
        assert_eq!(spec(&site).await["holderIdentity"], "somebody");
    });
}

#[test]
fn who_cannot_renew_the_lease_ends_with_an_error() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let ours = site.start(elected(&site));
        held(&site, |it| it.contains('_')).await;
        site.forbid(0, "leases").await;
        let exit = ours.end.await.unwrap();
        assert_eq!(
            exit.to_string(),
            format!(
                "lost the Lease default/syncagent.{}: it could not be renewed for 10 seconds",
                site.agent()
            )
        );
    });
}

#[test]
fn who_is_told_to_stop_while_it_waits_leaves_the_lease_alone() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        created(site.0.service.post(LEASES, &of_go(&site)).await);
        let before = spec(&site).await;
        let ours = site.start(elected(&site));
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(ours.stopped().await.is_stopped());
        assert_eq!(spec(&site).await, before);
    });
}
