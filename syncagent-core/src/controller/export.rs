//! The export, filled with what is published.
//!
//! The provider creates an `APIExport`, usually with an empty spec; the agent waits for it and fills in its resources and
//! permission claims. Entries of others stay as they are and where they are: an export may offer more than we publish.
//!
//! *Expected flow*: watch the export; publish the schemas; patch what differs, guarded by the resourceVersion. Our own
//! write comes back as an event that differs in nothing.
//!
//! *Guarantees*: a schema exists before the export names it. An export that somebody changes is set right. A lost race is
//! settled by the event that the winner's write causes.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::schema;
use crate::error::{Error, ErrorKind};
use crate::io::AbortOnDrop;
use crate::io::announce::{Announcer, Notice};
use crate::io::clients::{MERGE_PATCH, Server, escape};
use crate::io::watch::{Event, Target, watch};

const EXPORTS: &str = "/apis/apis.kcp.io/v1alpha2/apiexports";

/// What an agent wants an export to offer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Offering {
    /// The `APIResourceSchema` objects.
    pub schemas: Vec<Value>,
    /// The permission claims, as in `spec.permissionClaims`.
    pub claims: Vec<Value>,
}

impl Offering {
    /// The entries of `spec.resources`.
    fn resources(&self) -> Vec<Value> {
        self.schemas
            .iter()
            .map(|schema| {
                json!({
                    "group": schema["spec"]["group"],
                    "name": schema["spec"]["names"]["plural"],
                    "schema": schema["metadata"]["name"],
                    "storage": {"crd": {}},
                })
            })
            .collect()
    }

    fn names(&self) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        self.resources()
            .iter()
            .map(|r| format!("{}.{}", text(&r["name"]), text(&r["group"])))
            .collect()
    }
}

/// The merge patch that makes an export offer what it should; `None` when it does.
#[must_use]
pub fn fill(export: &Value, offering: &Offering) -> Option<Value> {
    let resources = merged(
        &export["spec"]["resources"],
        offering.resources(),
        ["group", "name"],
        |have, want| have["schema"] == want["schema"],
        |have, want| have["schema"] = want["schema"].clone(),
    );
    let claims = merged(
        &export["spec"]["permissionClaims"],
        offering.claims.clone(),
        ["group", "resource"],
        |have, want| have["verbs"] == want["verbs"],
        |have, want| have["verbs"] = want["verbs"].clone(),
    );
    let mut spec = serde_json::Map::new();
    if let Some(resources) = resources {
        spec.insert("resources".into(), resources);
    }
    if let Some(claims) = claims {
        spec.insert("permissionClaims".into(), claims);
    }
    if spec.is_empty() {
        return None;
    }
    Some(json!({
        "metadata": {"resourceVersion": export["metadata"]["resourceVersion"]},
        "spec": spec,
    }))
}

/// A list-map with our entries in it and everybody else's left alone; `None` when nothing changes.
fn merged(
    list: &Value,
    ours: Vec<Value>,
    key: [&str; 2],
    same: impl Fn(&Value, &Value) -> bool,
    set: impl Fn(&mut Value, &Value),
) -> Option<Value> {
    let text = |entry: &Value| key.map(|k| entry[k].as_str().unwrap_or_default().to_owned());
    let mut list = list.as_array().cloned().unwrap_or_default();
    let mut changed = false;
    for want in ours {
        match list.iter_mut().find(|have| text(have) == text(&want)) {
            None => {
                list.push(want);
                changed = true;
            }
            Some(have) if !same(have, &want) => {
                set(have, &want);
                changed = true;
            }
            Some(_) => {}
        }
    }
    changed.then_some(Value::Array(list))
}

/// Keeps the export filled, for ever.
pub(crate) async fn keep(
    provider: Server,
    export: String,
    offering: Offering,
    announcer: Announcer,
) {
    let (tx, mut rx) = mpsc::channel(16);
    let target = Target::all(provider.clone(), EXPORTS).named(&export);
    let _watch = AbortOnDrop(tokio::spawn(watch(target, tx)));
    let mut published = BTreeSet::new();
    let mut latest: Option<Value> = None;
    let mut pause = std::time::Duration::from_millis(200);
    let mut told = false;
    let mut troubled = false;
    loop {
        let event = match &latest {
            // The last attempt failed: again, unless something new is heard first.
            Some(_) => match tokio::time::timeout(pause, rx.recv()).await {
                Ok(event) => event,
                Err(_) => Some(Event::There(latest.take().unwrap_or_default())),
            },
            None => rx.recv().await,
        };
        let Some(event) = event else { return };
        match event {
            Event::There(object) => {
                told = true;
                match attempt(
                    &provider,
                    &export,
                    &object,
                    &offering,
                    &mut published,
                    &announcer,
                )
                .await
                {
                    Ok(()) => {
                        latest = None;
                        pause = std::time::Duration::from_millis(200);
                    }
                    // Somebody was faster: their write comes as an event.
                    Err(error) if error.kind() == ErrorKind::Conflict => latest = None,
                    Err(error) => {
                        announcer.tell(&Notice::Problem {
                            order: None,
                            what: format!("could not fill the export {export}: {}", error.chain()),
                        });
                        pause = (pause * 2).min(std::time::Duration::from_secs(10));
                        latest = Some(object);
                    }
                }
            }
            Event::Listed if !told => {
                told = true;
                announcer.tell(&Notice::ExportAwaited {
                    export: export.clone(),
                });
            }
            Event::Left(_) => {
                latest = None;
                announcer.tell(&Notice::ExportAwaited {
                    export: export.clone(),
                });
            }
            Event::Trouble(what) => {
                if !std::mem::replace(&mut troubled, true) {
                    announcer.tell(&Notice::Problem { order: None, what });
                }
                continue;
            }
            Event::Listing | Event::Listed => {}
        }
        troubled = false;
    }
}

