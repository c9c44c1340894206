//! Several agents on one service cluster: each sees what the others made, and touches none of it.
//!
//! Two kcps may have logical clusters of the same name (every kcp has a `root`), with equal namespaces and orders of equal
//! names in them. So here are two of them: two worlds whose service side is one and the same.

use proptest::prelude::*;
use serde_json::{Value, json};
use syncagent_core::definition::Definition;
use syncagent_core::object::{is_deleting, label};
use syncagent_core::plan::{Deed, Ending, Key, ObjectRef, Place, Record};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{full_thing, key, kind, order, secret, service, thing};
use crate::world::{Agent, World};

/// One agent at work for one kcp.
struct Shop<'a> {
    agent: Agent<'a>,
    world: World,
}

/// Two agents, each with its own kcp, before one service cluster.
struct Street<'a> {
    shops: [Shop<'a>; 2],
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Order(usize),
    Resize(usize, i64),
    Secret(usize, u8),
    Delete(usize),
    Strip(usize),
    Address(usize),
    Restart(usize),
    Cut(usize, usize),
    Forget(usize),
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let one = 0..2usize;
    let act = prop_oneof![
        4 => one.clone().prop_map(Act::Order),
        2 => (one.clone(), 1..9i64).prop_map(|(i, n)| Act::Resize(i, n)),
        3 => (one.clone(), 0..3u8).prop_map(|(i, n)| Act::Secret(i, n)),
        3 => one.clone().prop_map(Act::Delete),
        1 => one.clone().prop_map(Act::Strip),
        1 => one.clone().prop_map(Act::Address),
        2 => one.clone().prop_map(Act::Restart),
        2 => (one.clone(), 0..5usize).prop_map(|(i, n)| Act::Cut(i, n)),
        1 => one.prop_map(Act::Forget),
    ];
    prop::collection::vec(act, 1..30)
}

