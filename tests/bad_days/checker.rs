//! Walks both servers and compares. It knows what consumers want and where copies belong, and nothing of how they get there.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::agents::Make;
use crate::operator::phase;
use crate::place::Place;
use crate::servers::{Consumer, Servers};
use crate::work::{Wanted, Wish};
use crate::{Trouble, things};

/// How often to look, a second apart, before the day is called lost.
const PATIENCE: usize = 180;

/// What a look saw when both sides agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) orders: usize,
    pub(crate) copies: usize,
    pub(crate) secrets: usize,
}

/// Objects by their names.
type Objects = BTreeMap<String, Value>;

/// What a consumer has, and what is in the namespace of their workspace.
struct Found {
    namespace: String,
    orders: Objects,
    secrets: Objects,
    copies: Objects,
    copied: Objects,
}

/// Waits until both sides agree, and stay so for another look; the differences when they never do.
pub(crate) async fn agree(
    servers: &mut Servers,
    consumers: &[Consumer],
    wanted: &Wanted,
) -> Result<Counted, Trouble> {
    let mut differences = Vec::new();
    let mut well = 0;
    for _ in 0..PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        servers.keep_agents()?;
        let (differs, counted) = match walk(servers, consumers, wanted).await {
            Ok(seen) => seen,
            Err(error) => (vec![error.to_string()], None),
        };
        differences = differs;
        if servers.agents.make() == Make::Program {
            clear(servers, &differences).await?;
        }
        well = if differences.is_empty() { well + 1 } else { 0 };
        if let (2, Some(counted)) = (well, counted) {
            sees(servers, consumers, wanted).await?;
            return Ok(counted);
        }
    }
    let count = differences.len();
    differences.truncate(20);
    Err(format!("{count} differences:\n{}", differences.join("\n")).into())
}

/// Deletes copies of orders that are gone, of which an agent told a person to do that, and copies of Secrets that one agent
/// retired and the other brought down once more. As the Go agent marks things, nothing says that such an order ended well,
/// so what is there for it stays; of two agents that do not exclude each other, one may place a copy after the other has
/// let its order go.
async fn clear(servers: &Servers, differences: &[String]) -> Result<(), Trouble> {
    let (thing, secret) = (things::kind("Thing"), things::core("Secret"));
    for difference in differences {
        let between = |start, end| difference.strip_prefix(start)?.strip_suffix(end);
        let (kind, at, told) = if let Some(at) = between("a copy ", " should be gone") {
            (
                &thing,
                at,
                format!("{at} is an orphan, for its order is gone"),
            )
        } else if let Some(at) = between("the Secret ", " is of no order") {
            (&secret, at, format!("retired Secret {at} "))
        } else {
            continue;
        };
        if let (true, Some((namespace, name))) = (servers.said(&told), at.split_once('/')) {
            println!(
                "  {at}: an agent said \"{}\"; it is deleted by hand",
                told.trim()
            );
            let path = syncagent_core::io::clients::object(kind, Some(namespace), name);
            servers.service.remove(&path).await?;
        }
    }
    Ok(())
}

/// A checker that sees nothing would always agree: one that is told of other wishes has to differ, in these words.
async fn sees(servers: &Servers, consumers: &[Consumer], wanted: &Wanted) -> Result<(), Trouble> {
    let mut other = wanted.clone();
    let mut expected = Vec::new();
    let changed = other.iter_mut().find(|(_, wish)| wish.secret.is_some());
    let ((whose, name), wish) = changed.ok_or("no order is left that names a Secret")?;
    let namespace = &consumers[*whose].cluster;
    wish.size = 7;
    if let Some((secret, password)) = &mut wish.secret {
        *password = "other".to_owned();
        let copy = servers.agents.make().copy_of(secret);
        expected.extend([
            format!("the Secret {secret} of consumer {whose} is not as wanted"),
            format!("the copy {namespace}/{copy} of {secret} is not as wanted"),
        ]);
    }
    let (is, said) = (
        wanted[&(*whose, name.clone())].size,
        phase(&json!(wanted[&(*whose, name.clone())].size)),
    );
    expected.extend([
        format!("{name} of consumer {whose} has size {is}"),
        format!("{name} of consumer {whose} is said to be \"{said}\""),
        format!("the copy {namespace}/{name} has size {is}"),
        format!("the copy {namespace}/{name} is said to be \"{said}\""),
    ]);
    let plain = |wish: &Wish| wish.secret.is_none();
    let last = other.iter().rev().find(|(_, wish)| plain(wish));
    let last = last.map(|(key, _)| key.clone());
    let (whose, name) = last.ok_or("no order is left that names no Secret")?;
    let namespace = &consumers[whose].cluster;
    expected.extend([
        format!("an order {namespace}/{name} should be gone"),
        format!("a copy {namespace}/{name} should be gone"),
        "consumer 0 misses never".to_owned(),
        format!("{}/never has no copy", consumers[0].cluster),
    ]);
    other.remove(&(whose, name));
    let never = Wish {
        size: 1,
        secret: None,
    };
    other.insert((0, "never".to_owned()), never);
    let (mut differences, _) = walk(servers, consumers, &other).await?;
    differences.sort();
    expected.sort();
    if differences != expected {
        return Err(
            format!("the checker sees {differences:#?}, and there is {expected:#?}").into(),
        );
    }
    Ok(())
}

