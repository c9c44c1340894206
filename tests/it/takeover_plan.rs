//! What `syncagent plan` says before a whole installation of the Go agent is taken over, and that this is what happens then.

use serde_json::{Value, json};
use syncagent::Notice;
use syncagent_core::cli::flags::Flags;
use syncagent_core::related::base64;

use crate::program::Site;
use crate::stage::{EXPORT, Stage, gone, play, there};
use crate::takeover::written;
use crate::takeover_whole::{flags, installation, related, rest, works};
use crate::things;
use crate::world::{change, eventually};

const OLD: &str = "/apis/apis.kcp.io/v1alpha1/apiexports";
const NEW: &str = "/apis/apis.kcp.io/v1alpha2/apiexports";

/// What is planned for the export and for orders, one line each; nothing is written meanwhile.
async fn planned(site: &Site) -> Vec<String> {
    let stage = &site.0;
    stage.notices.lock().unwrap().clear();
    stage.forget();
    let looking = Flags {
        dry_run: Some(true),
        enable_leader_election: Some(false),
        ..flags(site)
    };
    let exit = site.process(looking).run().await;
    assert!(exit.is_stopped(), "{exit}");
    assert_eq!(written(stage), [""; 0]);
    let notices = stage.notices.lock().unwrap();
    let planned = notices.iter().filter(|it| {
        matches!(
            it,
            Notice::Planned { .. }
                | Notice::SchemaMarkPlanned { .. }
                | Notice::StatusPlanned { .. }
                | Notice::ExportPlanned {
                    schemas: Some(_),
                    ..
                }
        )
    });
    let mut lines: Vec<String> = planned.map(ToString::to_string).collect();
    lines.sort();
    lines
}

/// The export's claims as they are read in the newer version.
async fn claims(stage: &Stage) -> Vec<Value> {
    let claims = stage.exported().await["spec"]["permissionClaims"].clone();
    claims.as_array().cloned().unwrap_or_default()
}

/// Gives the claim on a resource these verbs, in the newer version.
async fn allow(stage: &Stage, resource: &str, verbs: &[&str]) {
    let mut all = claims(stage).await;
    let claim = all.iter_mut().find(|it| it["resource"] == resource);
    claim.unwrap()["verbs"] = json!(verbs);
    let patch = json!({"spec": {"permissionClaims": all}});
    change(&stage.provider.api, &format!("{NEW}/{EXPORT}"), &patch).await;
}

#[test]
fn s3_4_claims_in_both_versions_side_by_side_need_no_write() {
    play(|| async {
        let kinds = [things::kind("Thing"), things::core("Secret")];
        let (site, _) = installation(related(), &kinds).await;
        let stage = &site.0;
        // Claims by name are said in the older version only, verbs in the newer one only.
        let old = stage.provider.api.get(&format!("{OLD}/{EXPORT}")).await;
        let mut all = old.unwrap().body["spec"]["permissionClaims"].clone();
        let named = json!({"group": "", "resource": "configmaps",
            "resourceSelector": [{"name": "a", "namespace": "default"}]});
        all.as_array_mut().unwrap().push(named);
        let patch = json!({"spec": {"permissionClaims": all}});
        change(&stage.provider.api, &format!("{OLD}/{EXPORT}"), &patch).await;
        let verbs = [
            "get", "list", "watch", "create", "update", "patch", "delete",
        ];
        allow(stage, "namespaces", &verbs).await;
        let before = stage.exported().await;
        assert_eq!(claims(stage).await.len(), 4, "{before}");
        assert_eq!(planned(&site).await, [""; 0]);
        assert_eq!(stage.exported().await, before);

        // One that allows too little is the one thing that is planned, and done.
        allow(stage, "secrets", &["get"]).await;
        let lines = planned(&site).await;
        assert_eq!(lines.len(), 1, "{lines:#?}");
        let fill = format!("would fill the export {EXPORT} with v");
        assert!(lines[0].starts_with(&fill), "{lines:#?}");
        let running = site.start(flags(&site));
        eventually("the claim is enough", || async {
            let claims = claims(stage).await;
            let secrets = claims.iter().find(|it| it["resource"] == "secrets")?;
            (secrets["verbs"] == json!(["*"])).then_some(())
        })
        .await;
        rest(stage).await;
        // What others wrote is as it was, in the words of both.
        let after = stage.exported().await;
        let annotations = |it: &Value| it["metadata"]["annotations"].clone();
        assert_eq!(annotations(&after), annotations(&before));
        assert_eq!(after["spec"], before["spec"]);
        assert!(running.stopped().await.is_stopped());
    });
}

#[test]
fn s13_1_what_is_planned_over_related_objects_is_what_happens() {
    play(|| async {
        let (thing, secrets) = (things::kind("Thing"), things::core("Secret"));
        let (site, consumer) = installation(related(), &[thing.clone(), secrets.clone()]).await;
        let (stage, cluster) = (&site.0, consumer.cluster.as_str());
        assert_eq!(planned(&site).await, [""; 0]);

        // While nobody looks: an order, an original that goes down, one that comes up, and a deletion.
        let fresh = json!({"data": {"password": base64(b"fresh")}});
        let order = things::path(&thing, "default", "o0");
        change(&consumer.api, &order, &json!({"spec": {"size": 2}})).await;
        let down = things::path(&secrets, "default", "o1-pw");
        change(&consumer.api, &down, &fresh).await;
        let up = things::path(&secrets, cluster, "o2-creds");
        change(&stage.service, &up, &fresh).await;
        consumer.delete(&thing, "o3").await;

        let lines = planned(&site).await;
        assert_eq!(lines.len(), 4, "{lines:#?}");
        let wanted = [
            format!("refresh service: things.example.io {cluster}/o0"),
            format!("service: secrets {cluster}/o1-pw"),
            format!("workspace {cluster}: secrets default/o2-creds"),
            format!("retire service: things.example.io {cluster}/o3"),
        ];
        for (line, wanted) in lines.iter().zip(wanted) {
            let wanted = wanted.replace("things.example.io", &things::named("Thing"));
            assert!(line.contains(&wanted), "`{wanted}` is not in {line}");
        }

        stage.forget();
        let running = site.start(flags(&site));
        works(&site).await;
        gone(&consumer.api, &thing, "default", "o3").await;
        there(&stage.service, &secrets, cluster, "o1-pw", |it| {
            it["data"] == fresh["data"]
        })
        .await;
        rest(stage).await;
        let mut wrote = written(stage);
        wrote.retain(|it| !it.contains(" leases ") && !it.contains("create events"));
        wrote.sort();
        if stage.counts() {
            let wanted = [
                "kcp patch secrets o2-creds",
                "kcp patch secrets o3-pw",
                "kcp patch things o3",
                "service delete secrets o3-pw",
                "service delete things o3",
                "service patch secrets o1-pw",
                "service patch things o0",
            ];
            assert_eq!(wrote, wanted);
        }
        assert!(running.stopped().await.is_stopped());
    });
}
