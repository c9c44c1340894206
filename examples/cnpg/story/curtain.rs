//! The end: everything is deleted and seen to vanish, or kept for somebody to look around.

use super::Trouble;
use super::args::Way;
use super::consumer::{Connection, Consumer, NAMESPACE};
use super::home::Home;
use super::plane::Plane;
use super::proof::Counted;
use super::say::{Narrator, Who};
use super::stage::Stage;
use super::wait::{self, kind, objects};
use kube::api::DeleteParams;

/// Both consumers delete what they ordered, and everybody sees it go.
pub(crate) async fn fall(
    narrator: &Narrator,
    stage: &Stage,
    home: &Home,
    consumers: [&Consumer; 2],
) -> Result<(), Trouble> {
    let [one, two] = consumers;
    tokio::try_join!(clear(narrator, stage, one), clear(narrator, stage, two))?;
    if stage.has_operator {
        return Ok(());
    }
    let data = home.data();
    wait::until_done(narrator, "the servers to be gone", || async {
        match std::fs::read_dir(&data) {
            Ok(left) => match left.count() {
                0 => Ok(()),
                left => Err(format!("{left} servers are left in {}", data.display())),
            },
            Err(error) => Err(error.to_string()),
        }
    })
    .await?;
    narrator.say(
        Who::Operator,
        "both servers have ended, and their directories are gone",
    );
    Ok(())
}

async fn clear(narrator: &Narrator, stage: &Stage, consumer: &Consumer) -> Result<(), Trouble> {
    let number = consumer.number;
    for (of, name) in [("Database", "db-one"), ("Cluster", "kcp")] {
        let deleted = consumer
            .orders(of)
            .delete(name, &DeleteParams::default())
            .await;
        deleted.map_err(Trouble::api(format!("delete {of} {name}")))?;
    }
    narrator.say(consumer.who(), "deleted database db-one and cluster kcp");
    for (of, name) in [("Database", "db-one"), ("Cluster", "kcp")] {
        let copies = objects(
            &stage.admin,
            &kind("postgresql.cnpg.io/v1", of),
            &consumer.cluster,
        );
        wait::until_gone(
            narrator,
            &format!("the copy of {of} {name} of consumer {number} to go"),
            &copies,
            name,
        )
        .await?;
        let orders = consumer.orders(of);
        wait::until_gone(
            narrator,
            &format!("{of} {name} of consumer {number} to go"),
            &orders,
            name,
        )
        .await?;
    }
    let secrets = objects(&consumer.client, &kind("v1", "Secret"), NAMESPACE);
    // There never was one where nothing composes it.
    wait::until_gone(
        narrator,
        &format!("Secret kcp-connection of consumer {number} to go"),
        &secrets,
        "kcp-connection",
    )
    .await?;
    for name in ["kcp-postgres", "kcp-superuser"] {
        let deleted = secrets.delete(name, &DeleteParams::default()).await;
        deleted.map_err(Trouble::api(format!("delete Secret {name}")))?;
        wait::until_gone(
            narrator,
            &format!("Secret {name} of consumer {number} to go"),
            &secrets,
            name,
        )
        .await?;
        let copies = objects(&stage.admin, &kind("v1", "Secret"), &consumer.cluster);
        let copy = match consumer.way {
            Way::Derived => format!("{name}.taken"),
            // The field that names it is copied as it is.
            Way::NoCode => name.to_owned(),
        };
        wait::until_gone(
            narrator,
            &format!("the copy of Secret {name} of consumer {number} to go"),
            &copies,
            &copy,
        )
        .await?;
    }
    let gone = match consumer.way {
        Way::Derived => "orders, finalizers, the returned Secret, the copies",
        Way::NoCode => "orders, finalizers, the copies",
    };
    narrator.say(consumer.who(), &format!("sees everything gone: {gone}"));
    Ok(())
}

