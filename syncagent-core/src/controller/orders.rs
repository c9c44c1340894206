//! Every order that is known, by number: its key and its record at rest, and what is in hand while it is not at rest.
//!
//! An agent of many tenants is mostly this table, so a row is small: the key and the record lie packed in one piece on a
//! [`Shelf`], and everything that only an order with work to do has is beside it, in a box that is gone when the work is
//! done.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use tokio::time::Instant;

use super::few::Sets;
use super::numbered::Numbered;
use super::pack::{Words, number, numbers, pack, raw, raws, unpack};
use super::parked::Parked;
use super::queue::Laned;
use super::shelf::Shelf;
use crate::plan::{Key, ObjectRef, Record, Shape, Sight};

/// An order in the queue: its publication, its workspace, itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Turn {
    pub(crate) publication: u32,
    cluster: u32,
    pub(crate) order: u32,
}

impl Laned for Turn {
    type Class = u32;
    type Lane = u32;

    fn class(&self) -> u32 {
        self.publication
    }

    fn lane(&self) -> u32 {
        self.cluster
    }
}

/// What is kept of one order.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// What only an order with work to do has.
    busy: Option<Box<Busy>>,
    /// The endpoint that told of it, by number plus one.
    endpoint: u32,
    /// In which list the origin and the copy were seen last.
    pub(crate) rounds: (u16, u16),
}

/// What is in hand of an order that is not at rest.
#[derive(Debug, Default)]
pub(crate) struct Busy {
    pub(crate) parked: Parked,
    /// Whether the bodies of the origin and of the copy came since the last step.
    pub(crate) sides: (bool, bool),
    pub(crate) failures: u32,
    /// How often something was looked at that may not be read.
    pub(crate) looks: u32,
    /// Before when a server does not want to be asked again.
    pub(crate) not_before: Option<Instant>,
    /// Whether the next step that nothing but time asks for is a second look at what was refused.
    pub(crate) second_look: bool,
    /// When the oldest news came that no step has dealt with.
    pub(crate) since: Option<Instant>,
}

impl Busy {
    fn is_rest(&self) -> bool {
        self.parked.is_empty() && self.failures == 0 && !self.second_look
    }
}

impl Entry {
    /// What is in hand, if anything.
    pub(crate) fn busy(&self) -> Option<&Busy> {
        self.busy.as_deref()
    }

    /// What is in hand, to be changed.
    pub(crate) fn hand(&mut self) -> &mut Busy {
        self.busy.get_or_insert_default()
    }

    /// Drops what is not needed at rest.
    pub(crate) fn settle(&mut self) {
        self.busy.take_if(|busy| busy.is_rest());
    }
}

/// All orders.
#[derive(Debug, Default)]
pub(crate) struct Orders {
    words: Words,
    secret: RandomState,
    clusters: Numbered<str>,
    publications: Numbered<str>,
    endpoints: Numbered<str>,
    shapes: Numbered<Shape>,
    /// By the hash of the key.
    numbers: Sets,
    /// The key, then the numbers of the record's shapes, then the record without these, packed. Nothing where the number is
    /// free.
    rows: Shelf,
    entries: Vec<Entry>,
    free: Vec<u32>,
}

impl Orders {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// The number of an order.
    pub(crate) fn find(&self, key: &Key) -> Option<u32> {
        let publication = self.publications.find(&key.publication)?;
        let cluster = self.clusters.find(&key.cluster)?;
        let name = Called::new(publication, cluster, key).bytes();
        self.numbers
            .of(self.secret.hash_one(&name))
            .find(|order| self.rows.get(*order).starts_with(&name))
    }

