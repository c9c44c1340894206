//! What a server's answer means: for the record, for what is seen, and for the step.
//!
//! A guard that fails is no error, it is news: the object in question becomes a doubt and the step plans again. What the
//! service cluster refuses is the consumer's to mend; they are told in their own terms.

use serde_json::{Value, json};

use super::effect::{Deed, Effect, Heard, Later, Reply, Verb};
use super::keep::{self, Leaves};
use super::locate::name_of;
use super::record::{CopyKnown, Record, Refusal, ReturnedKnown, StatusKnown, TakenKnown};
use super::seen::{Seen, Sight};
use super::{adopt, carry, drift, fight, forward, returned};
use crate::definition::Drift;
use crate::names;
use crate::object::fingerprint::Fingerprint;
use crate::object::reference::{Key, Known, ObjectRef, Place};
use crate::object::{annotation, finalizers, uid};
use crate::projection::{parse_spot, translate};
use crate::publication::Publication;
use crate::related::content;
use crate::status;

/// Takes note of the answer to an effect.
pub fn absorb(
    publication: &Publication,
    key: &Key,
    record: &mut Record,
    seen: &mut Seen,
    effect: &Effect,
    reply: Reply,
) -> Heard {
    let mut hearing = Hearing {
        publication,
        key,
        record,
        seen,
        effect,
        reply: &reply,
        there: false,
    };
    let heard = hearing.hear();
    if hearing.there {
        let object = effect.request.object.clone();
        seen.note(object, Sight::There(reply.body));
    }
    heard
}

/// An apply that does not fit the schema is answered with a 500.
fn is_untyped(status: &Value) -> bool {
    let message = status["message"].as_str().unwrap_or_default();
    message.starts_with("failed to create typed patch object")
}

/// Whether a 403 says who may not do it, rather than what is wrong with the object: `User "x" cannot patch resource "y"`.
fn is_about_us(status: &Value) -> bool {
    let message = status["message"].as_str().unwrap_or_default();
    message
        .split_once(" is forbidden: User ")
        .is_some_and(|(_, rest)| rest.contains(" cannot ") && rest.contains(" resource "))
}

/// Whether a field cannot be changed on what exists.
fn is_immutable(causes: &[(String, String)]) -> bool {
    causes
        .iter()
        .any(|(_, message)| message.contains("immutable"))
}

/// Fields, and what is wrong with them.
fn listed(causes: &[(String, String)]) -> String {
    let causes = causes.iter();
    let causes: Vec<String> = causes
        .map(|(field, message)| format!("{field}: {message}"))
        .collect();
    causes.join("; ")
}

struct Hearing<'a> {
    publication: &'a Publication,
    key: &'a Key,
    record: &'a mut Record,
    seen: &'a mut Seen,
    effect: &'a Effect,
    reply: &'a Reply,
    /// Whether the answer is the object as it is now.
    there: bool,
}

