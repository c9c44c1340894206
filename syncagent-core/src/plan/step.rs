//! The step itself: what the origin says, and which way the order goes.

use std::cell::OnceCell;

use serde_json::{Value, json};

use super::effect::{Deed, Effect, Request, Verb};
use super::explain::{self, Trouble};
use super::filter::Selection;
use super::record::Record;
use super::seen::{Depth, Question, Seen, Sight};
use super::{
    Context, Ending, Plan, annotate, end, filter, locate, lost, name, reflect, returned, speak,
    taken, tend, unheeded,
};
use crate::definition::Deletion;
use crate::naming::{CopyName, NamingError};
use crate::object::fingerprint::Fingerprint;
use crate::object::identity::Standing;
use crate::object::reference::{Key, Known, ObjectRef};
use crate::object::selection::Query;
use crate::object::{finalizers, generation, is_deleting, is_older, uid, version};
use crate::projection::{Intent, Objection, wish};
use crate::publication::{Beside, Publication};
use crate::status;

/// A decision in the making.
pub(super) struct Step<'a> {
    pub(super) context: &'a Context,
    pub(super) publication: &'a Publication,
    pub(super) key: &'a Key,
    pub(super) seen: &'a Seen,
    pub(super) record: Record,
    pub(super) questions: Vec<Question>,
    pub(super) effects: Vec<Effect>,
    pub(super) concerns: Vec<ObjectRef>,
    /// The selections that the order's related objects come from.
    pub(super) queries: Vec<Query>,
    /// What the consumer has to know, most important first: a reason and a message.
    pub(super) troubles: Vec<(String, String)>,
    /// What the provider has to know.
    pub(super) refused: Vec<String>,
    /// What is waited for.
    pub(super) waiting: Vec<String>,
    /// What is left as others set it.
    pub(super) drifted: Vec<String>,
    /// What there is news of that the step does not come to.
    pub(super) unheeded: Vec<ObjectRef>,
    pub(super) gone: bool,
    /// Whether the copy reflects a newer generation without having been written.
    pub(super) moved: bool,
    /// Where the order's own names put the copy.
    placed: OnceCell<Result<ObjectRef, NamingError>>,
}

/// Decides one step.
pub fn plan(
    context: &Context,
    publication: &Publication,
    key: &Key,
    record: &Record,
    seen: &Seen,
) -> Plan {
    let recalled = unheeded::recall(record, seen);
    let mut step = Step {
        context,
        publication,
        key,
        seen: recalled.as_ref().unwrap_or(seen),
        record: record.clone(),
        questions: Vec::new(),
        effects: Vec::new(),
        concerns: Vec::new(),
        queries: Vec::new(),
        troubles: Vec::new(),
        refused: Vec::new(),
        waiting: Vec::new(),
        drifted: Vec::new(),
        unheeded: Vec::new(),
        gone: false,
        moved: false,
        placed: OnceCell::new(),
    };
    step.run();
    if step.questions.is_empty() && step.effects.is_empty() {
        step.record.unheeded = std::mem::take(&mut step.unheeded);
    }
    step.concerns.sort();
    step.concerns.dedup();
    step.queries.sort();
    step.queries.dedup();
    let ending = if step.gone {
        Ending::Gone
    } else if !step.refused.is_empty() {
        Ending::Refused(step.refused.join("; "))
    } else if !step.waiting.is_empty() {
        Ending::Waiting(step.waiting.join("; "))
    } else if !step.drifted.is_empty() {
        Ending::Drifted(step.drifted.join("; "))
    } else {
        Ending::Settled
    };
    let hands = explain::hands(&step);
    let troubles = step.troubles.into_iter();
    let troubles = troubles
        .map(|(reason, message)| Trouble { reason, message })
        .collect();
    Plan {
        questions: step.questions,
        effects: step.effects,
        record: step.record,
        concerns: step.concerns,
        queries: step.queries,
        ending,
        troubles,
        hands,
    }
}

impl<'a> Step<'a> {
    fn run(&mut self) {
        locate::leave(self);
        self.decide();
        locate::report(self);
    }

