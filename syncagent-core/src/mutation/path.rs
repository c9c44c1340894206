//! Paths as the Go agent writes them: gjson's to read, sjson's to write.
//!
//! `a.b`, `a.0`, `a.-1` (append), `a.:0` (the key `0`), `a\.b` (a dot in a key), `a.#.n` and `a.#(n=="x")#.n` (elements),
//! `a.b*` (wildcards), `a|@flatten` (modifiers). What a part of such a path means depends on whether it meets an object or
//! a list, so a path is kept as text and read as it is followed, exactly as the Go libraries do.
//!
//! Not taken, and refused when a definition is compiled: several paths in one (`{a,b}`, `[a,b]`), literals (`!"x"`), JSON
//! lines (`..`) and the modifiers `@group`, `@dig` and `@pretty`.

use serde_json::{Map, Value as Json, json};

use super::Fault;
use super::found;
use crate::object::path::{self as spots, Hop, Spot};

/// A path in the Go libraries' syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GoPath(String);

/// The modifiers that are known.
const MODIFIERS: &[&str] = &[
    "this", "ugly", "valid", "reverse", "flatten", "join", "keys", "values", "tostr", "fromstr",
];
/// The modifiers of gjson that are not.
const FOREIGN: &[&str] = &["pretty", "group", "dig"];

/// The longest list that a number in a path may make.
const LONGEST: usize = 10_000;

/// What a path finds.
#[derive(Clone, Debug, PartialEq)]
enum Hit {
    Nothing,
    One(Json, Option<Spot>),
    Many(Vec<(Json, Option<Spot>)>),
}

impl Hit {
    fn into_value(self) -> Option<Json> {
        match self {
            Self::Nothing => None,
            Self::One(value, _) => Some(value),
            Self::Many(values) => Some(values.into_iter().map(|(value, _)| value).collect()),
        }
    }

    fn without_spots(self) -> Self {
        match self.into_value() {
            Some(value) => Self::One(value, None),
            None => Self::Nothing,
        }
    }
}

impl GoPath {
    /// Takes a path.
    ///
    /// # Errors
    ///
    /// When it is empty, or asks for something that is not taken here.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        if text.is_empty() {
            return Err(Fault::new("path cannot be empty"));
        }
        if text.starts_with("..") {
            return Err(Fault::new("a path into JSON lines (`..`) is not taken"));
        }
        let mut start = true;
        let mut depth = 0_usize;
        let mut chars = text.char_indices();
        while let Some((at, c)) = chars.next() {
            if start && depth == 0 {
                let rest = &text[at..];
                if matches!(c, '{' | '[') {
                    return Err(Fault::new(format!(
                        "several paths in one (`{c}`) are not taken; write a mutation for each"
                    )));
                }
                if c == '!' {
                    return Err(Fault::new("a literal (`!`) is no path"));
                }
                if let Some(name) = rest.strip_prefix('@') {
                    let end = name.find(['.', '|', ':']).unwrap_or(name.len());
                    if FOREIGN.contains(&&name[..end]) {
                        return Err(Fault::new(format!(
                            "the modifier `@{}` is not taken",
                            &name[..end]
                        )));
                    }
                }
            }
            start = matches!(c, '.' | '|');
            match c {
                '\\' => {
                    chars.next();
                }
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                _ => {}
            }
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value at the path; several values come as a list.
    #[must_use]
    pub fn get(&self, object: &Json) -> Option<Json> {
        get(object, Some(&Spot::new()), &self.0, 0).into_value()
    }

    /// What is at the path, as texts without space around them: a list gives one for each of its elements, and a null is an
    /// empty one.
    #[must_use]
    pub fn texts(&self, object: &Json) -> Vec<String> {
        let text = |value: &Json| found::Found::new(Some(value.clone())).text();
        let trimmed = |value: &Json| text(value).trim().to_owned();
        match self.get(object) {
            None => Vec::new(),
            Some(Json::Array(values)) => values.iter().map(trimmed).collect(),
            Some(value) => vec![trimmed(&value)],
        }
    }

    /// Puts a value at the path.
    ///
    /// # Errors
    ///
    /// When the path leads into a list by something that is no number.
    pub fn set(&self, object: &mut Json, value: &Json) -> Result<(), Fault> {
        match parts(&self.0) {
            Some(parts) => put(object, &parts, value),
            None => {
                match get(object, Some(&Spot::new()), &self.0, 0) {
                    Hit::One(_, Some(spot)) => spots::set(object, &spot, value.clone()),
                    Hit::Many(values) => {
                        for spot in values.into_iter().filter_map(|(_, spot)| spot) {
                            spots::set(object, &spot, value.clone());
                        }
                    }
                    Hit::Nothing | Hit::One(_, None) => {}
                }
                Ok(())
            }
        }
    }

    /// Takes what is at the path out of the object.
    ///
    /// # Errors
    ///
    /// When the path may lead to several places.
    pub fn delete(&self, object: &mut Json) -> Result<(), Fault> {
        let parts =
            parts(&self.0).ok_or_else(|| Fault::new("cannot delete value from a complex path"))?;
        cut(object, &parts);
        Ok(())
    }

    /// Whether the path can be deleted at.
    #[must_use]
    pub fn is_simple(&self) -> bool {
        parts(&self.0).is_some()
    }
}

