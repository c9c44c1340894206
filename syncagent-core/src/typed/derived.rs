//! What the derive calls: one short function per thing that can be said, so that the emitted code stays data.
//!
//! Not for people: it changes together with `syncagent-derive`, which has exactly this version.

use std::fmt::Display;

use serde::Serialize;
use serde::de::DeserializeOwned;
pub use serde_json::Value;

use super::{Publish, Reference, ServedScope, View, compose, crd_of, kind_of, reference};
use crate::definition::{
    Convert, CopyNaming, Definition, Expression, FieldRule, Kind, Labelled, MadeStatus,
    NamespaceRule, Only, Operator, Pass, ReadRule, Requirement, ReturnRule, ReturnSource, Rule,
    Scene, SchemaSource, Scope, SetRule, Sources, StatusField, StatusRule, StatusSource, TakeRule,
    Text, TextFn,
};

/// A Rust type that stands for a kind of object, of one version.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no kind of object",
    label = "not a kind",
    note = "a kind is a type that `#[derive(CustomResource)]` makes, or one of k8s-openapi, as in `Secret`"
)]
pub trait Object {
    /// The kind.
    fn kind() -> Kind;
}

#[diagnostic::do_not_recommend]
impl<K> Object for K
where
    K: kube::Resource<DynamicType = ()>,
    K::Scope: ServedScope,
{
    fn kind() -> Kind {
        kind_of::<K>()
    }
}

/// A definition in which nothing but the two types is said: `T` is offered, `S` stands behind it.
#[must_use]
pub fn offer<T, S>() -> Definition
where
    T: Object + kube::CustomResourceExt,
    S: Object,
{
    Definition {
        schema: SchemaSource::Type(crd_of::<T>()),
        status: StatusRule::None,
        ..Definition::new(S::kind(), T::kind())
    }
}

/// `copy = "namespace/name"`
#[must_use]
pub fn naming(namespace: Option<&str>, name: &str) -> CopyNaming {
    CopyNaming {
        namespace: namespace.map(str::to_owned),
        name: name.to_owned(),
    }
}

/// `only(namespaces = [..], label(..))`
#[must_use]
pub fn only(namespaces: &[&str], labels: &[(&str, &str)]) -> Only {
    Only {
        namespaces: owned(namespaces),
        labels: pairs(labels),
        ..Only::default()
    }
}

/// `fields = [..]`
#[must_use]
pub fn subset(fields: &[&str]) -> SchemaSource {
    SchemaSource::Subset(owned(fields))
}

/// One demand of `only(selector = "..")`.
#[must_use]
pub fn requirement(key: &str, operator: Operator, values: &[&str]) -> Requirement {
    Requirement {
        key: key.to_owned(),
        operator,
        values: owned(values),
    }
}

/// `selected(label(..), matches = "..")`
#[must_use]
pub fn labelled(labels: Vec<(Text, Text)>, expressions: Vec<Expression>) -> Labelled {
    Labelled {
        labels,
        expressions,
    }
}

