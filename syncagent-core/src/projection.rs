//! Down: from what the consumer wrote to what the service cluster is asked for, and back for error messages.
//!
//! Everything the consumer wrote crosses, except what a rule holds back. Names are followed first (`takes`,
//! `refers_to`), where the consumer wrote them; then fields move; then constants are set. So a rule never sees the
//! result of a later one, and two fields may swap places.

use std::str::FromStr as _;

use serde_json::{Map, Value, json};

use crate::definition::{Convert, Kind, Pass, Scope};
use crate::mutation::{Pipeline, Stop};
use crate::names;
use crate::naming::{CopyName, Moved, NamingError, Scheme, Words};
use crate::object::fingerprint::{Fingerprint, Parts};
use crate::object::identity::Identity;
use crate::object::path::{self, Hop, Path, Spot, spot_text};
use crate::object::reference::Key;
use crate::object::subset::Subset;
use crate::object::{drop_nulls, generation, meta, uid};
use crate::related::{self, TakenName, Takes};
use crate::template::{Placeholder, Template};

/// The compiled way down.
#[derive(Clone, Debug)]
pub struct Projection {
    /// The only fields that cross; `None`: all.
    pub(crate) seen: Option<Subset>,
    pub(crate) moves: Vec<Move>,
    pub(crate) kept: Vec<Path>,
    pub(crate) refers: Vec<Refers>,
    pub(crate) takes: Vec<Takes>,
    pub(crate) set: Vec<Set>,
    pub(crate) mutations: Pipeline,
    /// Whether mutations see what the Go agent's see.
    pub(crate) like_go: bool,
    pub(crate) pass: Pass,
}

/// A field that lives elsewhere, or is computed.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) from: Path,
    pub(crate) to: Path,
    pub(crate) with: Option<Convert>,
}

/// A field that names an object of another publication.
#[derive(Clone, Debug)]
pub(crate) struct Refers {
    pub(crate) offered: Kind,
    pub(crate) name_at: Path,
    pub(crate) scheme: Scheme,
}

/// A constant.
#[derive(Clone, Debug)]
pub(crate) struct Set {
    pub(crate) at: Path,
    pub(crate) value: Constant,
}

/// A constant value with its templates parsed.
#[derive(Clone, Debug)]
pub(crate) enum Constant {
    Text(Template),
    Plain(Value),
    List(Vec<Self>),
    Object(Vec<(String, Self)>),
}

/// What the service cluster is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Intent {
    /// The object to apply, without the marks that depend on more than the order (fingerprint and generation).
    pub object: Value,
    /// The fingerprint of the object.
    pub fingerprint: Fingerprint,
    /// The objects that the order takes.
    pub taken: Vec<TakenName>,
    /// Names on the service cluster and what the consumer calls the same things.
    pub names: Vec<(String, String)>,
}

/// Why an order cannot be brought down, in the consumer's terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
    /// What the provider should know besides, in the service cluster's terms.
    pub detail: Option<String>,
}

impl Objection {
    /// An order that does not hold what it should.
    pub(crate) fn invalid(message: String) -> Self {
        Self {
            reason: "Invalid",
            message,
            detail: None,
        }
    }
}

impl From<NamingError> for Objection {
    fn from(error: NamingError) -> Self {
        Self::invalid(format!("metadata.name: {error}"))
    }
}

/// The parts of a publication that the way down needs.
#[derive(Clone, Copy, Debug)]
pub struct Down<'a> {
    /// The agent's name.
    pub agent: &'a str,
    /// The publication's id.
    pub publication: &'a str,
    /// The kind on the service cluster.
    pub service: &'a Kind,
    /// Whose order.
    pub identity: &'a Identity,
    /// Where the copy lives.
    pub copy: &'a CopyName,
    /// Where copies of other orders live that are not where naming would put them.
    pub moved: &'a Moved,
    /// The copy, where it is there and a mutation looks at it.
    pub other: Option<&'a Value>,
    /// The path of the workspace, where the definition asks for it and it is known.
    pub path: Option<&'a str>,
}

