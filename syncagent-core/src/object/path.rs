//! Paths into objects, as providers write them: `spec.hosts[].name`.
//!
//! A [`Path`] may mean several places (`[]` is "each element"); a [`Spot`] is one of them, with its indices. Keys that
//! contain dots are quoted: `metadata.annotations["acme.io/tier"]`.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// Into a field.
    Field(String),
    /// Into each element.
    Each,
}

/// A path, possibly to several places.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<Step>);

/// One step to one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hop {
    /// Into a field.
    Field(String),
    /// Into the element at this position.
    At(usize),
}

/// One place in one object.
pub type Spot = Vec<Hop>;

/// Why a text is no path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no path: {why}")]
pub struct PathError {
    /// The text.
    pub text: String,
    /// What is wrong with it.
    pub why: &'static str,
}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let wrong = |why| PathError {
            text: text.to_owned(),
            why,
        };
        let mut steps = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix("[]") {
                if steps.is_empty() {
                    return Err(wrong("it starts with `[]`"));
                }
                steps.push(Step::Each);
                rest = after;
            } else if let Some(after) = rest.strip_prefix("[\"") {
                let end = after
                    .find("\"]")
                    .ok_or_else(|| wrong("a `[\"` is never closed"))?;
                steps.push(Step::Field(after[..end].to_owned()));
                rest = &after[end + 2..];
            } else {
                let start = if steps.is_empty() {
                    rest
                } else {
                    rest.strip_prefix('.')
                        .ok_or_else(|| wrong("a dot is missing"))?
                };
                let end = start.find(['.', '[']).unwrap_or(start.len());
                let field = &start[..end];
                if field.is_empty()
                    || field.contains(|c: char| c.is_whitespace() || "\"]{}".contains(c))
                {
                    return Err(wrong("a field has no proper name"));
                }
                steps.push(Step::Field(field.to_owned()));
                rest = &start[end..];
            }
        }
        Ok(Self(steps))
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hops = self.0.iter().map(|step| match step {
            Step::Field(name) => Ok(name.as_str()),
            Step::Each => Err(None),
        });
        print(f, hops)
    }
}

/// Prints a spot as a consumer would write it: `spec.hosts[2].name`.
#[must_use]
pub fn spot_text(spot: &[Hop]) -> String {
    struct Text<'a>(&'a [Hop]);
    impl fmt::Display for Text<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let hops = self.0.iter().map(|hop| match hop {
                Hop::Field(name) => Ok(name.as_str()),
                Hop::At(at) => Err(Some(*at)),
            });
            print(f, hops)
        }
    }
    Text(spot).to_string()
}

fn print<'a>(
    f: &mut fmt::Formatter<'_>,
    hops: impl Iterator<Item = Result<&'a str, Option<usize>>>,
) -> fmt::Result {
    for (position, hop) in hops.enumerate() {
        match hop {
            Ok(name) if name.contains(['.', '[', '/']) => write!(f, "[\"{name}\"]")?,
            Ok(name) if position == 0 => f.write_str(name)?,
            Ok(name) => write!(f, ".{name}")?,
            Err(None) => f.write_str("[]")?,
            Err(Some(at)) => write!(f, "[{at}]")?,
        }
    }
    Ok(())
}

impl Path {
    /// A path of fields.
    #[must_use]
    pub fn of(fields: &[&str]) -> Self {
        Self(
            fields
                .iter()
                .map(|field| Step::Field((*field).to_owned()))
                .collect(),
        )
    }

    /// A path of steps.
    #[must_use]
    pub fn from_steps(steps: Vec<Step>) -> Self {
        Self(steps)
    }

    /// Whether it leads nowhere: to the object itself.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Its steps.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// How often it says "each element".
    #[must_use]
    pub fn eaches(&self) -> usize {
        self.0.iter().filter(|step| **step == Step::Each).count()
    }

