//! Many tenants, one agent, and everything that can happen to them, in any order: nothing of one reaches another, and when
//! it is over everything is as it should be.
//!
//! Three orders (two of one workspace that share a Secret, one of another workspace under the same names) live in one
//! world. Consumers, the operator and strangers act at random; steps are cut; events are lost, doubled and late.

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::object::{finalizers, is_deleting, label};
use syncagent_core::plan::{Key, ObjectRef, Place, Sight};
use syncagent_core::publication::Publication;

use crate::fixture::{compile, full_thing, key, order, secret, service};
use crate::world::{Agent, World, take_over};

#[derive(Clone, Copy, Debug)]
enum Act {
    Order(usize),
    Resize(usize, i64),
    Rename(usize),
    Delete(usize),
    Strip(usize),
    Secret(usize, u8),
    NoSecret(usize),
    Fulfil(usize),
    Address(usize, u8),
    Drift(usize),
    Vanish(usize),
    Meddle(usize),
    Pretend(usize),
    Crash(usize, usize),
    Step(usize),
    StepCut(usize, usize),
    Doubt(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = 0..3usize;
    let act = prop_oneof![
        3 => one.clone().prop_map(Act::Order),
        2 => (one.clone(), 1..5i64).prop_map(|(i, n)| Act::Resize(i, n)),
        1 => one.clone().prop_map(Act::Rename),
        2 => one.clone().prop_map(Act::Delete),
        1 => one.clone().prop_map(Act::Strip),
        3 => (one.clone(), 0..3u8).prop_map(|(i, n)| Act::Secret(i, n)),
        1 => one.clone().prop_map(Act::NoSecret),
        2 => one.clone().prop_map(Act::Fulfil),
        2 => (one.clone(), 0..3u8).prop_map(|(i, n)| Act::Address(i, n)),
        1 => one.clone().prop_map(Act::Drift),
        1 => one.clone().prop_map(Act::Vanish),
        1 => one.clone().prop_map(Act::Meddle),
        1 => one.clone().prop_map(Act::Pretend),
        2 => (one.clone(), 0..6usize).prop_map(|(i, n)| Act::Crash(i, n)),
        6 => one.clone().prop_map(Act::Step),
        3 => (one.clone(), 0..4usize).prop_map(|(i, n)| Act::StepCut(i, n)),
        1 => one.prop_map(Act::Doubt),
    ];
    prop::collection::vec(act, 1..40)
}

struct Town<'a> {
    publication: &'a Publication,
    world: World,
    agents: Vec<Agent<'a>>,
}

fn keys(publication: &Publication) -> [Key; 3] {
    let one = key(publication, "a");
    let other = Key {
        cluster: "2xyz".into(),
        ..one.clone()
    };
    [one, key(publication, "b"), other]
}

impl<'a> Town<'a> {
    fn new(publication: &'a Publication) -> Self {
        Self {
            publication,
            world: World::default(),
            agents: keys(publication)
                .iter()
                .map(|key| Agent::new(publication, key))
                .collect(),
        }
    }

    /// The consumer's Secret: `pw`, the same name for all; what is in it names the workspace.
    fn pw(&self, i: usize) -> ObjectRef {
        ObjectRef {
            kind: secret(),
            name: "pw".into(),
            ..self.agents[i].origin()
        }
    }

    fn connection(&self, i: usize) -> ObjectRef {
        ObjectRef {
            kind: secret(),
            name: format!("{}-connection", self.agents[i].key.name),
            ..self.agents[i].origin()
        }
    }

    fn rw(&self, i: usize) -> ObjectRef {
        ObjectRef {
            kind: service(),
            name: format!("{}-rw", self.agents[i].copy().name),
            ..self.agents[i].copy()
        }
    }

