//! Compiles rules of related objects that are found, and proves that they keep tenants apart (design 4.7b).
//!
//! What goes down gets a name: it must tell the workspace, the namespace and the name of its original, and a consumer must
//! not be able to choose a name that the operator will need. What comes up is read: it must be in a namespace that belongs
//! to one workspace alone, or have a name (or a label) that tells the order. A rule for which no proof is found is refused,
//! or, where the provider says so, only warned of: identity is the second line of defence.

use std::collections::BTreeSet;

use super::Compiler;
use crate::definition::{
    self, Expression, Kind, Objects, RelatedRule, Rule, Scope, Side, Unproven,
};
use crate::naming::orders;
use crate::object::labels::Demand;
use crate::object::path::Path;
use crate::related::find::{By, Called, Reference, Related, Rewriting, Search, Text};
use crate::template::{Orders, Placeholder, Template};

use Placeholder::{
    CopyName, CopyNamespace, Found, FoundHash, FoundNamespace, FoundNamespaceHash, Name, NameHash,
    Namespace, NamespaceHash, Workspace,
};

/// What the name of a copy on the service cluster is made of.
const DOWN: &[Placeholder] = Placeholder::ALL;
/// What the name of a copy in a workspace is made of: nothing that only the service cluster knows, but what was found.
const UP: &[Placeholder] = &[
    Workspace,
    Namespace,
    Name,
    NamespaceHash,
    NameHash,
    Found,
    FoundHash,
    FoundNamespace,
    FoundNamespaceHash,
];

