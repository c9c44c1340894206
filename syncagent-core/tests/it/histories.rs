//! Random publications, random orders, random histories.
//!
//! A publication is put together at random from everything that a definition can say: scopes, namings, what is taken and
//! returned, constants, hidden and local fields, references, status rules, and the policies on drift, adoption, deletion,
//! leaving and losses. Then consumers, the operator and strangers act at random, steps are cut off, answers are lost, and
//! old news comes late. Whatever happens:
//!
//! - every step comes to rest, and every history that stops changing settles in the world that was ordered;
//! - a settled world plans nothing;
//! - the same inputs give the same plan, byte for byte;
//! - an agent that dies after any effect, or does not hear the answer to any, leads to the same world as one that lives;
//! - what the consumer writes last is on the copy, whatever somebody else did to it;
//! - when the orders go, nothing of ours is held in a workspace, and what the policies do not keep is gone;
//! - nothing of one workspace is in another, or in another's objects.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::definition::{
    Adoption, CopyNaming, Definition, Deletion, Drift, FieldRule, Leaving, Loss, Only, Pass,
    ReadRule, ReturnRule, ReturnSource, Rule, Scope, Selector, SetRule, StatusRule, Vanished,
};
use syncagent_core::naming::Moved;
use syncagent_core::object::identity::Identity;
use syncagent_core::object::{annotation, finalizers, is_deleting, label, uid};
use syncagent_core::plan::{Ending, Key, ObjectRef, Place, Record, Sight};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, order, secret, service, takes, thing};
use crate::world::{Agent, World, take_over};

/// What a random publication is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Recipe {
    offered_cluster: bool,
    service_cluster: bool,
    naming: u8,
    takes: bool,
    takes_list: bool,
    composes: bool,
    copies: bool,
    sets: bool,
    hides: bool,
    keeps: bool,
    moves: bool,
    refers: bool,
    passes: bool,
    status: u8,
    conditions: bool,
    /// Whether orders take part that carry a label, and what becomes of the copies of those that lose it.
    leaving: Option<Leaving>,
    drift: Drift,
    adoption: Adoption,
    deletion: Deletion,
    stripped: Loss,
    vanished: Vanished,
}

prop_compose! {
    pub(crate) fn recipes()(
        scopes in any::<(bool, bool)>(),
        naming in 0..5u8,
        related in any::<(bool, bool, bool, bool)>(),
        fields in any::<(bool, bool, bool, bool, bool)>(),
        status in 0..3u8,
        rest in any::<(bool, bool)>(),
        plain in 0..3u8,
        policies in (0..3usize, 0..3usize, 0..3usize, 0..3usize, any::<bool>(), 0..4u8),
    ) -> Recipe {
        let drift = [Drift::Correct, Drift::Keep, Drift::Report][policies.0];
        let adoption = [Adoption::Refuse, Adoption::TakeOver, Adoption::LabelOnly][policies.1];
        Recipe {
            // Most kinds live in namespaces.
            offered_cluster: scopes.0 && plain == 0,
            service_cluster: scopes.1 && plain != 1,
            naming,
            takes: related.0,
            takes_list: related.1,
            composes: related.2,
            copies: related.3,
            sets: fields.0,
            hides: fields.1,
            keeps: fields.2,
            moves: fields.3,
            refers: fields.4,
            passes: rest.0,
            status,
            conditions: rest.1,
            drift,
            adoption: match (drift, adoption) {
                // These two are refused together.
                (Drift::Correct, Adoption::LabelOnly) => Adoption::TakeOver,
                (_, adoption) => adoption,
            },
            deletion: [Deletion::Background, Deletion::Foreground, Deletion::Orphan][policies.2],
            stripped: [Loss::Retire, Loss::Keep, Loss::Report][policies.3],
            vanished: if policies.4 { Vanished::Recreate } else { Vanished::Report },
            leaving: match policies.5 {
                0 => Some(Leaving::Keep),
                1 => Some(Leaving::Retire),
                _ => None,
            },
        }
    }
}

