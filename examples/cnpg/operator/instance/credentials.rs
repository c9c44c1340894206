//! Who may log in: the Secrets of a Cluster, and the passwords made of them.

use std::io::Read;
use std::time::Duration;

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, ResourceExt};

use super::super::children::{self, Credentials, User};
use super::super::kinds::Cluster;
use super::super::status::Stage;
use super::{Instance, Trouble};
use crate::postgres::{self, sql};

const ROLE: &str = "SELECT FROM pg_catalog.pg_roles WHERE rolname = $1";
const DATABASE: &str = "SELECT FROM pg_catalog.pg_database WHERE datname = $1";

/// Credentials, and the version of the Secret they were read from.
#[derive(Debug)]
pub(super) struct Known {
    secret: String,
    version: Option<String>,
    credentials: Credentials,
}

impl Instance {
    /// The Secrets that are referred to, or generated ones, with the versions they were read in.
    pub(super) async fn credentials(
        &self,
        cluster: &Cluster,
    ) -> Result<(Known, Option<Known>), Trouble> {
        let spec = &cluster.spec;
        let named = spec
            .bootstrap
            .initdb
            .secret
            .as_ref()
            .map(|secret| secret.name.as_str());
        let owner = self
            .credential(cluster, User::App, named, spec.owner())
            .await?;
        if owner.credentials.username != spec.owner() {
            let reason = format!(
                "secret \"{}\" is for user \"{}\", not for the owner \"{}\"",
                owner.secret,
                owner.credentials.username,
                spec.owner()
            );
            return Err(Trouble {
                stage: Stage::Invalid(reason),
                reason: None,
                again: Duration::from_secs(30),
            });
        }
        if !spec.enable_superuser_access {
            return Ok((owner, None));
        }
        let named = spec
            .superuser_secret
            .as_ref()
            .map(|secret| secret.name.as_str());
        let superuser = self
            .credential(cluster, User::Superuser, named, "postgres")
            .await?;
        Ok((owner, Some(superuser)))
    }

    async fn credential(
        &self,
        cluster: &Cluster,
        user: User,
        named: Option<&str>,
        role: &str,
    ) -> Result<Known, Trouble> {
        let secrets: Api<Secret> = self.api();
        let name = named.map_or_else(|| user.secret_name(&cluster.name_any()), str::to_owned);
        let secret = match (secrets.get_opt(&name).await?, named) {
            (Some(secret), _) => secret,
            (None, None) => {
                let generated = children::secret(cluster, user, role, &random()?);
                self.create(cluster, &generated).await?;
                secrets.get(&name).await?
            }
            (None, Some(_)) => {
                let reason = Some(format!("secret \"{name}\" not found"));
                return Err(Trouble {
                    stage: Stage::SettingUp,
                    reason,
                    again: Duration::from_secs(1),
                });
            }
        };
        let credentials = Credentials::of(&secret).map_err(Trouble::unable)?;
        Ok(Known {
            secret: name,
            version: secret.resource_version(),
            credentials,
        })
    }

    /// Owner, first database and passwords; each only when it is new.
    pub(super) async fn apply_passwords(
        &mut self,
        cluster: &Cluster,
        owner: &Known,
        superuser: Option<&Known>,
    ) -> Result<(), Trouble> {
        let Some(server) = &self.server else {
            return Ok(());
        };
        let sql = server.superuser("postgres").await?;
        let Credentials { username, password } = &owner.credentials;
        if !self.bootstrapped {
            // An earlier attempt may have come half the way.
            if !sql::finds(&sql, ROLE, username).await? {
                sql::run(&sql, "CREATE ROLE %I LOGIN", &[username]).await?;
            }
            let database = &cluster.spec.bootstrap.initdb.database;
            if !sql::finds(&sql, DATABASE, database).await? {
                let words = [database, username].map(String::as_str);
                sql::run(&sql, "CREATE DATABASE %I OWNER %I", &words).await?;
            }
            self.bootstrapped = true;
        }
        let version = Some(owner.version.clone());
        if self.passwords.get("owner").cloned() != version {
            sql::run(&sql, "ALTER ROLE %I PASSWORD %L", &[username, password]).await?;
            self.passwords.insert("owner", owner.version.clone());
        }
        let version = superuser.map(|known| known.version.clone());
        if self.passwords.get("superuser").cloned() != version {
            match superuser {
                Some(known) => {
                    sql::run(
                        &sql,
                        "ALTER ROLE postgres PASSWORD %L",
                        &[&known.credentials.password],
                    )
                    .await?;
                }
                None => sql
                    .batch_execute("ALTER ROLE postgres PASSWORD NULL")
                    .await
                    .map_err(postgres::Error::from)?,
            }
            match version {
                Some(version) => self.passwords.insert("superuser", version),
                None => self.passwords.remove("superuser"),
            };
        }
        Ok(())
    }
}

/// A password: 64 characters of a source that nobody can guess.
fn random() -> Result<String, Trouble> {
    const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let mut bytes = [0; 64];
    let read =
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(|error| Trouble::unable(format!("no randomness for a password: {error}")))?;
    Ok(bytes
        .iter()
        .map(|byte| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]))
        .collect())
}
