//! Definitions from Rust types: what the derive emits, and the typed face of what a composing function sees.
//!
//! The derive writes data and calls this module; nothing here decides anything. A type that is published implements
//! [`Publish`]; a type that is a part of a spec implements [`PublishPart`], one that is a status implements
//! [`PublishStatus`]. A field that names an object has a type that implements [`Reference`], so that
//! `Option<LocalObjectReference>`, `String` and `Vec<LocalObjectReference>` all say where the name is.
//!
//! What the derive emits for `#[publish(takes(Secret))] pub superuser_secret: Option<LocalObjectReference>` in a spec:
//!
//! ```
//! use syncagent_core::definition::{FieldRule, Rule, TakeRule};
//! use syncagent_core::typed::{LocalObjectReference, kind_of, reference};
//! use k8s_openapi::api::core::v1::Secret;
//!
//! let at = reference::<Option<LocalObjectReference>>("spec.superuserSecret");
//! let rule = FieldRule {
//!     path: at.path,
//!     rule: Rule::Takes(TakeRule {
//!         kind: kind_of::<Secret>(),
//!         name_at: at.name_at,
//!         name: "{name}.taken".to_owned(),
//!         labels: vec![("cnpg.io/reload".to_owned(), "true".to_owned())],
//!     }),
//! };
//! assert_eq!(rule.path, "spec.superuserSecret");
//! ```

pub mod derived;

use std::cell::OnceCell;
use std::marker::PhantomData;

use kube::core::object::{HasSpec, HasStatus};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::definition::{Definition, FieldRule, Kind, Scope, Sources, StatusField};

pub use crate::api::condition::Condition;

/// A type whose objects are offered to workspaces: the root type that `#[kube(...)]` makes, as in `Cluster`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not published",
    note = "add `#[derive(Publish)]` to the spec that `#[kube(kind = \"{Self}\")]` stands on"
)]
pub trait Publish: DeserializeOwned + 'static {
    /// The type of the object on the service cluster: `Self`, unless `#[publish(service = ...)]` names another.
    type Service: DeserializeOwned;

    /// What the provider declares about the type.
    fn definition() -> Definition;
}

/// A part of a spec: a struct whose fields carry rules of their own (`#[publish(nested)]`).
#[diagnostic::on_unimplemented(
    message = "`{Self}` says nothing about how its fields are published",
    note = "add `#[derive(PublishPart)]` to `{Self}`, or take `nested` away"
)]
pub trait PublishPart {
    /// The rules of the fields, each path below `prefix`, as in `spec.bootstrap`.
    fn fields(prefix: &str) -> Vec<FieldRule>;
}

impl<T: PublishPart> PublishPart for Option<T> {
    fn fields(prefix: &str) -> Vec<FieldRule> {
        T::fields(prefix)
    }
}

impl<T: PublishPart> PublishPart for Box<T> {
    fn fields(prefix: &str) -> Vec<FieldRule> {
        T::fields(prefix)
    }
}

impl<T: PublishPart> PublishPart for Vec<T> {
    fn fields(prefix: &str) -> Vec<FieldRule> {
        T::fields(&format!("{prefix}[]"))
    }
}

/// A status: only what it declares flows back.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which fields flow back",
    note = "add `#[derive(PublishStatus)]` to `{Self}`"
)]
pub trait PublishStatus {
    /// The declared fields; paths start with `status.`.
    fn status_fields() -> Vec<StatusField>;
}

/// A field that names an object: says where the name is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name an object",
    note = "use `String`, `LocalObjectReference`, an `Option` or a `Vec` of these, or implement `Reference`"
)]
pub trait Reference {
    /// The path of the part that holds the name, given the path of the field. A `Vec` adds `[]`.
    #[must_use]
    fn path(field: &str) -> String {
        field.to_owned()
    }

    /// Where the name is below that part, as in `name`; `None`: the part is the name.
    #[must_use]
    fn name_at() -> Option<&'static str>;
}

impl Reference for String {
    fn name_at() -> Option<&'static str> {
        None
    }
}

