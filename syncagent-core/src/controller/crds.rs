//! The CRDs of the kinds that stand behind publications, followed one by one.
//!
//! A kind that is missing is waited for: its CRD is watched, and discovery is asked now and then for kinds that come without
//! one. A kind that is there costs nothing but its watch. A CRD that was deleted and made again is told as missing in
//! between, for everything that was there is gone. That a kind is served without a CRD is told when discovery has said so
//! for some seconds, and asked again for a minute.

use tokio::sync::mpsc;
use tokio::time::timeout;

use super::follow::{Crdless, Follower, Followers};
use crate::definition::Kind;
use crate::io::AbortOnDrop;
use crate::io::announce::Announcer;
use crate::io::clients::Server;
use crate::io::discovery::{Found, find, has_crds};
use crate::io::watch::Event;
use crate::names;
use crate::object;

/// Follows kinds.
pub(crate) type Crds = Followers<Kind, Found>;

impl Crds {
    /// Follows nothing yet; what is found out comes through the channel.
    pub(crate) fn of(
        service: Server,
        announcer: Announcer,
    ) -> (Self, mpsc::Receiver<(Kind, Found)>) {
        Self::new(service, announcer, |it| AbortOnDrop(tokio::spawn(it.run())))
    }
}

/// What an event is to a follower.
enum Heard {
    Nothing,
    Crd(Box<Found>),
    /// The CRD is not there: ask.
    Ask,
    /// CRDs cannot be watched, or not now: ask, unless the kind is known already.
    Trouble(String),
    End,
}

impl Follower<Kind, Found> {
    async fn run(self) {
        if has_crds(&self.what.group) {
            self.follow().await;
        } else {
            self.ask().await;
        }
    }

    /// Asks for a kind that can have no CRD until it is there.
    async fn ask(mut self) {
        while self.last != Some(Found::Bare) {
            match find(&self.service, &self.what).await {
                Ok(found) => {
                    self.answered();
                    self.tell(found).await;
                }
                Err(error) => self.trouble(&error),
            }
            tokio::time::sleep(self.poll.pause()).await;
        }
    }

    /// Follows the CRD of a kind, and asks for the kind where there is none.
    async fn follow(mut self) {
        let (_watch, mut heard) = self.watch_crd(&names::resource(&self.what));
        let mut there = false;
        let mut asking = false;
        let mut crdless = None;
        loop {
            let event = if asking {
                Heard::Ask
            } else if crdless.is_some_and(Crdless::is_asked_again)
                || matches!(self.last, Some(Found::Missing))
            {
                // Not every kind has a CRD that would tell.
                let event = timeout(self.poll.pause(), heard.recv()).await;
                event.map_or(Heard::Ask, |event| understood(event, &mut there))
            } else {
                understood(heard.recv().await, &mut there)
            };
            let barred = matches!(event, Heard::Trouble(_));
            match event {
                Heard::Nothing => continue,
                Heard::Crd(found) => {
                    self.tell(*found).await;
                    self.poll.reset();
                    crdless = None;
                    continue;
                }
                Heard::End => return,
                Heard::Trouble(_) if self.last.is_some() => continue,
                Heard::Trouble(what) => tracing::debug!("{what}"),
                Heard::Ask => {}
            }
            match find(&self.service, &self.what).await {
                Ok(found) => {
                    asking = false;
                    self.answered();
                    if found == Found::Bare && barred {
                        // If there is a CRD, the agent may not follow it.
                        return self.tell(found).await;
                    }
                    crdless = (found == Found::Bare).then(|| self.poll.crdless(crdless));
                    match (crdless, &self.last) {
                        (Some(Crdless::Doubted), None) => {}
                        (Some(Crdless::Doubted), _) => self.tell(Found::Missing).await,
                        _ => self.tell(found).await,
                    }
                }
                Err(error) => {
                    self.trouble(&error);
                    tokio::time::sleep(self.poll.pause()).await;
                    asking = true;
                }
            }
        }
    }

    /// Tells what is new.
    async fn tell(&mut self, found: Found) {
        if self.last.as_ref().is_some_and(|last| last.says_as(&found)) {
            return;
        }
        let another = match (&self.last, &found) {
            (Some(Found::Crd(last)), Found::Crd(now)) => object::uid(last) != object::uid(now),
            _ => false,
        };
        if another {
            self.send(Found::Missing).await;
        }
        self.send(found).await;
    }
}

fn understood(event: Option<Event>, there: &mut bool) -> Heard {
    match event {
        None => Heard::End,
        Some(Event::There(crd)) => {
            *there = true;
            Heard::Crd(Box::new(Found::of(crd)))
        }
        Some(Event::Listing(_)) => {
            *there = false;
            Heard::Nothing
        }
        Some(Event::Restored) => Heard::Nothing,
        Some(Event::Listed) if *there => Heard::Nothing,
        Some(Event::Listed | Event::Left(_)) => Heard::Ask,
        Some(Event::Trouble(trouble)) => Heard::Trouble(trouble.what),
    }
}
