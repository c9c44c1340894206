//! Strategic merge patch: a merge patch that knows which lists of built-in kinds are merged, and by which key.
//!
//! Lists of texts that merge are sets (`finalizers`); lists of objects that merge are told apart by a key. Directives
//! in the patch say what a plain merge cannot: `$patch: delete|replace`, `$retainKeys`, `$setElementOrder/<list>`,
//! `$deleteFromPrimitiveList/<list>`.

use serde_json::{Map, Value};

use super::{Patched, undecoded};
use crate::fields;
use crate::status::Failure;

/// How a list is patched, by kind (empty: every kind) and path: an empty key is a set of scalars.
const LISTS: &[(&str, &str, &str)] = &[
    ("", "metadata.finalizers", ""),
    ("", "metadata.ownerReferences", "uid"),
    ("Service", "spec.ports", "port"),
    ("Service", "status.conditions", "type"),
    ("Namespace", "status.conditions", "type"),
    ("ServiceAccount", "secrets", "name"),
    ("ServiceAccount", "imagePullSecrets", "name"),
    ("PersistentVolumeClaim", "status.conditions", "type"),
    ("Deployment", "status.conditions", "type"),
    ("StatefulSet", "status.conditions", "type"),
    ("Job", "status.conditions", "type"),
    ("Node", "status.conditions", "type"),
    ("Node", "status.addresses", "type"),
    ("Pod", "status.conditions", "type"),
    ("Pod", "status.podIPs", "ip"),
];

/// The lists of a pod's spec, wherever one is.
const POD_LISTS: &[(&str, &str)] = &[
    ("volumes", "name"),
    ("initContainers", "name"),
    ("containers", "name"),
    ("ephemeralContainers", "name"),
    ("imagePullSecrets", "name"),
    ("hostAliases", "ip"),
    ("topologySpreadConstraints", "topologyKey"),
];

const CONTAINER_LISTS: &[(&str, &str)] = &[
    ("env", "name"),
    ("ports", "containerPort"),
    ("volumeMounts", "mountPath"),
    ("volumeDevices", "devicePath"),
];

/// Applies a strategic merge patch to an object of a built-in kind.
///
/// # Errors
/// 400 where the body is no object, or says what cannot be done.
pub fn strategic(body: &[u8], object: &Value) -> Result<Patched, Failure> {
    let parsed = fields::parse(body).map_err(Failure::bad_request)?;
    let patch = match &parsed.value {
        Value::Object(patch) => patch.clone(),
        Value::Null => Map::new(),
        other => {
            return Err(undecoded(format!(
                "json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                fields::json_type(other)
            )));
        }
    };
    let kind = object["kind"].as_str().unwrap_or_default();
    let map = object.as_object().cloned().unwrap_or_default();
    let merged = maps(
        &Place {
            kind,
            path: String::new(),
        },
        map,
        &patch,
    )?;
    Ok(Patched {
        object: Value::Object(merged),
        problems: fields::duplicates(&parsed.duplicates),
    })
}

/// Where in which kind; lists leave no trace in the path.
struct Place<'a> {
    kind: &'a str,
    path: String,
}

impl Place<'_> {
    fn below(&self, name: &str) -> Self {
        let path = if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        };
        Self { path, ..*self }
    }

    /// The merge key of the list here; `None` where it is replaced.
    fn key(&self) -> Option<&'static str> {
        let known = LISTS
            .iter()
            .find(|(kind, path, _)| (kind.is_empty() || *kind == self.kind) && *path == self.path);
        if let Some((_, _, key)) = known {
            return Some(key);
        }
        let (parent, list) = self.path.rsplit_once('.')?;
        let within = |lists: &'static [(&str, &str)]| {
            lists
                .iter()
                .find(|(name, _)| *name == list)
                .map(|(_, key)| *key)
        };
        let pods = match self.kind {
            "Pod" => "spec",
            "CronJob" => "spec.jobTemplate.spec.template.spec",
            _ => "spec.template.spec",
        };
        match parent.strip_prefix(pods) {
            Some("") => within(POD_LISTS),
            Some(".containers" | ".initContainers" | ".ephemeralContainers") => {
                within(CONTAINER_LISTS)
            }
            _ => None,
        }
    }
}

fn bad(why: impl Into<String>) -> Failure {
    Failure::bad_request(why)
}

