//! Which virtual workspaces exist for our export.
//!
//! kcp lists them in `APIExportEndpointSlice` objects of the provider's workspace, one URL per shard that has a binding.
//! No URL means "no consumers yet". A URL that goes away takes its watches with it and nothing else: the last binding is
//! gone, or a shard moved; neither is a reason to delete anybody's database.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tokio::sync::{mpsc, watch};

use super::clients::Server;
use super::watch::{self as stream, Event, Target};

/// Where kcp lists the endpoints.
const SLICES: &str = "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices";

/// Follows the slices of one export, telling every change of the set of URLs; `None` is "not known yet".
pub async fn follow(
    provider: Server,
    export: String,
    urls: watch::Sender<Option<BTreeSet<String>>>,
) {
    let (tx, mut rx) = mpsc::channel(64);
    let watching = tokio::spawn(stream::watch(Target::all(provider, SLICES), tx));
    let _stop = super::AbortOnDrop(watching);
    let mut slices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut fresh: Option<BTreeMap<String, BTreeSet<String>>> = None;
    while let Some(event) = rx.recv().await {
        match event {
            Event::Listing => fresh = Some(BTreeMap::new()),
            Event::There(slice) => {
                let name = slice["metadata"]["name"].as_str().unwrap_or_default();
                fresh
                    .as_mut()
                    .unwrap_or(&mut slices)
                    .insert(name.to_owned(), endpoints(&slice, &export));
            }
            Event::Listed => slices = fresh.take().unwrap_or_default(),
            Event::Left(slice) => {
                slices.remove(slice["metadata"]["name"].as_str().unwrap_or_default());
            }
            Event::Trouble(_) => {}
        }
        if fresh.is_none() {
            let now: BTreeSet<String> = slices.values().flatten().cloned().collect();
            urls.send_if_modified(|known| {
                let changed = known.as_ref() != Some(&now);
                *known = Some(now);
                changed
            });
        }
    }
}

/// The URLs of a slice that lead to this export of this workspace.
fn endpoints(slice: &Value, export: &str) -> BTreeSet<String> {
    if slice["spec"]["export"]["name"].as_str() != Some(export) {
        return BTreeSet::new();
    }
    // A slice may lie in another workspace than its export. The URL names the export's own.
    let home = slice["metadata"]["annotations"]["kcp.io/cluster"].as_str();
    slice["status"]["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|endpoint| endpoint["url"].as_str())
        .map(|url| url.trim_end_matches('/'))
        .filter(|url| match home {
            Some(home) => url.ends_with(&format!("/services/apiexport/{home}/{export}")),
            None => true,
        })
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn slice(export: &str, urls: &[&str]) -> Value {
        let endpoints: Vec<_> = urls.iter().map(|url| json!({"url": url})).collect();
        json!({
            "metadata": {"name": "s", "annotations": {"kcp.io/cluster": "1abc"}},
            "spec": {"export": {"path": "root:providers", "name": export}},
            "status": {"endpoints": endpoints},
        })
    }

    #[test]
    fn only_urls_of_our_own_export_count() {
        let ours = "https://kcp:6443/services/apiexport/1abc/pg";
        let theirs = "https://kcp:6443/services/apiexport/2xyz/pg";
        assert_eq!(
            endpoints(&slice("pg", &[ours, theirs]), "pg"),
            BTreeSet::from([ours.to_owned()])
        );
        assert!(endpoints(&slice("other", &[ours]), "pg").is_empty());
    }

    #[test]
    fn a_slice_without_status_has_no_endpoints() {
        let mut slice = slice("pg", &[]);
        slice.as_object_mut().unwrap().remove("status");
        assert!(endpoints(&slice, "pg").is_empty());
    }
}
