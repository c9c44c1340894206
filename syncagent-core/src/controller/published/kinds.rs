//! What servers say about the kinds of related objects.
//!
//! A conversion asks, and is not answered at once: what it asked for is looked up, and then it is done again. What is not
//! served is asked for again later. Workspaces are asked through an endpoint of the export; while there is none, nobody has
//! bound it, and what the service cluster says about a kind of the same name is taken for granted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::Driver;
use crate::compat;
use crate::definition::{Kind, Scope, Side};
use crate::io::clients::{Server, escape};

/// A list of resources: of which side, group and version.
type Asked = (Side, String, String);

/// What is known about kinds.
#[derive(Debug, Default)]
pub(super) struct Kinds {
    /// The resource lists that were asked for; `None`: there is none.
    lists: BTreeMap<Asked, Option<Value>>,
    /// What a conversion asked for and nobody looked up yet.
    open: Mutex<BTreeSet<Asked>>,
}

impl compat::Kinds for Kinds {
    fn kind(&self, side: Side, group: &str, version: &str, resource: &str) -> Option<Kind> {
        let asked = (side, group.to_owned(), version.to_owned());
        let Some(list) = self.lists.get(&asked) else {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.insert(asked);
            return None;
        };
        let mut entries = list.as_ref()?["resources"].as_array()?.iter();
        let entry = entries.find(|it| it["name"] == resource)?;
        Some(Kind {
            group: group.to_owned(),
            version: version.to_owned(),
            kind: entry["kind"].as_str()?.to_owned(),
            plural: resource.to_owned(),
            scope: match entry["namespaced"] == true {
                true => Scope::Namespaced,
                false => Scope::Cluster,
            },
        })
    }
}

impl Kinds {
    /// Looks up what was asked for; says whether anything was.
    pub(super) async fn answer(&mut self, driver: &Driver) -> bool {
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner);
        let open = std::mem::take(open);
        let any = !open.is_empty();
        for (side, group, version) in open {
            let server = match side {
                Side::Service => driver.service.clone(),
                Side::Workspace => match endpoint(driver).await {
                    Some(server) => server,
                    None => driver.service.clone(),
                },
            };
            let path = match group.as_str() {
                "" => format!("/api/{}", escape(&version)),
                group => format!("/apis/{}/{}", escape(group), escape(&version)),
            };
            let reply = server.get(&path).await.ok();
            let list = reply.filter(|it| it.is_success()).map(|it| it.body);
            self.lists.insert((side, group, version), list);
        }
        any
    }

    /// What was not there is asked for again, and so is what did not have everything.
    pub(super) fn forget_missing(&mut self) {
        self.lists.clear();
    }
}

/// All workspaces of an endpoint; `None`: there is no endpoint.
async fn endpoint(driver: &Driver) -> Option<Server> {
    let path = format!(
        "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices/{}",
        escape(&driver.slice)
    );
    let slice = driver.slices.get(&path).await.ok()?.body;
    let url = slice["status"]["endpoints"][0]["url"].as_str()?;
    let server = driver.access.endpoint(url, &driver.user_agent).ok()?;
    Some(server.everywhere())
}
