//! In which form an answer is wanted: whole objects, their metadata, a table; JSON or YAML.

use crate::status::Failure;

/// What an answer consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The object itself.
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
    /// `PartialObjectMetadataList`; only a list has this shape.
    MetadataList,
    /// A `Table`.
    Table,
}

/// How an answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form {
    /// What it consists of.
    pub shape: Shape,
    /// YAML instead of JSON.
    pub yaml: bool,
    /// The version of `meta.k8s.io` that Tables and metadata are in.
    pub version: &'static str,
}

impl Form {
    /// The `apiVersion` of tables and partial objects.
    #[must_use]
    pub fn meta_version(self) -> &'static str {
        if self.version == "v1beta1" {
            "meta.k8s.io/v1beta1"
        } else {
            "meta.k8s.io/v1"
        }
    }

    /// JSON of the whole object.
    pub const JSON: Self = Self {
        shape: Shape::Whole,
        yaml: false,
        version: "v1",
    };
}

/// The media types that resources are served in.
pub const ACCEPTED: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// Finds the first entry of an `Accept` header that can be served.
///
/// # Errors
/// 406 when there is none.
pub fn negotiate(accept: Option<&str>, whole_only: bool) -> Result<Form, Failure> {
    let accept = accept
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .unwrap_or("*/*");
    for entry in accept.split(',') {
        let mut parts = entry.split(';').map(str::trim);
        let yaml = match parts.next().unwrap_or_default() {
            "application/json" | "*/*" | "application/*" => false,
            "application/yaml" => true,
            _ => continue,
        };
        let (mut kind, mut group, mut version) = ("", "", "");
        for part in parts {
            match part.split_once('=') {
                Some(("as", value)) => kind = value,
                Some(("g", value)) => group = value,
                Some(("v", value)) => version = value,
                _ => {}
            }
        }
        let shape = match (kind, group, version) {
            ("", _, _) => Shape::Whole,
            _ if whole_only => continue,
            ("Table", "meta.k8s.io", "v1" | "v1beta1") => Shape::Table,
            ("PartialObjectMetadata", "meta.k8s.io", "v1" | "v1beta1") => Shape::Metadata,
            ("PartialObjectMetadataList", "meta.k8s.io", "v1" | "v1beta1") => Shape::MetadataList,
            _ => continue,
        };
        let version = if version == "v1beta1" {
            "v1beta1"
        } else {
            "v1"
        };
        return Ok(Form {
            shape,
            yaml,
            version,
        });
    }
    Err(Failure::not_acceptable(ACCEPTED))
}
