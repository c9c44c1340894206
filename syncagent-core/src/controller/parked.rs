//! Bodies between the event that brought them and the step that reads them, newest per object.
//!
//! A body that soon has its turn is kept as it came. One that must wait (for lists to be complete, or behind many others)
//! is packed: as a tree in memory an object takes several times the room of its text.

use super::pack::{Words, plant, root};
use crate::plan::{ObjectRef, Sight};

/// The news of one order.
#[derive(Debug, Default)]
pub(crate) struct Parked(Vec<(ObjectRef, News)>);

#[derive(Debug)]
enum News {
    Open(Sight),
    /// A whole object, or an outline.
    Packed(bool, Box<[u8]>),
}

impl News {
    fn open(self, words: &Words) -> Sight {
        let (whole, bytes) = match self {
            Self::Open(sight) => return sight,
            Self::Packed(whole, bytes) => (whole, bytes),
        };
        let object = root(&mut &bytes[..], words, &[]).expect("what was packed can be unpacked");
        if whole {
            Sight::There(object)
        } else {
            Sight::Outline(object)
        }
    }

    fn pack(&mut self, words: &Words) {
        let (whole, object) = match self {
            Self::Open(Sight::There(object)) => (true, object),
            Self::Open(Sight::Outline(object)) => (false, object),
            _ => return,
        };
        let mut out = Vec::new();
        plant(object, words, &[], &mut out);
        *self = Self::Packed(whole, out.into());
    }
}

impl Parked {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes news in, in the place of older ones.
    pub(crate) fn put(&mut self, at: ObjectRef, sight: Sight) {
        let news = News::Open(sight);
        match self.0.iter_mut().find(|(object, _)| *object == at) {
            Some((_, older)) => *older = news,
            None => {
                self.0.reserve_exact(1);
                self.0.push((at, news));
            }
        }
    }

    /// Takes back what a step had in hand; whatever came meanwhile is newer.
    pub(crate) fn put_back(&mut self, at: ObjectRef, sight: Sight) {
        if !self.0.iter().any(|(object, _)| *object == at) {
            self.put(at, sight);
        }
    }

    /// Drops bodies that are no news after all.
    pub(crate) fn drop_known(&mut self, known: impl Fn(&Sight) -> bool) {
        self.0
            .retain(|(_, news)| !matches!(news, News::Open(sight) if known(sight)));
    }

    /// Makes bodies small, for a while.
    pub(crate) fn pack(&mut self, words: &Words) {
        for (_, news) in &mut self.0 {
            news.pack(words);
        }
    }

    /// Hands all of it out.
    pub(crate) fn take(&mut self, words: &Words) -> impl Iterator<Item = (ObjectRef, Sight)> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|(at, news)| (at, news.open(words)))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_newest_is_handed_out_packed_or_not() {
        let words = Words::default();
        let [a, b] = ["a", "b"].map(ObjectRef::service_namespace);
        let body = |n: u32| Sight::There(json!({"metadata": {"name": "a"}, "spec": n}));
        let mut parked = Parked::default();
        parked.put(a.clone(), body(1));
        parked.put(b.clone(), Sight::Doubt);
        parked.pack(&words);
        parked.put_back(a.clone(), body(0));
        let all: Vec<_> = parked.take(&words).collect();
        assert_eq!(all, [(a.clone(), body(1)), (b, Sight::Doubt)]);
        assert!(parked.is_empty());
        parked.put_back(a.clone(), body(2));
        parked.put(a.clone(), body(3));
        assert_eq!(parked.take(&words).collect::<Vec<_>>(), [(a, body(3))]);
    }
}
