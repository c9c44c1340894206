//! What can be done with objects.
//!
//! A [`Call`] is one request whose resource is known and whose user may do it. The submodules are the verbs; what all
//! writes share (metadata, admission, validation, bookkeeping) is in `finish`.
//!
//! ```text
//! create   decode -> type -> fields -> finish::creation -> store
//! update   decode -> type -> fields -> finish::change(old, new) -> store, or remove when the last finalizer went
//! patch    old -> patched -> as update (server-side apply: its own merge, then as update or creation)
//! delete   preconditions -> finalizers -> store or remove
//! ```
//!
//! A write reads the object, computes what it should become, and stores it only if it is still the one that was read;
//! otherwise it computes again. So admission may read the store, and no lock is held while it does.

mod asked;
mod change;
mod delete;
mod finish;
mod kinds;
mod read;
mod scale;
pub mod watching;

use hyper::body::Bytes;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::api::Served;
use crate::core::Core;
use crate::plane::{Admission, Lens, Place, Reach, User};
use crate::request::{Form, Query, Shape, Target, Verb};
use crate::selector::{Fields, Labels};
use crate::status::Failure;
use crate::store::{Key, Scope};

/// One request that may go ahead.
#[derive(Debug)]
pub struct Call {
    /// The server.
    pub core: Arc<Core>,
    /// Where.
    pub place: Place,
    /// Who.
    pub user: User,
    /// The `User-Agent`.
    pub agent: String,
    /// What.
    pub verb: Verb,
    /// On what.
    pub target: Target,
    /// The resource.
    pub served: Arc<Served>,
    /// What is seen of it.
    pub lens: Lens,
    /// The parameters.
    pub query: Query,
    /// The form of the answer.
    pub form: Form,
    /// The media type of the body, without parameters.
    pub content_type: String,
    /// The body.
    pub body: Bytes,
    /// How far the versions that the client sees are ahead of the store's.
    pub ahead: u64,
    /// Whether a deletion looked before finalizers were there.
    pub overlooks: bool,
}

/// What a request is answered with.
pub enum Answer {
    /// An object, a list or a Status.
    Value {
        /// The HTTP code.
        code: u16,
        /// The body.
        body: Arc<Value>,
        /// The texts of `Warning` headers.
        warnings: Vec<String>,
    },
    /// A watch.
    Watch(Box<watching::Watcher>),
}

impl Answer {
    fn value(code: u16, body: Value) -> Self {
        Self::Value {
            code,
            body: Arc::new(body),
            warnings: Vec::new(),
        }
    }

    fn with_warnings(self, more: Vec<String>) -> Self {
        match self {
            Self::Value {
                code,
                body,
                mut warnings,
            } => {
                warnings.extend(more);
                Self::Value {
                    code,
                    body,
                    warnings,
                }
            }
            other @ Self::Watch(_) => other,
        }
    }
}

impl Call {
    /// Does it.
    ///
    /// # Errors
    /// What the client is told.
    pub fn run(self) -> Result<Answer, Failure> {
        if self.target.subresource == "scale"
            && self.verb != Verb::Create
            && self.verb != Verb::Delete
        {
            return self.scale();
        }
        match self.verb {
            Verb::Get => self.get(),
            Verb::List => self.list(),
            Verb::Watch => self.watch(),
            Verb::Create => self.create(),
            Verb::Update => self.update(),
            Verb::Patch => self.patch(),
            Verb::Delete => self.delete_one(),
            Verb::DeleteCollection => self.delete_collection(),
        }
    }

    fn cluster(&self) -> Arc<str> {
        self.place.name()
    }

    /// The namespace in which the object lies; empty for cluster-scoped kinds.
    fn namespace(&self) -> &str {
        if self.served.resource.namespaced {
            &self.target.namespace
        } else {
            ""
        }
    }

    fn key(&self, name: &str) -> Key {
        Key {
            bucket: self.served.bucket.clone(),
            cluster: self.cluster(),
            namespace: self.namespace().to_owned(),
            name: name.to_owned(),
        }
    }

    fn scope(&self) -> Scope {
        let namespace = if self.served.resource.namespaced {
            Some(self.target.namespace.clone()).filter(|namespace| !namespace.is_empty())
        } else {
            Some(String::new())
        };
        match &self.place.reach {
            Reach::One(cluster) => Scope {
                bucket: self.served.bucket.clone(),
                cluster: Some(cluster.clone()),
                namespace,
            },
            Reach::All => Scope {
                bucket: self.served.bucket.clone(),
                cluster: None,
                namespace: None,
            },
        }
    }

