//! What stands behind `PublishedResource` objects: the CRD of their kind, or what a server without a CRD says about it.
//!
//! A CRD is followed by its name. A kind that is not there is asked for again and again, ever more seldom. One that is served
//! without a CRD is part of a server; it is believed to be so when it showed none for some seconds, and asked for again for a
//! minute, since discovery goes on showing a kind for a moment after its CRD is gone. Whether a CRD comes is watched on.

use serde_json::Value;
use tokio::sync::mpsc;

use super::super::follow::{Crdless, Follower, Followers};
use super::Named;
use crate::compat::openapi::{Documents, Found};
use crate::compat::{FieldProblem, Source};
use crate::error::Error;
use crate::io::AbortOnDrop;
use crate::io::announce::Announcer;
use crate::io::clients::{Server, escape};
use crate::io::discovery::{self, CRDS, has_crds};
use crate::io::watch::Event;
use crate::object;

/// What stands behind an object.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Behind {
    There(Box<Source>),
    /// Nothing, and why.
    Missing(FieldProblem),
}

/// Follows kinds.
pub(super) type Sources = Followers<Named, Behind>;

impl Sources {
    /// Follows nothing yet; what is found out comes through the channel.
    pub(super) fn of(
        service: Server,
        announcer: Announcer,
    ) -> (Self, mpsc::Receiver<(Named, Behind)>) {
        Self::new(service, announcer, |it| AbortOnDrop(tokio::spawn(it.run())))
    }
}

/// What a look at a server comes to.
enum Look {
    /// There is a CRD.
    Crd(Value),
    /// There is none of this name, and it is served all the same.
    Bare(String, Box<Source>),
    Missing(FieldProblem),
}

impl Follower<Named, Behind> {
    async fn run(mut self) {
        let mut crdless = None;
        loop {
            match look(&self.service, &self.what).await {
                Ok(Look::Crd(crd)) => {
                    crdless = None;
                    self.poll.reset();
                    self.answered();
                    self.follow(object::meta(&crd, "name")).await;
                }
                Ok(Look::Bare(name, source)) => {
                    self.answered();
                    if !has_crds(&self.what.0) {
                        return self.tell(Behind::There(source)).await;
                    }
                    let now = self.poll.crdless(crdless);
                    crdless = Some(now);
                    match (now, &self.last) {
                        (Crdless::Doubted, None) => {}
                        (Crdless::Doubted, _) => {
                            self.tell(Behind::Missing(unserved(&self.what))).await;
                        }
                        _ => self.tell(Behind::There(source)).await,
                    }
                    if now == Crdless::Certain {
                        self.await_crd(&name).await;
                        self.poll.reset();
                    }
                }
                Ok(Look::Missing(problem)) => {
                    crdless = None;
                    self.answered();
                    self.tell(Behind::Missing(problem)).await;
                }
                Err(error) => self.trouble(&error),
            }
            tokio::time::sleep(self.poll.pause()).await;
        }
    }

    /// Waits until there is a CRD where none was.
    async fn await_crd(&mut self, name: &str) {
        let (_watch, mut heard) = self.watch_crd(name);
        while let Some(event) = heard.recv().await {
            match event {
                Event::There(_) => return,
                Event::Trouble(trouble) => {
                    self.announcer.heard(&trouble);
                }
                Event::Listing(_) | Event::Listed | Event::Left(_) | Event::Restored => {}
            }
        }
    }

    /// Follows a CRD until it is gone.
    async fn follow(&mut self, name: &str) {
        let (_watch, mut heard) = self.watch_crd(name);
        let mut there = false;
        while let Some(event) = heard.recv().await {
            match event {
                Event::There(crd) => {
                    there = true;
                    // One that goes away serves nothing, and the list of what is served says it soon.
                    match discovery::Found::of(crd) {
                        discovery::Found::Crd(crd) => self.tell_crd(&crd).await,
                        _ => return,
                    }
                }
                Event::Listing(_) => there = false,
                Event::Restored => {}
                Event::Listed if there => {}
                Event::Listed | Event::Left(_) => return,
                Event::Trouble(trouble) => {
                    self.announcer.heard(&trouble);
                }
            }
        }
    }