impl<T: Reference> Reference for Option<T> {
    fn path(field: &str) -> String {
        T::path(field)
    }

    fn name_at() -> Option<&'static str> {
        T::name_at()
    }
}

impl<T: Reference> Reference for Box<T> {
    fn path(field: &str) -> String {
        T::path(field)
    }

    fn name_at() -> Option<&'static str> {
        T::name_at()
    }
}

impl<T: Reference> Reference for Vec<T> {
    fn path(field: &str) -> String {
        T::path(&format!("{field}[]"))
    }

    fn name_at() -> Option<&'static str> {
        T::name_at()
    }
}

/// Implements [`Reference`] for types that hold the name in a field `name`.
macro_rules! named {
    ($($type:ty),+ $(,)?) => {$(
        impl Reference for $type {
            fn name_at() -> Option<&'static str> {
                Some("name")
            }
        }
    )+};
}

named!(
    LocalObjectReference,
    k8s_openapi::api::core::v1::LocalObjectReference,
    k8s_openapi::api::core::v1::SecretKeySelector,
    k8s_openapi::api::core::v1::ConfigMapKeySelector,
    k8s_openapi::api::core::v1::TypedLocalObjectReference,
);

/// The name of an object in the same namespace, as most operators spell it.
#[derive(
    Clone,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
pub struct LocalObjectReference {
    /// The name.
    pub name: String,
}

/// Where a field of type `T` has the name it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAt {
    /// The path of the part that holds the name.
    pub path: String,
    /// Where the name is below it.
    pub name_at: Option<String>,
}

/// Where a field of type `T` at `path` has the name it holds.
#[must_use]
pub fn reference<T: Reference>(path: &str) -> NameAt {
    NameAt {
        path: T::path(path),
        name_at: T::name_at().map(str::to_owned),
    }
}

/// A scope in the type system, as kube and k8s-openapi have it.
pub trait ServedScope {
    /// The scope as a value.
    const SCOPE: Scope;
}

impl ServedScope for k8s_openapi::NamespaceResourceScope {
    const SCOPE: Scope = Scope::Namespaced;
}

impl ServedScope for k8s_openapi::ClusterResourceScope {
    const SCOPE: Scope = Scope::Cluster;
}

/// The kind that a Rust type stands for.
#[must_use]
pub fn kind_of<K>() -> Kind
where
    K: kube::Resource<DynamicType = ()>,
    K::Scope: ServedScope,
{
    Kind {
        group: K::group(&()).into_owned(),
        version: K::version(&()).into_owned(),
        kind: K::kind(&()).into_owned(),
        plural: K::plural(&()).into_owned(),
        scope: K::Scope::SCOPE,
    }
}

/// The CRD that a Rust type stands for, as JSON: for [`SchemaSource::Type`](crate::definition::SchemaSource::Type).
///
/// # Panics
///
/// When the CRD has no form in JSON, which a derived one always has.
#[must_use]
pub fn crd_of<K: kube::CustomResourceExt>() -> Value {
    serde_json::to_value(K::crd()).expect("a derived CRD is plain JSON")
}

/// Runs a function over JSON: the body of a [`Convert`](crate::definition::Convert) that the derive emits for `with`.
///
/// # Errors
///
/// When the value is not what the function takes; the sentence is for the consumer.
pub fn convert<In, Out>(value: &Value, with: impl FnOnce(&In) -> Out) -> Result<Value, String>
where
    In: DeserializeOwned,
    Out: Serialize,
{
    let value = In::deserialize(value).map_err(|error| error.to_string())?;
    serde_json::to_value(with(&value)).map_err(|error| error.to_string())
}

/// Composes a returned object: the body of a [`Compose`](crate::definition::Compose) that the derive emits.
///
/// An order that does not have the form of its type has nothing to say: [`View::order`] is `None`.
pub fn compose<T, Out>(
    sources: &Sources,
    with: impl FnOnce(&View<T>) -> Option<Out>,
) -> Option<Value>
where
    T: Publish,
    Out: Serialize,
{
    serde_json::to_value(with(&View::of(sources))?).ok()
}

