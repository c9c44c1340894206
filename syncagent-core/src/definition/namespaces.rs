//! The namespaces that are made for copies.

/// What a namespace of the service cluster carries when the agent makes it. One that exists already is not touched.
///
/// Values may hold `{workspace}` where the namespace belongs to one workspace alone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceRule {
    /// Labels, as key and value.
    pub labels: Vec<(String, String)>,
    /// Annotations, as key and value.
    pub annotations: Vec<(String, String)>,
}
