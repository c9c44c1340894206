//! What may not be read: a kind of objects in a workspace, or on the service cluster.
//!
//! Nothing tells when permission is given, and it is given to all orders at once. So one order of those that wait before a
//! closed door knocks, soon and later each time; the others wait long, and come when somebody got through.

use std::collections::{BTreeMap, BTreeSet};

use crate::definition::Kind;
use crate::plan::Place;

/// Objects of this kind in this place.
pub(crate) type Which = (Place, Kind);

/// All doors that are closed.
#[derive(Debug, Default)]
pub(crate) struct Doors {
    closed: BTreeMap<Which, Door>,
    /// Before which of them an order stands: there may be one for each workspace, and every step asks.
    standing: BTreeMap<u32, BTreeSet<Which>>,
}

#[derive(Debug)]
struct Door {
    knocks: u32,
    waiting: BTreeSet<u32>,
}

impl Doors {
    /// An order stands before these doors; says whether it is the one that knocks at any of them.
    pub(crate) fn wait(&mut self, order: u32, before: &BTreeSet<Which>) -> bool {
        let mut knocks = false;
        for which in before {
            let door = self.closed.entry(which.clone());
            let door = door.or_insert_with(|| Door {
                knocks: order,
                waiting: BTreeSet::new(),
            });
            if door.knocks == order {
                knocks = true;
            } else {
                door.waiting.insert(order);
            }
            self.standing
                .entry(order)
                .or_default()
                .insert(which.clone());
        }
        knocks
    }

    /// An order stands before these doors and no others, or is gone; gives those who may try now.
    pub(crate) fn leave(&mut self, order: u32, but: &BTreeSet<Which>) -> BTreeSet<u32> {
        let mut called = BTreeSet::new();
        let Some(mut before) = self.standing.remove(&order) else {
            return called;
        };
        for which in before.extract_if(.., |it| !but.contains(it)) {
            let Some(door) = self.closed.get_mut(&which) else {
                continue;
            };
            door.waiting.remove(&order);
            if door.knocks == order {
                called.append(&mut door.waiting);
                self.closed.remove(&which);
            }
        }
        if !before.is_empty() {
            self.standing.insert(order, before);
        }
        called
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ObjectRef;

    fn which(cluster: &str) -> Which {
        let place = Place::Workspace(cluster.to_owned());
        (place, ObjectRef::service_namespace("x").kind)
    }

    #[test]
    fn one_knocks_for_all_and_calls_them() {
        let mut doors = Doors::default();
        let one = BTreeSet::from([which("1")]);
        assert!(doors.wait(1, &one));
        assert!(!doors.wait(2, &one));
        assert!(!doors.wait(3, &one));
        assert!(doors.wait(1, &one), "again and again");
        // Before another door another one knocks.
        assert!(doors.wait(4, &BTreeSet::from([which("2")])));
        // Who had to wait and need not any more does not open the door for others.
        assert_eq!(doors.leave(3, &BTreeSet::new()), BTreeSet::new());
        assert_eq!(doors.leave(1, &one), BTreeSet::new());
        assert_eq!(doors.leave(1, &BTreeSet::new()), BTreeSet::from([2]));
        assert!(doors.wait(2, &one), "it was closed again");
        assert_eq!(doors.leave(4, &BTreeSet::new()), BTreeSet::new());
        assert_eq!(doors.closed.len(), 1);
        doors.leave(2, &BTreeSet::new());
        assert!(doors.closed.is_empty() && doors.standing.is_empty());
    }
}