    fn not_found(&self, name: &str) -> Failure {
        Failure::not_found(
            &self.served.resource.group,
            &self.served.resource.plural,
            name,
        )
    }

    fn modified(&self, name: &str) -> Failure {
        Failure::modified(
            &self.served.resource.group,
            &self.served.resource.plural,
            name,
        )
    }

    /// The selectors of a list.
    fn selectors(&self) -> Result<(Labels, Fields), Failure> {
        let labels = Labels::parse(self.query.text("labelSelector"))?;
        let fields = Fields::parse(self.query.text("fieldSelector"))?;
        let resource = &self.served.resource;
        fields.check(
            &resource.selectable,
            resource.namespaced,
            self.served.built_in(),
        )?;
        Ok((labels.and(&self.lens.labels), fields))
    }

    /// A write as admission sees it.
    fn admission<'a>(&'a self, verb: Verb, dry_run: bool, old: Option<&'a Value>) -> Admission<'a> {
        Admission {
            user: &self.user,
            place: &self.place,
            served: &self.served,
            target: &self.target,
            verb,
            dry_run,
            old,
        }
    }

    fn admit(
        &self,
        verb: Verb,
        dry_run: bool,
        old: Option<&Value>,
        new: Option<&mut Value>,
    ) -> Result<(), Failure> {
        let admission = self.admission(verb, dry_run, old);
        self.core.plane.admit(&self.core, &admission, new)
    }

    /// What the plane says about a write that is valid otherwise.
    fn check_write(
        &self,
        verb: Verb,
        dry_run: bool,
        old: Option<&Value>,
        new: &Value,
    ) -> Result<(), Failure> {
        let admission = self.admission(verb, dry_run, old);
        self.core.plane.check(&self.core, &admission, new)
    }

    /// An object of this request's version as it is answered.
    fn shown(&self, object: Arc<Value>) -> Result<Arc<Value>, Failure> {
        if !self.core.plane.presents() {
            return Ok(object);
        }
        let mut copy = Arc::unwrap_or_clone(object);
        self.core.plane.present(&self.cluster(), &mut copy);
        Ok(Arc::new(copy))
    }

    /// A stored object as this request sees it.
    fn presented(&self, cluster: &str, stored: &Arc<Value>) -> Result<Arc<Value>, Failure> {
        let object = present(&self.core, &self.served, cluster, stored)?;
        if self.place.reach == Reach::All && self.core.plane.presents() {
            let mut copy = Arc::unwrap_or_clone(object);
            let metadata = matches!(self.form.shape, Shape::Metadata | Shape::MetadataList);
            self.core
                .plane
                .present_in_wildcard(&self.place, &self.served, metadata, &mut copy);
            return Ok(Arc::new(copy));
        }
        Ok(object)
    }

    /// Whether the lens shows an object.
    fn visible(&self, object: &Value) -> bool {
        self.lens.labels.matches(object)
    }

    /// An answer that is one object.
    fn object_answer(&self, code: u16, object: &Arc<Value>) -> Result<Answer, Failure> {
        let body = match self.form.shape {
            Shape::Whole => object.clone(),
            Shape::Metadata => Arc::new(metadata_only(object, self.form)),
            Shape::Table => Arc::new(self.printer()?.object(object)),
            Shape::MetadataList => {
                return Err(Failure::not_acceptable(crate::request::ACCEPTED));
            }
        };
        Ok(Answer::Value {
            code,
            body,
            warnings: Vec::new(),
        })
    }
}

/// A stored object as it is served.
pub(crate) fn present(
    core: &Core,
    served: &Served,
    cluster: &str,
    stored: &Arc<Value>,
) -> Result<Arc<Value>, Failure> {
    let mut object = served.to_served(stored)?;
    if core.plane.presents() {
        let mut copy = Arc::unwrap_or_clone(object);
        core.plane.present(cluster, &mut copy);
        object = Arc::new(copy);
    }
    Ok(object)
}

/// `PartialObjectMetadata` of an object.
#[must_use]
pub fn metadata_only(object: &Value, form: Form) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": form.meta_version(), "metadata": object["metadata"],
    })
}
