//! Up: from the copy's status to the status that the consumer sees, with our own condition in it.
//!
//! Generations are translated on the way: the operator speaks of the copy's generation, the consumer knows only the
//! order's. While the operator has not looked at the newest copy yet, the consumer sees the generation of the order
//! before, so that `kubectl wait` tells the truth.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::definition::{Compose, Convert, Kind, ReadRule};
use crate::mutation::{Pipeline, Stop};
use crate::naming::Scheme;
use crate::object::path::{self, Path};
use crate::template::Template;

/// The type of our own condition.
pub const SYNCED: &str = "Synced";

/// Our own condition on the origin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synced {
    /// Whether all is well.
    pub ok: bool,
    /// The reason, in one word.
    pub reason: String,
    /// The message, in the consumer's terms.
    pub message: String,
    /// Since when the condition has this status.
    pub since: String,
}

/// Which generations of an order and its copy belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generations {
    /// The generation of the copy that reflects `reflects`.
    pub generation: i64,
    /// The generation of the order that the copy reflects.
    pub reflects: i64,
    /// The generation of the order that the copy reflected before; 0 when there is none.
    pub before: i64,
}

/// The compiled way up.
#[derive(Clone, Debug)]
pub enum Up {
    /// All of it.
    Whole,
    /// All of it, as it stands.
    Verbatim,
    /// Declared fields.
    Fields(Vec<Field>),
    /// Nothing.
    None,
}

/// A compiled field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Where it is in the workspace.
    pub to: Path,
    /// Where it is on the copy; empty for the whole copy.
    pub from: Path,
    /// What happens on the way.
    pub turn: Turn,
}

/// What happens to a status field on the way up.
#[derive(Clone, Debug)]
pub enum Turn {
    /// Nothing.
    AsIs,
    /// A function.
    With(Convert),
    /// A name is turned into the consumer's.
    Named(Kind, Scheme),
}

/// The compiled function that makes a status, and what it reads.
#[derive(Clone, Debug)]
pub struct Made {
    /// What it reads on the service cluster, with the compiled templates of the names.
    pub reads: Vec<(ReadRule, Template)>,
    /// The function.
    pub make: Compose,
}

/// Lays one status over another: what both have is the second one's, except where both are objects.
pub fn lay_over(status: &mut Value, over: Value) {
    match (status, over) {
        (Value::Object(status), Value::Object(over)) => {
            for (field, value) in over {
                lay_over(status.entry(field).or_insert(Value::Null), value);
            }
        }
        (status, over) => *status = over,
    }
}

impl Up {
    /// Whether a name in the status can only be turned around with the order in hand.
    #[must_use]
    pub fn needs_origin(&self) -> bool {
        match self {
            Self::Fields(fields) => fields.iter().any(|field| match &field.turn {
                Turn::Named(_, scheme) => !scheme.reads_back(),
                _ => false,
            }),
            _ => false,
        }
    }

    /// Whether generations in it are turned into the order's.
    #[must_use]
    pub fn turns_generations(&self) -> bool {
        !matches!(self, Self::Verbatim)
    }

    /// The status that the consumer sees, without our own condition. `named` are the names that the order itself uses, as
    /// the service cluster's and the consumer's.
    #[must_use]
    pub fn project(&self, copy: &Value, known: Generations, named: &[(String, String)]) -> Value {
        let mut copy = copy.clone();
        if self.turns_generations() {
            map_generations(&mut copy["status"], known);
        }
        let mut status = match self {
            Self::None => Value::Null,
            Self::Whole | Self::Verbatim => copy["status"].take(),
            Self::Fields(fields) => {
                let mut object = json!({});
                for field in fields {
                    field.project(&copy, named, &mut object);
                }
                object["status"].take()
            }
        };
        crate::object::drop_nulls(&mut status);
        if status.is_object() {
            status
        } else {
            json!({})
        }
    }
}

