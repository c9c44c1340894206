//! Is a `CustomResourceDefinition` one that the server takes?
//!
//! [`check`] is a pure function of a CRD as it would be stored: names defaulted (`singular`, `listKind`),
//! `status.storedVersions` filled; metadata is validated like that of any kind, elsewhere. It answers with the causes of a 422 in the order in which the server tells them.
//! What all versions have in common (with one version: everything) the server moves to the top before it looks, which
//! is why paths read `spec.validation.openAPIV3Schema` and not `spec.versions[0].schema.openAPIV3Schema`.

use serde_json::{Value, json};

use super::{Error, Schema, structural};
use crate::status::Cause;

const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const DNS_1123: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

/// What is wrong with a CRD; with the CRD as it was, also what may not change.
#[must_use]
pub fn check(crd: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut out = Vec::new();
    if old.is_none() {
        name(crd, &mut out);
    }
    spec(&crd["spec"], &mut out);
    stored_versions(crd, &mut out);
    if crd["spec"]["preserveUnknownFields"] == json!(true) {
        let text = "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        out.push(Cause::invalid(
            "spec.preserveUnknownFields",
            &json!(true),
            text,
        ));
    }
    if let Some(old) = old.filter(|old| established(old)) {
        for path in ["group", "scope", "names.kind", "names.plural"] {
            let get = |crd: &Value| {
                path.split('.')
                    .fold(crd["spec"].clone(), |at, name| at[name].clone())
            };
            if get(crd) != get(old) {
                let field = format!("spec.{path}");
                out.push(Cause::invalid(field, &get(crd), "field is immutable"));
            }
        }
    }
    out
}

/// Whether the schemas of all versions compile here, rules included.
///
/// # Errors
/// What this server does not understand, where the real one might.
pub fn compiles(crd: &Value) -> Result<(), Error> {
    for version in versions(&crd["spec"]) {
        Schema::compile(&version["schema"]["openAPIV3Schema"])?;
    }
    Ok(())
}

fn established(crd: &Value) -> bool {
    let mut conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    conditions.any(|condition| condition["type"] == "Established" && condition["status"] == "True")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn versions(spec: &Value) -> &[Value] {
    spec["versions"].as_array().map_or(&[], Vec::as_slice)
}

fn is_1035(label: &str) -> Option<&'static str> {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = label.starts_with(|c: char| c.is_ascii_lowercase())
        && label.ends_with(alnum)
        && label.chars().all(|c| alnum(c) || c == '-');
    match (fits, label.len() > 63) {
        (true, false) => None,
        (true, true) => Some("must be no more than 63 bytes"),
        (false, _) => Some(DNS_1035),
    }
}

fn is_1123_subdomain(name: &str) -> Option<&'static str> {
    let alnum = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let fits = name.split('.').all(|part| {
        part.starts_with(alnum)
            && part.ends_with(alnum)
            && part.chars().all(|c| alnum(c) || c == '-')
    });
    match (fits, name.len() > 253) {
        (true, false) => None,
        (true, true) => Some("must be no more than 253 bytes"),
        (false, _) => Some(DNS_1123),
    }
}

fn name(crd: &Value, out: &mut Vec<Cause>) {
    let name = &crd["metadata"]["name"];
    if text(name).is_empty() {
        out.push(Cause::required(
            "metadata.name",
            "name or generateName is required",
        ));
        return;
    }
    let spec = &crd["spec"];
    if text(name)
        != format!(
            "{}.{}",
            text(&spec["names"]["plural"]),
            text(&spec["group"])
        )
    {
        let why = r#"must be spec.names.plural+"."+spec.group"#;
        out.push(Cause::invalid("metadata.name", name, why));
    }
}

