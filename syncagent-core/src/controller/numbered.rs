//! Things that many have in common, each kept once, and known by its number.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

/// Things that have numbers; one that nobody uses any more gives its number back.
#[derive(Debug)]
pub(crate) struct Numbered<T: ?Sized> {
    numbers: HashMap<Arc<T>, u32>,
    things: Vec<(Arc<T>, u32)>,
    free: Vec<u32>,
}

impl<T: ?Sized> Default for Numbered<T> {
    fn default() -> Self {
        Self {
            numbers: HashMap::new(),
            things: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T: ?Sized + Eq + Hash> Numbered<T>
where
    Arc<T>: Default,
{
    /// The number of a thing, if it has one.
    pub(crate) fn find(&self, thing: &T) -> Option<u32> {
        self.numbers.get(thing).copied()
    }

    /// The thing of a number.
    pub(crate) fn of(&self, number: u32) -> &Arc<T> {
        &self.things[number as usize].0
    }

    /// The number of a thing, which is used once more.
    pub(crate) fn take(&mut self, thing: impl Borrow<T> + Into<Arc<T>>) -> u32 {
        if let Some(number) = self.find(thing.borrow()) {
            self.things[number as usize].1 += 1;
            return number;
        }
        let shared: Arc<T> = thing.into();
        let number = match self.free.pop() {
            Some(number) => {
                self.things[number as usize] = (shared.clone(), 1);
                number
            }
            None => {
                self.things.push((shared.clone(), 1));
                u32::try_from(self.things.len() - 1).expect("fewer things than numbers")
            }
        };
        self.numbers.insert(shared, number);
        number
    }

    /// A number is used once less.
    pub(crate) fn give_back(&mut self, number: u32) {
        let (thing, uses) = &mut self.things[number as usize];
        *uses -= 1;
        if *uses == 0 {
            self.numbers.remove(thing);
            *thing = Arc::default();
            self.free.push(number);
        }
    }

    /// How many things there are.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.numbers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_free_when_nobody_uses_it() {
        let mut names = Numbered::<str>::default();
        let (a, b) = (names.take("a"), names.take("b"));
        assert_eq!(names.take("a"), a);
        names.give_back(a);
        assert_eq!(names.find("a"), Some(a));
        names.give_back(a);
        assert_eq!(names.find("a"), None);
        assert_eq!(names.take("c"), a);
        assert_eq!((&**names.of(a), &**names.of(b)), ("c", "b"));
        assert_eq!(names.len(), 2);
    }
}
