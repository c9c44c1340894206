//! The same offer without a line of Rust: two PublishedResources, and the flags of kcp's Go agent.
//!
//! The program is the library's `Process`, which is all that the binary `syncagent` is. It runs in this process, so that
//! the story needs no second build; it gets two kubeconfigs and flags, as the binary would.

use std::path::Path;

use syncagent_core::api::published_resource;
use syncagent_core::cli::{flags::Flags, settings::Settings};
use syncagent_core::runtime::Process;

use super::Trouble;
use super::provider::EXPORT;
use super::say::{Narrator, Who};
use super::wait::{self, condition, documents, kind, objects};

const OFFER: &str = include_str!("../manifests/no-code/published-resources.yaml");
const ACCESS_SERVICE: &str = include_str!("../manifests/no-code/access-service.yaml");
const ACCESS_KCP: &str = include_str!("../manifests/no-code/access-kcp.yaml");

/// Installs what the provider writes on the service cluster.
pub(crate) async fn install(narrator: &Narrator, admin: &kube::Client) -> Result<(), Trouble> {
    for object in documents(ACCESS_SERVICE)? {
        wait::create(admin, &object).await?;
    }
    let crd = wait::create_json(admin, published_resource::crd()).await?;
    let crd = crd.metadata.name.unwrap_or_default();
    let of = kind("apiextensions.k8s.io/v1", "CustomResourceDefinition");
    let crds = objects(admin, &of, "");
    let what = format!("the CRD {crd}");
    wait::until(narrator, &what, &crds, &crd, |crd| {
        match crd.map(|crd| condition(crd, "Established")) {
            Some("True") => Ok(()),
            _ => Err(wait::brief(crd)),
        }
    })
    .await?;
    for object in documents(OFFER)? {
        wait::create(admin, &object).await?;
        let name = object.metadata.name.unwrap_or_default();
        narrator.say(
            Who::Provider,
            &format!("created the PublishedResource {name}"),
        );
    }
    Ok(())
}

/// Lets the program do in the provider's workspace what it must.
pub(crate) async fn grant(client: &kube::Client) -> Result<(), Trouble> {
    for object in documents(ACCESS_KCP)? {
        wait::create(client, &object).await?;
    }
    Ok(())
}

/// The program, told what the walk-through tells it.
pub(crate) fn process(narrator: &Narrator, service: &Path, kcp: &Path) -> Result<Process, Trouble> {
    let flags = Flags {
        kubeconfig: Some(service.display().to_string()),
        kcp_kubeconfig: Some(kcp.display().to_string()),
        namespace: Some("default".into()),
        apiexport_ref: Some(EXPORT.into()),
        // Several stories may be told at once on one machine.
        metrics_address: Some("0".into()),
        ..Flags::default()
    };
    narrator.say(
        Who::Provider,
        &format!(
            "runs syncagent --namespace default --apiexport-ref {EXPORT} --kcp-kubeconfig={} --kubeconfig={}",
            kcp.display(),
            service.display()
        ),
    );
    let settings = Settings::try_from(flags);
    settings
        .map(Process::new)
        .map_err(|problems| Trouble::Wrong(problems.to_string()))
}