impl Projection {
    /// What the service cluster is asked for.
    ///
    /// # Errors
    ///
    /// When the order names something impossible, or a function of the provider refuses a value.
    pub fn down(&self, down: Down<'_>, origin: &Value) -> Result<Intent, Objection> {
        let mut object = self.written(origin);
        let mut known = vec![
            (down.copy.name.clone(), down.identity.name.clone()),
            (down.copy.namespace.clone(), down.identity.namespace.clone()),
        ];
        let taken = self.taken(origin, down.copy)?;
        for taken in &taken {
            related::rename(&mut object, taken);
            known.push((taken.copy.clone(), taken.name.clone()));
        }
        for refers in &self.refers {
            for (spot, value) in refers.name_at.each(origin) {
                let Some(name) = value.as_str().filter(|name| !name.is_empty()) else {
                    continue;
                };
                let there = refers
                    .there(down.identity, name, down.moved)
                    .map_err(|error| {
                        Objection::invalid(format!("{}: {error}", spot_text(&spot)))
                    })?;
                known.push((there.clone(), name.to_owned()));
                path::set(&mut object, &spot, json!(there));
            }
        }
        for kept in &self.kept {
            kept.remove(&mut object);
        }
        self.relocate(&mut object)?;
        for set in &self.set {
            path::set(&mut object, &set.at.like(&[]), set.value.fill(down));
        }
        let (mut object, marks) = self.mutate(down, origin, object)?;
        drop_nulls(&mut object);
        let mut object = match object {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        object.insert(
            "apiVersion".into(),
            json!(crate::object::api_version(down.service)),
        );
        object.insert("kind".into(), json!(down.service.kind));
        merge_into(
            &mut object,
            "metadata",
            metadata(down, origin, &taken, marks),
        );
        let object = Value::Object(object);
        known.retain(|(there, here)| !there.is_empty() && there != here);
        Ok(Intent {
            fingerprint: Fingerprint::of(&object),
            object,
            taken,
            names: known,
        })
    }

    /// The objects that an order takes.
    ///
    /// # Errors
    ///
    /// When a field holds what cannot be a name.
    pub fn taken(&self, origin: &Value, copy: &CopyName) -> Result<Vec<TakenName>, Objection> {
        let mut all = Vec::new();
        for takes in &self.takes {
            let found = takes.names(origin, copy).map_err(|(spot, message)| {
                Objection::invalid(format!("{}: {message}", spot_text(&spot)))
            })?;
            all.extend(found);
        }
        Ok(all)
    }

    /// The objects that an order takes, as its copy tells, and those that it took before and may not have let go.
    #[must_use]
    pub fn taken_of_copy(&self, copy: &Value) -> Vec<TakenName> {
        let told = |mark| {
            let text = crate::object::annotation(copy, mark).unwrap_or_default();
            serde_json::from_str::<Vec<(String, String, String)>>(text).unwrap_or_default()
        };
        let names = [names::TAKES, names::TAKES_NO_MORE].map(told);
        let taken = names
            .into_iter()
            .flatten()
            .filter_map(|(path, name, copy)| {
                let takes = self.takes.iter().find(|it| it.path == path)?;
                Some(TakenName {
                    path,
                    spot: Spot::new(),
                    kind: takes.kind.clone(),
                    name,
                    copy,
                })
            });
        taken.collect()
    }

    /// The consumer's path of a field that the service cluster names, as in `spec.dnsNames[0]`; `None` when the field is
    /// not the consumer's.
    #[must_use]
    pub fn up_path(&self, field: &str) -> Option<String> {
        let spot = parse_spot(field)?;
        if self.set.iter().any(|set| matches(&set.at, &spot).is_some()) {
            return None;
        }
        let sources = self.moves.iter().filter_map(|moved| {
            let rest = matches(&moved.to, &spot)?;
            let mut here = moved.from.like(&spot);
            if moved.with.is_none() {
                here.extend_from_slice(&spot[rest..]);
            }
            Some((rest, here))
        });
        // The longest target that holds the field is the one it came through.
        let moved = sources.max_by_key(|(rest, _)| *rest).map(|(_, here)| here);
        if let Some(here) = moved {
            return Some(spot_text(&here));
        }
        match spot.first() {
            Some(Hop::Field(first)) if first != "metadata" && first != "status" => {
                Some(spot_text(&spot))
            }
            _ => None,
        }
    }

    fn relocate(&self, object: &mut Value) -> Result<(), Objection> {
        let mut values = Vec::new();
        for moved in &self.moves {
            for (spot, value) in moved.from.each(object) {
                let value = match moved.with {
                    Some(with) => with(value).map_err(|message| {
                        Objection::invalid(format!("{}: {message}", spot_text(&spot)))
                    })?,
                    None => value.clone(),
                };
                values.push((moved.to.like(&spot), value));
            }
        }
        for moved in &self.moves {
            moved.from.remove(object);
        }
        for (spot, value) in values {
            path::set(object, &spot, value);
        }
        Ok(())
    }

    /// Applies the mutations to what the service cluster is asked for; gives the labels and annotations that cross.
    fn mutate(
        &self,
        down: Down<'_>,
        origin: &Value,
        body: Value,
    ) -> Result<(Value, Marks), Objection> {
        let before = &origin["metadata"];
        if self.mutations.is_empty() {
            return Ok((body, Marks::passed(&self.pass, before)));
        }
        let constants = body["metadata"].clone();
        let mut object = self.changed(down, origin, body)?;
        let after = object["metadata"].take();
        if let Some(map) = object.as_object_mut() {
            for field in ["apiVersion", "kind", "status"] {
                map.remove(field);
            }
            map.insert("metadata".into(), constants);
        }
        Ok((object, Marks::crossing(&self.pass, before, &after)))
    }

    /// The order as its mutations leave it, metadata included: what names may follow from.
    ///
    /// # Errors
    ///
    /// When a mutation cannot be applied.
    pub fn changed_order(&self, down: Down<'_>, origin: &Value) -> Result<Value, Objection> {
        self.changed(down, origin, self.written(origin))
    }

    /// What the consumer wrote, without what says which object it is.
    fn written(&self, origin: &Value) -> Value {
        let Some(fields) = origin.as_object() else {
            return match &self.seen {
                Some(seen) => seen.prune(origin),
                None => origin.clone(),
            };
        };
        let wrote = fields.iter().filter(|(field, _)| {
            !["apiVersion", "kind", "metadata", "status"].contains(&field.as_str())
        });
        let wrote = wrote.filter_map(|(field, value)| {
            let crosses = match &self.seen {
                Some(seen) => seen.prune_field(field, value)?,
                None => value.clone(),
            };
            Some((field.clone(), crosses))
        });
        Value::Object(wrote.collect())
    }

    /// Applies the mutations to what is asked for, with the order's metadata.
    fn changed(&self, down: Down<'_>, origin: &Value, body: Value) -> Result<Value, Objection> {
        let mut object = match body {
            Value::Object(_) => body,
            _ => json!({}),
        };
        object["apiVersion"] = json!(crate::object::api_version(down.service));
        object["kind"] = json!(down.service.kind);
        object["metadata"] = known_metadata(origin, self.like_go);
        let mut unplaced = None;
        if self.like_go {
            if self.mutations.reads_other() && down.other.is_none() {
                let mut there = object.clone();
                there["metadata"]["name"] = json!(down.copy.name);
                if let Some(metadata) = there["metadata"].as_object_mut() {
                    metadata.remove("namespace");
                    if !down.copy.namespace.is_empty() {
                        metadata.insert("namespace".into(), json!(down.copy.namespace));
                    }
                }
                unplaced = Some(there);
            }
            for field in ["apiVersion", "kind", "status"] {
                if let Some(value) = origin.get(field) {
                    object[field] = value.clone();
                }
            }
        }
        self.mutations
            .apply(&mut object, down.other.or(unplaced.as_ref()))
            .map_err(|stop| self.objection(&stop))?;
        Ok(object)
    }

    /// Tells the consumer which field of theirs a rule of the provider cannot be applied to.
    fn objection(&self, stop: &Stop) -> Objection {
        let said = stop
            .said
            .clone()
            .unwrap_or_else(|| "the service cannot work with what is written here".into());
        Objection {
            reason: "Invalid",
            message: match self.up_path(&stop.at) {
                Some(here) => format!("{here}: {said}"),
                None => stop
                    .said
                    .clone()
                    .unwrap_or_else(|| "the service cannot work with this order".into()),
            },
            detail: stop
                .said
                .is_none()
                .then(|| format!("mutation of `{}`: {}", stop.at, stop.fault)),
        }
    }

    /// Whether mutations see what the Go agent's see.
    #[must_use]
    pub fn is_like_go(&self) -> bool {
        self.like_go
    }

    /// Whether anything is changed by mutations.
    #[must_use]
    pub fn mutates(&self) -> bool {
        !self.mutations.is_empty()
    }

    /// Whether a mutation looks at the copy.
    #[must_use]
    pub fn reads_copy(&self) -> bool {
        self.mutations.reads_other()
    }
}

/// Labels and annotations that cross.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Marks {
    pub(crate) labels: Map<String, Value>,
    pub(crate) annotations: Map<String, Value>,
}