impl Recipe {
    fn naming(self) -> CopyNaming {
        let scope = |cluster| {
            if cluster {
                Scope::Cluster
            } else {
                Scope::Namespaced
            }
        };
        let naming = |namespace: &str, name: &str| CopyNaming {
            namespace: Some(namespace.into()),
            name: name.into(),
        };
        let none = |name: &str| CopyNaming {
            namespace: None,
            name: name.into(),
        };
        match (self.offered_cluster, self.service_cluster, self.naming) {
            (false, false, 1) => naming("{workspace}", "{name}"),
            (false, false, 2) => naming("{workspace}", "{namespace}.{name}"),
            (false, false, 3) => naming("all", "{workspace}.{namespace.hash}-{name.hash}"),
            (false, false, 4) => naming("{workspace}-{namespace}", "{name}"),
            (false, true, 1..=2) => none("{workspace}.{namespace}.{name}"),
            (true, false, 1..=2) => naming("{workspace}", "thing-{name}"),
            (true, true, 1..=2) => none("{workspace}.{name}"),
            _ => CopyNaming::between(scope(self.offered_cluster), scope(self.service_cluster)),
        }
    }

    fn one_namespace(self) -> bool {
        self.naming == 1 && !self.offered_cluster
    }

    /// Whether the copies of an order's namespace have one of their own.
    pub(crate) fn alone(self) -> bool {
        !self.offered_cluster && !self.service_cluster && matches!(self.naming, 1 | 4)
    }

