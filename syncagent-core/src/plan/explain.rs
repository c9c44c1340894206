//! Why: a plan as text, and in whose hands an order is that does not get on.
//!
//! These texts are for the provider: they name objects of both sides, never their content.

use std::fmt;

use super::effect::Deed;
use super::seen::{Depth, Question};
use super::step::Step;
use super::{Ending, Plan};

/// Who can do something about an order that does not get on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Hands {
    /// Whoever wrote the order: it is invalid, or misses something of theirs.
    Consumer,
    /// Whoever runs the agent: something is not allowed, or in the way.
    Provider,
    /// The operator on the service cluster: something is not finished.
    Service,
    /// Nobody in particular: a server is away, and the agent tries again.
    Server,
}

impl fmt::Display for Hands {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Consumer => "the consumer",
            Self::Provider => "the provider",
            Self::Service => "the service",
            Self::Server => "a server that is away",
        })
    }
}

/// What the consumer has to know of an order that does not get on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trouble {
    /// The reason, in one word, as the condition `Synced` shows it.
    pub reason: String,
    /// The message, in the consumer's terms.
    pub message: String,
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

/// In whose hands an order is; `None` when nothing is to be done.
pub(super) fn hands(step: &Step<'_>) -> Option<Hands> {
    if step.gone {
        return None;
    }
    let reason = step.troubles.first().map(|(reason, _)| reason.as_str());
    match reason {
        Some("Deleting") => Some(Hands::Service),
        Some("Denied" | "Drifted" | "Contested") => Some(Hands::Provider),
        // Of the copy, or of what goes down with it: the consumer sees nothing there.
        Some("NameTaken") => {
            let below =
                step.record.refusal.is_some() || step.record.taken.iter().any(|it| it.foreign);
            Some(if below {
                Hands::Provider
            } else {
                Hands::Consumer
            })
        }
        Some(_) => Some(Hands::Consumer),
        None if !step.refused.is_empty() || !step.drifted.is_empty() => Some(Hands::Provider),
        None if step.waiting.is_empty() => None,
        // Somebody else's finalizer holds it in the workspace.
        None if step.record.released => Some(Hands::Consumer),
        // Or orders do that refer to it.
        None if step.context.referred => Some(Hands::Consumer),
        None => Some(Hands::Service),
    }
}

impl Deed {
    /// One word for it, as metrics and logs say it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Hold => "hold",
            Self::Namespace => "namespace",
            Self::Place => "place",
            Self::Refresh => "refresh",
            Self::Adopt => "adopt",
            Self::Inherit => "inherit",
            Self::Reflect => "reflect",
            Self::Annotate => "annotate",
            Self::Leave => "leave",
            Self::Retire => "retire",
            Self::Release => "release",
            Self::HoldTaken(_) => "hold-taken",
            Self::Take(_) => "take",
            Self::Retake(_) => "retake",
            Self::Untake(_) => "untake",
            Self::ReleaseTaken(_) => "release-taken",
            Self::Return(_) => "return",
            Self::Update(_) => "update",
            Self::Unreturn(_) => "unreturn",
            Self::Forward(_) => "forward",
        }
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Look {
                object,
                depth: Depth::Outline,
            } => write!(f, "the metadata of {object}"),
            Self::Look {
                object,
                depth: Depth::Body,
            } => write!(f, "{object}"),
            Self::List { query } => write!(f, "the metadata of {query}"),
            Self::Users { object } => write!(f, "whether others use {object}"),
            Self::State { secret } => write!(f, "what the Go agent remembers in {secret}"),
        }
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settled => f.write_str("settled"),
            Self::Waiting(why) => write!(f, "waits: {why}"),
            Self::Drifted(why) => write!(f, "has drifted: {why}"),
            Self::Refused(why) => write!(f, "is refused: {why}"),
            Self::Gone => f.write_str("is gone"),
        }
    }
}

/// One line for each thing that is asked, done and told, as in
/// `would place service: things.example.io 1abc/a because it is not there yet`.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for question in &self.questions {
            writeln!(f, "would look at {question}")?;
        }
        for effect in &self.effects {
            writeln!(f, "would {effect}")?;
        }
        for trouble in &self.troubles {
            writeln!(f, "would tell the consumer: {trouble}")?;
        }
        if self.questions.is_empty() && self.effects.is_empty() {
            write!(f, "{}", self.ending)?;
            if let Some(hands) = self.hands {
                write!(f, " (in the hands of {hands})")?;
            }
        } else {
            f.write_str("then looks again")?;
        }
        Ok(())
    }
}