impl Compiler<'_> {
    pub(super) fn related(&mut self) -> Vec<Related> {
        let mut ids: BTreeSet<&str> = BTreeSet::new();
        for rule in &self.definition.fields {
            if matches!(rule.rule, Rule::Takes(_)) {
                ids.insert(&rule.path);
            }
        }
        ids.extend(self.definition.returns.iter().map(|it| it.id.as_str()));
        let mut compiled = Vec::new();
        for rule in &self.definition.related {
            if rule.id.is_empty() || !ids.insert(&rule.id) {
                self.problems.push(format!(
                    "related `{}`: give it an id that no other rule has",
                    rule.id
                ));
            }
            compiled.extend(self.find_rule(rule));
        }
        compiled
    }

    /// Names that nothing of a consumer is placed under, as patterns around the name of any copy.
    pub(super) fn reserved(&mut self) -> Vec<Template> {
        let mut compiled = Vec::new();
        for text in &self.definition.reserved {
            let template = self.template("reserved", text, Placeholder::BESIDE_COPY);
            compiled.extend(template);
        }
        compiled
    }

    fn find_rule(&mut self, rule: &RelatedRule) -> Option<Related> {
        let what = format!("related `{}`", rule.id);
        let (home, away) = match rule.origin {
            Side::Workspace => (&self.definition.offered, &self.definition.service),
            Side::Service => (&self.definition.service, &self.definition.offered),
        };
        if rule.namespaces.is_none() {
            let (orders, copies) = match rule.origin {
                Side::Workspace => ("orders", "copies"),
                Side::Service => ("copies", "orders"),
            };
            for (whose, primary, kind) in [(orders, home, &rule.kind), (copies, away, &rule.into)] {
                if kind.scope == Scope::Namespaced && primary.scope == Scope::Cluster {
                    self.problems.push(format!(
                        "{what}: the {whose} have no namespace, and a {} lives in one; say in which with `namespaces`",
                        kind.kind
                    ));
                }
            }
        } else if rule.kind.scope == Scope::Cluster {
            self.problems.push(format!(
                "{what}: a {} has no namespace; take `namespaces` away",
                rule.kind.kind
            ));
        }
        if rule.identity.is_some() && rule.origin == Side::Service && rule.into == *away {
            self.problems.push(format!(
                "{what}: the kind is this export's own; take `identity` away"
            ));
        }
        let objects = self.search(&what, rule, &rule.objects, false);
        let namespaces = match &rule.namespaces {
            Some(search) => Some(self.search(&what, rule, search, true)?),
            None => None,
        };
        let mutations = self.pipeline(&rule.mutations);
        let related = Related {
            mutations,
            id: rule.id.clone(),
            origin: rule.origin,
            kind: rule.kind.clone(),
            into: rule.into.clone(),
            identity: rule.identity.clone(),
            objects: objects?,
            namespaces,
            labels: rule.labels.clone(),
            pass: rule.pass.clone(),
            keys: rule.keys.clone(),
            cleanup: rule.cleanup,
            status: rule.status,
            drift: rule.drift,
        };
        let doubts = match rule.origin {
            Side::Workspace => self.doubts_down(&related),
            Side::Service => self.doubts_up(&related),
        };
        for doubt in doubts {
            let doubt = format!("{what}: {doubt}");
            match rule.unproven {
                Unproven::Refused => self.problems.push(doubt),
                Unproven::Allowed => self.warnings.push(doubt),
            }
        }
        Some(related)
    }

    fn search(
        &mut self,
        what: &str,
        rule: &RelatedRule,
        search: &Objects,
        namespaces: bool,
    ) -> Option<Search> {
        let by = match &search.find {
            definition::Find::Reference { path, rewrite } => {
                let path = match rule.origin {
                    Side::Workspace => self.offered_path(what, path),
                    Side::Service => self.path(what, path),
                };
                let rewriting = match rewrite {
                    Some(rewrite) => Some(self.rewriting(what, rewrite)?),
                    None => None,
                };
                By::Reference(Reference::Own(path?), rewriting)
            }
            definition::Find::GoReference { path, rewrite } => {
                let path = self.go_path(what, path);
                let rewriting = match rewrite {
                    Some(rewrite) => Some(self.rewriting(what, rewrite)?),
                    None => None,
                };
                By::Reference(path?, rewriting)
            }
            definition::Find::Named(text) => By::Named(self.text(what, text, Placeholder::SET)?),
            definition::Find::Labels(selector) => {
                let mut labels = Vec::new();
                for (key, value) in &selector.labels {
                    let key = self.label_text(what, key);
                    let value = self.label_text(what, value);
                    labels.push((key?, value?));
                }
                let demands: Vec<Demand> = selector.expressions.iter().map(demand).collect();
                for demand in demands.iter().filter(|it| !it.is_valid()) {
                    self.problems
                        .push(format!("{what}: {demand:?} is no demand on a label"));
                }
                if labels.is_empty() && demands.is_empty() {
                    self.problems.push(format!(
                        "{what}: a selector that demands nothing selects nothing; name a label"
                    ));
                }
                By::Labels(labels, demands)
            }
        };
        let allowed = match rule.origin {
            Side::Workspace => DOWN,
            Side::Service => UP,
        };
        let called = match &search.called {
            definition::Called::Default if namespaces => Called::Beside,
            definition::Called::Default => {
                let text = self.usual_name(rule, &by);
                Called::Text(Text::Template(self.template(what, &text, allowed)?))
            }
            definition::Called::Text(text) => Called::Text(self.text(what, text, allowed)?),
            definition::Called::Rewritten(rewrite) => {
                Called::Rewritten(self.rewriting(what, rewrite)?)
            }
            definition::Called::Mirrored if matches!(by, By::Labels(..)) => {
                self.problems.push(format!(
                    "{what}: what is selected by labels has no counterpart on the other side; say what the copies are called"
                ));
                return None;
            }
            definition::Called::Mirrored => Called::Mirrored,
        };
        Some(Search { by, called })
    }

    /// A name that cannot meet another one.
    fn usual_name(&self, rule: &RelatedRule, by: &By) -> String {
        let many = match by {
            By::Reference(path, _) => path.is_many(),
            By::Labels(..) => true,
            By::Named(_) => false,
        };
        match rule.origin {
            Side::Service
                if rule.into.scope == Scope::Cluster || rule.namespaces.is_some() || many =>
            {
                let spaces = if rule.namespaces.is_some() {
                    "-{found.namespace.hash}"
                } else {
                    ""
                };
                format!("{{name}}-{}{spaces}-{{found.hash}}", rule.id)
            }
            Side::Service => format!("{{name}}-{}", rule.id),
            Side::Workspace if rule.namespaces.is_some() => {
                "{copy.name}-{found.namespace.hash}-{found.hash}.taken".to_owned()
            }
            Side::Workspace => {
                let exclusive = self.scheme.as_ref().is_some_and(|it| it.is_exclusive());
                let one =
                    orders(&self.definition.offered, &self.definition.only) == Orders::OneNamespace;
                if exclusive && one && rule.into.scope == Scope::Namespaced {
                    format!("{{found}}.{}", rule.id)
                } else {
                    "{copy.name}-{found.hash}.taken".to_owned()
                }
            }
        }
    }

    fn rewriting(&mut self, what: &str, rewrite: &definition::Rewrite) -> Option<Rewriting> {
        match Rewriting::compile(rewrite) {
            Ok(rewriting) => Some(rewriting),
            Err(problem) => {
                self.problems.push(format!("{what}: {problem}"));
                None
            }
        }
    }

    fn text(
        &mut self,
        what: &str,
        text: &definition::Text,
        allowed: &'static [Placeholder],
    ) -> Option<Text> {
        match text {
            definition::Text::With(make) => Some(Text::With(make.clone())),
            definition::Text::Go(text) => self.go_text(what, text),
            definition::Text::Template(text) => {
                self.template(what, text, allowed).map(Text::Template)
            }
        }
    }

    #[cfg(feature = "mutations")]
    fn go_text(&mut self, what: &str, text: &str) -> Option<Text> {
        match Text::go(text) {
            Ok(text) => Some(text),
            Err(fault) => {
                self.problems.push(format!("{what}: {fault}"));
                None
            }
        }
    }

    #[cfg(feature = "mutations")]
    fn go_path(&mut self, what: &str, path: &str) -> Option<Reference> {
        match crate::mutation::GoPath::parse(path) {
            Ok(path) => Some(Reference::Go(path)),
            Err(fault) => {
                self.problems.push(format!("{what}: `{path}`: {fault}"));
                None
            }
        }
    }

    #[cfg(not(feature = "mutations"))]
    fn go_path(&mut self, what: &str, _: &str) -> Option<Reference> {
        self.problems.push(format!(
            "{what}: this program was built without Go's paths; build it with the feature `mutations`"
        ));
        None
    }

    #[cfg(not(feature = "mutations"))]
    fn go_text(&mut self, what: &str, _: &str) -> Option<Text> {
        self.problems.push(format!(
            "{what}: this program was built without Go's templates; build it with the feature `mutations`"
        ));
        None
    }

    /// A label may hold more characters than a name.
    fn label_text(&mut self, what: &str, text: &definition::Text) -> Option<Text> {
        match text {
            definition::Text::With(make) => Some(Text::With(make.clone())),
            definition::Text::Go(text) => self.go_text(what, text),
            definition::Text::Template(text) => match Template::parse(text, Placeholder::SET) {
                Ok(template) => Some(Text::Template(template)),
                Err(mistakes) => {
                    let mistakes = mistakes.iter().map(|it| format!("{what}: `{text}`: {it}"));
                    self.problems.extend(mistakes);
                    None
                }
            },
        }
    }

    /// What could go wrong with a name that is made on the service cluster.
    fn doubts_down(&self, rule: &Related) -> Vec<String> {
        let mut doubts = Vec::new();
        let Some(scheme) = &self.scheme else {
            return doubts;
        };
        let name = match &rule.objects.called {
            Called::Text(Text::Template(name)) => Some(name),
            _ => None,
        };
        let spaces = rule.namespaces.as_ref().map(|it| &it.called);
        let beside =
            rule.into.scope == Scope::Namespaced && matches!(spaces, None | Some(Called::Beside));
        let space = match spaces {
            Some(Called::Text(Text::Template(space))) if rule.into.scope == Scope::Namespaced => {
                Some(space)
            }
            _ => None,
        };
        let told = |direct: &[Placeholder], orders: bool| {
            let has = |it: &Template| direct.iter().any(|placeholder| it.has(*placeholder));
            let by_copy = |it: &Template| {
                orders && it.has(CopyName) && scheme.tells(direct)
                    || orders && it.has(CopyNamespace) && scheme.namespace_tells(direct)
            };
            name.is_some_and(|it| has(it) || by_copy(it))
                || space.is_some_and(|it| has(it) || by_copy(it))
                || (orders && beside && scheme.namespace_tells(direct))
        };
        let hint = "write `{copy.name}-{found.namespace.hash}-{found.hash}.taken`";
        if !told(&[Workspace], true) {
            doubts.push(format!(
                "the copies of two workspaces could get the same name; {hint}"
            ));
        }
        let many =
            orders(&self.definition.offered, &self.definition.only) == Orders::ManyNamespaces;
        let from_many = rule.namespaces.is_some() || (many && rule.kind.scope == Scope::Namespaced);
        if from_many
            && !told(&[FoundNamespace, FoundNamespaceHash], false)
            && (rule.namespaces.is_some() || !told(Placeholder::OF_NAMESPACE, true))
        {
            doubts.push(format!(
                "the copies from two namespaces of a workspace could get the same name; {hint}"
            ));
        }
        let fixed = matches!(&rule.objects.by, By::Named(Text::Template(it)) if it.has_any(Placeholder::OF_NAME))
            && name.is_some_and(|it| it.has(CopyName) || it.has_any(Placeholder::OF_NAME));
        if name.is_some_and(|it| !it.has(Found) && !it.has(FoundHash)) && !fixed {
            doubts.push(format!(
                "the copies of two objects could get the same name; {hint}"
            ));
        }
        if let Some((left, right)) = name.and_then(Template::ambiguity) {
            doubts.push(format!(
                "`{left}` and `{right}` run together in the name of the copies; {hint}"
            ));
        }
        let chosen = match name {
            Some(name) => matches!(name.parts(), [crate::template::Part::Slot(Found)]),
            None => true,
        };
        if chosen && self.definition.reserved.is_empty() {
            doubts.push(
                "a consumer could choose the name of an object that the operator makes; add a suffix, as in `{found}.taken`, or declare the operator's names as `reserved`"
                    .to_owned(),
            );
        }
        doubts
    }

    /// What could go wrong with an object that is read on the service cluster.
    fn doubts_up(&self, rule: &Related) -> Vec<String> {
        let mut doubts = Vec::new();
        let Some(scheme) = &self.scheme else {
            return doubts;
        };
        let tells = |text: &Template| {
            text.has(Workspace)
                || (text.has(CopyName) && scheme.tells(&[Workspace]))
                || (text.has(CopyNamespace) && scheme.is_exclusive())
        };
        let template = |text: &Text, test: &dyn Fn(&Template) -> bool| match text {
            Text::Template(it) => test(it),
            _ => false,
        };
        let exclusive = rule.kind.scope == Scope::Namespaced
            && match &rule.namespaces {
                None => scheme.is_exclusive(),
                Some(search) => matches!(&search.by, By::Named(text) if template(text, &tells)),
            };
        let own = match &rule.objects.by {
            By::Named(text) => template(text, &|it| it.has(CopyName)) && template(text, &tells),
            By::Labels(labels, _) => labels.iter().any(|(_, value)| {
                template(value, &|it| it.has(CopyName)) && template(value, &tells)
            }),
            By::Reference(..) => false,
        };
        if !exclusive && !own {
            doubts.push(
                "it could find an object of another workspace; name it after `{copy.name}`, select by a label that says so, or let the copies live in a namespace per workspace"
                    .to_owned(),
            );
        }
        if let By::Reference(path, _) = &rule.objects.by
            && path.own().is_none_or(|path| self.is_consumers(&path))
        {
            let path = path.as_text();
            doubts.push(format!(
                "a consumer who writes `{path}` could read any object beside the copy; set the field to a constant, or read a field of the status"
            ));
        }
        let name = match &rule.objects.called {
            Called::Text(Text::Template(name)) => Some(name),
            _ => None,
        };
        if name.is_some_and(|it| {
            !it.has_any(Placeholder::OF_NAME) && !it.has(Found) && !it.has(FoundHash)
        }) {
            doubts.push("the name in the workspace is the same for every order".to_owned());
        }
        doubts
    }

    /// Whether a consumer decides what is at a path of the copy.
    fn is_consumers(&self, path: &Path) -> bool {
        if path.is_within(&Path::of(&["status"])) {
            return false;
        }
        let covered = |text: &str| text.parse::<Path>().is_ok_and(|it| path.is_within(&it));
        let set = self.definition.set.iter().any(|it| covered(&it.at));
        let hidden = self
            .definition
            .fields
            .iter()
            .any(|it| matches!(it.rule, Rule::Hidden | Rule::Local) && covered(&it.path));
        !set && !hidden
    }
}

fn demand(expression: &Expression) -> Demand {
    match expression.clone() {
        Expression::In(key, values) => Demand::In(key, values),
        Expression::NotIn(key, values) => Demand::NotIn(key, values),
        Expression::Exists(key) => Demand::Exists(key),
        Expression::DoesNotExist(key) => Demand::DoesNotExist(key),
    }
}

/// Every kind that a rule writes or reads on one side.
pub(in crate::publication) fn kind_on(rule: &Related, side: Side) -> &Kind {
    if rule.origin == side {
        &rule.kind
    } else {
        &rule.into
    }
}