fn spec(spec: &Value, out: &mut Vec<Cause>) {
    let group = &spec["group"];
    if text(group).is_empty() {
        out.push(Cause::required("spec.group", ""));
    } else if let Some(why) = is_1123_subdomain(text(group)) {
        out.push(Cause::invalid("spec.group", group, why));
    } else if !text(group).contains('.') {
        let why = "should be a domain with at least one dot";
        out.push(Cause::invalid("spec.group", group, why));
    }
    let scope = &spec["scope"];
    if text(scope).is_empty() {
        out.push(Cause::required("spec.scope", ""));
    } else if !["Cluster", "Namespaced"].contains(&text(scope)) {
        out.push(Cause::not_supported(
            "spec.scope",
            scope,
            &["Cluster", "Namespaced"],
        ));
    }
    let versions = versions(spec);
    let common = Common::of(versions);
    for (i, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{i}]");
        if !version["schema"]["openAPIV3Schema"].is_object() {
            out.push(Cause::required(
                format!("{path}.schema.openAPIV3Schema"),
                "",
            ));
        }
        if let Some(why) = is_1035(text(&version["name"])) {
            out.push(Cause::invalid(
                format!("{path}.name"),
                &version["name"],
                why,
            ));
        }
        if !common.schema {
            schema(version, &format!("{path}.schema.openAPIV3Schema"), out);
        }
        if !common.subresources {
            subresources(version, &format!("{path}.subresources"), out);
        }
        if !common.columns {
            columns(version, &path, out);
        }
        if !common.selectable {
            selectable(version, &path, out);
        }
    }
    let shown = show_versions(versions);
    let names: Vec<&str> = versions
        .iter()
        .map(|version| text(&version["name"]))
        .collect();
    if (1..names.len()).any(|i| names[..i].contains(&names[i])) {
        out.push(invalid_shown(
            "spec.versions",
            &shown,
            "must contain unique version names",
        ));
    }
    if versions
        .iter()
        .filter(|version| version["storage"] == json!(true))
        .count()
        != 1
    {
        let why = "must have exactly one version marked as storage version";
        out.push(invalid_shown("spec.versions", &shown, why));
    }
    if let Some(first) = versions.first()
        && let Some(why) = is_1035(text(&first["name"]))
    {
        out.push(Cause::invalid("spec.version", &first["name"], why));
    }
    names_of(&spec["names"], out);
    if let Some(first) = versions.first() {
        if common.schema {
            schema(first, "spec.validation.openAPIV3Schema", out);
        }
        if common.subresources {
            subresources(first, "spec.subresources", out);
        }
        if common.columns {
            columns(first, "spec", out);
        }
        if common.selectable {
            selectable(first, "spec", out);
        }
    }
    let strategy = text(&spec["conversion"]["strategy"]);
    if !["", "None", "Webhook"].contains(&strategy) {
        let field = "spec.conversion.strategy";
        out.push(Cause::not_supported(
            field,
            &spec["conversion"]["strategy"],
            &["None", "Webhook"],
        ));
    }
}

/// What all versions have in common.
struct Common {
    schema: bool,
    subresources: bool,
    columns: bool,
    selectable: bool,
}

impl Common {
    fn of(versions: &[Value]) -> Self {
        let same = |name: &str| {
            let mut pairs = versions.windows(2);
            pairs.all(|pair| pair[0].get(name) == pair[1].get(name))
        };
        Self {
            schema: same("schema"),
            subresources: same("subresources"),
            columns: same("additionalPrinterColumns"),
            selectable: same("selectableFields"),
        }
    }
}

/// The versions as the server shows them in a message: Go structs, with what is common left out.
fn show_versions(versions: &[Value]) -> String {
    let shown = versions.iter().map(|version| {
        format!(
            r#"{{"Name":{},"Served":{},"Storage":{},"Deprecated":{},"DeprecationWarning":{},"Schema":null,"Subresources":null,"AdditionalPrinterColumns":null,"SelectableFields":null}}"#,
            version["name"],
            version["served"] == json!(true),
            version["storage"] == json!(true),
            version["deprecated"] == json!(true),
            version["deprecationWarning"]
        )
    });
    format!("[{}]", shown.collect::<Vec<_>>().join(","))
}

fn invalid_shown(field: &str, shown: &str, why: &str) -> Cause {
    let text = format!("Invalid value: {shown}: {why}");
    Cause::new("FieldValueInvalid", field, text)
}

fn names_of(names: &Value, out: &mut Vec<Cause>) {
    for name in ["plural", "singular", "kind", "listKind"] {
        if text(&names[name]).is_empty() {
            out.push(Cause::required(format!("spec.names.{name}"), ""));
        }
    }
    for name in ["plural", "singular", "kind", "listKind"] {
        let value = &names[name];
        let kind = name.ends_with("ind");
        let label = if kind {
            text(value).to_lowercase()
        } else {
            text(value).to_owned()
        };
        if text(value).is_empty() {
            continue;
        }
        if let Some(why) = is_1035(&label) {
            let why = if kind {
                format!("may have mixed case, but should otherwise match: {why}")
            } else {
                why.to_owned()
            };
            out.push(Cause::invalid(format!("spec.names.{name}"), value, &why));
        }
    }
    let labels = |list: &str, out: &mut Vec<Cause>| {
        for (i, name) in names[list].as_array().into_iter().flatten().enumerate() {
            if let Some(why) = is_1035(text(name)) {
                out.push(Cause::invalid(format!("spec.names.{list}[{i}]"), name, why));
            }
        }
    };
    labels("shortNames", out);
    if !text(&names["kind"]).is_empty() && names["kind"] == names["listKind"] {
        let why = "kind and listKind may not be the same";
        out.push(Cause::invalid(
            "spec.names.listKind",
            &names["listKind"],
            why,
        ));
    }
    labels("categories", out);
}

fn schema(version: &Value, path: &str, out: &mut Vec<Cause>) {
    let schema = &version["schema"]["openAPIV3Schema"];
    if schema.is_object() {
        out.extend(structural::check(schema, path));
    }
}

