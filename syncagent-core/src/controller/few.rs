//! A few numbers: almost always one.

use std::collections::BTreeSet;

/// A set of numbers that takes no room of its own while it holds one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Few {
    One(u32),
    #[expect(
        clippy::box_collection,
        reason = "a pointer is all that one number has room for"
    )]
    Many(Box<BTreeSet<u32>>),
}

impl Few {
    /// Adds a number.
    pub(crate) fn add(&mut self, number: u32) {
        match self {
            Self::One(one) if *one == number => {}
            Self::One(one) => *self = Self::Many(Box::new([*one, number].into())),
            Self::Many(many) => drop(many.insert(number)),
        }
    }

    /// Takes a number out; says whether none is left.
    pub(crate) fn remove(&mut self, number: u32) -> bool {
        match self {
            Self::One(one) => *one == number,
            Self::Many(many) => {
                many.remove(&number);
                if let (1, Some(last)) = (many.len(), many.first()) {
                    *self = Self::One(*last);
                }
                false
            }
        }
    }

    /// All of them, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = u32> {
        let (one, many) = match self {
            Self::One(one) => (Some(*one), None),
            Self::Many(many) => (None, Some(many.iter().copied())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_becomes_many_and_one_again() {
        let mut few = Few::One(3);
        few.add(3);
        assert_eq!(few, Few::One(3));
        few.add(1);
        few.add(2);
        assert_eq!(few.iter().collect::<Vec<_>>(), [1, 2, 3]);
        assert!(!few.remove(1));
        assert!(!few.remove(3));
        assert_eq!(few, Few::One(2));
        assert!(few.remove(2));
    }
}
