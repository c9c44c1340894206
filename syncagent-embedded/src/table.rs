//! Tables: what `kubectl get` prints, computed by the server.
//!
//! A [`Printer`] turns objects of one resource into `meta.k8s.io` Tables. Custom kinds print their declared columns (or
//! their age, where none is declared), built-in kinds what kubectl's users know by heart. Ages are relative to the
//! server's clock, which comes in as a value.
//!
//! On a watch every event is a Table of one row, and only the first carries the heads of the columns.

mod builtin;
mod jsonpath;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::api::{Column, Provenance, Resource};
use crate::status::{Failure, quoted};

pub use jsonpath::find;

const NAME: &str = "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";
const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What a row says about its object (`includeObject`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    #[default]
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the query parameter.
    ///
    /// # Errors
    ///
    /// 400 for a word that is not known.
    pub fn parse(word: Option<&str>) -> Result<Self, Failure> {
        match word.unwrap_or_default() {
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            "None" => Ok(Self::None),
            other => Err(Failure::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
                quoted(other)
            ))),
        }
    }
}

/// Prints objects of one resource.
#[derive(Clone, Debug)]
pub struct Printer<'a> {
    resource: &'a Resource,
    now: Timestamp,
    version: String,
    include: Include,
    names_only: bool,
}

impl<'a> Printer<'a> {
    /// A printer of `meta.k8s.io/v1` Tables with metadata.
    #[must_use]
    pub fn new(resource: &'a Resource, now: Timestamp) -> Self {
        Self {
            resource,
            now,
            version: "v1".to_owned(),
            include: Include::Metadata,
            names_only: false,
        }
    }

    /// The version of `meta.k8s.io` that was asked for: `v1` or `v1beta1`.
    #[must_use]
    pub fn with_version(mut self, version: &str) -> Self {
        version.clone_into(&mut self.version);
        self
    }

    /// What a row says about its object.
    #[must_use]
    pub fn with_include(mut self, include: Include) -> Self {
        self.include = include;
        self
    }

    /// Prints nothing but names, as kcp's virtual workspaces do.
    #[must_use]
    pub fn names_only(mut self) -> Self {
        self.names_only = true;
        self
    }

    /// A Table of a list; `metadata` is the list's.
    #[must_use]
    pub fn list<'o>(&self, metadata: &Value, items: impl IntoIterator<Item = &'o Value>) -> Value {
        let mut kept = Map::new();
        for key in ["resourceVersion", "continue", "remainingItemCount"] {
            match metadata.get(key) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) if text.is_empty() => {}
                Some(value) => {
                    kept.insert(key.into(), value.clone());
                }
            }
        }
        let rows = items.into_iter().map(|object| self.row(object)).collect();
        self.table(Value::Object(kept), self.heads(), rows)
    }

    /// A Table of one object.
    #[must_use]
    pub fn object(&self, object: &Value) -> Value {
        self.table(
            version_of(object),
            self.heads(),
            Value::Array(vec![self.row(object)]),
        )
    }

    /// A Table of one event of a watch; the heads come with the first.
    #[must_use]
    pub fn event(&self, object: &Value, first: bool) -> Value {
        let heads = if first { self.heads() } else { Value::Null };
        self.table(
            version_of(object),
            heads,
            Value::Array(vec![self.row(object)]),
        )
    }

    /// The Table of a bookmark: it has no row's cells but the object, from which clients take the version.
    #[must_use]
    pub fn bookmark(&self, object: &Value, first: bool) -> Value {
        let heads = if first { self.heads() } else { Value::Null };
        let row = json!({"cells": [], "object": self.shown(object)});
        self.table(version_of(object), heads, Value::Array(vec![row]))
    }

    fn table(&self, metadata: Value, heads: Value, rows: Value) -> Value {
        Value::Object(Map::from_iter([
            ("kind".to_owned(), json!("Table")),
            (
                "apiVersion".to_owned(),
                json!(format!("meta.k8s.io/{}", self.version)),
            ),
            ("metadata".to_owned(), metadata),
            ("columnDefinitions".to_owned(), heads),
            ("rows".to_owned(), rows),
        ]))
    }

    fn heads(&self) -> Value {
        if self.names_only {
            return Value::Array(vec![name_head()]);
        }
        if self.resource.provenance == Provenance::BuiltIn {
            return builtin::heads(&self.resource.group, &self.resource.plural);
        }
        let mut heads = vec![name_head()];
        if self.resource.columns.is_empty() {
            heads.push(head("Age", "date", "", CREATED, 0));
        }
        heads.extend(self.resource.columns.iter().map(custom_head));
        Value::Array(heads)
    }

    fn row(&self, object: &Value) -> Value {
        let name = object
            .pointer("/metadata/name")
            .cloned()
            .unwrap_or_else(|| json!(""));
        let cells = if self.names_only {
            vec![name]
        } else if self.resource.provenance == Provenance::BuiltIn {
            builtin::cells(
                &self.resource.group,
                &self.resource.plural,
                object,
                self.now,
            )
        } else {
            let mut cells = vec![name];
            if self.resource.columns.is_empty() {
                cells.push(json!(age(
                    object.pointer("/metadata/creationTimestamp"),
                    self.now
                )));
            }
            cells.extend(
                self.resource
                    .columns
                    .iter()
                    .map(|column| custom_cell(column, object, self.now)),
            );
            cells
        };
        json!({"cells": cells, "object": self.shown(object)})
    }

    fn shown(&self, object: &Value) -> Value {
        match self.include {
            Include::None => Value::Null,
            Include::Object => object.clone(),
            Include::Metadata => json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": format!("meta.k8s.io/{}", self.version),
                "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
            }),
        }
    }
}

