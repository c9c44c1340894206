//! Orders that wait until their gate opens, and which of them wait for their other half.

use std::collections::BTreeMap;

/// A half of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// What the consumer made.
    Origin,
    /// What we maintain.
    Copy,
}

/// Orders whose gate is closed.
#[derive(Debug, Default)]
pub(crate) struct Gated {
    orders: BTreeMap<u32, Option<Side>>,
    alone: [usize; 2],
}

impl Gated {
    /// An order waits, with these bodies in hand: its origin's, its copy's.
    pub(crate) fn add(&mut self, order: u32, sides: (bool, bool)) {
        self.remove(order);
        let side = match sides {
            (true, false) => Some(Side::Origin),
            (false, true) => Some(Side::Copy),
            _ => None,
        };
        if let Some(side) = side {
            self.alone[side as usize] += 1;
        }
        self.orders.insert(order, side);
    }

    /// An order does not wait any more.
    pub(crate) fn remove(&mut self, order: u32) {
        if let Some(Some(side)) = self.orders.remove(&order) {
            self.alone[side as usize] -= 1;
        }
    }

    /// How many wait with only this half in hand.
    pub(crate) fn alone(&self, side: Side) -> usize {
        self.alone[side as usize]
    }

    pub(crate) fn has(&self, order: u32) -> bool {
        self.orders.contains_key(&order)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.orders.is_empty()
    }

    /// All of them, who wait here no longer.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = u32> + use<> {
        self.alone = [0; 2];
        std::mem::take(&mut self.orders).into_keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_counted() {
        let mut gated = Gated::default();
        gated.add(1, (true, false));
        gated.add(2, (true, false));
        gated.add(3, (true, true));
        assert_eq!((gated.alone(Side::Origin), gated.alone(Side::Copy)), (2, 0));
        gated.add(1, (false, true));
        gated.remove(2);
        assert_eq!((gated.alone(Side::Origin), gated.alone(Side::Copy)), (0, 1));
        assert_eq!(gated.take().collect::<Vec<_>>(), [1, 3]);
        assert!(gated.is_empty() && gated.alone(Side::Copy) == 0);
    }
}
