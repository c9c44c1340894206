//! That it is a real PostgreSQL, and each consumer's own.

use kube::Client;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::json;
use tokio_postgres::Config;

use super::Trouble;
use super::consumer::{Connection, Consumer, NAMESPACE, SERVICE};
use super::home::Home;
use super::say::{Narrator, Who};
use super::wait::{self, kind, objects};
use crate::postgres::{Error, sql};

/// What the story asks the database.
const QUERY: &str = "SELECT schemaname, tablename, tableowner FROM pg_catalog.pg_tables WHERE schemaname = 'pg_catalog'";
const SHOWN: usize = 3;

/// What was found.
pub(crate) struct Counted {
    pub(crate) tables: usize,
    pub(crate) version: String,
}

type Guest<'a> = (&'a Consumer, &'a Connection);

/// Shows everything that was promised; of databases that cannot be reached from here, how they are reached.
pub(crate) async fn show(
    narrator: &Narrator,
    home: &Home,
    one: Guest<'_>,
    two: Guest<'_>,
) -> Result<Option<Counted>, Trouble> {
    if one.1.is_inside() || two.1.is_inside() {
        refused(narrator, one.0, two.0).await?;
        directions(narrator, home, one);
        return Ok(None);
    }
    let counted = tables(narrator, one).await?;
    isolated(narrator, one, two).await?;
    refused(narrator, one.0, two.0).await?;
    password(narrator, one).await?;
    Ok(Some(counted))
}

/// The port of this machine that leads to a database inside the service cluster.
const FORWARDED: u16 = 15432;

/// How a database without a load balancer is reached from here.
fn directions(narrator: &Narrator, home: &Home, (consumer, connection): Guest<'_>) {
    let Connection { host, port, .. } = connection;
    let line = format!(
        "{host}:{port} leads there inside the service cluster only: Service {SERVICE} has no load balancer"
    );
    narrator.say(Who::Provider, &line);
    narrator.say(
        Who::Story,
        "from here it takes two terminals (while it runs, as with --keep):",
    );
    narrator.show(&connection.forward(home, &consumer.cluster));
    let here = Connection {
        host: "127.0.0.1".to_owned(),
        port: FORWARDED,
        ..connection.clone()
    };
    narrator.show(&here.psql(&here.superuser.1));
}

impl Connection {
    /// Whether only the service cluster itself knows the host.
    pub(crate) fn is_inside(&self) -> bool {
        self.host.ends_with(".svc")
    }

    /// The line for a terminal that leads from here into the service cluster.
    fn forward(&self, home: &Home, namespace: &str) -> String {
        let admin = home.dir().join("service-admin.kubeconfig");
        format!(
            "kubectl --kubeconfig {} --namespace {namespace} port-forward service/{SERVICE} {FORWARDED}:{}",
            admin.display(),
            self.port
        )
    }

    /// As `postgres` to the database `one`.
    fn config(&self) -> Config {
        let mut config = Config::new();
        config.host(&self.host).port(self.port).dbname("one");
        config.user(&self.superuser.0).password(&self.superuser.1);
        config
    }

    /// The line for a terminal.
    pub(crate) fn psql(&self, password: &str) -> String {
        let (host, port, user) = (&self.host, self.port, &self.superuser.0);
        format!("PGPASSWORD={password} psql -h {host} -p {port} -U {user} -d one -c \"{QUERY}\"")
    }
}

/// The system's tables of the ordered database.
async fn tables(
    narrator: &Narrator,
    (consumer, connection): Guest<'_>,
) -> Result<Counted, Trouble> {
    let client = sql::connect(&connection.config()).await?;
    let version: String = client
        .query_one("SHOW server_version", &[])
        .await
        .map_err(Error::from)?
        .get(0);
    // `15.18 (Debian 15.18-0+deb12u1)`
    let version = version.split(' ').next().unwrap_or_default().to_owned();
    let line = format!(
        "connected as {} to database one: PostgreSQL {version}",
        connection.superuser.0
    );
    narrator.say(consumer.who(), &line);
    let rows = client.query(QUERY, &[]).await.map_err(Error::from)?;
    if rows.is_empty() {
        return Err(Trouble::Wrong(
            "the database has no system tables".to_owned(),
        ));
    }
    narrator.say(consumer.who(), &format!("{} rows of {QUERY}", rows.len()));
    narrator.show(&format!(
        "{:<12} {:<24} {}",
        "schemaname", "tablename", "tableowner"
    ));
    for row in rows.iter().take(SHOWN) {
        let [schema, table, owner]: [String; 3] = [row.get(0), row.get(1), row.get(2)];
        narrator.show(&format!("{schema:<12} {table:<24} {owner}"));
    }
    narrator.show(&format!(
        "... and {} more",
        rows.len().saturating_sub(SHOWN)
    ));
    Ok(Counted {
        tables: rows.len(),
        version,
    })
}

