//! What happened, for people.
//!
//! A [`Notice`] is a typed happening: the story prints them, a provider counts or logs them. They are for the provider's
//! eyes and may name objects of the service cluster; what a consumer sees is in the status of their order.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::error::Trouble;

/// An order, as its consumer knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// The offered kind.
    pub kind: String,
    /// The logical cluster of the consumer.
    pub cluster: String,
    /// The namespace there; empty for a cluster-scoped kind.
    pub namespace: String,
    /// The name there.
    pub name: String,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)?;
        if !self.namespace.is_empty() {
            write!(f, " in {}", self.namespace)?;
        }
        write!(f, " of {}", self.cluster)
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// The export does not exist yet; the agent waits for the provider to create it.
    ExportAwaited {
        /// Its name.
        export: String,
    },
    /// A schema was published in the provider's workspace.
    SchemaPublished {
        /// The name of the `APIResourceSchema`.
        name: String,
    },
    /// The export offers what is published.
    ExportFilled {
        /// Its name.
        export: String,
        /// The offered resources, as `plural.group`.
        resources: Vec<String>,
    },
    /// An endpoint of the export appeared: there are consumers.
    EndpointFound {
        /// Its URL.
        url: String,
    },
    /// An endpoint of the export is no longer listed. Nothing is deleted for that.
    EndpointLost {
        /// Its URL.
        url: String,
    },
    /// A server shows an older state than it had: it was restored from a backup, and everything is compared again.
    Restored {
        /// Which server.
        server: String,
    },
    /// Our finalizer is on an order, or on an object that it takes.
    Held {
        /// The order.
        order: Order,
    },
    /// An object was created on the service cluster.
    Placed {
        /// The order.
        order: Order,
        /// Kind, namespace and name of the object there.
        object: String,
    },
    /// An object on the service cluster was brought up to date.
    Refreshed {
        /// The order.
        order: Order,
        /// Kind, namespace and name of the object there.
        object: String,
    },
    /// The status of an order was written.
    Reflected {
        /// The order.
        order: Order,
    },
    /// An object came up into the workspace.
    Returned {
        /// The order.
        order: Order,
        /// Kind and name of the object there.
        object: String,
    },
    /// An object of a consumer was let go that was held for no order.
    Swept {
        /// Which.
        object: String,
    },
    /// An object on the service cluster stays although its order is gone: the policy of the publication says so.
    Kept {
        /// The order.
        order: Order,
        /// Kind, namespace and name of the object.
        object: String,
    },
    /// An object was deleted because its order goes away.
    Retired {
        /// The order.
        order: Order,
        /// Kind, namespace and name of the object.
        object: String,
    },
    /// Our finalizer left: the order may go.
    Released {
        /// The order.
        order: Order,
    },
    /// The Go agent will remember what was brought over for an order.
    HandedBack {
        /// The order.
        order: Order,
        /// The state Secret, with its namespace.
        secret: String,
        /// Whether it had to be written.
        wrote: bool,
    },
    /// What the Go agent remembers of an order stays as it is: something has to be done for the order first, or it could not
    /// be written.
    NotHandedBack {
        /// The order.
        order: Order,
        /// What would be done, a line for each thing, or what went wrong.
        why: String,
    },
    /// What would be done to the export, by an agent that only says so.
    ExportPlanned {
        /// Its name.
        export: String,
        /// The `APIResourceSchema` objects that it would name; `None`: it would stay as it is.
        schemas: Option<Vec<String>>,
    },
    /// That the agent's name would be put on a schema that is there, by an agent that only says so.
    SchemaMarkPlanned {
        /// The name of the `APIResourceSchema`.
        name: String,
    },
    /// What would be said on a `PublishedResource`, by an agent that only says so.
    StatusPlanned {
        /// Its name.
        resource: String,
        /// The schema that it would name.
        schema: String,
    },
    /// What would be done for an order, by an agent that only says so.
    Planned {
        /// The order.
        order: Order,
        /// One line for each thing, as `would place ... because ...`.
        plan: String,
    },
    /// An object that stood in the copy's place became the copy.
    Adopted {
        /// The order.
        order: Order,
        /// Kind, namespace and name of the object.
        object: String,
    },
    /// A copy is not what was ordered: somebody changed it, and it is left so.
    Drifted {
        /// The order.
        order: Order,
        /// Which field, and who, for the provider.
        why: String,
    },
    /// An order cannot be fulfilled as it is.
    Refused {
        /// The order.
        order: Order,
        /// Why, for the provider.
        why: String,
    },
    /// An order waits for something.
    Waiting {
        /// The order.
        order: Order,
        /// What for.
        why: String,
    },
    /// More was about to be deleted on the service cluster than the limit allows: nothing is deleted there until a person
    /// says so, while everything else goes on.
    Paused {
        /// How many deletions a minute are let through.
        limit: usize,
        /// What a person types in the provider's workspace.
        remedy: String,
    },
    /// A person has said so: what waited is deleted.
    Resumed,
    /// Something does not work and is tried again.
    Problem {
        /// The order, when it concerns one.
        order: Option<Order>,
        /// What.
        what: String,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ExportAwaited { export } => write!(f, "waits for the export {export}"),
            Self::SchemaPublished { name } => write!(f, "published the schema {name}"),
            Self::ExportFilled { export, resources } => {
                write!(f, "the export {export} offers {}", resources.join(", "))
            }
            Self::EndpointFound { url } => write!(f, "found the endpoint {url}"),
            Self::EndpointLost { url } => write!(f, "lost the endpoint {url}"),
            Self::Restored { server } => {
                write!(
                    f,
                    "{server} has an older state than it had; compares everything"
                )
            }
            Self::Held { order } => write!(f, "holds {order}"),
            Self::Placed { order, object } => write!(f, "placed {object} for {order}"),
            Self::Refreshed { order, object } => write!(f, "refreshed {object} for {order}"),
            Self::Reflected { order } => write!(f, "reflected the status of {order}"),
            Self::Returned { order, object } => write!(f, "returned {object} for {order}"),
            Self::Retired { order, object } => write!(f, "retired {object} of {order}"),
            Self::Swept { object } => write!(f, "let go of {object}, which no order needs"),
            Self::Kept { order, object } => write!(f, "kept {object}, whose order {order} is gone"),
            Self::Released { order } => write!(f, "released {order}"),
            Self::ExportPlanned {
                export,
                schemas: None,
            } => write!(f, "would leave the export {export} as it is"),
            Self::ExportPlanned {
                export,
                schemas: Some(schemas),
            } => write!(
                f,
                "would fill the export {export} with {}",
                schemas.join(", ")
            ),
            Self::SchemaMarkPlanned { name } => {
                write!(f, "would put the agent's name on the schema {name}")
            }
            Self::StatusPlanned { resource, schema } => write!(
                f,
                "would name the schema {schema} in the status of the PublishedResource {resource}"
            ),
            Self::Planned { order, plan } => write!(f, "{order}: {plan}"),
            Self::HandedBack {
                order,
                secret,
                wrote,
            } => match wrote {
                true => write!(f, "wrote {secret} for {order}"),
                false => write!(f, "{secret} is up to date for {order}"),
            },
            Self::NotHandedBack { order, why } => {
                write!(f, "left the state of {order} as it is: {why}")
            }
            Self::Adopted { order, object } => write!(f, "adopted {object} for {order}"),
            Self::Drifted { order, why } => write!(f, "{order} has drifted: {why}"),
            Self::Refused { order, why } => write!(f, "refused {order}: {why}"),
            Self::Waiting { order, why } => write!(f, "{order} waits: {why}"),
            Self::Paused { limit, remedy } => write!(
                f,
                "paused all deletions on the service cluster, for there were more than {limit} in a minute; if that is right, say so in the provider's workspace: {remedy}"
            ),
            Self::Resumed => f.write_str("deletions on the service cluster go on"),
            Self::Problem {
                order: Some(order),
                what,
            } => write!(f, "{order}: {what}"),
            Self::Problem { order: None, what } => f.write_str(what),
        }
    }
}