/// A part of a path to write at.
#[derive(Clone, Debug, PartialEq)]
struct Part {
    key: String,
    /// `:0`: a key, not an index.
    forced: bool,
    /// As gjson reads it, with its escapes.
    read: String,
}

impl Part {
    fn index(&self) -> Option<usize> {
        let digits = !self.forced && self.key.bytes().all(|b| b.is_ascii_digit());
        // An empty key counts as number 0, as in Go.
        digits.then(|| {
            if self.key.is_empty() {
                0
            } else {
                self.key.parse().unwrap_or(usize::MAX)
            }
        })
    }

    fn is_end(&self) -> bool {
        !self.forced && self.key == "-1"
    }
}

/// The parts of a simple path; `None`: it may lead to several places.
fn parts(path: &str) -> Option<Vec<Part>> {
    let mut all = Vec::new();
    let mut rest = Some(path);
    while let Some(text) = rest {
        let (forced, text) = match text.strip_prefix(':') {
            Some(text) => (true, text),
            None => (false, text),
        };
        let (mut key, mut read) = (String::new(), String::new());
        let mut chars = text.char_indices();
        rest = None;
        while let Some((at, c)) = chars.next() {
            match c {
                '.' => {
                    rest = Some(&text[at + 1..]);
                    break;
                }
                '|' | '#' | '@' | '*' | '?' => return None,
                '\\' => {
                    read.push('\\');
                    if let Some((_, c)) = chars.next() {
                        key.push(c);
                        read.push(c);
                    }
                }
                c => {
                    key.push(c);
                    read.push(c);
                }
            }
        }
        all.push(Part { key, forced, read });
    }
    Some(all)
}

/// One step down from an object or a list, as gjson reads a single part.
fn below<'a>(value: &'a mut Json, part: &Part) -> Option<&'a mut Json> {
    match value {
        Json::Object(map) => {
            // gjson knows no forced keys, but sjson has taken the colon off.
            map.get_mut(&part.key)
        }
        Json::Array(list) => {
            let digits = !part.read.is_empty() && part.read.bytes().all(|b| b.is_ascii_digit());
            let at: usize = digits.then(|| part.read.parse().ok()).flatten()?;
            list.get_mut(at)
        }
        _ => None,
    }
}

fn put(value: &mut Json, parts: &[Part], new: &Json) -> Result<(), Fault> {
    let Some((part, rest)) = parts.split_first() else {
        *value = new.clone();
        return Ok(());
    };
    if let Some(next) = below(value, part) {
        return put(next, rest, new);
    }
    if !value.is_object() && !value.is_array() {
        *value = if part.index().is_some() {
            json!([])
        } else {
            json!({})
        };
    }
    match value {
        Json::Object(map) => {
            map.insert(part.key.clone(), build(rest, new)?);
        }
        Json::Array(list) => {
            if !part.is_end() {
                let at = part.index().ok_or_else(|| {
                    Fault::new(format!(
                        "cannot set array element for non-numeric key '{}'",
                        part.key
                    ))
                })?;
                pad(list, at)?;
            }
            list.push(build(rest, new)?);
        }
        _ => {}
    }
    Ok(())
}

fn pad(list: &mut Vec<Json>, length: usize) -> Result<(), Fault> {
    if length > LONGEST {
        return Err(Fault::new(format!("{length} is too far for a list")));
    }
    if list.len() < length {
        list.resize(length, Json::Null);
    }
    Ok(())
}