/// `named(with = ..)` and `called(with = ..)`
#[must_use]
pub fn made_text(function: fn(&Scene<'_>) -> Result<String, String>) -> Text {
    Text::With(TextFn::new(function))
}

/// `namespace(label(..), annotation(..))`
#[must_use]
pub fn namespace(labels: &[(&str, &str)], annotations: &[(&str, &str)]) -> NamespaceRule {
    NamespaceRule {
        labels: pairs(labels),
        annotations: pairs(annotations),
    }
}

/// `version(service = "..", offered = "..")`
#[must_use]
pub fn version(service: &str, offered: &str) -> (String, String) {
    (service.to_owned(), offered.to_owned())
}

/// `status(with = .., reads(..))`
#[must_use]
pub fn made_status(reads: Vec<ReadRule>, make: fn(&Sources) -> Option<Value>) -> MadeStatus {
    MadeStatus { reads, make }
}

/// The kind of a type.
#[must_use]
pub fn object<K: Object>() -> Kind {
    K::kind()
}

/// A list of texts.
#[must_use]
pub fn texts(texts: &[&str]) -> Vec<String> {
    owned(texts)
}

/// Keys and values.
#[must_use]
pub fn owned_pairs(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs(labels)
}

/// The value of `set` and `default` of a mutation.
///
/// # Panics
///
/// When the value has no form in JSON.
#[must_use]
pub fn constant(value: &(impl Serialize + ?Sized)) -> Value {
    serde_json::to_value(value).expect("a constant has a form in JSON")
}

/// `pass(labels = [..], annotations = [..])`
#[must_use]
pub fn pass(labels: &[&str], annotations: &[&str]) -> Pass {
    Pass {
        labels: owned(labels),
        annotations: owned(annotations),
        ..Pass::default()
    }
}

/// `set(at = "..", value = ..)`
///
/// # Panics
///
/// When the value has no form in JSON.
#[must_use]
pub fn set(at: &str, value: &(impl Serialize + ?Sized)) -> SetRule {
    SetRule {
        at: at.to_owned(),
        value: serde_json::to_value(value).expect("a constant that is set has a form in JSON"),
    }
}

/// Fills in what depends on everything that was said: the names of taken objects for which none was declared.
///
/// `{name}.taken`, where the copy's namespace holds the objects of one namespace of one workspace; otherwise the copy's
/// name and a hash. Either is a name that no operator gives to objects of its own.
#[must_use]
pub fn complete(mut definition: Definition) -> Definition {
    let namespace = definition.copy.namespace.as_deref().unwrap_or_default();
    let one = definition.offered.scope == Scope::Cluster || definition.only.namespaces.len() == 1;
    let exclusive = namespace.contains("{workspace}") && (one || namespace.contains("{namespace"));
    for field in &mut definition.fields {
        if let Rule::Takes(take) = &mut field.rule
            && take.name.is_empty()
        {
            let name = if exclusive {
                "{name}.taken"
            } else {
                "{copy.name}-{name.hash}.taken"
            };
            take.name = name.to_owned();
        }
    }
    definition
}

/// The path of a field below the one that holds it.
#[must_use]
pub fn below(prefix: &str, field: &str) -> String {
    if prefix.is_empty() {
        field.to_owned()
    } else {
        format!("{prefix}.{field}")
    }
}

/// `at = ".."`
#[must_use]
pub fn moved(path: &str, at: Option<&str>) -> FieldRule {
    let at = at.map(str::to_owned);
    rule(path, Rule::Moved { at, with: None })
}

/// `with = ..`, perhaps with `at`
#[must_use]
pub fn computed(path: &str, at: Option<&str>, with: Convert) -> FieldRule {
    let at = at.map(str::to_owned);
    rule(
        path,
        Rule::Moved {
            at,
            with: Some(with),
        },
    )
}

/// `takes(K, ..)` on a field of type `F`
#[must_use]
pub fn takes<K, F>(path: &str, name: Option<&str>, labels: &[(&str, &str)]) -> FieldRule
where
    K: Object,
    F: Reference,
{
    let it = reference::<F>(path);
    let take = TakeRule {
        kind: K::kind(),
        name_at: it.name_at,
        // Without a name `complete` finds one.
        name: name.unwrap_or_default().to_owned(),
        labels: pairs(labels),
    };
    rule(&it.path, Rule::Takes(take))
}

/// `refers_to = T` on a field of type `F`
#[must_use]
pub fn refers_to<T, F>(path: &str) -> FieldRule
where
    T: Publish + Object,
    F: Reference,
{
    let it = reference::<F>(path);
    rule(
        &it.path,
        Rule::RefersTo {
            offered: T::kind(),
            name_at: it.name_at,
        },
    )
}

/// `hidden`
#[must_use]
pub fn hidden(path: &str) -> FieldRule {
    rule(path, Rule::Hidden)
}

/// A type whose fields need not be on the wire.
#[diagnostic::on_unimplemented(
    message = "a hidden field is absent from every order, and `{Self}` cannot be",
    label = "cannot be absent",
    note = "write `Option<{Self}>`, or `#[serde(default)]` on the field"
)]
pub trait Absent {}

impl<T> Absent for Option<T> {}

/// `hidden` on a field for which serde has no default.
#[must_use]
pub fn hidden_option<F: Absent>(path: &str) -> FieldRule {
    hidden(path)
}

