//! The paths of what was written, which all records of one shape share while they rest.

use std::sync::Arc;

use super::keep::Shape;
use super::record::Record;

impl Record {
    /// The paths of all leaves that are remembered, always in the same order.
    pub(crate) fn shapes(&self) -> impl Iterator<Item = &Arc<Shape>> {
        let copy = self.copy.iter().map(|it| &it.leaves);
        let taken = self.taken.iter().map(|it| &it.leaves);
        let returned = self.returned.iter().map(|it| &it.leaves);
        let all = copy.chain(taken).chain(returned);
        all.flatten().map(|it| &it.shape)
    }

    /// The same, to be put back.
    pub(crate) fn shapes_mut(&mut self) -> impl Iterator<Item = &mut Arc<Shape>> {
        let copy = self.copy.iter_mut().map(|it| &mut it.leaves);
        let taken = self.taken.iter_mut().map(|it| &mut it.leaves);
        let returned = self.returned.iter_mut().map(|it| &mut it.leaves);
        let all = copy.chain(taken).chain(returned);
        all.flatten().map(|it| &mut it.shape)
    }
}