fn build(parts: &[Part], new: &Json) -> Result<Json, Fault> {
    let Some((part, rest)) = parts.split_first() else {
        return Ok(new.clone());
    };
    let inner = build(rest, new)?;
    if part.is_end() {
        return Ok(json!([inner]));
    }
    match part.index() {
        Some(at) => {
            let mut list = Vec::new();
            pad(&mut list, at)?;
            list.push(inner);
            Ok(Json::Array(list))
        }
        None => Ok(Json::Object(Map::from_iter([(part.key.clone(), inner)]))),
    }
}

fn cut(value: &mut Json, parts: &[Part]) {
    let Some((part, rest)) = parts.split_first() else {
        return;
    };
    let last = match value {
        Json::Array(list) if part.is_end() => list.len().checked_sub(1),
        _ => None,
    };
    if rest.is_empty() {
        match value {
            Json::Object(map) => {
                map.remove(&part.key);
            }
            Json::Array(list) => {
                let at = last.or_else(|| part.read.parse().ok());
                if let Some(at) = at.filter(|at| *at < list.len()) {
                    list.remove(at);
                }
            }
            _ => {}
        }
        return;
    }
    let next = match (last, &mut *value) {
        (Some(last), Json::Array(list)) => list.get_mut(last),
        _ => below(value, part),
    };
    if let Some(next) = next {
        cut(next, rest);
    }
}

// Reading.

const DEEPEST: usize = 64;

/// `gjson.Get`: where it starts anew, modifiers may stand.
fn get(value: &Json, spot: Option<&Spot>, path: &str, depth: usize) -> Hit {
    if depth > DEEPEST {
        return Hit::Nothing;
    }
    if path.len() > 1
        && path.starts_with('@')
        && let Some((rest, result)) = modify(value, path)
    {
        return match (rest.strip_prefix(['|', '.']), result) {
            (_, None) => Hit::Nothing,
            (Some(rest), Some(result)) => get(&result, None, rest, depth + 1).without_spots(),
            (None, Some(result)) => Hit::One(result, None),
        };
    }
    let mut pipe = None;
    let hit = match value {
        Json::Object(_) | Json::Array(_) => inside(value, spot, path, &mut pipe, depth),
        _ => Hit::Nothing,
    };
    match pipe {
        Some(pipe) => match hit.into_value() {
            Some(value) => get(&value, None, &pipe, depth + 1).without_spots(),
            None => missing(&pipe, depth + 1),
        },
        None => hit,
    }
}

/// What a pipe makes of nothing: most modifiers leave it so.
fn missing(path: &str, depth: usize) -> Hit {
    if depth > DEEPEST || path.len() < 2 || !path.starts_with('@') {
        return Hit::Nothing;
    }
    let Some((rest, _)) = modify(&Json::Null, path) else {
        return Hit::Nothing;
    };
    let result = match &path[1..path.len() - rest.len()] {
        it if it.starts_with("keys") || it.starts_with("values") => json!([]),
        it if it.starts_with("tostr") => json!(""),
        _ => {
            let rest = rest.strip_prefix(['|', '.']);
            return rest.map_or(Hit::Nothing, |rest| missing(rest, depth + 1));
        }
    };
    match rest.strip_prefix(['|', '.']) {
        Some(rest) => get(&result, None, rest, depth + 1).without_spots(),
        None => Hit::One(result, None),
    }
}

fn inside(
    value: &Json,
    spot: Option<&Spot>,
    path: &str,
    pipe: &mut Option<String>,
    depth: usize,
) -> Hit {
    match value {
        Json::Object(map) => object(map, spot, path, pipe, depth),
        Json::Array(list) => array(list, spot, path, pipe, depth),
        _ => Hit::Nothing,
    }
}

fn join(spot: Option<&Spot>, hop: Hop) -> Option<Spot> {
    spot.map(|spot| spot.iter().cloned().chain([hop]).collect())
}

/// What follows a part: nothing, more of the path, or a pipe.
#[derive(Clone, Debug, Default)]
struct Head {
    part: String,
    more: Option<String>,
    pipe: Option<String>,
    wild: bool,
}

fn starts_pipe(rest: &str) -> bool {
    match rest.strip_prefix('@') {
        Some(name) => {
            let end = name.find(['.', '|', ':']).unwrap_or(name.len());
            MODIFIERS.contains(&&name[..end])
        }
        None => rest.starts_with(['[', '{']),
    }
}

