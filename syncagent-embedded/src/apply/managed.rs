//! The entries of `metadata.managedFields`.
//!
//! An entry belongs to a manager, its operation, its subresource and, for updates, its API version; an applier that
//! comes with another version keeps its entry. Entries are written sorted: appliers first, then by time (an entry
//! without one is oldest), then by name.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::set::FieldSet;

/// Who an entry belongs to, in the order in which conflicts are told.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub(super) name: String,
    pub(super) operation: String,
    /// Empty for appliers.
    pub(super) api_version: String,
    pub(super) subresource: String,
}

impl Manager {
    pub(super) fn updater(name: &str, api_version: &str, subresource: &str) -> Self {
        Self {
            name: name.into(),
            operation: "Update".into(),
            api_version: api_version.into(),
            subresource: subresource.into(),
        }
    }

    pub(super) fn applier(name: &str, subresource: &str) -> Self {
        Self {
            operation: "Apply".into(),
            ..Self::updater(name, "", subresource)
        }
    }

    /// As a conflict names it.
    pub(super) fn named(&self) -> String {
        let mut out = crate::status::quoted(&self.name);
        if !self.subresource.is_empty() {
            out += &format!(
                " with subresource {}",
                crate::status::quoted(&self.subresource)
            );
        }
        if self.operation == "Update" {
            out += &format!(" using {}", self.api_version);
        }
        out
    }
}

/// What a manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned {
    pub(super) api_version: String,
    pub(super) time: Option<String>,
    pub(super) fields: FieldSet,
}

/// Every entry of an object.
pub(super) type Managers = BTreeMap<Manager, Owned>;

/// Most `Update` entries that an object carries; older ones are merged.
const MOST_UPDATERS: usize = 10;

/// Reads the entries; `None` where they are malformed.
pub(super) fn decode(entries: &Value) -> Option<Managers> {
    let mut out = Managers::new();
    for entry in entries.as_array().map_or(&[][..], |entries| entries) {
        let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
        let api_version = text("apiVersion");
        let operation = text("operation");
        if text("fieldsType") != "FieldsV1" || !matches!(operation.as_str(), "Apply" | "Update") {
            return None;
        }
        let manager = Manager {
            name: text("manager"),
            api_version: if operation == "Apply" {
                String::new()
            } else {
                api_version.clone()
            },
            operation,
            subresource: text("subresource"),
        };
        let fields = match &entry["fieldsV1"] {
            Value::Null => FieldSet::default(),
            fields => FieldSet::decode(fields)?,
        };
        let owned = Owned {
            api_version,
            time: entry["time"].as_str().map(str::to_owned),
            fields,
        };
        out.insert(manager, owned);
    }
    Some(out)
}

/// Writes the entries, sorted.
pub(super) fn encode(managers: &Managers) -> Value {
    let mut entries: Vec<(&Manager, &Owned)> = managers.iter().collect();
    entries.sort_by(|(m, a), (n, b)| {
        (m.operation.cmp(&n.operation))
            .then_with(|| a.time.cmp(&b.time))
            .then_with(|| m.name.cmp(&n.name))
            .then_with(|| a.api_version.cmp(&b.api_version))
            .then_with(|| m.subresource.cmp(&n.subresource))
    });
    let entries = entries.into_iter().map(|(manager, owned)| {
        let mut entry = Map::new();
        entry.insert("apiVersion".into(), json!(owned.api_version));
        entry.insert("fieldsType".into(), json!("FieldsV1"));
        entry.insert("fieldsV1".into(), owned.fields.encode());
        entry.insert("manager".into(), json!(manager.name));
        entry.insert("operation".into(), json!(manager.operation));
        if !manager.subresource.is_empty() {
            entry.insert("subresource".into(), json!(manager.subresource));
        }
        if let Some(time) = &owned.time {
            entry.insert("time".into(), json!(time));
        }
        Value::Object(entry)
    });
    Value::Array(entries.collect())
}

/// Merges the oldest updaters into `ancient-changes` where there are too many.
pub(super) fn cap(managers: &mut Managers) {
    let mut updaters: Vec<Manager> = managers
        .keys()
        .filter(|manager| manager.operation == "Update")
        .cloned()
        .collect();
    let mut count = updaters.len();
    if count <= MOST_UPDATERS {
        return;
    }
    updaters.sort_by_key(|manager| (managers[manager].time.clone(), manager.clone()));
    let mut first: BTreeMap<String, Manager> = BTreeMap::new();
    for manager in updaters {
        if count <= MOST_UPDATERS {
            break;
        }
        let version = manager.api_version.clone();
        let Some(oldest) = first.get(&version).cloned() else {
            first.insert(version, manager);
            continue;
        };
        let bucket = Manager::updater("ancient-changes", &version, "");
        if !managers.contains_key(&bucket)
            && let Some(owned) = managers.remove(&oldest)
        {
            managers.insert(bucket.clone(), owned);
        }
        if manager == bucket {
            continue;
        }
        if let (Some(owned), Some(all)) = (managers.remove(&manager), managers.get_mut(&bucket)) {
            all.fields = all.fields.union(&owned.fields);
            all.time = owned.time;
            count -= 1;
        }
    }
}
