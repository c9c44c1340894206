//! What only this agent knows. Every field is absent by default, and absent means: as the Go agent does it.
//!
//! The names are ours. The Go agent's later releases have a cleanup policy for the copies of related objects whose original
//! disappears; what it is called there is not known here, so ours stands beside `cleanup`, which stays a bool, under
//! [`RelatedSyncagent::origin_gone`].

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::definition::{Adoption, BreakingChanges, Deletion, Drift, Events, Leaving};

/// What only this agent knows about a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SyncagentSpec {
    /// What happens when somebody changes a copy: it is set right (Correct), it stays until the user changes that very
    /// field (Keep, what the Go agent does), or it stays and is reported (Report).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// What happens when an object stands in the place of a copy: it is left alone (Refuse), becomes the copy as it is
    /// (LabelOnly, what the Go agent does), or becomes the copy and gets its content (TakeOver).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adoption: Option<Adoption>,
    /// Whether objects in workspaces show a condition Synced. The published schema then has room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<bool>,
    /// Which events users see in their workspace: none (Off), Warnings, or All, as with the Go agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Events>,
    /// What happens when a changed schema would break objects that exist: it is held back (Refuse), published and reported
    /// (Warn), or published (Allow).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaking_changes: Option<BreakingChanges>,
    /// What becomes of the dependents of a copy that is deleted: Background, Foreground or Orphan. An annotation of the
    /// object in the workspace counts more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
    /// What becomes of the copy of an object that leaves the filter: Keep, or Retire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Leaving>,
    /// Fields that name a published object, and follow what its copy is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub references: Option<Vec<Reference>>,
    /// The only parts of the status that reach the workspace. Absent: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<StatusProjection>>,
}

/// A field that names a published object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// Where the name is, as in `spec.cluster.name` or `spec.items[].ref`.
    pub path: String,
    /// The name of the PublishedResource that offers the named kind.
    pub published_resource: String,
}

/// A part of the status that reaches the workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusProjection {
    /// Where it is in the workspace, as in `status.phase`.
    pub path: String,
    /// Where it is on the copy, where that differs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

/// What only this agent knows about related objects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RelatedSyncagent {
    /// What becomes of a copy whose original disappears while the published object stays: it stays (Keep, the default), or
    /// it is deleted (Delete).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin_gone: Option<OriginGone>,
    /// Whether a copy is deleted and made anew when the server says that a field of it cannot be changed, as the type of a
    /// Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recreate: Option<bool>,
}

/// What becomes of a copy whose original disappears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum OriginGone {
    /// It stays.
    #[default]
    Keep,
    /// It is deleted.
    Delete,
}