    /// The number of an order, which is new if it is not known.
    pub(crate) fn add(&mut self, key: &Key) -> u32 {
        if let Some(order) = self.find(key) {
            return order;
        }
        let publication = self.publications.take(key.publication.as_str());
        let cluster = self.clusters.take(key.cluster.as_str());
        let name = Called::new(publication, cluster, key).bytes();
        let order = self.free.pop().unwrap_or_else(|| {
            self.entries.push(Entry::default());
            u32::try_from(self.entries.len() - 1).expect("fewer orders than numbers")
        });
        self.numbers.add(self.secret.hash_one(&name), order);
        // Nothing behind what it is called is a record that knows nothing.
        self.rows.put(order, &name);
        order
    }

    /// What an order is called, and its record as it lies there.
    fn row(&self, order: u32) -> (Called<'_>, &[u8]) {
        Called::read(self.rows.get(order))
    }

    /// Forgets an order.
    pub(crate) fn remove(&mut self, order: u32) {
        let entry = std::mem::take(&mut self.entries[order as usize]);
        self.give_shapes_back(order);
        let (called, _) = Called::read(self.rows.get(order));
        let hash = self.secret.hash_one(called.bytes());
        self.numbers.remove(hash, order);
        self.clusters.give_back(called.cluster);
        self.publications.give_back(called.publication);
        if let Some(number) = entry.endpoint.checked_sub(1) {
            self.endpoints.give_back(number);
        }
        self.rows.put(order, &[]);
        self.free.push(order);
    }

    /// Forgets everything of an order but that it is there.
    pub(crate) fn wipe(&mut self, order: u32) {
        self.give_shapes_back(order);
        let called = self.row(order).0.bytes();
        self.rows.put(order, &called);
        self.entries[order as usize].busy = None;
    }

    /// Makes what is in hand of an order small.
    pub(crate) fn pack_parked(&mut self, order: u32) {
        if let Some(busy) = &mut self.entries[order as usize].busy {
            busy.parked.pack(&self.words);
        }
    }

    /// Hands out what is in hand of an order.
    pub(crate) fn take_parked(&mut self, order: u32) -> impl Iterator<Item = (ObjectRef, Sight)> {
        let busy = self.entries[order as usize].busy.as_mut();
        let words = &self.words;
        busy.into_iter().flat_map(|busy| busy.parked.take(words))
    }

    /// Whether no step of an order has come to its end yet.
    pub(crate) fn is_new(&self, order: u32) -> bool {
        self.row(order).1.is_empty()
    }

    /// Whether there is an order of this number.
    pub(crate) fn has(&self, order: u32) -> bool {
        !self.rows.get(order).is_empty()
    }

