//! Which objects of a workspace are offered the service.

/// Which objects of a workspace take part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Only {
    /// Namespaces of the workspace; empty means all.
    pub namespaces: Vec<String>,
    /// Labels that the object must carry, as key and value.
    pub labels: Vec<(String, String)>,
}