impl<'a> Street<'a> {
    fn new(publications: [&'a Publication; 2], key: &Key) -> Self {
        let shop = |publication| Shop {
            agent: Agent::new(publication, key),
            world: World::default(),
        };
        let mut shops = publications.map(shop);
        // Objects of two kcps never share a uid.
        shops[1].world.skip(1_000_000);
        Self { shops }
    }

    fn secret(&self, i: usize) -> ObjectRef {
        ObjectRef {
            kind: secret(),
            name: "pw".into(),
            ..self.shops[i].agent.origin()
        }
    }

    /// Whatever one does on the service cluster, the other sees; asserts that it is not the other's.
    fn step(&mut self, i: usize, cut: Option<usize>) {
        let theirs = self.made_by(1 - i);
        let pw = self.secret(i);
        let shop = &mut self.shops[i];
        let rw = ObjectRef {
            kind: service(),
            name: format!("{}-rw", shop.agent.copy().name),
            ..shop.agent.copy()
        };
        let returned = ObjectRef {
            kind: secret(),
            name: format!("{}-connection", shop.agent.key.name),
            ..shop.agent.origin()
        };
        let taken = ObjectRef {
            kind: secret(),
            name: "pw.taken".into(),
            ..shop.agent.copy()
        };
        for at in [shop.agent.origin(), shop.agent.copy()] {
            shop.agent.event(&shop.world, &at);
        }
        for at in [pw, rw, returned, taken] {
            shop.agent.hint(&shop.world, &at);
        }
        let ending = shop.agent.run(&mut shop.world, cut);
        if ending == Some(Ending::Gone) {
            shop.agent.record = Record::default();
        }
        let [a, b] = &mut self.shops;
        if i == 0 {
            b.world.share_service(&a.world);
        } else {
            a.world.share_service(&b.world);
        }
        assert_eq!(self.made_by(1 - i), theirs, "it is the other's");
    }

    /// What an agent made on the service cluster, and namespaces, which belong to all.
    fn made_by(&self, i: usize) -> Vec<(ObjectRef, Value)> {
        let name = self.shops[i].agent.publication.agent().as_str();
        let publication = self.shops[i].agent.publication.id();
        let objects = self.shops[i].world.objects.iter();
        let made = objects.filter(|(at, it)| {
            let of = it["metadata"]["annotations"]["syncagent.kcp.io/publication"].as_str();
            at.place == Place::Service
                && at.kind.kind != "Namespace"
                && label(it, "syncagent.kcp.io/agent-name") == name
                && of.is_none_or(|it| it == publication)
        });
        made.map(|(at, it)| (at.clone(), it.clone())).collect()
    }

    fn act(&mut self, act: Act) {
        let standing = |world: &World, at: &ObjectRef| {
            world.objects.get(at).is_some_and(|it| !is_deleting(it))
        };
        match act {
            Act::Order(i) => {
                let shop = &mut self.shops[i];
                let at = shop.agent.origin();
                if !shop.world.objects.contains_key(&at) {
                    let spec = json!({"size": 1, "secret": {"name": "pw"}});
                    let body = order(shop.agent.publication, &shop.agent.key, &spec);
                    shop.world.put(&at, body);
                }
                self.step(i, None);
            }
            Act::Resize(i, size) => {
                let shop = &mut self.shops[i];
                let at = shop.agent.origin();
                if standing(&shop.world, &at) {
                    shop.world.edit(&at, |it| it["spec"]["size"] = json!(size));
                }
                self.step(i, None);
            }
            Act::Secret(i, n) => {
                let at = self.secret(i);
                let world = &mut self.shops[i].world;
                let data = json!({"password": format!("of-{i}-{n}")});
                if standing(world, &at) {
                    world.edit(&at, |it| it["data"] = data);
                } else if !world.objects.contains_key(&at) {
                    world.put(&at, json!({"data": data}));
                }
                self.step(i, None);
            }
            Act::Delete(i) => {
                self.step(i, None);
                let at = self.shops[i].agent.origin();
                self.shops[i].world.delete(&at);
                self.step(i, None);
            }
            Act::Strip(i) => {
                self.step(i, None);
                let at = self.shops[i].agent.origin();
                self.shops[i].world.objects.remove(&at);
                self.step(i, None);
            }
            Act::Address(i) => {
                let at = ObjectRef {
                    kind: service(),
                    name: format!("{}-rw", self.shops[i].agent.copy().name),
                    ..self.shops[i].agent.copy()
                };
                self.shops[i]
                    .world
                    .put(&at, json!({"status": {"ip": "10.0.0.1"}}));
                self.step(i, None);
            }
            Act::Restart(i) => {
                let shop = &mut self.shops[i];
                shop.agent.restart(&shop.world);
                self.step(i, None);
            }
            Act::Cut(i, cut) => {
                self.step(i, Some(cut));
                let shop = &mut self.shops[i];
                shop.agent.restart(&shop.world);
                self.step(i, None);
            }
            // The slow second look.
            Act::Forget(i) => {
                self.shops[i].agent.record.look_again();
                self.step(i, None);
            }
        }
    }

    /// The one whose copy it is has it as ordered; the other is told that the name is taken.
    fn assert_fair(&self) {
        for (i, shop) in self.shops.iter().enumerate() {
            let Some(origin) = shop.world.objects.get(&shop.agent.origin()) else {
                assert!(self.made_by(i).is_empty(), "{i}: {:?}", self.made_by(i));
                continue;
            };
            let copy = &shop.world.objects[&shop.agent.copy()];
            let ours = self
                .made_by(i)
                .iter()
                .any(|(at, _)| *at == shop.agent.copy());
            let said = origin["status"]["conditions"][0]["reason"].as_str();
            if ours {
                assert_eq!(copy["spec"]["size"], origin["spec"]["size"], "{i}");
            } else {
                assert_eq!(said, Some("NameTaken"), "{i}: {origin}");
            }
            let other = format!("of-{}", 1 - i);
            let here = shop.world.objects.iter();
            let leak = here
                .filter(|(at, _)| at.place != Place::Service)
                .find(|(_, it)| it.to_string().contains(&other));
            assert!(leak.is_none(), "{leak:?}");
        }
    }
}

fn named(agent: &str, definition: Definition) -> Publication {
    let all = Publications::compile(agent, &[definition]).unwrap_or_else(|it| panic!("{it}"));
    let first = all.iter().next().expect("one was published");
    first.clone()
}

proptest! {
    #![proptest_config(crate::chance::cases(150))]

    #[test]
    fn agents_of_different_names_never_touch_each_others_objects(acts in acts()) {
        let publications = [named("one.example.io", full_thing()), named("two.example.io", full_thing())];
        let key = key(&publications[0], "a");
        let mut street = Street::new([&publications[0], &publications[1]], &key);
        for act in acts {
            street.act(act);
        }
        for _ in 0..2 {
            for i in 0..2 {
                street.act(Act::Forget(i));
            }
        }
        street.assert_fair();
    }
}

/// Two definitions that bring two kinds down as one.
fn other_thing() -> Definition {
    let offered = kind("other.io", "Other", "others");
    let mut definition = thing();
    definition.schema = syncagent_core::definition::SchemaSource::Type(crate::fixture::crd(
        &offered,
        &crate::fixture::spec_schema(),
    ));
    definition.offered = offered;
    definition
}

#[test]
fn two_publications_of_one_agent_that_make_the_same_kind_never_share_a_copy() {
    let publications = Publications::compile("one.example.io", &[thing(), other_thing()])
        .unwrap_or_else(|it| panic!("{it}"));
    let both: Vec<&Publication> = publications.iter().collect();
    let mut world = World::default();
    let mut agents: Vec<Agent<'_>> = both
        .iter()
        .map(|it| Agent::new(it, &key(it, "a")))
        .collect();
    assert_eq!(
        agents[0].copy(),
        agents[1].copy(),
        "the same name of the same kind"
    );
    for (i, agent) in agents.iter_mut().enumerate() {
        let body = order(agent.publication, &agent.key, &json!({"size": i + 1}));
        world.put(&agent.origin(), body);
        agent.event(&world, &agent.origin());
        agent.run(&mut world, None);
    }
    let copy = agents[0].copy();
    assert_eq!(world.objects[&copy]["spec"]["size"], 1);
    let said = &world.objects[&agents[1].origin()]["status"]["conditions"][0];
    assert_eq!(said["reason"], "NameTaken");
    // The second one's end is not the end of the first one's copy; also with the list of a restart in hand.
    let second = agents[1].origin();
    world.delete(&second);
    agents[1].restart(&world);
    agents[1].event(&world, &second);
    agents[1].event(&world, &copy);
    agents[1].run(&mut world, None);
    assert!(!world.objects.contains_key(&second));
    assert_eq!(world.objects[&copy]["spec"]["size"], 1);
    agents[0].assert_settled(&mut world);
}

#[test]
fn an_agent_writes_under_its_own_name_and_takes_only_its_own_finalizer_off() {
    let publications = [
        named("one.example.io", thing()),
        named("two.example.io", thing()),
    ];
    let managers = publications.each_ref().map(|it| it.agent().manager());
    let finalizers = publications.each_ref().map(|it| it.agent().finalizer());
    assert!(managers[0] != managers[1] && finalizers[0] != finalizers[1]);
    // Both hold one order: that is what two exports do that offer the same kind by turns.
    let mut world = World::default();
    let mut agent = Agent::new(&publications[0], &key(&publications[0], "a"));
    let mut body = order(agent.publication, &agent.key, &json!({"size": 1}));
    body["metadata"]["finalizers"] = json!([finalizers[1]]);
    world.put(&agent.origin(), body);
    agent.event(&world, &agent.origin());
    assert_eq!(agent.plan().effects[0].deed, Deed::Hold);
    agent.run(&mut world, None);
    world.delete(&agent.origin());
    agent.event(&world, &agent.origin());
    agent.run(&mut world, None);
    assert_eq!(
        world.objects[&agent.origin()]["metadata"]["finalizers"],
        json!([finalizers[1]])
    );
}
