//! Values that are changed on their way, against servers.

use serde_json::json;
use syncagent_core::definition::{Change, Definition, Mutation, Mutations};

use crate::stage::{Stage, play, there};
use crate::things;
use crate::world::{change, status};

#[test]
fn values_change_on_their_way_down_and_up() {
    play(|| async {
        let thing = things::kind("Thing");
        let cel = |text: &str| Change::Cel(text.into());
        let definition = Definition {
            mutations: Mutations {
                down: vec![
                    Mutation::new("spec.size", Change::Default(json!(2))),
                    Mutation::new("spec.size", cel("value * 10")),
                    Mutation::new(
                        "spec.note",
                        Change::Template("{{ .LocalObject.metadata.name | upper }}".into()),
                    ),
                ],
                up: vec![Mutation::new(
                    "status.phase",
                    Change::Regex {
                        pattern: "^db-".into(),
                        replacement: String::new(),
                    },
                )],
                ..Mutations::default()
            },
            ..things::plain("Thing")
        };
        let mut stage = Stage::running(vec![definition]).await;
        let consumer = stage.consumer("consumer").await;
        consumer.order(&thing, "one", &json!({})).await;
        let copy = stage.copy(&consumer, &thing, "one").await;
        assert_eq!(copy["spec"], json!({"size": 20, "note": "ONE"}));
        let path = things::path(&thing, "default", "one");
        change(&consumer.api, &path, &json!({"spec": {"size": 3}})).await;
        there(&stage.service, &thing, &consumer.cluster, "one", |c| {
            c["spec"]["size"] == 30
        })
        .await;
        let at = things::path(&thing, &consumer.cluster, "one");
        status(&stage.service, &at, &json!({"phase": "db-ready"})).await;
        consumer
            .there(&thing, "one", |o| o["status"]["phase"] == "ready")
            .await;

        // Settled is settled: nothing is written because a rule was applied again.
        stage.calm().await;
        stage.forget();
        stage.stop().await;
        stage.start();
        stage.calm().await;
        let writes = stage.requests();
        let writes = writes.iter().filter(|line| {
            ["patch", "create", "delete"]
                .iter()
                .any(|verb| line.contains(verb))
        });
        assert_eq!(writes.collect::<Vec<_>>(), Vec::<&String>::new());
    });
}
