//! What is not there, or may not be read, ends the process with what to do about it.

use serde_json::json;
use syncagent::Exit;
use syncagent_core::access::program::{cluster_rules, export_rules, slice_rules};
use syncagent_core::cli::flags::Flags;

use super::Site;
use crate::published::definition;
use crate::stage::{EXPORT, install, play};
use crate::world::{User, created, eventually};

const EXPORTS: &str = "/apis/apis.kcp.io/v1alpha2/apiexports";
const SLICES: &str = "/apis/apis.kcp.io/v1alpha1/apiexportendpointslices";

fn told(exit: &Exit) -> String {
    assert!(!exit.is_stopped(), "{exit}");
    exit.to_string()
}

#[test]
fn a_slice_that_is_not_there_is_not_waited_for() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        site.0.grant(&[], &slice_rules("other")).await;
        let exit = site.start(Flags {
            apiexportendpointslice_ref: Some("other".into()),
            ..site.flags()
        });
        let told = told(&exit.end.await.unwrap());
        assert!(
            told.contains("the APIExportEndpointSlice other in the workspace"),
            "{told}"
        );
        assert!(told.contains("--apiexportendpointslice-ref"), "{told}");
    });
}

#[test]
fn an_address_without_a_workspace_is_refused() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let url = "https://kcp.example.com:6443";
        let exit = site.start_at(site.flags(), site.kcp(), url);
        let told = told(&exit.end.await.unwrap());
        assert!(
            told.contains("does not point to a specific workspace"),
            "{told}"
        );
    });
}

#[test]
fn an_export_that_is_not_there_is_not_waited_for() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let api = &site.0.provider.api;
        let slice = json!({"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice",
            "metadata": {"name": "mine"}, "spec": {"export": {"path": site.0.provider.canonical, "name": EXPORT}}});
        created(api.post(SLICES, &slice).await);
        assert!(
            api.delete(&format!("{EXPORTS}/{EXPORT}"), &json!({}))
                .await
                .unwrap()
                .is_success()
        );
        eventually("the export is gone", || async {
            (api.get(&format!("{EXPORTS}/{EXPORT}")).await.unwrap().code == 404).then_some(())
        })
        .await;
        let rules = [export_rules(EXPORT), slice_rules("mine")].concat();
        site.0.grant(&[], &rules).await;
        let exit = site.start(Flags {
            apiexportendpointslice_ref: Some("mine".into()),
            ..site.flags()
        });
        let told = told(&exit.end.await.unwrap());
        assert!(
            told.contains(&format!("the APIExport {EXPORT} in the workspace")),
            "{told}"
        );
        assert!(told.contains("create it there"), "{told}");
    });
}

#[test]
fn what_may_not_be_read_is_named_with_the_rule_that_is_missing() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let nobody = site.0.world.user(&site.0.world.unique("nobody"));
        let access = site.0.world.kcp_access(&site.0.provider, &nobody);
        let exit = site.start_at(site.flags(), access, &site.url());
        let told = told(&exit.end.await.unwrap());
        assert!(
            told.contains("must be allowed to get, list and watch apiexportendpointslices"),
            "{told}"
        );
    });
}

#[test]
fn credentials_that_are_not_accepted_are_named_with_their_flag() {
    play(|| async {
        let site = Site::new(Vec::new()).await;
        let access = site.0.world.kcp_access(&site.0.provider, &User::unknown());
        let exit = site.start_at(site.flags(), access, &site.url());
        let told = told(&exit.end.await.unwrap());
        assert!(
            told.contains("does not accept the credentials of --kcp-kubeconfig"),
            "{told}"
        );
    });
}

/// The slice has another name than the export, and is in another workspace.
#[test]
fn a_slice_may_be_elsewhere_than_its_export() {
    play(|| async {
        let mut site = Site::new(Vec::new()).await;
        install(&site.0.service, &definition()).await;
        let slices = site.0.world.workspace("slices").await;
        let exports = std::mem::replace(&mut site.0.provider, slices);
        site.0.grant(&cluster_rules(), &slice_rules("mine")).await;
        let slice = json!({"apiVersion": "apis.kcp.io/v1alpha1", "kind": "APIExportEndpointSlice",
            "metadata": {"name": "mine"}, "spec": {"export": {"path": exports.canonical, "name": EXPORT}}});
        created(site.0.provider.api.post(SLICES, &slice).await);
        let mut running = site.start(Flags {
            apiexportendpointslice_ref: Some("mine".into()),
            ..site.flags()
        });
        let path = format!("{EXPORTS}/{EXPORT}");
        let marked = eventually("the agent marks the export, where that is", || async {
            let export = exports.api.get(&path).await.unwrap().body;
            let name = &export["metadata"]["annotations"]["syncagent.kcp.io/agent-name"];
            (*name == site.agent()).then_some(())
        });
        running.beside(marked).await;
        assert!(running.stopped().await.is_stopped());
    });
}