/// Prints what can be typed in another terminal. `.ci/keep` runs exactly the lines that start with `$`.
pub(crate) fn keep(narrator: &Narrator, home: &Home, consumer: &Consumer, connection: &Connection) {
    let file = |name: &str| {
        home.dir()
            .join(format!("{name}.kubeconfig"))
            .display()
            .to_string()
    };
    let own = consumer.kubeconfig.display().to_string();
    let (service, provider) = (file("service-admin"), file("provider"));
    let cluster = &consumer.cluster;
    let commands = [
        format!("kubectl --kubeconfig {own} get clusters"),
        format!("kubectl --kubeconfig {own} get databases -o yaml"),
        format!("kubectl --kubeconfig {own} wait --for=condition=Ready clusters/kcp --timeout=60s"),
        format!("kubectl --kubeconfig {own} get secrets"),
        match consumer.way {
            Way::Derived => format!(
                "kubectl --kubeconfig {own} get secret kcp-connection -o jsonpath='{{.data.uri}}' | base64 -d; echo"
            ),
            Way::NoCode => format!("kubectl --kubeconfig {service} get publishedresources"),
        },
        format!("kubectl --kubeconfig {own} explain clusters.spec"),
        format!("kubectl --kubeconfig {provider} get apiexports,apiresourceschemas"),
        format!("kubectl --kubeconfig {service} get namespaces"),
        format!("kubectl --kubeconfig {service} get clusters,databases --all-namespaces"),
        format!("kubectl --kubeconfig {service} --namespace {cluster} get services,secrets"),
    ];
    narrator.plain("");
    narrator.plain("Everything is left running. In another terminal:");
    narrator.plain("");
    for command in commands {
        narrator.plain(&format!("  $ {command}"));
    }
    narrator.plain("");
    let inside = match connection.is_inside() {
        true => ", inside the service cluster",
        false => "",
    };
    narrator.plain(&format!(
        "PostgreSQL listens on {}:{}{inside}. Ctrl-C ends it all.",
        connection.host, connection.port
    ));
}

/// What was shown, in a few lines; true once the home is left.
pub(crate) fn summary(narrator: &Narrator, stage: &Stage, counted: Option<&Counted>) -> String {
    let agent = |plane: &Plane| {
        let Plane::Embedded(server, _) = plane else {
            return None;
        };
        let entries = server.audit();
        let asked = |entry: &&_| {
            let entry: &syncagent_embedded::audit::Entry = entry;
            entry.user == "syncagent" && entry.verb != "watch"
        };
        let writes = entries
            .iter()
            .filter(asked)
            .filter(|entry| entry.writes())
            .count();
        Some((writes, entries.iter().filter(asked).count() - writes))
    };
    let counts = match (agent(&stage.kcp), agent(&stage.service)) {
        (Some((kcp, kcp_reads)), Some((service, service_reads))) => format!(
            "the agent wrote {kcp} times to kcp and {service} times to the service cluster, and read {kcp_reads} and {service_reads} times\n  "
        ),
        _ => String::new(),
    };
    let planes = match (&stage.kcp, &stage.service) {
        (Plane::Embedded(..), Plane::Embedded(..)) => {
            "embedded control planes, which says nothing about a real kcp or Kubernetes"
        }
        (Plane::Given(_), Plane::Embedded(..)) => "a given kcp and an embedded service cluster",
        (Plane::Embedded(..), Plane::Given(_)) => "an embedded kcp and a given service cluster",
        (Plane::Given(_), Plane::Given(_)) => "given control planes",
    };
    let left = match (&stage.kcp, &stage.service) {
        (Plane::Embedded(..), Plane::Embedded(..)) => {
            "nothing is left: no object, no process, no directory"
        }
        _ => "nothing is left: no process, no directory; what was made on given servers is deleted",
    };
    let shown = match counted {
        Some(Counted { tables, version }) => format!(
            "Two consumers ordered PostgreSQL {version} in workspaces of kcp, and used it.\n  \
             {tables} rows came out of database one"
        ),
        None => "Two consumers ordered PostgreSQL in workspaces of kcp, and it is ready.\n  \
             nobody logged in: its Services have no load balancer, and the story is outside the service cluster"
            .to_owned(),
    };
    let seconds = narrator.elapsed().as_secs_f64();
    format!(
        "\n{shown}\n  \
         {counts}{seconds:.1} s on {planes}\n  \
         {left}"
    )
}
