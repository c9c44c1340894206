//! Who works, of several agents of one name: the one that holds the Lease.
//!
//! The Lease, and how it is won, renewed, given back and lost, are those of kcp's Go api-syncagent (client-go's leader
//! election), so that one of them and one of us never work at the same time: that is how the one takes over from the other.
//!
//! ```text
//! no Lease             create it with our name
//! ours                 renew it
//! nobody's             take it
//! somebody's           wait, until it was not renewed for as long as it says, counted from when we saw it change last
//! ```
//!
//! What the clock of another machine says is never compared with ours: only how long *we* have seen nothing change counts.

mod campaign;

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

pub(crate) use campaign::Election;

use crate::object::fingerprint::sha1_hex;

/// How long a Lease that is not renewed is somebody's.
const LEASE: Duration = Duration::from_secs(15);

/// Who runs for a Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// The namespace of the Lease.
    pub(crate) namespace: String,
    /// The name of the Lease.
    pub(crate) lease: String,
    /// Our name on it.
    pub(crate) holder: String,
}

/// What is to be done about a Lease.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Move {
    /// Create this one.
    Create(Value),
    /// Write this one over the one that was seen.
    Update(Value),
    /// Nothing: somebody else holds it.
    Wait {
        /// Who.
        holder: String,
    },
}

/// When a Lease was seen to change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed {
    record: Value,
    at: Duration,
}

impl Observed {
    /// Takes note of a Lease, now; says since when it is as it is.
    pub(crate) fn see(&mut self, lease: Option<&Value>, now: Duration) -> Duration {
        let record = lease.map(|it| it["spec"].clone()).unwrap_or_default();
        if record != self.record {
            *self = Self { record, at: now };
        }
        self.at
    }
}

impl Candidate {
    /// An agent that runs for the Lease of its name. `chance` makes it another candidate than every other process.
    pub(crate) fn new(namespace: &str, agent: &str, host: &str, chance: &str) -> Self {
        let hash = sha1_hex(chance);
        let uuid = [&hash[..8], &hash[8..12], &hash[12..16], &hash[16..20]].join("-");
        Self {
            namespace: namespace.to_owned(),
            lease: format!("syncagent.{agent}"),
            holder: format!("{host}_{uuid}-{}", &hash[20..32]),
        }
    }

    /// What to do about the Lease, which has been as it is since `since`. `wall` is the time for people.
    pub(crate) fn decide(
        &self,
        lease: Option<&Value>,
        since: Duration,
        now: Duration,
        wall: Timestamp,
    ) -> Move {
        let Some(lease) = lease else {
            return Move::Create(json!({
                "apiVersion": "coordination.k8s.io/v1",
                "kind": "Lease",
                "metadata": {"namespace": self.namespace, "name": self.lease},
                "spec": self.spec(wall, wall, 0),
            }));
        };
        let spec = &lease["spec"];
        let holder = spec["holderIdentity"].as_str().unwrap_or_default();
        let ours = holder == self.holder;
        let seconds = spec["leaseDurationSeconds"].as_u64();
        let lasts = seconds.map_or(LEASE, Duration::from_secs);
        if !ours && !holder.is_empty() && now < since + lasts {
            return Move::Wait {
                holder: holder.to_owned(),
            };
        }
        let changes = spec["leaseTransitions"].as_i64().unwrap_or_default();
        let acquired = spec["acquireTime"].as_str().and_then(|it| it.parse().ok());
        let fresh = match acquired {
            Some(acquired) if ours => self.spec(acquired, wall, changes),
            _ if ours => self.spec(wall, wall, changes),
            _ => self.spec(wall, wall, changes + 1),
        };
        Move::Update(with_spec(lease, fresh))
    }

    /// The Lease as nobody's; `None` when it is not ours.
    pub(crate) fn release(&self, lease: &Value, wall: Timestamp) -> Option<Value> {
        let spec = &lease["spec"];
        if spec["holderIdentity"] != self.holder.as_str() {
            return None;
        }
        let mut released = self.spec(wall, wall, spec["leaseTransitions"].as_i64().unwrap_or(0));
        released["holderIdentity"] = "".into();
        released["leaseDurationSeconds"] = 1.into();
        Some(with_spec(lease, released))
    }

    fn spec(&self, acquired: Timestamp, renewed: Timestamp, changes: i64) -> Value {
        json!({
            "holderIdentity": self.holder,
            "leaseDurationSeconds": LEASE.as_secs(),
            "acquireTime": format!("{acquired:.6}"),
            "renewTime": format!("{renewed:.6}"),
            "leaseTransitions": changes,
        })
    }
}

