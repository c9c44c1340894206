//! Mutations: values that are changed on their way by rules of the provider.
//!
//! A [`Pipeline`] is compiled once and applied to any object: it yields the changed object or a [`Stop`], which says at
//! which place of the object a rule could not be applied. Everything is bounded: no template, expression or pattern runs
//! or grows without end, whatever a consumer writes.
//!
//! What templates, expressions and paths of the Go agent need (the feature `mutations`, and `cel` for expressions) gives
//! exactly Go's results; `tests/go` holds the program that records them, and `tests/it/mutation.rs` compares.
//!
//! ```text
//! path      gjson and sjson over JSON values
//! regex     Go's RE2 syntax
//! template  text/template; value, print, builtin, sprig: what it is made of
//! cel       expressions
//! ```

#[cfg(feature = "mutations")]
mod builtin;
#[cfg(feature = "cel")]
mod cel;
#[cfg(feature = "mutations")]
mod found;
#[cfg(feature = "mutations")]
mod path;
#[cfg(feature = "mutations")]
mod print;
mod regex;
#[cfg(feature = "mutations")]
mod sprig;
#[cfg(feature = "mutations")]
mod template;
#[cfg(feature = "mutations")]
mod value;

use std::fmt;

use serde_json::Value;

#[cfg(feature = "cel")]
pub use self::cel::Expression;
#[cfg(feature = "compat")]
pub(crate) use self::found::json as go_json;
#[cfg(feature = "mutations")]
pub use self::path::GoPath;
pub use self::regex::Pattern;
#[cfg(feature = "mutations")]
pub use self::template::Template;
use crate::definition::{At, Change, Convert, Mutation};
use crate::object::path::{self as spots, Path, Spot, spot_text};

/// Why a rule cannot be compiled or applied: a sentence for the provider, never for a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault(String);

impl Fault {
    /// A fault with its sentence.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Fault {}

/// Where and why an object cannot be mutated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// The place within the object being changed.
    pub at: String,
    /// What a function of the provider says to the consumer; `None` where the rule itself failed.
    pub said: Option<String>,
    /// What the provider should know.
    pub fault: Fault,
}

/// Compiled mutations of one direction, in their order.
#[derive(Clone, Debug, Default)]
pub struct Pipeline {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    at: Target,
    turn: Turn,
}

#[derive(Clone, Debug)]
enum Target {
    Path(Path),
    #[cfg(feature = "mutations")]
    Go(GoPath),
}

#[derive(Clone, Debug)]
enum Turn {
    Set(Value),
    Default(Value),
    Delete,
    Function(Convert),
    #[cfg(feature = "mutations")]
    Regex(Option<Pattern>, String),
    #[cfg(feature = "mutations")]
    Template(Box<Template>),
    #[cfg(feature = "cel")]
    Cel(Box<Expression>),
}

/// What a rule makes of the value at a place.
enum Made {
    Value(Value),
    /// Nothing is to be done here.
    Kept,
}

impl Pipeline {
    /// Compiles mutations.
    ///
    /// # Errors
    ///
    /// Every mistake: the position of the mutation, and what is wrong with it.
    pub fn compile(mutations: &[Mutation]) -> Result<Self, Vec<(usize, Fault)>> {
        let mut rules = Vec::new();
        let mut faults = Vec::new();
        for (position, mutation) in mutations.iter().enumerate() {
            let at = Target::compile(&mutation.at, &mutation.change);
            let turn = Turn::compile(&mutation.change);
            match (at, turn) {
                (Ok(at), Ok(turn)) => rules.push(Rule { at, turn }),
                (at, turn) => {
                    faults.extend(at.err().map(|fault| (position, fault)));
                    faults.extend(turn.err().map(|fault| (position, fault)));
                }
            }
        }
        if faults.is_empty() {
            Ok(Self { rules })
        } else {
            Err(faults)
        }
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether a rule looks at the object on the other side.
    #[must_use]
    pub fn reads_other(&self) -> bool {
        self.rules.iter().any(|rule| match &rule.turn {
            #[cfg(feature = "mutations")]
            Turn::Template(template) => template.reads("RemoteObject"),
            #[cfg(feature = "cel")]
            Turn::Cel(expression) => expression.reads_other(),
            _ => false,
        })
    }

    /// The paths that are written, where they are in the syntax of this crate.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.rules.iter().filter_map(|rule| rule.at.path())
    }

    /// Changes an object, rule by rule; a rule that cannot be applied takes the value out, and the others go on.
    pub fn apply_each_way(&self, object: &mut Value, other: Option<&Value>) -> Vec<Stop> {
        let mut stops = Vec::new();
        for rule in &self.rules {
            if let Err(stop) = rule.apply(object, other) {
                rule.at.clear(object);
                stops.push(stop);
            }
        }
        stops
    }

    /// Changes an object, rule by rule.
    ///
    /// # Errors
    ///
    /// When a rule cannot be applied; the object is then of no use.
    pub fn apply(&self, object: &mut Value, other: Option<&Value>) -> Result<(), Stop> {
        for rule in &self.rules {
            rule.apply(object, other)?;
        }
        Ok(())
    }
}

