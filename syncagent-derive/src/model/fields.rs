//! The fields of a struct, and the roles they play.

use darling::Error;
use darling::error::Accumulator;
use proc_macro2::Span;
use syn::{Ident, Path, Type};

use crate::attr::{FieldAttr, LabelAttr, SerdeContainer, SerdeField, Stands, Text};

/// A field of a spec or of a part that says something.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
    pub(crate) place: Place,
    pub(crate) roles: Vec<Role>,
    /// Whether serde makes up a value where there is none.
    pub(crate) default: bool,
    /// Where the key of each role stands.
    pub(crate) spans: Vec<Span>,
}

/// Where a field stands, seen from the struct.
pub(crate) enum Place {
    /// Under this name.
    Below(String),
    /// Its fields stand where the struct's fields stand (`#[serde(flatten)]`).
    Here,
}

/// A role of a field.
pub(crate) enum Role {
    Nested,
    Moved {
        at: Option<Text>,
        with: Option<Path>,
    },
    Takes {
        kind: Path,
        name: Option<Text>,
        labels: Vec<LabelAttr>,
    },
    RefersTo(Path),
    Hidden,
    Local,
}

impl Role {
    /// The key that gives a field this role.
    pub(crate) fn key(&self) -> &'static str {
        match self {
            Self::Nested => "nested",
            Self::Moved { with: Some(_), .. } => "with",
            Self::Moved { with: None, .. } => "at",
            Self::Takes { .. } => "takes",
            Self::RefersTo(_) => "refers_to",
            Self::Hidden => "hidden",
            Self::Local => "local",
        }
    }
}

impl Field {
    /// `None` for a field that says nothing.
    pub(crate) fn of(
        field: &syn::Field,
        container: SerdeContainer,
        acc: &mut Accumulator,
    ) -> Option<Self> {
        let attr = FieldAttr::read(&field.attrs, Stands::Field, acc);
        let serde = SerdeField::read(&field.attrs);
        let ident = field.ident.clone()?;
        let (roles, spans) = roles(attr);
        if roles.is_empty() {
            return None;
        }
        if serde.skip {
            let message = format!(
                "`{ident}` is not on the wire (`#[serde(skip)]`), so that it can have no role"
            );
            acc.push(Error::custom(message).with_span(&ident));
            return None;
        }
        let place = if serde.flatten {
            Place::Here
        } else {
            Place::Below(container.wire_name(&ident, &serde))
        };
        Some(Self {
            ident,
            ty: field.ty.clone(),
            place,
            roles,
            default: container.default || serde.default,
            spans,
        })
    }
}

fn roles(attr: FieldAttr) -> (Vec<Role>, Vec<Span>) {
    let keys = attr.spans();
    let moved = (attr.at.is_some() || attr.with.is_some()).then(|| Role::Moved {
        at: attr.at,
        with: attr.with.map(|it| it.0),
    });
    let takes = attr.takes.map(|it| Role::Takes {
        kind: it.kind.0,
        name: it.name,
        labels: it.labels,
    });
    let roles = [
        attr.nested.map(|_| Role::Nested),
        moved,
        takes,
        attr.refers_to.map(|it| Role::RefersTo(it.0)),
        attr.hidden.map(|_| Role::Hidden),
        attr.local.map(|_| Role::Local),
    ];
    let roles: Vec<Role> = roles.into_iter().flatten().collect();
    let spans = roles.iter().map(|role| keys(role.key())).collect();
    (roles, spans)
}

/// A field of a status: all of them flow back.
pub(crate) struct StatusField {
    /// Its name on the wire.
    pub(crate) wire: String,
    pub(crate) at: Option<Text>,
    pub(crate) with: Option<Path>,
    pub(crate) refers_to: Option<Path>,
}

impl StatusField {
    /// `None` for a field that is not on the wire.
    pub(crate) fn of(
        field: &syn::Field,
        container: SerdeContainer,
        acc: &mut Accumulator,
    ) -> Option<Self> {
        let attr = FieldAttr::read(&field.attrs, Stands::StatusField, acc);
        let serde = SerdeField::read(&field.attrs);
        let ident = field.ident.clone()?;
        if serde.flatten {
            let message = format!(
                "write the fields of `{ident}` here: a status that is flattened does not say its fields"
            );
            acc.push(Error::custom(message).with_span(&ident));
            return None;
        }
        if serde.skip {
            return None;
        }
        Some(Self {
            wire: container.wire_name(&ident, &serde),
            at: attr.at,
            with: attr.with.map(|it| it.0),
            refers_to: attr.refers_to.map(|it| it.0),
        })
    }
}
