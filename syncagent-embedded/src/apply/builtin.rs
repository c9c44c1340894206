//! The shapes of built-in kinds, as far as this server knows them.
//!
//! They are written in a small language, since their Go structs are not at hand: `s` text, `n` number, `b` boolean,
//! `u` any scalar, `?` open, `{name:shape ...}` an object (`*:shape` for undeclared members), `!{...}` an object that is
//! one value, `[shape]` a list that is one value, `<shape>` a set, `(key,key=default|shape)` a keyed list, `@` the
//! metadata of objects. A built-in kind that is missing here is open below `metadata`.
//!
//! The second half of an entry is what an *empty* object of the kind carries: Go structs that are not pointers are
//! always there, so no creator owns them (`f:spec` without `"."`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use super::shape::{ListKind, ListShape, MapShape, Scalar, Shape};

const METADATA: &str = "{annotations:{*:s} creationTimestamp:s deletionGracePeriodSeconds:n deletionTimestamp:s \
    finalizers:<s> generateName:s generation:n labels:{*:s} managedFields:[?] name:s namespace:s \
    ownerReferences:(uid|!{apiVersion:s blockOwnerDeletion:b controller:b kind:s name:s uid:s}) resourceVersion:s \
    selfLink:s uid:s}";

const CONDITIONS: &str =
    "(type|{lastTransitionTime:s message:s observedGeneration:n reason:s status:s type:s})";

/// Group, kind, shape below `metadata`, and what an empty object has.
const KINDS: &[(&str, &str, &str, &str)] = &[
    (
        "",
        "ConfigMap",
        "binaryData:{*:s} data:{*:s} immutable:b",
        "",
    ),
    (
        "",
        "Secret",
        "data:{*:s} immutable:b stringData:{*:s} type:s",
        "",
    ),
    (
        "",
        "Namespace",
        "spec:{finalizers:[s]} status:{phase:s conditions:CONDITIONS}",
        "spec status",
    ),
    (
        "",
        "Service",
        "spec:{allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s] externalName:s \
         externalTrafficPolicy:s healthCheckNodePort:n internalTrafficPolicy:s ipFamilies:[s] ipFamilyPolicy:s \
         loadBalancerClass:s loadBalancerIP:s loadBalancerSourceRanges:[s] \
         ports:(port,protocol=TCP|{appProtocol:s name:s nodePort:n port:n protocol:s targetPort:u}) \
         publishNotReadyAddresses:b selector:!{*:s} sessionAffinity:s \
         sessionAffinityConfig:{clientIP:{timeoutSeconds:n}} trafficDistribution:s type:s} \
         status:{conditions:CONDITIONS loadBalancer:{ingress:[?]}}",
        "spec status status.loadBalancer",
    ),
    (
        "",
        "ServiceAccount",
        "automountServiceAccountToken:b imagePullSecrets:[!{name:s}] secrets:(name|!{apiVersion:s fieldPath:s kind:s \
         name:s namespace:s resourceVersion:s uid:s})",
        "",
    ),
    (
        "",
        "Event",
        "action:s count:n eventTime:s firstTimestamp:s involvedObject:!{*:?} lastTimestamp:s message:s reason:s \
         related:!{*:?} reportingComponent:s reportingInstance:s series:{count:n lastObservedTime:s} \
         source:{component:s host:s} type:s",
        "source",
    ),
    (
        "events.k8s.io",
        "Event",
        "action:s deprecatedCount:n deprecatedFirstTimestamp:s deprecatedLastTimestamp:s \
         deprecatedSource:{component:s host:s} eventTime:s note:s reason:s regarding:!{*:?} related:!{*:?} \
         reportingController:s reportingInstance:s series:{count:n lastObservedTime:s} type:s",
        "deprecatedSource",
    ),
    (
        "coordination.k8s.io",
        "Lease",
        "spec:{acquireTime:s holderIdentity:s leaseDurationSeconds:n leaseTransitions:n preferredHolder:s renewTime:s \
         strategy:s}",
        "spec",
    ),
    ("rbac.authorization.k8s.io", "Role", "rules:[?]", ""),
    (
        "rbac.authorization.k8s.io",
        "ClusterRole",
        "aggregationRule:{clusterRoleSelectors:[?]} rules:[?]",
        "",
    ),
    (
        "rbac.authorization.k8s.io",
        "RoleBinding",
        "roleRef:!{apiGroup:s kind:s name:s} subjects:[?]",
        "",
    ),
    (
        "rbac.authorization.k8s.io",
        "ClusterRoleBinding",
        "roleRef:!{apiGroup:s kind:s name:s} subjects:[?]",
        "",
    ),
    (
        "apiextensions.k8s.io",
        "CustomResourceDefinition",
        "spec:{conversion:{strategy:s webhook:?} group:s names:{categories:[s] kind:s listKind:s plural:s shortNames:[s] \
         singular:s} preserveUnknownFields:b scope:s versions:[?]} \
         status:{acceptedNames:{categories:[s] kind:s listKind:s plural:s shortNames:[s] singular:s} \
         conditions:CONDITIONS observedGeneration:n storedVersions:[s]}",
        "spec spec.names status status.acceptedNames",
    ),
];

