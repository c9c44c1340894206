//! Go's `text/template`, with exactly Go's results.
//!
//! The syntax is parsed by the `gotmpl` crate; it is executed here, because results depend on types that its own executor
//! does not tell apart: an `int` and an `int64`, a key that is not there and a null, `1e+06` and `1000000`.
//! Execution is total and bounded: its work, its depth and the weight of every value have limits, and every mistake is a
//! [`Fault`].

use std::collections::BTreeMap;
use std::fmt::Write as _;

use gotmpl::parse::{BranchNode, CommandNode, Expr, ListNode, Node, Number, Parser, PipeNode};

use super::Fault;
use super::path::GoPath;
use super::value::{HEAVIEST, Value};
use super::{builtin, sprig};

/// How much work one rendering may do: a unit is about a byte looked at or a step taken.
const WORK: usize = 20_000_000;
/// How deep templates may call each other.
const DEEPEST: usize = 50;

/// A parsed template.
#[derive(Clone, Debug)]
pub struct Template {
    tree: ListNode,
    defines: BTreeMap<String, ListNode>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    ///
    /// When Go would not take it, or when it uses a function that is left out here.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        balanced(text)?;
        let parsed = Parser::new(text, "{{", "}}").and_then(Parser::parse);
        let (tree, defined) = parsed.map_err(|error| Fault::new(error.to_string()))?;
        let mut defines: BTreeMap<String, ListNode> = BTreeMap::new();
        for define in defined {
            let known = defines.entry(define.name.to_string());
            match known {
                std::collections::btree_map::Entry::Occupied(_) if define.body.is_empty_tree() => {}
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    if !known.get().is_empty_tree() {
                        return Err(Fault::new(format!(
                            "multiple definition of template \"{}\"",
                            define.name
                        )));
                    }
                    known.insert(define.body);
                }
                std::collections::btree_map::Entry::Vacant(free) => {
                    free.insert(define.body);
                }
            }
        }
        let mut check = Check::default();
        for body in [&tree].into_iter().chain(defines.values()) {
            check.variables = vec!["$".to_owned()];
            check.list(body)?;
        }
        Ok(Self { tree, defines })
    }

    /// The tree of the template itself.
    pub(crate) fn tree(&self) -> &ListNode {
        &self.tree
    }

    /// Whether it calls or defines other templates.
    pub(crate) fn has_defines(&self) -> bool {
        !self.defines.is_empty()
    }

    /// Whether it looks at a field of its data; also when it might, because it takes all of the data.
    #[must_use]
    pub fn reads(&self, field: &str) -> bool {
        self.check().is_none_or(|check| {
            check.whole
                || check
                    .fields
                    .iter()
                    .any(|path| path.first().is_some_and(|it| it == field))
        })
    }

    /// What all its bodies look at.
    fn check(&self) -> Option<Check> {
        let mut check = Check::default();
        for body in [&self.tree].into_iter().chain(self.defines.values()) {
            check.variables = vec!["$".to_owned()];
            check.list(body).ok()?;
        }
        Some(check)
    }

    /// Fills the template of a mutation in: with the value at its path, the object being changed, and the one on the other
    /// side. The result is trimmed.
    ///
    /// # Errors
    ///
    /// When Go would stop, or when a limit is reached.
    pub fn fill(
        &self,
        value: Option<&serde_json::Value>,
        this: &serde_json::Value,
        other: Option<&serde_json::Value>,
    ) -> Result<String, Fault> {
        let empty = serde_json::json!({});
        self.render(&super::data(
            value,
            Value::of(this),
            Value::of(other.unwrap_or(&empty)),
        ))
    }

    /// Fills the template of a name in.
    pub(crate) fn fill_naming(
        &self,
        cluster: &str,
        path: &str,
        object: &serde_json::Value,
    ) -> Result<String, Fault> {
        self.render(&Value::Context(std::sync::Arc::new([
            ("Object", Value::of(object)),
            ("ClusterName", Value::text(cluster)),
            ("ClusterPath", Value::text(path)),
        ])))
    }

    /// Fills the template of a text in by which related objects are found or named.
    pub(crate) fn fill_found(&self, scene: &crate::definition::Scene<'_>) -> Result<String, Fault> {
        use crate::definition::Side;
        let object = |object: Option<&serde_json::Value>| match object {
            Some(object) => Value::of(object),
            None => Value::of(&serde_json::json!({})),
        };
        let (side, this) = match scene.side {
            Side::Workspace => ("kcp", scene.order),
            Side::Service => ("service", scene.copy),
        };
        self.render(&Value::Context(std::sync::Arc::new([
            ("Side", Value::text(side)),
            ("Object", object(this)),
            ("RemoteObject", object(scene.order)),
            ("LocalObject", object(scene.copy)),
            ("ClusterName", Value::text(scene.cluster)),
            ("ClusterPath", Value::text(scene.path)),
            ("Value", Value::text(scene.found.unwrap_or_default())),
            (
                "RelatedObject",
                scene.object.map_or(Value::Missing, Value::of),
            ),
        ])))
    }

    /// The fields of its data that it looks at, each as a path; `None`: perhaps all.
    pub(crate) fn looks(&self) -> Option<Vec<Vec<String>>> {
        let check = self.check()?;
        (!check.whole).then_some(check.fields)
    }

    /// Fills the template in; the result is trimmed.
    ///
    /// # Errors
    ///
    /// When Go would stop, or when a limit is reached.
    pub(super) fn render(&self, data: &Value) -> Result<String, Fault> {
        let mut run = Run {
            template: self,
            out: String::new(),
            variables: vec![("$".to_owned(), data.clone())],
            work: WORK,
            depth: 0,
        };
        match run.list(&self.tree, data)? {
            Flow::On => Ok(run.out.trim().to_owned()),
            Flow::Break | Flow::Continue => Err(Fault::new("break or continue outside of a range")),
        }
    }
}

