//! Pieces of bytes that stay for long, side by side.
//!
//! What is kept of an order is written in the middle of a step, among thousands of texts that are gone a moment later. With
//! a place of its own from the allocator each piece would hold a page in memory that is otherwise empty, and what people
//! see of the process would be several times what it keeps. So pieces lie in blocks of their own, one behind the other, in
//! the order in which they were written. A block of which much is out of date is emptied into the newest one.

use super::pack::{number, numbers};

/// How large a block is, in bytes; a larger piece has a block of its own.
const BLOCK: usize = 64 << 10;
/// The part of a block that may be out of date.
const STALE: usize = 8;

/// Pieces by number.
#[derive(Debug, Default)]
pub(crate) struct Shelf {
    places: Vec<Option<Place>>,
    blocks: Vec<Block>,
    /// Blocks without memory.
    empty: Vec<u32>,
    /// The block that is written.
    open: Option<u32>,
}

/// Where a piece begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    block: u32,
    /// Plus one, so that a place that is none needs no room.
    at: std::num::NonZeroU32,
}

/// Pieces one behind the other, each after its number and its length.
#[derive(Debug, Default)]
struct Block {
    bytes: Vec<u8>,
    /// How many of them are of pieces that are out of date.
    stale: usize,
}

impl Place {
    fn new(block: u32, at: usize) -> Self {
        let at = u32::try_from(at + 1)
            .ok()
            .and_then(std::num::NonZeroU32::new);
        Self {
            block,
            at: at.expect("a piece is shorter than 4 GiB"),
        }
    }

    fn at(self) -> usize {
        self.at.get() as usize - 1
    }
}

/// Reads a piece with its number off the front.
fn piece<'a>(bytes: &mut &'a [u8]) -> (u32, &'a [u8]) {
    let mut head = || numbers(bytes).and_then(|it| u32::try_from(it).ok());
    let (number, length) = (head(), head());
    let read = || Some((number?, bytes.split_at_checked(length? as usize)?));
    let (number, (piece, rest)) = read().expect("a block is made of pieces");
    *bytes = rest;
    (number, piece)
}

impl Shelf {
    /// The piece of a number; nothing where there is none.
    pub(crate) fn get(&self, number: u32) -> &[u8] {
        match self.place(number) {
            Some(place) => piece(&mut &self.blocks[place.block as usize].bytes[place.at()..]).1,
            None => &[],
        }
    }

    fn place(&self, number: u32) -> Option<Place> {
        self.places.get(number as usize).copied().flatten()
    }

    /// Puts a piece in the place of what was there; an empty one takes no room.
    pub(crate) fn put(&mut self, number: u32, piece: &[u8]) {
        let at = number as usize;
        if at >= self.places.len() {
            self.places.resize(at + 1, None);
        }
        if let Some(before) = self.places[at].take() {
            self.spoil(before);
        }
        if !piece.is_empty() {
            self.places[at] = Some(self.write(number, piece));
        }
    }

    /// Appends a piece.
    fn write(&mut self, of: u32, piece: &[u8]) -> Place {
        let mut head = Vec::with_capacity(10);
        number(of.into(), &mut head);
        number(piece.len() as u64, &mut head);
        let length = head.len() + piece.len();
        if !self.has_room(length) {
            if let Some(full) = self.open.take() {
                self.tidy(full);
            }
            if !self.has_room(length) {
                self.begin(length.max(BLOCK));
            }
        }
        let open = self.open.expect("a block is open");
        let bytes = &mut self.blocks[open as usize].bytes;
        let place = Place::new(open, bytes.len());
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(piece);
        place
    }

    fn has_room(&self, length: usize) -> bool {
        self.open.is_some_and(|open| {
            let bytes = &self.blocks[open as usize].bytes;
            bytes.capacity() - bytes.len() >= length
        })
    }

    /// Begins a block of so many bytes.
    fn begin(&mut self, size: usize) {
        let open = self.empty.pop().unwrap_or_else(|| {
            self.blocks.push(Block::default());
            u32::try_from(self.blocks.len() - 1).expect("fewer blocks than numbers")
        });
        self.blocks[open as usize].bytes = Vec::with_capacity(size);
        self.open = Some(open);
    }

    /// What is at a place is out of date.
    fn spoil(&mut self, place: Place) {
        let block = &mut self.blocks[place.block as usize];
        let from = &block.bytes[place.at()..];
        let mut rest = from;
        piece(&mut rest);
        block.stale += from.len() - rest.len();
        if self.open != Some(place.block) {
            self.tidy(place.block);
        }
    }

    /// Empties a block of which much is out of date.
    fn tidy(&mut self, at: u32) {
        let block = &mut self.blocks[at as usize];
        if block.stale * STALE <= block.bytes.len() {
            return;
        }
        let Block { bytes, .. } = std::mem::take(block);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let place = Place::new(at, bytes.len() - rest.len());
            let (number, piece) = piece(&mut rest);
            if self.place(number) == Some(place) {
                self.places[number as usize] = Some(self.write(number, piece));
            }
        }
        self.empty.push(at);
    }
}

#[cfg(test)]
mod tests;