    /// Whether it is this path or below it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.starts_with(&other.0)
    }

    /// The path with another one appended.
    #[must_use]
    pub fn join(&self, below: &Self) -> Self {
        Self(self.0.iter().chain(&below.0).cloned().collect())
    }

    /// Every place that exists in the object.
    #[must_use]
    pub fn spots(&self, object: &Value) -> Vec<Spot> {
        let mut found = vec![(Spot::new(), object)];
        for step in &self.0 {
            found = found
                .into_iter()
                .flat_map(|(spot, value)| {
                    let with = |hop| spot.iter().cloned().chain([hop]).collect();
                    match step {
                        Step::Field(name) => match value.get(name) {
                            Some(value) => vec![(with(Hop::Field(name.clone())), value)],
                            None => Vec::new(),
                        },
                        Step::Each => {
                            let list = value.as_array().into_iter().flatten().enumerate();
                            list.map(|(at, value)| (with(Hop::At(at)), value)).collect()
                        }
                    }
                })
                .collect();
        }
        found.into_iter().map(|(spot, _)| spot).collect()
    }

    /// Every place that could be in the object: each element that is there, and below it fields that need not be.
    #[must_use]
    pub fn places(&self, object: &Value) -> Vec<Spot> {
        let mut found = vec![(Spot::new(), Some(object))];
        for step in &self.0 {
            found = found
                .into_iter()
                .flat_map(|(spot, value)| {
                    let with = |hop| -> Spot { spot.iter().cloned().chain([hop]).collect() };
                    match step {
                        Step::Field(name) => {
                            let below = value.and_then(|it| it.get(name));
                            vec![(with(Hop::Field(name.clone())), below)]
                        }
                        Step::Each => {
                            let list = value.and_then(Value::as_array).into_iter().flatten();
                            let each = list.enumerate();
                            each.map(|(at, it)| (with(Hop::At(at)), Some(it))).collect()
                        }
                    }
                })
                .collect();
        }
        found.into_iter().map(|(spot, _)| spot).collect()
    }

    /// Every place that exists in the object, with what is there; nulls count as absent.
    #[must_use]
    pub fn each<'a>(&self, object: &'a Value) -> Vec<(Spot, &'a Value)> {
        let spots = self.spots(object).into_iter();
        spots
            .filter_map(|spot| {
                let value = get(object, &spot)?;
                Some((spot, value))
            })
            .collect()
    }

    /// The first place that exists in the object.
    #[must_use]
    pub fn first<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.each(object).into_iter().next().map(|(_, value)| value)
    }

    /// Takes every place out of the object.
    pub fn remove(&self, object: &mut Value) {
        // From the back: taking out an element moves those behind it.
        for spot in self.spots(object).iter().rev() {
            remove(object, spot);
        }
    }

    /// This path with the indices of a spot of another path that says "each" as often.
    #[must_use]
    pub fn like(&self, spot: &[Hop]) -> Spot {
        let mut at = spot.iter().filter_map(|hop| match hop {
            Hop::At(at) => Some(*at),
            Hop::Field(_) => None,
        });
        self.0
            .iter()
            .map(|step| match step {
                Step::Field(name) => Hop::Field(name.clone()),
                Step::Each => Hop::At(at.next().unwrap_or(0)),
            })
            .collect()
    }
}

/// What is at a spot; a null counts as absent.
#[must_use]
pub fn get<'a>(object: &'a Value, spot: &[Hop]) -> Option<&'a Value> {
    let mut value = object;
    for hop in spot {
        value = match hop {
            Hop::Field(name) => value.get(name)?,
            Hop::At(at) => value.get(at)?,
        };
    }
    (!value.is_null()).then_some(value)
}

/// Puts a value at a spot and makes what is missing on the way.
pub fn set(object: &mut Value, spot: &[Hop], new: Value) {
    let mut value = object;
    for hop in spot {
        value = match hop {
            Hop::Field(name) => {
                if !value.is_object() {
                    *value = Value::Object(Map::new());
                }
                let map = value.as_object_mut().expect("it was made an object");
                map.entry(name.clone()).or_insert(Value::Null)
            }
            Hop::At(at) => {
                if !value.is_array() {
                    *value = Value::Array(Vec::new());
                }
                let list = value.as_array_mut().expect("it was made a list");
                if list.len() <= *at {
                    list.resize(*at + 1, Value::Null);
                }
                &mut list[*at]
            }
        };
    }
    *value = new;
}

/// Takes a spot out of the object.
pub fn remove(object: &mut Value, spot: &[Hop]) {
    let Some((last, before)) = spot.split_last() else {
        *object = Value::Null;
        return;
    };
    let mut value = object;
    for hop in before {
        let next = match hop {
            Hop::Field(name) => value.get_mut(name),
            Hop::At(at) => value.get_mut(at),
        };
        let Some(next) = next else { return };
        value = next;
    }
    match (last, value) {
        (Hop::Field(name), Value::Object(map)) => {
            map.remove(name);
        }
        (Hop::At(at), Value::Array(list)) if *at < list.len() => {
            list.remove(*at);
        }
        _ => {}
    }
}
