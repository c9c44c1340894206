//! The reverse question: whose order does this object belong to?
//!
//! Every resolution of a related object registers who asked, also for objects that do not exist yet, and before they are
//! read, so that nothing falls in between: a Secret that appears later finds the order that waits for it.
//!
//! Objects are kept as hashes of what names them, 64 bits with a secret of this process. Should two of them ever agree, an
//! order hears news that are none of its business, which a step does not mind. Whatever else orders have to do with can be
//! kept in an index of its own, as the orders that they refer to are.

use std::hash::{BuildHasher as _, Hash, RandomState};

use super::few::Sets;

/// Which orders are interested in which objects.
#[derive(Debug, Default)]
pub struct Index {
    secret: RandomState,
    orders: Sets,
    /// By order, sorted.
    objects: Vec<Box<[u64]>>,
}

impl Index {
    /// Adds an interest; says whether it is new.
    pub fn register(&mut self, order: u32, object: &impl Hash) -> bool {
        let object = self.secret.hash_one(object);
        let mut objects = std::mem::take(self.objects(order)).into_vec();
        let at = objects.binary_search(&object);
        if let Err(at) = at {
            objects.insert(at, object);
            self.orders.add(object, order);
        }
        *self.objects(order) = objects.into();
        at.is_err()
    }

    /// Sets all interests of an order; says whether it dropped one.
    pub fn replace<'a, T: Hash + 'a>(
        &mut self,
        order: u32,
        objects: impl IntoIterator<Item = &'a T>,
    ) -> bool {
        let objects = objects.into_iter();
        let mut now: Vec<u64> = objects.map(|it| self.secret.hash_one(it)).collect();
        now.sort_unstable();
        now.dedup();
        let known = self.objects.get(order as usize).map_or(&[][..], |it| it);
        if *known == *now {
            return false;
        }
        let before = std::mem::take(self.objects(order));
        let mut dropped = false;
        for gone in before.iter().filter(|it| now.binary_search(it).is_err()) {
            self.orders.remove(*gone, order);
            dropped = true;
        }
        for new in now.iter().filter(|it| before.binary_search(it).is_err()) {
            self.orders.add(*new, order);
        }
        *self.objects(order) = now.into();
        dropped
    }

    /// Drops all interests of an order; says whether it had any.
    pub fn forget(&mut self, order: u32) -> bool {
        self.replace::<()>(order, [])
    }

    /// Who is interested in an object.
    pub fn interested(&self, object: &impl Hash) -> impl Iterator<Item = u32> {
        self.orders.of(self.secret.hash_one(object))
    }

    fn objects(&mut self, order: u32) -> &mut Box<[u64]> {
        let at = order as usize;
        if self.objects.len() <= at {
            self.objects.resize_with(at + 1, Box::default);
        }
        &mut self.objects[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::ObjectRef;

    fn object(name: &str) -> ObjectRef {
        ObjectRef::service_namespace(name)
    }

    fn interested(index: &Index, name: &str) -> Vec<u32> {
        index.interested(&object(name)).collect()
    }

    #[test]
    fn an_object_finds_everybody_who_asked() {
        let mut index = Index::default();
        assert!(index.register(1, &object("secret")));
        assert!(!index.register(1, &object("secret")));
        index.register(2, &object("secret"));
        assert_eq!(interested(&index, "secret"), [1, 2]);
        index.forget(1);
        assert_eq!(interested(&index, "secret"), [2]);
    }

    #[test]
    fn replacing_drops_what_is_no_longer_named() {
        let mut index = Index::default();
        index.replace(1, [&object("a"), &object("b")]);
        index.replace(1, [&object("b"), &object("c")]);
        assert!(interested(&index, "a").is_empty());
        assert_eq!(interested(&index, "b"), [1]);
        assert_eq!(interested(&index, "c"), [1]);
        index.forget(1);
        assert!(index.orders.is_empty());
    }
}
