//! `syncagent pubres crd`: what a `PublishedResource` makes of the CRD behind it.

use serde_json::Value;

use crate::api::published_resource::PublishedResource;
use crate::compat::{FieldProblem, Projected};
use crate::controller::published::fetch;
use crate::io::clients::Connection;

/// The agent's name on schemas that are printed.
const AGENT: &str = "pubres-toolkit";

/// What is printed.
#[derive(Clone, Debug, clap::Args)]
pub struct Crd {
    /// Print the CRD as it is on the service cluster.
    #[arg(long)]
    pub no_projection: bool,
    /// Print the APIResourceSchema rather than the CRD.
    #[arg(long)]
    pub ars: bool,
    /// The kubeconfig of the service cluster.
    #[arg(long, value_name = "FILE", env = "KUBECONFIG")]
    pub kubeconfig: String,
    /// Another context of the kubeconfig than its current one.
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// A file with one PublishedResource; `-` is the standard input.
    #[arg(value_name = "FILE")]
    pub file: String,
}

/// The document that is asked for.
///
/// # Errors
///
/// Everything that keeps it from being made.
pub(crate) async fn document(of: &Crd) -> Result<Value, String> {
    let documents = super::files::read(std::slice::from_ref(&of.file));
    let documents = documents.map_err(|problems| problems.join("\n"))?;
    let [document] = documents.as_slice() else {
        return Err(format!(
            "{}: it holds {} documents, and one PublishedResource is wanted",
            of.file,
            documents.len()
        ));
    };
    let pr: PublishedResource = serde_json::from_value(document.clone())
        .map_err(|error| format!("{}: it is no PublishedResource: {error}", of.file))?;
    let connection = Connection::from_context(&of.kubeconfig, of.context.as_deref());
    let connection = connection.await.map_err(|error| error.chain())?;
    let user_agent = concat!("syncagent/", env!("CARGO_PKG_VERSION"));
    let service = connection
        .server("the service cluster", user_agent)
        .map_err(|error| error.chain())?;
    let resource = &pr.spec.resource;
    let named = (resource.api_group.clone(), resource.kind.clone());
    let source = fetch(&service, &named)
        .await
        .map_err(|error| error.chain())?;
    let source = source.map_err(|problem| problem.to_string())?;
    if of.no_projection {
        return Ok(match of.ars {
            true => source.resource_schema(AGENT),
            false => source.crd().clone(),
        });
    }
    let told = |problems: Vec<FieldProblem>| {
        let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let projected = Projected::of(&pr, &source).map_err(told)?;
    Ok(match of.ars {
        true => projected.resource_schema(AGENT),
        false => projected.crd().clone(),
    })
}