    pub(crate) fn definition(self) -> Definition {
        let mut definition = thing();
        definition.copy = self.naming();
        if self.offered_cluster {
            definition.offered.scope = Scope::Cluster;
        }
        if self.service_cluster {
            definition.service.scope = Scope::Cluster;
        }
        if self.one_namespace() {
            definition.only = Only {
                namespaces: vec!["default".into()],
                ..Only::default()
            };
        }
        let namespaced = !self.offered_cluster && !self.service_cluster;
        let alone = matches!(self.naming, 1 | 4);
        let name = if alone {
            "{name}.taken"
        } else {
            "{copy.name}-{name.hash}.taken"
        };
        if namespaced && self.takes {
            definition.fields.push(takes("spec.secret", name));
        }
        if namespaced && self.takes_list {
            definition.fields.push(takes("spec.items[].ref", name));
        }
        if namespaced && self.composes {
            definition.returns.push(ReturnRule {
                id: "connection".into(),
                kind: secret(),
                name: "{name}-connection".into(),
                source: ReturnSource::With {
                    reads: vec![ReadRule {
                        kind: service(),
                        name: "{copy.name}-rw".into(),
                    }],
                    compose: |sources| {
                        let color = sources.origin()["spec"]["color"].clone();
                        let ip = sources.read(|_| true)?["status"]["ip"].clone();
                        let taken = sources.taken("spec.secret").next();
                        let password = taken.map(|it| it["data"]["password"].clone());
                        Some(json!({"data": {"host": ip, "color": color, "password": password}}))
                    },
                },
            });
        }
        if namespaced && self.copies {
            definition.returns.push(ReturnRule {
                id: "app".into(),
                kind: secret(),
                name: "{name}-app".into(),
                source: ReturnSource::From {
                    name: "{copy.name}-app".into(),
                    keys: vec!["user".into()],
                },
            });
        }
        let rule = |path: &str, rule| FieldRule {
            path: path.into(),
            rule,
        };
        if self.sets {
            definition.set.push(SetRule {
                at: "spec.note".into(),
                value: json!("for {workspace}/{name}"),
            });
        }
        if self.hides {
            definition.fields.push(rule("spec.pool", Rule::Hidden));
        }
        if self.keeps && !self.sets {
            definition.fields.push(rule("spec.note", Rule::Local));
        }
        if self.moves {
            let at = Some("spec.names".into());
            definition
                .fields
                .push(rule("spec.hosts", Rule::Moved { at, with: None }));
        }
        if self.refers {
            let refers = Rule::RefersTo {
                offered: definition.offered.clone(),
                name_at: Some("name".into()),
            };
            definition.fields.push(rule("spec.admin", refers));
        }
        if self.passes {
            definition.pass = Pass {
                labels: vec!["team".into()],
                annotations: vec!["*".into()],
                ..Pass::default()
            };
        }
        definition.status = match self.status {
            0 => definition.status,
            1 => StatusRule::Whole,
            _ => StatusRule::None,
        };
        definition.policy.conditions = self.conditions;
        definition.policy.drift = self.drift;
        definition.policy.adoption = self.adoption;
        definition.policy.deletion = self.deletion;
        definition.policy.losses.stripped = self.stripped;
        definition.policy.losses.vanished = self.vanished;
        if let Some(leaving) = self.leaving {
            definition.policy.leaving = leaving;
            definition.only.selector = Selector {
                labels: vec![("tier".into(), "gold".into())],
                ..Selector::default()
            };
        }
        definition
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Order(usize),
    Edit(usize, u8),
    Rename(usize, u8),
    Delete(usize),
    Strip(usize),
    Secret(usize, u8),
    NoSecret(usize),
    Fulfil(usize),
    Make(usize, u8),
    Drift(usize),
    /// Something without an identity stands where the copy would be made.
    Stranger(usize),
    /// The order loses the label that the filter asks for, or gets it back.
    Label(usize, bool),
    Vanish(usize),
    Crash(usize, usize),
    Lose(usize, usize),
    Stale(usize, usize),
    Doubt(usize),
    Step(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = 0..3usize;
    let act = prop_oneof![
        3 => one.clone().prop_map(Act::Order),
        3 => (one.clone(), 0..9u8).prop_map(|(i, n)| Act::Edit(i, n)),
        2 => (one.clone(), 0..3u8).prop_map(|(i, n)| Act::Rename(i, n)),
        2 => one.clone().prop_map(Act::Delete),
        1 => one.clone().prop_map(Act::Strip),
        3 => (one.clone(), 0..3u8).prop_map(|(i, n)| Act::Secret(i, n)),
        1 => one.clone().prop_map(Act::NoSecret),
        2 => one.clone().prop_map(Act::Fulfil),
        2 => (one.clone(), 0..3u8).prop_map(|(i, n)| Act::Make(i, n)),
        1 => one.clone().prop_map(Act::Drift),
        1 => one.clone().prop_map(Act::Vanish),
        1 => one.clone().prop_map(Act::Stranger),
        2 => (one.clone(), any::<bool>()).prop_map(|(i, in_it)| Act::Label(i, in_it)),
        3 => (one.clone(), 0..6usize).prop_map(|(i, n)| Act::Crash(i, n)),
        3 => (one.clone(), 0..4usize).prop_map(|(i, n)| Act::Lose(i, n)),
        2 => (one.clone(), 1..6usize).prop_map(|(i, n)| Act::Stale(i, n)),
        1 => one.clone().prop_map(Act::Doubt),
        5 => one.prop_map(Act::Step),
    ];
    prop::collection::vec(act, 1..35)
}

pub(crate) struct Land<'a> {
    publication: &'a Publication,
    pub(crate) world: World,
    pub(crate) agents: Vec<Agent<'a>>,
    past: Vec<BTreeMap<ObjectRef, Value>>,
}

/// Three orders: two of one workspace, one of another.
fn keys(publication: &Publication, recipe: Recipe) -> [Key; 3] {
    let key = |cluster: &str, namespace: &str, name: &str| Key {
        publication: publication.id().into(),
        cluster: cluster.into(),
        namespace: if recipe.offered_cluster {
            String::new()
        } else {
            namespace.into()
        },
        name: name.into(),
    };
    let second = if recipe.one_namespace() || recipe.offered_cluster {
        key("1abc", "default", "b")
    } else {
        // Equal names in two namespaces.
        key("1abc", "other", "a")
    };
    [
        key("1abc", "default", "a"),
        second,
        key("2xyz", "default", "a"),
    ]
}

impl<'a> Land<'a> {
    pub(crate) fn new(publication: &'a Publication, recipe: Recipe) -> Self {
        let agents = keys(publication, recipe);
        let agents = agents.iter().map(|key| Agent {
            twice: true,
            ..Agent::new(publication, key)
        });
        Self {
            publication,
            world: World::default(),
            agents: agents.collect(),
            past: Vec::new(),
        }
    }

    fn mine(&self, i: usize, name: &str) -> ObjectRef {
        ObjectRef {
            kind: secret(),
            name: name.into(),
            ..self.agents[i].origin()
        }
    }

    fn standing(&self, at: &ObjectRef) -> bool {
        self.world
            .objects
            .get(at)
            .is_some_and(|it| !is_deleting(it))
    }

