//! What cannot be meant: contradictions between what was said in different places.
//!
//! Every mistake is collected, each under the user's own tokens and phrased as what to write instead.

use std::collections::BTreeMap;

use darling::Error;
use darling::error::Accumulator;
use syn::{Expr, Lit};

use crate::attr::{Text, nearest, quoted};
use crate::model::{
    Field, Naming, Part, Place, PointAt, Publication, Role, Service, Source, StatusType,
};
use crate::template::{Collision, Orders, Placeholder, Template, collisions};

impl Publication {
    pub(crate) fn check(&self, acc: &mut Accumulator) {
        self.check_naming(acc);
        self.check_returns(acc);
        self.check_policies(acc);
        self.check_mutations(acc);
        self.check_related(acc);
        self.check_recreate(acc);
        for text in &self.reserved {
            template(text, Placeholder::BESIDE_COPY, acc);
        }
        for field in &self.fields {
            field.check(acc);
        }
        for namespace in &self.namespaces {
            if let Some(message) = not_a_label(&namespace.value) {
                acc.point_at(
                    namespace,
                    format!("`{}` is no namespace: {message}", namespace.value),
                );
            }
        }
        if !self.namespaced {
            for namespace in self.namespaces.iter().take(1) {
                acc.point_at(namespace, format!("`{}` has no namespaces (`#[kube(..)]` does not say `namespaced`): take `namespaces` away", self.kind));
            }
        }
        for set in &self.set {
            check_target(&set.at, acc);
            for text in texts(&set.value) {
                template(&text, Placeholder::SET, acc);
            }
        }
    }

    /// The proof that two orders never get the same copy.
    fn check_naming(&self, acc: &mut Accumulator) {
        let Naming::Given {
            text,
            namespace,
            name,
        } = &self.copy
        else {
            return;
        };
        let scoped_alike = matches!(self.service, Service::Same);
        if scoped_alike && self.namespaced && namespace.is_none() {
            let message = "the copy lives in a namespace: write it before the name, as in `copy = \"{workspace}/{namespace.hash}-{name}\"`";
            acc.point_at(text, message);
            return;
        }
        if scoped_alike && !self.namespaced && namespace.is_some() {
            let message = format!(
                "`{}` has no namespaces, so that its copies are named without `/`, as in `copy = \"{{workspace}}-{{name}}\"`",
                self.kind
            );
            acc.point_at(text, message);
            return;
        }
        let part = |it: &str| Text {
            value: it.to_owned(),
            span: text.span,
        };
        let name_template = template(&part(name), Placeholder::NAMING, acc);
        let namespace_template = namespace
            .as_ref()
            .map(|it| template(&part(it), Placeholder::NAMING, acc));
        let (Some(name_template), Some(namespace_template)) = (
            name_template,
            namespace_template.map_or(Some(None), |it| it.map(Some)),
        ) else {
            return;
        };
        for (template, is_namespace) in namespace_template
            .iter()
            .map(|it| (it, true))
            .chain([(&name_template, false)])
        {
            if let Some(c) = template.bad_character(is_namespace) {
                let what = if is_namespace { "namespace" } else { "name" };
                acc.point_at(
                    text,
                    format!("a {what} cannot hold `{c}`: use lower-case letters, digits and `-`"),
                );
            }
        }
        if !self.namespaced
            && namespace_template
                .iter()
                .chain([&name_template])
                .any(|it| it.has_any(Placeholder::OF_NAMESPACE))
        {
            acc.point_at(
                text,
                format!(
                    "`{}` has no namespaces: take `{{namespace}}` away",
                    self.kind
                ),
            );
            return;
        }
        let orders = if self.namespaced && self.namespaces.len() != 1 {
            Orders::ManyNamespaces
        } else {
            Orders::OneNamespace
        };
        let only_warns = self
            .policies
            .iter()
            .any(|it| it.key == "colliding_names" && it.variant == "Warn");
        if only_warns {
            return;
        }
        for collision in collisions(namespace_template.as_ref(), &name_template, orders) {
            let remedy = match collision {
                Collision::Namespaces => format!(
                    "; tell them apart, as in `copy = \"{}\"`, or serve one namespace: `only(namespaces = [\"default\"])`",
                    text.value
                        .replacen(name.as_str(), &format!("{{namespace.hash}}-{name}"), 1)
                ),
                Collision::Workspaces if namespace.is_some() => {
                    "; the usual naming starts with `{workspace}/`".to_owned()
                }
                Collision::Workspaces => "; the usual naming starts with `{workspace}-`".to_owned(),
                _ => String::new(),
            };
            acc.point_at(text, format!("{collision}{remedy}"));
        }
    }