fn object_head(path: &str) -> Head {
    let mut head = Head::default();
    let mut chars = path.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '|' => {
                head.pipe = Some(path[at + 1..].to_owned());
                return head;
            }
            '.' => {
                let rest = &path[at + 1..];
                if !rest.is_empty() && starts_pipe(rest) {
                    head.pipe = Some(rest.to_owned());
                } else {
                    head.more = Some(rest.to_owned());
                }
                return head;
            }
            '\\' => {
                if let Some((_, c)) = chars.next() {
                    head.part.push(c);
                }
                continue;
            }
            '*' | '?' => head.wild = true,
            _ => {}
        }
        head.part.push(c);
    }
    head
}

fn object(
    map: &Map<String, Json>,
    spot: Option<&Spot>,
    path: &str,
    pipe: &mut Option<String>,
    depth: usize,
) -> Hit {
    let head = object_head(path);
    if head.more.is_none() && head.pipe.is_some() {
        pipe.clone_from(&head.pipe);
    }
    let keys: Vec<_> = if head.wild {
        map.iter()
            .filter(|(key, _)| wild(key, &head.part))
            .collect()
    } else {
        map.get_key_value(&head.part).into_iter().collect()
    };
    for (key, value) in keys {
        let here = join(spot, Hop::Field(key.clone()));
        match &head.more {
            None => return Hit::One(value.clone(), here),
            Some(more) if depth < DEEPEST => {
                match inside(value, here.as_ref(), more, pipe, depth + 1) {
                    Hit::Nothing => {}
                    hit => return hit,
                }
            }
            Some(_) => {}
        }
    }
    Hit::Nothing
}

#[derive(Clone, Debug, Default)]
struct Query {
    path: String,
    op: String,
    value: String,
    all: bool,
}

fn array(
    list: &[Json],
    spot: Option<&Spot>,
    path: &str,
    pipe: &mut Option<String>,
    depth: usize,
) -> Hit {
    // `#.x`: x of each element.
    if let Some(key) = path.strip_prefix("#.") {
        let (key, after) = split_pipe(key);
        if after.is_some() {
            pipe.clone_from(&after);
        }
        let mut all = Vec::new();
        for (at, value) in list.iter().enumerate() {
            match get(value, join(spot, Hop::At(at)).as_ref(), &key, depth + 1) {
                Hit::Nothing => {}
                Hit::One(value, spot) => all.push((value, spot)),
                // Go loses the places of what it finds in lists of lists.
                many @ Hit::Many(_) => all.extend(many.into_value().map(|it| (it, None))),
            }
        }
        return Hit::Many(all);
    }
    if path.starts_with("#(") || path.starts_with("#[") {
        let Some((query, after)) = query(path) else {
            return Hit::Nothing;
        };
        return filter(list, spot, &query, &after, pipe, depth);
    }
    let end = path.find(['.', '|']).unwrap_or(path.len());
    let (part, rest) = path.split_at(end);
    let (more, piped) = match rest.chars().next() {
        None => (None, None),
        Some('|') => (None, Some(&rest[1..])),
        Some(_) if !part.contains('#') && rest.len() > 1 && starts_pipe(&rest[1..]) => {
            (None, Some(&rest[1..]))
        }
        Some(_) => (Some(&rest[1..]), None),
    };
    if more.is_none() {
        *pipe = piped.map(str::to_owned);
    }
    if part.contains('#') {
        return if part == "#" && more.is_none() {
            Hit::One(json!(list.len()), None)
        } else {
            Hit::Nothing
        };
    }
    let digits = !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let Some(at) = digits.then(|| part.parse::<usize>().ok()).flatten() else {
        return Hit::Nothing;
    };
    let Some(value) = list.get(at) else {
        return Hit::Nothing;
    };
    let here = join(spot, Hop::At(at));
    match more {
        None => Hit::One(value.clone(), here),
        Some(more) if depth < DEEPEST => inside(value, here.as_ref(), more, pipe, depth + 1),
        Some(_) => Hit::Nothing,
    }
}

