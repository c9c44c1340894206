//! Keeps the brake and the export in step: a person's word comes from there, and that the brake is on stands there.

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Brake, Change};
use crate::controller::export::Version;
use crate::controller::sync::Shared;
use crate::io::announce::Notice;
use crate::io::clients::{MERGE_PATCH, Server, escape};
use crate::names;

/// How soon the export is written again when that failed.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(5);

/// Follows what is seen of the export, and the brake, for ever.
pub(crate) async fn keep(
    shared: &Shared,
    provider: &Server,
    export: (Version, &str),
    mut seen: watch::Receiver<Option<Value>>,
) {
    let brake = &shared.brake;
    let (version, export) = export;
    let path = format!("{}/{}", version.exports(), escape(export));
    // What the export says, as far as it was seen.
    let mut said: Option<Option<String>> = None;
    let mut was_on = false;
    let mut failed = false;
    loop {
        let pause = async {
            match failed {
                true => tokio::time::sleep(AGAIN).await,
                false => std::future::pending().await,
            }
        };
        let change = tokio::select! {
            changed = seen.changed() => {
                if changed.is_err() {
                    return;
                }
                let Some(object) = seen.borrow_and_update().clone() else {
                    continue;
                };
                let text = crate::object::annotation(&object, names::PAUSED);
                said = Some(text.map(str::to_owned));
                let now = brake.now();
                brake.pedal().heed(&object, now)
            }
            () = brake.0.changed.notified() => Change::None,
            () = pause => Change::None,
        };
        let on = brake.on_since();
        if on.is_some() != was_on {
            was_on = on.is_some();
            shared.announcer.tell(&match on {
                Some(_) => paused(brake, export),
                None => Notice::Resumed,
            });
        }
        if on.is_none() || change != Change::None {
            shared.state().resume();
            shared.work.notify_waiters();
        }
        let should = on.map(|since| format!("{since:.0}"));
        failed = match &said {
            Some(said) if (said.is_some() != should.is_some()) => {
                !write(provider, &path, should.as_deref()).await
            }
            _ => false,
        };
    }
}

/// Says on the export whether the brake is on; its event tells whether that arrived.
async fn write(provider: &Server, path: &str, since: Option<&str>) -> bool {
    let since = since.map_or(Value::Null, Value::from);
    let patch = json!({"metadata": {"annotations": {names::PAUSED: since}}});
    let reply = provider.patch(path, MERGE_PATCH, &patch).await;
    reply.is_ok_and(|it| it.is_success())
}

fn paused(brake: &Brake, export: &str) -> Notice {
    let hour = std::time::Duration::from_secs(3600);
    let until = brake.now().checked_add(hour).unwrap_or_default();
    Notice::Paused {
        limit: brake.limit(),
        remedy: format!(
            "kubectl annotate apiexport {export} {}={until:.0} --overwrite",
            names::RETIRE_UNTIL
        ),
    }
}