    pub(crate) fn act(&mut self, act: Act) {
        self.past.push(self.world.objects.clone());
        match act {
            Act::Order(i) => {
                let (at, key) = (self.agents[i].origin(), self.agents[i].key.clone());
                if !self.world.objects.contains_key(&at) {
                    let of = format!("of-{}", key.cluster);
                    let spec =
                        json!({"size": 1, "color": of, "secret": {"name": "pw"}, "hosts": [of]});
                    let mut body = order(self.publication, &key, &spec);
                    body["metadata"]["labels"] = json!({"team": of, "tier": "gold"});
                    self.world.put(&at, body);
                    self.register(i);
                }
            }
            Act::Edit(i, n) => {
                let at = self.agents[i].origin();
                if self.standing(&at) {
                    let of = format!("of-{}-{n}", self.agents[i].key.cluster);
                    self.world.edit(&at, |it| match n % 5 {
                        0 => it["spec"]["size"] = json!(n),
                        1 => it["spec"]["hosts"] = json!([of, "x"]),
                        2 => it["spec"]["note"] = json!(of),
                        3 => it["metadata"]["annotations"] = json!({"note": of}),
                        _ => it["spec"]["admin"] = json!({"name": "b"}),
                    });
                }
            }
            Act::Rename(i, n) => {
                self.meet(i);
                let at = self.agents[i].origin();
                if self.standing(&at) {
                    let items = match n {
                        0 => json!([]),
                        1 => json!([{"a": "x", "ref": {"name": "pw"}}]),
                        _ => {
                            json!([{"a": "x", "ref": {"name": "other"}}, {"a": "y", "ref": {"name": "pw"}}])
                        }
                    };
                    let named = if n == 0 {
                        Value::Null
                    } else {
                        json!({"name": "pw"})
                    };
                    self.world.edit(&at, |it| {
                        it["spec"]["items"] = items;
                        it["spec"]["secret"] = named;
                    });
                    // A crash between the copy's new spec and letting a Secret go leaves it held: a gap, known.
                    self.step(i);
                }
            }
            Act::Delete(i) => {
                self.meet(i);
                let at = self.agents[i].origin();
                self.world.delete(&at);
            }
            Act::Strip(i) => {
                self.meet(i);
                self.world.objects.remove(&self.agents[i].origin());
            }
            Act::Secret(i, n) => {
                let at = self.mine(i, if n == 2 { "other" } else { "pw" });
                let data = json!({"password": format!("of-{}-{n}", self.agents[i].key.cluster)});
                if self.standing(&at) {
                    self.world.edit(&at, |it| it["data"] = data);
                } else if !self.world.objects.contains_key(&at) {
                    self.world.put(&at, json!({"data": data}));
                }
            }
            Act::NoSecret(i) => {
                let at = self.mine(i, "pw");
                self.world.delete(&at);
            }
            Act::Fulfil(i) => {
                let at = self.agents[i].copy();
                if self.world.objects.contains_key(&at) {
                    self.world.edit(&at, |it| {
                        let generation = it["metadata"]["generation"].clone();
                        it["status"] = json!({
                            "phase": it["spec"]["color"],
                            "observedGeneration": generation,
                            "conditions": [{"type": "Ready", "status": "True", "observedGeneration": generation}],
                        });
                    });
                }
            }
            Act::Make(i, n) => {
                let copy = self.agents[i].copy();
                let of = format!("of-{}-{n}", self.agents[i].key.cluster);
                let beside = |kind, name: &str| ObjectRef {
                    kind,
                    name: format!("{}-{name}", copy.name),
                    ..copy.clone()
                };
                let rw = beside(service(), "rw");
                self.world.put(&rw, json!({"status": {"ip": of}}));
                let app = beside(secret(), "app");
                self.world
                    .put(&app, json!({"data": {"user": of, "ca": "operators"}}));
            }
            Act::Drift(i) => {
                let at = self.agents[i].copy();
                if self.standing(&at) && self.world.objects[&at]["spec"]["size"] != 99 {
                    self.world.edit(&at, |it| take_over(it, "size", json!(99)));
                }
            }
            Act::Stranger(i) => {
                let at = self.agents[i].copy();
                if !self.world.objects.contains_key(&at) {
                    if !at.namespace.is_empty() {
                        let namespace = ObjectRef::service_namespace(&at.namespace);
                        self.world.put(&namespace, json!({}));
                    }
                    let spec = json!({"size": 5, "pool": "theirs"});
                    self.world.put(&at, json!({"spec": spec}));
                }
            }
            Act::Label(i, in_it) => {
                let at = self.agents[i].origin();
                if self.standing(&at) {
                    let tier = if in_it { "gold" } else { "none" };
                    self.world
                        .edit(&at, |it| it["metadata"]["labels"]["tier"] = json!(tier));
                }
            }
            Act::Vanish(i) => {
                self.world.objects.remove(&self.agents[i].copy());
                // Of an order of which neither side is left, only a running agent knows.
                self.step(i);
            }
            Act::Crash(i, cut) => {
                self.see(i);
                let _ = self.agents[i].run(&mut self.world, Some(cut));
                self.agents[i].restart(&self.world);
                self.run(i);
            }
            // The answer to the last write, and everything after it, is lost; what was known stays.
            Act::Lose(i, cut) => {
                self.see(i);
                let before = self.agents[i].record.clone();
                let _ = self.agents[i].run(&mut self.world, Some(cut));
                self.agents[i].record = before;
            }
            // News that waited while newer ones were heard.
            Act::Stale(i, back) => {
                let agent = &mut self.agents[i];
                let then = self.past.len().checked_sub(back).map(|at| &self.past[at]);
                if let Some(then) = then.filter(|_| agent.record.origin.is_some()) {
                    for at in [agent.origin(), agent.copy()] {
                        if let Some(object) = then.get(&at) {
                            agent.seen.note(at, Sight::There(object.clone()));
                        }
                    }
                    self.run(i);
                }
            }
            Act::Doubt(i) => {
                if self.agents[i].record.origin.is_some() {
                    let at = self.agents[i].origin();
                    self.agents[i].seen.note(at, Sight::Doubt);
                    self.run(i);
                }
            }
            Act::Step(i) => self.step(i),
        }
    }