/// All differences between what is wanted and what is there, and how much is there.
pub(crate) async fn walk(
    servers: &Servers,
    consumers: &[Consumer],
    wanted: &Wanted,
) -> Result<(Vec<String>, Option<Counted>), Trouble> {
    let make = servers.agents.make();
    let kind = things::kind("Thing");
    let mut differences = Vec::new();
    let mut counted = Counted {
        orders: 0,
        copies: 0,
        secrets: 0,
    };
    for (n, consumer) in consumers.iter().enumerate() {
        let theirs = wanted.iter().filter(|((whose, _), _)| *whose == n);
        let theirs: BTreeMap<&str, &Wish> = theirs
            .map(|((_, name), wish)| (name.as_str(), wish))
            .collect();
        let found = Found::of(servers, consumer).await?;
        compare(make, n, &theirs, &found, &mut differences);
        counted.orders += found.orders.len();
        counted.copies += found.copies.len();
        counted.secrets += found.copied.len();
    }
    // Nothing lies where nobody ordered.
    let everywhere = list(&servers.service, &things::collection(&kind)).await?;
    for copy in everywhere {
        let namespace = copy["metadata"]["namespace"].as_str().unwrap_or_default();
        if !consumers.iter().any(|it| it.cluster == namespace) {
            differences.push(format!("{namespace} has a copy, and is nobody's"));
        }
    }
    Ok((differences, Some(counted)))
}

impl Found {
    async fn of(servers: &Servers, consumer: &Consumer) -> Result<Self, Trouble> {
        let kind = things::kind("Thing");
        let namespace = consumer.cluster.clone();
        let things =
            |namespace: &str| syncagent_core::io::clients::collection(&kind, Some(namespace));
        let secrets = |namespace: &str| format!("/api/v1/namespaces/{namespace}/secrets");
        Ok(Self {
            orders: named(&consumer.api, &things("default")).await?,
            secrets: named(&consumer.api, &secrets("default")).await?,
            copies: named(&servers.service, &things(&namespace)).await?,
            copied: named(&servers.service, &secrets(&namespace)).await?,
            namespace,
        })
    }
}

/// What differs between what a consumer wants and what was found.
fn compare(
    make: Make,
    n: usize,
    wanted: &BTreeMap<&str, &Wish>,
    found: &Found,
    differences: &mut Vec<String>,
) {
    let mut differ = |what: String| differences.push(what);
    let namespace = &found.namespace;
    for (name, wish) in wanted {
        let made = json!(phase(&json!(wish.size)));
        match found.orders.get(*name) {
            None => differ(format!("consumer {n} misses {name}")),
            Some(order) => {
                let (size, said) = (&order["spec"]["size"], &order["status"]["phase"]);
                let held = &order["metadata"]["finalizers"];
                if *size != wish.size {
                    differ(format!("{name} of consumer {n} has size {size}"));
                }
                if *said != made {
                    differ(format!("{name} of consumer {n} is said to be {said}"));
                }
                if make.tells() && !things::synced(order) {
                    let condition = things::condition(order);
                    differ(format!("{name} of consumer {n} is not well: {condition}"));
                }
                if held.as_array().is_none_or(|it| it.len() != 1) {
                    differ(format!("{name} of consumer {n} has finalizers {held}"));
                }
            }
        }
        match found.copies.get(*name) {
            None => differ(format!("{namespace}/{name} has no copy")),
            Some(copy) => {
                let (size, said) = (&copy["spec"]["size"], &copy["status"]["phase"]);
                if *size != wish.size {
                    differ(format!("the copy {namespace}/{name} has size {size}"));
                }
                if *said != made {
                    differ(format!("the copy {namespace}/{name} is said to be {said}"));
                }
            }
        }
    }
    for (whose, there) in [("an order", &found.orders), ("a copy", &found.copies)] {
        let stray = there.keys().filter(|name| !wanted.contains_key(&***name));
        stray.for_each(|name| differ(format!("{whose} {namespace}/{name} should be gone")));
    }
    // Exactly the Secrets that orders name have copies, with what is wanted in them.
    let mut named = Vec::new();
    for (secret, password) in wanted.values().filter_map(|wish| wish.secret.as_ref()) {
        let copy = make.copy_of(secret);
        let right = json!({"password": STANDARD.encode(password)});
        let is =
            |objects: &Objects, name: &str| objects.get(name).is_some_and(|it| it["data"] == right);
        if !is(&found.secrets, secret) {
            differ(format!(
                "the Secret {secret} of consumer {n} is not as wanted"
            ));
        }
        if !found.copied.contains_key(&copy) {
            differ(format!("{namespace}/{copy} has no copy of {secret}"));
        } else if !is(&found.copied, &copy) {
            differ(format!(
                "the copy {namespace}/{copy} of {secret} is not as wanted"
            ));
        }
        named.push(copy);
    }
    let stray = found.copied.keys().filter(|name| !named.contains(name));
    stray.for_each(|name| differ(format!("the Secret {namespace}/{name} is of no order")));
}

async fn named(place: &Place, path: &str) -> Result<Objects, Trouble> {
    let name = |it: &Value| {
        it["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let items = list(place, path).await?.into_iter();
    Ok(items.map(|it| (name(&it), it)).collect())
}

async fn list(place: &Place, path: &str) -> Result<Vec<Value>, Trouble> {
    match place.ask("GET", path, None).await? {
        (200, mut list) => match list["items"].take() {
            Value::Array(items) => Ok(items),
            _ => Err(format!("{path} is answered with no list").into()),
        },
        (code, _) => Err(format!("{path} answers {code}").into()),
    }
}
