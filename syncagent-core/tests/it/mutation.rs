//! Mutations: Go's results, and rules applied to objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use syncagent_core::definition::{
    At, Change, Definition, Mutation, Mutations, Pass, SchemaSource, StatusRule,
};
use syncagent_core::mutation::{Expression, GoPath, Pattern, Pipeline, Stop, Template};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{AGENT, compile, key, order, thing};
use crate::world::{Agent, World};

/// What Go's libraries made of each case; see `tests/go/main.go`.
const RECORDED: &str = include_str!("../go/cases.jsonl");
/// The same for inputs that were made at random; see `tests/go/random.go`.
const RANDOM: &str = include_str!("../go/random.jsonl");

/// Cases whose result differs from Go's on purpose, each with its reason.
const KNOWN: &[(&str, &str)] = &[
    (
        r#"{{ printf "%.2f" .LocalObject.spec.n }}"#,
        "Go applies the precision of a verb to its own complaint about it",
    ),
    (
        "{{ .LocalObject.metadata.name | }}",
        "Go takes a pipe that leads nowhere; it is refused when it is compiled",
    ),
    (
        "self.spec.n + 1",
        "integers of the API are integers here, doubles in the Go agent",
    ),
    ("9223372036854775807", "an integer stays one however large"),
    (
        "1 == 1.0",
        "types of constants are compared when the expression runs, not before",
    ),
    (
        "'a' == 'a' ? 1 : 'x'",
        "types of constants are compared when the expression runs, not before",
    ),
];

struct Case {
    named: BTreeMap<String, Value>,
    case: Value,
}

impl Case {
    fn part(&self, key: &str) -> Option<&Value> {
        let part = self.case.get(key)?;
        let name = part.as_str().filter(|it| it.starts_with('@'));
        Some(name.map_or(part, |name| &self.named[name]))
    }

    fn text(&self, key: &str) -> &str {
        self.case[key].as_str().unwrap_or_default()
    }

    /// The key that tells what kind of case it is.
    fn subject(&self) -> &str {
        let kinds = ["get", "set", "delete", "regex", "template", "cel"];
        let kind = kinds.into_iter().find(|it| self.case.get(it).is_some());
        self.text(kind.expect("a case has a kind"))
    }

    fn ours(&self) -> Result<Option<Value>, String> {
        let empty = json!({});
        let object = || self.part("in").unwrap_or(&empty).clone();
        let say = |fault: syncagent_core::mutation::Fault| fault.to_string();
        if let Some(path) = self.case.get("get").and_then(Value::as_str) {
            return Ok(GoPath::parse(path).map_err(say)?.get(&object()));
        }
        if let Some(path) = self.case.get("set").and_then(Value::as_str) {
            let mut object = object();
            let path = GoPath::parse(path).map_err(say)?;
            path.set(&mut object, &self.case["value"]).map_err(say)?;
            return Ok(Some(object));
        }
        if let Some(path) = self.case.get("delete").and_then(Value::as_str) {
            let mut object = object();
            let path = GoPath::parse(path).map_err(say)?;
            path.delete(&mut object).map_err(say)?;
            return Ok(Some(object));
        }
        if let Some(pattern) = self.case.get("regex").and_then(Value::as_str) {
            let pattern = Pattern::parse(pattern).map_err(say)?;
            let replaced = pattern.replace_all(self.text("text"), self.text("replacement"));
            return Ok(Some(json!(replaced)));
        }
        if let Some(template) = self.case.get("template").and_then(Value::as_str) {
            let template = Template::parse(template).map_err(say)?;
            let local = self.part("local").unwrap_or(&empty);
            let filled = template.fill(self.part("value"), local, self.part("remote"));
            return filled.map(|text| Some(json!(text))).map_err(say);
        }
        let expression = Expression::parse(self.text("cel")).map_err(say)?;
        let this = self.part("self").unwrap_or(&empty);
        let value = expression.evaluate(this, self.part("other"), self.part("value"));
        value.map(Some).map_err(say)
    }
}