fn version_of(object: &Value) -> Value {
    match object.pointer("/metadata/resourceVersion") {
        Some(version) => json!({"resourceVersion": version}),
        None => json!({}),
    }
}

fn head(name: &str, kind: &str, format: &str, description: &str, priority: i64) -> Value {
    json!({"name": name, "type": kind, "format": format, "description": description, "priority": priority})
}

fn name_head() -> Value {
    head("Name", "string", "name", NAME, 0)
}

fn custom_head(column: &Column) -> Value {
    let generated = format!(
        "Custom resource definition column (in JSONPath format): {}",
        column.json_path
    );
    let description = if column.description.is_empty() {
        &generated
    } else {
        &column.description
    };
    head(
        &column.name,
        &column.kind,
        &column.format,
        description,
        column.priority,
    )
}

/// The first result of the column's path, as a value of the column's type; `null` where there is none.
fn custom_cell(column: &Column, object: &Value, now: Timestamp) -> Value {
    let Some(value) = find(&column.json_path, object).into_iter().next() else {
        return Value::Null;
    };
    match (column.kind.as_str(), value) {
        ("string", Value::Null) => Value::Null,
        ("string", Value::String(_)) | ("boolean", Value::Bool(_)) => value.clone(),
        // Whatever else a column of text meets is printed as JSON.
        ("string", other) => json!(other.to_string()),
        ("integer", Value::Number(number)) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => json!(whole),
            (None, Some(float)) => json!(float.trunc()),
            (None, None) => Value::Null,
        },
        ("number", Value::Number(_)) => value.clone(),
        ("date", Value::String(text)) => match text.parse::<Timestamp>() {
            Ok(_) => json!(age(Some(value), now)),
            Err(_) => json!("<invalid>"),
        },
        _ => Value::Null,
    }
}

/// The time since a timestamp, for people; `<unknown>` without one.
fn age(since: Option<&Value>, now: Timestamp) -> String {
    let since = since
        .and_then(Value::as_str)
        .and_then(|text| text.parse::<Timestamp>().ok());
    match since {
        Some(since) => human(now.as_second() - since.as_second()),
        None => "<unknown>".to_owned(),
    }
}

