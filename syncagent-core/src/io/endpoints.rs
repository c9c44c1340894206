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

/// Which slices lead to our export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Slices {
    /// Those of the export's workspace that lead to this export.
    Of(String),
    /// This one, whose URLs all count: who chose it knows which export it leads to.
    Named(String),
}

/// Follows slices, telling every change of the set of URLs; `None` is "not known yet".
pub async fn follow(server: Server, which: Slices, urls: watch::Sender<Option<BTreeSet<String>>>) {
    let (tx, mut rx) = mpsc::channel(64);
    let target = Target::all(server, SLICES);
    let target = match &which {
        // A role may name the one slice.
        Slices::Named(name) => target.named(name),
        Slices::Of(_) => target,
    };
    let watching = tokio::spawn(stream::watch(target, tx));
    let _stop = super::AbortOnDrop(watching);
    let mut slices: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut fresh: Option<BTreeMap<String, BTreeSet<String>>> = None;
    while let Some(event) = rx.recv().await {
        match event {
            Event::Listing(_) => fresh = Some(BTreeMap::new()),
            Event::There(slice) => {
                let name = slice["metadata"]["name"].as_str().unwrap_or_default();
                fresh
                    .as_mut()
                    .unwrap_or(&mut slices)
                    .insert(name.to_owned(), endpoints(&slice, &which));
            }
            Event::Listed => slices = fresh.take().unwrap_or_default(),
            Event::Left(slice) => {
                slices.remove(slice["metadata"]["name"].as_str().unwrap_or_default());
            }
            Event::Restored | Event::Trouble(_) => {}
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

/// The URLs of a slice that lead to our export.
fn endpoints(slice: &Value, which: &Slices) -> BTreeSet<String> {
    let ends = match which {
        Slices::Named(_) => None,
        Slices::Of(export) if slice["spec"]["export"]["name"] != export.as_str() => {
            return BTreeSet::new();
        }
        // A slice may lie in another workspace than its export. The URL names the export's own.
        Slices::Of(export) => crate::object::annotation(slice, "kcp.io/cluster")
            .map(|home| format!("/services/apiexport/{home}/{export}")),
    };
    slice["status"]["endpoints"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|endpoint| endpoint["url"].as_str())
        .map(|url| url.trim_end_matches('/'))
        .filter(|url| ends.as_ref().is_none_or(|end| url.ends_with(end)))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(export: &str) -> Slices {
        Slices::Of(export.to_owned())
    }

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
            endpoints(&slice("pg", &[ours, theirs]), &of("pg")),
            BTreeSet::from([ours.to_owned()])
        );
        assert!(endpoints(&slice("other", &[ours]), &of("pg")).is_empty());
    }

    #[test]
    fn a_slice_that_was_named_leads_wherever_it_leads() {
        let there = "https://kcp:6443/services/apiexport/2xyz/pg";
        let named = Slices::Named("s".into());
        assert_eq!(
            endpoints(&slice("pg", &[there]), &named),
            BTreeSet::from([there.to_owned()])
        );
    }

    #[test]
    fn a_slice_without_status_has_no_endpoints() {
        let mut slice = slice("pg", &[]);
        slice.as_object_mut().unwrap().remove("status");
        assert!(endpoints(&slice, &of("pg")).is_empty());
    }
}
