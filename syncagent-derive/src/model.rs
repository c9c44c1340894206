//! What was meant: words have become variants, defaults are filled in, and every field has its roles.
//!
//! Texts keep their spans, for `check` compares them with each other and points at them.

mod fields;
mod policy;
mod related;
mod selector;

use darling::Error;
use darling::error::Accumulator;
use syn::{Data, DeriveInput, Fields, FieldsNamed, Generics, Ident, Path, parse_quote};

use crate::attr::{
    FnName, KubeAttr, LabelAttr, MutationAttr, ReadsAttr, ReturnsAttr, SerdeContainer, SetAttr,
    Stands, StructAttr, Text,
};
pub(crate) use fields::{Field, Place, Role, StatusField};
pub(crate) use policy::Choice;
pub(crate) use related::{Called, Find, Objects, Related};
pub(crate) use selector::{Requirement, requirements};

/// A struct with `#[derive(Publish)]`.
pub(crate) struct Publication {
    pub(crate) krate: Path,
    /// The type that kube's derive makes.
    pub(crate) kind: Ident,
    /// Whether orders live in namespaces.
    pub(crate) namespaced: bool,
    /// What the paths of the fields start with.
    pub(crate) prefix: &'static str,
    pub(crate) service: Service,
    pub(crate) schema: Schema,
    pub(crate) copy: Naming,
    pub(crate) namespaces: Vec<Text>,
    pub(crate) labels: Vec<LabelAttr>,
    pub(crate) selector: Vec<Requirement>,
    pub(crate) namespace_selector: Vec<Requirement>,
    pub(crate) set: Vec<SetAttr>,
    pub(crate) down: Vec<Mutation>,
    pub(crate) up: Vec<Mutation>,
    pub(crate) related: Vec<Related>,
    pub(crate) reserved: Vec<Text>,
    pub(crate) recreate: Vec<Text>,
    /// A function that makes the status, and what it may see.
    pub(crate) made_status: Option<(Path, Vec<ReadsAttr>)>,
    pub(crate) namespace_labels: Vec<LabelAttr>,
    pub(crate) namespace_annotations: Vec<LabelAttr>,
    /// As the service cluster calls them, and as consumers see them.
    pub(crate) versions: Vec<(Text, Text)>,
    pub(crate) singular: Option<Text>,
    pub(crate) short_names: Option<Vec<Text>>,
    pub(crate) categories: Option<Vec<Text>>,
    pub(crate) policies: Vec<Choice>,
    pub(crate) deletion_by_order: Option<bool>,
    pub(crate) concurrency: Option<usize>,
    pub(crate) pass_labels: Vec<Text>,
    pub(crate) pass_annotations: Vec<Text>,
    pub(crate) returns: Vec<Return>,
    pub(crate) status: Status,
    pub(crate) conditions: bool,
    pub(crate) fields: Vec<Field>,
}

/// The type behind the offered one.
pub(crate) enum Service {
    Same,
    Other(Path),
}

/// Where the published schema comes from.
#[derive(Clone)]
pub(crate) enum Schema {
    Type,
    Cluster,
    Fields(Vec<Text>),
}

/// A value that is changed on its way.
pub(crate) struct Mutation {
    pub(crate) at: Text,
    pub(crate) change: Change,
}

/// What happens to it.
pub(crate) enum Change {
    Set(syn::Expr),
    Default(syn::Expr),
    Delete,
    Regex(Text, Text),
    Template(Text),
    Cel(Text),
    With(Path),
}

/// How copies are named.
pub(crate) enum Naming {
    Default,
    Given {
        text: Text,
        namespace: Option<String>,
        name: String,
    },
}

/// What flows back.
pub(crate) enum Status {
    None,
    Whole,
    Fields(Path),
}

/// An object that comes up.
pub(crate) struct Return {
    pub(crate) kind: Path,
    pub(crate) id: Text,
    pub(crate) name: Text,
    pub(crate) source: Source,
}

/// What it is made of.
pub(crate) enum Source {
    From {
        name: Text,
        keys: Vec<Text>,
    },
    With {
        function: Path,
        reads: Vec<ReadsAttr>,
    },
}

/// A struct with `#[derive(PublishPart)]`.
pub(crate) struct Part {
    pub(crate) krate: Path,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) fields: Vec<Field>,
}

/// A struct with `#[derive(PublishStatus)]`.
pub(crate) struct StatusType {
    pub(crate) krate: Path,
    pub(crate) ident: Ident,
    pub(crate) generics: Generics,
    pub(crate) fields: Vec<StatusField>,
}

