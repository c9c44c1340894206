//! The same offer without a line of Rust: two PublishedResources, and the flags of kcp's Go agent.
//!
//! The program is the library's `Process`, which is all that the binary `syncagent` is. It runs in this process, so that
//! the story needs no second build; it gets two kubeconfigs and flags, as the binary would.

use std::path::Path;

use kube::ResourceExt as _;
use syncagent_core::api::published_resource;
use syncagent_core::cli::{flags::Flags, settings::Settings};
use syncagent_core::runtime::Process;

use super::Trouble;
use super::provider::EXPORT;
use super::say::{Narrator, Who};
use super::stage::Stage;
use super::wait::{self, documents};

const OFFER: &str = include_str!("../manifests/no-code/published-resources.yaml");
/// What its role is called on either side.
pub(crate) const ROLE: &str = "syncagent-no-code";
const ACCESS_SERVICE: &str = include_str!("../manifests/no-code/access-service.yaml");
const ACCESS_KCP: &str = include_str!("../manifests/no-code/access-kcp.yaml");

/// Installs what the provider writes on the service cluster.
pub(crate) async fn install(narrator: &Narrator, stage: &Stage) -> Result<(), Trouble> {
    let crd = wait::parsed(published_resource::crd())?;
    let name = crd.name_any();
    let there = stage.crds().get_opt(&name).await;
    if there
        .map_err(Trouble::api(format!("look for {name}")))?
        .is_some()
    {
        return Err(Trouble::Wrong(format!(
            "the service cluster has the CRD {name}: an agent that is there would publish what the story publishes; tell it without --no-code, or elsewhere"
        )));
    }
    stage.define(narrator, &crd).await?;
    for object in documents(ACCESS_SERVICE)? {
        stage.service.make(&stage.admin, &object).await?;
    }
    for object in documents(OFFER)? {
        let made = stage.service.make(&stage.admin, &object).await?;
        narrator.say(
            Who::Provider,
            &format!("created the PublishedResource {}", made.name_any()),
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
