//! Functions over lists and maps.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::builtin::{Args, Function, fixed, variadic};
use super::super::value::{Map, Value};
use super::numbers::int;
use super::texts::strval;

type Entries = BTreeMap<Arc<str>, Value>;

fn list(items: Vec<Value>) -> Result<Value, String> {
    Ok(Value::list(items))
}

fn slice(args: &Args<'_>) -> Result<Value, String> {
    let items = args.list(0, "slice")?;
    if items.is_empty() {
        return Ok(Value::Nil);
    }
    let start = args.0.get(1).map_or(0, int);
    let end = args
        .0
        .get(2)
        .map_or_else(|| i64::try_from(items.len()).unwrap_or(i64::MAX), int);
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    match range.and_then(|(start, end)| items.get(start..end)) {
        Some(items) => list(items.to_vec()),
        None => Err("slice index out of bounds".into()),
    }
}

fn chunk(args: &Args<'_>) -> Result<Value, String> {
    let size = usize::try_from(args.int(0)?)
        .ok()
        .filter(|it| *it > 0)
        .ok_or("the size must be positive")?;
    let chunks = args.list(1, "chunk")?.chunks(size);
    list(chunks.map(|it| Value::list(it.to_vec())).collect())
}

fn dig(args: &Args<'_>) -> Result<Value, String> {
    let (last, before) = args
        .0
        .split_last()
        .ok_or("dig needs at least three arguments")?;
    let (default, keys) = before
        .split_last()
        .ok_or("dig needs at least three arguments")?;
    if keys.is_empty() {
        return Err("dig needs at least three arguments".into());
    }
    let mut value = last.clone();
    for key in keys {
        let (Value::Map(map), Value::Text(key)) = (&value, key) else {
            return Err("dig goes through maps by names".into());
        };
        match map.entries().get(key) {
            Some(next) => value = next.clone(),
            None => return Ok(default.clone()),
        }
    }
    Ok(value)
}

fn dict(args: &Args<'_>) -> Result<Value, String> {
    let mut entries = Entries::new();
    for pair in args.0.chunks(2) {
        let value = pair.get(1).cloned().unwrap_or_else(|| Value::text(""));
        entries.insert(strval(&pair[0]).into(), value);
    }
    Ok(Value::map(entries))
}

fn merge(args: &Args<'_>, overwrite: bool) -> Result<Value, String> {
    let mut target = entries(args.map(0)?);
    for at in 1..args.len() {
        if let Some(source) = args.map(at)? {
            merge_into(&mut target, source.entries(), overwrite);
        }
    }
    Ok(Value::map(target))
}

fn merge_into(target: &mut Entries, source: &Entries, overwrite: bool) {
    for (key, value) in source {
        let merged = match (target.get(key), value) {
            (Some(Value::Map(there)), Value::Map(here)) => {
                let mut inner = there.entries().clone();
                merge_into(&mut inner, here.entries(), overwrite);
                Value::map(inner)
            }
            (Some(there), value)
                if overwrite && value.is_empty() || !overwrite && !there.is_empty() =>
            {
                there.clone()
            }
            (_, value) => value.clone(),
        };
        target.insert(key.clone(), merged);
    }
}

fn entries(map: Option<&Map>) -> Entries {
    map.map(|it| it.entries().clone()).unwrap_or_default()
}

fn keys_of(args: &Args<'_>) -> Result<Vec<Arc<str>>, String> {
    (1..args.len())
        .map(|at| args.text(at).map(Arc::from))
        .collect()
}