/// What a composing function sees of an order: the typed face of [`Sources`].
///
/// Only what a function looks at is fetched, and only that makes its result stale when it changes: a function that never
/// calls [`copy`](Self::copy) is not run again for each heartbeat of the copy's status, and one that finds no address yet
/// before it asks for the [`spec`](Self::spec) costs no look at the order. So everything here may be `None`, which is "not
/// in hand yet" just as "not there": the function says `None` then, and is called again with what it asked for.
#[derive(Debug)]
pub struct View<T> {
    order: OnceCell<Option<Box<T>>>,
    sources: Sources,
    of: PhantomData<fn() -> T>,
}

impl<T: Publish> View<T> {
    /// The view of an order.
    #[must_use]
    pub fn of(sources: &Sources) -> Self {
        Self {
            order: OnceCell::new(),
            sources: sources.clone(),
            of: PhantomData,
        }
    }

    /// The order as the consumer wrote it, with the status that they see; `None` when it is not in hand yet, or does not
    /// have the form of its type.
    pub fn order(&self) -> Option<&T> {
        self.sources.origin();
        self.peek()
    }

    fn peek(&self) -> Option<&T> {
        let parsed = || {
            T::deserialize(self.sources.peek_origin())
                .ok()
                .map(Box::new)
        };
        self.order.get_or_init(parsed).as_deref()
    }

    /// The order's name in the workspace.
    #[must_use]
    pub fn name(&self) -> &str {
        text(self.sources.peek_origin(), "name")
    }

    /// The order's namespace in the workspace; empty for a cluster-scoped order.
    #[must_use]
    pub fn namespace(&self) -> &str {
        text(self.sources.peek_origin(), "namespace")
    }

    /// The copy on the service cluster, when there is one.
    #[must_use]
    pub fn copy(&self) -> Option<T::Service> {
        T::Service::deserialize(self.sources.copy()?).ok()
    }

    /// The object of the service cluster that the rule reads, by kind; the first one when it reads several of a kind.
    #[must_use]
    pub fn read<K>(&self) -> Option<K>
    where
        K: DeserializeOwned + kube::Resource<DynamicType = ()>,
    {
        self.read_where(|_| true)
    }

    /// The object of the service cluster that the rule reads under this name template, as in `{copy.name}-rw`.
    #[must_use]
    pub fn read_named<K>(&self, template: &str) -> Option<K>
    where
        K: DeserializeOwned + kube::Resource<DynamicType = ()>,
    {
        self.read_where(|name| name == template)
    }

    /// The consumer's object that the field at `path` names, as in `taken::<Secret>("spec.superuserSecret")`.
    ///
    /// Of a field with several elements it is the first.
    #[must_use]
    pub fn taken<K: DeserializeOwned>(&self, path: &str) -> Option<K> {
        self.taken_all(path).into_iter().next()
    }

    /// The consumer's objects that the elements at `path` name, as in `spec.imports[].secret`.
    #[must_use]
    pub fn taken_all<K: DeserializeOwned>(&self, path: &str) -> Vec<K> {
        let values = self.sources.taken(path);
        values
            .filter_map(|value| K::deserialize(value).ok())
            .collect()
    }

    fn read_where<K>(&self, named: impl Fn(&str) -> bool) -> Option<K>
    where
        K: DeserializeOwned + kube::Resource<DynamicType = ()>,
    {
        let (group, kind) = (K::group(&()), K::kind(&()));
        let value = self
            .sources
            .read(|rule| rule.kind.group == group && rule.kind.kind == kind && named(&rule.name))?;
        K::deserialize(value).ok()
    }
}

impl<T: Publish + HasSpec> View<T> {
    /// The order's spec; `None` when it is not in hand yet.
    #[must_use]
    pub fn spec(&self) -> Option<&T::Spec> {
        self.order().map(HasSpec::spec)
    }
}

impl<T: Publish + HasStatus> View<T> {
    /// The order's status as the consumer sees it.
    #[must_use]
    pub fn status(&self) -> Option<&T::Status> {
        self.sources.status();
        self.peek()?.status()
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}
