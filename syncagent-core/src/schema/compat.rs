//! What a new schema does to objects that exist: every difference, and whether it breaks them.
//!
//! A difference *breaks* when an object that was valid under the old schema may be invalid under the new one, or may lose
//! something it holds, or can no longer be addressed as before. Everything else is harmless and listed as well: a person
//! who is asked for consent sees the whole change. Documentation is not compared.
//!
//! The judgement errs on the safe side: a pattern that is written differently counts as another pattern.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// One difference between two schemas.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Difference {
    /// The version it is in; empty when it is about the kind.
    pub version: String,
    /// The field, as in `spec.hosts[]`; a map's values are `.*`; empty for the whole.
    pub path: String,
    /// What is different, in words.
    pub what: String,
    /// Whether objects that exist may suffer from it.
    pub breaks: bool,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in [&self.version, &self.path] {
            if !part.is_empty() {
                write!(f, "{part}: ")?;
            }
        }
        f.write_str(&self.what)
    }
}

/// Every difference between the specs of two `APIResourceSchema` objects of the same resource.
#[must_use]
pub fn differences(old: &Value, new: &Value) -> Vec<Difference> {
    let mut walk = Walk::default();
    for (what, at) in [
        ("group", "/group"),
        ("scope", "/scope"),
        ("kind", "/names/kind"),
        ("plural", "/names/plural"),
    ] {
        let (was, is) = (old.pointer(at), new.pointer(at));
        if was != is {
            walk.breaks("", format!("the {what} {} becomes {}", show(was), show(is)));
        }
    }
    for (what, at) in [
        ("singular name", "/names/singular"),
        ("kind of lists", "/names/listKind"),
        ("short names", "/names/shortNames"),
        ("categories", "/names/categories"),
    ] {
        if old.pointer(at) != new.pointer(at) {
            walk.harmless("", format!("the {what} change"));
        }
    }
    let (was, is) = (served(old), served(new));
    for version in &is {
        let name = text(version, "name");
        if !was.iter().any(|it| text(it, "name") == name) {
            walk.harmless("", format!("version {name} is added"));
        }
    }
    for version in was {
        let name = text(version, "name");
        match is.iter().find(|it| text(it, "name") == name) {
            None => walk.breaks("", format!("version {name} is no longer offered")),
            Some(now) => {
                name.clone_into(&mut walk.version);
                for resource in ["status", "scale"] {
                    let has = |it: &Value| it["subresources"].get(resource).is_some();
                    match (has(version), has(now)) {
                        (true, false) => {
                            walk.breaks("", format!("the subresource {resource} is removed"));
                        }
                        (false, true) => {
                            walk.harmless("", format!("the subresource {resource} is added"));
                        }
                        _ => {}
                    }
                }
                walk.node(&version["schema"], &now["schema"], "");
                walk.version.clear();
            }
        }
    }
    walk.found
}

/// Every difference between two schemas of objects, `openAPIV3Schema` each.
#[must_use]
pub fn between(old: &Value, new: &Value) -> Vec<Difference> {
    let mut walk = Walk::default();
    walk.node(old, new, "");
    walk.found
}

/// What an object written in one version loses or violates in another, where nothing but its `apiVersion` is converted.
///
/// A status field that the other version lacks is no loss: nobody but the agent writes a status, in its own version.
#[must_use]
pub fn losses(written: &Value, kept: &Value) -> Vec<Difference> {
    let all = between(written, kept).into_iter();
    all.filter(|it| it.breaks && !(it.path.starts_with("status") && it.what == REMOVED))
        .collect()
}

const REMOVED: &str = "the field is removed";

fn served(spec: &Value) -> Vec<&Value> {
    let versions = spec["versions"].as_array().into_iter().flatten();
    versions.filter(|it| it["served"] != false).collect()
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

fn show(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => "nothing".to_owned(),
        Some(other) => other.to_string(),
    }
}

/// The types that a schema lets a value have; `None`: any.
fn types(schema: &Value) -> Option<BTreeSet<&str>> {
    if schema["x-kubernetes-int-or-string"] == true {
        return Some(["integer", "string"].into());
    }
    match text(schema, "type") {
        "" => None,
        "number" => Some(["integer", "number"].into()),
        one => Some([one].into()),
    }
}