/// `local`
#[must_use]
pub fn local(path: &str) -> FieldRule {
    rule(path, Rule::Local)
}

/// `returns(K, from = "..")`
#[must_use]
pub fn returned_from<K>(id: &str, name: &str, from: &str, keys: &[&str]) -> ReturnRule
where
    K: Object,
{
    let source = ReturnSource::From {
        name: from.to_owned(),
        keys: owned(keys),
    };
    returned(id, K::kind(), name, source)
}

/// `returns(K, with = ..)`
#[must_use]
pub fn returned_with<K>(
    id: &str,
    name: &str,
    reads: Vec<ReadRule>,
    compose: fn(&Sources) -> Option<Value>,
) -> ReturnRule
where
    K: Object,
{
    returned(id, K::kind(), name, ReturnSource::With { reads, compose })
}

/// `reads(K, name = "..")`
#[must_use]
pub fn reads<K>(name: &str) -> ReadRule
where
    K: Object,
{
    ReadRule {
        kind: K::kind(),
        name: name.to_owned(),
    }
}

/// Runs the function of a return.
pub fn composed<T: Publish, K: Serialize>(
    function: fn(&View<T>) -> Option<K>,
    sources: &Sources,
) -> Option<Value> {
    compose(sources, function)
}

/// A declared field of the status.
#[must_use]
pub fn status_at(path: &str, at: &str) -> StatusField {
    status(path, StatusSource::At(at.to_owned()))
}

/// A computed field of the status; an empty path is the whole copy.
#[must_use]
pub fn status_with(path: &str, at: &str, with: Convert) -> StatusField {
    status(
        path,
        StatusSource::With {
            at: at.to_owned(),
            with,
        },
    )
}

/// A name in the status that follows the naming of `T` backwards.
#[must_use]
pub fn status_refers_to<T>(path: &str, at: &str) -> StatusField
where
    T: Publish + Object,
{
    status(
        path,
        StatusSource::RefersTo {
            offered: T::kind(),
            at: at.to_owned(),
        },
    )
}

/// What a function named by `with` takes, from JSON.
///
/// # Errors
///
/// When the value does not have the form; the sentence is for people.
pub fn argument<T: DeserializeOwned>(value: &Value) -> Result<T, String> {
    T::deserialize(value).map_err(|error| error.to_string())
}

/// What a function named by `with` gave: a value, or a `Result` whose error is a sentence for the consumer.
///
/// Which of the two is decided by method resolution on `&Answer(..)`, as [`AnswerOfResult`] needs one reference less.
#[derive(Debug)]
pub struct Answer<T>(pub T);

/// A function that can fail.
pub trait AnswerOfResult {
    /// The value as JSON.
    ///
    /// # Errors
    ///
    /// What the function says.
    fn json(&self) -> Result<Value, String>;
}

impl<T: Serialize, E: Display> AnswerOfResult for Answer<Result<T, E>> {
    fn json(&self) -> Result<Value, String> {
        let value = self.0.as_ref().map_err(ToString::to_string)?;
        serde_json::to_value(value).map_err(|error| error.to_string())
    }
}

/// A function that cannot fail.
pub trait AnswerOfValue {
    /// The value as JSON.
    ///
    /// # Errors
    ///
    /// When it has no form in JSON.
    fn json(&self) -> Result<Value, String>;
}

impl<T: Serialize> AnswerOfValue for &Answer<T> {
    fn json(&self) -> Result<Value, String> {
        serde_json::to_value(&self.0).map_err(|error| error.to_string())
    }
}

fn rule(path: &str, rule: Rule) -> FieldRule {
    FieldRule {
        path: path.to_owned(),
        rule,
    }
}

fn returned(id: &str, kind: Kind, name: &str, source: ReturnSource) -> ReturnRule {
    ReturnRule {
        id: id.to_owned(),
        kind,
        name: name.to_owned(),
        source,
    }
}

fn status(path: &str, source: StatusSource) -> StatusField {
    StatusField {
        path: path.to_owned(),
        source,
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&it| it.to_owned()).collect()
}

fn pairs(labels: &[(&str, &str)]) -> Vec<(String, String)> {
    labels
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}
