//! What only this agent knows (`spec.syncagent`), over what the Go agent does.

use super::{FieldProblem, Kinds, Notes};
use crate::api::published_resource::PublishedResource;
use crate::definition::{
    Adoption, Definition, Drift, FieldRule, Policy, Rule, StatusField, StatusRule, StatusSource,
};

/// What is said about Secrets that are published: the field and the sentence.
pub(super) const SECRETS: (&str, &str) = (
    "spec.resource.kind",
    "the copies of Secrets are set right when somebody changes them: what would be kept could only be told by hashes of their data; say `drift: Correct` under spec.syncagent to agree",
);

/// What is said where copies are to be set right and an installation of the Go agent is continued: what somebody set on the
/// copy of a related object stays there whatever is said, for nothing tells whether the Go agent let it stand.
pub(super) fn uncorrected(definition: &Definition) -> Option<FieldProblem> {
    let ids: Vec<_> = definition.related.iter().map(|it| it.id.as_str()).collect();
    if definition.policy.drift != Drift::Correct || ids.is_empty() {
        return None;
    }
    let what = format!(
        "`Correct` sets the copies of `{}` right, and those of related objects not ({}): what somebody changes on these stays until their originals change, as under the Go agent",
        definition.offered.kind,
        ids.join(", ")
    );
    Some(FieldProblem::new("spec.syncagent.drift", what))
}

pub(super) fn policy(resource: &PublishedResource, definition: &mut Definition, notes: &mut Notes) {
    let said = resource.spec.syncagent.clone().unwrap_or_default();
    let mut policy = Policy::compatible();
    let secret = definition.service.group.is_empty() && definition.service.kind == "Secret";
    if secret && said.drift.is_none() {
        // What is kept is told by hashes of fields on the copy, and those of a password could be guessed.
        policy.drift = Drift::Correct;
        notes.warn(SECRETS.0, SECRETS.1);
    }
    policy.drift = said.drift.unwrap_or(policy.drift);
    if policy.drift == Drift::Correct {
        // To be adopted as it is and to be set right do not go together.
        policy.adoption = Adoption::Refuse;
    }
    policy.adoption = said.adoption.unwrap_or(policy.adoption);
    policy.conditions = said.conditions.unwrap_or(policy.conditions);
    policy.events = said.events.unwrap_or(policy.events);
    policy.breaking_changes = said.breaking_changes.unwrap_or(policy.breaking_changes);
    policy.deletion = said.deletion.unwrap_or(policy.deletion);
    policy.leaving = said.leaving.unwrap_or(policy.leaving);
    definition.policy = policy;
    if let Some(fields) = said.status {
        let fields = fields.into_iter().map(|it| StatusField {
            source: StatusSource::At(it.from.unwrap_or_else(|| it.path.clone())),
            path: it.path,
        });
        definition.status = StatusRule::Fields(fields.collect());
    }
}

/// Fields that follow the names of other published objects.
pub(super) fn references(
    resource: &PublishedResource,
    kinds: &dyn Kinds,
    definition: &mut Definition,
    notes: &mut Notes,
) {
    let said = resource.spec.syncagent.iter();
    let references = said.flat_map(|it| it.references.iter().flatten());
    for (at, it) in references.enumerate() {
        let other = it.published_resource.as_str();
        let offered = match other {
            own if own == resource.name() => Some(definition.offered.clone()),
            other => kinds.published(other),
        };
        match offered {
            Some(offered) => definition.fields.push(FieldRule {
                path: it.path.clone(),
                rule: Rule::RefersTo {
                    offered,
                    name_at: None,
                },
            }),
            None => notes.wait(
                format!("spec.syncagent.references[{at}].publishedResource"),
                format!("there is no PublishedResource `{other}`, or it is not published yet"),
            ),
        }
    }
}
