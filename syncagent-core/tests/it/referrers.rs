//! The copy of an order goes after the copies of those that refer to it.

use serde_json::json;
use syncagent_core::plan::{Context, Deed, Ending, Hands, Key, plan};
use syncagent_core::publication::{Publication, Publications};

use crate::fixture::{compile, key, order, thing};
use crate::spoken::neighbours;
use crate::table::small_worlds;

use crate::world::{Agent, World};

#[test]
fn what_others_refer_to_is_not_retired_and_everything_else_goes_on() {
    let publication = compile(thing());
    let mut waiting = 0;
    for (row, agent) in small_worlds(&publication) {
        let free = agent.plan();
        let context = Context {
            referred: true,
            ..agent.context()
        };
        let (key, record, seen) = (&agent.key, &agent.record, &agent.seen);
        let referred = plan(&context, agent.publication, key, record, seen);
        let retires = |it: &syncagent_core::plan::Effect| it.deed == Deed::Retire;
        assert!(!referred.effects.iter().any(retires), "{row:?}");
        if free.effects.iter().any(retires) {
            waiting += 1;
            let Ending::Waiting(why) = &referred.ending else {
                panic!("{row:?}: {:?}", referred.ending);
            };
            assert!(why.contains("refer"), "{why}");
            assert_eq!(referred.hands, Some(Hands::Consumer));
        } else {
            assert_eq!(referred.effects, free.effects, "{row:?}");
        }
    }
    assert!(waiting > 3);
}

#[test]
fn an_order_refers_to_what_it_names_as_long_as_it_is_held() {
    let publications = neighbours();
    let things = publications.get("things.example.io").expect("things");
    let one = key(things, "a");
    let spec = json!({"pool": "big", "items": [{"a": "x"}, {"ref": {"name": "one"}}, {"ref": {"name": ""}}],
        "hosts": ["big", "small", 7]});
    let mut origin = order(things, &one, &spec);
    assert_eq!(things.referred_by(&one, &origin), []);
    origin["metadata"]["finalizers"] = json!([things.finalizer()]);
    let pool = |name: &str| Key {
        publication: "pools.example.io".into(),
        name: name.into(),
        ..one.clone()
    };
    let wanted = ["big", "one", "big", "small"].map(pool);
    assert_eq!(things.referred_by(&one, &origin), wanted);
    assert!(things.refers_to("pools.example.io"));
    let pools = publications.get("pools.example.io").expect("pools");
    origin["metadata"]["finalizers"] = json!([pools.finalizer()]);
    assert_eq!(pools.referred_by(&pool("big"), &origin), []);
}

/// A pool and two things in it, settled; the operator takes its time with the things.
struct Town<'a> {
    world: World,
    agents: Vec<Agent<'a>>,
}

impl<'a> Town<'a> {
    fn new(publications: &'a Publications) -> Self {
        let publication = |id: &str| -> &'a Publication { publications.get(id).expect("it") };
        let (things, pools) = (
            publication("things.example.io"),
            publication("pools.example.io"),
        );
        let mut town = Self {
            world: World::default(),
            agents: Vec::new(),
        };
        for (publication, name, spec) in [
            (pools, "big", json!({"size": 1})),
            (things, "a", json!({"pool": "big"})),
            (things, "b", json!({"items": [{"ref": {"name": "big"}}]})),
        ] {
            let mut agent = Agent::new(publication, &key(publication, name));
            let wanted = order(publication, &agent.key, &spec);
            town.world.put(&agent.origin(), wanted);
            agent.event(&town.world, &agent.origin());
            agent.run(&mut town.world, None);
            let copy = agent.copy();
            let slow = json!(["operator/slow"]);
            town.world
                .edit(&copy, |it| it["metadata"]["finalizers"] = slow);
            agent.event(&town.world, &copy);
            agent.run(&mut town.world, None);
            town.agents.push(agent);
        }
        town
    }

    /// Whether somebody who is held refers to this order.
    fn referred(&self, at: usize) -> bool {
        self.agents.iter().any(|other| {
            let origin = self.world.objects.get(&other.origin());
            let refers = origin.map(|it| other.publication.referred_by(&other.key, it));
            refers.is_some_and(|it| it.contains(&self.agents[at].key))
        })
    }

    /// A step of one order; `cut`: dies after so many effects, and starts again.
    fn step(&mut self, at: usize, cut: Option<usize>) {
        self.agents[at].referred = self.referred(at);
        let agent = &mut self.agents[at];
        for it in [agent.origin(), agent.copy()] {
            agent.event(&self.world, &it);
        }
        if agent.run(&mut self.world, cut).is_none() {
            agent.restart(&self.world);
        }
        // The pool stands as long as a thing that is in it.
        let (pool, things) = self.agents.split_first().expect("a pool");
        let going = |agent: &Agent<'_>| {
            let copy = self.world.objects.get(&agent.copy());
            copy.is_none_or(syncagent_core::object::is_deleting)
        };
        let there = |it: &&Agent<'_>| self.world.objects.contains_key(&it.copy());
        assert!(!going(pool) || things.iter().filter(there).count() == 0);
    }

    fn delete(&mut self, at: usize) {
        let origin = self.agents[at].origin();
        self.world.delete(&origin);
    }

    /// The operator is done with a copy that is being deleted.
    fn let_go(&mut self, at: usize) {
        let copy = self.agents[at].copy();
        if self.world.objects.contains_key(&copy) {
            self.world
                .edit(&copy, |it| it["metadata"]["finalizers"] = json!([]));
        }
    }
}

#[test]
fn whatever_is_deleted_first_the_copy_goes_after_those_that_refer_to_it() {
    let publications = neighbours();
    let orders = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    for (deleted, served, cut) in orders.iter().flat_map(|deleted| {
        orders
            .iter()
            .flat_map(move |served| (0..4).map(move |cut| (deleted, served, cut)))
    }) {
        let mut town = Town::new(&publications);
        for at in deleted {
            town.delete(*at);
            for it in served {
                town.step(*it, Some(cut));
                town.step(*it, None);
            }
        }
        for at in deleted {
            // Nobody has gone that the operator holds.
            assert!(town.world.objects.contains_key(&town.agents[*at].copy()));
        }
        for at in [2, 1, 0] {
            town.let_go(at);
            for it in served.iter().chain(served) {
                town.step(*it, None);
            }
        }
        for at in 0..3 {
            let agent = &town.agents[at];
            assert!(!town.world.objects.contains_key(&agent.origin()), "{at}");
            assert!(!town.world.objects.contains_key(&agent.copy()), "{at}");
        }
    }
}