/// A Lease with another spec; what else is in it stays.
fn with_spec(lease: &Value, fresh: Value) -> Value {
    let mut lease = lease.clone();
    if let (Some(spec), Value::Object(fresh)) = (lease["spec"].as_object_mut(), &fresh) {
        spec.extend(fresh.clone());
    } else {
        lease["spec"] = fresh;
    }
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    const WALL: &str = "2026-11-29T02:00:00.000000Z";

    fn us() -> Candidate {
        Candidate {
            namespace: "kcp-system".into(),
            lease: "syncagent.pg".into(),
            holder: "host_us".into(),
        }
    }

    fn lease(holder: &str, seconds: u64) -> Value {
        json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": "syncagent.pg", "namespace": "kcp-system", "resourceVersion": "7"},
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "leaseTransitions": 3,
                "acquireTime": "2026-11-28T00:00:00.000000Z", "renewTime": "2026-11-28T00:00:00.000000Z",
                "strategy": "x"},
        })
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    fn decide(lease: Option<&Value>, since: u64, now: u64) -> Move {
        us().decide(lease, seconds(since), seconds(now), WALL.parse().unwrap())
    }

    #[test]
    fn who_may_work_follows_from_the_lease_and_from_how_long_it_stood_still() {
        for (holder, lasts, since, now, wanted) in [
            ("host_us", 15, 0, 1000, "renew"),
            ("", 15, 0, 0, "take"),
            ("", 1, 0, 0, "take"),
            ("other", 15, 100, 100, "wait"),
            ("other", 15, 100, 114, "wait"),
            ("other", 15, 100, 115, "take"),
            ("other", 60, 100, 159, "wait"),
            ("other", 60, 100, 160, "take"),
        ] {
            let lease = lease(holder, lasts);
            let what = match decide(Some(&lease), since, now) {
                Move::Create(_) => "create",
                Move::Wait { holder: told } => {
                    assert_eq!(told, holder);
                    "wait"
                }
                Move::Update(new) => {
                    assert_eq!(new["metadata"], lease["metadata"]);
                    let spec = &new["spec"];
                    assert_eq!(spec["holderIdentity"], "host_us");
                    assert_eq!(spec["renewTime"], WALL);
                    assert_eq!(spec["leaseDurationSeconds"], 15);
                    assert_eq!(spec["strategy"], "x", "what we do not know stays");
                    match spec["leaseTransitions"].as_i64() {
                        Some(3) => {
                            assert_eq!(spec["acquireTime"], "2026-11-28T00:00:00.000000Z");
                            "renew"
                        }
                        Some(4) => {
                            assert_eq!(spec["acquireTime"], WALL);
                            "take"
                        }
                        other => panic!("{other:?}"),
                    }
                }
            };
            assert_eq!(
                what, wanted,
                "{holder:?} lasts {lasts} since {since} now {now}"
            );
        }
    }

    #[test]
    fn a_lease_that_is_not_there_is_made() {
        let Move::Create(made) = decide(None, 0, 0) else {
            panic!("nothing is made");
        };
        assert_eq!(made["metadata"]["name"], "syncagent.pg");
        assert_eq!(made["spec"]["acquireTime"], WALL);
        assert_eq!(made["spec"]["leaseTransitions"], 0);
    }

    #[test]
    fn a_lease_without_anything_in_it_is_nobodys() {
        let empty = json!({"metadata": {"resourceVersion": "1"}});
        let Move::Update(new) = decide(Some(&empty), 0, 0) else {
            panic!("it is not taken");
        };
        assert_eq!(new["spec"]["holderIdentity"], "host_us");
    }

    #[test]
    fn a_lease_that_changes_is_seen_anew() {
        let mut seen = Observed::default();
        let mut held = lease("other", 15);
        assert_eq!(seen.see(Some(&held), seconds(5)), seconds(5));
        assert_eq!(seen.see(Some(&held), seconds(9)), seconds(5));
        held["metadata"]["resourceVersion"] = "8".into();
        assert_eq!(seen.see(Some(&held), seconds(10)), seconds(5));
        held["spec"]["renewTime"] = WALL.into();
        assert_eq!(seen.see(Some(&held), seconds(11)), seconds(11));
    }

    #[test]
    fn only_what_is_ours_is_given_back() {
        let wall = WALL.parse().unwrap();
        assert_eq!(us().release(&lease("other", 15), wall), None);
        let free = us().release(&lease("host_us", 15), wall).unwrap();
        assert_eq!(free["spec"]["holderIdentity"], "");
        assert_eq!(free["spec"]["leaseDurationSeconds"], 1);
        assert_eq!(free["spec"]["leaseTransitions"], 3);
        assert_eq!(free["metadata"]["resourceVersion"], "7");
        assert!(matches!(decide(Some(&free), 0, 0), Move::Update(_)));
    }

    #[test]
    fn two_processes_are_two_candidates() {
        let of = |chance| Candidate::new("ns", "pg", "host", chance).holder;
        assert_ne!(of("1"), of("2"));
        let uuid = of("1").strip_prefix("host_").map(str::len);
        assert_eq!(uuid, Some(36));
    }
}