fn is_open(schema: &Value) -> bool {
    schema["x-kubernetes-preserve-unknown-fields"] == true
}

/// What a schema says of keys that it does not name.
fn additional(schema: &Value) -> Option<&Value> {
    match &schema["additionalProperties"] {
        Value::Null | Value::Bool(false) => None,
        some => Some(some),
    }
}

#[derive(Default)]
struct Walk {
    version: String,
    found: Vec<Difference>,
}

impl Walk {
    fn note(&mut self, path: &str, what: impl Into<String>, breaks: bool) {
        self.found.push(Difference {
            version: self.version.clone(),
            path: path.to_owned(),
            what: what.into(),
            breaks,
        });
    }

    fn breaks(&mut self, path: &str, what: impl Into<String>) {
        self.note(path, what, true);
    }

    fn harmless(&mut self, path: &str, what: impl Into<String>) {
        self.note(path, what, false);
    }

    fn node(&mut self, old: &Value, new: &Value, path: &str) {
        if old == new {
            return;
        }
        let typed = self.types(old, new, path);
        if !typed {
            // Of two different types nothing more is to be said.
            return;
        }
        self.values(old, new, path);
        self.bounds(old, new, path);
        self.shape(old, new, path);
        self.rules(old, new, path);
        self.properties(old, new, path);
        self.keys(old, new, path);
        match (old.get("items"), new.get("items")) {
            (Some(was), Some(is)) => self.node(was, is, &format!("{path}[]")),
            (None, Some(is)) if types(is).is_some() => {
                self.breaks(path, "the elements get a type");
            }
            _ => {}
        }
    }

