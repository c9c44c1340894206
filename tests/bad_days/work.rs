//! What consumers do all day, and what happens meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use syncagent_real::cluster::Part;

use crate::servers::{Consumer, Servers, Workspaces};
use crate::{Trouble, things};

/// How many orders are in the middle of something at a time.
const AT_A_TIME: usize = 24;

/// What happens: somebody is killed in the middle of what they do, and is back after a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disaster {
    Agent,
    Apiserver,
    Etcd,
    /// Only a real one can be killed.
    Kcp,
    Everything,
    /// The service cluster's certificate and the agent's token change.
    Credentials,
}

/// What must be there when the day is over: the size of each order, by its consumer's place in the list and its name.
pub(crate) type Wanted = BTreeMap<(usize, String), Wish>;

/// An order as its consumer wants it: its size, and the Secret that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) size: usize,
    pub(crate) secret: Option<String>,
}

/// Orders live and die while disasters strike, evenly over all that is done.
pub(crate) async fn storm(
    servers: &mut Servers,
    consumers: &[Consumer],
    orders: usize,
    disasters: &[Disaster],
) -> Result<Wanted, Trouble> {
    let done = AtomicUsize::new(0);
    let lives = async {
        let lives = futures::stream::iter(0..orders).map(|n| life(consumers, n, &done));
        let wishes: Vec<_> = lives.buffer_unordered(AT_A_TIME).collect().await;
        let mut wanted = Wanted::new();
        for wish in wishes {
            wanted.extend(wish?);
        }
        Ok::<_, Trouble>(wanted)
    };
    let strikes = async {
        for (n, disaster) in disasters.iter().enumerate() {
            let when = orders * (n + 1) / (disasters.len() + 1);
            while done.load(Ordering::SeqCst) < when {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            strike(servers, *disaster).await?;
        }
        Ok::<_, Trouble>(())
    };
    let (wanted, ()) = tokio::try_join!(lives, strikes)?;
    Ok(wanted)
}

async fn strike(servers: &mut Servers, disaster: Disaster) -> Result<(), Trouble> {
    match disaster {
        Disaster::Agent => {
            servers.kill_agent(0)?;
            servers.start_agent(0)?;
        }
        Disaster::Apiserver => {
            servers.cluster.kill(Part::Apiserver)?;
            servers.cluster.revive(Part::Apiserver).await?;
        }
        Disaster::Etcd => {
            servers.cluster.kill(Part::Etcd)?;
            servers.cluster.revive(Part::Etcd).await?;
        }
        Disaster::Kcp => {
            if let Workspaces::Real(kcp) = &mut servers.kcp {
                kcp.kill()?;
                kcp.revive().await?;
            }
        }
        Disaster::Everything => {
            servers.kill_agent(0)?;
            for part in [Part::Apiserver, Part::Etcd, Part::Controllers] {
                servers.cluster.kill(part)?;
            }
            // The agent is back before anybody answers it.
            servers.start_agent(0)?;
            servers.cluster.revive_all().await?;
        }
        Disaster::Credentials => servers.cluster.rotate().await?,
    }
    Ok(())
}

/// An order is made; most wait for it to be well; some change it, some delete it. What is left is what is wanted.
async fn life(
    consumers: &[Consumer],
    n: usize,
    done: &AtomicUsize,
) -> Result<Option<((usize, String), Wish)>, Trouble> {
    let whose = n % consumers.len();
    let api = &consumers[whose].api;
    let kind = things::kind("Thing");
    let every = |share| n.is_multiple_of(share);
    let name = format!("order-{n:05}");
    let mut wish = Wish {
        size: 1,
        secret: None,
    };
    let mut spec = json!({"size": 1});
    if every(7) {
        let secret = format!("secret-{n:05}");
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": {"password": name}});
        let path = "/api/v1/namespaces/default/secrets";
        api.insist("POST", path, Some(&object), &[201, 409]).await?;
        spec["first"] = json!({"name": secret});
        wish.secret = Some(secret);
    }
    let all = syncagent_core::io::clients::collection(&kind, Some("default"));
    let path = things::path(&kind, "default", &name);
    api.insist(
        "POST",
        &all,
        Some(&things::order(&kind, &name, &spec)),
        &[201, 409],
    )
    .await?;
    if !every(5) {
        api.soon(&path, |it: &Value| things::synced(it)).await?;
    }
    if every(2) {
        wish.size = 2;
        api.insist("PATCH", &path, Some(&json!({"spec": {"size": 2}})), &[200])
            .await?;
    }
    let gone = every(3);
    if gone {
        api.insist("DELETE", &path, Some(&json!({})), &[200, 202, 404])
            .await?;
    }
    done.fetch_add(1, Ordering::SeqCst);
    Ok((!gone).then_some(((whose, name), wish)))
}