fn cases(recorded: &str) -> Vec<Case> {
    let mut named = BTreeMap::new();
    let mut all = Vec::new();
    for line in recorded.lines() {
        let case: Value = serde_json::from_str(line).expect("a case is JSON");
        match case["name"].as_str() {
            Some(name) => {
                named.insert(name.to_owned(), case["is"].clone());
            }
            None => all.push(case),
        }
    }
    let with = |case| Case {
        named: named.clone(),
        case,
    };
    all.into_iter().map(with).collect()
}

/// Numbers count by their value: 1.0 is 1.
fn plain(value: &Value) -> Value {
    match value {
        Value::Number(it) => json!(it.as_f64()),
        Value::Array(it) => it.iter().map(plain).collect(),
        Value::Object(it) => {
            let entries = it.iter().map(|(key, it)| (key.clone(), plain(it)));
            Value::Object(entries.collect())
        }
        other => other.clone(),
    }
}

/// How many cases there are, and those whose result is another one than Go's.
fn differences(recorded: &str) -> (usize, Vec<String>) {
    let cases = cases(recorded);
    let mut wrong = Vec::new();
    for case in &cases {
        let failed = case.case.get("error").is_some();
        let theirs = case.case.get("out").map(plain);
        let ours = case.ours();
        let same = match &ours {
            Ok(ours) => !failed && ours.as_ref().map(plain) == theirs,
            Err(_) => failed,
        };
        let known = KNOWN.iter().any(|(subject, _)| *subject == case.subject());
        if !same && !known {
            wrong.push(format!("{}\n    ours: {ours:?}", case.case));
        }
    }
    (cases.len(), wrong)
}