    /// Policies that do not go together, and those that would delete on no evidence.
    fn check_policies(&self, acc: &mut Accumulator) {
        let chosen = |key: &str| self.policies.iter().find(|it| it.key == key);
        let corrects = chosen("drift").is_none_or(|it| it.variant == "Correct");
        if let Some(it) = chosen("adoption").filter(|it| it.variant == "LabelOnly" && corrects) {
            let message = "`label-only` leaves what differs as it is, and `drift = \"correct\"` sets it right at once: write `drift = \"keep\"`, or `adoption = \"take-over\"`";
            acc.point_at(&it.text, message);
        }
        for key in ["unreadable", "claim"] {
            if let Some(it) = chosen(key).filter(|it| it.variant == "Retire") {
                let message = format!(
                    "`{key}` is no evidence that a consumer wants a copy gone: write \"keep\" or \"report\""
                );
                acc.point_at(&it.text, message);
            }
        }
    }

    fn check_mutations(&self, acc: &mut Accumulator) {
        for it in &self.down {
            check_target(&it.at, acc);
        }
        for it in &self.up {
            check_path(&it.at, acc);
            if !it.at.value.starts_with("status.") {
                acc.point_at(
                    &it.at,
                    "only the status goes up: write a path below `status`, or `down(..)`",
                );
            }
        }
    }

    fn check_related(&self, acc: &mut Accumulator) {
        for change in self.related.iter().flat_map(|it| &it.changes) {
            check_path(&change.at, acc);
            if matches!(
                change.at.value.as_str(),
                "metadata.name" | "metadata.namespace"
            ) {
                acc.point_at(
                    &change.at,
                    "the names of copies follow from `called`, their namespaces from `within`",
                );
            }
        }
    }

    /// What is made anew is a rule: by its `id`, or by the path of the field that takes it, which other types may hold.
    fn check_recreate(&self, acc: &mut Accumulator) {
        let returned = self.returns.iter().map(|it| it.id.value.as_str());
        let related = self.related.iter().map(|it| it.id.value.as_str());
        let known: Vec<&str> = returned.chain(related).collect();
        for (at, rule) in self.recreate.iter().enumerate() {
            let text = rule.value.as_str();
            if self.recreate[..at].iter().any(|it| it.value == text) {
                acc.point_at(rule, format!("`{text}` is said twice; keep one"));
            } else if text.contains('.') {
                check_path(rule, acc);
            } else if !known.contains(&text) {
                let remedy = match (nearest(text, &known), known.is_empty()) {
                    (Some(near), _) => format!("; did you mean `{near}`?"),
                    (None, true) => String::new(),
                    (None, false) => format!("; known here: {}", quoted(&known)),
                };
                acc.point_at(rule, format!("no related object is called `{text}`: write the `id` of one, or the path of the field that takes it, as in `spec.secret`{remedy}"));
            }
        }
    }