    async fn tell_crd(&mut self, crd: &Value) {
        let found = match crd["spec"]["names"]["kind"] == self.what.1.as_str() {
            true => Behind::There(Box::new(Source::from_crd(crd))),
            false => Behind::Missing(unserved(&self.what)),
        };
        self.tell(found).await;
    }

    /// Tells what is new.
    async fn tell(&mut self, found: Behind) {
        if self.last.as_ref() != Some(&found) {
            self.send(found).await;
        }
    }
}

/// What stands behind a kind now; or why nothing does.
///
/// # Errors
///
/// When the server does not answer, or answers what says nothing.
pub(crate) async fn fetch(
    service: &Server,
    named: &Named,
) -> Result<Result<Source, FieldProblem>, Error> {
    Ok(match look(service, named).await? {
        Look::Crd(crd) => Ok(Source::from_crd(&crd)),
        Look::Bare(_, source) => Ok(*source),
        Look::Missing(problem) => Err(problem),
    })
}

/// Looks a kind up in discovery, and from there in CRDs or OpenAPI.
async fn look(service: &Server, named: &Named) -> Result<Look, Error> {
    let (group, kind) = named;
    let Some((lists, preferred)) = lists(service, group).await? else {
        return Ok(Look::Missing(unserved(named)));
    };
    let found = match Found::of(group, kind, &lists) {
        Ok(found) => found,
        Err(problem) => return Ok(Look::Missing(problem)),
    };
    let name = found.crd_name();
    let path = format!("{CRDS}/{}", escape(&name));
    let reply = service.get(&path).await?;
    match reply.code {
        200 => return Ok(Look::Crd(reply.body)),
        404 => {}
        _ => return Err(service.refused(&format!("GET {path}"), &reply)),
    }
    let path = "/openapi/v2";
    let reply = service.get(path).await?;
    if !reply.is_success() {
        return Err(service.refused(&format!("GET {path}"), &reply));
    }
    let documents = Documents {
        lists: &lists,
        preferred: &preferred,
        openapi: &reply.body,
    };
    Ok(match Source::from_openapi(&found, &documents) {
        Ok(source) => Look::Bare(name, Box::new(source)),
        Err(problem) => Look::Missing(problem),
    })
}

/// The resource lists of a group and the version that it prefers; `None`: there is no such group. A version that fails, as of
/// an aggregated API whose server is away, is left out rather than keep the others from being seen.
async fn lists(service: &Server, group: &str) -> Result<Option<(Vec<Value>, String)>, Error> {
    let (versions, preferred) = match group {
        "" => (vec!["/api/v1".to_owned()], "v1".to_owned()),
        group => {
            let path = format!("/apis/{}", escape(group));
            let reply = service.get(&path).await?;
            match reply.code {
                200 => {}
                404 => return Ok(None),
                _ => return Err(service.refused(&format!("GET {path}"), &reply)),
            }
            let text = |it: &Value| it["version"].as_str().unwrap_or_default().to_owned();
            let versions = reply.body["versions"].as_array().into_iter().flatten();
            let versions = versions.map(|it| format!("{path}/{}", escape(&text(it))));
            (versions.collect(), text(&reply.body["preferredVersion"]))
        }
    };
    let mut lists = Vec::new();
    for path in versions {
        let reply = service.get(&path).await?;
        if reply.is_success() {
            lists.push(reply.body);
        }
    }
    Ok(Some((lists, preferred)))
}

fn unserved((group, kind): &Named) -> FieldProblem {
    FieldProblem::new(
        "spec.resource",
        format!("the service cluster serves no {kind} in the group `{group}`"),
    )
}