fn assert_same((count, wrong): (usize, Vec<String>), least: usize) {
    assert!(count >= least, "there are {count} cases");
    let differ = wrong.len();
    assert!(
        wrong.is_empty(),
        "{differ} of {count} differ:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn results_are_those_of_go() {
    assert_same(differences(RECORDED), 900);
}

/// Inputs that follow from a seed. `SYNCAGENT_GO_CASES` names a file with more of them, as `.ci/run` makes it.
#[test]
fn results_at_random_are_those_of_go() {
    assert_same(differences(RANDOM), 600);
    if let Some(path) = std::env::var_os("SYNCAGENT_GO_CASES") {
        let more = std::fs::read_to_string(&path).expect("the file of more cases");
        assert_same(differences(&more), 1);
    }
}

fn apply(mutations: &[Mutation], object: Value) -> Result<Value, Stop> {
    let pipeline = Pipeline::compile(mutations).expect("it compiles");
    let mut object = object;
    pipeline.apply(&mut object, None)?;
    Ok(object)
}

fn one(at: &str, change: Change, object: Value) -> Value {
    apply(&[Mutation::new(at, change)], object).expect("it can be applied")
}

fn regex(pattern: &str, replacement: &str) -> Change {
    Change::Regex {
        pattern: pattern.into(),
        replacement: replacement.into(),
    }
}

fn tenfold(value: &Value) -> Result<Value, String> {
    match value.as_i64() {
        Some(it) if it > 9 => Err("at most 9".into()),
        Some(it) => Ok(json!(it * 10)),
        None => Ok(Value::Null),
    }
}

#[test]
fn each_change_does_what_it_says() {
    let hosts = || json!({"spec": {"hosts": [{"name": "a.x"}, {"name": "b.x", "tls": true}]}});
    let names = |of: &Value, field: &str| -> Vec<Value> {
        let hosts = of["spec"]["hosts"].as_array().expect("a list");
        hosts.iter().map(|it| it[field].clone()).collect()
    };
    let set = one("spec.hosts[].tls", Change::Set(json!(false)), hosts());
    assert_eq!(names(&set, "tls"), [json!(false), json!(false)]);
    let default = one("spec.hosts[].tls", Change::Default(json!(false)), hosts());
    assert_eq!(names(&default, "tls"), [json!(false), json!(true)]);
    let deleted = one("spec.hosts[].tls", Change::Delete, hosts());
    assert_eq!(names(&deleted, "tls"), [Value::Null, Value::Null]);
    assert_eq!(deleted["spec"]["hosts"][1], json!({"name": "b.x"}));
    let cut = one("spec.hosts[].name", regex(r"\.x$", ""), hosts());
    assert_eq!(names(&cut, "name"), [json!("a"), json!("b")]);
    let filled = one(
        "spec.hosts[].url",
        Change::Template("https://{{ len .LocalObject.spec.hosts }}".into()),
        hosts(),
    );
    assert_eq!(
        names(&filled, "url"),
        [json!("https://2"), json!("https://2")]
    );
    let sum = one(
        "spec.count",
        Change::Cel("size(self.spec.hosts) + 1".into()),
        hosts(),
    );
    assert_eq!(sum["spec"]["count"], json!(3));
    let each = one(
        "spec.hosts[].name",
        Change::Cel("value + '.y'".into()),
        hosts(),
    );
    assert_eq!(names(&each, "name"), [json!("a.x.y"), json!("b.x.y")]);
    let gone = one(
        "spec.hosts[]",
        Change::Cel("has(value.tls) ? value : null".into()),
        hosts(),
    );
    assert_eq!(
        gone,
        json!({"spec": {"hosts": [{"name": "b.x", "tls": true}]}})
    );
    let size = json!({"spec": {"size": 4}});
    assert_eq!(
        one("spec.size", Change::Function(tenfold), size.clone())["spec"],
        json!({"size": 40})
    );
    assert_eq!(
        one("spec.none", Change::Function(tenfold), size.clone()),
        size
    );
    let go = Mutation {
        at: At::Go("spec.hosts.#.name".into()),
        change: Change::Set(json!("same")),
    };
    assert_eq!(
        names(&apply(&[go], hosts()).expect("fine"), "name"),
        [json!("same"), json!("same")]
    );
}

#[test]
fn a_mutation_sees_what_those_before_it_made() {
    let made = apply(
        &[
            Mutation::new("spec.a", Change::Set(json!("x"))),
            Mutation::new(
                "spec.b",
                Change::Template("{{ .LocalObject.spec.a }}y".into()),
            ),
            Mutation::new("spec.c", Change::Cel("self.spec.b + 'z'".into())),
        ],
        json!({}),
    );
    assert_eq!(made.expect("fine")["spec"]["c"], json!("xyz"));
}

#[test]
fn maps_are_walked_in_the_same_order_each_time() {
    let map: serde_json::Map<String, Value> =
        (0..50).map(|at| (format!("k{at:02}"), json!(at))).collect();
    let keys: Vec<_> = map.keys().cloned().collect();
    let object = json!({"spec": {"m": map}});
    for _ in 0..3 {
        let made = one(
            "spec.keys",
            Change::Cel("self.spec.m.map(k, k)".into()),
            object.clone(),
        );
        assert_eq!(made["spec"]["keys"], json!(keys));
    }
}

#[test]
fn nothing_grows_or_runs_without_end() {
    let list: Vec<_> = (0..2000).collect();
    let text = "a".repeat(100_000);
    let object = json!({"spec": {"list": list, "text": text}});
    for change in [
        Change::Template("{{ repeat 1000000000 \"x\" }}".into()),
        Change::Template("{{ range 1000000000 }}x{{ end }}".into()),
        Change::Template(
            "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}".into(),
        ),
        Change::Template(
            "{{ $l := list 1 }}{{ range 100 }}{{ $l = list $l $l }}{{ end }}{{ $l }}".into(),
        ),
        Change::Template("{{ until 1000000000 }}".into()),
        Change::Template("{{ range until 90000 }}{{ range until 90000 }}{{ end }}{{ end }}".into()),
        Change::Template(
            "{{ replace \"a\" .LocalObject.spec.text .LocalObject.spec.text }}".into(),
        ),
        Change::Template("{{ printf \"%1000000000d\" 1 | repeat 1000 }}".into()),
        Change::Cel(
            "self.spec.list.map(a, self.spec.list.map(b, self.spec.list.map(c, 1)))".into(),
        ),
        regex("a", &"b".repeat(1000)),
    ] {
        let at = if matches!(change, Change::Regex { .. }) {
            "spec.text"
        } else {
            "spec.out"
        };
        let stop = apply(&[Mutation::new(at, change.clone())], object.clone());
        let stop = stop.expect_err(&format!("{change:?}"));
        assert_eq!(stop.said, None);
    }
    let deep = Mutation {
        at: At::Go("a.99999999".into()),
        change: Change::Set(json!(1)),
    };
    assert!(apply(&[deep], json!({})).is_err());
}

fn mutated(down: Vec<Mutation>, up: Vec<Mutation>) -> Definition {
    Definition {
        mutations: Mutations {
            down,
            up,
            ..Mutations::default()
        },
        ..thing()
    }
}

fn down(publication: &Publication, spec: &Value, labels: &Value) -> Value {
    let key = key(publication, "a");
    let mut origin = order(publication, &key, spec);
    origin["metadata"]["uid"] = json!("u1");
    origin["metadata"]["labels"] = labels.clone();
    publication
        .intent(&key, &origin)
        .expect("it goes down")
        .object
}

#[test]
fn what_goes_down_is_changed_after_it_was_moved() {
    let publication = compile(Definition {
        pass: Pass {
            labels: vec!["team".into()],
            ..Pass::default()
        },
        ..mutated(
            vec![
                Mutation::new("spec.color", regex("^", "dark-")),
                Mutation::new(
                    "spec.note",
                    Change::Template("{{ .LocalObject.metadata.name }}".into()),
                ),
                Mutation::new(
                    "metadata.labels.size",
                    Change::Cel("string(self.spec.size)".into()),
                ),
                Mutation::new("metadata.labels.team", regex("r", "R")),
            ],
            vec![],
        )
    });
    let copy = down(
        &publication,
        &json!({"color": "red", "size": 3}),
        &json!({"team": "red", "private": "x"}),
    );
    assert_eq!(
        copy["spec"],
        json!({"color": "dark-red", "size": 3, "note": "a"})
    );
    assert_eq!(copy["metadata"]["labels"]["size"], json!("3"));
    assert_eq!(copy["metadata"]["labels"]["team"], json!("Red"));
    assert_eq!(copy["metadata"]["labels"].get("private"), None);
    assert_eq!(copy["kind"], json!("Thing"));
    assert_eq!(copy.get("status"), None);
}

#[test]
fn no_mutation_writes_whose_a_copy_is() {
    let steal = |value: &Value| -> Result<Value, String> {
        let mut object = value.clone();
        object["kind"] = json!("Secret");
        object["metadata"] = json!({
            "name": "other", "namespace": "kube-system",
            "labels": {"syncagent.kcp.io/agent-name": "mine", "syncagent.kcp.io/remote-object-cluster": "2xyz"},
            "annotations": {"syncagent.kcp.io/origin-uid": "stolen"},
            "ownerReferences": [{"name": "x"}],
        });
        object["status"] = json!({"phase": "Ready"});
        Ok(object)
    };
    let honest = compile(mutated(vec![], vec![]));
    let thief = compile(mutated(
        vec![Mutation::new("", Change::Function(steal))],
        vec![],
    ));
    let spec = json!({"size": 1});
    assert_eq!(
        down(&thief, &spec, &Value::Null),
        down(&honest, &spec, &Value::Null)
    );
}

#[test]
fn a_consumer_reads_of_their_own_field_and_the_provider_of_the_rule() {
    let publication = compile(mutated(
        vec![
            Mutation::new("spec.size", Change::Function(tenfold)),
            Mutation::new(
                "spec.color",
                Change::Template("{{ index .LocalObject.spec.hosts 5 }}".into()),
            ),
        ],
        vec![],
    ));
    let key = key(&publication, "a");
    let refused = |spec: &Value| {
        let origin = order(&publication, &key, spec);
        publication
            .intent(&key, &origin)
            .expect_err("it is refused")
    };
    let said = refused(&json!({"size": 10}));
    assert_eq!(
        (said.message.as_str(), said.detail),
        ("spec.size: at most 9", None)
    );
    let failed = refused(&json!({"size": 1, "hosts": ["a"]}));
    assert_eq!(
        failed.message,
        "spec.color: the service cannot work with what is written here"
    );
    let detail = failed.detail.expect("the provider wants to know");
    assert!(
        detail.starts_with("mutation of `spec.color`: error calling index"),
        "{detail}"
    );
}

fn problems(definition: Definition) -> String {
    let compiled = Publications::compile(AGENT, &[definition]);
    compiled.expect_err("it has problems").to_string()
}

#[test]
fn all_mistakes_are_found_when_it_is_compiled() {
    let found = problems(mutated(
        vec![
            Mutation::new("spec.a", regex("(?=x)", "")),
            Mutation::new("spec.b", Change::Template("{{ env \"HOME\" }}".into())),
            Mutation::new("spec.c", Change::Template("{{ nope }}".into())),
            Mutation::new("spec.d", Change::Cel("selv.spec".into())),
            Mutation::new("spec.e", Change::Cel("1 +".into())),
            Mutation::new("kind", Change::Set(json!("Secret"))),
            Mutation::new("metadata.name", Change::Set(json!("x"))),
            Mutation::new(
                "metadata.labels[\"syncagent.kcp.io/agent-name\"]",
                Change::Delete,
            ),
            Mutation::new("metadata.labels.n", Change::Set(json!(1))),
            Mutation::new("status.phase", Change::Delete),
            Mutation::new("spec..x", Change::Delete),
            Mutation::new("", Change::Delete),
            Mutation {
                at: At::Go("spec.*.x".into()),
                change: Change::Delete,
            },
            Mutation {
                at: At::Go("{a,b}".into()),
                change: Change::Set(json!(1)),
            },
        ],
        vec![
            Mutation::new("spec.size", Change::Delete),
            Mutation::new("status.nope", Change::Set(json!("x"))),
        ],
    ));
    for part in [
        "mutation of `spec.a`: `(?=x)` is no regular expression",
        "mutation of `spec.b`: the function `env` is left out: it reads the environment",
        "mutation of `spec.c`: function \"nope\" not defined",
        "mutation of `spec.d`: undeclared reference to 'selv'",
        "mutation of `spec.e`: ",
        "mutation of `kind`: the kind of a copy is declared",
        "mutation of `metadata.name`: of the metadata, single labels",
        "it is the agent's own",
        "mutation of `metadata.labels.n`: the value of a label",
        "mutation of `status.phase`: the status of a copy",
        "mutation of `spec..x`: `spec..x` is no path",
        "mutation of ``: an empty path",
        "mutation of `spec.*.x`: `spec.*.x` may lead to several places",
        "mutation of `{a,b}`: several paths in one",
        "mutation of `spec.size`: only what is below `status` goes up",
        "mutation of `status.nope`: it is not in the schema",
    ] {
        assert!(found.contains(part), "{part}\n{found}");
    }
}

#[test]
fn what_goes_up_is_changed_before_the_consumer_sees_it() {
    let publication = compile(mutated(
        vec![],
        vec![
            Mutation::new("status.phase", regex("^db-", "")),
            Mutation::new(
                "status.owner",
                Change::Template(
                    "{{ .LocalObject.spec.size }} of {{ .LocalObject.status.observedGeneration }}"
                        .into(),
                ),
            ),
        ],
    ));
    let (mut world, mut agent) = placed(&publication);
    let copy = agent.copy();
    world.edit(&copy, |copy| {
        copy["status"] = json!({"phase": "db-ready", "observedGeneration": 1});
    });
    agent.event(&world, &copy);
    agent.run(&mut world, None);
    let status = &world.objects[&agent.origin()]["status"];
    assert_eq!(status["phase"], json!("ready"));
    assert_eq!(status["owner"], json!("3 of 1"));
    agent.assert_settled(&mut world);
}

/// Each element of a list has the change, whichever way it goes.
#[test]
fn elements_of_lists_are_changed_down_and_up() {
    let publication = compile(Definition {
        schema: SchemaSource::Cluster,
        status: StatusRule::Whole,
        ..mutated(
            vec![
                Mutation::new("spec.hosts[]", regex("$", ".svc")),
                Mutation::new("spec.items[].a", Change::Default(json!("x"))),
            ],
            vec![
                Mutation::new("status.hosts[]", regex(r"\.svc$", "")),
                Mutation::new("status.nodes[].address", Change::Delete),
            ],
        )
    });
    let key = key(&publication, "a");
    let (mut world, mut agent) = (World::default(), Agent::new(&publication, &key));
    let (origin, copy) = (agent.origin(), agent.copy());
    let spec = json!({"hosts": ["a", "b"], "items": [{}, {"a": "y"}]});
    world.put(&origin, order(&publication, &key, &spec));
    agent.event(&world, &origin);
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&copy]["spec"],
        json!({"hosts": ["a.svc", "b.svc"], "items": [{"a": "x"}, {"a": "y"}]})
    );
    world.edit(&copy, |it| {
        it["status"] = json!({"hosts": ["a.svc", "b"],
            "nodes": [{"name": "n1", "address": "10.0.0.1"}, {"name": "n2"}]});
    });
    agent.event(&world, &copy);
    agent.run(&mut world, None);
    let status = &world.objects[&origin]["status"];
    assert_eq!(status["hosts"], json!(["a", "b"]));
    assert_eq!(status["nodes"], json!([{"name": "n1"}, {"name": "n2"}]));
    agent.assert_settled(&mut world);
}

