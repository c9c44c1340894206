//! Which numbers belong to a hash: almost always one.

use std::collections::{BTreeSet, HashMap};

/// Sets of numbers by hash. A set of one takes no room of its own.
#[derive(Debug, Default)]
pub(crate) struct Sets {
    sets: HashMap<u64, Few>,
    many: Vec<BTreeSet<u32>>,
    free: Vec<u32>,
}

#[derive(Clone, Copy, Debug)]
enum Few {
    One(u32),
    /// Where among the many.
    Many(u32),
}

impl Sets {
    /// Adds a number.
    pub(crate) fn add(&mut self, hash: u64, number: u32) {
        let few = match self.sets.get(&hash) {
            None => Few::One(number),
            Some(Few::One(one)) if *one == number => return,
            Some(Few::One(one)) => Few::Many(self.keep([*one, number].into())),
            Some(Few::Many(at)) => {
                self.many[*at as usize].insert(number);
                return;
            }
        };
        self.sets.insert(hash, few);
    }

    fn keep(&mut self, set: BTreeSet<u32>) -> u32 {
        if let Some(at) = self.free.pop() {
            self.many[at as usize] = set;
            return at;
        }
        self.many.push(set);
        u32::try_from(self.many.len() - 1).expect("fewer sets than numbers")
    }

    /// Takes a number out.
    pub(crate) fn remove(&mut self, hash: u64, number: u32) {
        match self.sets.get(&hash) {
            Some(Few::One(one)) if *one == number => {
                self.sets.remove(&hash);
            }
            Some(Few::Many(at)) => {
                let (at, set) = (*at, &mut self.many[*at as usize]);
                set.remove(&number);
                if set.len() == 1
                    && let Some(last) = set.pop_first()
                {
                    self.sets.insert(hash, Few::One(last));
                    self.free.push(at);
                }
            }
            _ => {}
        }
    }

    /// All numbers of a hash, ascending.
    pub(crate) fn of(&self, hash: u64) -> impl Iterator<Item = u32> {
        let (one, many) = match self.sets.get(&hash) {
            None => (None, None),
            Some(Few::One(one)) => (Some(*one), None),
            Some(Few::Many(at)) => (None, Some(self.many[*at as usize].iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_becomes_many_and_one_again() {
        let mut sets = Sets::default();
        let all = |sets: &Sets| sets.of(7).collect::<Vec<_>>();
        assert!(all(&sets).is_empty());
        for number in [3, 3, 1, 2] {
            sets.add(7, number);
        }
        sets.add(8, 9);
        assert_eq!(all(&sets), [1, 2, 3]);
        for number in [1, 4, 3] {
            sets.remove(7, number);
        }
        assert_eq!(all(&sets), [2]);
        sets.add(8, 10);
        assert_eq!(sets.many.len(), 1, "its room was free");
        sets.remove(7, 2);
        assert!(all(&sets).is_empty());
        assert_eq!(sets.of(8).collect::<Vec<_>>(), [9, 10]);
    }
}
