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
        }
        knocks
    }

    /// An order stands before these doors and no others, or is gone; gives those who may try now.
    pub(crate) fn leave(&mut self, order: u32, but: &BTreeSet<Which>) -> BTreeSet<u32> {
        let mut called = BTreeSet::new();
        self.closed.retain(|which, door| {
            if but.contains(which) {
                return true;
            }
            door.waiting.remove(&order);
            let open = door.knocks == order;
            if open {
                called.append(&mut door.waiting);
            }
            !open
        });
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
    }
}