#[test]
fn a_rule_that_fails_on_the_way_up_hides_its_value() {
    let publication = compile(mutated(
        vec![],
        vec![Mutation::new(
            "status.phase",
            Change::Cel("value.nope".into()),
        )],
    ));
    let (mut world, mut agent) = placed(&publication);
    let copy = agent.copy();
    world.edit(&copy, |copy| {
        copy["status"] = json!({"phase": "secret", "observedGeneration": 1});
    });
    agent.event(&world, &copy);
    let ending = format!("{:?}", agent.run(&mut world, None));
    assert!(ending.contains("mutation of `status.phase`"), "{ending}");
    let status = &world.objects[&agent.origin()]["status"];
    assert_eq!(status.get("phase"), None);
    assert_eq!(status["observedGeneration"], json!(1));
}

fn placed(publication: &Publication) -> (World, Agent<'_>) {
    let key = key(publication, "a");
    let mut world = World::default();
    let mut agent = Agent::new(publication, &key);
    let origin = agent.origin();
    world.put(&origin, order(publication, &key, &json!({"size": 3})));
    agent.event(&world, &origin);
    agent.run(&mut world, None);
    (world, agent)
}

#[test]
fn a_mutation_that_looks_at_the_other_side_costs_a_get_per_event_and_says_so() {
    let publication = compile(mutated(
        vec![Mutation::new(
            "spec.note",
            Change::Cel("other == null || !has(other.status) ? 'new' : other.status.phase".into()),
        )],
        vec![],
    ));
    assert!(
        publication.warnings()[0].contains("costs a GET"),
        "{:?}",
        publication.warnings()
    );
    let (mut world, mut agent) = placed(&publication);
    let (origin, copy) = (agent.origin(), agent.copy());
    assert_eq!(world.objects[&copy]["spec"]["note"], json!("new"));
    agent.take_sent();
    world.edit(&copy, |copy| copy["status"] = json!({"phase": "up"}));
    agent.event(&world, &copy);
    agent.run(&mut world, None);
    assert_eq!(world.objects[&copy]["spec"]["note"], json!("up"));
    assert_eq!(
        agent.gets, 1,
        "the copy came with its event, the order was asked for"
    );
    agent.take_sent();
    world.edit(&origin, |origin| origin["spec"]["size"] = json!(4));
    agent.event(&world, &origin);
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&copy]["spec"],
        json!({"size": 4, "note": "up"})
    );
    assert_eq!(
        agent.gets, 1,
        "the order came with its event, the copy was asked for"
    );
    agent.assert_settled(&mut world);
    let plain = compile(mutated(vec![], vec![]));
    assert!(plain.warnings().is_empty());
}
