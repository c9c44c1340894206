//! A map from bytes to bytes, in the order of its keys, that wastes little.
//!
//! There are as many entries as objects that a watch tells of, and each is short: a map with a place of its own from the
//! allocator for each would spend half as much again on telling where they are. So entries lie one behind the other in
//! pages, and whoever looks for one reads a page. Keys that begin alike lie together, so what belongs to one namespace is
//! found without reading the rest.

use std::ops::Range;

use super::pack::{number, numbers};

/// How many bytes a page has at most; a larger entry has a page of its own.
const PAGE: usize = 4 << 10;

/// Entries by key.
#[derive(Debug, Default)]
pub(crate) struct Sorted {
    /// None of them is empty.
    pages: Vec<Vec<u8>>,
}

/// Reads an entry off the front.
fn entry<'a>(bytes: &mut &'a [u8]) -> (&'a [u8], &'a [u8]) {
    #[cfg(test)]
    tests::read_one();
    let read = part(bytes).zip(part(bytes));
    read.expect("a page is made of entries")
}

fn part<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(numbers(bytes)?).ok()?;
    let (part, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(part)
}

/// All entries of a page.
fn entries(mut rest: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    std::iter::from_fn(move || (!rest.is_empty()).then(|| entry(&mut rest)))
}

/// Where the entry with a key is in a page, and its value; or where it would be.
fn find<'a>(page: &'a [u8], key: &[u8]) -> (Range<usize>, Option<&'a [u8]>) {
    let mut rest = page;
    loop {
        let start = page.len() - rest.len();
        if rest.is_empty() {
            return (start..start, None);
        }
        let (here, value) = entry(&mut rest);
        if here == key {
            return (start..page.len() - rest.len(), Some(value));
        }
        if here > key {
            return (start..start, None);
        }
    }
}

impl Sorted {
    /// The page in which a key is, if it is anywhere.
    fn page(&self, key: &[u8]) -> usize {
        let begin = |page: &Vec<u8>| entry(&mut &page[..]).0 <= key;
        self.pages.partition_point(begin).saturating_sub(1)
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        find(self.pages.get(self.page(key))?, key).1
    }

    /// All entries from a key on.
    pub(crate) fn from(&self, key: Vec<u8>) -> impl Iterator<Item = (&[u8], &[u8])> {
        let pages = self.pages[self.page(&key)..].iter();
        pages
            .flat_map(|page| entries(page))
            .skip_while(move |(it, _)| *it < &key[..])
    }

    /// All entries whose keys begin so.
    pub(crate) fn beginning(&self, start: Vec<u8>) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.from(start.clone())
            .take_while(move |(it, _)| it.starts_with(&start))
    }

    /// All entries.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.pages.iter().flat_map(|page| entries(page))
    }

    /// Puts a value in the place of what was there, which is returned.
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) -> Option<Box<[u8]>> {
        let mut new = Vec::with_capacity(key.len() + value.len() + 4);
        for part in [key, value] {
            number(part.len() as u64, &mut new);
            new.extend_from_slice(part);
        }
        let at = self.page(key);
        let Some(page) = self.pages.get_mut(at) else {
            new.shrink_to_fit();
            self.pages.push(new);
            return None;
        };
        let (range, before) = find(page, key);
        let before = before.map(Box::from);
        page.reserve_exact(new.len().saturating_sub(range.len()));
        page.splice(range, new);
        if page.len() > PAGE {
            self.split(at);
        }
        before
    }

    /// Makes two pages of one, unless it has a single entry.
    fn split(&mut self, at: usize) {
        let page = &mut self.pages[at];
        let mut rest = &page[..];
        entry(&mut rest);
        while !rest.is_empty() && page.len() - rest.len() < page.len() / 2 {
            entry(&mut rest);
        }
        let middle = page.len() - rest.len();
        if middle < page.len() {
            let second = page.split_off(middle);
            page.shrink_to_fit();
            self.pages.insert(at + 1, second);
        }
    }

    /// Takes an entry out, and returns its value.
    pub(crate) fn remove(&mut self, key: &[u8]) -> Option<Box<[u8]>> {
        let at = self.page(key);
        let page = self.pages.get_mut(at)?;
        let (range, value) = find(page, key);
        let value = Box::from(value?);
        page.drain(range);
        page.shrink_to_fit();
        if page.is_empty() {
            self.pages.remove(at);
        }
        self.join(at);
        self.join(at.saturating_sub(1));
        Some(value)
    }

    /// Makes one page of two that have little.
    fn join(&mut self, at: usize) {
        if let Some([first, second]) = self.pages.get_mut(at..at + 2)
            && first.len() + second.len() <= PAGE / 2
        {
            first.reserve_exact(second.len());
            first.append(second);
            self.pages.remove(at + 1);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