    fn decide(&mut self) {
        if lost::is_kept(self) {
            return;
        }
        let origin_ref = self.publication.origin(self.key);
        match self.seen.of(&origin_ref) {
            Sight::There(origin) if !self.is_stale(origin) => {
                self.learn_origin(origin);
                if self.record.deleting {
                    // Its copy may be where the order says.
                    if !name::name(self, Some(origin)) {
                        return;
                    }
                    end::end(self, end::Leaving::Deleted);
                } else {
                    tend_all(self, Some(origin));
                }
            }
            Sight::Outline(origin) if !self.is_stale(origin) && !self.is_current(origin) => {
                self.look(&origin_ref, Depth::Body);
                unheeded::leave_off(self);
            }
            Sight::There(_) | Sight::Outline(_) | Sight::Unseen => match &self.record.origin {
                None => self.look(&origin_ref, Depth::Body),
                Some(_) if self.record.deleting => end::end(self, end::Leaving::Deleted),
                Some(_) => tend_all(self, None),
            },
            // Whoever took our finalizer off knows what the news is.
            Sight::Doubt if self.record.released => self.gone = true,
            Sight::Doubt => {
                self.look(&origin_ref, Depth::Body);
                unheeded::leave_off(self);
            }
            Sight::Absent => end::end(self, end::Leaving::Vanished),
            Sight::Barred => lost::unreadable(self),
        }
    }

    /// Whether an object is older than what the record knows of the origin.
    fn is_stale(&self, origin: &Value) -> bool {
        let known = self.record.origin.as_ref();
        known.is_some_and(|known| {
            known.uid == uid(origin) && is_older(version(origin), &known.version)
        })
    }

    /// Whether the order that is gone was deleted while we took hold of it.
    pub(super) fn is_torn(&self) -> bool {
        let gone = self.record.origin.as_ref().map(|it| it.uid.as_str());
        let gone = gone.or(self.record.orphan.as_deref());
        gone.is_some() && gone == self.context.torn.as_deref()
    }

    fn is_current(&self, origin: &Value) -> bool {
        let known = self.record.origin.as_ref();
        known.is_some_and(|known| known.uid == uid(origin) && known.version == version(origin))
    }

    fn learn_origin(&mut self, origin: &Value) {
        let known = Known::of(origin);
        if self
            .record
            .origin
            .as_ref()
            .is_some_and(|before| before.uid != known.uid)
        {
            // Another object of the same name: what we know of the copy stays, what we know of the order does not.
            self.record = Record {
                located: self.record.located.take(),
                twins: std::mem::take(&mut self.record.twins),
                path: self.record.path.take(),
                copy: self.record.copy.take(),
                copy_absent: self.record.copy_absent,
                taken: std::mem::take(&mut self.record.taken),
                returned: std::mem::take(&mut self.record.returned),
                found: std::mem::take(&mut self.record.found),
                unheeded: std::mem::take(&mut self.record.unheeded),
                ..Record::default()
            };
        }
        let empty = serde_json::json!({});
        let shown = origin
            .get("status")
            .filter(|it| !it.is_null())
            .unwrap_or(&empty);
        self.record.origin = Some(known);
        self.record.unsure = false;
        self.record.orphan = None;
        self.record.generation = generation(origin);
        self.record.wish = Some(wish(origin));
        self.record.finalizers = finalizers(origin);
        self.record.deletion = Deletion::asked(origin);
        self.record.deleting = is_deleting(origin);
        self.record.shown = Some(Fingerprint::of(shown));
        self.record.synced = status::synced(shown);
    }

    /// Asks for an object, once. That it may not be read is an answer, too.
    pub(super) fn look(&mut self, object: &ObjectRef, depth: Depth) {
        if *self.seen.of(object) == Sight::Barred {
            let what = format!("a {} may not be read", object.kind.kind);
            if !self.refused.contains(&what) {
                self.refused.push(what);
            }
            return;
        }
        self.ask(Question::Look {
            object: object.clone(),
            depth,
        });
    }

    pub(super) fn ask(&mut self, question: Question) {
        if !self.questions.contains(&question) {
            self.questions.push(question);
        }
    }

    /// Plans an effect; `because` is for the provider's log, and may name what is on the service cluster.
    pub(super) fn push(
        &mut self,
        deed: Deed,
        object: ObjectRef,
        verb: Verb,
        body: Value,
        because: &'static str,
    ) {
        self.effects.push(Effect {
            deed,
            because,
            request: Request { object, verb, body },
        });
    }