    fn act(&mut self, act: Act) {
        let standing = |world: &World, at: &ObjectRef| {
            world.objects.get(at).is_some_and(|it| !is_deleting(it))
        };
        match act {
            Act::Order(i) => {
                let (at, key) = (self.agents[i].origin(), self.agents[i].key.clone());
                if !self.world.objects.contains_key(&at) {
                    let spec = json!({"size": 1, "color": key.cluster, "secret": {"name": "pw"}});
                    self.world.put(&at, order(self.publication, &key, &spec));
                    let uses = self.publication.takes(
                        &key,
                        &self.world.objects[&at],
                        &syncagent_core::naming::Moved::default(),
                    );
                    self.world.index.insert(key, uses);
                }
            }
            Act::Resize(i, size) => {
                let at = self.agents[i].origin();
                if standing(&self.world, &at) {
                    self.world.edit(&at, |it| it["spec"]["size"] = json!(size));
                }
            }
            Act::Rename(i) => {
                self.meet(i);
                let at = self.agents[i].origin();
                if standing(&self.world, &at) {
                    let named = self.world.objects[&at]["spec"]["secret"].is_object();
                    let now = if named {
                        Value::Null
                    } else {
                        json!({"name": "pw"})
                    };
                    self.world.edit(&at, |it| it["spec"]["secret"] = now);
                    // A crash between the copy's new spec and letting the Secret go leaves the Secret held: a gap, known.
                    self.act(Act::Step(i));
                }
            }
            Act::Delete(i) => {
                self.meet(i);
                self.world.delete(&self.agents[i].origin());
            }
            Act::Strip(i) => {
                self.meet(i);
                self.world.objects.remove(&self.agents[i].origin());
            }
            Act::Secret(i, n) => {
                let at = self.pw(i);
                let password = json!({"password": format!("{}-{n}", self.agents[i].key.cluster)});
                if standing(&self.world, &at) {
                    self.world.edit(&at, |it| it["data"] = password);
                } else if !self.world.objects.contains_key(&at) {
                    self.world.put(&at, json!({"data": password}));
                }
            }
            Act::NoSecret(i) => self.world.delete(&self.pw(i)),
            Act::Fulfil(i) => {
                let at = self.agents[i].copy();
                if self.world.objects.contains_key(&at) {
                    self.world.edit(&at, |it| {
                        it["status"] = json!({"phase": it["spec"]["color"], "observedGeneration": it["metadata"]["generation"]});
                    });
                }
            }
            Act::Address(i, n) => {
                let ip = format!("{}-10.0.0.{n}", self.agents[i].key.cluster);
                self.world.put(&self.rw(i), json!({"status": {"ip": ip}}));
            }
            Act::Drift(i) => {
                let at = self.agents[i].copy();
                if standing(&self.world, &at) && self.world.objects[&at]["spec"]["size"] != 99 {
                    self.world.edit(&at, |it| take_over(it, "size", json!(99)));
                }
            }
            Act::Vanish(i) => {
                self.world.objects.remove(&self.agents[i].copy());
                // Of an order of which neither side is left, only a running agent knows.
                self.act(Act::Step(i));
            }
            // While the agent runs: what is done to a returned object while it is down, is found by nobody yet.
            Act::Meddle(i) => {
                let at = self.connection(i);
                if standing(&self.world, &at) {
                    self.act(Act::Step(i));
                    if standing(&self.world, &at) {
                        self.world.edit(&at, |it| it["data"] = json!({"mine": "x"}));
                        self.act(Act::Step(i));
                    }
                }
            }
            // A consumer names an order after what another one is returned.
            Act::Pretend(i) => {
                let at = self.connection(i);
                if !self.world.objects.contains_key(&at) {
                    self.world
                        .put(&at, json!({"data": {"theirs": self.agents[i].key.cluster}}));
                }
            }
            Act::Crash(i, cut) => {
                self.see(i);
                let _ = self.agents[i].run(&mut self.world, Some(cut));
                let world = &self.world;
                self.agents[i].restart(world);
                self.run(i, None);
            }
            Act::Step(i) => {
                self.see(i);
                self.run(i, None);
            }
            // The answer to the last write, and everything after it, is lost; what was known stays.
            Act::StepCut(i, cut) => {
                self.see(i);
                let before = self.agents[i].record.clone();
                let _ = self.agents[i].run(&mut self.world, Some(cut));
                self.agents[i].record = before;
            }
            Act::Doubt(i) => {
                let at = self.agents[i].origin();
                self.agents[i].seen.note(at, Sight::Doubt);
                self.run(i, None);
            }
        }
    }

    /// An order that changes its mind before its first step leaves what another one meanwhile left to it: a gap, known.
    fn meet(&mut self, i: usize) {
        if self.agents[i].record.origin.is_none() {
            self.act(Act::Step(i));
        }
    }