/// Somebody who wants to know.
pub(crate) type Listener = Arc<dyn Fn(&Notice) + Send + Sync>;

/// After how long without a trouble of a server the next one is told again.
const WELL: Duration = Duration::from_secs(60);

/// Where notices go.
#[derive(Clone)]
pub(crate) struct Announcer {
    listener: Listener,
    /// When each server was in trouble last.
    troubles: Arc<Mutex<BTreeMap<String, Instant>>>,
}

impl Announcer {
    pub(crate) fn new(listeners: Vec<Listener>) -> Self {
        Self {
            listener: Arc::new(move |notice| {
                for listener in &listeners {
                    listener(notice);
                }
            }),
            troubles: Arc::default(),
        }
    }

    /// Tells of a server that is in trouble, once until it has been well for a while, whoever notices; says whether the
    /// trouble is one of the whole server, so that there is nothing else to tell.
    pub(crate) fn heard(&self, trouble: &Trouble) -> bool {
        if !trouble.own {
            return false;
        }
        let now = Instant::now();
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let last = troubles.insert(trouble.server.clone(), now);
        drop(troubles);
        if last.is_none_or(|last| now - last > WELL) {
            self.tell(&Notice::Problem {
                order: None,
                what: trouble.what.clone(),
            });
        }
        true
    }

    /// Tells of something that went wrong for nobody in particular.
    pub(crate) fn trouble(&self, trouble: &Trouble) {
        if !self.heard(trouble) {
            self.tell(&Notice::Problem {
                order: None,
                what: trouble.what.clone(),
            });
        }
    }

    /// Logs a notice and tells everybody who asked.
    pub(crate) fn tell(&self, notice: &Notice) {
        match notice {
            Notice::Problem { .. }
            | Notice::Refused { .. }
            | Notice::Drifted { .. }
            | Notice::Paused { .. } => {
                tracing::warn!("{notice}");
            }
            _ => tracing::info!("{notice}"),
        }
        (self.listener)(notice);
    }
}

impl fmt::Debug for Announcer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Announcer")
    }
}
