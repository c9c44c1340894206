//! The operator of things, played here: it says of each copy what it made of it.

use std::time::Duration;

use futures::StreamExt as _;
use kube::core::WatchEvent;
use serde_json::{Value, json};

use crate::place::Place;
use crate::{Trouble, things};

/// What the operator says of a thing of this size.
pub(crate) fn phase(size: &Value) -> String {
    format!("made {size}")
}

/// Works until the task is ended; servers may be away meanwhile.
pub(crate) async fn operate(service: Place) {
    loop {
        // Whatever it was, everything is looked at again.
        let _ = tend(&service).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn tend(service: &Place) -> Result<(), Trouble> {
    let kind = things::kind("Thing");
    let events = service.watch(&things::collection(&kind)).await?;
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        let (WatchEvent::Added(copy) | WatchEvent::Modified(copy)) = event? else {
            continue;
        };
        let (meta, phase) = (&copy["metadata"], phase(&copy["spec"]["size"]));
        if copy["status"]["phase"] == *phase || meta["deletionTimestamp"].is_string() {
            continue;
        }
        let word = |at: &str| meta[at].as_str().unwrap_or_default();
        let path = things::path(&kind, word("namespace"), word("name"));
        let status = json!({"status": {"phase": phase, "observedGeneration": meta["generation"]}});
        service
            .ask("PATCH", &format!("{path}/status"), Some(&status))
            .await?;
    }
    Ok(())
}