    /// Events of everything that an order cares about.
    fn see(&mut self, i: usize) {
        let related = [self.pw(i), self.connection(i), self.rw(i), self.taken(i)];
        let agent = &mut self.agents[i];
        for at in [agent.origin(), agent.copy()] {
            agent.event(&self.world, &at);
        }
        for at in related {
            agent.hint(&self.world, &at);
        }
    }

    fn taken(&self, i: usize) -> ObjectRef {
        ObjectRef {
            kind: secret(),
            name: "pw.taken".into(),
            ..self.agents[i].copy()
        }
    }

    fn run(&mut self, i: usize, cut: Option<usize>) {
        let ending = self.agents[i].run(&mut self.world, cut);
        if ending == Some(syncagent_core::plan::Ending::Gone) {
            self.agents[i].record = syncagent_core::plan::Record::default();
        }
    }

    /// Nothing of one workspace is in another, or in another's namespace.
    fn assert_apart(&self) {
        for (at, object) in &self.world.objects {
            let text = object.to_string();
            let whose = match &at.place {
                Place::Workspace(cluster) => cluster.clone(),
                Place::Service => at.namespace.clone(),
            };
            for other in ["1abc", "2xyz"]
                .iter()
                .filter(|it| !whose.is_empty() && **it != whose)
            {
                assert!(!text.contains(*other), "{at}: {text}");
            }
        }
    }

    /// Everything is as it should be.
    fn assert_whole(&mut self) {
        for i in 0..self.agents.len() {
            let (origin, copy) = (self.agents[i].origin(), self.agents[i].copy());
            let there = self.world.objects.get(&copy);
            match self.world.objects.get(&origin) {
                None => assert!(there.is_none(), "{copy} outlived its order"),
                Some(origin) => {
                    let copy = there.unwrap_or_else(|| panic!("{copy} is missing"));
                    assert_eq!(copy["spec"]["size"], origin["spec"]["size"]);
                    assert!(
                        finalizers(origin).iter().any(|it| it.ends_with("/hold")),
                        "{origin}"
                    );
                    assert_eq!(origin["status"]["phase"], copy["status"]["phase"]);
                    let named = origin["spec"]["secret"].is_object();
                    let pw = self.world.objects.get(&self.pw(i));
                    if let (true, Some(pw)) = (named, pw) {
                        assert_eq!(self.world.objects[&self.taken(i)]["data"], pw["data"]);
                        let ip = self
                            .world
                            .objects
                            .get(&self.rw(i))
                            .map(|it| it["status"]["ip"].clone());
                        let returned = &self.world.objects.get(&self.connection(i));
                        if let (Some(ip), Some(returned)) = (ip, returned)
                            && !label(returned, "syncagent.kcp.io/agent-name").is_empty()
                        {
                            assert_eq!(
                                returned["data"],
                                json!({"host": ip, "password": pw["data"]["password"]})
                            );
                        }
                    }
                }
            }
            if self.world.objects.contains_key(&origin) {
                self.agents[i].assert_settled(&mut self.world);
            }
        }
        // A Secret that nobody takes is not held.
        for i in 0..self.agents.len() {
            let used = (0..3).any(|j| {
                self.agents[j].key.cluster == self.agents[i].key.cluster
                    && self
                        .world
                        .objects
                        .get(&self.agents[j].origin())
                        .is_some_and(|it| it["spec"]["secret"].is_object())
            });
            if let (false, Some(pw)) = (used, self.world.objects.get(&self.pw(i))) {
                assert!(finalizers(pw).is_empty(), "{pw}");
                assert!(!self.world.objects.contains_key(&self.taken(i)));
            }
        }
    }
}

proptest! {
    #![proptest_config(crate::chance::cases(250))]

    #[test]
    fn whatever_happens_tenants_stay_apart_and_every_order_settles(acts in acts()) {
        let publication = compile(full_thing());
        let mut town = Town::new(&publication);
        for act in acts {
            town.act(act);
            town.assert_apart();
        }
        for _ in 0..3 {
            for i in 0..3 {
                let agent = &town.agents[i];
                let known = agent.record.origin.is_some();
                if known || [agent.origin(), agent.copy()].iter().any(|at| town.world.objects.contains_key(at)) {
                    town.act(Act::Step(i));
                }
            }
        }
        town.assert_apart();
        town.assert_whole();
    }
}