fn filter(
    list: &[Json],
    spot: Option<&Spot>,
    query: &Query,
    after: &str,
    pipe: &mut Option<String>,
    depth: usize,
) -> Hit {
    let (more, piped) = match after.chars().next() {
        Some('.') if after.len() > 1 => {
            let (more, piped) = split_pipe(&after[1..]);
            (Some(more), piped)
        }
        Some('|') => (None, Some(after[1..].to_owned())),
        _ => (None, None),
    };
    // What stands behind more of a path is piped only when there is a match.
    let mut piped = piped;
    if more.is_none() && piped.is_some() {
        *pipe = piped.take();
    }
    let mut all = Vec::new();
    for (at, value) in list.iter().enumerate() {
        let here = join(spot, Hop::At(at));
        let subject = match value {
            Json::Object(_) | Json::Array(_) => {
                if query.path.is_empty() {
                    // gjson asks for the empty key here.
                    get(value, None, "", depth + 1).into_value()
                } else {
                    get(value, None, &query.path, depth + 1).into_value()
                }
            }
            scalar if query.path.is_empty() => Some(scalar.clone()),
            _ => continue,
        };
        if !query.holds(subject.as_ref()) {
            continue;
        }
        if piped.is_some() {
            *pipe = piped.take();
        }
        let hit = match &more {
            Some(more) => get(value, here.as_ref(), more, depth + 1),
            None => Hit::One(value.clone(), here),
        };
        if !query.all {
            return hit;
        }
        match hit {
            Hit::Nothing => {}
            Hit::One(value, spot) => all.push((value, spot)),
            many @ Hit::Many(_) => all.extend(many.into_value().map(|it| (it, None))),
        }
    }
    if query.all {
        Hit::Many(all)
    } else {
        Hit::Nothing
    }
}