impl Hearing<'_> {
    fn hear(&mut self) -> Heard {
        match self.reply.code {
            200..=299 => self.done(),
            409 => self.conflict(),
            404 => self.missing(),
            405 if matches!(self.effect.deed, Deed::Forward(_)) => self.missing(),
            403 => self.denied(),
            400 | 413 | 422 => self.refused(),
            500 if is_untyped(&self.reply.body) => self.refused(),
            401 => Heard::Later(Later::Unaccepted),
            _ => Heard::Later(Later::Unavailable),
        }
    }

    fn object(&self) -> ObjectRef {
        self.effect.request.object.clone()
    }

    fn note(&mut self, sight: Sight) {
        self.seen.note(self.object(), sight);
    }

    /// It is not as it was thought.
    fn doubt(&mut self) -> Heard {
        self.note(Sight::Doubt);
        Heard::Again
    }

    /// What the answer is about. Two fields may name one object; each is answered for itself.
    fn taken(&mut self) -> Option<&mut TakenKnown> {
        let object = &self.effect.request.object;
        let rule = match &self.effect.deed {
            Deed::HoldTaken(rule)
            | Deed::Take(rule)
            | Deed::Retake(rule)
            | Deed::Untake(rule)
            | Deed::ReleaseTaken(rule) => Some(rule),
            _ => None,
        };
        let about = |it: &TakenKnown| it.copy == *object || it.origin == *object;
        let all = &mut self.record.taken;
        let at = all
            .iter()
            .position(|it| about(it) && rule == Some(&it.path))
            .or_else(|| all.iter().position(about));
        at.map(|at| &mut all[at])
    }

    fn returned(&mut self) -> Option<&mut ReturnedKnown> {
        let object = &self.effect.request.object;
        let mut entries = self.record.returned.iter_mut();
        entries.find(|it| it.object == *object)
    }

    /// What is remembered of the status that crosses.
    fn status(&mut self) -> Option<&mut StatusKnown> {
        if self.taken().is_some() {
            return self.taken().map(|it| &mut it.status);
        }
        self.returned().map(|it| &mut it.status)
    }

    fn forwarded(&mut self) {
        let body = &self.reply.body;
        let sent = StatusKnown::Sent(forward::sent(&self.effect.request.body));
        if let Some(taken) = self.taken() {
            taken.to = Some(Known::of(body));
            taken.status = sent;
        } else if let Some(entry) = self.returned() {
            entry.at = Some(Known::of(body));
            entry.status = sent;
        }
        self.there = true;
    }

    fn done(&mut self) -> Heard {
        let body = &self.reply.body;
        let manager = self.publication.agent().manager();
        match &self.effect.deed {
            Deed::Namespace => self.there = true,
            Deed::Annotate => {
                self.record.origin = Some(Known::of(body));
                self.there = true;
            }
            Deed::Hold | Deed::Release => {
                self.record.origin = Some(Known::of(body));
                self.record.finalizers = finalizers(body);
                self.record.released = self.effect.deed == Deed::Release;
                self.there = true;
            }
            Deed::Place | Deed::Refresh | Deed::Adopt => {
                let leaves = self.leaves();
                let before = self
                    .record
                    .copy
                    .take()
                    .filter(|it| it.known.uid == uid(body));
                let mut known = CopyKnown::of(body, None, &manager);
                known.before = before.map_or(0, |it| it.reflects);
                known.reflects = self.record.generation;
                known.suspect = false;
                known.leaves = leaves;
                self.record.copy = Some(known);
                fight::corrected(self.record);
                self.record.copy_absent = false;
                self.record.refusal = None;
                self.there = true;
            }
            Deed::Inherit => {
                // What is ours now, and is not wanted any more, goes with the next apply.
                let before = self.record.copy.take();
                let mut known = CopyKnown::of(body, before.as_ref(), &manager);
                known.suspect = true;
                self.record.copy = Some(known);
                self.there = true;
            }
            Deed::Reflect => {
                let sent = &self.effect.request.body[1]["value"];
                let empty = json!({});
                let shown = body
                    .get("status")
                    .filter(|it| !it.is_null())
                    .unwrap_or(&empty);
                self.record.origin = Some(Known::of(body));
                self.record.reflected = Some(Fingerprint::of(sent));
                self.record.replied = Some(Fingerprint::of(shown));
                self.record.shown = self.record.replied;
                self.record.synced = status::synced(sent);
                self.there = true;
            }
            Deed::Leave => {
                let known = CopyKnown::of(body, self.record.copy.as_ref(), &manager);
                self.record.copy = Some(known);
                self.there = true;
            }
            Deed::Retire => {
                return self.deleted(|record| {
                    record.copy = None;
                    record.copy_absent = true;
                });
            }
            Deed::HoldTaken(_) | Deed::ReleaseTaken(_) => {
                if let Some(taken) = self.taken() {
                    taken.seen = Some(Known::of(body));
                    taken.finalizers = finalizers(body);
                }
                self.there = true;
            }
            Deed::Take(_) | Deed::Retake(_) => {
                let leaves = self.carried();
                if let Some(taken) = self.taken() {
                    taken.leaves = leaves;
                    taken.to = Some(Known::of(body));
                    taken.entry = drift::print(body, &manager);
                    taken.looked_copy = true;
                    taken.from = taken.seen.clone();
                    taken.refused = None;
                    taken.recreate = false;
                }
                self.there = true;
            }
            Deed::Untake(_) => {
                if let Some(taken) = self.taken() {
                    taken.to = None;
                    taken.looked_copy = true;
                }
                self.note(Sight::Absent);
            }
            Deed::Return(_) | Deed::Update(_) => {
                let leaves = self.carried();
                if let Some(entry) = self.returned() {
                    entry.leaves = leaves;
                    entry.at = Some(Known::of(body));
                    entry.content = Some(returned::print(&content(body)));
                    entry.looked = true;
                    entry.dirty = false;
                    entry.recreate = false;
                }
                self.there = true;
            }
            Deed::Forward(_) => self.forwarded(),
            Deed::Unreturn(_) => {
                if let Some(entry) = self.returned() {
                    entry.at = None;
                    entry.looked = true;
                }
                // An object as the answer says that somebody holds it.
                self.there = body["kind"] != "Status";
                if !self.there {
                    self.note(Sight::Absent);
                }
            }
        }
        Heard::Next
    }

    /// What the write that was answered stands for, leaf by leaf, where changes on the copy are kept.
    fn leaves(&self) -> Option<Leaves> {
        if self.publication.policy().drift == Drift::Correct {
            return None;
        }
        let origin = self.seen.of(&self.publication.origin(self.key)).body()?;
        let intent = self.publication.intent(self.key, origin).ok()?;
        let salt = adopt::salt(self.key);
        Some(keep::wanted(self.publication, &intent.object, &salt))
    }

    /// What the write of a related object stands for, leaf by leaf, where that is remembered.
    fn carried(&mut self) -> Option<Leaves> {
        if !self.publication.follows_go_agent() {
            return None;
        }
        let publication = self.publication;
        let (id, origin) = if let Some(taken) = self.taken() {
            (taken.path.clone(), taken.origin.clone())
        } else {
            let entry = self.returned()?;
            (entry.id.clone(), entry.reads.first()?.object.clone())
        };
        let body = self.seen.of(&origin).body()?;
        carry::leaves(publication.related_rule(&id), &origin, body)
    }

    /// A DELETE was accepted: a `Status` says that the object is gone, an object says that it is going.
    fn deleted(&mut self, gone: impl FnOnce(&mut Record)) -> Heard {
        let body = &self.reply.body;
        let asked = &self.effect.request.body["preconditions"]["uid"];
        if body["kind"] != "Status" {
            self.there = true;
            return Heard::Next;
        }
        let uid = &body["details"]["uid"];
        if body["status"] != "Success" || (uid.is_string() && uid != asked) {
            return self.doubt();
        }
        gone(self.record);
        self.note(Sight::Absent);
        Heard::Next
    }

    fn conflict(&mut self) -> Heard {
        match self.effect.deed {
            // It is there: all that was wanted.
            Deed::Namespace => {
                self.note(Sight::There(json!({})));
                Heard::Next
            }
            _ => self.doubt(),
        }
    }

    fn missing(&mut self) -> Heard {
        let request = &self.effect.request;
        if request.verb == Verb::Delete && !request.object.is_missing_by(&self.reply.body) {
            // What is missing is not the object.
            return Heard::Later(Later::Unavailable);
        }
        match &self.effect.deed {
            Deed::Retire => {
                self.record.copy = None;
                self.record.copy_absent = true;
                self.note(Sight::Absent);
                Heard::Next
            }
            Deed::Untake(_) => {
                if let Some(taken) = self.taken() {
                    taken.to = None;
                }
                self.note(Sight::Absent);
                Heard::Next
            }
            // A missing subresource and a missing object are answered alike: a look tells which it is.
            Deed::Forward(_) => {
                let named =
                    self.reply.code == 405 || request.object.is_missing_by(&self.reply.body);
                if let Some(status) = self.status() {
                    *status = match status {
                        StatusKnown::Unclear => StatusKnown::Missed,
                        _ if named => StatusKnown::Missed,
                        _ => StatusKnown::Unclear,
                    };
                }
                self.doubt()
            }
            Deed::Unreturn(_) => {
                if let Some(entry) = self.returned() {
                    entry.at = None;
                }
                self.note(Sight::Absent);
                Heard::Next
            }
            // There may be no status to write, or nobody who serves it now, and a look tells whether the order is there. Where
            // the order itself is what was not found, or it is there and was not found twice, there is no status, and
            // what was sent counts as shown until it changes.
            Deed::Reflect => {
                let sent = Some(Fingerprint::of(&self.effect.request.body[1]["value"]));
                let again = self.record.reflected == sent && self.record.replied.is_none();
                let named = request.object.is_missing_by(&self.reply.body);
                self.record.reflected = sent;
                self.record.replied = self.record.shown.filter(|_| again || named);
                self.doubt()
            }
            // Of an object that is not there any more nothing can be changed.
            Deed::Refresh if self.effect.request.verb == Verb::MergePatch => self.doubt(),
            Deed::Retake(_) if self.effect.request.verb == Verb::MergePatch => self.doubt(),
            Deed::Adopt | Deed::Inherit => self.doubt(),
            // The namespace is away; else the order is, or the workspace does not serve the kind any more.
            Deed::Place | Deed::Refresh | Deed::Take(_) | Deed::Retake(_) | Deed::Return(_) => {
                let said = &self.reply.body["details"];
                let namespace = self.effect.request.object.namespace_of();
                match namespace.filter(|it| *self.seen.of(it) != Sight::Absent) {
                    Some(namespace) if said["kind"] == "namespaces" => {
                        self.seen.note(namespace, Sight::Absent);
                        Heard::Again
                    }
                    _ => Heard::Later(Later::Unavailable),
                }
            }
            Deed::Namespace => Heard::Later(Later::Unavailable),
            Deed::Hold
            | Deed::Annotate
            | Deed::Leave
            | Deed::Release
            | Deed::HoldTaken(_)
            | Deed::ReleaseTaken(_)
            | Deed::Update(_) => self.doubt(),
        }
    }

    fn denied(&mut self) -> Heard {
        let causes = self.reply.body["details"]["causes"].as_array();
        let terminating = causes
            .into_iter()
            .flatten()
            .any(|it| it["reason"] == "NamespaceTerminating");
        match &self.effect.deed {
            // It is nobody's order that an agent may do nothing, for good or while a server that just started has not read yet
            // who may do what.
            _ if is_about_us(&self.reply.body) => Heard::Later(Later::Denied),
            Deed::Place | Deed::Refresh | Deed::Adopt if !terminating => {
                self.refuse(
                    "Denied",
                    "the service does not allow this order".to_owned(),
                    false,
                );
                Heard::Again
            }
            _ if terminating => Heard::Later(Later::Unavailable),
            // In a workspace the consumer can make it.
            Deed::Namespace if self.effect.request.object.place != Place::Service => {
                self.note(Sight::Barred);
                Heard::Again
            }
            _ => Heard::Later(Later::Denied),
        }
    }

    fn refused(&mut self) -> Heard {
        let causes = self.causes();
        match &self.effect.deed {
            Deed::Place | Deed::Refresh | Deed::Adopt => {
                let replaced = |(field, _): &(String, String)| {
                    field == "metadata.uid" || field == "metadata.resourceVersion"
                };
                if causes.iter().any(replaced) {
                    return self.doubt();
                }
                let message = self.said(&causes);
                self.refuse("Invalid", message, true);
                Heard::Again
            }
            Deed::Retake(_) | Deed::Update(_)
                if causes.iter().any(|(field, _)| field == "metadata.uid") =>
            {
                self.doubt()
            }
            Deed::Retake(rule) if is_immutable(&causes) && self.publication.recreates(rule) => {
                if let Some(taken) = self.taken() {
                    taken.recreate = true;
                }
                Heard::Again
            }
            Deed::Take(_) | Deed::Retake(_) => {
                if let Some(taken) = self.taken() {
                    let (kind, name) = (&taken.origin.kind.kind, &taken.origin.name);
                    let what = if causes.is_empty() {
                        "it is invalid".to_owned()
                    } else {
                        listed(&causes)
                    };
                    let message = format!("the service does not take the {kind} {name:?}: {what}");
                    let own = [(taken.copy.name.clone(), name.clone())];
                    taken.refused = taken
                        .seen
                        .clone()
                        .map(|seen| (seen, translate(&message, &own)));
                }
                Heard::Again
            }
            // A patch whose test failed has no causes.
            Deed::Hold
            | Deed::Annotate
            | Deed::Leave
            | Deed::Release
            | Deed::HoldTaken(_)
            | Deed::ReleaseTaken(_) => self.doubt(),
            Deed::Inherit => self.doubt(),
            Deed::Reflect | Deed::Update(_) | Deed::Forward(_) if causes.is_empty() => self.doubt(),
            Deed::Update(rule) if is_immutable(&causes) && self.publication.recreates(rule) => {
                if let Some(entry) = self.returned() {
                    entry.recreate = true;
                }
                Heard::Again
            }
            Deed::Update(_) | Deed::Return(_) if !causes.is_empty() => {
                if let Some(entry) = self.returned() {
                    let (kind, name) = (&entry.object.kind.kind, &entry.object.name);
                    let message = format!(
                        "the {kind} {name:?} cannot be returned: {}",
                        listed(&causes)
                    );
                    entry.refused = entry.made_of.clone().map(|made| (made, message));
                }
                Heard::Again
            }
            Deed::Reflect | Deed::Update(_) | Deed::Return(_) | Deed::Forward(_) => {
                Heard::Later(Later::Denied)
            }
            Deed::Namespace | Deed::Retire | Deed::Untake(_) | Deed::Unreturn(_) => {
                Heard::Later(Later::Unavailable)
            }
        }
    }

    fn refuse(&mut self, reason: &str, message: String, lasting: bool) {
        let applied = annotation(&self.effect.request.body, names::APPLIED);
        let intent = applied.and_then(Fingerprint::parse).or(self.record.wish);
        if let Some(intent) = intent {
            self.record.refusal = Some(Refusal {
                intent,
                reason: reason.to_owned(),
                message,
                lasting,
            });
        }
    }

    /// The causes of a `Status`: field and message.
    fn causes(&self) -> Vec<(String, String)> {
        let causes = self.reply.body["details"]["causes"].as_array();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let causes = causes.into_iter().flatten();
        causes
            .map(|it| (text(&it["field"]), text(&it["message"])))
            .collect()
    }

    /// What the service cluster said, about the consumer's own fields and in the consumer's own names.
    fn said(&self, causes: &[(String, String)]) -> String {
        let projection = self.publication.projection();
        let mut names = self.names();
        // Two paths that are the same on both sides need no words.
        let mut sentences: Vec<String> = Vec::new();
        for (field, message) in causes {
            let Some(here) = projection
                .up_path(field)
                .filter(|_| parse_spot(field).is_some())
            else {
                continue;
            };
            names.push((field.clone(), here.clone()));
            let sentence = format!("{here}: {}", translate(message, &names));
            if !sentences.contains(&sentence) {
                sentences.push(sentence);
            }
        }
        if sentences.is_empty() {
            "the service does not take this order".to_owned()
        } else {
            sentences.join("; ")
        }
    }

    /// What the service cluster calls things, and what the consumer calls them.
    fn names(&self) -> Vec<(String, String)> {
        let origin = self.seen.of(&self.publication.origin(self.key)).body();
        let copy = &self.effect.request.object;
        let intent = origin.and_then(|origin| {
            let (copy, moved) = (name_of(copy), self.seen.moved());
            self.publication
                .intent_at(self.key, origin, &copy, moved)
                .ok()
        });
        let own = [
            (copy.name.clone(), self.key.name.clone()),
            (copy.namespace.clone(), self.key.namespace.clone()),
        ];
        let own = own
            .into_iter()
            .filter(|(there, here)| !there.is_empty() && there != here);
        intent.map_or_else(|| own.collect(), |intent| intent.names)
    }
}
