//! The export itself: what is written to it, and told of that.

use std::collections::BTreeSet;

use serde_json::Value;

use super::memory::Memory;
use super::{Generations, name_of};
use crate::controller::export::{Offering, changes, fill, resource};
use crate::error::Error;
use crate::io::announce::Notice;
use crate::io::clients::{MERGE_PATCH, escape};
use crate::io::events::{About, Said, post};
use crate::object;

impl Generations {
    /// Fills the export, where anything is missing.
    pub(super) async fn patch(&self, export: &Value, offering: &Offering) -> Result<(), Error> {
        if !self.manner.export {
            return Ok(());
        }
        let patch = fill(export, offering);
        if self.dry {
            let names = offering.schemas.iter().map(|it| name_of(it).to_owned());
            self.announcer.tell(&Notice::ExportPlanned {
                export: self.export.clone(),
                schemas: patch.map(|_| names.collect()),
            });
            return Ok(());
        }
        let Some(patch) = patch else {
            return Ok(());
        };
        let version = self.manner.version;
        let path = format!("{}/{}", version.exports(), escape(&self.export));
        let sent = version.write(patch.clone());
        let reply = self.provider.patch(&path, MERGE_PATCH, &sent).await?;
        if !reply.is_success() {
            return Err(self.provider.refused(&format!("PATCH {path}"), &reply));
        }
        self.announcer.tell(&Notice::ExportFilled {
            export: self.export.clone(),
            resources: offering.names(),
        });
        if self.manner.like_go {
            self.events(export, &patch).await;
        }
        Ok(())
    }

    /// Tells of a change of the export on the export.
    async fn events(&self, export: &Value, patch: &Value) {
        let about = About {
            endpoint: None,
            api_version: "apis.kcp.io/v1alpha1".to_owned(),
            kind: "APIExport".to_owned(),
            cluster: String::new(),
            namespace: String::new(),
            name: self.export.clone(),
            uid: object::uid(export).to_owned(),
        };
        let now = self.clock.now().to_string();
        for (reason, what) in changes(export, patch) {
            let warns = reason == "RemovingResourceSchemas";
            let said = Said::new(warns, reason, &what.join(", "));
            post(&self.provider, &about, &said, "syncagent-apiexport", &now).await;
        }
    }

    /// Reports claims that were ours and are not needed any more. They stay: a binding that accepted one may rely on it.
    pub(super) fn unclaimed(&self, memory: &mut Memory, claims: &[Value]) {
        let now: BTreeSet<String> = claims.iter().map(resource).collect();
        let gone: Vec<_> = memory.claimed.difference(&now).cloned().collect();
        if !gone.is_empty() {
            self.announcer.tell(&Notice::Problem {
                order: None,
                what: format!(
                    "the export {} still claims {}, which nothing needs any more; take it out by hand when nobody else does",
                    self.export,
                    gone.join(", ")
                ),
            });
        }
        memory.claimed = now;
    }
}