    /// An order that changes its mind before its first step leaves what another one meanwhile left to it: a gap, known.
    fn meet(&mut self, i: usize) {
        if self.agents[i].record.origin.is_none() {
            self.step(i);
        }
    }

    /// What the agent does as soon as it sees an order.
    fn register(&mut self, i: usize) {
        let key = self.agents[i].key.clone();
        if let Some(origin) = self.world.objects.get(&self.agents[i].origin()) {
            let uses = self.publication.takes(&key, origin, &Moved::default());
            self.world.index.entry(key).or_insert(uses);
        }
    }

    fn see(&mut self, i: usize) {
        let agent = &mut self.agents[i];
        for at in [agent.origin(), agent.copy()] {
            agent.event(&self.world, &at);
        }
        let concerns = self.world.index.get(&agent.key).cloned();
        for at in concerns.unwrap_or_default() {
            if at != agent.copy() {
                agent.hint(&self.world, &at);
            }
        }
    }

    pub(crate) fn step(&mut self, i: usize) {
        let agent = &self.agents[i];
        let there = [agent.origin(), agent.copy()];
        let known = agent.record.origin.is_some();
        if known || there.iter().any(|at| self.world.objects.contains_key(at)) {
            self.see(i);
            self.run(i);
        }
    }

    pub(crate) fn run(&mut self, i: usize) {
        if self.agents[i].run(&mut self.world, None) == Some(Ending::Gone) {
            self.agents[i].record = Record::default();
            self.world.index.remove(&self.agents[i].key);
        }
    }

    fn assert_apart(&self) {
        for (at, object) in &self.world.objects {
            let whose = match &at.place {
                Place::Workspace(cluster) => cluster.clone(),
                Place::Service => ["1abc", "2xyz"]
                    .into_iter()
                    .find(|it| at.namespace.contains(it) || at.name.contains(it))
                    .unwrap_or_default()
                    .to_owned(),
            };
            let mut object = object.clone();
            if let Some(annotations) = object["metadata"]["annotations"].as_object_mut() {
                // Digests spell anything, sooner or later.
                annotations
                    .retain(|key, _| !key.ends_with("/applied") && !key.ends_with("/made-of"));
            }
            let text = object.to_string();
            for other in ["1abc", "2xyz"] {
                assert!(
                    whose.is_empty() || whose == other || !text.contains(other),
                    "{at}: {text}"
                );
            }
            let up = matches!(at.place, Place::Workspace(_));
            assert!(!up || !text.contains("operators"), "{at}: {text}");
        }
    }