    /// All orders, by number.
    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        let numbers = (0_u32..).take(self.entries.len());
        numbers.filter(|order| self.has(*order))
    }

    pub(crate) fn entry(&self, order: u32) -> &Entry {
        &self.entries[order as usize]
    }

    pub(crate) fn entry_mut(&mut self, order: u32) -> &mut Entry {
        &mut self.entries[order as usize]
    }

    /// The order's place in the queue.
    pub(crate) fn turn(&self, order: u32) -> Turn {
        let (called, _) = self.row(order);
        Turn {
            publication: called.publication,
            cluster: called.cluster,
            order,
        }
    }

    /// The number that stands for a publication from now on, also while it has no orders.
    pub(crate) fn publication(&mut self, id: &str) -> u32 {
        self.publications.take(id)
    }

    /// The publication of an order.
    pub(crate) fn publication_of(&self, order: u32) -> &str {
        self.publications.of(self.turn(order).publication)
    }

    /// Whether an order is of this publication.
    pub(crate) fn is_of(&self, order: u32, publication: &str) -> bool {
        self.publications.find(publication) == Some(self.turn(order).publication)
    }

    /// The order's key.
    pub(crate) fn key(&self, order: u32) -> Key {
        self.named(&self.row(order).0)
    }

    fn named(&self, called: &Called<'_>) -> Key {
        Key {
            publication: self.publications.of(called.publication).to_string(),
            cluster: self.clusters.of(called.cluster).to_string(),
            namespace: called.namespace.to_owned(),
            name: called.name.to_owned(),
        }
    }

    /// What is remembered of an order.
    pub(crate) fn record(&self, order: u32) -> Record {
        let (called, packed) = self.row(order);
        let near = [
            &**self.clusters.of(called.cluster),
            called.namespace,
            called.name,
        ];
        if packed.is_empty() {
            return Record::default();
        }
        let (shapes, packed) = shapes(packed);
        let mut record: Record =
            unpack(packed, &self.words, &near).expect("what was packed can be unpacked");
        for (place, shape) in record.shapes_mut().zip(shapes) {
            *place = self.shapes.of(shape).clone();
        }
        record
    }

    /// A record of an order uses its shapes no more.
    fn give_shapes_back(&mut self, order: u32) {
        for shape in shapes(self.row(order).1).0 {
            self.shapes.give_back(shape);
        }
    }

    /// Remembers it.
    pub(crate) fn keep(&mut self, order: u32, record: &Record) {
        let (called, before) = Called::read(self.rows.get(order));
        // Given back last: most of them are the same.
        let before = shapes(before).0;
        let mut packed = called.bytes();
        let shapes = record.shapes().map(|it| self.shapes.take(it.clone()));
        let shapes: Vec<u32> = shapes.collect();
        number(shapes.len() as u64, &mut packed);
        for shape in shapes {
            number(shape.into(), &mut packed);
        }
        let near = [
            &**self.clusters.of(called.cluster),
            called.namespace,
            called.name,
        ];
        pack(record, &mut self.words, &near, &mut packed).expect("records are made to be packed");
        self.rows.put(order, &packed);
        for shape in before {
            self.shapes.give_back(shape);
        }
        debug_assert_eq!(
            self.record(order),
            *record,
            "`Record::shapes` tells of all leaves"
        );
    }

    /// The endpoint that told of an order.
    pub(crate) fn endpoint(&self, order: u32) -> Option<&Arc<str>> {
        let number = self.entry(order).endpoint.checked_sub(1)?;
        Some(self.endpoints.of(number))
    }

    /// An endpoint tells of an order.
    pub(crate) fn tell_of(&mut self, order: u32, url: &str) {
        if self.endpoint(order).is_some_and(|at| **at == *url) {
            return;
        }
        let number = self.endpoints.take(url);
        let entry = &mut self.entries[order as usize];
        let before = std::mem::replace(&mut entry.endpoint, number + 1);
        if let Some(before) = before.checked_sub(1) {
            self.endpoints.give_back(before);
        }
    }
}

/// The numbers of a record's shapes, and what comes behind them.
fn shapes(mut row: &[u8]) -> (Vec<u32>, &[u8]) {
    let mut number = || numbers(&mut row).and_then(|it| u32::try_from(it).ok());
    let all = match number() {
        // There is no record.
        None => Vec::new(),
        Some(length) => (0..length).map_while(|_| number()).collect(),
    };
    (all, row)
}

/// The start of a row: what the order is called.
struct Called<'a> {
    publication: u32,
    cluster: u32,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Called<'a> {
    fn new(publication: u32, cluster: u32, key: &'a Key) -> Self {
        Self {
            publication,
            cluster,
            namespace: &key.namespace,
            name: &key.name,
        }
    }

    /// Reads it, and returns what comes behind it.
    fn read(mut row: &'a [u8]) -> (Self, &'a [u8]) {
        let mut number = || numbers(&mut row).and_then(|it| u32::try_from(it).ok());
        let (publication, cluster) = (number(), number());
        let (namespace, name) = (raws(&mut row), raws(&mut row));
        let called = || {
            Some(Self {
                publication: publication?,
                cluster: cluster?,
                namespace: namespace?,
                name: name?,
            })
        };
        (
            called().expect("a row starts with what the order is called"),
            row,
        )
    }

    fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        number(self.publication.into(), &mut out);
        number(self.cluster.into(), &mut out);
        raw(self.namespace, &mut out);
        raw(self.name, &mut out);
        out
    }
}

#[cfg(test)]
mod tests;