/// A duration with the two coarsest units that matter, as kubectl shows ages.
#[must_use]
pub fn human(seconds: i64) -> String {
    let pair = |large: i64, unit: char, small: i64, rest: char| {
        if small == 0 {
            format!("{large}{unit}")
        } else {
            format!("{large}{unit}{small}{rest}")
        }
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        // Clocks of machines differ by a second or two.
        ..-1 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if minutes < 10 => pair(minutes, 'm', seconds % 60, 's'),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => pair(hours, 'h', minutes % 60, 'm'),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => pair(hours / 24, 'd', hours % 24, 'h'),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => pair(hours / 24 / 365, 'y', hours / 24 % 365, 'd'),
        _ => format!("{}y", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::builtin::kinds;

    fn column(name: &str, kind: &str, json_path: &str) -> Column {
        Column {
            name: name.into(),
            kind: kind.into(),
            format: String::new(),
            description: String::new(),
            priority: 0,
            json_path: json_path.into(),
        }
    }

    fn widgets(columns: Vec<Column>) -> Resource {
        let mut resource = kinds::kubernetes()
            .into_iter()
            .next()
            .expect("there are kinds");
        resource.provenance = Provenance::Crd("widgets.example.com".into());
        resource.columns = columns;
        resource
    }

    fn now() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().expect("a timestamp")
    }

    #[test]
    fn custom_columns_print_as_recorded() {
        let resource = widgets(vec![
            column("Size", "integer", ".spec.size"),
            column("On", "boolean", ".spec.on"),
            column("When", "date", ".spec.when"),
            column("Ratio", "number", ".spec.ratio"),
            column("Tags", "string", ".spec.tags"),
            column("First", "string", ".spec.tags[0]"),
            column(
                "Ready",
                "string",
                ".spec.conds[?(@.type==\"Ready\")].status",
            ),
            column("O", "string", ".spec.o"),
        ]);
        let full = json!({"metadata": {"name": "a", "resourceVersion": "7"}, "spec": {
            "size": 1, "on": true, "when": "2020-01-01T00:00:00Z", "ratio": 1.5, "tags": ["x", "y"],
            "conds": [{"type": "Ready", "status": "True"}], "o": {"a": "b"},
        }});
        let empty = json!({"metadata": {"name": "b"}});
        let table =
            Printer::new(&resource, now()).list(&json!({"resourceVersion": "9"}), [&full, &empty]);
        assert_eq!(table["metadata"], json!({"resourceVersion": "9"}));
        assert_eq!(
            table["rows"][0]["cells"],
            json!([
                "a",
                1,
                true,
                "6y2d",
                1.5,
                "[\"x\",\"y\"]",
                "x",
                "True",
                "{\"a\":\"b\"}"
            ])
        );
        assert_eq!(
            table["rows"][1]["cells"],
            json!(["b", null, null, null, null, null, null, null, null])
        );
        assert_eq!(
            table["columnDefinitions"][8]["description"],
            "Custom resource definition column (in JSONPath format): .spec.o"
        );
    }

    #[test]
    fn heads_come_with_the_first_event() {
        let resource = widgets(Vec::new());
        let object = json!({"metadata": {"name": "a", "resourceVersion": "7", "creationTimestamp": "2025-12-31T23:59:00Z"}});
        let printer = Printer::new(&resource, now());
        assert_eq!(
            printer.event(&object, true)["columnDefinitions"]
                .as_array()
                .map(Vec::len),
            Some(2)
        );
        let second = printer.event(&object, false);
        assert_eq!(second["columnDefinitions"], Value::Null);
        assert_eq!(second["rows"][0]["cells"], json!(["a", "60s"]));
        assert_eq!(second["metadata"]["resourceVersion"], "7");
    }

    #[test]
    fn include_decides_what_a_row_says_of_its_object() {
        let resource = widgets(Vec::new());
        let object = json!({"metadata": {"name": "a"}, "spec": {"x": 1}});
        let printer = Printer::new(&resource, now()).with_version("v1beta1");
        let row = |include| {
            printer.clone().with_include(include).object(&object)["rows"][0]["object"].clone()
        };
        assert_eq!(row(Include::None), Value::Null);
        assert_eq!(row(Include::Object), object);
        assert_eq!(
            row(Include::Metadata),
            json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1beta1", "metadata": {"name": "a"}})
        );
        let refused = Include::parse(Some("Nope")).expect_err("an unknown word");
        assert_eq!(
            refused.message,
            "Unable to convert to Table as requested: includeObject: Invalid value: \"Nope\": must be 'Metadata', 'Object', 'None', or empty"
        );
    }

    #[test]
    fn ages_have_two_units_at_most() {
        for (seconds, text) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (3600, "60m"),
            (3 * 3600 + 60, "3h1m"),
            (9 * 3600, "9h"),
            (50 * 3600, "2d2h"),
            (9 * 86400, "9d"),
            (3 * 365 * 86400, "3y"),
            (9 * 365 * 86400, "9y"),
        ] {
            assert_eq!(human(seconds), text);
        }
    }

    #[test]
    fn built_in_kinds_print_what_people_expect() {
        let kinds = kinds::kubernetes();
        let cells = |plural: &str, object: Value| {
            let resource = kinds
                .iter()
                .find(|kind| kind.plural == plural)
                .expect("the kind is served");
            let table = Printer::new(resource, now()).object(&object);
            assert_eq!(
                table["rows"][0]["cells"].as_array().map(Vec::len),
                table["columnDefinitions"].as_array().map(Vec::len),
                "{plural}"
            );
            table["rows"][0]["cells"].clone()
        };
        let meta = json!({"name": "a", "creationTimestamp": "2025-12-31T23:59:00Z"});
        assert_eq!(
            cells(
                "configmaps",
                json!({"metadata": meta, "data": {"a": "1", "b": "2"}})
            ),
            json!(["a", 2, "60s"])
        );
        assert_eq!(
            cells(
                "secrets",
                json!({"metadata": meta, "type": "Opaque", "data": {"k": "dg=="}})
            ),
            json!(["a", "Opaque", 1, "60s"])
        );
        assert_eq!(
            cells(
                "namespaces",
                json!({"metadata": meta, "status": {"phase": "Active"}})
            ),
            json!(["a", "Active", "60s"])
        );
        assert_eq!(
            cells(
                "services",
                json!({"metadata": meta, "spec": {
                "type": "LoadBalancer", "clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "selector": {"x": "y"},
                "ports": [{"port": 80, "protocol": "TCP", "nodePort": 30080}],
            }, "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}]}}})
            ),
            json!([
                "a",
                "LoadBalancer",
                "10.0.0.1",
                "192.0.2.1",
                "80:30080/TCP",
                "60s",
                "x=y"
            ])
        );
        assert_eq!(
            cells(
                "leases",
                json!({"metadata": meta, "spec": {"holderIdentity": "me"}})
            ),
            json!(["a", "me", "60s"])
        );
        assert_eq!(
            cells(
                "deployments",
                json!({"metadata": meta, "spec": {
                    "replicas": 2, "selector": {"matchLabels": {"a": "b"}},
                    "template": {"spec": {"containers": [{"name": "one", "image": "i"}]}},
                }, "status": {"readyReplicas": 1}})
            ),
            json!(["a", "1/2", 0, 0, "60s", "one", "i", "a=b"])
        );
        assert_eq!(
            cells("customresourcedefinitions", json!({"metadata": meta})),
            json!(["a", "2025-12-31T23:59:00Z"])
        );
        assert_eq!(
            cells(
                "rolebindings",
                json!({"metadata": meta, "roleRef": {"kind": "Role", "name": "r"}, "subjects": [
                    {"kind": "User", "name": "u"}, {"kind": "ServiceAccount", "namespace": "n", "name": "s"},
                ]})
            ),
            json!(["a", "Role/r", "60s", "u", "", "n/s"])
        );
        assert_eq!(
            cells(
                "events",
                json!({
                    "metadata": meta, "involvedObject": {"kind": "ConfigMap", "name": "c"}, "reason": "R", "message": "m ",
                    "type": "Normal", "source": {"component": "me"}, "count": 2,
                    "firstTimestamp": "2025-12-31T23:58:00Z", "lastTimestamp": "2025-12-31T23:59:00Z",
                })
            ),
            json!([
                "60s",
                "Normal",
                "R",
                "configmap/c",
                "",
                "me",
                "m",
                "2m",
                2,
                "a"
            ])
        );
    }
}