    fn check_returns(&self, acc: &mut Accumulator) {
        let mut ids = BTreeMap::new();
        let mut names = BTreeMap::new();
        for it in &self.returns {
            if ids.insert(it.id.value.as_str(), ()).is_some() {
                acc.point_at(
                    &it.id,
                    format!(
                        "two returned objects are called `{}`; each needs an `id` of its own",
                        it.id.value
                    ),
                );
            } else if let Some(message) = not_a_label(&it.id.value) {
                acc.point_at(
                    &it.id,
                    format!("`{}` is no identifier: {message}", it.id.value),
                );
            }
            let kind = it
                .kind
                .segments
                .last()
                .map(|segment| segment.ident.to_string());
            if let Some(first) = names.insert((kind, it.name.value.as_str()), it.id.value.as_str())
            {
                let message = format!(
                    "`{first}` has this name already; two returned objects of a kind need two names"
                );
                acc.point_at(&it.name, message);
            }
            if let Some(name) = template(&it.name, Placeholder::RETURNED, acc)
                && !name.has(Placeholder::Name)
            {
                let message = "two orders of a namespace would fight over this name: put `{name}` into it, as in `{name}-tls`";
                acc.point_at(&it.name, message);
            }
            match &it.source {
                Source::From { name, .. } => {
                    template(name, Placeholder::BESIDE_COPY, acc);
                }
                Source::With { reads, .. } => {
                    for read in reads {
                        template(&read.name, Placeholder::BESIDE_COPY, acc);
                    }
                }
            }
        }
    }
}

impl Part {
    pub(crate) fn check(&self, acc: &mut Accumulator) {
        for field in &self.fields {
            field.check(acc);
        }
    }
}

impl StatusType {
    pub(crate) fn check(&self, acc: &mut Accumulator) {
        for field in &self.fields {
            if let Some(at) = &field.at {
                check_path(at, acc);
            }
            if field.with.is_some()
                && let Some(target) = &field.refers_to
            {
                let message = "`refers_to` computes the value itself: keep it or `with`";
                acc.push(Error::custom(message).with_span(target));
            }
        }
    }
}

impl Field {
    fn check(&self, acc: &mut Accumulator) {
        self.check_together(acc);
        for role in &self.roles {
            match role {
                Role::Moved { at: Some(at), .. } => check_target(at, acc),
                Role::Takes {
                    name: Some(text), ..
                } => check_taken_name(text, acc),
                _ => {}
            }
        }
    }

    /// Which roles go together: a name can be taken or followed and live elsewhere (`at`); everything else stands alone.
    fn check_together(&self, acc: &mut Accumulator) {
        let at_only = |role: &Role| matches!(role, Role::Moved { with: None, .. });
        let named = |role: &Role| matches!(role, Role::Takes { .. } | Role::RefersTo(_));
        if let [first, second] = self.roles.as_slice()
            && ((at_only(first) && named(second)) || (at_only(second) && named(first)))
        {
            return;
        }
        if let [first, rest @ ..] = self.roles.as_slice() {
            for (other, span) in rest.iter().zip(&self.spans[1..]) {
                acc.push(Error::custom(self.contradiction(first, other)).with_span(span));
            }
        }
        if matches!(self.place, Place::Here) && !matches!(self.roles.as_slice(), [Role::Nested]) {
            let message = format!(
                "`{}` is flattened, so that it has no place of its own: write `nested`, and say more on its fields",
                self.ident
            );
            acc.push(Error::custom(message).with_span(&self.ident));
        }
    }

    fn contradiction(&self, first: &Role, second: &Role) -> String {
        let ident = &self.ident;
        let (a, b) = (first.key(), second.key());
        match (first, second) {
            (other, Role::Hidden) | (Role::Hidden, other) => {
                format!(
                    "`{ident}` is never shown (`hidden`), so that `{}` has nothing to work on; keep one of them",
                    other.key()
                )
            }
            (other, Role::Local) | (Role::Local, other) => {
                format!(
                    "`{ident}` never leaves the workspace (`local`), so that `{}` has nothing to work on; keep one of them",
                    other.key()
                )
            }
            (Role::Nested, _) => format!(
                "the fields of `{ident}` speak for themselves (`nested`): say `{b}` on the one it concerns"
            ),
            _ => format!("`{ident}` cannot have `{a}` and `{b}` at once; keep one of them"),
        }
    }
}