    /// Says whether it makes sense to look below.
    fn types(&mut self, old: &Value, new: &Value, path: &str) -> bool {
        let (was, is) = (types(old), types(new));
        let name = |types: &Option<BTreeSet<&str>>| match types {
            None => "anything".to_owned(),
            Some(types) if types.contains("number") => "number".to_owned(),
            Some(types) => types.iter().copied().collect::<Vec<_>>().join(" or "),
        };
        let narrows = match (&was, &is) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(was), Some(is)) => !was.is_subset(is),
        };
        if was != is {
            let what = format!("the type {} becomes {}", name(&was), name(&is));
            self.note(path, what, narrows);
        }
        if old["nullable"] == true && new["nullable"] != true {
            self.breaks(path, "null is no longer a value");
        } else if old["nullable"] != true && new["nullable"] == true {
            self.harmless(path, "null becomes a value");
        }
        !narrows
    }

    fn values(&mut self, old: &Value, new: &Value, path: &str) {
        match (old["enum"].as_array(), new["enum"].as_array()) {
            (Some(was), Some(is)) => {
                let list = |values: Vec<&Value>| {
                    let shown: Vec<_> = values.iter().map(|it| show(Some(it))).collect();
                    shown.join(", ")
                };
                let gone: Vec<_> = was.iter().filter(|it| !is.contains(it)).collect();
                let more: Vec<_> = is.iter().filter(|it| !was.contains(it)).collect();
                if !gone.is_empty() {
                    self.breaks(path, format!("no longer a value: {}", list(gone)));
                }
                if !more.is_empty() {
                    self.harmless(path, format!("becomes a value: {}", list(more)));
                }
            }
            (None, Some(_)) => self.breaks(path, "the values are limited to a list"),
            (Some(_), None) => self.harmless(path, "the values are no longer limited to a list"),
            (None, None) => {}
        }
        for (field, what) in [("pattern", "pattern"), ("format", "format")] {
            let (was, is) = (text(old, field), text(new, field));
            if was == is || (field == "format" && (was, is) == ("int32", "int64")) {
                continue;
            }
            match (was, is) {
                (_, "") => self.harmless(path, format!("the {what} {was} is dropped")),
                ("", _) => self.breaks(path, format!("the {what} {is} is demanded")),
                _ => self.breaks(path, format!("the {what} {was} becomes {is}")),
            }
        }
        if old.get("default") != new.get("default") {
            self.harmless(
                path,
                format!(
                    "the default {} becomes {}",
                    show(old.get("default")),
                    show(new.get("default"))
                ),
            );
        }
    }

    fn bounds(&mut self, old: &Value, new: &Value, path: &str) {
        for (least, what) in [
            ("minimum", "minimum"),
            ("minLength", "shortest length"),
            ("minItems", "least number of elements"),
            ("minProperties", "least number of keys"),
        ] {
            let narrows = |was: Option<f64>, is: f64| was.is_none_or(|was| is > was);
            self.bound(old, new, path, (least, "exclusiveMinimum", what), narrows);
        }
        for (most, what) in [
            ("maximum", "maximum"),
            ("maxLength", "longest length"),
            ("maxItems", "greatest number of elements"),
            ("maxProperties", "greatest number of keys"),
        ] {
            let narrows = |was: Option<f64>, is: f64| was.is_none_or(|was| is < was);
            self.bound(old, new, path, (most, "exclusiveMaximum", what), narrows);
        }
        let (was, is) = (old["multipleOf"].as_f64(), new["multipleOf"].as_f64());
        match (was, is) {
            (_, Some(is)) if was.is_none_or(|was| (was / is).fract() != 0.0) => {
                self.breaks(path, format!("multiples of {is} are demanded"));
            }
            _ if was != is => self.harmless(path, "fewer multiples are demanded"),
            _ => {}
        }
        match (old["uniqueItems"] == true, new["uniqueItems"] == true) {
            (false, true) => self.breaks(path, "the elements must differ"),
            (true, false) => self.harmless(path, "the elements need not differ any more"),
            _ => {}
        }
    }

    fn bound(
        &mut self,
        old: &Value,
        new: &Value,
        path: &str,
        (field, exclusive, what): (&str, &str, &str),
        narrows: impl Fn(Option<f64>, f64) -> bool,
    ) {
        let (was, is) = (old[field].as_f64(), new[field].as_f64());
        let ends = matches!(field, "minimum" | "maximum");
        let open = |it: &Value| ends && it[exclusive] == true;
        let shown = |it: &Value| {
            let value = show(it.get(field));
            match (it[field].is_null(), open(it)) {
                (false, true) => format!("{value} (not itself)"),
                _ => value,
            }
        };
        if was == is && (is.is_none() || open(old) == open(new)) {
            return;
        }
        let breaks = match is {
            None => false,
            Some(is) if was == Some(is) => open(new),
            Some(is) => narrows(was, is),
        };
        let line = format!("the {what} {} becomes {}", shown(old), shown(new));
        self.note(path, line, breaks);
    }

    /// How lists and maps are merged, and what is pruned.
    fn shape(&mut self, old: &Value, new: &Value, path: &str) {
        for (field, what, default) in [
            ("x-kubernetes-list-type", "list type", "atomic"),
            ("x-kubernetes-map-type", "map type", "granular"),
        ] {
            let of = |it: &Value| match text(it, field) {
                "" => default.to_owned(),
                some => some.to_owned(),
            };
            let (was, is) = (of(old), of(new));
            if was != is {
                self.breaks(path, format!("the {what} {was} becomes {is}"));
            }
        }
        let keys = |it: &Value| {
            let keys = it["x-kubernetes-list-map-keys"].as_array();
            let keys = keys.into_iter().flatten().filter_map(Value::as_str);
            keys.map(str::to_owned).collect::<BTreeSet<_>>()
        };
        if keys(old) != keys(new) && text(old, "x-kubernetes-list-type") == "map" {
            self.breaks(path, "the keys of the list change");
        }
        match (is_open(old), is_open(new)) {
            (true, false) => self.breaks(path, "unknown fields are no longer kept"),
            (false, true) => self.harmless(path, "unknown fields are kept"),
            _ => {}
        }
        let embedded = |it: &Value| it["x-kubernetes-embedded-resource"] == true;
        if embedded(old) != embedded(new) {
            self.breaks(path, "it becomes, or is no longer, an object of its own");
        }
    }

    /// What is said in rules and alternatives.
    fn rules(&mut self, old: &Value, new: &Value, path: &str) {
        let rules = |it: &Value| {
            let rules = it["x-kubernetes-validations"].as_array();
            let rules = rules.into_iter().flatten();
            rules
                .map(|it| text(it, "rule").to_owned())
                .collect::<BTreeSet<_>>()
        };
        let (was, is) = (rules(old), rules(new));
        for rule in is.difference(&was) {
            self.breaks(path, format!("a rule is added: {rule}"));
        }
        for rule in was.difference(&is) {
            self.harmless(path, format!("a rule is dropped: {rule}"));
        }
        for field in ["allOf", "anyOf", "oneOf", "not"] {
            match (old.get(field), new.get(field)) {
                (was, is) if was == is => {}
                (_, None) => self.harmless(path, format!("`{field}` is dropped")),
                (None, Some(_)) => self.breaks(path, format!("`{field}` is demanded")),
                _ => self.breaks(path, format!("`{field}` changes")),
            }
        }
    }

    fn properties(&mut self, old: &Value, new: &Value, path: &str) {
        let empty = serde_json::Map::new();
        let of = |it: &'_ Value| it["properties"].as_object().cloned();
        let (was, is) = (of(old), of(new));
        let (was, is) = (
            was.as_ref().unwrap_or(&empty),
            is.as_ref().unwrap_or(&empty),
        );
        let own =
            |name: &str| path.is_empty() && ["apiVersion", "kind", "metadata"].contains(&name);
        let at = |name: &str| join(path, name);
        for (name, schema) in was {
            match is.get(name) {
                Some(now) => self.node(schema, now, &at(name)),
                None if own(name) => {}
                None if is_open(new) => {
                    self.harmless(&at(name), "the field is no longer described");
                }
                None => match additional(new) {
                    Some(rest) => self.node(schema, &keyed(rest), &at(name)),
                    None => self.breaks(&at(name), REMOVED),
                },
            }
        }
        for (name, schema) in is.iter().filter(|(name, _)| !was.contains_key(*name)) {
            if own(name) {
                continue;
            }
            match additional(old) {
                Some(rest) => self.node(&keyed(rest), schema, &at(name)),
                None if is_open(old) => {
                    self.breaks(
                        &at(name),
                        "the field was kept as it came and is now described",
                    );
                }
                None => self.harmless(&at(name), "the field is added"),
            }
        }
        let required = |it: &Value| {
            let names = it["required"].as_array().into_iter().flatten();
            let names = names.filter_map(Value::as_str).map(str::to_owned);
            names.collect::<BTreeSet<_>>()
        };
        let (before, now) = (required(old), required(new));
        for name in now.difference(&before) {
            match is.get(name).and_then(|it| it.get("default")) {
                Some(_) => {
                    self.harmless(&at(name), "the field becomes required, and has a default");
                }
                None => self.breaks(&at(name), "the field becomes required"),
            }
        }
        for name in before
            .difference(&now)
            .filter(|name| is.contains_key(*name))
        {
            self.harmless(&at(name), "the field is no longer required");
        }
    }

    /// Keys that are not named.
    fn keys(&mut self, old: &Value, new: &Value, path: &str) {
        match (additional(old), additional(new)) {
            (Some(was), Some(is)) => self.node(&keyed(was), &keyed(is), &join(path, "*")),
            (Some(_), None) if !is_open(new) => {
                self.breaks(path, "keys that are not named are no longer kept");
            }
            (None, Some(is)) if is_open(old) && types(&keyed(is)).is_some() => {
                self.breaks(path, "the values of the keys get a type");
            }
            (None, Some(_)) if !is_open(old) => {
                self.harmless(path, "keys that are not named are kept");
            }
            _ => {}
        }
    }
}

/// `additionalProperties` as a schema: `true` is any value.
fn keyed(additional: &Value) -> Value {
    match additional {
        Value::Bool(_) => serde_json::json!({"x-kubernetes-preserve-unknown-fields": true}),
        schema => schema.clone(),
    }
}

fn join(path: &str, name: &str) -> String {
    match path {
        "" => name.to_owned(),
        path => format!("{path}.{name}"),
    }
}

#[cfg(test)]
mod tests;