    /// Every order at rest, as its policies have it.
    fn assert_whole(&mut self, recipe: Recipe) {
        for i in 0..self.agents.len() {
            let (origin, copy) = (self.agents[i].origin(), self.agents[i].copy());
            let there = self.world.objects.get(&copy);
            let stranger = there.is_some_and(|it| Identity::read(it).is_none());
            let Some(origin) = self.world.objects.get(&origin) else {
                let may_stay = stranger || recipe.stripped != Loss::Retire;
                assert!(there.is_none() || may_stay, "{copy} outlived its order");
                continue;
            };
            let outside = recipe.leaving.is_some() && label(origin, "tier") != "gold";
            let lost = self.agents[i].record.lost;
            // An order outside its filter makes nothing again; what it lost is made when it comes back.
            assert!(!lost || outside || recipe.vanished == Vanished::Report);
            assert!(
                !stranger || outside || lost || recipe.adoption == Adoption::Refuse,
                "{copy}"
            );
            let held = finalizers(origin).iter().any(|it| it.ends_with("/hold"));
            if outside {
                let kept = there.is_some() && recipe.leaving == Some(Leaving::Keep);
                assert!(kept || stranger || there.is_none(), "{copy} stays");
                // Held for what is kept, and for nothing else; what was made for another order of that name holds nobody.
                let others = there.is_some_and(|it| !is_of(it, origin));
                assert_eq!(held, kept && !stranger && (held || !others), "{origin}");
            } else if !stranger && !lost {
                let copy = there.unwrap_or_else(|| panic!("{copy} is missing: {origin}"));
                assert!(held, "{origin}");
                self.assert_copy(recipe, origin, copy, i);
            }
            self.agents[i].assert_settled(&mut self.world);
        }
    }

    fn assert_copy(&self, recipe: Recipe, origin: &Value, copy: &Value, i: usize) {
        let left = self.agents[i].record.drifted.iter().any(|it| it.left);
        if recipe.drift == Drift::Correct && !left {
            assert_eq!(copy["spec"]["size"], origin["spec"]["size"]);
            let hosts = if recipe.moves { "names" } else { "hosts" };
            assert_eq!(copy["spec"][hosts], origin["spec"]["hosts"]);
        }
        if recipe.keeps && !recipe.sets {
            assert!(copy["spec"].get("note").is_none(), "{copy}");
        }
        let phase = if recipe.status == 2 {
            Value::Null
        } else {
            copy["status"]["phase"].clone()
        };
        assert_eq!(origin["status"]["phase"], phase);
        let conditions = origin["status"]["conditions"].as_array();
        let synced = conditions
            .into_iter()
            .flatten()
            .filter(|it| it["type"] == "Synced");
        assert_eq!(synced.count(), usize::from(recipe.conditions), "{origin}");
    }

    /// What a consumer writes now is on the copy, whoever set the field before.
    fn assert_follows(&mut self, recipe: Recipe) {
        for i in 0..self.agents.len() {
            let at = self.agents[i].origin();
            if self.standing(&at) {
                let of = format!("last-of-{}", self.agents[i].key.cluster);
                self.world.edit(&at, |it| {
                    it["spec"]["size"] = json!(7 + i);
                    it["spec"]["hosts"] = json!([of]);
                });
                self.step(i);
            }
            let (copy, outside) = (self.agents[i].copy(), self.agents[i].record.outside);
            let (Some(origin), Some(copy)) =
                (self.world.objects.get(&at), self.world.objects.get(&copy))
            else {
                continue;
            };
            if Identity::read(copy).is_some() && !outside && !self.agents[i].record.lost {
                assert_eq!(copy["spec"]["size"], json!(7 + i), "{origin} {copy}");
                let hosts = if recipe.moves { "names" } else { "hosts" };
                assert_eq!(copy["spec"][hosts], origin["spec"]["hosts"]);
            }
        }
    }

