//! The options of deletions, which come in the body or in the query.

use serde_json::Value;

use super::Query;
use super::write::read_dry_run;
use crate::status::{Cause, Failure, quoted};

/// `DeleteOptions`, from the body or else from the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeleteOptions {
    /// Nothing is to be stored.
    pub dry_run: bool,
    /// The uid that the object must have.
    pub uid: Option<String>,
    /// The version that the object must have.
    pub version: Option<String>,
    /// How dependents are treated.
    pub propagation: Option<Propagation>,
    /// How long the object may take to end.
    pub grace: Option<i64>,
}

/// How the dependents of a deleted object are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted later.
    Background,
    /// They go first.
    Foreground,
    /// They stay.
    Orphan,
}

impl DeleteOptions {
    /// Reads the options of a deletion.
    ///
    /// # Errors
    /// 400 for a body that is none, 422 for wrong values.
    pub fn read(query: &Query, body: &[u8]) -> Result<Self, Failure> {
        let body = if body.is_empty() {
            None
        } else {
            Some(Self::decode(body)?)
        };
        let from_query = || -> Result<Value, Failure> {
            let mut options = serde_json::Map::new();
            if let Some(seconds) = query.number("gracePeriodSeconds")? {
                options.insert("gracePeriodSeconds".into(), seconds.into());
            }
            if let Some(flag) = query.flag("orphanDependents") {
                options.insert("orphanDependents".into(), flag.into());
            }
            if let Some(policy) = query.get("propagationPolicy") {
                options.insert("propagationPolicy".into(), policy.into());
            }
            let dry_run: Vec<&str> = query.all("dryRun").collect();
            if !dry_run.is_empty() {
                options.insert("dryRun".into(), dry_run.into());
            }
            let mut preconditions = serde_json::Map::new();
            for (parameter, member) in [
                ("preconditions.uid", "uid"),
                ("preconditions.resourceVersion", "resourceVersion"),
            ] {
                if let Some(value) = query.get(parameter) {
                    preconditions.insert(member.into(), value.into());
                }
            }
            if !preconditions.is_empty() {
                options.insert("preconditions".into(), preconditions.into());
            }
            Ok(options.into())
        };
        let options = match body {
            Some(body) => body,
            None => from_query()?,
        };
        let mut causes = Vec::new();
        let text = |pointer: &str| {
            options
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let orphan = options["orphanDependents"].as_bool();
        let policy = text("/propagationPolicy");
        let mut propagation = orphan.map(|orphan| {
            if orphan {
                Propagation::Orphan
            } else {
                Propagation::Background
            }
        });
        if let Some(policy) = policy {
            if orphan.is_some() {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                causes.push(Cause::invalid(
                    "propagationPolicy",
                    &Value::from(policy.as_str()),
                    why,
                ));
            }
            propagation = match policy.as_str() {
                "Background" => Some(Propagation::Background),
                "Foreground" => Some(Propagation::Foreground),
                "Orphan" => Some(Propagation::Orphan),
                other => {
                    let supported = ["Foreground", "Background", "Orphan", "nil"];
                    causes.push(Cause::not_supported(
                        "propagationPolicy",
                        &Value::from(other),
                        &supported,
                    ));
                    None
                }
            };
        }
        let dry_run = options["dryRun"].as_array().cloned().unwrap_or_default();
        let dry_run: Vec<String> = dry_run
            .iter()
            .map(|value| value.as_str().unwrap_or_default().to_owned())
            .collect();
        let dry_run = read_dry_run(&dry_run, &mut causes);
        if !causes.is_empty() {
            return Err(Failure::invalid("meta.k8s.io", "DeleteOptions", "", causes));
        }
        Ok(Self {
            dry_run,
            uid: text("/preconditions/uid"),
            version: text("/preconditions/resourceVersion"),
            propagation,
            grace: options["gracePeriodSeconds"].as_i64(),
        })
    }

    fn decode(body: &[u8]) -> Result<Value, Failure> {
        let options = crate::decode::json_or_yaml(body).map_err(|why| {
            Failure::bad_request(format!(
                "couldn't get version/kind; json parse error: {why}"
            ))
        })?;
        if !options.is_object() {
            let why = crate::decode::type_meta_mismatch(&options);
            return Err(Failure::bad_request(format!(
                "couldn't get version/kind; json parse error: {why}"
            )));
        }
        let kind = options["kind"].as_str().unwrap_or_default();
        let version = options["apiVersion"].as_str().unwrap_or_default();
        if !kind.is_empty() && kind != "DeleteOptions" {
            return Err(Failure::bad_request(format!(
                "no kind {} is registered for version {} in scheme \"pkg/runtime/scheme.go:111\"",
                quoted(kind),
                quoted(version)
            )));
        }
        Ok(options)
    }
}