struct Kind {
    group: &'static str,
    kind: &'static str,
    shape: Shape,
    empty: Value,
}

struct Table {
    metadata: Shape,
    kinds: Vec<Kind>,
    unknown: Shape,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let metadata = read(METADATA, None);
    let object = |below: &str| {
        let below = below.replace("CONDITIONS", CONDITIONS);
        read(
            &format!("{{apiVersion:s kind:s metadata:@ {below}}}"),
            Some(&metadata),
        )
    };
    let kinds = KINDS.iter().map(|(group, kind, below, empty)| Kind {
        group,
        kind,
        shape: object(below),
        empty: empty_object(empty),
    });
    Table {
        kinds: kinds.collect(),
        unknown: object("*:?"),
        metadata: metadata.clone(),
    }
});

/// The shape of `metadata`.
pub(super) fn metadata() -> &'static Shape {
    &TABLE.metadata
}

fn find(group: &str, kind: &str) -> Option<&'static Kind> {
    let mut kinds = TABLE.kinds.iter();
    kinds.find(|known| known.group == group && known.kind == kind)
}

/// The shape of a built-in kind.
pub(super) fn shape(group: &str, kind: &str) -> &'static Shape {
    find(group, kind).map_or(&TABLE.unknown, |known| &known.shape)
}

/// What an empty object of a built-in kind carries beside its type.
pub(super) fn empty(group: &str, kind: &str) -> Value {
    find(group, kind).map_or_else(|| json!({}), |known| known.empty.clone())
}

fn empty_object(paths: &str) -> Value {
    let mut out = json!({});
    for path in paths.split_whitespace() {
        let mut at = &mut out;
        for name in path.split('.') {
            at = &mut at[name];
            if at.is_null() {
                *at = json!({});
            }
        }
    }
    out
}

fn read(text: &str, metadata: Option<&Shape>) -> Shape {
    let mut reader = Reader {
        rest: text,
        metadata,
    };
    reader.shape()
}

/// Reads the language above. The texts are constants of this file, and a test reads them all: a mistake panics there.
struct Reader<'a> {
    rest: &'a str,
    metadata: Option<&'a Shape>,
}

impl Reader<'_> {
    fn next(&mut self) -> char {
        self.rest = self.rest.trim_start();
        let c = self.rest.chars().next().unwrap_or(' ');
        self.rest = &self.rest[c.len_utf8().min(self.rest.len())..];
        c
    }

    fn peek(&mut self) -> char {
        self.rest = self.rest.trim_start();
        self.rest.chars().next().unwrap_or(' ')
    }

    fn word(&mut self) -> String {
        self.rest = self.rest.trim_start();
        let end = self
            .rest
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '*')
            .unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        word.to_owned()
    }

    fn shape(&mut self) -> Shape {
        match self.next() {
            's' => Shape::Scalar(Scalar::String),
            'n' => Shape::Scalar(Scalar::Numeric),
            'b' => Shape::Scalar(Scalar::Boolean),
            'u' => Shape::Scalar(Scalar::Any),
            '?' => Shape::Open,
            '@' => self.metadata.cloned().unwrap_or(Shape::Open),
            '{' => self.object(false),
            '!' => {
                self.next();
                self.object(true)
            }
            '[' => self.list(ListKind::Atomic),
            '<' => self.list(ListKind::Set),
            '(' => {
                let mut keys = Vec::new();
                while self.peek() != '|' {
                    let key = self.word();
                    let mut default = None;
                    if self.peek() == '=' {
                        self.next();
                        default = Some(Value::String(self.word()));
                    }
                    keys.push((key, default));
                    if self.peek() == ',' {
                        self.next();
                    }
                }
                self.next();
                self.list(ListKind::Keyed(keys))
            }
            other => panic!("no shape starts with {other:?} before {:?}", self.rest),
        }
    }

    fn list(&mut self, kind: ListKind) -> Shape {
        let item = self.shape();
        self.next();
        Shape::List(Box::new(ListShape { kind, item }))
    }

    fn object(&mut self, atomic: bool) -> Shape {
        let mut fields = BTreeMap::new();
        let mut rest = None;
        while self.peek() != '}' {
            let name = self.word();
            self.next();
            let shape = self.shape();
            if name == "*" {
                rest = Some(shape);
            } else {
                fields.insert(name, shape);
            }
        }
        self.next();
        Shape::Map(Box::new(MapShape {
            atomic,
            fields,
            rest,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_the_table_reads() {
        let Shape::Map(service) = shape("", "Service") else {
            panic!("no object");
        };
        let Shape::Map(spec) = &service.fields["spec"] else {
            panic!("no object");
        };
        let Shape::List(ports) = &spec.fields["ports"] else {
            panic!("no list");
        };
        assert_eq!(
            ports.kind,
            ListKind::Keyed(vec![
                ("port".into(), None),
                ("protocol".into(), Some(json!("TCP")))
            ])
        );
        assert!(spec.fields.contains_key("type"));
        for (group, kind, ..) in KINDS {
            assert!(matches!(shape(group, kind), Shape::Map(_)), "{kind}");
        }
        assert_eq!(
            empty("", "Service"),
            json!({"spec": {}, "status": {"loadBalancer": {}}})
        );
    }
}