    /// When the orders go, nobody is held for them.
    fn assert_ends(&mut self, recipe: Recipe) {
        for i in 0..self.agents.len() {
            let at = self.agents[i].origin();
            self.world.delete(&at);
        }
        for _ in 0..3 {
            for i in 0..self.agents.len() {
                self.step(i);
            }
        }
        for (at, object) in &self.world.objects {
            let ours = finalizers(object).iter().any(|it| it.ends_with("/hold"));
            assert!(!ours, "{at} is held for nobody: {object}");
        }
        for agent in &self.agents {
            let copy = agent.copy();
            let left = self.world.objects.get(&copy);
            let kept = recipe.stripped != Loss::Retire || recipe.leaving == Some(Leaving::Keep);
            assert!(
                left.is_none_or(|it| Identity::read(it).is_none() || kept),
                "{copy} stays: {left:?}"
            );
        }
    }
}

/// Whether a copy says that it was made for this very order, and not for one of the same name.
fn is_of(copy: &Value, origin: &Value) -> bool {
    annotation(copy, "syncagent.kcp.io/origin-uid") == Some(uid(origin))
}

proptest! {
    #![proptest_config(crate::chance::cases(120))]

    #[test]
    fn every_history_of_every_publication_settles(recipe in recipes(), acts in acts()) {
        let publication = compile(recipe.definition());
        let mut land = Land::new(&publication, recipe);
        for act in acts {
            land.act(act);
            land.assert_apart();
        }
        for _ in 0..3 {
            for i in 0..3 {
                // What was refused is looked at again after a while, also without an event.
                land.agents[i].record.look_again();
                land.step(i);
            }
        }
        land.assert_apart();
        land.assert_whole(recipe);
        land.assert_follows(recipe);
        land.assert_apart();
        land.assert_ends(recipe);
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(40))]

    #[test]
    fn whoever_dies_after_any_effect_leads_to_the_same_world(recipe in recipes(), names in 0..3u8, gone in any::<bool>()) {
        let publication = compile(recipe.definition());
        let mut land = Land::new(&publication, recipe);
        for act in [Act::Secret(0, 0), Act::Secret(0, 2), Act::Order(0), Act::Make(0, 1)] {
            land.act(act);
        }
        let at = land.agents[0].origin();
        land.world.edit(&at, |it| {
            it["spec"]["items"] = match names {
                0 => json!([]),
                1 => json!([{"ref": {"name": "pw"}}]),
                _ => json!([{"ref": {"name": "other"}}, {"ref": {"name": "pw"}}]),
            };
        });
        if gone {
            land.act(Act::Step(0));
            land.world.delete(&at);
        }
        let start = (land.world.clone(), land.agents[0].clone());
        land.agents[0].take_sent();
        land.step(0);
        let (end, effects) = (land.world.picture(), land.agents[0].sent.len());
        prop_assert!(gone != land.world.objects.contains_key(&at));
        for cut in 0..=effects {
            for dies in [true, false] {
                (land.world, land.agents[0]) = start.clone();
                let before = land.agents[0].record.clone();
                land.see(0);
                let _ = land.agents[0].run(&mut land.world, Some(cut));
                if dies {
                    let world = &land.world;
                    land.agents[0].restart(world);
                } else {
                    land.agents[0].record = before;
                }
                land.step(0);
                prop_assert_eq!(&land.world.picture(), &end, "cut after {}, dies: {}", cut, dies);
            }
        }
    }
}

/// Whom a copy was made for is gone; an order under the same name that was never offered the service is not held for it.
#[test]
fn a_copy_that_outlived_its_order_holds_none_outside_the_filter() {
    let recipe = Recipe {
        offered_cluster: false,
        service_cluster: false,
        naming: 0,
        takes: false,
        takes_list: false,
        composes: false,
        copies: false,
        sets: false,
        hides: false,
        keeps: false,
        moves: false,
        refers: false,
        passes: false,
        status: 0,
        conditions: false,
        leaving: Some(Leaving::Keep),
        drift: Drift::Correct,
        adoption: Adoption::Refuse,
        deletion: Deletion::Background,
        stripped: Loss::Keep,
        vanished: Vanished::Report,
    };
    let publication = compile(recipe.definition());
    let mut land = Land::new(&publication, recipe);
    for act in [
        Act::Order(1),
        Act::Strip(1),
        Act::Order(1),
        Act::Label(1, false),
    ] {
        land.act(act);
    }
    for i in 0..3 {
        land.step(i);
    }
    let (origin, copy) = (land.agents[1].origin(), land.agents[1].copy());
    let (order, left) = (&land.world.objects[&origin], &land.world.objects[&copy]);
    assert!(!is_of(left, order));
    assert_eq!(
        finalizers(&land.world.objects[&origin]),
        Vec::<String>::new()
    );
    land.assert_whole(recipe);
    land.assert_follows(recipe);
    land.assert_ends(recipe);
}