/// A word written by one consumer is in their database and in no other.
async fn isolated(narrator: &Narrator, one: Guest<'_>, two: Guest<'_>) -> Result<(), Trouble> {
    const LOOK: &str = "SELECT word FROM token WHERE word = $1";
    let token = token()?;
    let (first, second) = (one.1.config(), two.1.config());
    let (first, second) = tokio::try_join!(sql::connect(&first), sql::connect(&second))?;
    for client in [&first, &second] {
        client
            .batch_execute("CREATE TABLE token (word text NOT NULL)")
            .await
            .map_err(Error::from)?;
    }
    first
        .execute("INSERT INTO token VALUES ($1)", &[&token])
        .await
        .map_err(Error::from)?;
    if !sql::finds(&first, LOOK, &token).await? {
        return Err(Trouble::Wrong(
            "what consumer 1 wrote cannot be read back".to_owned(),
        ));
    }
    narrator.say(
        one.0.who(),
        &format!("wrote the word {token} and read it back"),
    );
    if sql::finds(&second, LOOK, &token).await? {
        return Err(Trouble::Wrong(
            "consumer 2 sees what consumer 1 wrote".to_owned(),
        ));
    }
    narrator.say(
        two.0.who(),
        "does not find that word: it is another database",
    );
    Ok(())
}

/// One consumer asks for the other's objects.
async fn refused(narrator: &Narrator, one: &Consumer, two: &Consumer) -> Result<(), Trouble> {
    // The same server and the same path as consumer 1, with the token of consumer 2.
    let kubeconfig =
        std::fs::read_to_string(&one.kubeconfig).map_err(Trouble::system("read a kubeconfig"))?;
    let client: Client = wait::client(&kubeconfig.replace(&one.token, &two.token)).await?;
    for of in [
        kind("postgresql.cnpg.io/v1", "Cluster"),
        kind("v1", "Secret"),
    ] {
        let answer = objects(&client, &of, NAMESPACE)
            .list(&ListParams::default())
            .await;
        match answer {
            Err(kube::Error::Api(status)) if [401, 403].contains(&status.code) => {
                let line = format!(
                    "asks for the {} of {}: {} {}",
                    of.plural, one.path, status.code, status.message
                );
                narrator.say(two.who(), &line);
            }
            Err(error) => {
                return Err(Trouble::api(format!(
                    "be refused the {} of {}",
                    of.plural, one.path
                ))(error));
            }
            Ok(found) => {
                let found = found.items.len();
                return Err(Trouble::Wrong(format!(
                    "consumer 2 could list {found} {} of consumer 1",
                    of.plural
                )));
            }
        }
    }
    Ok(())
}

/// A changed Secret is a changed password.
async fn password(narrator: &Narrator, (consumer, before): Guest<'_>) -> Result<(), Trouble> {
    let new = token()?;
    let patch = Patch::Merge(json!({ "stringData": { "password": new } }));
    let patched = consumer
        .secrets()
        .patch("kcp-superuser", &PatchParams::default(), &patch)
        .await;
    patched.map_err(Trouble::api("change the Secret kcp-superuser"))?;
    narrator.say(
        consumer.who(),
        "changed the superuser's password in Secret kcp-superuser",
    );
    let after = consumer.connection().await?;
    let config = after.config();
    wait::until_done(narrator, "a login with the new password", || async {
        sql::connect(&config)
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    })
    .await?;
    if sql::connect(&before.config()).await.is_ok() {
        return Err(Trouble::Wrong(
            "the old password still opens the database".to_owned(),
        ));
    }
    narrator.say(
        consumer.who(),
        "logged in with the new password; the old one is refused",
    );
    if installed("psql") {
        narrator.say(
            Who::Story,
            "the same by hand (while it runs, as with --keep):",
        );
        narrator.show(&after.psql(&new));
    }
    Ok(())
}

/// A word that nobody can guess.
fn token() -> Result<String, Trouble> {
    use std::io::Read;
    let mut bytes = [0; 12];
    let read =
        std::fs::File::open("/dev/urandom").and_then(|mut source| source.read_exact(&mut bytes));
    read.map_err(Trouble::system("read /dev/urandom"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}
