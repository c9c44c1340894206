//! Walks both servers and compares. It knows what consumers want and where copies belong, and nothing of how they get there.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::servers::{Consumer, Place, Servers};
use crate::work::Wanted;
use crate::{Trouble, things};

/// How often to look, a second apart, before the day is called lost.
const PATIENCE: usize = 180;

/// Waits until both sides agree, and stay so for another look; the differences when they never do.
pub(crate) async fn agree(
    servers: &Servers,
    consumers: &[Consumer],
    wanted: &Wanted,
) -> Result<(), String> {
    let mut differences = Vec::new();
    let mut well = 0;
    for _ in 0..PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        differences = match walk(servers, consumers, wanted).await {
            Ok(differences) => differences,
            Err(error) => vec![error.to_string()],
        };
        well = if differences.is_empty() { well + 1 } else { 0 };
        if well == 2 {
            return sees(servers, consumers, wanted)
                .await
                .map_err(|it| it.to_string());
        }
    }
    let count = differences.len();
    differences.truncate(20);
    Err(format!("{count} differences:\n{}", differences.join("\n")))
}

/// A checker that sees nothing would always agree: one that is told of another wish has to differ.
async fn sees(servers: &Servers, consumers: &[Consumer], wanted: &Wanted) -> Result<(), Trouble> {
    let mut other = wanted.clone();
    let changed = other.values_mut().find(|wish| wish.secret.is_some());
    changed.ok_or("no order is left that names a Secret")?.size = 7;
    other.pop_last();
    let differences = walk(servers, consumers, &other).await?;
    match differences.len() {
        // A size on both sides; an order and a copy that should be gone, and perhaps its Secret.
        4 | 5 => Ok(()),
        _ => Err(format!("the checker does not see what differs: {differences:?}").into()),
    }
}

async fn walk(
    servers: &Servers,
    consumers: &[Consumer],
    wanted: &Wanted,
) -> Result<Vec<String>, Trouble> {
    let kind = things::kind("Thing");
    let mut differences = Vec::new();
    let mut differ = |what: String| differences.push(what);
    for (n, consumer) in consumers.iter().enumerate() {
        let wanted: BTreeMap<&str, _> = wanted
            .iter()
            .filter(|((whose, _), _)| *whose == n)
            .map(|((_, name), wish)| (name.as_str(), wish))
            .collect();
        let namespace = &consumer.cluster;
        let orders = all(
            &consumer.api,
            &syncagent_core::io::clients::collection(&kind, Some("default")),
        )
        .await?;
        let copies = all(
            &servers.service,
            &syncagent_core::io::clients::collection(&kind, Some(namespace)),
        )
        .await?;
        for (name, wish) in &wanted {
            match orders.get(*name) {
                None => differ(format!("consumer {n} misses {name}")),
                Some(order) => {
                    if order["spec"]["size"] != wish.size {
                        differ(format!(
                            "{name} of consumer {n} has size {}",
                            order["spec"]["size"]
                        ));
                    }
                    if !things::synced(order) {
                        differ(format!(
                            "{name} of consumer {n} is not well: {}",
                            things::condition(order)
                        ));
                    }
                    if order["metadata"]["finalizers"]
                        .as_array()
                        .is_none_or(|it| it.len() != 1)
                    {
                        differ(format!(
                            "{name} of consumer {n} has finalizers {}",
                            order["metadata"]["finalizers"]
                        ));
                    }
                }
            }
            match copies.get(*name) {
                None => differ(format!("{namespace}/{name} has no copy")),
                Some(copy) if copy["spec"]["size"] != wish.size => {
                    differ(format!(
                        "the copy {namespace}/{name} has size {}",
                        copy["spec"]["size"]
                    ));
                }
                Some(_) => {}
            }
        }
        for (whose, found) in [("an order", &orders), ("a copy", &copies)] {
            for name in found
                .keys()
                .filter(|name| !wanted.contains_key(name.as_str()))
            {
                differ(format!("{whose} {namespace}/{name} should be gone"));
            }
        }
        // Exactly the Secrets that orders name have copies, with what is in them.
        let theirs = all(&consumer.api, "/api/v1/namespaces/default/secrets").await?;
        let copied = all(
            &servers.service,
            &format!("/api/v1/namespaces/{namespace}/secrets"),
        )
        .await?;
        let named: BTreeMap<String, &String> = wanted
            .values()
            .filter_map(|wish| wish.secret.as_ref())
            .map(|secret| (format!("{secret}.taken"), secret))
            .collect();
        for (copy, secret) in &named {
            let data = |secrets: &BTreeMap<String, Value>, name: &str| {
                secrets.get(name).map(|it| it["data"].clone())
            };
            let (there, here) = (data(&theirs, secret), data(&copied, copy));
            if there.is_none() || there != here {
                differ(format!(
                    "{namespace}/{copy} is not as {secret}: {}",
                    if here.is_some() {
                        "other data"
                    } else {
                        "missing"
                    }
                ));
            }
        }
        for name in copied
            .keys()
            .filter(|name| name.ends_with(".taken") && !named.contains_key(*name))
        {
            differ(format!("{namespace}/{name} is of no order"));
        }
    }
    // Nothing lies where nobody ordered.
    let everywhere = all(&servers.service, &things::collection(&kind)).await?;
    for copy in everywhere.values() {
        let namespace = copy["metadata"]["namespace"].as_str().unwrap_or_default();
        if !consumers.iter().any(|it| it.cluster == namespace) {
            differ(format!("{namespace} has a copy, and is nobody's"));
        }
    }
    Ok(differences)
}

/// All objects of a list, by name.
async fn all(place: &Place, path: &str) -> Result<BTreeMap<String, Value>, Trouble> {
    let (code, list) = place.ask("GET", path, None).await?;
    if code != 200 {
        return Err(format!("{path} answers {code}").into());
    }
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let name = |it: &Value| {
        it["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    Ok(items.into_iter().map(|it| (name(&it), it)).collect())
}