/// Reads `#(path op value)` or with a second `#`, and gives what follows.
fn query(path: &str) -> Option<(Query, String)> {
    let bytes = path.as_bytes();
    let mut at = 2;
    let mut start = None;
    let mut depth = 1;
    while at < bytes.len() {
        if depth == 1 && start.is_none() && b"!=<>%".contains(&bytes[at]) {
            start = Some(at);
            at += 1;
            continue;
        }
        match bytes[at] {
            b'\\' => at += 1,
            b'[' | b'(' => depth += 1,
            b']' | b')' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b'"' => {
                at += 1;
                while at < bytes.len() && bytes[at] != b'"' {
                    if bytes[at] == b'\\' {
                        at += 1;
                    }
                    at += 1;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if depth > 0 || at > path.len() {
        return None;
    }
    let mut query = Query::default();
    match start {
        Some(start) => {
            query.path = path.get(2..start)?.trim().to_owned();
            let text = path.get(start..at)?.trim();
            let op = ["!=", "!%", "<=", ">=", "==", "<", ">", "=", "%"];
            let op = op
                .into_iter()
                .find(|it| text.starts_with(it))
                .unwrap_or("!");
            query.value = text[op.len()..].trim().to_owned();
            op.trim_start_matches("==").clone_into(&mut query.op);
            if op == "==" {
                "=".clone_into(&mut query.op);
            }
            if query.value.len() >= 2 && query.value.starts_with('"') && query.value.ends_with('"')
            {
                query.value = serde_json::from_str(&query.value)
                    .unwrap_or_else(|_| query.value[1..query.value.len() - 1].to_owned());
            }
        }
        None => query.path = path.get(2..at)?.trim().to_owned(),
    }
    let rest = path.get(at + 1..)?;
    let rest = match rest.strip_prefix('#') {
        Some(rest) => {
            query.all = true;
            rest
        }
        None => rest,
    };
    Some((query, rest.to_owned()))
}

impl Query {
    fn holds(&self, value: Option<&Json>) -> bool {
        let made;
        let (value, wanted) = match self.value.strip_prefix('~') {
            Some(how) => {
                let is = match how {
                    "*" => value.is_some(),
                    "null" => value.is_none_or(Json::is_null),
                    "true" => value.is_some_and(|it| truthy(it) == Some(true)),
                    "false" => value.is_none_or(|it| it.is_null() || truthy(it) == Some(false)),
                    _ => return false,
                };
                made = Json::Bool(is);
                (Some(&made), "true")
            }
            None => (value, self.value.as_str()),
        };
        let Some(value) = value else { return false };
        if self.op.is_empty() {
            return true;
        }
        match value {
            Json::String(it) => {
                let it = it.as_str();
                match self.op.as_str() {
                    "%" => wild(it, wanted),
                    "!%" => !wild(it, wanted),
                    op => ordered(op, Some(it.cmp(wanted))),
                }
            }
            Json::Number(it) => {
                let wanted: f64 = wanted.parse().unwrap_or(0.0);
                ordered(&self.op, it.as_f64().unwrap_or(0.0).partial_cmp(&wanted))
            }
            Json::Bool(true) => match self.op.as_str() {
                "=" => wanted == "true",
                "!=" => wanted != "true",
                ">" => wanted == "false",
                ">=" => true,
                _ => false,
            },
            Json::Bool(false) => match self.op.as_str() {
                "=" => wanted == "false",
                "!=" => wanted != "false",
                "<" => wanted == "true",
                "<=" => true,
                _ => false,
            },
            _ => false,
        }
    }
}

fn ordered(op: &str, order: Option<std::cmp::Ordering>) -> bool {
    let Some(order) = order else {
        return op == "!=";
    };
    match op {
        "=" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => false,
    }
}

fn truthy(value: &Json) -> Option<bool> {
    match value {
        Json::Bool(it) => Some(*it),
        Json::Number(it) => Some(it.as_f64() != Some(0.0)),
        Json::String(it) => match it.to_lowercase().as_str() {
            "1" | "t" | "true" => Some(true),
            "0" | "f" | "false" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// Splits at the first pipe that is not inside a query.
fn split_pipe(path: &str) -> (String, Option<String>) {
    let bytes = path.as_bytes();
    let mut at = 0;
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b'|' if depth == 0 => return (path[..at].to_owned(), Some(path[at + 1..].to_owned())),
            _ => {}
        }
        at += 1;
    }
    (path.to_owned(), None)
}

/// Whether a text matches a pattern with `*` and `?`; in time proportional to both.
fn wild(text: &str, pattern: &str) -> bool {
    let text: Vec<char> = text.chars().collect();
    let mut reached = vec![false; text.len() + 1];
    reached[0] = true;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let mut next = vec![false; text.len() + 1];
        match c {
            '*' => {
                let mut any = false;
                for at in 0..=text.len() {
                    any |= reached[at];
                    next[at] = any;
                }
            }
            c => {
                let c = if c == '\\' {
                    chars.next().unwrap_or('\\')
                } else {
                    c
                };
                for at in 0..text.len() {
                    next[at + 1] =
                        reached[at] && ((c == '?' && pattern.contains('?')) || text[at] == c);
                }
            }
        }
        reached = next;
    }
    reached[text.len()]
}

/// Applies the modifier at the start of a path, and gives what is left of the path.
fn modify(value: &Json, path: &str) -> Option<(String, Option<Json>)> {
    let end = path[1..]
        .find(['.', '|', ':'])
        .map_or(path.len(), |at| at + 1);
    let name = &path[1..end];
    if !MODIFIERS.contains(&name) {
        return None;
    }
    let (argument, rest) = match path[end..].strip_prefix(':') {
        None => ("", &path[end..]),
        Some(text) => {
            let end = argument_end(text);
            text.split_at(end)
        }
    };
    let yes = |key: &str| {
        serde_json::from_str::<Json>(argument)
            .ok()
            .and_then(|it| truthy(it.get(key)?))
            .unwrap_or(false)
    };
    let result = match (name, value) {
        ("reverse", Json::Array(it)) => Some(it.iter().rev().cloned().collect()),
        ("flatten", Json::Array(it)) => Some(Json::Array(flatten(it, yes("deep")))),
        ("keys", Json::Object(it)) => Some(it.keys().map(|it| json!(it)).collect()),
        ("keys", Json::Array(it)) => Some(it.iter().map(|_| Json::Null).collect()),
        ("values", Json::Object(it)) => Some(it.values().cloned().collect()),
        ("values", Json::Array(_)) => Some(value.clone()),
        ("keys", _) => Some(json!([null])),
        ("values", value) => Some(json!([value])),
        ("join", Json::Array(it)) => {
            let maps = it.iter().filter_map(Json::as_object).flatten();
            Some(Json::Object(
                maps.map(|(key, it)| (key.clone(), it.clone())).collect(),
            ))
        }
        ("tostr", value) => Some(Json::String(found::json(value))),
        ("fromstr", Json::String(it)) => serde_json::from_str(it).ok(),
        (_, value) => Some(value.clone()),
    };
    Some((rest.to_owned(), result))
}

fn argument_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut quoted = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b'{' | b'[' | b'(' if !quoted => depth += 1,
            b'}' | b']' | b')' if !quoted => {
                depth = depth.saturating_sub(1);
                if depth == 0 && text.starts_with(['{', '[']) {
                    return at + 1;
                }
            }
            b'|' if depth == 0 && !quoted => return at,
            _ => {}
        }
        at += 1;
    }
    text.len()
}

fn flatten(list: &[Json], deep: bool) -> Vec<Json> {
    list.iter()
        .flat_map(|it| match it {
            Json::Array(inner) if deep => flatten(inner, true),
            Json::Array(inner) => inner.clone(),
            other => vec![other.clone()],
        })
        .collect()
}