impl Target {
    fn compile(at: &At, change: &Change) -> Result<Self, Fault> {
        match at {
            At::Path(text) => {
                let path: Path = text
                    .parse()
                    .map_err(|error: spots::PathError| Fault::new(error.to_string()))?;
                if path.is_empty() && !matches!(change, Change::Function(_)) {
                    return Err(Fault::new(
                        "an empty path is the whole object, which only a function may change",
                    ));
                }
                Ok(Self::Path(path))
            }
            #[cfg(feature = "mutations")]
            At::Go(text) => {
                let path = GoPath::parse(text)?;
                if matches!(change, Change::Delete) && !path.is_simple() {
                    return Err(Fault::new(format!(
                        "`{text}` may lead to several places, which cannot be deleted"
                    )));
                }
                Ok(Self::Go(path))
            }
            #[cfg(not(feature = "mutations"))]
            At::Go(_) => Err(without("mutations")),
        }
    }
}

impl Target {
    /// The path, where it is in the syntax of this crate.
    #[cfg_attr(
        not(feature = "mutations"),
        allow(
            clippy::unnecessary_wraps,
            reason = "there are others with the feature"
        )
    )]
    fn path(&self) -> Option<&Path> {
        match self {
            Self::Path(path) => Some(path),
            #[cfg(feature = "mutations")]
            Self::Go(_) => None,
        }
    }

    /// Takes out whatever is there.
    fn clear(&self, object: &mut Value) {
        match self {
            Self::Path(path) if path.is_empty() => *object = Value::Null,
            Self::Path(path) => path.remove(object),
            #[cfg(feature = "mutations")]
            Self::Go(path) => {
                if path.delete(object).is_err() {
                    // Several places: nulls count as absent.
                    let _ = path.set(object, &Value::Null);
                }
            }
        }
    }
}

#[cfg(not(all(feature = "mutations", feature = "cel")))]
fn without(feature: &str) -> Fault {
    Fault::new(format!(
        "this program was built without the feature `{feature}`, which the rule needs"
    ))
}

impl Turn {
    fn compile(change: &Change) -> Result<Self, Fault> {
        Ok(match change {
            Change::Set(value) => Self::Set(value.clone()),
            Change::Default(value) => Self::Default(value.clone()),
            Change::Delete => Self::Delete,
            Change::Function(function) => Self::Function(*function),
            #[cfg(feature = "mutations")]
            Change::Regex {
                pattern,
                replacement,
            } => {
                let compiled = match pattern.as_str() {
                    "" => None,
                    pattern => Some(Pattern::parse(pattern)?),
                };
                Self::Regex(compiled, replacement.clone())
            }
            #[cfg(feature = "mutations")]
            Change::Template(text) => Self::Template(Box::new(Template::parse(text)?)),
            #[cfg(feature = "cel")]
            Change::Cel(text) => Self::Cel(Box::new(Expression::parse(text)?)),
            #[cfg(not(feature = "mutations"))]
            Change::Regex { .. } | Change::Template(_) => return Err(without("mutations")),
            #[cfg(not(feature = "cel"))]
            Change::Cel(_) => return Err(without("cel")),
        })
    }

    /// What becomes of a value. `strict`: a path of this crate, where a pattern leaves alone what is not there.
    #[cfg_attr(
        not(feature = "mutations"),
        allow(clippy::unnecessary_wraps, reason = "rules of features fail")
    )]
    fn make(
        &self,
        subject: &Subject<'_>,
        value: Option<&Value>,
        strict: bool,
    ) -> Result<Made, Trouble> {
        let there = value.filter(|it| !it.is_null());
        let _ = (subject, strict);
        Ok(match self {
            Self::Set(value) => Made::Value(value.clone()),
            Self::Default(_) if there.is_some() => Made::Kept,
            Self::Default(value) => Made::Value(value.clone()),
            Self::Delete => Made::Value(Value::Null),
            Self::Function(function) => {
                let made = function(value.unwrap_or(&Value::Null)).map_err(Trouble::Said)?;
                if made.is_null() && value.is_none() {
                    Made::Kept
                } else {
                    Made::Value(made)
                }
            }
            #[cfg(feature = "mutations")]
            Self::Regex(..) if strict && there.is_none() => Made::Kept,
            #[cfg(feature = "mutations")]
            Self::Regex(None, replacement) => Made::Value(Value::String(replacement.clone())),
            #[cfg(feature = "mutations")]
            Self::Regex(Some(pattern), replacement) => {
                let text = found::Found::new(value.cloned()).text();
                let most = value::HEAVIEST;
                if text.len().saturating_mul(replacement.len().max(1)) > most.saturating_mul(16) {
                    return Err(Trouble::Failed(Fault::new("the result would be too long")));
                }
                Made::Value(Value::String(pattern.replace_all(&text, replacement)))
            }
            #[cfg(feature = "mutations")]
            Self::Template(template) => {
                let data = subject.data(value);
                Made::Value(Value::String(
                    template.render(&data).map_err(Trouble::Failed)?,
                ))
            }
            #[cfg(feature = "cel")]
            Self::Cel(expression) => {
                let made = expression.evaluate(subject.this, subject.other, value);
                Made::Value(made.map_err(Trouble::Failed)?)
            }
        })
    }
}