/// Whether every block is closed: the parser takes what is left open.
fn balanced(text: &str) -> Result<(), Fault> {
    let mut depth = 0_usize;
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        rest = &rest[at + 2..];
        let action = rest
            .strip_prefix("- ")
            .map_or(rest, str::trim_start)
            .trim_start();
        if let Some(comment) = action.strip_prefix("/*") {
            let Some(end) = comment.find("*/") else {
                return Ok(());
            };
            rest = &comment[end + 2..];
            continue;
        }
        let end = action
            .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .unwrap_or(action.len());
        match &action[..end] {
            "if" | "range" | "with" | "define" | "block" => depth += 1,
            "end" => {
                depth = depth
                    .checked_sub(1)
                    .ok_or_else(|| Fault::new("unexpected {{end}}"))?;
            }
            "else" if depth == 0 => return Err(Fault::new("unexpected {{else}}")),
            _ => {}
        }
        rest = behind_action(rest);
    }
    if depth > 0 {
        return Err(Fault::new("unexpected EOF: a block has no {{end}}"));
    }
    Ok(())
}

/// What follows an action, whose strings may hold braces.
fn behind_action(text: &str) -> &str {
    let mut quote = None;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match quote {
            None if text[at..].starts_with("}}") => return &text[at + 2..],
            None if matches!(c, '"' | '\'' | '`') => quote = Some(c),
            Some(open) if c == open => quote = None,
            Some(open) if c == '\\' && open != '`' => {
                chars.next();
            }
            _ => {}
        }
    }
    ""
}

/// Looks for functions and variables that do not exist, and notes what is read.
#[derive(Default)]
struct Check {
    variables: Vec<String>,
    ranges: usize,
    /// What is read from dot or `$`.
    fields: Vec<Vec<String>>,
    /// Whether dot or `$` is used as a whole.
    whole: bool,
}

impl Check {
    fn list(&mut self, list: &ListNode) -> Result<(), Fault> {
        list.nodes.iter().try_for_each(|node| self.node(node))
    }

