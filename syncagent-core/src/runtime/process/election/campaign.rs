//! Winning a Lease, keeping it, giving it back: the requests.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::{Candidate, Move, Observed};
use crate::error::{Error, ErrorKind};
use crate::io::clients::{JSON, Server, escape};
use crate::io::clock::Clock;

/// How soon a Lease is looked at again.
const RETRY: Duration = Duration::from_secs(2);
/// How long a holder that cannot renew its Lease goes on working.
const DEADLINE: Duration = Duration::from_secs(10);
/// How long giving it back may take: what was under way before that had its time (`LAST_STEPS`), and both together stay
/// below the five seconds after which nobody waits for the process any more.
const GOODBYE: Duration = Duration::from_secs(1);

/// One agent's part in an election.
pub(crate) struct Election {
    service: Server,
    us: Candidate,
    clock: Arc<dyn Clock>,
    begun: Instant,
    /// The Lease as it was written or read last; `None`: it has to be read.
    lease: Option<Value>,
    observed: Observed,
    told: BTreeSet<String>,
}

/// What one look at the Lease came to.
enum Look {
    Ours,
    Theirs(String),
    /// Somebody was faster, or nothing is known.
    Again,
}

impl Election {
    pub(crate) fn new(service: Server, us: Candidate, clock: Arc<dyn Clock>) -> Self {
        Self {
            service,
            us,
            clock,
            begun: Instant::now(),
            lease: None,
            observed: Observed::default(),
            told: BTreeSet::new(),
        }
    }

    /// Waits until the Lease is ours.
    pub(crate) async fn won(&mut self) {
        tracing::info!(lease = %self.us.lease, holder = %self.us.holder, "runs for the Lease");
        loop {
            // What others wrote since is only found out by reading.
            self.lease = None;
            match self.look().await {
                Ok(Look::Ours) => {
                    tracing::info!(lease = %self.us.lease, "holds the Lease, and begins");
                    return;
                }
                Ok(Look::Theirs(holder)) => {
                    self.tell(format!(
                        "waits while {holder} holds the Lease {}",
                        self.us.lease
                    ));
                }
                Ok(Look::Again) => {}
                Err(error) => self.tell(self.remedy(&error)),
            }
            sleep(RETRY).await;
        }
    }

    /// Renews the Lease for as long as that works; says why it is lost.
    pub(crate) async fn lost(&mut self) -> String {
        let mut renewed = Instant::now();
        loop {
            sleep(RETRY).await;
            let left = DEADLINE.saturating_sub(renewed.elapsed());
            match timeout(left, self.look()).await {
                Ok(Ok(Look::Ours)) => renewed = Instant::now(),
                Ok(Ok(Look::Theirs(holder))) => return format!("{holder} holds it now"),
                Ok(Ok(Look::Again)) => {}
                Ok(Err(error)) => {
                    self.lease = None;
                    self.tell(self.remedy(&error));
                }
                Err(_) => self.lease = None,
            }
            if renewed.elapsed() >= DEADLINE {
                return format!("it could not be renewed for {} seconds", DEADLINE.as_secs());
            }
        }
    }

    /// Gives the Lease back, so that nobody has to wait for it to run out. Nobody waits long for that either.
    pub(crate) async fn release(&mut self) {
        if timeout(GOODBYE, self.give_back()).await.is_err() {
            tracing::warn!(
                "could not give the Lease back: the service cluster did not answer in time; it runs out by itself"
            );
        }
    }

    async fn give_back(&mut self) {
        for _ in 0..2 {
            if self.lease.is_none() {
                self.lease = self.read().await.ok().flatten();
            }
            let free = self.lease.as_ref();
            let Some(free) = free.and_then(|it| self.us.release(it, self.clock.now())) else {
                return;
            };
            match self.write(http::Method::PUT, &self.path(), &free).await {
                Ok(true) => {
                    tracing::info!(lease = %self.us.lease, "gave the Lease back");
                    return;
                }
                // It was being renewed when we were told to stop.
                Ok(false) => self.lease = None,
                Err(error) => {
                    tracing::warn!("could not give the Lease back: {}", error.chain());
                    return;
                }
            }
        }
    }

    async fn look(&mut self) -> Result<Look, Error> {
        if self.lease.is_none() {
            self.lease = self.read().await?;
        }
        let now = self.begun.elapsed();
        let since = self.observed.see(self.lease.as_ref(), now);
        let (method, path, body) =
            match self
                .us
                .decide(self.lease.as_ref(), since, now, self.clock.now())
            {
                Move::Wait { holder } => return Ok(Look::Theirs(holder)),
                Move::Create(new) => (http::Method::POST, self.collection(), new),
                Move::Update(new) => (http::Method::PUT, self.path(), new),
            };
        if self.write(method, &path, &body).await? {
            let now = self.begun.elapsed();
            self.observed.see(self.lease.as_ref(), now);
            return Ok(Look::Ours);
        }
        self.lease = None;
        Ok(Look::Again)
    }

    async fn read(&self) -> Result<Option<Value>, Error> {
        let path = self.path();
        let reply = self.service.get(&path).await?;
        match reply.code {
            200 => Ok(Some(reply.body)),
            404 => Ok(None),
            _ => Err(self.service.refused(&format!("GET {path}"), &reply)),
        }
    }

    /// Writes the Lease; says whether nobody was faster.
    async fn write(
        &mut self,
        method: http::Method,
        path: &str,
        body: &Value,
    ) -> Result<bool, Error> {
        let told = format!("{method} {path}");
        let reply = self.service.call(method, path, JSON, Some(body)).await?;
        if reply.is_success() {
            self.lease = Some(reply.body);
            return Ok(true);
        }
        match reply.code {
            409 => Ok(false),
            _ => Err(self.service.refused(&told, &reply)),
        }
    }

    fn collection(&self) -> String {
        let namespace = escape(&self.us.namespace);
        format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases")
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), escape(&self.us.lease))
    }

    fn remedy(&self, error: &Error) -> String {
        let what = error.chain();
        let namespace = &self.us.namespace;
        match error.kind() {
            ErrorKind::Denied => format!(
                "{what}; the agent must be allowed to get, create and update leases of coordination.k8s.io in the namespace {namespace}, which has to exist"
            ),
            _ => what,
        }
    }

    /// Tells what was not told yet.
    fn tell(&mut self, what: String) {
        if !self.told.contains(&what) {
            tracing::warn!("{what}");
            self.told.insert(what);
        }
    }
}
