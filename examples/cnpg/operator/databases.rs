//! Database objects: what an instance does for those that name its Cluster.

use kube::api::{Patch, PatchParams};
use kube::runtime::reflector::ObjectRef;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::sync::Arc;

use super::Context;
use super::kinds::{Cluster, Database, DatabaseStatus, Ensure, Reclaim};
use crate::postgres::{Server, sql};

/// Holds a Database object until its database was dealt with.
const FINALIZER: &str = "cnpg.io/deleteDatabase";
const EXISTS: &str = "SELECT FROM pg_catalog.pg_database WHERE datname = $1";

/// Settles all Databases of a Cluster; says whether one failed and wants another try.
pub(crate) async fn settle(
    context: &Context,
    cluster: &ObjectRef<Cluster>,
    server: &Server,
) -> kube::Result<bool> {
    let all = of(context, cluster);
    let mut failed = false;
    for database in &all {
        let api = api(&context.client, database);
        if database.metadata.deletion_timestamp.is_some() {
            if database.finalizers().iter().any(|held| held == FINALIZER) {
                match drop_wanted(server, database).await {
                    Ok(()) => release(&api, database).await?,
                    Err(message) => {
                        failed = true;
                        tell(&api, database, Err(message)).await?;
                    }
                }
            }
            continue;
        }
        let done = DatabaseStatus {
            applied: Some(true),
            message: None,
            observed_generation: database.metadata.generation,
        };
        if database.status.as_ref() == Some(&done) {
            continue;
        }
        hold(&api, database).await?;
        let outcome = match first_of(&all, database) {
            None => make(server, database).await,
            Some(first) => Err(format!(
                "reconciliation error: database {:?} is already managed by object {first:?}",
                database.spec.name
            )),
        };
        failed |= outcome.is_err();
        tell(&api, database, outcome).await?;
    }
    Ok(failed)
}

/// Lets the Databases of a Cluster go that is gone itself.
pub(crate) async fn orphan(context: &Context, cluster: &ObjectRef<Cluster>) -> kube::Result<()> {
    for database in of(context, cluster) {
        let api = api(&context.client, &database);
        if database.finalizers().iter().any(|held| held == FINALIZER) {
            release(&api, &database).await?;
        }
        if database.metadata.deletion_timestamp.is_none() {
            let message = "cluster resource has been deleted, skipping reconciliation".to_owned();
            tell(&api, &database, Err(message)).await?;
        }
    }
    Ok(())
}

fn of(context: &Context, cluster: &ObjectRef<Cluster>) -> Vec<Arc<Database>> {
    let mut all: Vec<_> = context
        .databases
        .state()
        .into_iter()
        .filter(|database| database.cluster() == *cluster)
        .collect();
    all.sort_by_key(|database| {
        (
            database
                .metadata
                .creation_timestamp
                .clone()
                .map(|time| time.0),
            database.name_any(),
        )
    });
    all
}

/// The older object for the same database, if there is one.
fn first_of(all: &[Arc<Database>], database: &Database) -> Option<String> {
    let same = |other: &&Arc<Database>| {
        other.spec.name == database.spec.name && other.metadata.deletion_timestamp.is_none()
    };
    let first = all.iter().find(same)?;
    (first.uid() != database.uid()).then(|| first.name_any())
}

async fn make(server: &Server, database: &Database) -> Result<(), String> {
    let (name, owner) = (database.spec.name.as_str(), database.spec.owner.as_str());
    let said = |what: &str| {
        let what = format!("while {what} database {name:?}");
        move |error: crate::postgres::Error| format!("{what}: {error}")
    };
    let client = server
        .superuser("postgres")
        .await
        .map_err(said("connecting for"))?;
    let exists = sql::finds(&client, EXISTS, name)
        .await
        .map_err(said("looking for"))?;
    match (database.spec.ensure, exists) {
        (Ensure::Present, false) => {
            sql::run(&client, "CREATE DATABASE %I OWNER %I", &[name, owner])
                .await
                .map_err(said("creating"))
        }
        (Ensure::Present, true) => {
            sql::run(&client, "ALTER DATABASE %I OWNER TO %I", &[name, owner])
                .await
                .map_err(said("altering"))
        }
        (Ensure::Absent, true) => sql::run(&client, "DROP DATABASE %I", &[name])
            .await
            .map_err(said("dropping")),
        (Ensure::Absent, false) => Ok(()),
    }
}

async fn drop_wanted(server: &Server, database: &Database) -> Result<(), String> {
    if database.spec.database_reclaim_policy == Reclaim::Retain {
        return Ok(());
    }
    let gone = async {
        let client = server.superuser("postgres").await?;
        sql::run(
            &client,
            "DROP DATABASE IF EXISTS %I WITH (FORCE)",
            &[&database.spec.name],
        )
        .await
    };
    gone.await.map_err(|error: crate::postgres::Error| {
        format!("while dropping database {:?}: {error}", database.spec.name)
    })
}

fn api(client: &Client, database: &Database) -> Api<Database> {
    Api::namespaced(client.clone(), &database.namespace().unwrap_or_default())
}

async fn hold(api: &Api<Database>, database: &Database) -> kube::Result<()> {
    if database.finalizers().iter().any(|held| held == FINALIZER) {
        return Ok(());
    }
    let mut finalizers = database.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    set_finalizers(api, database, &finalizers).await
}

async fn release(api: &Api<Database>, database: &Database) -> kube::Result<()> {
    let mut finalizers = database.finalizers().to_vec();
    finalizers.retain(|held| held != FINALIZER);
    set_finalizers(api, database, &finalizers).await
}

/// Guarded by the version that was looked at; a conflict means that an event is on its way.
async fn set_finalizers(
    api: &Api<Database>,
    database: &Database,
    finalizers: &[String],
) -> kube::Result<()> {
    let metadata =
        json!({ "finalizers": finalizers, "resourceVersion": database.resource_version() });
    let patch = Patch::Merge(json!({ "metadata": metadata }));
    unless_moved(
        api.patch_metadata(&database.name_any(), &PatchParams::default(), &patch)
            .await,
    )
}

async fn tell(
    api: &Api<Database>,
    database: &Database,
    outcome: Result<(), String>,
) -> kube::Result<()> {
    let status = DatabaseStatus {
        applied: Some(outcome.is_ok()),
        message: outcome.err(),
        observed_generation: database.metadata.generation,
    };
    if database.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let patch = Patch::Merge(json!({ "status": status }));
    unless_moved(
        api.patch_status(&database.name_any(), &PatchParams::default(), &patch)
            .await,
    )
}

/// An object that changed or went away meanwhile is looked at again when its event arrives.
fn unless_moved<T>(answer: kube::Result<T>) -> kube::Result<()> {
    match answer {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(()),
        Err(error) => Err(error),
    }
}