    pub(super) fn concern(&mut self, object: &ObjectRef) {
        self.concerns.push(object.clone());
    }

    pub(super) fn trouble(&mut self, reason: &str, message: impl Into<String>) {
        self.troubles.push((reason.to_owned(), message.into()));
    }

    /// The copy: where it is, or where it would be made.
    pub(super) fn copy_ref(&self) -> Result<ObjectRef, NamingError> {
        match &self.record.located {
            Some(at) => Ok(self.publication.copy_at(at)),
            None => self.named_ref(),
        }
    }

    /// Where naming puts the copy.
    pub(super) fn named_ref(&self) -> Result<ObjectRef, NamingError> {
        match &self.record.named {
            Some(at) => Ok(self.publication.copy_at(at)),
            None => {
                let placed = || self.publication.copy(self.key);
                self.placed.get_or_init(placed).clone()
            }
        }
    }

    /// The order after the mutations of the way down, where those of the way up see it so.
    pub(super) fn changed_order(&self, origin: &Value) -> Option<Value> {
        if !self.publication.projection().is_like_go() || self.publication.changes_up().is_empty() {
            return None;
        }
        let copy = locate::name_of(&self.copy_ref().ok()?);
        let other = self.copy_beside(&copy);
        let path = self.record.path.as_deref();
        self.publication
            .changed_order(self.key, origin, &copy, other, path)
            .ok()
    }

    /// The copy, where mutations of the way down look at it and it is in hand.
    fn copy_beside(&self, copy: &CopyName) -> Option<&'a Value> {
        let seen: &'a Sight = self.seen.of(&self.publication.copy_at(copy));
        seen.body()
            .filter(|_| self.publication.projection().reads_copy())
            .filter(|copy| self.publication.standing(self.key, copy) == Standing::Ours)
    }

    /// What the service cluster is asked for, under the name that the copy has or would get.
    pub(super) fn intent(&self, origin: &Value) -> Result<Intent, Objection> {
        let copy_ref = self.copy_ref()?;
        let copy = locate::name_of(&copy_ref);
        let beside = Beside {
            copy: self.copy_beside(&copy),
            path: self.record.path.as_deref(),
        };
        self.publication
            .intent_beside(self.key, origin, &copy, self.seen.moved(), beside)
    }

    /// How an object is deleted whose origin asks for this, and where it asks for nothing, so: by exactly this uid.
    pub(super) fn delete_options(
        &self,
        uid: &str,
        asked: Option<Deletion>,
        otherwise: Deletion,
    ) -> Value {
        let asked = asked.filter(|_| self.publication.policy().deletion_by_order);
        let policy = asked.unwrap_or(otherwise).word();
        json!({"preconditions": {"uid": uid}, "propagationPolicy": policy})
    }

    pub(super) fn is_held(&self) -> bool {
        self.record.is_held(&self.publication.finalizer())
    }

    pub(super) fn manager(&self) -> String {
        self.publication.agent().manager()
    }

    /// The whole origin, when it is in hand and no older than what is known.
    pub(super) fn origin_body(&self) -> Option<&'a Value> {
        let sight: &'a Sight = self.seen.of(&self.publication.origin(self.key));
        sight.body().filter(|origin| !self.is_stale(origin))
    }
}

/// Everything that is done for an order that stands.
fn tend_all(step: &mut Step<'_>, origin: Option<&Value>) {
    if !name::name(step, origin) || !locate::locate(step) {
        return unheeded::leave_off(step);
    }
    match filter::selection(step, origin) {
        Selection::In if locate::succeed(step) => {}
        Selection::In | Selection::Unknown => return unheeded::leave_off(step),
        Selection::Out => return filter::leave(step, origin),
    }
    let tended = tend::tend(step, origin);
    taken::taken(step, origin, tended.intent.as_ref(), tended.copy);
    returned::returned(step, origin, tended.copy);
    annotate::annotate(step, origin);
    speak::concern(step);
    if step.effects.is_empty() && step.questions.is_empty() {
        reflect::reflect(step, origin, tended.copy, tended.intent.as_ref());
    }
}