fn subresources(version: &Value, path: &str, out: &mut Vec<Cause>) {
    let scale = &version["subresources"]["scale"];
    if !scale.is_object() {
        return;
    }
    for (name, below) in [
        ("specReplicasPath", ".spec."),
        ("statusReplicasPath", ".status."),
    ] {
        let value = &scale[name];
        let field = format!("{path}.scale.{name}");
        if text(value).is_empty() {
            out.push(Cause::required(field, ""));
        } else if !text(value).starts_with(below) || text(value).contains('[') {
            let why = format!(
                "should be a json path under {}",
                below.trim_end_matches('.')
            );
            out.push(Cause::invalid(field, value, &why));
        }
    }
    let selector = &scale["labelSelectorPath"];
    if !text(selector).is_empty()
        && ![".spec.", ".status."]
            .iter()
            .any(|below| text(selector).starts_with(below))
    {
        let why = "should be a json path under either .status or .spec";
        out.push(Cause::invalid(
            format!("{path}.scale.labelSelectorPath"),
            selector,
            why,
        ));
    }
}

fn columns(version: &Value, path: &str, out: &mut Vec<Cause>) {
    const KINDS: &[&str] = &["boolean", "date", "integer", "number", "string"];
    const FORMATS: &[&str] = &[
        "int32",
        "int64",
        "float",
        "double",
        "byte",
        "date",
        "date-time",
        "password",
    ];
    let columns = version["additionalPrinterColumns"].as_array();
    for (i, column) in columns.into_iter().flatten().enumerate() {
        let at = |name: &str| format!("{path}.additionalPrinterColumns[{i}].{name}");
        if text(&column["name"]).is_empty() {
            out.push(Cause::required(at("name"), ""));
        }
        let kind = &column["type"];
        if text(kind).is_empty() {
            let why = format!("must be one of {}", KINDS.join(","));
            out.push(Cause::required(at("type"), &why));
        } else if !KINDS.contains(&text(kind)) {
            let why = format!("must be one of {}", KINDS.join(","));
            out.push(Cause::invalid(at("type"), kind, &why));
        }
        let format = &column["format"];
        if !text(format).is_empty() && !FORMATS.contains(&text(format)) {
            let why = format!("must be one of {}", FORMATS.join(","));
            out.push(Cause::invalid(at("format"), format, &why));
        }
        let place = &column["jsonPath"];
        if text(place).is_empty() {
            out.push(Cause::required(at("JSONPath"), ""));
        } else if !text(place).starts_with('.') {
            let why = "must be a simple json path starting with .";
            out.push(Cause::invalid(at("JSONPath"), place, why));
        }
    }
}

fn selectable(version: &Value, path: &str, out: &mut Vec<Cause>) {
    const MOST: usize = 8;
    let fields = version["selectableFields"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if fields.len() > MOST {
        let why = format!("must have at most {MOST} items");
        out.push(Cause::too_many(
            format!("{path}.selectableFields"),
            fields.len(),
            &why,
        ));
        return;
    }
    let mut seen = Vec::new();
    for (i, field) in fields.iter().enumerate() {
        let at = format!("{path}.selectableFields[{i}].jsonPath");
        let place = &field["jsonPath"];
        if text(place).is_empty() {
            out.push(Cause::required(at, ""));
            continue;
        }
        if let Err(why) = selected(&version["schema"]["openAPIV3Schema"], text(place)) {
            out.push(Cause::invalid(at, place, &why));
        } else if seen.contains(&place) {
            out.push(Cause::duplicate(at, place));
        } else {
            seen.push(place);
        }
    }
}

fn selected(schema: &Value, path: &str) -> Result<(), String> {
    if path.contains('[') {
        return Err("is an invalid path: array notation is not allowed".into());
    }
    let Some(path) = path.strip_prefix('.') else {
        let first = path.split('.').next().unwrap_or_default();
        return Err(format!(
            "is an invalid path: expected [ or . but got: {first}"
        ));
    };
    let mut at = schema;
    for (i, name) in path.split('.').enumerate() {
        let metadata = i == 0 && name == "metadata";
        at = &at["properties"][name];
        if metadata || !at.is_object() {
            return Err("is an invalid path: does not refer to a valid field".into());
        }
    }
    match at["type"].as_str() {
        Some("string" | "boolean" | "integer") => Ok(()),
        _ => Err("must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.".into()),
    }
}

fn stored_versions(crd: &Value, out: &mut Vec<Cause>) {
    let stored = &crd["status"]["storedVersions"];
    let names: Vec<&str> = stored.as_array().into_iter().flatten().map(text).collect();
    if names.is_empty() {
        // The server shows Go's nil list.
        let why = "must have at least one stored version";
        out.push(invalid_shown("status.storedVersions", "null", why));
        return;
    }
    let versions = versions(&crd["spec"]);
    for version in versions
        .iter()
        .filter(|version| version["storage"] == json!(true))
    {
        let name = text(&version["name"]);
        if !names.contains(&name) {
            let why = format!("must have the storage version {name}");
            out.push(Cause::invalid("status.storedVersions", stored, &why));
        }
    }
    for (i, name) in names.iter().enumerate() {
        if !versions.iter().any(|version| version["name"] == *name) {
            let why = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions until a storage migration ensures no data remains persisted in {name} and removes {name} from status.storedVersions"
            );
            out.push(Cause::invalid(
                format!("status.storedVersions[{i}]"),
                &json!(name),
                &why,
            ));
        }
    }
}