impl Field {
    fn project(&self, copy: &Value, named: &[(String, String)], object: &mut Value) {
        let found = self.from.each(copy);
        if found.is_empty()
            && let Turn::With(with) = self.turn
            && self.to.eaches() == 0
            && let Ok(value) = with(&Value::Null)
        {
            // A function may have something to say about a field that is not there.
            path::set(object, &self.to.like(&[]), value);
        }
        for (spot, value) in found {
            let value = match &self.turn {
                Turn::AsIs => Some(value.clone()),
                Turn::With(with) => with(value).ok(),
                Turn::Named(_, scheme) => value.as_str().and_then(|name| {
                    let own = named
                        .iter()
                        .find(|(there, _)| there == name)
                        .map(|(_, here)| here.clone());
                    own.or_else(|| scheme.origin_name(name)).map(Value::String)
                }),
            };
            if let Some(value) = value.filter(|value| !value.is_null()) {
                path::set(object, &self.to.like(&spot), value);
            }
        }
    }
}

/// Applies the mutations of the way up to a projected status, whose generations are the order's already. They see the copy
/// with this status, and on the other side the order. A rule that cannot be applied takes its value out: what it was to
/// change is not shown as it was.
pub(crate) fn mutate(
    changes: &Pipeline,
    status: &mut Value,
    copy: &Value,
    origin: Option<&Value>,
) -> Vec<Stop> {
    if changes.is_empty() {
        return Vec::new();
    }
    let mut object = copy.clone();
    if !object.is_object() {
        object = json!({});
    }
    object["status"] = status.take();
    let stops = changes.apply_each_way(&mut object, origin);
    *status = object["status"].take();
    crate::object::drop_nulls(status);
    if !status.is_object() {
        *status = json!({});
    }
    stops
}

/// Puts the order's generation in the place of the copy's, in the status and in its conditions.
fn map_generations(status: &mut Value, known: Generations) {
    let map = |observed: &mut Value| {
        if let Some(generation) = observed.as_i64() {
            *observed = json!(shown_generation(generation, known));
        }
    };
    if let Some(observed) = status.get_mut("observedGeneration") {
        map(observed);
    }
    let conditions = status.get_mut("conditions").and_then(Value::as_array_mut);
    for condition in conditions.into_iter().flatten() {
        if let Some(observed) = condition.get_mut("observedGeneration") {
            map(observed);
        }
    }
}

/// The order's generation that the operator has looked at.
#[must_use]
pub fn shown_generation(observed: i64, known: Generations) -> i64 {
    if observed >= known.generation {
        known.reflects
    } else if known.before > 0 && known.before < known.reflects {
        known.before
    } else {
        (known.reflects - 1).max(0)
    }
}

/// Whether a status speaks of generations.
#[must_use]
pub fn speaks_of_generations(status: &Value) -> bool {
    let conditions = status["conditions"].as_array();
    status.get("observedGeneration").is_some()
        || conditions
            .into_iter()
            .flatten()
            .any(|it| it.get("observedGeneration").is_some())
}

/// Our condition, as an object's status shows it.
#[must_use]
pub fn synced(status: &Value) -> Option<Synced> {
    let conditions = status["conditions"].as_array()?;
    let ours = conditions.iter().find(|it| it["type"] == SYNCED)?;
    let text = |field: &str| ours[field].as_str().unwrap_or_default().to_owned();
    Some(Synced {
        ok: ours["status"] == "True",
        reason: text("reason"),
        message: text("message"),
        since: text("lastTransitionTime"),
    })
}

/// The status with our condition in it, in the place of an older one or behind the others.
#[must_use]
pub fn with_synced(mut status: Value, synced: &Synced) -> Value {
    let ours = json!({
        "type": SYNCED,
        "status": if synced.ok { "True" } else { "False" },
        "reason": synced.reason,
        "message": synced.message,
        "lastTransitionTime": synced.since,
    });
    if !status.is_object() {
        status = Value::Object(Map::new());
    }
    let conditions = &mut status["conditions"];
    if !conditions.is_array() {
        *conditions = json!([]);
    }
    if let Some(list) = conditions.as_array_mut() {
        list.retain(|it| it["type"] != SYNCED);
        list.push(ours);
    }
    status
}

/// The status without our condition.
#[must_use]
pub fn without_synced(status: &Value) -> Value {
    let mut status = status.clone();
    if let Some(list) = status.get_mut("conditions").and_then(Value::as_array_mut) {
        list.retain(|it| it["type"] != SYNCED);
        if list.is_empty()
            && let Some(map) = status.as_object_mut()
        {
            map.remove("conditions");
        }
    }
    if status.is_object() {
        status
    } else {
        json!({})
    }
}