    fn node(&mut self, node: &Node) -> Result<(), Fault> {
        match node {
            Node::List(list) => self.list(list),
            Node::Text(_) | Node::Define(_) => Ok(()),
            Node::Action(action) => self.pipe(&action.pipe),
            Node::If(branch) | Node::With(branch) => self.branch(branch, false),
            Node::Range(branch) => self.branch(branch, true),
            Node::Template(node) => node.pipe.as_ref().map_or(Ok(()), |pipe| self.pipe(pipe)),
            Node::Break(_) | Node::Continue(_) if self.ranges == 0 => {
                Err(Fault::new("break or continue outside of a range"))
            }
            Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn branch(&mut self, branch: &BranchNode, range: bool) -> Result<(), Fault> {
        let mark = self.variables.len();
        self.pipe(&branch.pipe)?;
        self.ranges += usize::from(range);
        self.list(&branch.body)?;
        self.ranges -= usize::from(range);
        if let Some(list) = &branch.else_body {
            self.list(list)?;
        }
        self.variables.truncate(mark);
        Ok(())
    }

    fn pipe(&mut self, pipe: &PipeNode) -> Result<(), Fault> {
        for command in &pipe.commands {
            for expr in &command.args {
                self.expr(expr)?;
            }
        }
        for name in &pipe.decl {
            if !pipe.is_assign {
                self.variables.push(name.to_string());
            } else if !self.variables.iter().any(|it| it == name.as_str()) {
                return Err(Fault::new(format!("undefined variable \"{name}\"")));
            }
        }
        Ok(())
    }

    fn expr(&mut self, expr: &Expr) -> Result<(), Fault> {
        match expr {
            Expr::Identifier(_, name) => {
                if builtin::is_known(name) || sprig::find(name).is_some() {
                    return Ok(());
                }
                Err(Fault::new(match sprig::left_out(name) {
                    Some(why) => format!("the function `{name}` is left out: {why}"),
                    None => format!("function \"{name}\" not defined"),
                }))
            }
            Expr::Variable(_, name, fields) => {
                if name == "$" {
                    if fields.is_empty() {
                        self.whole = true;
                    } else {
                        self.fields
                            .push(fields.iter().map(ToString::to_string).collect());
                    }
                }
                if self.variables.iter().any(|it| it == name.as_str()) {
                    Ok(())
                } else {
                    Err(Fault::new(format!("undefined variable \"{name}\"")))
                }
            }
            Expr::Field(_, fields) => {
                self.fields
                    .push(fields.iter().map(ToString::to_string).collect());
                Ok(())
            }
            Expr::Dot(_) => {
                self.whole = true;
                Ok(())
            }
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expr(inner),
            _ => Ok(()),
        }
    }
}

enum Flow {
    On,
    Break,
    Continue,
}

struct Run<'a> {
    template: &'a Template,
    out: String,
    variables: Vec<(String, Value)>,
    work: usize,
    depth: usize,
}

impl Run<'_> {
    fn charge(&mut self, work: usize) -> Result<(), Fault> {
        match self.work.checked_sub(work + 1) {
            Some(left) => {
                self.work = left;
                Ok(())
            }
            None => Err(Fault::new("the template does too much work")),
        }
    }

    fn list(&mut self, list: &ListNode, dot: &Value) -> Result<Flow, Fault> {
        for node in &list.nodes {
            match self.node(node, dot)? {
                Flow::On => {}
                other => return Ok(other),
            }
        }
        Ok(Flow::On)
    }