/// Parses a template and reports its mistakes.
fn template(
    text: &Text,
    allowed: &'static [Placeholder],
    acc: &mut Accumulator,
) -> Option<Template> {
    match Template::parse(&text.value, allowed) {
        Ok(_) if text.value.is_empty() => {
            acc.point_at(text, "a name cannot be empty");
            None
        }
        Ok(template) => Some(template),
        Err(mistakes) => {
            for mistake in mistakes {
                acc.point_at(text, mistake);
            }
            None
        }
    }
}

/// The name of a taken object's copy: it tells the object, and is none that an operator would use.
fn check_taken_name(text: &Text, acc: &mut Accumulator) {
    let Some(name) = template(text, Placeholder::TAKEN, acc) else {
        return;
    };
    if !name.has_any(Placeholder::OF_NAME) {
        acc.point_at(
            text,
            "two taken objects could collide: put `{name}` or `{name.hash}` into the name",
        );
    } else if let Some((left, right)) = name.ambiguity() {
        acc.point_at(text, Collision::RunTogether(left, right));
    }
    if text.value == "{name}" {
        let message = "a consumer could choose the name of an object that the operator makes: add a suffix, as in `{name}.taken`";
        acc.point_at(text, message);
    }
}

/// A path on the copy that is written.
fn check_target(at: &Text, acc: &mut Accumulator) {
    check_path(at, acc);
    let first = at.value.split('.').next().unwrap_or_default();
    if first == "status" {
        acc.point_at(at, "the status is the operator's: nothing of it is written; did you mean a path below `spec`?");
    }
    if matches!(at.value.as_str(), "metadata.name" | "metadata.namespace") {
        acc.point_at(
            at,
            "the copy's name and namespace follow from `copy = \"..\"`",
        );
    }
}

/// A path as this framework writes it: `spec.hosts[].name`.
fn check_path(at: &Text, acc: &mut Accumulator) {
    let path = at.value.as_str();
    if path.contains('/') && path.starts_with('/') {
        let dotted = path.trim_start_matches('/').replace('/', ".");
        acc.point_at(at, format!("paths are written with dots: `{dotted}`"));
        return;
    }
    let segment = |it: &str| {
        let it = it.strip_suffix("[]").unwrap_or(it);
        !it.is_empty() && !it.contains(['[', ']', ' ', '{', '}'])
    };
    if !unquoted(path).split('.').all(segment) {
        acc.point_at(at, format!("`{path}` is no path: it starts at the object and goes by dots, as in `spec.hosts[].name`"));
    }
}

/// The path with a plain word in the place of each quoted key: `metadata.labels["acme.io/tier"]`.
fn unquoted(path: &str) -> String {
    let mut out = String::new();
    let mut rest = path;
    while let Some((before, after)) = rest.split_once("[\"") {
        out.push_str(before);
        let Some((_, behind)) = after.split_once("\"]") else {
            return path.to_owned();
        };
        out.push_str(".key");
        rest = behind;
    }
    out.push_str(rest);
    out
}

/// Why a text is no DNS label, if it is none.
fn not_a_label(text: &str) -> Option<&'static str> {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let good = !text.is_empty()
        && text.len() <= 63
        && text.chars().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-');
    (!good).then_some("use lower-case letters, digits and `-` inside, at most 63")
}

/// The texts of a value that is written as a literal.
fn texts(value: &Expr) -> Vec<Text> {
    match value {
        Expr::Lit(it) => match &it.lit {
            Lit::Str(text) => vec![Text {
                value: text.value(),
                span: text.span(),
            }],
            _ => Vec::new(),
        },
        Expr::Array(it) => it.elems.iter().flat_map(texts).collect(),
        _ => Vec::new(),
    }
}