enum Trouble {
    Said(String),
    #[cfg_attr(
        not(feature = "mutations"),
        allow(dead_code, reason = "rules of features fail")
    )]
    Failed(Fault),
}

impl Trouble {
    fn at(self, at: String) -> Stop {
        match self {
            Self::Said(said) => Stop {
                at,
                fault: Fault::new(said.clone()),
                said: Some(said),
            },
            Self::Failed(fault) => Stop {
                at,
                said: None,
                fault,
            },
        }
    }
}

/// What a rule may look at besides the value itself: the object as it was before the rule, and the other one.
struct Subject<'a> {
    #[cfg_attr(
        not(feature = "cel"),
        allow(dead_code, reason = "expressions look at it")
    )]
    this: &'a Value,
    #[cfg_attr(
        not(feature = "cel"),
        allow(dead_code, reason = "expressions look at it")
    )]
    other: Option<&'a Value>,
    /// Both, as templates see them; read once for all elements.
    #[cfg(feature = "mutations")]
    sides: Option<[value::Value; 2]>,
}

impl<'a> Subject<'a> {
    fn new(turn: &Turn, this: &'a Value, other: Option<&'a Value>) -> Self {
        let _ = turn;
        Self {
            this,
            other,
            #[cfg(feature = "mutations")]
            sides: matches!(turn, Turn::Template(_)).then(|| {
                let empty = serde_json::json!({});
                [
                    value::Value::of(this),
                    value::Value::of(other.unwrap_or(&empty)),
                ]
            }),
        }
    }

    #[cfg(feature = "mutations")]
    fn data(&self, value: Option<&Value>) -> value::Value {
        let [this, other] = self
            .sides
            .clone()
            .unwrap_or([value::Value::Missing, value::Value::Missing]);
        data(value, this, other)
    }
}

/// The data of the template of a mutation.
#[cfg(feature = "mutations")]
fn data(value: Option<&Value>, this: value::Value, other: value::Value) -> value::Value {
    let found = found::Found::new(value.cloned());
    value::Value::Context(std::sync::Arc::new([
        ("Value", value::Value::Found(std::sync::Arc::new(found))),
        ("LocalObject", this),
        ("RemoteObject", other),
    ]))
}

impl Rule {
    fn apply(&self, object: &mut Value, other: Option<&Value>) -> Result<(), Stop> {
        match &self.at {
            Target::Path(path) => self.apply_each(path, object, other),
            #[cfg(feature = "mutations")]
            Target::Go(path) => self.apply_go(path, object, other),
        }
    }

    fn apply_each(
        &self,
        path: &Path,
        object: &mut Value,
        other: Option<&Value>,
    ) -> Result<(), Stop> {
        if matches!(self.turn, Turn::Delete) {
            path.remove(object);
            return Ok(());
        }
        let mut made: Vec<(Spot, Value)> = Vec::new();
        {
            let subject = Subject::new(&self.turn, object, other);
            for spot in path.places(object) {
                let value = spots::get(object, &spot);
                match self.turn.make(&subject, value, true) {
                    Ok(Made::Kept) => {}
                    Ok(Made::Value(value)) => made.push((spot, value)),
                    Err(trouble) => return Err(trouble.at(spot_text(&spot))),
                }
            }
        }
        // From the back: taking out an element moves those behind it.
        for (spot, value) in made.into_iter().rev() {
            if value.is_null() {
                spots::remove(object, &spot);
            } else {
                spots::set(object, &spot, value);
            }
        }
        Ok(())
    }

    #[cfg(feature = "mutations")]
    fn apply_go(
        &self,
        path: &GoPath,
        object: &mut Value,
        other: Option<&Value>,
    ) -> Result<(), Stop> {
        let stop = |fault: Fault| Trouble::Failed(fault).at(path.as_str().to_owned());
        if matches!(self.turn, Turn::Delete) {
            return path.delete(object).map_err(stop);
        }
        let value = path.get(object);
        let made = {
            let subject = Subject::new(&self.turn, object, other);
            self.turn.make(&subject, value.as_ref(), false)
        };
        match made {
            Ok(Made::Kept) => Ok(()),
            Ok(Made::Value(value)) => path.set(object, &value).map_err(stop),
            Err(trouble) => Err(trouble.at(path.as_str().to_owned())),
        }
    }
}

/// A float as JSON; a whole one is an integer, as when Go writes it.
#[cfg(feature = "mutations")]
fn whole(float: f64) -> Option<Value> {
    if float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
        return Some(Value::from(float as i64));
    }
    serde_json::Number::from_f64(float).map(Value::Number)
}
