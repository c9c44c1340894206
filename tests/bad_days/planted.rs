//! Mistakes that are planted on both servers while nobody works: the checker must see each of them, and an agent that comes
//! back must set right what is its own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::checker::walk;
use crate::place::Place;
use crate::servers::{Consumer, Servers};
use crate::work::{Wanted, Wish};
use crate::{Trouble, things};

/// A mistake: what is done for it, and in which words the checker tells of it.
struct Mistake<'a> {
    place: &'a Place,
    done: Done,
    path: String,
    told: String,
}

enum Done {
    Made(Value),
    Changed(Value),
    Removed,
}

/// Plants them one after the other while the only agent is dead and the operator rests; then both are back.
pub(crate) async fn plant(
    servers: &mut Servers,
    consumers: &[Consumer],
    wanted: &Wanted,
) -> Result<(), Trouble> {
    servers.kill_agent(0)?;
    servers.rest();
    let strays = {
        let mistakes = mistakes(servers, consumers, wanted)?;
        let mut known: Vec<String> = Vec::new();
        for mistake in &mistakes {
            let (place, path) = (mistake.place, &*mistake.path);
            match &mistake.done {
                Done::Made(object) => place.insist("POST", path, Some(object), &[201]).await?,
                Done::Changed(change) => place.insist("PATCH", path, Some(change), &[200]).await?,
                Done::Removed => {
                    place
                        .insist("DELETE", path, Some(&json!({})), &[200])
                        .await?
                }
            };
            let (differences, _) = walk(servers, consumers, wanted).await?;
            let new = differences.iter().filter(|it| !known.contains(it));
            let new: Vec<&String> = new.collect();
            if new != [&mistake.told] || differences.len() != known.len() + 1 {
                let told = &mistake.told;
                return Err(format!("{told:?} is planted, and the checker sees {new:#?}").into());
            }
            known = differences;
        }
        println!("  {} mistakes are planted, and seen", mistakes.len());
        let made = mistakes.into_iter().filter_map(|it| match it.done {
            Done::Made(object) => {
                let name = object["metadata"]["name"].as_str().unwrap_or_default();
                Some(format!("{}/{name}", it.path))
            }
            _ => None,
        });
        made.collect::<Vec<_>>()
    };
    servers.work();
    servers.start_agent(0)?;
    // What carries no mark of the agent is none of its business.
    for stray in strays {
        servers.service.remove(&stray).await?;
    }
    Ok(())
}

fn mistakes<'a>(
    servers: &'a Servers,
    consumers: &'a [Consumer],
    wanted: &Wanted,
) -> Result<Vec<Mistake<'a>>, Trouble> {
    let kind = things::kind("Thing");
    let make = servers.agents.make();
    let service = &servers.service;
    let (naming, plain): (Vec<_>, Vec<_>) =
        wanted.iter().partition(|(_, wish)| wish.secret.is_some());
    let (mut naming, mut plain) = (naming.into_iter(), plain.into_iter());
    let mut mistakes = Vec::new();
    let mut plant = |place, done, path: String, told: String| {
        mistakes.push(Mistake {
            place,
            done,
            path,
            told,
        });
    };
    let mut next = || -> Result<(usize, &str, &Consumer), Trouble> {
        let ((whose, name), _) = plain.next().ok_or("too few orders are left")?;
        Ok((*whose, name, &consumers[*whose]))
    };
    let mut next_naming = || -> Result<(&Wish, &Consumer), Trouble> {
        let ((whose, _), wish) = naming.next().ok_or("too few orders name Secrets")?;
        Ok((wish, &consumers[*whose]))
    };
    let lost = json!({"status": {"phase": "lost"}});

    let (_, name, Consumer { cluster, .. }) = next()?;
    plant(
        service,
        Done::Changed(json!({"spec": {"size": 9}})),
        things::path(&kind, cluster, name),
        format!("the copy {cluster}/{name} has size 9"),
    );
    let (_, name, Consumer { cluster, .. }) = next()?;
    plant(
        service,
        Done::Removed,
        things::path(&kind, cluster, name),
        format!("{cluster}/{name} has no copy"),
    );
    let (_, name, Consumer { cluster, .. }) = next()?;
    plant(
        service,
        Done::Changed(lost.clone()),
        format!("{}/status", things::path(&kind, cluster, name)),
        format!("the copy {cluster}/{name} is said to be \"lost\""),
    );
    let (n, name, Consumer { api, .. }) = next()?;
    plant(
        api,
        Done::Changed(lost),
        format!("{}/status", things::path(&kind, "default", name)),
        format!("{name} of consumer {n} is said to be \"lost\""),
    );
    let (n, name, Consumer { api, .. }) = next()?;
    plant(
        api,
        Done::Changed(json!({"metadata": {"finalizers": null}})),
        things::path(&kind, "default", name),
        format!("{name} of consumer {n} has finalizers null"),
    );
    if make.tells() {
        let (n, name, Consumer { api, .. }) = next()?;
        plant(
            api,
            Done::Changed(json!({"status": {"conditions": null}})),
            format!("{}/status", things::path(&kind, "default", name)),
            format!("{name} of consumer {n} is not well: null"),
        );
    }
    for done in [
        Done::Changed(json!({"data": {"password": STANDARD.encode("stolen")}})),
        Done::Removed,
    ] {
        let (wish, Consumer { cluster, .. }) = next_naming()?;
        let (secret, _) = wish.secret.as_ref().ok_or("it names a Secret")?;
        let copy = make.copy_of(secret);
        let told = match done {
            Done::Removed => format!("{cluster}/{copy} has no copy of {secret}"),
            _ => format!("the copy {cluster}/{copy} of {secret} is not as wanted"),
        };
        let path = format!("/api/v1/namespaces/{cluster}/secrets/{copy}");
        plant(service, done, path, told);
    }
    let namespace = &consumers[0].cluster;
    for (namespace, told) in [
        (
            &**namespace,
            format!("a copy {namespace}/stray should be gone"),
        ),
        ("default", "default has a copy, and is nobody's".to_owned()),
    ] {
        let mut stray = things::order(&kind, "stray", &json!({"size": 1}));
        stray["metadata"]["namespace"] = json!(namespace);
        let path = syncagent_core::io::clients::collection(&kind, Some(namespace));
        plant(service, Done::Made(stray), path, told);
    }
    plant(
        service,
        Done::Made(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "stray"}})),
        format!("/api/v1/namespaces/{namespace}/secrets"),
        format!("the Secret {namespace}/stray is of no order"),
    );
    Ok(mistakes)
}