impl Publication {
    /// `None` where not even the type is known that the implementation would be for.
    pub(crate) fn of(input: &DeriveInput, acc: &mut Accumulator) -> Option<Self> {
        let attr = StructAttr::read(&input.attrs, Stands::Struct, acc);
        let fields = named_fields(input, "Publish", acc);
        let Some(kube) = KubeAttr::read(&input.attrs) else {
            let message = "`Publish` reads what kube's derive says: add `#[derive(CustomResource)]` and \
                           `#[kube(group = \"..\", version = \"..\", kind = \"..\")]`";
            acc.push(Error::custom(message).with_span(&input.ident));
            return None;
        };
        let policies = policy::choices(&attr, acc);
        let schema = schema(attr.schema.as_ref(), attr.fields.map(|it| it.0), acc);
        let pass = attr
            .pass
            .map_or_else(Default::default, |it| (it.labels.0, it.annotations.0));
        let mut selectors = (Vec::new(), Vec::new());
        let only = attr.only.map_or_else(Default::default, |it| {
            selectors = (
                requirements(it.selector.as_ref(), acc),
                requirements(it.namespace_selector.as_ref(), acc),
            );
            (it.namespaces.0, it.labels)
        });
        let namespace = attr
            .namespace
            .map_or_else(Default::default, |it| (it.labels, it.annotations));
        let versions = attr.versions.unwrap_or_default().0.into_iter();
        let versions = versions
            .map(|it| (it.clone(), it))
            .chain(attr.version.into_iter().map(|it| (it.service, it.offered)));
        Some(Self {
            krate: krate(attr.krate),
            namespaced: kube.namespaced,
            prefix: if kube.no_spec { "" } else { "spec" },
            service: attr
                .service
                .map_or(Service::Same, |it| Service::Other(it.0)),
            schema: schema.clone().unwrap_or(Schema::Type),
            copy: attr.copy.map_or(Naming::Default, |text| naming(text, acc)),
            namespaces: only.0,
            labels: only.1,
            selector: selectors.0,
            namespace_selector: selectors.1,
            set: attr.set,
            down: mutations(attr.down, acc),
            up: mutations(attr.up, acc),
            related: attr
                .related
                .into_iter()
                .filter_map(|it| Related::of(it, acc))
                .collect(),
            reserved: attr.reserved.unwrap_or_default().0,
            recreate: attr.recreate.unwrap_or_default().0,
            made_status: attr.status.map(|it| (it.with.0, it.reads)),
            namespace_labels: namespace.0,
            namespace_annotations: namespace.1,
            versions: versions.collect(),
            singular: attr.singular,
            short_names: attr.short_names.map(|it| it.0),
            categories: attr.categories.map(|it| it.0),
            policies,
            deletion_by_order: attr.deletion_by_order,
            concurrency: attr.concurrency,
            pass_labels: pass.0,
            pass_annotations: pass.1,
            returns: attr
                .returns
                .into_iter()
                .filter_map(|it| returned(it, acc))
                .collect(),
            status: match (kube.status, schema) {
                (None, _) => Status::None,
                (Some(path), Some(Schema::Type)) => Status::Fields(path),
                (Some(_), _) => Status::Whole,
            },
            conditions: attr.conditions.unwrap_or(true),
            fields: spec_fields(input, fields, acc),
            kind: kube.kind,
        })
    }
}

impl Part {
    pub(crate) fn of(input: &DeriveInput, acc: &mut Accumulator) -> Self {
        let attr = StructAttr::read(&input.attrs, Stands::Part, acc);
        let fields = named_fields(input, "PublishPart", acc);
        Self {
            krate: krate(attr.krate),
            ident: input.ident.clone(),
            generics: input.generics.clone(),
            fields: spec_fields(input, fields, acc),
        }
    }
}

impl StatusType {
    pub(crate) fn of(input: &DeriveInput, acc: &mut Accumulator) -> Self {
        let attr = StructAttr::read(&input.attrs, Stands::Part, acc);
        let serde = SerdeContainer::read(&input.attrs);
        let fields = named_fields(input, "PublishStatus", acc);
        let fields = fields.into_iter().flat_map(|it| &it.named);
        Self {
            krate: krate(attr.krate),
            ident: input.ident.clone(),
            generics: input.generics.clone(),
            fields: fields
                .filter_map(|field| StatusField::of(field, serde, acc))
                .collect(),
        }
    }
}

fn spec_fields(
    input: &DeriveInput,
    fields: Option<&FieldsNamed>,
    acc: &mut Accumulator,
) -> Vec<Field> {
    let serde = SerdeContainer::read(&input.attrs);
    let fields = fields.into_iter().flat_map(|it| &it.named);
    fields
        .filter_map(|field| Field::of(field, serde, acc))
        .collect()
}

fn named_fields<'a>(
    input: &'a DeriveInput,
    derive: &str,
    acc: &mut Accumulator,
) -> Option<&'a FieldsNamed> {
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => return Some(fields),
            Fields::Unit | Fields::Unnamed(_) => {}
        },
        Data::Enum(_) | Data::Union(_) => {}
    }
    let message = format!(
        "`{derive}` is about fields that have names: derive it on a `struct {} {{ .. }}`",
        input.ident
    );
    acc.push(Error::custom(message).with_span(&input.ident));
    None
}

fn krate(given: Option<Path>) -> Path {
    given.unwrap_or_else(|| parse_quote!(::syncagent))
}