/// Says what would be done to the export.
pub(crate) async fn preview(
    provider: &Server,
    export: &str,
    offering: &Offering,
    announcer: &Announcer,
) {
    let path = format!("{EXPORTS}/{}", escape(export));
    let object = match provider.get(&path).await {
        Ok(reply) if reply.is_success() => reply.body,
        Ok(reply) if reply.code == 404 => {
            announcer.tell(&Notice::ExportAwaited {
                export: export.to_owned(),
            });
            return;
        }
        Ok(reply) => {
            let what = provider.refused(&format!("GET {path}"), &reply).chain();
            announcer.tell(&Notice::Problem { order: None, what });
            return;
        }
        Err(error) => {
            let what = error.chain();
            announcer.tell(&Notice::Problem { order: None, what });
            return;
        }
    };
    let schemas = offering.schemas.iter();
    let change = fill(&object, offering).map(|_| {
        schemas
            .filter_map(|it| it["metadata"]["name"].as_str())
            .map(str::to_owned)
            .collect()
    });
    announcer.tell(&Notice::ExportPlanned {
        export: export.to_owned(),
        schemas: change,
    });
}

async fn attempt(
    provider: &Server,
    export: &str,
    object: &Value,
    offering: &Offering,
    published: &mut BTreeSet<String>,
    announcer: &Announcer,
) -> Result<(), Error> {
    let patch = fill(object, offering);
    if patch.is_some() {
        for schema in &offering.schemas {
            let name = schema["metadata"]["name"].as_str().unwrap_or_default();
            if !published.contains(name) {
                schema::ensure(provider, schema, announcer).await?;
                published.insert(name.to_owned());
            }
        }
    }
    let Some(patch) = patch else { return Ok(()) };
    let path = format!("{EXPORTS}/{}", escape(export));
    let reply = provider.patch(&path, MERGE_PATCH, &patch).await?;
    if !reply.is_success() {
        return Err(provider.refused(&format!("PATCH {path}"), &reply));
    }
    announcer.tell(&Notice::ExportFilled {
        export: export.to_owned(),
        resources: offering.names(),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offering() -> Offering {
        Offering {
            schemas: vec![json!({
                "metadata": {"name": "v1-abc.things.example.io"},
                "spec": {"group": "example.io", "names": {"plural": "things"}},
            })],
            claims: vec![json!({"group": "", "resource": "secrets", "verbs": ["*"]})],
        }
    }

    /// What a merge patch does to two fields of a spec.
    fn patched(mut export: Value, patch: &Value) -> Value {
        for key in ["resources", "permissionClaims"] {
            if let Some(list) = patch["spec"].get(key) {
                export["spec"][key] = list.clone();
            }
        }
        export
    }

    #[test]
    fn a_placeholder_is_filled_once() {
        let export = json!({"metadata": {"resourceVersion": "7"}, "spec": {}});
        let patch = fill(&export, &offering()).unwrap();
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        let export = patched(export, &patch);
        assert_eq!(
            export["spec"]["resources"][0],
            json!({"group": "example.io", "name": "things", "schema": "v1-abc.things.example.io",
                "storage": {"crd": {}}})
        );
        assert_eq!(fill(&export, &offering()), None);
    }

    #[test]
    fn foreign_entries_stay_as_they_are() {
        let other = json!({"group": "other.io", "name": "things", "schema": "v9.things.other.io", "storage": {"crd": {}}});
        let old = json!({"group": "example.io", "name": "things", "schema": "v0-old.things.example.io", "storage": {"crd": {}}});
        let maps = json!({"resource": "configmaps", "verbs": ["get"], "defaultSelector": {"matchAll": true}});
        let export = json!({"metadata": {}, "spec": {"resources": [old, other], "permissionClaims": [maps]}});
        let export = patched(export.clone(), &fill(&export, &offering()).unwrap());
        assert_eq!(
            export["spec"]["resources"][0]["schema"],
            "v1-abc.things.example.io"
        );
        assert_eq!(export["spec"]["resources"][1], other);
        assert_eq!(export["spec"]["permissionClaims"][0], maps);
        assert_eq!(export["spec"]["permissionClaims"][1]["resource"], "secrets");
        assert_eq!(fill(&export, &offering()), None);
    }
}