fn maps(
    place: &Place<'_>,
    original: Map<String, Value>,
    patch: &Map<String, Value>,
) -> Result<Map<String, Value>, Failure> {
    match patch.get("$patch").map(Value::as_str) {
        None | Some(Some("merge")) => {}
        Some(Some("replace")) => {
            let mut out = patch.clone();
            out.remove("$patch");
            return Ok(out);
        }
        Some(Some("delete")) => return Ok(Map::new()),
        Some(other) => {
            let text = other.unwrap_or_default();
            return Err(bad(format!("unknown patch type: {text}")));
        }
    }
    let mut out = original;
    if let Some(retained) = patch.get("$retainKeys").and_then(Value::as_array) {
        out.retain(|name, _| retained.iter().any(|kept| kept == name));
    }
    for (name, change) in patch {
        if let Some(list) = name.strip_prefix("$deleteFromPrimitiveList/") {
            let gone = change.as_array().cloned().unwrap_or_default();
            if let Some(items) = out.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
        }
    }
    for (name, change) in patch {
        if name.starts_with('$') {
            continue;
        }
        if change.is_null() {
            out.remove(name);
            continue;
        }
        let place = place.below(name);
        let order = patch.get(&format!("$setElementOrder/{name}"));
        let merged = match (out.remove(name), change) {
            (Some(Value::Object(original)), Value::Object(change)) => {
                Value::Object(maps(&place, original, change)?)
            }
            (_, Value::Object(change)) => Value::Object(maps(&place, Map::new(), change)?),
            (original, Value::Array(change)) => {
                let original = match original {
                    Some(Value::Array(items)) => items,
                    _ => Vec::new(),
                };
                Value::Array(lists(&place, &original, change, order)?)
            }
            (_, change) => change.clone(),
        };
        out.insert(name.clone(), merged);
    }
    // An order without a list still orders.
    for (name, order) in patch {
        let Some(list) = name.strip_prefix("$setElementOrder/") else {
            continue;
        };
        if patch.contains_key(list) {
            continue;
        }
        let place = place.below(list);
        if let Some(Value::Array(items)) = out.remove(list) {
            let items = lists(&place, &items, &[], Some(order))?;
            out.insert(list.to_owned(), Value::Array(items));
        }
    }
    Ok(out)
}

/// What tells items apart: the item itself, or its merge key.
fn name<'a>(item: &'a Value, key: &str) -> &'a Value {
    if key.is_empty() { item } else { &item[key] }
}

fn lists(
    place: &Place<'_>,
    original: &[Value],
    change: &[Value],
    order: Option<&Value>,
) -> Result<Vec<Value>, Failure> {
    let Some(key) = place.key() else {
        return Ok(change.to_vec());
    };
    let mut merged = original.to_vec();
    let mut patched = Vec::new();
    if key.is_empty() {
        for item in change {
            if !merged.contains(item) {
                merged.push(item.clone());
            }
        }
        patched.extend(change.iter().cloned());
    } else {
        for item in change {
            let Some(members) = item.as_object() else {
                return Err(bad("cannot merge lists of different types"));
            };
            let directive = members.get("$patch").and_then(Value::as_str);
            if directive == Some("replace") && members.len() == 1 {
                merged.clear();
                continue;
            }
            let id = members.get(key).ok_or_else(|| {
                bad(format!(
                    "map: {} does not contain declared merge key: {key}",
                    fields::go_json(item)
                ))
            })?;
            let at = merged.iter().position(|other| &other[key] == id);
            if directive == Some("delete") {
                merged.retain(|other| &other[key] != id);
                continue;
            }
            match at {
                Some(at) => {
                    let old = merged[at].as_object().cloned().unwrap_or_default();
                    merged[at] = Value::Object(maps(place, old, members)?);
                }
                None => merged.push(Value::Object(maps(place, Map::new(), members)?)),
            }
            patched.push(item.clone());
        }
    }
    let order = match order.and_then(Value::as_array) {
        Some(order) => order.clone(),
        None => patched,
    };
    Ok(ordered(merged, &order, original, key))
}

/// Items that the patch names come in its order; the others keep their place among them as well as they can.
fn ordered(merged: Vec<Value>, order: &[Value], original: &[Value], key: &str) -> Vec<Value> {
    let position = |list: &[Value], item: &Value| {
        list.iter()
            .position(|other| name(other, key) == name(item, key))
    };
    let (mut named, mut others): (Vec<Value>, Vec<Value>) = merged
        .into_iter()
        .partition(|item| position(order, item).is_some());
    named.sort_by_key(|item| position(order, item));
    others.sort_by_key(|item| position(original, item));
    let mut out = Vec::with_capacity(named.len() + others.len());
    let (mut left, mut right) = (others.into_iter().peekable(), named.into_iter().peekable());
    loop {
        let first = match (left.peek(), right.peek()) {
            (Some(l), Some(r)) => match (position(original, l), position(original, r)) {
                (Some(l), Some(r)) => l < r,
                _ => false,
            },
            (Some(_), None) => true,
            (None, Some(_)) => false,
            (None, None) => return out,
        };
        out.extend(if first { left.next() } else { right.next() });
    }
}