/// The metadata of an order that mutations see: what the consumer wrote, and nothing that servers change by themselves.
fn known_metadata(origin: &Value, like_go: bool) -> Value {
    let own = ["name", "namespace", "uid", "labels", "annotations"];
    let more = [
        "generateName",
        "creationTimestamp",
        "generation",
        "ownerReferences",
    ];
    let fields = own.into_iter().chain(more.into_iter().filter(|_| like_go));
    let mut metadata = Map::new();
    for field in fields {
        if let Some(value) = origin["metadata"].get(field) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    Value::Object(metadata)
}

impl Marks {
    /// What is passed on.
    pub(crate) fn passed(pass: &Pass, metadata: &Value) -> Self {
        Self {
            labels: passed(&pass.labels, pass.like_go, &metadata["labels"]),
            annotations: passed(&pass.annotations, pass.like_go, &metadata["annotations"]),
        }
    }

    /// What is passed on, and what a mutation wrote.
    pub(crate) fn crossing(pass: &Pass, before: &Value, after: &Value) -> Self {
        let mut marks = Self::passed(pass, after);
        for (into, field) in [
            (&mut marks.labels, "labels"),
            (&mut marks.annotations, "annotations"),
        ] {
            for (key, value) in after[field].as_object().into_iter().flatten() {
                if before[field].get(key) != Some(value)
                    && value.is_string()
                    && !key.starts_with(names::PREFIX)
                {
                    into.insert(key.clone(), value.clone());
                }
            }
        }
        marks
    }
}

fn metadata(down: Down<'_>, origin: &Value, taken: &[TakenName], marks: Marks) -> Value {
    let Marks {
        mut labels,
        mut annotations,
    } = marks;
    labels.extend(down.identity.labels(down.agent));
    annotations.extend(down.identity.annotations());
    annotations.insert(names::PUBLICATION.into(), json!(down.publication));
    if let Some(path) = down.path {
        annotations.insert(names::PATH.into(), json!(path));
    }
    annotations.insert(names::ORIGIN_UID.into(), json!(uid(origin)));
    if !taken.is_empty() {
        // An order that vanishes while nobody looks leaves only this to clean up by.
        let names: Vec<_> = taken
            .iter()
            .map(|it| json!([it.path, it.name, it.copy]))
            .collect();
        annotations.insert(names::TAKES.into(), json!(Value::Array(names).to_string()));
    }
    let mut metadata = json!({
        "name": down.copy.name,
        "labels": labels,
        "annotations": annotations,
    });
    if !down.copy.namespace.is_empty() {
        metadata["namespace"] = json!(down.copy.namespace);
    }
    metadata
}

impl Refers {
    /// The orders that an order names.
    pub(crate) fn targets(&self, key: &Key, origin: &Value) -> impl Iterator<Item = Key> {
        let names = self.name_at.each(origin).into_iter();
        let names = names.filter_map(|(_, name)| name.as_str());
        names.filter(|name| !name.is_empty()).map(|name| Key {
            publication: names::resource(&self.offered),
            cluster: key.cluster.clone(),
            namespace: match self.offered.scope {
                Scope::Namespaced => key.namespace.clone(),
                Scope::Cluster => String::new(),
            },
            name: name.to_owned(),
        })
    }

    /// What the service cluster calls the object that the order calls so.
    pub(crate) fn there(
        &self,
        identity: &Identity,
        name: &str,
        moved: &Moved,
    ) -> Result<String, String> {
        if !names::is_subdomain(name) {
            return Err(format!(
                "{name:?} cannot be the name of a {}",
                self.offered.kind
            ));
        }
        let target = Identity {
            name: name.to_owned(),
            ..identity.clone()
        };
        if let Some(copy) = moved.get(&names::resource(&self.offered), &target) {
            return Ok(copy.name.clone());
        }
        self.scheme
            .place(&target)
            .map(|copy| copy.name)
            .map_err(|error| error.to_string())
    }
}

impl Constant {
    /// Reads the templates in a constant.
    pub(crate) fn parse(value: &Value) -> Result<Self, Vec<String>> {
        Ok(match value {
            Value::String(text) => {
                Self::Text(Template::parse(text, Placeholder::SET).map_err(|mistakes| {
                    mistakes.iter().map(ToString::to_string).collect::<Vec<_>>()
                })?)
            }
            Value::Array(list) => {
                Self::List(list.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(map) => Self::Object(
                map.iter()
                    .map(|(key, value)| Ok((key.clone(), Self::parse(value)?)))
                    .collect::<Result<_, Vec<String>>>()?,
            ),
            plain => Self::Plain(plain.clone()),
        })
    }

    fn fill(&self, down: Down<'_>) -> Value {
        match self {
            Self::Plain(value) => value.clone(),
            Self::List(list) => list.iter().map(|it| it.fill(down)).collect(),
            Self::Object(map) => Value::Object(
                map.iter()
                    .map(|(key, it)| (key.clone(), it.fill(down)))
                    .collect(),
            ),
            Self::Text(template) => {
                let words = Words::of(down.identity, Some(down.copy));
                Value::String(template.render(|placeholder| words.get(placeholder)))
            }
        }
    }
}

/// What is applied for an intent: the object with the marks that say what it is.
#[must_use]
pub fn marked(intent: &Intent, generation: i64) -> Value {
    let mut object = intent.object.clone();
    let annotations = &mut object["metadata"]["annotations"];
    annotations[names::APPLIED] = json!(intent.fingerprint.to_string());
    annotations[names::ORIGIN_GENERATION] = json!(generation.to_string());
    object
}

/// The fingerprint of what a consumer wrote: everything but the status and what servers write.
#[must_use]
pub fn wish(origin: &Value) -> Fingerprint {
    let all = ["*".to_owned()];
    let metadata = &origin["metadata"];
    let texts = ["name", "namespace", "uid"].map(|it| (it, json!(meta(origin, it))));
    let marks =
        ["labels", "annotations"].map(|it| (it, Value::Object(passed(&all, false, &metadata[it]))));
    let told = texts.iter().chain(&marks);
    let told = told.map(|(field, value)| (*field, Parts::Whole(value)));
    let fields = origin.as_object().into_iter().flatten();
    let fields = fields.filter(|(field, _)| !["status", "metadata"].contains(&field.as_str()));
    let mut fields: Vec<_> = fields
        .map(|(field, value)| (field.as_str(), Parts::Whole(value)))
        .collect();
    fields.push(("metadata", Parts::Fields(told.collect())));
    Fingerprint::of_parts(&Parts::Fields(fields))
}

/// The generation that a copy says it was written for.
#[must_use]
pub fn written_for(copy: &Value) -> i64 {
    let text = crate::object::annotation(copy, names::ORIGIN_GENERATION).unwrap_or_default();
    text.parse().unwrap_or_else(|_| generation(copy).min(0))
}

/// Puts what the consumer calls things in the place of what the service cluster calls them.
#[must_use]
pub fn translate(text: &str, names: &[(String, String)]) -> String {
    let mut names: Vec<_> = names.iter().collect();
    names.sort_by_key(|(there, _)| std::cmp::Reverse(there.len()));
    let part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '.' || c == '[' || c == ']';
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    'next: while let Some(first) = rest.chars().next() {
        let inside = out.ends_with(part);
        for (there, here) in &names {
            if !inside
                && let Some(after) = rest.strip_prefix(there.as_str())
                && !after
                    .starts_with(|c: char| part(c) && c != '.' || (c == '.' && starts_word(after)))
            {
                out.push_str(here);
                rest = after;
                continue 'next;
            }
        }
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
    out
}

/// Whether a dot is inside a name rather than at the end of a sentence.
fn starts_word(after: &str) -> bool {
    after[1..].starts_with(|c: char| c.is_ascii_alphanumeric())
}

/// The labels or annotations of a consumer that reach the copy.
fn passed(keys: &[String], like_go: bool, have: &Value) -> Map<String, Value> {
    let all = keys.iter().any(|key| key == "*");
    let have = have.as_object().into_iter().flatten();
    let kept_back = if like_go { is_kept_back } else { is_internal };
    let wanted = have.filter(|(key, value)| {
        value.is_string() && !kept_back(key) && (all || keys.iter().any(|it| it == *key))
    });
    wanted
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// What `kubectl apply` remembers.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Whether a label or annotation is written by machinery, and says nothing that the consumer wants to say.
fn is_internal(key: &str) -> bool {
    let domain = key.split('/').next().unwrap_or_default();
    key == LAST_APPLIED || domain == "kcp.io" || domain.ends_with(".kcp.io")
}

/// Whether the Go agent keeps a label or annotation back; of those of the agents themselves all.
fn is_kept_back(key: &str) -> bool {
    let own = [names::PREFIX, names::RELATED_PREFIX, names::CLAIMED_PREFIX];
    key == LAST_APPLIED || key == names::KCP_CLUSTER || own.iter().any(|it| key.starts_with(it))
}

/// Merges a value into a field: our own metadata wins over what a constant set there.
fn merge_into(object: &mut Map<String, Value>, field: &str, value: Value) {
    fn merge(into: &mut Value, from: Value) {
        match (into, from) {
            (Value::Object(into), Value::Object(from)) => {
                for (key, value) in from {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
            (into, from) => *into = from,
        }
    }
    merge(object.entry(field).or_insert_with(|| json!({})), value);
}

/// How many hops of a spot a path covers; `None` when the spot is not at or below the path.
fn matches(path: &Path, spot: &[Hop]) -> Option<usize> {
    use path::Step;
    let covers = path.steps().len() <= spot.len()
        && path
            .steps()
            .iter()
            .zip(spot)
            .all(|(step, hop)| match (step, hop) {
                (Step::Field(a), Hop::Field(b)) => a == b,
                (Step::Each, Hop::At(_)) => true,
                _ => false,
            });
    covers.then_some(path.steps().len())
}

/// Reads the field of a cause: `spec.hosts[2].name`, `spec.labels[acme.io/tier]`.
pub(crate) fn parse_spot(field: &str) -> Option<Spot> {
    let mut spot = Spot::new();
    let mut rest = field;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix('[') {
            let end = after.find(']')?;
            let inner = after[..end].trim_matches('"');
            spot.push(match inner.parse() {
                Ok(at) => Hop::At(at),
                Err(_) => Hop::Field(inner.to_owned()),
            });
            rest = &after[end + 1..];
        } else {
            let start = rest.strip_prefix('.').unwrap_or(rest);
            let end = start.find(['.', '[']).unwrap_or(start.len());
            Path::from_str(&start[..end]).ok()?;
            spot.push(Hop::Field(start[..end].to_owned()));
            rest = &start[end..];
        }
    }
    Some(spot)
}
