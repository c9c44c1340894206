//! What consumers do all day, and what happens meanwhile.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use serde_json::{Value, json};
use syncagent_real::cluster::Part;

use crate::operator::phase;
use crate::servers::{Consumer, Servers};
use crate::{Trouble, things};

/// How many orders are in the middle of something at a time.
const AT_A_TIME: usize = 24;
/// How long nobody is told that credentials have changed.
const UNTOLD: Duration = Duration::from_secs(2);

/// What happens: somebody is killed in the middle of what they do, and is back after a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disaster {
    Agent,
    /// The other agent.
    Second,
    Apiserver,
    Etcd,
    Kcp,
    Everything,
    /// The service cluster's certificate and its authority, the agent's token or certificate there, and its token in kcp
    /// change; a moment later the agent is told.
    Credentials,
}

/// What must be there when the day is over: what each order must be, by its consumer's place in the list and its name.
pub(crate) type Wanted = BTreeMap<(usize, String), Wish>;

/// An order as its consumer wants it: its size, and the Secret that it names with the password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub(crate) size: usize,
    pub(crate) secret: Option<(String, String)>,
}

/// What has been done.
#[derive(Default)]
struct Done {
    orders: AtomicUsize,
    /// The longest that somebody waited for an order, in milliseconds.
    longest: AtomicU64,
}

/// Orders live and die while disasters strike, evenly over all that is done. Says what must be there now, and how long
/// the longest of them had to wait.
pub(crate) async fn storm(
    servers: &mut Servers,
    consumers: &[Consumer],
    orders: usize,
    disasters: &[Disaster],
) -> Result<(Wanted, Duration), Trouble> {
    let done = Done::default();
    let tells = servers.agents.make().tells();
    let lives = async {
        let lives = futures::stream::iter(0..orders).map(|n| life(consumers, n, tells, &done));
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
            while done.orders.load(Ordering::SeqCst) < when {
                servers.keep_agents()?;
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            let began = Instant::now();
            strike(servers, *disaster).await?;
            println!(
                "  {disaster:?} after {when} orders: {:.1?}",
                began.elapsed()
            );
        }
        while done.orders.load(Ordering::SeqCst) < orders {
            servers.keep_agents()?;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok::<_, Trouble>(())
    };
    let (wanted, ()) = tokio::try_join!(lives, strikes)?;
    let longest = done.longest.load(Ordering::SeqCst);
    Ok((wanted, Duration::from_millis(longest)))
}

async fn strike(servers: &mut Servers, disaster: Disaster) -> Result<(), Trouble> {
    match disaster {
        Disaster::Agent | Disaster::Second => {
            let number = usize::from(matches!(disaster, Disaster::Second));
            servers.kill_agent(number)?;
            servers.start_agent(number)?;
        }
        Disaster::Apiserver => {
            servers.cluster.kill(Part::Apiserver)?;
            servers.cluster.revive().await?;
        }
        Disaster::Etcd => {
            servers.cluster.kill(Part::Etcd)?;
            servers.cluster.revive().await?;
        }
        Disaster::Kcp => servers.kcp.kill_and_revive().await?,
        Disaster::Everything => {
            servers.kill_agent(0)?;
            for part in [Part::Apiserver, Part::Etcd, Part::Controllers] {
                servers.cluster.kill(part)?;
            }
            // The agent is back before anybody answers it.
            servers.start_agent(0)?;
            servers.cluster.revive().await?;
        }
        Disaster::Credentials => {
            tokio::try_join!(
                async { servers.cluster.rotate().await.map_err(Trouble::from) },
                servers.kcp.rotate()
            )?;
            tokio::time::sleep(UNTOLD).await;
            servers.tell()?;
        }
    }
    Ok(())
}

/// An order is made; most wait for it to be well; some change it or its Secret, some delete it. What is left is what is
/// wanted.
async fn life(
    consumers: &[Consumer],
    n: usize,
    tells: bool,
    done: &Done,
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
    let secrets = "/api/v1/namespaces/default/secrets";
    if every(7) {
        let (secret, password) = (format!("secret-{n:05}"), format!("of-{name}"));
        let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": {"password": password}});
        api.made(secrets, &object).await?;
        spec["first"] = json!({"name": secret});
        wish.secret = Some((secret, password));
    }
    let all = syncagent_core::io::clients::collection(&kind, Some("default"));
    let path = things::path(&kind, "default", &name);
    let began = Instant::now();
    api.made(&all, &things::order(&kind, &name, &spec)).await?;
    if !every(5) {
        let made = phase(&json!(1));
        let well = |it: &Value| it["status"]["phase"] == *made && (!tells || things::synced(it));
        api.soon(&path, well).await?;
        let took = u64::try_from(began.elapsed().as_millis())?;
        done.longest.fetch_max(took, Ordering::SeqCst);
    }
    if every(2) {
        wish.size = 2;
        api.change(&path, &json!({"spec": {"size": 2}})).await?;
    }
    if every(14)
        && let Some((secret, password)) = &mut wish.secret
    {
        password.push_str("-changed");
        let change = json!({"stringData": {"password": password}});
        api.change(&format!("{secrets}/{secret}"), &change).await?;
    }
    let gone = every(3);
    if gone {
        api.remove(&path).await?;
    }
    done.orders.fetch_add(1, Ordering::SeqCst);
    Ok((!gone).then_some(((whose, name), wish)))
}