    fn node(&mut self, node: &Node, dot: &Value) -> Result<Flow, Fault> {
        self.charge(1)?;
        match node {
            Node::List(list) => return self.list(list, dot),
            Node::Text(text) => self.print(&text.text)?,
            Node::Action(action) => {
                let value = self.pipe(&action.pipe, dot)?;
                if action.pipe.decl.is_empty() {
                    match value {
                        Value::Missing | Value::Nil => self.print("<no value>")?,
                        Value::Text(text) => self.print(&text)?,
                        other => {
                            self.charge(other.weight())?;
                            self.print(&other.to_string())?;
                        }
                    }
                }
            }
            Node::If(branch) => return self.branch(branch, dot, false),
            Node::With(branch) => return self.branch(branch, dot, true),
            Node::Range(branch) => {
                let mark = self.variables.len();
                let flow = self.range(branch, dot);
                self.variables.truncate(mark);
                return flow;
            }
            Node::Template(node) => {
                let data = match &node.pipe {
                    Some(pipe) => self.pipe(pipe, dot)?,
                    None => Value::Missing,
                };
                self.call_template(node.name.as_str(), &data)?;
            }
            Node::Define(_) => {}
            Node::Break(_) => return Ok(Flow::Break),
            Node::Continue(_) => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn print(&mut self, text: &str) -> Result<(), Fault> {
        self.charge(text.len())?;
        if self.out.len() + text.len() > HEAVIEST {
            return Err(Fault::new("the result is too long"));
        }
        self.out.push_str(text);
        Ok(())
    }

    fn call_template(&mut self, name: &str, data: &Value) -> Result<(), Fault> {
        let template = self.template;
        let body = template
            .defines
            .get(name)
            .ok_or_else(|| Fault::new(format!("template \"{name}\" not defined")))?;
        if self.depth == DEEPEST {
            return Err(Fault::new("templates call each other too deeply"));
        }
        self.depth += 1;
        let outer = std::mem::replace(&mut self.variables, vec![("$".to_owned(), data.clone())]);
        let flow = self.list(body, data)?;
        self.variables = outer;
        self.depth -= 1;
        match flow {
            Flow::On => Ok(()),
            _ => Err(Fault::new("break or continue outside of a range")),
        }
    }

    fn branch(&mut self, branch: &BranchNode, dot: &Value, with: bool) -> Result<Flow, Fault> {
        let mark = self.variables.len();
        let value = self.pipe(&branch.pipe, dot)?;
        let flow = if value.truth() {
            self.list(&branch.body, if with { &value } else { dot })
        } else {
            match &branch.else_body {
                Some(list) => self.list(list, dot),
                None => Ok(Flow::On),
            }
        };
        self.variables.truncate(mark);
        flow
    }

    fn range(&mut self, branch: &BranchNode, dot: &Value) -> Result<Flow, Fault> {
        let value = self.pipe(&branch.pipe, dot)?;
        let mark = self.variables.len();
        let mut ran = false;
        match value {
            Value::Int(count) | Value::Int64(count) => {
                if branch.pipe.decl.len() > 1 {
                    return Err(Fault::new(format!(
                        "can't use {count} to iterate over more than one variable"
                    )));
                }
                let wide = matches!(value, Value::Int64(_));
                for at in 0..count.max(0) {
                    ran = true;
                    let item = if wide {
                        Value::Int64(at)
                    } else {
                        Value::Int(at)
                    };
                    if !self.turn(branch, mark, Value::Missing, &item)? {
                        break;
                    }
                }
            }
            Value::List(list) => {
                for (at, item) in list.items().iter().enumerate() {
                    ran = true;
                    let at = i64::try_from(at).unwrap_or(i64::MAX);
                    if !self.turn(branch, mark, Value::Int(at), item)? {
                        break;
                    }
                }
            }
            Value::Map(map) => {
                for (key, item) in map.entries() {
                    ran = true;
                    if !self.turn(branch, mark, Value::text(key.clone()), item)? {
                        break;
                    }
                }
            }
            Value::Missing | Value::Nil => {}
            other => {
                return Err(Fault::new(format!(
                    "range can't iterate over {}",
                    other.kind()
                )));
            }
        }
        match &branch.else_body {
            Some(list) if !ran => self.list(list, dot),
            _ => Ok(Flow::On),
        }
    }

    /// One iteration; false: the range was left.
    fn turn(
        &mut self,
        branch: &BranchNode,
        mark: usize,
        index: Value,
        item: &Value,
    ) -> Result<bool, Fault> {
        self.charge(1)?;
        let names = &branch.pipe.decl;
        match (names.as_slice(), branch.pipe.is_assign) {
            ([], _) => {}
            ([one], true) => self.assign(one.as_str(), item.clone()),
            ([first, second, ..], true) => {
                self.assign(first.as_str(), index);
                self.assign(second.as_str(), item.clone());
            }
            ([_], false) => self.set_top(1, item.clone()),
            (_, false) => {
                self.set_top(1, item.clone());
                self.set_top(2, index);
            }
        }
        let flow = self.list(&branch.body, item);
        self.variables.truncate(mark);
        Ok(!matches!(flow?, Flow::Break))
    }

    fn set_top(&mut self, from_top: usize, value: Value) {
        let at = self.variables.len().checked_sub(from_top);
        if let Some(slot) = at.and_then(|at| self.variables.get_mut(at)) {
            slot.1 = value;
        }
    }

    fn assign(&mut self, name: &str, value: Value) {
        if let Some(slot) = self.variables.iter_mut().rev().find(|(it, _)| it == name) {
            slot.1 = value;
        }
    }

    fn variable(&self, name: &str) -> Result<Value, Fault> {
        let known = self.variables.iter().rev().find(|(it, _)| it == name);
        known
            .map(|(_, value)| value.clone())
            .ok_or_else(|| Fault::new(format!("undefined variable: {name}")))
    }

    fn pipe(&mut self, pipe: &PipeNode, dot: &Value) -> Result<Value, Fault> {
        let mut value = None;
        for command in &pipe.commands {
            let next = self.command(command, dot, value)?;
            // What comes out of a command is a thing itself: a null is nothing.
            value = Some(match next {
                Value::Nil => Value::Missing,
                other => other,
            });
        }
        let value = value.unwrap_or(Value::Missing);
        for name in &pipe.decl {
            if pipe.is_assign {
                self.assign(name.as_str(), value.clone());
            } else {
                self.variables.push((name.to_string(), value.clone()));
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        command: &CommandNode,
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        self.charge(1)?;
        let Some((first, args)) = command.args.split_first() else {
            return Err(Fault::new("missing value for command"));
        };
        match first {
            Expr::Identifier(_, name) => return self.function(name.as_str(), args, dot, piped),
            Expr::Field(_, fields) => return self.chain(dot.clone(), fields, args, dot, piped),
            Expr::Chain(_, inner, fields) => {
                if matches!(**inner, Expr::Nil(_)) {
                    return Err(Fault::new("indirection through explicit nil"));
                }
                let value = self.arg(inner, dot)?;
                return self.chain(value, fields, args, dot, piped);
            }
            Expr::Variable(_, name, fields) if !fields.is_empty() => {
                let value = self.variable(name.as_str())?;
                return self.chain(value, fields, args, dot, piped);
            }
            _ => {}
        }
        if piped.is_some() || !args.is_empty() {
            return Err(Fault::new("can't give argument to non-function"));
        }
        match first {
            Expr::Nil(_) => Err(Fault::new("nil is not a command")),
            other => self.arg(other, dot),
        }
    }

    fn arg(&mut self, expr: &Expr, dot: &Value) -> Result<Value, Fault> {
        match expr {
            Expr::Dot(_) => Ok(dot.clone()),
            Expr::Nil(_) => Ok(Value::Nil),
            Expr::Field(_, fields) => self.chain(dot.clone(), fields, &[], dot, None),
            Expr::Variable(_, name, fields) => {
                let value = self.variable(name.as_str())?;
                self.chain(value, fields, &[], dot, None)
            }
            Expr::Identifier(_, name) => self.function(name.as_str(), &[], dot, None),
            Expr::String(_, text) => Ok(Value::Text(text.clone())),
            Expr::Number(_, Number::Int(it)) => Ok(Value::Int(*it)),
            Expr::Number(_, Number::Float(it)) => Ok(Value::Float(*it)),
            Expr::Number(_, Number::Uint(it)) => Err(Fault::new(format!("{it} overflows int"))),
            Expr::Bool(_, it) => Ok(Value::Bool(*it)),
            Expr::Pipe(_, pipe) => self.pipe(pipe, dot),
            Expr::Chain(_, inner, fields) => {
                let value = self.arg(inner, dot)?;
                self.chain(value, fields, &[], dot, None)
            }
        }
    }

    /// Goes down fields; only the last may be a method with arguments.
    fn chain<T: AsRef<str>>(
        &mut self,
        mut value: Value,
        fields: &[T],
        args: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        let Some((last, before)) = fields.split_last() else {
            return Ok(value);
        };
        for field in before {
            value = member(&value, field.as_ref())?;
        }
        let name = last.as_ref();
        if args.is_empty() && piped.is_none() {
            return member(&value, name);
        }
        if let (Value::Found(found), "Get") = (&value, name) {
            let mut given = Vec::new();
            for arg in args {
                given.push(self.arg(arg, dot)?);
            }
            given.extend(piped);
            let [Value::Text(path)] = given.as_slice() else {
                return Err(Fault::new("Get takes one path"));
            };
            let below = GoPath::parse(path)?;
            let below = found.value().and_then(|it| below.get(it));
            return Ok(Value::Found(std::sync::Arc::new(super::found::Found::new(
                below,
            ))));
        }
        Err(Fault::new(format!(
            "{name} is not a method but has arguments"
        )))
    }

    fn function(
        &mut self,
        name: &str,
        args: &[Expr],
        dot: &Value,
        piped: Option<Value>,
    ) -> Result<Value, Fault> {
        self.charge(1)?;
        if name == "and" || name == "or" {
            if args.is_empty() && piped.is_none() {
                return Err(Fault::new(format!(
                    "wrong number of args for {name}: want at least 1 got 0"
                )));
            }
            let mut last = Value::Missing;
            for arg in args {
                last = self.arg(arg, dot)?;
                if last.truth() == (name == "or") {
                    return Ok(last);
                }
            }
            return Ok(piped.unwrap_or(last));
        }
        let mut given = Vec::with_capacity(args.len() + 1);
        for arg in args {
            given.push(self.arg(arg, dot)?);
        }
        given.extend(piped);
        let weight = given
            .iter()
            .fold(0_usize, |sum, it| sum.saturating_add(it.weight()));
        self.charge(weight.min(WORK))?;
        let function = sprig::find(name)
            .or_else(|| builtin::find(name))
            .ok_or_else(|| Fault::new(format!("function \"{name}\" not defined")))?;
        let value = function
            .call(name, &given)
            .map_err(|why| Fault::new(format!("error calling {name}: {why}")))?;
        if value.weight() > HEAVIEST {
            return Err(Fault::new(format!("what {name} makes is too large")));
        }
        self.charge(value.weight())?;
        Ok(value)
    }
}

/// A field of a value.
fn member(value: &Value, name: &str) -> Result<Value, Fault> {
    match value {
        Value::Missing => Ok(Value::Missing),
        Value::Nil => Err(Fault::new(format!(
            "nil pointer evaluating interface {{}}.{name}"
        ))),
        Value::Map(map) => Ok(map.entries().get(name).cloned().unwrap_or(Value::Missing)),
        Value::Context(fields) => match fields.iter().find(|(field, _)| *field == name) {
            Some((_, value)) => Ok(value.clone()),
            None => Err(Fault::new(format!("can't evaluate field {name}"))),
        },
        Value::Found(found) => match found.field(name) {
            Some(value) => Ok(value),
            None => Err(Fault::new(format!(
                "can't evaluate field {name} in type gjson.Result"
            ))),
        },
        other => Err(Fault::new(format!(
            "can't evaluate field {name} in type {}",
            other.kind()
        ))),
    }
}

/// A number of values as Go counts them.
pub(super) fn count(length: usize) -> Value {
    Value::Int(i64::try_from(length).unwrap_or(i64::MAX))
}

/// Writes a value into a text.
pub(super) fn shown(value: &Value) -> String {
    let mut out = String::new();
    let _ = write!(out, "{value}");
    out
}
