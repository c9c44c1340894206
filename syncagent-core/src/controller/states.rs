//! What the Go agent remembers, found out with one paged LIST at the start.
//!
//! Bodies of state Secrets are read and dropped; what stays until an order asks for it are hashes, and after that only that
//! there is such a Secret. Nobody writes these Secrets while we run, so one that was not listed is not there. Whoever asks
//! twice, after a failure or for a new generation, costs a GET.

use std::collections::{BTreeMap, HashMap};

use serde_json::json;

use crate::error::Error;
use crate::io::clients::Server;
use crate::io::observe;
use crate::object::fingerprint::Fingerprint;
use crate::object::meta;
use crate::plan::{Depth, ObjectRef, Sight, Stated};

/// All state Secrets that were listed, by namespace.
#[derive(Debug, Default)]
pub(crate) struct States(tokio::sync::Mutex<BTreeMap<String, Listed>>);

#[derive(Debug)]
enum Listed {
    /// By their names' hashes; `None`: somebody has it already.
    All(HashMap<Fingerprint, Option<Stated>>),
    /// They may not be listed.
    Barred,
}

/// What is answered, and whether a server had to be asked for it alone.
pub(crate) struct Answer {
    pub(crate) stated: Stated,
    pub(crate) asked: bool,
}

impl States {
    /// What a state Secret tells.
    ///
    /// # Errors
    ///
    /// When the server does not answer.
    pub(crate) async fn of(&self, server: &Server, secret: &ObjectRef) -> Result<Answer, Error> {
        let mut known = self.0.lock().await;
        let listed = match known.get_mut(&secret.namespace) {
            Some(listed) => listed,
            None => {
                let mut all = HashMap::new();
                let listed = observe::states(server, &secret.namespace, |secret| {
                    let print = print(meta(secret, "name"));
                    all.insert(print, Some(Stated::read(secret)));
                });
                let listed = match listed.await? {
                    true => Listed::All(all),
                    false => Listed::Barred,
                };
                known.entry(secret.namespace.clone()).or_insert(listed)
            }
        };
        if let Listed::All(all) = listed {
            let here = |stated| Answer {
                stated,
                asked: false,
            };
            match all.get_mut(&print(&secret.name)).map(Option::take) {
                None => return Ok(here(Stated::default())),
                Some(Some(stated)) => return Ok(here(stated)),
                Some(None) => {}
            }
        }
        drop(known);
        let stated = match observe::look(server, secret, Depth::Body).await? {
            Sight::There(secret) => Stated::read(&secret),
            _ => Stated::default(),
        };
        Ok(Answer {
            stated,
            asked: true,
        })
    }
}

fn print(name: &str) -> Fingerprint {
    Fingerprint::of(&json!(name))
}