/// `None` where the word is unknown.
fn schema(text: Option<&Text>, fields: Option<Vec<Text>>, acc: &mut Accumulator) -> Option<Schema> {
    if let Some(fields) = fields {
        if let Some(text) = text.filter(|it| it.value != "cluster") {
            let message = "`fields` picks from the schema of the service cluster: write `schema = \"cluster\"`, or take one of them away";
            acc.point_at(text, message);
        }
        return Some(Schema::Fields(fields));
    }
    let Some(text) = text else {
        return Some(Schema::Type);
    };
    match text.value.as_str() {
        "type" => Some(Schema::Type),
        "cluster" => Some(Schema::Cluster),
        other => {
            let message = format!(
                "unknown schema `{other}`; write \"type\" (the default: this Rust type) or \"cluster\" (the CRD as it is)"
            );
            acc.point_at(text, message);
            None
        }
    }
}

/// What each mutation does; one that does nothing, or two things, is a mistake.
fn mutations(attrs: Vec<MutationAttr>, acc: &mut Accumulator) -> Vec<Mutation> {
    let mut all = Vec::new();
    for MutationAttr {
        keys: attr,
        mistyped,
    } in attrs
    {
        if let (None, Some(text)) = (&attr.regex, &attr.replacement) {
            acc.point_at(text, "`replacement` goes with `regex`");
        }
        let replacement = attr.replacement.unwrap_or_else(|| Text {
            value: String::new(),
            span: attr.at.span,
        });
        let changes = [
            attr.set.map(|it| Change::Set(it.0)),
            attr.default.map(|it| Change::Default(it.0)),
            attr.delete.map(|_| Change::Delete),
            attr.regex.map(|it| Change::Regex(it, replacement)),
            attr.template.map(Change::Template),
            attr.cel.map(Change::Cel),
            attr.with.map(|it| Change::With(it.0)),
        ];
        let mut changes = changes.into_iter().flatten();
        match (changes.next(), changes.next()) {
            (Some(change), None) => all.push(Mutation {
                at: attr.at,
                change,
            }),
            (None, _) if mistyped => {}
            (first, _) => {
                let message = if first.is_some() {
                    "a mutation does one thing: write a second one for the other"
                } else {
                    "say what happens there: `set = ..`, `default = ..`, `delete`, `regex = \"..\"`, `template = \"..\"`, `cel = \"..\"` or `with = a_function`"
                };
                acc.point_at(&attr.at, message);
            }
        }
    }
    all
}

fn naming(text: Text, acc: &mut Accumulator) -> Naming {
    let parts: Vec<&str> = text.value.split('/').collect();
    let (namespace, name) = match parts.as_slice() {
        [name] => (None, (*name).to_owned()),
        [namespace, name] => (Some((*namespace).to_owned()), (*name).to_owned()),
        _ => {
            let message = "`copy` is a namespace and a name with one `/` between them: `copy = \"{workspace}/{name}\"`";
            acc.point_at(&text, message);
            return Naming::Default;
        }
    };
    Naming::Given {
        text,
        namespace,
        name,
    }
}

fn returned(attr: ReturnsAttr, acc: &mut Accumulator) -> Option<Return> {
    let id = attr.id;
    let source = match (attr.from, attr.with) {
        (Some(name), None) => {
            for read in &attr.reads {
                let message = "`reads` is for a function to look at; a return with `from` has none: take it away";
                acc.push(Error::custom(message).with_span(&read.kind.0));
            }
            Some(Source::From {
                name,
                keys: attr.keys.unwrap_or_default().0,
            })
        }
        (None, Some(FnName(function))) => {
            for key in attr.keys.unwrap_or_default().0.iter().take(1) {
                let message = "`keys` picks from an object that is returned `from` the service; the function of `with` decides itself";
                acc.point_at(key, message);
            }
            Some(Source::With {
                function,
                reads: attr.reads,
            })
        }
        (Some(_), Some(FnName(function))) => {
            let message = "a returned object is either a copy (`from`) or composed (`with`): keep one of them";
            acc.push(Error::custom(message).with_span(&function));
            None
        }
        (None, None) => {
            let message = format!(
                "say what `{}` is made of: `from = \"{{copy.name}}-..\"` for a copy of the operator's object, or `with = a_function`",
                id.value
            );
            acc.point_at(&id, message);
            None
        }
    };
    let name = attr.name.unwrap_or_else(|| Text {
        value: format!("{{name}}-{}", id.value),
        span: id.span,
    });
    Some(Return {
        kind: attr.kind.0,
        name,
        source: source?,
        id,
    })
}

/// Pushing a sentence under a text.
pub(crate) trait PointAt {
    fn point_at(&mut self, text: &Text, message: impl std::fmt::Display);
}

impl PointAt for Accumulator {
    fn point_at(&mut self, text: &Text, message: impl std::fmt::Display) {
        self.push(Error::custom(message).with_span(&text.span));
    }
}