/// A function over lists or maps.
pub(super) fn find(name: &str) -> Option<Function> {
    Some(match name {
        "list" | "tuple" => variadic(0, |a| list(a.0.to_vec())),
        "first" | "mustFirst" => fixed(1, |a| {
            Ok(a.list(0, "find first")?
                .first()
                .cloned()
                .unwrap_or(Value::Nil))
        }),
        "last" | "mustLast" => fixed(1, |a| {
            Ok(a.list(0, "find last")?
                .last()
                .cloned()
                .unwrap_or(Value::Nil))
        }),
        "rest" | "mustRest" => fixed(1, |a| {
            list(a.list(0, "find rest")?.iter().skip(1).cloned().collect())
        }),
        "initial" | "mustInitial" => fixed(1, |a| {
            let items = a.list(0, "find initial")?;
            list(
                items
                    .iter()
                    .take(items.len().saturating_sub(1))
                    .cloned()
                    .collect(),
            )
        }),
        "append" | "push" | "mustAppend" | "mustPush" => fixed(2, |a| {
            let items = a.list(0, "push")?.iter();
            list(items.chain([a.any(1)]).cloned().collect())
        }),
        "prepend" | "mustPrepend" => fixed(2, |a| {
            let items = a.list(0, "prepend")?.iter();
            list([a.any(1)].into_iter().chain(items).cloned().collect())
        }),
        "reverse" | "mustReverse" => fixed(1, |a| {
            list(a.list(0, "find reverse")?.iter().rev().cloned().collect())
        }),
        "compact" | "mustCompact" => fixed(1, |a| {
            let items = a.list(0, "compact")?.iter();
            list(items.filter(|it| !it.is_empty()).cloned().collect())
        }),
        "uniq" | "mustUniq" => fixed(1, |a| {
            let mut out: Vec<Value> = Vec::new();
            for item in a.list(0, "find uniq")? {
                if !out.iter().any(|it| it.same(item)) {
                    out.push(item.clone());
                }
            }
            list(out)
        }),
        "without" | "mustWithout" => variadic(1, |a| {
            let items = a.list(0, "find without")?.iter();
            list(
                items
                    .filter(|it| !a.0[1..].iter().any(|omit| omit.same(it)))
                    .cloned()
                    .collect(),
            )
        }),
        "has" | "mustHas" => fixed(2, |a| match a.any(1) {
            Value::Missing | Value::Nil => Ok(Value::Bool(false)),
            _ => Ok(Value::Bool(
                a.list(1, "find has")?.iter().any(|it| it.same(a.any(0))),
            )),
        }),
        "slice" | "mustSlice" => variadic(1, slice),
        "concat" => variadic(0, |a| {
            let mut out = Vec::new();
            for at in 0..a.len() {
                out.extend_from_slice(a.list(at, "concat")?);
            }
            list(out)
        }),
        "chunk" | "mustChunk" => fixed(2, chunk),
        "dict" => variadic(0, dict),
        "get" => fixed(2, |a| {
            let key = a.text(1)?;
            let found = a.map(0)?.and_then(|it| it.entries().get(key));
            Ok(found.cloned().unwrap_or_else(|| Value::text("")))
        }),
        "hasKey" => fixed(2, |a| {
            let key = a.text(1)?;
            Ok(Value::Bool(
                a.map(0)?.is_some_and(|it| it.entries().contains_key(key)),
            ))
        }),
        "pluck" => variadic(1, |a| {
            let key = a.text(0)?;
            let mut out = Vec::new();
            for at in 1..a.len() {
                out.extend(a.map(at)?.and_then(|it| it.entries().get(key)).cloned());
            }
            list(out)
        }),
        "keys" => variadic(0, |a| {
            let mut out = Vec::new();
            for at in 0..a.len() {
                out.extend(entries(a.map(at)?).into_keys());
            }
            Ok(Value::texts(out))
        }),
        "values" => fixed(1, |a| list(entries(a.map(0)?).into_values().collect())),
        "pick" => variadic(1, |a| {
            let keys = keys_of(a)?;
            let mut out = entries(a.map(0)?);
            out.retain(|key, _| keys.contains(key));
            Ok(Value::map(out))
        }),
        "omit" => variadic(1, |a| {
            let keys = keys_of(a)?;
            let mut out = entries(a.map(0)?);
            out.retain(|key, _| !keys.contains(key));
            Ok(Value::map(out))
        }),
        "merge" | "mustMerge" => variadic(1, |a| merge(a, false)),
        "mergeOverwrite" | "mustMergeOverwrite" => variadic(1, |a| merge(a, true)),
        "dig" => variadic(3, dig),
        _ => return None,
    })
}
